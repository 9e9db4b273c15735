"""Processes killed while they save: what was acknowledged is there, whole, and nothing else is."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest

from dachi_fast import Attr, BaseModule, KeyFile, Store, _core
from tests.children import started
from tests.tokens import same

NAMES = ("one", "two")


class Agent(BaseModule):
    step: int = Attr(default=0)
    weights: Any = Attr(default=None)
    notes: Any = Attr(default=None)


def at_step(step: int) -> Agent:
    """Gives the agent exactly as it is after so many steps."""
    agent = Agent()
    agent.step = step
    agent.weights = np.random.default_rng(step // 4).standard_normal(8_000)
    agent.weights[step % 8_000] = step
    agent.notes = {"step": step, "text": f"step {step} " * (step % 100)}
    return agent


# --- what the children run ------------------------------------------------------------------------


def save_forever(store: Store, name: str) -> None:
    """Saves step by step and acknowledges each one that was saved."""
    step = len(store.history(name)) if name in store.names() else 0
    while True:
        step += 1
        store.save(at_step(step), name, base="latest")
        _acknowledge(f"{name} {step}")


def save_new_names_forever(store: Store) -> None:
    """Saves under a new name each time, which needs new keys now and then."""
    number = len(store.names())
    while True:
        store.save(at_step(number), f"agent {number:04}")
        _acknowledge(f"names {number + 1}")
        number += 1


def create_forever(folder: Path) -> None:
    """Makes one store with its key file after the other."""
    number = 0
    while True:
        with Store.open(folder / f"store {number}", keys=KeyFile(folder / f"key {number}")):
            number += 1
            _acknowledge(f"stores {number}")


def _acknowledge(what: str) -> None:
    os.write(1, f"{what}\n".encode())


_CHILD = """
import sys, threading
from pathlib import Path
from dachi_fast import KeyFile, Store
from tests.crash import test_kill as kill
what, folder = sys.argv[1], Path(sys.argv[2])
if what == "stores":
    kill.create_forever(folder)
store = Store.open(folder / "store", keys=KeyFile(folder / "key"), audit_reads="off")
if what == "names":
    kill.save_new_names_forever(store)
threads = [threading.Thread(target=kill.save_forever, args=(store, n)) for n in kill.NAMES]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def _killed(what: str, folder: Path, rng: random.Random, most_acks: int) -> dict[str, int]:
    """Runs a child, kills it at a random moment; gives the last acknowledgement of each kind."""
    child, stdout, stderr = started(_CHILD, what, str(folder))
    with child:
        acknowledged = _read(stdout, rng.randint(0, most_acks))
        # Anywhere between two acknowledgements: a moment of the processor's, no sleep.
        end_ns = time.perf_counter_ns() + rng.randint(0, 6_000_000)
        while time.perf_counter_ns() < end_ns:
            pass
        child.kill()
        acknowledged |= _read(stdout, None)
        errors = stderr.read()
    assert child.returncode == -signal.SIGKILL, errors
    assert errors == ""
    return acknowledged


def _read(pipe: IO[str], count: int | None) -> dict[str, int]:
    """Reads acknowledgements: so many, or all that are left."""
    last: dict[str, int] = {}
    while count is None or count > 0:
        line = pipe.readline()
        if not line.endswith("\n"):
            break
        kind, number = line.split()
        last[kind] = int(number)
        count = None if count is None else count - 1
    return last


@pytest.mark.parametrize("seed", range(6))
def test_a_killed_saver_loses_nothing_that_was_acknowledged(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    keys = KeyFile(tmp_path / "key")
    acknowledged = dict.fromkeys(NAMES, 0)
    for _ in range(5):
        acknowledged |= _killed("saves", tmp_path, rng, most_acks=12)
        assert not _core.store.check(tmp_path / "store")[1]
        with Store.open(tmp_path / "store", keys=keys, audit_reads="off") as store:
            names = store.names()
            for name in NAMES:
                history = store.history(name) if name in names else []
                recovered = len(history)
                assert acknowledged[name] <= recovered <= acknowledged[name] + 1
                assert [version.number for version in history] == list(range(recovered, 0, -1))
                for step in {1, recovered // 2, recovered - 1, recovered} & set(
                    range(1, recovered + 1)
                ):
                    loaded = store.load(name, version=step)
                    assert same(loaded.state_dict(), at_step(step).state_dict())
                acknowledged[name] = recovered
            report = store.verify()
            assert report.versions == sum(acknowledged.values())
            assert report.ledger_entries == report.versions + 1


@pytest.mark.parametrize("seed", range(2))
def test_a_saver_killed_around_new_keys_leaves_a_store_that_opens(
    seed: int, tmp_path: Path
) -> None:
    rng = random.Random(seed)
    keys = KeyFile(tmp_path / "key")
    with Store.open(tmp_path / "store", keys=keys) as store:
        for number in range(250):
            store.save(Agent(), f"agent {number:04}")
    shutil.copytree(tmp_path / "store", tmp_path / "before")
    for _ in range(2):
        acknowledged = _killed("names", tmp_path, rng, most_acks=9).get("names", 250)
        with Store.open(tmp_path / "store", keys=keys) as store:
            recovered = len(store.names())
            assert acknowledged <= recovered <= acknowledged + 1
            for number in range(250, recovered):
                loaded = store.load(f"agent {number:04}")
                assert same(loaded.state_dict(), at_step(number).state_dict())
            store.save(Agent(), "one more")
            assert store.verify().names == recovered + 1
        shutil.rmtree(tmp_path / "store")
        shutil.copytree(tmp_path / "before", tmp_path / "store")
        Store.adopt(tmp_path / "store", keys=keys).close()  # the witness saw what was taken back


@pytest.mark.parametrize("seed", range(6))
def test_a_creation_that_was_killed_is_made_good_by_the_next_open(
    seed: int, tmp_path: Path
) -> None:
    made = _killed("stores", tmp_path, random.Random(seed), most_acks=4).get("stores", 0)
    for number in range(made + 2):
        for _ in range(2):
            keys = KeyFile(tmp_path / f"key {number}")
            with Store.open(tmp_path / f"store {number}", keys=keys) as store:
                agent = Agent()
                store.save(agent, "agent", base="latest")
                assert store.verify().names == 1
                assert store.load("agent").step == 0
