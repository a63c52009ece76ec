"""Write docs/units.md: `python -m experiments.units.page`. No measured number in it is typed by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.markdown import between, filled, markdown
from experiments.steps import committed_tables
from experiments.units.measure import (
    ABLATION_ITEMS,
    DTYPES,
    FEATURE_ABLATION_ITEMS,
    FEATURE_RANDOM,
    FITS,
    HELD_OUT,
    LANGUAGES,
    LENS_LAYERS,
    LENS_SOURCE,
    LENS_TARGETS,
    MASS_ITEMS,
    MULTILINGUAL,
    RANDOM,
    TUNED_ITEMS,
)
from experiments.units.tables import FIGURES
from latentlang.language_names import language
from latentlang.storage.files import write_text
from latentlang.text import capital, counted, listed

PAGE = Path(__file__).parents[2] / "docs" / "units.md"
# Mass below which nothing is said of it.
_LEAST = 0.01
_TITLES = {"pocket": "pocket", "gemma3-270m": "Gemma 3 270M"}
Parts = Mapping[str, pd.DataFrame]
#: Where shared tokens are no more than this share of every language's text, a selection over them says little.
FEW_SHARED = 0.2


def tables() -> dict[str, pd.DataFrame]:
    """The committed tables, by name."""
    return committed_tables(FIGURES)


def page(parts: Parts) -> str:
    """The page, in Markdown: a section for each table that is there."""
    sections = [_front(parts), *(section(parts) for name, section in SECTIONS.items() if name in parts)]
    return "\n\n".join([*sections, _LIMITS]) + "\n"


def _models(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(model, table[table["model"] == model]) for model in LANGUAGES if model in set(table["model"])]


def _front(parts: Parts) -> str:
    dtypes = listed([
        f"Neurons and mass of {_TITLES[model]} are measured in {dtype}, all else in float32"
        for model, dtype in DTYPES.items()
    ])  # fmt: skip
    lines = [
        "# Neurons and the language of layers",
        "",
        filled(
            "Which neurons fire in text of one language and hardly in others, whether the model needs them for it, and "
            "which language's tokens each layer would write: over the Universal Declaration of Human Rights, in "
            f"{listed([f'{len(codes)} languages on {_TITLES[model]}' for model, codes in LANGUAGES.items()])}. "
            "Then what depends on something fitted first, on a few short texts: sparse features, and what Jacobian "
            f"lenses read. ({dtypes}; `pocket` was trained on no such text.) Tables and pictures: `figures/units/`. "
            "Every result on this page is written by `experiments/units/page.py` from those tables."
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
            f", at {_layer_span(english['layer'])}, with at most "
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


def _layer_span(layers: pd.Series) -> str:
    low, high = int(layers.min()), int(layers.max())
    return f"layer {low}" if low == high else f"layers {low} to {high}"


def _neurons(parts: Parts) -> str:
    sections = [
        "## Neurons of languages",
        filled(
            "A neuron fires at a token where what enters its activation function is above zero. Selected are, of those "
            "that fire in fewer languages than in mixed pseudo-languages, the 1% of lowest entropy over languages. "
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
        sections += [
            f"### {_TITLES[model]}",
            markdown(pd.DataFrame(rows)),
            _layers(parts["by-layer"], model),
            *_few_shared(own),
        ]
        sections += _picture(f"neurons-{model}", f"{_TITLES[model]}: neurons of languages by layer")
    return "\n\n".join(sections)


def _few_shared(own: pd.DataFrame) -> list[str]:
    """That languages of many scripts share so few tokens that a selection over these alone says little."""
    if own.get("shared_tokens") is None or own["shared_tokens"].isna().any():
        return []
    least, most = int(own["shared_tokens"].min()), int(own["shared_tokens"].max())
    share = (own["shared_tokens"] / own["tokens"]).max()
    if share > FEW_SHARED:
        return []
    return [
        filled(
            f"Tokens that half of the languages share are few: {least} to {most} in a language, at most "
            f"{_percent(share)} of its text, mostly punctuation. That little of the selection or nothing stays over "
            "them is no evidence against it."
        )
    ]


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
            "what it needs with all neurons; *others*: the mean of the other languages; with a 95% interval over "
            f"articles. *Random*: the range of the same difference for {RANDOM} sets of other neurons, as many in each "
            "layer and about as active. *Specific*: the own text loses, and more than the others, beyond chance and "
            "beyond random sets ([exactly](howto/neurons.md#what-they-do)). So few articles give wide intervals."
        ),
    ]
    for model, own in _models(parts["ablation"]):
        rows = [_lost(row, "neurons") for row in _records(own)]
        sections += [f"### {_TITLES[model]}", markdown(pd.DataFrame(rows))]
        sections += _picture(f"ablation-{model}", f"{_TITLES[model]}: what is lost without neurons")
    return "\n\n".join(sections)


def _lost(row: Mapping[str, Any], units: str) -> dict[str, Any]:
    """A row of what is lost without a language's units."""
    return {
        f"without {units} of": _name(row["ablated"]), units: row[units], "own, %": _cents(row["own"]),
        "others, %": _cents(row["others"]),
        "own less others, %": between(*(100 * row[name] for name in ("difference", "low", "high"))),
        "random, %": f"{_cents(row['random_least'])} to {_cents(row['random_most'])}",
        "p": _number(row["p"], 2), "verdict": row["verdict"],
    }  # fmt: skip


