"""What the lens costs beside the plain forward of the same prompts: `python -m benchmarks.lens_cost`.

Random models of real shapes: on a CPU a Mistral of 80 M parameters and a Qwen2 with a vocabulary of 152,000; on a GPU
also a 7B-shaped Mistral in bf16; and, where its data package is installed, Gemma 3 270M on the project's own prompts
(`measure_real`). Prompts of random models are random tokens with a common block of the reference paper's share of the
prompt (sentiment 33%, paraphrase 78%, NLI 86%: bytes of the published prompts, mean of 20 languages). Prints a table
and writes `lens_cost.json`.
"""

from __future__ import annotations

import argparse
import copy
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import (
    AutoModelForCausalLM,
    MistralConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

from latentlang.models import HookedLM, TokenSets, read_out
from latentlang.models.bridge import twin

Run = Callable[[], object]
SHARES = {"sentiment": 0.33, "paraphrase": 0.78, "nli": 0.86}
_SETS, _IDS_PER_SET = 40, 8  # 20 languages x 2 labels, a few tokens each
_LENGTH_SPREAD = 0.2


def shapes(device: str) -> dict[str, Any]:
    """Configurations by name."""
    heads = {"num_attention_heads": 8, "num_key_value_heads": 8}
    small = {
        "mistral-80m": MistralConfig(
            vocab_size=32000, hidden_size=512, intermediate_size=1792, num_hidden_layers=12, **heads
        ),
        "qwen2-152k": Qwen2Config(
            vocab_size=151936, hidden_size=384, intermediate_size=1024, num_hidden_layers=8, **heads
        ),
    }
    if device == "cuda":
        small["mistral-7b"] = MistralConfig(vocab_size=32000)
    return small


def build(config: Any, device: str) -> PreTrainedModel:
    """A random model with sdpa attention."""
    torch.manual_seed(0)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    with torch.device(device):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(
            config, attn_implementation="sdpa", dtype=dtype
        )
    return model.eval()


def random_prompts(count: int, length: int, share_prefix: float, vocabulary: int) -> list[list[int]]:
    """Token ids of prompts of somewhat different length that begin with the same block."""
    draw = np.random.default_rng(0)
    block = draw.integers(3, vocabulary, int(length * share_prefix)).tolist()
    own = length - len(block)
    sizes = draw.integers(
        max(1, round(own * (1 - _LENGTH_SPREAD))), round(own * (1 + _LENGTH_SPREAD)) + 1, count
    )
    return [block + draw.integers(3, vocabulary, size).tolist() for size in sizes]


def plain(model: PreTrainedModel, prompts: list[list[int]], rows: int) -> None:
    """The forward a user would run anyway: sorted, padded, `logits_to_keep=1`."""
    device = model.device
    with torch.inference_mode():
        ordered = sorted(prompts, key=len, reverse=True)
        for start in range(0, len(ordered), rows):
            batch = ordered[start : start + rows]
            width = max(map(len, batch))
            ids = torch.tensor([[0] * (width - len(p)) + p for p in batch], device=device)
            mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in batch], device=device)
            model(input_ids=ids, attention_mask=mask, logits_to_keep=1, use_cache=False)


def ours(
    model: HookedLM, prompts: list[list[int]], sets: TokenSets, *, share_prefix: bool, again: bool = False
) -> None:
    """All layers at the answer position: the sets' probabilities and the entropy.

    With `again` the last layer is unembedded once more, though the model's own logits are there.
    """
    for reading in model.iter_activations(prompts, share_prefix=share_prefix):
        read_out(model, reading.resid[:, 1:], sets, top=0, logits=None if again else reading.logits)


def by_hand(model: PreTrainedModel, prompts: list[list[int]], sets: TokenSets) -> None:
    """Transformers' `output_hidden_states`, the answer position of each layer through norm and head."""
    with torch.inference_mode():
        for prompt in prompts:
            output = model(
                torch.tensor([prompt]), output_hidden_states=True, logits_to_keep=1, use_cache=False
            )
            states = torch.stack([state[0, -1] for state in output.hidden_states[1:-1]])
            logits = torch.cat([model.lm_head(model.model.norm(states)), output.logits[0]])
            probs = logits.float().softmax(-1)
            (probs[:, sets.ids], -(probs * probs.clamp_min(1e-30).log2()).sum(-1))


