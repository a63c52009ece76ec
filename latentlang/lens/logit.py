"""The logit lens on a task: what each layer would answer, in the target language and in the pivot language."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlang import defaults
from latentlang.answers import token_bytes
from latentlang.arguments import Layers, check_count, checked_call
from latentlang.errors import InputError, unknown
from latentlang.language_names import Language
from latentlang.language_names import language as find_language
from latentlang.language_names import languages as find_languages
from latentlang.lens.answer_curves import MOST_NULLS, AnswerCurves
from latentlang.lens.base import Lens, check_lens_layers, lens_settings
from latentlang.lens.lens_settings import LensSettings
from latentlang.lens.prompt_run import (
    LensPass,
    layer_settings,
    lens_layers,
    run_language,
    run_passes,
)
from latentlang.lens.result import COLUMNS, LensResult
from latentlang.lens.text import curve_notes
from latentlang.lens.tuned import as_lens
from latentlang.models import ActivationBatch, HookedLM, Readout, TokenSets, as_model, score_answers
from latentlang.models.finished_languages import FinishedLanguages, answers_digest, kept_in
from latentlang.progress import ProgressOption, reporting
from latentlang.provenance import Provenance
from latentlang.tasks import Prompt, Task, as_task
from latentlang.tasks.base import check_pivot, settings_for, with_data_notes

POLICIES = ("exclusive", "drop", "shared", "sequence")
PROTOCOLS = ("corrected", "as-published")
Progress = Callable[[int, int], None]


@checked_call
def logit_lens(
    model: HookedLM | str,
    task: str | Task,
    *,
    languages: str | Language | Iterable[str | Language],
    pivot: str | Language = defaults.PIVOT,
    items: int | None = None,
    shots: int | None = None,
    seed: int = 0,
    policy: str | None = None,
    protocol: str = "corrected",
    layers: Layers = "all",
    lens: Lens | str | os.PathLike[str] | None = None,
    share_prefix: bool = True,
    batch_tokens: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: ProgressOption = True,
) -> LensResult:
    """Read every layer at the answer position (Wendler et al. 2024, section 3; Zhang et al. 2024, Figure 1).

    Args:
        model: the model to look into, or its name; it is not changed.
        task: gives prompts and answers: as made by `tasks.task`, or the name of one with its defaults.
        languages: target languages: codes, names, groups (``"fr,ja"``, ``"paper20"``), one or several. A translation is
            from its source, and where that is the target itself from its next source.
        pivot: language whose answers might show in the middle layers though nobody asked for them.
        items: how many items per language; None for all.
        shots: few-shot examples; None for the task's default.
        seed: draws items, examples and bootstrap samples.
        policy: what to do with tokens that can begin answers of both languages: ``exclusive`` (the default) counts
            only tokens that begin one language's answers; ``drop`` drops an item whose two sets meet (the paper's
            way); ``shared`` counts like ``exclusive`` and gives the mass of the shared tokens as its own curve;
            ``sequence`` gives the probability of the whole answer up to what closes it (teacher-forced, see
            `models.score_answers`), so that answers with a common beginning are told apart; it runs every answer,
            and for the null of an open task at most `answer_curves.MOST_NULLS` wrong ones per item, drawn by `seed`.
        protocol: ``corrected``, or ``as-published``: the reference paper's own answer sets (character prefixes, single
            letters and all) with its policy, ``drop``.
        layers: ``"all"`` (1 to L), layer numbers, negative ones from the end, or ``"4,8-12"``. The last layer, the
            model's own output, is always read too.
        lens: what the layers are read through: a `Lens`, or the folder of a fitted one; None for the logit lens.
        share_prefix: run a few-shot prefix that prompts have in common only once.
        batch_tokens: see `HookedLM.iter_activations`.
        resume: a folder where each language is kept as soon as it is done, so that the same call goes on where one was
            stopped; delete it when the result is saved. None keeps nothing.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (prompts done, prompts in all).

    Raises:
        InputError: an unknown name, an impossible number, a prompt longer than the model's context, or no
            readable answer in any of the languages.
        ModelError: a layer that does not exist.
    """
    pair = PairLensPass(
        model,
        task,
        pivot=pivot,
        shots=shots,
        seed=seed,
        policy=policy,
        protocol=protocol,
        layers=layers,
        lens=lens,
    )
    prompts = prompts_of(pair.task, languages, items=items, shots=shots, seed=seed)
    with (
        reporting(progress, "reading", total=sum(map(len, prompts.values()))) as report,
        kept_in(resume, pair.model, [pair.task], share_prefix=share_prefix) as (finished,),
    ):
        pair.read(
            prompts,
            share_prefix=share_prefix,
            batch_tokens=batch_tokens,
            progress=report,
            finished=finished,
        )
    return pair.result()


def prompts_of(
    task: Task,
    languages: str | Language | Iterable[str | Language],
    *,
    items: int | None,
    shots: int | None,
    seed: int,
) -> dict[str, list[Prompt]]:
    """Target language to its prompts."""
    return {
        entry.code: task.prompts(entry.code, items=items, shots=shots, seed=seed)
        for entry in find_languages(languages)
    }


Floats = NDArray[np.float64]
_Curve = tuple[str, int, Prompt, str, Floats]


class PairLensPass:
    """The lens for the target language, the pivot and the prompt's own word; options as of `logit_lens`."""

    top = 0

    def __init__(
        self,
        model: HookedLM | str,
        task: str | Task,
        *,
        pivot: str | Language = defaults.PIVOT,
        shots: int | None = None,
        seed: int = 0,
        policy: str | None = None,
        protocol: str = "corrected",
        layers: Layers = "all",
        lens: Lens | str | os.PathLike[str] | None = None,
    ) -> None:
        self.model, self.task = as_model(model), as_task(task)
        check_count("seed", seed, least=0)
        if protocol not in PROTOCOLS:
            raise unknown("protocol", protocol, PROTOCOLS)
        published = protocol == "as-published"
        policy = policy or ("drop" if published else "exclusive")
        if published and policy != "drop":
            raise InputError(
                f"protocol 'as-published' drops items that share a token; it has no policy {policy!r}"
            )
        if policy not in POLICIES:
            raise unknown("policy", policy, POLICIES)
        self.layers = lens_layers(layers, depth=self.model.n_layers)
        self.lens = as_lens(lens, self.model)
        check_lens_layers(self.lens, self.layers, depth=self.model.n_layers)
        self.pivot = find_language(pivot).code
        self.shots, self.seed, self.policy, self.protocol = shots, seed, policy, protocol
        check_pivot(self.task, self.pivot)
        token_bytes(self.model.tokenizer)  # a tokenizer that cannot be read is refused before anything runs
        self._found: list[_Curve] = []
        self._counts: dict[str, int] = {}
        self._accuracy: dict[str, float] = {}
        self._notes: dict[str, str] = {}

    def begin(self, prompts: Sequence[Prompt]) -> None:
        """Settle the token sets of one language's prompts."""
        self._prompts, self._right = prompts, [False] * len(prompts)
        self._roles = AnswerCurves.build(
            self.task,
            self.model.tokenizer,
            prompts,
            pivot=self.pivot,
            policy=self.policy,
            protocol=self.protocol,
        )
        self.sets = TokenSets(self._roles.token_sets)
        self._of_language: list[_Curve] = []

    def take(self, reading: ActivationBatch, readout: Readout) -> None:
        """Each prompt's curves, and whether the model is right, from the tokens that can begin answers."""
        roles, prompts = self._roles, self._prompts
        probs = readout.log_probs.double().exp().cpu().numpy()
        entropy = readout.entropy.double().cpu().numpy()
        assert reading.logits is not None
        # the output is the model's own, whatever lens is looked through
        top = reading.logits.argmax(-1).tolist()
        for row, index in enumerate(reading.index.tolist()):
            curves = roles.curves(prompts[index], probs[row]) | {"entropy": entropy[row]}
            self._keep(index, curves, roles.is_right(prompts[index], probs[row, -1], top[row]))

    def _keep(self, index: int, curves: Mapping[str, Floats], right: bool) -> None:
        prompt = self._prompts[index]
        self._of_language += [
            (prompt.language, index, prompt, curve, values) for curve, values in curves.items()
        ]
        self._right[index] = right

    def question(self) -> dict[str, Any]:
        """All that what is taken in depends on, beside model and prompts."""
        code = self._prompts[0].language
        codes = [code, self.pivot, *filter(None, [self.task.source_of(code)])]
        return {
            "pass": "whole" if self.policy == "sequence" else "pair",
            "pivot": self.pivot, "policy": self.policy, "protocol": self.protocol, "layers": list(self.layers),
            "seed": self.seed, **lens_settings(self.lens), "answers": answers_digest(self.task, codes),
        }  # fmt: skip

    def kept(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What was taken in of the language, to be stored."""
        values = [torch.from_numpy(np.asarray(curve[-1], np.float64)) for curve in self._of_language]
        rows = [[index, curve] for _, index, _, curve, _ in self._of_language]
        return {"values": torch.stack(values)} if values else {}, {
            "rows": rows,
            "right": [bool(right) for right in self._right],
        }

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Have `kept` of the language that was begun, instead of taking it in."""
        self._right = [bool(right) for right in facts["right"]]
        values: Sequence[Floats] = list(tensors["values"].numpy()) if facts["rows"] else []
        self._of_language = [
            (self._prompts[index].language, index, self._prompts[index], curve, row)
            for (index, curve), row in zip(facts["rows"], values, strict=True)
        ]

    def end(self) -> None:
        """Count what the language's prompts came to."""
        code = self._prompts[0].language
        self._found += self._of_language
        self._counts[code] = len(self._prompts)
        self._accuracy[code] = float(np.mean(self._right))
        if note := curve_notes(self._roles.notes(self._prompts)):
            self._notes[code] = note

    def read(
        self,
        prompts: Mapping[str, Sequence[Prompt]],
        *,
        beside: Sequence[LensPass] = (),
        share_prefix: bool,
        batch_tokens: int | None = None,
        progress: Progress | None,
        finished: FinishedLanguages | None = None,
    ) -> None:
        """Run the prompts, once for all looks where the policy reads the next token.

        Args:
            prompts: target language to its prompts.
            beside: other looks at the same prompts.
            share_prefix: run a few-shot prefix that prompts have in common only once.
            batch_tokens: see `HookedLM.iter_activations`.
            progress: called with (prompts done, prompts in all); two runs of the prompts count as one of twice as many.
            finished: where each language is kept as soon as it is done, and taken from where it is there.
        """
        if self.policy != "sequence":
            run_passes(
                self.model,
                prompts,
                [self, *beside],
                share_prefix=share_prefix,
                batch_tokens=batch_tokens,
                progress=progress,
                finished=finished,
            )
            return
        count = sum(map(len, prompts.values()))
        total = count * (2 if beside else 1)

        def advance(done: int) -> None:
            if progress is not None:
                progress(done, total)

        self._read_whole_answers(
            prompts,
            share_prefix=share_prefix,
            batch_tokens=batch_tokens,
            advance=advance,
            finished=finished,
        )
        if beside:
            run_passes(
                self.model,
                prompts,
                beside,
                share_prefix=share_prefix,
                batch_tokens=batch_tokens,
                progress=lambda done, _total: advance(count + done),
                finished=finished,
            )

    def _read_whole_answers(
        self,
        prompts: Mapping[str, Sequence[Prompt]],
        *,
        share_prefix: bool,
        batch_tokens: int | None = None,
        advance: Callable[[int], None],
        finished: FinishedLanguages | None,
    ) -> None:
        """Policy ``sequence``: each answer is a sequence of its own to run."""
        done = 0
        for code, of_language in prompts.items():
            if finished is not None and not finished.takes(code):
                continue

            def read(of_language: Sequence[Prompt] = of_language, before: int = done) -> None:
                answers = _whole_answers(
                    self.model,
                    self._roles,
                    of_language,
                    seed=self.seed,
                    share_prefix=share_prefix,
                    batch_tokens=batch_tokens,
                    advance=lambda count: advance(before + count),
                    layers=self.layers,
                    lens=self.lens,
                )
                for index, curves, right in answers:
                    self._keep(index, curves, right)

            run_language(of_language, [self], read, finished)
            done += len(of_language)
            advance(done)

    def result(self) -> LensResult:
        """All that was read.

        Raises:
            InputError: no answer could be.
        """
        if not any(curve in ("target", "pivot") for _, _, _, curve, _ in self._found):
            raise InputError(
                f"no answer can be read: {next(iter(self._notes.values()), 'no sets')}; try another policy or another "
                "pivot"
            )
        model, task = self.model, self.task
        settings = LensSettings(
            pivot=self.pivot,
            shots=task.default_shots if self.shots is None else self.shots,
            items=max(self._counts.values()),
            **layer_settings(self.layers, depth=model.n_layers),
            **lens_settings(self.lens),
            accuracy=self._accuracy,
            notes=with_data_notes(self._notes, task, self._counts),
        )
        nulls = LensSettings(nulls=MOST_NULLS) if self.policy == "sequence" else LensSettings()
        provenance = Provenance(
            model=model.name, revision=model.revision, adapter=model.active_adapter, task=task.name,
            languages=tuple(self._counts), policy=self.policy, protocol=self.protocol, seed=self.seed,
            settings={
                **settings_for(task, self._counts), **settings.stored(), **model.noted, **nulls.stored(),
            },
        )  # fmt: skip
        return LensResult(table=_tidy(task, self._found, self.layers), provenance=provenance)


def _whole_answers(
    model: HookedLM,
    roles: AnswerCurves,
    prompts: Sequence[Prompt],
    *,
    seed: int,
    share_prefix: bool,
    batch_tokens: int | None,
    advance: Callable[[int], None],
    layers: Sequence[int],
    lens: Lens,
) -> Iterator[tuple[int, dict[str, Floats], bool]]:
    """Each prompt's index, curves, and whether the model is right, from whole answers."""
    answer_texts = [roles.whole_answers(prompt, seed=seed) for prompt in prompts]
    scores = score_answers(
        model, prompts, [list(answers.values()) for answers in answer_texts], layers=layers, share_prefix=share_prefix,
        lens=lens, batch_tokens=batch_tokens, progress=lambda done, _total: advance(done),
    )  # fmt: skip
    for index, (prompt, answers, score) in enumerate(zip(prompts, answer_texts, scores, strict=True)):
        probs = dict(zip(answers, np.exp(score.log_probs), strict=True))
        curves = roles.whole_curves(prompt, probs) | {"entropy": score.entropy}
        yield index, curves, roles.is_right_whole(prompt, probs, int(score.top_ids[-1]))


def _tidy(task: Task, curves: list[_Curve], layers: Sequence[int]) -> pd.DataFrame:
    """One row per value, in the order of languages, items, curves and layers."""
    order = {code: number for number, code in enumerate(dict.fromkeys(row[0] for row in curves))}
    curves = sorted(curves, key=lambda row: (order[row[0]], row[1]))

    def repeated(values: list[str]) -> Any:
        return pd.Categorical(values).repeat(len(layers))

    columns = {
        "task": repeated([task.name] * len(curves)),
        "language": repeated([code for code, *_ in curves]),
        "item": repeated([prompt.item for _, _, prompt, _, _ in curves]),
        "label": repeated([prompt.label for _, _, prompt, _, _ in curves]),
        "layer": np.tile(np.array(layers), len(curves)),
        "curve": repeated([curve for *_, curve, _ in curves]),
        "value": np.concatenate([values for *_, values in curves]),
    }
    return pd.DataFrame(columns)[list(COLUMNS)]
