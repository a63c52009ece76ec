"""A Hugging Face causal LM that can be read exactly, and stays as it is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentlang.arguments import Layers
from latentlang.errors import InputError, ModelError, shown
from latentlang.models import adapters
from latentlang.models.anatomy import (
    Anatomy,
    device_of,
    dissect,
    embedding_rows,
    find_head,
    find_layers,
    inner_model,
    longest_prompt,
    text_config,
)  # fmt: skip
from latentlang.models.batch import ActivationBatch, Request, check_layers, check_pools, check_sites, collect
from latentlang.models.batching_probe import BatchingProbe
from latentlang.models.block_layout import BlockLayout, find_block_layouts
from latentlang.models.bridge import BRIDGE_NAMES, build
from latentlang.models.edits import NEURON_SITES, Edit, edit_note, settle
from latentlang.models.forward import BATCH_TOKENS, Reader, Runner
from latentlang.models.interventions import Interventions, output_projection
from latentlang.models.neurons import Gate, find_gates
from latentlang.models.registry import name_of
from latentlang.models.stream_graph import StreamGraph, graph_of_text
from latentlang.models.tokenization import Encoder, PromptLike, TokenizedPrompt, prepare
from latentlang.models.tokenizer_notes import SILENT_SHARE, TokenizerNotes, silent_note
from latentlang.models.weight_sample import fingerprint
from latentlang.tasks import Prompt, Task, as_task

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

logger = logging.getLogger(__name__)

# Logits [row, chunk of the vocabulary] in float32 kept in memory at once.
_CHUNK_BYTES = 64 * 2**20
# What torch and transformers call to place or cast a model: the option of `load` that does it.
_PLACING = {
    "to": "device='cuda:0', dtype='bf16'",
    "cuda": "device='cuda'",
    "cpu": "device='cpu'",
    "float": "dtype='fp32'",
    "half": "dtype='fp16'",
    "bfloat16": "dtype='bf16'",
}


def check_loaded(model: object) -> None:
    """Refuse what is no `HookedLM`, such as a model that is not wrapped yet.

    Raises:
        InputError: it is none.
    """
    if isinstance(model, HookedLM):
        return
    raise InputError(
        f"a loaded model is needed, not {type(model).__name__}; load(...) gives one, and HookedLM(model, tokenizer) "
        "wraps a transformers model"
    )


def check_unedited(model: HookedLM, doing: str) -> None:
    """Refuse what would outlive the edits in force, or not be done by them.

    Args:
        model: the model.
        doing: what is refused: ``"a model is trained"``.

    Raises:
        InputError: an edit is in force.
    """
    if model.edits:
        raise InputError(f"{doing} within edited(...), which it would not say; do it outside")


#: Names that the package's other rooms use, and nobody at a prompt.
_INNER = frozenset({
    "adapter_state", "alone", "batching", "edits", "head", "head_chunks", "note_asked_as_text", "note_silence", "noted",
    "noticing", "reader", "stream_graph", "take_notes", "width",
})  # fmt: skip


class HookedLM:
    """Wraps a causal LM the user already has; nothing of it is copied, converted or switched.

    Reading uses the model's own forward, with hooks that are removed afterwards; training mode, gradient
    state, attention implementation, config and weights are as before.

    Args:
        model: Hugging Face causal LM, or a PEFT model around one; any dtype, device map or quantisation.
        tokenizer: its tokenizer; None where prompts will be token ids only.
        name: name for titles and provenance; the model's own where not given.
        loaded_from: the name or folder that it can be loaded by, where `name` is another.
        revision: commit, or hash of the files, where known.
        adapter: name of the adapter on it; found out where not given.
        notes: what was noticed when it was loaded.
        base: what was known of the model before the adapter was put on, as `load` has it; None where it came with it.
        quantization: how its weights were packed (``"Q4_K_M"`` of a GGUF file, ``"4bit"``), where they were.

    Attributes:
        model: the object given.
        lm: the causal LM in it; the same object where there is no PEFT wrapper.
        tokenizer: the tokenizer given.
        name: name for titles and provenance.
        loaded_from: the name or folder it was loaded by; `name`, unless the user calls it otherwise.
        revision: revision for provenance, or None.
        loading_notes: what was noticed when it was loaded.
        quantization: how its weights were packed, or None.

    Raises:
        ModelError: the model has no blocks or no head that could be found, or an adapter that is no change of its
            weights.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any = None,
        *,
        name: str | None = None,
        loaded_from: str | None = None,
        revision: str | None = None,
        adapter: str | None = None,
        notes: Sequence[str] = (),
        base: adapters.Base | None = None,
        quantization: str | None = None,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise ModelError(f"a model object is needed, not {type(model).__name__}; load(...) takes a name")
        self.model = model
        self.tokenizer = tokenizer
        self.revision = revision
        self.quantization = quantization
        for config in adapters.configs_of(model).values():
            adapters.check_kind(config)
        self.loading_notes = tuple(notes)
        self.lm = inner_model(model)
        self.config = text_config(self.lm)
        if getattr(self.lm.config, "is_encoder_decoder", False):
            raise ModelError(
                f"{type(self.lm).__name__} is no decoder-only language model, and only those are read"
            )
        self.name = name or name_of(getattr(self.lm.config, "_name_or_path", "")) or type(self.lm).__name__
        self.loaded_from = loaded_from or self.name
        self._base = base or adapters.Base.of(model)
        self._adapter, self._adapter_names = adapter, adapters.active_names(adapters.parts_of(model))
        self._encoder = Encoder(tokenizer)
        # kind of note to what was noticed in reading, in the order in which it was; None: looked for and not there
        self._noticed: dict[str, str | None] = {}
        self._said: set[str] = set()
        self._cache: dict[Hashable, Any] = {}
        self._interventions = Interventions()
        find_head(self.lm)  # a model without one is refused at once
        self.n_layers = len(find_layers(self.lm)[1])

    def __repr__(self) -> str:
        tuned = f", adapter={self.adapter!r}" if self.adapter else ""
        return f"HookedLM({self.name!r}, {type(self.lm).__name__}, n_layers={self.n_layers}{tuned})"

    def __dir__(self) -> list[str]:
        """What a shell or a notebook offers behind ``model.``: without what only this package asks a model for."""
        return sorted(name for name in super().__dir__() if name not in _INNER)

    def __getattr__(self, name: str) -> Any:
        """Names that are not there; those of TransformerLens with a word on where they are."""
        if hasattr(type(self), name):  # a property that failed: its own error
            return object.__getattribute__(self, name)
        message = f"{type(self).__name__!r} object has no attribute {name!r}"
        if name in BRIDGE_NAMES:
            message += (
                f"; it is TransformerLens': model.bridge().{name} has it, on the same weights (activations without it: "
                "model.activations, model.iter_activations)"
            )
        elif name in _PLACING:
            message += (
                f"; say where a model goes, and in which type, when it is loaded: load(..., {_PLACING[name]})"
            )
        raise AttributeError(message, name=name, obj=self)

    def __call__(self, *_args: object, **_options: object) -> Any:
        """A `HookedLM` reads; the model itself, which can be called, is `model`, and TransformerLens' is `bridge()`.

        Raises:
            TypeError: always, with where to go.
        """
        raise TypeError(
            "a HookedLM is not called; model.activations(prompts) reads, model.model is the transformers model, and "
            "model.bridge() TransformerLens' on the same weights"
        )

    # One thread at a time

    def alone(self) -> AbstractContextManager[object]:
        """A context in which no other thread runs the model through this object; they wait.

        Each forward is such a context by itself, and so are `edited`, `base` and `tuned`, which change what the model
        is for all threads. A thread within one may enter others. Direct calls of `model` take no notice of it.
        """
        return self._interventions.lock

    # What the model is

    def _once(self, what: str, find: Callable[[], Any]) -> Any:
        """What was found out at first use, apart for each adapter that may be on: heads and caches can differ."""
        part = self._first_part
        key = (what, None) if part is None or part.disable_adapters else (what, *part.active_adapters)
        if key not in self._cache:
            with self._interventions.paused():
                self._cache[key] = find()
        return self._cache[key]

    @cached_property
    def _first_part(self) -> Any:
        """Any module that an adapter sits on tells which one is on; None without one."""
        return next(iter(adapters.parts_of(self.model)), None)

    @property
    def _anatomy(self) -> Anatomy:
        """The model's parts, verified on a probe at first use."""
        anatomy: Anatomy = self._once("anatomy", lambda: dissect(self.lm, device=self.device))
        return anatomy

    @property
    def _layouts(self) -> tuple[BlockLayout, ...]:
        layouts: tuple[BlockLayout, ...] = self._once(
            "layouts", lambda: find_block_layouts(self._anatomy, device=self.device)
        )
        return layouts

    @property
    def _gates(self) -> tuple[Gate, ...]:
        """Per block what gives the values before the activation function of its MLP."""
        gates: tuple[Gate, ...] = self._once(
            "gates", lambda: find_gates(self._anatomy, self._output_projections, device=self.device)
        )
        return gates

    @property
    def batching(self) -> BatchingProbe:
        """Whether prompts may run side by side and share few-shot prefixes; each is tried when it is first needed."""
        probe: BatchingProbe = self._once(
            "batching",
            lambda: BatchingProbe(
                self._anatomy,
                device=self.device,
                vocab_size=self.vocab_size,
                name=self.name,
                interventions=self._interventions,
            ),
        )
        return probe

    @property
    def tokenizer_notes(self) -> TokenizerNotes:
        """What is worth a note of the model and its tokenizer; each is checked when it is first needed."""
        notes: TokenizerNotes = self._once(
            "tokenizer_notes",
            lambda: TokenizerNotes(self.lm, self.tokenizer, device=self.device),
        )
        return notes

    def _note_beginning(self) -> None:
        """Note, once, a beginning-of-text token that the tokenizer leaves out and the model needs."""
        if "beginning" not in self._noticed:
            with self._interventions.paused():
                beginning = self.tokenizer_notes.beginning
            self._note("beginning", beginning)

    def _note(self, kind: str, note: str | None) -> None:
        """Say, once, what was noticed in reading, and keep it for the provenance of what is read."""
        self._noticed.setdefault(kind, note)
        if note is not None and kind not in self._said:
            self._said.add(kind)
            logger.warning("%s: %s", self.name, note)

    @contextmanager
    def noticing(self) -> Iterator[dict[str, str | None]]:
        """Notice everything in the block, also what was noticed before it; gives the notes, which stay afterwards.

        So the notes of one part of a run do not depend on what the model read before.
        """
        before, self._noticed = self._noticed, {}
        inside = self._noticed
        try:
            yield inside
        finally:
            self._noticed = {**before, **{kind: inside[kind] for kind in inside if kind not in before}}

    def take_notes(self, notes: Mapping[str, str | None]) -> None:
        """Have the notes of what was read before, as `noticing` gave them; those that are there already stay."""
        for kind, note in notes.items():
            self._note(kind, note)

    def _watched(
        self, prompts: Sequence[PromptLike], readings: Iterator[ActivationBatch]
    ) -> Iterator[ActivationBatch]:
        """The readings; once per model a note, where tokens that write nothing hold much of the probability.

        Token ids may be anything; of texts one asks what is written next.
        """
        # what an edited model says is no property of the model
        watching = any(isinstance(prompt, str | Prompt) for prompt in prompts) and not self.edits
        self.note_asked_as_text(prompts)
        mass, rows = 0.0, 0
        for reading in readings:
            if watching and reading.logits is not None and "silence" not in self._noticed:
                mass += self.tokenizer_notes.silent_mass(reading.logits) * len(reading)
                rows += len(reading)
            yield reading
        self.note_silence(mass, rows)

    def note_silence(self, mass: float, rows: int) -> None:
        """Note, once, tokens that write nothing where they hold much of the probability.

        Args:
            mass: their probability, summed over the next-token distributions that were computed.
            rows: how many of these there were.
        """
        if rows and mass / rows > SILENT_SHARE and "silence" not in self._noticed and not self.edits:
            self._note("silence", silent_note(mass / rows, self.vocab_size - len(self.tokenizer)))

    @property
    def device(self) -> torch.device:
        """Where token ids go and readings come back (under a device map: where the embeddings are)."""
        return device_of(self.lm.get_input_embeddings(), torch.device("cpu"))

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the residual stream."""
        return self._anatomy.dtype

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return self._anatomy.d_model

    @property
    def vocab_size(self) -> int:
        """Number of logits; some models have more than the tokenizer has tokens."""
        return self._anatomy.vocab_size

    @property
    def max_length(self) -> int | None:
        """Longest prompt in tokens; None where the positions set no limit (ALiBi)."""
        return longest_prompt(self.lm)

    @property
    def adapter(self) -> str | None:
        """The adapter on the model, on or off: its name, or those of several, with a strength other than its own."""
        return adapters.label_of(self.model, given=self._adapter, given_names=self._adapter_names)

    @property
    def active_adapter(self) -> str | None:
        """The adapter that takes part in the forward; None within `base`, or where there is none."""
        return self.adapter if adapters.is_on(self.model) else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What results should say of this model and its adapter, a sentence each.

        What is noticed only in reading (a beginning left out, probability on tokens that write nothing) is among them
        from then on.
        """
        noticed = [note for note in self._noticed.values() if note is not None]
        return (*self.loading_notes, *self._base.notes, *noticed, *map(edit_note, self.edits))

    @property
    def noted(self) -> dict[str, Any]:
        """`notes`, `quantization`, `edits` and where it was loaded from, as settings for a result's provenance.

        Nothing of what there is none.
        """
        return {
            **({"model_loaded_from": self.loaded_from} if self.loaded_from != self.name else {}),
            **({"model_notes": list(self.notes)} if self.notes else {}),
            **({"model_quantization": self.quantization} if self.quantization else {}),
            **({"model_edits": self.edits} if self.edits else {}),
        }

    @property
    def edits(self) -> list[dict[str, Any]]:
        """The edits in force (`edited`), as provenance has them: what is done where, with a hash of its numbers."""
        return self._interventions.records

    @property
    def adapter_state(self) -> dict[str, Any] | None:
        """The adapters that take part, with their strengths; None for one alone at its own, or none at all."""
        return adapters.state_of(self.model)

    # Words to tokens

    def encode(self, texts: Sequence[str | Prompt]) -> list[list[int]]:
        """Tokens of each text, as the tokenizer makes them: its beginning token once, no end token.

        Raises:
            ModelError: the model was given without a tokenizer.
        """
        if isinstance(texts, str | Prompt):
            raise ModelError("give a list of texts, not a single one")
        self.note_asked_as_text(texts)
        return self._encoder.encode(texts)

    def tokenize(self, prompts: Sequence[PromptLike]) -> list[TokenizedPrompt]:
        """Prompts as tokens, with which of them hold the question and the few-shot prefix; to be read as they are.

        Raises:
            ModelError: a prompt is text, and the model was given without a tokenizer.
        """
        if isinstance(prompts, str | Prompt | TokenizedPrompt):
            raise ModelError("give a list of prompts, not a single one")
        self.note_asked_as_text(prompts)
        return self._encoder.tokenize(prompts)

    def chat(self, task: str | Task) -> Task:
        """A task asked as in a chat, in the template of this model's tokenizer: for instruct models.

        Few-shot examples become turns, and the answer is looked for in the assistant's first token (see
        `models.chat`). The result goes wherever a task does: ``ll.logit_lens(model, model.chat("translation"), ...)``.

        Args:
            task: a task or the name of one.

        Raises:
            InputError: no such task, or one that is no chat.
            ModelError: the tokenizer has no chat template.
        """
        from latentlang.models.chat import ChatTask

        chat = ChatTask(as_task(task), self.tokenizer, model=self.name)
        self._note_template(asked="in the chat template of its tokenizer", chat=True)
        return chat

    def note_asked_as_text(self, prompts: Sequence[PromptLike]) -> None:
        """Note, once, prompts of a task as text where training saw a chat template."""
        if any(isinstance(prompt, Prompt) and not prompt.templated for prompt in prompts):
            self._note_template(asked="as text", chat=False)

    def _note_template(self, *, asked: str, chat: bool) -> None:
        """Note, once, that tasks are asked otherwise than the instructions that were trained on.

        Args:
            asked: how, in words.
            chat: whether in the chat template of the tokenizer.
        """
        trained = self._trained_template
        if "template" not in self._noticed and trained is not None and (trained == "chat") != chat:
            what = "adapter" if self.adapter else "model"
            note = f"asked {asked}, and the {what} was trained in the template {shown(trained, most=60)}"
            self._note("template", note)

    @cached_property
    def _trained_template(self) -> str | None:
        """The template that training saw instructions in, where its folder says so."""
        from latentlang.models.training_notes import trained_template

        given = self.adapter or self.loaded_from
        return trained_template(Path(given)) if given else None

    # Residual stream to logits

    def norm(self, hidden: Tensor) -> Tensor:
        """Final norm of residual states ``[..., d_model]``, with each state's own statistics.

        Includes the output projection of the few models that have one (OPT-350m). Gradients flow where
        `hidden` asks for them.
        """
        # a module's hooks are those of a forward that another thread may be in
        with self.alone(), torch.set_grad_enabled(torch.is_grad_enabled() and hidden.requires_grad):
            return self._anatomy.norm(hidden.to(self._anatomy.dtype))

    def head(self, normed: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Logits of normed states, with the model's scale and soft-cap, for the whole vocabulary or a slice of it.

        Args:
            normed: ``[..., d_model]`` from `norm`.
            start: first token id.
            stop: one past the last token id; None for the vocabulary's end.

        Returns:
            float32 ``[..., stop - start]``.
        """
        head: Any = self._anatomy.head
        start, stop, _step = slice(start, stop).indices(self.vocab_size)
        with self.alone(), torch.set_grad_enabled(torch.is_grad_enabled() and normed.requires_grad):
            normed = normed.to(device_of(head, normed.device))
            weight = getattr(head, "weight", None)
            # a dynamically quantised module has a method of this name
            if isinstance(weight, Tensor) and weight.is_floating_point():
                normed = normed.to(weight.dtype)
            # a quantised, adapted or off-loaded head can only be run whole
            plain = type(head) is nn.Linear and not hasattr(head, "_hf_hook")
            if plain and (start, stop) != (0, self.vocab_size):
                bias = None if head.bias is None else head.bias[start:stop]
                logits = F.linear(normed, head.weight[start:stop], bias)
            else:
                # some quantised kernels take no single vector
                logits = head(normed[None] if normed.ndim == 1 else normed)[..., start:stop]
                logits = logits[0] if normed.ndim == 1 else logits
            return self._anatomy.finish(logits).float()

    def unembed(self, hidden: Tensor) -> Tensor:
        """Logits that residual states would have if they were the last block's output.

        Final norm, head, scale and soft-cap are the model's own, so the last layer gives the model's own
        logits.

        Args:
            hidden: ``[..., d_model]``, before the final norm.

        Returns:
            float32 ``[..., vocab]``.
        """
        return self.head(self.norm(hidden))

    def head_chunks(self, rows: int) -> Iterator[tuple[int, int]]:
        """Slices ``(start, stop)`` of the vocabulary; the logits of so many rows over one take about 64 MiB."""
        size = max(_CHUNK_BYTES // (4 * max(rows, 1)), 256)
        for start in range(0, self.vocab_size, size):
            yield start, min(start + size, self.vocab_size)

    # Prompts to residual streams

    def iter_activations(
        self,
        prompts: Sequence[PromptLike],
        *,
        layers: Layers = "all",
        positions: str | Sequence[int] | Sequence[Sequence[int]] = "last",
        sites: str | Sequence[str] = ("resid",),
        pools: str | Sequence[str] | None = None,
        logits: bool = True,
        share_prefix: bool = True,
        batch_tokens: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Iterator[ActivationBatch]:
        """Read prompts, batch by batch, in an order that runs fast; `ActivationBatch.index` says which is which.

        Args:
            prompts: texts, `Prompt` objects, token ids, or what `tokenize` made of them.
            layers: ``"all"``, layer numbers, or ``"0,4,8-12"``: 0 the embeddings entering block 1, l the stream after
                block l; the last one before the final norm. Negative ones count from the end.
            positions: ``"last"`` token, ``"all"``, token indices (negative: from each prompt's end), or a
                list of them per prompt.
            sites: ``resid``, and inside the blocks ``attn_out``, ``mlp_out``, ``resid_mid``, and ``mlp_post``, the
                neurons: what enters the MLP's output projection; with these, ``layers="all"`` starts at 1.
            pools: average over a span instead, in float32: ``mean`` (whole prompt), ``mean_no_bos``,
                ``question`` (of a `Prompt`; a token on its border counts), or ``last``. Several, as a list,
                come from one forward, along an axis of their own (`ActivationBatch.pools`): averages in the order
                asked for, then ``last``.
            logits: whether the model's own next-token logits are kept.
            share_prefix: whether few-shot prefixes that prompts begin with are run once; readings are the same to
                rounding.
            batch_tokens: tokens run at once (by device); halved, and resumed, when memory ends.
            progress: called after each batch with prompts done and prompts in all.

        Raises:
            ModelError: an option or a prompt cannot be used; the model cannot be read; an activation is NaN or
                infinite; one prompt is too much for the memory.
        """
        reader = self.reader(
            layers=layers, positions=positions, sites=sites, pools=pools, logits=logits, share_prefix=share_prefix,
            batch_tokens=batch_tokens,
        )  # fmt: skip
        return self._watched(prompts, reader.stream(prompts, progress=progress))

    def activations(
        self,
        prompts: Sequence[PromptLike],
        *,
        layers: Layers = "all",
        positions: str | Sequence[int] | Sequence[Sequence[int]] = "last",
        sites: str | Sequence[str] = ("resid",),
        pools: str | Sequence[str] | None = None,
        logits: bool = True,
        share_prefix: bool = True,
        batch_tokens: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> ActivationBatch:
        """Read all prompts at once, in their order; options and errors as in `iter_activations`."""
        reader = self.reader(
            layers=layers, positions=positions, sites=sites, pools=pools, logits=logits, share_prefix=share_prefix,
            batch_tokens=batch_tokens,
        )  # fmt: skip
        items = reader.prepare(prompts)
        return collect(
            self._watched(prompts, reader.runner.run(items, progress)),
            total=len(items),
            width=max(len(item.positions) for item in items),
        )

    def reader(
        self,
        *,
        layers: Layers = "all",
        positions: str | Sequence[int] | Sequence[Sequence[int]] = "last",
        sites: str | Sequence[str] = ("resid",),
        pools: str | Sequence[str] | None = None,
        logits: bool = True,
        share_prefix: bool = True,
        batch_tokens: int | None = None,
        finite: bool = True,
        normed_last: bool = False,
    ) -> Reader:
        """What reads list after list of prompts in one way; options as in `iter_activations`.

        With ``finite=False`` NaN and infinite activations are not refused, for a caller that looks for them itself.
        With `normed_last`, ``resid`` of the last layer is what stands behind the final norm, as in Hugging Face's
        ``hidden_states[-1]``: for comparison with what others published, not for a lens, which norms it itself.

        Raises:
            ModelError: an option cannot be used, or the model cannot be read.
        """
        names = check_sites(sites)
        self._note_beginning()
        numbers = check_layers(layers, depth=self.n_layers, sites=names)
        averages_first = sorted(check_pools(pools), key=lambda name: name == "last")
        if batch_tokens is not None and batch_tokens < 1:
            raise ModelError(f"batch_tokens must be at least 1, not {batch_tokens}")
        inside = any(name not in ("resid", "mlp_post") for name in names)
        projections = self._neurons_of(numbers) if "mlp_post" in names else ()
        if "resid_mid" in names and self._layouts[0].parallel:
            raise ModelError(
                f"{type(self.lm).__name__} runs attention and MLP side by side, so it has no site 'resid_mid' "
                "between them; read 'attn_out' and 'mlp_out'"
            )
        # one name as it stands gives no axis of pools; a list of one gives an axis of length one
        several = pools is not None and (not isinstance(pools, str) or len(averages_first) > 1)
        last = isinstance(positions, str) and positions == "last"
        request = Request(
            layers=numbers, sites=names, pooled=any(name != "last" for name in averages_first),
            squeezed=not several and (bool(averages_first) or last), logits=logits,
            pools=tuple(averages_first) if several else (), normed_last=normed_last,
        )  # fmt: skip
        runner = Runner(
            self._anatomy,
            self._layouts if inside else (),
            request,
            device=self.device,
            vocab_size=self.vocab_size,
            batch_tokens=batch_tokens or BATCH_TOKENS.get(self.device.type, BATCH_TOKENS["cpu"]),
            batching=self.batching,
            share_prefix=share_prefix,
            finite=finite,
            interventions=self._interventions,
            projections=projections,
        )
        check = partial(
            prepare, self._encoder, positions=positions, pools=tuple(averages_first), max_length=self.max_length,
            rows=embedding_rows(self.lm),
        )  # fmt: skip
        return Reader(runner, check)

    # Gradients of the stream

    def stream_graph(self, ids: Sequence[int], *, layers: Sequence[int], copies: int = 1) -> StreamGraph:
        """Run one text so that what the last block gives can be differentiated by the stream after earlier ones.

        Args:
            ids: the text's tokens.
            layers: layer numbers in rising order, all before the last; 0 is the embeddings entering block 1.
            copies: how often the text runs side by side.

        Raises:
            ModelError: layers that are none, or not in rising order.
        """
        numbers = list(layers)
        if not numbers or numbers != sorted(set(numbers)) or numbers[0] < 0 or numbers[-1] >= self.n_layers:
            raise ModelError(
                f"gradients are taken of layers 0 to {self.n_layers - 1}, in rising order, not of {numbers}"
            )
        with self.alone():
            return graph_of_text(self._anatomy, ids, layers=numbers, copies=copies, device=self.device)

    # Edits, adapters and surgery

    @contextmanager
    def edited(self, edits: Edit | Sequence[Edit]) -> Iterator[None]:
        """A context in which the model runs with edits of its activations; afterwards it is as before.

        All that is read inside is of the edited model, and so are direct calls of ``model.model``, its ``generate``
        among them. Edits inside other edits see what those left. Of a few-shot prefix only what stands before the
        first edited token is shared.

        Args:
            edits: one or several, made in their order.

        Raises:
            InputError: what is given is no edit.
            ModelError: a layer, a site or a width that this model does not have, numbers of another model, or numbers
                found with another adapter on.
        """
        listed = [edits] if isinstance(edits, Edit) else list(edits)
        known = {edit.weights for edit in listed if isinstance(edit, Edit) and edit.weights is not None}
        # a sample of every weight is read for it: not for edits that do not ask
        if known and known != {fingerprint(self.model)}:
            raise ModelError(
                f"an edit's numbers come from a model of other weights than {self.name!r} (another model, adapter, "
                "dtype or quantisation); find directions in activations of this one, or make the edit of the numbers "
                "alone: Edit.add(directions.vector(...), layers=...)"
            )
        self._check_adapter(listed)
        sites = {edit.site for edit in listed if isinstance(edit, Edit)}
        projections = self._output_projections if sites & {*NEURON_SITES} else ()
        settled = [
            settle(
                edit,
                depth=self.n_layers,
                d_model=self.d_model,
                neurons=projections[0][1] if projections else None,
            )
            for edit in listed
        ]
        context = self._interventions.applied(
            settled,
            lm=self.lm,
            layers=self._anatomy.layers,
            layouts=self._layouts if sites & {"attn_out", "mlp_out"} else (),
            projections=[module for module, _neurons in projections],
            gates=self._gates if "mlp_pre" in sites else (),
        )
        with context:
            yield

    def _check_adapter(self, edits: Sequence[Edit]) -> None:
        """Refuse edits whose numbers were found with another adapter on, or with none.

        Raises:
            ModelError: naming both states.
        """
        known = [edit.adapter for edit in edits if isinstance(edit, Edit) and edit.adapter is not None]
        if not known:
            return
        now = adapters.AdapterState(self.active_adapter, self.adapter_state)
        for state in known:
            if not state.agrees(now):
                raise ModelError(
                    f"an edit's numbers were found with {state.said}, and {self.name!r} has {now.said} here; use it in "
                    "the state it was found in (model.tuned(), model.base()), or make the edit of the numbers alone: "
                    "Edit.add(directions.vector(...), layers=...)"
                )

    @property
    def _output_projections(self) -> list[tuple[nn.Module, int]]:
        """Per block the module that leads from the neurons back to the stream, and how many neurons there are."""
        return [output_projection(layer, self.d_model) for layer in self._anatomy.layers]

    def _neurons_of(self, layers: Sequence[int]) -> tuple[nn.Module, ...]:
        """Per block the MLP's output projection, for reading what enters it at some layers.

        Raises:
            ModelError: the layers have different numbers of neurons, or no one such projection.
        """
        projections = self._output_projections
        widths = {layer: projections[layer - 1][1] for layer in layers}
        other = next((layer for layer in layers if widths[layer] != widths[layers[0]]), None)
        if other is not None:
            raise ModelError(
                f"layer {layers[0]} has {widths[layers[0]]} neurons and layer {other} has {widths[other]}, and the "
                "site 'mlp_post' is read at layers of one number; ask for them one after the other (layers=)"
            )
        return tuple(module for module, _neurons in projections)

    def width(self, site: str = "resid", layer: int = 1) -> int:
        """How many numbers a site has at a token: `d_model`, or of ``mlp_post`` the neurons of a block.

        Raises:
            ModelError: an unknown site, or neurons that do not enter one projection.
        """
        (name,) = check_sites([site])
        return self._output_projections[layer - 1][1] if name == "mlp_post" else self.d_model

    def base(self) -> AbstractContextManager[None]:
        """A context in which the adapter is off; the same weights. Without an adapter it changes nothing.

        Where the adapter's kind rewrote weights (PiSSA, OLoRA, embeddings of its own), the original ones are in place.

        Raises:
            ModelError: the model without the adapter cannot be had, or an edit in force was found with it on.
        """
        adapters.check_base(self.model, self._base)
        return self._switched(on=False)

    def tuned(self) -> AbstractContextManager[None]:
        """A context in which the adapter is on.

        Raises:
            ModelError: there is no adapter, it changes no logit on a probe prompt, or an edit in force was found with
                it off.
        """
        with self._interventions.paused():
            adapters.check_effect(self.model, self.lm, self._base, device=self.device, name=self.adapter)
        return self._switched(on=True)

    @contextmanager
    def _switched(self, *, on: bool) -> Iterator[None]:
        with self.alone(), adapters.switched(self.model, self._base, on=on):
            self._check_adapter(self._interventions.edits)
            yield

    def bridge(self) -> TransformerBridge:
        """A TransformerLens bridge on the same weight tensors, for patching and ablation.

        It has a module tree of its own, so this model stays as it is; a weight changed in place through the
        bridge is changed here too. An adapter comes along, on or off as it is now.

        Raises:
            ModelError: TransformerLens is not installed, or cannot take this model.
        """
        check_unedited(self, "a bridge is made")
        if self._base.in_place and self._base.slots:
            raise ModelError(
                "the adapter rewrote weights, and the original ones are in place only within base(); for a bridge on "
                "them load the model without the adapter"
            )
        return build(self.lm, self.tokenizer, loaded_from=self.loaded_from)
