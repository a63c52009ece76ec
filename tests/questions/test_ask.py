"""`ask` from end to end on a tiny model: prompts, scores, nulls, probabilities, states, and what is refused."""

import json
import math
import shutil
from fractions import Fraction

import pytest
import torch

from latentlang.errors import InputError, ModelError
from latentlang.generation import kept_answers
from latentlang.models import HookedLM
from latentlang.models.decoding import Decoding
from latentlang.questions import Question, QuestionResult, QuestionSet, ask, read_questions, run
from latentlang.questions.asking import chosen_questions, other_references, prompts_of, written_answer
from latentlang.questions.worked_steps import published_number, worked_number
from tests.support import tiny
from tests.support.question_files import small_questions, write_mgsm, write_squad

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")


@pytest.fixture(scope="module")
def model() -> HookedLM:
    return HookedLM(tiny.model("mistral", max_position_embeddings=2048), tiny.tokenizer(), name="tiny")


@pytest.fixture(scope="module")
def xquad(tmp_path_factory) -> QuestionSet:
    folder = tmp_path_factory.mktemp("xquad")
    write_squad(folder, "en", "es", "zh")
    return read_questions(folder, task="xquad")


@pytest.fixture(scope="module")
def mgsm(tmp_path_factory) -> QuestionSet:
    folder = tmp_path_factory.mktemp("mgsm")
    write_mgsm(folder, "en", "es")
    return read_questions(folder, task="mgsm")


def _says(monkeypatch, answer) -> list[str]:
    """The model writes what `answer` says to a prompt's last question; returns the prompts."""
    asked: list[str] = []

    def write(model, prompts, *_options):
        asked.extend(map(str, prompts))
        return [[answer(prompt)] for prompt in prompts]

    monkeypatch.setattr(run, "_write", write)
    return asked


def test_a_prompt_has_the_languages_own_words_and_ends_where_the_answer_begins(xquad) -> None:
    first = xquad.questions["es"][0]
    (plain,) = prompts_of([first], xquad.questions["es"], shots=0, seed=0)
    assert plain.text == f'Contexto: {first.context}\nPregunta: {first.question}\nRespuesta: "'
    (shown,) = prompts_of([first], xquad.questions["es"], shots=2, seed=0)
    assert shown.text.endswith(plain.text) and shown.few_shot.count('Respuesta: "rojo') == 2
    assert shown.few_shot.endswith('"\n\n')


def test_no_example_is_the_question_itself_or_about_its_text(xquad, mgsm) -> None:
    for questions, shots in ((xquad.questions["en"], 4), (mgsm.questions["en"], 7)):
        for question, prompt in zip(
            questions, prompts_of(questions, questions, shots=shots, seed=3), strict=True
        ):
            assert question.question not in prompt.few_shot
            assert not question.context or question.context not in prompt.few_shot
    with pytest.raises(InputError, match=r"8 examples are asked for, and item '1' in 'en' has 7 others"):
        prompts_of(mgsm.questions["en"], mgsm.questions["en"], shots=8, seed=0)


def test_items_and_examples_are_the_same_in_every_language(xquad) -> None:
    chosen = {code: chosen_questions(part, 3, 5) for code, part in xquad.questions.items()}
    assert len({tuple(one.item for one in part) for part in chosen.values()}) == 1
    assert chosen_questions(xquad.questions["en"], 3, 6) != chosen["en"]


def test_the_null_is_another_questions_answer_about_another_text(xquad, mgsm) -> None:
    for one, other in zip(
        xquad.questions["en"], other_references(xquad.questions["en"], xquad.questions["en"], 0), strict=True
    ):
        assert other is not None and other.group != one.group and other.references != one.references
    alike = [Question(str(number), "en", "q?", ("7",)) for number in range(3)]
    assert other_references(alike, alike, 0) == [None] * 3


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('Denver"\nQuestion: x', "Denver"),
        ("Denver\nQuestion", "Denver"),
        (' Denver". It is', "Denver"),
        ('the song "Hello" by her" and', 'the song "Hello" by her'),
        ('"Hello" by her"', '"Hello" by her'),
        ('"', ""),
        ("", ""),
        ('a", "b", "c', "a"),
    ],
)
def test_an_answer_ends_at_its_closing_mark_or_line(text: str, answer: str) -> None:
    assert written_answer(text) == answer


