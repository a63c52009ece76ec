import csv
import unicodedata

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentlang.errors import InputError
from latentlang.tasks import task
from latentlang.tasks.word_files import Cloze, read_words, split_cloze

COLUMNS = ("lang", "word_original", "word_translation", "blank_prompt_translation_masked", "error")
WORDS = {
    "house": ("Haus", "maison", "房子"),
    "tree": ("Baum", "arbre", "树"),
    "river": ("Fluss", "rivière", "河"),
    "bread": ("Brot", "pain", "面包"),
    "floor": ("Boden", "plancher", "地板"),
    "soil": ("Boden", "terre", "土"),
}
SENTENCES = {
    "de": 'Ein "___" ist etwas, das man beschreiben kann. Antwort: "{}".',
    "fr": 'On peut décrire une "___". Réponse : la "{}".',
    "zh": '"_"是可以描述的。答案："{}"。',
}


def write_csv(path, rows, columns=COLUMNS):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def rows_of(code, place):
    return [
        (code, english, own[place], SENTENCES[code].format(own[place]), "no error")
        for english, own in WORDS.items()
    ]


@pytest.fixture
def folder(tmp_path):
    for place, code in enumerate(("de", "fr", "zh")):
        write_csv(tmp_path / f"{code}.csv", rows_of(code, place))
    return tmp_path


def test_words_and_sentences_of_all_files_come_together(folder):
    found = read_words(folder)
    assert [concept.id for concept in found.concepts] == [f"word/{word}" for word in WORDS]
    assert found.concepts[0].words == {"en": "house", "de": "Haus", "fr": "maison", "zh": "房子"}
    assert set(found.clozes) == {"de", "fr", "zh"}
    assert found.common == tuple(f"word/{word}" for word in WORDS)
    assert found.skipped == {}


def test_the_published_folder_layout_is_read_too(tmp_path):
    write_csv(tmp_path / "de" / "clean.csv", rows_of("de", 0))
    write_csv(tmp_path / "de" / "text.csv", [("de", "a", "b", "c", "d")])
    assert [path.name for path in read_words(tmp_path).paths] == ["clean.csv"]
    one = read_words([tmp_path / "de" / "clean.csv", str(tmp_path / "de" / "clean.csv")])
    assert len(one.paths) == 1


def test_translation_and_repetition_use_the_words(folder):
    assert set(task("translation", data=folder).languages) == {"en", "de", "fr", "zh"}
    built = task("translation", data=folder, source="fr")
    assert set(built.languages) == {"en", "de", "zh"}
    prompt = built.prompts("zh", shots=2)[0]
    assert prompt.question.startswith('Français: "')
    assert prompt.cue == '" - 中文: "'
    assert built.answers("zh")[prompt.label][0] not in prompt.text
    assert built.answers("en")[prompt.label] == (prompt.label.removeprefix("word/"),)
    assert built.settings["source"] == "fr"
    assert built.settings["data"] == [str(folder / f"{code}.csv") for code in ("de", "fr", "zh")]
    assert task("translation", data=folder, source="en").prompts("de", shots=1)
    repeated = task("repetition", data=folder).prompts("de", shots=1)[0]
    assert repeated.text.count("Deutsch") == 4


def test_a_null_has_no_word_of_the_item(folder):
    built = task("translation", data=folder)
    assert "word/soil" not in built.wrong_labels("word/floor")
    assert "word/tree" in built.wrong_labels("word/floor")
    assert len(built.wrong_labels("word/tree")) == 5
    with pytest.raises(InputError, match="unknown concept 'word/unicorn'"):
        built.wrong_labels("word/unicorn")


