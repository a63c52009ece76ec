"""Alignment as a table: pairs by layers, base beside tuned, as Tables 8 to 11 of Zhang et al. 2024."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from latentlang.arguments import Layers, given_layers
from latentlang.errors import InputError
from latentlang.figures.alignment_text import pair_words, pool_words
from latentlang.figures.header import LONGEST_MODEL, made_with, model_name
from latentlang.figures.headings import ABOVE_PLOT
from latentlang.figures.layout import layer_ticks
from latentlang.figures.shaping import shaped
from latentlang.figures.style import (
    BASELINE,
    GRID,
    INK,
    MUTED,
    PAPER,
    font_stack,
    plain,
    safe,
    shortened,
    template,
)
from latentlang.geometry.alignment_result import AlignmentResult, paper_table
from latentlang.geometry.measure_registry import measure as find_measure

_MOST_LAYERS = 8
_ROW, _HEAD, _TOP = 49, 49, 84


def alignment_table(
    results: AlignmentResult | Mapping[str, AlignmentResult],
    *,
    measure: str = "pearson_pc1",
    pools: str | None = None,
    layers: Layers | None = None,
) -> go.Figure:
    """Write pairs and layers as a table of numbers, with what prompt length leaves of each.

    Args:
        results: an alignment, or several by name (``{"base": ..., "tuned": ...}``), which stand side by side.
        measure: its name.
        pools: by default ``"mean"``, the paper's.
        layers: which, numbers or ``"0,4,8-12"``; by default up to eight in even steps.

    Raises:
        InputError: no such measure, pooling or layer.
    """
    named = dict(results) if isinstance(results, Mapping) else {"": results}
    table = paper_table(results, measure=measure, pools=pools)
    available = sorted({int(layer) for layer in table["layer"]})
    if layers is None:
        chosen = [layer for layer in layer_ticks(available, _MOST_LAYERS) if layer in available]
    else:
        given = given_layers(layers)
        chosen = available if given == "all" else given
    for layer in chosen:
        if layer not in available:
            raise InputError(f"the result has no layer {layer}; it has {', '.join(map(str, available))}")
    first = next(iter(named.values()))
    pairs = list(dict.fromkeys(table["pair"]))
    codes = {f"{a}-{b}": (a, b) for result in named.values() for a, b in result.pairs}
    header = [f"<b>{find_measure(measure).words}</b>"]
    cells = [[pair_words(codes[pair], measure, named=True) for pair in pairs]]
    colours = [[INK] * len(pairs)]
    for layer in chosen:
        part = table[table["layer"] == layer].set_index("pair").reindex(pairs)
        for name in named:
            prefix = f"{name} " if name else ""
            header.append(f"<b>layer {layer}</b>" + (f"<br>{safe(name)}" if name else ""))
            flags = [str(flag).split() for flag in part[f"{prefix}flag"].fillna("")]
            numbers = zip(part[name or "value"], part[f"{prefix}partial"], flags, strict=True)
            cells.append([_cell(*row) for row in numbers])
            colours.append([MUTED if "chance" in row_flags else INK for row_flags in flags])
    models = dict.fromkeys(
        safe(shortened(model_name(result.provenance), LONGEST_MODEL)) for result in named.values()
    )
    pool = pools or first.default_pool
    figure = go.Figure(
        go.Table(
            columnwidth=[2.4, *([1.0] * (len(header) - 1))],
            header={
                "values": header, "align": ["left", "right"], "fill": {"color": PAPER}, "height": _HEAD,
                "line": {"color": [BASELINE]}, "font": {"size": 12.5, "color": INK},
            },
            cells={
                "values": cells, "align": ["left", "right"], "height": _ROW, "line": {"color": GRID},
                "fill": {"color": PAPER}, "font": {"size": 12.5, "color": colours},
            },
        ),
        layout={"template": template(), "font": {"family": font_stack()}},
    )  # fmt: skip
    figure.update_layout(
        title={
            "text": f"<b>{find_measure(measure).words} between languages, layer by layer</b>",
            "subtitle": {
                "text": f"model {' and '.join(models)} · {safe(first.provenance.task)} · {pool_words(pool)}",
                "font": {"size": 12.5, "color": MUTED},
            },
            **ABOVE_PLOT,
        },
        height=_TOP + _HEAD + _ROW * len(pairs) + 30,
        margin={"l": 12, "r": 12, "t": _TOP, "b": 12},
        meta={
            "how_to_read": [
                "The value of each pair at each layer; below it what is left with prompt length (T, 1/T and log "
                "T) taken out. Grey: no more than chance. †: gone, or more than half gone, without length. The layout "
                "follows Tables 8 to 11 of Zhang et al. 2024, who give the first number alone.",
            ],
            "made_with": [plain(text) for text in made_with(first.provenance)],
            "least_width": 220 + 80 * (len(header) - 1),
        },
    )  # fmt: skip
    return shaped(figure)


def _cell(value: float, partial: float, flags: Sequence[str]) -> str:
    """The value over what length leaves of it."""
    if not np.isfinite(value):
        return "–"
    left = f"({partial:.3f})" if np.isfinite(partial) else ""
    return f"{value:.3f}{' †' if 'length' in flags else ''}<br>{left}"
