"""Param, Attr and Shared: declarations, items, views, shared values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dachi_fast import Attr, BaseModule, Param, Shared
from dachi_fast.errors import DeclarationError, FixedError


class Agent(BaseModule):
    name: str = Param()
    temperature: float = Param(default=0.5)
    tools: list[str] = Param(default_factory=list)
    count: int = Attr(default=0)
    board: dict[str, int] = Shared(default_factory=dict)


class Special(Agent):
    pass


class Own(Agent):
    board: dict[str, int] = Shared(default_factory=dict)


class Count(Param[int]):
    pass


class Held(BaseModule):
    p: Param[float]
    n: Count
    c: Attr[int] = Attr(default=3)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _fresh_boards() -> None:
    Agent.reset_shared()
    Own.reset_shared()


def test_a_declared_field_reads_and_writes_as_the_raw_value() -> None:
    agent = Agent(name="a", tools=["search"])
    agent.temperature = 0.9
    agent.count += 1
    assert (agent.name, agent.temperature, agent.tools, agent.count) == ("a", 0.9, ["search"], 1)


def test_default_factories_make_a_value_for_each_module() -> None:
    one, other = Agent(name="a"), Agent(name="b")
    one.tools.append("x")
    assert other.tools == []


def test_an_item_assigned_later_stays_an_object() -> None:
    agent: Any = Agent(name="a")
    agent.w = Param(data=3)
    agent.seen = Attr(data=[1])
    assert agent.w.data == 3
    assert agent.state_dict()["w"] == 3
    assert agent.state_dict()["seen"] == [1]
    assert [n for n, _ in agent.named_parameters()][-1] == "w"


def test_an_item_holds_any_value_none_and_items_too() -> None:
    assert Param(data=None).data is None
    inner = Param(data=1)
    assert Param(data=inner).data is inner


def test_a_field_annotated_with_an_item_keeps_one_and_wraps_plain_values() -> None:
    held: Any = Held(p=Param(data=1.0), n=Count(2))
    assert isinstance(held.p, Param)
    assert held.p.data == 1.0
    held.p = 2.0
    assert held.p.data == 2.0
    assert Held(p=3.0, n=4).p.data == 3.0  # type: ignore[arg-type]
    assert isinstance(Held(p=3.0, n=4).n, Count)  # type: ignore[arg-type]
    assert held.state_dict() == {"p": 2.0, "n": 2, "c": 3}


@pytest.mark.parametrize("item", [Param, Attr, Shared])
def test_an_unknown_keyword_of_an_item_is_refused(item: Any) -> None:
    with pytest.raises(TypeError, match="wrong"):
        item(wrong=1)


def test_a_mutable_default_is_refused_with_a_hint() -> None:
    with pytest.raises(DeclarationError, match="default_factory"):

        class Bad(BaseModule):
            x: list[int] = Param(default=[])

    with pytest.raises(DeclarationError, match="default_factory"):

        class Worse(BaseModule):
            x: Any = Attr(default=np.zeros(2))


def test_an_item_as_default_is_refused_with_a_hint() -> None:
    with pytest.raises(DeclarationError, match="default=value"):

        class Bad(BaseModule):
            x: int = Param(5)  # type: ignore[assignment]


def test_a_declaration_without_annotation_is_refused_with_a_hint() -> None:
    with pytest.raises(DeclarationError, match="annotation"):

        class Bad(BaseModule):
            x = Param(default=5)


@pytest.mark.parametrize("name", ["spec", "state_dict", "id", "kind", "parameters", "a.b", "class"])
def test_a_field_name_that_cannot_work_is_refused(name: str) -> None:
    with pytest.raises(DeclarationError):
        type("Bad", (BaseModule,), {"__annotations__": {name: int}, name: Param(default=1)})


def test_items_read_and_write_in_three_ways() -> None:
    item = Param(data=1)
    item.set(2)
    assert item.get() == item.data == item.dump() == 2
    item.load(3)
    assert item.data == 3


def test_callbacks_are_told_each_new_value_until_unregistered() -> None:
    seen: list[int] = []
    item = Attr(data=1)
    item.register_callback(seen.append)
    item.data = 2
    item.unregister_callback(seen.append)
    item.data = 3
    assert seen == [2]


def test_a_fixed_param_refuses_writes() -> None:
    item = Param(data=1)
    item.fix()
    assert item.fixed
    with pytest.raises(RuntimeError, match="unfix"):
        item.data = 2
    item.unfix()
    item.data = 2
    assert item.data == 2


def test_items_are_equal_by_value_and_hash_by_identity() -> None:
    assert Param(data=1) == Param(data=1)
    assert Param(data=1) != Param(data=2)
    assert Param(data=np.arange(3)) == Param(data=np.arange(3))
    assert Param(data=np.arange(3)) != Param(data=np.arange(4))
    assert Param(data=1) != Attr(data=1)
    assert len({Param(data=1), Param(data=1)}) == 2


def test_a_typed_subclass_checks_what_it_is_made_with() -> None:
    assert Count(3).data == 3
    with pytest.raises(TypeError, match="int"):
        Count("three")  # type: ignore[call-overload]
    assert Param[int]("three").data == "three"  # type: ignore[call-overload]


def test_a_typed_subclass_survives_spec_and_from_spec() -> None:
    held = Held(p=Param(data=1.0), n=Count(2))
    twin = Held.from_spec(held.spec().model_dump())
    assert type(twin.n) is Count
    assert twin.n.data == 2


def test_a_declared_field_has_one_view_that_writes_through() -> None:
    agent = Agent(name="a")
    views = dict(agent.named_parameters())
    assert views["temperature"] is dict(agent.named_parameters())["temperature"]
    views["temperature"].data = 0.1
    assert agent.temperature == 0.1
    agent.temperature = 0.2
    assert views["temperature"].data == 0.2


def test_callbacks_and_fix_hold_for_the_attribute_too() -> None:
    seen: list[Any] = []
    agent = Agent(name="a")
    view = dict(agent.named_parameters())["temperature"]
    view.register_callback(seen.append)
    agent.temperature = 0.1
    view.data = 0.2
    assert seen == [0.1, 0.2]
    view.fix()
    with pytest.raises(FixedError, match="temperature"):
        agent.temperature = 0.3
    with pytest.raises(RuntimeError):
        view.data = 0.3
    assert agent.temperature == 0.2
    view.unfix()
    agent.temperature = 0.4
    assert seen[-1] == 0.4


def test_only_an_intercepted_instance_changes_its_class_and_nobody_sees_it() -> None:
    agent, other = Agent(name="a"), Agent(name="b")
    before = agent.spec()
    next(agent.parameters()).fix()
    assert type(other) is Agent
    assert type(agent) is not Agent
    assert type(agent).__name__ == "Agent"
    assert agent.spec() == before
    assert type(agent).schema() is Agent.schema()
    assert isinstance(Agent.from_spec(before), Agent)


def test_loading_writes_a_fixed_param_and_calls_callbacks_once_after_the_swap() -> None:
    seen: list[Any] = []
    agent = Agent(name="a")
    view = dict(agent.named_parameters())["temperature"]
    view.register_callback(lambda value: seen.append((value, agent.count)))
    view.fix()
    state = {**agent.state_dict(), "temperature": 0.9, "count": 7}
    agent.load_state_dict(state)
    assert agent.temperature == 0.9
    assert seen == [(0.9, 7)]


def test_an_item_in_a_declared_raw_field_is_refused_at_the_next_walk() -> None:
    agent: Any = Agent(name="a")
    agent.temperature = Param(data=0.5)
    for walk in (agent.state_dict, lambda: list(agent.parameters())):
        with pytest.raises(TypeError, match="temperature"):
            walk()


def test_a_shared_value_is_one_for_instances_subclasses_and_the_class() -> None:
    one, other = Agent(name="a"), Special(name="b")
    one.board["x"] = 1
    assert other.board == Agent.board == {"x": 1}
    other.board = {"y": 2}
    assert one.board == {"y": 2}
    assert "board" not in one.state_dict()


def test_redeclaring_a_shared_field_makes_a_new_one() -> None:
    Agent(name="a").board["x"] = 1
    assert Own(name="b").board == {}


def test_reset_shared_goes_back_to_the_default() -> None:
    Agent(name="a").board["x"] = 1
    Agent.reset_shared()
    assert Agent(name="b").board == {}
