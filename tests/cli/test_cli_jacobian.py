"""Jacobian lenses at the command line: fitted, read through, compared, and what is refused in one line."""

from __future__ import annotations

import json

import pytest

import latentlang as ll

PARAGRAPHS = {
    "en": [
        "All human beings are born free and equal in dignity.",
        "Everyone has the right to life and liberty.",
    ],
    "ja": ["すべての人間は生まれながらにして自由である。", "すべて人は生命と自由に対する権利を有する。"],
}
FIT = ("--layers", "6,7", "--skip", "2", "--longest", "12", "--items", "1")


@pytest.fixture
def text(tmp_path):
    folder = tmp_path / "text"
    folder.mkdir()
    for code, lines in PARAGRAPHS.items():
        (folder / f"{code}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder)


@pytest.fixture
def fitted(run, text):
    outcome = run("jacobian", "--text", text, "--out", "jac", *FIT)
    assert outcome.code == 0, outcome.err
    return outcome


def test_it_is_fitted_and_read_through(run, fitted, tmp_path, text):
    assert "Jacobian lens of 2 texts (1 in en, 1 in ja)" in fitted.out
    lens = ll.JacobianLens.load(tmp_path / "jac", ll.load("pocket"))
    assert lens.layers == (6, 7) and lens.texts == {"en": 1, "ja": 1}
    assert not (tmp_path / "jac" / ".unfinished").exists()
    outcome = run("jacobian", "--text", text, "--out", "jac", *FIT, "--json")
    record = json.loads(outcome.out)
    assert record["kind"] == "jacobian-lens" and record["texts"] == {"en": 1, "ja": 1}
    assert [row["layer"] for row in record["kl_to_output_in_bits"]] == [6, 7]
    task = ("--lang", "ja", "--items", "3", "--shots", "0", "--layers", "6,7")
    outcome = run("lens", *task, "--jacobian", "jac", "--out", "read")
    assert outcome.code == 0, outcome.err
    assert ll.open_result(tmp_path / "read").settings.lens_sha256 == lens.identity
    assert "Jacobian lens" in outcome.out
    outcome = run("lens", "--prompt", "Der Film", "--layers", "6-8", "--jacobian", "jac")
    assert outcome.code == 0 and "through a Jacobian lens" in outcome.out
    assert any(path.name.startswith("prompt-pocket-") and "-jacobian-jac" in path.name for path in
               (tmp_path / "latentlang-out").iterdir())  # fmt: skip
    outcome = run(
        "bits", "--text", text, "--lang", "en", "--items", "1", "--layers", "6-8", "--jacobian", "jac"
    )
    assert outcome.code == 0 and "Jacobian lens" in outcome.out
    outcome = run("barrier", "--lang", "ja", "--items", "3", "--layers", "6,7", "--jacobian", "jac", "--json")
    assert outcome.code == 0, outcome.err


def test_lenses_are_compared(run, fitted, tmp_path):
    asked = (
        "lenses", "--lang", "ja,de", "--items", "6", "--shots", "0", "--layers", "6,7", "--candidates", "en,es,ru,hi",
        "--lens", "logit", "--lens", "several=jacobian:jac",
    )  # fmt: skip
    outcome = run(*asked, "--out", "both")
    assert outcome.code == 0, outcome.err
    result = ll.open_result(tmp_path / "both")
    assert result.kind == "pivot-by-lens" and result.lenses == ("logit", "several")
    assert (tmp_path / "both" / "lenses.html").exists()
    assert "English under 2 lenses" in outcome.out
    assert " ".join(result.describe().split()) in " ".join(outcome.out.split())
    record = json.loads(run(*asked, "--json").out)
    assert record["kind"] == "pivot-by-lens" and record["sentence"] == result.describe()
    assert {row["lens"] for row in record["gaps"]} == {"logit", "several"}


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (("lens", "--lang", "ja", "--tuned", "a", "--jacobian", "b"), "--tuned and --jacobian each say"),
        (("lens", "--lang", "ja", "--jacobian", "nowhere"), "holds no tuned lens"),
        (("lenses", "--lang", "ja"), "--lens is needed: logit, tuned:FOLDER"),
        (("lenses", "--lang", "ja", "--lens", "logit"), "lenses are compared; give at least two"),
        (("lenses", "--lens", "logit", "--lens", "a=logit"), "--lang is needed: Target language"),
        (("lenses", "--lang", "ja", "--lens", "logit", "--lens", "sae:x"), "--lens 'sae:x' is no lens"),
        (("lenses", "--lang", "ja", "--lens", "logit", "--lens", "tuned:"), "--lens 'tuned:' is no lens"),
        (
            ("lenses", "--lang", "ja", "--lens", "logit", "--lens", "logit"),
            "there are two lenses called 'logit'",
        ),
        (
            ("lenses", "--lang", "ja", "--lens", "logit", "--lens", "=logit"),
            "the name in --lens '=logit' is empty",
        ),
        (("jacobian", "--text", "nowhere", "--out", "o"), "nowhere"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(run, options, match):
    outcome = run(*options)
    assert outcome.code == 2 and match in " ".join(outcome.err.split()), outcome.err
    assert "Traceback" not in outcome.err


def test_a_fit_that_is_stopped_goes_on_with_the_same_command(run, text, tmp_path, monkeypatch):
    from latentlang.lens import jacobian_fit

    command = ("jacobian", "--text", text, "--out", "jac", *FIT)
    assert run(*command).code == 0
    whole = ll.JacobianLens.load(tmp_path / "jac")
    plain, fitted = jacobian_fit.text_jacobians, []

    def stopping(*arguments, **options):
        if fitted:
            raise KeyboardInterrupt
        fitted.append(1)
        return plain(*arguments, **options)

    monkeypatch.setattr(jacobian_fit, "text_jacobians", stopping)
    outcome = run(*command[:4], "again", *FIT)
    assert outcome.code == 130 and "run the same command again to go on" in " ".join(outcome.err.split())
    assert (tmp_path / "again" / ".unfinished").is_dir()
    monkeypatch.setattr(jacobian_fit, "text_jacobians", plain)
    assert run(*command[:4], "again", *FIT).code == 0
    assert ll.JacobianLens.load(tmp_path / "again").identity == whole.identity
    assert not (tmp_path / "again" / ".unfinished").exists()
    # one that is stopped before its first text leaves nothing
    monkeypatch.setattr(jacobian_fit, "text_jacobians", stopping)
    assert run(*command[:4], "never", *FIT).code == 130
    assert not (tmp_path / "never").exists()
    # and a fit of other texts does not go on with these sums
    monkeypatch.setattr(jacobian_fit, "text_jacobians", plain)
    fitted.clear()
    monkeypatch.setattr(jacobian_fit, "text_jacobians", stopping)
    assert run(*command[:4], "again", *FIT).code == 130
    monkeypatch.setattr(jacobian_fit, "text_jacobians", plain)
    outcome = run(*command[:4], "again", *FIT, "--lang", "en")
    assert outcome.code == 2 and "holds an unfinished fit" in outcome.err
