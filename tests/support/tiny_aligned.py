"""Tiny models with tokenizers that know the reviews, and settings for a run that takes a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from latentlang.models import HookedLM
from latentlang.training import alignment_data, recipe
from tests.support import tiny

#: Enough to train and to hold some out, and a batch that is not a divisor of it.
SMALL = {
    "per_pair": 12, "validation": 0.25, "batch": 4, "accumulation": 1, "learning_rate": 2e-2, "steps": 4,
    "evaluations": 2,
}  # fmt: skip


def _texts() -> list[str]:
    pairs = alignment_data(recipe("es+de+zh-en", per_pair=200)).train
    return [text for pair in pairs for text in (pair.input, pair.output)]


def byte_level() -> Tokenizer:
    """As Qwen's: bytes, and words apart from line breaks."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    _learn(backend, 500, ["<|endoftext|>"], initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    return backend


def merging() -> Tokenizer:
    """Bytes, and nothing keeps a line break and the word after it apart: they become one token."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=["<s>", "</s>"], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )  # fmt: skip
    backend.train_from_iterator(["to English:\nThe film is", ":\nThe", "English:\nIn my"] * 40, trainer)
    return backend


def byte_fallback() -> Tokenizer:
    """As Mistral's: a mark before every text, a token for every byte, a beginning token."""
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    backend = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    backend.decoder = decoders.Sequence(steps)
    words = [word for text in _texts() for word in text.replace("\n", " ").split(" ")]
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=special, show_progress=False, limit_alphabet=90
    )
    backend.train_from_iterator([f"▁{word}" for word in words], trainer)
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return backend


def _learn(backend: Tokenizer, size: int, special: list[str], **options: Any) -> None:
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=special, show_progress=False, **options)
    backend.train_from_iterator(_texts(), trainer)


def hooked(architecture: str, backend: Tokenizer, *, seed: int = 0, **special: str) -> HookedLM:
    """A tiny random model with a tokenizer."""
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **special)
    model = tiny.model(
        architecture, max_position_embeddings=512, vocab_size=backend.get_vocab_size(), seed=seed,
        bos_token_id=None, eos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    return HookedLM(model, tokenizer, name=f"tiny {architecture}")


KINDS: dict[str, Callable[[], HookedLM]] = {
    "mistral": lambda: hooked(
        "mistral", byte_fallback(), bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    ),
    "qwen2": lambda: hooked("qwen2", byte_level(), eos_token="<|endoftext|>", pad_token="<|endoftext|>"),
}