def test_a_cloze_prompt_reads_as_in_wendler(folder):
    built = task("cloze", data=folder)
    assert set(built.languages) == {"de", "fr", "zh"}
    for code in built.languages:
        prompts = built.prompts(code)
        assert len(prompts) == 4
        assert len({p.few_shot for p in prompts}) == 1
        for prompt in prompts:
            lines = prompt.text.split("\n")
            assert len(lines) == 3
            assert "_" in prompt.question
            assert built.answers(code)[prompt.label][0] not in lines[2]
            assert built.answers("en")[prompt.label] == (prompt.label.removeprefix("word/"),)
    first = built.prompts("zh", shots=1)[0]
    word = first.few_shot.split('"')[3]
    assert first.text == f'"_"是可以描述的。答案："{word}"。\n"_"是可以描述的。答案："'
    assert built.prompts("fr", shots=0)[0].text == 'On peut décrire une "___". Réponse : "'
    assert [p.item for p in built.prompts("de", items=3)] == [p.item for p in built.prompts("zh", items=3)]
    assert built.prompts("de", seed=1)[0].few_shot != built.prompts("de")[0].few_shot


def test_sentences_that_every_language_has_come_first(folder):
    rows = [
        row if row[1] not in ("house", "tree") else (*row[:3], "none", "no error") for row in rows_of("fr", 1)
    ]
    write_csv(folder / "fr.csv", rows)
    built = task("cloze", data=folder)
    assert built.files.skipped == {"fr": {"cloze: no blank": 2}}
    first = [p.item for p in built.prompts("de", shots=0)]
    assert set(first[4:]) == {"word/house", "word/tree"}
    assert first[:4] == [p.item for p in built.prompts("fr", shots=0)]
    only = task("cloze", data=folder, only=["word/house"])
    assert [p.item for p in only.prompts("de")] == ["word/house"]
    with pytest.raises(InputError, match="2 few-shot examples leave no items: cloze in 'fr' has 4 sentences"):
        only.prompts("fr")


@pytest.mark.parametrize(
    ("sentence", "word", "question", "cue", "ending"),
    [
        ('A "___" holds water. Answer: "cup".', "cup", 'A "___" holds water.', ' Answer: "', '".'),
        ('"A "___" holds water. Answer: "cup"."', "cup", 'A "___" holds water.', ' Answer: "', '".'),
        ('"___" holds water. Answer: "Cup".', "cup", '"___" holds water.', ' Answer: "', '".'),
        (
            '"Ask a "cook" for the "___". Answer: "cup".',
            "cup",
            'Ask a "cook" for the "___".',
            ' Answer: "',
            '".',
        ),
        ('La "___" : on y boit. Réponse : "l\'eau".', "eau", 'La "___" : on y boit.', ' Réponse : "', '".'),
        ("A \"___\" holds water. Answer: 'cup'", "cup", 'A "___" holds water.', ' Answer: "', '"'),
        ('"_"可以喝水。答案："杯"。', "杯", '"_"可以喝水。', '答案："', '"。'),
        ('A "___" holds water: "cup".', "cup", 'A "___" holds water', ': "', '".'),
    ],
)
def test_irregular_sentences_come_apart(sentence, word, question, cue, ending):
    assert split_cloze(sentence, word) == Cloze(question, cue, ending)


@pytest.mark.parametrize(
    ("sentence", "word", "reason"),
    [
        ('A "cup" holds water. Answer: "cup".', "cup", "no blank"),
        ('A "___" holds water.', "cup", "no cue behind the sentence"),
        ('Answer: a "___".', "cup", "no cue behind the sentence"),
        ('A "___" holds water. Answer: "mug".', "cup", "its answer is another word"),
        ('A "___" is a Cup for water. Answer: "cup".', "cup", "gives its word away"),
        ('A "___" holds water. Answer: "cup" : "cup".', "cup", "gives its word away"),
    ],
)
def test_useless_sentences_say_why(sentence, word, reason):
    assert split_cloze(sentence, word) == reason


letters = st.text("abcdeé", min_size=1, max_size=6)


@given(
    st.lists(letters, min_size=1, max_size=5), letters.map(lambda w: "x" + w), st.booleans(), st.booleans()
)
def test_a_sentence_comes_apart_into_what_it_was_made_of(others, word, wide, wrapped):
    question = f'{" ".join(others)} "___" {" ".join(others)}' + ("。" if wide else ".")
    cue = "答案：" if wide else " Answer: "
    sentence = f'{question}{cue}"{word}"' + ("。" if wide else ".")
    found = split_cloze(f'"{sentence}"' if wrapped else sentence, word)
    assert found == Cloze(question, cue + '"', '"。' if wide else '".')


