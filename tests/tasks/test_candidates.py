"""Items with candidates of their own: what is read of published files, how it is written, and what is refused."""

import json

import pytest

import latentlang as ll
from latentlang.errors import InputError
from latentlang.tasks.benchmarks import BENCHMARKS
from latentlang.tasks.candidates import connectors
from tests.support.benchmark_files import write_lines, xcopa_folder, xwinograd_folder


def _task(name, path, **options):
    return ll.task(name, data=path, **options)


def _item(task, language, name):
    (prompt,) = [p for p in task.prompts(language) if p.item == name]
    return prompt


def _whole(prompt):
    return [prompt.text + "|" + c.given + "|" + c.text for c in prompt.candidates]


@pytest.mark.parametrize(
    ("language", "name", "protocol", "texts"),
    [
        (
            "it",
            "0000",
            "corrected",
            [
                "Il vaso è caduto perché|| il gatto lo ha urtato.",
                "Il vaso è caduto perché|| il sole splendeva.",
            ],
        ),
        (
            "it",
            "0001",
            "corrected",
            [
                "La pioggia era forte, perciò|| la strada era asciutta.",
                "La pioggia era forte, perciò|| la strada si è allagata.",
            ],
        ),
        (
            "it",
            "0001",
            "lm-eval",
            [
                "La pioggia era forte quindi|| la strada era asciutta.",
                "La pioggia era forte quindi|| la strada si è allagata.",
            ],
        ),
        ("zh", "0000", "corrected", ["杯子掉在地上，因此||杯子碎了。", "杯子掉在地上，因此||杯子飞了。"]),
        ("zh", "0000", "lm-eval", ["杯子掉在地上 所以|| 杯子碎了。", "杯子掉在地上 所以|| 杯子飞了。"]),
        # Thai sentences end without a full stop: ours keep their last letter, lm-eval's lose it
        ("th", "0000", "corrected", ["แก้วตกลงพื้น ดังนั้น|| แก้วแตก", "แก้วตกลงพื้น ดังนั้น|| แก้วลอย"]),
        ("th", "0000", "lm-eval", ["แก้วตกลงพื้ ดังนั้น|| แก้วแตก", "แก้วตกลงพื้ ดังนั้น|| แก้วลอย"]),
    ],
)
def test_xcopa_in_our_words_and_in_lm_evals(tmp_path, language, name, protocol, texts):
    task = _task("xcopa", xcopa_folder(tmp_path), protocol=protocol)
    assert (set(task.languages), task.split) == ({"it", "th", "zh"}, "val")
    prompt = _item(task, language, name)
    assert _whole(prompt) == texts and [c.label for c in prompt.candidates] == ["1", "2"]
    assert prompt.label == str(
        json.loads(
            (tmp_path / f"xcopa/data/{language}/val.{language}.jsonl").read_text().splitlines()[int(name)]
        )["label"]
        + 1
    )


def test_turkish_has_two_letters_i(tmp_path):
    record = {
        "premise": "Uyandı.",
        "choice1": "Işık yandı.",
        "choice2": "İp koptu.",
        "question": "cause",
        "label": 0,
        "idx": 0,
    }
    task = _task("xcopa", write_lines(tmp_path / "test.tr.jsonl", [record]))
    assert [c.text for c in task.prompts("tr")[0].candidates] == [" ışık yandı.", " ip koptu."]


def test_xwinograd_puts_names_for_the_pronoun_and_scores_what_follows(tmp_path):
    root = xwinograd_folder(tmp_path)
    task = _task("xwinograd", root)
    assert task.languages == ("en", "ja") and task.candidate_labels == ("1", "2")
    prompt = _item(task, "en", "en-0002")
    assert _whole(prompt) == [
        "Anna thanked Maria because |Anna| had helped.",
        "Anna thanked Maria because |Maria| had helped.",
    ]
    assert prompt.label == "2"
    assert _whole(_item(task, "ja", "ja-0000"))[0] == "犬は猫を追いかけた。|犬|は疲れたからだ。"
    theirs = _task("xwinograd", root, protocol="lm-eval")
    assert _whole(_item(theirs, "ja", "ja-0000"))[0] == "犬は猫を追いかけた。|犬| は疲れたからだ。"