def test_scores_stand_beside_their_nulls(monkeypatch, model, xquad) -> None:
    asked = _says(monkeypatch, lambda prompt: 'The red0, I think"' if prompt.language == "en" else "nada")
    result = ask(model, xquad, languages="en,es", progress=False)
    assert len(asked) == 12 and all(text.endswith('"') for text in asked)
    english = result.table[result.table["language"] == "en"].set_index("item")
    assert list(english["exact"]) == [False] * 6
    assert list(english["include"]) == [1, 0, 0, 0, 0, 0]
    # of three words (red0, i, think) one is the reference's only one
    assert english.loc["0-0", "f1"] == pytest.approx(2 * 1 / 4)
    assert (english["null_include"] == [float(text == "red0") for text in english["null_reference"]]).all()
    summary = result.summary().set_index("language")
    assert summary.loc["en", "include"] == pytest.approx(1 / 6)
    assert summary.loc["es", "f1"] == 0 and summary.loc["en", "constant"] == pytest.approx(1 / 6)
    assert summary.loc["en", "unread"] == 0


def test_mgsm_counts_the_last_number(monkeypatch, model, mgsm) -> None:
    said = {"1": "it is 1", "2": "2%", "3": "1.234", "4": "no idea", "5": "5.0"}
    _says(monkeypatch, lambda prompt: said.get(prompt.item, "1"))
    result = ask(model, mgsm, shots=1, progress=False)
    english = result.table[result.table["language"] == "en"].set_index("item")
    assert list(english["exact"]) == [True, True, False, False, True, False, False, False]
    assert list(english["reading"]) == ["read", "read", "read", "none", *["read"] * 4]
    assert english["f1"].isna().all()
    summary = result.summary().set_index("language")
    assert (summary.loc["en", "unread"], summary.loc["en", "exact"]) == (1, pytest.approx(3 / 8))
    assert "1 answer with nothing to compare" in result.describe()


def test_the_probability_is_the_models_own_of_the_whole_reference(model, mgsm) -> None:
    result = ask(model, mgsm, languages="en", items=2, shots=1, new_tokens=2, progress=False)
    questions = chosen_questions(mgsm.questions["en"], 2, 0)
    prompts = prompts_of(questions, mgsm.questions["en"], shots=1, seed=0)
    for prompt, row in zip(prompts, result.table.to_dict("records"), strict=True):
        for name in ("", "null_"):
            reference = row["null_reference" if name else "reference"]
            before = model.encode([prompt.text])[0]
            whole = model.encode([prompt.text + reference])[0]
            with torch.no_grad():
                log_probs = model.lm(torch.tensor([whole])).logits[0].log_softmax(-1)
            answer = sum(
                float(log_probs[place - 1, whole[place]]) for place in range(len(before), len(whole))
            )
            closing = [i for i in range(tiny.VOCAB) if model.tokenizer.decode([i]).startswith('"')]
            answer += float(log_probs[-1, closing].logsumexp(-1))
            assert row[f"{name}log_prob"] == pytest.approx(answer, abs=1e-3)
        assert (row["reference_bytes"], row["null_bytes"]) == (1, 1)
    lift = (result.table["log_prob"] - result.table["null_log_prob"]).mean()
    assert result.summary()["lift"].iloc[0] == pytest.approx(lift)
    assert math.isnan(result.summary()["lift_low"].iloc[0])  # two items are no interval


def test_a_saved_result_is_the_same_and_draws_itself(model, xquad, tmp_path) -> None:
    result = ask(model, xquad, items=3, new_tokens=3, progress=False)
    result.save(tmp_path / "out")
    assert QuestionResult.load(tmp_path / "out") == result
    figure = result.figure(languages="zh,en")
    assert list(figure.layout.yaxis.ticktext) == ["Chinese", "English"]
    assert {"right answer", "F1", "the reference"} <= {trace.name for trace in figure.data}
    assert set(result.glance()["language"]) == {"en", "es", "zh"}
    assert result.averages().query("measure == 'exact'")["n"].item() == 9


