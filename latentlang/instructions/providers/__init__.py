"""Providers: what answers messages (a server, a local model, a recording, a table), and what stands around any of them.

`Asker` keeps every reply on the disk, tries again what may pass, counts and limits; `Planner` says beforehand what that
will take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentlang._lazy import lazy_names

if TYPE_CHECKING:
    from latentlang.instructions.providers.asking import Asker, Usage
    from latentlang.instructions.providers.base import Provider, ProviderError, Reply
    from latentlang.instructions.providers.local import LocalModel
    from latentlang.instructions.providers.openai_server import OpenAIServer
    from latentlang.instructions.providers.planning import CallPlan, Planner, Prices
    from latentlang.instructions.providers.recorded import Recording
    from latentlang.instructions.providers.registry import provider, register_provider
    from latentlang.instructions.providers.tables import AnswerTable

__all__ = [
    "AnswerTable",
    "Asker",
    "CallPlan",
    "LocalModel",
    "OpenAIServer",
    "Planner",
    "Prices",
    "Provider",
    "ProviderError",
    "Recording",
    "Reply",
    "Usage",
    "provider",
    "register_provider",
]

_HOME = "latentlang.instructions.providers"
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        f"{_HOME}.asking": ("Asker", "Usage"),
        f"{_HOME}.base": ("Provider", "ProviderError", "Reply"),
        f"{_HOME}.local": ("LocalModel",),
        f"{_HOME}.openai_server": ("OpenAIServer",),
        f"{_HOME}.planning": ("CallPlan", "Planner", "Prices"),
        f"{_HOME}.recorded": ("Recording",),
        f"{_HOME}.registry": ("provider", "register_provider"),
        f"{_HOME}.tables": ("AnswerTable",),
    },
)
