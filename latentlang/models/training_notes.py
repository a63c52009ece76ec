"""What the record of a training says that a reader must know: its base, its tokenizer, and the template it saw."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latentlang.errors import shown
from latentlang.models.chat import template_digest
from latentlang.storage import documents

#: The template of a recipe that is the one of the model's tokenizer.
CHAT = "chat"
_DIGITS = 16


def training_record(folder: Path) -> Mapping[str, Any]:
    """The provenance of a training by this package; empty where a folder has none."""
    try:
        record = documents.read_json(folder / "metadata.json", finite=False)
        provenance = record["provenance"]
        return provenance if isinstance(provenance, dict) and record.get("kind") == "training" else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def trained_template(folder: Path) -> str | None:
    """The template that training saw instructions in; None where there was none, or nobody says."""
    settings = training_record(folder).get("settings")
    recipe = settings.get("recipe") if isinstance(settings, Mapping) else None
    data = recipe.get("data") if isinstance(recipe, Mapping) else None
    template = data.get("template") if isinstance(data, Mapping) else None
    return template if isinstance(template, str) else None


def tokenizer_digest(tokenizer: Any) -> str:
    """A hash that changes with a tokenizer's vocabulary, or with how it cuts texts."""
    digest = hashlib.sha256()
    for token, number in sorted(tokenizer.get_vocab().items(), key=lambda entry: (entry[1], entry[0])):
        digest.update(f"{number}:{token}\0".encode("utf-8", "surrogatepass"))
    backend = getattr(tokenizer, "backend_tokenizer", None)
    for part in (
        () if backend is None else (backend.normalizer, backend.pre_tokenizer, backend.post_processor)
    ):
        state = {} if part is None else json.loads(part.__getstate__())
        digest.update(json.dumps(state, sort_keys=True).encode() + b"\0")
    return f"sha256 {digest.hexdigest()[:_DIGITS]}"


def trained_otherwise(folder: Path, tokenizer: Any, *, name: str) -> list[str]:
    """Sentences on an adapter that was trained with another tokenizer, or in another chat template, than is here.

    Args:
        folder: the adapter's.
        tokenizer: the model's.
        name: what the adapter is called.
    """
    settings = training_record(folder).get("settings")
    if not isinstance(settings, Mapping) or tokenizer is None:
        return []
    notes = []
    said = settings.get("tokenizer")
    if isinstance(said, str) and said != (here := tokenizer_digest(tokenizer)):
        notes.append(
            f"the adapter {name!r} was trained with another tokenizer ({shown(said)}, this is {here}): readings with "
            "it may mean nothing"
        )
    said, template = settings.get("chat_template"), template_digest(tokenizer)
    if trained_template(folder) == CHAT and isinstance(said, str) and said != template:
        notes.append(
            f"the adapter {name!r} was trained in another chat template ({shown(said)}) than this tokenizer's "
            f"({template or 'which has none'})"
        )
    return notes
