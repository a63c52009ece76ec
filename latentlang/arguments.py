"""Values that users give, at a shell or in Python: how many of something, names with commas, numbers and ranges.

The limits are far above what makes sense and far below what a machine cannot take. They stand here and nowhere else.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import inspect
import typing
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral
from typing import Any, Literal, ParamSpec, TypeVar, cast

from latentlang.errors import InputError, OptionError, notebook_traceback, shown, unknown

T = TypeVar("T")
P = ParamSpec("P")

#: Of what is only held against what is there: items, tokens run at once.
MOST = 2**31 - 1
#: Of seeds, in numpy's older generators too.
MOST_SEED = 2**32 - 1
#: Of permutations and resamples: p-values down to 0.00001, and a draw for each item of each still fits into memory.
MOST_DRAWS = 100_000
#: Of a layer; the deepest model there is has fewer than a thousand.
MOST_LAYER = 9_999
#: Of what is at most as wide as a model: components, directions, neighbours, the rank of a LoRA.
MOST_WIDTH = 65_536
#: Of few-shot examples, tokens shown and tokens of a training step.
MOST_SHOTS, MOST_SHOWN, MOST_POSITIONS = 10_000, 1_000, 65_536
#: Of training: optimiser steps, and translations in one.
MOST_STEPS, MOST_BATCH, MOST_EPOCHS = 100_000_000, 1_000_000, 1_000_000.0
#: Of a learning rate, and of a LoRA's scale.
MOST_RATE, MOST_ALPHA = 100.0, 1_000_000.0
#: Of processes at once.
MOST_JOBS = 1_024

_LIMITS = {
    "seed": MOST_SEED,
    "permutations": MOST_DRAWS, "resamples": MOST_DRAWS,
    "components": MOST_WIDTH, "neighbours": MOST_WIDTH, "directions": MOST_WIDTH, "rank": MOST_WIDTH,
    "shots": MOST_SHOTS, "top": MOST_SHOWN, "positions": MOST_POSITIONS,
    "steps": MOST_STEPS, "batch": MOST_BATCH, "jobs": MOST_JOBS,
}  # fmt: skip


def most(name: str) -> int:
    """The limit of a count of this name, ``--batch-tokens`` and ``batch_tokens`` alike."""
    return _LIMITS.get(name.lstrip("-").replace("-", "_"), MOST)


def check_unicode(text: str, name: str) -> None:
    """Refuse a text with half of a character, which no tokenizer takes and no file can hold.

    Args:
        text: the text.
        name: what it is called in the error.

    Raises:
        InputError: naming the place.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        near = text[max(error.start - 10, 0) : error.end + 10]
        raise InputError(
            f"{name} holds half of a character (a lone surrogate) at character {error.start + 1}, near {near!r}; give "
            "it as UTF-8"
        ) from error


def check_count(name: str, value: int | None, *, least: int) -> None:
    """Refuse a count below `least` or above what makes sense for its name (`most`); None was not given.

    Raises:
        InputError: naming the option and the value.
    """
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InputError(f"{name} must be a whole number, not {shown(value)}")
    if value < least:
        raise InputError(f"{name} must be at least {least}, not {_digits(value)}")
    if value > most(name):
        raise InputError(f"{name} must be at most {most(name):,}, not {_digits(value)}")


def parse_count(name: str, text: str, *, least: int, instead: str = "") -> int:
    """A count from text.

    Args:
        name: of the option.
        text: what was given.
        least: the smallest that makes sense.
        instead: a word that would do too, for the error.

    Raises:
        InputError: it is none.
    """
    long = len(text) > _MOST_DIGITS
    if not _is_number(text) or (not long and int(text) < least):
        others = f", or {instead}" if instead else ""
        raise InputError(f"{name} takes a number of at least {least}{others}, not {_cut(text)!r}")
    count = 10**_MOST_DIGITS if long else int(text)
    check_count(name, count, least=least)
    return count


def parse_span(name: str, text: str) -> tuple[int, int]:
    """The least and the most from ``"1000-2000"``.

    Args:
        name: of the option.
        text: what was given.

    Raises:
        InputError: it is none.
    """
    least, dash, most = text.partition("-")
    if not dash:
        raise InputError(f"{name} takes the least and the most, e.g. 1000-2000, not {shown(text, most=60)}")
    return parse_count(name, least.strip(), least=0), parse_count(name, most.strip(), least=1)


