"""Continuation: parallel paragraphs as prompts; states of them go wherever a task's do, answers are refused."""

from __future__ import annotations

import pytest

import latentlang as ll
from latentlang.errors import InputError
from latentlang.tasks import task
from tests.support.parallel import PARAGRAPHS, lines_folder, records_folder
from tests.support.stores import hooked


@pytest.fixture
def folder(tmp_path):
    return lines_folder(tmp_path / "text")


def test_a_paragraph_is_a_prompts_question_and_its_id_the_item(folder):
    made = task("continuation", data=folder)
    prompts = {prompt.item: prompt for prompt in made.prompts("Japanese")}
    assert [prompts[f"{n:05}"].text for n in range(1, 6)] == PARAGRAPHS["ja"]
    first = prompts["00001"]
    assert (first.language, first.few_shot, first.cue, first.question) == ("ja", "", "", first.text)
    assert made.languages == ("de", "en", "hi", "ja") and made.settings == {"data": str(folder)}


def test_the_first_items_of_a_seed_are_the_same_in_every_language_whatever_one_lacks(tmp_path):
    texts = {str(n): f"text {n}" for n in range(40)}
    lacking = {name: text for name, text in texts.items() if name != "7"}
    made = task("continuation", data=records_folder(tmp_path, {"en": texts, "fr": lacking}))
    english, french = ([p.item for p in made.prompts(code)] for code in ("en", "fr"))
    assert [name for name in english if name != "7"] == french != sorted(french)
    assert [p.item for p in made.prompts("en", items=9)] == english[:9]
    assert [p.item for p in made.prompts("en", seed=1)] != english


def test_without_text_it_says_what_to_give():
    made = task("continuation")
    assert made.languages == ()
    with pytest.raises(InputError, match="give a folder of parallel text as data"):
        made.prompts("en")


def test_there_are_no_examples(folder):
    with pytest.raises(InputError, match="leave out shots=2"):
        task("continuation", data=folder).prompts("en", shots=2)


def test_states_are_harvested_and_put_to_pca_and_alignment(folder, tmp_path):
    model = hooked()
    texts = {code: [f"{text} {n}" for n in range(3) for text in own] for code, own in PARAGRAPHS.items()}
    store = ll.harvest(model, task("continuation", data=lines_folder(folder, texts)), out=tmp_path / "store")
    assert len(store) == 60 and store.provenance.task == "continuation"
    stored = {code: sorted(part["text"]) for code, part in store.frame().groupby("language")}
    assert stored == {code: sorted(own) for code, own in texts.items()}
    found = ll.alignment(store, measures="cka", permutations=20)
    assert set(found.provenance.languages) == set(PARAGRAPHS)
    assert ll.pca(store, pools="last").table["item"].nunique() == 15


def test_a_tuned_lens_is_trained_on_its_paragraphs(folder):
    model = hooked()
    made = task("continuation", data=folder)
    prompts = [prompt for code in made.languages for prompt in made.prompts(code)]
    by_prompt = ll.train_tuned_lens(model, prompts, steps=2, positions=16)
    by_text = ll.train_tuned_lens(model, [prompt.text for prompt in prompts], steps=2, positions=16)
    assert by_prompt.losses == by_text.losses


@pytest.mark.parametrize("look", [ll.logit_lens, ll.multilingual_lens])
def test_a_lens_refuses_it(folder, look):
    with pytest.raises(
        InputError, match="the continuation task has no answers that could be looked for"
    ) as told:
        look(hooked(), task("continuation", data=folder), languages="ja")
    assert "\n" not in str(told.value)


def test_an_evaluation_refuses_it(folder):
    with pytest.raises(InputError, match="the continuation task is open: it has no labels to choose between"):
        ll.evaluate(hooked(), task("continuation", data=folder), languages="ja")
