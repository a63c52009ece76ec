"""The lens on models whose weights are set by hand: it must say what is known, layer by layer, language by language."""

import re

import numpy as np
import pytest

from latentlang.errors import InputError
from latentlang.lens import explore, logit_lens, multilingual_lens
from latentlang.lens.text import reading
from latentlang.models import score_answers
from latentlang.tasks import Concept
from tests.support.known import ASKED, LANGUAGES, Known, written

PATHS = [
    {2: "en", 5: ASKED},
    {1: "ru", 3: ASKED},
    {5: ASKED},
    {2: "en", 4: None, 5: ASKED},
    {6: "en"},
]


@pytest.mark.parametrize("policy", ["exclusive", "sequence"])
@pytest.mark.parametrize("path", PATHS, ids=str)
def test_layers_and_languages_are_those_that_were_written(path, policy):
    k = written(path, n_layers=6)
    for asked in ("ja", "de"):
        for pivot in ("en", "ru"):
            result = logit_lens(
                k.model, k.task, languages=asked, pivot=pivot, items=4, shots=2, policy=policy
            )
            means = result.summary().pivot(index="layer", columns="curve", values="mean")
            for layer, row in means.iterrows():
                for role, language in (("target", asked), ("pivot", pivot)):
                    if k.speaks(layer, asked) == language:
                        assert row[role] > 0.99
                    elif k.register(layer, asked) is None and layer > min(path):
                        # the language was taken back, the concept was not: its words in all languages are alike
                        assert row[role] == pytest.approx(1 / len(LANGUAGES), abs=0.01)
                    else:
                        assert row[role] < 0.01
                    assert row[f"{role}_null"] < 0.01
            right = result.provenance.settings["accuracy"][asked]
            assert right == float(k.speaks(6, asked) == asked)


@pytest.mark.parametrize("policy", ["exclusive", "sequence"])
def test_nothing_written_reads_as_nothing(policy):
    k = written({})
    result = logit_lens(k.model, k.task, languages="ja", shots=0, policy=policy)
    wide = result.table.pivot(index=["item", "layer"], columns="curve", values="value")
    np.testing.assert_allclose(wide["entropy"], np.log2(k.model.vocab_size), rtol=1e-5)
    # Some answers have more tokens of their own than others; each is right once and wrong as often as all the others.
    means = wide.groupby("layer").mean()
    for role in ("target", "pivot", "source"):
        np.testing.assert_allclose(means[role], means[f"{role}_null"], rtol=1e-4)
    if policy == "sequence":  # the word is one token, and after a word the quote is certain
        np.testing.assert_allclose(wide["target"], 1 / k.model.vocab_size, rtol=1e-3)
    assert result.provenance.settings["accuracy"]["ja"] == 0


@pytest.mark.parametrize("policy", ["exclusive", "sequence"])
def test_a_register_without_an_answer_is_as_high_in_the_null(policy):
    k = written({2: "en", 5: ASKED}, answer_from=5)
    result = logit_lens(k.model, k.task, languages="ja", items=4, shots=1, policy=policy)
    means = result.summary().pivot(index="layer", columns="curve", values="mean")
    assert k.register(3, "ja") == "en"
    np.testing.assert_allclose(means["pivot"].loc[2:4], 1 / len(k.concepts), rtol=0.01)
    np.testing.assert_allclose(means["pivot_null"].loc[2:4], means["pivot"].loc[2:4], rtol=1e-3)
    assert means["target"].loc[5] > 0.99


def test_a_concept_in_no_language_favours_none():
    k = written({5: ASKED}, answer_from=2)
    prompts = k.task.prompts("ja", items=3, shots=1)
    answers = [[c.words[code] for c in k.concepts if c.id == p.label for code in LANGUAGES] for p in prompts]
    for score in score_answers(k.model, prompts, answers):
        assert np.ptp(np.exp(score.log_probs[:, 1:4]), axis=0).max() < 1e-4
        assert np.exp(score.log_probs[LANGUAGES.index("ja"), 4:]).min() > 0.99


# French words, and English ones that add a letter to them or have nothing in common with them.
_COGNATES = [("port", "porte"), ("list", "liste"), ("plan", "plane"), ("cart", "carte"), ("pil", "pile")]
_OTHERS = [("arbre", "tree"), ("eau", "water"), ("chien", "dog"), ("lune", "moon"), ("feu", "hot")]


