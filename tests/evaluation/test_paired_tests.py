"""McNemar's exact test, Holm's correction and the paired interval, against definitions and published examples."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentlang.stats.intervals import wilson
from latentlang.stats.paired import (
    CHANGES,
    holm,
    mcnemar_exact,
    pair_counts,
    paired_changes,
    paired_difference,
)

counts = st.integers(0, 60)


@settings(deadline=None)
@given(counts, counts)
def test_mcnemar_is_twice_the_binomial_tail(gained, lost):
    n = gained + lost
    outcomes = [Fraction(math.comb(n, k), 2**n) for k in range(n + 1)]
    tail = sum(outcomes[: min(gained, lost) + 1])
    assert mcnemar_exact(gained, lost) == pytest.approx(float(min(1, 2 * tail)))
    assert mcnemar_exact(gained, lost) == mcnemar_exact(lost, gained)


def test_mcnemar_of_known_cases():
    assert mcnemar_exact(0, 0) == mcnemar_exact(7, 7) == 1
    assert mcnemar_exact(5, 0) == 2 / 2**5
    # Fagerland et al. 2013, Table 1 (Bentur et al. 2009): 1 and 7 discordant pairs
    assert mcnemar_exact(7, 1) == pytest.approx(0.0703, abs=5e-5)
    # Cavo et al. 2012: 6 and 16
    assert mcnemar_exact(6, 16) == pytest.approx(0.0525, abs=5e-5)
    assert mcnemar_exact(3000, 1000) < 1e-200  # more pairs than a float can count
    scipy = pytest.importorskip("scipy.stats", reason="scipy comes with the optional scikit-learn")
    assert mcnemar_exact(120, 87) == pytest.approx(scipy.binomtest(87, 207).pvalue)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_rejects_what_its_step_down_procedure_rejects(p_values):
    adjusted = holm(p_values)
    assert len(adjusted) == len(p_values)
    for alpha in (0.01, 0.05, 0.3):
        rejected = set()
        for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
            # multiplied as in `holm`: dividing alpha would round the other way
            if (len(p_values) - rank) * p_values[place] > alpha:
                break
            rejected.add(place)
        assert {i for i, p in enumerate(adjusted) if p <= alpha} == rejected
    assert all(p <= own <= 1 for p, own in zip(p_values, adjusted, strict=True))


def test_holm_of_a_textbook_case():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@pytest.mark.parametrize(
    ("both", "gained", "lost", "neither", "expected"),
    [
        # Altman et al. 2000, Statistics with Confidence, chapter 6: 14, 5, 0, 22
        (14, 5, 0, 22, (0.122, 0.011, 0.226)),
        # Fagerland et al. 2014, Tables 1 and 5: Bentur et al. 2009, Cavo et al. 2012
        (1, 1, 7, 12, (-0.2857, -0.5069, -0.0256)),
        (59, 6, 16, 80, (-0.0621, -0.1186, -0.0046)),
    ],
)
def test_the_paired_interval_is_newcombes_method_10(both, gained, lost, neither, expected):
    assert paired_difference(both, gained, lost, neither) == pytest.approx(expected, abs=6e-4)


@settings(deadline=None)
@given(counts, counts, counts, counts)
def test_the_paired_interval_holds_the_difference_and_turns_with_its_sign(both, gained, lost, neither):
    if not both + gained + lost + neither:
        return
    difference, low, high = paired_difference(both, gained, lost, neither)
    assert -1 <= low <= difference <= high <= 1
    turned = paired_difference(both, lost, gained, neither)
    assert turned == pytest.approx((-difference, -high, -low))
    assert low < high  # even where nothing changed
    wide = paired_difference(both, gained, lost, neither, level=0.99)
    assert wide[1] <= low and high <= wide[2]


def test_pairs_that_agree_make_the_interval_narrower_than_of_two_samples():
    _, low, high = paired_difference(60, 8, 2, 30)
    before, after = wilson(62, 100), wilson(68, 100)
    of_two = math.hypot(0.68 - after[0], before[1] - 0.62) + math.hypot(after[1] - 0.68, 0.62 - before[0])
    assert high - low < 0.75 * of_two


def test_no_items_say_nothing():
    difference, low, high = paired_difference(0, 0, 0, 0)
    assert np.isnan(difference) and (low, high) == (-1, 1)


def test_the_paired_interval_covers_the_true_difference():
    draw = np.random.default_rng(0)
    chances = [0.55, 0.12, 0.05, 0.28]
    cells = draw.multinomial(60, chances, size=600)
    intervals = [paired_difference(*map(int, row)) for row in cells]
    covered = np.mean([low <= 0.07 <= high for _, low, high in intervals])
    assert 0.93 <= covered <= 0.985


def pairs(both, gained, lost, neither):
    before = [True] * both + [False] * gained + [True] * lost + [False] * neither
    after = [True] * both + [True] * gained + [False] * lost + [False] * neither
    return np.array(before), np.array(after)


def test_pairs_are_counted_by_what_they_were_and_are():
    assert pair_counts(*pairs(5, 4, 3, 2)) == (5, 4, 3, 2)


def test_changes_of_a_family_are_corrected_together():
    cells = {"de": (30, 25, 2, 3), "fr": (40, 3, 4, 13), "th": (10, 0, 20, 30)}
    rows = paired_changes({code: pairs(*counted) for code, counted in cells.items()})
    assert [tuple(row) for row in rows] == [CHANGES] * 3
    assert [row["language"] for row in rows] == ["de", "fr", "th"]
    assert rows[0]["n"] == 60 and (rows[0]["before"], rows[0]["after"]) == (32 / 60, 55 / 60)
    assert [row["p_holm"] for row in rows] == holm(
        [mcnemar_exact(25, 2), mcnemar_exact(3, 4), mcnemar_exact(0, 20)]
    )
    assert [row["change"] for row in rows] == ["up", "", "down"]
    for row, counted in zip(rows, cells.values(), strict=True):
        assert (row["difference"], row["low"], row["high"]) == paired_difference(*counted)
    strict = paired_changes({code: pairs(*counted) for code, counted in cells.items()}, level=0.99999)
    assert [row["change"] for row in strict] == ["", "", "down"]
    assert paired_changes({}) == []
