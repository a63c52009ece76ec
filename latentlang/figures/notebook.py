"""What a notebook shows of a result: its figure, drawn by the notebook's own plotly, and below it a card.

The card is a small table and the line that says where the result came from. The figure goes out as plotly itself
sends it (its JSON, a few kB to a few hundred), never with plotly's 4 MB of JavaScript: JupyterLab, Notebook 7, VS Code
and Colab bring their own. A page made with nbconvert has none: there the user asks plotly to send it along
(``PLOTLY_RENDERER=plotly_mimetype+notebook``). Nothing is fetched from anywhere.
"""

from __future__ import annotations

import html
import json
import math
import numbers
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from latentlang.errors import LatentlangError
from latentlang.figures.header import made_with
from latentlang.figures.narrow import BELOW, OWN_WIDTH, has_narrow_form
from latentlang.figures.page import LEAST_WIDTH, PLOTLY_CONFIG, meta_of, narrow_data, plot
from latentlang.figures.style import ISOLATES, font_stack, plain, shortened
from latentlang.text import counted

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from latentlang.results import View

MOST_ROWS = 8
_LONGEST_CELL = 60
_DIGITS = 3
# Beside a number of this size, one that is nothing to three places is nothing.
_PLAIN = 0.1
# Colours are the page's own, so that the card can be read in a light and in a dark notebook. Figures are drawn on
# white: where the notebook says that it is dark (JupyterLab and Notebook 7, VS Code, Colab), the figure that stands
# over its card is inverted as on a dark page of ours; other people's figures are left alone.
_DARK = (
    'body[data-jp-theme-light="false"]', 'body[data-vscode-theme-kind="vscode-dark"]', 'html[theme="dark"]',
)  # fmt: skip
_FIGURES = (
    ".latentlang-plot .js-plotly-plot",
    ".jp-OutputArea-child:has(+ .jp-OutputArea-child .latentlang-figured) .js-plotly-plot",
    ".output_container:has(.latentlang-figured) .js-plotly-plot",
    # JupyterLab keeps a picture of a figure and shows that when the notebook is opened again.
    ".jp-OutputArea-child:has(+ .jp-OutputArea-child .latentlang-figured) .plot-img",
)
_INVERTED = ",\n".join(f"{dark} {figure}" for dark in _DARK for figure in _FIGURES)
_DARK_STYLE = f"{_INVERTED} {{ filter: invert(0.92) hue-rotate(180deg); }}"
# The figure above is drawn by the notebook's plotly some time later, and the cell may become wider or narrower. Where
# that plotly cannot be reached, or the notebook runs no scripts, the figure stays as it is.
_NARROW_SCRIPT = """<script>
(() => {
  const form = document.getElementById("ID");
  const child = form.closest(".jp-OutputArea-child");
  const before = plot => form.compareDocumentPosition(plot) & Node.DOCUMENT_POSITION_PRECEDING;
  const around = form.closest(".output_container, .latentlang-whole") || document.body;
  const find = () => child && child.previousElementSibling
    ? child.previousElementSibling.querySelector(".js-plotly-plot")
    : [...around.querySelectorAll(".js-plotly-plot")].filter(before).pop();
  const without = trace => Object.fromEntries(Object.entries(trace).filter(([, value]) => value !== null));
  const fit = drawn => {
    const { data, layout } = JSON.parse(form.querySelector("script").textContent);
    const given = { data: drawn.data, layout: structuredClone(drawn.layout) };
    const traces = data.length === given.data.length ? given.data.map((t, i) => without({ ...t, ...data[i] })) : data;
    let narrow = false;
    const draw = () => {
      // JupyterLab's prompt stands beside the figure, in the same parent.
      const room = Math.min(drawn.clientWidth, drawn.parentElement.clientWidth);
      if (!room || (room < LEAST) === narrow) return;
      narrow = !narrow;
      const figure = narrow ? { data: traces, layout } : given;
      drawn.style.height = `${figure.layout.height}px`;
      Plotly.newPlot(drawn, figure.data, structuredClone(figure.layout),
        narrow ? { ...CONFIG, displayModeBar: false } : CONFIG); // there is no room for it beside the title
    };
    new ResizeObserver(draw).observe(drawn.parentElement);
    draw();
  };
  let tries = 0;
  const wait = () => {
    const drawn = find();
    if (window.Plotly && drawn && drawn.data && drawn.layout) fit(drawn);
    else if (tries++ < 150) setTimeout(wait, 200);
  };
  wait();
})();
</script>""".replace("CONFIG", json.dumps(PLOTLY_CONFIG))
_STYLE = f"""<style>
{_DARK_STYLE}
.latentlang-card, .latentlang-card table {{ font-family: {font_stack()}; }}
.latentlang-card {{ font-size: 13px; line-height: 1.4; max-width: 100%; margin: 4px 0 10px; }}
.latentlang-card p {{ margin: 0 0 4px; }}
.latentlang-card ul {{ margin: 0 0 4px; padding-left: 20px; }}
.latentlang-card .scroll {{ overflow-x: auto; margin: 6px 0; }}
.latentlang-card table {{ border-collapse: collapse; margin: 0; font-size: inherit; }}
.latentlang-card th, .latentlang-card td {{ padding: 2px 12px 2px 0; text-align: left !important; white-space: nowrap;
  border-bottom: 1px solid rgba(127, 127, 127, 0.25); font-variant-numeric: tabular-nums; }}
.latentlang-card table .number {{ text-align: right !important; }}
.latentlang-card .quiet {{ opacity: 0.75; font-size: 12px; overflow-wrap: anywhere; }}
.latentlang-card dl {{ display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 1px 16px;
  margin: 4px 0; }}
.latentlang-card dt {{ opacity: 0.75; }}
.latentlang-card dd {{ margin: 0; overflow-wrap: anywhere; }}
</style>"""


