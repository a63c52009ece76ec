"""The tables of docs/units.md from what `measure` saved: `python -m experiments.units.tables FOLDER`.

One CSV file each in figures/units/; of models and draws of texts that FOLDER does not hold, the rows stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import latentlang as ll
from experiments.steps import is_saved, stacked, tables_command
from experiments.units.measure import DRAWS, FITS, LANGUAGES, ablated_numbers
from latentlang.lens.contrasts import POOLED
from latentlang.units.neurons_result import FDR
from latentlang.units.sae import CONFIG

FIGURES = Path(__file__).parents[2] / "figures" / "units"


def there(folder: Path, name: str) -> Iterator[tuple[str, Path]]:
    """The models that a step was measured on, and where it lies."""
    for model in LANGUAGES:
        path = folder / model / name
        if is_saved(path):
            yield model, path


def of_each(places: Iterable[tuple[str, Path]], rows: Callable[[Path], pd.DataFrame]) -> pd.DataFrame:
    """What results hold, a model below the other."""
    return stacked(rows(path).assign(model=model) for model, path in places)


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
            over_fewer = ll.NeuronsResult.load(other)
            fewer = over_fewer.members()
            rows[f"{which}_tokens"] = rows["language"].map(over_fewer.settings.counted)
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


def last_ablations(folder: Path) -> Iterator[tuple[str, Path]]:
    """That matrix of each model that has one."""
    for model in LANGUAGES:
        path = last_ablation(folder, model)
        if path is not None:
            yield model, path


def ablation(folder: Path) -> pd.DataFrame:
    """Whether the neurons of a language matter more for it than for the others."""
    return of_each(last_ablations(folder), lambda path: ll.NeuronAblationResult.load(path).contrasts())


def matrix(folder: Path) -> pd.DataFrame:
    """What each language's text loses without the neurons of each."""
    return of_each(last_ablations(folder), lambda path: ll.NeuronAblationResult.load(path).summary())


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
    return of_each(there(folder, "mass"), lambda path: ll.LanguageMassResult.load(path).leaders())


def tokens(folder: Path) -> pd.DataFrame:
    """How many tokens belong to each language, and how much of held-out text they are."""
    return of_each(there(folder, "tokens"), lambda path: ll.TokenLanguages.load(path).summary())


def sae(folder: Path) -> pd.DataFrame:
    """A row an SAE: what it was trained on, and how many of its features are told from chance."""
    rows = []
    for model, path in there(folder, "features"):
        result = ll.FeaturesResult.load(path)
        config = json.loads((folder / model / "sae" / CONFIG).read_text(encoding="utf-8"))
        training = config["metadata"]["latentlang"]["training"]
        kept = ("texts", "tokens", "features", "k", "steps", "seed")
        rows.append({
            "model": model, "layer": result.settings.layer, **{name: training[name] for name in kept},
            "beyond": int(_told(result).any(0).sum()), "deals": result.settings.deals,
            "groups": result.settings.groups,
        })  # fmt: skip
    return pd.DataFrame(rows)


def _told(result: ll.FeaturesResult) -> NDArray[np.bool_]:
    """Which features are more active in which language than in mixed ones, however many these are."""
    return result.members(top=result.settings.features)


def features(folder: Path) -> pd.DataFrame:
    """How each language is reconstructed, in other text and in what the SAE was trained on, and its features."""
    parts = []
    for model, path in there(folder, "features"):
        result = ll.FeaturesResult.load(path)
        first = result.select().groupby("language", sort=False).first()
        rows = result.summary().assign(model=model, beyond=_told(result).sum(1))
        for name in ("feature", "nu", "share", "paragraphs"):
            rows[f"first_{name}"] = rows["language"].map(first[name])
        trained = ll.FeaturesResult.load(folder / model / "features-trained").reconstruction()
        for name in ("r2", "low", "high"):
            rows[f"trained_{name}"] = rows["language"].map(trained.set_index("language")[name])
        parts.append(rows)
    return stacked(parts)


