"""The explorer of a notebook, driven as a notebook drives it; and a state of it in one file."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import sys
from queue import SimpleQueue
from threading import Event
from typing import Any

import pytest

from latentlang import interactive, reproduction
from latentlang.errors import InputError
from latentlang.installing import install_command
from latentlang.interactive import explorer, frozen
from latentlang.interactive.frozen import FROZEN, freeze
from latentlang.interactive.messages import PageReply, PageRequest
from latentlang.interactive.notebook import Explorer
from latentlang.interactive.request_queue import answer
from latentlang.interactive.request_run import RequestRun
from latentlang.interactive.session import Session
from latentlang.interactive.session_start import make_session
from latentlang.interactive.views import grid
from latentlang.lens import explore
from latentlang.models import HookedLM, load
from latentlang.tasks import task

PROMPT = 'Français: "fleur" - Deutsch: "'
HOSTILE = "</script><script>alert(1)</script>\u2028\u2029<!--"


@pytest.fixture(autouse=True)
def nothing_learnt(monkeypatch) -> None:
    """No table of the vocabulary's languages, which takes seconds."""
    known = Event()
    known.set()
    for module in (grid, frozen):
        monkeypatch.setattr(module, "learn_owners", lambda session: known)


@pytest.fixture(scope="module")
def pocket() -> HookedLM:
    return load("pocket")


def _parts(session: Session, view: str, arguments: dict[str, Any]) -> list[dict[str, Any]]:
    heard: list[PageReply] = []
    answer(session, PageRequest(id=1, view=view, arguments=arguments), RequestRun(1, heard.append))
    return [reply.data for reply in heard if reply.data is not None]


def _listen(widget: Explorer, monkeypatch) -> SimpleQueue[dict[str, Any]]:
    """What the widget sends to its page."""
    heard: SimpleQueue[dict[str, Any]] = SimpleQueue()
    monkeypatch.setattr(widget, "send", heard.put)
    return heard


def _answer(heard: SimpleQueue[dict[str, Any]]) -> list[dict[str, Any]]:
    found = [heard.get(timeout=60)]
    while found[-1]["event"] in ("part", "progress"):
        found.append(heard.get(timeout=60))
    return found


def test_two_widgets_answer_each_its_own_page(pocket, monkeypatch):
    widgets = [explorer(pocket, prompt) for prompt in (PROMPT, 'English: "dog" - Deutsch: "')]
    heard = [_listen(widget, monkeypatch) for widget in widgets]
    for widget in widgets:
        widget._handle_custom_msg({"id": 1, "view": "open"}, [])
    for widget, queue in zip(widgets, heard, strict=True):
        part, done = _answer(queue)
        assert part["id"] == done["id"] == 1 and done["event"] == "done"
        assert part["data"]["prompt"] == widget.session.prompt
        widget.close()


def test_what_is_no_message_is_answered_where_it_has_a_number(pocket, monkeypatch):
    widget = explorer(pocket, PROMPT)
    heard = _listen(widget, monkeypatch)
    for content in ("x", {"view": "open"}, {"id": 4, "view": "open", "more": 1}):
        widget._handle_custom_msg(content, [])
    reply = heard.get(timeout=20)
    assert reply["id"] == 4 and reply["event"] == "error" and heard.empty()
    widget.close()


def test_without_a_kernel_a_line_of_text_is_left(pocket):
    widget = explorer(pocket, f"<b>bold</b> {HOSTILE}")
    data = widget._repr_mimebundle_()
    data = data[0] if isinstance(data, tuple) else data
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "pocket" in data["text/plain"] and "<b>bold" in data["text/plain"]
    assert "&lt;b&gt;bold" in data["text/html"] and "<script" not in data["text/html"]
    assert "pocket" in repr(widget)
    widget.close()


def test_the_result_is_what_explore_gives(pocket):
    widget = explorer(pocket, PROMPT, top=3)
    assert widget.result.table.equals(explore(pocket, PROMPT, top=3, progress=False).table)


def test_bad_input_is_refused_with_a_word_of_advice(pocket, monkeypatch):
    with pytest.raises(InputError, match="unknown model 'pockt'; did you mean 'pocket'"):
        explorer("pockt")
    with pytest.raises(InputError, match="top must be at least 1, not 0"):
        explorer(pocket, top=0)
    with pytest.raises(InputError, match="the prompt is empty"):
        explorer(pocket, " ")
    with pytest.raises(InputError, match="no words in 'eo'"):
        explorer(pocket, languages="eo")
    with pytest.raises(InputError, match="nowhere"):
        explorer(pocket, lens=["nowhere"])
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(InputError, match=re.escape(install_command("notebooks"))):
        explorer(pocket)


def test_the_function_keeps_its_name_when_its_modules_are_imported():
    """A module of the package with the function's name would take its place once it is imported."""
    for package in (interactive, reproduction):
        modules = {found.name for found in pkgutil.iter_modules(package.__path__)}
        assert not modules & set(package.__all__), package.__name__
    importlib.import_module("latentlang.interactive.notebook")
    assert callable(interactive.explorer)


def _recorded(page: str) -> list[dict[str, Any]]:
    data = page.partition('start(document.getElementById("explorer"), frozenTransport(')[2]
    found: list[dict[str, Any]] = json.JSONDecoder().raw_decode(data)[0]
    return found


@pytest.mark.parametrize("prompt", [PROMPT, f"good {HOSTILE}"])
def test_a_frozen_page_holds_what_a_session_answers(pocket, tmp_path, prompt):
    session = make_session(pocket, prompt, task=task("translation", source="fr"), languages="en,de,fr")
    told: list[tuple[int, int]] = []
    freeze(session, tmp_path / "page.html", progress=lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] and [path.name for path in tmp_path.iterdir()] == ["page.html"]
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    by_view: dict[str, list[dict[str, Any]]] = {}
    for one in _recorded(page):
        assert one["replies"][-1]["event"] == "done"
        by_view.setdefault(one["view"], []).append(one)
    assert set(by_view["open"][0]["replies"][0]["data"]["views"]) == {"open", *FROZEN}
    (cells,) = by_view["grid"]
    assert cells["arguments"] == {"prompt": prompt, "lens": "logit", "adapter": ""}
    shown = [reply["data"] for reply in cells["replies"] if "data" in reply]
    assert shown == _parts(session, "grid", cells["arguments"])
    assert [one["arguments"]["position"] for one in by_view["words"]] == [*range(len(shown[0]["tokens"]))]
    last = by_view["words"][-1]
    if prompt == PROMPT:
        assert [last["replies"][0]["data"]] == _parts(session, "words", last["arguments"])
        rows = [reply["data"] for reply in by_view["languages"][0]["replies"] if "data" in reply]
        assert [row["language"] for row in rows[:3]] == ["en", "de", "fr"]
    else:
        assert "languages" not in by_view
        assert {row["kind"] for row in last["replies"][0]["data"]["rows"]} == {"token"}
    # what the prompt says ends neither the script nor a line, and the page can ask nobody
    script = page.partition('<script type="module">')[2]
    assert script.count("</script") == 1 and "\u2028" not in page and "<!--" not in page
    (policy,) = re.findall('Content-Security-Policy" content="([^"]*)"', page)
    assert "default-src 'none'" in policy and "connect" not in policy and "'sha256-" in policy


def test_a_prompt_that_cannot_be_read_leaves_no_file(pocket, tmp_path):
    session = make_session(pocket, "a " * 3000, task=task("translation", source="fr"))
    with pytest.raises(InputError, match="takes at most 512"):
        freeze(session, tmp_path / "page.html")
    assert not list(tmp_path.iterdir())
