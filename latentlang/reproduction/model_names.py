"""What models are called in a reproduction, and whether two names are of one."""

from __future__ import annotations

from pathlib import Path

from latentlang.models.registry import resolve


def model_name(name: str) -> str:
    """What a model is called on a page: of a folder its own name, not where it lies."""
    info = resolve(name)
    return Path(info.hub_id).name if info.local else info.name


def same_model(one: str, other: str) -> bool:
    """Whether two names are of one model."""
    return resolve(one).hub_id == resolve(other).hub_id
