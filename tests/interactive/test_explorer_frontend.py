"""The explorer's modules put together to one, and requests that come in another order than they were sent."""

from __future__ import annotations

import re
from importlib.resources import files
from queue import SimpleQueue
from threading import Event

from latentlang.interactive.frontend import MODULES, STYLES, module, style
from latentlang.interactive.messages import PageReply, PageRequest
from latentlang.interactive.request_queue import RequestQueue
from tests.support.explorer_standin import SLOW, Standin, standin_views

STATIC = files("latentlang.interactive") / "static"
_LAST = ("done", "error", "cancelled")


def test_every_file_of_the_page_is_in_it_once_and_after_what_it_needs() -> None:
    names = {path.name for path in STATIC.iterdir()}
    assert names == {*(f"{name}.js" for name in MODULES), *(f"{name}.css" for name in STYLES)}
    for at, name in enumerate(MODULES):
        text = (STATIC / f"{name}.js").read_text(encoding="utf-8")
        needed = re.findall(r'from "\./(\w+)\.js"', text)
        assert set(needed) <= set(MODULES[:at]), name
        assert len(needed) == len(re.findall(r"^import ", text, re.MULTILINE)), name


def test_one_module_is_left_with_one_export() -> None:
    text = module()
    assert not re.search(r"^import ", text, re.MULTILINE)
    assert re.findall(r"^export .*", text, re.MULTILINE) == ["export default { render };"]
    for name in MODULES[:-1]:
        assert text.count(f"const {name}_module = (() => {{") == 1
    assert "const { h, newId, quoted } = dom_module;" in text
    assert style().count("{") == style().count("}")


def test_nothing_is_made_of_html_and_nothing_is_fetched_from_elsewhere() -> None:
    text = module()
    for unsafe in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "DOMParser",
    ):
        assert unsafe not in text, unsafe
    assert re.findall(r"https?://[^\"]*", text) == ["http://www.w3.org/2000/svg"]
    assert "url(" not in style() and "@import" not in style()


def test_the_request_with_the_larger_number_is_the_newer_one_whatever_the_order() -> None:
    with standin_views():
        told: SimpleQueue[PageReply] = SimpleQueue()
        first_came = Event()
        queue = RequestQueue(Standin(rest=first_came), told.put)  # type: ignore[arg-type]
        try:
            asked = {"prompt": "fleur", "lens": "logit"}
            queue.take(PageRequest(id=2, view="grid", channel="one", arguments=asked))
            queue.take(PageRequest(id=1, view="grid", channel="one", arguments={**asked, "prompt": SLOW}))
            first_came.set()
            ended = {}
            while len(ended) < 2:
                reply = told.get(timeout=60)
                if reply.event in _LAST:
                    ended[reply.id] = reply.event
        finally:
            queue.close()
    assert ended == {1: "cancelled", 2: "done"}
