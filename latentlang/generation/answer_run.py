"""A model answers prompts, without its adapter and with it: what it says, why it ended, and in which language."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd

from latentlang.arguments import checked_call
from latentlang.errors import InputError
from latentlang.generation.answer_prompts import AnswerPrompt, PromptWriter, as_prompts
from latentlang.generation.answer_result import COLUMNS, UNDECIDED, AnswerResult
from latentlang.generation.answer_settings import AnswerSettings
from latentlang.generation.backends import GenerationBackend, LocalBackend
from latentlang.generation.kept_answers import answers_in, written_or_kept
from latentlang.instructions.dialogues import Dialogue
from latentlang.instructions.text_parts import prose
from latentlang.language_id import Backend, LanguageIdentifier, py3langid_backend
from latentlang.language_names import Language
from latentlang.language_names import languages as find_languages
from latentlang.models import HookedLM, as_model
from latentlang.models.decoding import Decoding, check_no_repeat
from latentlang.models.fingerprint import model_identity
from latentlang.models.generation import Written
from latentlang.models.hooked import check_unedited
from latentlang.models.states import TUNED, chosen_states
from latentlang.progress import ProgressOption, reporting
from latentlang.provenance import Provenance
from latentlang.tasks import Prompt


@checked_call
def answer(
    model: HookedLM | str,
    prompts: str | Dialogue | Prompt | AnswerPrompt | Sequence[str | Dialogue | Prompt | AnswerPrompt],
    *,
    decoding: Decoding | None = None,
    language: str | None = None,
    chat: bool = False,
    template: str | None = None,
    states: str | Sequence[str] | None = None,
    among: str | Language | Iterable[str | Language] | None = None,
    identify: bool = True,
    identifier: Backend | None = None,
    backend: GenerationBackend | None = None,
    data: Sequence[str] | None = None,
    batch_tokens: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: ProgressOption = True,
    keep: Callable[[AnswerResult], None] | None = None,
) -> AnswerResult:
    """Let a model answer: what it writes, why it ended, how likely it was, and in which language it is.

    Args:
        model: the model, or its name; it is not changed.
        prompts: a text, a `Dialogue` (its last answer is left out), a task's `Prompt`, or several; `read_prompts` reads
            files.
        decoding: how it writes; None for greedily, 128 tokens at most.
        language: that answers should be in, for prompts that do not say it.
        chat: whether the chat template of the model's tokenizer is used.
        template: a prompt template's name (``alpaca``), or a text with ``{instruction}`` in it; without one texts are
            gone on with as they are.
        states: ``base``, ``tuned`` (with the adapter), or both; None for all the model has.
        among: languages that answers may be in, for telling them apart; by default the target languages, and English.
        identify: whether the language of each answer is told.
        identifier: tells languages of one script apart; py3langid by default where it is installed, else script alone.
        backend: what runs the model; the loaded model itself by default.
        data: files that the prompts were read from, for the provenance.
        batch_tokens: see `HookedLM.iter_activations`.
        resume: a folder where the answers to each prompt are kept as soon as they are written, so that the same call
            goes on where one was stopped; delete it when the result is saved. None keeps nothing.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (prompts done, prompts in all); every state counts.
        keep: called after each state with the result so far, so that it can be saved.

    Raises:
        InputError: no prompt, an empty one or an id that is there twice; settings that make no sense, or break a
            language with this tokenizer; or a state that the model does not have.
        ModelError: no chat template, a prompt that is too long, or logits that are NaN or infinite.
    """
    loaded = as_model(model)
    check_unedited(loaded, "a model answers")
    how = decoding or Decoding()
    listed = as_prompts(prompts, language=language)
    state_names = chosen_states(loaded, states)
    check_no_repeat(how, loaded.tokenizer)
    writer = PromptWriter(loaded.tokenizer, model=loaded.name, chat=chat, template=template)
    tokenized = [list(one.ids) for one in loaded.tokenize([writer.write(prompt) for prompt in listed])]
    engine = backend or LocalBackend(loaded, batch_tokens=batch_tokens)
    engine.check(how, state_names)
    told = _identifier(listed, among, identifier) if identify else None
    settings = AnswerSettings(
        decoding=how.record, states=state_names, **writer.settings, backend=engine.name,
        backend_settings=dict(engine.settings), identifier=None if told is None else told.name,
        among=[] if told is None else list(told.languages), data=None if data is None else list(data),
    )  # fmt: skip
    rows: list[dict[str, Any]] = []

    def result_so_far() -> AnswerResult:
        provenance = Provenance(
            model=loaded.name, revision=loaded.revision,
            adapter=loaded.adapter if TUNED in state_names else None, task="answers",
            languages=tuple(dict.fromkeys(prompt.language for prompt in listed if prompt.language)), policy="",
            seed=how.seed, settings={**settings.stored(), **loaded.noted},
        )  # fmt: skip
        return AnswerResult(table=pd.DataFrame(rows, columns=list(COLUMNS)), provenance=provenance)

    def all_depends_on() -> dict[str, Any]:
        # what a prompt is asked as, its tokens, is each answer's own
        return {
            "model": model_identity(loaded), "decoding": how.record, "backend": engine.name,
            "backend_settings": dict(engine.settings),
        }  # fmt: skip

    total, done = len(listed) * len(state_names), 0
    with (
        reporting(progress, "answering", things="prompts", total=total) as report,
        answers_in(resume, all_depends_on) as kept,
    ):
        for state in state_names:
            texts = written_or_kept(
                tokenized, [prompt.id for prompt in listed],
                lambda some, ids, state=state: engine.write(some, how, items=ids, state=state),  # type: ignore[misc]
                state=state, kept=kept, progress=lambda here, _of, done=done: report(done + here, total),  # type: ignore[misc]
            )  # fmt: skip
            rows += [
                _row(state, prompt, sample, one, told)
                for prompt, samples in zip(listed, texts, strict=True)
                for sample, one in enumerate(samples)
            ]
            done += len(listed)
            if keep is not None:
                keep(result_so_far())
    return result_so_far()


def _row(
    state: str, prompt: AnswerPrompt, sample: int, written: Written, identifier: LanguageIdentifier | None
) -> dict[str, Any]:
    answered, reason = None, ""
    if identifier is not None:
        identified = identifier.identify(prose(written.text))
        answered, reason = identified.language or UNDECIDED, identified.reason
    return {
        "state": state, "id": prompt.id, "language": prompt.language, "sample": sample, "prompt": prompt.text,
        "answer": written.text, "ended": written.ended, "tokens": len(written.tokens), "log_prob": written.log_prob,
        "answered": answered, "reason": reason,
    }  # fmt: skip


def _identifier(
    prompts: Sequence[AnswerPrompt],
    among: str | Language | Iterable[str | Language] | None,
    backend: Backend | None,
) -> LanguageIdentifier:
    asked = dict.fromkeys(prompt.language for prompt in prompts if prompt.language)
    codes = [*asked, "en"] if among is None else [entry.code for entry in find_languages(among)]
    if missing := [code for code in asked if code not in codes]:
        raise InputError(
            f"answers are asked for in {missing[0]!r}, which is not among the languages told apart "
            f"({', '.join(codes)}); add it to among"
        )
    if backend is None:
        try:
            backend = py3langid_backend()
        except InputError:
            backend = None  # by script alone, as the provenance says
    return LanguageIdentifier(list(dict.fromkeys(codes)), backend=backend)
