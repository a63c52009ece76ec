"""The lens in all languages at once: whose word for the answer each layer holds, no pivot assumed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlang.answers import token_bytes
from latentlang.arguments import Layers, check_count, checked_call, one_name
from latentlang.errors import InputError, unknown
from latentlang.language_names import GROUPS, Language, one_language
from latentlang.language_names import languages as find_languages
from latentlang.lens.answer_languages import (
    CANDIDATE_POLICIES,
    WRONG_LABELS,
    AnswerLanguages,
    build_answer_languages,
)
from latentlang.lens.base import Lens, check_lens_layers, lens_settings
from latentlang.lens.lens_settings import MultilingualLensSettings
from latentlang.lens.logit import prompts_of
from latentlang.lens.pivot_test import MINIMUM_LEAD, PivotTest, find_pivot
from latentlang.lens.prompt_run import layer_settings, lens_layers, run_passes
from latentlang.lens.result import mean_curves, named_lens
from latentlang.lens.text import left_out, unread_notes
from latentlang.lens.tuned import as_lens
from latentlang.models import ActivationBatch, HookedLM, Readout, TokenSets, as_model
from latentlang.models.finished_languages import answers_digest, kept_in
from latentlang.progress import ProgressOption, reporting
from latentlang.provenance import Provenance
from latentlang.results import Result, ResultSettings, View, repeated
from latentlang.storage.tables import Columns
from latentlang.tasks import Prompt, Task, as_task
from latentlang.tasks.base import check_answers, settings_for, with_data_notes

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

COLUMNS = ("task", "language", "item", "label", "layer", "answer_language", "curve", "value")
ANSWER_CURVES = ("answer", "null", "wrong")


@dataclass(frozen=True)
class MultilingualLensResult(Result[MultilingualLensSettings]):
    """What every layer gives each language's word for the answer, per item.

    Attributes:
        table: columns ``task, language, item, label, layer, answer language, curve, value``. `language` is the target
            language, `answer_language` the one whose words are read; `layer` runs from 1 to L, or over those
            asked for and L; `value` is a probability in [0, 1], float32. Curves: ``answer``, the answer language's word
            for the item's own label; ``wrong``, its word for another label (`label` says which; at most 8 per item,
            drawn once and the same for all answer languages); ``null``, the mean of these. Where an answer language has
            no token of its own for a label there is no row.
    """

    kind: ClassVar[str] = "multilingual-lens"
    columns: ClassVar[Columns] = {
        "task": "text", "language": "text", "item": "text", "label": "text", "layer": "whole",
        "answer_language": "text", "curve": "text", "value": "number",
    }  # fmt: skip
    settings_type: ClassVar[type[ResultSettings]] = MultilingualLensSettings

    def fault(self) -> str | None:
        """A reading that is there twice."""
        return repeated(
            self.table, ["task", "language", "answer_language", "curve", "item", "label", "layer"]
        )

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Mean over items with a bootstrap interval.

        Columns ``task, language, answer language, layer, curve, mean, low, high, n``, curves ``answer`` and ``null``.

        Args:
            level: coverage of the interval.
        """
        drawn = self.table[self.table["curve"].isin(["answer", "null"])]
        keys = ["task", "language", "answer_language", "curve"]
        return mean_curves(drawn, keys, level=level, seed=self.provenance.seed)

    def pivot_test(
        self, level: float = 0.95, permutations: int = 1000, minimum: float = MINIMUM_LEAD
    ) -> PivotTest:
        """Which language leads, from which layer to which, by how much, and whether its right words stand out at all.

        Args:
            level: coverage of the intervals; the search as a whole gives a false alarm in at most ``1 - level`` of
                runs on models in which no label is privileged.
            permutations: how often right and wrong labels are exchanged.
            minimum: a lead smaller than this is called no pivot, however certain; a difference of probabilities.

        Raises:
            InputError: an impossible number, or several tasks in the table.
        """
        return find_pivot(
            self.table, self.provenance, level=level, permutations=permutations, minimum=minimum
        )

    def describe(self) -> str:
        """Which language leads, from which layer to which and by how much, or why none does; a line.

        Then, of each target language, why items could not be read in some languages.
        """
        return self._words(self.pivot_test())

    def _words(self, test: PivotTest) -> str:
        return "\n".join([test.describe(), *unread_notes(self.settings.notes)])

    def glance(self) -> pd.DataFrame:
        """Which language leads, per target language."""
        return self.pivot_test().glance()

    def _view(self) -> View:
        pivot_test = cache(self.pivot_test)  # the search with its permutations is the slow part; once will do

        def figure() -> go.Figure:
            from latentlang.figures import language_heatmap

            return language_heatmap(self, pivot_test=pivot_test())

        return replace(
            named_lens(super()._view()),
            figure=figure,
            table=lambda: pivot_test().glance(),
            words=lambda: self._words(pivot_test()),
        )

    def figure(
        self,
        *,
        languages: str | Language | None = None,
        candidates: str | Language | Iterable[str | Language] | None = None,
        curves: str = "score",
        **look: Unpack[Look],
    ) -> go.Figure:
        """Heat map of languages over layers, the leader marked.

        Args:
            languages: one target language; by default the only one, or the mean over all.
            candidates: languages whose words have a row beside target and source; by default all.
            curves: what the colour says: ``score``, the right word minus wrong ones, ``answer`` or ``null``.
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.

        Raises:
            InputError: a language or curve that the result does not have.
        """
        from latentlang.figures import language_heatmap

        code = None if languages is None else one_language(languages).code
        value = one_name(curves, "curve")
        return language_heatmap(self, language=code, candidates=candidates, value=value, **look)


