"""What models use of what can be read in them: `python -m experiments.interventions.measure FOLDER [STAGE ...]`.

Every step is saved into FOLDER/MODEL by itself and is not done again, so that this can be stopped and started.

- ``pivot-use``: whether English words are used on the way, from three sources into five languages, three seeds.
- ``barrier``: wrong answers whose right answer could be read inside, from two sources, three seeds.
- ``steering``: the direction of a language added while the model writes, three languages, three seeds.
- ``patching``: activations patched between pairs of languages, at the last token and at the word, three seeds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import latentlang as ll
from experiments.steps import measuring_options, step
from latentlang.models import HookedLM

# The embedded model whose training made English a hub, the same without, and a real one.
MODELS = ("pocket", "pocket-control", "gemma3-270m")
SEEDS = (0, 1, 2)
# Items of patching; the test of a pivot's use keeps only those that the model answers rightly, and takes all.
ITEMS = 40
# Sources in three scripts; targets in four.
SOURCES, TARGETS = ("fr", "ru", "zh"), ("de", "es", "ja", "hi", "ru")
# Pairs that activations come from, and the pair of the prompts; of several sources the mean.
PATCHED = (("es-ru", "fr-ja"), ("de-it", "fr-zh"), ("ru-de", "hi-es"), ("es-ru,de-it,zh-hi", "fr-ja"))
PLACES = ("last", "object")
# Steering: wanted languages, items of both halves together, and the grid: layers around two thirds of the depth.
WANTED, STEERED_ITEMS, STRENGTHS = ("ja", "de", "hi"), 48, (0.1, 0.25, 0.5, 1.0)
STEERED_LAYERS = {"gemma3-270m": (9, 11, 13, 15)}
# Barrier: sources whose words no English word begins like, and one whose words some do.
BARRIER_SOURCES = ("ru", "fr")


def pivot_use(model: HookedLM, folder: Path) -> None:
    """Whether English is used on the way."""
    for seed in SEEDS:
        for source in SOURCES:
            asked = [code for code in TARGETS if code != source]
            task = ll.task("translation", source=source)
            path = folder / "pivot-use" / f"{source}-{seed}"
            step(path, ll.pivot_test, model, task, languages=asked, seed=seed)


def patching(model: HookedLM, folder: Path) -> None:
    """Which layer fixes the language, and which the concept."""
    for seed in SEEDS:
        for source, target in PATCHED:
            for at in PLACES:
                path = folder / "patching" / f"{source}-{target}-{at}-{seed}"
                step(path, ll.patch, model, source=source, target=target, at=at, items=ITEMS, seed=seed)


def barrier(model: HookedLM, folder: Path) -> None:
    """How many wrong answers were right inside."""
    for seed in SEEDS:
        for source in BARRIER_SOURCES:
            asked = [code for code in TARGETS if code != source]
            task = ll.task("translation", source=source)
            path = folder / "barrier" / f"{source}-{seed}"
            step(path, ll.translation_barrier, model, task, languages=asked, items=ITEMS, seed=seed)


def steering(model: HookedLM, folder: Path) -> None:
    """Whether adding the direction of a language makes the model write in it, and say the same."""
    for seed in SEEDS:
        for wanted in WANTED:
            path = folder / "steering" / f"{wanted}-{seed}"
            layers = STEERED_LAYERS.get(folder.name)
            step(
                path, ll.steer, model, language=wanted, layers=layers, strengths=STRENGTHS, items=STEERED_ITEMS,
                seed=seed,
            )  # fmt: skip


STAGES = {"pivot-use": pivot_use, "patching": patching, "barrier": barrier, "steering": steering}


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where results lie, or will")
    parser.add_argument("--models", nargs="+", default=MODELS, metavar="MODEL", help="short names")
    options = measuring_options(parser, STAGES)
    for model_name in options.models:
        model = ll.load(model_name)
        for name in options.names:
            STAGES[name](model, options.folder / model_name)


if __name__ == "__main__":
    main()
