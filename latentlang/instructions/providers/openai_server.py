"""Any server that speaks the OpenAI API: hosted, or one's own (vLLM, llama.cpp).

The key comes from the environment and stays in the client: it is in no setting, and taken out of whatever the server
says, so that it can reach no file, log or error.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from latentlang.arguments import check_count
from latentlang.errors import InputError, shown
from latentlang.installing import install_command
from latentlang.instructions.providers.base import FAILURES, Messages, ProviderError, Reply, plain
from latentlang.storage.documents import Record, checked, parse_json, printed

#: Environment variable that holds the key.
KEY = "OPENAI_API_KEY"
HOSTED = "https://api.openai.com/v1"
# What a server of one's own is given that asks for no key: the client insists on one.
_NO_KEY = "none"
_HIDDEN = "[key]"
# A shorter key (EMPTY, none) is no secret, and may be a word of a reply.
_LEAST_SECRET = 12
_SECONDS = 120.0
_STATUSES = {401: "key", 403: "key", 404: "not-found", 408: "timeout", 429: "limit"}
_REMEDIES = {
    "key": f"set {KEY} to one that is valid",
    "not-found": "name a model that the server has, and the address up to /v1",
    "limit": "wait, ask for fewer calls at once, or see to the account's limits; what is finished is kept",
    "server": "run the same command again; what is finished is kept",
    "timeout": "run the same command again, or allow more time; what is finished is kept",
    "unreachable": "start the server, or put the address right; what is finished is kept",
    "half-reply": "run the same command again; what is finished is kept",
    "unreadable": "see whether the address is that of an OpenAI-compatible server (it mostly ends in /v1)",
    "refused": "see what the server says of it",
    "empty-reply": "ask otherwise, or allow longer answers",
}


class _Text(Record):
    content: str | None = None


class _Choice(Record):
    message: _Text
    finish_reason: str | None = None


class _Tokens(Record):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(Record):
    choices: list[_Choice]
    usage: _Tokens | None = None


class OpenAIServer:
    """A model behind an OpenAI-compatible server.

    Attributes:
        model: the model's name, as the server knows it.
        url: the server's address, up to ``/v1``.
    """

    def __init__(
        self,
        model: str,
        *,
        url: str = HOSTED,
        temperature: float | None = 0.0,
        max_tokens: int | None = None,
        seed: int | None = None,
        timeout: float = _SECONDS,
        needs_key: bool = True,
    ) -> None:
        """Set up the client; nothing is asked yet.

        Args:
            model: the model's name, as the server knows it.
            url: the server's address, up to ``/v1``.
            temperature: of sampling; None leaves it to the server.
            max_tokens: of an answer, at most; None leaves it to the server.
            seed: of sampling, for servers that take one.
            timeout: seconds to wait for a reply.
            needs_key: whether the hosted server is refused without a key; not where nothing will be asked.

        Raises:
            InputError: no model is named, the address is none or holds a password, the hosted server is meant and there
                is no key, or the package ``openai`` is missing.
        """
        if not model:
            raise InputError(
                "no model is named; write openai:MODEL, or openai:MODEL@URL for a server of your own"
            )
        check_count("max_tokens", max_tokens, least=1)
        if not 0 < timeout < math.inf:
            raise InputError(f"timeout must be more than 0 seconds, not {timeout!r}")
        if temperature is not None and not 0 <= temperature < math.inf:
            raise InputError(f"temperature must be 0 or more, not {temperature!r}")
        self.model, self.url = model, _checked_url(url)
        self._options = {
            name: value
            for name, value in (("temperature", temperature), ("max_tokens", max_tokens), ("seed", seed))
            if value is not None
        }
        # OpenAI's own server takes the limit by its newer name for all models, others know the older one alone.
        limit = "max_completion_tokens" if self.url == HOSTED else "max_tokens"
        self._sent = {limit if name == "max_tokens" else name: value for name, value in self._options.items()}
        self._key = _key_of_the_environment()
        if needs_key and not self._key and self.url == HOSTED:
            raise InputError(
                f"there is no key for {self.url}: set the environment variable {KEY}, or name a server of your own, "
                f"openai:{model}@http://localhost:8000/v1"
            )
        try:
            import openai
        except ImportError:
            raise InputError(
                f"asking a server needs the package openai; `{install_command('instruct')}`"
            ) from None
        self._openai = openai
        self._client: Any = openai.OpenAI(
            api_key=self._key or _NO_KEY, base_url=self.url, timeout=timeout, max_retries=0
        )

    def __repr__(self) -> str:
        return f"OpenAIServer({self.model!r}, url={self.url!r})"

    @property
    def name(self) -> str:
        """``openai:MODEL``."""
        return f"openai:{self.model}"

    @property
    def settings(self) -> Mapping[str, Any]:
        """Address and sampling; the key is none of them."""
        return {"url": self.url, **self._options}

    def ask(self, messages: Messages) -> Reply:
        """One call of the server; it is not repeated here.

        Raises:
            ProviderError: as `FAILURES` has it.
        """
        content = self._called(messages)
        where = f"the reply of {self.url}"
        try:
            found = checked(_Completion, parse_json(content, where), where)
        except InputError as error:
            raise self._error("unreadable", str(error).partition("; ")[0]) from None
        if not found.choices:
            raise self._error("unreadable", "it has no choices")
        choice, usage = found.choices[0], found.usage or _Tokens()
        text = (choice.message.content or "").strip()
        if len(self._key) >= _LEAST_SECRET:
            text = self._without_key(text)
        if not text:
            why = f" (it ended by {shown(choice.finish_reason, most=40)})" if choice.finish_reason else ""
            raise self._error("empty-reply", f"the text is empty{why}")
        return Reply(text, usage.prompt_tokens, usage.completion_tokens, cut=choice.finish_reason == "length")

    def _called(self, messages: Messages) -> bytes:
        """The body of the server's reply."""
        errors = self._openai
        # Causes are not chained: an exception of the client holds the request and what the server said of it.
        try:
            raw = self._client.chat.completions.with_raw_response.create(
                model=self.model,
                messages=plain(messages),
                **self._sent,
            )
            content: bytes = raw.content
        except errors.APITimeoutError:
            raise self._error("timeout") from None
        except errors.APIStatusError as error:
            code = _STATUSES.get(error.status_code) or ("server" if error.status_code >= 500 else "refused")
            said = f"status {error.status_code}{self._said(error)}"
            raise self._error(code, said, wait=_wait(error.response.headers)) from None
        except errors.APIConnectionError as error:
            code = "half-reply" if "Protocol" in type(error.__cause__).__name__ else "unreachable"
            raise self._error(code, str(error.__cause__ or error)) from None
        except errors.OpenAIError as error:
            raise self._error("unreadable", str(error)) from None
        except Exception as error:  # a body that breaks off or is no text is met while it is read
            code = "half-reply" if "Protocol" in type(error).__name__ else "unreadable"
            raise self._error(code, f"{type(error).__name__} {error}") from None
        return content

    def _said(self, error: Any) -> str:
        """What the server says of an error."""
        body = error.body
        message = body.get("message") if isinstance(body, Mapping) else body
        return f", {message}" if isinstance(message, str) and message.strip() else ""

    def _error(self, code: str, detail: str = "", *, wait: float | None = None) -> ProviderError:
        said = f" ({printed(self._without_key(detail))})" if detail else ""
        message = f"{self.url}, model {self.model!r}: {FAILURES[code].about}{said}; {_REMEDIES[code]}"
        return ProviderError(message, code=code, wait=wait)

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, _HIDDEN) if self._key else text


def _key_of_the_environment() -> str:
    """The key; empty where there is none.

    Raises:
        InputError: it cannot be sent; it is not shown.
    """
    key = os.environ.get(KEY, "").strip()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise InputError(f"the key in {KEY} holds blanks or letters that no key has; set it anew")
    return key


def _checked_url(url: str) -> str:
    """An address that holds no secret and can be called.

    Raises:
        InputError: it is none.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable, parts = False, urlsplit("")
    if parts.username or parts.password or parts.query or parts.fragment:
        # not shown: what stands there may be a key
        raise InputError(
            f"the server's address holds a name, a password or a query; give the plain address, and a key by {KEY}"
        )
    if not usable:
        raise InputError(f"{shown(url)} is no address of a server; write it as http://localhost:8000/v1")
    return url.rstrip("/")


def _wait(headers: Any) -> float | None:
    """Seconds that the server wants to be left alone, where it says so."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None
