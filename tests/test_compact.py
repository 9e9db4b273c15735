"""Compact: the file written anew, while others read and save, and left as it was on any failure."""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dachi_fast import Attr, BaseModule, KeyFile, Limits, Store
from dachi_fast.errors import StoreClosed, StoreError, StoreIO
from tests.timed import GRACE_S, Clock, open_timed

PIECE = 1_000_000


class Agent(BaseModule):
    count: int = Attr(default=0)
    memory: Any = Attr(default=None)


def _fill(store: Store, names: int = 5) -> None:
    """Saves agents of a megabyte."""
    for number in range(names):
        agent = Agent()
        agent.memory = np.random.default_rng(number).bytes(PIECE)
        store.save(agent, f"agent {number}")


def _place(store: Store) -> tuple[int, int]:
    """Gives which file it is, and its size."""
    found = (store.path / "data.mdb").stat()
    return found.st_ino, found.st_size


def _files(store: Store) -> list[str]:
    return sorted(path.name for path in store.path.iterdir())


def _size_bytes(store: Store) -> int:
    return (store.path / "data.mdb").stat().st_size


def test_compact_gives_room_back_and_leaves_nothing_unused(tmp_path: Path, clock: Clock) -> None:
    rng = np.random.default_rng(1)
    with open_timed(tmp_path, clock, Limits(versions=1, days=0)) as store:
        agent = Agent()
        for agent.count in range(20):
            agent.memory = rng.bytes(100_000)
            store.save(agent, "agent")
        store.prune()
        before = _size_bytes(store)
        clock.now_s += GRACE_S
        store.compact()
        assert before > 2_000_000
        assert _size_bytes(store) < 300_000
        assert store.load("agent").memory == agent.memory
        # The commits of the compaction itself replaced a few.
        assert store.verify().unused_nodes < 12
        agent.count = 99
        store.save(agent, "agent", base="latest")
        assert store.ledger(limit=2)[1].operation == "compact"
    with open_timed(tmp_path, clock) as again:
        assert again.load("agent").count == 99
        again.verify()


def test_appended_text_takes_few_times_its_length_and_pruned_little_more_than_once(
    tmp_path: Path, clock: Clock
) -> None:
    rng, agent = random.Random(1), Agent()
    agent.memory = []
    words = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(2, 9))) for _ in range(5_000)]
    with open_timed(tmp_path, clock, Limits(versions=100)) as store:
        for agent.count in range(1, 301):
            clock.now_s += 60
            agent.memory.append(" ".join(rng.choices(words, k=1_000))[:4096])
            store.save(agent, "agent")
            if agent.count == 200:
                # Later saves prune.
                assert _size_bytes(store) < 2.6 * 200 * 4096
        store.prune()
        clock.now_s += GRACE_S
        store.compact()
        assert _size_bytes(store) < 1.3 * 300 * 4096
        assert store.load("agent").memory == agent.memory


def test_compact_keeps_what_a_reader_may_still_want(tmp_path: Path, clock: Clock) -> None:
    with open_timed(tmp_path, clock, Limits(versions=1, days=0)) as store:
        agent = Agent()
        for agent.count in range(10):
            store.save(agent, "agent")
        store.prune()
        unused = store.verify().unused_nodes
        store.compact()
        assert store.verify().unused_nodes >= unused


def test_progress_is_told_from_nothing_to_all(tmp_path: Path, clock: Clock) -> None:
    told: list[tuple[int, int]] = []
    with open_timed(tmp_path, clock) as store:
        _fill(store)
        store.compact(progress=lambda done, everything: told.append((done, everything)))
        size = _place(store)[1]
    assert told[0] == (0, size)
    assert told[-1] == (size, size)
    assert len(told) > 5
    assert all(a[0] <= b[0] for a, b in itertools.pairwise(told))


def test_the_new_file_is_as_private_as_the_old_one(tmp_path: Path, clock: Clock) -> None:
    with open_timed(tmp_path, clock) as store:
        _fill(store)
        before = (store.path / "data.mdb").stat()
        store.compact()
        after = (store.path / "data.mdb").stat()
    assert after.st_ino != before.st_ino
    assert after.st_mode == before.st_mode == 0o100600


