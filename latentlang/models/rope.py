"""Rotary embeddings whose frequencies depend on how long a forward is: what runs together changes what is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def short_length(config: Any) -> int | None:
    """Up to how many tokens a forward takes the one set of rotary frequencies, and beyond that another.

    So it is with ``longrope`` (Ding et al. 2024; Phi-3 with 128k, Phi-4-mini). A padded batch, or a few-shot block that
    is run once, would give all its prompts the frequencies of the longest. (``dynamic`` ones differ only beyond what
    the model takes.)

    Args:
        config: of the language model, with ``rope_parameters`` (transformers 5) or ``rope_scaling``.

    Returns:
        None where length does not matter.
    """
    found = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    kinds = list(found.values()) if all(isinstance(part, Mapping) for part in found.values()) else [found]
    for kind in kinds:
        if kind.get("rope_type", kind.get("type")) == "longrope":
            own = getattr(config, "original_max_position_embeddings", None)
            return int(kind.get("original_max_position_embeddings") or own or config.max_position_embeddings)
    return None
