"""What a step's outcome depends on, as a hash: the same step is found again, and nothing else is taken for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from latentlang.provenance import package_versions
from latentlang.reproduction.settings import ReproductionSettings
from latentlang.reproduction.steps import Step, harvest_for
from latentlang.storage.step_cache import step_key

#: Raised by whoever changes what a kind of step gives for the same question: outcomes of the old code are then not
#: taken for those of the new.
REVISIONS = MappingProxyType({"train": 1, "evaluate": 1, "lens": 1, "harvest": 1, "align": 1, "pca": 1})
_DIGITS = 10


class Keys:
    """Hashes of the steps of one run; what takes time to find out (prompts, files) is found out once."""

    def __init__(self, settings: ReproductionSettings, models: Mapping[str, str]) -> None:
        """Prepare for one run; `models` has the key of each model (`model_key`)."""
        self._settings, self._models = settings, models
        self._prompts: dict[tuple[str, str, tuple[str, ...]], str] = {}
        self._options: dict[Step, dict[str, Any]] = {}

    def options(self, step: Step, harvests: Sequence[Step] = ()) -> dict[str, Any]:
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
                "kind": step.kind, "revision": REVISIONS[step.kind],
                "version": package_versions().get("latentlang"), **self._specific(step, harvests),
            }  # fmt: skip
        return options

    def name(self, step: Step, harvests: Sequence[Step] = ()) -> str:
        """Folder of a step below the cache: ``evaluate/zh-es-en-sentiment-1a2b3c4d5e``."""
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
        options: dict[str, Any] = {
            "model": self._models[step.model], "device": settings.device, "dtype": settings.dtype,
            "quantization": settings.loading.get("quantization"),
        }  # fmt: skip
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
