"""Where a result came from: everything needed to ask for it again."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import Field

from latentlang.storage.documents import Closed, Record, checked

_PACKAGES = ("latentlang", "torch", "transformers", "tokenizers", "pandas", "numpy")


@dataclass(frozen=True)
class Provenance:
    """Where a result came from; everything needed to ask for it again.

    Attributes:
        model: name the model was loaded by; ``revision`` its commit or a hash of its files, where known.
        adapter: LoRA adapter, or ``None``.
        task: task name; ``settings`` holds its own options (source language, shots, items...).
        languages: codes of the languages read.
        protocol: ``"corrected"`` or ``"as-published"``.
        policy: how tokens shared by languages were counted.
        seed: random seed of everything drawn.
        packages: version of each package that can change a number.
        commit: git commit of the code, where it runs from a checkout.
        created: UTC time, ISO 8601.
    """

    model: str
    task: str
    languages: tuple[str, ...]
    revision: str | None = None
    adapter: str | None = None
    protocol: str = "corrected"
    policy: str = "exclusive"
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=lambda: package_versions())
    commit: str | None = field(default_factory=lambda: git_commit())
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @classmethod
    def of(cls, record: Mapping[str, Any], where: Path | str = "the provenance") -> Provenance:
        """The provenance in what ``metadata.json`` holds.

        Args:
            record: the content of the file.
            where: the file, for the error.

        Raises:
            InputError: there is none, a field is missing or of another kind, or there are others.
        """
        provenance = checked(_Made, record, where).provenance
        return cls(**provenance.model_dump() | {"languages": tuple(provenance.languages)})

    def source_of(self, language: str) -> str | None:
        """Language that was translated from where the answer was asked for in `language`; None where none was.

        Args:
            language: code of the target language.
        """
        each = self.settings.get("sources")
        source = each.get(language) if isinstance(each, Mapping) else self.settings.get("source")
        return None if source is None else str(source)

    @property
    def sources(self) -> tuple[str, ...]:
        """The languages that were translated from, each once."""
        return tuple(dict.fromkeys(filter(None, map(self.source_of, self.languages))))

    def _repr_html_(self) -> str:
        """What a notebook shows: names and values, one a line."""
        from latentlang.figures.notebook import facts

        rows = {name: _words(value) for name, value in asdict(self).items()}
        return facts({name: text for name, text in rows.items() if text})


class _Fields(Closed):
    """A provenance in a file: what it does not say is not known, and is not made up from what is here now."""

    model: str
    task: str
    languages: list[str]
    revision: str | None = None
    adapter: str | None = None
    protocol: str = "corrected"
    policy: str = "exclusive"
    seed: int = Field(default=0, ge=0, lt=2**63)
    settings: dict[str, Any] = Field(default_factory=dict)
    packages: dict[str, str] = Field(default_factory=dict)
    commit: str | None = None
    created: str = ""


class _Made(Record):
    provenance: _Fields


def _words(value: object) -> str:
    """A value of provenance in one line; empty for nothing."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_words(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_words, value))
    return str(value)


def package_versions() -> dict[str, str]:
    """Versions of the packages that can change a number, and of Python; those that this process began with."""
    return dict(_versions())


@cache
def _versions() -> Mapping[str, str]:
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def git_commit() -> str | None:
    """Commit of the checkout this package runs from, ``+dirty`` where files differ; None when installed.

    It is looked up once a process, which runs what it imported whatever becomes of the files.
    """
    return _commit()


@cache
def _commit() -> str | None:
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        run = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--abbrev=12", "--dirty=+dirty", "--exclude=*"],
            capture_output=True, text=True, timeout=5, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip() or None
