"""One prompt of the explorer: what its layers say equals `explore`, the lenses and slow references."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latentlang.answers import answer_sets, select_tokens, token_bytes
from latentlang.errors import InputError, ModelError
from latentlang.interactive.prompt_session import NOT_ITS_OWN, WINDOW, PromptSession
from latentlang.interactive.prompt_words import guess, named_languages
from latentlang.interactive.session_start import make_session
from latentlang.lens import explore
from latentlang.models import HookedLM, load
from latentlang.tasks import Concept, WordTask, task
from tests.support import tiny

PROMPT = 'Français: "fleur" - Deutsch: "'


@pytest.fixture(scope="module")
def pocket() -> HookedLM:
    return load("pocket")


@pytest.fixture(scope="module")
def read(pocket) -> PromptSession:
    return PromptSession.at(pocket, PROMPT)


def _words(reading, codes, position=None, label="nature/flower", **options):
    position = len(reading.ids) - 1 if position is None else position
    tokens = reading.word_tokens(task("translation", source="fr"), label, codes, position)
    return {curve.language: curve for curve in reading.words(tokens, position, **options)}


def test_cells_are_what_explore_gives(pocket, read):
    cells = read.cells(list(read.positions), top=3)
    table = explore(pocket, PROMPT, top=3, progress=False).table
    shape = (len(read.ids), pocket.n_layers, 3)
    assert np.array_equal(cells.ids, table["id"].to_numpy().reshape(shape))
    for name, values in (("probability", cells.probabilities), ("entropy", cells.entropy), ("kl", cells.kl)):
        expected = table[name].to_numpy().reshape(shape)
        if values.ndim == 2:
            expected = expected[..., 0]
        np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-5)


def test_cells_of_some_positions_are_those_of_all(read):
    some, every = read.cells([5, 2], top=2), read.cells(list(read.positions), top=2)
    assert some.positions == (5, 2)
    assert np.array_equal(some.ids, every.ids[[5, 2]])
    np.testing.assert_allclose(some.kl, every.kl[[5, 2]], rtol=1e-4, atol=1e-5)


def test_words_equal_the_slow_reference(pocket, read):
    found = _words(read, ["en", "fr", "de", "ru"])
    own = task("translation", source="fr")
    labels = ["nature/flower", *own.wrong_labels("nature/flower")]
    answers = {
        code: {name: own.answers(code)[name] for name in labels if name in own.answers(code)}
        for code in found
    }
    sets = answer_sets(token_bytes(pocket.tokenizer), answers, cue='"', scope="same")
    reading = pocket.activations([PROMPT], positions="last", layers=range(1, pocket.n_layers + 1))
    logits = pocket.unembed(reading.resid[0]).double()
    probabilities = logits.softmax(-1).numpy()
    for code, curve in found.items():
        ids = select_tokens(sets, code, "nature/flower").ids
        np.testing.assert_allclose(curve.probability, probabilities[:, ids].sum(-1), rtol=1e-4)
        best = logits[:, ids].amax(-1)
        assert curve.rank.tolist() == ((logits > best[:, None]).sum(-1) + 1).tolist()
        wrong = [probabilities[:, select_tokens(sets, code, name).ids].sum(-1) for name in labels[1:]]
        assert (curve.null >= np.min(wrong, 0) - 1e-9).all() and (curve.null <= np.max(wrong, 0) + 1e-9).all()
        assert (curve.low <= curve.null).all() and (curve.null <= np.max(wrong, 0) + 1e-9).all()
        assert (curve.low <= curve.high).all()


def test_words_need_no_ranks_and_read_after_any_token(read):
    for position in (0, 3):
        for ranks in (True, False):
            (curve,) = _words(read, ["en"], position, ranks=ranks).values()
            assert (curve.probability >= 0).all() and (curve.probability <= 1).all()
    assert _words(read, ["en"], 0, label="no/such") == {}


def test_a_word_without_tokens_of_its_own_says_so(read):
    for curve in _words(read, ["ja", "zh"]).values():
        assert curve.why == NOT_ITS_OWN and np.isnan(curve.probability).all() and not curve.rank.any()
    assert {curve.why for curve in _words(read, ["zh", "en"]).values()} == {""}


def test_own_words_have_nothing_beside_them(pocket, read):
    own = task("translation", source="fr")
    last = len(read.ids) - 1
    tokens = read.word_tokens(own, None, (), last, own={"en": "flower", "de": "Blume"})
    given, known = read.words(tokens, last), _words(read, ["en", "de"])
    for curve in given:
        np.testing.assert_allclose(curve.probability, known[curve.language].probability, rtol=1e-5)
        assert np.isnan(curve.null).all() and np.isnan(curve.low).all()
    with pytest.raises(InputError, match="at least one character"):
        read.word_tokens(own, None, (), last, own={"en": " "})


def test_tokens_have_their_probability_and_rank(pocket, read):
    last = len(read.ids) - 1
    cells = read.cells([last], top=3)
    wanted = sorted({*cells.ids[0, :, 2].tolist()})
    probabilities, ranks = read.tokens(wanted, last)
    for layer, token in enumerate(cells.ids[0, :, 2].tolist()):
        row = wanted.index(token)
        assert ranks[row, layer] == 3
        assert probabilities[row, layer] == pytest.approx(cells.probabilities[0, layer, 2], rel=1e-4)
    with pytest.raises(InputError, match="there is no token 999999"):
        read.tokens([999_999], last)


def test_a_long_prompt_has_a_window(pocket):
    text = " ".join(["eins"] * (WINDOW + 20))
    whole = explore(pocket, text, top=1, progress=False).table
    for first in (None, 3):
        reading = PromptSession.at(pocket, text, first=first)
        count = len(reading.ids)
        assert reading.positions == (range(count - WINDOW, count) if first is None else range(3, 3 + WINDOW))
        at = reading.positions[4]
        cells = reading.cells([at], top=1)
        assert cells.ids[0, :, 0].tolist() == whole[whole["position"] == at]["id"].tolist()
        with pytest.raises(InputError, match="of this prompt were read"):
            reading.cells([reading.positions.start - 1], top=1)
    with pytest.raises(
        ModelError, match=r"the prompt is \d,\d+ tokens long, and this model takes at most .*; shorten"
    ):
        PromptSession.at(pocket, "dog " * 2000)
    with pytest.raises(InputError, match="there is no token 900; this prompt has tokens 0 to"):
        PromptSession.at(pocket, text, first=900)


@pytest.mark.parametrize(
    ("prompt", "words"),
    [("", "the prompt is empty"), (" \n", "the prompt is empty"), ("a " * 3000, "takes at most 512")],
)
def test_a_prompt_that_cannot_be_read_is_refused(pocket, prompt, words):
    with pytest.raises(InputError, match=words):
        PromptSession.at(pocket, prompt)


def test_it_opens_where_a_language_that_nobody_named_stands_highest_above_its_null(pocket, read):
    codes = make_session(pocket, PROMPT, task=task("translation", source="fr")).suggested(PROMPT)
    found = _words(read, codes)
    named = named_languages(PROMPT, codes)
    above = {
        code: (curve.probability - curve.null)[:-1].max()
        for code, curve in found.items()
        if code not in named
    }
    assert max(above, key=lambda code: above[code]) == "en" and above["en"] > 0.01
    english = (found["en"].probability - found["en"].null)[:-1]
    kl = read.cells([len(read.ids) - 1], top=1).kl[0]
    layer = read.informative_layer(list(found.values()), kl, named=named)
    assert layer == 1 + english.argmax() < pocket.n_layers


@pytest.mark.parametrize(
    ("kl", "layer"), [([8.0, 7.0, 4.0, 1.0, 0.0], 3), ([8.0, 7.0, 7.0, 5.0, 0.0], 4), ([0.0] * 5, 1)]
)
def test_without_an_answer_it_opens_where_the_reading_has_come_half_way_to_the_output(read, kl, layer):
    five = replace(read, reading=replace(read.reading, layers=(1, 2, 3, 4, 5)))
    assert five.informative_layer([], np.array(kl), named=()) == layer


def test_a_model_of_one_layer_has_nothing_to_choose(read):
    alone = replace(read, reading=replace(read.reading, layers=(1,)))
    assert alone.informative_layer([], np.zeros(1), named=()) == 1


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ('Français: "fleur" - 中文: "', "nature/flower"),
        ('Deutsch: "Hund" - Français: "chien"\nDeutsch: "Blume" - Français: "', "nature/flower"),
        ("The French word for dog is", "animal/dog"),
        ("The French word fleur in German is", "nature/flower"),
        ("Français: fleur - Deutsch:", "nature/flower"),
        ("La palabra flor en alemán es", "nature/flower"),
        ("The word for Germany in French is", "country/germany"),
        ("The German word for French is", "language/french"),
        ('English: "German" - Français: "', "language/german"),
        ("fleur", "nature/flower"),
        ("The word for underdogs is", None),
        ("\n", None),
    ],
)
def test_the_label_is_guessed_from_the_last_words(text, label):
    assert guess(task("translation", source="fr"), text) == label


def test_of_a_closed_task_nothing_is_guessed():
    assert guess(task("sentiment"), "positive") is None


@pytest.mark.parametrize(
    ("prompt", "named"),
    [
        ('Français: "fleur" - 中文: "', ("fr", "zh")),
        ('English: "Deutsch" - svenska: "', ("en", "sv")),
        ('中文: "水" - English: "water"\nDeutsch: "Hund" - Kiswahili: "', ("de", "sw")),
        ('French: "eau" - Thai: "', ("fr", "th")),
        ("The Germanic weather is", ()),
        ("", ()),
    ],
)
def test_the_languages_that_a_prompt_names(prompt, named):
    assert named_languages(prompt, ("en", "zh", "de", "sv", "sw", "th", "fr")) == named


def test_the_language_asked_for_is_among_those_suggested_and_can_be_read(pocket):
    asked = 'Français: "fleur" - 中文: "'
    session = make_session(pocket, asked, task=task("translation", source="fr"))
    codes = session.suggested(asked)
    # Japanese has the same word, and would leave neither a token of its own
    assert "zh" in codes and "ja" not in codes
    assert _words(session.read(asked), codes)["zh"].probability[-1] > 0.9
    swedish = session.suggested('Français: "fleur" - Svenska: "')
    assert swedish[0] == "sv" and "en" in swedish
    given = make_session(pocket, asked, task=task("translation", source="fr"), languages="en,de")
    assert given.suggested(asked) == given.languages == ("en", "de")


def test_a_prompt_object_brings_its_label(pocket):
    own = task("translation", source="fr").prompts("sw", items=1, shots=1)[0]
    session = make_session(pocket, own, task=task("translation", source="fr"))
    assert session.guess(str(own)) == own.label and "sw" in session.languages
    assert session.named(str(own))[-1] == "sw"


def test_it_begins_with_a_prompt_of_the_task(pocket):
    session = make_session(pocket, None, task=task("translation", source="fr"))
    assert (
        session.guess(session.prompt) in session.task.answers("ja")
        and session.named(session.prompt)[-1] == "ja"
    )
    assert (
        _words(session.read(session.prompt), ["ja"], label=session.guess(session.prompt))["ja"].probability[
            -1
        ]
        > 0.9
    )


def test_what_the_models_say_to_the_first_examples_is_right(pocket):
    """The prompts of the README and of the first pages."""
    for prompt, word in (('Français: "fleur" - 中文: "', "花"), (PROMPT, "Blume")):
        reading = PromptSession.at(pocket, prompt)
        cells = reading.cells([len(reading.ids) - 1], top=1)
        assert token_bytes(pocket.tokenizer).render(int(cells.ids[0, -1, 0])) == word
        assert cells.probabilities[0, -1, 0] > 0.9


def test_what_was_run_is_not_run_again(pocket, monkeypatch):
    session = make_session(pocket, PROMPT, task=task("translation", source="fr"))
    ran: list[str] = []
    forward = pocket.lm.model.forward
    monkeypatch.setattr(pocket.lm.model, "forward", lambda *a, **k: ran.append("blocks") or forward(*a, **k))
    for _ in range(2):
        for prompt in (PROMPT, PROMPT + "B"):
            session.read(prompt)
            session.read(prompt, position=2)
    assert len(ran) == 2
    with pytest.raises(InputError, match="unknown adapter 'adapter'"):
        session.read(PROMPT, "adapter")


def test_own_words_closed_tasks_and_other_architectures():
    model = HookedLM(tiny.model("gpt2"), tiny.tokenizer(), name="<b>tiny</b>")
    concepts = [
        Concept(f"thing/{english}", "thing", {"en": english, "x-mine": own})
        for english, own in (("cat", "miau"), ("dog", "wau"), ("cow", "muh"))
    ]
    session = make_session(model, 'the dog: "', task=WordTask(source="en", concepts=concepts))
    assert session.guess('the dog: "') == "thing/dog"
    assert set(session.languages) == {"x-mine", "en"}
    closed = make_session(model, "so good", task=task("sentiment"), languages="en,ja")
    assert closed.guess("so good") is None and "positive" in closed.labels
