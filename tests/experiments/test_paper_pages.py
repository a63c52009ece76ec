"""What holds of the pages on all papers: tables have captions, and a page begins with what to believe of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAPERS = ("bactrianx", "bayling2", "five-systems", "gooddata", "ultralink")


@pytest.mark.parametrize("paper", PAPERS)
def test_every_table_and_picture_is_told_in_the_readme_beside_it(paper: str) -> None:
    folder = ROOT / "figures" / paper
    readme = (folder / "README.md").read_text(encoding="utf-8")
    files = sorted(path.name for path in folder.iterdir() if path.suffix in (".csv", ".png"))
    assert files and not [name for name in files if f"`{name}`" not in readme]
    told = set(re.findall(r"`([\w-]+\.(?:csv|png))`", readme))
    assert told == set(files)


@pytest.mark.parametrize("paper", PAPERS)
def test_every_picture_stands_on_the_page_and_has_its_caption(paper: str) -> None:
    page = (ROOT / "docs" / "papers" / f"{paper}.md").read_text(encoding="utf-8")
    for picture in (ROOT / "figures" / paper).glob("*.png"):
        assert f"](../../figures/{paper}/{picture.name})" in page
        assert picture.with_suffix(".txt").read_text(encoding="utf-8").strip()


@pytest.mark.parametrize("paper", PAPERS)
def test_a_page_begins_with_at_most_five_points_and_where_its_tables_are(paper: str) -> None:
    page = (ROOT / "docs" / "papers" / f"{paper}.md").read_text(encoding="utf-8")
    opening = page.split("\n## ")[0]
    assert 3 <= len(re.findall(r"^- ", opening, re.MULTILINE)) <= 5
    assert f"`figures/{paper}" in opening and len(opening.split()) < 400


@pytest.mark.parametrize("paper", sorted({*PAPERS} - {"five-systems"}))
def test_the_page_on_reproducing_leads_to_each_paper(paper: str) -> None:
    page = (ROOT / "docs" / "reproduce.md").read_text(encoding="utf-8")
    assert f"`latentlang reproduce {paper}" in page and f"](papers/{paper}.md)" in page
