"""Two passes from one run: the same numbers, and no prompt run twice."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

import latentlang as ll
from latentlang.lens import LensResult, logit_lens, multilingual_lens
from latentlang.lens.logit import PairLensPass, prompts_of
from latentlang.lens.multilingual import MultilingualLensPass, MultilingualLensResult
from latentlang.lens.prompt_run import run_passes
from latentlang.models import HookedLM
from tests.support import tiny


@pytest.fixture(scope="module")
def model() -> HookedLM:
    return HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")


def test_both_looks_read_what_each_reads_alone(model):
    task, options = ll.task("translation", source="fr"), {"shots": 1, "seed": 3}
    prompts = prompts_of(task, "ja,ru", items=6, **options)
    pair, everyone = (
        PairLensPass(model, task, **options),
        MultilingualLensPass(model, task, candidates="en,de,hi", **options),
    )
    logit_lens(model, task, languages="ja,ru", items=6, **options)  # the model is probed at its first use
    counted: list[int] = []
    told: list[tuple[int, int]] = []
    hook = model.model.model.layers[0].register_forward_hook(lambda *_: counted.append(1))
    try:
        run_passes(model, prompts, [pair, everyone], progress=lambda *done: told.append(done))
        together = len(counted)
        alone = logit_lens(model, task, languages="ja,ru", items=6, **options)
        assert len(counted) == 2 * together > 0
    finally:
        hook.remove()
    assert told[-1] == (12, 12)
    pd.testing.assert_frame_equal(pair.result().table, alone.table)
    both = multilingual_lens(model, task, languages="ja,ru", candidates="en,de,hi", items=6, **options)
    pd.testing.assert_frame_equal(everyone.result().table, both.table)
    assert pair.result().provenance.settings == alone.provenance.settings
    assert everyone.result().provenance.settings == both.provenance.settings


def test_the_command_runs_each_prompt_once(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from latentlang.cli import app

    streamed: list[int] = []
    iter_activations = HookedLM.iter_activations

    def counting(self, prompts, **options):
        streamed.append(len(prompts))
        return iter_activations(self, prompts, **options)

    monkeypatch.setattr(HookedLM, "iter_activations", counting)
    out = tmp_path / "out"
    arguments = ["lens", "--lang", "ja,fr", "--items", "4", "--candidates", "en,de,ru", "--out", str(out)]
    ended = CliRunner().invoke(app, arguments)
    assert ended.exit_code == 0, ended.output
    assert streamed == [4, 4]
    assert LensResult.load(out).provenance.languages == ("ja", "fr")
    made = MultilingualLensResult.load(out / "languages").provenance
    assert made.languages == ("ja", "fr") and made.settings["sources"] == {"ja": "fr", "fr": "de"}


@pytest.mark.parametrize("lens", [logit_lens, multilingual_lens])
def test_several_sources_in_one_run_read_what_each_reads_alone(model, lens):
    options: dict[str, Any] = {"items": 4, "shots": 1, "seed": 3}
    if lens is multilingual_lens:
        options["candidates"] = "en,de,hi"
    result = lens(model, "translation", languages=["fr", "ja"], **options)
    assert result.provenance.settings["sources"] == {"fr": "de", "ja": "fr"}
    pd.testing.assert_frame_equal(
        result.table, lens(model, "translation", languages="fr,ja", **options).table
    )
    for code, source in (("fr", "de"), ("ja", "fr")):
        alone = lens(model, ll.task("translation", source=source), languages=code, **options)
        part = result.table[result.table["language"] == code].reset_index(drop=True)
        pd.testing.assert_frame_equal(part.astype({"value": float}), alone.table.astype({"value": float}),
                                      check_categorical=False, check_dtype=False)  # fmt: skip
        assert alone.provenance.settings["source"] == source
        for name in ("accuracy", "notes"):
            own = alone.provenance.settings[name]
            assert own == {
                key: value for key, value in result.provenance.settings[name].items() if key == code
            }


def test_whole_answers_are_read_beside_all_languages(model):
    task, options = ll.task("repetition"), {"shots": 1, "seed": 3}
    prompts = prompts_of(task, "ja", items=3, **options)
    pair = PairLensPass(model, task, policy="sequence", **options)
    everyone = MultilingualLensPass(model, task, candidates="en,de", **options)
    pair.read(prompts, beside=[everyone], share_prefix=True, progress=None)
    alone = logit_lens(model, task, languages="ja", items=3, policy="sequence", **options)
    pd.testing.assert_frame_equal(pair.result().table, alone.table)
    both = multilingual_lens(model, task, languages="ja", candidates="en,de", items=3, **options)
    pd.testing.assert_frame_equal(everyone.result().table, both.table)
