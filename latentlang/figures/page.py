"""What every page is made of: it works offline, asks no other computer for anything, is light or dark, and prints.

On a narrow screen the figures are drawn in their narrow form (`latentlang.figures.narrow`), which the page has as data.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import plotly.io
from plotly.offline import get_plotlyjs_version
from plotly.utils import PlotlyJSONEncoder

from latentlang.figures.library import library_for
from latentlang.figures.narrow import BELOW, has_narrow_form, narrow_form, patch
from latentlang.figures.style import BASELINE, GRID, INK, MUTED, PAPER, PIVOT, TARGET, font_stack, plain
from latentlang.remote_paths import located
from latentlang.storage.files import write_text

# Whatever plotly could ever try, the browser may load nothing that is not in the page. Pictures are drawn as data.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'{files}; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)
# A light page loads plotly from beside it; browsers disagree whether a file on the disk is `self`.
_FILES = " 'self' file:"
# Nor may a click send the figure to plotly's cloud, as a button does unless told.
PLOTLY_CONFIG = {"displaylogo": False, "responsive": True, "showSendToCloud": False}
LEAST_WIDTH = 640  # of a figure, in pixels; a narrower window scrolls
# Figures are drawn on white. On a dark page they are inverted and their hues turned back, which keeps the order of
# lightness of every scale; 0.92 makes their white the page's dark.
_DARK_PAPER, _DARK_INK, _DARK_MUTED, _DARK_LINE, _DARK_FAINT = (
    "#141414",
    "#E8EAED",
    "#A3ADB8",
    "#4A525C",
    "#262A2F",
)
_STYLE = """
:root {{ color-scheme: light dark; --paper: {paper}; --ink: {ink}; --muted: {muted}; --line: {line}; --faint: {faint};
  --up: {up}; --down: {down}; }}
