"""Files of sentences, one a line, as people have them."""

from __future__ import annotations

import gzip

import pytest

from latentlang.errors import InputError
from latentlang.translation import read_lines


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\ntwo", ["one", "two"]),
        (b"\xef\xbb\xbfone\r\n\r\ntwo\r\n", ["one", "", "two"]),
        ("a\u2028b\x0bc\x85d\ne\n".encode(), ["a\u2028b\x0bc\x85d", "e"]),
        (b"\none\n\n", ["", "one", ""]),
        (b"one\rone\ntwo\n", ["one\rone", "two"]),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_lines_end_where_they_end(tmp_path, content, lines, packed):
    path = tmp_path / ("lines.txt.gz" if packed else "lines.txt")
    path.write_bytes(gzip.compress(content) if packed else content)
    assert read_lines(path) == lines


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        ("Käse\n".encode("latin-1"), "not UTF-8.*iconv"),
        ("ab\n".encode("utf-16"), "not UTF-8"),
        ("ab\n".encode("utf-16-le"), "NUL characters, as a UTF-16 file"),
    ],
)
def test_what_is_no_such_file_is_named(tmp_path, content, message):
    path = tmp_path / "lines.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_lines(path)
    with pytest.raises(InputError, match="there is no file"):
        read_lines(tmp_path / "none.txt")
