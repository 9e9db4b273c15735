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

def wrap_with_passphrase(
    passphrase: bytes, plain: bytes, purpose: bytes, cost: tuple[int, int, int]
) -> bytes:
    """Seals the 32 bytes `plain` under a passphrase (Argon2id), with a fresh salt.

    `cost` is the memory in KiB, the passes, and the lanes; they are kept with what is sealed.

    Raises:
        KeyringError: `plain` is not 32 bytes long.
        Malformed: a cost out of bounds.
    """

def unwrap_with_passphrase(passphrase: bytes, wrapped: bytes, purpose: bytes) -> bytes:
    """Opens what `wrap_with_passphrase` gave.

    Raises:
        KeyringError: another passphrase, or an edited salt or cost.
        Tampered: another purpose, or edited bytes.
        Malformed: cut short, or a cost out of bounds.
    """
