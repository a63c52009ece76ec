"""`latentlang pca`: from a store to a figure, without a model."""

import shutil
import sys

import numpy as np
import pytest
import torch

from latentlang.activations import open_store
from latentlang.figures import image
from latentlang.geometry import PCAResult, pca
from latentlang.installing import install_command
from tests.support.command_line import process
from tests.support.small_store import small_store, spectral


@pytest.fixture
def store(tmp_path):
    layers = {0: torch.ones(24, 8), **{layer: spectral(24, 8, seed=layer) for layer in (1, 2, 3)}}
    return small_store(
        tmp_path / "acts", layers, languages=["en", "ja", "de"], items=8, pools=("mean", "last")
    )


@pytest.fixture
def tuned(tmp_path):
    layers = {layer: spectral(24, 8, seed=layer + 9) for layer in (1, 2, 3, 4)}
    return small_store(tmp_path / "tuned", layers, languages=["en", "ja", "de"], items=8, adapter="lora")


def _ended_well(outcome) -> str:
    assert (outcome.code, outcome.err) == (0, ""), outcome.err
    assert "\x1b" not in outcome.out
    return outcome.out


def test_a_store_becomes_a_figure_a_table_and_axes(run, store, tmp_path):
    text = _ended_well(run("pca", "acts"))
    folder = tmp_path / "latentlang-out" / "pca-acts"
    assert sorted(path.name for path in folder.iterdir()) == [
        "bases.safetensors", "explained.parquet", "metadata.json", "pca.html", "prompts.parquet", "result.parquet",
    ]  # fmt: skip
    result, again = PCAResult.load(folder), pca(store)
    np.testing.assert_array_equal(result.table["pc2"], again.table["pc2"])
    assert "24 prompts in 3 languages · mean over all tokens of the prompt" in text
    shares = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()[:1].isdigit()}
    for layer in (1, 2, 3):
        first, second = result.basis(layer).ratio.tolist()
        assert shares[str(layer)] == [f"{first:.1%}", f"{second:.1%}"]
    assert shares["0"] == ["-", "-"] and "nothing varies at layer 0" in text
    page = (folder / "pca.html").read_text(encoding="utf-8")
    assert "Plotly" in page and "How to read this" in page and "question 3 in ja" in page


def test_layers_languages_pool_and_components_are_those_asked_for(run, store, tmp_path):
    _ended_well(
        run("pca", "acts", "--layers", "1-2", "--lang", "en,de", "--pools", "last", "--components", "5")
    )
    (folder,) = (tmp_path / "latentlang-out").iterdir()
    assert folder.name == "pca-acts-lang-en-de-layers-1-2-pools-last-components-5"
    result = PCAResult.load(folder)
    assert result.layers == (1, 2) and result.components == 5
    assert result.provenance.languages == ("en", "de") and result.provenance.settings["pool"] == "last"


def test_three_dimensions_need_no_further_word(run, store, tmp_path):
    _ended_well(run("pca", "acts", "--3d", "--colour", "label", "--out", "o"))
    assert PCAResult.load(tmp_path / "o").components == 3
    assert "scatter3d" in (tmp_path / "o" / "pca.html").read_text(encoding="utf-8")


def test_base_and_tuned_are_compared(run, store, tuned, tmp_path):
    text = _ended_well(run("pca", "tuned", "--base", "acts", "--out", "o"))
    result = PCAResult.load(tmp_path / "o")
    assert result.views == (("base", "base"), ("tuned", "base"), ("tuned", "tuned"))
    assert result.layers == (1, 2, 3)  # that both have
    assert "pocket and pocket + lora" in text
    assert "base; tuned, on the base's axes; tuned, on its own axes" in text


def test_a_picture_is_written_where_it_was_asked_for(run, store, tmp_path, monkeypatch):
    drawn = []

    def to_image(figure, **how):
        drawn.append((figure, how))
        return b"picture"

    monkeypatch.setattr("plotly.graph_objects.Figure.to_image", to_image)
    monkeypatch.setattr(image, "find_spec", lambda name: object())
    text = _ended_well(run("pca", "acts", "--png", "--layers", "0,3", "--out", "o"))
    assert (tmp_path / "o" / "pca.png").read_bytes() == b"picture" and "wrote o/pca.png" in text
    ((figure, how),) = drawn
    assert how == {"format": "png", "width": 1000, "scale": 2}
    assert [note.text for note in figure.layout.annotations] == ["layer 0", "layer 3"]


