"""Draw the picture of docs/papers/bayling2.md from a committed table: `python -m experiments.bayling2.pictures`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from experiments.bayling2.page import FACTS, UNSEEN, tables, trained_arms
from experiments.bayling2.tables import FIGURES
from experiments.pictures import draw
from latentlang.figures.headings import BESIDE_ROWS
from latentlang.figures.scatter import interval_bars, marks, reference_line
from latentlang.figures.shaping import shaped
from latentlang.figures.style import INK, MUTED, template
from latentlang.text import counted

#: Between the names of two arms in a row of the table.
LESS = " less "
_NAMES = {
    FACTS: "facts, in the seven languages of the translations",
    UNSEEN: "facts, in four other languages",
}
_APART = 0.13  # of a row


def contrasts(table: pd.DataFrame) -> go.Figure:
    """Loss of facts after one arm less that after another, with its interval over things, a row a pair of arms.

    Args:
        table: ``arms.csv``.
    """
    pairs = table[table["row"].str.contains(LESS)]
    rows = list(dict.fromkeys(pairs["row"]))
    traces: list[dict[str, Any]] = []
    for number, (mark, (column, name)) in enumerate(zip(marks(len(_NAMES)), _NAMES.items(), strict=True)):
        part = pairs[pairs["column"] == column].set_index("row").loc[rows]
        traces.append({
            "type": "scatter", "mode": "markers", "name": name, "x": part["computed"].tolist(),
            "y": [place + _APART * (2 * number - 1) for place in range(len(rows))],
            "marker": {"color": mark.colour, "symbol": mark.symbol, "size": 9},
            "error_x": interval_bars(part["computed"], part["low"], part["high"], colour=mark.colour),
            "customdata": rows, "hovertemplate": "%{customdata}: %{x:.3f} nats a token<extra></extra>",
        })  # fmt: skip
    seeds = counted(len(trained_arms().seeds), "seed")
    things = int(pairs.loc[pairs["column"] == FACTS, "n"].iloc[0])
    layout = {
        "template": template(),
        "title": {
            "text": "<b>Translations protect facts, right ones and exchanged ones</b>",
            "subtitle": {
                "text": f"pocket in a made world · {seeds} · {counted(things, 'thing')} that no arm has",
                "font": {"size": 12.5, "color": MUTED},
            },
            **BESIDE_ROWS,
        },
        "height": 84 + 96 + 44 * len(rows), "margin": {"l": 210, "r": 20, "t": 84, "b": 96},
        "xaxis": {"title": {"text": "difference in loss (nats a token)"}, "showline": True},
        "yaxis": {
            "range": [len(rows) - 0.5, -0.5], "showgrid": False, "tickvals": list(range(len(rows))), "ticktext": rows,
            "tickfont": {"size": 12, "color": INK},
        },
        "legend": {
            "orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom", "traceorder": "normal",
        },
        "shapes": [reference_line(0)],
        "meta": {
            "how_to_read": [
                "Loss of held-out facts after the first arm less that after the second; left of 0 the first is better. "
                f"Bars: 95% over things, of means over {seeds}; they say nothing of other seeds. "
                "Wrong pairs: translations exchanged; more facts: as many items, all of them facts."
            ],
            "made_with": ["figures/bayling2/arms.csv"],
        },
    }  # fmt: skip
    return shaped(go.Figure(data=traces, layout=layout))


if __name__ == "__main__":

    def _drawn(folder: Path) -> go.Figure:
        return contrasts(tables()["arms"])

    draw({"contrasts": _drawn}, FIGURES, about=__doc__, drawn_from=FIGURES)
