"""What each language loses without the neurons of each: a heat map, beside it what tells own from others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import plotly.graph_objects as go

from latentlang.errors import InputError
from latentlang.figures.header import made_with, source_words
from latentlang.figures.headings import BESIDE_ROWS
from latentlang.figures.shaping import Look, shaped
from latentlang.figures.style import INK, MUTED, PAPER, PIVOT, TARGET, english_name, template, tint
from latentlang.text import counted, signed

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.provenance import Provenance

_ROW, _TOP, _BELOW = 26, 128, 120  # pixels
_MAP = 0.76  # share of the width
_MOST_WRITTEN = 10  # languages whose cells are wide enough for a number
_SCALE = [[0, TARGET], [0.5, tint(PIVOT, 0)], [1, PIVOT]]
_P = 0.05


class TakenOut(Protocol):
    """What was taken out, and how; `AblationWords` has it."""

    @property
    def noun(self) -> str:
        """What a unit is: ``neuron``."""

    @property
    def numbers(self) -> Mapping[str, int]:
        """Language to the number of its units."""

    @property
    def done(self) -> str:
        """What was done to them."""

    @property
    def matched(self) -> str:
        """What random sets have in common with them."""

    @property
    def random(self) -> int:
        """Random sets beside each language's units."""

    @property
    def counted_too(self) -> Sequence[str]:
        """Languages whose paragraphs were counted too."""


class Ablation(Protocol):
    """What a result must have to be drawn: `NeuronAblationResult` and `FeatureAblationResult` have it."""

    @property
    def provenance(self) -> Provenance:
        """Model and settings."""

    def summary(self) -> pd.DataFrame:
        """Columns ``ablated, language, effect, low, high, random, random_most, p, n``."""

    def contrasts(self) -> pd.DataFrame:
        """Columns ``ablated, difference, low, high, verdict``."""


def ablation_figure(result: Ablation, words: TakenOut, **look: Unpack[Look]) -> go.Figure:
    """Draw the change in bits per byte, whose neurons or features over the language of the text.

    Args:
        result: a `NeuronAblationResult` or `FeatureAblationResult`, new or loaded from disk.
        words: what was taken out.
        **look: as in `Look`.

    Raises:
        InputError: there is nothing to draw.
    """
    summary = result.summary()
    if summary.empty:
        raise InputError("the result holds no paragraph: there is nothing to draw")
    columns = list(dict.fromkeys(summary["language"]))
    rows = list(dict.fromkeys(summary["ablated"]))
    grids = {
        name: summary.pivot(index="ablated", columns="language", values=name).loc[rows, columns].to_numpy()
        for name in ("effect", "low", "high", "random", "random_most", "p")
    }
    largest = max(1e-9, float(abs(grids["effect"]).max()))
    above = grids["p"] <= _P if words.random else grids["p"] < 0
    subtitle = [
        *source_words(result.provenance),
        "bits per byte more",
        f"{words.noun}s {words.done}",
        f"{counted(words.random, 'random set')} beside each" if words.random else "no random sets",
    ]
    figure = go.Figure(
        data=[{
            "type": "heatmap", "x": list(range(len(columns))), "y": list(range(len(rows))),
            "z": grids["effect"].tolist(), "zmin": -largest, "zmax": largest, "colorscale": _SCALE,
            "xgap": 1, "ygap": 1,
            "customdata": [
                [
                    [
                        english_name(own), english_name(other), _long(grids["effect"][i, j]),
                        _long(grids["low"][i, j]), _long(grids["high"][i, j]), _beside(grids, i, j),
                    ]
                    for j, other in enumerate(columns)
                ]
                for i, own in enumerate(rows)
            ],
            "hovertemplate": f"without {words.noun}s of "
            "%{customdata[0]}, text in %{customdata[1]}: <b>%{customdata[2]}</b> "
            "bits per byte [%{customdata[3]}, %{customdata[4]}]%{customdata[5]}<extra></extra>",
            "text": _written(grids["effect"], above) if len(columns) <= _MOST_WRITTEN else None,
            **({"texttemplate": "%{text}"} if len(columns) <= _MOST_WRITTEN else {}),
            "colorbar": {
                "orientation": "h", "x": 1, "xanchor": "right", "y": 0, "yref": "container", "yanchor": "bottom",
                "len": 0.4, "thickness": 9, "outlinewidth": 0, "ypad": 8, "xpad": 0,
                "tickfont": {"size": 11, "color": MUTED}, "nticks": 5,
            },
        }, _contrasts(result.contrasts(), rows, known=bool(words.random))],
        layout={
            "template": template(),
            "title": {
                "text": f"<b>What each language loses without the {words.noun}s of each</b>",
                "subtitle": {"text": " · ".join(filter(None, subtitle)), "font": {"size": 12.5, "color": MUTED}},
                **BESIDE_ROWS,
            },
            "height": _TOP + _ROW * len(rows) + _BELOW,
            "margin": {"l": 150, "r": 18, "t": _TOP, "b": _BELOW},
            "xaxis": {
                "domain": [0, _MAP], "showgrid": False, "side": "top", "tickmode": "array", "tickangle": -40,
                "tickvals": list(range(len(columns))), "ticktext": [english_name(code) for code in columns],
            },
            "yaxis": {
                "showgrid": False, "range": [len(rows) - 0.5, -0.5], "tickmode": "array",
                "tickvals": list(range(len(rows))),
                "ticktext": [
                    f"without {english_name(code)} ({words.numbers.get(code, 0)})" for code in rows
                ],
            },
            "xaxis2": {
                "domain": [_MAP + 0.02, 1], "anchor": "y", "side": "top", "showgrid": False, "showline": False,
                "tickmode": "array", "tickvals": [0], "ticktext": ["own less others, % of bits"],
            },
            "shapes": _frames(above, rows, columns),
            "meta": {
                "how_to_read": _how_to_read(words), "made_with": made_with(result.provenance), "least_width": 720,
            },
        },
    )  # fmt: skip
    return shaped(figure, **look)


