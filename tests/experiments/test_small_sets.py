"""Small sets of real text: arms of equal size that differ in what they should, and nothing held out is learnt."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest
import yaml

from experiments.instructions import small_sets, tables
from experiments.instructions.gemma import examples_of, recipe_of
from experiments.instructions.small_sets import SmallSet, exchanged, native_arms, written_anew
from latentlang.instructions.dialogues import single
from latentlang.language_id import LanguageIdentifier, py3langid_backend


def _disjoint(small: SmallSet) -> bool:
    learnt, asked = (
        {one.group for dialogues in part.values() for one in dialogues}
        for part in (small.arms, small.held_out)
    )
    return not learnt & asked


def _write(path: Path, code: str, count: int, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    records = [
        {
            "instruction": f"{text} {n}?", "input": "", "output": f"{text} {n}. " * (1 + n % 7),
            "id": f"aya_{code}_{n}",
        }
        for n in range(count)
    ]  # fmt: skip
    with gzip.open(path, "wt", encoding="utf-8") as file:
        json.dump(records, file, ensure_ascii=False)


def test_native_arms_are_of_one_size_matched_in_length_and_apart_from_what_is_asked(tmp_path: Path) -> None:
    for name, (path, *_) in small_sets._ARMS.items():
        _write(tmp_path / path, f"{name}_to_rus", 120, f"слово {name[:4]}")
    for code, path in small_sets._OTHERS.items():
        _write(tmp_path / path, code, 40, "word")
    small = native_arms(tmp_path, items=24, held_out=8)
    assert {len(arm) for arm in small.arms.values()} == {24}
    assert set(small.arms) == {"native", "google", "cohere", "rtt-google"}
    assert {len(asked) for asked in small.held_out.values()} == {8}
    assert _disjoint(small)
    for one, other in (("native", "rtt-google"), ("google", "cohere")):
        assert [d.group for d in small.arms[one]] == [d.group for d in small.arms[other]]
    spread = [
        Counter(one.output.count(". ") for one in (*small.arms[name], *small.held_out[f"ru-{name}"]))
        for name in ("native", "google")
    ]
    assert spread[0] == spread[1]


def test_replies_come_from_the_recording_and_arms_differ_in_their_languages(tmp_path: Path) -> None:
    small = written_anew(tmp_path)
    assert {len(arm) for arm in small.arms.values()} == {64} and _disjoint(small)
    own, english = small.arms["four languages"], small.arms["answered in English"]
    assert [one.instruction for one in own] == [one.instruction for one in english]
    assert {one.answer_language for one in english} == {"en"}
    assert Counter(one.answer_language for one in own) == dict.fromkeys(("en", "de", "es", "ru"), 16)
    assert {one.origin for one in own} == {"answered by replay:replies.jsonl"}
    assert {code: len(asked) for code, asked in small.held_out.items()} == dict.fromkeys(
        ("en", "de", "es", "ru", "fr"), 8
    )


def test_the_replies_are_whole_and_in_their_languages() -> None:
    records = yaml.safe_load(small_sets.REPLIES.read_text(encoding="utf-8"))
    codes = ["en", "de", "es", "ru", "fr"]
    assert len({record["id"] for record in records}) == len(records) == 24
    identifier = LanguageIdentifier(codes, backend=py3langid_backend())
    for code in codes:
        texts = [" ".join(record[code]) for record in records]
        told = Counter(identifier.identify(text).language for text in texts)
        assert told[code] >= 20, told
    assert all(list(record) == ["id", *codes] for record in records)


def test_exchanged_translations_are_each_there_once_and_none_is_its_own() -> None:
    dialogues = [
        single(f"sentence/{n}/{pair}", "en", f"Translate {n}", f"{pair} {n}", answer_language="sw", group=str(n))
        for pair in ("en-sw", "sw-en") for n in range(4)
    ]  # fmt: skip
    wrong = exchanged(
        [*dialogues, single("sentence/0/en-fi", "en", "Translate", "yksi", answer_language="fi")]
    )
    assert [one.instruction for one in wrong] == [one.instruction for one in dialogues]
    assert Counter(one.output for one in wrong) == Counter(one.output for one in dialogues)
    assert not any(one.output == other.output for one, other in zip(wrong, dialogues, strict=True))
    assert all(one.output.startswith(one.id.rpartition("/")[2]) for one in wrong)


def test_every_arm_is_trained_as_many_steps_with_one_recipe() -> None:
    chosen = recipe_of("written-anew", 2)
    assert chosen.schedule.seed == 2 and chosen.schedule.keep == "last" and chosen.schedule.validation == 0
    example = examples_of([single("a", "de", "Sag Ja", "Ja", answer_language="de", group="g")])[0]
    assert (example.id, example.input, example.output) == ("g", "Sag Ja\n", "Ja")


def test_contrasts_are_of_sets_that_are_measured(tmp_path: Path) -> None:
    header = "set,item,language,tokens,loss,right\n"
    for run, loss in (("base", 3.0), ("native-0", 2.0), ("google-0", 2.5), ("native-1", 2.2)):
        folder = tmp_path / "native-arms" / run
        folder.mkdir(parents=True)
        rows = "".join(f"ru-native,{n},ru,5,{loss + n / 10},False\n" for n in range(4))
        (folder / "losses.csv").write_text(header + rows, encoding="utf-8")
    said = tables.contrasts(tmp_path)
    assert list(said["arm"]) == ["google"] and list(said["other"]) == ["native"]
    assert said.loc[0, "difference"] == pytest.approx(0.5) and said.loc[0, "seeds"] == 1
    rows = tables.gemma(tmp_path).set_index("arm")
    assert rows.loc["native", "change"] == pytest.approx(-0.9) and rows.loc["native", "seeds"] == 2
    assert rows.loc["native", "least"] == pytest.approx(2.15) and rows.loc[
        "google", "change"
    ] == pytest.approx(-0.5)
