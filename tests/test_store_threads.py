"""Threads, forks and interruptions: every handle stays usable, nothing is mixed up."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dachi_fast import Attr, BaseModule, KeyFile, Param, Store
from dachi_fast.errors import Conflict, DachiError, StoreClosed
from tests.threads import together


class Counter(BaseModule):
    count: int = Attr(default=0)
    weights: Any = Attr(default=None)


class Wide(BaseModule):
    leaves: list[BaseModule] = Param(default_factory=list)


def test_threads_that_save_different_names_do_not_mix(store: Store) -> None:
    def work(number: int) -> None:
        counter = Counter()
        for step in range(20):
            counter.count = number * 1000 + step
            store.save(counter, f"agent {number}")

    together(work)
    for number in range(6):
        versions = store.history(f"agent {number}")
        assert [version.number for version in versions] == list(range(20, 0, -1))
        counts = [store.load(f"agent {number}", version=n).count for n in range(1, 21)]
        assert counts == [number * 1000 + step for step in range(20)]
    assert store.verify().ledger_entries == 1 + 6 * 20


def test_threads_that_overrule_each_other_make_one_line_of_versions(store: Store) -> None:
    def work(number: int) -> list[int]:
        counter = Counter()
        numbers = []
        for step in range(15):
            counter.count = number * 1000 + step
            numbers.append(store.save(counter, "agent", base="latest").number)
        return numbers

    numbers = together(work)
    assert sorted(n for own in numbers for n in own) == list(range(1, 91))
    for number, own in enumerate(numbers):
        for step, version in enumerate(own):
            assert store.load("agent", version=version).count == number * 1000 + step


def test_of_threads_that_build_on_one_version_one_wins(store: Store) -> None:
    store.save(Counter(), "agent")

    def work(number: int) -> bool:
        mine = store.load("agent", version=1)
        mine.count = number
        try:
            store.save(mine, "agent", base=1)
        except Conflict:
            return False
        return True

    won = together(work)
    assert sum(won) == 1
    assert len(store.history("agent")) == 2
    assert store.load("agent").count == won.index(True)


def test_threads_load_whole_versions_while_another_saves(store: Store) -> None:
    counter = Counter()
    counter.weights = np.zeros(50_000)
    store.save(counter, "agent")
    done = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            try:
                for step in range(1, 40):
                    counter.count = step
                    counter.weights = np.full(50_000, step, dtype=float)
                    store.save(counter, "agent")
            finally:
                done.set()
            return 0
        seen = 0
        while not done.is_set():
            loaded = store.load("agent")
            assert np.all(loaded.weights == loaded.count)
            assert loaded.count >= seen
            seen = loaded.count
            assert store.diff("agent", 1, 1) == []
        return seen

    together(work, threads=4)
    assert store.load("agent").count == 39
    assert store.verify().versions == 40


def test_a_store_that_is_closed_while_threads_use_it_gives_each_an_answer(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key"))
    store.save(Counter(), "agent")
    passed = threading.Semaphore(0)

    def work(number: int) -> str:
        if number == 0:
            for _ in range(20):
                passed.acquire()
            store.close()
            return "closed"
        while True:
            try:
                store.load("agent")
                store.save(Counter(), f"{number}", base="latest")
            except StoreClosed:
                return "refused"
            finally:
                passed.release()

    assert together(work, threads=4) == ["closed", "refused", "refused", "refused"]
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as again:
        again.verify()


# --- forks ----------------------------------------------------------------------------------------


def _in_a_child(work: Callable[[], str]) -> str:
    """Gives what `work` says in a forked child."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = work()
        except BaseException as error:  # noqa: BLE001 - the parent must hear of any
            said = f"{type(error).__name__}: {error}"
        os.write(writes, said.encode()[:4000])
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as pipe:
        said = pipe.read()
    assert os.waitpid(child, 0)[1] == 0, said
    return said


def _code_of(ask: Callable[[], object]) -> str:
    try:
        ask()
    except DachiError as error:
        return f"{type(error).__name__} {error.code}"
    return "no error"


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_child_is_told_to_open_the_store_anew(store: Store) -> None:
    counter = Counter()
    store.save(counter, "agent")

    def work() -> str:
        asks: list[Callable[[], object]] = [
            lambda: store.save(counter, "agent"),
            lambda: store.load("agent"),
            lambda: store.load_into(counter, "agent"),
            lambda: store.rollback("agent", to=1),
            lambda: store.history("agent"),
            lambda: store.diff("agent", 1, 1),
            store.names,
            store.ledger,
            store.verify,
        ]
        return ", ".join(sorted({_code_of(ask) for ask in asks}))

    assert _in_a_child(work) == "StoreClosed forked"
    counter.count = 1
    assert store.save(counter, "agent").number == 2


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_what_a_child_does_with_its_copy_of_the_handle_leaves_the_parent_alone(
    tmp_path: Path,
) -> None:
    keys = KeyFile(tmp_path / "key")
    with Store.open(tmp_path / "store", keys=keys) as store:
        counter = Counter()
        store.save(counter, "agent")

        def work() -> str:
            store.close()
            with Store.open(tmp_path / "store", keys=keys) as own:
                copy = own.load("agent")
                copy.count = 10
                return str(own.save(copy, "agent").number)

        assert _in_a_child(work) == "2"
        with pytest.raises(Conflict):
            store.save(counter, "agent")
        counter = store.load("agent")
        for count in range(3):
            counter.count += count
            store.save(counter, "agent")
        assert store.load("agent").count == 13
        assert store.verify().versions == 5

    def opened() -> str:
        with Store.open(tmp_path / "store", keys=keys) as own:
            return str(own.load("agent").count)

    assert _in_a_child(opened) == "13"


# --- interruptions --------------------------------------------------------------------------------


def _wide(store: Store) -> Wide:
    """Saves enough records for verify to tell of its progress several times."""
    agent = Wide(leaves=[Counter() for _ in range(300)])
    rng = np.random.default_rng(3)
    for leaf in agent.leaves:
        leaf.weights = rng.standard_normal(20_000)  # type: ignore[attr-defined]
    store.save(agent, "wide")
    return agent


def test_verify_tells_of_its_progress_and_ends_when_told_to(store: Store) -> None:
    agent = _wide(store)
    told: list[int] = []
    report = store.verify(progress=told.append)
    assert len(told) >= 2
    assert told == sorted(told)
    assert told[-1] <= report.nodes

    class Enough(Exception):
        pass

    def enough(_: int) -> None:
        raise Enough

    with pytest.raises(Enough):
        store.verify(progress=enough)
    assert store.verify() == report
    assert store.save(agent, "wide").number == 2


def test_ctrl_c_ends_a_verify_and_the_store_stays_usable(store: Store) -> None:
    agent = _wide(store)
    told: list[int] = []

    def interrupt(nodes: int) -> None:
        told.append(nodes)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        store.verify(progress=interrupt)
    assert len(told) == 1
    assert store.verify().versions == 1
    assert store.save(agent, "wide").number == 2
