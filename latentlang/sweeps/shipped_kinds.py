"""The kinds of job that come with the package: each is one call of the library, saved as its command saves it.

What is slow to import is imported when a job runs, so that a table of jobs can be had without torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from latentlang.errors import InputError
from latentlang.paths import given_path, is_file, is_folder
from latentlang.storage.documents import Names
from latentlang.storage.files import file_sha256
from latentlang.sweeps.kinds import JobFields, JobInput, JobKind, JobMeasure, SweepJob, register_kind

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.tasks import Task

Floats = NDArray[np.float64]
_STORE = "store"


class ModelFields(JobFields):
    """What every entry may say that runs a model.

    Attributes:
        adapter: name of an entry that trains; its outcome is put on the model. None for the model as it is.
        items: per language; by default all.
    """

    adapter: str | None = None
    items: int | None = Field(default=None, ge=1)

    def inputs(self) -> list[str]:
        """Names of entries whose jobs' outcome is read."""
        return [] if self.adapter is None else [self.adapter]


class TaskFields(ModelFields):
    """What every entry may say that asks a task.

    Attributes:
        shots: few-shot examples; by default the task's own number.
        options: the task's own options, as `tasks.task` takes them: ``{source: fr}``, ``{data: my-files}``.
    """

    shots: int | None = Field(default=None, ge=0)
    options: dict[str, Any] = Field(default_factory=dict)


def _adapter(given: JobInput) -> Path | None:
    """Folder of the training that a job's model is to have."""
    name = given.job.fields.inputs()
    folders = given.inputs[name[0]] if name else ()
    return folders[0] if folders else None


def _loaded(given: JobInput) -> Any:
    assert given.job.model is not None
    return given.tools.model(given.job.model, adapter=_adapter(given))


def _task(job: SweepJob) -> Task:
    """The task of a job, with the options of its entry.

    Raises:
        InputError: there is no such task, or it does not take them.
    """
    from latentlang.tasks import task

    fields = job.fields
    assert job.task is not None and isinstance(fields, TaskFields)
    return task(job.task, **fields.options)


def _common(given: JobInput) -> dict[str, Any]:
    """Options that all runs of a model over a task take."""
    fields, job = given.job.fields, given.job
    assert isinstance(fields, TaskFields)
    return {
        "languages": list(job.languages), "items": fields.items, "shots": fields.shots, "seed": job.seed,
        "batch_tokens": given.tools.loading.get("batch_tokens"),
    }  # fmt: skip


@lru_cache(maxsize=64)
def _model_key(name: str) -> str:
    from latentlang.models.fingerprint import model_key
    from latentlang.models.registry import resolve

    return model_key(resolve(name))


def _files(value: object) -> Any:
    """What tells the files of an option from others: their hashes, where it is a path."""
    if not isinstance(value, str):
        return value
    path = given_path(value)
    if is_folder(path):
        return {
            str(file.relative_to(path)): file_sha256(file)
            for file in sorted(path.rglob("*"))
            if file.is_file()
        }
    return file_sha256(path) if is_file(path) else value


def _model_content(job: SweepJob, _loading: Mapping[str, Any]) -> Mapping[str, Any]:
    assert job.model is not None
    return {"model": _model_key(job.model)}


def _task_content(job: SweepJob, loading: Mapping[str, Any]) -> Mapping[str, Any]:
    made, fields = _task(job), job.fields
    assert isinstance(fields, TaskFields)
    for code in job.languages:
        if code not in made.languages:
            raise InputError(
                f"the task {job.task} has no {code}; it has {', '.join(made.languages)}: take it out of languages"
            )
    content = dict(_model_content(job, loading)) if job.model is not None else {}
    return content | {"files": {name: _files(value) for name, value in fields.options.items()}}


# train


class TrainFields(JobFields):
    """An entry that trains.

    Attributes:
        set: fields of the recipe to change.
        data: take these files instead of what the recipe names.
    """

    set: dict[str, Any] = Field(default_factory=dict)
    data: str | None = None


