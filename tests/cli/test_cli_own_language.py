"""A language of one's own, from a CSV file of words, at a shell: what answers, and what says what to do next."""

import json

import pytest

from latentlang.cli import main

ENGLISH = ["dog", "cat", "water", "fire", "house", "flower", "book", "day", "night", "milk", "egg", "sugar"]
WORDS = {
    "eu": [
        "txakur",
        "katu",
        "ur",
        "su",
        "etxe",
        "lore",
        "liburu",
        "egun",
        "gau",
        "esne",
        "arrautza",
        "azukre",
    ],
    "x-toki": [
        "soweli",
        "kuli",
        "telo",
        "seli",
        "tomo",
        "kasi",
        "lipu",
        "suno",
        "pimeja",
        "mama",
        "sike",
        "suwi",
    ],
    "fr": ["chien", "chat", "eau", "feu", "maison", "fleur", "livre", "jour", "nuit", "lait", "œuf", "sucre"],
}


@pytest.fixture
def words(tmp_path):
    """A CSV file of words in some languages."""

    def write(*codes):
        lines = [f"{code},{english},{word}" for code in codes
                 for english, word in zip(ENGLISH, WORDS[code], strict=True)]  # fmt: skip
        path = tmp_path / "words.csv"
        path.write_text("\n".join(["lang,word_original,word_translation", *lines]) + "\n", encoding="utf-8")
        return str(path)

    return write


def test_the_lens_reads_all_languages_of_the_data(words, tmp_path):
    out = tmp_path / "out"
    data = words("eu", "x-toki", "fr")
    command = ["lens", "--data", data, "--lang", "x-toki", "--candidates", "all", "--items", "6"]
    assert main([*command, "--batch-tokens", "64", "--out", str(out)]) == 0
    settings = json.loads((out / "languages" / "metadata.json").read_text())["provenance"]["settings"]
    assert set(settings["candidates"]) == {"en", "fr", "eu", "x-toki"}
    assert settings["source"] == "fr"


def test_without_a_default_source_in_the_files_english_is_translated_from(words, tmp_path):
    out = tmp_path / "out"
    assert (
        main(["lens", "--data", words("x-toki"), "--lang", "x-toki", "--items", "2", "--out", str(out)]) == 0
    )
    assert json.loads((out / "metadata.json").read_text())["provenance"]["settings"]["source"] == "en"


def test_tokens_of_ones_own_words_are_of_all_its_languages_by_default(tmp_path, capsys):
    path = tmp_path / "words.csv"
    rows = [
        "water,eau,Wasser",
        "hand,main,Hand",
        "book,livre,Buch",
        "sun,soleil,Sonne",
        "dog,chien,Hund",
        "sea,mer,Meer",
    ]
    path.write_text(
        "\n".join(["id,en,fr,de", *(f"{n},{row}" for n, row in enumerate(rows))]), encoding="utf-8"
    )
    assert main(["tokens", "--data", str(path), "--json"]) == 0
    printed = capsys.readouterr().out
    assert all(f'"language": "{code}"' in printed for code in ("en", "fr", "de"))
    assert main(["tokens"]) == 2
    assert "--lang es,it, or words of your own (--data)" in capsys.readouterr().err


def test_tokens_of_ones_own_words(words, capsys):
    assert main(["tokens", "--data", words("eu"), "--lang", "eu"]) == 0
    shown = capsys.readouterr().out
    assert "word/dog" in shown and "txakur" in shown and "sequence 1 of 1" in shown


@pytest.mark.parametrize(
    "command",
    [
        ["lens", "--lang", "eu"],
        ["lens", "--lang", "ja", "--pivot", "eu"],
        ["lens", "--lang", "ja", "--from", "eu"],
        ["lens", "--lang", "ja", "--task", "cloze"],
        ["tokens", "--lang", "eu"],
        ["tokens", "--lang", "eu", "--task", "translation"],
        ["evaluate", "--lang", "eu"],
        ["harvest", "--lang", "eu", "--out", "store"],
        ["lens", "--lang", "ja", "--task", "reading"],
        ["lens", "--lang", "eu", "--task", "nli"],
    ],
    ids=" ".join,
)
def test_an_error_about_a_language_without_words_names_the_next_step(command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(command) == 2
    shown = capsys.readouterr().err
    assert "--data words.csv" in shown and shown.count("\n") == 1


def test_a_code_that_is_a_countrys_too_is_explained(capsys):
    assert main(["lens", "--lang", "se"]) == 2
    assert "se is a country's code too: Swedish is sv" in capsys.readouterr().err
