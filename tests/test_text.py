import pytest

from latentlang.text import capital, counted, lens_name, listed, percent, pool_name, signed, span, unsigned


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 items"), (1, "1 item"), (2, "2 items"), ("1", "1 item"), ("8 to 12", "8 to 12 items"),
     (2624, "2,624 items")],
)  # fmt: skip
def test_one_is_not_several(count, said):
    assert counted(count, "item") == said
    assert counted(1, "entry", "entries") == "1 entry"
    assert counted(2, "entry", "entries") == "2 entries"


@pytest.mark.parametrize(
    ("share", "said"),
    [(0.95, "95%"), (0.975, "97.5%"), (0.999, "99.9%"), (0.9, "90%"), (1 - 0.95, "5%"), (1 - 0.999, "0.1%"),
     (1.0, "100%")],
)  # fmt: skip
def test_a_level_is_written_to_its_last_digit(share, said):
    assert percent(share) == said


def test_names_are_listed_as_in_a_sentence():
    assert [listed(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]


def test_differences_have_a_true_sign_and_keep_their_side_of_zero():
    assert [signed(value) for value in (0.5, -0.5, 0.0, -0.0004, 1e-9)] == [
        "+0.500", "−0.500", "+0.000", "−0.0004", "+0.000",
    ]  # fmt: skip
    assert signed(-0.0004, keep_side=False) == "+0.000" and signed(-0.254, 2, keep_side=False) == "−0.25"
    assert [unsigned(value) for value in (-0.0004, -0.25, float("nan"))] == [
        "0.000",
        "−0.250",
        "not measured",
    ]
    assert span(-0.01, 0.02) == "−0.010 to +0.020" and span(float("nan"), 1.0) == "no interval"


def test_what_things_are_called():
    assert capital("linear CKA") == "Linear CKA" and capital("") == ""
    assert lens_name("tuned") == "tuned lens"
    assert pool_name("question").short == "question only"
    assert pool_name("mine").phrase == "the pool mine"
