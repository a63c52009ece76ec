"""Heat maps: languages over layers, and the answer tokens that languages have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from latentlang.arguments import split_names
from latentlang.errors import InputError, unknown
from latentlang.figures.header import is_plain, lens_words, made_with
from latentlang.figures.headings import BESIDE_ROWS
from latentlang.figures.layout import bar_heading, has_gaps
from latentlang.figures.lens_text import subtitle
from latentlang.figures.shaping import Look, chosen_languages, shaped
from latentlang.figures.style import (
    INK,
    MUTED,
    PAPER,
    PIVOT,
    TARGET,
    english_name,
    font_stack,
    ink_on,
    own_name,
    safe,
    shade,
    template,
    tint,
    written_on,
)
from latentlang.stats.intervals import FEWEST_CANDIDATES
from latentlang.text import counted, listed, percent

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.language_names import Language
    from latentlang.lens.lens_settings import MultilingualLensSettings
    from latentlang.provenance import Provenance

Floats = NDArray[np.float64]
#: What the colour of a cell may say.
VALUES: dict[str, str] = {
    "score": "probability of the right word minus that of wrong ones",
    "answer": "probability of the right word",
    "null": "mean probability of wrong words",
}
# White to dark, in even steps of lightness: a grey print keeps the order.
_HEAT = [tint(PIVOT, share) for share in (0, 0.25, 0.5, 0.75, 1)] + ["#7A3500"]
# The same by the square root: a quarter of the largest value has half of the colour.
_ROOT_SCALE = [((step / (len(_HEAT) - 1)) ** 2, shade) for step, shade in enumerate(_HEAT)]
_COOL = [tint(TARGET, share) for share in (0, 0.2, 0.4, 0.6, 0.8, 1)]
_ROW, _TOP, _BELOW = 24, 104, 104
_MOST_WRITTEN = 20  # layers whose cells are wide enough for a number
_LEAST_WRITTEN = 0.005  # smaller values would be rows of 0.00
_MOST_WRITTEN_LANGUAGES = 24  # the same of languages by languages
_POOLED, _TARGET_ROW, _SOURCE = "all", "(target)", "(source)"
_TOGETHER = {_TARGET_ROW: "target language", _SOURCE: "word of the prompt"}


class Found(Protocol):
    """What `PivotTest` has and the figure needs."""

    @property
    def table(self) -> pd.DataFrame:
        """One row per target language."""

    @property
    def scores(self) -> pd.DataFrame:
        """One row per target language, answer language and layer."""

    @property
    def level(self) -> float:
        """Coverage of the intervals."""

    @property
    def minimum(self) -> float:
        """The least lead that counts."""


class LanguageLens(Protocol):
    """What a result must have to be drawn: `MultilingualLensResult` has it."""

    @property
    def table(self) -> pd.DataFrame:
        """Columns ``task, language, item, label, layer, answer language, curve, value``."""

    @property
    def provenance(self) -> Provenance:
        """Model, adapter, task and policy."""

    @property
    def settings(self) -> MultilingualLensSettings:
        """The settings of the run."""

    def pivot_test(self) -> Found:
        """Who leads where."""


def language_heatmap(
    result: LanguageLens,
    *,
    language: str | None = None,
    value: str = "score",
    pivot_test: Found | None = None,
    candidates: str | Language | Iterable[str | Language] | None = None,
    order: str | Sequence[str] | None = None,
    **look: Unpack[Look],
) -> go.Figure:
    """Draw which language's word for the answer each layer holds: languages over layers, the leader framed.

    Rows go from the target language and the source language down by the largest value. Colours follow the square root
    of the value up to the largest one, so that small values can be told apart beside a last layer near 1. Values that
    round to 0.00 are not written.

    Args:
        result: a `MultilingualLensResult`, new or loaded from disk.
        language: the target language to draw; by default the only one, or the mean over all.
        value: what the colour says, a key of `VALUES`.
        pivot_test: what ``result.pivot_test()`` gave, where it is at hand. The test is always over all languages.
        candidates: languages whose rows are drawn beside target and source; by default all.
        order: answer languages from top to bottom, where it is not to be that of the values; names then say
            neither who leads nor how many items were read.
        **look: as in `Look`.

    Raises:
        InputError: an unknown value, or a language that was not asked for.
    """
    if value not in VALUES:
        raise unknown("value", value, VALUES)
    test = result.pivot_test() if pivot_test is None else pivot_test
    drawn = [str(code) for code in test.table["language"]]
    if language is not None and language not in drawn:
        raise unknown("target language", language, drawn)
    code = drawn[-1] if language is None else language
    scores = test.scores[(test.scores["language"] == code) & (test.scores["n"] > 0)]
    row = test.table[test.table["language"] == code].iloc[0]
    if candidates is not None:
        asked = chosen_languages(candidates, result.settings.candidates)
        fixed = scores["role"].isin(["target", "source"])
        kept = {*asked, *([str(row["leader"])] if row["is_pivot"] else [])}
        scores = scores[fixed | scores["answer_language"].isin(kept)]
    marked = order is None
    if order is None:
        order = _order(scores, value)
    else:
        order = split_names(order)
        known = list(dict.fromkeys([*test.scores["answer_language"], *result.settings.candidates]))
        for name in order:
            if name not in known:
                raise unknown("answer language of this result", name, known)
        scores = scores[scores["answer_language"].isin(order)]
    layers, level = sorted({int(layer) for layer in scores["layer"]}), percent(test.level)
    grids = {
        name: scores.pivot(index="answer_language", columns="layer", values=name).reindex(
            index=order, columns=layers
        )
        for name in ("answer", "null", "score", "low", "high", "lead", "p", "n")
    }
    # Cells as wide as each other, whatever was left out between them.
    places = list(range(len(layers))) if has_gaps(layers) else layers
    # a language that was read on no item of this target has an empty row
    roles = dict.fromkeys(order, "candidate") | _roles(scores)
    read = {
        answer_language: int(count) for answer_language, count in grids["n"].max(axis=1).fillna(0).items()
    }
    asked_items = _asked_items(result, code)
    values = grids[value].to_numpy(float)
    largest = max(float(np.nanmax(values, initial=0.0)), 0.01)
    names = [
        _row_name(
            answer_language,
            roles[answer_language],
            leads=marked and bool(row["is_pivot"]) and answer_language == row["leader"],
            # Other results beside this one may have read more or fewer.
            read=read[answer_language] if marked else asked_items,
            items=asked_items,
        )
        for answer_language in order
    ]
    written = len(layers) <= _MOST_WRITTEN
    figure = go.Figure(
        go.Heatmap(
            x=places,
            y=list(range(len(order))),
            z=values.tolist(),
            customdata=np.stack(
                [grids[n].to_numpy(float) for n in ("answer", "null", "score", "low", "high", "n")], -1
            ),
            hovertext=_hover_lines(order, roles, grids, layers),
            text=_cell_texts(values, largest) if written else None,
            texttemplate="%{text}" if written else None,
            textfont={"size": 10.5},
            hovertemplate=(
                "%{hovertext}<br>right word %{customdata[0]:.3f}, wrong words %{customdata[1]:.3f}<br>difference "
                f"%{{customdata[2]:.3f}} [%{{customdata[3]:.3f}}, %{{customdata[4]:.3f}}] ({level} interval)"
                "<br>n = %{customdata[5]:d}<extra></extra>"
            ),
            zmin=0,
            zmax=largest,
            colorscale=_ROOT_SCALE,
            xgap=1,
            ygap=1,
            colorbar=_colourbar([0.0, largest / 4, largest]),
        ),
        layout={
            "template": template(),
            "shapes": _leaders_frame(row, order, dict(zip(layers, places, strict=True))),
            "annotations": [bar_heading(VALUES[value], below=_BELOW)],
        },
    )
    targets = [name for name in drawn if name != _POOLED] if code == _POOLED else [code]
    _frame(
        figure,
        title=_title(result, targets),
        under=[
            subtitle(result.provenance, result.settings, targets, _items(result.table)),
            _sentence(row),
            "" if candidates is not None or not marked else _not_shown(result, code, order),
        ],
        rows=len(order),
    )
    figure.update_xaxes(
        title="layer (residual stream after block)",
        showgrid=False,
        tickvals=_ticks(places),
        ticktext=[str(layer) for layer in _ticks(layers)],
        range=_around(places),
    )
    figure.update_yaxes(
        tickvals=list(range(len(order))), ticktext=names, range=[len(order) - 0.5, -0.5], showgrid=False,
        tickfont={"size": 12, "color": INK}, title="language whose word is read",
    )  # fmt: skip
    figure.layout.meta = {
        "how_to_read": _how_to_read(result, code, value=value, pivot_test=test),
        "made_with": made_with(result.provenance),
        "rows": order,
    }
    return shaped(figure, **look)


def overlap_heatmap(
    table: pd.DataFrame,
    *,
    title: str | None = None,
    subtitle: str | None = None,
    made_with: Sequence[str] = (),
) -> go.Figure:
    """Draw how many answer tokens languages have in common.

    The colour is the share of the row language's tokens that the column language has too; cells of a count table
    show the number.

    Args:
        table: what ``latentlang.answers.overlap_table`` gave, counts or shares.
        title: plain text.
        subtitle: plain text: which model and task.
        made_with: what it was made with, for a page's last line; plain text.

    Raises:
        InputError: the table is empty or not square.
    """
    codes = [str(code) for code in table.index]
    if not codes or codes != [str(code) for code in table.columns]:
        raise InputError("an overlap table has the same languages in rows and columns, at least one")
    given = table.to_numpy(float)
    counts = all(np.issubdtype(dtype, np.integer) for dtype in table.dtypes)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = given / np.diag(given)[:, None] if counts else given
    share = np.where(np.isfinite(share), share, np.nan)
    hover = [
        [_overlap_words(row, column, given[i, j], share[i, j], counts) for j, column in enumerate(codes)]
        for i, row in enumerate(codes)
    ]
    # A language has all its own tokens: no news, and the darkest colour of the figure.
    shown = np.where(np.eye(len(codes), dtype=bool), np.nan, share)
    notes = [bar_heading("share of the row's tokens", below=_BELOW), *_written(given, shown, counts=counts)]
    figure = go.Figure(
        go.Heatmap(
            x=list(range(len(codes))),
            y=list(range(len(codes))),
            z=shown.tolist(),
            customdata=hover,
            hovertemplate="%{customdata}<extra></extra>",
            hoverongaps=True,
            zmin=0,
            zmax=1,
            colorscale=_COOL,
            xgap=1,
            ygap=1,
            colorbar=_colourbar([0.0, 0.5, 1.0], share=True),
        ),
        layout={"template": template(), "annotations": notes},
    )
    _frame(
        figure,
        title=f"<b>{safe(title or 'Answer tokens that languages have in common')}</b>",
        under=[safe(subtitle or "")],
        rows=len(codes),
    )
    figure.update_xaxes(
        tickvals=list(range(len(codes))), ticktext=[safe(code) for code in codes], showgrid=False,
        title="has this token too", range=[-0.5, len(codes) - 0.5],
    )  # fmt: skip
    figure.update_yaxes(
        tickvals=list(range(len(codes))), ticktext=[_named(code) for code in codes], showgrid=False,
        range=[len(codes) - 0.5, -0.5], tickfont={"size": 12, "color": INK},
    )  # fmt: skip
    figure.layout.meta = {
        "how_to_read": [
            "A token that can begin the answers of two languages says nothing about which of the two a layer holds. "
            "Each cell counts the tokens that the row's and the column's answers have in common; its colour is their "
            "share of the row's tokens, so the picture need not be symmetric. The diagonal is the number of a "
            "language's own tokens.",
        ],
        "made_with": list(made_with),
    }
    return shaped(figure)


def _cell_texts(values: Floats, largest: float) -> list[list[str]]:
    """The numbers in the cells, to be read on their colours; nothing in those that are too small."""

    def written(cell: float) -> str:
        number = f"{cell:.2f}" if abs(cell) >= _LEAST_WRITTEN else ""
        return written_on(number, shade(_HEAT, (max(cell, 0.0) / largest) ** 0.5)) if number else ""

    return [[written(cell) for cell in line] for line in values.tolist()]


def _leaders_frame(row: Any, order: Sequence[str], places: Mapping[int, int]) -> list[dict[str, Any]]:
    """The frame around the layers in which the pivot leads; none where there is no pivot. `places`: of each layer."""
    if not row["is_pivot"] or str(row["leader"]) not in order:
        return []
    index = order.index(str(row["leader"]))
    return [{
        "type": "rect", "x0": places[int(row["first"])] - 0.5, "x1": places[int(row["last"])] + 0.5, "y0": index - 0.5,
        "y1": index + 0.5, "line": {"color": INK, "width": 2.5}, "layer": "above",
    }]  # fmt: skip


def _order(scores: pd.DataFrame, value: str) -> list[str]:
    """Answer languages from top to bottom: target, source, then by their largest value."""
    roles = _roles(scores)
    best = {
        answer_language: float(scores[scores["answer_language"] == answer_language][value].max())
        for answer_language in roles
    }
    first = {"target": 0, "source": 1}
    return sorted(
        roles,
        key=lambda answer_language: (
            first.get(roles[answer_language], 2),
            -best[answer_language],
            answer_language,
        ),
    )


def _roles(scores: pd.DataFrame) -> dict[str, str]:
    return dict(zip(scores["answer_language"].astype(str), scores["role"].astype(str), strict=True))


def _row_name(answer_language: str, role: str, *, leads: bool, read: int, items: int) -> str:
    """A row's name, its role, and how many of the items could be read where it is not all."""
    name = _TOGETHER.get(answer_language) or _named(answer_language)
    after = (
        []
        if answer_language in _TOGETHER
        else [{"target": "target", "source": "the prompt's own word"}.get(role, "")]
    )
    if read < items:
        after.append(f"{read} of {items}")
    elif role == "few":
        after.append("few items")
    if any(after):
        name = f"{name} <span style='color:{MUTED}'>({', '.join(filter(None, after))})</span>"
    return f"<b>{name}</b>" if leads or role == "target" else name


