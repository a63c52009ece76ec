"""The same prompts, the same answers: whole-answer scores are lm-eval's log-likelihoods."""

import numpy as np
import pytest

import latentlang as ll
from latentlang.evaluation import evaluate
from latentlang.models import HookedLM
from tests.support import tiny

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
