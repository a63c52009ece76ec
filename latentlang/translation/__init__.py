"""Translation: hypotheses scored beside what no translation would get, and models that translate.

Names are imported on first use: saved scores can be read, compared and drawn without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentlang._lazy import lazy_names

if TYPE_CHECKING:
    from latentlang.translation.bleu_tokenizers import bleu_tokenizer
    from latentlang.translation.line_files import read_lines
    from latentlang.translation.metrics import METRICS, TranslationMetric, register_metric
    from latentlang.translation.scores_result import TranslationScores, join_scores
    from latentlang.translation.scoring import score_translations
    from latentlang.translation.translating import translate
    from latentlang.translation.translation_result import TranslationResult

__all__ = [
    "METRICS",
    "TranslationMetric",
    "TranslationResult",
    "TranslationScores",
    "bleu_tokenizer",
    "join_scores",
    "read_lines",
    "register_metric",
    "score_translations",
    "translate",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "latentlang.translation.bleu_tokenizers": ("bleu_tokenizer",),
        "latentlang.translation.line_files": ("read_lines",),
        "latentlang.translation.metrics": ("METRICS", "TranslationMetric", "register_metric"),
        "latentlang.translation.scores_result": ("TranslationScores", "join_scores"),
        "latentlang.translation.scoring": ("score_translations",),
        "latentlang.translation.translating": ("translate",),
        "latentlang.translation.translation_result": ("TranslationResult",),
    },
)
