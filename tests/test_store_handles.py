"""Names of agents, and the life of a handle: opened, used, closed."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import Attr, BaseModule, KeyFile, Param, Store, default_store
from dachi_fast.errors import StateValueError, StoreClosed, StoreError
from dachi_fast.store import _handle
from dachi_fast.store._handle import Handle
from tests.children import environment


class Counter(BaseModule):
    step: int = Param(default=1)
    count: int = Attr(default=0)


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


def test_threads_that_save_an_agent_for_the_first_time_share_what_is_known_of_it(
    store: Store,
) -> None:
    """Symptom: a Conflict with oneself. Cause: each of two threads made a note of its own which
    version the agent is of, and one was lost. Fix: the second gets the first one's."""
    counter, meanwhile = Counter(), list[Any]()

    class Raced(dict[Any, Any]):
        """Lets another thread in as soon as one has seen that there is nothing."""

        def get(self, key: Any, default: Any = None) -> Any:
            found = super().get(key, default)
            if not meanwhile:
                meanwhile.append(None)
                meanwhile.append(store._mark(counter, "agent"))
            return found

    store._bases = Raced()
    assert store._mark(counter, "agent") is meanwhile[1]


def test_a_store_that_cannot_come_to_rest_before_a_fork_keeps_no_other_from_it() -> None:
    """Symptom: a forked child that hung. Cause: an error of one store left those after it at work.
    Fix: it is told when all of them rest."""
    rested = []

    def broken() -> None:
        raise StoreError("store", "broken")

    def handle(rest: Any) -> Handle:
        core: Any = types.SimpleNamespace(read_only=False, rest=rest)
        return Handle(core, Path("none"))

    handles = [handle(broken), handle(lambda: rested.append(1)), handle(broken)]
    with pytest.raises(ExceptionGroup, match="rest before a fork") as caught:
        _handle._rest()
    assert (len(caught.value.exceptions), rested, len(handles)) == (2, [1], 3)


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


def test_a_store_that_is_reached_by_a_link_knows_what_it_loaded(tmp_path: Path) -> None:
    """Symptom: a Conflict with oneself. Cause: what is known of live modules was kept by the path
    that the store was opened by. Fix: by the path without links."""
    keys = KeyFile(tmp_path / "key")
    with Store.open(tmp_path / "store", keys=keys) as store:
        counter = _saved(store, 1)
    (tmp_path / "link").symlink_to(tmp_path / "store")
    with Store.open(tmp_path / "link", keys=keys) as store:
        assert store.save(counter, "agent").number == 2


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


_FORKS_WHILE_IT_IS_OPENED = """
import os, signal, threading, warnings
warnings.simplefilter("ignore")
from dachi_fast import default_store
from dachi_fast.store import _store
held, done = threading.Event(), threading.Event()
def hold():
    lock = _store._default_locks.setdefault(os.getpid(), threading.Lock())
    with lock:
        held.set()
        done.wait()
thread = threading.Thread(target=hold)
thread.start()
held.wait()
child = os.fork()
if child == 0:
    signal.alarm(20)
    default_store().close()
    os._exit(0)
done.set()
thread.join()
assert os.waitpid(child, 0)[1] == 0
"""


def test_a_child_that_was_forked_while_the_default_store_was_opened_opens_its_own(
    tmp_path: Path,
) -> None:
    """Symptom: `default_store` hung in the child. Cause: a thread that the child does not have held
    the lock. Fix: the child has a lock of its own."""
    here = {"DACHI_FAST_STORE": str(tmp_path / "store")}
    command = [sys.executable, "-c", _FORKS_WHILE_IT_IS_OPENED]
    done = subprocess.run(
        command, env=environment() | here, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


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
