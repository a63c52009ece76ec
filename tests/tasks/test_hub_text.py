"""Parallel text of hub sets: local sets of the layouts that are on the hub, read without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest

import latentlang as ll
from latentlang.answers import fertility
from latentlang.errors import InputError
from latentlang.models import load_tokenizer
from latentlang.tasks import task
from latentlang.tasks.hub_text import HubText

Rows = Mapping[str, Sequence[Any]]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def _set(folder: Path, configs: Mapping[str, Mapping[str, Rows]]) -> str:
    """A set with a card: configuration to part to columns."""
    lines = ["---", "configs:"]
    for config, parts in configs.items():
        lines += [f"- config_name: {config}", "  data_files:"]
        for part, rows in parts.items():
            lines += [f"  - split: {part}", f"    path: {config}/{part}-*"]
            (folder / config).mkdir(parents=True, exist_ok=True)
            datasets.Dataset.from_dict(dict(rows)).to_parquet(
                folder / config / f"{part}-00000-of-00001.parquet"
            )
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]), encoding="utf-8")
    return f"hub:{folder}"


def _flores(folder: Path, codes: Sequence[str], column: str = "text") -> str:
    def rows(code: str, part: str) -> Rows:
        # another order in each language: only the ids say what belongs together
        order = [2, 0, 1] if code.startswith("j") else [0, 1, 2]
        return {"id": order, "domain": ["news"] * 3, column: [f"{code} {part} {n}" for n in order]}

    return _set(folder, {code: {part: rows(code, part) for part in ("dev", "devtest")} for code in codes})


@pytest.mark.parametrize("column", ["text", "sentence"])
def test_a_configuration_per_language_is_aligned_by_id(tmp_path, column):
    data = _flores(tmp_path, ["eng_Latn", "jpn_Jpan", "cmn_Hans"], column)
    made = task("continuation", data=data)
    assert sorted(made.languages) == ["en", "ja", "zh"] and made.settings == {"data": f"{data}:devtest"}
    texts = {code: {p.item: p.text for p in made.prompts(code)} for code in ("en", "ja")}
    assert texts["ja"] == {f"{n:05}": f"jpn_Jpan devtest {n}" for n in range(3)}
    assert texts["en"]["00002"] == "eng_Latn devtest 2"
    asked = task("continuation", data=f"{data}:dev")
    assert asked.prompts("en")[0].text.startswith("eng_Latn dev ") and asked.settings["data"] == f"{data}:dev"


def test_a_configuration_is_read_when_its_language_is(tmp_path, monkeypatch):
    data, asked = _flores(tmp_path, ["eng_Latn", "jpn_Jpan"]), []
    load = datasets.load_dataset

    def noted(name, config, **options):
        asked.append(config)
        return load(name, config, **options)

    monkeypatch.setattr(datasets, "load_dataset", noted)
    text = HubText(data)
    assert asked == []
    assert text.translation("ja") is text.translation("Japanese") and asked == ["jpn_Jpan"]


def test_what_flores_has_twice_or_cldr_not_at_all_keeps_its_name(tmp_path):
    text = HubText(_flores(tmp_path, ["default", "zho_Hans", "cmn_Hans", "eng_Latn", "qqz_Latn"]))
    assert set(text.languages) == {"zh", "en", "x-qqz-latn"} and text.others == {"x-cmn-hans": "cmn_Hans"}
    assert text.translation("zh").paragraphs["00001"] == "zho_Hans devtest 1"
    assert text.translation("x-cmn-hans").paragraphs["00001"] == "cmn_Hans devtest 1"


def test_a_column_per_language_is_read(tmp_path):
    rows = {
        "id": [7, 8], "URL": ["u", "u"], "topic": ["a", "b"], "no": [1, 2],
        "sentence_eng_Latn": ["One.", "Two."], "sentence_deu_Latn": ["Eins.", " "],
    }  # fmt: skip
    text = HubText(_set(tmp_path, {"default": {"test": rows}}))
    assert sorted(text.languages) == ["de", "en"]
    assert text.translation("en").paragraphs == {"00007": "One.", "00008": "Two."}
    assert text.translation("de").paragraphs == {"00007": "Eins."}  # an empty text is none


def test_a_column_of_indonesian_is_no_column_of_ids(tmp_path):
    rows = {"en": ["One word.", "Two words."], "id": ["Satu kata.", "Dua kata."]}
    text = HubText(_set(tmp_path / "texts", {"default": {"test": rows}}))
    assert set(text.languages) == {"en", "id"}
    assert text.translation("id").paragraphs == {"00001": "Satu kata.", "00002": "Dua kata."}
    named = HubText(
        _set(tmp_path / "ids", {"default": {"test": {**rows, "id": ["a", "b"], "de": ["c", "d"]}}})
    )
    assert set(named.languages) == {"en", "de"} and list(named.translation("de").paragraphs) == ["a", "b"]


def test_one_column_translation_is_read_of_the_configuration_that_is_named(tmp_path):
    rows = {"translation": [{"en": f"en {n}", "fr": f"fr {n}"} for n in range(2)]}
    other = {"translation": [{"en": "x", "af": "y"}]}
    data = _set(tmp_path, {"af-en": {"test": other}, "en-fr": {"train": rows, "validation": rows}})
    made = task("continuation", data=f"{data}:en-fr")
    assert set(made.languages) == {"en", "fr"} and made.settings["data"] == f"{data}:en-fr:validation"
    assert {p.item: p.text for p in made.prompts("fr")} == {"00001": "fr 0", "00002": "fr 1"}
    assert HubText(f"{data}:en-fr:train").origin == HubText(f"{data}:train:en-fr").origin
    with pytest.raises(InputError, match=r"has 2 configurations.*:af-en \(af-en, en-fr\)"):
        task("continuation", data=data)


def test_states_and_fertility_of_a_set_are_those_of_its_texts(tmp_path):
    data = _flores(tmp_path / "set", ["eng_Latn", "jpn_Jpan"])
    store = ll.harvest(
        ll.load("pocket"), task("continuation", data=data), out=tmp_path / "states", progress=None
    )
    assert len(store) == 6 and set(store.frame()["language"]) == {"en", "ja"}
    result = fertility(load_tokenizer("pocket"), data)
    assert set(result.table["language"]) == {"en", "ja"} and len(result.table) == 6


@pytest.mark.parametrize(
    ("configs", "behind", "said"),
    [
        ({"eng_Latn": {"a": ["1"]}, "deu_Latn": {"a": ["1"]}}, "", "no column 'text' or 'sentence', only a; write"),
        ({"default": {"a": ["1"], "en": ["b"]}}, "", r"columns a, en. Expected are a configuration per language"),
        ({"eng_Latn": {"id": [1, 1], "text": ["a", "b"]}, "deu_Latn": {"text": ["a"]}}, "", "id '00001' twice"),
        ({"eng_Latn": {"id": [None], "text": ["a"]}, "deu_Latn": {"text": ["a"]}}, "", "row 0: the id must be"),
        ({"default": {"en": ["a"], "de": ["b"]}}, ":dev", "has no part 'dev', only test"),
        ({"default": {"en": ["a"], "de": ["b"]}}, ":a:b", "unknown configuration of the set 'a'"),
        ({"default": {"en": ["a"], "de": ["b"]}}, ":a:b:c", "is not understood"),
    ],
)  # fmt: skip
def test_what_is_no_parallel_text_is_refused(tmp_path, configs, behind, said):
    data = _set(tmp_path, {config: {"test": rows} for config, rows in configs.items()})
    with pytest.raises(InputError, match=said):
        task("continuation", data=data + behind).prompts("en")


def test_rows_without_ids_must_be_as_many(tmp_path):
    rows = {"eng_Latn": ["a", "b"], "deu_Latn": ["a"]}
    made = task(
        "continuation", data=_set(tmp_path, {code: {"test": {"text": texts}} for code, texts in rows.items()})
    )
    assert [p.item for p in made.prompts("en")] != []
    with pytest.raises(InputError, match=r"1 rows for deu_Latn and 2 for eng_Latn: they cannot be aligned"):
        made.prompts("de")


def test_a_set_that_is_not_there_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match="unknown hub set 'flors'; did you mean 'flores'"):
        task("continuation", data="hub:flors")
    with pytest.raises(
        InputError, match="in the local cache or the hub within reach; give a folder with data="
    ):
        task("continuation", data=f"hub:{tmp_path}")
    data = _flores(tmp_path / "set", ["eng_Latn", "deu_Latn"])
    with pytest.raises(InputError, match=r"unknown language 'ja' in '.*:devtest'; known: "):
        task("continuation", data=data).prompts("ja")
