"""One tick of a behaviour tree from code that is not async, ours and py_trees'."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import py_trees
import pytest

from benches._rows import describe
from dachi_fast import Action, Sequence, Task, TaskStatus

_ACTIONS = 10
_TICKS = 1_000  # a round
_ROUNDS = 40
_GOAL = 1.0
_GOAL_ALONE_US = 0.3

Made = tuple[Callable[[], Any], Callable[[], bool]]


class Succeed(Action):
    """Succeeds at once."""

    async def act(self) -> TaskStatus:
        return TaskStatus.SUCCESS


class Bare(Task):
    """A task that writes its status, and nothing else."""

    async def tick(self) -> TaskStatus:
        self._status = TaskStatus.SUCCESS
        return self._status


class TheirSucceed(py_trees.behaviour.Behaviour):  # type: ignore[misc]
    """Succeeds at once."""

    def update(self) -> Any:
        return py_trees.common.Status.SUCCESS


def _ours() -> Made:
    tree = Sequence(tasks=[Succeed() for _ in range(_ACTIONS)], cascaded=True)

    def ticks() -> None:
        for _ in range(_TICKS):
            tree.reset()
            tree.forward()

    return ticks, lambda: all(task.status.success for task in (tree, *tree.subtasks()))


def _theirs() -> Made:
    # A tick begins a sequence that is done anew, and so resets it itself.
    tree = py_trees.composites.Sequence("all", memory=True)
    tree.add_children([TheirSucceed(str(number)) for number in range(_ACTIONS)])

    def ticks() -> None:
        for _ in range(_TICKS):
            tree.tick_once()

    success = py_trees.common.Status.SUCCESS
    return ticks, lambda: all(each.status == success for each in tree.iterate())


_SEQUENCES: dict[str, Callable[[], Made]] = {"dachi_fast": _ours, "py_trees": _theirs}


@pytest.mark.parametrize("who", _SEQUENCES)
def bench_sequence(benchmark: Any, who: str) -> None:
    """Reset, and one tick in which every action succeeds."""
    describe(
        benchmark,
        workload=f"{_TICKS:,} ticks of a Sequence of {_ACTIONS} succeeding actions",
        who=who,
        base=who == "dachi_fast",
        at_least=_GOAL if who == "py_trees" else None,
    )
    ticks, succeeded = _SEQUENCES[who]()
    benchmark.pedantic(ticks, rounds=_ROUNDS, warmup_rounds=3)
    assert succeeded()


def _forward(task: Task) -> None:
    for _ in range(_TICKS):
        task.forward()


def _by_hand(task: Task) -> None:
    for _ in range(_TICKS):
        try:  # noqa: SIM105 - a context manager takes as long as the tick
            task.tick().send(None)
        except StopIteration:
            pass


_DRIVES: dict[str, Callable[[Task], None]] = {
    "dachi_fast, forward()": _forward,
    "send() by hand": _by_hand,
}


@pytest.mark.parametrize("who", _DRIVES)
def bench_forward(benchmark: Any, who: str) -> None:
    """The shortest tick; by hand it has no running loop, no current task and no context."""
    ours = who.startswith("dachi_fast")
    describe(
        benchmark,
        workload=f"{_TICKS:,} ticks of a task alone",
        who=who,
        base=ours,
        at_most_ms=_GOAL_ALONE_US * _TICKS / 1e3 if ours else None,
    )
    task = Bare()
    benchmark.pedantic(_DRIVES[who], args=(task,), rounds=_ROUNDS, warmup_rounds=3)
    assert task.status.success
