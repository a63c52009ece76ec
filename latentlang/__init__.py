"""latentlang: in which language does a language model think?

    import latentlang as ll

    model = ll.load("pocket")
    result = ll.logit_lens(model, ll.task("translation", source="fr"), languages="ja")
    result.figure()

Names are imported when first used, so that ``import latentlang`` is quick and needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latentlang.activations import ActivationStore, harvest, open_store
    from latentlang.comparison import ComparisonResult, compare
    from latentlang.errors import InputError, LatentlangError, ModelError
    from latentlang.evaluation import EvaluationResult, evaluate
    from latentlang.geometry import AlignmentResult, PCAResult, alignment, pca
    from latentlang.languages import Language, language
    from latentlang.lens import LensResult, logit_lens
    from latentlang.models import HookedLM, load
    from latentlang.tasks import Prompt, Task, task
    from latentlang.training import Recipe, TrainingResult, recipe, train
    from latentlang.widgets import explorer

_HOMES = {
    "ActivationStore": "latentlang.activations",
    "AlignmentResult": "latentlang.geometry",
    "ComparisonResult": "latentlang.comparison",
    "EvaluationResult": "latentlang.evaluation",
    "HookedLM": "latentlang.models",
    "InputError": "latentlang.errors",
    "Language": "latentlang.languages",
    "LatentlangError": "latentlang.errors",
    "LensResult": "latentlang.lens",
    "ModelError": "latentlang.errors",
    "PCAResult": "latentlang.geometry",
    "Prompt": "latentlang.tasks",
    "Recipe": "latentlang.training",
    "Task": "latentlang.tasks",
    "TrainingResult": "latentlang.training",
    "alignment": "latentlang.geometry",
    "compare": "latentlang.comparison",
    "evaluate": "latentlang.evaluation",
    "explorer": "latentlang.widgets",
    "harvest": "latentlang.activations",
    "language": "latentlang.languages",
    "load": "latentlang.models",
    "logit_lens": "latentlang.lens",
    "open_store": "latentlang.activations",
    "pca": "latentlang.geometry",
    "recipe": "latentlang.training",
    "task": "latentlang.tasks",
    "train": "latentlang.training",
}

# Rooms that are useful by name: ``ll.languages.GROUPS``, ``ll.figures.lens_figure``.
_ROOMS = (
    "activations",
    "answers",
    "comparison",
    "errors",
    "evaluation",
    "figures",
    "geometry",
    "languages",
    "lens",
    "models",
    "results",
    "tasks",
    "training",
    "widgets",
)

__all__ = [
    "ActivationStore", "AlignmentResult", "ComparisonResult", "EvaluationResult", "HookedLM", "InputError", "Language",
    "LatentlangError", "LensResult", "ModelError", "PCAResult", "Prompt", "Recipe", "Task", "TrainingResult",
    "__version__", "alignment", "compare", "evaluate", "explorer", "harvest", "language", "languages", "load",
    "logit_lens", "open_store", "pca", "recipe", "task", "train",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "__version__":
        try:
            return version("latentlang")
        except PackageNotFoundError:
            return "0+unknown"
    if name in _ROOMS:
        return import_module(f"latentlang.{name}")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'latentlang' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS})