def test_what_progress_raises_ends_it_and_leaves_the_file(tmp_path: Path, clock: Clock) -> None:
    with open_timed(tmp_path, clock) as store:
        _fill(store)
        before, files = _place(store), _files(store)

        def stop(done: int, _: int) -> None:
            if done > PIECE:
                raise InterruptedError("enough")

        with pytest.raises(InterruptedError, match="enough"):
            store.compact(progress=stop)
        assert (_place(store)[0], _files(store)) == (before[0], files)
        assert store.verify().versions == 5
        store.save(Agent(), "more")
        store.compact()
        assert _place(store)[0] != before[0]
        assert store.verify().versions == 6


def test_ctrl_c_ends_it_and_leaves_the_file(tmp_path: Path, clock: Clock) -> None:
    with open_timed(tmp_path, clock) as store:
        _fill(store)
        before, files = _place(store), _files(store)

        def interrupted(done: int, _: int) -> None:
            if done > PIECE:
                os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            store.compact(progress=interrupted)
        assert (_place(store)[0], _files(store)) == (before[0], files)
        assert store.verify().versions == 5


def test_a_copy_that_vanished_leaves_the_file_and_the_handle(tmp_path: Path, clock: Clock) -> None:
    with open_timed(tmp_path, clock) as store:
        _fill(store)
        before = _place(store)[0]

        def remove(done: int, everything: int) -> None:
            if done == everything:
                (store.path / "data.mdb.new").unlink(missing_ok=True)

        with pytest.raises(StoreIO, match="replace"):
            store.compact(progress=remove)
        assert _place(store)[0] == before
        store.save(Agent(), "more")
        assert store.verify().versions == 6


def test_who_is_told_of_progress_may_read_and_not_save(tmp_path: Path, clock: Clock) -> None:
    with open_timed(tmp_path, clock) as store:
        _fill(store)
        read = []

        def ask(*_: int) -> None:
            read.append(store.load("agent 1").count)
            # The first time it is allowed: it makes the second writing necessary.
            store.save(Agent(), "from progress", base="latest")

        with pytest.raises(StoreError, match="must not change"):
            store.compact(progress=ask)
        assert set(read) == {0}
        assert store.verify().versions >= 6


def test_it_has_its_turn_while_others_save_without_end(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", keys=KeyFile(tmp_path / "key")) as store:
        _fill(store)
        done, begun = threading.Event(), threading.Barrier(4)

        def go_on(name: str) -> int:
            agent = Agent()
            store.save(agent, name)
            begun.wait()
            while not done.is_set():
                agent.count += 1
                store.save(agent, name)
                assert store.load(name).count == agent.count
            return agent.count

        with ThreadPoolExecutor(3) as pool:
            running = [pool.submit(go_on, str(number)) for number in range(3)]
            begun.wait()
            places = [_place(store)[0]]
            for _ in range(5):
                store.compact()
                places.append(_place(store)[0])
            done.set()
            saved = [future.result() for future in running]
        assert all(a != b for a, b in itertools.pairwise(places))
        for number, count in enumerate(saved):
            assert store.load(str(number)).count == count > 0
        store.verify()


def test_reads_of_all_threads_go_on_across_it(tmp_path: Path, clock: Clock) -> None:
    with open_timed(tmp_path, clock) as store:
        _fill(store)
        done = threading.Event()

        def read(number: int) -> int:
            reads = 0
            while not done.is_set():
                assert len(store.load(f"agent {number}").memory) == PIECE
                assert len(store.history(f"agent {number}")) == 1
                reads += 1
            return reads

        with ThreadPoolExecutor(3) as pool:
            running = [pool.submit(read, number) for number in range(3)]
            for _ in range(10):
                store.compact()
            done.set()
            assert all(future.result() > 0 for future in running)


def test_a_closed_store_is_not_compacted(tmp_path: Path, clock: Clock) -> None:
    store = open_timed(tmp_path, clock)
    store.close()
    with pytest.raises(StoreClosed):
        store.compact()
