"""The explorer's patch: what a page is told is `patch_cell`'s, its code gives the same, and a sweep can be stopped."""

from __future__ import annotations

from typing import Any

import pytest

import latentlang as ll
from latentlang.interactive.session import Session
from latentlang.interactive.session_start import make_session
from latentlang.interactive.views import patch as _patch  # noqa: F401 - it makes the view known
from latentlang.interactive.views.patch import starting_prompts, words_wanted
from latentlang.tasks import Concept, WordTask
from tests.support.page_requests import ask


@pytest.fixture(scope="module")
def session() -> Session:
    return make_session(ll.load("pocket"), None, task=ll.task("translation", source="fr"))


def cells(session: Session, layer: int = 6, **more: Any) -> dict[str, Any]:
    source, target = starting_prompts(session)
    ends = [len(ids) - 1 for ids in session.model.encode([source, target])]
    return {
        "source": {"prompt": source, "layer": layer, "position": ends[0]},
        "target": {"prompt": target, "layer": layer, "position": ends[1]},
        **more,
    }


def test_it_begins_with_two_concepts_in_two_languages(session: Session) -> None:
    (part, done) = ask(session, "patch-start")
    assert part.data is not None and done.event == "done"
    source, target = part.data["source"], part.data["target"]
    assert (session.guess(source), session.guess(target)) == ("object/book", "nature/flower")
    assert (session.named(source)[-1], session.named(target)[-1]) == ("ru", "de")
    assert part.data["layer"] == 6


def test_a_page_is_told_what_patch_cell_gives_and_its_code_gives_it_again(session: Session) -> None:
    part, done = ask(session, "patch", **cells(session))
    assert part.data is not None and done.event == "done" and done.code is not None
    told = {word["name"]: word for word in part.data["words"]}
    assert [(word["of"], word["asked"], word["language"], word["word"]) for word in part.data["words"]] == [
        ("target", "target", "de", "Blume"), ("target", "source", "ru", "цветок"),
        ("source", "target", "de", "Buch"), ("source", "source", "ru", "книга"),
    ]  # fmt: skip
    space: dict[str, Any] = {}
    exec(done.code, space)
    for row in space["patch"].words.to_dict("records"):
        for column in ("before", "after", "random"):
            assert told[row["name"]][column] == pytest.approx(row[column], abs=1e-6)
    for name in ("before", "after"):
        table = getattr(space["patch"], name)
        assert [token["id"] for token, _p in part.data[name]] == table["id"].tolist()
        assert [p for _token, p in part.data[name]] == pytest.approx(table["probability"].tolist(), abs=1e-6)
    assert told["book in de"]["after"] > 0.3 > 0.01 > told["book in de"]["random"]
    assert told["book in de"]["low"] <= told["book in de"]["random"] <= told["book in de"]["high"]
    assert part.data["after"][0][0]["language"] == "de"


def test_a_sweep_tells_layer_after_layer_and_is_the_same_as_each_alone(session: Session) -> None:
    replies = ask(session, "patch", **cells(session), layers=[])
    parts = [reply.data for reply in replies if reply.data is not None]
    assert [part["layer"] for part in parts] == list(range(1, 9))
    assert [(reply.done, reply.total) for reply in replies if reply.event == "progress"] == [
        (done, 8) for done in range(8)
    ]
    alone = ask(session, "patch", **cells(session, layer=3))[0].data
    assert alone is not None and parts[2]["words"] == alone["words"]
    assert replies[-1].code is not None
    space: dict[str, Any] = {}
    exec(replies[-1].code, space)
    after = space["patches"][3].words.set_index("name")["after"]
    assert after["book in de"] == pytest.approx(
        next(word["after"] for word in parts[2]["words"] if word["name"] == "book in de"), abs=1e-6
    )


def test_a_sweep_stops_between_layers(session: Session) -> None:
    replies = ask(session, "patch", after=4, **cells(session), layers=[])
    assert replies[-1].event == "cancelled" and len([reply for reply in replies if reply.data]) == 2


def test_a_prompt_without_a_word_of_the_task_is_patched_and_it_is_said(session: Session) -> None:
    given = cells(session)
    given["source"] = {"prompt": "It is raining", "layer": 6, "position": 1}
    part, done = ask(session, "patch", **given)
    assert part.data is not None and done.event == "done"
    assert "source prompt" in part.data["why"] and "target" not in part.data["why"]
    assert [word["language"] for word in part.data["words"]] == ["de"]


def test_words_that_no_token_tells_apart_have_no_numbers_and_it_is_said(session: Session) -> None:
    # one word in two languages of one spelling
    given = cells(session)
    target = given["target"]["prompt"].replace("fleur", "chien")
    given["target"] = {"prompt": target.replace("Deutsch", "Svenska"), "layer": 6, "position": -1}
    given["source"] = {"prompt": target.replace("Deutsch", "Norsk"), "layer": 6, "position": -1}
    part = ask(session, "patch", **given)[0].data
    assert part is not None
    assert [(word["language"], word["word"]) for word in part["words"]] == [("sv", "hund"), ("no", "hund")]
    for word in part["words"]:
        assert [word[name] for name in ("before", "after", "random", "low", "high")] == [None] * 5
        assert "no token" in word["why"]


def test_a_concept_that_both_prompts_have_is_told_once(session: Session) -> None:
    _source, target = starting_prompts(session)
    wanted, why = words_wanted(session, target, target)
    assert list(wanted) == ["flower in de"] and why == ""


def test_a_task_of_ones_own_begins_with_its_prompts() -> None:
    concepts = [
        Concept(f"c{n}", "things", {"de": f"d{n}x", "fr": f"f{n}y", "es": f"e{n}z"}) for n in range(8)
    ]
    own = make_session(ll.load("pocket"), None, task=WordTask(source="de", concepts=concepts))
    source, target = starting_prompts(own)
    assert own.guess(source) != own.guess(target) and own.named(source)[-1] != own.named(target)[-1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"adapter": "other"}, "adapter"),
        ({"source": {"prompt": " ", "layer": 1, "position": 0}}, "the source prompt is empty"),
        ({"source": {"prompt": "a", "layer": 1, "position": 77}}, "77"),
        ({"source": {"prompt": "a", "layer": 99, "position": 0}}, "99"),
        ({"source": {"prompt": "a", "layer": -1, "position": 0}}, "source.layer"),
        ({"layers": [0, 99]}, "99"),
        ({"more": 1}, "more"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(session: Session, change: dict[str, Any], said: str) -> None:
    last = ask(session, "patch", **{**cells(session), **change})[-1]
    assert last.event == "error" and last.text is not None
    assert said in last.text and "\n" not in last.text
