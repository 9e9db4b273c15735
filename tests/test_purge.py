"""What was purged cannot be read again; what lives on is as it was."""

from __future__ import annotations

import copy
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dachi_fast import (
    Attr,
    BaseModule,
    EnvKey,
    KeyFile,
    LmdbMemoryProvider,
    Store,
    TransactionManager,
    reader,
)
from dachi_fast.errors import (
    DachiError,
    KeysBehind,
    KeyServiceError,
    SnapshotExpired,
    StoreError,
    UnknownName,
)
from dachi_fast.reader._folder import Folder
from dachi_fast.reader._keyring import Keyring, unlocked

SECRET = "something private "
HARMLESS = "nothing special "


class Notes(BaseModule):
    text: str = Attr(default="")
    more: str = Attr(default=HARMLESS * 5000)


class Breaking(KeyFile):
    """A key file that cannot be reached when it should be."""

    broken = False

    def rotate(self, key: bytes, context: bytes) -> bytes:
        if self.broken:
            raise KeyServiceError("key-service", "the service is down")
        return super().rotate(key, context)


@pytest.fixture
def keys(tmp_path: Path) -> Breaking:
    return Breaking(tmp_path / "key")


@pytest.fixture
def store(tmp_path: Path, keys: Breaking) -> Iterator[Store]:
    """An open store of an agent with a secret in version 2 of 3, and documents."""
    with Store.open(tmp_path / "store", keys=keys, audit_reads="off", limits=None) as store:
        notes = Notes()
        for number, what in enumerate((HARMLESS, SECRET, HARMLESS), 1):
            notes.text = f"{number} {what}" * 1000
            store.save(notes, "notes", justification=f"because {number}")
        store.save(Notes(), "other")
        with _transaction(store) as tx:
            for number in range(100):
                tx.store("note", {"n": number, "text": HARMLESS * number})
        yield store


def _transaction(store: Store, namespace: str = "notes") -> Any:
    return TransactionManager(LmdbMemoryProvider(store, namespace=namespace)).sync


def _add_secret(store: Store) -> str:
    with _transaction(store) as tx:
        return str(tx.store("note", {"n": -1, "text": SECRET * 100, "agent_id": SECRET}))


def _documents(store: Store) -> list[Any]:
    with _transaction(store) as tx:
        return [document.content for document in tx.find("note")]


# --- what is in the file --------------------------------------------------------------------------


class Envelopes:
    """All records of a store at some time, with the keys of that time."""

    def __init__(self, folder: Path, keys: KeyFile) -> None:
        self.keyring = _unlocked(folder, keys)
        with reader.StoreReader(folder, key=reader.KeyFile(keys.path)) as store:
            # The others are spares.
            self._namespaces = [namespace for namespace, _ in store._top_entries(b"r")]
        opened = Folder(folder)
        self.sealed = {node: bytes(opened.node(node) or b"") for node in opened.node_ids()}
        opened.close()

    def contents(self, keyring: Keyring) -> dict[bytes, bytes]:
        """Gives what can be opened with some keys."""
        openers = [keyring.store_opener(), *map(keyring.opener, self._namespaces)]
        found = {}
        for node, sealed in self.sealed.items():
            for opener in openers:
                with suppress(DachiError):
                    found[node] = opener.open(sealed[1], node, sealed)
                    break
        return found

    def still_in(self, data: bytes) -> Envelopes:
        """Gives those of the records that stand in a file, wherever: longer ones begin there."""
        left = copy.copy(self)
        left.sealed = {node: sealed for node, sealed in self.sealed.items() if sealed[:64] in data}
        return left


def _unlocked(folder: Path, keys: KeyFile) -> Keyring:
    return unlocked(folder / "keys.sealed", reader.KeyFile(keys.path))


def _copied(store: Store, keys: KeyFile, to: Path) -> Envelopes:
    shutil.copytree(store.path, to)
    return Envelopes(to, keys)


def _plain(contents: dict[bytes, bytes], what: str) -> int:
    return sum(what.encode() in content for content in contents.values())


