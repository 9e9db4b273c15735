"""Keys change: by chance, by hand, and with their provider; what was saved stays readable."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import KeyFile, Passphrase, Store
from dachi_fast.errors import IntegrityError, KeyringError, KeyServiceError
from tests.stores import Counter

DAY_NS = 86_400 * 10**9


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now_ns = 1_800_000_000 * 10**9

    def __call__(self) -> int:
        return self.now_ns

    def wait(self, days: float) -> None:
        self.now_ns += int(days * DAY_NS)


class Down(KeyFile):
    """A key file that can be out of reach."""

    down = False

    def _rows(self) -> Any:
        return self._reached(super()._rows)

    def _changed(self, change: Any) -> Any:
        return self._reached(lambda: super(Down, self)._changed(change))

    def _reached(self, work: Callable[[], Any]) -> Any:
        if self.down:
            raise KeyServiceError("key-service", "the key service is down")
        return work()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(tmp_path: Path) -> Down:
    return Down(tmp_path / "key")


@pytest.fixture
def store(tmp_path: Path, keys: Down, clock: Clock) -> Iterator[Store]:
    """An open store of one agent at version 1."""
    with Store.open(tmp_path / "store", keys=keys, clock=clock) as store:
        _saved(store, 1)
        yield store


def _saved(store: Store, count: int) -> None:
    counter = Counter()
    counter.count = count
    store.save(counter, "agent", base="latest")


def _counts(store: Store) -> list[int]:
    versions = [store.load("agent", version=v.number) for v in store.history("agent")]
    assert all(isinstance(version, Counter) for version in versions)
    return [version.state_dict()["count"] for version in versions]


def _operations(store: Store) -> list[str]:
    return [entry.operation for entry in reversed(store.ledger())]


def _epochs(folder: Path) -> set[int]:
    """Gives the epochs that nodes are sealed under; they stand in clear."""
    lmdb: Any = pytest.importorskip("lmdb")
    env = lmdb.open(str(folder), max_dbs=4, map_size=1 << 30, lock=False)
    databases = [env.open_db(name) for name in (b"nodes", b"maps", b"log")]
    with env.begin() as txn:
        records = [value for database in databases for _, value in txn.cursor(database)]
        found = {int.from_bytes(value[2:6], "little") for value in records}
    env.close()
    return found


# --- epochs ---------------------------------------------------------------------------------------


def test_versions_of_every_epoch_are_read_by_the_same_and_by_a_new_handle(
    store: Store, keys: KeyFile
) -> None:
    for count in range(2, 6):
        store.rotate_now()
        _saved(store, count)
    assert _counts(store) == [5, 4, 3, 2, 1]
    assert store.verify().versions == 5
    store.close()
    assert _epochs(store.path) == {1, 2, 3, 4, 5}
    with Store.open(store.path, keys=keys) as again:
        assert _counts(again) == [5, 4, 3, 2, 1]
        assert again.verify().versions == 5
        assert _operations(again).count("rotate") == 4


def test_a_reason_for_a_rotation_is_in_the_ledger(store: Store) -> None:
    store.rotate_now(justification="a laptop was lost")
    entry = store.ledger(limit=1)[0]
    assert (entry.operation, entry.justification) == ("rotate", "a laptop was lost")


def test_a_rotation_becomes_due_between_one_and_seven_days_and_comes_with_the_next_save(
    store: Store, clock: Clock
) -> None:
    for round_ in range(1, 6):
        clock.wait(0.999)
        _saved(store, 2)
        assert _operations(store).count("rotate") == round_ - 1
        clock.wait(6.002)
        assert _operations(store).count("rotate") == round_ - 1
        _saved(store, 3)
        assert _operations(store)[-2:] == ["rotate", "store"]
        _saved(store, 4)
        assert _operations(store).count("rotate") == round_


def test_due_times_differ_from_store_to_store(tmp_path: Path, clock: Clock, keys: KeyFile) -> None:
    due = set()
    stores = [Store.open(tmp_path / f"{n}", keys=keys, clock=clock) for n in range(8)]
    for day in range(8):
        for number, store in enumerate(stores):
            store.save(Counter(), f"{day}")
            if "rotate" in _operations(store):
                due.add((day, number))
        clock.wait(1)
    first = [min(day for day, other in due if other == number) for number in range(8)]
    assert len(set(first)) > 1  # all on one of six days: a chance of 6^-7
    for store in stores:
        store.close()


def test_a_rotation_that_is_due_needs_no_provider(store: Store, keys: Down, clock: Clock) -> None:
    keys.down = True
    clock.wait(30)
    _saved(store, 2)
    assert _operations(store)[-2:] == ["rotate", "store"]


def test_a_clock_that_was_far_ahead_does_not_stop_rotation(
    tmp_path: Path, keys: KeyFile, clock: Clock
) -> None:
    clock.wait(1000)
    Store.open(tmp_path / "ahead", keys=keys, clock=clock).close()
    clock.wait(-1000)
    with Store.open(tmp_path / "ahead", keys=keys, clock=clock) as store:
        _saved(store, 1)
        assert "rotate" in _operations(store)


def test_a_rotation_that_fails_warns_and_stops_saves_only_after_twice_the_interval(
    store: Store, clock: Clock
) -> None:
    obstacle = store.path / "keys.sealed.new"
    obstacle.mkdir()
    start, warned, step = clock.now_ns, [], 0.1
    with pytest.raises(KeyringError) as caught:  # noqa: PT012
        while clock.now_ns < start + 15 * DAY_NS:
            clock.wait(step)
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                _saved(store, 2)
            assert [str(one.message) for one in told if "rotated" not in str(one.message)] == []
            warned += [clock.now_ns] * len(told)
    assert caught.value.code == "rotation-overdue"
    assert "Is a directory" in str(caught.value)
    interval_days = (warned[0] - start) / DAY_NS
    assert 1 <= interval_days <= 7 + step
    assert (clock.now_ns - start) / DAY_NS == pytest.approx(2 * interval_days, abs=3 * step)
    assert len(warned) == pytest.approx(interval_days / step, abs=3)
    obstacle.rmdir()
    _saved(store, 3)
    assert _counts(store)[0] == 3
    # Every so many saves prune, too: how many there were hangs on the time that was drawn.
    assert [name for name in _operations(store) if name != "prune"][-2:] == ["rotate", "store"]


# --- rewrap ---------------------------------------------------------------------------------------


def test_a_rewrapped_store_opens_with_the_new_provider_only(store: Store, keys: KeyFile) -> None:
    other = Passphrase("sesame", memory_kib=8, passes=1)
    store.rewrap(other, justification="moved")
    _saved(store, 2)
    assert _operations(store)[-2:] == ["rewrap", "store"]
    store.close()
    with pytest.raises(KeyringError) as caught:
        Store.open(store.path, keys=keys)
    assert caught.value.code == "wrong-key"
    with Store.open(store.path, keys=other) as again:
        assert _counts(again) == [2, 1]
        assert again.verify().versions == 2


def test_an_old_copy_of_the_keys_does_not_open_after_a_rewrap_with_the_same_key_file(
    store: Store, keys: KeyFile
) -> None:
    shutil.copytree(store.path, store.path.parent / "old")
    store.rewrap(keys)
    store.close()
    with Store.open(store.path, keys=keys) as again:
        assert _counts(again) == [1]
    with pytest.raises(KeyringError, match="replaced since"):
        Store.open(store.path.parent / "old", keys=keys, witness=None)


class _SealsOnly(KeyFile):
    """A provider that may seal but not open, as a policy of a KMS may have it."""

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:  # noqa: ARG002
        raise KeyServiceError("key-service", "decrypt is not allowed")


class _Forgetful(KeyFile):
    """A provider that opens what it sealed as something else."""

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:  # noqa: ARG002
        return bytes(32)


@pytest.mark.parametrize("kind", [_SealsOnly, _Forgetful])
def test_a_provider_that_does_not_open_what_it_sealed_gets_no_store(
    store: Store, keys: KeyFile, tmp_path: Path, kind: type[KeyFile]
) -> None:
    broken = kind(tmp_path / "broken")
    with pytest.raises(KeyringError):
        store.rewrap(broken)
    with pytest.raises(KeyringError):
        Store.open(tmp_path / "new", keys=broken)
    assert not (tmp_path / "new").exists()
    _saved(store, 2)
    store.close()
    with Store.open(store.path, keys=keys) as again:
        assert _counts(again) == [2, 1]


def test_an_exception_of_a_provider_comes_out_as_it_was_raised(store: Store) -> None:
    class Odd:
        def wrap(self, key: bytes, context: bytes) -> bytes:  # noqa: ARG002
            raise ZeroDivisionError("mine")

        def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
            raise NotImplementedError

    with pytest.raises(ZeroDivisionError, match="mine"):
        store.rewrap(Odd())
    _saved(store, 2)


# --- keys.sealed while the store is open ----------------------------------------------------------


def _older(store: Store, _folder: Path, _keys: KeyFile) -> None:
    old = (store.path / "keys.sealed").read_bytes()
    store.rotate_now()
    (store.path / "keys.sealed").write_bytes(old)


def _foreign(store: Store, folder: Path, keys: KeyFile) -> None:
    with Store.open(folder / "other", keys=keys) as other:
        for _ in range(5):
            other.rotate_now()
    shutil.copy(folder / "other" / "keys.sealed", store.path)


def _gone(store: Store, _folder: Path, _keys: KeyFile) -> None:
    (store.path / "keys.sealed").unlink()


@pytest.mark.parametrize(
    ("swap", "code"),
    [(_older, "rolled-back"), (_foreign, "wrong-context"), (_gone, "missing")],
)
def test_keys_that_somebody_swapped_while_the_store_is_open_are_not_built_upon(
    swap: Callable[[Store, Path, KeyFile], None],
    code: str,
    store: Store,
    tmp_path: Path,
    keys: KeyFile,
) -> None:
    swap(store, tmp_path, keys)
    before = [path.read_bytes() for path in store.path.glob("keys.sealed")]
    for change in (store.rotate_now, lambda: store.rewrap(keys), lambda: store.forget("agent")):
        with pytest.raises(IntegrityError) as caught:
            change()
        assert caught.value.code == code
    assert [path.read_bytes() for path in store.path.glob("keys.sealed")] == before
