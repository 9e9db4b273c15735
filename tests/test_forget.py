"""What was forgotten cannot be read again: not here, not in old copies, not in the ledger."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import Attr, BaseModule, EnvKey, KeyFile, Store
from dachi_fast.errors import (
    DachiError,
    KeyringError,
    KeyServiceError,
    RolledBack,
    StoreError,
    UnknownName,
)


class Secret(BaseModule):
    text: str = Attr(default="")


class Watched(KeyFile):
    """A key file that shows what lies on disk whenever it is asked to change."""

    at_rotate: Callable[[], None] = staticmethod(lambda: None)
    at_retire: Callable[[], None] = staticmethod(lambda: None)

    def rotate(self, key: bytes, context: bytes) -> bytes:
        wrapped = super().rotate(key, context)
        self.at_rotate()
        return wrapped

    def retire(self, wrapped: bytes, context: bytes) -> None:
        self.at_retire()
        super().retire(wrapped, context)


@pytest.fixture
def keys(tmp_path: Path) -> Watched:
    return Watched(tmp_path / "keys" / "key")


@pytest.fixture
def store(tmp_path: Path, keys: Watched) -> Iterator[Store]:
    """An open store of two agents; one has secrets in three versions."""
    with Store.open(tmp_path / "store", keys=keys, audit_reads="off") as store:
        secret = Secret()
        for number in range(3):
            secret.text = f"secret number {number} " + "and more " * 2000
            store.save(secret, "secret", justification=f"because {number}")
        other = Secret()
        other.text = "harmless"
        store.save(other, "other")
        yield store


def _everything_but_the_secret_is_there(store: Store) -> None:
    assert store.names() == ["other"]
    assert store.load("other").state_dict() == {"text": "harmless"}
    report = store.verify()
    assert (report.names, report.versions) == (1, 1)
    for ask in (store.load, store.history, store.forget):
        with pytest.raises(UnknownName):
            ask("secret")
    ledger = store.ledger()
    erased = [entry for entry in ledger if entry.agent_id is None]
    assert {entry.operation for entry in erased} == {"store"}
    assert len(erased) == 3
    assert all(
        (entry.justification, entry.root, entry.memory_type, entry.salt) == (None,) * 4
        for entry in erased
    )
    assert all("because" not in repr(entry) for entry in ledger)
    assert [entry.operation for entry in ledger][:2] == ["destroy", "forget"]


def _rows(keys: KeyFile) -> int:
    return len(keys.path.read_text().splitlines()) - 1


def test_a_forgotten_name_is_gone_and_all_else_is_there(store: Store, keys: KeyFile) -> None:
    forgotten = store.forget("secret", justification="request 4711")
    assert forgotten.names == ("secret",)
    assert forgotten.key_replaced
    _everything_but_the_secret_is_there(store)
    assert store.ledger(limit=2)[1].justification == "request 4711"
    assert _rows(keys) == 1
    store.close()
    with Store.open(store.path, keys=keys, audit_reads="off") as again:
        _everything_but_the_secret_is_there(again)


def test_its_records_are_deleted(store: Store) -> None:
    before = store.verify()
    store.forget("secret")
    after = store.verify()
    assert after.nodes < before.nodes
    assert after.unused_nodes < 30


def test_a_forgotten_name_can_be_used_again_even_for_the_same_object(store: Store) -> None:
    loaded = store.load("secret")
    store.forget("secret")
    for _ in range(2):
        version = store.save(loaded, "secret")
    assert version.number == 2
    assert len(store.history("secret")) == 2
    assert store.forget("secret").names == ("secret",)


def test_a_name_that_was_never_saved_cannot_be_forgotten(store: Store) -> None:
    before = store.ledger()
    with pytest.raises(UnknownName):
        store.forget("nobody")
    assert store.ledger() == before


def test_no_plaintext_is_in_any_file_before_or_after(store: Store, tmp_path: Path) -> None:
    store.forget("secret", justification="gone")
    for path in tmp_path.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for text in (b"secret", b"and more", b"because", b"harmless", b"gone"):
                assert text not in content, (path, text)


# --- forks ----------------------------------------------------------------------------------------


def test_a_name_with_forks_is_not_forgotten_until_they_are_to_be(
    store: Store, keys: KeyFile
) -> None:
    store.fork("secret", "branch", version=2)
    store.fork("branch", "twig")
    before = store.ledger()
    for name, others in (("secret", "branch, twig"), ("twig", "secret, branch")):
        with pytest.raises(StoreError) as caught:
            store.forget(name)
        assert caught.value.code == "has-forks"
        named = str(caught.value.context["others"]).split(", ")
        assert sorted(named) == sorted(others.split(", "))
    assert store.ledger() == before
    assert store.names() == ["branch", "other", "secret", "twig"]
    forgotten = store.forget("twig", forks="forget")
    assert sorted(forgotten.names) == ["branch", "secret", "twig"]
    assert store.names() == ["other"]
    for name in forgotten.names:
        with pytest.raises(UnknownName):
            store.load(name)
    store.close()
    with Store.open(store.path, keys=keys, audit_reads="off") as again:
        assert again.names() == ["other"]
        assert again.verify().names == 1
        assert [e.agent_id for e in again.ledger()].count(None) == 5


def test_a_copy_stays_when_what_it_came_from_is_forgotten(store: Store) -> None:
    store.copy("secret", to="copy")
    store.forget("secret")
    assert store.names() == ["copy", "other"]
    assert str(store.load("copy").state_dict()["text"]).startswith("secret number 2")


# --- copies ---------------------------------------------------------------------------------------


def _copied(store: Store, tmp_path: Path) -> Path:
    copy = tmp_path / "copy"
    shutil.copytree(store.path, copy)
    return copy


def test_an_old_copy_of_the_data_gives_nothing_with_todays_keys(
    store: Store, keys: KeyFile, tmp_path: Path
) -> None:
    copy = _copied(store, tmp_path)
    store.forget("secret")
    shutil.copy(store.path / "keys.sealed", copy)
    with pytest.raises(RolledBack):  # the witness knows that this is old
        Store.open(copy, keys=keys)
    with Store.open(copy, keys=keys, witness=None) as old:
        asks: list[Callable[[], Any]] = [
            lambda: old.load("secret"),
            lambda: old.load("secret", version=1),
            lambda: old.history("secret"),
            lambda: old.diff("secret", 1, 2),
            lambda: old.save(Secret(), "secret"),
            lambda: old.rollback("secret", to=1),
            old.verify,
        ]
        for ask in asks:
            with pytest.raises(KeyringError, match="forgotten"):
                ask()
        assert [entry.agent_id for entry in old.ledger()] == ["other", None, None, None, ""]
        assert old.load("other").state_dict() == {"text": "harmless"}


def test_an_old_copy_of_data_and_keys_does_not_open_with_todays_key_file(
    store: Store, keys: KeyFile, tmp_path: Path
) -> None:
    copy = _copied(store, tmp_path)
    store.forget("secret")
    with pytest.raises(KeyringError) as caught:
        Store.open(copy, keys=keys, witness=None)
    assert caught.value.code == "wrong-key"


def test_an_old_key_file_does_not_open_todays_store(
    store: Store, keys: KeyFile, tmp_path: Path
) -> None:
    shutil.copytree(keys.path.parent, tmp_path / "old keys")
    store.forget("secret")
    store.close()
    with pytest.raises(KeyringError) as caught:
        Store.open(store.path, keys=KeyFile(tmp_path / "old keys" / "key"))
    assert caught.value.code == "wrong-key"
    Store.open(store.path, keys=keys).close()


def test_another_store_with_the_same_key_file_keeps_its_key(
    store: Store, keys: KeyFile, tmp_path: Path
) -> None:
    with Store.open(tmp_path / "neighbour", keys=keys) as neighbour:
        neighbour.save(Secret(), "mine")
    store.forget("secret")
    with Store.open(tmp_path / "neighbour", keys=keys) as neighbour:
        assert neighbour.names() == ["mine"]


def test_a_provider_that_cannot_replace_its_key_says_so_and_opens_full_old_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTS_KEY", os.urandom(32).hex())
    keys = EnvKey("AGENTS_KEY")
    with Store.open(tmp_path / "store", keys=keys) as store:
        store.save(Secret(), "secret")
        copy = _copied(store, tmp_path)
        assert not store.forget("secret").key_replaced
        assert store.names() == []
    with Store.open(copy, keys=keys, witness=None) as old:
        assert old.names() == ["secret"]  # as the documentation says
    shutil.copy(tmp_path / "store" / "keys.sealed", copy)
    with Store.open(copy, keys=keys, witness=None) as old, pytest.raises(KeyringError):
        old.load("secret")


# --- providers that fail --------------------------------------------------------------------------


def _down() -> None:
    raise KeyServiceError("key-service", "the key service is down")


def test_a_provider_that_is_down_leaves_everything_as_it_was(store: Store, keys: Watched) -> None:
    before = store.ledger()
    keys.at_rotate = _down
    with pytest.raises(KeyServiceError) as caught:
        store.forget("secret")
    assert not getattr(caught.value, "__notes__", [])
    assert store.ledger() == before
    assert len(store.history("secret")) == 3
    keys.at_rotate = lambda: None
    store.forget("secret")
    _everything_but_the_secret_is_there(store)
    assert _rows(keys) == 1


def test_a_provider_that_fails_to_give_up_its_old_key_is_asked_again_at_the_next_open(
    store: Store, keys: Watched
) -> None:
    keys.at_retire = _down
    with pytest.raises(KeyServiceError) as caught:
        store.forget("secret")
    assert "is forgotten, but" in caught.value.__notes__[0]
    assert store.names() == ["other"]
    assert _rows(keys) == 2
    store.close()
    with pytest.warns(RuntimeWarning, match="the key of what was forgotten"):
        Store.open(store.path, keys=keys).close()
    assert _rows(keys) > 1
    keys.at_retire = lambda: None
    with Store.open(store.path, keys=keys, audit_reads="off") as again:
        _everything_but_the_secret_is_there(again)
    assert _rows(keys) == 1


def test_a_name_can_be_forgotten_while_another_waits_to_be_finished(
    store: Store, keys: Watched
) -> None:
    keys.at_retire = _down
    with pytest.raises(KeyServiceError):
        store.forget("other")
    keys.at_retire = lambda: None
    store.forget("secret")
    assert store.names() == []
    assert _rows(keys) == 1
    assert store.verify().names == 0


# --- processes that died, as they left the disk ---------------------------------------------------


class _Disk:
    """What lay on disk at each step of an operation."""

    def __init__(self, root: Path, store: Store, keys: Watched) -> None:
        self.root, self.store, self.keys = root, store, keys
        keys.at_rotate = lambda: self.copied("the provider sealed a fresh root")
        keys.at_retire = lambda: self.copied("keys.sealed was replaced")

    def copied(self, step: str) -> None:
        shutil.copytree(self.store.path, self.root / step / "store")
        shutil.copytree(self.keys.path.parent, self.root / step / "keys")

    def mixed(self, step: str, data: str, sealed: str, key: str) -> None:
        """Makes a step between others: one file of each."""
        shutil.copytree(self.root / data / "store", self.root / step / "store")
        shutil.copy(self.root / sealed / "store" / "keys.sealed", self.root / step / "store")
        shutil.copytree(self.root / key / "keys", self.root / step / "keys")

    def opened(self, step: str) -> Store:
        self.keys = Watched(self.root / step / "keys" / "key")
        return Store.open(
            self.root / step / "store", keys=self.keys, witness=None, audit_reads="off"
        )


SEALED, REPLACED = "the provider sealed a fresh root", "keys.sealed was replaced"
TOMBSTONE, RETIRED = "the tombstone was committed", "the old key was given up"


@pytest.fixture
def disk(store: Store, keys: Watched, tmp_path: Path) -> _Disk:
    """What lay on disk at each step of forgetting."""
    disk = _Disk(tmp_path / "steps", store, keys)
    store.forget("secret")
    disk.copied("done")
    store.close()
    disk.mixed(TOMBSTONE, REPLACED, SEALED, SEALED)
    disk.mixed(RETIRED, REPLACED, REPLACED, "done")
    return disk


def test_a_process_that_dies_before_the_tombstone_has_forgotten_nothing(disk: _Disk) -> None:
    with disk.opened(SEALED) as store:
        assert len(store.history("secret")) == 3
        assert store.verify().versions == 4
        store.forget("secret")
        _everything_but_the_secret_is_there(store)
        assert _rows(disk.keys) == 1


@pytest.mark.parametrize("step", [TOMBSTONE, REPLACED, RETIRED, "done"])
def test_a_process_that_dies_after_the_tombstone_is_finished_by_the_next_open(
    step: str, disk: _Disk
) -> None:
    with disk.opened(step) as store:
        _everything_but_the_secret_is_there(store)
        assert _rows(disk.keys) == 1
        operations = [entry.operation for entry in store.ledger()]
        assert operations.count("forget") == operations.count("destroy") == 1
        store.save(Secret(), "secret")
    with disk.opened(step) as store:
        assert store.names() == ["other", "secret"]


@pytest.mark.parametrize("step", [TOMBSTONE, REPLACED, RETIRED])
def test_a_finished_store_opens_again_without_asking_anything(step: str, disk: _Disk) -> None:
    disk.opened(step).close()
    before = (disk.root / step / "store" / "keys.sealed").read_bytes()
    with disk.opened(step) as store:
        _everything_but_the_secret_is_there(store)
    assert (disk.root / step / "store" / "keys.sealed").read_bytes() == before


def test_a_half_written_key_file_beside_is_no_obstacle(disk: _Disk) -> None:
    whole = (disk.root / REPLACED / "store" / "keys.sealed").read_bytes()
    for size in (0, 1, 100, len(whole) - 1):
        (disk.root / TOMBSTONE / "store" / "keys.sealed.new").write_bytes(whole[:size])
        step = f"{TOMBSTONE}, {size} bytes"
        disk.mixed(step, TOMBSTONE, TOMBSTONE, TOMBSTONE)
        with disk.opened(step) as store:
            _everything_but_the_secret_is_there(store)


@pytest.mark.parametrize("step", [SEALED, REPLACED, RETIRED, "done"])
def test_a_process_that_dies_while_it_rewraps_leaves_a_store_that_opens(
    step: str, store: Store, keys: Watched, tmp_path: Path
) -> None:
    disk = _Disk(tmp_path / "steps", store, keys)
    store.rewrap(keys)
    disk.copied("done")
    store.close()
    disk.mixed(RETIRED, REPLACED, REPLACED, "done")
    with disk.opened(step) as again:
        assert len(again.history("secret")) == 3
        assert again.verify().versions == 4
        # Before the file was replaced both keys may be needed; after it only the new one is.
        assert _rows(disk.keys) == (2 if step == SEALED else 1)
        again.save(Secret(), "more")
    with disk.opened(step) as again:
        assert again.names() == ["more", "other", "secret"]


def test_errors_name_no_forgotten_name_and_no_key(store: Store, keys: KeyFile) -> None:
    store.forget("secret")
    with pytest.raises(DachiError) as caught:
        store.load("other", version=99)
    assert "secret" not in repr(caught.value.context)
    for line in keys.path.read_text().splitlines()[1:]:
        assert line.split()[1] not in repr(keys) + repr(store)
