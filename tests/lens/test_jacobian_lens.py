"""The Jacobian lens against the Jacobian that torch works out, and against networks whose Jacobian is known."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import latentlang as ll
from latentlang.errors import InputError, ModelError
from latentlang.interactive.prompt_session import PromptSession
from latentlang.lens import JacobianLens, JacobianRows, fit_jacobian_lens, fit_jacobian_rows
from latentlang.lens.jacobian_files import JACOBIANS_FILE
from latentlang.lens.jacobian_fit import text_jacobians
from latentlang.lens.tuned import as_lens
from latentlang.models import HookedLM
from latentlang.models.directions import token_directions
from tests.support import tiny
from tests.support.object_store import new_memory

ENGLISH = ["The film is good, and the music is too.", "I like this film a lot, really."]
JAPANESE = ["この映画は良いです。音楽も素晴らしい。", "私はこの映画が好きです。"]
TEXTS = {"en": ENGLISH, "ja": JAPANESE}
SHORT = {"skip": 2, "longest": 12}


@pytest.fixture(scope="module")
def model() -> HookedLM:
    return HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")


@pytest.fixture(scope="module")
def lens(model) -> JacobianLens:
    return fit_jacobian_lens(model, TEXTS, **SHORT)


def whole_jacobian(model, ids, layer):
    """``[target token, d, source token, d]`` of the last block's output by a layer, by torch's own functional."""
    blocks = model.lm.model.layers

    def last(states):
        kept = []

        def enter(_module, args, kwargs):
            return (states, *args[1:]), kwargs

        hooks = [
            blocks[layer].register_forward_pre_hook(enter, with_kwargs=True),
            blocks[-1].register_forward_hook(lambda _m, _a, output: kept.append(output)),
        ]
        try:
            model.lm(input_ids=torch.tensor([ids]), use_cache=False)
        finally:
            for hook in hooks:
                hook.remove()
        return kept[0] if isinstance(kept[0], torch.Tensor) else kept[0][0]

    states = model.activations([ids], layers=[layer], positions="all").resid[0]
    return torch.autograd.functional.jacobian(last, states.detach().clone())[0, :, :, 0]


@pytest.mark.parametrize("copies", [1, 5, 32])
def test_a_text_gives_the_sum_over_later_tokens_and_the_mean_over_tokens_of_the_whole_jacobian(model, copies):
    ids, skip = list(range(5, 14)), 2
    layers = list(range(model.n_layers))
    rows = text_jacobians(model, ids, layers, torch.eye(model.d_model), skip=skip, copies=copies)
    counted = range(skip, len(ids) - 1)
    for layer in layers:
        whole = whole_jacobian(model, ids, layer)
        expected = sum(whole[t2, :, t] for t in counted for t2 in counted if t2 >= t) / len(counted)
        torch.testing.assert_close(rows[layer], expected, rtol=1e-4, atol=1e-5)
    # the tokens that are left out have streams of their own, so that taking them in would show
    everything = sum(whole[t2, :, t] for t in range(len(ids)) for t2 in range(t, len(ids))) / len(ids)
    assert float((everything - expected).abs().max()) > 1e-2


def test_texts_of_a_language_count_alike_and_so_do_languages(model, lens):
    uneven = {"en": ENGLISH, "ja": JAPANESE[:1]}
    fitted = fit_jacobian_lens(model, uneven, **SHORT)
    each = {}
    for code, texts in uneven.items():
        ids = [list(one.ids[:12]) for one in model.tokenize(texts)]
        each[code] = torch.stack([
            text_jacobians(model, text, range(model.n_layers), torch.eye(model.d_model), skip=2, copies=8)
            for text in ids
        ]).mean(0)  # fmt: skip
    torch.testing.assert_close(fitted.jacobians, (each["en"] + each["ja"]) / 2, rtol=1e-4, atol=1e-6)
    assert fitted.texts == {"en": 2, "ja": 1}
    assert not torch.allclose(fitted.jacobians, lens.jacobians, atol=1e-5)


class Turns(nn.Module):
    """A block that adds a turned copy of the stream, token by token: what it does is linear."""

    def __init__(self, width):
        super().__init__()
        self.turn = nn.Linear(width, width, bias=False)

    def forward(self, hidden_states, **_options):
        return hidden_states + self.turn(hidden_states)


@pytest.fixture
def linear() -> HookedLM:
    torch.manual_seed(3)
    lm = tiny.model("mistral", seed=3)
    lm = type(lm)(lm.config)
    for place in range(len(lm.model.layers)):
        lm.model.layers[place] = Turns(lm.config.hidden_size)
    for block in lm.model.layers:
        nn.init.normal_(block.turn.weight, std=0.2)
    return HookedLM(lm.eval(), tiny.tokenizer(), name="linear")


def test_a_linear_network_is_translated_exactly_where_the_logit_lens_errs(linear):
    lens = fit_jacobian_lens(linear, TEXTS, **SHORT)
    reading = linear.activations([[7, 8, 9, 10, 11]], positions="all")
    resid = reading.resid[0].transpose(0, 1)  # [token, layer, d_model]
    last = resid[:, -1]
    translated = lens.translate(resid[:, :-1], range(linear.n_layers))
    for layer in range(linear.n_layers):
        torch.testing.assert_close(translated[:, layer], last, rtol=1e-4, atol=1e-5)
        assert float((resid[:, layer] - last).abs().max()) > 0.05
    plain = ll.explore(linear, "Der Film", top=3)
    through = ll.explore(linear, "Der Film", top=3, lens=lens)
    inner = "layer < @linear.n_layers"
    assert through.table.query(inner)["kl"].max() < 1e-4 < plain.table.query(inner)["kl"].min()


def test_the_last_layer_is_read_as_it_is_and_the_one_before_a_block_that_adds_nothing_too(model):
    lm = tiny.model("mistral", seed=5)
    lm = type(lm)(lm.config)
    with torch.no_grad():
        lm.model.layers[-1].self_attn.o_proj.weight.zero_()
        lm.model.layers[-1].mlp.down_proj.weight.zero_()
    idle = HookedLM(lm.eval(), tiny.tokenizer(), name="idle")
    lens = fit_jacobian_lens(idle, TEXTS, layers=[idle.n_layers - 1], **SHORT)
    torch.testing.assert_close(lens.jacobians[0], torch.eye(idle.d_model))
    with pytest.raises(ModelError, match="layer 3 is the last one, which the lens reads as it is"):
        fit_jacobian_lens(idle, TEXTS, layers=[3], **SHORT)
    result = ll.logit_lens(
        model, ll.task("translation", source="fr"), languages="ja", items=3, shots=0,
        lens=fit_jacobian_lens(model, TEXTS, **SHORT),
    )  # fmt: skip
    plain = ll.logit_lens(model, ll.task("translation", source="fr"), languages="ja", items=3, shots=0)
    last, inner = "layer == @model.n_layers", "layer < @model.n_layers"
    assert np.array_equal(result.table.query(last)["value"], plain.table.query(last)["value"])
    assert not np.allclose(result.table.query(inner)["value"], plain.table.query(inner)["value"])


def test_rows_of_tokens_are_those_of_the_whole_lens_for_a_fraction_of_the_products(model, lens):
    tokens = [5, 17, 130]
    products = []
    rows = fit_jacobian_rows(
        model, TEXTS, tokens=tokens, progress=lambda done, total: products.append((done, total)), **SHORT
    )
    assert products[-1] == (4 * len(tokens), 4 * len(tokens))
    directions = token_directions(model, tokens)
    for place, layer in enumerate(lens.layers):
        torch.testing.assert_close(rows.rows[place], directions @ lens.jacobians[layer], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(rows.rows, lens.vectors(model, tokens), rtol=1e-3, atol=1e-4)
    same = JacobianRows.of(lens, model, tokens)
    torch.testing.assert_close(same.rows, rows.rows, rtol=1e-3, atol=1e-4)


def test_rows_put_tokens_in_the_order_in_which_the_whole_lens_reads_them(model, lens):
    tokens = list(range(20, 60))
    rows = fit_jacobian_rows(model, TEXTS, tokens=tokens, **SHORT)
    resid = model.activations(ENGLISH).resid[:, :-1]
    scores = rows.scores(resid, range(model.n_layers))
    logits = model.unembed(lens.translate(resid, range(model.n_layers)))[..., tokens]
    assert torch.equal(scores.argsort(-1), logits.argsort(-1))
    factor = logits / scores
    torch.testing.assert_close(factor, factor[..., :1].expand_as(factor), rtol=1e-2, atol=1e-4)
    assert (factor > 0).all()
    with pytest.raises(InputError, match="these rows are of layers 0-2, not of layer 3"):
        rows.scores(resid[:, :1], [3])


def test_rows_are_saved_and_refuse_another_model(model, lens, tmp_path):
    rows = JacobianRows.of(lens, model, [5, 6])
    rows.save(tmp_path)
    again = JacobianRows.load(tmp_path, model)
    place = new_memory()
    rows.save(place)
    assert torch.equal(JacobianRows.load(place, model).rows, rows.rows)
    assert torch.equal(again.rows, rows.rows) and again.tokens == (5, 6)
    assert (again.layers, again.texts, again.settings) == (rows.layers, rows.texts, rows.settings)
    other = HookedLM(tiny.model("mistral", seed=1), tiny.tokenizer(), name="other")
    with pytest.raises(ModelError, match="fitted on another model than 'other'"):
        JacobianRows.load(tmp_path, other)
    with pytest.raises(InputError, match="holds no rows of a Jacobian lens"):
        JacobianRows.load(tmp_path / "nowhere", model)


# Stopped runs and parts


class _StopError(Exception):
    pass


def test_a_stopped_fit_goes_on_where_it_was_to_the_last_bit(model, lens, tmp_path):
    def stop(done, total):
        if done > 2.5 * model.d_model:
            raise _StopError

    with pytest.raises(_StopError):
        fit_jacobian_lens(model, TEXTS, resume=tmp_path, progress=stop, **SHORT)
    reports = []
    again = fit_jacobian_lens(
        model, TEXTS, resume=tmp_path, progress=lambda done, _total: reports.append(done), **SHORT
    )
    assert reports[0] == 2 * model.d_model  # two of four texts were there
    assert torch.equal(again.jacobians, lens.jacobians)
    assert again.identity == lens.identity
    finished = []
    fit_jacobian_lens(model, TEXTS, resume=tmp_path, progress=lambda done, _t: finished.append(done), **SHORT)
    assert finished == [4 * model.d_model]


def test_sums_of_rows_in_another_order_or_with_an_adapter_on_are_not_gone_on_with(model, tmp_path):
    rows = fit_jacobian_rows(model, TEXTS, tokens=[5, 9], resume=tmp_path / "rows", **SHORT)
    with pytest.raises(InputError, match="holds an unfinished fit"):
        fit_jacobian_rows(model, TEXTS, tokens=[9, 5], resume=tmp_path / "rows", **SHORT)
    again = fit_jacobian_rows(model, TEXTS, tokens=[5, 9], resume=tmp_path / "rows", **SHORT)
    assert again.tokens == rows.tokens == (5, 9)
    tuned = HookedLM(tiny.adapted(tiny.model("mistral")), tiny.tokenizer(), name="tuned")
    fit_jacobian_lens(tuned, TEXTS, resume=tmp_path / "tuned", **SHORT)
    with tuned.base(), pytest.raises(InputError, match="holds an unfinished fit"):
        fit_jacobian_lens(tuned, TEXTS, resume=tmp_path / "tuned", **SHORT)


@pytest.mark.parametrize("change", [{"longest": 11}, {"layers": [1]}, {"items": 1}])
def test_sums_of_something_else_are_not_gone_on_with(model, tmp_path, change):
    fit_jacobian_lens(model, TEXTS, resume=tmp_path, **SHORT)
    with pytest.raises(
        InputError, match="holds an unfinished fit of another model, other texts or other opt"
    ):
        fit_jacobian_lens(model, TEXTS, resume=tmp_path, **{**SHORT, **change})
    other = HookedLM(tiny.model("mistral", seed=1), tiny.tokenizer(), name="other")
    with pytest.raises(InputError, match="holds an unfinished fit of another model"):
        fit_jacobian_lens(other, TEXTS, resume=tmp_path, **SHORT)


def test_lenses_of_halves_merge_to_the_whole(model, lens):
    halves = [
        fit_jacobian_lens(model, {code: texts[place::2] for code, texts in TEXTS.items()}, **SHORT)
        for place in range(2)
    ]
    merged = halves[0].merged(halves[1])
    torch.testing.assert_close(merged.jacobians, lens.jacobians, rtol=1e-5, atol=1e-6)
    assert (merged.texts, merged.settings) == (lens.texts, lens.settings)
    languages = [fit_jacobian_lens(model, {code: texts}, **SHORT) for code, texts in TEXTS.items()]
    torch.testing.assert_close(
        languages[0].merged(languages[1]).jacobians, lens.jacobians, rtol=1e-5, atol=1e-6
    )
    with pytest.raises(InputError, match="share languages in other proportions of texts"):
        lens.merged(languages[0])
    with pytest.raises(InputError, match="with other options"):
        lens.merged(fit_jacobian_lens(model, TEXTS, skip=3, longest=12))
    with pytest.raises(InputError, match="other layers"):
        lens.merged(fit_jacobian_lens(model, TEXTS, layers=[1], **SHORT))


# Files


def test_saved_and_loaded_it_is_the_same_and_refuses_another_model(model, lens, tmp_path):
    lens.save(tmp_path)
    again = as_lens(tmp_path, model)
    place = new_memory()
    lens.save(place)
    assert as_lens(place, model).identity == again.identity
    assert isinstance(again, JacobianLens)
    assert torch.equal(again.jacobians, lens.jacobians)
    assert (again.layers, again.texts, again.settings) == (lens.layers, lens.texts, lens.settings)
    assert again.identity == lens.identity != replace(lens, layers=(1, 2, 3)).identity
    assert isinstance(as_lens(tmp_path / JACOBIANS_FILE, model), JacobianLens)
    other = HookedLM(tiny.model("mistral", seed=1), tiny.tokenizer(), name="other")
    with pytest.raises(ModelError, match="fitted on another model than 'other'"):
        as_lens(tmp_path, other)
    with pytest.raises(ModelError, match="for layers 0-2 of width 32; 'pocket' has"):
        as_lens(tmp_path, ll.load("pocket"))
    with pytest.raises(InputError, match="holds no Jacobian lens; `latentlang jacobian` fits one"):
        JacobianLens.load(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no tuned lens"):
        as_lens(tmp_path / "nowhere", model)


def published(lens, **changes):
    """What others write: half precision, the first block's output as layer 0, no embeddings."""
    content = {
        "J": {layer - 1: lens.jacobians[layer].half() for layer in lens.layers[1:]},
        "n_prompts": 7,
        "source_layers": [layer - 1 for layer in lens.layers[1:]],
        "d_model": lens.jacobians.shape[-1],
        "metadata": {"model_name": "tiny", "corpus": "wikitext"},
    }
    return {**content, **changes}


