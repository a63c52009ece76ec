"""`latentlang lens` from end to end, on the embedded model and on folders of tiny random models."""

import json
import re
import shutil

import pandas as pd
import pytest
import torch

import latentlang as ll
from latentlang.lens import LensResult
from tests.support.command_line import process
from tests.support.warm import warm_process

WRITTEN = ["lens.html", "metadata.json", "result.parquet"]


def _ended_well(outcome) -> str:
    assert (outcome.code, outcome.err) == (0, ""), outcome.err
    assert "\x1b" not in outcome.out
    return outcome.out


@pytest.mark.parametrize("given", [["--model", "nope", "--lang", "ja"], ["--lang", "nope"]])
def test_what_is_refused_at_once_needs_no_torch(given):
    code = f"import sys; from latentlang.cli import main; print(main(['lens', *{given}]), 'torch' in sys.modules)"
    ran = process("-c", code)
    assert ran.out.split() == ["2", "False"] and "unknown" in ran.err


def test_the_result_on_disk_is_the_librarys(run, tmp_path):
    text = _ended_well(run("lens", "--model", "pocket", "--lang", "ja", "--items", "12"))
    folder = tmp_path / "latentlang-out" / "lens-pocket-translation-ja-items-12"
    assert sorted(path.name for path in folder.iterdir()) == WRITTEN
    wrote = [line.removeprefix("wrote ") for line in text.splitlines() if line.startswith("wrote ")]
    assert sorted(wrote) == [str(folder.relative_to(tmp_path) / name) for name in WRITTEN]

    saved = LensResult.load(folder)
    own = ll.logit_lens(ll.load("pocket"), ll.task("translation", source="fr"), languages="ja", items=12)
    columns = [name for name in own.table.columns if name != "value"]
    assert saved.table[columns].astype(str).equals(own.table[columns].astype(str))
    torch.testing.assert_close(torch.tensor(saved.table["value"]), torch.tensor(own.table["value"]))
    assert saved.provenance.languages == ("ja",)
    assert saved.provenance.settings["source"] == "fr" and saved.provenance.settings["items"] == 12


def test_the_printed_numbers_are_the_summarys(run):
    text = _ended_well(run("lens", "--lang", "ja", "--items", "12", "--out", "out"))
    result = LensResult.load("out")
    accuracy = result.provenance.settings["accuracy"]["ja"]
    assert f"Japanese (ja) from French (fr): accuracy {accuracy:.2f}, n = 12" in text
    summary = result.summary()
    shown = {"Japanese": "target", "English": "pivot"}
    for label, curve in shown.items():
        (line,) = re.findall(rf"^  {label} +([▁-█]+)  (\S+) @(\d)  null ([▁-█]+)  (\S+) @(\d)$", text, re.M)
        for (bars, value, layer), name in ((line[:3], curve), (line[3:], f"{curve}_null")):
            own = summary[summary["curve"] == name].sort_values("layer")["mean"].to_list()
            assert len(bars) == len(own) == 8
            assert value == f"{max(own):.2f}" and own[int(layer) - 1] == max(own)
    best = result.gap()["mean"].max()
    assert f"{best:.2f} [" in text or "with confidence" in text


def test_the_page_is_self_contained_and_says_what_it_shows(run, tmp_path):
    _ended_well(run("lens", "--lang", "hi", "--items", "4", "--out", "out"))
    page = (tmp_path / "out" / "lens.html").read_text(encoding="utf-8")
    assert "<title>pocket: logit lens, translation, Hindi</title>" in page
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=.https?:", page)
    # plotly writes its data as JSON in ASCII
    assert json.dumps("हिन्दी").strip('"') in page


def test_french_among_the_languages_is_translated_from_german(run):
    text = _ended_well(run("lens", "--lang", "ja,fr", "--lang", "en", "--items", "4", "--out", "out"))
    heads = re.findall(r"^\S.* \((\w+)\) from \S+ \((\w+)\): accuracy", text, re.M)
    assert heads == [("ja", "fr"), ("fr", "de"), ("en", "fr")]
    result = LensResult.load("out")
    assert list(dict.fromkeys(result.table["language"])) == ["ja", "fr", "en"]
    assert result.provenance.settings["sources"] == {"ja": "fr", "fr": "de", "en": "fr"}
    assert "English is the target language" in text
    own = ll.logit_lens(ll.load("pocket"), "translation", languages=["ja", "fr", "en"], items=4)
    torch.testing.assert_close(torch.tensor(result.table["value"]), torch.tensor(own.table["value"]))
    names = [name for name in own.table.columns if name != "value"]
    assert result.table[names].astype(str).equals(own.table[names].astype(str))
    assert result.provenance.settings == own.provenance.settings


