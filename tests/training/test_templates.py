"""Tokenizer and chat template of a training are recorded; what is asked otherwise than it was trained is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import latentlang as ll
from latentlang.models import HookedLM
from latentlang.models.chat import template_digest
from latentlang.models.training_notes import tokenizer_digest, trained_template
from latentlang.training import train
from tests.support.benchmark_files import write_lines

TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
QUICK: dict[str, Any] = {
    "batch": 4,
    "accumulation": 1,
    "steps": 1,
    "evaluations": 1,
    "validation": 0,
    "progress": False,
}


@pytest.fixture
def chatting(model: HookedLM, folder_of: Callable[[HookedLM], Path]) -> Path:
    """Folder of a tiny model whose tokenizer has a chat template."""
    model.tokenizer.chat_template = TEMPLATE
    return folder_of(model)


def trained(folder: Path, out: Path, template: str, **more: Any) -> Path:
    path = out.with_suffix(".jsonl")
    rows = [{"id": f"{n}", "language": "de", "instruction": f"say {n}", "output": str(n)} for n in range(8)]
    write_lines(path, rows)
    train(folder, {"name": "mine", "data": {"kind": "instructions", "files": str(path), "template": template}}, out=out,
          **{**QUICK, **more})  # fmt: skip
    return out


def told(model: HookedLM) -> list[str]:
    return [note for note in model.notes if "was trained" in note]


def test_the_record_and_the_card_have_both_hashes(chatting: Path, tmp_path: Path) -> None:
    out = trained(chatting, tmp_path / "out", "chat")
    tokenizer = ll.load(chatting, progress=False).tokenizer
    settings = ll.open_result(out).settings
    assert (settings.tokenizer, settings.chat_template) == (
        tokenizer_digest(tokenizer),
        template_digest(tokenizer),
    )
    card = (out / "README.md").read_text()
    assert settings.tokenizer in card and settings.chat_template in card and trained_template(out) == "chat"
    tokenizer.chat_template = TEMPLATE + " "
    assert template_digest(tokenizer) != settings.chat_template
    assert tokenizer_digest(tokenizer) == settings.tokenizer
    tokenizer.add_tokens(["<new>"])
    assert tokenizer_digest(tokenizer) != settings.tokenizer
    tokenizer.chat_template = None
    assert template_digest(tokenizer) is None


def test_what_is_asked_otherwise_is_told_once(chatting: Path, tmp_path: Path) -> None:
    chat, plain = (trained(chatting, tmp_path / name, name) for name in ("chat", "plain"))
    options: dict[str, Any] = {"languages": "de", "items": 2, "shots": 0, "progress": False}
    for adapter, as_chat, wanted in (
        (chat, True, []),
        (plain, False, []),
        (chat, False, ["asked as text, and the adapter was trained in the template 'chat'"]),
        (
            plain,
            True,
            [
                "asked in the chat template of its tokenizer, and the adapter was trained in the template 'plain'"
            ],
        ),
    ):
        model = ll.load(chatting, adapter=adapter, progress=False)
        assert not told(model)
        task = model.chat("sentiment") if as_chat else "sentiment"
        result = ll.evaluate(model, task, score="sequence", states="tuned", **options)
        ll.evaluate(model, task, states="tuned", **options)
        assert told(model) == wanted
        said = result.provenance.settings.get("model_notes", [])
        assert [note for note in said if "template" in note] == wanted


def test_another_template_or_tokenizer_is_told_when_the_adapter_is_loaded(
    chatting: Path, tmp_path: Path
) -> None:
    out = trained(chatting, tmp_path / "out", "chat")
    assert not told(ll.load(chatting, adapter=out, progress=False))
    template = chatting / "chat_template.jinja"
    template.write_text(template.read_text() + " ")
    (note,) = told(ll.load(chatting, adapter=out, progress=False))
    assert "was trained in another chat template ('sha256 " in note
    record = json.loads((out / "metadata.json").read_text())
    record["provenance"]["settings"]["tokenizer"] = "sha256 0"
    (out / "metadata.json").write_text(json.dumps(record))
    notes = told(ll.load(chatting, adapter=out, progress=False))
    assert len(notes) == 2 and "was trained with another tokenizer ('sha256 0', this is sha256 " in notes[0]


def test_a_model_of_its_own_says_it_too(chatting: Path, tmp_path: Path) -> None:
    out = trained(chatting, tmp_path / "out", "chat", method="full")
    model = ll.load(out, progress=False)
    assert model.tokenizer.chat_template == TEMPLATE
    assert tokenizer_digest(model.tokenizer) == ll.open_result(out).settings.tokenizer
    ll.evaluate(model, "sentiment", languages="de", items=2, shots=0, progress=False)
    assert told(model) == ["asked as text, and the model was trained in the template 'chat'"]
