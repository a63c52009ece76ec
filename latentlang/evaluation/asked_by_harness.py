"""A loaded model as lm-eval asks one: log-likelihoods of continuations, of whole texts, and what it writes greedily."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from latentlang.answers.paths import AnswerPath
from latentlang.errors import InputError
from latentlang.generation.kept_answers import KeptAnswers, generate_kept
from latentlang.models import HookedLM
from latentlang.models.answer_scores import score_paths
from latentlang.models.chat import chat_text
from latentlang.models.decoding import Decoding

# Contexts that are scored before what they give is kept.
_KEPT_AT_ONCE = 64
_MOST_WRITTEN = 256  # lm-eval's own default
_MOST_NAMES = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
_NO_LIMIT = 1 << 30
Report = Callable[[int, int], None]


def harness_model(
    model: HookedLM,
    *,
    batch_tokens: int | None = None,
    progress: Report | None = None,
    kept: KeptAnswers | None = None,
    state: str = "base",
    seed: int = 0,
) -> Any:
    """An ``lm_eval.api.model.LM`` of a model, which runs each context once for all that is asked of it.

    Args:
        model: the model, in the state in which it is to be asked.
        batch_tokens: see `HookedLM.iter_activations`.
        progress: called with requests done and requests so far.
        kept: where answers are kept, so that the same requests are answered at once; None for nowhere.
        state: the model's, for what is kept.
        seed: of texts that a task has sampled.

    Raises:
        ImportError: lm-eval is not installed.
    """
    from lm_eval.api.model import TemplateLM

    class HarnessModel(_Answers, TemplateLM):  # type: ignore[misc]  # lm-eval is not checked
        """lm-eval's own pairs of context and continuation, answered here."""

        backend = "causal"

        def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = True) -> list[Any]:
            return list(super().loglikelihood(requests, disable_tqdm=True))

    return HarnessModel(model, batch_tokens, progress, kept, state, seed)


