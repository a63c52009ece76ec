"""Tasks asked as in a chat: the very tokens of the tokenizer's own template, and answers in the assistant's turn."""

import pytest
import torch

import latentlang as ll
from latentlang.answers.paths import answer_paths
from latentlang.cli import main
from latentlang.errors import InputError, ModelError
from latentlang.models import HookedLM
from latentlang.models.chat import messages_of
from latentlang.tasks import Prompt
from tests.support import tiny
from tests.support.benchmark_files import xcopa_folder, xwinograd_folder

# In the documented form of SmolLM2's (ChatML, with a system turn of its own before a chat that has none), and of
# Gemma's (which writes the beginning token itself, calls the assistant "model" and trims what is said).
CHATML = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% for message in messages %}"
    "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "<start_of_turn>{{ role }}\n{{ message['content'] | trim }}<end_of_turn>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
INST = (
    "{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
    "{% else %} {{ m['content'] }}{% endif %}{% endfor %}"
)
TEMPLATES = {"chatml": (CHATML, False), "gemma": (GEMMA, True), "inst": (INST, True)}


def instruct_model(name, **config):
    template, bos = TEMPLATES[name]
    tokenizer = tiny.tokenizer(bos=bos)
    tokenizer.chat_template = template
    tokenizer.add_special_tokens(
        {"additional_special_tokens": ["<|im_start|>", "<|im_end|>", "<start_of_turn>", "<end_of_turn>"]}
    )
    model = tiny.model("mistral", **config)
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    return HookedLM(model, tokenizer, name="tiny-instruct")


@pytest.fixture(params=TEMPLATES)
def instruct(request):
    return instruct_model(request.param)


@pytest.mark.parametrize("task", ["translation", "repetition", "sentiment", "nli", "paraphrase"])
@pytest.mark.parametrize("shots", [0, 2])
def test_the_tokens_are_those_of_the_template(instruct, task, shots):
    plain = ll.task(task).prompts("ja", items=3, shots=shots)
    chat = instruct.chat(task).prompts("ja", items=3, shots=shots)
    assert len(chat) == len(plain)
    for before, prompt in zip(plain, chat, strict=True):
        messages = messages_of(before)
        assert len(messages) == 2 * shots + 1
        wanted = instruct.tokenizer.apply_chat_template(
            messages, tokenize=True, add_generation_prompt=True, return_dict=False
        )
        assert instruct.encode([prompt]) == [list(wanted)]
        assert instruct.tokenize([prompt])[0].ids == list(wanted)
        assert list(wanted).count(tiny.BOS) == (1 if instruct.tokenizer.chat_template == GEMMA else 0)
        assert prompt.question == before.question and (prompt.item, prompt.label) == (
            before.item,
            before.label,
        )


def test_examples_are_turns_and_open_no_quotation():
    (prompt,) = ll.task("translation").prompts("ja", items=1, shots=1)
    user, assistant, last = messages_of(prompt)
    assert (user["role"], assistant["role"], last["role"]) == ("user", "assistant", "user")
    assert user["content"].startswith('Français: "') and user["content"].endswith('" - 日本語:')
    assert assistant["content"] in {
        word for words in ll.task("translation").answers("ja").values() for word in words
    }
    assert last["content"] == f"{prompt.question}{prompt.cue[:-1]}".strip()


def test_the_prompt_ends_where_the_assistant_begins():
    model = instruct_model("chatml")
    prompt = model.chat("sentiment").prompts("en", items=1)[0]
    assert prompt.text.endswith("Emotion:<|im_end|>\n<|im_start|>assistant\n")
    assert prompt.cue.startswith("\nEmotion:")
    assert prompt.few_shot.count("<|im_start|>assistant\npositive<|im_end|>\n") == 1


def test_an_answer_after_a_new_line_has_no_space_and_no_quotation_mark():
    model = instruct_model("chatml")
    prompts = model.chat("sentiment").prompts("en", items=1)
    ids, ((path, *_),) = answer_paths(model, prompts, [["positive", "negative"]])
    assert ids == model.encode(prompts)
    (only,) = path
    assert model.tokenizer.decode(list(only.tokens)) == "positive" and not only.ends


def test_shared_prefixes_change_nothing(instruct):
    prompts = instruct.chat("translation").prompts("ja", items=4, shots=2)
    shared = instruct.activations(prompts)
    alone = [instruct.activations([prompt], share_prefix=False).resid[0] for prompt in prompts]
    torch.testing.assert_close(shared.resid, torch.stack(alone), rtol=1e-4, atol=1e-5)
    question = instruct.activations(prompts, pools="question")
    assert question.resid.shape == shared.resid.shape


