"""What a key provider binds a key to."""

from __future__ import annotations


def purpose(store_id: bytes) -> bytes:
    """Gives what a provider binds a store's root key to."""
    return b"dachi_fast root key of store " + store_id.hex().encode()
