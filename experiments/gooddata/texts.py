"""Is translated text told from native text in the layers? `python -m experiments.gooddata.texts GOODDATA OUT.csv`.

The answers of four Russian arms of Chen et al., of at most 400 characters, distinct and matched in length, are run
through Gemma 3 270M by themselves. Of each layer the mean over an answer's tokens is taken, and two arms are told apart
by ridge regression on what other items have (eight folds; both sides of a pair are in one fold). *Length out*: tokens,
their inverse and their logarithm are regressed out, fitted on the other folds too. Of arms with the same items the two
texts of an item are compared as well, by the difference of their means (*within items*): what an item is about is then
no help and no hindrance. Layer 0 is the mean of the tokens' embeddings: what can be told from which words there are.

Pairs of arms differ in one thing or more: native and its round trip have the same items and differ by translation;
round trip and translation from English are both Google's and differ by where the items are from; two engines translate
the same items; and native and translated differ in all of it. Texts with a letter that Ukrainian has and Russian does
not are left out with their pairs: five native items are Ukrainian, and no translation is.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

import latentlang as ll
from experiments.instructions.small_sets import native_arms
from experiments.steps import timed
from latentlang.models import HookedLM
from latentlang.stats.intervals import bootstrap_means, bootstrap_of_counts
from latentlang.storage.files import write_text

Floats = NDArray[np.float64]
MODEL = "gemma3-270m"
#: Arms that are told apart, and whether they have the same items.
PAIRS = (
    ("google", "native", False), ("cohere", "native", False), ("rtt-google", "native", True),
    ("google", "rtt-google", False), ("cohere", "google", True),
)  # fmt: skip
COLUMNS = (
    "one", "other", "same_items", "compared", "layer", "right", "low", "high", "null_high", "p", "p_layers", "n",
)  # fmt: skip
FOLDS, EXCHANGES = 8, 500
_UKRAINIAN = frozenset("іїєґІЇЄҐ")
_POOL = "mean_no_bos"
_TINY = 1e-9


def answers(gooddata: Path, *, items: int) -> dict[str, list[str]]:
    """The answers of each arm, matched in length; those of one place are of one item, native or English.

    Args:
        gooddata: folder of the authors' files.
        items: of each arm, before texts with Ukrainian letters are left out.
    """
    small = native_arms(gooddata, items=items)
    texts = {name: [one.output for one in dialogues] for name, dialogues in small.arms.items()}
    kept = [
        place for place in range(items) if not any(_UKRAINIAN & set(each[place]) for each in texts.values())
    ]
    return {name: [each[place] for place in kept] for name, each in texts.items()}


def means(model: HookedLM, texts: Sequence[str]) -> tuple[Floats, Floats]:
    """Mean over the tokens of each text after each layer, ``[layer, text, d_model]``, and the numbers of tokens."""
    rows = np.zeros((model.n_layers + 1, len(texts), model.d_model))
    tokens = np.zeros(len(texts))
    for batch in model.iter_activations(texts, layers="all", pools=_POOL, logits=False):
        places = batch.index.numpy()
        rows[:, places] = batch.resid.double().cpu().numpy().transpose(1, 0, 2)
        tokens[places] = batch.lengths.numpy()
    return rows, tokens


def told_apart(
    one: Floats, other: Floats, lengths: tuple[Floats, Floats] | None, *, same_items: bool, seed: int = 0
) -> pd.DataFrame:
    """How well each layer tells two kinds of text apart, on items that the fit has not seen.

    Args:
        one: ``[layer, text, d]`` of one kind.
        other: as many of the other; of one place are of one item where `same_items`.
        lengths: tokens of each text of both kinds, to be regressed out; None to leave them in.
        same_items: whether labels are exchanged within items for the null, or among all texts.
        seed: of folds, exchanges and resamples.

    Returns:
        One row per layer: ``layer, right, low, high``: of two texts, one of each kind, how often the first kind's
        scores higher (the area under the ROC curve; 95%, bootstrap over items); ``null_high`` (95% of exchanges are
        below), ``p``, ``p_layers`` (against the largest of all layers), ``n``.
    """
    n = one.shape[1]
    folds, draw = _folds(n, seed)
    labels = _exchanged(n, same_items=same_items, draw=draw)
    controls = None if lengths is None else _terms(np.concatenate(lengths))
    found = []
    for layer in range(len(one)):
        features = np.concatenate([one[layer], other[layer]])
        scores = _held_out_scores(features, controls, labels, np.concatenate([folds, folds]))
        found.append((_areas(scores, labels), _area_interval(scores[:n, 0], scores[n:, 0], seed)))
    return _table(found, n)


def told_within_items(
    one: Floats, other: Floats, lengths: tuple[Floats, Floats], *, seed: int = 0
) -> pd.DataFrame:
    """The same of the two texts of each item: how often the first kind's scores higher, lengths taken out.

    Args:
        one: ``[layer, item, d]``.
        other: the same items.
        lengths: tokens of each text.
        seed: as of `told_apart`.
    """
    n = one.shape[1]
    folds, draw = _folds(n, seed)
    labels = _exchanged(n, same_items=True, draw=draw)[:n]
    controls = (_terms(lengths[0]) - _terms(lengths[1]))[:, 1:]
    found = []
    for layer in range(len(one)):
        scores = _held_out_scores(one[layer] - other[layer], controls, labels, folds, centred=False)
        right = scores * labels > 0
        found.append((right.mean(0), _mean_interval(right[:, 0].astype(float), seed)))
    return _table(found, n)


def _folds(n: int, seed: int) -> tuple[NDArray[np.int64], np.random.Generator]:
    draw = np.random.default_rng(seed)
    return draw.permutation(n) % FOLDS, draw


def _table(found: Sequence[tuple[Floats, tuple[float, float]]], n: int) -> pd.DataFrame:
    """Of each layer the share as it is, then of each exchange; and its interval."""
    largest = np.max([shares[1:] for shares, _ in found], axis=0)
    rows = [
        {
            "layer": layer, "right": shares[0], "low": low, "high": high, "null_high": np.quantile(shares[1:], 0.95),
            "p": (1 + (shares[1:] >= shares[0]).sum()) / len(shares),
            "p_layers": (1 + (largest >= shares[0]).sum()) / len(shares), "n": n,
        }
        for layer, (shares, (low, high)) in enumerate(found)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _exchanged(n: int, *, same_items: bool, draw: np.random.Generator) -> Floats:
    """Labels 1 and -1, ``[text of both kinds, exchange]``; the first column is as it is."""
    real = np.repeat([1.0, -1.0], n)
    columns = [real]
    for _ in range(EXCHANGES):
        if same_items:
            signs = draw.choice([1.0, -1.0], size=n)
            columns.append(np.concatenate([signs, -signs]))
        else:
            columns.append(draw.permutation(real))
    return np.stack(columns, 1)


def _terms(tokens: Floats) -> Floats:
    return np.stack([np.ones_like(tokens), tokens, 1 / tokens, np.log(tokens)], 1)


def _held_out_scores(
    features: Floats,
    controls: Floats | None,
    labels: Floats,
    folds: NDArray[np.int64],
    *,
    centred: bool = True,
) -> Floats:
    """Ridge scores of every text from the texts of other folds, ``[text, exchange]``."""
    scores = np.zeros_like(labels)
    for fold in range(FOLDS):
        tested = folds == fold
        learnt = ~tested
        train, test = features[learnt], features[tested]
        if controls is not None:
            fitted = np.linalg.lstsq(controls[learnt], train, rcond=None)[0]
            train, test = train - controls[learnt] @ fitted, test - controls[tested] @ fitted
        centre, spread = train.mean(0) * centred, train.std(0) + _TINY
        train, test = (train - centre) / spread, (test - centre) / spread
        kernel = train @ train.T
        ridge = np.trace(kernel) / len(kernel)
        own = labels[learnt]
        weights = np.linalg.solve(kernel + ridge * np.eye(len(kernel)), own - own.mean(0) * centred)
        scores[tested] = test @ train.T @ weights
    return scores


def _areas(scores: Floats, labels: Floats) -> Floats:
    """How often a text of the first kind scores above one of the other, ``[exchange]``; as many of either kind."""
    n = len(scores) // 2
    ranks = pd.DataFrame(scores).rank().to_numpy()
    areas: Floats = (np.where(labels > 0, ranks, 0.0).sum(0) - n * (n + 1) / 2) / n**2
    return areas


def _area_interval(one: Floats, other: Floats, seed: int) -> tuple[float, float]:
    """Of the area, with items drawn: both texts of a place together."""
    above = (one[:, None] > other).astype(float) + (one[:, None] == other) / 2

    def area(counts: Floats) -> Floats:
        values: Floats = ((counts @ above) * counts).sum(1) / counts.sum(1) ** 2
        return values

    return bootstrap_of_counts(area, len(one), seed=seed)


def _mean_interval(values: Floats, seed: int) -> tuple[float, float]:
    low, high = bootstrap_means(values[:, None], seed=seed)
    return float(low[0]), float(high[0])


def measure(model: HookedLM, texts: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """All pairs of arms, lengths left in and taken out; columns of `COLUMNS`."""
    read = {name: means(model, each) for name, each in texts.items()}
    parts = []
    for one, other, same_items in PAIRS:
        (first, first_tokens), (second, second_tokens) = read[one], read[other]
        lengths = first_tokens, second_tokens
        tables = {
            "texts": told_apart(first, second, None, same_items=same_items),
            "texts, length out": told_apart(first, second, lengths, same_items=same_items),
        }
        if same_items:
            tables["within items, length out"] = told_within_items(first, second, lengths)
        parts += [
            table.assign(one=one, other=other, same_items=same_items, compared=compared)
            for compared, table in tables.items()
        ]
    return pd.concat(parts, ignore_index=True)[list(COLUMNS)].round(4)


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("gooddata", type=Path, help="folder of the files of Chen et al.")
    parser.add_argument("out", type=Path, help="CSV file")
    parser.add_argument("--items", type=int, default=120, help="of each arm")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    texts = answers(options.gooddata, items=options.items)
    with timed("loading"):
        model = ll.load(MODEL, dtype="bf16")
    with timed("measuring"):
        write_text(options.out, measure(model, texts).to_csv(index=False))


if __name__ == "__main__":
    main()
