"""A folder's tokenizer cuts text as its own file says, whatever class its config names."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from latentlang.errors import ModelError
from latentlang.models import load, load_tokenizer
from latentlang.models.tokenizer_loading import load_tokenizer_of
from tests.support import tiny

TEXTS = [
    "a\n\nb\n\n\nc",
    "Review: good.\nEmotion: ",
    "The cat  is here",
    "你好世界",
    "one\n\ntwo\n\nthree",
    "12, 3",
]


@pytest.fixture
def byte_level(tmp_path: Path) -> Path:
    """A folder whose file keeps line breaks together with what stands before, as no class does by itself."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"[^\n]*\n+|[^\n]+"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<s>", "</s>"], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )  # fmt: skip
    backend.train_from_iterator(TEXTS * 20, trainer)
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    backend.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def named(folder: Path, cls: str | None, model_type: str, **settings: Any) -> Path:
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    kind = {} if cls is None else {"tokenizer_class": cls}
    (folder / "tokenizer_config.json").write_text(
        json.dumps({**kind, "bos_token": "<s>", "eos_token": "</s>", **settings})
    )
    return folder


@pytest.mark.parametrize(
    ("cls", "model_type"),
    [
        ("GPT2Tokenizer", "llama"), ("GPT2Tokenizer", "gpt2"), ("Qwen2Tokenizer", "qwen2"), (None, "olmo2"),
        ("GPTNeoXTokenizer", "gpt_neox"), ("LlamaTokenizer", "llama"), ("PreTrainedTokenizerFast", "mistral"),
        ("GemmaTokenizer", "gemma"), (None, "granite"), (None, "qwen3"),
    ],
)  # fmt: skip
def test_a_byte_level_file_is_read_as_it_is(cls: str | None, model_type: str, byte_level: Path) -> None:
    found, notes = load_tokenizer_of(named(byte_level, cls, model_type), name="odd")
    own = Tokenizer.from_file(str(byte_level / "tokenizer.json"))
    for text in TEXTS:
        assert found(text)["input_ids"] == own.encode(text).ids
    assert (found.bos_token, found.eos_token) == ("<s>", "</s>")
    assert all("the file's way is used" in note for note in notes)


def test_a_class_that_cuts_otherwise_is_noted(byte_level: Path) -> None:
    _found, notes = load_tokenizer_of(named(byte_level, "Qwen2Tokenizer", "qwen2"), name="odd")
    assert len(notes) == 1
    assert notes[0].startswith("Qwen2Tokenizer cuts '")
    assert notes[0].endswith("otherwise than the model's tokenizer.json; the file's way is used")


def test_a_beginning_that_the_config_turns_off_stays_off(byte_level: Path) -> None:
    folder = named(byte_level, "GPTNeoXTokenizer", "gpt_neox", add_bos_token=False)
    found, _notes = load_tokenizer_of(folder, name="odd")
    own = Tokenizer.from_file(str(byte_level / "tokenizer.json"))
    for text in TEXTS:
        assert found(text)["input_ids"] == own.encode(text, add_special_tokens=False).ids


@pytest.fixture(scope="module", params=["bpe", "unigram"])
def pieces(request: pytest.FixtureRequest) -> bytes:
    spm = pytest.importorskip("sentencepiece")
    written = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 50), model_writer=written, vocab_size=320, model_type=request.param,
        byte_fallback=True, character_coverage=1.0, normalization_rule_name="identity",
        remove_extra_whitespaces=False, unk_id=0, bos_id=1, eos_id=2, pad_id=-1, hard_vocab_limit=False,
    )  # fmt: skip
    return written.getvalue()


@pytest.mark.parametrize(
    ("cls", "model_type"),
    [
        (None, "mistral"), (None, "llama"), (None, "gemma"), (None, "qwen2"), ("LlamaTokenizer", "llama"),
        ("LlamaTokenizer", "mistral"), ("Qwen2Tokenizer", "qwen2"), ("PreTrainedTokenizerFast", "mistral"),
    ],
)  # fmt: skip
def test_a_sentencepiece_file_alone_is_read_as_sentencepiece_does(
    cls: str | None, model_type: str, pieces: bytes, tmp_path: Path
) -> None:
    import sentencepiece

    (tmp_path / "tokenizer.model").write_bytes(pieces)
    own = sentencepiece.SentencePieceProcessor(model_proto=pieces)
    named(tmp_path, cls, model_type)
    if cls is None:
        (tmp_path / "tokenizer_config.json").unlink()
    found, _notes = load_tokenizer_of(tmp_path, name="odd")
    for text in TEXTS:
        assert found(text)["input_ids"] == [1, *own.encode(text)]


def test_without_sentencepiece_the_package_is_named(
    pieces: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tokenizer.model").write_bytes(pieces)
    named(tmp_path, None, "mistral")
    monkeypatch.setattr("latentlang.models.tokenizer_loading.find_spec", lambda _name: None)
    with pytest.raises(ModelError, match=r"takes the package sentencepiece; `pip install sentencepiece`"):
        load_tokenizer_of(tmp_path, name="odd")


def test_every_entry_point_takes_the_files_way(byte_level: Path, caplog: pytest.LogCaptureFixture) -> None:
    named(byte_level, "Qwen2Tokenizer", "qwen2")
    tiny.model("qwen2", vocab_size=400).save_pretrained(byte_level)
    own = Tokenizer.from_file(str(byte_level / "tokenizer.json"))
    lm = load(byte_level)
    assert lm.encode(TEXTS) == [own.encode(text).ids for text in TEXTS]
    assert "the file's way is used" in lm.loading_notes[0]
    assert "the file's way is used" in caplog.text
    assert load_tokenizer(byte_level)(TEXTS[0])["input_ids"] == own.encode(TEXTS[0]).ids
