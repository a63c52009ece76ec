"""The explorer's page on this computer alone: a token in its address, other hosts refused, replies as they come."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, SimpleQueue
from select import select
from socket import MSG_PEEK, create_server
from threading import Thread
from typing import Any

from latentlang.errors import InputError
from latentlang.interactive.messages import LONGEST, Cancel, PageReply, read_message
from latentlang.interactive.page import explorer_page
from latentlang.interactive.request_queue import RequestQueue
from latentlang.interactive.session import Session

logger = logging.getLogger(__name__)

_HOST = "127.0.0.1"
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_LAST = ("done", "error", "cancelled")
# Seconds between two looks whether a page that waits is still there; characters that name a page.
_LOOK, _LONGEST_PAGE = 0.5, 32
#: Seconds that what runs in a thread may take to end, where the server does.
PATIENCE = 20


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
    requests = RequestQueue(session)

    class Handler(_Handler):
        pass

    try:
        server = _Server((_HOST, port), Handler)
    except OSError as error:
        raise _taken(port, error) from None
    Handler.token, Handler.requests = token, requests
    Handler.hosts = {f"{name}:{server.server_port}" for name in (_HOST, "localhost")}
    thread = Thread(target=server.serve_forever, name="latentlang-server", daemon=True)
    thread.start()
    try:
        yield f"http://{_HOST}:{server.server_port}/{token}/"
    finally:
        requests.close(wait=PATIENCE)
        server.shutdown()
        server.server_close()


def check_port(port: int) -> None:
    """Refuse a port that cannot be had, before a model is loaded.

    Raises:
        InputError: it is such a one.
    """
    if not port:
        return
    try:
        create_server((_HOST, port)).close()
    except OSError as error:
        raise _taken(port, error) from None


def _taken(port: int, error: OSError) -> InputError:
    return InputError(f"port {port} cannot be had: {error.strerror}; choose another, or 0 for any")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing at the terminal of a page that went away, and of others only to who looks into the log."""
        logger.debug("a request from %s failed", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    #: Seconds that a page may take to say what it asks for.
    timeout = 60
    token: str
    requests: RequestQueue
    hosts: set[str]

    def do_GET(self) -> None:
        if not self._allowed():
            return
        # each page has an address of its own to ask at, so that requests of two tabs are told apart
        address = f"/{self.token}/{secrets.token_urlsafe(6)}/"
        nonce = secrets.token_urlsafe(12)
        page = explorer_page(f"httpTransport({json.dumps(address)})", nonce=nonce).encode()
        self.send_response(HTTPStatus.OK)
        self._headers("text/html; charset=utf-8")
        self.send_header("Content-Security-Policy", _POLICY.format(nonce=nonce))
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def do_POST(self) -> None:
        if not self._allowed():
            return
        try:
            length = int(self.headers.get("Content-Length") or 0)
            if not 0 <= length <= LONGEST:
                raise InputError(f"a message of {length:,} bytes is too long; at most {LONGEST:,}")
            message = read_message(self.rfile.read(length))
        except ValueError as error:  # an InputError is one
            self._refuse(str(error))
            return
        page = self.path.split("/")[2][:_LONGEST_PAGE] if self.path.count("/") > 1 else ""
        replies: SimpleQueue[PageReply] = SimpleQueue()
        self.requests.take(message, replies.put, page=page)
        self.send_response(HTTPStatus.OK)
        self._headers("application/x-ndjson; charset=utf-8")
        self.end_headers()
        if isinstance(message, Cancel):
            return
        try:
            self._pass_on(replies)
        except OSError:  # nobody is there any more
            self.requests.take(Cancel(cancel=message.id), replies.put, page=page)
            self.close_connection = True

    def _pass_on(self, replies: SimpleQueue[PageReply]) -> None:
        """Write replies as they come, up to the last.

        Raises:
            OSError: the page has closed the connection.
        """
        while True:
            try:
                reply = replies.get(timeout=_LOOK)
            except Empty:
                if self._is_closed():
                    raise ConnectionResetError from None
                continue
            self.wfile.write(json.dumps(reply.record(), ensure_ascii=False).encode() + b"\n")
            self.wfile.flush()
            if reply.event in _LAST:
                return

    def _is_closed(self) -> bool:
        """Whether the page has gone: it has nothing more to say, and its end can be read."""
        readable, _, _ = select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, MSG_PEEK)

    def _refuse(self, line: str) -> None:
        text = line.encode()
        self.send_response(HTTPStatus.BAD_REQUEST)
        self._headers("text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

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
