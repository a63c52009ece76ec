"""A server on this machine that speaks the OpenAI API, and fails in every way that a test asks for."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-test-0123456789abcdef"
# Longer than any test lets a client wait.
_HANGS = 30.0


@dataclass(frozen=True)
class Answer:
    """What the server does with one request.

    Attributes:
        body: what it sends.
        status: its status.
        headers: beside the usual ones.
        length: bytes that it claims, where that is more than it sends.
        hangs: whether it sends nothing until it is stopped.
    """

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    hangs: bool = False


@dataclass
class ChatServer:
    """A running server.

    Attributes:
        url: its address, up to ``/v1``.
        answer: what it does with the n-th request (from 0) and its body.
        asked: bodies of the requests, in the order in which they came.
        keys: ``Authorization`` of each.
        most_at_once: requests that were there at the same time, at most.
    """

    url: str
    answer: Callable[[int, dict[str, Any]], Answer]
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    most_at_once: int = 0
    now: int = 0
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)


def completion(text: str | None, *, finish: str = "stop", usage: bool = True) -> Answer:
    """A whole reply."""
    record: dict[str, Any] = {
        "id": "x", "object": "chat.completion", "created": 0, "model": "small",
        "choices": [
            {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}
        ],
    }  # fmt: skip
    if usage:
        record["usage"] = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    return Answer(json.dumps(record, ensure_ascii=False).encode())


def failure(status: int, message: str = "no", **headers: str) -> Answer:
    """An error as the API has it."""
    return Answer(json.dumps({"error": {"message": message, "type": "x"}}).encode(), status, headers)


def echo(_number: int, body: dict[str, Any]) -> Answer:
    """The last message in brackets."""
    return completion(f"[{body['messages'][-1]['content']}]")


def in_turn(*answers: Answer) -> Callable[[int, dict[str, Any]], Answer]:
    """These, the last of them for ever."""
    return lambda number, _body: answers[min(number, len(answers) - 1)]


@contextmanager
def chat_server(answer: Callable[[int, dict[str, Any]], Answer] = echo) -> Iterator[ChatServer]:
    """A server until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with server.lock:
                number = len(server.asked)
                server.asked.append(body)
                server.keys.append(self.headers.get("Authorization", ""))
                server.now += 1
                server.most_at_once = max(server.most_at_once, server.now)
            try:
                with suppress(OSError):  # nobody listens any more
                    self._send(server.answer(number, body))
            finally:
                with server.lock:
                    server.now -= 1

        def _send(self, answer: Answer) -> None:
            if answer.hangs:
                server.stop.wait(_HANGS)
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(answer.length or len(answer.body)))
            for name, value in answer.headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server = ChatServer(f"http://127.0.0.1:{http.server_port}/v1", answer)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.stop.set()
        http.shutdown()
        http.server_close()
        thread.join()


def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for something that another thread or process does."""
    last = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < last, "it did not come about"
        time.sleep(0.01)
