"""How many items of a second language a skill needs: `python -m experiments.ultralink.pruning FOLDER [ARM ...]`.

After Figures 11 and 12 of UltraLink, on `pocket`: sums and differences (`sums`) are learnt in English, and then N of
them in Chinese; or N in Chinese at once. Every arm with Chinese is trained as many steps in it, however many items
there are; N of fewer are part of N of more. What no arm was trained on is asked afterwards in Chinese, in English, and
in Spanish.

Controls: the answers of the Chinese items exchanged among them (what their form alone does); N Spanish items in their
place (what more training of any kind does); and Chinese at once with the training that English has.

FOLDER keeps the English adapters and the losses item by item, and what is there is not done again.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import latentlang as ll
from experiments.instructions.heldout import answer_losses
from experiments.steps import measuring_options, timed
from experiments.ultralink.sums import WORDING, examples, exchanged, held_out, learnt
from latentlang.models import HookedLM
from latentlang.storage.files import write_text
from latentlang.training import Recipe, TrainingData, TrainingExample, recipe
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
FIRST_TRAINING: dict[str, Any] = {"steps": 800, "batch": 32, "learning_rate": 3e-3}
SECOND_TRAINING: dict[str, Any] = {"steps": 100, "batch": 16, "learning_rate": 1e-3}


@dataclass(frozen=True)
class Arm:
    """What the model goes on from, and what it is trained on then.

    Attributes:
        start: the model as it is, or after English.
        sizes: numbers of items.
        language: of the items.
        answers: the items' own, or exchanged among them.
        training: fields of the recipe.
    """

    start: Literal["base", "english"]
    sizes: tuple[int, ...] = SIZES
    language: str = SECOND
    answers: Literal["right", "exchanged"] = "right"
    training: Mapping[str, Any] = field(default_factory=lambda: SECOND_TRAINING)


ARMS: dict[str, Arm] = {
    "from English": Arm("english"),
    "from base": Arm("base"),
    "from English, answers exchanged": Arm("english", (256,), answers="exchanged"),
    "from English, Spanish items": Arm("english", (16, 256), language=OTHER),
    "from base, trained as English was": Arm("base", (256,), training=FIRST_TRAINING),
}


def recipe_of(seed: int, training: Mapping[str, Any], **changes: Any) -> Recipe:
    """What a training is done with."""
    record = {"name": "sums", "data": {"kind": "instructions", "template": "{instruction}"}}
    return recipe(record, **{**SETTINGS, **training, **changes}, seed=seed)


def english(model: HookedLM, seed: int, folder: Path, **changes: Any) -> Path:
    """The folder of the adapter that was trained on all English items; trained if it is not there.

    Args:
        model: which is trained.
        seed: of order and first weights.
        folder: where adapters lie.
        changes: of the recipe.
    """
    out = folder / f"english-{seed}"
    if not (out / WEIGHTS).exists():
        with timed(out):
            chosen = recipe_of(seed, FIRST_TRAINING, **changes)
            ll.train(model, chosen, data=_data(examples(learnt(seed=seed), FIRST)), out=out, progress=False)
    return out


def items_of(arm: Arm, size: int, seed: int) -> list[TrainingExample]:
    """What an arm is trained on."""
    sums = learnt(size, seed=seed)
    return examples(
        sums, arm.language, answers=exchanged(sums, seed=seed) if arm.answers == "exchanged" else None
    )


def asked() -> dict[str, list[TrainingExample]]:
    """Language to what is asked afterwards, the same items in all."""
    return {code: examples(held_out(), code) for code in WORDING}


def file_of(folder: Path, name: str, size: int, seed: int) -> Path:
    """Where the losses after an arm lie."""
    return folder / f"{name.replace(' ', '-').replace(',', '')}-{size}-{seed}.csv"


def measure(
    model: HookedLM,
    name: str,
    size: int,
    seed: int,
    folder: Path,
    **changes: Any,
) -> None:
    """Train an arm with so many items and a seed, unless FOLDER has its losses.

    Args:
        model: which is trained.
        name: of `ARMS`.
        size: number of items; 0 trains nothing after English.
        seed: of items, order and first weights.
        folder: where adapters and losses lie.
        changes: of both recipes.
    """
    arm = ARMS[name]
    path = file_of(folder, name, size, seed)
    if path.exists():
        return
    start = english(model, seed, folder, **changes) if arm.start == "english" else None
    chosen = recipe_of(seed, arm.training, **changes)
    folder.mkdir(parents=True, exist_ok=True)
    with timed(path), tempfile.TemporaryDirectory() as out:
        if size:
            going_on = chosen if start is None else chosen.changed(start=str(start))
            data = _data(items_of(arm, size, seed))
            tuned = ll.train(model, going_on, data=data, out=out, progress=False).on(model)
        else:
            tuned = model if start is None else TrainingResult.load(start).on(model)
        write_text(path, answer_losses(tuned, asked(), chosen).to_csv(index=False))


def _data(made: Sequence[TrainingExample]) -> TrainingData[TrainingExample]:
    return TrainingData(tuple(made), ())


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where adapters and losses lie, or will")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    options = measuring_options(parser, ARMS, what="arm")
    model = ll.load(MODEL)
    for seed in options.seeds:
        for name in options.names:
            for size in ARMS[name].sizes:
                measure(model, name, size, seed, options.folder)


if __name__ == "__main__":
    main()
