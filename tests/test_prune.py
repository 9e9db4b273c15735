"""Limits: which versions are kept, and what is deleted when."""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dachi_fast import Attr, BaseModule, KeyFile, Limits, Store
from dachi_fast.errors import StoreLocked, StoreReadOnly, UnknownName
from tests.conftest import ROOT
from tests.timed import DAY_S, GRACE_S, Clock, open_timed


class Agent(BaseModule):
    count: int = Attr(default=0)
    memory: Any = Attr(default=None)


def _save(store: Store, clock: Clock, times: int, every_s: int = 1) -> Agent:
    agent = Agent()
    for agent.count in range(1, times + 1):
        clock.now_s += every_s
        store.save(agent, "agent")
    return agent


def _numbers(store: Store, name: str = "agent") -> list[int]:
    return [version.number for version in store.history(name)]


def test_by_default_saves_keep_the_last_hundred_and_one_a_day(tmp_path: Path, clock: Clock) -> None:
    with open_timed(tmp_path, clock, Limits()) as store:
        # Day 1: 1..30. Day 2: 31..60. From day 3: the rest.
        agent = _save(store, clock, 30)
        for agent.count in range(31, 61):
            clock.now_s += 1 if agent.count > 31 else DAY_S
            store.save(agent, "agent")
        clock.now_s += DAY_S
        for agent.count in range(61, 301):
            store.save(agent, "agent")
        store.prune()
        kept = _numbers(store)
        assert kept[:100] == list(range(300, 200, -1))
        assert kept[100:] == [200, 60, 30]
        clock.now_s += 90 * DAY_S
        store.prune()
        assert _numbers(store) == list(range(300, 200, -1))
        assert store.verify().versions == 100


def test_saves_prune_a_few_at_a_time(tmp_path: Path, clock: Clock) -> None:
    with open_timed(tmp_path, clock, Limits(versions=16, days=0)) as store:
        agent = _save(store, clock, 16)
        for agent.count in range(17, 200):
            store.save(agent, "agent")
            assert 16 <= len(_numbers(store)) <= 16 + 1
        operations = [entry.operation for entry in store.ledger(limit=500)]
        assert operations.count("prune") == 183 // 2
        entry = next(entry for entry in store.ledger(limit=9) if entry.operation == "prune")
        assert entry.justification == "2 versions from 181 to 182"


def test_without_limits_all_versions_stay(tmp_path: Path, clock: Clock) -> None:
    with open_timed(tmp_path, clock, None) as store:
        _save(store, clock, 150)
        [pruned] = store.prune()
        assert (pruned.versions, pruned.size_bytes, len(_numbers(store))) == ((), 0, 150)


def test_tagged_versions_and_the_newest_stay(tmp_path: Path, clock: Clock) -> None:
    limits = Limits(versions=1, days=0, age=datetime.timedelta(), size_bytes=0)
    with open_timed(tmp_path, clock, None) as store:
        _save(store, clock, 9)
        store.tag("agent", version=4, tag="four")
    with open_timed(tmp_path, clock, limits) as store:
        clock.now_s += 5
        assert store.prune()[0].versions == (1, 2, 3, 5, 6, 7, 8)
        assert _numbers(store) == [9, 4]
        assert store.load("agent", version="four").count == 4
        store.untag("agent", tag="four")
        assert store.prune("agent")[0].versions == (4,)
        assert _numbers(store) == [9]


def test_old_versions_go_by_age(tmp_path: Path, clock: Clock) -> None:
    limits = Limits(versions=None, age=datetime.timedelta(minutes=5))
    with open_timed(tmp_path, clock, limits) as store:
        _save(store, clock, 10, every_s=60)
        store.prune()
        assert _numbers(store) == [10, 9, 8, 7, 6, 5]


