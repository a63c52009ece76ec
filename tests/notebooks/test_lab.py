"""The quickstart in a real JupyterLab: its figures are drawn and the explorer reacts to mouse and keyboard."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.devtools import Page, chromium
from tests.support.lab import ROOT, jupyter_lab

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow("tests/interactive/test_explorer.py", "tests/notebooks/test_notebooks.py"),
    pytest.mark.timeout(900),
]

NOTEBOOK = "01_quickstart.ipynb"
BOX = "document.querySelector('.latentlang-explorer-box')"
PROMPT = 'Français: "chien" - Deutsch: "'


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The notebook, open and run to its end."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "files").mkdir()
    shutil.copy(ROOT / "notebooks" / NOTEBOOK, folder / "files")
    with jupyter_lab(folder) as address, chromium(folder / "profile") as tab:
        tab.send("Page.navigate", url=address)
        tab.wait("JupyterLab in the page", "Boolean(window.jupyterapp)")
        tab.run("jupyterapp.restored.then(() => true)")
        tab.run(
            f"jupyterapp.commands.execute('docmanager:open', {{path: {json.dumps(NOTEBOOK)}}})"
            ".then(panel => { window.opened = panel; return panel.context.ready; }).then(() => true)"
        )
        tab.run("opened.sessionContext.ready.then(() => true)")
        tab.run("jupyterapp.commands.execute('notebook:run-all-cells').then(() => true)")
        tab.wait("explorer", f"Boolean({BOX})")
        yield tab


def _said(page: Page, words: str) -> Any:
    """Wait until the explorer's text holds something."""
    return page.wait(f"{words!r} in the explorer", f"{BOX}.innerText.includes({json.dumps(words)})")


def _slider(page: Page, name: str) -> None:
    """Put the focus on a slider's handle, found by its label as a person finds it."""
    found = page.run(
        f"(() => {{ const row = [...{BOX}.querySelectorAll('.widget-slider')]"
        f".find(row => row.querySelector('label').innerText === {json.dumps(name)});"
        "const handle = row && row.querySelector('.noUi-handle'); if (handle) handle.focus(); "
        "return Boolean(handle) && document.activeElement === handle; })()"
    )
    assert found


def test_every_cell_runs_without_error_or_warning(page: Page) -> None:
    cells = page.run(
        "opened.content.widgets.filter(cell => cell.model.type === 'code').map(cell => cell.model.executionCount)"
    )
    assert cells == list(range(1, len(cells) + 1)) and len(cells) >= 10
    bad = "vnd.jupyter.error", "vnd.jupyter.stderr"
    assert page.run(
        f"{json.dumps(bad)}.map(kind => document.querySelectorAll(`[data-mime-type$='${{kind}}']`).length)"
    ) == [0, 0]
    assert page.complaints == []


def test_results_show_their_figures_and_cards(page: Page) -> None:
    page.wait("figures with curves", "document.querySelectorAll('.js-plotly-plot path.js-line').length > 8")
    assert page.run("document.querySelectorAll('.js-plotly-plot').length") == 2
    cards = page.run("[...document.querySelectorAll('.latentlang-card')].map(card => card.innerText)")
    assert any(
        text.startswith("LensResult: model pocket-control") and "policy exclusive" in text for text in cards
    )
    # what is shown is also what is saved: plotly's own JavaScript must not be in the file
    assert page.run("JSON.stringify(opened.context.model.toJSON()).length") < 1_500_000


def test_every_control_has_a_label(page: Page) -> None:
    labels = page.run(f"[...{BOX}.querySelectorAll('label')].map(label => label.innerText).filter(Boolean)")
    assert labels == ["Prompt", "Answer", "Layer", "Token", "Languages"]
    boxes = page.run(f"[...{BOX}.querySelectorAll('textarea, select')].map(box => box.labels[0].innerText)")
    assert boxes == ["Prompt", "Answer", "Languages"]


def test_a_typed_prompt_is_read_and_sliders_move_with_the_keyboard(page: Page) -> None:
    page.run(
        f"(() => {{ const box = {BOX}.querySelector('textarea'); box.scrollIntoView(); box.focus(); box.select(); }})()"
    )
    page.type(PROMPT)
    page.run(f"(() => {{ const button = {BOX}.querySelector('button'); button.focus(); button.click(); }})()")
    page.wait(
        "the typed prompt's answer",
        f"{BOX}.querySelector('select').selectedOptions[0].innerText.startsWith('dog')",
    )
    _said(page, "Hund")
    _said(page, "Next tokens at layer 2")
    _slider(page, "Layer")
    page.press("ArrowRight")
    _said(page, "Next tokens at layer 3")
    _said(page, "Whose word it is, at layer 3")
    _slider(page, "Token")
    page.press("ArrowLeft")
    _said(page, "(token ")
    before = page.run(f"{BOX}.querySelector('.heat thead .here').title")
    page.press("ArrowLeft")
    page.wait("another token", f"{BOX}.querySelector('.heat thead .here').title !== {json.dumps(before)}")


def test_what_is_wrong_is_said_in_the_widget(page: Page) -> None:
    page.run(f"(() => {{ const box = {BOX}.querySelector('textarea'); box.focus(); box.select(); }})()")
    page.type(" ")
    page.run(f"{BOX}.querySelector('button').focus()")
    page.wait("an alert", f"Boolean({BOX}.querySelector('[role=alert]'))")
    assert "the prompt is empty" in page.run(f"{BOX}.querySelector('[role=alert]').innerText")
