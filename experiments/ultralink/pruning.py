"""How many items of a second language a skill needs: `python -m experiments.ultralink.pruning FOLDER [SKILL ...]`.

After Figures 11 and 12 of UltraLink, on `pocket`: a skill (`sums.SKILLS`) is learnt in English, and then N items of it
in Chinese; or N in Chinese at once. Every arm with Chinese is trained as many steps in it, however many items there
are; N of fewer are part of N of more. What no arm was trained on is asked afterwards in Chinese, in English, and in
Spanish.

Controls: the answers of the Chinese items exchanged among them (what their form alone does), and Spanish items in their
place (what more training of any kind does).

FOLDER keeps the English adapters and the losses item by item, and what is there is not done again.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import latentlang as ll
from experiments.steps import measuring_options, timed
from experiments.ultralink.sums import SKILLS, WORDING, examples, exchanged, held_out, learnt
from latentlang.models import HookedLM
from latentlang.storage.files import write_text
from latentlang.training import Recipe, TrainingData, TrainingExample, recipe
from latentlang.training.held_out import answer_losses
from latentlang.training.result import WEIGHTS, TrainingResult

MODEL = "pocket"
SEEDS = (0, 1, 2)
FIRST, SECOND, OTHER = "en", "zh", "es"
#: Items of the second language.
SIZES = (0, 16, 64, 256)
SETTINGS: dict[str, Any] = {
    "target_modules": "all-linear", "rank": 32, "alpha": 64, "accumulation": 1, "validation": 0, "evaluations": 1,
    "keep": "last", "end": False, "epochs": None,
}  # fmt: skip
#: Of the training in English, and of that in a second language, which is shorter and gentler.
FIRST_TRAINING: dict[str, Any] = {"batch": 32, "learning_rate": 3e-3}
FIRST_STEPS = {"sums": 300, "sums and differences": 800}
SECOND_TRAINING: dict[str, Any] = {"steps": 60, "batch": 16, "learning_rate": 1e-3}


@dataclass(frozen=True)
class Arm:
    """What the model goes on from, and what it is trained on then.

    Attributes:
        start: the model as it is, or after English.
        sizes: numbers of items.
        language: of the items.
        answers: the items' own, or exchanged among them.
    """

    start: Literal["base", "english"]
    sizes: tuple[int, ...] = SIZES
    language: str = SECOND
    answers: Literal["right", "exchanged"] = "right"


ARMS: dict[str, Arm] = {
    "from English": Arm("english"),
    "from base": Arm("base"),
    "from English, answers exchanged": Arm("english", (256,), answers="exchanged"),
    "from English, Spanish items": Arm("english", (16, 256), language=OTHER),
}


def recipe_of(seed: int, training: Mapping[str, Any], **changes: Any) -> Recipe:
    """What a training is done with."""
    record = {"name": "sums", "data": {"kind": "instructions", "template": "{instruction}"}}
    return recipe(record, **{**SETTINGS, **training, **changes}, seed=seed)


def english(model: HookedLM, skill: str, seed: int, folder: Path, **changes: Any) -> Path:
    """The folder of the adapter that was trained on all English items; trained if it is not there.

    Args:
        model: which is trained.
        skill: of `sums.SKILLS`.
        seed: of order and first weights.
        folder: where adapters lie.
        changes: of the recipe.
    """
    out = folder / _dashed(skill) / f"english-{seed}"
    if not (out / WEIGHTS).exists():
        with timed(out):
            chosen = recipe_of(seed, FIRST_TRAINING | {"steps": FIRST_STEPS[skill]}, **changes)
            data = _data(examples(learnt(skill, seed=seed), FIRST))
            ll.train(model, chosen, data=data, out=out, progress=False)
    return out


def items_of(arm: Arm, skill: str, size: int, seed: int) -> list[TrainingExample]:
    """What an arm is trained on."""
    sums = learnt(skill, size, seed=seed)
    return examples(
        sums, arm.language, answers=exchanged(sums, seed=seed) if arm.answers == "exchanged" else None
    )


def asked(skill: str) -> dict[str, list[TrainingExample]]:
    """Language to what is asked afterwards, the same items in all."""
    return {code: examples(held_out(skill), code) for code in WORDING}


def file_of(folder: Path, skill: str, name: str, size: int, seed: int) -> Path:
    """Where the losses after an arm lie."""
    return folder / _dashed(skill) / f"{_dashed(name)}-{size}-{seed}.csv"


def _dashed(name: str) -> str:
    return name.replace(",", "").replace(" ", "-")


def measure(
    model: HookedLM,
    skill: str,
    name: str,
    size: int,
    seed: int,
    folder: Path,
    **changes: Any,
) -> None:
    """Train an arm with so many items and a seed, unless FOLDER has its losses.

    Args:
        model: which is trained.
        skill: of `sums.SKILLS`.
        name: of `ARMS`.
        size: number of items; 0 trains nothing after English.
        seed: of items, order and first weights.
        folder: where adapters and losses lie.
        changes: of both recipes.
    """
    arm = ARMS[name]
    path = file_of(folder, skill, name, size, seed)
    if path.exists():
        return
    start = english(model, skill, seed, folder, **changes) if arm.start == "english" else None
    chosen = recipe_of(seed, SECOND_TRAINING, **changes)
    path.parent.mkdir(parents=True, exist_ok=True)
    with timed(path), tempfile.TemporaryDirectory() as out:
        if size:
            going_on = chosen if start is None else chosen.changed(start=str(start))
            data = _data(items_of(arm, skill, size, seed))
            tuned = ll.train(model, going_on, data=data, out=out, progress=False).on(model)
        else:
            tuned = model if start is None else TrainingResult.load(start).on(model)
        write_text(path, answer_losses(tuned, asked(skill), chosen).to_csv(index=False))


def _data(made: Sequence[TrainingExample]) -> TrainingData[TrainingExample]:
    return TrainingData(tuple(made), ())


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where adapters and losses lie, or will")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    options = measuring_options(parser, SKILLS, what="skill")
    model = ll.load(MODEL)
    for seed in options.seeds:
        for skill in options.names:
            for name, arm in ARMS.items():
                for size in arm.sizes:
                    measure(model, skill, name, size, seed, options.folder)


if __name__ == "__main__":
    main()
