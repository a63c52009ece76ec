"""What a caption says of colours is so on a light and on a dark page."""

import ast
import re
from pathlib import Path

import pytest

import latentlang
from latentlang.figures import lens_figure
from latentlang.figures.alignment import alignment_heatmap
from tests.support.alignment_standin import alignment_result
from tests.support.lens_standin import lens_result

ROOT = Path(latentlang.__file__).parent
# On a dark page figures are inverted: what was dark is light there.
LIGHTNESS = re.compile(
    r"\b(dark|darker|darkest|light|lighter|lightest|white|black|pale|paler|bright|brighter)\b", re.I
)
CAPTIONED = sorted(
    path for room in ("figures", "report", "reproduction") for path in (ROOT / room).rglob("*.py")
)


def _strings(path):
    """Texts of a module that are shown: no docstrings, no names of keys or styles."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    silent = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
        and node.body and isinstance(node.body[0], ast.Expr)
    }  # fmt: skip
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent
        and len(node.value.split()) > 3 and "{" not in node.value
    ]  # fmt: skip


@pytest.mark.parametrize("path", CAPTIONED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_sentence_speaks_of_light_and_dark(path):
    assert not [text for text in _strings(path) if LIGHTNESS.search(text)]


#: Panels that stand beside each other stand below each other in a narrow form.
PLACED = re.compile(r"(?:^|[.:] )(?:Left|Right)\b|\b(?:[Oo]n|[Aa]t) the (?:left|right)\b")


@pytest.mark.parametrize("path", CAPTIONED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_sentence_speaks_of_panels_by_their_side(path):
    assert not [text for text in _strings(path) if PLACED.search(text)]


def test_the_strip_and_the_heat_map_are_explained_by_what_stands_out():
    assert "stands out from the page, the more tokens" in " ".join(
        lens_figure(lens_result()).layout.meta["how_to_read"]
    )
    figure = alignment_heatmap(alignment_result())
    assert "as plain as the page is at chance" in " ".join(figure.layout.meta["how_to_read"])