def test_a_published_file_is_read_with_its_layers_in_our_numbers(model, lens, tmp_path):
    path = tmp_path / "tiny_jacobian_lens.pt"
    torch.save(published(lens), path)
    read = as_lens(str(path), model)
    assert isinstance(read, JacobianLens)
    assert (read.layers, read.texts, read.unembedding) == ((1, 2), {"": 7}, "")
    torch.testing.assert_close(read.jacobians, lens.jacobians[1:], rtol=1e-3, atol=1e-3)
    assert read.settings == {
        "model_name": "tiny", "corpus": "wikitext", "file": "tiny_jacobian_lens.pt", "texts": 7,
    }  # fmt: skip
    # as safetensors, and stacked
    for name, tensors in {
        "each": {f"J.{layer}": matrix for layer, matrix in published(lens)["J"].items()},
        "stacked": {"J": torch.stack(list(published(lens)["J"].values()))},
    }.items():
        other = tmp_path / f"{name}.safetensors"
        said = {key: json.dumps(published(lens)[key]) for key in ("n_prompts", "source_layers", "d_model")}
        save_file({key: value.contiguous() for key, value in tensors.items()}, other, said)
        same = as_lens(other, model)
        assert torch.equal(same.jacobians, read.jacobians) and same.layers == read.layers
    # layers that it does not have are refused before anything runs
    task = ll.task("translation", source="fr")
    options = {"languages": "ja", "items": 2, "shots": 0}
    assert len(ll.logit_lens(model, task, lens=path, **options).table)
    partial = tmp_path / "partial.pt"
    torch.save(published(lens, J={1: lens.jacobians[2].half()}, source_layers=[1]), partial)
    for read_through in (ll.logit_lens, ll.multilingual_lens):
        with pytest.raises(
            InputError, match="this Jacobian lens has layer 2, not layer 1; read others with layers="
        ):
            read_through(model, task, lens=partial, **options)
    with pytest.raises(InputError, match="has layer 2, not layers 0, 1"):
        ll.explore(model, "a", layers="0-2", lens=partial)
    assert ll.explore(model, "a b", layers="2-3", lens=partial).provenance.settings["lens"] == "jacobian"


