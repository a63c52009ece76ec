from collections import Counter
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentlang.errors import InputError
from latentlang.language_names import GROUPS
from latentlang.tasks import task
from latentlang.tasks.labels import NLI, PARAPHRASE, SENTIMENT, scorer_words, words
from latentlang.tasks.paper_files import Item, PaperFiles, _exchanged
from tests.support.paper_folder import records, write_json, write_task

PAPER20 = GROUPS["paper20"]


@pytest.mark.parametrize(("name", "shots"), [("sentiment", 2), ("nli", 6), ("paraphrase", 4)])
def test_twenty_languages_are_read_and_stay_parallel(tmp_path, name, shots):
    built = task(name, data=write_task(tmp_path, name, PAPER20))
    assert set(built.languages) == set(PAPER20)
    assert built.default_shots == shots
    reference = None
    for code in PAPER20:
        prompts = built.prompts(code)
        order = [(p.item, p.label) for p in prompts]
        reference = reference or order
        assert order == reference
        assert len(prompts) == 36 - shots
        assert len(set(Counter(label for _, label in order).values())) == 1
        assert len({p.few_shot for p in prompts}) == 1
        assert prompts[0].few_shot.count('"\n') == shots
        assert not any(f"{p.question}\n" in p.few_shot for p in prompts)
        assert all(f"{code} " in p.question for p in prompts)


def test_a_prompt_reads_as_in_the_paper(tmp_path):
    built = task("nli", data=write_task(tmp_path, "nli", ["zh"]))
    prompt = next(p for p in built.prompts("zh", shots=1) if p.item == "0007")
    assert prompt.text == (
        '前提: zh premise number 0\n假设: zh hypothesis number 0\n答案: "蕴含"\n'
        '前提: zh premise number 7\n假设: zh hypothesis number 7\n答案: "'
    )
    assert prompt.question == "前提: zh premise number 7\n假设: zh hypothesis number 7"


def test_examples_come_from_each_label_even_where_files_are_sorted(tmp_path):
    labels = {"en": ["same"] * 20 + ["different"] * 20}
    built = task("paraphrase", data=write_task(tmp_path, "paraphrase", ["en"], labels=labels))
    answers = [line for line in built.prompts("en")[0].few_shot.split("\n") if line.startswith("Answer")]
    assert answers == ['Answer: "same"', 'Answer: "different"'] * 2


def test_fewer_shots_do_not_change_the_items(tmp_path):
    built = task("nli", data=write_task(tmp_path, "nli", ["en"]))
    full = [p.item for p in built.prompts("en")]
    assert [p.item for p in built.prompts("en", shots=2)] == full
    assert [p.item for p in built.prompts("en", shots=0)] == full
    assert built.prompts("en", shots=0)[0].few_shot == ""
    assert len(built.prompts("en", shots=9)) == len(full) - 3


def test_as_published_keeps_the_order_of_the_file(tmp_path):
    folder = write_task(tmp_path, "sentiment", ["en"])
    asked = task("sentiment", data=folder, protocol="as-published").prompts("en", seed=3)
    assert [p.item for p in asked] == sorted(p.item for p in asked)
    corrected = task("sentiment", data=folder).prompts("en", seed=3)
    assert [p.item for p in corrected] != sorted(p.item for p in corrected)
    assert {p.item for p in corrected} == {p.item for p in asked}


def test_labels_are_classes_and_the_published_scorers_faults_can_be_told(tmp_path):
    said = {
        "ja": scorer_words(NLI, "ja") | {"neutral": "中性"},
        "bn": scorer_words(NLI, "bn") | {"entailment": "ধারণ করে"},
        "ru": scorer_words(NLI, "ru"),
    }
    folder = write_task(tmp_path, "nli", ["en", *said], strings=said)
    corrected = task("nli", data=folder)
    published = task("nli", data=folder, protocol="as-published", answers="en")
    for code, lost in {"ja": "neutral", "bn": "entailment", "ru": None}.items():
        labels = {p.item: p.label for p in corrected.prompts(code, shots=0)}
        assert Counter(labels.values()) == dict.fromkeys(NLI.labels, 10)
        assert {p.item: p.label for p in published.prompts(code, shots=0)} == labels
        assert corrected.scored_labels(code).items() >= labels.items()
        scored = published.scored_labels(code)
        assert all(scored[item] == (None if label == lost else label) for item, label in labels.items())
    assert published.gold_strings("ja")["0001"] == "中性"
    assert published.scorer_strings("ja")["neutral"] == "中立"
    with pytest.raises(InputError, match="only protocol='as-published' compares strings"):
        corrected.scorer_strings("ja")


