"""Candidates per item: what each is given, chosen between and compared, on models whose numbers can be had by hand."""

import numpy as np
import pytest
import torch

import latentlang as ll
from latentlang.answers.paths import answer_paths
from latentlang.errors import InputError, ModelError
from latentlang.evaluation import EvaluationResult, compare_evaluations, evaluate, weighted_f1
from latentlang.models import HookedLM, score_answers
from tests.support import tiny
from tests.support.benchmark_files import write_lines, xcopa_folder, xwinograd_folder


@pytest.fixture(scope="module")
def model():
    return HookedLM(tiny.model("mistral", max_position_embeddings=512), tiny.tokenizer(), name="tiny")


def _by_hand(model, before, after):
    """Log-probability of a text behind another, token by token; what is compared is how the whole text is written."""
    context, whole = model.encode([before])[0], model.encode([before + after])[0]
    assert whole[: len(context)] == context
    with torch.inference_mode():
        log_probs = model.lm(torch.tensor([whole])).logits[0].double().log_softmax(-1)
    places = range(len(context), len(whole))
    return sum(log_probs[place - 1, whole[place]].item() for place in places), len(whole) - len(context)


@pytest.mark.parametrize("name", ["xcopa", "xwinograd"])
@pytest.mark.parametrize("score", [None, "sequence-per-byte", "sequence-per-token"])
def test_scores_are_those_of_the_texts_behind_their_contexts(model, tmp_path, name, score):
    root = {"xcopa": xcopa_folder, "xwinograd": xwinograd_folder}[name](tmp_path)
    task = ll.task(name, data=root, protocol="lm-eval")
    code = {"xcopa": "it", "xwinograd": "en"}[name]
    result = evaluate(model, task, languages=code, score=score)
    assert result.settings.score == (score or "sequence") and result.settings.tasks[name].per_item
    for prompt, row in zip(task.prompts(code), result.table.to_dict("records"), strict=True):
        values = []
        for candidate in prompt.candidates:
            value, tokens = _by_hand(model, prompt.text + candidate.given, candidate.text)
            size = len(candidate.text.strip().encode())
            values.append(value / {None: 1, "sequence-per-byte": size, "sequence-per-token": tokens}[score])
        assert [row["score_1"], row["score_2"]] == pytest.approx(values, rel=1e-5)
        assert row["predicted"] == str(int(np.argmax(values)) + 1)
        assert row["right"] == (row["predicted"] == prompt.label)
        assert row["confidence"] == pytest.approx(np.exp(max(values)) / np.exp(values).sum(), rel=1e-4)
    # contexts that differ have no probability in common
    assert result.table["mass"].isna().all() == (name == "xwinograd")


def test_a_context_is_one_prompt_for_all_its_candidates(model, tmp_path, monkeypatch):
    asked = []

    def counted(model, prompts, answers, **options):
        asked.append([len(texts) for texts in answers])
        return score_answers(model, prompts, answers, **options)

    monkeypatch.setattr("latentlang.evaluation.scoring.score_answers", counted)
    done = []
    evaluate(
        model,
        ll.task("xcopa", data=xcopa_folder(tmp_path)),
        languages="it",
        progress=lambda n, total: done.append((n, total)),
    )
    evaluate(model, ll.task("xwinograd", data=xwinograd_folder(tmp_path)), languages="en", items=3)
    assert asked == [[2] * 6, [1] * 6]
    assert done[-1] == (6, 6) and all(n <= total for n, total in done)


def test_where_the_context_merges_with_a_candidate_only_the_spanning_token_is_spelled_anew(model):
    """In scripts without spaces a token may span the end of the context."""
    for before, after in (("house", "s are big"), ("the hou", "se is old"), ("一只", "猫在房子里")):
        (ids,), ((path,),) = answer_paths(model, [before], [[after]], verbatim=True)
        table = model.tokenizer
        assert table.decode([*ids, *path[0].tokens], skip_special_tokens=True).endswith(before + after)
        whole, context = model.encode([before + after])[0], model.encode([before])[0]
        assert ids == context and path[0].ends == ()
        if whole[: len(context)] != context:
            # what follows the spanning token is as the tokenizer writes it
            assert path[0].tokens[-1] == whole[-1]


def test_items_with_fewer_candidates_have_another_chance(model, tmp_path):
    lines = [
        {
            "id": str(n),
            "lang": "de",
            "context": "Es regnet",
            "candidates": [f"w{k}" for k in range(count)],
            "answer": 0,
        }
        for n, count in enumerate([2, 4, 4, 2])
    ]
    result = evaluate(model, ll.task("choice", data=write_lines(tmp_path / "mine.jsonl", lines)))
    (row,) = result.summary().itertuples()
    assert row.chance == pytest.approx((1 / 2 + 1 / 4 + 1 / 4 + 1 / 2) / 4)
    assert (row.majority, row.majority_macro_f1, row.majority_weighted_f1) == (1, 1, 1)
    offered = result.table.set_index("item")[[f"score_{n}" for n in range(1, 5)]].notna().sum(axis=1)
    assert offered.to_dict() == {"0": 2, "1": 4, "2": 4, "3": 2}
    assert not result.incomplete() and result.table["confidence"].between(0.25, 1).all()
    result.save(tmp_path / "kept")
    again = EvaluationResult.load(tmp_path / "kept")
    assert again.summary()["chance"].item() == row.chance and again.describe() == result.describe()
    assert result.averages()["majority"].item() == 1


