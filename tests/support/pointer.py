"""A pointer in a browser's tab: pressed, moved along a way and let go."""

from __future__ import annotations

from collections.abc import Sequence

from tests.support.devtools import Page


def draw(page: Page, way: Sequence[tuple[float, float]]) -> None:
    """Press the mouse at the first point, move it along the others and let go at the last; all within the window."""
    for number, (x, y) in enumerate(way):
        _mouse(page, "mouseMoved", x, y, pressed=number > 0)
        if not number:
            _mouse(page, "mousePressed", x, y)
    _mouse(page, "mouseReleased", *way[-1])


def _mouse(page: Page, kind: str, x: float, y: float, *, pressed: bool = False) -> None:
    held = pressed or kind == "mousePressed"
    page.send(
        "Input.dispatchMouseEvent", type=kind, x=x, y=y, buttons=int(held), clickCount=int(kind != "mouseMoved"),
        button="none" if kind == "mouseMoved" and not pressed else "left",
    )  # fmt: skip