def test_xwinograds_own_table_says_which_word_is_the_pronoun(tmp_path):
    def row(sentence, tokens, place, names, right):
        pronoun = tokens[place]
        cells = [
            tokens,
            [pronoun, [place, place + 1], [pronoun]],
            [[name, [0, 1], [name], n == right] for n, name in enumerate(names)],
        ]
        return "\t".join(["en", "original", "?", sentence, *map(json.dumps, cells)])

    lines = [
        row(
            'Tom said "it" when he saw it fall.',
            ["Tom", "said", "``", "it", "''", "when", "he", "saw", "it"],
            8,
            ["Tom", "the cup"],
            1,
        ),
        row("Ann saw her", ["Ann", "saw", "her"], 2, ["Ann", "Eve"], 0),
    ]
    (tmp_path / "dataset.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    task = _task("xwinograd", tmp_path)
    (prompt,) = task.prompts("en")
    assert _whole(prompt)[1] == 'Tom said "it" when he saw |the cup| fall.' and prompt.label == "2"
    assert task.notes == {"en": "1 item left out: 1 with nothing behind the candidates (en-0001)"}


_STORY = {f"input_sentence_{n}": f"S{n}." for n in range(1, 5)} | {
    "sentence_quiz1": "E1.",
    "sentence_quiz2": "E2.",
}
_HELLASWAG = {
    "ind": 4,
    "source_id": "v1",
    "activity_label": "Rowing",
    "ctx_a": "A man [header] sits.",
    "ctx_b": "he McRow",
    "endings": ["rows.", "flies.", "sleeps [step] now.", "sings."],
    "label": "2",
}
_ARC = {
    "id": "q1",
    "question": {
        "stem": "What burns?",
        "choices": [
            {"text": "wood", "label": "A"},
            {"text": "stone", "label": "B"},
            {"text": "water", "label": "C"},
        ],
    },
    "answerKey": "A",
}


@pytest.mark.parametrize(
    ("name", "file", "record", "language", "texts", "label"),
    [
        (
            "xstorycloze",
            "sw/eval.jsonl",
            {**_STORY, "story_id": "a", "answer_right_ending": 2},
            "sw",
            ["S1. S2. S3. S4.|| E1.", "S1. S2. S3. S4.|| E2."],
            "2",
        ),
        (
            "xstorycloze",
            "zh/eval.jsonl",
            {**_STORY, "story_id": "a", "answer_right_ending": 1},
            "zh",
            ["S1.S2.S3.S4.||E1.", "S1.S2.S3.S4.||E2."],
            "1",
        ),
        (
            "hellaswag",
            "hellaswag_val.jsonl",
            _HELLASWAG,
            "en",
            [
                f"Rowing: A man sits. He McRow|| {text}"
                for text in ("rows.", "flies.", "sleeps now.", "sings.")
            ],
            "3",
        ),
        (
            "arc",
            "ARC-Easy-Test.jsonl",
            _ARC,
            "en",
            [f"Q: What burns?\nA:|| {text}" for text in ("wood", "stone", "water")],
            "1",
        ),
        (
            "arc",
            "ru_test.json",
            {
                "id": "q",
                "instruction": "Что?",
                "option_a": "а",
                "option_b": "б",
                "option_c": "",
                "answer": "B",
            },
            "ru",
            ["Q: Что?\nA:|| а", "Q: Что?\nA:|| б"],
            "2",
        ),
        (
            "xnli",
            "sw/test.jsonl",
            {"premise": "Anakula.", "hypothesis": "Amelala.", "label": 2},
            "sw",
            [f"Anakula.|| {word}, Amelala." for word in ("Ndiyo", "Labda", "Hapana")],
            "contradiction",
        ),
    ],
)
def test_layouts_of_json(tmp_path, name, file, record, language, texts, label):
    write_lines(tmp_path / file, [record])
    (prompt,) = _task(name, tmp_path).prompts(language)
    assert _whole(prompt) == texts and prompt.label == label


def test_a_missing_answer_gives_its_letter_to_no_other(tmp_path):
    options = {"option_a": "x", "option_b": "y", "option_c": "", "option_d": "z"}
    record = {"id": "q", "instruction": "Q?", **options, "answer": "D"}
    (prompt,) = _task("arc", write_lines(tmp_path / "en_test.jsonl", [record])).prompts("en")
    assert _whole(prompt) == ["Q: Q?\nA:|| x", "Q: Q?\nA:|| y", "Q: Q?\nA:|| z"] and prompt.label == "3"
    for answer in ("", "C", "AB"):
        path = write_lines(tmp_path / "en_dev.jsonl", [record | {"answer": answer}])
        with pytest.raises(InputError, match=f"must be one of A, B, D, not '{answer}'"):
            _task("arc", path).prompts("en")


def test_layouts_of_tables(tmp_path):
    names = [
        "InputStoryid",
        *(f"InputSentence{n}" for n in range(1, 5)),
        "RandomFifthSentenceQuiz1",
        "RandomFifthSentenceQuiz2",
        "AnswerRightEnding",
    ]
    cells = ["id1", "S1.", "S2.", 'S"3.', "S4.", "E1.", "E2.", "2"]
    story = tmp_path / "spring2016.val.es.tsv.split_20_80_eval.tsv"
    story.write_text("\t".join(names) + "\n" + "\t".join(cells) + "\n", encoding="utf-8")
    task = _task("xstorycloze", story)
    assert (task.languages, task.split) == (("es",), "eval")
    assert _whole(task.prompts("es")[0])[1] == 'S1. S2. S"3. S4.|| E2.'

    xnli = tmp_path / "xnli.dev.tsv"
    xnli.write_text(
        "language\tgold_label\tpairID\tsentence1\tsentence2\nde\tneutral\t7\tA.\tB.\nfr\tentailment\t7\tC.\tD.\n",
        encoding="utf-8",
    )
    task = _task("xnli", xnli)
    assert (task.languages, task.split) == (("de", "fr"), "dev")
    (prompt,) = task.prompts("fr")
    assert (prompt.item, prompt.label, _whole(prompt)[0]) == ("7", "entailment", "C.|| Oui, D.")

    for folder in ("mmlu/test", "mmlu/dev"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "mmlu/test/high_school_physics_test.csv").write_text(
        '"What, then?",a,b,c,d,C\n', encoding="utf-8"
    )
    (tmp_path / "mmlu/dev/high_school_physics_dev.csv").write_text("Which?,a,b,c,d,A\n", encoding="utf-8")
    (prompt,) = _task("mmlu", tmp_path).prompts("en")  # the folder of its name in a folder of several sets
    assert prompt.item == "high_school_physics-0000" and prompt.label == "C"
    assert _whole(prompt)[3] == "What, then?\nA. a\nB. b\nC. c\nD. d\nAnswer:|| D"
    theirs = _task("mmlu", tmp_path, protocol="lm-eval", split="dev").prompts("en")[0]
    assert theirs.text.startswith(
        "The following are multiple choice questions (with answers) about high school physics."
    )
    (tmp_path / "cmmlu").mkdir()
    (tmp_path / "cmmlu/zh_test.csv").write_text(
        ",Question,A,B,C,D,Answer\n0,问？,一,二,三,四,B\n", encoding="utf-8"
    )
    assert _task("mmlu", tmp_path / "cmmlu").prompts("zh")[0].label == "B"

    nusax = tmp_path / "nusax/datasets/sentiment/ngaju/valid.csv"
    nusax.parent.mkdir(parents=True)
    nusax.write_text('id,text,label\n12,"Katawan, bahalap.",positive\n', encoding="utf-8")
    (prompt,) = _task("nusax", tmp_path, split="validation").prompts("x-ngaju")
    assert _whole(prompt) == [f"Katawan, bahalap.\nSentimen:|| {w}" for w in ("positif", "netral", "negatif")]


def _own(**changes):
    return {
        "id": "a",
        "lang": "de",
        "context": "Es regnet,",
        "candidates": ["weil", "obwohl"],
        "answer": 1,
        **changes,
    }


def test_items_of_ones_own(tmp_path):
    lines = [
        _own(),
        _own(id="b", context="", candidates=["Ein Satz.", "Satz ein.", "Kein"], answer=0),
        _own(id="c", lang="ja", context="雨が", candidates=["降る", "食べる"]),
        _own(id="d", context="Er sah, dass", candidates=["Anna", "Eva"], continuation="lachte."),
        _own(id="e", candidates=[" weil", "obwohl"]),
    ]
    task = _task("choice", write_lines(tmp_path / "mine.jsonl", lines))
    assert task.languages == ("de", "ja") and task.candidate_labels == ("1", "2", "3")
    assert _whole(_item(task, "de", "a")) == ["Es regnet,|| weil", "Es regnet,|| obwohl"]
    assert _whole(_item(task, "de", "b"))[0] == "||Ein Satz."
    assert _whole(_item(task, "de", "e")) == ["Es regnet,|| weil", "Es regnet,|| obwohl"]
    assert _whole(_item(task, "ja", "c"))[0] == "雨が||降る"
    assert _whole(_item(task, "de", "d"))[1] == "Er sah, dass| Eva| lachte."
    assert _item(task, "de", "a").label == "2" and not task.notes


def test_what_cannot_be_decided_is_left_out_and_counted(tmp_path):
    lines = [
        _own(),
        _own(id="b", candidates=["gleich", "gleich"]),
        _own(id="c", candidates=["", "x"]),
        _own(id="d", candidates=["x", " "]),
    ]
    task = _task("choice", write_lines(tmp_path / "mine.jsonl", lines))
    assert [p.item for p in task.prompts("de")] == ["a"]
    assert task.notes == {
        "de": "3 items left out: 1 with two equal candidates (b), 2 with an empty candidate (c)"
    }
    alone = _task("choice", write_lines(tmp_path / "none.jsonl", lines[1:]))
    with pytest.raises(InputError, match="no items in 'de' that can be decided: 3 items left out"):
        alone.prompts("de")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([_own(answer=2)], r"line 1: 'answer' must be 0 to 1, which of its 2 candidates is right, not 2"),
        ([_own(answer=True)], "not True"),
        ([_own(), _own()], r"line 2: the id 'a' is there already \(.*line 1\)"),
        ([_own(candidates=["one"])], "'candidates' must be a list of two texts or more"),
        ([_own(lang="qqq")], "line 1: unknown language 'qqq'"),
        ([{"id": "a"}], "line 1 has no 'lang' or 'language', only id"),
    ],
)
def test_lines_that_cannot_be_read_are_named(tmp_path, lines, message):
    with pytest.raises(InputError, match=message):
        _task("choice", write_lines(tmp_path / "mine.jsonl", lines)).prompts("de")


