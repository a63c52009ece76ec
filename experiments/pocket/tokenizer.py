"""The tokenizer of the embedded models: a byte-fallback BPE as Mistral's and Llama 2's (`▁`, `<0xE4>`).

It is trained on the corpus of `pocket` with the non-Latin scripts thinned out, as the tokenizers of English-centric
models are in effect: most of their words take two or more tokens, and rare characters fall back to bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from experiments.pocket.corpus import Corpus
from latentlang.seeding import bucket

VOCABULARY = 6144
_DOCUMENTS = 60_000
_THINNED = 0.12
_SEED = 20


def _thinned_documents() -> Iterator[str]:
    corpus = Corpus(seed=_SEED)
    for _ in range(_DOCUMENTS):
        text = corpus.document()
        latin = sum(character < "\u0250" for character in text) / len(text)
        # Kept by its text alone, so that no draw is disturbed.
        if latin > 0.8 or bucket("thin", text, count=1000) < 1000 * _THINNED:
            yield text


def shared_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer that all embedded models share: the one in `folder`, trained and written there when missing.

    Training it is not repeatable to the last token (the trainer's ties fall differently in each process), so models
    that are to be compared must load the same file.
    """
    if not (folder / "tokenizer.json").exists():
        train_tokenizer().save_pretrained(folder)
    tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(folder)
    for loading in ("is_local", "local_files_only"):  # how it was loaded would be written with the next model
        tokenizer.init_kwargs.pop(loading, None)
    return tokenizer


def train_tokenizer(vocabulary: int = VOCABULARY) -> PreTrainedTokenizerFast:
    """Train it."""
    specials = ["<unk>", "<s>", "</s>"]
    byte_tokens = [f"<0x{value:02X}>" for value in range(256)]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    # Only for training: no merge crosses a word or joins letters with punctuation, digits or line ends.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r'▁?["=:,.。।!?\n]'), "isolated"),
            pre_tokenizers.Split(Regex("▁"), "merged_with_next"),
            pre_tokenizers.Digits(individual_digits=True),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=specials + byte_tokens,
        limit_alphabet=420,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_thinned_documents(), trainer)
    tokenizer = _as_shipped(tokenizer, specials)
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0),
    ])  # fmt: skip
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="</s>",
        model_max_length=512,
    )  # fmt: skip


def _as_shipped(tokenizer: Tokenizer, specials: list[str]) -> Tokenizer:
    """Rebuild without the training pre-tokenizer, and with bytes as ordinary tokens rather than special ones."""
    record = json.loads(tokenizer.to_str())
    record["pre_tokenizer"] = None
    record["added_tokens"] = [token for token in record["added_tokens"] if token["content"] in specials]
    return Tokenizer.from_str(json.dumps(record))
