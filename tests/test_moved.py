"""Stores that are not where, or not with what, they were: moved, with a twin, with other keys."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dachi_fast import FileWitness, KeyFile, Store
from dachi_fast._core import store as core
from dachi_fast.errors import IntegrityError, KeyringError, RolledBack, WitnessMissing
from tests.ledgers import KEY, Bare
from tests.stores import Counter, open_store


def _saved(home: Path, *counts: int) -> None:
    counter = Counter()
    with open_store(home) as store:
        for counter.count in counts:
            store.save(counter, "agent", base="latest")


def _moved(home: Path, *left_behind: str) -> Path:
    """Moves a home with its store, key and witness elsewhere, but for what is left behind."""
    there = home.with_name("there") / "deeper"
    shutil.copytree(home, there)
    shutil.rmtree(home)
    for name in left_behind:
        shutil.rmtree(there / name)
    return there


# --- moved ----------------------------------------------------------------------------------------


def test_a_store_that_is_moved_with_its_witness_goes_on_without_a_word(tmp_path: Path) -> None:
    _saved(tmp_path / "here", 1, 2)
    there = _moved(tmp_path / "here")
    with open_store(there) as store:
        assert store.load("agent").count == 2
        store.rollback("agent", to=1)
        operations = [entry.operation for entry in store.ledger()]
        assert operations == ["rollback", "store", "store", "create"]
        assert store.verify().versions == 3


def test_a_store_that_is_moved_while_its_witness_stays_in_its_place_goes_on(tmp_path: Path) -> None:
    witness, keys = FileWitness(tmp_path / "witness"), KeyFile(tmp_path / "key")
    here, there = tmp_path / "here", tmp_path / "there"
    with Store.open(here, keys=keys, witness=witness) as store:
        store.save(Counter(), "agent")
    shutil.copytree(here, tmp_path / "yesterday")
    here.rename(there)
    with Store.open(there, keys=keys, witness=witness) as store:
        assert store.load("agent").count == 0
        store.save(store.load("agent"), "agent")
        store.verify()
    # The witness knows the store by its id, not by its path.
    with pytest.raises(RolledBack):
        Store.open(tmp_path / "yesterday", keys=keys, witness=witness)


def test_a_store_that_is_moved_without_its_witness_says_so_and_goes_on(tmp_path: Path) -> None:
    _saved(tmp_path / "here", 1, 2)
    there = _moved(tmp_path / "here", "witness")
    with pytest.warns(WitnessMissing, match="newest one cannot be told"):
        store = open_store(there)
    with store:
        assert store.load("agent").count == 2
        assert store.ledger(limit=1)[0].operation == "witness-missing"
    with open_store(there) as store:  # which has one again
        assert store.verify().versions == 2


# --- one id ---------------------------------------------------------------------------------------


def _made(folder: Path, store_id: bytes, key: bytes, witness: Path) -> Store:
    """Makes or opens a store of a chosen id, as a copy of our code might."""
    provider = (Bare(), b"")
    opened = core.Store(folder, store_id, key, key, provider, witness, audit_reads="off")
    return Store(opened, folder)


@pytest.mark.parametrize("key", [KEY, bytes(32)], ids=["one key", "two keys"])
def test_of_two_stores_that_claim_one_id_the_second_is_refused(tmp_path: Path, key: bytes) -> None:
    first, second, witness = tmp_path / "first", tmp_path / "second", tmp_path / "witness"
    with _made(first, bytes(16), KEY, witness) as store:
        store.save(Counter(), "agent")
    for _ in range(2):
        with pytest.raises(IntegrityError):
            _made(second, bytes(16), key, witness)
    with _made(first, bytes(16), KEY, witness) as store:
        assert store.load("agent").count == 0
        store.save(store.load("agent"), "agent")
        assert store.verify().versions == 2


# --- keys -----------------------------------------------------------------------------------------


def _refused(home: Path) -> KeyringError:
    with pytest.raises(KeyringError) as caught:
        open_store(home)
    return caught.value


def test_a_key_file_that_is_lost_is_missed_by_name_and_not_made_anew(tmp_path: Path) -> None:
    _saved(tmp_path, 1)
    kept = (tmp_path / "key").read_bytes()
    (tmp_path / "key").unlink()
    assert str(tmp_path / "key") in _refused(tmp_path).message
    assert not (tmp_path / "key").exists()
    (tmp_path / "key").touch(mode=0o600)
    (tmp_path / "key").write_bytes(kept)
    with open_store(tmp_path) as store:
        assert store.load("agent").count == 1


def test_the_key_file_of_another_store_does_not_open_this_one(tmp_path: Path) -> None:
    for home in (tmp_path / "one", tmp_path / "other"):
        home.mkdir()
        _saved(home, 1)
    kept = (tmp_path / "one" / "key").read_bytes()
    shutil.copy(tmp_path / "other" / "key", tmp_path / "one" / "key")
    assert _refused(tmp_path / "one").code == "wrong-key"
    (tmp_path / "one" / "key").write_bytes(kept)
    open_store(tmp_path / "one").close()


def test_a_key_file_older_than_the_store_does_not_open_it(tmp_path: Path) -> None:
    _saved(tmp_path, 1)
    older = (tmp_path / "key").read_bytes()
    with open_store(tmp_path) as store:
        store.copy("agent", to="gone")
        store.forget("gone")  # which replaces the key in the file
    newer = (tmp_path / "key").read_bytes()
    (tmp_path / "key").write_bytes(older)
    assert _refused(tmp_path).code == "wrong-key"
    (tmp_path / "key").write_bytes(newer)
    with open_store(tmp_path) as store:
        assert store.names() == ["agent"]
