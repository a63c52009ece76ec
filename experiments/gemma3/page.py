"""Write docs/gemma.md: `python -m experiments.gemma3.page`. No measured number in it is typed by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.gemma3.measure import ASKED, SOURCES, TRAINING
from experiments.gemma3.tables import FIGURES, PIVOT, chosen_layer
from experiments.markdown import between, filled, item, markdown
from experiments.steps import committed_tables
from latentlang.language_names import language
from latentlang.lens.pivot_test import MINIMUM_LEAD
from latentlang.stats.intervals import wilson
from latentlang.storage.files import write_text
from latentlang.text import counted, listed, signed, unsigned

PAGE = Path(__file__).parents[2] / "docs" / "gemma.md"
_LAYERS = (0, 3, 6, 9, 11, 12, 14, 16, 18)
_RUNS = {
    "alignment-20": "20 languages, every pair",
    "alignment-length": "English with 19 others, unpaired within like length",
    "alignment-100": "English with all",
}


def tables() -> dict[str, pd.DataFrame]:
    """The committed tables, by name."""
    return committed_tables(FIGURES)


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
    there = {name: _row(by_layer, name, 0, "source-null", int(leads[name]["layer"])) for name in leads}
    more = sum(there[name]["mean"] > leads[name]["mean"] for name in leads)
    possible = tested[(tested["language"] != "all") & (tested["language"] != PIVOT)]
    others = tested[(tested["language"] != "all") & tested["is_pivot"] & (tested["leader"] != PIVOT)]
    verdict = f"over all target languages {listed(decided) or 'no language is called the pivot'}"
    return "\n".join([
        "# Gemma 3 270M",
        "",
        filled(
            "What latentlang sees in a real model small enough for a laptop: **Gemma 3 270M** (base; 18 layers, width "
            "640, a vocabulary of 262,144, trained on about 140 languages), from a GGUF file quantised to `Q4_K_M`, "
            "dequantised to fp32. Tables and pictures: `figures/gemma3-270m/`. Every result on this page is written "
            "by `experiments/gemma3/page.py` from those tables."
        ),
        "",
        item(
            "**English words for the answer can be read, a little.** Asked to translate a word, the "
            f"late layers give the right English word more probability than wrong English words: by "
            f"{_value(leads[least])} from {_name(least)} to {_value(leads[most])} from {_name(most)}, in the mean over "
            "target languages, at the best of 18 layers."
        ),
        item(
            "**The word of the prompt can be read too, mostly better.** It has more probability than wrong "
            "words of its "
            f"language by {_value(copied[lowest])} from {_name(lowest)} to {_value(copied[highest])} from "
            f"{_name(highest)}, at its best layer; at the layer where English is highest it is ahead of English from "
            f"{more} of {len(leads)} sources. A layer may merely copy it."
        ),
        item(
            f"**With every language as a candidate**, {verdict}; of {len(possible)} pairs of a source and a "
            "target that "
            f"is not English, taken one by one, {len(single)} have English as their pivot and {len(others) or 'none'} "
            "another language (layers chosen, leads not corrected for the number of pairs)."
        ),
        "",
        filled(
            "So a small reading of English is there. Nothing on this page tests whether the model *uses* it; [What "
            "the models use](use.md) does, on the same words; its neurons, features and what other lenses read have [a "
            "page of their own](units.md). It is one model, "
            f"of 270 million weights, that begins {_accuracies(parts['lens-by-target'])} of these words right; what "
            "follows says nothing of larger ones."
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
            "begun right": f"{own.query('seed == 0')['accuracy'].mean():.2f}",
        })  # fmt: skip
    drawn = [int(seed) for seed in sorted(by_layer["seed"].unique())]
    items = by_layer.query("seed == 0")["items"].max()
    few = by_layer.query("seed > 0")["items"].max()
    rest = (
        f"; seeds {listed([str(seed) for seed in drawn[1:]])} drew other examples, and read {few:.0f} of the same items"
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
        filled(
            "Four examples, then a word: `Русский: \"вода\" - Deutsch: \"`. A layer's reading (logit lens) is asked "
            "for the tokens that can begin the right English word and can begin neither the answer nor the prompt's "
            "own word; *null* is the mean over wrong words of the same category, read the same way. Seed 0 read all "
            f"{items:.0f} items{rest}. The layer is where the mean over target languages is highest *with seed 0*, so "
            "that seed's value is a little too good; the other seeds are read at the same layer. Intervals: 95%, "
            "items and target languages resampled."
        ),
        _picture("lens", "What each layer would say: Russian words into German, Japanese, Chinese and Hindi"),
        markdown(pd.DataFrame(rows)),
        filled(
            "*Other seeds*: smallest to largest of their means, and how many there are. *Begun right*: share of "
            "items whose likeliest next token can begin the right answer, mean over targets. By target language, "
            "English minus its null at the source's layer, seed 0, 95% over items (each language by itself, not "
            "corrected for their number):"
        ),
        markdown(wide.reset_index(drop=True)),
        filled(
            "What it does not show: that the model *uses* the English word. A reading is what a layer would say if it "
            "were the last; what becomes of the answer when it is changed is in [What the models use](use.md)."
        ),
    ])  # fmt: skip


def _candidates(tested: pd.DataFrame) -> str:
    whole, single = tested[tested["language"] == "all"], tested[tested["language"] != "all"]
    fewest: Any = min(single.to_dict("records"), key=lambda row: int(row["target_read"]))
    rows = [
        {
            "source": _name(row["source"]),
            "ahead, furthest": f"{_name(row['leader'])}, layer {int(row['peak'])}"
            if row["lead"] > 0
            else "none",
            "of the next language": between(row["lead"], row["lead_low"], row["lead_high"]),
            "right words against wrong, p": f"{row['p']:.3f}",
            "called the pivot": "yes"
            if row["is_pivot"]
            else f"no: {_REASONS.get(row['reason'], row['reason'])}",
            "source word there": f"{row['source_score']:.2f}"
            if row["source_score"] == row["source_score"]
            else "",
            "targets one by one": _one_by_one(tested, row["source"]),
        }
        for row in whole.to_dict("records")
    ]
    return "\n\n".join([
        "## All languages at once",
        filled(
            "Looking only at English finds only English. Here the right word is read in all 20 languages at every "
            f"layer ({int(fewest['target_items'])} items for each target, of which as few as "
            f"{int(fewest['target_read'])}, in "
            f"{_name(fewest['language'])}, can be read), by tokens that can begin no other language's answer. "
            "Candidates are "
            "all languages but target and source. A language is called the pivot if at some layer it leads the best "
            f"other language, the target included, by at least {MINIMUM_LEAD:g} with a 95% interval above 0, and if "
            "right words stand out against wrong ones in a permutation test over all languages and layers. The source "
            "is no rival, for its word stands in the prompt; where it scores more than the leader, that is said."
        ),
        _picture("candidates", "Which language's right word leads, by layer: Russian into four languages"),
        markdown(pd.DataFrame(rows)),
        filled(
            "This test is harder on English than the section before: what English shares with any of 19 languages "
            "(*animal*, *radio*) no longer counts for it, which can hide a pivot. It costs the target and its "
            "relatives "
            "as much, which can favour English: the test is strictest where all are read on most items. Blank: the "
            "source word scores less than the leader."
        ),
    ])  # fmt: skip


_REASONS = {
    "none-ahead": "no language leads", "uncertain": "the lead's interval holds 0", "chance": "no more than chance",
    "small": f"the lead is below {MINIMUM_LEAD:g}",
}  # fmt: skip


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
            "exactly at chance": str(int((rate == chance).sum())),
            "best": f"{_name(ordered[0])} {between(rate[ordered[0]], *intervals[ordered[0]])}",
            "worst": f"{_name(ordered[-1])} {between(rate[ordered[-1]], *intervals[ordered[-1]])}",
            "English": between(rate[PIVOT], *intervals[PIVOT]),
        })  # fmt: skip
    said = [
        "## Sentiment, inference and paraphrase",
        filled(
            "The project's own items, choice between the labels in the language asked in. Rates are pooled over "
            f"{accuracy['seed'].nunique()} seeds of the few-shot examples; *by seed* is the smallest and largest mean. "
            "*Above chance*: languages whose 95% Wilson interval lies above it, not corrected for their "
            "number; the same "
            "items are counted once for each seed, so that these intervals are too narrow. *Exactly at chance*: "
            "presumably the same label for everything. Best and worst are chosen after the fact, the first of equals."
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
            filled(
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
        filled(
            "The 30 articles of the Universal Declaration of Human Rights in every language of FLORES-101 that has a "
            f"translation ({there['language'].nunique() + 1} with English): the mean state over an article's tokens, "
            "without the beginning token, each language's centroid taken out. *Null*: articles of the second language "
            "permuted. Retrieval: share of articles whose nearest neighbour in the other language is their translation "
            "(CSLS: corrected for hubs)."
        ),
        _picture("alignment", "Retrieval between English and 19 languages by layer, for two poolings"),
        _picture("pca", "The articles in 20 languages along two principal components, at four layers"),
        markdown(pd.DataFrame(rows).fillna("")),
        filled(
            "Value (null) by layer, the mean over an article's tokens; 0 is the embeddings, where what counts "
            "is the tokens "
            "that languages share, names and loanwords. With length regressed out, retrieval over all pairs at "
            "layer 12 is "
            f"{float(partial['partial'].iloc[0]):.2f} instead of {float(partial['value'].iloc[0]):.2f}; with articles "
            "exchanged only among those of like length the null itself rises (second block). There are only 30 "
            f"articles: the 95% interval of one language's retrieval at layer {layer} is "
            f"{float((there['high'] - there['low']).median()):.2f} wide in the median. At layer 12 the CKA of "
            f"English with the 19 others is {_cka(alignment, 'alignment-length')} where that of all pairs is "
            f"{_cka(alignment, 'alignment-20')}; at the last token the two are "
            f"{_cka(alignment, 'alignment-length', 'last')} and {_cka(alignment, 'alignment-20', 'last')}, so "
            "that most "
            "of the gap is the pooling's."
        ),
        filled(
            f"From English, at layer {layer} (the best on average), retrieval stands out in "
            f"{len(there) - len(chance)} of {len(there)} languages when all languages and layers are searched at once, "
            "against articles of any length. "
            f"Highest: {_listed(there.head(6))}. No evidence after that correction: "
            f"{listed([_name(code) for code in chance['language']]) or 'none'}."
        ),
    ])  # fmt: skip


_MEASURES = {"retrieval_ab": "retrieval", "csls_ab": "retrieval, CSLS", "cka": "linear CKA, debiased"}


def _cka(rows: pd.DataFrame, run: str, pooling: str = "mean_no_bos") -> str:
    own = rows.query("run == @run and measure == 'cka' and layer == 12 and pooling == @pooling")
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
        filled(
            f"The tokenizer takes {others['relative'].median():.2f} times as many tokens as for English in the median "
            f"of {len(others)} languages. The five cheapest and the five dearest; intervals over articles:"
        ),
        markdown(
            pd.DataFrame({
                "language": [_name(code) for code in rows["language"]],
                "tokens, relative to English": [
                    between(row["relative"], row["low"], row["high"]) for row in rows.to_dict("records")
                ],
                "tokens per character": rows["tokens_per_character"].map("{:.2f}".format),
            })
        ),
        _picture("fertility", "Tokens for the same articles relative to English, a row for each language"),
    ])  # fmt: skip


_CHANGES = {
    "accuracy": "accuracy",
    "target_last": "right word, last layer",
    "target_inner": "right word, mean of the layers before",
    "retrieval_ab": "retrieval from English",
    "cka": "linear CKA with English",
    "centroid_distance": "distance of centroids from English's",
}
_GROUPS = {"seen": "seen", "unseen": "never seen"}


def _training(training: pd.DataFrame) -> str:
    kept = training[training["group"].isin(_GROUPS) & training["measure"].isin(_CHANGES)]
    trained = kept[kept["design"] != "identity"]
    runs = list(dict.fromkeys(zip(trained["design"], trained["seed"], strict=True)))
    counts = Counter(design for design, _seed in runs)
    same = training[training["design"] == "identity"]["difference"].abs().max()
    seeds = listed([f"{counted(count, 'seed')} of `{name}`" for name, count in counts.items()])
    return "\n\n".join([
        "## Question alignment",
        filled(
            f"LoRA adapters (rank {TRAINING['rank']} on all linear layers, {TRAINING['epochs']} epoch, learning rate "
            f"{TRAINING['learning_rate']:g}) trained to translate {TRAINING['per_pair']} questions from Chinese and as "
            "many from Spanish into English (`zh+es-en`), and their control, the same questions with the translation "
            f"of another one (`wrong-pairs`); {seeds}. Then sentiment, which nothing was trained on, in 20 languages: "
            f"{ASKED} items for accuracy, 30 for the rest. *Seen* are Chinese, Spanish and English, as far as a "
            "measure "
            "can be had of them; the number of languages stands with each row. Differences with 95% intervals: of "
            "languages never seen over items and languages, of the two or three seen over items alone; they are not "
            f"corrected for being {len(_CHANGES) * len(_GROUPS) * len(runs)}. The model compared with itself, trained "
            f"on nothing, differs by {same:g} in all of it."
        ),
        markdown(pd.DataFrame(_changes(trained, runs))),
        filled(" ".join(_of_training(training, runs))),
    ])  # fmt: skip


def _changes(trained: pd.DataFrame, runs: Sequence[tuple[str, int]]) -> list[dict[str, str]]:
    """A row for each measure and group of languages, a column for each run."""
    rows = []
    for (measure, words), (group, languages) in product(_CHANGES.items(), _GROUPS.items()):
        own = trained[(trained["measure"] == measure) & (trained["group"] == group)].to_dict("records")
        if not own:
            continue
        by_run = {(row["design"], row["seed"]): _change(row) for row in own}
        before = {
            "what": words,
            "languages": f"{languages} ({own[0]['languages']})",
            "before": unsigned(own[0]["before"], 2),
        }
        rows.append(before | {f"{name}, seed {seed}": by_run.get((name, seed), "") for name, seed in runs})
    return rows


def _of_training(training: pd.DataFrame, runs: Sequence[tuple[str, int]]) -> list[str]:
    """What it comes to: a mean with the languages that go against each other, the control, the geometry."""
    accuracy = training[training["measure"] == "accuracy"]
    single = accuracy[accuracy["group"] == "language"]
    never = accuracy[(accuracy["design"] == "zh+es-en") & (accuracy["group"] == "unseen")]
    mean = listed([_change(row) for row in never.to_dict("records")])
    right = single[(single["design"] == "zh+es-en") & ~single["seen"].astype(bool)]
    moved = right.groupby("language")["difference"].mean().sort_values()
    said = [
        f"In languages never seen the mean accuracy changes by {mean}, which hides opposite changes: "
        f"{_before_after(right, moved.index[-1])}, {_before_after(right, moved.index[0])}."
    ]
    wrong = single[(single["design"] == "wrong-pairs") & single["after"].notna()]
    if len(wrong):
        at_chance = [int((own["after"] == 0.5).sum()) for _, own in wrong.groupby("seed")]
        said.append(
            f"After training on wrong pairs accuracy is exactly 0.50 in {listed([str(n) for n in at_chance])} of "
            f"{wrong['language'].nunique()} languages, presumably one label for everything: this control fell "
            "too far to "
            "say why right pairs do what they do, and the two were not compared with an interval."
        )
    retrieval, distance = (
        training[
            training["group"].isin(_GROUPS)
            & (training["measure"] == name)
            & (training["design"] != "identity")
        ]
        for name in ("retrieval_ab", "centroid_distance")
    )
    if all(_bounds(row)[1] < 0 for row in retrieval.to_dict("records")) and all(
        _bounds(row)[0] > 0 for row in distance.to_dict("records")
    ):
        said.append(
            "Retrieval falls and the centroids part in every run: nothing here says that training brought the "
            "languages closer to English."
        )
    said.append(
        f"It is a model of 270 million weights and {2 * TRAINING['per_pair']} pairs; of larger ones this says nothing."
    )
    return said


def _before_after(rows: pd.DataFrame, code: Any) -> str:
    own = rows[rows["language"] == code].sort_values("seed")
    return f"{_name(code)} {_two(own['before'].iloc[0])} → {listed([_two(value) for value in own['after']])}"


def _bounds(row: Mapping[Hashable, Any]) -> tuple[float, float]:
    """The interval of a change: over items and languages where there is one, else over items."""
    wide = row["low_wide"], row["high_wide"]
    return (float(row["low"]), float(row["high"])) if pd.isna(wide[0]) else (float(wide[0]), float(wide[1]))


_LIMITS = """## What this page does not show

