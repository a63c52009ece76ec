import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentlang.errors import InputError
from latentlang.tasks import task
from latentlang.tasks.few_shot import FewShotPrefixes, parse_item_format
from latentlang.tasks.labels import KINDS, NLI, SENTIMENT, wording, words
from tests.support.paper_folder import FORMATS, write_json, write_task

NLI_BLOCK = (
    'Premise: p0\nHypothesis: h0\nAnswer: "entailment"    \n'
    'Premise: p1\nHypothesis: h1\nAnswer: "neutral"\n'
    'Premise: p2: with a colon\nHypothesis: h2 "quoted"\nAnswer: "contradiction"\n'
    'Premise: p3\nHypothesis: h3\nAnswer: "entailment"\n'
    'Premise: p4\nHypothesis: h4\nAnswer: "neutral"\n'
    'Premise: p5\nHypothesis: h5\nAnswer: "contradiction"'
)
RU_FORMAT = '\'\\n\' + "Предпосылка: " + p + "\\nГипотеза: " + h + \'\\nОтвечать: \\"\''
RU_BLOCK = (
    NLI_BLOCK.replace("Premise", "Предпосылка")
    .replace("Hypothesis", "Гипотеза")
    .replace("Answer", "Отвечать")
)


def blocks_file(path, **changes):
    content = {
        "nli": {
            "en": {
                "source": "script.py",
                "blocks": {"en": NLI_BLOCK, "ru": RU_BLOCK},
                "item_format": {"en": FORMATS["nli"], "ru": RU_FORMAT},
            }
        }
    }
    content.update(changes)
    return write_json(path, content)


@pytest.fixture
def data(tmp_path):
    blocks_file(tmp_path / "few_shot_blocks.json")
    return write_task(tmp_path, "nli", ["en", "ru", "de"])


@pytest.mark.parametrize("name", list(KINDS))
def test_published_expressions_come_apart_into_their_pieces(name):
    form = parse_item_format(FORMATS[name], KINDS[name])
    assert form.joint == "\n"
    assert form.wording == wording(KINDS[name], "en")


texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=8)


@given(texts, texts, texts, st.booleans())
def test_pieces_are_found_however_they_are_quoted_and_divided(before, between, cue, divide):
    quoted = [json.dumps(t, ensure_ascii=False) if divide else repr(t) for t in (before, between, cue)]
    if divide:
        quoted = [f"{q} + ''" for q in quoted]
    form = parse_item_format(f"{quoted[0]} + p + ({quoted[1]} + h) + {quoted[2]}", NLI)
    assert (form.joint + form.wording.before[0], form.wording.before[1], form.wording.cue) == (
        before,
        between,
        cue,
    )
    assert set(form.joint) <= {"\n"}
    assert not form.wording.before[0].startswith("\n")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "is no expression"),
        ("'a' + ", "is no expression"),
        ("__import__('os').system('true')", "may only join strings and variables with [+]; Call is neither"),
        ("'a' * 3 + p + h", "BinOp is neither"),
        ("'a' + p + h + 3", "Constant is neither"),
        ("f'{p}' + h", "JoinedStr is neither"),
        ("p.upper() + h", "Call is neither"),
        ("'a' + h + 'b' + p + 'c'", "uses h, p; a nli item has p, h"),
        ("'a' + p + 'b' + p", "uses p, p"),
        ("'only text'", "uses no variable"),
        ("(" * 5000 + "p" + ")" * 5000, "is no expression"),
        ("+".join(["p"] * 100), "uses p, p"),
    ],
)
def test_anything_else_is_refused_and_never_run(expression, message):
    with pytest.raises(InputError, match=message):
        parse_item_format(expression, NLI)


def test_as_published_uses_the_block_to_the_letter(data):
    built = task("nli", data=data, protocol="as-published", answers="en")
    prompts = built.prompts("ru")
    assert len(prompts) == 36
    assert {p.few_shot for p in prompts} == {RU_BLOCK + "\n"}
    assert prompts[7].text == (
        RU_BLOCK + '\nПредпосылка: ru premise number 7\nГипотеза: ru hypothesis number 7\nОтвечать: "'
    )
    assert prompts[7].cue == '\nОтвечать: "'
    assert built.settings["blocks"].endswith("few_shot_blocks.json")
    assert built.prompts("ru", shots=6) == prompts


