"""Translating and answering: what is asked, what stays, what is dropped and counted, and that no call is made twice."""

import json
import os

import pytest

from latentlang.errors import InputError
from latentlang.instructions import Turn, read_dialogues, write_dialogues
from latentlang.instructions.answering import answer
from latentlang.instructions.built import DIALOGUES, REASONS, Built, check_any
from latentlang.instructions.culture import culture_filter
from latentlang.instructions.dialogues import Dialogue, single
from latentlang.instructions.documents import SourceDocument
from latentlang.instructions.grounded import grounded_dialogues
from latentlang.instructions.prompt_sets import filled, prompt_set, prompt_set_names
from latentlang.instructions.providers import (
    AnswerTable,
    Asker,
    OpenAIServer,
    Planner,
    Prices,
    ProviderError,
    Reply,
)
from latentlang.instructions.providers.planning import ESTIMATE, estimated_tokens
from latentlang.instructions.translation import round_trip, translate
from tests.support.chat_server import chat_server, completion, echo, failure, until
from tests.support.children import INTERRUPTED, Child

ITEM = single("a1", "en", "Name a colour.", "Red.", input="Of a rose.", origin="alpaca")
TALK = Dialogue(
    "t", "en",
    (Turn("system", "Be kind."), Turn("user", "Hi."), Turn("assistant", "Hello."), Turn("user", "Bye."),
     Turn("assistant", "So long.")),
)  # fmt: skip


class Scripted:
    """Answers by a function of the last message, and remembers what it was asked."""

    retried = False

    def __init__(self, answer):
        self.asked, self._answer = [], answer

    name, settings = "scripted", {}

    def ask(self, messages):
        self.asked.append([dict(message) for message in messages])
        said = self._answer(messages[-1]["content"])
        if isinstance(said, ProviderError):
            raise said
        return said if isinstance(said, Reply) else Reply(said)


def bracketed(prompt):
    """As a translator would: what stands behind the blank line, in brackets."""
    return f"[{prompt.partition(chr(10) * 2)[2]}]"


# Prompts


def test_every_set_of_prompts_says_who_wrote_it_and_names_only_what_there_is():
    for name in prompt_set_names():
        found = prompt_set(name)
        assert found.origin
        names = {"text": "T", "source": "S", "target": "G", "source_code": "s", "target_code": "g"}
        for template in filter(None, (found.translate, found.translate_dialogue)):
            assert "T" in filled(template, **names)
        if found.translate_dialogue and name != "table":
            assert "<part1>" in found.translate_dialogue and "</part1>" in found.translate_dialogue
        if grounded := found.grounded:
            assert "T" in filled(grounded.document, text="T") and "D" in filled(
                grounded.dialogue, dialogue="D"
            )
            assert "P" in filled(grounded.first, principles="P") and "P" in filled(
                grounded.next, principles="P"
            )
            assert "Q" in filled(grounded.answer, principles="P", question="Q")
            assert all((grounded.first_question, grounded.in_depth, grounded.expansive, grounded.answers))
    assert {"en", "zh", "ru", "fr", "es"} <= {
        name for name in prompt_set_names() if prompt_set(name).grounded is not None
    }


def test_the_published_prompt_is_as_printed():
    asked = filled(prompt_set("chen2024").translate, text="{x}", source="English", target="Russian")
    assert asked == (
        "Please translate from English to Russian. Do your best to preserve the formatting. The following content "
        "should and should only be translated.\n\n{x}"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("language: en\norigin: me\ntranslate: hello", r"translate has no \{text\}"),
        ("language: en\ntranslate: '{text}'", "origin is missing"),
        ("language: nolang\norigin: me\ntranslate: '{text}'", "unknown language 'nolang'"),
        ("language: en\norigin: me\nanswer: x", "a field answer that this version does not know"),
    ],
)
def test_prompts_of_ones_own_that_cannot_be_used(tmp_path, text, said):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(InputError, match=said):
        prompt_set(tmp_path / "mine.yaml")


