"""What a step's outcome depends on, as a hash: the same step is found again, and nothing else is taken for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from latentlang.comparison.steps import step_key
from latentlang.models.files import fingerprint, weight_files
from latentlang.models.registry import ModelInfo, resolve
from latentlang.reproduction.settings import Settings
from latentlang.reproduction.steps import Step, harvest_for
from latentlang.results import package_versions

_DIGITS = 10
_LOOKS, _LOOK_BYTES = 64, 4096


class Keys:
    """Hashes of the steps of one run; what takes time to find out (prompts, files) is found out once."""

    def __init__(self, settings: Settings) -> None:
        """Prepare for one run."""
        self._settings = settings
        self._models: dict[str, str] = {}
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
        found = self._options.get(step)
        if found is None:
            found = self._options[step] = self._found(step, harvests)
        return found

    def name(self, step: Step, harvests: Sequence[Step] = ()) -> str:
        """Folder of a step below the cache: ``evaluate/zh-es-en-sentiment-1a2b3c4d5e``."""
        about = [step.adapter.recipe.replace("+", "-"), step.task]
        digest = step_key(self.options(step, harvests))[:_DIGITS]
        return f"{step.kind}/{'-'.join([*about, digest])}"

    def _found(self, step: Step, harvests: Sequence[Step]) -> dict[str, Any]:
        settings = self._settings
        version = package_versions().get("latentlang")
        if step.kind in ("align", "pca"):
            sides = [False] if step.kind == "align" else [True, False]
            stores = [step_key(self.options(harvest_for(step, harvests, base=side))) for side in sides]
            size = settings.size
            draws = [settings.seed, size.permutations, size.resamples] if step.kind == "align" else []
            return {
                "kind": step.kind, "version": version, "stores": stores, "languages": step.languages,
                "layers": step.layers, "draws": draws,
            }  # fmt: skip
        asked: dict[str, Any] = {"kind": step.kind, "version": version, "model": self._model(step.model)}
        asked["dtype"], asked["quantization"] = (settings.loading.get(n) for n in ("dtype", "quantization"))
        if step.kind == "train":
            chosen = settings.recipe(step)
            return asked | {
                "recipe": chosen.model_dump(mode="json"), "data": settings.translations(step).digest(),
            }  # fmt: skip
        own = step.training
        if own is not None:
            asked["adapter"] = step_key(self.options(own))
        return asked | {
            "task": step.task, "answers": step.answers, "protocol": settings.protocol, "seed": settings.seed,
            "languages": step.languages, "layers": step.layers, "prompts": self._digest(step),
        }  # fmt: skip

    def _model(self, name: str) -> str:
        if name not in self._models:
            self._models[name] = model_key(resolve(name))
        return self._models[name]

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


def model_key(info: ModelInfo) -> str:
    """What tells a model from another of its name without loading it: a hash of its files, or its commit on the hub."""
    if not info.local:
        return f"{info.hub_id}@{cached_commit(info) or info.revision or 'main'}"
    folder = Path(info.hub_id)
    # Names and sizes do not tell a model that was trained again; some of its bytes do, and 30 GB need not be read.
    digest = hashlib.sha256(fingerprint(folder).encode())
    for path in weight_files(folder):
        size = path.stat().st_size
        with path.open("rb") as stream:
            for place in range(_LOOKS):
                stream.seek(place * max(0, size - _LOOK_BYTES) // (_LOOKS - 1))
                digest.update(stream.read(_LOOK_BYTES))
    return digest.hexdigest()


def cached_commit(info: ModelInfo) -> str | None:
    """The commit of a hub model that lies in the local cache; None where it does not."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(info.hub_id, "config.json", revision=info.revision)
    return Path(found).parent.name if isinstance(found, str) else None
