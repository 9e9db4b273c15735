"""What type checkers make of specs, the registry and async tasks: checked, and run by nobody."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Awaitable, Callable
from typing import Any, Literal, assert_type

from dachi_fast import (
    BT,
    Action,
    AsyncProcess,
    BaseModule,
    BaseSpec,
    Condition,
    Param,
    Registry,
    StateMachine,
    Task,
    TaskStatus,
    Until,
    registry,
)
from dachi_fast.spec import from_spec


class Lamp(BaseModule):
    watts: int = Param(default=60)


# --- specs ----------------------------------------------------------------------------------------

lamp = Lamp(watts=40)
assert_type(Lamp.schema(), type[BaseSpec])
assert_type(lamp.spec(), BaseSpec)
assert_type(lamp.spec(to_dict=True), dict[str, Any])
assert_type(lamp.spec().kind, str)
assert_type(lamp.spec().load_cls(), type[BaseModule])
assert_type(lamp.spec().model_dump(), dict[str, Any])
assert_type(Lamp.from_spec(lamp.spec()), Lamp)
assert_type(Lamp.from_spec({"kind": "Lamp"}), Lamp)
assert_type(Lamp.from_spec({"kind": "Lamp"}, {"id": lamp}, allow=[Lamp, "Lamp"]), Lamp)
assert_type(from_spec({"kind": "Lamp"}), BaseModule)
Lamp.from_spec(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Lamp.from_spec({"kind": "Lamp"}, allow=Lamp)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

# --- the registry keeps what it decorates ---------------------------------------------------------

own = Registry()


@own(name="shout", tags={"use": "text"})
def shout(text: str, times: int = 1) -> str:
    return text.upper() * times


@own.register(description="a class")
class Tool:
    def use(self) -> int:
        return 1


@registry.value
class Mood(enum.Enum):
    CALM = 1


@registry.value
@dataclasses.dataclass
class Point:
    x: int


assert_type(shout("a"), str)
assert_type(Tool().use(), int)
assert_type(Point(x=1).x, int)
assert_type(Mood.CALM, Literal[Mood.CALM])
assert_type(own["shout"].description, str)
assert_type(own.list_entries(), list[str])
typed: Callable[[str, int], str] = shout
shout(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
own.filter(obj_type="method")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

# --- tasks ----------------------------------------------------------------------------------------


class Step(Action):
    async def act(self) -> TaskStatus:
        return TaskStatus.SUCCESS


class Ready(Condition):
    async def condition(self) -> bool:
        return True


class Ask(AsyncProcess):
    async def aforward(self, question: str) -> int:
        return len(question)


class Wrong(Action):
    async def act(self) -> int:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return 1


async def run() -> None:
    step = Step()
    assert_type(await step, TaskStatus)
    assert_type(await step(), TaskStatus)
    assert_type(await step.tick(), TaskStatus)
    assert_type(await Ready().condition(), bool)
    assert_type(await Ask().aforward("why"), int)
    waiting: Awaitable[TaskStatus] = step
    assert_type(await waiting, TaskStatus)


assert_type(Step().forward(), TaskStatus)
assert_type(Until(task=Step()).task, Task)
assert_type(Until(task=Step(), target_status=TaskStatus.FAILURE).target_status, TaskStatus)
assert_type(BT(root=Step()).forward(), TaskStatus)
assert_type(StateMachine().state, str | None)
Until(task=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Until()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Step().status = TaskStatus.SUCCESS  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
