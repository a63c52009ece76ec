"""Write docs/gemma.md: `python -m experiments.gemma3.page`. No measured number in it is typed by hand."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.gemma3.measure import ASKED, SOURCES, TRAINING
from experiments.gemma3.tables import FIGURES, PIVOT, chosen_layer
from experiments.markdown import markdown
from latentlang.language_names import language
from latentlang.lens.pivot_test import MINIMUM_LEAD
from latentlang.stats.intervals import wilson
from latentlang.storage.files import write_text
from latentlang.text import capital, counted, listed, signed, unsigned

PAGE = Path(__file__).parents[2] / "docs" / "gemma.md"
_WIDTH = 120
_LAYERS = (0, 3, 6, 9, 12, 14, 16, 18)
_RUNS = {
    "alignment-20": "20 languages, every pair",
    "alignment-length": "English with 19 others, unpaired within like length",
    "alignment-100": "English with all",
}


def tables() -> dict[str, pd.DataFrame]:
    """The committed tables, by name."""
    return {path.stem: pd.read_csv(path) for path in sorted(FIGURES.glob("*.csv"))}


def page(parts: Mapping[str, pd.DataFrame]) -> str:
    """The page, in Markdown."""
    sections = [
        _front(parts),
        _translation(parts["lens-by-layer"], parts["lens-by-target"]),
        _candidates(parts["candidates"]),
    ]
    if "accuracy" in parts:
        sections.append(_tasks(parts["accuracy"], parts.get("curves")))
    sections += [
        _geometry(parts["alignment"], parts["alignment-by-language"]),
        _fertility(parts["fertility"]),
    ]
    if "training" in parts:
        sections.append(_training(parts["training"]))
    return "\n\n".join([*sections, _LIMITS]) + "\n"


def _front(parts: Mapping[str, pd.DataFrame]) -> str:
    by_layer, tested = parts["lens-by-layer"], parts["candidates"]
    leads = {source: _at(by_layer, source, 0) for source in _sources(by_layer)}
    least, most = (order(leads, key=lambda name: leads[name]["mean"]) for order in (min, max))
    whole = tested[tested["language"] == "all"]
    decided = [
        f"{_name(leader)} is called the pivot from {listed([_name(source) for source in own['source']])}"
        for leader, own in whole[whole["is_pivot"]].groupby("leader", sort=False)
    ]
    single = tested[(tested["language"] != "all") & tested["is_pivot"] & (tested["leader"] == PIVOT)]
    copied = {source: _at(by_layer, source, 0, "source-null") for source in leads}
    lowest, highest = (order(copied, key=lambda name: copied[name]["mean"]) for order in (min, max))
    more = sum(copied[name]["mean"] > leads[name]["mean"] for name in leads)
    verdict = f"over all target languages {listed(decided) or 'no language is called the pivot'}"
    return "\n".join([
        "# Gemma 3 270M",
        "",
        _filled(
            "What latentlang sees in a real model small enough for a laptop: **Gemma 3 270M** (base; 18 layers, width "
            "640, a vocabulary of 262,144, trained on about 140 languages), from a GGUF file quantised to `Q4_K_M`, "
            "dequantised to fp32. Tables and pictures: `figures/gemma3-270m/`. Every number on this page is written "
            "by `experiments/gemma3/page.py` from those tables."
        ),
        "",
        _item(
            "**English words for the answer are there before the answer, a little.** Asked to translate a word, the "
            f"late layers give the right English word more probability than wrong English words: by "
            f"{_value(leads[least])} from {_name(least)} to {_value(leads[most])} from {_name(most)}, in the mean over "
            "target languages, at the best of 18 layers."
        ),
        _item(
            "**Most of what the layers hold is the word of the prompt.** The source word leads its own null by "
            f"{_value(copied[lowest])} from {_name(lowest)} to {_value(copied[highest])} from {_name(highest)}, at its "
            f"best layer: more than English from {more} "
            f"of {len(leads)} sources."
        ),
        _item(
            f"**With every language as a candidate**, {verdict}; of {len(tested) - len(whole)} pairs of source and "
            f"target taken one by one, {len(single)} have English as their pivot."
        ),
        "",
        _filled(
            "So of this model *thinks in English* is true of some pairs of languages, and small. It is one model, of "
            f"270 million weights, that answers {_accuracies(parts['lens-by-target'])} of these words; what follows "
            "says nothing of larger ones."
        ),
    ])  # fmt: skip


def _accuracies(by_target: pd.DataFrame) -> str:
    first = by_target.query("seed == 0 and contrast == 'pivot-null'").groupby("target")["accuracy"].mean()
    ordered = first.sort_values()
    return f"{ordered.iloc[0]:.0%} ({_name(ordered.index[0])}) to {ordered.iloc[-1]:.0%} ({_name(ordered.index[-1])})"


def _translation(by_layer: pd.DataFrame, by_target: pd.DataFrame) -> str:
    rows = []
    for source in _sources(by_layer):
        first, copied = _at(by_layer, source, 0), _at(by_layer, source, 0, "source-null")
        layer = int(first["layer"])
        seeds = by_layer.query(
            "source == @source and contrast == 'pivot-null' and layer == @layer and seed > 0"
        )
        own = by_target.query("source == @source and contrast == 'pivot-null'")
        above = own.assign(above=own["low"] > 0).groupby("target")["above"].all()
        rows.append({
            "source": _name(source), "layer": layer, "English − null": _value(first),
            "other seeds": _spread(seeds["mean"]), "targets above 0, every seed": f"{int(above.sum())} of {len(above)}",
            "source word − null there": _value(_row(by_layer, source, 0, "source-null", layer)),
            "its highest": f"{_value(copied)}, layer {int(copied['layer'])}",
            "answered right": f"{own.query('seed == 0')['accuracy'].mean():.2f}",
        })  # fmt: skip
    drawn = [int(seed) for seed in sorted(by_layer["seed"].unique())]
    items = by_layer.query("seed == 0")["items"].max()
    few = by_layer.query("seed > 0")["items"].max()
    rest = (
        f"; seeds {listed([str(seed) for seed in drawn[1:]])} drew other examples and {few:.0f} of the items"
        if len(drawn) > 1
        else ""
    )
    single = by_target.query("contrast == 'pivot-null' and seed == 0").assign(
        text=lambda own: [_value(row) for row in own.to_dict("records")]
    )
    wide = single.pivot(index="target", columns="source", values="text").reindex(
        columns=_sources(by_layer), fill_value=""
    )
    order = single.groupby("target")["mean"].mean().sort_values(ascending=False).index
    wide = wide.loc[order].fillna("").rename(columns=_name)
    wide.insert(0, "target", [_name(code) for code in wide.index])
    return "\n\n".join([
        "## Word translation",
        _filled(
            "Four examples, then a word: `Русский: \"вода\" - Deutsch: \"`. A layer's reading (logit lens) is asked "
            "for the tokens that can begin the right English word and can begin neither the answer nor the prompt's "
            "own word; *null* is the mean over wrong words of the same category, read the same way. Seed 0 read all "
            f"{items:.0f} items{rest}. The layer is where the mean over target languages is highest *with seed 0*, so "
            "that seed's value is a little too good; the other seeds are read at the same layer. Intervals: 95 %, "
            "items and target languages resampled."
        ),
        _picture("lens", "What each layer would say: Russian words into German, Japanese, Chinese and Hindi"),
        markdown(pd.DataFrame(rows)),
        _filled(
            "*Other seeds*: smallest to largest of their means, and how many there are. *Answered right*: share of "
            "items whose likeliest next token can begin the right answer, mean over targets. By target language, "
            "English minus its null at the source's layer, seed 0, 95 % over items (each language by itself, not "
            "corrected for their number):"
        ),
        markdown(wide.reset_index(drop=True)),
        _filled(
            "What it does not show: that the model *uses* the English word. A reading is what a layer would say if it "
            "were the last; whether changing it changes the answer was not asked here."
        ),
    ])  # fmt: skip


def _candidates(tested: pd.DataFrame) -> str:
    whole = tested[tested["language"] == "all"]
    rows = [
        {
            "source": _name(row["source"]),
            "ahead, furthest": f"{_name(row['leader'])}, layer {int(row['peak'])}",
            "of the next language": _between(row["lead"], row["lead_low"], row["lead_high"]),
            "right words against wrong, p": f"{row['p']:.3f}",
            "called the pivot": "yes" if row["is_pivot"] else f"no ({row['reason']})",
            "source word there": f"{row['source_score']:.2f}"
            if row["source_score"] == row["source_score"]
            else "",
            "targets one by one": _one_by_one(tested, row["source"]),
        }
        for row in whole.to_dict("records")
    ]
    return "\n\n".join([
        "## All languages at once",
        _filled(
            "Looking only at English finds only English. Here the right word is read in all 20 languages at every "
            "layer (50 items for each target), by tokens that can begin no other language's answer. Candidates are "
            "all languages but target and source. A language is called the pivot if at some layer it leads the best "
            f"other language, the target included, by at least {MINIMUM_LEAD:g} with a 95 % interval above 0, and if "
            "right words stand out against wrong ones in a permutation test over all languages and layers. The source "
            "is no rival, for its word stands in the prompt; where it scores more than the leader, that is said."
        ),
        _picture("candidates", "Which language's right word leads, by layer: Russian into four languages"),
        markdown(pd.DataFrame(rows)),
        _filled(
            "This test is harder on English than the section before: what English shares with any of 19 languages "
            "(*animal*, *radio*) no longer counts for it. That can hide a pivot; it cannot make one up."
        ),
    ])  # fmt: skip


def _one_by_one(tested: pd.DataFrame, source: str) -> str:
    own = tested[(tested["source"] == source) & (tested["language"] != "all") & tested["is_pivot"]]
    parts = [
        f"{_name(leader)} for {listed([_name(code) for code in group['language']])}"
        for leader, group in own.groupby("leader", sort=False)
    ]
    return "; ".join(parts) or "none"


def _tasks(accuracy: pd.DataFrame, curves: pd.DataFrame | None) -> str:
    rows, cut = [], accuracy.groupby(["task", "language"])["unanswerable"].sum()
    left = cut[cut > 0].index
    for task, everything in accuracy.groupby("task", sort=False):
        own = everything[[(task, code) not in left for code in everything["language"]]]
        pooled = own.groupby("language")[["right", "n"]].sum()
        intervals = {code: wilson(int(row["right"]), int(row["n"])) for code, row in pooled.iterrows()}
        rate = pooled["right"] / pooled["n"]
        chance = own["chance"].iloc[0]
        ordered = rate.sort_values(ascending=False).index
        above = sum(low > chance for low, _ in intervals.values())
        rows.append({
            "task": task, "chance": f"{chance:.2f}", "mean of languages": f"{rate.mean():.2f} ({len(rate)})",
            "by seed": _spread(own.groupby("seed")["accuracy"].mean()), "above chance": f"{above} of {len(rate)}",
            "best": f"{_name(ordered[0])} {_between(rate[ordered[0]], *intervals[ordered[0]])}",
            "worst": f"{_name(ordered[-1])} {_between(rate[ordered[-1]], *intervals[ordered[-1]])}",
            "English": _between(rate[PIVOT], *intervals[PIVOT]),
        })  # fmt: skip
    said = [
        "## Sentiment, inference and paraphrase",
        _filled(
            "The project's own items, choice between the labels in the language asked in. Rates are pooled over "
            f"{accuracy['seed'].nunique()} seeds of the few-shot examples; *by seed* is the smallest and largest mean. "
            "*Above chance*: languages whose 95 % Wilson interval lies above it, not corrected for their number; items "
            "repeat over seeds, so these intervals are somewhat too narrow. Best and worst are chosen after the fact."
            + (
                f" Left out, for the labels begin with the same token: {_pairs(list(left))}."
                if len(left)
                else ""
            )
        ),
        markdown(pd.DataFrame(rows)),
    ]
    if curves is not None:
        peaks = [
            own.to_dict("records")[own["mean"].to_numpy(float).argmax()]
            for _, own in curves.groupby("task", sort=False)
        ]
        said.append(
            _filled(
                "In the layers, the right English label minus the wrong ones is, in the mean over languages, at most "
                + "; ".join(f"{_value(row)} ({row['task']}, layer {int(row['layer'])})" for row in peaks)
                + ". The best of 18 layers is chosen after the fact."
            )
        )
    return "\n\n".join(said)


def _pairs(cut: list[tuple[str, str]]) -> str:
    return listed([f"{_name(code)} ({task})" for task, code in cut])


def _geometry(alignment: pd.DataFrame, languages: pd.DataFrame) -> str:
    kept = alignment[(alignment["pooling"] == "mean_no_bos") & alignment["layer"].isin(_LAYERS)]
    rows = [
        {
            "pairs": f"{_RUNS[str(run)]} ({int(own['pairs'].iloc[0])})",
            "measure": _MEASURES[measure],
            **{str(row["layer"]): _with_null(row) for row in own.to_dict("records")},
        }
        for run in _RUNS
        for measure in _MEASURES
        for own in [kept[(kept["run"] == run) & (kept["measure"] == measure)]]
        if len(own)
    ]
    found = languages[languages["measure"] == "retrieval_ab"]
    peak = found.groupby("layer")["value"].mean()
    layer = int(peak.to_numpy(float)[1:].argmax()) + 1
    there = found[found["layer"] == layer].sort_values("value", ascending=False)
    chance = there[there["p_family"] >= 0.05]
    partial = kept[
        (kept["run"] == "alignment-20") & (kept["measure"] == "retrieval_ab") & (kept["layer"] == 12)
    ]
    return "\n\n".join([
        "## Representations of the same articles",
        _filled(
            "The 30 articles of the Universal Declaration of Human Rights in every language of FLORES-101 that has a "
            f"translation ({there['language'].nunique() + 1} with English): the mean state over an article's tokens, "
            "without the beginning token, each language's centroid taken out. *Null*: articles of the second language "
            "permuted. Retrieval: share of articles whose nearest neighbour in the other language is their translation "
            "(CSLS: corrected for hubs)."
        ),
        _picture("alignment", "Retrieval between English and 19 languages by layer, for two poolings"),
        _picture("pca", "The articles in 20 languages along two principal components, at four layers"),
        markdown(pd.DataFrame(rows).fillna("")),
        _filled(
            "Value (null) by layer; 0 is the embeddings, where what counts is the tokens that languages share, names "
            "and loanwords, and article length. With length regressed out, retrieval over all pairs at layer 12 is "
            f"{float(partial['partial'].iloc[0]):.2f} instead of {float(partial['value'].iloc[0]):.2f}; with articles "
            "exchanged only among those of like length the null itself rises (second block). There are only 30 "
            f"articles: the 95 % interval of one language's retrieval at layer {layer} is "
            f"{float((there['high'] - there['low']).median()):.2f} wide in the median. At layer 12 the CKA of "
            f"English with the 19 others is {_cka(kept, 'alignment-length')} where that of all pairs is "
            f"{_cka(kept, 'alignment-20')}: English text lies otherwise than the rest there. Why is not known; it "
            "may simply be known by heart."
        ),
        _filled(
            f"From English, at layer {layer} (the best on average), retrieval stands out in "
            f"{len(there) - len(chance)} of {len(there)} languages when all languages and layers are searched at once. "
            f"Highest: {_listed(there.head(6))}. Not above chance: "
            f"{listed([_name(code) for code in chance['language']]) or 'none'}."
        ),
    ])  # fmt: skip


_MEASURES = {"retrieval_ab": "retrieval", "csls_ab": "retrieval, CSLS", "cka": "linear CKA, debiased"}


def _cka(rows: pd.DataFrame, run: str) -> str:
    own = rows[(rows["run"] == run) & (rows["measure"] == "cka") & (rows["layer"] == 12)]
    return f"{float(own['value'].iloc[0]):.2f}"


def _with_null(row: Mapping[Hashable, Any]) -> str:
    return f"{_two(row['value'])} ({_two(row['null_mean'])})"


def _listed(rows: pd.DataFrame) -> str:
    return listed([f"{_name(row['language'])} {row['value']:.2f}" for row in rows.to_dict("records")])


def _fertility(fertility: pd.DataFrame) -> str:
    others = fertility[fertility["language"] != PIVOT].sort_values("relative")
    rows = pd.concat([others.head(5), others.tail(5)])
    return "\n\n".join([
        "## Tokens for the same text",
        _filled(
            f"The tokenizer takes {others['relative'].median():.2f} times as many tokens as for English in the median "
            f"of {len(others)} languages. The five cheapest and the five dearest; intervals over articles:"
        ),
        markdown(
            pd.DataFrame({
                "language": [_name(code) for code in rows["language"]],
                "tokens, relative to English": [
                    _between(row["relative"], row["low"], row["high"]) for row in rows.to_dict("records")
                ],
                "tokens per character": rows["tokens_per_character"].map("{:.2f}".format),
            })
        ),
        _picture("fertility", "Tokens for the same articles relative to English, a row for each language"),
    ])  # fmt: skip


_CHANGES = {
    "accuracy": "accuracy",
    "target_last": "right word, last layer",
    "target_inner": "right word, layers before it",
    "gap_inner": "English gap, layers before it",
    "retrieval_ab": "retrieval from English",
    "cka": "linear CKA",
    "centroid_distance": "distance of centroids",
}
_GROUPS = {"seen": "seen in training", "unseen": "never seen"}


def _training(training: pd.DataFrame) -> str:
    kept = training[training["group"].isin(_GROUPS) & training["measure"].isin(_CHANGES)]
    trained = kept[kept["design"] != "identity"]
    runs = list(dict.fromkeys(zip(trained["design"], trained["seed"], strict=True)))
    counts = Counter(design for design, _seed in runs)
    same = training[training["design"] == "identity"]["difference"].abs().max()
    seeds = listed([f"{counted(count, 'seed')} of `{name}`" for name, count in counts.items()])
    return "\n\n".join([
        "## Question alignment",
        _filled(
            f"LoRA adapters (rank {TRAINING['rank']} on all linear layers, {TRAINING['epochs']} epoch, learning rate "
            f"{TRAINING['learning_rate']:g}) trained to translate {TRAINING['per_pair']} questions from Chinese and as "
            "many from Spanish into English (`zh+es-en`), and their control, the same questions with the translation "
            f"of another one (`wrong-pairs`); {seeds}. Then sentiment, which nothing was trained on, in 20 languages "
            f"(as many of them as each measure can be had in): {ASKED} items for accuracy, 30 for the rest. "
            "Differences with 95 % intervals over items and languages. The model compared with itself, trained on "
            f"nothing, differs by {same:g} in all of it."
        ),
        markdown(pd.DataFrame(_changes(trained, runs))),
        *[_item(f"**{capital(words)}**: {_verdicts(trained, name, counts)}.") for name, words in _CHANGES.items()],
        _filled(" ".join(_of_training(trained))),
    ])  # fmt: skip


def _changes(trained: pd.DataFrame, runs: Sequence[tuple[str, int]]) -> list[dict[str, str]]:
    """A row for each measure and group of languages, a column for each run."""
    rows = []
    for (measure, words), (group, languages) in product(_CHANGES.items(), _GROUPS.items()):
        own = trained[(trained["measure"] == measure) & (trained["group"] == group)].to_dict("records")
        if not own:
            continue
        places = 3 if measure == "gap_inner" else 2
        by_run = {(row["design"], row["seed"]): _change(row, places) for row in own}
        before = {"what": words, "languages": languages, "before": unsigned(own[0]["before"], places)}
        rows.append(before | {f"{name}, {seed}": by_run.get((name, seed), "") for name, seed in runs})
    return rows


def _of_training(trained: pd.DataFrame) -> list[str]:
    """What it comes to: said only as far as every run says it."""
    accuracy = trained[trained["measure"] == "accuracy"]
    said = [
        f"So accuracy changes by {_change_range(accuracy, 'zh+es-en', 'unseen')} in languages never seen, and by "
        f"{_change_range(accuracy, 'wrong-pairs', 'unseen')} where the pairs are wrong."
    ]
    retrieval = trained[trained["measure"] == "retrieval_ab"]
    distance = trained[trained["measure"] == "centroid_distance"]
    if bool((retrieval["high"] < 0).all()) and bool((distance["low"] > 0).all()):
        said.append(
            "The languages do not come closer to English: retrieval falls and the centroids part in every run, with "
            "right pairs and with wrong ones, so that this is what training does, not what aligned questions do."
        )
    weights = f"{2 * TRAINING['per_pair']} pairs"
    said.append(f"It is a model of 270 million weights and {weights}; of larger ones this says nothing.")
    return said


def _verdicts(trained: pd.DataFrame, measure: str, counts: Mapping[str, int]) -> str:
    """In how many seeds of each design a measure rose or fell with certainty, group by group."""
    said = []
    for name, count in counts.items():
        parts = []
        for group, words in _GROUPS.items():
            own = trained[
                (trained["design"] == name) & (trained["measure"] == measure) & (trained["group"] == group)
            ]
            rose, fell = int((own["low"] > 0).sum()), int((own["high"] < 0).sum())
            verdict = listed([*([f"rose in {rose}"] if rose else []), *([f"fell in {fell}"] if fell else [])])
            parts.append(f"{verdict or 'no evidence of change'} ({words})")
        said.append(f"`{name}`, of {counted(count, 'seed')}: {', '.join(parts)}")
    return "; ".join(said)


def _change_range(rows: pd.DataFrame, design: str, group: str) -> str:
    own = rows[(rows["design"] == design) & (rows["group"] == group)]["difference"]
    low, high = (signed(value, 2, keep_side=False) for value in (own.min(), own.max()))
    return low if low == high else f"{low} to {high}"


_LIMITS = """## What this page does not show

