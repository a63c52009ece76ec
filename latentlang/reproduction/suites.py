"""Where the experiments of papers lie: folders with a ``suite.yaml``, in the project and in the installed package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latentlang.errors import InputError, unknown
from latentlang.paths import given_path, is_file
from latentlang.storage.documents import read_yaml

SUITE_FILE = "suite.yaml"
_ROOT = Path(__file__).resolve().parents[2]
# From a checkout, and from an installed wheel.
_PLACES = (_ROOT / "experiments", _ROOT / "latentlang" / "experiments")
# The reference paper, then the others by name.
_FIRST = "spontaneous"


def suite_names(*, folder: Path | None = None) -> tuple[str, ...]:
    """Names of the papers whose experiments there are, the reference paper first.

    Args:
        folder: look here instead of in the project and the installed package.
    """
    return tuple(sorted(_folders(folder), key=lambda name: (name != _FIRST, name)))


def experiments_folder(name: str, *, folder: Path | None = None) -> Path:
    """Where the experiments of a paper lie.

    Args:
        name: the paper's (``spontaneous``), or the path of such a folder.
        folder: look here instead of in the project and the installed package.

    Raises:
        InputError: there is none.
    """
    given = given_path(name)
    if is_file(given / SUITE_FILE):
        return given
    folders = _folders(folder)
    if name not in folders:
        raise unknown("set of experiments", name, folders, hint=f"or give a folder with a {SUITE_FILE}")
    return folders[name]


def read_suite(folder: Path) -> Mapping[str, Any]:
    """What a folder's ``suite.yaml`` says, as it stands there.

    Raises:
        InputError: it cannot be read, or holds no fields.
    """
    return read_fields(folder / SUITE_FILE)


def read_fields(path: Path) -> Mapping[str, Any]:
    """The fields of a file of experiments and their values.

    Raises:
        InputError: it cannot be read, or holds something else.
    """
    record = read_yaml(path)
    if not isinstance(record, Mapping):
        raise InputError(f"{path} must hold fields and their values")
    return record


def _folders(folder: Path | None) -> dict[str, Path]:
    places = _PLACES if folder is None else (folder,)
    return {path.parent.name: path.parent for root in places for path in root.glob(f"*/{SUITE_FILE}")}