def card(view: View, *, remark: str = "", figure: go.Figure | None = None) -> str:
    """Headline, words, small table and provenance as HTML, all text escaped.

    Args:
        view: what to show.
        remark: a sentence after the headline, plain text.
        figure: that stands above it, if one does: it is dark where the notebook is, and narrow where the cell is.
    """
    parts = [f"<p><b>{_escaped(view.headline)}</b></p>"]
    if remark:
        parts.append(f"<p>{_escaped(remark)}</p>")
    try:
        if view.words is not None:
            parts.append(f"<p>{_escaped(view.words())}</p>")
        if view.points is not None:
            parts.append(f"<ul>{''.join(f'<li>{_escaped(point)}</li>' for point in view.points())}</ul>")
        parts.append(small_table(view.table()))
    except LatentlangError as error:
        parts.append(f"<p>{_escaped(error)}</p>")
    if view.provenance is not None:
        parts.append(f'<p class="quiet">{html.escape(" · ".join(made_with(view.provenance)))}</p>')
    dark = figure is not None and _follows_theme(figure)
    return _framed("\n".join(parts), figured=dark) + fitting(figure)


def page_part(view: View) -> str:
    """Figure and card as one piece of HTML, with plotly inside (4 MB): for what can read only HTML."""
    figure, remark = _figure(view)
    drawn = (
        "" if figure is None else plot(figure, f"latentlang-{uuid4().hex}", label=view.headline, narrow=False)
    )
    narrow = fitting(figure) if drawn else ""
    return f'<div class="latentlang-whole"><div class="latentlang-plot">{drawn}</div>{narrow}</div>' + card(
        view, remark=remark
    )


def show(view: View) -> None:
    """Display it where IPython runs: figure and card in a notebook, one line of text in a terminal."""
    from IPython import get_ipython
    from IPython.display import display

    text = {"text/plain": f"<{view.headline}>"}
    shell = get_ipython()
    if shell is None or type(shell).__name__ == "TerminalInteractiveShell":
        # plotly would open a browser for each result whose name is typed
        display(text, raw=True)
        return
    figure, remark = _figure(view)
    bundle = {} if figure is None else _bundle(figure)
    if bundle:
        display(text | bundle, raw=True)
    above = figure if bundle else None
    display(text | {"text/html": card(view, remark=remark, figure=above)}, raw=True)


def show_figure(figure: go.Figure) -> bool:
    """Display a figure in a notebook, with what makes it suit its theme and its cell; whether it was displayed.

    It is not where the user turned plotly's display off, or chose a renderer that opens a window.

    Args:
        figure: any.
    """
    from IPython.display import display

    bundle = _bundle(figure)
    if not bundle:
        return False
    display(bundle, raw=True)
    dark = _follows_theme(figure)
    narrow = fitting(figure)
    if dark or narrow:
        mark = f'<style>{_DARK_STYLE}</style><div class="latentlang-figured"></div>' if dark else ""
        display({"text/html": mark + narrow, "text/plain": ""}, raw=True)
    return True


def _follows_theme(figure: go.Figure) -> bool:
    """Whether it was drawn in no theme that somebody asked for."""
    return "theme" not in meta_of(figure)


