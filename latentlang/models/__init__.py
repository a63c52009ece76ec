"""Models: names, loading, exact reading of the residual stream and of what it says, shared few-shot prefixes, adapters.

Names are imported on first use, so that `latentlang models` can list the registry without importing torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latentlang.models.answer_scores import AnswerScores, score_answers
    from latentlang.models.batch import ActivationBatch
    from latentlang.models.hooked import HookedLM, check_loaded
    from latentlang.models.loading import load, load_tokenizer
    from latentlang.models.readout import Readout, TokenSets, read_out
    from latentlang.models.registry import REGISTRY, ModelInfo, cached_bytes, resolve

__all__ = [
    "REGISTRY",
    "ActivationBatch",
    "AnswerScores",
    "HookedLM",
    "ModelInfo",
    "Readout",
    "TokenSets",
    "cached_bytes",
    "check_loaded",
    "load",
    "load_tokenizer",
    "read_out",
    "resolve",
    "score_answers",
]

_HOME = {
    "HookedLM": "hooked",
    "check_loaded": "hooked",
    "ActivationBatch": "batch",
    "Readout": "readout",
    "TokenSets": "readout",
    "read_out": "readout",
    "AnswerScores": "answer_scores",
    "score_answers": "answer_scores",
    "load": "loading",
    "load_tokenizer": "loading",
    "REGISTRY": "registry",
    "ModelInfo": "registry",
    "cached_bytes": "registry",
    "resolve": "registry",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
