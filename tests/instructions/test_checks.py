"""Checks of translated texts: each finds its fault, and nothing where there is none; filters lose nothing silently."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import pytest

from latentlang.errors import InputError
from latentlang.instructions import Dialogue, Turn, check_dialogues, filter_dialogues
from latentlang.instructions.check_records import Check, Known, TextFinding, TextPair
from latentlang.instructions.checks import check_pair, chosen_checks, known_checks, register
from latentlang.instructions.dialogues import single
from latentlang.instructions.from_parallel_text import parallel_instructions
from latentlang.instructions.length_bounds import FEWEST_PAIRS, learn_bounds
from latentlang.instructions.overlap import EvaluatedItem, EvaluatedRuns
from latentlang.instructions.pairing import item_key, pair_up, pairs_of
from latentlang.language_id import LanguageIdentifier


class Bavarian:
    """An identifier that takes a text as German where it has an ä, else as English."""

    name = "made"
    languages = frozenset({"de", "en", "es"})

    def probabilities(self, text: str, among: Sequence[str]) -> dict[str, float]:
        best = "de" if "ä" in text else "en"
        return {code: float(code == best) for code in among}


KNOWN = Known(LanguageIdentifier(["de", "en", "zh"], backend=Bavarian()))
FENCED = "Lies:\n```python\nprint(1)\n```\nSchluss"


def found(
    text: str, source: str | None = None, *, language: str = "de", known: Known = KNOWN
) -> list[tuple[str, str]]:
    pair = TextPair(text, language, "answer", source, "en" if source is not None else "")
    return [
        (one.code, one.detail)
        for one in check_pair(pair, chosen_checks(None), known)
        if one.verdict == "fails"
    ]


UNTRANSLATED = "Choose a number that is needed later."
GOOD = "Wähle eine Zahl zwischen 1 und 10, die später gebraucht wird."


@pytest.mark.parametrize(
    ("code", "detail", "text", "source"),
    [
        ("empty", "", " \n", "Choose."),
        ("copied", UNTRANSLATED, UNTRANSLATED, UNTRANSLATED),
        ("announced", "Here is the translation:", "Here is the translation:\nWähle später.", "Choose later."),
        ("announced", "Übersetzung: Wähle später.", "Übersetzung: Wähle später.", "Choose later."),
        ("announced", "以下是您要求的翻译：", "以下是您要求的翻译：\nWähle später", "Choose later."),
        ("answered", "d", "Frage später:\nWählt.\n\nAntwort: d", "Ask later:\nChoose.\n\nAnswer:"),
        ("answered", "Das war später im Jahre", "Wann wär das? Das war später im Jahre.", "When was that?"),
        ("language", "en", "This is a sentence that nobody translated.", None),
        ("numbers", "1,234.5", "Es wären später 1.234,6.", "It would be 1,234.5 later."),
        ("latex", "\\frac", "Später $x$.", "Later $\\frac{1}{2}$."),
        ("latex", "$x^2$", "Spätere Formel.", "A later formula $x^2$."),
        ("fences", "0 of 2", "Lies später: print(1)", "Read:\n```python\nprint(1)\n```\nlater"),
        ("fences", "python", "Später:\n```java\nprint(1)\n```", "Later:\n```python\nprint(1)\n```"),
        ("entry-point", "later", "def später(x):\n  pass", "def later(x):\n  pass"),
        ("definitions", "one", "def eins():\n  pass\ndef two():\n  pass ä", "def one():\n  pass\ndef two():\n  pass"),
        ("urls", "https://a.example/b?c=1", "Siehe später https://a.example/b.", "See https://a.example/b?c=1."),
    ],
)  # fmt: skip
def test_each_check_finds_its_fault_and_names_it(
    code: str, detail: str, text: str, source: str | None
) -> None:
    assert (code, detail) in found(text, source)


def test_every_check_has_a_case_and_a_record() -> None:
    assert list(known_checks()) == [
        "empty", "copied", "announced", "answered", "language", "length", "numbers", "latex", "fences", "entry-point",
        "definitions", "urls",
    ]  # fmt: skip
    assert all(check.about for check in known_checks().values())


@pytest.mark.parametrize(
    ("text", "source"),
    [
        (GOOD, "Choose a number between 1 and 10 that is needed later."),
        (f"{GOOD}\n{FENCED}", "Choose between 1 and 10.\nRead:\n```python\nprint(1)\n```\nEnd"),
        ("Später ist $\\frac{1}{2}$ mehr als 5 $.", "Later $\\frac{1}{2}$ is more than $5."),
        ("Übersetze später: Hund", "Translation: dog, later"),
        ("Löse: $x^2 = 4$ für später. Antwort:", "Solve $x^2 = 4$. Answer:"),
        ("Wo wäre https://a.example/b?c=1?", "Where is https://a.example/b?c=1?"),
        ("42", "42"), ("", ""),
        ("Ist es später? Wähle eins.", "Is it later? Choose one."),
    ],
)  # fmt: skip
def test_a_text_without_a_fault_has_no_finding(text: str, source: str) -> None:
    assert found(text, source) == []


def test_what_cannot_be_told_is_undecided_and_not_wrong() -> None:
    report = check_dialogues([single("1", "de", "Ä", "Ö")], checks="language", backend=Bavarian())
    assert [(f.verdict, f.detail) for f in report.findings[0]] == [
        ("undecided", "short"),
        ("undecided", "short"),
    ]
    row = report.counts().iloc[0]
    assert (row["dialogues"], row["failed"], row["undecided"]) == (1, 0, 1)


def test_code_formulas_and_addresses_are_in_no_language() -> None:
    text = (
        "```\nthis is code and no text at all\n```\n$\\text{neither is this}$ https://english.example/words"
    )
    report = check_dialogues(
        [single("1", "de", "Wähle später eine.", text)], checks="language", backend=Bavarian()
    )
    assert [f.detail for f in report.findings[0]] == ["no-letters"]


def test_bounds_of_length_are_learnt_from_each_language_pair() -> None:
    ratios = [("en", "de", 1.2 * 1.05**step) for step in range(-20, 21)] + [("en", "de", 50.0)]
    bounds = learn_bounds(ratios).of("en", "de")
    assert bounds.pairs == 42 and bounds.middle == pytest.approx(1.2, rel=0.06)
    assert 0 < bounds.low < 0.5 and 2 < bounds.high < 20
    assert learn_bounds(ratios[: FEWEST_PAIRS - 1]).of("en", "de").pairs == 0
    dialogues = [single(f"{n}", "de", "ä" * 100, "") for n in range(FEWEST_PAIRS)] + [
        single("x", "de", "ä" * 900, "")
    ]
    sources = [single(one.id, "en", "a" * 100, "") for one in dialogues]
    report = check_dialogues(dialogues, sources=sources, checks="length")
    assert [bool(one) for one in report.findings] == [False] * FEWEST_PAIRS + [True]
    table = report.bounds_table()
    assert list(table["pairs"]) == [FEWEST_PAIRS + 1] and table["middle"][0] == 1


# Pairs


def test_texts_are_paired_by_group_or_number_and_place() -> None:
    turns = (Turn("user", "a"), Turn("assistant", "b"), Turn("user", "c"), Turn("assistant", "d"))
    source = Dialogue("aya_eng_17", "en", turns)
    one = Dialogue("aya_eng_google_to_deu_17", "de", turns[:2])
    assert item_key(one, "number") == item_key(source, "number") == "17"
    pairs = list(pairs_of(one, source))
    assert [(p.place, p.text, p.source) for p in pairs] == [
        ("instruction", "a", "a"), ("answer", "b", "b"), ("user 2", "", "c"), ("assistant 2", "", "d"),
    ]  # fmt: skip
    anew = list(pairs_of(one, source, answers_translated=False))
    assert [(p.place, p.source) for p in anew] == [("instruction", "a"), ("answer", None), ("user 2", "c")]


@pytest.mark.parametrize(
    ("sources", "by", "words"),
    [
        ([single("x1", "en", "a", "b")], "group", "none of the 1 dialogue has a source"),
        (
            [single("7", "en", "a", "b"), single("7", "en", "c", "d")],
            "group",
            "two sources have the group '7'",
        ),
        ([single("7", "en", "a", "b")], "order", "unknown way of pairing 'order'"),
        ([single("x", "en", "a", "b")], "number", "ends with no number"),
        ([], "group", "no sources were given"),
    ],
)
def test_ids_that_do_not_pair_are_one_error(sources: list[Dialogue], by: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        pair_up([single("7", "de", "a", "b")], sources, by=by)


# Filters


def data() -> tuple[list[Dialogue], list[Dialogue]]:
    said = {
        "1": ("Wähle später eine Zahl.", "Die spätere Zahl."), "2": ("Wähle später eine Zahl.", "Eine spätere."),
        "3": ("Wähle jetzt nichts, später 3.", "Nichts von später."), "4": ("Zähle bis später.", ""),
        "5": ("Here is the translation: Zähle später", "Später."),
        "6": ("Erzähle später etwas davon.", "Gerne später."),
    }  # fmt: skip
    dialogues = [single(name, "de", *texts) for name, texts in said.items()]
    source = {"1": "Choose a number later.", "2": "Choose a number later.", "3": "Choose nothing, later 4."}
    sources = [
        single(name, "en", source.get(name, "Tell me something later."), "Later on.") for name in "12345"
    ]
    return dialogues, sources


def test_what_is_dropped_has_its_reasons_and_the_counts_add_up() -> None:
    dialogues, sources = data()
    filtered = filter_dialogues(dialogues, sources=sources, backend=Bavarian())
    reasons = {one.dialogue.id: one.reasons[0].code for one in filtered.dropped}
    assert reasons == {
        "2": "duplicate",
        "3": "numbers",
        "4": "unanswered",
        "5": "announced",
        "6": "no-source",
    }
    assert [one.id for one in filtered.kept] == ["1"]
    counts = filtered.counts()
    assert counts["dialogues"].sum() == len(dialogues) and counts["share"].sum() == pytest.approx(1)
    assert filtered.dropped[0].record()["dropped"][0] == {
        "code": "duplicate",
        "place": "instruction",
        "detail": "1",
    }
    assert len(filtered.examples(0)) == 0 and len(filtered.examples(1)) == 5
    json.dumps([one.record() for one in filtered.dropped])


def test_undecided_stay_unless_they_are_asked_to_go() -> None:
    dialogues = [single("1", "de", "Ä", "Ö")]
    assert filter_dialogues(dialogues, checks="language", backend=Bavarian()).kept == tuple(dialogues)
    dropped = filter_dialogues(dialogues, checks="language", backend=Bavarian(), undecided=True).dropped
    assert [f.verdict for f in dropped[0].reasons] == ["undecided", "undecided"]


def test_a_dialogue_that_holds_a_test_item_names_it() -> None:
    runs = EvaluatedRuns(
        [
            EvaluatedItem(
                "set: 4", "What is the name of the seventh planet that was seen first by Herschel in 1781?"
            )
        ]
    )
    held = single(
        "1",
        "en",
        "Tell me: the NAME of the seventh planet that was seen first by Herschel in 1781, please",
        "Uranus.",
    )
    free = single("2", "en", "What is the name of the eighth planet?", "Neptune.")
    filtered = filter_dialogues([held, free], checks=[], tests=runs)
    assert filtered.kept == (free,)
    assert filtered.dropped[0].reasons[0].detail.startswith("set: 4: the name of the seventh planet")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"checks": "numbres"}, "unknown check 'numbres'; did you mean 'numbers'"),
        ({"near": 1.5}, "similarity of near-duplicates must be above 0"),
        ({"pair_by": "order", "sources": []}, "no sources|unknown way"),
    ],
)
def test_bad_options_are_one_error(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        filter_dialogues(data()[0], **{"backend": Bavarian(), **options})
    with pytest.raises(InputError, match="no dialogues to check"):
        check_dialogues([])


def test_a_check_of_ones_own_is_one_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("latentlang.instructions.checks._CHECKS", {})
    own = register(
        Check(
            "shout",
            "it shouts",
            lambda p, k: [TextFinding("shout", p.place)] if p.text.isupper() else [],
            needs_source=False,
        )
    )
    with pytest.raises(ValueError, match="there already"):
        register(own)
    assert [len(f) for f in check_dialogues([single("1", "de", "LAUT", "leise")]).findings] == [1]


LINES = {
    "en": [
        "All people are born free and equal in dignity.",
        "Nobody may be held as a slave by anybody else.",
    ],
    "de": [
        "Alle Menschen sind frei und an Würde gleich geboren.",
        "Niemand darf als Sklave gehalten werden.",
    ],
    "zh": ["人人生而自由，在尊严和权利上一律平等。", "任何人不得使为奴隶或奴役，一切形式均应予以禁止。"],
}


@pytest.fixture
def translations(tmp_path):
    folder = tmp_path / "text"
    folder.mkdir()
    for code, lines in LINES.items():
        (folder / f"{code}.txt").write_text("\n".join(lines), encoding="utf-8")
    return parallel_instructions(
        folder, pivots="en,zh", languages="de", kinds="sentence,document,constrained,interactive",
        asked_in="en,zh,de", between_pivots=True, paragraphs=2, check_language=False,
    ).dialogues  # fmt: skip


def test_the_text_that_a_translation_instruction_carries_is_in_any_language(translations) -> None:
    report = check_dialogues(translations, checks="language")
    assert report.carrying == len(translations) > 20
    # what was found has to do with answers alone, if with anything
    assert {finding.place for of_one in report.findings for finding in of_one} <= {"answer", "assistant 2"}
    assert not [f for of_one in report.findings for f in of_one if f.verdict == "fails"]
    assert filter_dialogues(translations, checks="language", exact=False).kept == translations


def test_an_answer_of_a_translation_instruction_in_another_language_is_still_found(translations) -> None:
    one = next(d for d in translations if d.answer_language == "de" and d.id.startswith("sentence"))
    wrong = dataclasses.replace(one, turns=(one.turns[0], Turn("assistant", LINES["en"][0])))
    ((finding,),) = check_dialogues([wrong], checks="language").findings
    assert (finding.place, finding.detail) == ("answer", "en")


def test_an_instruction_in_no_wording_of_its_language_is_looked_at_whole(translations) -> None:
    one = next(d for d in translations if d.language == "en" and LINES["zh"][0] in d.instruction)
    said_german = dataclasses.replace(one, language="de")
    report = check_dialogues([said_german], checks="language")
    assert report.carrying == 0
    assert [f.place for f in report.findings[0]][:1] == ["instruction"]
