"""The same prompts, the same answers: scores are lm-eval's log-likelihoods, and its tasks run on a loaded model."""

from types import SimpleNamespace

import numpy as np
import pytest

import latentlang as ll
from benchmarks.lm_eval_tasks import write_task
from latentlang.errors import InputError
from latentlang.evaluation import (
    EvaluationResult,
    asked_by_harness,
    compare_evaluations,
    evaluate,
    evaluate_harness,
    harness_model,
)
from latentlang.generation import kept_answers
from latentlang.models import HookedLM
from tests.support import tiny
from tests.support.benchmark_files import xcopa_folder, xcopa_records, xwinograd_folder, xwinograd_records

pytest.importorskip("lm_eval", reason="lm-eval is optional: pip install 'latentlang[eval]'")
pytestmark = pytest.mark.filterwarnings("ignore")


def _lm_eval(model, prompts, labels, words):
    """lm-eval's own multiple-choice task on these prompts: scores ``[prompt, label]`` and its accuracies."""
    import datasets
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.evaluator import evaluate as run
    from lm_eval.models.huggingface import HFLM

    docs = [{"text": p.text, "choices": words, "gold": labels.index(p.label)} for p in prompts]
    task = ConfigurableTask(
        config={
            "task": "ours", "custom_dataset": lambda **_: {"test": datasets.Dataset.from_list(docs)},
            "test_split": "test", "output_type": "multiple_choice", "doc_to_text": "{{text}}",
            "doc_to_choice": "choices", "doc_to_target": "gold", "target_delimiter": "",
            "metric_list": [{"metric": "acc"}, {"metric": "acc_bytes"}],
        }
    )  # fmt: skip
    lm = HFLM(
        pretrained=model.model, tokenizer=model.tokenizer, device="cpu", batch_size=8, max_length=2048,
        add_bos_token=True,
    )  # fmt: skip
    found = run(lm=lm, task_dict={"ours": task}, log_samples=True, bootstrap_iters=0)
    samples = sorted(found["samples"]["ours"], key=lambda sample: sample["doc_id"])
    scores = np.array([[answers[0][0] for answers in sample["resps"]] for sample in samples])
    return scores, found["results"]["ours"]


@pytest.mark.parametrize("architecture", ["mistral", "qwen2"])
def test_choices_and_log_likelihoods_are_lm_evals(architecture):
    plain = tiny.model(architecture, max_position_embeddings=2048)
    model = HookedLM(plain, tiny.tokenizer(), name="tiny")
    task = ll.task("nli", answers="en")
    prompts = task.prompts("sw", items=15, shots=2)
    labels = list(task.answers("sw"))
    # what closes the answer is part of ours; here a single token closes it, where several do ours is their sum
    words = [task.answers("sw")[label][0] + '"' for label in labels]
    theirs, accuracies = _lm_eval(model, prompts, labels, words)
    for score, metric, divisor in (
        ("sequence", "acc", np.ones(3)), ("sequence-per-byte", "acc_bytes", [len(w.encode()) for w in words]),
    ):  # fmt: skip
        ours = evaluate(model, task, languages="sw", items=15, shots=2, score=score)
        values = ours.table[[f"score_{label}" for label in labels]].to_numpy()
        np.testing.assert_allclose(values, theirs / np.array(divisor), rtol=2e-5)
        assert list(ours.table["predicted"]) == [labels[i] for i in (theirs / divisor).argmax(1)]
        assert ours.summary()["accuracy"].item() == pytest.approx(accuracies[f"{metric},none"])


@pytest.fixture(scope="module")
def model():
    return HookedLM(tiny.model("mistral", max_position_embeddings=512), tiny.tokenizer(), name="tiny")


