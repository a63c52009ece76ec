"""What answer tokens cost, beside decoding every token once: `python -m benchmarks.vocabulary_cost`.

A user without latentlang would call ``tokenizer.decode([i])`` for every token and compare texts (which loses the tokens
that are parts of characters). Measured on made-up byte-level vocabularies of 19,000 and 152,000 tokens: reading the
bytes of all tokens, looking up words in them, and the answer sets of 25 and 150 concepts in 20 languages. Work should
grow with size, not with its square: that is a test too, which counts instructions
(``tests/answers/test_token_bytes.py``). Prints a table and writes `vocabulary_cost.json`.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from benchmarks.lens_cost import Run, machine, ratio, take_turns
from latentlang.answers import answer_sets, token_bytes

SIZES = (19_000, 152_000)
CONCEPTS = (25, 150)
_LANGUAGES = 20
_LOOKUPS = 100
_ALPHABETS = ("abcdefghijklmnoprstuv", "абвгдежзиклмн", "あいうえおかきくけこ", "กขคงจฉชซ")


def vocabulary(size: int) -> Tokenizer:
    """A byte-level tokenizer of so many tokens: single bytes and random strings of two to six."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    names: dict[str, int] = {letter: i for i, letter in enumerate(alphabet)}
    generator = np.random.default_rng(0)
    while len(names) < size:
        letters = generator.integers(0, 256, size=int(generator.integers(2, 7)))
        names.setdefault("".join(alphabet[i] for i in letters), len(names))
    backend = Tokenizer(models.BPE(names, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return backend


def words(concepts: int) -> dict[str, dict[str, tuple[str, ...]]]:
    """Made-up words of so many concepts in each language."""
    generator = np.random.default_rng(1)
    made: dict[str, dict[str, tuple[str, ...]]] = {}
    for language in range(_LANGUAGES):
        letters = list(_ALPHABETS[language % len(_ALPHABETS)])
        made[f"l{language}"] = {
            f"c{concept}": ("".join(generator.choice(letters, size=int(generator.integers(2, 9)))),)
            for concept in range(concepts)
        }
    return made


def rows(*, rounds: int) -> Iterator[dict[str, Any]]:
    """The row of each size of vocabulary: median CPU seconds, and ours over decoding."""
    for size in SIZES:
        backend = vocabulary(size)
        known = PreTrainedTokenizerFast(tokenizer_object=backend)
        table = token_bytes(known)

        def read(backend: Tokenizer = backend) -> object:
            # anew: what was read of a tokenizer is kept with it
            return token_bytes(PreTrainedTokenizerFast(tokenizer_object=backend)).beginning(b"a")

        def decode(known: Any = known, size: int = size) -> object:
            return [known.decode([i]) for i in range(size)]

        def look_up(table: Any = table) -> object:
            return [table.beginning("सकारात्मक".encode()) for _ in range(_LOOKUPS)]

        runs: dict[str, Run] = {"read": read, "decode": decode, "look up": look_up}
        for concepts in CONCEPTS:
            runs[f"sets of {concepts}"] = partial(answer_sets, table, words(concepts), cue=":")
        times = take_turns(runs, rounds=rounds, device="cpu")
        yield {
            "tokens": size,
            "read_over_decode": ratio(times, "read", "decode"),
            f"sets_of_{CONCEPTS[1]}_over_{CONCEPTS[0]}": ratio(
                times, *(f"sets of {n}" for n in CONCEPTS[::-1])
            ),
            **{f"{name}_seconds": statistics.median(spent) for name, spent in times.items()},
        }


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    measured = list(rows(rounds=options.rounds))
    for row in measured:
        print({name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()})
    record = {"machine": machine("cpu"), "rounds": options.rounds, "rows": measured}
    options.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
