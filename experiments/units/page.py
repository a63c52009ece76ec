"""Write docs/units.md: `python -m experiments.units.page`. No measured number in it is typed by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.markdown import between, filled, markdown
from experiments.units.measure import ABLATION_ITEMS, DTYPES, HELD_OUT, LANGUAGES, MASS_ITEMS, RANDOM
from experiments.units.tables import FIGURES
from latentlang.language_names import language
from latentlang.storage.files import write_text
from latentlang.text import counted, listed

PAGE = Path(__file__).parents[2] / "docs" / "units.md"
# Mass below which nothing is said of it.
_LEAST = 0.01
_TITLES = {"pocket": "pocket", "gemma3-270m": "Gemma 3 270M"}
Parts = Mapping[str, pd.DataFrame]


def tables() -> dict[str, pd.DataFrame]:
    """The committed tables, by name."""
    return {path.stem: pd.read_csv(path) for path in sorted(FIGURES.glob("*.csv"))}


def page(parts: Parts) -> str:
    """The page, in Markdown: a section for each table that is there."""
    sections = [_front(parts), *(section(parts) for name, section in SECTIONS.items() if name in parts)]
    return "\n\n".join([*sections, _LIMITS]) + "\n"


def _models(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(model, table[table["model"] == model]) for model in LANGUAGES if model in set(table["model"])]


def _front(parts: Parts) -> str:
    dtypes = listed([f"{_TITLES[model]} in {dtype}" for model, dtype in DTYPES.items()])
    lines = [
        "# Neurons and the language of layers",
        "",
        filled(
            "Which neurons fire in text of one language and hardly in others, whether the model needs them for it, and "
            "which language's tokens each layer would write: over the Universal Declaration of Human Rights, in "
            f"{listed([f'{len(codes)} languages on {_TITLES[model]}' for model, codes in LANGUAGES.items()])}. "
            f"({dtypes}; `pocket` was trained on no such text.) Tables and pictures: `figures/units/`. Every result on "
            "this page is written by `experiments/units/page.py` from those tables."
        ),
        "",
    ]
    for name, short in _SHORT.items():
        if name in parts:
            lines += [filled("- " + text).replace("\n", "\n  ") for text in short(parts)]
    return "\n".join(lines)


def _selection_short(parts: Parts) -> list[str]:
    return [
        f"**Neurons, {_TITLES[model]}**: of {row['neurons']:,} neurons {row['selected']} are selected, "
        f"{row['single']} of them for one language alone. {_percent(row['beyond'])} of *all* neurons fire in fewer "
        "languages than in mixed ones, so that to pass that test says next to nothing."
        for model, own in _models(parts["selection"])
        for row in own.to_dict("records")
    ]


def _ablation_short(parts: Parts) -> list[str]:
    said = []
    for model, own in _models(parts["ablation"]):
        verdicts = own["verdict"].value_counts()
        specific = own[own["verdict"] == "specific"]
        most = own.sort_values("difference").iloc[-1]
        said.append(
            f"**Without them, {_TITLES[model]}**: of {counted(len(own), 'language')} whose neurons were taken out, the "
            f"loss of {int(verdicts.get('specific', 0))} is *specific* to the language"
            f"{_named(specific['ablated'])}; most in {_name(most['ablated'])}, whose text needs "
            f"{_signed(most['own'])} bits without its own {most['neurons']} neurons and other texts "
            f"{_signed(most['others'])}."
        )
    return said


def _mass_short(parts: Parts) -> list[str]:
    said = []
    for model, own in _models(parts["leaders"]):
        leads = own[own["verdict"] == "leads"]
        depth = int(own["layer"].max())
        english = leads[(leads["leader"] == "en") & (leads["language"] != "en")]
        at_end = leads[(leads["layer"] == depth) & (leads["leader"] == leads["language"])]
        texts = own["language"].nunique()
        others = texts - int("en" in set(own["language"]))
        where = (
            f", at layers {english['layer'].min()} to {english['layer'].max()}, with at most "
            f"{english['mass'].max():.2f} of the probability"
            if len(english)
            else ""
        )
        said.append(
            f"**Language mass, {_TITLES[model]}**: tokens of the text's own language lead at the output in "
            f"{at_end['language'].nunique()} of {texts} texts; English leads inside in "
            f"{english['language'].nunique()} of the {others} texts in other languages{where}."
        )
    return said


def _neurons(parts: Parts) -> str:
    sections = [
        "## Neurons of languages",
        filled(
            "A neuron fires at a token where what enters its activation function is above zero. Selected are, of those "
            "that fire in fewer languages than in mixed pseudo-languages, the 1 % of lowest entropy over languages. "
            "*Specific*: of this language alone. *Stability*: of LAPE's selections from two halves of the text, the "
            "share that is in both. *Inside words*, *shared tokens*: the share that stays when only tokens count that "
            "do not begin a word, and that stand in the texts of at least half of the languages (of either selection, "
            "those in both). [How](howto/neurons.md)."
        ),
    ]
    for model, own in _models(parts["neurons"]):
        rows = [
            {
                "language": _name(row["language"]), "tokens": f"{row['tokens']:,}", "neurons": row["neurons"],
                "specific": row["specific"], "median layer": _number(row["median_layer"], 1),
                "stability": _number(row["stability"], 2),
                **({"inside words": _number(row["inside"], 2)} if own.get("inside") is not None else {}),
                **({"shared tokens": _number(row["shared"], 2)} if own.get("shared") is not None else {}),
            }
            for row in own.to_dict("records")
        ]  # fmt: skip
        sections += [f"### {_TITLES[model]}", markdown(pd.DataFrame(rows)), _layers(parts["by-layer"], model)]
        sections += _picture(f"neurons-{model}", f"{_TITLES[model]}: neurons of languages by layer")
    return "\n\n".join(sections)


def _layers(by_layer: pd.DataFrame, model: str) -> str:
    own = by_layer[by_layer["model"] == model]
    total, depth = int(own["neurons"].sum()), int(own["layer"].max())
    late = int(own.loc[own["layer"] > 2 * depth / 3, "neurons"].sum())
    early = int(own.loc[own["layer"] <= depth / 3, "neurons"].sum())
    return filled(
        f"Of {total} selected neurons {early} lie in the first third of the layers and {late} in the last third."
    )


def _ablation(parts: Parts) -> str:
    sections = [
        "## What is lost without them",
        filled(
            "The neurons of a language are set to zero at every token, on "
            f"{counted(ABLATION_ITEMS, 'article')} of each language of which nothing was counted (the shortest "
            f"{len(HELD_OUT)} were held out). *Own*: how many more bits the language's own text needs, in per cent of "
            "what it needs with all neurons; *others*: the mean of the other languages; with a 95 % interval over "
            f"articles. *Random*: the range of the same difference for {RANDOM} sets of other neurons, as many in each "
            "layer and about as active. *Specific*: the own text loses, and more than the others, beyond chance and "
            "beyond random sets ([exactly](howto/neurons.md#what-they-do)). So few articles give wide intervals."
        ),
    ]
    for model, own in _models(parts["ablation"]):
        rows = [
            {
                "without neurons of": _name(row["ablated"]), "neurons": row["neurons"], "own, %": _cents(row["own"]),
                "others, %": _cents(row["others"]),
                "own less others, %": between(*(100 * row[name] for name in ("difference", "low", "high"))),
                "random, %": f"{_cents(row['random_least'])} to {_cents(row['random_most'])}",
                "p": _number(row["p"], 2), "verdict": row["verdict"],
            }
            for row in own.to_dict("records")
        ]  # fmt: skip
        sections += [f"### {_TITLES[model]}", markdown(pd.DataFrame(rows))]
        sections += _picture(f"ablation-{model}", f"{_TITLES[model]}: what is lost without neurons")
    return "\n\n".join(sections)


def _mass(parts: Parts) -> str:
    sections = [
        "## Which language's tokens each layer would write",
        filled(
            "Of each layer's distribution over the next token, read by the logit lens, the part that is on tokens of a "
            f"language, over all positions of {MASS_ITEMS} articles; a token is a language's where the whole "
            "declaration in all these languages says so with a certainty of 90 %. *Text*: the part of the text's own "
            "tokens; *no language*: the part of tokens that belong to none. *English inside*: the layer before the "
            "last where English has most, where that is at least 0.01, and how often layers in random order have as "
            "much more than the layers on the whole. *Leads*: languages with more mass than any other by 0.05, and "
            "than vocabulary and texts give, and their layers. Intervals: 95 % over articles. [How, and what it does "
            "not show](howto/language-mass.md)."
        ),
    ]
    by_model = dict(_models(parts["leaders"]))
    for model, own in _models(parts["mass"]):
        depth = int(own["layer"].max())
        rows = []
        for code in dict.fromkeys(own["language"]):
            text = own[own["language"] == code]
            last = text[text["layer"] == depth].set_index("of")
            row: dict[str, Any] = {
                "text": _name(code), "own, at the output": _interval(last.loc[code]),
                "text's own tokens": _number(last.loc[code, "written"], 2),
                "no language": _number(last.loc["none", "mass"], 2),
            }  # fmt: skip
            inside = text[(text["of"] == "en") & (text["layer"] < depth) & (text["mass"] >= _LEAST)]
            row |= {"English inside": "", "p": ""}
            if code != "en" and len(inside):
                most = inside.loc[inside["mass"].idxmax()]
                row |= {
                    "English inside": f"{_interval(most)} at layer {most['layer']}",
                    "p": f"{most['p']:.2g}",
                }
            row["leads"] = _led(by_model[model], code)
            rows.append(row)
        sections += [f"### {_TITLES[model]}", markdown(pd.DataFrame(rows))]
        sections += _picture(f"mass-{model}", f"{_TITLES[model]}: language mass by layer")
    return "\n\n".join(sections)


def _led(leaders: pd.DataFrame, code: str) -> str:
    """Which languages lead in a text, and where."""
    own = leaders[(leaders["language"] == code) & (leaders["verdict"] == "leads")]
    said = []
    for leader in dict.fromkeys(own["leader"]):
        layers = own.loc[own["leader"] == leader, "layer"]
        span = f"{layers.min()}" if len(layers) == 1 else f"{layers.min()} to {layers.max()}"
        gaps = len(layers) < layers.max() - layers.min() + 1
        said.append(f"{_name(leader)} {span}{f' ({len(layers)} layers)' if gaps else ''}")
    return "; ".join(said)


def _elsewhere(title: str, words: str) -> Callable[[Parts], str]:
    """A section whose table somebody else makes; take a function of the tables in its place."""
    return lambda _parts: f"## {title}\n\n{filled(words)}"


#: Table that a section needs, and what writes it. Sections without a table are left out.
SECTIONS: dict[str, Callable[[Parts], str]] = {
    "neurons": _neurons,
    "ablation": _ablation,
    "mass": _mass,
    # Places of two more, which come with their tables: sparse features of languages, and the pivot's gap under several
    # lenses. Sentences for the front go into `_SHORT`.
    "features": _elsewhere("Sparse features", "Its table lies beside the others."),
    "jacobian": _elsewhere("The Jacobian lens", "Its table lies beside the others."),
}
_SHORT: dict[str, Callable[[Parts], list[str]]] = {
    "selection": _selection_short, "ablation": _ablation_short, "leaders": _mass_short,
}  # fmt: skip


def _picture(name: str, title: str) -> list[str]:
    return [f"![{title}](../figures/units/{name}.png)"] if (FIGURES / f"{name}.png").exists() else []


def _name(code: str) -> str:
    return language(code).name


def _named(codes: pd.Series) -> str:
    return f" ({listed([_name(code) for code in codes])})" if len(codes) else ""


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _cents(share: float) -> str:
    return f"{100 * share + 0.0:.2f}"


def _signed(share: float) -> str:
    return f"{100 * share:+.2f} %"


def _number(value: float, places: int) -> str:
    return "" if pd.isna(value) else f"{value:.{places}f}"


def _interval(row: Any) -> str:
    return between(row["mass"], row["low"], row["high"])


_LIMITS = "\n\n".join([
    "## What this does not show",
    filled(
        "One text, of one register, its table of tokens made of itself. Neurons that fire in few languages may be "
        "neurons of a script, of frequent words, or of the declaration's phrases; that they are selected from a model "
        "says no more than that its activations differ between texts. Zero is far from usual for some of them. A lens "
        "reads early layers in a basis that is not theirs, and mass on English tokens in the middle does not say that "
        "the model translates, or that those tokens are used: [what the models use](use.md) asks that. Languages that "
        "share a script have few tokens of their own, so that their mass is small wherever it is read."
    ),
])  # fmt: skip


def main() -> None:
    """Write the page."""
    write_text(PAGE, page(tables()))


if __name__ == "__main__":
    main()
