"""The published sets of `CandidateTask`: how an item of each file becomes a context and its candidates.

With protocol ``lm-eval`` texts are those of lm-eval 0.4.13 to the letter, with all that its templates do to them: they
cut the last character of an XCOPA premise, whether it is a full stop or a Thai letter, and put a space before what
follows a Chinese pronoun. With protocol ``corrected`` texts stay as the files have them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from latentlang.errors import InputError, shown
from latentlang.tasks.base import Candidate
from latentlang.tasks.benchmark_files import Row
from latentlang.tasks.candidates import CORRECTED, LM_EVAL, Benchmark, CandidateItem, Writing, positions

_FULL_STOPS = ".。．।!！?？…؟۔ "
_OPTIONS = tuple(f"option_{letter}" for letter in "abcde")
_NLI = ("entailment", "neutral", "contradiction")
_SENTIMENT = ("positive", "neutral", "negative")
LETTERS = ("A", "B", "C", "D")


def _same(*codes: str) -> dict[str, str]:
    return {code: code for code in codes}


def _lower_first(text: str, code: str) -> str:
    """A sentence as it goes on behind another; Turkish has two letters i."""
    first = text[:1]
    if code in ("tr", "az"):
        first = {"I": "ı", "İ": "i"}.get(first, first)
    return first.lower() + text[1:]


# XCOPA (Ponti et al. 2020): which of two sentences is the cause, or the effect, of a third


def _xcopa(row: Row, writing: Writing) -> CandidateItem:
    role = row.text("question")
    if role not in ("cause", "effect"):
        raise InputError(f"{row.place}: 'question' must be cause or effect, not {shown(role, most=40)}")
    premise = row.text("premise").strip()
    texts = [row.text("choice1"), row.text("choice2")]
    if writing.protocol == LM_EVAL:
        premise, gap = premise[:-1], " "
        texts = [text[:1].lower() + text[1:] for text in texts]
    else:
        # Thai clauses are parted by spaces, Chinese ones are not.
        premise, gap = premise.rstrip(_FULL_STOPS), "" if writing.language == "zh" else " "
        texts = [_lower_first(text.strip(), writing.language) for text in texts]
    return CandidateItem(
        f"{row.text('idx'):>04}",
        premise + writing.words[role],
        positions(texts, before=gap),
        row.place_in("label", 2),
    )


XCOPA = Benchmark(
    "xcopa",
    ("1", "2"),
    _same("en", "et", "ht", "id", "it", "qu", "sw", "ta", "th", "tr", "vi", "zh"),
    _xcopa,
    has_words=True,
)


# XStoryCloze (Lin et al. 2022): which of two sentences ends a story of four


def _xstorycloze(row: Row, writing: Writing) -> CandidateItem:
    gap = " " if writing.protocol == LM_EVAL else writing.gap
    story = [row.text(f"input_sentence_{n}", f"InputSentence{n}") for n in range(1, 5)]
    endings = [row.text(f"sentence_quiz{n}", f"RandomFifthSentenceQuiz{n}") for n in (1, 2)]
    name = "answer_right_ending" if "answer_right_ending" in row.values else "AnswerRightEnding"
    return CandidateItem(
        row.text("story_id", "InputStoryid"),
        gap.join(story),
        positions(endings, before=gap),
        row.place_in(name, 2, first=1),
    )


XSTORYCLOZE = Benchmark(
    "xstorycloze",
    ("1", "2"),
    _same("ar", "en", "es", "eu", "hi", "id", "my", "ru", "sw", "te", "zh"),
    _xstorycloze,
)


# XWinograd (Tikhonov and Ryabinin 2021): which of two names fits in the place of a pronoun, by what follows


def _xwinograd(row: Row, writing: Writing) -> CandidateItem:
    if "sentence_tokens" in row.values:
        before, after, options, answer = _pronoun(row)
    else:
        before, sign, after = row.text("sentence").partition("_")
        if not sign:
            raise InputError(f"{row.place}: the sentence has no '_' where a name is to be put")
        options, answer = [row.text("option1"), row.text("option2")], row.place_in("answer", 2, first=1)
    after = f" {after.strip()}" if writing.protocol == LM_EVAL and after.strip() else after.rstrip()
    candidates = tuple(
        Candidate(str(place), after if option.strip() else "", option)
        for place, option in enumerate(options, 1)
    )
    # sentences of different languages are not translations of each other
    return CandidateItem(f"{writing.language}-{row.number:04}", before, candidates, answer)


def _pronoun(row: Row) -> tuple[str, str, list[str], int]:
    """What stands before and after the pronoun of a row of the published table, the names, and which is right."""
    sentence = row.text("sentence")
    try:
        tokens = json.loads(row.text("sentence_tokens"))
        pronoun, (first, _last), _words = json.loads(row.text("pronoun"))
        names = json.loads(row.text("candidates"))
        options, right = [str(name[0]) for name in names], [bool(name[-1]) for name in names]
        start = 0
        for token in tokens[:first]:
            at = sentence.find(token, start)
            # some tokens are written otherwise than in the sentence: quotation marks, and what is misspelled there
            start = at + len(token) if at >= 0 else start
        start = sentence.index(pronoun, start)
    except (ValueError, TypeError, IndexError, KeyError) as error:
        raise InputError(f"{row.place} is no row of XWinograd's table: {error}") from error
    if sum(right) != 1:
        raise InputError(f"{row.place} says that {sum(right)} of its names are right; one must be")
    return sentence[:start], sentence[start + len(pronoun) :], options, right.index(True)


XWINOGRAD = Benchmark(
    "xwinograd",
    ("1", "2"),
    _same("en", "fr", "ja", "pt", "ru", "zh") | {"jp": "ja"},
    _xwinograd,
    columns=("language", "source", "original", "sentence", "sentence_tokens", "pronoun", "candidates"),
    language_columns=("language", "lang"),
)


# HellaSwag (Zellers et al. 2019) and its translations (Lai et al. 2023): which of four texts goes on


def _without_brackets(text: str) -> str:
    """Without the headings in brackets that texts of WikiHow have."""
    return re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". ")).replace("  ", " ")


def _hellaswag(row: Row, writing: Writing) -> CandidateItem:
    endings = row.value("endings")
    if not isinstance(endings, list) or not endings:
        raise InputError(f"{row.place}: 'endings' must be a list of texts, not {shown(endings, most=60)}")
    first, second = row.text("ctx_a"), row.text("ctx_b")
    if writing.protocol == LM_EVAL:
        gap, second = " ", second.capitalize()  # names in it lose their capitals
    else:
        gap, second = writing.gap, second[:1].upper() + second[1:]
    context = _without_brackets(f"{row.text('activity_label')}: {first}{gap}{second}")
    name = "#".join(str(row.values[key]) for key in ("source_id", "ind") if row.values.get(key) is not None)
    return CandidateItem(
        name or f"{row.number:05}",
        context,
        positions([_without_brackets(str(text)) for text in endings], before=gap),
        row.place_in("label", len(endings)),
    )


# Languages of the translations of HellaSwag, ARC and MMLU.
_OKAPI = (
    "ar",
    "bn",
    "ca",
    "da",
    "de",
    "en",
    "es",
    "eu",
    "fr",
    "gu",
    "hi",
    "hr",
    "hu",
    "hy",
    "id",
    "is",
    "it",
    "kn",
    "ml",
    "mr",
    "nb",
    "ne",
    "nl",
    "pt",
    "ro",
    "ru",
    "sk",
    "sr",
    "sv",
    "ta",
    "te",
    "uk",
    "vi",
    "zh",
)
HELLASWAG = Benchmark("hellaswag", ("1", "2", "3", "4"), _same(*_OKAPI), _hellaswag, default_language="en")


# ARC (Clark et al. 2018) and its translations: which of three to five answers a question has


def _arc(row: Row, writing: Writing) -> CandidateItem:
    names: Sequence[str]
    if "instruction" in row.values:
        question, key = row.text("instruction"), row.text("answer")
        # an answer that is missing in the middle must not give its letter to the next one
        given = {name[-1].upper(): str(row.values[name]) for name in _OPTIONS if row.values.get(name)}
        names, texts = list(given), list(given.values())
        if writing.protocol == LM_EVAL:
            question, texts = _without_brackets(question), [_without_brackets(text) for text in texts]
    else:
        asked = row.value("question")
        choices = asked.get("choices") if isinstance(asked, Mapping) else row.value("choices")
        question = str(asked.get("stem")) if isinstance(asked, Mapping) else row.text("question")
        names, texts = _choices(row, choices)
        key = row.text("answerKey")
    if key not in names:
        raise InputError(
            f"{row.place}: the right answer must be one of {', '.join(names)}, not {shown(key, most=40)}"
        )
    heads = ("Question", "Answer") if writing.protocol == LM_EVAL else ("Q", "A")
    return CandidateItem(
        row.text("id"),
        f"{heads[0]}: {question}\n{heads[1]}:",
        positions(texts, before=" "),
        names.index(key),
    )


def _choices(row: Row, choices: Any) -> tuple[list[str], list[str]]:
    """Names and texts of a question's answers, as one list of records or as two lists."""
    try:
        if isinstance(choices, Mapping):
            return [str(name) for name in choices["label"]], [str(text) for text in choices["text"]]
        return [str(choice["label"]) for choice in choices], [str(choice["text"]) for choice in choices]
    except (KeyError, TypeError) as error:
        raise InputError(f"{row.place}: 'choices' must have 'label' and 'text' of each answer") from error


