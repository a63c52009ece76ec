"""A small set of experiments, one of each kind, for tests of `latentlang reproduce`."""

from __future__ import annotations

from pathlib import Path

#: The folder of the reference paper's experiments.
SPONTANEOUS = Path(__file__).parents[2] / "experiments" / "spontaneous"

_SUITE = """
title: A small paper
order: [acc, modes, pear, curves, points]
embedded: {items: {sentiment: 10}, permutations: 20, resamples: 20}
size: {items: {sentiment: 10}, permutations: 20, resamples: 20}
"""
_EXPERIMENTS = {
    "acc": "{title: accuracies, source: Table A, kind: accuracy, models: [mistral], recipes: [base, sw+hi-en],"
    " languages: [en, de, sw]}",
    "modes": "{title: kinds of answers, source: Table B, kind: accuracy, models: [mistral], recipes: [base, sw+hi-en],"
    " languages: [en, de, sw], answers: [en, same], columns: answers}",
    "pear": "{title: correlations, source: Table C, kind: pearson, models: [mistral], recipes: [sw+hi-en],"
    " answers: [same], languages: [en, de, sw], layers: [20], depth: 32, pairs: [en-de, de-sw]}",
    "curves": "{title: curves, source: Figure A, kind: lens, models: [mistral], recipes: [sw+hi-en], answers: [same],"
    " languages: [ja, sw]}",
    "points": "{title: points, source: Figure B, kind: pca, models: [mistral], recipes: [sw+hi-en], answers: [same],"
    " languages: [en, de], layers: [20, last], depth: 32}",
}


def write_suite(folder: Path, suite: str = _SUITE, **changed: str) -> Path:
    """A folder of experiments; `changed` ones are written otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "suite.yaml").write_text(suite, encoding="utf-8")
    for name, text in {**_EXPERIMENTS, **changed}.items():
        (folder / f"{name}.yaml").write_text(text + "\n", encoding="utf-8")
    return folder
