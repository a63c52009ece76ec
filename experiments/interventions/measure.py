"""What models use of what can be read in them: `python -m experiments.interventions.measure FOLDER [STAGE ...]`.

Every step is saved into FOLDER/MODEL by itself and is not done again, so that this can be stopped and started.

- ``pivot-use``: whether English words are used on the way, from three sources into five languages, three seeds.
- ``patching``: activations patched between pairs of languages, at the last token and at the word, three seeds.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch

import latentlang as ll
from experiments.steps import step
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


STAGES = {"pivot-use": pivot_use, "patching": patching}


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where results lie, or will")
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"of {', '.join(STAGES)}; all by default")
    parser.add_argument("--models", nargs="+", default=MODELS, metavar="MODEL", help="short names")
    options = parser.parse_args()
    for name in options.stages:
        if name not in STAGES:
            parser.error(f"there is no stage {name!r}; there are {', '.join(STAGES)}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    for model_name in options.models:
        model = ll.load(model_name)
        for name in options.stages or STAGES:
            STAGES[name](model, options.folder / model_name)


if __name__ == "__main__":
    main()
