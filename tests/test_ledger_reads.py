"""Reads in the ledger, and what it says when the clock goes back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from dachi_fast import KeyFile, LedgerEntry, Store
from dachi_fast.errors import StoreError, UnknownName
from tests.children import environment
from tests.stores import Counter

START_NS = 1_750_000_000_000_000_000
S = 1_000_000_000


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now_ns = START_NS

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(tmp_path: Path, clock: Clock) -> Callable[..., Store]:
    def opened(audit_reads: Literal["batched", "strict", "off"] = "batched") -> Store:
        keys = KeyFile(tmp_path / "key")
        return Store.open(tmp_path / "store", keys=keys, clock=clock, audit_reads=audit_reads)

    return opened


def _reads(store: Store) -> list[tuple[Any, ...]]:
    """The reads in the ledger, oldest first."""
    return [
        (entry.agent_id, entry.memory_type, entry.version, entry.count)
        for entry in reversed(store.ledger(limit=10_000))
        if entry.operation == "retrieve"
    ]


def _operations(entries: list[LedgerEntry]) -> list[str]:
    return [entry.operation for entry in reversed(entries)]


# --- batched --------------------------------------------------------------------------------------


def test_reads_come_with_the_next_commit_and_before_it(opened: Callable[..., Store]) -> None:
    with opened() as store:
        counter = Counter()
        store.save(counter, "a")
        store.load("a")
        store.history("a")
        assert _operations(store.ledger()) == ["create", "store"]
        store.save(counter, "a")
        assert _operations(store.ledger()) == ["create", "store", "retrieve", "retrieve", "store"]
        assert _reads(store) == [("a", "state", 1, 1), ("a", "history", None, 1)]


def test_equal_reads_in_a_row_are_one_entry_with_their_count(opened: Callable[..., Store]) -> None:
    with opened() as store:
        for name in ("a", "b"):
            store.save(Counter(), name)
        for name in ("a", "a", "a", "b", "a"):
            store.load(name)
        store.load_into(Counter(), "a", version=1)
        store.diff("b", 1, 1)
        store.save(Counter(), "c")
        assert _reads(store) == [
            ("a", "state", 1, 3),
            ("b", "state", 1, 1),
            ("a", "state", 1, 2),
            ("b", "state", 1, 2),
        ]


def test_reads_are_written_when_the_store_is_closed(opened: Callable[..., Store]) -> None:
    with opened() as store:
        store.save(Counter(), "a")
    with opened() as store:
        store.load("a")
    with opened() as store:
        assert _reads(store) == [("a", "state", 1, 1)]


def test_after_a_thousand_reads_they_are_written(opened: Callable[..., Store]) -> None:
    with opened() as store:
        store.save(Counter(), "a")
        for _ in range(999):
            store.history("a")
        assert _reads(store) == []
        store.history("a")
        assert _reads(store) == [("a", "history", None, 1000)]
        store.history("a")
        assert len(_reads(store)) == 1


def test_after_a_minute_the_next_read_writes_them(
    opened: Callable[..., Store], clock: Clock
) -> None:
    with opened() as store:
        store.save(Counter(), "a")
        store.load("a")
        clock.now_ns += 60 * S - 1
        store.load("a")
        assert _reads(store) == []
        clock.now_ns += 1
        store.load("a")
        assert _reads(store) == [("a", "state", 1, 3)]
        store.load("a")
        assert len(_reads(store)) == 1


def test_a_read_that_failed_is_none(opened: Callable[..., Store]) -> None:
    with opened("strict") as store:
        store.save(Counter(), "a")
        with pytest.raises(UnknownName):
            store.load("b")
        with pytest.raises(UnknownName):
            store.load("a", version=9)
        assert store.load("b", default=None) is None
        assert _reads(store) == []


def test_a_rollback_into_a_module_is_a_read_too(opened: Callable[..., Store]) -> None:
    with opened() as store:
        counter = Counter()
        store.save(counter, "a")
        store.rollback("a", to=1, into=counter)
        assert _reads(store) == [("a", "state", 1, 1)]


def test_reads_that_cannot_be_written_stay_until_they_can(
    opened: Callable[..., Store], clock: Clock
) -> None:
    store = opened()
    store.save(Counter(), "a")
    store.load("a")
    clock.now_ns = -1  # a clock that fails: nothing can be committed, or remembered
    with pytest.raises(StoreError, match="clock"):
        store.save(Counter(), "b")
    with pytest.raises(StoreError, match="clock"):
        store.load("a")
    clock.now_ns = START_NS
    store.save(Counter(), "b")
    assert _reads(store) == [("a", "state", 1, 1)]
    store.load("b")
    clock.now_ns = -1
    with pytest.raises(StoreError, match="clock"):
        store.close()
    assert store.closed


def test_what_went_wrong_inside_is_raised_not_what_then_failed_at_close(
    opened: Callable[..., Store], clock: Clock
) -> None:
    def fail(store: Store) -> None:
        store.load("a")
        clock.now_ns = -1
        raise ZeroDivisionError

    with opened() as store:
        store.save(Counter(), "a")
    with pytest.raises(ZeroDivisionError), opened() as store:
        fail(store)
    assert store.closed


# --- strict, off, and processes -------------------------------------------------------------------


def test_strict_reads_are_on_disk_before_they_return(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        store.save(Counter(), "a")
    child = """
