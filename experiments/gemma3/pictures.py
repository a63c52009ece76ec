"""Draw the pictures of docs/gemma.md: `python -m experiments.gemma3.pictures FOLDER [NAME ...]`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import plotly.graph_objects as go

import latentlang as ll
from experiments.gemma3.tables import FIGURES
from experiments.pictures import Drawing, draw

# Four targets in four scripts, from a source whose words no English word begins like.
SOURCE, TARGETS = "ru", ("de", "ja", "zh", "hi")


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


PICTURES: dict[str, Drawing] = {
    "lens": lens, "candidates": candidates, "pca": pca, "alignment": alignment, "fertility": fertility,
}  # fmt: skip


if __name__ == "__main__":
    draw(PICTURES, FIGURES, about=__doc__)
