"""Traces of models of which it is known whether, where and at which layer they slip into another language."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
import torch

import latentlang as ll
from latentlang.answers import token_languages
from latentlang.causal import TraceResult
from latentlang.causal.trace_null import null_rates, null_verdicts
from latentlang.causal.trace_switch import (
    NO_SWITCH,
    NOTHING,
    SWITCH,
    TOO_FEW,
    Switch,
    earliest_layer,
    find_switch,
    latest_language,
    switch_onset,
    undone,
    verdict,
)  # fmt: skip
from latentlang.errors import InputError
from latentlang.models import Edit
from latentlang.tasks.shared_texts import language_texts
from tests.support.planted_switch import (
    CODES,
    DEPTH,
    LANGUAGE_BLOCK,
    WORD_BLOCK,
    WORDS,
    parallel,
    switching,
    text,
    word,
)  # fmt: skip

#: After this word German goes on in French: the eighth new word of a text of three.
AFTER, STEP = 9, 7


def traced(model: ll.HookedLM, prompts: object = None, **options: object) -> TraceResult:
    given = {"languages": CODES, "texts": parallel(), "tokens": 14, "progress": False} | options
    return ll.trace(model, text(0, 3, "de") if prompts is None else prompts, **given)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def result() -> TraceResult:
    return traced(switching((AFTER, "de", "fr")))


# Models of which it is known


def test_the_token_and_the_layer_of_a_switch_are_found(result: TraceResult) -> None:
    (row,) = result.switches.to_dict("records")
    assert (row["step"], row["onset"], row["before"], row["language"]) == (STEP, STEP, "de", "fr")
    assert row["token"] == word(AFTER + 1, "fr")
    assert row["layer"] == LANGUAGE_BLOCK
    said = result.describe()
    assert "goes on in French after German, from new token 8 on" in said
    assert f"before it French leads from layer {LANGUAGE_BLOCK} to the last." in said


def test_the_edit_undoes_it_and_random_changes_as_large_do_not(result: TraceResult) -> None:
    edits = result.edits
    assert edits["arm"].value_counts().to_dict() == {"edit": 1, "random": 20}
    assert edits.set_index("arm").loc["edit", "undone"] and not edits.query("arm == 'random'")["undone"].any()
    assert edits["length"].nunique() == 1 and set(edits["layer"]) == {LANGUAGE_BLOCK}
    # the text now written stays German, with the same words
    assert edits["text"][0] == text(AFTER + 1, 14 - STEP, "de")
    assert (edits.query("arm == 'random'")["text"] == text(AFTER + 1, 14 - STEP, "fr")).all()
    assert "The switch is undone" in result.describe() and "it is in 0 of 20" in result.describe()


def test_a_model_that_stays_in_its_language_gives_none() -> None:
    result = traced(switching(None), [text(first, 3, code) for code in CODES for first in range(0, WORDS, 4)])
    assert (result.summary()["verdict"] == NO_SWITCH).all() and result.switches.empty and result.edits.empty
    assert result.summary()["before"].tolist() == [code for code in CODES for _ in range(5)]
    assert result.describe().startswith("0 of 15 texts go on in another language than before.")


def test_the_text_before_is_held_against_what_was_asked_for() -> None:
    result = traced(switching(None), [text(0, 3, "de"), text(0, 3, "fr")], asked="fr")
    first, second = result.summary().to_dict("records")
    assert (first["verdict"], first["step"], first["before"], first["language"]) == (SWITCH, 0, "fr", "de")
    assert second["verdict"] == NO_SWITCH
    assert "goes on in German after French, which was asked for, from new token 1 on" in result.describe()


def test_masses_are_those_of_the_whole_distribution(result: TraceResult) -> None:
    model = switching((AFTER, "de", "fr"))
    table = token_languages(model, parallel(), languages=CODES, progress=False)
    ids = model.encode([text(0, 3, "de")])[0]
    written = [*ids, *result.tokens()["id"].tolist()]
    resid = model.activations([written], layers=list(range(1, DEPTH + 1)), positions="all").resid[0]
    for step, layer in ((0, 1), (STEP, LANGUAGE_BLOCK), (STEP, WORD_BLOCK), (13, DEPTH)):
        probs = model.unembed(resid[layer - 1, len(ids) - 1 + step]).double().softmax(-1)
        cell = result.table.query(
            "step == @step and layer == @layer", local_dict={"step": step, "layer": layer}
        )
        for row in cell.to_dict("records"):
            assert row["mass"] == pytest.approx(float(probs[table.ids(row["language"])].sum()), abs=1e-5)


def test_the_tokens_are_those_of_greedy_writing_with_the_model_itself() -> None:
    model = ll.load("pocket")
    prompt = 'Français: "fleur" - 日本語: "'
    result = ll.trace(model, prompt, languages="fr,ja", tokens=10, draws=0, progress=False)
    ids = torch.tensor([model.encode([prompt])[0]])
    written = model.model.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=10
    )
    assert result.tokens()["id"].tolist() == written[0, ids.shape[1] :].tolist()
    last = result.table[result.table["layer"] == model.n_layers].drop_duplicates("step")
    assert last["top"].tolist() == last["token"].tolist()


def test_the_null_is_of_text_in_the_other_languages(result: TraceResult) -> None:
    null = result.table.query("layer == @DEPTH and step == 0 and language == 'es'")
    # no German or French text is gone on with in Spanish
    assert float(null["null"].iloc[0]) < 0.01 and float(null["null_high"].iloc[0]) < 0.01
    # of German text one word in twenty is: French has a null above zero at the layers that say so
    french = result.table.query("layer == @DEPTH and step == 0 and language == 'fr'")
    assert float(french["null"].iloc[0]) < 0.2


def test_it_is_saved_and_loaded_with_its_edits(result: TraceResult, tmp_path) -> None:
    loaded = TraceResult.load(result.save(tmp_path / "trace"))
    pd.testing.assert_frame_equal(loaded.table, result.table)
    pd.testing.assert_frame_equal(loaded.edits, result.edits)
    assert loaded.settings == result.settings and loaded.describe() == result.describe()
    assert result.provenance.settings["texts"] == "texts of one's own"


def test_a_table_can_be_made_once(tmp_path) -> None:
    model = switching((AFTER, "de", "fr"))
    table = token_languages(model, parallel(), languages=CODES, progress=False)
    folder = table.save(tmp_path / "table")
    for given in (table, folder):
        result = traced(model, table=given, languages=None)
        assert result.switches["step"].tolist() == [STEP] and result.provenance.languages == CODES


def test_a_switch_in_the_prompt_of_a_task_is_judged_by_the_language_it_asks_for() -> None:
    prompt = ll.Prompt("i", "es", "", "", text(0, 3, "de"), "")
    (row,) = traced(switching(None), prompt).switches.to_dict("records")
    assert (row["before"], row["language"], row["step"]) == ("es", "de", 0)


# The rules


@pytest.mark.parametrize(
    ("owners", "before", "switch"),
    [
        ("dddfff", "d", Switch(3, "d", "f")),
        ("d.d.f..f", "d", Switch(4, "d", "f")),
        ("ddfddd", "d", None),  # one foreign word
        ("ddffddd", "d", None),  # two, and then on as before
        ("dddddf", "d", None),  # one word at the end may be anything
        ("dddff", "d", Switch(3, "d", "f")),
        ("ffff", "d", Switch(0, "d", "f")),
        ("ffff", None, None),  # nothing before: that is its language
        ("ffffdd", None, Switch(4, "f", "d")),
        ("dfefed", "d", None),  # no majority
        ("....", "d", None),
        ("", "d", None),
    ],
)
def test_a_switch_is_the_first_token_of_a_majority_of_the_next_known_ones(owners, before, switch) -> None:
    listed = [None if owner == "." else owner for owner in owners]
    assert find_switch(listed, before) == switch


def test_a_switch_begins_at_tokens_of_no_language_before_which_the_new_one_leads() -> None:
    owners = ["d", None, None, None, "f"]
    assert switch_onset(owners, [True] * 5, 4) == 1
    assert switch_onset(owners, [True, True, False, True, True], 4) == 3
    assert switch_onset(owners, [False] * 5, 4) == 4
    assert switch_onset(["d", "f"], [True, True], 1) == 1


def test_verdicts_are_codes() -> None:
    assert verdict(["d", None, "d"], "d") == NO_SWITCH
    assert verdict(["d", None], "d") == TOO_FEW
    # tokens of other languages do not say that a text stays in its own
    assert verdict(["e", "f"], "d") == TOO_FEW and verdict(["d", "e", "f"], "d") == TOO_FEW
    assert verdict(["d", "e", "d", "f"], "d") == NO_SWITCH and verdict(["e", "e", "f"], None) == NO_SWITCH
    assert verdict([], "d") == NOTHING
    assert verdict(["f", "f"], "d") == SWITCH
    # 3 of 30 tokens do not say that a text stays in its language, 6 of 30 do; a switch that is seen stays one
    assert (
        verdict(["d"] * 3 + [None] * 27, "d") == TOO_FEW
        and verdict([None, *"ddd", *[None] * 26], None) == TOO_FEW
    )
    assert verdict(["d"] * 5 + [None] * 25, "d") == TOO_FEW
    assert verdict(([None] * 4 + ["d"]) * 6, "d") == NO_SWITCH
    assert verdict(["f"] * 3 + [None] * 27, "d") == SWITCH
    assert latest_language(["f", "f", None, "d", "d", "d", "f", "d"]) == "d"
    assert latest_language(["d", "f"]) == "f" and latest_language([None]) is None


@pytest.mark.parametrize(
    ("written", "is_undone"),
    [
        ("dddd", True),
        ("d.d.", True),
        ("dddf", True),
        ("", False),  # it ended
        ("....", False),  # signs, or what no language has
        ("d...", False),
        ("ffff", False),
        ("ddff", False),
        ("ee.e", False),
    ],
)
def test_a_switch_is_undone_where_the_text_goes_on_in_its_old_language(written, is_undone) -> None:
    owners = [None if owner == "." else owner for owner in written]
    assert undone(["d", "d", None], owners, "d", "d") == is_undone


def test_an_edit_after_which_nothing_is_written_undoes_nothing(monkeypatch) -> None:
    import latentlang.causal.tracing as tracing

    whole = tracing.generate_tokens

    def silent(model, prompts, *, edit=None, **options):
        return [[] for _ in prompts] if edit is not None else whole(model, prompts, **options)

    monkeypatch.setattr(tracing, "generate_tokens", silent)
    result = traced(switching((AFTER, "de", "fr")))
    assert not result.edits["undone"].any()
    assert "The switch is not undone" in result.describe() and "it is in 0 of 20" in result.describe()


def test_a_text_without_tokens_of_its_language_is_not_said_to_stay_in_it(monkeypatch) -> None:
    import latentlang.causal.tracing as tracing

    model = switching(None)
    mixed = [model.encode([word(0, code)])[0][-1] for code in ("fr", "es")]
    texts = iter([[mixed], [mixed, []]])
    monkeypatch.setattr(tracing, "generate_tokens", lambda *_given, **_options: next(texts))
    said = traced(model).describe()
    assert said.startswith("2 of 2 new tokens belong to a language, too few of them to German")
    several = traced(model, [text(0, 3, "de"), text(4, 3, "de")]).describe()
    assert "Of 1 too few tokens belong to a language to say." in several
    assert "After 1 prompt nothing was written." in several


def test_a_text_of_which_few_tokens_are_known_is_not_said_to_stay_in_its_language(monkeypatch) -> None:
    import latentlang.causal.tracing as tracing

    model = switching(None)
    known = [model.encode([word(number, "de")])[0][-1] for number in range(12)]
    nothing = model.encode(["."])[0][-1]
    assert token_languages(model, parallel(), languages=CODES, progress=False).language_of(nothing) is None
    said = []
    for written in (known[:3] + [nothing] * 27, known[:6] + [nothing] * 24):
        monkeypatch.setattr(tracing, "generate_tokens", lambda *_given, ids=written, **_options: [ids])
        result = traced(model, tokens=30)
        said.append((result.summary()["verdict"][0], result.describe().splitlines()[0]))
    assert said[0] == (
        TOO_FEW, "3 of 30 new tokens belong to a known language: too few to say whether it switches.",
    )  # fmt: skip
    assert said[1][0] == NO_SWITCH and "the text stays in German" in said[1][1]


def test_false_switches_are_counted_in_text_of_one_language() -> None:
    """Of German text every fourth paragraph goes on in French in its middle: the rule finds each of these."""
    model = switching(None)
    table = token_languages(model, parallel(), languages=CODES, progress=False)
    given = replace(
        table,
        provenance=replace(table.provenance, settings={**table.provenance.settings, "texts": "elsewhere"}),
    )
    corpus = parallel() | {
        "de": [text(first, 4, "de") + text(first, 4, "de" if first % 4 else "fr") for first in range(WORDS)]
    }
    texts = language_texts(corpus, languages=CODES)
    source, verdicts = null_verdicts(model, given, texts, tokens=8, seed=0, made=False)
    assert source == "given"
    assert verdicts == {
        "de": {NO_SWITCH: 15, SWITCH: 5}, "fr": {NO_SWITCH: 20}, "es": {NO_SWITCH: 20}
    }  # fmt: skip
    rates = pd.DataFrame(null_rates(verdicts, level=0.95)).set_index("language")
    assert rates.loc["de", "share"] == 0.25 and rates.loc["fr", "share"] == 0.0
    # Wilson's interval of 5 of 20 and of 0 of 20
    assert rates.loc["de", ["low", "high"]].tolist() == pytest.approx([0.1119, 0.4687], abs=1e-4)
    assert rates.loc["fr", ["low", "high"]].tolist() == pytest.approx([0.0, 0.1611], abs=1e-4)


def test_a_trace_says_how_often_text_in_one_language_would_be_called_a_switch(
    result: TraceResult, tmp_path
) -> None:
    rates = result.false_switches()
    assert (
        rates["language"].tolist() == list(CODES) and (rates["share"] == 0).all() and (rates["n"] > 0).all()
    )
    assert result.settings.null_table == "held-out" and (rates["high"] > 0).all()
    n = rates["n"].sum()
    assert f"Of {n} stretches of 14 tokens of held-out text in one language 0 would be called a switch" in (
        result.describe()
    )
    pd.testing.assert_frame_equal(TraceResult.load(result.save(tmp_path / "t")).false_switches(), rates)
    # no text is as long as that
    long = traced(switching(None), tokens=300, draws=0)
    assert long.false_switches().empty and "would be called a switch" not in long.describe()


def test_single_tokens_of_the_wrong_language_are_no_switch() -> None:
    """Of certain tokens one in ten may be wrong: at half that rate texts of 40 tokens give no switch but rarely."""
    draw = torch.Generator().manual_seed(0)
    wrong = torch.rand(400, 40, generator=draw) < 0.05
    found = [find_switch(["f" if odd else "d" for odd in row], "d") for row in wrong.tolist()]
    assert sum(switch is not None for switch in found) <= 0.06 * len(found)


def test_a_language_leads_from_where_it_has_most_and_more_than_its_null_up_to_the_last_layer() -> None:
    masses = torch.tensor([[0.5, 0.1], [0.1, 0.5], [0.4, 0.3], [0.1, 0.2], [0.1, 0.9]]).double().numpy()
    null = torch.tensor([0.0, 0.0, 0.0, 0.1, 0.1]).double().numpy()
    assert earliest_layer([1, 2, 3, 4, 5], masses, null, 1) == 4
    assert earliest_layer([1, 2, 3, 4, 5], masses, null + 0.15, 1) == 5
    assert earliest_layer([1, 2, 3, 4, 5], masses, null + 1.0, 1) is None
    assert earliest_layer([1, 2, 3, 4, 5], masses, null, 0) is None


# What makes no sense


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompts": ""}, "the prompt is empty"),
        ({"prompts": []}, "there is no prompt to go on from"),
        ({"prompts": [3]}, "a prompt must be a text or a Prompt, not int"),
        ({"languages": "de"}, "two languages or more that the model might write, not de"),
        ({"languages": None}, "give the languages that the model might write"),
        ({"asked": "ja"}, "the language asked for, 'ja', is not among those told apart"),
        ({"tokens": 0}, "tokens must be at least 1"),
        ({"draws": -1}, "draws must be at least 0"),
        ({"languages": "de,fr,it"}, "unknown language of these texts 'it'"),
        ({"texts": None, "languages": "de,ko"}, "there is no embedded text in 'ko'"),
        ({"layers": "99"}, "99"),
    ],
)
def test_bad_input_is_one_clear_error(options, message) -> None:
    with pytest.raises((InputError, ll.ModelError), match=message):
        traced(switching(None), **options)


def test_a_table_of_other_languages_or_of_another_vocabulary_is_refused() -> None:
    model = switching(None)
    table = token_languages(model, parallel(), languages="de,fr", progress=False)
    with pytest.raises(InputError, match="those of the table de, fr; leave languages out"):
        traced(model, table=table)
    with pytest.raises(InputError, match="the model has another"):
        ll.trace("pocket", "x", table=table)


def test_an_edited_model_is_refused() -> None:
    model = switching(None)
    with (
        model.edited(Edit.scale(0.5, layers=1)),
        pytest.raises(InputError, match="a model is traced within edited"),
    ):
        traced(model)


def test_a_prompt_that_is_not_there_is_refused(result: TraceResult) -> None:
    with pytest.raises(InputError, match="there is no prompt 1; this result has prompts 0 to 0"):
        result.figure(1)


def test_the_figure_has_the_languages_colours_and_marks_the_switch(result: TraceResult) -> None:
    figure = result.figure()
    heat = {trace.name: trace for trace in figure.data if trace.type == "heatmap"}
    assert {"German", "French"} <= {*heat}
    at_last = DEPTH - 1
    assert heat["French"].z[at_last][STEP] > 0.9 and heat["German"].z[at_last][STEP - 1] > 0.9
    line, frame = figure.layout.shapes
    assert line.x0 == STEP - 0.5 and (frame.x0, frame.y0) == (STEP - 0.5, LANGUAGE_BLOCK - 0.5)
    ticks = figure.layout.xaxis.ticktext
    assert len(ticks) == 14 and ticks[0] != ticks[STEP]
    assert result.figure(width=400).layout.width == 400