def published(model: PreTrainedModel, prompts: list[list[int]], sets: TokenSets) -> None:
    """Every layer, every position unembedded, one prompt at a time (Wendler et al., Zhang et al.)."""
    norm, head = model.model.norm, model.lm_head
    with torch.inference_mode():
        for prompt in prompts:
            states = model(
                torch.tensor([prompt], device=model.device), output_hidden_states=True
            ).hidden_states
            for state in states[1:]:
                probs = head(norm(state)).float().softmax(-1)
                probs[0, -1, sets.ids.to(model.device)].cpu()


def transformer_lens_run(model: PreTrainedModel, prompts: list[list[int]], sets: TokenSets) -> Run | None:
    """TransformerLens' `run_with_cache` and its logit lens on the same weights, None where it is not installed."""
    try:
        bridge = HookedLM(model, _any_tokenizer()).bridge()
    except Exception as error:  # a bridge that cannot be built is a row left out, with its reason
        print(f"TransformerLens left out: {str(error).splitlines()[0]}", file=sys.stderr)
        return None
    depth = model.config.num_hidden_layers
    names = [f"blocks.{layer}.hook_resid_post" for layer in range(depth)]

    def run() -> None:
        with torch.inference_mode():
            for prompt in prompts:
                _, cache = bridge.run_with_cache(torch.tensor([prompt]), names_filter=names)
                stacked = torch.stack([cache[name][0, -1] for name in names])
                bridge.unembed(bridge.ln_final(stacked[:, None])).float().softmax(-1)[:, 0, sets.ids]

    return run


def nnterp_run(model: HookedLM, prompts: list[str]) -> Run | None:
    """The logit lens of nnterp, of whole distributions on the same weights; None where it is not installed.

    It wants an environment of its own: nnterp 1.3 runs with nnsight before 0.8 alone.
    """
    try:
        from nnterp import StandardizedTransformer
        from nnterp.interventions import logit_lens
    except ImportError as error:
        print(f"nnterp left out: {error}", file=sys.stderr)
        return None
    tokenizer = copy.deepcopy(model.tokenizer)
    tokenizer.padding_side = "left"  # all that its lens takes
    standardized = StandardizedTransformer(twin(model.lm), tokenizer=tokenizer)
    return lambda: logit_lens(standardized, prompts)


def _any_tokenizer() -> PreTrainedTokenizerFast:
    """The bridge wants a tokenizer; prompts are token ids here."""
    words = Tokenizer(WordLevel({"<unk>": 0}, unk_token="<unk>"))
    return PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", bos_token="<unk>", eos_token="<unk>", pad_token="<unk>"
    )


def lens_floor(model: PreTrainedModel, tokens: int, prompts: int) -> float:
    """What unembedding every layer at one position adds to the forward, by arithmetic alone (multiplications)."""
    config = model.config
    body = sum(p.numel() for n, p in model.named_parameters() if "embed" not in n and "lm_head" not in n)
    head = config.hidden_size * config.vocab_size
    return float(1 + config.num_hidden_layers * head * prompts / (body * tokens + head * prompts))


def seconds(run: Run, device: str) -> float:
    """CPU seconds of this process; on a GPU wall seconds."""
    gc.collect()
    if device == "cuda":
        torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        return time.perf_counter() - start
    start = time.process_time()
    run()
    return time.process_time() - start


