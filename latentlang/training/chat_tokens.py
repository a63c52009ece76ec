"""Dialogues in the chat template of a model's tokenizer: which of its text is the assistant's to write.

An answer, and the token that ends its turn, are what the model has to write when it is asked; the headers of turns,
what users and system say, and what the template puts behind an end of turn are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from latentlang.errors import ModelError, shown
from latentlang.instructions.dialogues import Dialogue
from latentlang.instructions.prompt_templates import DialoguePiece
from latentlang.models.chat import chat_text, has_chat_template


def chat_pieces(dialogue: Dialogue, tokenizer: Any, *, model: str, end: bool = True) -> list[DialoguePiece]:
    """A dialogue as its tokenizer's chat template writes it, piece by piece.

    Args:
        dialogue: with turns that alternate.
        tokenizer: whose template is used.
        model: its name, for errors.
        end: whether the token that ends a turn is learnt.

    Raises:
        ModelError: there is no template, it cannot write the dialogue, or it does not write turns one after the other.
    """
    if not has_chat_template(tokenizer):
        raise ModelError(
            f"the tokenizer of {model!r} has no chat template; name another template, such as base, or take its "
            "instruct version"
        )
    messages = dialogue.messages()
    specials = sorted(filter(None, map(str, tokenizer.all_special_tokens)), key=len, reverse=True)
    pieces: list[DialoguePiece] = []
    written = ""
    for number, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before = chat_text(messages[:number], tokenizer, model=model, answer_next=True)
        after = chat_text(messages[: number + 1], tokenizer, model=model)
        if not before.startswith(written) or not after.startswith(before):
            raise ModelError(
                f"the chat template of {model!r} writes the turns of a dialogue otherwise once others follow "
                f"({shown(dialogue.id, most=60)}), so that answers cannot be told apart; use another template, such as "
                "base"
            )
        answer = message["content"]
        turn = after[len(before) :]
        others = [*messages[:number], {**message, "content": _other(answer)}]
        other_turn = chat_text(others, tokenizer, model=model)[len(before) :]
        # as far as another answer's turn is the same it is no answer: "assistant" is one, and stands in many a header
        begins = sum(
            1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(turn, other_turn, strict=False))
        )
        header, said, closing = _divided(turn, answer, begins)
        if not said:
            raise ModelError(
                f"the chat template of {model!r} changes what the assistant says ({shown(answer, most=60)}), so that "
                "answers cannot be told apart; use another template, such as base"
            )
        ending = _ending(closing, specials) if end else ""
        # without a generation prompt a turn begins with its header; a space before the answer is the model's to write
        opening = header if header.strip() else ""
        pieces.append(DialoguePiece(before[len(written) :] + opening))
        pieces.append(DialoguePiece(header[len(opening) :] + said + ending, is_answer=True))
        if rest := closing[len(ending) :]:
            pieces.append(DialoguePiece(rest))
        written = after
    return _joined(pieces)


def _other(answer: str) -> str:
    """An answer that differs from one in its first character, trimmed or not."""
    said = answer.strip()
    return "b" if said.startswith("a") else "a"


def _divided(turn: str, answer: str, begins: int) -> tuple[str, str, str]:
    """An assistant's turn: what comes before the answer, the answer, and what comes behind; it may be trimmed.

    Args:
        turn: as the template writes it.
        answer: the message.
        begins: where it begins.
    """
    for said in (answer, answer.strip()):
        at = turn.find(said, begins)
        if said and at >= 0:
            return turn[:at], said, turn[at + len(said) :]
    return turn, "", ""


def _ending(closing: str, specials: Sequence[str]) -> str:
    """What ends a turn, up to its special token; empty where there is none."""
    spaces = closing[: len(closing) - len(closing.lstrip())]
    for token in specials:
        if closing.startswith(spaces + token):
            return spaces + token
    return ""


def _joined(pieces: Sequence[DialoguePiece]) -> list[DialoguePiece]:
    """Pieces of which no two that follow each other are prompts, and none stands at the end."""
    joined: list[DialoguePiece] = []
    for piece in pieces:
        if joined and not piece.is_answer and not joined[-1].is_answer:
            joined[-1] = DialoguePiece(joined[-1].text + piece.text)
        else:
            joined.append(piece)
    while joined and not joined[-1].is_answer:
        joined.pop()
    return joined
