"""What the explorer's grid costs, part by part: `python -m benchmarks.explorer_cost`.

A random model of Gemma 3 270M's shape (18 layers, width 640, 262,144 tokens of vocabulary; the embedded tokenizer, so
that the prompt is text) and a prompt of 60 tokens. Prints, in CPU seconds of the whole process and in seconds by the
clock, when the last token's cells, all cells and the end were there, beside the bare products of all states with the
head: the grid cannot be cheaper than these.
"""

from __future__ import annotations

import argparse
import time
from threading import Event

import torch
from torch.nn.functional import linear
from transformers import Gemma3ForCausalLM, Gemma3TextConfig

from latentlang.interactive.messages import PageReply, PageRequest
from latentlang.interactive.request_queue import answer
from latentlang.interactive.request_run import RequestRun
from latentlang.interactive.session import Session
from latentlang.interactive.session_start import make_session
from latentlang.interactive.token_owners import prepare
from latentlang.models import HookedLM, load
from latentlang.tasks import task

_LAYERS, _WIDTH, _VOCABULARY, _TOKENS = 18, 640, 262_144, 60
_SLICE = 2048


def build() -> HookedLM:
    """The random model."""
    torch.manual_seed(0)
    config = Gemma3TextConfig(
        vocab_size=_VOCABULARY, hidden_size=_WIDTH, intermediate_size=2048, num_hidden_layers=_LAYERS,
        num_attention_heads=4, num_key_value_heads=1, head_dim=256,
    )  # fmt: skip
    return HookedLM(Gemma3ForCausalLM(config).eval(), load("pocket").tokenizer, name="random")


def measure(session: Session) -> dict[str, tuple[float, float]]:
    """When parts of a grid were there: CPU seconds and seconds by the clock."""
    found: dict[str, tuple[float, float]] = {}
    cpu, clock = time.process_time(), time.perf_counter()

    def hear(reply: PageReply) -> None:
        now = time.process_time() - cpu, time.perf_counter() - clock
        part = reply.data or {}
        if "tokens" in part:
            found["tokens"] = now
        elif "positions" in part:
            found.setdefault("last token's cells", now)
            found["all cells"] = now
        elif "layer" in part:
            found["layer to look at"] = now
        elif reply.event == "done":
            found["end, with unreliable layers"] = now

    request = PageRequest(id=1, view="grid", arguments={"prompt": session.prompt})
    answer(session, request, RequestRun(1, hear))
    return found


def products(model: HookedLM) -> tuple[float, float]:
    """The products of all states with the head alone."""
    states = torch.randn(_LAYERS * _TOKENS, _WIDTH)
    weight = model.lm.get_output_embeddings().weight
    cpu, clock = time.process_time(), time.perf_counter()
    with torch.inference_mode():
        for start in range(0, _VOCABULARY, _SLICE):
            linear(states, weight[start : start + _SLICE])
    return time.process_time() - cpu, time.perf_counter() - clock


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    torch.set_num_threads(parser.parse_args().threads)
    model = build()
    text = " ".join(["eins"] * (_TOKENS - 1))
    session = make_session(model, text, task=task("translation", source="fr"))
    # the vocabulary's table is pure Python in a thread of its own, and is not what is measured here
    session.found["learning"] = known = Event()
    known.set()
    prepare(session)
    session.read("zwei drei")  # what is found out at the first forward
    # as a page asks first
    answer(session, PageRequest(id=0, view="open"), RequestRun(0, lambda _reply: None))
    found = {"products alone": products(model), **measure(session)}
    alone = found["products alone"][0]
    print(
        f"{_LAYERS} layers, {_TOKENS} tokens, {_VOCABULARY:,} tokens of vocabulary, {torch.get_num_threads()} threads"
    )
    print(f"{'':28} {'CPU s':>8} {'clock s':>8} {'of the products':>16}")
    for name, (cpu, clock) in found.items():
        print(f"{name:28} {cpu:8.2f} {clock:8.2f} {cpu / alone:16.2f}")


if __name__ == "__main__":
    main()