@checked_call
def multilingual_lens(
    model: HookedLM | str,
    task: str | Task,
    *,
    languages: str | Language | Iterable[str | Language],
    candidates: str | Language | Iterable[str | Language] | None = None,
    items: int | None = None,
    shots: int | None = None,
    seed: int = 0,
    policy: str = "exclusive",
    layers: Layers = "all",
    lens: Lens | str | os.PathLike[str] | None = None,
    share_prefix: bool = True,
    batch_tokens: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: ProgressOption = True,
) -> MultilingualLensResult:
    """Read the answer in every language at every layer, so that the pivot need not be assumed to be English.

    Which tokens count decides what the result may claim:

    - ``exclusive``: a token counts for a language only if it can begin no other language's answer, of all the languages
      read. Nothing is counted twice, so *which* language leads is decided fairly; but of related languages the
      cognates are lost (English and Spanish ``animal``), and the more languages are read, the more items.
    - ``against-target``: a token counts if it can begin neither the target language's answer nor the source
      language's (the word in the prompt): all that is needed to say that a layer holds something which was neither
      given nor the target. More items can be read, but a cognate counts for every language that has it, so that
      leads *between* related languages shrink: it can hide a leader, not make one up.

    An answer is called privileged only against its null: the same language's words for at most 8 wrong labels of the
    item, drawn by `seed`, the same in all languages.

    Args:
        model: the model to look into, or its name; it is not changed.
        task: gives prompts and answers: as made by `tasks.task`, or the name of one with its defaults.
        languages: target languages; one or several, as in `logit_lens`.
        candidates: languages whose words are read; by default all that the task has words in, of its own languages
            and of the paper's twenty. The target and the source language are always read too, and those named here
            that the task has no words for are left out and noted.
        items: how many items per language; None for all.
        shots: few-shot examples; None for the task's default.
        seed: draws items, examples, wrong labels, bootstrap samples and permutations.
        policy: ``exclusive`` or ``against-target``.
        layers: ``"all"`` (1 to L), layer numbers, negative ones from the end, or ``"4,8-12"``. The last layer, the
            model's own output, is always read too. The search for the pivot is over the layers that were read.
        lens: what the layers are read through: a `Lens`, or the folder of a fitted one; None for the logit lens.
        share_prefix: run a few-shot prefix that prompts have in common only once.
        batch_tokens: see `HookedLM.iter_activations`.
        resume: a folder where each language is kept as soon as it is done, so that the same call goes on where one was
            stopped; delete it when the result is saved. None keeps nothing.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (prompts done, prompts in all).

    Raises:
        InputError: an unknown name, an impossible number, a prompt longer than the model's context, or no readable
            answer in any language.
        ModelError: a layer that does not exist.
    """
    everyone = MultilingualLensPass(
        model, task, candidates=candidates, shots=shots, seed=seed, policy=policy, layers=layers, lens=lens
    )
    prompts = prompts_of(everyone.task, languages, items=items, shots=shots, seed=seed)
    with (
        reporting(progress, "reading", total=sum(map(len, prompts.values()))) as report,
        kept_in(resume, everyone.model, [everyone.task], share_prefix=share_prefix) as (finished,),
    ):
        run_passes(
            everyone.model,
            prompts,
            [everyone],
            share_prefix=share_prefix,
            batch_tokens=batch_tokens,
            progress=report,
            finished=finished,
        )
    return everyone.result()


