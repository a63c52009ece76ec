"""Paths that are not on this machine: ``s3://bucket/store``, ``gs://``, ``hf://``, whatever fsspec knows.

A `RemotePath` is a `Path` whose files are objects of a filesystem of fsspec, so that what reads or lists files
by a path's own methods works on both. An object is written whole, by one put, which is atomic on an object store;
there are no folders, only names that begin alike. Nothing is cached: every question is asked anew.
"""

from __future__ import annotations

import errno
import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PosixPath, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from latentlang.errors import InputError, LatentlangError, shown

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

# One letter would be a drive of Windows. `Path` makes one slash of two, and whatever came through it is still meant.
_URL = re.compile(r"([a-z][a-z0-9+.-]+):(/{1,2})(.*)", re.DOTALL)
_LOCAL = ("file", "local")
# What pip installs for a scheme, where an extra of ours does.
_EXTRAS = {"s3": "remote", "s3a": "remote"}
# Whose writing can be made to depend on what is there.
_CONDITIONAL = ("s3", "s3a")
# Bytes that a file read from front to back is asked for at once.
_BLOCK = 4 * 2**20


def located(path: str | os.PathLike[str]) -> Path:
    """A path as what it is: a `RemotePath` where it is the URL of a filesystem, else one of this machine.

    A `Path` that was made of a URL counts as the URL, though it has lost a slash (``s3:/bucket``).

    Raises:
        InputError: it has a scheme that fsspec does not know.
    """
    if isinstance(path, RemotePath):
        return path
    text = os.fspath(path)
    found = _URL.fullmatch(text)
    if found is None:
        return Path(path)
    scheme, slashes, rest = found.groups()
    if scheme in _LOCAL:
        return Path("/" + rest.lstrip("/")) if slashes == "//" else Path(path)
    from fsspec.registry import known_implementations, registry  # type: ignore[import-untyped]

    if scheme in known_implementations or scheme in registry:
        return RemotePath(text)
    if slashes == "//":
        raise InputError(
            f"{text!r}: there is no filesystem {scheme}:// here; known are s3://, gs://, hf:// and what else fsspec "
            "knows, or the path of a folder"
        )
    return Path(path)


