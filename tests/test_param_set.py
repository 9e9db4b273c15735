"""ParamSet: the Params of a tree by position."""

from __future__ import annotations

import enum
import json
from typing import Any

import pytest

from dachi_fast import AdaptModule, Attr, BaseModule, ModuleList, Param, ParamSet
from dachi_fast.errors import FixedError, SpecError, StateKeyError


class Tone(enum.Enum):
    CALM = "calm"
    LOUD = "loud"


class TunedLeaf(BaseModule):
    text: str = Param(default="a")
    seen: int = Attr(default=0)


class Typed(Param[int]):
    pass


class Tree(BaseModule):
    rate: float = Param(default=0.5)
    tone: Tone = Param(default=Tone.CALM)
    weight: Param[list[int]]
    number: Typed
    parts: list[TunedLeaf] = Param(default_factory=list)
    note: str = "plain"

    def __post_init__(self) -> None:
        self.made = Param(data="made")


def tree() -> Any:
    return Tree(weight=Param(data=[1]), number=Typed(3), parts=[TunedLeaf(), TunedLeaf(text="b")])


def test_a_set_has_the_params_of_a_tree_in_order() -> None:
    module = tree()
    params = ParamSet.build(module)
    assert list(params) == list(module.parameters())
    assert len(params) == 7
    assert params.to_dict() == {
        "param_0": 0.5,
        "param_1": Tone.CALM,
        "param_2": [1],
        "param_3": 3,
        "param_4": "made",
        "param_5": "a",
        "param_6": "b",
    }


def test_an_update_writes_some_by_position_in_every_style() -> None:
    module = tree()
    params = ParamSet.build(module)
    params.update({"param_6": "new", "param_0": 2.5, "param_2": [4, 5], "param_4": "again"})
    assert (module.parts[1].text, module.rate, module.weight.data) == ("new", 2.5, [4, 5])
    assert (module.made.data, module.number.data) == ("again", 3)


def test_an_update_takes_what_json_makes_of_the_values() -> None:
    module = tree()
    ParamSet.build(module).update(json.loads('{"param_0": 1, "param_1": "loud"}'))
    assert (module.rate, module.tone) == (1, Tone.LOUD)


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        ("param_7", 1, StateKeyError),
        ("rate", 1, StateKeyError),
        ("param_0", "x", TypeError),
        ("param_1", "wild", TypeError),
        ("param_2", [1, "x"], TypeError),
        ("param_3", "x", TypeError),
        ("param_5", "fixed", FixedError),
    ],
)
def test_an_update_that_cannot_be_writes_nothing(key: str, value: Any, error: Any) -> None:
    module = tree()
    next(module.parts[0].parameters()).fix()
    params = ParamSet.build(module)
    before = params.to_dict()
    with pytest.raises(error):
        params.update({"param_6": "new", key: value})
    assert params.to_dict() == before


def test_a_blueprint_is_a_param_like_others() -> None:
    class Owner(BaseModule):
        part: AdaptModule[TunedLeaf] = Param()
        size: int = Param(default=1)

    owner = Owner(part=TunedLeaf())
    params = ParamSet.build(owner)
    assert len(params) == 3
    with pytest.raises(SpecError):
        params.update({"param_0": 2, "param_1": {"kind": "Nowhere"}})
    assert owner.size == 1
    params.update({"param_0": 2, "param_1": {"kind": "TunedLeaf", "text": "z"}})
    assert (owner.size, owner.part.adapted.text) == (2, "z")


def test_the_schema_has_the_same_keys_with_types_and_names() -> None:
    params = ParamSet.build(tree())
    schema = params.schema()
    assert schema["properties"].keys() == params.to_dict().keys()
    assert schema["properties"]["param_0"] == {"type": "number", "description": "rate"}
    assert schema["properties"]["param_2"]["items"] == {"type": "integer"}
    assert schema["properties"]["param_3"] == {"type": "integer", "description": "number"}
    assert schema["properties"]["param_4"] == {"description": "made"}
    assert schema["properties"]["param_6"] == {"type": "string", "description": "parts.1.text"}
    assert schema["properties"]["param_1"]["$ref"] == "#/$defs/Tone"
    assert schema["$defs"]["Tone"]["enum"] == ["calm", "loud"]
    assert schema["additionalProperties"] is False


def test_a_param_that_is_held_twice_is_in_the_set_once() -> None:
    leaf = TunedLeaf()
    assert len(ParamSet.build(ModuleList(items=[leaf, leaf]))) == 1
    assert len(ParamSet.build(ModuleList())) == 0
