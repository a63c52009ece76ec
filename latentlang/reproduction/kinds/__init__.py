"""Kinds of experiment: what the file of a table or figure says, which steps fill it, and how they become its cells.

A kind is one module here and one ``register`` in `shipped`; of one's own, ``register("mine", MyKind)``. What a module
of a kind needs is in `base`.
"""

from latentlang.reproduction.kinds import shipped
from latentlang.reproduction.kinds.registry import KINDS, kind_named, register

__all__ = ["KINDS", "kind_named", "register", "shipped"]