class RemotePath(PosixPath):
    """A path on a filesystem of fsspec; as text it is its URL.

    What a filesystem of objects does not have (links, rights, renaming) is refused, not imitated on this machine.
    """

    def __str__(self) -> str:
        scheme, *names = self.parts or (".",)
        # above the bucket there is nothing that has a name
        return f"{scheme}//{'/'.join(names)}" if scheme.endswith(":") else super().__str__()

    def __fspath__(self) -> str:
        return str(self)

    def __reduce__(self) -> tuple[type[RemotePath], tuple[str]]:
        return RemotePath, (str(self),)

    @property
    def scheme(self) -> str:
        """``s3``."""
        return self.parts[0].removesuffix(":")

    def _found(self) -> tuple[AbstractFileSystem, str]:
        """The filesystem, and what it calls this.

        Raises:
            InputError: a package is missing, or it cannot be set up.
        """
        import fsspec

        try:
            fs, key = fsspec.core.url_to_fs(str(self), use_listings_cache=False)
        except ImportError as error:
            raise self._uninstalled(error) from error
        except Exception as error:
            raise self._failed(error) from error
        return fs, str(key)

    def _uninstalled(self, error: ImportError) -> InputError:
        from latentlang.installing import install_command

        extra = _EXTRAS.get(self.scheme)
        how = install_command(extra) if extra else f"{error}"
        return InputError(f"{str(self)!r}: {self.scheme}:// needs a package that is not installed: {how}")

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """A block that asks the filesystem; all but that something is not there is an `InputError`."""
        try:
            yield
        except (LatentlangError, MemoryError):
            raise
        except FileExistsError as error:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self)) from error
        except FileNotFoundError as error:
            if _says_no_bucket(error):
                raise InputError(
                    f"{str(self)!r}: there is no bucket {self.parts[1] if len(self.parts) > 1 else ''!r}; make it, or "
                    "correct the name"
                ) from error
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self)) from error
        except Exception as error:
            if _says_changed(error):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self)) from error
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> InputError:
        line = shown(" ".join(str(error).split()) or type(error).__name__)[1:-1]
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if isinstance(error, PermissionError) or kinds & {"NoCredentialsError", "PartialCredentialsError"}:
            return InputError(
                f"no permission for {str(self)!r}: {line}; see to the credentials (for s3:// AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE) and to what they may do"
            )
        if isinstance(error, NotImplementedError):
            return InputError(
                f"{str(self)!r}: {self.scheme}:// does not offer this; choose another filesystem"
            )
        return InputError(
            f"{str(self)!r} cannot be reached: {line}; see to the network and the endpoint (for s3:// "
            "AWS_ENDPOINT_URL) and run the same again: what is complete is kept"
        )

    def _info(self) -> dict[str, Any]:
        fs, key = self._found()
        with self._asked():
            info: dict[str, Any] = fs.info(key, refresh=True)
        return info

    # What is there

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Size and kind; the rest is zero.

        Raises:
            FileNotFoundError: nothing is there.
            InputError: the filesystem cannot be asked.
        """
        info = self._info()
        mode = stat.S_IFDIR if info["type"] == "directory" else stat.S_IFREG
        return os.stat_result((mode, 0, 0, 1, 0, 0, int(info.get("size") or 0), 0, 0, 0))

    def lstat(self) -> os.stat_result:
        """As `stat`: there are no links."""
        return self.stat()

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        """Whether an object is there, or any below it."""
        try:
            self._info()
        except FileNotFoundError:
            return False
        return True

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Whether an object is there."""
        try:
            return str(self._info()["type"]) == "file"
        except FileNotFoundError:
            return False

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Whether objects are below it."""
        try:
            return str(self._info()["type"]) == "directory"
        except FileNotFoundError:
            return False

    def is_symlink(self) -> bool:
        """There are none."""
        return False

    def is_absolute(self) -> bool:
        """It always is."""
        return True

    def absolute(self) -> RemotePath:
        """Itself."""
        return self

    def resolve(self, strict: bool = False) -> RemotePath:
        """Itself."""
        return self

    def expanduser(self) -> RemotePath:
        """Itself."""
        return self

    def relative_to(self, *other: Any, **options: Any) -> PurePosixPath:  # type: ignore[override]
        """What is left of it below another one, which is no URL any more."""
        return PurePosixPath(*self.parts).relative_to(*(PurePosixPath(*located(one).parts) for one in other))

    def sizes(self) -> dict[str, int]:
        """The objects directly below it, name to size in bytes; one question for all."""
        fs, key = self._found()
        try:
            with self._asked():
                entries = fs.ls(key, detail=True, refresh=True)
        except FileNotFoundError:
            return {}
        return {
            PurePosixPath(entry["name"]).name: int(entry.get("size") or 0)
            for entry in entries
            if entry["type"] == "file"
        }

    def iterdir(self) -> Iterator[RemotePath]:  # type: ignore[override]
        """What lies directly below it; nothing where nothing does."""
        fs, key = self._found()
        try:
            with self._asked():
                entries = fs.ls(key, detail=False, refresh=True)
        except FileNotFoundError:
            return
        for name in sorted({PurePosixPath(entry).name for entry in entries}):
            yield self / name

    def glob(self, pattern: str, **options: Any) -> Iterator[RemotePath]:  # type: ignore[override]
        """The objects below it whose name fits; ``**/`` before it means at any depth."""
        fs, key = self._found()
        name = pattern.removeprefix("**/")
        try:
            with self._asked():
                found = fs.find(key)
        except FileNotFoundError:
            return
        root = PurePosixPath(key)
        for entry in sorted(found):
            relative = PurePosixPath(entry).relative_to(root)
            deep = len(relative.parts) > len(PurePosixPath(name).parts)
            if relative.match(name) and (name != pattern or not deep):
                yield self / relative

    def rglob(self, pattern: str, **options: Any) -> Iterator[RemotePath]:  # type: ignore[override]
        """The objects below it, at any depth, whose name fits."""
        return self.glob(f"**/{pattern}")

    # Reading

    def read_range(self, start: int, stop: int) -> bytes:
        """The bytes from `start` up to `stop`, and no others.

        Raises:
            FileNotFoundError: nothing is there.
            InputError: it cannot be read.
        """
        if stop <= start:
            return b""
        fs, key = self._found()
        with self._asked():
            return bytes(fs.cat_file(key, start=start, end=stop))

    def read_bytes(self) -> bytes:
        """All of it.

        Raises:
            FileNotFoundError: nothing is there.
            InputError: it cannot be read.
        """
        fs, key = self._found()
        with self._asked():
            return bytes(fs.cat_file(key))

    def open(  # type: ignore[override]
        self,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[Any]:
        """A file to read it from, by ranges; what is written goes through `put` or `storage.files.replacing`.

        Raises:
            FileNotFoundError: nothing is there.
            InputError: it cannot be read, or is to be written.
        """
        if set(mode) & set("wax+"):
            raise self._refused("be written piece by piece")
        stream = io.BufferedReader(_Ranges(self, self.stat().st_size), _BLOCK)
        return stream if "b" in mode else io.TextIOWrapper(stream, encoding or "utf-8", errors, newline)

    def read_text(
        self, encoding: str | None = None, errors: str | None = None, newline: str | None = None
    ) -> str:
        """All of it as text, UTF-8 unless it is said."""
        with self.open(encoding=encoding, errors=errors, newline=newline) as stream:
            return str(stream.read())

    # Writing

    def put(self, content: bytes | Path, *, new: bool = False) -> None:
        """Write it whole, in the place of what is there.

        Args:
            content: the bytes, or a file of this machine that holds them.
            new: only where nothing is there.

        Raises:
            FileExistsError: something is there, and `new` was asked for.
            InputError: it cannot be written.
        """
        fs, key = self._found()
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        try:
            with self._asked():
                if not isinstance(content, bytes):
                    fs.put_file(str(content), key)
                else:
                    fs.pipe_file(key, content, mode="create" if new else "overwrite")
                written = int(fs.info(key, refresh=True).get("size") or 0)
        except FileNotFoundError as error:
            raise InputError(f"cannot write {str(self)!r}: it is not there after it was written") from error
        if written != size:
            raise InputError(
                f"cannot write {str(self)!r}: {written} of {size} bytes arrived; run the same again"
            )

    def exchange(self, content: bytes, *, was: bytes) -> bool:
        """Write it in the place of what was there, unless that is something else by now; whether it was written.

        S3 itself compares (by the ETag); elsewhere it is looked just before.

        Raises:
            InputError: it cannot be read or written.
        """
        fs, key = self._found()
        condition = {}
        try:
            with self._asked():
                if self.scheme in _CONDITIONAL:
                    condition = {"IfMatch": fs.info(key, refresh=True)["ETag"]}
                if fs.cat_file(key) != was:
                    return False
                fs.pipe_file(key, content, **condition)
        except (FileNotFoundError, FileExistsError):
            return False
        return True

    def write_bytes(self, data: Any) -> int:
        """Write it whole."""
        self.put(bytes(data))
        return len(bytes(data))

    def write_text(
        self, data: str, encoding: str | None = None, errors: str | None = None, newline: str | None = None
    ) -> int:
        """Write it whole, UTF-8 unless it is said."""
        return self.write_bytes(data.encode(encoding or "utf-8", errors or "strict"))

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the object.

        Raises:
            FileNotFoundError: nothing is there, and that is not to be.
            InputError: it cannot be removed.
        """
        fs, key = self._found()
        # where nothing is, some filesystems say so and others do not
        if not missing_ok and not self.exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        try:
            with self._asked():
                fs.rm_file(key)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Nothing: there are no folders to be made."""

    def rmdir(self) -> None:
        """Nothing: where no object is, no folder is."""

    def _refused(self, what: str) -> InputError:
        return InputError(f"{str(self)!r} is not on this machine and cannot {what}; choose a folder here")

    def replace(self, target: Any) -> Any:
        """Refused: an object store cannot rename."""
        raise self._refused("be renamed")

    rename = replace

    def touch(self, mode: int = 0o666, exist_ok: bool = True) -> None:
        """Refused."""
        raise self._refused("be touched")

    def chmod(self, mode: int, *, follow_symlinks: bool = True) -> None:
        """Refused."""
        raise self._refused("be given rights")

    def symlink_to(self, target: Any, target_is_directory: bool = False) -> None:
        """Refused."""
        raise self._refused("be a link")

    def hardlink_to(self, target: Any) -> None:
        """Refused."""
        raise self._refused("be a link")


class _Ranges(io.RawIOBase):
    """An object as a file to read, each read one range of it."""

    def __init__(self, path: RemotePath, size: int) -> None:
        self._path, self._size, self._at = path, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, begin + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        content = self._path.read_range(self._at, min(self._at + len(view), self._size))
        view[: len(content)] = content
        self._at += len(content)
        return len(content)


def _says_no_bucket(error: BaseException) -> bool:
    """Whether what is not there is the bucket, which no filesystem says otherwise than in words."""
    text = str(error).casefold()
    return "bucket" in text and "exist" in text


def _says_changed(error: BaseException) -> bool:
    """Whether a server wrote nothing because something else is there than was asked for."""
    response = getattr(error.__cause__, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    return code in ("PreconditionFailed", "ConditionalRequestConflict")