class _Evil:
    def __reduce__(self):
        return (print, ("run",))


def test_what_is_no_published_lens_is_refused_in_one_line(model, lens, tmp_path, capsys):
    path = tmp_path / "lens.pt"

    def refused(match, error=InputError, **changes):
        torch.save(published(lens, **changes), path)
        with pytest.raises(error, match=match) as raised:
            as_lens(path, model)
        assert "\n" not in str(raised.value)

    broken = published(lens)["J"]
    broken[1] = broken[1].clone()
    broken[1][0, 0] = float("nan")
    refused("the Jacobian of layer 2 is not finite", J=broken)
    refused("J has no matrix of source layer 2", source_layers=[0, 1, 2])
    refused("J has a layer '1' that source_layers does not name", source_layers=[0])
    refused(r"J of layer 0 is \[32, 32\], and d_model 33", d_model=33)
    refused("n_prompts", n_prompts=0)
    refused("its layers are", J={-3: torch.eye(32)}, source_layers=[-3])
    wide = {layer: torch.eye(40) for layer in (0, 1)}
    refused("is for layers 1, 2 of width 40; 'tiny' has 3 layers of width 32", ModelError, J=wide, d_model=40)
    deep = {layer: torch.eye(32) for layer in range(5)}
    refused("is for layers 1-5 of width 32", ModelError, J=deep, source_layers=list(range(5)))
    torch.save({"weight": torch.eye(3)}, path)
    with pytest.raises(InputError, match="is no Jacobian lens: there is no 'J' in it"):
        as_lens(path, model)
    torch.save([1], path)
    with pytest.raises(InputError, match="is no Jacobian lens: it holds 'list'"):
        as_lens(path, model)
    torch.save(published(lens, extra=_Evil()), path)
    with pytest.raises(InputError, match="a pickle, which could run code"):
        as_lens(path, model)
    path.write_bytes(pickle.dumps(_Evil()))
    with pytest.raises(InputError, match=r"a pickle, which could run code|is damaged"):
        as_lens(path, model)
    path.write_bytes(b"no lens")
    with pytest.raises(InputError):
        as_lens(path, model)
    assert "run" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "options", "match"),
    [
        ({"en": ["a"]}, {}, r"no text in 'en' has 18 tokens, with skip=16"),
        (ENGLISH, {"skip": -1}, "skip must be at least 0"),
        (ENGLISH, {"longest": 1}, "longest must be at least 2"),
        (ENGLISH, {"items": 0}, "items must be at least 1"),
        ([], {}, "no text was given"),
    ],
)
def test_bad_options(model, given, options, match):
    with pytest.raises(InputError, match=match):
        fit_jacobian_lens(model, given, **options)


