"""A small published set in the shape of the paper's repository, made here, and a server on this machine that has it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from latentlang.downloads.catalogue import BlockScript, PublishedFile, PublishedSet
from latentlang.tasks.labels import NLI, SENTIMENT, Kind, published_words, wording

REPOSITORY, COMMIT = "someone/paper", "1234567"
CODES = ("en", "ja")
ITEMS = 36


@dataclass
class Server:
    """Files by their path, as a server has them, and what was asked for.

    Attributes:
        address: where it listens.
        files: path to content.
        lengths: path to the length it claims, where that is not the true one.
        statuses: path to the status it answers with, where that is not 200 or 404.
        asked: the paths that were asked for, in order.
    """

    address: str
    files: dict[str, bytes]
    lengths: dict[str, int] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def forget(self) -> None:
        self.asked.clear()


@contextmanager
def serving(files: dict[str, bytes], *, endless: Sequence[str] = ()) -> Iterator[Server]:
    """A server of these files, until the block ends; of those in `endless` it sends blanks for ever."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.removeprefix(f"/{REPOSITORY}/{COMMIT}/")
            server.asked.append(path)
            body = server.files.get(path)
            self.send_response(server.statuses.get(path, 404 if body is None else 200))
            if path in endless:
                self.end_headers()
                with suppress(OSError):  # until nobody listens
                    while True:
                        self.wfile.write(b" " * 65536)
                return
            self.send_header("Content-Length", str(server.lengths.get(path, len(body or b""))))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = Server(f"http://127.0.0.1:{http.server_port}", files)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def content() -> dict[str, bytes]:
    """Path in the repository to content: items of two tasks in two languages, questions, two scripts."""
    found: dict[str, bytes] = {}
    for code in CODES:
        found[f"data/ap_emotion/emotion_{code}36_test.json"] = _items(SENTIMENT, code)
        found[f"data/snli/snli_{code}36_test.json"] = _items(NLI, code)
    instruction = "\nTranslate the input from Japanese to English:\n"
    pairs = [
        {"input": f'前提: {n}\n答え: "{instruction}', "answer": f'Premise: {n}\nAnswer: "'} for n in range(4)
    ]
    found["data/snli/snli_ja10k_train_question.json"] = _json(pairs)
    found["emotion.py"] = script(SENTIMENT, "en").encode()
    found["snli.py"] = script(NLI, "en").encode()
    return found


def small_set(files: dict[str, bytes], *, pinned: bool) -> PublishedSet:
    """The set of these files; with all their hashes known, or none."""
    records = []
    for path, body in files.items():
        group = "questions" if "question" in path else "sentiment" if "emotion" in path else "nli"
        sha256 = hashlib.sha256(body).hexdigest() if pinned else ""
        records.append(PublishedFile(group, path, sha256, len(body) if pinned else None))
    scripts = (BlockScript("emotion.py", "sentiment", "en"), BlockScript("snli.py", "nli", "en"))
    return PublishedSet("small", "a small set", REPOSITORY, COMMIT, "made by a test", tuple(records), scripts)


def script(kind: Kind, answers: str, *, before: str = "", blocks: str | None = None) -> str:
    """A script as the paper's are: a dictionary of blocks, and a prompt per language. Running it ends the process."""
    made = {code: block(kind, code) for code in CODES}
    names = ", ".join(kind.variables)
    fields = ", ".join(f"inputs['{key}']" for key in kind.keys)
    lines = [
        "import torch",
        "raise SystemExit('a published script was run')",
        before,
        f"prompt_prefix = {made!r}" if blocks is None else f"prompt_prefix = {blocks}",
        "for step, inputs in enumerate(sample_iterator):",
        "    answers = [prompt_prefix for _ in inputs]",
    ]
    for code in CODES:
        form = wording(kind, code, protocol="as-published")
        pieces = "".join(
            f" + {name!r} + {variable}" for name, variable in zip(form.before, kind.variables, strict=True)
        )
        lines.append(
            f"    if target_lang == '{code}':\n"
            f"        input = [prompt_prefix['{code}'] + '\\n'{pieces} + {form.cue!r} for {names} in zip({fields})]"
        )
    return "\n".join(lines) + "\n"


def block(kind: Kind, code: str) -> str:
    """A few-shot prefix with the paper's number of examples, answered in English, without the last line break."""
    form = wording(kind, code, protocol="as-published")
    english = published_words(kind, "en") or {}
    texts = []
    for n in range(kind.shots):
        own = tuple(f"{code} example {n} {key}" for key in kind.keys)
        texts.append(form.example(own, english[kind.labels[n % len(kind.labels)]]))
    return "".join(texts).removesuffix("\n")


def _items(kind: Kind, code: str) -> bytes:
    said = published_words(kind, code) or {}
    return _json(
        [
            {key: f"{code} {key} {n}" for key in kind.keys}
            | {"answer": said[kind.labels[n % len(kind.labels)]]}
            for n in range(ITEMS)
        ]
    )


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=4).encode()
