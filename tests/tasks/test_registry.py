"""Tasks by name: what a record says is so, and one `register` makes a task known everywhere."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import ClassVar

import pytest
from typer.testing import CliRunner

import latentlang as ll
from latentlang.cli import app
from latentlang.errors import InputError
from latentlang.evaluation import EvaluationResult
from latentlang.lens import LensResult
from latentlang.models import HookedLM
from latentlang.tasks import TASKS, Prompt, Task, closed_tasks, register, task, task_record
from tests.support import tiny


class Colours(Task):
    """Which colour has it?"""

    name = "colours"
    closed = True
    default_shots = 2
    languages = ("en", "fr", "de")
    words: ClassVar = {"en": ("red", "green"), "fr": ("rouge", "vert"), "de": ("rot", "grün")}
    things: ClassVar = {
        "en": ["a tomato", "grass", "blood", "a leaf"],
        "fr": ["une tomate", "l'herbe", "le sang", "une feuille"],
        "de": ["eine Tomate", "Gras", "Blut", "ein Blatt"],
    }
    labels = ("red", "green")

    def __init__(self, *, count: int = 4):
        self.settings = {"count": count}
        self.count = (
            len("four") if count == 4 else len(count)
        )  # a fault of this class where it is another number

    def answers(self, language):
        return dict(zip(self.labels, ((word,) for word in self.words[language]), strict=True))

    def wrong_labels(self, label):
        return tuple(other for other in self.labels if other != label)

    def prompts(self, language, *, items=None, shots=None, seed=0):
        shots = self.default_shots if shots is None else shots
        rows = list(zip(self.things[language], self.labels * 2, strict=True))
        words = self.answers(language)
        block = "".join(f'{thing}: "{words[label][0]}"\n' for thing, label in rows[:shots])
        return [
            Prompt(f"{n:04}", language, label, block, thing, ': "')
            for n, (thing, label) in enumerate(rows[shots:][:items])
        ]


@pytest.fixture
def colours() -> Iterator[None]:
    register("colours", Colours, about="which colour has it", closed=True)
    yield
    del TASKS["colours"]


@pytest.fixture(scope="module")
def model() -> HookedLM:
    return HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")


@pytest.mark.parametrize("name", TASKS)
def test_a_record_says_what_the_task_says(name):
    record, built = TASKS[name], task(name)
    assert (record.name, record.closed) == (name, built.closed) and built.name == name
    assert record.about and "data" in record.options


def test_which_tasks_are_closed_and_from_which_sets_they_read():
    per_item = ("xcopa", "xstorycloze", "xwinograd", "hellaswag", "arc", "mmlu", "xnli", "nusax", "choice")
    assert closed_tasks() == ("sentiment", "nli", "paraphrase", "reading", *per_item)
    read = {name: [dataset.name for dataset in record.hub_datasets] for name, record in TASKS.items()}
    assert {name: sets for name, sets in read.items() if sets} == {
        "nli": ["xnli"], "paraphrase": ["paws-x"], "reading": ["belebele"], "continuation": ["flores"],
    }  # fmt: skip


def test_a_registered_task_is_known_to_the_library_by_its_name(model, colours):
    assert isinstance(task("colours"), Colours)
    by_name, made = (ll.logit_lens(model, given, languages="fr,de").table for given in ("colours", Colours()))
    assert by_name.equals(made) and set(by_name["language"]) == {"fr", "de"}
    evaluated = ll.evaluate(model, "sentiment,colours", languages="de", items=2)
    assert evaluated.tasks == ("sentiment", "colours")


def test_a_registered_task_is_known_to_the_command_line_by_its_name(colours, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> str:
        ended = CliRunner().invoke(app, arguments)
        assert ended.exit_code == 0, ended.output
        return ended.stdout

    (listed,) = [row for row in json.loads(run("tasks", "--json")) if row["name"] == "colours"]
    assert listed["description"] == "which colour has it" and listed["languages"] == ["de", "en", "fr"]
    run("lens", "--task", "colours", "--lang", "fr", "--out", "lens")
    assert LensResult.load("lens").provenance.task == "colours"
    run("evaluate", "--task", "colours", "--lang", "fr,de", "--out", "evaluated")
    result = EvaluationResult.load("evaluated/colours")
    assert result.tasks == ("colours",) and result.languages == ("fr", "de")
    run("harvest", "--task", "colours", "--lang", "fr", "--out", "store")
    assert ll.open_store("store").provenance.task == "colours"


def test_what_is_no_option_is_refused_with_what_there_is(colours):
    with pytest.raises(
        InputError, match=r"colours task does not take these options: .*'number'; it takes count"
    ):
        task("colours", number=3)
    with pytest.raises(InputError, match="'source'; it takes data, concepts, only"):
        task("repetition", source="fr")


def test_a_fault_within_a_task_is_not_taken_for_a_wrong_option(colours):
    with pytest.raises(TypeError, match=r"'int' has no len\(\)"):
        task("colours", count=5)


@pytest.mark.parametrize("name", ["", "two,tasks", "a task", "x" * 41])
def test_what_cannot_be_typed_as_a_name_is_refused(name):
    with pytest.raises(InputError, match="a task's name is of at most 40 letters"):
        register(name, Colours, about="which colour has it")
    assert name not in TASKS


def test_a_name_that_is_taken_is_refused():
    with pytest.raises(InputError, match="there is a task 'nli' already"):
        register("nli", Colours, about="which colour has it")
    assert task_record("nli").build is not Colours


def test_two_ways_to_say_which_words_or_reviews_are_refused(tmp_path):
    with pytest.raises(InputError, match="data and concepts both say"):
        task("translation", data=tmp_path, concepts=[])
    with pytest.raises(InputError, match="adjectives chooses among the embedded reviews"):
        task("sentiment", data=tmp_path, adjectives="seen")
    with pytest.raises(InputError, match="blocks is for items from files"):
        task("sentiment", blocks="blocks.json")


def test_tasks_are_known_without_torch():
    code = "import sys, latentlang.tasks; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
