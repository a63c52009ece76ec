"""A small set of experiments, one of each kind, for tests of `latentlang reproduce`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from latentlang.reproduction import experiments_folder

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


def write_smaller(folder: Path, paper: str, changes: Mapping[str, Mapping[str, Any]]) -> Path:
    """A copy of a shipped paper's experiments in which some have other fields.

    Args:
        folder: which is made; called as the paper is.
        paper: name of the paper.
        changes: name of an experiment to fields that take the place of its own.
    """
    shutil.copytree(experiments_folder(paper), folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for name, fields in changes.items():
        path = folder / f"{name}.yaml"
        record = yaml.safe_load(path.read_text(encoding="utf-8")) | fields
        path.write_text(yaml.safe_dump(record, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return folder
