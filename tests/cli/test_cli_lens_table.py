"""A lens result as lines of text."""

import io
from dataclasses import replace
from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from latentlang.cli.lens_table import BARS, lens_lines, sparkline
from latentlang.lens import LensResult
from latentlang.lens.text import reading
from latentlang.provenance import Provenance
from tests.support.lens_standin import lens_result

probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=60)


@given(probabilities, st.integers(1, 80))
def test_a_sparkline_fits_and_keeps_the_highest_bar(values, width):
    line = sparkline(values, top=1.0, width=width)
    assert len(line) == min(width, len(values))
    assert max(map(BARS.index, line)) == round(7 * max(values))


@given(probabilities)
def test_a_higher_value_has_no_lower_bar(values):
    bars = list(map(BARS.index, sparkline(values, top=0.5)))
    order = sorted(range(len(values)), key=values.__getitem__)
    assert all(bars[a] <= bars[b] for a, b in pairwise(order))


def test_a_sparkline_of_nothing_is_flat():
    assert sparkline([0.0, 0.0], top=0.0) == BARS[0] * 2
    assert sparkline([-1e-9, 2.0], top=1.0) == BARS[0] + BARS[-1]


def _result(curves, *, code="ja", items=2, **settings):
    """A result whose items all read the same; `curves` maps a name to a value per layer."""
    layers = len(next(iter(curves.values())))
    rows = [
        ("translation", code, f"item{item}", "x", layer + 1, curve, values[layer])
        for curve, values in curves.items()
        for item in range(items)
        for layer in range(layers)
    ]
    table = pd.DataFrame(rows, columns=["task", "language", "item", "label", "layer", "curve", "value"])
    settings = {"pivot": "en", "source": "fr", "shots": 4, "items": items, "n_layers": layers,
                "accuracy": {code: 0.5}, "notes": {}} | settings  # fmt: skip
    return LensResult(
        table, Provenance("pocket", "translation", (code,), settings=settings, packages={}, commit=None)
    )


CURVES = {
    "target": [0.0, 0.0, 0.1, 0.9],
    "target_null": [0.0, 0.0, 0.0, 0.01],
    "pivot": [0.0, 0.4, 0.3, 0.0],
    "pivot_null": [0.0, 0.05, 0.02, 0.0],
    "entropy": [10.0, 8.0, 4.0, 1.0],
}


def _text(result, width=100):
    return [line.plain for line in lens_lines(result, width=width)]


def test_a_language_has_its_curves_their_nulls_and_a_reading():
    assert _text(_result(CURVES)) == [
        "pocket · translation · 4-shot · policy exclusive · seed 0",
        "",
        "Japanese (ja) from French (fr): accuracy 0.50, n = 2",
        "  Japanese  ▁▁▂█  0.90 @4  null ▁▁▁▁  0.01 @4",
        "  English   ▁▄▃▁  0.40 @2  null ▁▁▁▁  0.05 @2",
        "  entropy   █▇▄▂  10.00 @1 bits",
        "  English is at most 0.35 above its null, at layer 2: of 2 items, too few to say more.",
        "",
        "bars: layers 1 to 4; the curves of a language and their nulls on one scale, a full bar is the highest of "
        "them (at least 0.1); entropy on its own; value @ layer: the highest mean over items; null: the same reading "
        "for wrong answers.",
    ]


def test_nulls_go_below_where_they_do_not_fit_beside():
    lines = _text(_result(CURVES), width=40)
    assert "  Japanese       ▁▁▂█  0.90 @4" in lines
    assert "  English null   ▁▁▁▁  0.05 @2" in lines


def test_noise_does_not_look_like_a_mountain():
    flat = {"pivot": [0.01, 0.02], "pivot_null": [0.0, 0.0], "target": [0.0, 0.0]}
    (line,) = (line for line in _text(_result(flat)) if "null" in line and "English" in line and "▂" in line)
    assert line == "  English   ▂▂  0.02 @2  null ▁▁  0.00 @1"


def test_any_label_and_shared_tokens_share_the_scale_of_their_language():
    lines = _text(_result({"target": [0.0, 0.4], "target_any": [0.0, 0.8], "target_shared": [0.0, 0.2]}))
    assert "  Japanese                 ▁▅  0.40 @2" in [line.rstrip() for line in lines]
    assert "  Japanese, any label      ▁█  0.80 @2" in lines
    assert "  Japanese, shared tokens  ▁▃  0.20 @2" in lines


def test_a_low_curve_is_drawn_low_beside_a_high_one():
    lines = _text(_result({"target": [0.0, 0.8], "pivot": [0.1, 0.0], "source": [0.4, 0.0]}))
    assert "  Japanese         ▁█  0.80 @2" in lines
    assert "  English          ▂▁  0.10 @1" in lines
    assert "  French (prompt)  ▅▁  0.40 @1" in lines


def test_each_language_says_its_own_source_and_notes():
    lines = _text(_result(CURVES, code="fr", sources={"fr": "de"}, notes={"fr": "fr: 1 of 2 items lost"}))
    assert "French (fr) from German (de): accuracy 0.50, n = 2" in lines
    assert "  note: fr: 1 of 2 items lost" in lines