def test_rows_marked_as_errors_and_rows_without_a_word_are_counted(tmp_path):
    rows = rows_of("de", 0)
    rows[0] = (*rows[0][:4], "translation failed")
    rows[1] = ("de", "tree", " ", "", "no error")
    rows.append(("de", "house", "Haus", "", ""))
    found = read_words(write_csv(tmp_path / "de.csv", rows))
    assert found.skipped == {"de": {"marked as an error": 1, "no word": 1, "cloze: no blank": 1}}
    assert len(found.concepts) == 5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (
            b"id\tcategory\ten\tfr\n1\tanimal\tdog\tchien\n",
            "'category' names no language; where a row is one word",
        ),
        (b"en,fr,toki pona,kind\ndog,chien,soweli,a\n", "'toki pona', 'kind' name no languages; where"),
        (
            b"lang,word_original\nde,house\n",
            "has no column 'word_translation'; it has 'lang', 'word_original'",
        ),
        (
            b"word,de,fr\nhouse,Haus,maison\n",
            "it has 'word', 'de', 'fr'; a row is one word in one language.*fr,water,eau",
        ),
        (b"lang,word_original,word_translation\n", "has a header and no rows"),
        (b"lang,word_original,word_translation\nde,house\n", "line 2: 3 columns expected"),
        (b"lang,word_original,word_translation\nde,house,Haus,x\n", "line 2: 3 columns expected"),
        (b'lang,word_original,word_translation\nde,house,"Haus\n', "not CSV"),
        (b"lang,word_original,word_translation\nde,t\xfcr,T\xfcr\n", "is not UTF-8"),
        (b"lang,word_original,word_translation\ntlhx,house,juH\n", "unknown language 'tlhx'"),
        (
            b"lang,word_original,word_translation\nde,house,Haus\nde,house,Heim\n",
            "'house' stands twice in 'de', first at",
        ),
        (b"lang,word_original,word_translation,error\nde,house,Haus,bad\n", "all rows skipped"),
    ],
)
def test_a_bad_file_is_one_clear_error(tmp_path, content, message):
    path = tmp_path / "de.csv"
    path.write_bytes(content)
    for name in ("translation", "cloze"):
        with pytest.raises(InputError, match=message) as caught:
            task(name, data=path)
        assert str(path) in str(caught.value)


def test_bad_places_are_named(tmp_path, folder):
    with pytest.raises(InputError, match="does not exist; give a CSV file"):
        task("cloze", data=tmp_path / "no.csv")
    with pytest.raises(InputError, match="no CSV file given"):
        task("cloze", data=[])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no CSV files in"):
        task("cloze", data=tmp_path / "empty")
    with pytest.raises(InputError, match="no words in the source language 'sw'"):
        task("translation", data=folder, source="sw")
    with pytest.raises(InputError, match="the cloze task has no data in 'ja'"):
        task("cloze", data=folder).prompts("ja")
    with pytest.raises(InputError, match=r"no data in 'ja'.*; add its words to the files that --data"):
        task("translation", data=folder).prompts("ja")
    with pytest.raises(InputError, match="shots must be at least 0, not -1"):
        task("cloze", data=folder).prompts("de", shots=-1)


def test_words_alone_give_no_cloze(tmp_path):
    path = write_csv(tmp_path / "de.csv", [row[:3] for row in rows_of("de", 0)], COLUMNS[:3])
    assert len(task("translation", data=path, source="en").prompts("de", shots=1)) == 5
    with pytest.raises(InputError, match="no cloze sentences in"):
        task("cloze", data=path)


def test_cloze_without_data_has_no_language_and_says_what_it_needs():
    built = task("cloze")
    assert built.languages == ()
    for ask in (
        lambda: built.prompts("de"),
        lambda: built.answers("en"),
        lambda: built.wrong_labels("word/house"),
    ):
        with pytest.raises(InputError, match="needs definitions, which do not come with latentlang"):
            ask()


