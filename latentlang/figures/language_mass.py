"""Language mass: of each layer's distribution the parts that are on tokens of each language, stacked over layers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import plotly.graph_objects as go

from latentlang.errors import InputError
from latentlang.figures.header import lens_words, made_with, source_words
from latentlang.figures.layout import Panel, columns_for, grid, layer_ticks
from latentlang.figures.shaping import Look, chosen_languages, shaped
from latentlang.figures.style import INK, MUTED, PIVOT, TARGET, english_name, template, translucent
from latentlang.text import percent

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.language_names import Language
    from latentlang.provenance import Provenance

_TOP, _BELOW, _PLOT = 92, 128, 138  # pixels
_MOST_TICKS = 6
_OTHERS = "#8A94A0"
# Languages with a colour of their own beside the text's and English. Areas lie on each other, so that no two colours
# may look alike, in a dark page and to colour-blind readers too (a test measures it): sand, ink, mint, brown.
_NAMED = ("#DDCC77", INK, "#B7E4C7", "#663300")
_OPACITY = 0.72
# Places of the bars beside the layers, from the first and the last one.
_BESIDE = 1.6
_OWN, _REST = "own", "rest"


class Mass(Protocol):
    """What a result must have to be drawn: `LanguageMassResult` has it."""

    @property
    def provenance(self) -> Provenance:
        """Model and settings."""

    @property
    def settings(self) -> Any:
        """Typed settings."""

    def summary(self) -> pd.DataFrame:
        """Columns ``language, layer, of, mass, low, high, prior, written, n``."""


def language_mass_figure(
    result: Mass, *, languages: str | Language | Iterable[str | Language] | None = None, **look: Unpack[Look]
) -> go.Figure:
    """Draw how much of each layer's distribution is on tokens of each language, a panel for each language of text.

    Args:
        result: a `LanguageMassResult`, new or loaded from disk.
        languages: of the texts to draw, in this order; by default all.
        **look: as in `Look`.

    Raises:
        InputError: there is nothing to draw, or a language that the result does not have.
    """
    summary = result.summary()
    if summary.empty:
        raise InputError("the result holds no paragraphs: there is nothing to draw")
    codes = chosen_languages(languages, list(dict.fromkeys(summary["language"])))
    summary = summary[summary["language"].isin(codes)]
    layers = sorted(set(summary["layer"]))
    colours = _colours(summary)
    layout = grid(
        len(codes), head=24, strip=0, strip_gap=0, plot=_PLOT, row_gap=34, columns=columns_for(len(codes))
    )
    figure = go.Figure(layout={"template": template()})
    drawn: set[str] = set()
    for panel, code in zip(layout.panels, codes, strict=True):
        own = summary[summary["language"] == code]
        figure.add_traces(_stacked(panel, code, own, layers, colours, drawn))
        _axes(figure, panel, layers)
    counts = sorted(set(summary["n"]))
    subtitle = [
        *source_words(result.provenance), lens_words(result.provenance),
        f"{counts[0]} to {counts[-1]} paragraphs" if len(counts) > 1 else f"{counts[0]} paragraphs each",
    ]  # fmt: skip
    figure.update_layout(
        title={
            "text": "<b>Which language's tokens each layer would write</b>",
            "subtitle": {"text": " · ".join(filter(None, subtitle)), "font": {"size": 12.5, "color": MUTED}},
            "x": 0, "xref": "paper", "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 18},
        },
        height=_TOP + layout.height + _BELOW,
        margin={"l": 60, "r": 18, "t": _TOP, "b": _BELOW, "autoexpand": False},
        hovermode="closest", barmode="overlay",
        annotations=[
            {
                "text": f"text in <b>{english_name(code)}</b>", "x": panel.x[0], "y": panel.plot[1], "xref": "paper",
                "yref": "paper", "xanchor": "left", "yanchor": "bottom", "yshift": 3, "showarrow": False,
                "font": {"size": 12.5, "color": INK},
            }
            for panel, code in zip(layout.panels, codes, strict=True)
        ],
        legend={
            "orientation": "h", "x": 0, "xanchor": "left", "y": 0, "yref": "container", "yanchor": "bottom",
            "traceorder": "normal",
        },
        meta={
            "how_to_read": _how_to_read(result.settings), "made_with": made_with(result.provenance),
            "least_width": max(640, 120 + 190 * layout.columns),
        },
    )  # fmt: skip
    return shaped(figure, **look)


def _colours(summary: pd.DataFrame) -> dict[str, str]:
    """Colours of languages beside the text's own: English, and those that have most mass somewhere."""
    others = summary[(summary["of"] != "") & (summary["of"] != summary["language"]) & (summary["of"] != "en")]
    most = others.groupby(["of", "language"], sort=False)["mass"].max().groupby(level=0).sum()
    named = most.sort_values(ascending=False, kind="stable").index[: len(_NAMED)]
    colours = {"en": PIVOT} if (summary["of"] == "en").any() else {}
    return colours | dict(zip(map(str, named), _NAMED, strict=False))


