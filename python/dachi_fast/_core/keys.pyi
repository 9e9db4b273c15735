"""Wrapping one key under another."""

def wrap(kek: bytes, plain: bytes, purpose: bytes) -> bytes:
    """Seals the 32 bytes `plain` under the 32 bytes `kek` (AES-256-GCM, key-committing).

    Raises:
        KeyringError: a key is not 32 bytes long.
    """

def unwrap(kek: bytes, wrapped: bytes, purpose: bytes) -> bytes:
    """Opens what `wrap` gave.

    Raises:
        KeyringError: another `kek`.
        Tampered: another purpose, or edited bytes.
        Malformed: cut short.
    """