def test_texts_that_are_too_short_are_left_out_and_counted(model):
    fitted = fit_jacobian_lens(model, {"en": [*ENGLISH, "a"]}, **SHORT)
    assert fitted.texts == {"en": 2}
    assert (fitted.settings["left_out"], fitted.settings["texts"]) == (1, 2)


def test_the_model_is_untouched_by_a_fit(model):
    before = {name: value.clone() for name, value in model.lm.state_dict().items()}
    asking = [parameter.requires_grad for parameter in model.lm.parameters()]
    fit_jacobian_lens(model, ENGLISH, layers=[1], **SHORT)
    assert all(torch.equal(before[name], value) for name, value in model.lm.state_dict().items())
    assert [parameter.requires_grad for parameter in model.lm.parameters()] == asking
    assert not any(parameter.grad is not None for parameter in model.lm.parameters())


@pytest.mark.parametrize("architecture", ["gpt2", "gemma3", "bloom", "falcon", "mixtral", "phi3"])
def test_every_architecture_gives_one_texts_jacobian(architecture):
    lm = HookedLM(tiny.model(architecture), tiny.tokenizer(), name=architecture)
    ids, eye = list(range(5, 14)), torch.eye(lm.d_model)
    rows = text_jacobians(lm, ids, range(lm.n_layers), eye, skip=2, copies=6)
    # along one direction, by moving the stream a little: the sum over later tokens, averaged over tokens
    push = torch.randn(lm.d_model, generator=torch.Generator().manual_seed(0))
    moved = []
    for sign in (1, -1):
        with lm.edited(ll.Edit.add(push * sign * 1e-3, layers=[1], positions=[2])):
            moved.append(lm.activations([ids], layers=[lm.n_layers], positions="all").resid[0, 0])
    numeric = ((moved[0] - moved[1]) / 2e-3)[2 : len(ids) - 1].sum(0)
    graph = lm.stream_graph(ids, layers=[1], copies=lm.d_model)
    given = torch.zeros_like(graph.final)
    given[:, 2:-1] = eye[:, None]
    (gradients,) = graph.pulled_back(given, last=True)
    torch.testing.assert_close(gradients[:, 2] @ push, numeric, rtol=2e-2, atol=2e-2)
    torch.testing.assert_close(rows[1], gradients[:, 2:-1].mean(1), rtol=1e-3, atol=1e-4)


