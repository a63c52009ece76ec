"""Asking judges: every pair of answers in both orders, a tenth of the items again, and two nulls.

Calls of a judge are made in an order that a seed shuffles, so that no set of answers is graded before the other; what
is judged again comes last.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pandas as pd

from latentlang.arguments import check_count, checked_call
from latentlang.defaults import NULLS, REGRADE
from latentlang.errors import InputError, shown
from latentlang.instructions.providers.asking import Asker, Asking
from latentlang.instructions.providers.base import Provider, ProviderError, asked_again
from latentlang.instructions.providers.registry import provider
from latentlang.judging.judge_templates import JudgeTemplate, judge_template
from latentlang.judging.judged_answers import Answers, JudgedAnswer, read_sets
from latentlang.judging.judgement_result import COLUMNS, JudgementResult
from latentlang.judging.judging_settings import JudgementSettings
from latentlang.language_names import Language
from latentlang.language_names import languages as find_languages
from latentlang.progress import ProgressOption
from latentlang.provenance import Provenance
from latentlang.seeding import generator, shuffled

#: Of few items at least so many are asked again and with the nulls.
LEAST_CHECKED = 10

Judge = str | Provider | Asking


@dataclass(frozen=True)
class _AnswerPair:
    """An item with the answers to it."""

    id: str
    language: str
    question: str
    a: str
    b: str | None


@dataclass(frozen=True)
class _Call:
    """One question to a judge.

    Attributes:
        part: ``main``, ``again``, ``identical`` or ``shuffled``.
        pair: the item, with the answers that are shown.
        order: ``ab`` or ``ba``, or the one that is graded, ``a`` or ``b``.
    """

    part: str
    pair: _AnswerPair
    order: str

    def shown(self) -> tuple[str, str]:
        """The answers in the order in which the judge sees them; the second is empty where one is graded."""
        texts = {"a": self.pair.a, "b": self.pair.b or ""}
        return texts[self.order[0]], texts[self.order[1]] if len(self.order) > 1 else ""


@checked_call
def judge(
    answers_a: Answers,
    answers_b: Answers | None = None,
    *,
    judges: Judge | Sequence[Judge],
    template: str | Path | JudgeTemplate | None = None,
    template_language: str | None = None,
    names: Sequence[str] | None = None,
    languages: str | Language | Iterable[str | Language] | None = None,
    items: int | None = None,
    regrade: float = REGRADE,
    nulls: float = NULLS,
    seed: int = 0,
    cache: str | os.PathLike[str] | None = None,
    progress: ProgressOption = True,
) -> JudgementResult:
    """Have models judge answers: two sets beside each other, or each answer alone.

    A pair is shown in both orders, and an answer wins only where it wins in both. Replies without a verdict are counted
    and never guessed.

    Args:
        answers_a: answers, as of `latentlang.judging.read_answers`.
        answers_b: other answers to the same questions; None grades one set, and compares those of a result that has
            answers before and after training.
        judges: one or several: ``openai:MODEL@URL``, ``local:MODEL``, ``replay:FILE``, ``table:FILE``, a provider, or
            an `latentlang.instructions.providers.Asker`.
        template: what they are asked: a name of `latentlang.judging.judge_template_names`, or a YAML file; by default
            ``pairwise`` for two sets, and ``rating5`` for one.
        template_language: the language in which a judge is asked (`judge_template_languages`), of our own templates;
            None for English. What is judged stays in its own.
        names: what the sets are called; by default as their files, or A and B.
        languages: those to judge; by default all.
        items: questions of each language, drawn by the seed; None for all.
        regrade: share of the items that is judged a second time, which shows how far a judge agrees with itself.
        nulls: share of the items of which two more things are asked: an answer beside itself, and beside the answer to
            another question.
        seed: draws items, the order of the calls and the intervals.
        cache: folder that replies are kept in, so that the same call goes on where one was stopped.
        progress: whether it is shown, or a function of (done, in all).

    Raises:
        InputError: answers to different questions, no answers, or an impossible number.
        ProviderError: a judge cannot be asked any more.
    """
    check_count("items", items, least=1)
    check_count("seed", seed, least=0)
    for name, share in (("regrade", regrade), ("nulls", nulls)):
        if not (isinstance(share, int | float) and 0 <= share <= 1):
            raise InputError(f"{name} is a share of the items from 0 to 1, not {shown(share)}")
    one, other, known = read_sets(answers_a, answers_b)
    pairwise = other is not None
    chosen = judge_template(template or ("pairwise" if pairwise else "rating5"), language=template_language)
    if chosen.mode == "pairwise" and not pairwise:
        raise InputError(
            f"the template {chosen.name!r} compares two answers, and one set was given; give a second one, or take "
            "a template that grades one, such as 'rating5'"
        )
    asks = [_asking(given, cache) for given in _several(judges)]
    _check_names([asked.provider.name for asked in asks])
    pairs, left_out = _pairs(one, other)
    pairs = _drawn(pairs, languages, items, seed)
    rows: list[dict[str, Any]] = []
    not_regraded = []
    for asked in asks:
        again = asked_again(asked.provider, 1) is not None
        if regrade and not again:
            not_regraded.append(asked.provider.name)
        calls = _calls(pairs, chosen, regrade=regrade if again else 0.0, nulls=nulls, seed=seed)
        rows += _judged(asked, calls, chosen, progress=progress)
    settings = JudgementSettings(
        mode=chosen.mode, names=_names(names, known, 2 if pairwise else 1),
        judges=[{"name": asked.provider.name, **asked.provider.settings} for asked in asks],
        template=chosen.model_dump(), regrade=regrade, nulls=nulls, left_out=left_out, not_regraded=not_regraded,
    )  # fmt: skip
    provenance = Provenance(
        model=", ".join(asked.provider.name for asked in asks), task="judging", policy="", seed=seed,
        languages=tuple(dict.fromkeys(pair.language for pair in pairs)), settings=settings.stored(),
    )  # fmt: skip
    return JudgementResult(table=pd.DataFrame(rows, columns=list(COLUMNS)), provenance=provenance)


def _several(judges: Judge | Sequence[Judge]) -> list[Judge]:
    if isinstance(judges, str) or not isinstance(judges, Sequence):
        return [judges]
    several = list(judges)
    if not several:
        raise InputError("no judge was named; name one such as judges='openai:MODEL@URL'")
    return several


def _asking(given: Judge, cache: str | os.PathLike[str] | None) -> Asking:
    if not isinstance(given, str) and hasattr(given, "run"):
        return cast(Asking, given)
    answering = provider(given) if isinstance(given, str) else given
    if not hasattr(answering, "ask"):
        raise InputError(f"{shown(given, most=60)} is no judge; name one such as 'openai:MODEL@URL'")
    return Asker(answering, cache=None if cache is None else os.fspath(cache))


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two judges are called {name!r}; name each once: it is asked again by regrade=")


def _names(given: Sequence[str] | None, known: Sequence[str], sets: int) -> list[str]:
    if given is None:
        return list(known) or ["A", "B"][:sets]
    names = list(map(str, given))
    if len(names) != sets or len(set(names)) < len(names) or not all(map(str.strip, names)):
        raise InputError(f"names= must name each of the {sets} sets of answers, not {shown(names)}")
    return names


def _pairs(
    one: Sequence[JudgedAnswer], other: Sequence[JudgedAnswer] | None
) -> tuple[list[_AnswerPair], int]:
    """The items that all sets have, and how many were left out.

    Raises:
        InputError: they answer different questions.
    """
    if other is None:
        return [_AnswerPair(a.id, a.language, a.question, a.answer, None) for a in one], 0
    theirs = {answer.key: answer for answer in other}
    pairs = []
    for answer in one:
        match = theirs.get(answer.key)
        if match is None:
            continue
        if " ".join(match.question.split()) != " ".join(answer.question.split()):
            raise InputError(
                f"item {answer.id!r} asks {shown(answer.question, most=60)} in one set and "
                f"{shown(match.question, most=60)} in the other; only answers to the same question can be compared"
            )
        pairs.append(_AnswerPair(answer.id, answer.language, answer.question, answer.answer, match.answer))
    if not pairs:
        raise InputError(
            f"the two sets have no item in common: {one[0].key!r} and {other[0].key!r} are language and id of their "
            "first ones; give answers to the same questions"
        )
    return pairs, len(one) + len(other) - 2 * len(pairs)


def _drawn(
    pairs: Sequence[_AnswerPair],
    languages: str | Language | Iterable[str | Language] | None,
    items: int | None,
    seed: int,
) -> list[_AnswerPair]:
    there = list(dict.fromkeys(pair.language for pair in pairs))
    codes = there if languages is None else [entry.code for entry in find_languages(languages)]
    for code in codes:
        if code not in there:
            raise InputError(f"there are no answers in {code!r}, only in {', '.join(map(repr, there))}")
    drawn: list[_AnswerPair] = []
    for code in codes:
        of_language = [pair for pair in pairs if pair.language == code]
        if items is not None:
            # by the id alone: parallel items are drawn in all languages
            kept = sorted(
                of_language, key=lambda pair: generator("judging", "items", seed, pair.id).random()
            )[:items]
            names = {pair.id for pair in kept}
            of_language = [pair for pair in of_language if pair.id in names]
        drawn += of_language
    return drawn


def _calls(
    pairs: Sequence[_AnswerPair], template: JudgeTemplate, *, regrade: float, nulls: float, seed: int
) -> list[_Call]:
    pairwise = template.mode == "pairwise"
    two = pairs[0].b is not None

    def orders(both: bool) -> tuple[str, ...]:
        return ("ab", "ba") if pairwise else ("a", "b") if both else ("a",)

    calls = [_Call("main", pair, order) for pair in pairs for order in orders(two)]
    again = [
        _Call("again", pair, order) for pair in _part(pairs, regrade, "again", seed) for order in orders(two)
    ]
    for pair in _part(pairs, nulls, "nulls", seed):
        if pairwise:
            calls.append(
                _Call("identical", _AnswerPair(pair.id, pair.language, pair.question, pair.a, pair.a), "ab")
            )
        other = _other_answer(pair, pairs, seed)
        if other is None:
            continue
        if pairwise:
            beside = _AnswerPair(pair.id, pair.language, pair.question, pair.a, other)
            calls += [_Call("shuffled", beside, order) for order in ("ab", "ba")]
        else:
            calls.append(
                _Call("shuffled", _AnswerPair(pair.id, pair.language, pair.question, other, None), "a")
            )
    # the same again comes last, so that what changes in a judge while it works is seen
    return [*shuffled(calls, "judging", "calls", seed), *shuffled(again, "judging", "again", seed)]


def _part(pairs: Sequence[_AnswerPair], share: float, what: str, seed: int) -> list[_AnswerPair]:
    """A share of the items, at least some, drawn so that a larger share holds a smaller one."""
    if not share:
        return []
    count = min(len(pairs), max(math.ceil(share * len(pairs)), LEAST_CHECKED))
    return sorted(pairs, key=lambda pair: generator("judging", what, seed, pair.language, pair.id).random())[
        :count
    ]


def _other_answer(pair: _AnswerPair, pairs: Sequence[_AnswerPair], seed: int) -> str | None:
    """The first set's answer to another question of the language; None where there is none that differs."""
    others = [
        other.a
        for other in pairs
        if other.language == pair.language and other.id != pair.id and other.a.strip() != pair.a.strip()
    ]
    return generator("judging", "other", seed, pair.language, pair.id).choice(others) if others else None


