"""What is older than a policy allows is purged, and nothing else."""

from __future__ import annotations

import asyncio
import datetime
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dachi_fast import (
    Attr,
    BaseAgent,
    BaseModule,
    KeyFile,
    LmdbMemoryProvider,
    RetentionPolicy,
    Store,
    TransactionManager,
)
from dachi_fast.errors import KeysBehind, UnknownName
from dachi_fast.store._autosave import Retention

DAY = timedelta(days=1)
DAY_NS = 86_400 * 10**9
EVERYTHING = timedelta.max


class Tally(BaseModule):
    count: int = Attr(default=0)


class Clock:
    """A clock that tests set."""

    now_ns = 1_795_000_000 * 10**9

    def __call__(self) -> int:
        return self.now_ns

    def pass_(self, days: float) -> None:
        self.now_ns += int(days * DAY_NS)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with _opened(tmp_path, clock) as opened:
        yield opened


def _opened(folder: Path, clock: Clock, **options: Any) -> Store:
    options = {"witness": None, "limits": None, "audit_reads": "off", **options}
    return Store.open(folder / "store", keys=KeyFile(folder / "key"), clock=clock, **options)


def _transaction(store: Store, namespace: str = "tally") -> Any:
    return TransactionManager(LmdbMemoryProvider(store, namespace=namespace)).sync


def _numbers(store: Store, kind: str, namespace: str = "tally") -> list[int]:
    with _transaction(store, namespace) as tx:
        return sorted(document.content["n"] for document in tx.find(kind))


def _fill(store: Store, clock: Clock, *, kinds: tuple[str, ...] = ("task",)) -> None:
    """Ten versions and documents of each type, a day between each and the next."""
    tally = Tally()
    for number in range(1, 11):
        tally.count = number
        store.save(tally, "tally")
        with _transaction(store) as tx:
            for kind in kinds:
                tx.store(kind, {"n": number})
        clock.pass_(1)


def test_what_is_too_old_is_purged_and_the_newest_and_tagged_versions_stay(
    store: Store, clock: Clock
) -> None:
    _fill(store, clock)
    store.tag("tally", version=2, tag="kept")
    policy = RetentionPolicy(hot=2 * DAY, warm=4 * DAY, purge=6 * DAY)
    report = store.retain(policy)
    rows = {row.memory_type: row for row in report.rows}
    # Ages are 1 to 10 days, the newest first.
    state, task = rows["state"], rows["task"]
    assert (state.hot, state.warm, state.cold, state.purged, state.kept) == (2, 2, 2, 3, 1)
    assert (task.hot, task.warm, task.cold, task.purged, task.kept) == (2, 2, 2, 4, 0)
    assert report.purged == 7
    assert report.resealed > 0
    assert report.key_replaced
    assert [version.number for version in store.history("tally")] == [10, 9, 8, 7, 6, 5, 2]
    assert _numbers(store, "task") == [5, 6, 7, 8, 9, 10]
    entries = [e for e in store.ledger(limit=10_000) if e.operation == "purge"]
    assert [(e.memory_type, e.count) for e in entries] == [("task", 4), ("state", 3)]
    assert {e.justification for e in entries} == {"retention"}
    clock.pass_(1000)
    store.retain(policy)
    assert [version.number for version in store.history("tally")] == [10, 2]
    assert _numbers(store, "task") == []
    assert store.load("tally").count == 10
    store.verify()


def test_a_dry_run_says_what_then_happens_and_changes_nothing(store: Store, clock: Clock) -> None:
    _fill(store, clock)
    before = store.ledger(), store.history("tally")
    policy = RetentionPolicy(hot=DAY, warm=3 * DAY, purge=5 * DAY)
    would = store.retain(policy, dry_run=True)
    assert (store.ledger(), store.history("tally")) == before
    assert (would.resealed, would.key_replaced) == (0, False)
    assert store.retain(policy).rows == would.rows
    again = store.retain(policy)
    assert (again.purged, again.resealed) == (0, 0)


def test_each_memory_type_has_its_policy_and_others_are_left_alone(
    store: Store, clock: Clock
) -> None:
    _fill(store, clock, kinds=("task", "note", "fact"))
    short = RetentionPolicy(hot=DAY, warm=DAY, purge=2 * DAY)
    never = RetentionPolicy(hot=DAY, warm=DAY, purge=None)
    report = store.retain({"task": short, "fact": never})
    assert {row.memory_type: row.purged for row in report.rows} == {"task": 8, "fact": 0}
    assert len(store.history("tally")) == len(_numbers(store, "note")) == 10
    assert _numbers(store, "task") == [9, 10]
    report = store.retain({"fact": never, "*": short})
    assert {row.memory_type for row in report.rows} == {"state", "task", "note", "fact"}
    assert _numbers(store, "note") == [9, 10]
    assert len(_numbers(store, "fact")) == 10


