"""What a run takes: bytes on disk exactly as a harvest writes them, times by the costs, operations by the shape."""

import json

import pytest

import latentlang as ll
from latentlang.activations import harvest
from latentlang.cli import main
from latentlang.errors import InputError, ModelError
from latentlang.models import HookedLM, load
from latentlang.models.shapes import model_shape
from latentlang.sizing import machine, machine_names
from latentlang.sizing.planning import hours_words, millions
from tests.support import tiny


@pytest.mark.parametrize(
    ("prompts", "layers", "pools", "dtype"),
    [
        (7, "all", ("mean", "last"), "float32"), (5, [0, 2], ("mean_no_bos",), "bfloat16"),
        (1030, [3], ("last",), "float16"),  # two shards
    ],
)  # fmt: skip
def test_bytes_on_disk_are_those_that_a_harvest_writes(tmp_path, prompts, layers, pools, dtype):
    tiny.model("mistral").save_pretrained(tmp_path / "model")
    lm = HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")
    # ids of the same two tokens: what is stored does not depend on them
    given = [[5, 6 + number % 3] for number in range(prompts)]
    store = harvest(
        lm, given, out=tmp_path / "store", layers=layers, pools=pools, dtype=dtype, progress=False
    )
    planned = ll.plan(
        str(tmp_path / "model"), languages=1, prompts=prompts, tokens=2, parts="harvest", layers=layers,
        pools=pools, dtype=dtype, on="cpu",
    )  # fmt: skip
    assert planned.disk == store.manifest.bytes
    assert planned.disk == sum(path.stat().st_size for path in (tmp_path / "store").glob("shard-*"))


def test_bytes_of_a_real_layout_are_those_of_pocket(tmp_path):
    task = ll.task("sentiment")
    store = harvest(
        load("pocket", device="cpu"), task, out=tmp_path, languages="ja", items=3, shots=0, progress=False
    )
    assert ll.plan("pocket", languages=1, prompts=3, parts="harvest", on="cpu").disk == store.manifest.bytes


def test_operations_are_those_of_the_shape():
    shape = model_shape("mistral")
    planned = ll.plan("mistral", languages=10, prompts=1000, tokens=100, on="h200")
    forward = 100_000 * (2 * shape.body + 2 * 32 * 32 * 128 * 100)
    by_part = {part.part: part for part in planned.parts}
    assert by_part["harvest"].operations == forward
    assert by_part["evaluate"].operations == forward + 1000 * 2 * 32000 * 4096
    assert by_part["lens"].operations == forward + 33 * 1000 * 2 * 32000 * 4096
    assert {part.tokens for part in planned.parts} == {100_000}
    at = machine("h200")
    seconds = forward / at.forward + 1000 * at.per_prompt + 10 * at.per_language
    assert by_part["harvest"].hours * 3600 == pytest.approx(seconds + by_part["harvest"].disk / at.writing)
    assert planned.disk == by_part["harvest"].disk and planned.hours == sum(
        part.hours for part in planned.parts
    )


def test_a_shared_beginning_is_run_once_a_language():
    whole = ll.plan("mistral", languages=10, prompts=1000, tokens=100, parts="lens").parts[0]
    shared = ll.plan("mistral", languages=10, prompts=1000, tokens=100, shared=0.8, parts="lens").parts[0]
    assert (whole.tokens, shared.tokens) == (100_000, 1000 * 20 + 10 * 80)


@pytest.mark.parametrize("name", machine_names())
def test_a_time_says_what_it_rests_on(name):
    planned = ll.plan("mistral", prompts=100, on=name)
    said = planned.describe()
    assert (set(planned.table["basis"]) == {"measured"}) == (name == "cpu")
    assert ("its costs were measured" in said) == (name == "cpu")
    assert ("nothing of it was measured" in said) == (name != "cpu")


def test_what_does_not_fit_the_device_is_said():
    assert "more than the 24.0 GB of the device" in ll.plan("qwen2.5-14b", on="rtx4090").describe()
    assert "more than" not in ll.plan("mistral", on="h200").describe()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"languages": 0}, "languages"), ({"prompts": -1}, "prompts"), ({"tokens": 0.5}, "must be 1 to 10,000,000"),
        ({"shared": 1.0}, "shared is a share"), ({"parts": "harvst"}, "unknown part 'harvst'"),
        ({"layers": [40]}, "40"), ({"pools": "lst"}, "lst"), ({"dtype": "int3"}, "int3"),
        ({"on": "h300"}, "unknown machine 'h300'"),
        ({"prompts": 10, "languages": 11}, "10 prompts cannot be in 11 languages"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(options, words):
    with pytest.raises(InputError, match=words):
        ll.plan("mistral", **options)
    with pytest.raises(ModelError):
        ll.plan("nobody/nothing-7b")


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        (2.5, "2.5 hours"),
        (1.0, "1 hour"),
        (5277.4, "5,277 hours"),
        (0.5, "30 minutes"),
        (1 / 60, "1 minute"),
        (0.001, "3.6 seconds"),
    ],
)
def test_a_time_is_told_as_one_reads_it(hours, words):
    assert hours_words(hours) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(160_000_000, "160"), (1600, "0.0016"), (160 * 10**9, "160,000"), (1_234_567, "1.23")],
)
def test_millions_are_told_without_powers_of_ten(count, words):
    assert millions(count) == words


def test_the_command_says_what_the_library_does(capsys):
    assert main(["plan", "--model", "mistral", "--lang", "100", "--prompts", "1e6", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    planned = ll.plan("mistral", languages=100, prompts=10**6)
    assert (record["hours"], record["disk"], record["basis"]) == (planned.hours, planned.disk, "assumed")
    assert main(["plan", "--model", "mistral", "--part", "lens", "--prompts", "100"]) == 0
    said = capsys.readouterr().out
    assert (
        "nothing of it was measured" in said and "14.5 GB of weights once" in said and "harvest" not in said
    )
    assert main(["plan", "--prompts", "1.5"]) == 2
    assert "--prompts is a whole number, such as 10000 or 1e6, not '1.5'" in capsys.readouterr().err
