"""Patching, patchscopes and the test of a pivot's use that were stopped go on where they were, to the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import latentlang as ll
from latentlang.errors import InputError
from latentlang.models import HookedLM
from latentlang.results import Result
from latentlang.storage.step_cache import finished_steps
from tests.support import tiny

Run = Callable[..., Result[Any]]


@pytest.fixture(scope="module")
def model() -> HookedLM:
    return ll.load("pocket")


def _patch(model: HookedLM, **options: Any) -> Result[Any]:
    given: dict[str, Any] = {"items": 18, "layers": "2,7", "controls": "own-language,random"} | options
    return ll.patch(model, source="es-ru,it-ru", target="fr-de", **given)


def _patchscope(model: HookedLM, **options: Any) -> Result[Any]:
    given: dict[str, Any] = {"items": 6, "layers": "2,7"} | options
    return ll.patchscope(model, source="es-ru,it-ru", **given)


def _pivot(model: HookedLM, **options: Any) -> Result[Any]:
    given: dict[str, Any] = {"languages": "de,ja,fr", "items": 5, "layers": "2,7"} | options
    return ll.pivot_test(model, "translation", **given)


#: Each with how many runs are told before it is stopped, what is kept by then, and what it would not be used for.
CASES: dict[str, tuple[Run, int, list[str], dict[str, Any]]] = {
    "patch": (_patch, 100, ["pair-00/ru", "pair-01/ru", "pair-02/de", "prompts-00000/de"], {"seed": 1}),
    "patchscope": (
        _patchscope,
        25,
        ["pair-00/ru", "pair-01/ru", "prompts-00000", "prompts-00002"],
        {"seed": 1},
    ),
    "pivot": (_pivot, 11, ["pivot/de", "pivot/ja"], {"third": "es"}),
}


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many prompts each run of the model was given."""
    counts: list[int] = []
    run = HookedLM.iter_activations

    def noted(self: HookedLM, prompts: Any, **options: Any) -> Any:
        counts.append(len(prompts))
        return run(self, prompts, **options)

    monkeypatch.setattr(HookedLM, "iter_activations", noted)
    return counts


def _bytes(result: Result[Any], folder: Path) -> dict[str, bytes]:
    result.save(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "metadata.json"}


@pytest.mark.parametrize("name", CASES)
def test_a_stopped_run_repeats_nothing_and_gives_the_same_bytes(
    name: str, model: HookedLM, passes: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # parts of two concepts
    monkeypatch.setattr("latentlang.causal.patchscopes._MOST_NUMBERS", 2 * 3 * 2 * model.d_model)
    run, stop_at, kept, other = CASES[name]

    def stop(done: int, _total: int) -> None:
        if done >= stop_at:
            raise KeyboardInterrupt

    whole = run(model, progress=False)
    in_all = len(passes)
    folder = tmp_path / "kept"
    passes.clear()
    with pytest.raises(KeyboardInterrupt):
        run(model, resume=folder, progress=stop)
    before = len(passes)
    assert finished_steps(folder) == kept
    passes.clear()
    told: list[tuple[int, int]] = []
    again = run(model, resume=folder, progress=lambda *counts: told.append(counts))
    # what was stopped in the middle is run again, and nothing else; what is probed first is probed once
    assert 0 < len(passes) < in_all and len(passes) + before <= in_all + 3
    assert [done for done, _ in told] == sorted(done for done, _ in told) and told[-1][0] == told[-1][1]
    assert again.provenance.settings == whole.provenance.settings
    assert _bytes(again, tmp_path / "again") == _bytes(whole, tmp_path / "whole")
    # all of it is there now
    passes.clear()
    run(model, resume=folder, progress=False)
    assert passes == []
    # asked otherwise, none of it is used
    elsewhere = run(model, resume=folder, progress=False, **other)
    assert passes and _bytes(elsewhere, tmp_path / "other") == _bytes(
        run(model, progress=False, **other), tmp_path / "alone"
    )


def test_languages_without_an_item_are_kept_too(passes: list[int], tmp_path: Path) -> None:
    untrained = HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")
    options: dict[str, Any] = {"languages": "de,fr", "items": 2, "shots": 1, "progress": False}
    messages = []
    for _ in range(2):
        passes.clear()
        with pytest.raises(InputError, match="not answered rightly") as refused:
            ll.pivot_test(untrained, "translation", resume=tmp_path / "kept", **options)
        messages.append(str(refused.value))
    assert passes == [] and messages[0] == messages[1]
