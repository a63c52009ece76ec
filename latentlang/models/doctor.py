"""A check-up of a user's own model: is it read exactly, and which languages can be read on it?"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from latentlang.answers import answer_sets, select_tokens, token_bytes
from latentlang.errors import InputError, ModelError
from latentlang.language_names import GROUPS
from latentlang.models.hooked import HookedLM
from latentlang.models.tokenizer_notes import SILENT_SHARE, silent_note
from latentlang.tasks import Prompt, task
from latentlang.text import counted

Verdict = Literal["ok", "note", "fault"]

# Largest |lens - model| of the last layer's logits over their spread: what TransformerLens' own check measured (fp32 up
# to 2e-6, bf16 below 1e-2, a wrong readout 0.7 and more).
TOLERANCE = {torch.float32: 2e-6, torch.float64: 2e-6}
TOLERANCE_HALF = 1e-2
# Hidden states of a batch against each prompt alone, over their scale: kernels round differently by shape.
_BATCH_TOLERANCE, _BATCH_TOLERANCE_HALF = 1e-5, 5e-2
_PROBE_LANGUAGES = ("en", "ja", "hi", "ru")
_REFERENCE_ITEMS = 500
_GIB = 2**30


@dataclass(frozen=True)
class Finding:
    """One thing that was checked.

    Attributes:
        check: what.
        verdict: ``ok``; ``note`` for what is worth knowing; ``fault`` for what makes readings wrong or impossible.
        detail: the measured value, in words.
    """

    check: str
    verdict: Verdict
    detail: str


def check_up(model: HookedLM, *, progress: Callable[[str], None] | None = None) -> list[Finding]:
    """Check a model: exactness, precision, context length, tokenizer, languages, memory and speed.

    The model is the same afterwards; that is one of the checks.

    Args:
        model: the model.
        progress: called with each check's name before it runs.
    """
    findings: list[Finding] = []
    with torch.inference_mode():
        # transformers hangs hooks of its own into a model when hidden states are first asked for, and leaves them
        model.lm(torch.tensor([[0]], device=model.device), output_hidden_states=True, use_cache=False)
    before = _fingerprint(model)
    for name, check in _CHECKS.items():
        if progress is not None:
            progress(name)
        try:
            findings += [Finding(name, verdict, detail) for verdict, detail in check(model)]
        except InputError as error:
            findings.append(Finding(name, "fault", str(error)))
    same = _fingerprint(model) == before
    findings.append(
        Finding("untouched", "ok", "weights, hooks, mode and settings are as before")
        if same
        else Finding("untouched", "fault", "the model object was changed by reading it; please report this")
    )
    return findings


def _fingerprint(model: HookedLM) -> tuple[object, ...]:
    lm = model.lm
    weights = tuple((name, value.data_ptr()) for name, value in lm.state_dict().items())
    hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in lm.modules())
    return weights, hooks, lm.training, lm.config.to_json_string(), torch.is_grad_enabled()


def _prompts(model: HookedLM) -> list[Prompt]:
    """Reviews in several scripts with as many shots as fit."""
    for shots in (2, 1, 0):
        prompts = [
            prompt
            for code in _PROBE_LANGUAGES
            for prompt in task("sentiment").prompts(code, items=2, shots=shots)
        ]
        if model.max_length is None or max(map(len, model.encode(prompts))) <= model.max_length:
            return prompts
    return prompts


def _exactness(model: HookedLM) -> Iterator[tuple[Verdict, str]]:
    prompts = _prompts(model)
    reading = model.activations(prompts)
    logits = reading.logits
    assert logits is not None
    difference = _relative(model.unembed(reading.resid[:, -1]), logits, logits.max() - logits.min())
    allowed = TOLERANCE.get(model.dtype, TOLERANCE_HALF)
    yield (
        "ok" if difference <= allowed else "fault",
        f"last layer against the model's own logits: {difference:.1e} of their spread (at most {allowed:.0e})",
    )
    # not against `output_hidden_states`: what that holds differs by architecture (RWKV's lacks the embeddings)
    alone = torch.cat([model.activations([prompt], share_prefix=False).resid for prompt in prompts])
    difference = _relative(reading.resid, alone, alone.abs().max())
    allowed = _BATCH_TOLERANCE if model.dtype in TOLERANCE else _BATCH_TOLERANCE_HALF
    yield (
        "ok" if difference <= allowed else "fault",
        f"every layer in a batch against the prompt alone: {difference:.1e} of scale (at most {allowed:.0e})",
    )
    if (reason := model.batching.one_by_one) is not None:
        yield "note", f"prompts are run one by one: {reason}"


def _relative(a: Tensor, b: Tensor, scale: Tensor) -> float:
    return float((a.float() - b.float()).abs().max() / scale.float().clamp_min(1e-12))


def _sharing(model: HookedLM) -> Iterator[tuple[Verdict, str]]:
    reason = model.batching.why_not_shared(max(map(len, model.encode(_prompts(model)))))
    if reason is None:
        yield "ok", "few-shot prefixes are run once"
    else:
        yield "note", f"few-shot prefixes are run with every prompt: {reason}"


def _adapter(model: HookedLM) -> Iterator[tuple[Verdict, str]]:
    if model.adapter is None:
        return
    for note in model.notes:
        yield "note", note
    try:
        with model.base():
            pass
    except ModelError as error:
        if not model.notes:
            yield "note", str(error)
        return
    try:
        with model.tuned():
            yield (
                "ok",
                f"{model.adapter} changes the model, and without it the model is the one it was put on",
            )
    except ModelError as error:
        yield "fault", str(error)


def _precision(model: HookedLM) -> Iterator[tuple[Verdict, str]]:
    quantised = getattr(model.lm.config, "quantization_config", None)
    attention = getattr(model.lm.config, "_attn_implementation", "?")
    kind = str(model.dtype).removeprefix("torch.") + (", quantised" if quantised else "")
    if model.quantization is not None:
        kind += f" ({model.quantization})" if quantised else f", dequantised from {model.quantization}"
    yield "ok", f"{kind} on {model.device}, attention {attention}"


def _context(model: HookedLM) -> Iterator[tuple[Verdict, str]]:
    longest = max(map(len, model.encode([*_prompts(model)])))
    if model.max_length is None:
        yield "ok", "no fixed limit"
    elif longest > model.max_length:
        yield "fault", f"{model.max_length} tokens; a review alone takes {longest}"
    else:
        yield "ok", f"{model.max_length} tokens; 2-shot sentiment takes up to {longest}"


def _tokenizer(model: HookedLM) -> Iterator[tuple[Verdict, str]]:
    table = token_bytes(model.tokenizer)
    extra = model.vocab_size - len(table)
    unused = f"; the model has {extra} logits more" if extra > 0 else ""
    yield (
        "ok",
        f"{table.family}, {table.writing} tokens that write text{unused}; round trip of {table.probes} short texts",
    )
    for note in (*model.loading_notes, model.tokenizer_notes.beginning):
        if note is not None:
            yield "note", note
    logits = model.activations(_prompts(model), layers=[-1]).logits
    assert logits is not None
    mass = model.tokenizer_notes.silent_mass(logits)
    if mass > SILENT_SHARE:
        yield "note", silent_note(mass, extra)
    else:
        yield "ok", f"{mass:.2%} of the probability on tokens that write nothing"


def _languages(model: HookedLM) -> Iterator[tuple[Verdict, str]]:
    table = token_bytes(model.tokenizer)
    for name in ("sentiment", "translation"):
        probe_task = task(name) if name == "sentiment" else task(name, source="fr")
        codes = [code for code in GROUPS["paper20"] if code in probe_task.languages and code != "en"]
        cue = probe_task.prompts(codes[0], items=1)[0].cue
        whole: list[str] = []
        lost: list[str] = []
        for code in codes:
            strings = {c: dict(probe_task.answers(c)) for c in (code, "en")}
            sets = answer_sets(table, strings, cue=cue, scope="any" if probe_task.closed else "same")
            usable = [select_tokens(sets, code, label).usable for label in sets.labels(code)]
            (whole if sum(usable) > len(usable) / 2 else lost).append(code)
        text = (
            f"{name}: {len(whole)} of {len(codes)} languages have answer tokens of their own beside English"
        )
        yield "ok" if not lost else "note", text + (f" (not {', '.join(lost)})" if lost else "")


def _memory(model: HookedLM) -> Iterator[tuple[Verdict, str]]:
    weights = sum(p.numel() * p.element_size() for p in model.lm.parameters())
    reading = (model.n_layers + 1) * model.d_model * 4
    yield (
        "ok",
        f"weights {weights / _GIB:.2f} GiB; all layers at one position {reading / 2**20:.2f} MiB a prompt",
    )


def _speed(model: HookedLM) -> Iterator[tuple[Verdict, str]]:
    prompts = _prompts(model)
    tokens = sum(map(len, model.encode(prompts)))
    model.activations(prompts, share_prefix=False)
    started = time.perf_counter()
    model.activations(prompts, share_prefix=False)
    seconds = max(time.perf_counter() - started, 1e-6)
    whole = seconds / len(prompts) * _REFERENCE_ITEMS * len(GROUPS["paper20"]) / 60
    yield (
        "ok",
        f"{tokens / seconds:,.0f} tokens/s in a small batch; sentiment, 20 languages x {_REFERENCE_ITEMS} items: "
        f"at most {counted(math.ceil(whole), 'minute')}",
    )


_CHECKS: dict[str, Callable[[HookedLM], Iterator[tuple[Verdict, str]]]] = {
    "exactness": _exactness,
    "shared prefixes": _sharing,
    "adapter": _adapter,
    "precision": _precision,
    "context": _context,
    "tokenizer": _tokenizer,
    "languages": _languages,
    "memory": _memory,
    "speed": _speed,
}
