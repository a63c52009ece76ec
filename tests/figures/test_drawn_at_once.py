"""Figures grow at once: what is added piece by piece costs the square of the number of pieces."""

import ast
from pathlib import Path

import pytest

import latentlang

ROOT = Path(latentlang.__file__).parent
# Each call makes plotly validate all pieces that the figure has already.
ONE_BY_ONE = {
    "add_annotation", "add_shape", "add_trace", "add_layout_image", "add_vline", "add_hline", "add_vrect", "add_hrect",
    "add_scatter", "add_scatter3d", "add_heatmap", "add_bar",
}  # fmt: skip
DRAWING = sorted(
    path
    for room in ("figures", "report", "interactive", "reproduction")
    for path in (ROOT / room).rglob("*.py")
)


@pytest.mark.parametrize("path", DRAWING, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_nothing_is_added_to_a_figure_piece_by_piece(path):
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    calls = [
        node.func for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    assert not [f"line {call.lineno}: {call.attr}" for call in calls if call.attr in ONE_BY_ONE]
