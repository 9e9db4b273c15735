"""An archive by its URL."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from dachi_fast.archive._folder import Folder
from dachi_fast.errors import ArchiveError

if TYPE_CHECKING:
    from dachi_fast.archive._objects import Objects, Version

_REMOTE: Final = frozenset(
    {"s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss", "https", "memory"}
)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*")


class Archive:
    """Objects by name, in a folder or an object store.

    What is put there is sealed before: an archive sees random names, lengths and times. A store
    needs a place of its own; `Store.backup` says what it keeps there.

    Args:
        url: a path or ``file://`` for a folder, which needs no other package; ``s3://bucket/prefix``,
            ``az://container/prefix``, ``gs://bucket/prefix``, and ``memory://name``, which lasts as
            long as the process, through obstore (extra ``archive``).
        **options: for all but folders, what obstore's ``from_url`` takes: credentials, ``region``,
            ``endpoint``, ``client_options``, ``retry_config``. Without them obstore looks into the
            environment as the service's own tools do.

    Raises:
        ArchiveError: the URL or an option is none that is known, or obstore is not installed.

    Example:
        >>> from dachi_fast import Archive
        >>> archive = Archive("elsewhere")
        >>> archive.put("notes/one", b"sealed")
        >>> archive.list(), archive.get("notes/one")
        ({'notes/one': 6}, b'sealed')
    """

    def __init__(self, url: str | os.PathLike[str], **options: Any) -> None:
        self._objects = _objects(url, options)

    def __repr__(self) -> str:
        return f"Archive({str(self._objects)!r})"

    def put(self, name: str, data: bytes) -> None:
        """Puts an object in place of whatever there is.

        Returned means kept: a folder has it on disk, a service has acknowledged it.

        Args:
            name: lower-case letters, digits, ``-``, ``_``, in parts between slashes.
            data: the object, put in one piece.

        Raises:
            ArchiveUnavailable: the archive cannot be reached, or failed.
            ArchiveError: it refuses.
            ValueError: no such name can be.
        """
        self._objects.put(_checked(name), data)

    def put_over(self, name: str, data: bytes, version: Version) -> None:
        """Puts an object only if the one there still has a version that `get_version` gave.

        Args:
            name: as for `put`.
            data: the object.
            version: None if there must be none yet. A service that knows no conditions puts it
                in any case.

        Raises:
            ArchiveError: somebody else was faster (``archive-overtaken``), or it refuses.
            ArchiveUnavailable: the archive cannot be reached, or failed.
            ValueError: no such name can be.
        """
        self._objects.put_over(_checked(name), data, version)

    def get(self, name: str) -> bytes:
        """Gives an object.

        Raises:
            Missing: there is none of this name.
            ArchiveUnavailable: the archive cannot be reached, or failed.
            ArchiveError: it refuses.
        """
        return self.get_version(name)[0]

    def get_version(self, name: str) -> tuple[bytes, Version]:
        """Gives an object, and what tells it from what may be put later; raises as `get`."""
        return self._objects.get(_checked(name))

    def get_part(self, name: str, start: int, end: int) -> bytes:
        """Gives the bytes of an object from `start` to before `end`; raises as `get`."""
        return self._objects.get_part(_checked(name), start, end)

    def delete(self, name: str) -> None:
        """Deletes an object; harmless if there is none.

        Raises:
            ArchiveUnavailable: the archive cannot be reached, or failed.
            ArchiveError: it refuses.
        """
        self._objects.delete(_checked(name))

    def list(self, prefix: str = "") -> dict[str, int]:
        """Gives the names of objects, and how long they are.

        Args:
            prefix: only those of this folder, ``packs/`` for instance; all of them by default.

        Raises:
            ArchiveUnavailable: the archive cannot be reached, or failed.
            ArchiveError: it refuses.
        """
        return self._objects.list(prefix)

    def tidy(self) -> None:
        """Removes what puts that were killed more than a day ago left behind."""
        self._objects.tidy()


def archive_of(place: str | os.PathLike[str] | Archive) -> Archive:
    """Gives an archive, or that of a URL."""
    return place if isinstance(place, Archive) else Archive(place)


def _objects(url: str | os.PathLike[str], options: dict[str, Any]) -> Objects:
    scheme = urlsplit(url).scheme if isinstance(url, str) and "://" in url else "file"
    if scheme in _REMOTE:
        from dachi_fast.archive._remote import Remote

        return Remote(str(url), options)
    if scheme != "file":
        what = f"{url} is no URL of an archive: a folder, file://, s3://, az:// or gs://"
        raise ArchiveError("archive", what)
    if options:
        what = f"a folder takes no options, and {', '.join(sorted(options))} was given"
        raise ArchiveError("archive", what)
    return Folder(_path(url))


def _path(url: str | os.PathLike[str]) -> Path:
    if not isinstance(url, str) or "://" not in url:
        return Path(url)
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"} or not parts.path:
        raise ArchiveError("archive", f"{url} names no folder: write file:///path/to/it")
    return Path(unquote(parts.path))


def _checked(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"{name!r} cannot be the name of an object")
    return name
