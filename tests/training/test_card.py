"""The card beside an adapter: what it says, and that texts of others stay texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from latentlang.errors import InputError
from latentlang.models import HookedLM
from latentlang.training import TrainingResult, train
from latentlang.training.card import model_card
from tests.support.benchmark_files import write_lines

QUICK = {"batch": 4, "accumulation": 1, "steps": 2, "evaluations": 1, "validation": 0.25}


def instructions(path: Path) -> Path:
    rows = [
        {"id": f"n{n}", "language": code, "instruction": f"say {n}", "output": str(n), "origin": origin}
        for code, origin in (("no", "native"), ("de", "google")) for n in range(8)
    ]  # fmt: skip
    return write_lines(path, rows)


def record(path: Path, **fields: Any) -> dict[str, Any]:
    return {"name": "mine", "data": {"kind": "instructions", "files": str(path)}, **fields}


def front_matter(card: str) -> dict[str, Any]:
    assert card.startswith("---\n")
    fields = yaml.safe_load(card[4 : card.index("\n---\n")])
    assert isinstance(fields, dict)
    return fields


def test_the_card_says_what_the_adapter_is(model: HookedLM, tmp_path: Path) -> None:
    result = train(
        model, record(instructions(tmp_path / "a.jsonl")), out=tmp_path / "out", progress=False, **QUICK
    )
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    base = json.loads((tmp_path / "out" / "adapter_config.json").read_text())["base_model_name_or_path"]
    fields = front_matter(card)
    assert (fields["base_model"], fields["library_name"]) == (base, "peft")
    assert fields["language"] == ["no", "de"] and "lora" in fields["tags"]
    for row in ("| no | 6 | 2 |", "| de | 6 | 2 |", "| native | 6 | 2 |", "| google | 6 | 2 |"):
        assert row in card
    assert "| together | 12 | 4 |" in card and "Norwegian (no), German (de)" in card
    assert f"| before training | {result.base_loss:.4f} |" in card
    assert f"| at step 2, whose weights these are | {result.best_loss:.4f} |" in card
    for line in ('adapter="ADAPTER")', "latentlang lens --model", "PeftModel.from_pretrained", "## Licence"):
        assert line in card
    written = yaml.safe_load(card[card.index("```yaml\n") + 8 : card.index("\n```\n", card.index("```yaml"))])
    assert written == result.recipe


def test_what_others_wrote_stays_text(model: HookedLM, tmp_path: Path) -> None:
    evil = "a | b\n# c <script>alert(1)</script> [x](javascript:y) `z` ``` \x1b[31m"
    result = train(
        model, record(instructions(tmp_path / "a.jsonl"), name=evil[:70], about=evil), out=tmp_path / "out",
        progress=False, **QUICK,
    )  # fmt: skip
    card = model_card(result, base='x"; --rm\n---\nlicense: mit')
    assert front_matter(card)["base_model"] == 'x"; --rm\n---\nlicense: mit'
    assert "license" not in front_matter(card)
    body = card[: card.index("## How to load it")]
    assert "<script>" not in body and "\\[x\\](javascript" in body and "\x1b" not in card
    assert "\n# c" not in body
    assert "\n````\n" in card  # the fence is longer than the one in the text


def test_the_card_of_an_embedded_model_loads_it_by_latentlang(model: HookedLM, tmp_path: Path) -> None:
    result = train(
        model, record(instructions(tmp_path / "a.jsonl")), out=tmp_path / "out", progress=False, **QUICK
    )
    card = model_card(result, base="pocket", embedded=True)
    assert 'PeftModel.from_pretrained(ll.load("pocket").lm, "ADAPTER")' in card
    assert "AutoModelForCausalLM" not in card


def test_a_card_of_ones_own_is_not_overwritten(model: HookedLM, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "README.md").write_text("mine")
    with pytest.raises(InputError, match=r"README\.md"):
        train(model, record(instructions(tmp_path / "a.jsonl")), out=tmp_path / "out", **QUICK)
    assert (tmp_path / "out" / "README.md").read_text() == "mine"


def test_a_record_without_origins_has_a_card_too(model: HookedLM, small, tmp_path: Path) -> None:
    result = train(model, small, out=tmp_path / "out", progress=False)
    again = TrainingResult.load(tmp_path / "out")
    assert again.settings.origins == {} and "By origin" not in model_card(again, base="x")
    assert model_card(again, base="x").count("Spanish (es)") == 1
    assert result.recipe == again.recipe