def test_what_always_answers_alike_gets(model, tmp_path):
    labels = ["neutral"] * 6 + ["positive"] * 3 + ["negative"]
    path = tmp_path / "english" / "test.csv"
    path.parent.mkdir()
    path.write_text(
        "id,text,label\n" + "".join(f"{n},text {n},{x}\n" for n, x in enumerate(labels)), encoding="utf-8"
    )
    result = evaluate(model, ll.task("nusax", data=tmp_path))
    (row,) = result.summary().itertuples()
    f1 = 2 * 0.6 / (0.6 + 1)
    assert row.majority == 0.6 and row.chance == pytest.approx(1 / 3)
    assert row.majority_macro_f1 == pytest.approx(f1 / 3)
    assert row.majority_weighted_f1 == pytest.approx(0.6 * f1)
    assert set(result.table["predicted"]) <= {"positive", "neutral", "negative"}
    assert result.labels() == ("positive", "neutral", "negative")


def test_weighted_f1_is_scikit_learns():
    sklearn = pytest.importorskip("sklearn.metrics")
    draw = np.random.default_rng(0)
    for _ in range(20):
        labels, guesses = (list(draw.choice(["a", "b", "c"], 12, p=[0.6, 0.3, 0.1])) for _ in range(2))
        expected = sklearn.f1_score(labels, guesses, average="weighted", zero_division=0)
        assert weighted_f1(labels, guesses) == pytest.approx(expected)
    assert np.isnan(weighted_f1([], [])) and weighted_f1(["a", "b"], [None, "b"]) == 0.5


def test_before_and_after_are_compared_item_by_item(model, tmp_path):
    task = ll.task("xcopa", data=xcopa_folder(tmp_path))
    other = HookedLM(
        tiny.model("mistral", max_position_embeddings=512, seed=3), tiny.tokenizer(), name="other"
    )
    before, after = (evaluate(one, task, languages="it,zh") for one in (model, other))
    comparison = compare_evaluations(before, after)
    summary = comparison.summary()
    assert (
        list(summary["n"]) == [6, 6]
        and (summary["gained"] - summary["lost"] == (summary["difference"] * 6).round()).all()
    )
    with pytest.raises(InputError, match="differ in score"):
        compare_evaluations(before, evaluate(other, task, languages="it,zh", score="sequence-per-byte"))


def test_a_stopped_run_goes_on_unless_the_candidates_are_others(model, tmp_path):
    def lines(word):
        return [{"id": "a", "lang": "de", "context": "Es", "candidates": ["regnet", word], "answer": 0}]

    path, runs = write_lines(tmp_path / "mine.jsonl", lines("schneit")), []

    def run():
        ran = []
        result = evaluate(
            model,
            ll.task("choice", data=path),
            resume=tmp_path / "kept",
            progress=lambda n, total: ran.append(n),
        )
        runs.append(result.table["score_2"].item())
        return len(ran)

    first, second = run(), run()
    assert second < first and runs[0] == runs[1]
    write_lines(path, lines("hagelt"))
    assert run() == first and runs[2] != runs[1]


def test_what_cannot_be_asked_is_said_before_anything_runs(model, tmp_path):
    task = ll.task("xcopa", data=xcopa_folder(tmp_path))
    for options, message in (
        ({"score": "first-tokens"}, "candidates of their own, whose first tokens say little"),
        ({"protocol": "lm-eval"}, "made with protocol='corrected', not 'lm-eval'"),
        ({"languages": "de"}, "the xcopa task has no data in 'de'"),
    ):
        with pytest.raises(InputError, match=message):
            evaluate(model, task, **options)
    with pytest.raises(InputError, match="some have candidates per item and some the same labels"):
        evaluate(model, [task, "sentiment"], languages="it")
    both = evaluate(model, [task, ll.task("nli")], languages="zh", items=2, score="sequence")
    assert both.tasks == ("xcopa", "nli") and both.of("nli").summary()["chance"].item() == pytest.approx(
        1 / 3
    )
    with pytest.raises(InputError, match="the xcopa task has no items of its own; make it with data="):
        evaluate(model, "xcopa")
    long = [{"id": "long", "lang": "de", "context": "so " * 600, "candidates": ["a", "b"], "answer": 0}]
    with pytest.raises(ModelError, match=r"item 'long' \(de\) .*512"):
        evaluate(model, ll.task("choice", data=write_lines(tmp_path / "long.jsonl", long)))


def test_texts_without_a_context_are_read_behind_the_beginning_token(model, tmp_path):
    lines = [
        {"id": "a", "lang": "de", "context": "", "candidates": ["the cat is", "cat the is"], "answer": 0}
    ]
    task = ll.task("choice", data=write_lines(tmp_path / "mine.jsonl", lines))
    (row,) = evaluate(model, task).table.to_dict("records")
    assert row["score_1"] == pytest.approx(_by_hand(model, "", "the cat is")[0], rel=1e-5)
    bare = HookedLM(tiny.model("mistral"), tiny.tokenizer(bos=False), name="bare")
    with pytest.raises(
        ModelError, match=r"item 'a' .* has no context, and the tokenizer of 'bare' puts nothing"
    ):
        evaluate(bare, task)
