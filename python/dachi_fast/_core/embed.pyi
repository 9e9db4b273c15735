"""Texts to vectors."""

from typing import final

@final
class StaticModel:
    """A static embedding model; any number of threads may use it at once."""

    def __new__(cls, data: bytes) -> StaticModel:
        """Reads the bytes of a model.

        Raises:
            Malformed: they are not one.
        """

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""

    def tokens(self, text: str) -> list[int]:
        """Gives the numbers of a text's pieces; what the vocabulary lacks is left out."""

    def embed(self, texts: list[str]) -> bytearray:
        """Gives the vectors of texts as native float32, one after the other, of unit length.

        Raises:
            TypeError: an item is no str.
            EmptyText: a text has no piece that the model knows; `context["index"]` says which.
        """

def hashed(texts: list[str], dimension: int) -> bytearray:
    """Gives vectors of hashed words as native float32, one after the other, of unit length.

    `dimension` is at least 1.

    Raises:
        TypeError: an item is no str.
        EmptyText: a text has no word; `context["index"]` says which.
    """
