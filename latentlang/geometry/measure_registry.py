"""The measures of alignment: one record holds all that is known of one, and everything else reads it from here.

A measure is its function and one record:

    register(
        Measure(
            name="cka", function="latentlang.geometry.measures:cka",
            words="linear CKA, debiased", about="Linear CKA, ..."
        )
    )

With that it is computed by `latentlang.alignment`, named in tables, figures, the help of the command line and the
documentation, and compared before and after training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from latentlang.arguments import split_names
from latentlang.errors import InputError, unknown

if TYPE_CHECKING:
    pass

SCALES = ("correlation", "share", "distance", "ratio")
#: A measure that is not the same both ways has a column for each, named so.
WAYS = {"ab": "first to second", "ba": "second to first"}
_COMPONENT = "pc"


@dataclass(frozen=True)
class Comparing:
    """How alignment with the pivot language is spoken of where two states of a model are compared.

    Each may hold ``{pivot}``, the pivot's name, and of a measure with directions ``{way}``: from or in.

    Attributes:
        name: within a sentence.
        row: in a table.
        title: of a map of changes.
        meaning: what the map shows, for its caption.
        sentence: what the measure is, for the report.
    """

    name: str
    row: str
    title: str
    meaning: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One measure of alignment.

    Attributes:
        name: what it is asked for by, and called in a table's column ``measure``.
        function: what computes it for all pairs at once with its null and half samples: ``function(features, pairs,
            draws, **options)`` gives a `features.Measured`; or where that lies, ``"package.module:function"``, which is
            imported when it is first called. Measures of one function are computed together, in one call.
        words: what it is, in a few words: ``linear CKA, debiased``. May hold ``{number}``, of a component.
        about: the same in a sentence or two, for someone who never saw it.
        compares: what is compared, for a table of all measures; empty: `words`.
        source: where it was first described.
        comparing: words for a comparison of two states; None: made of `words`.
        sign: 1 where larger values are more aligned, -1 where smaller ones are.
        scale: on which its interval is made: ``correlation`` (at most 1), ``share`` (of items, in [0, 1]),
            ``distance`` (in [0, 1]) or ``ratio`` (not negative).
        null: ``unpaired``: translations are permuted; ``exchanged``: the two languages change places within items.
        alignment: whether it says how alike two languages are; the distance of centroids says how far apart they lie,
            whatever their shapes.
        takes: ``features`` (`features.Features`), or ``scores`` on the principal axes of all languages stacked,
            ``[language, item, component]``.
        rows: what a table has a row of: ``pair``; ``direction``, a pair one way and back (``retrieval_ab``); or
            ``component`` (``pearson_pc1``).
        options: what the function is also given: ``neighbours``, ``directions``, and ``wanted``, the names of those
            of its measures that are asked for.
        without_length: whether it has values with prompt length taken out.
        partial: what gives these, ``partial(scores, pairs, lengths)`` or where it lies; None: the same function, on
            features from which length was regressed out.
    """

    name: str
    function: Callable[..., Any] | str
    words: str
    about: str
    compares: str = ""
    source: str = ""
    comparing: Comparing | None = None
    sign: Literal[1, -1] = 1
    scale: str = "correlation"
    null: Literal["unpaired", "exchanged"] = "unpaired"
    alignment: bool = True
    takes: Literal["features", "scores"] = "features"
    rows: Literal["pair", "direction", "component"] = "pair"
    options: tuple[str, ...] = ()
    without_length: bool = True
    partial: Callable[..., Any] | str | None = None

    def columns(self, *, components: int) -> tuple[str, ...]:
        """What its rows are called in a table's column ``measure``."""
        if self.rows == "direction":
            return tuple(f"{self.name}_{way}" for way in WAYS)
        if self.rows == "component":
            return component_names(self.name, components)
        return (self.name,)

    def called(self, column: str) -> Measure | None:
        """The measure as it stands in a table under one of its names, with words of its own; None under others."""
        if self.rows == "pair":
            return self if column == self.name else None
        first, _, last = column.rpartition("_")
        if first != self.name:
            return None
        if self.rows == "direction":
            return replace(self, name=column, words=f"{self.words}, {WAYS[last]}") if last in WAYS else None
        number = last.removeprefix(_COMPONENT)
        if last.startswith(_COMPONENT) and number.isdecimal() and int(number[:9]) > 0:
            return replace(self, name=column, words=self.words.format(number=number))
        return None

    def compared_with(self, pivot: str) -> Comparing:
        """Its words for a comparison.

        Args:
            pivot: name of the pivot language.
        """
        kind = "how alike a language and {pivot} lay out the same items" if self.alignment else "with {pivot}"
        texts = self.comparing or Comparing(
            name=f"likeness to {{pivot}} by {self.words}"
            if self.alignment
            else f"{self.words}, with {{pivot}}",
            row=f"{self.words}, with {{pivot}}",
            title=f"{{pivot}}: {self.words}",
            meaning=f"{self.words}, with {{pivot}}",
            sentence=f"{self.words[:1].upper()}{self.words[1:]}: {kind}; mean over layers.",
        )
        way = "in" if self.name.endswith("_ba") else "from"
        return Comparing(**{
            name: text.replace("{way}", way).replace("{pivot}", pivot) for name, text in vars(texts).items()
        })  # fmt: skip


