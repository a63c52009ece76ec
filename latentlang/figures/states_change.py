"""The changes of several states beside each other: a panel for each measure, a row for each state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import plotly.graph_objects as go

from latentlang.errors import InputError
from latentlang.figures.header import made_with, model_words
from latentlang.figures.headings import ABOVE_PLOT
from latentlang.figures.scatter import interval_bars
from latentlang.figures.shaping import Look, shaped
from latentlang.figures.style import BASELINE, INK, MUTED, PIVOT, TARGET, safe, shortened, template
from latentlang.text import percent

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.provenance import Provenance

_ROW, _PANEL, _TOP, _BELOW = 24, 46, 92, 84  # pixels
_LONGEST = 28


class States(Protocol):
    """What a result must have to be drawn: `ComparisonGroup` has it."""

    @property
    def table(self) -> pd.DataFrame:
        """Columns ``state`` and those of a table of changes."""

    @property
    def provenance(self) -> Provenance:
        """The model."""

    @property
    def measure_names(self) -> Mapping[tuple[str, str], str]:
        """Part and measure to what a panel is called."""

    @property
    def level(self) -> float:
        """Coverage of the intervals."""


def states_figure(result: States, **look: Unpack[Look]) -> go.Figure:
    """Draw the change of each measure, averaged over all languages, of each state.

    Args:
        result: a `ComparisonGroup`.
        **look: as in `Look`.

    Raises:
        InputError: nothing was measured.
    """
    table = result.table[result.table["group"] == "all"]
    measures = list(dict.fromkeys(zip(table["part"], table["measure"], strict=True)))
    if not measures:
        raise InputError("nothing was measured: there is nothing to draw")
    states = list(dict.fromkeys(table["state"]))
    names = {state: safe(shortened(state, _LONGEST)) for state in states}
    panel = _PANEL + _ROW * len(states)
    height = panel * len(measures)
    traces: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    layout: dict[str, Any] = {"template": template()}
    for number, (part, measure) in enumerate(measures):
        rows = (
            table[(table["part"] == part) & (table["measure"] == measure)].set_index("state").reindex(states)
        )
        axis = "" if number == 0 else str(number + 1)
        top = 1 - number * panel / height - _PANEL / height
        layout[f"yaxis{axis}"] = {
            "domain": [max(0.0, top - _ROW * len(states) / height), top],
            "anchor": f"x{axis}",
            "categoryorder": "array",
            "categoryarray": [names[state] for state in reversed(states)],
            "showgrid": False,
            "automargin": True,
        }
        layout[f"xaxis{axis}"] = {
            "anchor": f"y{axis}",
            "zeroline": True,
            "zerolinecolor": BASELINE,
            "tickformat": "+.3~g",
            "nticks": 6,
        }
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "xaxis": f"x{axis}",
                "yaxis": f"y{axis}",
                "showlegend": False,
                "x": rows["difference"].tolist(),
                "y": [names[state] for state in states],
                "marker": {
                    "size": 9,
                    "color": [PIVOT if change else TARGET for change in rows["change"].fillna("")],
                },
                "error_x": interval_bars(rows["difference"], rows["low"], rows["high"], colour=MUTED),
                "customdata": rows[["before", "after"]].to_numpy().tolist(),
                "hovertemplate": "%{y}: %{customdata[0]:.3f} → %{customdata[1]:.3f}, change %{x:+.3f}<extra></extra>",
            }
        )
        annotations.append(
            {
                "text": safe(result.measure_names[part, measure]),
                "xref": "paper",
                "x": 0,
                "xanchor": "left",
                "yref": "paper",
                "y": top,
                "yanchor": "bottom",
                "yshift": 4,
                "showarrow": False,
                "font": {"size": 13, "color": INK},
            }
        )
    provenance = result.provenance
    layout |= {
        "title": {
            "text": f"<b>Changes of {len(states)} states, averaged over languages</b>",
            "subtitle": {
                "text": " · ".join([model_words(provenance), safe(provenance.task)]),
                "font": {"size": 12.5, "color": MUTED},
            },
            **ABOVE_PLOT,
        },
        "height": height + _TOP + _BELOW,
        "margin": {"l": 12, "r": 18, "t": _TOP, "b": _BELOW},
        "annotations": annotations,
        "meta": {
            "how_to_read": _how_to_read(result.level),
            "made_with": made_with(provenance),
            "least_width": 560,
        },
    }
    return shaped(go.Figure({"data": traces, "layout": layout}), **look)


def _how_to_read(level: float) -> list[str]:
    return [
        "Each point is what an adapter or checkpoint changed in one measure, against the same model on the same items, "
        f"averaged over all languages; the line is the {percent(level)} interval over items. A point in the other "
        "colour is more than chance for these languages.",
        "Each state is tested against the model, never against another state: that one of two changes is more than "
        "chance and the other is not does not say that the two differ.",
    ]