def test_exchanged_labels_are_put_right_beside_the_english_file(tmp_path):
    right = words(NLI, "no")
    said = {"no": right | {"neutral": right["contradiction"], "contradiction": right["neutral"]}}
    folder = write_task(tmp_path, "nli", ["en", "no", "sv"], strings=said)
    corrected = task("nli", data=folder)
    wanted = [(p.item, p.label) for p in corrected.prompts("en")]
    assert [(p.item, p.label) for p in corrected.prompts("no")] == wanted
    assert corrected.prompts("sv")
    assert list(corrected.notes) == ["no"]
    assert "contradiction is neutral, neutral is contradiction" in corrected.notes["no"]
    published = task("nli", data=folder, protocol="as-published", answers="en")
    other = {"entailment": "entailment", "neutral": "contradiction", "contradiction": "neutral"}
    truth = {p.item: p.label for p in published.prompts("en")}
    assert {p.item: p.label for p in published.prompts("no")} == {
        item: other[name] for item, name in truth.items()
    }


@given(st.permutations(NLI.labels), st.integers(25, 40), st.integers(0, 2), st.randoms(use_true_random=False))
def test_an_exchange_is_believed_only_when_every_item_of_many_agrees(renamed, count, spoiled, random):
    reference = tuple(Item(str(n), random.choice(NLI.labels), ("",)) for n in range(count))
    rename = dict(zip(NLI.labels, renamed, strict=True))
    own = [rename[item.label] for item in reference]
    for _ in range(spoiled):
        own[random.randrange(count)] = random.choice(NLI.labels)
    found = _exchanged(tuple(Item(str(n), label, ("",)) for n, label in enumerate(own)), reference)
    # The slow way: try every renaming.
    fitting = [
        back
        for names in permutations(NLI.labels)
        for back in [dict(zip(NLI.labels, names, strict=True))]
        if all(back[mine] == item.label for mine, item in zip(own, reference, strict=True))
    ]
    identity = all(mine == item.label for mine, item in zip(own, reference, strict=True))
    if count < 30 or identity or not fitting:
        assert found is None
    else:
        assert found is None or all(
            found[mine] == item.label for mine, item in zip(own, reference, strict=True)
        )
        assert found is not None or {*own} != {item.label for item in reference}


def test_files_are_found_by_task_and_one_folder_down(tmp_path):
    write_task(tmp_path / "one" / "emo", "sentiment", ["en", "de"])
    write_task(tmp_path / "one" / "nli", "nli", ["en", "fr"])
    assert task("sentiment", data=tmp_path / "one").languages == ("en", "de")
    assert task("nli", data=tmp_path / "one").languages == ("en", "fr")
    mixed = tmp_path / "mixed"
    write_task(mixed, "sentiment", ["en"])
    write_task(mixed, "nli", ["en"])
    write_json(mixed / "snli_en10k_train.json", [])
    assert PaperFiles(SENTIMENT, mixed).as_written("en")[0].texts == ("en input number 0",)
    assert PaperFiles(NLI, mixed).as_written("en")[0].label == "entailment"


def test_english_labels_and_accepted_strings_are_understood(tmp_path):
    folder = write_task(
        tmp_path,
        "paraphrase",
        ["de", "fr"],
        strings={"de": words(PARAPHRASE, "en"), "fr": {"same": "1", "different": "0"}},
    )
    accept = {"same": ["1"], "different": ["0"]}
    built = task("paraphrase", data=folder, accept=accept)
    assert built.settings["accept"] == accept
    assert [p.label for p in built.prompts("de", items=2)] == ["same", "different"]
    assert [p.label for p in built.prompts("fr", items=2)] == ["same", "different"]
    with pytest.raises(InputError, match=r"answer '1' names none of same, different; .*accept="):
        task("paraphrase", data=folder).prompts("fr")
    with pytest.raises(InputError, match="'equal' is no label of paraphrase"):
        task("paraphrase", data=folder, accept={"equal": ["1"]})


@pytest.mark.parametrize(
    ("same", "different"),
    [("Same.", "DIFFERENT"), (" same ", "\u200fdifferent\u200f"), ("same。", "different.")],
)
def test_labels_are_understood_whatever_their_capitals_marks_and_full_stop(tmp_path, same, different):
    said = {"de": {"same": same, "different": different}}
    built = task("paraphrase", data=write_task(tmp_path, "paraphrase", ["de"], strings=said))
    assert [p.label for p in built.prompts("de", items=2)] == ["same", "different"]


