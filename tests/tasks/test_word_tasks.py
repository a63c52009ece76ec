import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentlang.errors import InputError
from latentlang.language_names import GROUPS, language
from latentlang.provenance import Provenance
from latentlang.tasks import Concept, WordTask, task
from latentlang.tasks.base import check_pivot, settings_for
from latentlang.tasks.words import embedded_concepts

PAPER20 = GROUPS["paper20"]


def test_a_translation_prompt_reads_as_in_wendler():
    prompt = task("translation", source="fr").prompts("ja", shots=2)[0]
    lines = prompt.text.split("\n")
    assert len(lines) == 3
    assert all(line.startswith('Français: "') for line in lines)
    assert prompt.text.endswith('" - 日本語: "')
    assert prompt.cue.endswith('日本語: "')
    word = task("translation", source="fr").answers("fr")[prompt.label][0]
    assert prompt.question == f'Français: "{word}'


@pytest.mark.parametrize("code", [code for code in PAPER20 if code != "fr"])
def test_no_concept_stands_in_its_own_block_and_no_answer_is_given_away(code):
    words = task("translation", source="fr")
    prompts = words.prompts(code)
    assert len(prompts) == len(embedded_concepts()) - words.default_shots
    for prompt in prompts:
        assert f'{prompt.question}"' not in prompt.few_shot
        assert prompt.few_shot == prompts[0].few_shot
        assert prompt.spans["cue"][1] == len(prompt.text)


def test_items_are_parallel_over_languages_and_do_not_depend_on_shots():
    words = task("translation", source="fr")
    ids = [p.item for p in words.prompts("ja", items=50)]
    assert ids == [p.item for p in words.prompts("hi", items=50)]
    assert ids == [p.item for p in words.prompts("ja", items=50, shots=8)]
    assert ids != [p.item for p in words.prompts("ja", items=50, seed=1)]


def test_wrong_labels_are_the_other_concepts_of_the_category():
    words = WordTask()
    wrong = words.wrong_labels("animal/dog")
    assert "animal/dog" not in wrong
    assert "animal/cat" in wrong
    assert all(name.startswith("animal/") for name in wrong)


def test_only_restricts_items_and_leaves_the_rest_as_examples():
    chosen = ["animal/dog", "food/egg"]
    prompts = WordTask(source="de", only=chosen).prompts("sw")
    assert sorted(p.item for p in prompts) == chosen


def test_repetition_repeats_in_one_language():
    prompt = task("repetition").prompts("ru", shots=1)[0]
    assert prompt.text.count("Русский") == 4


@pytest.mark.parametrize(
    ("options", "asked", "message"),
    [
        ({"source": "fr"}, {"language": "fr"}, "no data in 'fr'"),
        ({"source": "fr"}, {"language": "ja", "items": 0}, "items must be at least 1, not 0"),
        ({"source": "fr"}, {"language": "ja", "shots": -1}, "shots must be at least 0, not -1"),
        ({"source": "fr"}, {"language": "ja", "shots": 153}, "ask for fewer --shots"),
        ({"source": "tlh"}, {"language": "ja"}, "source language"),
        (
            {"source": "fr", "only": ["animal/unicorn"]},
            {"language": "ja"},
            "unknown concept 'animal/unicorn'",
        ),
        ({"source": "fr", "colour": 3}, {"language": "ja"}, "does not take these options"),
    ],
)
def test_bad_options_are_named(options, asked, message):
    with pytest.raises(InputError, match=message):
        task("translation", **options).prompts(**asked)


def test_a_users_own_concepts_need_not_be_complete():
    own = [Concept(f"a/{n}", "a", {"fr": f"f{n}", "ja": f"j{n}"}) for n in range(5)]
    own.append(Concept("a/only-french", "a", {"fr": "seul"}))
    words = WordTask(source="fr", concepts=own)
    assert words.languages == ("ja",)
    assert len(words.prompts("ja", shots=2)) == 3
    with pytest.raises(InputError, match="at least one concept"):
        WordTask(concepts=[])


def test_unknown_task_names_the_nearest():
    with pytest.raises(InputError, match="did you mean 'sentiment'"):
        task("sentimant")


def test_concepts_have_ids_of_their_own():
    dog, cat = (Concept("a/0", "a", {"en": word, "fr": word}) for word in ("dog", "cat"))
    with pytest.raises(InputError, match="the concept 'a/0' stands twice"):
        WordTask(source="en", concepts=[dog, cat])


