"""Dialogues checked and filtered: what each check found, and a report of all that was dropped, by language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from latentlang.arguments import checked_call
from latentlang.errors import InputError, shown
from latentlang.instructions.check_records import Check, Known, TextFinding, TextPair
from latentlang.instructions.checks import check_pair, chosen_checks
from latentlang.instructions.dialogues import Dialogue
from latentlang.instructions.duplicates import exact_duplicates, near_duplicates
from latentlang.instructions.instruction_wordings import carries_a_text
from latentlang.instructions.keyword_search import Keywords, keywords
from latentlang.instructions.length_bounds import LengthBounds, learn_bounds, ratio
from latentlang.instructions.overlap import EvaluatedRuns
from latentlang.instructions.pairing import is_answer, pair_up, pairs_of
from latentlang.language_id import Backend, LanguageIdentifier, py3langid_backend
from latentlang.paths import PathLike

if TYPE_CHECKING:
    import pandas as pd

#: Reasons to drop a dialogue that no check of a text gives: code to what it means.
REASONS: dict[str, str] = {
    "unanswered": "it has no answer",
    "no-source": "what it was translated from is not among the sources",
    "duplicate": "it asks the same as an earlier one of its language",
    "near-duplicate": "it asks nearly the same as an earlier one of its language",
    "test-overlap": "it holds part of an item that is evaluated",
    "keyword": "it asks with one of the keywords",
}
#: Examples that a report keeps of each reason and language.
EXAMPLES = 5
# Always one of the languages in question: what engines reply in, and leave untranslated.
_ENGLISH = "en"


@dataclass(frozen=True)
class CheckReport:
    """What the checks found.

    Attributes:
        dialogues: those that were checked.
        findings: of each dialogue, in their order.
        checks: codes of the checks that were made.
        bounds: of lengths, by language pair, that were learnt and applied.
        unpaired: how many dialogues have no source, so that checks that need one said nothing of them.
        identifier: name of what told languages; empty where none was asked.
        carrying: how many dialogues ask to translate a text that they carry, in one of the shipped wordings: of these
            the language of the answers is looked at, and not that of the text.
    """

    dialogues: tuple[Dialogue, ...]
    findings: tuple[tuple[TextFinding, ...], ...]
    checks: tuple[str, ...]
    bounds: LengthBounds = field(default_factory=LengthBounds)
    unpaired: int = 0
    identifier: str = ""
    carrying: int = 0

    def table(self) -> pd.DataFrame:
        """One row per finding: ``language, origin, id, code, place, verdict, detail``."""
        import pandas as pd

        rows = [
            (d.language, d.origin, d.id, f.code, f.place, f.verdict, f.detail)
            for d, findings in zip(self.dialogues, self.findings, strict=True)
            for f in findings
        ]
        return pd.DataFrame(rows, columns=["language", "origin", "id", "code", "place", "verdict", "detail"])

    def counts(self) -> pd.DataFrame:
        """One row per language and check: ``language, code, dialogues, failed, undecided, share``.

        `failed` and `undecided` are numbers of dialogues; one that failed in one of its texts is not undecided.
        """
        import pandas as pd

        sizes = Counter(dialogue.language for dialogue in self.dialogues)
        failed: Counter[tuple[str, str]] = Counter()
        undecided: Counter[tuple[str, str]] = Counter()
        for dialogue, findings in zip(self.dialogues, self.findings, strict=True):
            wrong = {finding.code for finding in findings if finding.verdict == "fails"}
            failed.update((dialogue.language, code) for code in wrong)
            open_codes = {finding.code for finding in findings} - wrong
            undecided.update((dialogue.language, code) for code in open_codes)
        rows = [
            (code, check, size, failed[code, check], undecided[code, check], failed[code, check] / size)
            for code, size in sizes.items()
            for check in self.checks
        ]
        return pd.DataFrame(rows, columns=["language", "code", "dialogues", "failed", "undecided", "share"])

    def bounds_table(self) -> pd.DataFrame:
        """The bounds of lengths: ``source, language, low, middle, high, pairs``; ratios of characters."""
        import pandas as pd

        rows = [(*key, b.low, b.middle, b.high, b.pairs) for key, b in self.bounds.by_pair.items()]
        return pd.DataFrame(rows, columns=["source", "language", "low", "middle", "high", "pairs"])


@dataclass(frozen=True, slots=True)
class DroppedDialogue:
    """A dialogue that was taken out.

    Attributes:
        dialogue: it.
        reasons: why; the first is the one that it is counted under.
    """

    dialogue: Dialogue
    reasons: tuple[TextFinding, ...]

    def record(self) -> dict[str, Any]:
        """It as a JSON object, its reasons under ``dropped``."""
        reasons = [{"code": f.code, "place": f.place, "detail": f.detail} for f in self.reasons]
        return {**self.dialogue.record(), "dropped": reasons}


@dataclass(frozen=True)
class Filtered:
    """What a filter kept, and what it dropped.

    Attributes:
        kept: in their order.
        dropped: all others, with their reasons.
        report: of the checks, on all that were given.
    """

    kept: tuple[Dialogue, ...]
    dropped: tuple[DroppedDialogue, ...]
    report: CheckReport

    def counts(self) -> pd.DataFrame:
        """One row per language and reason: ``language, reason, dropped, share``, and a row ``kept`` per language."""
        import pandas as pd

        sizes = Counter(dialogue.language for dialogue in self.report.dialogues)
        kept = Counter(dialogue.language for dialogue in self.kept)
        reasons = Counter((one.dialogue.language, one.reasons[0].code) for one in self.dropped)
        rows: list[tuple[str, str, int, float]] = []
        for code, size in sizes.items():
            rows.append((code, "kept", kept[code], kept[code] / size))
            rows += [(code, reason, n, n / size) for (of, reason), n in reasons.most_common() if of == code]
        return pd.DataFrame(rows, columns=["language", "reason", "dialogues", "share"])

    def examples(self, most: int = EXAMPLES) -> list[DroppedDialogue]:
        """A few of those that were dropped, for each language and reason the first ones."""
        seen: Counter[tuple[str, str]] = Counter()
        chosen = []
        for one in self.dropped:
            key = (one.dialogue.language, one.reasons[0].code)
            seen[key] += 1
            if seen[key] <= most:
                chosen.append(one)
        return chosen


@checked_call
def check_dialogues(
    dialogues: Sequence[Dialogue],
    *,
    sources: Sequence[Dialogue] | None = None,
    checks: str | Iterable[str] | None = None,
    pair_by: str = "group",
    answers_translated: bool = True,
    among: str | Iterable[str] | None = None,
    backend: Backend | None = None,
) -> CheckReport:
    """Look at every text of some dialogues, beside what they were translated from.

    Args:
        dialogues: in one language or in several.
        sources: what they were translated from; None for the checks that need no source alone.
        checks: codes of `known_checks`; all by default.
        pair_by: how a source is found; see `latentlang.instructions.pairing.item_key`.
        answers_translated: whether the answers were translated too; False where they were written anew.
        among: languages in question for the identifier; by default those of the dialogues and sources, and English.
        backend: of the identifier; py3langid by default.

    Raises:
        InputError: no such check; no dialogue has a source; or no identifier is installed.
    """
    if not dialogues:
        raise InputError("there are no dialogues to check")
    chosen = chosen_checks(checks)
    paired = None if sources is None else pair_up(dialogues, sources, by=pair_by)
    pairs = [
        list(pairs_of(dialogue, source, answers_translated=answers_translated))
        for dialogue, source in zip(
            dialogues, paired.sources if paired is not None else [None] * len(dialogues), strict=True
        )
    ]
    known = Known(
        identifier=_identifier(chosen, dialogues, sources or (), among, backend),
        bounds=learn_bounds(_ratios(pairs)),
    )
    findings = tuple(
        tuple(finding for pair in of_one for finding in check_pair(pair, chosen, known)) for of_one in pairs
    )
    return CheckReport(
        tuple(dialogues), findings, tuple(check.code for check in chosen), known.bounds,
        0 if paired is None else paired.unpaired, "" if known.identifier is None else known.identifier.name,
        0 if known.identifier is None else sum(map(_carries, pairs)),
    )  # fmt: skip


@checked_call
def filter_dialogues(
    dialogues: Sequence[Dialogue],
    *,
    sources: Sequence[Dialogue] | None = None,
    checks: str | Iterable[str] | None = None,
    pair_by: str = "group",
    answers_translated: bool = True,
    among: str | Iterable[str] | None = None,
    backend: Backend | None = None,
    answered: bool = True,
    undecided: bool = False,
    exact: bool = True,
    near: float | None = None,
    tests: EvaluatedRuns | None = None,
    without: PathLike | Keywords | None = None,
) -> Filtered:
    """Keep the dialogues in which nothing is wrong; what is dropped is given back with its reasons.

    Args:
        dialogues: in one language or in several.
        sources: as in `check_dialogues`, like the next five; a dialogue without a source is dropped, as ``no-source``.
        checks: codes; none for an empty list.
        pair_by: how a source is found.
        answers_translated: whether the answers were translated too.
        among: languages in question for the identifier.
        backend: of the identifier.
        answered: drop those without an answer.
        undecided: drop those too of which a check could not tell.
        exact: drop those that ask the same as an earlier one.
        near: drop those that ask nearly the same, from this Jaccard similarity on; None for none.
        tests: drop those that hold part of an item of these.
        without: drop those that ask with one of these keywords: ``programming``, or a file with one on each line.

    Raises:
        InputError: as `check_dialogues`, or no such keywords.
    """
    words = None if without is None else keywords(without)
    report = check_dialogues(
        dialogues, sources=sources, checks=checks, pair_by=pair_by, answers_translated=answers_translated,
        among=among, backend=backend,
    )  # fmt: skip
    reasons: list[list[TextFinding]] = [[] for _ in dialogues]
    paired = None if sources is None else pair_up(dialogues, sources, by=pair_by).sources
    for index, dialogue in enumerate(dialogues):
        if answered and not dialogue.is_answered:
            reasons[index].append(TextFinding("unanswered", "answer"))
        if words is not None and (word := words.found_in(dialogue)) is not None:
            reasons[index].append(TextFinding("keyword", "instruction", word))
        if paired is not None and paired[index] is None:
            reasons[index].append(TextFinding("no-source", "instruction"))
        reasons[index] += [f for f in report.findings[index] if undecided or f.verdict == "fails"]
    if exact:
        _drop_repeated(dialogues, reasons, "duplicate", None)
    if near is not None:
        _drop_repeated(dialogues, reasons, "near-duplicate", near)
    if tests is not None:
        left = [index for index, found in enumerate(reasons) if not found]
        for overlap in tests.overlaps([dialogues[index] for index in left]):
            detail = f"{overlap.item}: {overlap.run}"
            reasons[left[overlap.index]].append(TextFinding("test-overlap", overlap.place, detail))
    return Filtered(
        kept=tuple(d for d, found in zip(dialogues, reasons, strict=True) if not found),
        dropped=tuple(
            DroppedDialogue(d, tuple(found)) for d, found in zip(dialogues, reasons, strict=True) if found
        ),
        report=report,
    )


def _drop_repeated(
    dialogues: Sequence[Dialogue], reasons: list[list[TextFinding]], code: str, near: float | None
) -> None:
    """Note those that repeat another, among those that are left."""
    left = [index for index, found in enumerate(reasons) if not found]
    kept = [dialogues[index] for index in left]
    for repeated in exact_duplicates(kept) if near is None else near_duplicates(kept, threshold=near):
        detail = kept[repeated.of].id
        detail += f" ({repeated.similarity:.2f})" if near is not None else ""
        reasons[left[repeated.index]].append(TextFinding(code, "instruction", detail))


def nothing_left(filtered: Filtered) -> str:
    """Of a filter that kept nothing, for an error: which reason dropped most, and what was found most where it did."""
    reasons = Counter((one.reasons[0].code, one.dialogue.language) for one in filtered.dropped)
    (code, language), count = reasons.most_common(1)[0]
    details = Counter(
        one.reasons[0].detail
        for one in filtered.dropped
        if (one.reasons[0].code, one.dialogue.language) == (code, language)
    )
    detail, times = details.most_common(1)[0]
    most = f", {times:,} of them for {shown(detail, most=40)}" if detail else ""
    return f"nothing is left: {code} dropped most, {count:,} in {language}{most}"


def _carries(pairs: Sequence[TextPair]) -> bool:
    """Whether one of a dialogue's questions carries a text to translate."""
    return any(not is_answer(pair.place) and carries_a_text(pair.text, pair.language) for pair in pairs)


def _identifier(
    checks: Sequence[Check],
    dialogues: Sequence[Dialogue],
    sources: Sequence[Dialogue],
    among: str | Iterable[str] | None,
    backend: Backend | None,
) -> LanguageIdentifier | None:
    if "language" not in {check.code for check in checks}:
        return None
    codes = [code for d in (*dialogues, *sources) for code in (d.language, d.answer_language)]
    asked = dict.fromkeys([*codes, _ENGLISH]) if among is None else among
    return LanguageIdentifier(
        list(asked) if not isinstance(asked, str) else asked, backend=backend or py3langid_backend()
    )


def _ratios(pairs: Sequence[Sequence[TextPair]]) -> Iterable[tuple[str, str, float]]:
    for of_one in pairs:
        for pair in of_one:
            if pair.source and pair.source.strip() and pair.text.strip():
                yield pair.source_language, pair.language, ratio(pair.text, pair.source)
