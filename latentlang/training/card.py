"""The card beside an adapter or a model: what it is made of, what it came to and how it is loaded."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from latentlang.errors import InputError
from latentlang.language_names import language
from latentlang.printable import printable
from latentlang.text import trained_weights

if TYPE_CHECKING:
    from latentlang.training.result import TrainingResult

# Packages whose versions a card names.
_PACKAGES = ("latentlang", "torch", "transformers", "trl", "peft")
# What Markdown reads in a line.
_MARKS = re.compile(r"[\\`*_{}\[\]#|!~$&]")


def model_card(result: TrainingResult, *, base: str, embedded: bool = False) -> str:
    """The README of an adapter's or a model's folder: Markdown with the front matter that the Hugging Face hub reads.

    Everything that a user or a file wrote is escaped, so that it stays text.

    Args:
        result: the run's, with its adapter or its model.
        base: hub name, folder or short name that the base model is loaded by.
        embedded: whether the base comes with this package, so that transformers cannot load it by its name.
    """
    import yaml

    provenance, settings, words = result.provenance, result.settings, result.words
    recipe, full = result.recipe, result.checkpoint is not None
    front = {
        "base_model": base,
        "library_name": "transformers" if full else "peft",
        # the hub knows languages, not scripts and regions
        "language": list(dict.fromkeys(code.partition("-")[0] for code in provenance.languages)),
        "tags": [
            "latentlang",
            *([] if full else ["lora"]),
            "multilingual",
            f"base_model:{'finetune' if full else 'adapter'}:{base}",
        ],
    }
    about = str(recipe.get("about") or "")
    lines = [
        "---",
        yaml.safe_dump(front, sort_keys=False, allow_unicode=True).rstrip(),
        "---",
        "",
        f"# {_markdown(recipe['name'])}",
        "",
        (f"{_whole(recipe)} of {_markdown(base)}" if full else f"A LoRA adapter for {_markdown(base)}")
        + f", trained on {_markdown(words.trained_on)} with `latentlang train`."
        + (f" The recipe: {_markdown(about)}." if about else ""),
        "",
        _markdown(result.describe()),
        "",
        "## How to load it",
        "",
        f"`{'MODEL' if full else 'ADAPTER'}` is this folder, or where it was uploaded to.",
        "",
        *(_loading_model() if full else _loading(base, embedded=embedded)),
        "## Base",
        "",
        *_rows(
            ("", ""),
            [
                ("model", provenance.model),
                ("loaded from", base),
                ("revision", provenance.revision or "not known"),
                *([("continued from", recipe["start"])] if recipe.get("start") else []),
                ("weights", f"{settings.parameters:,}" if settings.parameters else "not known"),
                ("quantisation", settings.quantization or "none"),
                *([("tokenizer", settings.tokenizer)] if settings.tokenizer else []),
                *([("chat template", settings.chat_template)] if settings.chat_template else []),
            ],
        ),
        "## Data",
        "",
        f"Languages that training saw: {', '.join(map(_language, provenance.languages)) or 'not known'}.",
        "",
        *_rows(("", "learnt from", "held out"), _counts(settings.pairs)),
    ]
    if settings.origins:
        lines += ["By origin:", "", *_rows(("origin", "learnt from", "held out"), _counts(settings.origins))]
    if settings.downloads:
        lines += ["From the hub:", "", *(f"- {_markdown(label)}" for label in settings.downloads), ""]
    if words.control is not None:
        lines += [f"**A control, {words.control.name}**: {_markdown(words.control.about)}.", ""]
    lines += [
        f"Digest of all texts: `{settings.data}`. They stand in `data.parquet`.",
        "",
        "## Losses",
        "",
        *_rows(("on what was held out", "nats per token"), _losses(result)),
    ]
    if result.notes:
        lines += ["Notes:", "", *(f"- {_markdown(note)}" for note in result.notes), ""]
    lines += [
        "## Settings",
        "",
        *_rows(
            ("", ""),
            [
                ("trained weights", f"{settings.trainable:,}" if settings.trainable else "not known"),
                ("steps", f"{settings.steps:,}" if settings.steps is not None else "not known"),
                ("precision", settings.precision or "not known"),
                ("device", settings.device or "not known"),
                *((name, provenance.packages[name]) for name in _PACKAGES if name in provenance.packages),
            ],
        ),
        "The whole recipe, for `latentlang train --recipe recipe.yaml`:",
        "",
        *_fenced("yaml", yaml.safe_dump(dict(recipe), sort_keys=False, allow_unicode=True)),
        "## Licence",
        "",
        f"Not stated here: whoever passes this {'model' if full else 'adapter'} on says it, within the licences of the "
        "base model and of the data.",
    ]
    return printable("\n".join(lines)) + "\n"


def _whole(recipe: Mapping[str, Any]) -> str:
    words = trained_weights(recipe.get("freeze") or ())
    return words[0].upper() + words[1:]


def _loading(base: str, *, embedded: bool) -> list[str]:
    """Lines that load an adapter: with latentlang, in a terminal, with peft alone."""
    name = json.dumps(base, ensure_ascii=False)
    peft = [
        "from peft import PeftModel",
        "",
        f'model = PeftModel.from_pretrained(ll.load({name}).lm, "ADAPTER")'
        if embedded
        else f'model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained({name}), "ADAPTER")',
    ]
    first = "import latentlang as ll" if embedded else "from transformers import AutoModelForCausalLM"
    return [
        *_fenced("python", f'import latentlang as ll\n\nmodel = ll.load({name}, adapter="ADAPTER")'),
        *_fenced("sh", f"latentlang lens --model {shlex.quote(base)} --adapter ADAPTER"),
        "With peft:",
        "",
        *_fenced("python", "\n".join([first, *peft])),
    ]


def _loading_model() -> list[str]:
    """Lines that load a whole model: with latentlang, in a terminal, with transformers alone."""
    transformers = [
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        'model = AutoModelForCausalLM.from_pretrained("MODEL")',
        'tokenizer = AutoTokenizer.from_pretrained("MODEL")',
    ]
    return [
        *_fenced("python", 'import latentlang as ll\n\nmodel = ll.load("MODEL")'),
        *_fenced("sh", "latentlang lens --model MODEL"),
        "With transformers:",
        "",
        *_fenced("python", "\n".join(transformers)),
    ]


def _losses(result: TrainingResult) -> list[tuple[str, str]]:
    if result.base_loss is None or result.best_loss is None:
        return [("nothing was held out", "")]
    return [
        ("before training", f"{result.base_loss:.4f}"),
        (f"at step {result.best_step:,}, whose weights these are", f"{result.best_loss:.4f}"),
    ]


def _counts(numbers: Mapping[str, Sequence[int]]) -> list[tuple[str, str, str]]:
    """Rows of examples learnt from and held out, with their sum where there are several."""
    rows = [(name, f"{learnt:,}", f"{held:,}") for name, (learnt, held) in numbers.items()]
    if len(rows) > 1:
        learnt, held = (sum(pair[side] for pair in numbers.values()) for side in (0, 1))
        rows.append(("together", f"{learnt:,}", f"{held:,}"))
    return rows


def _language(code: str) -> str:
    try:
        return f"{language(code).name} ({code})"
    except InputError:
        return _markdown(code)


def _rows(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    return [*lines, *(f"| {' | '.join(map(_markdown, row))} |" for row in rows), ""]


def _fenced(kind: str, text: str) -> list[str]:
    """A block of code; its fence is longer than any that stands in the text."""
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", text))])
    return [f"{fence}{kind}", *text.rstrip("\n").split("\n"), fence, ""]


def _markdown(text: object) -> str:
    """A text as Markdown shows it: on one line, with nothing in it that Markdown or HTML would read."""
    return _MARKS.sub(r"\\\g<0>", " ".join(str(text).split())).replace("<", "&lt;").replace(">", "&gt;")
