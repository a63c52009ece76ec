"""Models: names, loading, exact reading of the residual stream and of what it says, shared few-shot blocks, adapters.

Names are imported on first use, so that `latentlang models` can list the registry without importing torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latentlang.models.hooked import HookedLM, check_loaded
    from latentlang.models.loading import load, load_tokenizer
    from latentlang.models.reading import Reading
    from latentlang.models.readout import Readout, TokenSets, read_out
    from latentlang.models.registry import REGISTRY, ModelInfo, cached_bytes, resolve
    from latentlang.models.sequence import AnswerScores, score_answers

__all__ = [
    "REGISTRY",
    "AnswerScores",
    "HookedLM",
    "ModelInfo",
    "Reading",
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
    "Reading": "reading",
    "Readout": "readout",
    "TokenSets": "readout",
    "read_out": "readout",
    "AnswerScores": "sequence",
    "score_answers": "sequence",
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
