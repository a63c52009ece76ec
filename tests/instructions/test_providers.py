"""Providers: every way in which a server fails is one clear line, replies are kept, and the key is nowhere."""

import builtins
import json
import logging
import socket
import threading

import pytest

from latentlang.errors import InputError
from latentlang.installing import install_command
from latentlang.instructions.providers import (
    AnswerTable,
    Asker,
    OpenAIServer,
    Planner,
    ProviderError,
    Recording,
    Reply,
    provider,
    register_provider,
)
from latentlang.instructions.providers.base import asked_again, messages_key, request_key
from latentlang.instructions.providers.registry import ProviderKind, known_providers
from tests.support.chat_server import KEY, Answer, chat_server, completion, echo, failure, in_turn

ASKED = [{"role": "user", "content": "How?"}]
HALF = completion("Half a reply, of which the end never comes.").body


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def waits():
    """Seconds that were to be waited; nobody waits."""
    return []


def asker(server, waits, **options):
    timeout = options.pop("timeout", 20.0)
    found = provider(f"openai:small@{server.url}")
    assert isinstance(found, OpenAIServer)
    return Asker(OpenAIServer("small", url=server.url, timeout=timeout), wait=waits.append, **options)


def test_a_reply_with_its_tokens(waits):
    with chat_server() as server:
        found = asker(server, waits).ask(ASKED)
        assert found == Reply("[How?]", 7, 3) and server.keys == [f"Bearer {KEY}"]
        assert server.asked == [{"model": "small", "messages": ASKED, "temperature": 0.0}]
    assert not waits


# Every way to fail

ONCE = {
    "401": ([failure(401, f"Incorrect API key provided: {KEY}")], "key",
            r"does not take the key \(status 401, .*\[key\]\); set OPENAI_API_KEY"),
    "403": ([failure(403)], "key", "status 403"),
    "404": ([failure(404, "The model `small` does not exist")], "not-found",
            "status 404, The model `small` does not exist"),
    "400": ([failure(400, "too long")], "refused", "the server refused the request, .*.status 400, too long."),
}  # fmt: skip
FOR_EVER = {
    "429": ([failure(429, "slow down")], "limit", r"takes no more calls for now \(status 429, slow down\)"),
    "500": ([failure(500)], "server", "the server failed .status 500"),
    "503 of a proxy": ([Answer(b"<html>Bad gateway</html>", 503)], "server", "status 503"),
    "half a reply": ([Answer(HALF[:60], length=len(HALF))], "half-reply", "the reply broke off"),
    "no JSON": ([Answer(b"<html>hello</html>")], "unreadable", "is not JSON"),
    "half of JSON": ([Answer(HALF[:60])], "unreadable", "is not JSON"),
    "JSON of another shape": ([Answer(b'{"text": "hello"}')], "unreadable", "choices is missing"),
    "a list": ([Answer(b"[1, 2]")], "unreadable", "none that can be read"),
    "no choices": ([Answer(b'{"choices": []}')], "unreadable", "it has no choices"),
    "no text": ([completion(None, finish="content_filter")], "empty-reply", "ended by 'content_filter'"),
    "blanks": ([completion(" \n")], "empty-reply", "the reply is empty"),
    "no UTF-8": ([Answer(b'{"choices": [{"message": {"content": "\xff\xfe"}}]}')], "unreadable", "not UTF-8"),
}  # fmt: skip


@pytest.mark.parametrize("way", ONCE)
def test_what_does_not_pass_is_not_repeated(way, waits):
    answers, code, said = ONCE[way]
    with chat_server(in_turn(*answers)) as server:
        with pytest.raises(ProviderError, match=said) as error:
            asker(server, waits).ask(ASKED)
        assert error.value.code == code and len(server.asked) == 1 and not waits
        assert KEY not in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("way", FOR_EVER)
def test_what_may_pass_is_repeated_so_often_and_no_more(way, waits):
    answers, code, said = FOR_EVER[way]
    with chat_server(in_turn(*answers)) as server:
        with pytest.raises(ProviderError, match=said) as error:
            asker(server, waits, attempts=3).ask(ASKED)
        assert error.value.code == code and len(server.asked) == 3 and len(waits) == 2
        assert str(error.value).endswith("(tried 3 times)") and "\n" not in str(error.value)


