"""Answers: what is asked and how, tables, states, resuming, languages, words, figures, files, another engine."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace

import pandas as pd
import pytest

import latentlang as ll
from latentlang.errors import InputError, ModelError
from latentlang.figures.answers import answers_table
from latentlang.figures.document import Document, Section, write_document
from latentlang.generation import AnswerPrompt, AnswerResult, Decoding, VllmBackend, read_prompts
from latentlang.generation.answer_prompts import PromptWriter, as_prompts
from latentlang.instructions.dialogues import Dialogue, Turn, single
from latentlang.judging import read_answers
from latentlang.models import HookedLM
from latentlang.models.generation import Written
from tests.models.test_chat import CHATML
from tests.support import tiny

SHORT = Decoding(new_tokens=4)


JAPANESE, ENGLISH = "これは日本語の文です。", "This is a sentence that is written in English."


class Scripted:
    """An engine that says what it is told to, and counts what it is asked."""

    name, settings = "scripted", {}

    def __init__(self, texts):
        self.texts, self.asked = texts, []

    def check(self, decoding, states):
        """It does everything."""

    def write(self, prompts, decoding, *, items, state):
        for place in reversed(range(len(prompts))):
            self.asked.append((state, items[place]))
            text = self.texts[items[place]]
            if isinstance(text, BaseException):
                raise text
            yield place, [Written(text, (5, 6), "length" if text else "end", -2.5)] * decoding.samples


@pytest.fixture(scope="module")
def model() -> HookedLM:
    return HookedLM(tiny.model("llama"), tiny.tokenizer(), name="tiny")


def ask(model, texts, prompts, **options):
    engine = Scripted(texts)
    return ll.answer(model, prompts, backend=engine, progress=False, **options), engine


def four() -> tuple[dict[str, str], list[AnswerPrompt]]:
    texts = {
        "right": "これは日本語の文です。", "english": "This is a sentence that is written in English.",
        "nothing": " \n", "digits": "42",
    }  # fmt: skip
    return texts, [AnswerPrompt(name, "ja", f"{name}?") for name in texts]


def test_a_table_has_a_row_for_each_prompt_and_sample_with_the_models_own_texts(model):
    decoding = Decoding(how="sample", samples=2, new_tokens=4, seed=3)
    result = ll.answer(model, ["Review: I", "Kritik"], language="de", decoding=decoding, progress=False)
    assert list(result.table["id"]) == ["1", "1", "2", "2"] and list(result.table["sample"]) == [0, 1, 0, 1]
    written = ll.generation.generate(model, ["Review: I", "Kritik"], decoding, items=["1", "2"])
    for row, text in zip(
        result.table.to_dict("records"), [one for texts in written for one in texts], strict=True
    ):
        assert (row["answer"], row["tokens"], row["ended"]) == (text.text, len(text.tokens), text.ended)
        assert row["log_prob"] == pytest.approx(text.log_prob)
    assert set(result.table["state"]) == {"base"} and set(result.table["language"]) == {"de"}
    assert result.settings.decoding == decoding.record and result.provenance.seed == 3
    assert result.settings.among == ["de", "en"] and result.settings.backend == "transformers"


def test_shares_are_of_all_answers_and_sum_to_one(model):
    texts, prompts = four()
    result, _engine = ask(model, texts, prompts)
    (row,) = result.summary().to_dict("records")
    assert (row["prompts"], row["answers"]) == (4, 4)
    assert [row[name] for name in ("in_language", "off_target", "undecided", "empty")] == [0.25] * 4
    assert (row["length"], row["end"]) == (1.0, 0.0)
    assert row["tokens"] == 2 and row["characters"] == pytest.approx((11 + 2) / 2)
    assert row["token_log_prob"] == pytest.approx(-2.5 / 2)
    assert 0 < row["low"] < 0.25 < row["high"] < 0.75
    assert list(result.table["answered"]) == ["ja", "en", "undecided", "undecided"]


def test_samples_of_one_prompt_do_not_narrow_the_interval(model):
    texts, prompts = four()
    one, _engine = ask(model, texts, prompts)
    many, _engine = ask(model, texts, prompts, decoding=Decoding(how="sample", samples=50))
    assert len(many.table) == 200
    columns = ["off_target", "low", "high"]
    assert one.summary()[columns].equals(many.summary()[columns])


def test_words_say_how_it_was_written_and_in_which_languages(model):
    texts, prompts = four()
    lines = ask(model, texts, prompts)[0].describe().splitlines()
    assert lines == [
        "4 prompts, to be answered in Japanese; 4 answers, written greedily, 128 tokens at most.",
        "Japanese: 4 answers: 25% in it, 25% in another language; 25% undecided; 25% empty; 100% ended by length; 2 "
        "tokens and 6.5 characters in the median.",
    ]
    sampled = Decoding(how="sample", temperature=0.7, top_p=0.9, repetition_penalty=1.2, new_tokens=9)
    result, _engine = ask(model, {"1": "x"}, "hm", decoding=sampled)
    assert result.describe().splitlines() == [
        "1 prompt; 1 answer, written by draws at temperature 0.7, top-p 0.9 (repetition penalty 1.2), 9 tokens at "
        "most.",
        "no target language: 1 answer: 100% ended by length; 2 tokens and 1 character in the median.",
    ]


def test_a_stopped_run_goes_on_and_asks_nothing_twice(model, tmp_path):
    texts, prompts = four()
    with pytest.raises(KeyboardInterrupt):
        ask(model, {**texts, "english": KeyboardInterrupt()}, prompts, resume=tmp_path / "kept")
    result, engine = ask(model, texts, prompts, resume=tmp_path / "kept")
    # it writes from the end: two were there
    assert sorted(item for _state, item in engine.asked) == ["english", "right"]
    assert result.table.equals(ask(model, texts, prompts)[0].table)
    _result, engine = ask(model, texts, prompts, resume=tmp_path / "kept")
    assert engine.asked == []
    _result, engine = ask(model, texts, prompts, resume=tmp_path / "kept", decoding=SHORT)
    assert len(engine.asked) == 4
    next((tmp_path / "kept").glob("base/*/answers.json")).write_text("{")
    _result, engine = ask(model, texts, prompts, resume=tmp_path / "kept", decoding=SHORT)
    assert len(engine.asked) == 1


def test_with_an_adapter_both_states_answer(tmp_path):
    tuned = HookedLM(tiny.adapted(tiny.model("llama")), tiny.tokenizer(), name="tiny")
    kept: list[AnswerResult] = []
    result = ll.answer(tuned, ["Review: I love", "R"], decoding=SHORT, progress=False, keep=kept.append)
    assert list(result.table["state"]) == ["base", "base", "tuned", "tuned"]
    assert [set(one.table["state"]) for one in kept] == [{"base"}, {"base", "tuned"}]
    with tuned.base():
        base = ll.generation.generate(tuned, ["Review: I love", "R"], SHORT)
    assert list(result.of("base")["answer"]) == [text.text for (text,) in base]
    assert list(result.of("base")["answer"]) != list(result.of("tuned")["answer"])
    (alone,) = [ll.answer(tuned, ["R"], decoding=SHORT, states="tuned", progress=False)]
    assert alone.table["answer"][0] == result.of("tuned")["answer"][1] and alone.provenance.adapter
    with pytest.raises(InputError, match="there are no answers of state 'base'; there is tuned"):
        alone.of("base")


def test_a_result_is_saved_and_drawn(model, tmp_path):
    texts, prompts = four()
    texts["digits"] = "<script>alert('x')</script>"
    result, _engine = ask(model, texts, prompts)
    result.save(tmp_path / "r")
    again = ll.open_result(tmp_path / "r")
    assert again == result and isinstance(again, AnswerResult)
    figure = again.figure()
    bars = {trace.name: list(trace.x) for trace in figure.data if trace.type == "bar"}
    assert sum(shares[0] for shares in bars.values()) == 1.0
    assert bars["in the target language"] == [0.25]
    assert list(figure.layout.yaxis.ticktext) == ["Japanese"]
    assert "alert" not in figure.to_json()
    with pytest.raises(InputError, match="unknown language of this result 'de'"):
        result.figure(languages="de")
    with pytest.raises(InputError, match="holds no answers"):
        AnswerResult(result.table.head(0), result.provenance).figure()
    twice = AnswerResult(pd.concat([result.table, result.table]), result.provenance)
    assert "two rows of state 'base', language 'ja', id 'right'" in str(twice.fault())


# What is asked


def test_without_a_target_language_only_what_ended_the_answers_is_drawn(model):
    result = ll.answer(model, ["Review: I", "Kritik"], decoding=Decoding(new_tokens=2), progress=False)
    shown = result._view().table()
    assert list(shown) == ["id", "language", "prompt", "answer", "answered", "ended"]
    assert list(shown["prompt"]) == ["Review: I", "Kritik"]
    assert list(shown["answer"]) == list(result.table["answer"])
    figure = result.figure()
    assert {trace.type for trace in figure.data} == {"scatter"}
    assert figure.layout.title.text == "<b>What ended the answers</b>"
    assert tuple(figure.layout.xaxis2.domain) == (0, 1) and figure.layout.yaxis2.showticklabels is True
    told = ll.answer(
        model, ["Review: I"], language="de", decoding=Decoding(new_tokens=2), progress=False
    ).figure()
    assert tuple(told.layout.xaxis2.domain) == (0.66, 1) and told.layout.yaxis2.showticklabels is False


def test_answers_can_be_judged_as_they_are(model):
    result = ll.answer(model, ["Review: I", "Kritik"], decoding=Decoding(new_tokens=2), progress=False)
    judged = read_answers(result)
    assert [(one.id, one.question, one.answer) for one in judged] == list(
        result.table[["id", "prompt", "answer"]].itertuples(index=False, name=None)
    )
    assert read_answers(result.table) == judged


def test_what_is_asked_is_written_as_it_is_in_a_template_or_in_a_chat():
    talk = Dialogue("d", "de", (Turn("user", "Wo?"), Turn("assistant", "Da."), Turn("user", "Wann?")))
    answered = single("e", "de", "Sag es", "Gut.", input="auf Deutsch")
    text, first, second = as_prompts(["Hallo", talk, answered], language="de")
    plain = PromptWriter(tiny.tokenizer(), model="m", chat=False, template=None)
    assert [plain.write(one).text for one in (text, first, second)] == [
        "Hallo", "Wo?\n\nDa.\n\nWann?\n\n", "Sag es\n\nauf Deutsch\n\n",
    ]  # fmt: skip
    assert (first.id, first.language, text.id) == ("d", "de", "1")
    assert second.text == "Sag es\nauf Deutsch"
    own = PromptWriter(tiny.tokenizer(), model="m", chat=False, template="Q: {instruction}\nA:")
    assert own.write(text).text == "Q: Hallo\nA:"
    tokenizer = tiny.tokenizer()
    tokenizer.chat_template = CHATML
    chat = PromptWriter(tokenizer, model="m", chat=True, template=None)
    written = chat.write(first)
    assert written.templated and written.text == tokenizer.apply_chat_template(
        [
            {"role": "user", "content": "Wo?"}, {"role": "assistant", "content": "Da."},
            {"role": "user", "content": "Wann?"},
        ],
        tokenize=False, add_generation_prompt=True,
    )  # fmt: skip
    asked = ll.task("translation", source="fr").prompts("ja", items=1, shots=1)[0]
    assert plain.write(as_prompts(asked)[0]) is asked
    assert as_prompts(asked)[0].language == "ja"


@pytest.mark.parametrize(
    ("prompts", "options", "message"),
    [
        ([], {}, "there is no prompt to answer"),
        (["a", " "], {}, "prompt '2' is empty"),
        ([3], {}, "a prompt must be a text, a Dialogue or a Prompt, not int"),
        (
            [AnswerPrompt("a", "ja", "x"), AnswerPrompt("a", "ja", "y")],
            {},
            "the id 'a' names two prompts in 'ja'",
        ),
        ([Dialogue("q", "de", (Turn("system", "Hm"),))], {}, "dialogue 'q' asks nothing"),
        ("a", {"chat": True}, "has no chat template"),
        ("a", {"chat": True, "template": "alpaca"}, "leave out template or chat"),
        ("a", {"template": "alpacka"}, "unknown template 'alpacka'"),
        ("a", {"states": "tuned"}, "adapter"),
        ("a", {"language": "ja", "among": "de"}, "'ja', which is not among the languages told apart"),
        ("a", {"decoding": Decoding(no_repeat_ngram=3)}, "no_repeat_ngram=3 breaks languages"),
        ("a", {"language": "nowhere"}, "unknown language 'nowhere'"),
        ("a" * 400, {}, "reads 256"),
    ],
)
def test_what_cannot_be_asked_is_refused(model, prompts, options, message):
    with pytest.raises((InputError, ModelError), match=message):
        ll.answer(model, prompts, progress=False, **options)


def test_prompts_are_read_from_lines_records_and_instructions(tmp_path):
    def file(name, text):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    lines = read_prompts(file("ja.txt", "何？\n\nどこ？\n"))
    assert lines == [AnswerPrompt("1", "ja", "何？"), AnswerPrompt("3", "ja", "どこ？")]
    records = [{"id": 7, "prompt": "Was?", "language": "German"}, {"prompt": "Quoi ?", "lang": "fr"}]
    listed = file("mixed.jsonl", "".join(json.dumps(record) + "\n" for record in records))
    assert read_prompts(listed) == [AnswerPrompt("7", "de", "Was?"), AnswerPrompt("2", "fr", "Quoi ?")]
    assert read_prompts(file("ru.csv", 'id,prompt\na,"Что, где?"\n')) == [
        AnswerPrompt("a", "ru", "Что, где?")
    ]
    alpaca = file("es.json", json.dumps([{"instruction": "Di", "input": "esto", "output": "No"}]))
    (asked,) = read_prompts(alpaca)
    assert (asked.language, asked.text) == ("es", "Di\nesto") and isinstance(asked.given, Dialogue)
    assert len(read_prompts([tmp_path / "ja.txt", alpaca])) == 3 and len(read_prompts(tmp_path)) == 6
    assert read_prompts(file("plain.txt", "hm"), language="sw") == [AnswerPrompt("1", "sw", "hm")]
    assert [one.text for one in read_prompts(file("signs.txt", "a\u2028b\x0c\r\nc"))] == ["a\u2028b\x0c", "c"]
    for path, message in (
        (file("bad.jsonl", '{"prompt": ""}\n'), "line 1: 'prompt' must be a text that is not empty, not ''"),
        (file("bad2.jsonl", '{"prompt": "a", "language": "xq1"}\n'), "line 1: unknown language 'xq1'"),
        (file("a.pdf", "x"), r"a.pdf' is none of .txt, .jsonl"),
        (tmp_path / "nothing.txt", "there is no file"),
    ):
        with pytest.raises(InputError, match=message):
            read_prompts(path)


# vLLM: a stand-in with the names and fields of its source


@dataclass
class _Params:
    """What vLLM's sampling parameters are called in the source of its engine V1; those that are used here."""

    n: int = 1
    repetition_penalty: float = 1.0
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    stop: list[str] | None = None
    max_tokens: int | None = 16
    min_tokens: int = 0
    logprobs: int | None = None
    skip_special_tokens: bool = True
    include_stop_str_in_output: bool = False


