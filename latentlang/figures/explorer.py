"""One prompt explored: position by layer, each cell the likeliest next token, the rest on hover."""

from __future__ import annotations

from typing import Protocol, Unpack

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from latentlang.figures.header import is_plain, lens_words, made_with, model_name
from latentlang.figures.headings import ABOVE_PLOT
from latentlang.figures.layout import has_gaps
from latentlang.figures.narrow import OWN_WIDTH
from latentlang.figures.shaping import Look, shaped
from latentlang.figures.style import MUTED, TARGET, isolated, safe, shade, template, tint, written_on
from latentlang.provenance import Provenance

_SCALE = (tint(TARGET, 0.03), tint(TARGET, 0.5), TARGET)  # from probability 0 to 1
_COLUMN, _ROW = 64, 26  # pixels of a cell
_MARGIN_LEFT, _MARGIN_TOP, _MARGIN_BOTTOM = 64, 96, 120
_BESIDE = 110  # the colour bar
_WIDEST = 900  # of the figure, unless asked for: a notebook's cell
_LONGEST = 9  # characters of a token inside its cell; hover shows it whole
_LONGEST_TICK = 12
_SITES = {
    "resid": "residual stream after block",
    "resid_mid": "residual stream between attention and MLP of block",
    "attn_out": "what attention adds, alone, in block",
    "mlp_out": "what the MLP adds, alone, in block",
}


class Explored(Protocol):
    """What the figure needs of a result."""

    @property
    def table(self) -> pd.DataFrame:
        """Columns ``site, position, token, layer, rank, text, probability, entropy, kl``."""

    @property
    def provenance(self) -> Provenance:
        """Where it came from."""


