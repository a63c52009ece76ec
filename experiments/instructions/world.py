"""Train `pocket` on the made world's arms: `python -m experiments.instructions.world FOLDER [KIND ...]`.

Every arm of `world_arms` is trained by LoRA with each seed, and what none of them was asked about is asked afterwards.
FOLDER keeps the losses item by item, and what is there is not done again. The seed draws the items, which answers are
wrong, the order of training and the adapter's first weights; what is asked afterwards is the same for all. An arm whose
name ends in ``again`` has the data of another one and differs in its seed of training alone.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import latentlang as ll
from experiments.instructions.world_arms import TRIALS
from experiments.steps import measuring_options, timed
from latentlang.instructions import Dialogue
from latentlang.models import HookedLM
from latentlang.storage.files import write_text
from latentlang.training import Recipe, TrainingData, TrainingExample, recipe
from latentlang.training.held_out import answer_losses

MODEL = "pocket"
SEEDS = (0, 1, 2, 3, 4)
#: Added to the seed of training of arms that differ from another one in it alone.
AGAIN = 100
# As embedded models are trained by default, in fewer steps: recipes.yaml.
SETTINGS: dict[str, Any] = {
    "target_modules": "all-linear", "rank": 8, "alpha": 16, "learning_rate": 1e-3, "batch": 8, "accumulation": 1,
    "epochs": 3, "validation": 0, "evaluations": 1, "keep": "last", "end": False,
}  # fmt: skip
# Arms of these are of unequal size, and are trained as many steps.
CHANGED: dict[str, dict[str, Any]] = {"parts": {"steps": 72, "epochs": None}}


def recipe_of(kind: str, seed: int, **changes: Any) -> Recipe:
    """What every arm of a kind is trained with."""
    record = {"name": kind, "data": {"kind": "instructions", "template": "{instruction}"}}
    return recipe(record, **(SETTINGS | CHANGED.get(kind, {}) | changes), seed=seed)


def examples_of(dialogues: Sequence[Dialogue]) -> tuple[TrainingExample, ...]:
    """Dialogues as they are: an instruction of the made world ends where its answer begins."""
    return tuple(
        TrainingExample(one.group, one.answer_language, one.instruction, one.output, one.origin)
        for one in dialogues
    )


def trained(model: HookedLM, chosen: Recipe, dialogues: Sequence[Dialogue], folder: Path) -> HookedLM:
    """The model with an adapter that was trained on the dialogues."""
    return ll.train(
        model, chosen, data=TrainingData(examples_of(dialogues), ()), out=folder, progress=False
    ).on(model)


def measure(
    model: HookedLM, kind: str, seed: int, folder: Path, *, arms: Sequence[str] = (), **changes: Any
) -> None:
    """Train the arms of a kind with a seed, those that FOLDER has no losses of; the model alone with the first seed.

    Args:
        model: which is trained.
        kind: of `TRIALS`.
        seed: of items, defects, order and first weights.
        folder: where losses lie, a file an arm and seed.
        arms: names of those that are trained; all by default.
        changes: of the recipe.
    """
    trial = TRIALS[kind](seed)
    asked = {name: examples_of(dialogues) for name, dialogues in trial.asked.items()}
    runs: dict[str, Sequence[Dialogue] | None] = {"base": None} if seed == SEEDS[0] else {}
    runs |= {arm: trial.arms[arm] for arm in arms or trial.arms}
    for arm, dialogues in runs.items():
        path = folder / kind / f"{arm}-{seed}.csv"
        if path.exists():
            continue
        again = AGAIN if arm.endswith("again") else 0
        chosen = recipe_of(kind, seed + again, **changes)
        path.parent.mkdir(parents=True, exist_ok=True)
        with timed(path), tempfile.TemporaryDirectory() as adapter:
            tuned = model if dialogues is None else trained(model, chosen, dialogues, Path(adapter))
            write_text(path, answer_losses(tuned, asked, chosen).to_csv(index=False))


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where losses lie, or will")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    options = measuring_options(parser, TRIALS, what="kind")
    model = ll.load(MODEL)
    for seed in options.seeds:
        for kind in options.names:
            measure(model, kind, seed, options.folder)


if __name__ == "__main__":
    main()
