"""msgspec's msgpack as a codec, encoder and decoder kept as its documentation advises."""

from __future__ import annotations

from typing import Any

import msgspec


class Codec:
    """One `msgspec.msgpack.Encoder` and `Decoder`."""

    name = "msgspec"

    def __init__(self) -> None:
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder()

    def encode(self, value: Any) -> bytes:
        """Gives the bytes of a value."""
        data: bytes = self._encoder.encode(value)
        return data

    def decode(self, data: bytes) -> Any:
        """Gives the value back."""
        return self._decoder.decode(data)
