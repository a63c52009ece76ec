"""Providers by name: ``openai:MODEL@URL``, ``local:MODEL``, ``replay:FILE``, ``table:FILE``, and a user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from latentlang.arguments import checked_call
from latentlang.errors import InputError, shown, unknown
from latentlang.instructions.providers.base import Provider


@dataclass(frozen=True)
class ProviderOptions:
    """What may be said of a provider beside its name; each takes what concerns it.

    Attributes:
        max_tokens: of an answer, at most.
        temperature: of sampling, where a server or a local model samples.
        seed: of sampling.
        timeout: seconds to wait for a reply.
        loading: options of `latentlang.models.load`, for a local model.
        planned: nothing is asked but only counted, which needs no key.
    """

    max_tokens: int | None = None
    temperature: float | None = 0.0
    seed: int | None = None
    timeout: float | None = None
    loading: Mapping[str, Any] = field(default_factory=dict)
    planned: bool = False


@dataclass(frozen=True)
class ProviderKind:
    """A kind of provider.

    Attributes:
        name: what stands before the colon.
        form: how it is written, for help and errors.
        build: from what stands behind the colon.
    """

    name: str
    form: str
    build: Callable[[str, ProviderOptions], Provider]


_KINDS: dict[str, ProviderKind] = {}


def register_provider(kind: ProviderKind) -> ProviderKind:
    """Make a kind of provider known.

    Raises:
        ValueError: there is one of this name.
    """
    if kind.name in _KINDS:
        raise ValueError(f"the provider {kind.name!r} is there already")
    _KINDS[kind.name] = kind
    return kind


def known_providers() -> tuple[ProviderKind, ...]:
    """All kinds of providers."""
    return tuple(_KINDS.values())


@checked_call
def provider(text: str, *, options: ProviderOptions | None = None) -> Provider:
    """A provider by its text form.

    Args:
        text: ``openai:MODEL`` (the hosted server), ``openai:MODEL@URL``, ``local:MODEL``, ``replay:FILE``,
            ``table:FILE``, or one that was registered.
        options: what else is to be said of it.

    Raises:
        InputError: there is no such kind, or it cannot be set up.
        ModelError: a local model cannot be loaded.
    """
    name, colon, rest = text.partition(":")
    forms = ", ".join(kind.form for kind in _KINDS.values())
    if not colon:
        raise InputError(f"{shown(text, most=80)} is no provider; write {forms}")
    if name not in _KINDS:
        raise unknown("provider", name, _KINDS, hint=f"write {forms}")
    if not rest:
        raise InputError(f"{text!r} says nothing behind the colon; write {_KINDS[name].form}")
    return _KINDS[name].build(rest, options or ProviderOptions())


def _openai(rest: str, options: ProviderOptions) -> Provider:
    from latentlang.instructions.providers.openai_server import HOSTED, OpenAIServer

    model, at, url = rest.rpartition("@")
    timeout = {} if options.timeout is None else {"timeout": options.timeout}
    return OpenAIServer(
        model if at else rest, url=url if at else HOSTED, temperature=options.temperature,
        max_tokens=options.max_tokens, seed=options.seed, needs_key=not options.planned, **timeout,
    )  # fmt: skip


def _local(rest: str, options: ProviderOptions) -> Provider:
    from latentlang.instructions.providers.local import NEW_TOKENS, LocalModel
    from latentlang.models import load
    from latentlang.models.decoding import Decoding

    decoding = None
    if options.temperature:
        decoding = Decoding(how="sample", temperature=options.temperature, seed=options.seed or 0)
    return LocalModel(
        load(rest, **options.loading), new_tokens=options.max_tokens or NEW_TOKENS, decoding=decoding
    )


def _replay(rest: str, _options: ProviderOptions) -> Provider:
    from latentlang.instructions.providers.recorded import Recording

    return Recording(rest)


def _table(rest: str, _options: ProviderOptions) -> Provider:
    from latentlang.instructions.providers.tables import AnswerTable

    return AnswerTable.of_file(rest)


register_provider(ProviderKind("openai", "openai:MODEL@URL", _openai))
register_provider(ProviderKind("local", "local:MODEL", _local))
register_provider(ProviderKind("replay", "replay:FILE", _replay))
register_provider(ProviderKind("table", "table:FILE", _table))
