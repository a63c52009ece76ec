"""The pages on what models use say what their tables hold, and so does what the page on validity says of them."""

from __future__ import annotations

from experiments.interventions import page
from experiments.interventions.tables import FIGURES
from latentlang.causal.pivot_use_verdict import POOLED, USED


def test_the_pages_are_what_the_committed_tables_say() -> None:
    pages = page.pages(page.tables())
    for name, text in pages.items():
        assert text == (page.DOCS / name).read_text(encoding="utf-8"), name
    assert sorted(page.DOCS.glob("use/*.md")) == sorted(page.DOCS / name for name in pages if "/" in name)


#: About what is read in a quarter of an hour; tables count too.
MOST_WORDS = 2_500


def test_no_page_of_them_is_too_long_to_be_read() -> None:
    for name, text in page.pages(page.tables()).items():
        assert len(text.split()) < MOST_WORDS, name


def test_every_picture_of_the_page_has_its_caption() -> None:
    pictures = sorted(path.stem for path in FIGURES.glob("*.png"))
    assert pictures
    for name in pictures:
        assert (FIGURES / f"{name}.txt").read_text(encoding="utf-8").strip(), name


def test_what_the_page_on_validity_says_is_in_the_tables() -> None:
    use = page.tables()["pivot-use"]
    pooled = use[use["language"] == POOLED]
    pocket, control, real = (
        pooled[pooled["model"] == model] for model in ("pocket", "pocket-control", "gemma3-270m")
    )
    # answers follow English about twice as often as a third language, and in the control no more often
    assert (pocket["beyond_low"] > 0).all() and (pocket["pivot"] / pocket["third"]).between(1.5, 2.5).all()
    assert (control["beyond_low"] <= 0).all()
    # English by itself moves few answers, and is called used in a minority of runs
    assert (pocket["alone"] < 0.05).all() and 0 < (pocket["verdict"] == USED).mean() < 0.5
    # in Gemma the target's own words move more than twice as many answers as English, not shown to be used
    assert len(real) and not (real["verdict"] == USED).any()
    assert real["target"].mean() > 2 * real["pivot"].mean()
    last = page.tables()["patching"].query("model == 'gemma3-270m' and at == 'last'")
    last = last[~last["source"].str.contains(",")]  # a mean over several languages carries none of them
    own = last[(last["concept"] == "target") & (last["language"] != last["target"].str.split("-").str[1])]
    new = last[(last["concept"] == "source") & (last["language"] != last["target"].str.split("-").str[1])]
    # the language of the answer is there before the concept
    assert (own["first"] > 0).all() and (new["first"] > 0).all() and own["first"].max() < new["first"].min()
