"""Draw the picture of docs/papers/ultralink.md: `python -m experiments.ultralink.pictures FOLDER`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from experiments.pictures import draw
from experiments.ultralink.pruning import MODEL, SECOND
from experiments.ultralink.tables import FIGURES, pruning
from latentlang.language_names import language
from latentlang.text import capital

_COLOURS = ("#1f77b4", "#d62728", "#7f7f7f", "#2ca02c")


def curve(table: pd.DataFrame) -> go.Figure:
    """Right answers in the second language by number of its items, a panel a skill; bars are ranges over seeds."""
    asked = table[table["asked"] == SECOND]
    skills = list(dict.fromkeys(asked["skill"]))
    name = language(SECOND).name
    figure = make_subplots(
        cols=len(skills), subplot_titles=[capital(skill) for skill in skills], shared_yaxes=True
    )
    for place, skill in enumerate(skills, start=1):
        of_skill = asked[asked["skill"] == skill]
        sizes = sorted(set(of_skill["size"]))
        for colour, (arm, own) in zip(_COLOURS, of_skill.groupby("arm", sort=False), strict=False):
            right = 100 * own["right"]
            spread = {
                "array": 100 * own["most"] - right,
                "arrayminus": right - 100 * own["least"],
                "thickness": 1,
            }
            figure.add_scatter(
                x=[sizes.index(size) for size in own["size"]], y=right, error_y=spread, name=str(arm), row=1, col=place,
                mode="lines+markers", line={"color": colour, "dash": "solid" if len(own) > 2 else "dot"},
                legendgroup=str(arm), showlegend=place == 1,
            )  # fmt: skip
        figure.update_xaxes(
            title=f"items in {name}", col=place, tickvals=list(range(len(sizes))),
            ticktext=[f"{size:,}" for size in sizes],
        )  # fmt: skip
    figure.update_yaxes(range=[-2, 102])
    figure.update_yaxes(title="right (%)", col=1)
    title = f"Held-out sums in {name} that come out right"
    figure.update_layout(
        title=title,
        template="simple_white",
        meta={
            "how_to_read": [
                f"Share of held-out sums, asked in {name}, that greedy decoding answers exactly, after training on so "
                "many items; every training in a second language has as many steps. Bars: the range over seeds. "
                "Dotted: controls."
            ],
            "made_with": [f"model {MODEL}", "figures/ultralink/pruning.csv"],
        },
    )
    return figure


if __name__ == "__main__":

    def _drawn(folder: Path) -> go.Figure:
        return curve(pruning(folder))

    draw({"pruning": _drawn}, FIGURES, about=__doc__)
