"""Tables of what was measured after Bactrian-X: `python -m experiments.bactrianx.tables OUT [TRACES]`.

OUT is the folder that `latentlang reproduce bactrianx --model gemma3-270m --out OUT` wrote, TRACES that of
`experiments.bactrianx.measure`. Into figures/bactrianx go the cells that were computed, a table for each of the paper's
(``table5.csv``); ``alignment.csv``, alignment against tokens, from tables that were measured for docs/gemma.md;
``answers.csv`` and ``layers.csv``, in which language answers are, and which the layers would write.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from experiments.bactrianx.measure import ARMS, BASE, LANGUAGES, SEEDS, run_name
from experiments.gemma3.tables import FIGURES as GEMMA
from experiments.steps import computed, is_saved, write_table
from latentlang.causal import TraceResult
from latentlang.stats.intervals import bootstrap_means, percentiles

FIGURES = Path(__file__).parents[2] / "figures" / "bactrianx"
#: The paper's tables of which cells are computed.
COMPUTED = ("table1-ratio", "table5", "table7", "table8")
#: Layers of Gemma 3 270M between which alignment is compared, and the measure.
LAYERS, MEASURE = (6, 9, 11, 14, 18), "csls_ab"
#: The languages of an answer: that asked in, English, another of those told apart, none of them.
_KINDS = ("asked", "English", "another", "unknown")
#: New tokens of an answer whose layers are read: what it begins with.
BEGINNING = 8
_DRAWS = 2000


def tokens_and_alignment() -> pd.DataFrame:
    """Tokens relative to English and the alignment with it, a row a language and layer; index: codes, not English's.

    Columns ``script, relative, layer, value, null_mean``.
    """
    aligned = pd.read_csv(GEMMA / "alignment-by-language.csv").set_index("language")
    aligned = aligned.loc[aligned["measure"] == MEASURE, ["layer", "value", "null_mean"]]
    tokens = pd.read_csv(GEMMA / "fertility.csv").set_index("language")[["script", "relative"]]
    return tokens.join(aligned, how="inner").drop(index="en", errors="ignore")


def alignment(layers: Sequence[int] = LAYERS) -> pd.DataFrame:
    """Rank correlation over languages of their alignment with English and the tokens they take, by layer.

    Columns ``scope, layer, n, rho, low, high, p``: bootstrap interval over languages, and the share of permutations of
    the languages whose correlation is as far from 0.
    """
    joined, rows = tokens_and_alignment(), []
    for layer in layers:
        both = joined[joined["layer"] == layer]
        for scope, part in (("all", both), ("Latin script", both[both["script"] == "Latn"])):
            rows.append({"scope": scope, "layer": layer, **_correlation(part["relative"], part["value"])})
    return pd.DataFrame(rows)


def _correlation(one: pd.Series, other: pd.Series) -> dict[str, float]:
    """Spearman's, with its interval and a permutation test."""
    values = np.stack([one.to_numpy(float), other.to_numpy(float)])
    draw, n = np.random.default_rng(0), values.shape[1]
    found = float(_rho(values[0][:, None], values[1][:, None])[0])
    drawn = draw.integers(0, n, (n, _DRAWS))
    low, high = percentiles(_rho(values[0][drawn], values[1][drawn]), level=0.95)
    order = draw.permuted(np.tile(np.arange(n)[:, None], _DRAWS), axis=0)
    chance = _rho(np.tile(values[0][:, None], _DRAWS), values[1][order])
    as_far = int((np.abs(chance) >= abs(found)).sum())
    return {"n": n, "rho": found, "low": float(low), "high": float(high), "p": (as_far + 1) / (_DRAWS + 1)}


def _rho(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spearman's correlation of each column ``[language, draw]`` with the other's."""
    ranks = [pd.DataFrame(values).rank().to_numpy() for values in (one, other)]
    first, second = (part - part.mean(axis=0) for part in ranks)
    found: NDArray[np.float64] = (first * second).sum(0) / np.sqrt((first**2).sum(0) * (second**2).sum(0))
    return found


def traces(folder: Path) -> Iterator[tuple[str, int, TraceResult]]:
    """The traces that are there: arm, seed, result."""
    for arm in (BASE, *ARMS):
        for seed in SEEDS:
            path = folder / run_name(arm, seed) / "trace"
            if is_saved(path) and (arm != BASE or seed == SEEDS[0]):
                yield arm, seed, TraceResult.load(path)


def asked_in(result: TraceResult, codes: Sequence[str]) -> list[str]:
    """The languages that a trace's prompts ask for, of these."""
    return [code for code in codes if code in result.settings.asked]


def answers(folder: Path) -> pd.DataFrame:
    """In which language new tokens are: shares of those of an answer, mean over answers with an interval over them."""
    rows = []
    for arm, seed, result in traces(folder):
        for code in asked_in(result, LANGUAGES):
            shares = np.array([
                _shares(result, prompt, code)
                for prompt, asked in enumerate(result.settings.asked) if asked == code
            ])  # fmt: skip
            low, high = bootstrap_means(shares, least=0, most=1)
            for place, kind in enumerate(_KINDS):
                rows.append({
                    "arm": arm, "seed": seed, "language": code, "kind": kind, "n": len(shares),
                    "share": shares[:, place].mean(), "low": low[place], "high": high[place],
                })  # fmt: skip
    return pd.DataFrame(rows)


def _shares(result: TraceResult, prompt: int, asked: str) -> list[float]:
    """Shares of an answer's tokens by `_KINDS`; of an English question all its English tokens are of the one asked."""
    owners = list(result.tokens(prompt)["token_language"])
    kinds = [
        "unknown" if not owner else "asked" if owner == asked else "English" if owner == "en" else "another"
        for owner in owners
    ]
    return [kinds.count(kind) / len(kinds) if kinds else float("nan") for kind in _KINDS]


def layers(folder: Path) -> pd.DataFrame:
    """Mass on tokens of the language asked in and on English ones before an answer's first tokens, by layer.

    Less the mean of the same at text in other languages; a mean over an answer's tokens, then over answers, with a
    bootstrap interval over these.
    """
    rows = []
    for arm, seed, result in traces(folder):
        table = result.table[result.table["step"] < BEGINNING]
        table = table.assign(above=table["mass"] - table["null"])
        asked = table["prompt"].map(dict(enumerate(result.settings.asked)))
        for code in asked_in(result, LANGUAGES[1:]):
            for kind, language in (("asked", code), ("English", "en")):
                part = table[(asked == code) & (table["language"] == language)]
                wide = part.pivot_table(index="prompt", columns="layer", values="above", aggfunc="mean")
                low, high = bootstrap_means(wide.to_numpy(float))
                for place, layer in enumerate(wide.columns):
                    rows.append({
                        "arm": arm, "seed": seed, "language": code, "kind": kind, "layer": layer, "n": len(wide),
                        "above": wide[layer].mean(), "low": low[place], "high": high[place],
                    })  # fmt: skip
    return pd.DataFrame(rows)


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="what `latentlang reproduce bactrianx` wrote")
    parser.add_argument("traces", type=Path, nargs="?", help="what `experiments.bactrianx.measure` saved")
    options = parser.parse_args()
    for name in COMPUTED:
        write_table(FIGURES, name, computed(options.out, name))
    write_table(FIGURES, "alignment", alignment())
    if options.traces is not None:
        write_table(FIGURES, "answers", answers(options.traces))
        write_table(FIGURES, "layers", layers(options.traces))


if __name__ == "__main__":
    main()
