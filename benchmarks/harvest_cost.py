"""What harvesting costs, and how fast stores are written and read: `python -m benchmarks.harvest_cost`.

Four questions, each against what a user would otherwise do: time against the same forwards whose readings are dropped;
writing against one plain sequential file on the same disk; reading one layer of all prompts against a raw memory map of
a file that holds nothing else; and peak memory against the number of prompts. Prints a table and writes
`harvest_cost.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from benchmarks.lens_cost import SHARES, build, machine, random_prompts, shapes
from latentlang.activations import harvest, open_store
from latentlang.activations.manifest import Manifest
from latentlang.activations.prompt_tokens import PromptTokens
from latentlang.activations.prompts import completed
from latentlang.activations.shards import Layout
from latentlang.activations.writer import Piece, ShardWriter, begin, rows_per_shard
from latentlang.models import HookedLM, load
from latentlang.models.tokenization import TokenizedPrompt
from latentlang.provenance import Provenance
from latentlang.tasks import task

POOLS = ("mean", "question", "last")
# A store with the shape of a 7B model's: 4096 wide in bf16, a third of its layers.
_WIDE = Layout(("resid",), tuple(range(11)), POOLS, "bfloat16", 4096)
_BATCH_ROWS = 16
_CHUNK = 8 * 2**20
_MEMORY_ITEMS = (50, 250, 434)  # per language, of 20


def timed(run: Callable[[], object], device: str) -> tuple[float, float]:
    """Wall and CPU seconds of a run; CPU seconds are those of all threads."""
    if device == "cuda":
        torch.cuda.synchronize()
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - cpu


def median_ratio(over: list[float], under: list[float]) -> float:
    """Median over rounds of one time over another's of the same round."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def with_questions(ids: list[list[int]], block: int) -> list[TokenizedPrompt]:
    """Token ids as prompts whose question is what follows the block, up to a short cue."""
    return [
        TokenizedPrompt(own, f"prompt {place}", (block, len(own) - 3), block, False)
        for place, own in enumerate(ids)
    ]


