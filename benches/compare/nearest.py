"""Other searches by nearness, each with what turns its recall up.

Each is made of unit vectors, whose ids are their numbers, and gives the ids of ten near ones.
"""

from __future__ import annotations

import sqlite3
from typing import Any

import numpy as np

from dachi_fast import vectors

# How hard graphs search, rising; the first that reaches a recall is measured.
EFFORTS = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


class Ours:
    """`vectors.Auto`, told the recall as its effort in thousandths."""

    efforts: tuple[float, ...] = (900, 930, 950, 960, 970, 980, 990, 993, 996, 998, 999.5, 1000)
    kind: type[vectors.Auto | vectors.Hnsw] = vectors.Auto

    def __init__(self, rows: Any) -> None:
        self.index = self.kind(rows.shape[1])
        self.index.insert(np.arange(len(rows)), rows)

    def search(self, query: Any, effort: float) -> Any:
        return self.index.search(query, 10, recall=effort / 1000).ids


class OurGraph(Ours):
    """`vectors.Hnsw`."""

    efforts = (800, 900, 950, 970, 980, 990, 995)
    kind = vectors.Hnsw


class Hnswlib:
    """The package itself, not our adapter."""

    efforts = EFFORTS

    def __init__(self, rows: Any) -> None:
        import hnswlib

        self.index = hnswlib.Index("ip", rows.shape[1])
        self.index.init_index(len(rows), M=16, ef_construction=200)
        self.index.add_items(rows, num_threads=1)

    def search(self, query: Any, effort: int) -> Any:
        self.index.set_ef(effort)
        return self.index.knn_query(query, 10, num_threads=1)[0][0]


class FaissHnsw:
    """`IndexHNSWFlat`."""

    efforts = EFFORTS

    def __init__(self, rows: Any) -> None:
        import faiss

        faiss.omp_set_num_threads(1)
        self.index = faiss.IndexHNSWFlat(rows.shape[1], 16, faiss.METRIC_INNER_PRODUCT)
        self.index.hnsw.efConstruction = 200
        self.index.add(rows)

    def search(self, query: Any, effort: int) -> Any:
        self.index.hnsw.efSearch = effort
        return self.index.search(query[None], 10)[1][0]


class FaissFlat:
    """`IndexFlatIP`: exact."""

    efforts = (1,)

    def __init__(self, rows: Any) -> None:
        import faiss

        faiss.omp_set_num_threads(1)
        self.index = faiss.IndexFlatIP(rows.shape[1])
        self.index.add(rows)

    def search(self, query: Any, effort: int) -> Any:
        del effort
        return self.index.search(query[None], 10)[1][0]


class Usearch:
    """Its graph over eight bits."""

    efforts = EFFORTS

    def __init__(self, rows: Any) -> None:
        from usearch.index import Index

        self.index = Index(
            ndim=rows.shape[1], metric="ip", dtype="i8", connectivity=16, expansion_add=200
        )
        self.index.add(np.arange(len(rows)), rows, threads=1)

    def search(self, query: Any, effort: int) -> Any:
        self.index.expansion_search = effort
        return self.index.search(query, 10, threads=1).keys


class SqliteVec:
    """A `vec0` table in memory: exact."""

    efforts = (1,)

    def __init__(self, rows: Any) -> None:
        import sqlite_vec

        self.base = sqlite3.connect(":memory:")
        self.base.enable_load_extension(True)
        sqlite_vec.load(self.base)
        columns = f"near float[{rows.shape[1]}] distance_metric=cosine"
        self.base.execute(f"CREATE VIRTUAL TABLE kept USING vec0({columns})")
        values = ((at, row.tobytes()) for at, row in enumerate(rows))
        self.base.executemany("INSERT INTO kept(rowid, near) VALUES (?, ?)", values)

    def search(self, query: Any, effort: int) -> Any:
        del effort
        ask = "SELECT rowid FROM kept WHERE near MATCH ? AND k = 10"
        return [at for (at,) in self.base.execute(ask, (query.tobytes(),))]
