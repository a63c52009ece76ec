"""Few-shot prefixes out of scripts: what the tasks need comes out, and nothing is ever run."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentlang.downloads import script_blocks
from latentlang.errors import InputError
from latentlang.tasks.few_shot import parse_item_format
from latentlang.tasks.labels import NLI, SENTIMENT, wording
from tests.support.published_files import CODES, block, script


@pytest.mark.parametrize("kind", [SENTIMENT, NLI])
def test_blocks_and_item_formats_come_out(kind):
    found = script_blocks(script(kind, "en"), name="a.py")
    assert found["source"] == "a.py"
    assert found["blocks"] == {code: block(kind, code) for code in CODES}
    for code in CODES:
        form = parse_item_format(found["item_format"][code], kind)
        assert form.joint == "\n" and form.wording == wording(kind, code, protocol="as-published")


texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=20)


@given(texts, texts)
def test_any_text_comes_out_as_it_was_written(one, other):
    source = (
        f"prompt_prefix = {{'en': {one!r}, 'ja': '''x'''}}\n"
        f"a = [prompt_prefix['en'] + {other!r} + i + 'c' for i in x]\nb = [prompt_prefix['ja'] + i for i in x]\n"
    )
    found = script_blocks(source, name="a.py")
    assert found["blocks"] == {"en": one, "ja": "x"}
    form = parse_item_format(found["item_format"]["en"], SENTIMENT)
    assert form.joint + form.wording.before[0] == other and form.wording.cue == "c"


MALICIOUS = [
    "__import__('pathlib').Path('owned').touch()",
    "{'en': __import__('pathlib').Path('owned').touch()}",
    "{'en': open('owned', 'w').name}",
    "[open('owned', 'w') for _ in 'x']",
    "(lambda: open('owned', 'w'))()",
    "{'en': f'{open(\"owned\", \"w\")}'}",
    "{open('owned', 'w'): 'en'}",
]


@pytest.mark.parametrize("expression", MALICIOUS)
def test_code_in_the_blocks_is_refused_and_not_run(expression, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"a\.py: prompt_prefix is not a dictionary of constants"):
        script_blocks(script(SENTIMENT, "en", blocks=expression), name="a.py")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "before",
    [
        "open('owned', 'w')",
        "@print\ndef f(x=open('owned', 'w')): pass",
        "import owned_module",
        "class A: open('owned')",
    ],
)
def test_code_around_the_blocks_is_not_run(before, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owned_module.py").write_text("open('owned', 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    assert script_blocks(script(SENTIMENT, "en", before=before), name="a.py")["blocks"]
    assert not (tmp_path / "owned").exists() and "owned_module" not in sys.modules


@pytest.mark.parametrize(
    "what", ["f(i)", "i.upper()", "f'{i}'", "(lambda: i)()", "i * 2", "3", "os.environ['SECRET']"]
)
def test_code_in_the_item_format_is_refused(what):
    source = f"prompt_prefix = {{'en': 'x'}}\na = [prompt_prefix['en'] + {what} for i in x]\n"
    with pytest.raises(InputError, match=r"a\.py, line 2: a prompt may only join texts and variables"):
        script_blocks(source, name="a.py")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "assigns prompt_prefix nowhere"),
        ("prompt_prefix = {'en': 'a'}\nprompt_prefix = {'en': 'b'}", "in 2 places"),
        ("prompt_prefix = {}", "must be a dictionary"),
        ("prompt_prefix = ['en']", "must be a dictionary"),
        ("prompt_prefix = {'en': 3}", "texts only, not 'en': int"),
        ("prompt_prefix = {1: 'a'}", "texts only, not 1: str"),
        ("prompt_prefix = {'../x': 'a'}", "unknown language"),
        ("prompt_prefix = {'English': 'a'}", "'English' where a language code should be"),
        ("prompt_prefix = {'en': 'a'}", "does not say how an item follows the block in en"),
        ("prompt_prefix = {", r"a\.py is no Python script"),
        ("x = '\0'", r"a\.py is no Python script"),
        ("prompt_prefix = " + "(" * 5000 + ")" * 5000, r"a\.py"),
        ("prompt_prefix = " + "-" * 5000 + "1", r"a\.py"),
        ("#" * 1_000_001, "has 1,000,001 characters"),
        ("<!DOCTYPE html><html></html>", "is no Python script"),
    ],
)
def test_another_text_is_one_clear_error(text, message):
    with pytest.raises(InputError, match=message) as caught:
        script_blocks(text, name="a.py")
    assert "\n" not in str(caught.value)
