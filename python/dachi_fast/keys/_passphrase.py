"""A key made of a passphrase."""

from __future__ import annotations

import unicodedata

from dachi_fast._core import keys as _core_keys
from dachi_fast.errors import KeyringError

# RFC 9106, section 4: the second recommended choice (3 passes, 64 MiB, for machines without 2 GiB
# to spare), but with one lane: lanes only help who fills them side by side, which is the guesser.
_MEMORY_KIB = 64 << 10
_PASSES = 3
_LANES = 1


class Passphrase:
    """A key made of a passphrase with Argon2id (RFC 9106).

    Each opening takes a moment on purpose (0.2 s by default), because each guess then does too; the
    cost is kept with the store, so raising it here only concerns new stores and `Store.rewrap`. A
    passphrase cannot be replaced by the store: after `Store.forget`, who has an old copy of the
    store with its ``keys.sealed``, and the passphrase, can read what was forgotten.

    Args:
        passphrase: not empty. Unicode is normalised to NFC (RFC 8265, section 4.2), so that it does
            not matter how a keyboard composes an accent.
        memory_kib: memory of one guess in KiB, 8 to 1,048,576 (1 GiB). Default 65,536.
        passes: 1 to 64. Default 3.
        lanes: 1 to 16, at least 8 KiB of memory each. Default 1.

    Raises:
        KeyringError: the passphrase is empty.

    Example:
        >>> from dachi_fast import Passphrase
        >>> Passphrase("correct horse battery staple")
        Passphrase(...)
    """

    def __init__(
        self,
        passphrase: str,
        *,
        memory_kib: int = _MEMORY_KIB,
        passes: int = _PASSES,
        lanes: int = _LANES,
    ) -> None:
        if not passphrase:
            raise KeyringError("keyring", "an empty passphrase protects nothing; choose another")
        try:
            self._secret = unicodedata.normalize("NFC", passphrase).encode()
        except UnicodeEncodeError:
            # Without the cause, which quotes the passphrase.
            message = "a passphrase must be text that UTF-8 can write"
            raise KeyringError("keyring", message) from None
        self._cost = (memory_kib, passes, lanes)

    def __repr__(self) -> str:
        return "Passphrase(...)"

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Seals a key, with a fresh salt.

        Args:
            key: 32 bytes.
            context: what the key is for.

        Returns:
            The sealed key, with salt and cost.

        Raises:
            Malformed: a cost out of bounds.
        """
        return _core_keys.wrap_with_passphrase(self._secret, key, context, self._cost)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Opens what `wrap` gave.

        Args:
            wrapped: the sealed key.
            context: as given to `wrap`.

        Returns:
            The 32 bytes.

        Raises:
            KeyringError: the passphrase is another one.
            IntegrityError: `wrapped` was altered, or a passphrase did not make it.
        """
        try:
            return _core_keys.unwrap_with_passphrase(self._secret, wrapped, context)
        except KeyringError as cause:
            raise KeyringError("wrong-key", "the passphrase is not this store's") from cause
