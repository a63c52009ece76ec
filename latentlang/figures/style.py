"""How every figure looks: colours, fonts, the plotly template, and text made safe for a figure."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence

import plotly.graph_objects as go

from latentlang.errors import InputError
from latentlang.language_names import language

# Okabe and Ito's blue and vermilion: told apart with every common colour blindness, and by their
# lightness in a grey print.
TARGET = "#0072B2"
PIVOT = "#D55E00"
SOURCE = "#007A5A"  # their bluish green, darker, so that a thin line stands out from the paper
INK = "#1F2933"
MUTED = "#5F6B7A"
GRID = "#E6EAEF"
BASELINE = "#AEB8C4"
#: Of controls that are data: they recede, and can be seen on a light and on a dark page.
CONTROL = "#848F9D"
PAPER = "#FFFFFF"
# From light to dark in even steps, so that a grey print keeps the order; no hue of the curves.
ENTROPY_SCALE = ("#F8F6FB", "#E3DDEF", "#C6BBDF", "#A395C9", "#7F6DB0", "#5C4791", "#3A2668")

# What plotly writes in on light cells, and the contrast below which small text is hard to read.
_PLOTLY_GREY, _LEGIBLE = "#444444", 3.5
_BLACK = "#000000"
# As `filter: invert(0.92) hue-rotate(180deg)` of a page and a notebook turns colours where they are dark.
_INVERTED = 0.92
_TURNED = ((-0.574, 1.43, 0.144), (0.426, 0.43, 0.144), (0.426, 1.43, -0.856))
_HEX = re.compile("#[0-9A-Fa-f]{6}")
_RGBA = re.compile(r"rgba?\((\d+),\s*(\d+),\s*(\d+)(,[^)]*)?\)")

_LATIN = "'Noto Sans'"
_HAN = {
    "ja": "'Noto Sans CJK JP', 'Noto Sans JP', 'Hiragino Sans', 'Yu Gothic'",
    "zh": "'Noto Sans CJK SC', 'Noto Sans SC', 'PingFang SC', 'Microsoft YaHei'",
    "zh-Hant": "'Noto Sans CJK TC', 'Noto Sans TC', 'PingFang TC', 'Microsoft JhengHei'",
    "ko": "'Noto Sans CJK KR', 'Noto Sans KR', 'Apple SD Gothic Neo', 'Malgun Gothic'",
}
_OTHER_SCRIPTS = (
    "'Noto Sans Devanagari', 'Noto Sans Bengali', 'Noto Sans Thai', 'Noto Sans Arabic', 'Noto Sans Hebrew', "
    "'Nirmala UI', 'Leelawadee UI'"
)
# The characters that start and end a stretch of text whose direction is its own (Unicode UAX 9).
ISOLATES = "\u2068\u2069"
_DIRECTION_CONTROLS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# Controls, halves of surrogate pairs (no file can hold them), separators of lines and of paragraphs.
_UNWRITTEN = ("Cc", "Cs", "Zl", "Zp")


def font_stack(code: str = "ja") -> str:
    """CSS font families that cover the scripts of the languages, the Han shapes of one language first.

    Args:
        code: language code; the same Chinese character is drawn differently in ``ja``, ``zh`` and ``ko``.
    """
    han = _HAN.get(code, _HAN["ja"])
    return ", ".join([_LATIN, han, _OTHER_SCRIPTS, _HAN["zh"], "system-ui", "sans-serif"])


def plain(text: object) -> str:
    """Text from data in one line: controls become spaces, and what could turn the text around it goes."""
    text = _DIRECTION_CONTROLS.sub("", str(text))
    return "".join(" " if unicodedata.category(char) in _UNWRITTEN else char for char in text)


def safe(text: object) -> str:
    """Text from data, for a label: plotly reads labels as HTML and ``%{...}`` in hover texts as a variable."""
    return html.escape(plain(text), quote=False).replace("%{", "%&#123;")


def isolated(text: str) -> str:
    """Text whose right-to-left words cannot move its neighbours."""
    return text.join(ISOLATES)


def shortened(text: str, length: int) -> str:
    """Text of at most `length` characters; of a long path, the end tells it apart, so the beginning goes."""
    return text if len(text) <= length else "…" + text[len(text) - length + 1 :]


def plain_name(code: str) -> str:
    """A language's English name as plain text; the code itself where there is none."""
    try:
        return plain(language(code).name)
    except InputError:
        return plain(code)


def english_name(code: str) -> str:
    """A language's English name, safe for a label; the code itself where there is none."""
    return safe(plain_name(code))


def own_name(code: str) -> str:
    """A language's name in itself, safe for a label and isolated; the code itself where there is none."""
    try:
        return isolated(safe(language(code).own_name))
    except InputError:
        return isolated(safe(code))


