"""Processes killed at each step of a compaction: the old file is there or the new one, whole."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dachi_fast import Attr, BaseModule, KeyFile, Limits, Store
from tests.children import started
from tests.timed import GRACE_S, START_S

PIECE = 200_000
AGENTS = 6


class Agent(BaseModule):
    count: int = Attr(default=0)
    memory: Any = Attr(default=None)


def _memory(number: int) -> bytes:
    return np.random.default_rng(number).bytes(PIECE)


def _open(folder: Path, now_s: int = START_S) -> Store:
    return Store.open(
        folder / "store",
        keys=KeyFile(folder / "key"),
        limits=Limits(versions=1, days=0),
        clock=lambda: now_s * 1_000_000_000,
    )


def fill(folder: Path) -> None:
    """Makes a store of which a half is garbage whose time comes."""
    with _open(folder) as store:
        for number in range(2 * AGENTS):
            agent = Agent()
            agent.memory = _memory(number)
            store.save(agent, str(number % AGENTS), base="latest")
        store.prune()


def compact_and_die(folder: Path, at: str) -> None:
    """Compacts while another thread saves, and dies at a step, or so many ns after it began."""
    store = _open(folder, START_S + GRACE_S)
    data, begun = folder / "store" / "data.mdb", threading.Event()
    before = data.stat().st_ino

    def save() -> None:
        agent = store.load("saved", default=Agent())
        while True:
            agent.count += 1
            store.save(agent, "saved")
            os.write(1, f"{agent.count}\n".encode())
            begun.set()

    def watch() -> None:
        while not is_time():
            pass
        _die()

    def told(done: int, everything: int) -> None:
        steps = {"first": done == 0, "half": 2 * done > everything, "written": done == everything}
        if steps.get(at, False):
            _die()

    threading.Thread(target=save, daemon=True).start()
    begun.wait()
    end_ns = time.perf_counter_ns() + int(at) if at.isdigit() else None
    is_time: Callable[[], bool] = {
        "created": (folder / "store" / "data.mdb.new").exists,
        "replaced": lambda: data.stat().st_ino != before,
    }.get(at, lambda: end_ns is not None and time.perf_counter_ns() > end_ns)
    threading.Thread(target=watch, daemon=True).start()
    store.compact(progress=told)
    _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


_CHILD = """
import sys
from pathlib import Path
from tests.crash import test_kill_compact
test_kill_compact.compact_and_die(Path(sys.argv[1]), sys.argv[2])
"""


def _saved_until_killed(folder: Path, at: str) -> int:
    """Runs a child until it kills itself; gives the last save that it acknowledged."""
    child, stdout, stderr = started(_CHILD, str(folder), at)
    with child:
        lines = stdout.read().splitlines(keepends=True)
        errors = stderr.read()
    assert (child.returncode, errors) == (-signal.SIGKILL, "")
    return int(next(line for line in reversed(lines) if line.endswith("\n")))


_LEAVES_THE_OLD = ("created", "first", "half", "written")
_LEAVES_THE_NEW = ("replaced", "done")
_ANY_TIME = [str(1_000_000 * ms) for ms in (2, 8, 20)]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("step", [*_LEAVES_THE_OLD, *_LEAVES_THE_NEW, *_ANY_TIME])
def test_a_process_killed_while_it_compacts_leaves_a_whole_store(step: str, tmp_path: Path) -> None:
    fill(tmp_path)
    data, copy = tmp_path / "store" / "data.mdb", tmp_path / "store" / "data.mdb.new"
    inode = data.stat().st_ino
    saved = _saved_until_killed(tmp_path, step)
    if step in _LEAVES_THE_OLD:
        assert (data.stat().st_ino, copy.exists()) == (inode, True)
    if step in _LEAVES_THE_NEW:
        assert (data.stat().st_ino != inode, copy.exists()) == (True, False)
    with _open(tmp_path, START_S + GRACE_S) as store:
        assert not copy.exists()
        # One more may have been saved, and not been acknowledged.
        assert saved <= store.load("saved").count <= saved + 1
        for number in range(AGENTS):
            assert store.load(str(number)).memory == _memory(number + AGENTS)
        store.verify()
        store.compact()
        assert data.stat().st_size < 2 * AGENTS * PIECE
        assert store.load("0").memory == _memory(AGENTS)
