"""Taking in hidden states that another engine wrote, as a store like any other."""

from __future__ import annotations

import os
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from latentlang.activations.dumps import Dump, DumpedPrompt, open_dump
from latentlang.activations.import_check import TOLERANCES, Difference, Sample, compared, read_again, refused
from latentlang.activations.manifest import MANIFEST, Manifest, differences, read_manifest
from latentlang.activations.prompts import TEXTS, ContentHash, completed
from latentlang.activations.shards import Layout, stored_dtype
from latentlang.activations.store import ActivationStore, open_store
from latentlang.activations.verify import is_there
from latentlang.activations.writer import add_shard, begin, check_empty, rows_per_shard
from latentlang.arguments import Layers, check_count, checked_call, given_layers
from latentlang.errors import InputError, shown
from latentlang.language_names import language as find_language
from latentlang.models import HookedLM, as_model
from latentlang.models.batch import POOLS, check_pools
from latentlang.models.fingerprint import model_identity
from latentlang.models.tokenization import TokenizedPrompt
from latentlang.paths import given_path, is_present
from latentlang.progress import ProgressOption, reporting
from latentlang.provenance import Provenance
from latentlang.storage.files import Progress, prepare_folder
from latentlang.storage.lock import FolderLock
from latentlang.tasks import Prompt
from latentlang.tasks.record_files import SUFFIXES, records, suffix_of

if TYPE_CHECKING:
    import pandas as pd

SAMPLE = 8
IMPORTED_POOLS = ("mean", "last")


@checked_call
def import_activations(
    source: str | os.PathLike[str],
    prompts: str | os.PathLike[str] | pd.DataFrame | Sequence[Prompt],
    *,
    out: str | os.PathLike[str],
    layers: Layers | None = None,
    pools: str | Sequence[str] = IMPORTED_POOLS,
    model: HookedLM | str | None = None,
    name: str | None = None,
    sample: int = SAMPLE,
    tolerance: float | None = None,
    shift: int = 0,
    normed_last: bool = False,
    dtype: str | torch.dtype | None = None,
    shard_bytes: int | None = None,
    progress: ProgressOption = True,
) -> ActivationStore:
    """Take in hidden states of another engine, and hold a sample of them against our own reading.

    Layouts that are read: a file for each prompt, as vLLM's extraction connector writes them; one file of padded
    batches; one file of vectors (`latentlang.activations.dumps` says what must be in them). Means are taken in
    float32, as `harvest` takes them. A run that was stopped goes on when the same call is made again.

    Args:
        source: the folder or file with the hidden states.
        prompts: their texts, in the order of the hidden states: `Prompt` objects, a table, or a file of one (``.csv``,
            ``.jsonl``, ``.parquet``) with ``prompt`` and, where they are known, ``language``, ``item``, ``label``, and
            ``file``, the name of each prompt's file.
        out: the store's folder, which must be empty or not there.
        layers: for ``hidden_states`` with an axis of layers, which these are, in its order (vLLM's
            ``eagle_aux_hidden_state_layer_ids``); else which of the named layers are taken, by default all.
        pools: which vector stands for a prompt: ``mean``, ``mean_no_bos``, ``question``, ``last``. The second and third
            need the model, whose tokenizer says which tokens they are of. Of a file of vectors, the one that they are.
        model: the model, or its name: its tokens are held against the dump's, and a sample is read again. Without it
            nothing is checked but shapes and numbers, and the store says so.
        name: of the model, where `model` is not given.
        sample: prompts that are read again, spread evenly over all.
        tolerance: largest difference that is let pass, relative to the largest number of the layer; by default 0.001
            in float32, 0.02 in float16, 0.05 in bfloat16.
        shift: added to the numbers in the names of layers, for a dump that counts them otherwise.
        normed_last: the last layer stands behind the final norm, and is stored so (Hugging Face's
            ``hidden_states[-1]``); vLLM's stands before it.
        dtype: what numbers are stored as; by default as they are, float64 as float32.
        shard_bytes: most bytes of one file of the store, as in `harvest`.
        progress: as in `harvest`.

    Raises:
        InputError: a file is missing, damaged or of another shape; a number is NaN or infinite; the tokens are others;
            or the sample differs (the layer and the likely cause are named). Nothing is stored then but what was whole.
        ModelError: the model cannot be read.
    """
    check_count("sample", sample, least=1)
    if tolerance is not None and not tolerance > 0:
        raise InputError(f"tolerance must be above 0, not {tolerance}")
    kept = tuple(sorted(check_pools(pools), key=lambda pool: (pool == "last", POOLS.index(pool))))
    table = _table(prompts)
    asked = None if layers is None or layers == "all" else given_layers(layers)
    named = None if asked is None or asked == "all" else list(asked)
    files = [str(file) for file in table["file"]] if "file" in table else None
    dump = open_dump(given_path(source), files, count=len(table), layers=named, shift=shift)
    loaded = None if model is None else as_model(model)
    taken = _Taken(dump, table, loaded, kept)
    first = taken.vectors(0)[0]
    if loaded is not None:
        _check_fits(loaded, dump, first.shape[-1])
    found, allowed = None, tolerance or TOLERANCES[taken.dtype]
    if loaded is not None:
        found = _checked(taken, loaded, sample, normed_last=normed_last, tolerance=allowed)
    layout = Layout(
        ("resid",), dump.layers, kept, stored_dtype(dtype or _storable(taken.dtype)), int(first.shape[-1])
    )
    folder = prepare_folder(out, remote=True)
    with FolderLock(folder, joins=True):
        origin = _origin(
            loaded, name, table, dump, taken, found, allowed, min(sample, len(table)), normed_last=normed_last
        )
        planned = Manifest(
            model=_identity(loaded, origin),
            prompts={"rows": len(table), "content": taken.content()},
            layout=layout,
            shard_rows=rows_per_shard(layout, shard_bytes),
            run={"imported": dump.layout, **({"normed_last": True} if normed_last else {})},
        )  # fmt: skip
        manifest = _begun(folder, planned, taken, origin)
        with reporting(progress, "importing", total=len(table)) as report:
            _fill(folder, manifest, taken, report)
    return open_store(folder)


