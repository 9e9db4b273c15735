"""Key providers: what wraps a store's root key."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from dachi_fast._core import keys as _core_keys
from dachi_fast._dirs import config_folder
from dachi_fast.errors import KeyAccessError, KeyringError

_HEADER = b"dachi_fast key 1\n"
_KEY_BYTES = 32


class KeyFile:
    """A key in a file that only its owner can read; made when a store is first created with it.

    Keep it away from the store: whoever has both can read everything, and without it nothing can
    be read. Back it up.

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

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Seals a key; makes the file if there is none.

        Args:
            key: 32 bytes.
            context: what the key is for.

        Returns:
            The sealed key.

        Raises:
            KeyAccessError: the file cannot be read or made, or others can read it.
            KeyringError: the file holds no key.
        """
        try:
            kek = self._create()
        except FileExistsError:
            kek = self._read()
        return _core_keys.wrap(kek, key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Opens what `wrap` gave.

        Args:
            wrapped: the sealed key.
            context: as given to `wrap`.

        Returns:
            The 32 bytes.

        Raises:
            KeyAccessError: the file cannot be read, or others can read it.
            KeyringError: the file is missing, holds no key, or holds another one.
        """
        kek = self._read()
        try:
            return _core_keys.unwrap(kek, wrapped, context)
        except KeyringError as cause:
            raise KeyringError(
                "wrong-key",
                f"the key in {self.path} is not the one this store was made with; open it with "
                f"that key file",
                path=str(self.path),
            ) from cause

    def _create(self) -> bytes:
        if self.path.exists():
            raise FileExistsError
        key = os.urandom(_KEY_BYTES)
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write(_HEADER + key.hex().encode() + b"\n")
        except FileExistsError:
            raise
        except OSError as cause:
            raise KeyAccessError(
                "key-access", f"cannot make the key file {self.path}: {cause}", path=str(self.path)
            ) from cause
        return key

    def _write(self, content: bytes) -> None:
        """Makes the file whole or not at all; `FileExistsError` if another process was first."""
        fresh = self.path.with_name(f".{self.path.name}.{os.urandom(8).hex()}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            with os.fdopen(os.open(fresh, flags, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(fresh, self.path)
            except FileExistsError:
                raise
            except OSError:  # a file system without hard links: take the name first
                os.close(os.open(self.path, flags, 0o600))
                fresh.replace(self.path)
        finally:
            fresh.unlink(missing_ok=True)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _read(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                content = file.read(4096)
        except FileNotFoundError as cause:
            raise KeyringError(
                "keyring",
                f"the key file {self.path} does not exist; without it this store cannot be read: "
                f"restore it from your backup",
                path=str(self.path),
            ) from cause
        except OSError as cause:
            raise KeyAccessError(
                "key-access", f"cannot read the key file {self.path}: {cause}", path=str(self.path)
            ) from cause
        if mode & 0o077:
            raise KeyAccessError(
                "key-access",
                f"others can read the key file {self.path} (mode {mode:03o}); run: "
                f"chmod 600 {self.path}",
                path=str(self.path),
                mode=f"{mode:03o}",
            )
        return self._parsed(content)

    def _parsed(self, content: bytes) -> bytes:
        header, digits = content[: len(_HEADER)], content[len(_HEADER) :]
        try:
            key = bytes.fromhex(digits.decode("ascii"))
        except ValueError:
            key = b""
        if header != _HEADER or len(key) != _KEY_BYTES:
            raise KeyringError(
                "keyring",
                f"{self.path} is no key file of dachi_fast, or was cut short",
                path=str(self.path),
            )
        return key
