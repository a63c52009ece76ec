"""One call on many processes and machines, through Ray: each language, or each shard of a harvest, is run by a worker.

What a worker runs is the single-machine code, and what it leaves is what a stopped run would have left; at the end the
single-machine call finds all of it there. So the result is the same, byte for byte. Names are imported on first use: a
worker begins with what it runs alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentlang._lazy import lazy_names

if TYPE_CHECKING:
    from latentlang.cluster.run import Cluster

__all__ = ["Cluster"]

__getattr__, __dir__ = lazy_names(__name__, {"latentlang.cluster.run": ("Cluster",)})
