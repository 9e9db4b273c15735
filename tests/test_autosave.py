"""Agents saved in the background: when they changed, when it is due, and a last time at the end."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest

from dachi_fast import Attr, BaseModule, Store
from dachi_fast.errors import Conflict, StateError, StateTypeError
from dachi_fast.store._autosave import Timer


class Agent(BaseModule):
    count: int = Attr(default=0)
    square: int = Attr(default=0)
    extra: Any = Attr(default=None)


# What ends a wait that would never end.
WAIT_S = 20


class Hand(Timer):
    """A clock moved by hand: every `tick` ends one wait, and returns when the next one begins."""

    def __init__(self) -> None:
        self.time_s = 0.0
        self.asked_s: list[float] = []
        self._ticks: queue.Queue[None] = queue.Queue()
        self._waits: queue.Queue[None] = queue.Queue()

    def now_s(self) -> float:
        return self.time_s

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        self.asked_s.append(seconds)
        self._waits.put(None)
        while not stop.is_set():
            try:
                self._ticks.get(timeout=0.01)
            except queue.Empty:
                continue
            self.time_s += seconds
            return False
        return True

    async def await_(self, stop: asyncio.Event, seconds: float) -> bool:
        self.asked_s.append(seconds)
        self._waits.put(None)
        while not stop.is_set():
            await asyncio.sleep(0)
            if not self._ticks.empty():
                self._ticks.get()
                self.time_s += seconds
                return False
        return True

    def tick(self) -> None:
        """Lets the next save be due, and waits until it is over."""
        self._waits.get(timeout=WAIT_S)
        self._ticks.put(None)
        self._waits.get(timeout=WAIT_S)
        self._waits.put(None)

    def due(self) -> None:
        """Lets the next save be due, and the thread come as far as it can."""
        self._ticks.put(None)
        while not self._ticks.empty():
            os.sched_yield()
        for _ in range(1_000):
            os.sched_yield()

    def tick_ahead(self) -> None:
        """Lets the next save be due while one runs, and the thread come as far as it can."""
        self._ticks.put(None)
        for _ in range(1_000):
            os.sched_yield()

    async def atick(self) -> None:
        """The same in a loop."""
        asked = len(self.asked_s)
        self._ticks.put(None)
        while len(self.asked_s) <= max(asked, 1):  # noqa: ASYNC110 - a step of the loop each
            await asyncio.sleep(0)


def _counts(store: Store, name: str = "a") -> list[int]:
    versions = reversed(store.history(name))
    return [store.load(name, version=version.number).count for version in versions]


def _fail(agent: Agent, **values: Any) -> None:
    for name, value in values.items():
        setattr(agent, name, value)
    raise KeyError


def test_it_saves_on_entering_when_due_and_on_leaving(store: Store) -> None:
    agent, clock = Agent(), Hand()
    with store.autosave(agent, "a", timer=clock) as saving:
        assert _counts(store) == [0]
        agent.count = 1
        clock.tick()
        assert _counts(store) == [0, 1]
        assert saving.version == store.history("a")[0]
        agent.count = 2
    assert _counts(store) == [0, 1, 2]
    assert {version.justification for version in store.history("a")} == {"autosave"}


def test_a_state_that_did_not_change_makes_no_version(store: Store) -> None:
    agent, clock = Agent(), Hand()
    store.save(agent, "a")
    with store.autosave(agent, "a", timer=clock) as saving:
        clock.tick()
        clock.tick()
        assert saving.version == store.history("a")[0]
        agent.count = 1
        clock.tick()
        agent.count = 0
        clock.tick()
    assert _counts(store) == [0, 1, 0]


def test_an_item_that_only_moved_is_a_change(store: Store) -> None:
    agent = Agent()
    agent.extra = [1, 2]
    with store.autosave(agent, "a"):
        agent.extra = [2, 1]
    assert len(store.history("a")) == 2


def test_a_block_that_raises_is_saved_too_and_says_so(store: Store) -> None:
    agent = Agent()
    with pytest.raises(KeyError), store.autosave(agent, "a", justification="lesson"):
        _fail(agent, count=1)
    assert _counts(store) == [0, 1]
    assert store.history("a")[0].justification == "lesson (after KeyError)"


def test_what_the_block_raised_comes_before_what_the_last_save_raised(store: Store) -> None:
    agent = Agent()
    with pytest.raises(KeyError) as caught, store.autosave(agent, "a"):
        _fail(agent, extra=object())
    assert "the last save of 'a' failed, too" in caught.value.__notes__[0]


def test_entering_raises_when_the_name_is_somebody_elses(store: Store) -> None:
    store.save(Agent(), "a")
    with pytest.raises(Conflict), store.autosave(Agent(), "a"):
        pytest.fail("the block must not run")
    assert "dachi_fast autosave" not in {thread.name for thread in threading.enumerate()}


def test_leaving_raises_what_the_last_save_raises(store: Store) -> None:
    agent = Agent()
    saving = store.autosave(agent, "a")
    saving.__enter__()
    store.save(Agent(), "a", base="latest")
    agent.count = 1
    with pytest.raises(Conflict):
        saving.__exit__(None, None, None)


def test_a_save_that_fails_in_the_background_is_told_and_tried_again(store: Store) -> None:
    agent, clock = Agent(), Hand()
    told: list[Exception] = []
    with store.autosave(agent, "a", timer=clock, on_error=told.append) as saving:
        agent.extra = object()
        clock.tick()
        failed = saving.error
        assert isinstance(failed, StateError)
        assert told == [failed]
        agent.extra = None
        agent.count = 1
        clock.tick()
        assert saving.error is None
        assert _counts(store) == [0, 1]


def _refuse(_: Exception) -> None:
    raise LookupError("nobody listens")


def test_an_on_error_that_raises_stops_no_save(store: Store) -> None:
    """Symptom: nothing was saved any more, off the loop not even at the end. Cause: what `on_error`
    raised ended the thread, or the task. Fix: saves go on, and who leaves the block hears of it."""
    agent, clock = Agent(), Hand()
    saving = store.autosave(agent, "a", timer=clock, on_error=_refuse)
    saving.__enter__()
    agent.extra = object()
    clock.tick()
    agent.extra, agent.count = None, 1
    clock.tick()
    assert _counts(store) == [0, 1]
    agent.count = 2
    with pytest.raises(LookupError, match="nobody listens"):
        saving.__exit__(None, None, None)
    assert _counts(store) == [0, 1, 2]


async def test_in_a_loop_an_on_error_that_raises_stops_no_save(store: Store) -> None:
    agent, clock = Agent(), Hand()
    saving = store.autosave(agent, "a", timer=clock, on_error=_refuse)
    await saving.__aenter__()
    agent.extra = object()
    await clock.atick()
    with pytest.raises(ExceptionGroup) as caught:
        await saving.__aexit__(None, None, None)
    assert [type(error) for error in caught.value.exceptions] == [StateTypeError, LookupError]
    agent.extra, agent.count = None, 2
    saving = store.autosave(agent, "a", timer=Hand())
    async with saving:
        pass
    assert _counts(store) == [0, 2]


def test_saves_are_due_at_multiples_of_the_period_however_late_one_was(store: Store) -> None:
    agent, clock = Agent(), Hand()
    with store.autosave(agent, "a", every_s=10, timer=clock):
        clock.tick()
        clock.time_s += 3  # the second save is that late
        clock.tick()
        clock.time_s += 27  # the third misses two
        clock.tick()
        assert clock.asked_s == [10, 10, 7, 3]


def test_changes_that_belong_together_are_saved_together(store: Store) -> None:
    agent, clock = Agent(), Hand()
    with store.autosave(agent, "a", timer=clock) as saving, saving.hold():
        agent.count = 3
        clock.due()
        agent.square = 9
    states = [store.load("a", version=n) for n in range(1, len(store.history("a")) + 1)]
    assert [(state.count, state.square) for state in states] == [(0, 0), (3, 9)]


def test_a_period_is_more_than_nothing_and_a_block_is_entered_once(store: Store) -> None:
    for wrong in (0, -1, float("inf"), float("nan"), 1e300):
        with pytest.raises(ValueError, match="every_s is more than 0 seconds and at most"):
            store.autosave(Agent(), "a", every_s=wrong)
    saving = store.autosave(Agent(), "a")
    with saving, pytest.raises(RuntimeError, match="runs already"):
        saving.__enter__()
    with saving:
        pass


async def test_in_a_loop_it_does_the_same(store: Store) -> None:
    agent, clock = Agent(), Hand()
    async with store.autosave(agent, "a", timer=clock) as saving:
        agent.count = 1
        await clock.atick()
        assert _counts(store) == [0, 1]
        await clock.atick()
        with pytest.raises(RuntimeError, match="runs already"):
            await saving.__aenter__()
        agent.count = 2
    assert _counts(store) == [0, 1, 2]
    assert saving.version == store.history("a")[0]


async def test_in_a_loop_errors_surface_alike(store: Store) -> None:
    agent, clock = Agent(), Hand()
    told: list[Exception] = []
    saving = store.autosave(agent, "a", timer=clock, on_error=told.append)
    await saving.__aenter__()
    agent.extra = object()
    await clock.atick()
    with pytest.raises(StateError):
        await saving.__aexit__(None, None, None)
    assert isinstance(told[0], StateError)
    store.save(Agent(), "b")
    with pytest.raises(Conflict):
        async with store.autosave(Agent(), "b"):
            pytest.fail("the block must not run")


async def test_a_cancelled_block_is_saved(store: Store) -> None:
    agent, entered = Agent(), asyncio.Event()

    async def learn() -> None:
        async with store.autosave(agent, "a"):
            agent.count = 1
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(learn())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert _counts(store) == [0, 1]
    assert store.history("a")[0].justification == "autosave (after CancelledError)"


@pytest.mark.parametrize("stopped", [True, False])
async def test_the_real_timer_waits_for_the_stop_or_the_time(stopped: bool) -> None:
    clock, stop, loop_stop = Timer(), threading.Event(), asyncio.Event()
    if stopped:
        stop.set()
        loop_stop.set()
    seconds = 60 if stopped else 0
    assert clock.wait(stop, seconds) is stopped
    assert await clock.await_(loop_stop, seconds) is stopped
    before = clock.now_s()
    assert before <= clock.now_s() < before + 60


def test_one_save_of_an_agent_runs_at_a_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    agent, clock = Agent(), Hand()
    saves: queue.Queue[Callable[[], object]] = queue.Queue()
    queued: Callable[..., None] = store._queue

    def slowly(*given: Any, **options: Any) -> None:
        *what, done = given
        queued(*what, lambda row, error: saves.put(lambda: done(row, error)), **options)

    with store.autosave(agent, "a", timer=clock):
        monkeypatch.setattr(store, "_queue", slowly)
        agent.count = 1
        clock.due()
        end_of_first = saves.get(timeout=WAIT_S)
        # It is not over, though the next one is due and the agent has changed.
        agent.count = 2
        clock.tick_ahead()
        assert saves.empty()
        end_of_first()
        end_of_second = saves.get(timeout=WAIT_S)
        monkeypatch.undo()
        end_of_second()
    assert _counts(store) == [0, 1, 2]
