"""Stores that are opened to be read: nothing is written, not even where nothing could be."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dachi_fast import FileWitness, KeyFile, Store
from dachi_fast.errors import (
    KeyringError,
    Missing,
    NotAStore,
    RolledBack,
    StoreLocked,
    StoreReadOnly,
    WitnessMissing,
)
from tests.children import environment, unwritable
from tests.stores import Counter, files


def _read_everything(store: Store) -> None:
    assert store.names() == ["agent"]
    assert store.load("agent").count == 2
    assert store.load("agent", version=1).count == 1
    assert [version.number for version in store.history("agent")] == [2, 1]
    assert store.diff("agent", 1, 2)[0].path == "count"
    assert len(store.ledger()) == 3
    assert store.verify().versions == 2


def test_a_read_only_store_gives_everything_and_writes_nothing(
    folder: Path, keys: KeyFile, tmp_path: Path
) -> None:
    before = files(tmp_path, Path(os.environ["XDG_STATE_HOME"]))
    with Store.open(folder, keys=keys, read_only=True) as store:
        assert store.read_only
        assert repr(store) == f"Store({str(folder)!r}, read-only)"
        _read_everything(store)
        with pytest.raises(StoreReadOnly):
            store.save(Counter(), "new")
    assert repr(store) == f"Store({str(folder)!r}, closed)"
    assert files(tmp_path, Path(os.environ["XDG_STATE_HOME"])) == before


def test_a_read_only_store_follows_what_others_save(folder: Path, keys: KeyFile) -> None:
    script = (
        "import sys; from tests.test_read_only import *; "
        "s = Store.open(sys.argv[1], keys=KeyFile(sys.argv[2])); c = s.load('agent'); "
        "c.count = 3; s.save(c, 'agent')"
    )
    with Store.open(folder, keys=keys, read_only=True) as store:
        assert store.load("agent").count == 2
        subprocess.run(
            [sys.executable, "-c", script, str(folder), str(keys.path)],
            check=True,
            env=environment(),
        )
        assert store.load("agent").count == 3
        assert store.load("agent", version=2).count == 2


def test_where_no_store_is_none_is_made(tmp_path: Path, keys: KeyFile) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "nothing", tmp_path / "empty"):
        with pytest.raises(NotAStore, match="no store"):
            Store.open(path, keys=keys, read_only=True)
    assert list(tmp_path.iterdir()) == [tmp_path / "empty"]


def test_a_key_file_is_not_made_for_a_reader(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyringError, match="does not exist"):
        Store.open(folder, keys=KeyFile(tmp_path / "other key"), read_only=True)
    assert not (tmp_path / "other key").exists()


def test_a_reader_is_warned_of_a_missing_witness_and_leaves_it_missing(
    folder: Path, keys: KeyFile, tmp_path: Path
) -> None:
    seen = FileWitness(tmp_path / "seen")
    for _ in range(2):
        with pytest.warns(WitnessMissing):
            store = Store.open(folder, keys=keys, witness=seen, read_only=True)
        with store:
            _read_everything(store)
    assert not seen.folder.exists()


def test_a_reader_refuses_yesterdays_store(folder: Path, keys: KeyFile, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "yesterday")
    with Store.open(folder, keys=keys) as store:
        store.save(store.load("agent"), "agent")
    with pytest.raises(RolledBack):
        Store.open(tmp_path / "yesterday", keys=keys, read_only=True)


# --- where nothing can be written -----------------------------------------------------------------


def _unregistered(folder: Path) -> None:
    """Takes away LMDB's table of readers: a backup without it, or a folder that is read-only."""
    (folder / "lock.mdb").unlink()


def test_a_store_without_a_table_of_readers_is_read_and_gets_none(
    folder: Path, keys: KeyFile
) -> None:
    _unregistered(folder)
    before = files(folder)
    with Store.open(folder, keys=keys, read_only=True) as store:
        _read_everything(store)
    (folder / "store.lock").unlink()
    with Store.open(folder, keys=keys, read_only=True) as store:
        _read_everything(store)
    assert sorted(path.name for path in folder.iterdir()) == [
        *("ballast", "data.mdb", "keys.sealed"),
    ]
    assert files(folder) == {at: before[at] for at in before if at.name != "store.lock"}


