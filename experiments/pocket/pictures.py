"""Draw the card's figures from its tables, into `figures/pocket/`: `python -m experiments.pocket.pictures`."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from experiments.pocket.ablations import by_variant, learnt
from experiments.pocket.criteria import millions, runs_of, tokens_of
from experiments.pocket.evaluate import RESULTS
from experiments.pocket.train import Recipe
from latentlang.figures.style import INK, MUTED, PIVOT, TARGET, template, tint, translucent
from latentlang.stats.intervals import bootstrap_means

FIGURES = Path(__file__).parents[2] / "figures" / "pocket"
_SPLIT_NAMES = {
    "seen": "concepts seen between the two languages",
    "held-out pair": "concepts never seen between them",
    "held-out concept": "concepts seen with English only (control: with none)",
}
_CURVES = {
    "target": ("right word, target language", TARGET, "solid"),
    "pivot": ("right word, English", PIVOT, "solid"),
    "pivot_null": ("other English words of the category (null)", tint(PIVOT, 0.62), "dash"),
}
_DIRECTIONS = {
    "target": ("the target language", TARGET, "solid"),
    "English": ("English", PIVOT, "solid"),
    "third language": ("a third language, as far", MUTED, "dash"),
    "English alone": ("English, without what it shares with the target language", PIVOT, "dot"),
    "random": ("random, as long as the English one", tint(INK, 0.5), "dot"),
}
_RECIPES = {
    ("pocket", "recipe"): "pocket",
    ("pocket", "equal-follow"): "equal-follow",
    ("pocket-control", "recipe"): "pocket-control",
}
_MODELS = {"pocket": "pocket (English is the hub)", "pocket-control": "pocket-control (balanced)"}


def pivot_figure(curves: pd.DataFrame) -> go.Figure:
    """Target, English and its null by layer, one row per model and one column per split; bands over language pairs."""
    figure = make_subplots(
        rows=2, cols=3, shared_yaxes=True, shared_xaxes=True, row_titles=list(_MODELS.values()),
        column_titles=list(_SPLIT_NAMES.values()), horizontal_spacing=0.03, vertical_spacing=0.06,
    )  # fmt: skip
    own = curves[curves["task"] == "translation"]
    for row, model in enumerate(_MODELS, start=1):
        for column, split in enumerate(_SPLIT_NAMES, start=1):
            part = own[(own["model"] == model) & (own["split"] == split)]
            for name, (label, colour, dash) in _CURVES.items():
                wide = part.pivot(index=["source", "language"], columns="layer", values=name)
                low, high = bootstrap_means(wide.to_numpy(), seed=0)
                _line(
                    figure, row, column, [*wide.columns], (wide.mean().to_numpy(), low, high), label, colour, dash,
                    legend=row == column == 1,
                )  # fmt: skip
    figure.update_xaxes(title_text="layer", row=2)
    figure.update_yaxes(title_text="probability", col=1, rangemode="tozero")
    return _dressed(
        figure, "Translation between two languages that are not English, read layer by layer",
        f"mean of {own.groupby(['source', 'language']).ngroups} language pairs, 95% bootstrap interval over pairs",
    )  # fmt: skip


def cause_figure(cause: pd.DataFrame) -> go.Figure:
    """Share of items whose answer follows a swap along each direction, by layer, one panel per model."""
    figure = make_subplots(
        rows=1, cols=2, shared_yaxes=True, column_titles=list(_MODELS.values()), horizontal_spacing=0.04
    )
    own = cause[cause["split"] == "held-out pair"]
    for column, model in enumerate(_MODELS, start=1):
        for name, (label, colour, dash) in _DIRECTIONS.items():
            part = own[(own["model"] == model) & (own["direction"] == name)].sort_values("layer")
            values = tuple(part[key].to_numpy() for key in ("follows", "low", "high"))
            _line(figure, 1, column, part["layer"].tolist(), values, label, colour, dash, legend=column == 1)
    figure.update_xaxes(title_text="layer after which the residual stream is changed")
    figure.update_yaxes(title_text="share of answers that follow", range=[0, 1.02], col=1)
    return _dressed(
        figure, "Two concepts change places along one language's directions: does the answer follow?",
        "concepts never seen between the two languages, items answered right before; 95% interval over language pairs",
    )  # fmt: skip


def seeds_figure(curves: pd.DataFrame) -> go.Figure:
    """Gap of English and of a third language by layer, a line for every seed, one panel per recipe."""
    whole = curves[
        (curves["split"] == "held-out pair") & (curves["tokens"] == tokens_of(Recipe().as_record()))
    ]
    known = set(zip(whole["model"], whole["variant"], strict=True))
    recipes = {key: name for key, name in _RECIPES.items() if key in known}
    figure = make_subplots(
        rows=1, cols=len(recipes), shared_yaxes=True, column_titles=[*recipes.values()], horizontal_spacing=0.03
    )  # fmt: skip
    for column, (model, variant) in enumerate(recipes, start=1):
        own = whole[(whole["model"] == model) & (whole["variant"] == variant)]
        for place, (seed, run) in enumerate(own.groupby("seed")):
            run = run.sort_values("layer")
            for name, label, colour in (("gap", "English", PIVOT), ("third_gap", "a third language", MUTED)):
                figure.add_scatter(
                    x=run["layer"], y=run[name], mode="lines", name=label, legendgroup=label,
                    showlegend=column == 1 and place == 0, line={"color": colour, "width": 1.8},
                    hovertemplate=f"seed {seed}: %{{y:.2f}}<extra></extra>", row=1, col=column,
                )  # fmt: skip
    figure.update_xaxes(title_text="layer")
    figure.update_yaxes(title_text="gap: right word minus null", rangemode="tozero", col=1)
    return _dressed(
        figure, "Every seed: how much of a language nobody asked for is read",
        "concepts never seen between the two languages, means over language pairs; a line is one trained model",
    )  # fmt: skip


def ablations_figure(seeds: pd.DataFrame) -> go.Figure:
    """Gap of English and of a third language, a point for every seed, a row per variant; the recipe's range behind."""
    tokens = seeds["tokens"].min()
    short, recipe = seeds[seeds["tokens"] == tokens], runs_of(seeds, tokens)
    table = by_variant(short).set_index(["model", "variant"])
    names = {
        key: "the recipe" if key == ("pocket", "recipe") else "the control" if key[1] == "recipe" else key[1]
        for key in table.index
    }
    figure = go.Figure()
    gaps = recipe["held_out_pair_gap_middle"]
    figure.add_vrect(
        x0=gaps.min(), x1=gaps.max(), fillcolor=translucent(PIVOT, 0.16), line_width=0, layer="below"
    )
    rows = [names[key] for key in zip(short["model"], short["variant"], strict=True)]
    symbols = ["circle" if one else "circle-open" for one in learnt(short, recipe)]
    for column, label, colour in (
        ("third_gap_middle", "a third language", MUTED),
        ("held_out_pair_gap_middle", "English", PIVOT),
    ):
        figure.add_scatter(
            x=short[column], y=rows, mode="markers", name=label,
            marker={
                "color": colour, "size": 10, "opacity": 0.75, "symbol": symbols, "line": {"width": 1.8, "color": colour}
            },
            cliponaxis=False, customdata=short["seed"],
            hovertemplate="%{y}, seed %{customdata}: %{x:.2f}<extra></extra>",
        )  # fmt: skip
    labels = [
        f"{name}<br><span style='font-size:11px;color:{MUTED}'>{escape(differs)}</span>" if differs else name
        for name, differs in zip(names.values(), table["what differs"], strict=True)
    ]
    figure.update_xaxes(title_text="gap in the middle layers: right word minus null", rangemode="tozero")
    figure.update_yaxes(
        categoryorder="array",
        categoryarray=[*names.values()][::-1],
        tickvals=[*names.values()],
        ticktext=labels,
    )
    _dressed(
        figure, "What makes the pivot: one thing changed at a time",
        f"{millions(tokens)} tokens, concepts never seen between the two languages; a point is one trained model, "
        "open where it had not learnt words; the band is the recipe's range",
    )  # fmt: skip
    return figure.update_layout(height=210 + 44 * len(names), legend={"y": -0.12}, margin={"l": 370})


