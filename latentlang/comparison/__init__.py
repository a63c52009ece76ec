"""Before and after: what training changed in accuracy, in what the layers would say, and in their geometry."""

from latentlang.comparison.alignment import compare_alignment
from latentlang.comparison.alignment_result import AlignmentComparison
from latentlang.comparison.group import ComparisonGroup
from latentlang.comparison.lens import LensComparison, compare_lenses
from latentlang.comparison.result import ComparisonResult
from latentlang.comparison.run import PARTS, compare

__all__ = [
    "PARTS",
    "AlignmentComparison",
    "ComparisonGroup",
    "ComparisonResult",
    "LensComparison",
    "compare",
    "compare_alignment",
    "compare_lenses",
]
