"""A key in an environment variable."""

from __future__ import annotations

import base64
import binascii
import os

from dachi_fast._core import keys as _core_keys
from dachi_fast.errors import KeyringError, WrongContext

_KEY_BYTES = 32
_HEX_DIGITS = 64


class EnvKey:
    """A key of 32 bytes in an environment variable, in hex or base64.

    For containers and services whose secrets come from outside. Make one with
    ``openssl rand -hex 32``. It cannot be replaced by the store: after `Store.forget`, who has an
    old copy of the store with its ``keys.sealed``, and this key, can read what was forgotten.

    Args:
        name: the variable, read each time the key is needed.

    Example:
        >>> from dachi_fast import EnvKey
        >>> EnvKey("AGENTS_KEY")
        EnvKey('AGENTS_KEY')
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"EnvKey({self.name!r})"

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Seals a key.

        Args:
            key: 32 bytes.
            context: what the key is for.

        Returns:
            The sealed key.

        Raises:
            KeyringError: the variable is not set or holds no key.
        """
        return _core_keys.wrap(self._key(), key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Opens what `wrap` gave.

        Args:
            wrapped: the sealed key.
            context: as given to `wrap`.

        Returns:
            The 32 bytes.

        Raises:
            KeyringError: the variable is not set, holds no key, or another one.
            IntegrityError: `wrapped` was altered.
        """
        key = self._key()
        try:
            return _core_keys.unwrap(key, wrapped, context)
        except (KeyringError, WrongContext) as cause:
            raise KeyringError(
                "wrong-key",
                f"the key in ${self.name} is not the one this store was made with",
                name=self.name,
            ) from cause

    def _key(self) -> bytes:
        text = os.environ.get(self.name, "").strip()
        if not text:
            raise KeyringError(
                "keyring",
                f"the environment variable {self.name} is not set; set it to 32 bytes in hex or "
                f"base64",
                name=self.name,
            )
        key = _decoded(text)
        if key is None or len(key) != _KEY_BYTES:
            raise KeyringError(
                "keyring",
                f"the environment variable {self.name} does not hold 32 bytes in hex (64 digits) "
                f"or base64 (44 characters)",
                name=self.name,
            )
        return key


def _decoded(text: str) -> bytes | None:
    # 64 hex digits are base64 of 48 bytes as well: the length decides.
    try:
        if len(text) == _HEX_DIGITS:
            return bytes.fromhex(text)
        standard = text.replace("-", "+").replace("_", "/")
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None
