"""Steering: where a planted model can be steered, and against a plain loop; halves, choices, verdicts and refusals."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import latentlang as ll
from latentlang.causal.steer_languages import settle_languages
from latentlang.causal.steer_result import ARMS, COLUMNS, SteerResult, best_cell
from latentlang.errors import InputError, ModelError
from latentlang.language_id import LanguageIdentifier
from latentlang.models import Edit, HookedLM
from latentlang.provenance import Provenance
from latentlang.tasks import Concept, WordTask
from tests.support import tiny
from tests.support.known import word_tokenizer
from tests.support.planted_lm import CODES, CONCEPT_BLOCK, LANGUAGE_BLOCK, PlantedLM

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def planted() -> tuple[HookedLM, WordTask]:
    """The planted model with forty concepts, asked to translate from German."""
    concepts = [
        Concept(
            f"c{number}",
            "things",
            {
                code: f"{LETTERS[number // 5]}{LETTERS[number % 5]}{LETTERS[place]}{code}"
                for place, code in enumerate(CODES)
            },
        )
        for number in range(40)
    ]  # fmt: skip
    tokenizer, _spelled = word_tokenizer(tuple(concepts), CODES)
    model = HookedLM(PlantedLM(tokenizer, concepts).eval(), tokenizer, name="planted")
    return model, WordTask(source="de", concepts=concepts)


def steered(**options: Any) -> SteerResult:
    model, task = planted()
    given = {
        "language": "it", "asked": "fr", "other": "es", "strengths": (-1, 0.25, 1), "new_tokens": 1, "shots": 2,
        "items": 24, "progress": False,
    }  # fmt: skip
    return ll.steer(model, task, **{**given, **options})


def test_it_finds_where_and_which_way_a_planted_language_is_added() -> None:
    result = steered()
    # nothing tells languages apart before the block that writes them: there is no direction
    assert min(result.settings.layers) == LANGUAGE_BLOCK and len(result.settings.layers) < 6
    grid = result.grid().set_index(["layer", "strength"])
    # the concept is fetched later from elsewhere: it stays in each cell
    assert (grid["content"] == 1).all()
    assert (
        set(grid.loc[(slice(None), -1.0), "language"])
        == {0.0}
        == set(grid.loc[(slice(None), 0.25), "language"])
    )
    assert set(grid.loc[(slice(None), 1.0), "score"]) == {1.0}
    # of equal cells the earliest
    assert (result.settings.chosen_layer, result.settings.chosen_strength) == (LANGUAGE_BLOCK, 1.0)
    means = result.summary().set_index("arm")
    assert means.at["steered", "score"] == 1
    for arm in ("unsteered", "random", "other-language"):
        assert (means.at[arm, "language"], means.at[arm, "content"], means.at[arm, "score"]) == (0, 1, 0)
    # the cue names the language in itself, and then the model answers in it; it knows no English name
    assert means.at["instruction-wanted", "score"] == 1 == means.at["asked-directly", "score"]
    verdict = result.verdict().iloc[0]
    assert (verdict["verdict"], verdict["reason"]) == ("steers", "instruction-wanted")
    assert "100% in Italian" in result.describe() and "not shown to be worth more than" in result.describe()


def test_strength_is_the_length_over_the_median_length_of_the_stream() -> None:
    result = steered(layers=f"{LANGUAGE_BLOCK},{CONCEPT_BLOCK}", strengths=(0.55, 0.6, 0.72))
    # 4 outputs of the asked language, and behind the concept block 3 of the concept: lengths 4 and 5
    typical = [result.settings.typical[str(layer)] for layer in (LANGUAGE_BLOCK, CONCEPT_BLOCK)]
    assert typical == pytest.approx([4, 5], abs=1e-4)
    # a length of s m along (wanted - asked) / sqrt 2 moves the wanted language above the asked one from m s sqrt 2 > 4
    grid = result.grid().set_index(["layer", "strength"])["language"]
    expected = {
        (layer, strength): float(length * strength * np.sqrt(2) > 4)
        for layer, length in zip((LANGUAGE_BLOCK, CONCEPT_BLOCK), typical, strict=True)
        for strength in (0.55, 0.6, 0.72)
    }
    assert grid.to_dict() == expected and set(expected.values()) == {0.0, 1.0}


def test_a_layer_without_a_direction_is_refused_where_it_was_asked_for() -> None:
    with pytest.raises(InputError, match="no direction of it at layer 1"):
        steered(layers="1-4")


def test_halves_and_the_items_of_directions_are_apart_and_the_choice_is_made_on_one_half() -> None:
    result = steered()
    choice, scored = (
        set(result.table[result.table["half"] == half]["item"]) for half in ("choice", "scored")
    )
    assert len(choice) == len(scored) == 12 == result.settings.items_scored and not choice & scored
    assert result.settings.directions_items == 40 - 2 - 24
    assert set(result.table[result.table["half"] == "choice"]["arm"]) == {"steered"}
    cells = result.scored.groupby("arm")[["layer", "strength"]].nunique()
    assert (cells == 1).all().all()
    # whatever is scored, the cell is that of the other half
    table = result.table.copy()
    table.loc[table["half"] == "scored", ["language", "content", "score"]] = 0.0
    assert best_cell(table) == (result.settings.chosen_layer, result.settings.chosen_strength)
    choosing = table["half"] == "choice"
    table.loc[choosing, "score"] = (table["layer"] == 5).astype(float) * (table["strength"] == -1)
    assert best_cell(table) == (5, -1.0)


@pytest.mark.parametrize("how", ["add", "replace"])
def test_it_writes_what_a_plain_loop_writes(how: str) -> None:
    model = ll.load("pocket")
    task = ll.task("translation", source="fr")
    result = ll.steer(
        model, task, language="de", asked="en", other="es", layers="3,6", strengths=(0.5, 1), items=8, new_tokens=6,
        how=how, progress=False,
    )  # fmt: skip
    assert result.settings.how == how
    prompts = {code: {p.item: p for p in task.prompts(code)} for code in ("en", "de")}
    order = [p.item for p in task.prompts("en") if p.item in prompts["de"]]
    table = result.table
    chosen = list(dict.fromkeys(table["item"]))
    # the same word in both languages tells nothing
    words = {code: task.answers(code) for code in ("en", "de", "fr")}
    alike = [item for item in order if words["de"][item] in (words["en"][item], words["fr"][item])]
    usable = [item for item in order if item not in alike and item in {p.item for p in task.prompts("es")}]
    assert set(usable[:8]) == set(chosen)
    rest = usable[8:][: result.settings.directions_items]
    for layer in (3, 6):
        states = {
            code: torch.stack([
                model.activations([prompts[code][item]], layers=[layer]).resid[0, 0] for item in rest
            ]).mean(0)
            for code in ("en", "de")
        }  # fmt: skip
        direction = torch.nn.functional.normalize(states["de"] - states["en"], dim=0)
        length = torch.stack([
            model.activations([prompts["en"][item]], layers=[layer]).resid[0, 0].norm() for item in usable[:8:2]
        ]).median()  # fmt: skip
        rows = table[(table["arm"] == "steered") & (table["half"] == "choice") & (table["layer"] == layer)]
        for row in rows.iloc[:4].to_dict("records"):
            ids = model.encode([prompts["en"][row["item"]]])[0]
            text = list(ids)
            for _ in range(6):
                there = list(range(len(ids) - 1, len(text)))
                edits = [Edit.add(direction * length * row["strength"], layers=layer, positions=there)]
                if how == "replace":
                    edits.insert(0, Edit.project_out(direction, layers=layer, positions=there))
                with model.edited(edits):
                    logits = model.activations([text], share_prefix=False).logits
                assert logits is not None
                text.append(int(logits[0].argmax()))
            assert row["text"] == model.tokenizer.decode(text[len(ids) :], skip_special_tokens=True)


def test_random_directions_are_each_items_own_and_draws_repeat() -> None:
    one, again, other = steered(), steered(), steered(seed=1)
    pd.testing.assert_frame_equal(one.table, again.table)
    assert one.settings.edit == again.settings.edit and len(one.settings.edit["sha256"]) == 64
    assert set(one.table["item"]) != set(other.table["item"])


def test_it_is_saved_and_loaded_and_says_what_was_done(tmp_path: Path) -> None:
    result = steered(strengths=1, layers=4)
    loaded = SteerResult.load(result.save(tmp_path / "out"))
    pd.testing.assert_frame_equal(loaded.table, result.table)
    assert loaded.settings == result.settings and loaded.describe() == result.describe()
    assert loaded.settings.directions == "made" and loaded.settings.identifier == "script"
    assert loaded.settings.instructions == {
        "instruction-english": "Answer in Italian.", "instruction-wanted": "Rispondi in italiano.",
    }  # fmt: skip
    assert "as given" in loaded.describe()


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = steered()
    told: list[int] = []

    def stop(done: int, _total: int) -> None:
        told.append(done)
        if done >= 80:
            raise KeyboardInterrupt

    folder = tmp_path / "unfinished"
    with pytest.raises(KeyboardInterrupt):
        steered(resume=folder, progress=stop)
    # two layers of 12 items and 3 strengths were done
    kept = sorted(path.name for path in folder.iterdir() if path.is_dir() and (path / "texts.json").exists())
    assert kept == ["layer-0003", "layer-0005"]
    again: list[int] = []
    result = steered(resume=folder, progress=lambda done, _total: again.append(done))
    assert again[:2] == [36, 72] and again == sorted(again)
    pd.testing.assert_frame_equal(result.table, whole.table)
    # asked otherwise, nothing of it is used
    other = steered(resume=folder, seed=1)
    pd.testing.assert_frame_equal(other.table, steered(seed=1).table)


# verdicts, of tables made by hand


def made(scores: dict[str, list[float]], **settings: Any) -> SteerResult:
    rows = [
        {
            "item": f"i{place}", "half": "scored", "arm": arm, "layer": 2, "strength": 1.0, "language": score,
            "content": score, "score": score, "decided": "answer-set", "text": "",
        }
        for arm, values in scores.items()
        for place, score in enumerate(values)
    ]  # fmt: skip
    choice = [{**row, "half": "choice", "item": f"c{row['item']}"} for row in rows if row["arm"] == "steered"]
    provenance = Provenance(
        model="m", task="translation", languages=("ja",), packages={}, commit=None,
        settings={
            "wanted": "ja", "asked": "en", "layers": [2], "strengths": [1.0, 2.0], "chosen_layer": 2,
            "chosen_strength": 1.0, "items_choice": 8, "items_scored": len(scores["steered"]), **settings,
        },
    )  # fmt: skip
    return SteerResult(table=pd.DataFrame([*choice, *rows])[list(COLUMNS)], provenance=provenance)


NOTHING, ALL, HALF = [0.0] * 12, [1.0] * 12, [1.0, 0.0] * 6
CONTROLS = {arm: NOTHING for arm in ARMS if arm != "steered"}


@pytest.mark.parametrize(
    ("scores", "verdict", "reason", "words"),
    [
        (
            {"steered": ALL, **CONTROLS},
            "more",
            "more",
            "worth more than every control and either instruction",
        ),
        (
            {"steered": ALL, **CONTROLS, "instruction-wanted": ALL},
            "steers",
            "instruction-wanted",
            "not shown to be worth more than an instruction in the language itself",
        ),
        (
            {"steered": ALL, **{arm: v for arm, v in CONTROLS.items() if arm != "instruction-wanted"}},
            "steers",
            "no-instruction",
            "no instruction in the wanted language was tried",
        ),
        (
            {"steered": HALF, **CONTROLS, "random": HALF},
            "not shown",
            "random",
            "not shown to be worth more than a random direction",
        ),
        (
            {"steered": HALF, **CONTROLS, "other-language": HALF[::-1]},
            "not shown",
            "other-language",
            "another language's direction",
        ),
        (
            {arm: values[:4] for arm, values in {"steered": ALL, **CONTROLS}.items()},
            "not shown",
            "few-items",
            "so few items tell nothing for certain",
        ),
        # being asked directly is no control
        (
            {"steered": ALL, **CONTROLS, "asked-directly": ALL},
            "more",
            "more",
            "asked for Japanese directly, 1.00",
        ),
    ],
)
def test_more_is_beyond_every_control(
    scores: dict[str, list[float]], verdict: str, reason: str, words: str
) -> None:
    result = made(scores)
    row = result.verdict().iloc[0]
    assert (row["verdict"], row["reason"]) == (verdict, reason)
    assert words in result.describe()
    assert row["steered"] == np.mean(scores["steered"])


def test_chance_alone_is_rarely_called_steering() -> None:
    false = 0
    for draw in range(40):
        rng = np.random.default_rng(draw)
        scores = {arm: rng.integers(0, 2, 20).astype(float).tolist() for arm in ARMS}
        false += made(scores).verdict().iloc[0]["verdict"] != "not shown"
    assert false == 0


def test_a_share_below_one_per_cent_is_one() -> None:
    values = [0.0] * 991 + [1.0] * 9
    result = made({"steered": values, **{arm: [0.0] * 1000 for arm in CONTROLS}})
    assert result.summary().iloc[0]["language"] == pytest.approx(0.009)
    assert "0.9% in Japanese" in result.describe()


def test_contrasts_are_of_the_items_own_differences() -> None:
    result = made({"steered": HALF, **CONTROLS})
    row = result.contrast().set_index("arm").loc["unsteered"]
    assert row["mean"] == 0.5 and 0.1 < row["low"] < 0.5 < row["high"] < 0.9 and row["n"] == 12
    assert row["p"] == pytest.approx(2 / 2**6, abs=0.01)
    assert result.contrast("language")["mean"].tolist() == result.contrast("content")["mean"].tolist()
    with pytest.raises(InputError, match="measure must be one of"):
        result.contrast("text")


def test_intervals_of_few_items_that_are_all_alike_are_no_points() -> None:
    """Two right answers of two do not say that all would be right: Wilson's interval begins at a third."""
    result = made({arm: values[:2] for arm, values in {"steered": ALL, **CONTROLS}.items()})
    rows = result.summary().set_index("arm")
    assert rows.loc["steered", "score_low"] == pytest.approx(0.3424, abs=1e-4)
    assert rows.loc["steered", "score_high"] == 1.0
    assert (rows.loc["random", "score_low"], rows.loc["random", "score_high"]) == pytest.approx(
        (0, 0.6576), abs=1e-4
    )
    assert "both together 1.00 [0.34, 1.00]" in result.describe()
    contrast = result.contrast().set_index("arm").loc["random"]
    assert contrast["mean"] == contrast["high"] == 1.0 and contrast["low"] == pytest.approx(
        1 - 2**0.5 * 0.6576, abs=1e-3
    )
    # other scores are resampled
    values = [0.2, 0.4, 0.9, 0.3, 0.5, 0.7]
    row = made({"steered": values, **{arm: [0.0] * 6 for arm in CONTROLS}}).summary().iloc[0]
    assert 0.2 < row["score_low"] < np.mean(values) < row["score_high"] < 0.9


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda table: table.assign(arm="other"), "an arm 'other'"),
        (lambda table: table.assign(item="i0"), "in both halves"),
        (lambda table: table[table["arm"] != "steered"], "nothing was steered"),
        (lambda table: pd.concat([table, table.tail(1)]), "two rows"),
    ],
)
def test_a_damaged_table_is_seen(change: Any, fault: str) -> None:
    result = made({"steered": ALL, **CONTROLS})
    assert result.fault() is None
    assert fault in str(replace(result, table=change(result.table)).fault())


