"""Neurons of languages and the language of layers: `python -m experiments.units.measure TEXT FOLDER [STAGE ...]`.

TEXT holds the Universal Declaration of Human Rights, as ``latentlang data get udhr`` writes it. Every step is saved
into FOLDER/MODEL by itself and is not done again, and the long one keeps each set of neurons as soon as it is measured,
so that this can be stopped and started.

- ``neurons``: at which share of tokens each neuron fires, in all languages.
- ``tokens``: the same over tokens alone that do not begin a word, and that languages share.
- ``mass``: how much of each layer's distribution is on tokens of each language.
- ``ablation``: what each language's text loses without the neurons of each language, beside 20 random sets.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch

import latentlang as ll
from experiments.steps import step
from latentlang.models import HookedLM
from latentlang.tasks import ContinuationTask

#: Languages of the text. Of Gemma: eight scripts, in four of them several languages; of pocket those it was trained on.
LANGUAGES = {
    "pocket": ("en", "de", "es", "fr", "hi", "ja", "ru", "zh"),
    "gemma3-270m": (
        "en", "de", "fr", "es", "pl", "tr", "fi", "sw", "vi", "id", "ru", "uk", "el", "ar", "hi", "mr", "th", "zh",
        "ja", "ko",
    ),
}  # fmt: skip
#: A matrix of 20 languages and 21 sets each takes three times as long in fp32.
DTYPES = {"gemma3-270m": "bf16"}
#: The shortest articles, in English: the ablation is measured on these and nothing else is counted on them.
HELD_OUT = ("article-03", "article-04", "article-05", "article-06", "article-09")
#: Of these the number that a matrix is measured on, and whose neurons are taken out first: each language takes as long
#: as it takes to run the text 21 times.
ABLATION_ITEMS = 4
ABLATED = ("en", "ja", "hi", "ru", "de", "ar", "sw", "zh")
GROUPS, DEALS, RANDOM, SEED = 10, 200, 20, 0
#: Articles on which the language of the layers is measured.
MASS_ITEMS = 6
Texts = dict[str, list[str]]


def articles(model: HookedLM, text: Path, name: str, *, held_out: bool) -> Texts:
    """Language to its articles, in their order: those that are held out, or all others that the model can take."""
    task = ContinuationTask(data=text)
    prompts = {code: sorted(task.prompts(code), key=lambda prompt: prompt.item) for code in LANGUAGES[name]}
    too_long = {
        prompt.item
        for each in prompts.values()
        for prompt, encoded in zip(each, model.tokenize(each), strict=True)
        if model.max_length is not None and len(encoded.ids) > model.max_length
    }
    return {
        code: [
            prompt.text
            for prompt in each
            if (prompt.item in HELD_OUT) == held_out and prompt.item not in too_long
        ]
        for code, each in prompts.items()
    }


def neurons(model: HookedLM, text: Path, folder: Path) -> None:
    """Counts over all articles but those that are held out."""
    texts = articles(model, text, folder.name, held_out=False)
    step(
        folder / "neurons", ll.neurons, model, texts, groups=GROUPS, deals=DEALS, seed=SEED,
        out=folder / "unfinished",
    )  # fmt: skip


def tokens(model: HookedLM, text: Path, folder: Path) -> None:
    """The same over fewer tokens: neurons of a language, or of how it is written."""
    texts = articles(model, text, folder.name, held_out=False)
    for which in ("inside", "shared"):
        step(
            folder / f"neurons-{which}", ll.neurons, model, texts, tokens=which, groups=GROUPS, deals=DEALS, seed=SEED,
            out=folder / "unfinished",
        )  # fmt: skip


def ablation(model: HookedLM, text: Path, folder: Path) -> None:
    """What each language's text loses without each language's neurons, and without random ones.

    First for two languages, then for more: what was measured is kept, so that no set is measured twice.
    """
    counted = ll.NeuronsResult.load(folder / "neurons")
    texts = articles(model, text, folder.name, held_out=True)
    first = [code for code in ABLATED if code in texts]
    every = [*first, *(code for code in texts if code not in first)]
    for number in ablated_numbers(len(every)):
        step(
            folder / f"ablation-{number}", ll.neuron_ablation, model, counted, texts, ablated=every[:number],
            items=ABLATION_ITEMS, random=RANDOM, seed=SEED, out=folder / "unfinished",
        )  # fmt: skip


def ablated_numbers(languages: int) -> list[int]:
    """Of how many languages the neurons are taken out, one matrix after the other."""
    return [*range(2, languages, 2), languages]


def mass(model: HookedLM, text: Path, folder: Path) -> None:
    """The language of each layer, over some articles; which token is whose is told by all of them."""
    every = {
        code: [*listed, *articles(model, text, folder.name, held_out=True)[code]]
        for code, listed in articles(model, text, folder.name, held_out=False).items()
    }
    path = folder / "tokens"
    step(path, ll.token_languages, model, every, languages=list(every), seed=SEED)
    texts = articles(model, text, folder.name, held_out=False)
    step(
        folder / "mass", ll.language_mass, model, texts, table=path, items=MASS_ITEMS, seed=SEED,
        resume=folder / "unfinished",
    )  # fmt: skip


STAGES = {"neurons": neurons, "tokens": tokens, "mass": mass, "ablation": ablation}


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("text", type=Path, help="folder of the declaration")
    parser.add_argument("folder", type=Path, help="where results lie, or will")
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"of {', '.join(STAGES)}; all by default")
    parser.add_argument("--models", nargs="+", default=LANGUAGES, choices=LANGUAGES, metavar="MODEL")
    options = parser.parse_args()
    for name in options.stages:
        if name not in STAGES:
            parser.error(f"there is no stage {name!r}; there are {', '.join(STAGES)}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    for model_name in options.models:
        model = ll.load(model_name, dtype=DTYPES.get(model_name))
        for name in options.stages or STAGES:
            STAGES[name](model, options.text, options.folder / model_name)


if __name__ == "__main__":
    main()
