"""Draw the pages' pictures with the tool itself: `python -m docs.pictures [NAME ...]`.

Everything is run on the embedded models; nothing is drawn by hand. Needs the extras `figures` and `train`; for the
explorer's page also Chromium and the extra `dev`. `gallery` stands for all pictures of the gallery, whose blocks of
code are run as they stand on that page.
"""

from __future__ import annotations

import ast
import base64
import re
import sys
import tempfile
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import torch

import latentlang as ll
from latentlang.answers import answer_sets, overlap_table, token_bytes
from latentlang.figures import overlap_heatmap
from latentlang.figures.alignment_curves import alignment_curves
from latentlang.figures.image import check_pictures, write_picture
from latentlang.interactive.server import serving
from latentlang.interactive.session_start import make_session
from latentlang.lens import multilingual_lens
from latentlang.models import load_tokenizer
from tests.support.devtools import chromium

FOLDER = Path(__file__).parent / "pictures"
# Pages are 700 pixels wide; twice that is sharp on a good screen, and small.
_SCALE = 1.4
# Width of the explorer's page, in pixels before scaling: beside the grid there is room for the chosen cell.
_PAGE = 1000
_GALLERY = Path(__file__).parent / "gallery.md"
_BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```$(?:\s*^!\[[^\]]*\]\((?P<picture>[^)]+)\)$)?", re.MULTILINE | re.DOTALL
)
_LANGUAGES = ("en", "de", "fr", "hi")


def explorer(file: Path) -> None:
    """The explorer's page as it opens on one prompt."""
    session = make_session(
        ll.load("pocket"), 'Français: "fleur" - 日本語: "', task=ll.task("translation", source="fr")
    )
    with (
        serving(session) as address,
        tempfile.TemporaryDirectory() as folder,
        chromium(Path(folder), width=_PAGE) as page,
    ):
        page.send("Page.navigate", url=address)
        root = "document.querySelector('.latentlang-explorer')"
        page.wait("page", f"Boolean({root}?.dataset.ready)")
        # the code is there when all is read
        page.wait("grid", f"!{root}.querySelector('.grid-view .tools button').disabled")
        page.wait("sentence", f"{root}.querySelector('.answer').textContent !== ''")
        page.run(f"{root}.querySelector('.examples').remove()")
        height = page.run(f"{root}.querySelector('.strip').getBoundingClientRect().bottom + scrollY + 16")
        clip = {"x": 0, "y": 0, "width": _PAGE, "height": height, "scale": _SCALE}
        picture = page.send("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)["data"]
    file.write_bytes(base64.b64decode(picture))


def tokens() -> go.Figure:
    """How much of each language's answer tokens another language has too."""
    task = ll.task("sentiment")
    codes = ["en", "es", "it", "de", "sv", "ja", "hi", "ru"]
    sets = answer_sets(
        token_bytes(load_tokenizer("pocket")),
        {code: dict(task.answers(code)) for code in codes},
        cue=task.prompts("en", items=1)[0].cue,
    )
    return overlap_heatmap(
        overlap_table(sets),
        title="Answer tokens that languages share",
        subtitle="sentiment: positive and negative · tokenizer of pocket",
    )


def pivot_test() -> go.Figure:
    """All languages at once: which one leads."""
    task = ll.task("translation", source="fr")
    return multilingual_lens(ll.load("pocket"), task, languages="ru", items=60).figure()


def pivot_test_control() -> go.Figure:
    """The same of the control."""
    task = ll.task("translation", source="fr")
    return multilingual_lens(ll.load("pocket-control"), task, languages="ru", items=60).figure()


def _store(folder: str) -> ll.ActivationStore:
    pools = ["mean", "question"]
    model, task = ll.load("pocket"), ll.task("sentiment")
    return ll.harvest(model, task, languages=_LANGUAGES, items=100, pools=pools, out=Path(folder) / "store")


def pca() -> go.Figure:
    """Prompts of four languages along the first two principal components."""
    with tempfile.TemporaryDirectory() as folder:
        return ll.pca(_store(folder), pools="mean").figure(layers=[1, 4, 8], grid=True)


def alignment() -> go.Figure:
    """CKA of English with other languages by layer, with its null, its interval, and length taken out."""
    with tempfile.TemporaryDirectory() as folder:
        found = ll.alignment(_store(folder), pivot="en", measures="cka", pools=["mean", "question"])
        return alignment_curves(found, measure="cka")


def change() -> go.Figure:
    """Before and after a short question alignment."""
    # The figure names the adapter by the path it was given: here a short one.
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        ll.train(ll.load("pocket"), "zh+es-en", steps=60, out="zh+es-en")
        compared = ll.compare(
            "pocket", adapter="zh+es-en", languages="en,zh,es,de,ja,ru,hi,sw", parts=["lens"], items=40,
            out="compared",
        )  # fmt: skip
        return compared.figure()


PICTURES: dict[str, Callable[[], go.Figure]] = {
    "tokens": tokens, "pivot-test": pivot_test, "pivot-test-control": pivot_test_control,
    "pca": pca, "alignment": alignment, "change": change,
}  # fmt: skip


#: What is taken of a page in a browser, written by the function itself.
PAGES: dict[str, Callable[[Path], None]] = {"explorer": explorer}


def gallery() -> None:
    """Run the gallery's blocks in order and draw what the last line of each gives."""
    names: dict[str, Any] = {"__name__": "gallery"}
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for block in _BLOCK.finditer(_GALLERY.read_text(encoding="utf-8")):
            lines = ast.parse(block["code"])
            if block["picture"] and isinstance(last := lines.body[-1], ast.Expr):
                name = ast.Name("figure", ctx=ast.Store())
                lines.body[-1] = ast.fix_missing_locations(ast.Assign([name], last.value))
            exec(compile(lines, str(_GALLERY), "exec"), names)
            if block["picture"]:
                _draw(names["figure"], _GALLERY.parent / block["picture"])


def _draw(figure: go.Figure, file: Path) -> None:
    path = write_picture(figure, file, scale=_SCALE)
    sys.stderr.write(f"{path.name}: {path.stat().st_size // 1024} KiB\n")


def main(names: list[str]) -> int:
    """Draw the pictures named, or all."""
    known = [*PICTURES, *PAGES, "gallery"]
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.stderr.write(f"no picture {unknown[0]!r}; there are {', '.join(known)}\n")
        return 2
    check_pictures()
    torch.set_num_threads(1)
    for name in names or known:
        if name == "gallery":
            gallery()
        elif name in PAGES:
            PAGES[name](FOLDER / f"{name}.png")
        else:
            _draw(PICTURES[name](), FOLDER / f"{name}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
