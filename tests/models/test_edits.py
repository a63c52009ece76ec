"""Edits of activations: against plain hooks on each prompt alone, restored afterwards, and never where nobody asked."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest
import torch
from torch import Tensor

from latentlang.errors import InputError, ModelError
from latentlang.models import Edit, HookedLM
from tests.support import tiny
from tests.support.forward_reference import draw, state, tokens_run

INSIDE = ("attn_out", "mlp_out")
EXPERTS = ("mixtral", "qwen2-moe")


def hooked(architecture: str = "mistral", **changes: Any) -> HookedLM:
    return HookedLM(tiny.model(architecture, **changes), tiny.tokenizer())


def shared(count: int = 4) -> list[list[int]]:
    """Prompts with a long beginning in common, of different lengths."""
    (prefix,) = draw(90)
    return [[*prefix, *ids] for ids in draw(*range(3, 3 + count), seed=2)]


def alone(lm: HookedLM, ids: list[int], layer: int, change: Any, positions: list[int]) -> Tensor:
    """The last logits of one prompt, with a plain hook on a block's output: the slow reference."""
    layers = lm._anatomy.layers

    def hook(_module: Any, _args: Any, output: Any) -> Any:
        hidden = (output[0] if isinstance(output, tuple) else output).clone()
        hidden[0, positions] = change(hidden[0, positions])
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    with torch.no_grad(), layers[layer - 1].register_forward_hook(hook):
        return lm.model(torch.tensor([ids]), use_cache=False).logits[0, -1].float()


@pytest.mark.parametrize("architecture", list(tiny.CONFIGS))
def test_its_own_value_and_no_edit_change_nothing(architecture: str) -> None:
    lm = hooked(architecture)
    prompts = draw(9, 5, 14)
    sites = ("resid",) if architecture == "opt-projected" else ("resid", *INSIDE)
    plain = lm.activations(prompts, sites=sites, layers=[1, 2, 3])
    before = state(lm.model)
    edits = [Edit.replace(plain.sites[site], layers=[1, 2, 3], site=site) for site in sites]
    with lm.edited(edits):
        same = lm.activations(prompts, sites=sites, layers=[1, 2, 3])
    assert same.logits is not None and plain.logits is not None
    assert torch.equal(same.logits, plain.logits)
    assert all(torch.equal(same.sites[site], plain.sites[site]) for site in sites)
    with lm.edited([]):
        nothing = lm.activations(prompts).logits
    assert nothing is not None and torch.equal(nothing, plain.logits)
    assert state(lm.model) == before


@pytest.mark.parametrize("architecture", ["mistral", "gemma3", "gpt2", "bloom", "opt", "falcon", "granite"])
@pytest.mark.parametrize("share", [True, False])
def test_a_batch_is_edited_as_each_prompt_alone(architecture: str, share: bool) -> None:
    lm = hooked(architecture)
    prompts = [*shared(), *draw(7, 2, seed=3)]
    vectors = torch.randn(len(prompts), 32, generator=torch.Generator().manual_seed(0))
    positions = [[-1], [4, -2], [], [0], [3, 5], [1]]
    edit = Edit.add(vectors, strength=2, layers=2, positions=positions)
    with lm.edited(edit):
        logits = lm.activations(prompts, share_prefix=share).logits
    assert logits is not None
    for row, ids in enumerate(prompts):
        expected = alone(lm, ids, 2, lambda hidden, row=row: hidden + 2 * vectors[row], positions[row])
        assert float((logits[row] - expected).abs().max()) <= 1e-4 * float(expected.abs().max()), row


