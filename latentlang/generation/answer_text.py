"""Answers in words: how they were written, in which languages they are, and why they ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from latentlang.language_names import language
from latentlang.text import VERBS, counted, listed, percent

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.generation.answer_settings import AnswerSettings

_MOST_NAMED = 6


def how_words(decoding: dict[str, Any]) -> str:
    """How texts were written, in half a sentence."""
    way = decoding.get("how", "greedy")
    if way == "beam":
        words = f"by beam search with {counted(int(decoding.get('beams') or 1), 'beam')}"
    elif way == "sample":
        words = f"by draws at temperature {decoding.get('temperature', 1.0):g}"
        words += f", top-k {decoding['top_k']}" if decoding.get("top_k") else ""
        words += f", top-p {decoding['top_p']:g}" if decoding.get("top_p") else ""
    else:
        words = "greedily"
    rules = []
    if decoding.get("repetition_penalty", 1.0) != 1.0:
        rules.append(f"repetition penalty {decoding['repetition_penalty']:g}")
    if decoding.get("no_repeat_ngram"):
        rules.append(f"no {decoding['no_repeat_ngram']} tokens in a row twice")
    words += f" ({', '.join(rules)})" if rules else ""
    return f"{words}, {counted(int(decoding.get('new_tokens', 0)), 'token')} at most"


def answer_sentences(summary: pd.DataFrame, settings: AnswerSettings) -> list[str]:
    """A line on how, then one for each language and state."""
    if summary.empty:
        return ["No answers."]
    codes = [str(code) for code in dict.fromkeys(summary["language"])]
    named = [language(code).name for code in codes if code]
    more = [f"{counted(len(named) - _MOST_NAMED, 'language')} more"] if len(named) > _MOST_NAMED else []
    states = list(dict.fromkeys(summary["state"]))
    prompts = int(summary[summary["state"] == states[0]]["prompts"].sum())
    asked = f", to be answered in {listed([*named[:_MOST_NAMED], *more])}" if named else ""
    lines = [
        f"{counted(prompts, 'prompt')}{asked}; {counted(int(summary['answers'].sum()), 'answer')}, written "
        f"{how_words(settings.decoding)}."
    ]
    for row in summary[summary["language"].isin(codes[:_MOST_NAMED])].to_dict("records"):
        state = f"{row['state']}, " if len(states) > 1 else ""
        name = language(row["language"]).name if row["language"] else "no target language"
        lines.append(f"{state}{name}: {_sentence(row)}.")
    return lines


def change_sentences(changes: pd.DataFrame) -> list[str]:
    """Where more or fewer prompts are answered in another language, and that nothing else is certain."""
    if changes.empty:
        return []
    certain = [
        f"{VERBS[row['change']]} in {language(row['language']).name} from {_share(row['before'])} to "
        f"{_share(row['after'])}"
        for row in changes[changes["change"] != ""].to_dict("records")
    ]
    if not certain:
        return ["No evidence of change in answers in another language (McNemar, Holm)."]
    return [f"Answers in another language: {listed(certain)} (McNemar, Holm)."]


def _sentence(row: dict[Any, Any]) -> str:
    said = []
    if row["in_language"] == row["in_language"]:
        said.append(f"{_share(row['in_language'])} in it, {_share(row['off_target'])} in another language")
        if row["undecided"]:
            said.append(f"{_share(row['undecided'])} undecided")
    if row["empty"]:
        said.append(f"{_share(row['empty'])} empty")
    said.append(f"{_share(row['length'])} ended by length")
    length = (counted(f"{row['tokens']:g}", "token"), counted(f"{row['characters']:g}", "character"))
    said.append(f"{listed(length)} in the median")
    return f"{counted(int(row['answers']), 'answer')}: {'; '.join(said)}"


def _share(value: float) -> str:
    return percent(round(value, 3))
