"""Documents beside agents in one store: commits, forks, forgetting, pruning, reading back."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import (
    Attr,
    BaseModule,
    KeyFile,
    LmdbMemoryProvider,
    Store,
    SyncTransaction,
    TransactionManager,
    reader,
)
from dachi_fast._core import state as _core_state
from dachi_fast.errors import (
    AlreadyExists,
    Conflict,
    SnapshotExpired,
    StateValueError,
    StoreClosed,
    StoreReadOnly,
    TransactionError,
    UnknownName,
)
from dachi_fast.reader import StoreReader

KIND = "note"


class Counter(BaseModule):
    count: int = Attr(default=0)


class Clock:
    now_ns = 1_795_000_000 * 1_000_000_000

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    keys = KeyFile(tmp_path / "key")
    with Store.open(tmp_path / "store", keys=keys, witness=None, clock=clock) as opened:
        yield opened


def begun(store: Store, *namespaces: str, **more: Any) -> Any:
    providers = [LmdbMemoryProvider(store, namespace=name) for name in namespaces or ["default"]]
    return TransactionManager(*providers, **more).sync


def put(store: Store, *documents: dict[str, Any], namespace: str = "default") -> list[str]:
    with begun(store, namespace) as tx:
        return [tx.store(KIND, document) for document in documents]


def notes(store: Store, namespace: str = "default") -> list[Any]:
    with begun(store, namespace) as tx:
        return [found.content for found in tx.find(KIND)]


def read_back(store: Store, folder: Path) -> StoreReader:
    store.close()
    return StoreReader(folder / "store", key=reader.KeyFile(folder / "key"))


def test_an_agent_and_documents_are_one_commit(store: Store) -> None:
    counter = Counter()
    counter.count = 1
    before = store.verify().ledger_entries
    with begun(store, "agent", justification="learned") as tx:
        tx.save(counter, "agent")
        counter.count = 2  # the state was taken before
        tx.store(KIND, {"n": 1})
    assert tx.versions["agent"].number == 1
    assert store.load("agent").count == 1
    assert notes(store, "agent") == [{"n": 1}]
    stored, saved = store.ledger(limit=2)[::-1]
    assert (stored.operation, stored.memory_type, stored.justification) == (
        "store",
        KIND,
        "learned",
    )
    assert (saved.operation, saved.memory_type, saved.justification) == (
        "store",
        "state",
        "learned",
    )
    assert store.verify().ledger_entries == before + 2
    store.save(counter, "agent")  # the module knows which version it came from


def test_a_save_that_conflicts_takes_the_documents_back(store: Store) -> None:
    counter = Counter()
    store.save(counter, "agent")
    with pytest.raises(Conflict), begun(store, "agent") as tx:  # noqa: PT012
        tx.store(KIND, {"n": 1})
        tx.save(counter, "agent")
        with pytest.raises(AlreadyExists):
            tx.save(counter, "agent")
        store.save(counter, "agent")
    assert notes(store, "agent") == []
    assert [version.number for version in store.history("agent")] == [2, 1]


def test_saves_and_documents_of_one_namespace_do_not_conflict(store: Store) -> None:
    counter = Counter()
    with begun(store, "agent") as tx:
        tx.find(KIND)
        tx.store(KIND, {"n": 1})
        store.save(counter, "agent")
        store.tag("agent", tag="good")
    assert notes(store, "agent") == [{"n": 1}]
    assert store.load("agent").count == 0
    assert store.version("agent").tags == ("good",)


def test_documents_alone_are_no_agent(store: Store) -> None:
    put(store, {"n": 1})
    assert store.names() == []
    for attempt in (store.load, store.version, store.state, store.blueprint):
        with pytest.raises(UnknownName):
            attempt("default")
    assert store.history("default") == []
    assert store.upgrade() == []
    [usage] = store.stats().names
    assert (usage.name, usage.versions, usage.documents) == ("default", 0, 1)
    report = store.verify()
    assert (report.names, report.versions, report.documents) == (1, 0, 1)
    store.save(Counter(), "default")
    assert store.names() == ["default"]
    assert notes(store) == [{"n": 1}]


def test_forks_share_documents_and_copies_have_their_own(store: Store) -> None:
    store.save(Counter(), "agent")
    put(store, {"n": 1}, {"blob": b"x" * 100_000}, namespace="agent")
    store.fork("agent", "fork")
    store.copy("agent", to="copy")
    put(store, {"n": 2}, namespace="fork")
    assert notes(store, "agent") == notes(store, "fork")
    assert len(notes(store, "fork")) == 3
    assert notes(store, "copy") == notes(store, "agent")[:2]
    store.forget("agent", forks="forget")
    assert len(notes(store, "copy")) == 2
    assert notes(store, "agent") == []
    with begun(store, "copy", "fork") as tx:
        assert len(tx.find(KIND, where={"timestamp": {">": datetime.datetime(2000, 1, 1)}})) == 0
    store.verify()


def test_two_names_of_one_namespace_are_one_place(store: Store) -> None:
    store.save(Counter(), "agent")
    store.fork("agent", "fork")
    fork = LmdbMemoryProvider(store, namespace="fork")
    with TransactionManager(LmdbMemoryProvider(store, namespace="agent"), fork).sync as tx:
        tx.store(KIND, {"n": 1})
        [found] = tx.on(fork).find(KIND)
        tx.on(fork).update(KIND, found.id, {"n": 2})
    assert notes(store, "agent") == [{"n": 2}]


def test_what_is_forgotten_is_gone_for_open_transactions(store: Store, tmp_path: Path) -> None:
    [key] = put(store, {"n": 1})
    with begun(store) as tx:
        store.forget("default")
        with pytest.raises(SnapshotExpired):
            tx.retrieve(KIND, key)
    put(store, {"n": 2})
    with pytest.raises(Conflict), begun(store) as tx:  # noqa: PT012
        tx.store(KIND, {"n": 3})
        store.forget("default")
    assert notes(store) == []
    put(store, {"n": 4})
    assert notes(store) == [{"n": 4}]
    with read_back(store, tmp_path) as second:
        assert [found.value for found in second.documents("default")] == [{"n": 4}]


def test_a_transaction_that_outlasts_what_it_reads_says_so(store: Store, clock: Clock) -> None:
    [key] = put(store, {"n": 1})
    with begun(store) as tx, pytest.raises(SnapshotExpired):  # noqa: PT012
        for number in range(3):
            clock.now_ns += 700 * 10**9
            put(store, {"n": number})
        store.compact()
        tx.retrieve(KIND, key)


def test_pruning_deletes_what_has_expired(store: Store, clock: Clock, tmp_path: Path) -> None:
    with begun(store) as tx:
        tx.store(KIND, {"agent_id": "x", "n": 1}, ttl_s=60)
        tx.store("other", {"n": 2}, ttl_s=60)
        kept = tx.store(KIND, {"agent_id": "x", "n": 3}, ttl_s=61)
        tx.store(KIND, {"agent_id": "x", "n": 4})
    clock.now_ns += 60 * 10**9
    assert [p.expired for p in store.prune(dry_run=True)] == [2]
    assert store.stats().names[0].documents == 4
    with begun(store) as tx:
        tx.retrieve(KIND, kept)
        tx.store(KIND, {"n": 5})
        assert [p.expired for p in store.prune("default")] == [2]  # and that is no conflict
    assert [p.expired for p in store.prune()] == [0]
    assert store.stats().names[0].documents == 3
    swept = [entry for entry in store.ledger() if entry.operation == "expire"]
    assert [(entry.memory_type, entry.count) for entry in swept] == [("other", 1), (KIND, 1)]
    assert [note["n"] for note in notes(store)] == [3, 4, 5]
    with read_back(store, tmp_path) as second:
        assert second.verify().documents == 3


def test_indexes_are_made_over_what_is_there_and_stay(store: Store, tmp_path: Path) -> None:
    put(store, *({"task": n % 10, "n": n} for n in range(300)))
    indexed = LmdbMemoryProvider(store, indexes={KIND: ["task", ("task", "n")]})
    with TransactionManager(indexed).sync as tx:
        found = tx.find(KIND, where={"task": 3, "n": {">=": 200}}, order="-n", limit=2)
    assert [document.content["n"] for document in found] == [293, 283]
    put(store, {"task": 3, "n": 999})  # by somebody who declares nothing
    with TransactionManager(indexed).sync as tx:
        assert tx.find(KIND, where={"task": 3}, order="newest", limit=1)[0].content["n"] == 999
    assert [entry.memory_type for entry in store.ledger() if entry.operation == "index"] == [KIND]
    with read_back(store, tmp_path) as second:
        second.verify()
        fields = [["agent_id", "timestamp"], ["timestamp"], ["task"], ["task", "n"]]
        assert second.indexes("default") == {KIND: fields}


def test_a_field_that_is_too_long_for_its_index_is_refused(store: Store) -> None:
    with begun(store) as tx:
        for length, fits in [(2_000, True), (2_048, False)]:
            if fits:
                tx.store(KIND, {"agent_id": "x" * length})
            else:
                with pytest.raises(StateValueError):
                    tx.store(KIND, {"agent_id": "x" * length})
        tx.store(KIND, {"other": "x" * 100_000})
    assert len(notes(store)) == 2


def test_indexes_must_name_fields(store: Store) -> None:
    bad: Any
    for bad in ([1], [[]], [["a", 1]]):
        with pytest.raises(TypeError):
            LmdbMemoryProvider(store, indexes={KIND: bad})


def test_reads_of_documents_are_in_the_ledger(store: Store) -> None:
    [key] = put(store, {"n": 1})
    with begun(store) as tx:
        tx.retrieve(KIND, key)
        tx.find(KIND)
        tx.find("other")
    put(store, {"n": 2})
    other, note = store.ledger(limit=3)[1:]
    assert (note.operation, note.agent_id, note.memory_type, note.count) == (
        "retrieve",
        "default",
        KIND,
        2,
    )
    assert (other.memory_type, other.count) == ("other", 1)


def test_the_ledger_names_the_document_and_whose_it_is(store: Store) -> None:
    with begun(store, justification="why") as tx:
        key = tx.store(KIND, {"agent_id": "x"}, justification="another reason")
        tx.update(KIND, key, {"n": 1})
        tx.delete(KIND, key)
    entries = [entry for entry in store.ledger() if entry.root == key][::-1]
    assert [(e.operation, e.agent_id, e.justification) for e in entries] == [
        ("store", "x", "another reason"),
        ("update", "x", "why"),
        ("delete", "default", "why"),
    ]


def test_documents_that_go_together_are_one_entry_of_the_ledger(store: Store) -> None:
    keys = put(store, *({"n": n} for n in range(5)))
    session = LmdbMemoryProvider(store).begin()
    assert session.count(0, KIND) == 5
    told = {"operation": "delete", "agent_id": "x", "justification": "too old"}
    absent = "00" * 16
    assert session.remove_all(0, KIND, [*keys[:3], absent], **told) == 3  # type: ignore[arg-type]
    assert session.remove_all(0, KIND, [absent], **told | {"operation": "unlearn"}) == 0  # type: ignore[arg-type]
    session.commit()
    entries = [entry for entry in store.ledger() if entry.agent_id == "x"][::-1]
    assert [(e.operation, e.memory_type, e.justification) for e in entries] == [
        ("delete", KIND, "too old"),
        ("unlearn", KIND, "too old"),
    ]
    found = LmdbMemoryProvider(store).begin().each(0, KIND, newest=True)
    assert [one.content["n"] for one in found] == [4, 3]


def test_a_state_whose_transaction_failed_can_be_saved_in_another(store: Store) -> None:
    [key] = put(store, {"n": 1})
    agent = Counter()
    agent.count = 3
    mark, capture = store._mark(agent, "counter"), _core_state.capture(agent, copy_arrays=True)
    session = LmdbMemoryProvider(store).begin()
    session.save_captured("counter", capture, mark, "first try")
    session.remove_all(0, KIND, [key], operation="delete", agent_id="x", justification="")
    with begun(store) as tx:
        tx.delete(KIND, key)
    with pytest.raises(Conflict):
        session.commit()
    session = LmdbMemoryProvider(store).begin()
    session.save_captured("counter", capture, mark, "second try")
    session.commit()
    assert (session.versions["counter"].number, mark.number) == (1, 1)
    assert store.load("counter").count == 3


def test_a_transaction_that_only_reads_writes_nothing_and_conflicts_with_nobody(
    store: Store,
) -> None:
    put(store, {"n": 1})
    with begun(store) as tx:
        tx.find(KIND)
        put(store, {"n": 2})
    entries = store.verify().ledger_entries
    with begun(store, "nobody") as tx:
        assert tx.find(KIND) == []
    assert store.verify().ledger_entries == entries


def test_a_store_that_is_closed_or_read_only_says_so(store: Store, tmp_path: Path) -> None:
    [key] = put(store, {"n": 1})
    with pytest.raises(StoreClosed), begun(store) as tx:  # noqa: PT012
        store.close()
        tx.retrieve(KIND, key)
    keys = KeyFile(tmp_path / "key")
    with Store.open(tmp_path / "store", keys=keys, witness=None, read_only=True) as opened:
        indexed = LmdbMemoryProvider(opened, indexes={KIND: ["n"]})
        with TransactionManager(indexed).sync as tx:
            assert tx.retrieve(KIND, key).content == {"n": 1}
            for change in (lambda: tx.store(KIND, {}), lambda: tx.delete(KIND, key)):
                with pytest.raises(StoreReadOnly):
                    change()


def test_a_transaction_spans_one_store_only(store: Store, tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "key")
    with (
        Store.open(tmp_path / "other", keys=keys, witness=None) as other,
        pytest.raises(TransactionError),
        TransactionManager(LmdbMemoryProvider(store), LmdbMemoryProvider(other)).sync,
    ):
        pass


async def test_a_cancelled_task_leaves_nothing_open(store: Store) -> None:
    provider, inside = LmdbMemoryProvider(store), asyncio.Event()

    async def work() -> None:
        async with TransactionManager(provider) as tx:
            await tx.store(KIND, {"n": 1})
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert notes(store) == []


async def test_a_commit_that_is_cancelled_is_done_or_not_done(store: Store) -> None:
    provider = LmdbMemoryProvider(store)
    for number in range(20):

        async def work(number: int = number) -> None:
            async with TransactionManager(provider) as tx:
                await tx.store(KIND, {"n": number, "half": 1})
                await tx.store(KIND, {"n": number, "half": 2})

        task = asyncio.create_task(work())
        for _ in range(number % 7):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    put(store, {"n": -1, "half": 1}, {"n": -1, "half": 2})  # behind all that were queued
    found = [(note["n"], note["half"]) for note in notes(store)]
    assert sorted(found) == sorted((n, half) for n in {n for n, _ in found} for half in (1, 2))


def test_a_large_document_is_stored_once_and_again_only_when_it_changes(store: Store) -> None:
    [key] = put(store, {"blob": b"x" * 1_000_000, "n": 0})
    for number in (0, 1):
        with begun(store) as tx:
            tx.update(KIND, key, {"n": number})
    assert notes(store) == [{"blob": b"x" * 1_000_000, "n": 1}]
    store.verify()


def test_the_sync_form_is_a_transaction_of_its_own_kind(store: Store) -> None:
    with begun(store) as tx:
        assert type(tx) is SyncTransaction
        assert [tx.open, tx.versions] == [True, {}]
    assert [tx.open, tx.versions] == [False, {}]
