"""Behaviour trees: tasks around one task, and roots."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from dachi_fast import (
    BT,
    AdaptModule,
    AsLongAs,
    Not,
    PreemptCond,
    Sequence,
    Task,
    TaskStatus,
    Until,
)
from tests.tasks import HOLDERS, READY, F, Flag, Play, R, Raising, S, Tick, W, WaitFlag


@pytest.fixture(params=["bare", "AdaptModule"])
def held(request: pytest.FixtureRequest) -> Callable[[Task], Any]:
    """The task itself, or an AdaptModule around it."""
    return AdaptModule if request.param == "AdaptModule" else lambda task: task


# --- Not, Until, AsLongAs -------------------------------------------------------------------------


def test_not_turns_results_around_and_leaves_the_rest(
    tick: Tick, held: Callable[[Task], Any]
) -> None:
    for given, expected in ((S, F), (F, S), (R, R), (W, W)):
        tree = Not(task=held(Play(script=[given])))
        assert (tick(tree), tree.status) == (expected, expected)


def test_not_asks_a_condition_anew(tick: Tick) -> None:
    flag = Flag(value=True)
    tree = Not(task=flag)
    assert tick(tree) is F
    flag.value = False
    assert tick(tree) is S


@pytest.mark.parametrize("target", [S, F])
def test_until_runs_its_task_in_rounds_until_the_target(
    target: TaskStatus, tick: Tick, held: Callable[[Task], Any]
) -> None:
    task = Play(script=[target.invert(), W, target.invert(), R, target])
    tree = Until(task=held(task), target_status=target)
    assert [tick(tree) for _ in range(6)] == [R, W, R, R, target, target]
    assert task.ticks == 5


@pytest.mark.parametrize("target", [S, F])
def test_as_long_as_runs_its_task_in_rounds_while_it_comes_to_the_target(
    target: TaskStatus, tick: Tick, held: Callable[[Task], Any]
) -> None:
    other = target.invert()
    task = Play(script=[target, W, target, R, other])
    tree = AsLongAs(task=held(task), target_status=target)
    assert [tick(tree) for _ in range(6)] == [R, W, R, R, other, other]
    assert task.ticks == 5


def test_the_task_of_a_loop_is_reset_between_rounds(tick: Tick) -> None:
    first, second = Play(script=[S]), Play(script=[F, S])
    tree = Until(task=Sequence(tasks=[first, second], cascaded=True))
    assert tick(tree) is R
    assert (first.status, second.status) == (READY, READY)
    assert tick(tree) is S
    assert (first.ticks, second.ticks, first.status) == (2, 2, S)


def test_loops_default_to_success(tick: Tick) -> None:
    assert tick(Until(task=Play(script=[S]))) is S
    assert tick(AsLongAs(task=Play(script=[F]))) is F


@pytest.mark.parametrize("kind", [Until, AsLongAs])
@pytest.mark.parametrize("target", [R, W, READY])
def test_a_target_that_is_no_result_is_refused(kind: type[Until], target: TaskStatus) -> None:
    with pytest.raises(ValueError, match="SUCCESS or FAILURE"):
        kind(task=Play(script=[S]), target_status=target)
    with pytest.raises(ValueError, match="SUCCESS or FAILURE"):
        kind.from_spec(
            {"task": {"kind": "Play", "script": ["success"]}, "target_status": target.value}
        )


@pytest.mark.parametrize("kind", [Not, Until, AsLongAs])
def test_a_decorator_resets_its_task(
    kind: type[Until], tick: Tick, held: Callable[[Task], Any]
) -> None:
    task = Play(script=[S, S, F])
    tree = kind(task=held(task))
    tick(tree)
    tree.reset()
    assert (tree.status, task.status) == (READY, READY)


@pytest.mark.parametrize("kind", [Not, Until, AsLongAs])
def test_a_decorator_takes_one_task(kind: type[Until]) -> None:
    for wrong in (3, None, [Play(script=[S])]):
        with pytest.raises(ValueError, match="runs tasks"):
            kind(task=wrong)  # type: ignore[arg-type]


def test_an_error_leaves_a_loop_as_it_stood(tick: Tick) -> None:
    task = Raising()
    tree = Until(task=task)
    with pytest.raises(LookupError):
        tick(tree)
    assert tree.status is READY
    task.mended = True
    assert tick(tree) is S


# --- PreemptCond ----------------------------------------------------------------------------------


@pytest.fixture(params=HOLDERS)
def conditions(request: pytest.FixtureRequest) -> Callable[[list[Any]], Any]:
    return HOLDERS[request.param]


def test_a_failed_condition_leaves_the_task_untouched(
    tick: Tick, held: Callable[[Task], Any], conditions: Callable[[list[Any]], Any]
) -> None:
    task = Play(script=[R, S])
    holds, fails = Flag(value=True), Flag(value=False)
    tree = PreemptCond(cond=conditions([holds, fails]), task=held(task))
    assert (tick(tree), task.status, task.ticks) == (F, READY, 0)
    fails.value = True
    assert (tick(tree), task.status) == (R, R)
    holds.value = False
    assert (tick(tree), task.status, task.ticks) == (F, R, 1)
    assert fails.asked == 2  # not asked after the one that failed
    holds.value = True
    assert [tick(tree), tick(tree)] == [S, S]


def test_a_condition_that_is_waited_for_leaves_the_task_untouched(tick: Tick) -> None:
    task, waits, flag = Play(script=[S]), WaitFlag(value=False), Flag(value=True)
    tree = PreemptCond(cond=[waits, flag], task=task)
    assert (tick(tree), task.status) == (W, READY)
    flag.value = False
    assert tick(tree) is F
    waits.value = flag.value = True
    assert tick(tree) is S


def test_the_result_of_a_task_that_is_done_stands_until_reset(tick: Tick) -> None:
    flag = Flag(value=True)
    tree = PreemptCond(cond=[flag], task=Play(script=[S]))
    assert tick(tree) is S
    flag.value = False
    assert (tick(tree), flag.asked) == (S, 1)
    tree.reset()
    assert [t.status for t in (tree, *tree.subtasks())] == [READY] * 3
    assert tick(tree) is F


def test_one_condition_needs_no_list_and_may_be_made_of_several_tasks(tick: Tick) -> None:
    first, second = Flag(value=True), Flag(value=True)
    both: Any = Sequence(tasks=[first, Not(task=second)], cascaded=True)
    tree = PreemptCond(cond=both, task=Play(script=[R, S]))
    assert tick(tree) is F
    second.value = False
    assert tick(tree) is R
    first.value = False
    assert tick(tree) is F


def test_a_preempt_cond_refuses_what_is_no_task() -> None:
    for wrong in (3, [3]):
        with pytest.raises(ValueError, match="task"):
            PreemptCond(cond=wrong, task=Play(script=[S]))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="task"):
        PreemptCond(cond=[], task=3)  # type: ignore[arg-type]


# --- BT -------------------------------------------------------------------------------------------


def test_a_tree_without_a_root_succeeds(tick: Tick) -> None:
    tree = BT()
    assert (tree.root, tick(tree), tree.status) == (None, S, S)


def test_a_tree_does_what_its_root_does(tick: Tick, held: Callable[[Task], Any]) -> None:
    root = Play(script=[R, W, F])
    tree = BT(root=held(root))
    assert [tick(tree) for _ in range(4)] == [R, W, F, F]
    tree.reset()
    assert (tree.status, root.status) == (READY, READY)


def test_a_root_is_a_task() -> None:
    with pytest.raises(ValueError, match="runs tasks"):
        BT(root=3)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_tree_is_built_from_bare_and_wrapped_specs_and_goes_on_from_its_state(
    wrapped: bool, tick: Tick
) -> None:
    def spec(kind: str, **fields: Any) -> dict[str, Any]:
        bare = {"kind": kind, **fields}
        return {"kind": "AdaptModule", "_adapted_param": bare} if wrapped else bare

    tree = BT.from_spec(
        {
            "kind": "BT",
            "root": spec(
                "PreemptCond",
                cond=[spec("Not", task=spec("Flag", value=False))],
                task=spec("Until", task=spec("Play", script=["failure", "running", "success"])),
            ),
        }
    )
    assert tick(tree) is R
    twin = BT.from_spec(tree.spec().model_dump())
    twin.load_state_dict(json.loads(json.dumps(tree.state_dict())))
    for each in (tree, twin):
        assert [tick(each) for _ in range(3)] == [R, S, S]
    assert twin.state_dict() == tree.state_dict()


def test_tasks_of_other_kinds_are_refused_by_their_spec() -> None:
    spec = {"kind": "BT", "root": {"kind": "ModuleList", "items": []}}
    with pytest.raises(ValueError, match="root"):
        BT.from_spec(spec)
