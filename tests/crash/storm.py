"""Kills savers of many kinds at random moments, and compares what is left with what they said.

Each saver numbers its operations and acknowledges each one that returned. Whatever was acknowledged
must be there, exactly once and with its content; of each saver at most one more operation, the one
that it was about, and nothing else.
"""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import signal
import sys
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Never

import numpy as np

from dachi_fast import Attr, BaseModule, Store
from tests.stores import open_store
from tests.tokens import same

KINDS: Final = ("own", "shared", "back", "new")
# After so many rounds the next store is begun, so that checks stay short.
ROUNDS: Final = 8
# Nearly all keys that were made with the store: the next new names need new ones.
NEARLY_ALL_SPARES: Final = 250
WAIT_S: Final = 60


np.random.default_rng()  # numpy imports it when it is asked for: once here, not in every fork


class Agent(BaseModule):
    label: str = Attr(default="")
    weights: Any = Attr(default=None)


def labelled(label: str) -> Agent:
    """Gives the agent that a saver saves under a label."""
    agent, seed = Agent(), zlib.crc32(label.encode())
    agent.label = label
    agent.weights = np.random.default_rng(seed).standard_normal(10 + seed % 5_000)
    return agent


def fill(folder: str) -> None:
    """Makes a store that has nearly no keys for new names left."""
    with open_store(Path(folder)) as store:
        for number in range(NEARLY_ALL_SPARES):
            store.save(labelled(f"old 0 {number}"), f"old {number}", justification="old 0 0")


# --- savers ---------------------------------------------------------------------------------------


def _save_forever(store: Store, saver: str, kind: str, acks: int) -> None:
    rng, number = random.Random(saver), 0
    while True:
        number += 1
        label = f"{saver} {number}"
        name = {"shared": "shared", "new": f"new {label}"}.get(kind, f"own {saver[-3:]}")
        if kind == "back" and number % 2 == 0:
            to = rng.randint(1, store.history(name)[0].number)
            version = store.rollback(name, to=to, justification=label)
        else:
            version = store.save(labelled(label), name, base="latest", justification=label)
        # One short write: the lines of several processes do not mix in a pipe.
        os.write(acks, f"{json.dumps([saver, number, name, version.number])}\n".encode())


def _end_with(failure: threading.ExceptHookArgs) -> None:
    """Ends the process when one of its savers fails."""
    sys.excepthook(failure.exc_type, failure.exc_value or failure.exc_type(), failure.exc_traceback)
    os._exit(1)


def _saver_process(folder: Path, savers: list[tuple[str, str]], acks: int) -> Never:
    try:
        store = open_store(folder)
        threading.excepthook = _end_with
        for saver, kind in savers:
            work = threading.Thread(target=_save_forever, args=(store, saver, kind, acks))
            work.start()
        signal.pause()
    finally:
        os._exit(1)


# --- one store, killed and checked again and again ------------------------------------------------


