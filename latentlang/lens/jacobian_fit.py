"""Fitting a Jacobian lens: the mean of vector-Jacobian products over text, which a stopped run goes on with.

Of one text the Jacobian of layer l is ``1/|V| * sum over t in V, t' in V, t' >= t of d last[t'] / d h_l[t]``, V being
its tokens but the first `skip` and the last one (Gurnee et al. 2026). One backward pass with a cotangent at all of V
gives a row of it for every layer at once, so that a text costs as many products as the model is wide, in
``width / copies`` backward passes; rows of the answers' tokens alone (`fit_jacobian_rows`) cost one product a token.
Texts of a language count alike, and so do languages.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from latentlang import defaults
from latentlang.arguments import Layers, check_count, checked_call, ranges
from latentlang.errors import InputError, ModelError
from latentlang.language_names import Language
from latentlang.lens.jacobian import JacobianLens
from latentlang.lens.jacobian_rows import JacobianRows
from latentlang.lens.jacobian_sums import RunningMean, running_mean
from latentlang.lens.unembedding import unembedding_hash
from latentlang.models import HookedLM, as_model
from latentlang.models.batch import check_layers
from latentlang.models.directions import token_directions
from latentlang.models.forward import BATCH_TOKENS
from latentlang.models.hooked import check_unedited
from latentlang.models.weight_sample import fingerprint
from latentlang.progress import ProgressOption, reporting
from latentlang.storage.step_cache import step_key
from latentlang.tasks import Texts, prompts_of_texts


@checked_call
def fit_jacobian_lens(
    model: HookedLM | str,
    texts: Texts,
    *,
    languages: str | Language | Iterable[str | Language] | None = None,
    items: int | None = None,
    layers: Layers = "all",
    skip: int = defaults.JACOBIAN_SKIP,
    longest: int = defaults.JACOBIAN_LONGEST,
    seed: int = 0,
    batch_tokens: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: ProgressOption = True,
) -> JacobianLens:
    """Fit a Jacobian lens on texts, of several languages where there are such.

    A text costs ``d_model`` vector-Jacobian products, each about as much as a forward pass of the text through the
    blocks after the lowest layer: early layers, which tell little, may be left out. A hundred texts are said to do;
    the published lenses have up to a thousand.

    Args:
        model: the model, or its name; it is not changed. In float32 the fit is exact to rounding.
        texts: a folder of parallel text, or ``"udhr"``; a task; language code to a list of texts; or a list of texts,
            of no particular language. Each language counts alike.
        languages: which languages; by default all that the texts have.
        items: texts per language; None for all.
        layers: ``"all"`` (0, the embeddings, to the last but one), layer numbers, or ``"10-17"``.
        skip: tokens at the beginning of each text that do not count: the first ones have streams of their own kind.
        longest: texts are cut to this many tokens.
        seed: draws texts of a folder or a task.
        batch_tokens: tokens run at once, copies of the text included; by default what suits the device.
        resume: a folder where the sum is kept after every text, so that the same call goes on where one was stopped;
            delete it when the lens is saved. None keeps nothing.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (products done, products in all).

    Raises:
        InputError: no text that is long enough in some language, or a number that makes no sense.
        ModelError: a layer that does not exist, or Jacobians that are not finite.
    """
    loaded = as_model(model)
    cotangents = torch.eye(loaded.d_model)
    fit = _Fit.of(
        loaded, texts, languages=languages, items=items, layers=layers, skip=skip, longest=longest, seed=seed
    )
    mean = fit.mean(cotangents, batch_tokens=batch_tokens, resume=resume, progress=progress)
    return JacobianLens(mean, fit.layers, fit.texts, unembedding_hash(loaded), fit.settings())


@checked_call
def fit_jacobian_rows(
    model: HookedLM | str,
    texts: Texts,
    *,
    tokens: Iterable[int],
    languages: str | Language | Iterable[str | Language] | None = None,
    items: int | None = None,
    layers: Layers = "all",
    skip: int = defaults.JACOBIAN_SKIP,
    longest: int = defaults.JACOBIAN_LONGEST,
    seed: int = 0,
    batch_tokens: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: ProgressOption = True,
) -> JacobianRows:
    """Fit no more of a Jacobian lens than what it reads some tokens by: as many products a text as there are tokens.

    What the lens gives these tokens can be put in order, and no probability of them be told: for that it takes the
    whole lens. The rows are those of the whole lens, fitted on the same texts.

    Args:
        model: the model, or its name; it is not changed.
        texts: as of `fit_jacobian_lens`.
        tokens: token ids, such as those that begin the answers.
        languages: as of `fit_jacobian_lens`, like all that follows.
        items: texts per language.
        layers: layer numbers.
        skip: tokens at the beginning of each text that do not count.
        longest: texts are cut to this many tokens.
        seed: draws texts.
        batch_tokens: tokens run at once.
        resume: a folder where the sum is kept.
        progress: as there.

    Raises:
        InputError: no token, or as of `fit_jacobian_lens`.
        ModelError: a final norm that is no linear map up to a factor, or as of `fit_jacobian_lens`.
    """
    loaded = as_model(model)
    ids = tuple(dict.fromkeys(map(int, tokens)))
    if not ids:
        raise InputError("give the tokens whose rows are wanted: tokens=[...]")
    fit = _Fit.of(
        loaded, texts, languages=languages, items=items, layers=layers, skip=skip, longest=longest, seed=seed
    )
    directions = token_directions(loaded, ids).cpu()
    mean = fit.mean(directions, batch_tokens=batch_tokens, resume=resume, progress=progress)
    return JacobianRows(ids, mean, fit.layers, fit.texts, unembedding_hash(loaded), fit.settings())


@dataclass(frozen=True)
class _Fit:
    """What is fitted on.

    Attributes:
        model: the model.
        layers: the layers' numbers.
        ids: language to its texts' tokens, cut.
        left_out: how many texts were too short.
        skip, longest: as of `fit_jacobian_lens`.
    """

    model: HookedLM
    layers: tuple[int, ...]
    ids: dict[str, list[list[int]]]
    left_out: int
    skip: int
    longest: int

    @classmethod
    def of(
        cls,
        model: HookedLM,
        texts: Texts,
        *,
        languages: str | Language | Iterable[str | Language] | None,
        items: int | None,
        layers: Layers,
        skip: int,
        longest: int,
        seed: int,
    ) -> _Fit:
        check_unedited(model, "a lens is fitted")
        for name, value, least in (
            ("items", items, 1),
            ("skip", skip, 0),
            ("longest", longest, 2),
            ("seed", seed, 0),
        ):
            check_count(name, value, least=least)
        every = isinstance(layers, str) and layers == "all"
        numbers = tuple(
            range(model.n_layers) if every else sorted(set(check_layers(layers, depth=model.n_layers)))
        )
        if model.n_layers in numbers:
            raise ModelError(
                f"layer {model.n_layers} is the last one, which the lens reads as it is; fit layers 0 to "
                f"{model.n_layers - 1}"
            )
        prompts, _settings = prompts_of_texts(texts, languages, items=items, seed=seed)
        limit = min(longest, model.max_length or longest)
        ids: dict[str, list[list[int]]] = {}
        for prompt, encoded in zip(prompts, model.tokenize(prompts), strict=True):
            ids.setdefault(prompt.language, []).append(list(encoded.ids[:limit]))
        least = skip + 2  # one token that counts, and the last one, which does not
        usable = {code: [text for text in each if len(text) >= least] for code, each in ids.items()}
        for code, each in usable.items():
            if not each:
                of = f" in {code!r}" if code else ""
                raise InputError(
                    f"no text{of} has {least} tokens, with skip={skip}; give longer texts, or a smaller skip"
                )
        left_out = sum(map(len, ids.values())) - sum(map(len, usable.values()))
        return cls(model, numbers, usable, left_out, skip, longest)

    @property
    def texts(self) -> dict[str, int]:
        """How many texts of each language count."""
        return {code: len(each) for code, each in self.ids.items()}

    def settings(self) -> dict[str, float | int | str]:
        """How the lens was fitted, for its file and the provenance of what is read through it."""
        return {
            "model": self.model.name, "adapter": self.model.active_adapter or "", "texts": sum(self.texts.values()),
            "languages": ",".join(filter(None, self.texts)), "left_out": self.left_out, "skip": self.skip,
            "longest": self.longest, "layers": ranges(self.layers),
        }  # fmt: skip

    def mean(
        self,
        cotangents: Tensor,
        *,
        batch_tokens: int | None,
        resume: str | os.PathLike[str] | None,
        progress: ProgressOption,
    ) -> Tensor:
        """Mean over languages of the mean over texts of ``cotangents @ J``, ``[layer, cotangent, d_model]``."""
        check_count("batch_tokens", batch_tokens, least=1)
        budget = batch_tokens or BATCH_TOKENS.get(self.model.device.type, BATCH_TOKENS["cpu"])
        total = len(cotangents) * sum(self.texts.values())
        done = Counter[str]()
        with ExitStack() as stack:
            report = stack.enter_context(
                reporting(progress, "fitting the lens", things="products", total=total)
            )
            state: RunningMean = stack.enter_context(
                running_mean(
                    None if resume is None else Path(resume),
                    self._question(cotangents),
                    shape=(len(self.layers), len(cotangents), self.model.d_model),
                    counts=list(self.texts.values()),
                )
            )

            def forward(number: int) -> None:
                done["products"] += number
                report(done["products"], total)

            if state.done:
                forward(state.done * len(cotangents))
            for text in [text for each in self.ids.values() for text in each][state.done :]:
                copies = min(max(1, budget // len(text)), len(cotangents))
                state.add(
                    text_jacobians(
                        self.model, text, self.layers, cotangents, skip=self.skip, copies=copies, done=forward
                    )
                )
        return state.mean

    def _question(self, cotangents: Tensor) -> str:
        """A hash of all that the mean depends on."""
        label, strengths = self.model.active_adapter, self.model.adapter_state
        rows = {} if torch.equal(cotangents, torch.eye(self.model.d_model)) else {"rows": _digest(cotangents)}
        return step_key({
            # the weights are the same with an adapter on and off
            **({} if label is None else {"adapter": [label, strengths]}), **rows,
            "weights": fingerprint(self.model.model), "unembedding": unembedding_hash(self.model),
            "layers": list(self.layers), "skip": self.skip, "texts": self.ids,
            "cotangents": [list(cotangents.shape), float(cotangents.double().abs().sum())],
        })  # fmt: skip


def _digest(values: Tensor) -> str:
    return hashlib.sha256(values.contiguous().numpy().data).hexdigest()


def text_jacobians(
    model: HookedLM,
    ids: Sequence[int],
    layers: Sequence[int],
    cotangents: Tensor,
    *,
    skip: int,
    copies: int,
    done: Callable[[int], None] | None = None,
) -> Tensor:
    """``cotangents @ J`` of one text.

    Args:
        model: the model.
        ids: the text's tokens.
        layers: layer numbers, in rising order.
        cotangents: ``[cotangent, d_model]``.
        skip: tokens at the beginning that do not count; nor does the last one.
        copies: products in one backward pass.
        done: told how many products are done, as they are.

    Returns:
        float32 ``[layer, cotangent, d_model]``.

    Raises:
        ModelError: they are not finite.
    """
    counted = slice(skip, len(ids) - 1)
    graph = model.stream_graph(ids, layers=layers, copies=copies)
    rows = torch.empty(len(layers), len(cotangents), model.d_model)
    for start in range(0, len(cotangents), copies):
        part = cotangents[start : start + copies].to(graph.final.device, graph.final.dtype)
        given = torch.zeros_like(graph.final)
        given[: len(part), counted] = part[:, None]
        gradients = graph.pulled_back(given, last=start + copies >= len(cotangents))
        for place, gradient in enumerate(gradients):
            rows[place, start : start + len(part)] = gradient[: len(part), counted].float().mean(1).cpu()
        if done is not None:
            done(len(part))
    if not bool(torch.isfinite(rows).all()):
        raise ModelError(
            f"the Jacobians of {type(model.lm).__name__} are not finite in {str(model.dtype).removeprefix('torch.')}; "
            "load it with dtype='fp32'"
        )
    return rows
