"""The words that install what is missing work where the package was installed from."""

import shlex
import tomllib
from pathlib import Path

import pytest

from latentlang.installing import install_command

ROOT = Path(__file__).parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


@pytest.mark.parametrize("name", ["clone", "a clone in 'quotes'"])
def test_a_clone_is_installed_from_where_it_lies(tmp_path, name):
    root = tmp_path / name
    root.mkdir()
    (root / "pyproject.toml").touch()
    (root / "constraints.txt").touch()
    words = shlex.split(install_command("train", root=root))
    assert words == ["pip", "install", "-c", f"{root}/constraints.txt", "-e", f"{root}[train]"]


def test_an_installed_package_is_named(tmp_path):
    assert install_command("train", root=tmp_path) == "pip install 'latentlang[train]'"


def test_every_hint_is_made_in_one_place_and_names_an_extra_there_is():
    """No other module spells such a command, and each asks for an extra of `pyproject.toml`."""
    import re

    for path in (ROOT / "latentlang").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        code = re.sub(r'"""(.|\n)*?"""', "", text)
        if path.name != "installing.py":
            assert "latentlang[" not in code, path
        for extra in re.findall(r"install_command\(['\"](\w+)['\"]\)", code):
            assert extra in EXTRAS, (path, extra)
