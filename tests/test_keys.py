"""Key files: made for their owner alone, whole or not at all; refused otherwise."""

from __future__ import annotations

import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dachi_fast import KeyFile, Store
from dachi_fast.errors import DachiError, KeyAccessError, KeyringError
from tests.stores import Counter


@pytest.fixture
def folder(tmp_path: Path, keys: KeyFile) -> Path:
    """A closed store."""
    with Store.open(tmp_path / "store", keys=keys) as store:
        store.save(Counter(), "agent")
    return tmp_path / "store"


def _refused(kind: type[DachiError], folder: Path, keys: KeyFile) -> DachiError:
    with pytest.raises(kind) as caught:
        Store.open(folder, keys=keys)
    return caught.value


def test_another_key_file_is_refused_and_named(folder: Path, tmp_path: Path) -> None:
    other = KeyFile(tmp_path / "other")
    Store.open(tmp_path / "other store", keys=other).close()
    error = _refused(KeyringError, folder, other)
    assert error.code == "wrong-key"
    assert error.context["path"] == str(tmp_path / "other")
    assert str(tmp_path / "other") in str(error)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777, 0o610])
def test_a_key_file_that_others_can_use_is_refused(folder: Path, keys: KeyFile, mode: int) -> None:
    keys.path.chmod(mode)
    error = _refused(KeyAccessError, folder, keys)
    assert isinstance(error, PermissionError)
    assert error.context["mode"] == f"{mode:03o}"
    assert "chmod 600" in str(error)
    keys.path.chmod(0o400)
    Store.open(folder, keys=keys).close()


def test_a_new_store_refuses_a_key_file_that_others_can_use(tmp_path: Path, keys: KeyFile) -> None:
    keys.wrap(b"k" * 32, b"test")
    keys.path.chmod(0o644)
    _refused(KeyAccessError, tmp_path / "new", keys)
    assert not (tmp_path / "new").exists()


def test_a_key_file_is_made_for_its_owner_alone_and_no_temporary_is_left(
    tmp_path: Path,
) -> None:
    keys = KeyFile(tmp_path / "deep" / "er" / "key")
    Store.open(tmp_path / "store", keys=keys).close()
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.path.parent.stat().st_mode) == 0o700
    assert list(keys.path.parent.iterdir()) == [keys.path]


def test_a_key_file_is_made_where_there_are_no_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refused)
    keys = KeyFile(tmp_path / "keys" / "key")
    Store.open(tmp_path / "store", keys=keys).close()
    assert list(keys.path.parent.iterdir()) == [keys.path]
    Store.open(tmp_path / "store", keys=keys).close()


def test_processes_that_make_one_key_file_at_once_agree_on_it(tmp_path: Path) -> None:
    keys = [KeyFile(tmp_path / "key") for _ in range(8)]
    start = threading.Barrier(len(keys))

    def wrapped(keys: KeyFile) -> bytes:
        start.wait()
        return keys.wrap(b"k" * 32, b"test")

    with ThreadPoolExecutor(len(keys)) as pool:
        sealed = list(pool.map(wrapped, keys))
    assert {keys[0].unwrap(one, b"test") for one in sealed} == {b"k" * 32}


def test_processes_that_make_stores_with_one_key_file_at_once_all_keep_their_key(
    tmp_path: Path,
) -> None:
    keys = [KeyFile(tmp_path / "key") for _ in range(8)]
    start = threading.Barrier(len(keys))

    def wrapped(number: int) -> bytes:
        start.wait()
        return keys[number].wrap(b"k" * 32, b"store %d" % number)

    with ThreadPoolExecutor(len(keys)) as pool:
        sealed = list(pool.map(wrapped, range(len(keys))))
    for number, one in enumerate(sealed):
        assert keys[0].unwrap(one, b"store %d" % number) == b"k" * 32
    assert list(tmp_path.iterdir()) == [keys[0].path]


def test_a_key_file_behind_a_link_is_replaced_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    KeyFile(tmp_path / "secrets" / "key").wrap(b"k" * 32, b"one")
    (tmp_path / "key").symlink_to(tmp_path / "secrets" / "key")
    wrapped = KeyFile(tmp_path / "key").wrap(b"k" * 32, b"two")
    assert (tmp_path / "key").is_symlink()
    assert KeyFile(tmp_path / "secrets" / "key").unwrap(wrapped, b"two") == b"k" * 32


def test_a_key_file_that_is_gone_is_not_made_anew(folder: Path, keys: KeyFile) -> None:
    keys.path.unlink()
    error = _refused(KeyringError, folder, keys)
    assert error.code == "keyring"
    assert "does not exist" in str(error)
    assert not keys.path.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        b"dachi_fast keys 2",
        b"dachi_fast keys 2\n" + b"ab" * 16 + b" " + b"ab" * 31 + b"\n",
        b"dachi_fast keys 2\n" + b"ab" * 16 + b" " + b"ab" * 33 + b"\n",
        b"dachi_fast keys 2\n" + b"ab" * 16 + b" " + b"zz" * 32 + b"\n",
        b"dachi_fast keys 2\n" + b"ab" * 16 + b" " + b"ab" * 32,
        b"dachi_fast keys 2\n" + b"ab" * 16 + b" " + b"AB" * 32 + b"\n",
        b"dachi_fast keys 2\n\n",
        b"dachi_fast keys 3\n",
        b"\xff" * 5000,
    ],
)
def test_a_file_that_holds_no_key_is_refused(
    folder: Path, keys: KeyFile, content: bytes, tmp_path: Path
) -> None:
    keys.path.write_bytes(content)
    assert _refused(KeyringError, folder, keys).code == "keyring"
    _refused(KeyringError, tmp_path / "new", keys)
    assert keys.path.read_bytes() == content


def test_a_folder_in_the_place_of_a_key_file_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o700)
    _refused(KeyAccessError, folder, KeyFile(tmp_path / "folder"))
