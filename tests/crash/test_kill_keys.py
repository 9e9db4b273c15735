"""Processes killed while they change keys: the store opens, and what was forgotten stays so."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from dachi_fast import Attr, BaseModule, KeyFile, Store
from tests.children import started


class Agent(BaseModule):
    text: str = Attr(default="")


def agent_of(number: int) -> Agent:
    """Gives the agent that was saved under a number."""
    agent = Agent()
    agent.text = f"agent {number} " * 50
    return agent


def change_keys_forever(folder: Path) -> None:
    """Saves, rotates, moves and forgets in turn, and acknowledges what was done."""
    keys = KeyFile(folder / "key")
    store = Store.open(folder / "store", keys=keys)
    number = max((int(name) for name in store.names()), default=0)
    while True:
        number += 1
        store.save(agent_of(number), str(number))
        _acknowledge("saved", number)
        if number % 3 == 0:
            store.rotate_now()
        if number % 5 == 0:
            store.rewrap(keys)
        for old in sorted(int(name) for name in store.names())[:-4]:
            store.forget(str(old))
            _acknowledge("forgot", old)


def _acknowledge(what: str, number: int) -> None:
    os.write(1, f"{what} {number}\n".encode())


_CHILD = """
import sys
from pathlib import Path
from tests.crash import test_kill_keys
test_kill_keys.change_keys_forever(Path(sys.argv[1]))
"""


def _killed(folder: Path, rng: random.Random) -> dict[str, int]:
    """Runs a child, kills it at a random moment; gives its last acknowledgements."""
    child, stdout, stderr = started(_CHILD, str(folder))
    last = {}
    with child:
        for _ in range(rng.randint(1, 12)):
            line = stdout.readline()
            if line:
                last[line.split()[0]] = int(line.split()[1])
        # Anywhere between two acknowledgements: a moment of the processor's, no sleep.
        end_ns = time.perf_counter_ns() + rng.randint(0, 30_000_000)
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


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(4))
def test_a_process_killed_while_it_changes_keys_leaves_a_store_that_opens(
    seed: int, tmp_path: Path
) -> None:
    rng = random.Random(seed)
    saved = forgot = 0
    for _ in range(6):
        last = _killed(tmp_path, rng)
        saved, forgot = last.get("saved", saved), last.get("forgot", forgot)
        keys = KeyFile(tmp_path / "key")
        with Store.open(tmp_path / "store", keys=keys) as store:
            there = {int(name) for name in store.names()}
            acknowledged = set(range(forgot + 1, saved + 1))
            # One more of each may have been done, and not been acknowledged.
            assert acknowledged - {forgot + 1} <= there <= acknowledged | {saved + 1}
            for number in there:
                assert store.load(str(number)).state_dict() == agent_of(number).state_dict()
            assert store.verify().names == len(there)
            erased = [e.seq for e in store.ledger(limit=10_000) if e.agent_id is None]
            assert len(erased) >= forgot
            saved, forgot = max(there), min(there) - 1
        rows = keys.path.read_text().splitlines()[1:]
        assert len(rows) <= 2  # two if the provider had made a new key that nothing used yet
