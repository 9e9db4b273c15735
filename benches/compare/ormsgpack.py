"""ormsgpack as a codec."""

from __future__ import annotations

from typing import Any

import ormsgpack


class Codec:
    """`ormsgpack.packb` and `ormsgpack.unpackb`."""

    name = "ormsgpack"

    def encode(self, value: Any) -> bytes:
        """Gives the bytes of a value."""
        data: bytes = ormsgpack.packb(value)
        return data

    def decode(self, data: bytes) -> Any:
        """Gives the value back."""
        return ormsgpack.unpackb(data)
