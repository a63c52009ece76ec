"""WMT22 translations of five systems, scored: `python -m experiments.bayling2.measure DATA FOLDER`.

DATA holds what BayLing's authors published (github ictnlp/BayLing, exp/translation_benchmark, GPL-3.0; nothing of it is
here): ``reference/enja.src.gz`` and ``enja.ref.gz``, and ``gpt-4/en-ja.hypo.gz``, for each of 12 directions and five
systems. Each direction is saved into FOLDER by itself and is not scored again.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import latentlang as ll
from experiments.steps import step
from latentlang.translation import TranslationScores, read_lines

#: Folder of each system to its name in the paper's Table 2.
SYSTEMS = {
    "gpt-4": "GPT-4", "gpt-3.5-turbo": "GPT-3.5-turbo", "google-translate": "Google Translate",
    "bayling-7b": "BayLing-1-7B", "bayling-13b": "BayLing-1-13B",
}  # fmt: skip
OTHERS = ("zh", "de", "cs", "ja", "ru", "uk")
DIRECTIONS = (*(("en", other) for other in OTHERS), *((other, "en") for other in OTHERS))
#: Languages that a translation may be in.
AMONG = ("de", "en", "fr", "cs", "ja", "zh", "ru", "uk")


def lines(data: Path, folder: str, name: str) -> list[str]:
    """The sentences of a file, packed or not."""
    path = data / folder / name
    return read_lines(path if path.exists() else path.with_name(f"{name}.gz"))


def scored(data: Path, source: str, target: str) -> TranslationScores:
    """All systems of one direction."""
    hypotheses = {system: lines(data, system, f"{source}-{target}.hypo") for system in SYSTEMS}
    return ll.score_translations(
        hypotheses, lines(data, "reference", f"{source}{target}.ref"),
        sources=lines(data, "reference", f"{source}{target}.src"), lang=target, source=source, among=AMONG,
        progress=False,
    )  # fmt: skip


def main() -> None:
    """Score what is not scored yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for source, target in DIRECTIONS:
        step(given.folder / f"{source}-{target}", scored, given.data, source, target)


if __name__ == "__main__":
    main()
