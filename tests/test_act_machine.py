"""State machines, and the processes that their branches ask."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from dachi_fast import (
    AdaptModule,
    AsyncProcess,
    BaseModule,
    BranchState,
    Process,
    State,
    StateMachine,
    Task,
    TaskState,
    TaskStatus,
    Until,
)
from tests.tasks import READY, F, Play, R, Raising, S, SlowPlay, Tick, W


class Says(Process):
    answer: Any

    def forward(self) -> Any:
        return self.answer


class SaysSlowly(AsyncProcess):
    answer: Any

    async def aforward(self) -> Any:
        await asyncio.sleep(0)
        return self.answer


class Choice(State):
    """Comes to an outcome of its own."""

    outcome: str

    async def update(self) -> TaskStatus | str:
        return self.outcome


def playing(*script: TaskStatus, kind: type[Play] = Play) -> TaskState:
    return TaskState(task=kind(script=list(script)))


# --- processes ------------------------------------------------------------------------------------


def test_calling_a_process_calls_its_forward() -> None:
    class Joined(Process):
        by: str

        def forward(self, *parts: str, end: str = "") -> str:
            return self.by.join(parts) + end

    assert Joined(by="-")("a", "b", end=".") == "a-b."


async def test_the_work_of_an_async_process_is_awaited() -> None:
    assert await SaysSlowly(answer=3).aforward() == 3


async def test_a_process_that_nobody_wrote_says_what_is_missing() -> None:
    with pytest.raises(NotImplementedError, match=r"Process has no forward\(\)"):
        Process()()
    with pytest.raises(NotImplementedError, match=r"AsyncProcess has no aforward\(\)"):
        await AsyncProcess().aforward()
    with pytest.raises(NotImplementedError, match=r"State has no update\(\)"):
        await State().update()


# --- states ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "expected"), [(True, S), (1, S), ("x", S), (False, F), (0, F), (None, F)]
)
@pytest.mark.parametrize("kind", [Says, SaysSlowly])
def test_a_branch_asks_its_process(kind: type[Any], answer: Any, expected: TaskStatus) -> None:
    state = BranchState(f=kind(answer=answer))
    assert asyncio.run(state.update()) is expected


def test_a_branch_passes_errors_on() -> None:
    class Broken(Process):
        def forward(self) -> None:
            raise LookupError("broken")

    with pytest.raises(LookupError, match="broken"):
        asyncio.run(BranchState(f=Broken()).update())


@pytest.mark.parametrize("held", [lambda task: task, AdaptModule], ids=["bare", "AdaptModule"])
@pytest.mark.parametrize("kind", [Play, SlowPlay])
def test_a_task_state_gives_what_its_task_gives(
    kind: type[Play], held: Callable[[Task], Any]
) -> None:
    task = kind(script=[R, W, S])
    state = TaskState(task=held(task))
    assert [asyncio.run(state.update()) for _ in range(4)] == [R, W, S, S]
    state.reset()
    assert task.status is READY
    with pytest.raises(ValueError, match="runs tasks"):
        TaskState(task=3)  # type: ignore[arg-type]


# --- machines -------------------------------------------------------------------------------------


def test_a_machine_without_a_start_succeeds(tick: Tick) -> None:
    assert tick(StateMachine()) is S


@pytest.mark.parametrize("end", [S, F])
def test_a_machine_runs_one_state_a_tick_and_ends_with_an_end(end: TaskStatus, tick: Tick) -> None:
    machine = StateMachine(
        states={"a": playing(R, W, S, kind=SlowPlay), "b": playing(F)},
        transitions={"a": {S: "b"}, "b": {"failure": end}},
        start="a",
    )
    assert machine.state is None
    seen = [(tick(machine), machine.state) for _ in range(5)]
    assert seen == [(R, "a"), (W, "a"), (R, "b"), (end, None), (end, None)]


def test_outcomes_of_its_own_lead_a_machine_on(tick: Tick) -> None:
    machine = StateMachine(
        states={"choose": Choice(outcome="left"), "left": playing(S), "right": playing(F)},
        transitions={
            "choose": {"left": "left", "right": "right"},
            "left": {"success": "success"},
            "right": {"failure": "failure"},
        },
        start="choose",
    )
    assert [tick(machine), tick(machine)] == [R, S]


def test_a_state_is_reset_when_it_is_entered(tick: Tick) -> None:
    work = Play(script=[R, S])
    asks = iter([True, False])
    enough = BranchState(f=Says(answer=None))
    machine = StateMachine(
        states={"work": TaskState(task=work), "more": enough},
        transitions={
            "work": {"success": "more"},
            "more": {"success": "work", "failure": "success"},
        },
        start="work",
    )
    statuses = []
    while not machine.status.is_done:
        enough.f = Says(answer=next(asks)) if machine.state == "more" else enough.f
        statuses.append(tick(machine))
    assert statuses == [R, R, R, R, R, S]
    assert work.ticks == 4


def test_a_machine_starts_again_after_reset(tick: Tick) -> None:
    machine = StateMachine(
        states={"a": playing(S), "b": playing(S)},
        transitions={"a": {"success": "b"}, "b": {"success": "success"}},
        start="a",
    )
    assert [tick(machine), tick(machine)] == [R, S]
    machine.reset()
    assert [t.status for t in (machine, *machine.subtasks())] == [READY] * 3
    assert [tick(machine), tick(machine)] == [R, S]


def test_an_outcome_that_nothing_follows_is_an_error_and_the_state_stays(tick: Tick) -> None:
    machine = StateMachine(
        states={"a": playing(F)}, transitions={"a": {"success": "success"}}, start="a"
    )
    for _ in range(2):
        with pytest.raises(ValueError, match=r"'a' came to .*failure.*transitions for: success"):
            tick(machine)
        assert machine.state == "a"
    machine.transitions["a"]["failure"] = "failure"
    assert tick(machine) is F


def test_an_error_of_a_state_leaves_the_machine_in_it(tick: Tick) -> None:
    raising = Raising()
    machine = StateMachine(
        states={"a": TaskState(task=raising)}, transitions={"a": {"success": "success"}}, start="a"
    )
    with pytest.raises(LookupError):
        tick(machine)
    assert (machine.state, machine.status) == ("a", READY)
    raising.mended = True
    assert tick(machine) is S


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"start": "c"}, "start"),
        ({"transitions": {"c": {"success": "a"}}}, "transitions"),
        ({"transitions": {"a": {"success": "c"}}}, "transitions.a.success"),
        ({"states": {"success": {"kind": "Choice", "outcome": "x"}}}, "success"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused(change: dict[str, Any], named: str) -> None:
    spec: dict[str, Any] = {
        "kind": "StateMachine",
        "states": {"a": {"kind": "Choice", "outcome": "x"}},
        "transitions": {"a": {"x": "success"}},
        "start": "a",
    }
    assert StateMachine.from_spec(spec).forward() is S
    with pytest.raises(ValueError, match=named):
        StateMachine.from_spec({**spec, **change})


def test_a_state_is_a_state() -> None:
    with pytest.raises(ValueError, match="'a' is a BaseModule"):
        StateMachine(states={"a": BaseModule()})  # type: ignore[dict-item]


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_machine_is_built_from_a_spec_and_goes_on_from_its_state(
    wrapped: bool, tick: Tick
) -> None:
    play: dict[str, Any] = {"kind": "Play", "script": ["failure", "success"]}
    if wrapped:
        play = {"kind": "AdaptModule", "_adapted_param": play}
    machine = StateMachine.from_spec(
        {
            "kind": "StateMachine",
            "states": {
                "try": {"kind": "TaskState", "task": {"kind": "Until", "task": play}},
                "ask": {"kind": "BranchState", "f": {"kind": "Says", "answer": True}},
            },
            "transitions": {"try": {"success": "ask"}, "ask": {"success": "success"}},
            "start": "try",
        }
    )
    assert isinstance(machine.states["try"], TaskState)
    assert isinstance(machine.states["try"].task, Until)
    assert [tick(machine), tick(machine)] == [R, R]
    twin = StateMachine.from_spec(machine.spec().model_dump())
    twin.load_state_dict(json.loads(json.dumps(machine.state_dict())))
    assert (twin.state, twin.status) == ("ask", R)
    assert [tick(machine), tick(twin)] == [S, S]
    assert twin.state_dict() == machine.state_dict()