def test_without_kaleido_a_picture_is_refused_before_the_work(run, store, tmp_path, monkeypatch):
    monkeypatch.setattr(image, "find_spec", lambda name: None)
    outcome = run("pca", "acts", "--png")
    assert outcome.code == 2 and install_command("figures") in outcome.err
    assert not (tmp_path / "latentlang-out").exists()


def test_a_picture_that_cannot_be_drawn_is_one_line(run, store, monkeypatch):
    def to_image(figure, **how):
        raise RuntimeError("Kaleido requires\nGoogle Chrome to be installed.")

    monkeypatch.setattr("plotly.graph_objects.Figure.to_image", to_image)
    monkeypatch.setattr(image, "find_spec", lambda name: object())
    outcome = run("pca", "acts", "--png", "--out", "o")
    assert outcome.code == 2
    assert "could not be drawn: Kaleido requires Google Chrome" in outcome.err


def test_the_only_pool_of_a_store_is_taken(run, tmp_path):
    small_store(
        tmp_path / "acts", {1: spectral(24, 8)}, languages=["en", "ja", "de"], items=8, pools=("last",)
    )
    assert "the prompt's last token" in _ended_well(run("pca", "acts"))
    assert (tmp_path / "latentlang-out" / "pca-acts").is_dir()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "'nowhere' holds no activation store"),
        (("acts", "--layers", "1,x"), "numbers and ranges"),
        (("acts", "--layers", "7"), "there is no layer 7"),
        (("acts", "--pools", "max"), "unknown pool 'max'; did you mean 'mean'? the store has mean, last"),
        (("acts", "--pools", "mean,last"), "one pool is needed here, not mean, last"),
        (("acts", "--lang", "fr"), "unknown language of this store 'fr'"),
        (("acts", "--components", "1"), "--components must be at least 2"),
        (("acts", "--points", "0"), "--points must be at least 1, not 0"),
        (("acts", "--colour", "mood"), "unknown colour 'mood'"),
        (("acts", "--base", "nowhere"), "'nowhere' holds no activation store"),
        (("acts", "--device", "abacus"), "no device 'abacus' on this machine; there is cpu"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run, store, tmp_path, arguments, message):
    outcome = run("pca", *arguments)
    assert outcome.code == 2
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert not (tmp_path / "latentlang-out").exists()


def test_an_interrupted_command_says_so_and_leaves_nothing(run, store, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("latentlang.geometry.pca", interrupted)
    outcome = run("pca", "acts")
    assert outcome.code == 130 and "interrupted; nothing was written" in outcome.err
    assert not (tmp_path / "latentlang-out").exists()


def test_the_geometry_is_not_imported_before_it_is_used():
    code = "import sys, latentlang; print('latentlang.geometry' in sys.modules, 'torch' in sys.modules)"
    assert process("-c", code).out.split() == ["False", "False"]
    assert "latentlang.geometry" in sys.modules


def test_a_store_is_not_written_over(run, store, tmp_path):
    for command in ("pca", "align"):
        outcome = run(command, "acts", "--out", "acts")
        assert outcome.code == 2 and "holds an activation store, which this would spoil" in outcome.err
    assert open_store(tmp_path / "acts").layers == store.layers
    _ended_well(run("pca", "acts", "--out", "mine"))
    outcome = run("align", "acts", "--out", "mine")
    assert outcome.code == 2 and "a result of another kind, 'pca'" in outcome.err


def test_stores_of_one_name_have_folders_of_their_own(run, store, tmp_path):
    for parent in ("a", "b"):
        (tmp_path / parent).mkdir()
        shutil.copytree(tmp_path / "acts", tmp_path / parent / "acts")
        _ended_well(run("pca", f"{parent}/acts"))
    found = sorted(path.name for path in (tmp_path / "latentlang-out").iterdir())
    assert found == ["pca-a-acts", "pca-b-acts"]
