"""The tuned lens: an affine translator per layer, trained so that its reading comes close to the model's output.

Belrose et al. 2023, *Eliciting Latent Predictions from Transformers with the Tuned Lens*, section 3: layer l is read as
``unembed(h_l + A_l h_l + b_l)``, and A, b minimise the Kullback-Leibler divergence of that distribution from the
model's own. The last layer needs no translator. A translator is trained to predict the *output*: a language that
passes through the middle layers may be translated away, so read it beside the plain lens, not instead of it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from latentlang import defaults
from latentlang.arguments import check_count, checked_call
from latentlang.errors import InputError, ModelError
from latentlang.lens.base import FittedLens, Lens, LogitLens, check_lens_layers
from latentlang.lens.jacobian import JacobianLens, holds_jacobian_lens
from latentlang.lens.unembedding import unembedding_hash
from latentlang.models import HookedLM, as_model
from latentlang.models.hooked import check_unedited
from latentlang.paths import is_present, is_taken
from latentlang.progress import ProgressOption, reporting
from latentlang.remote_paths import located
from latentlang.storage.documents import Record, checked, damaged, parse_json, reading
from latentlang.storage.files import prepare_folder, replacing_name
from latentlang.storage.lock import FolderLock
from latentlang.storage.output import check_vacant, foreign
from latentlang.storage.tensors import read_tensors_of, tensor_metadata
from latentlang.tasks import Prompt

FORMAT = "latentlang tuned lens 1"
_FILE = "tuned_lens.safetensors"
_NATS_PER_BIT = math.log(2)


@dataclass(frozen=True, eq=False)
class TunedLens:
    """Affine translators of the layers before the last.

    Attributes:
        weight: ``[layer, d_model, d_model]`` float32, A of each layer; layer 0 is the embeddings.
        bias: ``[layer, d_model]`` float32, b of each layer.
        unembedding: hash of the model's norm and head that it was trained on.
        losses: mean KL to the output in bits over the last steps of training, per layer.
        settings: how it was trained.
    """

    weight: Tensor
    bias: Tensor
    unembedding: str
    losses: tuple[float, ...] = ()
    settings: dict[str, float | int | str] = field(default_factory=dict)

    def __repr__(self) -> str:
        layers, width = self.bias.shape
        return f"TunedLens(layers 0-{layers - 1}, d_model {width})"

    @property
    def name(self) -> str:
        """``tuned``."""
        return "tuned"

    @cached_property
    def identity(self) -> str:
        """SHA-256 of the translators and of the unembedding that they were trained on."""
        digest = hashlib.sha256(self.unembedding.encode())
        for part in (self.weight, self.bias):
            digest.update(part.detach().cpu().contiguous().numpy().data)
        return digest.hexdigest()

    def check(self, model: HookedLM) -> None:
        """Refuse a model it was not trained on.

        Raises:
            ModelError: the unembedding, depth or width is another.
        """
        depth, width = self.bias.shape
        if (depth, width) != (model.n_layers, model.d_model):
            raise ModelError(
                f"this tuned lens is for {depth} layers of width {width}; {model.name!r} has {model.n_layers} of "
                f"width {model.d_model}; train one for it"
            )
        if self.unembedding != unembedding_hash(model):
            raise ModelError(
                f"this tuned lens was trained on another model than {model.name!r} (its norm and head differ); "
                "train one for it"
            )

    def translate(self, resid: Tensor, layers: Sequence[int]) -> Tensor:
        """What the last layer would be, by each layer's translator.

        Args:
            resid: ``[..., layer, d_model]`` residual streams.
            layers: their layer numbers; the last layer is left as it is.

        Returns:
            The same shape, float32.
        """
        depth = len(self.bias)
        out = resid.float().clone()
        for index, layer in enumerate(layers):
            if layer < depth:
                hidden = out[..., index, :]
                weight, bias = self.weight[layer].to(out.device), self.bias[layer].to(out.device)
                out[..., index, :] = hidden + hidden @ weight.T + bias
        return out

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``tuned_lens.safetensors`` into a folder; returns the file.

        Raises:
            InputError: the folder cannot be written, or holds something else that would be overwritten.
        """
        path = prepare_folder(folder, remote=True) / _FILE
        record = {"losses": self.losses, "settings": self.settings}
        metadata = {"format": FORMAT, "unembedding": self.unembedding, "record": json.dumps(record)}
        tensors = {"weight": self.weight.contiguous(), "bias": self.bias.contiguous()}
        with FolderLock(path.parent, joins=True, needed=False):
            check_target(path.parent)
            with replacing_name(path) as temporary:
                save_file(tensors, temporary, metadata)
        return path

    @classmethod
    def load(cls, folder: str | os.PathLike[str], model: HookedLM) -> TunedLens:
        """Read what `save` wrote, for the model it was trained on.

        Raises:
            InputError: no such file, or not one of ours.
            ModelError: it belongs to another model.
        """
        path = _file_of(folder)
        tensors, metadata = read_tensors_of(path, format=FORMAT, holding="tuned lens", absent=_absent(folder))
        record = checked(_TunedLensRecord, parse_json(metadata.get("record", "null"), path), path)
        if (problem := _fault(tensors, metadata)) is not None:
            raise damaged(path, problem)
        lens = cls(
            tensors["weight"], tensors["bias"], metadata["unembedding"], tuple(record.losses), record.settings
        )
        lens.check(model)
        return lens


