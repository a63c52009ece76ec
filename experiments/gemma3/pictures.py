"""Draw the pictures of docs/gemma.md: `python -m experiments.gemma3.pictures FOLDER [NAME ...]`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import plotly.graph_objects as go

import latentlang as ll
from experiments.gemma3.tables import FIGURES
from latentlang.figures.image import check_pictures, write_picture
from latentlang.storage.files import write_text

# Four targets in four scripts, from a source whose words no English word begins like.
SOURCE, TARGETS = "ru", ("de", "ja", "zh", "hi")
_SCALE = 1.4


def lens(folder: Path) -> go.Figure:
    """Curves with their nulls."""
    return ll.LensResult.load(folder / "lens" / f"{SOURCE}-0").figure(languages=TARGETS)


def candidates(folder: Path) -> go.Figure:
    """Which language leads, for some targets."""
    result = ll.MultilingualLensResult.load(folder / "candidates" / SOURCE)
    # The test is over the targets that are shown, not over all that were read.
    shown = result.table[result.table["language"].isin(TARGETS)]
    codes = tuple(code for code in result.provenance.languages if code in TARGETS)
    return replace(result, table=shown, provenance=replace(result.provenance, languages=codes)).figure()


def pca(folder: Path) -> go.Figure:
    """The articles in 20 languages along two components."""
    return ll.PCAResult.load(folder / "pca-20").figure(layers=[1, 6, 12, 18], grid=True)


def alignment(folder: Path) -> go.Figure:
    """English with 19 languages by layer, against translations unpaired among articles of like length."""
    return ll.AlignmentResult.load(folder / "alignment-length").figure(measure="retrieval_ab")


def fertility(folder: Path) -> go.Figure:
    """Tokens relative to English."""
    return ll.FertilityResult.load(folder / "fertility").figure()


PICTURES: dict[str, Callable[[Path], go.Figure]] = {
    "lens": lens, "candidates": candidates, "pca": pca, "alignment": alignment, "fertility": fertility,
}  # fmt: skip


def caption(figure: go.Figure) -> str:
    """How a picture is read and what it was made with, as its page says."""
    meta = figure.layout.meta or {}
    parts = [*meta.get("how_to_read", ()), " · ".join(meta.get("made_with", ()))]
    return "\n".join(re.sub(r"<[^>]*>", "", part) for part in parts if part)


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
