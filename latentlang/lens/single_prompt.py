"""One prompt under the lens: at every position and layer, what would come next, how surely, how far from the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from latentlang import defaults
from latentlang.answers import TokenBytes, token_bytes
from latentlang.arguments import Layers, check_count, checked_call
from latentlang.errors import InputError, unknown
from latentlang.lens.base import Lens, LogitLens, check_lens_layers, lens_settings
from latentlang.lens.lens_settings import ExplorerSettings
from latentlang.lens.result import named_lens
from latentlang.lens.text import prompt_sentences
from latentlang.lens.tuned import as_lens
from latentlang.models import HookedLM, TokenSets, as_model, read_out
from latentlang.models.batch import ActivationBatch, check_layers, check_sites
from latentlang.progress import ProgressOption, Report, reporting
from latentlang.provenance import Provenance
from latentlang.results import Result, ResultSettings, View, repeated
from latentlang.storage.tables import Columns
from latentlang.tasks import Prompt

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

EXPLORER_COLUMNS = (
    "site", "position", "token", "layer", "rank", "text", "probability", "entropy", "kl", "id",
)  # fmt: skip
# Positions whose every layer is read at once.
_POSITIONS = 64


@dataclass(frozen=True)
class ExplorerResult(Result[ExplorerSettings]):
    """What the lens says of one prompt.

    Attributes:
        table: one row per site, position, layer and rank, in this order; columns ``site`` (``resid``, ...);
            ``position``, index of the token in the prompt; ``token``, that token, made visible; ``layer``; ``rank``,
            1 for the likeliest next token; ``text``, the next token, made visible (``␣fleur``, ``E3 83`` for part of a
            character), with its ``probability`` in [0, 1] and ``id``; and, the same for all ranks, ``entropy`` of the
            whole distribution and ``kl``, its Kullback-Leibler divergence to the model's own next-token distribution at
            that position, both in bits.
    """

    kind: ClassVar[str] = "explore"
    columns: ClassVar[Columns] = {
        "site": "text", "position": "whole", "token": "text", "layer": "whole", "rank": "whole", "text": "text",
        "probability": "number", "entropy": "number", "kl": "number", "id": "whole",
    }  # fmt: skip
    settings_type: ClassVar[type[ResultSettings]] = ExplorerSettings

    def fault(self) -> str | None:
        """A cell that is there twice."""
        return repeated(self.table, ["site", "position", "layer", "rank"])

    @property
    def sites(self) -> tuple[str, ...]:
        """Sites that were read, in the order given."""
        return tuple(map(str, self.table["site"].unique()))

    def only(self, site: str) -> ExplorerResult:
        """The readings of one site.

        Raises:
            InputError: it was not read.
        """
        if site not in self.sites:
            raise unknown("site", site, self.sites, hint="only those in the result can be shown")
        part = self.table[self.table["site"] == site].reset_index(drop=True)
        return replace(self, table=part)

    def _view(self) -> View:
        return named_lens(super()._view())

    def glance(self) -> pd.DataFrame:
        """The likeliest next tokens at the last position, layer by layer from the last one down."""
        part = self.only(self.sites[0]).table
        last = part[part["position"] == part["position"].max()]
        wide = last.pivot(index="layer", columns="rank", values="text").sort_index(ascending=False)
        wide.columns = pd.Index([f"token {rank}" for rank in wide.columns])
        sure = last[last["rank"] == 1].set_index("layer")["probability"].rename("probability of token 1")
        glance: pd.DataFrame = wide.join(sure).reset_index()
        return glance

    def describe(self) -> str:
        """What the layers would say after the last token that was read, at the first site."""
        part = self.only(self.sites[0]).table
        last = part[(part["position"] == part["position"].max()) & (part["rank"] == 1)]
        return prompt_sentences(last, self.provenance)

    def figure(self, site: str | None = None, **look: Unpack[Look]) -> go.Figure:
        """Position by layer, each cell its likeliest token; of one site, by default the first.

        Args:
            site: one of `sites`.
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.

        Raises:
            InputError: the site was not read.
        """
        from latentlang.figures import explorer_figure

        return explorer_figure(self.only(site or self.sites[0]), **look)


@checked_call
def explore(
    model: HookedLM | str,
    prompt: str | Prompt,
    *,
    top: int = defaults.TOP,
    positions: str | Sequence[int] = "all",
    sites: str | Sequence[str] = "resid",
    layers: Layers = "all",
    lens: Lens | str | os.PathLike[str] | None = None,
    batch_tokens: int | None = None,
    progress: ProgressOption = True,
) -> ExplorerResult:
    """Read one prompt at every position and layer.

    What a stream's reading means. ``resid``, the residual stream after a block, and ``resid_mid``, between its
    attention and its MLP, are whole streams: the final norm and the head applied to them say what the model would
    answer if the rest of its blocks did nothing. ``attn_out`` and ``mlp_out`` are what a part of a block *adds* to the
    stream. Norm and head applied to such an addition alone say which tokens its direction favours, **not how much it
    matters**: the norm brings a faint addition to the same size as a strong one, takes no notice of what it is added
    to, and adds its own bias where it has one. Their probabilities compare tokens within one cell; entropies and
    divergences of additions are not to be compared with those of sites, and additions' readings do not add up to
    the stream's.

    Args:
        model: the model, or its name; it is not changed.
        prompt: the text.
        top: next tokens kept per position and layer.
        positions: ``"all"``, ``"last"``, or token indices, negative ones from the end.
        sites: one or several of ``resid``, ``resid_mid``, ``attn_out``, ``mlp_out``.
        layers: ``"all"`` (1 to L), layer numbers, negative ones from the end, or ``"0,4,8-12"``; ``resid`` also has 0,
            the embeddings.
        lens: what the layers are read through: a `Lens`, or the folder of a fitted one; None for the logit lens.
            Another than the logit lens translates the stream after a block and nothing else.
        batch_tokens: see `HookedLM.iter_activations`.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (positions done, positions in all).

    Raises:
        InputError: a number that makes no sense, or a lens and another site than ``resid``.
        ModelError: an empty or too long prompt; a position, layer or site that does not exist, or that the model
            does not have (`resid_mid` where attention and MLP run side by side).
    """
    model = as_model(model)
    if not isinstance(prompt, str | Prompt):
        raise InputError(f"the prompt must be one text, not {type(prompt).__name__}")
    if not str(prompt):
        raise InputError(f"the prompt is empty ({prompt!r}); give the text to look into")
    check_count("top", top, least=1)
    token_bytes(model.tokenizer)  # a tokenizer that cannot be read is refused before anything runs
    names = check_sites(sites)
    if "mlp_post" in names:
        raise InputError(
            "the neurons of a block ('mlp_post') are no part of the residual stream, so they have no next token; "
            "read 'mlp_out', what they add to it"
        )
    through = as_lens(lens, model)
    if not isinstance(through, LogitLens) and (others := [name for name in names if name != "resid"]):
        raise InputError(
            f"the {through.name} lens translates the stream after a block; read {', '.join(map(repr, others))} "
            "without a lens"
        )
    depth = model.n_layers
    ids = model.encode([prompt])
    every = isinstance(layers, str) and layers == "all"
    shown = list(range(1, depth + 1))
    if not every:
        shown = list(dict.fromkeys(check_layers(layers, depth=depth, sites=names)))
    check_lens_layers(through, shown, depth=depth)
    places = (
        {"all": list(range(len(ids[0]))), "last": [-1]}.get(positions) if isinstance(positions, str) else None
    )
    with reporting(progress, "reading", things="positions") as report:
        reading = model.activations(
            ids,
            # the last layer is what the others are compared with
            layers=shown if depth in shown else [*shown, depth],
            positions=places or (positions if isinstance(positions, str) else _once(positions, len(ids[0]))),
            sites=(*names, "resid"),
            logits=False,
            batch_tokens=batch_tokens,
        )
        return tabulate(
            model,
            prompt,
            reading,
            ids=ids[0],
            layers=len(shown),
            sites=names,
            top=top,
            lens=through,
            progress=report,
        )


def tabulate(
    model: HookedLM,
    prompt: str | Prompt,
    reading: ActivationBatch,
    *,
    ids: Sequence[int],
    layers: int | None = None,
    sites: Sequence[str] = ("resid",),
    top: int = 5,
    lens: Lens | None = None,
    progress: Report | None = None,
) -> ExplorerResult:
    """What `explore` says of a prompt that was read before; the model's blocks are not run again.

    Args:
        model: whose norm and head are used.
        prompt: the text.
        reading: of this prompt alone; its sites ``[1, layer, position, d_model]``, the last layer among them.
        ids: the prompt's tokens.
        layers: how many of the reading's layers are shown, the first ones; None for all.
        sites: those of the reading that are shown.
        top: next tokens kept per position and layer.
        lens: what the layers are read through, fit for the model; None for the logit lens.
        progress: called with (positions done, positions in all); each site counts.
    """
    through = lens or LogitLens()
    table = token_bytes(model.tokenizer)
    assert reading.positions is not None
    final = reading.resid[0, reading.layers.index(model.n_layers)]
    kept = reading.layers[:layers]
    where = reading.positions[0].tolist()
    parts = []
    done, total = 0, len(sites) * len(where)

    def advance(count: int, before: int) -> None:
        if progress is not None:
            progress(before + count, total)

    for name in sites:
        hidden = reading.sites[name][0, : len(kept)].transpose(0, 1)
        cells = _read(
            model, hidden, final, top=top, lens=through, layers=kept, advance=partial(advance, before=done)
        )
        done += len(where)
        index = {"site": name, "position": where, "token": [table.render(ids[at]) for at in where]}
        parts.append(_tidy(cells, pd.DataFrame(index), kept, table))
    provenance = Provenance(
        model=model.name, revision=model.revision, adapter=model.active_adapter, task="prompt", languages=(), policy="",
        settings={
            **ExplorerSettings(
                prompt=str(prompt), top=top, sites=list(sites), layers=list(kept), n_layers=model.n_layers,
                **lens_settings(through),
            ).stored(),
            **model.noted,
        },
    )  # fmt: skip
    return ExplorerResult(table=pd.concat(parts, ignore_index=True), provenance=provenance)


def _once(numbers: int | Sequence[int], count: int) -> list[int]:
    """Each number once, negative ones counted from the end; what does not exist is left for the model to refuse."""
    given = [numbers] if isinstance(numbers, int | np.integer) else numbers
    return list(dict.fromkeys(int(n) % count if -count <= n < count else int(n) for n in given))


def _read(
    model: HookedLM,
    hidden: Tensor,
    final: Tensor,
    *,
    top: int,
    lens: Lens,
    layers: Sequence[int],
    advance: Callable[[int], None],
) -> dict[str, np.ndarray[Any, Any]]:
    """Readings of ``[position, layer, d_model]``; `final` ``[position, d_model]`` is the last block's output."""
    nothing = TokenSets([])
    readouts, done = [], 0
    for part, last in zip(hidden.split(_POSITIONS), final.split(_POSITIONS), strict=True):
        readouts.append(
            read_out(model, part, nothing, top=top, divergence="kl", final=last, lens=lens, layers=layers)
        )
        done += len(part)
        advance(done)
    names = ("top_ids", "top_log_probs", "entropy", "kl")
    return {name: torch.cat([getattr(readout, name) for readout in readouts]).cpu().numpy() for name in names}


def _tidy(
    cells: dict[str, np.ndarray[Any, Any]], index: pd.DataFrame, layers: Sequence[int], table: TokenBytes
) -> pd.DataFrame:
    """Rows of one site: what was read, and what each position is."""
    best = cells["top_ids"]
    places, depth, kept = best.shape
    rows = index.loc[index.index.repeat(depth * kept)].reset_index(drop=True)
    columns = {
        "layer": np.tile(np.repeat(layers, kept), places),
        "rank": np.tile(np.arange(1, kept + 1), places * depth),
        "text": [table.render(token) for token in best.ravel().tolist()],
        "probability": np.exp(cells["top_log_probs"].astype(np.float64)).ravel(),
        "entropy": np.repeat(cells["entropy"].astype(np.float64).ravel(), kept),
        "kl": np.repeat(cells["kl"].astype(np.float64).ravel(), kept),
        "id": best.ravel(),
    }
    return rows.assign(**columns)[list(EXPLORER_COLUMNS)]