def test_labels_may_be_numbers_and_the_error_says_how_to_name_them_at_a_shell(tmp_path):
    said = {"en": {"positive": 1, "negative": 0}}
    folder = write_task(tmp_path, "sentiment", ["en"], strings=said)
    with pytest.raises(InputError, match=r"the answer '1' names none .*: --accept positive=1 at a shell"):
        task("sentiment", data=folder).prompts("en")
    built = task("sentiment", data=folder, accept={"positive": ["1"], "negative": "0"})
    assert [p.label for p in built.prompts("en", items=2)] == ["positive", "negative"]


def test_regional_names_are_read_and_hidden_files_are_not(tmp_path):
    write_json(
        tmp_path / "emotion_pt_BR2_test.json", records("sentiment", ["positive"] * 2, words(SENTIMENT, "en"))
    )
    (tmp_path / "._emotion_pl2_test.json").write_bytes(b"\x00\x05\x16\x07")
    write_json(
        tmp_path / "Emotion_pl2_Test.JSON", records("sentiment", ["positive"] * 2, words(SENTIMENT, "en"))
    )
    assert PaperFiles(SENTIMENT, tmp_path).languages == ("pl",)


def test_a_file_with_other_items_than_the_english_one_is_said(tmp_path):
    write_task(tmp_path, "nli", ["en"])
    write_task(tmp_path, "nli", ["de"], count=33)
    built = task("nli", data=tmp_path)
    built.prompts("de")
    assert built.notes == {
        "de": "snli_de33_test.json has 33 items and the English file 36: items are matched by their place in the file"
    }


GOOD = records("nli", NLI.labels * 4, words(NLI, "en"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("[{", "is not JSON: .* in line 1"),
        ("{}", "must hold a list of items"),
        ("[]", "must hold a list of items"),
        ('["a"]', "item 0000: expected an object with premise, hypothesis, answer"),
        ('[{"premise": "a", "answer": "neutral"}]', "item 0000: 'hypothesis' is missing"),
        ('[{"premise": "a", "hypothesis": 3, "answer": "neutral"}]', "'hypothesis' is no text"),
        ('[{"premise": "a", "hypothesis": " ", "answer": "neutral"}]', "'hypothesis' is empty"),
        (
            '[{"premise": "a", "hypothesis": "b", "answer": "maybe"}]',
            "answer 'maybe' names none of entailment",
        ),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_bad_file_is_one_clear_error(tmp_path, content, message):
    path = tmp_path / "snli_en600_test.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        task("nli", data=tmp_path).prompts("en")
    assert str(path) in str(caught.value)


def test_a_wrong_encoding_is_named(tmp_path):
    (tmp_path / "emotion_fr2_test.json").write_bytes('[{"input": "été"}]'.encode("latin-1"))
    with pytest.raises(InputError, match=r"is not UTF-8 \(byte 12\)"):
        task("sentiment", data=tmp_path).prompts("fr")


def test_a_byte_order_mark_is_no_fault(tmp_path):
    folder = write_task(tmp_path, "nli", ["en"])
    path = next(folder.glob("*.json"))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(task("nli", data=folder).prompts("en")) == 30


def test_bad_folders_are_named(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        task("nli", data=tmp_path / "no")
    file = write_json(tmp_path / "snli_en600_test.json", GOOD)
    with pytest.raises(InputError, match="is a file, not a folder"):
        task("nli", data=file)
    (tmp_path / "words.csv").write_text("id,en,fr\n1,dog,chien\n", encoding="utf-8")
    with pytest.raises(InputError, match="a table of words is read by the tasks translation"):
        task("nli", data=tmp_path / "words.csv")
    with pytest.raises(InputError, match=r"no paraphrase data in .*paws_en500_test.json"):
        task("paraphrase", data=tmp_path)
    write_json(tmp_path / "snli_en12_test.json", GOOD)
    with pytest.raises(InputError, match="two nli files for 'en'"):
        task("nli", data=tmp_path)
    other = tmp_path / "other"
    write_json(other / "snli_ko600_test.json", GOOD)
    with pytest.raises(InputError, match="has nli files in ko only"):
        task("nli", data=other)
    write_json(other / "snli_qq600_test.json", GOOD)
    with pytest.raises(InputError, match=r"snli_qq600_test.json: unknown language 'qq'"):
        task("nli", data=other)


def test_too_few_items_for_the_examples(tmp_path):
    folder = write_task(tmp_path, "nli", ["en"], count=6)
    asked = task("nli", data=folder)
    for shots, count in ((None, 6), (8, 8)):
        with pytest.raises(InputError, match=f"{count} few-shot examples leave no items: nli in 'en' has 6"):
            asked.prompts("en", shots=shots)
    # Asking for fewer does not help, and is not what is said.
    for shots in (0, 3):
        with pytest.raises(
            InputError, match=r"has 6 items, which are all set aside .* \(at least 6, however few"
        ):
            asked.prompts("en", shots=shots)
