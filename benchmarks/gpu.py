"""What a GPU does with the package, in at most eight minutes: `bash benchmarks/gpu.sh` (`--tiny` runs it on a CPU).

Random weights of the shapes of Mistral 7B, Llama 3 8B and Qwen2.5 7B, and Gemma 3 270M's own where its data package is
installed. Each part has a limit of its own and the whole has one: a part that would not fit, or outlasts its limit, is
named in the record. The record is written after every part, as JSON and as the table of docs/scale.md.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from transformers import LlamaConfig, MistralConfig, Qwen2Config

from benchmarks.harvest_cost import time_rows, write_row
from benchmarks.lens_cost import (
    SHARES,
    build,
    lens_floor,
    ours,
    plain,
    random_prompts,
    ratio,
    seconds,
    take_turns,
)
from latentlang.models import HookedLM, TokenSets, load
from latentlang.models.data_package import DATA_PACKAGES
from latentlang.models.loading import load_tokenizer
from latentlang.models.shapes import DecoderShape, published_shapes

#: Short names of the shapes, to the class of their configuration.
SHAPES: dict[str, Any] = {"mistral": MistralConfig, "llama3-8b": LlamaConfig, "qwen2.5-7b": Qwen2Config}
_SECONDS = 480.0
_AIMS = {
    "lens over bare forward": 1.05, "share of ideal of shared blocks": 0.70, "harvest over forward": 1.10,
    "writing over a plain file": 0.80, "seconds a task": 120.0,
}  # fmt: skip


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        prompts: of the ratios.
        length: tokens of each.
        rounds: of each variant, after a warm-up.
        items: per language of the tasks, at most: two of the package's own have fewer than 500.
        languages: group of them.
        harvested: prompts of a harvest; enough that what a harvest costs once does not decide the ratio.
        gigabytes: of the plain write.
        shard_bytes: of a shard of what is written; None for a store's own.
        tiny: whether shapes are tiny.
    """

    prompts: int = 48
    length: int = 160
    rounds: int = 3
    items: int = 500
    languages: str = "paper20"
    harvested: int = 384
    gigabytes: float = 1.0
    shard_bytes: int | None = None
    tiny: bool = False


TINY = Size(
    prompts=4, length=60, rounds=1, items=2, languages="ja,de", harvested=8, gigabytes=0.004, shard_bytes=2 * 10**6,
    tiny=True,
)  # fmt: skip


class OverLimitError(BaseException):
    """A part took longer than it may: no ``except Exception`` on the way is to keep it."""