def test_unknown_prompts_and_names_in_them():
    with pytest.raises(InputError, match=r"unknown set of prompts 'chen'; did you mean 'en' or 'chen2024'"):
        prompt_set("chen")
    with pytest.raises(InputError, match=r"a prompt names \{who\}, and there is \{text\}"):
        filled("{who} {text}", text="x")


# Translating


def test_each_part_by_itself_with_id_and_group():
    provider = Scripted(bracketed)
    built = translate([ITEM], "ja,de", asking=provider, progress=False)
    assert [dialogue.language for dialogue in built.dialogues] == ["ja", "de"]
    german = built.dialogues[1]
    assert (german.instruction, german.input, german.output) == ("[Name a colour.]", "[Of a rose.]", "[Red.]")
    assert (german.id, german.group, german.answer_language, german.origin) == (
        "a1",
        "a1",
        "de",
        "translated by scripted",
    )
    assert len(provider.asked) == 6 and built.usage.calls == 6
    assert provider.asked[3][0]["content"].startswith("Translate the text below from English to German.")


def test_parts_that_are_not_asked_for_stay():
    built = translate([ITEM], "de", asking=Scripted(bracketed), parts="instruction,input", progress=False)
    (german,) = built.dialogues
    assert (german.instruction, german.output, german.language, german.answer_language) == (
        "[Name a colour.]", "Red.", "de", "en",
    )  # fmt: skip


def test_message_by_message_the_input_is_part_of_the_first():
    provider = Scripted(bracketed)
    (german,) = translate([ITEM], "de", asking=provider, unit="message", progress=False).dialogues
    assert (german.instruction, german.input, german.output) == ("[Name a colour.\nOf a rose.]", "", "[Red.]")
    assert len(provider.asked) == 2


def test_a_whole_dialogue_is_one_call_and_lost_parts_are_dropped():
    def whole(prompt):
        text = prompt.partition("\n\n")[2]
        return text.replace(">Hi.<", ">Salut.<") if "Hi." in text else text.replace("</part2>", "")

    provider = Scripted(whole)
    built = translate([TALK, ITEM], "fr", asking=provider, unit="dialogue", progress=False)
    (french,) = built.dialogues
    assert [turn.text for turn in french.turns] == ["Be kind.", "Salut.", "Hello.", "Bye.", "So long."]
    assert len(provider.asked) == 2 and [drop.reason for drop in built.dropped] == ["lost-parts"]


def test_what_was_dropped_is_counted_by_language_with_examples(tmp_path):
    def some(prompt):
        text = prompt.partition("\n\n")[2]
        if "2" in text:
            return ProviderError("the server refused this", code="refused")
        return Reply("Half of", cut=True) if "3" in text else f"[{text}]"

    items = [single(str(n), "en", f"Say {n}.", "Yes.") for n in range(5)] + [single("g", "de", "Sag.", "Ja.")]
    built = translate(items, ["de", "fr"], asking=Scripted(some), progress=False)
    rows = built.table.to_dict("records")
    assert [(row["language"], row["outcome"], row["count"]) for row in rows] == [
        ("de", "made", 3), ("de", "refused", 1), ("de", "cut", 1), ("de", "same-language", 1),
        ("fr", "made", 4), ("fr", "refused", 1), ("fr", "cut", 1),
    ]  # fmt: skip
    assert {(drop.id, drop.reason, drop.text) for drop in built.examples(1) if drop.language == "fr"} == {
        ("2", "refused", "the server refused this"), ("3", "cut", "Half of"),
    }  # fmt: skip
    words = built.describe()
    assert "7 dialogues made (de 3 and fr 4)" in words and "5 items dropped" in words
    assert "2: the reply was ended by the limit of its length (cut), such as '3' (de)" in words
    built.save(tmp_path / "out")
    assert read_dialogues(tmp_path / "out") == list(built.dialogues)
    dropped = [json.loads(line) for line in (tmp_path / "out/report/dropped.jsonl").read_text().splitlines()]
    assert len(dropped) == 5 and {record["reason"] for record in dropped} <= set(REASONS)
    assert json.loads((tmp_path / "out/report/build.json").read_text())["usage"]["calls"] == built.usage.calls
    built.save(tmp_path / "out")  # an older outcome is replaced


