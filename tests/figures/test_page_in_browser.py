"""The page as a browser shows it: drawn, silent, offline, with markup from data as text."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest

from latentlang.figures import lens_figure, write_html
from latentlang.language_names import GROUPS, language
from tests.support.chromium import open_page
from tests.support.lens_standin import lens_result

pytestmark = pytest.mark.browser

MEASURE = """<script>
const places = {};
for (const text of document.querySelectorAll("g.annotation text")) {
  const box = text.getBoundingClientRect();
  places[text.textContent] = {left: box.left, top: box.top, bottom: box.bottom};
}
document.body.dataset.places = JSON.stringify(places);
</script>"""
CODES = (*GROUPS["paper20"], "ar")


def test_the_helper_hears_a_broken_page(tmp_path: Path) -> None:
    policy = "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; script-src 'unsafe-inline'\">"
    path = tmp_path / "broken.html"
    path.write_text(policy + "<p>here<script>throw new Error('boom')</script>")
    heard = open_page(path)
    assert any("boom" in line for line in heard.complaints) and "here" in heard.dom
    path.write_text(policy + "<img src='https://example.org/x.png'><script>console.error('pwned')</script>")
    heard = open_page(path)
    assert any("example.org" in line for line in heard.complaints)
    assert any("pwned" in line for line in heard.complaints)


@pytest.mark.parametrize("codes", [("ja",), ("ja", "hi", "th", "ru"), CODES], ids=len)
def test_every_panel_is_drawn_and_the_console_is_silent(tmp_path: Path, codes: tuple[str, ...]) -> None:
    figure = lens_figure(lens_result(codes, items=6))
    page = open_page(write_html(figure, tmp_path / "lens.html", title="Lens"))
    assert page.complaints == []
    assert page.dom.count('class="main-svg"') >= 1
    drawn = re.findall(r'class="js-line"[^>]* d="(M[^"]+)"|d="(M[^"]+)"[^>]* class="js-line"', page.dom)
    lines = 4 * len(codes) - (2 if "en" in codes else 0)
    assert len([path for path in drawn if "NaN" not in "".join(path)]) >= lines
    assert page.dom.count('class="hm"') == len(codes)
    for code in codes:
        assert language(code).own_name in page.dom
    assert "Share chart" not in page.dom and "Download plot" in page.dom


def test_a_note_lies_in_its_own_panel_even_where_nothing_is_drawn(tmp_path: Path) -> None:
    # plotly drops axes that no trace uses and sends what refers to them to another panel.
    codes = ("ja", "hi", "th", "ru", "de", "sv", "bg", "no", "ms", "is")
    curves = ("target", "target_null", "pivot", "pivot_null")
    for empty in ("ja", "sv"):
        result = lens_result(codes, items=4, without=[(empty, curve) for curve in curves])
        path = write_html(lens_figure(result), tmp_path / f"{empty}.html", title="Lens")
        path.write_text(path.read_text(encoding="utf-8") + MEASURE, encoding="utf-8")
        page = open_page(path, width=1200)
        assert page.complaints == []
        places = json.loads(html.unescape(re.search(r'data-places="([^"]*)"', page.dom)[1]))
        (note,) = [place for text, place in places.items() if text.startswith("no token begins")]
        (heading,) = [place for text, place in places.items() if language(empty).own_name in text]
        assert abs(note["left"] - heading["left"]) < 15 and 0 < note["top"] - heading["bottom"] < 50
        baselines = re.findall(r'class="[^"]*\bzl\b[^"]*"', page.dom)
        assert len(baselines) >= len(codes)  # every panel has its baseline


def test_markup_from_data_is_shown_as_text(tmp_path: Path) -> None:
    bad = "<script>console.error('pwned')</script><img src=x onerror=console.error('pwned')>"
    gone = [("ja", "target"), ("ja", "target_null")]
    result = lens_result(
        ["ja"], items=4, model=bad, without=gone, settings={"source": bad, "lens": bad, "notes": {"ja": bad}}
    )
    page = open_page(write_html(lens_figure(result), tmp_path / "lens.html", title=bad))
    assert page.complaints == []
    assert "onerror=console" in page.dom  # visible ...
    assert not re.search(r"<img[^>]*onerror", page.dom)  # ... as text
    assert "no token begins only this language's answer" in page.dom


def test_a_screenshot_has_the_colours_of_the_curves(tmp_path: Path) -> None:
    path = write_html(lens_figure(lens_result(["th"], items=6)), tmp_path / "lens.html", title="Lens")
    picture = tmp_path / "lens.png"
    open_page(path, screenshot=picture)
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    # An empty page of this size packs into a few kilobytes.
    assert picture.stat().st_size > 30_000
