"""Dialogues about documents: which documents, which passages, how many turns, and what happens where replies fail."""

import json
import sys
from collections import Counter
from types import SimpleNamespace

import pytest

from latentlang.errors import InputError
from latentlang.instructions import chinese_script
from latentlang.instructions.document_filters import default_identifier, language_table, paragraph_languages
from latentlang.instructions.documents import SourceDocument, read_documents
from latentlang.instructions.grounded import STOPS, grounded_dialogues, turns_drawn
from latentlang.instructions.providers import Asker, Planner, ProviderError, Reply

FRENCH = "La ville se trouve au bord de la mer et vit de la pêche depuis des siècles. "
ENGLISH = "The town lies by the sea and has lived on fishing for many hundreds of years. "


def document(name="a", *, code="fr", text=None):
    return SourceDocument(name, code, f"Ville {name}. {FRENCH * 10}" if text is None else text)


class Writer:
    """Questions and answers by number; `replies` in the place of the n-th."""

    name, settings, retried, one_at_a_time = "writer", {}, False, True

    def __init__(self, **replies):
        self.asked, self._replies = [], replies

    def ask(self, messages):
        number = len(self.asked)
        self.asked.append(messages[-1]["content"])
        reply = self._replies.get(f"n{number}", f"Réponse numéro {number}, assez longue.")
        if isinstance(reply, ProviderError):
            raise reply
        return reply if isinstance(reply, Reply) else Reply(reply)


def made(documents, provider=None, **options):
    given = {"check_language": False, "document_tokens": (1, 10_000), "segment_tokens": (1, 2000), **options}
    return grounded_dialogues(documents, asking=provider or Writer(), progress=False, **given)


# How long


def test_the_published_rule_of_the_end():
    lengths = Counter(turns_drawn(STOPS, 0, f"segment {n}") for n in range(4000))
    expected = {2: 0.1, 3: 0.9 * 0.2, 4: 0.9 * 0.8 * 0.4, 5: 0.9 * 0.8 * 0.6 * 0.8, 6: 0.9 * 0.8 * 0.6 * 0.2}
    assert sum(turns * share for turns, share in expected.items()) == pytest.approx(4.1, abs=0.05)
    for turns, share in expected.items():
        assert lengths[turns] / 4000 == pytest.approx(share, abs=0.03)
    assert turns_drawn(STOPS, 0, "x") == turns_drawn(STOPS, 0, "x") and turns_drawn((1.0,), "x") == 2


def test_each_turn_is_a_question_and_its_answer_with_what_was_said_before():
    provider = Writer(n0="\n Pourquoi la mer ?\nEt encore ?")
    (talk,) = made([document()], provider, stops=(0.0, 1.0)).dialogues
    assert [turn.role for turn in talk.turns] == ["user", "assistant"] * 3
    assert talk.instruction == "Pourquoi la mer ?" and talk.turns[1].text == "Réponse numéro 1, assez longue."
    assert (
        talk.input == document().text.strip()
        and talk.group == "a"
        and talk.id == "a/1"
        and talk.language == "fr"
    )
    assert len(provider.asked) == 6 and all(FRENCH.strip() in asked for asked in provider.asked)
    assert all("Pourquoi la mer ?" in asked for asked in provider.asked[1:])
    assert (
        "Elle demande pourquoi ou comment" in provider.asked[0] and "Pourquoi la mer" not in provider.asked[0]
    )
    later = (provider.asked[2], provider.asked[4])
    assert all(("l'approfondit" in asked) != ("un sujet plus large" in asked) for asked in later)
    assert made([document()], Writer(), with_passage=False).dialogues[0].input == ""


def test_both_kinds_of_question_are_asked():
    provider = Writer()
    made([document(str(n)) for n in range(12)], provider, stops=(1.0,))
    assert {("l'approfondit" in asked, "un sujet plus large" in asked) for asked in provider.asked[2::4]} == {
        (True, False), (False, True),
    }  # fmt: skip


def test_a_failure_at_the_beginning_drops_and_later_ends_what_there_is():
    refused = ProviderError("the server refused this", code="refused")
    cases = {"n0": refused, "n4": "Non.", "n9": Reply("Une phrase coupée au mil", cut=True)}
    built = made([document(name) for name in "abc"], Writer(**cases), stops=(0.0, 1.0))
    assert [(talk.id, len(talk.turns)) for talk in built.dialogues] == [("b/1", 2), ("c/1", 4)]
    assert [(drop.id, drop.reason) for drop in built.dropped] == [
        ("a/1", "refused"), ("b/1", "ended-early"), ("c/1", "ended-early"),
    ]  # fmt: skip
    assert built.dropped[1].text == "turn 2: short-answer: Non." and "1 item dropped" in built.describe()
    (only,) = made([document("a"), document("b")], Writer(n1="Oui."), stops=(1.0,)).dropped
    assert (only.id, only.reason) == ("a/1", "short-answer")


def test_a_fatal_error_ends_the_run():
    with pytest.raises(ProviderError, match="no key"):
        made([document()], Writer(n0=ProviderError("no key", code="key")))


# Which documents