def tint(colour: str, share: float) -> str:
    """A ``#RRGGBB`` colour mixed with white; `share` in [0, 1] is how much of the colour stays."""
    mixed = [round(255 + (value - 255) * share) for value in _channels(colour)]
    return "#" + "".join(f"{value:02X}" for value in mixed)


def translucent(colour: str, opacity: float) -> str:
    """A ``#RRGGBB`` colour as ``rgba(...)`` with the opacity in [0, 1]."""
    red, green, blue = _channels(colour)
    return f"rgba({red},{green},{blue},{opacity:g})"


def shade(scale: Sequence[str], position: float) -> str:
    """The colour at a position in [0, 1] of a scale of ``#RRGGBB`` colours in even steps, as plotly mixes them."""
    place = min(1.0, max(0.0, position)) * (len(scale) - 1)
    step = min(int(place), len(scale) - 2)
    lower, upper = _channels(scale[step]), _channels(scale[step + 1])
    mixed = [round(low + (high - low) * (place - step)) for low, high in zip(lower, upper, strict=True)]
    return "#" + "".join(f"{value:02X}" for value in mixed)


def contrast(first: str, second: str) -> float:
    """Contrast of two ``#RRGGBB`` colours, 1 to 21, as WCAG counts it."""
    darker, lighter = sorted(map(_luminance, (first, second)))
    return (lighter + 0.05) / (darker + 0.05)


def written_on(text: str, colour: str) -> str:
    """The text of a cell of a heat map, in `ink_on` where plotly's own choice could not be read on the cell's colour.

    Plotly writes white on colours that it calls dark and grey on the others; on the strong colours between the two
    neither stands out, and on a dark page less still.
    """
    red, green, blue = _channels(colour)
    chosen = PAPER if (299 * red + 587 * green + 114 * blue) / 1000 < 128 else _PLOTLY_GREY
    if not text or _least_contrast(chosen, colour) >= _LEGIBLE or ink_on(colour) == chosen:
        return text
    return f"<span style='color:{ink_on(colour)}'>{text}</span>"


def ink_on(colour: str) -> str:
    """What to write with on a ``#RRGGBB`` colour: white or black, by the worse contrast of a light and a dark page."""
    return max((PAPER, _BLACK), key=lambda ink: _least_contrast(ink, colour))


def _least_contrast(ink: str, colour: str) -> float:
    """Contrast of the two on a light page or, where that is less, as a dark one turns them."""
    return min(contrast(ink, colour), contrast(turned(ink), turned(colour)))


def turned(colour: str) -> str:
    """A colour as the filter of a dark page shows it, ``#RRGGBB`` or ``rgba(...)``; what is no colour of ours stays."""
    if _HEX.fullmatch(colour):
        channels, after = list(_channels(colour)), None
    elif match := _RGBA.fullmatch(colour):
        channels, after = [int(match[number]) for number in (1, 2, 3)], match[4]
    else:
        return colour
    inverted = [_INVERTED + (1 - 2 * _INVERTED) * channel / 255 for channel in channels]
    mixed = [
        round(
            255 * min(1.0, max(0.0, sum(weight * part for weight, part in zip(row, inverted, strict=True))))
        )
        for row in _TURNED
    ]
    if after is not None:
        return f"rgba({mixed[0]},{mixed[1]},{mixed[2]}{after})"
    return "#" + "".join(f"{channel:02X}" for channel in mixed)


def _luminance(colour: str) -> float:
    shares = [value / 255 for value in _channels(colour)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def template() -> go.layout.Template:
    """The look shared by all figures; put on each figure itself, so that a user's own default stays."""
    axis = {
        "gridcolor": GRID, "linecolor": BASELINE, "zeroline": False, "ticks": "", "ticklabelstandoff": 3,
        "title": {"standoff": 10, "font": {"size": 13}}, "tickfont": {"size": 11, "color": MUTED},
    }  # fmt: skip
    return go.layout.Template(
        layout={
            "font": {"family": font_stack(), "size": 13, "color": INK},
            "paper_bgcolor": PAPER,
            "plot_bgcolor": PAPER,
            "title": {"font": {"size": 19}, "x": 0.0, "xanchor": "left"},
            # Where one tooltip tells of all curves it is over layers, unless a figure says otherwise.
            "xaxis": {**axis, "unifiedhovertitle": {"text": "layer %{x}"}},
            "yaxis": axis,
            "hoverlabel": {"bgcolor": PAPER, "bordercolor": BASELINE, "font": {"size": 12, "color": INK}},
            # The share button of plotly's bar would send the reader's data to plotly's cloud.
            "modebar": {
                "remove": ["sendChartToCloud", "select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"]
            },
            "legend": {"font": {"size": 12}, "itemwidth": 40, "tracegroupgap": 0},
        }
    )
