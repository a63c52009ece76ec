"""The declaration of human rights: from a mirror in unicode.org's layout to text that the tasks read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from latentlang.downloads import catalogue, download, published_set
from latentlang.downloads.declaration import DECLARATION_FILE, translations
from latentlang.downloads.fetch import default_folder
from latentlang.errors import InputError
from latentlang.storage.xml import parse_xml
from latentlang.tasks import ParallelText, parallel_text, task
from tests.support.declaration_archive import HEAD, PATH, archive, document, official
from tests.support.published_files import serving


@pytest.fixture
def server():
    with serving({f"/{PATH}": official()}) as running:
        yield running


def test_it_is_fetched_and_read_as_parallel_text(server, tmp_path):
    got = download("udhr", tmp_path, mirror=server.address)
    assert server.asked == [f"/{PATH}"]
    assert got.fetched == got.recorded == ("translations/udhr_xml.zip",)
    rows = [json.loads(line) for line in (tmp_path / "udhr.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows[0] == {
        "code": "eng", "bcp47": "en", "iso6393": "eng", "name": "Name & eng", "direction": "ltr",
        "articles": {"1": ["a all."], "2": ["a b c.", "a d."]},
    }  # fmt: skip
    assert [row["code"] for row in rows] == ["eng", "jpn", "jpn_osaka"]
    text = ParallelText(tmp_path)
    assert text.languages == ("en", "ja") and text.others == {"x-jpn-osaka": "Name & jpn_osaka"}
    assert text.translation("ja").paragraphs == {"article-01": "あ all.", "article-02": "あ b c.\nあ d."}


def test_its_hash_is_recorded_and_checked_from_then_on(server, tmp_path):
    download("udhr", tmp_path, mirror=server.address)
    assert (tmp_path / "SHA256SUMS").read_text().splitlines()[0] == "# udhr"
    assert not download("udhr", tmp_path, mirror="http://127.0.0.1:9").fetched
    (tmp_path / "translations/udhr_xml.zip").unlink()
    server.files[f"/{PATH}"] = archive({"udhr_eng.xml": document("eng", "en", text="other")})
    with pytest.raises(InputError, match="is not the file that was published: its SHA-256 is not"):
        download("udhr", tmp_path, mirror=server.address)


def test_a_text_that_was_lost_is_made_again(server, tmp_path):
    download("udhr", tmp_path, mirror=server.address)
    before = (tmp_path / DECLARATION_FILE).read_bytes()
    (tmp_path / DECLARATION_FILE).unlink()
    assert not download("udhr", tmp_path, mirror="http://127.0.0.1:9").fetched
    assert (tmp_path / DECLARATION_FILE).read_bytes() == before


def test_the_task_finds_it_by_name_where_it_was_downloaded(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(InputError, match="`latentlang data get udhr` downloads it"):
        task("continuation", data="udhr")
    assert download("udhr", mirror=server.address).folder == default_folder("udhr")
    assert task("continuation", data="udhr").languages == ("en", "ja")


def test_its_address_is_unicodes_and_the_name_is_that_of_the_reader():
    source = published_set("udhr")
    assert source.address(source.files[0]) == f"https://www.unicode.org/{PATH}"
    assert source.origin == "unicode.org/udhr"
    assert published_set("spontaneous").origin.startswith("github.com/Shimao-Zhang/")
    assert DECLARATION_FILE == parallel_text.UDHR_FILE
    assert catalogue.UNICODE == "https://www.unicode.org"


_BOMB = (
    f"{HEAD}<!DOCTYPE udhr [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;'>]>"
    "<udhr><article number='1'><para>&b;</para></article></udhr>"
)
_FILE = (
    f"{HEAD}<!DOCTYPE udhr [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>"
    "<udhr><article number='1'><para>&a;</para></article></udhr>"
)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html>log in</html>", "no zip archive"),
        (archive({"readme.txt": "a"}), r"it has no files udhr_eng\.xml"),
        (archive({"udhr_eng.xml": "<udhr>"}), r"udhr_eng\.xml is damaged: no element found"),
        (archive({"udhr_eng.xml": "<udhr/>"}), "none of its translations has an article"),
        (archive({"udhr_eng.xml": _BOMB}), "declares a document type"),
        (archive({"udhr_eng.xml": _FILE}), "declares a document type"),
        (archive({"udhr_eng.xml": "<a>" * 70 + "</a>" * 70}), "nested too deeply"),
        (archive({"udhr_eng.xml": b"<udhr>" + b" " * 2**24 + b"</udhr>"}), "more than the 16,777,216 that are read"),
        (official()[:-40], "no zip archive"),
    ],
)  # fmt: skip
def test_what_is_no_archive_of_it_is_refused_and_not_kept(tmp_path, content, said):
    with serving({f"/{PATH}": content}) as server, pytest.raises(InputError, match=said):
        download("udhr", tmp_path / "out", mirror=server.address)
    assert not list(Path(tmp_path / "out").rglob("*.jsonl")) and not list(
        Path(tmp_path / "out").rglob("*.zip")
    )


def test_members_elsewhere_are_left_alone(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(archive({"../udhr_eng.xml": "no xml", "udhr_fra.xml": document("fra", "fr")}))
    assert [row["code"] for row in translations(path)] == ["fra"]
    assert [file.name for file in tmp_path.iterdir()] == ["a.zip"]


def test_an_archive_that_claims_to_be_huge_is_refused_unread(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(archive({f"udhr_a{n}.xml": b" " * 2**24 for n in range(17)}))
    with pytest.raises(InputError, match="more than there can be"):
        translations(path)


def test_names_are_local_and_what_is_escaped_is_text():
    root = parse_xml(b"<a xmlns='urn:x' xml:lang='ja'><b c='1'>x &lt; &#x3042;</b></a>", "it")
    assert (root.tag, root.attrib, root[0].tag, root[0].attrib) == ("a", {"lang": "ja"}, "b", {"c": "1"})
    assert root[0].text == "x < あ"


@pytest.mark.parametrize(
    "content", [b"", b"<a>&b;</a>", b"<a></b>", b"\xff\xfe", b"<?xml version='1.0' encoding='x-no'?><a/>"]
)
def test_what_is_no_xml_is_refused(content):
    with pytest.raises(InputError, match="it is damaged"):
        parse_xml(content, "it")
