"""The loss figure: the table's numbers, the base's line, the step that is kept, and text from data kept harmless."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from latentlang.errors import InputError
from latentlang.figures import write_html
from latentlang.figures.loss import loss_figure
from latentlang.provenance import Provenance
from latentlang.training import TrainingResult, recipe
from tests.support.chromium import open_page

BEST = 20


def loss_result(
    *, steps: int = 40, validation: bool = True, model: str = "pocket", **changes: Any
) -> TrainingResult:
    """A run whose validation loss is lowest in its middle."""
    rows: list[tuple[int, float, str, float, float | None]] = [
        (step, step / steps * 3, "train", 3.0 - step / steps, 1e-3) for step in range(1, steps + 1)
    ]
    if validation:
        rows += [(step, step / steps * 3, "validation", 3.1 - 0.05 * (20 - abs(step - BEST)), None)
                 for step in range(0, steps + 1, 10)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["step", "epoch", "split", "loss", "learning_rate"])
    settings = {
        "recipe": recipe("zh+es+ru-en", **changes).model_dump(mode="json"),
        "pairs": {"zh-en": [950, 50], "es-en": [950, 50], "ru-en": [900, 40]},
        "best_step": BEST if validation else steps,
        "steps": steps,
    }
    provenance = Provenance(
        model=model, task="sentiment", languages=("zh", "es", "ru", "en"), policy="", settings=settings
    )
    return TrainingResult(table=table, provenance=provenance)


def curves(figure: go.Figure) -> dict[str, go.Scatter]:
    return {trace.name.partition(":")[0]: trace for trace in figure.data}


def notes(figure: go.Figure) -> list[str]:
    return [note.text for note in figure.layout.annotations]


def test_curves_are_the_tables_numbers() -> None:
    result = loss_result()
    found = curves(loss_figure(result))
    assert list(found) == ["training", "validation"]
    for name, split in (("training", "train"), ("validation", "validation")):
        own = result.table[result.table["split"] == split]
        assert list(found[name].x) == own["step"].tolist()
        assert list(found[name].y) == own["loss"].tolist()
        assert [row[0] for row in found[name].customdata] == own["epoch"].tolist()


def test_the_step_that_is_kept_and_the_base_are_marked() -> None:
    figure = loss_figure(loss_result())
    kept, base = sorted(figure.layout.annotations, key=lambda note: "before" in note.text)
    assert kept.text == "<b>kept: 2.100</b> at step 20" and (kept.x, kept.y) == (20, pytest.approx(2.1))
    assert base.text == "before training 3.100" and base.y == pytest.approx(3.1)
    (line,) = figure.layout.shapes
    assert line.y0 == line.y1 == pytest.approx(3.1)


def test_without_validation_there_is_one_curve_and_no_mark() -> None:
    figure = loss_figure(loss_result(validation=False))
    assert list(curves(figure)) == ["training"] and notes(figure) == [] and not figure.layout.shapes


def test_a_run_of_one_step_is_a_point() -> None:
    figure = loss_figure(loss_result(steps=1, validation=False))
    assert curves(figure)["training"].mode == "lines+markers"


def test_words_say_what_was_trained_and_in_which_units() -> None:
    figure = loss_figure(loss_result())
    assert figure.layout.title.text.replace("<br>", " ").startswith(
        "<b>Question translation: Chinese, Spanish and Russian to English</b>"
    )
    assert "中文" in figure.layout.title.text
    about = figure.layout.title.subtitle.text
    for part in ("model pocket", "2,800 translations, 140 held out", "LoRA rank 8 on q_proj, v_proj",
                 "learning rate 5e-05", "batch 16", "seed 0"):  # fmt: skip
        assert part in about
    assert figure.layout.yaxis.title.text == "loss (nats per output token)"
    assert figure.layout.xaxis.title.text == "optimiser step"
    assert any("never trained on" in text for text in figure.layout.meta["how_to_read"])


def test_the_control_says_that_it_is_one() -> None:
    figure = loss_figure(loss_result(wrong_pairs=True))
    assert "wrong pairs (control)" in figure.layout.title.text
    assert any("negative control" in text for text in figure.layout.meta["how_to_read"])
    assert not any(
        "negative control" in text for text in loss_figure(loss_result()).layout.meta["how_to_read"]
    )


def test_nothing_to_draw_is_said() -> None:
    result = loss_result()
    with pytest.raises(InputError, match="identity recipe trains nothing"):
        loss_figure(replace(result, table=result.table.iloc[:0]))


def test_the_figure_is_drawn_from_a_saved_result(tmp_path: Path) -> None:
    result = loss_result()
    result.save(tmp_path)
    assert TrainingResult.load(tmp_path).figure().to_json() == result.figure().to_json()


@pytest.mark.browser
def test_the_page_is_drawn_silent_and_text_is_text(tmp_path: Path) -> None:
    figure = loss_figure(loss_result(model="<img src=x onerror=alert(1)>"))
    page = open_page(write_html(figure, tmp_path / "loss.html", title="Loss"))
    assert page.complaints == []
    assert page.dom.count('class="js-line"') >= 2 and "<img src=x" not in page.dom
    assert "before training 3.100" in page.dom and "How to read this" in page.dom