def test_a_mean_of_no_right_answers_at_all_has_an_interval(model, mgsm) -> None:
    result = ask(model, mgsm, items=3, new_tokens=2, progress=False)
    assert not result.table["exact"].any()
    row = result.averages().set_index("measure").loc["exact"]
    assert (row["mean"], row["low_items"]) == (0, 0) and row["high_items"] > 0.3


def test_before_and_after_are_tested_in_pairs(monkeypatch, mgsm) -> None:
    plain = tiny.model("mistral", max_position_embeddings=2048)
    adapted = HookedLM(tiny.adapted(plain).eval(), tiny.tokenizer(), name="tiny")
    texts = {"base": "0", "tuned": "{}"}
    state: list[str] = []

    def write(model, prompts, *_options):
        state.append("tuned" if len(state) % 2 else "base")
        return [[texts[state[-1]].format(prompt.item)] for prompt in prompts]

    monkeypatch.setattr(run, "_write", write)
    result = ask(adapted, mgsm, shots=0, progress=False)
    changes = result.changes()
    exact = changes[changes["measure"] == "exact"].set_index("language")
    # eight of eight turn right: McNemar 2 / 2^8, Holm times two languages
    assert list(exact["gained"]) == [8, 8] and list(exact["lost"]) == [0, 0]
    assert exact.loc["en", "p"] == pytest.approx(2 / 2**8)
    assert exact.loc["en", "p_holm"] == pytest.approx(4 / 2**8)
    assert list(exact["change"]) == ["up", "up"]
    assert "Right answers: rose in English by 1.000 and rose in Spanish by 1.000" in result.describe()
    likely = changes[changes["measure"] == "log_prob_per_byte"]
    assert likely["difference"].abs().gt(0).all() and likely["p"].isna().all()
    base = QuestionResult(result.table[result.table["state"] == "base"], result.provenance)
    tuned = QuestionResult(result.table[result.table["state"] == "tuned"], result.provenance)
    assert base.changes(tuned).equals(changes)
    with pytest.raises(InputError, match="this result has the state base alone"):
        base.changes()
    fewer = QuestionResult(tuned.table.iloc[1:], tuned.provenance)
    with pytest.raises(InputError, match="1 questions were answered on one side only"):
        base.changes(fewer)


def test_answers_that_exist_are_scored_without_a_model_and_with_one(model, xquad, tmp_path) -> None:
    file = tmp_path / "answers.jsonl"
    lines = [
        {"item": one.item, "language": code, "answer": f"el {one.references[0]}."}
        for code in ("en", "es")
        for one in xquad.questions[code]
    ]
    file.write_text("\n".join(map(json.dumps, lines)))
    result = ask(None, xquad, languages="en,es", answers=file, progress=False)
    exact = result.summary().set_index("language")["exact"]
    assert (exact["en"], exact["es"]) == (0, 1)  # "el" is an article of Spanish alone
    assert result.table["log_prob"].isna().all() and "probability" not in result.describe()
    assert result.provenance.model.startswith("answers of")
    assert len(result.figure().data) == 7
    scored = ask(model, xquad, languages="es", answers=file, items=2, progress=False)
    assert scored.table["log_prob"].notna().all() and scored.settings.decoding is None


def test_what_makes_no_sense_is_refused_in_one_line(model, xquad, mgsm, tmp_path) -> None:
    cases = (
        (lambda: ask(None, xquad), "neither a model nor a file of answers"),
        (lambda: ask(model, tmp_path), "say which task the files are of"),
        (lambda: ask(model, xquad, task="mgsm"), "these are questions of xquad, not of 'mgsm'"),
        (lambda: ask(model, xquad, languages="ja"), "there is no question in 'ja'"),
        (lambda: ask(model, xquad, items=0), "items must be at least 1, not 0"),
        (lambda: ask(model, xquad, states="tuned", progress=False), "no adapter"),
        (lambda: ask(model, xquad, shots=6), "6 examples are asked for"),
        (lambda: ask(model, xquad, shot=1), "unknown option of ask 'shot'"),
    )
    for call, message in cases:
        with pytest.raises(InputError, match=message):
            call()
    short = HookedLM(tiny.model("mistral", max_position_embeddings=64), tiny.tokenizer(), name="tiny")
    with pytest.raises(
        ModelError, match=r"item '0-0' in 'en' takes \d+ tokens with its answer, and tiny reads 64"
    ):
        ask(short, xquad, progress=False)


