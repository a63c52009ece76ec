"""The culture filter: kept, dropped, and what is undecided, which is never kept silently."""

import pytest

from latentlang.errors import InputError
from latentlang.instructions import read_dialogues
from latentlang.instructions.culture import criteria, culture_filter, published_criteria, read_scores
from latentlang.instructions.dialogues import single
from latentlang.instructions.providers import ProviderError, Reply

NAMES = published_criteria()


def scores(**met):
    return "\n".join(f"{name}: {met.get(name, 0)} - because" for name in NAMES)


class Judge:
    name, settings, retried = "judge", {}, False

    def __init__(self, replies):
        self._replies, self.asked = replies, []

    def ask(self, messages):
        self.asked.append(messages[-1]["content"])
        reply = next(text for item, text in self._replies.items() if item in messages[-1]["content"])
        if isinstance(reply, ProviderError):
            raise reply
        return Reply(reply)


def item(name):
    return single(name, "en", f"Ask {name}.", "Yes.")


def test_the_papers_six_criteria_and_the_seventh():
    assert len(NAMES) == 6 and set(criteria()) - set(NAMES) == {"code"}


def test_three_states_and_a_table_of_reasons(tmp_path):
    replies = {
        "Ask sums.": scores(),
        "Ask Paris.": scores(place=1).replace("place: 1 - because", "**place**: 1 — it names Paris"),
        "Ask half.": scores().replace("things: 0 - because", ""),
        "Ask odd.": scores(person=0.5),
        "Ask nothing.": "I cannot judge this.",
        "Ask refused.": ProviderError("the server refused this", code="refused"),
        "Ask both.": scores(place=1).replace("things: 0 - because", ""),
    }
    judge = Judge(replies)
    built = culture_filter([item(key[4:-1]) for key in replies], asking=judge, progress=False)
    assert [one.id for one in built.dialogues] == ["sums"]
    assert [(drop.id, drop.reason) for drop in built.dropped] == [
        ("Paris", "culture-bound"), ("half", "undecided"), ("odd", "undecided"), ("nothing", "undecided"),
        ("refused", "undecided"), ("both", "culture-bound"),
    ]  # fmt: skip
    assert [one.id for one in built.others["undecided"]] == ["half", "odd", "nothing", "refused"]
    assert (
        built.dropped[0].text == "place: it names Paris"
        and built.dropped[2].text == "person: scores 0.5: because"
    )
    table = built.criteria_table
    assert len(table) == len(replies) * 6 and set(table.columns) == {
        "id",
        "language",
        "criterion",
        "score",
        "reason",
    }
    assert table[table.id == "Paris"].set_index("criterion").score["place"] == 1
    assert (
        table[table.id == "half"].score.isna().sum() == 1 and table[table.id == "refused"].score.isna().all()
    )
    assert all(text in judge.asked[0] for text in (*NAMES, criteria()["place"], "Ask sums.\n\nYes."))
    built.save(tmp_path / "o")
    assert [one.id for one in read_dialogues(tmp_path / "o" / "undecided")] == [
        "half",
        "odd",
        "nothing",
        "refused",
    ]
    assert (
        (tmp_path / "o/report/criteria.csv")
        .read_text()
        .startswith("id,language,criterion,score,reason\nsums,en,person,0,")
    )


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("place: 1 - Paris", 1), ("- Place: 0", 0), ("**place**: 1", 1), ("place：1", 1), ("1. place: 0 - none", 0),
        ("place: 1\nplace: 1 - again", 1), ("place: 0\nplace: 1", None), ("place: 2", None), ("place: 10", None),
        ("place: 1.5", None), ("place: yes", None), ("places: 1", None), ("", None), ("the place: 1 or 0?", None),
    ],
)  # fmt: skip
def test_scores_are_read_and_never_guessed(reply, score):
    (found,) = read_scores(reply, ["place"], item("x"))
    assert found.score == score


def test_criteria_are_chosen_by_name():
    judge = Judge({"Ask": "code: 0 - none"})
    assert len(culture_filter([item("a")], asking=judge, by="code", progress=False).dialogues) == 1
    assert "person" not in judge.asked[0]
    with pytest.raises(InputError, match="unknown criterion 'food'"):
        culture_filter([item("a")], asking=judge, by="food", progress=False)
    with pytest.raises(InputError, match="no dialogues to judge"):
        culture_filter([], asking=judge)
    with pytest.raises(ProviderError, match="bad key"):
        culture_filter(
            [item("a")], asking=Judge({"Ask": ProviderError("bad key", code="key")}), progress=False
        )
