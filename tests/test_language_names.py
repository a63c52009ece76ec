import unicodedata

import pytest
from babel.localedata import locale_identifiers

from latentlang.errors import InputError
from latentlang.language_names import GROUPS, Language, language, languages, meant_instead, script_name
from latentlang.tasks import task


def test_paper20_has_the_papers_languages_with_distinct_records():
    found = languages("paper20")
    assert len(found) == 20
    assert len({entry.flores for entry in found}) == 20
    assert {entry.code for entry in found} <= set(GROUPS["flores101"])


@pytest.mark.parametrize("value", ["ja", "jpn_Jpan", "jpn", "Japanese", "JAPANESE"])
def test_a_language_is_found_by_every_usual_name(value):
    assert language(value) == Language("ja", "jpn_Jpan", "Jpan")


@pytest.mark.parametrize(
    ("typed", "code"), [("maori", "mi"), ("Turkce", "tr"), ("francais", "fr"), ("by", "be"), ("PH", "fil")]
)
def test_names_without_accents_and_countries_codes_are_understood(typed, code):
    assert language(typed).code == code


def test_own_names_are_in_their_own_script():
    assert language("fr").own_name == "Français"
    assert language("zh").own_name == "中文"
    assert language("ru").own_name == "Русский"
    assert language("bengali").own_name == "বাংলা"


def test_own_names_begin_as_their_script_writes_a_name():
    """Georgian has capitals (U+1C90 on) but no title case: its names begin with the plain letter, U+10E5."""
    assert language("ka").own_name == "ქართული"
    assert ord(language("ka").own_name[0]) == 0x10E5
    assert language("hy").own_name == "Հայերեն"
    assert language("el").own_name == "Ελληνικά"
    assert language("hr").own_name == "Hrvatski"


def test_no_language_of_cldr_begins_with_a_letter_that_title_case_does_not_have():
    known = sorted({code.split("_")[0] for code in locale_identifiers()})
    assert len(known) > 200
    for code in known:
        try:
            own = language(code).own_name
        except InputError:  # CLDR writes in it but has no English name for it
            continue
        assert own[:1] == own[:1].title(), code
        assert "GEORGIAN MTAVRULI" not in unicodedata.name(own[0], ""), code


def test_groups_codes_and_names_mix_in_order_without_repeats():
    assert [entry.code for entry in languages("hi, Japanese,hi")] == ["hi", "ja"]
    assert [entry.code for entry in languages(["sw", "paper20"])][:2] == ["sw", "en"]
    assert len(languages(["sw", "paper20"])) == 20


def test_a_language_outside_the_table_needs_no_registration():
    assert language("eo").name == "Esperanto"
    assert language("eo").flores == ""


@pytest.mark.parametrize("value", ["jaa", "Klingonish", "", "paper21"])
def test_an_unknown_language_is_named_in_the_error(value):
    with pytest.raises(InputError, match=f"unknown language '{value}'"):
        language(value)


def test_nothing_named_is_an_error():
    with pytest.raises(InputError, match="no language named"):
        languages(" , ")


@pytest.mark.parametrize(
    ("code", "name"),
    [("Deva", "Devanagari"), ("Hans", "Simplified Han"), ("Zyyy", "script not known"), ("Qaaa", "Qaaa")],
)
def test_scripts_have_names_that_stand_alone(code, name):
    assert script_name(code) == name


def test_right_to_left_scripts_are_known():
    assert language("ar").rtl
    assert not language("th").rtl


def test_flores101_codes_name_existing_cldr_languages_where_cldr_has_them():
    named = [entry for entry in languages("flores101") if entry.name != entry.code]
    assert len(named) >= 100


def test_a_language_that_no_list_has_is_written_with_its_name():
    mine = language("x-toki-pona")
    assert (mine.code, mine.name, mine.own_name) == ("x-toki-pona", "Toki pona", "Toki pona")
    assert not mine.rtl and language("X-Toki-Pona") == mine and language(mine) is mine
    assert [entry.code for entry in languages("ja,x-mine")] == ["ja", "x-mine"]


