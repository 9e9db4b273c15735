"""pickle as a codec."""

from __future__ import annotations

import pickle
from typing import Any


class Codec:
    """Protocol 5."""

    name = "pickle 5"

    def encode(self, value: Any) -> bytes:
        """Gives the bytes of a value."""
        return pickle.dumps(value, protocol=5)

    def decode(self, data: bytes) -> Any:
        """Gives the value back."""
        return pickle.loads(data)
