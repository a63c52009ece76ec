"""Write docs/papers/five-systems.md: `python -m experiments.five_systems.page`. No measured number is typed by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from experiments.five_systems.measure import (
    ITEMS,
    LANGUAGES,
    SAME_DATA,
    SOURCE,
    STEPS,
    SYSTEMS,
)
from experiments.five_systems.tables import FIGURES, HALVES, TABLES
from experiments.instructions.tables import mean_with_interval
from experiments.instructions.world import SETTINGS
from experiments.instructions.world_arms import TRAINED, UNSEEN
from experiments.markdown import between, filled, markdown
from latentlang.language_names import language
from latentlang.storage.files import write_text
from latentlang.text import counted, listed, signed, unsigned

PAGE = Path(__file__).parents[2] / "docs" / "papers" / "five-systems.md"
Parts = Mapping[str, pd.DataFrame]
Floats = NDArray[np.float64]
#: What each arm is called.
NAMES = {
    "question-alignment": "Question alignment (Zhang et al.): words of eight languages to be put into English",
    "bactrianx": "Bactrian-X: instructions in eight languages",
    "bayling2": "BayLing 2: instructions in English and Chinese, and translations to and from them",
    "gooddata-native": "Chen et al.: native answers in Russian",
    "gooddata-translated": "Chen et al.: translated answers in Russian",
    "ultralink": "UltraLink: English, and in Chinese what is its own and a few others",
    "english-alone": "*control:* English instructions alone",
    "wrong-pairs": "*control:* BayLing 2's with translations exchanged",
    "another-seed": "*control:* Bactrian-X's data, another seed of training",
}
#: Measures of the first table: what they are called, and digits.
MEASURES = {
    "target_last": ("right word, said", 3), "target_inner": ("right word, inside", 3),
    "gap_inner": ("English's gap, inside", 3), "cka": ("CKA with English", 3), "retrieval_ab": ("retrieval", 3),
}  # fmt: skip
#: Orders of the languages that a correlation is compared with.
PERMUTATIONS = 9999
_LEVEL = 0.05


def tables(folder: Path = FIGURES) -> dict[str, pd.DataFrame]:
    """The committed tables."""
    return {
        name: pd.read_csv(folder / f"{name}.csv", keep_default_na=False, na_values=[""]) for name in TABLES
    }


def _by_seed(parts: Parts, arm: str, measure: str, group: str = "all") -> pd.Series:
    table = parts["changes"]
    rows = table[(table["arm"] == arm) & (table["measure"] == measure) & (table["group"] == group)]
    return rows.set_index("seed")["difference"].sort_index()


def _cell(values: Sequence[float] | Floats, places: int) -> str:
    return between(*mean_with_interval(values), places=places)


def changed(parts: Parts) -> pd.DataFrame:
    """A row an arm, a column a measure: how much each training changed, over seeds."""
    rows = []
    for arm in NAMES:
        row = {"trained as": NAMES[arm]}
        for measure, (name, places) in MEASURES.items():
            row[name] = _cell(_by_seed(parts, arm, measure).to_numpy(float), places)
        rows.append(row)
    return pd.DataFrame(rows)


def against(parts: Parts, control: str, measure: str) -> dict[str, tuple[float, float, float]]:
    """Of each system how much more it changes a measure than a control does, seed by seed."""
    base = _by_seed(parts, control, measure)
    return {
        arm: mean_with_interval((_by_seed(parts, arm, measure) - base).dropna().to_numpy(float))
        for arm in SYSTEMS
    }


def floor(parts: Parts, measure: str) -> float:
    """The largest difference that another seed of training makes, by itself."""
    difference = _by_seed(parts, "another-seed", measure) - _by_seed(parts, SAME_DATA, measure)
    return float(difference.abs().max())


def changed_by(parts: Parts, arm: str, measure: str, group: str = "all") -> str:
    """How much an arm changes a measure, over seeds.

    Args:
        parts: the tables.
        arm: which.
        measure: of the table of changes.
        group: of the languages: ``all``, ``seen`` (that it was trained on) or ``unseen``.
    """
    return _cell(_by_seed(parts, arm, measure, group).to_numpy(float), 3)


def told(parts: Parts, arm: str, measure: str) -> str:
    """How much an arm changes a measure, beside what another seed of training does."""
    change = changed_by(parts, arm, measure)
    return f"{change}; another seed of training alone up to {unsigned(floor(parts, measure), 3)}"


def short_name(arm: str) -> str:
    """What an arm is called where what it is trained on was said."""
    if arm not in SYSTEMS:
        return NAMES[arm].replace("*control:* ", "")
    return NAMES[arm].partition(":")[0] if arm not in ("gooddata-native", "gooddata-translated") else {
        "gooddata-native": "Chen et al.'s native answers", "gooddata-translated": "Chen et al.'s translated answers",
    }[arm]  # fmt: skip


def _beyond(parts: Parts, measure: str) -> str:
    """Which systems change a measure for certain, by more than another seed does."""
    least = floor(parts, measure)
    sides: dict[str, list[str]] = {"raise": [], "lower": []}
    for arm in SYSTEMS:
        mean, low, high = mean_with_interval(_by_seed(parts, arm, measure).to_numpy(float))
        if (low > 0 or high < 0) and abs(mean) > least:
            sides["raise" if mean > 0 else "lower"].append(f"{short_name(arm)} ({signed(mean, 3)})")
    said = [
        f"{listed(names)} {verb if len(names) > 1 else verb + 's'} it"
        for verb, names in sides.items()
        if names
    ]
    return "; ".join(said) if said else "no system changes it by more than that"


def _in_short(parts: Parts, related: pd.DataFrame) -> str:
    """What to believe, in five points."""
    exchanged = _cell(_by_seed(parts, "wrong-pairs", "target_last").to_numpy(float), 3)
    near = related.loc[related["p"].astype(float) <= _LEVEL, "trained as"].tolist()
    points = [
        f"**The right word at the output**: {_beyond(parts, 'target_last')}.",
        f"**English's lead inside**: {_beyond(parts, 'gap_inner')}.",
        f"**Alignment with English**, CKA: {_beyond(parts, 'cka')}; retrieval: {_beyond(parts, 'retrieval_ab')}.",
        f"**What is large is seen**: exchanged translations change the right word by {exchanged}.",
        f"**Languages nearer to English gain more** after {listed(near) or 'none of the systems'}, by a test over "
        f"{int(related['languages'].max())} languages, which can show only strong relations.",
    ]
    return "\n".join([
        "Beyond what another seed of training does, and with an interval over seeds without 0:",
        "",
        *(filled(point, "- ") for point in points),
    ])  # fmt: skip


def by_layer(parts: Parts) -> pd.DataFrame:
    """Of each arm and curve the layer at which it changes most, and by how much there."""
    rows = []
    table = parts["layers"]
    last = int(table["layer"].max())
    for arm in NAMES:
        row = {"trained as": short_name(arm) if arm in SYSTEMS else NAMES[arm]}
        for measure, name in (("gap", "English's gap"), ("target", "right word"), ("cka", "CKA")):
            own = table[(table["arm"] == arm) & (table["measure"] == measure)]
            wide = own.pivot(index="seed", columns="layer", values="difference").sort_index()
            place = sorted(own["layer"].unique())[int(wide.mean().abs().to_numpy(float).argmax())]
            cell = _cell(wide[place].to_numpy(float), 3)
            row[name] = f"{cell} at {'the last' if place == last else place}"
        rows.append(row)
    return pd.DataFrame(rows)


def _ranks(values: pd.Series) -> Floats:
    return np.asarray(values.rank(), dtype=np.float64).copy()


def _partial(x: Floats, y: Floats, given: Floats) -> Floats:
    """Correlation of what is left of x and y after a linear fit on others.

    Args:
        x: ``[language, ...]``.
        y: ``[language]``.
        given: ``[language, other]``.
    """
    others = np.column_stack([np.ones(len(y)), given])
    rest = np.eye(len(y)) - others @ np.linalg.pinv(others)
    left_x, left_y = rest @ x, rest @ y
    norm = np.sqrt((left_x**2).sum(0) * (left_y**2).sum())
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(norm > 1e-12, left_y @ left_x / norm, np.nan))


def explained(parts: Parts) -> pd.DataFrame:
    """Whether languages that were nearer to English gain more: rank correlation, script and fertility taken out.

    p: how often alignments of the languages in another order are as far from 0.
    """
    table, about = parts["languages"], parts["about"].set_index("language")
    rows = []
    for arm in SYSTEMS:
        own = table[table["arm"] == arm]
        gain = own[own["measure"] == "target_last"].groupby("language")["difference"].mean()
        near = own[own["measure"] == "retrieval_ab"].groupby("language")["before"].mean()
        codes = [code for code in LANGUAGES if code in gain.index and code in near.index]
        others = np.column_stack([
            (about.loc[codes, "script"] == "Latn").to_numpy(float), _ranks(about.loc[codes, "fertility"]),
        ])  # fmt: skip
        x, y = _ranks(near[codes]), _ranks(gain[codes])
        plain, partial = (float(_partial(x, y, given)) for given in (others[:, :0], others))
        orders = np.random.default_rng(0).permuted(np.tile(x, (PERMUTATIONS, 1)), axis=1)
        drawn = np.abs(_partial(orders.T, y, others))
        p = (1 + int((drawn >= abs(partial) - 1e-12).sum())) / (1 + PERMUTATIONS)
        rows.append({
            "trained as": short_name(arm), "languages": len(codes), "correlation": f"{unsigned(plain, 2)}",
            "script and fertility taken out": f"{unsigned(partial, 2)}", "p": f"{p:.2g}",
        })  # fmt: skip
    return pd.DataFrame(rows)


def same_neurons(table: pd.DataFrame, common: str = "both") -> dict[str, Floats]:
    """Neurons that belong to a language before and after, over those that do at either time: of each arm ``[seed]``.

    Args:
        table: ``neurons.csv``.
        common: ``both``, or ``exchanged`` for the null: those of another language before.
    """
    shares = {}
    for arm, own in table.groupby("arm", sort=False):
        sums = own.groupby("seed")[["before", "after", common]].sum()
        either = sums["before"] + sums["after"] - sums[common]
        shares[str(arm)] = (sums[common] / either).to_numpy(float)
    return shares


def _neurons(parts: Parts) -> list[str]:
    """How many of the neurons of languages are still theirs, after each training."""
    table = parts["neurons"]
    same, null = same_neurons(table), same_neurons(table, "exchanged")
    pairs = {
        str(arm): own.groupby("seed")[["before", "after"]].sum()
        for arm, own in table.groupby("arm", sort=False)
    }
    alone = same["english-alone"]
    again = float(np.abs(same["another-seed"] - same[SAME_DATA]).max())
    rows = [
        {
            "trained as": short_name(arm) if arm in SYSTEMS else NAMES[arm],
            "the same": _cell(same[arm], 2),
            "less that after English alone": "" if arm == "english-alone" else _cell(same[arm] - alone, 2),
            "pairs afterwards": _cell(pairs[arm]["after"].to_numpy(float), 1),
        }
        for arm in NAMES
    ]
    apart = {arm: mean_with_interval(same[arm] - alone) for arm in SYSTEMS}
    named = {arm: f"{short_name(arm)} ({signed(mean, 2)})" for arm, (mean, _, _) in apart.items()}
    sides = {
        "fewer stay": [named[arm] for arm, (mean, _, high) in apart.items() if high < 0 and mean < -again],
        "more stay": [named[arm] for arm, (mean, low, _) in apart.items() if low > 0 and mean > again],
    }
    told_apart = "; ".join(f"{side} after {listed(names)}" for side, names in sides.items() if names)
    return [
        filled(
            "Which neurons fire in few languages, before training and after? Counted on the words of "
            f"{counted(table['language'].nunique(), 'language')}, {ITEMS} each, by LAPE's rule with a null "
            f"(`latentlang neurons`), which selects a fixed share: {int(pairs[SAME_DATA]['before'].iloc[0])} "
            "pairs of a language and a neuron before. *The same*: pairs that are there before and after, over those "
            "that are there at either time; mean over seeds with its interval. Two halves of the words, without any "
            f"training and null, have {unsigned(float(same[HALVES][0]), 2)} in common; other languages' neurons at "
            f"most {unsigned(max(float(values.max()) for values in null.values()), 2)}. Another seed of training "
            f"changes a value by up to {unsigned(again, 2)}."
        ),
        markdown(pd.DataFrame(rows)),
        filled(
            "Apart from English instructions alone by more than another seed makes, and with an interval over seeds "
            f"without 0, of {len(SYSTEMS)} without correction: {told_apart or 'none'}. Which neurons a rule of a fixed "
            "share selects says nothing of what they do: nothing was taken out here."
        ),
    ]


def page(parts: Parts) -> str:
    """The whole page."""
    seeds = parts["changes"]["seed"].nunique()
    names = listed([language(code).name for code in LANGUAGES])
    trained = listed([language(code).name for code in TRAINED])
    unseen = listed([language(code).name for code in UNSEEN])
    related = explained(parts)
    certain = [row["trained as"] for _, row in related.iterrows() if float(row["p"]) <= _LEVEL]
    blocks = [
        "# Five systems on one model",
        filled(
            "What does the training that five papers propose do to the layers of one and the same model? `pocket` was "
            f"trained on data made after each of them: {STEPS} steps of {SETTINGS['batch']} examples, LoRA of rank "
            f"{SETTINGS['rank']}, {seeds} seeds each. Afterwards words of {language(SOURCE).name} were to be "
            f"translated into {counted(len(LANGUAGES), 'language')} ({names}), {ITEMS} items each, and the model with "
            "each adapter was compared with the model without. The eight languages of the training data are "
            f"{trained}; {unseen} are in none. It is a small model of a made world: what comes out is what such data "
            "do *there*, and no verdict on the papers' models. Tables: `figures/five-systems/`; every number on this "
            "page is written by `experiments/five_systems/page.py` from them."
        ),
        _in_short(parts, related),
        "## What changes",
        filled(
            "Change against the model without an adapter, averaged over all languages; mean over seeds and its 95% "
            "interval (Student's t over seeds, which draw data, order and first weights; the words that are asked stay "
            f"the same). {len(SYSTEMS) * len(MEASURES)} of them are looked at, without correction. *Said*: the "
            f"probability of the right word at the output; *inside*: the same read by the logit "
            "lens, averaged over the layers before; *English's gap*: the probability of the right English word less "
            "that of wrong ones; *CKA*, *retrieval*: how alike words of each language and their English translations "
            "are (vectors of the words, in prompts of their own language), averaged over layers."
        ),
        markdown(changed(parts)),
        filled(
            "Another seed of training alone changes these by up to "
            + listed([f"{floor(parts, measure):.3f} ({MEASURES[measure][0]})" for measure in MEASURES])
            + ". Beyond that, and with an interval without 0:"
        ),
        "\n".join(
            filled(f"{name}: {_beyond(parts, measure)}.", "- ") for measure, (name, _) in MEASURES.items()
        ),
        "## Against English instructions alone",
        filled(
            "How much more each system changes than training on as many English instructions does, seed by seed: what "
            "any training in this form does is taken out."
        ),
        markdown(
            pd.DataFrame(
                [
                    {
                        "trained as": short_name(arm),
                        **{
                            MEASURES[measure][0]: between(
                                *against(parts, "english-alone", measure)[arm], places=MEASURES[measure][1]
                            )
                            for measure in MEASURES
                        },
                    }
                    for arm in SYSTEMS
                ]
            )
        ),
        "## At which layers",
        filled("The layer at which the mean over seeds changes most, chosen after looking, so that "
            "its interval is too kind, and the change there; all layers stand in `figures/five-systems/layers.csv`."),
        markdown(by_layer(parts)),
        "![Change of English's gap by layer after each training](../../figures/five-systems/gap.png)",
        "## Do languages near to English gain more?",
        filled(
            "Rank correlation, over languages, of retrieval before training with how much more probable the right "
            "word becomes; and the same with script (Latin or not) and fertility (tokens a word) taken out. p: of the "
            f"latter, against {PERMUTATIONS:,} other orders of the languages."
        ),
        markdown(related),
        filled(
            f"So few languages can show only a strong relation; {listed(certain) if certain else 'none'} "
            f"{'has' if len(certain) <= 1 else 'have'} p of at most 0.05, of {len(related)} that were looked at, "
            "without correction."
        ),
        "## Neurons of languages",
        *_neurons(parts),
        "## What this does not show",
        filled(
            "Arms differ in more than one thing: in languages, in the form of the task (a question answered or a word "
            "translated), in how often an item is seen; that is how the papers differ too, and why no arm is "
            "compared with another one here but with controls. What is asked afterwards has the form of a "
            "translation, which question alignment and BayLing 2 are trained on and the others are not. That English "
            "can be read inside does not say that it is used. One model of "
            f"{int(parts['layers']['layer'].max())} layers, one source language, words alone; another model may do "
            "otherwise."
        ),
    ]  # fmt: skip
    return "\n\n".join(blocks) + "\n"


def main() -> None:
    """Write the page."""
    write_text(PAGE, page(tables()))


if __name__ == "__main__":
    main()
