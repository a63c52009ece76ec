"""Language steering: a language's direction is added while the model writes, and what it then writes is scored.

The grid of layers and strengths is tried on one half of the items; the best cell is scored on the other half, where
nothing was chosen, beside what it has to beat: no steering, an instruction in English or in the wanted language, a
random direction and another language's direction of the same length at the same place. Directions that are not given
are made of items that are in neither half.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from latentlang.arguments import Layers, check_count, checked_call
from latentlang.causal.steer_directions import (
    GivenDirections,
    control_among,
    given_directions,
    made_directions,
    open_directions,
)
from latentlang.causal.steer_kept import kept_texts
from latentlang.causal.steer_languages import SteerLanguages, settle_languages
from latentlang.causal.steer_plan import FEWEST_ITEMS, ITEMS, SteerPlan
from latentlang.causal.steer_result import SteerResult
from latentlang.causal.steer_run import WAYS, SteerRun
from latentlang.causal.steer_settings import SteerSettings
from latentlang.errors import InputError, unknown
from latentlang.language_id import LanguageIdentifier
from latentlang.language_names import Language
from latentlang.models import HookedLM, as_model
from latentlang.models.batch import check_layers
from latentlang.models.edits import number_of
from latentlang.progress import ProgressOption, reporting
from latentlang.provenance import Provenance
from latentlang.tasks import Task
from latentlang.tasks.base import settings_for
from latentlang.tasks.instructions import instruction_in_english, instruction_in_itself

STRENGTHS = (0.1, 0.25, 0.5, 1.0)
POSITIONS = ("new", "all")
# By default so many layers are tried, evenly spread and without the last, where nothing is left to use what is added.
_MOST_LAYERS = 6
_WORD_TOKENS, _TEXT_TOKENS = 12, 48


@checked_call
def steer(
    model: HookedLM | str,
    task: str | Task = "translation",
    *,
    language: str | Language,
    asked: str | Language | None = None,
    other: str | Language | None = None,
    directions: GivenDirections | None = None,
    layers: Layers | None = None,
    strengths: float | Iterable[float] = STRENGTHS,
    positions: str = "new",
    how: str = "add",
    items: int = ITEMS,
    shots: int | None = None,
    instruction: str | None = None,
    identifier: LanguageIdentifier | None = None,
    new_tokens: int | None = None,
    seed: int = 0,
    batch_tokens: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: ProgressOption = True,
) -> SteerResult:
    """Steer a model towards a language while it writes, and measure what that is worth.

    Args:
        model: the model, or its name; it is not changed.
        task: a word task (translation, repetition, cloze, one of your own), or its name; or parallel text to go on
            with, ``task("continuation", data="udhr")``.
        language: the wanted language.
        asked: target language of the prompts: English by default, German where English is wanted.
        other: the language whose direction is a control; by default one drawn by `seed`, in the wanted language's
            script where there is one.
        directions: a result of `ll.directions` on a store of this model, or its folder; by default differences of
            means are made of items that are not asked.
        layers: after which blocks: numbers, text such as ``"4,8-12"`` or ``"all"``; by default up to six, evenly
            spread.
        strengths: lengths of what is added, over the median length of the residual stream at the prompts' last token.
            Negative ones lead away from the language.
        positions: ``new``: at every position that a new token is predicted from; ``all``: at the prompt's too.
        how: ``add``: the direction is added; ``replace``: it takes the place of what there was along it, so that what
            speaks for the target language goes, and the strength is how far it then lies along the direction.
        items: of both halves together, at most.
        shots: few-shot examples; None for the task's default.
        instruction: the sentence that asks for the wanted language in itself; by default there is one for the languages
            of the embedded tasks.
        identifier: of languages; by default scripts alone for words (no identifier can be trusted on one), and scripts
            and py3langid for texts.
        new_tokens: how many are written at most; by default 12 for words and 48 for texts.
        seed: draws items, the control language, random directions and bootstrap samples.
        batch_tokens: tokens run at once; by default what suits the device.
        resume: a folder where what was written is kept, layer by layer of the grid, so that the same call goes on where
            one was stopped; delete it when the result is saved. None keeps nothing.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (answers written, answers in all).

    Raises:
        InputError: languages that cannot be compared, a closed task, too few items, or an option that makes no sense.
        ModelError: a layer that does not exist, or directions of another model.
    """
    model = as_model(model)
    settled = settle_languages(task, language, asked)
    grid = check_grid(strengths, positions=positions, how=how, items=items, new_tokens=new_tokens, seed=seed)
    identify = identifier or settled.identifier()
    if settled.wanted not in identify.languages:
        raise InputError(
            f"the identifier tells {', '.join(identify.languages)} apart, and the wanted language {settled.wanted!r} "
            "is none of them; add it"
        )
    opened = None if directions is None else open_directions(directions)
    numbers = None if layers is None else check_layers(layers, depth=model.n_layers, first=1)
    wanted, task = settled.wanted, settled.task
    control = settled.control(
        other, seed, among=None if opened is None else control_among(opened, settled.taken)
    )
    if opened is None:
        found = None
        tried = numbers or _spread(range(1, max(model.n_layers, 2)))
    else:
        found = given_directions(opened, model, wanted=wanted, other=control, layers=numbers)
        tried = numbers or _spread([layer for layer in found.layers if 0 < layer < model.n_layers])
    plan = SteerPlan.drawn(settled, control, items=items, shots=shots, seed=seed, making=found is None)
    if found is None:
        found = made_directions(
            model, plan.for_directions, wanted=wanted, asked=settled.asked, other=control, layers=tried,
            pool="last" if settled.words else "mean_no_bos", batch_tokens=batch_tokens,
        )  # fmt: skip
    without = [layer for layer in tried if layer not in found.layers]
    if without and (numbers is not None or len(without) == len(tried)):
        raise InputError(
            f"there is no direction of {wanted} at layer {without[0]}: its prompts do not differ from those of "
            f"{settled.asked} there; choose another layer"
        )
    chosen_layers = [layer for layer in tried if layer in found.layers]
    run = SteerRun(
        model, plan, found, chosen_layers, grid, positions=positions, how=how, seed=seed, identifier=identify,
        new_tokens=new_tokens or (_WORD_TOKENS if settled.words else _TEXT_TOKENS), batch_tokens=batch_tokens,
        sentences=_sentences(settled, instruction),
    )  # fmt: skip
    with (
        reporting(progress, "steering", things="answers", total=run.total) as report,
        kept_texts(resume, model, new_tokens=run.new_tokens) as run.texts,
    ):
        table = run.run(report)
    settings = SteerSettings(
        wanted=wanted, asked=settled.asked, other=control, layers=chosen_layers, strengths=grid,
        chosen_layer=run.chosen[0], chosen_strength=run.chosen[1],
        typical={str(layer): float(value) for layer, value in run.typical.items()}, positions=positions, how=how,
        n_layers=model.n_layers, shots=task.default_shots if shots is None else shots,
        items_choice=len(plan.choice), items_scored=len(plan.scored), left_out=dict(plan.left_out),
        directions="made" if opened is None else "given", directions_method=found.method,
        directions_items=found.items, new_tokens=run.new_tokens, instructions=run.sentences,
        identifier=identify.name, edit=run.record,
    )  # fmt: skip
    provenance = Provenance(
        model=model.name, revision=model.revision, adapter=model.active_adapter, task=task.name,
        languages=(wanted,), seed=seed,
        settings={**settings_for(task, [settled.asked]), **settings.stored(), **model.noted},
    )  # fmt: skip
    return SteerResult(table=table, provenance=provenance)


def check_grid(
    strengths: float | Iterable[float],
    *,
    positions: str,
    how: str,
    items: int,
    new_tokens: int | None,
    seed: int,
) -> list[float]:
    """The strengths of a grid, before a model is loaded; arguments as of `steer`.

    Raises:
        InputError: an option that makes no sense.
    """
    if positions not in POSITIONS:
        raise unknown("positions of steering", positions, POSITIONS)
    if how not in WAYS:
        raise unknown("way of steering", how, WAYS)
    check_count("items", items, least=FEWEST_ITEMS)
    check_count("new_tokens", new_tokens, least=1)
    check_count("seed", seed, least=0)
    values = [strengths] if isinstance(strengths, int | float) else list(strengths)
    listed = [number_of(value, "a strength") for value in values]
    if not listed or not all(listed):
        raise InputError(
            f"strengths={values!r}: give at least one number, none of them 0, which is no steering"
        )
    return list(dict.fromkeys(listed))


def _spread(layers: Sequence[int]) -> list[int]:
    """At most so many of them, evenly."""
    if len(layers) <= _MOST_LAYERS:
        return list(layers)
    step = (len(layers) - 1) / (_MOST_LAYERS - 1)
    return [layers[round(place * step)] for place in range(_MOST_LAYERS)]


def _sentences(settled: SteerLanguages, given: str | None) -> dict[str, str]:
    """Control to its instruction."""
    own = given or instruction_in_itself(settled.wanted, answer=settled.words)
    english = instruction_in_english(settled.wanted, answer=settled.words)
    return {"instruction-english": english, **({"instruction-wanted": own} if own else {})}
