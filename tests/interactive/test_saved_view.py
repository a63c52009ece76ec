"""A saved result in the explorer: any kind's table, items behind a cell of a lens, prompts behind points of a PCA."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import latentlang as ll
from latentlang.errors import InputError
from latentlang.figures.scatter import aligned_signs
from latentlang.geometry import PCAResult, pca
from latentlang.interactive.saved_facts import saved_table
from latentlang.interactive.saved_points import pca_points
from latentlang.interactive.session import Session
from latentlang.interactive.session_start import make_session
from latentlang.interactive.views import saved as _saved  # noqa: F401 - it makes the view known
from latentlang.interactive.views.saved import describe_saved
from latentlang.lens import MultilingualLensResult
from latentlang.provenance import Provenance
from latentlang.results import Result
from tests.support.page_requests import ask
from tests.support.small_store import small_store, spectral

CODES = ("de", "ja", "en")


@pytest.fixture(scope="module")
def lens() -> MultilingualLensResult:
    task = ll.task("translation", source="fr")
    return ll.multilingual_lens("pocket", task, languages="de,ja", candidates=CODES, items=5, progress=False)


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> PCAResult:
    layers = {layer: spectral(18, 8, seed=layer) for layer in (0, 1, 2)}
    store = small_store(tmp_path_factory.mktemp("store"), layers, languages=CODES, items=6)
    return pca(store, components=3, progress=False)


def session(result: Result[Any] | None, folder: str = "results/one") -> Session:
    made = make_session(ll.load("pocket"), None, task=ll.task("translation", source="fr"))
    made.saved, made.saved_folder = result, folder
    return made


def part(result: Result[Any] | None, **arguments: Any) -> dict[str, Any]:
    replies = ask(session(result), "saved", **arguments)
    assert replies[-1].event == "done", replies[-1].text
    (found,) = [reply.data for reply in replies if reply.data is not None]
    json.dumps(found, allow_nan=False)
    return found


def test_the_page_is_told_what_it_is(lens: MultilingualLensResult, points: PCAResult) -> None:
    assert describe_saved(None) is None
    told = describe_saved(lens, "somewhere")
    assert told is not None and json.loads(json.dumps(told)) == told
    assert (told["kind"], told["panes"], told["rows"]) == ("multilingual-lens", ["heat"], len(lens.table))
    assert {"de", "ja", "en", "fr"} >= {entry["code"] for entry in told["languages"]} >= {"de", "ja"}
    assert ["model", "pocket"] in told["provenance"]
    assert (describe_saved(points) or {})["panes"] == ["points"]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({}, ""),
        ({"model": "a copy of it"}, ""),  # the revision tells
        ({"model": "other", "revision": "0" * 7}, "made with other; this page looks into pocket."),
        ({"model": "other", "revision": None}, "made with other; this page looks into pocket."),
        (
            {"revision": "0"},
            "made with pocket in the revision 0; this page looks into pocket in the revision",
        ),
        ({"adapter": "mine"}, "made with pocket with the adapter mine; this page looks into pocket."),
    ],
)
def test_a_result_of_another_model_says_so(
    lens: MultilingualLensResult, made: dict[str, Any], said: str
) -> None:
    revision = lens.provenance.revision
    assert revision is not None
    if made.get("revision") == "0":
        made = {"revision": "0" * len(revision)}
        said = said.replace("revision 0", f"revision {made['revision']}")
    text = part(replace(lens, provenance=replace(lens.provenance, **made)), what="words")["text"]
    first, _, rest = text.partition("\n")
    if said:
        assert said in first and "not from the model of the result" in first and rest == lens.describe()
    else:
        assert text == lens.describe()


def test_a_heat_map_is_the_means_over_items(lens: MultilingualLensResult) -> None:
    heat = part(lens, what="heat", target="ja")
    assert heat["targets"] == ["de", "ja"] and heat["target"] == "ja"
    for row, code in enumerate(heat["languages"]):
        for at, layer in enumerate(heat["layers"]):
            table = lens.table[(lens.table["language"] == "ja") & (lens.table["layer"] == layer)]
            cells = table[table["answer_language"] == code]
            for curve in ("answer", "null"):
                values = cells[cells["curve"] == curve]["value"].astype(float)
                expected = values.mean() if len(values) else None
                assert heat[curve][row][at] == (
                    None if expected is None else pytest.approx(expected, abs=1e-6)
                )
            assert heat["n"][row][at] == int((cells["curve"] == "answer").sum())


def test_behind_a_cell_are_its_items_the_highest_first(lens: MultilingualLensResult) -> None:
    found = part(lens, what="items", target="de", language="en", layer=5)
    cells = lens.table.query(
        "language == 'de' and answer_language == 'en' and layer == 5 and curve == 'answer'"
    )
    assert {row["item"]: row["answer"] for row in found["items"]} == pytest.approx(
        dict(zip(cells["item"], cells["value"].astype(float), strict=True)), abs=1e-6
    )
    above = [row["answer"] - row["null"] for row in found["items"]]
    assert above == sorted(above, reverse=True) and found["total"] == len(cells)
    words = ll.task("translation", source="fr").answers("en")
    assert all(row["word"] in words[row["label"]] for row in found["items"])


def test_an_item_has_its_curves_and_the_very_prompt_that_was_read(lens: MultilingualLensResult) -> None:
    item = str(lens.table["item"].iloc[0])
    found = part(lens, what="item", target="ja", item=item)
    prompts = ll.task("translation", source="fr").prompts("ja", seed=0)
    assert found["prompt"] == next(str(prompt) for prompt in prompts if prompt.item == item)
    for curve in found["curves"]:
        own = lens.table.query(
            "language == 'ja' and item == @item and curve == 'answer' and answer_language == @curve['language']"
        ).sort_values("layer")
        assert [p for p in curve["answer"] if p is not None] == pytest.approx(own["value"].tolist(), abs=1e-6)


def test_of_words_of_ones_own_no_prompt_is_made_up(lens: MultilingualLensResult) -> None:
    other = replace(lens.provenance, settings={**lens.provenance.settings, "concepts": "9 of one's own"})
    own = MultilingualLensResult(table=lens.table, provenance=other)
    assert part(own, what="item", item=str(lens.table["item"].iloc[0]))["prompt"] is None


def test_points_are_the_scores_with_one_sign_from_layer_to_layer(points: PCAResult) -> None:
    found = part(points, what="points")
    raw = [points.points(layer=layer)[["pc1", "pc2"]].to_numpy(float) for layer in points.layers]
    signs = aligned_signs(raw)
    for at, (values, sign) in enumerate(zip(raw, signs, strict=True)):
        assert np.allclose(found["x"][at], values[:, 0] * sign[0], atol=1e-3)
        assert np.allclose(found["y"][at], values[:, 1] * sign[1], atol=1e-3)
    assert found["language"] == points.points()["language"].astype(str).tolist()
    assert found["total"] == len(found["rows"]) == 18
    share = points.explained.query("layer == 1").set_index("component")["ratio"]
    assert found["share"][1] == pytest.approx([share[1], share[2]], abs=1e-4)


def test_of_many_points_the_same_items_of_each_language_are_shown(points: PCAResult) -> None:
    found = pca_points(points, None, most=9)
    table = pd.DataFrame({"language": found["language"], "item": found["item"]})
    kept = table.groupby("language")["item"].agg(set)
    assert len(table) == 9 and found["total"] == 18 and all(items == kept.iloc[0] for items in kept)
    assert len(found["x"][0]) == 9


def test_points_that_are_chosen_have_their_whole_prompts(points: PCAResult) -> None:
    found = part(points, what="prompts", rows=[3, 7, 999])
    own = points.points().set_index("row")
    assert [(row["row"], row["text"]) for row in found["prompts"]] == [
        (n, own.loc[n, "text"]) for n in (3, 7)
    ]


class _Plain(Result[Any]):
    """A result without sentences or panes of its own."""


def _plain(rows: int) -> Result[Any]:
    table = pd.DataFrame(
        {
            "name": [f"<b>{number % 7}</b>" for number in range(rows)],
            "value": [np.nan if number % 5 == 0 else number / 3 for number in range(rows)],
            "long": ["x" * 900] * rows,
        }
    )
    return _Plain(
        table=table, provenance=Provenance(model="m", task="t", languages=("de",), seed=0, settings={})
    )


def test_of_any_kind_there_is_the_table_sorted_whole_and_cut_after(lens: MultilingualLensResult) -> None:
    result = _plain(450)
    found = part(result, what="table", sort="value", descending=True)
    assert found["total"] == 450 and len(found["rows"]) == 200
    values = result.table["value"].dropna().sort_values(ascending=False).head(200)
    assert [row[1] for row in found["rows"]] == pytest.approx(values.tolist(), rel=1e-5)
    assert found["numbers"] == [False, True, False]
    assert all(len(row[2]) <= 301 for row in found["rows"]) and found["rows"][0][0].startswith("<b>")
    text = part(result, what="words")["text"]  # no sentences of its own, and of another model
    assert text.startswith("This result was made with m;") and "\n" not in text
    unsorted = saved_table(result, sort=None, descending=False)
    assert [row[1] for row in unsorted["rows"][:6]] == [
        None,
        *(pytest.approx(n / 3, rel=1e-5) for n in range(1, 5)),
        None,
    ]
    assert part(lens, what="table", sort="language")["rows"][0][1] == "de"


def test_what_it_says_is_its_own_description(points: PCAResult) -> None:
    assert part(points, what="words")["text"] == str(points.describe())


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ({"what": "table", "sort": "value", "descending": True}, ("result.table",)),
        ({"what": "words"}, ("describe()",)),
        ({"what": "heat", "target": "de"}, ("pivot_table",)),
        ({"what": "items", "target": "de", "language": "en", "layer": 5}, ("answer_language == 'en'",)),
    ],
)
def test_its_code_runs(
    lens: MultilingualLensResult, tmp_path: Path, what: dict[str, Any], names: tuple[str, ...]
) -> None:
    folder = str(lens.save(tmp_path / "result"))
    code = ask(session(lens, folder), "saved", **what)[-1].code
    assert code is not None and all(name in code for name in names)
    exec(code, {})


def test_a_result_of_the_notebook_is_looked_into_as_it_is(lens: MultilingualLensResult) -> None:
    made = make_session(ll.load("pocket"), None, task=ll.task("translation", source="fr"), saved=lens)
    assert made.saved is lens
    code = ask(made, "saved", what="heat")[-1].code
    assert code is not None and "open_result" not in code
    exec(code, {"result": lens})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"what": "points"}, "has no points"),
        ({"what": "heat", "target": "xx"}, "xx"),
        ({"what": "items", "target": "de", "language": "en", "layer": 99}, "99"),
        ({"what": "item", "item": "nothing"}, "nothing"),
        ({"what": "table", "sort": "nothing"}, "nothing"),
        ({"what": "other"}, "what"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(
    lens: MultilingualLensResult, arguments: dict[str, Any], said: str
) -> None:
    last = ask(session(lens), "saved", **arguments)[-1]
    assert last.event == "error" and last.text is not None and said in last.text and "\n" not in last.text


def test_without_a_result_it_is_said_how_to_open_one() -> None:
    last = ask(session(None), "saved", what="table")[-1]
    assert last.event == "error" and "--saved" in str(last.text)
    with pytest.raises(InputError):
        ll.open_result("nothing-here")