@dataclass
class _Completion:
    """A text of vLLM's."""

    index: int
    text: str
    token_ids: Sequence[int]
    cumulative_logprob: float | None
    logprobs: list | None
    finish_reason: str | None = None
    stop_reason: int | str | None = None


@dataclass
class _LoRA:
    """vLLM's request of an adapter."""

    lora_name: str
    lora_int_id: int
    lora_path: str


@pytest.fixture
def vllm(monkeypatch):
    engines = []

    class LLM:
        ends = (
            ([70, 71, tiny.EOS], "stop", None), ([70, 71], "length", None),
            (tiny.tokenizer()("ab###")["input_ids"][1:], "stop", "##"), ([70, 99], "stop", 99),
        )  # fmt: skip

        def __init__(self, model, *, trust_remote_code=False, dtype="auto", **engine_options):
            assert set(engine_options) <= {"enable_lora", "max_lora_rank"}
            self.model, self.calls = model, []
            self.options = {"trust_remote_code": trust_remote_code, "dtype": dtype, **engine_options}
            engines.append(self)

        def get_tokenizer(self):
            return tiny.tokenizer()

        def generate(self, prompts, sampling_params=None, *, use_tqdm=True, lora_request=None, priority=None):
            self.calls.append((prompts, sampling_params, lora_request))
            return [
                SimpleNamespace(
                    request_id=str(place), prompt=None, prompt_token_ids=prompt["prompt_token_ids"], finished=True,
                    outputs=[
                        _Completion(index, "", tuple(tokens), -1.5, [{}] * len(tokens), reason, stop)
                        for index in range(params.n)
                    ],
                )
                for place, (prompt, params, (tokens, reason, stop)) in enumerate(
                    zip(prompts, sampling_params, [*self.ends] * len(prompts), strict=False)
                )
            ]  # fmt: skip

    module = ModuleType("vllm")
    module.LLM, module.SamplingParams = LLM, _Params
    request = ModuleType("vllm.lora.request")
    request.LoRARequest = _LoRA
    for name, made in (
        ("vllm", module),
        ("vllm.lora", ModuleType("vllm.lora")),
        ("vllm.lora.request", request),
    ):
        monkeypatch.setitem(sys.modules, name, made)
    return engines


