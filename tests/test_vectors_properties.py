"""Any sequence of writes and searches answers as exact search over a dict does."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dachi_fast import vectors
from tests.oracles.nearest import Nearest, clustered

_IDS = st.integers(0, 400)
_SEEDS = st.integers(0, 2**32 - 1)


class Searched(RuleBasedStateMachine):
    """The index that chooses for itself, beside a dict."""

    @initialize(metric=st.sampled_from(["cosine", "dot", "euclidean"]), wide=st.booleans())
    def begin(self, metric: Any, wide: bool) -> None:
        self.dimension = 70 if wide else 3
        self.index = vectors.Auto(self.dimension, metric=metric)
        self.truth = Nearest(self.dimension, metric)
        self.subset = vectors.Subset(range(0, 400, 3))

    @rule(ids=st.lists(_IDS, max_size=20), seed=_SEEDS)
    def insert(self, ids: list[int], seed: int) -> None:
        rows = clustered(len(ids), self.dimension, seed=seed)
        self.index.insert(ids, rows)
        self.truth.insert(ids, rows)

    @rule(first=_IDS, seed=_SEEDS)
    def insert_many(self, first: int, seed: int) -> None:
        self.insert(list(range(first, first + 350)), seed)

    @rule(ids=st.lists(_IDS, max_size=60))
    def delete(self, ids: list[int]) -> None:
        assert self.index.delete(ids) == self.truth.delete(ids)

    @rule(first=_IDS)
    def delete_many(self, first: int) -> None:
        self.delete(list(range(first, first + 350)))

    @rule(seed=_SEEDS, k=st.integers(0, 30), narrowed=st.booleans())
    def search(self, seed: int, k: int, narrowed: bool) -> None:
        query = clustered(1, self.dimension, seed=seed)[0]
        within = self.subset if narrowed else None
        found = self.index.search(query, k, within=within)
        best = self.truth.best(query, k, within)
        np.testing.assert_allclose(found.scores, best, rtol=1e-4, atol=1e-3)
        scores = self.truth.scores(query, within)
        own = [scores[one] for one in found.ids.tolist()]
        np.testing.assert_allclose(found.scores, own, rtol=1e-4, atol=1e-3)

    @invariant()
    def they_hold_the_same(self) -> None:
        assert len(self.index) == len(self.truth.vectors)


Searched.TestCase.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
TestSearched = Searched.TestCase
