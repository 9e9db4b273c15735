"""The indexes of the core."""

from __future__ import annotations

from collections.abc import Iterable
from operator import index
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np

from dachi_fast._core import vector as _core
from dachi_fast.errors import VectorError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from dachi_fast.types import VectorIndex

Metric = Literal["cosine", "dot", "euclidean"]
"""How vectors are compared: by angle, by inner product, or by distance."""


class Found(NamedTuple):
    """What a search gives, the nearest first; equal scores by rising id.

    Attributes:
        ids: uint64, shape ``(found,)``, or ``(n, found)`` for n queries.
        scores: float32, the same shape: the cosine, the inner product, or, under "euclidean", the
            distance, of which the smallest is the nearest.
    """

    ids: NDArray[np.uint64]
    scores: NDArray[np.float32]


class Stats(NamedTuple):
    """What an index holds.

    Attributes:
        vectors: how many.
        size_bytes: of memory, about.
        method: what answers a search: "exact", "int8", "signs" or "hnsw".
    """

    vectors: int
    size_bytes: int
    method: str


class Subset:
    """Ids that searches are narrowed to.

    To find where they lie takes longer than a search of as many, so a subset that is used again
    remembers it, until the index changes. A small one is searched exactly.

    Args:
        ids: array-like of integers; those that the index does not have are never found.

    Attributes:
        ids: uint64, shape ``(n,)``, as they were given.

    Raises:
        VectorError: an id is no integer from 0 to 2**64 - 1.

    Example:
        >>> from dachi_fast import vectors
        >>> index = vectors.Auto(2)
        >>> index.insert([1, 2, 3], [[1, 0], [0, 1], [1, 1]])
        >>> index.search([1, 0], 2, within=vectors.Subset([2, 3])).ids.tolist()
        [3, 2]
    """

    def __init__(self, ids: ArrayLike) -> None:
        self.ids = ids_of(ids)
        self._core = _core.Subset(self.ids)


