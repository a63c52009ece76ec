"""Which tokens can begin which language's answer, settled by the bytes of the tokenizer's vocabulary."""

from latentlang.answers.language_table import TokenLanguages, token_languages
from latentlang.answers.paths import AnswerPath, answer_paths, closing
from latentlang.answers.policy import POLICIES, Reason, TokenSelection, select_tokens
from latentlang.answers.published import PUBLISHED_FAMILIES, published_set, published_sets
from latentlang.answers.sets import AnswerSet, AnswerSets, answer_sets, takes_space
from latentlang.answers.tables import overlap_table, policy_table, token_table
from latentlang.answers.text import reason_text
from latentlang.answers.token_counts import FertilityResult, fertility
from latentlang.answers.tokenbytes import TokenBytes, render_bytes
from latentlang.answers.vocabulary import token_bytes

__all__ = [
    "POLICIES",
    "PUBLISHED_FAMILIES",
    "AnswerPath",
    "AnswerSet",
    "AnswerSets",
    "FertilityResult",
    "Reason",
    "TokenBytes",
    "TokenLanguages",
    "TokenSelection",
    "answer_paths",
    "answer_sets",
    "closing",
    "fertility",
    "overlap_table",
    "policy_table",
    "published_set",
    "published_sets",
    "reason_text",
    "render_bytes",
    "select_tokens",
    "takes_space",
    "token_bytes",
    "token_languages",
    "token_table",
]
