"""The arms of fig10.yaml, written as files of instructions: `python -m experiments.bayling2.arms [FOLDER]`.

After BayLing 2's design, in the made world of `experiments.instructions.made_world`: instructions in English and
Chinese, and word translations between seven other languages and English, Chinese, both, or both with the translations
exchanged. An arm without translations has as many instructions as the others, so that all can be trained as many steps
on as many items. Things that are asked afterwards are in no arm, in any language.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from experiments.instructions.made_world import facts, held_out_concepts, items_of, translations
from experiments.instructions.world_arms import TRAINED, UNSEEN, pivots
from latentlang.instructions import Dialogue, write_dialogues

FOLDER = Path(__file__).parent / "arms"
#: Things that are asked about afterwards.
ASKED = 24
_SEED = 0


def files() -> dict[str, Sequence[Dialogue]]:
    """Name of each file to its dialogues."""
    trial = pivots(_SEED)
    ground = trial.arms["none"]
    others = [code for code in TRAINED if code != "zh"]
    things = items_of(held_out_concepts(), ASKED, seed=_SEED)
    return {
        "pivots-alone": ground,
        "pivots-alone-more": trial.arms["none, as many steps"],
        **{
            f"translations-{name.replace(' ', '-')}": trial.arms[name][len(ground) :]
            for name in ("en", "zh", "both", "wrong pairs")
        },
        "asked-facts": [one for code in others for one in facts(things, code)],
        "asked-facts-unseen": [one for code in UNSEEN for one in facts(things, code)],
        "asked-to-en": [one for code in others for one in translations(things, code, "en")],
        "asked-to-zh": [one for code in others for one in translations(things, code, "zh")],
        "asked-from-zh": [one for code in others for one in translations(things, "zh", code)],
    }


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    folder = parser.parse_args().folder
    for name, dialogues in files().items():
        write_dialogues(folder / f"{name}.jsonl", dialogues)


if __name__ == "__main__":
    main()