@media screen and (prefers-color-scheme: dark) {{
  :root {{ --paper: {dark_paper}; --ink: {dark_ink}; --muted: {dark_muted}; --line: {dark_line}; --faint: {dark_faint};
    --up: #6CB8E6; --down: #F0985A; }}
  .plot:not(.themed) > div {{ filter: invert(0.92) hue-rotate(180deg); }}
}}
html {{ scroll-padding-top: 12px; }}
body {{ margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 {fonts}; }}
main {{ max-width: 1280px; margin: 0 auto; padding: 12px 20px 32px; }}
figure {{ margin: 0; }}
.plot {{ overflow-x: auto; }}
.plot > div {{ min-width: var(--least, {least_width}px); }}
.plot:focus-visible, .scroll:focus-visible, summary:focus-visible, a:focus-visible {{ outline: 2px solid var(--up);
  outline-offset: 2px; }}
figcaption {{ max-width: 46rem; margin: 20px 0 0 64px; font-size: 15px; }}
figcaption h2, figcaption h3 {{ font-size: 16px; margin: 0 0 6px; }}
figcaption p {{ margin: 0 0 10px; }}
footer {{ max-width: 60rem; margin: 20px 0 0 64px; color: var(--muted); font-size: 12.5px; overflow-wrap: anywhere; }}
.unseen {{ position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); }}
.report h1 {{ font-size: 27px; line-height: 1.25; margin: 20px 0 6px; overflow-wrap: anywhere; }}
.report h2 {{ font-size: 21px; margin: 44px 0 10px; border-top: 1px solid var(--line); padding-top: 22px; }}
.report h3 {{ font-size: 17px; margin: 26px 0 6px; }}
.report p, .report ul {{ max-width: 52rem; }}
.report figure {{ margin: 18px 0 26px; }}
.report figcaption, .report footer {{ margin-left: 0; }}
.report figcaption h3 {{ font-size: 15px; }}
.report .lead {{ font-size: 17.5px; max-width: 56rem; }}
.report .about, .report caption, .report .quiet {{ color: var(--muted); font-size: 14.5px; }}
.report nav ul {{ list-style: none; display: flex; flex-wrap: wrap; gap: 4px 20px; padding: 0; margin: 14px 0; }}
.report a {{ color: var(--up); }}
.report details {{ margin: 14px 0; border-left: 3px solid var(--faint); padding-left: 14px; }}
.report summary {{ cursor: pointer; font-weight: 600; font-size: 15px; padding: 3px 0; }}
.report figcaption details {{ margin: 0; }}
.scroll {{ overflow-x: auto; margin: 12px 0 22px; }}
table {{ border-collapse: collapse; font-size: 14px; line-height: 1.35; }}
caption {{ text-align: left; padding: 0 0 8px; max-width: 52rem; }}
th, td {{ padding: 4px 14px 4px 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--faint); }}
thead th {{ border-bottom: 1px solid var(--line); vertical-align: bottom; }}
tbody th {{ font-weight: 500; }}
.number {{ text-align: right; font-variant-numeric: tabular-nums; }}
td.number {{ white-space: nowrap; }}
td[dir] {{ text-align: start; overflow-wrap: anywhere; }}
thead th {{ max-width: 9.5em; }}
tr.first > * {{ border-top: 1px solid var(--line); }}
.up {{ color: var(--up); font-weight: 700; }}
.down {{ color: var(--down); font-weight: 700; }}
dl {{ display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 3px 18px; font-size: 14px; }}
dt {{ color: var(--muted); }}
dd {{ margin: 0; overflow-wrap: anywhere; }}
.if-narrow {{ display: none; }}
@media (max-width: 720px) {{ main {{ padding: 8px 12px 24px; }} figcaption, footer {{ margin-left: 0; }} }}
@media screen and (max-width: {narrow}px) {{
  .plot > div {{ min-width: 0; }}
  .modebar {{ display: none; }}
  .if-narrow {{ display: block; }}
  .report h1 {{ font-size: 22px; }}
  .report .lead {{ font-size: 16px; }}
  table {{ font-size: 12.5px; }}
  th, td {{ padding-right: 9px; }}
  caption {{ max-width: calc(100vw - 48px); }}
}}
@page {{ size: A4 landscape; margin: 11mm; }}
@page report {{ size: A4 portrait; margin: 12mm; }}
@media print {{
  main {{ padding: 0; max-width: none; }}
  .modebar, nav {{ display: none; }}
  .plot {{ overflow: visible; zoom: 0.76; }}
  .scroll {{ overflow: visible; }}
  table {{ font-size: 12px; }}
  .report {{ page: report; }}
  .report .plot {{ zoom: 0.7; break-inside: avoid; }}
  figcaption, tr, h2, h3 {{ break-inside: avoid; }}
  h2, h3 {{ break-after: avoid; }}
}}
"""
# A narrow form is the traces' changed values (null: gone) and a layout of its own; what was given first is kept for
# when the window is wide again.
_NARROW_SCRIPT = """<script>
addEventListener("DOMContentLoaded", () => {
  if (!window.Plotly) return;
  const narrow = matchMedia("(max-width: NARROWpx)");
  const without = trace => Object.fromEntries(Object.entries(trace).filter(([, value]) => value !== null));
  const figures = [...document.querySelectorAll("script.narrow")].map(form => {
    const drawn = form.parentElement.querySelector(".js-plotly-plot");
    const { data, layout } = JSON.parse(form.textContent);
    const given = { data: drawn.data, layout: structuredClone(drawn.layout) };
    const traces = data.length === given.data.length ? given.data.map((t, i) => without({ ...t, ...data[i] })) : data;
    return { drawn, wide: given, narrow: { data: traces, layout } };
  });
  const draw = () => figures.forEach(figure => {
    const { data, layout } = narrow.matches ? figure.narrow : figure.wide;
    const width = narrow.matches || !layout.width ? "100%" : `${layout.width}px`;
    for (const part of [figure.drawn, figure.drawn.parentElement])
      Object.assign(part.style, { width, height: `${layout.height}px` });
    Plotly.newPlot(figure.drawn, data, structuredClone(layout), CONFIG); // `react` would leave colour bars behind
  });
  if (narrow.matches) draw();
  narrow.addEventListener("change", draw);
});
</script>
""".replace("NARROW", str(BELOW)).replace("CONFIG", json.dumps(PLOTLY_CONFIG))
_MISSING_SCRIPT = """<script>
addEventListener("DOMContentLoaded", () => window.Plotly || document.querySelectorAll(".plot").forEach(part => {
  part.textContent = "The figure cannot be drawn: this page takes plotly-VERSION.min.js from its folder, " +
    "and it is missing.";
}));
</script>
""".replace("VERSION", get_plotlyjs_version())
_PAGE = """<!doctype html>
<html lang="{lang}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
{script}</head>
<body>
{body}
</body>
</html>
"""
_NARROW_CLASS = '<script type="application/json" class="narrow">'
_PLOT = """<div class="{kind}" tabindex="0" role="group" aria-label="{label}" style="--least: {least_width}px">
{plot}{narrow}
</div>
<noscript><p>This figure is drawn by the JavaScript inside this page; please allow it.</p></noscript>
"""


def write_page(
    path: str | os.PathLike[str], *, title: str, body: str, lang: str = "en", light: bool = False
) -> Path:
    """Write a page, by an atomic write.

    Args:
        path: file to write; its folder must exist.
        title: the page's title, plain text.
        body: what is in it, HTML whose texts are escaped already.
        lang: language of the page's own text, as in HTML's ``lang``.
        light: whether plotly is in a file of its own, which the page may then load.

    Returns:
        The path written.

    Raises:
        InputError: the file cannot be written.
    """
    target = located(path)
    style = _STYLE.format(
        least_width=LEAST_WIDTH, paper=PAPER, ink=INK, muted=MUTED, line=BASELINE, faint=GRID, up=TARGET,
        down=darker_pivot(), fonts=font_stack(), dark_paper=_DARK_PAPER, dark_ink=_DARK_INK, dark_muted=_DARK_MUTED,
        dark_line=_DARK_LINE, dark_faint=_DARK_FAINT, narrow=BELOW,
    )  # fmt: skip
    script = (_MISSING_SCRIPT if light else "") + (_NARROW_SCRIPT if _NARROW_CLASS in body else "")
    policy = _POLICY.format(files=_FILES if light else "")
    page = _PAGE.format(
        lang=escape(lang), policy=policy, title=escaped(title), style=style, body=body, script=script
    )
    write_text(target, page)
    return target


def escaped(text: object) -> str:
    """Text from data for a page: no markup, one line, and nothing in it that turns its neighbours around."""
    return escape(plain(text))


def darker_pivot() -> str:
    """The pivot's hue, dark enough for small text on white (contrast above 4.5)."""
    return "#" + "".join(f"{int(int(PIVOT[start : start + 2], 16) * 0.82):02X}" for start in (1, 3, 5))


