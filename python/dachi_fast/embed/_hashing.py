"""Vectors of hashed words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from dachi_fast._core import embed as _core
from dachi_fast.embed._texts import checked_dimension, described, listed, vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class HashingEmbedder:
    """Counts words and parts of words: texts are near if they share them, whatever they mean.

    Feature hashing with signs (Weinberger et al., arXiv 0902.2206): words in lower case and, with a
    third of their weight, their runs of four bytes are counted at the places that XXH3 gives them.
    The same text gives the same bits in every process, on every machine. For contexts of learners,
    for tests, and as a baseline that a model must beat.

    Args:
        dimension: 1 to 4,096. The fewer, the more often words of different meaning share a place.

    Raises:
        ValueError: a `dimension` out of bounds.

    Example:
        >>> from dachi_fast import HashingEmbedder
        >>> texts = ["restart it", "It restarted!", "bake a cake"]
        >>> one, two, three = HashingEmbedder().embed(texts)
        >>> bool(one @ two > 0.2 > one @ three)
        True
    """

    norm: Literal["unit"] = "unit"

    def __init__(self, dimension: int = 512) -> None:
        self.dimension = checked_dimension(dimension)
        self.name = f"hashing-{dimension}/1"

    def __repr__(self) -> str:
        return described(self)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Gives a vector for each text.

        Args:
            texts: of any length, in any language; a lone surrogate counts as U+FFFD.

        Returns:
            float32, shape `(len(texts), dimension)`, C order, rows of unit length.

        Raises:
            TypeError: `texts` is one str, or an item is no str.
            EmptyText: a text has no word (letters, digits, anything beyond ASCII);
                `context["index"]` says which.

        Complexity:
            Linear in the length of the texts.
        """
        return vectors(_core.hashed(listed(texts), self.dimension), self.dimension)
