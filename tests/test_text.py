import pytest

from latentlang.text import counted, listed, percent


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
