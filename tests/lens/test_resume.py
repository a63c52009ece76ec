"""A lens that was stopped goes on where it was: what is resumed equals what was never stopped, to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import latentlang as ll
from latentlang.errors import ModelError
from latentlang.lens import logit_lens, multilingual_lens, prompt_run
from latentlang.models import HookedLM, TokenSets, read_out, read_out_each
from tests.support import tiny
from tests.support.warm import warm_process

OPTIONS: dict[str, Any] = {"languages": "ja,ru,zh", "items": 4, "shots": 1, "seed": 3}


@pytest.fixture(scope="module")
def model() -> HookedLM:
    return HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")


class StopError(Exception):
    pass


def _stop_after(count: int) -> Any:
    def told(done: int, _total: int) -> None:
        if done >= count:
            raise StopError

    return told


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The languages whose prompts were run."""
    languages: list[str] = []
    run = HookedLM.iter_activations

    def noted(self: HookedLM, prompts: Any, **options: Any) -> Any:
        languages.append(prompts[0].language)
        return run(self, prompts, **options)

    monkeypatch.setattr(HookedLM, "iter_activations", noted)
    return languages


@pytest.mark.parametrize("lens", [logit_lens, multilingual_lens])
def test_a_lens_goes_on_after_the_languages_that_were_done(lens, model, ran, tmp_path):
    options = OPTIONS | ({"candidates": "en,de,hi"} if lens is multilingual_lens else {})
    whole = lens(model, "translation", **options)
    ran.clear()
    with pytest.raises(StopError):
        lens(model, "translation", resume=tmp_path, progress=_stop_after(9), **options)
    assert ran == ["ja", "ru", "zh"]
    ran.clear()
    again = lens(model, "translation", resume=tmp_path, **options)
    assert ran == ["zh"]
    pd.testing.assert_frame_equal(again.table, whole.table, check_exact=True)
    assert again.provenance.settings == whole.provenance.settings
    ran.clear()
    lens(model, "translation", resume=tmp_path, **options)
    assert ran == []


def test_whole_answers_go_on_too(model, tmp_path, monkeypatch):
    from latentlang.lens import logit

    options = OPTIONS | {"policy": "sequence", "items": 2}
    whole = logit_lens(model, "translation", **options)
    with pytest.raises(StopError):
        logit_lens(model, "translation", resume=tmp_path, progress=_stop_after(3), **options)
    scored: list[str] = []
    score = logit.score_answers

    def noted(model: HookedLM, prompts: Any, *rest: Any, **how: Any) -> Any:
        scored.append(prompts[0].language)
        return score(model, prompts, *rest, **how)

    monkeypatch.setattr(logit, "score_answers", noted)
    again = logit_lens(model, "translation", resume=tmp_path, **options)
    assert scored == ["ru", "zh"]
    pd.testing.assert_frame_equal(again.table, whole.table, check_exact=True)


@pytest.mark.parametrize(
    "change", [{"seed": 4}, {"items": 3}, {"policy": "drop"}, {"pivot": "de"}, {"layers": [1]}]
)
def test_other_options_are_run_anew(change, model, ran, tmp_path):
    options = OPTIONS | {"languages": "ja,ru"}
    logit_lens(model, "translation", resume=tmp_path, **options)
    alone = logit_lens(model, "translation", **(options | change))
    ran.clear()
    again = logit_lens(model, "translation", resume=tmp_path, **(options | change))
    assert ran == ["ja", "ru"]
    pd.testing.assert_frame_equal(again.table, alone.table, check_exact=True)


def test_another_model_is_run_anew(model, ran, tmp_path):
    logit_lens(model, "translation", resume=tmp_path, **OPTIONS)
    other = HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")
    with torch.no_grad():
        other.lm.get_output_embeddings().weight.mul_(1.5)
    ran.clear()
    logit_lens(other, "translation", resume=tmp_path, **OPTIONS)
    assert ran == ["ja", "ru", "zh"]


def test_a_damaged_language_is_run_anew(model, ran, tmp_path):
    whole = logit_lens(model, "translation", resume=tmp_path, **OPTIONS)
    (tmp_path / "pair" / "ru" / "pass-0.safetensors").write_bytes(b"spoiled")
    ran.clear()
    again = logit_lens(model, "translation", resume=tmp_path, **OPTIONS)
    assert ran == ["ru"]
    pd.testing.assert_frame_equal(again.table, whole.table, check_exact=True)


