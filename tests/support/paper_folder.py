"""Small files in the shape of the published data, made here; no published text is in them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from latentlang.tasks.labels import KINDS, words

STEMS = {"sentiment": "emotion", "nli": "snli", "paraphrase": "paws"}
FORMATS = {
    "sentiment": "'\\n' + i + '\\nEmotion: \\\"'",
    "nli": '\'\\n\' + "Premise: " + p + "\\nHypothesis: " + h + \'\\nAnswer: \\"\'',
    "paraphrase": '\'\\n\' + "Sentence 1: " + s1 + "\\nSentence 2: " + s2 + \'\\nAnswer: \\"\'',
}


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def records(
    name: str, labels: Sequence[str], strings: Mapping[str, str], *, mark: str = ""
) -> list[dict[str, str]]:
    keys = KINDS[name].keys
    return [
        {key: f"{mark} {key} number {n}" for key in keys} | {"answer": strings[label]}
        for n, label in enumerate(labels)
    ]


def write_task(
    folder: Path,
    name: str,
    languages: Sequence[str],
    *,
    count: int = 36,
    strings: Mapping[str, Mapping[str, str]] | None = None,
    labels: Mapping[str, Sequence[str]] | None = None,
) -> Path:
    """Parallel files, labels in turn; `strings` and `labels` replace what a language says."""
    kind = KINDS[name]
    for code in languages:
        own = (labels or {}).get(code) or [kind.labels[n % len(kind.labels)] for n in range(count)]
        said = (strings or {}).get(code) or words(kind, code)
        path = folder / f"{STEMS[name]}_{code}{len(own)}_test.json"
        write_json(path, records(name, own, said, mark=code))
    return folder
