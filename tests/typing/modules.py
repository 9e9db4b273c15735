"""What type checkers make of declarations: checked by mypy and pyright, run by nobody."""

from __future__ import annotations

from typing import Any, assert_type

from dachi_fast import AdaptModule, Attr, BaseModule, BaseSpec, Param, Sequence, Shared, Task


class Agent(BaseModule):
    name: str = Param()
    temperature: float = Param(default=0.5)
    tools: list[str] = Param(default_factory=list[str])
    count: int = Attr(default=0)
    memory: dict[str, int] = Attr(default_factory=dict[str, int])
    board: dict[str, int] = Shared(default_factory=dict[str, int])
    extra: int = 5
    weight: Param[float]


class Owner(BaseModule):
    root: AdaptModule[Task] = Param()


agent = Agent(name="a", tools=["x"], weight=Param(data=1.0))
assert_type(agent.temperature, float)
assert_type(agent.tools, list[str])
assert_type(agent.count, int)
assert_type(agent.memory, dict[str, int])
assert_type(agent.board, dict[str, int])
assert_type(agent.extra, int)
assert_type(agent.weight.data, float)
assert_type(agent.spec(), BaseSpec)
assert_type(agent.spec(to_dict=True), dict[str, Any])
assert_type(Agent.from_spec(agent.spec()), Agent)
agent.count += 1
agent.name = "b"

agent.count = "one"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
Agent(nam="a", weight=Param(data=1.0))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

owner = Owner(root=Sequence())
owner.root = {"kind": "Sequence"}
owner.root = AdaptModule(Sequence())
assert_type(owner.root, AdaptModule[Task])
assert_type(owner.root.adapted, Task)
owner.root = 3  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
