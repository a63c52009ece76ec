"""A fitted lens that is read with another adapter than it was fitted with: it is said, and only then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from latentlang.lens.lens_settings import LensSettings, PivotByLensSettings, fitted_elsewhere
from latentlang.provenance import Provenance

PLAIN = Provenance(
    model="m", revision=None, adapter=None, task="t", languages=("ja",), policy="", seed=0, settings={}
)
ADAPTED = replace(PLAIN, adapter="lora")


@pytest.mark.parametrize(
    ("translators", "provenance", "said"),
    [
        (None, ADAPTED, ""),
        ({"adapter": ""}, PLAIN, ""),
        ({"adapter": "lora"}, ADAPTED, ""),
        ({}, PLAIN, ""),
        ({"adapter": ""}, ADAPTED, "without an adapter and is read here with the adapter lora"),
        ({"adapter": "lora"}, PLAIN, "with the adapter lora and is read here without one"),
        ({}, ADAPTED, "does not say whether it was fitted with the adapter lora"),
    ],
)
def test_it_is_said_where_lens_and_model_are_in_other_states(translators, provenance, said):
    text = fitted_elsewhere("jacobian", translators, provenance)
    assert (said in text and text.startswith("The Jacobian lens")) if said else text == ""


def test_each_kind_of_settings_says_it():
    settings = LensSettings(lens="tuned", translators={"adapter": ""})
    (remark,) = settings.remarks(ADAPTED)
    assert remark.startswith("The tuned lens was fitted on the model without an adapter")
    lenses = {"plain": {"lens": "logit"}, "mine": {"lens": "jacobian", "translators": {"adapter": ""}}}
    (remark,) = PivotByLensSettings(lenses=lenses).remarks(ADAPTED)
    assert remark.startswith("mine: The Jacobian lens") and not PivotByLensSettings(lenses=lenses).remarks(
        PLAIN
    )