def test_every_look_takes_it_and_says_so(instruct, tmp_path):
    task = instruct.chat("sentiment")
    lens = ll.logit_lens(instruct, task, languages="en,de", items=2, shots=1)
    assert lens.provenance.settings["chat"] == "turns"
    assert lens.provenance.settings["chat_template"].startswith("sha256 ")
    whole = ll.logit_lens(instruct, task, languages="de", items=2, shots=1, policy="sequence")
    assert whole.table["value"].notna().all()
    assert ll.evaluate(instruct, task, languages="en", items=2).provenance.settings
    store = ll.harvest(instruct, task, languages="en", items=2, pools="question", out=tmp_path / "store")
    assert len(store) == 2 and store.provenance.settings["chat"] == "turns"


def test_a_model_without_a_template_is_one_clear_error(capsys):
    with pytest.raises(ModelError, match="the tokenizer of 'tiny' has no chat template"):
        HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny").chat("sentiment")
    assert main(["lens", "--lang", "ja", "--chat", "--items", "2"]) == 2
    shown = capsys.readouterr().err
    assert "the tokenizer of 'pocket' has no chat template" in shown and shown.count("\n") == 1


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize(("name", "shots"), [("xcopa", 0), ("xcopa", 2), ("xwinograd", 1)])
def test_candidates_are_scored_in_the_assistants_turn(template, tmp_path, name, shots):
    instruct = instruct_model(template, max_position_embeddings=512)
    root = {"xcopa": xcopa_folder, "xwinograd": xwinograd_folder}[name](tmp_path)
    code = {"xcopa": "it", "xwinograd": "en"}[name]
    task = ll.task(name, data=root)
    result = ll.evaluate(
        instruct, instruct.chat(task), languages=code, shots=shots, items=3, score="sequence"
    )
    plain, tokenizer = task.prompts(code, shots=shots, items=3), instruct.tokenizer
    solved = task.solved(code, shots=shots)
    assert len(solved) == shots
    for prompt, row in zip(plain, result.table.to_dict("records"), strict=True):
        assert prompt.few_shot == "".join(f"{asked}{answer}\n\n" for asked, answer in solved)
        for place, candidate in enumerate(prompt.candidates, 1):
            turns = []
            for asked, answer in [*solved, (prompt.question + candidate.given, "")]:
                turns.append({"role": "user", "content": asked.strip()})
                if answer:
                    turns.append({"role": "assistant", "content": answer.strip()})
            chat = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
            before = tokenizer(chat, add_special_tokens=False)["input_ids"]
            whole = tokenizer(chat + candidate.text.strip(), add_special_tokens=False)["input_ids"]
            assert whole[: len(before)] == before
            with torch.inference_mode():
                log_probs = instruct.lm(torch.tensor([whole])).logits[0].double().log_softmax(-1)
            value = sum(log_probs[at - 1, whole[at]].item() for at in range(len(before), len(whole)))
            assert row[f"score_{place}"] == pytest.approx(value, rel=1e-5)
    assert result.settings.tasks[name].per_item
    assert result.provenance.settings["tasks"][name]["chat"] == "turns"


def test_candidates_whose_context_a_template_writes_otherwise_are_an_error(tmp_path):
    model = instruct_model("chatml")
    model.tokenizer.chat_template = (
        "{% for m in messages %}{{ m['content'] | length }}: {{ m['content'] }}{% endfor %}"
    )
    with pytest.raises(ModelError, match=r"writes the context of item .* otherwise for another candidate"):
        model.chat(ll.task("xwinograd", data=xwinograd_folder(tmp_path))).prompts("en")
    with pytest.raises(InputError, match="text to go on with, and asks nothing in a chat"):
        model.chat("continuation")


def test_what_is_no_chat_is_refused():
    model = instruct_model("chatml")
    with pytest.raises(InputError, match="already"):
        model.chat(model.chat("sentiment"))
    with pytest.raises(InputError, match="as-published"):
        model.chat(ll.task("nli", protocol="as-published"))
    with pytest.raises(InputError, match=r"examples of item 'i' \(en\) are not written as the item is"):
        messages_of(Prompt("i", "en", "x", "Q: a\nA: b\n", "Q: c", "\nAnswer: "))


def test_a_template_that_fails_or_rewrites_is_an_error():
    model = instruct_model("chatml")
    model.tokenizer.chat_template = "{{ raise_exception('no such roles') }}"
    with pytest.raises(ModelError, match="cannot write this chat: no such roles"):
        model.chat("sentiment").prompts("en", items=1)
    model.tokenizer.chat_template = "{% for m in messages %}{{ m['content'] | upper }}{% endfor %}"
    with pytest.raises(ModelError, match="changes what the user says"):
        model.chat("sentiment").prompts("en", items=1)
