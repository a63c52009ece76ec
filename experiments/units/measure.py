"""Neurons of languages and the language of layers: `python -m experiments.units.measure TEXT FOLDER [STAGE ...]`.

TEXT holds the Universal Declaration of Human Rights, as ``latentlang data get udhr`` writes it. Every step is saved
into FOLDER/MODEL by itself and is not done again, and the long one keeps each set of neurons as soon as it is measured,
so that this can be stopped and started. What is unfinished lies by stage, so that stages can run beside each other.

- ``neurons``: at which share of tokens each neuron fires, in all languages.
- ``tokens``: the same over tokens alone that do not begin a word, and that languages share.
- ``mass``: how much of each layer's distribution is on tokens of each language.
- ``ablation``: what each language's text loses without the neurons of each language, beside 20 random sets.
- ``features``: a small SAE, how it reconstructs each language, and which of its features are whose.
- ``feature-ablation``: what is lost without two features of each of three languages.
- ``jacobian-0``, ``-1``, ``-2``: Jacobian lenses of three draws of texts, and English's gap under each.

The last five are of Gemma alone.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import latentlang as ll
from experiments.steps import is_saved, measuring_options, step, timed
from latentlang.lens.jacobian_files import JACOBIANS_FILE
from latentlang.models import HookedLM
from latentlang.tasks import ContinuationTask, prompts_of_texts
from latentlang.units.sae import CONFIG

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
#: Sparse features: languages, the layer, articles to train on and others to count in, and the steps of the training.
FEATURE_LANGUAGES, FEATURE_LAYER = ("en", "de", "es", "ja", "hi", "sw"), 12
SAE_ITEMS, FEATURE_ITEMS, SAE_STEPS = 20, 6, 1000
#: Of these two features each are taken out at once, on so many articles, beside so many random sets.
FEATURES_ABLATED, FEATURE_ABLATION_ITEMS, FEATURE_RANDOM = ("de", "ja", "hi"), 4, 19
#: Jacobian lenses: what each is fitted on, as languages and the articles of each.
MULTILINGUAL = ("en", "fr", "de", "ru", "zh", "hi")
FITS = {"english": (("en",), 12), "multilingual": (MULTILINGUAL, 2), "french": (("fr",), 12)}
#: A draw takes other articles of the same text; the languages of one draw have the same ones.
DRAWS = (0, 1, 2)
LENS_LAYERS, LONGEST = "10-17", 32
#: The tuned lens beside them: articles of each language, steps and tokens of a step.
TUNED_ITEMS, TUNED_STEPS, TUNED_POSITIONS = 12, 120, 8
#: What they are read on: words translated from Russian, which shares no token with English.
LENS_SOURCE, LENS_TARGETS, LENS_ITEMS = "ru", ("de", "zh", "hi"), 50
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


def features(model: HookedLM, text: Path, folder: Path) -> None:
    """A small SAE, and its features over articles that it was not trained on."""
    path, languages, unfinished = folder / "sae", list(FEATURE_LANGUAGES), folder / "unfinished-features"
    if not (path / CONFIG).exists():
        sae = ll.train_sae(
            model, str(text), layer=FEATURE_LAYER, languages=languages, items=SAE_ITEMS, steps=SAE_STEPS, seed=SEED,
            out=unfinished,
        )  # fmt: skip
        sae.save(path)
    step(
        folder / "features", ll.features, model, path, str(text), languages=languages, items=FEATURE_ITEMS,
        groups=GROUPS, deals=DEALS, seed=SEED, out=unfinished,
    )  # fmt: skip
    # the R2 that the training tells is about the mean of all languages; this one is about each language's, as above
    trained: Texts = {}
    for prompt in prompts_of_texts(str(text), languages, items=SAE_ITEMS, seed=SEED)[0]:
        trained.setdefault(prompt.language, []).append(prompt.text)
    step(
        folder / "features-trained", ll.features, model, path, trained, held_out=False, splice=False, deals=0,
        seed=SEED, out=unfinished,
    )  # fmt: skip


def feature_ablation(model: HookedLM, text: Path, folder: Path) -> None:
    """What text loses without features, on articles that were neither trained on nor counted."""
    path = folder / "features"
    if not is_saved(path):
        features(model, text, folder)
    step(
        path / "ablation", ll.feature_ablation, model, folder / "sae", ll.FeaturesResult.load(path), str(text),
        languages=list(FEATURES_ABLATED), items=FEATURE_ABLATION_ITEMS, random=FEATURE_RANDOM, seed=SEED,
        out=folder / "unfinished-features",
    )  # fmt: skip


def jacobian(model: HookedLM, text: Path, folder: Path, *, draw: int) -> None:
    """Lenses fitted on one draw of texts, and English's gap under them, the logit lens and one tuned lens.

    Words, examples and wrong labels are the same in every draw.
    """
    unfinished = folder / f"unfinished-jacobian-{draw}"
    lenses: dict[str, Path | None] = {"logit": None, "tuned": folder / "tuned"}
    if not any(folder.glob("tuned/*.safetensors")):
        task = ContinuationTask(data=text)
        texts = [prompt.text for code in MULTILINGUAL for prompt in task.prompts(code, items=TUNED_ITEMS)]
        tuned = ll.train_tuned_lens(model, texts, steps=TUNED_STEPS, positions=TUNED_POSITIONS, seed=SEED)
        tuned.save(folder / "tuned")
    for name, (languages, items) in FITS.items():
        path = lenses[name] = folder / f"{name}-{draw}"
        if (path / JACOBIANS_FILE).exists():
            continue
        sums = unfinished / name
        with timed(path):
            ll.fit_jacobian_lens(
                model, str(text), languages=list(languages), items=items, layers=LENS_LAYERS, longest=LONGEST,
                seed=draw, batch_tokens=256, resume=sums,
            ).save(path)  # fmt: skip
        shutil.rmtree(sums, ignore_errors=True)
    step(
        folder / f"lenses-{draw}", ll.pivot_by_lens, model, ll.task("translation", source=LENS_SOURCE), lenses=lenses,
        languages=list(LENS_TARGETS), items=LENS_ITEMS, layers=LENS_LAYERS, seed=SEED, resume=unfinished / "lenses",
    )  # fmt: skip


Stage = Callable[[HookedLM, Path, Path], None]
#: What is measured in float32, on Gemma alone: a lens is fitted by derivatives, and an SAE on activations.
FLOAT32: dict[str, Stage] = {
    "features": features,
    "feature-ablation": feature_ablation,
    **{f"jacobian-{draw}": partial(jacobian, draw=draw) for draw in DRAWS},
}
FLOAT32_MODELS = ("gemma3-270m",)
STAGES: dict[str, Stage] = {
    "neurons": neurons, "tokens": tokens, "mass": mass, "ablation": ablation, **FLOAT32,
}  # fmt: skip


@lru_cache(maxsize=1)
def _loaded(name: str, dtype: str | None) -> HookedLM:
    return ll.load(name, dtype=dtype)


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("text", type=Path, help="folder of the declaration")
    parser.add_argument("folder", type=Path, help="where results lie, or will")
    parser.add_argument("--models", nargs="+", default=LANGUAGES, choices=LANGUAGES, metavar="MODEL")
    options = measuring_options(parser, STAGES)
    for model_name in options.models:
        for name in options.names:
            if name in FLOAT32 and model_name not in FLOAT32_MODELS:
                continue
            model = _loaded(model_name, "fp32" if name in FLOAT32 else DTYPES.get(model_name))
            STAGES[name](model, options.text, options.folder / model_name)


if __name__ == "__main__":
    main()
