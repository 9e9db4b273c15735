"""Behaviour trees: tasks that run at the same time."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from dachi_fast import Action, Attr, Multi, Parallel, Sequence, TaskStatus
from tests.tasks import (
    HOLDERS,
    READY,
    Blocked,
    F,
    Play,
    R,
    Raising,
    S,
    SlowPlay,
    Tick,
    W,
    plays,
)


@pytest.mark.parametrize(
    ("scripts", "options", "expected"),
    [
        (([S], [S]), {}, [S]),
        (([S], [R, S]), {}, [R, S]),
        (([S], [W, S]), {}, [R, S]),
        (([F], [R, S]), {}, [R, F]),
        (([F], [R, S]), {"preempt": True}, [F]),
        (([F], [S], [S]), {"fails_on": 2, "succeeds_on": 2}, [S]),
        (([F], [F], [S]), {"fails_on": 2, "succeeds_on": 2}, [F]),
        (([F], [S], [R, S]), {"fails_on": 2, "succeeds_on": 2}, [R, S]),
        (([S], [R, S]), {"fails_on": 1, "succeeds_on": 1}, [S]),
        (([S], [F]), {"fails_on": 1, "succeeds_on": 1}, [S]),
        (([S], [F]), {"fails_on": 1, "succeeds_on": 1, "success_priority": False}, [F]),
        (([F], [F], [S]), {"fails_on": -1, "succeeds_on": 1}, [S]),
        (([F], [F], [S]), {"fails_on": -2, "succeeds_on": -2}, [F]),
        (([F], [R, F], [S]), {"fails_on": 1, "succeeds_on": 3}, [R, F]),
    ],
)
@pytest.mark.parametrize("kind", [Parallel, Multi])
def test_parallel_counts_results(
    scripts: tuple[list[TaskStatus], ...],
    options: dict[str, int],
    expected: list[TaskStatus],
    kind: type[Parallel],
    tick: Tick,
) -> None:
    tree = kind(tasks=plays(*scripts), **options)  # type: ignore[arg-type]
    assert [tick(tree) for _ in expected] == expected
    assert tick(tree) is expected[-1]


@pytest.mark.parametrize("total", range(1, 5))
def test_counts_that_cannot_be_met_are_refused(total: int) -> None:
    for options in itertools.product(range(-6, 7), repeat=2):
        fails, succeeds = (n if n >= 0 else total + 1 + n for n in options)
        possible = fails > 0 and succeeds > 0 and fails + succeeds - 1 <= total
        spec = {
            "kind": "Parallel",
            "tasks": [{"kind": "Play", "script": ["success"]}] * total,
            "fails_on": options[0],
            "succeeds_on": options[1],
        }
        if possible:
            assert Parallel.from_spec(spec).forward() is S
            continue
        with pytest.raises(ValueError, match="fails_on"):
            Parallel(tasks=plays(*[[S]] * total), fails_on=options[0], succeeds_on=options[1])
        with pytest.raises(ValueError, match="fails_on"):
            Parallel.from_spec(spec)


def test_a_tick_runs_unfinished_tasks_only(tick: Tick) -> None:
    first, second = Play(script=[S, F]), Play(script=[R, R, S])
    tree = Parallel(tasks=[first, second])
    assert [tick(tree) for _ in range(4)] == [R, R, S, S]
    assert (first.ticks, second.ticks) == (1, 3)


@pytest.mark.parametrize("held", HOLDERS.values(), ids=HOLDERS)
def test_all_tasks_of_a_tick_run_at_the_same_time(
    held: Callable[[list[Any]], Any], tick: Tick
) -> None:
    running: list[int] = []

    class Together(Action):
        most: int = Attr(default=0)

        async def act(self) -> TaskStatus:
            running.append(1)
            for _ in range(3):
                await asyncio.sleep(0)
            self.most = len(running)
            return S

    tasks = [Together() for _ in range(5)]
    assert tick(Parallel(tasks=held(tasks))) is S
    assert [task.most for task in tasks] == [5] * 5


@pytest.mark.parametrize("decides", [F, S])
@pytest.mark.parametrize("first", [Play, SlowPlay])
def test_preempting_cancels_and_awaits_running_tasks(
    decides: TaskStatus, first: type[Play], tick: Tick
) -> None:
    blocked = Blocked()
    tree = Parallel(tasks=[blocked, first(script=[decides])], succeeds_on=1, preempt=True)
    assert tick(tree) is decides
    assert blocked.cancelled  # it was written after another await of its own
    assert blocked.status is READY


def test_reset_resets_all_tasks(tick: Tick) -> None:
    tree = Parallel(tasks=plays([S], [R, S]))
    tick(tree)
    tree.reset()
    assert [tree.status, *(t.status for t in tree.subtasks())] == [READY] * 3


def test_a_parallel_without_tasks_succeeds(tick: Tick) -> None:
    assert tick(Parallel()) is S


@pytest.mark.parametrize("slow", [False, True])
def test_an_error_cancels_the_other_tasks_and_the_next_tick_tries_again(
    slow: bool, tick: Tick
) -> None:
    raising, done, blocked = Raising(slow=slow), Play(script=[S]), Blocked()
    tree = Parallel(tasks=[done, blocked, raising])
    with pytest.raises(LookupError, match="broken"):
        tick(tree)
    assert blocked.cancelled
    assert (tree.status, done.status, raising.status) == (READY, S, READY)
    raising.mended, blocked.cancelled = True, False
    tree.tasks = [done, raising]
    assert tick(tree) is S


def test_of_several_errors_the_first_tasks_is_raised_and_tells_of_the_others(tick: Tick) -> None:
    tree = Parallel(tasks=[Raising(message=each) for each in ("one", "two", "three")])
    with pytest.raises(LookupError, match="one") as caught:
        tick(tree)
    assert [note.rpartition(": ")[2] for note in caught.value.__notes__] == [
        "LookupError('two')",
        "LookupError('three')",
    ]


def test_an_error_while_a_preempted_task_is_cancelled_is_raised(tick: Tick) -> None:
    class Clumsy(Action):
        async def act(self) -> TaskStatus:
            try:
                await asyncio.Event().wait()
            finally:
                raise OSError("could not clean up")

    tree = Parallel(tasks=[Clumsy(), *plays([F])], preempt=True)
    with pytest.raises(OSError, match="clean up"):
        tick(tree)


def test_a_task_that_cancels_itself_cancels_the_tick(tick: Tick) -> None:
    class GivingUp(Action):
        async def act(self) -> TaskStatus:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        tick(Parallel(tasks=[GivingUp(), Blocked()]))


def test_cancelling_the_tick_cancels_and_awaits_all_tasks() -> None:
    tasks = [Blocked(), Blocked()]
    tree = Sequence(tasks=[Parallel(tasks=[*tasks])])

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(tree.tick(), 0.001)

    asyncio.run(give_up())
    assert [task.cancelled for task in tasks] == [True, True]
    assert (tree.status, tree.subtasks()[0].status) == (READY, READY)


def test_a_parallel_goes_on_from_its_state(tick: Tick) -> None:
    tree = Parallel(tasks=plays([S], [R, R, S]))
    assert tick(tree) is R
    twin = Parallel.from_spec(tree.spec(to_dict=True))
    twin.load_state_dict(tree.state_dict())
    assert [tick(twin), tick(twin)] == [R, S]
    assert [task.ticks for task in twin.subtasks()] == [1, 3]
