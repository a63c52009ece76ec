"""In which language Gemma 3 270M answers, and in which layers that is seen: `python -m experiments.bactrianx.measure`.

The arms of `experiments.instructions.small_sets.written_anew` (Bactrian-X's own instructions are not needed for them)
are trained by LoRA: instructions answered in their own language, English instructions alone, as Alpaca's are, and the
same instructions answered in English. Then each model answers instructions that no arm has, and every layer is read
before each new token. FOLDER keeps adapters and traces, and what is there is not done again.

``--model pocket --articles 4`` walks the whole way in a minute; that model knows no instructions, so that its traces
say nothing but that the way is there.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

import latentlang as ll
from experiments.instructions.gemma import MODEL, TEMPLATE, examples_of, recipe_of
from experiments.instructions.small_sets import REPLIES, SmallSet, written_anew
from experiments.steps import is_saved, measuring_options, step, timed
from latentlang.answers import TokenLanguages
from latentlang.instructions import Dialogue
from latentlang.instructions.prompt_templates import template
from latentlang.models import HookedLM
from latentlang.tasks import ContinuationTask, Prompt
from latentlang.training import TrainingData

#: The model as it is, and its adapters.
BASE = "base"
ARMS = ("four languages", "English alone", "answered in English")
SEEDS = (0, 1)
#: Languages that three arms are asked in, the last of which none of them was trained on.
LANGUAGES = ("en", "de", "es", "ru", "fr")
#: New tokens of an answer.
TOKENS = 24
_SET = "written-anew"
_BATCH_TOKENS = 512


def texts_of(small: SmallSet, udhr: Path, *, articles: int | None = None) -> dict[str, list[str]]:
    """Parallel text by which tokens are told apart: the declaration's articles, and the pairs that are not held out.

    Args:
        small: the set, whose held-out items are left out.
        udhr: folder of the declaration.
        articles: how many of it; None for all.
    """
    held_out = {one.group for members in small.held_out.values() for one in members}
    records = [
        record
        for record in yaml.safe_load(REPLIES.read_text(encoding="utf-8"))
        if record["id"] not in held_out
    ]
    task = ContinuationTask(data=udhr)
    return {
        code: [
            *(prompt.text for prompt in task.prompts(code, items=articles)),
            *(text for record in records for text in record[code]),
        ]
        for code in LANGUAGES
    }


def prompts_of(small: SmallSet) -> list[Prompt]:
    """The held-out instructions in every language, in the template that the arms are trained in."""
    form = template(TEMPLATE)
    return [
        Prompt(one.group, code, "", "", form.prompt(one.instruction, one.input), "")
        for code in LANGUAGES
        for one in small.held_out[code]
    ]


def run_name(arm: str, seed: int) -> str:
    """The folder of an arm's model."""
    return BASE if arm == BASE else f"{arm}-{seed}".replace(" ", "-")


def measure(
    model: HookedLM,
    small: SmallSet,
    texts: Mapping[str, Sequence[str]],
    table: TokenLanguages,
    folder: Path,
    arm: str,
    seed: int,
) -> None:
    """Train an arm with a seed and trace its answers, unless that is there."""
    path = folder / run_name(arm, seed)
    if is_saved(path / "trace"):
        return
    tuned = model
    if arm != BASE:
        dialogues: Sequence[Dialogue] = small.arms[arm]
        with timed(f"{path}, training"):
            data = TrainingData(examples_of(dialogues), ())
            tuned = ll.train(
                model, recipe_of(_SET, seed), data=data, out=path / "adapter", progress=False
            ).on(model)
    step(
        path / "trace", ll.trace, tuned, prompts_of(small), tokens=TOKENS, texts=texts, table=table, draws=0,
        batch_tokens=_BATCH_TOKENS, progress=False,
    )  # fmt: skip


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where adapters and traces lie, or will")
    parser.add_argument("udhr", type=Path, help="folder of the declaration (`latentlang data get udhr`)")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--articles", type=int, help="of the declaration; all by default")
    options = measuring_options(parser, (BASE, *ARMS), what="arm")
    small = written_anew(options.folder / "recorded")
    texts = texts_of(small, options.udhr, articles=options.articles)
    model = ll.load(options.model, dtype="bf16" if options.model == MODEL else None)
    with timed("a table of tokens and languages"):
        table = ll.token_languages(model, texts, languages=",".join(LANGUAGES), progress=False)
    for seed in options.seeds:
        for arm in options.names:
            if arm != BASE or seed == options.seeds[0]:
                measure(model, small, texts, table, options.folder, arm, seed)


if __name__ == "__main__":
    main()
