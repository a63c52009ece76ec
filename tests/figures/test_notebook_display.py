"""What a notebook is sent of a result, whatever it is: figure, card, nothing that is not escaped, nothing large."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import IPython
import IPython.display
import numpy as np
import pandas as pd
import plotly.io
import pytest
from plotly.offline import get_plotlyjs
from plotly.utils import PlotlyJSONEncoder

import latentlang as ll
from latentlang.errors import InputError
from latentlang.figures.notebook import MOST_ROWS, card, show_figure, small_table
from latentlang.instructions.built import Built, Dropped
from latentlang.instructions.culture import CultureBuilt
from latentlang.instructions.dialogues import single
from latentlang.instructions.pipeline import PipelineReport, PipelineStepReport
from latentlang.judging import JudgedAnswer
from latentlang.lens import LogitLens, explore, multilingual_lens
from latentlang.models import HookedLM
from latentlang.provenance import Provenance
from latentlang.results import Displayed, Result
from latentlang.tasks import task
from latentlang.training import TrainingResult, recipe
from tests.support import planted_features, planted_switch, tiny
from tests.support.alignment_standin import alignment_result
from tests.support.before_after import whole
from tests.support.chromium import open_page
from tests.support.devtools import chromium
from tests.support.evaluated import evaluated
from tests.support.known import written
from tests.support.lens_standin import lens_result
from tests.support.object_store import new_memory
from tests.support.parallel import PARAGRAPHS
from tests.support.planted_jobs import swept
from tests.support.planted_judges import PlantedJudge
from tests.support.planted_languages import CODES, world
from tests.support.question_files import code_result, small_questions
from tests.support.routes import THIRD, planted
from tests.support.small_store import small_store

PLOTLY = "application/vnd.plotly.v1+json"
HOSTILE = "<script>alert('x')</script>"
SENTENCES = {code: PARAGRAPHS[code] for code in ("en", "ja")}
ROOMS = (
    "answers.language_table", "answers.token_counts", "causal.patch_result", "causal.patchscope_result",
    "causal.pivot_use_result", "causal.steer_result", "causal.trace_result", "comparison", "evaluation",
    "generation.answer_result", "geometry", "geometry.directions_result", "geometry.erasure_result",
    "instructions.description", "judging.gap_result", "judging.judgement_result", "lens", "lens.barrier_result",
    "lens.bits", "lens.mass_result", "questions", "sizing.planning", "sweeps.sweep_result", "training",
    "translation.scores_result",
    "translation.translation_result", "units.ablation_result", "units.features_ablation",
    "units.features_result", "units.neurons_result",
)  # fmt: skip


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> dict[str, Displayed]:
    """One of each kind."""
    model = HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")
    languages = multilingual_lens(
        model, task("translation", source="fr"), languages="ja", candidates="en,de,ja", items=6, shots=1
    )
    lab = planted("used", categories=1)
    wrong = written({2: "en", 5: "ru"})
    traced = ll.trace(
        planted_switch.switching(None), planted_switch.text(0, 2, "de"), languages="de,fr",
        texts=planted_switch.parallel(), tokens=4, progress=False,
    )  # fmt: skip
    counted = ll.neurons(model, {code: listed[:3] for code, listed in SENTENCES.items()}, groups=3, deals=5)
    sae = planted_features.sae()
    featured = ll.features(
        model, sae, {code: listed[:3] for code, listed in SENTENCES.items()}, groups=3, deals=5
    )
    rows = world(3, 12).tensor.flatten(0, 1)
    store = small_store(tmp_path_factory.mktemp("store") / "s", {1: rows}, languages=CODES[:3], items=12)
    compared = whole(tmp_path_factory.mktemp("compared"))
    table = pd.DataFrame({
        "step": [0, 5, 5], "epoch": [0.0, 1.0, 1.0], "split": ["validation", "train", "validation"],
        "loss": [2.0, 1.5, 1.25], "learning_rate": [0.0, 1e-4, 1e-4],
    })  # fmt: skip
    made = Provenance(
        model="pocket", adapter="runs/zh-en", task="sentiment", languages=("zh",),
        settings={"best_step": 5, "steps": 5, "recipe": recipe("zh-en").model_dump(mode="json")},
    )  # fmt: skip
    every: list[object] = [
        lens_result(("ja", "hi")), explore(model, 'fleur "', top=3), languages, languages.pivot_test(),
        evaluated({"base": {"en": [True, False], "ja": [True, True]}}), compared, compared.evaluation, compared.lens,
        compared.pca, compared.alignment, alignment_result(), TrainingResult(table, made),
        ll.ComparisonGroup.of({"one": compared, "two": compared}),
        ll.bits_per_byte(model, {"en": ["a cat"], "de": ["ein Hund"]}),
        ll.language_mass(model, SENTENCES, items=2, progress=False),
        ll.pivot_test(lab.model, lab.task, languages="de", third=THIRD, items=4, shots=1),
        ll.describe_instructions(
            [single("1", "de", "Wo?", "Da."), single("1", "ja", "どこ?", "ここ")], tokenizer=model.tokenizer,
            progress=False,
        ),
        ll.judge(
            [JudgedAnswer("1", "de", "Wo?", "Da."), JudgedAnswer("2", "de", "Wer?", "Ich.")],
            judges=PlantedJudge(lambda *_: "[[4]]"), progress=False,
        ),
        ll.gap(pd.DataFrame({"arm": ["native", "google"], "score": [0.5, 0.25]})), swept(),
        ll.plan("mistral"),
        Built("answer", (single("1", "de", "Wo?", "Da."),), (Dropped("2", "de", "short-answer", "Wann?"),)),
        CultureBuilt("culture", (single("1", "de", "Wo?", "Da."),)),
        PipelineReport(Path("data"), (PipelineStepReport("one", "answer", 4),)),
        ll.fertility(model.tokenizer, {"en": ["a cat"], "de": ["ein Hund"]}),
        ll.patch(lab.model, source="fr-de", target="fr-it", items=2, shots=1, controls=(), progress=False),
        ll.steer(
            "pocket", language="ja", layers=6, strengths=1, items=4, new_tokens=2, progress=False
        ),
        ll.patchscope(
            ll.load("pocket"), source="fr-de", layers=[4], items=2, controls=(), read="de", progress=False
        ),
        ll.directions(store, permutations=0, resamples=0), ll.erase(store, method="lsar", rank=1),
        traced,
        ll.token_languages(model.tokenizer, languages="de,ja", items=8, progress=False),
        ll.translation_barrier(wrong.model, wrong.task, languages="ja", shots=1, items=3, progress=False),
        ll.pivot_by_lens(
            model, task("translation", source="fr"), lenses={"logit": None, "again": LogitLens()}, languages="ja",
            candidates="en,de,ja", items=6, shots=1,
        ),
        ll.answer(model, ["a", "b"], language="de", decoding=ll.Decoding(new_tokens=3), progress=False),
        ll.ask(model, small_questions(), new_tokens=2, progress=False), code_result(),
        counted, ll.neuron_ablation(model, counted, SENTENCES, rule="lape", random=1, progress=False),
        ll.translate(model, {"en": ["a cat", "a dog"], "de": ["eine Katze", "ein Hund"]}, directions="en-de",
                     shots=1, new_tokens=2, progress=False),
        ll.score_translations(["ein Haus"], ["ein Hund"], sources=["a dog"], lang="de", progress=False),
        featured, ll.feature_ablation(model, sae, featured, SENTENCES, fdr=None, random=1, progress=False),
    ]  # fmt: skip
    return {type(one).__name__: one for one in every if isinstance(one, Displayed)}


@pytest.fixture
def sent(monkeypatch) -> list[dict[str, object]]:
    """Bundles that a notebook would get."""
    bundles: list[dict[str, object]] = []

    class Kernel:
        pass

    monkeypatch.setattr(IPython, "get_ipython", Kernel)
    monkeypatch.setattr(IPython.display, "display", lambda bundle, raw: bundles.append(bundle))
    monkeypatch.setattr(plotly.io.renderers, "default", "plotly_mimetype")
    return bundles


#: A test's outcome, and steps that make data, are tables.
WITHOUT_FIGURE = ("PivotTest", "Built", "CultureBuilt", "PipelineReport", "SizePlan")


def _kinds(base: type) -> set[type]:
    return {base} | {deeper for kind in base.__subclasses__() for deeper in _kinds(kind)}


def test_every_kind_of_result_is_looked_at_here(shown):
    for room in ROOMS:
        import_module(f"latentlang.{room}")
    kinds = {kind.__name__ for kind in _kinds(Displayed) if kind.__module__.startswith("latentlang.")}
    assert kinds - {"Displayed", "Result"} == set(shown)


def test_each_result_is_saved_to_another_filesystem_as_to_this_one(shown, tmp_path):
    for name, one in shown.items():
        if isinstance(one, Result):
            place = new_memory()
            one.save(place)
            here = ll.open_result(one.save(tmp_path / name))
            assert ll.open_result(place) == here, name


def test_each_is_one_short_line_as_text(shown):
    for name, one in shown.items():
        text = repr(one)
        assert text.startswith(f"<{name}: ") and text.endswith(">")
        assert "\n" not in text and len(text) < 200


def test_each_sends_its_figure_and_a_card(shown, sent):
    for name, one in shown.items():
        sent.clear()
        one._ipython_display_()
        cards = [str(bundle["text/html"]) for bundle in sent if "text/html" in bundle]
        figures = [bundle[PLOTLY] for bundle in sent if PLOTLY in bundle]
        assert len(cards) == 1 and len(figures) == (name not in WITHOUT_FIGURE), name
        assert "<table" in cards[0] and name in cards[0]
        assert all(bundle["text/plain"] == repr(one) for bundle in sent)
        assert all(figure["data"] for figure in figures)  # type: ignore[index]
        # plotly's own JavaScript is 4 MB
        assert (
            len(str(sent)) < 1_000_000
            and len(re.sub("<script.*?</script>", "", cards[0], flags=re.S)) < 15_000
        )


def test_provenance_is_told_in_one_line_and_in_full(shown):
    lens = shown["LensResult"]
    assert isinstance(lens, Result)
    assert re.search(r'<p class="quiet">model pocket .*policy exclusive.*</p>', card(lens._view()))
    full = lens.provenance._repr_html_()
    assert "<dt>policy</dt><dd>exclusive</dd>" in full and "<dt>adapter</dt>" not in full


def test_the_words_of_a_finding_stand_over_the_table(shown):
    assert "There is " in card(shown["ComparisonResult"]._view())
    assert "no candidate" in card(shown["PivotTest"]._view()) or "pivot" in card(shown["PivotTest"]._view())


def test_as_html_alone_it_works_offline(shown):
    page = shown["LensResult"]._repr_html_()
    assert "plotly.js v" in page and 'class="latentlang-card"' in page
    assert not re.findall(r"<(?:script|link)[^>]+(?:src|href)=", page)


def test_a_terminal_gets_text_and_no_browser_opens(shown, sent, monkeypatch):
    class TerminalInteractiveShell:
        pass

    for shell in (TerminalInteractiveShell, lambda: None):
        sent.clear()
        monkeypatch.setattr(IPython, "get_ipython", shell)
        shown["LensResult"]._ipython_display_()
        assert sent == [{"text/plain": repr(shown["LensResult"])}]


def test_the_users_renderers_are_honoured(shown, sent, monkeypatch):
    for quiet in ("", "browser"):
        sent.clear()
        monkeypatch.setattr(plotly.io.renderers, "default", quiet)
        shown["LensResult"]._ipython_display_()
        assert [set(bundle) for bundle in sent] == [{"text/plain", "text/html"}] or quiet == "browser"
        assert not any(PLOTLY in bundle for bundle in sent)
    sent.clear()
    monkeypatch.setattr(plotly.io.renderers, "default", "plotly_mimetype+notebook")  # for nbconvert
    shown["LensResult"]._ipython_display_()
    assert set(sent[0]) == {"text/plain", "text/html", PLOTLY}


def test_text_from_models_and_data_is_escaped(sent):
    table = lens_result(("ja",)).table.assign(task=HOSTILE)
    hostile = replace(lens_result(("ja",), model=HOSTILE, adapter=HOSTILE), table=table)
    page = card(hostile._view()) + replace(hostile.provenance, settings={HOSTILE: HOSTILE})._repr_html_()
    assert "<script" not in page and page.count("&lt;script&gt;") >= 4


def test_a_figure_that_cannot_be_drawn_is_told_and_the_table_still_shown(sent):
    def refuse():
        raise InputError("nothing to draw & <so on>")

    view = replace(lens_result(("ja",))._view(), figure=refuse)
    from latentlang.figures.notebook import show

    show(view)
    (only,) = sent
    assert "There is no figure: nothing to draw &amp; &lt;so on&gt;" in str(only["text/html"])
    assert "<table" in str(only["text/html"])


def test_a_result_without_a_figure_shows_its_table(sent):
    Result(
        pd.DataFrame({"value": [1.0]}), Provenance(model="m", task="t", languages=("ja",))
    )._ipython_display_()
    (only,) = sent
    assert "1.000" in str(only["text/html"]) and "Result: model m, t, ja, 1 rows" in str(only["text/html"])


def test_a_small_table_is_small_and_readable():
    table = pd.DataFrame({
        "n": range(MOST_ROWS + 3), "p_value": [1e-9, 0.5, 1234.5678, np.nan, -0.25, 0.0, *[1.0] * 5],
        "mean": [-8.47e-05, 0.25, *[1.0] * 9], "least": [8.47e-05, 0.02, *[0.0] * 9],
        "word": ["אבג", None, "a\nb", True, "x" * 99, *["ok"] * 6],
    })  # fmt: skip
    drawn = small_table(table)
    assert drawn.count("<tr>") == 1 + MOST_ROWS and "… and 3 more rows" in drawn
    for text in ("1e-09", "0.500", "1.23e+03", "–", "-0.250", "0.000", "a b", "yes", "p value"):
        assert text in drawn
    assert '<td class="number">0.000</td><td class="number">8.47e-05</td>' in drawn and "-8" not in drawn
    assert "x" * 70 not in drawn and "\u2068אבג\u2069" in drawn
    assert small_table(table[:0]) == "<p>(no rows)</p>"


@pytest.mark.parametrize(
    "name", ["LensResult", "EvaluationResult", "AlignmentResult", "PCAResult", "ComparisonResult"]
)
def test_a_glance_is_small(shown, name):
    glance = shown[name].glance()  # type: ignore[attr-defined]
    assert 0 < len(glance) < 40 and len(glance.columns) <= 12


def test_a_glance_at_a_lens_is_the_highest_gap(shown):
    lens = lens_result(("ja", "hi"))
    glance = lens.glance().set_index("language")
    for code, part in lens.gap().groupby("language", observed=True):
        best = part.loc[part["mean"].idxmax()]
        assert (
            glance.at[code, "layer"] == best["layer"] and glance.at[code, "pivot_minus_null"] == best["mean"]
        )
    assert len(lens_result(("ja",), without=[("ja", "pivot_null")]).glance())


# What a notebook puts around two outputs of a cell, and what it says of its colours.
_CHILD = '<div class="jp-OutputArea-child"><div class="jp-OutputArea-output">{}</div></div>'
_REPORT = """<script>
for (const plot of document.querySelectorAll(".js-plotly-plot")) plot.dataset.filter = getComputedStyle(plot).filter;
const cell = document.querySelector(".latentlang-card td");
document.body.dataset.font = getComputedStyle(cell).fontFamily;
</script>"""


@pytest.mark.parametrize(
    ("dark", "body"),
    [
        (True, '<body data-jp-theme-light="false">'), (False, '<body data-jp-theme-light="true">'), (False, "<body>"),
        (True, '<body data-vscode-theme-kind="vscode-dark"><div class="output_container">'),
        (False, '<body data-vscode-theme-kind="vscode-light"><div class="output_container">'),
    ],
)  # fmt: skip
def test_a_figure_over_its_card_is_dark_in_a_dark_notebook(dark, body, tmp_path):
    figure = '<div class="js-plotly-plot"></div>'
    others = "" if "output_container" in body else _CHILD.format(figure)
    parts = [
        others,
        _CHILD.format(figure),
        _CHILD.format(card(lens_result()._view(), figure=lens_result().figure())),
    ]
    page = tmp_path / "notebook.html"
    page.write_text(
        f"<!doctype html><meta charset=utf-8>{body}{''.join(parts)}</div>{_REPORT}", encoding="utf-8"
    )
    dom = open_page(page).dom
    filters = re.findall(r'data-filter="([^"]*)"', dom)
    assert filters[-1] == ("invert(0.92) hue-rotate(180deg)" if dark else "none")
    assert filters[:-1] in ([], ["none"])  # another's figure is none of ours
    assert "Noto Sans" in re.search(r'data-font="([^"]*)"', dom)[1]


_CELL = """<!doctype html><meta charset=utf-8><body data-jp-theme-light="false">
<script>{library}</script><div id="cell" style="width: 630px">{outputs}</div>
<script>Plotly.newPlot(...JSON.parse(document.getElementById("given").textContent))</script>"""


def _cell(tmp_path, figure, sent) -> Path:
    """A page in which a figure stands as in a notebook, drawn by the notebook's plotly after all outputs are there."""
    sent.clear()
    figure._ipython_display_()
    first, *others = sent
    drawn = {"data": first[PLOTLY]["data"], "layout": first[PLOTLY]["layout"]}
    given = json.dumps(["plot", drawn["data"], drawn["layout"]], cls=PlotlyJSONEncoder).replace(
        "<", "\\u003c"
    )
    outputs = [f'<div id="plot"></div><script type="application/json" id="given">{given}</script>']
    outputs += [str(bundle["text/html"]) for bundle in others]
    page = tmp_path / "cell.html"
    page.write_text(
        _CELL.format(library=get_plotlyjs(), outputs="".join(map(_CHILD.format, outputs))), encoding="utf-8"
    )
    return page


