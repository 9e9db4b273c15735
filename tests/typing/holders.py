"""What type checkers make of containers, AdaptModules and files: checked, and run by nobody."""

from __future__ import annotations

from typing import Any, assert_type

from dachi_fast import (
    AdaptModule,
    BaseModule,
    BaseSpec,
    Checkpoint,
    ModuleDict,
    ModuleList,
    Param,
    Task,
)
from dachi_fast.act import Sequence


class Step(BaseModule):
    size: int = Param(default=1)


class Long(Step):
    pass


class Owner(BaseModule):
    step: AdaptModule[Step] = Param()
    steps: ModuleList[Step] = Param(default_factory=ModuleList[Step])
    tools: ModuleDict[Step | int] = Param(default_factory=ModuleDict[Step | int])
    anything: ModuleList = Param(default_factory=ModuleList)


# --- an AdaptModule field takes all that it wraps -------------------------------------------------

owner = Owner(step=Step())
Owner(step=Long())
Owner(step=AdaptModule(Step()))
Owner(step={"kind": "Step", "size": 3})
Owner(step=Step().spec())
Owner(step={"kind": "AdaptModule", "_adapted_param": {"kind": "Step"}})
owner.step = Step()
owner.step = AdaptModule(Step())
owner.step = {"kind": "Step"}
owner.step = Step().spec()
assert_type(owner.step, AdaptModule[Step])
assert_type(owner.step.adapted, Step)
assert_type(owner.step.adapted.size, int)
assert_type(owner.step.adapted_param, Param[dict[str, Any]])
assert_type(owner.step.allowed, list[str] | None)
assert_type(AdaptModule(Step()), AdaptModule[Step])
owner.step.update_adapted(Long())
owner.step.allowed = [Step, "Long"]

Owner(step=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Owner()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
owner.step = 3  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
owner.step = Sequence()  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
owner.step.update_adapted(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

# --- containers -----------------------------------------------------------------------------------

assert_type(owner.steps[0], Step)
assert_type(owner.anything[0], BaseModule)
assert_type(ModuleList(items=[Step(), Step()]), ModuleList[Step])
assert_type(ModuleList[Task]()[-1], Task)
assert_type(len(owner.steps), int)
for each in owner.steps:
    assert_type(each, Step)
owner.steps.append(Long())
owner.steps[0] = Step()
owner.steps.append(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
owner.steps[0] = Sequence()  # type: ignore[call-overload,assignment,unused-ignore]  # pyright: ignore[reportArgumentType]
ModuleList(items=[3])  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]

assert_type(owner.tools["a"], Step | int)
assert_type(owner.tools.get("a"), Step | int | None)
assert_type(owner.tools.get("a", "x"), Step | int | str)
assert_type(owner.tools.pop("a"), Step | int)
assert_type(ModuleDict(items={"a": Step()}), ModuleDict[Step])
assert_type(list(owner.tools), list[str])
for key, value in owner.tools.items():
    assert_type(key, str)
    assert_type(value, Step | int)
owner.tools["a"] = Step()
owner.tools["a"] = "text"  # type: ignore[assignment]  # pyright: ignore[reportArgumentType]
owner.tools[3] = 3  # type: ignore[index]  # pyright: ignore[reportArgumentType]

# --- files ----------------------------------------------------------------------------------------

Checkpoint.save_module(owner, "owner.json")
assert_type(Checkpoint.load("owner.json").spec, BaseSpec)
assert_type(Checkpoint.load("owner.json").state_dict, dict[str, Any])
Checkpoint.load_module("owner.json", ctx={"known": owner}, allow=[Owner, "Step"])
