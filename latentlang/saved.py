"""A saved result of whatever kind, read by the class that its record names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from latentlang.answers import FertilityResult, TokenLanguages
from latentlang.arguments import checked_call
from latentlang.causal import PatchResult, PatchscopeResult, PivotUseResult, SteerResult, TraceResult
from latentlang.comparison import AlignmentComparison, ComparisonGroup, ComparisonResult
from latentlang.errors import InputError, shown
from latentlang.evaluation import EvaluationComparison, EvaluationResult
from latentlang.generation import AnswerResult
from latentlang.geometry import AlignmentResult, DirectionsResult, ErasureResult, PCAResult
from latentlang.instructions import InstructionsResult
from latentlang.judging import GapResult, JudgementResult
from latentlang.lens import (
    BarrierResult,
    BitsResult,
    ExplorerResult,
    LanguageMassResult,
    LensResult,
    MultilingualLensResult,
    PivotByLensResult,
)
from latentlang.paths import given_path
from latentlang.questions import CodeResult, QuestionResult
from latentlang.results import Result
from latentlang.storage.output import kind_of
from latentlang.sweeps.sweep_result import SweepResult
from latentlang.training import TrainingResult
from latentlang.translation import TranslationResult, TranslationScores
from latentlang.units import FeatureAblationResult, FeaturesResult, NeuronAblationResult, NeuronsResult

# Of the folders in one that holds no result itself.
_MOST_NAMED = 4
#: Kind, as ``metadata.json`` says it, to the class that reads it.
RESULT_CLASSES: Mapping[str, type[Result[Any]]] = MappingProxyType({
    result_class.kind: result_class
    for result_class in (
        AlignmentComparison, AlignmentResult, AnswerResult, BarrierResult, BitsResult, CodeResult,
        ComparisonGroup, ComparisonResult, DirectionsResult, ErasureResult, EvaluationComparison,
        EvaluationResult, ExplorerResult, FeatureAblationResult, FeaturesResult, FertilityResult, GapResult,
        InstructionsResult, JudgementResult, LanguageMassResult, LensResult, MultilingualLensResult,
        NeuronAblationResult, NeuronsResult, PCAResult, PatchResult, PatchscopeResult, PivotByLensResult,
        PivotUseResult, QuestionResult, SteerResult, SweepResult, TokenLanguages, TraceResult, TrainingResult,
        TranslationResult, TranslationScores,
    )
})  # fmt: skip


@checked_call
def open_result(folder: str | os.PathLike[str]) -> Result[Any]:
    """Read a saved result of whatever kind, as the class that its record names.

    Args:
        folder: that it was saved to, by `Result.save` or a command.

    Raises:
        InputError: the folder holds no result, one that no class reads, or a damaged one.
    """
    path = given_path(folder)
    kind = kind_of(path)
    if kind is None:
        where = sorted(entry.name for entry in path.iterdir() if kind_of(entry)) if path.is_dir() else []
        within = f"; in it there are results in {', '.join(map(repr, where[:_MOST_NAMED]))}" if where else ""
        raise InputError(
            f"{str(folder)!r} holds no saved result{within}; activations are opened by ll.open_store, a tuned lens by "
            "ll.TunedLens.load, a Jacobian lens by ll.JacobianLens.load"
        )
    if kind not in RESULT_CLASSES:
        raise InputError(
            f"{str(folder)!r} holds {shown(kind) if kind else 'a damaged record'}, which is no result that can be "
            f"opened; known: {', '.join(sorted(RESULT_CLASSES))}"
        )
    return RESULT_CLASSES[kind].load(path)