@pytest.mark.parametrize("code", ["x-", "x", "x-longerthaneight", "x-a_b", "x-é"])
def test_what_is_no_private_code_is_refused_and_told_how_to_write_one(code):
    with pytest.raises(InputError, match=r"your own is written x- and its name \(x-mine\)"):
        language(code)


def test_words_of_a_language_of_ones_own_make_a_task(tmp_path):
    rows = ["lang,word_original,word_translation", "de,sun,Sonne", "de,fish,Fisch"]
    rows += ["x-toki-pona,sun,suno", "x-toki-pona,fish,kala"]
    (tmp_path / "words.csv").write_text("\n".join(rows), encoding="utf-8")
    own = task("translation", source="de", data=tmp_path / "words.csv")
    (prompt,) = own.prompts("x-toki-pona", items=1, shots=1)
    assert prompt.cue == '" - Toki pona: "' and prompt.language == "x-toki-pona"
    assert own.answers("x-toki-pona")["word/sun"] == ("suno",)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("iw", "he"), ("in", "id"), ("jw", "jv"), ("tl", "fil"), ("mo", "ro"),  # old codes
        ("fas", "fa"), ("lav", "lv"), ("mon", "mn"), ("orm", "om"), ("pus", "ps"), ("uzb", "uz"), ("cmn", "zh"),
        ("pt_BR", "pt"), ("pt-PT", "pt"), ("ar-EG", "ar"), ("en-US", "en"), ("de-CH", "de"),  # regions
        ("zh-TW", "zh-Hant"), ("zh_HK", "zh-Hant"), ("zh-CN", "zh"), ("cmn_Hans", "zh"), ("cmn_Hant", "zh-Hant"),
        ("sr-Latn", "sr-Latn"), ("sr_Cyrl", "sr"), ("uz-Cyrl", "uz-Cyrl"), ("pa-PK", "pa-Arab"),  # other scripts
        ("Deutsch", "de"), ("français", "fr"), ("日本語", "ja"), ("Kiswahili", "sw"),  # own names
        ("jp", "ja"), ("cn", "zh"), ("gr", "el"),  # countries
    ],
)  # fmt: skip
def test_old_regional_and_own_names_mean_the_language(given, code):
    assert language(given).code == code
    assert language(code).code == code


def test_another_script_of_a_language_has_its_own_name_and_direction():
    assert (language("sr-Latn").own_name, language("sr").own_name) == ("Srpski", "Српски")
    assert language("pa-PK").rtl and not language("pa").rtl


@pytest.mark.parametrize("code", ["yue", "arz", "nn"])
def test_a_language_is_not_taken_for_the_larger_one_it_belongs_to(code):
    assert language(code).code == code


@pytest.mark.parametrize("value", ["kr", "kau", "kr-NG"])
def test_the_country_code_of_korea_is_refused_not_read_as_kanuri(value):
    with pytest.raises(InputError, match="write ko for Korean"):
        language(value)


@pytest.mark.parametrize(
    ("country", "code"), [("cz", "cs"), ("dk", "da"), ("ua", "uk"), ("vn", "vi"), ("ir", "fa"), ("il", "he")]
)
def test_a_country_code_that_is_no_language_is_the_countrys_language(country, code):
    assert language(country).code == code


def test_a_code_that_is_a_language_stays_it_and_says_what_may_be_meant():
    assert language("se").name == "Northern Sami"
    assert meant_instead("se") == language("sv") and meant_instead("ja") is None


def test_a_name_that_is_like_none_has_no_suggestion():
    with pytest.raises(InputError, match=r"^unknown language 'klingon'; `latentlang languages` lists them"):
        language("klingon")


def test_a_name_in_another_language_is_as_it_stands_in_a_sentence():
    assert [language("ja").name_in(code) for code in ("fr", "zh", "ru", "en")] == [
        "japonais",
        "日语",
        "японский",
        "Japanese",
    ]
    assert (
        language("x-toki-pona").name_in("fr") == "Toki pona"
        and language("ja").name_in("x-mine") == "Japanese"
    )


def test_several_names_where_one_is_wanted_are_told_as_such():
    with pytest.raises(InputError, match=r"^one language is wanted here, not 'de,fr'; name one$"):
        language("de,fr")
    assert [entry.code for entry in languages("de,fr")] == ["de", "fr"]
