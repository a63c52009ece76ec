"""Bits per UTF-8 byte: how well each layer predicts a text, token by token, in any language.

A paragraph's bits are the sum over its tokens of ``-log2 p(token | tokens before it)``, p being the layer's next-token
distribution through a lens. Over its bytes, not its tokens, models with other tokenizers can be compared (Gao et al.
2020, The Pile, section 3.1). The beginning-of-text token is never scored. Where a tokenizer has none, nothing predicts
the first token: it is not scored and its bytes are not counted.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from latentlang.answers import TokenBytes, token_bytes
from latentlang.arguments import Layers, check_count, checked_call, given_layers
from latentlang.errors import InputError, unknown
from latentlang.language_names import Language
from latentlang.language_names import language as find_language
from latentlang.lens.base import Lens, lens_settings
from latentlang.lens.lens_settings import BitsSettings
from latentlang.lens.result import named_lens
from latentlang.lens.tuned import as_lens
from latentlang.models import ActivationBatch, HookedLM, TokenSets, as_model, read_out
from latentlang.models.finished_languages import Kept, kept_in
from latentlang.models.long_texts import fitting_texts
from latentlang.models.tokenization import TokenizedPrompt
from latentlang.progress import ProgressOption, reporting
from latentlang.provenance import Provenance
from latentlang.results import Result, ResultSettings, View, repeated
from latentlang.stats.intervals import bootstrap_ratios, unless_few
from latentlang.storage.tables import Columns
from latentlang.tasks import ContinuationTask, Prompt, Task, Texts, prompts_of_texts
from latentlang.text import counted

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

_NATS_PER_BIT = math.log(2)
# Tokens whose every layer is read at once.
_ROWS = 64
_COLUMNS = ("language", "item", "layer", "bits", "tokens", "bytes")


@dataclass(frozen=True)
class BitsResult(Result[BitsSettings]):
    """How many bits each layer needs for each paragraph.

    Attributes:
        table: columns ``language, item, layer, bits, tokens, bytes``; `bits` is the sum over the paragraph's scored
            tokens, whose number and UTF-8 bytes stand beside it. Layers as in a lens: the last is the model's output.
    """

    kind: ClassVar[str] = "bits"
    columns: ClassVar[Columns] = {
        "language": "text", "item": "text", "layer": "whole", "bits": "number", "tokens": "whole", "bytes": "whole",
    }  # fmt: skip
    settings_type: ClassVar[type[ResultSettings]] = BitsSettings

    def fault(self) -> str | None:
        """A paragraph that is there twice, or has no byte."""
        if len(self.table) and int(self.table["bytes"].min()) < 1:
            return "it has a paragraph without a byte"
        return repeated(self.table, ["language", "layer", "item"])

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Bits per byte over all paragraphs, with a bootstrap interval over paragraphs.

        Columns ``language, layer, bits_per_byte, low, high, bits_per_token, perplexity, tokens, bytes, n``. The
        perplexity is 2 to the bits per token: it compares layers, adapters and models of one tokenizer on one text, and
        nothing else, as another tokenizer or language has other tokens to be sure of.

        Args:
            level: coverage of the interval.
        """
        rows = []
        for language, part in self.table.groupby("language", sort=False, observed=True):
            bits, sizes = _wide(part, "bits"), _wide(part, "bytes")
            low, high = _ratios(
                bits.to_numpy(float), sizes.to_numpy(float), level=level, seed=self.provenance.seed
            )
            tokens, size = _wide(part, "tokens").sum(), sizes.sum()
            rows.append(
                pd.DataFrame({
                    "language": language, "layer": bits.columns.to_numpy(),
                    "bits_per_byte": (bits.sum() / size).to_numpy(), "low": low, "high": high,
                    "bits_per_token": (bits.sum() / tokens).to_numpy(),
                    "perplexity": np.exp2((bits.sum() / tokens).to_numpy()), "tokens": tokens.to_numpy(),
                    "bytes": size.to_numpy(), "n": len(bits),
                })
            )  # fmt: skip
        return pd.concat(rows, ignore_index=True)

    def relative(self, reference: str | Language = "en", level: float = 0.95) -> pd.DataFrame:
        """Bits of the paragraphs over the bits of the same paragraphs in another language, for parallel text.

        A byte is a letter in one script and a third of one in another; the same paragraph says the same in both.

        Columns ``language, layer, relative, low, high, n``, `n` paragraphs being in both.

        Args:
            reference: the other language.
            level: coverage of the interval, over paragraphs.

        Raises:
            InputError: the reference was not read.
        """
        code = find_language(reference).code
        by_language = {
            str(name): _wide(part, "bits")
            for name, part in self.table.groupby("language", sort=False, observed=True)
        }
        if code not in by_language:
            raise unknown("language of this result", code, by_language)
        rows = []
        for language, bits in by_language.items():
            theirs, others = bits.align(by_language[code], join="inner")
            if theirs.empty:
                continue
            low, high = _ratios(
                theirs.to_numpy(float), others.to_numpy(float), level=level, seed=self.provenance.seed
            )
            rows.append(
                pd.DataFrame({
                    "language": language, "layer": theirs.columns.to_numpy(),
                    "relative": (theirs.sum() / others.sum()).to_numpy(), "low": low, "high": high, "n": len(theirs),
                })
            )  # fmt: skip
        return pd.concat(rows, ignore_index=True)

    def _view(self) -> View:
        return named_lens(super()._view())

    def glance(self) -> pd.DataFrame:
        """Of each language the last layer that was read; columns as of `summary`."""
        summary = self.summary()
        last: pd.DataFrame = summary[summary["layer"] == summary["layer"].max()]
        return last.reset_index(drop=True)

    def describe(self, level: float = 0.95) -> str:
        """Bits per byte of the last layer and of the best one, a line per language.

        Args:
            level: coverage of the intervals.
        """
        depth = self.settings.n_layers
        lines = []
        for code, part in self.summary(level).groupby("language", sort=False, observed=True):
            rows = part.to_dict("records")
            last = max(rows, key=lambda row: int(row["layer"]))
            best = min(rows, key=lambda row: float(row["bits_per_byte"]))
            where = f"at layer {last['layer']}" + (", the output" if last["layer"] == depth else "")
            line = (
                f"{_name(str(code))}: {_size(last)} {where} ({last['bits_per_token']:.2f} bits a token, "
                f"{counted(int(last['n']), 'paragraph')})"
            )
            least = "" if best is last else f"; least at layer {best['layer']}: {_size(best)}"
            lines.append(f"{line}{least}.")
        return "\n".join(lines)

    def figure(
        self, *, languages: str | Language | Iterable[str | Language] | None = None, **look: Unpack[Look]
    ) -> go.Figure:
        """Bits per byte over layers: a curve with its band for each of a few languages, a heat map of many.

        Args:
            languages: those to draw; by default all.
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.

        Raises:
            InputError: a language that the result does not have, or nothing to draw.
        """
        from latentlang.figures.bits import bits_figure

        return bits_figure(self, languages=languages, **look)


