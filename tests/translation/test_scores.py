"""Scores of translations: hand-worked values, sacreBLEU's own, slow resampling, nulls at known values."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from sacrebleu.metrics import BLEU, CHRF, TER

import latentlang as ll
from latentlang.errors import InputError
from latentlang.language_id import LanguageIdentifier
from latentlang.stats.intervals import bootstrap_sums
from latentlang.stats.paired import holm
from latentlang.translation import METRICS, TranslationScores, bleu_tokenizer, join_scores
from latentlang.translation.comet import encoder_languages, unseen_languages
from latentlang.translation.metrics import bleu_score, chrf_score, is_copy, ter_score
from latentlang.translation.scoring import exchanged
from tests.support.translated import GOOD, POOR, REFERENCES, SOURCES, SYSTEMS


@pytest.fixture(scope="module")
def scores() -> TranslationScores:
    return ll.score_translations(
        SYSTEMS, REFERENCES, sources=SOURCES, lang="de", source="en", progress=False,
        metrics=[name for name in METRICS if name != "comet"],
    )  # fmt: skip


def test_bleu_by_hand():
    result = ll.score_translations(
        ["the cat sat on the mat"], ["the cat sat on a mat"], lang="en", metrics="bleu", progress=False
    )
    # of 6, 5, 4 and 3 n-grams there are 5, 3, 2 and 1; as long as the reference
    assert result.score("bleu") == pytest.approx(100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25)


def test_bleu_is_shorter_by_the_brevity_penalty_and_halves_what_has_no_match():
    # 4 words of 8, all right: exp(1 - 8/4)
    assert bleu_score(np.array([4, 8, 4, 3, 2, 1, 4, 3, 2, 1])) == pytest.approx(100 * math.exp(-1))
    # no 3-gram and no 4-gram: 1/2 of 1 of 2, 1/4 of 1 of 1
    halved = bleu_score(np.array([4, 4, 4, 3, 0, 0, 4, 3, 2, 1]))
    assert halved == pytest.approx(100 * (1 * 1 * (0.5 / 2) * (0.25 / 1)) ** 0.25)
    assert bleu_score(np.array([4, 4, 0, 0, 0, 0, 4, 3, 2, 1])) == 0
    assert bleu_score(np.array([3, 3, 3, 2, 1, 0, 3, 2, 1, 0])) == 0


def test_chrf_and_ter_by_hand():
    result = ll.score_translations(["ab"], ["abc"], lang="en", metrics="chrf,ter", progress=False)
    precision, recall = 1, (2 / 3 + 1 / 2) / 2  # orders 1 and 2; the hypothesis has none of order 3
    assert result.score("chrf") == pytest.approx(100 * 5 * precision * recall / (4 * precision + recall))
    assert result.score("ter") == pytest.approx(100)  # the one word is another
    assert chrf_score(np.zeros(18)) == 0
    assert ter_score(np.array([[2.0, 8.0], [1.0, 0.0], [0.0, 0.0]])).tolist() == [25, 100, 0]


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize(
    ("name", "metric"),
    [("bleu", BLEU()), ("chrf", CHRF()), ("chrf++", CHRF(word_order=2)), ("ter", TER())],
)
def test_scores_are_those_of_sacrebleu(scores, system, name, metric):
    expected = metric.corpus_score(SYSTEMS[system], [REFERENCES])
    assert scores.score(name, system=system) == pytest.approx(expected.score, abs=1e-9)
    row = scores.table.query("metric == @name and system == @system").iloc[0]
    assert row["signature"] == metric.get_signature().format()
    if name != "bleu":  # and of each item alone
        items = scores.items[scores.items["system"] == system]
        pairs = zip(SYSTEMS[system], REFERENCES, strict=True)
        each = [metric.sentence_score(given, [right]).score for given, right in pairs]
        assert np.allclose(items[name], each)


def test_intervals_are_those_of_a_slow_bootstrap():
    given = {"seed": 3, "resamples": 60, "metrics": "bleu,chrf++", "progress": False}
    result = ll.score_translations(SYSTEMS, REFERENCES, sources=SOURCES, lang="de", source="en", **given)
    count = len(REFERENCES)
    draws = np.random.default_rng(3).multinomial(count, np.full(count, 1 / count), size=60)
    slow: dict[tuple[str, str], list[float]] = {}
    for draw in draws:
        places = np.repeat(np.arange(count), draw)
        references = [REFERENCES[place] for place in places]
        for system, texts in {**SYSTEMS, "source copied": SOURCES}.items():
            hypotheses = [texts[place] for place in places]
            for name, metric in (("bleu", BLEU()), ("chrf++", CHRF(word_order=2))):
                score = metric.corpus_score(hypotheses, [references]).score
                slow.setdefault((name, system), []).append(score)
    for key, values in slow.items():
        samples = result.samples.set_index(["metric", "system"])["value"]
        assert np.allclose(samples.loc[key], values)
    row = result.table.query("metric == 'bleu' and system == 'good'").iloc[0]
    # of eight items Student's t, with 7 degrees of freedom, times the bootstrap's standard error
    half = 2.3646243 * np.std(slow["bleu", "good"]) * math.sqrt(count / (count - 1))
    assert (row["low"], row["high"]) == pytest.approx((row["value"] - half, row["value"] + half))
    # systems against each other: the same samples, so that what both have in common goes out of the difference
    compared = result.comparisons("poor", metrics="bleu").iloc[0]
    differences = np.subtract(slow["bleu", "good"], slow["bleu", "poor"])
    difference = result.score("bleu", system="good") - result.score("bleu", system="poor")
    assert compared["difference"] == pytest.approx(difference)
    assert (compared["low"], compared["high"]) == pytest.approx(
        tuple(
            difference + sign * 2.3646243 * differences.std() * math.sqrt(count / (count - 1))
            for sign in (-1, 1)
        )
    )
    as_large = sum(abs(one - differences.mean()) >= abs(difference) for one in differences)
    assert compared["p"] == pytest.approx((1 + as_large) / 61)


def test_sums_of_samples_do_not_depend_on_how_they_are_cut(monkeypatch):
    values = np.random.default_rng(0).random((50, 3))
    whole = bootstrap_sums(values, resamples=40, seed=5)
    monkeypatch.setattr("latentlang.stats.intervals._MOST_KEPT", 350)
    assert np.allclose(bootstrap_sums(values, resamples=40, seed=5), whole)
    assert whole.shape == (40, 3)


def test_nulls_are_what_a_copy_and_another_reference_get(scores):
    row = scores.table.query("metric == 'chrf' and system == 'good'").iloc[0]
    assert row["null_source"] == pytest.approx(CHRF().corpus_score(SOURCES, [REFERENCES]).score)
    others = []
    for draw in range(scores.settings.exchanges):
        order = exchanged(len(REFERENCES), draw, 0)
        assert sorted(order) == list(range(len(REFERENCES))) and all(order != np.arange(len(REFERENCES)))
        others.append(CHRF().corpus_score([REFERENCES[place] for place in order], [REFERENCES]).score)
    assert row["null_other"] == pytest.approx(np.mean(others))
    assert row["above"] == pytest.approx(row["value"] - max(row["null_source"], row["null_other"]))
    assert row["above_low"] < row["above"] < row["above_high"]
    copied = scores.table.query("metric == 'copied' and system == 'good'").iloc[0]
    assert (copied["value"], copied["null_source"], copied["null_other"]) == (0, 1, 0)
    assert scores.table.query("metric == 'ter'")["above"].isna().all()


def test_where_all_references_are_alike_another_one_is_as_good():
    result = ll.score_translations(
        ["Ein Hund schläft hier."] * 4,
        ["Ein Hund schläft hier."] * 4,
        lang="de",
        metrics="bleu",
        progress=False,
    )
    row = result.table.iloc[0]
    assert row["value"] == pytest.approx(100) and row["null_other"] == pytest.approx(100)
    assert row["above"] == pytest.approx(0, abs=1e-9) and np.isnan(row["null_source"])
    assert "not told from it" in result.describe()


def test_text_in_another_language_is_off_target_and_short_or_empty_text_is_apart(scores):
    items = scores.items[scores.items["system"] == "poor"].reset_index(drop=True)
    assert items["language"].tolist()[3] == "en" and items["language"].tolist()[6] == "fr"
    assert items["off_target"].tolist() == [False, False, False, True, False, False, True, False]
    assert items["reason"][5] == "empty" and items["copied"].tolist() == [False] * 3 + [True] + [False] * 4
    undecided = items["reason"].isin(["short", "uncertain", "no-letters"]).sum()
    told = 7 - undecided
    assert scores.score("off-target", system="poor") == pytest.approx(2 / told)
    assert scores.score("undecided", system="poor") == pytest.approx(undecided / 7)
    assert scores.score("empty", system="poor") == pytest.approx(1 / 8)
    assert scores.score("copied", system="poor") == pytest.approx(1 / 8)


def test_a_script_of_none_of_the_languages_is_off_target_and_digits_are_undecided():
    result = ll.score_translations(
        ["ไม่มีใครรู้ว่ากุญแจอยู่ที่ไหน", "12:30", "ok"], REFERENCES[:3], lang="de", metrics="off-target,undecided",
        progress=False,
    )  # fmt: skip
    assert result.items["reason"].tolist() == ["other-script", "no-letters", "short"]
    assert result.items["off_target"].tolist() == [True, False, False]
    assert (result.score("off-target"), result.score("undecided")) == (1.0, pytest.approx(2 / 3))


def test_length_is_in_characters_without_spaces():
    result = ll.score_translations(
        ["a b c", "d"], ["abcd", "ef"], lang="en", metrics="length", progress=False
    )
    assert result.score("length") == pytest.approx(4 / 6)


def test_a_name_is_no_copy():
    assert is_copy("The  cat sat on the mat", "the cat sat on the MAT")
    assert not is_copy("Angela Merkel", "Angela Merkel")


@pytest.mark.parametrize(
    ("code", "name", "choice"),
    [("de", "13a", "usual"), ("zh", "zh", "language"), ("zh-Hant", "zh", "language"), ("ja", "ja-mecab", "language"),
     ("hi", "13a", "usual")],
)  # fmt: skip
def test_bleu_takes_the_tokenizer_of_the_language(code, name, choice):
    chosen = bleu_tokenizer(code)
    assert (chosen.name, chosen.choice) == (name, choice)


def test_japanese_is_cut_by_mecab():
    result = ll.score_translations(
        ["猫が好きです。"], ["犬が好きです。"], lang="ja", metrics="bleu", progress=False
    )
    expected = BLEU(tokenize="ja-mecab").corpus_score(["猫が好きです。"], [["犬が好きです。"]]).score
    assert result.score("bleu") == pytest.approx(expected)
    assert "tok:ja-mecab" in result.table["signature"][0]


def test_a_language_without_spaces_is_scored_over_characters_where_no_model_is(monkeypatch, tmp_path):
    monkeypatch.setattr("sacrebleu.utils.SACREBLEU_DIR", str(tmp_path))
    result = ll.score_translations(["สวัสดี"], ["สวัสดีครับ"], lang="th", metrics="bleu", progress=False)
    assert "tok:char" in result.table["signature"][0]
    assert "over characters" in result.describe()
    with pytest.raises(InputError, match="not on this machine"):
        bleu_tokenizer("th", "flores200")


def test_what_is_not_installed_is_named_with_what_to_do(monkeypatch):
    monkeypatch.setattr("latentlang.translation.bleu_tokenizers.find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"Korean needs the tokenizer 'ko-mecab'.*sacrebleu\[ko\].*--tokenize char"
    ):
        bleu_tokenizer("ko")
    with pytest.raises(InputError, match=r"'ja-mecab', which is not installed: .*\[translate\]"):
        bleu_tokenizer("ja")
    with pytest.raises(InputError, match="unknown tokenizer of BLEU '13b'; did you mean '13a'"):
        bleu_tokenizer("de", "13b")


def test_the_language_of_each_text_is_told_once(monkeypatch):
    asked = []
    identify = LanguageIdentifier.identify
    monkeypatch.setattr(
        LanguageIdentifier, "identify", lambda self, text: asked.append(text) or identify(self, text)
    )
    ll.score_translations(SYSTEMS, REFERENCES, sources=SOURCES, lang="de", source="en", progress=False)
    given = [*SOURCES, *REFERENCES, *(text for texts in SYSTEMS.values() for text in texts)]
    assert sorted(asked) == sorted({text for text in given if text.strip()})


def test_scripts_alone_tell_languages_where_no_identifier_is(monkeypatch):
    def missing():
        raise InputError("not installed")

    monkeypatch.setattr("latentlang.translation.off_target.py3langid_backend", missing)
    result = ll.score_translations(
        ["これは日本語の文です", "this is not Japanese"], ["あ", "い"], lang="ja", progress=False
    )
    assert result.score("off-target") == 0.0 and result.score("undecided") == 0.5
    assert "py3langid" in result.describe()


# Comparisons and directions


def _second(seed: int = 0) -> TranslationScores:
    return ll.score_translations(
        {"good": SOURCES, "poor": SOURCES[:4] + GOOD[4:]}, SOURCES, sources=REFERENCES, lang="en", source="de",
        progress=False, metrics=[name for name in METRICS if name != "comet"], seed=seed,
    )  # fmt: skip


def test_directions_are_joined_and_holm_is_over_them(scores):
    both = join_scores(scores, _second())
    assert both.directions == ("en-de", "de-en") and both.provenance.languages == ("de", "en")
    compared = both.comparisons(metrics="chrf")
    assert compared["p_holm"].tolist() == holm(compared["p"].tolist())
    assert (compared["difference"] < 0).all() and set(compared["change"]) == {"down"}
    assert both.score("chrf", system="good", direction="de-en") == pytest.approx(100)
    assert "Holm" in both.describe()
    with pytest.raises(InputError, match="2 scores are 'chrf' of 'good'"):
        both.score("chrf", system="good")


def test_a_system_that_is_the_same_does_not_differ():
    result = ll.score_translations({"a": GOOD, "b": list(GOOD)}, REFERENCES, lang="de", progress=False)
    compared = result.comparisons()
    assert (compared["difference"] == 0).all() and (compared["p"] == 1).all()
    assert set(compared["change"]) == {""}
    assert "no system differs from a" in result.describe()


def test_few_resamples_cannot_tell_many_comparisons_apart():
    result = ll.score_translations(
        SYSTEMS, REFERENCES, lang="de", metrics="chrf", resamples=10, progress=False
    )
    assert "more resamples" in result.describe()


def test_what_cannot_be_joined_is_refused(scores):
    with pytest.raises(InputError, match="different seeds"):
        join_scores(scores, _second(seed=1))
    with pytest.raises(InputError, match="two rows of direction 'en-de', system 'good', metric 'bleu'"):
        join_scores(scores, scores)
    alone = {"metrics": "chrf", "progress": False}
    one = ll.score_translations({"a": GOOD}, REFERENCES, lang="de", **alone)
    other = ll.score_translations({"b": GOOD[:4]}, REFERENCES[:4], lang="de", **alone)
    with pytest.raises(InputError, match="different items"):
        join_scores(one, other)
    items = [str(number) for number in range(1, 1 + len(GOOD))]
    turned = ll.score_translations({"b": GOOD[::-1]}, REFERENCES[::-1], lang="de", items=items[::-1], **alone)
    with pytest.raises(InputError, match="'-de' have the same items in different orders"):
        join_scores(one, turned)
    told = [
        ll.score_translations(
            {name: GOOD}, REFERENCES, lang="de", metrics="off-target", among=among, progress=False
        )
        for name, among in (("a", "en"), ("b", "en,fr"))
    ]
    with pytest.raises(InputError, match=r"off-target in -de was computed in different ways .*among:de,en "):
        join_scores(*told)
    with pytest.raises(InputError, match="differ in level"):
        join_scores(one, ll.score_translations({"b": GOOD}, REFERENCES, lang="de", level=0.9, **alone))
    with pytest.raises(InputError, match="comparing takes two"):
        one.comparisons()
    assert (
        len(
            join_scores(one, ll.score_translations({"b": POOR}, REFERENCES, lang="de", **alone)).comparisons()
        )
        == 1
    )


# Files, words, figure


def test_scores_are_saved_and_read(scores, tmp_path):
    scores.save(tmp_path / "s")
    loaded = ll.open_result(tmp_path / "s")
    assert loaded == scores and loaded.describe() == scores.describe()
    assert loaded.comparisons().equals(scores.comparisons())
    fewer = replace(scores, items=scores.items.iloc[:-1])
    fewer.save(tmp_path / "fewer")
    with pytest.raises(InputError, match=r"damaged.*has not the 8 items of 'poor'"):
        TranslationScores.load(tmp_path / "fewer")


def test_the_words_say_what_the_table_has(scores):
    said = scores.describe()
    row = scores.table.query("metric == 'bleu' and system == 'good'").iloc[0]
    assert (
        f"English to German, good, 8 items: BLEU {row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
        in said
    )
    assert f"a copy of the source has {row['null_source']:.2f}" in said


def test_where_no_language_could_be_told_nothing_is_said_of_others():
    result = ll.score_translations({"a": ["x"] * 8}, REFERENCES, lang="de", progress=False)
    assert "no language could be told, 100.0% could not be told" in result.describe()
    assert "none are in another language" not in result.describe()
    assert "nan" not in result.figure(metric="off-target").data[0].customdata[0]


def test_the_figure_has_a_row_a_system_and_the_nulls(scores):
    figure = scores.figure()
    names = [trace.name for trace in figure.data]
    assert names == ["good", "poor", "a copy of the source", "another item's reference"]
    assert figure.data[0].x[0] == pytest.approx(scores.score("bleu", system="good"))
    assert figure.data[2].x[0] == pytest.approx(scores.table["null_source"][0])
    assert scores.figure(metric="chrf++").layout.xaxis.title.text == "chrF++"
    shares = scores.figure(metric="empty", theme="dark", width=400)
    assert shares.data[1].x[0] == pytest.approx(12.5)
    with pytest.raises(InputError, match="unknown metric of these scores 'blue'"):
        scores.figure(metric="blue")


def test_names_from_outside_are_escaped_in_the_figure():
    result = ll.score_translations({"<script>x</script>": GOOD}, REFERENCES, lang="de", progress=False)
    assert "<script>" not in result.figure().to_json()


# COMET, by a stand-in


class _Comet:
    """What the module ``comet`` (2.2.7) has, with a model that counts words in common."""

    asked: ClassVar[list] = []

    @staticmethod
    def download_model(model, saving_directory=None, local_files_only=False):
        return f"{model}/checkpoints/model.ckpt"

    @staticmethod
    def load_from_checkpoint(checkpoint_path, reload_hparams=False, strict=False, local_files_only=False):
        class Model:
            def predict(
                self, samples, batch_size=16, gpus=1, devices=None, mc_dropout=0, progress_bar=True,
                accelerator="auto", num_workers=None, length_batching=True,
            ):  # fmt: skip
                _Comet.asked.append((checkpoint_path, gpus, num_workers, progress_bar))
                assert all(set(row) == {"src", "mt", "ref"} for row in samples)
                common = [len({*row["mt"].split()} & {*row["ref"].split()}) / 10 for row in samples]
                return SimpleNamespace(scores=common, system_score=sum(common) / len(common))

        return Model()


def test_comet_is_asked_where_it_is_installed(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "comet", _Comet)
    result = ll.score_translations(
        GOOD, REFERENCES, sources=SOURCES, lang="de", source="en", metrics="comet", comet=True, progress=False
    )
    expected = np.mean([len({*a.split()} & {*b.split()}) / 10 for a, b in zip(GOOD, REFERENCES, strict=True)])
    assert result.score("comet") == pytest.approx(expected)
    assert {one[0] for one in _Comet.asked} == {"Unbabel/wmt22-comet-da/checkpoints/model.ckpt"}
    assert {one[1:] for one in _Comet.asked} == {(int(torch.cuda.is_available()), None, False)}
    assert result.settings.comet == "Unbabel/wmt22-comet-da" and not result.settings.comet_unseen
    assert "wmt22-comet-da" in result.table["signature"][0]
    unseen = ll.score_translations(
        GOOD, REFERENCES, sources=SOURCES, lang="zu", metrics="comet", comet="own", progress=False
    )
    assert unseen.settings.comet_unseen == ["zu"] and "not trained on Zulu" in unseen.describe()


def test_comet_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "comet", None)
    with pytest.raises(InputError, match="COMET is not installed"):
        ll.score_translations(GOOD, REFERENCES, sources=SOURCES, lang="de", comet=True, progress=False)


def test_languages_of_the_encoder_are_known():
    assert len(encoder_languages()) == 94  # of its list of 100 six are another spelling of one of these
    assert all(isinstance(code, str) for code in encoder_languages())
    assert unseen_languages(["no", "zu", "ja", "yo", "zh"]) == ["zu", "yo"]


# What cannot be scored


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hypotheses": GOOD[:7]}, "8 references and 7 hypotheses of 'system': nothing is scored"),
        ({"sources": SOURCES[:5]}, "8 references and 5 sources"),
        ({"hypotheses": {}}, "no hypotheses"),
        ({"hypotheses": {"source copied": GOOD}}, "no name for a system"),
        ({"hypotheses": "Die Katze"}, "must be a list of texts"),
        ({"hypotheses": [*GOOD[:7], None]}, "number 8 is None, no text"),
        ({"hypotheses": [*GOOD[:7], "\ud83d"]}, "half of a character"),
        ({"references": [*REFERENCES[:7], " "]}, "reference 8 is empty"),
        ({"hypotheses": [], "references": []}, "no references"),
        ({"lang": "xx"}, "unknown language"),
        ({"source": "de"}, "both 'de'"),
        ({"metrics": "blue"}, "unknown metric of translations 'blue'; did you mean 'bleu'"),
        ({"metrics": "copied"}, "copied need what was translated"),
        ({"tokenize": "moses"}, "unknown tokenizer of BLEU"),
        ({"level": 95}, "level must be between 0 and 1"),
        ({"resamples": 0}, "resamples must be at least 1"),
        ({"exchanges": 0}, "exchanges must be at least 1"),
        ({"items": ["a"] * 8}, "items= must name each"),
        ({"language": "de"}, "unknown option of score_translations 'language'"),
    ],
)
def test_what_cannot_be_scored_is_one_clear_error(options, message):
    given = {"hypotheses": GOOD, "references": REFERENCES, "lang": "de", "progress": False, **options}
    with pytest.raises(InputError, match=message):
        ll.score_translations(**given)


def test_one_item_has_a_score_and_no_interval():
    result = ll.score_translations(GOOD[:1], REFERENCES[:1], lang="de", progress=False)
    row = result.table.iloc[0]
    assert row["value"] == pytest.approx(100) and np.isnan(row["low"]) and np.isnan(row["null_other"])
    assert len(result.samples) == 0 and isinstance(result.describe(), str)


def test_a_metric_of_ones_own_is_resampled_too(monkeypatch):
    from latentlang.translation.metrics import PreparedMetric, TranslationMetric, ratio_score

    own = TranslationMetric(
        "exact", "exact", "points", "higher",
        lambda texts: PreparedMetric(
            lambda given: np.array([[one == right, 1] for one, right in zip(given, texts.references, strict=True)]),
            "exact",
        ),
        ratio_score,
    )  # fmt: skip
    monkeypatch.setitem(METRICS, "exact", own)
    result = ll.score_translations(SYSTEMS, REFERENCES, lang="de", metrics="exact", progress=False)
    assert result.score("exact", system="good") == pytest.approx(3 / 8)
    assert isinstance(result.comparisons(), pd.DataFrame)
