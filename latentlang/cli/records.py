"""What ``--json`` prints of results: where they came from, what was found, and the files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.results import Result


def result_record(result: Result[Any], files: Sequence[Path] = ()) -> dict[str, Any]:
    """One result: what a notebook shows of it, in rows and in words.

    Args:
        result: of any kind.
        files: that were written.
    """
    from latentlang.results import Result

    provenance = result.provenance
    has_words = type(result).describe is not Result.describe
    return {
        "kind": result.kind, "model": provenance.model, "adapter": provenance.adapter, "task": provenance.task,
        "languages": list(provenance.languages), "protocol": provenance.protocol, "policy": provenance.policy,
        "seed": provenance.seed, "rows": rows_record(result.glance()),
        "sentence": result.describe() if has_words else None,
        "files": [str(path) for path in files],
    }  # fmt: skip


def rows_record(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON has them: what is no finite number is null, and numbers have all their digits.

    pandas' own ``to_json`` keeps ten places after the point, which leaves little of a small probability.
    """
    import pandas as pd

    def plain(value: Any) -> Any:
        if hasattr(value, "tolist"):  # a NumPy scalar or array in a column of objects
            value = value.tolist()
        if isinstance(value, list | tuple):
            return [plain(entry) for entry in value]
        missing = value is pd.NA or (isinstance(value, float) and not math.isfinite(value))
        return None if missing else value

    columns = {str(name): [plain(value) for value in table[name].tolist()] for name in table.columns}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
