"""Small made-up files that stand in for the data of Bactrian-X: benchmarks, text in 52 languages, a tokenizer."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.support.benchmark_files import write_lines, xcopa_records, xwinograd_records

XCOPA = ("it", "th", "zh")
XWINOGRAD = {"en": "en", "jp": "ja"}
SENTIMENT = {"indonesian": "id", "javanese": "jv", "sundanese": "su"}
_REVIEWS = (
    ("Enak sekali", "positive"), ("Biasa saja", "neutral"), ("Kotor dan mahal", "negative"), ("Bagus", "positive"),
)  # fmt: skip


def write_data(root: Path, languages: Iterable[str], *, tokenizer: Any) -> Path:
    """A folder as `latentlang reproduce bactrianx --data` takes it.

    Args:
        root: of the folder.
        languages: codes of the languages of the parallel text.
        tokenizer: that stands in for LLaMA's.
    """
    for code in XCOPA:
        write_lines(root / "xcopa" / "data" / code / f"test.{code}.jsonl", xcopa_records(code))
    for name in XWINOGRAD:
        write_lines(root / "xwinograd" / "test" / f"{name}.jsonl", xwinograd_records(name))
    for name in SENTIMENT:
        path = root / "nusax" / name / "test.csv"
        path.parent.mkdir(parents=True)
        rows = [f"{number},{text},{label}" for number, (text, label) in enumerate(_REVIEWS, 1)]
        path.write_text("\n".join(["id,text,label", *rows]) + "\n", encoding="utf-8")
    (root / "udhr").mkdir()
    for code in languages:
        lines = [f"{code} la la la la {number} {code * number}" for number in (1, 2, 3)]
        (root / "udhr" / f"{code}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    tokenizer.save_pretrained(root / "tokenizers" / "llama")
    return root
