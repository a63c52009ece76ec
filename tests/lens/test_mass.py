"""Language mass: a model that writes a known language at each layer, a slow definition, controls, resuming."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import latentlang as ll
from latentlang.answers import TokenLanguages, token_bytes
from latentlang.answers.language_table import TokenLanguagesSettings, vocabulary_hash
from latentlang.errors import InputError
from latentlang.lens import LanguageMassResult, language_mass
from latentlang.lens.mass import POSITIONS
from latentlang.models import HookedLM, readout
from latentlang.models.finished_languages import finished_names
from latentlang.provenance import Provenance
from tests.support import tiny
from tests.support.parallel import PARAGRAPHS

TEXTS = {code: PARAGRAPHS[code] for code in ("en", "de", "ja")}
#: Tokens of each language in a table made by hand, and one that is not certain enough.
OWNED = {"en": range(40, 60), "de": range(80, 87), "ja": range(120, 123)}
UNCERTAIN = 200
WIDTH, HEIGHT = 16, 6.0
#: What each block adds: English from layer 2 on, German in its place at the last.
STEPS: dict[int, dict[str, float]] = {2: {"en": HEIGHT}, 4: {"en": -HEIGHT, "de": HEIGHT}}
DEPTH = 4


def table(owned: Any = OWNED) -> TokenLanguages:
    """The table of tokens and languages."""
    rows = [(token, code, 0.95) for code, tokens in owned.items() for token in tokens]
    rows.append((UNCERTAIN, "de", 0.8))
    frame = pd.DataFrame(rows, columns=["token", "language", "certainty"]).assign(
        text="x", count=1, elsewhere=0, inside=0, inside_elsewhere=0
    )
    settings = TokenLanguagesSettings(
        texts="by hand", certainty=0.9, tokens=len(frame),
        vocabulary_sha256=vocabulary_hash(token_bytes(tiny.tokenizer())),
    )  # fmt: skip
    provenance = Provenance(
        model="tiny", task="token-languages", languages=tuple(owned), settings=settings.stored()
    )
    return TokenLanguages(table=frame, provenance=provenance)


class _Block(nn.Module):
    def __init__(self, step: Tensor) -> None:
        super().__init__()
        self.register_buffer("step", step)

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden + self.step


class _Writer(nn.Module):
    """Blocks that add "this language" to the stream, and a head that gives its tokens a higher logit for it."""

    def __init__(self, steps: dict[int, dict[str, float]]) -> None:
        super().__init__()
        places = {code: place for place, code in enumerate(OWNED)}
        self.embed, self.head = nn.Embedding(tiny.VOCAB, WIDTH), nn.Linear(WIDTH, tiny.VOCAB, bias=False)
        blocks = []
        for number in range(1, DEPTH + 1):
            step = torch.zeros(WIDTH)
            for code, height in steps.get(number, {}).items():
                step[places[code]] = height
            blocks.append(_Block(step))
        self.blocks, self.norm = nn.ModuleList(blocks), nn.Identity()
        self.config: Any = SimpleNamespace(
            num_hidden_layers=DEPTH, vocab_size=tiny.VOCAB, model_type="writer", is_encoder_decoder=False,
            max_position_embeddings=512, to_dict=dict, _name_or_path="writer",
        )  # fmt: skip
        with torch.no_grad():
            self.head.weight.zero_()
            self.embed.weight[:, : len(OWNED)] = 0
            for code, tokens in OWNED.items():
                self.head.weight[list(tokens), places[code]] = 1

    def get_input_embeddings(self) -> nn.Module:
        return self.embed

    def get_output_embeddings(self) -> nn.Module:
        return self.head

    def forward(self, input_ids: Tensor, past_key_values: Any = None, **_options: Any) -> Any:
        if past_key_values is not None:
            raise NotImplementedError("it keeps nothing")
        hidden = self.embed(input_ids)
        for block in self.blocks:
            hidden = block(hidden)
        return SimpleNamespace(logits=self.head(self.norm(hidden)))


def writer(steps: dict[int, dict[str, float]] = STEPS) -> HookedLM:
    """A model of known languages."""
    return HookedLM(_Writer(steps).eval(), tiny.tokenizer(), name="writer")


@pytest.fixture(scope="module")
def model() -> HookedLM:
    return HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")


@pytest.fixture(scope="module")
def planted() -> LanguageMassResult:
    return language_mass(writer(), TEXTS, table=table(), progress=False)


def _by_hand(code: str, asked: str) -> float:
    """Mass of a language where the tokens of `code` have a logit higher by `HEIGHT`."""
    raised, own = len(OWNED[code]), len(OWNED[asked])
    total = raised * math.exp(HEIGHT) + tiny.VOCAB - raised
    return own * (math.exp(HEIGHT) if asked == code else 1) / total


def test_the_language_that_each_layer_writes_is_read(planted: LanguageMassResult) -> None:
    summary = planted.summary().set_index(["language", "layer", "of"])
    for text in TEXTS:
        for layer, code in ((2, "en"), (3, "en"), (4, "de")):
            for asked in OWNED:
                row = summary.loc[(text, layer, asked)]
                assert row["mass"] == pytest.approx(_by_hand(code, asked), rel=1e-4)
                assert row["low"] == pytest.approx(row["mass"]) and row["n"] == len(TEXTS[text])
            rest = summary.loc[(text, layer, "")]
            assert rest["mass"] == pytest.approx(1 - sum(_by_hand(code, asked) for asked in OWNED), abs=1e-5)
            assert math.isnan(rest["share"])
    leaders = planted.leaders().set_index(["language", "layer"])
    assert (leaders.loc[(slice(None), [2, 3]), ["leader", "verdict"]] == ["en", "leads"]).all(axis=None)
    assert (leaders.loc[(slice(None), [4]), ["leader", "verdict"]] == ["de", "leads"]).all(axis=None)
    said = planted.describe()
    assert "Japanese text: English leads at layers 2 to 3" in said and "German leads at layer 4" in said


def test_a_layer_that_tells_nothing_has_the_part_of_the_vocabulary_and_leads_nowhere(
    planted: LanguageMassResult,
) -> None:
    first = planted.summary().query("layer == 1 and of != ''")
    expected = first["of"].map({code: len(tokens) / tiny.VOCAB for code, tokens in OWNED.items()})
    np.testing.assert_allclose(first["mass"], expected, rtol=1e-4)
    np.testing.assert_allclose(first["prior"], expected, rtol=1e-6)
    # English has most tokens of all, which says nothing
    leaders = planted.leaders().query("layer == 1")
    assert (leaders["leader"] == "en").all() and (leaders["verdict"] == "as-known").all()
    uniform = language_mass(writer({}), TEXTS, table=table(), progress=False)
    assert not (uniform.leaders()["verdict"] == "leads").any()
    assert "no language leads at any layer" in uniform.describe()


@pytest.mark.parametrize("chunk", [None, 300])
def test_it_is_the_definition_position_by_position(
    model: HookedLM, chunk: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if chunk is not None:  # several chunks of the vocabulary
        monkeypatch.setattr(readout, "CPU_CHUNK_ELEMENTS", chunk)
    result = language_mass(model, TEXTS, table=table(), batch_tokens=64, progress=False)
    norm, head = model.model.model.norm, model.model.lm_head
    for code, texts in TEXTS.items():
        for number, text in enumerate(texts, 1):
            ids = model.tokenizer(text)["input_ids"]
            with torch.no_grad():
                out = model.model(torch.tensor([ids]), output_hidden_states=True)
                layers = [head(norm(states[0])) for states in out.hidden_states[1:-1]] + [out.logits[0]]
            probabilities = [logits.double().softmax(-1) for logits in layers]
            rows = result.table[(result.table["language"] == code) & (result.table["item"] == f"{number:05}")]
            assert rows["tokens"].groupby([rows["layer"], rows["of"]]).sum().unique() == [len(ids) - 1]
            for row in rows.to_dict("records"):
                end = next((edge for edge in POSITIONS if edge > row["position"]), len(ids))
                own = probabilities[row["layer"] - 1][row["position"] : end]  # position 0 is the beginning
                everyone = [token for tokens in OWNED.values() for token in tokens]
                mass = (
                    own[:, list(OWNED[row["of"]])].sum() if row["of"] else len(own) - own[:, everyone].sum()
                )
                assert row["tokens"] == len(own) and row["mass"] == pytest.approx(float(mass), rel=1e-4)


@dataclass(frozen=True)
class Negated:
    name = "negated"
    identity = "1"

    def translate(self, resid: Tensor, layers: Any) -> Tensor:
        return -resid


def test_another_lens_is_read_through_and_layers_are_chosen(model: HookedLM) -> None:
    plain = language_mass(model, TEXTS, table=table(), layers="0,2,3", progress=False)
    other = language_mass(model, TEXTS, table=table(), layers="0,2,3", lens=Negated(), progress=False)
    assert plain.settings.layers == [0, 2, 3] and other.settings.lens == "negated"
    same = np.isclose(plain.table["mass"], other.table["mass"], rtol=1e-5)
    last = plain.table["layer"] == model.n_layers
    assert same[last].all() and not same[~last & (plain.table["of"] != "")].any()


def test_positions_add_up_to_the_whole(model: HookedLM) -> None:
    result = language_mass(model, TEXTS, table=table(), progress=False)
    positions = result.positions()
    assert set(positions["position"]) <= set(POSITIONS) and len(set(positions["position"])) > 1
    sizes = result.table.drop_duplicates(["language", "item", "position"]).groupby(["language", "position"])[
        "tokens"
    ].sum()  # fmt: skip
    weights = positions.set_index(["language", "position"]).index.map(sizes)
    sums = (
        (positions["mass"] * weights).groupby([positions[name] for name in ("language", "layer", "of")]).sum()
    )
    summary = result.summary().set_index(["language", "layer", "of"])["mass"]
    np.testing.assert_allclose(sums.loc[summary.index] / sizes.groupby("language").sum().loc[
        summary.index.get_level_values("language")].to_numpy(), summary, rtol=1e-6)  # fmt: skip


def test_layers_in_random_order_show_which_layer_stands_out(planted: LanguageMassResult) -> None:
    control = planted.control().set_index(["language", "layer", "of"])
    for code in TEXTS:
        row = control.loc[(code, 4, "de")]
        assert row["p"] <= 0.05 and row["excess"] > row["chance"]
        assert control.loc[(code, 1, "de"), "p"] > 0.5
    flat = language_mass(writer({}), TEXTS, table=table(), progress=False).control()
    assert (flat["p"] == 1).all()


def test_a_table_is_made_of_the_texts_themselves(model: HookedLM) -> None:
    result = language_mass(model, TEXTS, progress=False)
    own = ll.token_languages(model, TEXTS, languages=list(TEXTS), progress=False)
    counts = own.certain["language"].value_counts()
    assert result.settings.certain == {code: int(counts.get(code, 0)) for code in TEXTS}
    assert result.settings.table_texts == "texts of one's own"
    for code in TEXTS:
        ids = [token for text in TEXTS[code] for token in model.tokenizer(text)["input_ids"][1:]]
        share = np.mean([own.language_of(token) == code for token in ids])
        assert result.settings.written[code][code] == pytest.approx(share)


def test_a_stopped_run_goes_on_and_ends_the_same(model: HookedLM, tmp_path: Any) -> None:
    whole = language_mass(model, TEXTS, table=table(), progress=False)

    class StoppedError(Exception):
        pass

    def stop(done: int, _total: int) -> None:
        if done > len(TEXTS["en"]):
            raise StoppedError

    with pytest.raises(StoppedError):
        language_mass(model, TEXTS, table=table(), resume=tmp_path / "kept", progress=stop)
    assert finished_names(tmp_path / "kept") == ["en"]
    again = language_mass(model, TEXTS, table=table(), resume=tmp_path / "kept", progress=False)
    assert again.table.equals(whole.table)
    # another table is another question
    fewer = {**OWNED, "en": range(40, 50)}
    other = language_mass(model, TEXTS, table=table(fewer), resume=tmp_path / "kept", progress=False)
    assert not np.allclose(other.table["mass"], whole.table["mass"])


def test_it_is_saved_read_again_and_drawn(planted: LanguageMassResult, tmp_path: Any) -> None:
    planted.save(tmp_path / "mass")
    loaded = ll.open_result(tmp_path / "mass")
    assert isinstance(loaded, LanguageMassResult) and loaded == planted
    figure = loaded.figure()
    areas = [trace for trace in figure.data if trace.type == "scatter"]
    # three panels, in each the text's own language and the other two
    assert len(areas) == 9 and len({trace.stackgroup for trace in areas}) == 3
    own = next(trace for trace in areas if trace.legendgroup == "own")
    assert own.y[1] == pytest.approx(_by_hand("en", "en"), rel=1e-4)
    english = [note.text for note in figure.layout.annotations]
    assert english == [f"text in <b>{name}</b>" for name in ("English", "German", "Japanese")]
    one = loaded.figure(languages="ja", width=400)
    assert len({trace.stackgroup for trace in one.data if trace.type == "scatter"}) == 1


def test_a_damaged_result_is_refused(planted: LanguageMassResult, tmp_path: Any) -> None:
    twice = LanguageMassResult(pd.concat([planted.table, planted.table[:1]]), planted.provenance)
    twice.save(tmp_path / "twice")
    with pytest.raises(InputError, match=r"two rows of language .*, layer \d+, of"):
        LanguageMassResult.load(tmp_path / "twice")


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        (["a text"], {}, "texts need their language"),
        ({"en": ["a text"]}, {}, "in 'en' alone"),
        ({"fr": ["un texte"]}, {"table": True}, "unknown language of the table of tokens 'fr'"),
        (TEXTS, {"items": 0}, "items"),
        (TEXTS, {"languages": "sw"}, "unknown language of these texts 'sw'"),
        ("translation", {}, "translation"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    model: HookedLM, texts: Any, options: dict[str, Any], message: str
) -> None:
    if options.get("table"):
        options = {**options, "table": table()}
    with pytest.raises(InputError, match=message):
        language_mass(model, texts, progress=False, **options)


def test_a_table_of_another_vocabulary_is_refused(model: HookedLM) -> None:
    made = table()
    settings = {**made.provenance.settings, "vocabulary_sha256": "0"}
    other = TokenLanguages(
        made.table,
        Provenance(model="other", task="token-languages", languages=tuple(OWNED), settings=settings),
    )
    with pytest.raises(InputError, match="the vocabulary of 'other'"):
        language_mass(model, TEXTS, table=other, progress=False)


@pytest.mark.parametrize("items", [1, 2])
def test_of_one_or_two_paragraphs_there_is_no_interval_and_nobody_leads(items: int) -> None:
    few = language_mass(writer(), TEXTS, table=table(), items=items, progress=False)
    leaders = few.leaders()
    assert leaders[["low", "high", "lead_low", "lead_high"]].isna().all(axis=None)
    assert (leaders["verdict"] == "open").all()
    assert few.summary()[["low", "high"]].isna().all(axis=None)
    assert "no interval" in few.describe() and "nan" not in few.describe() and few.figure().data
    three = language_mass(writer(), TEXTS, table=table(), items=3, progress=False)
    assert "leads" in set(three.leaders()["verdict"])


def test_a_language_without_text_and_a_table_of_one_language_are_refused(model: HookedLM) -> None:
    with pytest.raises(InputError, match="the texts in 'en' have no token to measure"):
        language_mass(model, {"en": ["", ""], "de": TEXTS["de"]}, table=table(), progress=False)
    some = language_mass(model, {"en": ["", *TEXTS["en"]], "de": TEXTS["de"]}, table=table(), progress=False)
    assert some.describe()
    with pytest.raises(InputError, match="has those of 'en' alone"):
        language_mass(model, {"en": TEXTS["en"]}, table=table({"en": range(40, 60)}), progress=False)
    with pytest.raises(InputError, match="name 'en' twice, once as 'English'"):
        language_mass(model, {"en": TEXTS["en"], "English": TEXTS["en"]}, table=table(), progress=False)