def test_vllm_is_asked_by_tokens_and_its_replies_are_read(model, vllm):
    backend = VllmBackend("weights", dtype="bfloat16")
    decoding = Decoding(how="sample", temperature=0.5, top_p=0.9, new_tokens=9, stop=("##",), seed=5)
    prompts = ["a", "b", "c", "d"]
    result = ll.answer(model, prompts, decoding=decoding, backend=backend, progress=False)
    ((inputs, params, request),) = vllm[0].calls
    assert [one["prompt_token_ids"] for one in inputs] == model.encode(prompts) and request is None
    assert {(one.temperature, one.top_p, one.top_k, one.max_tokens) for one in params} == {(0.5, 0.9, -1, 9)}
    assert len({one.seed for one in params}) == 4
    assert list(result.table["ended"]) == ["end", "length", "stop-string", "end"]
    assert list(result.table["tokens"])[:2] == [2, 2] and result.table["tokens"][3] == 1
    assert result.table["answer"][2] == "ab" and set(result.table["log_prob"]) == {-1.5}
    assert vllm[0].options["trust_remote_code"] is False
    assert (
        result.settings.backend.startswith("vllm") and result.settings.backend_settings["dtype"] == "bfloat16"
    )
    greedy = Decoding(new_tokens=2)
    ll.answer(model, "a", decoding=greedy, backend=backend, progress=False)
    assert (vllm[0].calls[-1][1][0].temperature, vllm[0].calls[-1][1][0].seed) == (0.0, None)


