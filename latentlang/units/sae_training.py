"""A short trainer of a TopK SAE, on the tokens of a user's text in whatever languages.

Gao et al. 2024, *Scaling and evaluating sparse autoencoders*: the k largest features are kept, and directions are of
length one. Features that have not been active for long begin anew with what others leave of tokens that are badly
reconstructed (Bricken et al. 2023, *Towards Monosemanticity*, resampling).
"""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from latentlang.arguments import check_count, checked_call
from latentlang.errors import InputError, ModelError, unknown
from latentlang.language_names import Language
from latentlang.models import Edit, HookedLM, as_model
from latentlang.models.edits import EDIT_SITES, EditPlace
from latentlang.models.fingerprint import model_identity
from latentlang.models.finished_languages import kept_in, kept_tensor, prompts_digest
from latentlang.models.hooked import check_unedited
from latentlang.models.tokenization import TokenizedPrompt
from latentlang.progress import ProgressOption, reporting
from latentlang.provenance import package_versions
from latentlang.storage.files import write_bytes
from latentlang.storage.step_cache import Steps
from latentlang.storage.tensors import read_tensors, tensor_bytes
from latentlang.tasks import ContinuationTask, Prompt, Task, Texts, prompts_of_texts
from latentlang.units.features_counting import text_positions
from latentlang.units.neurons_result import text_number
from latentlang.units.sae import Sae

#: Features active at a token, features for each number of an activation, optimiser steps, tokens per step, and at most
#: so many tokens in all.
K, EXPANSION, STEPS, BATCH, TOKENS = 32, 4, 2000, 512, 200_000
_STATE = "state.safetensors"
_FORMAT = "latentlang-sae-training"
# The learning rate falls to zero over this share of the steps.
_FALL = 0.2
# A feature is dead that no token of two passes activates.
_DEAD_PASSES = 2
# Seconds of training that a stop may cost.
_KEEP_EVERY = 60
_PARAMETERS, _MOMENTS = ("W_enc", "b_enc", "W_dec", "b_dec"), ("exp_avg", "exp_avg_sq")
# Between the seeds of two runs there is room for the passes of one.
_PRIME = 1_000_003