ARC = Benchmark("arc", ("1", "2", "3", "4", "5"), _same(*_OKAPI), _arc, default_language="en")


# MMLU (Hendrycks et al. 2021), its translations and CMMLU: which letter


def _mmlu(row: Row, writing: Writing) -> CandidateItem:
    question = row.text("question", "Question", "instruction").strip()
    given = row.values.get("choices")
    texts = (
        [str(text) for text in given]
        if isinstance(given, list)
        else [row.text(letter, f"option_{letter.lower()}") for letter in LETTERS]
    )
    if len(texts) != len(LETTERS):
        raise InputError(f"{row.place} has {len(texts)} answers, not {len(LETTERS)}")
    key = row.text("answer", "Answer").strip()
    answer = LETTERS.index(key) if key in LETTERS else int(key) if key in ("0", "1", "2", "3") else None
    if answer is None:
        raise InputError(f"{row.place}: the right answer must be A to D or 0 to 3, not {shown(key, most=40)}")
    subject = str(row.values.get("subject") or row.subject)
    lines = "".join(f"\n{letter}. {text}" for letter, text in zip(LETTERS, texts, strict=True))
    # lm-eval's translated sets have no head
    about = subject if writing.protocol == LM_EVAL and "instruction" not in row.values else ""
    head = (
        f"The following are multiple choice questions (with answers) about {about.replace('_', ' ')}.\n\n"
        if about
        else ""
    )
    name = row.values.get("id") or "-".join(filter(None, (subject, f"{row.number:04}")))
    candidates = tuple(Candidate(letter, f" {letter}") for letter in LETTERS)
    return CandidateItem(str(name), f"{head}{question}{lines}\nAnswer:", candidates, answer)