def test_accents_apart_from_their_letters_make_no_other_words(tmp_path):
    """As macOS tools write them; the two spellings are one concept, and its tokens are those of the composed one."""
    for code, form, rows in (("de", "NFC", {"été": "Ätna"}), ("fr", "NFD", {"été": "été"})):
        lines = [f"{code},{word},{own}" for word, own in rows.items()]
        text = unicodedata.normalize(form, "\n".join(["lang,word_original,word_translation", *lines]))
        (tmp_path / f"{code}.csv").write_text(text, encoding="utf-8")
    (concept,) = read_words(tmp_path).concepts
    assert concept.words == {"en": "été", "de": "Ätna", "fr": "été"}


HEADER = "lang,word_original,word_translation"


def words_of(tmp_path, text, name="de.csv"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return read_words(tmp_path / name)


@pytest.mark.parametrize(
    ("cell", "word", "code"),
    [
        ("\u200fHund", "Hund", "invisible marks"),
        ("Hund\ufeff", "Hund", "invisible marks"),
        ("\u202bHund\u202c", "Hund", "invisible marks"),
        ("Hun\u00add", "Hund", "invisible marks"),
        ("„Hund“", "Hund", "quotation marks"),
        ("«chien»", "chien", "quotation marks"),
        ('"""Hund"""', "Hund", "quotation marks"),
        ("\u200cHund\u200d", "Hund", "invisible marks"),
    ],
)
def test_what_is_certainly_no_part_of_a_word_is_taken_off_and_counted(tmp_path, cell, word, code):
    found = words_of(tmp_path, f"{HEADER}\nde,dog,{cell}\nde,cat,Katze\n")
    assert found.concepts[0].words["de"] == word
    assert found.cleaned == {"de": {code: 1}}
    assert found.notes() == {"de": f"taken off words: {code} (1)"}


@pytest.mark.parametrize("word", ["می‌خواهم", "ක්‍රීඩා", "l'eau", "aujourd'hui", "'s avonds"])
def test_marks_and_apostrophes_that_belong_to_a_word_stay(tmp_path, word):
    assert words_of(tmp_path, f"{HEADER}\nde,dog,{word}\n").concepts[0].words["de"] == word


def test_full_width_letters_are_left_as_written_and_said(tmp_path):
    found = words_of(tmp_path, f"{HEADER}\nja,car,ＣＡＲ\nja,dog,犬\n", "ja.csv")
    assert found.concepts[0].words["ja"] == "ＣＡＲ"
    assert found.notes() == {"ja": "1 with full-width letters, left as written"}


@pytest.mark.parametrize("cell", ['"Hund, Köter"', "Katze/Kater", "Vogel (m.)", "chien; chienne", "犬、狗"])
def test_a_cell_with_several_words_is_not_used_and_counted(tmp_path, cell):
    found = words_of(tmp_path, f"{HEADER}\nde,dog,{cell}\nde,cat,Katze\n")
    assert [concept.id for concept in found.concepts] == ["word/cat"]
    assert found.skipped == {"de": {"several words in one cell": 1}}
    assert found.notes() == {"de": "not used: several words in one cell (1)"}


@pytest.mark.parametrize("cell", ['"Hu\nnd"', "Hu\0nd", "Hu\x1b[31mnd"])
def test_a_line_break_or_control_character_in_a_word_is_refused(tmp_path, cell):
    with pytest.raises(InputError, match="line break or control character"):
        words_of(tmp_path, f"{HEADER}\nde,dog,{cell}\n")


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        ("lang\tword_original\tword_translation\nde\tdog\tHund\n", "columns parted by tabs"),
        ("lang;word_original;word_translation\r\nde;dog;Hund\r\n", "columns parted by semicolons"),
        ("Lang,Word_Original,WORD_TRANSLATION\nde,dog,Hund\n", "column names in other case"),
        (f"{HEADER}\nde,dog,Hund\n,,\n,,\n", "2 empty rows"),
        (f"{HEADER}\nde,dog,Hund\n,,,,,\n", "1 empty row"),
    ],
)
def test_other_spreadsheets_are_read_with_one_note(tmp_path, text, layout):
    found = words_of(tmp_path, text)
    assert found.concepts[0].words == {"en": "dog", "de": "Hund"}
    assert found.notes() == {"de": layout}