def test_a_document_that_was_written_since_is_young_again(store: Store, clock: Clock) -> None:
    with _transaction(store) as tx:
        first, _ = tx.store("task", {"n": 1}), tx.store("task", {"n": 2})
    clock.pass_(5)
    with _transaction(store) as tx:
        tx.update("task", first, {"n": 1})
    clock.pass_(1)
    store.retain(RetentionPolicy(hot=DAY, warm=DAY, purge=3 * DAY))
    assert _numbers(store, "task") == [1]


def test_only_the_name_that_was_asked_for_loses_something(store: Store, clock: Clock) -> None:
    for name in ("a", "b"):
        with _transaction(store, name) as tx:
            tx.store("task", {"n": 1})
    store.save(Tally(), "c")
    store.fork("c", "d")
    clock.pass_(400)
    report = store.retain(RetentionPolicy(), name="a")
    assert [(row.name, row.purged) for row in report.rows] == [("a", 1)]
    assert _numbers(store, "task", "b") == [1]
    rows = store.retain(RetentionPolicy()).rows
    assert [(row.name, row.purged, row.kept) for row in rows] == [
        ("b", 1, 0),
        ("c", 0, 1),
        ("d", 0, 1),
    ]
    with pytest.raises(UnknownName):
        store.retain(RetentionPolicy(), name="nobody")


def test_a_clock_that_goes_backwards_makes_nothing_older(store: Store, clock: Clock) -> None:
    _fill(store, clock)
    clock.pass_(-1000)
    report = store.retain(RetentionPolicy(hot=DAY, warm=DAY, purge=20 * DAY))
    assert report.purged == 0
    # Never behind the last commit: what was written then has an age of 0.
    assert {row.memory_type: row.hot for row in report.rows} == {"state": 2, "task": 2}
    assert store.retain(RetentionPolicy(hot=DAY, warm=DAY, purge=5 * DAY)).purged == 8


def test_many_documents_go_in_several_commits(store: Store, clock: Clock) -> None:
    with _transaction(store) as tx:
        for number in range(10_050):
            tx.store("task", {"n": number})
    clock.pass_(400)
    with _transaction(store) as tx:
        tx.store("task", {"n": -1})
    [row] = store.retain(RetentionPolicy()).rows
    assert (row.purged, row.hot) == (10_050, 1)
    purges = [e for e in store.ledger(limit=20) if e.operation == "purge"]
    assert [entry.count for entry in purges] == [50, 10_000]
    assert _numbers(store, "task") == [-1]


def test_what_was_cut_short_is_ended_by_the_next(
    store: Store, clock: Clock, tmp_path: Path
) -> None:
    _fill(store, clock)
    policy = RetentionPolicy(hot=DAY, warm=DAY, purge=5 * DAY)

    def stop(done: int, every: int) -> None:
        raise TimeoutError(done, every)

    with pytest.raises(TimeoutError):
        store.retain(policy, progress=stop)
    store.close()
    with pytest.warns(KeysBehind):
        again = _opened(tmp_path, clock)
    with again:
        report = again.retain(policy)
        assert report.purged == 0
        assert report.resealed > 0
        assert _numbers(again, "task") == [6, 7, 8, 9, 10]
        assert again.retain(policy).resealed == 0
    _opened(tmp_path, clock).close()


def test_a_store_that_is_only_read_says_what_is_too_old(
    store: Store, clock: Clock, tmp_path: Path
) -> None:
    _fill(store, clock)
    clock.pass_(1000)
    would = store.retain(RetentionPolicy(), dry_run=True)
    store.close()
    with _opened(tmp_path, clock, read_only=True) as readable:
        assert readable.retain(RetentionPolicy(), dry_run=True) == would
        assert would.purged == 19


# --- a model --------------------------------------------------------------------------------------

_AGES = st.integers(0, 6)


