"""Protocols that users may implement."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


class Clock(Protocol):
    """Tells the time."""

    def __call__(self) -> int:
        """Gives nanoseconds since 1970, as `time.time_ns` does."""
        ...


@runtime_checkable
class KeyProvider(Protocol):
    """Keeps the key that wraps a store's root key.

    The store calls `wrap` when it is made, rewrapped or told to forget, and `unwrap` at each open;
    no save needs it. What `wrap` gives is kept beside the store and is opaque to it. A provider
    must not use the store that calls it.
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


@runtime_checkable
class ReplaceableKeyProvider(KeyProvider, Protocol):
    """A provider that can replace the key that it wraps a store's root key with.

    `Store.forget` then leaves nothing that opens an old copy of the store's keys. With a provider
    that cannot, an old copy of the store together with the provider's key still opens.
    """

    def rotate(self, key: bytes, context: bytes) -> bytes:
        """Seals a key under a fresh key of the provider's; the keys before stay until `retire`.

        Args:
            key: 32 bytes.
            context: what the key is for.

        Returns:
            The sealed key, at most 64 KiB. The fresh key must not be lost from here on, whatever
            happens to the process.

        Raises:
            KeyringError: a fresh key cannot be had; nothing was changed.
        """
        ...

    def retire(self, wrapped: bytes, context: bytes) -> None:
        """Destroys the provider's keys for a context but the one that `wrapped` is sealed under.

        Args:
            wrapped: a sealed key.
            context: as given to `wrap`.

        Raises:
            KeyringError: they could not be destroyed; they still open what they sealed.
        """
        ...
