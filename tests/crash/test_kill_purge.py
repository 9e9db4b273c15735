"""Processes killed while they purge: all that lives is there, and the next purge ends it."""

from __future__ import annotations

import os
import random
import signal
import time
import warnings
from datetime import timedelta
from pathlib import Path

import pytest

from dachi_fast import (
    Attr,
    BaseModule,
    KeyFile,
    LmdbMemoryProvider,
    RetentionPolicy,
    Store,
    TransactionManager,
    reader,
)
from dachi_fast.errors import KeysBehind, SnapshotExpired
from dachi_fast.reader._keyring import unlocked
from dachi_fast.types import Clock
from tests.children import started


class Agent(BaseModule):
    number: int = Attr(default=0)
    text: str = Attr(default="")


def agent_of(number: int) -> Agent:
    """Gives the agent that was saved as a version."""
    agent = Agent()
    agent.number, agent.text = number, f"agent {number} " * 3000
    return agent


def _opened(folder: Path, clock: Clock | None = None) -> Store:
    return Store.open(folder / "store", keys=KeyFile(folder / "key"), limits=None, clock=clock)


def _latest(store: Store) -> int:
    return max((version.number for version in store.history("agent")), default=0)


def purge_forever(folder: Path, how: str) -> None:
    """Saves versions and documents, purges all but the last few, and acknowledges what was done."""
    number = 0
    # A day from each version to the next.
    store = _opened(folder, lambda: (1_900_000_000 + number * 86_400) * 10**9)
    documents = TransactionManager(LmdbMemoryProvider(store, namespace="agent")).sync
    number = _latest(store) if store.names() else 0
    day = timedelta(days=1)
    while True:
        for _ in range(4):
            number += 1
            store.save(agent_of(number), "agent", base="latest")
            with documents as tx:
                tx.store("note", {"n": number, "text": "text " * 500})
            os.write(1, f"saved {number}\n".encode())
        if how == "retain":
            store.retain(RetentionPolicy(hot=day, warm=day, purge=3.5 * day))
            os.write(1, f"purged {number - 4}\n".encode())
            continue
        with documents as tx:
            old = [note for note in tx.find("note") if note.content["n"] <= number - 4]
        store.purge(
            "agent",
            versions=[v.number for v in store.history("agent") if v.number <= number - 4],
            documents=[("note", note.id) for note in old],
        )
        os.write(1, f"purged {number - 4}\n".encode())


def save_until_told(folder: Path) -> None:
    """Saves versions and documents under the name that another process purges."""
    store = _opened(folder)
    documents = TransactionManager(LmdbMemoryProvider(store, namespace="agent")).sync
    number = _latest(store)
    while not (folder / "stop").exists():
        number += 1
        try:
            assert store.save(agent_of(number), "agent", base="latest").number == number
            with documents as tx:
                tx.store("note", {"n": number, "text": "text " * 500})
        except SnapshotExpired:
            continue
        assert store.load("agent").number == number
        os.write(1, f"saved {number}\n".encode())
    store.close()


_CHILD = """
import sys, warnings
from pathlib import Path
from dachi_fast.errors import KeysBehind
from tests.crash import test_kill_purge
warnings.simplefilter("ignore", KeysBehind)
getattr(test_kill_purge, sys.argv[1])(Path(sys.argv[2]), *sys.argv[3:])
"""


def _killed(folder: Path, how: str, rng: random.Random) -> dict[str, int]:
    """Runs a child, kills it at a random moment; gives its last acknowledgements."""
    child, stdout, stderr = started(_CHILD, "purge_forever", str(folder), how)
    last = {}
    with child:
        for _ in range(rng.randint(3, 7)):
            line = stdout.readline()
            if line:
                last[line.split()[0]] = int(line.split()[1])
        # Anywhere between two acknowledgements: a moment of the processor's, no sleep.
        end_ns = time.perf_counter_ns() + rng.randint(0, 20_000_000)
        while time.perf_counter_ns() < end_ns:
            pass
        child.kill()
        for line in stdout:
            if line.endswith("\n"):
                last[line.split()[0]] = int(line.split()[1])
        errors = stderr.read()
    assert child.returncode == -signal.SIGKILL, errors
    assert errors == ""
    return last


def _keys(folder: Path) -> list[int]:
    """Gives how many keys each namespace has."""
    keyring = unlocked(folder / "store" / "keys.sealed", reader.KeyFile(folder / "key"))
    return [len(keys) for keys in keyring.namespaces.values()]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", ["purge", "retain"])
def test_a_process_killed_while_it_purges_leaves_what_lives(how: str, tmp_path: Path) -> None:
    rng = random.Random(how)
    saved = purged = 0
    for _ in range(4):
        last = _killed(tmp_path, how, rng)
        saved, purged = last.get("saved", saved), last.get("purged", purged)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", KeysBehind)
            store = _opened(tmp_path)
        is_behind = max(_keys(tmp_path)) > 1
        with store:
            for _ in range(2):
                numbers = sorted(version.number for version in store.history("agent"))
                assert numbers[-1] in {saved, saved + 1}
                # More may have been purged than was acknowledged.
                assert purged < numbers[0] <= max(1, saved - 3)
                assert numbers == list(range(numbers[0], numbers[-1] + 1))
                for number in numbers:
                    state = store.load("agent", version=number).state_dict()
                    assert state == agent_of(number).state_dict()
                with TransactionManager(LmdbMemoryProvider(store, namespace="agent")).sync as tx:
                    notes = sorted(note.content["n"] for note in tx.find("note"))
                # One may have been saved without its document.
                assert set(range(numbers[0], saved + 1)) <= set(notes) <= set(numbers) | {saved + 1}
                assert store.verify().versions == len(numbers)
                if is_behind:
                    store.purge("agent")
                assert max(_keys(tmp_path)) == 1
            saved = numbers[-1]


@pytest.mark.timeout(60)
def test_a_process_saves_and_loads_while_another_one_purges(tmp_path: Path) -> None:
    with _opened(tmp_path) as store:
        store.save(agent_of(1), "agent")
        child, stdout, stderr = started(_CHILD, "save_until_told", str(tmp_path))
        with child:
            for _ in range(4):
                line = stdout.readline()
                latest = store.version("agent").number
                store.purge("agent", versions=range(1, latest))
                assert line.startswith("saved")
            (tmp_path / "stop").touch()
            lines, errors = stdout.read().split(), stderr.read()
        assert (child.returncode, errors) == (0, "")
        latest = store.version("agent").number
        assert latest >= int(lines[-1] if lines else 0)
        store.purge("agent", versions=range(1, latest))
        assert store.load("agent").state_dict() == agent_of(latest).state_dict()
        assert store.verify().versions == 1
    assert max(_keys(tmp_path)) == 1
