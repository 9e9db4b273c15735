"""Witnesses that are Python objects: asked and told at the right moments, whatever they do."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import FileWitness, KeyFile, Store
from dachi_fast.errors import (
    RolledBack,
    StoreError,
    StoreIO,
    Tampered,
    WitnessMissing,
    WitnessUnwritten,
)
from dachi_fast.types import Witness
from tests.children import environment
from tests.stores import Counter

# What ends a wait that would never end.
WAIT_S = 20


def _open(folder: Path, **more: Any) -> Store:
    """Opens a store whose ledger holds what was done to it, and no reads."""
    return Store.open(folder, audit_reads="off", **more)


class Kept:
    """Keeps records in memory, and calls hooks before it does."""

    def __init__(self) -> None:
        self.seen: dict[bytes, tuple[int, bytes]] = {}
        self.told: list[int] = []
        self.asked = 0
        self.before_newest: Any = lambda: None
        self.before_advance: Any = lambda: None

    def newest(self, store_id: bytes) -> bytes | None:
        self.asked += 1
        self.before_newest()
        return self.seen[store_id][1] if store_id in self.seen else None

    def advance(self, store_id: bytes, commit: int, record: bytes) -> None:
        self.before_advance()
        self.told.append(commit)
        if commit > self.seen.get(store_id, (-1, b""))[0]:
            self.seen[store_id] = (commit, record)


def _failing() -> None:
    raise ConnectionError("no route to the witness")


def test_it_is_told_once_a_commit_and_asked_before_every_read(
    tmp_path: Path, keys: KeyFile
) -> None:
    kept = Kept()
    assert isinstance(kept, Witness)
    assert not isinstance(FileWitness(tmp_path), Witness)  # it names a place; the core keeps it
    with _open(tmp_path / "store", keys=keys, witness=kept) as store:
        counter = Counter()
        for _ in range(3):
            store.save(counter, "agent")
        assert kept.told == [0, 1, 2, 3, 4]
        [(store_id, (commit, record))] = kept.seen.items()
        assert (len(store_id), commit, type(record), len(record)) == (16, 4, bytes, 112)
        asked = kept.asked
        store.load("agent")
        store.names()
        assert kept.asked == asked + 2


def test_it_finds_out_what_a_file_finds_out(tmp_path: Path, keys: KeyFile) -> None:
    folder, kept = tmp_path / "store", Kept()
    with _open(folder, keys=keys, witness=kept) as store:
        store.save(Counter(), "agent")
        shutil.copytree(folder, tmp_path / "yesterday")
        store.save(Counter(), "agent", base="latest")
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "yesterday", folder)
    with pytest.raises(RolledBack, match="older"):
        _open(folder, keys=keys, witness=kept)
    Store.adopt(folder, keys=keys, witness=kept).close()
    assert kept.told[-1] == 4  # after everything it has seen
    with pytest.raises(RolledBack, match="another copy"):
        _open(tmp_path / "yesterday", keys=keys, witness=kept)
    kept.seen.clear()
    with pytest.warns(WitnessMissing):
        _open(folder, keys=keys, witness=kept).close()
    kept.seen.clear()
    kept.missing = "refuse"  # type: ignore[attr-defined]
    with pytest.raises(WitnessMissing):
        _open(folder, keys=keys, witness=kept)


def test_a_record_with_any_byte_changed_is_refused(tmp_path: Path, keys: KeyFile) -> None:
    kept = Kept()
    with _open(tmp_path / "store", keys=keys, witness=kept) as store:
        [(store_id, (commit, good))] = kept.seen.items()
        edits = [good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :] for at in range(len(good))]
        for record in [*edits, b"", good[:-1], good + b"\0", b"x" * 5000]:
            kept.seen[store_id] = (commit, record)
            with pytest.raises(Tampered):
                store.names()
            with pytest.raises(Tampered):
                store.save(Counter(), "agent")
        kept.seen[store_id] = (commit, good)
        assert store.names() == []


def test_one_that_cannot_be_told_warns_once_and_saves_go_on(tmp_path: Path, keys: KeyFile) -> None:
    kept = Kept()
    with _open(tmp_path / "store", keys=keys, witness=kept) as store:
        kept.before_advance = _failing
        counter = Counter()
        with pytest.warns(WitnessUnwritten, match="no route to the witness") as warned:
            store.save(counter, "agent")
        assert [warning.filename for warning in warned] == [__file__]
        for number in (2, 3):
            assert store.save(counter, "agent").number == number
        kept.before_advance = lambda: None
        store.save(counter, "agent")
        assert kept.told == [0, 1, 5]
        assert store.load("agent", version=4).count == 0


def test_one_that_cannot_be_asked_ends_reads_and_saves_and_is_the_cause(
    tmp_path: Path, keys: KeyFile
) -> None:
    kept = Kept()
    with _open(tmp_path / "store", keys=keys, witness=kept) as store:
        counter = Counter()
        store.save(counter, "agent")
        kept.before_newest = _failing
        for ask in (lambda: store.load("agent"), lambda: store.save(counter, "agent"), store.names):
            with pytest.raises(StoreIO, match="no route to the witness") as caught:
                ask()
            assert caught.value.code == "witness"
            assert isinstance(caught.value.__cause__, ConnectionError)
        kept.before_newest = lambda: None
        assert store.save(counter, "agent").number == 2


@pytest.mark.parametrize("wrong", [5, "text", [1], ("a", b"b")])
def test_one_that_gives_something_else_than_bytes_is_named(
    tmp_path: Path, keys: KeyFile, wrong: Any
) -> None:
    class Odd(Kept):
        def newest(self, store_id: bytes) -> bytes | None:
            assert len(store_id) == 16
            return wrong  # type: ignore[no-any-return]

    with pytest.raises((StoreIO, Tampered)):
        _open(tmp_path / "store", keys=keys, witness=Odd())


@pytest.mark.parametrize("wrong", [5, object(), "elsewhere"])
def test_what_is_no_witness_is_refused(tmp_path: Path, keys: KeyFile, wrong: Any) -> None:
    with pytest.raises(TypeError, match="newest"):
        _open(tmp_path / "store", keys=keys, witness=wrong)
    assert not (tmp_path / "store").exists()


def test_one_that_saves_to_the_store_it_is_told_of_is_refused_instead_of_waiting_for_itself(
    tmp_path: Path, keys: KeyFile
) -> None:
    kept, said = Kept(), []
    with _open(tmp_path / "store", keys=keys, witness=kept) as store:

        def save() -> None:
            with pytest.raises(StoreError, match="must not change the store") as caught:
                store.save(Counter(), "other")
            said.append(caught.value.code)

        kept.before_advance = save
        store.save(Counter(), "agent")
        assert said == ["store"]
        assert store.names() == ["agent"]


def test_a_slow_one_holds_back_savers_but_neither_readers_nor_python(
    tmp_path: Path, keys: KeyFile
) -> None:
    kept, entered, go_on = Kept(), threading.Event(), threading.Event()

    def wait() -> None:
        entered.set()
        assert go_on.wait(WAIT_S)

    with (
        _open(tmp_path / "store", keys=keys, witness=kept) as store,
        ThreadPoolExecutor(9) as pool,
    ):
        store.save(Counter(), "agent")
        kept.before_advance = wait
        try:
            first = pool.submit(store.save, Counter(), "first")
            assert entered.wait(WAIT_S)
            more = [pool.submit(store.save, Counter(), f"agent {at}") for at in range(8)]
            # The commit is on disk and may be read before the witness has been told.
            assert store.load("first").count == 0
            assert not first.done()
            assert not any(saved.done() for saved in more)
        finally:
            go_on.set()
        assert [saved.result(WAIT_S).number for saved in [first, *more]] == [1] * 9
    assert len(kept.told) < 11, "the savers that waited share a commit, and one word to the witness"


# --- interleavings --------------------------------------------------------------------------------


def test_a_reader_that_asked_before_a_commit_and_reads_after_it_is_right(
    tmp_path: Path, keys: KeyFile
) -> None:
    kept = Kept()
    with (
        _open(tmp_path / "store", keys=keys, witness=kept) as store,
        ThreadPoolExecutor(1) as pool,
    ):
        counter = Counter()
        store.save(counter, "agent")

        def save_in_between() -> None:
            kept.before_newest = lambda: None
            counter.count = 1
            pool.submit(store.save, counter, "agent").result(WAIT_S)

        kept.before_newest = save_in_between
        assert store.load("agent").count == 1
        # And one that reads between a commit and the word to the witness.
        counts = []
        kept.before_advance = lambda: counts.append(
            pool.submit(store.load, "agent").result(WAIT_S).count
        )
        counter.count = 2
        store.save(counter, "agent")
        assert counts == [2]


class OnDisk:
    """Keeps one record in a file, and kills its process at one of its steps."""

    def __init__(self, path: Path, kill_at: str, commit: int) -> None:
        self.path, self.kill_at, self.commit = path, kill_at, commit

    def newest(self, store_id: bytes) -> bytes | None:
        assert len(store_id) == 16
        return self.path.read_bytes() if self.path.exists() else None

    def advance(self, store_id: bytes, commit: int, record: bytes) -> None:
        assert len(store_id) == 16
        self._die("before", commit)
        beside = self.path.with_suffix(".new")
        beside.write_bytes(record)
        self._die("half", commit)
        beside.rename(self.path)
        self._die("after", commit)

    def _die(self, step: str, commit: int) -> None:
        if (step, commit) == (self.kill_at, self.commit):
            os.kill(os.getpid(), signal.SIGKILL)


_CHILD = """
import sys
from pathlib import Path
from tests.test_witness_python import *
folder, kill_at, commit, adopt = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4:]
opened = Store.adopt if adopt else Store.open
witness = OnDisk(folder / "seen", kill_at, commit)
store = opened(folder / "store", keys=KeyFile(folder / "key"), witness=witness)
for _ in range(9):
    store.save(Counter(), "agent", base="latest")
