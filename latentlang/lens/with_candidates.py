"""The lens for target and pivot, and beside it the lens in all languages, from one run of the prompts."""

from __future__ import annotations

import os
from collections.abc import Iterable

from latentlang import defaults
from latentlang.arguments import Layers, checked_call
from latentlang.language_names import Language
from latentlang.lens.base import Lens
from latentlang.lens.logit import PairLensPass, prompts_of
from latentlang.lens.multilingual import MultilingualLensPass
from latentlang.lens.tuned import as_lens
from latentlang.models import HookedLM
from latentlang.models.finished_languages import kept_in
from latentlang.progress import ProgressOption, reporting
from latentlang.tasks import Task, as_task

#: What stands for every language that the task has words in.
EVERY_LANGUAGE = "all"


@checked_call
def lens_with_candidates(
    model: HookedLM,
    task: str | Task,
    *,
    languages: str | Language | Iterable[str | Language],
    candidates: str | Iterable[str] | None = None,
    pivot: str | Language = defaults.PIVOT,
    items: int | None = None,
    shots: int | None = None,
    seed: int = 0,
    policy: str | None = None,
    protocol: str = defaults.PROTOCOL,
    layers: Layers = "all",
    lens: Lens | str | os.PathLike[str] | None = None,
    share_prefix: bool = True,
    batch_tokens: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: ProgressOption = True,
) -> tuple[PairLensPass, MultilingualLensPass | None]:
    """Read every layer as `logit_lens` does and, where there are candidates, as `multilingual_lens` does.

    Args:
        model: the model to look into.
        task: gives prompts and answers: as made by `tasks.task`, or the name of one with its defaults.
        languages: target languages.
        candidates: languages that the answer is read in too; `EVERY_LANGUAGE` for all that the task has words in; None
            for none.
        pivot: as of `logit_lens`, as are all other options.
        items: see there.
        shots: see there.
        seed: see there.
        policy: see there.
        protocol: see there.
        layers: see there.
        lens: see there.
        share_prefix: see there.
        batch_tokens: see there.
        resume: see there.
        progress: see there; with policy ``sequence`` and candidates the prompts are run twice and count twice.

    Returns:
        What both have read; ``result()`` of each gives the result.

    Raises:
        InputError: as of these functions.
        ModelError: as of these functions.
    """
    task, chosen = as_task(task), as_lens(lens, model)
    pair = PairLensPass(
        model, task, pivot=pivot, shots=shots, seed=seed, policy=policy, protocol=protocol, layers=layers, lens=chosen
    )  # fmt: skip
    everyone = None
    if candidates is not None:
        everyone = MultilingualLensPass(
            model, task, candidates=None if candidates == EVERY_LANGUAGE else candidates, shots=shots, seed=seed,
            layers=layers, lens=chosen,
        )  # fmt: skip
    prompts = prompts_of(task, languages, items=items, shots=shots, seed=seed)
    # whole answers are run for themselves: then all languages are a second run of the prompts
    runs = 2 if everyone is not None and pair.policy == "sequence" else 1
    with (
        reporting(progress, "reading", total=runs * sum(map(len, prompts.values()))) as report,
        kept_in(resume, model, [task], share_prefix=share_prefix) as (finished,),
    ):
        pair.read(
            prompts,
            beside=[] if everyone is None else [everyone],
            share_prefix=share_prefix,
            batch_tokens=batch_tokens,
            progress=report,
            finished=finished,
        )
    return pair, everyone
