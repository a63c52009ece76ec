"""The words of a prompt's text: a token that can begin one of them is no sign of the pivot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from latentlang.answers import TokenBytes, answer_sets, token_bytes
from latentlang.errors import InputError
from latentlang.lens import logit_lens
from latentlang.lens.question import beginnings, stands_in, word_starts
from latentlang.models import HookedLM, read_out
from latentlang.models.readout import TokenSets
from latentlang.tasks import Prompt, Task, task
from tests.support import tiny
from tests.support.answer_corpus import trained


def test_a_word_begins_after_what_is_no_letter_and_anywhere_where_no_spaces_are_written():
    assert word_starts("L'eau, 3x") == ("L", "l", "eau", "3x")
    assert word_starts("犬が") == ("犬が", "が")
    assert word_starts("हिन्दी है") == ("हिन्दी", "है")  # vowel signs belong to their word
    assert word_starts(" - ") == ()


def test_tokens_that_begin_a_word_are_found_with_a_space_or_without():
    table = TokenBytes((b"p", b" posit", b"positive", b"q", b"ositive", "犬".encode(), "が".encode()[:2]))
    assert beginnings(table, range(7), "Sehr Positive Sache") == {0, 1, 2}
    assert beginnings(table, range(7), "das 犬が") == {5, 6}
    assert beginnings(table, [3, 4], "positive") == frozenset()


@pytest.mark.parametrize(
    ("answer", "text", "there"),
    [
        ("good", "so Good!", True),
        ("good", "goods", False),
        ("not good", "it is not good", True),
        ("好", "这很好", True),
        ("ok", "", False),
    ],
)
def test_a_whole_answer_stands_in_a_text_as_a_word(answer, text, there):
    assert stands_in(answer, text) is there


class Reviews(Task):
    """Reviews in German; of the first the text holds an English label, of the second its beginning."""

    name, closed, default_shots = "reviews", True, 0
    settings: Mapping[str, object] = {}
    texts = (("eine Positive Sache", "+"), ("Polizei war da", "+"), ("das war es", "-"))
    words: Mapping[str, Mapping[str, tuple[str, ...]]] = {
        "de": {"+": ("schön",), "-": ("übel",)},
        "en": {"+": ("positive",), "-": ("negative",)},
    }

    @property
    def languages(self) -> tuple[str, ...]:
        return ("de",)

    def prompts(
        self, language: str, *, items: int | None = None, shots: int | None = None, seed: int = 0
    ) -> list[Prompt]:
        return [
            Prompt(str(n), language, label, "", text, '\nUrteil: "')
            for n, (text, label) in enumerate(self.texts)
        ]

    def answers(self, language: str) -> Mapping[str, tuple[str, ...]]:
        return self.words[language]

    def wrong_labels(self, label: str) -> tuple[str, ...]:
        return ("-",) if label == "+" else ("+",)


def _probs(model: HookedLM, prompts: Sequence[Prompt]) -> np.ndarray:
    """``[prompt, layer, vocabulary]``."""
    sets = TokenSets([np.array([token]) for token in range(model.vocab_size)])
    found = np.zeros((len(prompts), model.n_layers, model.vocab_size))
    for reading in model.iter_activations(prompts):
        blocks = [place for place, layer in enumerate(reading.layers) if layer > 0]
        found[reading.index.tolist()] = (
            read_out(model, reading.resid[:, blocks], sets).log_probs.exp().numpy()
        )
    return found


@pytest.fixture(scope="module")
def model() -> HookedLM:
    tokenizer = trained("mistral")
    return HookedLM(tiny.model("mistral", vocab_size=len(tokenizer)), tokenizer, name="tiny")


@pytest.mark.parametrize("policy", ["exclusive", "shared"])
def test_the_pivots_tokens_that_begin_a_word_of_the_text_do_not_count(model, policy):
    reviews = Reviews()
    prompts = reviews.prompts("de")
    result = logit_lens(model, reviews, languages="de", policy=policy)
    table, probs = token_bytes(model.tokenizer), _probs(model, prompts)
    sets = answer_sets(table, {c: dict(reviews.answers(c)) for c in ("de", "en")}, cue=prompts[0].cue)
    for place, prompt in enumerate(prompts):
        own = {
            label: [
                token
                for token in sets["en", label].exclusive.tolist()
                if not any(
                    word.encode().startswith(table.bytes[token].removeprefix(b" "))
                    for word in (*prompt.question.split(), *prompt.question.lower().split())
                )
            ]
            for label in ("+", "-")
        }
        rest = result.table[result.table["item"] == prompt.item]
        curves = {str(name): part["value"].to_numpy() for name, part in rest.groupby("curve", observed=True)}
        wrong = reviews.wrong_labels(prompt.label)[0]
        long = [token for token in own[prompt.label] if token not in sets["en", prompt.label].running_on]
        assert ("pivot" in curves) == bool(long if policy == "exclusive" else own[prompt.label])
        if "pivot" in curves:
            np.testing.assert_allclose(curves["pivot"], probs[place][:, own[prompt.label]].sum(-1), rtol=1e-4)
            np.testing.assert_allclose(curves["pivot_null"], probs[place][:, own[wrong]].sum(-1), rtol=1e-4)
            both = own["+"] + own["-"]
            np.testing.assert_allclose(curves["pivot_any"], probs[place][:, both].sum(-1), rtol=1e-4)
        if policy == "shared":
            left = np.setdiff1d(sets["en", prompt.label].ids, own[prompt.label])
            np.testing.assert_allclose(curves["pivot_shared"], probs[place][:, left].sum(-1), rtol=1e-4)
        # the text is in the target language: nothing of that is taken away
        target = sets["de", prompt.label].exclusive
        np.testing.assert_allclose(curves["target"], probs[place][:, target].sum(-1), rtol=1e-4)
    readable = set(result.table[result.table["curve"] == "pivot"]["item"])
    assert "0" not in readable and {"1", "2"} <= readable
    assert (
        "1 of 3 answers in en cannot be read, e.g. 'positive': a word of the question begins like it"
        in (result.provenance.settings["notes"]["de"])
    )


@pytest.mark.parametrize("policy", ["drop", "sequence"])
def test_an_item_whose_text_holds_the_pivots_answer_has_no_pivot(model, policy):
    result = logit_lens(model, Reviews(), languages="de", policy=policy)
    read = {str(c): set(part["item"]) for c, part in result.table.groupby("curve", observed=True)}
    assert read["pivot"] == {"1", "2"} and read["target"] == {"0", "1", "2"}
    assert "'positive': it stands in the question" in result.provenance.settings["notes"]["de"]


def test_as_published_the_text_is_not_looked_at(model):
    result = logit_lens(model, Reviews(), languages="de", protocol="as-published")
    assert set(result.table[result.table["curve"] == "pivot"]["item"]) == {"0", "1", "2"}


def test_which_tasks_give_a_word(model):
    assert task("translation", source="fr").given("ja") == "fr"
    assert task("repetition").given("ja") == "ja"
    assert task("sentiment").given("ja") is None
    with pytest.raises(InputError, match="unknown role"):
        logit_lens(model, Reviews(), languages="de").gap(role="target")