def _named(code: str) -> str:
    """``Japanese 日本語``."""
    english, native = english_name(code), own_name(code)
    return english if english in native else f"{english} {native}"


def _hover_lines(
    order: Sequence[str], roles: Mapping[str, str], grids: Mapping[str, pd.DataFrame], layers: Sequence[int]
) -> list[list[str]]:
    lines = []
    leads, chances = grids["lead"].to_numpy(float), grids["p"].to_numpy(float)
    for row, answer_language in enumerate(order):
        name = _TOGETHER.get(answer_language) or _named(answer_language)
        line = []
        for column, layer in enumerate(layers):
            text = f"<b>{name}</b>, layer {layer}"
            if roles[answer_language] == "candidate" and np.isfinite(leads[row, column]):
                lead, p = leads[row, column], chances[row, column]
                where = "ahead of" if lead >= 0 else "behind"
                text += f"<br>{abs(lead):.3f} {where} the best other language; right against wrong words: p = {p:.3f}"
            line.append(text)
        lines.append(line)
    return lines


def _written(given: Floats, shown: Floats, *, counts: bool) -> list[dict[str, Any]]:
    """The numbers in the cells of an overlap table, also of those without a colour; none where cells are small."""
    if len(given) > _MOST_WRITTEN_LANGUAGES:
        return []
    notes = []
    for i, line in enumerate(given):
        for j, cell in enumerate(line):
            colour = tint(TARGET, float(np.clip(shown[i, j], 0, 1))) if np.isfinite(shown[i, j]) else PAPER
            ink, faint = ink_on(colour), i == j or cell == 0
            notes.append({
                "x": j, "y": i, "showarrow": False,
                "text": "" if not np.isfinite(cell) else f"{cell:.0f}" if counts else f"{cell:.0%}",
                "font": {"size": 10.5, "color": MUTED if faint and colour == PAPER else ink},
            })  # fmt: skip
    return notes