# Tokens of every script


SCRIPTS = {"Devanagari": "सकारात्मक", "Thai": "ดีมาก", "CJK": "評価"}


@pytest.mark.parametrize("script", SCRIPTS)
def test_tokens_of_every_script_come_out_on_top_where_they_should(script):
    """Combining vowels are no letters; a viewer that keeps letters alone hides most tokens of some scripts."""
    tokenizer = tiny.tokenizer()
    wanted = tokenizer.encode(SCRIPTS[script], add_special_tokens=False)[:3]
    torch.manual_seed(0)
    lm = tiny.model("mistral", seed=7)
    lm = type(lm)(lm.config)
    with torch.no_grad():
        # the stream of every token carries these tokens' directions, turned out of the head's sight up to the last
        # block, which turns it back: the logit lens sees nothing of them, the Jacobian lens does
        width = lm.config.hidden_size
        turn, _ = torch.linalg.qr(torch.randn(width, width))
        directions, _ = torch.linalg.qr(torch.randn(width, width))
        lm.lm_head.weight[wanted] = directions[: len(wanted)]
        stream = 5 * directions[: len(wanted)].sum(0) @ turn
        lm.model.embed_tokens.weight[:] = 0.05 * torch.randn(lm.config.vocab_size, width) + stream
    for place in range(len(lm.model.layers)):
        lm.model.layers[place] = Turns(width)
        nn.init.zeros_(lm.model.layers[place].turn.weight)
    lm.model.layers[-1].turn.weight.data = turn - torch.eye(width)
    planted = HookedLM(lm.eval(), tokenizer, name="planted")
    lens = fit_jacobian_lens(planted, TEXTS, **SHORT)
    for read_through, seen in ((lens, True), (None, False)):
        cells = ll.explore(planted, "The film", top=len(wanted), lens=read_through).table
        inner = cells.query("layer < @planted.n_layers and position > 0")
        for _place, cell in inner.groupby(["position", "layer"]):
            assert (set(cell["id"]) == set(wanted)) == seen


