"""Draw the picture of docs/papers/ultralink.md: `python -m experiments.ultralink.pictures`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from experiments.pictures import draw
from experiments.steps import committed_tables
from experiments.ultralink.pruning import CURVES, SECOND
from experiments.ultralink.tables import FIGURES
from latentlang.language_names import language
from latentlang.text import capital, listed

_COLUMNS = 2
_COLOURS = ("#1f77b4", "#d62728", "#7f7f7f", "#2ca02c")


def curve(table: pd.DataFrame) -> go.Figure:
    """Right answers in the second language by number of its items, a panel a curve; bars are ranges over seeds."""
    asked = table[table["asked"] == SECOND]
    names = list(dict.fromkeys(asked["curve"]))
    name = language(SECOND).name
    rows = -(-len(names) // _COLUMNS)
    figure = make_subplots(
        rows=rows, cols=_COLUMNS, subplot_titles=[capital(curve) for curve in names], shared_yaxes=True,
        vertical_spacing=0.15,
    )  # fmt: skip
    for number, curve_name in enumerate(names):
        row, column = number // _COLUMNS + 1, number % _COLUMNS + 1
        of_curve = asked[asked["curve"] == curve_name]
        sizes = sorted(set(of_curve["size"]))
        for colour, (arm, own) in zip(_COLOURS, of_curve.groupby("arm", sort=False), strict=False):
            right = 100 * own["right"]
            spread = {
                "array": 100 * own["most"] - right,
                "arrayminus": right - 100 * own["least"],
                "thickness": 1,
            }
            figure.add_scatter(
                x=[sizes.index(size) for size in own["size"]], y=right, error_y=spread, name=str(arm), row=row,
                col=column, mode="lines+markers", line={"color": colour, "dash": "solid" if len(own) > 2 else "dot"},
                legendgroup=str(arm), showlegend=number == 0,
            )  # fmt: skip
        figure.update_xaxes(
            title=f"items in {name}" if row == rows else None, row=row, col=column, tickvals=list(range(len(sizes))),
            ticktext=[f"{size:,}" for size in sizes],
        )  # fmt: skip
    figure.update_yaxes(range=[-2, 102])
    figure.update_yaxes(title="right (%)", col=1)
    title = f"Held-out sums in {name} that come out right"
    figure.update_layout(
        title=title,
        height=120 + 330 * rows,
        template="simple_white",
        meta={
            "how_to_read": [
                f"Share of held-out sums, asked in {name}, that greedy decoding answers exactly, after training on so "
                "many items; every training in a second language has as many steps. Bars: the range over seeds. "
                "Dotted: controls."
            ],
            "made_with": [
                f"model {listed(list(dict.fromkeys(CURVES[curve].model for curve in names)))}",
                "figures/ultralink/pruning.csv",
            ],
        },
    )
    return figure


if __name__ == "__main__":

    def _drawn(folder: Path) -> go.Figure:
        return curve(committed_tables(folder)["pruning"])

    draw({"pruning": _drawn}, FIGURES, about=__doc__, drawn_from=FIGURES)
