"""Layouts that instructions are published in: one record of each becomes a `Dialogue`.

A layout is told by its fields. To add one: a function from fields to a dialogue, and one `register`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from latentlang.errors import InputError, shown, unknown
from latentlang.instructions.dialogues import Dialogue, Role, Turn, check_dialogue, single
from latentlang.language_names import language
from latentlang.storage.documents import printed
from latentlang.text import counted

Fields = Mapping[str, Any]
# What speakers are called in published files.
_ROLES: dict[str, Role] = {
    "system": "system", "user": "user", "human": "user", "prompter": "user", "assistant": "assistant",
    "gpt": "assistant", "chatgpt": "assistant", "bing": "assistant", "bard": "assistant", "model": "assistant",
}  # fmt: skip
_LANGUAGE_FIELDS = ("language", "language_code", "lang")
# A field that says nothing of the layout.
_SAID_BY_ANY = ("id",)
_OF_A_LAYOUT = "add the field, or name the record's layout"


@dataclass(frozen=True)
class Source:
    """What is known of a record besides its fields.

    Attributes:
        where: file and line, for errors.
        language: code for records that do not say theirs; empty for none.
        origin: for records that do not say theirs.
    """

    where: str
    language: str = ""
    origin: str = ""


@dataclass(frozen=True)
class RecordLayout:
    """A layout of records.

    Attributes:
        name: as a user says it.
        about: what it is, in half a sentence.
        fields: all of these a record must have to be taken for one.
        read: from fields to a dialogue.
    """

    name: str
    about: str
    fields: tuple[str, ...]
    read: Callable[[Fields, Source], Dialogue]

    def fits(self, fields: Fields) -> bool:
        """Whether a record has what this layout needs."""
        return all(name in fields for name in self.fields)


_LAYOUTS: dict[str, RecordLayout] = {}


def register(layout: RecordLayout) -> RecordLayout:
    """Make a layout known; those registered first are tried first.

    Raises:
        ValueError: there is one of this name.
    """
    if layout.name in _LAYOUTS:
        raise ValueError(f"the layout {layout.name!r} is there already")
    _LAYOUTS[layout.name] = layout
    return layout


def known_layouts() -> tuple[RecordLayout, ...]:
    """All layouts, in the order in which they are tried."""
    return tuple(_LAYOUTS.values())


def layout_of(fields: Fields, where: str, *, name: str | None = None) -> RecordLayout:
    """The layout of a record: the one that is named, or the first that its fields fit.

    Raises:
        InputError: none fits, or there is none of this name.
    """
    if name is not None:
        if name not in _LAYOUTS:
            raise unknown("layout of instructions", name, _LAYOUTS)
        if not _LAYOUTS[name].fits(fields):
            missing = next(field for field in _LAYOUTS[name].fields if field not in fields)
            raise InputError(f"{where}: there is no {missing!r}, only {_listed(fields)}")
        return _LAYOUTS[name]
    for layout in _LAYOUTS.values():
        if layout.fits(fields):
            return layout
    for layout in _LAYOUTS.values():
        if (lacking := _missing_beside(layout, fields)) is not None:
            there = printed(", ".join(map(str, list(fields)[:12])))
            raise InputError(f"{where}: there is no {lacking!r}, only {there}; {_OF_A_LAYOUT}")
    known = "; ".join(f"{layout.name}: {', '.join(layout.fields)}" for layout in _LAYOUTS.values())
    raise InputError(f"{where}: a record with {_listed(fields)} is of no known layout ({known})")


def read_record(fields: Fields, source: Source, *, name: str | None = None) -> Dialogue:
    """A dialogue from a record of any layout.

    Args:
        fields: the record.
        source: where it stands, and what it does not say itself.
        name: of its layout; None to tell it by the fields.

    Raises:
        InputError: no layout fits; a field is of another kind; the language is not said or not known; the speakers do
            not take turns.
    """
    layout = layout_of(fields, source.where, name=name)
    return check_dialogue(layout.read(fields, source), source.where)


# The fields of any layout


def _listed(fields: Fields) -> str:
    return ", ".join(shown(str(name), most=40) for name in list(fields)[:12]) or "nothing"


def _missing_beside(layout: RecordLayout, fields: Fields) -> str | None:
    """The field that a record lacks for a layout of several, of which it has the first, or all the others."""
    telling = [name for name in layout.fields if name in fields and name not in _SAID_BY_ANY]
    lacking = [name for name in layout.fields if name not in fields]
    if telling and lacking and (telling[0] == layout.fields[0] or len(lacking) == 1):
        return lacking[0]
    return None


def _text(fields: Fields, name: str, where: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputError(f"{where}: {name!r} is {shown(value, most=60)} and should be a text")
    return value


def _language(fields: Fields, source: Source) -> str:
    """The first field that names a known language: a set may have a code beside a name that is spelled its own way."""
    failed: InputError | None = None
    for name in _LANGUAGE_FIELDS:
        if not (named := _text(fields, name, source.where).strip()):
            continue
        try:
            return language(named).code
        except InputError as error:
            failed = failed or error
    if failed is not None:
        raise InputError(f"{source.where}: {failed}") from failed
    if source.language:
        return source.language
    raise InputError(
        f"{source.where}: there is no 'language', and neither the file's name nor an option says it; add the field, "
        "name the file by its language (ja.jsonl), or say language= (--lang; in a recipe data.languages)"
    )


def _id(fields: Fields, source: Source, texts: Iterable[str]) -> str:
    """The record's own name; else one that records which ask the same have in common."""
    item = fields.get("id")
    if isinstance(item, bool) or not isinstance(item, str | int | None):
        raise InputError(
            f"{source.where}: 'id' is {shown(item, most=60)} and should be a text or a whole number"
        )
    return made_id(texts) if item in (None, "") else str(item)