@pytest.mark.parametrize(
    ("edit", "change"),
    [
        (Edit.scale(0.5, layers="2", positions="all"), lambda hidden: hidden * 0.5),
        (Edit.ablate(layers=[2], positions="all"), torch.zeros_like),
        (Edit.ablate(torch.ones(32), layers=[2], positions="all"), torch.ones_like),
        (
            Edit.project_out(torch.eye(32)[:2], layers=[2], positions="all"),
            lambda hidden: hidden * torch.tensor([0.0, 0.0, *[1.0] * 30]),
        ),
        (
            Edit.project_out(torch.eye(32)[3], strength=0.5, layers=[2], positions="all"),
            lambda hidden: hidden * torch.tensor([1.0, 1.0, 1.0, 0.5, *[1.0] * 28]),
        ),
        (
            Edit.swap(torch.eye(32)[0] * 3, torch.eye(32)[1], layers=[2], positions="all"),
            lambda hidden: hidden[:, [1, 0, *range(2, 32)]],
        ),
        (
            Edit.set_along(torch.eye(32)[3] * 2 + torch.eye(32)[4] * 2, layers=[2], positions="all"),
            lambda hidden: torch.stack(
                [
                    *hidden[:, :3].T,
                    2 + (hidden[:, 3] - hidden[:, 4]) / 2,
                    2 + (hidden[:, 4] - hidden[:, 3]) / 2,
                    *hidden[:, 5:].T,
                ],
                -1,
            ),
        ),
        (Edit.set_along(torch.zeros(32), layers=[2], positions="all"), lambda hidden: hidden),
        (Edit(lambda hidden, _place: hidden.flip(-1), layers=[2], positions="all"), lambda h: h.flip(-1)),
    ],
)
def test_what_edits_do(edit: Edit, change: Any) -> None:
    lm = hooked()
    prompts = draw(9, 5, 14)
    with lm.edited(edit):
        logits = lm.activations(prompts).logits
    assert logits is not None
    for row, ids in enumerate(prompts):
        expected = alone(lm, ids, 2, change, list(range(len(ids))))
        torch.testing.assert_close(logits[row], expected, rtol=1e-4, atol=1e-4)