class _Answers:
    """What is asked of a model, whatever lm-eval's class is.

    Attributes:
        model: the model.
        batch_tokens: tokens run at once.
        progress: called with requests done and requests so far.
    """

    def __init__(
        self,
        model: HookedLM,
        batch_tokens: int | None,
        progress: Report | None,
        kept: KeptAnswers | None,
        state: str,
        seed: int,
    ) -> None:
        super().__init__()
        self._kept, self._state, self._seed = kept, state, seed
        self.model, self.batch_tokens, self.progress = model, batch_tokens, progress
        self.tokenizer = model.tokenizer
        self._encoded: dict[str, list[int]] = {}
        self._done = 0
        self._shortened = 0

    def notes(self) -> dict[str, Any]:
        """What a result's settings say of the run."""
        return {"lm_eval_shortened": self._shortened} if self._shortened else {}

    @property
    def eot_token_id(self) -> int:
        return int(self.model.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        """Stands before a text that has no context."""
        first = self.model.tokenizer.bos_token_id
        return self.eot_token_id if first is None else int(first)

    @property
    def max_length(self) -> int:
        return self.model.max_length or _NO_LIMIT

    @property
    def tokenizer_name(self) -> str:
        return self.model.name

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        return chat_text(
            chat_history, self.model.tokenizer, model=self.model.name, answer_next=add_generation_prompt
        )

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_kwargs: Any) -> list[int]:
        if add_special_tokens is False:
            return list(self.model.tokenizer(string, add_special_tokens=False)["input_ids"])
        if string not in self._encoded:
            (self._encoded[string],) = self.model.encode([string])
        return self._encoded[string]

    def _loglikelihood_tokens(self, requests: Sequence[Any], **_kwargs: Any) -> list[tuple[float, bool]]:
        """Log-probability of each continuation, and whether it is what the model would write."""
        by_context: dict[tuple[int, ...], dict[tuple[int, ...], None]] = {}
        places = []
        for _texts, context, continuation in requests:
            before, after = self._fitting(context, continuation)
            by_context.setdefault(before, {})[after] = None
            places.append((before, after))
        results: dict[tuple[tuple[int, ...], tuple[int, ...]], tuple[float, bool]] = {}
        contexts = list(by_context)
        at_once = max(len(contexts), 1) if self._kept is None else _KEPT_AT_ONCE
        report = self._report(len(requests))
        for start in range(0, len(contexts), at_once):
            part = contexts[start : start + at_once]
            afters = [list(by_context[before]) for before in part]

            def say(done: int, _total: int, start: int = start) -> None:
                if report is not None:
                    report(start + done, len(contexts))

            for before, continuations, scores in zip(
                part, afters, self._scores(part, afters, say), strict=True
            ):
                for after, (log_prob, greedy) in zip(continuations, scores, strict=True):
                    results[before, after] = float(log_prob), bool(greedy)
            say(len(part), len(part))
        self._done += len(requests)
        return [results[place] for place in places]

    def _scores(
        self, contexts: Sequence[tuple[int, ...]], afters: Sequence[Sequence[tuple[int, ...]]], report: Report
    ) -> list[list[list[Any]]]:
        """Of each continuation of each context its log-probability, and whether it is what the model would write."""

        def compute() -> list[list[list[Any]]]:
            scored = score_paths(
                self.model,
                [list(before) for before in contexts],
                [[(AnswerPath(after),) for after in listed] for listed in afters],
                layers=[-1],
                batch_tokens=self.batch_tokens,
                progress=report,
            )
            return [
                [
                    [float(scores.log_probs[row, -1]), bool(scores.greedy[row, -1])]
                    for row in range(len(listed))
                ]
                for listed, scores in zip(afters, scored, strict=True)
            ]

        if self._kept is None:
            return compute()
        values: list[list[list[Any]]] = self._kept.values(
            f"{self._state}-scores", [contexts, afters], compute
        )
        return values

    def _fitting(
        self, context: Sequence[int], continuation: Sequence[int]
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """What the model can read of a context, from its end; the last token of all is not run."""
        whole = [*context, *continuation][-(self.max_length + 1) :]
        self._shortened += len(whole) < len(context) + len(continuation)
        if len(continuation) >= len(whole):
            raise InputError(
                f"a continuation of {len(continuation)} tokens leaves no context to {self.model.name}, which reads "
                f"{self.max_length}; leave the task out"
            )
        cut = len(whole) - len(continuation)
        return tuple(whole[:cut]), tuple(whole[cut:])

    def _report(self, requests: int) -> Report | None:
        report = self.progress
        if report is None:
            return None
        before = self._done
        return lambda done, total: report(before + done * requests // total, before + requests)

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = True) -> list[float]:
        from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

        windows = [
            [
                make_disjoint_window(window)
                for window in get_rolling_token_windows(
                    token_list=self.tok_encode(request.args[0]),
                    prefix_token=self.prefix_token_id,
                    max_seq_len=self.max_length,
                    context_len=1,
                )
            ]
            for request in requests
        ]
        values = iter(self._loglikelihood_tokens([(None, *window) for parts in windows for window in parts]))
        return [sum(next(values)[0] for _ in parts) for parts in windows]

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = True) -> list[str]:
        """What the model writes after each context, up to a stop string; what is asked in one way, in one batch."""
        groups: dict[Decoding, list[int]] = {}
        for place, request in enumerate(requests):
            groups.setdefault(self._decoding(request.args[1]), []).append(place)
        texts: dict[int, str] = {}
        names = _items(requests)
        for decoding, places in groups.items():
            prompts = []
            for place in places:
                before = self.tok_encode(requests[place].args[0])
                room = self.max_length - decoding.new_tokens
                self._shortened += len(before) > room
                prompts.append(before[-room:])

            def say(done: int, _total: int, before: int = len(texts)) -> None:
                if self.progress is not None:
                    self.progress(self._done + before + done, self._done + len(requests))

            digest = hashlib.sha256(json.dumps(decoding.record, sort_keys=True).encode()).hexdigest()
            written = generate_kept(
                self.model, prompts, decoding, items=[names[place] for place in places],
                state=f"{self._state}-{digest[:12]}", kept=self._kept, batch_tokens=self.batch_tokens, progress=say,
            )  # fmt: skip
            texts |= {place: one.text for place, (one,) in zip(places, written, strict=True)}
        self._done += len(requests)
        return [texts[place] for place in range(len(requests))]

    def _decoding(self, options: dict[str, Any]) -> Decoding:
        """How a task has texts written: greedily, or by draws where it says so.

        Raises:
            InputError: it wants what is not done here, or more tokens than the model reads.
        """
        beams = int(options.get("num_beams") or 1)
        if beams > 1:
            raise InputError(f"this task writes by {beams} beams (num_beams); here a model writes one text")
        until = options.get("until") or []
        stop = tuple(text for text in ([until] if isinstance(until, str) else until) if text)
        most = int(next((options[name] for name in _MOST_NAMES if options.get(name)), _MOST_WRITTEN))
        if most >= self.max_length:
            raise InputError(
                f"this task lets {self.model.name} write {most} tokens, which reads {self.max_length} in all"
            )
        temperature = float(options.get("temperature") or 0)
        # as in lm-eval: a temperature alone says that texts are drawn, and without one nothing is
        if temperature == 0 or options.get("do_sample") is False:
            return Decoding(new_tokens=most, stop=stop)
        top_k, top_p = options.get("top_k"), options.get("top_p")
        return Decoding(
            how="sample", new_tokens=most, stop=stop, temperature=temperature, seed=self._seed,
            top_k=int(top_k) if top_k else None, top_p=float(top_p) if top_p else None,
        )  # fmt: skip


def _items(requests: Sequence[Any]) -> list[str]:
    """A name for each request: task, item, which of the item's, and how often it was there before (``repeats``)."""
    counts: Counter[str] = Counter()
    names = []
    for request in requests:
        name = "/".join(str(getattr(request, part, "")) for part in ("task_name", "doc_id", "idx"))
        names.append(f"{name}/{counts[name]}")
        counts[name] += 1
    return names