def _recipe(job: SweepJob) -> Any:
    from latentlang.training.recipes import recipe_for

    fields = job.fields
    assert isinstance(fields, TrainFields)
    seed = {} if job.seed is None else {"seed": job.seed}
    if "seed" in fields.set:
        raise InputError("set: seed is what the sweep's seeds say; leave it out")
    return recipe_for(job.model, job.recipe or "", {**fields.set, **seed})


def _train(given: JobInput) -> None:
    from latentlang.training import train

    job, loading = given.job, given.tools.loading
    assert isinstance(job.fields, TrainFields) and job.model is not None
    given.tools.release()
    options = {name: loading[name] for name in ("device", "quantization", "dtype") if name in loading}
    train(job.model, _recipe(job), out=given.folder, data=job.fields.data, **options)


def _train_measures(folder: Path) -> Sequence[JobMeasure]:
    from latentlang.training import TrainingResult

    result = TrainingResult.load(folder)
    losses = {"validation loss before": result.base_loss, "validation loss": result.best_loss}
    return [JobMeasure(name, value) for name, value in losses.items() if value is not None]


def _train_content(job: SweepJob, loading: Mapping[str, Any]) -> Mapping[str, Any]:
    from latentlang.training.recipes import training_data

    fields = job.fields
    assert isinstance(fields, TrainFields)
    recipe = _recipe(job)
    data = None if recipe.is_identity else training_data(recipe, data=fields.data).digest()
    return {**_model_content(job, loading), "recipe": recipe.model_dump(mode="json"), "data": data}


def _run_files() -> tuple[str, ...]:
    from latentlang.training.run_folder import RUN_FILES

    return RUN_FILES


# evaluate


class EvaluateFields(TaskFields):
    """An entry that has a model choose between labels.

    Attributes:
        score: what is compared, as `evaluation.evaluate` has it.
    """

    score: str | None = None


def _evaluate(given: JobInput) -> None:
    from latentlang.evaluation import evaluate

    fields = given.job.fields
    assert isinstance(fields, EvaluateFields)
    model = _loaded(given)
    states = ["tuned"] if model.active_adapter else ["base"]
    evaluate(model, _task(given.job), states=states, score=fields.score, **_common(given)).save(given.folder)


