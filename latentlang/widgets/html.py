"""The explorer's pictures: small pieces of HTML that are read in a light and in a dark notebook, by eye and by ear."""

from __future__ import annotations

import html
from collections.abc import Sequence

import pandas as pd

from latentlang.figures.style import (
    ISOLATES,
    PIVOT,
    TARGET,
    font_stack,
    own_name,
    plain,
    plain_name,
    translucent,
)

#: Tokens of the prompt in the heat map at once, those around the chosen one; a row then fits beside others.
WINDOW = 14
_LONGEST = 9  # characters of a token in a cell; its title has it whole
_WHITE_FROM = 0.9  # share of the cell's blue from which white text is the clearer one on a light page too
_CURVE_WIDTH, _CURVE_HEIGHT = 120, 26
STYLE = f"""<style>
.latentlang-explorer {{ font-size: 13px; line-height: 1.35; overflow-x: auto; }}
/* What is wide scrolls by itself, not with the controls; from the right where the chosen token is one of the last. */
.latentlang-explorer-box .widget-html, .latentlang-explorer-box .widget-html-content {{ min-width: 0;
  max-width: 100%; }}
.latentlang-explorer:has(> .from-right) {{ direction: rtl; }}
.latentlang-explorer > .from-right {{ direction: ltr; }}
.latentlang-explorer .heat tr > :first-child {{ position: sticky; left: 0; opacity: 1;
  background: var(--jp-layout-color0, var(--vscode-editor-background, Canvas)); }}
.latentlang-explorer .heat caption span {{ position: sticky; left: 0; }}
.latentlang-explorer, .latentlang-explorer table {{ font-family: {font_stack()}; }}
.latentlang-explorer table {{ border-collapse: collapse; margin: 0; font-size: inherit; }}
.latentlang-explorer caption {{ text-align: left; padding: 4px 0; font-weight: 600; caption-side: top;
  color: inherit; }}
.latentlang-explorer th, .latentlang-explorer td {{ padding: 2px 6px; text-align: left; white-space: nowrap; }}
.latentlang-explorer th {{ font-weight: 500; opacity: 0.85; }}
.latentlang-explorer .heat td {{ border: 1px solid rgba(127, 127, 127, 0.25); min-width: 2.5em; }}
.latentlang-explorer .here {{ outline: 3px solid {PIVOT}; outline-offset: -2px; font-weight: 700; opacity: 1; }}
.latentlang-explorer .number {{ text-align: right; font-variant-numeric: tabular-nums; }}
.latentlang-explorer .quiet {{ opacity: 0.75; margin: 4px 0; white-space: normal; max-width: 36rem; }}
.latentlang-explorer .fault {{ border-left: 4px solid {PIVOT}; padding: 2px 8px; margin: 4px 0; font-weight: 600; }}
.latentlang-explorer svg {{ vertical-align: middle; }}
</style>"""


def framed(body: str) -> str:
    """A piece with the explorer's looks; `STYLE` must stand somewhere in the page."""
    return f'<div class="latentlang-explorer">{body}</div>'


def fault(error: object) -> str:
    """One line that says what is wrong; read out by screen readers when it comes."""
    return framed(f'<p class="fault" role="alert">{_text(error)}</p>')