@pytest.mark.parametrize("way", FOR_EVER)
def test_what_passes_has_a_reply(way, waits):
    with chat_server(in_turn(FOR_EVER[way][0][0], completion("Well."))) as server:
        found = asker(server, waits)
        assert found.ask(ASKED).text == "Well." and found.usage.repeated == 1 and found.usage.calls == 1


def test_a_server_that_says_nothing_is_waited_for_no_longer_than_asked(waits):
    with chat_server(in_turn(Answer(b"", hangs=True))) as server:
        with pytest.raises(ProviderError, match="no reply came in time") as error:
            asker(server, waits, attempts=2, timeout=0.05).ask(ASKED)
        assert error.value.code == "timeout" and len(waits) == 1


def test_a_server_that_is_not_there(waits):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(ProviderError, match=r"cannot be reached .*start the server") as error:
        Asker(OpenAIServer("small", url=url), wait=waits.append, attempts=2).ask(ASKED)
    assert error.value.code == "unreachable" and len(waits) == 1


def test_waits_grow_and_obey_the_server(waits):
    with chat_server(
        in_turn(failure(429), failure(500), failure(429, Retry_After="33"), completion("x"))
    ) as server:
        asker(server, waits).ask(ASKED)
    assert 1 <= waits[0] <= 2 and 2 <= waits[1] <= 3 and waits[2] == 33
    with chat_server(in_turn(failure(429, Retry_After="86400"))) as server:
        with pytest.raises(ProviderError, match="no more calls"):
            asker(server, waits).ask(ASKED)
        assert len(server.asked) == 1  # a day is not waited for


def test_a_reply_that_its_limit_cut_says_so(waits):
    with chat_server(in_turn(completion("Once upon a", finish="length", usage=False))) as server:
        found = asker(server, waits)
        assert found.ask(ASKED) == Reply("Once upon a", cut=True)
        assert found.usage.uncounted == 1


# The key


