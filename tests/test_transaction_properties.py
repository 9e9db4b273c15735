"""Transactions against a dict, and histories of many at once against any order one by one."""

from __future__ import annotations

import datetime
import math
import operator
import random
import signal
import tempfile
import threading
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from dachi_fast import KeyFile, LmdbMemoryProvider, Store, TransactionManager, reader
from dachi_fast.reader import StoreReader
from dachi_fast.transaction._order import UNORDERED, component
from tests.children import Child, started
from tests.oracles.reading import described

KIND: Final = "note"
INDEXES: Final = {KIND: ["n", ("agent_id", "n", "timestamp")]}

numbers = st.integers(-3, 3) | st.sampled_from([0.5, -0.0, math.inf, True, None, "1", "", 2**60])
agents = st.sampled_from(["a", "b", "a\0", "", None, ["a"]])
times = st.datetimes(datetime.datetime(2026, 1, 1), datetime.datetime(2026, 1, 3))
contents = st.fixed_dictionaries(
    {}, optional={"n": numbers, "agent_id": agents, "timestamp": times, "blob": st.binary()}
) | st.binary(min_size=600, max_size=5_000).map(lambda blob: {"blob": blob, "n": len(blob)})
comparable = st.integers(-3, 3) | st.sampled_from([0.5, "1", "", "a", "b", "a\0"])
wheres = st.fixed_dictionaries(
    {},
    optional={
        "agent_id": st.sampled_from(["a", "b", None, {"in": ["a", "", None]}, {">": "a"}]),
        "n": comparable
        | st.fixed_dictionaries({">=": st.integers(-3, 3)}, optional={"<": st.integers(-3, 3)})
        | st.fixed_dictionaries({"in": st.lists(comparable, max_size=3)}),
        "timestamp": st.fixed_dictionaries({"<": times}),
    },
)
orders = st.sampled_from(["oldest", "newest", "+n", "-n", "+timestamp", "-timestamp"])


_OPERATORS: Final = {">=": operator.ge, ">": operator.gt, "<": operator.lt}


def _comparable(a: Any, b: Any) -> bool:
    """Whether two values are of one kind, as docs/transactions.md says."""
    is_number = [isinstance(v, int | float) and not isinstance(v, bool) for v in (a, b)]
    if isinstance(a, datetime.datetime) and isinstance(b, datetime.datetime):
        return (a.tzinfo is None) == (b.tzinfo is None)
    return all(is_number) or type(a) is type(b)


def _meets(content: dict[str, Any], field: str, wanted: Any) -> bool:
    if field not in content or isinstance(content[field], list):
        return False
    value = content[field]
    if not isinstance(wanted, dict):
        return bool(_comparable(value, wanted) and value == wanted)
    if "in" in wanted:
        return any(_comparable(value, one) and value == one for one in wanted["in"])
    return all(
        _comparable(value, bound) and _OPERATORS[sign](value, bound)
        for sign, bound in wanted.items()
    )


