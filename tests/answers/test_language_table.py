"""The table of tokens and languages against planted truth: words that stand in one language, in several, or in none."""

from __future__ import annotations

import numpy as np
import pytest

import latentlang as ll
from latentlang.answers import TokenLanguages, token_languages
from latentlang.answers.language_table import CERTAINTY, PRIOR
from latentlang.errors import InputError
from latentlang.tasks import Concept
from tests.support.known import word_tokenizer

CODES = ("de", "fr", "ja")
#: Words of one language each; `SHARED` stands in two, and `UNSEEN` in no text.
OWN = {"de": ["Vogel", "Haus", "Strauß"], "fr": ["oiseau", "maison", "forêt"], "ja": ["鳥", "家屋", "森林"]}
SHARED, RARE, UNSEEN, UNSEEN_JA = "radio", "einmal", "nirgends", "鳥家"
#: No token of any text, but within a French word.
INSIDE = "isea"


@pytest.fixture(scope="module")
def tokenizer():
    words = [
        *(word for of_language in OWN.values() for word in of_language),
        SHARED,
        RARE,
        UNSEEN,
        UNSEEN_JA,
        INSIDE,
    ]
    concepts = tuple(
        Concept(f"c{number}", "things", {"de": word}) for number, word in enumerate(words)
    )  # a token each
    return word_tokenizer(concepts, CODES)[0]


def texts(times: int = 30) -> dict[str, list[str]]:
    """Each paragraph holds all words of its language once; the shared one stands in German and French."""
    written = {code: [" ".join(words)] * times for code, words in OWN.items()}
    for code in ("de", "fr"):
        written[code] = [f"{text} {SHARED} 12, 3." for text in written[code]]
    written["de"][0] += f" {RARE}"
    return written


@pytest.fixture(scope="module")
def table(tokenizer) -> TokenLanguages:
    return token_languages(tokenizer, texts(), languages=CODES, name="planted", progress=False)


def test_a_word_of_one_language_is_its_and_shared_or_rare_ones_are_nobodys(table, tokenizer):
    def owner(word: str) -> str | None:
        return table.language_of(tokenizer.convert_tokens_to_ids(word))

    assert {word: owner(word) for words in OWN.values() for word in words} == {
        word: code for code, words in OWN.items() for word in words
    }
    assert [owner(word) for word in (SHARED, RARE, UNSEEN, "Ġ", "1", ",", "V")] == [None] * 7
    assert owner(INSIDE) == "fr"
    # never seen, but written in characters that only Japanese text has
    assert owner(UNSEEN_JA) == "ja"
    # the first byte of 鳥 begins no character of the other texts
    assert table.language_of(tokenizer.convert_tokens_to_ids("é")) == "ja"


def test_certainties_are_those_of_the_stated_prior(table, tokenizer):
    rows = table.table.set_index("token")
    rare = rows.loc[tokenizer.convert_tokens_to_ids(RARE)]
    assert (rare["count"], rare["elsewhere"], rare["language"]) == (1, 0, "de")
    assert rare["certainty"] == pytest.approx((1 + PRIOR / 3) / (1 + PRIOR))
    shared = rows.loc[tokenizer.convert_tokens_to_ids(SHARED)]
    assert shared["certainty"] == pytest.approx((30 + PRIOR / 3) / (60 + PRIOR))
    # of a token beyond ASCII, its most telling character's share is the prior; no other token holds its bytes
    character = (30 + PRIOR / 3) / (30 + PRIOR)
    bird = rows.loc[tokenizer.convert_tokens_to_ids("鳥")]
    assert bird["certainty"] == pytest.approx((30 + PRIOR * character) / (30 + PRIOR))
    assert rows.loc[tokenizer.convert_tokens_to_ids(UNSEEN_JA), "certainty"] == pytest.approx(character)
    assert tokenizer.convert_tokens_to_ids(UNSEEN) not in rows.index
    inside = rows.loc[tokenizer.convert_tokens_to_ids(INSIDE)]
    assert (inside["count"], inside["inside"], inside["inside_elsewhere"]) == (0, 30, 0)
    assert inside["certainty"] == pytest.approx((30 + PRIOR / 3) / (30 + PRIOR))


def test_a_stronger_prior_and_a_higher_certainty_leave_more_out(tokenizer, table):
    strong = token_languages(tokenizer, texts(), languages=CODES, prior=20.0, progress=False)
    assert len(strong.certain) < len(table.certain)
    sure = token_languages(tokenizer, texts(), languages=CODES, certainty=0.999, progress=False)
    # the sharp s was seen in German alone, as often as its word
    assert sure.ids("de").tolist() == [tokenizer.convert_tokens_to_ids("Strauß")]


def test_what_is_left_out_is_counted_and_held_out_text_is_recognised(table):
    summary = table.summary().set_index("language")
    assert summary["tokens"].sum() == len(table.certain) < table.settings.tokens
    # of 5 words, spaces and signs in German, 3 words and the sharp s's bytes tell
    assert (summary["recognised"] > 0.2).all() and (summary["mistaken"] == 0).all()
    said = table.describe()
    assert (
        f"Of {table.settings.tokens:,} tokens that write something, {len(table.certain):,} belong to" in said
    )
    assert f"The other {table.settings.tokens - len(table.certain):,} count for none." in said
    assert "are recognised; at most 0% (German) pass for another language" in said


def test_membership_has_a_one_for_each_certain_token(table):
    matrix = table.membership(2000)
    assert matrix.shape == (2000, 3) and matrix.sum() == len(table.certain)
    for column, code in enumerate(CODES):
        assert np.flatnonzero(matrix[:, column]).tolist() == table.ids(code).tolist()
    with pytest.raises(InputError, match="this table of tokens has no 'es'"):
        table.ids("es")


