"""Nothing from data turns the text of a figure or a page around (Unicode UAX 9), whatever is drawn."""

import json
from dataclasses import replace

import pytest
from plotly.utils import PlotlyJSONEncoder

from latentlang.figures import write_html
from latentlang.figures.document import Cell, Document, Section, Table, Text, write_document
from tests.support.alignment_standin import alignment_result
from tests.support.evaluated import evaluated
from tests.support.lens_standin import lens_result

TURNED = "model\u202eexe.gnp\u2066x\u200f"
CONTROLS = set(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067"
)  # U+2068, U+2069 are our own isolates


def _hostile(result):
    settings = {**result.provenance.settings, "lens": TURNED}
    made = replace(result.provenance, model=TURNED, adapter=TURNED, revision=TURNED, settings=settings)
    return replace(result, provenance=made)


RESULTS = {
    "lens": lens_result, "alignment": alignment_result, "accuracy": lambda: evaluated({"base": {"en": [True, False]}}),
}  # fmt: skip


@pytest.mark.parametrize("name", RESULTS)
def test_no_figure_and_no_page_is_turned(name, tmp_path):
    figure = _hostile(RESULTS[name]()).figure()
    page = write_html(figure, tmp_path / "page.html", title=TURNED, caption=[TURNED]).read_text(
        encoding="utf-8"
    )
    outside = page[: page.index("<script")] + page.split("</script>")[-1]
    assert "exe.gnp" in outside and not CONTROLS & set(outside)
    drawn = json.dumps(figure.to_plotly_json(), ensure_ascii=False, cls=PlotlyJSONEncoder)
    assert "exe.gnp" in drawn and not CONTROLS & set(drawn)


def test_no_report_is_turned(tmp_path):
    table = Table(TURNED, [TURNED], [[Cell(TURNED)]])
    document = Document(TURNED, [Section("s", TURNED, [Text(TURNED), table])], made_with=[TURNED])
    text = write_document(document, tmp_path / "report.html").read_text(encoding="utf-8")
    assert text.count("exe.gnp") >= 6 and not CONTROLS & set(text)
