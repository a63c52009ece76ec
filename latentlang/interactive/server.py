"""The explorer's page on this computer alone: a token in its address, other hosts refused, replies as they come."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

from latentlang.errors import InputError
from latentlang.interactive.frontend import module, style
from latentlang.interactive.messages import LONGEST, Cancel, PageReply, read_message
from latentlang.interactive.request_queue import RequestQueue
from latentlang.interactive.session import Session

_HOST = "127.0.0.1"
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>latentlang explorer</title><style>{style}</style></head>
<body><div id="explorer"></div>
<script type="module" nonce="{nonce}">{module}
start(document.getElementById("explorer"), httpTransport({address}));
</script></body></html>
"""
_LAST = ("done", "error", "cancelled")


@contextmanager
def serving(session: Session, *, port: int = 0) -> Iterator[str]:
    """Serve the explorer while the block runs; gives the page's address, token and all.

    Args:
        session: what answers.
        port: TCP port; 0 for any that is free.

    Raises:
        InputError: the port cannot be had.
    """
    token = secrets.token_urlsafe(16)
    exchange = _Exchange(session)

    class Handler(_Handler):
        pass

    try:
        server = ThreadingHTTPServer((_HOST, port), Handler)
    except OSError as error:
        raise InputError(
            f"port {port} cannot be had: {error.strerror}; choose another, or 0 for any"
        ) from None
    Handler.token, Handler.exchange = token, exchange
    Handler.hosts = {f"{name}:{server.server_port}" for name in (_HOST, "localhost")}
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, name="latentlang-server", daemon=True)
    thread.start()
    try:
        yield f"http://{_HOST}:{server.server_port}/{token}/"
    finally:
        exchange.close()
        server.shutdown()
        server.server_close()


class _Exchange:
    """Hands each reply of the session to who waits for it."""

    def __init__(self, session: Session) -> None:
        self._requests = RequestQueue(session, self._deliver)
        self._takers: dict[int, tuple[SimpleQueue[PageReply], int]] = {}
        self._lock, self._next = Lock(), 0

    def ask(self, message: dict[str, Any]) -> Iterator[PageReply]:
        """The replies to a request, as they come."""
        request = read_message(message)
        if isinstance(request, Cancel):
            self._requests.take(request)
            return
        queue: SimpleQueue[PageReply] = SimpleQueue()
        with self._lock:
            self._takers[request.id] = (queue, request.id)
        self._requests.take(request)
        while True:
            reply = queue.get()
            yield reply
            if reply.event in _LAST:
                break
        with self._lock:
            self._takers.pop(request.id, None)

    def close(self) -> None:
        self._requests.close()

    def _deliver(self, reply: PageReply) -> None:
        with self._lock:
            taker = self._takers.get(reply.id)
        if taker is not None:
            taker[0].put(reply)


class _Handler(BaseHTTPRequestHandler):
    token: str
    exchange: _Exchange
    hosts: set[str]

    def do_GET(self) -> None:
        if not self._allowed():
            return
        nonce = secrets.token_urlsafe(12)
        page = _PAGE.format(
            style=style(), nonce=nonce, module=module(), address=json.dumps(f"/{self.token}/")
        ).encode()
        self.send_response(HTTPStatus.OK)
        self._headers("text/html; charset=utf-8")
        self.send_header("Content-Security-Policy", _POLICY.format(nonce=nonce))
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def do_POST(self) -> None:
        if not self._allowed():
            return
        length = int(self.headers.get("Content-Length") or 0)
        if length > LONGEST:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        try:
            message = json.loads(self.rfile.read(length))
            replies = self.exchange.ask(message)
        except (ValueError, InputError):
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        self.send_response(HTTPStatus.OK)
        self._headers("application/x-ndjson; charset=utf-8")
        self.end_headers()
        for reply in replies:
            self.wfile.write(json.dumps(reply.record(), ensure_ascii=False).encode() + b"\n")
            self.wfile.flush()

    def _allowed(self) -> bool:
        """Whether the request is of this page: another site can neither name this host nor know the token."""
        named = self.path.split("/")[1] if "/" in self.path else ""
        if self.headers.get("Host") in self.hosts and secrets.compare_digest(
            named.encode(), self.token.encode()
        ):
            return True
        self.send_error(HTTPStatus.FORBIDDEN)
        return False

    def _headers(self, kind: str) -> None:
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is the command's."""