def overlap(folder: Path) -> pd.DataFrame:
    """What translations have in common of active features, beyond other paragraphs."""
    return of_each(there(folder, "features"), lambda path: ll.FeaturesResult.load(path).overlap())


def feature_ablation(folder: Path) -> pd.DataFrame:
    """Whether the features of a language matter more for it than for the others."""
    return of_each(
        there(folder, "features/ablation"), lambda path: ll.FeatureAblationResult.load(path).contrasts()
    )


def lenses(folder: Path) -> Iterator[tuple[str, int, ll.PivotByLensResult]]:
    """What was read through lenses, a draw of texts each."""
    for draw in DRAWS:
        for model, path in there(folder, f"lenses-{draw}"):
            yield model, draw, ll.PivotByLensResult.load(path)


def _about(result: ll.PivotByLensResult) -> dict[str, dict[str, Any]]:
    """Lens to what it was made of."""
    return {lens: dict(record.get("translators") or {}) for lens, record in result.settings.lenses.items()}


def jacobian(folder: Path) -> pd.DataFrame:
    """English's gap under each lens in each language, against the logit lens, and how many answers are right."""
    parts = []
    for model, draw, result in lenses(folder):
        rows = result.differences().assign(model=model, draw=draw, asked=result.settings.items)
        about = _about(result)
        for name in ("languages", "texts", "longest", "skip", "steps", "positions"):
            rows[name] = [about[lens].get(name) for lens in rows["lens"]]
        rows["accuracy"] = rows["language"].map(result.settings.accuracy)
        parts.append(rows)
    return stacked(parts)


def jacobian_leads(folder: Path) -> pd.DataFrame:
    """Who leads under each lens, by one search over all lenses of a draw, and where English is furthest ahead.

    English's lead is told whether or not chance has been excluded there, in `english_layer` and the columns after it;
    the model's own output is left out.
    """
    kept = ["language", "is_pivot", "leader", "first", "last", "peak", "reason"]
    parts = []
    for model, draw, result in lenses(folder):
        for lens, test in result.pivot_tests().items():
            scores = test.scores
            inner = scores[(scores["answer_language"] == "en") & (scores["layer"] < scores["layer"].max())]
            furthest = inner.loc[inner.groupby("language")["lead"].idxmax()].set_index("language")
            rows = test.table[kept].assign(model=model, draw=draw, lens=lens)
            for name in ("layer", "lead", "lead_low", "lead_high", "p"):
                rows[f"english_{name}"] = rows["language"].map(furthest[name])
            parts.append(rows)
    return stacked(parts)


def jacobian_pairs(folder: Path) -> pd.DataFrame:
    """How the gap of English, and of French, differs between lenses, item by item, all target languages together."""
    parts = []
    for model, draw, result in lenses(folder):
        for of in ("en", "fr"):
            # the same sum for another language: nothing is read anew
            settings = {**result.provenance.settings, "pivot": of}
            own = replace(result, provenance=replace(result.provenance, settings=settings))
            for against in ("logit", *FITS):
                rows = own.differences(against=against)
                others = rows[(rows["language"] == POOLED) & (rows["lens"] != against)]
                parts.append(others.assign(model=model, draw=draw, of=of, against=against))
    return stacked(parts)


TABLES: dict[str, Callable[[Path], pd.DataFrame]] = {
    "neurons": neurons, "selection": selection, "by-layer": by_layer, "ablation": ablation, "matrix": matrix,
    "mass": mass, "leaders": leaders, "tokens": tokens, "sae": sae, "features": features, "overlap": overlap,
    "feature-ablation": feature_ablation, "jacobian": jacobian, "jacobian-leads": jacobian_leads,
    "jacobian-pairs": jacobian_pairs,
}  # fmt: skip


if __name__ == "__main__":
    tables_command(__doc__, TABLES, FIGURES, kept=("model", "draw"))