def check_saved_lens(path: str | os.PathLike[str]) -> None:
    """Refuse a folder or file that holds no fitted lens, before a model is loaded to read it through.

    Raises:
        InputError: there is none.
    """
    if not holds_jacobian_lens(path) and not _file_of(path).is_file():
        raise InputError(_absent(path))


def _file_of(folder: str | os.PathLike[str]) -> Path:
    path = located(folder)
    with reading(path):
        return path / _FILE if path.is_dir() else path


def _absent(folder: str | os.PathLike[str]) -> str:
    why = "" if is_present(folder) else ": there is nothing of this name"
    return (
        f"{str(folder)!r} holds no tuned lens and no Jacobian lens{why}; `latentlang tune` and `latentlang jacobian` "
        "make one"
    )


def check_target(folder: Path) -> None:
    """Refuse a folder into which no tuned lens may be written, before one is trained.

    Raises:
        InputError: it holds a store or a result, or something that is no tuned lens lies in the file's place.
    """
    check_vacant(folder, None, ())
    path = folder / _FILE
    if not is_taken(path):
        return
    ours = False
    if path.is_file():  # a pipe would be waited for
        ours = tensor_metadata(path).get("format") == FORMAT
    if not ours:
        raise foreign(folder, [_FILE])


class _TunedLensRecord(Record):
    losses: list[float]
    settings: dict[str, float | int | str]