def test_a_skipped_block_is_left_out() -> None:
    lm = hooked()
    prompts = draw(9, 5)
    with lm.edited(Edit.skip(layers=2)):
        edited = lm.activations(prompts, layers=[1, 2], positions="all").resid
    assert torch.equal(edited[:, 0], edited[:, 1])
    shorter = tiny.model(num_hidden_layers=3)
    shorter.model.layers = torch.nn.ModuleList([shorter.model.layers[0], shorter.model.layers[2]])
    shorter.config.num_hidden_layers = 2
    with lm.edited(Edit.skip(layers=2)):
        logits = lm.activations(prompts).logits
    assert logits is not None
    for row, ids in enumerate(prompts):
        with torch.no_grad():
            expected = shorter(torch.tensor([ids]), use_cache=False).logits[0, -1]
        torch.testing.assert_close(logits[row], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("architecture", [n for n in tiny.CONFIGS if n not in (*EXPERTS, "opt-projected")])
def test_what_is_written_inside_a_block_is_what_is_read_there(architecture: str) -> None:
    lm = hooked(architecture)
    prompts = [*shared(2), *draw(6)]
    plain = lm.activations(prompts, layers=[2], sites=("resid", *INSIDE))
    for site in INSIDE:
        vector = torch.randn(32, generator=torch.Generator().manual_seed(1))
        with lm.edited(Edit.add(vector, layers=2, site=site)):
            reading = lm.activations(prompts, layers=[2], sites=("resid", *INSIDE))
        torch.testing.assert_close(reading.sites[site], plain.sites[site] + vector, rtol=1e-4, atol=1e-4)
        if site == "mlp_out":
            torch.testing.assert_close(reading.resid, plain.resid + vector, rtol=1e-4, atol=1e-4)
    with lm.edited(Edit.ablate(layers=2, site="mlp_post")):
        reading = lm.activations(prompts, layers=[2], sites=INSIDE)
    # without neurons the MLP adds its output's bias, the same for every prompt
    assert float((reading.mlp_out - reading.mlp_out[:1]).abs().max()) <= 1e-5
    assert float((reading.mlp_out - plain.mlp_out).abs().max()) > 1e-3


@pytest.mark.parametrize("architecture", [n for n in tiny.CONFIGS if n not in EXPERTS])
def test_before_the_activation_function_is_where_neurons_are_switched_off(architecture: str) -> None:
    lm = hooked(architecture)
    prompts = [*shared(2), *draw(6)]
    with lm.edited(Edit.ablate(layers=2, site="mlp_post")):
        without = lm.activations(prompts).logits
    # silu, gelu and relu of a large negative number are zero
    with lm.edited(Edit.replace(torch.full((lm._output_projections[1][1],), -1e4), layers=2, site="mlp_pre")):
        switched_off = lm.activations(prompts).logits
    assert without is not None and switched_off is not None
    torch.testing.assert_close(switched_off, without, rtol=1e-5, atol=1e-5)
    plain = lm.activations(prompts).logits
    assert plain is not None and not torch.allclose(plain, without, atol=1e-3)
    with lm.edited(Edit(lambda hidden, _place: hidden, site="mlp_pre", positions="all")):
        same = lm.activations(prompts, share_prefix=False).logits
    whole = lm.activations(prompts, share_prefix=False).logits
    assert same is not None and whole is not None and torch.equal(same, whole)


def test_some_neurons_are_replaced_and_no_others() -> None:
    lm = hooked()
    prompts = draw(5, 9)
    chosen = {1: [3, 40], 3: [0]}
    mean = torch.randn(48, generator=torch.Generator().manual_seed(1))

    def by_hand(value: torch.Tensor) -> list[Edit]:
        def change(hidden: torch.Tensor, place: Any) -> torch.Tensor:
            hidden = hidden.clone()
            hidden[:, chosen[place.layer]] = value[chosen[place.layer]]
            return hidden

        return [Edit(change, layers=[1, 3], site="mlp_post", positions="all")]

    for value, given in ((torch.zeros(48), None), (mean, mean)):
        edit = Edit.ablate(
            given, features=[chosen[1], chosen[3]], layers=[1, 3], site="mlp_post", positions="all"
        )
        with lm.edited(edit):
            logits = lm.activations(prompts).logits
            (record,) = lm.edits
        with lm.edited(by_hand(value)):
            expected = lm.activations(prompts).logits
        assert logits is not None and expected is not None and torch.equal(logits, expected)
        assert record["change"] == "SetFeatures" and len(record["sha256"]) == 64
    with pytest.raises(ModelError, match="changes feature 48, and 'mlp_post' of this model has 48, from 0"):
        lm.edited(Edit.ablate(features=[48], site="mlp_post")).__enter__()
    with pytest.raises(ModelError, match="features for 2 layers and is made at 3"):
        lm.edited(Edit.ablate(features=[[1], [2]], site="mlp_post")).__enter__()
    for wrong, message in (([-1], "from 0, not -1"), ([1.5], "from 0, not 1.5"), ([], "names no feature")):
        with pytest.raises(InputError, match=message):
            Edit.ablate(features=wrong, site="mlp_post")


@pytest.mark.parametrize("architecture", EXPERTS)
def test_neurons_of_experts_are_refused(architecture: str) -> None:
    lm = hooked(architecture)
    with (
        pytest.raises(ModelError, match="do not all enter one output projection"),
        lm.edited(Edit.ablate(layers=2, site="mlp_post")),
    ):
        pass


def test_embeddings_are_edited_at_layer_0() -> None:
    lm = hooked()
    prompts = draw(5, 3)
    others = [[*ids[:-1], 7] for ids in prompts]
    other = lm.activations(others, layers=[0]).resid
    with lm.edited(Edit.replace(other, layers=0)):
        logits = lm.activations(prompts).logits
    expected = lm.activations(others).logits
    assert logits is not None and expected is not None and torch.equal(logits, expected)


def test_a_shared_prefix_ends_before_the_first_edited_token() -> None:
    lm = hooked()
    prompts = shared()
    lm.activations(prompts)
    seen = tokens_run(lm)
    width = max(map(len, prompts)) - 90
    for position, expected in (
        (-1, [90, len(prompts) * width]),
        (70, [70, len(prompts) * (width + 20)]),
        (0, [len(prompts) * (width + 90)]),
    ):
        seen.clear()
        with lm.edited(Edit.add(torch.ones(32), layers=1, positions=position)):
            lm.activations(prompts)
        assert seen == expected, position


@pytest.mark.parametrize("architecture", ["mistral", "mistral-window", "gemma3", "gpt2"])
def test_a_sweep_over_layers_runs_what_prompts_share_once(architecture: str) -> None:
    lm = hooked(architecture)
    (prefix,) = draw(60)
    prompts = [[*prefix, *ids] for ids in draw(70, 71, 72, seed=2)]
    # each prompt three times, for a change after one layer each
    grid = [(ids, layer) for ids in prompts for layer in (1, 2, 3)]
    vectors = torch.randn(len(grid), 1, 32, generator=torch.Generator().manual_seed(2))
    edits = [
        Edit.add(vectors, layers=layer, positions=[[-1] if own == layer else [] for _ids, own in grid])
        for layer in (1, 2, 3)
    ]
    lm.activations(prompts)
    seen = tokens_run(lm)
    with lm.edited(edits):
        logits = lm.activations([ids for ids, _layer in grid]).logits
    run = list(seen)
    assert logits is not None
    for row, (ids, layer) in enumerate(grid):
        expected = alone(lm, ids, layer, lambda hidden, row=row: hidden + vectors[row, 0], [-1])
        assert float((logits[row] - expected).abs().max()) <= 1e-4 * float(expected.abs().max()), row
    if architecture == "mistral":
        # what all three share is run once, then what each has of its own, then the edited token thrice
        assert run == [129, 3, 70, 3, 71, 3]


def test_everything_is_restored_also_after_an_exception() -> None:
    lm = hooked("gemma3")
    prompts = draw(5, 9)
    plain = lm.activations(prompts).logits
    before = state(lm.model)
    edits = [
        Edit.scale(2, layers="all", positions="all"),
        Edit.skip(layers=1),
        Edit.scale(0, layers=2, site="attn_out"),
        Edit.scale(0, layers=2, site="mlp_post"),
        Edit.scale(3, layers=0),
    ]
    with pytest.raises(KeyboardInterrupt), lm.edited(edits):
        assert lm.edits
        raise KeyboardInterrupt
    with pytest.raises(ZeroDivisionError), lm.edited(Edit(lambda hidden, _place: hidden / (1 // 0))):
        lm.activations(prompts)
    with pytest.raises(ZeroDivisionError), lm.edited(Edit(lambda hidden, _place: hidden / (1 // 0))):
        lm.model(torch.tensor(prompts[:1]))
    assert state(lm.model) == before and not lm.edits
    after = lm.activations(prompts).logits
    assert plain is not None and after is not None and torch.equal(after, plain)


def test_edits_inside_edits_see_what_those_left() -> None:
    lm = hooked()
    prompts = draw(5)
    plain = lm.activations(prompts, layers=[2]).resid
    ones = torch.ones(32)
    with lm.edited([Edit.add(ones, layers=2), Edit.scale(2, layers=2)]):
        both = lm.activations(prompts, layers=[2]).resid
        with lm.edited(Edit.add(ones, layers=2)):
            more = lm.activations(prompts, layers=[2]).resid
        again = lm.activations(prompts, layers=[2]).resid
    torch.testing.assert_close(both, (plain + 1) * 2)
    torch.testing.assert_close(more, (plain + 1) * 2 + 1)
    assert torch.equal(again, both)


@pytest.mark.parametrize("architecture", ["mistral", "gemma3", "gpt2"])
@pytest.mark.parametrize("positions", ["last", "all", "new", [1, -2]])
def test_generation_is_edited_at_the_same_tokens_whatever_the_padding(
    architecture: str, positions: Any
) -> None:
    lm = hooked(architecture)
    prompts = draw(9, 5, 7)
    vectors = torch.randn(3, 32, generator=torch.Generator().manual_seed(5)) * 3
    width = max(map(len, prompts))
    padded = torch.tensor([[tiny.PAD] * (width - len(ids)) + ids for ids in prompts])
    mask = torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for ids in prompts])
    options = {"max_new_tokens": 5, "do_sample": False, "pad_token_id": tiny.PAD, "eos_token_id": None}
    with lm.edited(Edit.add(vectors, layers=2, positions=positions)):
        together = lm.model.generate(padded, attention_mask=mask, **options)[:, width:]
    for row, ids in enumerate(prompts):
        tokens = list(ids)
        for _ in range(5):
            places = {
                "last": [len(ids) - 1],
                "all": list(range(len(tokens))),
                "new": list(range(len(ids) - 1, len(tokens))),
            }.get(str(positions), [1, len(ids) - 2])
            logits = alone(lm, tokens, 2, lambda hidden, row=row: hidden + vectors[row], places)
            tokens.append(int(logits.argmax()))
        assert together[row].tolist() == tokens[len(ids) :]


def test_a_peft_model_is_edited_with_its_adapter_on_and_off() -> None:
    lm = HookedLM(tiny.adapted(tiny.model()), tiny.tokenizer())
    prompts = draw(5, 9)
    plain = lm.activations(prompts, layers=[3]).resid
    with lm.base():
        without = lm.activations(prompts, layers=[3]).resid
    with lm.edited(Edit.add(torch.ones(32), layers=3)):
        torch.testing.assert_close(lm.activations(prompts, layers=[3]).resid, plain + 1)
        with lm.base():
            torch.testing.assert_close(lm.activations(prompts, layers=[3]).resid, without + 1)


def test_a_quantised_model_is_edited() -> None:
    lm = HookedLM(
        torch.ao.quantization.quantize_dynamic(tiny.model("opt"), {torch.nn.Linear}, dtype=torch.qint8),
        tiny.tokenizer(),
    )
    prompts = draw(5, 9)
    plain = lm.activations(prompts, layers=[3]).resid
    with lm.edited(Edit.add(torch.ones(32), layers=3)):
        torch.testing.assert_close(lm.activations(prompts, layers=[3]).resid, plain + 1)


def test_half_precision_keeps_what_is_not_edited_to_the_bit() -> None:
    lm = hooked(dtype=torch.bfloat16)
    prompts = draw(5, 9)
    plain = lm.activations(prompts, layers=[2], positions="all").resid
    with lm.edited(Edit.add(torch.ones(32), layers=2, positions=[[1], []])):
        edited = lm.activations(prompts, layers=[2], positions="all").resid
    changed = (edited != plain).any(-1)[:, 0]
    assert changed.nonzero().tolist() == [[0, 1]]
    assert torch.equal(edited[0, 0, 1], (plain[0, 0, 1].float() + 1).to(torch.bfloat16))


def test_probes_of_the_model_are_not_edited() -> None:
    with ExitStack() as stack:
        lm = hooked("gemma3")
        stack.enter_context(lm.edited(Edit.scale(0, layers="all", positions="all")))
        # found out while the edit is in force: layouts, batches, shared prefixes
        lm.activations([*shared(), *draw(3)], sites=("resid", "attn_out"))
        assert lm.batching.one_by_one is None and lm.batching.shared_up_to(30) == 30


def test_results_say_that_the_model_was_edited() -> None:
    lm = hooked()
    assert lm.edits == [] and "model_edits" not in lm.noted
    with lm.edited(Edit.add(torch.ones(32), layers="1-2", positions=[3, -1])):
        (record,) = lm.edits
        assert {name: record[name] for name in ("change", "site", "layers", "positions")} == {
            "change": "Add", "site": "resid", "layers": [1, 2], "positions": [3, -1],
        }  # fmt: skip
        assert lm.noted["model_edits"] == [record]
        assert any("read with an edit in force: Add at resid" in note for note in lm.notes)
        with lm.edited(Edit.add(torch.ones(32) * 2, layers="1-2", positions=[3, -1])):
            assert lm.edits[1]["sha256"] != record["sha256"]


def test_a_run_that_outlives_its_edits_is_refused() -> None:
    lm = hooked()
    with lm.edited(Edit.add(torch.ones(32))):
        readings = lm.iter_activations(draw(5, 6, 7), batch_tokens=1)
        next(readings)
    with pytest.raises(ModelError, match="changed while prompts were being read"):
        list(readings)


def test_readings_are_of_the_model_as_it_was_when_they_were_asked_for() -> None:
    lm = hooked()
    prompts = draw(5, 6, 7)
    with lm.edited(Edit.add(torch.ones(32))):
        inside = lm.iter_activations(prompts)
    with pytest.raises(ModelError, match="changed while prompts were being read"):
        list(inside)
    outside = lm.iter_activations(prompts)
    with (
        lm.edited(Edit.add(torch.ones(32))),
        pytest.raises(ModelError, match="changed while prompts were being read"),
    ):
        list(outside)


def test_two_lists_read_in_turn_keep_their_own_positions() -> None:
    lm = hooked()
    short, long = draw(5, 6), draw(9, 12, seed=4)
    reader = lm.reader(layers=[2], batch_tokens=1)
    with lm.edited(Edit.add(torch.ones(32), layers=2, positions=[[-1], [0]])):
        expected = [lm.activations(prompts, layers=[2]).resid for prompts in (short, long)]
        runs = [reader.stream(prompts) for prompts in (short, long)]
        batches = [(next(runs[0]), next(runs[1])), (next(runs[0]), next(runs[1]))]
    for number, whole in enumerate(expected):
        for pair in batches:
            reading = pair[number]
            torch.testing.assert_close(reading.resid, whole[reading.index])


def test_functions_are_told_apart_in_what_is_kept_of_an_edit() -> None:
    lm = hooked()
    hashes = set()
    for _ in range(30):
        with lm.edited(Edit(lambda hidden, _place: hidden)):
            hashes.add(lm.edits[0]["sha256"])
    assert len(hashes) == 30


def test_contexts_may_be_left_in_any_order() -> None:
    lm = hooked()
    prompts = draw(5)
    before = state(lm.model)
    plain = lm.activations(prompts, layers=[2]).resid
    first, second = (lm.edited(Edit.add(torch.full((32,), size), layers=2)) for size in (1.0, 2.0))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    torch.testing.assert_close(lm.activations(prompts, layers=[2]).resid, plain + 2)
    ids = torch.tensor(prompts)
    with torch.no_grad():
        called = lm.model(ids, use_cache=False).logits[0, -1]
    logits = lm.activations(prompts).logits
    assert logits is not None
    torch.testing.assert_close(called, logits[0], rtol=1e-4, atol=1e-4)
    second.__exit__(None, None, None)
    assert state(lm.model) == before and not lm.edits


def test_direct_calls_whose_positions_cannot_be_found_are_refused() -> None:
    lm = hooked()
    ids = torch.tensor(draw(6))
    with lm.edited(Edit.add(torch.ones(32))), torch.no_grad():
        with pytest.raises(ModelError, match="mask does not say which tokens are text"):
            lm.model(ids, attention_mask=torch.zeros(1, 1, 6, 6))
        cache = lm.model(ids[:, :3], use_cache=True).past_key_values
        with pytest.raises(ModelError, match="several tokens at once after others"):
            lm.model(ids[:, 3:], past_key_values=cache)
    with torch.no_grad():
        lm.model(ids, attention_mask=torch.zeros(1, 1, 6, 6))


def test_what_would_outlive_an_edit_is_refused() -> None:
    from latentlang.lens import train_tuned_lens
    from latentlang.models import score_answers

    lm = hooked()
    with lm.edited(Edit.add(torch.ones(32))):
        with pytest.raises(InputError, match=r"a lens is trained within edited"):
            train_tuned_lens(lm, ["a text"], steps=1, progress=False)
        with pytest.raises(InputError, match=r"a bridge is made within edited"):
            lm.bridge()
        with pytest.raises(InputError, match="whole answers are run token by token"):
            score_answers(lm, ["a"], [[("b",)]])


def test_an_edit_that_overflows_is_said_to() -> None:
    lm = hooked()
    with (
        lm.edited(Edit.scale(1e38, layers=[1, 2], positions="all")),
        pytest.raises(ModelError, match="with the edits in force activations are NaN or infinite"),
    ):
        lm.activations(draw(5, 9))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Edit.add(torch.ones(32), site="resid_mid"),
            "unknown site 'resid_mid' .* known: resid, attn_out",
        ),
        (lambda: Edit.add(torch.ones(32), positions="first"), "positions='first'"),
        (lambda: Edit.add(torch.ones(3, 4, 5, 6)), r"shape .* not \[3, 4, 5, 6\]"),
        (lambda: Edit.add(torch.tensor([1.0, torch.nan])), "vector holds a number that is NaN"),
        (lambda: Edit.add("en"), "vector must be a tensor of numbers, not str"),
        (lambda: Edit.add(torch.ones(32), strength=torch.inf), "strength must be a finite number, not inf"),
        (lambda: Edit.scale("2"), "factor must be a finite number, not '2'"),
        (lambda: Edit.project_out(torch.zeros(2, 32)), "all zero"),
        (lambda: Edit.add(torch.ones(32), positions=[]), "names no position"),
        (lambda: Edit.swap(torch.ones(32), torch.ones(32) * 2), "both are the same"),
        (lambda: Edit.swap(torch.zeros(32), torch.ones(32)), "one of these is zero"),
        (lambda: Edit(3), "a function of activations, not int"),  # type: ignore[arg-type]
    ],
)
def test_edits_that_make_no_sense_are_refused(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (Edit.add(torch.ones(31)), "31 wide, and 'resid' of this model is 32"),
        (Edit.add(torch.ones(32), layers=4), "layer 4 does not exist"),
        (Edit.add(torch.ones(32), layers=0, site="attn_out"), "layer 0 is the embeddings"),
        (Edit.add(torch.ones(32), site="mlp_post"), "32 wide, and 'mlp_post' of this model is 48"),
        (Edit.add(torch.ones(1, 2, 32), layers=[1]), "vectors for 2 layers and is made at 1"),
        (Edit.skip(layers=0), "layer 0"),
        (Edit.scale(2, layers=[3, -1]), "name one twice"),
        (Edit.add(torch.ones(4, 32)), "vectors for 4 prompts, and 2 are run"),
        (Edit.add(torch.ones(32), positions=[[1], [1], [1]]), "positions for 3 prompts, and 2 are run"),
        (Edit.add(torch.ones(32), positions=5), "prompt 1 has 5 tokens, so an edit cannot be at position 5"),
        (Edit(lambda hidden, _place: hidden[:, :3]), r"gave \[2, 3\]"),
    ],
)
def test_edits_that_do_not_fit_the_model_are_refused(edit: Edit, message: str) -> None:
    lm = hooked()
    with pytest.raises(ModelError, match=message), lm.edited(edit):
        lm.activations(draw(9, 5))
    assert not lm.edits


def test_what_is_no_edit_is_refused() -> None:
    lm = hooked()
    with pytest.raises(InputError, match="an Edit is needed, not str"), lm.edited(["add"]):  # type: ignore[list-item]
        pass


@pytest.mark.parametrize("modules", [("gate_proj",), ("gate_proj", "up_proj", "down_proj")])
def test_neurons_of_an_mlp_with_an_adapter_on_it_are_edited_before_their_activation_function(modules) -> None:
    torch.manual_seed(0)
    adapted = tiny.adapted(tiny.model("mistral"), modules=modules)
    lm = HookedLM(adapted, tiny.tokenizer(), name="adapted")
    (gate,) = [part for name, part in adapted.named_modules() if name.endswith("layers.0.mlp.gate_proj")]

    def without(_module, _args, output):
        output = output.clone()
        output[..., 3] = 0
        return output

    plain = lm.activations(["Review: I love"]).logits
    handle = gate.register_forward_hook(without)
    expected = lm.activations(["Review: I love"]).logits
    handle.remove()
    with lm.edited(Edit.ablate(features=[3], layers=[1], site="mlp_pre", positions="all")):
        edited = lm.activations(["Review: I love"]).logits
    assert torch.equal(edited, expected) and not torch.equal(edited, plain)


def test_weights_are_sampled_for_edits_alone_that_name_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    lm = hooked()
    sampled: list[Any] = []

    def sample(model: Any) -> str:
        sampled.append(model)
        return "here"

    monkeypatch.setattr("latentlang.models.hooked.fingerprint", sample)
    with lm.edited([Edit.scale(2, layers=1), Edit.scale(2, layers=2)]):
        assert not sampled
    with lm.edited([Edit.scale(2, layers=layer, weights="here") for layer in (1, 2)]):
        assert len(sampled) == 1
    with pytest.raises(ModelError, match="other weights"):
        lm.edited([Edit.scale(2, weights="here"), Edit.scale(2, weights="elsewhere")]).__enter__()