def plot(
    figure: go.Figure, name: str, *, label: str = "", library: bool | str = True, narrow: bool = True
) -> str:
    """A figure as HTML.

    Args:
        figure: what to show; ``layout.meta["least_width"]`` is what it needs, in pixels.
        name: id of its element, unique in the page.
        label: what it shows, for who cannot see it: plain text; by default the figure's own title.
        library: whether plotly itself comes with it, or the file that holds it, relative to the page; a page needs it
            once, before the first figure.
        narrow: whether its narrow form comes with it, for `write_page`'s script.
    """
    bare = go.Figure(figure)
    bare.layout.meta = None  # written beside the figure, not also inside
    drawn = plotly.io.to_html(
        bare, config=PLOTLY_CONFIG, include_plotlyjs=library, full_html=False, div_id=name, validate=False
    )
    meta = meta_of(figure)
    least = int(meta.get("least_width", LEAST_WIDTH))
    kind = "plot themed" if "theme" in meta else "plot"
    form = narrow_data(figure) if narrow and has_narrow_form(figure) else ""
    return _PLOT.format(
        kind=kind, label=escaped(label or "figure"), least_width=least, plot=drawn, narrow=form
    )


def narrow_data(figure: go.Figure) -> str:
    """The narrow form of a figure as data in a page: an element with JSON, the traces' changes and a layout."""
    wide = figure.to_dict()
    form = narrow_form(wide)
    layout = {name: part for name, part in form["layout"].items() if name != "meta"}
    text = json.dumps(
        {"data": patch(wide["data"], form["data"]), "layout": layout},
        cls=PlotlyJSONEncoder,
        separators=(",", ":"),
    )
    # As plotly does: nothing in it may end the element.
    for char in "<>/":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return f"{_NARROW_CLASS}{text}</script>"


