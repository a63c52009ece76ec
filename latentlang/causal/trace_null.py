"""How often text in one language is said to switch: the rule of traces put to text of which it is known.

Text of each language is cut into stretches of as many tokens as a model writes at most, and each is judged as what a
model writes is (`trace_switch.verdict`), by its own language as the one before. A table knows the very text that it was
made of too well. So the table is made anew of one half of the paragraphs and put to the other half (``held-out``); a
table that was given, and comes from other text, is put to all of them as it is (``given``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from latentlang.answers import TokenLanguages, token_languages
from latentlang.causal.trace_switch import SWITCH, TOO_FEW, verdict
from latentlang.models import HookedLM
from latentlang.seeding import bucket
from latentlang.stats.intervals import wilson
from latentlang.tasks.shared_texts import LanguageTexts

HELD_OUT, GIVEN = "held-out", "given"
NULL_COLUMNS = ("language", "n", "share", "low", "high", "too_few")


def null_verdicts(
    model: HookedLM, table: TokenLanguages, corpus: LanguageTexts, *, tokens: int, seed: int, made: bool
) -> tuple[str | None, dict[str, dict[str, int]]]:
    """Which table was taken, and language to verdict to how many stretches have it; None and nothing without any.

    Args:
        model: whose tokenizer cuts the text.
        table: of tokens and languages.
        corpus: text in each of its languages.
        tokens: of a stretch.
        seed: draws the half that is held out.
        made: whether the table was made of this text.
    """
    halves: list[list[str]] = [[], []]
    for item in corpus.items:
        halves[bucket("trace null", seed, item, count=2)].append(item)
    if made or table.settings.texts == corpus.origin:
        if not all(halves):
            return None, {}
        own = table.settings
        source, judged = HELD_OUT, halves[1]
        table = token_languages(
            model, corpus.of(halves[0]), languages=list(corpus.texts), prior=own.prior, certainty=own.certainty,
            progress=False,
        )  # fmt: skip
    else:
        source, judged = GIVEN, list(corpus.items)
    counts: dict[str, dict[str, int]] = {}
    for code, texts in corpus.of(judged).items():
        encoded = model.tokenizer(
            texts, add_special_tokens=False, padding=False, truncation=False, verbose=False
        )["input_ids"]
        owners = [table.language_of(token) for ids in encoded for token in ids]
        stretches = (owners[start : start + tokens] for start in range(0, len(owners) - tokens + 1, tokens))
        verdicts = Counter(verdict(stretch, code) for stretch in stretches)
        if verdicts:
            counts[code] = dict(sorted(verdicts.items()))
    return (source, counts) if counts else (None, {})


def null_rates(verdicts: Mapping[str, Mapping[str, int]], *, level: float) -> Iterator[dict[str, Any]]:
    """A row a language, columns as of `TraceResult.false_switches`.

    Args:
        verdicts: language to a verdict's code to how many stretches have it.
        level: coverage of the intervals.
    """
    for code, counts in verdicts.items():
        n, switches = sum(counts.values()), counts.get(SWITCH, 0)
        low, high = wilson(switches, n, level=level)
        yield {
            "language": code, "n": n, "share": switches / n if n else float("nan"), "low": low, "high": high,
            "too_few": counts.get(TOO_FEW, 0) / n if n else float("nan"),
        }  # fmt: skip