def window(count: int, position: int) -> range:
    """The tokens shown of so many: `WINDOW` of them, the chosen one among them."""
    start = min(max(position - WINDOW // 2, 0), max(count - WINDOW, 0))
    return range(start, min(start + WINDOW, count))


def heat_map(table: pd.DataFrame, *, layer: int, position: int) -> str:
    """Layers, the last on top, by the prompt's tokens; each cell its likeliest next token, coloured by its probability.

    Args:
        table: as of an `ExplorerResult` of one site.
        layer: the chosen layer.
        position: the chosen position.
    """
    count = int(table["position"].max()) + 1
    shown = window(count, position)
    best = table[(table["rank"] == 1) & table["position"].isin(shown)]
    tokens = best.drop_duplicates("position").set_index("position")["token"]
    head = "".join(
        f'<th scope="col"{_here(token == position)} title="token {token}: {_text(tokens[token])}">'
        f"{_short(tokens[token])}</th>"
        for token in shown
    )
    rows = []
    for number in sorted(best["layer"].unique(), reverse=True):
        row = best[best["layer"] == number].set_index("position")
        cells = "".join(
            _heat_cell(
                str(row.at[token, "text"]), float(row.at[token, "probability"]),
                here=number == layer and token == position,
            )
            for token in shown
        )  # fmt: skip
        rows.append(f'<tr><th scope="row"{_here(number == layer)}>layer {number}</th>{cells}</tr>')
    side = " from-right" if 2 * (position - shown[0]) >= len(shown) else ""
    part = f", tokens {shown[0]} to {shown[-1]} of 0 to {count - 1}" if len(shown) < count else ""
    return framed(
        f'<table class="heat{side}"><caption><span>What each layer would say next{part}</span></caption>'
        f'<thead><tr><th scope="col">after</th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    )


def _heat_cell(text: str, probability: float, *, here: bool) -> str:
    ink = ";color:#FFFFFF" if probability >= _WHITE_FROM else ""
    return (
        f'<td{_here(here)} style="background:{translucent(TARGET, round(probability, 3))}{ink}" '
        f'title="{_text(text)}: {probability:.3f}">{_short(text)}</td>'
    )


def top_tokens(cell: pd.DataFrame) -> str:
    """The likeliest next tokens at one layer and position, with how undecided the layer is.

    Args:
        cell: rows of an `ExplorerResult` at this layer and position.
    """
    first = cell.iloc[0]
    rows = "".join(
        f'<tr><td class="number">{rank}</td><td>{_text(text)}</td>{_bar(probability)}</tr>'
        for rank, text, probability in zip(cell["rank"], cell["text"], cell["probability"], strict=True)
    )
    return framed(
        f"<table><caption>Next tokens at layer {first['layer']}, after “{_text(first['token'])}” "
        f"(token {first['position']})</caption>"
        '<thead><tr><th scope="col">rank</th><th scope="col">token</th><th scope="col">probability</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
        f'<p class="quiet">entropy {first["entropy"]:.2f} bits; {first["kl"]:.2f} bits (KL) from the output</p>'
    )


def language_table(words: pd.DataFrame, *, layer: int) -> str:
    """Each language's word at a layer, beside wrong words, with its course over the layers.

    Args:
        words: as of `prompt_session.PromptSession.words`.
        layer: the chosen layer.
    """
    rows = []
    for code, part in words.groupby("language", sort=False):
        now = part[part["layer"] == layer].iloc[0]
        name = f'<th scope="row">{_name(str(code))}</th>'
        word = f'<td lang="{html.escape(str(code))}">{_text(now["word"])}</td>'
        if now["why"]:
            rows.append(f'<tr>{name}{word}<td colspan="3">{_text(now["why"])}</td></tr>')
            continue
        null = "–" if pd.isna(now["null"]) else f"{now['null']:.3f}"
        curve = _curve(part["layer"].tolist(), part["answer"].tolist(), part["null"].tolist(), layer=layer)
        rows.append(
            f'<tr>{name}{word}{_bar(now["answer"])}<td class="number">{null}</td><td>{curve}</td></tr>'
        )
    head = "".join(
        f'<th scope="col">{title}</th>'
        for title in ("language", "its word", "probability", "wrong words (null)", "over the layers")
    )
    return framed(
        f"<table><caption>Whose word it is, at layer {layer}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        '<p class="quiet">Probability that the next token begins this language’s word and no other’s shown here. '
        "Above its null (dashed) it speaks for the word; as high as its null it is the language’s register or "
        "chance. One prompt is an example, not evidence.</p>"
    )


def _name(code: str) -> str:
    """A language's English name and, where it is another, its own."""
    english, native = html.escape(plain_name(code)), own_name(code)
    same = native.strip(ISOLATES).casefold() == english.casefold()
    return english if same else f'{english} <span lang="{html.escape(code)}">{native}</span>'


def _bar(probability: float) -> str:
    """A cell with a number, its ground filled as far as the number is large."""
    share = f"{min(max(probability, 0.0), 1.0):.1%}"
    ground = translucent(TARGET, 0.35)
    return (
        f'<td class="number" style="min-width:7em;background:linear-gradient(to right,{ground} {share},'
        f'transparent {share})">{probability:.3f}</td>'
    )


def _curve(layers: Sequence[int], answer: Sequence[float], null: Sequence[float], *, layer: int) -> str:
    """A small curve over the layers from 0 to 1, dashed the null, a line at the chosen layer."""
    step = (_CURVE_WIDTH - 4) / max(1, len(layers) - 1)

    def points(values: Sequence[float]) -> str:
        places = [(2 + step * n, (1 - v) * (_CURVE_HEIGHT - 4) + 2) for n, v in enumerate(values) if v == v]
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)

    now = 2 + step * list(layers).index(layer)
    highest = max(range(len(answer)), key=lambda n: answer[n])
    return (
        f'<svg width="{_CURVE_WIDTH}" height="{_CURVE_HEIGHT}" role="img" '
        f'aria-label="highest, {answer[highest]:.2f}, at layer {layers[highest]}">'
        f'<line x1="{now:.1f}" x2="{now:.1f}" y1="0" y2="{_CURVE_HEIGHT}" stroke="{PIVOT}" stroke-width="1.5"/>'
        f'<polyline points="{points(null)}" fill="none" stroke="currentColor" stroke-width="1" '
        'stroke-dasharray="3 2" opacity="0.7"/>'
        f'<polyline points="{points(answer)}" fill="none" stroke="currentColor" stroke-width="1.8"/></svg>'
    )


def _here(is_it: bool) -> str:
    return ' class="here"' if is_it else ""


def _text(value: object) -> str:
    """Text from model or data: escaped, in one line, its direction its own."""
    return html.escape(plain(value)).join(ISOLATES)


def _short(value: object) -> str:
    text = plain(value)
    return html.escape(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…").join(ISOLATES)
