"""The numbers of the page on large runs are those of the costs, the check and the plan; the script for GPUs runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import latentlang as ll
from latentlang.models.shapes import model_shape

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
COSTS = json.loads((ROOT / "latentlang" / "sizing" / "costs.json").read_text(encoding="utf-8"))
CALLS = json.loads((ROOT / "benchmarks" / "plan_calls.json").read_text(encoding="utf-8"))
CHECK = json.loads((ROOT / "benchmarks" / "plan_cost.json").read_text(encoding="utf-8"))


def test_the_costs_on_the_page_are_those_of_the_package():
    for words in (
        f"blocks | {COSTS['forward'] / 1e9:.1f} ×", f"head | {COSTS['head'] / 1e9:.1f} ×",
        f"a prompt | {COSTS['per_prompt'] * 1e3:.2f} ms", f"checking | {COSTS['writing'] / 1e6:.0f} MB",
        COSTS["machine"],
    ):  # fmt: skip
        assert words in PAGE


def test_what_was_foretold_is_within_a_fifth_of_what_was_measured():
    assert len(CHECK["checked"]) == 12
    for row in CHECK["checked"]:
        foretold = (
            row["forward"] / COSTS["forward"] + row["head"] / COSTS["head"] + row["prompts"] * COSTS["per_prompt"]
            + row["bytes"] / COSTS["writing"]
        )  # fmt: skip
        assert row["foretold"] == pytest.approx(foretold) and abs(foretold / row["seconds"] - 1) < 0.2
        assert f"| {row['part']} | {row['seconds']:.3f} | {row['foretold']:.3f} | {row['off']:+.0%} |" in PAGE
    assert f"the largest error is {max(abs(row['off']) for row in CHECK['checked']):.0%}." in PAGE
    assert not {tuple(row["shape"]) for row in CHECK["checked"]} & {
        tuple(row["shape"]) for row in CHECK["fitted"]
    }


def test_whole_calls_of_a_real_model_are_within_a_fifth_where_they_are_no_few_prompts():
    for row in CALLS:
        assert (
            f"| {row['part']} | {row['prompts']} × {row['tokens']} | {row['shared']:.0%} | {row['seconds']:.2f} | "
            f"{row['foretold']:.2f} |" in PAGE
        )
    most = [row for row in CALLS if row["model"] == "gemma3-270m" and row["prompts"] > 50]
    assert len(most) == 3 and all(abs(row["foretold"] / row["seconds"] - 1) < 0.2 for row in most)


def test_the_plan_on_the_page_is_that_of_the_command():
    for part in ll.plan("mistral", languages=100, prompts=10**6).parts:
        assert (
            f"| {part.part} | {part.tokens / 1e6:,.0f} | {part.hours:.1f} | {part.disk / 1e9:,.1f} | "
            f"{part.memory / 1e9:.1f} |" in PAGE
        )


def test_what_one_more_costs_is_counted_from_the_shapes():
    shapes = [model_shape(name) for name in ("mistral", "qwen2.5-7b", "gemma3-270m")]
    rows = {
        "a token, through all blocks": [
            f"{(2 * one.body + 2 * one.layers * one.heads * one.head_dim * 160) / 1e9:#.3g}" for one in shapes
        ],
        "a layer that the lens reads, a prompt": [f"{2 * one.head / 1e9:.3g}" for one in shapes],
        "a layer and pool that is stored, a prompt": [f"{2 * one.d_model:,} bytes" for one in shapes],
    }
    for what, values in rows.items():
        assert f"| {what} | {' | '.join(values)} |" in PAGE


def test_the_items_on_the_page_are_those_of_the_tasks():
    items = [len(ll.task(name).prompts("ja", items=500)) for name in ("sentiment", "nli", "paraphrase")]
    assert f"({items[0]}, {items[1]} and {items[2]} items each;" in PAGE


@pytest.mark.slow("tests/docs/test_scale_page.py")
def test_the_script_for_gpus_runs_to_its_end_on_a_cpu(tmp_path):
    out = tmp_path / "gpu.json"
    ran = subprocess.run(
        ["bash", str(ROOT / "benchmarks" / "gpu.sh"), "--tiny", "--out", str(out)], capture_output=True, text=True,
        env=os.environ | {"PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    record = json.loads(out.read_text(encoding="utf-8"))
    parts = {row["part"] for row in record["rows"]}
    lenses = {f"lens {name}" for name in ("mistral", "llama3-8b", "qwen2.5-7b")}
    tasks = {f"task {name}" for name in ("sentiment", "nli", "paraphrase")}
    assert parts >= lenses | tasks | {"exactness", "harvest", "write", "device map"}
    # what a CPU has not: its own memory, bitsandbytes and a real model
    assert set(record["left_out"]) <= {"memory", "gemma3-270m", "8bit", "4bit"}, record["left_out"]
    found = {(row["part"], row["what"]): row["value"] for row in record["rows"]}
    exact = {what: value for (part, what), value in found.items() if part == "exactness"}
    assert exact["same likeliest token, batch against alone"] == 1
    assert exact["largest difference from the model's own logits, of the largest: logits, alone"] == 0
    assert found["device map", "same likeliest token, half of the layers on the CPU"] == 1
    table = out.with_suffix(".md").read_text(encoding="utf-8")
    assert table.startswith("A tiny run, which shows that the script runs and measures nothing.")
    assert len(re.findall(r"^\| (?!part|---)", table, re.MULTILINE)) == len(record["rows"])
    assert "- left out: memory: RuntimeError: peak memory is that of a GPU" in table