def test_it_is_taken_wherever_a_lens_is(model, lens, tmp_path):
    path = lens.save(tmp_path)
    task = ll.task("translation", source="fr")
    options = {"languages": "ja", "items": 6, "shots": 0}
    results = [
        ll.logit_lens(model, task, **options, lens=path),
        ll.logit_lens(model, task, **options, policy="sequence", lens=tmp_path),
        ll.multilingual_lens(model, task, candidates="en,de,hi,ru", **options, lens=tmp_path),
        ll.explore(model, "日本", layers="0-3", lens=str(tmp_path)),
        ll.bits_per_byte(model, {"en": ENGLISH}, layers="0-3", lens=lens),
        ll.translation_barrier(model, task, **options, lens=lens, progress=False),
    ]
    for result in results:
        used = result.provenance.settings
        assert (used["lens"], used["lens_sha256"]) == ("jacobian", lens.identity)
        assert used["translators"] == lens.settings
        assert "Jacobian lens" in repr(result)
    layout = results[0].figure().layout
    assert "Jacobian lens" in f"{layout.title.text}{layout.title.subtitle.text}"
    assert "to first order" in " ".join(layout.meta["how_to_read"])
    assert any("This is a Jacobian lens" in paragraph for paragraph in layout.meta["how_to_read"])
    assert results[2].pivot_test(permutations=20).describe()
    cells = PromptSession.at(model, "日本 is in Asia").cells([0, 1], top=2, lens=lens)
    table = ll.explore(model, "日本 is in Asia", top=2, lens=tmp_path, positions=[0, 1]).table
    assert cells.ids.ravel().tolist() == table["id"].tolist()


@pytest.mark.parametrize("layers", [[], [3], [1, 0], [1, 1], [-1]])
def test_gradients_are_of_layers_before_the_last_in_order(model, layers):
    with pytest.raises(ModelError, match="gradients are taken of layers 0 to 2, in rising order"):
        model.stream_graph([5, 6], layers=layers)


def test_an_edited_model_is_not_fitted_on(model):
    with (
        model.edited(ll.Edit.add(torch.ones(model.d_model), layers=[1])),
        pytest.raises(InputError, match="a lens is fitted within edited"),
    ):
        fit_jacobian_lens(model, TEXTS, **SHORT)
