"""Lenses: what a layer would say if it were the last."""

from latentlang.lens.answer_languages import READER_POLICIES
from latentlang.lens.logit import POLICIES, logit_lens
from latentlang.lens.multilingual import LanguageLensResult, language_lens
from latentlang.lens.pivot_test import Leaders
from latentlang.lens.result import LensResult
from latentlang.lens.single_prompt import ExplorerResult, explore
from latentlang.lens.tuned import TunedLens, divergence, train_tuned_lens

__all__ = [
    "POLICIES",
    "READER_POLICIES",
    "ExplorerResult",
    "LanguageLensResult",
    "Leaders",
    "LensResult",
    "TunedLens",
    "divergence",
    "explore",
    "language_lens",
    "logit_lens",
    "train_tuned_lens",
]