def _table(prompts: str | os.PathLike[str] | pd.DataFrame | Sequence[Prompt]) -> pd.DataFrame:
    """The table of prompts as it is stored, with ``file`` where it was given."""
    import pandas as pd

    if isinstance(prompts, str | os.PathLike):
        path = given_path(prompts)
        if suffix_of(path) not in SUFFIXES:
            raise InputError(f"{str(path)!r}: prompts are read from {', '.join(SUFFIXES)}")
        rows = [dict(fields) for _, fields in records(path)]
        frame = pd.DataFrame(rows)
        where = shown(str(path))
    elif isinstance(prompts, pd.DataFrame):
        frame, where = prompts.reset_index(drop=True), "the table of prompts"
    else:
        if isinstance(prompts, Prompt) or not all(isinstance(prompt, Prompt) for prompt in prompts):
            raise InputError("give a list of Prompt objects, a table, or a file of one")
        frame, where = (
            pd.DataFrame([{n: getattr(p, n) for n in TEXTS} for p in prompts]),
            "the list of prompts",
        )
    if not len(frame):
        raise InputError(f"{where} holds no prompt")
    if "prompt" in frame:
        frame = frame.rename(columns={"prompt": "text"})
    if "text" not in frame and "question" not in frame:
        raise InputError(
            f"{where} has no column 'prompt', the whole text that was run; it has {', '.join(map(str, frame.columns))}"
        )
    if "item" not in frame:
        frame["item"] = frame["id"] if "id" in frame else [str(row) for row in range(len(frame))]
    for column in ("text", "item", "language", "label", "file"):
        if column in frame and (missing := frame[column].isna()).any():
            raise InputError(f"{where}: row {int(missing.to_numpy().argmax())} lacks its {column!r}")
    if "language" in frame:
        frame["language"] = [find_language(str(code)).code if code else "" for code in frame["language"]]
    return completed(frame)