def time_rows(
    name: str, config: Any, folder: Path, *, device: str, count: int, length: int, rounds: int
) -> Iterator[dict[str, Any]]:
    """Harvest against the same forwards without saving."""
    lm = HookedLM(build(config, device), name=name)
    row_bytes = (lm.n_layers + 1) * len(POOLS) * lm.d_model * lm.dtype.itemsize
    # four shards, so that what a shard costs is in it
    rows = -(-count // 4)
    out = folder / "timed"
    for kind, part in SHARES.items():
        prompts = with_questions(random_prompts(count, length, part, config.vocab_size), int(length * part))

        def dropped(prompts: list[TokenizedPrompt] = prompts) -> None:
            reader = lm.reader(pools=POOLS, logits=False)
            tokens = PromptTokens(lm, reader, prompts)
            for start in range(0, count, rows):
                for _reading in reader.stream(tokens.rows(start, min(start + rows, count))):
                    pass

        def saved(prompts: list[TokenizedPrompt] = prompts) -> None:
            shutil.rmtree(out, ignore_errors=True)
            harvest(lm, prompts, out=out, pools=POOLS, shard_bytes=rows * row_bytes)

        times: dict[str, list[tuple[float, float]]] = {"dropped": [], "saved": []}
        for round_number in range(rounds + 1):
            for variant, run in (("dropped", dropped), ("saved", saved)):
                spent = timed(run, device)
                if round_number:
                    times[variant].append(spent)
        wall, cpu = (
            median_ratio([t[which] for t in times["saved"]], [t[which] for t in times["dropped"]])
            for which in (0, 1)
        )
        yield {
            "model": name, "task": kind, "prompts": count, "bytes_per_prompt": row_bytes,
            "forward_seconds": statistics.median(t[0] for t in times["dropped"]),
            "harvest_over_forward_wall": wall, "harvest_over_forward_cpu": cpu,
        }  # fmt: skip


def write_plain(path: Path, content: memoryview, times: int) -> None:
    """The same bytes as one sequential file, on the disk when done."""
    with path.open("wb", buffering=0) as file:
        for _ in range(times):
            for start in range(0, len(content), _CHUNK):
                file.write(content[start : start + _CHUNK])
        os.fsync(file.fileno())


def write_shards(folder: Path, values: Tensor, rows: int, shards: int) -> Manifest:
    """Shards as a harvest writes them: from batches, hashed, each on the disk before it counts."""
    folder.mkdir(exist_ok=True)
    manifest = Manifest(
        model={}, prompts={"rows": rows * shards}, layout=_WIDE, shard_rows=rows
    ).with_shards()
    manifest.write(folder)
    with ShardWriter(
        folder, manifest, check=lambda piece: None, backlog_bytes=rows * _WIDE.row_bytes // 2
    ) as writer:
        for shard in range(shards):
            for start in range(0, rows, _BATCH_ROWS):
                stop = min(start + _BATCH_ROWS, rows)
                writer.put(Piece(shard, torch.arange(start, stop), values[: stop - start]))
    return writer.manifest


def write_row(
    folder: Path, *, gigabytes: float, rounds: int, shard_bytes: int | None = None
) -> tuple[dict[str, Any], Manifest]:
    """Writing shards against writing one plain file of as many bytes; leaves the shards in ``written``."""
    rows = rows_per_shard(_WIDE, shard_bytes)
    shards = max(2, round(gigabytes * 1e9 / (rows * _WIDE.row_bytes)))
    values = torch.randn(_BATCH_ROWS, len(_WIDE.names), _WIDE.d_model).to(torch.bfloat16)
    random = bytearray(os.urandom(2**20))
    content = memoryview(random * (rows * _WIDE.row_bytes // 2**20 + 1))[: rows * _WIDE.row_bytes]
    plain, ours = [], []
    for round_number in range(rounds + 1):
        (folder / "plain").unlink(missing_ok=True)
        first = timed(lambda: write_plain(folder / "plain", content, shards), "cpu")[0]
        (folder / "plain").unlink()
        shutil.rmtree(folder / "written", ignore_errors=True)
        start = time.perf_counter()
        manifest = write_shards(folder / "written", values, rows, shards)
        second = time.perf_counter() - start
        if round_number:
            plain.append(len(content) * shards / first)
            ours.append(rows * _WIDE.row_bytes * shards / second)
    row = {
        "shards": shards, "bytes": rows * _WIDE.row_bytes * shards,
        "plain_mb_per_second": [round(rate / 1e6) for rate in plain],
        "store_mb_per_second": [round(rate / 1e6) for rate in ours],
        "store_over_plain": median_ratio(ours, plain),
    }  # fmt: skip
    return row, manifest


def forget(paths: list[Path]) -> None:
    """Take files out of the page cache."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def touch(values: Tensor) -> Tensor:
    """Read every number, with as little arithmetic as can be."""
    return values.view(torch.int64).sum()


def read_rows(folder: Path, *, rounds: int) -> Iterator[dict[str, Any]]:
    """One layer of all prompts, from the store that `write_row` left, against a raw memory map."""
    store = open_store(folder)
    view = store.layer(5, pools="mean")
    raw = folder.parent / "raw"
    with raw.open("wb") as file:
        for batch in view.batches():
            file.write(batch.contiguous().view(torch.uint8).numpy().data)
    count = len(store) * store.d_model

    def mapped() -> Tensor:
        whole = torch.from_file(str(raw), shared=False, size=count, dtype=torch.bfloat16)
        return whole.view(-1, store.d_model)

    # Passed over where it lies, against the plain map; and brought into memory, against a copy of the plain map.
    runs: dict[str, Callable[[], Tensor]] = {
        "map": lambda: touch(mapped()),
        "shards": lambda: torch.stack([touch(rows) for rows in view.shards()]).sum(),
        "copy of map": lambda: touch(mapped().clone()),
        "tensor": lambda: touch(view.tensor()),
        "batches": lambda: torch.stack([touch(rows) for rows in view.batches()]).sum(),
    }
    assert len({int(run()) for run in runs.values()}) == 1
    files = [store.path / shard.file for shard in store.manifest.shards]
    for cold in (False, True):
        times: dict[str, list[float]] = {name: [] for name in runs}
        for round_number in range(rounds + 1):
            for name, run in runs.items():
                if cold:
                    forget([raw] if "map" in name else files)
                wall, cpu = timed(run, "cpu")
                if round_number:
                    # what is in memory costs only computing
                    times[name].append(wall if cold else cpu)
        row: dict[str, Any] = {"cache": "cold" if cold else "warm", "bytes": count * 2}
        for name, spent in times.items():
            row[f"{name} MB/s"] = round(count * 2 / statistics.median(spent) / 1e6)
        for name, plain in (("shards", "map"), ("tensor", "copy of map"), ("batches", "copy of map")):
            row[f"{name} over {plain}"] = median_ratio(times[plain], times[name])
        yield row


def finish_store(folder: Path, manifest: Manifest) -> None:
    """Give shards that were written alone what else makes them a store."""
    table = completed(pd.DataFrame({"item": [str(place) for place in range(manifest.rows)]}))
    made = Provenance(model="random", task="none", languages=())
    begun = begin(folder, manifest, [table], made)
    for number, shard in enumerate(manifest.shards):
        begun = begun.with_shard(number, shard)
    begun.write(folder)


def memory_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Peak memory above the loaded model of a fresh process that harvests so many prompts of `pocket`."""
    for items in _MEMORY_ITEMS:
        out = folder / f"memory-{items}"
        code = f"from benchmarks.harvest_cost import memory_child; memory_child({items}, {str(out)!r})"
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        yield json.loads(found.stdout.strip().splitlines()[-1])
        shutil.rmtree(out)


def memory_child(items: int, out: str) -> None:
    """Harvest in this process and print its peak above the loaded model."""
    torch.set_num_threads(1)
    lm, work = load("pocket"), task("sentiment")
    # What the process holds once: libraries imported on first use, the model's look at itself, and the tokenizer's
    # cache of words, which grows to 50 MB here whatever is done with the tokens.
    harvest(lm, work, out=f"{out}-first", items=1, shots=0)
    shutil.rmtree(f"{out}-first")
    for code in work.languages:
        lm.encode(work.prompts(code, items=_MEMORY_ITEMS[-1], shots=0))
    base = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    store = harvest(lm, work, out=out, items=items, shots=0)
    record = {
        "prompts": len(store),
        "store_bytes": store.manifest.bytes,
        "peak_bytes": status("VmHWM") - base,
    }
    print(json.dumps(record))


def status(field: str) -> int:
    """A memory field of this process, bytes (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--length", type=int, default=160, help="tokens per prompt")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gigabytes", type=float, default=1.0, help="size of the store written and read")
    parser.add_argument(
        "--only", choices=("time", "disk", "memory"), help="measure this, keep the rest there is"
    )
    parser.add_argument("--folder", type=Path, help="on the disk to measure; a temporary one by default")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(1)
    record: dict[str, Any] = {"machine": machine(device)}
    if options.only and options.out.exists():
        record = json.loads(options.out.read_text()) | record
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        if options.only in (None, "time"):
            configs = {key: config for key, config in shapes(device).items() if key != "qwen2-152k"}
            record["time"] = [
                row
                for key, config in configs.items()
                for row in time_rows(
                    key, config, folder, device=device, count=options.prompts, length=options.length,
                    rounds=options.rounds,
                )
            ]  # fmt: skip
        if options.only in (None, "disk"):
            record["write"], written = write_row(folder, gigabytes=options.gigabytes, rounds=options.rounds)
            finish_store(folder / "written", written)
            record["read"] = list(read_rows(folder / "written", rounds=3 * options.rounds))
        if options.only in (None, "memory"):
            record["memory"] = list(memory_rows(folder))
    # how it was run, and what else ran: wall times on a busy machine say little
    settings = {key: value for key, value in vars(options).items() if key not in ("out", "folder", "only")}
    load = round(os.getloadavg()[1], 1)
    for part in ("time", "disk", "memory") if options.only is None else (options.only,):
        record.setdefault("settings", {})[part] = settings | {"load": load}
    for part in ("time", "write", "read", "memory"):
        for row in record.get(part, []) if isinstance(record.get(part), list) else [record.get(part)]:
            print(part, {k: round(v, 3) if isinstance(v, float) else v for k, v in (row or {}).items()})
    options.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
