"""What reaches a screen steers nothing, and says nothing else than it is."""

import json

import pytest

from latentlang.errors import InputError
from latentlang.printable import printable, printable_json
from latentlang.provenance import Provenance
from latentlang.results import Result

ODD = {
    "\x1b[31mred": "\\x1b[31mred", "bell\x07": "bell\\x07", "over\rwritten": "over\\rwritten", "\x9b2J": "\\x9b2J",
    "\x7f": "\\x7f", "\u202egnp.exe": "\\u202egnp.exe", "\u2066x\u2069": "\\u2066x\\u2069", "half\udce9": "half\\udce9",
    "a\u2028b": "a\\u2028b",
}  # fmt: skip


@pytest.mark.parametrize(("text", "shown"), ODD.items(), ids=ascii)
def test_what_steers_is_written_out(text, shown):
    assert printable(text) == shown == printable(shown)
    assert json.loads(printable_json(json.dumps(text, ensure_ascii=False))) == text
    assert printable(printable_json(json.dumps(text, ensure_ascii=False))).isprintable()


def test_text_stays_as_it_is():
    text = "two lines\nand\ttabs, 日本語, עברית\u200f, नमस्ते \u200d, é"
    assert printable(text) == text == printable_json(text)


@pytest.mark.parametrize(("text", "shown"), ODD.items(), ids=ascii)
def test_errors_and_results_are_safe_to_print_in_python_too(text, shown):
    import pandas as pd

    assert str(InputError(f"no {text}")) == f"no {shown}"
    made = Provenance(model=text, task="task", languages=("ja",))
    assert shown in repr(Result(table=pd.DataFrame(), provenance=made))
