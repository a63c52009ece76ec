"""Which token sets stand for which curve: the target's answer, the pivot's, the prompt's own word, and their nulls.

A layer that copies the prompt's word would be read as the pivot wherever the two words begin alike (French *tigre*,
English *tiger*). So the word in the prompt has a curve of its own, and the sets of all three are settled against each
other, label by label: a wrong answer loses what it shares with its own translation, as the right one does, so that a
null is no smaller than its answer by construction.

Where the prompt gives no such word but a text (a review, a definition), the pivot's sets are settled against every word
of it, prompt by prompt, right and wrong answers alike. The few-shot prefix is not taken into account: it is the same
for all items of a language, so that what is copied from it stands in the null as much as in the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from latentlang.answers import (
    AnswerSets,
    Reason,
    TokenSelection,
    answer_sets,
    closing,
    published_sets,
    select_tokens,
    token_bytes,
)
from latentlang.answers.sets import Scope
from latentlang.lens.question import beginnings, stands_in
from latentlang.seeding import shuffled
from latentlang.tasks import Prompt, Task

TokenIds = NDArray[np.int64]
Floats = NDArray[np.float64]
#: Most wrong answers per item that policy ``sequence`` scores for the null; each is a sequence of its own to run.
MOST_NULLS = 8


#: Why an answer that a policy can read is not read in a prompt: there is no word for it; it stands in the question; the
#: tokenizer cannot write it; a word of the question begins like it; no token is left.
PromptCode = Literal["no-word", "quoted", "unwritable", "copied", "no-token"]


@dataclass(frozen=True)
class Unread:
    """Answers in one language that cannot be read.

    Attributes:
        language: its code.
        dropped: whether the policy drops these items, so that they are read in no language.
        count: how many answers.
        total: of how many.
        answer: the first of them; ``""`` where there is no word.
        reason: why it cannot be read.
    """

    language: str
    dropped: bool
    count: int
    total: int
    answer: str
    reason: Reason | PromptCode | None


@dataclass(frozen=True)
class Alike:
    """Answers in `language` that begin like the prompt's word in `source`: `count` of `total`, such as `answer`."""

    language: str
    source: str
    count: int
    total: int
    answer: str
    word: str


@dataclass(frozen=True)
class CurveNotes:
    """What is to be said of one language's answers; in words: `lens.text.curve_notes`.

    Attributes:
        policy: what decided.
        unread: answers that cannot be read, role by role.
        alike: answers that begin like the prompt's own word.
        unclosed: what to mind where nothing closes the answer but the end of a word; None where something does.
    """

    policy: str
    unread: tuple[Unread, ...] = ()
    alike: tuple[Alike, ...] = ()
    unclosed: Reason | None = None


