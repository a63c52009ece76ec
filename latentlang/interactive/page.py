"""The explorer as a page: style sheet, module and how it reaches its session, in one piece of HTML."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

from latentlang.interactive.frontend import module, style

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">{policy}<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><title>latentlang explorer</title><style>{style}</style></head>
<body><div id="explorer"></div>
<script type="module"{nonce}>{script}</script></body></html>
"""
_SCRIPT = """{module}
start(document.getElementById("explorer"), {transport});
"""
# Nothing is asked of anyone, not even of the computer that the file lies on.
_ALONE = (
    "default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)
# What ends a script, or a line in a script, wherever it stands: in JSON these stand within strings alone.
_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def explorer_page(transport: str, *, nonce: str | None = None) -> str:
    """The page.

    Args:
        transport: JavaScript that makes the transport; data in it went through `script_data`.
        nonce: of the script, in the policy that a server sends; None for a page that has its policy in itself, by which
            its script may run and nothing can be asked for.
    """
    script = _SCRIPT.format(module=module(), transport=transport)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    policy = _ALONE.format(digest=digest)
    return _PAGE.format(
        policy=f'<meta http-equiv="Content-Security-Policy" content="{policy}">' if nonce is None else "",
        style=style(), nonce="" if nonce is None else f' nonce="{nonce}"', script=script,
    )  # fmt: skip


def script_data(json_text: str) -> str:
    """JSON that can stand in a script of a page: nothing in it ends the script."""
    for character, escaped in _UNSAFE.items():
        json_text = json_text.replace(character, escaped)
    return json_text