def test_options_that_cannot_be(tmp_path):
    root = xcopa_folder(tmp_path)
    for options, message in (
        ({"split": "test"}, "unknown split of these xcopa files 'test'; known: val"),
        (
            {"protocol": "as-published"},
            "the xcopa task has protocol corrected or lm-eval, not 'as-published'",
        ),
    ):
        with pytest.raises(InputError, match=message):
            _task("xcopa", root, **options)
    with pytest.raises(InputError, match="does not exist"):
        _task("xcopa", tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no \.jsonl"):
        (tmp_path / "empty").mkdir()
        _task("xcopa", tmp_path / "empty")
    with pytest.raises(InputError, match="nusax task has protocol corrected, not 'lm-eval'"):
        ll.task("nusax", protocol="lm-eval")
    with pytest.raises(InputError, match="few-shot examples here, so leave out shots=2"):
        _task("xcopa", root, protocol="lm-eval").prompts("it", shots=2)
    with pytest.raises(InputError, match="6 few-shot examples leave no items"):
        _task("xcopa", root).prompts("it", shots=6)


def test_a_language_without_connective_words_can_be_given_some(tmp_path):
    record = {
        "premise": "Euria da.",
        "choice1": "Hodeiak",
        "choice2": "Eguzkia",
        "question": "cause",
        "label": 0,
        "idx": 0,
    }
    path = write_lines(tmp_path / "en" / "test.jsonl", [record])
    with pytest.raises(
        InputError, match=r"no connective words in 'en' .* with protocol 'lm-eval', only in et, ht"
    ):
        _task("xcopa", path.parent.parent, protocol="lm-eval").prompts("en")
    with pytest.raises(InputError, match="words of 'en' lack 'effect'"):
        _task("xcopa", tmp_path, words={"en": {"cause": " since"}}).prompts("en")
    task = _task("xcopa", tmp_path, words={"en": {"cause": " since", "effect": " thus"}})
    assert task.prompts("en")[0].text == "Euria da since"


def test_few_shot_examples_are_no_items_and_the_same_seed_gives_the_same_items(tmp_path):
    task = _task("xcopa", xcopa_folder(tmp_path))
    by_language = {code: task.prompts(code, shots=2, seed=3) for code in task.languages}
    assert {tuple(p.item for p in prompts) for prompts in by_language.values()} == {
        tuple(p.item for p in by_language["it"])
    }
    (prompt, *_others) = by_language["it"]
    assert len(by_language["it"]) == 4 and prompt.few_shot.count("\n\n") == 2
    assert all(p.question not in prompt.few_shot for p in by_language["it"])


def test_connective_words_are_there_for_each_set_and_begin_with_what_parts_them():
    for benchmark in BENCHMARKS:
        for protocol in benchmark.protocols if benchmark.has_words else ():
            words = connectors(benchmark.name, protocol)
            assert set(words) <= set(benchmark.languages.values())
            assert len({tuple(sorted(roles)) for roles in words.values()}) == 1
            for roles in words.values():
                texts = [text for role, text in roles.items() if role != "cue"]
                assert all(texts) and len(set(texts)) == len(texts)
    assert set(connectors("xcopa", "lm-eval")) == set(connectors("xcopa")) - {"en"}


def test_a_set_that_is_not_given_has_no_languages_and_says_what_to_do():
    task = ll.task("xcopa")
    assert task.languages == ()
    with pytest.raises(InputError, match="--data FOLDER"):
        task.prompts("it")
    with pytest.raises(InputError, match="no answers that could be looked for"):
        ll.logit_lens("pocket", task, languages="it")
