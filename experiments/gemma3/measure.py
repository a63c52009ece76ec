"""Measure Gemma 3 270M: `python -m experiments.gemma3.measure FOLDER [STAGE ...]`.

Every step is saved into FOLDER by itself and is not done again, so that this can be stopped and started. Stages may run
beside each other, but for `geometry`, which reads what `states` wrote.

- ``lens``: word translation from five sources in four scripts into the 19 others of 20 languages, all items; and for
  four more seeds of the few-shot examples 50 items, which the seed draws too.
- ``candidates``: the same with the answer read in all 20 languages at once, 50 items.
- ``tasks``: accuracy and curves of sentiment, NLI and paraphrase, five seeds of the few-shot examples.
- ``states``: states of the articles of the Universal Declaration of Human Rights (``latentlang data get udhr``).
- ``geometry``: their PCA and alignment, in 20 languages and in all that have a translation.
- ``fertility``: tokens for the same articles.
- ``training``: question alignment, its controls, and the comparison of each with the model without it.
"""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path
from typing import Any

import latentlang as ll
from experiments.steps import measuring_options, step
from latentlang.models import HookedLM

MODEL = "gemma3-270m"
LANGUAGES = "paper20"
# Four scripts: Latin twice, Cyrillic, Han, Devanagari. A source in another script than English cannot be taken for
# English where a layer copies it.
SOURCES = ("fr", "de", "ru", "zh", "hi")
SEEDS = (0, 1, 2, 3, 4)
TASKS = ("sentiment", "nli", "paraphrase")
# Items per language: of the accuracy, of its curves, and of every run of translation but that of the first seed.
ASKED, READ, REPEATED = 40, 30, 50
# Adapters: 2e-4 is what LoRA is mostly trained with on small models; the paper's 5e-5 is for 7B and 10,000 pairs.
TRAINED: dict[str, dict[str, Any]] = {
    "zh+es-en": {"wrong_pairs": False, "validation": 0.05},
    "wrong-pairs": {"wrong_pairs": True, "validation": 0},
}
TRAINING: dict[str, Any] = {
    "per_pair": 250, "learning_rate": 2e-4, "epochs": 1, "batch": 8, "accumulation": 1,
    "target_modules": "all-linear", "rank": 16, "alpha": 32,
}  # fmt: skip
TRAINING_SEEDS = (0, 1, 2)
# Pools of a paragraph: its last token, and the mean over all but the beginning token.
POOLS = ("last", "mean_no_bos")
log = logging.getLogger(__name__)


def targets(source: str) -> list[str]:
    """What is translated into: all languages but the source."""
    return [language.code for language in ll.languages(LANGUAGES) if language.code != source]


def lens(model: HookedLM, folder: Path, text: str) -> None:
    """Curves of target, pivot and source with their nulls."""
    for seed in SEEDS:
        for source in SOURCES:
            task = ll.task("translation", source=source)
            path = folder / "lens" / f"{source}-{seed}"
            items = REPEATED if seed else None
            step(path, ll.logit_lens, model, task, languages=targets(source), items=items, seed=seed)


def candidates(model: HookedLM, folder: Path, text: str) -> None:
    """The answer in all languages, and which leads."""
    for source in SOURCES:
        task, path = ll.task("translation", source=source), folder / "candidates" / source
        asked = targets(source)
        step(path, ll.multilingual_lens, model, task, languages=asked, candidates=LANGUAGES, items=REPEATED)


def tasks(model: HookedLM, folder: Path, text: str) -> None:
    """What the model chooses, and what its layers would."""
    for seed in SEEDS:
        for name in TASKS:
            path = folder / "tasks" / f"{name}-{seed}"
            step(path, ll.evaluate, model, name, languages=LANGUAGES, items=ASKED, seed=seed)
    for name in TASKS:
        step(folder / "curves" / name, ll.logit_lens, model, name, languages=LANGUAGES, items=READ)


def languages_of(text: str) -> list[str]:
    """Languages of FLORES-101 that have a translation."""
    there = set(ll.task("continuation", data=text).languages)
    return [language.code for language in ll.languages("flores101") if language.code in there]


def states(model: HookedLM, folder: Path, text: str) -> None:
    """States of the same articles in every language."""
    task = ll.task("continuation", data=text)
    begun = time.perf_counter()
    ll.harvest(model, task, out=folder / "states", languages=languages_of(text), pools=POOLS)
    log.info("states: %.0f s", time.perf_counter() - begun)


def geometry(model: HookedLM, folder: Path, text: str) -> None:
    """PCA and alignment: 20 languages pair by pair, and all of them with English."""
    store, paper = folder / "states", [language.code for language in ll.languages(LANGUAGES)]
    step(folder / "pca-20", ll.pca, store, languages=paper, pools="mean_no_bos", components=3)
    step(folder / "pca-100", ll.pca, store, pools="mean_no_bos", components=3)
    step(folder / "alignment-20", ll.alignment, store, languages=paper)
    step(folder / "alignment-100", ll.alignment, store, pivot="en")
    step(folder / "alignment-length", ll.alignment, store, languages=paper, pivot="en", null="within-length")


def fertility(model: HookedLM, folder: Path, text: str) -> None:
    """Tokens for the same articles."""
    step(folder / "fertility", ll.fertility, model, text, languages=languages_of(text))


def training(model: HookedLM, folder: Path, text: str) -> None:
    """Question alignment, wrong pairs and no training at all, each against the model without it."""
    runs = [(name, seed) for seed in TRAINING_SEEDS for name in TRAINED]
    for name, seed in [("identity", 0), *runs]:
        adapter = folder / "adapters" / f"{name}-{seed}"
        begun = time.perf_counter()
        if name == "identity":
            ll.train(MODEL, name, out=adapter)
        else:
            ll.train(MODEL, "zh+es-en", out=adapter, seed=seed, **TRAINED[name], **TRAINING)
        log.info("%s: trained in %.0f s", adapter, time.perf_counter() - begun)
        ll.compare(
            MODEL,
            adapter=adapter,
            out=folder / "compared" / f"{name}-{seed}",
            items=30,
            evaluation_items=ASKED,
        )
        log.info("%s: compared after %.0f s", adapter, time.perf_counter() - begun)


STAGES = {
    "lens": lens, "candidates": candidates, "tasks": tasks, "states": states, "geometry": geometry,
    "fertility": fertility, "training": training,
}  # fmt: skip


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where results lie, or will")
    parser.add_argument("--text", default="udhr", help="folder of the declaration's translations")
    options = measuring_options(parser, STAGES)
    model = ll.load(MODEL)
    for name in options.names:
        STAGES[name](model, options.folder, options.text)


if __name__ == "__main__":
    main()