def test_which_concepts_are_asked_for_is_on_record():
    assert WordTask(source="fr", only=["animal/dog"]).settings["only"] == ["animal/dog"]
    assert "only" not in WordTask(source="fr").settings
    with pytest.raises(InputError, match="only= names no concept"):
        WordTask(source="fr", only=[])


def test_a_concepts_words_carry_no_invisible_marks():
    concept = Concept(
        "c/dog", "c", {"ja": "\u200f犬", "de": "Hund\ufeff", "fa": "می‌خواهم", "fr": "e\u0301te\u0301"}
    )
    assert concept.words == {"ja": "犬", "de": "Hund", "fa": "می‌خواهم", "fr": "été"}
    with pytest.raises(InputError, match=r"concept 'c/x': the 'de' word '\\u200f' is no word"):
        Concept("c/x", "c", {"de": "\u200f"})
    with pytest.raises(InputError, match="is no word"):
        Concept("c/x", "c", {"de": "Hund\nKatze"})


def test_words_of_ones_own_are_told_apart_in_provenance():
    words = [Concept(f"a/{en}", "a", {"en": en, "de": de}) for en, de in (("dog", "Hund"), ("cat", "Katze"))]
    one, same = (WordTask(source="en", concepts=words).settings["concepts"] for _ in range(2))
    assert one == same and one.startswith("2 of one's own, sha256 ")
    other = [*words[:1], Concept("a/cat", "a", {"en": "cat", "de": "Kater"})]
    assert WordTask(source="en", concepts=other).settings["concepts"] != one
    assert "concepts" not in WordTask(source="en").settings


# Several sources


def test_translation_is_from_french_and_french_from_german():
    words = task("translation")
    assert words.sources == ("fr", "de") and words.settings == {"source": "fr"}
    assert {code: words.source_of(code) for code in ("ja", "de", "fr")} == {
        "ja": "fr",
        "de": "fr",
        "fr": "de",
    }
    assert set(words.languages) == set(PAPER20)
    for code, source in (("ja", "fr"), ("fr", "de")):
        alone = task("translation", source=source)
        assert words.prompts(code, items=5) == alone.prompts(code, items=5)
        assert words.given(code) == alone.given(code) == source


@given(
    st.lists(st.sampled_from(PAPER20), min_size=2, unique=True),
    st.sampled_from(PAPER20),
    st.sampled_from([",", None]),
)
def test_a_language_is_never_translated_from_itself(sources, target, comma):
    words = WordTask(source=sources if comma is None else comma.join(sources))
    assert words.source_of(target) == next(code for code in sources if code != target)
    assert words.prompts(target, items=1)[0].question.startswith(
        f"{language(words.source_of(target)).own_name}: "
    )


def test_a_single_source_is_no_target():
    words = task("translation", source="French")
    assert words.sources == ("fr",) and "fr" not in words.languages and words.settings == {"source": "fr"}
    assert task("repetition").source_of("ja") is None and task("sentiment").source_of("ja") is None


def test_sources_without_words_are_passed_over_but_not_the_first():
    own = [Concept(f"a/{n}", "a", {"fr": f"f{n}", "ja": f"j{n}"}) for n in range(5)]
    assert WordTask(source="fr,de", concepts=own).languages == ("ja",)
    with pytest.raises(InputError, match="no words in the source language 'de'; there are: fr, ja"):
        WordTask(source="de,fr", concepts=own)


def test_a_result_notes_the_source_of_its_languages():
    words = task("translation")
    assert settings_for(words, ["ja", "hi"]) == {"source": "fr"}
    assert settings_for(words, ["fr"]) == {"source": "de"}
    assert settings_for(words, ["fr", "ja"]) == {"source": "de", "sources": {"fr": "de", "ja": "fr"}}
    assert settings_for(task("repetition"), ["ja"]) == {}
    for codes, sources in ((["fr", "ja"], ("de", "fr")), (["ja"], ("fr",))):
        made = Provenance("m", "translation", tuple(codes), settings=settings_for(words, codes))
        assert [made.source_of(code) for code in codes] == [words.source_of(code) for code in codes]
        assert made.sources == sources
    assert Provenance("m", "sentiment", ("ja",)).source_of("ja") is None


def test_a_pivot_without_words_is_refused():
    check_pivot(task("translation"), "en")
    with pytest.raises(InputError, match="the translation task has no answers in the pivot language 'eo'"):
        check_pivot(task("translation"), "eo")
