"""What is meant unless something else is asked for: said once, for functions and for the command line.

Imports nothing: the command line shows these values before any library is loaded.
"""

MODEL = "pocket"
#: Task of what is measured, and of the lens, which is also for words.
TASK, LENS_TASK = "sentiment", "translation"
#: Language that might show in the middle layers.
PIVOT = "en"
SEED = 0
#: Coverage of intervals.
LEVEL = 0.95
PROTOCOL, POLICY, SCORE = "corrected", "exclusive", "first-tokens"
#: Score where each item has candidates of its own.
CANDIDATE_SCORE = "sequence"
LAYERS = "all"
#: Next tokens kept of a single prompt.
TOP = 5
#: A tuned lens: optimiser steps, and tokens per step.
TUNING_STEPS, TUNING_POSITIONS = 250, 256
#: A Jacobian lens, as the published ones are fitted: tokens at the beginning of a text that do not count, and tokens
#: of a text that are read.
JACOBIAN_SKIP, JACOBIAN_LONGEST = 16, 128

#: A large run that is planned: of the reference paper's few-shot prompts, which have about so many tokens.
PLANNED_PARTS, PLANNED_ON = ("harvest", "lens", "evaluate"), "h200"
PLANNED_LANGUAGES, PLANNED_PROMPTS, PLANNED_TOKENS = 20, 10_000, 160

HARVESTED_POOLS, SITE = ("mean", "question", "last"), "resid"

#: The reference paper's pool, and enough components for a plane.
PCA_POOL, PCA_COMPONENTS, PCA_COLOUR = "mean", 2, "language"

#: Alignment: measures, items of a pair, and what chance is.
MEASURES, PAIRED_ITEMS, NULL = "all", "pairwise", "items"
#: Principal components of Pearson r, permutations for the null, and half samples for the intervals.
COMPONENTS, PERMUTATIONS, RESAMPLES = 3, 200, 100
#: Language vectors, the pools they are taken from (the first that a store has), and how language is erased.
DIRECTIONS_METHOD, ERASE_METHOD = "mean", "lsar"
DIRECTIONS_POOLS = ("mean_no_bos", "question", "last", "mean")
#: Permutations of languages within items: of what is fitted in a moment, and of what is not.
DIRECTIONS_PERMUTATIONS, SLOW_PERMUTATIONS = 100, 20
#: Where geometry is computed.
DEVICE = "cpu"

#: Before and after. Accuracies need more items than curves do for intervals as narrow.
PARTS = ("evaluation", "lens", "geometry")
COMPARED_LANGUAGES = "paper20"
EVALUATION_ITEMS, COMPARED_ITEMS = 200, 100
#: Quick measures, each of which says something the others do not.
COMPARED_MEASURES = ("pearson", "cka", "retrieval", "centroid_distance")
#: The reference paper's pool, and the one that leaves the few-shot examples out.
COMPARED_POOLS = ("mean", "question")
COMPARED_COMPONENTS, COMPARED_PERMUTATIONS, COMPARED_RESAMPLES = 1, 50, 200

RECIPE = "zh+es-en"
PAPER = "spontaneous"
FIGURE_FORMATS = ("html", "png")
#: Of pages: plotly inside each of them.
HTML = "whole"

#: Share of the items that judges are asked again, and share that their nulls are asked of.
REGRADE, NULLS = 0.1, 0.1
#: Random exchanges of arms behind the null of a gap's correlation.
GAP_EXCHANGES = 9_999

#: Of instruction data: calls at once, and how often one is tried.
AT_ONCE, ATTEMPTS = 4, 5
