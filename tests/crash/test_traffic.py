"""What processes did at once, held against a model of one history after the other."""

from __future__ import annotations

import os
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any, Final

import pytest

from tests.crash.traffic import NAMES, labelled
from tests.stores import open_store
from tests.tokens import same
from tests.warm import Warm

TORTURE: Final = bool(os.environ.get("DACHI_TORTURE"))
# Each one that changes something waits for the disk: 10,000 of them take minutes.
TRANSACTIONS: Final = 10_000 if TORTURE else 800
# Processes take a second to start, more where many are started at once.
WAIT_S: Final = 60


@pytest.mark.timeout(0 if TORTURE else 120)
@pytest.mark.parametrize("processes", [2, 4, 8] if TORTURE else [2, 8])
def test_transactions_of_many_processes_make_one_history(processes: int, tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    each, start = TRANSACTIONS // processes, Barrier(processes)

    def process(number: int) -> list[list[Any]]:
        with Warm("tests.crash.traffic") as warm:
            warm.call("ready")
            start.wait(WAIT_S)
            done: list[list[Any]] = warm.call("run", str(tmp_path), number, each, seed + number)
            return done

    with ThreadPoolExecutor(processes) as pool:
        done = [entry for entries in pool.map(process, range(processes)) for entry in entries]
    assert len(done) == each * processes
    counts = Counter(what for what, *_ in done)
    print(counts)
    assert min(counts[what] for what in ("save", "overrule", "rollback", "load", "conflict")) > 0
    _compare(tmp_path, done)


def _compare(folder: Path, done: list[list[Any]]) -> None:
    changes = [entry for entry in done if entry[0] in {"save", "overrule", "rollback"}]
    with open_store(folder) as store:
        versions = 0
        for name in NAMES:
            history = store.history(name)[::-1]
            versions += len(history)
            assert [version.number for version in history] == list(range(1, len(history) + 1))
            labels = [version.justification for version in history]
            assert len(set(labels)) == len(labels)
            created = [version.created for version in history]
            assert created == sorted(created)
            for what, of, label, number, base in changes:
                if of == name:
                    version = history[number - 1]
                    assert version.justification == label
                    assert version.restores == (base if what == "rollback" else None)
                    assert what != "save" or version.base == (base or None)
            _check_states(store, name, [version.restores for version in history], labels)
        # Only what began a name is not written down.
        assert 0 < versions - len(changes) <= 8 * len(NAMES)
        report = store.verify()
        assert report.versions == versions == report.ledger_entries - 1
        logged = Counter(entry.justification for entry in store.ledger(limit=versions))
        assert set(logged.values()) == {1}


def _check_states(store: Any, name: str, restores: list[int | None], labels: list[str]) -> None:
    origins: list[str] = []
    for number, (restored, label) in enumerate(zip(restores, labels, strict=True), 1):
        origins.append(label if restored is None else origins[restored - 1])
        state = store.load(name, version=number).state_dict()
        expected = labelled(origins[-1], state["base"])
        assert same(state, expected.state_dict())
