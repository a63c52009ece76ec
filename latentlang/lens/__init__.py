"""Lenses: what a layer would say if it were the last."""

from latentlang.lens.answer_languages import CANDIDATE_POLICIES
from latentlang.lens.barrier import translation_barrier
from latentlang.lens.barrier_result import BarrierResult
from latentlang.lens.base import FittedLens, Lens, LogitLens
from latentlang.lens.bits import BitsResult, bits_per_byte
from latentlang.lens.jacobian import JacobianLens
from latentlang.lens.jacobian_fit import fit_jacobian_lens, fit_jacobian_rows
from latentlang.lens.jacobian_rows import JacobianRows
from latentlang.lens.logit import POLICIES, logit_lens
from latentlang.lens.mass import language_mass
from latentlang.lens.mass_result import LanguageMassResult
from latentlang.lens.multilingual import MultilingualLensResult, multilingual_lens
from latentlang.lens.pivot_lenses import PivotByLensResult, pivot_by_lens
from latentlang.lens.pivot_test import PivotTest
from latentlang.lens.result import LensResult
from latentlang.lens.single_prompt import ExplorerResult, explore
from latentlang.lens.tuned import TunedLens, divergence, train_tuned_lens

__all__ = [
    "CANDIDATE_POLICIES",
    "POLICIES",
    "BarrierResult",
    "BitsResult",
    "ExplorerResult",
    "FittedLens",
    "JacobianLens",
    "JacobianRows",
    "LanguageMassResult",
    "Lens",
    "LensResult",
    "LogitLens",
    "MultilingualLensResult",
    "PivotByLensResult",
    "PivotTest",
    "TunedLens",
    "bits_per_byte",
    "divergence",
    "explore",
    "fit_jacobian_lens",
    "fit_jacobian_rows",
    "language_mass",
    "logit_lens",
    "multilingual_lens",
    "pivot_by_lens",
    "train_tuned_lens",
    "translation_barrier",
]
