"""Remembering tasks and finding them by meaning: one handle, honest input."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dachi_fast import (
    Attr,
    BaseModule,
    HashingEmbedder,
    LmdbMemoryProvider,
    Memory,
    MemoryStore,
    Store,
    TransactionManager,
)
from dachi_fast.errors import (
    EmptyText,
    QueryError,
    StateTypeError,
    StoreError,
    StoreReadOnly,
    Superseded,
    TextTooLong,
    TransactionError,
    UnknownName,
)
from tests.memories import angles, entries, opened, recalled, remember
from tests.timed import START_S, Clock


class Counter(BaseModule):
    count: int = Attr(default=0)


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with opened(tmp_path, clock) as store:
        yield store


# --- meaning --------------------------------------------------------------------------------------


async def test_the_default_embedder_finds_a_task_by_what_it_means(store: Store) -> None:
    memory = MemoryStore(store)
    tasks = ["Build Python REST API", "Bake a chocolate cake", "Book a flight to Oslo"]
    await memory.store_tasks(
        [{"task_envelope": {"description": text}, "result": {}} for text in tasks]
    )
    found = await memory.retrieve_similar_tasks("Create FastAPI microservice", min_similarity=0.8)
    assert [one.text for one in found] == ["Build Python REST API"]
    assert await memory.retrieve_similar_tasks("Feed the cat", min_similarity=0.8) == []


def test_what_is_recalled_says_all_of_itself(store: Store, clock: Clock) -> None:
    memory = angles(store)
    envelope = {"description": "task at 60", "by": datetime.date(2027, 1, 1), "ids": (1, 2)}
    result = {"outcome": "success", "data": np.arange(3)}
    stored = memory.store_task(envelope, result, source="planner", trust="user", ttl_s=7200)
    clock.now_s += 90
    [found] = memory.retrieve_similar_tasks("at 0")
    assert (found.id, found.text, found.rank) == (stored, "task at 60", 1)
    assert found.cosine == pytest.approx(0.5, abs=1e-3)
    assert found.similarity == pytest.approx(0.5, abs=1e-2)
    assert (found.source, found.trust, found.principal) == ("planner", "user", "agent")
    assert found.task_envelope == envelope
    assert found.result["data"].tolist() == [0, 1, 2]
    assert (found.age_s, found.times, found.signed) == (90.0, 1, False)
    assert found.created.timestamp() == START_S
    assert found.expires is not None
    assert found.expires.timestamp() == START_S + 7200
    same = memory.get(stored)
    assert type(same) is Memory
    assert (same.id, same.task_envelope) == (found.id, found.task_envelope)


def test_the_nearest_come_first_and_no_more_than_wanted(store: Store) -> None:
    memory = angles(store)
    remember(memory, 80, 20, 50, 0, 120)
    assert recalled(memory, 12) == [20, 0, 50, 80, 120]
    assert recalled(memory, 12, limit=2) == [20, 0]


def test_thresholds_of_both_kinds_hold(store: Store) -> None:
    memory = angles(store)
    remember(memory, 0, 30, 59, 61, 90, 180)
    assert recalled(memory, min_similarity=0.5) == [0, 30, 59]
    assert recalled(memory, min_similarity=0.0) == recalled(memory)
    assert recalled(memory, min_similarity=1.0) == []
    assert recalled(memory, min_cosine=-0.01) == [0, 30, 59, 61, 90]
    assert recalled(memory, min_cosine=-1.0) == recalled(memory)
    assert recalled(memory, min_similarity=0.5, min_cosine=0.6) == [0, 30]


def test_a_namespace_of_nothing_gives_nothing_and_is_not_made(store: Store) -> None:
    memory = angles(store, "nobody")
    assert recalled(memory) == []
    assert memory.find() == []
    assert memory.retrieve_similar_tasks("at 0", where={"made.up": 1}) == []
    assert store.stats().names == ()
    assert [entry.operation for entry in store.ledger()] == ["create"]


def test_a_text_of_ones_own_is_what_is_found(store: Store) -> None:
    memory = angles(store)
    memory.store_task({"description": "task at 170"}, {"angle": 170}, text="rather at 5")
    assert recalled(memory, min_cosine=0.9) == [170]
    memory.store_task({"no": "description"}, {"angle": 1}, text="at 1")
    assert recalled(memory, min_cosine=0.9) == [1, 170]


# --- changing -------------------------------------------------------------------------------------


def test_a_forgotten_memory_is_neither_read_nor_recalled(store: Store) -> None:
    memory = angles(store)
    first, second = remember(memory, 0, 10)
    memory.forget(first, justification="asked to")
    assert recalled(memory) == [10]
    for gone in (first, "0" * 32, "no id"):
        with pytest.raises(UnknownName) as raised:
            memory.get(gone)
        assert raised.value.code == "unknown-memory"
        with pytest.raises(UnknownName):
            memory.forget(gone)
    assert memory.get(second).id == second


def test_a_superseded_memory_leads_to_the_new_one_and_is_not_recalled(store: Store) -> None:
    memory = angles(store)
    [old] = remember(memory, 0)
    new = memory.supersede(old, {"description": "task at 3"}, {"angle": 3})
    assert recalled(memory) == [3]
    assert memory.get(old).superseded_by == new
    assert memory.get(new).supersedes == old
    assert recalled(memory, include=["superseded"]) == [0, 3]
    with pytest.raises(Superseded) as raised:
        memory.supersede(old, {"description": "task at 4"}, {})
    assert raised.value.context["superseded_by"] == new
    assert len(memory.find()) == 2


def test_an_expired_memory_is_gone_to_the_nanosecond_also_when_the_clock_goes_back(
    store: Store, clock: Clock
) -> None:
    memory = angles(store)
    remember(memory, 0, ttl_s=60)
    remember(memory, 10)
    clock.now_s += 59
    assert recalled(memory) == [0, 10]
    clock.now_s += 1
    assert recalled(memory) == [10]
    remember(memory, 20)  # a commit that has seen this time
    clock.now_s -= 100
    assert recalled(memory) == [10, 20]
    assert [one.age_s for one in memory.retrieve_similar_tasks("at 20", limit=1)] == [0.0]


def test_memories_of_a_batch_are_stored_together_or_not_at_all(store: Store) -> None:
    memory = angles(store)
    tasks: list[Any] = [
        {"task_envelope": {"description": f"task at {angle}"}, "result": {"angle": angle}}
        for angle in range(100)
    ]
    ids = memory.store_tasks(tasks)
    assert len(set(ids)) == 100
    assert ids == sorted(ids)
    assert recalled(memory) == list(range(100))
    tasks[50]["result"] = object()
    with pytest.raises(StateTypeError) as raised:
        memory.store_tasks(tasks)
    assert raised.value.context["path"] == "result"
    assert len(memory.find()) == 100
    assert memory.store_tasks([]) == []
    with pytest.raises(TypeError, match="result"):
        memory.store_tasks([{"task_envelope": {"description": "at 1"}}])  # type: ignore[typeddict-item]


async def test_an_async_call_takes_its_input_before_it_waits(store: Store) -> None:
    memory = MemoryStore(store)
    envelope = {"description": "Build Python REST API", "list": [1]}
    waiting = asyncio.ensure_future(memory.store_task(envelope, envelope["list"]))
    await asyncio.sleep(0)
    envelope["description"] = "Bake a cake"
    envelope["list"] = [2]
    found = await memory.get(await waiting)
    assert (found.text, found.result) == ("Build Python REST API", [1])
    with pytest.raises(StateTypeError):
        await memory.store_task({"description": "x", "y": object()}, None)


async def test_the_methods_of_the_async_form_do_what_those_of_the_other_do(store: Store) -> None:
    memory = MemoryStore(store, namespace="agent", embedder=angles(store).embedder)
    first = await memory.store_task({"description": "at 1"}, {"angle": 1}, trust="web")
    second = await memory.store_task({"description": "at 2"}, {"angle": 2})
    await memory.release(first)
    await memory.quarantine(second)
    assert recalled(memory.sync) == [1]
    third = await memory.supersede(first, {"description": "at 3"}, {"angle": 3})
    await memory.forget(second)
    assert [one.id for one in await memory.find(order="oldest")] == [first, third]
    assert repr(memory) == "<MemoryStore of 'agent' as 'agent'>"


# --- one commit -----------------------------------------------------------------------------------


def test_a_memory_is_stored_in_one_commit_with_documents_and_the_agent(store: Store) -> None:
    memory, provider = angles(store), LmdbMemoryProvider(store, namespace="agent")
    counter = Counter()
    with TransactionManager(provider, justification="task 1 ended").sync as tx:
        stored = memory.store_task({"description": "at 0"}, {"angle": 0}, within=tx)
        tx.store("task_result", {"memory": stored})
        tx.save(counter, "agent")
        assert recalled(memory) == []  # nobody sees it yet
    assert recalled(memory) == [0]
    with pytest.raises(ValueError, match="stop"), TransactionManager(provider).sync as tx:  # noqa: PT012
        memory.store_task({"description": "at 1"}, {"angle": 1}, within=tx)
        raise ValueError("stop")
    assert recalled(memory) == [0]
    two: list[Any] = [{"task_envelope": {"description": f"at {n}"}, "result": n} for n in (1, 2)]
    bad: Any = {**two[0], "result": object()}
    with TransactionManager(provider).sync as tx:
        with pytest.raises(StateTypeError):
            memory.store_tasks([*two, bad], within=tx)
        memory.store_tasks(two[:1], within=tx)
    assert len(memory.find()) == 2
    other = LmdbMemoryProvider(store, namespace="other")
    with TransactionManager(other).sync as tx, pytest.raises(TransactionError):
        memory.store_task({"description": "at 1"}, {"angle": 1}, within=tx)


def test_every_operation_is_a_ledger_entry(store: Store) -> None:
    memory = angles(store)
    [stored] = remember(memory, 0, justification="task 1 ended")
    recalled(memory, justification="looking for task 2")
    memory.get(stored)
    memory.quarantine(stored)
    memory.forget(stored)
    kinds = [entry for entry in entries(store) if entry[2] == "task_memory"]
    assert kinds == [
        ("index", "agent", "task_memory"),
        ("store", "agent", "task_memory"),
        ("retrieve", "agent", "task_memory"),
        ("retrieve", "agent", "task_memory"),
        ("update", "agent", "task_memory"),
        ("delete", "agent", "task_memory"),
    ]
    [why, _] = [entry.justification for entry in store.ledger() if entry.operation == "retrieve"][
        ::-1
    ]
    assert why == "looking for task 2"
    assert store.verify().documents == 0


def test_memories_go_with_the_agent_that_is_forgotten(store: Store) -> None:
    memory = angles(store)
    remember(memory, 0)
    store.forget("agent")
    assert recalled(memory) == []
    remember(memory, 5)
    assert recalled(memory) == [5]


def test_memories_are_there_when_the_store_is_opened_again(tmp_path: Path, clock: Clock) -> None:
    with opened(tmp_path, clock) as store:
        remember(angles(store), 0, 40)
    with opened(tmp_path, clock) as store:
        assert recalled(angles(store)) == [0, 40]
    with opened(tmp_path, clock, read_only=True) as store:
        assert recalled(angles(store)) == [0, 40]
        with pytest.raises(StoreReadOnly):
            remember(angles(store), 1)


# --- conditions -----------------------------------------------------------------------------------


def test_conditions_hold_inside_the_search(store: Store) -> None:
    memory = angles(store, indexes=["result.outcome"])
    for angle in range(60):
        outcome = "success" if angle % 20 == 19 else "failure"
        memory.store_task(
            {"description": f"at {angle}"},
            {"angle": angle, "outcome": outcome},
            source=f"s{angle % 2}",
        )
    assert recalled(memory, limit=2, where={"result.outcome": "success"}) == [19, 39]
    assert recalled(memory, limit=2, where={"source": "s1"}) == [1, 3]
    assert recalled(memory, where={"result.angle": {">": 57}}) == [58, 59]
    assert recalled(memory, where={"result.outcome": "unheard of"}) == []
    both = {"source": {"in": ["s0"]}, "task_envelope.description": "at 8"}
    assert [one.result["angle"] for one in memory.find(where=both)] == [8]
    assert [one.result["angle"] for one in memory.find(limit=2)] == [59, 58]


def test_a_condition_on_a_field_that_no_memory_has_is_refused(store: Store) -> None:
    memory = angles(store)
    memory.store_task({"description": "at 0", "deep": {"er": 1}}, {"outcome": "success"})
    for wrong in ("result.outcom", "outcome", "task_envelope.deep.err"):
        with pytest.raises(QueryError, match=wrong) as raised:
            memory.retrieve_similar_tasks("at 0", where={wrong: "success"})
        there = raised.value.context["fields"]
        assert {"result.outcome", "source", "task_envelope.deep.er"} <= set(there)  # type: ignore[call-overload]
        with pytest.raises(QueryError, match=wrong):
            memory.find(where={wrong: "success"})
    assert memory.find(where={"result.outcome": 3}) == []
    assert memory.find(where={"superseded_by": "x"}) == []


# --- duplicates -----------------------------------------------------------------------------------


def test_duplicates_are_kept_unless_asked_otherwise(store: Store) -> None:
    memory = angles(store)
    remember(memory, 0, 0)
    assert recalled(memory) == [0, 0]


def test_linked_duplicates_are_recalled_as_one(store: Store) -> None:
    memory = angles(store, duplicates="link")
    texts = ["Task at 0", "task, at 0", "task at 3", "another TASK at 0"]
    first, second, third, fourth = [
        memory.store_task({"description": text}, {"n": n}) for n, text in enumerate(texts)
    ]
    assert memory.get(second).duplicate_of == first
    assert memory.get(third).duplicate_of is None  # as near, but another number
    found = memory.retrieve_similar_tasks("at 0", limit=2)
    assert [one.result["n"] for one in found] == [0, 2]
    assert sorted(found[0].also) == sorted([second, fourth])
    assert len(memory.find()) == 4


def test_a_merged_duplicate_takes_the_older_ones_place(store: Store) -> None:
    memory = angles(store, duplicates="merge")
    first = memory.store_task({"description": "Task at 0"}, {"try": 1})
    again = memory.store_task({"description": "task at 0"}, {"try": 2})
    assert again == first
    merged = memory.get(first)
    assert (merged.text, merged.result, merged.times) == ("task at 0", {"try": 2}, 2)
    two: list[Any] = [{"task_envelope": {"description": "at 90"}, "result": n} for n in (1, 2)]
    assert len(set(memory.store_tasks(two))) == 1  # within a batch, too


def test_what_is_trusted_otherwise_is_no_duplicate(store: Store) -> None:
    memory = angles(store, duplicates="merge")
    trusted = memory.store_task({"description": "at 0"}, {"angle": 0}, trust="user")
    for source, trust in (("agent", "agent"), ("else", "user"), ("agent", "web")):
        assert memory.store_task({"description": "at 0"}, "poison", source=source, trust=trust) != (  # type: ignore[arg-type]
            trusted
        )
    assert memory.get(trusted).result == {"angle": 0}


# --- input ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 0},
        {"limit": -1},
        {"limit": None},
        {"limit": True},
        {"limit": 1.5},
        {"min_similarity": -0.01},
        {"min_similarity": 1.01},
        {"min_similarity": float("nan")},
        {"min_similarity": "0.8"},
        {"min_similarity": True},
        {"min_cosine": -1.01},
        {"min_cosine": 1.01},
        {"min_cosine": float("nan")},
        {"include": ["everything"]},
        {"include": "quarantined"},
        {"where": {"source": {"like": "a"}}},
        {"where": {"source": [1]}},
        {"where": "source"},
    ],
)
async def test_a_question_that_is_none_is_refused(store: Store, wrong: dict[str, Any]) -> None:
    memory = MemoryStore(store, embedder=angles(store).embedder)
    remember(memory.sync, 0)
    with pytest.raises(QueryError):
        memory.sync.retrieve_similar_tasks("at 0", **wrong)
    with pytest.raises(QueryError):
        await memory.retrieve_similar_tasks("at 0", **wrong)


def test_a_limit_above_what_there_is_gives_all(store: Store) -> None:
    memory = angles(store)
    remember(memory, 0, 10)
    assert recalled(memory, limit=10**9) == [0, 10]


def test_an_embedder_without_calibration_knows_only_cosines(store: Store) -> None:
    memory = MemoryStore(store, embedder=HashingEmbedder()).sync
    memory.store_task({"description": "restart the server"}, {})
    [found] = memory.retrieve_similar_tasks("restart server", min_cosine=0.2)
    assert found.similarity is None
    with pytest.raises(QueryError, match="calibrat"):
        memory.retrieve_similar_tasks("restart server", min_similarity=0.2)


@pytest.mark.parametrize("text", ["", "   ", "\n", None, 5])
def test_a_task_without_text_is_refused(store: Store, text: Any) -> None:
    with pytest.raises(EmptyText):
        MemoryStore(store).sync.store_task({"description": text}, {})


def test_a_text_that_nobody_could_embed_is_refused_and_stores_nothing(store: Store) -> None:
    memory = MemoryStore(store).sync
    with pytest.raises(EmptyText):
        memory.store_task({"description": "\ud800"}, {})
    with pytest.raises(EmptyText):
        memory.retrieve_similar_tasks("")
    with pytest.raises(TextTooLong) as raised:
        memory.store_task({"description": "word " * 2_000_000}, {})
    assert raised.value.context["size_bytes"] == 10_000_000
    with pytest.raises(TextTooLong):
        memory.retrieve_similar_tasks("word " * 2_000_000)
    assert memory.find() == []


def test_lone_surrogates_and_long_values_come_back(store: Store) -> None:
    memory = MemoryStore(store).sync
    whole = "word " * 2_000_000
    text = "half \ud800 of a pair"
    memory.store_task({"description": text, "whole": whole}, "\udfff", text=text)
    [found] = memory.retrieve_similar_tasks("half a pair")
    assert (found.text, found.result) == (text, "\udfff")
    assert found.task_envelope["whole"] == whole
    longest = "é" * 32_768
    memory.store_task({}, {}, text=f"{longest[:-3]} word")
    with pytest.raises(TextTooLong):
        memory.store_task({}, {}, text=f"{longest} word")


def test_names_that_cannot_be_written_are_refused(store: Store) -> None:
    for wrong in ({"namespace": "\ud800"}, {"principal": "\ud800"}):
        with pytest.raises(StoreError):
            MemoryStore(store, **wrong)  # type: ignore[arg-type]
    with pytest.raises(StoreError):
        angles(store).store_task({"description": "at 1"}, {}, justification="\ud800")


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"ttl_s": 0}, ValueError),
        ({"ttl_s": float("nan")}, ValueError),
        ({"ttl_s": "1"}, TypeError),
        ({"trust": "admin"}, ValueError),
        ({"source": 5}, TypeError),
        ({"source": ""}, TypeError),
        ({"signature": "text"}, TypeError),
        ({"tags": ["a"]}, TypeError),
    ],
)
def test_options_that_there_are_not_are_refused(
    store: Store, wrong: dict[str, Any], error: type[Exception]
) -> None:
    memory = angles(store)
    with pytest.raises(error):
        remember(memory, 0, **wrong)
    assert memory.find() == []


def test_settings_that_there_are_not_are_refused(store: Store) -> None:
    wrong: list[tuple[dict[str, Any], type[Exception]]] = [
        ({"duplicates": "drop"}, ValueError),
        ({"duplicate_cosine": 2}, ValueError),
        ({"duplicate_cosine": float("nan")}, ValueError),
        ({"most_trust": "root"}, ValueError),
        ({"limits": {"root": None}}, ValueError),
        ({"model": "x"}, TypeError),
        ({"indexes": [[]]}, TypeError),
    ]
    for setting, error in wrong:
        with pytest.raises(error):
            MemoryStore(store, **setting)
    with pytest.raises(TypeError, match="tags"):
        angles(store).retrieve_similar_tasks("at 0", tags=1)  # type: ignore[call-arg]
    with pytest.raises(StateTypeError):
        angles(store).store_task("at 0", {})  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        angles(store).retrieve_similar_tasks(5)  # type: ignore[arg-type]
