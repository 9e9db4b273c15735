"""Stores made from backups: whole, proved, adopted; or refused, with nothing changed."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import KeyFile, Passphrase, Store, reader
from dachi_fast.errors import (
    AlreadyExists,
    DachiError,
    IntegrityError,
    KeyringError,
    Missing,
    NoBackup,
    RolledBack,
    StoreLocked,
    UnknownName,
)
from tests.backups import Learner, Place, learner
from tests.stores import files

Edit = Callable[[bytes], bytes]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_restored_store_loads_every_agent_equal_and_goes_on(place: Place) -> None:
    place.clock = time.time_ns
    with place.filled() as store:
        store.tag("agent 1", tag="good")
        store.fork("agent 2", "fork")
        store.save(learner(8, 5), "agent 0", base="latest", justification="learned")
        store.backup(place.archive, justification="nightly")
        names, states = store.names(), {name: store.state(name) for name in store.names()}
        history, ledger = store.history("agent 0"), store.ledger()
    with place.restore(justification="disk died") as restored:
        assert restored.names() == names
        assert {name: restored.state(name) for name in names} == states
        assert restored.history("agent 0") == history
        assert restored.load("agent 1", version="good").memory == learner(1).memory
        now = restored.ledger()
        assert [entry.operation for entry in now[:2]] == ["adopt", "restore"]
        assert [entry.justification for entry in now[:2]] == ["disk died"] * 2
        assert now[2:] == ledger
        report = restored.verify()
        assert (report.names, report.unused_nodes) == (4, 0)
        again: Learner = restored.load("agent 0")
        again.count += 1
        assert restored.save(again, "agent 0").number == 3
        restored.verify()
    with reader.StoreReader(
        place.folder / "restored", key=reader.KeyFile(place.folder / "key")
    ) as second:
        assert second.verify().names == 4


def test_documents_come_back(place: Place) -> None:
    from dachi_fast import LmdbMemoryProvider, TransactionManager

    with place.open() as store:
        manager = TransactionManager(LmdbMemoryProvider(store)).sync
        with manager as tx:
            found = tx.store("task", {"text": "remember"})
        store.backup(place.archive)
    assert Store.drill(place.archive, keys=place.keys).documents == 1
    with place.restore() as restored:
        manager = TransactionManager(LmdbMemoryProvider(restored)).sync
        with manager as tx:
            kept = tx.retrieve("task", found)
            assert kept is not None
            assert kept.content["text"] == "remember"


def test_an_older_backup_is_a_rollback_that_the_witness_follows(place: Place) -> None:
    store = place.filled(agents=1)
    monday = store.backup(place.archive)
    store.save(learner(7), "agent 7")
    store.backup(place.archive)
    how: dict[str, Any] = {"keys": place.keys, "witness": place.witness()}
    path = place.folder / "store"
    with pytest.raises(AlreadyExists):
        Store.restore(place.archive, path, backup=monday.id, **how)
    with pytest.raises(StoreLocked):
        Store.restore(place.archive, path, backup=monday.id, existing="aside", **how)
    store.close()
    with Store.restore(
        place.archive, path, backup=monday.id, existing="aside", justification="bad Tuesday", **how
    ) as restored:
        assert restored.names() == ["agent 0"]
        with pytest.raises(RolledBack, match="allow"):
            restored.backup(place.archive)
        restored.backup(place.archive, branch="allow")
        restored.backup(place.archive)
    [aside] = place.folder.glob("store.replaced-*")
    with pytest.raises(RolledBack):
        Store.open(aside, **how)
    with place.open() as reopened:
        assert reopened.names() == ["agent 0"]
    assert Store.drill(place.archive, keys=place.keys).names == 1


def test_what_was_forgotten_does_not_come_back_from_any_backup(place: Place) -> None:
    with place.filled() as store:
        before = store.backup(place.archive)
        old_keys = (place.archive / "keys").read_bytes()
        store.forget("agent 1")
        with pytest.raises(KeyringError):
            Store.drill(place.archive, keys=place.keys)
        store.backup(place.archive)
    assert Store.drill(place.archive, keys=place.keys, backup=before.id).forgotten == 1
    with place.restore(backup=before.id) as restored:
        assert restored.names() == ["agent 0", "agent 2"]
        with pytest.raises(UnknownName):
            restored.load("agent 1")
        restored.verify()
        # Its name is free for another.
        restored.save(learner(1), "agent 1")
        restored.verify()
    # An older copy of the keys opens nothing: their root key went with what was forgotten.
    (place.archive / "keys").write_bytes(old_keys)
    with pytest.raises(KeyringError):
        Store.drill(place.archive, keys=place.keys, backup=before.id)


def test_what_was_purged_does_not_come_back_and_what_lives_beside_it_does(place: Place) -> None:
    with place.filled() as store:
        for number in (7, 8):
            store.save(learner(number), "agent 0", base="latest")
        store.backup(place.archive)
        assert store.purge("agent 0", versions=[1, 2]).key_replaced
        with pytest.raises(KeyringError):  # the keys in the archive are of before
            place.restore("too early")
        made = store.backup(place.archive)
        assert made.put_nodes < made.nodes  # of others nothing was put again
    with place.restore() as restored:
        assert [version.number for version in restored.history("agent 0")] == [3]
        assert restored.load("agent 0").memory == learner(8).memory
        assert restored.load("agent 1").memory == learner(1).memory
        with pytest.raises(UnknownName):
            restored.load("agent 0", version=2)
        restored.verify()


def test_a_provider_that_keeps_its_key_opens_an_older_copy_of_the_keys(tmp_path: Path) -> None:
    keys = Passphrase("long enough", memory_kib=8, passes=1)
    archive = tmp_path / "archive"
    with Store.open(tmp_path / "store", keys=keys, witness=None) as store:
        store.save(learner(1), "agent")
        before = store.backup(archive)
        old_keys = (archive / "keys").read_bytes()
        store.forget("agent")
        store.backup(archive)
    assert Store.drill(archive, keys=keys, backup=before.id).names == 0
    (archive / "keys").write_bytes(old_keys)
    assert Store.drill(archive, keys=keys, backup=before.id).names == 1


def test_a_drill_changes_nothing_and_leaves_nothing(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with place.filled() as store:
        report = store.backup(place.archive)
        before = files(place.folder)
        drilled = Store.drill(place.archive, keys=place.keys)
        assert (drilled.backup.id, drilled.backup.commit) == (report.id, report.commit)
        assert (drilled.names, drilled.versions) == (3, 3)
        size, _, chain = store._core.tree_head()
        assert (drilled.ledger_entries, drilled.backup.ledger_hash) == (size, chain.hex())
        with pytest.raises(KeyboardInterrupt):
            Store.drill(
                place.archive,
                keys=place.keys,
                progress=lambda *_: signal.raise_signal(signal.SIGINT),
            )
        assert files(place.folder) == before
    assert list(temporary.iterdir()) == []


def _flipped(at: int) -> Edit:
    return lambda data: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


_EDITS: list[Edit] = [
    _flipped(10),
    _flipped(50),
    _flipped(-10),
    _flipped(-1),
    lambda data: data[:-1],
    lambda data: data[: len(data) // 2],
    lambda _: b"",
    lambda data: data + b"\0",
]


@pytest.mark.parametrize("what", ["keys", "manifests", "packs"])
def test_an_edited_object_is_refused_and_nothing_is_put_in_place(place: Place, what: str) -> None:
    with place.filled(agents=1) as store:
        store.backup(place.archive)
    [name] = [name for name in place.objects() if name.startswith(what)]
    path = place.archive / name
    whole = path.read_bytes()
    for edit in _EDITS:
        path.write_bytes(edit(whole))
        with pytest.raises((IntegrityError, KeyringError)):
            Store.drill(place.archive, keys=place.keys)
        with pytest.raises((IntegrityError, KeyringError)):
            place.restore()
        assert not (place.folder / "restored").exists()
    path.write_bytes(whole)
    with place.restore() as restored:
        assert restored.names() == ["agent 0"]


def test_an_object_that_is_missing_is_named(place: Place) -> None:
    with place.filled(agents=1) as store:
        store.backup(place.archive)
    [pack] = place.packs()
    pack.unlink()
    with pytest.raises(Missing) as raised:
        place.restore()
    assert raised.value.context["name"] == f"packs/{pack.name}"


def test_packs_that_changed_places_are_refused(place: Place) -> None:
    with place.filled(agents=1) as store:
        store.backup(place.archive)
        store.save(learner(2), "agent 2")
        store.backup(place.archive)
    first, second = place.packs()
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    with pytest.raises(IntegrityError):
        place.restore()


def test_a_backup_that_nobody_made_is_unknown(place: Place) -> None:
    with pytest.raises(NoBackup):
        place.restore()
    with place.filled(agents=1) as store:
        store.backup(place.archive)
    for name in ("00" * 16, "newest", ""):
        with pytest.raises(NoBackup, match="none with the id"):
            place.restore(backup=name)


def test_a_restore_goes_into_an_empty_folder_only(place: Place) -> None:
    with place.filled(agents=1) as store:
        store.backup(place.archive)
    empty, full, file = (place.folder / name for name in ("empty", "full", "file"))
    empty.mkdir()
    full.mkdir()
    (full / "letter").write_text("dear")
    file.write_text("dear")
    place.restore("empty").close()
    for name in ("full", "file"):
        with pytest.raises(AlreadyExists) as raised:
            place.restore(name)
        assert raised.value.code == "path-taken"
        place.restore(name, existing="aside").close()
    [aside] = place.folder.glob("full.replaced-*")
    assert (aside / "letter").read_text() == "dear"


def test_what_progress_raises_ends_a_restore_and_the_next_goes_on(place: Place) -> None:
    with place.filled(agents=2) as store:
        store.backup(place.archive)
        store.save(learner(5), "agent 5")
        store.backup(place.archive)
    told: list[int] = []

    def stop(done: int, _: int) -> None:
        told.append(done)
        if len(told) == 2:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        place.restore(progress=stop)
    assert not (place.folder / "restored").exists()
    seen: list[tuple[int, int]] = []
    with place.restore(progress=lambda done, all_bytes: seen.append((done, all_bytes))) as restored:
        assert restored.names() == ["agent 0", "agent 1", "agent 5"]
    assert seen[0][0] == told[1] > 0
    assert seen[-1][0] == seen[-1][1]
    assert not (place.folder / "restored.restoring").exists()


def test_what_lies_where_a_store_is_restored_is_not_trusted(place: Place) -> None:
    with place.filled(agents=2) as store:
        store.backup(place.archive)
        store.save(learner(9), "later")
    beside = place.folder / "restored.restoring"
    (place.folder / "store").rename(beside)  # of this store, but not what was backed up
    try:
        place.restore().close()
    except DachiError:
        assert not (place.folder / "restored").exists()
    else:
        with Store.open(place.folder / "restored", keys=place.keys, witness=None) as restored:
            restored.verify()


def test_a_restore_with_another_key_says_so(place: Place, tmp_path: Path) -> None:
    with place.filled(agents=1) as store:
        store.backup(place.archive)
    with pytest.raises(KeyringError):
        Store.restore(place.archive, tmp_path / "r", keys=KeyFile(tmp_path / "none"), witness=None)
    assert not (tmp_path / "r").exists()
