from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentlang.errors import InputError
from latentlang.language_names import GROUPS
from latentlang.tasks import task
from latentlang.tasks.labels import NLI, PARAPHRASE, SENTIMENT
from latentlang.tasks.pairs import EmbeddedPairs, balanced, nli_pairs, paraphrase_pairs
from latentlang.tasks.paper_files import Item
from latentlang.tasks.reviews import write_review

PAPER20 = GROUPS["paper20"]


def _english(pair):
    return write_review(pair.first, "en"), write_review(pair.second, "en")


def test_a_hypothesis_stands_to_its_premise_as_the_label_says():
    for pair in nli_pairs():
        premise, said = pair.first, pair.second
        assert premise.pattern == "and"
        assert said.pattern == "is"
        if pair.label == "entailment":
            assert (said.noun, said.label) == (premise.noun, premise.label)
            assert said.adjective in premise.adjectives
        elif pair.label == "contradiction":
            assert said.noun == premise.noun
            assert said.label != premise.label
        else:
            assert said.noun != premise.noun


def test_english_pairs_read_as_meant():
    premise, said = _english(
        next(p for p in nli_pairs() if p.id.startswith("film-good") and p.label == "entailment")
    )
    assert premise.startswith("The film is good and ")
    assert said in {"The film is good.", premise.replace("good and ", "")}


def test_polarity_alone_does_not_tell_neutral_from_the_others():
    agree = [pair.first.label == pair.second.label for pair in nli_pairs() if pair.label == "neutral"]
    assert 0.3 < sum(agree) / len(agree) < 0.7


def test_a_paraphrase_says_the_same_and_its_twin_does_not():
    by_group = {}
    for pair in paraphrase_pairs():
        by_group.setdefault(pair.group, {})[pair.label] = pair
    for twins in by_group.values():
        same, different = twins["same"], twins["different"]
        assert same.first == different.first
        meaning = (same.first.noun, frozenset(same.first.adjectives))
        assert (same.second.noun, frozenset(same.second.adjectives)) == meaning
        assert (different.second.noun, frozenset(different.second.adjectives)) != meaning
        # The change in wording is the same in both, so that form does not give the label away.
        assert same.second.pattern == different.second.pattern


@pytest.mark.parametrize("name", ["nli", "paraphrase"])
def test_items_are_balanced_parallel_and_told_apart_in_every_language(name):
    built = task(name)
    assert set(built.languages) == set(PAPER20)
    reference = [(p.item, p.label) for p in built.prompts("en")]
    counts = Counter(label for _, label in reference)
    assert len(set(counts.values())) == 1
    assert len(reference) > 400
    labels = len(counts)
    assert Counter(label for _, label in reference[: 8 * labels]) == dict.fromkeys(counts, 8)
    assert len({item for item, _ in reference}) == len(reference)
    for code in PAPER20:
        prompts = built.prompts(code)
        assert [(p.item, p.label) for p in prompts] == reference
        assert len({p.few_shot for p in prompts}) == 1
        assert all(p.text == p.few_shot + p.question + p.cue for p in prompts)
        assert not any("{" in p.question for p in prompts)
        for item in EmbeddedPairs(built.kind).items(code):
            assert item.texts[0] != item.texts[1], (code, item)


@pytest.mark.parametrize("name", ["nli", "paraphrase"])
def test_contrary_statements_read_differently_in_every_language(name):
    for code in PAPER20:
        by_first = {}
        for item in EmbeddedPairs(task(name).kind).items(code):
            by_first.setdefault(item.texts, set()).add(item.label)
        assert all(len(labels) == 1 for labels in by_first.values()), code


@pytest.mark.parametrize("name", ["nli", "paraphrase"])
def test_no_item_stands_in_its_block_and_items_do_not_depend_on_shots(name):
    built = task(name)
    for shots in (0, 1, built.default_shots, 6):
        prompts = built.prompts("de", shots=shots)
        assert [p.item for p in prompts] == [p.item for p in built.prompts("de")]
        assert prompts[0].few_shot.count('"\n') == shots
        assert not any(p.question + p.cue in p.few_shot for p in prompts)
    assert built.prompts("de", seed=1)[0].few_shot != built.prompts("de")[0].few_shot


