"""Geometry of activations: layerwise PCA, and how far the layers of two languages agree.

Names are imported on first use: a saved result can be read and drawn, and a measure looked up, without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latentlang.geometry.alignment_result import AlignmentResult, by_language, paper_table
    from latentlang.geometry.alignment_run import alignment
    from latentlang.geometry.basis import Basis
    from latentlang.geometry.directions_result import DirectionsResult
    from latentlang.geometry.directions_run import directions
    from latentlang.geometry.erasure import erase
    from latentlang.geometry.erasure_result import ErasureResult
    from latentlang.geometry.measures import centroid_distance, linear_cka
    from latentlang.geometry.neighbours import neighbour_overlap, translation_retrieval
    from latentlang.geometry.pca_result import PCAResult
    from latentlang.geometry.pca_run import compare_pca, pca
    from latentlang.geometry.subspaces import procrustes_distance, svcca

__all__ = [
    "AlignmentResult",
    "Basis",
    "DirectionsResult",
    "ErasureResult",
    "PCAResult",
    "alignment",
    "by_language",
    "centroid_distance",
    "compare_pca",
    "directions",
    "erase",
    "linear_cka",
    "neighbour_overlap",
    "paper_table",
    "pca",
    "procrustes_distance",
    "svcca",
    "translation_retrieval",
]

_HOME = {
    "AlignmentResult": "alignment_result",
    "Basis": "basis",
    "DirectionsResult": "directions_result",
    "ErasureResult": "erasure_result",
    "PCAResult": "pca_result",
    "alignment": "alignment_run",
    "by_language": "alignment_result",
    "centroid_distance": "measures",
    "compare_pca": "pca_run",
    "directions": "directions_run",
    "erase": "erasure",
    "linear_cka": "measures",
    "neighbour_overlap": "neighbours",
    "paper_table": "alignment_result",
    "pca": "pca_run",
    "procrustes_distance": "subspaces",
    "svcca": "subspaces",
    "translation_retrieval": "neighbours",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
