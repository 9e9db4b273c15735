"""Searching vectors by nearness; `dachi_fast.vectors` is the face of it."""

from typing import Literal, TypedDict, final

import numpy as np
from numpy.typing import NDArray

class _Stats(TypedDict):
    vectors: int
    size_bytes: int
    method: Literal["exact", "int8", "signs", "hnsw"]

@final
class Index:
    """Vectors by 64-bit id, searched by many threads while one writes.

    Args:
        dimension: components of a vector, 1 to 4,096.
        metric: "cosine", "dot" or "euclidean".
        plan: "exact", "int8", "signs", "hnsw" or "auto".

    Raises:
        VectorError: a setting is none of these.
    """

    def __new__(cls, dimension: int, metric: str, plan: str) -> Index: ...
    @property
    def dimension(self) -> int:
        """Components of a vector."""

    @property
    def metric(self) -> str:
        """How vectors are compared."""

    def insert(self, ids: NDArray[np.uint64], vectors: NDArray[np.float32]) -> None:
        """Puts vectors, all or none.

        Args:
            ids: uint64, one a vector; of equal ones the last holds.
            vectors: float32, one after the other, C order.

        Raises:
            VectorError: another dimension, a value that is not finite, or zeros under cosine.
        """

    def delete(self, ids: NDArray[np.uint64]) -> int:
        """Takes vectors out and gives how many were there.

        Args:
            ids: uint64.
        """

    def search(
        self, queries: NDArray[np.float32], k: int, recall: float, subset: Subset | None = None
    ) -> tuple[bytearray, bytearray]:
        """Gives ids (uint64) and scores (float32) of the nearest, one query after the other.

        Args:
            queries: float32, one after the other, C order.
            k: how many each, at most; all get as many.
            recall: the share of them that is to be found, above 0, at most 1.
            subset: what may be found; None for all.

        Raises:
            VectorError: another dimension, a value that is not finite, zeros under cosine, or a
                recall out of range.
        """

    def stats(self, recall: float) -> _Stats:
        """Gives what it holds, and what a search for this recall does."""

    def __len__(self) -> int: ...
    def __contains__(self, one: int, /) -> bool: ...

@final
class Subset:
    """Ids that searches are narrowed to.

    Args:
        ids: uint64.
    """

    def __new__(cls, ids: NDArray[np.uint64]) -> Subset: ...
