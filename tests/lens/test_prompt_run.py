"""Two passes from one run: the same numbers, and no prompt run twice."""

from __future__ import annotations

import pandas as pd
import pytest
import tiny

import latentlang as ll
from latentlang.lens import LensResult, logit_lens, multilingual_lens
from latentlang.lens.logit import PairLensPass, prompts_of
from latentlang.lens.multilingual import MultilingualLensPass, MultilingualLensResult
from latentlang.lens.prompt_run import run_passes
from latentlang.models import HookedLM


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
    for name, code in (("languages-from-fr", "ja"), ("languages-from-de", "fr")):
        assert MultilingualLensResult.load(out / name).provenance.languages == (code,)