@dataclass
class Record:
    """What was measured so far, and where it is written.

    Attributes:
        device: that it was measured on.
        size: how much was.
        out: the JSON file; the table lies beside it as ``.md``.
        total: seconds that all of it may take.
        began: when it did, by a clock that does not go back.
        rows: what was found.
        left_out: part to why it is not there.
        spent: part to the seconds that it took.
    """

    device: str
    size: Size
    out: Path
    total: float
    began: float = field(default_factory=time.monotonic)
    rows: list[dict[str, Any]] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.total - (time.monotonic() - self.began)

    def part(self, name: str, limit: float, run: Callable[[], Iterator[dict[str, Any]]]) -> None:
        """Run a part, unless it may not fit; what it gave is written whatever happens after.

        Args:
            name: of the part.
            limit: seconds that it may take.
            run: gives rows with at least ``what`` and ``value``.
        """
        limit = min(limit, limit * self.total / _SECONDS) if not self.size.tiny else self.total
        if self.left < (limit if not self.size.tiny else 1):
            self.left_out[name] = f"did not fit: it may take {limit:.0f} s, and {self.left:.0f} s were left"
            return self.write()
        start = time.monotonic()
        print(f"{name} (at most {limit:.0f} s, {self.left:.0f} s left)", flush=True)
        try:
            with _limit(min(limit, self.left)):
                for row in run():
                    self.rows.append({"part": name} | row)
                    print("  ", {key: _rounded(value) for key, value in row.items()}, flush=True)
        except OverLimitError:
            self.left_out[name] = f"stopped after {limit:.0f} s, its limit; what it had measured is there"
        except Exception as error:  # one part's failure costs no other
            self.left_out[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        self.spent[name] = round(time.monotonic() - start, 1)
        _freed()
        return self.write()

    def write(self) -> None:
        """Write what there is."""
        record = {
            "machine": _machine(self.device), "tiny": self.size.tiny, "size": vars(self.size), "aims": _AIMS,
            "seconds": round(time.monotonic() - self.began, 1), "spent": self.spent, "rows": self.rows,
            "left_out": self.left_out,
        }  # fmt: skip
        self.out.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        self.out.with_suffix(".md").write_text(markdown(record), encoding="utf-8")


def markdown(record: dict[str, Any]) -> str:
    """The record as a table for the docs."""
    lines = [f"Measured on {record['machine']} in {record['seconds']:,.0f} s.", ""]
    if record["tiny"]:
        lines = ["A tiny run, which shows that the script runs and measures nothing.", ""]
    lines += ["| part | model | what | value | aim |", "| --- | --- | --- | --- | --- |"]
    for row in record["rows"]:
        aim = record["aims"].get(row["what"].partition(",")[0], "")
        lines.append(
            f"| {row['part']} | {row.get('model', '')} | {row['what']} | {_rounded(row['value'])} | {aim} |"
        )
    lines += ["", *(f"- left out: {part}: {why}" for part, why in record["left_out"].items())]
    return "\n".join(lines).rstrip() + "\n"


def _rounded(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value


@contextmanager
def _limit(limit: float) -> Iterator[None]:
    """A block that is stopped when it takes longer."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise OverLimitError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(limit, 0.01))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _freed() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _machine(device: str) -> str:
    chip = torch.cuda.get_device_name() if device == "cuda" else "a CPU"
    return f"{chip}, {os.cpu_count()} cores, torch {torch.__version__}"


def config_of(name: str, size: Size) -> Any:
    """The configuration of a shape, of the real size or a tiny one."""
    shape: DecoderShape = published_shapes()[name]
    if size.tiny:
        shape = replace(
            shape, layers=3, d_model=32, heads=4, kv_heads=2, head_dim=8, d_mlp=64, vocabulary=8192
        )
    given = {
        "vocab_size": shape.vocabulary, "hidden_size": shape.d_model, "intermediate_size": shape.d_mlp,
        "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads, "max_position_embeddings": 4096, "tie_word_embeddings": shape.tied,
    }  # fmt: skip
    return SHAPES[name](**given)


def _sets(vocabulary: int) -> TokenSets:
    draws = (np.random.default_rng(seed).integers(0, vocabulary, 8) for seed in range(40))
    return TokenSets([np.unique(draw) for draw in draws])


def lens_rows(name: str, model: Any, size: Size, device: str) -> Iterator[dict[str, Any]]:
    """The lens beside the bare forward, with and without the blocks that prompts share."""
    lm = HookedLM(model, name=name)
    vocabulary = model.config.vocab_size
    sets = _sets(vocabulary)
    for task, share in SHARES.items():
        prompts = random_prompts(size.prompts, size.length, share, vocabulary)
        tokens, shared = sum(map(len, prompts)), int(size.length * share)
        ideal = tokens / (tokens - shared * (size.prompts - 1))
        runs: dict[str, Any] = {
            f"plain, {rows} rows": partial(plain, model, prompts, rows) for rows in (16, 48)
        }
        runs["lens"] = partial(ours, lm, prompts, sets, share_prefix=False)
        runs["shared"] = partial(ours, lm, prompts, sets, share_prefix=True)
        times = take_turns(runs, rounds=size.rounds, device=device)
        best = min((k for k in runs if k.startswith("plain")), key=lambda k: statistics.median(times[k]))
        about = {"model": name, "tokens": tokens}
        yield about | {"what": f"lens over bare forward, {task}", "value": ratio(times, "lens", best)}
        yield about | {
            "what": f"floor of that by arithmetic, {task}",
            "value": lens_floor(model, tokens, size.prompts),
        }
        gain = 1 / ratio(times, "shared", best)
        yield about | {"what": f"share of ideal of shared blocks, {task}", "value": gain / ideal}
        yield about | {"what": f"tokens a second, {task}", "value": tokens / statistics.median(times["lens"])}


def task_rows(name: str, which: str, model: Any, size: Size, device: str) -> Iterator[dict[str, Any]]:
    """A whole evaluation: twenty languages of a task, on the package's own prompts and pocket's tokenizer.

    A tenth of the items first, so that there is a number where the whole outlasts its limit.
    """
    from latentlang.evaluation import evaluate
    from latentlang.tasks import task

    lm, made = HookedLM(model, load_tokenizer("pocket"), name=name), task(which)
    for what, items in (
        ("seconds a tenth of a task", max(1, size.items // 10)),
        ("seconds a task", size.items),
    ):
        found: list[Any] = []

        def run(items: int = items, found: list[Any] = found) -> None:
            found.append(evaluate(lm, made, languages=size.languages, items=items, progress=False))

        took = seconds(run, device)
        yield {"model": name, "what": f"{what}, {which}", "value": took, "items": len(found[0].table)}


def harvest_rows(name: str, config: Any, size: Size, device: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Harvest beside the same forwards whose readings are dropped, and the store beside a plain file."""
    for row in time_rows(
        name, config, folder, device=device, count=size.harvested, length=size.length, rounds=size.rounds
    ):
        yield {
            "model": name, "what": f"harvest over forward, {row['task']}", "value": row["harvest_over_forward_wall"],
        }  # fmt: skip


def write_rows(size: Size, folder: Path) -> Iterator[dict[str, Any]]:
    """Shards of a 7B model's store beside a plain file of as many bytes."""
    row, _ = write_row(folder, gigabytes=size.gigabytes, rounds=size.rounds, shard_bytes=size.shard_bytes)
    yield {"what": "writing over a plain file", "value": row["store_over_plain"], "bytes": row["bytes"]}
    yield {"what": "MB a second, store", "value": float(statistics.median(row["store_mb_per_second"]))}


def memory_rows(name: str, model: Any, size: Size, device: str) -> Iterator[dict[str, Any]]:
    """Peak memory on the device above the weights, of the bare forward and of the lens on the same prompts."""
    if device != "cuda":
        raise RuntimeError("peak memory is that of a GPU; benchmarks/lens_cost.py has a CPU's")
    prompts = random_prompts(size.prompts, size.length, SHARES["sentiment"], model.config.vocab_size)
    lm, sets = HookedLM(model, name=name), _sets(model.config.vocab_size)
    runs: dict[str, Callable[[], Any]] = {
        "bare forward": lambda: plain(model, prompts, 48),
        "lens": lambda: ours(lm, prompts, sets, share_prefix=False),
        "lens, shared blocks": lambda: ours(lm, prompts, sets, share_prefix=True),
    }
    for what, run in runs.items():
        _freed()
        torch.cuda.reset_peak_memory_stats()
        base = torch.cuda.memory_allocated()
        run()
        yield {
            "model": name,
            "what": f"peak bytes above the weights, {what}",
            "value": torch.cuda.max_memory_allocated() - base,
        }


def exact_rows(name: str, model: Any, size: Size, device: str) -> Iterator[dict[str, Any]]:
    """Our logits and our last layer against the model's own logits, alone and in a batch; then bf16 against float32.

    Alone the same operations are run as by the model itself: a difference would be ours.
    """
    prompts = random_prompts(size.prompts, size.length, 0.0, model.config.vocab_size)
    lm = HookedLM(model, name=name)
    with torch.inference_mode():
        alone = [
            model(torch.tensor([ids], device=model.device), logits_to_keep=1).logits[0, -1].float()
            for ids in prompts
        ]
    worst = {"logits, alone": 0.0, "last layer of the lens, alone": 0.0, "logits, in a batch": 0.0}
    same = 0

    def compare(what: str, row: torch.Tensor, index: int) -> None:
        one = alone[index]
        worst[what] = max(
            worst[what], float((row.float().to(one.device) - one).abs().max() / one.abs().max())
        )

    for index, ids in enumerate(prompts):
        for reading in lm.iter_activations([ids], share_prefix=False):
            compare("logits, alone", _logits(reading)[0], index)
            with torch.inference_mode():
                compare("last layer of the lens, alone", lm.unembed(reading.resid[:, -1])[0], index)
    for reading in lm.iter_activations(prompts, share_prefix=False):
        for index, row in zip(reading.index.tolist(), _logits(reading), strict=True):
            compare("logits, in a batch", row, index)
            same += int(row.argmax()) == int(alone[index].argmax())
    for what, value in worst.items():
        yield {
            "model": name, "what": f"largest difference from the model's own logits, of the largest: {what}",
            "value": value,
        }  # fmt: skip
    yield {"model": name, "what": "same likeliest token, batch against alone", "value": same / len(prompts)}
    if model.dtype == torch.float32:
        return
    needed = 4 * sum(weight.numel() for weight in model.parameters())
    if device == "cuda" and torch.cuda.mem_get_info()[0] < 1.2 * needed:
        raise RuntimeError(f"the same model in float32 wants {needed / 1e9:.0f} GB more, which are not free")
    model.float()
    with torch.inference_mode():
        kept = [
            float(model(torch.tensor([ids], device=model.device)).logits[0, -1].argmax() == one.argmax())
            for ids, one in zip(prompts, alone, strict=True)
        ]
    yield {
        "model": name,
        "what": "same likeliest token, bf16 against float32",
        "value": statistics.mean(kept),
    }


def saved_model(size: Size, device: str, folder: Path) -> str:
    """Folder of a saved model of a billion weights, made on the first call."""
    saved = folder / "saved"
    if not saved.exists():
        config = config_of("mistral", size)
        if not size.tiny:
            config.num_hidden_layers, config.hidden_size, config.intermediate_size = 16, 2048, 8192
            config.num_attention_heads, config.num_key_value_heads, config.head_dim = 16, 8, 128
        build(config, device).save_pretrained(saved)
        load_tokenizer("pocket").save_pretrained(saved)
    return str(saved)


def _placed_rows(
    size: Size, device: str, folder: Path, what: str, options: Callable[[int], dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """A saved model loaded another way beside the same loaded whole: time, and whether it says the same.

    Args:
        size: of the measurement.
        device: of the model that is loaded whole.
        folder: for the saved model.
        what: the way is called.
        options: of `load`, by the number of layers.
    """
    saved = saved_model(size, device, folder)
    model = load(saved, device=device)
    prompts = random_prompts(8, size.length, 0.0, model.vocab_size)
    whole, depth = _tops(model, prompts), model.n_layers
    del model
    _freed()
    start = time.perf_counter()
    found = _tops(load(saved, **options(depth)), prompts)
    yield {"what": f"seconds to load and read, {what}", "value": time.perf_counter() - start}
    yield {"what": f"same likeliest token, {what}", "value": _agreement(whole, found)}


def map_rows(size: Size, device: str, folder: Path) -> Iterator[dict[str, Any]]:
    """A saved model over a device map: the second half of its layers on the CPU."""
    first = 0 if device == "cuda" else "cpu"

    def places(depth: int) -> dict[str, Any]:
        ends = ("model.embed_tokens", "model.norm", "lm_head", "model.rotary_emb")
        layers = {f"model.layers.{n}": first if n < depth // 2 else "cpu" for n in range(depth)}
        return {"device_map": dict.fromkeys(ends, first) | layers}

    yield from _placed_rows(size, device, folder, "half of the layers on the CPU", places)


def packed_rows(bits: str, size: Size, device: str, folder: Path) -> Iterator[dict[str, Any]]:
    """A saved model in 8 or 4 bits."""
    options = {"quantization": bits, "device": device}
    yield from _placed_rows(size, device, folder, bits, lambda _depth: options)


def _logits(reading: Any) -> torch.Tensor:
    assert reading.logits is not None
    found: torch.Tensor = reading.logits
    return found


def _tops(lm: HookedLM, prompts: list[list[int]]) -> list[int]:
    found = [0] * len(prompts)
    for reading in lm.iter_activations(prompts, share_prefix=False):
        for index, row in zip(reading.index.tolist(), _logits(reading), strict=True):
            found[index] = int(row.argmax())
    return found


def _agreement(one: list[int], other: list[int]) -> float:
    return statistics.mean(float(a == b) for a, b in zip(one, other, strict=True))


def gemma_rows(size: Size, device: str) -> Iterator[dict[str, Any]]:
    """Gemma 3 270M's own weights: the lens beside the bare forward on real prompts, and a whole evaluation."""
    from latentlang.evaluation import evaluate
    from latentlang.tasks import task

    if not DATA_PACKAGES["google/gemma-3-270m"].installed:
        raise RuntimeError("its data package is not installed (the extra gemma)")
    if size.tiny:
        raise RuntimeError("a tiny run has no real model")
    lm = load("gemma3-270m", device=device)
    prompts = lm.encode(task("translation").prompts("ja", items=48))
    sets = _sets(lm.vocab_size)
    model: Any = lm.lm
    runs: dict[str, Any] = {
        "plain": partial(plain, model, prompts, 48), "lens": partial(ours, lm, prompts, sets, share_prefix=False),
    }  # fmt: skip
    times = take_turns(runs, rounds=size.rounds, device=device)
    yield {
        "model": "gemma3-270m",
        "what": "lens over bare forward, translation",
        "value": ratio(times, "lens", "plain"),
    }
    took = seconds(
        lambda: evaluate(lm, task("sentiment"), languages=size.languages, items=size.items, progress=False),
        device,
    )
    yield {"model": "gemma3-270m", "what": "seconds a task, sentiment", "value": took}


def run_all(record: Record, folder: Path) -> None:
    """All parts, the most wanted first."""
    size, device = record.size, record.device
    for number, name in enumerate(SHAPES):
        config = config_of(name, size)
        held: list[Any] = []

        def made(config: Any = config, held: list[Any] = held, name: str = name) -> Iterator[dict[str, Any]]:
            held.append(build(config, device))
            weights = sum(weight.numel() for weight in held[0].parameters())
            yield {"model": name, "what": "weights", "value": weights}

        record.part(f"build {name}", 25, made)
        if not held:
            continue
        model = held[0]
        record.part(f"lens {name}", 45, partial(lens_rows, name, model, size, device))
        if number == 0:
            for which in ("sentiment", "nli", "paraphrase"):
                record.part(f"task {which}", 90, partial(task_rows, name, which, model, size, device))
            record.part("memory", 20, partial(memory_rows, name, model, size, device))
            # the last of this model: it is made float32
            record.part("exactness", 40, partial(exact_rows, name, model, size, device))
        held.clear()
        del model, held
        _freed()
    harvested = config_of("mistral", size)
    record.part("harvest", 60, partial(harvest_rows, "mistral", harvested, size, device, folder))
    record.part("write", 30, partial(write_rows, size, folder))
    record.part("device map", 30, partial(map_rows, size, device, folder))
    for bits in ("8bit", "4bit"):
        record.part(bits, 20, partial(packed_rows, bits, size, device, folder))
    record.part("gemma3-270m", 40, partial(gemma_rows, size, device))


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--tiny", action="store_true", help="tiny shapes, on a CPU: the same code, no measurement"
    )
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="that all of it may take")
    parser.add_argument("--folder", type=Path, help="on the disk to measure; a temporary one by default")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    device = "cpu" if options.tiny or not torch.cuda.is_available() else "cuda"
    if device == "cpu" and not options.tiny:
        raise SystemExit(
            "no GPU is to be seen by torch; --tiny runs the same parts on a CPU with tiny shapes"
        )
    if options.tiny and options.out == Path(__file__).with_suffix(".json"):
        raise SystemExit("a tiny run measures nothing: name a file of its own, --out FILE")
    # a collection before each measurement looks at what was made since, not at all that was imported
    gc.freeze()
    record = Record(device, TINY if options.tiny else Size(), options.out, options.seconds)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        run_all(record, Path(name))
        shutil.rmtree(Path(name) / "saved", ignore_errors=True)
    record.write()
    print(markdown(json.loads(options.out.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