def test_corrected_asks_the_same_examples_in_sound_words(data):
    block = task("nli", data=data).prompts("ru")[0].few_shot
    assert block.startswith(
        'Посылка: p0\nГипотеза: h0\nОтвет: "следствие"\nПосылка: p1\nГипотеза: h1\nОтвет: "нейтрально"\n'
    )
    assert 'Посылка: p2: with a colon\nГипотеза: h2 "quoted"\nОтвет: "противоречие"\n' in block
    assert block.count("\nОтвет: ") == 6
    ox = task("nli", data=data, answers="agnostic").prompts("en", shots=2)[0]
    assert (
        ox.few_shot
        == 'Premise: p0\nHypothesis: h0\nAnswer: "ox"\nPremise: p1\nHypothesis: h1\nAnswer: "goat"\n'
    )
    assert len(task("nli", data=data).prompts("ru")) == 36


def test_examples_of_irregular_blocks_are_read(tmp_path):
    crooked = (
        'Premise：p0\nHypothesis：h0\nAnswer: "entailment"\nLocation: p1\nHypothesis: h1\nAnswer: "neutral"\n'
    )
    path = blocks_file(tmp_path / "b.json")
    content = json.loads(path.read_text(encoding="utf-8"))
    content["nli"]["en"]["blocks"]["en"] = crooked
    write_json(path, content)
    found = FewShotPrefixes(NLI, path).examples("en", "same")
    assert [(item.label, item.texts) for item in found] == [
        ("entailment", ("p0", "h0")),
        ("neutral", ("p1", "h1")),
    ]


@given(
    st.lists(
        st.tuples(st.sampled_from(SENTIMENT.labels), st.text("abc :\"'é好 ", min_size=1, max_size=20)),
        max_size=5,
    )
)
def test_a_block_comes_apart_into_what_it_was_made_of(tmp_path_factory, examples):
    form, own = wording(SENTIMENT, "en"), words(SENTIMENT, "en")
    block = "".join(form.example((text,), own[label]) for label, text in examples)
    entry = {"blocks": {"en": block}, "item_format": {"en": FORMATS["sentiment"]}}
    path = write_json(tmp_path_factory.mktemp("blocks") / "b.json", {"sentiment": {"same": entry}})
    found = FewShotPrefixes(SENTIMENT, path).examples("en", "same")
    assert [(item.label, *item.texts) for item in found] == examples


@pytest.mark.parametrize(
    ("options", "asked", "message"),
    [
        ({"protocol": "as-published"}, {}, "no nli blocks with answers='same', only en"),
        ({"protocol": "as-published", "answers": "en"}, {"shots": 2}, "prefix has 6 examples, not 2"),
        ({"answers": "en"}, {"shots": 7}, "prefix for 'ru' has 6 examples, not 7"),
        ({"answers": "en"}, {"language": "de"}, "nli / en has no blocks for 'de'"),
    ],
)
def test_what_the_blocks_cannot_give_is_said(data, options, asked, message):
    with pytest.raises(InputError, match=message):
        task("nli", data=data, **options).prompts(**{"language": "ru", **asked})


def test_a_block_that_does_not_follow_its_format_is_named(tmp_path):
    path = blocks_file(tmp_path / "b.json")
    content = json.loads(path.read_text(encoding="utf-8"))
    content["nli"]["en"]["blocks"]["en"] = NLI_BLOCK.replace('"neutral"', '"perhaps"', 1)
    write_json(path, content)
    with pytest.raises(InputError, match="block for 'en' does not follow its item format in example 2"):
        FewShotPrefixes(NLI, path).examples("en", "en")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "no few-shot prefixes for 'nli' .it has no tasks"),
        ({"sentiment": {}}, "no few-shot prefixes for 'nli' .it has sentiment"),
        ({"nli": {"en": {"blocks": {"en": "x"}}}}, "nli / en needs 'item_format'"),
        ({"nli": {"en": {"blocks": {"en": 3}, "item_format": {}}}}, "nli / en needs 'blocks'"),
        ({"nli": {"en": "text"}}, "nli / en needs 'blocks'"),
    ],
)
def test_a_bad_blocks_file_is_one_clear_error(tmp_path, content, message):
    folder = write_task(tmp_path, "nli", ["en"])
    path = write_json(tmp_path / "blocks" / "mine.json", content)
    with pytest.raises(InputError, match=message):
        task("nli", data=folder, blocks=path)


def test_blocks_of_other_tasks_in_the_folder_are_no_fault(tmp_path):
    blocks_file(tmp_path / "few_shot_blocks.json")
    built = task("sentiment", data=write_task(tmp_path, "sentiment", ["en"]))
    assert "blocks" not in built.settings
    assert built.prompts("en")[0].few_shot.count('"\n') == 2
