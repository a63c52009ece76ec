"""latentlang: in which language does a language model think?

    import latentlang as ll

    model = ll.load("pocket")
    result = ll.logit_lens(model, ll.task("translation", source="fr"), languages="ja")
    result.figure()

Names are imported when first used, so that ``import latentlang`` is quick and needs no torch.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from latentlang._lazy import lazy_names

if TYPE_CHECKING:
    from latentlang.activations import ActivationStore, harvest, import_activations, open_store
    from latentlang.answers import FertilityResult, TokenLanguages, fertility, token_languages
    from latentlang.causal import (
        CellPatch,
        PatchResult,
        PatchscopeResult,
        PivotUseResult,
        SteeredPrompt,
        SteerResult,
        TraceResult,
        patch,
        patch_cell,
        patchscope,
        pivot_test,
        steer,
        steer_prompt,
        trace,
    )
    from latentlang.cluster import Cluster
    from latentlang.comparison import ComparisonGroup, ComparisonResult, compare
    from latentlang.errors import InputError, LatentlangError, ModelError
    from latentlang.evaluation import EvaluationResult, evaluate, evaluate_harness
    from latentlang.generation import AnswerResult, Decoding, answer, read_prompts
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
    from latentlang.instructions import InstructionsResult, describe_instructions
    from latentlang.interactive import explorer
    from latentlang.judging import GapResult, JudgementResult, gap, judge
    from latentlang.language_names import Language, language, languages
    from latentlang.lens import (
        BarrierResult,
        BitsResult,
        ExplorerResult,
        JacobianLens,
        LanguageMassResult,
        LensResult,
        MultilingualLensResult,
        PivotByLensResult,
        TunedLens,
        bits_per_byte,
        explore,
        fit_jacobian_lens,
        fit_jacobian_rows,
        language_mass,
        logit_lens,
        multilingual_lens,
        pivot_by_lens,
        train_tuned_lens,
        translation_barrier,
    )
    from latentlang.models import Edit, HookedLM, load
    from latentlang.questions import CodeResult, QuestionResult, ask, humaneval, read_questions
    from latentlang.reproduction import reproduce
    from latentlang.saved import open_result
    from latentlang.sizing import SizePlan, plan
    from latentlang.sweeps import SweepResult, sweep
    from latentlang.tasks import Prompt, Task, task
    from latentlang.training import Recipe, TrainingResult, recipe, train
    from latentlang.translation import (
        TranslationResult,
        TranslationScores,
        join_scores,
        score_translations,
        translate,
    )
    from latentlang.units import (
        FeatureAblationResult,
        FeaturesResult,
        NeuronAblationResult,
        NeuronsResult,
        Sae,
        feature_ablation,
        features,
        neuron_ablation,
        neurons,
        read_sae,
        train_sae,
    )

__all__ = [
    "ActivationStore",
    "AlignmentResult",
    "AnswerResult",
    "BarrierResult",
    "BitsResult",
    "CellPatch",
    "Cluster",
    "CodeResult",
    "ComparisonGroup",
    "ComparisonResult",
    "Decoding",
    "DirectionsResult",
    "Edit",
    "ErasureResult",
    "EvaluationResult",
    "ExplorerResult",
    "FeatureAblationResult",
    "FeaturesResult",
    "FertilityResult",
    "GapResult",
    "HookedLM",
    "InputError",
    "InstructionsResult",
    "JacobianLens",
    "JudgementResult",
    "Language",
    "LanguageMassResult",
    "LatentlangError",
    "LensResult",
    "ModelError",
    "MultilingualLensResult",
    "NeuronAblationResult",
    "NeuronsResult",
    "PCAResult",
    "PatchResult",
    "PatchscopeResult",
    "PivotByLensResult",
    "PivotUseResult",
    "Prompt",
    "QuestionResult",
    "Recipe",
    "Sae",
    "SizePlan",
    "SteerResult",
    "SteeredPrompt",
    "SweepResult",
    "Task",
    "TokenLanguages",
    "TraceResult",
    "TrainingResult",
    "TranslationResult",
    "TranslationScores",
    "TunedLens",
    "__version__",
    "alignment",
    "answer",
    "ask",
    "bits_per_byte",
    "compare",
    "describe_instructions",
    "directions",
    "erase",
    "evaluate",
    "evaluate_harness",
    "explore",
    "explorer",
    "feature_ablation",
    "features",
    "fertility",
    "fit_jacobian_lens",
    "fit_jacobian_rows",
    "gap",
    "harvest",
    "humaneval",
    "import_activations",
    "join_scores",
    "judge",
    "language",
    "language_mass",
    "languages",
    "load",
    "logit_lens",
    "multilingual_lens",
    "neuron_ablation",
    "neurons",
    "open_result",
    "open_store",
    "patch",
    "patch_cell",
    "patchscope",
    "pca",
    "pivot_by_lens",
    "pivot_test",
    "plan",
    "read_prompts",
    "read_questions",
    "read_sae",
    "recipe",
    "reproduce",
    "score_translations",
    "steer",
    "steer_prompt",
    "sweep",
    "task",
    "token_languages",
    "trace",
    "train",
    "train_sae",
    "train_tuned_lens",
    "translate",
    "translation_barrier",
]

_HOMES = {
    "latentlang.activations": ("ActivationStore", "harvest", "import_activations", "open_store"),
    "latentlang.answers": ("FertilityResult", "TokenLanguages", "fertility", "token_languages"),
    "latentlang.causal": (
        "CellPatch",
        "PatchResult",
        "PatchscopeResult",
        "PivotUseResult",
        "SteerResult",
        "SteeredPrompt",
        "TraceResult",
        "patch",
        "patch_cell",
        "patchscope",
        "pivot_test",
        "steer",
        "steer_prompt",
        "trace",
    ),
    "latentlang.cluster": ("Cluster",),
    "latentlang.comparison": ("ComparisonGroup", "ComparisonResult", "compare"),
    "latentlang.errors": ("InputError", "LatentlangError", "ModelError"),
    "latentlang.generation": ("AnswerResult", "Decoding", "answer", "read_prompts"),
    "latentlang.evaluation": ("EvaluationResult", "evaluate", "evaluate_harness"),
    "latentlang.geometry": (
        "AlignmentResult",
        "DirectionsResult",
        "ErasureResult",
        "PCAResult",
        "alignment",
        "directions",
        "erase",
        "pca",
    ),
    "latentlang.instructions": ("InstructionsResult", "describe_instructions"),
    "latentlang.judging": ("GapResult", "JudgementResult", "gap", "judge"),
    "latentlang.language_names": ("Language", "language", "languages"),
    "latentlang.interactive": ("explorer",),
    "latentlang.lens": (
        "BarrierResult",
        "BitsResult",
        "ExplorerResult",
        "LanguageMassResult",
        "JacobianLens",
        "MultilingualLensResult",
        "LensResult",
        "PivotByLensResult",
        "TunedLens",
        "bits_per_byte",
        "explore",
        "language_mass",
        "fit_jacobian_lens",
        "fit_jacobian_rows",
        "multilingual_lens",
        "logit_lens",
        "pivot_by_lens",
        "train_tuned_lens",
        "translation_barrier",
    ),
    "latentlang.models": ("Edit", "HookedLM", "load"),
    "latentlang.questions": ("CodeResult", "QuestionResult", "ask", "humaneval", "read_questions"),
    "latentlang.reproduction": ("reproduce",),
    "latentlang.saved": ("open_result",),
    "latentlang.sizing": ("SizePlan", "plan"),
    "latentlang.sweeps": ("SweepResult", "sweep"),
    "latentlang.tasks": ("Prompt", "Task", "task"),
    "latentlang.training": ("Recipe", "TrainingResult", "recipe", "train"),
    "latentlang.translation": (
        "TranslationResult",
        "TranslationScores",
        "join_scores",
        "score_translations",
        "translate",
    ),
    "latentlang.units": (
        "FeatureAblationResult",
        "FeaturesResult",
        "NeuronAblationResult",
        "NeuronsResult",
        "Sae",
        "feature_ablation",
        "features",
        "neuron_ablation",
        "neurons",
        "read_sae",
        "train_sae",
    ),
}
# Useful by name: ``ll.tasks.register``, ``ll.figures.lens_figure``.
_ROOMS = (
    "activations",
    "answers",
    "causal",
    "cluster",
    "comparison",
    "downloads",
    "errors",
    "evaluation",
    "figures",
    "generation",
    "geometry",
    "instructions",
    "interactive",
    "judging",
    "language_names",
    "lens",
    "models",
    "questions",
    "reproduction",
    "results",
    "saved",
    "sizing",
    "sweeps",
    "tasks",
    "training",
    "translation",
    "units",
)
_find, __dir__ = lazy_names(__name__, _HOMES, rooms=_ROOMS)


def __getattr__(name: str) -> Any:
    if name != "__version__":
        return _find(name)
    try:
        return version("latentlang")
    except PackageNotFoundError:
        return "0+unknown"