def _noted(notes, policy="exclusive"):
    """Text of a result of these languages with their notes."""
    result = lens_result(
        list(notes), settings={"notes": {code: note for code, note in notes.items() if note}}
    )
    return _text(replace(result, provenance=replace(result.provenance, policy=policy)), width=400)


def test_a_note_that_all_languages_share_is_said_once():
    end = " (policy exclusive)"
    lines = _noted(
        {"ja": f"1 in en lost; 2 in fr lost{end}", "zh": f"3 in zh lost; 1 in en lost; 2 in fr lost{end}"}
    )
    assert [line for line in lines if "note" in line and "null:" not in line] == [
        f"  note: 3 in zh lost{end}",
        f"  note on each of these languages: 1 in en lost; 2 in fr lost{end}",
    ]
    lines = _noted({"ja": f"1 in en lost{end}", "zh": f"1 in en lost{end}; zh: 1 row skipped"})
    assert [line for line in lines if "note" in line and "null:" not in line] == [
        "  note: zh: 1 row skipped",
        f"  note on each of these languages: 1 in en lost{end}",
    ]
    lines = _noted({"ja": f"1 in en lost{end}", "zh": ""})
    assert [line for line in lines if "note" in line and "null:" not in line] == [
        f"  note: 1 in en lost{end}"
    ]