def test_old_pages_of_the_file_give_nothing_with_the_keys_of_now(
    store: Store, keys: Breaking, tmp_path: Path
) -> None:
    secret = _add_secret(store)
    before = _copied(store, keys, tmp_path / "before")
    assert _plain(before.contents(before.keyring), SECRET) >= 3
    purged = store.purge("notes", versions=[2], documents=[("note", secret)])
    assert purged.versions == (2,)
    assert purged.documents == {"note": 1}
    store.close()
    data = (store.path / "data.mdb").read_bytes()
    # Nothing was compacted: old records do stand in free pages, and would open with the old keys.
    left = before.still_in(data)
    assert _plain(left.contents(before.keyring), SECRET) >= 1
    now = _unlocked(store.path, keys)
    for envelopes in (left, before):
        opened = envelopes.contents(now)
        assert _plain(opened, SECRET) == 0
        # No part of the namespace opens, neither what was purged nor what was sealed anew.
        assert _plain(opened, "because") == 0
    after = Envelopes(store.path, keys)
    assert _plain(after.contents(now), SECRET) == 0
    assert _plain(after.contents(now), HARMLESS) > 10


def test_records_that_live_keep_id_and_content(
    store: Store, keys: Breaking, tmp_path: Path
) -> None:
    before = _copied(store, keys, tmp_path / "before")
    contents = before.contents(before.keyring)
    store.purge("notes", versions=[2])
    after = _copied(store, keys, tmp_path / "after")
    there = after.contents(after.keyring)
    # A document's, a version's: all but lists of what is garbage, and what led to version 2.
    same = [node for node in contents if node in there and not node.startswith(b"\xff" * 8)]
    assert all(contents[node] == there[node] for node in same)
    changed = [node for node in same if before.sealed[node] != after.sealed[node]]
    assert len(changed) > 20
    garbage = [node for node in after.sealed if node not in there]
    for node in garbage:  # what an open reader might have wanted, and cannot read any more
        assert node in before.sealed


def test_everything_else_reads_as_before(store: Store, keys: Breaking) -> None:
    secret = _add_secret(store)
    documents, state = _documents(store), store.state("notes", version=3)
    fingerprint, ledger = store.fingerprint("notes", version=1), store.ledger(limit=10_000)
    store.purge("notes", versions=[2], documents=[("note", secret)], justification="request 1")
    for _ in range(2):
        assert _documents(store) == [found for found in documents if found["n"] >= 0]
        assert store.state("notes", version=3) == state
        assert store.fingerprint("notes", version=1) == fingerprint
        assert [version.number for version in store.history("notes")] == [3, 1]
        assert store.load("other").text == ""
        store.verify()
        entries = [
            entry
            for entry in store.ledger(limit=10_000)
            if entry.operation not in {"purge", "destroy"}
        ]
        assert entries == ledger
        store.close()
        store = Store.open(store.path, keys=keys, audit_reads="off", limits=None)
    with pytest.raises(UnknownName, match="pruned"):
        store.load("notes", version=2)
    store.close()
    with reader.StoreReader(store.path, key=reader.KeyFile(keys.path)) as second:
        assert second.state("notes", 3) == state
        assert second.verify().versions == 3
        assert sum('"request 1"' in line for line in second.ledger()) == 2


def test_the_ledger_says_what_was_purged_and_why(store: Store) -> None:
    secret = _add_secret(store)
    store.purge("notes", versions=[1, 2], documents=[("note", secret)], justification="request 1")
    found = [(e.operation, e.agent_id, e.memory_type, e.count) for e in store.ledger(limit=3)]
    assert found == [
        ("destroy", "", "", None),
        ("purge", "notes", "note", 1),
        ("purge", "notes", "state", 2),
    ]
    assert [e.justification for e in store.ledger(limit=3)] == ["", "request 1", "request 1"]


def test_what_was_deleted_and_pruned_before_is_destroyed_by_a_purge_of_nothing(
    store: Store, keys: Breaking, tmp_path: Path
) -> None:
    secret = _add_secret(store)
    with _transaction(store) as tx:
        tx.delete("note", secret)
    before = _copied(store, keys, tmp_path / "before")
    assert _plain(before.contents(before.keyring), SECRET) >= 2
    purged = store.purge("notes", documents=[("note", secret)])
    assert (purged.versions, purged.documents) == ((), {})
    store.purge("notes", versions=[2])
    now = _unlocked(store.path, keys)
    assert _plain(before.contents(now), SECRET) == 0
    store.verify()


