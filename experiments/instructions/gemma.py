"""Small sets on Gemma 3 270M: `python -m experiments.instructions.gemma FOLDER GOODDATA UDHR [SET ...]`.

Every arm of `small_sets` is trained by LoRA, and the loss of what none of them learnt from is measured item by item,
before and after. FOLDER keeps adapters and losses, and what is there is not done again, so that this can be stopped and
started; a first seed of everything comes before a second one. GOODDATA is the folder of Chen et al.'s files, UDHR that
of the declaration (``latentlang data get udhr``).

The seed is that of the order of training and of the adapter's first weights: items, and what is held out, stay.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import latentlang as ll
from experiments.instructions.small_sets import SmallSet, native_arms, translations, written_anew
from experiments.steps import measuring_options, timed
from latentlang.instructions import Dialogue
from latentlang.instructions.prompt_templates import template
from latentlang.models import HookedLM
from latentlang.storage.files import write_text
from latentlang.training import Recipe, TrainingData, TrainingExample, recipe
from latentlang.training.held_out import answer_losses

MODEL = "gemma3-270m"
SEEDS = (0, 1, 2)
LOSSES = "losses.csv"
TEMPLATE = "plain"
# The modules and the rank of Chen et al.; rate and batch are ours, for as few steps as these.
SETTINGS: dict[str, Any] = {
    "rank": 8, "alpha": 16, "dropout": 0.05, "target_modules": ["q_proj", "k_proj", "v_proj"], "learning_rate": 5e-4,
    "batch": 4, "accumulation": 1, "epochs": 1, "cutoff": 256, "validation": 0, "evaluations": 2, "keep": "last",
}  # fmt: skip
CHANGED: dict[str, dict[str, Any]] = {"written-anew": {"epochs": 2}}
# Each has scores of a vocabulary of 262,144.
_BATCH_TOKENS = 512


def examples_of(dialogues: Sequence[Dialogue]) -> tuple[TrainingExample, ...]:
    """Dialogues of one exchange in the template."""
    return tuple(
        TrainingExample(
            one.group, one.answer_language, template(TEMPLATE).prompt(one.instruction, one.input), one.output,
            one.origin,
        )
        for one in dialogues
    )  # fmt: skip


def recipe_of(name: str, seed: int) -> Recipe:
    """What every arm of a set is trained with."""
    record = {"name": name, "data": {"kind": "instructions", "template": TEMPLATE, "overlong": "cut"}}
    return recipe(record, **(SETTINGS | CHANGED.get(name, {})), seed=seed)


def measure(model: HookedLM, name: str, small: SmallSet, folder: Path, seed: int) -> None:
    """Train the arms of a set with a seed, and measure what is held out; the model alone too, if that is missing."""
    asked = {set_name: examples_of(dialogues) for set_name, dialogues in small.held_out.items()}
    runs: dict[str, Sequence[Dialogue] | None] = {"base": None}
    runs |= {f"{arm}-{seed}": dialogues for arm, dialogues in small.arms.items()}
    chosen = recipe_of(name, seed)
    for run, dialogues in runs.items():
        path = folder / name / run.replace(" ", "-")
        if (path / LOSSES).exists():
            continue
        tuned = model
        if dialogues is not None:
            data = TrainingData(examples_of(dialogues), ())
            with timed(f"{path}, training"):
                tuned = ll.train(model, chosen, data=data, out=path, progress=False).on(model)
        path.mkdir(parents=True, exist_ok=True)
        with timed(f"{path}, measuring"):
            losses = answer_losses(tuned, asked, chosen, batch_tokens=_BATCH_TOKENS)
            write_text(path / LOSSES, losses.to_csv(index=False))


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where adapters and losses lie, or will")
    parser.add_argument("gooddata", type=Path, help="folder of the files of Chen et al.")
    parser.add_argument("udhr", type=Path, help="folder of the declaration")
    makers: dict[str, Callable[[Path, Path, Path], SmallSet]] = {
        "native-arms": lambda folder, gooddata, udhr: native_arms(gooddata),
        "written-anew": lambda folder, gooddata, udhr: written_anew(folder / "recorded"),
        "translations": lambda folder, gooddata, udhr: translations(udhr),
    }
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    options = measuring_options(parser, makers, what="set")
    model = ll.load(MODEL, dtype="bf16")
    sets = {
        name: make(options.folder, options.gooddata, options.udhr)
        for name, make in makers.items()
        if name in options.names
    }
    for seed in options.seeds:
        for name, small in sets.items():
            measure(model, name, small, options.folder, seed)


if __name__ == "__main__":
    main()
