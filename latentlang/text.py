"""Small pieces of English that every room's sentences are made of."""

from __future__ import annotations

import functools
import html
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec

from latentlang.errors import running_shell
from latentlang.errors import shown as cut
from latentlang.printable import printable

P = ParamSpec("P")
# Columns of a printed line in a notebook: fewer than its output area has on a laptop's screen.
_NOTEBOOK_COLUMNS = 76


def in_notebook() -> bool:
    """Whether this runs in the kernel of a notebook, not in a terminal."""
    return type(running_shell()).__name__ == "ZMQInteractiveShell"


class Sentences(str):
    """What a result says of itself: a text that shows itself as paragraphs in a notebook, a line a paragraph.

    JupyterLab breaks printed lines that are too long anywhere, within words too. As the value of a cell this is HTML,
    which is broken between words; printed in a notebook, its lines are at most 76 columns. Everywhere else it is the
    text as it is.
    """

    __slots__ = ()

    def __str__(self) -> str:
        if not in_notebook():
            return str.__str__(self)
        return "\n".join(
            textwrap.fill(line, _NOTEBOOK_COLUMNS, break_long_words=False, break_on_hyphens=False)
            for line in self.splitlines()
        )

    def _repr_html_(self) -> str:
        return "".join(
            f'<p style="max-width: 48em">{html.escape(printable(line))}</p>'
            for line in self.splitlines()
            if line
        )

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """In IPython at a terminal: the text itself, not a literal with its escapes."""
        printer.text(printable(str.__str__(self)))


def sentences(method: Callable[P, str]) -> Callable[P, Sentences]:
    """A method whose text shows itself as `Sentences`."""

    @functools.wraps(method)
    def said(*args: P.args, **options: P.kwargs) -> Sentences:
        return Sentences(method(*args, **options))

    return said


def counted(count: object, noun: str, plural: str | None = None) -> str:
    """``1 item``, ``2 items``; of a span such as ``8 to 12``, and of anything but one, the plural.

    Args:
        count: how many; a whole number from 1000 on is written with commas.
        noun: of what, in the singular.
        plural: where it is not the noun and an s.
    """
    shown = f"{count:,}" if isinstance(count, int) else str(count)
    return f"{shown} {noun if shown == '1' else plural or noun + 's'}"


def are(count: int) -> str:
    """The verb of so many: ``is`` of one, ``are`` of others."""
    return "is" if count == 1 else "are"


def percent(share: float) -> str:
    """``95%`` and ``97.5%``: a share to its last digit, where ``:.0%`` would call a level of .975 98%."""
    return f"{round(100 * share, 10):.6g}%"


def listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``; empty for nothing."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def lens_name(lens: object) -> str:
    """What a lens is called everywhere: ``logit lens``, ``tuned lens``, ``Jacobian lens``."""
    return f"{'Jacobian' if lens == 'jacobian' else lens} lens"


def long_texts_words(way: str, too_long: Mapping[str, int]) -> str:
    """What was done with texts longer than the model's context, as a sentence; empty where there were none.

    Args:
        way: ``cut`` or ``drop``.
        too_long: language code to how many.
    """
    if not too_long:
        return ""
    done = "cut at their end" if way == "cut" else "left out"
    counts = ", ".join(f"{count} {f'in {code}' if code else ''}".strip() for code, count in too_long.items())
    return f"Texts longer than the model's context were {done}: {counts}."


def capital(text: str) -> str:
    """A sentence's beginning: the first letter a capital, the rest as it is."""
    return text[:1].upper() + text[1:]


