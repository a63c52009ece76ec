"""Every experiment on an instruct model: a tiny random one with SmolLM2's chat template, system turn and all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

import latentlang as ll
from latentlang.errors import InputError
from latentlang.models import HookedLM
from tests.models.test_chat import CHATML
from tests.support import tiny

BEGIN = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
END = "<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture
def model() -> HookedLM:
    tokenizer = tiny.tokenizer(bos=False)
    tokenizer.chat_template = CHATML
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    random = tiny.model("mistral", max_position_embeddings=2048)
    random.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    return HookedLM(random, tokenizer, name="tiny-instruct")


@pytest.fixture
def asked(model: HookedLM, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All prompts that were asked as texts."""
    encoder = model._encoder
    whole, texts = encoder._encoded, []

    def watched(given: Sequence[Any], **options: Any) -> Any:
        texts.extend(str(text) for text in given)
        return whole(given, **options)

    monkeypatch.setattr(encoder, "_encoded", watched)
    return texts


def in_template(texts: Sequence[str]) -> bool:
    """Whether each is a whole chat: one system turn at the beginning, and the assistant's turn begun at the end."""
    return bool(texts) and all(
        text.startswith(BEGIN) and text.endswith(END) and text.count("system\n") == 1 for text in texts
    )


def test_patching(model: HookedLM, asked: list[str]) -> None:
    result = ll.patch(
        model, source="es-it", target="fr-de", items=2, shots=1, layers=[1], chat=True, progress=False
    )
    assert in_template(asked) and result.settings.chat == "turns"
    assert {"patched", "unpatched"} <= set(result.table["arm"])


def test_steering(model: HookedLM, asked: list[str]) -> None:
    result = ll.steer(
        model, model.chat(ll.task("translation", source="fr")), language="ja", other="es", layers=1, strengths=1,
        items=4, shots=1, new_tokens=2, progress=False,
    )  # fmt: skip
    assert in_template(asked) and result.settings.instructions["instruction-english"] in "".join(asked)


def test_tracing(model: HookedLM, asked: list[str]) -> None:
    task = model.chat(ll.task("translation", source="fr"))
    prompts = task.prompts("ja", items=2, shots=1)
    result = ll.trace(
        model, prompts, languages="en,ja", layers=[1], tokens=3, draws=0,
        texts={"en": ["the cat saw", "a dog came"], "ja": ["猫が見た", "犬が来た"]}, progress=False,
    )  # fmt: skip
    assert in_template(result.settings.prompts) and result.settings.asked == ["ja", "ja"]
    assert [str(prompt) for prompt in prompts] == result.settings.prompts
    assert in_template([text for text in asked if "im_start" in text]) and len(result.tokens(0)) <= 3


def test_the_test_of_a_pivot(model: HookedLM, asked: list[str]) -> None:
    """A random model answers nothing: what is left is that it was asked in the template, and that it says so."""
    with pytest.raises(InputError, match="no item is left whose answer could follow"):
        ll.pivot_test(
            model, model.chat(ll.task("translation", source="fr")), languages="de", third="es", items=3, shots=1,
            layers=[1], progress=False,
        )  # fmt: skip
    # answers are tokenised as they follow the chat, whose beginning they have in common
    assert asked and all(text.startswith(BEGIN) for text in asked)
