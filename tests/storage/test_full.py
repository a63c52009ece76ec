"""A full disk is told as one, whichever library met it."""

import resource

import pytest
import torch
from safetensors.torch import save_file

from latentlang.errors import InputError
from latentlang.storage.full import disk_may_be_full

WRITERS = {
    "python": lambda path: path.write_bytes(bytes(100_000)),
    "torch": lambda path: torch.save({"a": torch.ones(25_000)}, path),
    "safetensors": lambda path: save_file({"a": torch.ones(25_000)}, path),
}


@pytest.mark.parametrize("limit", [10, 1_000, 99_000])
@pytest.mark.parametrize("writer", WRITERS)
def test_it_is_one_error(tmp_path, writer, limit):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(InputError, match="no space left for"), disk_may_be_full(tmp_path / "file"):
            WRITERS[writer](tmp_path / "file")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_other_errors_stay_what_they_are(tmp_path):
    for error in (
        PermissionError(13, "Permission denied"),
        RuntimeError("shapes differ"),
        KeyboardInterrupt(),
    ):
        with pytest.raises(type(error)) as told, disk_may_be_full(tmp_path):
            raise error
        assert told.value is error