def test_a_document_is_judged_by_its_paragraphs():
    mixed = "\n\n".join([FRENCH, ENGLISH, "Oui.", FRENCH, FRENCH])
    mostly = document("mixed", text=mixed)
    identifier = default_identifier([mostly])
    counts = paragraph_languages(mostly, identifier)
    assert counts.counts == {"fr": 3, "en": 1, None: 1} and counts.share == 0.75 and counts.main == "fr"
    english = document("left", text="\n\n".join([ENGLISH] * 3 + [FRENCH]))
    number = document("number", text="1\n\n2\n\n3")
    options = {"check_language": True, "least_share": 0.7}
    built = made([mostly, english, number], **options)
    assert [talk.id for talk in built.dialogues] == ["mixed/1"]
    assert [(drop.id, drop.reason) for drop in built.dropped] == [
        ("left", "other-language"),
        ("number", "undecided"),
    ]
    assert built.dropped[0].text == "most paragraphs are en, 25% are fr"
    (row,) = language_table([counts, paragraph_languages(english, identifier)]).to_dict("records")
    assert (row["documents"], row["paragraphs"], row["own"], row["english"]) == (2, 9, 4 / 8, 4 / 8)
    assert row["undecided"] == pytest.approx(1 / 9)
    with pytest.raises(InputError, match="of 1 document said to be in fr, 1 is mostly in en"):
        made([english], **options)


def test_a_language_that_no_document_is_said_to_be_in_is_known_too_and_near_relatives_pass():
    with pytest.raises(InputError, match="of 1 document said to be in es, 1 is mostly in fr"):
        made([document(code="es")], check_language=True)
    danish = document(
        "d",
        code="no",
        text="Alle mennesker er født frie og lige i værdighed og rettigheder, og de er udstyret.",
    )
    assert paragraph_languages(danish, default_identifier([danish])).share == 1.0


@pytest.mark.parametrize("code", ["zh", "zh-Hant"])
def test_both_scripts_of_chinese_are_chinese(code):
    chinese = document("z", code=code, text="人人生而自由，在尊嚴和權利上一律平等。他們賦有理性和良心。")
    assert paragraph_languages(chinese, default_identifier([chinese])).share == 1.0


def test_a_language_that_the_filter_does_not_know_is_said():
    with pytest.raises(InputError, match="does not know wo; leave it out by check_language=False"):
        made([document(code="wo")], check_language=True, prompts="fr")
    assert default_identifier([document(code="hy")]) and default_identifier([document(code="zu")])


def test_length_counts_and_short_pieces_are_counted():
    documents = [
        document("short", text=FRENCH),
        document("right", text=FRENCH * 12),
        document("long", text=FRENCH * 99),
    ]
    built = made(documents, document_tokens=(100, 400), segment_tokens=(60, 100))
    assert {talk.group for talk in built.dialogues} == {"right"} and len(built.dialogues) >= 2
    reasons = Counter((drop.id.partition("/")[0], drop.reason) for drop in built.dropped)
    assert reasons["short", "short-document"] == reasons["long", "long-document"] == 1
    assert built.dropped[0].text.endswith("estimated as one token for 4 bytes")
    passages = "".join(talk.input for talk in built.dialogues)
    assert passages.replace(" ", "") in (FRENCH * 12).replace(" ", "")


def test_so_many_passages_of_each_language_are_drawn():
    documents = [document(str(n)) for n in range(5)] + [document(f"e{n}", code="es") for n in range(3)]
    built = made(documents, items=2)
    assert Counter(talk.language for talk in built.dialogues) == {"fr": 2, "es": 2}
    assert made(documents, items=2).dialogues == built.dialogues
    assert {talk.id for talk in made(documents, items=2, seed=3).dialogues} != {
        talk.id for talk in built.dialogues
    }


def test_the_plan_counts_the_turns_that_will_be_asked():
    documents = [document(str(n)) for n in range(4)]
    planner, asker = Planner(Writer()), Asker(Writer(), at_once=1)
    made(documents, planner)
    built = made(documents, asker)
    assert planner.plan().calls == asker.usage.calls == sum(len(talk.turns) for talk in built.dialogues)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"stops": (0.5,)}, r"stops must be chances between 0 and 1 of which the last is 1, not \[0.5\]"),
        ({"stops": (2.0, 1.0)}, "stops must be"),
        ({"segment_tokens": (5, 4)}, "a least number of tokens, 5, is more than the most, 4"),
        ({"check_language": True, "least_share": 2.0}, "least_share must be between 0 and 1, not 2.0"),
        (
            {"prompts": "table"},
            "no prompts for dialogues about documents in 'table'; there are in en, es, fr, ru, zh",
        ),
        ({"items": 0}, "items must be at least 1"),
    ],
)
def test_options_that_make_no_sense(options, said):
    with pytest.raises(InputError, match=said):
        made([document()], **options)


def test_a_language_without_principles_is_named_with_those_that_have_them():
    with pytest.raises(
        InputError, match="about documents in 'sw'; there are in en, es, fr, ru, zh, or say prompts="
    ):
        made([document(code="sw")])
    provider = Writer()
    made([document(code="sw")], provider, prompts="en")
    assert "It asks for why or how" in provider.asked[0]
    with pytest.raises(InputError, match="there are no documents"):
        made([])