@pytest.fixture(scope="module")
def theirs(model):
    """lm-eval's own way to ask a model; softmax in double precision, since its sums over a vocabulary are rounded."""
    from lm_eval.models.huggingface import HFLM

    return HFLM(
        pretrained=model.model,
        tokenizer=model.tokenizer,
        device="cpu",
        batch_size=4,
        max_length=512,
        add_bos_token=True,
        softmax_dtype="float64",
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """lm-eval's XCOPA and XWinograd with made-up items, as tasks of its own and as files."""
    root = tmp_path_factory.mktemp("tasks")
    for language in ("it", "th", "zh"):
        write_task(root, f"xcopa_{language}", xcopa_records(language), split="validation")
    for language in ("en", "jp"):
        write_task(root, f"xwinograd_{language}", xwinograd_records(language), split="test")
    xcopa_folder(root)
    xwinograd_folder(root)
    return root


def _samples(lm, folder, name):
    from lm_eval.evaluator import evaluate as run
    from lm_eval.tasks import TaskManager

    loaded = TaskManager(include_path=str(folder), include_defaults=False).load([name])
    loaded["tasks"][name].set_config("num_fewshot", 0)
    samples = run(lm=lm, task_dict=loaded, log_samples=True, bootstrap_iters=0)["samples"][name]
    return sorted(samples, key=lambda sample: sample["doc_id"])


@pytest.mark.parametrize("name", ["xcopa_it", "xcopa_th", "xcopa_zh", "xwinograd_en", "xwinograd_jp"])
def test_lm_evals_xcopa_and_xwinograd_to_the_item(model, theirs, folder, name):
    samples = _samples(theirs, folder, name)
    benchmark, code = name.replace("_jp", "_ja").split("_")
    task = ll.task(benchmark, data=folder, protocol="lm-eval")
    table = evaluate(model, task, languages=code).table.sort_values("item").reset_index(drop=True)
    prompts = sorted(task.prompts(code), key=lambda prompt: prompt.item)
    assert len(samples) == len(table) == 6
    for sample, prompt, row in zip(samples, prompts, table.to_dict("records"), strict=True):
        texts = [(prompt.text + c.given, c.text) for c in prompt.candidates]
        assert [tuple(pair) for pair in sample["arguments"]] == texts
        scores = [answer[0] for answer in sample["filtered_resps"]]
        np.testing.assert_allclose([row["score_1"], row["score_2"]], scores, atol=1e-3)
        assert (row["predicted"], row["right"]) == (str(int(np.argmax(scores)) + 1), bool(sample["acc"]))


def test_the_harness_gives_a_row_per_item_with_languages_of_one_task(model, theirs, folder, tmp_path):
    result = evaluate_harness(model, "xcopa_it,xcopa_th,xwinograd_jp", include=folder, items=5)
    assert result.tasks == ("xcopa", "xwinograd") and result.languages == ("it", "th", "ja")
    table = result.table[result.table["task"] == "xcopa"]
    for code in ("it", "th"):
        own = table[table["language"] == code]
        samples = _samples(theirs, folder, f"xcopa_{code}")[:5]
        scores = [[answer[0] for answer in sample["filtered_resps"]] for sample in samples]
        np.testing.assert_allclose(own[["score_1", "score_2"]], scores, atol=1e-3)
        assert list(own["right"]) == [bool(sample["acc"]) for sample in samples]
        assert list(own["label"]) == [str(sample["target"] + 1) for sample in samples]
        assert (own["right"] == (own["label"] == own["predicted"])).all()
    assert result.settings.tasks["xcopa"].protocol == "lm-eval" and result.settings.score == "acc"
    summary = result.summary()
    assert (summary["chance"] == 0.5).all() and summary["low"].lt(summary["high"]).all()
    result.save(tmp_path / "kept")
    assert EvaluationResult.load(tmp_path / "kept").describe() == result.describe()
    other = HookedLM(
        tiny.model("mistral", max_position_embeddings=512, seed=3), tiny.tokenizer(), name="other"
    )
    after = evaluate_harness(other, "xcopa_it,xcopa_th,xwinograd_jp", include=folder, items=5)
    assert set(compare_evaluations(result, after).summary()["language"]) == {"it", "th", "ja"}
    assert len(result.figure().data) > 0


_OTHERS = {
    "written": (
        "output_type: generate_until\ndoc_to_text: premise\ndoc_to_target: choice1\n"
        "generation_kwargs: {until: ['\\n', 'e'], max_gen_toks: 40, do_sample: false}\n"
        "metric_list: [{metric: exact_match}]\n"
    ),
    "drawn": (
        "output_type: generate_until\ndoc_to_text: premise\ndoc_to_target: choice1\nrepeats: 2\n"
        "generation_kwargs: {until: ['\\n'], max_gen_toks: 8, temperature: 1.5}\n"
        "metric_list: [{metric: exact_match}]\n"
    ),
    "rolling": (
        "output_type: loglikelihood_rolling\ndoc_to_text: ''\ndoc_to_target: premise\n"
        "metric_list: [{metric: bits_per_byte}]\n"
    ),
    "next": (
        "output_type: loglikelihood\ndoc_to_text: premise\ndoc_to_target: '{{\" \" + choice1}}'\n"
        "metric_list: [{metric: acc}]\n"
    ),
    "broken": (
        "output_type: generate_until\ndoc_to_text: '{{1 / (1 - (idx | int))}}'\ndoc_to_target: choice1\n"
        "metric_list: [{metric: exact_match}]\n"
    ),
    "named_it": (
        "output_type: multiple_choice\ndoc_to_text: premise\ndoc_to_target: label\n"
        "doc_to_choice: '{{[choice1, choice2]}}'\nmetric_list: [{metric: acc}, {metric: acc_norm}]\n"
    ),
}
_OTHERS["named_ita_Latn"] = _OTHERS["named_it"]
_OTHERS["named_sw"] = _OTHERS["named_it"].replace("{metric: acc}, ", "")


@pytest.fixture(scope="module")
def others(folder):
    for name, config in _OTHERS.items():
        (folder / f"{name}.yaml").write_text(
            f"task: {name}\ndataset_path: json\ndataset_kwargs:\n  data_files:\n    test: {folder}/xcopa_it.jsonl\n"
            f"test_split: test\n{config}"
        )
    return folder


@pytest.mark.parametrize("name", ["written", "rolling"])
def test_written_answers_and_whole_texts_are_lm_evals(model, theirs, others, name):
    ours = _samples(harness_model(model), others, name)
    for sample, expected in zip(ours, _samples(theirs, others, name), strict=True):
        (one,), (other,) = sample["filtered_resps"], expected["filtered_resps"]
        if name == "written":
            assert one == other and "e" not in one
        else:
            assert float(np.ravel(one)[0]) == pytest.approx(float(np.ravel(other)[0]), abs=1e-3)


def test_written_answers_are_right_or_wrong_and_no_classes(model, others):
    result = evaluate_harness(model, "written", include=others, items=2, language="it")
    (row,) = result.summary().itertuples()
    assert (row.language, row.n, row.chance) == ("it", 2, 0) and np.isnan(row.macro_f1)
    assert (
        result.table["confidence"].isna().all() and result.table["label"].iloc[0] == "Il gatto lo ha urtato."
    )


def test_a_text_that_is_not_the_likeliest_is_no_prediction(model, others, capfd):
    result = evaluate_harness(model, "next", include=others, items=2, language="it", progress=False)
    assert not result.table["right"].any() and set(result.table["predicted"]) == {""}
    assert result.table["label"].iloc[0] == " Il gatto lo ha urtato."
    assert "it/s" not in capfd.readouterr().err  # lm-eval's own bars


def test_two_tasks_in_one_language_stay_two(model, others):
    result = evaluate_harness(model, "named_it,named_ita_Latn", include=others, items=2, progress=False)
    assert result.tasks == ("named", "named_ita_Latn") and result.languages == ("it",)
    assert len(result.averages()) == 2


def test_tasks_that_sample_have_texts_drawn_each_its_own(model, others):
    texts = [sample["resps"][0] for sample in _samples(harness_model(model, seed=1), others, "drawn")]
    assert all(len(two) == 2 and two[0] != two[1] for two in texts)
    again = [sample["resps"][0] for sample in _samples(harness_model(model, seed=1), others, "drawn")]
    other = [sample["resps"][0] for sample in _samples(harness_model(model, seed=2), others, "drawn")]
    assert again == texts != other
    with pytest.raises(InputError, match="writes by 4 beams"):
        harness_model(model).generate_until([SimpleNamespace(args=("a", {"num_beams": 4}))])


def test_what_was_answered_is_not_asked_again(model, others, tmp_path, monkeypatch, capsys):
    options = {
        "include": others,
        "items": 3,
        "language": "it",
        "resume": tmp_path / "kept",
        "progress": False,
    }
    first = evaluate_harness(model, "xcopa_it,written", **options)
    assert "it/s" not in capsys.readouterr().err  # no bar of lm-eval's
    asked: list[int] = []
    scored, written = asked_by_harness.score_paths, kept_answers.iter_generated
    monkeypatch.setattr(
        asked_by_harness, "score_paths", lambda *a, **o: asked.append(len(a[1])) or scored(*a, **o)
    )
    monkeypatch.setattr(
        kept_answers, "iter_generated", lambda *a, **o: asked.append(len(a[1])) or written(*a, **o)
    )
    assert evaluate_harness(model, "xcopa_it,written", **options).table.equals(first.table) and not asked
    more = evaluate_harness(model, "xcopa_it,written", **options | {"items": 4})
    # contexts are kept by the batch, texts each alone
    assert sorted(asked) == [1, 4]
    plain = evaluate_harness(model, "xcopa_it,written", **options | {"items": 4, "resume": None})
    assert plain.table.equals(more.table)


def test_long_contexts_lose_their_beginning_as_lm_evals_do(model, theirs):
    from lm_eval.api.instance import Instance

    pairs = [("so " * 700 + "the cat", " is big"), ("the cat", " is big")]
    requests = [Instance("loglikelihood", {}, pair, n) for n, pair in enumerate(pairs)]
    lm = harness_model(model)
    ours, expected = lm.loglikelihood(requests), theirs.loglikelihood(requests, disable_tqdm=True)
    np.testing.assert_allclose([x for x, _ in ours], [x for x, _ in expected], atol=1e-3)
    assert [greedy for _, greedy in ours] == [greedy for _, greedy in expected]
    assert lm.notes() == {"lm_eval_shortened": 1}


@pytest.mark.parametrize(
    ("tasks", "options", "message"),
    [
        ("nowhere_it", {}, "lm-eval has no task 'nowhere_it'; `lm-eval ls tasks` lists"),
        ("rolling", {}, "rolling has no metric that says of an item whether it is right, only bits_per_byte"),
        ("xcopa_it", {"metric": "f1"}, "xcopa_it has no metric 'f1', only acc; choose one of acc"),
        ("", {}, "no task of lm-eval named"),
        ("xcopa_it", {"items": 0}, "items"),
        ("named_it,named_sw", {}, "named_it is measured by acc and named_sw by acc_norm, which have no mean"),
        ("broken", {}, "lm-eval cannot run broken: division by zero"),
    ],
)
def test_what_the_harness_cannot_do_is_said(model, others, monkeypatch, tasks, options, message):
    if tasks == "nowhere_it":  # lm-eval's own list takes seconds
        import lm_eval.tasks

        own = lm_eval.tasks.TaskManager
        monkeypatch.setattr(lm_eval.tasks, "TaskManager", lambda **o: own(**{**o, "include_defaults": False}))
    with pytest.raises(InputError, match=message):
        evaluate_harness(model, tasks, include=others, **options)
