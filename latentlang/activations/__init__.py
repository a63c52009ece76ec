"""Activations on disk: streamed there by `harvest`, read back one layer at a time by `open_store`; those of
other engines are taken in by `import_activations`.

A store is a folder of

- ``manifest.json``: format version, model, layout (sites, layers, pools, dtype, shape), what decides the last bit of
  a number, and each shard with its size and SHA-256; replaced whole whenever a shard is done;
- ``prompts.parquet``: a row per prompt, in the order of the rows of every layer;
- ``shard-00000.safetensors`` and on: consecutive prompts, ordinary safetensors files with a tensor
  ``[prompt, d_model]`` per site, layer and pool (``resid.020.mean``), each one run of bytes in that order, so that
  one layer is mapped without touching the rest;
- ``metadata.json``: where it came from, as of every result.
"""

from latentlang.activations.harvesting import harvest
from latentlang.activations.importing import import_activations
from latentlang.activations.store import ActivationStore, LayerView, open_store
from latentlang.activations.verify import find_faults
from latentlang.activations.writer import write_store

__all__ = [
    "ActivationStore",
    "LayerView",
    "find_faults",
    "harvest",
    "import_activations",
    "open_store",
    "write_store",
]