# Files


def test_documents_of_every_layout(tmp_path):
    root = tmp_path / "texts"
    (root / "fr").mkdir(parents=True)
    (root / "es.txt").write_text("Hola.\n", encoding="utf-8")
    (root / "fr" / "page.page").write_text(
        '<page xmlns="x"><info><desc>hidden</desc></info><title>Titre</title><p>Un <cmd>deux</cmd>\n trois &amp;</p>'
        "<steps><item><p>Pas</p></item></steps></page>"
    )
    (root / "fr" / "site.html").write_text(
        "<html><head><title>x</title><style>p {}</style></head><body><h1>Un</h1><pre>x = 1</pre>"
        "<p>Deux.<br/>Trois</p></body></html>"
    )
    (root / "more.jsonl").write_text(
        json.dumps({"id": 7, "title": "T", "text": "Ja.", "language": "German"})
        + "\n"
        + json.dumps({"id": 8, "text": " "})
    )
    (root / "fr" / "wiki_00").write_text(
        '<doc id="12" url="u" title="A &amp; B">\nA & B\n\nTexte.\n\n</doc>\n'
        '<doc id="13" url="u" title="C">\nC\n\nUn.\n</doc>\n'
    )
    (root / "fr" / "wiki_01").write_text(json.dumps({"id": "14", "title": "D", "text": "D\nEt."}))
    (root / "picture.png").write_bytes(b"x")
    found = {one.id: one for one in read_documents(root)}
    assert set(found) == {"es.txt", "fr/page.page", "fr/site.html", "7", "12", "13", "14"}
    assert {name: one.language for name, one in found.items()} == {
        "es.txt": "es", "fr/page.page": "fr", "fr/site.html": "fr", "7": "de", "12": "fr", "13": "fr", "14": "fr",
    }  # fmt: skip
    assert (
        found["fr/page.page"].text == "Titre\n\nUn deux trois &\n\nPas"
        and found["fr/page.page"].title == "Titre"
    )
    assert found["fr/site.html"].text == "Un\n\nDeux.\n\nTrois"
    assert found["12"].text == "A & B\n\nTexte." and found["12"].title == "A & B"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.txt", "x", "nothing says its language; name the file or its folder by it"),
        ("wiki_00", "no markup", "holds neither <doc> elements"),
        ("a.jsonl", '{"title": "x"}', "'text' and 'title' must be texts"),
        ("fr.jsonl", '{"id": 1, "text": "a"}\n{"id": 1, "text": "b"}', "two documents are called '1'"),
        ("fr.jsonl", '{"id": 1, "text": " "}', "there are no documents"),
        ("a.pdf", "x", "holds no .txt"),
    ],
)
def test_documents_that_cannot_be_used(tmp_path, name, text, said):
    root = tmp_path / "some documents"
    root.mkdir()
    (root / name).write_text(text)
    with pytest.raises(InputError, match=said):
        read_documents(root)
    with pytest.raises(InputError, match="there is no file"):
        read_documents(tmp_path / "nothing")


# Characters


class ByTable:
    """OpenCC's converter of three characters."""

    def __init__(self, config):
        assert config == "t2s"

    def convert(self, text):
        return text.translate(str.maketrans("國語漢", "国语汉"))


@pytest.fixture
def opencc(monkeypatch):
    monkeypatch.setitem(sys.modules, "opencc", SimpleNamespace(OpenCC=ByTable))
    chinese_script._converter.cache_clear()
    yield
    chinese_script._converter.cache_clear()


def test_chinese_documents_and_questions_are_written_in_simplified_characters(opencc):
    given = [
        document("a", code="zh-Hant", text="漢語" * 40), document("b", code="zh", text="国语" * 40),
        document("c", code="fr", text="語 " * 40),
    ]  # fmt: skip
    provider = Writer(n0="國語為何？", n1="漢" * 20)
    built = made(given, provider, simplify=True, stops=(1.0,), prompts="en")
    by_id = {one.id: one for one in built.dialogues}
    assert by_id["a/1"].language == "zh" and by_id["a/1"].input == "汉语" * 40
    # as in the published data: questions, and answers as they came
    assert by_id["a/1"].instruction == "国语為何？" and by_id["a/1"].turns[1].text == "漢" * 20
    assert by_id["c/1"].input == ("語 " * 40).strip()
    assert built.settings["simplified"] == 1
    assert made(given[:1], simplify=False, prompts="en").dialogues[0].language == "zh-Hant"


def test_without_opencc_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "opencc", None)
    chinese_script._converter.cache_clear()
    with pytest.raises(InputError, match=r"need opencc; `pip install .*chinese"):
        made([document("a", code="zh", text="漢語" * 40)], simplify=True)


def test_opencc_itself_knows_more_than_single_characters():
    pytest.importorskip("opencc")
    chinese_script._converter.cache_clear()
    assert chinese_script.simplified("頭髮、發展、乾燥、乾坤") == "头发、发展、干燥、乾坤"
