"""msgpack as a codec."""

from __future__ import annotations

from typing import Any

import msgpack


class Codec:
    """`msgpack.packb` and `msgpack.unpackb`."""

    name = "msgpack"

    def encode(self, value: Any) -> bytes:
        """Gives the bytes of a value."""
        data: bytes = msgpack.packb(value)
        return data

    def decode(self, data: bytes) -> Any:
        """Gives the value back."""
        return msgpack.unpackb(data)
