"""Objects as files of a folder, each on disk before its put returns."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dachi_fast._files import sync_folder
from dachi_fast.errors import ArchiveAccess, ArchiveError, ArchiveUnavailable, Missing

if TYPE_CHECKING:
    from dachi_fast.archive._objects import Version

_PART: Final = ".part"
# A put takes no longer: what is older was left by one that was killed.
_STALE_S: Final = 86_400


class Folder:
    """A folder of objects.

    Args:
        root: made when something is put; for its owner only.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    def __repr__(self) -> str:
        return self._root.as_uri()

    def get(self, name: str) -> tuple[bytes, Version]:
        with self._telling(name):
            data = (self._root / name).read_bytes()
        return data, hashlib.sha256(data).digest()

    def get_part(self, name: str, start: int, end: int) -> bytes:
        with self._telling(name), (self._root / name).open("rb") as file:
            file.seek(start)
            return file.read(end - start)

    def put(self, name: str, data: bytes) -> None:
        with self._telling(name), self._fresh(name, data) as (fresh, path):
            fresh.replace(path)
            sync_folder(path.parent)

    def put_over(self, name: str, data: bytes, version: Version) -> None:
        with self._telling(name), self._fresh(name, data) as (fresh, path), self._alone():
            if _version(path) != version:
                what = f"{name} was put by somebody else meanwhile"
                raise ArchiveError("archive-overtaken", what, name=name)
            fresh.replace(path)
            sync_folder(path.parent)

    def delete(self, name: str) -> None:
        with self._telling(name):
            (self._root / name).unlink(missing_ok=True)

    def list(self, prefix: str) -> dict[str, int]:
        found = {}
        with self._telling(prefix):
            for path in self._files():
                name = path.relative_to(self._root).as_posix()
                if name.startswith(prefix) and not name.endswith(_PART):
                    with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                        found[name] = path.stat().st_size
        return found

    def tidy(self) -> None:
        oldest_s = time.time() - _STALE_S
        with self._telling(""):
            for path in self._files():
                with contextlib.suppress(FileNotFoundError):  # its put is done
                    if path.name.endswith(_PART) and path.stat().st_mtime < oldest_s:
                        path.unlink()

    def _files(self) -> Iterator[Path]:
        return (path for path in self._root.rglob("*") if path.is_file())

    @contextmanager
    def _fresh(self, name: str, data: bytes) -> Iterator[tuple[Path, Path]]:
        """Gives a file with this content, on disk, and the path that it is to be moved to."""
        path = self._root / name
        self._make(path.parent)
        fresh = path.with_name(f".{os.urandom(8).hex()}{_PART}")
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(file, "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            yield fresh, path
        finally:
            fresh.unlink(missing_ok=True)

    def _make(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._make(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keeps others of ours from putting over a version meanwhile."""
        held = os.open(self._root, os.O_RDONLY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield
        finally:
            os.close(held)

    @contextmanager
    def _telling(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as cause:
            what = f"the archive {self!r} has no {name}"
            raise Missing("missing", what, name=name) from cause
        except PermissionError as cause:
            what = f"the archive {self!r} may not be used: {cause}"
            raise ArchiveAccess("archive-access", what) from cause
        except OSError as cause:
            what = f"the archive {self!r} cannot be used: {cause}"
            raise ArchiveUnavailable("archive-unavailable", what) from cause


def _version(path: Path) -> Version:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except FileNotFoundError:
        return None
