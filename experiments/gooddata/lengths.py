"""How long the answers of the arms are: `python -m experiments.gooddata.lengths GOODDATA OUT.csv`; no model is run.

Of every arm in Spanish, Russian and Chinese: tokens of its answers by Gemma's tokenizer, the share of answers of at
most 40 characters, and the share of answers that stand word for word in their instruction.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from latentlang.instructions import read_dialogues
from latentlang.models.loading import load_tokenizer
from latentlang.storage.files import write_text

MODEL = "gemma3-270m"
LANGUAGES = ("es", "ru", "zh")
#: Name of each arm to its files, with the language to be put in.
ARMS = {
    "native": "aya_native/aya_native_data_processed.{}.json.gz",
    "cohere": "aya_cohere_translated/aya_cohere_translated_data_processed.{}.json.gz",
    "google": "aya_google_translated/aya_google_translated_data_processed.{}.json.gz",
    "rtt-cohere":
        "aya_cohere_round_trip_translated_via_en/aya_cohere_round_trip_translated_via_en.{}.json.gz",
    "rtt-google":
        "aya_google_round_trip_translated_via_en/aya_google_round_trip_translated_via_en.{}.json.gz",
}  # fmt: skip
_SHORT, _PER_CENT = 40, 100


def measure(gooddata: Path, tokenizer: Any) -> pd.DataFrame:
    """A row a language and arm: ``language, arm, items, tokens_mean, tokens_median``; ``short, copied`` in percent."""
    rows = []
    for language in LANGUAGES:
        for arm, path in ARMS.items():
            dialogues = read_dialogues([gooddata / path.format(language)], language=language, distinct=False)
            outputs = [one.output for one in dialogues if one.output]
            tokens = [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in outputs]
            copied = [one.output.strip() in one.instruction for one in dialogues if one.output.strip()]
            rows.append({
                "language": language, "arm": arm, "items": len(dialogues), "tokens_mean": np.mean(tokens),
                "tokens_median": np.median(tokens),
                "short": _PER_CENT * np.mean([len(text) <= _SHORT for text in outputs]),
                "copied": _PER_CENT * np.mean(copied),
            })  # fmt: skip
    return pd.DataFrame(rows).round(1)


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("gooddata", type=Path, help="folder of the files of Chen et al.")
    parser.add_argument("out", type=Path, help="CSV file")
    options = parser.parse_args()
    write_text(options.out, measure(options.gooddata, load_tokenizer(MODEL)).to_csv(index=False))


if __name__ == "__main__":
    main()