def split_given(given: str | T | Iterable[str | T]) -> list[str | T]:
    """Names from ``"ja,hi"``, one thing, or a sequence of both, in order; empty names are left out."""
    several = isinstance(given, Iterable) and not isinstance(given, str)
    values: list[str | T] = list(cast("Iterable[str | T]", given)) if several else [cast("str | T", given)]
    parts: list[str | T] = []
    for value in values:
        parts += filter(None, map(str.strip, value.split(","))) if isinstance(value, str) else [value]
    return parts


def split_names(given: str | Iterable[str]) -> list[str]:
    """Names from ``"mean,last"`` or a sequence of such texts, in order and each once; empty ones are left out."""
    return list(dict.fromkeys(map(str, split_given(given))))


#: Layers as they are given: ``"all"``, ``"0,4,8-12"``, one number, or several.
Layers = str | int | Iterable[int]


def given_layers(layers: Layers, *, option: str = "layers=") -> Literal["all"] | list[int]:
    """Layer numbers as they were given; ``"all"`` as it is.

    Args:
        layers: what was given.
        option: what it was given as, for the error.

    Raises:
        InputError: it is no layer number and no list of them.
    """
    if isinstance(layers, str):
        return "all" if layers == "all" else parse_layers(layers, option=option)
    numbers = list(layers) if isinstance(layers, Iterable) else [layers]
    for layer in numbers:
        if isinstance(layer, bool) or not isinstance(layer, Integral):
            raise InputError(
                f"layer {shown(layer)} is no layer number; give whole numbers, or text such as '0,4,8-12' or 'all'"
            )
    return list(map(int, numbers))


def parse_layers(text: str, *, option: str = "layers=") -> list[int]:
    """Layer numbers from ``0,4,8-12``.

    Args:
        text: what was given.
        option: what it was given as, for the error.

    Raises:
        InputError: that is no list of numbers, or of larger ones than any model has.
    """
    layers: list[int] = []
    for part in text.split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        if not _is_number(first) or (dash and not _is_number(last)):
            raise InputError(f"{option}{_cut(text)!r}: give all, or numbers and ranges such as 0,4,8-12")
        ends = [number if dash else first for number in (first, last)]
        if any(len(number) > _MOST_DIGITS or int(number) > MOST_LAYER for number in ends):
            raise InputError(f"{option}{_cut(text)!r}: no model has a layer above {MOST_LAYER}")
        start, stop = map(int, ends)
        if stop < start:
            raise InputError(f"{option}{_cut(text)!r}: the range {first}-{last} ends before it begins")
        layers.extend(range(start, stop + 1))
    return list(dict.fromkeys(layers))


def ranges(numbers: Sequence[int]) -> str:
    """Whole numbers as a person writes them: ``0-8``, ``0, 4, 8``."""
    if len(numbers) > 2 and list(numbers) == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]}-{numbers[-1]}"
    return ", ".join(map(str, numbers))


def layer_words(layers: Sequence[int]) -> str:
    """``layer 8``, ``layers 0-8``: layers by their numbers."""
    return f"layer{'' if len(layers) == 1 else 's'} {ranges(layers)}"


# Python reads no number of more than 4,300 digits; none that makes sense has this many.
_MOST_DIGITS = 18


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _digits(value: int) -> str:
    """A number for an error: how large it is where nobody would read it."""
    return str(value) if abs(value) < 10**_MOST_DIGITS else f"one of more than {_MOST_DIGITS} digits"


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def chosen_names(asked: str | Iterable[str], kind: str, known: Sequence[str]) -> list[str]:
    """Resolve names that may come as one text with commas, each once.

    Args:
        asked: the names.
        kind: what they name, for an error.
        known: the names there are.

    Raises:
        InputError: an unknown name, or none.
    """
    names = split_names(asked)
    for name in names:
        if name not in known:
            raise unknown(kind, name, known)
    if not names:
        raise InputError(f"no {kind} was chosen; there are {', '.join(known)}")
    return names


