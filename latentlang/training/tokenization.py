"""Training examples as tokens: what the model is given, what it is trained to write, and where one ends.

The rule: the input's tokens are those that the tokenizer makes of the input alone, beginning token once, because that
is what the model is given when it is asked. The output's tokens are those that the tokenizer writes on after it. Where
the two do not fit (the input's last token would merge with the output's first letters; a tokenizer that takes the
output alone would put a space before it), the input stays as it is and the output is spelled after it
(`answers.answer_paths`). Then comes the end-of-text token. The loss counts the output and the end, nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from latentlang.errors import InputError

if TYPE_CHECKING:
    from latentlang.models import HookedLM

#: What PyTorch's cross-entropy leaves out.
IGNORED = -100


class InputAndOutput(Protocol):
    """What is turned into tokens of an example."""

    @property
    def input(self) -> str:
        """What the model is given."""

    @property
    def output(self) -> str:
        """What it is trained to write."""


@dataclass(frozen=True)
class TokenizedExamples:
    """Examples as tokens, in their order.

    Attributes:
        input_ids: per example, the tokens of input, output and end.
        labels: per example, as many: the token itself where the loss counts it, else `IGNORED`.
        left_out: how many examples were longer than allowed.
        cut: how many were cut to what is allowed.
        unanswered: how many are left out because they would be cut before their answer begins.
        lengths: of packed examples, each of them a row, the tokens of the examples in it; empty where none are packed.
    """

    input_ids: list[list[int]]
    labels: list[list[int]]
    left_out: int = 0
    cut: int = 0
    unanswered: int = 0
    lengths: Sequence[Sequence[int]] = ()

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def counted(self) -> int:
        """Tokens that the loss counts."""
        return sum(label != IGNORED for labels in self.labels for label in labels)


def tokenize_examples(
    model: HookedLM, examples: Sequence[InputAndOutput], *, cutoff: int, end: bool = True
) -> TokenizedExamples:
    """Tokens of examples, by the rule above.

    Args:
        model: whose tokenizer is used, and whose context is the limit.
        examples: inputs and outputs.
        cutoff: longest input, output and end together, in tokens; longer examples are left out, never cut, since
            an output that stops anywhere teaches to stop anywhere.
        end: whether the end-of-text token follows, where there is one.

    Raises:
        InputError: the tokenizer cannot write an output.
        ModelError: the model has no tokenizer.
    """
    longest = min(cutoff, model.max_length or cutoff)
    last = end_token(model) if end else None
    inputs = model.encode([example.input for example in examples])
    wholes = model.encode([example.input + example.output for example in examples])
    outputs = [
        whole[len(before) :] if whole[: len(before)] == before else []
        for before, whole in zip(inputs, wholes, strict=True)
    ]
    _spell(model, examples, outputs)
    tokenized = TokenizedExamples([], [])
    left_out = 0
    for before, after in zip(inputs, outputs, strict=True):
        closed = [*after, *([] if last is None else [last])]
        if len(before) + len(closed) > longest:
            left_out += 1
            continue
        tokenized.input_ids.append([*before, *closed])
        tokenized.labels.append([*[IGNORED] * len(before), *closed])
    return TokenizedExamples(tokenized.input_ids, tokenized.labels, left_out)


def end_token(model: HookedLM) -> int | None:
    """The end-of-text token: the tokenizer's, else the model's; None where neither has one."""
    tokenizer_end = getattr(model.tokenizer, "eos_token_id", None)
    if tokenizer_end is not None:
        return int(tokenizer_end)
    for config in (getattr(model.lm, "generation_config", None), model.config):
        token = getattr(config, "eos_token_id", None)
        if isinstance(token, list | tuple):
            token = token[0] if token else None
        if token is not None:
            return int(token)
    return None


def padding_token(model: HookedLM) -> int:
    """A token to fill batches with; masked, so that any token that the model can embed will do."""
    from latentlang.models.anatomy import embedding_rows

    token = getattr(model.tokenizer, "pad_token_id", None)
    token = end_token(model) if token is None else token
    return 0 if token is None or token >= embedding_rows(model.lm) else int(token)


def _spell(model: HookedLM, examples: Sequence[InputAndOutput], outputs: list[list[int]]) -> None:
    """Fill in the outputs that the tokenizer does not write on after the input, in place."""
    missing = [row for row, tokens in enumerate(outputs) if not tokens]
    if not missing:
        return
    from latentlang.answers import answer_paths

    _, paths = answer_paths(
        model, [examples[row].input for row in missing], [[examples[row].output] for row in missing]
    )
    for row, ((variants),) in zip(missing, paths, strict=True):
        if not variants:
            raise InputError(
                f"the tokenizer of {model.name!r} cannot write {examples[row].output[:40]!r} after its input: it has "
                "no token for part of it"
            )
        outputs[row] = list(variants[0].tokens)