def test_what_other_versions_or_forks_hold_too_lives_on(store: Store) -> None:
    store.fork("notes", "fork", version=2)
    store.purge("notes", versions=[2])
    assert store.load("fork").text == f"2 {SECRET}" * 1000
    store.purge("fork", versions=[])
    assert store.load("fork").text == f"2 {SECRET}" * 1000
    store.verify()


def test_a_name_is_saved_loaded_and_forgotten_after_a_purge(store: Store) -> None:
    notes = store.load("notes")
    for number in range(3):
        store.purge("notes", versions=[1 + number], justification=f"{number}")
        notes.text = f"now {number}"
        store.save(notes, "notes")
    assert [version.number for version in store.history("notes")] == [6, 5, 4]
    store.forget("notes")
    assert store.names() == ["other"]
    store.verify()
    assert all(e.agent_id is None for e in store.ledger() if e.operation == "purge")


def test_vectors_of_documents_go_with_them_and_those_of_others_stay(store: Store) -> None:
    provider = LmdbMemoryProvider(store, namespace="notes")
    session, ids = provider.begin(), list[str]()
    session.declare_space(0, "text", model="test", dimension=4)
    for number in range(4):
        content = {"n": number}
        ids.append(session.store(0, "fact", content, agent_id="", justification="", ttl_ns=None))
        session.embed(0, "text", ids[-1], np.eye(4, dtype=np.float32)[number])
    session.commit()
    query = np.ones(4, dtype=np.float32)
    assert len(provider.begin().similar(0, "text", query, 10)) == 4
    before = provider.begin()
    store.purge("notes", documents=[("fact", ids[1])])
    found = {found_id for found_id, _ in provider.begin().similar(0, "text", query, 10)}
    assert found == {ids[0], ids[2], ids[3]}
    with pytest.raises(SnapshotExpired):
        before.similar(0, "text", query, 10)
    store.verify()


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"versions": [3]}, "version-kept"),
        ({"versions": [2, 1]}, "version-kept"),
        ({"versions": [4]}, "unknown-version"),
        ({"versions": [0]}, "unknown-version"),
        ({"versions": [2**64]}, "unknown-version"),
        ({"documents": [("note", "?")]}, "unknown-document"),
    ],
)
def test_what_must_stay_and_what_never_was_is_refused(
    store: Store, options: dict[str, Any], code: str
) -> None:
    store.tag("notes", version=1, tag="first")
    before, file = store.ledger(), (store.path / "keys.sealed").read_bytes()
    with pytest.raises((StoreError, UnknownName)) as caught:
        store.purge("notes", **options)
    assert caught.value.code == code
    assert store.ledger() == before
    assert (store.path / "keys.sealed").read_bytes() == file
    with pytest.raises(UnknownName):
        store.purge("nobody")


# --- others, meanwhile ----------------------------------------------------------------------------


def test_a_transaction_that_reads_what_was_purged_since_is_told_to_begin_again(
    store: Store,
) -> None:
    secret = _add_secret(store)
    with pytest.raises(SnapshotExpired, match="purged"), _transaction(store) as tx:  # noqa: PT012
        store.purge("notes", documents=[("note", secret)])
        tx.retrieve("note", secret)
    with pytest.raises(SnapshotExpired), _transaction(store) as tx:  # noqa: PT012
        tx.store("note", {"n": 7})
        tx.find("note", limit=1)
        store.purge("notes", versions=[2])
    with _transaction(store) as tx:
        assert tx.retrieve("note", secret, default=None) is None
        assert len(tx.find("note", where={"n": 7})) == 1  # that of the fixture
        store.purge("notes")  # of nothing: what the transaction reads is as it was
        assert len(tx.find("note")) == 100


def test_a_transaction_that_may_run_again_goes_on_after_a_purge(store: Store) -> None:
    attempts = []

    def work(tx: Any) -> int:
        attempts.append(tx)
        found = len(tx.find("note"))
        if len(attempts) == 1:
            store.purge("notes", versions=[2])
        tx.store("note", {"n": found})
        return found

    manager = TransactionManager(LmdbMemoryProvider(store, namespace="notes"))
    assert manager.sync.run(work) == 100
    assert (len(attempts), len(_documents(store))) == (2, 101)


