"""JSON and YAML that somebody wrote: parsed within limits, checked against a record, one clear error where they fail.

A file may come from anyone, or have lost half its bytes. Whatever it holds, reading it ends soon, and with plain
values or an `InputError` that names the file and what is wrong in it.
"""

from __future__ import annotations

import io
import json
import math
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, overload

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from latentlang.errors import InputError, LatentlangError, shown
from latentlang.remote_paths import RemotePath, located

#: Of a record; a data file may be larger.
MOST_BYTES = 2**26
MOST_DATA_BYTES = 2**30
# A YAML file is written by hand, and its parser takes a second for this.
_MOST_YAML = 2**18
#: Lists and fields within one another. Nothing that is read here goes beyond ten.
MOST_DEPTH = 64
# A tokenizer's "no limit" is a number of 31 digits.
_MOST_DIGITS = 40
# In digits of any base, and with dashes between them.
_LONGEST_NUMBER = 4 * _MOST_DIGITS
AGAIN = "make it again, or copy the whole file from where it came from"

Model = TypeVar("Model", bound=BaseModel)


def norwegian(code: Any) -> Any:
    """YAML 1.1 reads the code of Norwegian, ``no``, as false."""
    return "no" if code is False else code


def _listed(value: Any) -> Any:
    value = norwegian(value)
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list):
        return names
    return [name.strip() if isinstance(name, str) else norwegian(name) for name in names]


#: Fields of a record: the code of a language; and one name, names with commas, or a list.
Code = Annotated[str, BeforeValidator(norwegian)]
Names = Annotated[list[str], BeforeValidator(_listed)]
_SURROGATES = re.compile("[\ud800-\udfff]")
# How half of a pair is written in JSON or YAML; a text that holds none needs no second look.
_ESCAPED_SURROGATES = re.compile(r"\\u[dD][89a-fA-F]|\\U0000[dD][89a-fA-F]")


class Record(BaseModel):
    """Base of the records that files hold: strict types, and what is not known is left alone."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)


class Closed(Record):
    """A record in which an unknown field is a mistake."""

    model_config = ConfigDict(extra="forbid")


def damaged(
    path: Path | str, what: str, *, then: str = AGAIN, error: type[InputError] = InputError
) -> InputError:
    """Build the error for a file that is not what it should be.

    Args:
        path: the file.
        what: what is wrong, and where in it.
        then: what to do.
        error: its class.
    """
    return error(f"{_named(path)} is damaged: {what}; {then}")


def _named(path: Path | str) -> str:
    return shown(str(path)) if isinstance(path, Path) else path


@contextmanager
def reading(path: Path | str, *, then: str = AGAIN, error: type[InputError] = InputError) -> Iterator[None]:
    """A block in which a library reads a file: whatever it raises about the content means that the file is damaged.

    Raises:
        InputError: it is, or there is not the memory that it asks for; errors of our own pass as they are.
    """
    try:
        yield
    except LatentlangError:
        raise
    except MemoryError as found:
        what = f"not enough memory to read {_named(path)} ({_line(found)})"
        raise error(f"{what}: it is damaged, or too large for this machine; {then}") from found
    except OSError as found:
        raise _unreadable(path, found, then=then, error=error) from found
    except Exception as found:
        raise damaged(path, _line(found), then=then, error=error) from found


def _unreadable(path: Path | str, found: OSError, *, then: str, error: type[InputError]) -> InputError:
    """The error for a file that the machine does not give; what is not there cannot be put right."""
    if isinstance(found, FileNotFoundError):
        if then.startswith("put it right"):
            then = "name one that is there"
        return error(f"there is no file {_named(path)}; {then}")
    return error(f"cannot read {_named(path)}: {found.strerror or _line(found)}; {then}")


def _line(error: BaseException) -> str:
    """What a library says, on one line, escaped and cut."""
    text = " ".join(str(error).split())
    name = type(error).__name__
    return f"{name} {printed(text)}" if text else name


def printed(text: str, *, most: int = 200) -> str:
    """A library's words on one line, escaped where they hold what cannot be printed, and cut."""
    line = " ".join(text.split())
    return line if line.isprintable() and len(line) <= most else shown(line, most=most)[1:-1]