def test_the_key_is_in_no_file_message_log_or_setting(tmp_path, waits, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    told = json.dumps({"error": {"message": f"Bearer {KEY} is not valid"}}).encode()
    answers = in_turn(Answer(told, 500), completion(f"Your key is {KEY}."), Answer(told, 401))
    with chat_server(answers) as server:
        found = asker(server, waits, cache=tmp_path / "replies")
        assert found.ask(ASKED).text == "Your key is [key]."
        with pytest.raises(ProviderError) as error:
            found.ask([{"role": "user", "content": "Again?"}])
    causes, seen = [error.value], []
    while causes:
        seen.append(cause := causes.pop())
        causes += filter(None, (cause.__cause__, None if cause.__suppress_context__ else cause.__context__))
    texts = [repr(cause) for cause in seen] + [str(cause) for cause in seen]
    texts += [
        repr(found.provider),
        found.provider.name,
        json.dumps(dict(found.provider.settings)),
        caplog.text,
    ]
    texts += [path.read_text() for path in tmp_path.rglob("*") if path.is_file()] + list(capsys.readouterr())
    assert len(list(tmp_path.rglob("*.json"))) == 1
    assert not [text for text in texts if KEY in text]


def test_a_key_in_the_address_is_refused_unseen():
    for url in (f"http://me:{KEY}@localhost/v1", f"http://localhost/v1?key={KEY}"):
        with pytest.raises(InputError, match="holds a name, a password or a query") as error:
            OpenAIServer("small", url=url)
        assert KEY not in str(error.value)


def test_a_key_that_is_a_word_does_not_change_replies(monkeypatch, waits):
    monkeypatch.setenv("OPENAI_API_KEY", "EMPTY")
    with chat_server(in_turn(completion("The box is EMPTY."), failure(401, "EMPTY is no key"))) as server:
        found = asker(server, waits)
        assert found.ask(ASKED).text == "The box is EMPTY."
        with pytest.raises(ProviderError, match=r"\[key\] is no key"):
            found.ask([{"role": "user", "content": "Again?"}])


@pytest.mark.parametrize("key", ["sk-a b", "sk-a\nb", "schlüssel", "\x1b[31m"])
def test_a_key_that_cannot_be_sent_is_refused_unseen(monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(InputError, match="the key in OPENAI_API_KEY holds blanks or letters") as error:
        OpenAIServer("small", url="http://127.0.0.1:9/v1")
    assert key not in str(error.value)


def test_what_is_sent_is_what_was_asked_for(waits):
    with chat_server() as server:
        Asker(OpenAIServer("small", url=server.url, temperature=None, max_tokens=5, seed=3)).ask(ASKED)
        assert server.asked == [{"model": "small", "messages": ASKED, "max_tokens": 5, "seed": 3}]
    for options, said in (
        ({"temperature": float("nan")}, "temperature must be 0 or more, not nan"),
        ({"timeout": 0.0}, "timeout must be more than 0"), ({"max_tokens": 0}, "max_tokens must be at least 1"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=said):
            OpenAIServer("small", url="http://127.0.0.1:9/v1", **options)


def test_another_key_is_the_same_question(monkeypatch):
    one = request_key(OpenAIServer("small", url="http://localhost/v1"), ASKED)
    monkeypatch.setenv("OPENAI_API_KEY", "another")
    assert request_key(OpenAIServer("small", url="http://localhost/v1"), ASKED) == one
    others = [OpenAIServer("large", url="http://localhost/v1"), OpenAIServer("small", url="http://localhost:1/v1"),
              OpenAIServer("small", url="http://localhost/v1", temperature=1.0)]  # fmt: skip
    assert len({one, *(request_key(other, ASKED) for other in others)}) == 4


def test_the_hosted_server_needs_a_key_and_one_of_ones_own_does_not(monkeypatch, waits):
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(InputError, match="set the environment variable OPENAI_API_KEY"):
        provider("openai:gpt")
    with chat_server() as server:
        assert asker(server, waits).ask(ASKED).text == "[How?]" and server.keys == ["Bearer none"]


# What is kept


def test_what_was_asked_is_not_asked_again(tmp_path, waits):
    with chat_server() as server:
        first = asker(server, waits, cache=tmp_path)
        assert first.ask(ASKED) == first.ask(ASKED)
        again = asker(server, waits, cache=tmp_path)
        assert again.ask(ASKED) == first.ask(ASKED) and again.usage.kept == 1 and again.usage.calls == 0
        assert len(server.asked) == 1 and first.usage.prompt_tokens == 7
        in_memory = asker(server, waits)
        assert in_memory.ask(ASKED) == in_memory.ask(ASKED) and len(server.asked) == 2


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff", None, "text", "messages"])
def test_a_damaged_reply_is_asked_for_anew(tmp_path, waits, damage):
    with chat_server() as server:
        asker(server, waits, cache=tmp_path).ask(ASKED)
        (path,) = tmp_path.rglob("*.json")
        whole = path.read_bytes()
        if damage is None:
            path.unlink()
        elif isinstance(damage, bytes):
            path.write_bytes(damage)
        else:
            path.write_bytes(
                whole.replace(
                    b"[How?]" if damage == "text" else b'"How?"', b'"No!"'[: 6 if damage == "messages" else 3]
                )
            )
        assert asker(server, waits, cache=tmp_path).ask(ASKED).text == "[How?]"
        assert len(server.asked) == 2 and path.read_bytes() == whole


def test_the_same_question_of_several_threads_is_one_call(waits):
    with chat_server() as server:
        found = asker(server, waits, at_once=8)
        replies = found.run([ASKED] * 20, found.ask, what="asking")
        assert {reply.text for reply in replies} == {"[How?]"} and len(server.asked) == 1
        assert found.usage.kept == 19


def test_no_more_calls_at_once_than_asked_for_and_outcomes_in_order(waits):
    barrier = threading.Barrier(3)

    def answer(number, body):
        barrier.wait(timeout=30)  # three must be there at the same time, each time
        return echo(number, body)

    with chat_server(answer) as server:
        found = asker(server, waits, at_once=3)
        reported = []
        replies = found.run(
            [[{"role": "user", "content": str(n)}] for n in range(9)],
            found.ask, what="asking", progress=lambda *n: reported.append(n),
        )  # fmt: skip
        assert [reply.text for reply in replies] == [f"[{n}]" for n in range(9)]
        assert server.most_at_once == 3 and reported == [(n, 9) for n in range(1, 10)]


def test_the_limit_of_calls_keeps_what_was_finished(tmp_path, waits):
    asked = [[{"role": "user", "content": str(n)}] for n in range(6)]
    with chat_server() as server:
        found = asker(server, waits, cache=tmp_path, max_calls=4, at_once=2)
        with pytest.raises(ProviderError, match=r"limit of 4 calls .*what is finished is kept") as error:
            found.run(asked, found.ask, what="asking")
        assert error.value.code == "max-calls" and len(server.asked) == 4
        rest = asker(server, waits, cache=tmp_path, max_calls=2)
        assert [reply.text for reply in rest.run(asked, rest.ask, what="asking")] == [
            f"[{n}]" for n in range(6)
        ]
        assert len(server.asked) == 6


def test_after_a_run_that_failed_the_next_question_is_asked(waits):
    asked = [[{"role": "user", "content": str(n)}] for n in range(6)]
    with chat_server(lambda number, body: failure(401) if number == 2 else echo(number, body)) as server:
        found = asker(server, waits, at_once=2)
        with pytest.raises(ProviderError, match="does not take the key"):
            found.run(asked, found.ask, what="asking")
        assert found.ask(ASKED).text == "[How?]"
        assert [reply.text for reply in found.run(asked, found.ask, what="asking")] == [
            f"[{n}]" for n in range(6)
        ]


def test_many_refusals_in_a_row_end_a_run(waits):
    def work(messages):
        try:
            return found.ask(messages)
        except ProviderError as error:
            if not error.failure.of_item:
                raise
            return None

    with chat_server(in_turn(failure(400, "no such parameter"))) as server:
        found = asker(server, waits, at_once=1)
        with pytest.raises(ProviderError, match=r"20 questions one after the other .*no such parameter"):
            found.run([[{"role": "user", "content": str(n)}] for n in range(99)], work, what="asking")
        assert len(server.asked) == 20


# Others


def test_a_recording_answers_by_messages_and_never_calls(tmp_path):
    file = tmp_path / "said.jsonl"
    other = [{"role": "user", "content": "Why?"}]
    lines = [{"messages": ASKED, "text": "So."}, {"key": messages_key(other), "text": "Because."}]
    file.write_text("\n".join(map(json.dumps, lines)))
    found = provider(f"replay:{file}")
    assert isinstance(found, Recording) and len(found) == 2
    assert (found.ask(ASKED).text, found.ask(other).text) == ("So.", "Because.")
    with pytest.raises(ProviderError, match=r"has no reply to 'Where\?' \(key [0-9a-f]{64}\)") as error:
        found.ask([{"role": "user", "content": "Where?"}])
    assert error.value.code == "not-recorded"


def test_kept_replies_are_a_recording(tmp_path, waits):
    with chat_server() as server:
        asker(server, waits, cache=tmp_path / "replies").ask(ASKED)
    assert provider(f"replay:{tmp_path / 'replies'}").ask(ASKED).text == "[How?]"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([{"messages": ASKED, "text": " "}], "line 1: the recorded text is empty"),
        ([{"messages": ASKED}], "text is missing"),
        ([{"text": "x"}], "neither 'messages' nor their 'key'"),
        ([{"messages": ASKED, "text": "a"}, {"messages": ASKED, "text": "b"}],
         "line 2: these messages were recorded before"),
        ([{"messages": [{"role": "user"}], "text": "a"}], "content is missing"),
    ],
)  # fmt: skip
def test_a_recording_that_cannot_be_used(tmp_path, lines, said):
    file = tmp_path / "said.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(InputError, match=said):
        provider(f"replay:{file}")


@pytest.mark.parametrize(
    ("name", "text"),
    [("t.csv", "asked,answer\nwater,水\n"), ("t.tsv", "asked\tanswer\nwater\t水\n"),
     ("t.jsonl", '{"asked": "water", "answer": "水"}')],
)  # fmt: skip
def test_a_table_answers_by_the_last_message(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    found = provider(f"table:{tmp_path / name}")
    assert isinstance(found, AnswerTable) and found.name == f"table:{name}"
    assert found.ask([*ASKED, {"role": "user", "content": " water "}]).text == "水"
    with pytest.raises(ProviderError, match="has no answer to 'fire'") as error:
        found.ask([{"role": "user", "content": "fire"}])
    assert error.value.failure.of_item


@pytest.mark.parametrize(
    ("text", "said"),
    [("asked,answer\na,b\na,c\n", "line 3: 'a' is answered differently"), ("asked,answer\na,\n", "line 2: .*must hold"),
     ("question,answer\na,b\n", "no column 'asked', only 'question'"),
     ("asked,answer\n", "the table of answers is empty")],
)  # fmt: skip
def test_a_table_that_cannot_be_used(tmp_path, text, said):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        provider(f"table:{tmp_path / 't.csv'}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gpt", "'gpt' is no provider; write openai:MODEL@URL, local:MODEL, replay:FILE, table:FILE"),
        ("opnai:x", "unknown provider 'opnai'; did you mean 'openai'"),
        ("openai:", "says nothing behind the colon"),
        ("openai:@http://localhost/v1", "no model is named"),
        ("openai:x@localhost:8000", "'localhost:8000' is no address of a server; write it as http://"),
        ("openai:x@ftp://h/v1", "is no address"),
        ("openai:x@http://[::1", "is no address"),
        ("replay:nothing.jsonl", "there is no file"),
        ("table:nothing.csv", "there is no file 'nothing.csv'; name one with the columns"),
    ],
)
def test_a_provider_that_is_none(text, said):
    with pytest.raises(InputError, match=said):
        provider(text)


