"""What a model writes greedily: against a plain loop over whole texts, on several architectures, with edits."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from latentlang.errors import InputError, ModelError
from latentlang.models import Edit, HookedLM
from latentlang.models.generation import generate_tokens
from tests.support import tiny
from tests.support.planted_switch import switching, text

PROMPTS = ["Review: I love", "Review: I love", "Kritik: Ich hasse diesen", "Review: I hate", "評価："]
NEW = 6


def loaded(architecture: str) -> HookedLM:
    return HookedLM(tiny.model(architecture), tiny.tokenizer(), name=architecture)


def plain_loop(model: HookedLM, ids: list[int], edit: Edit | None) -> list[int]:
    """The likeliest token of the whole text, again and again, the edit at positions that are counted out."""
    text = list(ids)
    for _ in range(NEW):
        if edit is None:
            logits = model.activations([text], share_prefix=False).logits
        else:
            # of a generated text `new` is from the prompt's last token on
            at = {"new": list(range(len(ids) - 1, len(text))), "last": [len(ids) - 1], "all": "all"}
            with model.edited(replace(edit, positions=at[str(edit.positions)])):
                logits = model.activations([text], share_prefix=False).logits
        assert logits is not None
        token = int(logits[0].argmax())
        if token == tiny.EOS:
            break
        text.append(token)
    return text[len(ids) :]


@pytest.mark.parametrize("architecture", ["mistral", "mistral-window", "gpt2", "qwen3", "bloom"])
@pytest.mark.parametrize("positions", [None, "new", "last", "all"])
def test_it_writes_what_a_plain_loop_writes(architecture: str, positions: str | None) -> None:
    model = loaded(architecture)
    vectors = torch.randn(len(PROMPTS), 2, model.d_model, generator=torch.Generator().manual_seed(1))
    edit = None if positions is None else Edit.add(vectors * 0.5, layers=[1, 2], positions=positions)
    written = generate_tokens(model, PROMPTS, new_tokens=NEW, edit=edit, batch_tokens=64)
    for place, (prompt, tokens) in enumerate(zip(PROMPTS, written, strict=True)):
        own = None if edit is None else Edit.add(vectors[[place]] * 0.5, layers=[1, 2], positions=positions)
        assert tokens == plain_loop(model, model.encode([prompt])[0], own)
    if edit is not None:
        # rows of the same prompt are not the same text: each has its own vector
        assert written != generate_tokens(model, PROMPTS, new_tokens=NEW)


def test_it_writes_what_the_library_writes_and_stops_at_the_end_of_the_text() -> None:
    model = loaded("llama")
    ids = torch.tensor(model.encode([PROMPTS[0]]))
    (written,) = generate_tokens(model, PROMPTS[:1], new_tokens=20)
    theirs = model.model.generate(ids, max_new_tokens=20, do_sample=False, pad_token_id=tiny.PAD)[0]
    assert written == theirs[ids.shape[1] :].tolist()[: len(written)]
    # the third token is made the one that ends a text
    model.tokenizer.eos_token_id = written[2]
    (stopped,) = generate_tokens(model, PROMPTS[:1], new_tokens=20)
    assert stopped == written[: written.index(written[2])]


def test_nothing_is_left_on_the_model_and_progress_is_told() -> None:
    model = loaded("qwen2")
    before = model.activations(PROMPTS).logits
    told: list[tuple[int, int]] = []
    edit = Edit.add(torch.ones(model.d_model), layers=1, positions="new")
    generate_tokens(
        model, PROMPTS, new_tokens=2, edit=edit, batch_tokens=8, progress=lambda *done: told.append(done)
    )
    after = model.activations(PROMPTS).logits
    assert before is not None and after is not None and torch.equal(before, after) and not model.edits
    assert told[-1] == (len(PROMPTS), len(PROMPTS)) and [done for done, _all in told] == sorted(
        done for done, _all in told
    )


def test_what_makes_no_sense_is_refused() -> None:
    model = loaded("mistral")
    with pytest.raises(InputError, match="no prompt"):
        generate_tokens(model, [], new_tokens=2)
    with pytest.raises(InputError, match="new_tokens must be at least 1"):
        generate_tokens(model, PROMPTS, new_tokens=0)
    with pytest.raises(ModelError, match="reads 256"):
        generate_tokens(model, PROMPTS, new_tokens=300)
    with pytest.raises(InputError, match="'last', 'new' or 'all'"):
        generate_tokens(
            model, PROMPTS, new_tokens=2, edit=Edit.add(torch.ones(model.d_model), positions=[0], layers=1)
        )
    with pytest.raises(InputError, match="vectors for 3 prompts, and 5 are given"):
        generate_tokens(model, PROMPTS, new_tokens=2, edit=Edit.add(torch.ones(3, model.d_model), layers=1))


@pytest.mark.parametrize("architecture", ["llama", "planted without a cache"])
def test_numbers_that_are_none_write_nothing(architecture: str) -> None:
    """Of NaN any token would be the likeliest: a change too large for 16 bits is an error, not a text."""
    if architecture == "llama":
        built = tiny.model("llama", dtype=torch.float16)
        model, prompt = HookedLM(built, tiny.tokenizer(), name="llama"), PROMPTS[0]
    else:
        model, prompt = switching(None), text(0, 3, "de")
    too_large = Edit.add(torch.full((model.d_model,), 1e38), layers=[2], strength=3.0, positions="new")
    with pytest.raises(
        ModelError, match="writes with an edit in force, its logits are NaN or infinite in float"
    ):
        generate_tokens(model, [prompt, prompt], new_tokens=4, edit=too_large)
    assert generate_tokens(model, [prompt], new_tokens=2)
