"""Cells of a grid as a page is told of them."""

from __future__ import annotations

from typing import Any

from latentlang.interactive.numbers import plain
from latentlang.interactive.prompt_readings import Cells
from latentlang.interactive.token_owners import ConceptTokens, TokenOwners


def cell_records(cells: Cells, owners: TokenOwners, words: ConceptTokens) -> list[list[dict[str, Any]]]:
    """A record a cell, ``[position][layer]``: ``top``, pairs of a token's record and its probability; ``entropy``.

    Where distances to the output were read there is ``kl`` too.

    Args:
        cells: what was read.
        owners: whose the tokens are.
        words: tokens of the words which are looked for, with their languages.
    """
    known = {token: owners.record(token, words) for token in set(cells.ids.ravel().tolist())}
    ids, probabilities = cells.ids.tolist(), plain(cells.probabilities, 5)
    numbers = {"entropy": plain(cells.entropy, 3)}
    if cells.kl is not None:
        numbers["kl"] = plain(cells.kl, 3)
    return [
        [
            {"top": [[known[token], p] for token, p in zip(tokens, likely, strict=True)]}
            | {name: values[place][layer] for name, values in numbers.items()}
            for layer, (tokens, likely) in enumerate(zip(*of_position, strict=True))
        ]
        for place, of_position in enumerate(zip(ids, probabilities, strict=True))
    ]