def test_a_provider_of_ones_own(monkeypatch):
    from latentlang.instructions.providers import registry

    class Parrot:
        name, settings = "parrot", {}

        def ask(self, messages):
            return Reply(messages[-1]["content"])

    monkeypatch.setattr(registry, "_KINDS", dict(registry._KINDS))
    register_provider(ProviderKind("parrot", "parrot:NAME", lambda rest, options: Parrot()))
    assert "parrot" in [kind.name for kind in known_providers()]
    assert Asker(provider("parrot:x")).ask(ASKED).text == "How?"
    with pytest.raises(ValueError, match="is there already"):
        register_provider(ProviderKind("parrot", "", lambda rest, options: Parrot()))


@pytest.mark.parametrize("package", ["openai", "tenacity"])
def test_a_missing_package_is_one_line(monkeypatch, package):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.split(".")[0] == package:
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError) as error:
        Asker(OpenAIServer("small", url="http://127.0.0.1:9/v1")).ask(ASKED)
    assert install_command("instruct") in str(error.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"at_once": 0}, "at_once must be at least 1"), ({"at_once": 1000}, "at_once must be at most 256"),
     ({"attempts": 0}, "attempts must be at least 1"), ({"max_calls": -1}, "max_calls must be at least 0")],
)  # fmt: skip
def test_impossible_numbers(options, said):
    with pytest.raises(InputError, match=said):
        Asker(AnswerTable({"a": "b"}), **options)