class _Taken:
    """The prompts of a dump, each as the vectors that stand for it.

    Args:
        dump: the hidden states.
        table: the prompts.
        model: says which tokens a prompt has; None where that is not known.
        pools: which vectors.

    Attributes:
        dtype: of the dump's numbers.
    """

    def __init__(self, dump: Dump, table: pd.DataFrame, model: HookedLM | None, pools: Sequence[str]) -> None:
        self._dump, self.table, self.pools = dump, table, pools
        self.prompts = [
            Prompt(str(item), code, label, few_shot, question, cue)
            for item, code, label, few_shot, question, cue in table[list(TEXTS)].itertuples(index=False)
        ]
        self.tokens = None if model is None else model.tokenize(self.prompts)
        self.dtype = dump.read(0).states.dtype
        self._width: int | None = None
        if dump.layout == "vectors":
            if len(pools) != 1:
                raise InputError(
                    f"a file of vectors holds one for each prompt; say which it is: pools= one of {', '.join(POOLS)}"
                )
        elif model is None and (needing := [name for name in pools if name in ("question", "mean_no_bos")]):
            raise InputError(
                f"the pool {needing[0]!r} needs the model (model=), whose tokenizer says which tokens it is of"
            )

    def __len__(self) -> int:
        return len(self.table)

    @property
    def layers(self) -> tuple[int, ...]:
        """Layer numbers along the axis of layers."""
        return self._dump.layers

    def vectors(self, row: int) -> tuple[Tensor, Tensor | None]:
        """A prompt's vectors, float32 ``[layer, pool, d_model]``; and as if it were padded on the other side.

        Raises:
            InputError: the dump cannot be read, has other tokens, or a number that is NaN or infinite.
        """
        dumped = self._dump.read(row)
        states = dumped.states
        if self._width is None:
            self._width = states.shape[-1]
        if states.shape[-1] != self._width or states.dtype != self.dtype:
            raise InputError(
                f"{self._where(row)} has states of {states.shape[-1]} numbers in {_plain(states.dtype)}, and the first "
                f"prompt of {self._width} in {_plain(self.dtype)}; write it again"
            )
        if not bool(torch.isfinite(states).all()):
            place = int((~torch.isfinite(states)).flatten(2).any(2).any(0).nonzero()[0, 0])
            raise InputError(
                f"{self._where(row)} has a number that is NaN or infinite at layer {self._dump.layers[place]}; leave "
                "the prompt out, or run it again"
            )
        if self._dump.layout == "vectors":
            return states[0].float()[:, None], None
        tokens = None if self.tokens is None else self.tokens[row]
        if tokens is not None:
            dumped = self._fitted(row, dumped, tokens)
        other = None if dumped.other_side is None else self._pooled(dumped.other_side, tokens, row)
        return self._pooled(dumped.states, tokens, row), other

    def _where(self, row: int) -> str:
        return f"prompt {shown(self.prompts[row].item)} ({self._dump.where(row)})"

    def _fitted(self, row: int, dumped: DumpedPrompt, tokens: TokenizedPrompt) -> DumpedPrompt:
        """The states of the prompt's own tokens; what an engine wrote after them is left out."""
        ours, theirs = tuple(tokens.ids), dumped.ids
        if theirs is None:
            if len(dumped.states) != len(ours):
                raise InputError(
                    f"{self._where(row)} has states of {len(dumped.states)} tokens, and the model's tokenizer makes "
                    f"{len(ours)} of it: another tokenizer, beginning token or chat template"
                )
            return dumped
        if theirs[: len(ours)] != ours:
            at = next(
                (place for place, pair in enumerate(zip(theirs, ours, strict=False)) if pair[0] != pair[1]),
                min(len(theirs), len(ours)),
            )
            raise InputError(
                f"{self._where(row)} has other tokens than the model's tokenizer makes, from token {at} on: "
                f"{_some(theirs, at)} there, {_some(ours, at)} here: another tokenizer, beginning token or chat "
                "template"
            )
        stop = len(ours)
        other = None if len(theirs) > stop else dumped.other_side
        return DumpedPrompt(dumped.states[:stop], ours, other)

    def _pooled(self, states: Tensor, tokens: TokenizedPrompt | None, row: int) -> Tensor:
        """Vectors ``[layer, pool, d_model]`` of states ``[token, layer, d_model]``."""
        spans = {"mean": (0, len(states)), "last": (len(states) - 1, len(states))}
        if tokens is not None:
            spans["mean_no_bos"] = (int(tokens.has_bos), len(states))
            if tokens.question is not None:
                spans["question"] = tokens.question
        parts = []
        for pool in self.pools:
            start, stop = spans.get(pool, (0, 0))
            if stop <= start:
                raise InputError(
                    f"{self._where(row)} has no token for the pool {pool!r}; leave this pool out"
                )
            parts.append(states[start:stop].float().mean(0))
        return torch.stack(parts, dim=1)

    def content(self) -> str:
        """SHA-256 of all texts, and of the tokens where they are known."""
        content = ContentHash()
        for row, texts in enumerate(self.table[list(TEXTS)].itertuples(index=False)):
            ids = [] if self.tokens is None else self.tokens[row].ids
            content.add(tuple(texts), array("i", ids).tobytes())
        return content.hexdigest()

    def stored_table(self) -> pd.DataFrame:
        """The prompts' table with the lengths that are known."""
        if self.tokens is None:
            return self.table
        return self.table.assign(
            tokens=[len(one.ids) for one in self.tokens],
            few_shot_tokens=[_or_nan(one.few_shot_tokens) for one in self.tokens],
            question_tokens=[
                float("nan") if one.question is None else one.question[1] - one.question[0]
                for one in self.tokens
            ],
            has_bos=[one.has_bos for one in self.tokens],
        )


def _or_nan(value: int | None) -> float:
    return float("nan") if value is None else value


