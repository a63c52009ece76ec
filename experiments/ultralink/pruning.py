"""How many items of a second language a skill needs: `python -m experiments.ultralink.pruning FOLDER [CURVE ...]`.

After Figures 11 and 12 of UltraLink, on `pocket` and on Gemma 3 270M: a skill (`sums.SKILLS`) is learnt in English, and
then N items of it in Chinese; or N in Chinese at once. Every arm with Chinese is trained as many steps in it, however
many items there are; N of fewer are part of N of more. What no arm was trained on is asked afterwards in Chinese, in
English, and in Spanish.

Controls: the answers of the Chinese items exchanged among them (what their form alone does), and Spanish items in their
place (what more training of any kind does).

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
from experiments.steps import measuring_options, timed
from experiments.ultralink.sums import WORDING, examples, exchanged, held_out, learnt
from latentlang.models import HookedLM
from latentlang.storage.files import write_text
from latentlang.training import Recipe, TrainingData, TrainingExample, recipe
from latentlang.training.held_out import answer_losses
from latentlang.training.result import WEIGHTS, TrainingResult

MODEL = "pocket"
SEEDS = (0, 1, 2)
FIRST, SECOND, OTHER = "en", "zh", "es"
SETTINGS: dict[str, Any] = {
    "target_modules": "all-linear", "rank": 32, "alpha": 64, "accumulation": 1, "validation": 0, "evaluations": 1,
    "keep": "last", "end": False, "epochs": None,
}  # fmt: skip
# Gemma has scores of a vocabulary of 262,144.
_BATCH_TOKENS = 1024


@dataclass(frozen=True)
class Curve:
    """A skill, the model that learns it, and how.

    Attributes:
        skill: of `sums.SKILLS`.
        model: by its short name.
        sizes: numbers of items of the second language.
        first: steps, batch and rate of the training in English.
        second: those of the training in a second language, which is shorter and gentler.
    """

    skill: str
    model: str = MODEL
    sizes: tuple[int, ...] = (0, 16, 64, 256)
    first: Mapping[str, Any] = field(
        default_factory=lambda: {"steps": 300, "batch": 32, "learning_rate": 3e-3}
    )
    second: Mapping[str, Any] = field(
        default_factory=lambda: {"steps": 60, "batch": 16, "learning_rate": 1e-3}
    )


#: The last two have 64 steps of 16 in Chinese, so that each of 1,024 items is seen once.
CURVES: dict[str, Curve] = {
    "sums": Curve("sums"),
    "sums and differences": Curve(
        "sums and differences", first={"steps": 800, "batch": 32, "learning_rate": 3e-3}
    ),
    "additions of up to 2": Curve(
        "additions of up to 2", sizes=(0, 16, 64, 256, 1024),
        first={"steps": 400, "batch": 32, "learning_rate": 3e-3},
        second={"steps": 64, "batch": 16, "learning_rate": 1e-3},
    ),
    "larger sums on Gemma 3 270M": Curve(
        "larger sums", model="gemma3-270m", sizes=(0, 16, 128, 1024),
        first={"steps": 240, "batch": 16, "learning_rate": 1e-3},
        second={"steps": 64, "batch": 16, "learning_rate": 5e-4},
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Arm:
    """What the model goes on from, and what it is trained on then.

    Attributes:
        start: the model as it is, or after English.
        which: of the curve's numbers of items: all, the fewest above 0 and the most, or the most alone.
        language: of the items.
        answers: the items' own, or exchanged among them.
    """

    start: Literal["base", "english"]
    which: Literal["all", "ends", "largest"] = "all"
    language: str = SECOND
    answers: Literal["right", "exchanged"] = "right"

    def sizes(self, curve: Curve) -> tuple[int, ...]:
        """Numbers of items on a curve, the largest last."""
        if self.which == "all":
            return curve.sizes
        return curve.sizes[-1:] if self.which == "largest" else (curve.sizes[1], curve.sizes[-1])


ARMS: dict[str, Arm] = {
    "from English": Arm("english"),
    "from base": Arm("base"),
    "from English, answers exchanged": Arm("english", "largest", answers="exchanged"),
    "from English, Spanish items": Arm("english", "ends", language=OTHER),
}


def recipe_of(seed: int, training: Mapping[str, Any], **changes: Any) -> Recipe:
    """What a training is done with."""
    record = {"name": "sums", "data": {"kind": "instructions", "template": "{instruction}"}}
    return recipe(record, **{**SETTINGS, **training, **changes}, seed=seed)


def english(model: HookedLM, name: str, seed: int, folder: Path, **changes: Any) -> Path:
    """The folder of the adapter that was trained on all English items; trained if it is not there.

    Args:
        model: which is trained.
        name: of `CURVES`.
        seed: of order and first weights.
        folder: where adapters lie.
        changes: of the recipe.
    """
    curve, out = CURVES[name], folder / _dashed(name) / f"english-{seed}"
    if not (out / WEIGHTS).exists():
        with timed(out):
            data = _data(examples(learnt(curve.skill, seed=seed), FIRST))
            ll.train(model, recipe_of(seed, curve.first, **changes), data=data, out=out, progress=False)
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


def file_of(folder: Path, curve: str, arm: str, size: int, seed: int) -> Path:
    """Where the losses after an arm lie."""
    return folder / _dashed(curve) / f"{_dashed(arm)}-{size}-{seed}.csv"


def _dashed(name: str) -> str:
    return name.replace(",", "").replace(" ", "-")


def measure(
    model: HookedLM,
    name: str,
    arm_name: str,
    size: int,
    seed: int,
    folder: Path,
    **changes: Any,
) -> None:
    """Train an arm with so many items and a seed, unless FOLDER has its losses.

    Args:
        model: which is trained.
        name: of `CURVES`.
        arm_name: of `ARMS`.
        size: number of items; 0 trains nothing after English.
        seed: of items, order and first weights.
        folder: where adapters and losses lie.
        changes: of both recipes.
    """
    curve, arm = CURVES[name], ARMS[arm_name]
    path = file_of(folder, name, arm_name, size, seed)
    if path.exists():
        return
    start = english(model, name, seed, folder, **changes) if arm.start == "english" else None
    chosen = recipe_of(seed, curve.second, **changes)
    path.parent.mkdir(parents=True, exist_ok=True)
    with timed(path), tempfile.TemporaryDirectory() as out:
        if size:
            going_on = chosen if start is None else chosen.changed(start=str(start))
            data = _data(items_of(arm, curve.skill, size, seed))
            tuned = ll.train(model, going_on, data=data, out=out, progress=False).on(model)
        else:
            tuned = model if start is None else TrainingResult.load(start).on(model)
        losses = answer_losses(tuned, asked(curve.skill), chosen, batch_tokens=_BATCH_TOKENS)
        write_text(path, losses.to_csv(index=False))


def _data(made: Sequence[TrainingExample]) -> TrainingData[TrainingExample]:
    return TrainingData(tuple(made), ())


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where adapters and losses lie, or will")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    options = measuring_options(parser, CURVES, what="curve")
    # fp32 for all: on a CPU it takes less time than bf16.
    models = {name: ll.load(name, dtype="fp32") for name in {CURVES[curve].model for curve in options.names}}
    for seed in options.seeds:
        for name in options.names:
            curve = CURVES[name]
            for arm_name, arm in ARMS.items():
                for size in arm.sizes(curve):
                    measure(models[curve.model], name, arm_name, size, seed, options.folder)


if __name__ == "__main__":
    main()
