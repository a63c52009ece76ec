"""Where translations come from: only items that are free for training, never an answer, one sentence per bad file."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from latentlang.errors import InputError
from latentlang.installing import install_command
from latentlang.language_names import GROUPS, language
from latentlang.tasks import task
from latentlang.tasks.labels import KINDS, languages_of, words
from latentlang.tasks.pairs import EmbeddedPairs
from latentlang.tasks.reviews import test_reviews as reviews_for_testing
from latentlang.tasks.reviews import train_reviews, write_review
from latentlang.training import QuestionPair, alignment_data, read_pairs, recipe
from latentlang.training.data.hub_pairs import hub_pairs
from latentlang.training.data.leakage import answer_in, check_no_answers
from latentlang.training.data.question_alignment import embedded_questions

PAPER20 = GROUPS["paper20"]


def _everything(sources: Iterable[str] = ("zh", "is", "sw"), **changes: Any) -> tuple[QuestionPair, ...]:
    data = alignment_data(recipe({"data": {"sources": list(sources), "per_pair": None, **changes}}))
    return (*data.train, *data.validation)


def test_the_embedded_reviews_are_the_training_reviews_and_nothing_else() -> None:
    for code in PAPER20:
        cue = task("sentiment").prompts(code, items=1)[0].cue
        assert set(embedded_questions("sentiment", [code])[code].values()) == {
            write_review(review, code) + cue for review in train_reviews()
        }
    pairs = _everything()
    assert {pair.item for pair in pairs} == {review.id for review in train_reviews()}
    held = {code: {write_review(review, code) for review in reviews_for_testing()} for code in PAPER20}
    for pair in pairs:
        assert pair.question.partition("\n")[0] not in held[pair.source]
        assert pair.translation.partition("\n")[0] not in held["en"]


@pytest.mark.parametrize("name", ["nli", "paraphrase"])
def test_no_embedded_pair_that_is_evaluated_is_trained_on(name: str) -> None:
    pairs = _everything(task=name)
    evaluated = {prompt.item for prompt in task(name).prompts("en")}
    trained = {pair.item for pair in pairs}
    assert len(trained) > 40 and not trained & evaluated
    said = {prompt.question + prompt.cue for code in ("en", "sw") for prompt in task(name).prompts(code)}
    assert not said & {text for pair in pairs for text in (pair.question, pair.translation)}
    assert evaluated == {item.id for item in EmbeddedPairs(KINDS[name]).items("en")}


@pytest.mark.parametrize("name", list(KINDS))
def test_no_label_word_follows_the_cue(name: str) -> None:
    for pair in _everything([code for code in PAPER20 if code != "en"], task=name, per_pair=60):
        for code, text in ((pair.source, pair.question), (pair.target, pair.translation)):
            question, quote, after = text.rpartition('"')
            # The cue's opening quotation mark is the end of it: nothing follows, no label, no space.
            assert quote and after == ""
            cue = question.rpartition("\n")[2]
            assert cue.endswith(": ") and not any(word in cue for word in words(KINDS[name], code).values())


def test_a_prompt_of_the_task_is_the_question_that_is_translated() -> None:
    prompt = task("sentiment").prompts("zh", items=1)[0]
    texts = embedded_questions("sentiment", ["zh"])["zh"]
    assert next(iter(texts.values())).endswith(prompt.cue)
    assert prompt.item not in texts


def test_languages_and_tasks_without_questions_are_named() -> None:
    with pytest.raises(InputError, match="sentiment task has no questions in 'eo'"):
        alignment_data(recipe("eo-en"))
    with pytest.raises(InputError, match=r"no embedded questions for the task 'maths'.*give data"):
        alignment_data(recipe("zh-en", task="maths"))


def test_a_tasks_own_items_can_be_taken_and_that_is_said() -> None:
    data = alignment_data(recipe("zh+es-en", per_pair=30), task=task("sentiment"))
    assert {pair.item for pair in data.train} <= {review.id for review in reviews_for_testing()}
    assert data.notes[0] == "the questions are those that the sentiment task evaluates with"
    with pytest.raises(InputError, match="not both"):
        alignment_data(recipe("zh-en"), task=task("sentiment"), data="somewhere")


# Answers


@pytest.mark.parametrize("code", ["en", "zh", "sw", "is"])
@pytest.mark.parametrize("name", list(KINDS))
def test_an_answer_after_a_cue_is_seen(code: str, name: str) -> None:
    kind = KINDS[name]
    assert code in languages_of(kind)
    text = next(iter(embedded_questions(name, [code])[code].values()))
    assert answer_in(text, code) is None
    own = list(words(kind, code).values())
    for word in [*own, *words(kind, "en").values(), *kind.agnostic.values(), own[0].upper()]:
        assert answer_in(f'{text}{word}"\n', code) is not None
    # Few-shot examples would have answers too.
    assert answer_in(f'{text}{own[0]}"\n{text}', code) is not None


def test_translations_that_give_answers_away_are_refused(tmp_path: Path) -> None:
    good = QuestionPair("a", "de", "en", 'Gut.\nEmotion: "', 'Good.\nEmotion: "')
    check_no_answers([good])
    bad = QuestionPair("b", "de", "en", 'Gut.\nEmotion: "', 'Good.\nEmotion: "positive"')
    with pytest.raises(InputError, match=r"item 'b' \(en\) gives its answer away: 'positive'"):
        check_no_answers([good, bad])
    path = _write(tmp_path / "a.json", [good, bad])
    with pytest.raises(InputError, match="train on questions, never on answers"):
        alignment_data(recipe("de-en", validation=0), data=path)


# Files in the paper's layout


def _write(path: Path, pairs: list[QuestionPair]) -> Path:
    path.write_text(
        json.dumps([{"input": pair.input, "answer": pair.output} for pair in pairs], ensure_ascii=False)
    )
    return path


def _nli(code: str, count: int = 6) -> list[QuestionPair]:
    texts = embedded_questions("nli", [code, "en"])
    return [
        QuestionPair(item, code, "en", texts[code][item], texts["en"][item])
        for item in list(texts["en"])[:count]
    ]


def test_published_files_are_read_and_known_to_be_parallel(tmp_path: Path) -> None:
    _write(tmp_path / "snli_zh10k_train_question.json", _nli("zh"))
    _write(tmp_path / "snli_sw10k_train_question.json", _nli("sw")[::-1])
    (tmp_path / "dataset_info.json").write_text("{}")
    (tmp_path / "notes.json").write_text("[]")
    pairs = read_pairs(tmp_path)
    for code in ("zh", "sw"):
        own = [pair for pair in pairs if pair.source == code]
        assert {(p.question, p.translation) for p in own} == {(p.question, p.translation) for p in _nli(code)}
    # Told by their translation, whatever their order in the file.
    assert {p.item for p in pairs if p.source == "zh"} == {p.item for p in pairs if p.source == "sw"}
    data = alignment_data(recipe("zh+sw-en", per_pair=6, validation=0.2), data=tmp_path)
    assert data.counts() == {"zh-en": (5, 1), "sw-en": (5, 1)}
    assert len({pair.item for pair in data.validation}) == 1


def test_one_file_may_hold_several_languages(tmp_path: Path) -> None:
    path = _write(tmp_path / "mixed.json", [*_nli("zh", 3), *_nli("sw", 3)])
    assert [pair.source for pair in read_pairs(path)] == ["zh"] * 3 + ["sw"] * 3
    # The line break at the end may have been lost.
    record = {"input": _nli("zh")[0].input.rstrip("\n"), "answer": "x"}
    path.write_text(json.dumps([record]))
    assert read_pairs(path)[0].question == _nli("zh")[0].question


@pytest.mark.parametrize(
    ("content", "words_said"),
    [
        ("[]", ["must hold a list"]),
        ("{}", ["must hold a list"]),
        ("[1]", ["item 0", "'input' and 'answer'"]),
        ('[{"input": "x"}]', ["item 0", "'answer'"]),
        ('[{"input": "x", "answer": ""}]', ["item 0"]),
        (
            '[{"input": "A nice phone.", "answer": "positive"}]',
            ["item 0", "must end with 'Translate the input"],
        ),
        (
            '[{"input": "x\\nTranslate the input from Klingonese to English:\\n", "answer": "y"}]',
            ["Klingonese"],
        ),
        ("[", ["is not JSON"]),
        ("", ["is empty"]),
    ],
)
def test_a_file_in_another_layout_is_named(content: str, words_said: list[str], tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        read_pairs(path)
    for word in ["mine.json", *words_said]:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_place_without_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no JSON files"):
        read_pairs(tmp_path)
    with pytest.raises(InputError, match=r"there is no file .*none\.json"):
        read_pairs(tmp_path / "none.json")


# Hub sets, as folders that the datasets library reads without a network


def _hub(tmp_path: Path, rows: list[dict[str, Any]], **fields: Any) -> Any:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "train.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return recipe("zh+de-en", hub={"id": str(folder), **fields}).data.hub[0]


def test_a_hub_set_with_a_column_per_language(tmp_path: Path) -> None:
    rows = [{"c": f"zh {n}", "g": f"de {n}" if n else None, "e": f"en {n}"} for n in range(4)]
    hub = _hub(tmp_path, rows, columns={"Chinese": "c", "de": "g", "en": "e"})
    pairs = hub_pairs(hub, sources=["zh", "de"], target="en")
    assert {(p.source, p.question, p.translation) for p in pairs} == {
        *(("zh", f"zh {n}", f"en {n}") for n in range(4)),
        *(("de", f"de {n}", f"en {n}") for n in range(1, 4)),
    }
    assert len({p.item for p in pairs}) == 4
    with pytest.raises(InputError, match=r"columns c, g, e; say in hub\.columns which of them is ru"):
        hub_pairs(hub, sources=["zh"], target="ru")


def test_a_hub_set_with_translations_in_one_column(tmp_path: Path) -> None:
    rows = [{"translation": {"en": f"en {n}", "zh": f"zh {n}"}} for n in range(30)]
    hub = _hub(tmp_path, rows)
    assert len(hub_pairs(hub, sources=["zh"], target="en")) == 30
    some = hub_pairs(hub, sources=["zh"], target="en", rows=7, seed=1)
    assert len(some) == 7 and some == hub_pairs(hub, sources=["zh"], target="en", rows=7, seed=1)
    assert some != hub_pairs(hub, sources=["zh"], target="en", rows=7, seed=2)


def test_a_recipe_takes_its_hub_set(tmp_path: Path) -> None:
    pairs = _nli("zh")
    hub = _hub(tmp_path, [{"input": pair.input, "answer": pair.output} for pair in pairs])
    data = alignment_data(recipe("zh-en", hub=hub.model_dump(), validation=0, task="nli"))
    assert {pair.question for pair in data.train} == {pair.question for pair in pairs}
    assert data.notes == ("zh-en: 6 translations, fewer than the 10,000 asked for",)
    assert data.downloads == (hub.id,)
    assert alignment_data(recipe("zh-en", hub=hub.model_dump(), validation=0), data=pairs).downloads == ()
    named = hub.model_copy(update={"config": "en-zh", "revision": "1a2b"})
    assert named.label == f"{hub.id} (en-zh) at 1a2b"


def test_a_hub_set_out_of_reach_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    away = recipe("zh-en", hub={"id": "nobody/nothing"})
    with pytest.raises(InputError, match=r"'nobody/nothing' cannot be read .* or give files") as caught:
        alignment_data(away)
    assert "\n" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=re.escape(f"need datasets; `{install_command('train')}`")):
        alignment_data(away)


def test_names_in_the_instruction_are_languages() -> None:
    for code in PAPER20:
        assert language(language(code).name).code == code


def _flores(tmp_path: Path) -> Path:
    """The layout of FLORES: a configuration per language, rows in any order, joined by their id."""
    texts = {"eng_Latn": "sentence {}", "cmn_Hans": "句子 {}", "deu_Latn": "Satz {}"}
    card = ["---", "configs:"]
    for place, (name, text) in enumerate(texts.items()):
        rows = [{"id": n, "text": text.format(n) if n != 5 or place != 1 else ""} for n in range(20)]
        (tmp_path / f"{name}.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in (rows if place else reversed(rows))), encoding="utf-8"
        )
        card += [f"- config_name: {name}", "  data_files:", "  - split: dev", f"    path: {name}.jsonl"]
    (tmp_path / "README.md").write_text("\n".join([*card, "---", ""]), encoding="utf-8")
    return tmp_path


def test_a_hub_set_with_a_configuration_per_language_is_put_together_by_id(tmp_path: Path) -> None:
    folder = _flores(tmp_path)
    configs = {"zh": "cmn_Hans", "de": "deu_Latn", "English": "eng_Latn"}
    hub = recipe("zh+de-en", hub={"id": str(folder), "split": "dev", "configs": configs}).data.hub[0]
    pairs = hub_pairs(hub, sources=["zh", "de"], target="en")
    assert {(p.question, p.translation) for p in pairs if p.source == "zh"} == {
        (f"句子 {n}", f"sentence {n}") for n in range(20) if n != 5
    }
    assert sum(p.source == "de" for p in pairs) == 20
    some = hub_pairs(hub, sources=["de"], target="en", rows=6, seed=1)
    assert len(some) == 6 and some == hub_pairs(hub, sources=["de"], target="en", rows=6, seed=1)
    with pytest.raises(InputError, match=r"no configuration for 'ru'; say it in hub\.configs"):
        hub_pairs(hub, sources=["ru"], target="en")
    other = hub.model_copy(update={"text": "sentence"})
    with pytest.raises(InputError, match=r"no column 'sentence', only .*text; say in hub\.key and hub\.text"):
        hub_pairs(other, sources=["zh"], target="en")


def test_a_set_has_one_layout(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="configs says where each language's texts are"):
        recipe("zh-en", hub={"id": "a/b", "config": "all", "configs": {"zh": "x", "en": "y"}})


def test_an_order_ends_the_input_and_is_read_in_one_pass(tmp_path: Path) -> None:
    order = "\nTranslate the input from Chinese to English:\n"
    path = tmp_path / "mine.json"
    # An order in the question itself is part of the question; the last one counts.
    inputs = [f"a{order}b{order}", f" to {' to ' * 40_000}{order}", "Translate the input from x to y" + order]
    path.write_text(json.dumps([{"input": text, "answer": "x"} for text in inputs]))
    pairs = read_pairs(path)
    assert [pair.question for pair in pairs] == [text.removesuffix(order) for text in inputs]
    assert {(pair.source, pair.target) for pair in pairs} == {("zh", "en")}
    for wrong in (
        "a\nTranslate the input from " + " to " * 40_000,  # took a minute and more
        "a\nTranslate the input from " + " to " * 40_000 + ":",
        "a\nTranslate the input from zh to en:\n\n", "a\nTranslate the input from zh to :", order,
        "a\nTranslate the input from zh:", "a\nTranslate the input from zh to en: now",
    ):  # fmt: skip
        path.write_text(json.dumps([{"input": wrong, "answer": "x"}]))
        with pytest.raises(InputError, match="item 0: the input must end with 'Translate the input from"):
            read_pairs(path)


def test_half_a_character_is_named_with_its_item(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text('[{"input": "a", "answer": "b"}, {"input": "\\ud800", "answer": "b"}]')
    with pytest.raises(InputError, match=r"mine\.json' is damaged: .*lone surrogate\), at item 1, 'input'"):
        read_pairs(path)
