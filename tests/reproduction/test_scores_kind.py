"""Published translations scored again: which files are meant, what is missing, and what a step depends on."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from pydantic import ValidationError

from latentlang.errors import InputError
from latentlang.reproduction.kinds.base import RunContext
from latentlang.reproduction.kinds.scores import ScoresExperiment, ScoresKind
from latentlang.reproduction.settings import ReproductionSettings

KIND = ScoresKind()
FIELDS = {
    "name": "table1", "title": "t", "source": "Table 1", "kind": "scores", "metric": "bleu",
    "systems": {"One": "one", "Two": "two"}, "directions": ["en-de", "de-en"],
    "references": "{source}{target}.ref", "sources": "{source}{target}.src",
    "hypotheses": "{system}/{source}-{target}.txt", "column": "{Source}-{Target}", "get": "ask the authors",
}  # fmt: skip
LINES = ["Das Haus am Ufer ist sehr alt.", "Sie las gestern ein langes Buch."]


def _experiment(**changes) -> ScoresExperiment:
    return ScoresExperiment(**(FIELDS | changes))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One direction, one of two systems."""
    (tmp_path / "one").mkdir()
    for name in ("ende.ref", "ende.src", "one/en-de.txt"):
        (tmp_path / name).write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return tmp_path


def _run(folder: Path | None) -> RunContext:
    return RunContext(settings=ReproductionSettings(data=folder))


def test_only_what_is_there_is_scored_and_the_rest_is_named(folder):
    (step,) = KIND.steps(_experiment(), _run(folder))
    assert step.direction == "en-de" and step.systems == (("one", "one/en-de.txt"),)
    about = KIND.about(_experiment(), _run(folder))
    assert "Not in the folder: Two en-de, One de-en, Two de-en." in about
    assert "One en-de" not in about and "with the tokenizers 13a (de, en)," in about


def test_a_folder_without_any_of_them_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"'one/en-de.txt' with .ende.ref. and .ende.src.; ask the authors"):
        KIND.steps(_experiment(), _run(tmp_path))


def test_without_a_folder_there_is_nothing_to_run(tmp_path):
    assert list(KIND.steps(_experiment(), _run(None))) == []
    assert "ask the authors" in KIND.lacks(_experiment(), _run(None))


def test_a_step_depends_on_the_text_of_every_file_and_not_on_how_it_is_packed(folder):
    (step,) = KIND.steps(_experiment(), _run(folder))
    before = step.options(_run(folder))
    for name in ("ende.ref", "ende.src", "one/en-de.txt"):
        path = folder / name
        content = path.read_bytes()
        path.write_bytes(content + b"Noch ein Satz.\n")
        assert step.options(_run(folder)) != before, name
        path.write_bytes(content)
    assert step.options(_run(folder)) == before
    packed = folder / "one" / "en-de.txt.gz"
    packed.write_bytes(gzip.compress((folder / "one" / "en-de.txt").read_bytes()))
    (folder / "one" / "en-de.txt").unlink()
    assert len(KIND.steps(_experiment(), _run(folder))) == 1
    assert step.options(_run(folder)) == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metric": "comet"}, "'comet' is no metric of this kind"),
        ({"directions": ["ende"]}, "'ende' is no direction such as en-ja"),
        ({"hypotheses": "{who}/{source}"}, "has {who}"),
        ({"hypotheses": "{system.__class__}"}, "has {system.__class__}"),
        ({"hypotheses": "{system:>9}"}, "has {system:}"),
        ({"hypotheses": "{system"}, "is no template"),
    ],
)
def test_fields_that_cannot_be_are_refused(changes, said):
    with pytest.raises(ValidationError) as error:
        _experiment(**changes)
    assert said in str(error.value)
