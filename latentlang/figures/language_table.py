"""A table of tokens and languages: how much of each language's text it recognises, and how much it mistakes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Unpack

import plotly.graph_objects as go

from latentlang.errors import InputError
from latentlang.figures.header import made_with, model_words
from latentlang.figures.shaping import Look, shaped
from latentlang.figures.style import INK, MUTED, PIVOT, TARGET, english_name, safe, template
from latentlang.text import percent

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.provenance import Provenance

_ROW, _TOP, _BOTTOM = 26, 84, 96
_BARS = {"recognised": ("its own", TARGET), "mistaken": ("another language's", PIVOT)}


class LanguageTable(Protocol):
    """What the figure needs: `TokenLanguages` has it."""

    @property
    def provenance(self) -> Provenance:
        """The model whose vocabulary it is."""

    @property
    def settings(self) -> Any:
        """Where the text is from, and the least certainty."""

    def summary(self) -> pd.DataFrame:
        """Columns ``language, tokens, recognised, mistaken``."""


def language_table_figure(result: LanguageTable, **look: Unpack[Look]) -> go.Figure:
    """Draw what a table of tokens and languages says of held-out text, a row a language.

    Args:
        result: a `TokenLanguages`, new or loaded from disk.
        **look: as in `Look`.

    Raises:
        InputError: no text was held out.
    """
    summary = result.summary()
    if summary["recognised"].isna().all():
        raise InputError("no paragraphs were held out: there is nothing to draw; give more text")
    names = [english_name(code) for code in summary["language"]]
    rows = list(range(len(names)))
    certainty = percent(result.settings.certainty)
    traces = [
        {
            "type": "bar", "orientation": "h", "x": summary[column].tolist(), "y": rows, "name": words,
            "marker": {"color": colour}, "customdata": summary["tokens"].tolist(),
            "hovertemplate": f"<b>%{{x:.1%}}</b> {words}; %{{customdata:,}} tokens belong to it<extra></extra>",
        }
        for column, (words, colour) in _BARS.items()
    ]  # fmt: skip
    subtitle = f"{model_words(result.provenance)} · text: {safe(result.settings.texts)}"
    layout: dict[str, Any] = {
        "template": template(), "barmode": "stack", "bargap": 0.3,
        "title": {
            "text": "<b>Which tokens of a text tell its language?</b>",
            "subtitle": {"text": subtitle, "font": {"size": 12.5, "color": MUTED}},
            "x": 0, "xref": "paper", "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 18},
        },
        "height": _TOP + _BOTTOM + _ROW * len(names), "margin": {"l": 110, "r": 18, "t": _TOP, "b": _BOTTOM},
        "xaxis": {"title": {"text": "share of the tokens of held-out text"}, "tickformat": ".0%", "range": [0, 1]},
        "yaxis": {
            "range": [len(names) - 0.5, -0.5], "showgrid": False, "tickvals": rows, "ticktext": names,
            "tickfont": {"size": 12, "color": INK},
        },
        "legend": {"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom"},
        "meta": {
            "how_to_read": [
                "Of the tokens of paragraphs that were held out, those that belong to the paragraph's language, and to "
                f"another one, with a certainty of at least {certainty}; the rest belong to none. The paragraphs are "
                "of the same text as those that the table was made of: other text has fewer known tokens, and more "
                "mistakes.",
            ],
            "made_with": made_with(result.provenance), "least_width": 560,
        },
    }  # fmt: skip
    return shaped(go.Figure(data=traces, layout=layout), **look)
