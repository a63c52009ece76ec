"""Numbers that pages give of models and published files are those of the committed tables; texts are there first."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from latentlang.cli.examples import EXAMPLES

ROOT = Path(__file__).resolve().parents[2]


def _page(name: str) -> str:
    return " ".join((ROOT / "docs" / name).read_text(encoding="utf-8").split())


def test_what_is_said_of_published_translations_is_in_their_tables() -> None:
    text = _page("howto/translation.md")
    bleu = pd.read_csv(ROOT / "figures" / "bayling2" / "bleu.csv")
    found = re.search(r"Of the (\d+) cells .*?, (\d+) come out within 0\.06", text)
    assert found and [int(number) for number in found.groups()] == [len(bleu), int(bleu["same"].sum())]
    (other,) = bleu[~bleu["same"]].to_dict("records")
    assert (other["system"], other["direction"]) == ("google-translate", "en-de")
    assert f"printed as {other['published']:.2f}, and its file gives {other['computed']:.2f}" in text
    off = pd.read_csv(ROOT / "figures" / "bayling2" / "off_target.csv").set_index(["system", "direction"])
    bayling = off.loc[("bayling-7b", "en-ja")]
    assert f"Japanese {bayling['off_target']:.0f}% are in another language" in text
    counted = dict(part.split(":") for part in bayling["languages"].split())
    others = {code: int(count) for code, count in counted.items() if code != "ja"}
    assert 0.85 < others["zh"] / sum(others.values()) < 0.95  # "nine in ten of these Chinese"
    assert off.loc[("gpt-4", "en-ja"), "off_target"].round() == 0  # "of GPT-4's none"


def test_what_is_said_of_steering_is_in_its_table() -> None:
    text = _page("howto/steering.md")
    table = pd.read_csv(ROOT / "figures" / "cause" / "steering.csv").query(
        "model == 'pocket' and wanted == 'ja'"
    )
    score = table.groupby("arm")["score"]
    assert "most answers then are the right word in Japanese; none is without steering" in text
    assert score.min()["steered"] > 0.5 and score.max()["unsteered"] == 0
    assert "own name of the language in the prompt does better still" in text
    assert score.min()["instruction-wanted"] > score.max()["steered"]


def test_a_text_that_is_not_in_the_package_is_downloaded_before_it_is_read() -> None:
    for path in [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]:
        text = path.read_text(encoding="utf-8")
        reading = re.search(r"(?:--text|--data) udhr|[\"']udhr[\"']", text)
        if reading and "/course/" not in path.as_posix():
            assert "data get udhr" in text, path


def test_commands_on_texts_longer_than_the_context_of_pocket_say_what_becomes_of_them() -> None:
    """Articles have more than 512 tokens in Japanese and Hindi, and these commands refuse such a text by default."""
    pages = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "notebooks").glob("*.ipynb"), ROOT / "README.md"]
    lines = [line for path in pages for line in re.split(r"[\n`]", path.read_text(encoding="utf-8"))]
    lines += [f"latentlang {typed}" for examples in EXAMPLES.values() for typed, _ in examples]
    reading = [line for line in lines if re.search(r"latentlang (bits|mass|neurons) .*--text udhr", line)]
    on_pocket = [line for line in reading if "--model" not in line and re.search("ja|hi", line)]
    assert len(on_pocket) > 4
    assert [line for line in on_pocket if "--long-texts" not in line] == []