def _overlap_words(row: str, column: str, given: float, share: float, counts: bool) -> str:
    first, second = english_name(row), english_name(column)
    if not np.isfinite(share):
        return f"{first} has no tokens"
    if row == column:
        return f"{first}: {counted(round(given), 'token')}" if counts else first
    number = f"{counted(round(given), 'token')}, " if counts else ""
    return f"{first} and {second}: {number}{share:.0%} of {first}'s"


def _title(result: LanguageLens, targets: Sequence[str]) -> str:
    """What was asked, never what was found."""
    provenance = result.provenance
    source = (
        set(filter(None, map(provenance.source_of, targets))) if provenance.task == "translation" else set()
    )
    target = english_name(targets[0]) if len(targets) == 1 else f"{len(targets)} languages"
    what = (
        f"{' or '.join(english_name(code) for code in sorted(source))} to {target}"
        if source
        else f"{safe(provenance.task)} in {target}"
    )
    return f"<b>Whose word each layer holds: {what}</b>"


def _sentence(row: Any) -> str:
    if not row["is_pivot"]:
        return f"{'no verdict' if row['candidates'] < FEWEST_CANDIDATES else 'no pivot'}: {safe(row['why'])}"
    span = (
        f"layer {row['first']}" if row["first"] == row["last"] else f"layers {row['first']} to {row['last']}"
    )
    # An interval above zero must not be written as one that begins there.
    digits = ".2f" if row["lead_low"] >= 0.005 else ".3f"
    return (
        f"<b>{english_name(row['leader'])}</b> leads in {span} (framed), by up to {row['lead']:{digits}} "
        f"[{row['lead_low']:{digits}}, {row['lead_high']:{digits}}] at layer {row['peak']}; right against wrong words: "
        f"p = {row['p']:.3f}"
    )


