"""What each index does by itself: how it chooses, and what its recall is worth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dachi_fast import vectors
from dachi_fast.vectors import Metric
from tests.oracles.nearest import clustered

# Enough for signs.
MANY = 9_000
DIMENSION = 128


def recall_of(index: Any, rows: Any, queries: Any, recall: float, within: Any = None) -> float:
    """The share of the ten nearest, by cosine, that a search finds."""
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    allowed = np.arange(len(rows)) if within is None else within.ids
    nearest = np.argsort(-(queries @ units[allowed].T), axis=1)[:, :10]
    found = index.search(queries, 10, recall=recall, within=within).ids
    pairs = zip(allowed[nearest], found, strict=True)
    return float(np.mean([len(set(near) & set(own)) / 10 for near, own in pairs]))


def filled(kind: Any, rows: Any, metric: Metric = "cosine") -> Any:
    index = kind(rows.shape[1], metric=metric)
    index.insert(np.arange(len(rows)), rows)
    return index


def test_auto_searches_as_suits_the_number_of_vectors() -> None:
    rows = clustered(MANY, DIMENSION, seed=1)
    index = vectors.Auto(DIMENSION)
    seen = []
    for start, end in ((0, 299), (299, 3_000), (3_000, MANY)):
        index.insert(np.arange(start, end), rows[start:end])
        seen.append(index.stats().method)
    assert seen == ["exact", "int8", "signs"]
    assert index.stats(recall=1.0).method == "int8"
    index.delete(np.arange(100, MANY))
    assert index.stats().method == "exact"


def test_signs_find_the_share_that_is_asked_for() -> None:
    drawn = clustered(MANY + 100, DIMENSION, seed=2)
    rows, queries = drawn[:MANY], drawn[MANY:]
    index = filled(vectors.Signs, rows)
    for recall in (0.9, 0.95, 0.99):
        assert index.stats(recall=recall).method == "signs"
        assert recall_of(index, rows, queries, recall) >= recall - 0.01


def test_signs_follow_what_is_written_after_they_were_measured() -> None:
    drawn = clustered(MANY + 100, DIMENSION, seed=3)
    rows, queries = drawn[:MANY], drawn[MANY:]
    index = filled(vectors.Signs, rows[: MANY - 3_000])
    index.insert(np.arange(MANY - 3_000, MANY), rows[MANY - 3_000 :])
    assert recall_of(index, rows, queries, 0.99) >= 0.97


def test_signs_forget_what_was_deleted_and_find_what_took_its_place() -> None:
    drawn = clustered(MANY + 2_100, DIMENSION, seed=13)
    rows, fresh, queries = drawn[:MANY].copy(), drawn[MANY : MANY + 2_000], drawn[-100:]
    index = filled(vectors.Signs, rows)
    gone = np.random.default_rng(13).permutation(MANY)[:4_000]
    assert index.delete(gone) == 4_000
    stay = np.setdiff1d(np.arange(MANY), gone)
    assert recall_of(index, rows, queries, 0.99, vectors.Subset(stay)) >= 0.98
    assert not set(index.search(queries).ids.ravel().tolist()) & set(gone.tolist())
    index.insert(gone[:2_000], fresh)
    rows[gone[:2_000]] = fresh
    there = np.setdiff1d(np.arange(MANY), gone[2_000:])
    assert index.stats().method == "signs"
    assert recall_of(index, rows, queries, 0.99, vectors.Subset(there)) >= 0.98


@pytest.mark.parametrize("metric", ["dot", "euclidean"])
def test_signs_serve_every_metric(metric: Metric) -> None:
    drawn = clustered(MANY + 150, DIMENSION, seed=4)
    drawn *= np.random.default_rng(4).uniform(0.5, 2, (len(drawn), 1)).astype(np.float32)
    signs = filled(vectors.Signs, drawn[:MANY], metric)
    exact = filled(vectors.Exact, drawn[:MANY], metric)
    assert signs.stats().method == "signs"
    queries = drawn[MANY:]
    pairs = zip(signs.search(queries).ids, exact.search(queries).ids, strict=True)
    assert np.mean([len(set(own) & set(near)) / 10 for own, near in pairs]) >= 0.97


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_signs_search_within_some_as_well_as_within_all(share: float) -> None:
    drawn = clustered(MANY + 50, DIMENSION, seed=5)
    rows, queries = drawn[:MANY], drawn[MANY:]
    index = filled(vectors.Signs, rows)
    some = np.random.default_rng(5).permutation(MANY)[: int(MANY * share)]
    assert recall_of(index, rows, queries, 0.99, vectors.Subset(some)) >= 0.98


def test_a_graph_finds_the_share_that_is_asked_for() -> None:
    drawn = clustered(4_100, DIMENSION, seed=21)
    rows, queries = drawn[:4_000], drawn[4_000:]
    index = filled(vectors.Hnsw, rows)
    for recall in (0.9, 0.95, 0.99):
        assert index.stats(recall=recall).method == "hnsw"
        assert recall_of(index, rows, queries, recall) >= recall - 0.01
    assert index.stats(recall=1.0).method == "int8"
    some = vectors.Subset(np.random.default_rng(21).permutation(4_000)[:2_500])
    assert recall_of(index, rows, queries, 0.99, some) >= 0.98


def test_a_graph_follows_what_is_written_and_outlives_what_is_deleted() -> None:
    drawn = clustered(4_100, DIMENSION, seed=22)
    rows, queries = drawn[:4_000], drawn[4_000:]
    index = vectors.Hnsw(DIMENSION)
    for start in range(0, 4_000, 500):
        index.insert(np.arange(start, start + 500), rows[start : start + 500])
    index.insert(np.arange(1_000), rows[:1_000])
    assert recall_of(index, rows, queries, 0.99) >= 0.98
    order = np.random.default_rng(22).permutation(4_000)
    for gone in (1_500, 2_500):
        index.delete(order[:gone])
        stay = vectors.Subset(order[gone:])
        assert recall_of(index, rows, queries, 0.99, stay) >= 0.98
        assert not set(index.search(queries).ids.ravel().tolist()) & set(order[:gone].tolist())
    index.insert(order[:2_500], rows[order[:2_500]])
    assert recall_of(index, rows, queries, 0.99) >= 0.98


def test_equal_insertions_make_equal_graphs() -> None:
    drawn = clustered(1_550, DIMENSION, seed=23)
    first, second = (filled(vectors.Hnsw, drawn[:1_500]) for _ in range(2))
    assert first.stats() == second.stats()
    found, again = (index.search(drawn[1_500:], recall=0.9) for index in (first, second))
    assert found.ids.tolist() == again.ids.tolist()


def test_where_signs_tell_too_little_eight_bits_are_used() -> None:
    rows = np.random.default_rng(6).normal(size=(MANY, 384)).astype(np.float32)
    index = filled(vectors.Signs, rows)
    assert index.stats().method == "int8"
    assert recall_of(index, rows, rows[::200] * np.float32(1.001), 0.99) >= 0.999


def test_vectors_of_few_components_are_compared_as_they_are() -> None:
    rows = np.random.default_rng(6).normal(size=(MANY, 2)).astype(np.float32)
    for kind in (vectors.Int8, vectors.Signs, vectors.Auto):
        assert filled(kind, rows).stats().method == "exact"


def test_among_near_copies_the_nearest_are_found() -> None:
    rng = np.random.default_rng(8)
    copies = np.repeat(rng.normal(size=(6, DIMENSION)), MANY // 6, axis=0)
    rows = (copies + 0.3 * rng.normal(size=copies.shape)).astype(np.float32)
    index = filled(vectors.Signs, rows)
    assert recall_of(index, rows, rows[::100] * np.float32(1.001), 0.95) >= 0.93


def test_copies_that_eight_bits_cannot_tell_apart_cost_almost_nothing() -> None:
    rng = np.random.default_rng(9)
    copies = np.repeat(rng.normal(size=(6, DIMENSION)), MANY // 6, axis=0)
    rows = (copies + 0.001 * rng.normal(size=copies.shape)).astype(np.float32)
    signs, exact = filled(vectors.Signs, rows), filled(vectors.Exact, rows)
    found, best = signs.search(rows[::100]).scores, exact.search(rows[::100]).scores
    np.testing.assert_allclose(found, best, atol=1e-5)


def test_memory_is_told() -> None:
    rows = clustered(MANY, DIMENSION, seed=7)
    sizes = [filled(kind, rows).stats().size_bytes for kind in (vectors.Exact, vectors.Int8)]
    assert MANY * DIMENSION * 4 <= sizes[0] <= MANY * DIMENSION * 4 * 1.5
    assert sizes[1] >= sizes[0] + MANY * DIMENSION
    linked = filled(vectors.Hnsw, rows[:2_000]).stats().size_bytes
    assert linked >= 2_000 * (DIMENSION * 5 + 33 * 4)