def test_a_language_that_fails_loses_none_that_was_done(model, ran, tmp_path, monkeypatch):
    run = HookedLM.iter_activations

    def failing(self: HookedLM, prompts: Any, **options: Any) -> Any:
        if prompts[0].language == "zh":
            raise ModelError("too long")
        return run(self, prompts, **options)

    with monkeypatch.context() as patched:
        patched.setattr(HookedLM, "iter_activations", failing)
        with pytest.raises(ModelError, match="too long"):
            logit_lens(model, "translation", resume=tmp_path, **OPTIONS)
    ran.clear()
    logit_lens(model, "translation", resume=tmp_path, **OPTIONS)
    assert ran == ["zh"]


def test_lots_of_sets_are_read_from_one_pass_as_each_alone(model):
    generator = torch.Generator().manual_seed(5)
    resid = torch.randn(3, 2, model.d_model, generator=generator)
    ids = torch.randperm(model.vocab_size, generator=generator).numpy()
    lots = [
        TokenSets([ids[:40], ids[30:31], ids[:0]]),
        TokenSets([ids[35:90], ids[:7]]),
        TokenSets([ids[:0]]),
    ]
    together = read_out_each(model, resid, lots, top=1)
    for sets, readout in zip(lots, together, strict=True):
        alone = read_out(model, resid, sets, top=1)
        for name in ("log_probs", "entropy", "top_ids", "top_log_probs"):
            assert torch.equal(getattr(readout, name), getattr(alone, name)), name


def test_two_passes_ask_the_head_once(model, monkeypatch):
    from latentlang.lens.logit import PairLensPass, prompts_of
    from latentlang.lens.multilingual import MultilingualLensPass

    task, options = ll.task("translation"), {"shots": 1, "seed": 3}
    prompts = prompts_of(task, "ja", items=4, **options)
    through = prompt_run.run_passes

    def asked(*passes: Any) -> int:
        count: list[int] = []
        head = HookedLM.head

        def counted(self: HookedLM, *arguments: Any) -> Any:
            count.append(1)
            return head(self, *arguments)

        with monkeypatch.context() as patched:
            patched.setattr(HookedLM, "head", counted)
            through(model, prompts, list(passes))
        return len(count)

    def pair(**how: Any) -> PairLensPass:
        return PairLensPass(model, task, **options, **how)

    one = pair()
    everyone = MultilingualLensPass(model, task, candidates="en,de", lens=one.lens, **options)
    alone = asked(pair())
    assert asked(one, everyone) == alone > 0
    assert asked(pair(), MultilingualLensPass(model, task, candidates="en,de", layers=[1], **options)) > alone


_STOPPED = """
import os, signal, sys
from latentlang.cli import main
from latentlang.models import HookedLM
run = HookedLM.iter_activations
def stop(self, prompts, **options):
    if prompts[0].language == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGINT)
    return run(self, prompts, **options)
HookedLM.iter_activations = stop
sys.exit(main(["lens", "--lang", "ja,ru,zh", "--items", "4", "--candidates", "en,de", "--out", sys.argv[1]]))
"""


@pytest.mark.slow("tests/lens/test_resume.py", "tests/cli/test_cli_parallel_text.py")
def test_the_command_says_what_is_kept_and_goes_on(tmp_path: Path):
    out, whole = tmp_path / "out", tmp_path / "whole"
    stopped = warm_process("-c", _STOPPED, out, "zh")
    assert (stopped.code, stopped.out) == (130, "")
    assert stopped.err == (
        f"latentlang: interrupted; 2 of 3 languages (ja, ru) are kept in {out}: run the same command again to go on\n"
    )
    # The languages that are there are not run again: an interrupt at one of them is never met.
    assert warm_process("-c", _STOPPED, out, "ru").code == 0
    assert warm_process("-c", _STOPPED, whole, "none").code == 0
    for name in (".", "languages"):
        kinds = [ll.LensResult if name == "." else ll.lens.multilingual.MultilingualLensResult] * 2
        resumed, straight = (
            kind.load(folder / name) for kind, folder in zip(kinds, (out, whole), strict=True)
        )
        pd.testing.assert_frame_equal(resumed.table, straight.table, check_exact=True)
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in whole.iterdir())
    assert ".unfinished" not in {path.name for path in out.iterdir()}