def _beside(grids: dict[str, Any], i: int, j: int) -> str:
    if grids["p"][i, j] != grids["p"][i, j]:
        return ""
    mean, most = (
        _long(grids["random"][i, j]),
        _long(grids["random_most"][i, j]),
    )
    return f"; random sets {mean}, at most {most}; p {grids['p'][i, j]:.2g}"


def _written(effects: Any, above: Any) -> list[list[str]]:
    return [
        [f"<b>{_short(value)}</b>" if strong else _short(value) for value, strong in zip(*row, strict=True)]
        for row in zip(effects.tolist(), above.tolist(), strict=True)
    ]


def _short(value: float) -> str:
    return signed(value, keep_side=False)


def _long(value: float) -> str:
    return signed(value, 4, keep_side=False)


def _contrasts(contrasts: pd.DataFrame, rows: list[str], *, known: bool) -> dict[str, Any]:
    """Beside each row how much more its own text loses than others, in per cent: a map of no colour."""
    written = {}
    for row in contrasts.to_dict("records"):
        numbers = [signed(100 * row[name], 1, keep_side=False) for name in ("difference", "low", "high")]
        text = f"{numbers[0]} [{numbers[1]}, {numbers[2]}]"
        written[str(row["ablated"])] = f"<b>{text}</b>" if known and row["verdict"] == "specific" else text
    return {
        "type": "heatmap", "x": [0], "y": list(range(len(rows))), "xaxis": "x2", "z": [[0] for _ in rows],
        "colorscale": [[0, PAPER], [1, PAPER]], "showscale": False, "hoverinfo": "skip",
        "text": [[written.get(code, "")] for code in rows], "texttemplate": "%{text}",
    }  # fmt: skip


def _frames(above: Any, rows: list[str], columns: list[str]) -> list[dict[str, Any]]:
    """Around what is more than random sets do."""
    return [
        {
            "type": "rect", "x0": j - 0.46, "x1": j + 0.46, "y0": i - 0.44, "y1": i + 0.44, "xref": "x", "yref": "y",
            "line": {"color": INK, "width": 1.4},
        }
        for i in range(len(rows))
        for j in range(len(columns))
        if above[i, j]
    ]  # fmt: skip


def _how_to_read(words: TakenOut) -> list[str]:
    lines = [
        f"A row: the {words.noun}s of one language (their number in brackets) are changed at every token while the "
        "model reads text in the language of the column. The colour is how many bits per UTF-8 byte it then needs "
        "more, over paragraphs; hover for 95% bootstrap intervals over paragraphs.",
        "Beside the map: how much more the row's own language loses than the mean of the others, in per cent of the "
        "bits each needs of the model as it is, since a byte is a letter in one script and a third of one in another. "
        "Bold: the interval is above zero, and random sets reach neither this nor the effect itself (p at most 0.05).",
    ]
    if words.random:
        lines.append(
            f"A frame: more than random sets do, {words.matched} in the row's language, of no language themselves (p "
            "at most 0.05, of each cell alone). They are matched in mean activation and in nothing else."
        )
    if words.counted_too:
        lines.append(f"Some of the paragraphs were counted too when the {words.noun}s were chosen.")
    return lines