def test_old_versions_go_by_bytes(tmp_path: Path, clock: Clock) -> None:
    rng = np.random.default_rng(1)
    with open_timed(tmp_path, clock, Limits(versions=None, size_bytes=350_000)) as store:
        agent = Agent()
        for _ in range(6):
            agent.memory = rng.bytes(100_000)
            store.save(agent, "agent")
        store.prune()
        assert _numbers(store) == [6, 5, 4]


def test_a_dry_run_says_what_a_run_then_does(tmp_path: Path, clock: Clock) -> None:
    rng = np.random.default_rng(1)
    with open_timed(tmp_path, clock, None) as store:
        agent = Agent()
        for agent.count in range(6):
            agent.memory = rng.bytes(50_000)
            store.save(agent, "agent")
        store.save(Agent(), "other")
    with open_timed(tmp_path, clock, Limits(versions=2, days=0)) as store:
        ledger = len(store.ledger(limit=99))
        said = store.prune(dry_run=True)
        assert [pruned.name for pruned in said] == ["agent", "other"]
        assert said[0].versions == (1, 2, 3, 4)
        assert 200_000 < said[0].size_bytes < 220_000
        assert (len(_numbers(store)), len(store.ledger(limit=99))) == (6, ledger)
        assert store.prune() == said
        assert _numbers(store) == [6, 5]
        assert store.prune("agent")[0].versions == ()


def test_a_store_that_is_only_read_says_what_a_run_would_drop(tmp_path: Path, clock: Clock) -> None:
    """Symptom: a dry run was refused where a store is only read. Cause: it was a write that changed
    nothing. Fix: it reads."""
    with open_timed(tmp_path, clock, None) as store:
        agent = Agent()
        for agent.count in range(6):
            store.save(agent, "agent")
    limits = Limits(versions=2, days=0)
    with open_timed(tmp_path, clock, limits, read_only=True) as store:
        said = store.prune(dry_run=True)
        assert said[0].versions == (1, 2, 3, 4)
        with pytest.raises(UnknownName):
            store.prune("nobody", dry_run=True)
        with pytest.raises(StoreReadOnly):
            store.prune()
        assert _numbers(store) == [6, 5, 4, 3, 2, 1]
    with open_timed(tmp_path, clock, limits) as store:
        assert store.prune() == said


def test_what_was_dropped_is_deleted_ten_minutes_later(tmp_path: Path, clock: Clock) -> None:
    rng = np.random.default_rng(1)
    with open_timed(tmp_path, clock, Limits(versions=1, days=0)) as store:
        agent = Agent()
        for _ in range(4):
            agent.memory = rng.bytes(100_000)
            store.save(agent, "agent")
        [pruned] = store.prune()
        assert _numbers(store) == [4]
        assert store.verify().unused_nodes > 9
        clock.now_s += GRACE_S - 1
        assert store.prune()[0].freed_bytes == 0
        clock.now_s += 1
        [pruned] = store.prune()
        assert 300_000 < pruned.freed_bytes < 330_000
        assert store.prune()[0].freed_bytes == 0
        assert store.load("agent").memory == agent.memory


def test_in_the_end_nothing_unused_is_left(tmp_path: Path, clock: Clock) -> None:
    with open_timed(tmp_path, clock, Limits(versions=3, days=0)) as store:
        agent = _save(store, clock, 40)
        store.fork("agent", "fork", version=39)
        clock.now_s += GRACE_S
        store.prune()
        # The last prune replaced nodes itself; a few saves later these are gone as well.
        for agent.count in range(100):
            clock.now_s += GRACE_S
            store.save(agent, "agent")
            store.prune()
        unused = store.verify().unused_nodes
        assert unused < 60, unused


def test_what_a_fork_needs_outlives_the_original(tmp_path: Path, clock: Clock) -> None:
    with open_timed(tmp_path, clock, Limits(versions=2, days=0)) as store:
        agent = Agent()
        agent.memory = np.random.default_rng(4).bytes(80_000)
        store.save(agent, "agent")
        store.fork("agent", "fork")
        kept = agent.memory
        for agent.count in range(20):
            agent.memory = None
            clock.now_s += GRACE_S
            store.save(agent, "agent")
            store.prune()
        assert store.load("fork").memory == kept
        store.verify()


