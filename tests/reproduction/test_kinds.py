"""A new kind of experiment is one module and one register; printed, corrected and computed values side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd
import pytest

import latentlang as ll
from latentlang.errors import InputError, LatentlangError
from latentlang.reproduction import load_suite, plan, reproduce
from latentlang.reproduction.compared import Computed, compare
from latentlang.reproduction.experiment_fields import Experiment
from latentlang.reproduction.kinds import KINDS, kind_named, register
from latentlang.reproduction.kinds import registry as registry_module
from latentlang.reproduction.kinds.base import Cost, ExperimentKind, KindStep, RunContext
from latentlang.reproduction.published_cells import number
from latentlang.reproduction.step_runner import all_groups
from latentlang.reproduction.suites import suite_names
from latentlang.storage.files import write_text
from tests.support.made_paper import (
    CORRECTIONS,
    PUBLISHED,
    SUITE,
    TABLES,
    CountLetters,
    LettersKind,
    write_paper,
)


@pytest.fixture(autouse=True)
def letters() -> Iterator[None]:
    ll.reproduction.register("letters", LettersKind)
    yield
    registry_module.unregister("letters")


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    return write_paper(tmp_path / "made")


def _made(paper: Path, **options):
    planned = plan(str(paper), cache=paper.parent / "cache", **options)
    return reproduce(planned, out=paper.parent / "out", formats=["html"], progress=False)


def test_a_kind_that_is_registered_is_planned_run_and_written(paper):
    made = _made(paper)
    assert {path.name for path in made.files} == {
        *(f"{name}.{ending}" for name in ("table1", "table2") for ending in ("csv", "md", "tex")),
        "table1.html", "index.html", "README.md",
    }  # fmt: skip
    assert [name.split("/")[0] for name in made.ran] == ["count-letters"] * 2
    table = pd.read_csv(made.folder / "table1.csv", keep_default_na=False)
    assert list(table.columns) == [
        "row", "column", "printed", "corrected", "computed", "low", "high", "n", "unit", "difference", "reason",
    ]  # fmt: skip
    assert table.astype(str).values.tolist() == [
        ["es", "letters", "4", "", "4", "0", "9", "1", "letters", "0", "other-text"],
        ["fr", "letters", "7", "6", "6", "0", "9", "1", "letters", "0", "misprint other-text"],
        ["fr", "vowels", "", "", "", "", "", "", "", "", ""],
    ]
    printed = pd.read_csv(made.folder / "table2.csv", keep_default_na=False)
    assert printed[["row", "printed", "computed", "reason"]].values.tolist() == [
        ["A|B", "45.0%", "", ""], ["A|B", "yes", "", ""],
    ]  # fmt: skip


def test_a_second_run_computes_nothing_and_another_question_is_another_step(paper):
    first = _made(paper)
    assert len(first.ran) == 2 and _made(paper).ran == ()
    more = _made(paper, items=3)
    assert len(more.ran) == 2 and set(more.ran).isdisjoint(first.ran)
    assert list(more.tables["table1"].table["computed"].dropna()) == [12, 18]


def test_code_that_gives_something_else_is_asked_again(paper, monkeypatch):
    _made(paper)
    monkeypatch.setattr(CountLetters, "revision", 2)
    assert len(_made(paper).ran) == 2


def test_what_fails_does_not_keep_other_tables_from_being_written(tmp_path):
    paper = write_paper(tmp_path / "made", table1=TABLES["table1"].replace("maison", "''"))
    with pytest.raises(LatentlangError, match="there is no word of 'fr'"):
        _made(paper)
    assert (tmp_path / "out" / "table2.csv").is_file() and not (tmp_path / "out" / "table1.csv").exists()


def test_a_part_of_them_is_written_alone_and_the_page_names_them_all(paper):
    made = _made(paper, only="table1")
    names = {path.name for path in made.files}
    assert "table1.csv" in names and "table2.csv" not in names
    page = (made.folder / "index.html").read_text(encoding="utf-8")
    for text in (
        "what people thought",
        "It needs people who judge",
        "It needs a hosted model as judge",
        "not run",
    ):
        assert text in page


def test_the_pages_show_printed_corrected_computed_difference_and_reason(paper):
    readme = (_made(paper).folder / "README.md").read_text(encoding="utf-8")
    assert "| fr | printed | 7 | – |" in readme and "|  | corrected | 6 |  |" in readme
    assert "| fr | letters | 7 | 6 | 6 letters | 0 to 9 | 1 | +0 | misprint, other-text |" in readme
    assert "- misprint: The printed value is a misprint." in readme
    assert "Corrections from: the word itself." in readme
    assert "Nothing stands in." in readme and "Counted by hand there." in readme
    assert "| Table 1 | letters of words | 2 | 1 | 2 |" in readme
    assert r"| A\|B | printed | 45.0% | yes |" in readme


def test_text_of_the_data_is_escaped_on_the_page(tmp_path):
    evil = "<script>alert(1)</script>"
    paper = write_paper(
        tmp_path / "made", corrections="", table2=TABLES["table2"].replace("what people thought", evil),
        published_table2=f"table,row,column,value\ntable2,{evil},a,{evil}\n",
    )  # fmt: skip
    page = (_made(paper, only="table2").folder / "index.html").read_text(encoding="utf-8")
    assert evil not in page and "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_a_plan_says_per_table_what_it_takes_and_what_cannot_be_had(paper):
    planned = plan(str(paper), cache=paper.parent / "cache")
    table1, table2, figure3 = planned.tables()
    assert len(table1.steps) == 2 and not any(step.cached for step in table1.steps)
    assert (table1.cost.calls, table1.cost.price, table1.cost.seconds) == (4, 0.5, 7200)
    assert table1.lacks == "" and table1.stands_in == ""
    assert table2.steps == () and table2.cost.calls == 0
    assert table2.stands_in == (
        "The paper's own cannot be had: it needs people who judge or annotate. Nothing stands in."
    )
    assert figure3.stands_in == "The paper's own cannot be had: it needs a hosted model as judge."
    assert planned.describe().splitlines()[:2] == [
        "Table 1: 2 steps, 2.00 hours, 2.0 kB, 4 calls of a hosted model, 0.50 US dollars.",
        f"Table 2: nothing is computed. {table2.stands_in} The paper's own takes 1,200 calls, 16.5 GPU hours and 300 "
        "US dollars (Section 4).",
    ]
    made = _made(paper)
    assert all(step.cached for step in planned.tables()[0].steps) and planned.tables()[0].cost.calls == 0
    assert planned.describe().splitlines()[0] == "Table 1: 2 steps, 2 there."
    assert made.describe().splitlines() == [
        "4 printed cells in 2 tables and figures; 2 cells of 1 table or figure were computed here.",
        "A correction stands beside 1 printed cell: Table 1.", "The printed values stand alone: Table 2.",
    ]  # fmt: skip


def test_a_papers_own_sentence_says_why_its_own_cannot_be_had(tmp_path):
    suite = SUITE + "  lost: The sheets were lost in a fire.\n"
    paper = write_paper(
        tmp_path / "made", suite=suite, table2=TABLES["table2"].replace("needs-people", "lost")
    )
    planned = plan(str(paper)).tables()[1]
    assert planned.stands_in == "The sheets were lost in a fire. Nothing stands in."


def test_what_is_computed_without_a_step_is_told_from_what_is_not_computed(paper, monkeypatch):
    monkeypatch.setattr(LettersKind, "steps", lambda self, experiment, run: ())
    table1, table2, _ = plan(str(paper)).tables()
    assert table1.is_computed and table1.describe() == "Table 1: 0 steps."
    assert not table2.is_computed


@pytest.mark.parametrize("paper", suite_names())
def test_what_is_missing_without_data_is_a_sentence_since_others_follow_it(paper, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    run = RunContext(folder=tmp_path)
    found = [kind_named(one.kind).lacks(one, run) for one in load_suite(paper).experiments.values()]
    assert [words for words in found if words and not words.endswith(".")] == []
    assert any(found) == (paper != "spontaneous")


def test_a_kind_that_lacks_something_here_is_shown_with_what_is_missing(paper, monkeypatch):
    monkeypatch.setattr(
        LettersKind, "lacks", lambda self, experiment, run: "the words: --data FOLDER gives them"
    )
    planned = plan(str(paper), cache=paper.parent / "cache")
    assert planned.needed == {} and planned.tables()[0].lacks == "The words: --data FOLDER gives them."
    made = _made(paper)
    assert made.ran == () and not (made.folder / "table1.html").exists()
    table = pd.read_csv(made.folder / "table1.csv", keep_default_na=False)
    assert list(table.printed) == ["4", "7", ""] and set(table.computed) == {""}
    assert "Nothing was computed: the words" in (made.folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"table1": "{title: x, source: x, kind: poetry}"}, r"table1.yaml': unknown kind of experiment 'poetry'"),
        ({"table1": TABLES["table1"] + "colour: red\n"}, "there is a field colour"),
        ({"table2": "{title: x, source: x, kind: printed}"}, "says by stands_in why nothing is computed"),
        ({"table2": TABLES["table2"].replace("needs-people", "needs-peple")}, "unknown code of a reason 'needs-peple'"),
        ({"table1": TABLES["table1"].replace("other-text", "other-txt")}, "unknown code of a reason 'other-txt'"),
        ({"table1": TABLES["table1"] + "published: ../x\n"}, "is no name of a file in published"),
        ({"table1": TABLES["table1"] + "table: table9\n"}, r"has no cell of the table 'table9'; it has 'table1'"),
        ({"published_table1": ""}, r"the printed values are missing: there is no file .*table1.csv"),
        ({"published_table1": "table,row,value\n"}, "must have the columns table, row, column, value"),
        ({"published_table1": PUBLISHED["table1"] + "table1,es,letters,5\n"}, "line 5: row 'es'.* is there twice"),
        ({"published_table1": PUBLISHED["table1"] + "table1,es\n"}, "line 5: 2 values and not 4"),
        ({"published_table1": PUBLISHED["table1"] + 'table1,"es\n'}, "line 5: it is no CSV"),
        ({"corrections": CORRECTIONS.replace(",fr,", ",de,")}, "a cell that was not printed: 'table1', row 'de'"),
        ({"corrections": CORRECTIONS.replace("table1", "table7")}, "a table 'table7' that no experiment shows"),
        ({"corrections": CORRECTIONS.replace(",7,", ",8,")}, "is printed as '7', not '8'"),
        ({"corrections": CORRECTIONS.replace("misprint", "typo")}, "unknown code of a reason 'typo'"),
        ({"corrections": CORRECTIONS.replace("misprint", "Mis print")}, "'Mis print' is no code"),
        ({"corrections": CORRECTIONS + CORRECTIONS.splitlines()[1] + "\n"}, "is corrected twice"),
        ({"suite": SUITE.replace("  sum:", "  Sum:")}, "'Sum' is no code"),
        ({"suite": SUITE + "sise: {}\n"}, "there is a field sise"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_suite_is_one_clear_line(tmp_path, changed, message):
    with pytest.raises(InputError, match=message) as caught:
        load_suite(str(write_paper(tmp_path / "made", **changed)))
    assert len(str(caught.value).splitlines()) == 1


def test_a_suite_needs_nothing_of_the_reference_papers_fields(paper):
    suite = load_suite(str(paper))
    assert suite.data == "" and list(suite.printed) == ["table1", "table2"]
    assert suite.corrections["table1"]["fr", "letters"].corrected == "6"
    run = RunContext(printed=suite.printed, corrections=suite.corrections)
    assert run.cells("table1")["fr", "letters"] == "7"
    assert run.cells("table1", corrected=True)["fr", "letters"] == "6"
    with pytest.raises(InputError, match="no printed values of 'figure3'; there are those of table1, table2"):
        run.cells("figure3")


def test_printed_texts_are_numbers_only_where_they_are():
    texts = {"24.0": 24, "1,024": 1024, "45%": 45, "−0.3": -0.3, ".5": 0.5, "1e-4": 1e-4, "12,5": None, "yes": None,
             "": None, "-": None, "3 ± 1": None, "nan": None, "٣": None}  # fmt: skip
    assert {text: number(text) for text in texts} == texts


def test_a_count_that_was_not_printed_has_no_decimals_and_other_numbers_three_digits():
    experiment = Experiment(name="t", title="t", source="Table 1", kind="letters")
    cells = [Computed("a", "x", 8.0), Computed("a", "y", 8.0, low=7.5, high=9.25), Computed("b", "x", 0.1234)]
    (listed,) = compare(experiment, cells, printed={}, corrections={}).wide
    assert [(row[2][2], row[2][3]) for row in listed.rows] == [
        ("8", ""),
        ("8.00", "7.50 to 9.25"),
        ("0.123", ""),
    ]


def test_a_cell_is_computed_once_and_one_that_was_not_printed_comes_last():
    experiment = Experiment(name="t", title="t", source="Table 1", kind="letters", differs=("other-model",))
    cells = [Computed("b", "x", 2.0, reason="fewer-items"), Computed("a", "x", 1.5)]
    compared = compare(experiment, cells, printed={("a", "x"): "1.0"}, corrections={})
    assert list(compared.table["row"]) == ["a", "b"]
    assert list(compared.table["reason"]) == ["other-model", "fewer-items"]
    assert compared.table["difference"].iloc[0] == 0.5 and math.isnan(compared.table["difference"].iloc[1])
    with pytest.raises(InputError, match="row 'a', column 'x' was computed twice"):
        compare(experiment, [cells[1]] * 2, printed={}, corrections={})


def test_a_name_that_cannot_be_one_is_refused_and_every_shipped_kind_can_be_had():
    with pytest.raises(InputError, match="'My kind' is no name of a kind"):
        register("My kind", LettersKind)
    for name in KINDS:
        kind = kind_named(name)
        assert issubclass(kind.fields, Experiment) and kind.words


@dataclass(frozen=True)
class CountLayers(KindStep):
    """The number of a model's layers."""

    kind: ClassVar[str] = "count-layers"
    model: str = ""

    @property
    def runs(self):
        return self.model

    def options(self, run):
        return {}

    def cost(self, run, estimate):
        return estimate.forward(self.model, estimate.tokens(self.model, ["one two"])) + Cost(bytes=7)

    def compute(self, folder, tools):
        assert tools.model(self.model) is tools.model(self.model)
        tools.progress(1, 2)
        write_text(folder / "count.json", str(tools.model(self.model).n_layers))
        return self.read(folder)

    def read(self, folder):
        return int((folder / "count.json").read_text())


