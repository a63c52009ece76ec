"""The comparison's page: every part is on it, with its numbers; what was not measured is not."""

import re
from dataclasses import replace

import pytest
from plotly.offline import get_plotlyjs

from latentlang.comparison import ComparisonResult
from latentlang.comparison.report import comparison_document
from latentlang.comparison.text import sentences, verdict, words_of
from latentlang.figures.document import Bullets, Details, Figure, Table, Text
from latentlang.text import signed, unsigned
from tests.support.before_after import CODES, whole

BAD = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return whole(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def document(result):
    return comparison_document(result)


@pytest.fixture(scope="module")
def page(result):
    """Its page, without plotly."""
    return result.report().read_text(encoding="utf-8").replace(get_plotlyjs(), "")


@pytest.fixture(scope="module")
def sections(document):
    """Names of the sections of its page."""
    return {section.name for section in document.sections}


def _sentences(result):
    return sentences(
        result.provenance,
        result.table,
        seen_languages=result.seen_languages,
        unseen=result.unseen,
        pivot=result.pivot,
        level=result.level,
    )


def _blocks(document, kind):
    found = []

    def walk(blocks):
        for block in blocks:
            if isinstance(block, kind):
                found.append(block)
            if isinstance(block, Details):
                walk(block.blocks)

    for section in document.sections:
        walk(section.blocks)
    return found


def test_every_part_has_a_section_with_figures(document):
    assert [section.name for section in document.sections] == [
        "reading", "accuracy", "lens", "map", "components", "alignment", "provenance",
    ]  # fmt: skip
    assert len(_blocks(document, Figure)) == 8
    assert document.title == "Before and after: pocket, zh-en"
    assert all(figure.label.endswith(".") for figure in _blocks(document, Figure))


def test_the_page_says_what_changed_in_words_and_in_numbers(result, document, page):
    assert _sentences(result)[0] in page and "Accuracy rose on average over 6 languages" in page
    assert "never seen in training" in page and "Training saw Chinese and English" in page
    (averages, *_) = _blocks(document, Table)
    summary = result.summary()
    assert len(averages.rows) == len(summary)
    for cells, row in zip(averages.rows, summary.to_dict("records"), strict=True):
        texts = [cell.text for cell in cells]
        assert unsigned(row["before"]) in texts and signed(row["difference"]) in texts
        assert cells[-1].text == verdict(row)
        assert cells[-1].kind == (row["change"] if "less than" not in cells[-1].text else "")


def test_alignment_tables_have_every_language_measure_and_pool(result, document):
    # The first of a name is the one that is open on the page.
    tables = {table.caption.split(".")[0]: table for table in _blocks(document, Table)[::-1]}
    table = tables["Alignment before and after"]
    names = [row[0].text for row in table.rows]
    assert names[:5] == ["Chinese ■", "German", "Japanese", "Hindi", "Thai"]
    assert names[5:] == ["all languages", "seen in training", "never seen in training"]
    row = result.alignment.changes().query("measure == 'cka' and language == 'de'").iloc[0]
    cells = [cell.text for cell in table.rows[1]]
    assert f"{row['before']:.3f} → {row['after']:.3f}" in cells
    titles = [block.title for block in _blocks(document, Details)]
    assert any("mean over all tokens of the prompt" in title for title in titles)
    layers = tables["Means over languages at each layer"]
    assert [row[0].text for row in layers.rows] == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    ("part", "gone"),
    [("evaluation", {"accuracy"}), ("lens", {"lens"}), ("pca", {"components"}), ("alignment", {"alignment"})],
)
def test_what_was_not_measured_is_not_there(result, sections, part, gone, tmp_path):
    without = replace(result, **{part: None})
    assert sections - {section.name for section in comparison_document(without).sections} == gone
    assert without.report(tmp_path / "page.html").exists()


def test_names_from_data_stay_text(tmp_path):
    result = whole(tmp_path, model=BAD, adapter=f"x/{BAD}")
    page = result.report().read_text(encoding="utf-8").replace(get_plotlyjs(), "")
    assert BAD not in page and "alert(1)" in page


def test_provenance_is_complete(page):
    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))
    assert facts["adapter"] == "adapters/zh-en" and facts["recipe"] == "zh-en" and facts["revision"] == "abc"
    assert facts["languages in training"] == "Chinese, English"
    assert facts["languages never seen"] == "German, Japanese, Hindi, Thai"
    assert facts["task"] == "sentiment, 2 shots" and facts["seed"] == "0" and "python" in facts["packages"]


def test_the_page_is_the_same_from_disk(result, page, tmp_path):
    again = ComparisonResult.load(result.folder).report(tmp_path / "again.html").read_text(encoding="utf-8")
    assert again.replace(get_plotlyjs(), "") == page


def test_the_map_has_a_row_for_each_language(result):
    figure = result.figure()
    assert {trace.type for trace in figure.data} == {"heatmap"}
    assert [name.removesuffix(" ■") for name in figure.layout.yaxis.ticktext] == [
        "English", "Chinese", "German", "Japanese", "Hindi", "Thai",
    ]  # fmt: skip
    assert len(figure.layout.yaxis.ticktext) == len(CODES)


def test_the_text_of_the_page_names_each_measure_that_its_first_table_marks(result):
    text = result.describe()
    verdict = _sentences(result)[1]
    for (part, measure), own in result.summary().groupby(["part", "measure"], sort=False):
        name = words_of(part, measure, pivot=result.pivot).name
        assert name.casefold() in text.casefold()
        if (own["change"] != "").any():
            assert name in verdict


def test_the_page_opens_with_a_verdict_and_at_most_three_points(result, document, page):
    opening, points, _who, averages, *folded = document.sections[0].blocks
    assert opening == Text(_sentences(result)[1], kind="lead")
    assert points == Bullets(result.highlights()) and 1 <= len(points.items) <= 3
    assert isinstance(averages, Table) and all(isinstance(block, Details) for block in folded)
    assert f"<li>{result.highlights()[0]}</li>" in page
    assert result.verdict() == " ".join(_sentences(result)[:2])
    card = result._view()
    assert card.words() == result.verdict() and card.points() == result.highlights()