def test_vllm_says_what_it_cannot_do(model, vllm, monkeypatch):
    backend = VllmBackend("weights")
    with pytest.raises(InputError, match="leave it out for how='beam'"):
        ll.answer(model, "a", decoding=Decoding(how="beam"), backend=backend, progress=False)
    forced = Decoding(no_repeat_ngram=2, force_no_repeat=True)
    with pytest.raises(InputError, match="has no no_repeat_ngram"):
        ll.answer(model, "a", decoding=forced, backend=backend, progress=False)
    tuned = HookedLM(tiny.adapted(tiny.model("llama")), tiny.tokenizer(), name="tiny")
    with pytest.raises(InputError, match="was given no adapter"):
        ll.answer(tuned, "a", backend=backend, progress=False)
    result = ll.answer(tuned, "a", backend=VllmBackend("weights", adapter="lora"), progress=False)
    assert [request for _prompts, _params, request in vllm[1].calls] == [None, _LoRA("tuned", 1, "lora")]
    assert vllm[1].options["enable_lora"] is True and "max_lora_rank" not in vllm[1].options
    assert list(result.table["state"]) == ["base", "tuned"]
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(InputError, match="needs vllm, which is not installed"):
        VllmBackend("weights")


def test_vllm_makes_room_for_the_adapter_and_says_what_it_gave_up(model, vllm, tmp_path):
    for rank, room in ((8, 8), (48, 64), (300, 320)):
        (tmp_path / "adapter_config.json").write_text(json.dumps({"r": rank}), encoding="utf-8")
        assert VllmBackend("weights", adapter=tmp_path)._options["max_lora_rank"] == room
    assert VllmBackend("weights", adapter=tmp_path, max_lora_rank=512)._options["max_lora_rank"] == 512
    backend = VllmBackend("weights")
    vllm[-1].ends = (([70], "abort", None),)
    with pytest.raises(ModelError, match="vLLM gave up an answer"):
        ll.answer(model, "a", backend=backend, progress=False)