- **One model, of 270 million weights, quantised to about 4 bits.** Nothing here says whether the phenomenon grows or
  shrinks with size, nor what quantisation does to it: the unquantised weights were not at hand.
- **Readings, not causes.** The logit lens reads what a layer would say; nothing was patched, ablated or steered.
- **The early layers.** Before the layers named here the logit lens reads next to nothing in any language, the right
  answer's included. That is the lens as much as the model: a tuned lens might read more.
- **First tokens.** A word is read by the tokens that can begin it; what two answers share is left out, which costs most
  between related languages.
- **Chosen layers.** Where a layer is the best of 18, the text says so.
- **Words of dictionaries and one formal text.** Neither is what people write.

Made by `python -m experiments.gemma3.measure FOLDER`, `.tables FOLDER`, `.pictures FOLDER` and `.page`; hours on two
cores. A taste of it takes minutes: `make real`."""


def _sources(by_layer: pd.DataFrame) -> list[str]:
    there = set(by_layer["source"])
    return [source for source in SOURCES if source in there]


def _row(by_layer: pd.DataFrame, source: str, seed: int, contrast: str, layer: int) -> dict[Hashable, Any]:
    own = by_layer.query("source == @source and seed == @seed and contrast == @contrast and layer == @layer")
    (row,) = own.to_dict("records")
    return row


def _at(by_layer: pd.DataFrame, source: str, seed: int, contrast: str = "pivot-null") -> dict[Hashable, Any]:
    return _row(by_layer, source, seed, contrast, chosen_layer(by_layer, source, contrast))


def _name(code: object) -> str:
    return language(str(code)).name


def _value(row: Mapping[Hashable, Any]) -> str:
    return _between(row["mean"], row["low"], row["high"])


def _between(value: float, low: float, high: float) -> str:
    return f"{_two(value)} [{_two(low)}, {_two(high)}]"


def _two(value: float) -> str:
    return unsigned(value, 2)


def _change(row: Mapping[Hashable, Any], places: int = 2) -> str:
    value, low, high = (signed(row[name], places, keep_side=False) for name in ("difference", "low", "high"))
    return f"{value} [{low}, {high}]"


def _spread(values: pd.Series) -> str:
    return f"{_two(values.min())} to {_two(values.max())} ({len(values)})" if len(values) else ""


def _picture(name: str, words: str) -> str:
    return f"![{words}](../figures/gemma3-270m/{name}.png)"


def _filled(text: str, indent: str = "") -> str:
    return textwrap.fill(
        text, _WIDTH, initial_indent=indent, subsequent_indent=" " * len(indent), break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def _item(text: str) -> str:
    return _filled(text, "- ")


def main() -> None:
    """Command line of this module."""
    write_text(PAGE, page(tables()))


if __name__ == "__main__":
    main()
