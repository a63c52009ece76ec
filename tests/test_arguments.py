"""Counts, names with commas and ranges that users give: what is taken, and the limits."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

import latentlang as ll
from latentlang import arguments
from latentlang.arguments import (
    check_count,
    checked_call,
    given_layers,
    parse_count,
    parse_layers,
    ranges,
    split_given,
    split_names,
)
from latentlang.errors import InputError


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("seed", 2**32 - 1),
        ("--seed", 2**32 - 1),
        ("permutations", 100_000),
        ("--resamples", 100_000),
        ("components", 65_536),
        ("positions", 65_536),
        ("shots", 10_000),
        ("items", 2**31 - 1),
        ("--batch-tokens", 2**31 - 1),
    ],
)
def test_a_count_ends_at_the_limit_of_its_name(name, most):
    check_count(name, most, least=0)
    with pytest.raises(InputError, match=f"^{name} must be at most {most:,}, not {most + 1}$"):
        check_count(name, most + 1, least=0)


def test_a_count_begins_at_least_and_may_be_left_out():
    check_count("items", None, least=1)
    check_count("items", 1, least=1)
    with pytest.raises(InputError, match=r"^items must be at least 1, not 0$"):
        check_count("items", 0, least=1)


def test_nobody_is_shown_five_thousand_digits():
    with pytest.raises(InputError, match=r"not one of more than 18 digits$"):
        check_count("seed", 10**4200, least=0)
    with pytest.raises(InputError, match=r"not one of more than 18 digits$"):
        check_count("seed", -(10**4200), least=0)
    with pytest.raises(InputError, match="--items must be at most 2,147,483,647"):
        parse_count("--items", "9" * 5000, least=1)


def test_a_count_from_text():
    assert parse_count("--items", "12", least=1) == 12
    for text in ("0", "-1", "1.5", "", "many", "٣", "²", "1_0"):
        with pytest.raises(InputError, match=r"^--items takes a number of at least 1, or all, not "):
            parse_count("--items", text, least=1, instead="all")


def test_names_come_with_commas_or_one_by_one():
    assert split_names(" mean, last,,mean ") == ["mean", "last"]
    assert split_names(["fig1,table8", "fig1", "fig2"]) == ["fig1", "table8", "fig2"]
    assert split_names(" , ") == []


def test_layers_and_ranges():
    assert parse_layers("0,4, 8-10,4") == [0, 4, 8, 9, 10]
    assert parse_layers("3 - 5") == [3, 4, 5]
    assert ranges(parse_layers("0-8")) == "0-8"
    assert ranges([0, 4, 8]) == "0, 4, 8"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0-99999999999", "no model has a layer above 9999"),
        ("9" * 5000, "no model has a layer above 9999"),
        (f"0-{'9' * 5000}", "no model has a layer above 9999"),
        ("8-4", "the range 8-4 ends before it begins"),
        ("", "give all, or numbers and ranges"),
        ("1,,2", "give all, or numbers and ranges"),
        ("٣", "give all, or numbers and ranges"),
        ("-1", "give all, or numbers and ranges"),
    ],
)
def test_layers_that_are_none(text, said):
    with pytest.raises(InputError, match=said) as caught:
        parse_layers(text)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("layers", "numbers"),
    [
        ("all", "all"),
        ("0,4,8-10", [0, 4, 8, 9, 10]),
        (3, [3]),
        (range(2, 4), [2, 3]),
        ([-1, np.int64(2)], [-1, 2]),
        ([], []),
    ],
)
def test_layers_are_given_as_text_number_or_several(layers, numbers):
    assert given_layers(layers) == numbers


@pytest.mark.parametrize("layers", [None, True, 1.0, [1, "2"], [[1]]])
def test_what_is_no_layer_is_named(layers):
    with pytest.raises(InputError, match="is no layer number; give whole numbers"):
        given_layers(layers)


def test_every_limit_can_be_held():
    """No limit is above what the narrowest reader of its number takes: numpy's seeds, 32-bit counts."""
    assert all(0 < limit <= arguments.MOST_SEED for limit in arguments._LIMITS.values())


def test_names_are_split_and_things_left_as_they_are():
    thing = object()
    assert split_given("ja, hi,,") == ["ja", "hi"] and split_given(" ") == []
    assert split_given(thing) == [thing]
    assert split_given(["a,b", thing, "a"]) == ["a", "b", thing, "a"]
    assert split_given(name for name in ("a,b", "c")) == ["a", "b", "c"]
    assert split_names(["a,b", "a"]) == ["a", "b"]


