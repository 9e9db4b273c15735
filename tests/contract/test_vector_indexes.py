"""What holds for every vector index; each one adds only how it is made.

numpy's search in 64-bit floats is the oracle.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from dachi_fast import vectors
from dachi_fast.errors import VectorError
from dachi_fast.types import VectorIndex
from dachi_fast.vectors import Metric
from tests.oracles.nearest import Nearest, clustered

METRICS: tuple[Metric, ...] = ("cosine", "dot", "euclidean")
TOP_ID = 2**64 - 1


class VectorIndexContract:
    """Base of one class for each index, which defines `make`."""

    # Of the ten nearest by exact search, how many are found on average.
    recall = 1.0
    # Whether that holds where most vectors are copies of each other.
    knows_copies = True

    def make(self, dimension: int, metric: Metric) -> VectorIndex:
        raise NotImplementedError

    def both(self, n: int, dimension: int, metric: Metric) -> tuple[VectorIndex, Nearest, Any]:
        """The index and the oracle with the same vectors, and queries like them."""
        index, truth = self.make(dimension, metric), Nearest(dimension, metric)
        drawn = clustered(n + 12, dimension, seed=n + dimension)
        ids = np.arange(n, dtype=np.uint64) * 7 + 3
        index.insert(ids, drawn[:n])
        truth.insert(ids, drawn[:n])
        return index, truth, drawn[n:]

    def agree(
        self, index: VectorIndex, truth: Nearest, queries: Any, k: int, within: Any = None
    ) -> None:
        """Scores as exact search has them, ids that have these scores, and enough of the best."""
        hits = wanted = 0
        for query in queries:
            found = index.search(query, k, within=within)
            scores, best = truth.scores(query, within), truth.best(query, k, within)
            assert found.ids.dtype == np.uint64
            assert found.scores.dtype == np.float32
            assert len(found.ids) == len(found.scores) == min(k, len(scores))
            assert len(set(found.ids.tolist())) == len(found.ids)
            exact = np.array([scores[one] for one in found.ids.tolist()])
            np.testing.assert_allclose(found.scores, exact, rtol=1e-4, atol=2e-4)
            ordered = found.scores if truth.metric == "euclidean" else -found.scores
            assert (np.diff(ordered) >= 0).all()
            # Equally near ones are as good, and sums in another order are not quite equal.
            nearness = -exact if truth.metric == "euclidean" else exact
            worst = (-best[-1:] if truth.metric == "euclidean" else best[-1:]).sum()
            hits += int((nearness >= worst - 2e-4 * max(1, abs(worst))).sum())
            wanted += len(best)
        assert hits >= self.recall * wanted

    @pytest.mark.parametrize("metric", METRICS)
    @pytest.mark.parametrize("dimension", [1, 3, 64, 100])
    def test_it_finds_what_exact_search_finds(self, metric: Metric, dimension: int) -> None:
        if dimension == 1 and metric == "cosine" and not self.knows_copies:
            pytest.skip("all vectors point one of two ways")
        for n in (1, 2, 9, 1_200):
            index, truth, queries = self.both(n, dimension, metric)
            assert len(index) == n
            for k in (1, 10):
                self.agree(index, truth, queries, k)

    def test_it_shows_what_it_holds(self) -> None:
        index, _, _ = self.both(9, 8, "dot")
        assert repr(index) == f"<{type(index).__name__} of 9 vectors, 8 components, dot>"

    def test_it_takes_up_to_4096_components(self) -> None:
        index, truth, queries = self.both(400, 4096, "cosine")
        self.agree(index, truth, queries[:5], 10)
        for dimension in (0, -1, 4097):
            with pytest.raises(VectorError) as caught:
                self.make(dimension, "cosine")
            assert caught.value.code == "vector-setting"

    def test_many_queries_at_once_give_what_each_gives(self) -> None:
        index, _, queries = self.both(500, 36, "cosine")
        many = index.search(queries, 7)
        assert many.ids.shape == many.scores.shape == (len(queries), 7)
        for query, ids, scores in zip(queries, many.ids, many.scores, strict=True):
            one = index.search(query, 7)
            assert one.ids.tolist() == ids.tolist()
            assert one.scores.tolist() == scores.tolist()
        none = index.search(queries[:0], 7)
        assert none.ids.shape[0] == 0

    def test_k_may_be_nothing_or_more_than_there_is(self) -> None:
        index, truth, queries = self.both(50, 8, "cosine")
        assert index.search(queries[0], 0).ids.tolist() == []
        self.agree(index, truth, queries[:3], 1_000)
        with pytest.raises(VectorError) as caught:
            index.search(queries[0], -1)
        assert caught.value.code == "vector-setting"

    def test_an_empty_index_finds_nothing(self) -> None:
        index = self.make(4, "euclidean")
        index.insert([], [])
        assert len(index) == 0
        assert index.search([1, 2, 3, 4], 10).ids.tolist() == []
        assert index.search(np.ones((3, 4)), 10).ids.shape == (3, 0)
        assert index.delete([1, 2]) == 0

    def test_an_id_that_is_there_gets_the_new_vector(self) -> None:
        index, truth, queries = self.both(600, 40, "euclidean")
        ids = np.arange(0, 600, 3, dtype=np.uint64) * 7 + 3
        fresh = clustered(len(ids), 40, seed=9)
        index.insert(ids, fresh)
        truth.insert(ids, fresh)
        assert len(index) == 600
        self.agree(index, truth, queries, 10)
        index.insert([5, 5], np.array([np.zeros(40), np.ones(40)]))
        assert index.search(np.ones(40), 1).ids.tolist() == [5]
        assert len(index) == 601

    def test_what_was_deleted_is_not_found(self) -> None:
        index, truth, queries = self.both(800, 40, "cosine")
        gone = np.arange(0, 800, 2, dtype=np.uint64) * 7 + 3
        assert 3 in index
        assert index.delete([*gone.tolist(), 1, 1]) == truth.delete(gone) == 400
        assert 3 not in index
        assert index.delete(gone) == 0
        self.agree(index, truth, queries, 10)
        back = clustered(100, 40, seed=5)
        index.insert(gone[:100], back)
        truth.insert(gone[:100], back)
        self.agree(index, truth, queries, 10)
        index.delete(list(truth.vectors))
        assert len(index) == 0
        assert index.search(queries[0], 10).ids.tolist() == []

    @pytest.mark.parametrize("share", [0.003, 0.01, 0.1, 0.5, 1.0])
    def test_a_search_within_some_finds_the_best_of_them(self, share: float) -> None:
        index, truth, queries = self.both(1_500, 48, "cosine")
        rng = np.random.default_rng(2)
        ids = rng.choice(
            np.array(list(truth.vectors), np.uint64), int(1_500 * share), replace=False
        )
        subset = vectors.Subset(ids)
        self.agree(index, truth, queries, 10, within=ids)
        for query in queries[:3]:
            found = index.search(query, 10, within=subset)
            assert found.ids.tolist() == index.search(query, 10, within=ids).ids.tolist()

    def test_a_recall_is_a_share(self) -> None:
        index, truth, queries = self.both(700, 40, "cosine")
        for recall in (0.0, -1.0, 1.01, float("nan")):
            with pytest.raises(VectorError) as caught:
                index.search(queries[0], recall=recall)
            assert caught.value.code == "vector-setting"
        for query in queries:
            best = truth.best(query, 10)
            np.testing.assert_allclose(index.search(query, recall=1.0).scores, best, atol=1e-5)

    def test_a_subset_follows_the_index(self) -> None:
        index, truth, queries = self.both(300, 8, "cosine")
        ids = list(truth.vectors)[:20]
        subset = vectors.Subset([*ids, 999_999])
        self.agree(index, truth, queries, 10, within=subset)
        index.delete(ids[:15])
        truth.delete(ids[:15])
        index.insert([999_999], queries[0])
        truth.insert([999_999], queries[:1])
        assert sorted(index.search(queries[0], 10, within=subset).ids.tolist()) == sorted(
            [*ids[15:], 999_999]
        )
        other = self.make(8, "cosine")
        other.insert(ids[:2], queries[:2])
        assert len(other.search(queries[0], 10, within=subset).ids) == 2
        assert index.search(queries[0], 10, within=[]).ids.tolist() == []
        assert index.search(queries[0], 10, within=[12]).ids.tolist() == []

    def test_every_64_bit_id_comes_back(self) -> None:
        index = self.make(2, "dot")
        ids = [0, 2**63 - 1, 2**63, TOP_ID]
        index.insert(ids, [[1, 0], [2, 0], [3, 0], [4, 0]])
        assert index.search([1, 0], 4).ids.tolist() == ids[::-1]
        assert TOP_ID in index
        wrong: Any
        for wrong in ([-1], [2**64], [1.5], ["a"], [[1, 2]], [None]):
            with pytest.raises(VectorError) as caught:
                index.insert(wrong, np.ones((1, 2)))
            assert caught.value.code == "vector-id"
        assert len(index) == 4

    @pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int8])
    def test_numbers_of_other_widths_are_taken(self, kind: Any) -> None:
        index = self.make(3, "euclidean")
        index.insert([1, 2], np.asfortranarray(np.array([[1, 2, 3], [4, 5, 6]], kind)))
        found = index.search(np.array([4, 5, 7], kind), 2)
        assert found.ids.tolist() == [2, 1]
        np.testing.assert_allclose(found.scores, [1, 34**0.5], rtol=1e-6)

    @pytest.mark.parametrize(
        ("vector", "code"),
        [
            ([1, 2], "vector-dimension"),
            ([1, 2, 3, 4], "vector-dimension"),
            ([[[1, 2, 3]]], "vector-dimension"),
            (7, "vector-dimension"),
            ([1, float("nan"), 3], "vector-value"),
            ([1, float("inf"), 3], "vector-value"),
            ([1, -1e17, 3], "vector-value"),
            ([1, 1e300, 3], "vector-value"),
            (["a", "b", "c"], "vector-value"),
            ([0, 0, 0], "vector-zero"),
        ],
    )
    def test_a_vector_that_means_nothing_is_refused_and_nothing_changes(
        self, vector: Any, code: str
    ) -> None:
        index = self.make(3, "cosine")
        index.insert([1, 2], [[1, 0, 0], [0, 1, 0]])
        with pytest.raises(VectorError) as caught:
            index.search(vector, 1)
        assert caught.value.code == code
        with pytest.raises(VectorError) as caught:
            index.insert([1], vector)
        assert caught.value.code == code
        if code in {"vector-value", "vector-zero"} and vector != ["a", "b", "c"]:
            with pytest.raises(VectorError):
                index.insert([1, 3], np.array([[0, 0, 1], vector]))
        assert len(index) == 2
        assert index.search([1, 0, 0], 1).ids.tolist() == [1]

    def test_each_id_needs_a_vector(self) -> None:
        index = self.make(2, "dot")
        with pytest.raises(VectorError) as caught:
            index.insert([1, 2], [[1, 0]])
        assert caught.value.code == "vector-count"
        assert len(index) == 0

    def test_zeros_are_as_good_as_others_where_they_have_a_place(self) -> None:
        for metric in ("dot", "euclidean"):
            index = self.make(2, metric)
            index.insert([1, 2], np.array([[0, 0], [3, 4]]))
            assert index.search([0, 0], 2).scores.tolist() == [0, 5 if metric == "euclidean" else 0]

    def test_very_large_and_very_small_vectors_have_a_direction(self) -> None:
        index = self.make(2, "cosine")
        index.insert([1, 2, 3], np.array([[1e16, 0], [1e-40, 1e-40], [0, 1]]))
        found = index.search([1e-44, 0], 3)
        assert found.ids.tolist() == [1, 2, 3]
        np.testing.assert_allclose(found.scores, [1, 0.7071, 0], atol=1e-4)

    def test_equal_vectors_are_all_found(self) -> None:
        index = self.make(32, "cosine")
        row = clustered(1, 32, seed=1)
        index.insert(np.arange(500), np.repeat(row, 500, axis=0))
        found = index.search(row[0], 500)
        assert sorted(found.ids.tolist()) == list(range(500))
        np.testing.assert_allclose(found.scores, 1, atol=1e-5)

    def test_threads_search_while_one_writes(self) -> None:
        index, truth, queries = self.both(1_500, 48, "euclidean")
        stay = set(truth.vectors)
        fresh = clustered(900, 48, seed=77) + 100.0

        def write() -> None:
            for turn in range(30):
                ids = np.arange(30, dtype=np.uint64) + 1_000_000 + turn * 30
                index.insert(ids, fresh[turn * 30 : turn * 30 + 30])
                index.delete(ids[::2])

        def search(seed: int) -> None:
            for query in np.random.default_rng(seed).permutation(np.repeat(queries, 15, axis=0)):
                found = index.search(query, 10)
                # What is written lies far away, so the nearest never change.
                assert set(found.ids.tolist()) <= stay
                assert len(found.ids) == 10

        with ThreadPoolExecutor(4) as pool:
            for work in [pool.submit(write), *(pool.submit(search, seed) for seed in range(3))]:
                work.result()
        assert len(index) == 1_500 + 450
        self.agree(index, truth, queries, 10)

    def test_it_follows_the_protocol(self) -> None:
        index = self.make(5, "dot")
        assert isinstance(index, VectorIndex)
        assert (index.dimension, index.metric) == (5, "dot")


class TestExact(VectorIndexContract):
    def make(self, dimension: int, metric: Metric) -> VectorIndex:
        return vectors.Exact(dimension, metric=metric)


class TestInt8(VectorIndexContract):
    def make(self, dimension: int, metric: Metric) -> VectorIndex:
        return vectors.Int8(dimension, metric=metric)


class TestSigns(VectorIndexContract):
    def make(self, dimension: int, metric: Metric) -> VectorIndex:
        return vectors.Signs(dimension, metric=metric)


class TestHnsw(VectorIndexContract):
    recall = 0.97

    def make(self, dimension: int, metric: Metric) -> VectorIndex:
        return vectors.Hnsw(dimension, metric=metric)


class TestHnswlib(VectorIndexContract):
    recall = 0.9
    knows_copies = False

    def make(self, dimension: int, metric: Metric) -> VectorIndex:
        pytest.importorskip("hnswlib")
        return vectors.Hnswlib(dimension, metric=metric)


class TestAuto(VectorIndexContract):
    def make(self, dimension: int, metric: Metric) -> VectorIndex:
        return vectors.Auto(dimension, metric=metric)