def _mass(parts: Parts) -> str:
    sections = [
        "## Which language's tokens each layer would write",
        filled(
            "Of each layer's distribution over the next token, read by the logit lens, the part that is on tokens of a "
            f"language, over all positions of {MASS_ITEMS} articles; a token is a language's where the whole "
            "declaration in all these languages says so with a certainty of 90%. *Text*: the part of the text's own "
            "tokens; *no language*: the part of tokens that belong to none. *English inside*: the layer before the "
            "last where English has most, where that is at least 0.01, and how often layers in random order have as "
            "much more than the layers on the whole. *Leads*: languages with more mass than any other by 0.05, and "
            "than vocabulary and texts give, and their layers. Intervals: 95% over articles. [How, and what it does "
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


def _features_short(parts: Parts) -> list[str]:
    said = []
    for model, own in _models(parts["features"]):
        trained = _trained(parts, model)
        said.append(
            f"**Sparse features, {_TITLES[model]}**: a small SAE of layer {trained['layer']}, trained on "
            f"{trained['tokens']:,} tokens, gives back {_spread(own['trained_r2'])} of their variance, language by "
            f"language, and {_spread(own['r2'])} of that of other articles of the same text: it *overfits*. In each of "
            f"{len(own)} languages {own['beyond'].min()} to {own['beyond'].max()} of its {trained['features']:,} "
            "features are told from chance; of the first ten features by either half of the text only "
            f"{_spread(own['stability'])} are among the first ten by both."
        )
    return said


def _features(parts: Parts) -> str:
    sections = ["## Sparse features"]
    for model, own in _models(parts["features"]):
        trained = _trained(parts, model)
        sections += [
            filled(
                f"A TopK SAE ({trained['features']:,} features, {trained['k']} active at a token) of layer "
                f"{trained['layer']} of {_TITLES[model]}, trained for {trained['steps']:,} steps on "
                f"{trained['tokens']:,} tokens of {trained['texts']} articles in {len(own)} languages together, and "
                f"measured on {own['n'].max()} other articles of each. *R2*: share of the variance that is given "
                "back; *trained*: the same on the articles that it was trained on. *Bits per byte*: how many more the "
                "text needs with the reconstruction in place of the layer. With 95% intervals over articles. "
                "*Dead*: features never active in the language. *Told from chance*: features more active in the "
                f"language than in mixed pseudo-languages ({trained['deals']} deals of {trained['groups']} groups of "
                "articles, false-discovery rate 5%). *Stability*: of the first ten (largest *nu*) by either half of "
                "the text, the share that is among the first ten by both. *First*: the one of largest nu, and the "
                "share of the language's tokens at which it is active. [How](howto/features.md)."
            )
        ]
        rows = [
            {
                "language": _name(row["language"]), "tokens": row["tokens"],
                "R2": between(row["r2"], row["low"], row["high"]),
                "trained": between(row["trained_r2"], row["trained_low"], row["trained_high"]),
                "bits per byte": between(row["spliced"], row["spliced_low"], row["spliced_high"]),
                "dead": _percent(row["dead"]), "told from chance": row["beyond"],
                "stability": _number(row["stability"], 2),
                "first": f"{row['first_feature']:.0f} ({_percent(row['first_share'])})",
            }
            for row in own.to_dict("records")
        ]  # fmt: skip
        overlap = parts["overlap"][parts["overlap"]["model"] == model]
        above = int((overlap["low"] > 0).sum())
        sections += [
            f"### {_TITLES[model]}: features",
            markdown(pd.DataFrame(rows)),
            filled(
                f"Of the features active anywhere in two paragraphs, translations share {overlap['paired'].mean():.2f} "
                f"(Jaccard) and paragraphs that say something else {overlap['unpaired'].mean():.2f}, over "
                f"{len(overlap)} pairs of languages. The difference is {_span(overlap['difference'])}; its interval, "
                f"of each pair for itself, is above zero in {above} of them. Names, numbers and loan words that "
                "translations share are in it."
            ),
            *_picture(f"features-{model}", f"{_TITLES[model]}: sparse features of languages"),
            *_feature_ablation(parts, model),
            filled(
                f"**What this does not show.** One SAE, of one seed and one layer, with {trained['tokens']:,} tokens "
                f"for {trained['features']:,} features; published ones are trained on hundreds of millions and more. "
                f"It overfits: R2 falls from {_span(own['trained_r2'])} on what it was trained on to "
                f"{_span(own['r2'])}, and {_worse(own)}; much of what it has learned may be phrases of the "
                "declaration. To be told from chance is little, as texts of two languages "
                f"differ in everything: {trained['beyond']:,} of {trained['features']:,} features are told so in "
                f"some language. Two halves of the text agree on {_spread(own['stability'])} of the first ten, and "
                "that those of the picture are active in their own language is by selection: it shows the text they "
                "were chosen in. With "
                f"{own['n'].max()} articles, {own['tokens'].min()} to {own['tokens'].max()} tokens in all, in a "
                "language, a feature may be of a script, a frequent word or a phrase. That a feature is active in a "
                "language does not say that the model uses it, and of other SAEs, layers or models this says nothing."
            ),
        ]
    return "\n\n".join(sections)


def _trained(parts: Parts, model: str) -> dict[str, Any]:
    sae = parts["sae"]
    return _records(sae[sae["model"] == model])[0]


def _worse(own: pd.DataFrame) -> str:
    worse = int((own["spliced_low"] > 0).sum())
    return (
        f"the model predicts text worse with the reconstruction in place, in {worse} of {len(own)} languages for "
        "certain"
    )


def _feature_ablation(parts: Parts, model: str) -> list[str]:
    """What is lost without features; nothing where that was not measured."""
    if "feature-ablation" not in parts:
        return ["What the model loses without these features was not measured."]
    own = parts["feature-ablation"]
    rows = [_lost(row, "features") for row in _records(own[own["model"] == model])]
    return [
        filled(
            f"Without the first {own['features'].max()} features of a language, which are taken out at every token, on "
            f"{FEATURE_ABLATION_ITEMS} articles of which the SAE saw nothing and nothing was counted; columns as of "
            f"neurons, beside {FEATURE_RANDOM} random sets of as many features that add about as much. What the SAE "
            "does not explain stays in place."
        ),
        markdown(pd.DataFrame(rows)),
    ]


def _jacobian_short(parts: Parts) -> list[str]:
    said = []
    for model, own in _models(parts["jacobian"]):
        gaps = own[own["language"] == "all"]
        each = [
            f"{_range(gaps.loc[gaps['lens'] == lens, 'gap'])} under {_LENSES[lens]}"
            for lens in (*FITS, "logit")
        ]
        apart = _pair(parts, model, of="en", lens="english", against="french")
        said.append(
            f"**English under fitted lenses, {_TITLES[model]}**: how large English's gap is depends on the text that "
            f"the lens was fitted on: {listed(each)}; English-fit less French-fit {_joined(apart)}. "
            f"{_verdicts(parts, model)} From {_drawn(own)} for each lens."
        )
    return said


def _drawn(own: pd.DataFrame) -> str:
    draws = own["draw"].nunique()
    return "one draw of few short texts" if draws == 1 else f"{draws} draws of few short texts"


def _verdicts(parts: Parts, model: str) -> str:
    """Under which lenses English is a pivot."""
    leads = parts["jacobian-leads"]
    pooled = leads[(leads["model"] == model) & (leads["language"] == "all")]
    pivot = pooled["is_pivot"] & (pooled["leader"] == "en")
    draws = pooled["draw"].nunique()
    said = [
        _LENSES[lens] + (f" ({int(each.sum())} of {draws} draws)" if draws > 1 else "")
        for lens in _LENSES
        if (each := pivot[pooled["lens"] == lens]).any()
    ]
    never = [name for lens, name in _LENSES.items() if not pivot[pooled["lens"] == lens].any()]
    without = f", and under {listed(never)} it is not" if never else ""
    return f"English is a pivot under {listed(said) if said else 'no lens'}{without}."


_LENSES = {
    "logit": "the logit lens", "tuned": "a tuned lens", "english": "a Jacobian lens fitted on English",
    "multilingual": "a Jacobian lens fitted on six languages", "french": "a Jacobian lens fitted on French",
}  # fmt: skip
_SHORT_LENSES = {
    "logit": "logit", "tuned": "tuned", "english": "Jacobian, English", "multilingual": "Jacobian, six languages",
    "french": "Jacobian, French",
}  # fmt: skip


def _pair(parts: Parts, model: str, *, of: str, lens: str, against: str) -> pd.DataFrame:
    """The difference of a language's gap between two lenses, a row a draw."""
    pairs = parts["jacobian-pairs"]
    chosen = (pairs["model"] == model) & (pairs["of"] == of) & (pairs["lens"] == lens)
    return pairs[chosen & (pairs["against"] == against)]


def _joined(pairs: pd.DataFrame, places: int = 3) -> str:
    return listed([
        between(row["difference"], row["low"], row["high"], places=places) for row in _records(pairs)
    ])  # fmt: skip


def _jacobian(parts: Parts) -> str:
    sections = ["## English under several lenses"]
    for model, own in _models(parts["jacobian"]):
        gaps, draws = own[own["language"] == "all"], sorted(set(own["draw"]))
        fitted = gaps[gaps["lens"].isin(FITS)]
        first, last = LENS_LAYERS.split("-")
        targets = listed([_name(code) for code in LENS_TARGETS])
        sections += [
            filled(
                f"Words translated from {_name(LENS_SOURCE)} into {targets} by {_TITLES[model]}, {own['asked'].max()} "
                f"items each, read at layers {first} to {last} through five lenses in one run. *Gap*: the probability "
                "of the right English word less that of wrong ones, averaged over these layers and the three target "
                f"languages, over the {_range(gaps['n'], 0)} items whose English word can be told from every other "
                "language's. *Less logit's*: the difference, item by item, with a 95% interval over items. *Furthest "
                "ahead*: by how much English is at most ahead of every other language, at which layer; the layer is "
                "chosen after looking. *p*: of its right words against its wrong ones there, in one search over all "
                "five lenses, layers and languages with one null. *Pivot at*: the layers at which it is ahead for "
                "certain and p is at most 0.05. [How](howto/jacobian-lens.md#is-a-pivot-there-under-every-lens)."
            ),
            f"### {_TITLES[model]}: lenses",
            markdown(pd.DataFrame([_lens_row(row, parts, model, draws) for row in _records(gaps)])),
            filled(_apart(parts, model)),
            *_picture(f"jacobian-{model}", f"{_TITLES[model]}: English's gap by layer under five lenses"),
            filled(_no_proof(own, fitted)),
        ]
    return "\n\n".join(sections)


def _lens_row(row: Mapping[str, Any], parts: Parts, model: str, draws: list[int]) -> dict[str, Any]:
    leads = parts["jacobian-leads"]
    chosen = (leads["model"] == model) & (leads["draw"] == row["draw"]) & (leads["lens"] == row["lens"])
    lead = leads[chosen & (leads["language"] == "all")].iloc[0]
    span = f"{lead['first']}" if lead["first"] == lead["last"] else f"{lead['first']} to {lead['last']}"
    # should another language lead, it is named
    verdict = (
        f"{'' if lead['leader'] == 'en' else _name(lead['leader']) + ' '}{span}"
        if lead["is_pivot"]
        else "none"
    )
    ahead = between(*(lead[f"english_{name}"] for name in ("lead", "lead_low", "lead_high")), places=3)
    return {
        **({"draw": row["draw"]} if len(draws) > 1 else {}),
        "lens": _SHORT_LENSES[row["lens"]], "texts": _number(row["texts"], 0), "gap": _number(row["gap"], 3),
        "less logit's": "" if pd.isna(row["low"]) else between(
            row["difference"], row["low"], row["high"], places=3
        ),
        "furthest ahead": f"{ahead} at {lead['english_layer']}", "p": f"{lead['english_p']:.2g}",
        "pivot at": verdict,
    }  # fmt: skip


def _apart(parts: Parts, model: str) -> str:
    """The fitted lenses against each other, and the one that was fitted on French read for French."""
    pairs = {
        "English-fit less six-language-fit": ("en", "english", "multilingual"),
        "English-fit less French-fit": ("en", "english", "french"),
        "six-language-fit less French-fit": ("en", "multilingual", "french"),
    }
    said = [
        f"{name} {_joined(_pair(parts, model, of=of, lens=lens, against=against))}"
        for name, (of, lens, against) in pairs.items()
    ]
    french = _pair(parts, model, of="fr", lens="french", against="logit")
    sure = bool((french["low"] > 0).all())
    gaps = parts["jacobian"].query("model == @model and language == 'all'")
    wide = gaps.pivot(index="draw", columns="lens", values="gap")
    ordered = int(((wide["english"] > wide["multilingual"]) & (wide["multilingual"] > wide["french"])).sum())
    if len(wide) > 1:
        order = f"In {ordered} of {len(wide)} draws the order is"
    else:
        order = f"The order is{'' if ordered else ' not'}"
    return (
        f"English's gap between the fitted lenses: {listed(said)}; each interval is for itself. {order} that of how "
        f"much of the fit's text was English. {_under_french(parts, model)}The gap of *French* is "
        f"{_range(french['gap'], 4)} under the lens fitted on French, {_joined(french, 4)} more than under the logit "
        f"lens: {'more for certain' if sure else 'no difference that is certain'} (over {_range(french['n'], 0)} "
        "items)."
    )


def _under_french(parts: Parts, model: str) -> str:
    """That English is ahead under the lens fitted on French too, where that is so; with a space behind it."""
    leads = parts["jacobian-leads"].query("model == @model and lens == 'french' and language == 'all'")
    if leads["is_pivot"].any() or not (leads["english_lead"] > 0).all():
        return ""
    return (
        "Under the lens fitted on French English is still ahead of every other language at its best layer, by less "
        "and within chance. "
    )


def _no_proof(own: pd.DataFrame, fitted: pd.DataFrame) -> str:
    texts, longest = _range(fitted["texts"], 0), int(fitted["longest"].max())
    counted_tokens = longest - int(fitted["skip"].max()) - 1
    tuned = own[own["lens"] == "tuned"].iloc[0]
    right = [
        f"{_percent(own.loc[own['language'] == code, 'accuracy'].iloc[0])} in {_name(code)}"
        for code in LENS_TARGETS
    ]
    rests = (
        "that the gap's size follows the language of the fit rests on this one draw"
        if own["draw"].nunique() == 1
        else "the draws, which have articles in common, show a part of it"
    )
    return (
        f"**What this does not show.** {capital(_drawn(own))} for each lens: {texts} articles of one declaration cut "
        f"to {longest} tokens, of which the first {longest - counted_tokens - 1} and the last do not count, where a "
        "fit is said to take a hundred texts. The intervals are over items and hold for these lenses: what another "
        f"draw of texts changes is not in them, and {rests}. Three fits with more or less English in them do not show "
        "that a lens makes more of whatever language it is fitted on; of French, see above. A gap belongs to the lens "
        "as much as to the model, none of the lenses is the true one, and a word that can be read need not be used. "
        f"The tuned lens was trained for {tuned['steps']:.0f} steps of {tuned['positions']:.0f} tokens, on "
        f"{TUNED_ITEMS} articles in each of {len(MULTILINGUAL)} languages: far less than by default, and no judgement "
        f"of tuned lenses. The model's answers are right for {listed(right)} of the items: most of what is read comes "
        "before a wrong answer. One model, one source language, one task, one seed of items."
    )


#: Table that a section needs, and what writes it. Sections without a table are left out.
SECTIONS: dict[str, Callable[[Parts], str]] = {
    "neurons": _neurons,
    "ablation": _ablation,
    "mass": _mass,
    "features": _features,
    "jacobian": _jacobian,
}
_SHORT: dict[str, Callable[[Parts], list[str]]] = {
    "selection": _selection_short, "ablation": _ablation_short, "leaders": _mass_short,
    "features": _features_short, "jacobian": _jacobian_short,
}  # fmt: skip


def _picture(name: str, title: str) -> list[str]:
    return [f"![{title}](../figures/units/{name}.png)"] if (FIGURES / f"{name}.png").exists() else []


def _name(code: str) -> str:
    return language(code).name


def _named(codes: pd.Series) -> str:
    return f" ({listed([_name(code) for code in codes])})" if len(codes) else ""


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _spread(shares: pd.Series) -> str:
    return f"{100 * shares.min():.0f} to {100 * shares.max():.0f}%"


def _span(values: pd.Series) -> str:
    return f"{values.min():.2f} to {values.max():.2f}"


def _range(values: pd.Series, places: int = 3) -> str:
    """One value, or the least and the largest of several draws."""
    low, high = f"{values.min():.{places}f}", f"{values.max():.{places}f}"
    return low if low == high else f"{low} to {high}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"


def _cents(share: float) -> str:
    return f"{100 * share + 0.0:.2f}"


def _signed(share: float) -> str:
    per_cent = 100 * share
    places = sum(abs(per_cent) < least for least in (10, 100))  # three digits, as far as they say something
    return f"{per_cent:+.{places}f}%"


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
