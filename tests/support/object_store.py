"""Filesystems of objects for tests: a local S3 server, and one in memory that counts what is read."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import fsspec  # type: ignore[import-untyped]
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]

from latentlang.remote_paths import RemotePath, located

_NUMBERS = itertools.count(1)
KEYS = {
    "AWS_ACCESS_KEY_ID": "made-up", "AWS_SECRET_ACCESS_KEY": "made-up", "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}  # fmt: skip


@contextmanager
def server() -> Iterator[str]:
    """A local S3 server in this process; gives its URL."""
    from moto.server import ThreadedMotoServer

    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    try:
        host, port = running.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        running.stop()


def new_bucket(endpoint: str) -> str:
    """The URL of a new bucket of a server."""
    import boto3  # type: ignore[import-untyped]

    name = f"bucket-{next(_NUMBERS)}"
    client = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id="made-up", aws_secret_access_key="made-up",
        region_name="us-east-1",
    )  # fmt: skip
    client.create_bucket(Bucket=name)
    return f"s3://{name}"


def new_memory(scheme: str = "memory") -> str:
    """The URL of an empty folder in memory."""
    return f"{scheme}://folder-{next(_NUMBERS)}"


def remote(url: str) -> RemotePath:
    """A URL as a path."""
    path = located(url)
    assert isinstance(path, RemotePath)
    return path


def objects(url: str) -> dict[str, bytes]:
    """Names and bytes of what lies directly below a URL."""
    path = remote(url)
    return {name: (path / name).read_bytes() for name in sorted(path.sizes())}


def files(folder: Path) -> dict[str, bytes]:
    """The same of a folder of this machine."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


class Counted(MemoryFileSystem):  # type: ignore[misc]
    """One in memory that notes which bytes of which object were read, and can refuse to write."""

    protocol = "counted"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    read: ClassVar[list[tuple[str, int]]] = []
    forbidden: ClassVar[bool] = False

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        """As it is, noted."""
        content: bytes = super().cat_file(path, start=start, end=end, **options)
        self.read.append((Path(path).name, len(content)))
        return content

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> None:
        """As it is, unless it is forbidden."""
        if type(self).forbidden:
            raise PermissionError("Access Denied")
        super().pipe_file(path, value, mode=mode, **options)


fsspec.register_implementation("counted", Counted, clobber=True)
