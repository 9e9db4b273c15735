"""What type checkers make of tasks and of evolution: checked by mypy and pyright, run by nobody."""

from __future__ import annotations

from typing import Any, assert_type

from dachi_fast import (
    BT,
    Action,
    Attr,
    Carried,
    FixedTimer,
    Not,
    Parallel,
    Param,
    Process,
    Sequence,
    Task,
    TaskStatus,
)


class Step(Action):
    size: int = Param(default=1)
    done: int = Attr(default=0)

    async def act(self) -> TaskStatus:
        self.done += self.size
        return TaskStatus.SUCCESS


class Add(Process):
    amount: int = Param(default=1)

    def forward(self, number: int) -> int:
        return number + self.amount


tree = Sequence(tasks=[Step(size=2), Not(task=Step()), Parallel(tasks=[Step()])], cascaded=True)
assert_type(tree.forward(), TaskStatus)
assert_type(tree.status.is_done, bool)
assert_type(tree.status | TaskStatus.RUNNING, TaskStatus)
assert_type(BT(root=tree).root, Task | None)
assert_type(BT.from_spec({"root": None}), BT)
assert_type(Add()(1), Any)
assert_type(Add().forward(1), int)

timer = FixedTimer(seconds=5)
timer.clock = lambda: 0.0
timer.clock = 0.0  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]


async def ticks() -> None:
    assert_type(await tree.tick(), TaskStatus)
    assert_type(await tree(), TaskStatus)


assert_type(Step().evolved({"size": 3}), tuple[Step, Carried])
Step().become(Step(size=3))
Step().become(Add())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
