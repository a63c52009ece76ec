"""States: named ways to have a model (as it is, with an adapter on, as another checkpoint), and what is run in each.

A comparison is of two states. What is run in one of them (choices, readings, activations) depends on that state alone,
so that several comparisons with the same model share it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from latentlang.activations import ActivationStore, harvest, open_store
from latentlang.activations.manifest import STORE_FILES
from latentlang.comparison.result import FOLDERS
from latentlang.errors import InputError, shown
from latentlang.evaluation import EvaluationResult, evaluate
from latentlang.evaluation.result import STATES
from latentlang.lens import LensResult, logit_lens
from latentlang.models import HookedLM
from latentlang.models.fingerprint import model_identity
from latentlang.progress import Report
from latentlang.provenance import package_versions
from latentlang.storage.step_cache import Steps
from latentlang.tasks import Prompt, Task

BASE, TUNED = STATES
#: Where the activations of each state lie below the comparison's folder.
HARVESTS = {state: f"harvest/{state}" for state in STATES}
#: Where the steps of a comparison are kept below its folder, and the folders in it.
STEPS = (*(f"evaluation/{state}" for state in STATES), *FOLDERS.values(), *HARVESTS.values())
STEP_FOLDERS = tuple(dict.fromkeys(name.partition("/")[0] for name in STEPS))


@dataclass(frozen=True)
class ModelFacts:
    """What results say of a model.

    Attributes:
        name: its name.
        revision: its commit, or a hash of its files.
        adapter: the adapter that it is compared without; None for none.
        n_layers: number of layers.
        dtype: of its weights.
        device: where it is.
        noted: what should be said of it.
    """

    name: str
    revision: str | None
    adapter: str | None
    n_layers: int
    dtype: str
    device: str
    noted: Mapping[str, Any]

    @classmethod
    def of(cls, model: HookedLM, *, adapter: bool) -> ModelFacts:
        """Those of a model."""
        return cls(
            model.name,
            model.revision,
            model.adapter if adapter else None,
            model.n_layers,
            str(model.dtype).removeprefix("torch."),
            str(model.device),
            model.noted,
        )


class ModelState:
    """A named way to have a model; the model is loaded when it is first asked for.

    Args:
        role: ``base`` or ``tuned``: what results call it.
        load: gives the model.
        adapter_on: whether its adapter is on or off; None where it has none.
        label: what progress calls it; by default its role.
    """

    def __init__(
        self,
        role: str,
        load: Callable[[], HookedLM],
        *,
        adapter_on: bool | None = None,
        label: str | None = None,
    ) -> None:
        self.role, self.adapter_on = role, adapter_on
        self.label = role if label is None else label
        self._load = load
        self._model: HookedLM | None = None
        self._facts: ModelFacts | None = None

    @property
    def model(self) -> HookedLM:
        """The model, whichever state it is in now."""
        if self._model is None:
            self._model = self._load()
        return self._model

    @property
    def facts(self) -> ModelFacts:
        """What results say of the model; with what was noticed of it so far."""
        return self._facts or ModelFacts.of(self.model, adapter=self.adapter_on is not None)

    def release(self) -> None:
        """Let the model go, so that another one has room; it is loaded again where it is still needed."""
        self._facts, _ = self.facts, self.identity
        self._model = None

    def entered(self) -> AbstractContextManager[None]:
        """A context in which the model is in this state."""
        if self.adapter_on is None:
            return nullcontext()
        return self.model.tuned() if self.adapter_on else self.model.base()

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What the numbers of this state depend on of the model."""
        with self.entered():
            identity = model_identity(self.model)
        # Where the adapter lies and which tensors are switched on say nothing about its numbers; its weights do.
        del identity["adapter"]
        return identity


