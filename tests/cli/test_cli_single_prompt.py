"""`tokens`, `doctor`, `tune`, and the other looks of `lens`."""

import json

import pandas as pd
import pytest

import latentlang as ll
from latentlang.answers import answer_sets, policy_table, token_bytes
from latentlang.lens import ExplorerResult, LensResult, MultilingualLensResult, TunedLens


def _ended_well(outcome) -> str:
    assert (outcome.code, outcome.err) == (0, ""), outcome.err
    assert "\x1b" not in outcome.out
    return outcome.out


def test_tokens_prints_sets_overlap_and_what_each_policy_costs(run, tmp_path):
    text = _ended_well(run("tokens", "--lang", "es,ja,de", "--out", "out"))
    assert "E3" in text and "ポジティブ" in text and "(po)" in text
    tokenizer = ll.models.load_tokenizer("pocket")
    task = ll.task("sentiment")
    cue = task.prompts("es", items=1)[0].cue
    strings = {code: dict(task.answers(code)) for code in ("es", "ja", "de", "en")}
    sets = answer_sets(token_bytes(tokenizer), strings, cue=cue)
    costs = policy_table(sets, against=["en"], pivot="en").set_index(["language", "policy"])["labels_lost"]
    (line,) = [row for row in text.splitlines() if row.startswith("de ") and " of 2" in row]
    assert [int(cell) for cell in line.replace(" of 2", "").split()[1:5]] == [
        costs["de", name] for name in ("exclusive", "drop", "shared", "sequence")
    ]
    assert len(pd.read_parquet(tmp_path / "out" / "tokens.parquet")) > 10
    assert "Plotly" in (tmp_path / "out" / "overlap.html").read_text(encoding="utf-8")


def test_tokens_of_an_open_task_are_cut_short_unless_asked(run):
    short = _ended_well(run("tokens", "--lang", "ja", "--task", "translation"))
    full = _ended_well(run("tokens", "--lang", "ja", "--task", "translation", "--full"))
    assert "more rows with --full" in short
    assert len(full.splitlines()) > 250 > len(short.splitlines())


def test_doctor_finds_the_embedded_model_sound(run):
    text = _ended_well(run("doctor", "--model", "pocket"))
    notes = sum(line.startswith("note ") for line in text.splitlines())
    assert notes == 1 and "Readings of this model are exact. 1 note above." in text
    assert "FAULT" not in text


@pytest.mark.parametrize("folder", ["mistral_folder", "qwen_folder"])
def test_doctor_of_a_folder(run, request, folder):
    assert "languages have answer tokens" in _ended_well(
        run("doctor", "--model", request.getfixturevalue(folder))
    )


def test_a_prompt_token_by_token(run, tmp_path):
    text = _ended_well(run("lens", "--prompt", 'Français: "fleur" - 中文: "', "--top", "3", "--out", "out"))
    assert "KL to output" in text
    result = ExplorerResult.load(tmp_path / "out")
    last = result.table[result.table["position"] == result.table["position"].max()]
    best = last[(last["layer"] == 8) & (last["rank"] == 1)].iloc[0]
    assert f"{best['text']} {best['probability']:.2f}" in text
    assert (tmp_path / "out" / "prompt.html").exists()


def test_all_languages_at_once_names_the_leader(run, tmp_path):
    text = _ended_well(
        run("lens", "--lang", "ru", "--items", "40", "--candidates", "en,ru,fr,ja,sw", "--out", "out")
    )
    result = MultilingualLensResult.load(tmp_path / "out" / "languages")
    verdict = str(result.pivot_test())
    assert verdict in " ".join(text.split()) or verdict in text
    assert result.pivot_test().pivot == "en"


def test_json_of_tune_has_the_distance_of_each_layer(run, tmp_path):
    (tmp_path / "texts.txt").write_text("The film is good.\nDer Film ist gut.\n", encoding="utf-8")
    asked = ("tune", "--text", "texts.txt", "--steps", "3", "--positions", "8")
    record = json.loads(_ended_well(run(*asked, "--out", "tuned", "--json")))
    lines = _ended_well(run(*asked, "--out", "again")).splitlines()
    layers = [
        f"  {row['layer']:3}  logit lens {row['logit']:6.2f}   tuned lens {row['tuned']:6.2f}"
        for row in record["kl_to_output_in_bits"]
    ]
    assert [line for line in lines if line.startswith("  ")] == layers and len(layers) == 8 + 1
    assert (record["kind"], record["model"], record["texts"]) == ("tuned-lens", "pocket", 2)
    assert [(tmp_path / path).exists() for path in record["files"]] == [True]


