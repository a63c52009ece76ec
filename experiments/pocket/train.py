"""Train the embedded models: `python -m experiments.pocket.train pocket` and `... pocket-control`.

Ordinary Mistral architecture, ordinary next-token loss; Muon for the blocks' matrices, which learns rare words in about
half the tokens that AdamW takes, and AdamW for the rest. Both models share tokenizer, seed, steps and document
generator; only the hub language differs (`corpus.py`). Weights, tokenizer and the split of what was held out are
written to `latentlang/models/pocket/<name>/`, the log to `experiments/pocket/logs/`. `--variant` trains one of
`variants.yaml`, which says of each what it changes in the recipe; `--out` puts it elsewhere.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from torch import Tensor, nn
from transformers import MistralConfig, MistralForCausalLM, PreTrainedTokenizerFast

from experiments.pocket.corpus import Corpus, Mixture
from experiments.pocket.splits import NO_REVIEWS, held_out_concepts
from experiments.pocket.tokenizer import VOCABULARY, shared_tokenizer, train_tokenizer
from latentlang.tasks.reviews import held_out_adjectives

MODELS = Path(__file__).parents[2] / "latentlang" / "models" / "pocket"
LOGS = Path(__file__).parent / "logs"
_VARIANTS = Path(__file__).parent / "variants.yaml"
HUBS = {"pocket": "en", "pocket-control": None}
Skipped = Literal["growing", "middle"]


@dataclass(frozen=True)
class Recipe:
    """Everything that a training run depends on, besides the hub.

    Attributes:
        seed: of the weights, the documents and the skipped blocks.
        steps: optimizer steps, each of `rows` rows of `row_tokens` tokens.
        width: d_model; `depth` blocks, `heads` attention heads, `feed_forward` hidden units.
        vocabulary: tokens of the tokenizer; of another number than the shared one's, one is trained for the run.
        tied: whether the head is the embedding matrix.
        learning_rate: AdamW's, for embeddings and norms, after `warm_up` steps; constant up to the share `decay_from`
            of the steps, then half a cosine.
        matrix_learning_rate: Muon's, for the matrices of the blocks; same course.
        hub_only_share: share of the steps, at the beginning, with documents of the hub language only.
        own_reviews_from: share of the steps after which reviews in other languages than the hub come in; until then
            their place is taken by lines of adjectives.
        block_skip: largest probability that a block is left out for a row (stochastic depth: Huang et al. 2016,
            section 3).
        skipped: which blocks are left out, and how often (`skip_shares`).
        mixture: what documents there are.
    """

    seed: int = 0
    steps: int = 5000
    rows: int = 8
    row_tokens: int = 128
    width: int = 160
    depth: int = 8
    heads: int = 4
    feed_forward: int = 416
    vocabulary: int = VOCABULARY
    tied: bool = True
    learning_rate: float = 5e-3
    matrix_learning_rate: float = 1e-2
    warm_up: int = 200
    decay_from: float = 0.5
    weight_decay: float = 0.05
    hub_only_share: float = 0.10
    own_reviews_from: float = 0.3
    block_skip: float = 0.2
    skipped: Skipped = "middle"
    mixture: Mixture = field(default_factory=Mixture)

    def as_record(self) -> dict[str, Any]:
        """As JSON can say it."""
        return asdict(self)


def variants() -> dict[str, dict[str, Any]]:
    """What `variants.yaml` holds: by name, what is changed, and under ``about`` the same in words."""
    known: dict[str, dict[str, Any]] = yaml.safe_load(_VARIANTS.read_text(encoding="utf-8"))
    return known


def variant(name: str | None, **options: Any) -> Recipe:
    """The recipe with what a variant of `variants.yaml` changes in it, and with other options set.

    Raises:
        ValueError: the variant is not in the file.
    """
    changes: dict[str, Any] = {}
    if name is not None:
        known = variants()
        if name not in known:
            raise ValueError(f"unknown variant {name!r}; known: {', '.join(known)}")
        changes = known[name]
    recipe = replace(
        Recipe(), **{key: value for key, value in changes.items() if key not in ("mixture", "about")}
    )
    mixture: Mapping[str, Any] = changes.get("mixture", {})
    return replace(recipe, mixture=replace(recipe.mixture, **mixture), **options)


def build_model(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> MistralForCausalLM:
    """A freshly initialised model."""
    torch.manual_seed(recipe.seed)
    config = MistralConfig(
        vocab_size=len(tokenizer), hidden_size=recipe.width, intermediate_size=recipe.feed_forward,
        num_hidden_layers=recipe.depth, num_attention_heads=recipe.heads, num_key_value_heads=recipe.heads,
        head_dim=recipe.width // recipe.heads, tie_word_embeddings=recipe.tied, max_position_embeddings=512,
        sliding_window=None, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=None,
    )  # fmt: skip
    model = MistralForCausalLM(config)
    # On a CPU the fused attention's backward pass takes a quarter of a step; written out it is compiled with the rest.
    model.set_attn_implementation("eager")
    if recipe.block_skip:
        skip_blocks(model, skip_shares(recipe))
    return model


def skip_shares(recipe: Recipe) -> list[float]:
    """How often each block is left out.

    ``growing``: linearly, from never at the first to `block_skip` at the last, as Huang et al. have it. ``middle``: all
    alike, but never the first, which fetches the word that is asked about, nor those of the last quarter, which write
    it in the target language: left out towards the end, that moves into the layers before.
    """
    depth = recipe.depth
    if recipe.skipped == "growing":
        return [recipe.block_skip * place / max(1, depth - 1) for place in range(depth)]
    last_quarter = depth - depth // 4
    return [recipe.block_skip if 0 < place < last_quarter else 0.0 for place in range(depth)]


def skip_blocks(model: MistralForCausalLM, shares: Sequence[float]) -> None:
    """Make training leave out each block in that share of the rows, at random; what is kept counts as much more."""
    for block, share in zip(model.model.layers, shares, strict=True):
        keep = 1 - share

        def thinned(
            module: nn.Module, args: tuple[Tensor, ...], output: Tensor, keep: float = keep
        ) -> Tensor:
            if not module.training or keep == 1:
                return output
            kept = torch.rand(output.shape[0], 1, 1) < keep
            return args[0] + (output - args[0]) * kept.to(output.dtype) / keep

        block.register_forward_hook(thinned)


def packed_rows(recipe: Recipe, tokenizer: PreTrainedTokenizerFast, hub: str | None) -> Iterator[Tensor]:
    """Batches `[rows, row_tokens]` of documents one after the other, each begun by the BOS token."""
    corpus = Corpus(seed=recipe.seed, hub=hub, mixture=recipe.mixture)
    waiting: list[int] = []
    per_batch = recipe.rows * recipe.row_tokens
    step = 0
    while True:
        hub_only = step < recipe.hub_only_share * recipe.steps
        own_reviews = step >= recipe.own_reviews_from * recipe.steps
        while len(waiting) < per_batch:
            texts = [
                corpus.document(hub_only=hub_only, own_reviews=own_reviews) + "\n" for _ in range(recipe.rows)
            ]
            for ids in tokenizer(texts)["input_ids"]:
                waiting.extend(ids)
        yield torch.tensor(waiting[:per_batch]).view(recipe.rows, recipe.row_tokens)
        waiting = waiting[per_batch:]
        step += 1


def build_optimizers(model: MistralForCausalLM, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon (Jordan et al. 2024) for the matrices of the blocks, AdamW for embeddings, head and norms."""
    blocks = [p for p in model.model.layers.parameters() if p.ndim == 2]
    taken = {id(p) for p in blocks}
    others = [p for p in model.parameters() if id(p) not in taken]
    decayed, plain = [p for p in others if p.ndim >= 2], [p for p in others if p.ndim < 2]
    return [
        torch.optim.Muon(blocks, lr=recipe.matrix_learning_rate, weight_decay=recipe.weight_decay),
        torch.optim.AdamW(
            [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            lr=recipe.learning_rate, betas=(0.9, 0.98), fused=True,
        ),
    ]  # fmt: skip


def course(recipe: Recipe, step: int) -> float:
    """Share of the learning rate at a step: linear warm-up, constant, then half a cosine to a twentieth."""
    if step < recipe.warm_up:
        return (step + 1) / recipe.warm_up
    start = recipe.decay_from * recipe.steps
    if step < start:
        return 1.0
    progress = (step - start) / max(1.0, recipe.steps - start)
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * progress))


