"""Bands of language mass lie on each other: their colours can be told apart by everybody, on light and dark pages."""

import itertools

import pytest

from latentlang.figures import language_mass
from latentlang.figures.style import PIVOT, TARGET
from tests.support.colours import SIGHTS, distance

BANDS = (TARGET, PIVOT, *language_mass._NAMED, language_mass._OTHERS)


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("dark", [False, True])
def test_no_two_bands_look_alike(sight, dark):
    how = {"sight": sight, "dark": dark, "opacity": language_mass._OPACITY}
    assert len(set(BANDS)) == 7
    closest = min(
        (distance(one, other, **how), one, other) for one, other in itertools.combinations(BANDS, 2)
    )
    assert closest[0] > 20, closest


def test_what_is_measured_tells_colours_apart_as_eyes_do():
    assert distance("#FFFFFF", "#000000", sight="all") == pytest.approx(100, abs=0.1)
    assert distance("#8A94A0", "#CC79A7", sight="all") > 30
    assert distance("#8A94A0", "#CC79A7", sight="deuteranopia") < 10  # the pair that was there
