"""Widgets for notebooks: the lens, tried out by hand. They need ipywidgets (the extra ``notebooks``)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from latentlang.arguments import check_count, checked_call
from latentlang.errors import InputError
from latentlang.installing import install_command
from latentlang.language_names import Language
from latentlang.models import HookedLM, as_model
from latentlang.progress import ProgressOption
from latentlang.tasks import Prompt, Task

if TYPE_CHECKING:
    from latentlang.lens import Lens
    from latentlang.widgets.lens_explorer import LensExplorer

__all__ = ["explorer"]


@checked_call
def explorer(
    model: HookedLM | str,
    prompt: str | Prompt | None = None,
    *,
    task: str | Task | None = None,
    languages: str | Language | Iterable[str | Language] | None = None,
    top: int = 5,
    lens: Lens | str | os.PathLike[str] | None = None,
    progress: ProgressOption = True,
) -> LensExplorer:
    """Try the lens by hand in a notebook: type a prompt, move through layers and positions, see who is speaking.

    At the chosen layer and position it shows the likeliest next tokens and, for each language, the probability of its
    word for the answer beside that of wrong words (the null). The model runs once per prompt; moving only draws.

    It opens on the most informative layer: where, before the last layer, the word of a language that the prompt does
    not name stands highest above wrong words; where none stands by 0.01 above them, or no answer is known, it is the
    first layer whose KL from the output is at most half of the largest.

    Args:
        model: the model, or its name; it is not changed.
        prompt: what to begin with; by default one of the task's own.
        task: a task or the name of one, whose answers can be looked for; by default translation of the embedded words.
        languages: those whose words are looked for at first; by default up to eight that the task has, the one that
            the prompt asks for among them.
        top: next tokens shown.
        lens: what the layers are read through: a `Lens`, or the folder of a fitted one; None for the logit lens.
        progress: whether it is shown how far the first prompt is read, once that takes longer than a second; the
            widget says of the others that they are being read.

    Returns:
        An ipywidgets box; its ``result`` is an `ExplorerResult` of the prompt, its ``words`` the table of languages.

    Raises:
        InputError: ipywidgets is missing, or a value makes no sense; once shown, the widget itself says what is wrong.
    """
    if find_spec("ipywidgets") is None:
        raise InputError(
            "the explorer needs the package ipywidgets, which is not installed; "
            f"{install_command('notebooks')}"
        )
    model = as_model(model)
    check_count("top", top, least=1)
    from latentlang.lens.tuned import as_lens
    from latentlang.widgets.lens_explorer import LensExplorer

    return LensExplorer(
        model, prompt, task=task, languages=languages, top=top, lens=as_lens(lens, model), progress=progress
    )
