"""Dialogues as tokens: every answer is learnt, and nothing else; texts that are too long are left out or cut.

The rule is that of `latentlang.training.tokenization`, from answer to answer: what comes before an answer has the
tokens that it has when the model is asked, and the answer those that the tokenizer writes on after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from latentlang.errors import InputError
from latentlang.instructions.prompt_templates import DialoguePiece
from latentlang.tasks import Prompt
from latentlang.training.tokenization import IGNORED, TokenizedExamples, end_token

if TYPE_CHECKING:
    from latentlang.models import HookedLM

#: What becomes of an example that is too long: it is left out, or cut at the limit.
Overlong = Literal["drop", "cut"]


def tokenize_pieces(
    model: HookedLM,
    examples: Sequence[Sequence[DialoguePiece]],
    *,
    cutoff: int,
    end: bool = True,
    overlong: Overlong = "drop",
    templated: bool = False,
) -> TokenizedExamples:
    """Tokens of examples that are made of pieces, with labels where a piece is an answer.

    Args:
        model: whose tokenizer is used, and whose context is the limit.
        examples: each as its pieces, prompts and answers in turn.
        cutoff: longest example in tokens.
        end: whether the end-of-text token follows each answer, where there is one.
        overlong: what becomes of longer ones. Of one that is cut before its first answer nothing would be learnt: it is
            left out, and counted as `TokenizedExamples.unanswered`.
        templated: whether a chat template wrote the texts, special tokens and all; then no end is added.

    Raises:
        InputError: the tokenizer cannot write an answer.
        ModelError: the model has no tokenizer.
    """
    longest = min(cutoff, model.max_length or cutoff)
    last = end_token(model) if end and not templated else None
    writers = [_Written(model, last, templated=templated) for _ in examples]
    for place in range(max(map(len, examples), default=0)):
        rows = [row for row, pieces in enumerate(examples) if place < len(pieces)]
        _write(model, [writers[row] for row in rows], [examples[row][place] for row in rows])
    input_ids, labels = [], []
    left_out = cut = unanswered = 0
    for writer in writers:
        ids, counted = writer.ids, writer.labels
        if len(ids) > longest:
            if overlong == "drop":
                left_out += 1
                continue
            ids, counted = ids[:longest], counted[:longest]
            if all(label == IGNORED for label in counted):
                unanswered += 1
                continue
            cut += 1
        input_ids.append(ids)
        labels.append(counted)
    return TokenizedExamples(input_ids, labels, left_out, cut=cut, unanswered=unanswered)


class _Written:
    """What is written of an example so far."""

    def __init__(self, model: HookedLM, last: int | None, *, templated: bool) -> None:
        self.text = ""
        self.ids: list[int] = []
        self.labels: list[int] = []
        self.last, self.templated = last, templated
        self._end_text = "" if last is None else str(model.tokenizer.convert_ids_to_tokens(last))

    def prompt(self, text: str) -> str | Prompt:
        """A text as the encoder takes it."""
        return Prompt("", "", "", "", text, "", templated=True) if self.templated else text

    def add(self, text: str, tokens: Sequence[int], *, is_answer: bool) -> None:
        """Go on with a piece."""
        self.text += text
        self.ids += tokens
        self.labels += tokens if is_answer else [IGNORED] * len(tokens)
        if is_answer and self.last is not None:
            self.text += self._end_text
            self.ids.append(self.last)
            self.labels.append(self.last)


def _write(model: HookedLM, writers: Sequence[_Written], pieces: Sequence[DialoguePiece]) -> None:
    """Go on with the next piece of each example."""
    wholes = model.encode([
        writer.prompt(writer.text + piece.text) for writer, piece in zip(writers, pieces, strict=True)
    ])  # fmt: skip
    spelled = []
    for writer, piece, whole in zip(writers, pieces, wholes, strict=True):
        tokens = whole[len(writer.ids) :] if whole[: len(writer.ids)] == writer.ids else []
        if not tokens and piece.text and not piece.is_answer:
            # what was written does not go on as these tokens: the prompt is cut into tokens by itself
            tokens = model.encode([Prompt("", "", "", "", piece.text, "", templated=True)])[0]
        if not tokens and piece.text:
            spelled.append((writer, piece))
        else:
            writer.add(piece.text, tokens, is_answer=piece.is_answer)
    if spelled:
        _spell(model, spelled)


def _spell(model: HookedLM, rows: Sequence[tuple[_Written, DialoguePiece]]) -> None:
    """Write the answers that the tokenizer does not write on after what comes before them."""
    from latentlang.answers import answer_paths

    prompts = [writer.prompt(writer.text) for writer, _ in rows]
    _, paths = answer_paths(model, prompts, [[piece.text] for _, piece in rows])
    for (writer, piece), ((variants),) in zip(rows, paths, strict=True):
        if not variants:
            raise InputError(
                f"the tokenizer of {model.name!r} cannot write {piece.text[:40]!r} after its input: it has no token "
                "for part of it"
            )
        writer.add(piece.text, variants[0].tokens, is_answer=True)
