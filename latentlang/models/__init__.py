"""Models: names, loading, exact reading of the residual stream and of what it says, shared few-shot prefixes, adapters.

Names are imported on first use, so that `latentlang models` can list the registry without importing torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentlang._lazy import lazy_names

if TYPE_CHECKING:
    from latentlang.models.answer_scores import AnswerScores, score_answers
    from latentlang.models.batch import ActivationBatch
    from latentlang.models.edits import Edit
    from latentlang.models.hooked import HookedLM, check_loaded
    from latentlang.models.loading import as_model, load, load_tokenizer
    from latentlang.models.readout import Readout, TokenSets, read_out, read_out_each
    from latentlang.models.registry import REGISTRY, ModelInfo, cached_bytes, resolve

__all__ = [
    "REGISTRY",
    "ActivationBatch",
    "AnswerScores",
    "Edit",
    "HookedLM",
    "ModelInfo",
    "Readout",
    "TokenSets",
    "as_model",
    "cached_bytes",
    "check_loaded",
    "load",
    "load_tokenizer",
    "read_out",
    "read_out_each",
    "resolve",
    "score_answers",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "latentlang.models.answer_scores": ("AnswerScores", "score_answers"),
        "latentlang.models.batch": ("ActivationBatch",),
        "latentlang.models.edits": ("Edit",),
        "latentlang.models.hooked": ("HookedLM", "check_loaded"),
        "latentlang.models.loading": ("as_model", "load", "load_tokenizer"),
        "latentlang.models.readout": ("Readout", "TokenSets", "read_out", "read_out_each"),
        "latentlang.models.registry": ("REGISTRY", "ModelInfo", "cached_bytes", "resolve"),
    },
)
