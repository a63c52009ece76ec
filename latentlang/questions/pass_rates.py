"""pass@k: the probability that at least one of k programs is right, estimated from n that were written."""

from __future__ import annotations

import math

from latentlang.arguments import check_count
from latentlang.errors import InputError


def pass_at_k(n: int, right: int, k: int) -> float:
    """The unbiased estimate of Chen et al. 2021, equation 1: one less the share of choices of k with none right.

    Args:
        n: programs written for a problem.
        right: of them, those that pass its tests.
        k: programs that may be tried.

    Raises:
        InputError: k is larger than n (fewer programs say nothing about more), or a count makes no sense.
    """
    check_count("n", n, least=1)
    check_count("right", right, least=0)
    check_count("k", k, least=1)
    if right > n:
        raise InputError(f"{right} of {n} programs cannot be right; give the number of those that are")
    if k > n:
        raise InputError(
            f"pass@{k} needs at least {k} programs per problem, and there are {n}; write more, or ask for less"
        )
    return 1.0 - math.comb(n - right, k) / math.comb(n, k)