def test_a_repeated_column_is_refused_not_half_read(tmp_path):
    with pytest.raises(InputError, match="has the column 'word_translation' 2 times; keep one"):
        words_of(tmp_path, f"{HEADER},Word_Translation\nde,dog,Hund,Köter\n")


def test_files_that_systems_leave_in_a_folder_are_not_read(tmp_path):
    write_csv(tmp_path / "DE.CSV", [("de", "dog", "Hund")], columns=HEADER.split(","))
    (tmp_path / "fr.tsv").write_text(
        "lang\tword_original\tword_translation\nfr\tdog\tchien\n", encoding="utf-8"
    )
    (tmp_path / "._DE.CSV").write_bytes(b"\x00\x05\x16\x07")
    (tmp_path / "old.csv").mkdir()
    found = read_words(tmp_path)
    assert [path.name for path in found.paths] == ["DE.CSV", "fr.tsv"]
    assert found.concepts[0].words == {"en": "dog", "de": "Hund", "fr": "chien"}


def test_languages_with_other_words_than_the_rest_are_said(tmp_path):
    words_of(tmp_path, f"{HEADER}\nde,dog,Hund\nde,cat,Katze\n")
    words_of(tmp_path, f"{HEADER}\nfr,dog,chien\n", "fr.csv")
    built = task("translation", source="en", data=tmp_path)
    assert built.notes == {"fr": "words for 1 of the 2 concepts in all files"}


WIDE = "id,en,fr,de\n1,water,eau,Wasser\n2,book,livre,\n3,hand,main,Hand\n"


@pytest.mark.parametrize(
    "text",
    [
        WIDE,
        WIDE.replace(",", "\t"),
        WIDE.replace(",", ";"),
        "en,French,DE\nwater,eau,Wasser\nbook,livre,\nhand,main,Hand\n",
    ],
)
def test_a_file_with_a_column_a_language_is_read_as_one_file_each(tmp_path, text):
    found = words_of(tmp_path, text, name="words.csv")
    assert [concept.words for concept in found.concepts] == [
        {"en": "water", "fr": "eau", "de": "Wasser"},
        {"en": "book", "fr": "livre"},
        {"en": "hand", "fr": "main", "de": "Hand"},
    ]
    assert found.skipped == {"de": {"no word": 1}} and found.common == ("word/water", "word/hand")
    made = task("translation", source="fr", data=str(tmp_path / "words.csv"))
    assert made.answers("de")["word/hand"] == ("Hand",)


def test_a_file_with_two_columns_named_id_holds_indonesian(tmp_path):
    found = words_of(tmp_path, "id,en,id\na1,water,air\n", name="words.csv")
    assert found.concepts[0].words == {"en": "water", "id": "air"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "id,fr,de\n1,eau,Wasser\n",
            "or a row is one word and a column one language: id,en,fr such as 1,water,eau",
        ),
        ("en,fr,French\nwater,eau,eau\n", "has 2 columns of 'fr'; keep one"),
        ("en,fr\nwater,eau\nwater,eaux\n", "'water' stands twice in 'fr'"),
        ("en,fr\nwater\n", "2 columns expected"),
    ],
)
def test_a_bad_file_with_a_column_a_language_is_one_clear_error(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        words_of(tmp_path, text, name="words.csv")


@pytest.mark.parametrize(
    "data", [pd.DataFrame({"id": ["1"], "fr": ["eau"]}), {"fr": ["eau"], "en": ["water"]}]
)
def test_a_table_in_memory_is_no_file(data):
    with pytest.raises(
        InputError, match=rf"^data takes files, not a {type(data).__name__}; .*data='words.csv'$"
    ):
        read_words(data)
