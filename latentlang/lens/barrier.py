"""Which wrong answers were right inside: the translation barrier (Bafna et al. 2025), with its chance.

An item is readable inside where, at some layer before the last, one of the likeliest tokens begins the right answer in
any language. So wide a search finds something by chance: the same is looked for with each of the item's wrong labels,
and the share of these that is found is taken away.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latentlang import defaults
from latentlang.answers import AnswerSets, answer_sets, token_bytes
from latentlang.arguments import Layers, check_count, checked_call
from latentlang.errors import InputError
from latentlang.language_names import GROUPS, Language
from latentlang.language_names import languages as find_languages
from latentlang.lens.barrier_result import COLUMNS, BarrierResult
from latentlang.lens.base import Lens, lens_settings
from latentlang.lens.lens_settings import BarrierSettings
from latentlang.lens.logit import prompts_of
from latentlang.lens.prompt_run import layers_of, lens_layers
from latentlang.lens.tuned import as_lens
from latentlang.models import HookedLM, TokenSets, as_model, read_out
from latentlang.progress import ProgressOption, reporting
from latentlang.provenance import Provenance
from latentlang.tasks import Prompt, Task, as_task
from latentlang.tasks.base import check_answers, settings_for


@checked_call
def translation_barrier(
    model: HookedLM | str,
    task: str | Task = defaults.LENS_TASK,
    *,
    languages: str | Language | Iterable[str | Language],
    candidates: str | Language | Iterable[str | Language] | None = None,
    items: int | None = None,
    shots: int | None = None,
    seed: int = 0,
    layers: Layers = "all",
    top: int = 1,
    lens: Lens | str | os.PathLike[str] | None = None,
    share_prefix: bool = True,
    batch_tokens: int | None = None,
    progress: ProgressOption = True,
) -> BarrierResult:
    """Find the share of wrong answers whose right answer was readable at an earlier layer, beyond chance.

    A token stands for a label where it can begin a word for it in one of the languages read, and for no other of the
    item's labels. Tokens that begin the prompt's own word for a label count for none: a layer may copy it.

    Args:
        model: the model to look into, or its name; it is not changed.
        task: a word task, whose wrong labels are other concepts of the item's category.
        languages: target languages; one or several.
        candidates: languages whose words are read beside the target's; by default all that the task has words in, of
            its own languages and of the paper's twenty. That of the prompt's own word is left out.
        items: how many items per language; None for all.
        shots: few-shot examples; None for the task's default.
        seed: draws items, examples, bootstrap samples and what p-values rest on.
        layers: ``"all"`` (1 to L), layer numbers, or text such as ``"4,8-12"``. The last layer, the model's own output,
            always is read, and is not among those that are searched.
        top: how many of a layer's likeliest tokens are looked at.
        lens: what the layers are read through: a `Lens`, or the folder of a fitted one; None for the logit lens.
        share_prefix: run a few-shot prefix that prompts have in common only once.
        batch_tokens: see `HookedLM.iter_activations`.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (prompts done, prompts in all).

    Raises:
        InputError: an unknown name, an impossible number, a task without words, no layer before the last, or no item
            whose right and wrong answers can be told apart.
        ModelError: a layer that does not exist.
    """
    loaded, asked = as_model(model), as_task(task)
    check_word_task(asked)
    check_count("items", items, least=1)
    check_count("seed", seed, least=0)
    check_count("top", top, least=1)
    numbers = lens_layers(layers, depth=loaded.n_layers)
    if len(numbers) < 2:
        raise InputError(f"layers={layers!r}: no layer before the last would be searched; name others")
    through = as_lens(lens, loaded)
    given = None if candidates is None else [entry.code for entry in find_languages(candidates)]
    prompts = prompts_of(asked, languages, items=items, shots=shots, seed=seed)
    parts: list[pd.DataFrame] = []
    read: list[str] = []
    left_out = 0
    total, done = sum(map(len, prompts.values())), 0
    with reporting(progress, "reading", total=total) as report:
        for code, of_language in prompts.items():
            chosen = candidate_languages(asked, code, given)
            read += [name for name in chosen if name not in read]
            words = _LabelTokens(loaded, asked, of_language, chosen)
            rows: dict[int, list[dict[str, Any]]] = {}
            for reading in loaded.iter_activations(
                of_language, layers=numbers, share_prefix=share_prefix, batch_tokens=batch_tokens
            ):
                readout = read_out(
                    loaded, layers_of(reading, numbers), TokenSets([]), top=top, logits=reading.logits,
                    lens=through, layers=numbers,
                )  # fmt: skip
                likeliest = readout.top_ids.cpu().numpy()
                for row, index in enumerate(reading.index.tolist()):
                    rows[index] = words.rows(of_language[index], likeliest[row], numbers)
                done += len(reading)
                report(done, total)
            left_out += sum(not found for found in rows.values())
            parts.append(pd.DataFrame([row for index in sorted(rows) for row in rows[index]]))
    table = pd.concat(parts, ignore_index=True)
    if table.empty:
        raise InputError(
            "no item has a right and a wrong answer that can be told apart by the tokens that begin them; take other "
            "languages, or more words (data='words.csv')"
        )
    settings = BarrierSettings(
        candidates=read, shots=asked.default_shots if shots is None else shots, items=max(map(len, prompts.values())),
        left_out=left_out, layers=list(numbers), n_layers=loaded.n_layers, top=top, **lens_settings(through),
    )  # fmt: skip
    provenance = Provenance(
        model=loaded.name, revision=loaded.revision, adapter=loaded.active_adapter, task=asked.name,
        languages=tuple(prompts), policy="", seed=seed,
        settings={**settings_for(asked, prompts), **settings.stored(), **loaded.noted},
    )  # fmt: skip
    return BarrierResult(table=table.assign(task=asked.name)[list(COLUMNS)], provenance=provenance)


def check_word_task(task: Task) -> None:
    """Refuse a task whose answers are no words, or few labels.

    Raises:
        InputError: it is one.
    """
    check_answers(task)
    if task.closed:
        raise InputError(
            f"the {task.name} task has few labels, which a layer names by chance; take a word task: translation, "
            "repetition or cloze"
        )


def candidate_languages(task: Task, target: str, given: Sequence[str] | None) -> list[str]:
    """Codes of the languages whose words are read for a target language: its own first, without the prompt's word's.

    Args:
        task: the task.
        target: code of the target language.
        given: those asked for; None for all that the task has words in.

    Raises:
        InputError: the task has no words in one that was asked for.
    """
    codes = list(dict.fromkeys([*GROUPS["paper20"], *task.languages])) if given is None else list(given)
    copied = task.given(target)
    chosen = [target]
    for code in codes:
        try:
            there = bool(task.answers(code))
        except InputError:
            there = False
        if not there and given is not None:
            raise InputError(f"the {task.name} task has no words in {code!r}; leave it out of the candidates")
        if there and code not in (target, copied):
            chosen.append(code)
    return chosen


class _LabelTokens:
    """Tokens that stand for the labels of one language's prompts."""

    def __init__(self, model: HookedLM, task: Task, prompts: Sequence[Prompt], codes: Sequence[str]) -> None:
        self.task, self.codes, self.target = task, list(codes), prompts[0].language
        labels = dict.fromkeys(
            label for prompt in prompts for label in (prompt.label, *task.wrong_labels(prompt.label))
        )
        copied = task.given(self.target)
        strings: dict[str, Mapping[str, tuple[str, ...]]] = {}
        for code in dict.fromkeys([*codes, *([copied] if copied else [])]):
            answers = task.answers(code)
            strings[code] = {label: answers[label] for label in labels if label in answers}
        sets = answer_sets(token_bytes(model.tokenizer), strings, cue=prompts[0].cue, scope="same")
        self._right = {
            label: frozenset(sets[self.target, label].ids.tolist()) for label in sets.labels(self.target)
        }
        own_word = copied if copied != self.target else None
        # label to token to the first language whose word it begins
        self._tokens = {label: self._of(sets, label, own_word) for label in labels}

    def _of(self, sets: AnswerSets, label: str, copied: str | None) -> dict[int, str]:
        taken: set[int] = set()
        if copied is not None and (copied, label) in sets:
            taken = {*sets[copied, label].ids.tolist()}
        tokens: dict[int, str] = {}
        for code in self.codes:
            if (code, label) not in sets:
                continue
            word = sets[code, label]
            longer = {*word.running_on.tolist()}
            for token in word.ids.tolist():
                if token not in taken and token not in longer:
                    tokens.setdefault(token, code)
        return tokens

    def rows(
        self, prompt: Prompt, likeliest: NDArray[np.int64], layers: Sequence[int]
    ) -> list[dict[str, Any]]:
        """A row for the right label and each wrong one; none where they cannot be told apart.

        Args:
            prompt: the item.
            likeliest: ``[layer, top]`` token ids, the last layer's too.
            layers: their numbers.
        """
        names = [prompt.label, *self.task.wrong_labels(prompt.label)]
        holders: dict[int, int] = {}
        for name in names:
            for token in self._tokens[name]:
                holders[token] = holders.get(token, 0) + 1
        own = {
            name: {token: code for token, code in self._tokens[name].items() if holders[token] == 1}
            for name in names
        }
        if not own[prompt.label] or not any(own[name] for name in names[1:]):
            return []
        answered = int(likeliest[-1, 0]) in self._right.get(prompt.label, frozenset())
        rows = []
        for name in names:
            if not own[name]:
                continue
            layer, code = 0, ""
            for number, tokens in zip(layers[:-1], likeliest[:-1].tolist(), strict=True):
                code = next((own[name][token] for token in tokens if token in own[name]), "")
                if code:
                    layer = number
                    break
            rows.append({
                "language": prompt.language, "item": prompt.item, "label": prompt.label, "read": name,
                "answered": answered, "layer": layer, "answer_language": code,
            })  # fmt: skip
        return rows