@settings(max_examples=15)
@given(
    steps=st.lists(st.tuples(st.sampled_from(["state", "task", "note"]), _AGES), max_size=15),
    policies=st.dictionaries(
        st.sampled_from(["state", "task", "*"]),
        st.tuples(_AGES, _AGES, st.none() | _AGES),
        max_size=3,
    ),
)
def test_what_remains_is_what_a_model_says(
    steps: list[tuple[str, int]],
    policies: dict[str, tuple[int, int, int | None]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    clock, tally, model = Clock(), Tally(), list[tuple[str, int, int]]()
    with _opened(tmp_path_factory.mktemp("model"), clock) as store:
        for number, (kind, days) in enumerate(steps):
            if kind == "state":
                tally.count = number
                store.save(tally, "tally")
            else:
                with _transaction(store) as tx:
                    tx.store(kind, {"n": number})
            model.append((kind, number, clock.now_ns))
            clock.pass_(days)
        policy = {}
        for kind, (hot, warm, purge) in policies.items():
            ages = sorted([hot, warm, *([] if purge is None else [purge])])
            last = None if purge is None else ages[2] * DAY
            policy[kind] = RetentionPolicy(hot=ages[0] * DAY, warm=ages[1] * DAY, purge=last)
        store.retain(policy)
        newest = max((number for kind, number, _ in model if kind == "state"), default=None)
        remains: dict[str, list[int]] = {"state": [], "task": [], "note": []}
        for kind, number, at_ns in model:
            found = policy.get(kind, policy.get("*"))
            most = None if found is None or found.purge is None else found.purge // DAY * DAY_NS
            if most is None or clock.now_ns - at_ns <= most or number == newest:
                remains[kind].append(number)
        if model:
            assert _numbers(store, "task") == remains["task"]
            assert _numbers(store, "note") == remains["note"]
        if newest is not None:
            versions = reversed(store.history("tally"))
            counts = [store.load("tally", version=v.number).count for v in versions]
            assert counts == remains["state"]
        store.verify()


# --- policies -------------------------------------------------------------------------------------


def test_ages_ascend_and_there_is_no_cold_tier_elsewhere_yet() -> None:
    assert RetentionPolicy() == RetentionPolicy(hot=7 * DAY, warm=90 * DAY, purge=365 * DAY)
    wrong: list[dict[str, Any]] = [
        {"hot": -DAY},
        {"hot": 91 * DAY},
        {"warm": 366 * DAY},
        {"purge": timedelta()},
        {"cold": "file:///archive"},
    ]
    for ages in wrong:
        with pytest.raises(ValueError, match=r"cold|ascend"):
            RetentionPolicy(**ages)
    assert RetentionPolicy(purge=EVERYTHING).purge == datetime.timedelta.max


# --- in a lifetime agent --------------------------------------------------------------------------


class Ticks:
    """A timer of an autosave: each period is over when the test says so."""

    def __init__(self) -> None:
        self._go, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._waits = 0

    def now_s(self) -> float:
        return 0.0

    def wait(self, stop: threading.Event, _: float) -> bool:
        if self._waits:
            self._done.release()
        self._waits += 1
        self._go.acquire()
        return stop.is_set()

    async def await_(self, stop: asyncio.Event, _: float) -> bool:
        return await asyncio.to_thread(self.wait, threading.Event(), 0.0) or stop.is_set()

    def tick(self) -> None:
        """Lets one period pass, and waits for what is done then."""
        self._go.release()
        assert self._done.acquire(timeout=20)

    def end(self) -> None:
        self._go.release()


def test_an_agent_that_saves_itself_is_kept_to_its_policy_once_a_day(
    store: Store, clock: Clock
) -> None:
    _fill(store, clock)
    ticks, policy = Ticks(), RetentionPolicy(hot=DAY, warm=DAY, purge=5 * DAY)
    with _transaction(store, "other") as tx:
        tx.store("task", {"n": 1})
    left = []
    with store.autosave(store.load("tally"), "tally", retention=policy, timer=ticks):  # type: ignore[arg-type]
        for days in (0, 0.5, 0.4, 0.2, -3, 0):
            clock.pass_(days)
            ticks.tick()
            left.append(len(_numbers(store, "task")))
        ticks.end()
    # At first, not again within a day, and after it; a clock that went back ends a day.
    assert left == [5, 5, 5, 3, 3, 3]
    assert _numbers(store, "task", "other") == [1]
    store.verify()


def test_retention_is_due_once_a_day_by_the_clock_of_the_store(store: Store, clock: Clock) -> None:
    retention, due = Retention(store, {}, "tally"), []
    store.save(Tally(), "tally")
    for days in (0, 0.9, 0.2, 0.5, -2.0, 0.1):
        clock.pass_(days)
        due.append(retention.is_due())
        if due[-1]:
            retention.retain()
    assert due == [True, False, True, False, True, False]


class Forgetful(BaseAgent):
    retention: ClassVar[Any] = {"task": RetentionPolicy(hot=DAY, warm=DAY, purge=5 * DAY)}
    save_every_s: float = 0.01


def test_a_lifetime_agent_purges_what_its_class_says(store: Store, clock: Clock) -> None:
    with _transaction(store, "Forgetful") as tx:
        tx.store("task", {"n": 1})
    clock.pass_(6)

    async def life() -> None:
        agent = Forgetful(agent_id="Forgetful")
        agent.neural_store = store
        async with agent:
            while _numbers(store, "task", "Forgetful"):  # noqa: ASYNC110 - the store tells
                await asyncio.sleep(0)  # the agent's own task saves, and retains

    asyncio.run(asyncio.wait_for(life(), 20))
    assert [e.agent_id for e in store.ledger() if e.operation == "purge"] == ["Forgetful"]
