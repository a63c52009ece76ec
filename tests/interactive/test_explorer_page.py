"""The explorer's page in a real browser, over a session that says what was planted."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from latentlang.figures.style import contrast
from tests.support.colours import distance
from tests.support.devtools import CTRL, SHIFT, Page, chromium
from tests.support.explorer_standin import (
    ANSWER_FROM,
    FIRST,
    LAYERS,
    PIVOT_AT,
    PROMPT,
    SLOW,
    WORDS,
    Standin,
    frozen_page,
    serving_standin,
)  # fmt: skip

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SECONDS = 60
LAST = 10  # position of the prompt's last token
ROOT = "document.querySelector('.latentlang-explorer')"


@pytest.fixture(scope="module")
def standin() -> Standin:
    return Standin()


@pytest.fixture(scope="module")
def address(standin: Standin) -> Iterator[str]:
    with serving_standin(standin) as found:
        yield found


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as page:
        for domain in ("Log", "Network"):
            page.send(f"{domain}.enable")
        yield page


@pytest.fixture
def page(tab: Page, address: str) -> Iterator[Page]:
    """The page, fresh, all of its first prompt read; nothing was said to the console at the end."""
    tab.complaints.clear()
    look(tab)
    go(tab, address)
    yield tab
    assert tab.complaints == []


def look(page: Page, *, width: int = 1400, height: int = 1000, dark: bool = False) -> None:
    """A window of a size, in a light or dark system."""
    page.send(
        "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    page.send("Emulation.setEmulatedMedia", features=[scheme])


def go(page: Page, address: str) -> None:
    page.send("Page.navigate", url="about:blank")
    page.send("Page.navigate", url=address)
    wait_read(page)


def wait_read(page: Page) -> None:
    page.wait("grid and its sentence", f"{ROOT}?.querySelector('td.cell') && !{ROOT}.querySelector('td.empty') && "
              f"{ROOT}.querySelector('.answer').textContent.length > 20", seconds=SECONDS)  # fmt: skip


def ask(page: Page, script: str) -> Any:
    """Value of an expression in which ``$`` finds an element and ``$$`` all of a selector."""
    return page.run(_short(script))


def until(page: Page, what: str, script: str) -> Any:
    """Wait until such an expression is true."""
    return page.wait(what, _short(script), seconds=SECONDS)


def _short(script: str) -> str:
    return (
        f"(($, $$) => ({script}))(name => document.querySelector(name), "
        "name => [...document.querySelectorAll(name)])"
    )


def cell(layer: int, position: int = LAST) -> str:
    return f'td[data-layer="{layer}"][data-position="{position}"]'


def text(page: Page, selector: str) -> str:
    found = ask(page, f"$({json.dumps(selector)})?.innerText")
    assert found is not None, selector
    return re.sub("[\u2066-\u2069]", "", found)


def here(page: Page) -> list[int]:
    """Layer and position of the chosen cell."""
    return ask(page, "(({layer, position}) => [Number(layer), Number(position)])($('td.here').dataset)")


def write(page: Page, prompt: str) -> None:
    ask(page, "(() => { const box = $('textarea'); box.focus(); box.select(); })()")
    page.type(prompt)
    page.press("Enter", modifiers=CTRL)


def tab_to(page: Page, view: str) -> None:
    page.click(f'[role=tab][data-view="{view}"]')
    until(page, view, f"!$('[role=tabpanel][data-view=\"{view}\"]').hidden")


def test_the_first_look_says_in_which_language_the_model_thinks(page: Page) -> None:
    assert text(page, ".answer") == (
        f"Layers 4 to 8 of {LAYERS} read as French (fleur, up to 6.2%; the prompt’s own word), "
        f"9 to 14 as English (flower, up to 34%), {ANSWER_FROM - 1} to 18 as German (Blume, up to 78%; the answer). "
        "Not counted, since none of their tokens is theirs alone: Swahili."
    )
    assert here(page) == [PIVOT_AT, LAST]  # the layer that the session calls informative
    assert "gemma3-270m" in text(page, "header") and f"{LAYERS} layers" in text(page, "header")
    assert ask(page, "$('.scroll').scrollLeft + $('.scroll').clientWidth "
                    ">= $('.scroll').scrollWidth - 1")  # fmt: skip
    rows = ask(page, "$$('table.grid[role=grid] tbody tr').map(row => Number(row.dataset.layer))")
    assert rows[:LAYERS] == list(range(LAYERS, 0, -1))
    label = ask(page, f"$('{cell(PIVOT_AT)}').getAttribute('aria-label')")
    assert re.sub("[\u2066-\u2069]", "", label) == 'layer 12, after “ "”: “flower”, English, 34%'
    assert ask(page, f"$('{cell(4)} .token').classList.contains('bytes')")
    assert [layer for layer in range(1, 5) if ask(page,
        f"$('tr[data-layer=\"{layer}\"]').classList.contains('unreliable')")] == [1, 2, 3]  # fmt: skip
    assert "layers 1 to 3" in text(page, ".note")


def test_cells_are_chosen_by_mouse_and_keys_and_two_are_compared(page: Page) -> None:
    page.click(cell(17))
    assert here(page) == [17, LAST]
    assert text(page, ".details h3").startswith("Layer 17 of 18, after")
    bars = text(page, ".details .bars")
    assert bars.splitlines()[0] == "Blume" and "76%" in bars
    assert ask(page, "document.activeElement.matches('td.here[tabindex=\"0\"]')")
    assert ask(page, "$$('td[tabindex=\"0\"]').length") == 1
    for key, expected in (("ArrowDown", [16, 10]), ("ArrowLeft", [16, 9]), ("Home", [16, 0]), ("PageUp", [18, 0]),
                          ("ArrowUp", [18, 0]), ("PageDown", [1, 0]), ("End", [1, 10])):  # fmt: skip
        page.press(key)
        assert here(page) == expected, key
    page.click(cell(12), modifiers=SHIFT)
    assert here(page) == [1, 10]
    assert ask(page, "$$('.details .bars').length") == 2
    assert text(page, ".details .one + .one h3").startswith("BLayer 12 of 18") or "Layer 12" in text(
        page, ".details .one + .one h3"
    )
    page.press("ArrowUp", modifiers=SHIFT)
    assert ask(page, "$('td.other').dataset.layer") == "13"
    page.press("Escape")
    assert ask(page, "$$('.details .bars').length") == 1


def test_a_language_of_the_legend_is_isolated_in_every_view(page: Page) -> None:
    english = '.grid-view .legend [data-code="en"]'
    assert ask(page, f"$('{english}').getAttribute('aria-pressed')") == "false"
    page.click(english)
    assert ask(page, f"$('{english}').getAttribute('aria-pressed')") == "true"
    faint = "cell.classList.contains('faint') !== (cell.dataset.language === 'en')"
    assert ask(page, f"$$('.grid-view td.cell').every(cell => {faint})")
    assert ask(page, f"document.activeElement === $('{english}')")
    tab_to(page, "words")
    until(page, "lines", "$$('.chart .line').length > 3")
    assert ask(page, "$$('.chart .line:not(.faint)').length") == 1
    tab_to(page, "grid")
    page.click(english)
    assert ask(page, "$$('.grid-view td.faint').length") == 0


def test_the_strip_shows_some_layers_alone(page: Page) -> None:
    shown = "$$('.grid-view tbody tr:not([hidden])').map(row => Number(row.dataset.layer))"
    page.drag('.step[data-step="9"]', '.step[data-step="14"]')
    assert ask(page, shown) == list(range(14, 8, -1))
    ask(page, "$('.handle.low').focus()")
    page.press("ArrowRight")
    assert ask(page, shown) == list(range(14, 9, -1))
    assert ask(page, "$('.handle.low').getAttribute('aria-valuenow')") == "10"
    page.click('.step[data-step="12"]')
    assert here(page)[0] == 12 and ask(page, shown) == list(range(14, 9, -1))
    page.click(".strip button")
    assert ask(page, shown) == list(range(LAYERS, 0, -1))


def test_words_follow_one_concept_over_the_layers(page: Page) -> None:
    tab_to(page, "words")
    until(page, "lines", "$$('.chart .line').length > 3")
    labels = ask(page, "$$('.chart .label').map(label => label.textContent)")
    plain = {re.sub("[\u2066-\u2069]", "", label) for label in labels}
    assert plain == {f"{code} {WORDS[code]}" for code in FIRST if code != "sw"}
    looks = ask(page, "$$('.chart .line').map(line => "
                     "getComputedStyle(line).stroke + line.getAttribute('stroke-dasharray'))")  # fmt: skip
    assert len(set(looks)) == len(looks) == len(FIRST) - 1
    heights = ask(
        page, "$$('.chart .label').map(label => Number(label.getAttribute('y'))).sort((a, b) => a - b)"
    )
    assert all(b - a >= 12 for a, b in itertools.pairwise(heights))
    assert ask(page, "$$('.chart .null-band').length") == 1
    assert "Swahili (ua) has no line: each of its tokens can begin another" in text(page, ".words-view .note")
    assert "34%" in text(page, ".readout") and "Layer 12" in text(page, ".readout")
    ask(page, "$('.chart').focus()")
    page.press("End")
    assert "Layer 18" in text(page, ".readout")
    spoken = ask(page, "$('.chart').getAttribute('aria-valuetext')")
    assert spoken.startswith("layer 18: German Blume 78%")
    assert here(page)[0] == 18  # the grid goes with it
    page.click(".words-view .segments label:nth-child(2)")
    until(page, "ranks", "$$('.chart .tick').some(tick => tick.textContent === '10,000')")
    page.hover(".chart")
    assert "Layer 18" not in text(page, ".readout")


def test_own_words_and_pins_have_lines_too(page: Page) -> None:
    page.click(cell(17))
    page.press("Enter")
    tab_to(page, "words")
    until(page, "a pinned token's line", "$$('.chart .line.token').length === 1")
    assert "Blume" in text(page, ".pins")
    page.click(".pins .pin button")
    until(page, "no pin", "!$('.chart .line.token')")
    box = "$$('.words-view input').find(box => box.placeholder.startsWith('de=Hund'))"
    ask(page, f"{box}.focus()")
    page.type("de=Hund, ja=犬")
    page.press("Tab")
    until(page, "own words", "$$('.chart .label').some(label => label.textContent.includes('Hund'))")
    assert ask(page, "$$('.chart .line').length") == 2
    ask(page, f"{box}.focus(), {box}.select()")
    page.type("Hund")
    page.press("Tab")
    assert "de=Hund, ja=犬" in text(page, "[role=alert]")
    concept = "$('.words-view input[list]')"
    ask(page, f"{concept}.focus(), {concept}.select()")
    page.type("Dog")
    page.press("Tab")
    until(page, "the concept of that name", "location.hash.includes('label=animal%2Fdog')")
    assert ask(page, f"{concept}.value") == "dog (animal)" and ask(page, "$('[role=alert]').hidden")


def test_languages_side_by_side_are_sorted_and_open_in_the_grid(page: Page) -> None:
    tab_to(page, "languages")
    until(page, "rows", "$$('.languages tbody tr').length === 19 && !$('.languages td.empty')")
    names = "$$('.languages tbody tr').map(row => row.dataset.language)"
    assert ask(page, names)[:3] == ["en", "fr", "ja"] and "hu" not in ask(page, names)
    assert text(page, 'tr[data-language="ja"] .leads') == "10 to 14"
    page.click(".languages-view .segments label:nth-child(2)")
    firsts = ask(page, "$$('.languages tbody .leads').map(cell => parseInt(cell.textContent))")
    assert firsts[-1] is None and firsts[:-1] == sorted(firsts[:-1]) and firsts[0] < firsts[-2]
    ask(page, "$('.languages td[tabindex=\"0\"]').focus()")
    page.press("ArrowRight")
    page.press("ArrowDown")
    assert ask(page, "document.activeElement.dataset.layer") == "2"
    page.click('tr[data-language="ja"] button')
    until(page, "the Japanese prompt in the grid", "$('textarea').value.includes('日本語') && "
              "!$('[role=tabpanel][data-view=grid]').hidden")  # fmt: skip
    until(page, "its sentence", "$('.answer').textContent.includes('Japanese')")


def test_a_difference_of_two_lenses_shows_signs_and_both(page: Page) -> None:
    page.click(".choices .segments label:nth-child(3)")
    until(page, "signs", f"$('{cell(14)} .code').textContent === '+en'")
    assert ask(page, f"$('{cell(11)} .code').textContent") == "−en"
    assert ask(page, f"$('{cell(11)}').classList.contains('less')")
    assert ask(page, f"$('{cell(18)} .code').textContent") == "de"
    page.click(cell(14))
    assert "logit, for comparison" in text(page, ".details")
    page.click(".choices .segments label:nth-child(1)")
    until(page, "no signs", f"$('{cell(14)} .code').textContent === 'en'")


def test_a_second_prompt_cancels_the_first_and_stop_ends_one(page: Page, standin: Standin) -> None:
    write(page, f"{SLOW} one")
    until(page, "progress", "!$('.status').classList.contains('idle')")
    assert "reading the prompt, 1 of 4" in text(page, ".doing")
    write(page, 'Français: "fleur" - Русский: "')
    until(page, "the second prompt", "$('.answer').textContent.includes('Russian')")
    assert standin.cancelled[-1] == f"{SLOW} one"
    write(page, f"{SLOW} two")
    until(page, "progress", "!$('.status').classList.contains('idle')")
    page.click(".status button")
    until(page, "quiet", "$('.status').classList.contains('idle')")
    assert text(page, ".unseen[role=status]") == "stopped"
    write(page, PROMPT)
    until(page, "the first prompt again", "$('.answer').textContent.includes('German')")
    assert standin.cancelled[-1] == f"{SLOW} two"


def test_what_is_wrong_is_said_and_goes(page: Page) -> None:
    write(page, "  ")
    until(page, "an alert", "!$('[role=alert]').hidden")
    assert text(page, "[role=alert]") == "the prompt is empty; type one"
    page.click(".examples button:nth-child(2)")
    until(page, "the example", "$('.answer').textContent.includes('French')")
    assert ask(page, "$('[role=alert]').hidden")


def test_markup_in_prompts_and_tokens_is_text(page: Page) -> None:
    write(
        page, '<img src=x onerror="window.pwned=1"> <b>fleur</b> \u001b[31m <script>window.pwned=1</script>'
    )
    until(page, "the prompt's tokens", "$('.grid-view thead').innerText.includes('<b>fleur</b>')")
    for view in ("words", "languages", "grid"):
        tab_to(page, view)
        page.click(f'[data-view="{view}"] .tools button:last-child')
    assert ask(page, "$$('.latentlang-explorer :is(img, b, script, iframe)').length") == 0
    assert ask(page, "window.pwned === undefined && $$('table.plain').length >= 1")


def test_late_parts_come_without_a_jump(tab: Page) -> None:
    rest = Event()
    with serving_standin(Standin(rest=rest)) as address:
        look(tab)
        tab.send("Page.navigate", url="about:blank")
        tab.send("Page.navigate", url=address)
        until(tab, "the last position", f"$('{cell(LAYERS)}')?.innerText.includes('Blume')")
        assert ask(tab, "$$('td.empty').length") == LAYERS * LAST
        places = (
            "['.grid-view table', '.tabs', '.strip'].map(name => $(name).getBoundingClientRect().toJSON())"
        )
        before = ask(tab, places)
        rest.set()
        wait_read(tab)
        assert ask(tab, places) == before


def test_a_page_keeps_its_state_in_its_address(page: Page, address: str) -> None:
    page.click(cell(9, 4))
    page.click('.grid-view .legend [data-code="en"]')
    tab_to(page, "words")
    kept = ask(page, "location.href")
    assert kept.startswith(address + "#") and "fleur" in kept
    go(page, kept)
    assert here(page) == [9, 4]
    assert not ask(page, "$('[role=tabpanel][data-view=words]').hidden")
    assert ask(page, "$('.legend [data-code=en]').getAttribute('aria-pressed')") == "true"
    go(
        page,
        address
        + "#layer=99&lens=none&pins=%5B%7B%22id%22%3A%22x%22%7D%5D&range=%5B%22a%22%2C2%5D&view=nowhere&position=%22",
    )
    assert here(page) == [PIVOT_AT, LAST]


def test_a_frozen_page_answers_what_it_holds(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "frozen.html"
    path.write_text(frozen_page(), encoding="utf-8")
    go(page, path.as_uri())
    page.click(cell(17))
    assert here(page) == [17, LAST] and page.run("location.hash").startswith("#prompt=")
    tab_to(page, "words")
    until(page, "lines", "$$('.chart .line').length > 3")
    tab_to(page, "languages")
    until(page, "rows", "$$('.languages td.empty').length === 0 && $$('.languages td').length > 0")
    assert ask(page, "$('textarea').readOnly && $$('.examples button').length === 0")
    page.click('tr[data-language="ja"] button')
    until(page, "a line that says so", "$('[role=alert]').innerText.includes('holds what was computed')")
    # what it does hold stays: its own prompt, some of its languages
    assert ask(page, "$('textarea').value") == PROMPT and "fleur" in text(page, ".answer")
    tab_to(page, "words")
    assert ask(
        page,
        "$('[role=alert]').hidden && $$('.words-view input[type=text]').every(box => box.disabled && box.title)",
    )
    page.click(".choose summary")
    assert ask(page, "['ja', 'ko'].map(code => $(`.boxes [value=${code}]`).disabled)") == [False, True]
    page.click('.boxes [value="ja"]')
    until(page, "no Japanese line", "!$$('.chart .label').some(label => label.textContent.includes('花'))")
    page.press("Escape")
    assert ask(
        page, "!$('.choose').open && document.activeElement.tagName === 'SUMMARY' && $('[role=alert]').hidden"
    )
    page.click(".pins > button")
    until(page, "what has no line", "$('.words-view .note').innerText.includes('this page does not hold it')")


def test_a_frozen_page_has_no_tab_that_it_cannot_fill(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "frozen.html"
    path.write_text(frozen_page(without=["languages"]), encoding="utf-8")
    go(page, path.as_uri())
    assert ask(page, "$$('[role=tab]').map(tab => tab.dataset.view)") == ["grid", "words"]


def test_paper_has_the_end_of_a_prompt(page: Page) -> None:
    page.send("Emulation.setEmulatedMedia", media="print", features=[])
    shown = ask(
        page,
        "$$('.grid-view thead th').filter(head => head.offsetWidth).map(head => Number(head.dataset.position))",
    )
    heads = ask(page, "$$('.grid-view th').map(head => getComputedStyle(head).position)")
    page.send("Emulation.setEmulatedMedia", media="", features=[])
    assert set(heads) == {"static"}  # or they lie over cells where the grid was scrolled
    assert shown[1:] == list(range(LAST - 7, LAST + 1))


def test_every_view_is_a_table_too_and_code_is_copied(page: Page) -> None:
    page.send("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    for view, words in (("grid", "flower en 34%"), ("words", "German Blume"), ("languages", "Blume")):
        tab_to(page, view)
        panel = f'[role=tabpanel][data-view="{view}"]'
        until(page, "code", f"!$('{panel} .tools button').disabled")
        page.click(f"{panel} .tools button:last-child")
        shown = re.sub(r"\s+", " ", text(page, f"{panel} table.plain"))
        assert words in shown
        assert ask(page, f"$$('{panel} table.plain th[scope=row]').length") >= 7
        page.click(f"{panel} .tools button:first-child")
        until(
            page,
            "the clipboard",
            f"navigator.clipboard.readText().then(text => text.startsWith('ll.{view}('))",
        )


def test_no_request_leaves_the_page(page: Page, address: str) -> None:
    page.requests.clear()
    for view in ("words", "languages", "grid"):
        tab_to(page, view)
    go(page, address)
    assert len(page.requests) >= 3
    assert all(request.startswith((address, "about:blank")) for request in page.requests)


def test_two_explorers_on_one_page_do_not_disturb_each_other(page: Page) -> None:
    page.run(
        """(() => {
          const script = document.createElement("script"), first = document.querySelector("script[type=module]");
          const other = document.createElement("div");
          other.id = "other";
          script.type = "module";
          script.nonce = first.nonce;
          script.textContent = first.textContent.replace('getElementById("explorer")', 'getElementById("other")');
          document.body.append(other, script);
        })()"""
    )
    until(page, "the second", "$('#other td.cell') && !$('#other td.empty')")
    page.click(f"#other {cell(6)}")
    assert here(page) == [PIVOT_AT, LAST]
    assert ask(page, "$('#other td.here').dataset.layer") == "6"
    ids = ask(page, "$$('.latentlang-explorer [id]').map(element => element.id)")
    assert len(ids) == len(set(ids)) > 10
    groups = ask(
        page,
        "$$('.latentlang-explorer').map(root => [...root.querySelectorAll('input[type=radio]')].map(box => box.name))",
    )
    assert not set(groups[0]) & set(groups[1])


_COLOURS = """(() => {
  const say = (names, slot) => {
    const cell = document.createElement('span'), out = {};
    cell.className = 'cell';
    if (slot !== null) cell.dataset.slot = slot;
    cell.style.setProperty('--share', '100%');
    $('.latentlang-explorer').append(cell);
    out.background = getComputedStyle(cell).backgroundColor;
    for (const name of names) {
      cell.style.color = `var(--${name})`;
      out[name] = getComputedStyle(cell).color;
    }
    cell.remove();
    return out;
  };
  return {
    plain: say(['paper', 'ink', 'soft', 'accent', 'bad', 'wash'], null),
    slots: [...Array(10).keys()].map(slot => say([`line-${slot}`], slot)),
  };
})()"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_colours_are_told_apart_and_text_is_legible(page: Page, dark: bool) -> None:
    look(page, dark=dark)
    found = ask(page, _COLOURS)
    plain = {name: _hex(value) for name, value in found["plain"].items()}
    lines = [_hex(slot[f"line-{at}"]) for at, slot in enumerate(found["slots"])]
    fills = [_hex(slot["background"]) for slot in found["slots"]]
    assert len(set(fills)) == 10 and (contrast(plain["paper"], "#FFFFFF") > 10) is dark
    for ink, ground in itertools.product(("ink", "soft", "accent", "bad"), ("paper", "wash")):
        assert contrast(plain[ink], plain[ground]) >= 4.5, (ink, ground)
    for line, fill in zip(lines, fills, strict=True):
        assert contrast(line, plain["paper"]) >= 3 and contrast(plain["ink"], fill) >= 4.5
    for one, other in itertools.combinations(lines[:8], 2):
        for sight in ("all", "deuteranopia", "protanopia"):
            assert distance(one, other, sight=sight) >= 12, (one, other, sight)


