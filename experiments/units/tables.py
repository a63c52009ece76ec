"""The tables of docs/units.md from what `measure` saved: `python -m experiments.units.tables FOLDER`.

One CSV file each in figures/units/; what FOLDER does not hold yet is left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd

import latentlang as ll
from experiments.steps import is_saved, stacked
from experiments.units.measure import LANGUAGES, ablated_numbers
from latentlang.units.neurons_result import FDR

FIGURES = Path(__file__).parents[2] / "figures" / "units"


def there(folder: Path, name: str) -> Iterator[tuple[str, Path]]:
    """The models that a step was measured on, and where it lies."""
    for model in LANGUAGES:
        path = folder / model / name
        if is_saved(path):
            yield model, path


def neurons(folder: Path) -> pd.DataFrame:
    """Neurons of each language, and how much of the selection stays over fewer tokens (Jaccard)."""
    parts = []
    for model, path in there(folder, "neurons"):
        result = ll.NeuronsResult.load(path)
        rows = result.summary().assign(model=model)
        rows["tokens"] = rows["language"].map(result.settings.counted)
        members = result.members()
        rows["median_entropy"] = [
            result.select().query("language == @code")["entropy"].median() for code in rows["language"]
        ]
        for which in ("inside", "shared"):
            other = folder / model / f"neurons-{which}"
            if not is_saved(other):
                continue
            fewer = ll.NeuronsResult.load(other).members()
            both, either = (members & fewer).sum((1, 2)), (members | fewer).sum((1, 2))
            rows[which] = both / either.clip(1)
        parts.append(rows)
    return stacked(parts)


def selection(folder: Path) -> pd.DataFrame:
    """A row a model: its neurons, how many are selected, and how many are told from chance at all."""
    rows = []
    for model, path in there(folder, "neurons"):
        result = ll.NeuronsResult.load(path)
        members = result.members()
        rows.append({
            "model": model, "layers": len(result.settings.layers), "neurons": len(result.table),
            "selected": int(members.any(0).sum()), "single": int((members.sum(0) == 1).sum()),
            "beyond": float((result.table["q"] <= FDR).mean()), "deals": result.settings.deals,
            "least_tokens": min(result.settings.counted.values()),
        })  # fmt: skip
    return pd.DataFrame(rows)


def by_layer(folder: Path) -> pd.DataFrame:
    """How many neurons are selected in each layer."""
    return stacked(
        [
            pd.DataFrame({
                "model": model, "layer": result.settings.layers, "neurons": result.members().any(0).sum(-1),
            })
            for model, path in there(folder, "neurons")
            for result in [ll.NeuronsResult.load(path)]
        ]
    )  # fmt: skip


def last_ablation(folder: Path, model: str) -> Path | None:
    """The matrix of most languages."""
    paths = [folder / model / f"ablation-{number}" for number in ablated_numbers(len(LANGUAGES[model]))]
    return next((path for path in reversed(paths) if is_saved(path)), None)


def ablation(folder: Path) -> pd.DataFrame:
    """Whether the neurons of a language matter more for it than for the others."""
    return stacked(
        [
            ll.NeuronAblationResult.load(path).contrasts().assign(model=model)
            for model in LANGUAGES
            if (path := last_ablation(folder, model)) is not None
        ]
    )


def matrix(folder: Path) -> pd.DataFrame:
    """What each language's text loses without the neurons of each."""
    return stacked(
        [
            ll.NeuronAblationResult.load(path).summary().assign(model=model)
            for model in LANGUAGES
            if (path := last_ablation(folder, model)) is not None
        ]
    )


def mass(folder: Path) -> pd.DataFrame:
    """Mass of the text's own language, of English and of no language at each layer; p of layers in random order."""
    parts = []
    for model, path in there(folder, "mass"):
        result = ll.LanguageMassResult.load(path)
        keys = ["language", "layer", "of"]
        rows = result.summary().merge(result.control()[[*keys, "excess", "p"]], on=keys)
        kept = (rows["of"] == rows["language"]) | rows["of"].isin(["en", ""])
        parts.append(rows[kept].assign(model=model, of=rows["of"].replace("", "none")))
    return stacked(parts)


def leaders(folder: Path) -> pd.DataFrame:
    """Which language has most mass at each layer."""
    return stacked(
        [
            ll.LanguageMassResult.load(path).leaders().assign(model=model)
            for model, path in there(folder, "mass")
        ]
    )


def tokens(folder: Path) -> pd.DataFrame:
    """How many tokens belong to each language, and how much of held-out text they are."""
    return stacked(
        [
            ll.TokenLanguages.load(path).summary().assign(model=model)
            for model, path in there(folder, "tokens")
        ]
    )


TABLES: dict[str, Callable[[Path], pd.DataFrame]] = {
    "neurons": neurons, "selection": selection, "by-layer": by_layer, "ablation": ablation, "matrix": matrix,
    "mass": mass, "leaders": leaders, "tokens": tokens,
}  # fmt: skip


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where `measure` saved its results")
    folder = parser.parse_args().folder
    FIGURES.mkdir(parents=True, exist_ok=True)
    for name, table in TABLES.items():
        rows = table(folder)
        if len(rows):
            rows.to_csv(FIGURES / f"{name}.csv", index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
