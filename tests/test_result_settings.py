"""Typed settings: what a result's record says, read by attribute."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from latentlang.answers import TokenLanguages
from latentlang.causal import PatchResult, PivotUseResult, SteerResult, TraceResult
from latentlang.comparison import AlignmentComparison, ComparisonGroup, ComparisonResult
from latentlang.comparison.comparison_settings import AlignmentComparisonSettings, ComparisonSettings
from latentlang.errors import InputError
from latentlang.evaluation import EvaluationComparison, EvaluationResult
from latentlang.evaluation.evaluation_settings import EvaluationSettings
from latentlang.generation import AnswerResult
from latentlang.geometry import AlignmentResult, DirectionsResult, ErasureResult, PCAResult
from latentlang.geometry.geometry_settings import AlignmentSettings, PCASettings
from latentlang.instructions import InstructionsResult
from latentlang.judging import GapResult, JudgementResult
from latentlang.lens import (
    BarrierResult,
    ExplorerResult,
    LanguageMassResult,
    LensResult,
    MultilingualLensResult,
    PivotByLensResult,
)
from latentlang.lens.lens_settings import ExplorerSettings, LensSettings
from latentlang.provenance import Provenance
from latentlang.questions import CodeResult, QuestionResult
from latentlang.results import ResultSettings
from latentlang.storage import format1
from latentlang.sweeps import SweepResult
from latentlang.training import TrainingResult
from latentlang.training.training_settings import TrainingSettings
from latentlang.translation import TranslationResult, TranslationScores
from latentlang.units import FeatureAblationResult, FeaturesResult, NeuronAblationResult, NeuronsResult

FORMAT1 = Path(__file__).parent / "data" / "format1"
KINDS = (
    LensResult, MultilingualLensResult, ExplorerResult, PCAResult, AlignmentResult, EvaluationResult,
    EvaluationComparison, AlignmentComparison, ComparisonResult, TrainingResult, DirectionsResult,
    ErasureResult, PatchResult, PivotUseResult, SteerResult, TraceResult, TokenLanguages, BarrierResult,
    NeuronsResult, NeuronAblationResult, LanguageMassResult, PivotByLensResult, FeaturesResult,
    FeatureAblationResult, InstructionsResult, AnswerResult, QuestionResult, CodeResult, JudgementResult,
    GapResult, ComparisonGroup, TranslationScores, TranslationResult, SweepResult,
)  # fmt: skip
#: A recipe as a result stores it.
_RECIPE = json.loads((FORMAT1 / "adapter" / "metadata.json").read_text())["provenance"]["settings"]["recipe"]
OF_KIND = {kind.kind: kind for kind in KINDS}


def made(**settings):
    return Provenance(model="m", task="t", languages=("ja",), settings=settings, packages={}, commit=None)


#: All but the activation store, which has no typed settings.
SAVED = sorted(set(FORMAT1.rglob("metadata.json")) - {FORMAT1 / "store" / "metadata.json"})


@pytest.mark.parametrize("path", SAVED, ids=lambda path: str(path.parent.relative_to(FORMAT1)))
def test_every_setting_of_a_saved_result_is_read_as_it_was_stored(path):
    record = json.loads(path.read_text())
    kind = format1.kind_today(record)
    stored = format1.settings_today(record["provenance"]["settings"])
    settings = OF_KIND[kind].settings_type.of(replace(Provenance.of(record), settings=stored))
    dumped = settings.model_dump(by_alias=True)
    common = dumped.keys() & stored.keys()
    assert len(common) >= min(len(stored), 4)
    for name in common - {"recipe", "tasks"}:
        assert dumped[name] == stored[name], name
    for task, own in stored.get("tasks", {}).items():
        assert (settings.tasks[task].labels, settings.tasks[task].shots) == (own["labels"], own["shots"])
    if "recipe" in stored:
        assert settings.recipe.data["sources"] == stored["recipe"]["data"]["sources"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_result_has_settings_of_its_own(kind):
    assert kind.settings_type is not ResultSettings
    # what `settings` is typed as is what it is read as
    assert [get_args(base) for base in kind.__orig_bases__] == [(kind.settings_type,)]


def test_what_is_not_said_has_its_default_and_what_is_unknown_stays_where_it_is():
    result = LensResult(pd.DataFrame({"value": [0.5]}), made(of_another_version=[1], shots=2))
    assert (result.settings.pivot, result.settings.lens, result.settings.shots) == ("en", "logit", 2)
    assert not hasattr(result.settings, "of_another_version")
    assert result.provenance.settings["of_another_version"] == [1]
    alignment = AlignmentSettings.of(made())
    assert (alignment.level, alignment.null, alignment.permutations) == (0.95, "items", 0)


@pytest.mark.parametrize(
    ("name", "value"), [("shots", "<b>"), ("accuracy", [1]), ("notes", {"ja": 1}), ("pivot", None)]
)
def test_a_setting_of_another_kind_is_refused_by_name(name, value):
    with pytest.raises(InputError, match=name):
        LensSettings.of(made(**{name: value}))


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (LensSettings, "shots", -1),
        (LensSettings, "items", 2**70),
        (LensSettings, "n_layers", -3),
        (LensSettings, "layers", [4, -1]),
        (LensSettings, "layers", [10**6]),
        (LensSettings, "accuracy", {"ja": 1.5}),
        (LensSettings, "accuracy", {"ja": float("nan")}),
        (AlignmentSettings, "permutations", -1),
        (AlignmentSettings, "resamples", 10**9),
        (AlignmentSettings, "components", -2),
        (ComparisonSettings, "items", {"lens": -1}),
        (ExplorerSettings, "top", -5),
        (PCASettings, "layers", [True]),
        (TrainingSettings, "best_step", -1),
        (TrainingSettings, "seconds", -0.5),
    ],
)
def test_a_number_that_no_run_can_have_is_refused_by_name(kind, name, value):
    recipe = {"recipe": _RECIPE} if kind is TrainingSettings else {}
    kind.of(made(**recipe))
    with pytest.raises(InputError, match=name):
        kind.of(made(**recipe, **{name: value}))


def test_a_damaged_setting_of_a_saved_result_is_one_clear_error(tmp_path):
    folder = shutil.copytree(FORMAT1 / "lens", tmp_path / "lens")
    record = json.loads((folder / "metadata.json").read_text())
    record["provenance"]["settings"]["shots"] = -1
    (folder / "metadata.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"metadata\.json.* is damaged: .*shots.*greater than or equal to 0"):
        LensResult.load(folder)


def test_a_recipe_is_stored_whole():
    stored = {**_RECIPE, "of_another_version": 1}
    stored["schedule"] = {**_RECIPE["schedule"], "cutoff": 512}
    settings = TrainingSettings(recipe=stored, pairs={"zh-en": (3, 1)}, notes=())
    assert settings.stored() == {"recipe": stored, "pairs": {"zh-en": [3, 1]}, "notes": []}


@pytest.mark.parametrize("level", [0, 1, 95, float("nan")])
def test_a_level_that_is_none_is_refused(level):
    with pytest.raises(InputError, match="level"):
        AlignmentSettings.of(made(level=level))


def test_numbers_of_numpy_and_tuples_are_read_as_a_file_would_hold_them():
    settings = AlignmentSettings(
        layers=np.array([1, 2]), pools=("mean",), permutations=np.int64(7), level=np.float64(0.9), pivot=None
    )
    stored = settings.stored()
    assert stored == {"pivot": None, "layers": [1, 2], "pools": ["mean"], "permutations": 7, "level": 0.9}
    assert AlignmentSettings.of(made(**json.loads(json.dumps(stored)))) == settings


def test_languages_that_training_has_seen_keep_their_stored_name():
    settings = AlignmentComparisonSettings(pivot="en", seen=["ja"])
    assert settings.seen_languages == ["ja"]
    assert settings.stored() == {"pivot": "en", "seen": ["ja"]}
    assert EvaluationSettings.of(made(score="first", tasks={}, seen=["th"])).seen_languages == ["th"]


def test_a_task_may_give_a_source_and_answers_of_any_kind():
    settings = LensSettings.of(made(source=5, answers=["a", "b"]))
    assert (settings.source, settings.answers) == ("5", "['a', 'b']")
