"""Committers and readers of one store, some of them killed: no false alarm, no missed rollback."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import Attr, BaseModule, KeyFile, Store
from dachi_fast.errors import Conflict, RolledBack
from tests.children import environment

ROOT = Path(__file__).resolve().parents[2]


class Tally(BaseModule):
    count: int = Attr(default=0)


def _open(folder: Path, **more: Any) -> Store:
    """Opens a store whose ledger holds what was done to it, and no reads."""
    return Store.open(folder, audit_reads="off", **more)


def commit(folder: Path, steps: int) -> None:
    """Adds one to the shared count so many times, or for ever; acknowledges each."""
    with _open(folder / "store", keys=KeyFile(folder / "key")) as store:
        while steps != 0:
            tally = store.load("tally")
            tally.count += 1
            try:
                store.save(tally, "tally")
            except Conflict:
                continue
            os.write(1, f"{tally.count}\n".encode())
            steps -= 1


def read(folder: Path, steps: int) -> None:
    """Reads so many times; what was read once is never missing again."""
    last = 0
    for _ in range(steps):
        with _open(folder / "store", keys=KeyFile(folder / "key"), read_only=True) as store:
            for _ in range(10):
                count = store.load("tally").count
                assert count >= last
                last = count


def _started(call: str) -> subprocess.Popen[str]:
    script = "from pathlib import Path; from tests.crash.test_kill_witness import *; "
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script + call],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(),
    )


def _made(folder: Path) -> None:
    with _open(folder / "store", keys=KeyFile(folder / "key")) as store:
        store.save(Tally(), "tally")


def _said(child: subprocess.Popen[str], code: int) -> int:
    """Waits for a child; gives the last count that it acknowledged."""
    out, errors = child.communicate()
    assert (child.returncode, errors) == (code, "")
    whole = out[: out.rfind("\n") + 1].split()
    return int(whole[-1]) if whole else 0


def test_committers_and_readers_never_alarm_each_other(tmp_path: Path) -> None:
    _made(tmp_path)
    path = f"Path({str(tmp_path)!r})"
    children = [_started(f"commit({path}, 15)") for _ in range(3)]
    children += [_started(f"read({path}, 6)") for _ in range(2)]
    for child in children:
        _said(child, 0)
    with _open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        assert store.load("tally").count == 45
        assert store.verify().versions == 46


@pytest.mark.parametrize("seed", range(2))
def test_kills_are_no_rollback_and_a_rollback_after_a_kill_is_seen(
    seed: int, tmp_path: Path
) -> None:
    rng = random.Random(seed)
    keys = KeyFile(tmp_path / "key")
    _made(tmp_path)
    path = f"Path({str(tmp_path)!r})"
    acknowledged = 0
    for _ in range(2):
        shutil.rmtree(tmp_path / "before", ignore_errors=True)
        shutil.copytree(tmp_path / "store", tmp_path / "before")
        killed = [_started(f"commit({path}, -1)") for _ in range(2)]
        reader = _started(f"read({path}, 2)")
        for child in killed:
            assert child.stdout is not None
            # Two counts: one of them, at least, was told to the witness before the kill.
            acknowledged = max(acknowledged, *(int(child.stdout.readline()) for _ in range(2)))
        end_ns = time.perf_counter_ns() + rng.randint(0, 4_000_000)
        while time.perf_counter_ns() < end_ns:
            pass
        for child in killed:
            child.kill()
        acknowledged = max(acknowledged, *(_said(child, -signal.SIGKILL) for child in killed))
        _said(reader, 0)
        with _open(tmp_path / "before", keys=keys, witness=None) as store:
            assert store.load("tally").count < acknowledged
        with pytest.raises(RolledBack):
            _open(tmp_path / "before", keys=keys)
        with _open(tmp_path / "store", keys=keys) as store:
            assert store.load("tally").count >= acknowledged
            assert {entry.operation for entry in store.ledger(limit=2)} <= {"store", "prune"}
            store.verify()