def test_what_was_written_is_not_written_again(model, mgsm, tmp_path, monkeypatch) -> None:
    options = {"languages": "en", "shots": 1, "new_tokens": 2, "progress": False, "resume": tmp_path / "kept"}
    whole = ask(model, mgsm, **options)
    written: list[str] = []
    generated = kept_answers.iter_generated

    def counted(model, prompts, decoding, *, items, **other):
        written.extend(items)
        return generated(model, prompts, decoding, items=items, **other)

    monkeypatch.setattr(kept_answers, "iter_generated", counted)
    assert ask(model, mgsm, **options).table.equals(whole.table) and not written
    # another number of examples is another prompt
    ask(model, mgsm, **options | {"shots": 2, "items": 3})
    assert len(written) == 3
    removed = sorted((tmp_path / "kept" / "base-en").iterdir())[0]
    shutil.rmtree(removed)
    written.clear()
    again = ask(model, mgsm, **options)
    assert len(written) == 1 and again.table.equals(whole.table)


def test_in_a_chat_examples_are_turns_and_a_line_is_the_answer(monkeypatch, xquad, mgsm) -> None:
    template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}<assistant>"
    chatty = tiny.tokenizer()
    chatty.chat_template = template
    model = HookedLM(tiny.model("mistral", max_position_embeddings=2048), chatty, name="tiny")
    asked = _says(monkeypatch, lambda prompt: '\n"red0"\nBecause it is red.')
    result = ask(model, xquad, languages="en", shots=1, chat=True, progress=False)
    assert result.table["answer"].unique().tolist() == ["red0"] and result.settings.chat == "turns"
    first = xquad.questions["en"][0]
    assert asked[0].endswith(
        f"<user>Context: {first.context}\nQuestion: {first.question}\nAnswer:</><assistant>"
    )
    assert asked[0].count("<user>") == 2 and asked[0].count('"') == 0
    # of a number the whole turn is read
    _says(monkeypatch, lambda prompt: "So\nit is\n2")
    numbers = ask(model, mgsm, languages="en", shots=0, chat=True, progress=False)
    assert list(numbers.table["exact"]) == [text == "2" for text in numbers.table["reference"]]
    plain = HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")
    with pytest.raises(ModelError, match="the tokenizer of 'tiny' has no chat template"):
        ask(plain, xquad, chat=True, progress=False)


def test_the_answer_of_most_samples_counts(monkeypatch, model, mgsm) -> None:
    samples = {
        "1": ["1", "it is 1", "2"],
        "2": ["3", "2", "2.0"],
        "3": ["no", "4", "3"],
        "4": ["?", "!", "..."],
    }

    def write(model, prompts, decoding, *_options):
        assert (decoding.how, decoding.samples, decoding.stop) == ("sample", 3, ("\n",))
        return [samples.get(prompt.item, ["0", "0", "0"]) for prompt in prompts]

    monkeypatch.setattr(run, "_write", write)
    drawn = Decoding(how="sample", samples=3)
    result = ask(model, mgsm, languages="en", shots=0, decoding=drawn, progress=False)
    rows = result.table.set_index("item")
    # a tie goes to what was drawn first; where nothing is a number, nothing is guessed
    assert list(rows["answer"][:4]) == ["1", "2", "4", "?"]
    assert list(rows["exact"][:4]) == [True, True, False, False]
    assert list(rows["agreement"][:3]) == pytest.approx([2 / 3, 2 / 3, 1 / 3])
    assert list(rows["mean_exact"][:4]) == pytest.approx([2 / 3, 2 / 3, 1 / 3, 0])
    assert result.settings.samples == 3 and result.summary()["mean_exact"].item() == pytest.approx(
        rows["mean_exact"].mean()
    )


