"""A loaded model as lm-eval asks one: log-likelihoods of continuations, of whole texts, and what it writes greedily."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from latentlang.answers.paths import AnswerPath
from latentlang.errors import InputError
from latentlang.models import HookedLM
from latentlang.models.answer_scores import score_paths
from latentlang.models.chat import chat_text
from latentlang.models.generation import generate_tokens

# Tokens that are written before it is looked whether a text has come to its end.
_WRITTEN_AT_ONCE = 32
_MOST_WRITTEN = 256  # lm-eval's own default
_NO_LIMIT = 1 << 30
Report = Callable[[int, int], None]


def harness_model(model: HookedLM, *, batch_tokens: int | None = None, progress: Report | None = None) -> Any:
    """An ``lm_eval.api.model.LM`` of a model, which runs each context once for all that is asked of it.

    Args:
        model: the model, in the state in which it is to be asked.
        batch_tokens: see `HookedLM.iter_activations`.
        progress: called with requests done and requests so far.

    Raises:
        ImportError: lm-eval is not installed.
    """
    from lm_eval.api.model import TemplateLM

    class HarnessModel(_Answers, TemplateLM):  # type: ignore[misc]  # lm-eval is not checked
        """lm-eval's own pairs of context and continuation, answered here."""

        backend = "causal"

        def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = True) -> list[Any]:
            return list(super().loglikelihood(requests, disable_tqdm=True))

    return HarnessModel(model, batch_tokens, progress)


class _Answers:
    """What is asked of a model, whatever lm-eval's class is.

    Attributes:
        model: the model.
        batch_tokens: tokens run at once.
        progress: called with requests done and requests so far.
    """

    def __init__(self, model: HookedLM, batch_tokens: int | None, progress: Report | None) -> None:
        super().__init__()
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
        scored = score_paths(
            self.model,
            [list(before) for before in by_context],
            [[(AnswerPath(after),) for after in afters] for afters in by_context.values()],
            layers=[-1],
            batch_tokens=self.batch_tokens,
            progress=self._report(len(requests)),
        )
        for (before, afters), scores in zip(by_context.items(), scored, strict=True):
            for row, after in enumerate(afters):
                results[before, after] = float(scores.log_probs[row, -1]), bool(scores.greedy[row, -1])
        self._done += len(requests)
        return [results[place] for place in places]

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
        texts = []
        for number, request in enumerate(requests):
            context, options = request.args
            texts.append(self._written(context, options))
            if self.progress is not None:
                self.progress(self._done + number + 1, self._done + len(requests))
        self._done += len(requests)
        return texts

    def _written(self, context: str, options: dict[str, Any]) -> str:
        """What the model writes after a context, up to a stop string."""
        if options.get("do_sample") or float(options.get("temperature") or 0) > 0:
            raise InputError(
                "this task samples what the model writes (do_sample, temperature); here a model writes greedily"
            )
        until = options.get("until") or []
        stops = [stop for stop in ([until] if isinstance(until, str) else until) if stop]
        most = int(options.get("max_gen_toks") or options.get("max_new_tokens") or _MOST_WRITTEN)
        if most >= self.max_length:
            raise InputError(
                f"this task lets {self.model.name} write {most} tokens, which reads {self.max_length} in all"
            )
        before = self.tok_encode(context)
        self._shortened += len(before) > self.max_length - most
        before = before[-(self.max_length - most) :]
        written: list[int] = []
        while len(written) < most:
            step = min(_WRITTEN_AT_ONCE, most - len(written))
            (more,) = generate_tokens(
                self.model, [[*before, *written]], new_tokens=step, batch_tokens=self.batch_tokens
            )
            written += more
            text = self.model.tokenizer.decode(written, skip_special_tokens=True)
            ends = [place for place in (text.find(stop) for stop in stops) if place >= 0]
            if ends:
                return str(text[: min(ends)])
            if len(more) < step:
                break
        return str(self.model.tokenizer.decode(written, skip_special_tokens=True))
