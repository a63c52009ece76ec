"""How commands write figures and print: --html light, --png, --json, alike wherever there is a figure."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from plotly.offline import get_plotlyjs_version

from latentlang.cli import app
from latentlang.figures import image
from latentlang.geometry import AlignmentResult
from latentlang.lens import LensResult
from tests.support.command_line import Outcome
from tests.support.small_store import small_store, spectral

Run = Callable[..., Outcome]
COPY = f"plotly-{get_plotlyjs_version()}.min.js"
LENS = ("lens", "--lang", "ja", "--items", "2", "--out", "o")
FIGURES = ("lens", "tokens", "train", "compare", "evaluate", "pca", "align", "bits", "fertility")


@pytest.fixture
def acts(tmp_path: Path) -> None:
    layers = {layer: spectral(72, 8, seed=layer) for layer in (1, 2)}
    small_store(tmp_path / "acts", layers, languages=["en", "ja", "de"], items=24)


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Pictures are drawn without a browser: their widths."""
    widths: list[int] = []

    def to_image(self: Any, **how: Any) -> bytes:
        widths.append(how["width"])
        return b"picture"

    monkeypatch.setattr(image, "find_spec", lambda name: object())
    monkeypatch.setattr("plotly.graph_objects.Figure.to_image", to_image)
    return widths


def _names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_every_command_with_a_figure_has_the_same_three_options() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for name in FIGURES:
        options = {option.opts[0]: option for option in commands[name].params}
        assert {"--html", "--png", "--json"} <= set(options), name
        assert options["--html"].default == "whole" and not options["--png"].default, name
    assert "--html" in {option.opts[0] for option in commands["reproduce"].params}
    assert "--json" in {option.opts[0] for option in commands["doctor"].params}


def test_light_pages_of_all_folders_of_a_run_link_one_copy(run: Run, tmp_path: Path) -> None:
    outcome = run(*LENS, "--candidates", "en,ja,de", "--html", "light")
    assert outcome.code == 0 and f"wrote o/{COPY}" in outcome.out
    assert [name for name in _names(tmp_path / "o") if name.endswith(".js")] == [COPY]
    for page, link in (("lens.html", COPY), ("languages/languages.html", f"../{COPY}")):
        text = (tmp_path / "o" / page).read_text(encoding="utf-8")
        assert f'src="{link}"' in text and len(text) < 200_000
    copy = (tmp_path / "o" / COPY).stat()
    assert run(*LENS, "--candidates", "en,ja,de", "--html", "light").code == 0
    assert (tmp_path / "o" / COPY).stat().st_mtime_ns == copy.st_mtime_ns


def test_an_unknown_kind_of_page_is_refused_before_anything_is_loaded(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latentlang.models.load", lambda *_a, **_o: pytest.fail("it was loaded"))
    outcome = run(*LENS, "--html", "heavy")
    assert outcome.code == 2 and "unknown kind of page 'heavy'" in outcome.err
    assert not (tmp_path / "o").exists()


def test_a_picture_stands_beside_each_page_and_goes_with_its_result(
    run: Run, tmp_path: Path, acts: None, pictures: list[int]
) -> None:
    align = ("align", "acts", "--permutations", "5", "--resamples", "0", "--out", "o")
    assert "wrote o/curves.png" in run(*align, "--png").out
    drawn = {name for name in _names(tmp_path / "o") if name.endswith(".png")}
    assert drawn == {"align.png", "curves.png", "table.png"} and len(pictures) == 3
    # A later result has no older pictures beside it.
    assert run(*align).code == 0
    assert not [name for name in _names(tmp_path / "o") if name.endswith(".png")]


def test_a_picture_of_somebody_else_is_not_written_over(
    run: Run, tmp_path: Path, pictures: list[int]
) -> None:
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "lens.png").write_bytes(b"mine")
    outcome = run(*LENS, "--png")
    assert outcome.code == 2 and "lens.png" in outcome.err
    # Where no picture is asked for, it is in nobody's way, and stays.
    assert run(*LENS).code == 0
    assert (tmp_path / "o" / "lens.png").read_bytes() == b"mine"


def test_json_says_what_was_found_and_nothing_else(run: Run, tmp_path: Path, acts: None) -> None:
    outcome = run(*LENS, "--candidates", "en,ja,de", "--json")
    record = json.loads(outcome.out)
    result = LensResult.load(tmp_path / "o")
    assert (record["kind"], record["model"], record["languages"]) == ("lens", "pocket", ["ja"])
    assert record["sentence"] == result.describe() and len(record["rows"]) == len(result.glance())
    assert record["files"] and all((tmp_path / name).is_file() for name in record["files"])
    (languages,) = record["all_languages"]
    assert languages["kind"] == "multilingual-lens" and languages["sentence"]

    record = json.loads(
        run("align", "acts", "--permutations", "5", "--resamples", "0", "--out", "a", "--json").out
    )
    assert record["kind"] == "alignment"
    assert len(record["rows"]) == len(AlignmentResult.load(tmp_path / "a").glance())
    assert json.loads(run("pca", "acts", "--out", "p", "--json").out)["kind"] == "pca"
    record = json.loads(run("tokens", "--lang", "ja,de", "--json").out)
    assert record["overlap"]["de"]["en"] == record["overlap"]["en"]["de"] > 0 == record["overlap"]["ja"]["en"]
    assert {row["language"] for row in record["tokens"]} == {"ja", "de", "en"} and record["files"] == []
    record = json.loads(run("lens", "--prompt", "fleur", "--out", "e", "--json").out)
    assert record["kind"] == "explore" and record["rows"]


def test_json_of_a_check_up_has_the_findings(run: Run) -> None:
    outcome = run("doctor", "--model", "pocket", "--json")
    record = json.loads(outcome.out)
    assert outcome.code == 0 and record["exact"] is True
    assert {finding["verdict"] for finding in record["findings"]} <= {"ok", "note"}
