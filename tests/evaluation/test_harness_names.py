"""What can be said of lm-eval's tasks where lm-eval is not installed."""

import sys

import pytest

import latentlang as ll
from latentlang.errors import InputError
from latentlang.evaluation.harness import task_and_language


@pytest.mark.parametrize(
    ("name", "task", "code"),
    [
        ("xcopa_it", "xcopa", "it"),
        ("xwinograd_jp", "xwinograd", "ja"),
        ("belebele_lug_Latn", "belebele", "lg"),
        ("mmmlu_es_la", "mmmlu", "es"),
        ("mmmlu_de_de", "mmmlu", "de"),
        ("mmmlu_hi_in", "mmmlu", "hi"),
        ("m_mmlu_zh", "m_mmlu", "zh"),
        ("arc_challenge_mt_da", "arc_challenge_mt", "da"),
        ("xnli_eu_mt", "xnli_mt", "eu"),
        ("mlqa_ar_de", "mlqa_ar", "de"),
        ("mlqa_hi_hi", "mlqa", "hi"),
        ("agieval_lsat_ar", "agieval_lsat_ar", ""),
        ("polemo2_in", "polemo2_in", ""),
        ("uncheatable_eval_arxiv_cs", "uncheatable_eval_arxiv_cs", ""),
        ("mgsm_native_cot_sw", "mgsm_native_cot", "sw"),
        ("arc_easy", "arc_easy", ""),
        ("gsm8k", "gsm8k", ""),
        ("anli_r1", "anli_r1", ""),
    ],
)
def test_the_end_of_a_name_says_the_language(name, task, code):
    assert task_and_language(name) == (task, code)


def test_without_lm_eval_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", None)
    with pytest.raises(
        InputError, match=r"tasks of the harness need lm-eval; `pip install .*eval\]'?`"
    ) as error:
        ll.evaluate_harness("pocket", "xcopa_it")
    assert "\n" not in str(error.value)
