"""Every kind of file that is read, damaged in every way: it loads, or one line says what is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import save_file

from latentlang.activations import open_store
from latentlang.comparison import AlignmentComparison, ComparisonResult
from latentlang.comparison.training_record import trained_on
from latentlang.errors import LatentlangError
from latentlang.evaluation import EvaluationComparison, EvaluationResult, compare_evaluations
from latentlang.geometry import (
    AlignmentResult,
    DirectionsResult,
    ErasureResult,
    PCAResult,
    alignment,
    directions,
    erase,
    pca,
)
from latentlang.lens import (
    ExplorerResult,
    JacobianLens,
    JacobianRows,
    LensResult,
    TunedLens,
    explore,
    fit_jacobian_lens,
)
from latentlang.models import HookedLM
from latentlang.models.checkpoint_files import check_config, weight_files
from latentlang.models.fingerprint import checkpoint_fingerprint
from latentlang.provenance import Provenance
from latentlang.reproduction.experiments import load_suite
from latentlang.reproduction.published_values import published
from latentlang.results import Result
from latentlang.storage.step_cache import finished_steps, is_whole
from latentlang.training import TrainingResult, is_identity, read_pairs, recipe
from latentlang.training.result import COLUMNS
from latentlang.training.run_folder import last_checkpoint, settle
from tests.support import before_after, mutations, small_experiments, tiny
from tests.support.evaluated import before_and_after
from tests.support.small_store import small_store

Load = Callable[[], object]


def tried(load: Load, what: str) -> bool:
    """Whether something loads; anything but an error of ours fails the test."""
    try:
        load()
    except LatentlangError as error:
        said = str(error)
        assert "\n" not in said and said.isprintable(), f"{what}: {said!r}"
        assert len(said) < 1500, f"{what}: {said[:300]}"
        return False
    except Exception as error:
        raise AssertionError(f"{what}: {type(error).__name__} {error}") from error
    return True


def spoilt_json(path: Path, load: Load) -> None:
    """A JSON file with one thing wrong at a time, and then no JSON at all."""
    whole = path.read_bytes()
    record = json.loads(whole)
    kept = [tried(_written(path, json.dumps(made).encode(), load), f"{path.name}, {what}")
            for what, made in mutations.changed(record)]  # fmt: skip
    assert not all(kept)
    spoilt_bytes(path, load, whole)


def spoilt_bytes(path: Path, load: Load, whole: bytes | None = None) -> None:
    """A file cut short, changed in a byte, or replaced by another."""
    whole = path.read_bytes() if whole is None else whole
    for what, content in mutations.cut(whole):
        tried(_written(path, content, load), f"{path.name}, {what}")
    path.unlink()
    assert not tried(load, f"{path.name} is gone") or path.name in MAY_BE_GONE
    path.mkdir()
    tried(load, f"{path.name} is a folder")
    path.rmdir()
    path.write_bytes(whole)
    assert tried(load, f"{path.name} as it was")


# Of these another file takes the place, or nothing is there then.
MAY_BE_GONE = ("run.json", "step.json", "trainer_state.json", "model.safetensors.index.json")


def _written(path: Path, content: bytes, load: Load) -> Load:
    def then() -> object:
        path.write_bytes(content)
        return load()

    return then


def spoilt_table(path: Path, load: Load) -> None:
    """A table without each of its columns, and with each of another kind; rows twice, and none."""
    whole = path.read_bytes()
    table = pd.read_parquet(path)
    for what, made in _tables(table):
        made.to_parquet(path, index=False)
        tried(load, f"{path.name}, {what}")
    spoilt_bytes(path, load, whole)


def _tables(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for name in table.columns:
        yield f"without {name}", table.drop(columns=name)
        yield f"renamed {name}", table.rename(columns={name: "other"})
        for what, value in (("texts", "x"), ("numbers", 7), ("fractions", 0.5), ("truths", True), ("nothing", None),
                            ("infinities", float("inf")), ("large", 2**62)):  # fmt: skip
            yield f"{what} in {name}", table.assign(**{name: value})
        lists = table.assign(**{name: [[1]] * len(table)})
        yield f"lists in {name}", lists
        gap = table.copy()
        gap[name] = gap[name].astype(object)
        gap.loc[gap.index[:1], name] = None
        yield f"a gap in {name}", gap
    yield "no rows", table.head(0)
    yield "one row", table.head(1)
    yield "rows twice", pd.concat([table, table], ignore_index=True)
    yield "an index", table.set_index(table.columns[0])


def _looked_at(result: Result) -> None:
    """What a notebook does with a result that loads."""
    result.glance()
    repr(result)


def saved(tmp_path: Path, kind: str) -> tuple[Path, Load]:
    """A real result of a kind, small, and what loads it."""
    folder = tmp_path / "result"
    if kind in ("comparison", "alignment-comparison"):
        before_after.whole(tmp_path)
        _without_hashes(tmp_path)
        place = tmp_path if kind == "comparison" else tmp_path / "alignment"
        loads: Any = ComparisonResult if kind == "comparison" else AlignmentComparison
        return place, lambda: loads.load(place)
    made: Result
    if kind == "lens":
        made = before_after.lens(("en", "ja"), items=3)
    elif kind == "evaluation":
        made = before_and_after({"en": (2, 1, 1, 2), "ja": (1, 2, 1, 2)})
    elif kind == "evaluation-comparison":
        made = compare_evaluations(before_and_after({"en": (2, 1, 1, 2), "ja": (1, 2, 1, 2)}))
    elif kind == "pca":
        made = pca(small_store(tmp_path / "store", items=2), layers=1)
    elif kind == "alignment":
        made = alignment(
            small_store(tmp_path / "store", items=12), measures="cka", permutations=3, resamples=2
        )
    elif kind == "directions":
        made = directions(small_store(tmp_path / "store", items=12), permutations=3, resamples=2, layers=1)
    elif kind == "erasure":
        made = erase(small_store(tmp_path / "store", items=12), layers=1)
    elif kind == "explore":
        made = explore(HookedLM(tiny.model("gpt2"), tiny.tokenizer(), name="tiny"), "a film", top=2)
    else:
        made = _training(folder)
    made.save(folder)
    _without_hashes(folder)
    return folder, lambda: type(made).load(folder)


def _without_hashes(folder: Path) -> None:
    """As somebody would who makes such a folder by hand: no hash says that a table was changed."""
    for path in folder.rglob("metadata.json"):
        record = json.loads(path.read_text())
        if record.pop("files", None) is not None:
            path.write_text(json.dumps(record))


def _training(folder: Path) -> TrainingResult:
    rows = [
        (0, 0.0, "validation", 2.0, None),
        (4, 1.0, "train", 1.5, 1e-4),
        (4, 1.0, "validation", 1.2, None),
    ]
    record = recipe("zh-en", steps=4).model_dump(mode="json")
    made = Provenance(
        model="pocket", task="sentiment", languages=("zh", "en"), adapter=str(folder),
        settings={"recipe": record, "pairs": {"zh-en": [4, 1]}, "best_step": 4, "steps": 4, "notes": ["short"]},
    )  # fmt: skip
    return TrainingResult(pd.DataFrame(rows, columns=list(COLUMNS)), made)


KINDS: dict[str, type[Result]] = {
    "lens": LensResult, "evaluation": EvaluationResult, "evaluation-comparison": EvaluationComparison, "pca": PCAResult,
    "alignment": AlignmentResult, "explore": ExplorerResult, "training": TrainingResult,
    "alignment-comparison": AlignmentComparison, "comparison": ComparisonResult, "directions": DirectionsResult,
    "erasure": ErasureResult,
}  # fmt: skip


#: Of a comparison; each is damaged as a result of its own kind.
PARTS: tuple[Any, ...] = (EvaluationComparison, LensResult, PCAResult, AlignmentComparison)


#: Their tables have many columns, each of which is spoilt in every way.
WIDE = ("pca", "comparison", "alignment-comparison")


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            kind, marks=[pytest.mark.slow("tests/storage/test_damaged_files.py")] if kind in WIDE else ()
        )
        for kind in KINDS
    ],
)
def test_results(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, load = saved(tmp_path, kind)
    if kind == "comparison":  # its parts stay as they are here, and are read once
        for part in PARTS:
            monkeypatch.setattr(part, "load", cache(part.load))

    def loaded() -> None:
        found = load()
        if kind not in (
            "comparison",
            "alignment-comparison",
        ):  # their tables are looked at in the other kinds
            _looked_at(found)  # type: ignore[arg-type]

    assert tried(loaded, "as it was")
    spoilt_json(folder / "metadata.json", loaded if kind != "comparison" else load)
    for table in sorted(folder.glob("*.parquet")):
        spoilt_table(table, load)
    for tensors in sorted(folder.glob("*.safetensors")):
        spoilt_bytes(tensors, load)
        spoilt_header(tensors, load)


def spoilt_header(path: Path, load: Load) -> None:
    """A safetensors file whose header has one thing wrong."""
    whole = path.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    kept = []
    for what, made in mutations.changed(header):
        text = json.dumps(made).encode()
        text += b" " * (-len(text) % 8)
        kept.append(
            tried(_written(path, len(text).to_bytes(8, "little") + text + whole[8 + length :], load), what)
        )
    assert not all(kept)
    path.write_bytes(whole)


def test_a_training_is_read_for_a_comparison(tmp_path: Path) -> None:
    folder, _ = saved(tmp_path, "training")
    path = folder / "metadata.json"
    for what, made in mutations.changed(json.loads(path.read_text())):
        tried(_written(path, json.dumps(made).encode(), lambda: trained_on(folder)), what)


def test_stores(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    small_store(folder, shard_rows=8)

    def load() -> object:
        found = open_store(folder)
        found.frame()
        return found.layer(found.layers[0], pools=found.pools[0]).tensor()

    spoilt_json(folder / "manifest.json", load)
    spoilt_json(folder / "metadata.json", load)
    spoilt_bytes(folder / "prompts.parquet", load)
    spoilt_bytes(folder / "shard-00001.safetensors", load)


def test_prompts_of_a_store_that_somebody_wrote(tmp_path: Path) -> None:
    from latentlang.activations.prompts import file_sha256

    folder = tmp_path / "store"
    small_store(folder)
    path, manifest = folder / "prompts.parquet", folder / "manifest.json"

    def load() -> object:
        record = json.loads(manifest.read_text())
        if path.is_file():
            record["prompts"]["sha256"] = file_sha256(path)
            manifest.write_text(json.dumps(record))
        return open_store(folder).frame()

    spoilt_table(path, load)


def test_tuned_lenses(tmp_path: Path) -> None:
    from latentlang.lens.tuned import unembedding_hash

    model = HookedLM(tiny.model("gpt2"), tiny.tokenizer(), name="tiny")
    depth, width = model.n_layers, model.d_model
    lens = TunedLens(
        torch.zeros(depth, width, width), torch.zeros(depth, width), unembedding_hash(model), (0.5,) * depth,
        {"steps": 4, "learning_rate": 0.1, "model": "tiny"},
    )  # fmt: skip
    path = lens.save(tmp_path)
    spoilt_bytes(path, lambda: TunedLens.load(tmp_path, model))
    spoilt_header(path, lambda: TunedLens.load(tmp_path, model))
    from safetensors import safe_open

    with safe_open(path, framework="pt") as stored:
        metadata = stored.metadata()
    tensors = {"weight": lens.weight, "bias": lens.bias}
    for what, record in mutations.changed(json.loads(metadata["record"])):
        save_file(tensors, path, {**metadata, "record": json.dumps(record)})
        tried(lambda: TunedLens.load(tmp_path, model), what)
    for name in tensors:
        for spoilt in (torch.full_like(tensors[name], torch.nan), tensors[name][0], tensors[name].half()):
            save_file({**tensors, name: spoilt.contiguous()}, path, metadata)
            assert not tried(lambda: TunedLens.load(tmp_path, model), f"{name} {spoilt.dtype}")


def _jacobian_lens(model: HookedLM) -> JacobianLens:
    return fit_jacobian_lens(model, ["a few words to fit on"], skip=1, longest=8)


@pytest.mark.parametrize("rows", [False, True])
def test_jacobian_lenses(tmp_path: Path, rows: bool) -> None:
    model = HookedLM(tiny.model("gpt2"), tiny.tokenizer(), name="tiny")
    lens = _jacobian_lens(model)
    saved = JacobianRows.of(lens, model, [5, 6]) if rows else lens
    path = saved.save(tmp_path)

    def load() -> object:
        return (JacobianRows if rows else JacobianLens).load(tmp_path, model)

    spoilt_bytes(path, load)
    spoilt_header(path, load)
    from safetensors import safe_open

    with safe_open(path, framework="pt") as stored:
        metadata = stored.metadata()
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - it is no mapping
    for what, record in mutations.changed(json.loads(metadata["record"])):
        save_file(tensors, path, {**metadata, "record": json.dumps(record)})
        tried(load, what)
    for name, tensor in tensors.items():
        for spoilt in (torch.full_like(tensor, torch.nan), tensor[0], tensor[..., :-1]):
            save_file({**tensors, name: spoilt.contiguous()}, path, metadata)
            assert not tried(load, f"{name} {list(spoilt.shape)}")


@pytest.mark.parametrize("kind", ["pt", "safetensors"])
def test_published_jacobian_lenses(tmp_path: Path, kind: str) -> None:
    model = HookedLM(tiny.model("gpt2"), tiny.tokenizer(), name="tiny")
    lens = _jacobian_lens(model)
    path = tmp_path / f"lens.{kind}"
    numbers = {"n_prompts": 3, "source_layers": [0, 1], "d_model": model.d_model}

    def write(said: dict[str, Any]) -> None:
        matrices = {layer: lens.jacobians[layer + 1].half() for layer in (0, 1)}
        if kind == "pt":
            torch.save({"J": matrices, **said}, path)
        else:
            texts = {name: json.dumps(value) for name, value in said.items()}
            save_file({f"J.{layer}": matrix for layer, matrix in matrices.items()}, path, texts)

    def load() -> object:
        return JacobianLens.load(path, model)

    write(numbers)
    spoilt_bytes(path, load)
    if kind == "safetensors":
        spoilt_header(path, load)
    for what, said in mutations.changed(numbers):
        if isinstance(said, dict):
            write(said)
            tried(load, what)


def test_sums_of_an_unfinished_fit(tmp_path: Path) -> None:
    model = HookedLM(tiny.model("gpt2"), tiny.tokenizer(), name="tiny")

    def load() -> object:
        return fit_jacobian_lens(
            model, ["a few words to fit on"], skip=1, longest=8, layers=[1], resume=tmp_path, progress=False
        )

    load()
    (path,) = tmp_path.glob("*.safetensors")
    whole = path.read_bytes()
    for what, content in mutations.cut(whole):
        tried(_written(path, content, load), f"{path.name}, {what}")
        path.write_bytes(whole)
    spoilt_header(path, load)


def test_model_folders(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    tiny.model("mistral").save_pretrained(folder, max_shard_size="20KB")
    index = folder / "model.safetensors.index.json"
    assert index.exists()

    def load() -> object:
        check_config(folder)
        weight_files(folder)
        return checkpoint_fingerprint(folder)

    spoilt_json(folder / "config.json", lambda: check_config(folder))
    spoilt_json(index, load)
    shard = sorted(folder.glob("model-*.safetensors"))[0]
    spoilt_bytes(shard, load)
    spoilt_header(shard, load)


@pytest.mark.parametrize("name", ["../model.safetensors", "/tmp/model.safetensors", "a/b.safetensors", "x.bin", "",
                                  "..", "x\n.safetensors", "\u202ex.safetensors"])  # fmt: skip
def test_an_index_names_files_of_its_folder_only(tmp_path: Path, name: str) -> None:
    from latentlang.errors import ModelError

    folder = tmp_path / "model"
    tiny.model("mistral").save_pretrained(folder, max_shard_size="20KB")
    shutil.copyfile(sorted(folder.glob("model-*.safetensors"))[0], tmp_path / "model.safetensors")
    index = folder / "model.safetensors.index.json"
    record = json.loads(index.read_text())
    record["weight_map"][next(iter(record["weight_map"]))] = name
    index.write_text(json.dumps(record))
    with pytest.raises(ModelError, match="which is no weight file of this folder; fetch the model again"):
        weight_files(folder)


@pytest.mark.slow("tests/models/test_loading.py", "tests/models/test_adapters.py")
@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "tokenizer.json", "adapter_config.json",
                                  "model.safetensors", "adapter_model.safetensors"])  # fmt: skip
def test_models_and_adapters_as_they_are_loaded(tmp_path: Path, name: str) -> None:
    import torch

    from latentlang.models import load

    folder, adapter = tmp_path / "model", tmp_path / "adapter"
    base = tiny.model("mistral")
    base.save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    tuned = tiny.adapted(base, zero=True, r=2)
    for own, weight in tuned.named_parameters():
        if "lora_B" in own:
            torch.nn.init.normal_(weight)
    tuned.save_pretrained(adapter)
    path = (adapter if name.startswith("adapter") else folder) / name
    whole = path.read_bytes()
    spoilt = list(mutations.cut(whole))
    if name.endswith(".json"):
        spoilt += [(what, json.dumps(made).encode()) for what, made in mutations.changed(json.loads(whole))]
    few = spoilt if name == "adapter_config.json" else spoilt[:: max(1, len(spoilt) // 60)]
    for what, content in few:
        tried(_written(path, content, lambda: load(folder, adapter=adapter)), f"{name}, {what}")


@pytest.mark.parametrize("depth", [10**18, 1e300, 200])
def test_a_config_of_more_layers_than_weights_builds_nothing(tmp_path: Path, depth: float) -> None:
    from latentlang.errors import ModelError
    from latentlang.models import load

    tiny.model("mistral").save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_hidden_layers": depth}))
    with pytest.raises(ModelError, match=r"the config says num_hidden_layers .* tensors in all"):
        load(tmp_path)


def test_steps_of_a_long_run(tmp_path: Path) -> None:
    from latentlang.storage.step_cache import Steps

    Steps(tmp_path).run("lens/base", {"a": 1}, lambda path: path, lambda path: path)
    path = tmp_path / "lens" / "base" / "step.json"
    assert is_whole(path.parent, {"a": 1})
    spoilt_json_quietly(path, lambda: (is_whole(path.parent, {"a": 1}), finished_steps(tmp_path)))


def spoilt_json_quietly(path: Path, load: Load) -> None:
    """As `spoilt_json`, for a record whose reader takes a damaged one as none."""
    whole = path.read_bytes()
    for what, made in mutations.changed(json.loads(whole)):
        tried(_written(path, json.dumps(made).encode(), load), what)
    spoilt_bytes(path, load, whole)


def test_records_of_a_training(tmp_path: Path) -> None:
    wanted = {"format": 1, "model": "pocket", "recipe": recipe("zh-en").model_dump(mode="json")}
    path = tmp_path / "run.json"
    path.write_text(json.dumps(wanted))
    spoilt_json(path, lambda: (is_identity(tmp_path), settle(tmp_path, wanted, resume=True)))
    checkpoint = tmp_path / "checkpoints" / "checkpoint-4"
    checkpoint.mkdir(parents=True)
    for name in ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt"):
        (checkpoint / name).write_bytes(b"")
    state = checkpoint / "trainer_state.json"
    entries = [{"step": 4, "epoch": 1.0, "loss": 1.5, "learning_rate": 1e-4}]
    state.write_text(json.dumps({"log_history": entries, "best_global_step": 4}))
    spoilt_json_quietly(state, lambda: last_checkpoint(tmp_path))


ODD_YAML = (
    "1: 2", "a: 2024-13-45", "? [a]\n: b", "a: !!int x", "a: !!python/name:os.system", "a: &b [*b]",
    "a: " + "1" * 5000, "a: .inf", "a: .nan", "[" * 50_000, "- " * 20_000, "a: 1\na: 2", "{a: ", "\t", "a: b: c",
    "%YAML 3.0\n---\n", "a: !!timestamp x", "a: !!binary =", "<<: {name: x}", 'a: "\\ud800"', "--- a\n--- b",
    "a: 0b_", "a: 1:1:1:1", "=: =", "null: 1", "a: \x1b[31m", "a: " + "z" * 300_000,
)  # fmt: skip


def spoilt_yaml(path: Path, load: Load) -> None:
    """A YAML file with one thing wrong at a time, or with what YAML alone has."""
    whole = path.read_bytes()
    for what, made in mutations.changed(yaml.safe_load(whole)):
        text = yaml.safe_dump(made, allow_unicode=True)
        tried(_written(path, text.encode(), load), f"{path.name}, {what}")
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
    )
    for text in (*ODD_YAML, bomb):
        tried(_written(path, text.encode(), load), f"{path.name}, {text[:40]!r}")
    spoilt_bytes(path, load, whole)


def test_recipes(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(recipe("zh-en").yaml())
    spoilt_yaml(path, lambda: recipe(path))


def test_suites_and_experiments(tmp_path: Path) -> None:
    folder = small_experiments.write_suite(tmp_path / "mine")
    for path in sorted(folder.glob("*.yaml")):
        spoilt_yaml(path, lambda: load_suite(str(folder)))


def test_translations(tmp_path: Path) -> None:
    path = tmp_path / "pairs.json"
    order = "\nTranslate the input from Chinese to English:\n"
    path.write_text(json.dumps([{"input": f"{n}{order}", "answer": str(n)} for n in range(2)]))
    spoilt_json(path, lambda: read_pairs(path))


@pytest.mark.parametrize("table", ["table1", "table8"])
def test_published_values(tmp_path: Path, table: str) -> None:
    source = Path(__file__).parents[2] / "experiments" / "spontaneous" / "published" / f"{table}.csv"
    path = tmp_path / "published" / source.name
    path.parent.mkdir()
    rows = source.read_text().splitlines()[:4]
    path.write_text("\n".join(rows) + "\n")

    def load() -> object:
        return published(tmp_path, table)

    head, first, *rest = rows
    for place in range(len(head.split(","))):
        for value in (
            "",
            "\x1b[31m",
            "nan",
            "inf",
            "1e999",
            "0.5",
            "-1",
            "1" * 5000,
            '"',
            "x,y",
            "\0",
            "\u202e",
        ):
            cells = first.split(",")
            cells[place] = value
            tried(
                _written(path, "\n".join([head, ",".join(cells), *rest]).encode(), load),
                f"{value!r} at {place}",
            )
    path.write_text("\n".join(rows) + "\n")
    spoilt_bytes(path, load)
