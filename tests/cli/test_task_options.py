"""What task a command asks, by the options that were given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentlang.cli.options import built_task
from latentlang.errors import InputError
from latentlang.language_names import GROUPS


def _built(name, asked, *, source=None):
    return built_task(name, asked, source=source, data=None, answers=None, accept=None)


def _sources(*arguments, **options):
    built = _built(*arguments, **options)
    return {code: built.source_of(code) for code in arguments[1]}


def test_a_source_that_is_asked_for_too_is_itself_translated_from_another():
    assert _sources("translation", ["de", "fr", "ja"]) == {"de": "fr", "fr": "de", "ja": "fr"}
    assert _sources("translation", ["de", "ja"], source="ja") == {"de": "ja", "ja": "fr"}
    assert _sources("translation", ["fr", "ja"], source="French") == {"fr": "de", "ja": "fr"}
    assert _sources("translation", ["fr", "de"], source="de") == {"fr": "de", "de": "fr"}


@given(
    st.lists(st.sampled_from(GROUPS["paper20"]), min_size=1, unique=True), st.sampled_from(GROUPS["paper20"])
)
def test_every_language_is_asked_for_and_never_from_itself(asked, source):
    if asked == [source]:
        with pytest.raises(InputError, match="same language"):
            _built("translation", asked, source=source)
        return
    built = _built("translation", asked, source=source)
    assert set(asked) <= set(built.languages)
    assert all(built.source_of(code) not in (code, None) for code in asked)


def test_other_tasks_have_no_source():
    assert _sources("sentiment", ["ja", "fr"]) == {"ja": None, "fr": None}
    with pytest.raises(InputError, match="--from de is for the translation task"):
        _built("repetition", ["ja"], source="de")