MMLU = Benchmark(
    "mmlu", LETTERS, _same(*_OKAPI), _mmlu, columns=("question", *LETTERS, "answer"), default_language="en"
)


# XNLI (Conneau et al. 2018): after which of three words a statement is the likeliest behind another


def _xnli(row: Row, writing: Writing) -> CandidateItem:
    premise, hypothesis = (
        row.text(*names) for names in (("premise", "sentence1"), ("hypothesis", "sentence2"))
    )
    said = row.text("label", "gold_label")
    label = _NLI[int(said)] if said in ("0", "1", "2") else said
    if label not in _NLI:
        raise InputError(
            f"{row.place}: the label must be 0 to 2 or {', '.join(_NLI)}, not {shown(said, most=40)}"
        )
    if writing.protocol == CORRECTED:
        premise, hypothesis = premise.strip(), hypothesis.strip()
    # what follows the premise is scored, the hypothesis with the word before it: the premise itself is the same for all
    candidates = tuple(Candidate(name, f"{writing.words[name]} {hypothesis}") for name in _NLI)
    name = next((str(row.values[key]) for key in ("pairID", "id") if row.values.get(key)), f"{row.number:05}")
    return CandidateItem(name, premise, candidates, _NLI.index(label))


XNLI_CHOICE = Benchmark(
    "xnli",
    _NLI,
    _same("ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh"),
    _xnli,
    language_columns=("language",),
    has_words=True,
)


# NusaX (Winata et al. 2023): sentiment of three classes in languages of Indonesia


def _nusax(row: Row, writing: Writing) -> CandidateItem:
    label = row.text("label")
    if label not in _SENTIMENT:
        raise InputError(
            f"{row.place}: the label must be {', '.join(_SENTIMENT)}, not {shown(label, most=40)}"
        )
    candidates = tuple(Candidate(name, f" {writing.words[name]}") for name in _SENTIMENT)
    context = f"{row.text('text').strip()}\n{writing.words['cue']}:"
    return CandidateItem(f"{row.text('id'):>04}", context, candidates, _SENTIMENT.index(label))


NUSAX = Benchmark(
    "nusax",
    _SENTIMENT,
    {
        "acehnese": "ace",
        "balinese": "ban",
        "banjarese": "bjn",
        "buginese": "bug",
        "english": "en",
        "indonesian": "id",
        "javanese": "jv",
        "madurese": "mad",
        "minangkabau": "min",
        "ngaju": "x-ngaju",
        "sundanese": "su",
        "batak": "bbc",
    },
    _nusax,
    protocols=(CORRECTED,),
    has_words=True,
)


# Items of one's own


def _own(row: Row, writing: Writing) -> CandidateItem:
    context, texts = row.text("context"), row.value("candidates")
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts) or len(texts) < 2:
        raise InputError(
            f"{row.place}: 'candidates' must be a list of two texts or more, not {shown(texts, most=60)}"
        )
    answer = row.place_in("answer", len(texts))
    gap = "" if not context or context[-1:].isspace() else writing.gap
    if "continuation" in row.values:
        after = row.text("continuation")
        after = after if after[:1].isspace() else writing.gap + after
        candidates = tuple(
            Candidate(str(place), after if text.strip() else "", f"{gap}{text}")
            for place, text in enumerate(texts, 1)
        )
    else:
        candidates = tuple(
            Candidate(str(place), text if not text or text[:1].isspace() else gap + text)
            for place, text in enumerate(texts, 1)
        )
    return CandidateItem(row.text("id"), context, candidates, answer)


CHOICE = Benchmark("choice", (), {}, _own, protocols=(CORRECTED,), language_columns=("lang", "language"))

BENCHMARKS = (XCOPA, XSTORYCLOZE, XWINOGRAD, HELLASWAG, ARC, MMLU, XNLI_CHOICE, NUSAX, CHOICE)