def test_dialogues_that_no_step_made_are_not_overwritten(tmp_path):
    write_dialogues(tmp_path / DIALOGUES, [ITEM])
    with pytest.raises(InputError, match=r"'dialogues\.jsonl', which was not made by this command"):
        Built("x", (ITEM,)).save(tmp_path)


def test_nothing_made_is_an_error_that_names_the_reason():
    with pytest.raises(
        InputError, match=r"the only item was dropped: the table has no answer \(not-in-table\), such as 'a1'"
    ):
        translate([ITEM], "de", asking=AnswerTable({"x": "y"}), progress=False)
    with pytest.raises(InputError, match="it is in this language already"):
        translate([ITEM], "en", asking=AnswerTable({"x": "y"}), progress=False)
    with pytest.raises(InputError, match="nothing to make"):
        check_any([], [])


def test_what_asks_nothing_is_dropped():
    empty = single("e", "en", " ", "Yes.")
    for built in (
        translate([ITEM, empty], "de", asking=Scripted(bracketed), progress=False),
        answer([ITEM, empty], asking=Scripted(bracketed), progress=False),
    ):
        assert [(drop.id, drop.reason) for drop in built.dropped] == [("e", "no-instruction")]


def test_a_table_is_asked_by_codes():
    pairs = {"en>ja: Name a colour.": "色を一つ。", "en>ja: Red.": "赤。", "en>ja: Of a rose.": "薔薇の。"}
    (made,) = translate([ITEM], "ja", asking=AnswerTable(pairs), progress=False).dialogues
    assert (made.instruction, made.input, made.output) == ("色を一つ。", "薔薇の。", "赤。")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"to": "xx"}, "unknown language 'xx'"),
        ({"unit": "word"}, "unknown unit of translation 'word'; known: dialogue, message, part"),
        ({"parts": "answer"}, "unknown part of a dialogue 'answer'"),
        ({"unit": "message", "parts": "input"}, "parts are chosen"),
        ({"prompts": "chen2024", "unit": "dialogue"}, "the prompts 'chen2024' have none for whole dialogues"),
    ],
)
def test_options_that_make_no_sense(options, said):
    with pytest.raises(InputError, match=said):
        translate([ITEM], **{"to": "de", "asking": Scripted(bracketed), **options})


# There and back


def test_a_round_trip_ends_in_each_dialogues_own_language():
    def there_or_back(prompt):
        text = prompt.partition("\n\n")[2]
        if "Lost" in text:
            return ProviderError("no", code="refused")
        return text[3:] if text.startswith("en:") else f"en:{text}"

    items = [single("a", "ru", "Да?", "Нет."), single("b", "zh", "Lost", "x"), single("c", "zh", "好?", "不。"),
             single("d", "en", "Yes?", "No.")]  # fmt: skip
    built = round_trip(items, through="en", asking=Scripted(there_or_back), progress=False)
    assert [(made.id, made.language, made.output) for made in built.dialogues] == [
        ("a", "ru", "Нет."),
        ("c", "zh", "不。"),
    ]
    assert [(made.id, made.language, made.output) for made in built.others["between"]] == [
        ("a", "en", "en:Нет."), ("c", "en", "en:不。"),
    ]  # fmt: skip
    assert [(drop.id, drop.language, drop.reason) for drop in built.dropped] == [
        ("b", "zh", "refused"), ("d", "en", "same-language"),
    ]  # fmt: skip
    assert built.dialogues[0].origin == "to en and back by scripted" and built.usage.calls == 9