def test_prompts_read_as_in_the_paper():
    lines = task("nli").prompts("ru", shots=3)[0].text.split("\n")
    starts = ["Посылка: ", "Гипотеза: ", "Ответ: "]
    assert [line.split(": ")[0] + ": " for line in lines] == starts * 4
    assert [lines[n] for n in (2, 5, 8)] == [
        'Ответ: "следствие"',
        'Ответ: "нейтрально"',
        'Ответ: "противоречие"',
    ]
    assert lines[-1] == 'Ответ: "'
    prompt = task("paraphrase", protocol="as-published", answers="en").prompts("ru")[0]
    assert prompt.question.startswith("Приговор 1: ")
    assert prompt.question.count("Приговор 2: ") == 1
    assert prompt.cue == '\nОтветить: "'


def test_answer_modes():
    nli = task("nli")
    assert nli.answers("ja") == {"entailment": ("含意",), "neutral": ("中立",), "contradiction": ("矛盾",)}
    assert nli.wrong_labels("neutral") == ("entailment", "contradiction")
    assert task("nli", answers="en").answers("ja")["neutral"] == ("neutral",)
    assert '"neutral"' in task("nli", answers="en").prompts("ja")[0].few_shot
    assert task("nli", answers="agnostic").answers("ja")["entailment"] == ("ox",)
    assert task("paraphrase", answers="agnostic").answers("sw") == {"same": ("ox",), "different": ("horse",)}
    assert task("nli", protocol="as-published").answers("sw")["neutral"] == ("upande wowote",)


@pytest.mark.parametrize(
    ("name", "options", "asked", "message"),
    [
        ("nli", {"answers": "latin"}, {}, "answers must be one of same, en, agnostic, not 'latin'"),
        ("nli", {"protocol": "new"}, {}, "protocol must be corrected or as-published, not 'new'"),
        ("sentiment", {"protocol": "new"}, {}, "protocol must be corrected or as-published, not 'new'"),
        ("nli", {"blocks": "b.json"}, {}, "blocks is for items from files"),
        ("nli", {"accept": {"neutral": ["x"]}}, {}, "accept is for items from files"),
        ("nli", {"colour": 3}, {}, "does not take these options"),
        ("nli", {}, {"language": "ko"}, "no data in 'ko'"),
        ("nli", {}, {"shots": -1}, "shots must be at least 0, not -1"),
        ("nli", {}, {"items": 0}, "items must be at least 1, not 0"),
        ("nli", {}, {"shots": 1000}, "few-shot examples of its own, not 1000"),
        ("paraphrase", {"protocol": "as-published"}, {}, "published no paraphrase answers of mode 'same'"),
        (
            "nli",
            {"protocol": "as-published", "answers": "agnostic"},
            {},
            "published no nli answers of mode 'agnostic'",
        ),
    ],
)
def test_bad_options_are_named(name, options, asked, message):
    with pytest.raises(InputError, match=message):
        task(name, **options).prompts(**{"language": "de", **asked})


def test_there_are_no_embedded_pairs_of_reviews():
    with pytest.raises(InputError, match="no embedded pairs for the sentiment task"):
        EmbeddedPairs(SENTIMENT)
    with pytest.raises(InputError, match="no answer words in 'ko'"):
        task("nli").answers("ko")


def test_what_counts_as_right_is_the_label_where_no_file_says_otherwise():
    for protocol in ("corrected", "as-published"):
        built = task("nli", protocol=protocol)
        labels = {p.item: p.label for p in built.prompts("bn")}
        assert built.scored_labels("bn") == labels


@given(st.lists(st.sampled_from(NLI.labels), max_size=40), st.integers(0, 5))
def test_balanced_keeps_every_item_and_alternates_as_long_as_labels_last(labels, seed):
    items = tuple(Item(str(n), label, ("",)) for n, label in enumerate(labels))
    ordered = balanced(items, NLI.labels, seed=seed)
    assert sorted(ordered, key=lambda item: int(item.id)) == list(items)
    least = min(Counter({label: labels.count(label) for label in NLI.labels}).values())
    for turn in range(least):
        assert [i.label for i in ordered[3 * turn : 3 * turn + 3]] == list(NLI.labels)


def test_paraphrase_changes_nouns_and_adjectives_alike():
    changed = Counter(pair.kind for pair in paraphrase_pairs() if pair.label == "different")
    assert set(changed) == {"noun", "adjective"}
    assert min(changed.values()) > 0.4 * sum(changed.values())
    assert EmbeddedPairs(PARAPHRASE).languages == EmbeddedPairs(NLI).languages
