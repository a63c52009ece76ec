"""The explorer, driven from Python as a notebook drives it: a control changes, what is shown follows."""

from __future__ import annotations

import re
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from latentlang.answers import answer_sets, select_tokens, token_bytes
from latentlang.errors import InputError
from latentlang.installing import install_command
from latentlang.lens import explore
from latentlang.models import HookedLM, load
from latentlang.tasks import Concept, Prompt, WordTask, task
from latentlang.widgets import explorer
from latentlang.widgets.html import WINDOW, heat_map, language_table, top_tokens, window
from latentlang.widgets.lens_explorer import LensExplorer
from latentlang.widgets.prompt_session import PromptSession, guess, named_languages
from tests.support import tiny

PROMPT = 'Français: "fleur" - Deutsch: "'


@pytest.fixture(scope="module")
def pocket() -> HookedLM:
    return load("pocket")


@pytest.fixture
def passes(pocket, monkeypatch) -> list[str]:
    """Names of the model's forward passes, as they happen."""
    ran: list[str] = []
    forward = pocket.lm.forward
    monkeypatch.setattr(pocket.lm, "forward", lambda *a, **k: ran.append("forward") or forward(*a, **k))
    inner = pocket.lm.model.forward
    monkeypatch.setattr(pocket.lm.model, "forward", lambda *a, **k: ran.append("blocks") or inner(*a, **k))
    return ran


def _text(html: str) -> str:
    return re.sub("[\u2066-\u2069]", "", re.sub("<[^>]*>", " ", html))


def test_it_begins_with_a_prompt_of_the_task_and_everything_is_shown(pocket):
    widget = explorer(pocket)
    assert widget.message.value == ""
    assert widget.position.value == widget.position.max == len(pocket.encode([widget.prompt.value])[0]) - 1
    assert widget.layer.max == pocket.n_layers
    for part in (widget.heat, widget.tokens, widget.shares):
        assert "<table" in part.value
    assert widget.answer.value in task("translation", source="fr").answers("ja")
    assert "pocket" in repr(widget)


def test_the_model_runs_once_per_prompt_and_never_for_a_slider(pocket, passes):
    widget = explorer(pocket, PROMPT)
    once = passes.count("blocks")
    assert once == 1
    widget.layer.value = 1
    widget.position.value = 2
    widget.languages.value = ("en", "de")
    widget.answer.value = "animal/dog"
    widget.read.click()
    assert passes.count("blocks") == once
    widget.prompt.value = PROMPT + "B"
    assert passes.count("blocks") == 2 * once
    widget.prompt.value = PROMPT  # read before: kept
    assert passes.count("blocks") == 2 * once


def test_layer_and_position_change_what_is_shown(pocket):
    widget = explorer(pocket, PROMPT, top=3)
    tokens, heat, shares = widget.tokens.value, widget.heat.value, widget.shares.value
    widget.layer.value = pocket.n_layers
    assert f"at layer {pocket.n_layers}" in widget.tokens.value != tokens
    assert widget.heat.value != heat and widget.shares.value != shares
    last = explore(pocket, PROMPT, top=3).table.query(
        "layer == @pocket.n_layers and position == position.max()"
    )
    assert all(text in _text(widget.tokens.value) for text in last["text"])
    assert f"{last['probability'].iloc[0]:.3f}" in widget.tokens.value
    widget.position.value = 0
    assert "(token 0)" in widget.tokens.value


def test_the_result_is_what_explore_gives(pocket):
    widget = explorer(pocket, PROMPT)
    alone = explore(pocket, PROMPT).table
    pd.testing.assert_frame_equal(widget.result.table, alone)


def test_a_new_prompt_goes_to_its_last_token_and_looks_for_the_word_it_names(pocket):
    widget = explorer(pocket, PROMPT)
    assert widget.answer.value == "nature/flower"
    widget.position.value = 1
    widget.prompt.value = 'Français: "chien" - 中文: "'
    assert widget.answer.value == "animal/dog"
    assert widget.position.value == len(pocket.encode([widget.prompt.value])[0]) - 1
    assert "Hund" in _text(widget.shares.value)