def explorer_figure(result: Explored, **look: Unpack[Look]) -> go.Figure:
    """Heat map of one prompt under the lens.

    Columns are the prompt's tokens, rows are layers, the last on top; a cell shows the likeliest next token there, its
    colour that token's probability. Hover lists the next ones, the entropy and the divergence from the output.

    Args:
        result: an `ExplorerResult` of one site.
        **look: as in `Look`.
    """
    table = result.table
    best = table[table["rank"] == 1]
    probability = best.pivot(index="layer", columns="position", values="probability")
    words = best.pivot(index="layer", columns="position", values="text").map(
        lambda text: _short(text, _LONGEST)
    )
    layers = [int(layer) for layer in probability.index]
    # Cells as high as each other, whatever was left out between them.
    rows = list(range(len(layers))) if has_gaps(layers) else layers
    hovers = _hovers(table).reindex(index=probability.index, columns=probability.columns)
    tokens = best.drop_duplicates("position").set_index("position")["token"].reindex(probability.columns)
    figure = go.Figure(
        go.Heatmap(
            z=probability.to_numpy(float), x=list(range(len(tokens))), y=rows,
            customdata=hovers.to_numpy(), hovertemplate="%{customdata}<extra></extra>",
            # Text of the cells themselves, dark or white as the colour below it asks: thousands of annotations take
            # a browser far longer than one trace.
            text=_on_their_colours(words, probability), texttemplate="%{text}", textfont={"size": 11},
            zmin=0, zmax=1, xgap=1, ygap=1,
            colorscale=[[step / 2, colour] for step, colour in enumerate(_SCALE)],
            colorbar={"title": {"text": "probability", "side": "right"}, "thickness": 12, "len": 0.9},
        )
    )  # fmt: skip
    site = str(best["site"].iloc[0]) if "site" in best and len(best) else "resid"
    provenance = result.provenance
    lens = lens_words(provenance) or "logit lens"
    how = "if it were the last" if is_plain(provenance) else f"through the {lens}"
    # What the prompt is answered with stands in the last column: of a long prompt that end is in view.
    room = max(1, ((look.get("width") or _WIDEST) - _MARGIN_LEFT - _BESIDE) // _COLUMN)
    in_view = min(room, len(tokens))
    width = max(640, _MARGIN_LEFT + _BESIDE + _COLUMN * in_view)
    model = safe(model_name(provenance))
    adapter = f" + {safe(provenance.adapter)}" if provenance.adapter else ""
    told = f"{model}{adapter} · {safe(lens)} · {_SITES.get(site, safe(site))}{_window(in_view, len(tokens))}"
    figure.update_layout(
        template=template(),
        dragmode="pan" if in_view < len(tokens) else "zoom",
        width=width,
        height=_MARGIN_TOP + _MARGIN_BOTTOM + _ROW * len(probability.index),
        margin={"l": _MARGIN_LEFT, "r": 90, "t": _MARGIN_TOP, "b": _MARGIN_BOTTOM},
        title={
            **ABOVE_PLOT,
            "text": "<b>What each layer would say next, at every token of the prompt</b>",
            "subtitle": {
                "text": told,
                "font": {"size": 13, "color": MUTED},
            },
        },
        meta={
            "how_to_read": [
                "Each column is a token of the prompt, each row a layer (on top the last, the model's own output). "
                f"A cell shows the token that layer would say next {how}, coloured by its probability; "
                "hover shows the next candidates, the entropy and how far (KL) the layer still is from the output.",
                "␣ marks a leading space; two-digit pairs such as E3 83 are bytes of a character that needs several "
                "tokens: by themselves they are no sign of a language.",
                *(
                    [
                        f"The last of {len(tokens)} tokens are in view; drag the picture to the right for those "
                        "before, or ask for a larger width."
                    ]
                    if in_view < len(tokens)
                    else []
                ),
            ],
            # A narrow screen has room for fewer columns still.
            "if_narrow": (
                [
                    f"The last of {len(tokens)} tokens are in view; drag the picture to the right for those before."
                ]
                if in_view == len(tokens)
                else []
            ),
            "made_with": made_with(provenance),
            "least_width": width,
            OWN_WIDTH: width,
            "column": _COLUMN,
        },
    )
    figure.update_xaxes(
        tickmode="array", tickvals=list(range(len(tokens))), ticktext=[_short(t, _LONGEST_TICK) for t in tokens],
        tickangle=-45, title={"text": "token of the prompt"}, showgrid=False, fixedrange=False,
        range=[len(tokens) - in_view - 0.5, len(tokens) - 0.5],
    )  # fmt: skip
    step = 1 if len(layers) <= 40 else 2
    figure.update_yaxes(
        tickmode="array", tickvals=rows[::step], ticktext=[str(layer) for layer in layers[::step]], showgrid=False,
        title={"text": "layer"},
    )  # fmt: skip
    return shaped(figure, **look)


def _window(in_view: int, tokens: int) -> str:
    """What a reader who sees the figure alone must know of a prompt that is wider than it."""
    return (
        f" · the last {in_view} of {tokens} tokens: drag to the right for the others"
        if in_view < tokens
        else ""
    )


def _on_their_colours(words: pd.DataFrame, probability: pd.DataFrame) -> NDArray[np.object_]:
    """The words of the cells so that they can be read on the cells' colours, ``[layer, position]``."""
    texts = words.to_numpy(object, copy=True)
    shares = probability.to_numpy(float)
    for place, text in np.ndenumerate(texts):
        if isinstance(text, str) and np.isfinite(shares[place]):
            texts[place] = written_on(text, shade(_SCALE, float(shares[place])))
    return texts


def _short(text: object, length: int) -> str:
    """A token for a label: cut at its end, escaped, its direction its own."""
    plain = str(text)
    return isolated(safe(plain if len(plain) <= length else plain[: length - 1] + "…"))


def _hovers(table: pd.DataFrame) -> pd.DataFrame:
    """Hover text per layer and position, ``[layer, position]``; row by row, since grouping is slow for thousands."""
    heads: dict[tuple[int, int], str] = {}
    lists: dict[tuple[int, int], list[str]] = {}
    ends: dict[tuple[int, int], str] = {}
    for row in table.to_dict("records"):
        where = (row["layer"], row["position"])
        if where not in heads:
            heads[where] = f"after {isolated(safe(row['token']))} (token {where[1]}), layer {where[0]}"
            ends[where] = f"entropy {row['entropy']:.2f} bits, KL to the output {row['kl']:.2f} bits"
        lists.setdefault(where, []).append(f"{row['probability']:.3f}  {isolated(safe(row['text']))}")
    return pd.Series(
        {where: "<br>".join([head, *lists[where], ends[where]]) for where, head in heads.items()}
    ).unstack()
