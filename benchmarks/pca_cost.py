"""What a layerwise PCA costs beside scikit-learn's in a loop over layers: `python -m benchmarks.pca_cost`.

Random activations in bf16 on disk with a falling spectrum, an offset for each language and a mean far from zero, in the
widths of small and of 7B models. A user without latentlang would read each layer, convert it to float32 and call
``sklearn.decomposition.PCA(2).fit_transform``, whose default for such shapes is a randomised method (quick, inexact);
``svd_solver="covariance_eigh"`` is its exact one. Errors are against float64 eigenvectors of the whole covariance, as
the largest difference of a score over the spread of its component. Memory is the peak of what a fresh process holds
of its own (anonymous pages: the memory-mapped file is the system's), above what it held before, over the number of
prompts. Prints a table and writes `pca_cost.json`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from benchmarks.lens_cost import Run, machine, ratio, take_turns
from latentlang.activations import ActivationStore, open_store, write_store
from latentlang.geometry import pca

_COMPONENTS = 2
_LANGUAGES = 20
_DECAY = 0.7  # standard deviation of the j-th direction: j ** -decay
_MEMORY_SHAPE = (1024, (2_000, 8_000, 32_000))  # width, prompts
_EVERY = 0.002  # seconds between looks at the memory


@dataclass(frozen=True)
class Shape:
    """What one store holds."""

    prompts: int
    width: int
    layers: int


SHAPES = {"small": Shape(10_000, 1024, 2), "7b, paper": Shape(2_000, 4096, 2), "7b": Shape(10_000, 4096, 1)}


def write(folder: Path, shape: Shape) -> ActivationStore:
    """A store of random activations."""
    generator = torch.Generator().manual_seed(0)
    size = torch.arange(1, shape.width + 1).pow(-_DECAY)
    language = torch.arange(shape.prompts) % _LANGUAGES
    layers = {}
    for layer in range(shape.layers):
        offsets = torch.randn(_LANGUAGES, shape.width, generator=generator) * size
        rows = torch.randn(shape.prompts, shape.width, generator=generator) * size
        rows += offsets[language] + 3 * torch.randn(shape.width, generator=generator)
        layers[layer, "mean"] = rows.to(torch.bfloat16)
    frame = pd.DataFrame({
        "item": [str(row // _LANGUAGES) for row in range(shape.prompts)],
        "language": [f"l{code}" for code in language.tolist()],
        "question": [f"question {row // _LANGUAGES}" for row in range(shape.prompts)],
    })  # fmt: skip
    return write_store(folder, frame=frame, tensors=layers)


def sklearn_loop(store: ActivationStore, solver: str) -> list[NDArray[np.float32]]:
    """The scores of each layer, as a user would get them."""
    from sklearn.decomposition import PCA

    return [
        PCA(_COMPONENTS, svd_solver=solver, random_state=0).fit_transform(
            store.layer(layer).tensor().float().numpy()
        )
        for layer in store.layers
    ]


def our_scores(store: ActivationStore, method: str) -> list[NDArray[np.float64]]:
    """The same by latentlang."""
    table = pca(store, components=_COMPONENTS, method=method).table
    return [part[["pc1", "pc2"]].to_numpy() for _, part in table.groupby("layer")]


def exact(store: ActivationStore) -> list[NDArray[np.float64]]:
    """The same in float64, by all eigenvectors of the whole covariance."""
    found = []
    for layer in store.layers:
        rows = store.layer(layer).tensor().double()
        rows -= rows.mean(0)
        found.append((rows @ torch.linalg.eigh(rows.T @ rows).eigenvectors[:, -_COMPONENTS:].flip(1)).numpy())
    return found


def error(found: list[NDArray[Any]], true: list[NDArray[np.float64]]) -> float:
    """Largest difference of a score over the spread of its component, signs aside."""
    worst = 0.0
    for own, other in zip(found, true, strict=True):
        own = own * np.sign((own * other).sum(0))
        worst = max(worst, float((np.abs(own - other) / other.std(0)).max()))
    return worst


def measure(name: str, shape: Shape, *, rounds: int) -> dict[str, Any]:
    """The row of one shape: times over ours, and errors."""
    with tempfile.TemporaryDirectory() as folder:
        store = write(Path(folder) / "store", shape)
        found: dict[str, list[NDArray[Any]]] = {}

        def kept(name: str, scores: Callable[[], list[NDArray[Any]]]) -> Run:
            return lambda: found.update({name: scores()})

        runs = {
            "ours": kept("ours", lambda: our_scores(store, "auto")),
            "ours, covariance": kept("ours, covariance", lambda: our_scores(store, "covariance")),
            "sklearn": kept("sklearn", lambda: sklearn_loop(store, "auto")),
            "sklearn, exact": kept("sklearn, exact", lambda: sklearn_loop(store, "covariance_eigh")),
        }
        times = take_turns(runs, rounds=rounds, device="cpu")
        true = exact(store)
        row: dict[str, Any] = {
            "shape": name, "prompts": shape.prompts, "width": shape.width, "layers": shape.layers,
            "ours_seconds": statistics.median(times["ours"]),
        }  # fmt: skip
        for variant in runs:
            row[f"{variant}: time over ours"] = ratio(times, variant, "ours")
            row[f"{variant}: error"] = error(found[variant], true)
        return row


VARIANTS: dict[str, Callable[[ActivationStore], object]] = {
    "prompts' table alone": lambda store: store.frame(),
    "ours": lambda store: our_scores(store, "auto"),
    "ours, covariance": lambda store: our_scores(store, "covariance"),
    "sklearn": lambda store: sklearn_loop(store, "auto"),
}


def memory() -> Iterator[dict[str, Any]]:
    """Peak memory over the number of prompts, one layer, bytes."""
    width, counts = _MEMORY_SHAPE
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder) / "store", Shape(count, width, 1))
            row = {"prompts": count, "width": width, "layer as stored": count * width * 2}
            yield row | {variant: peak_memory(Path(folder) / "store", variant) for variant in VARIANTS}


def peak_memory(store: Path, variant: str) -> int:
    """Peak of one variant in a process of its own, bytes."""
    code = f"from benchmarks.pca_cost import memory_child; memory_child({str(store)!r}, {variant!r})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(found.stdout.strip().splitlines()[-1])


def memory_child(folder: str, variant: str) -> None:
    """Run one variant in this process and print the peak of its own memory above what it held before."""
    run = VARIANTS[variant]
    with one_thread(), tempfile.TemporaryDirectory() as small:
        # Libraries, and what they set up at their first use, are not counted.
        run(write(Path(small) / "store", Shape(64, 32, 1)))
        store = open_store(folder)
        base = peak = own_memory()
        done = threading.Event()

        def look() -> None:
            nonlocal peak
            while not done.wait(_EVERY):
                peak = max(peak, own_memory())

        watcher = threading.Thread(target=look)
        watcher.start()
        run(store)
        peak = max(peak, own_memory())
        done.set()
        watcher.join()
    print(peak - base)


def own_memory() -> int:
    """Anonymous memory of this process, bytes (Linux): without files that are mapped."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("RssAnon")).split()[1])


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch and the libraries under numpy and scipy on one thread."""
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shapes", nargs="*", choices=SHAPES, help="by default all")
    parser.add_argument("--only-memory", action="store_true", help="measure memory, keep the times there are")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    rows = []
    with one_thread():
        for name in () if options.only_memory else options.shapes or SHAPES:
            rows.append(measure(name, SHAPES[name], rounds=options.rounds))
            print(
                {k: float(f"{v:.3g}") if isinstance(v, float) else v for k, v in rows[-1].items()}, flush=True
            )
    peaks = []
    for row in memory():
        peaks.append(row)
        print(row, flush=True)
    record = {
        "machine": machine("cpu"),
        "settings": {"rounds": options.rounds},
        "rows": rows,
        "memory": peaks,
    }
    if options.only_memory:
        record = json.loads(options.out.read_text()) | {"memory": peaks}
    options.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