- **One model, of 270 million weights, quantised to about 4 bits.** Nothing here says whether the phenomenon grows or
  shrinks with size, nor what quantisation does to it: the unquantised weights were not at hand.
- **Readings, not causes.** The logit lens reads what a layer would say; nothing was patched, ablated or steered.
- **The early layers.** Before the layers named here the logit lens reads next to nothing in any language, the right
  answer's included. That is the lens as much as the model: a tuned lens might read more.
- **First tokens.** A word is read by the tokens that can begin it; what two answers share is left out, which costs most
  between related languages.
- **Chosen layers.** A layer that is named was chosen after looking, the best of 18 for what is said of it; only the
  other seeds of word translation are read at a layer that was chosen without them.
- **Words of dictionaries and one formal text.** Neither is what people write.

Made by `experiments.gemma3.measure`, `experiments.gemma3.tables`, `experiments.gemma3.pictures` and
`experiments.gemma3.page`, run as modules with a folder for results; hours on two cores. A taste of it takes minutes:
`make real`."""


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
    return between(row["mean"], row["low"], row["high"])


def _two(value: float) -> str:
    return unsigned(value, 2)


def _change(row: Mapping[Hashable, Any]) -> str:
    value, low, high = (signed(number, 2, keep_side=False) for number in (row["difference"], *_bounds(row)))
    return f"{value} [{low}, {high}]"


def _spread(values: pd.Series) -> str:
    return f"{_two(values.min())} to {_two(values.max())} ({len(values)})" if len(values) else ""


def _picture(name: str, words: str) -> str:
    return f"![{words}](../figures/gemma3-270m/{name}.png)"


def main() -> None:
    """Command line of this module."""
    write_text(PAGE, page(tables()))


if __name__ == "__main__":
    main()
