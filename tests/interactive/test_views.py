"""What the explorer's page is told, request by request: against `explore` and against a model of known workings."""

from __future__ import annotations

import json
from threading import Event
from typing import Any

import numpy as np
import pytest

from latentlang.errors import InputError
from latentlang.interactive import reliability, token_owners
from latentlang.interactive.kept_owners import KnownTokens, kept_tokens
from latentlang.interactive.messages import PageReply, PageRequest, read_message
from latentlang.interactive.numbers import plain
from latentlang.interactive.request_queue import answer
from latentlang.interactive.request_run import RequestRun
from latentlang.interactive.session import Session
from latentlang.interactive.session_start import make_session, named_lenses
from latentlang.interactive.token_owners import NO_CONCEPT, ConceptTokens
from latentlang.interactive.view_registry import names
from latentlang.interactive.views import grid
from latentlang.language_names import language
from latentlang.lens import explore
from latentlang.models import HookedLM, load
from latentlang.tasks import WordTask, task
from tests.support import planted_lm, tiny

PROMPT = 'Français: "fleur" - Deutsch: "'


@pytest.fixture(autouse=True)
def nothing_learnt(monkeypatch) -> None:
    """No table of the vocabulary's languages, which takes seconds and is tested by itself."""
    known = Event()
    known.set()
    monkeypatch.setattr(grid, "learn_owners", lambda session: known)


@pytest.fixture(scope="module")
def pocket() -> HookedLM:
    return load("pocket")


@pytest.fixture(scope="module")
def session(pocket) -> Session:
    return make_session(pocket, PROMPT, task=task("translation", source="fr"))


@pytest.fixture(scope="module")
def planted() -> Session:
    model, own = planted_lm.planted()
    words = WordTask(source="de", concepts=own)
    asked = f"{own[0].words['de']} {language('fr').own_name}"
    return make_session(model, asked, task=words)


def replies(session: Session, view: str, **arguments: Any) -> list[PageReply]:
    """All replies to a request, as they go over the wire."""
    heard: list[PageReply] = []
    answer(session, PageRequest(id=7, view=view, arguments=arguments), RequestRun(7, heard.append))
    for reply in heard:
        json.dumps(reply.record(), allow_nan=False)
    assert {reply.id for reply in heard} == {7}
    assert [reply.event for reply in heard[:-1]].count("done") == 0
    return heard


def parts(session: Session, view: str, **arguments: Any) -> list[dict[str, Any]]:
    """What is shown."""
    heard = replies(session, view, **arguments)
    assert heard[-1].event == "done", heard[-1].text
    return [reply.data for reply in heard if reply.data is not None]


def refused(session: Session, view: str, **arguments: Any) -> str:
    """The one line that says what is wrong."""
    heard = replies(session, view, **arguments)
    assert heard[-1].event == "error" and "\n" not in heard[-1].text
    return str(heard[-1].text)