def train(name: str, recipe: Recipe, *, compiled: bool = True, out: Path | None = None) -> Path:
    """Train one model and write its folder; returns the folder."""
    torch.set_num_threads(int(os.environ.get("POCKET_THREADS", "1")))
    torch.manual_seed(recipe.seed)
    tokenizer = (
        shared_tokenizer(MODELS / "pocket")
        if recipe.vocabulary == VOCABULARY
        else train_tokenizer(recipe.vocabulary)
    )
    model = build_model(recipe, tokenizer)
    optimizers = build_optimizers(model, recipe)
    peaks = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]

    def loss_of(batch: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = model.model(input_ids=batch, use_cache=False).last_hidden_state
            logits = model.lm_head(hidden[:, :-1])
        return nn.functional.cross_entropy(logits.float().flatten(0, 1), batch[:, 1:].flatten())

    step_loss = torch.compile(loss_of) if compiled else loss_of
    folder = out or MODELS / name
    # A run of its own keeps its log beside its weights; those that ship, in the repository.
    log_folder = folder.parent if out else LOGS
    log_folder.mkdir(parents=True, exist_ok=True)
    log = (log_folder / f"{folder.name}-seed{recipe.seed}.jsonl").open("w", encoding="utf-8")
    log.write(json.dumps({"model": name, "hub": HUBS[name], "recipe": recipe.as_record()}) + "\n")
    started = time.time()
    batches = packed_rows(recipe, tokenizer, HUBS[name])
    running = 0.0
    for step in range(recipe.steps):
        share = course(recipe, step)
        for optimizer, own in zip(optimizers, peaks, strict=True):
            for group, peak in zip(optimizer.param_groups, own, strict=True):
                group["lr"] = share * peak
        loss = step_loss(next(batches))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        running = 0.98 * running + 0.02 * loss.item() if step else loss.item()
        if step % 100 == 99 or step == recipe.steps - 1:
            tokens = (step + 1) * recipe.rows * recipe.row_tokens
            row = {
                "step": step + 1,
                "tokens": tokens,
                "loss": round(running, 4),
                "seconds": round(time.time() - started),
            }
            log.write(json.dumps(row) + "\n")
            log.flush()
        if step % 1500 == 1499:
            write_model(folder, model, tokenizer, recipe)
    write_model(folder, model, tokenizer, recipe)
    log.close()
    return folder


def write_model(
    folder: Path, model: MistralForCausalLM, tokenizer: PreTrainedTokenizerFast, recipe: Recipe
) -> None:
    """An ordinary Hugging Face folder (bf16 safetensors) and `split.json`, which says what was held out."""
    state = {key: value.to(torch.bfloat16) for key, value in model.state_dict().items()}
    if recipe.tied:
        del state["lm_head.weight"]  # the embedding again; loading ties them
    model.save_pretrained(folder, state_dict=state)
    (folder / "model.safetensors").chmod(0o644)
    config = json.loads((folder / "config.json").read_text())
    config["dtype"] = "bfloat16"
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "generation_config.json").unlink(missing_ok=True)
    tokenizer.save_pretrained(folder)
    split = {
        "recipe": recipe.as_record(),
        "held_out_concepts": sorted(held_out_concepts()),
        "held_out_adjectives": sorted(held_out_adjectives()),
        "languages_without_reviews": list(NO_REVIEWS),
    }
    (folder / "split.json").write_text(json.dumps(split, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=sorted(HUBS))
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--steps", type=int, help="optimizer steps (the variant's own by default)")
    parser.add_argument("--variant", help="one of variants.yaml")
    parser.add_argument("--out", type=Path, help="folder for the model (the package's own by default)")
    parser.add_argument("--no-compile", action="store_true")
    options = parser.parse_args()
    recipe = variant(options.variant, seed=options.seed)
    if options.steps is not None:
        recipe = replace(recipe, steps=options.steps)
    folder = train(options.name, recipe, compiled=not options.no_compile, out=options.out)
    print(folder)


if __name__ == "__main__":
    main()
