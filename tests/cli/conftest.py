"""What the command-line tests share: a way to run a command, and folders of tiny random models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from latentlang.cli import main
from latentlang.tasks.words import embedded_concepts
from tests.support import tiny
from tests.support.command_line import Outcome


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """Run a command in this process, in an empty working directory."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return command


def _words() -> list[str]:
    """Text in all the scripts the word tasks are written in."""
    return [f'"{word}" ' for concept in embedded_concepts() for word in concept.words.values()]


def _byte_level() -> Tokenizer:
    """As Qwen's: byte-level BPE."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=800, special_tokens=["<|endoftext|>"], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )  # fmt: skip
    backend.train_from_iterator(_words(), trainer)
    return backend


def _byte_fallback() -> Tokenizer:
    """As Mistral's: words that begin with a mark, and a token for every byte."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    backend = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    backend.decoder = decoders.Sequence(steps)
    trainer = trainers.BpeTrainer(
        vocab_size=1100, special_tokens=pieces, show_progress=False, limit_alphabet=200
    )
    backend.train_from_iterator(_words(), trainer)
    return backend


def _save(folder: Path, architecture: str, backend: Tokenizer, **tokens: str) -> Path:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **tokens)
    model = tiny.model(architecture, max_position_embeddings=1024)
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def mistral_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Mistral with a SentencePiece-like tokenizer."""
    folder = tmp_path_factory.mktemp("models") / "Tiny Mistral"
    return _save(folder, "mistral", _byte_fallback(), bos_token="<s>", eos_token="</s>", unk_token="<unk>")


@pytest.fixture(scope="session")
def mistral_lora(mistral_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random LoRA for it."""
    folder = tmp_path_factory.mktemp("adapters") / "lora"
    tiny.adapted(AutoModelForCausalLM.from_pretrained(mistral_folder)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def qwen_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Qwen2 with a byte-level tokenizer."""
    return _save(
        tmp_path_factory.mktemp("models") / "tiny-qwen2", "qwen2", _byte_level(), eos_token="<|endoftext|>"
    )
