"""The explorer's steering: token by token what `steer_prompt` writes, with languages and switches, and it stops."""

from __future__ import annotations

from typing import Any

import pytest

import latentlang as ll
from latentlang.causal.prompt_steering import ARMS
from latentlang.causal.trace_switch import find_switch, latest_language
from latentlang.interactive.messages import PageReply
from latentlang.interactive.session import Session
from latentlang.interactive.session_start import make_session
from latentlang.interactive.token_owners import NO_CONCEPT, token_owners
from latentlang.interactive.views import steer as _steer  # noqa: F401 - it makes the view known
from latentlang.tasks import Concept, WordTask
from latentlang.tasks.words import embedded_concepts
from tests.support.page_requests import ask

PROMPT = 'Français: "vélo" - Deutsch: "Fahrrad"\nFrançais: "fleur" - Deutsch: "'


def small_session() -> Session:
    """Of few languages, so that the table of their tokens is made soon."""
    concepts = [
        Concept(concept.id, concept.category, {code: concept.words[code] for code in ("de", "fr", "ja")})
        for concept in embedded_concepts()
    ]
    return make_session(ll.load("pocket"), None, task=WordTask(source="fr", concepts=concepts))


@pytest.fixture(scope="module")
def session() -> Session:
    return small_session()


@pytest.fixture(scope="module")
def replies(session: Session) -> list[PageReply]:
    return ask(session, "steer", prompt=PROMPT, language="ja", strength=0.5, tokens=5)


def parts(replies: list[PageReply]) -> list[dict[str, Any]]:
    return [reply.data for reply in replies if reply.data is not None]


def test_it_writes_what_steer_prompt_does_and_its_code_gives_it_again(replies: list[PageReply]) -> None:
    first, *rest = parts(replies)
    assert (first["wanted"], first["asked"], first["layers"]) == ("ja", "de", [6])
    assert replies[-1].event == "done" and replies[-1].code is not None
    space: dict[str, Any] = {}
    exec(replies[-1].code, space)
    for arm in ARMS:
        told = [part for part in rest if part["arm"] == arm and "again" not in part]
        ids = [token["id"] for part in told for token in part["tokens"]]
        assert tuple(ids) == getattr(space["steered"], arm), arm
        assert all(len(part["tokens"]) <= 1 for part in told)
        assert [part["done"] for part in told] == [*[False] * len(ids), True]
    assert space["steered"].texts["after"].startswith("花")


def test_all_arms_grow_side_by_side_after_the_direction_is_read(replies: list[PageReply]) -> None:
    begun = next(number for number, reply in enumerate(replies) if reply.data is not None)
    assert {reply.event for reply in replies[:begun]} == {"progress"}
    arms = [part["arm"] for part in parts(replies)[1:10]]
    assert arms == [*ARMS] * 3


def test_a_language_is_read_once_a_session(session: Session, replies: list[PageReply]) -> None:
    again = ask(session, "steer", prompt="Das ist", language="ja", asked="de", strength=0.1, tokens=1)
    assert "progress" not in {reply.event for reply in again}


def test_when_all_is_written_the_languages_of_tokens_are_told_once_more(
    session: Session, replies: list[PageReply]
) -> None:
    again = [part for part in parts(replies) if part.get("again")]
    assert [part["arm"] for part in again] == list(ARMS)
    owners = token_owners(session)
    for part in again:
        told = [token["language"] for token in part["tokens"]]
        grown = [
            t["id"]
            for p in parts(replies)[1:]
            if p["arm"] == part["arm"] and "again" not in p
            for t in p["tokens"]
        ]
        assert [token["id"] for token in part["tokens"]] == grown
        before = latest_language(
            [owners.of(token, NO_CONCEPT) for token in session.model.encode([PROMPT])[0]]
        )
        switch = find_switch(told, before or "de")
        assert part["switch"] == (switch and switch.step) and part["to"] == (switch and switch.language)
        assert part["from"] == before
    assert {token["language"] for part in again for token in part["tokens"]} & {"ja", "de", "fr"}


@pytest.mark.parametrize("after", [1, 6])
def test_it_stops_while_it_reads_and_at_each_token(after: int) -> None:
    own = small_session()
    stopped = ask(own, "steer", after=after, prompt=PROMPT, language="ja", tokens=30)
    assert stopped[-1].event == "cancelled" and len(stopped) <= after + 3
    assert not own.model.edits


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"language": "xx"}, "xx"),
        ({"layers": [0]}, "0"),
        ({"layers": [77]}, "77"),
        ({"prompt": ""}, "empty"),
        ({"tokens": 0}, "tokens"),
        ({"tokens": 5000}, "tokens"),
        ({"strength": 99.0}, "strength"),
        ({"adapter": "other"}, "adapter"),
        ({"asked": "ja"}, "ja"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(session: Session, change: dict[str, Any], said: str) -> None:
    last = ask(session, "steer", **{"prompt": PROMPT, "language": "ja", "tokens": 2, **change})[-1]
    assert last.event == "error" and last.text is not None
    assert said in last.text and "\n" not in last.text


def test_where_no_token_of_the_prompt_is_of_a_language_a_switch_is_one_from_the_language_asked_for(
    session: Session,
) -> None:
    told = parts(ask(session, "steer", prompt="1 2 3", language="ja", asked="de", strength=0.5, tokens=16))
    last = [part for part in told if part.get("arm") == "after"][-1]
    assert told[0]["from"] is None and last["to"] == "ja"
    owners = token_owners(session)
    written = [
        token
        for part in told
        if part.get("arm") == "after" and "again" not in part
        for token in part["tokens"]
    ]
    assert last["switch"] == next(
        at for at, token in enumerate(written) if owners.of(token["id"], NO_CONCEPT) == "ja"
    )