@dataclass(frozen=True)
class PromptSpec:
    """The prompts of a comparison."""

    task: Task
    codes: list[str]
    pivot: str
    shots: int | None
    seed: int

    @cached_property
    def with_pivot(self) -> list[str]:
        """The languages, the pivot among them if the task has it: alignment is with it."""
        if self.pivot in self.codes or self.pivot not in self.task.languages:
            return self.codes
        return [*self.codes, self.pivot]

    def available(self, items: int) -> int:
        """So many items, or all there are."""
        return min(items, *(len(self._prompts(code, None)) for code in self.codes))

    def _prompts(self, code: str, items: int | None) -> Any:
        return self.task.prompts(code, items=items, shots=self.shots, seed=self.seed)

    def texts(self, items: int) -> list[Prompt]:
        """All that is read: prompts, and prompts with an answer after them."""
        prompts: list[Prompt] = []
        for code in self.with_pivot:
            answers = (
                [text for texts in self.task.answers(code).values() for text in texts]
                if self.task.closed
                else []
            )
            for prompt in self._prompts(code, items):
                prompts += [prompt, *(replace(prompt, cue=prompt.cue + answer) for answer in answers)]
        return prompts

    def options(self, codes: Sequence[str], items: int) -> dict[str, Any]:
        """What a step's outcome depends on, the prompts and answers themselves included."""
        digest = hashlib.sha256()
        for code in codes:
            for prompt in self._prompts(code, items):
                digest.update("\x1f".join([prompt.item, str(prompt.label), prompt.text, ""]).encode())
            digest.update(repr(sorted(self.task.answers(code).items())).encode())
        return {
            "task": self.task.name, "settings": dict(self.task.settings), "languages": list(codes), "items": items,
            "shots": self.shots, "seed": self.seed, "prompts": digest.hexdigest(),
        }  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What is run in each state of a comparison.

    Attributes:
        spec: the prompts.
        items: items per language of ``evaluation`` and ``lens``; the geometry has those of the lens.
        score: what the evaluation compares.
        policy: what the lens does with tokens that languages share.
        layers: of the geometry.
        pools: which vectors stand for a prompt.
        share_prefix: as `compare` has it.
        batch_tokens: likewise.
        progress: called with (step, done, in all).
    """

    spec: PromptSpec
    items: Mapping[str, int]
    score: str
    policy: str
    layers: str | Sequence[int]
    pools: Sequence[str]
    share_prefix: bool
    batch_tokens: int | None
    progress: Callable[[str, int, int], None]


@dataclass(frozen=True)
class StateRun:
    """The steps of one state.

    Attributes:
        state: which.
        asked: what is run.
        steps: where it is kept.
    """

    state: ModelState
    asked: Asked
    steps: Steps

    def _progress_of(self, step: str) -> Report:
        return partial(self.asked.progress, f"{step}, {self.state.label}")

    def _options(self, codes: Sequence[str], items: int, **step_options: Any) -> dict[str, Any]:
        return {
            "version": package_versions().get("latentlang"), "model": self.state.identity, "state": self.state.role,
            **self.asked.spec.options(codes, items), **step_options,
        }  # fmt: skip

    def evaluated(self) -> EvaluationResult:
        """Its choices."""
        asked, spec, state, items = self.asked, self.asked.spec, self.state, self.asked.items["evaluation"]

        def compute(folder: Path) -> EvaluationResult:
            result = evaluate(
                state.model, spec.task, languages=spec.codes, items=items, shots=spec.shots, seed=spec.seed,
                score=asked.score, share_prefix=asked.share_prefix, batch_tokens=asked.batch_tokens,
                states=[BASE if state.adapter_on is None else state.role], progress=self._progress_of("evaluation"),
            )  # fmt: skip
            result.save(folder)
            return result

        options = self._options(spec.codes, items, score=asked.score)
        return self.steps.run(f"evaluation/{state.role}", options, compute, EvaluationResult.load)

    def read(self) -> LensResult:
        """Its readings."""
        asked, spec, state, items = self.asked, self.asked.spec, self.state, self.asked.items["lens"]

        def compute(folder: Path) -> LensResult:
            with state.entered():
                result = logit_lens(
                    state.model, spec.task, languages=spec.codes, pivot=spec.pivot, items=items, shots=spec.shots,
                    seed=spec.seed, policy=asked.policy, share_prefix=asked.share_prefix,
                    progress=self._progress_of("lens"),
                )  # fmt: skip
            result.save(folder)
            return result

        options = self._options(spec.codes, items, policy=asked.policy, pivot=spec.pivot)
        return self.steps.run(FOLDERS[f"lens_{state.role}"], options, compute, LensResult.load)

    def harvest_options(self) -> dict[str, Any]:
        """What its activations depend on."""
        asked = self.asked
        layers = asked.layers if isinstance(asked.layers, str) else list(asked.layers)
        return self._options(
            asked.spec.with_pivot, asked.items["lens"], layers=layers, pools=list(asked.pools)
        )

    def harvested(self) -> ActivationStore:
        """Its activations; harvested where they are not there."""
        asked, spec, state = self.asked, self.asked.spec, self.state

        def compute(folder: Path) -> ActivationStore:
            with state.entered():
                return harvest(
                    state.model, spec.task, out=folder / "store", languages=spec.with_pivot, items=asked.items["lens"],
                    shots=spec.shots, seed=spec.seed, layers=asked.layers, pools=asked.pools,
                    share_prefix=asked.share_prefix, batch_tokens=asked.batch_tokens,
                    progress=self._progress_of("activations"),
                )  # fmt: skip

        return self.steps.run(
            HARVESTS[state.role], self.harvest_options(), compute, lambda folder: open_store(folder / "store"),
            resumes=[f"store/{name}" for name in STORE_FILES],
        )  # fmt: skip

    def run(self, parts: Sequence[str]) -> None:
        """Run all steps of some parts, so that the model is needed no more."""
        steps = {"evaluation": self.evaluated, "lens": self.read, "geometry": self.harvested}
        for part in parts:
            steps[part]()


@dataclass(frozen=True)
class ModelShape:
    """What two models must have in common for their readings to be pairs.

    Attributes:
        name: of the model.
        texts: what is read.
        tokens: of each text.
        n_layers: number of layers.
        d_model: width.
    """

    name: str
    texts: Sequence[Prompt]
    tokens: Sequence[Sequence[int]]
    n_layers: int
    d_model: int

    @classmethod
    def of(cls, model: HookedLM, texts: Sequence[Prompt]) -> ModelShape:
        """How a model reads some texts."""
        return cls(model.name, texts, model.encode(texts), model.n_layers, model.d_model)

    def check_pairs(self, other: ModelShape, parts: Sequence[str]) -> None:
        """Refuse another model whose readings are no pairs of these: another tokenizer, another depth or width.

        Args:
            other: how it reads the same texts.
            parts: which parts are run.

        Raises:
            InputError: saying what differs.
        """
        for text, one, two in zip(self.texts, self.tokens, other.tokens, strict=True):
            if one != two:
                raise InputError(
                    f"{self.name!r} and {other.name!r} have different tokenizers ({shown(str(text), most=40)} is "
                    f"{len(one)} and {len(two)} tokens); compare checkpoints of one tokenizer"
                )
        if set(parts) - {"evaluation"} and self.n_layers != other.n_layers:
            raise InputError(
                f"{self.name!r} has {self.n_layers} layers and {other.name!r} {other.n_layers}, which are no pairs; "
                "ask for the part evaluation only"
            )
        if "geometry" in parts and self.d_model != other.d_model:
            raise InputError(
                f"{self.name!r} is {self.d_model} wide and {other.name!r} {other.d_model}: their geometry has no "
                "common axes; ask for the parts evaluation,lens only"
            )
