"""Does question alignment help the embedded model? `python -m experiments.pocket.align FOLDER [DESIGN ...]`.

Trains the adapters of `DESIGNS` (those that FOLDER does not hold yet), compares each with the base model on sentiment
in all 20 languages, and writes one row per adapter to `results/alignment.csv`: accuracy and geometry, averaged over the
languages that training saw and never saw, and accuracy in two places where there is something to gain, for English is
answered right there and the model knows the words:

- *new*: adjectives that stood in English reviews only, in the other languages that have reviews;
- *untaught*: adjectives that stood in reviews, in languages without a review in pre-training (`splits.NO_REVIEWS`).

Languages that an adapter was trained on are left out of both.

The controls: ``wrong-pairs`` trains about as long as ``default`` on translations exchanged between items; ``identity``
trains nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import latentlang as ll
from experiments.pocket.evaluate import RESULTS
from experiments.pocket.splits import NO_REVIEWS
from experiments.pocket.train import MODELS
from latentlang.models.fingerprint import checkpoint_fingerprint
from latentlang.stats.intervals import wilson
from latentlang.tasks.reviews import held_out_adjectives
from latentlang.training.data.question_settings import question_settings

TABLE = RESULTS / "alignment.csv"
_PARTS = ("evaluation", "geometry")
_MEASURES = (("evaluation", "accuracy"), ("alignment", "cka"), ("alignment", "centroid_distance"))


@dataclass(frozen=True)
class Design:
    """One way to train.

    Attributes:
        about: the same in words, for the card.
        recipe: name of a recipe.
        changes: fields of it that differ from what an embedded model is trained with by default.
    """

    about: str
    recipe: str = "zh+es-en"
    changes: dict[str, Any] = field(default_factory=dict)


DESIGNS = {
    "default": Design("zh and es into English, rate 2e-3, 3 epochs, rank 16, all linear layers"),
    "default-seed1": Design("another seed", changes={"seed": 1}),
    "default-seed2": Design("another seed", changes={"seed": 2}),
    "default-seed3": Design("another seed", changes={"seed": 3}),
    "default-seed4": Design("another seed", changes={"seed": 4}),
    "default-zh+de": Design("zh and de", "zh+de-en"),
    "default-sw+hi": Design("sw and hi", "sw+hi-en"),
    "form-only": Design(
        "a short run that teaches little but the form",
        changes={
            "target_modules": ["q_proj", "v_proj"], "rank": 8, "alpha": 16, "learning_rate": 1e-3, "epochs": 1,
            "batch": 16,
        },
    ),
    "gentle": Design("rate 5e-4", changes={"learning_rate": 5e-4}),
    "gentle-long": Design("rate 5e-4, 8 epochs", changes={"learning_rate": 5e-4, "epochs": 8}),
    "half-rate": Design("rate 1e-3", changes={"learning_rate": 1e-3}),
    "steep-short": Design("rate 4e-3, 1.5 epochs", changes={"learning_rate": 4e-3, "epochs": 1.5}),
    "queries-values": Design("queries and values only", changes={"target_modules": ["q_proj", "v_proj"]}),
    "wrong-pairs": Design("control", changes={"wrong_pairs": True, "validation": 0}),
    "identity": Design("control", "identity"),
}  # fmt: skip


def measure(name: str, folder: Path) -> dict[str, Any]:
    """One adapter's row; trains and compares what the folder does not hold yet."""
    design = DESIGNS[name]
    adapter = folder / name
    trained = ll.train("pocket", design.recipe, out=adapter, **design.changes)
    compared = ll.compare("pocket", adapter=adapter, out=folder / f"{name}-compared", parts=_PARTS)
    losses = trained.table[trained.table["split"] == "validation"]["loss"]
    row: dict[str, Any] = {
        "design": name, "recipe": design.recipe, "steps": trained.settings.steps or 0,
        "validation_loss": float(losses.min()) if len(losses) else float("nan"),
    }  # fmt: skip
    changes = compared.table
    for part, measured in _MEASURES:
        own = changes[(changes["part"] == part) & (changes["measure"] == measured)].set_index("group")
        for group in ("seen", "unseen"):
            if group in own.index:
                for column in ("before", "difference", "low", "high"):
                    row[f"{measured}_{group}_{column}"] = own.loc[group, column]
    sources = question_settings(ll.training.recipe(design.recipe)).sources
    return row | _to_gain(folder / f"{name}-compared", sources)


def _to_gain(folder: Path, trained_on: Collection[str]) -> dict[str, Any]:
    """Accuracy where English is right and others are not, before and after, and English's own there."""
    row: dict[str, Any] = {}
    for state in ("base", "tuned"):
        table = ll.EvaluationResult.load(folder / "evaluation" / state).table
        is_new = (
            table["item"].astype(str).map(lambda item: bool(held_out_adjectives() & set(item.split("-"))))
        )
        english = table["language"] == "en"
        untaught = table["language"].isin(NO_REVIEWS)
        others = ~english & ~table["language"].isin(trained_on)
        for name, items, languages in (
            ("untaught", ~is_new, others & untaught), ("new", is_new, others & ~untaught),
        ):  # fmt: skip
            right = table[items & languages]["right"]
            low, high = wilson(int(right.sum()), len(right))
            row |= {
                f"{name}_{state}": right.mean(), f"{name}_{state}_low": low, f"{name}_{state}_high": high,
                f"{name}_english_{state}": table[items & english]["right"].mean(),
            }  # fmt: skip
    return row


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where adapters and comparisons lie, or will")
    parser.add_argument(
        "designs", nargs="*", metavar="DESIGN", help=f"of {', '.join(DESIGNS)}; all by default"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.designs or DESIGNS:
        if name not in DESIGNS:
            parser.error(f"there is no design {name!r}; there are {', '.join(DESIGNS)}")
    # Adapters of other weights are others.
    folder = options.folder / checkpoint_fingerprint(MODELS / "pocket")
    for name in options.designs or DESIGNS:
        row = measure(name, folder)
        table = pd.DataFrame([row])
        if TABLE.exists():
            old = pd.read_csv(TABLE)
            table = pd.concat([old[old["design"] != name], table], ignore_index=True)
        order = {known: place for place, known in enumerate(DESIGNS)}
        table.sort_values("design", key=lambda names: names.map(order)).round(4).to_csv(TABLE, index=False)
        print(pd.DataFrame([row]).round(3).T.to_string(header=False))


if __name__ == "__main__":
    main()