@dataclass
class AnswerCurves:
    """The token sets of one language's prompts, and how their probabilities make curves.

    Attributes:
        languages: role to language code; without ``pivot`` where the target language is the pivot itself, without
            ``source`` where the prompt holds no word of a third language.
        token_sets: the sets whose probabilities `curves` wants, in this order (not for policy ``sequence``).
        closed: whether something closes the answer, such as a quotation mark.
        published: whether the sets are the reference paper's.
    """

    task: Task
    languages: Mapping[str, str]
    answers: AnswerSets
    policy: str
    closed: bool = True
    published: bool = False
    token_sets: list[TokenIds] = field(default_factory=list)
    _settled: dict[tuple[str, str], TokenSelection] = field(default_factory=dict)
    _places: dict[tuple[str, str, str], int] = field(default_factory=dict)
    _unwritten: set[tuple[str, str]] = field(default_factory=set)
    # Tokens that can begin a word of some question, each a set of its own; and, per question, which ones.
    _single: dict[int, int] = field(default_factory=dict)
    _question_tokens: dict[str, frozenset[int]] = field(default_factory=dict)

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
    ) -> AnswerCurves:
        """Sets for the labels of these prompts (of one language, one cue) and their wrong labels.

        Under ``as-published`` the sets are the reference paper's own, character prefixes and single letters included;
        they have none for a source word.
        """
        target, published = prompts[0].language, protocol == "as-published"
        languages = {"target": target} if target == pivot else {"target": target, "pivot": pivot}
        given = task.given(target)
        if given is not None and given not in languages.values() and not published:
            languages["source"] = given
        labels = dict.fromkeys(
            name
            for label in dict.fromkeys(p.label for p in prompts)
            for name in (label, *task.wrong_labels(label))
        )
        strings = {}
        for code in languages.values():
            answers = task.answers(code)
            strings[code] = {label: answers[label] for label in labels if label in answers}
        if target != pivot and strings[target] == strings[pivot]:
            # Asked for in the pivot's own words (answer modes en and agnostic): there is no other language to see.
            del languages["pivot"], strings[pivot]
        # In an open task an item is a concept, and only its own words compete for a token.
        scope: Scope = "any" if task.closed else "same"
        if published:
            sets = published_sets(tokenizer, strings, scope=scope)
        else:
            sets = answer_sets(token_bytes(tokenizer), strings, cue=prompts[0].cue, scope=scope)
        roles = cls(task, languages, sets, policy, closed=bool(closing(prompts[0].cue)), published=published)
        for role, code in languages.items():
            for label in strings[code]:
                roles._settled[role, label] = select_tokens(
                    sets,
                    code,
                    label,
                    policy=policy,
                    pivot=[other for other in languages.values() if other != code],
                )
        if given is None and not published:
            roles._settle_against_questions(prompts)
        for role, code in languages.items():
            for label in strings[code]:
                settled = roles._settled[role, label]
                roles._add(role, label, "counted", settled.ids)
                if policy == "shared":
                    roles._add(role, label, "shared", settled.shared)
                if task.closed:
                    roles._add(role, label, "whole", sets[code, label].ids)
            if task.closed:
                roles._add(role, "", "any", roles._union(role))
        return roles

    def _settle_against_questions(self, prompts: Sequence[Prompt]) -> None:
        """Find which of the pivot's tokens can begin a word of each question; each such token is read by itself."""
        if self.policy not in ("exclusive", "shared"):
            return
        pivot_ids = [settled.ids.tolist() for (role, _), settled in self._settled.items() if role == "pivot"]
        candidates = {token for ids in pivot_ids for token in ids}
        for prompt in prompts:
            if candidates and prompt.question not in self._question_tokens:
                self._question_tokens[prompt.question] = beginnings(
                    self.answers.table, candidates, prompt.question
                )
        for token in sorted(frozenset().union(*self._question_tokens.values())):
            self._single[token] = len(self.token_sets)
            self.token_sets.append(np.array([token]))

    def _copied(self, role: str, prompt: Prompt) -> frozenset[int]:
        """Tokens that do not count for a role in this prompt."""
        return self._question_tokens.get(prompt.question, frozenset()) if role == "pivot" else frozenset()

    def _add(self, role: str, label: str, kind: str, ids: TokenIds) -> None:
        # What has a place of its own is added where it counts.
        without_single = kind in ("counted", "any") and role == "pivot"
        self._places[role, label, kind] = len(self.token_sets)
        self.token_sets.append(
            ids[~np.isin(ids, list(self._single))] if without_single and self._single else ids
        )

    def _sum(self, role: str, label: str, kind: str, ids: TokenIds, prompt: Prompt, probs: Floats) -> Floats:
        """Probability of a set without the tokens that can begin a word of the question, ``[layer]``."""
        total = probs[:, self._places[role, label, kind]]
        copied = self._copied(role, prompt)
        loose = [token for token in ids.tolist() if token in self._single] if role == "pivot" else []
        return total + sum(probs[:, self._single[token]] for token in loose if token not in copied)

    def _readable(self, role: str, label: str, prompt: Prompt) -> bool:
        """Whether anything is left to count for a label in this prompt."""
        settled = self._settled.get((role, label))
        if settled is None or not settled.usable or self._dropped(label):
            return False
        if self.policy == "sequence":
            return (role, label) not in self._unwritten and not self._quoted(role, label, prompt)
        left = settled.ids
        if copied := self._copied(role, prompt):
            left = left[~np.isin(left, list(copied))]
            running_on = self.answers[self.languages[role], label].running_on
            if self.policy == "exclusive" and np.isin(left, running_on, assume_unique=True).all():
                return False
        return len(left) > 0 and not self._quoted(role, label, prompt)

    def _quoted(self, role: str, label: str, prompt: Prompt) -> bool:
        """Whether the pivot's whole answer stands in the question (where whole answers or all tokens count)."""
        if role != "pivot" or self.policy not in ("drop", "sequence") or self.published:
            return False
        if self.task.given(prompt.language) is not None:
            return False
        answers = self.answers[self.languages[role], label].answers
        return any(stands_in(answer, prompt.question) for answer in answers)

    def _dropped(self, label: str) -> bool:
        """Whether the policy drops items of this label: they are excluded from every curve."""
        if self.policy not in ("drop", "sequence"):
            return False
        settled = [self._settled.get((role, label)) for role in self.languages]
        return any(selection is not None and not selection.usable for selection in settled)

    def curves(self, prompt: Prompt, probs: Floats) -> dict[str, Floats]:
        """Curve name to ``[layer]`` probabilities; a curve with no token of its own is left out.

        Args:
            prompt: the item.
            probs: ``[layer, set]`` probabilities of `token_sets`.
        """
        curves: dict[str, Floats] = {}
        wrong = self.task.wrong_labels(prompt.label)
        for role in self.languages:
            if (column := self._places.get((role, prompt.label, "shared"))) is not None:
                copied = self._copied(role, prompt).intersection(
                    self._settled[role, prompt.label].ids.tolist()
                )
                curves[f"{role}_shared"] = probs[:, [column, *(self._single[token] for token in copied)]].sum(
                    -1
                )
            if not self._readable(role, prompt.label, prompt):
                continue
            right, *nulls = [
                self._sum(role, name, "counted", self._settled[role, name].ids, prompt, probs)
                for name in (prompt.label, *wrong)
                if self._readable(role, name, prompt)
            ]
            curves[role] = right
            if nulls:
                curves[f"{role}_null"] = np.mean(nulls, axis=0)
            if self.task.closed:
                curves[f"{role}_any"] = self._sum(role, "", "any", self._union(role), prompt, probs)
        return curves

    def _union(self, role: str) -> TokenIds:
        """Tokens of all labels; as published, those of dropped labels too."""
        code = self.languages[role]
        if self.published:
            return self.answers.union(code)
        kept = [
            settled.ids
            for (r, label), settled in self._settled.items()
            if r == role and not self._dropped(label)
        ]
        return np.unique(np.concatenate([*kept, np.empty(0, np.int64)]))

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
        right = final[self._places["target", prompt.label, "whole"]]
        return all(
            right > final[self._places["target", n, "whole"]] for n in self.task.wrong_labels(prompt.label)
        )

    # Whole answers (policy "sequence")

    def whole_answers(self, prompt: Prompt, *, seed: int) -> dict[tuple[str, str], tuple[str, ...]]:
        """Role and label to wordings of every answer whose probability `whole_curves` wants.

        The item's own answer and those of wrong labels: all of a closed task, else at most `MOST_NULLS`, drawn by the
        seed and the item alone, so that they are the same concepts in every language that has words for them.
        """
        wordings: dict[tuple[str, str], tuple[str, ...]] = {}
        drawn = shuffled(self.task.wrong_labels(prompt.label), "null", seed, prompt.item)
        for role, code in self.languages.items():
            names = [name for name in (prompt.label, *drawn) if (role, name) in self._settled]
            if not self.task.closed:
                right = self.answers[code, prompt.label].answers if prompt.label in names else ()
                # another concept may go by the same word
                wrong = [
                    n for n in names if n != prompt.label and not {*right} & {*self.answers[code, n].answers}
                ]
                wrong = [name for name in wrong if self._readable(role, name, prompt)][:MOST_NULLS]
                names = [prompt.label, *wrong] if self._readable(role, prompt.label, prompt) else []
            wordings |= {(role, name): self.answers[code, name].answers for name in names}
        return wordings

    def whole_curves(self, prompt: Prompt, probs: Mapping[tuple[str, str], Floats]) -> dict[str, Floats]:
        """Curve name to ``[layer]`` probabilities, from those of `whole_answers`; nan where one cannot be written."""
        self._unwritten |= {key for key, values in probs.items() if np.isnan(values).any()}
        curves: dict[str, Floats] = {}
        for role in self.languages:
            read = {
                name: values
                for (r, name), values in probs.items()
                if r == role and self._readable(role, name, prompt)
            }
            if prompt.label not in read:
                continue
            curves[role] = read[prompt.label]
            if nulls := [values for name, values in read.items() if name != prompt.label]:
                curves[f"{role}_null"] = np.mean(nulls, axis=0)
            if self.task.closed:
                curves[f"{role}_any"] = np.sum(list(read.values()), axis=0)
        return curves

    def is_right_whole(self, prompt: Prompt, probs: Mapping[tuple[str, str], Floats], top: int) -> bool:
        """As `is_right`, with the probabilities of whole answers for closed tasks."""
        if not self.task.closed:
            return self.is_right(prompt, np.empty(0), top)
        final = {name: values[-1] for (role, name), values in probs.items() if role == "target"}
        wrong = [final[name] for name in self.task.wrong_labels(prompt.label) if name in final]
        return prompt.label in final and all(bool(final[prompt.label] > other) for other in wrong)

    def notes(self, prompts: Sequence[Prompt]) -> CurveNotes:
        """What cannot be read, and why for the first, and how many answers begin like the prompt's word."""
        unread = []
        for role in self.languages:
            dropped = [prompt for prompt in prompts if self._to_blame(prompt.label) == role]
            left_out = [
                prompt
                for prompt in prompts
                if not self._dropped(prompt.label) and not self._readable(role, prompt.label, prompt)
            ]
            unread += [
                self._unread(role, items, len(prompts), dropped=items is dropped)
                for items in (dropped, left_out)
                if items
            ]
        cautions: list[Reason] = []
        if not self.closed:
            labels = dict.fromkeys(prompt.label for prompt in prompts)
            settled = [self._settled[key] for n in labels if (key := ("target", n)) in self._settled]
            cautions = [one.reason for one in settled if one.usable and one.reason is not None]
        return CurveNotes(
            self.policy, tuple(unread), tuple(self._like_the_source(prompts)), next(iter(cautions), None)
        )

    def _unread(self, role: str, items: Sequence[Prompt], total: int, *, dropped: bool) -> Unread:
        """Answers of a role that cannot be read, the first as the example."""
        language, label = self.languages[role], items[0].label
        settled = self._settled.get((role, label))
        if settled is None:
            return Unread(language, dropped, len(items), total, "", "no-word")
        answer = self.answers[language, label].answers[0]
        reason = self._why_empty(role, items[0]) if settled.usable else settled.reason
        return Unread(language, dropped, len(items), total, answer, reason)

    def _to_blame(self, label: str) -> str:
        """The first role for which the policy drops items of a label; empty where it drops none."""
        if not self._dropped(label):
            return ""
        lost = [role for role in self.languages if (role, label) not in self._settled]
        return next(role for role in self.languages if role in lost or not self._settled[role, label].usable)

    def _like_the_source(self, prompts: Sequence[Prompt]) -> Iterator[Alike]:
        """How many answers of each role begin like the prompt's word: what there was to settle."""
        if "source" not in self.languages or self.policy not in ("exclusive", "shared"):
            return
        for role, code in self.languages.items():
            alike = [pair for prompt in prompts if (pair := self._alike(role, prompt.label)) is not None]
            if alike:
                yield Alike(code, self.languages["source"], len(alike), len(prompts), *alike[0])

    def _alike(self, role: str, label: str) -> tuple[str, str] | None:
        """An answer and the prompt's word, where they have their first letter in common."""
        if role == "source" or (role, label) not in self._settled or ("source", label) not in self._settled:
            return None
        answers, words = (self.answers[self.languages[r], label].answers for r in (role, "source"))
        return next(((text, word) for text in answers for word in words if text[:1] == word[:1]), None)

    def _why_empty(self, role: str, prompt: Prompt) -> PromptCode:
        if self._quoted(role, prompt.label, prompt):
            return "quoted"
        if self.policy == "sequence":
            return "unwritable"
        return "copied" if self._copied(role, prompt) else "no-token"