# Texts


def read_text(
    path: Path,
    *,
    most: int = MOST_BYTES,
    then: str = AGAIN,
    error: type[InputError] = InputError,
    keep_line_ends: bool = False,
) -> str:
    """A UTF-8 file's text, without a byte order mark; every line end a line feed unless they are to be kept.

    Raises:
        InputError: there is no such file, it cannot be read, is larger than `most` bytes, or is not UTF-8.
    """
    try:
        path = located(path)
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for, and /dev/zero has no end
            raise error(f"{_named(path)} is no file; {then}")
        if status.st_size > most:
            raise error(
                f"{_named(path)} has {status.st_size:,} bytes, more than the {most:,} that are read; {then}"
            )
        line_ends = "" if keep_line_ends else None
        if isinstance(path, RemotePath):
            # at once: read by ranges, one that is replaced meanwhile would be half the old and half the new
            content = io.BytesIO(path.read_bytes())
            return io.TextIOWrapper(content, encoding="utf-8-sig", newline=line_ends).read()
        with path.open(encoding="utf-8-sig", newline=line_ends) as file:
            return file.read()
    except OSError as found_error:
        raise _unreadable(path, found_error, then=then, error=error) from found_error
    except UnicodeDecodeError as found_error:
        raise error(f"{_named(path)} is not UTF-8 (byte {found_error.start}); {then}") from found_error
    except ValueError as found_error:  # a NUL in the name
        if isinstance(found_error, InputError):
            raise
        raise error(f"cannot read {_named(path)}: {found_error}; {then}") from found_error


# JSON


@overload
def read_json(
    path: Path, *, kind: type[dict[str, Any]], most: int = ..., finite: bool = ..., then: str = ...,
    error: type[InputError] = ...,
) -> dict[str, Any]: ...  # fmt: skip


@overload
def read_json(
    path: Path, *, kind: None = ..., most: int = ..., finite: bool = ..., then: str = ...,
    error: type[InputError] = ...,
) -> Any: ...  # fmt: skip


def read_json(
    path: Path,
    *,
    kind: type[dict[str, Any]] | None = None,
    most: int = MOST_BYTES,
    finite: bool = True,
    then: str = AGAIN,
    error: type[InputError] = InputError,
) -> Any:
    """The content of a JSON file.

    Args:
        path: the file.
        kind: ``dict`` where it must be an object.
        most: bytes that are read.
        finite: whether NaN and infinities, which are no JSON, are refused.
        then: what to do about a damaged file, for the error.
        error: its class.

    Raises:
        InputError: it cannot be read, or `parse_json` refuses it.
    """
    text = read_text(path, most=most, then=then, error=error)
    content = parse_json(text, path, finite=finite, then=then, error=error)
    if kind is dict and not isinstance(content, dict):
        raise damaged(
            path, f"it holds {shown(content, most=60)}, no object with fields", then=then, error=error
        )
    return content


