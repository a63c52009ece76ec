"""Paths that are not on this machine: what they name, and one clear line where they cannot be reached."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from latentlang.errors import InputError
from latentlang.paths import given_path, is_file, is_folder, is_present, usable_path
from latentlang.remote_paths import RemotePath, located
from latentlang.storage import files
from latentlang.storage.documents import read_json
from tests.support.object_store import Counted, new_memory, objects, remote


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("s3://bucket/a/b", "s3://bucket/a/b"),
        (Path("s3://bucket/a/b"), "s3://bucket/a/b"),
        ("hf://datasets/me/acts", "hf://datasets/me/acts"),
        ("memory://a/", "memory://a"),
    ],
)
def test_a_url_stays_one_whatever_it_came_through(given: str | Path, text: str) -> None:
    path = located(given)
    assert isinstance(path, RemotePath)
    assert str(path) == text
    assert str(path / "c" / "d.parquet") == f"{text}/c/d.parquet"
    assert str((path / "c").with_suffix(".x").parent) == text
    assert str(located(Path(path))) == text
    assert str(pickle.loads(pickle.dumps(path))) == text  # noqa: S301 - our own, for workers
    assert path == given_path(given) == usable_path(text)
    below = (path / "c" / "d").relative_to(path)
    assert (str(below), isinstance(below, RemotePath)) == ("c/d", False)
    assert (path / "c").is_relative_to(path)
    assert not path.is_relative_to(path / "c")
    assert [str(parent) for parent in path.parents][-2:] == [f"{path.scheme}://", "."]


@pytest.mark.parametrize("given", ["a/b", "/a", "C:/windows", "s3", "a:b", "notes: 1/2", "odd:/x"])
def test_what_is_no_url_is_a_path_here(given: str) -> None:
    path = located(given)
    assert not isinstance(path, RemotePath)
    assert path == Path(given)


def test_file_urls_are_paths_here() -> None:
    assert located("file:///tmp/a") == Path("/tmp/a")
    assert not isinstance(located("file:///tmp/a"), RemotePath)


def test_a_scheme_that_nobody_knows_is_named() -> None:
    with pytest.raises(InputError, match="there is no filesystem s4:// here"):
        located("s4://bucket/a")


@pytest.fixture
def folder(place: str) -> RemotePath:
    return remote(place)


def test_what_lies_there_is_seen_read_and_removed(folder: RemotePath) -> None:
    assert not folder.exists()
    assert list(folder.iterdir()) == list(folder.glob("*")) == []
    assert folder.sizes() == {}
    for name in ("b.txt", "a.json", "deep/er/c.txt"):
        (folder / name).put(name.encode())
    assert is_folder(folder)
    assert is_file(str(folder / "a.json"))
    assert is_present(Path(str(folder / "deep")))
    assert not is_present(folder / "a")
    assert [path.name for path in folder.iterdir()] == ["a.json", "b.txt", "deep"]
    assert folder.sizes() == {"a.json": 6, "b.txt": 5}
    assert [path.name for path in folder.glob("*.txt")] == ["b.txt"]
    assert [path.name for path in folder.rglob("*.txt")] == ["b.txt", "c.txt"]
    assert (folder / "b.txt").read_range(2, 4) == b"tx"
    with (folder / "a.json").open("rb") as stream:
        assert stream.seek(2) == 2
        assert stream.read() == b"json"
    (folder / "b.txt").unlink()
    (folder / "b.txt").unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError):
        (folder / "b.txt").unlink()
    with pytest.raises(FileNotFoundError):
        (folder / "b.txt").read_bytes()
    with pytest.raises(FileExistsError):
        (folder / "a.json").put(b"mine", new=True)
    assert (folder / "a.json").read_text() == "a.json"


def test_what_changed_meanwhile_is_not_exchanged(folder: RemotePath, monkeypatch) -> None:
    path = folder / "a.json"
    assert not path.exchange(b"new", was=b"old"), "nothing is there"
    path.put(b"old")
    assert path.exchange(b"new", was=b"old")
    assert not path.exchange(b"newer", was=b"old")
    assert path.read_bytes() == b"new"
    if folder.scheme == "s3":
        client = path._found()[0]
        read = client.cat_file

        def changing(key: str, **options: Any) -> Any:
            content = read(key, **options)
            path.put(b"theirs")
            return content

        monkeypatch.setattr(client, "cat_file", changing)
        assert not path.exchange(b"newer", was=b"new"), "S3 itself compares"
        monkeypatch.undo()
        assert path.read_bytes() == b"theirs"


def test_what_is_replaced_while_it_is_read_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    record = remote(new_memory()) / "record.json"
    record.put(b"[1]")
    asked = RemotePath.stat

    def replaced(self: RemotePath, **options: Any) -> Any:
        found = asked(self, **options)
        self.put(b"[1, 2]")
        return found

    monkeypatch.setattr(RemotePath, "stat", replaced)
    assert read_json(record) == [1, 2]


def test_a_file_is_put_whole_or_not_at_all(folder: RemotePath, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(files.tempfile, "gettempdir", lambda: str(tmp_path))
    target = folder / "out.json"

    def failing() -> None:
        with files.replacing(target) as stream:
            stream.write(b"[1, 2")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert not target.exists()
    with files.replacing(Path(str(target))) as stream:
        stream.write(b"[1, 2]")
        assert not target.exists()
    assert read_json(target) == [1, 2]
    with files.Staged(folder) as staged:
        staged.add("one", b"1")
        staged.add("two", b"2")
        assert set(objects(str(folder))) == {"out.json"}
    assert objects(str(folder)) == {"one": b"1", "out.json": b"[1, 2]", "two": b"2"}
    assert list(tmp_path.iterdir()) == [], "no temporary file is left"


@pytest.mark.parametrize("how", ["rename", "replace", "touch", "chmod", "symlink_to", "hardlink_to"])
def test_what_an_object_store_cannot_do_is_refused(how: str) -> None:
    path = remote(new_memory()) / "a"
    arguments = [] if how == "touch" else [0o600] if how == "chmod" else [path]
    with pytest.raises(InputError, match="is not on this machine and cannot"):
        getattr(path, how)(*arguments)
    with pytest.raises(InputError, match="cannot be written piece by piece"):
        path.open("wb")


def test_a_folder_for_local_files_only_is_refused_there() -> None:
    with pytest.raises(
        InputError, match="is not on this machine, and this is written into a folder here only"
    ):
        files.prepare_folder(new_memory())


# What cannot be reached


def test_a_bucket_that_is_missing_is_named(bucket: str) -> None:
    for ask in (lambda path: path.exists(), lambda path: path.put(b"1"), lambda path: path.sizes()):
        with pytest.raises(InputError, match="there is no bucket 'no-such-bucket'; make it"):
            ask(remote("s3://no-such-bucket/store"))


def test_an_endpoint_that_nobody_serves_is_named(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(InputError, match=r"cannot be reached: .*127\.0\.0\.1:9.*AWS_ENDPOINT_URL"):
        files.prepare_folder(f"{bucket}/store", remote=True)


@pytest.fixture
def forbidden() -> Iterator[str]:
    Counted.forbidden = True
    yield new_memory("counted")
    Counted.forbidden = False


def test_what_is_not_permitted_is_said_before_anything_is_computed(forbidden: str) -> None:
    with pytest.raises(InputError, match=r"no permission for 'counted://.*Access Denied"):
        files.prepare_folder(forbidden, remote=True)


def test_a_missing_package_is_said_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(
        InputError, match=r"s3:// needs a package that is not installed: pip install .*\[remote\]"
    ):
        remote("s3://bucket/a").exists()


def test_an_s3_client_without_credentials_is_told_which_it_takes(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(InputError, match=r"no permission for 's3://.*AWS_ACCESS_KEY_ID"):
        files.prepare_folder(f"{bucket}/store", remote=True)