_MEASURES: dict[str, Measure] = {}


def register(measure: Measure) -> Measure:
    """Add a measure, after those that there are; returns it.

    Raises:
        InputError: there is one of this name, or a field holds what it cannot.
    """
    reserved = tuple(f"_{way}" for way in WAYS)
    if not measure.name.isidentifier() or measure.name == "all" or measure.name.endswith(reserved):
        raise InputError(
            f"a measure cannot be called {measure.name!r}; take letters, digits and _, no ending _ab or _ba"
        )
    columns = measure.columns(components=1)
    if measure.name in _MEASURES or any(old.called(name) for old in registered() for name in columns):
        raise InputError(f"there is a measure {measure.name!r} already; give yours another name")
    if measure.scale not in SCALES:
        raise unknown("scale", measure.scale, SCALES)
    _MEASURES[measure.name] = measure
    _forget()
    return measure


def unregister(name: str) -> None:
    """Take a measure out again.

    Raises:
        InputError: there is none of this name.
    """
    if name not in _MEASURES:
        raise unknown("measure", name, _MEASURES)
    del _MEASURES[name]
    _forget()


def _forget() -> None:
    """Let `measure` look again: it is asked for every row of a table, and remembers what it found."""
    measure.cache_clear()


def registered() -> tuple[Measure, ...]:
    """All measures, in the order of tables and figures."""
    return tuple(_MEASURES.values())


def measure_names() -> tuple[str, ...]:
    """What measures are asked for by."""
    return tuple(_MEASURES)


def chosen_measures(measures: str | Iterable[str] | None) -> tuple[str, ...]:
    """Resolve a choice of measures, in their order; None and ``"all"`` are all.

    Raises:
        InputError: an unknown measure, or none.
    """
    parts = split_names("all" if measures is None else measures)
    if not parts:
        raise InputError(f"no measure was chosen; there are {', '.join(_MEASURES)}")
    for part in parts:
        if part != "all" and part not in _MEASURES:
            raise unknown("measure", part, ["all", *_MEASURES])
    return tuple(name for name in _MEASURES if name in parts or "all" in parts)


def measure_of(name: str) -> Measure:
    """The record of a measure that is asked for by this name, one of `measure_names`."""
    return _MEASURES[name]


@lru_cache(maxsize=1024)
def measure(column: str) -> Measure:
    """Find a measure by the name it has in a table: ``cka``, ``retrieval_ab``, ``pearson_pc1``.

    Raises:
        InputError: there is none of this name.
    """
    for entry in _MEASURES.values():
        if (named := entry.called(column)) is not None:
            return named
    columns = (name for entry in _MEASURES.values() for name in entry.columns(components=1))
    raise unknown("measure", column, list(columns))


def component_names(name: str, components: int) -> tuple[str, ...]:
    """``pearson_pc1`` and so on."""
    return tuple(f"{name}_{_COMPONENT}{number}" for number in range(1, components + 1))


def together(names: Iterable[str], *, takes: str) -> Iterator[tuple[Measure, ...]]:
    """The measures asked for that take the same, those of one function together, in the order of the registry."""
    groups: dict[Any, list[Measure]] = {}
    for name in names:
        entry = _MEASURES[name]
        if entry.takes == takes:
            groups.setdefault(entry.function, []).append(entry)
    yield from map(tuple, groups.values())


def resolved(function: Callable[..., Any] | str) -> Callable[..., Any]:
    """The function itself, imported where a record says only where it lies."""
    if not isinstance(function, str):
        return function
    module, _, name = function.partition(":")
    loaded: Callable[..., Any] = getattr(import_module(module), name)
    return loaded


