"""The page: whole, self-contained, explained, and safe."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import plotly.graph_objects as go
import pytest
from plotly.offline import get_plotlyjs

from latentlang.errors import InputError
from latentlang.figures import lens_figure, write_html
from tests.support.lens_standin import lens_result

BAD = "<script>alert(1)</script>"


class Reader(HTMLParser):
    """Collects tags with their attributes, and the text outside scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._inside: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style", "title"):
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "lens.html"
    figure = lens_figure(lens_result(["ja", "hi"], model=BAD, items=4))
    assert write_html(figure, path, title=f"A & B {BAD}") == path
    return path.read_text(encoding="utf-8")


def test_the_page_has_what_a_page_needs(page: str) -> None:
    read = Reader(page)
    assert page.startswith("<!doctype html>")
    assert read.named("html") == [{"lang": "en"}]
    assert {"charset": "utf-8"} in read.named("meta")
    assert any(attrs.get("name") == "viewport" for attrs in read.named("meta"))
    assert "<title>A &amp; B &lt;script&gt;alert(1)&lt;/script&gt;</title>" in page


def test_it_says_how_to_read_it_and_what_it_was_made_with(page: str) -> None:
    text = Reader(page).text
    for words in (
        "How to read this",
        "null",
        "95% bootstrap interval",
        "entropy in bits",
        "protocol corrected",
    ):
        assert words in text
    assert f"model {BAD}" in text  # as text


def test_it_asks_no_other_computer_for_anything(page: str) -> None:
    read = Reader(page)
    for tag, attrs in read.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "img", "a", "form")
        assert not set(attrs) & {"src", "href", "srcset", "data", "action", "integrity"}, (tag, attrs)
    (policy,) = [a["content"] for a in read.named("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None and policy.startswith("default-src 'none'") and "http" not in policy
    own = page.replace(get_plotlyjs(), "")
    assert len(own) < 200_000  # plotly itself was inside
    assert not re.search(r"(https?:)?//[a-z]", own, flags=re.IGNORECASE)
    assert "url(" not in own and "@import" not in own
    # The button that would upload the reader's data to plotly's cloud.
    assert '"showSendToCloud": false' in own and '"displaylogo": false' in own


def test_text_of_the_data_is_never_markup(page: str) -> None:
    own = page.replace(get_plotlyjs(), "")
    assert BAD not in own and "alert(1)" in own
    # plotly's settings and plotly itself, the figure: no other script
    assert len(Reader(page).named("script")) == page.count("<script", 0) - get_plotlyjs().count("<script")


def test_a_caption_of_ones_own_and_texts_in_the_figure_are_escaped(tmp_path: Path) -> None:
    figure = go.Figure(layout={"meta": {"how_to_read": [BAD], "made_with": [BAD]}})
    path = write_html(figure, tmp_path / "a.html", title="t", lang='de"><b>', caption=["1 < 2", BAD])
    own = path.read_text(encoding="utf-8").replace(get_plotlyjs(), "")
    assert BAD not in own and "<p>1 &lt; 2</p>" in own and '<html lang="de&quot;&gt;&lt;b&gt;">' in own
    path = write_html(figure, tmp_path / "b.html", title="t")
    own = path.read_text(encoding="utf-8").replace(get_plotlyjs(), "")
    assert BAD not in own and own.count("alert(1)") == 2
    assert figure.layout.meta["made_with"] == [BAD] or figure.layout.meta["made_with"] == (BAD,)


def test_a_figure_with_nothing_to_say_still_makes_a_page(tmp_path: Path) -> None:
    text = write_html(go.Figure(), tmp_path / "a.html", title="t").read_text(encoding="utf-8")
    assert "figcaption>" not in text and "<footer>" not in text


def test_the_same_figure_makes_the_same_page(tmp_path: Path) -> None:
    figure = lens_figure(lens_result(["ja"], items=3))
    first = write_html(figure, tmp_path / "a.html", title="t").read_bytes()
    assert write_html(figure, tmp_path / "b.html", title="t").read_bytes() == first


def test_a_page_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot write .*nowhere"):
        write_html(go.Figure(), tmp_path / "nowhere" / "a.html", title="t")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot write"):
        write_html(go.Figure(), tmp_path / "folder", title="t")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder"]


def test_a_title_cannot_reorder_or_steer_what_stands_around_it(tmp_path: Path) -> None:
    title = "model\u202egnp.exe\x1b[31m half\udce9 \u2066x"
    page = write_html(go.Figure(), tmp_path / "page.html", title=title).read_text(encoding="utf-8")
    found = re.findall(r"<title>(.*?)</title>|<h1[^>]*>(.*?)</h1>|aria-label=\"(.*?)\"", page)
    assert {"".join(one) for one in found} >= {"modelgnp.exe [31m half  x"}
    assert not any(mark in "".join("".join(one) for one in found) for mark in "\u202e\u2066\x1b\udce9")
