"""Draw the picture of docs/papers/five-systems.md from its tables: `python -m experiments.five_systems.pictures`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import plotly.graph_objects as go

from experiments.five_systems.measure import SYSTEMS
from experiments.five_systems.page import short_name, tables
from experiments.five_systems.tables import FIGURES
from experiments.instructions.tables import mean_with_interval
from experiments.instructions.world import MODEL
from experiments.pictures import draw
from latentlang.text import counted

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8c564b", "#56b4e9", "#7f7f7f", "#b0b0b0")
#: Controls beside the systems. Exchanged translations change so much that nothing else could be seen.
SHOWN = ("english-alone", "another-seed")
# Lines stand beside each other, so that their bars can be told apart.
_APART = 0.07


def gap(table: pd.DataFrame) -> go.Figure:
    """Change of English's gap at every layer after each training; bars are intervals over seeds."""
    figure = go.Figure()
    arms = (*SYSTEMS, *SHOWN)
    for place, arm in enumerate(arms):
        own = table[(table["arm"] == arm) & (table["measure"] == "gap")]
        wide = own.pivot(index="seed", columns="layer", values="difference")
        ends = [mean_with_interval(wide[layer].to_numpy(float)) for layer in wide]
        middle = [value for value, _, _ in ends]
        figure.add_scatter(
            x=wide.columns.to_numpy(float) + _APART * (place - len(arms) / 2), y=middle, name=short_name(arm),
            mode="lines+markers", line={"color": _COLOURS[place], "dash": "dot" if arm in SHOWN else "solid"},
            error_y={
                "array": [high - value for value, _, high in ends],
                "arrayminus": [value - low for value, low, _ in ends], "thickness": 1, "width": 2,
            },
        )  # fmt: skip
    figure.add_hline(y=0, line={"color": "#7f7f7f", "width": 1})
    figure.update_xaxes(title="layer", dtick=1)
    figure.update_yaxes(title="change of English's gap (probability)")
    seeds = counted(int(table["seed"].nunique()), "seed")
    figure.update_layout(
        title="How far English's word leads inside, after training", template="simple_white", width=900,
        height=620, legend={"orientation": "h", "y": -0.18},
        meta={
            "how_to_read": [
                "Probability of the right English word less that of wrong ones, by the logit lens, after training less "
                f"before; mean over all languages. Bars: 95% over {seeds}. Dotted: controls."
            ],
            "made_with": [f"model {MODEL}", "figures/five-systems/layers.csv"],
        },
    )  # fmt: skip
    return figure


if __name__ == "__main__":

    def _drawn(folder: Path) -> go.Figure:
        return gap(tables(folder)["layers"])

    draw({"gap": _drawn}, FIGURES, about=__doc__, drawn_from=FIGURES)
