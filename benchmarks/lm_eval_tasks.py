"""lm-eval's own XCOPA and XWinograd with items from local files: its prompts, without its hub."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Records = Iterable[Mapping[str, Any]]


def write_task(folder: Path, name: str, records: Records, *, split: str) -> None:
    """A YAML file that takes lm-eval's task of this name, with other items.

    Args:
        folder: where it goes, with the items beside it.
        name: of the task (``xcopa_it``).
        records: its items, with the columns of the set on the hub.
        split: which part of the set they are.
    """
    import lm_eval.tasks

    shipped = Path(lm_eval.tasks.__file__).parent
    benchmark, _, language = name.partition("_")
    file = {"xcopa": f"default_{language}.yaml"}.get(benchmark, f"{name}.yaml")
    items = folder / f"{name}.jsonl"
    items.write_text(
        "".join(json.dumps(dict(record), ensure_ascii=False) + "\n" for record in records), encoding="utf-8"
    )
    (folder / f"{name}.yaml").write_text(
        f"include: {shipped / benchmark / file}\ntask: {name}\ndataset_path: json\ndataset_name: null\n"
        f"dataset_kwargs:\n  data_files:\n    {split}: {items}\n"
        + ("test_split: null\n" if split == "validation" else ""),
        encoding="utf-8",
    )