def _asked_items(result: LanguageLens, code: str) -> int:
    """Items that were asked: of a language, or of all of them together; where none of its words can be read, too."""
    rows = result.table if code == _POOLED else result.table[result.table["language"] == code]
    count = int(rows["item"].nunique())
    alone = len(result.provenance.languages) == 1
    return max(count, result.settings.items) if alone else count


def _not_shown(result: LanguageLens, code: str, drawn: Sequence[str]) -> str:
    """Languages that were read and have no row: without a word they would be overlooked."""
    provenance = result.provenance
    elsewhere: set[str] = set()
    if code == _POOLED:  # target languages are one row, the sources are left out
        elsewhere = {*provenance.languages, *provenance.sources}
    lost = [
        answer_language
        for answer_language in dict.fromkeys(result.settings.candidates)
        if answer_language not in drawn and answer_language not in elsewhere
    ]
    return (
        f"not shown, since too few items can be read: {listed(list(map(english_name, lost)))}" if lost else ""
    )


def _items(table: pd.DataFrame) -> dict[str, int]:
    counted = table.groupby("language", observed=True)["item"].nunique()
    return {str(code): int(count) for code, count in counted.items()}


def _frame(figure: go.Figure, *, title: str, under: Sequence[str], rows: int) -> None:
    lines = [text for text in under if text]
    figure.update_layout(
        title={
            "text": title,
            "subtitle": {"text": "<br>".join(lines), "font": {"size": 12.5, "color": MUTED}},
            **BESIDE_ROWS,
        },
        font={"family": font_stack()},
        height=_TOP + 17 * max(0, len(lines) - 2) + rows * _ROW + _BELOW,
        margin={"l": 12, "r": 18, "t": _TOP + 17 * max(0, len(lines) - 2), "b": _BELOW},
    )  # fmt: skip
    figure.update_yaxes(automargin=True)


