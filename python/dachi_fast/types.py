"""Protocols that users may implement."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class KeyProvider(Protocol):
    """Keeps the key that wraps a store's root key.

    The store calls `wrap` once, when it is made, and `unwrap` at each open. What `wrap` gives is
    kept beside the store and is opaque to it.
    """

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Seals a key.

        Args:
            key: 32 bytes.
            context: what the key is for; `unwrap` must refuse another context.

        Returns:
            The sealed key, at most 64 KiB.

        Raises:
            KeyringError: the provider's own key cannot be had.
        """
        ...

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Opens what `wrap` gave.

        Args:
            wrapped: the sealed key.
            context: as given to `wrap`.

        Returns:
            The 32 bytes.

        Raises:
            KeyringError: the provider's key is gone, is another one, or may not be used.
        """
        ...