@pytest.mark.browser
def test_a_figure_alone_suits_its_cell_and_the_notebooks_theme(sent, tmp_path):
    path = _cell(tmp_path, lens_result(("ja", "hi", "de")).figure(), sent)
    lefts = "new Set(Object.entries(document.getElementById('plot')._fullLayout).filter(([n]) => /^xaxis/.test(n))"
    lefts += ".map(([, axis]) => axis.domain[0])).size"
    dark = "getComputedStyle(document.getElementById('plot')).filter"
    with chromium(tmp_path / "profile", width=1200) as page:
        page.send("Page.navigate", url=path.as_uri())
        page.wait(
            "narrow form", f"window.Plotly && document.getElementById('plot')?._fullLayout && {lefts} === 1"
        )
        assert page.run(dark) == "invert(0.92) hue-rotate(180deg)"
        page.run("document.getElementById('cell').style.width = '1000px'")
        page.wait("wide form", f"{lefts} === 3")
        page.run("document.getElementById('cell').style.width = '500px'")
        page.wait("narrow form again", f"{lefts} === 1")
        # a prompt beside it takes room that the figure does not have
        page.run("document.getElementById('cell').style.width = '1000px'")
        page.wait("wide form again", f"{lefts} === 3")
        page.run(
            "(() => { const plot = document.getElementById('plot'), prompt = document.createElement('span');"
            "prompt.style.width = '500px'; plot.before(prompt); plot.parentElement.style.display = 'grid';"
            "plot.parentElement.style.gridTemplateColumns = '500px minmax(0, 1fr)';"
            "document.getElementById('cell').style.width = '999px'; })()"
        )
        page.wait("narrow form beside a prompt", f"{lefts} === 1")
        assert page.complaints == []


