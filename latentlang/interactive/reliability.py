"""Layers at which a lens says no more of the output than how frequent tokens are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import torch
from torch import Tensor

from latentlang.errors import InputError
from latentlang.interactive.session import Session
from latentlang.models import TokenSets, read_out
from latentlang.tasks import task as find_task

# Texts, one in each of so many languages, and the tokens of each after which the output is compared.
_TEXTS, _PLACES = 8, 4
_LEAST_TEXTS = 2
# Tokens before the first that is looked at: of the first ones no model knows anything.
_BEGINNING = 4
_LEAST = 1e-30


def unreliable_layers(session: Session, lens: str, adapter: str) -> Iterator[tuple[int, ...] | None]:
    """Layers whose cross-entropy of the output's own tokens is no better than that of the output's mean elsewhere.

    The output's own token at a place is its likeliest. Its mean negative log-probability at a layer, over places in a
    few embedded texts, is held against that under the mean of the outputs at the places of the other texts: what is
    known of a token without looking at its text. Measured once per session, lens and state of the model.

    Args:
        session: the session.
        lens: name of a lens.
        adapter: of the model's states.

    Returns:
        An iterator that gives None after each piece of work, and the layers at last.
    """
    key = ("unreliable", lens, adapter)
    if key not in session.found:
        entropies: list[Tensor] = []
        own, outputs = [], []
        for text in _texts(session):
            with session.state(adapter):
                (ids,) = session.model.encode([text])
                ids = ids[: session.model.max_length]
                places = _places(len(ids))
                if not places:
                    continue
                reading = session.model.activations(
                    [ids], positions=places, layers=_layers(session), logits=False
                )
                streams = reading.resid[0].transpose(0, 1)
                output = session.model.unembed(streams[:, -1]).softmax(-1)
                best = output.argmax(-1)
                found = read_out(
                    session.model, streams, TokenSets([]), top=0, targets=best[:, None], lens=session.lens(lens),
                    layers=_layers(session),
                )  # fmt: skip
            assert found.target_log_probs is not None
            entropies.append(-found.target_log_probs[:, :, 0])
            own.append(best)
            outputs.append(output.sum(0))
            yield None
        session.found[key] = _worse(entropies, own, outputs)
    yield session.found[key]


def _worse(entropies: Sequence[Tensor], own: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[int, ...]:
    """Layers that are no better than the mean of the other texts' outputs; none where there are too few texts.

    Args:
        entropies: of each text ``[place, layer]``, nats.
        own: of each text the output's likeliest tokens, ``[place]``.
        outputs: of each text the summed outputs, ``[vocabulary]``.
    """
    if len(own) < _LEAST_TEXTS:
        return ()
    total, count = torch.stack(list(outputs)).sum(0), sum(map(len, own))
    without = [
        -((total - output) / (count - len(tokens)))[tokens].clamp_min(_LEAST).log()
        for output, tokens in zip(outputs, own, strict=True)
    ]
    known = torch.cat(without).mean()
    layers = torch.cat(list(entropies)).mean(0)[:-1]
    return tuple(number for number, entropy in enumerate(layers.tolist(), start=1) if entropy >= float(known))


def _layers(session: Session) -> list[int]:
    return list(range(1, session.model.n_layers + 1))


def _places(length: int) -> list[int]:
    """Positions of a text after which its output is looked at, spread over it."""
    inside = range(min(_BEGINNING, length // 2), length)
    step = max(1, len(inside) // _PLACES)
    return list(inside[::step])[:_PLACES]


def _texts(session: Session) -> list[str]:
    """Embedded reviews, another one in each of some languages of the session."""
    reviews = find_task("sentiment")
    texts: list[str] = []
    for code in session.speaking:
        with suppress(InputError):
            prompts = reviews.prompts(code, items=_TEXTS, shots=0)
            texts.append(prompts[len(texts) % len(prompts)].question)
        if len(texts) == _TEXTS:
            break
    return texts
