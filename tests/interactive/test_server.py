"""Requests in their order, cancelled and answered; and the server that only its own page can ask."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from queue import SimpleQueue
from threading import Event
from typing import Any

import pytest

from latentlang.errors import InputError
from latentlang.interactive import view_registry
from latentlang.interactive.messages import Cancel, Message, PageReply, PageRequest
from latentlang.interactive.request_queue import RequestQueue
from latentlang.interactive.request_run import RequestRun
from latentlang.interactive.server import check_port, serving


class _Arguments(Message):
    text: str = ""


@dataclass
class _Slow:
    """Says a part, then waits until it is let go on or cancelled."""

    name: str = "slow"
    arguments: type[Message] = _Arguments
    begun: SimpleQueue[int] = field(default_factory=SimpleQueue)
    go_on: Event = field(default_factory=Event)
    ended: SimpleQueue[str] = field(default_factory=SimpleQueue)

    def parts(
        self, session: Any, arguments: _Arguments, run: RequestRun, /
    ) -> Iterator[dict[str, Any] | None]:
        self.begun.put(run.id)
        try:
            yield {"text": arguments.text}
            if arguments.text == "pause":
                while not self.go_on.is_set():
                    yield None
            while not self.go_on.wait(0.01):
                run.progress(0, 1)
            if arguments.text == "fail":
                raise ZeroDivisionError("nothing to divide by\nby anyone")
        finally:
            self.ended.put(arguments.text)

    def code(self, session: Any, arguments: _Arguments, /) -> str:
        return "pass"


@pytest.fixture
def slow(monkeypatch) -> Iterator[_Slow]:
    view = _Slow()
    monkeypatch.setattr(view_registry, "_VIEWS", {"slow": view})
    monkeypatch.setattr(view_registry, "_MODULES", ())
    yield view
    view.go_on.set()  # or a test that fails leaves its thread asking for ever


@pytest.fixture
def heard() -> SimpleQueue[PageReply]:
    return SimpleQueue()


def _ask(number: int, text: str = "", **more: Any) -> PageRequest:
    return PageRequest(id=number, view="slow", arguments={"text": text}, **more)


def _last(heard: SimpleQueue[PageReply]) -> dict[int, str]:
    """The last reply's event of each request, once all that were asked have one."""
    found: dict[int, str] = {}
    while (reply := heard.get(timeout=20)).event in ("part", "progress") or not found.setdefault(
        reply.id, reply.event
    ):
        pass
    return found


def test_a_newer_request_of_a_channel_cancels_the_older(slow, heard):
    queue = RequestQueue(None)
    queue.take(_ask(1, "old"), heard.put)
    assert slow.begun.get(timeout=20) == 1
    queue.take(_ask(3, "new"), heard.put)
    assert _last(heard) == {1: "cancelled"} and slow.ended.get(timeout=20) == "old"
    # one that comes late is no newer one
    queue.take(_ask(2, "late"), heard.put)
    slow.go_on.set()
    assert _last(heard) == {3: "done"} and _last(heard) == {2: "cancelled"}
    queue.close()


def test_other_channels_and_other_pages_are_not_cancelled(slow, heard):
    queue = RequestQueue(None)
    queue.take(_ask(5), heard.put, page="a")
    queue.take(_ask(5), heard.put, page="b")
    queue.take(_ask(6, channel="other"), heard.put, page="a")
    queue.take(Cancel(cancel=5), heard.put, page="c")
    slow.go_on.set()
    assert [_last(heard) for _ in range(3)] == [{5: "done"}, {5: "done"}, {6: "done"}]
    queue.close()


def test_a_request_that_waits_can_be_cancelled_and_the_thread_outlives_errors(slow, heard):
    queue = RequestQueue(None)
    queue.take(_ask(1, "fail"), heard.put)
    queue.take(_ask(2, channel="other"), heard.put)
    queue.take(Cancel(cancel=2), heard.put)
    slow.go_on.set()
    while (reply := heard.get(timeout=20)).event != "error":
        pass
    assert reply.text == "ZeroDivisionError: nothing to divide by by anyone"
    assert _last(heard) == {2: "cancelled"}
    queue.take(_ask(3), heard.put)
    assert _last(heard) == {3: "done"}
    queue.close()


def test_a_page_that_cannot_be_told_anything_ends_its_request_and_no_other(slow, heard):
    def closed(_reply: PageReply) -> None:
        raise RuntimeError("the comm is closed")

    queue = RequestQueue(None)
    queue.take(_ask(1, "untold"), closed, page="closed")
    assert slow.ended.get(timeout=20) == "untold"  # nobody hears it, and it need not be let go on
    queue.take(_ask(2, "waiting"), closed, page="closed")
    queue.take(Cancel(cancel=2), closed, page="closed")
    slow.go_on.set()
    queue.take(_ask(1), heard.put)
    assert _last(heard) == {1: "done"}
    queue.close()