class _Index:
    """What all indexes of the core have."""

    _PLAN: ClassVar[str]

    def __init__(self, dimension: int, *, metric: Metric = "cosine") -> None:
        self._core = _core.Index(natural(dimension, "dimension"), metric, self._PLAN)
        self._dimension = self._core.dimension

    def __repr__(self) -> str:
        return described(self)

    @property
    def dimension(self) -> int:
        """Components of a vector."""
        return self._dimension

    @property
    def metric(self) -> str:
        """How vectors are compared."""
        return self._core.metric

    def insert(self, ids: ArrayLike, vectors: ArrayLike) -> None:
        """Puts vectors, all or none; an id that is there gets the new one.

        Args:
            ids: integers from 0 to 2**64 - 1, one a vector, or a single one. Of equal ones the last
                holds.
            vectors: float32, float16 or what numpy makes float32 of, shape ``(n, dimension)``, or
                ``(dimension,)`` for a single id. They need not be normalised, and are copied.

        Raises:
            VectorError: not one vector an id, another dimension, an id out of range, a component
                that is NaN, infinite or over 1e16 in magnitude, or zeros under cosine.

        Complexity:
            O(n dimension); whenever the number of vectors has doubled, all of them are looked at.
        """
        numbers = ids_of(ids)
        if not numbers.size and not np.size(vectors):
            return
        rows = rows_of(vectors, self._dimension)
        if len(numbers) != len(rows):
            raise VectorError(
                "vector-count",
                f"{len(numbers)} ids and {len(rows)} vectors: give one vector an id",
                ids=len(numbers),
                vectors=len(rows),
            )
        self._core.insert(numbers, rows)

    def delete(self, ids: ArrayLike) -> int:
        """Takes vectors out.

        Args:
            ids: as for `insert`; those that are not there are passed over.

        Returns:
            How many were there.

        Raises:
            VectorError: an id is no integer from 0 to 2**64 - 1.
        """
        return self._core.delete(ids_of(ids))

    def search(
        self,
        queries: ArrayLike,
        k: int = 10,
        *,
        recall: float = 0.99,
        within: Subset | ArrayLike | None = None,
    ) -> Found:
        """Gives the vectors nearest to one query, or to each of many.

        Args:
            queries: as the vectors of `insert`: shape ``(dimension,)`` or ``(n, dimension)``.
            k: how many at most: 0 gives none, and more than there are gives all.
            recall: the share of the k nearest that is to be found on average, above 0, at most 1.
                Where an index looks at all vectors as they are or in eight bits, more is found.
                The default finds nearly all; what is left out is hardly less near than what is
                found.
            within: only these may be found: a `Subset`, or ids, of which one is made for this
                search; None for all.

        Returns:
            Ids and scores, the nearest first. Each query gets as many: k, or as many as there are.

        Raises:
            VectorError: another dimension, a component that is NaN, infinite or over 1e16 in
                magnitude, zeros under cosine, a negative k, or a recall out of range.

        Complexity:
            O(n dimension), where n vectors may be found.
        """
        rows = rows_of(queries, self._dimension)
        subset = within if within is None or isinstance(within, Subset) else Subset(within)
        core = None if subset is None else subset._core
        ids, scores = self._core.search(rows, natural(k, "k"), recall, core)
        shape = (-1,) if np.ndim(queries) == 1 else (len(rows), len(ids) // (8 * len(rows) or 1))
        return Found(
            np.frombuffer(ids, np.uint64).reshape(shape),
            np.frombuffer(scores, np.float32).reshape(shape),
        )

    def stats(self, recall: float = 0.99) -> Stats:
        """Gives what the index holds, and how it searches for this recall."""
        return Stats(**self._core.stats(recall))

    def __len__(self) -> int:
        return len(self._core)

    def __contains__(self, one: int) -> bool:
        return 0 <= one < 2**64 and one in self._core


class Auto(_Index):
    """Searches in whichever way is fastest for as many vectors as there are.

    Args:
        dimension: components of a vector, 1 to 4,096.
        metric: how they are compared.

    Raises:
        VectorError: another dimension or metric.

    Example:
        >>> from dachi_fast import vectors
        >>> index = vectors.Auto(3)
        >>> index.insert([7, 8], [[1, 0, 0], [0, 2, 0]])
        >>> found = index.search([3, 1, 0], k=1)
        >>> int(found.ids[0]), round(float(found.scores[0]), 3)
        (7, 0.949)
    """

    _PLAN = "auto"


class Exact(_Index):
    """Compares every vector as it is, in 32-bit floats: the truth, for small or precious sets.

    Args:
        dimension: components of a vector, 1 to 4,096.
        metric: how they are compared.

    Raises:
        VectorError: another dimension or metric.
    """

    _PLAN = "exact"


class Int8(_Index):
    """Compares every vector in eight bits a component, then the best 3 k, at least 30, as they are.

    Vectors of up to 32 components are compared as they are at once.

    Args:
        dimension: components of a vector, 1 to 4,096.
        metric: how they are compared.

    Raises:
        VectorError: another dimension or metric.
    """

    _PLAN = "int8"


class Signs(_Index):
    """Compares one bit of each component, the best of those in eight bits, and then as they are.

    Vectors lie in cells, by their nearest of some centres; only cells near the query are looked
    into. How many, and how many vectors to compare in eight bits, is measured for a recall on the
    vectors themselves, whenever their number has doubled. Where that would be slower than to
    compare all, as with few vectors, few components or vectors without structure, it searches as
    `Int8` does. Above a recall of .995 or so, of which the measurement says nothing, all cells are
    looked into; `recall=1.0` compares all in eight bits.

    Args:
        dimension: components of a vector, 1 to 4,096.
        metric: how they are compared.

    Raises:
        VectorError: another dimension or metric.
    """

    _PLAN = "signs"


class Hnsw(_Index):
    """Walks along the links of a graph, in eight bits, then compares what it found as it is.

    For a recall that need not be high: a search then looks at a few hundred vectors. Each vector is
    linked when it is inserted, which takes as long as two searches or so, by far the most that any
    index asks; searches go on meanwhile. How far to walk for a recall is measured on the vectors
    themselves, whenever their number has doubled. Below 1,000 vectors, for a recall of 1 or one
    that no walk reaches, and within so few that a walk would take longer, vectors are compared one
    by one. What was deleted stays in the graph as a way to others, until most of it is such.

    HNSW: arXiv 1603.09320, algorithms 1 to 5, with 16 links a vector and level, 32 on the lowest,
    chosen of 200 neighbours.

    Args:
        dimension: components of a vector, 1 to 4,096.
        metric: how they are compared.

    Raises:
        VectorError: another dimension or metric.

    Complexity:
        `insert` takes O(log n) a vector, `search` about as much.
    """

    _PLAN = "hnsw"


def described(held: VectorIndex) -> str:
    """Gives the `repr` of an index."""
    kind = type(held).__name__
    return f"<{kind} of {len(held)} vectors, {held.dimension} components, {held.metric}>"


def ids_of(ids: ArrayLike | Iterable[int]) -> NDArray[np.uint64]:
    """Gives ids as uint64, shape ``(n,)``.

    Raises:
        VectorError: one is no integer from 0 to 2**64 - 1.
    """
    given: NDArray[Any] = np.asarray(ids)
    if given.size == 0:
        return np.empty(0, np.uint64)
    try:
        if given.ndim > 1 or (given.dtype.kind == "i" and given.min() < 0):
            raise ValueError
        if given.dtype.kind not in "iu":
            # numpy takes a list with integers above and below 2**63 for one of floats.
            exact = [index(one) for one in np.atleast_1d(np.array(ids, object))]
            given = np.array(exact, np.uint64)
    except (TypeError, ValueError, OverflowError) as cause:
        what = "ids are integers from 0 to 2**64 - 1, in one dimension"
        raise VectorError("vector-id", what) from cause
    return np.ascontiguousarray(given, np.uint64).reshape(-1)


def rows_of(vectors: ArrayLike, dimension: int) -> NDArray[np.float32]:
    """Gives vectors as float32, shape ``(n, dimension)``.

    Raises:
        VectorError: they are no numbers, or of another dimension.
    """
    rows = vectors if type(vectors) is np.ndarray and vectors.dtype == np.float32 else None
    rows = _floats(vectors) if rows is None else np.ascontiguousarray(rows)
    if rows.ndim == 1:
        rows = rows.reshape(1, -1)
    if rows.ndim != 2 or rows.shape[1] != dimension:
        raise VectorError(
            "vector-dimension",
            f"vectors of shape {np.shape(vectors)} for an index of dimension {dimension}",
            dimension=dimension,
            shape=np.shape(vectors),
        )
    return rows


def _floats(vectors: ArrayLike) -> NDArray[np.float32]:
    try:
        with np.errstate(over="ignore"):  # the infinity that comes of it is refused by name
            return np.ascontiguousarray(vectors, np.float32)
    except (TypeError, ValueError) as cause:
        raise VectorError("vector-value", f"these are no vectors of numbers: {cause}") from cause


def natural(number: int, name: str) -> int:
    """Gives a number that is not negative.

    Raises:
        VectorError: it is.
    """
    if number < 0:
        raise VectorError("vector-setting", f"{name} is {number}; it cannot be negative")
    return number