def _judged(
    asks: Asking, calls: Sequence[_Call], template: JudgeTemplate, *, progress: ProgressOption
) -> list[dict[str, Any]]:
    """A row a call, in an order that does not depend on the seed."""

    def work(call: _Call) -> dict[str, Any]:
        first, second = call.shown()
        pair = call.pair
        row: dict[str, Any] = {
            "judge": asks.provider.name, "part": call.part, "language": pair.language, "id": pair.id,
            "order": call.order, "verdict": "", "score_a": math.nan, "score_b": math.nan, "code": "", "reply": "",
            "flags": _flags(call, template), "characters_a": len(pair.a) if "a" in call.order else 0,
            "characters_b": len(pair.b or "") if "b" in call.order else 0,
        }  # fmt: skip
        messages = template.messages(pair.question, first, second, language=pair.language)
        try:
            reply = asks.ask(messages, again=int(call.part == "again"))
        except ProviderError as error:
            if not error.failure.of_item:
                raise
            return row | {"code": error.code}
        read = template.read(reply.text, cut=reply.cut)
        places = dict(zip(("1", "2"), call.order, strict=False))
        scores = {
            f"score_{places[place]}": score
            for place, score in (("1", read.score_1), ("2", read.score_2))
            if score is not None
        }
        verdict = places.get(read.choice, read.choice)
        return row | scores | {"verdict": verdict, "code": read.code, "reply": reply.text}

    rows = asks.run(calls, work, what=f"judging by {asks.provider.name}", progress=progress)
    places = {part: number for number, part in enumerate(("main", "again", "identical", "shuffled"))}
    return sorted(rows, key=lambda row: (places[row["part"]], row["language"], row["id"], row["order"]))


def _flags(call: _Call, template: JudgeTemplate) -> str:
    texts = {"a": call.pair.a, "b": call.pair.b or ""}
    return ",".join(f"{name}-{flag}" for name in sorted(call.order) for flag in template.flags(texts[name]))