def test_words_equal_the_slow_reference(pocket):
    widget = explorer(pocket, PROMPT, languages=["en", "fr", "de", "ru"])
    words = widget.words.set_index(["language", "layer"])
    own = task("translation", source="fr")
    labels = ["nature/flower", *own.wrong_labels("nature/flower")]
    answers = {
        code: {n: own.answers(code)[n] for n in labels if n in own.answers(code)}
        for code in ("en", "fr", "de", "ru")
    }
    sets = answer_sets(token_bytes(pocket.tokenizer), answers, cue='"', scope="same")
    reading = pocket.activations([PROMPT], positions="last")
    probabilities = pocket.unembed(reading.resid[0]).double().softmax(-1).numpy()
    for code in answers:
        ids = select_tokens(sets, code, "nature/flower").ids
        for layer in range(1, pocket.n_layers + 1):
            place = reading.layers.index(layer)
            assert words.at[(code, layer), "answer"] == pytest.approx(
                probabilities[place, ids].sum(), rel=1e-4
            )
            wrong = [probabilities[place, select_tokens(sets, code, name).ids].sum() for name in labels[1:]]
            null = words.at[(code, layer), "null"]
            assert min(wrong) - 1e-9 <= null <= max(wrong) + 1e-9


def test_a_word_without_tokens_of_its_own_says_so(pocket):
    widget = explorer(pocket, PROMPT, languages=["ja", "zh"])
    assert set(widget.words["why"]) == {"each of its tokens can begin another of these languages' words too"}
    assert widget.words["answer"].isna().all()
    assert "can begin another of these" in _text(widget.shares.value)
    widget.languages.value = ("zh", "en")
    assert set(widget.words["why"]) == {""}


def test_what_is_wrong_is_said_in_one_line_and_goes_away(pocket):
    widget = explorer(pocket, PROMPT)
    for prompt, words in (("", "the prompt is empty"), ("a " * 3000, "takes at most 512")):
        widget.prompt.value = prompt
        assert words in _text(widget.message.value) and "\n" not in widget.message.value
        assert widget.heat.value == widget.tokens.value == widget.shares.value == ""
        with pytest.raises(InputError, match="no prompt was read"):
            _ = widget.result
        widget.layer.value = 1 + widget.layer.value % 8  # nothing to draw, nothing raised
    widget.prompt.value = PROMPT
    assert widget.message.value == "" and "<table" in widget.heat.value
    widget.languages.value = ()
    assert "at least one language" in _text(widget.message.value) and widget.shares.value == ""
    widget.languages.value = ("en",)
    widget.answer.value = ""
    assert "choose an answer" in _text(widget.message.value)
    assert "<table" in widget.tokens.value


def test_memory_that_ends_is_told_too(pocket, monkeypatch):
    widget = explorer(pocket, PROMPT)

    def fail(*_args, **_options):
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2 GiB")

    monkeypatch.setattr(pocket, "activations", fail)
    widget.prompt.value = "other"
    assert "CUDA out of memory. Tried to allocate 2 GiB" in _text(widget.message.value)
    assert not widget.read.disabled


def test_every_control_has_a_description(pocket):
    widget = explorer(pocket, PROMPT)
    for control in (
        widget.prompt,
        widget.read,
        widget.answer,
        widget.languages,
        widget.layer,
        widget.position,
    ):
        assert control.description


def test_own_words_closed_tasks_and_other_architectures():
    model = HookedLM(tiny.model("gpt2"), tiny.tokenizer(), name="<b>tiny</b>")
    concepts = [
        Concept(f"thing/{english}", "thing", {"en": english, "x-mine": own})
        for english, own in (("cat", "miau"), ("dog", "wau"), ("cow", "muh"))
    ]
    widget = explorer(model, 'the dog: "', task=WordTask(source="en", concepts=concepts))
    assert widget.answer.value == "thing/dog"
    assert set(widget.languages.value) == {"x-mine", "en"}
    assert "Mine" in widget.shares.value
    closed = explorer(model, "so good", task="sentiment", languages="en,ja")
    assert closed.answer.value == ""
    closed.answer.value = "positive"
    assert "positive" in _text(closed.shares.value)


def test_bad_input_is_refused_with_a_word_of_advice(pocket, monkeypatch):
    with pytest.raises(InputError, match="unknown model 'pockt'; did you mean 'pocket'"):
        explorer("pockt")
    with pytest.raises(InputError, match="top must be at least 1, not 0"):
        explorer(pocket, top=0)
    with pytest.raises(InputError, match="no words in 'eo'"):
        explorer(pocket, languages="eo")
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(InputError, match=re.escape(install_command("notebooks"))):
        explorer(pocket)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ('Français: "fleur" - 中文: "', "nature/flower"),
        ('Deutsch: "Hund" - Français: "chien"\nDeutsch: "Blume" - Français: "', "nature/flower"),
        ("The French word for dog is", "animal/dog"),
        ("The word for underdogs is", None),
        ("\n", None),
    ],
)
def test_the_label_is_guessed_from_the_last_words(text, label):
    assert guess(task("translation", source="fr"), text) == label


