"""What takes the space: every record is counted once, and compact gives back what was said."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dachi_fast import Attr, BaseModule, KeyFile, Limits, ModuleList, Param, Stats, Store
from dachi_fast.errors import StoreClosed, UnknownName
from tests.timed import DAY_S, GRACE_S, START_S, Clock, open_timed

SIZE = 100_000


class Part(BaseModule):
    value: bytes = Attr(default=b"")


class Agent(BaseModule):
    count: int = Attr(default=0)
    memory: Any = Attr(default=None)
    parts: ModuleList[Any] = Param(default_factory=ModuleList)


def _noise(seed: int) -> bytes:
    """Gives bytes that cannot be compressed."""
    return np.random.default_rng(seed).bytes(SIZE)


def _records_bytes(folder: Path) -> int:
    """What LMDB's manual and source say that the records take, pages of their own included."""
    lmdb: Any = pytest.importorskip("lmdb", reason="counts the records with the lmdb package")
    env = lmdb.open(str(folder), max_dbs=4, lock=False, readonly=True)
    with env, env.begin() as txn:
        names = (b"nodes", b"maps", b"log")
        bags = [env.open_db(name, txn=txn, create=False) for name in names]
        stats = [txn.stat(bag) for bag in bags]
        page = stats[0]["psize"]
        most = (page - 16) // 2 // 2 * 2 - 2
        sizes = [8 + 16 + len(sealed) for bag in bags for _, sealed in txn.cursor(bag)]
    own_pages = [(15 + size - 24) // page + 1 for size in sizes if size > most]
    assert sum(own_pages) == sum(stat["overflow_pages"] for stat in stats)
    shared: int = sum(-(-size // 2) * 2 + 2 for size in sizes if size <= most)
    return int(sum(own_pages) * page) + shared


def _counted_bytes(stats: Stats) -> int:
    shares = (stats.names_bytes, stats.directory_bytes, stats.ledger_bytes, stats.garbage_bytes)
    return sum(shares)


def test_every_record_is_counted_once(tmp_path: Path, clock: Clock) -> None:
    agent = Agent()
    with open_timed(tmp_path, clock, Limits(versions=3, days=0)) as store:
        for agent.count in range(20):
            agent.memory = _noise(agent.count)
            store.save(agent, "agent")
        store.fork("agent", "fork")
        store.copy("agent", to="copy")
        store.save(Agent(), "gone")
        store.forget("gone")
        stats = store.stats()
    assert _counted_bytes(stats) == _records_bytes(tmp_path / "store")
    assert [name.name for name in stats.names] == ["agent", "copy", "fork"]
    assert stats.file_bytes == (tmp_path / "store" / "data.mdb").stat().st_size
    assert stats.keys_bytes == (tmp_path / "store" / "keys.sealed").stat().st_size
    assert stats.page_bytes * (stats.used_pages + stats.free_pages) == stats.file_bytes
    assert _counted_bytes(stats) < stats.page_bytes * stats.used_pages


def test_what_only_one_of_two_forks_needs_is_its_own(tmp_path: Path, clock: Clock) -> None:
    agent = Agent()
    agent.memory = _noise(1)
    with open_timed(tmp_path, clock) as store:
        store.save(agent, "agent")
        alone = store.stats("agent")
        assert alone.own_bytes == alone.size_bytes > SIZE
        store.fork("agent", "fork")
        for name in ("agent", "fork"):
            assert store.stats(name).own_bytes == 0
            assert store.stats(name).size_bytes > SIZE
        agent.memory = _noise(2)
        store.save(agent, "agent")
        changed, fork = store.stats("agent"), store.stats("fork")
        once = alone.own_bytes
        assert 0.8 * once < changed.own_bytes < 1.2 * once
        assert 1.8 * once < changed.size_bytes < 2.2 * once
        assert fork.own_bytes == 0
        assert 0.8 * once < fork.size_bytes < 1.2 * once
        # Both share the first version, which counts once in the whole.
        assert changed.size_bytes <= store.stats().names_bytes < 2.2 * once
        assert store.stats().names == (
            # The largest values are told of one name only.
            _without_largest(changed),
            _without_largest(fork),
        )


def _without_largest(stats: Any) -> Any:
    values = {field: getattr(stats, field) for field in stats.__slots__}
    return type(stats)(**{**values, "largest": ()})


def test_versions_and_their_newest_are_told_by_name(tmp_path: Path, clock: Clock) -> None:
    agent = Agent()
    with open_timed(tmp_path, clock, Limits(versions=2, days=0)) as store:
        for agent.count in range(5):
            clock.now_s += 1
            version = store.save(agent, "agent")
        store.prune()
        found = store.stats("agent")
        assert (found.versions, found.latest, found.dropped) == (2, 5, 3)
        assert (found.created, found.state_bytes) == (version.created, version.size_bytes)


def test_the_ten_largest_values_are_told_with_their_paths(tmp_path: Path, clock: Clock) -> None:
    agent = Agent()
    parts = [Part() for _ in range(15)]
    for number, part in enumerate(parts):
        part.value = bytes(200 * number)
    agent.parts = ModuleList(parts)
    with open_timed(tmp_path, clock) as store:
        store.save(agent, "agent")
        largest = store.stats("agent").largest
    assert [path for path, _ in largest] == [f"parts.{number}.value" for number in range(14, 4, -1)]
    # A value's type and length take a few bytes beside it.
    for (_, size_bytes), number in zip(largest, range(14, 4, -1), strict=True):
        assert 0 < size_bytes - 200 * number <= 5


def test_garbage_waits_its_ten_minutes_and_compact_then_gives_it_back(
    tmp_path: Path, clock: Clock
) -> None:
    agent = Agent()
    with open_timed(tmp_path, clock, Limits(versions=1, days=0)) as store:
        for agent.count in range(15):
            agent.memory = _noise(agent.count)
            store.save(agent, "agent")
        store.prune()
        before = store.stats()
        assert before.waiting_bytes == before.garbage_bytes > 14 * SIZE
        assert before.reclaimable_bytes == before.free_pages * before.page_bytes
        clock.now_s += GRACE_S
        due = store.stats()
        assert (due.waiting_bytes, due.garbage_bytes) == (0, before.garbage_bytes)
        assert due.reclaimable_bytes > 14 * SIZE
        store.compact()
        after = store.stats()
        given_back = due.file_bytes - after.file_bytes
        assert abs(given_back - due.reclaimable_bytes) < 0.05 * given_back
        assert after.reclaimable_bytes <= 4 * after.page_bytes
        assert after.names_bytes < 2 * SIZE


def test_the_next_rotation_is_told_by_time_and_by_number(tmp_path: Path, clock: Clock) -> None:
    with open_timed(tmp_path, clock) as store:
        clock.now_s += 5
        store.rotate_now()
        fresh = store.stats()
        assert fresh.rotated.timestamp() == START_S + 5
        assert DAY_S <= (fresh.rotation_due - fresh.rotated).total_seconds() <= 7 * DAY_S
        store.save(Agent(), "agent")
        after = store.stats()
        assert after.seals > fresh.seals
        assert after.seals + after.seals_left == fresh.seals + fresh.seals_left == 2**32


def test_the_numbers_read_as_a_sentence(tmp_path: Path, clock: Clock) -> None:
    agent = Agent()
    agent.memory = _noise(1)
    with open_timed(tmp_path, clock) as store:
        store.save(agent, "agent")
        store.fork("agent", "fork")
        store.save(agent, "agent")
        text = repr(store.stats())
        one = repr(store.stats("agent"))
    assert text.startswith("<Stats: ")
    assert " kB in 2 names with 3 versions, " in text
    assert " in 4 ledger entries, " in text
    assert re.fullmatch(r"<'agent': 2 versions up to 2, 1\d\d kB, 0 B its own>", one)


def test_stats_of_one_name_is_a_read_in_the_ledger(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        store.save(Agent(), "agent")
        store.stats("agent")
        store.stats()
        store.save(Agent(), "other")
        newest = [entry.operation for entry in store.ledger(limit=3)]
        assert newest == ["store", "retrieve", "store"]
        assert store.ledger(limit=2)[1].memory_type == "history"


def test_stats_are_read_where_nothing_is_written(tmp_path: Path, clock: Clock) -> None:
    with open_timed(tmp_path, clock) as store:
        store.save(Agent(), "agent")
        written = store.stats()
    keys = KeyFile(tmp_path / "key")
    store = Store.open(tmp_path / "store", keys=keys, witness=None, read_only=True)
    with store:
        assert store.stats().names == written.names
        assert asyncio.run(store.astats()) == store.stats()
        assert asyncio.run(store.astats("agent")) == store.stats("agent")
        with pytest.raises(UnknownName, match="other"):
            store.stats("other")
    with pytest.raises(StoreClosed):
        store.stats()


def test_queued_saves_are_counted(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "key")
    with Store.open(tmp_path / "store", keys=keys, durability="async") as store:
        for name in ("a", "b"):
            store.save(Agent(), name)
        assert [name.name for name in store.stats().names] == ["a", "b"]
        store.save(Agent(), "c")
        assert store.stats("c").versions == 1


def test_an_empty_store_has_only_its_ledger(tmp_path: Path, clock: Clock) -> None:
    with open_timed(tmp_path, clock) as store:
        stats = store.stats()
    assert (stats.names, stats.versions, stats.names_bytes, stats.garbage_bytes) == ((), 0, 0, 0)
    assert (stats.ledger_entries, stats.ledger_bytes > 0) == (1, True)
