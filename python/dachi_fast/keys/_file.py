"""Keys in a file."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dachi_fast._dirs import config_folder
from dachi_fast._files import beside, replacing, sync, sync_folder
from dachi_fast.errors import KeyAccessError, KeyringError
from dachi_fast.keys._table import Row, TableProvider, parsed, rendered

_MOST_BYTES = 16 << 20


class KeyFile(TableProvider):
    """Keys in a file that only its owner can read; made when a store is first created with it.

    It holds one key for each store that was made with it. Keep it away from the stores: whoever has
    both can read everything, and without it nothing can be read. Back it up when you have made a
    store, and replace the backup after `Store.forget`, which replaces the store's key.

    Args:
        path: the file. Default: ``keyfile`` in the user's configuration folder
            (``$XDG_CONFIG_HOME/dachi_fast``), never beside the store.

    Example:
        >>> from dachi_fast import KeyFile
        >>> KeyFile("agents.key")
        KeyFile('agents.key')
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = Path(path) if path is not None else config_folder() / "keyfile"

    def __repr__(self) -> str:
        return f"KeyFile({str(self.path)!r})"

    def _rows(self) -> list[Row]:
        with self._opened_file() as file:
            return self._parsed(file)

    def _changed(self, change: Callable[[list[Row]], list[Row]]) -> list[Row]:
        try:
            if not self.path.exists():
                self._create()
            with self._locked() as file:
                before = self._parsed(file)
                after = change(before)
                if after != before:
                    with replacing(self.path) as fresh:
                        fresh.write(rendered(after))
                return after
        except KeyringError:
            raise
        except OSError as cause:
            raise self._access(f"cannot write the key file {self.path}: {cause}") from cause

    def _wrong(self, what: str) -> KeyringError:
        return KeyringError(
            "wrong-key",
            f"the key in {self.path} {what}; open the store with the key file it was made with, as "
            f"it was after the last forget",
            path=str(self.path),
        )

    def _create(self) -> None:
        """Makes the file, without keys yet, unless another process is first."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with beside(self.path) as (file, fresh):
            file.write(rendered([]))
            sync(file)
            try:
                os.link(fresh, self.path)
            except FileExistsError:
                return
            except OSError:  # a file system without hard links: take the name first
                try:
                    os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
                except FileExistsError:
                    return
                fresh.replace(self.path)
        sync_folder(self.path.parent)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Opens the file while no other process changes it."""
        while True:
            with self._opened_file() as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                # Somebody may have replaced it while this process waited.
                if _is_at(file, self.path):
                    yield file
                    return

    @contextmanager
    def _opened_file(self) -> Iterator[int]:
        try:
            file = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError as cause:
            raise KeyringError(
                "keyring",
                f"the key file {self.path} does not exist; without it this store cannot be read: "
                f"restore it from your backup",
                path=str(self.path),
            ) from cause
        except OSError as cause:
            raise self._access(f"cannot read the key file {self.path}: {cause}") from cause
        try:
            mode = stat.S_IMODE(os.fstat(file).st_mode)
            if mode & 0o077:
                raise self._access(
                    f"others can read the key file {self.path} (mode {mode:03o}); run: "
                    f"chmod 600 {self.path}",
                    mode=f"{mode:03o}",
                )
            yield file
        finally:
            os.close(file)

    def _parsed(self, file: int) -> list[Row]:
        try:
            content = os.read(file, _MOST_BYTES)
        except OSError as cause:
            raise self._access(f"cannot read the key file {self.path}: {cause}") from cause
        rows = parsed(content.decode("ascii", "replace"))
        if rows is None:
            raise KeyringError(
                "keyring",
                f"{self.path} is no key file of dachi_fast, or was cut short",
                path=str(self.path),
            )
        return rows

    def _access(self, message: str, **context: object) -> KeyAccessError:
        return KeyAccessError("key-access", message, path=str(self.path), **context)


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
