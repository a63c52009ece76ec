"""The explorer's modules put together to one."""

from __future__ import annotations

import re
from importlib.resources import files

from latentlang.interactive.frontend import MODULES, STYLES, module, style

STATIC = files("latentlang.interactive") / "static"


def test_every_file_of_the_page_is_in_it_once_and_after_what_it_needs() -> None:
    names = {path.name for path in STATIC.iterdir()}
    assert names == {*(f"{name}.js" for name in MODULES), *(f"{name}.css" for name in STYLES)}
    for at, name in enumerate(MODULES):
        text = (STATIC / f"{name}.js").read_text(encoding="utf-8")
        needed = re.findall(r'from "\./(\w+)\.js"', text)
        assert set(needed) <= set(MODULES[:at]), name
        assert len(needed) == len(re.findall(r"^import ", text, re.MULTILINE)), name


def test_one_module_is_left_with_one_export() -> None:
    text = module()
    assert not re.search(r"^import ", text, re.MULTILINE)
    assert re.findall(r"^export .*", text, re.MULTILINE) == ["export default { render };"]
    for name in MODULES[:-1]:
        assert text.count(f"const {name}_module = (() => {{") == 1
    assert "const { h, newId, quoted } = dom_module;" in text
    assert style().count("{") == style().count("}")


def test_nothing_is_made_of_html_and_nothing_is_fetched_from_elsewhere() -> None:
    text = module()
    for unsafe in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "DOMParser",
    ):
        assert unsafe not in text, unsafe
    assert re.findall(r"https?://[^\"]*", text) == ["http://www.w3.org/2000/svg"]
    assert "url(" not in style() and "@import" not in style()
