"""Downloads: what others published, fetched from there and verified; nothing of it lies in the package.

``download("spontaneous")`` gets the reference paper's test and training data as a folder that every ``data=`` and
``--data`` reads. Needs ``pip install 'latentlang[data]'``.
"""

from __future__ import annotations

from latentlang.downloads.catalogue import PublishedFile, PublishedSet, published_set, published_sets
from latentlang.downloads.fetch import Download, download
from latentlang.downloads.scripts import script_blocks

__all__ = [
    "Download",
    "PublishedFile",
    "PublishedSet",
    "download",
    "published_set",
    "published_sets",
    "script_blocks",
]
