"""Import time of dachi_fast in new processes, beyond what pydantic and numpy take.

Each process measures its own import, after those two; so the start of an interpreter and the disk's
mood are in no number. The rows take turns, a process each.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from typing import Any

import pytest

from benches._rows import describe

_ROUNDS = 15
_GOAL_MS = 30.0
_CHILD = """
import sys, time
for name in sys.argv[2].split():
    __import__(name)
if "pydantic" in sys.argv[2]:
    from pydantic import BaseModel
start = time.perf_counter()
__import__(sys.argv[1])
if sys.argv[1] == "pydantic":
    from pydantic import BaseModel
print(time.perf_counter() - start)
"""
_ROWS = {
    "dachi_fast, beyond both": ("dachi_fast", "numpy pydantic"),
    "dachi_fast with its store, beyond both": ("dachi_fast.store", "numpy pydantic"),
    "numpy": ("numpy", ""),
    "pydantic": ("pydantic", ""),
}


def _seconds(who: str) -> float:
    command = [sys.executable, "-c", _CHILD, *_ROWS[who]]
    # With compiled files, as after any installation.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    return float(done.stdout)


@cache
def _measured() -> dict[str, list[float]]:
    for who in _ROWS:  # writes the compiled files
        _seconds(who)
    turns = [{who: _seconds(who) for who in _ROWS} for _ in range(_ROUNDS)]
    return {who: [turn[who] for turn in turns] for who in _ROWS}


class _Clock:
    """Goes on by what the processes measured."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


_clock = _Clock()


@pytest.mark.benchmark(timer=_clock)
@pytest.mark.parametrize("who", _ROWS)
def bench_import(benchmark: Any, who: str) -> None:
    """One package in a new process."""
    is_goal = who == "dachi_fast, beyond both"
    describe(benchmark, workload="import", who=who, at_most_ms=_GOAL_MS if is_goal else None)
    times = iter(_measured()[who])

    def replay() -> None:
        _clock.now += next(times)

    benchmark.pedantic(replay, rounds=_ROUNDS)