def test_a_pruned_version_is_said_to_be_pruned(tmp_path: Path, clock: Clock) -> None:
    with open_timed(tmp_path, clock, Limits(versions=2, days=0)) as store:
        _save(store, clock, 5)
        store.prune()
        for attempt in (
            lambda: store.load("agent", version=2),
            lambda: store.rollback("agent", to=2),
            lambda: store.fork("agent", "fork", version=2),
            lambda: store.diff("agent", 2, 5),
        ):
            with pytest.raises(UnknownName, match='version 2 of "agent" was pruned') as caught:
                attempt()
            assert caught.value.context == {"name": "agent", "version": 2, "latest": 5}
        with pytest.raises(UnknownName):
            store.prune("nobody")


def test_limits_hold_on_an_ordinary_store(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "key")
    with Store.open(tmp_path / "s", keys=keys, limits=Limits(versions=5, days=0)) as store:
        agent = Agent()
        for agent.count in range(20):
            store.save(agent, "agent")
        assert _numbers(store) == [20, 19, 18, 17, 16]


@pytest.mark.parametrize(
    "bad",
    [
        {"versions": 0},
        {"versions": -1},
        {"versions": 2**63},
        {"days": -1},
        {"size_bytes": -1},
        {"age": datetime.timedelta(seconds=-1)},
    ],
)
def test_limits_that_cannot_be_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        Limits(**bad)


def test_a_copy_that_was_left_behind_is_no_harm(tmp_path: Path, clock: Clock) -> None:
    with open_timed(tmp_path, clock) as store:
        _save(store, clock, 1)
    left = tmp_path / "store" / "data.mdb.new"
    left.write_bytes(b"half a copy")
    with open_timed(tmp_path, clock) as store:
        assert store.load("agent").count == 1
    assert not left.exists()


# --- other processes -----------------------------------------------------------------------------

_OTHERS = """
import sys
from pathlib import Path
from dachi_fast import Limits
from tests.test_prune import Agent
from tests.timed import GRACE_S, Clock, open_timed

clock = Clock()
with open_timed(Path(sys.argv[1]), clock, Limits(versions=1, days=0)) as store:
    for count in range(3):
        store.save(Agent(), "agent", base="latest")
    store.prune()
    clock.now_s += GRACE_S
    assert store.prune()[0].freed_bytes > 100_000
"""


def test_a_save_shares_nothing_with_a_version_that_others_pruned(
    tmp_path: Path, clock: Clock
) -> None:
    with open_timed(tmp_path, clock) as store:
        agent = Agent()
        agent.memory = np.random.default_rng(1).bytes(100_000)
        store.save(agent, "agent")
        subprocess.run([sys.executable, "-c", _OTHERS, tmp_path], check=True, cwd=ROOT)
        # This process last saw version 1, whose pieces are gone.
        assert store.save(agent, "agent", base="latest").number == 5
        assert store.load("agent").memory == agent.memory
        store.verify()


def test_a_store_that_another_process_has_open_is_not_compacted(
    tmp_path: Path, clock: Clock
) -> None:
    code = _OTHERS.split("    for count", maxsplit=1)[0] + "    print(flush=True); sys.stdin.read()"
    with open_timed(tmp_path, clock) as store:
        _save(store, clock, 3)
        child = subprocess.Popen(
            [sys.executable, "-c", code, tmp_path],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with child:
            assert child.stdout is not None
            child.stdout.readline()
            with pytest.raises(StoreLocked, match="another process"):
                store.compact()
            assert store.load("agent").count == 3
            assert child.stdin is not None
            child.stdin.close()
        store.compact()
        assert store.load("agent").count == 3