@pytest.mark.parametrize("layers", [4, 32, 80])
@pytest.mark.parametrize("width", [40, 60, 80, 120, 240])
def test_no_line_of_curves_is_wider_than_the_terminal(layers, width):
    curves = {
        name: [value for value in values for _ in range(layers // 4)] for name, values in CURVES.items()
    }
    result = _result(curves)
    lines = _text(result, width)
    bars = [line for line in lines if BARS[0] in line or BARS[-1] in line]
    assert len(bars) in (3, 5) and max(map(cell_len, bars)) <= width
    # Everything else is prose, which the console wraps.
    shown = io.StringIO()
    console = Console(file=shown, width=width)
    for line in lens_lines(result, width=width):
        console.print(line)
    assert max(map(cell_len, shown.getvalue().splitlines())) <= width


def _gap(*rows, n=20):
    return pd.DataFrame(rows, columns=["layer", "mean", "low", "high", "lead"]).assign(n=n)


def test_readings_claim_no_more_than_the_interval():
    def say(*rows, target="ja"):
        return reading(_gap(*rows), target=target, pivot="en", last=3)

    assert say((1, 0.01, -0.02, 0.02, 0.1), (2, 0.21, 0.17, 0.25, 0.625)) == (
        "English leads its null by 0.21 [0.17, 0.25] at layer 2; there it is ahead of the Japanese answer in "
        "62% of the items in which that can be read."
    )
    assert "hardly leads its null: at most 0.03 [0.01, 0.04], at layer 1." in say((1, 0.03, 0.01, 0.04, 0.1))
    # a lead that is sure goes before a larger one that is not
    assert "by 0.10 [0.05, 0.20] at layer 2;" in say((1, 0.2, -0.001, 0.4, 0.5), (2, 0.1, 0.05, 0.2, 0.5))
    unsure = say((1, 0.20, -0.001, 0.40, 0.5), (2, 0.1, 0.0, 0.2, 0.5))
    assert (
        unsure
        == "No layer reads English above its null with confidence: at most 0.20 [0.00, 0.40], at layer 1."
    )
    # what is sure and next to nothing is not "at most" where more was read
    small = ((1, 0.001, 0.0001, 0.002, 0.1), (2, 0.04, -0.01, 0.09, 0.2))
    assert say(*small) == "English hardly leads its null: at most 0.04 [-0.01, 0.09], at layer 2."
    assert say(small[0], (2, 0.3, -0.01, 0.7, 0.2)) == (
        "No layer reads English above its null by 0.05 or more with confidence: at most 0.30 [-0.01, 0.70], at layer 2."
    )
    assert "layer 3, the output itself" in say((3, 0.5, 0.4, 0.6, 1.0))
    assert say(target="en") == "English is the target language: there is no pivot to look for."
    assert say() == "English cannot be read here: its answers have no token of their own, or no null."


def test_readings_say_when_the_prompts_own_word_leads():
    def say(*copied, rows=((1, 0.01, -0.02, 0.02, 0.1), (2, 0.21, 0.17, 0.25, 0.6)), n=20):
        return reading(
            _gap(*rows, n=n), target="ja", pivot="en", last=3, source="fr", copied=_gap(*copied, n=n)
        )

    none = ((1, 0.0, -0.01, 0.01, 0.0), (2, 0.0, -0.01, 0.01, 0.0))
    lead = (
        "English leads its null by 0.21 [0.17, 0.25] at layer 2; there it is ahead of the Japanese answer in 60% of "
        "the items in which that can be read."
    )
    assert say(*none) == lead
    # more than the pivot, where the pivot leads
    more = say((1, 0.9, 0.8, 1.0, 1.0), (2, 0.4, 0.3, 0.5, 1.0))
    assert more == (
        f"{lead} The prompt's own French word leads its null by more there, 0.40 [0.30, 0.50], and by "
        "0.90 at layer 1."
    )
    assert say((1, 0.0, 0, 0, 0), (2, 0.4, 0.3, 0.5, 1.0)).endswith(
        "leads its null by more there, 0.40 [0.30, 0.50]."
    )
    # elsewhere, or less
    assert say((1, 0.9, 0.8, 1.0, 1.0), (2, 0.1, 0.05, 0.2, 1.0)).endswith(
        "can be read. The prompt's own French word leads its null by 0.90 [0.80, 1.00] at layer 1."
    )
    # uncertain, or too small to speak of
    assert say((1, 0.9, -0.1, 1.0, 1.0), (2, 0.04, 0.03, 0.05, 1.0)) == lead
    copies = say((1, 0.9, 0.8, 1.0, 1.0), (2, 0.1, 0.05, 0.2, 1.0), rows=((1, 0.0, -0.02, 0.02, 0.0),))
    assert copies == (
        "No layer reads English above its null with confidence: at most 0.00 [-0.02, 0.02], at layer 1. The prompt's "
        "own French word leads its null by 0.90 [0.80, 1.00] at layer 1."
    )
    assert "French" not in say((1, 0.9, 0.8, 1.0, 1.0), n=4)


def test_the_prompts_own_word_is_a_line_of_its_own():
    curves = CURVES | {"source": [0.0, 0.8, 0.1, 0.0], "source_null": [0.0, 0.1, 0.0, 0.0]}
    lines = _text(_result(curves, items=60))
    assert "  French (prompt)  ▁▇▂▁  0.80 @2  null ▁▂▁▁  0.10 @2" in lines
    # the items are alike: Newcombe's interval of .8 less .1, 60 each
    assert "leads its null by more there, 0.70 [0.54, 0.80]." in " ".join(line.strip() for line in lines)


def test_a_reading_of_few_items_claims_nothing():
    one = reading(_gap((1, 0.64, 0.64, 0.64, 1.0), n=1), target="ja", pivot="en", last=3)
    assert one == "English is at most 0.64 above its null, at layer 1: of 1 item, too few to say more."
    assert "of 4 items, too few" in reading(
        _gap((1, 0.6, 0.5, 0.7, 1.0), n=4), target="ja", pivot="en", last=3
    )


def _head(result):
    return str(next(iter(lens_lines(result, width=200))))


def test_the_headline_names_lens_protocol_and_policy():
    result = _result(CURVES, lens="logit")
    assert _head(result) == "pocket · translation · 4-shot · logit lens · policy exclusive · seed 0"
    published = replace(result, provenance=replace(result.provenance, protocol="as-published", policy="drop"))
    assert "logit lens · protocol as-published · policy drop" in _head(published)
    told = [
        "counts as an answer all the same" in str([*lens_lines(r, width=200)][-1])
        for r in (result, published)
    ]
    assert told == [False, True]


def test_a_tuned_lens_is_named_where_its_curves_are_read():
    lines = [str(line) for line in lens_lines(_result(CURVES, items=60, lens="tuned"), width=200)]
    assert "· tuned lens ·" in lines[0]
    assert any(line.strip().startswith("Through the tuned lens: English leads its null by") for line in lines)
    assert "beside the plain lens" in lines[-1]
    plain = " ".join(str(line) for line in lens_lines(_result(CURVES, items=6, lens="logit"), width=200))
    assert "tuned" not in plain


def test_what_is_no_number_is_not_read_with_confidence():
    nan = float("nan")
    said = reading(_gap((1, nan, nan, nan, nan), (2, nan, nan, nan, nan)), target="ja", pivot="en", last=2)
    assert said == "English cannot be judged here: no reading is a number."
    lines = " ".join(
        str(line) for line in lens_lines(_result({name: [nan, nan] for name in CURVES}), width=200)
    )
    assert "no number" in lines and "nan" not in lines


@pytest.mark.parametrize("count", [1, 2, 4])
def test_of_few_items_no_interval_is_claimed(count):
    said = reading(_gap((1, 0.3, 0.2, 0.4, 1.0), n=count), target="ja", pivot="en", last=2)
    assert f"of {count} item{'s' if count > 1 else ''}, too few to say more" in said and "[" not in said


def test_a_negative_gap_is_no_lead():
    said = reading(
        _gap((1, -0.004, -0.02, -0.001, 0.0), (2, -0.2, -0.3, -0.1, 0.0)), target="ja", pivot="en", last=2
    )
    assert said == (
        "No layer reads English above its null with confidence: at most 0.00 [-0.02, 0.00], at layer 1."
    )


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ("en", "English words are the target: there is no pivot to look for."),
        ("agnostic", "The answer words mean nothing about the task and are the same in every language"),
        ("same", "English cannot be read here"),
    ],
)
def test_answers_in_the_pivots_or_nobodys_words_have_no_pivot(answers, said):
    assert reading(_gap(), target="ja", pivot="en", last=8, answers=answers).startswith(said)