@dataclass(frozen=True)
class TwiceTheLayers(CountLayers):
    """Twice that number, from the other step's outcome."""

    kind: ClassVar[str] = "twice-the-layers"

    @property
    def runs(self):
        return ""

    @property
    def needs(self):
        return (CountLayers(self.model),)

    def cost(self, run, estimate):
        return Cost()

    def compute(self, folder, tools):
        (needed,) = self.needs
        assert (tools.folder(needed) / "count.json").is_file()
        write_text(folder / "count.json", str(2 * tools.outcome(needed)))
        return self.read(folder)


class LayersKind(ExperimentKind[Experiment]):
    """Layers of models."""

    fields = Experiment
    words = "layers of a model"

    def steps(self, experiment, run):
        return [TwiceTheLayers(run.model_of("no-such-model"))]

    def table(self, experiment, outcome, run):
        return [Computed("model", "layers", outcome(step)) for step in self.steps(experiment, run)]


@pytest.fixture
def layers(tmp_path) -> Iterator[Path]:
    register("layers", LayersKind)
    yield write_paper(tmp_path / "made", suite="{title: x, order: [layers]}", corrections="",
                      layers="{title: x, source: Table 9, kind: layers, published: ''}")  # fmt: skip
    registry_module.unregister("layers")


def test_a_step_runs_a_model_and_another_reads_what_it_left(layers, mistral):
    seen: list[tuple[str, int]] = []
    planned = plan(str(layers), model=mistral, cache=layers.parent / "cache")
    assert [step.kind for step in planned.needed] == ["count-layers", "twice-the-layers"]
    counted, twice = planned.steps()
    assert counted.cost.tokens > 0 and counted.cost.seconds > 0 and counted.cost.bytes == 7
    assert counted.experiments == twice.experiments == ("layers",)
    made = reproduce(planned, out=layers.parent / "out", formats=["html"],
                     progress=lambda step, done, total: seen.append((step.label, done)))  # fmt: skip
    n_layers = ll.load(mistral).n_layers
    assert list(made.tables["layers"].table["computed"]) == [2 * n_layers]
    assert seen == [(counted.step.label, 1)]
    assert [name.split("-")[0] for name in made.ran] == ["count", "twice"]
    again = plan(str(layers), model=mistral, cache=layers.parent / "cache")
    assert all(line.cached for line in again.steps())