def _line(
    figure: go.Figure,
    row: int,
    column: int,
    layers: list[Any],
    values: tuple[Any, ...],
    label: str,
    colour: str,
    dash: str,
    *,
    legend: bool,
) -> None:
    mean, low, high = values
    figure.add_scatter(
        x=layers + layers[::-1], y=[*high, *low[::-1]], fill="toself", fillcolor=translucent(colour, 0.16),
        mode="lines", line={"width": 0}, hoverinfo="skip", showlegend=False, row=row, col=column,
    )  # fmt: skip
    figure.add_scatter(
        x=layers, y=mean, mode="lines", name=label, legendgroup=label, showlegend=legend,
        line={"color": colour, "width": 2.4, "dash": dash}, row=row, col=column,
    )  # fmt: skip


def _dressed(figure: go.Figure, title: str, note: str) -> go.Figure:
    figure.update_layout(
        template=template(),
        title={
            "text": f"{title}<br><span style='font-size:13px;color:{MUTED}'>{note}</span>",
            "x": 0.01,
            "y": 0.95,
        },
        legend={"orientation": "h", "y": -0.14, "x": 0}, margin={"t": 120, "l": 70, "r": 40, "b": 90},
        width=1150, height=680 if len(figure.layout.annotations) > 3 else 520,
    )  # fmt: skip
    return figure


def main() -> None:
    """Write the figures."""
    FIGURES.mkdir(parents=True, exist_ok=True)
    curves = pd.read_csv(RESULTS / "curves.csv").fillna({"source": ""})
    pivot_figure(curves).write_image(FIGURES / "pivot.png", scale=1.5)
    cause_figure(pd.read_csv(RESULTS / "cause.csv")).write_image(FIGURES / "cause.png", scale=1.5)
    ablations_figure(pd.read_csv(RESULTS / "seeds.csv")).write_image(FIGURES / "ablations.png", scale=1.5)
    seeds_figure(pd.read_csv(RESULTS / "seed_curves.csv")).write_image(FIGURES / "seeds.png", scale=1.5)


if __name__ == "__main__":
    main()
