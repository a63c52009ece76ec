import itertools
import json
import re
from collections import Counter
from dataclasses import replace

import pytest

from experiments.pocket import world
from experiments.pocket.card import _documents
from experiments.pocket.corpus import Corpus
from experiments.pocket.splits import NO_REVIEWS, SPLITS, concepts_of, held_out_concepts, paired_concepts
from experiments.pocket.train import Recipe, variant, variants
from latentlang.language_names import GROUPS
from latentlang.language_names import language as find_language
from latentlang.tasks.reviews import review_lexicon, train_reviews, untested_reviews, write_review
from latentlang.tasks.reviews import test_reviews as reviews_for_testing
from latentlang.tasks.words import embedded_concepts

LANGUAGES = GROUPS["paper20"]


def _keys(value):
    return {key: _keys(inner) for key, inner in value.items()} if isinstance(value, dict) else None


@pytest.mark.parametrize("code", LANGUAGES)
def test_lexicon_has_the_keys_of_english_and_no_word_twice(code):
    ours, english = world.read_lexicon(code), world.read_lexicon("en")
    assert ours["language"] == code
    for part in ("words", "categories"):
        assert _keys(ours[part]) == _keys(english[part])
    for part in ("nouns", "adjectives", "patterns"):
        assert set(ours["sentiment"][part]) == set(english["sentiment"][part])
    words = [word for entries in ours["words"].values() for word in entries.values()]
    assert len(set(words)) == len(words)
    assert all(isinstance(word, str) and word == word.strip() and '"' not in word for word in words)
    adjectives = [tuple(f.values()) for a in ours["sentiment"]["adjectives"].values() for f in a.values()]
    assert len(set(adjectives)) == 24


def test_no_two_concepts_of_a_category_share_a_word_in_any_language():
    for code in LANGUAGES:
        seen = set()
        for concept in embedded_concepts():
            key = (concept.category, concept.words[code])
            assert key not in seen
            seen.add(key)


def test_the_shipped_data_is_what_the_lexicon_builds(tmp_path, monkeypatch):
    monkeypatch.setattr(world, "DATA", tmp_path)
    words, reviews = world.build()
    assert words["concepts"] == [
        {"id": c.id, "category": c.category, "words": dict(c.words)} for c in embedded_concepts()
    ]
    assert json.loads(json.dumps(reviews)) == review_lexicon()


def test_most_names_agree_with_the_emoji_package():
    assert len(world.compare_with_emoji()) < 0.12 * 8 * 73


_LINE = re.compile(r'^(\S+): "(.+)" - (\S+): "(.+)"$', re.MULTILINE)


@pytest.mark.parametrize("name", [None, "equal-follow"])
@pytest.mark.parametrize("hub", ["en", None])
def test_held_out_pairs_and_concepts_never_stand_between_their_languages(hub, name):
    names = {find_language(code).own_name: code for code in LANGUAGES}
    concepts = {}
    for concept in embedded_concepts():
        for code in LANGUAGES:
            concepts.setdefault((code, concept.words[code]), set()).add(concept.id)
    corpus, lines = Corpus(seed=5, hub=hub, mixture=variant(name).mixture), 0
    for _ in range(4000):
        for source, word, target, translation in _LINE.findall(corpus.document()):
            one, other = names[source], names[target]
            both = concepts.get((one, word), set()) & concepts.get((other, translation), set())
            # Adjectives are no concepts, and a word beside itself no translation.
            if hub in (one, other) or not both or one == other:
                continue
            lines += 1
            assert both & {c.id for c in paired_concepts(one, other, hub=hub)}
    assert lines > 500


def test_the_splits_divide_the_concepts_for_every_two_languages_alike_in_both_directions():
    everything = {concept.id for concept in embedded_concepts()}
    for one, other in itertools.combinations([code for code in LANGUAGES if code != "en"], 2):
        parts = [concepts_of(split, one, other) for split in SPLITS]
        assert sorted(itertools.chain(*parts)) == sorted(everything)
        assert parts == [concepts_of(split, other, one) for split in SPLITS]
        assert all(len(part) >= 5 for part in parts)
        assert set(parts[2]) == held_out_concepts()


def test_every_variant_changes_the_recipe_and_nothing_else():
    for name, changes in variants().items():
        assert changes["about"]  # the card says it
        assert variant(name) != Recipe()
        assert variant(name, seed=3).seed == 3
    assert variant(None) == Recipe()
    with pytest.raises(ValueError, match="unknown variant 'no'"):
        variant("no")


def _over_a_run(recipe, documents):
    """What `Corpus.document` is asked with over a training run, as `train.packed_rows` asks."""
    for place in range(documents):
        share = place / documents
        yield {"hub_only": share < recipe.hub_only_share, "own_reviews": share >= recipe.own_reviews_from}


def _followers(recipe, documents=8000):
    """How often each language stands after a word of another than English, and how many documents hold such lines."""
    corpus, found, between = Corpus(seed=4, mixture=recipe.mixture), Counter(), 0
    for phase in _over_a_run(recipe, documents):
        lines = _LINE.findall(corpus.document(**phase))
        targets = [target for source, _, target, _ in lines if source != "English"]
        found.update(targets)
        between += bool(targets) and targets[0] != "English"
    return found, between / documents


def test_in_equal_follow_english_stands_after_a_word_of_x_as_often_as_other_languages():
    found, between = _followers(variant("equal-follow"))
    others = [count for name, count in found.items() if name != "English"]
    assert len(others) == len(LANGUAGES) - 1
    assert 0.75 < found["English"] / (sum(others) / len(others)) < 1.25
    recipe, recipe_between = _followers(Recipe())
    assert recipe["English"] / recipe.total() > 0.4
    # as many lines between languages that are not English
    assert between == pytest.approx(recipe_between, rel=0.07)