def test_the_figure_has_the_shares_of_held_out_text(table):
    figure = table.figure()
    own, other = figure.data
    assert list(figure.layout.yaxis.ticktext) == ["German", "French", "Japanese"] and list(own.y) == [0, 1, 2]
    assert list(own.x) == pytest.approx(table.summary()["recognised"].tolist())
    assert list(other.x) == [0, 0, 0]


def test_it_is_saved_and_loaded_and_knows_its_vocabulary(table, tokenizer, tmp_path):
    loaded = TokenLanguages.load(table.save(tmp_path / "table"))
    assert loaded.table.equals(table.table) and loaded.settings == table.settings
    assert loaded.settings.texts == "texts of one's own" and loaded.settings.certainty == CERTAINTY
    loaded.check_vocabulary(tokenizer)
    other = word_tokenizer((Concept("c", "things", {"de": "anders"}),), CODES)[0]
    with pytest.raises(InputError, match="of the vocabulary of 'planted', and the model has another"):
        loaded.check_vocabulary(other)


def test_only_paragraphs_that_all_languages_have_are_counted(tokenizer):
    given = texts(8)
    given["ja"] = given["ja"][:5]
    table = token_languages(tokenizer, given, languages=CODES, progress=False)
    assert (table.settings.paragraphs, table.settings.left_out) == (5, 3)
    few = token_languages(tokenizer, given, languages=CODES, items=2, progress=False)
    assert few.settings.paragraphs == 2


def test_words_are_mostly_right_where_languages_differ_in_rates_alone():
    """Words drawn at known rates: of those called certain at 0.9, at least that share is right."""
    draw = np.random.default_rng(0)
    words = [f"w{chr(97 + one)}{chr(97 + two)}x" for one in range(20) for two in range(20)]
    tokenizer = word_tokenizer(tuple(Concept(word, "things", {"de": word}) for word in words), CODES[:2])[0]
    rates = draw.dirichlet([0.3] * len(words), size=2)
    written = {
        code: [" ".join(draw.choice(words, 50, p=rate)) for _ in range(40)]
        for code, rate in zip(CODES, rates, strict=False)
    }
    table = token_languages(tokenizer, written, languages=CODES[:2], progress=False)
    posterior = rates / rates.sum(0)
    chances = []
    for number, word in enumerate(words):
        code = table.language_of(tokenizer.convert_tokens_to_ids(word))
        if code is not None:
            chances.append(posterior[CODES.index(code), number])
    assert len(chances) > 100 and np.mean(chances) > 0.9


def test_the_embedded_text_is_there_for_twenty_languages(tokenizer):
    table = ll.token_languages(tokenizer, languages="de,ja", items=40, progress=False)
    assert table.settings.texts == "embedded" and table.settings.paragraphs == 40
    with pytest.raises(InputError, match=r"there is no embedded text in 'ko' \(Korean\).*'udhr'"):
        token_languages(tokenizer, languages="de,ko")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"languages": "de"}, "'de' is one alone"),
        ({"languages": "de,es"}, "unknown language of these texts 'es'"),
        ({"prior": 0}, "prior must be above 0 and at most 1000 occurrences, not 0"),
        ({"certainty": 0.5}, "certainty must be above 0.5 and below 1, not 0.5"),
        ({"items": 0}, "items must be at least 1"),
        ({"texts": {"de": "text", "ja": ["x"]}, "languages": "de,ja"}, "must be a list of texts"),
        (
            {"texts": {"de": [], "ja": ["x"]}, "languages": "de,ja"},
            "no paragraph that is there in all of de, ja",
        ),
    ],
)
def test_what_makes_no_sense_is_one_clear_error(tokenizer, options, message):
    given = {"texts": texts(2), "languages": CODES, "progress": False} | options
    with pytest.raises(InputError, match=message):
        token_languages(tokenizer, given.pop("texts"), **given)


def test_a_name_is_no_tokenizer():
    with pytest.raises(InputError, match="a tokenizer is needed, not the name 'pocket'"):
        token_languages("pocket", languages="de,ja")


@pytest.mark.parametrize("pair", ["en,ja", "en,zh", "en,hi", "en,ru"])
def test_pieces_of_signs_are_of_no_language_and_of_letters_the_first_is(pair):
    """Emoji and curly quotes are cut into bytes, of which all but the first stand in letters of other scripts too."""
    from tests.support import tiny

    cutter = tiny.tokenizer()
    table = token_languages(cutter, languages=pair, progress=False)
    for text in ("😀", "🎉🎊", "“”", "…", "€ — ©"):
        ids = cutter(text, add_special_tokens=False)["input_ids"]
        assert {table.language_of(token) for token in ids} == {None}, text
    kanji = cutter("漢", add_special_tokens=False)["input_ids"]
    owners = [table.language_of(token) for token in kanji]
    assert owners == (
        ["ja", None, None] if pair == "en,ja" else ["zh", None, None] if pair == "en,zh" else [None] * 3
    )


def test_what_a_text_ends_with_begins_a_letter_or_none():
    from latentlang.answers.language_table import _begins_letter, cut_off

    assert [cut_off(text) for text in (b"a", b"\xe3", b"a\xe3\x81", "あ".encode(), b"\x81", b"", b"\xf0\x9f\x98")] == [
        b"", b"\xe3", b"\xe3\x81", b"", b"", b"", b"\xf0\x9f\x98",
    ]  # fmt: skip
    for char, length in (("é", 1), ("я", 1), ("あ", 1), ("あ", 2), ("क", 2), ("𠀀", 3), ("𠀀", 1)):
        assert _begins_letter(char.encode()[:length]), char
    for char, length in (("“", 2), ("…", 2), ("😀", 2), ("😀", 3)):
        assert not _begins_letter(char.encode()[:length]), char
