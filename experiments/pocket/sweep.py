"""Train and measure many short runs, unattended: `python -m experiments.pocket.sweep FOLDER --seeds 0 1 2 --jobs 2`.

For the card's table *What makes the pivot*: the recipe and its variants with the same seeds and as many steps, the
first seed of all before the second of any. Each run's row goes into `results/` as soon as it is measured, so that what
is stopped halfway keeps what it has; started again, it leaves out runs that have a row and measures those that were
trained already. One run takes one core.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from experiments.pocket.criteria import tokens_of
from experiments.pocket.evaluate import RESULTS
from experiments.pocket.seeds import KEYS, SEEDS, Run, keep, measure_run
from experiments.pocket.train import HUBS, Recipe, train, variant, variants
from latentlang.storage.files import prepare_folder
from latentlang.storage.lock import FolderLock
from latentlang.workers import begin_worker, wait_for_workers

#: Whether English is read in the middle shows by then; the words are half learnt.
STEPS = 1500


@dataclass(frozen=True)
class Job:
    """One run to train and measure.

    Attributes:
        model: ``pocket`` or ``pocket-control``.
        variant: one of `variants.yaml`, or ``recipe``.
        recipe: what it is trained with.
    """

    model: str
    variant: str
    recipe: Recipe

    @property
    def key(self) -> tuple[str, ...]:
        """What `seeds.KEYS` are of it."""
        return self.model, self.variant, str(tokens_of(self.recipe.as_record())), str(self.recipe.seed)

    def folder(self, below: Path) -> Path:
        """Where its model goes; the last part is the model's name, as `seeds` wants it."""
        return below / f"{self.variant}-{self.recipe.steps}-seed{self.recipe.seed}" / self.model


def jobs_of(
    variants: Sequence[str], seeds: Sequence[int], *, steps: int = STEPS, model: str = "pocket"
) -> list[Job]:
    """Every variant with every seed, the first seed of all before the second of any.

    Raises:
        ValueError: a variant is not in `variants.yaml`.
    """
    return [
        Job(model, name, variant(None if name == "recipe" else name, seed=seed, steps=steps))
        for seed in seeds
        for name in variants
    ]


def missing(jobs: Sequence[Job], results: Path = RESULTS) -> list[Job]:
    """Those that have no row in `seeds.csv` yet."""
    table = results / SEEDS.name
    known = set()
    if table.exists():
        known = set(pd.read_csv(table)[KEYS].astype(str).itertuples(index=False, name=None))
    return [job for job in jobs if job.key not in known]


def run(job: Job, below: Path) -> Run:
    """Train, unless a run that was finished lies there, and measure."""
    torch.set_num_threads(1)
    folder = job.folder(below)
    if not _finished(folder, job.recipe):
        train(job.model, job.recipe, out=folder)
    return measure_run(folder)


def _finished(folder: Path, recipe: Recipe) -> bool:
    """Whether the log says that all steps were made with this very recipe, and the model was written after."""
    log = folder.parent / f"{folder.name}-seed{recipe.seed}.jsonl"
    if not (log.exists() and (folder / "split.json").exists()):
        return False
    first, *steps = log.read_text(encoding="utf-8").splitlines() or [""]
    try:
        same = json.loads(first)["recipe"] == json.loads(json.dumps(recipe.as_record()))
        # Models are written on the way too, the last one after the log's last line.
        whole = bool(steps) and json.loads(steps[-1])["step"] == recipe.steps
    except (ValueError, KeyError):  # cut off while a line was written
        return False
    return same and whole and (folder / "split.json").stat().st_mtime >= log.stat().st_mtime


def sweep(
    jobs: Sequence[Job], below: Path, *, workers: int = 1, results: Path = RESULTS
) -> Iterator[tuple[Job, Run | Exception]]:
    """Run jobs, several at once, and keep each one's rows as it ends.

    Args:
        jobs: as `missing` leaves them.
        below: folder for the models.
        workers: processes, each on one core.
        results: folder of the tables.

    Yields:
        Each job with what came of it, as it ends; one that failed does not stop the others.

    Raises:
        InputError: another sweep is writing into the folder.
    """
    with FolderLock(prepare_folder(below)):
        wait_for_workers(below)
        # Spawned: a forked process would share torch's threads and compiler with its parent.
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=begin_worker, initargs=(below,))
        try:
            running: dict[Future[Run], Job] = {pool.submit(run, job, below): job for job in jobs}
            for done in as_completed(running):
                job = running[done]
                try:
                    made = done.result()
                except Exception as error:
                    yield job, error
                    continue
                keep(made, results)
                yield job, made
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def main() -> None:
    """Command line of this module."""
    known = ["recipe", *variants()]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="for the models, half a gigabyte for all variants")
    parser.add_argument("--model", choices=sorted(HUBS), default="pocket")
    parser.add_argument("--variants", nargs="+", choices=known, default=known, metavar="VARIANT")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--jobs", type=int, default=1, help="runs at once, each on one core")
    options = parser.parse_args()
    wanted = jobs_of(options.variants, options.seeds, steps=options.steps, model=options.model)
    to_do = missing(wanted)
    print(f"{len(to_do)} of {len(wanted)} runs to do", flush=True)
    failed = 0
    for job, made in sweep(to_do, options.folder, workers=options.jobs):
        name = " ".join(job.key)
        if isinstance(made, Exception):
            failed += 1
            print(f"{name}: failed: {type(made).__name__}: {made}", file=sys.stderr, flush=True)
        else:
            lead, gap = (made.row[f"held_out_pair_{key}_middle"] for key in ("lead", "gap"))
            print(f"{name}: lead {lead:.2f}, gap {gap:.2f}", flush=True)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