@checked_call
def _read(model, task="translation", *, languages, items=None):
    """For the tests below."""
    return (model, task, languages, items)


@checked_call
def _make(name, **options):
    return name, options


@dataclass(frozen=True)
class _Look:
    size: int = 1


@checked_call
def _draw(results: Sequence[str], *, names=(), look: _Look | None = None):
    return results, names, look


@checked_call
def _units(model, sae, texts):
    return model, sae, texts


def test_a_checked_call_is_the_call():
    assert _read("a", languages="ja", items=2) == ("a", "translation", "ja", 2)
    assert _make("a", anything=1) == ("a", {"anything": 1})
    assert list(inspect.signature(_read).parameters) == ["model", "task", "languages", "items"]
    assert _read.__doc__ == "For the tests below."


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: _read("a", language="ja"),
            r"unknown option of _read 'language'; did you mean 'languages'\?",
        ),
        (lambda: _read("a", n_items=2), r"'n_items'; did you mean 'items'\? help\(_read\) lists them"),
        (lambda: _read(languages="ja"), r"^_read needs model=; see help\(_read\)"),
        (lambda: _read("a"), r"^_read needs languages=;"),
        (lambda: _read(), r"^_read needs model= and languages=;"),
        (
            lambda: _read("a", "b", "ja"),
            r"^_read takes model, task by position .* languages=; one value is too many",
        ),
        (lambda: _read("a", "b", 1, 2), r"2 values are too many"),
        (lambda: _read("a", model="b", languages="ja"), r"given model twice"),
        (lambda: _make(), r"^_make needs name="),
        (lambda: _draw("a", "b"), r"^_draw takes its results as one list: _draw\(\[one, other\]\)$"),
        (lambda: _make("a", "b"), r"^_make takes name and no more"),
        (
            lambda: ll.compare("pocket", "pocket-control"),
            r"^compare takes model by position and all else by name",
        ),
        (lambda: _draw("a", max_size=2), r"'max_size'; did you mean look=_Look\(size=\.\.\.\)\?$"),
        (lambda: _draw("a", nams="b"), r"'nams'; did you mean 'names'\? help\(_draw\) lists them"),
        (lambda: _units("a", "b"), r"^_units needs texts=; .*; by position it takes model, sae, texts$"),
        (lambda: _make("a", 2), r"^_make takes name and no more"),
    ],
)
def test_a_call_that_does_not_fit_says_what_does(call, message):
    with pytest.raises(InputError, match=message):
        call()
    with pytest.raises(TypeError, match=message):  # what Python raises of itself
        call()


def test_what_a_checked_function_raises_itself_is_left_alone():
    @checked_call
    def fails(value):
        raise TypeError(f"its own, {value}")

    with pytest.raises(TypeError, match=r"^its own, 1$") as failure:
        fails(1)
    assert not isinstance(failure.value, InputError)


@pytest.mark.parametrize("value", ["8", 8.0, True, [8]])
def test_a_count_is_a_whole_number(value):
    with pytest.raises(InputError, match=r"^items must be a whole number, not "):
        check_count("items", value, least=1)
    check_count("items", np.int64(8), least=1)


def _takes_named_options_alone(function):
    parameters = inspect.signature(function).parameters.values()
    return all(one.kind is not one.VAR_KEYWORD for one in parameters)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in ll.__all__
        if inspect.isfunction(getattr(ll, name)) and _takes_named_options_alone(getattr(ll, name))
    ],
)
def test_every_public_function_names_an_option_that_it_does_not_have(name):
    with pytest.raises(InputError, match=f"unknown option of {name} 'no_such_option'"):
        getattr(ll, name)(no_such_option=1)


def test_half_of_a_character_is_refused_with_its_place():
    arguments.check_unicode("café 猫 \U0001f600", "the text")
    with pytest.raises(
        InputError, match=r"^the text holds half of a character \(a lone surrogate\) at character 4, "
    ):
        arguments.check_unicode("caf\ud800e", "the text")
    model = ll.load("pocket")
    with pytest.raises(InputError, match="prompt 1 holds half of a character"):
        model.activations(["chat", "caf\ud800e"])
    with pytest.raises(InputError, match="text 2 of 'fr' holds half of a character"):
        ll.token_languages(model, {"fr": ["le", "\udcffa"], "ja": ["猫", "犬"]}, languages="fr,ja")
