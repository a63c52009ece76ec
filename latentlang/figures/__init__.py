"""Figures: a saved result goes in, a plotly figure comes out; no model is needed."""

from latentlang.figures.accuracy import accuracy_figure
from latentlang.figures.bits import bits_figure
from latentlang.figures.directions import directions_figure
from latentlang.figures.explorer import explorer_figure
from latentlang.figures.fertility import fertility_figure
from latentlang.figures.gap import gap_figure
from latentlang.figures.heatmaps import language_heatmap, overlap_heatmap
from latentlang.figures.instructions import instructions_figure
from latentlang.figures.judgement import judgement_figure
from latentlang.figures.lens import lens_figure
from latentlang.figures.notebook_figure import NotebookFigure
from latentlang.figures.page import write_html
from latentlang.figures.patch import patch_figure
from latentlang.figures.side_by_side import compare
from latentlang.figures.translation import translation_figure

__all__ = [
    "NotebookFigure",
    "accuracy_figure",
    "bits_figure",
    "compare",
    "directions_figure",
    "explorer_figure",
    "fertility_figure",
    "gap_figure",
    "instructions_figure",
    "judgement_figure",
    "language_heatmap",
    "lens_figure",
    "overlap_heatmap",
    "patch_figure",
    "translation_figure",
    "write_html",
]
