"""The same tensors and metadata are the same bytes, in whatever process."""

import os
import subprocess
import sys

import torch
from safetensors import safe_open
from safetensors.torch import load

from latentlang.storage.tensors import tensor_bytes

TENSORS = {
    "b": torch.arange(6.0).reshape(2, 3),
    "a": torch.ones(1, dtype=torch.int64),
    "none": torch.empty(0, 2),
}
METADATA = {f"name {place}": "Wert \u4e2d" * place for place in range(8)}
_CODE = """
import sys, torch
from latentlang.storage.tensors import tensor_bytes
metadata = {f"name {place}": str(place) for place in range(12)}
sys.stdout.buffer.write(tensor_bytes({"a": torch.ones(3)}, metadata))
"""


def test_it_is_an_ordinary_file_of_that_content(tmp_path):
    content = tensor_bytes(TENSORS, METADATA)
    (tmp_path / "file").write_bytes(content)
    with safe_open(tmp_path / "file", framework="pt") as stored:
        assert stored.metadata() == METADATA
    found = load(content)
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in TENSORS.items())


def test_every_process_writes_the_same_bytes():
    """Of twelve names the package's own order was another in each of three processes."""
    own = os.environ.get("PYTHONHASHSEED")
    found = {
        subprocess.run(
            [sys.executable, "-c", _CODE],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in [seed for seed in "123" if seed != own][:2]
    }
    found.add(tensor_bytes({"a": torch.ones(3)}, {f"name {place}": str(place) for place in range(12)}))
    assert len(found) == 1
