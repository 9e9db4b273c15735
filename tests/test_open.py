"""What is wrong with a path, a key file or a store is said when it is opened."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import KeyFile, Store
from dachi_fast.errors import (
    DachiError,
    FormatTooNew,
    IntegrityError,
    KeyringError,
    Malformed,
    Missing,
    NotAStore,
    RolledBack,
    StoreIO,
    StoreLocked,
    WrongContext,
)
from tests.children import environment
from tests.stores import Counter


def _content(folder: Path) -> dict[str, bytes]:
    names = ("data.mdb", "keys.sealed")
    return {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}


def _refused(kind: type[DachiError], folder: Path, keys: KeyFile, **more: Any) -> DachiError:
    """Opens in vain; the folder's content must be as before."""
    before = _content(folder)
    with pytest.raises(kind) as caught:
        Store.open(folder, keys=keys, **more)
    assert _content(folder) == before
    return caught.value


# --- paths ----------------------------------------------------------------------------------------


def test_a_path_that_is_a_file_is_no_store(tmp_path: Path, keys: KeyFile) -> None:
    path = tmp_path / "file"
    path.write_text("mine")
    error = _refused(NotAStore, path, keys)
    assert error.context["path"] == str(path)
    assert path.read_text() == "mine"
    assert not keys.path.exists()


def test_a_folder_of_other_things_is_no_store(tmp_path: Path, keys: KeyFile) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    _refused(NotAStore, folder, keys)
    assert list(folder.iterdir()) == [folder / "notes.txt"]
    assert not keys.path.exists()


def test_a_path_below_a_file_is_no_place_for_a_store(tmp_path: Path, keys: KeyFile) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreIO) as caught:
        Store.open(tmp_path / "file" / "store", keys=keys)
    assert isinstance(caught.value, OSError)


def test_an_empty_folder_and_missing_parents_become_a_store(tmp_path: Path, keys: KeyFile) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "a" / "b" / "c"):
        with Store.open(path, keys=keys) as store:
            assert store.names() == []
    assert stat.S_IMODE((tmp_path / "a" / "b" / "c").stat().st_mode) == 0o700


# --- files of the store ---------------------------------------------------------------------------


def test_data_without_its_keys_is_refused(folder: Path, keys: KeyFile) -> None:
    (folder / "keys.sealed").unlink()
    error = _refused(Missing, folder, keys)
    assert "keys.sealed" in str(error)


def test_keys_of_another_store_are_refused(folder: Path, keys: KeyFile, tmp_path: Path) -> None:
    Store.open(tmp_path / "other", keys=keys).close()
    shutil.copy(tmp_path / "other" / "keys.sealed", folder)
    assert _refused(WrongContext, folder, keys).code == "wrong-context"


def test_data_of_another_store_is_refused(folder: Path, keys: KeyFile, tmp_path: Path) -> None:
    Store.open(tmp_path / "other", keys=keys).close()
    shutil.copy(tmp_path / "other" / "data.mdb", folder)
    for witness in ("default", None):
        _refused(WrongContext, folder, keys, witness=witness)


def _grown(folder: Path, keys: KeyFile) -> None:
    """Saves more names than there are spare keys, so that keys.sealed is rewritten."""
    with Store.open(folder, keys=keys) as store:
        for number in range(257):
            store.save(Counter(), f"agent {number}")


def test_keys_older_than_the_store_are_refused(folder: Path, keys: KeyFile) -> None:
    old = (folder / "keys.sealed").read_bytes()
    _grown(folder, keys)
    assert (folder / "keys.sealed").read_bytes() != old
    (folder / "keys.sealed").write_bytes(old)
    error = _refused(RolledBack, folder, keys, witness=None)
    assert error.context["generation"] == 2


def test_keys_newer_than_the_store_are_what_a_crash_leaves(folder: Path, keys: KeyFile) -> None:
    old = (folder / "data.mdb").read_bytes()
    _grown(folder, keys)
    (folder / "data.mdb").write_bytes(old)
    with Store.open(folder, keys=keys, witness=None) as store:
        assert store.names() == ["agent"]
        store.save(Counter(), "other")
        store.verify()


def test_an_edited_or_shortened_keys_file_is_refused(folder: Path, keys: KeyFile) -> None:
    path = folder / "keys.sealed"
    good = path.read_bytes()
    for at in [*range(200), *range(200, len(good), 997), len(good) - 1]:
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with pytest.raises((IntegrityError, KeyringError, NotAStore, FormatTooNew)):
            Store.open(folder, keys=keys)
    for length in [*range(0, 200, 7), len(good) // 2, len(good) - 1]:
        path.write_bytes(good[:length])
        with pytest.raises((IntegrityError, KeyringError, NotAStore)):
            Store.open(folder, keys=keys)
    path.write_bytes(good)
    with Store.open(folder, keys=keys) as store:
        assert store.load("agent").count == 2


def test_keys_of_a_newer_format_say_so(folder: Path, keys: KeyFile) -> None:
    path = folder / "keys.sealed"
    content = bytearray(path.read_bytes())
    content[16:20] = (2).to_bytes(4, "little")
    path.write_bytes(content)
    error = _refused(FormatTooNew, folder, keys)
    assert error.context["format"] == 2
    assert "upgrade" in str(error)


def test_a_data_file_that_is_not_lmdb_is_no_store(folder: Path, keys: KeyFile) -> None:
    for content in (b"x" * 100_000, b"\0" * 100_000):
        (folder / "data.mdb").write_bytes(content)
        with pytest.raises((NotAStore, Malformed)):
            Store.open(folder, keys=keys)


# --- open elsewhere -------------------------------------------------------------------------------

_HOLDER = """
import sys
from dachi_fast import Attr, BaseModule, KeyFile, Store

with Store.open(sys.argv[1], keys=KeyFile(sys.argv[2]), witness=None) as store:
    store.history("agent")
    print("open", flush=True)
    sys.stdin.readline()
    newest = store.history("agent", limit=1)[0]
    changes = {change.path: change.after for change in store.diff("agent", 2, 3)}
    print(f"version {newest.number}, count {changes['count']}", flush=True)
    sys.stdin.read()
"""


def test_a_store_that_another_process_has_open_can_be_used(folder: Path, keys: KeyFile) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(folder), str(keys.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "open\n"
        with Store.open(folder, keys=keys, witness=None) as store:
            counter = store.load("agent")
            counter.count = 3
            assert store.save(counter, "agent").number == 3
        assert holder.stdin is not None
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "version 3, count 3\n"
    finally:
        holder.communicate("")


def test_a_store_that_this_process_has_open_is_locked(folder: Path, keys: KeyFile) -> None:
    with Store.open(folder, keys=keys) as store:
        for path in (folder, folder / ".." / folder.name):
            with pytest.raises(StoreLocked):
                Store.open(path, keys=keys)
        assert store.load("agent").count == 2
    Store.open(folder, keys=keys).close()


def test_a_handle_that_is_dropped_lets_go_of_the_store(folder: Path, keys: KeyFile) -> None:
    store = Store.open(folder, keys=keys)
    del store
    Store.open(folder, keys=keys).close()


# --- data that is gone ----------------------------------------------------------------------------


@pytest.mark.parametrize("witness", ["default", None])
@pytest.mark.parametrize("empty", [False, True])
def test_data_that_is_gone_is_noticed(
    folder: Path, keys: KeyFile, empty: bool, witness: Any
) -> None:
    (folder / "data.mdb").unlink()
    if empty:
        (folder / "data.mdb").touch()
    error = _refused(Missing, folder, keys, witness=witness)
    assert "restore" in str(error)
