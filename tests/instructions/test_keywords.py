"""Instructions found by keywords: left as they were, as in Bactrian-X, or dropped; counted and recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from latentlang.errors import InputError
from latentlang.instructions import filter_dialogues
from latentlang.instructions.dialogues import Dialogue, Turn, single
from latentlang.instructions.keyword_search import keyword_lists, keywords
from latentlang.instructions.providers import Reply
from latentlang.instructions.translation import translate


class Bracketing:
    """Puts what it is to translate in brackets."""

    retried = False
    name = "bracketing"
    settings: ClassVar[dict[str, str]] = {}

    def ask(self, messages: Sequence[Mapping[str, str]]) -> Reply:
        """The text behind the blank line, in brackets."""
        return Reply(f"[{messages[-1]['content'].partition(chr(10) * 2)[2]}]")


def asked(text: str, about: str = "") -> Dialogue:
    return single("1", "en", text, "An answer with python in it.", input=about)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Write a Python function.", "python"),
        ("What does C++ offer?", "c++"),
        ("Explain (in SQL) what a join is", "sql"),
        ("Which regular\nexpression fits?", "regular\nexpression"),
        ("Tell me about the Javanese.", None),
        ("Is a pythoness a seer?", None),
        ("What is HTMLish?", None),
        ("Name a colour.", None),
    ],
)
def test_words_are_found_whole_and_in_any_case(text: str, word: str | None) -> None:
    assert keywords("programming").found_in(asked(text)) == word
    assert keywords("programming").found_in(asked("What is this?", text)) == word


def test_all_questions_are_looked_at_and_no_answer() -> None:
    turns = [
        Turn("user", "Hello"),
        Turn("assistant", "Python!"),
        Turn("user", "and"),
        Turn("assistant", "SQL"),
    ]
    assert keywords("programming").found_in(Dialogue("1", "en", tuple(turns))) is None
    turns[2] = Turn("user", "And in JSON?")
    assert keywords("programming").found_in(Dialogue("1", "en", tuple(turns))) == "json"


def test_a_list_is_named_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("# mine\n\npoem\npoem\na b\n", encoding="utf-8")
    mine = keywords(path)
    assert (mine.name, mine.words) == (str(path), ("poem", "a b")) and keywords(mine) is mine
    assert "programming" in keyword_lists() and keywords("programming").words
    path.write_text("poem\n", encoding="utf-8-sig")
    assert keywords(path).words == ("poem",)
    path.write_text("# nothing\n")
    for given, message in (
        (path, "has no keyword"), ("none.txt", "there is no file"), ("programing", "did you mean 'programming'"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            keywords(given)


def test_what_is_left_stands_in_every_language_and_is_counted(tmp_path: Path) -> None:
    code = single("code", "en", "Write a program in Java.", "class A {}")
    verse = single("verse", "en", "Name a colour.", "Red.")
    built = translate([code, verse], ["de", "ja"], asking=Bracketing(), leave="programming", progress=False)
    by_key = {(one.id, one.language): one for one in built.dialogues}
    assert by_key.keys() == {("code", "de"), ("code", "ja"), ("verse", "de"), ("verse", "ja")}
    assert by_key["code", "ja"].instruction == code.instruction and by_key["code", "ja"].output == code.output
    assert (
        by_key["code", "de"].origin == "left as it was (programming)" and by_key["code", "de"].group == "code"
    )
    assert by_key["verse", "de"].instruction == "[Name a colour.]"
    assert built.settings["left"] == {"de": 1, "ja": 1} and "java" in built.settings["keywords"]
    assert "Left as they were, by the keywords programming: de 1 and ja 1." in built.describe()
    record = json.loads((built.save(tmp_path / "out") / "report" / "build.json").read_text())
    assert record["step"] == "translate" and record["settings"]["leave"] == "programming"
    again = translate([verse], ["de"], asking=Bracketing(), leave="programming", progress=False)
    assert again.settings["left"] == {} and "Left as" not in again.describe()


def test_a_filter_drops_and_counts_them() -> None:
    dialogues = [
        single(str(n), "en", text, "Yes.") for n, text in enumerate(("In Java?", "A poem?", "And SQL?"))
    ]
    filtered = filter_dialogues(dialogues, checks=[], without="programming")
    assert [one.id for one in filtered.kept] == ["1"]
    counts = filtered.counts().set_index("reason")["dialogues"]
    assert counts.to_dict() == {"kept": 1, "keyword": 2}
    assert [one.reasons[0].detail for one in filtered.dropped] == ["java", "sql"]
    assert len(filter_dialogues(dialogues, checks=[]).kept) == 3
