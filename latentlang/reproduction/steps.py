"""Steps of a model with or without an adapter, each asked for once however many experiments need it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

#: The model as it was published, before any training.
BASE = "base"
#: In the order in which they are run for one model and adapter.
STEP_KINDS = ("train", "evaluate", "lens", "harvest", "align", "pca")


@dataclass(frozen=True, order=True)
class Adapter:
    """A trained adapter, or none.

    Attributes:
        recipe: ``base`` for none.
        task: whose questions it is trained on; empty for none.
    """

    recipe: str = BASE
    task: str = ""

    @property
    def state(self) -> str:
        """Whether a model with it is ``base`` or ``tuned``."""
        return BASE if self.recipe == BASE else "tuned"


@dataclass(frozen=True)
class Step:
    """One thing to run.

    Attributes:
        kind: of `STEP_KINDS`.
        model: short name, hub id or folder.
        adapter: what is on it.
        task: whose items are asked; of a training, whose questions.
        answers: answer mode.
        languages: codes.
        layers: of the harvest and what is made of it, of this model.
    """

    kind: str
    model: str
    adapter: Adapter
    task: str
    answers: str = ""
    languages: tuple[str, ...] = ()
    layers: tuple[int, ...] = ()

    @property
    def late(self) -> bool:
        """Whether it reads what several models left, and is run when the pictures are drawn."""
        return self.kind == "pca"

    @property
    def group(self) -> str:
        """Of which steps it is run together with, in words."""
        return f"{self.model} {self.adapter.recipe}"

    @property
    def training(self) -> Step | None:
        """The training that makes this step's adapter; None for the base model."""
        return Step("train", self.model, self.adapter, self.adapter.task) if self.adapter.task else None

    @property
    def prompts(self) -> tuple[str, Adapter, str, str]:
        """What it runs, whatever is read of it: steps that agree in this can share their activations."""
        return (self.model, self.adapter, self.task, self.answers)

    @property
    def label(self) -> str:
        """In words, for a plan or a progress bar."""
        on = self.adapter.recipe
        if self.adapter.task and self.adapter.task != self.task:
            on += f" ({self.adapter.task} questions)"
        about = [self.model, on, self.task, self.answers if self.kind == "evaluate" else ""]
        if self.kind in ("lens", "align", "pca"):
            about.append(f"{len(self.languages)} languages")
        if self.kind in ("align", "pca"):
            about.append(f"layers {', '.join(map(str, self.layers))}")
        return " ".join([self.kind, *(part for part in about if part)])


def merged(steps: Iterable[Step]) -> list[Step]:
    """Each step once, and one harvest for all that read activations of the same prompts: their languages and layers."""
    harvests: dict[tuple[str, Adapter, str, str], Step] = {}
    others: dict[Step, None] = {}
    for step in steps:
        if step.kind != "harvest":
            others[step] = None
            continue
        had = harvests.get(step.prompts)
        if had is not None:
            step = replace(
                step,
                languages=tuple(dict.fromkeys((*had.languages, *step.languages))),
                layers=tuple(sorted({*had.layers, *step.layers})),
            )
        harvests[step.prompts] = step
    return ordered([*others, *harvests.values()])


def ordered(steps: Iterable[Step]) -> list[Step]:
    """In the order in which they are run: a model with one adapter after the other, the base first; pictures last."""

    def order_key(step: Step) -> tuple[bool, str, bool, Adapter, int]:
        return (
            step.late, step.model, step.adapter.recipe != BASE, step.adapter, STEP_KINDS.index(step.kind),
        )  # fmt: skip

    return sorted(steps, key=order_key)


def harvest_for(step: Step, harvests: Sequence[Step], *, base: bool = False) -> Step:
    """The harvest that a step reads, or that takes its place.

    Args:
        step: of kind ``align`` or ``pca``, or a harvest of fewer languages and layers.
        harvests: those there are.
        base: that of the model without the step's adapter.
    """
    prompts = replace(step, adapter=Adapter()).prompts if base else step.prompts
    return next(harvest for harvest in harvests if harvest.prompts == prompts)


def groups(steps: Iterable[Step]) -> list[list[Step]]:
    """Steps that share a model with its adapter, which is loaded once for them; the pictures are no part of any."""
    by_model: dict[tuple[str, Adapter], list[Step]] = {}
    for step in ordered(steps):
        if not step.late:
            by_model.setdefault((step.model, step.adapter), []).append(step)
    return list(by_model.values())
