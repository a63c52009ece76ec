"""The interactive explorer: one Python session and one page: in a notebook, served on this computer, or in a file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from latentlang.arguments import check_count, checked_call
from latentlang.errors import InputError
from latentlang.installing import install_command
from latentlang.language_names import Language
from latentlang.models import HookedLM, as_model
from latentlang.results import Result
from latentlang.tasks import Prompt, Task

if TYPE_CHECKING:
    from latentlang.interactive.notebook import Explorer
    from latentlang.lens import Lens

__all__ = ["explorer"]


@checked_call
def explorer(
    model: HookedLM | str,
    prompt: str | Prompt | None = None,
    *,
    task: str | Task | None = None,
    languages: str | Language | Iterable[str | Language] | None = None,
    top: int = 5,
    lens: Lens | str | os.PathLike[str] | Sequence[Lens | str | os.PathLike[str]] | None = None,
    saved: Result[Any] | str | os.PathLike[str] | None = None,
) -> Explorer:
    """Look into a model by hand in a notebook: type a prompt, and see in which language each layer would go on.

    A grid of layers by tokens, coloured by language; the words of a concept in all languages over the layers, beside
    wrong words (the null); the same concept asked for in many languages. `latentlang explore` serves the same page
    without a notebook.

    It opens on the most informative layer: where, before the last layer, the word of a language that the prompt does
    not name stands highest above wrong words; where none stands by 0.01 above them, or no answer is known, it is the
    first layer whose KL from the output is at most half of the largest.

    Args:
        model: the model, or its name; it is not changed. With an adapter on it, the page shows it without and with it.
        prompt: what to begin with; by default one of the task's own.
        task: a task or the name of one, whose answers can be looked for; by default translation of the embedded words.
        languages: those whose words are looked for at first; by default up to eight that the task has, the one that
            the prompt asks for among them.
        top: next tokens of `result`.
        lens: what the layers are read through besides the logit lens: a `Lens` or the folder of a fitted one, or
            several; None for the logit lens alone.
        saved: a result that is looked into as well, or the folder of a saved one.

    Returns:
        A widget; its ``result`` is an `ExplorerResult` of the first prompt.

    Raises:
        InputError: anywidget is missing, or a value makes no sense; once shown, the widget itself says what is wrong.
    """
    if find_spec("anywidget") is None:
        raise InputError(
            f"the explorer needs the package anywidget, which is not installed; {install_command('notebooks')}"
        )
    model = as_model(model)
    check_count("top", top, least=1)
    from latentlang.interactive.notebook import Explorer
    from latentlang.interactive.session_start import make_session, named_lenses
    from latentlang.tasks import as_task

    given = () if lens is None else [lens] if _is_one(lens) else list(lens)  # type: ignore[arg-type]
    lenses, folders = named_lenses(model, given)  # type: ignore[arg-type]
    session = make_session(
        model,
        prompt,
        task=as_task("translation" if task is None else task),
        languages=languages,
        lenses=lenses,
        folders=folders,
        saved=saved,
    )
    if not session.prompt.strip():
        raise InputError("the prompt is empty; give the text to look into, or none for one of the task's own")
    return Explorer(session, top=top)


def _is_one(lens: object) -> bool:
    return isinstance(lens, str | os.PathLike) or not isinstance(lens, Iterable)
