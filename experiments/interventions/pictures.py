"""Draw the pictures of docs/use.md: `python -m experiments.interventions.pictures FOLDER [NAME ...]`."""

from __future__ import annotations

import latentlang as ll
from experiments.interventions.tables import FIGURES
from experiments.pictures import Drawing, draw


def _use(model: str) -> Drawing:
    return lambda folder: ll.PivotUseResult.load(folder / model / "pivot-use" / "ru-0").figure()


def _patched(at: str) -> Drawing:
    name = f"es-ru-fr-ja-{at}-0"
    return lambda folder: ll.PatchResult.load(folder / "gemma3-270m" / "patching" / name).figure()


PICTURES: dict[str, Drawing] = {
    "use-pocket": _use("pocket"), "use-gemma3-270m": _use("gemma3-270m"),
    "patched-last": _patched("last"), "patched-object": _patched("object"),
}  # fmt: skip


if __name__ == "__main__":
    draw(PICTURES, FIGURES, about=__doc__)
