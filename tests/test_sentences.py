"""What results say in words, as a notebook shows it: broken between words, in HTML and where it is printed."""

from __future__ import annotations

import copy
import json
import sys
import types

import latentlang as ll
from latentlang.text import Sentences

LONG = "Japanese: " + "word " * 40 + "end.\nHindi: short & <b>small</b>."


def _notebook(monkeypatch):
    shell = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))


def test_it_is_the_text_itself_outside_of_a_notebook():
    said = Sentences(LONG)
    assert said == LONG and str(said) == f"{said}" == LONG and said.splitlines() == LONG.splitlines()
    assert json.loads(json.dumps({"sentence": said})) == {"sentence": LONG}
    assert copy.deepcopy(said) == LONG


def test_printed_in_a_notebook_no_line_is_longer_than_its_output_area(monkeypatch):
    _notebook(monkeypatch)
    lines = str(Sentences(LONG)).splitlines()  # what `print` writes
    assert max(map(len, lines)) <= 76 and len(lines) == 4
    assert " ".join(lines).split() == LONG.split()  # no word is broken
    assert lines[-1] == LONG.splitlines()[-1]
    long_word = Sentences("a " + "x" * 90)
    assert str(long_word).splitlines() == ["a", "x" * 90]


def test_as_a_cells_value_each_line_is_a_paragraph_and_nothing_is_markup():
    shown = Sentences(LONG + "\n\x1b[1m")._repr_html_()
    assert shown.count("<p ") == 3 and "<b>" not in shown and "\x1b" not in shown
    assert "&lt;b&gt;small&lt;/b&gt;" in shown and "white-space" not in shown


def test_every_description_is_such_a_text():
    task = ll.task("translation", source="fr")
    result = ll.multilingual_lens("pocket", task, languages="de", items=6, candidates="en", progress=False)
    assert isinstance(result.describe(), Sentences) and isinstance(result.pivot_test().describe(), Sentences)
