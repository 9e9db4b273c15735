"""Objects of S3, Azure and Google Cloud, through obstore (the extra ``archive``)."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from dachi_fast.errors import ArchiveAccess, ArchiveError, ArchiveUnavailable, Missing

if TYPE_CHECKING:
    from dachi_fast.archive._objects import Version

# A service that is away is said so after a minute, not after obstore's three.
_RETRIES: Final[Mapping[str, Any]] = {
    "max_retries": 5,
    "retry_timeout": datetime.timedelta(seconds=60),
}
_CLIENT: Final[Mapping[str, Any]] = {"connect_timeout": "10s", "timeout": "60s"}

# `memory://NAME` is one place in a process, whoever asks for it.
_in_memory: Final[dict[str, Any]] = {}


class Remote:
    """Objects of a service.

    Args:
        url: as obstore takes it, ``s3://bucket/prefix`` for instance.
        options: what obstore's ``from_url`` takes; those of its client and of its retries are put
            over ours.
    """

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self._url = url
        try:
            import obstore
            import obstore.exceptions
            import obstore.store
        except ImportError as cause:
            what = f"{url} needs obstore: pip install 'dachi_fast[archive]'"
            raise ArchiveError("archive", what) from cause
        self._obstore = obstore
        self._errors: Any = obstore.exceptions
        try:
            self._store = self._opened(obstore.store, dict(options))
        except (obstore.exceptions.BaseError, TypeError, ValueError) as cause:
            what = f"{url} is no archive that can be opened: {_first_line(cause)}"
            raise ArchiveError("archive", what) from cause

    def _opened(self, stores: Any, options: dict[str, Any]) -> Any:
        if self._url.startswith("memory:"):
            return _in_memory.setdefault(self._url, stores.MemoryStore())
        client = {**_CLIENT, **(options.pop("client_options", None) or {})}
        retries = {**_RETRIES, **(options.pop("retry_config", None) or {})}
        return stores.from_url(self._url, client_options=client, retry_config=retries, **options)

    def __repr__(self) -> str:
        return self._url

    def get(self, name: str) -> tuple[bytes, Version]:
        with self._telling(name):
            found = self._obstore.get(self._store, name)
            told = {key: found.meta[key] for key in ("e_tag", "version")}
            version = {key: value for key, value in told.items() if value is not None}
            return bytes(found.bytes()), version

    def get_part(self, name: str, start: int, end: int) -> bytes:
        with self._telling(name):
            return bytes(self._obstore.get_range(self._store, name, start=start, end=end))

    def put(self, name: str, data: bytes) -> None:
        with self._telling(name, missing=False):
            # In one piece: parts of a put that was killed would stay, unseen and paid for.
            self._obstore.put(self._store, name, data, use_multipart=False)

    def put_over(self, name: str, data: bytes, version: Version) -> None:
        mode = "create" if version is None else version
        with self._telling(name, missing=False):
            try:
                self._obstore.put(self._store, name, data, mode=mode)
            except (self._errors.AlreadyExistsError, self._errors.PreconditionError) as cause:
                what = f"{name} was put by somebody else meanwhile"
                raise ArchiveError("archive-overtaken", what, name=name) from cause
            except self._errors.NotSupportedError:
                self._obstore.put(self._store, name, data, use_multipart=False)

    def delete(self, name: str) -> None:
        with self._telling(name):
            try:
                self._obstore.delete(self._store, name)
            except (self._errors.NotFoundError, FileNotFoundError):
                return

    def list(self, prefix: str) -> dict[str, int]:
        # A prefix is a folder's name here; without it everything is listed.
        folder = prefix.rstrip("/") or None
        with self._telling(prefix, missing=False):
            pages = self._obstore.list(self._store, folder)
            return {found["path"]: found["size"] for page in pages for found in page}

    def tidy(self) -> None:
        """Does nothing: a put that was killed leaves nothing."""

    @contextmanager
    def _telling(self, name: str, *, missing: bool = True) -> Iterator[None]:
        """Raises our errors; `missing`: what is not found is the object, not its bucket."""
        errors = self._errors
        try:
            yield
        except (errors.NotFoundError, FileNotFoundError) as cause:
            if missing:
                what = f"the archive {self._url} has no {name}"
                raise Missing("missing", what, name=name) from cause
            what = f"the archive {self._url} is not there: {_first_line(cause)}"
            raise ArchiveError("archive", what) from cause
        except (errors.PermissionDeniedError, errors.UnauthenticatedError) as cause:
            what = f"the archive {self._url} may not be used: {_first_line(cause)}"
            raise ArchiveAccess("archive-access", what) from cause
        except (errors.InvalidPathError, errors.NotSupportedError) as cause:
            what = f"the archive {self._url} refuses {name}: {_first_line(cause)}"
            raise ArchiveError("archive", what) from cause
        except (errors.BaseError, OSError) as cause:
            what = f"the archive {self._url} cannot be reached, or failed: {_first_line(cause)}"
            raise ArchiveUnavailable("archive-unavailable", what) from cause


def _first_line(cause: BaseException) -> str:
    """Gives what an error says, without the debug dump that obstore puts below it."""
    return (str(cause).strip() or repr(cause)).splitlines()[0]