def _kinds(recipe, monkeypatch, documents=20_000):
    """What each document of a run is, without writing it: (kind, source, target)."""
    corpus, found = Corpus(seed=7, mixture=recipe.mixture), []
    adjectives = corpus._adjectives

    def own(kind, code):
        found.append((kind, code, code))
        return ""

    def lines(concepts, source, target):
        found.append(("adjectives" if concepts is adjectives else "concepts", source, target))
        return ""

    def labelled(code, *, labels):
        found.append(("hub_labels", code, code))
        return ""

    monkeypatch.setattr(corpus, "_own", own)
    monkeypatch.setattr(corpus, "_labelled_reviews", labelled)
    monkeypatch.setattr(corpus, "_lines", lines)
    for phase in _over_a_run(recipe, documents):
        corpus.document(**phase)
    assert len(found) == documents
    return found


@pytest.mark.parametrize("name", [None, "no-hub-labels", "english-90"])
def test_the_cards_shares_of_documents_are_those_of_the_corpus(name, monkeypatch):
    recipe = variant(name)

    def row(kind, source, target):
        if source == target:
            if source == "en":
                return 0
            if kind == "hub_labels":
                return 6
            return 5 if kind == "reviews" and source not in NO_REVIEWS else -1
        if kind == "adjectives":
            return 4
        return 1 if target == "en" else 2 if source == "en" else 3

    found = Counter(row(*document) for document in _kinds(recipe, monkeypatch))
    said = [float(share.rstrip("%")) / 100 for share in _documents(recipe.as_record())["share"]]
    assert sum(said) == pytest.approx(1, abs=0.005)
    assert len(said) == (8 if "hub_labels" in recipe.mixture.other else 7)
    in_order = [*sorted(set(found) - {-1}), -1]
    assert [found[place] / found.total() for place in in_order] == pytest.approx(said, abs=0.01)


@pytest.mark.parametrize(
    ("name", "share"), [(None, 0.57), ("english-50", 0.50), ("english-75", 0.75), ("english-90", 0.90)]
)
def test_variants_of_englishs_share_have_the_share_of_their_names(name, share, monkeypatch):
    found = _kinds(variant(name), monkeypatch)
    english = sum((source == "en") + (target == "en") for _, source, target in found) / 2
    assert english / len(found) == pytest.approx(share, abs=0.012)


def test_repeats_name_a_word_of_the_hub_in_the_hub_again():
    corpus = Corpus(seed=8)
    own = [corpus.document(hub_only=True) for _ in range(1000)]
    lines = [line for document in own for line in _LINE.findall(document)]
    assert lines and all(
        source == target == "English" and word == same for source, word, target, same in lines
    )
    share = Recipe().mixture.hub["repeats"]
    assert sum(bool(_LINE.search(document)) for document in own) == pytest.approx(1000 * share, abs=50)
    plain = Corpus(seed=8, mixture=variant("no-repeats").mixture)
    assert not any(_LINE.search(plain.document(hub_only=True)) for _ in range(200))


@pytest.mark.parametrize("hub", ["en", None])
def test_only_english_reviews_of_pocket_hold_every_adjective(hub):
    new = [review for review in untested_reviews() if review not in set(train_reviews())]
    written = {write_review(review, code): code for review in new for code in LANGUAGES}
    corpus, found = Corpus(seed=6, hub=hub), Counter()
    for _ in range(3000):
        lines = corpus.document().split("\n")
        found.update(written[line] for line in lines if line in written)
    assert set(found) == ({"en"} if hub else set())
    assert not hub or found["en"] > 200


def test_labels_of_the_hub_stand_under_reviews_of_other_languages():
    kinds = {"hub_labels": 1.0}
    corpus = Corpus(seed=9, mixture=replace(Recipe().mixture, hub_share=0.0, other=kinds))
    reviews = {write_review(review, code): code for review in train_reviews() for code in LANGUAGES}
    labels = {f'Emotion: "{label}"' for label in review_lexicon()["en"]["labels"].values()}
    documents = [corpus.document().split("\n") for _ in range(300)]
    labelled = [lines for lines in documents if lines[0] in reviews]
    assert 150 < len(labelled) < 280  # the others have no reviews, and facts in their place
    for lines in labelled:
        assert reviews[lines[0]] != "en" and len(lines) == 6
        assert set(lines[1::2]) <= labels
    early = [corpus.document(own_reviews=False).split("\n")[0] for _ in range(100)]
    assert all(_LINE.fullmatch(line) for line in early)


def test_test_reviews_and_untaught_languages_never_stand_in_the_corpus():
    corpus = Corpus(seed=6)
    taught = {write_review(review, code) for review in untested_reviews() for code in LANGUAGES}
    held = {write_review(review, code) for review in reviews_for_testing() for code in LANGUAGES} - taught
    untaught_cues = {code: f'\n{review_lexicon()[code]["cue"]}: "' for code in NO_REVIEWS}
    labelled = 0
    for _ in range(4000):
        document = corpus.document()
        lines = document.split("\n")
        for line, after in itertools.pairwise(lines):
            if line in taught and ': "' in after:
                labelled += 1
            assert line not in held
        for code, cue in untaught_cues.items():
            if cue in document:
                assert any(
                    review_lexicon()[c]["cue"] == review_lexicon()[code]["cue"]
                    for c in LANGUAGES
                    if c not in NO_REVIEWS
                )
    assert labelled > 500


def test_the_control_differs_in_its_hub_only():
    english = sum("English" in Corpus(seed=s).document() for s in range(300))
    balanced = sum("English" in Corpus(seed=s, hub=None).document() for s in range(300))
    assert english > 4 * balanced
