"""What type checkers make of memories: checked by mypy and pyright, run by nobody."""

from __future__ import annotations

from typing import assert_type

from dachi_fast import Memory, MemoryStore, Recall, Recalled, Store, SyncMemory, TransactionManager
from dachi_fast.memory import Explanation, Trust


async def use(store: Store) -> None:
    memory = store.memory("team", grant=["coder"], most_trust="tool", duplicates="link")
    assert_type(memory, MemoryStore)
    assert_type(await store.amemory("team"), MemoryStore)
    assert_type(memory.sync, SyncMemory)
    assert_type(await memory.store_task({"description": "a"}, None, trust="web", ttl_s=3), str)
    tasks = [{"task_envelope": {"description": "a"}, "result": 1}]
    assert_type(await memory.store_tasks([{"task_envelope": {}, "result": 1}]), list[str])
    await memory.store_tasks(tasks)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    found = await memory.retrieve_similar_tasks("a", limit=3, where={"source": "b"}, explain=True)
    assert_type(found, Recall)
    assert_type(found[0], Recalled)
    assert_type(found[0].similarity, float | None)
    assert_type(found[0].trust, Trust)
    assert_type(found.explanation, Explanation | None)
    assert_type(await memory.get("id"), Memory)
    assert_type(await memory.find(where={"trust": "web"}), list[Memory])
    assert_type(memory.sync.retrieve_similar_tasks("a", min_similarity=0.8), Recall)
    with TransactionManager().sync as tx:
        assert_type(memory.sync.store_task({}, None, text="a", within=tx), str)
    await memory.store_task({}, None, trust="root")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await memory.retrieve_similar_tasks("a", top=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
