"""Behaviour trees: statuses, leaves, composites, driving a tick."""

from __future__ import annotations

import asyncio
import itertools
import json

import pytest

from dachi_fast import (
    Action,
    AdaptModule,
    Attr,
    Condition,
    Fallback,
    ModuleList,
    Multi,
    Parallel,
    Param,
    Selector,
    Sequence,
    Task,
    TaskStatus,
)

S, F, R, W = TaskStatus.SUCCESS, TaskStatus.FAILURE, TaskStatus.RUNNING, TaskStatus.WAITING


class Play(Action):
    """Gives the statuses of its script, one a tick."""

    script: list[TaskStatus] = Param()
    ticks: int = Attr(default=0)

    async def act(self) -> TaskStatus:
        self.ticks += 1
        return self.script[self.ticks - 1]


class Flag(Condition):
    value: bool = Param()

    async def condition(self) -> bool:
        return self.value


class Blocked(Action):
    """Waits until it is cancelled."""

    cancelled: bool = Attr(default=False)

    async def act(self) -> TaskStatus:
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled = True
        return S


class Yielding(Action):
    async def act(self) -> TaskStatus:
        await asyncio.sleep(0)
        return S


class TimedOut(Action):
    async def act(self) -> TaskStatus:
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 0.001)
        except TimeoutError:
            return F
        return S


def plays(*scripts: list[TaskStatus]) -> list[Task]:
    return [Play(script=s) for s in scripts]


def test_statuses_know_what_they_are() -> None:
    assert [s for s in TaskStatus if s.is_done] == [S, F]
    assert [s for s in TaskStatus if s.in_progress] == [R, W]
    assert all(getattr(s, s.value) for s in TaskStatus)
    assert (S.invert(), F.invert(), R.invert()) == (F, S, R)
    assert (TaskStatus.from_bool(True), TaskStatus.from_bool(False)) == (S, F)


@pytest.mark.parametrize("pair", list(itertools.product((S, R, W, F), repeat=2)))
def test_or_prefers_success_and_and_prefers_failure(pair: tuple[TaskStatus, TaskStatus]) -> None:
    a, b = pair
    assert a | b == min(pair, key=[S, R, W, F].index)
    assert a & b == min(pair, key=[F, R, W, S].index)


def test_an_action_starts_ready_and_is_not_rerun_when_done() -> None:
    task = Play(script=[R, S, F])
    assert task.status.ready
    assert [task.forward() for _ in range(3)] == [R, S, S]
    assert task.ticks == 2
    task.reset()
    assert task.status.ready
    assert task.forward() is F


def test_a_condition_asks_anew() -> None:
    flag = Flag(value=True)
    assert flag.forward() is S
    flag.value = False
    assert flag.forward() is F


async def test_awaiting_a_called_task_ticks_it() -> None:
    assert await Play(script=[S])() is S


def test_a_sequence_takes_one_task_a_tick() -> None:
    tree = Sequence(tasks=plays([S], [R, S], [S]))
    assert [tree.forward() for _ in range(5)] == [R, R, R, S, S]


def test_a_sequence_fails_with_its_first_failure_and_leaves_the_rest_ready() -> None:
    tree = Sequence(tasks=plays([S], [F], [S]), cascaded=True)
    assert tree.forward() is F
    assert [t.status for t in tree.subtasks()] == [S, F, TaskStatus.READY]


def test_a_cascade_goes_on_until_one_is_running() -> None:
    tree = Sequence(tasks=plays([S], [R, S], [S]), cascaded=True)
    assert [tree.forward(), tree.forward()] == [R, S]


def test_a_selector_takes_the_first_success() -> None:
    assert Fallback is Selector
    tree = Selector(tasks=plays([F], [W, S], [S]))
    assert [tree.forward() for _ in range(3)] == [R, W, S]
    assert Selector(tasks=plays([F], [F]), cascaded=True).forward() is F


def test_empty_composites_have_a_result() -> None:
    assert (Sequence().forward(), Selector(tasks=[]).forward()) == (S, F)


