"""Processes that share a store, and saves that share a commit."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dachi_fast import Attr, BaseModule, KeyFile, Store
from dachi_fast.errors import Conflict
from tests.children import environment


class Tally(BaseModule):
    count: int = Attr(default=0)


def add_up(folder: Path, steps: int) -> None:
    """Adds one to a shared count so many times, beginning again whenever somebody was faster."""
    with Store.open(folder / "store", keys=KeyFile(folder / "key")) as store:
        for _ in range(steps):
            while True:
                tally = store.load("tally")
                tally.count += 1
                try:
                    store.save(tally, "tally")
                    break
                except Conflict:
                    pass


def save_own(folder: Path, name: str, steps: int) -> None:
    """Saves under a name of its own, and looks at the others' in between."""
    with Store.open(folder / "store", keys=KeyFile(folder / "key")) as store:
        tally = Tally()
        for count in range(1, steps + 1):
            tally.count = count
            store.save(tally, name)
            for other in store.names():
                assert store.history(other)[0].number <= store.load(other).count
        store.verify()


def make(folder: Path, name: str) -> None:
    """Opens a store that may not be there yet."""
    with Store.open(folder / "store", keys=KeyFile(folder / "key")) as store:
        store.save(Tally(), name)


def save_anew(folder: Path) -> None:
    """Forgets a name, and saves another object under it as often as before."""
    with Store.open(folder / "store", keys=KeyFile(folder / "key")) as store:
        saved = store.history("tally")[0].number
        store.forget("tally")
        for _ in range(saved):
            store.save(Tally(), "tally", base="latest")


def _run(*calls: str) -> None:
    """Runs calls of the functions above, each in a process of its own, at once."""
    script = "import sys; from pathlib import Path; from tests.test_store_processes import *; "
    children = [
        subprocess.Popen(
            [sys.executable, "-c", script + call],
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        for call in calls
    ]
    said = [child.communicate()[1] for child in children]
    assert [child.returncode for child in children] == [0] * len(children), "\n".join(said)


def test_processes_that_change_one_agent_lose_no_change(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        store.save(Tally(), "tally")
        _run(*[f"add_up(Path({str(tmp_path)!r}), 25)"] * 3)
        assert store.load("tally").count == 75
        assert [version.number for version in store.history("tally")] == list(range(76, 0, -1))
        assert store.verify().versions == 76


@pytest.mark.parametrize("loaded", [False, True])
def test_what_another_process_forgot_is_not_brought_back_under_the_same_number(
    tmp_path: Path, loaded: bool
) -> None:
    """Symptom: an object of before was saved over a name that was forgotten and saved anew.
    Cause: the version that it came from was remembered by its number alone. Fix: and by its time.
    """
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        secret = Tally()
        secret.count = 42
        store.save(secret, "tally")
        store.save(secret, "tally")
        if loaded:
            secret = store.load("tally")
        _run(f"save_anew(Path({str(tmp_path)!r}))")
        assert store.history("tally")[0].number == 2
        with pytest.raises(Conflict, match="forgotten"):
            store.save(secret, "tally")
        assert store.load("tally").count == 0


def test_processes_that_save_different_agents_do_not_mix(tmp_path: Path) -> None:
    names = [f"agent {number}" for number in range(3)]
    _run(*[f"save_own(Path({str(tmp_path)!r}), {name!r}, 15)" for name in names])
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        assert store.names() == names
        assert [store.load(name).count for name in names] == [15] * 3
        store.verify()
        operations = [entry.operation for entry in store.ledger(limit=10_000)]
        assert (operations.count("create"), operations.count("store")) == (1, 45)
        # Each process wrote what it read; the last look is not written yet.
        assert operations.count("retrieve") > 0


@pytest.mark.parametrize("attempt", range(3))
def test_processes_that_make_one_store_at_once_make_one(tmp_path: Path, attempt: int) -> None:
    names = [f"agent {number}" for number in range(4)]
    _run(*[f"make(Path({str(tmp_path)!r}), {name!r})" for name in names])
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        assert store.names() == names, attempt


# --- saves that share a commit --------------------------------------------------------------------


def _save_at_once(store: Store, names: list[str]) -> list[object]:
    """Saves under all names at the same moment; gives the versions or errors."""
    begun = threading.Barrier(len(names))

    def save(number: int) -> object:
        tally = Tally()
        tally.count = number
        begun.wait()
        try:
            return store.save(tally, names[number]).number
        except Conflict as error:
            return error.code

    with ThreadPoolExecutor(len(names)) as pool:
        return list(pool.map(save, range(len(names))))


def test_saves_that_meet_share_commits(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "key")
    with Store.open(tmp_path / "store", keys=keys, audit_reads="off") as store:
        for batch in range(10):
            names = [f"agent {batch} {number}" for number in range(16)]
            assert _save_at_once(store, names) == [1] * 16
            assert [store.load(name).count for name in names] == list(range(16))
        # Entries of one commit have one time.
        assert len({entry.timestamp for entry in store.ledger(limit=160)}) < 120
        assert store.verify().ledger_entries == 161


def test_a_save_that_fails_does_not_take_those_it_meets_along(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        for batch in range(10):
            names = [f"{name} {batch}" for name in ("one", "two", "two", "three")]
            done = _save_at_once(store, names)
            assert sorted(map(str, done)) == ["1", "1", "1", "conflict"]
            assert done[0] == done[3] == 1
        assert store.verify().versions == 30
