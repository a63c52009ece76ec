"""Running prompts and keeping their activations on disk, in memory that does not grow and steps that can be resumed.

A shard is a fixed run of prompts in the store's order, and its batches are made of its own prompts only. So what a
shard holds does not depend on when a run was stopped, and a store that was resumed is the same, byte for byte, as one
that was not (on one machine with one set of options; the manifest holds them, and a resumed run must meet them).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from einops import rearrange

from latentlang import defaults
from latentlang.activations.manifest import MANIFEST, PROMPTS, Manifest, Shard, differences, read_manifest
from latentlang.activations.partial_shard import part_path, read_part
from latentlang.activations.prompt_tokens import PromptTokens
from latentlang.activations.prompts import TEXTS, read_prompts
from latentlang.activations.shards import Layout, stored_dtype
from latentlang.activations.store import ActivationStore, open_store
from latentlang.activations.verify import is_there, prompts_fault
from latentlang.activations.writer import (
    Piece,
    ShardWriter,
    begin,
    check_empty,
    rows_per_shard,
)
from latentlang.arguments import Layers, check_count, checked_call
from latentlang.errors import InputError, ModelError
from latentlang.language_names import Language
from latentlang.language_names import languages as find_languages
from latentlang.models import ActivationBatch, HookedLM, as_model
from latentlang.models.batch import POOLS, SITES, check_layers, check_pools, check_sites
from latentlang.models.fingerprint import model_identity
from latentlang.models.forward import Reader
from latentlang.models.tokenization import PromptLike
from latentlang.paths import is_present
from latentlang.progress import ProgressOption, reporting
from latentlang.provenance import Provenance, package_versions
from latentlang.remote_paths import RemotePath
from latentlang.storage.files import Progress, prepare_folder, size_words
from latentlang.storage.lock import FolderLock
from latentlang.tasks import TASKS, Prompt, Task, as_task
from latentlang.tasks.base import settings_for

# Packages whose version decides the last bit of a number.
_DECISIVE = ("torch", "transformers", "tokenizers")


@checked_call
def harvest(
    model: HookedLM | str,
    prompts: str | Task | Sequence[PromptLike],
    *,
    out: str | os.PathLike[str],
    languages: str | Language | Iterable[str | Language] | None = None,
    layers: Layers = "all",
    pools: str | Sequence[str] = defaults.HARVESTED_POOLS,
    sites: str | Sequence[str] = (defaults.SITE,),
    items: int | None = None,
    shots: int | None = None,
    seed: int = 0,
    share_prefix: bool = True,
    batch_tokens: int | None = None,
    dtype: str | torch.dtype | None = None,
    shard_bytes: int | None = None,
    resume: bool = True,
    about: Mapping[str, Any] | None = None,
    normed_last: bool = False,
    progress: ProgressOption = True,
) -> ActivationStore:
    """Run prompts and stream what is asked for to disk.

    A run that was stopped, by whatever, goes on when the same call is made again; a call whose store is complete
    returns it. Memory: the model's own, one shard, half a shard that waits for the disk, four bytes a token.

    Args:
        model: the model, or its name; it is not changed.
        prompts: a task or the name of one, or prompts of your own: `Prompt` objects, texts (all question), token ids.
        out: the store's folder; made if missing. Also one of another filesystem (``s3://bucket/store``).
        languages: which languages of a task; by default all it has.
        layers: ``"all"``, numbers, or ``"0,4,8-12"``; 0 = embeddings, l = after block l, before the final norm.
        pools: which vector stands for a prompt: ``mean`` over its tokens, ``mean_no_bos`` without the beginning token,
            ``question`` over the question's alone, ``last`` token. All come from one forward.
        sites: ``resid``, ``attn_out``, ``mlp_out``, ``resid_mid``; ``mlp_post``, the neurons, whose vectors are wider.
        items: items per language of a task; None for all.
        shots: few-shot examples of a task; None for its default.
        seed: draws a task's items and examples.
        share_prefix: run a few-shot prefix that prompts have in common only once.
        batch_tokens: tokens run at once; by default what suits the device.
        dtype: what numbers are stored as: ``"float32"``, ``"bfloat16"``, ``"float16"``; by default the model's own.
            Means are taken in float32 before.
        shard_bytes: most bytes of one file; 256 MiB by default, and never more than 1,024 prompts. What is done again
            after a stop is at most one file, and at most a minute's.
        resume: whether to go on with a store that is there; with False it is refused.
        about: what else to note in the store's provenance, e.g. ``{"task": "reviews"}`` for prompts of your own.
        normed_last: store the last layer's ``resid`` behind the final norm, token by token before any mean: what the
            reference paper's scripts took from Hugging Face's ``hidden_states[-1]``, so that a correlation at the last
            layer can be laid beside the paper's. All other layers stand before it.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (prompts done, prompts in all); what was there before
            counts as done.

    Raises:
        InputError: an option or prompt cannot be used; the folder holds something else (what differs is said), is being
            written by another process, or cannot be written; the disk is full. What is complete is kept.
        ModelError: the model cannot be read, or an activation is NaN or infinite (prompt, layer and pool are named).
    """
    plan = HarvestPlan(
        model, prompts, languages=languages, layers=layers, pools=pools, sites=sites, items=items, shots=shots,
        seed=seed, share_prefix=share_prefix, batch_tokens=batch_tokens, dtype=dtype, shard_bytes=shard_bytes,
        about=about, normed_last=normed_last,
    )  # fmt: skip
    folder = prepare_folder(out, remote=True)
    with FolderLock(folder, joins=True):
        manifest = plan.opened(folder, resume=resume)
        with reporting(progress, "harvesting", total=len(plan.tokens)) as report:
            _fill(folder, manifest, plan.tokens, plan.reader, report)
    return open_store(folder)


class HarvestPlan:
    """What is to be harvested, settled before anything runs: options, all as of `harvest`, prompts, layout.

    Attributes:
        reader: runs the prompts.
    """

    def __init__(
        self,
        model: HookedLM | str,
        prompts: str | Task | Sequence[PromptLike],
        *,
        languages: str | Language | Iterable[str | Language] | None = None,
        layers: Layers = "all",
        pools: str | Sequence[str] = defaults.HARVESTED_POOLS,
        sites: str | Sequence[str] = (defaults.SITE,),
        items: int | None = None,
        shots: int | None = None,
        seed: int = 0,
        share_prefix: bool = True,
        batch_tokens: int | None = None,
        dtype: str | torch.dtype | None = None,
        shard_bytes: int | None = None,
        about: Mapping[str, Any] | None = None,
        normed_last: bool = False,
    ) -> None:
        self._model = model = as_model(model)
        check_count("seed", seed, least=0)
        self._given, self._provenance = _prompts(
            model, prompts, languages=languages, items=items, shots=shots, seed=seed, about=about
        )
        names = tuple(sorted(check_sites(sites), key=SITES.index))
        # averages first, as they are read
        kept = tuple(sorted(check_pools(pools), key=lambda pool: (pool == "last", POOLS.index(pool))))
        if not kept:
            raise InputError(f"no pool asked for; choose from {', '.join(POOLS)}")
        numbers = tuple(sorted(set(check_layers(layers, depth=model.n_layers, sites=names))))
        self.reader = model.reader(
            layers=numbers, sites=names, pools=kept, logits=False, share_prefix=share_prefix,
            batch_tokens=batch_tokens, normed_last=normed_last,
            finite=False,  # `_check_finite` checks what is stored, while the next batch runs
        )  # fmt: skip
        widths = tuple(model.width(name, numbers[0]) for name in names)
        self._layout = Layout(
            names, numbers, kept, stored_dtype(dtype or model.dtype), model.d_model,
            widths if set(widths) != {model.d_model} else (),
        )  # fmt: skip
        self._shard_bytes, self._normed_last = shard_bytes, normed_last

    @cached_property
    def tokens(self) -> PromptTokens:
        """The prompts as tokens."""
        return PromptTokens(self._model, self.reader, self._given)

    def opened(self, folder: Path, *, resume: bool = True) -> Manifest:
        """The manifest of the store in a folder: of one that is there, if it is this one, or of one that is begun.

        Args:
            folder: whose lock the caller holds, or another process for it.
            resume: whether one that is there may be gone on with.

        Raises:
            InputError: as of `harvest`.
        """
        tokens, model, layout = self.tokens, self._model, self._layout
        planned = Manifest(
            model=model_identity(model),
            prompts={"rows": len(tokens), "content": tokens.content},
            layout=layout,
            shard_rows=rows_per_shard(layout, self._shard_bytes),
            run={
                "batch_tokens": self.reader.runner.batch_tokens, "share": self.reader.runner.share_prefix,
                "device": model.device.type,
                "packages": {name: v for name, v in package_versions().items() if name in _DECISIVE},
                **({"normed_last": True} if self._normed_last else {}),
            },
        )  # fmt: skip
        if is_present(folder / MANIFEST):
            return _resumed(folder, planned, tokens, allowed=resume)
        check_empty(folder)
        _check_space(folder, planned.with_shards().bytes)
        noted: dict[str, Any] = {
            "layers": list(layout.layers), "pools": list(layout.pools), "sites": list(layout.sites),
        }  # fmt: skip
        if self._normed_last:
            noted["normed_last"] = True
        # last, as the model's notes are complete only when it has been prepared
        provenance = self._provenance
        completed = replace(provenance, settings={**provenance.settings, **noted, **model.noted})
        return begin(folder, planned, tokens.tables(), completed)

    def fill_shard(self, folder: Path, manifest: Manifest, number: int, progress: Progress) -> Shard:
        """Run the prompts of one shard and write its file, for a process that has the manifest and notes it there.

        Args:
            folder: of the store.
            manifest: as `opened` gave it.
            number: of the shard.
            progress: called with (prompts done, prompts in all) of the shard.

        Raises:
            InputError: the folder cannot be written.
            ModelError: an activation is NaN or infinite.
        """
        held = _HeldManifest(**{entry.name: getattr(manifest, entry.name) for entry in fields(manifest)})
        missing = replace(manifest.shards[number], sha256=None)
        filled = _fill(
            folder, held.with_shard(number, missing), self.tokens, self.reader, progress, only=number
        )  # fmt: skip
        return filled.shards[number]


class _HeldManifest(Manifest):
    """The manifest of a store that another process holds: what is known here of a shard is not written."""

    def note(self, folder: Path, number: int, shard: Shard) -> Manifest:
        """Leave the file to its owner."""
        return self.with_shard(number, shard)


def missing_shards(folder: Path, manifest: Manifest) -> list[int]:
    """Numbers of the shards that are to be run."""
    return [
        number
        for number, shard in enumerate(manifest.shards)
        if not (shard.complete and is_there(folder, shard))
    ]


def _prompts(
    model: HookedLM,
    prompts: str | Task | Sequence[PromptLike],
    *,
    languages: str | Language | Iterable[str | Language] | None,
    items: int | None,
    shots: int | None,
    seed: int,
    about: Mapping[str, Any] | None,
) -> tuple[Sequence[PromptLike], Provenance]:
    """The prompts in the order of the store, and where they come from."""
    noted = dict(about or {})
    if isinstance(prompts, str) and prompts in TASKS:
        prompts = as_task(prompts)
    if isinstance(prompts, Task):
        codes = (
            prompts.languages if languages is None else [entry.code for entry in find_languages(languages)]
        )
        given: Sequence[PromptLike] = [
            prompt for code in codes for prompt in prompts.prompts(code, items=items, shots=shots, seed=seed)
        ]
        name = prompts.name
        settings = {
            **settings_for(prompts, codes),
            "shots": prompts.default_shots if shots is None else shots,
            "items": items,
        }
    else:
        if languages is not None or items is not None or shots is not None:
            raise InputError(
                "languages, items and shots choose among a task's prompts; prompts of your own are all harvested"
            )
        given, name, settings = prompts, "prompts of the user's own", {}
        codes = tuple(dict.fromkeys(p.language for p in prompts if isinstance(p, Prompt) and p.language))
    provenance = Provenance(
        model=model.name, revision=model.revision, adapter=model.active_adapter, task=str(noted.pop("task", name)),
        languages=tuple(codes), seed=seed, settings={**settings, **noted},
    )  # fmt: skip
    return given, provenance


def check_no_store(folder: Path) -> None:
    """Refuse a folder that holds a store, where it is not to be gone on with.

    Raises:
        InputError: it does.
    """
    if is_present(folder / MANIFEST):
        raise InputError(
            f"{str(folder)!r} holds a store already; choose another folder, or leave out resume=False"
        )


def _resumed(folder: Path, planned: Manifest, tokens: PromptTokens, *, allowed: bool) -> Manifest:
    """The manifest of a store that is there, if it is the one that this run would begin.

    Raises:
        InputError: it is of something else (what differs is named), damaged, or not to be gone on with.
    """
    if not allowed:
        check_no_store(folder)
    manifest = read_manifest(folder)
    if fault := prompts_fault(folder, manifest):
        raise InputError(f"the store {str(folder)!r} is damaged: {fault}; begin again in another folder")
    problems = differences(manifest, planned)
    if manifest.prompts["content"] != planned.prompts["content"]:
        problems.append(_prompts_difference(folder, tokens))
    if problems:
        raise InputError(
            f"the store {str(folder)!r} is of something else: {'; '.join(problems)}. Give what it was begun with, or "
            "another folder"
        )
    return manifest


def _prompts_difference(folder: Path, tokens: PromptTokens) -> str:
    stored = read_prompts(folder / PROMPTS)
    if len(stored) != len(tokens):
        return f"it has {len(stored)} prompts, not {len(tokens)}"
    rows = zip(*(stored[name] for name in TEXTS), strict=True)
    for row, texts in enumerate(rows):
        if tuple(texts) != tokens.texts(row):
            return f"its prompts are others, from row {row} on: {tokens.name(row)} is not what is there"
    return "its prompts have the same texts but other tokens (another tokenizer)"


def _check_space(folder: Path, needed: int) -> None:
    """Say before a long run that it cannot end well.

    Raises:
        InputError: the disk has less room than the store will take.
    """
    if isinstance(folder, RemotePath):
        return  # nobody says how much room there is
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(
            f"{size_words(needed)} are to be written and {str(folder)!r} has {size_words(free)} free, "
            f"{size_words(needed - free)} too little; make space, ask for fewer layers, pools or "
            "prompts, or choose another disk"
        )


def _fill(
    folder: Path,
    manifest: Manifest,
    tokens: PromptTokens,
    reader: Reader,
    progress: Progress,
    *,
    only: int | None = None,
) -> Manifest:
    """Run the prompts of each shard that is not there, or of one alone; gives what is there then."""
    starts = [0]
    for shard in manifest.shards:
        starts.append(starts[-1] + shard.rows)
    asked = range(len(manifest.shards)) if only is None else [only]
    missing = missing_shards(folder, manifest) if only is None else [only]
    total = sum(manifest.shards[number].rows for number in asked)
    parts: dict[int, Piece] = {}
    for number in asked:
        shard, path = manifest.shards[number], part_path(folder, manifest, number)
        if number not in missing:
            path.unlink(missing_ok=True)  # left where a run was killed just after the shard was whole
        elif (part := read_part(path, manifest.layout, shard.rows)) is not None:
            parts[number] = Piece(number, *part)
    done = total - sum(manifest.shards[number].rows for number in missing)
    done += sum(len(part.rows) for part in parts.values())
    progress(done, total)
    if not missing:
        return manifest
    _check_space(folder, sum(manifest.shards[number].bytes for number in missing))
    layout = manifest.layout

    def check(piece: Piece) -> None:
        _check_finite(piece, layout, lambda row: tokens.name(starts[piece.shard] + row))

    backlog = manifest.shard_rows * layout.row_bytes // 2
    with ShardWriter(folder, manifest, check=check, backlog_bytes=backlog) as writer:
        for number in missing:
            there: frozenset[int] = frozenset()
            if number in parts:
                part_there = parts.pop(number)
                there = frozenset(part_there.rows.tolist())
                writer.put(part_there)
            for reading in reader.stream(tokens.rows(starts[number], starts[number + 1]), there=there):
                writer.put(_piece(reading, number, layout))
                done += len(reading)
                progress(done, total)
    return writer.manifest


def _piece(reading: ActivationBatch, shard: int, layout: Layout) -> Piece:
    """What is stored of a batch, on its way to the memory."""
    parts = [
        rearrange(reading.sites[name], "batch layer pool d -> batch (layer pool) d").to(layout.torch_dtype)
        for name in layout.sites
    ]
    if layout.widths:
        parts = [torch.nn.functional.pad(part, (0, layout.widest - part.shape[-1])) for part in parts]
    values = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
    if values.device.type != "cuda":
        return Piece(shard, reading.index.cpu(), values.cpu())
    # To pinned memory, so that the copy runs while the next forward is prepared and run. The writer waits for it, not
    # this thread: asking the device for anything here would wait for all it has to do.
    rows, host = (
        torch.empty(given.shape, dtype=given.dtype, pin_memory=True).copy_(given, non_blocking=True)
        for given in (reading.index, values)
    )
    return Piece(shard, rows, host, torch.cuda.current_stream(values.device).record_event().synchronize)


def _check_finite(piece: Piece, layout: Layout, name: Callable[[int], str]) -> None:
    """Refuse what no analysis can use.

    Raises:
        ModelError: a number is NaN or infinite; prompt, layer and pool are named.
    """
    low, high = torch.aminmax(piece.values)
    # a NaN anywhere makes both NaN
    if bool(torch.isfinite(low)) and bool(torch.isfinite(high)):
        return
    broken = ~torch.isfinite(piece.values).all(-1)
    row, slot = (int(index) for index in broken.nonzero()[0])
    site, layer, pool = layout.names[slot].split(".")
    kind = "NaN" if bool(piece.values[row, slot].isnan().any()) else "infinite"
    others = int(broken.any(1).sum()) - 1
    raise ModelError(
        f"{name(int(piece.rows[row]))} has an activation that is {kind}: layer {int(layer)}, pool {pool!r}, site "
        f"{site!r}{f' (and {others} more prompts of its batch)' if others else ''}; its shard is not written. Leave "
        "the prompt out, or load the model in another dtype (float16 overflows where bfloat16 does not)"
    )
