"""A headless Chromium that is driven as a person would, over the Chrome DevTools protocol."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import websocket

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 300  # long, for a machine that trains models beside
_PAUSE = 0.1  # between two looks at a condition
_KEYS = {
    "ArrowRight": 39, "ArrowLeft": 37, "ArrowUp": 38, "ArrowDown": 40, "Tab": 9, "Enter": 13, "Escape": 27, "Home": 36,
    "End": 35, "PageUp": 33, "PageDown": 34,
}  # fmt: skip
#: As the protocol counts them.
CTRL, SHIFT = 2, 8


def find_chromium() -> str:
    """The browser's executable; skips the test where there is none."""
    executable = next(filter(None, map(shutil.which, _NAMES)), None)
    if executable is None:
        pytest.skip("no chromium executable found; install Debian's chromium package")
    return executable


def wait_for(what: str, look: Callable[[], Any], *, seconds: float = SECONDS) -> Any:
    """The first true value of `look`; fails, saying what was waited for, when none comes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(_PAUSE)
    raise AssertionError(f"after {seconds} s there is still no {what}")


class Page:
    """One tab.

    Attributes:
        complaints: exceptions of its scripts; errors of its console once ``Log`` is enabled; after `hear_console` all
            that comes there.
        requests: addresses that it asks for, once ``Network`` is enabled.
    """

    def __init__(self, address: str) -> None:
        # an Origin would be checked against a list that Chromium was not given
        self._socket = websocket.create_connection(address, timeout=SECONDS, suppress_origin=True)
        self._last = 0
        self.complaints: list[str] = []
        self._events: set[str] = set()
        self._heard = {"Runtime.exceptionThrown"}
        self.requests: list[str] = []
        for domain in ("Page", "Runtime"):
            self.send(f"{domain}.enable")

    def close(self) -> None:
        self._socket.close()

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """One command and its answer; what the page says meanwhile goes to `complaints`."""
        self._last += 1
        self._socket.send(json.dumps({"id": self._last, "method": method, "params": params}))
        while True:
            message = self._received()
            if message.get("id") == self._last:
                assert "error" not in message, (method, message["error"])
                answer: dict[str, Any] = message["result"]
                return answer

    def _received(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._socket.recv())
        event = message.get("method", "")
        if event in self._heard:
            self.complaints.append(json.dumps(message["params"])[:2000])
        elif event == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
            self.complaints.append(message["params"]["entry"]["text"])
        elif event == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])
        self._events.add(event)
        return message

    def wait_event(self, event: str) -> None:
        """Wait until the browser tells of something; at once if it has since `forget`."""
        while event not in self._events:
            self._received()

    def hear_console(self) -> None:
        """Have all that comes to the console from now on among `complaints`, errors and remarks alike."""
        self._heard |= {"Runtime.consoleAPICalled", "Log.entryAdded"}
        self.send("Log.enable")

    def forget(self) -> None:
        """Begin anew with events and complaints."""
        self._events.clear()
        self.complaints.clear()

    def run(self, script: str) -> Any:
        """Value of a JavaScript expression, promises awaited."""
        answer = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, (script, answer["exceptionDetails"])
        return answer["result"].get("value")

    def wait(self, what: str, script: str, *, seconds: float = SECONDS) -> Any:
        """Wait until a JavaScript expression is true; returns its value."""
        try:
            return wait_for(what, lambda: self.run(script), seconds=seconds)
        except AssertionError as error:
            raise AssertionError(
                f"{error}; the page says: {self.run('document.body.innerText')[-3000:]}"
            ) from None

    def press(self, key: str, *, modifiers: int = 0) -> None:
        """Press a key where the focus is."""
        for kind in ("keyDown", "keyUp"):
            self.send(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=_KEYS[key],
                modifiers=modifiers,
            )  # fmt: skip

    def place(self, selector: str) -> tuple[float, float]:
        """The middle of an element, brought into view."""
        found = self.run(
            f"(() => {{ const element = document.querySelector({json.dumps(selector)}); if (!element) return null;"
            "element.scrollIntoView({block: 'nearest', inline: 'nearest'});"
            "const box = element.getBoundingClientRect();"
            "return [box.left + box.width / 2, box.top + box.height / 2]; })()"
        )
        assert found, f"the page has no {selector}"
        return float(found[0]), float(found[1])

    def click(self, selector: str, *, modifiers: int = 0) -> None:
        """Click the middle of an element."""
        self.drag(selector, selector, modifiers=modifiers)

    def drag(self, start: str, end: str, *, modifiers: int = 0) -> None:
        """Press the mouse on the middle of an element and let go on another's."""
        x, y = self.place(start)
        self._mouse("mouseMoved", x, y, modifiers)
        self._mouse("mousePressed", x, y, modifiers)
        if end != start:
            to_x, to_y = self.place(end)
            self._mouse("mouseMoved", (x + to_x) / 2, (y + to_y) / 2, modifiers, pressed=True)
            self._mouse("mouseMoved", to_x, to_y, modifiers, pressed=True)
            x, y = to_x, to_y
        self._mouse("mouseReleased", x, y, modifiers)

    def hover(self, selector: str) -> None:
        """Move the mouse over the middle of an element."""
        self._mouse("mouseMoved", *self.place(selector), 0)

    def _mouse(self, kind: str, x: float, y: float, modifiers: int, *, pressed: bool = False) -> None:
        button = "none" if kind == "mouseMoved" and not pressed else "left"
        self.send(
            "Input.dispatchMouseEvent", type=kind, x=x, y=y, modifiers=modifiers, button=button,
            buttons=int(kind == "mousePressed" or pressed), clickCount=int(kind != "mouseMoved"),
        )  # fmt: skip

    def type(self, text: str) -> None:
        """Write text where the focus is, in place of what is selected."""
        self.send("Input.insertText", text=text)

    def screenshot(self, path: Path) -> None:
        """A picture of what is in view, for a person to look at."""
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot")["data"]))


@contextmanager
def chromium(
    profile: Path, *, width: int = 1400, height: int = 1000, reachable: bool = True
) -> Iterator[Page]:
    """A browser with one empty tab; ends with the block.

    Args:
        profile: its folder.
        width: of its window, in pixels.
        height: of its window.
        reachable: whether its pages reach this machine; no other in any case.
    """
    process = subprocess.Popen(
        [
            find_chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0",
            f"--host-resolver-rules=MAP * ~NOTFOUND{', EXCLUDE 127.0.0.1' if reachable else ''}",
            f"--user-data-dir={profile}", f"--window-size={width},{height}", "about:blank",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "LANG": "C.UTF-8"},
    )  # fmt: skip
    try:
        told = profile / "DevToolsActivePort"

        def address() -> str | None:
            assert process.poll() is None, f"Chromium ended with {process.returncode}"
            if not told.exists() or not (lines := told.read_text().splitlines()):
                return None
            with urlopen(f"http://127.0.0.1:{lines[0]}/json/list", timeout=SECONDS) as answer:
                pages = [page for page in json.load(answer) if page["type"] == "page"]
            return str(pages[0]["webSocketDebuggerUrl"]) if pages else None

        page = Page(wait_for("tab in Chromium", address))
        try:
            yield page
        finally:
            page.close()
    finally:
        process.terminate()
        process.wait(SECONDS)
