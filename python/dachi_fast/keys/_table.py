"""Keys by what they are for, and providers that keep such a table somewhere.

Each store has a key of its own in the table, so that forgetting in one store can destroy its key
without touching another's. While one key replaces another, both stand there, the newer one first: a
process that dies in between leaves a store that opens.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable

from dachi_fast._core import keys as _core_keys
from dachi_fast.errors import DachiError, KeyringError, WrongContext

HEADER = "dachi_fast keys 2"
_KEY_BYTES = 32
_ID_DIGITS = 32

# What a key is for (hash of the context, in hex) and the key; newer keys of one purpose first.
Row = tuple[str, bytes]


def parsed(text: str) -> list[Row] | None:
    """Gives the rows of a table; None if it is none."""
    header, *lines = text.split("\n")
    if header != HEADER or not lines or lines.pop() != "":
        return None
    try:
        rows = [(line[:_ID_DIGITS], bytes.fromhex(line[_ID_DIGITS + 1 :])) for line in lines]
    except ValueError:
        return None
    return rows if lines == _lines(rows) and all(len(k) == _KEY_BYTES for _, k in rows) else None


def rendered(rows: list[Row]) -> str:
    """Gives the table as text."""
    return "\n".join([HEADER, *_lines(rows), ""])


def _lines(rows: list[Row]) -> list[str]:
    return [f"{purpose} {key.hex()}" for purpose, key in rows]


def _purpose(context: bytes) -> str:
    import hashlib  # milliseconds that importing the package can do without

    return hashlib.sha256(context).hexdigest()[:_ID_DIGITS]


class TableProvider(ABC):
    """Wraps under a key of the store's own, which it can replace."""

    @abstractmethod
    def _rows(self) -> list[Row]:
        """Reads the table; an error if there is none."""

    @abstractmethod
    def _changed(self, change: Callable[[list[Row]], list[Row]]) -> list[Row]:
        """Changes the table, whole or not at all, while nobody else does; makes a missing one."""

    @abstractmethod
    def _wrong(self, what: str) -> KeyringError:
        """Gives the error to raise when no key fits; names where the table lies."""

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Seals a key under the store's key; makes one if there is none.

        Args:
            key: 32 bytes.
            context: what the key is for.

        Returns:
            The sealed key.

        Raises:
            KeyringError: the provider's own key cannot be had or made.
        """
        purpose = _purpose(context)

        def with_one(rows: list[Row]) -> list[Row]:
            held = any(known == purpose for known, _ in rows)
            return rows if held else [(purpose, os.urandom(_KEY_BYTES)), *rows]

        return self._wrapped(self._changed(with_one), key, context)

    def rotate(self, key: bytes, context: bytes) -> bytes:
        """Seals a key under a fresh key; what was sealed before opens until `retire`.

        Args:
            key: 32 bytes.
            context: what the key is for.

        Returns:
            The sealed key.

        Raises:
            KeyringError: the fresh key cannot be kept.
        """
        fresh = (_purpose(context), os.urandom(_KEY_BYTES))
        return self._wrapped(self._changed(lambda rows: [fresh, *rows]), key, context)

    def retire(self, wrapped: bytes, context: bytes) -> None:
        """Destroys the keys of a context but the one that `wrapped` is sealed under.

        Args:
            wrapped: a sealed key.
            context: as given to `wrap`.

        Raises:
            KeyringError: `wrapped` opens with none of them, or they cannot be replaced.
        """
        purpose = _purpose(context)

        def with_that_one(rows: list[Row]) -> list[Row]:
            keep, _ = self._opened(rows, wrapped, context)
            return [row for row in rows if row[0] != purpose or row[1] == keep]

        self._changed(with_that_one)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Opens what `wrap` or `rotate` gave.

        Args:
            wrapped: the sealed key.
            context: as given to `wrap`.

        Returns:
            The 32 bytes.

        Raises:
            KeyringError: the provider's key is missing, cannot be read, or is another one.
            IntegrityError: `wrapped` was altered.
        """
        return self._opened(self._rows(), wrapped, context)[1]

    @staticmethod
    def _wrapped(rows: list[Row], key: bytes, context: bytes) -> bytes:
        newest = next(held for purpose, held in rows if purpose == _purpose(context))
        return _core_keys.wrap(newest, key, context)

    def _opened(self, rows: list[Row], wrapped: bytes, context: bytes) -> tuple[bytes, bytes]:
        """Gives the key that `wrapped` is sealed under, and what it holds."""
        wrong: DachiError | None = None
        for purpose, held in rows:
            if purpose == _purpose(context):
                try:
                    return held, _core_keys.unwrap(held, wrapped, context)
                except (KeyringError, WrongContext) as cause:
                    wrong = cause
        what = "is another store's" if wrong is None else "was replaced since, or is another one"
        raise self._wrong(what) from wrong