def _ratios(
    numerators: NDArray[np.float64], denominators: NDArray[np.float64], *, level: float, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends ``[series]`` of the intervals of ratios of sums over paragraphs; NaN of fewer than can be resampled."""
    return unless_few(
        len(numerators), bootstrap_ratios(numerators, denominators, least=0.0, level=level, seed=seed)
    )


def _wide(part: pd.DataFrame, column: str) -> pd.DataFrame:
    """``[item, layer]`` of a language's rows."""
    return part.pivot(index="item", columns="layer", values=column)


def _name(code: str) -> str:
    return find_language(code).name if code else "The text"


def _size(row: Mapping[Hashable, Any]) -> str:
    if row["low"] != row["low"]:
        return f"{row['bits_per_byte']:.3f} bits per byte"
    return f"{row['bits_per_byte']:.3f} bits per byte [{row['low']:.3f}, {row['high']:.3f}]"


@checked_call
def bits_per_byte(
    model: HookedLM | str,
    texts: Texts,
    *,
    languages: str | Language | Iterable[str | Language] | None = None,
    items: int | None = None,
    layers: Layers = "all",
    lens: Lens | str | os.PathLike[str] | None = None,
    seed: int = 0,
    long_texts: str = "refuse",
    batch_tokens: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: ProgressOption = True,
) -> BitsResult:
    """Measure how well each layer predicts texts, in bits per UTF-8 byte.

    Args:
        model: the model, or its name; it is not changed.
        texts: a folder of parallel text, or ``"udhr"``; a task, whose prompts are scored whole; language code to a list
            of texts; or a list of texts, of no particular language.
        languages: which languages; by default all that the texts have.
        items: paragraphs per language of a folder or task, and of a list the first ones; None for all.
        layers: ``"all"`` (1 to L), layer numbers, or ``"0,4,8-12"``; 0 is the embeddings.
        lens: what the layers are read through: a `Lens`, or the folder of a fitted one; None for the logit lens.
        seed: draws paragraphs and bootstrap samples.
        long_texts: what becomes of texts longer than the model's context: ``"refuse"`` them, ``"cut"`` them at their
            end, or ``"drop"`` them; how many is in the settings, and `describe` says it.
        batch_tokens: tokens run at once; by default what suits the device.
        resume: with a folder of text or a task, a folder where each language is kept as soon as it is done, so that the
            same call goes on where one was stopped. Languages are then run one after the other.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (paragraphs done, paragraphs in all).

    Raises:
        InputError: no text, a language that is not there, a number that makes no sense, or a lens that cannot be used.
        ModelError: a text is longer than the model's context, or the model cannot be read.
    """
    model = as_model(model)
    check_count("items", items, least=1)
    check_count("seed", seed, least=0)
    if isinstance(texts, str | os.PathLike):
        texts = ContinuationTask(data=os.fspath(texts))
    listed, settings = prompts_of_texts(texts, languages, items=items, seed=seed)
    fitting = fitting_texts(model, listed, long_texts)
    prompts = fitting.prompts
    if resume is not None and not isinstance(texts, Task):
        raise InputError("resume keeps languages of a folder of text or of a task; leave it out for texts")
    through = as_lens(lens, model)
    wanted = range(1, model.n_layers + 1) if isinstance(layers, str) and layers == "all" else layers
    bits: list[NDArray[np.float64]] = []
    numbers: tuple[int, ...] = ()
    with (
        reporting(progress, "reading", things="paragraphs", total=len(prompts)) as report,
        kept_in(resume, model, [texts] if isinstance(texts, Task) else []) as finished,
    ):
        tokenized = model.tokenize(prompts)
        scored = scored_sizes(model, prompts, tokenized)

        def read(part: Sequence[TokenizedPrompt]) -> tuple[NDArray[np.float64], tuple[int, ...]]:
            done = Counter[str](paragraphs=len(bits))

            def forward(number: int) -> None:
                done["paragraphs"] += number
                report(done["paragraphs"], len(prompts))

            return bits_of_texts(
                model, part, layers=wanted, lens=through, batch_tokens=batch_tokens, done=forward
            )

        if resume is None:
            values, numbers = read(tokenized)
            bits.extend(values)
        else:
            (keeper,) = finished
            assert keeper is not None
            question = {"layers": given_layers(layers), **lens_settings(through)}
            for _, group in groupby(zip(prompts, tokenized, strict=True), key=lambda pair: pair[0].language):
                asked, part = zip(*group, strict=True)

                def run(part: Sequence[TokenizedPrompt] = part) -> list[Kept]:
                    values, layers_read = read(part)
                    return [({"bits": torch.from_numpy(values)}, {"layers": list(layers_read)})]

                def restore(kept: Sequence[Kept]) -> None:
                    nonlocal numbers
                    ((tensors, facts),) = kept
                    bits.extend(tensors["bits"].numpy())
                    numbers = tuple(facts["layers"])
                    report(len(bits), len(prompts))

                keeper.run("bits", asked, question, run, restore)
    depth = len(numbers)
    frame = pd.DataFrame({
        "language": np.repeat([prompt.language for prompt in prompts], depth),
        "item": np.repeat([prompt.item for prompt in prompts], depth),
        "layer": np.tile(numbers, len(prompts)),
        "bits": np.concatenate(bits),
        "tokens": np.repeat([tokens for tokens, _ in scored], depth),
        "bytes": np.repeat([size for _, size in scored], depth),
    })[list(_COLUMNS)]  # fmt: skip
    provenance = Provenance(
        model=model.name, revision=model.revision, adapter=model.active_adapter, task="bits per byte",
        languages=tuple(dict.fromkeys(prompt.language for prompt in prompts)), policy="", seed=seed,
        settings={
            **settings,
            **BitsSettings(
                items=items, layers=list(numbers), n_layers=model.n_layers, **lens_settings(through),
                long_texts=long_texts, too_long=fitting.counts,
            ).stored(),
            **model.noted,
        },
    )  # fmt: skip
    return BitsResult(table=frame, provenance=provenance)


def scored_sizes(
    model: HookedLM, prompts: Sequence[Prompt], tokenized: Sequence[TokenizedPrompt]
) -> list[tuple[int, int]]:
    """How many tokens of each text are scored, and how many bytes they write.

    Raises:
        InputError: nothing of a text is scored.
    """
    table = token_bytes(model.tokenizer)
    return [_scored(prompt, encoded, table) for prompt, encoded in zip(prompts, tokenized, strict=True)]


def bits_of_texts(
    model: HookedLM,
    tokenized: Sequence[TokenizedPrompt],
    *,
    layers: Layers,
    lens: Lens,
    batch_tokens: int | None,
    done: Callable[[int], None],
) -> tuple[NDArray[np.float64], tuple[int, ...]]:
    """Bits of texts at some layers, summed over the tokens that are scored.

    Args:
        model: the model.
        tokenized: the texts.
        layers: as of `HookedLM.iter_activations`.
        lens: what they are read through.
        batch_tokens: tokens run at once.
        done: told how many texts are done, as they are.

    Returns:
        ``[text, layer]``, and the layers' numbers.
    """
    bits: list[NDArray[np.float64]] = [np.empty(0)] * len(tokenized)
    numbers: tuple[int, ...] = ()
    for reading in model.iter_activations(
        tokenized, layers=layers, positions="all", logits=False, batch_tokens=batch_tokens
    ):
        numbers = reading.layers
        for index, bits_of_layers in _bits(model, reading, tokenized, lens):
            bits[index] = bits_of_layers
        done(len(reading))
    return np.stack(bits), numbers


def _scored(prompt: Prompt, encoded: TokenizedPrompt, table: TokenBytes) -> tuple[int, int]:
    """How many tokens of a text are scored, and how many bytes they write.

    Raises:
        InputError: nothing of it is.
    """
    size = len(prompt.text.encode())
    if not encoded.has_bos and len(encoded.ids):
        first = table.bytes[encoded.ids[0]] or b""
        size -= len(first.lstrip(b" ") if table.prefix_space else first)
    if len(encoded.ids) < 2 or size < 1:
        raise InputError(
            f"the text {prompt.text[:40]!r} has no token that another one comes before; give longer texts"
        )
    return len(encoded.ids) - 1, size


def _bits(
    model: HookedLM, reading: ActivationBatch, tokenized: Sequence[TokenizedPrompt], lens: Lens
) -> Iterable[tuple[int, NDArray[np.float64]]]:
    """Index of each text of a batch, and its bits, ``[layer]``; the vocabulary is gone through in chunks."""
    assert reading.positions is not None
    for place, index in enumerate(reading.index.tolist()):
        ids = tokenized[index].ids
        before = reading.resid[place, :, : len(ids) - 1].transpose(0, 1)  # [token, layer, d_model]
        targets = torch.tensor(list(ids[1:]), device=before.device)[:, None]
        total = torch.zeros(len(reading.layers), dtype=torch.float64)
        for part, wanted in zip(before.split(_ROWS), targets.split(_ROWS), strict=True):
            log_probs = read_out(
                model, part, TokenSets([]), top=0, targets=wanted, lens=lens, layers=reading.layers
            ).target_log_probs
            assert log_probs is not None
            total -= log_probs[..., 0].double().sum(0).cpu()
        yield index, (total / _NATS_PER_BIT).numpy()