@pytest.mark.browser
def test_a_figure_with_a_width_of_its_own_does_not_go_over_a_narrow_cell(sent, tmp_path):
    result = explore(ll.load("pocket"), 'Français: "fleur" - 日本語: "', top=1)
    path = _cell(tmp_path, result.figure(), sent)
    path.write_text(path.read_text(encoding="utf-8").replace("630px", "465px"), encoding="utf-8")
    with chromium(tmp_path / "profile", width=1200) as page:
        page.send("Page.navigate", url=path.as_uri())
        page.wait(
            "narrow form", "window.Plotly && document.getElementById('plot')?._fullLayout?.width <= 465"
        )
        assert page.run("document.getElementById('cell').scrollWidth") <= 465
    sent.clear()
    result.figure(width=900)._ipython_display_()
    assert "ResizeObserver" not in str(sent[1]["text/html"])


def test_a_theme_and_a_width_that_were_asked_for_are_kept(sent):
    result = lens_result(("ja", "hi", "de"))
    result.figure(theme="light")._ipython_display_()
    assert PLOTLY in sent[0] and "latentlang-figured" not in str(sent[1]["text/html"])
    sent.clear()
    result.figure(width=900)._ipython_display_()
    assert "ResizeObserver" not in str(sent[1]["text/html"]) and "latentlang-figured" in str(
        sent[1]["text/html"]
    )
    sent.clear()
    result.figure(width=900, theme="dark").show()
    assert [set(bundle) for bundle in sent] == [{PLOTLY}]


def test_where_plotly_shows_nothing_a_figure_shows_nothing_more(sent, monkeypatch):
    monkeypatch.setattr(plotly.io.renderers, "default", "")
    assert not show_figure(lens_result(("ja",)).figure())
    assert sent == []


def test_a_figure_in_one_piece_with_its_card_is_dark_too():
    page = lens_result()._repr_html_()
    assert (
        page.index('<div class="latentlang-plot">')
        < page.index("js-plotly-plot")
        < page.index('class="latentlang-card"')
    )
    assert ".latentlang-plot .js-plotly-plot" in page
