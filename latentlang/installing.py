"""How a package that is missing is installed: in words that work where this one was installed from."""

from __future__ import annotations

import shlex
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent


def install_command(extra: str, *, root: Path = _ROOT) -> str:
    """``pip install 'latentlang[train]'``, or what does the same for a clone of the project.

    Args:
        extra: of the package, as in its ``pyproject.toml``.
        root: the folder that has the package.
    """
    constraints = root / "constraints.txt"
    if (root / "pyproject.toml").is_file() and constraints.is_file():
        return f"pip install -c {shlex.quote(str(constraints))} -e {shlex.quote(f'{root}[{extra}]')}"
    return f"pip install 'latentlang[{extra}]'"