def _hex(colour: str) -> str:
    """``rgb(r, g, b)`` or ``color(srgb r g b)`` as ``#RRGGBB``."""
    numbers = [float(number) for number in re.findall(r"[\d.]+", colour)][:3]
    values = [round(255 * number) if colour.startswith("color") else round(number) for number in numbers]
    return "#" + "".join(f"{value:02X}" for value in values)


_OVER = """(() => {
  const names = [
    '.latentlang-explorer > :not([hidden], .unseen)', '[data-view=VIEW] .head > *', '[data-view=VIEW] .beside > *',
  ];
  const parts = $$(names.join()).map(element => [element, element.getBoundingClientRect()])
    .filter(([, box]) => box.width && box.height);
  const over = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
  return parts.flatMap(([one, box], at) => parts.slice(at + 1)
    .filter(([other, second]) => !one.contains(other) && over(box, second))
    .map(([other]) => [one.className, other.className]));
})()"""


@pytest.mark.parametrize("width", [1400, 760, 400])
def test_nothing_is_wider_than_the_page_or_lies_over_another(page: Page, width: int) -> None:
    look(page, width=width)
    for view in ("grid", "words", "languages"):
        tab_to(page, view)
        panel = f"$('[role=tabpanel][data-view=\"{view}\"]')"
        until(page, "its picture", f"Boolean({panel}.querySelector('.chart .line, td.cell:not(.empty)'))")
        assert ask(page, "document.documentElement.scrollWidth === document.documentElement.clientWidth")
        assert ask(page, _OVER.replace("VIEW", view)) == [], view
