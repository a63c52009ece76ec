"""Light pages: one copy of plotly.js in their folder, linked by each, offline still."""

from __future__ import annotations

import re
from pathlib import Path

import plotly.graph_objects as go
import pytest
from plotly.offline import get_plotlyjs, get_plotlyjs_version

from latentlang.errors import InputError
from latentlang.figures import lens_figure, write_html
from latentlang.figures.document import Document, Figure, Section, write_document
from latentlang.figures.library import write_library
from tests.support.chromium import open_page
from tests.support.lens_standin import lens_result

COPY = f"plotly-{get_plotlyjs_version()}.min.js"


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_pages_of_a_folder_link_one_copy_that_is_written_once(tmp_path: Path) -> None:
    figure = lens_figure(lens_result(["ja"], items=3))
    first = write_html(figure, tmp_path / "a.html", title="a", html="light")
    copy = tmp_path / COPY
    assert copy.read_text(encoding="utf-8") == get_plotlyjs()
    written = copy.stat()
    second = write_html(figure, tmp_path / "b.html", title="b", html="light")
    assert copy.stat().st_ino == written.st_ino and copy.stat().st_mtime_ns == written.st_mtime_ns
    assert _names(tmp_path) == ["a.html", "b.html", COPY]
    for page in (first, second):
        text = page.read_text(encoding="utf-8")
        assert len(text) < 100_000 and re.findall(r'<script[^>]* src="([^"]*)"', text) == [COPY]
        assert not re.search(r"(https?:)?//[a-z]", text, flags=re.IGNORECASE)


def test_a_copy_that_is_not_whole_is_replaced_and_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / COPY).write_text("half of")
    assert write_library(tmp_path).read_text(encoding="utf-8") == get_plotlyjs()
    (tmp_path / COPY).unlink()
    elsewhere = tmp_path / "mine.js"
    elsewhere.write_text("mine")
    (tmp_path / COPY).symlink_to(elsewhere)
    assert write_library(tmp_path).read_text(encoding="utf-8") == get_plotlyjs()
    assert elsewhere.read_text() == "mine" and _names(tmp_path) == ["mine.js", COPY]
    (tmp_path / COPY).unlink()
    (tmp_path / COPY).mkdir()
    with pytest.raises(InputError, match="cannot write"):
        write_library(tmp_path)


def test_a_page_in_a_folder_below_links_the_copy_above(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    figure = lens_figure(lens_result(["ja"], items=3))
    page = write_html(figure, tmp_path / "below" / "a.html", title="a", html="light", library_folder=tmp_path)
    assert f'src="../{COPY}"' in page.read_text(encoding="utf-8") and _names(tmp_path / "below") == ["a.html"]


def test_a_document_links_the_copy_too_and_once(tmp_path: Path) -> None:
    figures = [Figure(lens_figure(lens_result(["ja"], items=3)), name) for name in ("one", "two")]
    document = Document("t", [Section("a", "A", figures)])
    text = write_document(document, tmp_path / "page.html", html="light").read_text(encoding="utf-8")
    assert text.count(f'src="{COPY}"') == 1 and text.index(COPY) < text.index('"figure-1"')
    whole = write_document(document, tmp_path / "whole.html").read_text(encoding="utf-8")
    assert get_plotlyjs() in whole and f'src="{COPY}"' not in whole


def test_what_is_no_kind_of_page_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown kind of page 'heavy'"):
        write_html(go.Figure(), tmp_path / "a.html", title="a", html="heavy")
    assert _names(tmp_path) == []


@pytest.mark.browser
def test_a_browser_draws_a_light_page_and_says_what_is_missing_without_the_copy(tmp_path: Path) -> None:
    path = write_html(lens_figure(lens_result(["ja"], items=3)), tmp_path / "a.html", title="a", html="light")
    page = open_page(path)
    assert page.complaints == [] and page.dom.count('class="hm"') == 1 and "cannot be drawn" not in page.dom
    (tmp_path / COPY).unlink()
    assert f"this page takes {COPY} from its folder" in open_page(path).dom
