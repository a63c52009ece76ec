"""What the page is told first: the model, its lenses, the languages, the concepts, the prompt to begin with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from latentlang.interactive.language_prompts import example_prompts
from latentlang.interactive.messages import Message, NoArguments
from latentlang.interactive.request_run import RequestRun
from latentlang.interactive.session import BASE, Session
from latentlang.interactive.view_registry import names, register
from latentlang.interactive.views.saved import describe_saved
from latentlang.language_names import language


@dataclass(frozen=True)
class OpeningView:
    """One part: ``model, lenses, adapters, languages, first, task, concepts, prompt, examples, views, saved``."""

    name: str = "open"
    arguments: type[Message] = NoArguments

    def parts(
        self, session: Session, arguments: NoArguments, run: RequestRun, /
    ) -> Iterator[dict[str, Any] | None]:
        """What the session has."""
        model = session.model
        yield {
            "model": {
                "name": model.name, "layers": model.n_layers, "vocabulary": model.vocab_size,
                "context": model.max_length,
            },
            "lenses": [{"id": name, "name": name} for name in session.lenses],
            "adapters": [
                {"id": name, "name": "without adapter" if name == BASE else str(model.adapter)}
                for name in session.adapters
            ],
            "languages": [
                {"code": entry.code, "name": entry.name, "own": entry.own_name, "rtl": entry.rtl}
                for entry in map(language, session.speaking)
            ],
            "first": list(session.languages),
            "task": session.task.name,
            "concepts": sorted(map(_concept, session.labels), key=lambda concept: concept["name"]),
            "prompt": session.prompt,
            "examples": example_prompts(session.task),
            "views": [name for name in names() if name != "saved" or session.saved is not None],
            "saved": describe_saved(session.saved, session.saved_folder),
        }  # fmt: skip

    def code(self, session: Session, arguments: NoArguments, /) -> str:
        """Python code that opens the explorer."""
        return ""


def _concept(label: str) -> dict[str, str]:
    """A label with the word that a reader looks for: ``dog (animal)`` of ``animal/dog``."""
    category, _, word = label.rpartition("/")
    return {"label": label, "name": f"{word} ({category})" if category else word}


register(OpeningView())
