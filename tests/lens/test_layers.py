"""Some of the layers: the same numbers as of all, true on every axis, and no more unembedded than was asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pytest
from typer.testing import CliRunner

import latentlang as ll
from latentlang.cli import app
from latentlang.errors import InputError, ModelError
from latentlang.lens import ExplorerResult, LensResult, logit_lens, multilingual_lens
from latentlang.lens.multilingual import MultilingualLensResult
from latentlang.models import HookedLM
from tests.support import tiny
from tests.support.known import ASKED, written

ASKED_FOR = {"shots": 1, "items": 6, "seed": 3}
DEPTH = 3


@pytest.fixture(scope="module")
def model() -> HookedLM:
    return HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")


@pytest.fixture
def unembedded(model: HookedLM, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Whole vocabularies that the head was asked for by the lens."""
    rows: list[float] = []
    head = HookedLM.head

    def counting(self, normed, start=0, stop=None):
        logits = head(self, normed, start, stop)
        rows.append(logits.shape[-1] * len(logits) / self.vocab_size)
        return logits

    logit_lens(model, "translation", languages="ja", **ASKED_FOR)  # the model is probed at its first use
    monkeypatch.setattr(HookedLM, "head", counting)
    yield rows


def of(table: pd.DataFrame, layers: list[int]) -> pd.DataFrame:
    return table[table["layer"].isin(layers)].reset_index(drop=True)