def _words(pairs) -> list[Concept]:
    """Concepts whose Japanese words have nothing in common with the others, as three languages more."""
    signs = "犬猫木水火土金空山川"
    others = {"ru": 0x430, "hi": 0x915, "th": 0xE01}
    return [
        Concept(
            f"word/{en}",
            "word",
            {"en": en, "fr": fr, "ja": signs[place]}
            | {code: chr(first + place) * 2 for code, first in others.items()},
        )
        for place, (fr, en) in enumerate(pairs)
    ]


@pytest.mark.parametrize("policy", ["exclusive", "shared", "drop", "sequence"])
@pytest.mark.parametrize(
    "pairs", [_OTHERS, _COGNATES, _OTHERS + _COGNATES], ids=["apart", "cognates", "both"]
)
def test_a_model_that_copies_the_source_has_a_source_and_no_pivot(policy, pairs):
    k = written({2: "fr", 5: ASKED}, concepts=_words(pairs), source="fr")
    if pairs == _COGNATES and policy == "drop":
        with pytest.raises(InputError, match=r"shares .* with fr"):
            logit_lens(k.model, k.task, languages="ja", shots=0, policy=policy)
        return
    result = logit_lens(k.model, k.task, languages="ja", shots=0, policy=policy)
    means = result.summary().pivot(index="layer", columns="curve", values="mean")
    if "pivot" in means:
        assert means["pivot"].max() < 0.01
    assert (means["target"].loc[5:] > 0.99).all()
    said = reading(
        result.gap(), target="ja", pivot="en", last=6, source="fr", copied=result.gap(role="source")
    )
    assert "English leads" not in said
    if pairs == _COGNATES and policy != "sequence":
        # every token that begins the one word begins the other
        assert not {"pivot", "source"} & set(means)
        if policy == "shared":
            assert (means["pivot_shared"].loc[2:4] > 0.99).all()
        return
    assert (means["source"].loc[2:4] > 0.99).all() and (means["source_null"] < 0.01).all()
    lead = re.search(
        r"The prompt's own French word leads its null by 1\.00 \[([01]\.\d\d), 1\.00\] at layer 2\.", said
    )
    # of items that are all alike to the last bit it is no point; of the others there is a sample
    assert lead is not None and float(lead[1]) > 0.3
    counts = result.summary().groupby("curve", observed=True)["n"].max()
    readable = {"exclusive": 5, "shared": 5, "drop": 5, "sequence": len(pairs)}[policy]
    assert counts["source"] == counts["pivot"] == readable
    note = result.provenance.settings["notes"].get("ja", "")
    if pairs == _OTHERS + _COGNATES and policy != "sequence":
        dropped = "5 of 10 items are dropped for their answer in en"
        assert (dropped if policy == "drop" else "5 of 10 answers in en cannot be read") in note
    if pairs == _OTHERS + _COGNATES and policy == "exclusive":
        assert "5 of 10 answers in en begin like the prompt's word in fr, e.g. " in note


@pytest.mark.parametrize("policy", ["exclusive", "shared", "drop", "sequence"])
@pytest.mark.parametrize("pairs", [_OTHERS, _OTHERS + _COGNATES], ids=["apart", "both"])
def test_a_model_that_goes_through_english_has_a_pivot_and_copies_nothing(policy, pairs):
    k = written({2: "en", 5: ASKED}, concepts=_words(pairs), source="fr")
    result = logit_lens(k.model, k.task, languages="ja", shots=0, policy=policy)
    means = result.summary().pivot(index="layer", columns="curve", values="mean")
    assert (means["pivot"].loc[2:4] > 0.99).all() and (means["pivot_null"] < 0.01).all()
    assert means["source"].max() < 0.01
    assert result.glance()["pivot_minus_null"].item() > 0.98
    assert abs(result.glance()["source_minus_null"].item()) < 0.01
    said = reading(
        result.gap(), target="ja", pivot="en", last=6, source="fr", copied=result.gap(role="source")
    )
    assert said.startswith("English leads its null by 1.00") and "French" not in said


def test_as_published_a_copied_cognate_still_counts_as_english():
    """The paper's way, which the default puts right: nothing settles the sets against the prompt's own word."""
    k = written({2: "fr", 5: ASKED}, concepts=_words(_COGNATES), source="fr")
    result = logit_lens(k.model, k.task, languages="ja", shots=0, protocol="as-published")
    means = result.summary().pivot(index="layer", columns="curve", values="mean")
    assert not {"source", "source_null"} & set(means)
    assert (means["pivot"].loc[2:4] > 0.99).all()


