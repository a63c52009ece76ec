"""What figures with marks have in common."""

from __future__ import annotations

import math

from latentlang.figures.scatter import interval_bars


def test_bars_reach_from_the_value_to_the_ends_and_a_missing_end_has_none() -> None:
    nan = math.nan
    bars = interval_bars(
        [0.5, 2.0, 3.0, 4.0], [0.25, nan, nan, 4.0 + 1e-16], [1.5, nan, 3.5, 5.0], colour="#000000"
    )
    assert (bars["arrayminus"], bars["array"]) == ([0.25, 0, 0, 0], [1.0, 0, 0, 1.0])
    assert bars["symmetric"] is False and bars["color"] == "#000000"
    # rounding puts an end on the wrong side: no bar, and none that points there
    (above,) = interval_bars([0.3], [0.1 + 0.2], [0.3], colour="#000000")["arrayminus"]
    assert above == 0
