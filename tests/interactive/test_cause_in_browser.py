"""Patch, steer and saved results in a browser: drags, a lasso, keys; texts stay text; one page for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import latentlang as ll
from latentlang.geometry import pca
from latentlang.interactive.server import serving
from latentlang.interactive.session import Session
from latentlang.interactive.session_start import make_session
from latentlang.tasks import Concept, WordTask
from latentlang.tasks.words import embedded_concepts
from tests.support.devtools import Page, chromium
from tests.support.pointer import draw
from tests.support.small_store import prompts, small_store, spectral

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

HOSTILE = '<img src=x onerror="window.pwned=1">'


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """Of a few languages, with a lens of all of them saved."""
    concepts = [
        Concept(concept.id, concept.category, {code: concept.words[code] for code in ("de", "fr", "ja")})
        for concept in embedded_concepts()
    ]
    task = WordTask(source="fr", concepts=concepts)
    made = make_session(ll.load("pocket"), None, task=task)
    made.saved = ll.multilingual_lens(
        made.model,
        ll.task("translation", source="fr"),
        languages="de",
        candidates="en,ja",
        items=4,
        progress=False,
    )
    return made


@pytest.fixture(scope="module")
def address(session: Session) -> Iterator[str]:
    with serving(session) as found:
        yield found


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile"), height=1300) as page:
        yield page


def go(page: Page, address: str, view: str = "") -> None:
    """Open the page, and a view of it; without a name it stays where it opens."""
    page.complaints.clear()
    page.send("Page.navigate", url="about:blank")
    page.send("Page.navigate", url=address)
    page.wait("page", "document.querySelector('.latentlang-explorer[data-ready]') !== null")
    if view:
        page.click(f"[role=tab][data-view={view}]")


def text(page: Page, selector: str) -> str:
    return str(page.run(f"document.querySelector({selector!r})?.innerText ?? ''"))


def last_cell(page: Page, side: str, layer: int) -> str:
    """The selector of a prompt's last cell at a layer."""
    cells = f"[...document.querySelectorAll('.{side} td[data-layer=\"{layer}\"]')]"
    position = page.run(f"{cells}.at(-1).dataset.position")
    return f".{side} td[data-layer='{layer}'][data-position='{position}']"


def test_patching_by_dragging_by_keys_and_layer_by_layer(tab: Page, address: str) -> None:
    go(tab, address, "patch")
    tab.wait("first patch", "document.querySelectorAll('.answer-bars li').length === 4")
    first = text(tab, ".results .says")
    assert "Layer 6" in first and "put into layer 6" in first
    tab.wait("cells", "!document.querySelector('.side td.empty')")
    tab.drag(last_cell(tab, "source", 8), last_cell(tab, "target", 7))
    tab.wait(
        "dragged patch", "document.querySelector('.results .says').innerText.includes('put into layer 7')"
    )
    assert "Layer 8" in text(tab, ".results .says")
    assert tab.run("document.querySelector('.arrow').hasAttribute('d')")
    # a cell that is let go elsewhere changes nothing
    tab.drag(last_cell(tab, "source", 3), ".results .says")
    assert tab.run("document.querySelector('.picked') === null")
    # by keys: from the cell that was dragged up and down, Enter, then Enter on the target
    tab.run(f'document.querySelector("{last_cell(tab, "source", 8)}").focus()')
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "Enter"):
        tab.press(key)
    assert (
        tab.run("document.activeElement.closest('.target') !== null && document.activeElement.dataset.layer")
        == "5"
    )
    tab.press("ArrowDown")
    tab.press("Enter")
    tab.wait(
        "patch by keys", "document.querySelector('.results .says').innerText.includes('put into layer 4')"
    )
    assert "Layer 5" in text(tab, ".results .says")
    tab.wait("sweep", "!document.querySelector('.results .row button').disabled")
    tab.click(".results .row button")
    tab.wait(
        "chart",
        "document.querySelectorAll('.sweep .curve').length === 4 "
        "&& document.querySelector('.results .row .quiet').hidden",
    )
    assert tab.run("document.querySelectorAll('.sweep circle').length") == 4 * 8
    tab.click(".patch-view .tools button:nth-child(2)")
    assert tab.run("document.querySelectorAll('.patch-view .alternative tbody tr').length") == 4 + 4 * 8
    assert tab.complaints == []


def test_a_prompt_of_markup_is_text(tab: Page, address: str) -> None:
    go(tab, address, "patch")
    tab.wait("first patch", "document.querySelectorAll('.answer-bars li').length === 4")
    tab.run(f"document.querySelector('.target textarea').value = {HOSTILE!r}")
    tab.click(".target .row button:last-child")
    tab.wait("warning", "document.querySelector('.results .warning')?.innerText.includes('target prompt')")
    assert tab.run(
        "window.pwned === undefined && document.querySelector('.latentlang-explorer img') === null"
    )
    assert tab.complaints == []


