"""Parallel text: three layouts, aligned by ids; what does not align, or is no text, is refused by name."""

from __future__ import annotations

import gzip
import json

import pytest

import latentlang as ll
from latentlang.errors import InputError
from latentlang.tasks import ParallelText
from tests.support.parallel import declaration, lines_folder, records_folder


def test_paragraphs_are_lines_and_their_ids_are_numbers(tmp_path):
    text = ParallelText(lines_folder(tmp_path, {"en": ["One.", "Two."], "ja": ["一。", "二。"]}))
    assert text.languages == ("en", "ja")
    assert text.translation("ja").paragraphs == {"00001": "一。", "00002": "二。"}
    assert text.translation("Japanese") is text.translation("ja")


def test_blank_lines_part_paragraphs_of_several_lines(tmp_path):
    (tmp_path / "en.txt").write_text("One\nmore.\n\nTwo.\n", encoding="utf-8")
    (tmp_path / "fr.txt").write_text("\ufeffUn.\r\n \r\nDeux\r\nencore.\r\n", encoding="utf-8")
    text = ParallelText(tmp_path)
    assert list(text.translation("en").paragraphs.values()) == ["One more.", "Two."]
    assert list(text.translation("fr").paragraphs.values()) == ["Un.", "Deux encore."]


def test_records_keep_their_own_ids(tmp_path):
    text = ParallelText(
        records_folder(tmp_path, {"en": {"b": "Two.", 7: "Seven."}, "deu_Latn": {"b": "Zwei."}})
    )
    assert text.languages == ("de", "en")
    assert text.translation("en").paragraphs == {"b": "Two.", "7": "Seven."}


def test_lines_that_do_not_align_are_refused(tmp_path):
    text = ParallelText(lines_folder(tmp_path, {"en": ["One.", "Two."], "de": ["Eins."]}))
    with pytest.raises(InputError, match=r"de\.txt has 1 paragraphs and .*en\.txt has 2"):
        text.translation("de")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("klingonish.txt", "a", "is named for no language"),
        ("en.jsonl", '{"id": 1}\n', "line 1: the text must hold something, not None"),
        ("en.jsonl", '{"id": true, "text": "a"}\n', "the id must be a text or a number, not True"),
        ("en.jsonl", '{"id": 1, "text": "a"}\n\n{"id": "1", "text": "b"}\n', "line 3: the id '1' is there twice"),
        ("en.jsonl", "[1]\n", r"line 1 holds \[1\], no object"),
        ("en.jsonl", "{\n", "line 1, is not JSON"),
        ("en.txt", " \n", "is empty"),
        ("udhr.jsonl", '{"code": "eng", "bcp47": "en", "articles": {"1": []}}\n', "no translation of the declaration"),
        ("udhr.jsonl", '{"code": "eng", "bcp47": "en", "articles": {"x": ["a"]}}\n', "no translation of the decl"),
    ],
)  # fmt: skip
def test_what_is_no_parallel_text_is_refused(tmp_path, name, content, said):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        ParallelText(tmp_path).translation("en")


def test_a_language_twice_and_a_folder_without_text_are_refused(tmp_path):
    with pytest.raises(InputError, match="holds no parallel text"):
        ParallelText(tmp_path)
    lines_folder(tmp_path, {"ja": ["a"], "jpn_Jpan": ["b"]})
    with pytest.raises(InputError, match="are both of the language 'ja'"):
        ParallelText(tmp_path)


def test_what_is_about_the_text_is_no_language(tmp_path):
    lines_folder(tmp_path, {"en": ["a"], "README": ["b"]})
    assert ParallelText(tmp_path).languages == ("en",)


def test_the_declaration_is_read_in_composed_letters_and_files_of_ones_own_as_they_are(tmp_path):
    apart = "tie\u0302\u0301ng Vie\u0323\u0302t"
    (tmp_path / "own").mkdir()
    given = ParallelText(declaration(tmp_path, {"vie": ("vi", [[apart]])}))
    assert given.translation("vi").paragraphs == {"article-01": "tiếng Việt"}
    own = ParallelText(lines_folder(tmp_path / "own", {"vi": [apart]}))
    assert own.translation("vi").paragraphs == {"00001": apart}


@pytest.mark.parametrize("packed", [True, False])
def test_an_article_of_the_declaration_is_a_paragraph(tmp_path, packed):
    text = ParallelText(declaration(tmp_path, {"eng": ("en", [["a"], ["b", "c"]])}, packed=packed))
    assert text.translation("en").paragraphs == {"article-01": "a", "article-02": "b\nc"}


def test_of_several_translations_one_is_the_languages_own_and_the_others_have_names(tmp_path):
    whole, half = [["a"], ["b"]], [["a"]]
    given = {
        "042": ("es", whole), "cmn_hans_beijing": ("zh", whole), "cmn_hans": ("zh", whole), "cnr": ("cnr", whole),
        "deu_1901": ("de-1901", whole), "deu_1996": ("de-1996", whole), "nob_1": ("nb", half), "nob_2": ("nb", whole),
        "spa": ("es", whole), "srp_latn": ("sr-Latn", whole),
    }  # fmt: skip
    text = ParallelText(declaration(tmp_path, given))
    own = {code: text.translation(code).origin.rpartition(": ")[2] for code in text.languages}
    assert own == {"es": "spa", "zh": "cmn_hans", "sr-Latn": "srp_latn", "de": "deu_1996", "no": "nob_2"}
    assert set(text.others) == {"x-042", "x-cmn-hans-beijing", "x-cnr", "x-deu-1901", "x-nob-1"}
    assert text.translation("x-deu-1901").origin.endswith(": deu_1901")


def test_a_language_that_cldr_has_no_name_for_is_named_after_its_translation(tmp_path):
    text = ParallelText(
        declaration(tmp_path, {"007": ("cri", [["a"]]), "014": ("und", [["b"]]), "fao": ("fo", [["c"]])})
    )
    assert text.languages == ("x-007", "x-014", "fo")


def test_a_language_that_is_not_there_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"unknown language 'ja' in '.*'; known: en"):
        ParallelText(lines_folder(tmp_path, {"en": ["a"]})).translation("ja")


def test_a_packed_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "udhr.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(InputError, match=r"udhr\.jsonl\.gz.*put it right"):
        ParallelText(tmp_path)
    (tmp_path / "udhr.jsonl.gz").write_bytes(gzip.compress(json.dumps({"a": 1}).encode())[:-9])
    with pytest.raises(InputError, match=r"udhr\.jsonl\.gz.*put it right"):
        ParallelText(tmp_path)


@pytest.mark.parametrize(("given", "code"), [("zlm-Latn", "ms"), ("zlm", "ms")])
def test_tags_of_the_declaration_mean_the_usual_language(given, code):
    assert ll.language(given).code == code
