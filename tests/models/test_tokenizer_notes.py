"""What is worth a note: a beginning-of-text token left out, probability on tokens that write nothing."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

import latentlang as ll
from latentlang.activations import harvest
from latentlang.errors import InputError
from latentlang.evaluation import evaluate
from latentlang.lens import explore, logit_lens, multilingual_lens
from latentlang.models import HookedLM, load
from latentlang.models.doctor import check_up
from tests.support import tiny


def needs_beginning() -> Any:
    """A model that is at a loss unless its first token is the beginning-of-text token."""
    model = tiny.model("mistral")
    first = [tiny.BOS]

    def look(_module: Any, _args: Any, given: dict[str, Any]) -> None:
        first[0] = int(given["input_ids"][0, 0])

    model.register_forward_pre_hook(look, with_kwargs=True)
    # at the head, so that the lens has the model's own logits
    model.lm_head.register_forward_hook(lambda _m, _a, logits: logits * (1 if first[0] == tiny.BOS else 3))
    return model


def without_bos() -> Any:
    return tiny.tokenizer(bos=False)


def test_a_missing_beginning_that_the_model_needs_is_noted(caplog: pytest.LogCaptureFixture) -> None:
    lm = HookedLM(needs_beginning(), without_bos(), name="odd")
    assert "puts no '<s>' before a text" in str(lm.tokenizer_notes.beginning)
    with caplog.at_level(logging.WARNING):
        lm._note_beginning()
        lm._note_beginning()
        HookedLM(needs_beginning(), tiny.tokenizer(), name="whole")._note_beginning()
    assert [record.message.split(" and ")[0] for record in caplog.records] == [
        "odd: the tokenizer puts no '<s>' before a text,"
    ]


def test_a_model_that_is_not_helped_by_it_is_left_in_peace() -> None:
    assert HookedLM(tiny.model("mistral"), without_bos()).tokenizer_notes.beginning is None
    assert HookedLM(tiny.model("mistral"), tiny.tokenizer()).tokenizer_notes.beginning is None
    assert HookedLM(tiny.model("mistral")).tokenizer_notes.beginning is None


def test_a_model_of_a_short_context_is_asked_with_what_fits() -> None:
    """Its positions are rows of a table, which ends there."""
    lm = HookedLM(tiny.model("gpt2", n_positions=12), without_bos())
    assert lm.tokenizer_notes.beginning is None
    assert lm.activations(["good", "one"]).resid.shape[0] == 2
    with pytest.raises(InputError, match="this model takes at most 12"):
        lm.activations(["a longer text than that"])


def padded(share: float) -> Any:
    """A model of 40 rows more than its tokenizer, which hold a share of the probability."""
    model = tiny.model("mistral", vocab_size=tiny.VOCAB + 40)

    def lift(_module: Any, _args: Any, logits: torch.Tensor) -> torch.Tensor:
        own = logits[..., 3 : tiny.VOCAB].logsumexp(-1, keepdim=True)
        level = own + torch.log(torch.tensor(share / (1 - share))) - torch.log(torch.tensor(40.0))
        logits = logits.clone()
        logits[..., :3] = -torch.inf
        logits[..., tiny.VOCAB :] = level
        return logits

    model.lm_head.register_forward_hook(lift)
    return model


@pytest.mark.parametrize("share", [0.9, 0.02])
def test_probability_on_rows_that_no_token_writes_is_noted_once(
    share: float, caplog: pytest.LogCaptureFixture
) -> None:
    lm = HookedLM(padded(share), tiny.tokenizer(), name="padded")
    with caplog.at_level(logging.WARNING):
        reading = lm.activations(["Review: good", "Kritik"])
        lm.activations(["Review: good"])
    assert reading.logits is not None
    own = reading.logits.softmax(-1)[:, tiny.VOCAB :].sum(-1).mean()
    assert lm.tokenizer_notes.silent_mass(reading.logits) == pytest.approx(float(own), rel=1e-5)
    assert float(own) == pytest.approx(share, rel=1e-4)
    assert [record.message.split(" of the")[0] for record in caplog.records] == [f"padded: {share:.0%}"]
    assert "40 of them beyond its tokenizer" in caplog.text


def test_what_was_noticed_goes_into_the_provenance_of_what_is_read(tmp_path: Path) -> None:
    task = ll.task("sentiment", answers="en")
    how: dict[str, Any] = {"items": 2, "shots": 0}

    def padding() -> HookedLM:
        return HookedLM(padded(0.9), tiny.tokenizer())

    def headless() -> HookedLM:
        return HookedLM(needs_beginning(), without_bos())

    silent = "90% of the model's own probability lies on tokens that write nothing"
    beginning = "the tokenizer puts no '<s>' before a text"
    for lm, said in ((padding, silent), (headless, beginning)):
        results = [
            logit_lens(lm(), task, languages="de", **how),
            logit_lens(lm(), task, languages="de", policy="sequence", **how),
            multilingual_lens(lm(), task, languages="de", candidates="de,en", policy="against-target", **how),
            evaluate(lm(), task, languages="de", score="sequence", **how),
        ]
        for number, result in enumerate(results):
            folder = result.save(tmp_path / f"{lm.__name__}-{number}")
            notes = type(result).load(folder).provenance.settings.get("model_notes", [])
            assert [note for note in notes if note.startswith(said)], type(result)
    (note,) = explore(headless(), "Review: good").provenance.settings["model_notes"]
    assert note.startswith(beginning)
    store = harvest(headless(), ["Review: good", "Kritik"], out=tmp_path / "store")
    assert store.provenance.settings["model_notes"][0].startswith(beginning)


@pytest.mark.parametrize("read", [logit_lens, evaluate])
def test_a_resumed_run_says_of_the_model_what_one_without_a_stop_says(read: Any, tmp_path: Path) -> None:
    how: dict[str, Any] = {"languages": "de,ja", "items": 2, "shots": 0}
    for name, model in (("silent", lambda: HookedLM(padded(0.9), tiny.tokenizer())), ("headless", _headless)):
        whole = read(model(), ll.task("sentiment", answers="en"), **how)
        for _ in range(2):
            kept = read(model(), ll.task("sentiment", answers="en"), resume=tmp_path / name, **how)
            notes = kept.provenance.settings["model_notes"]
            assert notes == whole.provenance.settings["model_notes"] and len(notes) == 1


def test_what_was_noticed_before_is_noticed_again_where_a_part_is_kept(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lm = HookedLM(padded(0.9), tiny.tokenizer(), name="padded")
    lm.activations(["Review: good"])
    before = lm.notes
    with lm.noticing() as noticed:
        lm.activations(["Kritik"])
    assert noticed["silence"] and lm.notes == before and len(before) == 1
    assert len(caplog.records) == 1, "and said once"


def _headless() -> HookedLM:
    return HookedLM(needs_beginning(), without_bos())


def test_little_of_it_is_not_noted_and_the_doctor_gives_the_share(caplog: pytest.LogCaptureFixture) -> None:
    lm = HookedLM(padded(0.004), tiny.tokenizer(), name="padded")
    with caplog.at_level(logging.WARNING):
        lm.activations(["Review: good"])
    assert not caplog.records
    said = [f.detail for f in check_up(lm) if f.check == "tokenizer"]
    assert "0.40% of the probability on tokens that write nothing" in said
    noted = [f for f in check_up(HookedLM(padded(0.9), tiny.tokenizer())) if f.check == "tokenizer"]
    assert any(f.verdict == "note" and f.detail.startswith("90% of the model's own") for f in noted)


def test_the_pocket_model_gives_no_note(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        lm = load("pocket")
        lm.activations(['Review: good.\nEmotion: "'])
    assert not caplog.records
    assert lm.loading_notes == ()