def test_a_server_ends_when_what_was_being_read_has_ended(slow, heard):
    with serving(None) as address:
        host, path = address.removeprefix("http://").split("/", 1)
        connection = HTTPConnection(host, timeout=20)
        connection.request("POST", f"/{path}", json.dumps(_ask(1, "long").model_dump()))
        assert slow.begun.get(timeout=20) == 1
    assert slow.ended.get(block=False) == "long"


def test_the_end_of_an_answer_lets_others_go_first(slow, heard):
    queue = RequestQueue(None)
    queue.take(_ask(1, "pause"), heard.put)
    assert slow.begun.get(timeout=20) == 1
    queue.take(_ask(2, channel="other"), heard.put)
    assert slow.begun.get(timeout=20) == 2
    slow.go_on.set()
    assert _last(heard) == {2: "done"} and _last(heard) == {1: "done"}
    queue.close()


def _connection(address: str) -> tuple[HTTPConnection, str]:
    host, path = address.removeprefix("http://").split("/", 1)
    return HTTPConnection(host, timeout=20), f"/{path}"


def _send(
    address: str, body: bytes, *, method: str = "POST", path: str | None = None, **headers: str
) -> tuple[int, bytes]:
    connection, own = _connection(address)
    connection.request(method, own if path is None else path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def _body(number: int, text: str = "") -> bytes:
    return json.dumps({"id": number, "view": "slow", "arguments": {"text": text}}).encode()


def test_a_page_is_served_that_may_ask_its_session_alone(slow):
    with serving(None) as address:
        connection, path = _connection(address)
        connection.request("GET", path)
        answer = connection.getresponse()
        policy, page = answer.headers["Content-Security-Policy"], answer.read().decode()
        assert (
            "img-src data:" in policy and '<link rel="icon" href="data:,">' in page
        )  # or browsers ask for one
        assert answer.status == 200 and "connect-src 'self'" in policy and "default-src 'none'" in policy
        nonce = policy.partition("'nonce-")[2].partition("'")[0]
        assert f'nonce="{nonce}"' in page and "http://" not in page.replace("http://www.w3.org/", "")
        other = _send(address, b"", method="GET")[1].decode()
        assert _asked_at(page) != _asked_at(other)


def _asked_at(page: str) -> str:
    return page.rpartition("httpTransport(")[2].partition(")")[0]


def test_replies_of_two_tabs_with_the_same_numbers_go_each_to_its_own(slow):
    slow.go_on.set()
    with serving(None) as address:
        path = _connection(address)[1]
        for tab, text in (("a", "one"), ("b", "two")):
            status, body = _send(address, _body(1, text), path=f"{path}{tab}/")
            assert status == 200
            lines = [json.loads(line) for line in body.splitlines()]
            assert lines[0] == {"id": 1, "event": "part", "data": {"text": text}}
            assert lines[-1] == {"id": 1, "event": "done", "code": "pass"}


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", {}), ("/wrong/", {}), ("", {}), ("/wrong/../", {}), (None, {"Host": "example.com"}),
        (None, {"Host": "example.com:80"}),
    ],
)  # fmt: skip
def test_other_hosts_and_other_tokens_are_refused(slow, path, headers):
    with serving(None) as address:
        for method in ("GET", "POST"):
            assert _send(address, _body(1), method=method, path=path, **headers)[0] in (400, 403)
    assert slow.begun.empty()


@pytest.mark.parametrize(
    "body", [b"{", b"\xff", b"[]", b'{"id": 1}', b"[" * 50_000, b'{"id": 1, "view": "slow", "more": 2}']
)
def test_what_is_no_message_is_refused_in_one_line(slow, body):
    with serving(None) as address:
        status, text = _send(address, body)
        assert status == 400 and b"\n" not in text and b"the message" in text
        assert _send(address, b"", **{"Content-Length": "5000000"})[1].startswith(
            b"a message of 5,000,000 bytes"
        )
        assert _send(address, b"", **{"Content-Length": "x"})[0] == 400


def test_a_page_that_goes_away_cancels_what_it_asked(slow):
    with serving(None) as address:
        host, path = address.removeprefix("http://").split("/", 1)
        name, port = host.split(":")
        with socket.create_connection((name, int(port)), timeout=20) as page:
            body = _body(1, "gone")
            head = f"POST /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
            page.sendall(head.encode() + body)
            assert slow.begun.get(timeout=20) == 1
        assert slow.ended.get(timeout=20) == "gone"
        assert not slow.go_on.is_set()


def test_a_port_that_is_taken_is_an_error_that_names_it(slow):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} cannot be had"), serving(None, port=port):
            pass
        with pytest.raises(InputError, match=f"port {port} cannot be had"):
            check_port(port)
    check_port(0)