class Subject:
    """A store, and what is known to be in it: by name, the labels of its versions."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng = folder, rng
        self.versions: dict[str, list[str]] = {}
        self.kills = self.acknowledged = self.in_flight = 0

    def round(self, number: int) -> None:
        """Starts processes, kills one after the other, and checks what is left."""
        reading, acks = os.pipe()
        running: list[int] = []
        for process in range(self.rng.randint(1, 4)):
            threads = range(self.rng.randint(1, 3))
            savers = [(f"{number}.{process}.{t}", self.rng.choice(KINDS)) for t in threads]
            pid = os.fork()
            if pid == 0:
                _saver_process(self.folder, savers, acks)
            running.append(pid)
        os.close(acks)
        lines = _Lines(reading)
        try:
            while running:
                # Those that are left go on, whatever the dead ones held.
                lines.wait_for(self.rng.randint(0, 4))
                end_ns = time.perf_counter_ns() + self.rng.randint(0, 4_000_000)
                while time.perf_counter_ns() < end_ns:
                    pass
                _kill(running.pop(self.rng.randrange(len(running))))
                self.kills += 1
        finally:
            for pid in running:
                _kill(pid)
        lines.read_all()
        os.close(reading)
        said = [json.loads(line) for line in lines.lines]
        self._compare(said, _in_fork(lambda: check(self.folder, self.rng.random())))

    def _compare(self, said: list[list[Any]], found: dict[str, list[str]]) -> None:
        last: dict[str, int] = {}
        for saver, number, name, version in said:
            assert number == last.get(saver, 0) + 1
            last[saver] = number
            assert found[name][version - 1] == f"{saver} {number}", "an acknowledged one is lost"
        added = []
        for name, labels in found.items():
            before = self.versions.get(name, [])
            assert labels[: len(before)] == before, "an old version is lost"
            added += [tuple(label.rsplit(" ", 1)) for label in labels[len(before) :]]
        assert set(self.versions) <= set(found), "a name is lost"
        assert len(set(added)) == len(added), "an operation was done twice"
        for saver in {saver for saver, _ in added}:
            done = sorted(int(number) for other, number in added if other == saver)
            recovered = last.get(saver, 0)
            assert done in (list(range(1, recovered + 1)), list(range(1, recovered + 2)))
        self.versions = found
        self.acknowledged += len(said)
        self.in_flight += len(added) - len(said)


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, "a saver failed"


class _Lines:
    """Lines of a pipe, read as they come."""

    def __init__(self, pipe: int) -> None:
        self.pipe, self.lines, self._rest = pipe, list[bytes](), b""

    def wait_for(self, count: int) -> None:
        """Reads so many lines more."""
        wanted = len(self.lines) + count
        while len(self.lines) < wanted:
            assert select.select([self.pipe], [], [], WAIT_S)[0], "the savers stand still"
            assert self._read(), "no saver is left"

    def read_all(self) -> None:
        """Reads to the end; all writers are dead."""
        while self._read():
            pass

    def _read(self) -> bool:
        content = os.read(self.pipe, 1 << 16)
        *lines, self._rest = (self._rest + content).split(b"\n")
        self.lines += lines
        return bool(content)


def check(folder: Path, seed: float) -> dict[str, list[str]]:
    """Gives the labels of all versions by name, after a look at some of their states."""
    rng, found = random.Random(seed), {}
    with open_store(folder) as store:
        for name in store.names():
            history = store.history(name)[::-1]
            assert [version.number for version in history] == list(range(1, len(history) + 1))
            found[name] = [version.justification for version in history]
            if not name.startswith("old"):
                for number in {len(history), rng.randint(1, len(history))}:
                    origin = history[number - 1]
                    while origin.restores is not None:
                        origin = history[origin.restores - 1]
                    state = store.load(name, version=number).state_dict()
                    assert same(state, labelled(origin.justification).state_dict())
        report = store.verify()
        assert report.versions == sum(map(len, found.values())) == report.ledger_entries - 1
    return found


def _in_fork(work: Callable[[], Any]) -> Any:
    """Gives what `work` gives in a process of its own: this one must not open a store."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            with os.fdopen(writing, "w") as out:
                json.dump(work(), out)
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as said:
        answer = said.read()
    _, status = os.waitpid(pid, 0)
    assert status == 0, f"the check ended with status {status}"
    return json.loads(answer)


def storm(folder: str, filled: str, kills: int, seed: int) -> dict[str, int]:
    """Kills so many savers; gives what was counted."""
    rng, total = random.Random(seed), {"kills": 0, "acknowledged": 0, "in_flight": 0, "stores": 0}
    while total["kills"] < kills:
        place = Path(folder) / f"{total['stores']}"
        subject = Subject(place, rng)
        if rng.random() < 0.2:
            shutil.copytree(filled, place)
            subject.versions = {f"old {n}": ["old 0 0"] for n in range(NEARLY_ALL_SPARES)}
        else:
            place.mkdir(parents=True)
        for number in range(ROUNDS):
            subject.round(number)
        shutil.rmtree(place)
        total["stores"] += 1
        for what in ("kills", "acknowledged", "in_flight"):
            total[what] += getattr(subject, what)
    return total
