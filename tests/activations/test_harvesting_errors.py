"""Harvests that cannot go on: said at once, with what is wrong, and what was complete is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import latentlang as ll
from latentlang.activations import harvesting, writer
from latentlang.errors import InputError, ModelError
from latentlang.models import HookedLM
from latentlang.storage.lock import LOCK, FolderLock
from latentlang.tasks import Prompt
from tests.support.stores import hooked, reviews

# Bytes of a prompt with all four layers of the tiny model under the default pools in float32.
ROW = 4 * 3 * 32 * 4


def test_a_folder_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "prompts.parquet").write_text("precious")
    with pytest.raises(InputError, match=r"holds no store and is not empty \(prompts.parquet\)"):
        ll.harvest(hooked(), reviews(2), out=tmp_path)
    assert (tmp_path / "prompts.parquet").read_text() == "precious"


def test_a_store_whose_prompts_were_changed_is_not_gone_on_with(tmp_path: Path) -> None:
    ll.harvest(hooked(), reviews(2), out=tmp_path)
    (tmp_path / "prompts.parquet").write_text("something else")
    with pytest.raises(InputError, match=r"is damaged: prompts.parquet is not the table that was written"):
        ll.harvest(hooked(), reviews(2), out=tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pools": "median"}, "unknown pool 'median'"),
        ({"pools": ()}, "no pool asked for"),
        ({"sites": "resid_pre"}, "unknown site 'resid_pre'"),
        ({"layers": [4]}, "layer 4 does not exist"),
        ({"dtype": "int8"}, "activations cannot be stored as int8"),
        ({"shard_bytes": 0}, "shard_bytes must be at least 1, not 0"),
        ({"batch_tokens": 0}, "batch_tokens must be at least 1, not 0"),
        ({"prompts": []}, "no prompt to harvest"),
        ({"prompts": "one text"}, "give a list of prompts"),
        (
            {"prompts": [*reviews(1), Prompt("z", "is", "", "", "x" * 300, "")]},
            "item 'z' (is) is 301 tokens long",
        ),
        ({"prompts": [[5, 6]]}, "prompt 0 has no token in its question"),
        ({"languages": "ja"}, "languages, items and shots choose among a task's prompts"),
        ({"prompts": ll.task("sentiment"), "languages": "eo"}, "no data in 'eo'"),
    ],
)
def test_what_cannot_be_harvested_is_said_before_anything_is_written(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    prompts = options.pop("prompts", None)
    with pytest.raises(InputError) as caught:
        ll.harvest(hooked(), reviews(1) if prompts is None else prompts, out=tmp_path, **options)
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def with_fault(lm: HookedLM, *, layer: int, token: int, value: float) -> None:
    """Make the stream after a layer NaN or infinite at a token."""
    seen: list[torch.Tensor] = []
    lm.model.get_input_embeddings().register_forward_pre_hook(lambda _m, args: seen.append(args[0]))

    def break_it(_module: Any, _args: Any, output: torch.Tensor) -> torch.Tensor:
        ids = seen[-1]
        if ids.shape != output.shape[:2] or token not in ids:
            return output
        output = output.clone()
        output[..., 3] = torch.where(ids == token, value, output[..., 3])
        return output

    lm.model.model.layers[layer - 1].register_forward_hook(break_it)


@pytest.mark.parametrize(
    ("value", "word"), [(float("nan"), "NaN"), (float("inf"), "infinite"), (-float("inf"), "inf")]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_an_activation_that_is_not_finite_is_reported_with_prompt_layer_and_pool(
    tmp_path: Path, value: float, word: str, dtype: torch.dtype
) -> None:
    lm, prompts = hooked(), reviews(4)
    prompts[5] = Prompt("the-culprit", "ja", "x", prompts[5].few_shot, "Review: ☃ is odd", "\nEmotion:")
    # a byte of the snowman that no other prompt has
    token = next(i for i in lm.encode(["☃"])[0] if all(i not in ids for ids in lm.encode(prompts[:5])))
    lm.activations(prompts)  # the model is probed before the fault
    with_fault(lm, layer=2, token=token, value=value)
    row = 2 * 2 * 32 * dtype.itemsize
    with pytest.raises(ModelError) as caught:
        ll.harvest(
            lm, prompts, out=tmp_path, shard_bytes=2 * row, layers=[1, 2], dtype=dtype, pools=["last", "mean"]
        )
    assert str(caught.value).startswith(f"item 'the-culprit' (ja) has an activation that is {word}")
    assert "layer 2, pool 'mean', site 'resid'" in str(caught.value)
    manifest = harvesting.read_manifest(tmp_path)
    kept = [shard.complete for shard in manifest.shards]
    assert kept[0] and not all(kept), "what was complete before is kept"


def test_an_overflow_of_the_stored_dtype_is_reported(tmp_path: Path) -> None:
    lm = hooked()
    with torch.no_grad():
        lm.model.get_input_embeddings().weight.mul_(1e6)
    with pytest.raises(
        ModelError, match=r"prompt 0 has an activation that is infinite: layer 0, pool 'last'"
    ):
        ll.harvest(lm, [[5, 6]], out=tmp_path, dtype="fp16", pools="last")


def test_an_error_of_the_writing_thread_reaches_the_caller_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, prompts = hooked(), reviews(20)

    def broken(*_args: Any) -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(writer, "write_shard", broken)
    done: list[int] = []
    with pytest.raises(OSError, match="Input/output error"):
        ll.harvest(
            lm, prompts, out=tmp_path, shard_bytes=2 * ROW, batch_tokens=1, progress=lambda now, _: done.append(now)
        )  # fmt: skip
    assert done[-1] <= 5, "two shards at most were run"
    assert not (tmp_path / LOCK).exists()
    monkeypatch.undo()
    ll.harvest(lm, prompts, out=tmp_path, shard_bytes=2 * ROW, batch_tokens=1).verify()


def test_a_disk_that_is_too_small_is_seen_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harvesting.shutil, "disk_usage", lambda _path: type("Usage", (), {"free": 1000}))
    with pytest.raises(InputError, match=r" kB are to be written and .* has 1\.0 kB free, .* kB too little"):
        ll.harvest(hooked(), reviews(2), out=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left", [[], ["metadata.json"], ["metadata.json", "prompts.parquet"]])
def test_only_what_a_killed_harvest_began_with_may_lie_in_the_folder(tmp_path: Path, left: list[str]) -> None:
    whole = ll.harvest(hooked(), reviews(2), out=tmp_path / "whole").path
    out = tmp_path / "out"
    out.mkdir()
    for name in left:
        (out / name).write_bytes((whole / name).read_bytes())
    (out / LOCK).write_text("latentlang 12345\n")
    (out / "thesis.txt").write_text("years")
    with pytest.raises(InputError, match="holds no store and is not empty"):
        ll.harvest(hooked(), reviews(2), out=out)
    assert (out / "thesis.txt").read_text() == "years"
    (out / "thesis.txt").unlink()
    ll.harvest(hooked(), reviews(2), out=out).verify()


def test_a_lock_is_held_once_and_let_go(tmp_path: Path) -> None:
    with (
        FolderLock(tmp_path),
        pytest.raises(InputError, match=r"process \d+ is writing into"),
        FolderLock(tmp_path),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
    (tmp_path / LOCK).write_text("latentlang 12345\n")  # of a process that died
    with FolderLock(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
