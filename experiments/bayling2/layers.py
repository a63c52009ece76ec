"""What the layers of `pocket` show of the arms: `python -m experiments.bayling2.layers CACHE FOLDER [MEASURE ...]`.

The arms are those of fig10.yaml, trained and kept in CACHE by ``latentlang reproduce bayling2 --only fig10 --cache
CACHE``. Of the model before training and after each arm and seed FOLDER keeps

- ``lens``: English's and Chinese's words, and those of two languages that no arm has, at every layer, where words of
  French are translated into the seven languages; right words against wrong ones;
- ``alignment``: how well the seven languages' words find their translations in English and Chinese, by vectors at the
  answer position of every layer, beside words unpaired.

What is there is not measured again.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import latentlang as ll
from experiments.instructions.world_arms import TRAINED
from experiments.steps import measuring_options, step
from latentlang.geometry import AlignmentResult
from latentlang.lens import MultilingualLensResult
from latentlang.models import HookedLM
from latentlang.reproduction.kinds.arms import TrainArm
from latentlang.results import Result

PIVOTS = ("en", "zh")
LANGUAGES = tuple(code for code in TRAINED if code != "zh")
#: Languages whose words are read beside the pivots'; no arm has them.
CONTROLS = ("de", "pl")
ITEMS = 40
BEFORE = "before"


def read_layers(model: HookedLM, *, items: int = ITEMS) -> MultilingualLensResult:
    """Words of pivots and controls at every layer, while French is translated into the seven languages."""
    return ll.multilingual_lens(
        model,
        "translation",
        languages=LANGUAGES,
        candidates=(*PIVOTS, *CONTROLS),
        items=items,
        progress=False,
    )


def align_layers(model: HookedLM, *, items: int = ITEMS) -> AlignmentResult:
    """How well the words of the seven languages find their translations in the pivots."""
    with tempfile.TemporaryDirectory() as folder:
        store = ll.harvest(
            model, "repetition", out=Path(folder) / "store", languages=(*LANGUAGES, *PIVOTS), items=items,
            pools="last", progress=False,
        )  # fmt: skip
        return ll.alignment(store, measures="retrieval", progress=False)


MEASURES: dict[str, Callable[[HookedLM], Result[Any]]] = {"lens": read_layers, "alignment": align_layers}


def trained(cache: Path) -> Iterator[tuple[str, int, Path | None]]:
    """Name, seed and adapter of the model before training and of each arm whose training is in the cache."""
    planned = ll.reproduction.plan("bayling2", only="fig10", cache=cache)
    yield BEFORE, 0, None
    for planned_step in planned.needed:
        if isinstance(planned_step, TrainArm) and planned.is_there(planned_step):
            yield planned_step.arm, planned_step.seed, cache / planned.keys.name(planned_step)


def run_name(arm: str, seed: int) -> str:
    """Folder of what is measured after an arm and seed."""
    return f"{arm.replace(' ', '-')}-{seed}"


def main() -> None:
    """Measure what is not measured yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cache", type=Path)
    parser.add_argument("folder", type=Path)
    options = measuring_options(parser, MEASURES)
    for arm, seed, adapter in trained(options.cache):
        model = ll.load("pocket", adapter=adapter)
        for name in options.names:
            step(options.folder / name / run_name(arm, seed), MEASURES[name], model)


if __name__ == "__main__":
    main()