def made_id(texts: Iterable[str]) -> str:
    """The name of a record that has none: the same for all that ask the same."""
    return hashlib.sha256("\x1f".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def made_id_of(dialogue: Dialogue) -> str:
    """The name that a dialogue has if its record had none."""
    asked = [turn.text for turn in dialogue.turns if turn.role == "user"]
    # a record of one exchange counts what its instruction is about, also where that is nothing
    names = {made_id(asked), made_id((dialogue.instruction, dialogue.input))}
    return dialogue.id if dialogue.id in names else ""


def _about(fields: Fields, source: Source) -> dict[str, str]:
    """What every layout may say beside its texts."""
    answered = _text(fields, "answer_language", source.where)
    return {
        "answer_language": language(answered).code if answered else "",
        "origin": _text(fields, "origin", source.where) or source.origin,
        "group": _text(fields, "group", source.where),
    }


def _one(fields: Fields, source: Source, *, instruction: str, output: str, about: str = "") -> Dialogue:
    asked, answer = _text(fields, instruction, source.where), _text(fields, output, source.where)
    topic = _text(fields, about, source.where) if about else ""
    return single(
        _id(fields, source, (asked, topic)), _language(fields, source), asked, answer,
        input=topic, **_about(fields, source),
    )  # fmt: skip


def _several(
    fields: Fields, source: Source, turns: Sequence[Any], *, role: str, content: str, about: str = ""
) -> Dialogue:
    said: list[Turn] = []
    for number, turn in enumerate(turns, 1):
        where = f"{source.where}, turn {number}"
        if not isinstance(turn, Mapping) or role not in turn or content not in turn:
            raise InputError(f"{where}: expected {role!r} and {content!r}, not {shown(turn, most=60)}")
        speaker = _text(turn, role, where)
        if speaker.casefold() not in _ROLES:
            raise InputError(f"{where}: {shown(speaker)} is no speaker that is known ({', '.join(_ROLES)})")
        said.append(Turn(_ROLES[speaker.casefold()], _text(turn, content, where)))
    if said and said[0] == Turn("system", ""):
        del said[0]
    item = _id(fields, source, [turn.text for turn in said if turn.role == "user"])
    return Dialogue(item, _language(fields, source), tuple(said), about, **_about(fields, source))


def _list(fields: Fields, name: str, where: str) -> list[Any]:
    value = fields[name]
    if not isinstance(value, list):
        raise InputError(f"{where}: {name!r} is {shown(value, most=60)} and should be a list of turns")
    return value


# The layouts


def _messages(fields: Fields, source: Source) -> Dialogue:
    turns = _list(fields, "messages", source.where)
    return _several(
        fields, source, turns, role="role", content="content", about=_text(fields, "input", source.where)
    )


def _sharegpt(fields: Fields, source: Source) -> Dialogue:
    turns = _list(fields, "conversations", source.where)
    return _several(fields, source, turns, role="from", content="value")


def _ultralink(fields: Fields, source: Source) -> Dialogue:
    texts = _list(fields, "data", source.where)
    if len(texts) % 2:
        raise InputError(
            f"{source.where}: 'data' holds {counted(len(texts), 'text')} and should hold questions and answers in "
            "turn, as many of each"
        )
    turns = [
        {"role": ("user", "assistant")[number % 2], "content": text} for number, text in enumerate(texts)
    ]
    return _several(fields, source, turns, role="role", content="content")


register(
    RecordLayout(
        "messages",
        "chats as the OpenAI API and TRL have them, and what is written here",
        ("messages",),
        _messages,
    )
)
register(RecordLayout("sharegpt", "chats as ShareGPT and FastChat have them", ("conversations",), _sharegpt))
register(RecordLayout("ultralink", "questions and answers in turn (UltraLink)", ("id", "data"), _ultralink))
register(
    RecordLayout(
        "alpaca", "instruction, input and output (Alpaca, Bactrian-X)", ("instruction", "output"),
        lambda fields, source: _one(fields, source, instruction="instruction", output="output", about="input"),
    )
)  # fmt: skip
register(
    RecordLayout(
        "dolly", "instruction, context and response (Dolly)", ("instruction", "response"),
        lambda fields, source: _one(fields, source, instruction="instruction", output="response", about="context"),
    )
)  # fmt: skip
register(
    RecordLayout(
        "aya", "inputs and targets (Aya)", ("inputs", "targets"),
        lambda fields, source: _one(fields, source, instruction="inputs", output="targets"),
    )
)  # fmt: skip
register(
    RecordLayout(
        "completion", "prompt and completion (TRL)", ("prompt", "completion"),
        lambda fields, source: _one(fields, source, instruction="prompt", output="completion"),
    )
)  # fmt: skip
register(
    RecordLayout(
        "humaneval", "programs to write and their solutions (HumanEval and its translations)",
        ("task_id", "prompt", "canonical_solution"),
        lambda fields, source: _one(
            {**fields, "id": fields["task_id"]}, source, instruction="prompt", output="canonical_solution"
        ),
    )
)  # fmt: skip