def test_of_a_closed_task_nothing_is_guessed():
    assert guess(task("sentiment"), "positive") is None


def test_the_window_holds_the_chosen_token():
    for count in (1, 5, WINDOW, WINDOW + 1, 100):
        for position in range(count):
            shown = window(count, position)
            assert position in shown and len(shown) == min(count, WINDOW)
            assert shown.start >= 0 and shown.stop <= count


def test_text_from_model_and_data_is_escaped():
    hostile = "<script>alert('x')</script>"
    table = pd.DataFrame({
        "site": "resid", "position": 0, "token": hostile, "layer": [1, 2], "rank": 1, "text": hostile,
        "probability": [0.2, 0.95], "entropy": 1.0, "kl": 0.0, "id": 3,
    })  # fmt: skip
    words = pd.DataFrame({
        "language": "x-" + hostile, "word": '"' + hostile, "layer": [1, 2], "answer": [0.1, 0.2],
        "null": [0.0, np.nan], "why": "",
    })  # fmt: skip
    drawn = heat_map(table, layer=1, position=0) + top_tokens(table[:1]) + language_table(words, layer=2)
    assert "<script" not in drawn and "&lt;script&gt;" in drawn
    assert '""' not in drawn.replace('aria-label=""', "")


def test_a_prompt_object_brings_its_label(pocket):
    own = task("translation", source="fr").prompts("sw", items=1, shots=1)[0]
    widget = explorer(pocket, own)
    assert isinstance(widget, LensExplorer) and isinstance(own, Prompt)
    assert widget.answer.value == own.label and "sw" in widget.languages.value


def test_a_look_reads_after_any_token(pocket):
    look = PromptSession.at(pocket, PROMPT, top=1)
    words = look.words(task("translation", source="fr"), "nature/flower", ["en"], 0)
    assert words["answer"].between(0, 1).all() and list(words["layer"]) == list(look.layers)
    assert look.words(task("translation", source="fr"), "no/such", ["en"], 0).empty


def test_the_function_keeps_its_name_when_its_modules_are_imported():
    """A module of the package with the function's name would take its place once it is imported."""
    import importlib
    import pkgutil

    from latentlang import reproduction, widgets

    for package in (widgets, reproduction):
        modules = {found.name for found in pkgutil.iter_modules(package.__path__)}
        assert not modules & set(package.__all__), package.__name__
    importlib.import_module("latentlang.widgets.lens_explorer")
    assert callable(widgets.explorer)


def test_a_lens_is_read_through(pocket):
    """A lens that gives every layer the same state makes all inner layers say the same, and the output what it says."""

    class Constant:
        name, identity = "constant", "1"

        def translate(self, resid, layers):
            return torch.ones_like(resid)

    plain, widget = (explorer(pocket, PROMPT, lens=lens) for lens in (None, Constant()))
    assert widget.result.provenance.settings["lens"] == "constant"
    best = widget.result.table.query("rank == 1")
    inner = best[best["layer"] < pocket.n_layers]
    assert inner["id"].nunique() == 1 and inner["probability"].nunique() == 1
    last, plain_last = (
        one.result.table[one.result.table["layer"] == pocket.n_layers].reset_index(drop=True)
        for one in (widget, plain)
    )
    assert last["id"].equals(plain_last["id"])
    np.testing.assert_allclose(last["probability"], plain_last["probability"], rtol=1e-5)


def _above(widget, code):
    words = widget.words[widget.words["language"] == code].set_index("layer")
    return words["answer"] - words["null"]


def test_it_opens_where_a_language_that_nobody_named_stands_highest_above_its_null(pocket):
    widget = explorer(pocket, PROMPT)
    above = {
        code: _above(widget, code).loc[: pocket.n_layers - 1].max()
        for code in widget.languages.value
        if code not in named_languages(PROMPT, widget.languages.value)
    }
    assert max(above, key=lambda code: above[code]) == "en" and above["en"] > 0.01
    assert widget.layer.value == _above(widget, "en").loc[: pocket.n_layers - 1].idxmax() < pocket.n_layers
    assert f"at layer {widget.layer.value}" in widget.shares.value
    assert 'class="here">layer ' + str(widget.layer.value) in widget.heat.value.replace(' scope="row"', "")


