"""What choosing between candidates costs beside lm-eval, and whether both agree: `python -m benchmarks.choice_cost`.

XCOPA and XWinograd with lm-eval's own prompts, the same items on the same model in one run: `latentlang evaluate`, its
adapter for lm-eval's tasks, and lm-eval's `HFLM` at several batch sizes, each language in turn. Needs lm-eval (the
extra eval) and a folder with the published files of both (``--data``; nothing is downloaded). Prints a table and writes
`choice_cost.json`: CPU seconds, ratios, the largest difference of a log-likelihood and how many choices differ. Rows of
other tasks that the file has are kept, so that a run can be had in parts (``--tasks xcopa``, then ``xwinograd``).
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import latentlang as ll
from benchmarks.lens_cost import machine
from benchmarks.lm_eval_tasks import write_task
from latentlang.evaluation import harness_model
from latentlang.models import HookedLM
from latentlang.tasks import Prompt, Task

LANGUAGES = {"xcopa": ("it", "th", "zh"), "xwinograd": ("en", "ja", "ru")}
SPLITS = {"xcopa": "val", "xwinograd": None}
# What lm-eval calls a language, where it is not its code.
_THEIRS = {"ja": "jp"}


def records(prompts: list[Prompt], name: str, data: Path, language: str) -> list[dict[str, Any]]:
    """The items of these prompts in the columns of lm-eval's sets."""
    if name == "xwinograd":
        return [
            {
                "sentence": f"{prompt.question}_{prompt.candidates[0].text}",
                "option1": prompt.candidates[0].given,
                "option2": prompt.candidates[1].given,
                "answer": prompt.label,
            }
            for prompt in prompts
        ]
    path = data / "xcopa" / "data" / language / f"val.{language}.jsonl"
    by_name = {f"{item['idx']:04}": item for item in map(json.loads, path.read_text("utf-8").splitlines())}
    return [by_name[prompt.item] for prompt in prompts]


def cpu(run: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of this process, and what the run gives."""
    start = time.process_time()
    value = run()
    return time.process_time() - start, value


def their_scores(lm: Any, folder: Path, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Log-likelihoods ``[item, candidate]`` that lm-eval has with a model of its own kind."""
    from lm_eval.evaluator import evaluate
    from lm_eval.tasks import TaskManager

    loaded = TaskManager(include_path=str(folder), include_defaults=False).load([name])
    loaded["tasks"][name].set_config("num_fewshot", 0)
    samples = evaluate(lm=lm, task_dict=loaded, log_samples=True, bootstrap_iters=0)["samples"][name]
    ordered = sorted(samples, key=lambda sample: int(sample["doc_id"]))
    return np.array([[answer[0] for answer in sample["filtered_resps"]] for sample in ordered])


def measure(
    model: HookedLM, data: Path, tasks: list[str], items: int, batches: list[int], *, more: bool
) -> list[dict[str, Any]]:
    """A row per task and language; `more`: also the adapter, and lm-eval with its softmax in double precision."""
    from lm_eval.models.huggingface import HFLM

    theirs = HFLM(
        pretrained=model.model,
        tokenizer=model.tokenizer,
        device="cpu",
        batch_size=batches[0],
        add_bos_token=True,
    )
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for benchmark in tasks:
            languages = LANGUAGES[benchmark]
            task: Task = ll.task(benchmark, data=data, protocol="lm-eval", split=SPLITS[benchmark])
            for language in languages:
                prompts = task.prompts(language, items=items)
                lm_task = f"{benchmark}_{_THEIRS.get(language, language)}"
                split = "validation" if benchmark == "xcopa" else "test"
                write_task(folder, lm_task, records(prompts, benchmark, data, language), split=split)
                # each once before: what is read and compiled on first use is nobody's cost
                ll.evaluate(model, task, languages=language, items=2, progress=False)
                our_time, result = cpu(
                    lambda task=task, language=language: ll.evaluate(  # type: ignore[misc]
                        model, task, languages=language, items=items, progress=False
                    )
                )
                ours = result.table[["score_1", "score_2"]].to_numpy()
                row: dict[str, Any] = {
                    "task": lm_task,
                    "n": len(prompts),
                    "ours": our_time,
                }
                for size in batches:
                    theirs.batch_size_per_gpu = size
                    theirs.softmax_dtype = None
                    row[f"lm-eval {size}"], scores = cpu(
                        lambda lm_task=lm_task: their_scores(theirs, folder, lm_task)  # type: ignore[misc]
                    )
                fastest = min(row[f"lm-eval {size}"] for size in batches)
                row |= {
                    "ours over lm-eval": our_time / fastest,
                    "largest difference": float(np.abs(ours - scores).max()),
                    "choices differ": int((ours.argmax(1) != scores.argmax(1)).sum()),
                }
                if more:
                    adapter_time, _ = cpu(
                        lambda lm_task=lm_task: their_scores(harness_model(model), folder, lm_task)  # type: ignore[misc]
                    )
                    theirs.softmax_dtype = torch.float64
                    exact = their_scores(theirs, folder, lm_task)
                    row |= {
                        "adapter over lm-eval": adapter_time / fastest,
                        "with its softmax in fp64": float(np.abs(ours - exact).max()),
                    }
                rows.append(row)
    return rows


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with xcopa/ and xwinograd/")
    parser.add_argument("--tasks", nargs="+", default=list(LANGUAGES), choices=list(LANGUAGES))
    parser.add_argument("--model", default="gemma3-270m")
    parser.add_argument("--items", type=int, default=50)
    parser.add_argument("--more", action="store_true", help="also the adapter, and lm-eval's softmax in fp64")
    parser.add_argument("--batches", type=int, nargs="+", default=[8])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    model = ll.load(options.model)
    rows = measure(model, options.data, options.tasks, options.items, options.batches, more=options.more)
    print(pd.DataFrame(rows).round(5).to_string(index=False))
    record = {"model": options.model, "items": options.items, "machine": machine("cpu")}
    before = json.loads(options.out.read_text("utf-8")) if options.out.is_file() else {}
    if {**before, "rows": []} == {**record, "rows": []}:
        kept = [row for row in before["rows"] if row["task"].partition("_")[0] not in options.tasks]
        rows = sorted([*kept, *rows], key=lambda row: list(LANGUAGES).index(row["task"].partition("_")[0]))
    record["rows"] = rows
    options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
