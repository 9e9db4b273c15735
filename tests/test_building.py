"""Constructors: keywords, defaults, InitVars, hand-written ones, inheritance, annotations."""

from __future__ import annotations

import inspect
import sys
import types
from dataclasses import InitVar
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from dachi_fast import Attr, BaseModule, Param

if TYPE_CHECKING:
    from nowhere import Unknown  # type: ignore[import-not-found]  # noqa: TC004


class Agent(BaseModule):
    limit: ClassVar[int] = 3
    name: str = Param()
    extra: int = 5
    temperature: float = Param(default=0.5)
    count: int = Attr(default=0)


class Forward(BaseModule):
    left: Forward | None = Param(default=None)
    right: Later | None = Param(default=None)
    unknown: Unknown = Param(default=1)


class Later(BaseModule):
    size: int = Param(default=1)


class Scaled(BaseModule):
    factor: InitVar[int]
    offset: InitVar[int] = 1
    base: int = Param(default=2)

    def __post_init__(self, factor: int, offset: int) -> None:
        self.weight = Param(data=self.base * factor + offset)


class Linear(BaseModule):
    scale: float = Param(default=1.0)
    calls: int = Attr(default=0)

    def __init__(self, size: int, bias: bool = True) -> None:
        self.weights = Param(data=[0.0] * size)
        self.bias = Param(data=0.0) if bias else None


def test_a_missing_required_param_names_it_and_the_class() -> None:
    with pytest.raises(TypeError, match=r"Agent.*'name'"):
        Agent()  # type: ignore[call-arg]


@pytest.mark.parametrize("keyword", ["nam", "count", "limit", "id"])
def test_an_unknown_keyword_names_it_and_the_class(keyword: str) -> None:
    with pytest.raises(TypeError, match=rf"Agent.*'{keyword}'"):
        Agent(name="a", **{keyword: 1})


def test_positional_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="positional"):
        Agent("a")  # type: ignore[call-arg]


def test_the_constructor_has_a_real_signature() -> None:
    params = inspect.signature(Agent).parameters
    assert list(params) == ["name", "extra", "temperature"]
    assert params["extra"].default == 5


def test_construction_and_assignment_do_not_validate() -> None:
    agent: Any = Agent(name=3)  # type: ignore[arg-type]
    agent.temperature = "hot"
    assert (agent.name, agent.temperature) == (3, "hot")


def test_plain_fields_are_in_the_spec_and_never_in_the_state() -> None:
    agent = Agent(name="a", extra=7)
    assert agent.spec().model_dump()["extra"] == 7
    assert "extra" not in agent.state_dict()


def test_fields_inherit_in_order_and_can_be_overridden() -> None:
    class Sub(Agent):
        temperature: float = Param(default=0.9)
        more: str = Param(default="m")

    class Short(Agent):
        temperature = 0.7

    assert list(Sub(name="a").state_dict()) == ["name", "temperature", "count", "more"]
    assert (Sub(name="a").temperature, Short(name="a").temperature) == (0.9, 0.7)


def test_forward_self_and_type_checking_references_resolve_late() -> None:
    tree = Forward(left=Forward(), right=Later(size=3))
    assert list(tree.state_dict()) == ["unknown", "left.unknown", "right.size"]
    twin = Forward.from_spec(tree.spec().model_dump())
    assert isinstance(twin.left, Forward)
    assert isinstance(twin.right, Later)


def test_annotations_resolve_in_code_that_is_no_module() -> None:
    names: dict[str, Any] = {"__name__": "typed_at_a_prompt"}
    code = (
        "from __future__ import annotations\n"
        "from dachi_fast import AdaptModule, BaseModule, Param\n"
        "class Leaf(BaseModule):\n    x: int = Param(default=1)\n"
        "class Top(BaseModule):\n    leaf: AdaptModule[Leaf] = Param()\n"
    )
    sys.modules["typed_at_a_prompt"] = types.ModuleType("typed_at_a_prompt")
    try:
        exec(code, names)
    finally:
        del sys.modules["typed_at_a_prompt"]
    top = names["Top"](leaf=names["Leaf"]())
    assert list(top.state_dict()) == ["leaf._adapted_param", "leaf._adapted.x"]


def test_init_vars_go_to_post_init_and_into_the_spec() -> None:
    scaled = Scaled(factor=3)
    assert scaled.weight.data == 7
    spec = scaled.spec().model_dump()
    assert (spec["factor"], spec["offset"]) == (3, 1)
    assert scaled.state_dict() == {"base": 2, "weight": 7}
    assert Scaled.from_spec(spec).weight.data == 7


def test_an_init_var_that_no_post_init_accepts_is_an_error() -> None:
    class Bad(BaseModule):
        factor: InitVar[int]

    with pytest.raises(RuntimeError, match="factor"):
        Bad(factor=1)


def test_the_arguments_of_a_written_constructor_are_the_spec() -> None:
    linear = Linear(2, bias=False)
    spec = linear.spec().model_dump()
    assert {k: v for k, v in spec.items() if k != "id"} == {
        "kind": "Linear",
        "size": 2,
        "bias": False,
        "scale": 1.0,
    }
    twin = Linear.from_spec(spec)
    assert twin.weights.data == [0.0, 0.0]
    assert twin.bias is None


def test_a_written_constructor_may_skip_super_and_still_has_defaults() -> None:
    linear = Linear(1)
    linear.scale = 2.0
    linear.calls += 1
    assert linear.state_dict() == {"scale": 2.0, "calls": 1, "weights": [0.0], "bias": 0.0}


def test_a_written_constructor_may_call_super_with_fields() -> None:
    class Named(Agent):
        def __init__(self, first: str, last: str) -> None:
            super().__init__(name=f"{first} {last}")

    named = Named("Ada", "L")
    assert named.name == "Ada L"
    spec = named.spec().model_dump()
    assert (spec["first"], spec["last"], spec["name"]) == ("Ada", "L", "Ada L")
    assert Named.from_spec(spec).name == "Ada L"


def test_a_written_constructor_that_forgets_a_required_field_is_an_error() -> None:
    class Bad(BaseModule):
        name: str = Param()

        def __init__(self) -> None:
            pass

    with pytest.raises(TypeError, match=r"Bad.*'name'"):
        Bad()


def test_wrong_arguments_of_a_written_constructor_name_the_class() -> None:
    with pytest.raises(TypeError, match="Linear"):
        Linear()  # type: ignore[call-arg]


def test_free_attributes_are_allowed_and_untracked() -> None:
    agent: Any = Agent(name="a")
    agent._session = 1
    assert "_session" not in agent.state_dict()
    assert "_session" not in agent.spec().model_dump()


def test_fields_may_be_named_like_pydantics_own() -> None:
    class Shadow(BaseModule):
        model_name: str = Param(default="m")
        model_dump: int = Param(default=1)
        copy: int = Param(default=2)
        json: int = Param(default=3)
        _hidden: int = Param(default=4)

    dumped = Shadow().spec().model_dump()
    assert list(dumped)[2:] == ["model_name", "model_dump", "copy", "json", "_hidden"]
    assert Shadow.from_spec(dumped).spec().model_dump() == dumped
    assert Shadow().spec()._hidden == 4  # type: ignore[attr-defined]


def test_a_module_shows_its_fields() -> None:
    assert repr(Agent(name="a")) == "Agent(name='a', extra=5, temperature=0.5)"