def _cells(told: list[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    return {
        at: cells
        for part in told
        if "positions" in part
        for at, cells in zip(part["positions"], part["cells"], strict=True)
    }


def test_the_opening_says_what_there_is(session):
    (told,) = parts(session, "open")
    assert told["model"] == {
        "name": "pocket",
        "layers": 8,
        "vocabulary": session.model.vocab_size,
        "context": 512,
    }
    assert told["lenses"] == [{"id": "logit", "name": "logit"}]
    assert told["adapters"] == [{"id": "", "name": "without adapter"}]
    codes = [entry["code"] for entry in told["languages"]]
    assert codes[: len(told["first"])] == told["first"] == list(session.languages)
    assert len(codes) == len(set(codes)) == 20
    assert {"code": "de", "name": "German", "own": "Deutsch", "rtl": False} in told["languages"]
    assert {"label": "nature/flower", "name": "flower (nature)"} in told["concepts"]
    assert told["prompt"] == PROMPT and told["saved"] is None
    assert (
        set(told["views"])
        == set(names()) - {"saved"}
        >= {"open", "grid", "words", "languages", "patch", "steer"}
    )


def test_a_grid_is_what_explore_gives_the_last_position_first(pocket, session):
    told = parts(session, "grid", prompt=PROMPT, top=3)
    head, first = told[0], told[1]
    ids = pocket.encode([PROMPT])[0]
    assert [token["id"] for token in head["tokens"]] == ids
    assert (head["label"], head["asked"], head["named"]) == ("nature/flower", "de", ["fr", "de"])
    assert head["window"] == {"from": 0, "to": len(ids)} and head["languages"][0] == "en"
    assert first["positions"] == [len(ids) - 1]
    table = explore(pocket, PROMPT, top=3, progress=False).table.set_index(["position", "layer", "rank"])
    cells = _cells(told)
    assert set(cells) == set(range(len(ids)))
    for at, layers in cells.items():
        assert len(layers) == pocket.n_layers
        for layer, cell in enumerate(layers, start=1):
            for rank, (token, probability) in enumerate(cell["top"], start=1):
                row = table.loc[(at, layer, rank)]
                assert (token["id"], token["text"]) == (row["id"], row["text"])
                assert probability == pytest.approx(row["probability"], abs=1e-4)
            assert cell["entropy"] == pytest.approx(row["entropy"], abs=2e-3)
            assert cell["kl"] == pytest.approx(row["kl"], abs=2e-3)
    (layer,) = [part["layer"] for part in told if "layer" in part]
    (english,) = parts(session, "words", prompt=PROMPT, label="nature/flower", languages=["en"])[0]["rows"]
    assert layer == 1 + int(np.argmax(np.subtract(english["probability"], english["null"])[:-1]))


def test_colours_are_those_that_were_planted(planted):
    told = parts(planted, "grid", prompt=planted.prompt)
    cells = _cells(told)
    tokens = told[0]["tokens"]
    # the last is what French calls itself
    assert [token["language"] for token in tokens] == [None, "de", None, "fr"]
    last = cells[len(tokens) - 1]
    assert [cell["top"][0][0]["language"] for cell in last[planted_lm.CONCEPT_BLOCK - 1 :]] == ["fr"] * 3
    assert last[-1]["top"][0][0]["text"] == planted.task.answers("fr")["c0"][0]
    # the word itself stands there before the answer's language is written and its concept is fetched
    assert cells[0][0]["top"][0][0]["language"] in (None, "de", "fr", "es", "it")
    french = next(
        row
        for row in parts(
            planted, "words", prompt=planted.prompt, label="c0", languages=["de", "fr", "es", "it"]
        )[0]["rows"]
        if row["language"] == "fr"
    )
    assert max(french["probability"][: planted_lm.CONCEPT_BLOCK - 1]) < 0.5 < french["probability"][-1]
    assert french["rank"][-1] == 1 and french["null"][-1] < 0.01


def test_a_long_prompt_says_which_tokens_are_read(session):
    text = " ".join(["eins"] * 90)
    last = parts(session, "grid", prompt=text)
    count = len(last[0]["tokens"])
    assert last[0]["window"] == {"from": count - 60, "to": count}
    assert set(_cells(last)) == set(range(count - 60, count))
    early = parts(session, "grid", prompt=text, **{"from": 5})
    assert early[0]["window"] == {"from": 5, "to": 65} and early[1]["positions"] == [64]
    assert parts(session, "words", prompt=text, position=2, label="animal/dog", languages=["en"])[0]["rows"]


def test_a_prompt_that_no_page_can_be_told_of_is_refused(pocket):
    with pytest.raises(InputError, match="the prompt holds half of a character"):
        make_session(pocket, "half \ud800", task=task("translation", source="fr"))


def test_text_of_prompts_and_tokens_stays_data(session):
    hostile = "<img src=x onerror=alert(1)>\x1b[31m\u202e</script>"
    told = parts(session, "grid", prompt=hostile)
    text = "".join(token["text"] for token in told[0]["tokens"])
    assert "<img" in text.replace("␣", " ") and "\x1b" not in text and "\u202e" not in text
    assert any(
        token.get("bytes") for token in parts(session, "grid", prompt="Français: \U0001f33a")[0]["tokens"]
    )


def test_words_have_their_null_and_tokens_their_ranks(session):
    (told,) = parts(
        session,
        "words",
        prompt=PROMPT,
        label="nature/flower",
        languages=["en", "de", "ja", "zh"],
        tokens=[5, 1322],
    )
    assert told["layers"] == list(range(1, 9))
    rows = {row.get("language") or row["token"]["id"]: row for row in told["rows"]}
    assert rows["ja"]["why"] and rows["ja"]["probability"] == [None] * 8 == rows["ja"]["rank"]
    assert all(low <= null <= 1 for low, null in zip(rows["en"]["low"], rows["en"]["null"], strict=True))
    assert rows[1322]["kind"] == "token" and rows[1322]["token"]["text"] == "flower"
    assert rows[1322]["rank"] == rows["en"]["rank"]
    (own,) = parts(session, "words", prompt=PROMPT, words={"en": "flower"})
    assert own["rows"][0]["word"] == "flower" and own["rows"][0]["null"] == [None] * 8


@pytest.mark.parametrize("source", [None, "de"])
def test_one_concept_in_many_languages(session, source):
    told = parts(
        session, "languages", label="nature/flower", languages=["sw", "en", "de"], source=source, shots=1
    )
    assert [row["language"] for row in told] == ["sw", "en", "de"]
    for row in told:
        asked = language(row["language"]).own_name
        assert row["prompt"].endswith(f'{asked}: "') and row["prompt"].count("\n") == 1
        given = "de" if source else "fr"
        assert (
            f'{language(given).own_name}: "{session.task.answers(given)["nature/flower"][0]}" - '
            in row["prompt"]
        )
        assert row["asked_word"] == session.task.answers(row["language"])["nature/flower"][0]
        table = explore(session.model, row["prompt"], top=3, positions="last", progress=False).table
        assert [token["id"] for cell in row["cells"] for token, _p in cell["top"]] == table["id"].tolist()
        assert len(row["answer"]) == len(row["pivot"]) == len(row["null"]) == 8
    english = told[1]
    assert english["answer"] == english["pivot"]


def test_the_language_that_a_task_translates_from_is_asked_for_from_english(session):
    (row,) = parts(session, "languages", label="nature/flower", languages=["fr"])
    assert row["prompt"].endswith('English: "flower" - Français: "') and row["asked_word"] == "fleur"


def test_a_concept_among_its_own_examples_is_asked_with_others(session):
    for label in session.labels[:12]:
        (row,) = parts(session, "languages", label=label, languages=["de"], shots=3)
        *examples, question = row["prompt"].splitlines()
        word = session.task.answers("fr")[label][0]
        assert len(examples) == 3 and f'"{word}" -' in question
        assert not any(f'"{word}" -' in line for line in examples)


@pytest.mark.parametrize(
    ("view", "arguments", "words"),
    [
        ("grd", {}, "unknown view 'grd'; did you mean 'grid'"),
        ("grid", {"prompt": " "}, "the prompt is empty"),
        ("grid", {"prompt": "a " * 3000}, "takes at most 512"),
        ("grid", {"prompt": 7}, "the view 'grid' cannot take prompt: Input should be a valid string"),
        ("grid", {}, "the view 'grid' cannot take prompt: Field required"),
        ("grid", {"prompt": "a", "colour": 1}, "cannot take colour: Extra inputs are not permitted"),
        ("grid", {"prompt": "a", "lens": "tuned"}, "unknown lens 'tuned'; known: logit"),
        ("grid", {"prompt": "a", "adapter": "adapter"}, "unknown adapter 'adapter'"),
        ("grid", {"prompt": "a", "top": 0}, "cannot take top"),
        ("grid", {"prompt": "a", "from": 99}, "there is no token 99; this prompt has tokens 0 to"),
        ("words", {"prompt": "a", "label": "x", "languages": ["en"]}, "unknown label 'x'"),
        ("words", {"prompt": "a", "label": "animal/dog", "languages": ["eo"]}, "unknown language 'eo'"),
        ("words", {"prompt": "a", "words": {"en": ""}}, "at least one character"),
        ("words", {"prompt": "a", "position": 50, "tokens": [3]}, "there is no token 50"),
        ("words", {"prompt": "a", "position": -50, "tokens": [3]}, "there is no token"),
        ("words", {"prompt": "a", "tokens": [10**9]}, "there is no token 1000000000"),
        ("words", {"prompt": "a", "tokens": [-1]}, "there is no token -1"),
        ("languages", {"label": "animal/dog", "languages": []}, "at least 1 item"),
        ("languages", {"label": "animal/dog", "languages": ["en"], "source": "eo"}, "unknown language 'eo'"),
        ("languages", {"label": "animal/dog", "languages": ["en"], "shots": -1}, "cannot take shots"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(session, view, arguments, words):
    assert words in refused(session, view, **arguments)


def test_an_error_that_nobody_foresaw_is_one_line_too(session, monkeypatch):
    def fail(*_given, **_options):
        raise RuntimeError("CUDA out of memory.\nTried to allocate 2 GiB")

    def end(*_given, **_options):
        raise MemoryError

    for memory_ends in (fail, end):
        with monkeypatch.context() as patch:
            patch.setattr(session.model, "activations", memory_ends)
            assert "not enough memory" in refused(session, "grid", prompt="another one")
    assert parts(session, "grid", prompt="another one")

    def break_(*_given, **_options):
        raise KeyError("x\n\x1b[1m")

    monkeypatch.setattr(session.model, "activations", break_)
    text = refused(session, "grid", prompt="another")
    assert text.startswith("KeyError") and "\x1b" not in text


def test_an_adapter_is_off_and_on():
    tuned = HookedLM(tiny.adapted(tiny.model("mistral")), tiny.tokenizer(), name="tiny", adapter="mine")
    session = make_session(tuned, "the dog", task=task("translation", source="fr"))
    assert parts(session, "open")[0]["adapters"] == [
        {"id": "", "name": "without adapter"}, {"id": "adapter", "name": "mine"},
    ]  # fmt: skip
    for adapter, state in (("", tuned.base), ("adapter", tuned.tuned)):
        cells = _cells(parts(session, "grid", prompt="the dog", adapter=adapter, top=1))
        with state():
            table = explore(tuned, "the dog", top=1, progress=False).table
        assert [cell["top"][0][0]["id"] for at in sorted(cells) for cell in cells[at]] == table["id"].tolist()


def test_lenses_are_read_through(pocket):
    class Constant:
        """Every layer is the same state."""

        name, identity = "constant", "1"

        def translate(self, resid, layers):
            return resid * 0 + 1

    lenses, folders = named_lenses(pocket, [Constant(), Constant()])
    assert list(lenses) == ["constant", "constant 2"] and folders == {}
    session = make_session(pocket, PROMPT, task=task("translation", source="fr"), lenses=lenses)
    assert [lens["id"] for lens in parts(session, "open")[0]["lenses"]] == ["logit", "constant", "constant 2"]
    plain, same = (
        _cells(parts(session, "grid", prompt=PROMPT, lens=lens, top=1)) for lens in ("logit", "constant")
    )
    inner = {json.dumps(cell["top"]) for cells in same.values() for cell in cells[:-1]}
    assert len(inner) == 1
    assert all(same[at][-1]["top"][0][0] == plain[at][-1]["top"][0][0] for at in plain)
    told = parts(session, "grid", prompt=PROMPT, lens="constant")
    assert next(part["unreliable"] for part in told if "unreliable" in part) == list(range(1, 8))


@pytest.mark.parametrize(
    ("values", "told"),
    [(0.25, 0.25), (np.float32(0.5), 0.5), (np.nan, None), (np.inf, None), (7, 7.0), ([], []),
     ([[1 / 3, np.nan], [-np.inf, 2]], [[0.333333, None], [None, 2.0]])],
)  # fmt: skip
def test_numbers_are_told_rounded_and_where_there_is_none_as_null(values, told):
    assert plain(values) == told


def test_layers_that_know_no_more_than_frequencies_are_measured_once(pocket):
    session = make_session(pocket, PROMPT, task=task("translation", source="fr"))
    *pauses, layers = reliability.unreliable_layers(session, "logit", "")
    assert pauses and not any(pauses) and set(layers) <= set(range(1, 8))
    assert list(reliability.unreliable_layers(session, "logit", "")) == [layers]


def test_the_cross_entropies_are_compared_as_they_are_defined():
    import torch

    outputs = [torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.5, 0.4, 0.1])]
    own = [torch.tensor([0]), torch.tensor([1])]
    # under the other text's output: -log 0.5 and -log 0.2
    known = -(np.log(0.5) + np.log(0.2)) / 2
    entropies = [torch.tensor([[known + 0.1, known - 0.1, 0.0]])] * 2
    assert reliability._worse(entropies, own, outputs) == (1,)
    assert reliability._worse(entropies[:1], own[:1], outputs[:1]) == ()


def test_a_tokens_language_is_its_words_then_the_tables_then_its_scripts(pocket):
    table = token_owners.token_bytes(pocket.tokenizer)
    owners = token_owners.TokenOwners(table, ("en", "hi", "ja", "zh", "de"))
    ids = {text: int(table.exactly(text.encode())[0]) for text in ("flower", "花")}
    kana = next(i for i, text in enumerate(table.bytes) if text == "ナ".encode())
    assert owners.of(kana, NO_CONCEPT) == "ja" and owners.of(ids["花"], NO_CONCEPT) is None
    assert (
        owners.of(ids["flower"], NO_CONCEPT) is None
        and owners.of(ids["flower"], ConceptTokens({ids["flower"]: "en"})) == "en"
    )
    owners.learn(KnownTokens({ids["花"]: "zh", kana: "zh"}, frozenset()))
    assert owners.learnt and owners.of(ids["花"], NO_CONCEPT) == owners.of(kana, NO_CONCEPT) == "zh"
    assert owners.of(10**9, NO_CONCEPT) is None


def test_no_part_of_a_character_and_no_token_of_several_languages_is_one_languages(session):
    table = token_owners.token_bytes(session.model.tokenizer)
    owners = token_owners.TokenOwners(table, session.speaking, {})
    flower = token_owners.words_of(session, "nature/flower")

    def of(*texts: bytes) -> list[str | None]:
        return [owners.of(int(table.exactly(text)[0]), flower) for text in texts]

    # Hindi and Thai words begin with the first byte, Chinese and Japanese are one word
    assert of(b"\xe0", b"\xe8", b"\xd0", "花".encode(), b"fl") == [None] * 5
    # pieces of other words, until the table tells whose; the word itself is the concept's
    kwi, whole = (int(table.exactly(text)[0]) for text in (b"kwi", b"fleur"))
    assert of(b"fleur", b"kwi") == ["fr", "pl"] and (kwi in flower.others) and (whole in flower.whole)
    half = int(table.exactly(b"\xe3")[0])
    owners.learn(KnownTokens({kwi: "sl", half: "ja"}, frozenset({whole})))
    assert of(b"fleur", b"kwi", b"\xe3") == ["fr", "sl", None]
    owners.learn(KnownTokens({whole: "en"}, frozenset({kwi})))
    assert of(b"fleur", b"kwi") == [None, None]


def test_a_whole_word_of_one_language_is_its_own_unless_another_writes_it(session):
    words = token_owners.whole_words(session)
    table = token_owners.token_bytes(session.model.tokenizer)
    flower, banana = (int(table.exactly(text)[0]) for text in (b"flower", b"banana"))
    assert words[flower] == "en"
    assert banana not in words  # Italian and Swedish, among others
    owners = token_owners.TokenOwners(table, session.speaking, words)
    assert owners.of(flower, NO_CONCEPT) == "en" and owners.of(banana, NO_CONCEPT) is None
    owners.learn(KnownTokens({}, frozenset({flower})))
    assert owners.of(flower, NO_CONCEPT) is None
    for token in words:
        text = table.bytes[token].decode().strip()
        assert sum(char.isalpha() for char in text) >= 5, text


def test_the_table_of_the_vocabulary_is_made_once_and_kept(planted, monkeypatch, own_cache):
    first, again, spoilt, elsewhere = (
        make_session(planted.model, planted.prompt, task=planted.task) for _ in range(4)
    )
    assert not token_owners.token_owners(first).learnt
    done = token_owners.learn_owners(first)
    assert done is token_owners.learn_owners(first)
    assert done.wait(60)
    (kept,) = (own_cache / "token-languages").iterdir()
    known = token_owners.token_owners(first)
    learnt = token_owners.token_owners(again)
    assert learnt.learnt and token_owners.learn_owners(again).is_set()
    size = planted.model.vocab_size
    assert [learnt.of(token, NO_CONCEPT) for token in range(size)] == [
        known.of(token, NO_CONCEPT) for token in range(size)
    ]
    for text in ("{", "[]", '{"format": 1, "certain": {"en": [-1]}, "several": []}', '{"format": 0}'):
        kept.write_text(text)
        assert kept_tokens(token_owners.token_bytes(planted.model.tokenizer), planted.speaking) is None
    assert not token_owners.token_owners(spoilt).learnt
    # a cache that cannot be written costs the next session its time, and this one nothing
    monkeypatch.setenv("LATENTLANG_CACHE", str(kept))
    assert token_owners.learn_owners(elsewhere).wait(60) and token_owners.token_owners(elsewhere).learnt


def test_the_table_is_given_up_where_the_session_ends(planted, own_cache):
    session = make_session(planted.model, planted.prompt, task=planted.task)
    done = token_owners.learn_owners(session)
    token_owners.stop_learning(session, wait=60)
    assert done.is_set() and not token_owners.token_owners(session).learnt and not [*own_cache.iterdir()]
    # the session may go on, and begins again
    assert token_owners.learn_owners(session) is not done
    token_owners.stop_learning(session, wait=60)
    token_owners.stop_learning(session, wait=60)


@pytest.mark.parametrize(
    "text",
    [
        "{", "[" * 100_000, '{"id": "1", "view": "grid"}', '{"id": 1}', "7", '{"cancel": -1}', "x" * 2_000_000, b"\xff",
    ],
    ids=range(8),
)  # fmt: skip
def test_messages_that_are_none_are_refused_in_one_line(text):
    with pytest.raises(InputError, match="message") as error:
        read_message(text)
    assert "\n" not in str(error.value) and len(str(error.value)) < 600


def test_prompts_to_begin_with_name_a_concept_and_a_language(session):
    (told,) = (reply.data for reply in replies(session, "open") if reply.data)
    examples = told["examples"]
    assert len(examples) >= 3
    for example in examples:
        concept = session.guess(example["prompt"])
        asked = session.named(example["prompt"])[-1]
        assert concept is not None and asked in session.task.languages
        assert example["title"].endswith(example["prompt"].split('"')[-3])
        assert language(asked).name in example["title"]