#: What a change that is no chance is called, by its code.
VERBS = {"up": "rose", "down": "fell"}
#: Groups of languages, by what training has seen.
GROUPS = {"all": "all languages", "seen": "seen in training", "unseen": "never seen in training"}
#: What chance is, by the name of the null of alignment.
CHANCE = {
    "items": "translations unpaired",
    "within-label": "translations unpaired within their label",
    "within-length": "translations unpaired among items of like length",
}
#: Where activations are patched, in words.
PATCHED_PLACES = {"last": "the last token of the prompt", "object": "the last token of the word to translate"}
#: Arms of a patching run, in words.
PATCHED_ARMS = {
    "patched": "patched", "unpatched": "unpatched", "wrong-concept": "a third concept", "random": "a random change",
    "own-language": "asked directly",
}  # fmt: skip
#: The prompt that repeats words, which activations can be put into, and what stands for them in a text of one's own.
IDENTITY_PROMPT, ACTIVATION_PLACE = "identity", "{}"
#: Those of patchscopes, of which no prompt has a concept of its own.
SCOPE_ARMS = PATCHED_ARMS | {"wrong-concept": "another concept"}
#: Whose concept is read, in words.
PATCHED_CONCEPTS = {"source": "the patched-in concept", "target": "the prompt's own concept"}
#: Arms of a steering run, in words.
STEER_ARMS = {
    "steered": "steered", "unsteered": "no steering", "random": "a random direction",
    "other-language": "another language's direction", "instruction-english": "an instruction in English",
    "instruction-wanted": "an instruction in the language itself", "asked-directly": "asked directly",
}  # fmt: skip
#: Metrics of translations, and those whose scores are shares of the items.
TRANSLATION_METRICS = {
    "bleu": "BLEU", "chrf": "chrF", "chrf++": "chrF++", "ter": "TER", "comet": "COMET", "off-target": "off target",
    "undecided": "undecided", "copied": "copied", "empty": "empty", "length": "length ratio",
}  # fmt: skip
SHARES_OF_TRANSLATIONS = ("off-target", "undecided", "copied", "empty")
_SMALLEST = 1e-6  # that is written with more places than requested


def scope_name(into: str) -> str:
    """What activations are put into: the identity prompt, or a text of one's own."""
    return "an identity prompt" if into == IDENTITY_PROMPT else cut(into, most=60)


def signed(value: float, places: int = 3, *, keep_side: bool = True) -> str:
    """``+0.012`` and ``−0.012``, with a true minus sign; ``not measured`` for what is no number.

    Args:
        value: a difference.
        places: after the point.
        keep_side: what would round to 0 keeps its side of it, ``−0.0004``; otherwise it is ``+0.000``.
    """
    if math.isnan(value):
        return "not measured"
    if not keep_side:
        value = round(value, places) + 0.0  # no "-0.000"
    elif abs(value) < _SMALLEST:
        value = 0.0
    elif abs(value) < 0.5 * 10**-places:
        places = -math.floor(math.log10(abs(value)))  # the first that is not 0
    return f"{value:+.{places}f}".replace("-", "−")


def unsigned(value: float, places: int = 3) -> str:
    """``0.123``; with a true minus sign where it is negative, and never ``-0.000``."""
    if math.isnan(value):
        return "not measured"
    return f"{round(value, places) + 0.0:.{places}f}".replace("-", "−")


def span(low: float, high: float) -> str:
    """An interval: ``−0.010 to +0.020``; says so where there is none."""
    return "no interval" if math.isnan(low) or math.isnan(high) else f"{signed(low)} to {signed(high)}"


@dataclass(frozen=True)
class PoolName:
    """What a vector pooled over tokens is called.

    Attributes:
        short: in a table.
        point: of a point in a figure.
        phrase: in a sentence.
    """

    short: str
    point: str
    phrase: str


_POOLS = {
    "mean": PoolName(
        "all tokens",
        "mean over all tokens of the prompt",
        "the mean over all tokens of the prompt, few-shot prefix included (as in the reference paper)",
    ),
    "mean_no_bos": PoolName(
        "without the beginning token",
        "mean over all tokens but the beginning one",
        "the mean over all tokens but the beginning one",
    ),
    "question": PoolName(
        "question only", "mean over the question's tokens", "the mean over the question's tokens alone"
    ),
    "last": PoolName("last token", "the prompt's last token", "the prompt's last token"),
}


def pool_name(pool: str) -> PoolName:
    """What a pooling is called; one that is not known by its own name."""
    return _POOLS.get(pool) or PoolName(pool, f"pool {pool}", f"the pool {pool}")


def trained_weights(frozen: Sequence[str]) -> str:
    """Which weights were trained, where no adapter was."""
    return f"all weights but those of the {listed(frozen)}" if frozen else "all weights"