def test_sentiment_draws_the_sums_over_labels(run):
    text = _ended_well(
        run("lens", "--task", "sentiment", "--lang", "zh", "--items", "6", "--shots", "1", "--out", "o")
    )
    assert "pocket · sentiment · 1-shot" in text and "from " not in text
    assert "  Chinese, any label" in text and "  English, any label" in text
    assert set(LensResult.load("o").table["label"]) == {"positive", "negative"}


def test_options_reach_the_library(run):
    _ended_well(
        run("lens", "--lang", "ja", "--from", "de", "--pivot", "zh", "--shots", "2", "--items", "5", "--seed", "3",
            "--policy", "drop", "--out", "o")
    )  # fmt: skip
    made = json.loads(open("o/metadata.json", encoding="utf-8").read())["provenance"]  # noqa: PTH123, SIM115
    assert (made["seed"], made["policy"], made["task"], made["model"]) == (3, "drop", "translation", "pocket")
    wanted = {"source": "de", "pivot": "zh", "shots": 2, "items": 5, "n_layers": 8}
    assert {key: made["settings"][key] for key in wanted} == wanted


def test_the_dtype_is_the_one_asked_for(run):
    for dtype in ("fp32", "bf16"):
        _ended_well(
            run("lens", "--lang", "ja", "--items", "4", "--dtype", dtype, "--device", "cpu", "--out", dtype)
        )
    full, half = (LensResult.load(dtype).table["value"] for dtype in ("fp32", "bf16"))
    assert 0 < (full - half).abs().max() < 0.5


def test_sharing_the_few_shot_block_changes_no_number(run):
    for name, extra in (("shared", []), ("apart", ["--no-share-prefix"])):
        _ended_well(run("lens", "--lang", "th", "--items", "6", "--out", name, *extra))
    shared, apart = (LensResult.load(name).table for name in ("shared", "apart"))
    assert list(shared["item"]) == list(apart["item"])
    pd.testing.assert_series_equal(shared["value"], apart["value"], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("which", ["mistral", "qwen"])
def test_any_model_folder_works(run, request, which):
    folder = request.getfixturevalue(f"{which}_folder")
    text = _ended_well(run("lens", "--model", folder, "--lang", "ja,ru", "--shots", "2", "--items", "5"))
    (where,) = re.findall(r"^wrote (\S+)/result.parquet$", text, re.M)
    slug = {"mistral": "tiny-mistral", "qwen": "tiny-qwen2"}[which]
    assert where == f"latentlang-out/lens-{slug}-translation-ja-ru-shots-2-items-5"
    result = LensResult.load(where)
    assert result.provenance.settings["n_layers"] == 3
    target = result.table[result.table["curve"] == "target"]
    assert target["value"].between(0, 1).all() and (target["value"] > 0).any()


# peft still asks transformers by an attribute it has renamed.
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
def test_an_adapter_is_put_on_and_named(run, mistral_folder, mistral_lora, tmp_path):
    shutil.copytree(mistral_lora, tmp_path / "lora")
    for name, extra in (("base", []), ("tuned", ["--adapter", "./lora"])):
        _ended_well(
            run("lens", "--model", mistral_folder, "--lang", "ja", "--items", "4", "--out", name, *extra)
        )
    base, tuned = LensResult.load("base"), LensResult.load("tuned")
    assert base.provenance.adapter is None and tuned.provenance.adapter is not None
    assert (base.table["value"] - tuned.table["value"]).abs().max() > 1e-4


def test_as_a_process_of_its_own_in_a_narrow_pipe(tmp_path):
    ran = warm_process(
        "-m",
        "latentlang",
        "lens",
        "--lang",
        "Japanese",
        "--items",
        "4",
        "--out",
        tmp_path / "o",
        COLUMNS="44",
    )
    text = _ended_well(ran)
    prose = [line for line in text.splitlines() if not line.startswith("wrote ")]
    assert max(map(len, prose)) <= 44
    assert f"wrote {tmp_path}/o/lens.html" in text


def test_words_of_ones_own(run, tmp_path):
    words = {
        "dog": ("chien", "犬"),
        "cat": ("chat", "猫"),
        "sun": ("soleil", "太陽"),
        "book": ("livre", "本"),
    }
    (tmp_path / "words").mkdir()
    for place, code in enumerate(("fr", "ja")):
        rows = [f"{code},{english},{names[place]}" for english, names in words.items()]
        text = "\n".join(["lang,word_original,word_translation", *rows]) + "\n"
        (tmp_path / "words" / f"{code}.csv").write_text(text, encoding="utf-8")
    _ended_well(run("lens", "--lang", "ja", "--data", "words", "--shots", "1", "--out", "out"))
    result = LensResult.load("out")
    assert result.table["item"].nunique() == 3
    assert {label.rpartition("/")[2] for label in result.table["label"]} <= set(words)
