"""Draw the pictures of docs/use.md: `python -m experiments.interventions.pictures FOLDER [NAME ...]`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import plotly.graph_objects as go

import latentlang as ll
from experiments.gemma3.pictures import caption
from experiments.interventions.tables import FIGURES
from latentlang.figures.image import check_pictures, write_picture
from latentlang.storage.files import write_text

_SCALE = 1.4


def _use(model: str) -> Callable[[Path], go.Figure]:
    return lambda folder: ll.PivotUseResult.load(folder / model / "pivot-use" / "ru-0").figure()


def _patched(at: str) -> Callable[[Path], go.Figure]:
    name = f"es-ru-fr-ja-{at}-0"
    return lambda folder: ll.PatchResult.load(folder / "gemma3-270m" / "patching" / name).figure()


PICTURES: dict[str, Callable[[Path], go.Figure]] = {
    "use-pocket": _use("pocket"), "use-gemma3-270m": _use("gemma3-270m"),
    "patched-last": _patched("last"), "patched-object": _patched("object"),
}  # fmt: skip


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where `measure` saved its results")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PICTURES)}; all by default")
    options = parser.parse_args()
    check_pictures()
    for name in options.names or PICTURES:
        figure = PICTURES[name](options.folder)
        write_picture(figure, FIGURES / f"{name}.png", scale=_SCALE)
        write_text(FIGURES / f"{name}.txt", caption(figure) + "\n")


if __name__ == "__main__":
    main()