def test_a_model_on_this_machine(tmp_path):
    from latentlang.instructions.providers import LocalModel
    from latentlang.models import load

    model = load("pocket")
    found = LocalModel(model, new_tokens=4)
    asked = [{"role": "user", "content": 'Français: "fleur" - English: "'}]
    reply = found.ask(asked)
    assert reply.text and reply.prompt_tokens and reply.answer_tokens and reply.answer_tokens <= 4
    assert found.name == "local:pocket" and found.count_tokens("flower") >= 1
    kept = Asker(found, cache=tmp_path)
    assert kept.ask(asked) == reply and Asker(found, cache=tmp_path).ask(asked) == reply
    assert request_key(found, asked) != request_key(LocalModel(model, new_tokens=5), asked)
    with pytest.raises(ProviderError, match=r"reads .* tokens") as error:
        LocalModel(model, new_tokens=10**6).ask(asked)
    assert error.value.failure.of_item


def test_a_local_model_is_asked_in_its_chat_template():
    from latentlang.instructions.providers import LocalModel
    from latentlang.models import load

    model = load("pocket")
    plain = LocalModel(model, new_tokens=4)
    model.tokenizer.chat_template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    chat = LocalModel(model, new_tokens=4)
    assert chat.settings["chat_template"] and not plain.settings["chat_template"]
    text = model.tokenizer.decode(chat._prompt(ASKED))
    assert "user: How?" in text.replace(" :", ":")
    model.tokenizer.chat_template = "{{ raise_exception('no system text') }}"
    with pytest.raises(ProviderError, match="cannot write these messages: no system text"):
        LocalModel(model, new_tokens=4).ask(ASKED)


