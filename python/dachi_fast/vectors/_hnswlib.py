"""The package hnswlib as one more index."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from dachi_fast.errors import VectorError
from dachi_fast.vectors._index import Found, Metric, Subset, described, ids_of, natural, rows_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# As the core has them.
_MOST_COMPONENTS = 4096
_LARGEST = 1e16
_FIRST_CAPACITY = 1024


class Hnswlib:
    """Searches the graph of the package hnswlib (extra `[hnswlib]`; it needs a C++ compiler).

    For comparison, and for who trusts it. Searches and writes take turns. It knows no recall: it
    looks for `search_effort` neighbours, and for a recall of 1, within a subset, and where its
    graph does not lead to enough vectors, all that may be found are compared in numpy.

    Args:
        dimension: components of a vector, 1 to 4,096.
        metric: how they are compared.
        links: of a vector, the package's `M`.
        build_effort: neighbours looked for when a vector is added, its `ef_construction`.
        search_effort: neighbours looked for in a search, its `ef`.

    Raises:
        VectorError: another dimension or metric.
        ImportError: the package is not installed.
    """

    def __init__(
        self,
        dimension: int,
        *,
        metric: Metric = "cosine",
        links: int = 16,
        build_effort: int = 200,
        search_effort: int = 100,
    ) -> None:
        import hnswlib

        if not 1 <= dimension <= _MOST_COMPONENTS:
            raise VectorError("vector-setting", f"a dimension is from 1 to 4096, not {dimension}")
        if metric not in {"cosine", "dot", "euclidean"}:
            raise VectorError("vector-setting", f"there is no metric {metric!r}")
        self._dimension, self._metric = dimension, metric
        self._effort, self._lock = search_effort, Lock()
        space = "l2" if metric == "euclidean" else "ip"
        self._graph: Any = hnswlib.Index(space, dimension)
        self._graph.init_index(_FIRST_CAPACITY, M=links, ef_construction=build_effort)
        self._live: set[int] = set()
        self._dead: set[int] = set()

    def __repr__(self) -> str:
        return described(self)

    @property
    def dimension(self) -> int:
        """Components of a vector."""
        return self._dimension

    @property
    def metric(self) -> str:
        """How vectors are compared."""
        return self._metric

    def insert(self, ids: ArrayLike, vectors: ArrayLike) -> None:
        """Puts vectors, as `dachi_fast.types.VectorIndex.insert` says."""
        numbers = ids_of(ids)
        if not numbers.size and not np.size(vectors):
            return
        rows = self._prepared(vectors)
        if len(numbers) != len(rows):
            raise VectorError("vector-count", f"{len(numbers)} ids and {len(rows)} vectors")
        with self._lock:
            # What is looked at are the given ids, not all that there are.
            given = set(numbers.tolist())
            again = given & self._dead
            needed = len(self._live) + len(self._dead) + len(given - again - self._live)
            if needed > self._graph.get_max_elements():
                self._graph.resize_index(2 * needed)
            for one in again:
                self._graph.unmark_deleted(one)
            # One thread: added at once, equal ids would race.
            self._graph.add_items(rows, numbers, num_threads=1)
            self._live |= given
            self._dead -= again

    def delete(self, ids: ArrayLike) -> int:
        """Takes vectors out and gives how many were there."""
        numbers = set(ids_of(ids).tolist())
        with self._lock:
            gone = numbers & self._live
            for one in gone:
                self._graph.mark_deleted(one)
            self._live -= gone
            self._dead |= gone
        return len(gone)

    def search(
        self,
        queries: ArrayLike,
        k: int = 10,
        *,
        recall: float = 0.99,
        within: Subset | ArrayLike | None = None,
    ) -> Found:
        """Gives the nearest, as `dachi_fast.types.VectorIndex.search` says."""
        if not 0 < recall <= 1:
            raise VectorError("vector-setting", "a recall is above 0 and at most 1")
        natural(k, "k")
        rows = self._prepared(queries)
        with self._lock:
            allowed = self._live
            if within is not None:
                ids = within.ids if isinstance(within, Subset) else ids_of(within)
                allowed = allowed & set(ids.tolist())
            k, exact = min(k, len(allowed)), within is not None or recall == 1
            found = [self._one(row, k, allowed, exact=exact) for row in rows]
        shape = (-1,) if np.ndim(queries) == 1 else (len(rows), k)
        ids = np.array([ids for ids, _ in found], np.uint64).reshape(shape)
        return Found(ids, np.array([scores for _, scores in found], np.float32).reshape(shape))

    def _one(
        self, row: NDArray[np.float32], k: int, allowed: set[int], *, exact: bool
    ) -> tuple[Any, Any]:
        if k == 0:
            return [], []
        if exact or not (near := self._near(row, k)):
            ids = np.array(sorted(allowed), np.uint64)
            items = np.array(self._graph.get_items(ids), np.float32)
            if self._metric == "euclidean":
                near = ids, np.einsum("ij,ij->i", items - row, items - row)
            else:
                near = ids, 1 - items @ row
        ids, far = near
        order = np.lexsort((ids, far))[:k]
        scores = np.sqrt(far) if self._metric == "euclidean" else 1 - far
        return ids[order], scores[order]

    def _near(self, row: NDArray[np.float32], k: int) -> tuple[Any, Any] | None:
        """Gives ids and the package's distances, None where its graph leads to too few."""
        self._graph.set_ef(max(self._effort, k))
        try:
            ids, far = self._graph.knn_query(row, k, num_threads=1)
        except RuntimeError:
            return None
        return ids[0], far[0]

    def _prepared(self, vectors: ArrayLike) -> NDArray[np.float32]:
        """Checks vectors, and normalises them under cosine."""
        rows = rows_of(vectors, self._dimension)
        if not (np.abs(rows) <= _LARGEST).all():
            raise VectorError("vector-value", "a component is NaN, infinite or over 1e16")
        if self._metric != "cosine":
            return rows
        lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
        if (lengths == 0).any():
            raise VectorError("vector-zero", "a vector of zeros has no direction")
        units: NDArray[np.float32] = (rows / lengths).astype(np.float32)
        return units

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, one: int) -> bool:
        return one in self._live