def _parts(code: str, own: pd.DataFrame, colours: dict[str, str]) -> list[tuple[str, str, str, list[str]]]:
    """From below: key, name and colour of each part, and the languages whose mass it is."""
    there = [str(name) for name in dict.fromkeys(own["of"]) if name]
    parts = [(_OWN, "the text's own language", TARGET, [code])]
    parts += [
        (name, english_name(name), colour, [name])
        for name, colour in colours.items()
        if name in there and name != code
    ]
    rest = [name for name in there if name != code and name not in colours]
    return [*parts, *([(_REST, "other languages", _OTHERS, rest)] if rest else [])]


def _stacked(
    panel: Panel, code: str, own: pd.DataFrame, layers: list[int], colours: dict[str, str], drawn: set[str]
) -> list[go.Scatter | go.Bar]:
    suffix = f"{panel.index + 1 if panel.index else ''}"
    axes = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
    wide = own.pivot(index="layer", columns="of", values="mass").reindex(layers)
    known = own[own["layer"] == layers[0]].set_index("of")
    traces: list[go.Scatter | go.Bar] = []
    below = dict.fromkeys(("prior", "written"), 0.0)
    for key, name, colour, of in _parts(code, own, colours):
        rank = 1 if key == _OWN else 99 if key == _REST else 2 + list(colours).index(key)
        mass = wide[of].sum(axis=1)
        words = f"{english_name(code)} (its own)" if key == _OWN else name
        traces.append(
            go.Scatter(
                x=list(range(len(layers))), y=mass.tolist(), stackgroup=f"panel {panel.index}", mode="lines",
                line={"width": 0, "color": colour}, fillcolor=translucent(colour, _OPACITY), name=name, legendgroup=key,
                showlegend=key not in drawn, legendrank=rank, customdata=layers,
                hovertemplate=f"layer %{{customdata}}, {words}: <b>%{{y:.3f}}</b><extra></extra>", **axes,
            )
        )  # fmt: skip
        for column, place, told in (
            ("prior", -_BESIDE, "of the vocabulary"), ("written", len(layers) - 1 + _BESIDE, "of the text's tokens"),
        ):  # fmt: skip
            share = float(known.loc[of, column].sum())
            traces.append(
                go.Bar(
                    x=[place], y=[share], base=[below[column]], width=[1.1], customdata=[share],
                    marker={"color": translucent(colour, _OPACITY)}, legendgroup=key, showlegend=False, name=name,
                    hovertemplate=f"{words}: <b>%{{customdata:.3f}}</b> {told}<extra></extra>", **axes,
                )
            )  # fmt: skip
            below[column] += share
        drawn.add(key)
    return traces


def _axes(figure: go.Figure, panel: Panel, layers: list[int]) -> None:
    suffix = f"{panel.index + 1 if panel.index else ''}"
    ticks = layer_ticks(layers, _MOST_TICKS)
    last = len(layers) - 1
    figure.update_layout({
        f"xaxis{suffix}": {
            "domain": panel.x, "anchor": f"y{suffix}", "showgrid": False, "tickmode": "array",
            "tickvals": [-_BESIDE, *(layers.index(tick) for tick in ticks), last + _BESIDE],
            "ticktext": ["voc.", *map(str, ticks), "text"], "range": [-_BESIDE - 0.7, last + _BESIDE + 0.7],
            "title": {"text": "layer" if panel.lowest else ""}, "tickangle": 0,
        },
        f"yaxis{suffix}": {
            "domain": panel.plot, "anchor": f"x{suffix}", "range": [0, 1], "tickvals": [0, 0.5, 1],
            "tickformat": ".0%", "showticklabels": panel.first_column,
        },
    })  # fmt: skip


def _how_to_read(settings: Any) -> list[str]:
    certainty = percent(settings.certainty) if settings.certainty is not None else "some certainty"
    return [
        "A panel is text in one language. Of each layer's distribution over the next token, the parts that are on "
        "tokens of each language, over all positions but that of the beginning; tokens that belong to a language by "
        f"less than {certainty} (digits, signs, pieces that several languages share) are left out: the share above all "
        "bands. The last layer is the model's own output; the others are read as if they were the last.",
        "Before the layers (voc.): the parts of the vocabulary, what a layer has that tells no token from another. "
        "Behind them (text): the parts of the text's own tokens. A language with more tokens of its own has more of "
        "both: compare layers, not languages.",
    ]
