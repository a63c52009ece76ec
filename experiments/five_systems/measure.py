"""Train `pocket` as five papers train, and compare its layers: `python -m experiments.five_systems.measure FOLDER`.

The data are the made world's (`experiments.instructions.made_world`); every arm is trained by LoRA for as many steps of
as many examples, with each seed. FOLDER keeps the adapters, and each of them against the model without one: in ``lens``
the logit lens over words translated from Russian, in ``words`` the alignment with English of words of each language,
and in ``neurons`` the neurons of each language, of the model without an adapter (``before``) and with each. What is
there is not done again.

Beside the systems stand what would come out without what a paper proposes: English instructions alone, translations
that are exchanged, and the same data trained with another seed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import latentlang as ll
from experiments.instructions.made_world import items_of, learnt_concepts, translations
from experiments.instructions.world import AGAIN, MODEL, examples_of, recipe_of
from experiments.instructions.world_arms import SIZE, TRAINED, TRIALS, UNSEEN
from experiments.steps import is_saved, measuring_options, step, timed
from latentlang.instructions import Dialogue
from latentlang.models import HookedLM
from latentlang.training import TrainingData

SEEDS = (0, 1, 2, 3, 4)
STEPS = 48
#: Name of each system to the trial and arm whose data it is trained on; question alignment has its own.
SYSTEMS: dict[str, tuple[str, str] | None] = {
    "question-alignment": None,
    "bactrianx": ("languages", "eight"),
    "bayling2": ("pivots", "both"),
    "gooddata-native": ("origins", "native"),
    "gooddata-translated": ("origins", "engine a"),
    "ultralink": ("parts", "agnostic 32"),
}
#: What they are held against. The last one has the data of `bactrianx`.
CONTROLS: dict[str, tuple[str, str]] = {
    "english-alone": ("languages", "en alone"),
    "wrong-pairs": ("pivots", "wrong pairs"),
    "another-seed": ("languages", "eight again"),
}
SAME_DATA = "bactrianx"
ARMS = (*SYSTEMS, *CONTROLS)
SOURCE, ITEMS = "ru", 40
#: Folders of the two comparisons: readings of the lens, and how alike words of the languages are.
LENS, WORDS = "lens", "words"
#: Folder of the neurons of each language; the model without an adapter there; groups of words that are dealt to
#: languages anew for the null.
NEURONS, BEFORE, DEALS = "neurons", "before", 100
LANGUAGES = (*(code for code in TRAINED if code != SOURCE), *UNSEEN)


def dialogues_of(name: str, seed: int) -> Sequence[Dialogue]:
    """What an arm is trained on with a seed."""
    chosen = {**SYSTEMS, **CONTROLS}[name]
    if chosen is not None:
        trial, arm = chosen
        return TRIALS[trial](seed).arms[arm]
    items = items_of(learnt_concepts(), SIZE, seed=seed)
    share = len(items) // len(TRAINED)
    return [
        one for place, code in enumerate(TRAINED)
        for one in translations(items[place * share : (place + 1) * share], code, "en")
    ]  # fmt: skip


def train(model: HookedLM, name: str, seed: int, folder: Path, **changes: Any) -> Path:
    """The adapter of an arm and seed; a training that is finished there is not done again."""
    out = folder / f"{name}-{seed}"
    again = AGAIN if name == "another-seed" else 0
    chosen = recipe_of(name, seed + again, **{"epochs": None, "steps": STEPS, **changes})
    with timed(out):
        ll.train(
            model,
            chosen,
            data=TrainingData(examples_of(dialogues_of(name, seed)), ()),
            out=out,
            progress=False,
        )
    return out


def compare(model: str, adapters: Sequence[Path], folder: Path, *, items: int = ITEMS) -> None:
    """Each adapter against the model without one; the model alone is read once.

    What is read is read in prompts of `SOURCE`, which are the same words whatever they are translated into: how alike
    the languages are is measured on words of each language.
    """
    tasks = {
        LENS: ("lens", ll.task("translation", source=SOURCE)),
        WORDS: ("geometry", ll.task("repetition")),
    }
    for name, (part, task) in tasks.items():
        with timed(folder / name):
            ll.compare(
                model, out=folder / name, adapter=list(adapters), task=task, languages=list(LANGUAGES), parts=part,
                items=items, measures=("cka", "retrieval"), keep_activations=False, progress=False,
            )  # fmt: skip


def neurons(model: HookedLM, adapters: Sequence[Path], folder: Path, *, items: int = ITEMS) -> None:
    """The neurons of each language, without an adapter and with each, on words of the languages and of `SOURCE`."""
    states: dict[str, Path | None] = {BEFORE: None} | {path.name: path for path in adapters}
    for name, adapter in states.items():
        if is_saved(folder / NEURONS / name):
            continue
        state = model if adapter is None else ll.load(MODEL, adapter=adapter)
        step(
            folder / NEURONS / name, ll.neurons, state, ll.task("repetition"), languages=[SOURCE, *LANGUAGES],
            items=items, deals=DEALS, progress=False,
        )  # fmt: skip


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where adapters and readings lie, or will")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    options = measuring_options(parser, ARMS, what="arm")
    model = ll.load(MODEL)
    adapters = [train(model, name, seed, options.folder) for seed in options.seeds for name in options.names]
    compare(MODEL, adapters, options.folder)
    neurons(model, adapters, options.folder)


if __name__ == "__main__":
    main()
