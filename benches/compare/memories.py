"""Other memories of tasks, each embedding with our static model, so that only the rest differs.

Each stores tasks, given as text and JSON-like content, and gives the contents of the nearest.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dachi_fast import KeyFile, MemoryStore, StaticEmbedder, Store

Task = dict[str, Any]
_FIVE = 5


class Ours:
    """`MemoryStore`: durable, encrypted, proved, ledgered."""

    package = None

    def __init__(self, folder: Path) -> None:
        self._store = Store.open(folder / "store", keys=KeyFile(folder / "key"), witness=None)
        self._memory = MemoryStore(self._store).sync

    def store(self, tasks: Sequence[Task]) -> None:
        self._memory.store_tasks(tasks)  # type: ignore[arg-type]  # they have the right members

    def recall(self, query: str) -> list[Task]:
        found = self._memory.retrieve_similar_tasks(query, limit=_FIVE)
        return [{"task_envelope": one.task_envelope, "result": one.result} for one in found]

    def close(self) -> None:
        self._store.close()


class _Peer:
    def __init__(self) -> None:
        self._embedder = StaticEmbedder()

    def _vectors(self, tasks: Sequence[Task]) -> Any:
        return self._embedder.embed([_text(task) for task in tasks])

    def _vector(self, query: str) -> Any:
        return self._embedder.embed([query])[0]


class SqliteVec(_Peer):
    """A `vec0` table beside one of JSON, in one transaction; WAL and ``synchronous=FULL``."""

    package = "sqlite_vec"

    def __init__(self, folder: Path) -> None:
        import sqlite_vec

        super().__init__()
        self._base = sqlite3.connect(folder / "peer.db", isolation_level=None)
        self._base.enable_load_extension(True)
        sqlite_vec.load(self._base)
        self._base.execute("PRAGMA journal_mode=WAL")
        self._base.execute("PRAGMA synchronous=FULL")
        self._base.execute("CREATE TABLE tasks (id INTEGER PRIMARY KEY, content TEXT)")
        columns = f"near float[{self._embedder.dimension}] distance_metric=cosine"
        self._base.execute(f"CREATE VIRTUAL TABLE vectors USING vec0({columns})")

    def store(self, tasks: Sequence[Task]) -> None:
        self._base.execute("BEGIN IMMEDIATE")
        for task, vector in zip(tasks, self._vectors(tasks), strict=True):
            done = self._base.execute("INSERT INTO tasks(content) VALUES (?)", (json.dumps(task),))
            row = (done.lastrowid, vector.tobytes())
            self._base.execute("INSERT INTO vectors(rowid, near) VALUES (?, ?)", row)
        self._base.execute("COMMIT")

    def recall(self, query: str) -> list[Task]:
        rows = self._base.execute(
            "SELECT content FROM (SELECT rowid, distance FROM vectors WHERE near MATCH ? AND k = ?)"
            " JOIN tasks ON tasks.id = rowid ORDER BY distance",
            (self._vector(query).tobytes(), _FIVE),
        )
        return [json.loads(content) for (content,) in rows]

    def close(self) -> None:
        self._base.close()


class Chroma(_Peer):
    """A persistent collection, its settings as they come, telemetry off."""

    package = "chromadb"

    def __init__(self, folder: Path) -> None:
        import chromadb
        from chromadb.config import Settings

        super().__init__()
        settings = Settings(anonymized_telemetry=False)
        client = chromadb.PersistentClient(str(folder / "chroma"), settings=settings)
        space = {"hnsw:space": "cosine"}
        self._tasks = client.create_collection("tasks", metadata=space, embedding_function=None)

    def store(self, tasks: Sequence[Task]) -> None:
        self._tasks.add(
            ids=[uuid.uuid4().hex for _ in tasks],
            embeddings=self._vectors(tasks),
            documents=[_text(task) for task in tasks],
            metadatas=[{"content": json.dumps(task)} for task in tasks],
        )

    def recall(self, query: str) -> list[Task]:
        found = self._tasks.query(query_embeddings=self._vector(query)[None], n_results=_FIVE)
        return [json.loads(held["content"]) for held in found["metadatas"][0]]

    def close(self) -> None:
        pass


class Lance(_Peer):
    """A table without an index, which searches all: its settings as they come."""

    package = "lancedb"

    def __init__(self, folder: Path) -> None:
        import lancedb

        super().__init__()
        self._base = lancedb.connect(str(folder / "lance"))
        self._tasks: Any = None

    def store(self, tasks: Sequence[Task]) -> None:
        vectors = self._vectors(tasks)
        rows = [
            {"vector": vector, "content": json.dumps(task)}
            for task, vector in zip(tasks, vectors, strict=True)
        ]
        if self._tasks is None:
            self._tasks = self._base.create_table("tasks", data=rows)
        else:
            self._tasks.add(rows)

    def recall(self, query: str) -> list[Task]:
        found = self._tasks.search(self._vector(query)).distance_type("cosine").limit(_FIVE)
        return [json.loads(row["content"]) for row in found.to_list()]

    def close(self) -> None:
        pass


def _text(task: Task) -> str:
    return str(task["task_envelope"]["description"])