def test_reset_rewinds_and_resets_the_tasks() -> None:
    tree = Sequence(tasks=plays([S, S], [S, S]), cascaded=True)
    assert tree.forward() is S
    tree.reset()
    assert [tree.status, *(t.status for t in tree.subtasks())] == [TaskStatus.READY] * 3
    assert tree.forward() is S


@pytest.mark.parametrize("kind", [Sequence, Selector, Parallel])
def test_tasks_are_a_list_a_module_list_or_none(kind: type[Sequence]) -> None:
    assert kind(tasks=None).subtasks() == []
    assert len(kind(tasks=ModuleList(items=plays([S], [S]))).subtasks()) == 2
    for wrong in (3, "tasks", [3]):
        with pytest.raises(ValueError, match="task"):
            kind(tasks=wrong)  # type: ignore[arg-type]


def test_a_tree_goes_on_from_its_state() -> None:
    tree = Sequence(tasks=ModuleList(items=[*plays([S], [R, S]), Flag(value=True)]))
    tree.forward()
    tree.forward()
    state = json.loads(json.dumps(tree.state_dict()))
    twin = Sequence.from_spec(tree.spec().model_dump())
    twin.load_state_dict(state)
    assert twin.status is R
    assert [twin.forward(), twin.forward()] == [R, S]


@pytest.mark.parametrize(
    ("scripts", "options", "expected"),
    [
        (([S], [S]), {}, [S]),
        (([S], [R, S]), {}, [R, S]),
        (([F], [R, S]), {}, [R, F]),
        (([F], [R, S]), {"preempt": True}, [F]),
        (([F], [S], [S]), {"fails_on": 2, "succeeds_on": 2}, [S]),
        (([S], [F]), {"fails_on": 1, "succeeds_on": 1}, [S]),
        (([S], [F]), {"fails_on": 1, "succeeds_on": 1, "success_priority": False}, [F]),
        (([F], [F], [S]), {"fails_on": -1, "succeeds_on": 1}, [S]),
    ],
)
def test_parallel_counts(
    scripts: tuple[list[TaskStatus], ...], options: dict[str, int], expected: list[TaskStatus]
) -> None:
    tree = Multi(tasks=plays(*scripts), **options)  # type: ignore[arg-type]
    assert [tree.forward() for _ in expected] == expected


@pytest.mark.parametrize(
    "options", [{"fails_on": 0}, {"succeeds_on": -4}, {"fails_on": 2}, {"succeeds_on": 0}]
)
def test_counts_that_cannot_be_met_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="fails_on"):
        Parallel(tasks=plays([S], [S]), **options)  # type: ignore[arg-type]


def test_preempting_cancels_and_awaits_running_tasks() -> None:
    blocked = Blocked()
    tree = Parallel(tasks=[*plays([F]), blocked], preempt=True)
    assert tree.forward() is F
    assert blocked.cancelled


def test_forward_waits_only_where_a_tick_suspends() -> None:
    assert Yielding().forward() is S
    assert TimedOut().forward() is F
    assert Parallel(tasks=[TimedOut(), Yielding()]).forward() is F


async def test_forward_inside_a_running_loop_cannot_wait() -> None:
    assert Play(script=[S]).forward() is S
    with pytest.raises(RuntimeError, match="await"):
        Yielding().forward()


def test_composites_see_through_adapt_modules() -> None:
    step = AdaptModule(Play(script=[S]))
    tree = Sequence(tasks=[step])  # type: ignore[list-item]
    assert tree.forward() is S
    assert "tasks.0._adapted.ticks" in tree.state_dict()
    twin = Sequence.from_spec(tree.spec().model_dump())
    twin.load_state_dict(tree.state_dict())
    assert twin.state_dict() == tree.state_dict()


def test_an_error_of_a_task_reaches_the_caller() -> None:
    with pytest.raises(IndexError):
        Play(script=[]).forward()
    with pytest.raises(IndexError):
        Parallel(tasks=plays([], [S])).forward()