def test_saves_and_transactions_that_met_a_purge_are_there(store: Store) -> None:
    """Their records are sealed outside of any lock, perhaps under the key that is to go."""
    stop, failures = threading.Event(), []

    def work(name: str) -> None:
        notes, number = Notes(), 0
        try:
            while not stop.is_set():
                number += 1
                notes.text = f"{name} {number}" * 2000
                store.save(notes, name)
                with _transaction(store, name) as tx:
                    tx.store("note", {"n": number, "text": HARMLESS * 200})
        except Exception as error:  # noqa: BLE001 - told by the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    try:
        done = 0
        while done < 6:
            for name in {"a", "b"} & set(store.names()):
                latest = store.version(name).number
                store.purge(name, versions=range(max(1, latest - 20), latest))
                done += 1
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert [error for error in failures if not isinstance(error, SnapshotExpired)] == []
    for name in ("a", "b"):
        assert store.load(name).text.startswith(f"{name} ")
    store.verify()


def test_purges_that_wait_share_what_is_done_for_them(store: Store) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hold(*_: int) -> None:
        begun.set()
        assert go_on.wait(20)

    def purge(progress: Callable[[int, int], object] | None) -> None:
        results.append(store.purge("notes", progress=progress))

    results: list[Any] = []
    first = threading.Thread(target=purge, args=(hold,))
    first.start()
    assert begun.wait(20)
    others = [threading.Thread(target=purge, args=(None,)) for _ in range(4)]
    for thread in others:
        thread.start()
    while sum(entry.operation == "purge" for entry in store.ledger()) < 5:
        pass
    go_on.set()
    for thread in (first, *others):
        thread.join()
    assert len(results) == 5
    # What the first began for itself, and what the next does for all others.
    assert sum(result.resealed > 0 for result in results) <= 2
    store.verify()


# --- what goes wrong ------------------------------------------------------------------------------


def test_a_purge_that_was_interrupted_is_ended_by_the_next(
    store: Store, keys: Breaking, tmp_path: Path
) -> None:
    secret = _add_secret(store)
    before = _copied(store, keys, tmp_path / "before")

    def enough(done: int, every: int) -> None:
        if done > every // 3:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        store.purge("notes", documents=[("note", secret)], progress=enough)
    assert all(found["n"] >= 0 for found in _documents(store))
    store.verify()
    assert _plain(before.contents(_unlocked(store.path, keys)), SECRET) > 0
    store.close()
    with pytest.warns(KeysBehind, match="purge"):
        store = Store.open(store.path, keys=keys, audit_reads="off")
    store.prune("other")
    assert _plain(before.contents(_unlocked(store.path, keys)), SECRET) == 0
    store.verify()
    store.close()
    Store.open(store.path, keys=keys).close()


def test_a_purge_within_the_progress_of_another_is_refused(store: Store) -> None:
    told: list[str] = []

    def purge(*_: int) -> None:
        with pytest.raises(StoreError, match="progress"):
            store.purge("other")
        told.append("refused")

    store.purge("notes", progress=purge)
    assert told
    store.purge("other")
    store.verify()


def test_a_provider_that_is_down_leaves_the_key_to_the_next_purge(
    store: Store, keys: Breaking, tmp_path: Path
) -> None:
    before = _copied(store, keys, tmp_path / "before")
    keys.broken = True
    with pytest.raises(KeyServiceError):
        store.purge("notes", versions=[2])
    assert [version.number for version in store.history("notes")] == [3, 1]
    keys.broken = False
    store.purge("other")
    assert _plain(before.contents(_unlocked(store.path, keys)), SECRET) == 0
    store.verify()


def test_a_provider_that_keeps_its_key_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PURGE_KEY", os.urandom(32).hex())
    with Store.open(tmp_path / "store", keys=EnvKey("PURGE_KEY"), witness=None) as store:
        store.save(Notes(), "notes")
        assert not store.purge("notes").key_replaced
