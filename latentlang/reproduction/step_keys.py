"""What a step's outcome depends on, as a hash: the same step is found again, and nothing else is taken for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from latentlang.provenance import package_versions
from latentlang.reproduction.kinds.base import AnyStep, KindStep, RunContext
from latentlang.reproduction.model_names import model_name
from latentlang.reproduction.steps import Step, harvest_for
from latentlang.storage.step_cache import step_key

#: Raised by whoever changes what a kind of step gives for the same question: outcomes of the old code are then not
#: taken for those of the new.
REVISIONS = MappingProxyType({"train": 1, "evaluate": 1, "lens": 1, "harvest": 1, "align": 1, "pca": 1})
_DIGITS = 10


class Keys:
    """Hashes of the steps of one run; what takes time to find out (prompts, files) is found out once."""

    def __init__(self, run: RunContext, models: Mapping[str, str]) -> None:
        """Prepare for one run; `models` has the key of each model (`model_key`)."""
        self._run, self._settings, self._models = run, run.settings, models
        self._prompts: dict[tuple[str, str, tuple[str, ...]], str] = {}
        self._options: dict[AnyStep, dict[str, Any]] = {}

    def options(self, step: AnyStep, harvests: Sequence[Step] = ()) -> dict[str, Any]:
        """Everything the outcome of a step depends on, as JSON can say it.

        Args:
            step: the step.
            harvests: the harvests of the run, for steps that read them.

        Raises:
            InputError: its model, recipe or data cannot be found.
        """
        options = self._options.get(step)
        if options is None:
            options = self._options[step] = {
                "kind": step.kind, "revision": step.revision if isinstance(step, KindStep) else REVISIONS[step.kind],
                "version": package_versions().get("latentlang"),
                **(self._of_kind(step) if isinstance(step, KindStep) else self._specific(step, harvests)),
            }  # fmt: skip
        return options

    def name(self, step: AnyStep, harvests: Sequence[Step] = ()) -> str:
        """Folder of a step below the cache: ``evaluate/zh-es-en-sentiment-1a2b3c4d5e``."""
        if isinstance(step, KindStep):
            about = [model_name(step.runs)] if step.runs else []
        else:
            about = [step.adapter.recipe.replace("+", "-"), step.task]
        digest = step_key(self.options(step, harvests))[:_DIGITS]
        return f"{step.kind}/{'-'.join([*about, digest])}"

    def _specific(self, step: Step, harvests: Sequence[Step]) -> dict[str, Any]:
        settings = self._settings
        if step.kind in ("align", "pca"):
            sides = [False] if step.kind == "align" else [True, False]
            stores = [step_key(self.options(harvest_for(step, harvests, base=side))) for side in sides]
            size = settings.size
            draws = [settings.seed, size.permutations, size.resamples] if step.kind == "align" else []
            return {"stores": stores, "languages": step.languages, "layers": step.layers, "draws": draws}
        options = self._loaded(step.model)
        if step.kind == "train":
            chosen = settings.recipe(step)
            return options | {
                "recipe": chosen.model_dump(mode="json"), "data": settings.training_examples(step).digest(),
            }  # fmt: skip
        training = step.training
        if training is not None:
            options["adapter"] = step_key(self.options(training))
        return options | {
            "task": step.task, "answers": step.answers, "protocol": settings.protocol, "seed": settings.seed,
            "languages": step.languages, "layers": step.layers, "prompts": self._digest(step),
        }  # fmt: skip

    def _of_kind(self, step: KindStep) -> dict[str, Any]:
        """What a step of another kind of experiment says its outcome depends on, its model and what it reads."""
        needs = [step_key(self.options(needed)) for needed in step.needs]
        return {
            **(self._loaded(step.runs) if step.runs else {}),
            **({"needs": needs} if needs else {}),
            "asked": step.options(self._run),
        }

    def _loaded(self, model: str) -> dict[str, Any]:
        """Whose weights are run, and on what."""
        settings = self._settings
        return {
            "model": self._models[model], "device": settings.device, "dtype": settings.dtype,
            "quantization": settings.loading.get("quantization"),
        }  # fmt: skip

    def _digest(self, step: Step) -> str:
        about = (step.task, step.answers, step.languages)
        if about not in self._prompts:
            task, digest = self._settings.task(step), hashlib.sha256()
            for code in step.languages:
                prompts = task.prompts(code, items=self._settings.items(step.task), seed=self._settings.seed)
                for prompt in prompts:
                    digest.update(json.dumps([prompt.item, prompt.text, prompt.label]).encode())
                digest.update(repr(sorted(task.answers(code).items())).encode())
            self._prompts[about] = digest.hexdigest()
        return self._prompts[about]
