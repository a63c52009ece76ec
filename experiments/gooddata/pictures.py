"""Draw the picture of docs/papers/gooddata.md from its tables: `python -m experiments.gooddata.pictures`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from experiments.gooddata.page import benchmarks, gap_cell
from experiments.gooddata.tables import FIGURES
from experiments.pictures import draw

_COLOUR, _FLOOR = "#0072b2", "#d55e00"
# Open questions have totals of 250, the other tests points of 100.
_PANELS = {"points of 100": False, "points of 250": True}


def gaps(table: pd.DataFrame) -> go.Figure:
    """The gap of each test with its interval over models, beside how far two translated arms are apart."""
    figure = make_subplots(rows=len(_PANELS), vertical_spacing=0.16, row_heights=[7, 4])
    for place, (unit, questions) in enumerate(_PANELS.items(), start=1):
        names = [name for name in benchmarks(table) if ("questions" in name) == questions][::-1]
        cells = [gap_cell(table, name, "gap") for name in names]
        value = [float(cell["value"]) for cell in cells]
        spread = {
            "array": [float(cell["high"]) - float(cell["value"]) for cell in cells],
            "arrayminus": [float(cell["value"]) - float(cell["low"]) for cell in cells], "thickness": 1.5,
        }  # fmt: skip
        apart = [float(gap_cell(table, name, "translated arms apart")["value"]) for name in names]
        figure.add_scatter(
            x=value, y=names, error_x=spread, mode="markers", marker={"color": _COLOUR, "size": 9},
            name="native less translated", showlegend=place == 1, row=place, col=1,
        )  # fmt: skip
        figure.add_scatter(
            x=apart, y=names, mode="markers", marker={"color": _FLOOR, "size": 9, "symbol": "line-ns-open"},
            name="two translations apart", showlegend=place == 1, row=place, col=1,
        )  # fmt: skip
        figure.add_vline(x=0, line={"color": "#7f7f7f", "width": 1}, row=place, col=1)
        figure.update_xaxes(title=unit, row=place, col=1)
    figure.update_layout(
        title="What native data are ahead by, as printed", template="simple_white", width=900, height=640,
        legend={"orientation": "h", "y": -0.16}, margin={"l": 250},
        meta={
            "how_to_read": [
                "Printed score after native data less the mean of those after two translations, rate 1e-4, one "
                "language: mean over models and languages. Bars: 95% over the eight models. Orange: the mean distance "
                "of the two translations, which differ in nothing but the engine."
            ],
            "made_with": ["figures/gooddata/gaps.csv"],
        },
    )  # fmt: skip
    return figure


if __name__ == "__main__":

    def _drawn(folder: Path) -> go.Figure:
        return gaps(pd.read_csv(folder / "gaps.csv"))

    draw({"gaps": _drawn}, FIGURES, about=__doc__, drawn_from=FIGURES)