def _fault(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str | None:
    """What is wrong with the parts of a tuned lens; None where nothing is."""
    for name, axes in (("weight", 3), ("bias", 2)):
        part = tensors.get(name)
        if part is None or part.ndim != axes or part.dtype != torch.float32:
            return f"there is no {name} as it was written"
        if not torch.isfinite(part).all():
            return f"its {name} is not finite; its training failed"
    depth, width = tensors["bias"].shape
    if tensors["weight"].shape != (depth, width, width):
        return "its weight and bias do not fit together"
    return None if metadata.get("unembedding") else "it does not say of which model it is"


@checked_call
def train_tuned_lens(
    model: HookedLM | str,
    texts: Sequence[str | Prompt],
    *,
    steps: int = defaults.TUNING_STEPS,
    positions: int = defaults.TUNING_POSITIONS,
    learning_rate: float = 1e-2,
    weight_decay: float = 1e-3,
    seed: int = 0,
    batch_tokens: int | None = None,
    progress: ProgressOption = True,
) -> TunedLens:
    """Train translators on texts, with activations streamed from the model: nothing is kept but one step's.

    Args:
        model: it is not changed.
        texts: what it is trained on, in the languages of interest, such as the prompts of the continuation task; gone
            through again as long as needed.
        steps: optimiser steps.
        positions: tokens per step, from all positions of the texts.
        learning_rate: of Adam at the start, scaled by the layer's own size; falls linearly to 0.
        weight_decay: towards the plain lens (A = 0, b = 0).
        seed: of the order of texts.
        batch_tokens: see `HookedLM.iter_activations`.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (steps done, steps).

    Raises:
        InputError: no texts, or a number that makes no sense.
    """
    model = as_model(model)
    check_unedited(model, "a lens is trained")
    if not len(texts):
        raise InputError("a tuned lens needs texts to be trained on; give at least one")
    for name, value, least in (("steps", steps, 1), ("positions", positions, 1), ("seed", seed, 0)):
        check_count(name, value, least=least)
    if isinstance(texts, str):
        raise InputError("give a list of texts, not a single one")
    depth, width = model.n_layers, model.d_model
    weight = torch.zeros(depth, width, width, device=model.device, requires_grad=True)
    bias = torch.zeros(depth, width, device=model.device, requires_grad=True)
    # States of size s ask for steps of 1/s in A and s in b to move logits alike in every layer.
    optimizer = torch.optim.Adam([weight, bias], lr=1.0)
    recent: list[Tensor] = []
    states = _states(model, texts, positions, seed, batch_tokens)
    scale: Tensor | None = None
    with reporting(progress, "training the lens", things="steps", total=steps) as report:
        for step in range(steps):
            resid = next(states)  # [row, layer, d_model], all layers
            if scale is None:
                scale = resid.pow(2).mean((0, 2)).sqrt().clamp_min(1e-6)[:depth]
                sizes = (1 / (math.sqrt(width) * scale), scale / math.sqrt(width))
            now = learning_rate * (1 - step / steps)
            with torch.no_grad():
                goal = model.unembed(resid[:, depth]).log_softmax(-1)
                probs = goal.exp()
            losses = []
            for layer in range(depth):
                hidden = resid[:, layer]
                a, b = weight[layer] * sizes[0][layer], bias[layer] * sizes[1][layer]
                log_probs = model.head(model.norm(hidden + hidden @ a.T + b)).log_softmax(-1)
                loss = (probs * (goal - log_probs)).sum(-1).mean()
                whole = loss + weight_decay * (weight[layer].pow(2).sum() + bias[layer].pow(2).sum())
                # Not `backward`, which would leave gradients on the model's own norm and head.
                for parameter, gradient in zip(
                    (weight, bias), torch.autograd.grad(whole, (weight, bias)), strict=True
                ):
                    parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
                losses.append(loss.detach())
            for group in optimizer.param_groups:
                group["lr"] = now
            optimizer.step()
            optimizer.zero_grad()
            recent = [*recent[-9:], torch.stack(losses)]
            report(step + 1, steps)
    assert scale is not None
    means = torch.stack(recent).mean(0) / _NATS_PER_BIT
    return TunedLens(
        weight=(weight.detach() * sizes[0][:, None, None]).cpu(),
        bias=(bias.detach() * sizes[1][:, None]).cpu(),
        unembedding=unembedding_hash(model),
        losses=tuple(round(float(value), 6) for value in means),
        settings={
            "model": model.name, "adapter": model.active_adapter or "", "steps": steps, "positions": positions,
            "learning_rate": learning_rate,
            "weight_decay": weight_decay, "seed": seed, "texts": len(texts),
        },
    )  # fmt: skip


def as_lens(lens: Lens | str | os.PathLike[str] | None, model: HookedLM) -> Lens:
    """A lens as users give it, fit for a model: itself, a saved one by its folder or file, or None for the logit lens.

    Raises:
        InputError: a folder without a tuned or a Jacobian lens, or no lens at all.
        ModelError: it belongs to another model.
    """
    if lens is None:
        return LogitLens()
    if isinstance(lens, str | os.PathLike):
        return JacobianLens.load(lens, model) if holds_jacobian_lens(lens) else TunedLens.load(lens, model)
    if isinstance(lens, type) or not isinstance(lens, Lens):
        raise InputError(
            f"lens={lens!r} is no lens: give an object with a name, an identity and translate(resid, layers), as "
            "latentlang.lens.Lens says, or the folder of a tuned lens (`latentlang tune`) or of a Jacobian lens "
            "(`latentlang jacobian`)"
        )
    if isinstance(lens, FittedLens):
        lens.check(model)
    return lens


def divergence(
    model: HookedLM,
    texts: Sequence[str | Prompt],
    *,
    lens: Lens | str | os.PathLike[str] | None = None,
    layers: Sequence[int] | None = None,
    batch_tokens: int | None = None,
) -> Tensor:
    """Mean KL of each layer's reading from the model's output over all positions, bits, ``[layer]``.

    Args:
        model: the model.
        texts: where it is read.
        lens: a lens, or the folder of a fitted one; None for the logit lens.
        layers: layer numbers, in rising order; None for 0..L.
        batch_tokens: see `HookedLM.iter_activations`.

    Raises:
        InputError: a layer that the lens does not have.
        ModelError: the lens belongs to another model.
    """
    through = as_lens(lens, model)
    depth = model.n_layers
    numbers = list(range(depth + 1) if layers is None else layers)
    check_lens_layers(through, numbers, depth=depth)
    inner = [layer for layer in numbers if layer != depth]
    total, count = torch.zeros(len(numbers), dtype=torch.float64), 0
    with torch.inference_mode():
        for rows in _rows(model, texts, batch_tokens):
            goal = model.unembed(rows[:, -1]).log_softmax(-1)
            probs = goal.exp()
            # the last layer is the output, which no lens translates
            translated = [*through.translate(rows[:, inner], inner).unbind(1)] if inner else []
            translated += [rows[:, depth]] if depth in numbers else []
            for place, states in enumerate(translated):
                log_probs = model.unembed(states).log_softmax(-1)
                total[place] += (probs * (goal - log_probs)).sum().double().cpu()
            count += len(rows)
    return total / max(count, 1) / _NATS_PER_BIT


def _rows(model: HookedLM, texts: Sequence[str | Prompt], batch_tokens: int | None) -> Iterator[Tensor]:
    """States of every token of every text, ``[row, layer, d_model]`` for layers 0..L, batch by batch."""
    for read in model.iter_activations(texts, positions="all", logits=False, batch_tokens=batch_tokens):
        assert read.positions is not None
        yield read.resid.transpose(1, 2)[read.positions >= 0].float()


def _states(
    model: HookedLM, texts: Sequence[str | Prompt], positions: int, seed: int, batch_tokens: int | None
) -> Iterator[Tensor]:
    """Batches of exactly `positions` states, without end, from texts in a new order each time round."""
    generator = torch.Generator().manual_seed(seed)
    waiting: list[Tensor] = []
    held = 0
    while True:
        order = torch.randperm(len(texts), generator=generator).tolist()
        for start in range(0, len(order), 16):
            for rows in _rows(model, [texts[i] for i in order[start : start + 16]], batch_tokens):
                waiting.append(rows)
                held += len(rows)
                if held >= positions:
                    pool = torch.cat(waiting)
                    pool = pool[torch.randperm(len(pool), generator=generator).to(pool.device)]
                    while len(pool) >= positions:
                        yield pool[:positions].clone()
                        pool = pool[positions:]
                    waiting, held = [pool], len(pool)
