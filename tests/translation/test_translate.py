"""Models that translate: what they are asked, what is read in what they write, and what is kept."""

from __future__ import annotations

import gzip
import json

import pytest

import latentlang as ll
from latentlang.errors import InputError, ModelError
from latentlang.models import HookedLM
from latentlang.models.decoding import Decoding
from latentlang.models.generation import Written, generate_tokens
from latentlang.translation import translating
from latentlang.translation.asking import find_template, shipped_templates, translation_prompt
from latentlang.translation.parallel_items import parse_directions, read_items
from latentlang.translation.translating import plan_translation
from tests.support import tiny
from tests.support.parallel import PARAGRAPHS, lines_folder
from tests.support.translated import REFERENCES, SOURCES

DATA = {"en": SOURCES, "de": REFERENCES}
CHAT = (
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.fixture(scope="module")
def model() -> HookedLM:
    return ll.load("pocket")


@pytest.fixture
def planted(monkeypatch):
    """In place of a model's writing: an answer by item."""

    def plant(answers):
        calls = []

        def write(model, prompts, decoding, *, items, batch_tokens):
            for place, name in enumerate(items):
                calls.append(name)
                yield place, [Written(answers[name.split("/")[1]], (5, 6, 7), "stop-string", -1.0, "\n")]

        monkeypatch.setattr(translating, "iter_generated", write)
        return calls

    return plant


# What is asked


def test_a_prompt_has_its_examples_before_it_and_ends_at_the_cue():
    prompt = translation_prompt(
        find_template("plain"),
        "en",
        "fr",
        "7",
        "A dog.",
        examples=[("A cat.", "Un chat."), ("Two.", "Deux.")],
    )
    assert prompt.text == (
        "English: A cat.\nFrench: Un chat.\n\nEnglish: Two.\nFrench: Deux.\n\nEnglish: A dog.\nFrench:"
    )
    assert (prompt.item, prompt.language) == ("7", "fr")
    own = translation_prompt(find_template("own-names"), "en", "fr", "7", "A dog.")
    assert own.text == "English: A dog.\nFrançais:"


def test_in_a_chat_examples_are_turns_and_there_is_no_cue():
    tokenizer = tiny.tokenizer()
    tokenizer.chat_template = CHAT
    prompt = translation_prompt(
        find_template("instruction"),
        "en",
        "fr",
        "7",
        "A dog.",
        examples=[("A cat.", "Un chat.")],
        tokenizer=tokenizer,
    )
    asked = "Translate this text from English to French. Write the translation alone.\n"
    assert prompt.text == f"<user>{asked}A cat.<assistant>Un chat.<user>{asked}A dog.<assistant>"
    assert prompt.templated
    with pytest.raises(ModelError, match="no chat template"):
        ll.translate(ll.load("pocket"), DATA, directions="en-de", chat=True, progress=False)


def test_a_template_of_ones_own_is_a_file(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text('ask: "<{source}> {text}"\ncue: "<{target}>"\n', encoding="utf-8")
    prompt = translation_prompt(find_template(path), "en", "fr", "1", "A {dog}.")
    assert prompt.text == "<English> A {dog}.\n<French>"
    for text, message in {
        'ask: "{source}"\ncue: ""': "ask needs {text}",
        'ask: "{text} {tone}"\ncue: ""': "{tone}",
        'ask: "{text}"': "cue",
        'ask: "{text}"\ncue: ""\nstop: ""': "stop",
    }.items():
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=message.replace("{", r"\{")):
            find_template(path)
    with pytest.raises(
        InputError, match="unknown template of translation prompts 'plane'; did you mean 'plain'"
    ):
        find_template("plane")
    assert {"plain", "own-names", "instruction"} <= set(shipped_templates())


def test_examples_are_never_items_and_items_do_not_depend_on_their_number():
    plans = [plan_translation(DATA, directions="en-de,de-en", shots=shots, items=3) for shots in (0, 2, 5)]
    assert len({plan.chosen for plan in plans}) == 1
    for plan in plans:
        texts = {SOURCES[int(name) - 1] for name in plan.chosen}
        shown = {before for before, _after in plan.examples["en", "de"]}
        assert len(shown) == plan.settings.shots and not texts & shown
        assert {after for _before, after in plan.examples["de", "en"]} == shown
        assert all(REFERENCES[SOURCES.index(before)] == after for before, after in plan.examples["en", "de"])
    assert (
        plan_translation(DATA, directions="en-de", shots=0, seed=1).chosen
        != plan_translation(DATA, directions="en-de", shots=0).chosen
    )


def test_what_an_item_says_is_no_example_either():
    plain = plan_translation(DATA, directions="en-de", shots=2, items=3, seed=1)
    last = [text for text, _ in plain.examples["en", "de"]][-1]
    doubled = [plain.items.texts["en"][plain.chosen[0]] if text == last else text for text in SOURCES]
    plan = plan_translation({"en": doubled, "de": REFERENCES}, directions="en-de", shots=2, items=3, seed=1)
    asked = {plan.items.texts["en"][name] for name in plan.chosen}
    assert plan.chosen == plain.chosen and len(plan.examples["en", "de"]) == 2
    assert not asked & {text for text, _ in plan.examples["en", "de"]}
    with pytest.raises(InputError, match="must not be an item too"):
        plan_translation({"en": ["A."] * 3, "de": ["B."] * 3}, directions="en-de", shots=1)


def test_examples_may_come_from_elsewhere_but_must_not_be_items():
    apart = {"en": ["A bird sings."], "de": ["Ein Vogel singt."]}
    plan = plan_translation(DATA, directions="en-de", shots=1, examples=apart)
    assert plan.examples["en", "de"] == (("A bird sings.", "Ein Vogel singt."),) and len(plan.chosen) == 8
    with pytest.raises(InputError, match="an example must not be an item too"):
        plan_translation(DATA, directions="en-de", shots=1, examples={"en": ["New."], "de": REFERENCES[:1]})
    with pytest.raises(InputError, match="has 1 items in all these languages, not 2"):
        plan_translation(DATA, directions="en-de", shots=2, examples=apart)


# What is written


def test_a_translation_is_the_line_that_the_model_goes_on_with(model):
    result = ll.translate(model, DATA, directions="en-de", shots=1, items=3, new_tokens=20, progress=False)
    plan = plan_translation(DATA, directions="en-de", shots=1, items=3)
    examples = plan.examples["en", "de"]
    prompts = [
        translation_prompt(plan.template, "en", "de", name, SOURCES[int(name) - 1], examples=examples)
        for name in plan.chosen
    ]
    whole = generate_tokens(model, prompts, new_tokens=20)
    for row, tokens in zip(result.table.to_dict("records"), whole, strict=True):
        text = model.tokenizer.decode(tokens, skip_special_tokens=True)
        assert row["hypothesis"] == text.split("\n")[0].strip()
        assert row["ended"] == ("stop-string" if "\n" in text else "length" if len(tokens) == 20 else "end")
    assert result.settings.decoding == {
        "how": "greedy", "min_new_tokens": 0, "stop": ["\n"], "repetition_penalty": 1.0, "no_repeat_ngram": 0
    }  # fmt: skip


def test_how_long_a_translation_may_be_goes_by_its_text_alone(model, monkeypatch):
    asked: dict[str, int] = {}

    def write(model, prompts, decoding, *, items, batch_tokens):
        for place, name in enumerate(items):
            asked[name] = decoding.new_tokens
            yield place, [Written("x", (1,), "end", 0.0)]

    monkeypatch.setattr(translating, "iter_generated", write)
    ll.translate(model, DATA, directions="en-de", shots=0, progress=False)
    together = dict(asked)
    asked.clear()
    ll.translate(model, DATA, directions="en-de", shots=0, items=2, progress=False)
    assert asked and asked.items() <= together.items()
    counts = {f"en-de/{n:05}": len(model.tokenizer(text, add_special_tokens=False)["input_ids"])
              for n, text in enumerate(SOURCES, 1)}  # fmt: skip
    assert all(4 * counts[name] + 32 <= most < 4 * counts[name] + 32 + 64 for name, most in together.items())


def test_beams_are_asked_for_and_noted(model):
    result = ll.translate(
        model, DATA, directions="en-de", shots=0, items=2, new_tokens=3, decoding=Decoding(how="beam", beams=2),
        progress=False,
    )  # fmt: skip
    assert (result.settings.decoding["how"], result.settings.decoding["beams"]) == ("beam", 2)
    assert "by beam search" in result.describe()
    with pytest.raises(InputError, match="samples=2: an item has one translation"):
        plan_translation(DATA, directions="en-de", decoding=Decoding(how="sample", samples=2))


def test_what_is_written_becomes_the_translation_and_is_scored(planted, model):
    answers = {f"{number:05}": f" {text}" for number, text in enumerate(REFERENCES, 1)}
    answers |= {"00002": "Sie kaufte\ndrei Äpfel.", "00003": " "}
    planted(answers)
    result = ll.translate(model, DATA, directions="en-de", shots=0, progress=False)
    rows = result.table.set_index("item")
    assert rows["hypothesis"]["00001"] == REFERENCES[0] and rows["hypothesis"]["00003"] == ""
    assert rows["hypothesis"]["00002"] == "Sie kaufte drei Äpfel." and "\n" in rows["written"]["00002"]
    expected = ll.score_translations(
        {"pocket": rows["hypothesis"].tolist()}, rows["reference"].tolist(), sources=rows["source"].tolist(),
        items=rows.index.tolist(), lang="de", source="en", progress=False,
    )  # fmt: skip
    assert result.scores.table.equals(expected.table)
    assert result.scores.score("empty") == pytest.approx(1 / 8)
    assert (
        "pocket translated 8 texts in 1 direction" in result.describe()
        and "English to German" in result.describe()
    )
    assert len(result.score(metrics="chrf").table) == 1
    assert result.figure(metric="empty").data[0].x[0] == pytest.approx(12.5)


def test_directions_are_scored_together_and_saved(model, tmp_path):
    result = ll.translate(
        model, DATA, directions="en-de,de-en", shots=1, items=2, new_tokens=4, progress=False
    )
    assert result.directions == ("en-de", "de-en") and result.scores.directions == result.directions
    assert set(result.table["ended"]) <= {"stop-string", "end", "length"}
    result.save(tmp_path / "t")
    assert ll.open_result(tmp_path / "t") == result
    assert "cut off" in result.describe() or (result.table["ended"] != "length").all()


def test_a_stopped_run_goes_on(planted, model, tmp_path, monkeypatch):
    calls = planted({f"{number:05}": "Ja." for number in range(1, 9)})
    options = {"directions": "en-de,de-en", "shots": 0, "resume": tmp_path / "kept", "progress": False}
    write = translating.iter_generated

    def stopping(*given, **options):
        for written in write(*given, **options):
            if len(calls) == 11:
                raise KeyboardInterrupt
            yield written

    monkeypatch.setattr(translating, "iter_generated", stopping)
    with pytest.raises(KeyboardInterrupt):
        ll.translate(model, DATA, **options)
    monkeypatch.setattr(translating, "iter_generated", write)
    result = ll.translate(model, DATA, **options)
    # the eleventh was written and not kept
    assert len(calls) == 17 and len(set(calls)) == 16 and calls[10] in calls[11:]
    ll.translate(model, DATA, **options)
    assert len(calls) == 17
    whole = ll.translate(model, DATA, **{**options, "resume": None})
    assert result.table.equals(whole.table) and len(calls) == 33
    ll.translate(model, DATA, **{**options, "new_tokens": 9})
    assert len(calls) == 49  # of other options nothing is kept


# What is read


def test_parallel_data_comes_in_many_layouts(tmp_path):
    rows = list(zip(SOURCES[:2], REFERENCES[:2], strict=True))
    wanted = {"en": SOURCES[:2], "de": REFERENCES[:2]}
    table = tmp_path / "t.csv"
    table.write_text(
        "id,en,sentence_deu_Latn,note\n" + "".join(f'{n},"{a}","{b}",x\n' for n, (a, b) in enumerate(rows))
    )
    tabs = tmp_path / "t.tsv"
    tabs.write_text("English\tde\n" + "".join(f"{a}\t{b}\n" for a, b in rows))
    lines = tmp_path / "t.jsonl.gz"
    lines.write_bytes(
        gzip.compress(
            "".join(json.dumps({"translation": {"en": a, "de": b}}) + "\n" for a, b in rows).encode()
        )
    )
    sides = {"en": tmp_path / "s.txt", "de": tmp_path / "r.txt"}
    sides["en"].write_text("\n".join(SOURCES[:2]))
    sides["de"].write_text("\n".join(REFERENCES[:2]))
    for data in (
        table,
        str(tabs),
        lines,
        sides,
        wanted,
        {code: dict(enumerate(texts)) for code, texts in wanted.items()},
    ):
        read = read_items(data, ["en", "de"])
        assert {code: list(texts.values()) for code, texts in read.texts.items()} == wanted
        assert len(read.common(["de", "en"])) == 2
    folder = lines_folder(tmp_path / "folder")
    read = read_items(folder, ["en", "de"])
    assert list(read.texts["en"].values()) == list(PARAGRAPHS["en"])


def test_an_item_is_one_line_and_has_to_be_there_in_each_language():
    read = read_items(
        {"en": {"a": "One\ntwo", "b": "x", "c": " "}, "fr": {"a": "Un", "c": "y"}}, ["en", "fr"]
    )
    assert read.texts["en"] == {"a": "One two", "b": "x"} and read.common(["en", "fr"]) == ["a"]
    ends = read_items({"en": {"a": "One\r\ntwo\rthree\u2028four\r"}}, ["en"])
    assert ends.texts["en"] == {"a": "One two three\u2028four"}


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (DATA, {"directions": "en-fr"}, "no text in fr; it has en de"),
        (DATA, {"directions": "en-en"}, "same language"),
        (DATA, {"directions": "english"}, "is no direction"),
        (DATA, {"directions": "en-de", "source": "en"}, "not both"),
        (DATA, {"source": "en"}, "say what is translated into what"),
        (
            DATA,
            {"directions": "en-de", "shots": 8},
            "8 items in all of en and de: not one more than the 8 examples",
        ),
        (DATA, {"directions": "en-de", "longest": 3}, "0 items"),
        (DATA, {"directions": "en-de", "items": 0}, "items must be at least 1"),
        ({"en": SOURCES, "de": REFERENCES[:5]}, {"directions": "en-de"}, "8 in en and 5 in de"),
        ({"en": SOURCES, "de": [1] * 8}, {"directions": "en-de"}, "is 1, no text"),
        (7, {"directions": "en-de"}, "no parallel data"),
        ("no-such-folder", {"directions": "en-de"}, "does not exist"),
        (DATA, {"direction": "en-de"}, "unknown option of translate 'direction'; did you mean 'directions'"),
    ],
)
def test_what_cannot_be_translated_is_one_clear_error(data, options, message):
    with pytest.raises(InputError, match=message):
        ll.translate("pocket", data, **options)