def test_steps_are_shown_in_the_languages_words_and_the_result_read(
    monkeypatch, model, mgsm, tmp_path
) -> None:
    file = tmp_path / "worked.jsonl"
    lines = [
        {
            "question": "Pregunta: ¿Dos y dos?", "language": "es",
            "answer": "Respuesta paso a paso: 2 + 2 = 4. La respuesta es 4.",
        },
        {"question": mgsm.questions["es"][0].question, "answer": "La respuesta es 1.", "language": "es"},
        {"question": "¿Uno y uno?", "answer": "1 + 1 = 2. La respuesta es 2.", "language": "es"},
    ]  # fmt: skip
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    asked = _says(monkeypatch, lambda prompt: f"Son 99. La respuesta es {prompt.item}. 7 veces.")
    options = {"languages": "es", "examples": file, "progress": False}
    result = ask(model, mgsm, steps="corrected", shots=2, **options)
    question = mgsm.questions["es"][0].question
    assert asked[0] == (
        "Pregunta: ¿Dos y dos?\nRespuesta paso a paso: 2 + 2 = 4. La respuesta es 4.\n\n"
        "Pregunta: ¿Uno y uno?\nRespuesta paso a paso: 1 + 1 = 2. La respuesta es 2.\n\n"
        f"Pregunta: {question}\nRespuesta paso a paso:"
    )
    assert "La respuesta es 1." in asked[1] and "¿Uno y uno?" not in asked[1]
    # the references are the items' numbers but for one
    wanted = [one.references[0] == one.item for one in mgsm.questions["es"]]
    assert list(result.table["exact"]) == wanted and result.table["log_prob"].isna().all()
    assert (result.settings.steps, result.settings.shots) == ("corrected", 2)
    with pytest.raises(InputError, match=r"3 examples with steps are asked for, and item '1' in 'es' has 2"):
        ask(model, mgsm, steps="corrected", shots=3, **options)
    with pytest.raises(InputError, match="the answers of xquad are no numbers"):
        ask(model, small_questions(), steps="corrected", progress=False)
    with pytest.raises(InputError, match="unknown way of reading steps 'strict'"):
        ask(model, mgsm, steps="strict", progress=False)
    with pytest.raises(InputError, match="no example with steps in 'en'"):
        ask(model, mgsm, steps="corrected", examples=file, progress=False)


@pytest.mark.parametrize(
    ("language", "text", "published", "corrected"),
    [
        ("en", "2 + 3 = 5. The answer is 5.", "5.", 5),
        ("en", "The answer is 4. No. The answer is 5 apples of 7", "4.", 7),
        ("en", "The answer is $1,234.50", None, Fraction("1234.5")),
        ("es", "La respuesta es 1.234.", "1.234.", 1234),
        ("es", "quedan 3 y 4", None, 4),
        ("bn", "উত্তর হল ১২।", None, 12),
        ("ja", "答えは8です。", "8", 8),
        ("ja", "答えは 8 です", None, 8),
        ("ru", "Ответ — 6.", "6.", 6),
        ("de", "Also \\boxed{9}. In 3 Schritten.", None, 9),
        ("fr", "#### 11", None, 11),
        ("en", "nothing", None, None),
    ],
)
def test_the_two_readings_of_steps(language, text, published, corrected) -> None:
    assert published_number(text, language=language) == published
    assert worked_number(text, language=language).value == corrected


def test_what_was_published_takes_marks_for_nothing(monkeypatch, model, mgsm) -> None:
    _says(monkeypatch, lambda prompt: f"The answer is -{prompt.item}.0")
    rows = ask(model, mgsm, languages="en", steps="as-published", progress=False).table
    # 1.0 is 10 then, and -10 too
    assert not rows["exact"].any() and set(rows["reading"]) == {"read"}
    _says(monkeypatch, lambda prompt: f"The answer is -{prompt.item}.")
    rows = ask(model, mgsm, languages="en", steps="as-published", progress=False).table
    assert rows["exact"].sum() >= 7
    rows = ask(model, mgsm, languages="en", steps="corrected", progress=False).table
    assert not rows["exact"].any()
