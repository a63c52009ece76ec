"""The comparison's page as a browser shows it: every figure drawn, silent, offline."""

import html
import json
import re

import pytest

from tests.support.before_after import whole
from tests.support.chromium import open_page

pytestmark = pytest.mark.browser

#: Opens what is closed and counts what is drawn, and what was asked of other computers.
LOOK = """<script>
document.querySelectorAll("details").forEach(part => { part.open = true; });
setTimeout(() => {
  const plots = [...document.querySelectorAll(".js-plotly-plot")];
  document.body.dataset.seen = JSON.stringify({
    plots: plots.length,
    widths: plots.map(plot => Math.round(plot.querySelector(".main-svg").getBoundingClientRect().width)),
    marks: plots.map(plot => plot.querySelectorAll("path.js-line, path.point, image, .hm, .errorbar").length),
    requests: performance.getEntriesByType("resource").map(entry => entry.name),
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    filter: getComputedStyle(document.querySelector(".plot > div")).filter,
    paper: getComputedStyle(document.body).backgroundColor,
  });
}, 1500);
</script>"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = whole(tmp_path_factory.mktemp("whole")).report()
    path.write_text(path.read_text(encoding="utf-8").replace("</body>", LOOK + "</body>"), encoding="utf-8")
    return path


def _seen(opened):
    return json.loads(html.unescape(re.search(r'data-seen="([^"]*)"', opened.dom)[1]))


def test_every_figure_is_drawn_and_nothing_is_asked_of_others(page):
    opened = open_page(page, width=1280)
    assert opened.complaints == []
    seen_languages = _seen(opened)
    assert seen_languages["plots"] == 8 and min(seen_languages["marks"]) >= 2, seen_languages
    assert seen_languages["requests"] == [] and seen_languages["overflow"] <= 0
    # Also what was closed when it was drawn is as wide as the page.
    assert min(seen_languages["widths"]) > 1000, seen_languages["widths"]
    for words in ("Accuracy rose", "After", "How to read this", "more than chance anywhere in the map"):
        assert words in opened.dom


def test_a_narrow_window_scrolls_the_figures_and_not_the_page(page):
    seen_languages = _seen(open_page(page, width=600))
    assert seen_languages["overflow"] <= 0 and seen_languages["plots"] == 8


def test_the_dark_page_turns_the_figures_too(page):
    light, dark = (_seen(open_page(page, dark=value)) for value in (False, True))
    assert light["filter"] == "none" and light["paper"] == "rgb(255, 255, 255)"
    assert "invert" in dark["filter"] and dark["paper"] == "rgb(20, 20, 20)"