"""


def _killed(folder: Path, kill_at: str, commit: int, *adopt: str) -> None:
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, str(folder), kill_at, str(commit), *adopt],
        check=False,
        capture_output=True,
        env=environment(),
    )
    assert child.returncode == -signal.SIGKILL, child.stderr


@pytest.mark.parametrize("commit", [0, 1, 3])
@pytest.mark.parametrize("step", ["before", "half", "after"])
def test_a_kill_between_sync_and_witness_is_no_rollback_and_hides_none(
    tmp_path: Path, keys: KeyFile, step: str, commit: int
) -> None:
    witness = OnDisk(tmp_path / "seen", "never", 0)
    _killed(tmp_path, step, commit)
    shutil.copytree(tmp_path / "store", tmp_path / "yesterday")
    # Neither an alarm nor a warning: the commit was durable before the witness was to hear of it.
    with _open(tmp_path / "store", keys=keys, witness=witness) as store:
        saved = len(store.history("agent")) if commit > 1 else 0
        assert saved == max(commit - 1, 0)
        store.save(Counter(), "agent", base="latest")
        assert store.verify().versions == saved + 1
        assert [e.operation for e in store.ledger()] == ["store"] * (saved + 1) + ["create"]
    shutil.rmtree(tmp_path / "store")
    shutil.copytree(tmp_path / "yesterday", tmp_path / "store")
    with pytest.raises(RolledBack):
        _open(tmp_path / "store", keys=keys, witness=witness)


@pytest.mark.parametrize("step", ["before", "half", "after"])
def test_an_adoption_that_was_killed_is_refused_or_done_and_can_be_repeated(
    tmp_path: Path, keys: KeyFile, step: str
) -> None:
    witness = OnDisk(tmp_path / "seen", "never", 0)
    with _open(tmp_path / "store", keys=keys, witness=witness) as store:
        store.save(Counter(), "agent")
        shutil.copytree(tmp_path / "store", tmp_path / "backup")
        for _ in range(3):
            store.save(Counter(), "agent", base="latest")
    shutil.rmtree(tmp_path / "store")
    shutil.copytree(tmp_path / "backup", tmp_path / "store")
    _killed(tmp_path, step, 6, "adopt")
    if step == "after":
        _open(tmp_path / "store", keys=keys, witness=witness).close()
    else:
        with pytest.raises(RolledBack, match=r"Store\.adopt"):
            _open(tmp_path / "store", keys=keys, witness=witness)
    with Store.adopt(tmp_path / "store", keys=keys, witness=witness) as store:
        assert store.load("agent").count == 0
    with _open(tmp_path / "store", keys=keys, witness=witness) as store:
        assert store.verify().versions == 1
