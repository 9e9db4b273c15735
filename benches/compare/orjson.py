"""orjson as a codec."""

from __future__ import annotations

from typing import Any

import orjson


class Codec:
    """`orjson.dumps` and `orjson.loads`."""

    name = "orjson"

    def encode(self, value: Any) -> bytes:
        """Gives the bytes of a value."""
        data: bytes = orjson.dumps(value)
        return data

    def decode(self, data: bytes) -> Any:
        """Gives the value back."""
        return orjson.loads(data)
