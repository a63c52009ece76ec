"""A comparison in plain words, which claim no more than its intervals and tests do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from latentlang.comparison.comparison_settings import ComparisonSettings
from latentlang.geometry.measure_registry import measure as find_measure
from latentlang.language_names import language as find_language
from latentlang.provenance import Provenance
from latentlang.stats.crossed import FEWEST_LANGUAGES
from latentlang.stats.intervals import error_probability
from latentlang.text import GROUPS, VERBS, capital, counted, listed, percent, signed, span, unsigned

if TYPE_CHECKING:
    from latentlang.training import TrainingResult

#: What the paragraph speaks of first, in order: part and measure; all else that was measured follows.
HEADLINE = (
    ("evaluation", "accuracy"), ("lens", "target_last"), ("lens", "gap_inner"), ("alignment", "cka"),
    ("alignment", "retrieval_ab"), ("alignment", "centroid_distance"),
)  # fmt: skip
#: Measures that a report opens with.
MOST_HIGHLIGHTS = 3
#: Least change of a single language, or a cell of a map, that is pointed out (accuracies are as they are).
LEAST = 0.01
_NONE = "no evidence of change"
# Languages named in a sentence; of more, how many there are and those that changed most.
_MOST_NAMED, _FEW = 6, 3


@dataclass(frozen=True)
class Words:
    """What a measure is called.

    Attributes:
        name: within a sentence: ``the English gap``.
        row: in a table: ``English gap, layers before the last``.
        meaning: what it is, in a sentence.
    """

    name: str
    row: str
    meaning: str


def words_of(part: str, measure: str, *, pivot: str = "en") -> Words:
    """What a row of a table of changes is about.

    Args:
        part: ``evaluation``, ``lens`` or ``alignment``.
        measure: name of the measure.
        pivot: code of the pivot language.
    """
    name = find_language(pivot).name
    if part == "evaluation":
        return Words(
            "accuracy",
            "accuracy",
            "Accuracy: the share of items for which the right label is chosen among the labels.",
        )
    if part == "lens":
        return {
            "gap_inner": Words(
                f"the {name} gap",
                f"{name} gap, layers before the last",
                f"The {name} gap: the probability of the right answer's {name} word less that of the wrong answers' "
                f"{name} words, averaged over the layers before the last.",
            ),
            "target_inner": Words(
                "the right word's probability before the last layer",
                "right word, layers before the last",
                "The right word's probability in the target language, averaged over the layers before the last.",
            ),
            "target_last": Words(
                "the probability of saying the right word",
                "right word, last layer",
                "The probability of saying the right word: that of its tokens at the last layer, which the model says.",
            ),
        }[measure]
    texts = find_measure(measure).compared_with(name)
    return Words(texts.name, texts.row, texts.sentence)


def who(
    provenance: Any,
    *,
    seen_languages: Sequence[str],
    unseen: Sequence[str],
    trained_known: bool,
    identity: bool,
    after: str | None = None,
) -> str:
    """What is compared with what, and which languages training saw.

    Args:
        provenance: of the comparison.
        seen_languages: codes of the languages in training.
        unseen: codes of those asked for that were not.
        trained_known: whether that is known.
        identity: whether nothing was trained.
        after: name of the checkpoint it is compared with; None for the model with its adapter.
    """
    where = "one language" if len(provenance.languages) == 1 else f"{len(provenance.languages)} languages"
    if identity:
        return (
            f"The model {provenance.model} is compared with itself, run twice, on {provenance.task} in {where}: "
            "nothing was trained, and this is the control."
        )
    pair = (
        f"with its adapter is compared with the same model without it, on {provenance.task}"
        if after is None
        else f"is compared with {after}, a checkpoint of the same tokenizer (before and after), on {provenance.task}"
    )
    first = f"The model {provenance.model} {pair} in {where}."
    if not trained_known:
        which = "the adapter" if after is None else "the checkpoint"
        return (
            f"{first} It is not known which languages {which} was trained on (it has no training record), so that "
            "seen and unseen languages are not told apart."
        )
    saw = (
        f"Training saw {_names(seen_languages)}" if seen_languages else "Training saw none of these languages"
    )
    if not unseen:
        return f"{first} {saw}."
    never = _names(unseen) if len(unseen) <= _MOST_NAMED else f"the other {len(unseen)}"
    return f"{first} {saw}; it never saw {never}."


def sentences(
    provenance: Provenance,
    changes: pd.DataFrame,
    *,
    seen_languages: Sequence[str],
    unseen: Sequence[str],
    pivot: str,
    level: float,
) -> list[str]:
    """A whole comparison: what was compared, then `findings`.

    Args:
        provenance: of the comparison.
        changes: columns of `change_table.COLUMNS`.
        seen_languages: codes of the languages in training.
        unseen: codes of those asked for that were not.
        pivot: code of the pivot language.
        level: coverage of the intervals.
    """
    settings = ComparisonSettings.of(provenance)
    trained_known, identity = settings.trained_known, settings.identity
    first = who(
        provenance,
        seen_languages=seen_languages,
        unseen=unseen,
        trained_known=trained_known,
        identity=identity,
        after=settings.after,
    )
    return [first, *findings(changes, level=level, pivot=pivot)]


def findings(changes: pd.DataFrame, *, level: float, pivot: str = "en") -> list[str]:
    """What changed and what did not, of every measure in the table: a verdict, then a sentence per measure.

    Measures of `HEADLINE` come first; of the others, those that did not change are named together.

    Args:
        changes: columns of `change_table.COLUMNS`.
        level: coverage of the intervals.
        pivot: code of the pivot language.
    """
    measured = _measured(changes)
    order = list(measured)
    if not order:
        return ["Nothing was measured."]
    words = {key: words_of(*key, pivot=pivot) for key in order}
    moved = [key for key in order if _moved(measured[key])]
    slight = [key for key in order if key not in moved and _slight(measured[key])]
    sentences = [_verdict(measured, words, moved=moved, slight=slight)]
    # Accuracy is what most readers come for: its sentence is never cut short.
    full = [key for key in order if key in moved or words[key].name == "accuracy"]
    sentences += [_sentence(words[key], measured[key], level=level) for key in full]
    rest = [key for key in order if key not in full]
    unchanged = [_short(words[key], measured[key], level=level) for key in rest if key in HEADLINE]
    if unchanged:
        sentences.append(f"There is {_NONE} in {listed(unchanged)}.")
    # Their numbers are in the table; as many again in the text would hide what is said.
    others = [words[key].name for key in rest if key not in HEADLINE]
    if others:
        sentences.append(f"There is {_NONE} {'either ' if unchanged else ''}in {listed(others)}.")
    return sentences


def _measured(changes: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    """Part and name of each measure to its rows, those of `HEADLINE` first."""
    measured = {
        (str(part), str(name)): rows
        for (part, name), rows in changes.groupby(["part", "measure"], sort=False)
    }
    order = [key for key in HEADLINE if key in measured] + [key for key in measured if key not in HEADLINE]
    return {key: measured[key] for key in order}


def _verdict(
    measured: Mapping[tuple[str, str], pd.DataFrame],
    words: Mapping[tuple[str, str], Words],
    *,
    moved: Sequence[tuple[str, str]],
    slight: Sequence[tuple[str, str]],
) -> str:
    """What changed, by the rows of averages; apart from it, what did in single languages alone."""
    averages = [words[key].name for key in moved if _average_changed(measured[key], at_least=True)]
    small = [
        words[key].name
        for key in moved
        if _average_changed(measured[key]) and not _average_changed(measured[key], at_least=True)
    ]
    single = [words[key].name for key in moved if not _average_changed(measured[key])]
    if averages or small:
        besides = f"; in single languages, not on average, in {listed(single)} too" if single else ""
        # Where all are small, their sentences say how small.
        averages, small = (averages, small) if averages else (small, [])
        too = f"; by less than {LEAST:g}, in {listed(small)} too" if small else ""
        return f"There is evidence of change in {listed(averages)}{too}{besides}."
    if single:
        return f"There is evidence of change in {listed(single)} in single languages, not on average."
    if slight:
        return (
            f"There is {_NONE} in anything that was measured, but for single languages by less than {LEAST:g} in "
            f"{listed([words[key].name for key in slight])}."
        )
    return f"There is {_NONE} in anything that was measured."


def highlights(changes: pd.DataFrame, *, level: float, pivot: str = "en") -> list[str]:
    """What a report opens with: at most `MOST_HIGHLIGHTS` measures, as the rows of their averages have them.

    Accuracy is the first; then come measures whose averages changed, first those by at least `LEAST`, then those that
    changed in single languages, then the others, each in the order of `HEADLINE`.

    Args:
        changes: columns of `change_table.COLUMNS`.
        level: coverage of the intervals.
        pivot: code of the pivot language.
    """
    measured = _measured(changes)

    def rank(key: tuple[str, str]) -> int:
        if key == HEADLINE[0]:
            return 0
        rows = measured[key]
        if _average_changed(rows):
            return 1 if _average_changed(rows, at_least=True) else 2
        return 3 if _moved(rows) else 4

    first = sorted(measured, key=rank)[:MOST_HIGHLIGHTS]
    return [_highlight(words_of(*key, pivot=pivot), measured[key], level=level) for key in first]


def _highlight(words: Words, rows: pd.DataFrame, *, level: float) -> str:
    """One measure in a line, with what the table of averages says in its last column."""
    groups = {row["group"]: row for row in rows.to_dict("records") if row["group"] != "language"}
    languages = [row for row in rows.to_dict("records") if row["group"] == "language"]
    every = groups.get("all", languages[0] if languages else None)
    if every is None:
        return f"{capital(words.name)}: not measured."
    where = (
        f"on average over {every['languages']} languages"
        if every["languages"] > 1
        else f"in {find_language(languages[0]['language']).name}"
        if len(languages) == 1
        else "in one language"
    )
    text = (
        f"{capital(words.name)}: {verdict(every)} {where} ({unsigned(every['before'])} before, "
        f"{unsigned(every['after'])} after; {_size(every, level)})"
    )
    for name in ("unseen", "seen"):
        if name in groups and (name == "unseen" or groups[name]["change"] != every["change"]):
            text += f"; {GROUPS[name]}: {verdict(groups[name])} ({signed(groups[name]['difference'])})"
    turned = sum(bool(row["change"]) and noteworthy(row) for row in languages)
    if turned and every["languages"] > 1:
        text += f"; taken singly, {counted(turned, 'language')} changed"
    return f"{text}."


def _average_changed(rows: pd.DataFrame, *, at_least: bool = False) -> bool:
    """Whether an average over languages is marked in the table; with `at_least`, in colour (see `noteworthy`)."""
    marked = (rows["group"].to_numpy() != "language") & (rows["change"].to_numpy() != "")
    if not marked.any() or not at_least:
        return bool(marked.any())
    return any(map(noteworthy, rows[marked].to_dict("records")))


def _moved(rows: pd.DataFrame) -> bool:
    """Whether an average changed, or a single language by so much that it is worth saying."""
    return any(
        row["change"] and (row["group"] != "language" or noteworthy(row)) for row in rows.to_dict("records")
    )


def _slight(rows: pd.DataFrame) -> int:
    """How many single languages changed by less than is worth naming one by one."""
    return sum(
        bool(row["change"]) and not noteworthy(row)
        for row in rows.to_dict("records")
        if row["group"] == "language"
    )


def noteworthy(row: Any) -> bool:
    """Whether a change is large enough to be named: paired readings tell apart what no reader would care for."""
    return bool(row.get("part", "") == "evaluation" or abs(row["difference"]) >= LEAST)


def _short(words: Words, rows: pd.DataFrame, *, level: float) -> str:
    """Name and size of what did not change."""
    groups = {row["group"]: row for row in rows.to_dict("records")}
    every = groups["all"] if "all" in groups else groups["language"]
    if every["difference"] == 0 and not every["low"] < every["high"]:
        return f"{words.name} (the same before and after)"
    codes = [row["language"] for row in rows.to_dict("records") if row["group"] == "language"]
    where = f"over {every['languages']} languages" if every["languages"] > 1 else ""
    if not where:
        where = f"in {find_language(codes[0]).name}" if len(codes) == 1 else "in one language"
    text = f"{words.name} ({_size(every, level)} {where}"
    if "unseen" in groups:
        text += f"; {_size(groups['unseen'])} over those never seen"
    if slight := _slight(rows):
        text += f"; single languages changed by less than {LEAST:g}: {slight}"
    return f"{text})"


def method(level: float) -> str:
    """How the claims are made."""
    return (
        f"Changes are after minus before on the same items, with {percent(level)} intervals: with other items of the "
        "same kind they would mostly have come out within these; no evidence of change does not rule out a change "
        "within them. A single language counts as changed only if a paired test says so after Holm's correction over "
        "all languages: if nothing had changed, even one false claim among them would be made in at most "
        f"{percent(error_probability(level))} of such comparisons. An average counts only if its interval lies on one "
        "side of zero and its test agrees. Each measure is tested by itself. Changes of a language by less than "
        f"{LEAST:g}, which paired readings can tell from chance, are counted and not named."
    )


def _sentence(words: Words, rows: pd.DataFrame, *, level: float) -> str:
    """One measure: the average, the languages never seen in training, the single languages."""
    subject = capital(words.name)
    groups = {row["group"]: row for row in rows.to_dict("records") if row["group"] != "language"}
    languages = [row for row in rows.to_dict("records") if row["group"] == "language"]
    if all(row["difference"] == 0 for row in languages) and all(
        not row["low"] < row["high"] for row in groups.values()
    ):
        return f"{subject}: the same before and after; {_NONE}."
    if len(languages) == 1 or "all" not in groups:
        return " ".join(_one(subject, row, level) for row in languages)
    every = groups["all"]
    verb = VERBS.get(every["change"])
    text = f"{subject} {verb}" if verb else f"{subject}: {_NONE}"
    text += (
        f" on average over {every['languages']} languages ({unsigned(every['before'])} before, "
        f"{unsigned(every['after'])} after; "
        f"{_size(every, level)})"
    )
    if verb and not every["general"]:
        text += f", but {_why_not_general(every['languages'])}"
    claims = {name: VERBS.get(groups[name]["change"], _NONE) for name in ("unseen", "seen") if name in groups}
    mentioned = [name for name in claims if name == "unseen" or claims[name] != claims["unseen"]]
    for name in mentioned:
        claim = f"it {claims[name]}" if groups[name]["change"] else claims[name]
        count = groups[name]["languages"]
        text += f"; in the {count if count > 1 else 'one'} {GROUPS[name]} {claim} ({_size(groups[name])})"
    turned = []
    for change, did in VERBS.items():
        named = [row for row in languages if row["change"] == change and noteworthy(row)]
        if named:
            turned.append(f"{did} in {_largest(named)}")
    if turned:
        text += f"; taken singly, it {' and '.join(turned)}"
    slight = _slight(rows)
    if slight:
        text += (
            f"; in {counted(slight, 'language')}{' more' if turned else ''} it changed by less than {LEAST:g}"
        )
    return f"{text}." if turned or slight else f"{text}; {_NONE} in any single language."


def _why_not_general(languages: int) -> str:
    if languages < FEWEST_LANGUAGES:
        return "these are too few languages to expect the same of others"
    return "these languages differ too much to expect the same of others"


def _one(subject: str, row: Any, level: float) -> str:
    verb = VERBS.get(row["change"])
    claim = f"{subject} {verb}" if verb else f"{subject}: {_NONE}"
    size = f"{unsigned(row['before'])} before, {unsigned(row['after'])} after; {_size(row, level)}"
    size += f", {counted(int(row['n']), 'item')}"
    return f"{claim} in {find_language(row['language']).name} ({size})."


def _size(row: Any, level: float | None = None) -> str:
    interval = "" if level is None or math.isnan(row["low"]) else f"{percent(level)} interval "
    return f"{signed(row['difference'])}, {interval}{span(row['low'], row['high'])}"


def _largest(rows: Sequence[Any]) -> str:
    """Languages with their changes; of many only how many, and those that changed most."""
    if len(rows) <= _MOST_NAMED:
        return listed([_with_size(row) for row in rows])
    most = sorted(rows, key=lambda row: -abs(row["difference"]))[:_FEW]
    return f"{len(rows)} languages, most in {listed([_with_size(row) for row in most])}"


def _with_size(row: Any) -> str:
    return f"{find_language(row['language']).name} ({signed(row['difference'])})"


def verdict(row: Any) -> str:
    """What is claimed of a row of a table of changes, for a cell."""
    if not row["change"]:
        return _NONE
    return VERBS[row["change"]] + ("" if noteworthy(row) else f", by less than {LEAST:g}")


def _names(codes: Sequence[str]) -> str:
    return listed([find_language(code).name for code in codes])


def training_facts(result: TrainingResult) -> Iterator[tuple[str, str]]:
    """What an adapter's training record says, fact by fact: its name, and the fact as plain text."""
    settings, recipe = result.settings, result.recipe
    data, lora, schedule = (recipe.get(name, {}) for name in ("data", "lora", "schedule"))
    yield "recipe", str(recipe.get("name", "not known"))
    if schedule.get("steps") == 0:
        yield "training", "none: the identity recipe, a control"
        return
    if data:
        words = result.words
        yield "trained on", words.trained_on
        if settings.downloads:
            yield "downloaded", ", ".join(settings.downloads)
        if words.control is not None:
            yield "control", f"{words.control.name}: {words.control.about}"
    if lora:
        modules = lora.get("target_modules")
        named = modules if isinstance(modules, str) else ", ".join(modules or ())
        yield "LoRA", f"rank {lora.get('rank')}, alpha {lora.get('alpha'):g}, on {named}"
    if settings.steps is not None:
        rate = f"learning rate {schedule.get('learning_rate'):g}"
        yield "steps", f"{settings.steps}, batch {schedule.get('batch')}, {rate}"
    for note in settings.notes:
        yield "note", note
