"""The quickstart in a real JupyterLab: its figures are drawn and two explorers react to mouse and keyboard."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.devtools import CTRL, Page, chromium
from tests.support.lab import ROOT, jupyter_lab

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow("tests/interactive/test_explorer_page.py", "tests/notebooks/test_notebooks.py"),
    pytest.mark.timeout(900),
]

NOTEBOOK = "01_quickstart.ipynb"
FIRST, SECOND = (f"[...document.querySelectorAll('.latentlang-explorer')][{at}]" for at in range(2))
PROMPT = 'Français: "chien" - Deutsch: "'


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The notebook, open and run to its end, with a second explorer below."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "files").mkdir()
    notebook = json.loads((ROOT / "notebooks" / NOTEBOOK).read_text(encoding="utf-8"))
    second = {"cell_type": "code", "id": "second", "metadata": {}, "outputs": [], "execution_count": None}
    notebook["cells"].append({**second, "source": f"ll.explorer(model, {PROMPT!r})"})
    (folder / "files" / NOTEBOOK).write_text(json.dumps(notebook), encoding="utf-8")
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
        for which in (FIRST, SECOND):
            # what moves the layer that is looked at comes last
            tab.wait(
                "a grid that is read to its end",
                f"Boolean({which}?.querySelector('td.here')) && !{which}.querySelector('td.empty') && "
                f"!{which}.querySelector('.tools button').disabled",
            )
        yield tab


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


def test_each_of_two_explorers_reacts_to_its_own_mouse_and_keys(page: Page) -> None:
    here = "querySelector('td.here').dataset.layer"
    before = page.run(f"{FIRST}.{here}")
    cells = page.run("opened.content.widgets.length")
    page.run(f"{SECOND}.dataset.test = 'second'")
    page.click(".latentlang-explorer[data-test=second] td[data-layer='2']:last-child")
    assert page.run(f"{SECOND}.{here}") == "2" and page.run(f"{FIRST}.{here}") == before
    for key in ("ArrowUp", "ArrowLeft"):
        page.press(key)
    assert page.run(f"{SECOND}.{here}") == "3"
    assert page.run(f"{FIRST}.{here}") == before
    # JupyterLab's own keys, which move between cells and add some, stay out of it
    assert page.run("opened.content.widgets.length") == cells
    assert page.run(f"document.activeElement.closest('.latentlang-explorer') === {SECOND}")
    assert page.run(f"getComputedStyle({SECOND}).colorScheme") == "light"


def _write(page: Page, text: str) -> None:
    """Write a prompt into the first explorer and have it read."""
    box = f"{FIRST}.querySelector('textarea')"
    page.run(f"{box}.focus(), {box}.select()")
    page.type(text)
    page.press("Enter", modifiers=CTRL)


def test_a_typed_prompt_is_read(page: Page) -> None:
    _write(page, PROMPT)
    page.wait("the typed prompt's words", f"{FIRST}.querySelector('.answer').textContent.includes('Hund')")
    _write(page, " ")
    page.wait("an alert", f"!{FIRST}.querySelector('[role=alert]').hidden")
    assert "the prompt is empty" in page.run(f"{FIRST}.querySelector('[role=alert]').innerText")


def test_a_new_kernel_leaves_the_page_without_errors(page: Page) -> None:
    page.run("opened.sessionContext.session.kernel.restart().then(() => true)")
    page.run(f"{SECOND}.querySelector('td.here').focus()")
    page.press("ArrowUp")
    assert page.run(f"{SECOND}.querySelector('td.here').dataset.layer") == "4"
    page.run(f"{SECOND}.querySelector('textarea').focus()")
    page.press("Enter", modifiers=CTRL)
    page.wait(
        "a line that says so",
        f"{SECOND}.querySelector('[role=alert]').innerText.includes('run the cell again')",
    )
    assert page.complaints == []
