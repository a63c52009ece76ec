"""Open a page in headless Chromium and say what came of it."""

from __future__ import annotations

import atexit
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support.devtools import Page, chromium

#: Milliseconds that pass for a page's scripts, as fast as they can be worked through.
_BUDGET = 4000
_DOM = """(() => {
  const page = document.documentElement.cloneNode(true);
  page.querySelectorAll("script").forEach(script => script.remove());
  return page.outerHTML;
})()"""


@dataclass(frozen=True)
class Opened:
    """A page after its scripts ran.

    ``dom`` is its HTML without the scripts' own text; ``complaints`` is all that came to the browser's console.
    """

    dom: str
    complaints: list[str]


def open_page(
    path: Path, *, width: int = 1100, height: int = 900, screenshot: Path | None = None, dark: bool = False
) -> Opened:
    """Run the page's scripts with no network to reach; skips the test where there is no Chromium.

    All pages are opened one after the other in one tab, whose process keeps plotly's compiled code: to start a browser
    and to compile that takes ten times as long as the rest.
    """
    page = _tab()
    page.forget()
    page.send(
        "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    page.send("Emulation.setEmulatedMedia", features=[scheme])
    page.send("Emulation.setVirtualTimePolicy", policy="pause")
    page.send("Page.navigate", url=path.resolve().as_uri())
    page.send("Emulation.setVirtualTimePolicy", policy="pauseIfNetworkFetchesPending", budget=_BUDGET)
    page.wait_event("Emulation.virtualTimeBudgetExpired")
    if screenshot:
        page.screenshot(screenshot)
    return Opened(dom=page.run(_DOM), complaints=list(page.complaints))


@cache
def _tab() -> Page:
    """The tab of this process; its browser ends with it."""
    until_the_end = ExitStack()
    atexit.register(until_the_end.close)
    profile = until_the_end.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
    page = until_the_end.enter_context(chromium(Path(profile), reachable=False))
    page.send("Emulation.setScrollbarsHidden", hidden=True)
    page.hear_console()  # a page of ours has nothing to say at all
    return page