def test_without_an_answer_it_opens_where_the_reading_has_come_half_way_to_the_output(pocket):
    widget = explorer(pocket, 'The weather is good. Emotion: "', task="sentiment")
    assert widget.answer.value == ""
    table = widget.result.table
    last = table[(table["rank"] == 1) & (table["position"] == table["position"].max())].set_index("layer")[
        "kl"
    ]
    near = [layer for layer in range(1, pocket.n_layers) if last[layer] <= last.max() / 2]
    assert widget.layer.value == near[0] > 1
    # none comes so near before the last: the one before it
    assert explorer(pocket, "so, so", task="sentiment").layer.value == pocket.n_layers - 1


def test_an_answer_that_another_prompt_named_is_not_looked_for_in_the_next(pocket):
    widget = explorer(pocket, PROMPT)
    assert widget.answer.value == "nature/flower"
    widget.prompt.value = 'Français: "xyzzy" - Deutsch: "'
    assert widget.answer.value == "" and "choose an answer" in widget.message.value
    widget.answer.value = "animal/dog"
    widget.prompt.value = 'Français: "xyzzyx" - Deutsch: "'
    assert widget.answer.value == "animal/dog" and widget.message.value == ""


def test_a_layer_that_the_user_chose_stays_with_the_next_prompt(pocket):
    widget = explorer(pocket, PROMPT)
    first = widget.layer.value
    widget.prompt.value = 'English: "dog" - Deutsch: "'
    moved = widget.layer.value
    assert moved != first
    widget.layer.value = 4
    widget.prompt.value = PROMPT
    assert widget.layer.value == 4


def test_a_model_of_one_layer_has_nothing_to_choose(pocket):
    look = PromptSession.at(pocket, PROMPT, top=1)
    alone = replace(look, reading=replace(look.reading, layers=(1,)))
    assert alone.informative_layer(None, named=(), position=0) == 1


@pytest.mark.parametrize(
    ("prompt", "named"),
    [
        ('Français: "fleur" - 中文: "', ("fr", "zh")),
        ('English: "Deutsch" - svenska: "', ("en", "sv")),
        ('中文: "水" - English: "water"\nDeutsch: "Hund" - Kiswahili: "', ("de", "sw")),
        ('French: "eau" - Thai: "', ("fr", "th")),
        ("The Germanic weather is", ()),
        ("", ()),
    ],
)
def test_the_languages_that_a_prompt_names(prompt, named):
    codes = ("en", "zh", "de", "sv", "sw", "th", "fr")
    assert named_languages(prompt, codes) == named


def test_the_language_asked_for_is_among_the_rows_and_can_be_read(pocket):
    widget = explorer(pocket, 'Français: "fleur" - 中文: "')
    # Japanese has the same word, and would leave neither a token of its own
    assert "zh" in widget.languages.value and "ja" not in widget.languages.value
    words = widget.words.set_index(["language", "layer"])
    assert words.at[("zh", pocket.n_layers), "answer"] > 0.9
    widget.prompt.value = 'Français: "fleur" - Svenska: "'
    assert widget.languages.value[0] == "sv" and "en" in widget.languages.value
    given = explorer(pocket, 'Français: "fleur" - 中文: "', languages="en,de")
    assert given.languages.value == ("en", "de")


def test_what_the_models_say_to_the_first_examples_is_right(pocket):
    """The prompts of the README and of the first pages, and the one that the explorer opens with."""
    for prompt, word in (('Français: "fleur" - 中文: "', "花"), ('Français: "fleur" - Deutsch: "', "Blume")):
        table = explorer(pocket, prompt).result.table
        said = table[(table["layer"] == pocket.n_layers) & (table["position"] == table["position"].max())]
        assert said.iloc[0]["text"] == word and said.iloc[0]["probability"] > 0.9
    own = explorer(pocket)
    last = own.words[own.words["layer"] == pocket.n_layers].set_index("language")
    assert last.at["ja", "answer"] > 0.9


def test_a_long_prompts_table_begins_at_the_end_where_the_chosen_token_is_one_of_its_last(pocket):
    table = explore(pocket, " ".join(["eins"] * 30), top=1).table
    last = int(table["position"].max())
    assert last > 2 * WINDOW
    for position, right in ((0, False), (2, False), (last // 2, True), (last, True)):
        assert ("from-right" in heat_map(table, layer=1, position=position)) is right