def parse_json(
    text: str | bytes,
    where: Path | str,
    *,
    finite: bool = True,
    then: str = AGAIN,
    error: type[InputError] = InputError,
) -> Any:
    """JSON from a text, within limits.

    Args:
        text: the text, or UTF-8 bytes.
        where: what it is, for the error: the file, or words.
        finite: whether NaN and infinities are refused.
        then: what to do, for the error.
        error: its class.

    Raises:
        InputError: it is no JSON; nested too deeply; has a number too large, a key twice with different values, or
            half of a surrogate pair, which no encoding can write.
    """

    def refuse(what: str, at: str = "") -> InputError:
        return damaged(where, what + (f", at {at}" if at else ""), then=then, error=error)

    def constant(name: str) -> float:
        if finite:
            raise refuse(f"it holds {name}, which is no number")
        return float(name)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) < len(pairs):
            for key, value in pairs:
                if content[key] != value:
                    raise refuse(f"it says {shown(key)} twice, and different things")
        return content

    try:
        content = json.loads(text, parse_constant=constant, object_pairs_hook=unique)
    except json.JSONDecodeError as problem:
        problem_text = f"{problem.msg} in line {problem.lineno}"
        raise error(f"{_named(where)} is not JSON: {problem_text}; {then}") from problem
    except RecursionError:
        raise refuse(f"it is nested too deeply, more than {MOST_DEPTH} levels") from None
    except UnicodeDecodeError as problem:
        raise error(f"{_named(where)} is not UTF-8 (byte {problem.start}); {then}") from problem
    except ValueError as problem:
        if isinstance(problem, InputError):
            raise
        raise refuse("it holds a number of thousands of digits") from problem
    halves = isinstance(text, bytes) or _ESCAPED_SURROGATES.search(text) is not None
    if (problem_found := _beyond(content, finite=finite, halves=halves)) is not None:
        raise refuse(*problem_found)
    return content


def _beyond(value: Any, *, finite: bool, halves: bool) -> tuple[str, str] | None:
    """What is outside the limits in parsed values, and where; None where nothing is.

    Layer by layer, not by recursion: it must not fail on what it is looking for.
    """
    level: list[tuple[Any, tuple[Any, ...]]] = [(value, ())]
    for _ in range(MOST_DEPTH + 1):
        inner: list[tuple[Any, tuple[Any, ...]]] = []
        for entry, path in level:
            if isinstance(entry, dict):
                inner += [(child, (path, key)) for key, child in entry.items()]
                if halves:
                    inner += [(key, (path, key)) for key in entry]
            elif isinstance(entry, list):
                inner += [(child, (path, index)) for index, child in enumerate(entry)]
            elif isinstance(entry, str):
                if halves and _SURROGATES.search(entry):
                    return f"the text {shown(entry)} holds half of a character (a lone surrogate)", _at(path)
            elif isinstance(entry, int):
                if abs(entry) >= 10**_MOST_DIGITS:
                    return f"it holds a number of more than {_MOST_DIGITS} digits", _at(path)
            elif isinstance(entry, float) and finite and not math.isfinite(entry):
                return f"it holds {entry}, which is no number", _at(path)
        if not inner:
            return None
        level = inner
    return f"it is nested too deeply, more than {MOST_DEPTH} levels", ""


def _at(path: tuple[Any, ...]) -> str:
    """Where in a document: keys and places from the outside in."""
    parts: list[str] = []
    while path:
        path, key = path
        parts.append(f"item {key}" if isinstance(key, int) else shown(key, most=60))
    return ", ".join(reversed(parts))


# YAML


class _Loader(yaml.SafeLoader):
    """Texts, numbers, truth values, lists and mappings: no tags but ``!!str``, no aliases, no dates; keys are texts.

    A date stays the text that it is. A key stays as it is written: ``no`` is Norwegian, ``1`` is the text "1".
    """

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            raise _refused("aliases (*name) are not read; write the value out", mark)
        tag = getattr(event, "tag", None)
        if tag not in (None, "!", "tag:yaml.org,2002:str"):
            raise _refused(f"the tag {shown(tag)} is not read; leave it out", mark)
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise _refused(f"it is nested too deeply, more than {MOST_DEPTH} levels", mark)
        composed: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return composed

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping: dict[Any, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _refused("a key must be a text", key.start_mark)
            if key.value in mapping:
                raise _refused(f"the key {shown(key.value)} is there twice", key.start_mark)
            mapping[key.value] = self.construct_object(value, deep=deep)
        return mapping


def _whole(loader: _Loader, node: yaml.ScalarNode) -> int:
    if len(node.value) > _LONGEST_NUMBER:
        raise _refused(f"it holds a number of more than {_MOST_DIGITS} digits", node.start_mark)
    number: int = loader.construct_yaml_int(node)
    return number


def _refused(problem: str, mark: yaml.Mark) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, mark)


