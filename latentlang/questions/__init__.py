"""Questions with reference answers: what a model writes, how far that is right, and how likely the right one is."""

from latentlang.questions.number_reading import last_number
from latentlang.questions.text_scores import exact_match, f1_score, includes_reference, normalised_words

__all__ = ["exact_match", "f1_score", "includes_reference", "last_number", "normalised_words"]
