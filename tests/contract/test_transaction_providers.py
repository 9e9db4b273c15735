"""What holds for every transaction provider; each one adds only how it is made."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dachi_fast import KeyFile, LmdbMemoryProvider, Store, TransactionManager
from dachi_fast.errors import (
    Conflict,
    Finished,
    QueryError,
    StateError,
    StoreError,
    TransactionError,
    UnknownName,
)
from dachi_fast.types import TransactionProvider

KIND = "task_result"
START = datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC)

# Gives a provider of a namespace: always the same documents for the same name.
Make = Callable[[str], TransactionProvider]


class Clock:
    """Stands still unless it is told to go on, or back."""

    now_ns = 1_795_000_000 * 1_000_000_000

    def __call__(self) -> int:
        return self.now_ns

    def pass_s(self, passed_s: float) -> None:
        self.now_ns += round(passed_s * 1e9)


def hours(number: int) -> datetime.datetime:
    return START + datetime.timedelta(hours=number)


def stored(provider: TransactionProvider, *documents: dict[str, Any], **more: Any) -> list[str]:
    with TransactionManager(provider).sync as tx:
        return [tx.store(KIND, document, **more) for document in documents]


def contents(provider: TransactionProvider, **query: Any) -> list[dict[str, Any]]:
    with TransactionManager(provider).sync as tx:
        return [found.content for found in tx.find(KIND, **query)]


class TransactionProviderContract:
    """Base of one class for each provider, which defines `make` and `clock`."""

    def test_all_of_a_block_is_there_after_it_and_nothing_before(self, make: Make) -> None:
        provider = make("a")
        with TransactionManager(provider).sync as tx:
            first = tx.store(KIND, {"n": 1})
            second = tx.store("neural_weights", {"n": 2})
            assert tx.retrieve(KIND, first).content == {"n": 1}
            assert contents(provider) == []
        with TransactionManager(provider).sync as tx:
            assert tx.retrieve(KIND, first).content == {"n": 1}
            assert tx.retrieve("neural_weights", second).content == {"n": 2}
            assert tx.retrieve(KIND, second, default=None) is None

    def test_a_transaction_shows_where_it_is_and_whether_it_is_open(self, make: Make) -> None:
        with TransactionManager(make("a")).sync as tx:
            assert repr(tx).endswith(" on 'a', open>")
        assert repr(tx).endswith(" on 'a', finished>")

    def test_what_a_block_raises_takes_all_of_it_back(self, make: Make) -> None:
        provider = make("a")
        [kept] = stored(provider, {"n": 1})
        with pytest.raises(ZeroDivisionError), TransactionManager(provider).sync as tx:  # noqa: PT012
            tx.store(KIND, {"n": 2})
            tx.update(KIND, kept, {"n": 3})
            tx.delete(KIND, kept)
            _ = 1 / 0
        assert contents(provider) == [{"n": 1}]

    async def test_the_async_form_does_the_same(self, make: Make) -> None:
        provider = make("a")
        async with TransactionManager(provider) as tx:
            first = await tx.store(KIND, {"n": 1, "m": 1})
            await tx.update(KIND, first, {"n": 2})
            assert (await tx.retrieve(KIND, first)).content == {"n": 2, "m": 1}
            await tx.replace(KIND, first, {"n": 3})
            gone = await tx.store(KIND, {"n": 4})
            await tx.delete(KIND, gone)
        with pytest.raises(ZeroDivisionError):  # noqa: PT012
            async with TransactionManager(provider) as tx:
                await tx.store(KIND, {"n": 5})
                _ = 1 / 0
        async with TransactionManager(provider) as tx:
            assert [found.content for found in await tx.find(KIND)] == [{"n": 3}]
            await tx.rollback()

    def test_documents_hold_every_state_value(self, make: Make) -> None:
        document = {
            "timestamp": START,
            "naive": START.replace(tzinfo=None),
            "blob": b"\0" * 100_000,
            "weights": np.arange(6, dtype=np.float32).reshape(2, 3),
            "metrics": {...},
            "nested": {"a": [(1, None), frozenset({2.5})], 3: "x" * 10_000},
        }
        provider = make("a")
        [key] = stored(provider, document)
        with TransactionManager(provider).sync as tx:
            found = tx.retrieve(KIND, key).content
        np.testing.assert_array_equal(found.pop("weights"), document.pop("weights"))
        assert found == document
        assert type(found["nested"]["a"][0]) is tuple

    def test_a_value_that_cannot_be_held_leaves_the_transaction_as_it_was(self, make: Make) -> None:
        provider = make("a")
        with TransactionManager(provider).sync as tx:
            key = tx.store(KIND, {"n": 1})
            for bad in ({"deep": {"in": [object()]}}, {1: 2}, [1]):
                with pytest.raises(StateError):
                    tx.store(KIND, bad)  # type: ignore[arg-type]
            with pytest.raises(StateError) as caught:
                tx.update(KIND, key, {"deep": {"in": [object()]}})
            assert caught.value.context["path"] == "deep.in.0"
        assert contents(provider) == [{"n": 1}]

    def test_what_is_given_belongs_to_the_caller(self, make: Make) -> None:
        provider, document = make("a"), {"list": [1]}
        with TransactionManager(provider).sync as tx:
            key = tx.store(KIND, document)
            document["list"].append(2)
            tx.retrieve(KIND, key).content["list"].append(3)
        assert contents(provider) == [{"list": [1]}]

    def test_a_document_that_is_not_there_is_told(self, make: Make) -> None:
        provider = make("a")
        [key] = stored(provider, {"n": 1})
        with TransactionManager(provider).sync as tx:
            tx.delete(KIND, key)
            for missing in (key, "0" * 32, "", "no id", "AB" * 16):
                for attempt in (tx.retrieve, tx.delete):
                    with pytest.raises(UnknownName) as caught:
                        attempt(KIND, missing)
                    assert caught.value.code == "unknown-document"
                with pytest.raises(UnknownName):
                    tx.update(KIND, missing, {"n": 2})

    def test_a_memory_type_must_be_text_of_a_fair_length(self, make: Make) -> None:
        with TransactionManager(make("a")).sync as tx:
            for bad in ("", "a\0b", "x" * 256, "\ud800"):
                with pytest.raises(StoreError):
                    tx.store(bad, {})
                with pytest.raises(StoreError):
                    tx.find(bad)

    def test_two_that_change_one_document_conflict(self, make: Make) -> None:
        provider = make("a")
        [key] = stored(provider, {"n": 1})
        one, other = provider.begin(), provider.begin()
        for session, number in ((one, 2), (other, 3)):
            more: Any = {"agent_id": "", "justification": "", "ttl_ns": None}
            assert session.replace(0, KIND, key, {"n": number}, **more)
        one.commit()
        with pytest.raises(Conflict):
            other.commit()
        assert not other.open
        assert contents(provider) == [{"n": 2}]

    def test_what_others_store_where_one_has_looked_is_a_conflict(self, make: Make) -> None:
        provider = make("a")
        stored(provider, {"agent_id": "x", "n": 1})
        cases: list[tuple[dict[str, Any], str, bool]] = [
            ({"agent_id": "x"}, "x", True),
            ({"agent_id": "x"}, "y", False),
            ({"n": 9}, "y", True),
            ({"agent_id": {">=": "q", "<": "r"}}, "q", True),
            ({"agent_id": {">=": "q", "<": "r"}}, "r", False),
        ]
        for where, agent, conflicts in cases:
            manager = TransactionManager(provider).sync
            with manager as tx:
                tx.find(KIND, where=where)
                tx.store("note", {})
                stored(provider, {"agent_id": agent, "n": 0})
                if conflicts:
                    with pytest.raises(Conflict):
                        tx.commit()

    def test_a_snapshot_does_not_move(self, make: Make) -> None:
        provider = make("a")
        [key] = stored(provider, {"n": 1})
        with TransactionManager(provider).sync as tx:
            with TransactionManager(provider).sync as other:
                other.update(KIND, key, {"n": 2})
                other.store(KIND, {"n": 3})
            assert [found.content for found in tx.find(KIND)] == [{"n": 1}]
            assert tx.retrieve(KIND, key).content == {"n": 1}

    def test_a_conflict_is_run_again_until_it_is_none(self, make: Make) -> None:
        provider = make("a")
        [key] = stored(provider, {"n": 0})
        runs: list[int] = []

        def work(tx: Any) -> int:
            number: int = tx.retrieve(KIND, key).content["n"]
            if len(runs) < 2:
                with TransactionManager(provider).sync as other:
                    other.update(KIND, key, {"n": number + 10})
            runs.append(number)
            tx.update(KIND, key, {"n": number + 1})
            return number

        manager = TransactionManager(provider).sync
        assert manager.run(work) == 20
        assert runs == [0, 10, 20]
        with pytest.raises(ValueError, match="attempts"):
            manager.run(work, attempts=0)
        runs.clear()
        with pytest.raises(Conflict):
            manager.run(work, attempts=2)
        assert contents(provider) == [{"n": 41}]

    async def test_the_async_form_runs_it_again_too(self, make: Make) -> None:
        provider = make("a")
        [key] = stored(provider, {"n": 0})
        runs: list[int] = []

        async def work(tx: Any) -> None:
            number = (await tx.retrieve(KIND, key)).content["n"]
            if not runs:
                async with TransactionManager(provider) as other:
                    await other.update(KIND, key, {"n": 10})
            runs.append(number)
            await tx.update(KIND, key, {"n": number + 1})

        await TransactionManager(provider).run(work)
        assert (runs, contents(provider)) == ([0, 10], [{"n": 11}])

    def test_a_finished_transaction_does_nothing_more(self, make: Make) -> None:
        provider = make("a")
        with TransactionManager(provider).sync as tx:
            key = tx.store(KIND, {"n": 1})
            tx.commit()
            assert not tx.open
            for late in (
                tx.commit,
                lambda: tx.store(KIND, {}),
                lambda: tx.retrieve(KIND, key),
                lambda: tx.find(KIND),
                lambda: tx.delete(KIND, key),
            ):
                with pytest.raises(Finished):
                    late()
            tx.rollback()
        assert contents(provider) == [{"n": 1}]

    def test_transactions_of_one_manager_do_not_nest(self, make: Make) -> None:
        manager = TransactionManager(make("a"))
        with manager.sync:
            with pytest.raises(TransactionError) as caught, manager.sync:
                pass
            assert caught.value.code == "nested"
        with manager.sync:  # again after it
            pass

    def test_one_transaction_spans_namespaces(self, make: Make) -> None:
        mine, team = make("mine"), make("team")
        with TransactionManager(mine, team).sync as tx:
            tx.store(KIND, {"n": 1})
            tx.on(team).store(KIND, {"n": 2})
            with pytest.raises(TransactionError):
                tx.on(make("another"))
        assert (contents(mine), contents(team)) == ([{"n": 1}], [{"n": 2}])
        with pytest.raises(ZeroDivisionError), TransactionManager(mine, team).sync as tx:  # noqa: PT012
            tx.store(KIND, {"n": 3})
            tx.on(team).store(KIND, {"n": 4})
            _ = 1 / 0
        assert (contents(mine), contents(team)) == ([{"n": 1}], [{"n": 2}])

    def test_where_compares_fields(self, make: Make) -> None:
        provider = make("a")
        documents: list[dict[str, Any]] = [
            {"agent_id": "x", "timestamp": hours(1), "n": 1},
            {"agent_id": "x", "timestamp": hours(2), "n": 2.5},
            {"agent_id": "y", "timestamp": hours(3), "n": True},
            {"agent_id": "x", "n": "1"},
            {"agent_id": None, "timestamp": hours(2)},
            {"agent_id": ["x"], "n": float("nan")},
            {},
        ]
        stored(provider, *documents)
        for where, expected in [
            ({}, range(7)),
            ({"agent_id": "x"}, [0, 1, 3]),
            ({"agent_id": None}, [4]),
            ({"agent_id": "x", "timestamp": {">=": hours(2)}}, [1]),
            ({"agent_id": "x", "timestamp": {">": hours(1), "<=": hours(2)}}, [1]),
            ({"timestamp": {"<": hours(3)}}, [0, 1, 4]),
            ({"timestamp": hours(2)}, [1, 4]),
            ({"timestamp": {">=": START.replace(tzinfo=None)}}, []),
            ({"agent_id": {"in": ["y", None, "z"]}}, [2, 4]),
            ({"agent_id": {"in": []}}, []),
            ({"n": 1}, [0]),
            ({"n": {"==": 1.0}}, [0]),
            ({"n": {">": 1}}, [1]),
            ({"n": True}, [2]),
            ({"n": {">=": ""}}, [3]),
            ({"n": {">": 3, "<": 2}}, []),
        ]:
            found = contents(provider, where=where)
            assert repr(found) == repr([documents[at] for at in expected]), where

    def test_documents_come_in_the_order_that_is_asked_for(self, make: Make) -> None:
        provider = make("a")
        documents = [{"agent_id": "x", "timestamp": hours(n % 3), "n": n} for n in range(7)]
        stored(provider, *documents, {"agent_id": "x", "n": 7})

        def numbers(**query: Any) -> list[int]:
            return [content["n"] for content in contents(provider, **query)]

        assert numbers() == [*range(8)]
        assert numbers(order="newest", limit=3) == [7, 6, 5]
        mine = {"agent_id": "x"}
        assert numbers(where=mine, order="+timestamp") == [7, 0, 3, 6, 1, 4, 2, 5]
        assert numbers(where=mine, order="-timestamp", limit=3) == [5, 2, 4]
        assert numbers(where=mine, order="newest", limit=2) == [7, 6]
        assert numbers(order="-n", limit=2) == [7, 6]

    def test_a_question_that_is_none_is_refused(self, make: Make) -> None:
        with TransactionManager(make("a")).sync as tx:
            for query in [
                {"where": {"n": {"$gt": 1}}},
                {"where": {"n": {}}},
                {"where": {"n": {"in": "text"}}},
                {"where": {"n": {"==": 1, "<": 2}}},
                {"where": {"n": {">": 1, "<": "2"}}},
                {"where": {"n": [1]}},
                {"where": {"n": float("nan")}},
                {"where": {"n": 1 << 70}},
                {"where": {1: 2}},
                {"where": ["n"]},
                {"order": "timestamp"},
                {"order": "+"},
                {"limit": 0},
                {"limit": -1},
                {"limit": 1.5},
                {"limit": True},
            ]:
                with pytest.raises(QueryError):
                    tx.find(KIND, **query)  # type: ignore[arg-type]

    def test_own_changes_are_found_at_once(self, make: Make) -> None:
        provider = make("a")
        [first, second] = stored(provider, {"agent_id": "x", "n": 1}, {"agent_id": "x", "n": 2})
        with TransactionManager(provider).sync as tx:
            tx.delete(KIND, first)
            tx.update(KIND, second, {"agent_id": "y"})
            tx.store(KIND, {"agent_id": "x", "n": 3})
            for where, expected in [
                ({"agent_id": "x"}, [3]),
                ({"agent_id": "y"}, [2]),
                ({}, [2, 3]),
            ]:
                found = tx.find(KIND, where=where, limit=2)
                assert [document.content["n"] for document in found] == expected

    def test_a_document_lives_to_the_nanosecond(self, make: Make, clock: Clock) -> None:
        provider = make("a")
        stored(provider, {"n": 1}, ttl_s=10)
        [longer] = stored(provider, {"n": 2}, ttl_s=10)
        with TransactionManager(provider).sync as tx:
            tx.update(KIND, longer, {"n": 3})
            assert tx.retrieve(KIND, longer).expires is not None
        clock.now_ns += 10 * 10**9 - 1
        assert contents(provider) == [{"n": 1}, {"n": 3}]
        with TransactionManager(provider).sync as tx:
            tx.update(KIND, longer, {"n": 4}, ttl_s=5)
            clock.now_ns += 1
            assert [found.content for found in tx.find(KIND)] == [{"n": 4}]
        clock.pass_s(5)
        assert contents(provider) == []
        with TransactionManager(provider).sync as tx:
            assert tx.retrieve(KIND, longer, default=None) is None
            with pytest.raises(UnknownName):
                tx.delete(KIND, longer)
            for bad in (0, -1, float("nan"), float("inf")):
                with pytest.raises(ValueError, match="ttl_s"):
                    tx.store(KIND, {}, ttl_s=bad)
            with pytest.raises(TypeError):
                tx.store(KIND, {}, ttl_s=True)

    def test_a_clock_that_goes_back_takes_nothing_back(self, make: Make, clock: Clock) -> None:
        provider = make("a")
        stored(provider, {"n": 1}, ttl_s=10)
        clock.pass_s(10)
        stored(provider, {"n": 2})
        clock.pass_s(-3600)
        assert contents(provider) == [{"n": 2}]
        stored(provider, {"n": 3})
        with TransactionManager(provider).sync as tx:
            before, after = tx.find(KIND)
        assert [before.content, after.content] == [{"n": 2}, {"n": 3}]
        assert before.created <= after.created


class TestLmdb(TransactionProviderContract):
    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def make(self, tmp_path: Path, clock: Clock) -> Iterator[Make]:
        keys = KeyFile(tmp_path / "key")
        with Store.open(tmp_path / "store", keys=keys, witness=None, clock=clock) as store:
            yield lambda namespace: LmdbMemoryProvider(store, namespace=namespace)