@checked_call
def train_sae(
    model: HookedLM | str,
    texts: Texts,
    *,
    layer: int,
    site: str = "resid",
    languages: str | Language | Iterable[str | Language] | None = None,
    items: int | None = None,
    features: int | None = None,
    k: int = K,
    steps: int = STEPS,
    batch: int = BATCH,
    tokens: int = TOKENS,
    learning_rate: float = 1e-3,
    seed: int = 0,
    batch_tokens: int | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: ProgressOption = True,
) -> Sae:
    """Train a TopK SAE on all tokens of texts but the beginning-of-text token.

    The activations are read once and held in memory, four bytes a number: a store of harvested activations has one
    vector for a prompt, and an SAE is of tokens.

    Args:
        model: the model, or its name; it is not changed.
        texts: a folder of text, or ``"udhr"``; a task; language code to a list of texts; or a list of texts. What is
            measured later must be other text: train on some of it (`items`), and `features` leaves that out.
        layer: whose activations, in this package's numbers: for ``resid`` 0 is what enters the first block.
        site: which: ``resid``, ``attn_out``, ``mlp_out`` or ``mlp_post``.
        languages: which; by default all that the texts have.
        items: paragraphs per language; None for all.
        features: how many; by default four for each number of an activation.
        k: how many are active at a token.
        steps: optimiser steps.
        batch: tokens per step.
        tokens: at most so many are read, as many of each language.
        learning_rate: of Adam; it falls to zero over the last fifth of the steps.
        seed: draws paragraphs, the first directions and the order of tokens.
        batch_tokens: see `HookedLM.iter_activations`.
        out: a folder in which activations and what was learned are kept, so that a stopped run goes on; None for none.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (steps done, steps), a paragraph read being a step too.

    Raises:
        InputError: too little text, or a number that makes no sense.
        ModelError: the model has no such layer or site.
    """
    model = as_model(model)
    check_unedited(model, "an SAE is trained")
    for name, value, least in (
        ("layer", layer, 0), ("items", items, 1), ("features", features, 1), ("k", k, 1), ("steps", steps, 1),
        ("batch", batch, 1), ("tokens", tokens, 1), ("seed", seed, 0),
    ):  # fmt: skip
        check_count(name, value, least=least)
    if site not in EDIT_SITES:
        raise unknown("site", site, EDIT_SITES)
    if not (isinstance(learning_rate, int | float) and 0 < learning_rate < math.inf):
        raise InputError(f"learning_rate must be a number above 0, not {learning_rate!r}")
    if layer > model.n_layers or (layer == 0 and site != "resid"):
        least = 0 if site == "resid" else 1
        raise ModelError(
            f"{site!r} has no layer {layer} in {model.name!r}; it has {least} to {model.n_layers}"
        )
    listed, _about = prompts_of_texts(texts, languages, items=items, seed=seed)
    prompts: dict[str, list[Prompt]] = {}
    for prompt in listed:
        prompts.setdefault(prompt.language, []).append(prompt)
    task: Task = texts if isinstance(texts, Task) else ContinuationTask()
    each = max(1, tokens // len(prompts))
    total = len(listed) + steps
    with (
        kept_in(out, model, [task], layer=layer, site=site, tokens=each) as (finished,),
        reporting(progress, "training the SAE", things="steps", total=total) as report,
    ):
        rows: list[Tensor] = []
        done = Counter[str]()

        def forward(number: int) -> None:
            done["paragraphs"] += number
            report(done["paragraphs"], total)

        for of_language in prompts.values():

            def read(of_language: Sequence[Prompt] = of_language) -> Tensor:
                return _activations(
                    model, of_language, layer=layer, site=site, most=each, batch_tokens=batch_tokens, done=forward
                )  # fmt: skip

            rows.append(kept_tensor(finished, "tokens", of_language, {}, read))
        data = torch.cat(rows).to(model.device)
        asked = _Asked(
            features=features or EXPANSION * data.shape[1], k=k, steps=steps, batch=min(batch, len(data)),
            learning_rate=learning_rate, seed=seed,
        )  # fmt: skip
        _check(asked, data)
        training = _Training(asked, data)

        def learn(folder: Path | None) -> None:
            training.run(folder, lambda step: report(len(listed) + step, total))

        if out is None:
            learn(None)
        else:
            options = {
                **vars(asked), "model": model_identity(model), "prompts": prompts_digest(listed), "layer": layer,
                "site": site, "tokens": each, "device": model.device.type, "dtype": str(model.dtype),
                "version": package_versions().get("latentlang"),
            }  # fmt: skip
            Steps(Path(out)).run("training", options, learn, training.restore, resumes=[_STATE])
    return Sae(
        site=site, layer=layer, architecture="topk", k=k, source="",
        tensors=training.tensors, texts=tuple(sorted({text_number(prompt.text) for prompt in listed})),
        about={
            "model": model.name,
            "training": {
                "revision": model.revision, "languages": list(prompts), "texts": len(listed), "tokens": len(data),
                **vars(asked), "r2": round(training.r2, 4), "dead": round(training.dead, 4),
            },
        },
    )  # fmt: skip


# Reading


def _activations(
    model: HookedLM,
    prompts: Sequence[Prompt],
    *,
    layer: int,
    site: str,
    most: int,
    batch_tokens: int | None,
    done: Callable[[int], None],
) -> Tensor:
    """Activations of the tokens of some texts, text by text, ``[token, d]`` float32 on the CPU; at most `most`."""
    encoded: list[TokenizedPrompt] = []
    left = most
    for prompt in model.tokenize(prompts):
        if left > 0:
            encoded.append(prompt)
            left -= len(prompt.ids) - int(prompt.has_bos)
    watching = _TokenRows()
    edit = Edit(watching, layers=[layer], site=site, positions=text_positions(encoded))
    with model.edited(edit):
        for reading in model.iter_activations(
            encoded, layers=[model.n_layers], logits=False, batch_tokens=batch_tokens
        ):
            done(len(reading))
    order = torch.cat(watching.prompts).argsort(stable=True)
    return torch.cat(watching.rows)[order][:most].contiguous()


@dataclass(eq=False)
class _TokenRows:
    """Keeps what passes, and changes nothing."""

    rows: list[Tensor] = field(default_factory=list)
    prompts: list[Tensor] = field(default_factory=list)

    def __call__(self, activations: Tensor, place: EditPlace, /) -> Tensor:
        """The activations as they are."""
        self.rows.append(activations.detach().float().cpu())
        self.prompts.append(place.prompts.cpu())
        return activations


# Learning


@dataclass(frozen=True)
class _Asked:
    features: int
    k: int
    steps: int
    batch: int
    learning_rate: float
    seed: int


def _check(asked: _Asked, data: Tensor) -> None:
    """Refuse what nothing can be learned from.

    Raises:
        InputError: more features active than there are, too few tokens, or tokens that are all alike.
    """
    if asked.k > asked.features:
        raise InputError(f"k={asked.k} features cannot be active of {asked.features}; give a smaller k=")
    if len(data) <= asked.k:
        raise InputError(
            f"the texts have {len(data)} tokens, too few to train {asked.k} features a token on; give more text"
        )
    if not bool((data != data[0]).any()):
        raise InputError("all activations are the same, and there is nothing to learn from them")


class _Training:
    """Parameters, in units where an activation has the length of the root of its width, and how they are learned.

    Attributes:
        step: steps that are done.
        r2: share of the variance that is reconstructed, of about the last hundred steps.
    """

    def __init__(self, asked: _Asked, data: Tensor) -> None:
        self._asked, self._data = asked, data
        self._scale = float(data.shape[1] ** 0.5 / data.norm(dim=-1).mean())
        self._variance = float(data.var(0, correction=0).sum()) * self._scale**2
        draw = torch.Generator().manual_seed(asked.seed)
        directions = F.normalize(torch.randn(asked.features, data.shape[1], generator=draw), dim=-1).to(data)
        self._parameters = {
            "W_enc": directions.T.contiguous(), "b_enc": torch.zeros(asked.features).to(data),
            "W_dec": directions.clone(), "b_dec": data.mean(0) * self._scale,
        }  # fmt: skip
        for parameter in self._parameters.values():
            parameter.requires_grad_()
        self._optimizer = torch.optim.Adam(list(self._parameters.values()), lr=asked.learning_rate)
        # tokens that went by since a feature was active
        self._silent = torch.zeros(asked.features, dtype=torch.int64, device=data.device)
        self.step, self.r2 = 0, 0.0
        self._pass, self._order = -1, torch.zeros(0, dtype=torch.int64)

    def run(self, folder: Path | None, done: Callable[[int], None]) -> None:
        """Learn, from where an earlier run of the same was stopped.

        Args:
            folder: where the state is kept; None for nowhere.
            done: told how many steps are done.
        """
        if folder is not None and (folder / _STATE).is_file():
            # cut short by what stopped it: begun again
            with suppress(InputError):
                self.restore(folder)
        kept = time.monotonic()
        while self.step < self._asked.steps:
            self._learn()
            done(self.step)
            if folder is not None and (
                self.step == self._asked.steps or time.monotonic() - kept > _KEEP_EVERY
            ):
                write_bytes(folder / _STATE, tensor_bytes(self._state(), {"format": _FORMAT}))
                kept = time.monotonic()

    # A stopped run

    def _state(self) -> dict[str, Tensor]:
        state = {name: parameter.detach() for name, parameter in self._parameters.items()}
        for name, parameter in self._parameters.items():
            moments = self._optimizer.state[parameter]
            state |= {f"{name}.{each}": moments[each] for each in _MOMENTS}
        facts = torch.tensor([self.step, self.r2], dtype=torch.float64)
        return {
            name: each.cpu().contiguous()
            for name, each in (state | {"silent": self._silent, "facts": facts}).items()
        }

    def restore(self, folder: Path) -> None:
        """Take what an earlier run left.

        Raises:
            InputError: it is damaged.
        """
        names = [f"{name}.{each}" for name in _PARAMETERS for each in _MOMENTS]
        state, _metadata = read_tensors(folder / _STATE, [*_PARAMETERS, *names, "silent", "facts"])
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(state[name])
                self._optimizer.state[parameter] = {
                    "step": state["facts"][0].float(),
                    **{each: state[f"{name}.{each}"].to(parameter) for each in _MOMENTS},
                }
        self._silent = state["silent"].to(self._data.device)
        self.step, self.r2 = int(state["facts"][0]), float(state["facts"][1])

    # One step

    def _rows(self) -> Tensor:
        """The tokens of a step: of each pass in an order that depends on the pass alone."""
        asked, count = self._asked, len(self._data)
        number, place = divmod(self.step, max(1, count // asked.batch))
        if self._pass != number:
            draw = torch.Generator().manual_seed(asked.seed * _PRIME + number)
            self._pass, self._order = number, torch.randperm(count, generator=draw)
        return self._data[self._order[place * asked.batch : (place + 1) * asked.batch]] * self._scale

    def _learn(self) -> None:
        asked, parameters, rows = self._asked, self._parameters, self._rows()
        before = (rows - parameters["b_dec"]) @ parameters["W_enc"] + parameters["b_enc"]
        values, places = before.topk(asked.k, dim=-1)
        active = values.relu()
        decoded = F.embedding_bag(places, parameters["W_dec"], per_sample_weights=active, mode="sum")
        rest = rows - decoded - parameters["b_dec"]
        loss = rest.square().sum(-1).mean() / self._variance
        explained = 1 - float(loss.detach())
        # of Adam's size a step at the end would only shake what was learned
        rate = asked.learning_rate * min(1.0, (asked.steps - self.step) / max(1.0, _FALL * asked.steps))
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        gradients = torch.autograd.grad(loss, list(parameters.values()))
        with torch.no_grad():
            for parameter, gradient in zip(parameters.values(), gradients, strict=True):
                parameter.grad = gradient
            directions = parameters["W_dec"]
            assert directions.grad is not None
            # a direction is of length one: it is not moved along itself
            directions.grad -= (directions.grad * directions).sum(-1, keepdim=True) * directions
            self._optimizer.step()
            directions.copy_(F.normalize(directions, dim=-1))
            self._silent += len(rows)
            self._silent[places[active > 0].unique()] = 0
            self._replace_dead(rest)
        self.step += 1
        self.r2 += (explained - self.r2) / min(self.step, 100)

    def _replace_dead(self, rest: Tensor) -> None:
        """Give features that no token of two passes activated the directions of what is left of some tokens.

        Args:
            rest: of the tokens of this step, what is not reconstructed.
        """
        asked = self._asked
        dead = (self._silent > _DEAD_PASSES * max(len(self._data), asked.batch)).nonzero()[:, 0]
        # what begins when steps grow smaller is not learned any more
        if not len(dead) or self.step > (1 - _FALL) * asked.steps:
            return
        draw = torch.Generator().manual_seed(asked.seed * _PRIME + self.step)
        errors = rest.square().sum(-1).cpu()
        dead = dead[: int((errors > 0).sum())]
        if not len(dead):
            return
        chosen = torch.multinomial(errors, len(dead), generator=draw).to(rest.device)
        directions = F.normalize(rest[chosen], dim=-1)
        self._parameters["W_dec"][dead] = directions
        self._parameters["W_enc"][:, dead] = directions.T
        self._parameters["b_enc"][dead] = 0
        for name in ("W_enc", "b_enc", "W_dec"):
            for each in _MOMENTS:
                moments = self._optimizer.state[self._parameters[name]][each]
                (moments.T if name == "W_enc" else moments)[dead] = 0
        self._silent[dead] = 0

    # What was learned

    @property
    def dead(self) -> float:
        """Share of features that no token of the last pass activates."""
        seen = min(len(self._data), self._asked.steps * self._asked.batch)
        return float((self._silent >= seen).double().mean())

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The parameters in the model's own units, directions of length one."""
        learned = {name: parameter.detach().cpu() for name, parameter in self._parameters.items()}
        return {**learned, "b_enc": learned["b_enc"] / self._scale, "b_dec": learned["b_dec"] / self._scale}
