"""Reads that outlive what they read: told apart from damage, and never half done."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dachi_fast import Attr, BaseModule, KeyFile, Limits, Store, registry
from dachi_fast.errors import Missing, SnapshotExpired
from tests.conftest import ROOT
from tests.timed import GRACE_S, Clock, open_timed

_meanwhile: list[Callable[[], object]] = []  # what happens once while a value is restored


def _happen() -> None:
    while _meanwhile:
        _meanwhile.pop()()


class Slow:
    """A value whose restoring takes a while."""


def _slowly(_: object) -> Slow:
    _happen()
    return Slow()


registry.converter(Slow, "slow in tests", to=lambda _: None, back=_slowly)


class Agent(BaseModule):
    count: int = Attr(default=0)
    first: Any = Attr(default=None)
    memory: Any = Attr(default=None)


LIMITS = Limits(versions=1, days=0)


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    yield
    _meanwhile.clear()


def _agent(seed: int) -> Agent:
    agent = Agent()
    agent.count = seed
    agent.memory = np.random.default_rng(seed).bytes(100_000)
    return agent


def _move_on(store: Store, clock: Clock, after_s: int) -> None:
    """Replaces version 1 by another one, and deletes what it needed if it may be deleted."""
    store.save(_agent(7), "agent", base="latest")
    store.prune()
    clock.now_s += after_s
    store.prune()


def _asked(store: Store, clock: Clock, after_s: int) -> Callable[[], Any]:
    """Gives a load in the middle of which the store moves on."""
    agent = _agent(1)
    agent.first = Slow()
    store.save(agent, "agent")
    _meanwhile[:] = [lambda: _move_on(store, clock, after_s)]
    return lambda: store.load("agent")


def test_a_load_may_take_ten_minutes(tmp_path: Path, clock: Clock) -> None:
    with open_timed(tmp_path, clock, LIMITS) as store:
        loaded = _asked(store, clock, GRACE_S - 1)()
        assert not _meanwhile
        assert (loaded.count, loaded.memory == _agent(1).memory) == (1, True)


def test_a_load_that_takes_longer_says_that_its_version_is_gone(
    tmp_path: Path, clock: Clock
) -> None:
    with open_timed(tmp_path, clock, LIMITS) as store:
        load = _asked(store, clock, GRACE_S)
        with pytest.raises(SnapshotExpired, match="took longer") as raised:
            load()
        assert raised.value.code == "snapshot-expired"
        assert isinstance(raised.value, TimeoutError)
        assert load().count == 7
        store.verify()


def test_a_load_into_a_module_that_takes_longer_changes_nothing(
    tmp_path: Path, clock: Clock
) -> None:
    with open_timed(tmp_path, clock, LIMITS) as store:
        _asked(store, clock, GRACE_S)
        module = _agent(3)
        with pytest.raises(SnapshotExpired):
            store.load_into(module, "agent")
        assert (module.count, module.first, module.memory) == (3, None, _agent(3).memory)


def test_a_load_of_what_is_forgotten_meanwhile_says_so(tmp_path: Path, clock: Clock) -> None:
    with open_timed(tmp_path, clock, LIMITS) as store:
        load = _asked(store, clock, 0)
        _meanwhile[:] = [lambda: store.forget("agent")]
        with pytest.raises(SnapshotExpired, match="forgotten"):
            load()


def test_a_record_that_is_missing_is_no_expired_snapshot(tmp_path: Path, clock: Clock) -> None:
    lmdb: Any = pytest.importorskip("lmdb", reason="the attacker edits the file with lmdb")
    with open_timed(tmp_path, clock, LIMITS) as store:
        store.save(_agent(1), "agent")
    env = lmdb.open(str(tmp_path / "store"), max_dbs=4, map_size=1 << 30, lock=False)
    with env, env.begin(db=env.open_db(b"nodes"), write=True) as txn:
        largest = max(txn.cursor(), key=lambda record: len(record[1]))
        txn.delete(largest[0])
    with open_timed(tmp_path, clock, LIMITS) as store:
        with pytest.raises(Missing):
            store.load("agent")
        clock.now_s += GRACE_S
        store.save(_agent(2), "other")
        with pytest.raises(Missing):
            store.load("agent")


def test_a_proof_that_is_overtaken_says_so(tmp_path: Path, clock: Clock) -> None:
    with open_timed(tmp_path, clock, LIMITS) as store:
        for seed in range(3):
            clock.now_s += 1
            agent = _agent(seed)
            agent.first = np.random.default_rng(seed).random(1_000_000)
            store.save(agent, f"agent {seed}")
        told: list[int] = []

        def progress(nodes: int) -> None:
            if not told:
                for seed in range(3):
                    store.save(_agent(7), f"agent {seed}", base="latest")
                store.prune()
                clock.now_s += GRACE_S
                store.prune()
            told.append(nodes)

        with pytest.raises(SnapshotExpired):
            store.verify(progress=progress)
        assert told
        assert store.verify().versions == 3


def _when_read(clock: Clock, store: Store) -> None:
    """Lets the store move on when a read asks the clock."""
    asked = clock.ask

    def ask() -> int:
        clock.ask = asked  # type: ignore[method-assign]
        _move_on(store, clock, GRACE_S)
        return asked()

    clock.ask = ask  # type: ignore[method-assign]


def test_a_copy_that_is_overtaken_is_not_made(tmp_path: Path, clock: Clock) -> None:
    keys = KeyFile(tmp_path / "key")
    how: Any = {"keys": keys, "witness": None, "limits": LIMITS, "clock": clock}
    with Store.open(tmp_path / "store", **how) as store:
        store.save(_agent(1), "agent")
        _when_read(clock, store)
        with pytest.raises(SnapshotExpired):
            store.copy("agent", to="copy")
        assert store.names() == ["agent"]


def test_stats_that_are_overtaken_say_so(tmp_path: Path, clock: Clock) -> None:
    keys = KeyFile(tmp_path / "key")
    how: Any = {"keys": keys, "witness": None, "limits": LIMITS, "clock": clock}
    with Store.open(tmp_path / "store", **how) as store:
        store.save(_agent(1), "agent")
        _when_read(clock, store)
        with pytest.raises(SnapshotExpired):
            store.stats()
        assert store.stats("agent").latest == 2


_OTHERS = """
import sys
from pathlib import Path
from tests.test_snapshots import LIMITS, _agent, _move_on
from tests.timed import GRACE_S, Clock, open_timed

clock = Clock()
with open_timed(Path(sys.argv[1]), clock, LIMITS) as store:
    {code}
"""


def _others(tmp_path: Path, code: str) -> None:
    code = _OTHERS.replace("{code}", code)
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True, cwd=ROOT)


def test_a_save_after_a_long_time_needs_nothing_that_others_deleted(
    tmp_path: Path, clock: Clock
) -> None:
    _others(tmp_path, "store.save(_agent(1), 'agent')")
    with open_timed(tmp_path, clock, LIMITS) as store:
        agent = store.load("agent")
        _others(tmp_path, "_move_on(store, clock, GRACE_S)")
        clock.now_s += 2 * GRACE_S
        # This process has seen version 1 last and read nothing of it for a save.
        assert store.save(agent, "agent", base="latest").number == 3
        assert store.load("agent").memory == agent.memory
        store.verify()
