"""The explorer in a notebook: the same page as a widget, whose requests come over the kernel's own channel."""

from __future__ import annotations

import html
from typing import Any

import anywidget

from latentlang.errors import InputError
from latentlang.interactive.frontend import module, style
from latentlang.interactive.messages import PageReply, read_message
from latentlang.interactive.request_queue import RequestQueue
from latentlang.interactive.session import Session
from latentlang.lens import ExplorerResult, explore
from latentlang.printable import printable

_SHOWN = 120


class Explorer(anywidget.AnyWidget):
    """The explorer as a notebook shows it; made by `latentlang.interactive.explorer`.

    Attributes:
        session: what answers its requests.
    """

    _esm = module()
    _css = style()

    def __init__(self, session: Session, *, top: int) -> None:
        """Show a session; nothing is run before the page asks."""
        self._requests = RequestQueue(session)
        self.session, self._top = session, top
        super().__init__()
        self.on_msg(self._hear)

    def __repr__(self) -> str:
        return f"<Explorer: model {self.session.model.name}>"

    @property
    def result(self) -> ExplorerResult:
        """The first prompt's readings, as of `lens.explore`: through the first lens given, or the logit lens."""
        session = self.session
        lens = list(session.lenses.values())[:2][-1]
        return explore(session.model, session.prompt, top=self._top, lens=lens)

    def close(self) -> None:
        """Stop what is being answered, and take the widget out of the page."""
        self._requests.close()
        super().close()

    def _hear(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """Take a message of the page."""
        try:
            message = read_message(content)
        except InputError as error:
            number = content.get("id") if isinstance(content, dict) else None
            if isinstance(number, int):
                self._say(PageReply(id=number, event="error", text=str(error)))
            return
        self._requests.take(message, self._say)

    def _say(self, reply: PageReply) -> None:
        self.send(reply.record())

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """What a notebook keeps; without a kernel, and on paper, that is a line of text."""
        bundle = super()._repr_mimebundle_(**options)
        if bundle is None:
            return None
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        line = self._line()
        return {**data, "text/plain": line, "text/html": f"<p>{html.escape(line)}</p>"}, metadata

    def _line(self) -> str:
        prompt = printable(" ".join(self.session.prompt.split()))
        shown = prompt if len(prompt) <= _SHOWN else f"…{prompt[-_SHOWN:]}"
        return f"The explorer of {self.session.model.name}, at “{shown}”; run this cell to look into it."