def take_turns(runs: dict[str, Run], *, rounds: int, device: str) -> dict[str, list[float]]:
    """Each variant once per round, after a warm-up round."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for round_number in range(rounds + 1):
        for name, run in runs.items():
            spent = seconds(run, device)
            if round_number:
                times[name].append(spent)
    return times


def ratio(times: dict[str, list[float]], name: str, against: str) -> float:
    """Median over rounds of one variant's time over another's in the same round."""
    return statistics.median(a / b for a, b in zip(times[name], times[against], strict=True))


def measure(
    name: str, config: Any, *, device: str, count: int, length: int, rounds: int
) -> Iterator[dict[str, Any]]:
    """Rows of the table for one model."""
    model = build(config, device)
    sets = TokenSets(
        [
            np.unique(np.random.default_rng(s).integers(0, config.vocab_size, _IDS_PER_SET))
            for s in range(_SETS)
        ]
    )
    lm = HookedLM(model, name=name)
    for task, share_prefix in SHARES.items():
        prompts = random_prompts(count, length, share_prefix, config.vocab_size)
        tokens = sum(map(len, prompts))
        shared = int(length * share_prefix)
        ideal = tokens / (tokens - shared * (count - 1))
        few = prompts[: max(4, count // 8)]
        runs: dict[str, Run] = {
            f"plain, {rows} rows": partial(plain, model, prompts, rows) for rows in (8, 16, 32)
        }
        runs["lens, not shared"] = partial(ours, lm, prompts, sets, share_prefix=False)
        runs["lens, shared prefix"] = partial(ours, lm, prompts, sets, share_prefix=True)
        times = take_turns(runs, rounds=rounds, device=device)
        best = min((k for k in runs if k.startswith("plain")), key=lambda k: statistics.median(times[k]))
        speed_up = 1 / ratio(times, "lens, shared prefix", best)
        row = {
            "model": name, "task": task, "tokens": tokens, "plain_seconds": statistics.median(times[best]),
            "plain": best,
            "floor": lens_floor(model, tokens, count), "not_shared_over_plain": ratio(times, "lens, not shared", best),
            "speed_up_over_plain": speed_up, "ideal_speed_up": ideal, "share_of_ideal": speed_up / ideal,
        }  # fmt: skip
        if task == "sentiment":
            others: dict[str, Run] = {
                "ours": partial(ours, lm, few, sets, share_prefix=True),
                "published": partial(published, model, few, sets),
            }
            if device == "cpu" and (bridged := transformer_lens_run(model, few, sets)) is not None:
                others["transformer-lens"] = bridged
            found = take_turns(others, rounds=max(2, rounds - 2), device=device)
            for other in others:
                if other != "ours":
                    row[f"{other}_over_ours"] = ratio(found, other, "ours")
        yield row


def measure_real(*, rounds: int, translations: int = 24, inferences: int = 10) -> Iterator[dict[str, Any]]:
    """Rows of the table for Gemma 3 270M: word translation, and the long prompts of NLI, in Japanese.

    The floor is the forward and `n_layers` x vocabulary x width x 2 FLOP a prompt at the speed of the model's own head,
    run on all these rows at once; with a shared prefix, of the forward only the tokens that have to be run.
    """
    from latentlang.models import load
    from latentlang.models.data_package import DATA_PACKAGES
    from latentlang.tasks import task

    if not DATA_PACKAGES["google/gemma-3-270m"].installed:
        print("Gemma 3 270M left out: its data package is not installed (the extra gemma)", file=sys.stderr)
        return
    lm = load("gemma3-270m", device="cpu")
    model: Any = lm.lm
    depth, width = lm.n_layers, lm.d_model
    for name, count in (("translation", translations), ("nli", inferences)):
        asked = task(name).prompts("ja", items=count)
        prompts = lm.encode(asked)
        tokens = sum(map(len, prompts))
        # prompts of one length or another, alike up to where their questions begin
        shared = next(place for place, here in enumerate(zip(*prompts, strict=False)) if len(set(here)) > 1)
        to_run = (tokens - shared * (count - 1)) / tokens
        draw = np.random.default_rng(0)
        sets = TokenSets([np.unique(draw.integers(0, lm.vocab_size, _IDS_PER_SET)) for _ in range(_SETS)])
        states = torch.randn(count * depth, width)
        runs: dict[str, Run] = {
            f"plain, {rows} rows": partial(plain, model, prompts, rows) for rows in (4, 8, 16)
        }
        runs["head"] = partial(torch.nn.functional.linear, states, model.lm_head.weight.detach())
        runs["lens"] = partial(ours, lm, prompts, sets, share_prefix=False)
        runs["lens, shared prefix"] = partial(ours, lm, prompts, sets, share_prefix=True)
        for again in ("lens", "lens, shared prefix"):
            runs[f"{again}, last layer again"] = partial(
                ours, lm, prompts, sets, share_prefix="shared" in again, again=True
            )
        times = take_turns(runs, rounds=rounds, device="cpu")
        best = min((k for k in runs if k.startswith("plain")), key=lambda k: statistics.median(times[k]))
        heads = zip(times[best], times["head"], strict=True)
        # the forward's own logits are as many as before, however few tokens are run
        times["floor"], times["floor, shared prefix"] = (
            list(floors)
            for floors in zip(
                *((run + head, (run - head / depth) * to_run + head / depth + head) for run, head in heads),
                strict=True,
            )
        )
        few = prompts[: max(4, count // 4)]
        peers: dict[str, Run] = {
            "ours": partial(ours, lm, few, sets, share_prefix=False),
            "hidden states by hand": partial(by_hand, model, few, sets),
        }
        if (bridged := transformer_lens_run(model, few, sets)) is not None:
            peers["transformer-lens"] = bridged
        if (standardized := nnterp_run(lm, [prompt.text for prompt in asked[: len(few)]])) is not None:
            peers["nnterp"] = standardized
        beside = take_turns(peers, rounds=max(2, rounds - 1), device="cpu")
        over_plain = {
            f"{key}, over plain": ratio(times, key, best) for key in times if not key.startswith("plain")
        }
        over_floor = {
            f"{key}, over floor": ratio(times, key, "floor, shared prefix" if "shared" in key else "floor")
            for key in times
            if key.startswith("lens")
        }
        yield {
            "model": "gemma3-270m", "task": name, "prompts": count, "tokens": tokens, "tokens_to_run": to_run,
            "plain": best, "plain_seconds": statistics.median(times[best]), **over_plain, **over_floor,
            **{f"{key}_over_ours": ratio(beside, key, "ours") for key in peers if key != "ours"},
        }  # fmt: skip


def peak_memory(name: str, count: int, length: int, variant: str) -> int:
    """Peak memory in bytes above the loaded model, of a fresh process that runs one variant."""
    code = (
        "from benchmarks.lens_cost import memory_child; "
        f"memory_child({name!r}, {count}, {length}, {variant!r})"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(found.stdout.strip().splitlines()[-1])


def memory_child(name: str, count: int, length: int, variant: str) -> None:
    """Run one variant in this process and print its peak above the loaded model."""
    torch.set_num_threads(1)
    config = shapes("cpu")[name]
    model = build(config, "cpu")
    prompts = random_prompts(count, length, SHARES["sentiment"], config.vocab_size)
    sets = TokenSets([np.array([1, 2, 3])])
    plain(model, prompts[:1], 1)
    # Building the model takes more than running it: the high-water mark is set back to what is held now.
    Path("/proc/self/clear_refs").write_text("5")
    base = _status("VmRSS")
    if variant == "plain":
        plain(model, prompts, 16)
    else:
        ours(HookedLM(model), prompts, sets, share_prefix=variant == "shared")
    print(_status("VmHWM") - base)


def _status(field: str) -> int:
    """A memory field of this process, bytes (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])


