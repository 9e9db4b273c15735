"""Keys: a store opened with each provider, rotated, moved, a name forgotten."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benches._rows import describe
from dachi_fast import Attr, BaseModule, EnvKey, KeyFile, Passphrase, Store
from dachi_fast.types import KeyProvider

PROVIDERS = ("key file", "environment variable", "passphrase")
ROUNDS = 20


class Agent(BaseModule):
    weights: Any = Attr(default=None)


def _agent() -> Agent:
    agent = Agent()
    agent.weights = np.random.default_rng(1).standard_normal(131_072)  # 1 MiB
    return agent


def _provider(who: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> KeyProvider:
    if who == "key file":
        return KeyFile(folder / "key")
    if who == "passphrase":
        return Passphrase("correct horse battery staple")
    monkeypatch.setenv("BENCH_KEY", os.urandom(32).hex())
    return EnvKey("BENCH_KEY")


@pytest.mark.parametrize("who", PROVIDERS)
def bench_open(benchmark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: str) -> None:
    """Every round opens and closes a store of one agent of 1 MiB."""
    describe(benchmark, workload="open a store", who=who, base=who == PROVIDERS[0])
    keys = _provider(who, tmp_path, monkeypatch)
    with Store.open(tmp_path / "store", keys=keys) as store:
        store.save(_agent(), "agent")
    benchmark.pedantic(
        lambda: Store.open(tmp_path / "store", keys=keys).close(), rounds=ROUNDS, warmup_rounds=1
    )


def bench_rotate(benchmark: Any, tmp_path: Path) -> None:
    """Every round begins an epoch, durably."""
    describe(benchmark, workload="rotate, with sync", who="dachi_fast")
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        benchmark.pedantic(store.rotate_now, rounds=ROUNDS, warmup_rounds=1)
        assert store.ledger(limit=1)[0].operation == "rotate"


def bench_rewrap(benchmark: Any, tmp_path: Path) -> None:
    """Every round replaces the root key and the key file's key, durably."""
    describe(benchmark, workload="rewrap, with sync", who="dachi_fast")
    keys = KeyFile(tmp_path / "key")
    with Store.open(tmp_path / "store", keys=keys) as store:
        benchmark.pedantic(lambda: store.rewrap(keys), rounds=ROUNDS, warmup_rounds=1)
        assert store.ledger(limit=1)[0].operation == "rewrap"


def bench_forget(benchmark: Any, tmp_path: Path) -> None:
    """Every round forgets another agent of 1 MiB, durably."""
    describe(benchmark, workload="forget 1 MiB, with sync", who="dachi_fast")
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        for number in range(ROUNDS + 1):
            store.save(_agent(), str(number))
        numbers = itertools.count()
        benchmark.pedantic(lambda: store.forget(str(next(numbers))), rounds=ROUNDS, warmup_rounds=1)
        assert store.names() == []


def bench_purge(benchmark: Any, tmp_path: Path) -> None:
    """Every round purges the oldest of some 50 versions of 1 MiB; the others are sealed anew."""
    describe(benchmark, workload="purge 1 of 50 versions of 1 MiB, with sync", who="dachi_fast")
    agent, rounds = Agent(), 5
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key"), limits=None) as store:
        for number in range(50 + rounds):
            agent.weights = np.random.default_rng(number).standard_normal(131_072)
            store.save(agent, "agent")
        oldest = itertools.count(1)
        purged = benchmark.pedantic(
            lambda: store.purge("agent", versions=[next(oldest)]), rounds=rounds
        )
        assert purged.resealed_bytes > 50 << 20