# Answering


def test_answers_are_written_anew_each_after_the_new_ones_before_it():
    provider = Scripted(lambda asked: f"<{asked}>")
    (made,) = answer([TALK], asking=provider, system="not used", progress=False).dialogues
    assert [turn.text for turn in made.turns] == ["Be kind.", "Hi.", "<Hi.>", "Bye.", "<Bye.>"]
    assert [len(messages) for messages in provider.asked] == [2, 4]
    assert [message["content"] for message in provider.asked[1]] == ["Be kind.", "Hi.", "<Hi.>", "Bye."]


def test_an_instruction_is_asked_with_its_input_and_answered_in_its_language():
    provider = Scripted(lambda asked: "Rot.")
    asked = single("a1", "de", "Eine Farbe?", "Red.", input="Einer Rose.", answer_language="en")
    (made,) = answer([asked], asking=provider, system="Sei knapp.", progress=False).dialogues
    assert made.output == "Rot." and made.answer_language == "de" and made.input == "Einer Rose."
    assert [message["content"] for message in provider.asked[0]] == ["Sei knapp.", "Eine Farbe?\nEiner Rose."]


def test_cut_answers_are_dropped_unless_they_are_wanted():
    cut = Scripted(lambda asked: Reply("Once", cut=True))
    with pytest.raises(InputError, match="ended by the limit of its length"):
        answer([ITEM], asking=cut, progress=False)
    assert answer([ITEM], asking=cut, keep_cut=True, progress=False).dialogues[0].output == "Once"


# The plan


def test_a_plan_counts_calls_tokens_and_price_and_asks_nobody(tmp_path):
    provider = Scripted(bracketed)
    translate([ITEM], "de", asking=Asker(provider, cache=tmp_path / "replies"), progress=False)
    asked = len(provider.asked)
    planner = Planner(provider, cache=tmp_path / "replies")
    translate([ITEM, TALK], "de,fr", asking=planner, progress=False)
    plan = planner.plan(Prices(1.0, 10.0))
    assert len(provider.asked) == asked == 3
    texts = ["Name a colour.", "Of a rose.", "Red."], [turn.text for turn in TALK.turns]
    assert (plan.calls, plan.kept) == (3 + 2 * 5, 3)
    assert plan.answer_tokens == sum(map(estimated_tokens, texts[0])) + 2 * sum(
        map(estimated_tokens, texts[1])
    )
    assert plan.price == pytest.approx((plan.prompt_tokens + 10 * plan.answer_tokens) / 1e6)
    words = plan.describe()
    assert "13 calls of scripted would be made, and 3 replies are kept already" in words and ESTIMATE in words
    assert "At 1 for a million tokens asked and 10 for a million answered that is" in words
    assert not (tmp_path / "other").exists() and Planner(provider, cache=tmp_path / "other")
    with pytest.raises(InputError, match="a price for a million tokens must be 0 or more, not -1"):
        Prices(-1, 0)


def test_a_plan_of_a_round_trip_counts_both_ways():
    planner = Planner(Scripted(bracketed))
    round_trip([single("a", "ru", "Да?", "Нет.")], through="en", asking=planner, progress=False)
    assert planner.plan().calls == 4 and planner.plan().price is None


def test_what_is_planned_is_what_is_called():
    for step in (
        lambda asks: translate([ITEM, TALK, ITEM], "de,fr", asking=asks, progress=False),
        lambda asks: round_trip([ITEM, TALK], through="de", asking=asks, progress=False),
        lambda asks: answer([ITEM, TALK], asking=asks, progress=False),
    ):
        planner, asker = Planner(Scripted(bracketed)), Asker(Scripted(bracketed))
        step(planner)
        step(asker)
        assert planner.plan().calls == asker.usage.calls


# Stopped and gone on with