_HOLDER = """
import sys
from dachi_fast import KeyFile, Store
with Store.open(sys.argv[1], keys=KeyFile(sys.argv[2]), read_only=sys.argv[3] == "read") as store:
    store.names()
    print("open", flush=True)
    sys.stdin.read()
"""


def _holder(folder: Path, keys: KeyFile, use: str) -> subprocess.Popen[str]:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(folder), str(keys.path), use],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    return holder


def test_readers_that_cannot_register_and_writers_keep_each_other_out(
    folder: Path, keys: KeyFile
) -> None:
    _unregistered(folder)
    reader = _holder(folder, keys, "read")
    try:
        with Store.open(folder, keys=keys, read_only=True) as store:  # any number of readers
            _read_everything(store)
        with pytest.raises(StoreLocked, match="cannot be written"):
            Store.open(folder, keys=keys)
    finally:
        reader.communicate("")
    writer = _holder(folder, keys, "write")
    try:
        with Store.open(folder, keys=keys, read_only=True) as store:  # which registers
            _read_everything(store)
        (folder / "lock.mdb").rename(folder / "away")
        with pytest.raises(StoreLocked, match="read a copy"):
            Store.open(folder, keys=keys, read_only=True)
    finally:
        writer.communicate("")


_MOUNTED = """
import errno, sys
from pathlib import Path
from dachi_fast import KeyFile, Store
from tests.test_read_only import Counter
folder = Path(sys.argv[1])
try:
    (folder / "new").touch()
except OSError as error:
    assert error.errno == errno.EROFS
else:
    raise SystemExit("the folder can be written")
with Store.open(folder, keys=KeyFile(sys.argv[2]), read_only=True) as store:
    assert store.load("agent").count == 2
    assert store.verify().versions == 2
"""


def test_a_store_on_a_read_only_file_system_is_read(folder: Path, keys: KeyFile) -> None:
    before = files(folder)
    python = [sys.executable, "-c", _MOUNTED, str(folder), str(keys.path)]
    subprocess.run([*unwritable(folder), *python], check=True, env=environment())
    assert files(folder) == before


def test_a_store_whose_creation_was_cut_short_says_so(folder: Path, keys: KeyFile) -> None:
    (folder / "data.mdb").unlink()
    with pytest.raises(Missing, match=r"data\.mdb is gone"):
        Store.open(folder, keys=keys, read_only=True)
    assert not (folder / "data.mdb").exists()


# --- stale readers --------------------------------------------------------------------------------

_READING = """
import sys, threading
from dachi_fast import KeyFile, Store
store = Store.open(sys.argv[1], keys=KeyFile(sys.argv[2]))
def read():
    while True:
        store.verify()
threads = [threading.Thread(target=read) for _ in range(8)]
for thread in threads: thread.start()
print("open", flush=True)
"""


# A thread of eight nearly always reads when the process is killed.
_ATTEMPTS = 20


def _killed_reader(folder: Path, keys: KeyFile) -> int:
    """Gives the id of a process that was killed while it read."""
    reader = subprocess.Popen(
        [sys.executable, "-c", _READING, str(folder), str(keys.path)],
        stdout=subprocess.PIPE,
        env=environment(),
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == b"open\n"
    reader.kill()
    reader.communicate()
    return reader.pid


def _places_of(pid: int, folder: Path) -> int:
    """Gives how many places a process has in LMDB's table: 64 bytes each, pid behind a u64."""
    table = (folder / "lock.mdb").read_bytes()
    pids = (int.from_bytes(table[at + 8 : at + 12], "little") for at in range(0, len(table), 64))
    return sum(found == pid for found in pids)


def test_readers_that_died_are_cleared_at_open(folder: Path, keys: KeyFile) -> None:
    holder = _holder(folder, keys, "write")  # while somebody has it open, the table stays
    try:
        for _ in range(_ATTEMPTS):
            pid = _killed_reader(folder, keys)
            left = _places_of(pid, folder)
            if left > 0:
                break
        else:
            pytest.fail("no reader was killed while it read")
        with Store.open(folder, keys=keys) as store:
            assert _places_of(pid, folder) == 0, f"of {left}"
            _read_everything(store)
    finally:
        holder.communicate("")
