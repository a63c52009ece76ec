"""vLLM as the engine that writes: the same weights and adapter in its own process, many prompts at once.

Written against the source of vLLM's engine V1 (``LLM.generate``, ``SamplingParams``, prompts of token ids,
``LoRARequest``, ``CompletionOutput``) as public repositories hold it, no release of it, and tested with a stand-in of
the same names and fields: it was never run with vLLM itself. Log-probabilities are the model's own as long as
``logprobs_mode`` is vLLM's default. Its draws are its own: the same seed gives other samples than the loaded model
would, and rows may differ from those alone in the last digits of a probability.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from latentlang.errors import InputError, ModelError, shown
from latentlang.models.decoding import Decoding
from latentlang.models.generation import Ended, Written
from latentlang.models.states import TUNED
from latentlang.models.stop_strings import StopStrings
from latentlang.paths import is_file
from latentlang.storage.documents import read_json

_SEEDS = 2**31 - 1
# Ranks that vLLM keeps room for; an adapter of another takes the next, and without one said it allows 16.
_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)


class VllmBackend:
    """vLLM with the weights of a model.

    Attributes:
        name: ``vllm`` and its version.
    """

    def __init__(
        self, model: str | os.PathLike[str], *, adapter: str | os.PathLike[str] | None = None, **options: Any
    ) -> None:
        """Start the engine.

        Args:
            model: folder or hub name of the weights: those of the model that is asked.
            adapter: folder of the LoRA that the state ``tuned`` has.
            **options: of ``vllm.LLM``: ``dtype``, ``tensor_parallel_size``, ``gpu_memory_utilization``, ...

        Raises:
            InputError: vLLM is not installed.
        """
        try:
            self._vllm = import_module("vllm")
        except ImportError as error:
            raise InputError(
                "the vLLM backend needs vllm, which is not installed (`pip install vllm`, on Linux with a GPU); leave "
                "backend out to write with the loaded model"
            ) from error
        try:
            version = metadata.version("vllm")
        except metadata.PackageNotFoundError:
            version = str(getattr(self._vllm, "__version__", "of unknown version"))
        self.name = f"vllm {version}"
        self._adapter = None if adapter is None else os.fspath(adapter)
        self._options = {"trust_remote_code": False, **options}
        if self._adapter is not None:
            self._options["enable_lora"] = True
            if (rank := _rank(Path(self._adapter))) is not None:
                self._options.setdefault("max_lora_rank", rank)
        self._weights = os.fspath(model)
        self._engine = self._vllm.LLM(model=self._weights, **self._options)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The weights, the adapter and the options of the engine."""
        return {
            "weights": self._weights, "adapter": self._adapter,
            **{name: value for name, value in self._options.items() if name != "trust_remote_code"},
        }  # fmt: skip

    def check(self, decoding: Decoding, states: Sequence[str]) -> None:
        """Refuse beams, n-gram rules, and an adapter that it was not given.

        Raises:
            InputError: saying which.
        """
        if decoding.how == "beam":
            raise InputError("the vLLM backend writes greedily or by draws; leave it out for how='beam'")
        if decoding.no_repeat_ngram:
            raise InputError("the vLLM backend has no no_repeat_ngram; leave the one or the other out")
        if TUNED in states and self._adapter is None:
            raise InputError("the vLLM backend was given no adapter; give VllmBackend(model, adapter=FOLDER)")

    def write(
        self, prompts: Sequence[Sequence[int]], decoding: Decoding, *, items: Sequence[str], state: str
    ) -> Iterator[tuple[int, list[Written]]]:
        """All prompts in one call of the engine.

        Raises:
            ModelError: the engine gave up an answer.
        """
        inputs = [{"prompt_token_ids": list(prompt)} for prompt in prompts]
        params = [self._params(decoding, item) for item in items]
        options: dict[str, Any] = {"use_tqdm": False}
        if state == TUNED and self._adapter is not None:
            request = import_module("vllm.lora.request").LoRARequest
            options["lora_request"] = request("tuned", 1, self._adapter)
        outputs = self._engine.generate(inputs, params, **options)
        tokenizer = self._engine.get_tokenizer()
        stops = StopStrings(tokenizer, decoding.stop)
        for place, output in enumerate(outputs):
            yield place, [_written(one, stops, tokenizer.eos_token_id) for one in output.outputs]

    def _params(self, decoding: Decoding, item: str) -> Any:
        """The engine's settings for one prompt."""
        drawn = decoding.how == "sample"
        digest = hashlib.sha256(f"{decoding.seed}\x1f{item}".encode("utf-8", "surrogatepass")).digest()
        return self._vllm.SamplingParams(
            n=decoding.samples,
            temperature=decoding.temperature if drawn else 0.0,
            # vLLM's values for no limit
            top_k=decoding.top_k if drawn and decoding.top_k else -1,
            top_p=decoding.top_p if drawn and decoding.top_p else 1.0,
            seed=int.from_bytes(digest[:8], "big") % _SEEDS if drawn else None,
            max_tokens=decoding.new_tokens,
            min_tokens=decoding.min_new_tokens,
            repetition_penalty=decoding.repetition_penalty,
            stop=list(decoding.stop) or None,
            # the cut is ours, so that it is the same with every engine
            include_stop_str_in_output=True,
            skip_special_tokens=True,
            logprobs=0,
        )


def _rank(adapter: Path) -> int | None:
    """The least of `_RANKS` that an adapter fits into; None where its folder does not say its rank."""
    path = adapter / "adapter_config.json"
    if not is_file(path):  # a name on the hub
        return None
    config = read_json(path)
    rank = config.get("r") if isinstance(config, dict) else None
    return next((room for room in _RANKS if isinstance(rank, int) and rank <= room), None)


def _written(output: Any, stops: StopStrings, end: int | None) -> Written:
    """One text of vLLM's, which names a token that ended it as ``stop_reason`` where it is not the tokenizer's own.

    Raises:
        ModelError: it was ended by something else than the model, a stop string or its length.
    """
    if output.finish_reason not in ("stop", "length"):
        raise ModelError(
            f"vLLM gave up an answer ({shown(str(output.finish_reason), most=40)}); what was written before is kept: "
            "run the same again"
        )
    tokens = list(output.token_ids)
    stopped = output.finish_reason == "stop"
    by_string = stopped and isinstance(output.stop_reason, str)
    ended: Ended = "length" if not stopped else "stop-string" if by_string else "end"
    if ended == "end" and tokens[-1:] in ([end], [output.stop_reason]):
        tokens = tokens[:-1]
    text, stop = stops.cut(stops.text(tokens))
    log_prob = float(output.cumulative_logprob) if output.cumulative_logprob is not None else float("nan")
    return Written(text, tuple(tokens), "stop-string" if stop else ended, log_prob, stop)