class Documents(RuleBasedStateMachine):
    """A store with documents, and a dict that is changed alike."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="dachi-transaction-")
        path, keys = Path(self.folder.name), KeyFile(Path(self.folder.name) / "key")
        self.store = Store.open(path / "store", keys=keys, witness=None, audit_reads="off")
        self.provider = LmdbMemoryProvider(self.store, indexes=INDEXES)
        self.manager = TransactionManager(self.provider).sync
        self.tx: Any = None
        self.committed: dict[str, dict[str, Any]] = {}
        self.model: dict[str, dict[str, Any]] = {}
        self.begin()

    def begin(self) -> None:
        self.tx = self.manager.__enter__()
        self.model = dict(self.committed)

    @rule(content=contents)
    def store_one(self, content: dict[str, Any]) -> None:
        self.model[self.tx.store(KIND, content)] = content

    @precondition(lambda self: self.model)
    @rule(data=st.data(), content=contents)
    def update(self, data: st.DataObject, content: dict[str, Any]) -> None:
        key = data.draw(st.sampled_from(sorted(self.model)))
        self.tx.update(KIND, key, content)
        self.model[key] = {**self.model[key], **content}

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.model)))
        self.tx.delete(KIND, key)
        del self.model[key]

    @rule(where=wheres, order=orders, limit=st.none() | st.integers(1, 4))
    def find(self, where: dict[str, Any], order: str, limit: int | None) -> None:
        expected = [
            key
            for key, content in self.model.items()
            if all(_meets(content, field, wanted) for field, wanted in where.items())
        ]
        expected.sort(key=lambda key: self._order(key, order), reverse=order[0] in "n-")
        found = self.tx.find(KIND, where=where, order=order, limit=limit)
        got = [document.id for document in found]
        shown = [self._order(key, order) for key in got]
        assert shown == [self._order(key, order) for key in expected[:limit]]
        assert len(set(got)) == len(got)
        assert set(got) <= set(expected)
        for document in found:
            assert described(document.content) == described(self.model[document.id])

    def _order(self, key: str, order: str) -> Any:
        """What the order says of a document: among equal ones none is promised."""
        if order[0] not in "+-":
            return key
        content = self.model[key]
        return component(content[order[1:]]) if order[1:] in content else b""

    @rule()
    def commit(self) -> None:
        self.manager.__exit__(None, None, None)
        self.committed = self.model
        self.begin()

    @rule()
    def roll_back(self) -> None:
        self.tx.rollback()
        self.manager.__exit__(None, None, None)
        self.begin()

    @invariant()
    def documents_are_those_of_the_dict(self) -> None:
        for key, content in list(self.model.items())[:3]:
            assert described(self.tx.retrieve(KIND, key).content) == described(content)

    def teardown(self) -> None:
        self.store.verify()
        self.store.close()
        path = Path(self.folder.name)
        with StoreReader(path / "store", key=reader.KeyFile(path / "key")) as second:
            second.verify()
            if self.committed:
                found = {d.id: described(d.value) for d in second.documents("default")}
                assert found == {key: described(c) for key, c in self.committed.items()}
        self.folder.cleanup()


def test_documents_are_those_of_a_dict() -> None:
    run_state_machine_as_test(
        Documents, settings=settings(max_examples=12, stateful_step_count=25, deadline=None)
    )


plain = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.datetimes()
    | st.datetimes(timezones=st.just(datetime.UTC))
    | st.dates()
    | st.uuids()
)


@given(st.lists(plain, min_size=2, max_size=6))
def test_order_as_bytes_is_that_of_values(values: list[Any]) -> None:
    for a in values:
        for b in values:
            if _comparable(a, b):
                key = (lambda v: v.encode("utf-8", "surrogatepass")) if type(a) is str else None
                x, y = (key(a), key(b)) if key else (a, b)
                assert (component(a) == component(b)) == (x == y)
                if a is not None:
                    assert (component(a) < component(b)) == (x < y)
            else:
                assert component(a) != component(b)
            # One behind the other they order as tuples do: none begins with another.
            assert component(a) == component(b) or not component(a).startswith(component(b))


def test_what_has_no_order_equals_nothing() -> None:
    for value in (math.nan, 1 << 64, -(1 << 63) - 1, [1], {}, 1j, object()):
        assert component(value) == UNORDERED


# --- many at once ---------------------------------------------------------------------------------

ACCOUNTS: Final = 6


def _work(provider: LmdbMemoryProvider, seed: int, rounds: int) -> list[tuple[int, int]]:
    """Moves between accounts by rules that lost updates, write skew and phantoms would break.

    Each transaction draws the next ticket of the history: it counts the tickets there are with a
    range read, so that two that did not see each other draw the same one. It gives what it did.
    """
    draw = random.Random(seed)

    def move(tx: Any) -> tuple[int, int]:
        accounts = {found.content["n"]: found for found in tx.find("account")}
        giver, taker = draw.sample(sorted(accounts), 2)
        left = accounts[giver].content["left"]
        # Write skew: the sum of all may not sink below what one reads of the others.
        amount = draw.randint(0, left)
        tx.update("account", accounts[giver].id, {"left": left - amount})
        other = accounts[taker].content["left"]
        tx.update("account", accounts[taker].id, {"left": other + amount})
        tickets = tx.find("ticket", where={"timestamp": {">=": 0}}, order="-timestamp", limit=1)
        ticket = tickets[0].content["timestamp"] + 1 if tickets else 0
        tx.store("ticket", {"timestamp": ticket, "giver": giver, "taker": taker, "amount": amount})
        return ticket, amount

    manager = TransactionManager(provider).sync
    return [manager.run(move, attempts=10_000) for _ in range(rounds)]


def _skew(provider: LmdbMemoryProvider, seed: int, rounds: int) -> None:
    """Two are on call at first; each may leave while it reads that another one is there."""
    draw = random.Random(seed)

    def leave_or_come(tx: Any) -> None:
        people = tx.find("on_call")
        there = [found for found in people if found.content["there"]]
        one = draw.choice(people)
        if not one.content["there"]:
            tx.update("on_call", one.id, {"there": True})
        elif len(there) > 1:
            tx.update("on_call", one.id, {"there": False})

    for _ in range(rounds):
        TransactionManager(provider).sync.run(leave_or_come, attempts=10_000)


def _prepare(store: Store) -> None:
    with TransactionManager(LmdbMemoryProvider(store)).sync as tx:
        for number in range(ACCOUNTS):
            tx.store("account", {"n": number, "left": 100})
        for number in range(2):
            tx.store("on_call", {"n": number, "there": True})


def _check_history(store: Store) -> None:
    """The history, run again in the order of its tickets, gives what is there."""
    with TransactionManager(LmdbMemoryProvider(store)).sync as tx:
        tickets = [found.content for found in tx.find("ticket", order="+timestamp")]
        accounts = {found.content["n"]: found.content["left"] for found in tx.find("account")}
        assert any(found.content["there"] for found in tx.find("on_call"))
    assert [ticket["timestamp"] for ticket in tickets] == [*range(len(tickets))]
    again = dict.fromkeys(range(ACCOUNTS), 100)
    for ticket in tickets:
        assert ticket["amount"] <= again[ticket["giver"]]
        again[ticket["giver"]] -= ticket["amount"]
        again[ticket["taker"]] += ticket["amount"]
    assert again == accounts


def test_histories_of_threads_are_those_of_some_order(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key"), witness=None) as store:
        _prepare(store)
        provider, done = LmdbMemoryProvider(store), []

        def work(seed: int) -> None:
            done.extend(_work(provider, seed, 5))
            _skew(provider, seed, 5)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(ticket for ticket, _ in done) == [*range(30)]
        _check_history(store)


def worker(folder: str, seed: str) -> None:
    """Runs in a child process until it is done; tells of each commit that was acknowledged."""
    path = Path(folder)
    with Store.open(path / "store", keys=KeyFile(path / "key"), witness=None) as store:
        provider = LmdbMemoryProvider(store)
        print("begun", flush=True)
        for _ in range(1_000):
            for ticket, _ in _work(provider, int(seed), 1):
                print(ticket, flush=True)


def _started(folder: Path, seed: int) -> Child:
    code = "import sys; from tests.test_transaction_properties import worker; worker(*sys.argv[1:])"
    return started(code, str(folder), str(seed))


@pytest.mark.timeout(60)
def test_processes_that_are_killed_leave_whole_transactions(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "key")
    with Store.open(tmp_path / "store", keys=keys, witness=None) as store:
        _prepare(store)
    children = [_started(tmp_path, seed) for seed in range(3)]
    acknowledged: set[int] = set()
    for child in children:
        assert child.stdout.readline() == "begun\n"
    for number, child in enumerate(children):
        for _ in range(4 + number):
            acknowledged.add(int(child.stdout.readline()))
        child.process.send_signal(signal.SIGKILL)
        rest, _ = child.process.communicate()
        acknowledged.update(int(line) for line in rest.splitlines() if line.isdigit())
    with Store.open(tmp_path / "store", keys=keys, witness=None) as store:
        _check_history(store)
        with TransactionManager(LmdbMemoryProvider(store)).sync as tx:
            tickets = {found.content["timestamp"] for found in tx.find("ticket")}
        assert acknowledged <= tickets
        assert len(acknowledged) >= 15
        store.verify()
    with StoreReader(tmp_path / "store", key=reader.KeyFile(tmp_path / "key")) as second:
        second.verify()
