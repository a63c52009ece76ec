"""Python code that loads what a session has: the first lines of what a reader copies."""

from __future__ import annotations

from latentlang.interactive.session import TUNED, Session


def loading_lines(session: Session, adapter: str = "") -> list[str]:
    """Lines that load the model in one of its states as ``model``.

    Args:
        session: the session.
        adapter: the state.
    """
    folder = f", adapter={session.adapter_folder!r}" if adapter == TUNED and session.adapter_folder else ""
    return ["import latentlang as ll", f"model = ll.load({session.model.loaded_from!r}{folder})"]


def lens_option(session: Session, lens: str) -> str:
    """The option of a call that reads through a lens; empty for the logit lens.

    Args:
        session: the session.
        lens: the lens' name in it.
    """
    return f", lens={session.folders[lens]!r}" if lens in session.folders else ""


def task_words(session: Session) -> str:
    """A call that gives the session's task, as far as its name says it."""
    source = session.task.settings.get("source")
    option = f", source={source!r}" if isinstance(source, str) else ""
    return f"ll.task({session.task.name!r}{option})"
