"""An evaluation that was stopped goes on where it was, to the same table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from latentlang.errors import InputError
from latentlang.evaluation import evaluate
from latentlang.evaluation.scoring import FirstTokens, Scored, WholeAnswers
from latentlang.models import HookedLM
from latentlang.models.finished_languages import finished_names, forget
from latentlang.storage.lock import FolderLock
from tests.support import tiny

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
OPTIONS: dict[str, Any] = {"languages": "de,fr", "items": 4, "shots": 1, "seed": 3, "progress": False}
TASKS = "sentiment,nli"


class StopError(Exception):
    pass


@pytest.fixture(scope="module")
def model() -> HookedLM:
    return HookedLM(tiny.model("mistral", max_position_embeddings=2048), tiny.tokenizer(), name="tiny")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The languages whose labels were chosen between; `limit` ends the run."""
    languages: list[str] = []

    def counting(own: Any) -> Any:
        def run(self: Any, model: HookedLM, prompts: Any, **options: Any) -> Scored:
            if len(languages) == limit[0]:
                raise StopError
            languages.append(prompts[0].language)
            scored: Scored = own(self, model, prompts, **options)
            return scored

        return run

    for kind in (FirstTokens, WholeAnswers):
        monkeypatch.setattr(kind, "run", counting(kind.run))
    limit[0] = 1000
    return languages


limit = [1000]


@pytest.mark.parametrize("score", ["first-tokens", "sequence"])
def test_it_goes_on_after_the_languages_that_were_done(score, model, asked, tmp_path):
    options = OPTIONS | {"score": score}
    whole = evaluate(model, TASKS, **options)
    asked.clear()
    limit[0] = 3
    with pytest.raises(StopError):
        evaluate(model, TASKS, resume=tmp_path / "kept", **options)
    assert asked == ["de", "fr", "de"]
    asked.clear()
    limit[0] = 1000
    told: list[tuple[int, int]] = []
    again = evaluate(
        model, TASKS, resume=tmp_path / "kept", **options | {"progress": lambda *at: told.append(at)}
    )
    assert asked == ["fr"] and told[-1] == (16, 16)
    pd.testing.assert_frame_equal(again.table, whole.table, check_exact=True)
    assert again.provenance.settings == whole.provenance.settings


def test_both_states_are_kept_apart(asked, tmp_path):
    plain = tiny.model("mistral", max_position_embeddings=2048)
    model = HookedLM(tiny.adapted(plain).eval(), tiny.tokenizer(), name="tiny")
    whole = evaluate(model, "sentiment", **OPTIONS)
    assert not whole.table.query("state == 'base'")["mass"].equals(
        whole.table.query("state == 'tuned'")["mass"]
    )
    asked.clear()
    limit[0] = 3
    with pytest.raises(StopError):
        evaluate(model, "sentiment", resume=tmp_path, **OPTIONS)
    limit[0] = 1000
    asked.clear()
    again = evaluate(model, "sentiment", resume=tmp_path, **OPTIONS)
    assert asked == ["fr"]
    pd.testing.assert_frame_equal(again.table, whole.table, check_exact=True)


@pytest.mark.parametrize(
    "change",
    [{"seed": 4}, {"items": 3}, {"score": "sequence"}, {"answers": "en"}, {"protocol": "as-published"}],
)
def test_other_options_are_run_anew(change, model, asked, tmp_path):
    evaluate(model, "sentiment", resume=tmp_path, **OPTIONS)
    alone = evaluate(model, "sentiment", **(OPTIONS | change))
    asked.clear()
    again = evaluate(model, "sentiment", resume=tmp_path, **(OPTIONS | change))
    assert asked == ["de", "fr"]
    pd.testing.assert_frame_equal(again.table, alone.table, check_exact=True)


def test_another_model_is_run_anew_and_a_folder_in_use_is_refused(model, asked, tmp_path):
    evaluate(model, "sentiment", resume=tmp_path, **OPTIONS)
    other = HookedLM(tiny.model("mistral", max_position_embeddings=2048), tiny.tokenizer(), name="tiny")
    with torch.no_grad():
        other.lm.get_output_embeddings().weight.mul_(1.5)
    asked.clear()
    evaluate(other, "sentiment", resume=tmp_path, **OPTIONS)
    assert asked == ["de", "fr"]
    with FolderLock(tmp_path), pytest.raises(InputError, match="is writing into"):
        evaluate(model, "sentiment", resume=tmp_path, **OPTIONS)


def test_what_is_kept_is_forgotten_and_nothing_else(model, tmp_path: Path):
    evaluate(model, "sentiment", resume=tmp_path / "kept", **OPTIONS)
    assert finished_names(tmp_path / "kept") == ["de", "fr"]
    (tmp_path / "kept" / "mine.txt").write_text("mine")
    forget(tmp_path / "kept")
    assert [path.name for path in (tmp_path / "kept").rglob("*") if path.is_file()] == ["mine.txt"]
    forget(tmp_path / "nowhere")


def test_labels_that_cannot_be_chosen_come_back_as_they_were():
    scored = Scored(np.array([[-np.inf, 0.1], [np.nan, -3.0]]), np.array([0.2, 0.3]), np.zeros(2), [1, None])
    again = Scored.restored(*scored.kept())
    for name in ("scores", "mass", "shared"):
        np.testing.assert_array_equal(getattr(again, name), getattr(scored, name))
    assert again.chosen == [1, None]
