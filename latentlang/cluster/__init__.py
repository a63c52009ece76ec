"""One call on many processes and machines, through Ray: each language, or each shard of a harvest, is run by a worker.

What a worker runs is the single-machine code, and what it leaves is what a stopped run would have left; at the end the
single-machine call finds all of it there. So the result is the same, byte for byte.
"""

from __future__ import annotations

from latentlang.cluster.run import Cluster

__all__ = ["Cluster"]