_Loader.add_constructor("tag:yaml.org,2002:int", _whole)
# Dates would come out as objects that nothing here takes, and fail on the 45th of a month; ``<<`` needs aliases.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in kept if tag.rpartition(":")[2] not in ("timestamp", "merge")]
    for first, kept in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_yaml(path: Path, *, then: str = "put it right", error: type[InputError] = InputError) -> Any:
    """The content of a YAML file.

    Raises:
        InputError: it cannot be read, or `parse_yaml` refuses it.
    """
    text = read_text(path, most=_MOST_YAML, then=then, error=error)
    return parse_yaml(text, path, then=then, error=error)


def parse_yaml(
    text: str, where: Path | str, *, then: str = "put it right", error: type[InputError] = InputError
) -> Any:
    """YAML from a text, within limits: plain values only, see `_Loader`; empty text is None.

    Raises:
        InputError: it is no YAML; has aliases, tags, a key twice or one that is no text; is nested too deeply; or holds
            a number that is too large or none (``.nan``), or half of a surrogate pair.
    """

    def refuse(what: str) -> InputError:
        return error(f"{_named(where)} is not YAML: {what}; {then}")

    if len(text) > _MOST_YAML:
        raise refuse(f"it has {len(text):,} characters, more than {_MOST_YAML:,}")
    loader = None
    try:
        loader = _Loader(text)
        content = loader.get_single_data()
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark
        line = f" in line {mark.line + 1}" if mark is not None else ""
        raise refuse(f"{printed(problem.problem or 'it cannot be parsed')}{line}") from problem
    except yaml.YAMLError as problem:
        raise refuse(printed(str(problem))) from problem
    except RecursionError:
        raise refuse(f"it is nested too deeply, more than {MOST_DEPTH} levels") from None
    except (ValueError, ArithmeticError, LookupError, TypeError, AttributeError) as problem:
        # PyYAML turns what looks like a number into one without a second look: 0b, or five thousand digits.
        raise refuse(f"a number in it cannot be read ({_line(problem)})") from problem
    finally:
        if loader is not None:
            loader.dispose()
    if (beyond := _beyond(content, finite=True, halves=True)) is not None:
        raise refuse(", at ".join(filter(None, beyond)))
    return content


# Records


def checked(
    model: type[Model],
    value: Any,
    where: Path | str,
    *,
    then: str = AGAIN,
    error: type[InputError] = InputError,
) -> Model:
    """What a file holds as the record that it should be.

    Args:
        model: the record.
        value: what was parsed.
        where: the file, or words, for the error.
        then: what to do, for the error.
        error: its class.

    Raises:
        InputError: a field is missing, unknown or of another kind; the first such is named, and how many more there
            are.
    """
    try:
        return model.model_validate(value)
    except ValidationError as problem:
        raise damaged(where, said(problem), then=then, error=error) from None
    except RecursionError:
        raise damaged(where, "it is nested too deeply", then=then, error=error) from None


def said(problem: ValidationError, *, kind: Literal["file", "value"] = "file") -> str:
    """What pydantic found, in words: the first problem, its place, what stands there, and how many more there are."""
    first, *others = problem.errors(include_url=False, include_context=False)
    location = ".".join(shown(part)[1:-1] if isinstance(part, str) else str(part) for part in first["loc"])
    reason = first["msg"].removeprefix("Value error, ")
    more = f" (and {len(others)} more)" if others else ""
    if first["type"] == "missing":
        return f"{location} is missing{more}"
    if first["type"] == "extra_forbidden":
        return f"there is a field {location} that this version does not know{more}"
    if first["type"] == "value_error":
        return f"{location + ': ' if location else ''}{printed(reason)}{more}"
    what = location or ("it" if kind == "value" else "its content")
    # "Input should be a valid string", "String should match pattern '...'"
    wanted = reason.partition(" should ")[2] or f"be {reason}"
    return f"{what} is {shown(first['input'], most=80)} and should {printed(wanted)}{more}"