class MultilingualLensPass:
    """The lens in all languages at once; options as of `multilingual_lens`."""

    top = 1

    def __init__(
        self,
        model: HookedLM | str,
        task: str | Task,
        *,
        candidates: str | Language | Iterable[str | Language] | None = None,
        shots: int | None = None,
        seed: int = 0,
        policy: str = "exclusive",
        layers: Layers = "all",
        lens: Lens | str | os.PathLike[str] | None = None,
    ) -> None:
        self.model, self.task = as_model(model), as_task(task)
        check_answers(self.task)
        check_count("seed", seed, least=0)
        if policy not in CANDIDATE_POLICIES:
            raise unknown("policy", policy, CANDIDATE_POLICIES)
        self.layers = lens_layers(layers, depth=self.model.n_layers)
        self.lens = as_lens(lens, self.model)
        check_lens_layers(self.lens, self.layers, depth=self.model.n_layers)
        codes = (
            [entry.code for entry in find_languages(candidates)]
            if candidates is not None
            else _known_to(self.task)
        )
        self.speaking = [code for code in codes if _has_words(self.task, code)]
        self._silent = [code for code in codes if code not in self.speaking]
        self._table = token_bytes(self.model.tokenizer)
        self.shots, self.seed, self.policy = shots, seed, policy
        self._series = _Series()
        self._counts: dict[str, int] = {}
        self._accuracy: dict[str, float] = {}
        self._notes: dict[str, str] = {}

    def begin(self, prompts: Sequence[Prompt]) -> None:
        """Settle all answer languages' token sets for one language's prompts."""
        code = prompts[0].language
        source = self.task.source_of(code)
        codes = list(dict.fromkeys([*self.speaking, code, *([source] if source else [])]))
        self._prompts = prompts
        self._answer_languages = build_answer_languages(
            self.task, self._table, prompts, codes=codes, policy=self.policy, source=source, seed=self.seed
        )
        # One set per token: a prompt needs few of the many sets, and sums only these.
        self.sets = TokenSets([np.array([token]) for token in self._answer_languages.ids.tolist()])
        self._found: dict[int, NDArray[np.float64]] = {}
        self._right = 0

    def take(self, reading: ActivationBatch, readout: Readout) -> None:
        """What a batch's layers give each answer language's words."""
        log_probs = readout.log_probs.cpu().numpy()
        top = readout.top_ids[:, -1, 0].tolist()
        for row, index in enumerate(reading.index.tolist()):
            prompt = self._prompts[index]
            probs = np.exp(log_probs[row].astype(float))
            self._right += self._answer_languages.is_right(self.task, prompt, probs[-1], top[row])
            if self._answer_languages.choices[prompt.label]:
                self._found[index] = self._answer_languages.values(prompt.label, probs)

    def question(self) -> dict[str, Any]:
        """All that what is taken in depends on, beside model and prompts."""
        codes = list(self._answer_languages.codes)
        return {
            "pass": "multilingual", "candidates": codes, "policy": self.policy, "layers": list(self.layers),
            "seed": self.seed, **lens_settings(self.lens), "answers": answers_digest(self.task, codes),
        }  # fmt: skip

    def kept(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What was taken in of the language, to be stored."""
        return {
            str(index): torch.from_numpy(np.ascontiguousarray(values))
            for index, values in self._found.items()
        }, {"right": int(self._right)}

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Have `kept` of the language that was begun, instead of taking it in."""
        self._found = {int(index): values.numpy() for index, values in tensors.items()}
        self._right = int(facts["right"])

    def end(self) -> None:
        """Put the language's prompts into the table, in their order."""
        code = self._prompts[0].language
        self._counts[code] = len(self._prompts)
        self._accuracy[code] = self._right / len(self._prompts)
        for index in sorted(self._found):
            self._series.add(self._prompts[index], self._answer_languages, self._found[index])
        silent = f"no words in {', '.join(self._silent)}" if self._silent else ""
        if notes := [*filter(None, [left_out(self._answer_languages.left_out(self._prompts)), silent])]:
            self._notes[code] = "; ".join(notes) + f" (policy {self.policy})"

    def result(self) -> MultilingualLensResult:
        """All that was read.

        Raises:
            InputError: no answer could be.
        """
        if not self._series.any_null:
            why = next(iter(self._notes.values()), "no sets")
            raise InputError(f"no answer can be read: {why}; try another policy or fewer languages")
        model, task = self.model, self.task
        settings = MultilingualLensSettings(
            candidates=self.speaking,
            shots=task.default_shots if self.shots is None else self.shots,
            items=max(self._counts.values()),
            **layer_settings(self.layers, depth=model.n_layers),
            **lens_settings(self.lens),
            closed=task.closed,
            wrong_labels=WRONG_LABELS,
            counted=CANDIDATE_POLICIES[self.policy],
            accuracy=self._accuracy,
            notes=with_data_notes(self._notes, task, self._counts),
        )
        provenance = Provenance(
            model=model.name, revision=model.revision, adapter=model.active_adapter, task=task.name,
            languages=tuple(self._counts), policy=self.policy, seed=self.seed,
            settings={**settings_for(task, self._counts), **settings.stored(), **model.noted},
        )  # fmt: skip
        return MultilingualLensResult(table=self._series.table(task.name, self.layers), provenance=provenance)


def _known_to(task: Task) -> list[str]:
    """The paper's twenty as far as the task has words in them, and the task's own languages."""
    return [code for code in dict.fromkeys([*GROUPS["paper20"], *task.languages]) if _has_words(task, code)]


def _has_words(task: Task, code: str) -> bool:
    """Whether the task can be answered in a language; some refuse a language they do not know."""
    try:
        return bool(task.answers(code))
    except InputError:
        return False


class _Series:
    """Curves as they come in, kept as codes: a large run has millions of rows."""

    def __init__(self) -> None:
        self._names: dict[str, dict[str, int]] = {
            column: {} for column in ("language", "item", "label", "answer_language", "curve")
        }
        for curve in ANSWER_CURVES:
            self._code("curve", curve)
        self._codes: dict[str, list[NDArray[np.int64]]] = {column: [] for column in self._names}
        self._values: list[NDArray[np.floating]] = []  # [curve, layer] each
        self.any_null = False

    def _code(self, column: str, name: str) -> int:
        return self._names[column].setdefault(name, len(self._names[column]))

    def add(self, prompt: Prompt, answer_languages: AnswerLanguages, values: NDArray[np.float64]) -> None:
        """Take in one prompt's ``[choice, answer_language, layer]`` probabilities."""
        labels = [self._code("label", name) for name in answer_languages.choices[prompt.label]]
        codes = np.array([self._code("answer_language", code) for code in answer_languages.codes])
        read = np.isfinite(values[..., 0])
        counts = read[1:].sum(0)
        null = np.where(read[1:, :, None], values[1:], 0.0).sum(0) / np.maximum(counts, 1)[:, None]
        choice, answer_language = np.nonzero(read[1:])
        answered, nulled = np.flatnonzero(read[0]), np.flatnonzero(read[0] & (counts > 0))
        self.any_null |= len(nulled) > 0
        sizes = (len(answered), len(nulled), len(choice))
        self._values += [values[0, answered], null[nulled], values[choice + 1, answer_language]]
        self._codes["answer_language"] += [codes[answered], codes[nulled], codes[answer_language]]
        self._codes["label"].append(
            np.concatenate([np.full(sizes[0] + sizes[1], labels[0]), np.array(labels, int)[choice + 1]])
        )
        self._codes["curve"].append(np.repeat(np.arange(len(ANSWER_CURVES)), sizes))
        for column, name in (("language", prompt.language), ("item", prompt.item)):
            self._codes[column].append(np.full(sum(sizes), self._code(column, name)))

    def table(self, task: str, layers: Sequence[int]) -> pd.DataFrame:
        """One row per value; curves in the order they came, layers within them."""
        values = np.concatenate(self._values).astype(np.float32)
        columns: dict[str, object] = {
            column: pd.Categorical.from_codes(
                np.repeat(np.concatenate(self._codes[column]), len(layers)), categories=pd.Index(list(names))
            )
            for column, names in self._names.items()
        }
        columns["task"] = pd.Categorical.from_codes(
            np.zeros(values.size, np.int8), categories=pd.Index([task])
        )
        columns["layer"] = np.tile(np.array(layers, dtype=np.int16), len(values))
        columns["value"] = values.ravel()
        return pd.DataFrame(columns)[list(COLUMNS)]
