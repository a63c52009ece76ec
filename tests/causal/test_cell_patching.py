"""A patch between two cells: against `patch` on the same pair, against a plain forward hook, and what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import latentlang as ll
from latentlang.answers import answer_sets, token_bytes
from latentlang.causal.cell_patching import CellPatching, tokens_of_words
from latentlang.causal.pairs import pair_prompts
from latentlang.errors import InputError, ModelError
from latentlang.models import HookedLM
from latentlang.models.directions import random_vectors
from tests.support.planted_lm import CONCEPT_BLOCK, DEPTH, LANGUAGE_BLOCK, as_csv, planted

SOURCE = 'Español: "libro" - Русский: "'
TARGET = 'Français: "fleur" - Deutsch: "'
WORDS = {"flower in de": "Blume", "flower in ru": "цветок", "book in de": "Buch", "book in ru": "книга"}


@pytest.fixture(scope="module")
def pocket() -> HookedLM:
    return ll.load("pocket")


def test_it_gives_what_patch_gives_for_the_same_pair(tmp_path: Path) -> None:
    model, concepts = planted()
    data = tmp_path / "words.csv"
    data.write_text(as_csv(concepts), encoding="utf-8")
    result = ll.patch(model, source="es-it", target="de-fr", data=data, items=1, controls=(), progress=False)
    item, donor = result.table[["item", "donor"]].iloc[0]
    options: dict[str, Any] = {"data": data, "shots": None, "seed": 0}
    (task, ours), (_task, theirs) = (
        pair_prompts(("de", "fr"), **options),
        pair_prompts(("es", "it"), **options),
    )
    wanted = {
        f"{concept} {code}": task.answers(code)[label]
        for concept, label in (("target", item), ("source", donor))
        for code in ("fr", "it")
    }
    patching = CellPatching(
        model, source=next(str(p) for p in theirs if p.item == donor),
        target=next(str(p) for p in ours if p.item == item), positions=(-1, -1), words=wanted,
    )  # fmt: skip
    values = result.table.set_index(["arm", "layer", "concept", "language"])["value"]
    for layer in range(1, DEPTH + 1):
        found = patching.at(layer, layer).words
        for name, before, after in found[["name", "before", "after"]].itertuples(index=False):
            concept, code = name.split()
            assert before == pytest.approx(values["unpatched", layer, concept, code], abs=1e-6)
            assert after == pytest.approx(values["patched", layer, concept, code], abs=1e-6)
    # concept and language are put together late: before that nothing of the concept is carried, and then all is
    late = patching.at(CONCEPT_BLOCK, CONCEPT_BLOCK).words.set_index("name")["after"]
    early = patching.at(LANGUAGE_BLOCK, LANGUAGE_BLOCK).words.set_index("name")["after"]
    assert late["source it"] > 0.9 and early["target it"] > 0.9


def _hooked(model: HookedLM, text: str, layer: int, position: int, value: Tensor) -> Tensor:
    """Next-token probabilities with the block's output overwritten by a plain hook of torch."""
    ids = torch.tensor(model.encode([text]))

    def overwrite(_module: Any, _args: Any, output: Any) -> Any:
        hidden = (output[0] if isinstance(output, tuple) else output).clone()
        hidden[:, position] = value
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    handle = model.lm.model.layers[layer - 1].register_forward_hook(overwrite)
    try:
        with torch.no_grad():
            return model.lm(input_ids=ids).logits[0, -1].double().softmax(-1)
    finally:
        handle.remove()


