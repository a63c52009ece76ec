"""Sentences and pieces: joined they are the text, whatever it is; no sentence is cut, nothing is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentlang.errors import InputError
from latentlang.instructions.providers.planning import estimated_tokens
from latentlang.instructions.segmenting import paragraphs, segments, sentences

# Words, marks of many scripts, line breaks and blanks, so that every rule is met.
TEXT = st.lists(
    st.sampled_from(
        ["word", "Word", "a", "e.g", "Dr", "12", "1999", ".", "!", "?", "…", "。",
         "！", "।", "؟", "»", '"', ")", "。」", " ", "  ", "\n", "\n\n", "\n \n", "\r\n", "\t", "漢字",
         "かな", "ไทย", "слово", "\u2028", "\x85", "\x0b"]
    ),
    max_size=60,
).map("".join)  # fmt: skip


@given(TEXT | st.text(max_size=80), st.integers(1, 40))
def test_the_pieces_joined_are_the_text(text, most):
    pieces = segments(text, most=most)
    assert "".join(pieces) == text and all(pieces)
    assert "".join(paragraphs(text)) == text == "".join(sentences(text))
    units = [
        unit
        for paragraph in paragraphs(text)
        for unit in ([paragraph] if estimated_tokens(paragraph) <= most else sentences(paragraph))
    ]
    for piece in pieces:
        assert estimated_tokens(piece) <= most or piece in units


@given(TEXT, st.integers(1, 40))
def test_no_sentence_is_cut(text, most):
    """Every end of a piece is an end of a paragraph, or of a sentence of its paragraph."""
    ends, place = {0}, 0
    for paragraph in paragraphs(text):
        for sentence in sentences(paragraph):
            place += len(sentence)
            ends.add(place)
    place = 0
    for piece in segments(text, most=most):
        place += len(piece)
        assert place in ends


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One. ", "Two! ", "Three? ", "Four"]),
        ("He said: “No.” Then he left.", ["He said: “No.” ", "Then he left."]),
        ("Dr. Who met Mr. Poe. They spoke.", ["Dr. Who met Mr. Poe. ", "They spoke."]),
        ("Am 3. Mai war es z.B. kalt. Dann nicht.", ["Am 3. Mai war es z.B. kalt. ", "Dann nicht."]),
        ("It was in 1999. He left.", ["It was in 1999. ", "He left."]),
        ("J. S. Bach wrote it. It is long.", ["J. S. Bach wrote it. ", "It is long."]),
        ("approx. 3.5 kg … or so. Yes.", ["approx. 3.5 kg … or so. ", "Yes."]),
        ("すべて自由。人は平等。", ["すべて自由。", "人は平等。"]),
        ("「自由。」と言う。次。", ["「自由。」と言う。", "次。"]),
        ("See No. 5 there. No. Never.", ["See No. 5 there. ", "No. ", "Never."]),
        ("सब स्वतंत्र हैं। कोई नहीं।", ["सब स्वतंत्र हैं। ", "कोई नहीं।"]),
        ("ما اسمك؟ أنا علي.", ["ما اسمك؟ ", "أنا علي."]),
        ("Он пришёл в 5 ч. утра. Потом ушёл.", ["Он пришёл в 5 ч. утра. ", "Потом ушёл."]),
    ],
)
def test_sentences_of_several_scripts(text, expected):
    assert sentences(text) == expected


def test_paragraphs_are_parted_by_blank_lines_where_there_are_any():
    assert paragraphs("a\nb\n\nc\n") == ["a\nb\n\n", "c\n"]
    assert paragraphs("a\nb\n") == ["a\n", "b\n"]


def test_paragraphs_stay_whole_and_a_longer_one_is_cut_at_sentences():
    long = "Aaaa bbbb. Cccc dddd. Eeee ffff."
    text = f"Short one.\n\n{long}\n\nLast."
    count = len  # characters
    assert segments(text, most=24, count=count) == [
        "Short one.\n\nAaaa bbbb. ",
        "Cccc dddd. Eeee ffff.\n\n",
        "Last.",
    ]
    assert segments("x" * 50 + ". Yes. No.", most=10, count=count) == ["x" * 50 + ". ", "Yes. No."]
    assert segments("", most=5) == []
    with pytest.raises(InputError, match="most must be at least 1"):
        segments("a", most=0)
