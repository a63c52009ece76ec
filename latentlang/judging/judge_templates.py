"""What a judge is asked, and how its reply is read: YAML files, one a template, and one a language for what is ours.

A reply is read by the template's own rule or not at all: what has no verdict, several that differ, or a grade that
there is not, is counted by its code and never guessed.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from latentlang.errors import InputError, unknown
from latentlang.language_names import language as find_language
from latentlang.paths import given_path
from latentlang.storage.documents import Closed, checked, read_yaml

Mode = Literal["pairwise", "single"]
_FOLDER = Path(__file__).resolve().parent / "templates"
_LANGUAGES = _FOLDER / "languages"
_SUFFIX = ".yaml"
_THEN = "put it right"
_PLACE = re.compile(r"\{(question|answer_1|answer_2|reader|mark)\}")
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?")
_MARK_LENGTH = 12
# A sentence of a template is known in an answer by so many bytes: ten characters of Chinese say as much as thirty here.
_KNOWN, _SENTENCE = 30, re.compile(r"(?<=[.?!:;])\s|(?<=[。！？：；])")

#: Why a reply has no verdict, by code.
UNREAD: dict[str, str] = {
    "no-verdict": "no verdict in the form that was asked for",
    "several-verdicts": "several verdicts that differ",
    "out-of-range": "a grade outside the scale",
    "not-whole": "a grade that is no whole number",
    "cut": "the reply was ended by the limit of its length, without a verdict",
}


class VerdictRule(Closed):
    """How a reply is read.

    Attributes:
        kind: ``choice`` of an answer, ``scores`` for both, or a ``rating``.
        pattern: regular expression whose first group is the verdict; with ``scores`` that of answer 1.
        pattern_2: with ``scores`` that of answer 2.
        first: with ``choice``, what names answer 1; ``second`` answer 2, and ``tie`` neither.
        take: where a reply has several verdicts: ``only`` takes them where they are alike, ``first`` and ``last`` one.
        whole: whether a grade must be a whole number.
        least: the lowest grade, and ``most`` the highest.
    """

    kind: Literal["choice", "scores", "rating"]
    pattern: str
    pattern_2: str | None = None
    first: str = "1"
    second: str = "2"
    tie: str = "tie"
    take: Literal["only", "first", "last"] = "only"
    whole: bool = True
    least: float = 1
    most: float = 5

    @model_validator(mode="after")
    def _usable(self) -> VerdictRule:
        patterns = [self.pattern] if self.pattern_2 is None else [self.pattern, self.pattern_2]
        if (self.kind == "scores") != (len(patterns) == 2):
            raise ValueError("pattern_2 belongs to the kind scores, which needs it")
        for pattern in patterns:
            try:
                groups = re.compile(pattern).groups
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
            if groups != 1:
                raise ValueError(f"{pattern!r} has {groups} groups and needs one, the verdict")
        if not self.least < self.most:
            raise ValueError("least must be below most")
        return self


class JudgeTemplate(Closed):
    """What a judge is asked.

    Attributes:
        name: of the file; empty for one of one's own.
        mode: ``pairwise`` (two answers) or ``single``.
        language: code of the language that it is written in.
        origin: who wrote it.
        about: what it is, in half a sentence.
        system: a system text; empty for none.
        prompt: with ``{question}``, ``{answer_1}`` and, where two are compared, ``{answer_2}``; ``{mark}`` is a code
            that an answer cannot know, ``{reader}`` the sentence on the user's language.
        reader: that sentence, with ``{language}``; left out where the language is not known.
        verdict: how a reply is read.
        markers: what parts the texts in the prompt; an answer that has one of them is flagged.
    """

    name: str = ""
    mode: Mode
    language: str = "en"
    origin: str
    about: str = ""
    system: str = ""
    prompt: str
    reader: str = ""
    verdict: VerdictRule
    markers: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _whole(self) -> JudgeTemplate:
        places = {match[1] for match in _PLACE.finditer(self.prompt)}
        needed = ["question", "answer_1", *(["answer_2"] if self.mode == "pairwise" else [])]
        for place in needed:
            if place not in places:
                raise ValueError(f"prompt has no {{{place}}}")
        if self.mode == "single" and "answer_2" in places:
            raise ValueError("prompt has {answer_2}, and one answer is graded at a time")
        if (self.mode == "single") != (self.verdict.kind == "rating"):
            raise ValueError("the kind rating belongs to the mode single; pairwise takes choice or scores")
        return self

    def messages(
        self, question: str, answer_1: str, answer_2: str = "", *, language: str = ""
    ) -> list[dict[str, str]]:
        """What the judge is asked.

        Args:
            question: what was asked.
            answer_1: the answer that stands first.
            answer_2: the other one.
            language: code of the user's language; empty where it is not known.
        """
        texts = {
            "question": question, "answer_1": answer_1, "answer_2": answer_2,
            "mark": _mark(question, answer_1, answer_2),
            "reader": self.reader.replace("{language}", find_language(language).name) if language else "",
        }  # fmt: skip
        asked = _PLACE.sub(lambda match: texts[match[1]], self.prompt)
        system = [{"role": "system", "content": self.system.strip()}] if self.system.strip() else []
        return [*system, {"role": "user", "content": asked.strip()}]

    def read(self, reply: str, *, cut: bool = False) -> ReadVerdict:
        """The verdict of a reply.

        Args:
            reply: its text; full-width characters are read as the usual ones.
            cut: whether it was ended by the limit of its length.
        """
        text = unicodedata.normalize("NFKC", reply)
        rule = self.verdict
        if rule.kind == "choice":
            names = {rule.first.casefold(): "1", rule.second.casefold(): "2", rule.tie.casefold(): "tie"}
            said = [match[1].strip().casefold() for match in re.finditer(rule.pattern, text)]
            chosen = _taken([names[name] for name in said if name in names], rule.take)
            return ReadVerdict(chosen or "", code="" if chosen else _why(said, names, cut))
        first, code = _grade(text, rule.pattern, rule, cut)
        if rule.pattern_2 is None:
            return ReadVerdict("", first, code=code)
        second, code_2 = _grade(text, rule.pattern_2, rule, cut)
        if code or code_2 or first is None or second is None:
            return ReadVerdict("", code=code or code_2)
        return ReadVerdict("tie" if first == second else "1" if first > second else "2", first, second)

    def flags(self, answer: str) -> list[str]:
        """What in an answer could pass for part of the prompt or for a verdict.

        ``verdict``: it has one in the form that the judge is asked for; ``marker``: it has a marker of the template, or
        a sentence of it.
        """
        text = unicodedata.normalize("NFKC", answer)
        patterns = [self.verdict.pattern, *([self.verdict.pattern_2] if self.verdict.pattern_2 else [])]
        found = ["verdict"] if any(re.search(pattern, text) for pattern in patterns) else []
        folded = " ".join(text.casefold().split())
        if any(part in folded for part in self._known()):
            found.append("marker")
        return found

    def _known(self) -> Iterator[str]:
        for marker in self.markers:
            yield " ".join(unicodedata.normalize("NFKC", marker).casefold().split())
        for line in (*self.prompt.splitlines(), *self.system.splitlines()):
            for part in _PLACE.split(line)[::2]:
                for sentence in _SENTENCE.split(part):
                    known = " ".join(unicodedata.normalize("NFKC", sentence).casefold().split())
                    if len(known.encode()) >= _KNOWN:
                        yield known


class _OtherWords(Closed):
    """What a template says in another language."""

    system: str
    prompt: str


class _LanguageFile(Closed):
    """Templates in another language: what a judge is asked; how its reply is read stays as it is.

    Attributes:
        origin: who wrote it.
        reader: the sentence on the user's language, without its name.
        templates: name to what it says.
    """

    origin: str
    reader: str
    templates: dict[str, _OtherWords]


@dataclass(frozen=True)
class ReadVerdict:
    """What a reply says.

    Attributes:
        choice: ``1``, ``2`` or ``tie``; empty for none.
        score_1: grade of the answer that stood first, or of the only one.
        score_2: of the other.
        code: why there is none, a code of `UNREAD`; empty where there is one.
    """

    choice: str
    score_1: float | None = None
    score_2: float | None = None
    code: str = ""


def _taken(values: list[str], take: str) -> str | None:
    if not values or (take == "only" and len(set(values)) > 1):
        return None
    return values[-1] if take == "last" else values[0]


def _why(said: list[str], names: dict[str, str], cut: bool) -> str:
    known = {names[name] for name in said if name in names}
    return "several-verdicts" if len(known) > 1 else "cut" if cut else "no-verdict"


def _grade(text: str, pattern: str, rule: VerdictRule, cut: bool) -> tuple[float | None, str]:
    """A grade and an empty code, or none and why."""
    numbers = [
        match[1].strip() for match in re.finditer(pattern, text) if _NUMBER.fullmatch(match[1].strip())
    ]
    grades = [str(float(number.replace(",", "."))) for number in numbers]
    taken = _taken(grades, rule.take)
    if taken is None:
        return None, "several-verdicts" if grades else "cut" if cut else "no-verdict"
    grade = float(taken)
    if not rule.least <= grade <= rule.most:
        return None, "out-of-range"
    if rule.whole and grade % 1:
        return None, "not-whole"
    return grade, ""


def _mark(*texts: str) -> str:
    """A code that depends on all texts, so that none of them can hold it but by chance."""
    digest = hashlib.sha256("\x1f".join(texts).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:_MARK_LENGTH]


def judge_template_names() -> list[str]:
    """Names of the templates that come with the package."""
    return sorted(path.stem for path in _FOLDER.glob(f"*{_SUFFIX}"))


def judge_template_languages() -> list[str]:
    """Codes of the languages that our own templates (``pairwise``, ``rating5``, ``rating10``) are written in."""
    return ["en", *sorted(path.stem for path in _LANGUAGES.glob(f"*{_SUFFIX}"))]


def judge_template(given: str | Path | JudgeTemplate, *, language: str | None = None) -> JudgeTemplate:
    """A template by its name (`judge_template_names`), or from a YAML file of one's own.

    Args:
        given: its name, its file, or a template.
        language: the language that it is to be written in, one of `judge_template_languages`; None takes it as it is.

    Raises:
        InputError: there is none of this name or in this language, or the file is of another shape.
    """
    shipped = isinstance(given, str) and not given.endswith((_SUFFIX, ".yml"))
    if isinstance(given, JudgeTemplate):
        template = given
    elif not shipped:
        template = _read(given_path(given))
    elif given in judge_template_names():
        template = _read(_FOLDER / f"{given}{_SUFFIX}")
    else:
        raise unknown(
            "template of a judge", str(given), judge_template_names(), hint="a YAML file will do too"
        )
    if language is None or (code := find_language(language).code) == template.language:
        return template
    if not shipped:
        raise InputError(
            f"the template {template.name or 'that was given'!r} is written in {template.language!r}; a template of "
            "one's own is asked as it is, so leave its language out"
        )
    return _in_language(template, code)


def _in_language(template: JudgeTemplate, code: str) -> JudgeTemplate:
    """One of our own templates in another language.

    Raises:
        InputError: it is not written in that language.
    """
    if code not in judge_template_languages():
        raise unknown("language of a judge's template", code, judge_template_languages())
    words = _language(code)
    if template.name not in words.templates:
        raise InputError(
            f"the template {template.name!r} is in English alone; in {code!r} there are {', '.join(words.templates)}"
        )
    other = words.templates[template.name]
    return template.model_copy(
        update={
            "language": code, "origin": words.origin, "reader": words.reader, "system": other.system,
            "prompt": other.prompt,
        }
    )  # fmt: skip


@cache
def _language(code: str) -> _LanguageFile:
    path = _LANGUAGES / f"{code}{_SUFFIX}"
    return checked(_LanguageFile, read_yaml(path), path, then=_THEN)


@cache
def _read(path: Path) -> JudgeTemplate:
    content = read_yaml(path)
    if isinstance(content, dict) and "name" in content:
        raise InputError(f"{path}: a template is called as its file is; leave name out")
    read = checked(JudgeTemplate, content, path, then=_THEN)
    find_language(read.language)
    return read.model_copy(update={"name": path.stem})