def one_name(given: str | Iterable[str], kind: str) -> str:
    """The one name that is given, where several are no use; it may come alone in a list.

    Args:
        given: the name.
        kind: what it names, for an error.

    Raises:
        InputError: it is none, or several.
    """
    names = split_names(given)
    if len(names) != 1:
        raise InputError(f"one {kind} is needed here, not {', '.join(names) or 'none'}; name one")
    return names[0]


def check_options(given: Iterable[str], *functions: Callable[..., Any]) -> None:
    """Refuse an option by its name before anything slow, where options are handed on to other functions.

    Args:
        given: names of options.
        functions: the one that was called, then those that it hands options on to.

    Raises:
        InputError: none of them has an option of this name.
    """
    known = [
        name
        for function in functions
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    for name in given:
        if name not in known:
            raise unknown(f"option of {functions[0].__name__}", name, known)


def checked_call(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a public function so that a call with an unknown, missing or misplaced option says what it takes.

    Names are checked before anything is run; what the values are is for the function to say.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: P.args, **options: P.kwargs) -> T:
        try:
            signature.bind(*args, **options)
        except TypeError:
            raise _miscalled(function, signature, args, options) from None
        try:
            return function(*args, **options)
        except KeyboardInterrupt as interrupt:
            # read by IPython: a stopped cell is not followed by pages of the model's own code
            vars(interrupt)["_render_traceback_"] = functools.partial(notebook_traceback, interrupt)
            raise

    return call


def _miscalled(
    function: Callable[..., object],
    signature: inspect.Signature,
    args: Sequence[object],
    options: Iterable[str],
) -> InputError:
    """The error for a call that does not fit a signature: the first thing that is wrong with it."""
    name = function.__name__
    parameters = signature.parameters.values()
    places = [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]
    named = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters)
    for option in options:
        if option not in (*places, *named) and not takes_any:
            if within := _option_within(function, option, [*places, *named]):
                return OptionError(f"unknown option of {name} {option!r}; did you mean {within}?")
            message = unknown(f"option of {name}", option, [*places, *named], hint=f"help({name}) lists them")
            return OptionError(message.args[0])
    if len(args) > len(places):
        extra = len(args) - len(places)
        takes_list = "Sequence[" in str(signature.parameters[places[0]].annotation) if places else False
        if len(places) == 1 and takes_list and len(set(map(type, args))) == 1:
            return OptionError(f"{name} takes its {places[0]} as one list: {name}([one, other])")
        return OptionError(
            f"{name} takes {', '.join(places)} by position and all else by name, such as {named[0]}=; "
            f"{'one value is' if extra == 1 else f'{extra} values are'} too many"
            if named
            else f"{name} takes {', '.join(places)} and no more"
        )
    given = {*places[: len(args)], *options}
    missing = [
        one
        for one in (*places, *named)
        if signature.parameters[one].default is inspect.Parameter.empty and one not in given
    ]
    if missing:
        # who left one out in the middle has given another in its place
        order = f"; by position it takes {', '.join(places)}" if args and len(places) > 2 else ""
        needed = " and ".join(f"{one}=" for one in missing)
        return OptionError(f"{name} needs {needed}; see help({name}){order}")
    twice = next(option for option in options if option in places[: len(args)])
    return OptionError(f"{name} was given {twice} twice, by position and by name")


def _option_within(function: Callable[..., object], option: str, direct: Sequence[str]) -> str:
    """Where an option that a function lacks is a field of what another takes: ``decoding=Decoding(samples=...)``.

    Empty where one of its own is at least as near. What other libraries put before a name counts for nothing.
    """
    try:
        hints = typing.get_type_hints(function)
    except NameError:  # of a name that only the type checker imports
        return ""
    within: dict[str, str] = {}
    for taker, hint in hints.items():
        kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
        if taker in direct and len(kinds) == 1 and dataclasses.is_dataclass(kinds[0]):
            for field in dataclasses.fields(kinds[0]):
                within.setdefault(
                    field.name, f"{taker}={typing.cast('type', kinds[0]).__name__}({field.name}=...)"
                )
    sought = {option, option.removeprefix("max_").removeprefix("num_").removeprefix("n_")}

    def nearness(choice: str) -> float:
        return max(difflib.SequenceMatcher(None, one, choice).ratio() for one in sought)

    nearest = max([*direct, *within], key=nearness, default="")
    return within.get(nearest, "") if nearness(nearest) > 0.7 else ""
