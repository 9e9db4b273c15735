"""The witness file: an older store, a branch or another copy is refused; a move is noticed."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import FileWitness, KeyFile, Store
from dachi_fast.errors import (
    DachiError,
    NotAStore,
    RolledBack,
    StoreIO,
    StoreLocked,
    Tampered,
    WitnessMissing,
    WitnessUnwritten,
)
from tests.stores import Counter


@pytest.fixture
def witness(tmp_path: Path) -> FileWitness:
    return FileWitness(tmp_path / "seen")


@pytest.fixture
def folder(tmp_path: Path, keys: KeyFile, witness: FileWitness) -> Path:
    """A closed store of two versions, which its witness has seen, and a copy of it."""
    folder = tmp_path / "store"
    _saved(folder, keys, 1, 2, witness=witness)
    shutil.copytree(folder, tmp_path / "yesterday")
    return folder


def _open(folder: Path, **more: Any) -> Store:
    """Opens a store whose ledger holds what was done to it, and no reads."""
    return Store.open(folder, audit_reads="off", **more)


def _saved(folder: Path, keys: KeyFile, *counts: int, **more: Any) -> None:
    with _open(folder, keys=keys, **more) as store:
        for count in counts:
            counter = Counter()
            counter.count = count
            store.save(counter, "agent", base="latest")


def _put_back(folder: Path) -> None:
    """Puts yesterday's folder in the store's place."""
    shutil.rmtree(folder)
    shutil.copytree(folder.with_name("yesterday"), folder)


def _file(witness: FileWitness) -> Path:
    [path] = witness.folder.glob("*[0-9a-f]")  # beside it lies a checkpoint
    return path


def _refused(kind: type[DachiError], folder: Path, keys: KeyFile, **more: Any) -> DachiError:
    """Opens in vain; neither store nor witness may have changed."""
    before = {path: path.read_bytes() for path in folder.iterdir() if path.name != "lock.mdb"}
    with pytest.raises(kind) as caught:
        _open(folder, keys=keys, **more)
    assert {path: path.read_bytes() for path in before} == before
    return caught.value


# --- behind, or on another branch -----------------------------------------------------------------


def test_yesterdays_store_in_todays_place_is_refused(
    folder: Path, keys: KeyFile, witness: FileWitness
) -> None:
    _saved(folder, keys, 3, witness=witness)
    _put_back(folder)
    error = _refused(RolledBack, folder, keys, witness=witness)
    assert (error.context["commit"], error.context["witnessed_commit"]) == (3, 4)
    assert "older" in str(error)
    assert "Store.adopt" in str(error)
    _refused(RolledBack, folder, keys, witness=witness, read_only=True)
    with _open(folder, keys=keys, witness=None) as store:
        assert store.load("agent").count == 2


def test_a_branch_of_what_was_seen_is_refused(
    folder: Path, keys: KeyFile, witness: FileWitness
) -> None:
    _saved(folder, keys, 3, witness=witness)
    _put_back(folder)
    for counts in ((30,), (31, 32)):
        _saved(folder, keys, *counts, witness=None)
        assert "branch" in str(_refused(RolledBack, folder, keys, witness=witness))


def test_a_store_that_went_on_elsewhere_is_accepted(
    folder: Path, keys: KeyFile, witness: FileWitness
) -> None:
    _saved(folder, keys, 3, 4, 5, witness=None)
    with _open(folder, keys=keys, witness=witness) as store:
        assert store.load("agent").count == 5
        assert [entry.operation for entry in store.ledger()] == ["store"] * 5 + ["create"]


def test_two_copies_in_use_at_once_are_noticed_by_the_one_that_is_behind(
    folder: Path, keys: KeyFile, witness: FileWitness
) -> None:
    copy = folder.with_name("yesterday")
    with (
        _open(folder, keys=keys, witness=witness) as one,
        _open(copy, keys=keys, witness=witness) as other,
    ):
        counter = one.load("agent")
        theirs = other.load("agent")
        one.save(counter, "agent")
        size = (copy / "data.mdb").read_bytes()
        for ask in (
            lambda: other.save(theirs, "agent"),
            lambda: other.rollback("agent", to=1),
            lambda: other.load("agent"),
            lambda: other.history("agent"),
            other.names,
            other.ledger,
            other.verify,
        ):
            with pytest.raises(RolledBack, match=r"Store\.adopt"):
                ask()
        assert (copy / "data.mdb").read_bytes() == size, "a refused save wrote"
        one.save(counter, "agent")


def test_a_folder_that_is_replaced_while_it_is_open_is_refused(
    folder: Path, keys: KeyFile, witness: FileWitness
) -> None:
    with _open(folder, keys=keys, witness=witness) as store:
        counter = store.load("agent")
        store.save(counter, "agent")
        _put_back(folder)
        for ask in (
            lambda: store.save(counter, "agent"),
            lambda: store.load("agent"),
            lambda: store.history("agent"),
        ):
            with pytest.raises(RolledBack, match="while it was open"):
                ask()
    _refused(RolledBack, folder, keys, witness=witness)


def test_a_data_file_that_goes_back_in_place_is_refused(
    folder: Path, keys: KeyFile, witness: FileWitness
) -> None:
    with _open(folder, keys=keys, witness=witness) as store:
        counter = store.load("agent")
        old = (folder / "data.mdb").read_bytes()
        store.save(counter, "agent")
        with (folder / "data.mdb").open("r+b") as data:  # not truncated: it is mapped
            data.write(old)
        for ask in (lambda: store.load("agent"), lambda: store.save(counter, "agent")):
            with pytest.raises(RolledBack):
                ask()
    _refused(RolledBack, folder, keys, witness=witness)


# --- missing --------------------------------------------------------------------------------------


def _operations(store: Store) -> list[str]:
    return [entry.operation for entry in store.ledger()]


def test_a_store_that_its_witness_does_not_know_is_used_with_a_warning_and_an_entry(
    folder: Path, keys: KeyFile, tmp_path: Path
) -> None:
    fresh = FileWitness(tmp_path / "fresh")
    with pytest.warns(WitnessMissing, match="newest one cannot be told") as warned:
        store = _open(folder, keys=keys, witness=fresh)
    [warning] = warned
    assert warning.filename == __file__
    assert isinstance(warning.message, WitnessMissing)
    assert warning.message.code == "witness-missing"
    assert warning.message.context == {"path": str(folder), "commit": 3}
    with store:
        assert store.load("agent").count == 2
        assert _operations(store) == ["witness-missing", "store", "store", "create"]
        assert store.verify().ledger_entries == 4
    with _open(folder, keys=keys, witness=fresh) as store:
        assert _operations(store)[0] == "witness-missing"
    _put_back(folder)
    _refused(RolledBack, folder, keys, witness=fresh)


def test_a_store_that_its_witness_does_not_know_is_refused_where_asked_for(
    folder: Path, keys: KeyFile, tmp_path: Path
) -> None:
    strict = FileWitness(tmp_path / "fresh", missing="refuse")
    for more in ({}, {"read_only": True}):
        error = _refused(WitnessMissing, folder, keys, witness=strict, **more)
        assert error.code == "witness-missing"
    with Store.adopt(folder, keys=keys, witness=strict, justification="new machine") as store:
        assert store.load("agent").count == 2
    _open(folder, keys=keys, witness=strict).close()
    # A store that is made has nothing that a witness could miss.
    _open(tmp_path / "new", keys=keys, witness=strict).close()


def test_a_missing_witness_turned_into_an_error_keeps_the_store_closed(
    folder: Path, keys: KeyFile, tmp_path: Path
) -> None:
    fresh = FileWitness(tmp_path / "fresh")
    with warnings.catch_warnings():
        warnings.simplefilter("error", WitnessMissing)
        with pytest.raises(WitnessMissing):
            _open(folder, keys=keys, witness=fresh)
    _open(folder, keys=keys, witness=fresh).close()


def test_a_witness_that_is_lost_while_the_store_is_open_comes_back_with_the_next_save(
    folder: Path, keys: KeyFile, witness: FileWitness
) -> None:
    with _open(folder, keys=keys, witness=witness) as store:
        counter = store.load("agent")
        shutil.rmtree(witness.folder)
        assert store.load("agent").count == 2
        with pytest.warns(WitnessMissing):
            store.save(counter, "agent")
        store.save(counter, "agent")
    _put_back(folder)
    _refused(RolledBack, folder, keys, witness=witness)


@pytest.mark.parametrize("unwritten", [b"", bytes(8192)])
def test_a_witness_that_was_made_but_never_written_is_as_good_as_none(
    folder: Path, keys: KeyFile, witness: FileWitness, unwritten: bytes
) -> None:
    # Symptom: a store whose creation was killed could not be opened. Cause: the witness file was
    # there, its record was not yet. Fix: a file of nothing (or of blocks that a power failure left
    # unfilled) holds no record, which is no sign of an edit.
    _file(witness).write_bytes(unwritten)
    with (
        pytest.warns(WitnessMissing),
        _open(folder, keys=keys, witness=witness) as store,
    ):
        assert store.history("agent")[0].number == 2


def test_an_unknown_policy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'warn' or 'refuse'"):
        FileWitness(tmp_path, missing="ignore")  # type: ignore[arg-type]
    assert repr(FileWitness("seen", missing="refuse")) == "FileWitness('seen', missing='refuse')"


# --- edited, foreign, unusable --------------------------------------------------------------------


@pytest.mark.parametrize(
    "edit",
    [
        lambda b: b[:40],
        lambda b: b[:4120] if b[0] == 0 else b[:100],
        lambda b: b"x" * len(b),
        lambda b: bytes(c ^ 1 for c in b),
    ],
)
def test_an_edited_witness_is_refused(
    folder: Path, keys: KeyFile, witness: FileWitness, edit: Callable[[bytes], bytes]
) -> None:
    path = _file(witness)
    path.write_bytes(edit(path.read_bytes()))
    error = _refused(Tampered, folder, keys, witness=witness)
    assert error.context["path"] == str(path)


def test_a_witness_that_is_edited_while_the_store_is_open_stops_reads_and_saves(
    folder: Path, keys: KeyFile, witness: FileWitness
) -> None:
    with _open(folder, keys=keys, witness=witness) as store:
        counter = store.load("agent")
        good = _file(witness).read_bytes()
        _file(witness).write_bytes(b"x" * len(good))
        for ask in (lambda: store.load("agent"), lambda: store.save(counter, "agent")):
            with pytest.raises(Tampered):
                ask()
        _file(witness).write_bytes(good)
        assert store.save(counter, "agent").number == 3


def test_the_witness_of_another_store_is_refused(
    folder: Path, keys: KeyFile, witness: FileWitness, tmp_path: Path
) -> None:
    other = FileWitness(tmp_path / "other-seen")
    _saved(tmp_path / "other", keys, 1, 2, 3, 4, witness=other)
    shutil.copy(_file(other), _file(witness))
    _refused(Tampered, folder, keys, witness=witness)


def test_a_witness_that_cannot_be_read_is_named(
    folder: Path, keys: KeyFile, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    error = _refused(StoreIO, folder, keys, witness=FileWitness(tmp_path / "file"))
    assert error.code == "witness"
    assert str(tmp_path / "file") in str(error)


def test_a_witness_that_cannot_be_written_warns_once_and_saves_go_on(
    folder: Path, keys: KeyFile, tmp_path: Path
) -> None:
    # A link to a folder that cannot be made: it can be asked, and has nothing; writing fails.
    [name] = [path.name for path in (tmp_path / "seen").glob("*[0-9a-f]")]
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / name).symlink_to("/proc/nowhere/seen")
    with pytest.warns(WitnessMissing), pytest.warns(WitnessUnwritten) as warned:
        store = _open(folder, keys=keys, witness=FileWitness(tmp_path / "broken"))
    [unwritten] = [found for found in warned if found.category is WitnessUnwritten]
    assert "/broken/" in str(unwritten.message)
    with store:
        counter = store.load("agent")
        for number in (3, 4):
            assert store.save(counter, "agent").number == number
    # The true witness lags, which is safe.
    with _open(folder, keys=keys, witness=FileWitness(tmp_path / "seen")) as store:
        assert store.history("agent")[0].number == 4


def test_a_new_store_whose_witness_cannot_be_written_is_made(keys: KeyFile, tmp_path: Path) -> None:
    with pytest.warns(WitnessUnwritten):
        store = _open(tmp_path / "new", keys=keys, witness=FileWitness("/proc/nowhere"))
    with store:
        assert store.save(Counter(), "agent").number == 1


# --- adopted --------------------------------------------------------------------------------------


def test_a_backup_that_is_adopted_is_the_store_from_then_on(
    folder: Path, keys: KeyFile, witness: FileWitness
) -> None:
    _saved(folder, keys, 3, 4, witness=witness)
    shutil.copytree(folder, folder.with_name("newest"))
    _put_back(folder)
    with Store.adopt(folder, keys=keys, witness=witness, justification="disk died") as store:
        assert store.load("agent").count == 2
        [entry] = store.ledger(limit=1)
        assert (entry.operation, entry.justification) == ("adopt", "disk died")
        store.save(store.load("agent"), "agent")
        assert store.verify().versions == 3
    _open(folder, keys=keys, witness=witness).close()
    error = _refused(RolledBack, folder.with_name("newest"), keys, witness=witness)
    assert "another copy" in str(error)
    # Neither may the backup be put back once more, nor the adopted store of a moment ago.
    _put_back(folder)
    _refused(RolledBack, folder, keys, witness=witness)


def test_a_copy_with_a_witness_of_its_own_and_the_original_refuse_each_other(
    folder: Path, keys: KeyFile, witness: FileWitness, tmp_path: Path
) -> None:
    copy, its_own = tmp_path / "yesterday", FileWitness(tmp_path / "copy-seen")
    Store.adopt(copy, keys=keys, witness=its_own).close()
    for _ in range(2):
        _saved(folder, keys, 3, witness=witness)
        _saved(copy, keys, 4, witness=its_own)
    for wrong, seen in ((folder, its_own), (copy, witness)):
        error = _refused(RolledBack, wrong, keys, witness=seen)
        assert "witness of its own" in str(error)
    for right, seen in ((folder, witness), (copy, its_own)):
        _open(right, keys=keys, witness=seen).close()


def test_what_was_loaded_before_an_adoption_is_not_taken_for_its_version(
    folder: Path, keys: KeyFile, witness: FileWitness
) -> None:
    with _open(folder, keys=keys, witness=witness) as store:
        counter = store.load("agent")
        store.save(counter, "agent")
    _put_back(folder)
    with Store.adopt(folder, keys=keys, witness=witness) as store:
        store.save(store.load("agent"), "agent")  # another version 3
        with pytest.raises(DachiError) as caught:
            store.save(counter, "agent")
        assert caught.value.code == "conflict"


def test_a_store_that_is_open_is_not_adopted(
    folder: Path, keys: KeyFile, witness: FileWitness
) -> None:
    with (
        _open(folder, keys=keys, witness=witness),
        pytest.raises(StoreLocked),
    ):
        Store.adopt(folder, keys=keys, witness=witness)
    assert _open(folder, keys=keys, witness=witness).ledger(limit=1)[0].operation == "store"


def test_where_no_store_is_none_is_adopted_or_made(tmp_path: Path, keys: KeyFile) -> None:
    with pytest.raises(NotAStore):
        Store.adopt(tmp_path / "nothing", keys=keys)
    assert list(tmp_path.iterdir()) == []


def test_an_adoption_needs_a_witness_that_can_be_read_and_written(
    folder: Path, keys: KeyFile, witness: FileWitness, tmp_path: Path
) -> None:
    for unusable in (FileWitness(tmp_path / "key"), FileWitness("/proc/nowhere")):
        with pytest.raises(StoreIO, match="witness"):
            Store.adopt(folder, keys=keys, witness=unusable)
    Store.adopt(folder, keys=keys, witness=witness).close()
    _open(folder, keys=keys, witness=witness).close()
