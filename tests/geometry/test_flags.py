"""Flags: each says one thing, and only of rows that claim something."""

import numpy as np
import pandas as pd

from latentlang.geometry.flags import FLAGS, flags

_ROW = {
    "language_a": "en", "language_b": "de", "layer": 3, "measure": "cka", "pooling": "mean", "value": 0.8, "low": 0.7,
    "high": 0.9, "null_mean": 0.0, "null_low": -0.1, "null_high": 0.1, "p": 0.005, "partial": 0.75, "flag": "",
}  # fmt: skip


def _flags(*rows, **options):
    return flags(pd.DataFrame([_ROW | row for row in rows]), alpha=0.05, **options).tolist()


def test_each_flag_by_itself():
    assert _flags({}) == [""]
    assert _flags({"p": 0.06}) == ["chance"]
    assert _flags({"partial": 0.09}) == ["length"]
    assert _flags({"partial": 0.39}) == ["length"]  # less than half of it is left
    assert _flags({"partial": 0.41}) == [""]
    assert _flags({"partial": 0.09}, length=False) == [""]
    assert _flags({"p": 0.06, "partial": 0.0}) == ["chance"]
    assert _flags({"value": np.nan, "p": np.nan, "partial": np.nan, "flag": "constant"}) == ["constant"]
    assert _flags({"partial": np.nan, "p": np.nan}) == [""]


def test_a_distance_is_read_the_other_way_round():
    distance = {"measure": "procrustes", "value": 0.2, "null_mean": 0.8, "null_low": 0.7, "null_high": 0.9}
    assert _flags(distance | {"partial": 0.3}) == [""]
    assert _flags(distance | {"partial": 0.72}) == ["length"]
    assert _flags(distance | {"partial": 0.6}) == ["length"]


def test_the_same_pair_under_other_poolings():
    rows = [
        {},
        {"pooling": "mean_no_bos", "value": 0.05},
        {"pooling": "question", "value": 0.6},
        {"layer": 4},
        {"layer": 4, "pooling": "question", "value": 0.2},
        {"layer": 5},
    ]
    assert _flags(*rows) == ["bos", "", "", "few_shot", "", ""]


def test_centres_are_not_asked_about_length_and_pooling():
    apart = {"measure": "centroid_distance", "partial": 0.0}
    assert _flags(apart, apart | {"pooling": "question", "value": 0.0}) == ["", ""]


def test_every_flag_has_words():
    assert list(FLAGS) == ["few", "constant", "chance", "length", "bos", "few_shot"]
