"""Question translations as files for other trainers: the paper's layout, and LLaMA-Factory's index beside it."""

from __future__ import annotations

import json
from pathlib import Path

from latentlang.errors import InputError, unknown
from latentlang.storage.documents import read_json
from latentlang.storage.files import prepare_folder, write_text
from latentlang.tasks.files import PathLike
from latentlang.tasks.labels import KINDS
from latentlang.training.data.questions import AlignmentData, QuestionPair

LAYOUTS = ("paper", "llama-factory")
_INDEX = "dataset_info.json"
_THOUSAND = 1000


def export(data: AlignmentData, folder: PathLike, *, task: str, layout: str = "paper") -> list[Path]:
    """Write one JSON file per language pair and split, e.g. ``snli_zh10k_train_question.json``.

    Each is a list of ``{"input", "answer"}``, indented by four, as the published ones are. A pair into another
    language than English has it in its name (``emotion_ja-zh10k_train_question.json``).

    Args:
        data: what to write.
        folder: where to; made if missing.
        task: its name begins the files' (sentiment: ``emotion``, nli: ``snli``, paraphrase: ``paws``).
        layout: ``paper`` for these files alone; ``llama-factory`` adds ``dataset_info.json``, in which the sets are
            called ``snli_zh_question`` and ``snli_zh_question_validation`` (``--dataset a,b`` mixes several).

    Returns:
        The files written.

    Raises:
        InputError: no such layout, or the folder cannot be written.
    """
    if layout not in LAYOUTS:
        raise unknown("layout", layout, LAYOUTS)
    path = prepare_folder(folder)
    stem = KINDS[task].stems[0] if task in KINDS else task
    index: dict[str, object] = {}
    written: list[Path] = []
    for split, part, ending in (("train", data.train, ""), ("validation", data.validation, "_validation")):
        groups: dict[str, list[QuestionPair]] = {}
        for pair in part:
            groups.setdefault(_short(pair), []).append(pair)
        for name, group in groups.items():
            file = path / f"{stem}_{name}{_count(len(group))}_{split}_question.json"
            records = [{"input": pair.input, "answer": pair.output} for pair in group]
            _write(file, records)
            written.append(file)
            index[f"{stem}_{name}_question{ending}"] = {
                "file_name": file.name,
                "columns": {"prompt": "input", "response": "answer"},
            }
    if layout == "llama-factory":
        _write(path / _INDEX, _other_sets(path / _INDEX) | index)
        written.append(path / _INDEX)
    return written


def _other_sets(path: Path) -> dict[str, object]:
    """What an index that is there already says of other sets: the folder may be LLaMA-Factory's own."""
    if not path.exists():
        return {}
    return read_json(path, kind=dict, then="it is not overwritten: choose another folder")


def _short(pair: QuestionPair) -> str:
    return pair.source if pair.target == "en" else f"{pair.source}-{pair.target}"


def _count(number: int) -> str:
    return f"{number // _THOUSAND}k" if number % _THOUSAND == 0 else str(number)


def _write(path: Path, content: object) -> None:
    try:
        write_text(path, json.dumps(content, indent=4, ensure_ascii=False) + "\n")
    except OSError as error:
        raise InputError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