def test_in_the_place_of_what_was_there_less_is_enough() -> None:
    """The prompt's own language lies along the direction, the other way: it is gone before anything is added."""
    added, replaced = (
        steered(how=how, layers=LANGUAGE_BLOCK, strengths=(0.25, 0.5, 1))
        .grid()
        .set_index("strength")["language"]
        for how in ("add", "replace")
    )
    assert (replaced >= added).all() and replaced[0.5] == 1 > added[0.25] == 0
    said = steered(how="replace", layers=LANGUAGE_BLOCK, strengths=1).describe()
    assert "with strength 1 in the place of what there was along the direction (as given)" in said


# directions that are given


@pytest.fixture(scope="module")
def directions(tmp_path_factory: pytest.TempPathFactory) -> ll.geometry.DirectionsResult:
    folder = tmp_path_factory.mktemp("words") / "store"
    model = ll.load("pocket")
    ll.harvest(model, "translation", languages="en,ja,de", items=12, layers="2-4", out=folder, progress=False)
    return ll.directions(folder, pools="last", reference="en", permutations=0, resamples=0, progress=False)


def test_given_directions_are_used_where_they_are(directions: Any, tmp_path: Path) -> None:
    saved = directions.save(tmp_path / "vectors")
    options: dict[str, Any] = {"language": "ja", "strengths": (0.5, 1), "items": 8, "progress": False}
    model = ll.load("pocket")
    result = ll.steer(model, directions=saved, **options)
    assert result.settings.layers == [2, 3, 4] and result.settings.directions == "given"
    assert result.settings.other == "de" and result.settings.directions_items is None
    layer, strength = result.settings.chosen_layer, result.settings.chosen_strength
    vector = torch.nn.functional.normalize(directions.vector("ja", layer=layer).float(), dim=0)
    expected = Edit.add(
        vector * (strength * result.settings.typical[str(layer)]), layers=layer, positions="new"
    )
    with model.edited(expected):
        assert model.edits == [result.settings.edit]
    assert ll.steer(model, directions=directions, **options).table.equals(result.table)
    with pytest.raises(InputError, match="no directions at layer 7; there are at 2-4"):
        ll.steer(model, directions=directions, layers=7, **options)
    with pytest.raises(InputError, match="unknown language of these directions 'ru'"):
        ll.steer(model, directions=directions, **{**options, "language": "ru"})
    with pytest.raises(InputError, match=r"are a result of ll\.directions or the folder"):
        ll.steer(model, directions=3, **options)  # type: ignore[arg-type]


