"""Behaviour trees: statuses, tasks, leaves, sequences and selectors."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest

from dachi_fast import (
    Action,
    AdaptModule,
    Attr,
    Condition,
    CountLimit,
    Fallback,
    FixedTimer,
    ModuleList,
    Parallel,
    RandomTimer,
    Selector,
    Sequence,
    Task,
    TaskStatus,
)
from tests.tasks import HOLDERS, READY, F, Flag, Play, R, S, SlowPlay, Tick, W, WaitFlag, plays


@pytest.fixture(params=HOLDERS)
def held(request: pytest.FixtureRequest) -> Callable[[list[Any]], Any]:
    return HOLDERS[request.param]


@pytest.fixture(params=[Play, SlowPlay])
def play(request: pytest.FixtureRequest) -> type[Play]:
    """A task that never suspends, and one that does."""
    kind: type[Play] = request.param
    return kind


# --- statuses -------------------------------------------------------------------------------------


def test_statuses_know_what_they_are() -> None:
    assert [s for s in TaskStatus if s.is_done] == [S, F]
    assert [s for s in TaskStatus if s.in_progress] == [R, W]
    for status in TaskStatus:
        properties = ("ready", "success", "failure", "running", "waiting")
        assert [p for p in properties if getattr(status, p)] == [status.value]


def test_inverting_swaps_success_and_failure_only() -> None:
    assert [s.invert() for s in (S, F, R, W, READY)] == [F, S, R, W, READY]


def test_a_truth_becomes_a_status() -> None:
    assert (TaskStatus.from_bool(True), TaskStatus.from_bool(False)) == (S, F)


@pytest.mark.parametrize("pair", list(itertools.product((S, R, W, F), repeat=2)))
def test_or_prefers_success_and_and_prefers_failure(pair: tuple[TaskStatus, TaskStatus]) -> None:
    a, b = pair
    assert a | b == min(pair, key=[S, R, W, F].index)
    assert a & b == min(pair, key=[F, R, W, S].index)


@pytest.mark.parametrize("status", list(TaskStatus))
def test_ready_gives_way_to_any_other_status(status: TaskStatus) -> None:
    assert (READY | status, status | READY) == (status, status)
    assert (READY & status, status & READY) == (status, status)


# --- tasks and leaves -----------------------------------------------------------------------------


class Once(Task):
    """Writes its status itself."""

    async def tick(self) -> TaskStatus:
        self._status = S
        return self._status


def test_a_task_starts_ready_and_keeps_the_status_that_it_wrote(tick: Tick) -> None:
    task = Once()
    assert task.status is READY
    assert (tick(task), task.status) == (S, S)
    assert task.state_dict() == {"_status": S}
    twin = Once()
    twin.load_state_dict(json.loads(json.dumps(task.state_dict())))
    assert twin.status is S
    task.reset()
    assert task.status is READY


@pytest.mark.parametrize("kind", [Task, Action, Condition])
def test_a_task_that_nobody_wrote_says_what_is_missing(kind: type[Task], tick: Tick) -> None:
    with pytest.raises(NotImplementedError, match=rf"{kind.__name__} has no \w+\(\)"):
        tick(kind())


def test_an_action_is_not_rerun_when_done(tick: Tick, play: type[Play]) -> None:
    task = play(script=[R, S, F])
    assert [tick(task) for _ in range(3)] == [R, S, S]
    assert task.ticks == 2
    task.reset()
    assert task.status is READY
    assert tick(task) is F


@pytest.mark.parametrize("given", [None, True, "success"])
def test_an_action_that_gives_no_status_is_told_so(given: Any, tick: Tick) -> None:
    class Careless(Action):
        async def act(self) -> TaskStatus:
            return given  # type: ignore[no-any-return]

    task = Careless()
    with pytest.raises(TypeError, match=r"act\(\) of Careless gave"):
        tick(task)
    assert task.status is READY


def test_a_condition_asks_anew(tick: Tick) -> None:
    flag = Flag(value=True)
    assert tick(flag) is S
    flag.value = False
    assert tick(flag) is F


def test_a_wait_condition_waits_until_it_holds(tick: Tick) -> None:
    flag = WaitFlag(value=False)
    assert (tick(flag), flag.status) == (W, W)
    flag.value = True
    assert tick(flag) is S


@pytest.mark.parametrize("result", [S, F])
def test_a_count_limit_is_reached_at_its_last_tick(result: TaskStatus, tick: Tick) -> None:
    limit = CountLimit(count=3, on_reached=result)
    assert [tick(limit) for _ in range(4)] == [R, R, result, result]
    limit.reset()
    assert [tick(limit) for _ in range(3)] == [R, R, result]


def test_a_count_limit_that_cannot_be_reached_is_refused() -> None:
    with pytest.raises(ValueError, match="count is 0"):
        CountLimit(count=0)
    with pytest.raises(ValueError, match="no result"):
        CountLimit(count=1, on_reached=R)


def test_a_fixed_timer_runs_from_its_first_tick(tick: Tick) -> None:
    timer, now = FixedTimer(seconds=5), [100.0]
    timer.clock = lambda: now[0]
    assert tick(timer) is R
    now[0] = 104.9
    assert tick(timer) is R
    now[0] = 105.0
    assert [tick(timer), tick(timer)] == [S, S]
    timer.reset()
    assert tick(timer) is R


def test_a_clock_that_was_set_back_starts_a_timer_anew() -> None:
    timer, now = FixedTimer(seconds=5), [1_000.0]
    timer.clock = lambda: now[0]
    timer.forward()
    now[0] = 10.0
    assert timer.forward() is R
    now[0] = 15.0
    assert timer.forward() is S


def test_a_timer_without_a_clock_of_its_own_asks_the_machine() -> None:
    assert FixedTimer(seconds=0).forward() is S
    assert FixedTimer(seconds=3600).forward() is R


def test_a_random_timer_draws_between_its_bounds_once_a_round(tick: Tick) -> None:
    timer, now, drawn = RandomTimer(seconds_lower=2, seconds_upper=4), [0.0], iter([0.25, 1.0])
    timer.clock, timer.random = (lambda: now[0]), (lambda: next(drawn))
    assert tick(timer) is R
    now[0] = 2.4
    assert tick(timer) is R
    now[0] = 2.5
    assert tick(timer) is S
    timer.reset()
    assert tick(timer) is R
    now[0] = 6.5
    assert tick(timer) is S
    with pytest.raises(ValueError, match="exceeds"):
        RandomTimer(seconds_lower=4, seconds_upper=2)


def test_a_restored_timer_waits_for_the_same_moment() -> None:
    timer = RandomTimer(seconds_lower=2, seconds_upper=4)
    timer.clock, timer.random = (lambda: 10.0), (lambda: 0.5)
    timer.forward()
    twin = RandomTimer.from_spec(timer.spec(to_dict=True))
    twin.load_state_dict(json.loads(json.dumps(timer.state_dict())))
    twin.clock, twin.random = (lambda: 12.9), (lambda: 0.0)
    assert twin.forward() is R
    twin.clock = lambda: 13.0
    assert twin.forward() is S


# --- sequences and selectors ----------------------------------------------------------------------


def test_a_sequence_takes_one_task_a_tick(tick: Tick, held: Callable[[list[Any]], Any]) -> None:
    tree = Sequence(tasks=held(plays([S], [R, S], [S])))
    assert [tick(tree) for _ in range(5)] == [R, R, R, S, S]


def test_a_selector_takes_one_task_a_tick(tick: Tick, held: Callable[[list[Any]], Any]) -> None:
    assert Fallback is Selector
    tree = Selector(tasks=held(plays([F], [W, F], [S])))
    assert [tick(tree) for _ in range(5)] == [R, W, R, S, S]


@pytest.mark.parametrize("slow", [Play, SlowPlay])
def test_a_cascade_goes_on_until_one_is_running(slow: type[Play], tick: Tick) -> None:
    tree = Sequence(tasks=[slow(script=s) for s in ([S], [R, S], [S])], cascaded=True)
    assert [tick(tree), tick(tree)] == [R, S]
    other = Selector(tasks=[slow(script=s) for s in ([F], [W, F], [F])], cascaded=True)
    assert [tick(other), tick(other)] == [W, F]


@pytest.mark.parametrize(("kind", "goes_on", "stands"), [(Sequence, S, F), (Selector, F, S)])
def test_a_cascade_ends_with_the_result_that_stands_and_leaves_the_rest_ready(
    kind: type[Sequence], goes_on: TaskStatus, stands: TaskStatus, tick: Tick
) -> None:
    tree = kind(tasks=plays([goes_on], [stands], [goes_on]), cascaded=True)
    assert tick(tree) is stands
    assert [t.status for t in tree.subtasks()] == [goes_on, stands, READY]


@pytest.mark.parametrize("cascaded", [False, True])
def test_empty_composites_have_a_result(cascaded: bool, tick: Tick) -> None:
    assert tick(Sequence(cascaded=cascaded)) is S
    assert tick(Selector(tasks=[], cascaded=cascaded)) is F


@pytest.mark.parametrize("kind", [Sequence, Selector])
def test_reset_rewinds_and_resets_the_tasks(kind: type[Sequence], tick: Tick) -> None:
    tree = kind(tasks=plays([S], [F], [S]), cascaded=True)
    first = tick(tree)
    tree.reset()
    assert [tree.status, *(t.status for t in tree.subtasks())] == [READY] * 4
    assert tick(tree) is first


@pytest.mark.parametrize("kind", [Sequence, Selector, Parallel])
def test_tasks_are_a_list_a_module_list_or_none(
    kind: type[Sequence], held: Callable[[list[Any]], Any]
) -> None:
    assert kind(tasks=None).subtasks() == []
    assert len(kind(tasks=held(plays([S], [S]))).subtasks()) == 2
    for wrong in (3, "tasks", [3], ModuleList(items=[ModuleList()]), plays([S])[0]):
        with pytest.raises(ValueError, match="task"):
            kind(tasks=wrong)  # type: ignore[arg-type]


def test_tasks_may_be_added_later(tick: Tick) -> None:
    tree = Sequence()
    tree.tasks = plays([S])
    tree.tasks.append(Play(script=[F]))
    assert [tick(tree), tick(tree)] == [R, F]


# --- spec and state -------------------------------------------------------------------------------


@pytest.mark.parametrize("ticks", [0, 1, 2, 3])
def test_a_tree_goes_on_from_its_state(ticks: int, held: Callable[[list[Any]], Any]) -> None:
    tree = Sequence(tasks=held([*plays([S], [R, S]), Flag(value=True)]))
    expected = [R, R, R, S]
    assert [tree.forward() for _ in range(ticks)] == expected[:ticks]
    twin = Sequence.from_spec(tree.spec().model_dump())
    twin.load_state_dict(json.loads(json.dumps(tree.state_dict())))
    assert twin.status is tree.status
    assert [twin.forward() for _ in range(4 - ticks)] == expected[ticks:]


@pytest.mark.parametrize("wrapped", [False, True])
def test_specs_of_tasks_may_be_bare_or_wrapped(wrapped: bool, tick: Tick) -> None:
    bare: dict[str, Any] = {"kind": "Play", "script": ["success"]}
    step = {"kind": "AdaptModule", "_adapted_param": bare} if wrapped else bare
    tree = Sequence.from_spec({"kind": "Sequence", "tasks": [step, step], "cascaded": True})
    assert tick(tree) is S
    assert isinstance((tree.tasks or [])[0], AdaptModule) is wrapped


def test_a_held_task_can_be_replaced_while_the_tree_runs(tick: Tick) -> None:
    step: Any = AdaptModule(Play(script=[R]))
    tree = Sequence(tasks=[step, *plays([S])])
    assert tick(tree) is R
    step.update_adapted({"kind": "Play", "script": ["success"]})
    assert [tick(tree), tick(tree)] == [R, S]


def test_items_made_after_init_are_part_of_a_tasks_state() -> None:
    class Worn(Action):
        def __post_init__(self) -> None:
            self.uses = Attr(data=0)

        async def act(self) -> TaskStatus:
            self.uses.data += 1
            return TaskStatus.from_bool(self.uses.data < 2)

    tree = Selector(tasks=[Worn(), Worn()])
    tree.forward()
    assert tree.state_dict()["tasks.0.uses"] == 1
