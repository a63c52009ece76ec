"""Measure Gemma 3 270M: `python -m experiments.gemma3.measure FOLDER [STAGE ...]`.

Every step is saved into FOLDER by itself and is not done again, so that this can be stopped and started. Two stages may
run beside each other. Times are CPU minutes on one thread.

- ``lens`` (100): word translation from four sources in four scripts into the 19 others of 20 languages, all items, five seeds of the
  few-shot examples.
- ``candidates`` (30): the same with the answer read in all 20 languages at once, one seed.
- ``tasks`` (60): accuracy and curves of sentiment, NLI and paraphrase.
- ``declaration`` (15): states of the articles of the Universal Declaration of Human Rights (`latentlang data get udhr`)
  in 20 and 100 languages; their PCA and alignment.
- ``fertility`` (1): tokens for the same articles.
- ``training`` (60): question alignment, its controls, and the comparison of each with the model without it.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import latentlang as ll
from latentlang.models import HookedLM
from latentlang.results import Result

MODEL = "gemma3-270m"
LANGUAGES = "paper20"
# Four scripts: Latin twice, Cyrillic, Han, Devanagari. A source in another script than
# English cannot be taken for English where a layer copies it.
SOURCES = ("fr", "de", "ru", "zh", "hi")
SEEDS = (0, 1, 2, 3, 4)
log = logging.getLogger(__name__)


def step(path: Path, run: Callable[..., Result[Any]], *arguments: Any, **options: Any) -> None:
    """Save what `run` gives at `path`, unless that is there."""
    if (path / "metadata.json").exists():
        return
    begun, cpu = time.perf_counter(), time.process_time()
    run(*arguments, **options).save(path)
    log.info("%s: %.0f s, %.0f CPU s", path, time.perf_counter() - begun, time.process_time() - cpu)


def targets(source: str) -> list[str]:
    """What is translated into: all languages but the source."""
    return [language.code for language in ll.languages(LANGUAGES) if language.code != source]


def lens(model: HookedLM, folder: Path) -> None:
    """Curves of target, pivot and source with their nulls."""
    for seed in SEEDS:
        for source in SOURCES:
            task = ll.task("translation", source=source)
            step(
                folder / "lens" / f"{source}-{seed}",
                ll.logit_lens,
                model,
                task,
                languages=LANGUAGES,
                seed=seed,
            )


def candidates(model: HookedLM, folder: Path) -> None:
    """The answer in all languages, and which leads."""
    for source in SOURCES:
        task = ll.task("translation", source=source)
        step(
            folder / "candidates" / source,
            ll.multilingual_lens,
            model,
            task,
            languages=LANGUAGES,
            candidates=LANGUAGES,
        )


STAGES = {"lens": lens, "candidates": candidates}


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where results lie, or will")
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"of {', '.join(STAGES)}; all by default")
    options = parser.parse_args()
    for name in options.stages or STAGES:
        if name not in STAGES:
            parser.error(f"there is no stage {name!r}; there are {', '.join(STAGES)}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    model = ll.load(MODEL)
    for name in options.stages or STAGES:
        STAGES[name](model, options.folder)


if __name__ == "__main__":
    main()
