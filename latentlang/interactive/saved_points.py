"""A saved PCA, as the explorer shows it: points of every layer in one frame, and the prompts of some of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentlang.errors import InputError
from latentlang.figures.scatter import aligned_signs, drawn
from latentlang.geometry import PCAResult
from latentlang.interactive.numbers import plain
from latentlang.interactive.saved_facts import cut_short

#: Points of a scatter and prompts of a choice that are sent.
MOST_POINTS, MOST_PROMPTS = 2000, 200


def pca_points(result: PCAResult, state: str | None, *, most: int = MOST_POINTS) -> dict[str, Any]:
    """Points of every layer in one frame: ``x`` and ``y``, ``[layer][point]``, and of each point what it is.

    Of more prompts than `most` the same items of each language are shown. Signs of the axes are chosen so that each
    layer looks like the one before.

    Raises:
        InputError: a state that is not there.
    """
    layers = list(result.layers)
    first = result.points(layer=layers[0], state=state)
    groups = max(1, first["language"].nunique())
    kept = drawn(
        first["language"].astype(str), first["item"], most=max(1, most // groups), seed=result.provenance.seed
    )
    chosen = first[kept]
    raw = []
    for layer in layers:
        rows = result.points(layer=layer, state=state)
        if not np.array_equal(rows["row"], first["row"]):
            raise InputError(f"the table has other prompts at layer {layer} than at layer {layers[0]}")
        scores = rows[[name for name in ("pc1", "pc2") if name in rows]].to_numpy(float)[kept]
        raw.append(np.pad(scores, ((0, 0), (0, 2 - scores.shape[1]))))
    signs = aligned_signs(raw)
    scores = np.stack([values * sign for values, sign in zip(raw, signs, strict=True)])
    shares = result.explained[
        (result.explained["state"] == chosen["state"].iloc[0])
        & (result.explained["axes"] == chosen["axes"].iloc[0])
    ].pivot(index="layer", columns="component", values="ratio")
    return {
        "layers": layers, "states": list(dict.fromkeys(name for name, _axes in result.views)),
        "state": str(chosen["state"].iloc[0]), "axes": str(chosen["axes"].iloc[0]),
        "x": plain(scores[..., 0], 3), "y": plain(scores[..., 1], 3),
        "rows": chosen["row"].astype(int).tolist(), "language": chosen["language"].astype(str).tolist(),
        "label": chosen["label"].astype(str).tolist(), "item": chosen["item"].astype(str).tolist(),
        "question": [cut_short(str(text)) for text in chosen["question"]],
        "share": plain(shares.reindex(index=layers, columns=[1, 2]).to_numpy(float), 4), "total": len(first),
    }  # fmt: skip


def point_prompts(result: PCAResult, state: str | None, rows: list[int]) -> dict[str, Any]:
    """The prompts of some points, whole: ``row, item, language, label, text``; the first `MOST_PROMPTS`."""
    table = result.points(state=state)
    chosen = table[table["row"].isin(rows)]
    return {
        "total": len(chosen),
        "prompts": [
            {name: str(row[name]) for name in ("item", "language", "label", "text")}
            | {"row": int(row["row"])}
            for row in chosen.head(MOST_PROMPTS).to_dict("records")
        ],
    }