def machine(device: str) -> str:
    """What this was measured on."""
    chip = torch.cuda.get_device_name() if device == "cuda" else (platform.processor() or platform.machine())
    return f"{chip}, {os.cpu_count()} cores, one thread, torch {torch.__version__}"


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", type=int, default=48)
    parser.add_argument("--length", type=int, default=160, help="tokens per prompt")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="*", help="names of shapes; all by default")
    parser.add_argument("--only-memory", action="store_true", help="measure memory, keep the times there are")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for name, config in shapes(device).items():
        if options.only_memory or (options.models and name not in options.models):
            continue
        for row in measure(
            name, config, device=device, count=options.prompts, length=options.length, rounds=options.rounds
        ):
            rows.append(row)
            print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    real: list[dict[str, Any]] = []
    if not options.only_memory and (not options.models or "gemma3-270m" in options.models):
        for row in measure_real(rounds=options.rounds):
            real.append(row)
            print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    memory = []
    if device == "cpu" and not options.models:
        for name in shapes(device):
            for count in (16, 64):
                memory.append(
                    {"model": name, "prompts": count}
                    | {
                        v: peak_memory(name, count, options.length, v)
                        for v in ("plain", "not shared", "shared")
                    }
                )
                print(memory[-1], flush=True)
    settings = {key: value for key, value in vars(options).items() if key not in ("out", "only_memory")}
    record = {"machine": machine(device), "settings": settings, "rows": rows, "real": real, "memory": memory}
    if options.only_memory or options.models:
        # what was not measured now stays as it was
        measured = {
            name: found for name, found in record.items() if found and name in ("rows", "real", "memory")
        }
        record = json.loads(options.out.read_text()) | measured
    options.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
