from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import Field

from latentlang.errors import InputError, ModelError, shown, unknown
from latentlang.storage import tables
from latentlang.storage.documents import (
    MOST_DEPTH,
    Closed,
    Record,
    checked,
    parse_json,
    parse_yaml,
    read_json,
    read_text,
    read_yaml,
    reading,
)
from latentlang.storage.tables import read_table


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{}", {}),
        ('{"a": [1, 2.5, true, null, "é"]}', {"a": [1, 2.5, True, None, "é"]}),
        ('["\\ud83d\\ude00"]', ["😀"]),  # a pair of halves is one character
        ('{"a": 1, "a": 1}', {"a": 1}),
        ("[" * MOST_DEPTH + "]" * MOST_DEPTH, None),
        ("1" * 40, int("1" * 40)),
    ],
)
def test_json_within_the_limits(text: str, value: Any) -> None:
    found = parse_json(text, "it")
    assert value is None or found == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1,", "it is not JSON: Expecting value in line 1; do this"),
        ("[" * 100_000, "it is damaged: it is nested too deeply, more than 64 levels; do this"),
        ("[" * 66 + "]" * 66, "it is nested too deeply, more than 64 levels"),
        ("1" * 5000, "it holds a number of thousands of digits"),
        ('{"rows": [1' + "0" * 40 + "]}", "it holds a number of more than 40 digits, at 'rows', item 0"),
        ("[NaN]", "it holds NaN, which is no number"),
        ("[-Infinity]", "it holds -Infinity, which is no number"),
        ('{"p": 1e999}', "it holds inf, which is no number, at 'p'"),
        ('{"a": 1, "a": 2}', "it says 'a' twice, and different things"),
        (
            '[{}, {"input": "\\ud800"}]',
            r"'\ud800' holds half of a character (a lone surrogate), at item 1, 'input'",
        ),
        ('[{"\\uDfff": 1}]', r"'\udfff' holds half of a character (a lone surrogate), at item 0"),
    ],
)
def test_json_beyond_them(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_json(text, "it", then="do this")
    assert message in str(caught.value)


def test_nan_where_no_number_counts() -> None:
    assert np.isnan(parse_json("[NaN]", "it", finite=False)[0])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("a: [1, 2.5, yes, ~, x]", {"a": [1, 2.5, True, None, "x"]}),
        ("day: 2024-13-45", {"day": "2024-13-45"}),
        ("day: 2024-01-05", {"day": "2024-01-05"}),
        ("1: 2", {"1": 2}),
        ("no: 5", {"no": 5}),  # Norwegian, which YAML 1.1 takes for false
        ("target: !!str no", {"target": "no"}),
    ],
)
def test_yaml_is_plain_values_with_texts_as_keys(text: str, value: Any) -> None:
    assert parse_yaml(text, "it") == value


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "aliases (*name) are not read; write the value out in line 2"),
        ("a: &b [*b]", "aliases (*name) are not read"),
        ("a: !!int x", "the tag 'tag:yaml.org,2002:int' is not read"),
        ("a: !!python/object/apply:os.getcwd []", "python/object/apply:os.getcwd' is not read"),
        ("a: 1\na: 2", "the key 'a' is there twice in line 2"),
        ("? [a]\n: b", "a key must be a text in line 1"),
        ("[" * 100_000, "nested too deeply"),
        ("- " * 20_000, "nested too deeply"),
        ("a: " + "1" * 5000, "it holds a number of more than 40 digits in line 1"),
        ("a: " + "1" * 41, "it holds a number of more than 40 digits, at 'a'"),
        ("a: 0x" + "f" * 5000, "a number of more than 40 digits in line 1"),
        ("a: 0b_", "a number in it cannot be read"),
        ("a: .inf", "it holds inf, which is no number, at 'a'"),
        ('a: "\\ud800"', "half of a character"),
        ("a: \x1b[31m", "special characters are not allowed"),
        ("a: " + "z" * 300_000, "it has 300,003 characters, more than 262,144"),
        ("{a: ", "in line 1"),
    ],
)
def test_yaml_beyond_the_limits(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_yaml(text, "it")
    said = str(caught.value)
    assert said.startswith("it is not YAML: ") and message in said and said.isprintable() and len(said) < 400


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no file '.*gone\.json'; fetch it"):
        read_json(tmp_path / "gone.json", then="fetch it", error=ModelError)
    with pytest.raises(InputError, match=r"there is no file '.*gone\.yaml'; name one that is there"):
        read_yaml(tmp_path / "gone.yaml")
    with pytest.raises(InputError, match="is no file"):
        read_text(tmp_path)
    os.mkfifo(tmp_path / "pipe")  # would be waited for without end
    with pytest.raises(InputError, match="is no file"):
        read_text(tmp_path / "pipe")
    with pytest.raises(InputError, match="cannot read"):
        read_text(tmp_path / ("x" * 300))
    with pytest.raises(InputError, match="cannot read"):
        read_text(tmp_path / "a\0b")
    with (tmp_path / "large").open("wb") as stream:
        stream.truncate(10_000)
    with pytest.raises(InputError, match="has 10,000 bytes, more than the 100 that are read"):
        read_text(tmp_path / "large", most=100)
    (tmp_path / "latin").write_bytes("é".encode("latin-1"))
    with pytest.raises(InputError, match=r"is not UTF-8 \(byte 0\)"):
        read_yaml(tmp_path / "latin")
    (tmp_path / "list").write_text("[1]")
    with pytest.raises(InputError, match=r"is damaged: it holds \[1\], no object with fields"):
        read_json(tmp_path / "list", kind=dict)
    (tmp_path / "mark").write_bytes(b"\xef\xbb\xbf{}")
    assert read_json(tmp_path / "mark") == {}


class _Toy(Closed):
    rows: int = Field(ge=1)
    names: list[str]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"rows": 1}, "names is missing"),
        ({"rows": 0, "names": [3]}, "rows is 0 and should be greater than or equal to 1 (and 1 more)"),
        ({"rows": True, "names": []}, "rows is True and should be a valid integer"),
        ({"rows": 1, "names": ["a", None]}, "names.1 is None and should be a valid string"),
        (
            {"rows": 1, "names": [], "more\x1b": 2},
            r"there is a field more\x1b that this version does not know",
        ),
        ([1], "its content is [1] and should be a valid dictionary"),
        ({"rows": "y" * 10_000, "names": []}, "yyy...yyy"),
    ],
)
def test_records_say_what_is_wrong_where_and_what_to_do(value: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        checked(_Toy, value, "it", then="do this")
    said = str(caught.value)
    assert said.startswith("it is damaged: ") and said.endswith("; do this") and message in said
    assert len(said) < 300


def test_a_record_leaves_alone_what_it_does_not_know() -> None:
    class Open(Record):
        a: int

    assert checked(Open, {"a": 1, "b": 2}, "it") == Open(a=1)


def test_what_a_library_raises_is_told_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught, reading(tmp_path / "x"):
        raise ValueError("a\x1b\nb")
    assert r"x' is damaged: ValueError a\x1b b; make it again" in str(caught.value)
    with pytest.raises(ModelError, match="mine"), reading(tmp_path / "x"):
        raise ModelError("mine")


def test_values_in_errors_are_escaped_and_short() -> None:
    assert shown("\x1b[31m\u202e") == r"'\x1b[31m\u202e'"
    assert len(shown("y" * 10**6)) <= 210 and len(shown([["y" * 10**5] * 100] * 100)) <= 210
    assert shown(10**5000) == "a number of more than 40 digits"
    assert len(str(unknown("task", "z" * 10**5, ["nli", "sentiment"]))) < 300


def test_a_table_that_claims_more_rows_than_it_can_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.parquet"
    pd.DataFrame({"n": np.zeros(10_000, int)}).to_parquet(path)
    assert len(read_table(path, {"n": "whole"})) == 10_000
    # As a file of a few bytes that speaks of millions.
    monkeypatch.setattr(tables, "_MANY_ROWS", 100)
    monkeypatch.setattr(tables, "_ROWS_PER_BYTE", 1)
    with pytest.raises(InputError, match=r"is damaged: it claims 10,000 rows in [\d,]+ bytes"):
        read_table(path, {"n": "whole"})


@pytest.mark.parametrize(
    ("kind", "good", "bad", "message"),
    [
        ("text", ["a", "b"], ["a", None], "lacks a text in row 1"),
        ("text", pd.Categorical(["a", "b"]), [1, 2], "holds 1, no text"),
        ("text?", ["a", None], [1.5, 2.5], "holds 1.5, no text"),
        ("number", [1.0, None], ["a", "b"], "holds 'a', no numbers"),
        ("number", [1, 2], [True, False], "holds True, no numbers"),
        ("whole", [0, 2], [0.5, 1], "holds 0.5, no whole number"),
        ("whole", [0, 2], [1, -1], "holds -1, no whole number"),
        ("truth", [True, False], [1, 0], "holds 1, no truth values"),
        ("truth?", [True, None], ["yes", None], "holds 'yes', no truth values"),
    ],
)
def test_columns_hold_what_they_should(tmp_path: Path, kind: Any, good: Any, bad: Any, message: str) -> None:
    path = tmp_path / "t.parquet"
    pd.DataFrame({"a": good}).to_parquet(path)
    assert list(read_table(path, {"a": kind}).columns) == ["a"]
    pd.DataFrame({"a": bad}).to_parquet(path)
    with pytest.raises(InputError) as caught:
        read_table(path, {"a": kind}, then="do this")
    assert f"the column 'a' {message}" in str(caught.value) and str(caught.value).endswith("; do this")
    with pytest.raises(InputError, match="there is no column 'b', only 'a'"):
        read_table(path, {"b": kind})
    with pytest.raises(InputError, match="it has 2 rows and should have 3"):
        read_table(path, {}, rows=3)
