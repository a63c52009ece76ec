"""Which token sets stand for which curve: the answers of the language asked for and of the pivot, and their nulls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentlang.answers import AnswerSets, Counted, answer_sets, closing, counted, published_sets, token_bytes
from latentlang.answers.sets import Scope
from latentlang.tasks import Prompt, Task
from latentlang.tasks.draw import shuffled

TokenIds = NDArray[np.int64]
Floats = NDArray[np.float64]
#: Most wrong answers per item that policy ``sequence`` scores for the null; each is a sequence of its own to run.
MOST_NULLS = 8


@dataclass
class Roles:
    """The token sets of one language's prompts, and how their probabilities make curves.

    Attributes:
        languages: role to language code; without ``pivot`` where the language asked for is the pivot itself.
        token_sets: the sets whose probabilities `curves` wants, in this order (not for policy ``sequence``).
        closed: whether something closes the answer, such as a quotation mark.
    """

    task: Task
    languages: Mapping[str, str]
    answers: AnswerSets
    policy: str
    closed: bool = True
    token_sets: list[TokenIds] = field(default_factory=list)
    _settled: dict[tuple[str, str], Counted] = field(default_factory=dict)
    _places: dict[tuple[str, str, str], int] = field(default_factory=dict)
    _unwritten: set[tuple[str, str]] = field(default_factory=set)

    @classmethod
    def build(
        cls,
        task: Task,
        tokenizer: Any,
        prompts: Sequence[Prompt],
        *,
        pivot: str,
        policy: str,
        protocol: str = "corrected",
    ) -> Roles:
        """Sets for the labels of these prompts (of one language, one cue) and their wrong labels.

        Under ``as-published`` the sets are the reference paper's own, character prefixes and single letters included.
        """
        target = prompts[0].language
        languages = {"target": target} if target == pivot else {"target": target, "pivot": pivot}
        wanted = dict.fromkeys(
            name
            for label in dict.fromkeys(p.label for p in prompts)
            for name in (label, *task.wrong_labels(label))
        )
        strings = {}
        for code in languages.values():
            known = task.answers(code)
            strings[code] = {label: known[label] for label in wanted if label in known}
        if target != pivot and strings[target] == strings[pivot]:
            # Asked for in the pivot's own words (answer modes en and agnostic): there is no other language to see.
            languages = {"target": target}
            del strings[pivot]
        # In an open task an item is a concept, and only its own words compete for a token.
        scope: Scope = "any" if task.closed else "same"
        if protocol == "as-published":
            sets = published_sets(tokenizer, strings, scope=scope)
        else:
            sets = answer_sets(token_bytes(tokenizer), strings, cue=prompts[0].cue, scope=scope)
        roles = cls(task, languages, sets, policy, closed=bool(closing(prompts[0].cue)))
        for role, code in languages.items():
            for label in strings[code]:
                settled = counted(sets, code, label, policy=policy, pivot=pivot)
                roles._settled[role, label] = settled
                roles._add(role, label, "counted", settled.ids)
                if policy == "shared":
                    roles._add(role, label, "shared", settled.shared)
                if task.closed:
                    roles._add(role, label, "whole", sets[code, label].ids)
            if task.closed:
                ids = [
                    roles._settled[role, label].ids for label in strings[code] if not roles._dropped(label)
                ]
                roles._add(role, "", "any", np.unique(np.concatenate([*ids, np.empty(0, np.int64)])))
        return roles

    def _add(self, role: str, label: str, kind: str, ids: TokenIds) -> None:
        self._places[role, label, kind] = len(self.token_sets)
        self.token_sets.append(ids)

    def _readable(self, role: str, label: str) -> bool:
        """Whether anything is left to count."""
        settled = self._settled.get((role, label))
        if settled is None or not settled.usable or self._dropped(label):
            return False
        return (role, label) not in self._unwritten if self.policy == "sequence" else len(settled.ids) > 0

    def _dropped(self, label: str) -> bool:
        """Whether the policy drops items of this label: then nobody reads them, the pivot no more than the target."""
        settled = self._settled.get(("target", label))
        return self.policy in ("drop", "sequence") and settled is not None and bool(settled.lost)

    def curves(self, prompt: Prompt, probs: Floats) -> dict[str, Floats]:
        """Curve name to ``[layer]`` probabilities; a curve with no token of its own is left out.

        Args:
            prompt: the item.
            probs: ``[layer, set]`` probabilities of `token_sets`.
        """
        found: dict[str, Floats] = {}
        wrong = self.task.wrong_labels(prompt.label)
        for role in self.languages:
            if (place := self._places.get((role, prompt.label, "shared"))) is not None:
                found[f"{role}_shared"] = probs[:, place]
            if not self._readable(role, prompt.label):
                continue
            found[role] = probs[:, self._places[role, prompt.label, "counted"]]
            nulls = [self._places[role, name, "counted"] for name in wrong if self._readable(role, name)]
            if nulls:
                found[f"{role}_null"] = probs[:, nulls].mean(-1)
            if self.task.closed:
                found[f"{role}_any"] = probs[:, self._places[role, "", "any"]]
        return found

    def is_right(self, prompt: Prompt, final: Floats, top: int) -> bool:
        """Whether the model's next token is right.

        Args:
            prompt: the item.
            final: ``[set]`` probabilities at the last layer.
            top: the likeliest token at the last layer.

        Returns:
            Closed tasks: whether the right label's set is the likeliest (constrained choice, Zhang et al. 2024). Open
            ones: whether the likeliest token begins the right answer.
        """
        if not self.task.closed:
            return top in self.answers[self.languages["target"], prompt.label].ids
        own = final[self._places["target", prompt.label, "whole"]]
        return all(
            own > final[self._places["target", n, "whole"]] for n in self.task.wrong_labels(prompt.label)
        )

    # Whole answers (policy "sequence")

    def whole_answers(self, prompt: Prompt, *, seed: int) -> dict[tuple[str, str], tuple[str, ...]]:
        """Role and label to wordings of every answer whose probability `whole_curves` wants.

        The item's own answer and those of wrong labels: all of a closed task, else at most `MOST_NULLS`, drawn by the
        seed and the item alone, so that they are the same concepts in every language that has words for them.
        """
        wanted: dict[tuple[str, str], tuple[str, ...]] = {}
        drawn = shuffled(self.task.wrong_labels(prompt.label), "null", seed, prompt.item)
        for role, code in self.languages.items():
            known = [name for name in (prompt.label, *drawn) if (role, name) in self._settled]
            if not self.task.closed:
                own = self.answers[code, prompt.label].answers if prompt.label in known else ()
                # another concept may go by the same word
                wrong = [
                    n for n in known if n != prompt.label and not {*own} & {*self.answers[code, n].answers}
                ]
                wrong = [name for name in wrong if self._readable(role, name)][:MOST_NULLS]
                known = [prompt.label, *wrong] if self._readable(role, prompt.label) else []
            wanted |= {(role, name): self.answers[code, name].answers for name in known}
        return wanted

    def whole_curves(self, prompt: Prompt, probs: Mapping[tuple[str, str], Floats]) -> dict[str, Floats]:
        """Curve name to ``[layer]`` probabilities, from those of `whole_answers`; nan where one cannot be written."""
        self._unwritten |= {key for key, values in probs.items() if np.isnan(values).any()}
        found: dict[str, Floats] = {}
        for role in self.languages:
            read = {n: values for (r, n), values in probs.items() if r == role and self._readable(role, n)}
            if prompt.label not in read:
                continue
            found[role] = read[prompt.label]
            if nulls := [values for name, values in read.items() if name != prompt.label]:
                found[f"{role}_null"] = np.mean(nulls, axis=0)
            if self.task.closed:
                found[f"{role}_any"] = np.sum(list(read.values()), axis=0)
        return found

    def is_right_whole(self, prompt: Prompt, probs: Mapping[tuple[str, str], Floats], top: int) -> bool:
        """As `is_right`, with the probabilities of whole answers for closed tasks."""
        if not self.task.closed:
            return self.is_right(prompt, np.empty(0), top)
        final = {name: values[-1] for (role, name), values in probs.items() if role == "target"}
        wrong = [final[name] for name in self.task.wrong_labels(prompt.label) if name in final]
        return prompt.label in final and all(bool(final[prompt.label] > other) for other in wrong)

    def note(self, prompts: Sequence[Prompt]) -> str:
        """What the policy leaves unreadable, and why for the first; empty when everything can be read."""
        parts = []
        for role, code in self.languages.items():
            lost = [
                prompt.label
                for prompt in prompts
                if not self._readable(role, prompt.label)
                and (role == "target" or not self._dropped(prompt.label))
            ]
            if lost:
                settled = self._settled.get((role, lost[0]))
                why = (settled.lost or self._why_empty) if settled else "no word"
                answer = "" if settled is None else f" {self.answers[code, lost[0]].answers[0]!r}"
                example = f", e.g.{answer}" if answer else ""
                parts.append(
                    f"{len(lost)} of {len(prompts)} answers in {code} cannot be read{example}: {why}"
                )
        if not self.closed:
            labels = dict.fromkeys(prompt.label for prompt in prompts)
            cautions = [self._settled[key].caution for n in labels if (key := ("target", n)) in self._settled]
            parts += [f"nothing closes the answer, and {caution}" for caution in cautions if caution][:1]
        return "; ".join(parts) + (f" (policy {self.policy})" if parts else "")

    @property
    def _why_empty(self) -> str:
        return "the tokenizer cannot write it" if self.policy == "sequence" else "every token is shared"
