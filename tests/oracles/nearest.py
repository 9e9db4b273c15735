"""Exact search by nearness in numpy, and vectors to try it on."""

from __future__ import annotations

from typing import Any

import numpy as np

from dachi_fast.vectors import Metric, Subset


def clustered(n: int, dimension: int, *, seed: int) -> Any:
    """Gives float32 vectors that lie in heaps, off centre, as embeddings do."""
    rng = np.random.default_rng(seed)
    heaps = np.random.default_rng(dimension).normal(size=(12, dimension)) + 0.3
    spread = rng.normal(size=(n, dimension)) * 0.5
    return (heaps[rng.integers(0, 12, n)] + spread).astype(np.float32)


class Nearest:
    """A dict of vectors, all of which are looked at in 64-bit floats."""

    def __init__(self, dimension: int, metric: Metric) -> None:
        self.dimension, self.metric = dimension, metric
        self.vectors: dict[int, Any] = {}

    def insert(self, ids: Any, vectors: Any) -> None:
        """Puts vectors."""
        for one, vector in zip(ids, vectors, strict=True):
            self.vectors[int(one)] = np.asarray(vector, np.float64)

    def delete(self, ids: Any) -> int:
        """Takes vectors out."""
        return sum(self.vectors.pop(int(one), None) is not None for one in ids)

    def scores(self, query: Any, within: Any = None) -> dict[int, float]:
        """Gives the score of each vector that may be found."""
        ids, scores = self._scored(query, within)
        return dict(zip(ids, scores.tolist(), strict=True))

    def best(self, query: Any, k: int, within: Any = None) -> Any:
        """Gives the k best scores, the best first."""
        scores = np.sort(self._scored(query, within)[1])
        return scores[:k] if self.metric == "euclidean" else scores[::-1][:k]

    def _scored(self, query: Any, within: Any) -> tuple[list[int], Any]:
        within = within.ids if isinstance(within, Subset) else within
        allowed = set(self.vectors if within is None else np.asarray(within, np.uint64).tolist())
        ids = [one for one in self.vectors if one in allowed]
        rows = np.array([self.vectors[one] for one in ids]).reshape(len(ids), self.dimension)
        query = np.asarray(query, np.float64)
        if self.metric == "euclidean":
            return ids, np.linalg.norm(rows - query, axis=1)
        scores = rows @ query
        if self.metric == "cosine":
            scores = scores / np.linalg.norm(rows, axis=1) / np.linalg.norm(query)
        return ids, scores