def test_directions_of_another_model_are_refused_even_of_the_same_width(directions: Any) -> None:
    options: dict[str, Any] = {"language": "ja", "items": 8, "progress": False, "directions": directions}
    other = ll.load("pocket-control")
    assert other.d_model == ll.load("pocket").d_model
    with pytest.raises(ModelError, match="'pocket' with other weights"):
        ll.steer(other, **options)
    # by name where they were saved without a fingerprint of the weights
    older = {name: value for name, value in directions.provenance.settings.items() if name != "model_weights"}
    unmarked = replace(directions, provenance=replace(directions.provenance, settings=older))
    with pytest.raises(ModelError, match="are of 'pocket', not of 'pocket-control'"):
        ll.steer(other, **{**options, "directions": unmarked})
    narrow = HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")
    with pytest.raises(ModelError, match="are 160 wide, and 'tiny' is 32"):
        ll.steer(narrow, **options)


# what makes no sense


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"language": "fr"}, "ask for 'fr' already"),
        ({"language": "de"}, "the prompt's word is in 'de' already"),
        ({"language": "ja"}, "unknown language of the translation task 'ja'"),
        ({"other": "fr"}, "the other language 'fr'"),
        ({"other": "ja"}, "unknown language of the translation task 'ja'"),
        ({"strengths": ()}, "at least one number"),
        ({"strengths": (0.5, 0)}, "none of them 0"),
        ({"strengths": ("much",)}, "a strength must be a finite number, not 'much'"),
        ({"positions": "last"}, "unknown positions of steering 'last'"),
        ({"how": "swap"}, "unknown way of steering 'swap'"),
        ({"items": 3}, "items must be at least 4"),
        ({"layers": "9"}, "layer 9"),
        ({"shots": 38}, "2 items can be steered from fr to it"),
        ({"new_tokens": 0}, "new_tokens must be at least 1"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        steered(**options)
    assert "\n" not in str(raised.value)


def test_words_that_stand_in_the_prompt_are_left_out_and_identifiers_must_know_the_language() -> None:
    concepts = [
        Concept(
            f"c{n}",
            "things",
            {"fr": f"mot {n}", "en": f"word {n}", "es": f"mot {n}" if n % 2 else f"palabra {n}", "de": f"Wort {n}"},
        )
        for n in range(40)
    ]  # fmt: skip
    task = WordTask(source="fr", concepts=concepts)
    model = HookedLM(tiny.model("mistral", max_position_embeddings=1024), tiny.tokenizer(), name="tiny")
    options: dict[str, Any] = {"layers": 1, "strengths": 1, "shots": 0, "new_tokens": 1, "progress": False}
    result = ll.steer(model, task, language="es", items=8, **options)
    assert result.settings.left_out == {"alike": 20}
    assert all(int(name[1:]) % 2 == 0 for name in result.table["item"])
    with pytest.raises(InputError, match="tells en, de apart, and the wanted language 'es' is none"):
        ll.steer(model, task, language="es", identifier=LanguageIdentifier("en,de"), **options)


def test_closed_tasks_are_refused_and_translation_gets_a_source_that_is_not_wanted() -> None:
    with pytest.raises(InputError, match="the sentiment task has a few labels"):
        settle_languages("sentiment", "ja")
    assert settle_languages("translation", "fr").task.source_of("en") == "de"
    with pytest.raises(InputError, match="from 'en' where 'ja' is"):
        settle_languages(ll.task("translation", source="en,fr"), "ja", "en")
    several = settle_languages(ll.task("translation", source="fr,de"), "ja", "en")
    assert "fr" not in {several.control(None, seed) for seed in range(40)}
    assert settle_languages("translation", "en").asked == "de"
    assert settle_languages("translation", "ja").taken == ("ja", "en", "fr")


# text


@pytest.fixture
def text(tmp_path: Path) -> Path:
    from latentlang.tasks.reviews import train_reviews, write_review

    folder = tmp_path / "text"
    folder.mkdir()
    reviews = train_reviews()[::7]
    for code in ("en", "de", "es", "ja"):
        lines = [
            " ".join(write_review(review, code) for review in reviews[place : place + 3])
            for place in range(0, 90, 3)
        ]
        (folder / f"{code}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_text_is_gone_on_with_and_scored_against_its_translation(text: Path) -> None:
    pytest.importorskip("py3langid", reason="py3langid is optional: latentlang[lid]")
    task = ll.task("continuation", data=os.fspath(text))
    result = ll.steer(
        "pocket", task, language="de", items=8, layers="4,6", strengths=1, positions="all", new_tokens=24,
        progress=False,
    )  # fmt: skip
    assert result.settings.instructions["instruction-wanted"] == "Schreibe auf Deutsch."
    assert "py3langid" in result.settings.identifier
    means = result.summary().set_index("arm")
    assert means.at["asked-directly", "language"] > 0.4 > 0.1 > means.at["unsteered", "language"]
    assert means.at["steered", "language"] > means.at["random", "language"]
    assert (result.table["content"] < 1).all() and set(result.table["decided"]) <= {"parts", "no-letters"}
    for row in result.table.to_dict("records"):
        total = row["language"] + row["content"]
        assert row["score"] == pytest.approx(2 * row["language"] * row["content"] / total if total else 0)


def test_a_chat_is_steered_and_its_instruction_stands_in_the_users_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from latentlang.causal import steer_run

    tokenizer = tiny.tokenizer(bos=False)
    tokenizer.chat_template = (
        "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}[end]{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    model = HookedLM(tiny.model("mistral", max_position_embeddings=1024), tokenizer, name="tiny-chat")
    write, seen = steer_run.generate_tokens, []

    def watched(model: HookedLM, prompts: Any, **options: Any) -> Any:
        seen.extend(prompt.text for prompt in prompts)
        return write(model, prompts, **options)

    monkeypatch.setattr(steer_run, "generate_tokens", watched)
    task = model.chat(ll.task("translation", source="fr"))
    result = ll.steer(
        model,
        task,
        language="ja",
        other="es",
        layers=1,
        strengths=1,
        items=4,
        shots=1,
        new_tokens=2,
        progress=False,
    )
    assert result.provenance.settings["chat"] == "turns"
    asked = [text for text in seen if "日本語で答えてください。" in text]
    assert len(asked) == 2
    for text in asked:
        turn = text.split("[user]")[-1]
        assert turn.startswith("日本語で答えてください。\nFrançais") and "日本語:" in turn.partition("\n")[2]
        assert text.endswith("[assistant]") and "English:" in text.split("[user]")[1]


def test_an_identifier_is_asked_for_before_anything_is_run(
    text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from latentlang import language_id

    def missing() -> Any:
        raise ImportError

    monkeypatch.setattr(language_id, "_py3langid", missing)
    with pytest.raises(InputError, match="needs py3langid"):
        settle_languages(ll.task("continuation", data=os.fspath(text)), "ja").identifier()