def fitting(figure: go.Figure | None) -> str:
    """The narrow form of the figure above, and the script that draws it; empty where it has none, or has a width."""
    if figure is None or not has_narrow_form(figure):
        return ""
    meta = meta_of(figure)
    if figure.layout.width not in (None, meta.get(OWN_WIDTH)):
        return ""
    name = f"latentlang-{uuid4().hex}"
    # A figure with a width of its own shows more of its columns than its narrow form where it is wider than that.
    least = BELOW if OWN_WIDTH in meta else max(BELOW, int(meta.get("least_width", LEAST_WIDTH)))
    script = _NARROW_SCRIPT.replace("ID", name).replace("LEAST", str(least))
    return f'<div id="{name}">{narrow_data(figure)}</div>{script}'


def _figure(view: View) -> tuple[go.Figure | None, str]:
    """The figure, or why there is none."""
    if view.figure is None:
        return None, ""
    try:
        return view.figure(), ""
    except LatentlangError as error:
        return None, f"There is no figure: {error}"


def _bundle(figure: go.Figure) -> dict[str, Any]:
    """What plotly itself would send of the figure, as its user set ``plotly.io.renderers``; empty for nothing."""
    import plotly.io

    if not (plotly.io.renderers.render_on_display and plotly.io.renderers.default):
        return {}
    bundle: dict[str, Any] = figure._repr_mimebundle_()
    return bundle


def small_table(table: pd.DataFrame, *, most: int = MOST_ROWS) -> str:
    """The first rows of a table as HTML, numbers to three digits; says how many rows are left out.

    Beside numbers of 0.1 and more, what is nothing to three places is told as that, as figure and sentences tell it; of
    p-values (``p``, ``p_value``), and where a column has small numbers alone, it is their size that counts.

    Args:
        table: any table; its text is escaped, its index left out.
        most: how many rows to show.
    """
    if table.empty:
        return "<p>(no rows)</p>"
    columns = [str(name) for name in table.columns]
    numeric = [_is_numeric(table.iloc[:, column]) for column in range(len(columns))]
    kind = {True: ' class="number"', False: ""}
    head = "".join(
        f'<th scope="col"{kind[right]}>{_escaped(name.replace("_", " "))}</th>'
        for name, right in zip(columns, numeric, strict=True)
    )
    rows, shown = [], table.head(most)
    sized = [not right or _tells_size(shown.iloc[:, at], columns[at]) for at, right in enumerate(numeric)]
    for row in shown.itertuples(index=False, name=None):
        cells = "".join(
            f"<td{kind[right]}>{_cell(v, sized=size)}</td>"
            for v, right, size in zip(row, numeric, sized, strict=True)
        )
        rows.append(f"<tr>{cells}</tr>")
    left = f'<p class="quiet">… and {counted(len(table) - most, "more row")}</p>' if len(table) > most else ""
    body = "\n".join(rows)
    return f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>{left}'


def facts(rows: Mapping[str, str]) -> str:
    """Names and what they are, as HTML; plain text, escaped."""
    body = "".join(f"<dt>{_escaped(name)}</dt><dd>{_escaped(text)}</dd>" for name, text in rows.items())
    return _framed(f"<dl>{body}</dl>")


def _framed(body: str, *, figured: bool = False) -> str:
    kind = "latentlang-card latentlang-figured" if figured else "latentlang-card"
    return f'{_STYLE}\n<div class="{kind}">\n{body}\n</div>'


def _escaped(text: object) -> str:
    return html.escape(plain(text))


def _is_numeric(column: pd.Series[Any]) -> bool:
    return column.dtype.kind in "iuf"


def _tells_size(column: pd.Series[Any], name: str) -> bool:
    """Whether the size of numbers that are nothing to three places is worth telling in a column."""
    largest = float(column.abs().max())
    return name == "p" or name.startswith("p_") or not largest >= _PLAIN


def _cell(value: object, *, sized: bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return ""
    if isinstance(value, numbers.Integral):
        return str(int(value))
    if isinstance(value, numbers.Real):
        number = float(value)
        if math.isnan(number):
            return "–"
        plainly = abs(number) < 1e3 and (abs(number) >= 1e-3 or number == 0 or not sized)
        return f"{round(number, _DIGITS) + 0.0:.{_DIGITS}f}" if plainly else f"{number:.{_DIGITS}g}"
    # Words of right-to-left scripts must not move their neighbours.
    return html.escape(shortened(plain(value), _LONGEST_CELL).join(ISOLATES))