def meta_of(figure: go.Figure) -> dict[str, Any]:
    """What a figure says beside itself: ``how_to_read``, ``made_with`` (plain text), ``least_width``, ``theme``, ..."""
    return figure.layout.meta if isinstance(figure.layout.meta, dict) else {}


def texts(meta: dict[str, Any], name: str) -> list[str]:
    """One of the lists of `meta_of`."""
    return [str(text) for text in meta.get(name, ())]


def caption_html(paragraphs: Sequence[str], *, if_narrow: Sequence[str] = (), heading: str = "h2") -> str:
    """How a figure is read, below it; nothing where there is nothing to say.

    Args:
        paragraphs: plain text.
        if_narrow: further ones, of the figure's narrow form.
        heading: the tag of its heading.
    """
    if not paragraphs:
        return ""
    body = "\n".join(
        f"<p{kind}>{escaped(text)}</p>"
        for kind, texts_of_kind in (("", paragraphs), (' class="if-narrow"', if_narrow))
        for text in texts_of_kind
    )
    return f"<figcaption>\n<{heading}>How to read this</{heading}>\n{body}\n</figcaption>\n"


def footer(parts: Sequence[str]) -> str:
    """What a page was made with."""
    return f"<footer>{escaped(' · '.join(parts))}</footer>\n" if parts else ""


_BODY = """<main>
<h1 class="unseen">{title}</h1>
<figure>
{plot}{caption}</figure>
{footer}</main>"""


def write_html(
    figure: go.Figure,
    path: str | os.PathLike[str],
    *,
    title: str,
    lang: str = "en",
    caption: Sequence[str] | None = None,
    html: str = "whole",
    library_folder: Path | None = None,
) -> Path:
    """Write a figure as one page that works offline, by an atomic write.

    Args:
        figure: what to show. Where its ``layout.meta`` has ``how_to_read`` and ``made_with`` (lists of plain text, as
            `lens_figure` leaves them), they go below the figure; ``least_width`` is what it needs, in pixels.
        path: file to write; its folder must exist.
        title: the page's title, plain text.
        lang: language of the page's own text, as in HTML's ``lang``.
        caption: paragraphs of plain text that explain the figure, instead of its own.
        html: ``"whole"``, with plotly inside (4.8 MB), or ``"light"``, with a link to one copy of it in the folder.
        library_folder: that holds the copy; by default the page's own.

    Returns:
        The path written.

    Raises:
        InputError: the file cannot be written, or there is no such kind of page.
    """
    library = library_for(html, located(path), folder=library_folder)
    meta = meta_of(figure)
    body = _BODY.format(
        title=escaped(title),
        plot=plot(figure, "figure", label=title, library=library),
        caption=caption_html(
            list(caption) if caption is not None else texts(meta, "how_to_read"),
            if_narrow=texts(meta, "if_narrow") if caption is None else (),
        ),
        footer=footer(texts(meta, "made_with")),
    )
    return write_page(path, title=title, body=body, lang=lang, light=html == "light")
