"""Settings of every test: no network, one thread (two are slower for tiny models when cores are shared)."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["LATENTLANG_PROGRESS"] = "0"  # what is shown after some seconds depends on the machine
os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the children too
# What a command shows depends on them; pytest-xdist sets them in its workers.
os.environ.pop("COLUMNS", None)
os.environ.pop("LINES", None)

import hypothesis
import pytest
import torch

# At its import it compiles a grammar for three seconds, with which jsonschema (of nbformat) could check
# internationalised addresses; notebooks have none.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
torch.set_num_threads(1)
# No test measures time, and none is tried less because the machine is busy.
hypothesis.settings.register_profile("latentlang", deadline=None)
hypothesis.settings.load_profile("latentlang")

# Nothing that a test writes has to be there after a power failure, and each call would wait for the disk. What a killed
# process wrote is the kernel's already, so that tests of kills see the same; that a file is flushed before it gets its
# name is seen by those that kill a process, or fail, at this very call (tests/storage/test_atomic_files.py).
os.fsync = lambda _descriptor: None
# Imports and tests live to the end: looking through them for garbage again and again was a tenth of the time.
gc.set_threshold(20_000, 10, 10)


def pytest_collection_finish() -> None:
    """What there is when the first test begins is no garbage."""
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``-n`` alone, work is shared out in the tests' own way; not where another ``--dist`` is asked for."""
    if config.getvalue("dist") != "load":
        return None
    from tests.support.several_processes import Scheduling

    return Scheduling(config, log)


@pytest.fixture(autouse=True)
def _seed() -> None:
    """Every test draws the same random numbers, whatever ran before it."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the package keeps for a user is neither found nor left by tests and the processes that they begin."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATENTLANG_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def object_store() -> Iterator[str]:
    """The URL of a local S3 server, one for all tests of a process."""
    from tests.support.object_store import server

    with server() as endpoint:
        yield endpoint


@pytest.fixture
def bucket(object_store: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a new bucket, ``s3://...``, which the clients of this process find."""
    import s3fs

    from tests.support.object_store import KEYS, new_bucket

    for name, value in {**KEYS, "AWS_ENDPOINT_URL": object_store}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    s3fs.S3FileSystem.clear_instance_cache()
    yield new_bucket(object_store)
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(params=["memory", "s3"])
def place(request: pytest.FixtureRequest) -> str:
    """A folder of another filesystem: in memory, and on a real client's way to a local S3 server."""
    from tests.support.object_store import new_memory

    if request.param == "memory":
        return new_memory()
    return f"{request.getfixturevalue('bucket')}/of/mine"
