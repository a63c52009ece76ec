"""A saved result: what it says, its table, and of some kinds what lies behind: items of a cell, prompts of points."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import Field

from latentlang.errors import InputError
from latentlang.geometry import PCAResult
from latentlang.interactive.messages import Message
from latentlang.interactive.request_run import RequestRun
from latentlang.interactive.saved_facts import (
    MOST_ROWS,
    of_another_model,
    provenance_lines,
    result_languages,
    result_words,
    saved_table,
)
from latentlang.interactive.saved_lens import cell_items, item_curves, lens_heat, target_languages
from latentlang.interactive.saved_points import MOST_POINTS, pca_points, point_prompts
from latentlang.interactive.session import Session
from latentlang.interactive.view_registry import register
from latentlang.language_names import language
from latentlang.lens import MultilingualLensResult
from latentlang.results import Result

What = Literal["words", "table", "heat", "items", "item", "points", "prompts"]


class SavedArguments(Message):
    """What is wanted of the result.

    Attributes:
        what: ``words``, what it says, after which model it is of where that is another; ``table``, its first rows; of
            a lens in all languages ``heat``, ``items`` of a cell and one ``item``; of a PCA ``points``, and ``prompts``
            of some of them.
        sort: column that the table is sorted by; None as it is.
        descending: the largest first.
        target: target language; None for the first.
        language: the language whose words were read, of a cell.
        layer: of a cell.
        item: whose curves are wanted.
        state: whose points.
        rows: of points whose prompts are wanted.
    """

    what: What
    sort: str | None = None
    descending: bool = False
    target: str | None = None
    language: str | None = None
    layer: int | None = None
    item: str | None = None
    state: str | None = None
    rows: list[int] = Field(default_factory=list)


def describe_saved(result: Result[Any] | None, folder: str = "") -> dict[str, Any] | None:
    """What the page is told of a saved result at first; None where there is none.

    Args:
        result: of whatever kind.
        folder: where it was read from, for code.
    """
    if result is None:
        return None
    provenance = result.provenance
    panes = [name for kind, names in _PANES.items() if isinstance(result, kind) for name in names]
    return {
        "kind": result.kind,
        "headline": repr(result)[1:-1],
        "folder": folder,
        "rows": len(result.table),
        "columns": [str(name) for name in result.table.columns],
        "panes": panes,
        "points": MOST_POINTS,
        "provenance": provenance_lines(asdict(provenance)),
        "languages": [
            {
                "code": code,
                "name": language(code).name,
                "own": language(code).own_name,
                "rtl": language(code).rtl,
            }
            for code in result_languages(result)
        ],
    }


@dataclass(frozen=True)
class SavedView:
    """One part: what is wanted of the session's result."""

    name: str = "saved"
    arguments: type[Message] = SavedArguments

    def parts(
        self, session: Session, arguments: SavedArguments, run: RequestRun, /
    ) -> Iterator[dict[str, Any]]:
        """A piece of the result.

        Raises:
            InputError: there is no result, or not this of it.
        """
        result = saved_of(session)
        what = arguments.what
        if what == "words":
            yield {
                "text": "\n".join(
                    filter(None, [of_another_model(result, session.model), result_words(result)])
                )
            }
        elif what == "table":
            yield saved_table(result, sort=arguments.sort, descending=arguments.descending)
        elif isinstance(result, MultilingualLensResult) and what == "heat":
            yield lens_heat(result, arguments.target)
        elif isinstance(result, MultilingualLensResult) and what == "items":
            yield cell_items(result, session, arguments.target, arguments.language, arguments.layer)
        elif isinstance(result, MultilingualLensResult) and what == "item":
            yield item_curves(result, session, arguments.target, arguments.item)
        elif isinstance(result, PCAResult) and what == "points":
            yield pca_points(result, arguments.state)
        elif isinstance(result, PCAResult) and what == "prompts":
            yield point_prompts(result, arguments.state, arguments.rows)
        else:
            raise InputError(f"a {type(result).__name__} has no {what}; ask for its table")

    def code(self, session: Session, arguments: SavedArguments, /) -> str:
        """Python code that gives the same from the folder."""
        result, what = saved_of(session), arguments.what
        lines = ["import latentlang as ll"]
        if session.saved_folder:  # else it is the notebook's own
            lines.append(f"result = ll.open_result({session.saved_folder!r})")
        if what == "words":
            lines.append("print(result.describe())")
        elif what == "table":
            sorted_by = (
                ""
                if arguments.sort is None
                else f".sort_values({arguments.sort!r}, ascending={not arguments.descending})"
            )
            lines.append(f"result.table{sorted_by}.head({MOST_ROWS})")
        elif isinstance(result, PCAResult):
            state = "" if arguments.state is None else f", state={arguments.state!r}"
            lines.append(
                "points = {layer: result.points(layer=layer" + state + ") for layer in result.layers}"
            )
            if what == "prompts":
                lines.append(f"points[result.layers[-1]].query('row in {arguments.rows}')")
        else:
            lines.append("cells = result.table")
            chosen = {
                "language": arguments.target or target_languages(result)[0], "answer_language": arguments.language,
                "layer": arguments.layer, "item": arguments.item,
            }  # fmt: skip
            test = " and ".join(f"{name} == {value!r}" for name, value in chosen.items() if value is not None)
            lines.append(f"cells.query({test!r})")
            if what == "heat":
                lines[-1] += (
                    ".pivot_table(index='answer_language', columns='layer', values='value', aggfunc='mean')"
                )
                lines[-1] = lines[-1].replace(
                    ".query(" + repr(test), ".query(" + repr(f"{test} and curve == 'answer'")
                )
        return "\n".join(lines)


def saved_of(session: Session) -> Result[Any]:
    """The session's saved result.

    Raises:
        InputError: it has none.
    """
    result: Result[Any] | None = session.saved
    if result is None:
        raise InputError("no saved result was opened; give a folder: latentlang explore --saved FOLDER")
    return result


_PANES: dict[type[Result[Any]], tuple[str, ...]] = {MultilingualLensResult: ("heat",), PCAResult: ("points",)}

register(SavedView())