def test_a_pivot_that_the_prompt_is_written_in_is_no_pivot():
    k = written({2: "en", 5: ASKED}, concepts=_words(_OTHERS), source="en")
    result = logit_lens(k.model, k.task, languages="ja", pivot="en", shots=0)
    assert "source" not in set(result.table["curve"])
    said = reading(result.gap(), target="ja", pivot="en", last=6, source="en")
    assert said == (
        "English is the language of the prompt's own word: what is read of it may be copied, and says nothing of a "
        "pivot."
    )


def test_all_languages_at_once_name_the_copy_and_no_pivot():
    words = _words(_OTHERS)
    k = written({2: "fr", 5: ASKED}, concepts=words, source="fr", noise=0.05)
    found = multilingual_lens(k.model, k.task, languages="ja", shots=0).pivot_test(permutations=200)
    assert found.pivot is None and str(found).startswith("no pivot")
    scores = found.scores[(found.scores["answer_language"] == "fr") & found.scores["layer"].between(2, 4)]
    assert set(scores["role"]) == {"source"} and scores["score"].min() > 0.9
    through = written({2: "en", 5: ASKED}, concepts=words, source="fr", noise=0.05)
    assert (
        multilingual_lens(through.model, through.task, languages="ja", shots=0)
        .pivot_test(permutations=200)
        .pivot
        == "en"
    )


def _endings() -> Known:
    """German answers of which two are the beginnings of the English ones, and nothing else."""
    words = [("positiv", "positive"), ("negativ", "negative"), ("aktiv", "active"), ("Katze", "cat")]
    concepts = [
        Concept(f"word/{english}", "word", {"en": english, "de": german, "fr": f"le {german}o"})
        for german, english in words
    ]
    return written({2: "en", 5: ASKED}, concepts=concepts)


def test_answers_that_share_every_first_token_are_told_apart_by_how_they_go_on():
    k = _endings()
    whole = logit_lens(k.model, k.task, languages="de", shots=0, policy="sequence")
    assert not whole.provenance.settings["notes"]
    means = whole.summary().pivot(index="layer", columns="curve", values="mean")
    assert (means["pivot"].loc[2:4] > 0.99).all()
    assert (means["target"].loc[2:4] < 0.01).all()
    assert (means["target"].loc[5:] > 0.99).all()
    assert (means["pivot"].loc[5:] < 0.01).all()
    # their first tokens alone say nothing of the language
    first = logit_lens(k.model, k.task, languages="de", shots=0, policy="shared")
    part = first.table[first.table["item"].isin(["word/positive", "word/negative"])]
    part = part[~part["curve"].str.startswith("source")]
    assert set(part["curve"]) == {"target_shared", "pivot_shared", "entropy"}
    assert part.query("curve == 'target_shared' and layer >= 2")["value"].min() > 0.99


def test_the_explorer_shows_the_words_in_their_layers():
    k = written({2: "en", 5: ASKED})
    prompt = k.task.prompts("ja", items=1, shots=1)[0]
    table = explore(k.model, prompt.text, positions="last", top=1).table.set_index("layer")
    own = next(concept for concept in k.concepts if concept.id == prompt.label)
    assert table.loc[2:4, "text"].tolist() == [own.words["en"]] * 3
    assert table.loc[5:6, "text"].tolist() == [own.words["ja"]] * 2
    assert table.loc[2:6, "probability"].min() > 0.99
    assert table.loc[5:6, "kl"].max() < 1e-6
    assert table.loc[1:4, "kl"].min() > 5


def test_the_known_model_is_what_its_helper_says():
    k = written({2: "en", 4: None, 5: ASKED}, noise=0.3, strength=6.0)
    assert [k.speaks(layer, "ja") for layer in range(1, 7)] == [None, "en", "en", None, "ja", "ja"]
    same = written({2: "en", 4: None, 5: ASKED}, noise=0.3, strength=6.0)
    a, b = (
        logit_lens(m.model, m.task, languages="ja", items=5, shots=0).table["value"].to_numpy()
        for m in (k, same)
    )
    np.testing.assert_array_equal(a, b)
    part = logit_lens(k.model, k.task, languages="ja", items=5, shots=0).table
    values = part.query("curve == 'target' and layer == 6")["value"]
    assert values.between(0.05, 0.999).all()
    assert values.std() > 1e-3