def test_a_tuned_lens_is_trained_saved_and_read_through(run, tmp_path):
    (tmp_path / "texts.txt").write_text(
        "The film is good.\nDer Film ist gut.\n\nこの映画は良いです。\n", encoding="utf-8"
    )
    _ended_well(run("tune", "--out", "tuned", "--text", "texts.txt", "--steps", "3", "--positions", "8"))
    TunedLens.load(tmp_path / "tuned", ll.load("pocket"))
    text = _ended_well(run("lens", "--lang", "ja", "--items", "2", "--tuned", "tuned", "--out", "out"))
    result = LensResult.load(tmp_path / "out")
    assert result.provenance.settings["lens"] == "tuned"
    assert result.provenance.settings["translators"]["steps"] == 3
    # it must not pass for the plain lens, whatever one looks at
    head, *lines = text.splitlines()
    assert "· tuned lens ·" in head
    assert "Through the tuned lens:" in " ".join(lines) and "beside the plain lens" in " ".join(lines)
    assert "tuned lens" in repr(result)
    page = (tmp_path / "out" / "lens.html").read_text(encoding="utf-8")
    assert "<title>pocket: tuned lens" in page
    outside = page.split("</script>")[-1]
    assert "This is a tuned lens" in outside and "· tuned lens ·" in outside
    _ended_well(run("lens", "--lang", "ja", "--items", "2", "--tuned", "tuned"))
    assert (tmp_path / "latentlang-out" / "lens-pocket-translation-ja-items-2-tuned-tuned").is_dir()
    text = _ended_well(
        run(
            "lens",
            "--lang",
            "ja",
            "--items",
            "6",
            "--candidates",
            "en,ru,hi",
            "--tuned",
            "tuned",
            "--out",
            "many",
        )
    )
    assert "all languages at once, through a tuned lens" in " ".join(text.split())
    languages = MultilingualLensResult.load(tmp_path / "many" / "languages")
    assert languages.provenance.settings["lens_sha256"] == result.provenance.settings["lens_sha256"]
    text = _ended_well(run("lens", "--prompt", "fleur", "--top", "1", "--tuned", "tuned", "--out", "one"))
    assert "would say through a tuned lens after" in " ".join(text.split())
    prompt = ExplorerResult.load(tmp_path / "one")
    lens = TunedLens.load(tmp_path / "tuned", ll.load("pocket"))
    assert prompt.provenance.settings["lens_sha256"] == lens.identity


def test_the_published_protocol_and_the_answer_modes(run):
    _ended_well(
        run(
            "lens",
            "--lang",
            "ja",
            "--task",
            "sentiment",
            "--items",
            "2",
            "--protocol",
            "as-published",
            "--out",
            "a",
        )
    )
    assert LensResult.load("a").provenance.policy == "drop"
    _ended_well(
        run("lens", "--lang", "ja", "--task", "sentiment", "--items", "2", "--answers", "en", "--out", "b")
    )
    assert "pivot" not in set(LensResult.load("b").table["curve"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lens",), "give a target language"),
        (("lens", "--lang", "ja", "--protocol", "published"), "did you mean 'as-published'"),
        (("lens", "--lang", "ja", "--task", "sentiment", "--answers", "latin"), "answers must be one of"),
        (("lens", "--lang", "ja", "--answers", "en"), "does not take these options"),
        (("lens", "--prompt", ""), "--prompt is empty"),
        (("lens", "--prompt", "a", "--top", "0"), "--top must be at least 1, not 0"),
        (("lens", "--prompt", "a", "--lang", "ja"), "leave out --lang"),
        (("lens", "--lang", "ja", "--candidates", "jaa"), "unknown language 'jaa'"),
        (("lens", "--lang", "ja", "--tuned", "nowhere"), "holds no tuned lens"),
        (("tokens", "--lang", "eo"), "no data in 'eo'"),
        (("tokens", "--lang", "ja", "--model", "pockt"), "did you mean 'pocket'"),
        (("tune", "--out", "t", "--text", "missing.txt"), "cannot read the texts"),
        (("tune", "--out", "t", "--steps", "0"), "steps must be at least 1"),
        (("tune", "--out", "t", "--positions", str(2**63)), "positions must be at most 65,536"),
        (("tune", "--out", "t", "--seed", "-5"), "seed must be at least 0, not -5"),
        (("tune", "--out", "t", "--text", "/dev/zero"), "'/dev/zero' is a device"),
        (("doctor", "--model", "pockett"), "did you mean 'pocket'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run, arguments, message):
    outcome = run(*arguments)
    assert outcome.code == 2
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_two_tokens_that_write_the_same_are_shown_once(run):
    """A letter and its byte: ``p`` stood there twice, and nothing said why."""
    outcome = run("tokens", "--lang", "es", "--task", "sentiment")
    assert outcome.code == 0
    (row,) = (line for line in outcome.out.splitlines() if line.startswith("es") and "positivo" in line)
    assert "(p ×2)" in row and row.count("(p)") == 0
    assert "×2: two" in " ".join(outcome.out.split())
