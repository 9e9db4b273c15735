"""Keys that unwrap a store's root key (docs/format.md, section 3.2)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import unicodedata
from pathlib import Path
from typing import Final, Protocol

from blake3 import blake3
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from dachi_fast.errors import DachiError, KeyringError
from dachi_fast.reader._envelope import NOBODY, WRAPPED, Opener
from dachi_fast.reader._wire import Take, malformed

_SALT: Final = b"dachi_fast wrapped by a provider"
_TABLE: Final = "dachi_fast keys 2"
_KEY_BYTES: Final = 32


class Key(Protocol):
    """Unwraps root keys."""

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Gives the 32 bytes that were wrapped for `context`."""
        ...


class KeyFile:
    """The keys in a file that ``dachi_fast.KeyFile`` made.

    Args:
        path: the file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Gives the 32 bytes that were wrapped for `context`."""
        try:
            lines = self._path.read_text("ascii").split("\n")
        except (OSError, UnicodeDecodeError) as cause:
            raise KeyringError("keyring", f"cannot read the key file {self._path}") from cause
        purpose = hashlib.sha256(context).hexdigest()[:32]
        rows = [line.partition(" ") for line in lines[1:]]
        keys = [_bytes(key) for found, _, key in rows if found == purpose]
        if lines[0] != _TABLE or None in keys:
            raise KeyringError("keyring", f"{self._path} is no key file of dachi_fast")
        for key in keys:
            try:
                return _unwrapped(key or b"", wrapped, context)
            except KeyringError:
                continue
        raise KeyringError("wrong-key", f"no key in {self._path} opens this store")


class EnvKey:
    """A key in an environment variable, as ``dachi_fast.EnvKey`` reads it.

    Args:
        name: the variable: 32 bytes in hex (64 digits) or base64.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Gives the 32 bytes that were wrapped for `context`."""
        key = _bytes(os.environ.get(self._name, "").strip())
        if key is None:
            what = f"the environment variable {self._name} holds no 32 bytes in hex or base64"
            raise KeyringError("keyring", what, name=self._name)
        return _unwrapped(key, wrapped, context)


class Passphrase:
    """A passphrase, as ``dachi_fast.Passphrase`` takes it.

    Args:
        passphrase: in any normalisation of Unicode.
    """

    def __init__(self, passphrase: str) -> None:
        self._secret = unicodedata.normalize("NFC", passphrase).encode()

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Gives the 32 bytes that were wrapped for `context`."""
        take = Take(wrapped)
        if take.u8() != 1:
            raise malformed("this is no key that a passphrase wrapped")
        memory_kib, passes, lanes = take.u32(), take.u32(), take.u32()
        # Whoever wrote the file must not choose how much memory and time this takes.
        fits = 1 <= lanes <= 16 and 1 <= passes <= 64 and 8 * lanes <= memory_kib <= 1 << 20
        if not fits:
            raise malformed("a cost of Argon2id is out of bounds")
        stretch = Argon2id(
            salt=take.raw(16),
            length=_KEY_BYTES,
            iterations=passes,
            lanes=lanes,
            memory_cost=memory_kib,
        )
        return _unwrapped(stretch.derive(self._secret), take.rest, context)


def _unwrapped(key: bytes, wrapped: bytes, context: bytes) -> bytes:
    opener = Opener(blake3(context).digest()[:16], NOBODY, {0: _SALT}, {0: key})
    try:
        root = opener.open(WRAPPED, bytes(16), wrapped)
    except DachiError as error:
        if error.code == "wrong-context":
            raise KeyringError("wrong-key", "the root key was wrapped otherwise") from error
        raise
    if len(root) != _KEY_BYTES:
        raise malformed("a wrapped key has a wrong length")
    return root


def _bytes(text: str) -> bytes | None:
    """Gives the 32 bytes that a text holds: 64 hex digits, which are base64 as well, or base64."""
    try:
        if len(text) == 2 * _KEY_BYTES:
            return bytes.fromhex(text)
        standard = text.replace("-", "+").replace("_", "/")
        key = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None
    return key if len(key) == _KEY_BYTES else None