def _colourbar(ticks: Sequence[float], *, share: bool = False) -> dict[str, Any]:
    texts = [f"{tick:.0%}" if share else f"{tick:.2g}" for tick in ticks]
    return {
        "orientation": "h", "x": 1, "xanchor": "right", "y": 0, "yref": "container", "yanchor": "bottom", "len": 0.42,
        "thickness": 9, "outlinewidth": 0, "ypad": 8, "xpad": 0, "tickvals": list(ticks), "ticktext": texts,
        "tickfont": {"size": 11, "color": MUTED},
    }  # fmt: skip


def _around(layers: Sequence[int]) -> list[float]:
    return [layers[0] - 0.5, layers[-1] + 0.5]


def _ticks(layers: Sequence[int], most: int = 20) -> list[int]:
    """Layers in even steps, the last among them."""
    step = -(-len(layers) // most)
    return list(layers[::-1][::step][::-1])


def _how_to_read(result: LanguageLens, code: str, *, value: str, pivot_test: Found) -> list[str]:
    provenance = result.provenance
    wrong = "the words of the other labels" if result.settings.closed else "other words of the same category"
    target = "the target language" if code == _POOLED else english_name(code)
    level = percent(pivot_test.level)
    colour = {
        "score": f"its probability minus that of {wrong} in the same language (the null)",
        "answer": f"its probability (hover for that of {wrong} in the same language, the null)",
        "null": f"the probability of {wrong} in the same language (the null)",
    }[value]
    asks = "were the model to stop here"
    if not is_plain(provenance):
        asks = f"with the layer's state put through the {lens_words(provenance)}"
    return [
        f"At each layer we ask: {asks}, which word would it say next? A row reads the right "
        f"answer's word in one language; the colour is the square root of {colour}, averaged over items. Only the "
        "difference of the two is evidence: a layer may lean towards a language without knowing the answer.",
        f"A language leads where this difference is above that of every other language, {target} included, by at least "
        f"{pivot_test.minimum:g}, with a {level} bootstrap interval over items above zero, and where the "
        f"difference itself is larger than the largest anywhere in {level} of searches in which right and "
        "wrong answers are exchanged at random: that is p, which tells right words from wrong ones, not one language "
        "from another. The frame marks these layers. The source language, whose word stands in the prompt, can be no "
        "leader.",
        safe(f"Tokens: {result.settings.counted or provenance.policy}."),
    ]