_GEOMETRY = "latentlang.geometry"
register(
    Measure(
        name="pearson",
        function=f"{_GEOMETRY}.measures:pearson",
        partial=f"{_GEOMETRY}.measures:partial_pearson",
        takes="scores",
        rows="component",
        words="Pearson r of component {number}",
        about="Pearson r of a component: all languages together are reduced to one number per prompt, its place on a "
        "principal axis, and r says whether items that lie far along it in one language do so in the other.",
        compares="scores on the principal components of all languages stacked, over items",
        source="Zhang et al. 2024, Appendix C",
    )
)
register(
    Measure(
        name="cka",
        function=f"{_GEOMETRY}.measures:cka",
        words="linear CKA, debiased",
        about="Linear CKA: whether items that resemble each other in one language do so in the other, over all "
        "directions; 0 for unrelated languages, 1 for the same arrangement up to rotation and size.",
        compares="similarities of all pairs of items (linear, debiased)",
        source="Kornblith et al. 2019",
        comparing=Comparing(
            name="likeness to {pivot} in layout (linear CKA)",
            row="linear CKA with {pivot}",
            title="likeness to {pivot} (CKA)",
            meaning="linear CKA with {pivot}: how alike both languages lay out the same items, 1 being alike",
            sentence="Linear CKA, debiased: how alike a language and {pivot} lay out the same items; mean over layers.",
        ),
    )
)
register(
    Measure(
        name="svcca",
        function=f"{_GEOMETRY}.subspaces:spectral",
        options=("wanted", "directions"),
        words="SVCCA, mean canonical correlation",
        about="SVCCA: the mean correlation of the best matching directions among the leading ones of each language; "
        "it is well above 0 by chance, which the null shows.",
        compares="the leading directions of each language, by canonical correlation",
        source="Raghu et al. 2017",
    )
)
register(
    Measure(
        name="procrustes",
        function=f"{_GEOMETRY}.subspaces:spectral",
        options=("wanted", "directions"),
        words="orthogonal Procrustes distance",
        about="Procrustes distance: what remains between two languages after the best rotation; 0 for the same shape.",
        sign=-1,
        scale="distance",
        compares="the leading directions of each language, after the best rotation",
        source="Schönemann 1966",
    )
)
register(
    Measure(
        name="mutual_knn",
        function=f"{_GEOMETRY}.neighbours:mutual_knn",
        options=("neighbours",),
        words="overlap of nearest neighbours",
        about="Nearest neighbours: the share of an item's nearest items that are the same in both languages.",
        scale="share",
        compares="which items are mutual nearest neighbours",
        source="Huh et al. 2024",
    )
)
register(
    Measure(
        name="retrieval",
        function=f"{_GEOMETRY}.neighbours:retrieval",
        options=("wanted",),
        rows="direction",
        words="retrieval by cosine",
        about="Retrieval: how often an item's translation is the nearest of all items in the other language.",
        scale="share",
        compares="whether an item finds its translation by cosine similarity",
        source="Artetxe and Schwenk 2019",
        comparing=Comparing(
            name="the share of translations found {way} {pivot} by cosine",
            row="translations found {way} {pivot}",
            title="translations found {way} {pivot}",
            meaning="the share of items whose translation is the nearest neighbour by cosine, found {way} {pivot}",
            sentence="Retrieval by cosine, {way} {pivot}: how alike a language and {pivot} lay out the same items; "
            "mean over layers.",
        ),
    )
)
register(
    Measure(
        name="csls",
        function=f"{_GEOMETRY}.neighbours:retrieval",
        options=("wanted", "neighbours"),
        rows="direction",
        words="retrieval by CSLS",
        about="CSLS: the same, with items that are near to everything held back.",
        scale="share",
        compares="the same, corrected for hubs",
        source="Conneau et al. 2018",
    )
)
register(
    Measure(
        name="centroid_distance",
        function=f"{_GEOMETRY}.measures:centroid_distances",
        without_length=False,
        words="distance of centroids in units of the spread",
        about="Centroids: how far apart the languages lie as a whole, in units of the spread within a language; not "
        "alignment, and it may be large while the items are perfectly aligned.",
        scale="ratio",
        null="exchanged",
        alignment=False,
        compares="distance between the centroids of the two clouds, in units of their spread",
        source="Cohen 1988",
        comparing=Comparing(
            name="the distance between the languages' centroids and {pivot}'s",
            row="distance of centroids from {pivot}",
            title="{pivot}: distance of centroids in units of the spread",
            meaning="distance of centroids in units of the spread, with {pivot}",
            sentence="Distance of centroids: how far a language's prompts lie from {pivot}'s as a whole, in units of "
            "their spread.",
        ),
    )
)
