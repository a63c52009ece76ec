"""Draw the picture of docs/papers/bactrianx.md from committed tables: `python -m experiments.bactrianx.pictures`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from experiments.bactrianx.tables import FIGURES, tokens_and_alignment
from experiments.instructions.gemma import MODEL
from experiments.markdown import between
from experiments.pictures import draw
from latentlang.figures.headings import ABOVE_PLOT
from latentlang.figures.scatter import marks, reference_line
from latentlang.figures.shaping import shaped
from latentlang.figures.style import MUTED, english_name, template
from latentlang.text import counted

LATIN, OTHER = "Latin script", "other scripts"
# How many languages of a script are called by name: with the most tokens, and with the fewest.
_MOST, _FEWEST = 2, 1
_TICKS = (1, 1.5, 2, 3, 4, 6, 8)


def alignment(both: pd.DataFrame, found: pd.Series) -> go.Figure:
    """Retrieval of a language's articles in English against the tokens that they take, a point a language.

    Args:
        both: of `tokens_and_alignment`.
        found: the row of ``alignment.csv`` whose layer it is of, among languages in Latin script.
    """
    layer = int(found["layer"])
    own = both[both["layer"] == layer]
    traces: list[dict[str, Any]] = []
    for mark, (name, part) in zip(
        marks(2), ((LATIN, own[own["script"] == "Latn"]), (OTHER, own[own["script"] != "Latn"])), strict=True
    ):
        ends = {*part["relative"].nlargest(_MOST).index, *part["relative"].nsmallest(_FEWEST).index}
        names = [english_name(code) if code in ends else "" for code in part.index]
        traces.append({
            "type": "scatter", "mode": "markers+text", "name": f"{name} ({len(part)})", "x": part["relative"].tolist(),
            "y": part["value"].tolist(), "text": names, "textposition": "top center",
            "textfont": {"size": 10, "color": mark.colour}, "cliponaxis": False,
            "marker": {"color": mark.colour, "symbol": mark.symbol, "size": 8, "opacity": 0.75},
            "customdata": [english_name(code) for code in part.index],
            "hovertemplate": "%{customdata}: %{x:.2f} times the tokens, retrieval %{y:.2f}<extra></extra>",
        })  # fmt: skip
    chance = float(own["null_mean"].mean())
    layout = {
        "template": template(),
        "title": {
            "text": "<b>Languages that take more tokens are found less often in English</b>",
            "subtitle": {
                "text": f"{MODEL} · layer {layer} · {counted(len(own), 'language')} · articles of the declaration of "
                "human rights",
                "font": {"size": 12.5, "color": MUTED},
            },
            **ABOVE_PLOT,
        },
        "height": 560, "margin": {"l": 62, "r": 20, "t": 84, "b": 96},
        "xaxis": {
            "title": {"text": "tokens of the same text, relative to English (logarithmic)"}, "type": "log",
            "tickvals": list(_TICKS), "ticktext": [f"{tick:g}" for tick in _TICKS], "showline": True,
        },
        "yaxis": {"title": {"text": "share of articles found"}, "range": [-0.03, 1.06]},
        "shapes": [reference_line(chance, axis="y")],
        "legend": {"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom"},
        "meta": {
            "how_to_read": [
                "Share of a language's articles whose nearest in English, by CSLS, is the same article. Spearman's "
                f"correlation over the {int(found['n'])} languages in Latin script: "
                f"{between(found['rho'], found['low'], found['high'])}, 95% over languages; the layer was chosen "
                "after looking, and others stand in the page's table. Dashed: articles unpaired."
            ],
            "made_with": ["figures/gemma3-270m/fertility.csv and alignment-by-language.csv"],
        },
    }  # fmt: skip
    return shaped(go.Figure(data=traces, layout=layout))


if __name__ == "__main__":

    def _drawn(folder: Path) -> go.Figure:
        table = pd.read_csv(folder / "alignment.csv")
        latin = table[table["scope"] == LATIN]
        return alignment(tokens_and_alignment(), latin.sort_values("rho").iloc[0])

    draw({"alignment": _drawn}, FIGURES, about=__doc__, drawn_from=FIGURES)
