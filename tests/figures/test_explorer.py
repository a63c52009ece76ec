import itertools

import pandas as pd
import plotly.graph_objects as go
import pytest

from latentlang.figures import explorer_figure, write_html
from latentlang.lens import explore
from latentlang.models import HookedLM
from tests.support import tiny

TEXT = 'Français: "fleur" - 中文: "'


@pytest.fixture(scope="module")
def explored():
    return explore(HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="<b>tiny</b>"), TEXT, top=3)


def test_a_cell_per_layer_and_position_with_the_likeliest_token(explored):
    figure = explorer_figure(explored)
    heat = figure.data[0]
    best = explored.table[explored.table["rank"] == 1]
    assert heat.z.shape == (best["layer"].nunique(), best["position"].nunique())
    assert heat.text.shape == heat.z.shape
    assert heat.texttemplate == "%{text}"
    row = best.iloc[-1]
    assert heat.z[-1, -1] == pytest.approx(row["probability"])
    assert heat.colorbar.title.text == "probability"
    assert "layer" in figure.layout.yaxis.title.text


def test_hover_lists_the_next_candidates_and_the_divergence(explored):
    text = explorer_figure(explored).data[0].customdata[0][0]
    assert text.count("<br>") == 4
    assert "KL to the output" in text
    assert "bits" in text


def test_text_from_the_model_is_escaped(explored, tmp_path):
    hostile = explored.table.assign(text="<script>alert(1)</script>", token="%{x}")
    figure = explorer_figure(type(explored)(table=hostile, provenance=explored.provenance))
    write_html(figure, tmp_path / "x.html", title="t")
    shown = figure.data[0].text[0][0] + figure.data[0].customdata[0][0] + str(figure.layout.title)
    assert "<script" not in shown
    assert "<b>tiny" not in shown
    assert "&lt;b&gt;tiny" in figure.layout.title.subtitle.text
    assert "%{" not in shown


def test_the_results_own_figure_and_a_single_position(explored):
    assert explored.figure().to_json() == explorer_figure(explored).to_json()
    last = explored.table[explored.table["position"] == explored.table["position"].max()]
    figure = explorer_figure(type(explored)(table=pd.DataFrame(last), provenance=explored.provenance))
    assert figure.data[0].z.shape[1] == 1


@pytest.mark.parametrize("tokens", [5, 500])
def test_a_long_prompt_takes_no_more_steps_than_a_short_one(explored, tokens, monkeypatch):
    """Each annotation, shape or trace that is added alone makes plotly check all that are there already."""
    rows = [
        {"site": "resid", "position": position, "token": f"t{position}", "layer": layer, "rank": 1, "text": "word",
         "probability": 0.5, "entropy": 1.0, "kl": 0.1}
        for layer, position in itertools.product(range(1, 19), range(tokens))
    ]  # fmt: skip
    steps = []
    for name in ("update_layout", "add_annotation", "add_shape", "add_trace"):
        real = getattr(go.Figure, name)
        monkeypatch.setattr(
            go.Figure, name, lambda *a, real=real, name=name, **k: steps.append(name) or real(*a, **k)
        )
    figure = explorer_figure(type(explored)(table=pd.DataFrame(rows), provenance=explored.provenance))
    assert steps == ["update_layout"]
    assert figure.data[0].text.shape == (18, tokens)
    assert not figure.layout.annotations


def test_the_end_of_a_long_prompt_is_in_view(explored):
    step = int(explored.table["position"].max()) + 1
    copies = [
        explored.table.assign(position=explored.table["position"] + step * n) for n in range(-(-40 // step))
    ]
    long = type(explored)(table=pd.concat(copies, ignore_index=True), provenance=explored.provenance)
    count = int(long.table["position"].max()) + 1
    figure = explorer_figure(long)
    low, high = figure.layout.xaxis.range
    assert figure.layout.width <= 900 and high == count - 0.5 and low > count / 2
    assert len(figure.data[0].x) == count  # nothing is left out: the rest is a drag away
    assert figure.layout.dragmode == "pan" and f"of {count} tokens" in figure.layout.meta["how_to_read"][-1]
    assert (
        f"of {count} tokens: drag" in figure.layout.title.subtitle.text
    )  # a notebook shows the figure alone
    whole = explorer_figure(long, width=64 * count + 200)
    assert (
        list(whole.layout.xaxis.range) == [-0.5, count - 0.5] and len(whole.layout.meta["how_to_read"]) == 2
    )
    short = type(explored)(
        table=explored.table[explored.table["position"] < 5], provenance=explored.provenance
    )
    assert list(explorer_figure(short).layout.xaxis.range) == [-0.5, 4.5]
