"""Texts longer than the model's context: refused, cut at their end, or left out, in every run over texts."""

from __future__ import annotations

import pytest

import latentlang as ll
from latentlang.errors import InputError, ModelError
from latentlang.models.long_texts import fitting_texts
from latentlang.tasks import prompts_of_texts

WORDS = "the dog and the cat "
TEXTS = {"en": ["a dog", WORDS * 300], "de": ["ein Hund", "eine Katze"]}


@pytest.fixture(scope="module")
def model():
    return ll.load("pocket")


def _fitting(model, how, texts=TEXTS):
    prompts, _about = prompts_of_texts(texts, None, items=None, seed=0)
    return fitting_texts(model, prompts, how)


def test_a_text_is_cut_to_the_longest_beginning_that_fits(model):
    fitting = _fitting(model, "cut")
    assert fitting.counts == {"en": 1}
    cut = fitting.prompts[1].text
    assert (WORDS * 300).startswith(cut)
    assert len(model.encode([cut])[0]) == model.max_length
    assert [prompt.text for prompt in fitting.prompts if prompt.language == "de"] == TEXTS["de"]


def test_a_text_is_left_out_or_refused(model):
    fitting = _fitting(model, "drop")
    assert [prompt.text for prompt in fitting.prompts] == ["a dog", *TEXTS["de"]]
    assert fitting.counts == {"en": 1}
    with pytest.raises(
        ModelError, match=r"item '00002' \(en\) is \d+ tokens .* at most 512; long_texts='cut'"
    ):
        _fitting(model, "refuse")
    with pytest.raises(InputError, match=r"all texts in 'en' are longer"):
        _fitting(model, "drop", {"en": [WORDS * 300], "de": ["ein Hund"]})
    with pytest.raises(InputError, match="unknown way with long texts 'shorten'"):
        _fitting(model, "shorten")


def test_runs_over_texts_read_the_beginning_and_say_so(model):
    beginning = _fitting(model, "cut").prompts[1].text
    short = {"en": ["a dog", beginning], "de": TEXTS["de"]}
    run = {"progress": False, "layers": "8"}
    cut, asked = (
        ll.bits_per_byte(model, TEXTS, long_texts="cut", **run),
        ll.bits_per_byte(model, short, **run),
    )
    assert cut.table.equals(asked.table)
    said = "Texts longer than the model's context were cut at their end: 1 in en."
    assert cut.describe().splitlines()[-1] == said and said not in asked.describe()
    mass = ll.language_mass(model, TEXTS, long_texts="cut", **run)
    assert said in mass.describe() and mass.settings.too_long == {"en": 1}
    counted = ll.neurons(model, TEXTS, long_texts="cut", groups=2, deals=0, progress=False)
    assert counted.describe().splitlines()[-1] == said
    tokens = sum(map(len, model.encode(short["en"]))) - len(
        short["en"]
    )  # each begins with a token of its own
    assert counted.settings.counted["en"] == tokens
    with pytest.raises(ModelError, match="long_texts='cut'"):
        ll.neurons(model, TEXTS, groups=2, deals=0, progress=False)


def test_mass_by_a_table_of_the_same_texts_says_that_it_favours_them(model):
    texts = {"en": ["a dog and a cat", "the house"], "de": ["ein Hund und eine Katze", "das Haus"]}
    own = ll.language_mass(model, texts, layers="8", progress=False)
    assert "was made of these very texts" in own.describe()
    table = ll.token_languages(model, texts, languages="en,de", progress=False)
    given = ll.language_mass(model, texts, table=table, layers="8", progress=False)
    assert "these very texts" not in given.describe()
    assert own.table.equals(given.table)