@pytest.mark.parametrize("cells", [((6, -1), (6, -1)), ((3, -4), (5, -7)), ((8, -2), (2, 1))])
def test_it_gives_what_a_plain_hook_gives_at_any_two_cells(
    pocket: HookedLM, cells: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    (from_layer, from_position), (to_layer, to_position) = cells
    patch = ll.patch_cell(
        pocket, source=SOURCE, target=TARGET, source_cell=cells[0], target_cell=cells[1], words=WORDS, top=4
    )
    value, there = (
        pocket.activations([text], layers=[layer], positions=[position], logits=False).resid[0, 0, 0].float()
        for text, layer, position in ((SOURCE, from_layer, from_position), (TARGET, to_layer, to_position))
    )
    draws = random_vectors((3, len(value)), "cell patch", 0)
    runs = [value, *(there + draw / draw.norm() * (value - there).norm() for draw in draws)]
    after, *others = (_hooked(pocket, TARGET, to_layer, to_position, each) for each in runs)
    with torch.no_grad():
        plain = pocket.lm(input_ids=torch.tensor(pocket.encode([TARGET]))).logits[0, -1].double().softmax(-1)
    counted = _counted(pocket)
    for column, probabilities in (("before", [plain]), ("after", [after]), ("random", others)):
        expected = [np.mean([float(each[ids].sum()) for each in probabilities]) for ids in counted]
        assert patch.words[column].to_numpy() == pytest.approx(np.array(expected), abs=1e-5), column
    assert patch.random.shape == (3, len(WORDS))
    assert patch.after["id"].tolist() == after.topk(4).indices.tolist()
    assert patch.before["probability"].to_numpy() == pytest.approx(plain.topk(4).values.numpy(), abs=1e-5)
    assert patch.size == pytest.approx(float((value - there).norm() / there.norm()), rel=1e-4)
    assert not pocket.edits


def _counted(model: HookedLM) -> Sequence[list[int]]:
    """Of each word the tokens that begin it and no other, by going over the sets of all words."""
    sets = answer_sets(
        token_bytes(model.tokenizer), {name: {"": (word,)} for name, word in WORDS.items()}, cue='"'
    )
    every = {name: set(sets[name, ""].ids.tolist()) for name in WORDS}
    return [
        sorted(own - set().union(*(ids for other, ids in every.items() if other != name)))
        for name, own in every.items()
    ]


def test_a_stream_put_where_it_came_from_changes_nothing(pocket: HookedLM) -> None:
    patch = ll.patch_cell(
        pocket, source=TARGET, target=TARGET, source_cell=(4, -1), target_cell=(4, -1), words=WORDS
    )
    assert patch.size == 0
    for column in ("after", "random"):
        assert patch.words[column].to_numpy() == pytest.approx(patch.words["before"].to_numpy(), abs=1e-6)


def test_words_that_no_token_tells_apart_are_not_read(pocket: HookedLM) -> None:
    patch = ll.patch_cell(
        pocket, source=SOURCE, target=TARGET, source_cell=(6, -1), target_cell=(6, -1),
        words={"one": "Blume", "other": ["Blume"], "third": "книга"},
    )  # fmt: skip
    rows = patch.words.set_index("name")
    assert rows.loc[["one", "other"], ["before", "after", "random"]].isna().all(axis=None)
    assert all("no token" in why for why in rows.loc[["one", "other"], "why"])
    assert rows.loc["third", "why"] == "" and rows.loc["third", "before"] >= 0
    assert tokens_of_words(pocket, {}, after="") == {}


def test_without_words_the_likeliest_tokens_are_told(pocket: HookedLM) -> None:
    patch = ll.patch_cell(
        pocket, source=SOURCE, target=TARGET, source_cell=(6, -1), target_cell=(6, -1), words={}
    )
    assert patch.words.empty and len(patch.after) == 5


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"source": "  "}, InputError, "the source prompt is empty"),
        ({"target": ""}, InputError, "the target prompt is empty"),
        ({"source_cell": (3, 99)}, InputError, "none at 99"),
        ({"target_cell": (3, -99)}, InputError, "none at -99"),
        ({"target_cell": (9, -1)}, ModelError, "9"),
        ({"draws": 0}, InputError, "draws"),
        ({"top": 0}, InputError, "top"),
    ],
)
def test_what_cannot_be_patched_is_said(
    pocket: HookedLM, options: dict[str, Any], kind: type, said: str
) -> None:
    given = {
        "source": SOURCE,
        "target": TARGET,
        "source_cell": (3, -1),
        "target_cell": (3, -1),
        "words": WORDS,
    }
    with pytest.raises(kind, match=said):
        ll.patch_cell(pocket, **{**given, **options})