def _some(ids: Sequence[int], at: int) -> str:
    return ", ".join(map(str, ids[at : at + 3])) or "none"


def _plain(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _storable(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype == torch.float64 else dtype


def _check_fits(model: HookedLM, dump: Dump, width: int) -> None:
    """Refuse a dump that cannot be of a model."""
    if width != model.d_model:
        raise InputError(
            f"the hidden states have {width} numbers a token and {model.name} has {model.d_model}: another model"
        )
    if dump.layers[-1] > model.n_layers:
        raise InputError(
            f"the hidden states have a layer {dump.layers[-1]} and {model.name} has {model.n_layers} blocks; layers "
            f"count from 0, the embeddings, to {model.n_layers}"
        )


def _checked(
    taken: _Taken, model: HookedLM, sample: int, *, normed_last: bool, tolerance: float
) -> Difference:
    """How far a sample is from our own reading.

    Raises:
        InputError: further than the tolerance.
    """
    count = min(sample, len(taken))
    rows = [place * (len(taken) - 1) // max(1, count - 1) for place in range(count)]
    parts = [taken.vectors(row) for row in rows]
    others = [vectors if other is None else other for vectors, other in parts]
    held = Sample(
        torch.stack([vectors for vectors, _ in parts]),
        torch.stack(others) if any(other is not None for _, other in parts) else None,
    )
    chosen = [taken.tokens[row] for row in rows] if taken.tokens is not None else []
    found = compared(
        held, taken.layers, lambda normed: read_again(model, chosen, taken.pools, normed_last=normed),
        normed_last=normed_last, tolerance=tolerance,
    )  # fmt: skip
    if found.cause is not None:
        raise refused(found, tolerance=tolerance, prompts=count)
    return found


def _origin(
    model: HookedLM | None,
    name: str | None,
    table: pd.DataFrame,
    dump: Dump,
    taken: _Taken,
    found: Difference | None,
    tolerance: float,
    checked: int,
    *,
    normed_last: bool,
) -> Provenance:
    """Where a store came from, with how many prompts were read again and what they differ by."""
    check: dict[str, Any] = {"layout": dump.layout, "checked": 0 if found is None else checked}
    if found is not None:
        check |= {"difference": found.largest, "layer": found.layer, "tolerance": tolerance}
    return Provenance(
        model=model.name if model is not None else (name or "unknown"),
        revision=None if model is None else model.revision,
        adapter=None if model is None else model.active_adapter,
        task="imported prompts",
        languages=tuple(code for code in dict.fromkeys(table["language"]) if code),
        settings={
            "layers": list(dump.layers), "pools": list(taken.pools), "sites": ["resid"], "imported": check,
            **({"normed_last": True} if normed_last else {}),
        },
    )  # fmt: skip


def _identity(model: HookedLM | None, origin: Provenance) -> Mapping[str, Any]:
    if model is not None:
        return model_identity(model)
    return {"name": origin.model, "revision": None, "adapter": None}


def _begun(folder: Path, planned: Manifest, taken: _Taken, origin: Provenance) -> Manifest:
    """The manifest of the store: of one that was begun with the same, or a new one.

    Raises:
        InputError: the folder holds something else.
    """
    if not is_present(folder / MANIFEST):
        check_empty(folder)
        return begin(folder, planned, [taken.stored_table()], origin)
    manifest = read_manifest(folder)
    problems = differences(manifest, planned)
    if manifest.prompts["content"] != planned.prompts["content"]:
        problems.append("its prompts are others")
    if problems:
        raise InputError(
            f"the store {str(folder)!r} is of something else: {'; '.join(problems)}. Give what it was begun with, or "
            "another folder"
        )
    return manifest


def _fill(folder: Path, manifest: Manifest, taken: _Taken, progress: Progress) -> None:
    """Write each shard that is not there."""
    layout, start = manifest.layout, 0
    for number, shard in enumerate(manifest.shards):
        stop = start + shard.rows
        if not (shard.complete and is_there(folder, shard)):
            rows = torch.empty(shard.rows, len(layout.names), layout.d_model, dtype=layout.torch_dtype)
            for row in range(start, stop):
                rows[row - start] = taken.vectors(row)[0].flatten(0, 1).to(layout.torch_dtype)
                if not bool(torch.isfinite(rows[row - start]).all()):
                    raise InputError(
                        f"prompt {shown(taken.prompts[row].item)} has a number that is too large for {layout.dtype}; "
                        "store another dtype"
                    )
                progress(row + 1, len(taken))
            parts = (rows[:, slot].contiguous() for slot in range(len(layout.names)))
            manifest = add_shard(folder, manifest, number, parts)
        progress(stop, len(taken))
        start = stop
