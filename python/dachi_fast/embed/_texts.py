"""What all embedders take and give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dachi_fast.types import Embedder

LARGEST_DIMENSION = 4096


def listed(texts: Sequence[str]) -> list[str]:
    """Gives texts as a list; one text alone would be taken for a sequence of letters."""
    if isinstance(texts, str):
        raise TypeError("embed takes a list of texts; for one text give [text]")
    return list(texts)


def checked_dimension(dimension: int) -> int:
    """Gives a dimension back if a store can hold vectors of it."""
    if not 1 <= dimension <= LARGEST_DIMENSION:
        raise ValueError(f"a dimension is 1 to {LARGEST_DIMENSION}, not {dimension}")
    return dimension


def vectors(data: bytearray, dimension: int) -> NDArray[np.float32]:
    """Gives what the core made as an array, without a copy."""
    return np.frombuffer(data, np.float32).reshape(-1, dimension)


def described(embedder: Embedder) -> str:
    """Gives the `repr` of an embedder."""
    kind = type(embedder).__name__
    return f"<{kind} {embedder.name}, {embedder.dimension} components, norm {embedder.norm}>"
