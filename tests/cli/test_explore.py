"""``latentlang explore``: serves until Ctrl-C, or writes one file."""

from __future__ import annotations

import errno
import os
import re
import socket
from http.client import HTTPConnection
from importlib import import_module

import pytest

from latentlang.cli import main
from latentlang.interactive import frozen

PROMPT = 'Français: "fleur" - Deutsch: "'
SERVED = ["explore", "--no-browser"]


@pytest.fixture
def asked(monkeypatch, capsys) -> list[int]:
    """While it serves, the page is asked for once; then Ctrl-C comes."""
    statuses: list[int] = []

    class Interrupted:
        def wait(self) -> None:
            address = re.search(r"http://([^/]*)(/\S*)", capsys.readouterr().out)
            assert address is not None
            connection = HTTPConnection(address[1], timeout=20)
            connection.request("GET", address[2])
            statuses.append(connection.getresponse().status)
            raise KeyboardInterrupt

    monkeypatch.setattr(import_module("latentlang.cli.explore"), "Event", Interrupted)
    return statuses


def test_it_serves_until_ctrl_c_and_ends_well(asked, capsys):
    assert main([*SERVED, "--prompt", PROMPT]) == 0
    assert asked == [200]
    captured = capsys.readouterr()
    assert captured.out == "ended\n" and captured.err == ""


@pytest.mark.parametrize(("display", "opened"), [(":0", 1), ("", 0)])
def test_a_browser_is_opened_where_there_is_one(asked, monkeypatch, display, opened):
    addresses: list[str] = []
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("webbrowser.open", lambda address: addresses.append(address))
    assert main(["explore"]) == 0
    assert len(addresses) == opened and all(address.startswith("http://127.0.0.1:") for address in addresses)


def test_a_file_is_written_in_place_of_serving(monkeypatch, tmp_path, capsys):
    written = []
    monkeypatch.setattr(frozen, "freeze", lambda session, path, *, progress: written.append((session, path)))
    page = tmp_path / "page.html"
    assert main(["explore", "--prompt", PROMPT, "--lang", "en,de", "--out", str(page)]) == 0
    ((session, path),) = written
    assert path == page and session.prompt == PROMPT and session.languages == ("en", "de")
    assert capsys.readouterr().out == f"wrote {page}\n"


def test_a_full_disk_is_told_before_anything_is_read(monkeypatch, tmp_path, capsys):
    def full(*_given):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("latentlang.storage.files._try_writing", full)
    monkeypatch.setattr("latentlang.models.loading.load", lambda *_given, **_options: pytest.fail("loaded"))
    assert main(["explore", "--out", str(tmp_path / "page.html")]) == 2
    assert "no space left" in capsys.readouterr().err and not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--prompt", " "], "--prompt is empty"),
        (["--out", "."], "is a folder; name a file"),
        (["--out", "none/page.html"], "there is no folder 'none'"),
        (["--out", "/proc/page.html"], "cannot write to the folder '/proc'"),
        (["--lens", "nowhere"], "nowhere"),
        (["--saved", "nowhere"], "nowhere"),
        (["--lang", "eo"], "no words in 'eo'"),
        (["--task", "nothing"], "unknown task 'nothing'"),
        (["--model", "pockt"], "did you mean 'pocket'"),
        (["--port", "70000"], "less than or equal to 65535"),
        (["--adapter", "nowhere"], "nowhere"),
    ],
)
def test_what_is_wrong_is_one_line(asked, more, words, capsys):
    assert main([*SERVED, *more]) == 2
    error = capsys.readouterr().err
    assert words in error and asked == []


def test_a_port_that_is_taken_is_one_line(asked, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main([*SERVED, "--port", str(port)]) == 2
    assert f"port {port} cannot be had" in capsys.readouterr().err
