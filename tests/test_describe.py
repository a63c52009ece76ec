"""What every result says of itself in words: nothing but what its tables hold."""

from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest

import latentlang as ll
from latentlang.comparison import ComparisonResult
from latentlang.evaluation import EvaluationResult
from latentlang.geometry import AlignmentResult, PCAResult
from latentlang.lens import LensResult, explore
from latentlang.models import HookedLM
from latentlang.results import Result
from latentlang.training import TrainingResult
from tests.support import tiny

FOLDER = Path(__file__).parent / "data" / "format1"


def _kinds(kind: type[Result]) -> set[type[Result]]:
    return {kind}.union(*map(_kinds, kind.__subclasses__()))


def test_every_kind_of_result_has_its_own_words():
    for room in (
        "answers",
        "causal.patch_result",
        "causal.patchscope_result",
        "causal.pivot_use_result",
        "causal.steer_result",
        "causal.trace_result",
        "comparison",
        "evaluation",
        "generation.answer_result",
        "geometry",
        "instructions.description",
        "judging.gap_result",
        "judging.judgement_result",
        "lens",
        "questions",
        "sweeps.sweep_result",
        "training",
        "translation.scores_result",
        "translation.translation_result",
        "units.ablation_result",
        "units.features_ablation",
        "units.features_result",
        "units.neurons_result",
    ):
        getattr(import_module(f"latentlang.{room}"), "__all__", ())  # some rooms import at first use
    import_module("latentlang.comparison.alignment_result")
    kinds = {kind for kind in _kinds(Result) if kind.__module__.startswith("latentlang.")} - {Result}
    assert len(kinds) >= 9
    assert not [kind.__name__ for kind in kinds if kind.describe is Result.describe]


def test_lens_curves_are_told_a_line_per_language():
    result = LensResult.load(FOLDER / "lens")
    gap = result.gap()
    best = gap.loc[gap["mean"].idxmax()]
    assert result.describe() == (
        f"Japanese: English is at most {best['mean']:.2f} above its null, at layer {best['layer']}: of "
        f"{best['n']} items, too few to say more."
    )


def test_an_evaluation_says_its_accuracies():
    result = ComparisonResult.load(FOLDER / "compare").evaluation.evaluation
    before, after = result.describe().splitlines()
    rows = result.averages().query("group == 'all'")
    for line, row, state in zip((before, after), rows.to_dict("records"), ("before", "after"), strict=True):
        assert line.startswith(
            f"sentiment {state}: accuracy {row['accuracy']:.3f} in the average over 2 languages"
        )
        assert f"interval {row['low_items']:.3f} to {row['high_items']:.3f} over items" in line
        assert "from 0.900 in Japanese to 1.000 in English" in line
    alone = EvaluationResult.load(FOLDER / "evaluate/sentiment")
    one = EvaluationResult(alone.table[alone.table["language"] == "ja"], alone.provenance)
    assert one.describe().startswith("sentiment: accuracy 1.000 in Japanese (95% interval ")
    assert ";" not in alone.describe()  # the same in both languages


def test_components_say_how_much_they_hold():
    result = PCAResult.load(FOLDER / "pca")
    held = result.explained.groupby("layer")["ratio"].sum()
    assert result.describe() == (
        f"The first {result.components} principal components hold {held.max():.0%} of the variance at layer "
        f"{held.idxmax()}."
    )
    deeper = result.explained.assign(layer=9, ratio=0.125)
    both = PCAResult(result.table, result.provenance, result.bases, pd.concat([result.explained, deeper]))
    assert both.describe().endswith(", where it is most, and 25% at layer 9, the last one.")


def test_a_training_says_how_far_the_loss_fell():
    result = TrainingResult.load(FOLDER / "adapter")
    assert result.describe() == (
        f"Recipe zh+es-en: the validation loss fell, from {result.base_loss:.3f} nats per token before training to "
        f"{result.best_loss:.3f}; the adapter has the weights of step {result.best_step} of 4."
    )


def test_alignments_and_comparisons_say_what_they_found():
    aligned = AlignmentResult.load(FOLDER / "align")
    assert aligned.describe() == aligned.describe(measure=aligned.measures[0], pools=aligned.default_pool)
    compared = ComparisonResult.load(FOLDER / "compare")
    lens, alignment = compared.lens.describe(), compared.alignment.describe()
    assert lens.startswith("There is evidence of change in the English gap. The English gap rose in Japanese")
    assert alignment.startswith("There is no evidence of change in anything that was measured.")
    # the whole says the parts' sentences
    sentence = next(part for part in lens.split(". ") if part.startswith("The English gap rose"))
    assert sentence in compared.describe()


def test_a_store_says_what_it_holds():
    said = ll.open_store(FOLDER / "store").describe()
    assert said == (
        "30 prompts in 3 languages, read by pocket: layer 4, 1 site (resid), 1 pool (mean); vectors of 160 numbers in "
        "float32."
    )


@pytest.mark.parametrize("layers", ["all", [-1]])
def test_one_prompt_says_its_last_token(layers):
    model = HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")
    result = explore(model, "日本", layers=layers)
    last = result.table.query("position == position.max() and rank == 1").set_index("layer")
    final = last.loc[model.n_layers]
    said = result.describe()
    assert said.startswith(
        f"After {final['token']!r} layer {model.n_layers}, the model's own output, would say {final['text']!r} "
        f"(probability {final['probability']:.2f})"
    )
    since = max(
        (layer + 1 for layer in last.index if last.loc[layer, "id"] != final["id"]), default=last.index.min()
    )
    if since > last.index.min():
        assert f"is the likeliest from layer {since} on" in said
    assert "read by the logit lens" in said
