"""The site is built with warnings as errors; every link leads somewhere, and nothing is loaded from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from latentlang.geometry.measure_registry import registered
from tests.support.chromium import open_page
from tests.support.doc_pages import ROOT

_RESOURCES = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}


@dataclass
class Page(HTMLParser):
    """Names that can be linked to on a page, where it links to, and what it loads."""

    path: Path
    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    resources: list[str] = field(default_factory=list)
    images_without_words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in _RESOURCES and _RESOURCES[tag] in given:
            self.resources.append(given[_RESOURCES[tag]])
        if tag == "img" and not given.get("alt"):
            self.images_without_words.append(given.get("src", ""))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[Path, Page]:
    found = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    assert len(found) > 25
    return found


def test_every_link_and_anchor_leads_somewhere(site: Path, pages: dict[Path, Page]):
    broken = []
    for path, page in pages.items():
        if path.name == "404.html":
            continue  # its links are for the server's root
        for link in page.links + page.resources:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            anchor = unquote(parts.fragment)
            if not target.is_file():
                broken.append(f"{path.relative_to(site)}: {link} is no file")
            elif anchor and target in pages and anchor not in pages[target].anchors:
                broken.append(f"{path.relative_to(site)}: {link} has no such anchor")
    assert not broken, "\n".join(broken)


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Page]):
    foreign = {link for page in pages.values() for link in page.resources if urlsplit(link).netloc}
    for style in site.rglob("*.css"):
        found = re.findall(r"(?:url\(|@import)\s*['\"]?(https?:[^'\")]+)", style.read_text(encoding="utf-8"))
        foreign |= set(found)
    assert not foreign


def test_images_have_words_for_those_who_do_not_see_them(pages: dict[Path, Page]):
    assert not [
        (page.path.name, page.images_without_words) for page in pages.values() if page.images_without_words
    ]


def test_every_command_is_in_the_reference(pages: dict[Path, Page], site: Path):
    import typer

    from latentlang.cli import app

    names = typer.main.get_command(app).commands
    text = (site / "reference" / "command-line.html").read_text(encoding="utf-8")
    assert len(names) > 10
    assert not [name for name in names if f"latentlang {name}" not in text]


def test_every_public_name_is_in_the_reference(pages: dict[Path, Page], site: Path):
    import latentlang

    missing = []
    homes = {name: module for module, names in latentlang._HOMES.items() for name in names}
    for name, home in homes.items():
        page = pages[(site / "reference" / "python" / f"{home.split('.')[1]}.html").resolve()]
        if f"{home}.{name}" not in page.anchors:
            missing.append(f"{home}.{name}")
    assert not missing


def test_sections_of_the_readme_stand_where_pages_ask_for_them(site: Path):
    text = (site / "index.html").read_text(encoding="utf-8")
    assert "TransformerLens 4.3" in text and "Jacobian lens" in text
    assert "<!-- README" not in text and "&lt;!-- try" not in text


def test_the_navigation_names_each_page_once():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = re.findall(r"[\w/-]+\.md", text[text.index("\nnav:") : text.index("\ntheme:")])
    assert len(pages) > 40 and sorted(pages) == sorted(set(pages))


@pytest.mark.parametrize("name", ["index", "gallery", "use/english", "pocket", "course/09_units"])
def test_pictures_lead_to_themselves_in_full_size(site: Path, name: str):
    text = (site / f"{name}.html").read_text(encoding="utf-8")
    shown = re.findall(r'<img alt="[^"]*" src="([^"]+)"', text)
    linked = re.findall(r'<a href="([^"]+)">\s*<img alt="[^"]*" src="([^"]+)"', text)
    assert shown and [(path, path) for path in shown] == linked


def test_pages_hold_what_was_measured_and_the_table_of_rooms(site: Path):
    measured = (site / "performance.html").read_text(encoding="utf-8")
    assert "benchmarks.lens_cost" in measured and "arithmetic floor" in measured
    rooms = (site / "architecture.html").read_text(encoding="utf-8")
    assert "latentlang/storage/" in rooms and "experiments/spontaneous/" in rooms


def test_the_page_on_alignment_has_every_measure(site: Path):
    html = (site / "concepts" / "alignment.html").read_text(encoding="utf-8")
    for entry in registered():
        assert f"<code>{entry.name}</code>" in html
        assert entry.source in html


def test_the_model_card_has_its_pictures_under_their_headings(site: Path):
    text = (site / "pocket.html").read_text(encoding="utf-8")
    under = re.findall(r'<h2 id="([\w-]+)".*?src="pictures/pocket-(\w+)\.png"', text, re.DOTALL)
    assert [name for _, name in under] == ["pivot", "cause", "seeds", "ablations"]
    heading = (
        r'<h2 id="what-makes-the-pivot"[^\n]*\n<p><a [^>]*><img [^>]*src="pictures/pocket-ablations.png"'
    )
    assert re.search(heading, text)


@pytest.mark.browser
def test_search_works_in_a_page_opened_from_a_disk(site: Path, tmp_path: Path):
    """Browsers start no worker from a file: docs/iframe-worker.js stands in, and must answer."""
    target = (site / "howto" / "results.html").resolve().as_uri()
    start = tmp_path / "start.html"
    start.write_text(f'<script>location.replace("{target}?q=pivot")</script>', encoding="utf-8")
    opened = open_page(start)
    assert "matching documents" in opened.dom
    assert opened.complaints == []