import os, sys
from dachi_fast import KeyFile, Store
store = Store.open(sys.argv[1], keys=KeyFile(sys.argv[2]), audit_reads=sys.argv[3])
store.history("a")
os._exit(7)
"""
    for mode, expected in (("batched", 0), ("strict", 1)):
        done = subprocess.run(
            [sys.executable, "-c", child, tmp_path / "store", tmp_path / "key", mode],
            check=False,
            env=environment(),
        )
        assert done.returncode == 7
        with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
            assert len(_reads(store)) == expected


def test_reads_can_be_left_out(opened: Callable[..., Store]) -> None:
    with opened("off") as store:
        store.save(Counter(), "a")
        store.load("a")
        store.save(Counter(), "b")
    with opened("off") as store:
        assert _reads(store) == []


def test_another_way_to_audit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="audit_reads"):
        Store.open(tmp_path / "s", keys=KeyFile(tmp_path / "k"), audit_reads="some")  # type: ignore[arg-type]
    assert not (tmp_path / "s").exists()


def test_the_default_store_writes_its_reads_when_the_process_ends(tmp_path: Path) -> None:
    child = """
import sys
from dachi_fast import Attr, BaseModule, default_store
class Counter(BaseModule):
    count: int = Attr(default=0)
store = default_store()
if sys.argv[1:]:
    print([entry.operation for entry in store.ledger()])
else:
    store.save(Counter(), "a")
    store.load("a")
"""
    here = environment() | {"DACHI_FAST_STORE": str(tmp_path / "store")}
    outputs = [
        subprocess.run(
            [sys.executable, "-c", child, *more],
            check=True,
            env=here,
            capture_output=True,
            text=True,
        ).stdout
        for more in ([], ["list"])
    ]
    assert outputs[1] == "['retrieve', 'store', 'create']\n"


# --- the clock ------------------------------------------------------------------------------------


def test_a_clock_set_back_keeps_the_order_and_the_ledger_says_by_how_much(
    opened: Callable[..., Store], clock: Clock
) -> None:
    with opened() as store:
        counter = Counter()
        store.save(counter, "a")
        clock.now_ns -= 3600 * S
        store.save(counter, "a")
        clock.now_ns += 3600 * S - 5_000
        store.save(counter, "a")
        clock.now_ns += 5_000 + S
        store.save(counter, "a")
        newest, *_ = versions = store.history("a")
        created = [version.created for version in versions]
        assert created == sorted(created, reverse=True)
        assert (newest.created - versions[1].created).total_seconds() == 1
        behind = [entry.clock_behind_us for entry in store.ledger(limit=4)]
        assert behind == [None, 5, 3_600_000_000, None]
        stamps = [entry.timestamp for entry in store.ledger()]
        assert stamps == sorted(stamps, reverse=True)
        store.verify()


def test_the_time_of_an_entry_is_what_the_clock_says(
    opened: Callable[..., Store], clock: Clock
) -> None:
    with opened() as store:
        clock.now_ns += 123_456_789
        store.save(Counter(), "a")
        assert store.ledger()[0].timestamp == "2025-06-15T15:06:40.123456Z"