def _evaluate_measures(folder: Path) -> Sequence[JobMeasure]:
    from latentlang.evaluation import EvaluationResult

    return [
        JobMeasure(
            "accuracy", row["accuracy"], row["low"], row["high"], row["n"], row["language"], null=row["chance"],
            least=0.0, most=1.0,
        )
        for row in _rows(EvaluationResult.load(folder).summary())
    ]  # fmt: skip


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows with values of Python."""
    columns = {str(name): table[name].tolist() for name in table.columns}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


# lens


class LensFields(TaskFields):
    """An entry that reads every layer at the answer.

    Attributes:
        pivot: the language that might show in the middle layers.
        policy: what to do with tokens that several languages share; by default the lens' own.
    """

    pivot: str = "en"
    policy: str | None = None


def _lens(given: JobInput) -> None:
    from latentlang.lens import logit_lens

    fields = given.job.fields
    assert isinstance(fields, LensFields)
    result = logit_lens(
        _loaded(given), _task(given.job), pivot=fields.pivot, policy=fields.policy, **_common(given)
    )
    result.save(given.folder)


def _lens_measures(folder: Path) -> Sequence[JobMeasure]:
    """The answer's probability at the end, and the pivot's above its null, the mean of all layers.

    No layer is chosen by what it shows: the mean over layers is taken of each item, and its interval over items.
    """
    from latentlang.lens import LensResult
    from latentlang.stats.intervals import bootstrap_means, share_means

    result = LensResult.load(folder)
    seed = result.provenance.seed
    measures = []
    for code, part in result.table.groupby("language", sort=False, observed=True):
        last = part[(part["layer"] == part["layer"].max()) & (part["curve"] == "target")]["value"].dropna()
        values = last.to_numpy(float)[:, None]
        low, high = share_means(values, seed=seed)
        measures += _mean("answer at the end", values, low, high, language=str(code), least=0.0, most=1.0)
        wide = {
            curve: part[part["curve"] == curve].pivot(index="item", columns="layer", values="value")
            for curve in ("pivot", "pivot_null")
        }
        values = (wide["pivot"] - wide["pivot_null"]).mean(axis="columns").dropna().to_numpy(float)[:, None]
        low, high = bootstrap_means(values, least=-1.0, most=1.0, seed=seed)
        measures += _mean(
            "pivot above its null", values, low, high, language=str(code), null=0.0, least=-1.0, most=1.0
        )
    return measures


def _mean(name: str, values: Floats, low: Floats, high: Floats, **about: Any) -> list[JobMeasure]:
    """The mean of one series with its interval; nothing without items."""
    if not len(values):
        return []
    ends = [None if np.isnan(end[0]) else float(end[0]) for end in (low, high)]
    return [JobMeasure(name, float(values.mean()), ends[0], ends[1], len(values), **about)]


# harvest


class HarvestFields(TaskFields):
    """An entry that keeps activations on disk.

    Attributes:
        layers: ``all``, or numbers and ranges: ``0,4,8-12``.
        pools: which vector stands for a prompt.
        dtype: what numbers are stored as; by default the model's own.
    """

    layers: str = "all"
    pools: Names | None = None
    dtype: str | None = None


def _harvest(given: JobInput) -> None:
    from latentlang.activations import harvest

    fields = given.job.fields
    assert isinstance(fields, HarvestFields)
    pools: dict[str, Any] = {} if fields.pools is None else {"pools": fields.pools}
    harvest(
        _loaded(given), _task(given.job), out=given.folder / _STORE, layers=fields.layers, dtype=fields.dtype,
        **pools, **_common(given),
    )  # fmt: skip


def _harvest_measures(folder: Path) -> Sequence[JobMeasure]:
    from latentlang.activations import open_store

    store = open_store(folder / _STORE)
    return [JobMeasure("prompts", len(store)), JobMeasure("bytes", store.manifest.bytes)]


def _store_files() -> tuple[str, ...]:
    from latentlang.activations.manifest import STORE_FILES

    return tuple(f"{_STORE}/{file}" for file in STORE_FILES)


# neurons


class NeuronsFields(ModelFields):
    """An entry that counts at which share of tokens each neuron fires in each language.

    Attributes:
        text: folder of parallel text, ``udhr``, or a set on the hub.
        layers: ``all``, or numbers and ranges.
        deals: mixed pseudo-languages behind the null.
    """

    text: str
    layers: str = "all"
    deals: int = Field(default=200, ge=1)


def _neurons(given: JobInput) -> None:
    from latentlang.tasks import ContinuationTask
    from latentlang.units import neurons

    fields, job = given.job.fields, given.job
    assert isinstance(fields, NeuronsFields)
    neurons(
        _loaded(given), ContinuationTask(data=fields.text), languages=list(job.languages), items=fields.items,
        layers=fields.layers,
        deals=fields.deals, seed=job.seed or 0, batch_tokens=given.tools.loading.get("batch_tokens"),
    ).save(given.folder)  # fmt: skip


def _neurons_measures(folder: Path) -> Sequence[JobMeasure]:
    from latentlang.units import NeuronsResult

    measures = []
    for row in _rows(NeuronsResult.load(folder).summary()):
        measures.append(JobMeasure("neurons of the language", row["neurons"], language=row["language"]))
        measures.append(
            JobMeasure(
                "stability over halves", row["stability"], language=row["language"], least=0.0, most=1.0
            )
        )
    return measures


def _neurons_content(job: SweepJob, loading: Mapping[str, Any]) -> Mapping[str, Any]:
    fields = job.fields
    assert isinstance(fields, NeuronsFields)
    return {**_model_content(job, loading), "text": _files(fields.text)}


# compare


class CompareFields(TaskFields):
    """An entry that compares a model before and after a training.

    Attributes:
        adapter: name of the entry that trains.
        parts: what is compared, of `comparison.compare`; by default all.
        permutations: behind each null.
        resamples: behind each interval.
    """

    adapter: str
    parts: Names | None = None
    permutations: int | None = Field(default=None, ge=0)
    resamples: int | None = Field(default=None, ge=0)


def _compare(given: JobInput) -> None:
    from latentlang.comparison import compare
    from latentlang.training import TrainingResult

    fields, job, folder = given.job.fields, given.job, _adapter(given)
    assert isinstance(fields, CompareFields) and job.model is not None and folder is not None
    # both states are loaded by the comparison: an adapter goes on one copy of the weights, all weights are another's
    given.tools.release()
    later = "adapter" if TrainingResult.load(folder).checkpoint is None else "against"
    told = {name: getattr(fields, name) for name in ("parts", "permutations", "resamples")}
    options = {**_common(given), **given.tools.loading, **told, later: folder}
    compare(
        job.model, out=given.folder, task=_task(job),
        **{name: value for name, value in options.items() if value is not None},
    )  # fmt: skip


def _compare_content(job: SweepJob, loading: Mapping[str, Any]) -> Mapping[str, Any]:
    from latentlang.geometry.measures import FEWEST

    fields = job.fields
    assert isinstance(fields, CompareFields)
    # what a comparison would say once all has been trained
    if "geometry" in (fields.parts or ["geometry"]) and fields.items is not None and fields.items < FEWEST:
        raise InputError(
            f"the geometry of a comparison needs at least {FEWEST} items per language, not {fields.items}; give more, "
            "or parts without it"
        )
    return _task_content(job, loading)


def _compare_measures(folder: Path) -> Sequence[JobMeasure]:
    from latentlang.comparison import ComparisonResult

    table = ComparisonResult.load(folder).summary()
    return [
        JobMeasure(f"change of {row['measure']}", row["difference"], row["low"], row["high"], null=0.0)
        for row in _rows(table[table["group"] == "all"])
    ]


register_kind(
    JobKind(
        "train", TrainFields, _train, _train_measures, ("model", "recipe", "seed"), trains=True,
        content=_train_content, resumes=_run_files, about="trains an adapter, or all weights, by a recipe",
    )
)  # fmt: skip
register_kind(
    JobKind(
        "evaluate", EvaluateFields, _evaluate, _evaluate_measures, ("model", "task", "language", "seed"),
        content=_task_content, about="accuracy of a model that chooses between labels",
    )
)  # fmt: skip
register_kind(
    JobKind(
        "lens", LensFields, _lens, _lens_measures, ("model", "task", "language", "seed"), content=_task_content,
        about="the logit lens at the answer: the answer at the end, and the pivot above its null",
    )
)  # fmt: skip
register_kind(
    JobKind(
        "harvest", HarvestFields, _harvest, _harvest_measures, ("model", "task", "language", "seed"), together=True,
        content=_task_content, resumes=_store_files, about="activations kept on disk",
    )
)  # fmt: skip
register_kind(
    JobKind(
        "neurons", NeuronsFields, _neurons, _neurons_measures, ("model", "language", "seed"), together=True,
        content=_neurons_content, about="neurons that fire in some languages more than in others",
    )
)  # fmt: skip
register_kind(
    JobKind(
        "compare", CompareFields, _compare, _compare_measures, ("model", "task", "language", "seed"), together=True,
        trains=True, content=_compare_content, about="a model before and after a training",
    )
)  # fmt: skip