def test_steering_writes_three_texts_and_stops(tab: Page, address: str) -> None:
    go(tab, address, "steer")
    done = "[...document.querySelectorAll('.arm .written')].every(box => box.querySelectorAll('.token').length >= 5)"
    tab.wait("texts", f"{done} && document.querySelector('.steer-view .row .quiet').disabled")
    tab.run("(() => { const box = document.querySelector('.steer-view input[type=range]'); box.value = '0.8';"
            "box.dispatchEvent(new Event('input')); box.dispatchEvent(new Event('change')); })()")  # fmt: skip
    assert "0.80" in text(tab, ".steer-view output")
    tab.click(".steer-view [data-code=de]")
    tab.wait("the other language", "document.querySelector('.steer-view .now').innerText.includes('to') "
             "&& document.querySelector('.steer-view [data-code=de]').ariaChecked === 'true'")  # fmt: skip
    tab.run("document.querySelector('.steer-view input[type=number]').value = '200'")
    tab.click(".steer-view .go")
    tab.wait("begun", "document.querySelectorAll('.arm.after .written .token').length > 2")
    tab.click(".steer-view .row .quiet")
    written = tab.run("document.querySelectorAll('.arm.after .written .token').length")
    assert 2 < written < 200
    tab.run("document.querySelector('.steer-view input[type=text]').value = '3-77'")
    tab.click(".steer-view .go")
    assert "3-77" in text(tab, ".steer-view .warning")
    assert tab.complaints == []


def test_from_a_cell_to_its_items_to_one_item_to_its_grid(tab: Page, address: str, session: Session) -> None:
    go(tab, address, "saved")
    # what the result says stands above the heat map, and moves it down when it comes
    tab.wait("words", "document.querySelector('.said-of p') !== null")
    tab.wait("heat map", "document.querySelectorAll('.heat tbody tr').length >= 3")
    tab.click(".heat td[data-row='0'][data-at='7']")
    tab.wait("items", "document.querySelectorAll('.items tbody tr').length > 0")
    tab.click(".items tbody tr button")
    tab.wait("curves", "document.querySelectorAll('.item .curve').length > 0")
    prompt = text(tab, ".item .prompt-text")
    assert prompt.endswith('Deutsch: "')
    tab.run("[...document.querySelectorAll('.item button')].at(-1).click()")
    tab.wait(
        "grid",
        "document.querySelector('[role=tab][data-view=grid]').getAttribute('aria-selected') === 'true'",
    )
    assert tab.run("document.querySelector('form.prompt textarea').value") == prompt
    go(tab, address, "saved")
    tab.run("document.querySelector('.saved-view details').open = true")
    tab.wait(
        "table", "document.querySelector('.saved-view .fold').querySelectorAll('tbody tr').length === 200"
    )
    tab.click(".saved-view .fold button[data-column=value]")
    tab.wait("sorted", "document.querySelector('th[aria-sort=ascending]')?.innerText.includes('value')")
    assert tab.complaints == []


def test_a_lasso_around_points_gives_their_prompts(tab: Page, tmp_path: Path) -> None:
    frame = prompts(["de", "ja"], 8)
    frame.loc[0, "text"] = f"{HOSTILE} {frame.loc[0, 'text']}"
    layers = {layer: spectral(len(frame), 8, seed=layer) for layer in (1, 2)}
    made = make_session(ll.load("pocket"), None, task=ll.task("translation", source="fr"))
    made.saved = pca(small_store(tmp_path / "store", layers, frame=frame), components=2, progress=False)
    with serving(made) as address:
        go(tab, address)  # opens on the result
        tab.wait("words", "document.querySelector('.said-of p') !== null")
        tab.wait("points", "document.querySelectorAll('.saved-view .legend .language').length === 2")
        left, top, right, bottom = tab.run(
            "(() => { const canvas = document.querySelector('canvas.scatter');"
            "canvas.scrollIntoView({block: 'center'}); const box = canvas.getBoundingClientRect();"
            "return [box.left, box.top, box.right, box.bottom]; })()"
        )
        corners = [(left + 3, top + 3), (right - 3, top + 3), (right - 3, bottom - 3), (left + 3, bottom - 3)]
        draw(tab, [*corners, (left + 3, (top + bottom) / 2), (left + 3, top + 30)])
        tab.wait("prompts", "document.querySelectorAll('.prompts tbody tr').length === 16")
        assert HOSTILE in text(tab, ".prompts")
        assert tab.run(
            "window.pwned === undefined && document.querySelector('.latentlang-explorer img') === null"
        )
        # by keys: one point, and its translations
        tab.run("document.querySelector('canvas.scatter').focus()")
        for key in ("Escape", "ArrowRight", "ArrowRight", "Enter"):
            tab.press(key)
        tab.wait("translations", "document.querySelectorAll('.prompts tbody tr').length === 2")
        assert tab.run("!document.querySelector('.tip').hidden")
        tab.run("(() => { const box = document.querySelector('.saved-view input[type=range]'); box.value = '0';"
                "box.dispatchEvent(new Event('input')); })()")  # fmt: skip
        assert text(tab, ".saved-view output").startswith("1:")
    assert tab.complaints == []
