"""The page of several figures: one plotly, one stylesheet, nothing from elsewhere, and text stays text."""

import re
from html.parser import HTMLParser

import plotly.graph_objects as go
import pytest
from plotly.offline import get_plotlyjs

from latentlang.errors import InputError
from latentlang.figures import write_html
from latentlang.figures.document import (
    Cell,
    Details,
    Document,
    Facts,
    Figure,
    Section,
    Table,
    Text,
    write_document,
)

BAD = "<script>alert(1)</script><img src=x onerror=alert(2)>"


class Tags(HTMLParser):
    """Tags with their attributes, the text outside scripts and styles, and whether tags close in order."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text, self._open = [], "", []
        self.feed(page)
        assert self._open == [], self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "img", "input", "link"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if not set(self._open) & {"script", "style", "title"}:
            self.text += data

    def named(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def _figure(words="how"):
    meta = {"how_to_read": [words], "least_width": 700}
    return go.Figure(data=[{"type": "scatter", "y": [1, 2]}], layout={"meta": meta})


def _document(text="plain"):
    table = Table(
        f"Numbers. {text}", [text, "group", "value"],
        [[Cell(text, span=2), Cell("a"), Cell("1", kind="up", number=True)], [Cell("b"), Cell("2", number=True)]],
        first=[0],
    )  # fmt: skip
    return Document(
        f"A page of {text}",
        [
            Section("reading", "What changed", [Text(text, kind="lead"), table], heading=False),
            Section("one", text, [Figure(_figure(text), f"first, {text}"), Facts([(text, text)])]),
            Section("two", "Two", [Details(text, [Figure(_figure(), "second", caption=[text]), Text(text)])]),
        ],
        made_with=[text, "latentlang"],
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    assert write_document(_document(), path) == path
    return path.read_text(encoding="utf-8")


def test_plotly_is_there_once_and_before_the_figures(page):
    assert page.count(get_plotlyjs()) == 1
    own = page.replace(get_plotlyjs(), "@library@")
    assert own.count("@library@") == 1 and own.index("@library@") < own.index("Plotly.newPlot")
    assert own.count("Plotly.newPlot") == 2 and own.count("<style") == 1
    assert len(own) < 60_000


def test_it_asks_no_other_computer_for_anything(page):
    own = page.replace(get_plotlyjs(), "")
    read = Tags(own)
    for tag, attrs in read.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "img", "form")
        assert not set(attrs) & {"src", "srcset", "data", "action", "integrity"}, (tag, attrs)
        assert attrs.get("href", "#").startswith("#")
    (policy,) = [a["content"] for a in read.named("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'") and "http" not in policy
    assert not re.search(r"(https?:)?//[a-z]", own, flags=re.IGNORECASE)
    assert "url(" not in own and "@import" not in own


def test_policy_and_style_are_those_of_a_single_figures_page(page, tmp_path):
    single = write_html(_figure(), tmp_path / "one.html", title="t").read_text(encoding="utf-8")
    for found in (r"<style>.*?</style>", r'<meta http-equiv="Content-Security-Policy"[^>]*>'):
        assert re.search(found, page, re.DOTALL)[0] == re.search(found, single, re.DOTALL)[0]


def test_eye_ear_and_keyboard_find_their_way(page):
    read = Tags(page.replace(get_plotlyjs(), ""))
    assert read.named("html") == [{"lang": "en"}] and len(read.named("h1")) == 1
    links = [attrs["href"] for attrs in read.named("a")]
    ids = [attrs["id"] for _, attrs in read.tags if "id" in attrs]
    assert links == ["#one", "#two"] and len(ids) == len(set(ids))
    assert {link[1:] for link in links} <= set(ids)
    labels = [attrs.get("aria-label") for attrs in read.named("div") if attrs.get("class") == "plot"]
    assert labels == ["first, plain", "second"]
    scrolled = [attrs for attrs in read.named("div") if attrs.get("class") in ("plot", "scroll")]
    assert all(attrs.get("tabindex") == "0" and attrs.get("aria-label") for attrs in scrolled)
    assert {"scope": "rowgroup", "rowspan": "2"}.items() <= read.named("th")[3].items()
    assert all("scope" in attrs for attrs in read.named("th")) and len(read.named("caption")) == 1
    assert "How to read this" in read.text and "prefers-color-scheme: dark" in page and "@media print" in page


def test_text_of_the_data_is_never_markup(tmp_path):
    path = write_document(_document(BAD), tmp_path / "bad.html")
    own = path.read_text(encoding="utf-8").replace(get_plotlyjs(), "")
    assert BAD not in own and "<img" not in own
    read = Tags(own)
    assert read.text.count("alert(1)") >= 9
    clean = Tags(
        write_document(_document(), tmp_path / "ok.html").read_text("utf-8").replace(get_plotlyjs(), "")
    )
    assert [tag for tag, _ in read.tags] == [tag for tag, _ in clean.tags]


def test_the_same_document_makes_the_same_page(page, tmp_path):
    assert write_document(_document(), tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_a_page_that_cannot_be_written_is_one_clear_error(tmp_path):
    with pytest.raises(InputError, match=r"cannot write .*nowhere"):
        write_document(_document(), tmp_path / "nowhere" / "a.html")
    assert list(tmp_path.iterdir()) == []
