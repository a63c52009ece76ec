"""What a model writes when it is asked: answers to prompts and dialogues, greedily, by draws or by beam search.

    decoding = ll.Decoding(how="sample", temperature=0.7, top_p=0.95, samples=4, new_tokens=200, stop=("###",))
    result = ll.answer(model, prompts, decoding=decoding, chat=True)
    result.table  # a row per state, prompt and sample

`answer` takes texts, `tasks.Prompt`, `Dialogue` and `AnswerPrompt` (``id``, ``language``, ``text``), or what
`read_prompts` reads of files. Rooms that score what is written themselves call `generate` (or `iter_generated`, batch
by batch) of `latentlang.models.generation`: ``generate(model, prompts, decoding, items=ids) -> list[list[Written]]``, a
list of samples for each prompt, each with ``text``, ``tokens``, ``ended`` (``end``, ``stop-string`` or ``length``) and
``log_prob``.

Names are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentlang._lazy import lazy_names

if TYPE_CHECKING:
    from latentlang.generation.answer_prompts import AnswerPrompt
    from latentlang.generation.answer_result import AnswerResult
    from latentlang.generation.answer_run import answer
    from latentlang.generation.backends import GenerationBackend
    from latentlang.generation.prompt_files import read_prompts
    from latentlang.generation.vllm_backend import VllmBackend
    from latentlang.models.decoding import Decoding
    from latentlang.models.generation import Written, generate, iter_generated

__all__ = [
    "AnswerPrompt",
    "AnswerResult",
    "Decoding",
    "GenerationBackend",
    "VllmBackend",
    "Written",
    "answer",
    "generate",
    "iter_generated",
    "read_prompts",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "latentlang.generation.answer_prompts": ("AnswerPrompt",),
        "latentlang.generation.answer_result": ("AnswerResult",),
        "latentlang.generation.answer_run": ("answer",),
        "latentlang.generation.backends": ("GenerationBackend",),
        "latentlang.generation.prompt_files": ("read_prompts",),
        "latentlang.generation.vllm_backend": ("VllmBackend",),
        "latentlang.models.decoding": ("Decoding",),
        "latentlang.models.generation": ("Written", "generate", "iter_generated"),
    },
)
