"""Every notebook runs from top to bottom, is committed without outputs, shows its figures, and has its page."""

import json
import re
from pathlib import Path

import nbformat
import plotly.graph_objects as go
import pytest

import latentlang as ll
from docs.notebooks import FOLDER, NOTEBOOKS, PLOTLY, blocks, page, read
from latentlang.figures.headings import fitted
from latentlang.figures.notebook import fitting
from tests.support.doc_pages import PAGES
from tests.support.lens_standin import lens_result
from tests.support.notebooks import check_run

#: Run with the other tests of a real model (tests/real).
REAL = ("07_a_real_model",)
#: The first of them is run with the quick tests.
SLOW = {
    "02_answer_tokens": pytest.mark.slow(
        "tests/answers/test_token_bytes.py", "tests/lens/test_logit_lens.py"
    ),
    "10_answers": pytest.mark.slow(
        "tests/generation/test_answers.py", "tests/translation/test_scores.py", "tests/judging/test_judges.py"
    ),
    "11_five_papers": pytest.mark.slow(
        "tests/reproduction/test_kinds.py", "tests/reproduction/test_overview.py"
    ),
    "04_latent_geometry": pytest.mark.slow("tests/geometry/test_alignment.py", "tests/geometry/test_pca.py"),
    "05_question_alignment": pytest.mark.slow(
        "tests/training/test_run.py", "tests/comparison/test_compare.py"
    ),
    "08_interventions": pytest.mark.slow(
        "tests/causal/test_patching.py", "tests/causal/test_steering.py", "tests/docs/test_docs_examples.py"
    ),
    "03_logit_lens": pytest.mark.slow("tests/lens/test_logit_lens.py", "tests/lens/test_pivot_test.py"),
    "06_your_own_model": pytest.mark.slow("tests/models/test_exactness.py", "tests/tasks/test_word_files.py"),
    "09_units": pytest.mark.slow(
        "tests/units/test_neurons.py", "tests/units/test_features.py", "tests/lens/test_mass.py"
    ),
}
EMBEDDED = [path for path in NOTEBOOKS if path.stem not in REAL]
_PICTURE = re.compile(r"!\[[^\]]+\]\((\S+\.webp)\)")
# Temporary folders and people's own.
_FOLDER = re.compile(r"(?:/tmp|/root|/home|/Users|/var/folders)/\S*")
# A prompt as a reader is told to type it: a word of one language, asked for in another.
_PROMPT = re.compile(r"""['"](\w+): \\?"(\w+)\\?" - (\w+): \\?"['"]""")


def test_the_notebooks_are_one_course():
    assert [int(path.name[:2]) for path in NOTEBOOKS] == list(range(1, len(NOTEBOOKS) + 1)) and len(
        NOTEBOOKS
    ) >= 6
    lists = set()
    for number, (path, following) in enumerate(zip(NOTEBOOKS, [*NOTEBOOKS[1:], None], strict=True), start=1):
        told = [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]
        first, last = told[0], told[-1]
        assert first.startswith(f"# {number} · ") and f"**{number} " in first.splitlines()[-1]
        lists.add(first.splitlines()[-1].replace("**", ""))
        assert last.index("## What you have seen") < last.index("## What it does not show")
        assert following is None or f"**Next:** `{following.name}`" in last
    (course,) = lists  # each names every part
    assert [int(part.split()[0]) for part in course.removeprefix("The course: ").split(" · ")] == list(
        range(1, len(NOTEBOOKS) + 1)
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_committed_without_outputs(path):
    for cell in read(path).cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None
    nbformat.validate(read(path))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_page_has_the_text_and_code_of_its_notebook(path):
    """`python -m docs.notebooks` makes it again."""
    text, place = (FOLDER / f"{path.stem}.md").read_text(encoding="utf-8"), 0
    for block in blocks(read(path)):
        assert block in text[place:], f"not on the page, or not in this order: {block[:200]!r}"
        place = text.index(block, place) + len(block)
    assert text.count("```python\n") == sum(cell.cell_type == "code" for cell in read(path).cells)


def test_pages_show_every_picture_of_the_course_and_no_other():
    shown = [name for page in FOLDER.glob("*.md") for name in _PICTURE.findall(page.read_text("utf-8"))]
    assert len(shown) >= 2 * len(NOTEBOOKS)
    assert sorted(shown) == sorted(path.name for path in FOLDER.glob("*.webp"))
    assert {page.stem for page in FOLDER.glob("*.md")} == {path.stem for path in NOTEBOOKS}


def test_pages_name_no_folder_of_a_machine():
    for path in FOLDER.glob("*.md"):
        assert not _FOLDER.findall(path.read_text(encoding="utf-8")), path.name


def _prompts() -> set[tuple[str, str, str]]:
    sources = [cell.source for path in NOTEBOOKS for cell in read(path).cells if cell.cell_type == "code"]
    sources += [page.read_text(encoding="utf-8") for page in PAGES]
    return {found for source in sources for found in _PROMPT.findall(source)}


def test_pocket_answers_the_prompts_that_a_reader_is_told_to_type():
    model, prompts = ll.load("pocket"), _prompts()
    assert len(prompts) >= 2
    for source, word, target in prompts:
        task = ll.task("translation", source=ll.language(source).code)
        words = task.answers(ll.language(source).code)
        (label,) = [label for label, answers in words.items() if word in answers]
        answers = task.answers(ll.language(target).code)[label]
        prompt = f'{source}: "{word}" - {target}: "'
        table = ll.explore(model, prompt, positions="last", top=1).table
        said = table.loc[table["layer"].idxmax(), "text"]
        assert any(answer.startswith(said) for answer in answers), f"{prompt}{said}"


@pytest.mark.timeout(1800)  # one trains models, on machines of any speed
@pytest.mark.parametrize(
    "path", [pytest.param(path, id=path.stem, marks=SLOW.get(path.stem, ())) for path in EMBEDDED]
)
def test_notebook_runs(path: Path, tmp_path: Path):
    check_run(path, tmp_path)


def test_what_suits_a_figure_to_a_notebook_is_not_on_its_page() -> None:
    figure = lens_result(("ja", "hi")).figure()
    data = {
        "text/html": f'<style>a</style><div class="latentlang-figured"></div>{fitting(figure)}',
        "text/plain": "",
    }
    cell = nbformat.v4.new_code_cell("figure", outputs=[nbformat.v4.new_output("display_data", data)])
    text, figures = page(nbformat.v4.new_notebook(cells=[cell]), "one")
    assert text.endswith("```python\nfigure\n```\n") and not figures


def test_a_figures_name_on_a_page_is_its_whole_title_however_it_was_broken():
    title = "Question translation, from two languages into one " * 3
    figure = go.Figure(layout={"title": {"text": title.strip()}, "width": 500, "height": 300})
    fitted(figure, width=500)
    assert "<br>" in figure.layout.title.text
    output = {"output_type": "display_data", "data": {PLOTLY: json.loads(figure.to_json())}, "metadata": {}}
    cell = nbformat.v4.new_code_cell("figure", outputs=[nbformat.from_dict(output)])
    text, figures = page(nbformat.v4.new_notebook(cells=[cell]), "01_made")
    assert f"![{title.strip()}](01_made-1.webp)" in text and list(figures) == ["01_made-1.webp"]