def test_a_local_model_draws_and_stops_where_it_is_told(monkeypatch):
    from latentlang.instructions.providers import LocalModel
    from latentlang.models import fingerprint, load
    from latentlang.models.decoding import Decoding
    from latentlang.models.generation import generate_tokens

    model = load("pocket")
    asked = [{"role": "user", "content": "The cat is"}]
    greedy = LocalModel(model, new_tokens=6)
    (tokens,) = generate_tokens(model, [greedy._prompt(asked)], new_tokens=6)
    assert greedy.ask(asked).text == model.tokenizer.decode(tokens, skip_special_tokens=True).strip()
    drawn = LocalModel(model, new_tokens=6, decoding=Decoding(how="sample", temperature=2.0, seed=1))
    first, second = drawn.ask(asked), drawn.again(1).ask(asked)
    assert drawn.ask(asked) == first != second and greedy.again(1) is None
    assert len({request_key(one, asked) for one in (greedy, drawn, drawn.again(1))}) == 3
    with monkeypatch.context() as changed:  # what the weights are is not looked at again for every question
        changed.setattr(fingerprint, "model_identity", None)
        assert drawn.again(2).settings == drawn.settings | {"again": 2}
    stop = greedy.ask(asked).text.split()[-1]
    ended = LocalModel(model, new_tokens=6, decoding=Decoding(stop=(stop,))).ask(asked)
    assert stop not in ended.text and greedy.ask(asked).text.startswith(ended.text) and not ended.cut
    with pytest.raises(InputError, match="samples=2: a reply is one text"):
        LocalModel(model, decoding=Decoding(how="sample", samples=2))


def test_a_blank_line_ends_an_answer_but_not_before_it_begins(monkeypatch):
    from latentlang.instructions.providers import LocalModel
    from latentlang.models import generation, load
    from latentlang.models.generation import Written

    model, lengths = load("pocket"), []

    def write(_model, prompts, decoding, *, items):
        lengths.append((len(prompts[0]), decoding.new_tokens, decoding.stop))
        if len(lengths) == 1:
            return [[Written("", (7, 7), "stop-string", -1.0, "\n\n")]]
        return [[Written("An answer", (8, 9, 7), "stop-string", -1.0, "\n\n")]]

    monkeypatch.setattr(generation, "generate", write)
    reply = LocalModel(model, new_tokens=9).ask(ASKED)
    assert (reply.text, reply.answer_tokens, reply.cut) == ("An answer", 5, False)
    (before, most, stop), (after, rest, _stop) = lengths
    assert after == before + 2 and (most, rest, stop) == (9, 7, ("\n\n",))


class Counts:
    """Answers with how often it was asked."""

    name, settings = "counts", {}

    def __init__(self):
        self.asked = 0

    def ask(self, _messages):
        self.asked += 1
        return Reply(str(self.asked))


@pytest.mark.parametrize("kept", [True, False])
def test_the_same_asked_again_has_a_reply_of_its_own_that_is_kept(tmp_path, kept):
    source = Counts()
    asker = Asker(source, cache=tmp_path / "r" if kept else None)
    messages = [{"role": "user", "content": "x"}]
    assert [asker.ask(messages, again=time).text for time in (0, 1, 0, 1, 2)] == ["1", "2", "1", "2", "3"]
    assert (asker.usage.calls, asker.usage.kept) == (3, 2)
    if kept:
        planner = Planner(source, cache=tmp_path / "r")
        for time in (0, 1, 3):
            planner.ask(messages, again=time)
        assert (planner.plan().calls, planner.plan().kept) == (1, 2)
        recording = Recording(tmp_path / "r")
        assert [recording.ask(messages, again=time).text for time in (0, 1, 2)] == ["1", "2", "3"]
        replayed = Asker(recording)
        assert [replayed.ask(messages, again=time).text for time in (0, 2)] == ["1", "3"]


def test_what_would_only_repeat_itself_is_not_asked_again(tmp_path):
    (tmp_path / "r.jsonl").write_text(
        json.dumps({"messages": [{"role": "user", "content": "x"}], "text": "y"})
    )
    assert asked_again(Recording(tmp_path / "r.jsonl"), 1) is None
    fixed = Counts()
    fixed.retried = False
    assert asked_again(fixed, 1) is None and asked_again(fixed, 0) is fixed
    assert asked_again(Counts(), 2).settings == {"again": 2}