def test_another_model_or_a_changed_step_that_is_read_is_another_outcome(layers, mistral, monkeypatch):
    def names(model):
        planned = plan(str(layers), model=model)
        return [planned.keys.name(step) for step in planned.needed]

    first = names(mistral)
    assert set(first).isdisjoint(names("pocket"))
    assert first[0].startswith("count-layers/tiny-mistral-")
    monkeypatch.setattr(CountLayers, "revision", 2)
    monkeypatch.setattr(TwiceTheLayers, "revision", 1)
    assert set(first).isdisjoint(names(mistral))


def test_a_model_that_is_not_there_is_named_before_anything_runs(layers):
    with pytest.raises(InputError, match="unknown model 'no-such-model'"):
        plan(str(layers))


def test_steps_of_one_model_or_that_need_each_other_are_run_together():
    first, second = CountLetters("es", "casa"), CountLetters("fr", "maison")
    assert all_groups([first, second]) == [[first], [second]]
    one, other = CountLayers("a"), CountLayers("b")
    read, alone = TwiceTheLayers("a"), TwiceTheLayers("c")
    assert all_groups([one, other, read, alone, first]) == [[other], [one, read], [alone], [first]]


def test_what_runs_in_another_process_can_be_sent_there(paper):
    import pickle

    planned = plan(str(paper), cache=paper.parent / "cache")
    sent = pickle.loads(pickle.dumps((planned.bench, list(planned.needed))))  # noqa: S301
    assert sent[1] == list(planned.needed) and sent[0].run == planned.bench.run
