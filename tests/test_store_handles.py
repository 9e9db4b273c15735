"""Names of agents, and the life of a handle: opened, used, closed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dachi_fast import Attr, BaseModule, KeyFile, Param, Store, default_store
from dachi_fast.errors import StateValueError, StoreClosed, StoreError


class Counter(BaseModule):
    step: int = Param(default=1)
    count: int = Attr(default=0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        yield store


def _saved(store: Store, *counts: int, name: str = "agent") -> Counter:
    counter = Counter()
    for count in counts:
        counter.count = count
        store.save(counter, name)
    return counter


@pytest.mark.parametrize(
    "name",
    ["a", "\u00e9", "e\u0301", "\U0001f980" * 256, "a.b/c d\n", " ", "x" * 1024, "..", "\x7f"],
)
def test_any_text_up_to_1024_bytes_is_a_name(store: Store, name: str) -> None:
    _saved(store, 1, name=name)
    assert store.names() == [name]
    assert store.load(name).count == 1


@pytest.mark.parametrize("name", ["", "x" * 1025, "\u00e9" * 513, "a\0b", "\ud800"])
def test_what_is_no_name_is_refused(store: Store, name: str) -> None:
    with pytest.raises(StoreError) as caught:
        store.save(Counter(), name)
    assert caught.value.code == "name"
    assert store.names() == []
    assert len(store.ledger()) == 1
    with pytest.raises(StoreError):
        store.load(name)


def test_a_justification_may_be_long_but_not_longer_than_16_kib(store: Store) -> None:
    store.save(Counter(), "agent", justification="\u00e9" * 8192)
    assert store.history("agent")[0].justification == "\u00e9" * 8192
    for unfit, kind in (("x" * 16_385, StateValueError), ("\udfff", StoreError)):
        with pytest.raises(kind):
            store.save(Counter(), "other", justification=unfit)
        with pytest.raises(kind):
            store.rollback("agent", to=1, justification=unfit)
    assert store.names() == ["agent"]


def test_names_are_kept_apart_and_sorted(store: Store) -> None:
    names = [f"agent {number}" for number in range(300)]  # more than there are spare keys
    for number, name in enumerate(names):
        _saved(store, number, name=name)
    assert store.names() == sorted(names)
    assert [store.load(name).count for name in names] == list(range(300))


def test_only_a_module_can_be_saved(store: Store) -> None:
    for wrong in (5, None, Counter, {"count": 1}):
        with pytest.raises(TypeError, match="takes a module"):
            store.save(wrong, "agent")  # type: ignore[arg-type]


def test_a_store_is_as_it_was_when_it_is_opened_again(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "key")
    with Store.open(tmp_path / "store", keys=keys, audit_reads="off") as store:
        _saved(store, 1, 2)
        history, ledger = store.history("agent"), store.ledger()
        assert repr(store) == f"Store({str(tmp_path / 'store')!r})"
    with Store.open(str(tmp_path / "store"), keys=keys) as store:
        assert store.history("agent") == history
        assert store.ledger() == ledger
        assert store.load("agent").count == 2
        assert store.path == tmp_path / "store"


def test_a_closed_store_refuses_everything_and_may_be_closed_twice(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key"))
    counter = _saved(store, 1)
    before = store.closed
    store.close()
    store.close()
    assert (before, store.closed) == (False, True)
    assert repr(store).endswith(", closed)")
    for ask in (
        lambda: store.save(counter, "agent"),
        lambda: store.load("agent"),
        lambda: store.load("agent", default=None),
        lambda: store.load_into(counter, "agent"),
        lambda: store.rollback("agent", to=1),
        lambda: store.rollback("agent", to=1, into=counter),
        lambda: store.history("agent"),
        lambda: store.diff("agent", 1, 1),
        store.names,
        store.ledger,
        store.verify,
    ):
        with pytest.raises(StoreClosed) as caught:
            ask()
        assert caught.value.code == "closed"


def test_leaving_the_with_block_by_an_error_closes_the_store(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", keys=KeyFile(tmp_path / "k"))
    with pytest.raises(ZeroDivisionError), store:
        1 / 0
    assert store.closed


def test_the_default_store_lies_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DACHI_FAST_STORE", str(tmp_path / "mine"))
    store = default_store()
    try:
        assert store.path == tmp_path / "mine"
        assert default_store() is store
    finally:
        store.close()
    monkeypatch.delenv("DACHI_FAST_STORE")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with default_store() as other:
        assert other is not store
        assert other.path == tmp_path / "data" / "dachi_fast" / "default.store"