def before_and_after(before: dict[str, str], after: dict[str, str], language: str = "ja") -> AnswerResult:
    """A result of both states, with texts by prompt."""
    tuned = HookedLM(tiny.adapted(tiny.model("llama")), tiny.tokenizer(), name="tiny")
    prompts = [AnswerPrompt(name, language, f"{name}?") for name in before]
    parts = [
        ask(tuned, texts, prompts, states=state)[0] for state, texts in (("base", before), ("tuned", after))
    ]
    table = pd.concat([part.table for part in parts], ignore_index=True)
    return AnswerResult(table=table, provenance=parts[0].provenance)


def test_answers_off_target_are_tested_in_pairs() -> None:
    before = {f"{n}": JAPANESE if n < 4 else ENGLISH for n in range(12)}
    # two turn to English, eight to Japanese; a silent answer is in no other language
    after = {f"{n}": ENGLISH if n < 2 else " " if n == 4 else JAPANESE for n in range(12)}
    result = before_and_after(before, after)
    (row,) = result.changes().to_dict("records")
    assert (row["n"], row["before"], row["after"]) == (12, pytest.approx(8 / 12), pytest.approx(2 / 12))
    assert (row["gained"], row["lost"], row["change"]) == (2, 8, "")
    # twice the chance of at most 2 of 10: (1 + 10 + 45) / 1024
    assert row["p"] == pytest.approx(2 * 56 / 1024) == row["p_holm"]
    assert row["difference"] == pytest.approx(-0.5) and row["low"] < -0.5 < row["high"]
    assert "No evidence of change in answers in another language" in result.describe()
    fewer = before_and_after(dict.fromkeys(before, ENGLISH), dict.fromkeys(before, JAPANESE))
    assert "Answers in another language: fell in Japanese from 100% to 0%" in fewer.describe()
    with pytest.raises(InputError, match="there are answers of base, not of base and tuned"):
        AnswerResult(result.of("base"), result.provenance).changes()


def test_the_page_shows_answers_as_text_and_each_script_in_its_direction(tmp_path) -> None:
    bad = "<script>alert(1)</script>"
    result = before_and_after({"a": bad, "b": "مرحبا بكم جميعا"}, {"a": "x" * 900, "b": "שלום"}, "ar")
    table = answers_table(result.table)
    assert [(row[2].text, row[1].text) for row in table.rows] == [
        ("a", "base"), ("a", "tuned"), ("b", "base"), ("b", "tuned"),
    ]  # fmt: skip
    page = write_document(Document("t", [Section("s", "s", [table])]), tmp_path / "page.html").read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and bad not in page
    assert '<td lang="ar" dir="auto">مرحبا بكم جميعا</td>' in page and "td[dir] { text-align: start;" in page
    assert f"{'x' * 400}...<" in page and "x" * 401 not in page
    many = before_and_after(
        dict.fromkeys(map(str, range(9)), JAPANESE), dict.fromkeys(map(str, range(9)), JAPANESE)
    )
    assert len(answers_table(many.table).rows) == 10