def same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(left, right, check_dtype=False, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("policy", ["exclusive", "shared", "sequence"])
@pytest.mark.parametrize(("layers", "read"), [([1], [1, 3]), ([-2, 1], [1, 2, 3]), (3, [3])])
def test_a_layer_reads_the_same_alone(model, policy, layers, read):
    every = logit_lens(model, "sentiment", languages="de,ja", policy=policy, **ASKED_FOR)
    some = logit_lens(model, "sentiment", languages="de,ja", policy=policy, layers=layers, **ASKED_FOR)
    same(some.table, of(every.table, read))
    assert some.provenance.settings["accuracy"] == every.provenance.settings["accuracy"]
    assert some.provenance.settings["n_layers"] == DEPTH
    assert some.provenance.settings.get("layers") == (None if len(read) == DEPTH else read)
    assert "layers" not in every.provenance.settings


def test_all_languages_at_once_read_the_same_layers(model):
    task = ll.task("translation", source="fr")
    every = multilingual_lens(model, task, languages="ja", candidates="en,de,ru", **ASKED_FOR)
    some = multilingual_lens(model, task, languages="ja", candidates="en,de,ru", layers=[2], **ASKED_FOR)
    same(some.table, of(every.table, [2, 3]))
    assert some.provenance.settings["layers"] == [2, 3]


def test_only_what_was_asked_for_is_unembedded(model, unembedded):
    def cost(run):
        unembedded.clear()
        run()
        return round(sum(unembedded), 6)

    task = ll.task("translation", source="fr")
    for lens in (logit_lens, multilingual_lens):
        every, two, last = (
            cost(
                lambda lens=lens, layers=layers: lens(model, task, languages="ja", layers=layers, **ASKED_FOR)
            )
            for layers in ("all", [1], [DEPTH])
        )
        assert (every - last, two - last) == (ASKED_FOR["items"] * (DEPTH - 1), ASKED_FOR["items"])
        assert last == 0  # the model's own logits are there


@pytest.mark.parametrize(
    ("layers", "error", "said"),
    [
        ([0], ModelError, "layer 0 is the embeddings, which no block has worked on; give layers 1 to 3"),
        ([4], ModelError, "layer 4 does not exist; 1 to 3 can be read here"),
        ([], ModelError, "no layer asked for"),
        ("some", ModelError, "layers='some'"),
        ("3-1", ModelError, "layers='3-1': the range 3-1 ends before it begins"),
        ("2-4", ModelError, "layer 4 does not exist; 1 to 3 can be read here"),
        ([1.5], ModelError, "layer 1.5 is no layer number; give whole numbers"),
        (True, ModelError, "layer True is no layer number"),
        (None, ModelError, "layer None is no layer number"),
    ],
)
def test_layers_that_are_not_there(model, layers, error, said):
    for lens in (logit_lens, multilingual_lens):
        with pytest.raises(error, match=said):
            lens(model, "translation", languages="ja", layers=layers, **ASKED_FOR)


def test_layers_are_given_in_python_as_at_a_shell(model):
    """Text, on each function that reads a model; the numbers are those that its result says it read."""
    for lens in (logit_lens, multilingual_lens):
        table = lens(model, "translation", languages="ja", layers="1-2", **ASKED_FOR).table
        assert sorted(set(table["layer"])) == [1, 2, 3]
        with pytest.raises(ModelError, match="layer 0 is the embeddings, which no block has worked on"):
            lens(model, "translation", languages="ja", layers="0-2", **ASKED_FOR)
    assert sorted(set(ll.explore(model, "abc", layers="0,2").table["layer"])) == [0, 2]
    assert sorted(set(ll.bits_per_byte(model, ["some text"], layers="0,2-3").table["layer"])) == [0, 2, 3]
    assert model.activations(["abc"], layers="1-2").layers == (1, 2)


# What is said and drawn of them


@pytest.fixture(scope="module")
def known():
    return written({2: "en", 7: ASKED}, n_layers=8)


def read(known, layers) -> MultilingualLensResult:
    return multilingual_lens(known.model, known.task, languages="ja", items=12, shots=2, layers=layers)


def test_the_pivot_is_found_among_the_layers_that_were_read(known):
    result = read(known, [1, 3, 6])
    found = result.pivot_test()
    row = found.table.iloc[-1]
    assert found.pivot == "en"
    # English stands at 3 and 6; that nobody looked at 4 and 5 makes no two stretches of them
    assert (row["first"], row["last"]) == (3, 6)
    assert sorted(found.scores["layer"].unique()) == [1, 3, 6, 8]
    assert "layers 1, 3, 6, 8 alone" in found.describe()
    assert "8 layers" in read(known, "all").describe()


def test_a_layer_read_between_parts_a_stretch():
    result = read(written({2: "en", 4: None, 5: "en", 7: ASKED}, n_layers=8), [3, 4, 6])
    row = result.pivot_test().table.iloc[-1]
    assert row["is_pivot"] and row["first"] == row["last"] and row["peak"] in (3, 6)


def test_heat_map_has_one_cell_for_each_layer_that_was_read(known):
    result = read(known, [1, 3, 6])
    figure = result.figure()
    axis = figure.layout.xaxis
    cells = next(trace for trace in figure.data if trace.type == "heatmap")
    assert dict(zip(axis.tickvals, axis.ticktext, strict=True)) == {0: "1", 1: "3", 2: "6", 3: "8"}
    assert list(cells.x) == [0, 1, 2, 3] and tuple(axis.range) == (-0.5, 3.5)
    frame = next(shape for shape in figure.layout.shapes if shape.type == "rect")
    assert (frame.x0, frame.x1) == (0.5, 2.5)  # layers 3 and 6
    assert "layers 1, 3, 6, 8 alone" in figure.layout.title.subtitle.text


def test_curves_stand_at_their_layers(known):
    result = logit_lens(known.model, known.task, languages="ja", items=12, shots=2, layers=[1, 3, 6])
    figure = result.figure()
    assert list(figure.layout.xaxis.tickvals) == [1, 3, 6, 8]
    english = next(
        trace for trace in figure.data if trace.name == "English: right word" and trace.mode != "lines"
    )
    assert list(english.x) == [1, 3, 6, 8] and english.mode == "lines+markers"
    assert english.y[1] > 0.9 > 0.1 > english.y[0]
    strip = next(trace for trace in figure.data if trace.type == "heatmap")
    assert list(strip.x) == list(range(1, 9))
    assert [cell is None for cell in strip.z[0]] == [layer not in (1, 3, 6, 8) for layer in range(1, 9)]
    assert "layers 1, 3, 6, 8 alone" in figure.layout.title.subtitle.text
    assert result.describe().startswith("Japanese: At layers 1, 3, 6, 8 alone: English leads its null")
    output = logit_lens(known.model, known.task, languages="ja", items=12, shots=2, layers=[8])
    assert output.describe().startswith("Japanese: At layer 8 alone: ")
    assert "layer 8 alone" in output.figure().layout.title.subtitle.text
    whole = logit_lens(known.model, known.task, languages="ja", items=12, shots=2)
    assert all(trace.mode == "lines" for trace in whole.figure().data if trace.type == "scatter")
    assert " alone" not in whole.describe()


def test_the_explorer_s_rows_are_as_high_as_each_other(known):
    prompt = known.task.prompts("ja", items=1, shots=2)[0]
    axis = ll.lens.explore(known.model, prompt, layers=[1, 5, 8]).figure().layout.yaxis
    assert (list(axis.tickvals), list(axis.ticktext)) == ([0, 1, 2], ["1", "5", "8"])


# The command


def test_the_command_reads_some_layers(tmp_path):
    out = tmp_path / "out"
    asked = [
        "lens",
        "--lang",
        "ja",
        "--items",
        "5",
        "--candidates",
        "en,de,ru",
        "--layers",
        "2,4-5",
        "--out",
        str(out),
    ]
    ended = CliRunner().invoke(app, asked)
    assert ended.exit_code == 0, ended.output
    depth = LensResult.load(out).provenance.settings["n_layers"]
    assert f"bars: layers 2, 4, 5, {depth}; the curves" in ended.output
    for result in (LensResult.load(out), MultilingualLensResult.load(out / "languages")):
        assert sorted(result.table["layer"].unique()) == [2, 4, 5, depth]


def test_the_command_reads_some_layers_of_one_prompt(tmp_path):
    out = tmp_path / "out"
    ended = CliRunner().invoke(app, ["lens", "--prompt", "Fleur", "--layers", "2", "--out", str(out)])
    assert ended.exit_code == 0, ended.output
    result = ExplorerResult.load(out)
    assert sorted(result.table["layer"].unique()) == [2, result.provenance.settings["n_layers"]]


@pytest.mark.parametrize("layers", ["2-", "x", "3-1"])
def test_the_command_refuses_what_are_no_layers(layers):
    ended = CliRunner().invoke(app, ["lens", "--lang", "ja", "--layers", layers])
    assert isinstance(ended.exception, InputError) and f"--layers '{layers}'" in str(ended.exception)
