"""Small sets of real text for a small model, after three papers; arms that differ in one thing, and what is held out.

- `native_arms`: Russian instructions of Chen et al. (2024), written natively, translated by two engines, or sent there
  and back; matched in the lengths of their answers. The files have no licence: they are read where they lie.
- `written_anew`: a parallel set after Bactrian-X, whose replies are recorded (``replies.yaml``).
- `translations`: the Universal Declaration of Human Rights as translation instructions, after BayLing 2, and the same
  with the translations exchanged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from latentlang.instructions import (
    Arm,
    Dialogue,
    Turn,
    answer,
    build_arms,
    parallel_instructions,
    read_dialogues,
    translate,
)
from latentlang.instructions.arms import Origin
from latentlang.instructions.dialogues import single
from latentlang.instructions.providers import AnswerTable, Recording
from latentlang.seeding import generator

REPLIES = Path(__file__).with_name("replies.yaml")
# Characters of an instruction with its answer: about 110 tokens of Gemma 3's in Russian, 130 in other languages.
_MOST_CHARACTERS = 400
_ARMS: dict[str, tuple[str, Origin, str, str]] = {
    "native": ("aya_native/aya_native_data_processed.ru.json.gz", "native", "", "native"),
    "google": ("aya_google_translated/aya_google_translated_data_processed.ru.json.gz", "translated", "google", "en"),
    "rtt-google": (
        "aya_google_round_trip_translated_via_en/aya_google_round_trip_translated_via_en.ru.json.gz",
        "round-trip", "google", "native",
    ),
    "cohere": ("aya_cohere_translated/aya_cohere_translated_data_processed.ru.json.gz", "translated", "cohere", "en"),
}  # fmt: skip
_OTHERS = {code: f"aya_native/aya_native_data_processed.{code}.json.gz" for code in ("en", "es", "de", "zh")}
# Eight languages in four scripts: six that are trained, and two that are not.
TRAINED, UNSEEN = ("sw", "tr", "fi", "vi", "hi", "ru"), ("fr", "uk")
# Characters of an instruction with its translation.
_SHORT = 330


@dataclass(frozen=True)
class SmallSet:
    """Arms that are trained, and what all of them are asked afterwards.

    Attributes:
        arms: name to the dialogues that are learnt.
        held_out: name of each set to dialogues of which no arm has the item.
    """

    arms: Mapping[str, Sequence[Dialogue]]
    held_out: Mapping[str, Sequence[Dialogue]]


def native_arms(folder: Path, *, items: int = 48, held_out: int = 16) -> SmallSet:
    """Four Russian arms of equal size, matched in answer length, and short items of them and of four other languages.

    Args:
        folder: with the authors' files.
        items: of each arm.
        held_out: of each arm, and of each other language.
    """
    arms = [
        Arm(
            name,
            "ru",
            _short(read_dialogues([folder / path], language="ru", distinct=False)),
            origin,
            engine,
            parallel,
        )
        for name, (path, origin, engine, parallel) in _ARMS.items()
    ]
    matched = build_arms(
        arms,
        items=items + held_out,
        pair_by="number",
        distinct=True,
        match_lengths=True,
        check_language=False,
    )
    trained, tested = {}, {}
    for arm in matched.arms:
        dialogues = [_named(dialogue, arm.parallel_to) for dialogue in arm.dialogues]
        trained[arm.name], tested[f"ru-{arm.name}"] = dialogues[:items], dialogues[items:]
    used = {dialogue.id for dialogue in trained["google"]}
    for code, path in _OTHERS.items():
        others = [
            _named(one, code)
            for one in _short(read_dialogues([folder / path], language=code, distinct=False))
        ]
        tested[code] = [one for one in _drawn(others, 0) if one.id not in used][:held_out]
    return SmallSet(trained, tested)


def written_anew(folder: Path, *, held_out: int = 8) -> SmallSet:
    """English instructions translated by a table and answered from a recording, in five languages.

    Arms of equal size: four languages answered in their own, English alone (each item four times), and the four
    languages all answered in English.

    Args:
        folder: where table and recording are written.
        held_out: items of all languages that no arm has.
    """
    records = yaml.safe_load(REPLIES.read_text(encoding="utf-8"))
    codes = [name for name in records[0] if name != "id"]
    folder.mkdir(parents=True, exist_ok=True)
    table, recording = folder / "translations.jsonl", folder / "replies.jsonl"
    _write(
        table,
        [
            {"asked": f"en>{code}: {record['en'][0]}", "answer": record[code][0]}
            for record in records for code in codes if code != "en"
        ],
    )  # fmt: skip
    _write(
        recording,
        [
            {"messages": [{"role": "user", "content": record[code][0]}], "text": record[code][1]}
            for record in records for code in codes
        ],
    )  # fmt: skip
    english = [single(record["id"], "en", record["en"][0], "") for record in records]
    translated = translate(
        english, codes[1:], asking=AnswerTable.of_file(table), parts="instruction", progress=False
    )
    replied = answer([*english, *translated.dialogues], asking=Recording(recording), progress=False).dialogues
    tested = {one.group for one in _drawn(english, 0)[:held_out]}
    learnt = [one for one in replied if one.group not in tested]
    in_english = {one.group: one.output for one in learnt if one.language == "en"}
    own = [one for one in learnt if one.language != "fr"]
    arms = {
        "four languages": own,
        "English alone": [
            replace(one, id=f"{one.id}/{time}") for time in range(4) for one in learnt if one.language == "en"
        ],
        "answered in English": [_answered(one, in_english[one.group], "en") for one in own],
    }
    return SmallSet(
        arms,
        {code: [one for one in replied if one.language == code and one.group in tested] for code in codes},
    )


def translations(folder: Path, *, held_out: int = 4) -> SmallSet:
    """Short articles of the declaration, from English into six languages and back, and with translations exchanged.

    Args:
        folder: with the declaration's translations.
        held_out: articles that no arm has, in these languages and in two others; asked with their own source, and with
            that of another article.
    """
    built = parallel_instructions(
        folder, pivots="en", languages=(*TRAINED, *UNSEEN), kinds="sentence", asked_in="en", seed=0
    )
    short = [one for one in built.dialogues if len(one.instruction) + len(one.output) <= _SHORT]
    groups = sorted({one.group for one in short}, key=lambda name: generator("articles", name).random())
    tested = set(groups[:held_out])
    unseen = [
        one for one in short if _pair(one) in {f"{a}-{b}" for x in UNSEEN for a, b in ((x, "en"), ("en", x))}
    ]
    learnt = [one for one in short if one not in unseen and one.group not in tested]
    rest = [one for one in short if one.group in tested]
    asked = {
        "from English": [one for one in rest if one.answer_language != "en" and one not in unseen],
        "into English": [one for one in rest if one.answer_language == "en" and one not in unseen],
        "unseen languages": [one for one in rest if one in unseen],
    }
    return SmallSet(
        {"right pairs": learnt, "wrong pairs": exchanged(learnt)},
        asked | {f"{name}, wrong source": exchanged(members) for name, members in asked.items()},
    )


def exchanged(dialogues: Sequence[Dialogue]) -> list[Dialogue]:
    """Translations of a pair of languages given to the next article: each is there once, none with its own source.

    Args:
        dialogues: of one exchange each; of a pair with one article alone nothing is kept.
    """
    by_pair: dict[str, list[Dialogue]] = {}
    for one in dialogues:
        by_pair.setdefault(_pair(one), []).append(one)
    return [
        _answered(one, members[(place + 1) % len(members)].output, one.answer_language)
        for members in by_pair.values() if len(members) > 1
        for place, one in enumerate(members)
    ]  # fmt: skip


def _answered(dialogue: Dialogue, output: str, language: str) -> Dialogue:
    return replace(
        dialogue, turns=(*dialogue.turns[:-1], Turn("assistant", output)), answer_language=language
    )


def _pair(dialogue: Dialogue) -> str:
    """The end of the id of a translation instruction: ``en-sw``."""
    return dialogue.id.rpartition("/")[2]


def _short(dialogues: Sequence[Dialogue]) -> list[Dialogue]:
    return [
        one for one in dialogues
        if one.is_answered and len(one.instruction) + len(one.output) <= _MOST_CHARACTERS
    ]  # fmt: skip


def _named(dialogue: Dialogue, family: str) -> Dialogue:
    """Under a name that translations of the item share."""
    number = dialogue.id.rpartition("_")[2]
    return replace(dialogue, id=f"{family}-{number}", group=f"{family}-{number}")


def _drawn(dialogues: Sequence[Dialogue], seed: int) -> list[Dialogue]:
    return sorted(dialogues, key=lambda one: generator("small sets", seed, one.group).random())


def _write(path: Path, records: Sequence[Mapping[str, object]]) -> None:
    path.write_text(
        "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8"
    )
