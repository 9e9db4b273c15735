"""Many versions: listing, comparing, growing, and appending to a long history."""

from __future__ import annotations

import random
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benches._rows import describe
from benches._trees import Network, array_agent, wide_agent
from dachi_fast import Attr, BaseModule, Limits
from tests.timed import GRACE_S, Clock, open_timed

_VERSIONS = 10_000
_MESSAGES = 500
_MESSAGE_BYTES = 4096


class Talk(BaseModule):
    history: Any = Attr(default_factory=list)


class Counter(BaseModule):
    count: int = Attr(default=0)


def bench_history(benchmark: Any, tmp_path: Path) -> None:
    """The latest 100 of many versions."""
    describe(
        benchmark,
        workload=f"history, the latest 100 of {_VERSIONS:,}",
        who="dachi_fast",
        base=True,
        at_most_ms=1.0,
    )
    counter = Counter()
    with open_timed(tmp_path, Clock()) as store:
        for counter.count in range(_VERSIONS):
            store.save(counter, "counter")
        found = benchmark.pedantic(
            lambda: store.history("counter", limit=100), rounds=200, warmup_rounds=3
        )
        assert [version.number for version in found] == list(range(_VERSIONS, _VERSIONS - 100, -1))


def bench_diff(benchmark: Any, tmp_path: Path) -> None:
    """Ten changed values among 100,000."""
    describe(
        benchmark,
        workload="diff, 10 changes in 100,000 values",
        who="dachi_fast",
        base=True,
        at_most_ms=2.0,
    )
    agent = wide_agent(11_111, 1)
    with open_timed(tmp_path, Clock()) as store:
        assert store.save(agent, "agent").entries > 99_000
        for number in range(10):
            agent.skills[number * 1_000].count = -1 - number
        store.save(agent, "agent")
        changes = benchmark.pedantic(lambda: store.diff("agent", 1, 2), rounds=100, warmup_rounds=3)
        assert len(changes) == 10


@pytest.mark.parametrize("versions", [1_000])
def bench_growth(benchmark: Any, tmp_path: Path, versions: int) -> None:
    """Saves of 1 MB with one changed value: the last hundred against the first."""
    describe(
        benchmark,
        workload=f"save 1 MB with one changed value, versions 1..{versions:,}",
        who="dachi_fast",
        base=True,
    )
    agent = wide_agent(2_222, 4)
    times: list[float] = []
    with open_timed(tmp_path, Clock()) as store:
        store.save(agent, "agent")
        before = _size_bytes(tmp_path)

        def grow() -> None:
            for number in range(versions):
                agent.skills[number % 2_000].count = number
                start = time.perf_counter()
                store.save(agent, "agent")
                times.append(time.perf_counter() - start)

        benchmark.pedantic(grow, rounds=1)
        benchmark.extra_info["bytes_per_version"] = (_size_bytes(tmp_path) - before) // versions
        slower = statistics.median(times[-100:]) / statistics.median(times[:100])
        benchmark.extra_info["last_100_against_first_100"] = slower
        assert len(store.history("agent")) == versions + 1


def _message(rng: random.Random, words: list[str]) -> str:
    return " ".join(rng.choices(words, k=1_000))[:_MESSAGE_BYTES]


def bench_append(benchmark: Any, tmp_path: Path) -> None:
    """Steps that each append a message, one a minute: what they leave on disk."""
    describe(
        benchmark,
        workload=f"{_MESSAGES} steps that each append 4 KB of text to a list",
        who="dachi_fast",
        base=True,
    )
    rng, clock, talk = random.Random(1), Clock(), Talk()
    words = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(2, 9))) for _ in range(5_000)]
    raw_bytes = _MESSAGES * _MESSAGE_BYTES

    def steps() -> None:
        with open_timed(tmp_path, clock) as store:
            for _ in range(_MESSAGES):
                clock.now_s += 60
                talk.history.append(_message(rng, words))
                store.save(talk, "talk")

    benchmark.pedantic(steps, rounds=1)
    kept_all = _size_bytes(tmp_path) / raw_bytes
    with open_timed(tmp_path, clock) as store:
        store.compact()
    compacted = _size_bytes(tmp_path) / raw_bytes
    with open_timed(tmp_path, clock, Limits()) as store:
        store.prune()
        clock.now_s += GRACE_S
        store.compact()
        assert store.load("talk").history == talk.history
    benchmark.extra_info.update(
        all_versions=kept_all,
        all_versions_compacted=compacted,
        pruned_and_compacted=_size_bytes(tmp_path) / raw_bytes,
    )


def bench_one_item(benchmark: Any, tmp_path: Path) -> None:
    """Bytes that a save writes after one item of 100 MB of float32 has changed."""
    describe(benchmark, workload="save 100 MB after one changed item", who="dachi_fast", base=True)
    agent = array_agent(25, 1_000, 1_000)
    assert isinstance(agent, Network)
    with open_timed(tmp_path, Clock()) as store:
        store.save(agent, "agent")
        agent.layers[7].weights[3, 3] = np.float32(-1)
        version = benchmark.pedantic(lambda: store.save(agent, "agent"), rounds=1)
        benchmark.extra_info["written_bytes"] = version.written_bytes
        assert version.written_bytes <= 64 * 1024


def _size_bytes(folder: Path) -> int:
    return (folder / "store" / "data.mdb").stat().st_size