def test_files_that_are_no_parallel_data_are_named(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("en,note\na,b\n")
    with pytest.raises(InputError, match=r"t\.csv has no text in de; it has en"):
        read_items(path, ["en", "de"])
    path.write_text("id,en,de\n1,a,b\n1,c,d\n")
    with pytest.raises(InputError, match="the id '1' is there twice"):
        read_items(path, ["en", "de"])
    plain = tmp_path / "t.txt"
    plain.write_text("a\n")
    with pytest.raises(InputError, match="--data en=FILE --data fr=FILE"):
        read_items(plain, ["en"])


def test_directions_are_read_as_people_write_them():
    assert parse_directions("en-fr, fr-en,en-fr", None, None) == [("en", "fr"), ("fr", "en")]
    assert parse_directions("zh-Hant-en,en>zh-Hant", None, None) == [("zh-Hant", "en"), ("en", "zh-Hant")]
    assert parse_directions([("German", "ja"), "ja-de"], None, None) == [("de", "ja"), ("ja", "de")]
    assert parse_directions(None, "en,fr", "fr,de") == [("en", "fr"), ("en", "de"), ("fr", "de")]


class Engine:
    """An engine that answers with the item's name, and notes what it was asked."""

    name, settings = "scripted 1", {"dtype": "half"}

    def __init__(self, refuses=None):
        self.refuses, self.calls = refuses, []

    def check(self, decoding, states):
        if self.refuses:
            raise InputError(self.refuses)

    def write(self, prompts, decoding, *, items, state):
        self.calls.append((len(prompts), decoding.new_tokens, decoding.stop, state))
        for place in reversed(range(len(prompts))):
            yield place, [Written(f" by {items[place]}", (5, 6), "stop-string", -1.0, "\n")]


def test_another_engine_writes_in_the_models_place(model):
    engine = Engine()
    options = {"directions": "en-de", "shots": 0, "progress": False}
    result = ll.translate(model, DATA, new_tokens=9, backend=engine, **options)
    assert engine.calls == [(len(result.table), 9, ("\n",), "base")]
    assert result.table["hypothesis"].tolist() == [f"by en-de/{item}" for item in result.table["item"]]
    assert (result.settings.backend, result.settings.backend_settings) == ("scripted 1", {"dtype": "half"})
    again = Engine()
    ll.translate(model, DATA, backend=again, **options)
    assert sum(count for count, *_ in again.calls) == len(result.table)
    assert len({most for _, most, *_ in again.calls}) == len(again.calls), "each length of text in one call"


def test_another_engine_keeps_and_goes_on(model, tmp_path):
    options = {"directions": "en-de", "shots": 0, "progress": False, "resume": tmp_path / "kept"}
    one, two, other = Engine(), Engine(), Engine()
    other.settings = {"dtype": "float"}
    first = ll.translate(model, DATA, backend=one, **options)
    assert ll.translate(model, DATA, backend=two, **options).table.equals(first.table) and not two.calls
    ll.translate(model, DATA, backend=other, **options)
    assert other.calls, "what another engine wrote is not its own"


def test_an_engine_with_an_adapter_is_asked_for_the_tuned_state_or_refuses():
    tuned = HookedLM(tiny.adapted(tiny.model("llama")), tiny.tokenizer(), name="tiny")
    options = {"directions": "en-de", "shots": 0, "progress": False, "new_tokens": 3}
    engine = Engine()
    ll.translate(tuned, DATA, backend=engine, **options)
    assert {state for *_, state in engine.calls} == {"tuned"}
    with pytest.raises(InputError, match="cannot do that"):
        ll.translate(tuned, DATA, backend=Engine("it cannot do that"), **options)