ITEMS = [single(str(n), "en", f"Say {n}.", f"{n}.") for n in range(12)]


def _translate(url, cache, at_once):
    asker = Asker(OpenAIServer("small", url=url, timeout=30.0), cache=cache, at_once=at_once)
    return translate(ITEMS, "de", asking=asker, progress=False)


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize("how", ["kill", "interrupt"])
def test_a_stopped_run_repeats_no_call(tmp_path, monkeypatch, how, at_once):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    hold = 7  # the server answers so many, and then waits until the run is stopped

    def held(number, body):
        if number >= hold and not released:
            server.stop.wait(60)
        return echo(number, body)

    released = []
    with chat_server(held) as server:
        url = server.url
        with Child(lambda inside: _translate(url, tmp_path, at_once)) as child:
            until(lambda: len(server.asked) == hold + at_once and len(list(tmp_path.rglob("*.json"))) == hold)
            if how == "kill":
                child.send(9)
                assert child.end()[0] == -9
            else:
                child.send(2)
                assert child.end() == (INTERRUPTED, "")
        assert len(list(tmp_path.rglob("*.json"))) == hold
        released.append(True)
        before = len(server.asked)
        built = _translate(url, tmp_path, at_once)
        assert len(built.dialogues) == len(ITEMS) and len(server.asked) - before == 2 * len(ITEMS) - hold
        assert built.usage.kept == hold
        answered = {body["messages"][-1]["content"] for body in server.asked[before:]}
        assert not answered & {body["messages"][-1]["content"] for body in server.asked[:hold]}


def test_an_error_that_ends_a_run_keeps_what_came(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with chat_server(lambda number, body: echo(number, body) if number < 5 else failure(401)) as server:
        with pytest.raises(ProviderError, match="does not take the key"):
            _translate(server.url, tmp_path, 1)
        assert len(list(tmp_path.rglob("*.json"))) == 5
        server.answer = lambda number, body: completion("x")
        _translate(server.url, tmp_path, 1)
        assert len(server.asked) == 6 + 19
    assert os.environ["OPENAI_API_KEY"] == "k"


def _grounded(asker):
    documents = [SourceDocument(str(n), "en", f"Town {n} lies by the sea. " * 9) for n in range(4)]
    return grounded_dialogues(
        documents,
        asking=asker,
        check_language=False,
        document_tokens=(1, 999),
        segment_tokens=(1, 999),
        progress=False,
    )


STEPS = {
    "answer": lambda asker: answer([*ITEMS, TALK], asking=asker, progress=False),
    "round trip": lambda asker: round_trip(ITEMS, through="de", asking=asker, progress=False),
    "messages": lambda asker: translate([ITEM, TALK], "de,fr", asking=asker, unit="message", progress=False),
    "grounded": _grounded,
    "culture": lambda asker: culture_filter(ITEMS, asking=asker, progress=False),
}  # fmt: skip


@pytest.mark.parametrize("name", STEPS)
def test_every_step_repeats_no_call_after_a_kill(tmp_path, monkeypatch, name):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    hold, released = 5, []

    def held(number, body):
        if number == hold and not released:
            server.stop.wait(60)
        return echo(number, body)

    def run(url, cache):
        return STEPS[name](Asker(OpenAIServer("small", url=url, timeout=30.0), cache=cache, at_once=1))

    with chat_server() as server:
        whole = run(server.url, tmp_path / "whole")
        calls = len(server.asked)
    assert calls > hold + 2
    with chat_server(held) as server:
        url = server.url
        with Child(lambda inside: run(url, tmp_path / "killed")) as child:
            until(lambda: len(server.asked) == hold + 1)
            child.send(9)
            assert child.end()[0] == -9
        released.append(True)
        again = run(url, tmp_path / "killed")
        assert again.dialogues == whole.dialogues and again.dropped == whole.dropped
        assert len(server.asked) == calls + 1  # the one that was under way when it was killed
