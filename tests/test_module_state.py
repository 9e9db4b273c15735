"""Saving to and loading from a flat state."""

from __future__ import annotations

import copy
import dataclasses
import enum
import gc
import json
import pickle
from typing import Any

import pydantic
import pytest

from dachi_fast import Attr, BaseModule, Param
from dachi_fast.errors import StateKeyError, StateTypeError, StateValueError
from dachi_fast.module import load_owned


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


@dataclasses.dataclass
class Point:
    x: int


class Leaf(BaseModule):
    a: int = Param(default=1)
    b: list[int] = Attr(default_factory=list)


class Agent(BaseModule):
    name: str = Param(default="n")
    note: str = "plain"
    leaf: Leaf = Param(default_factory=Leaf)
    more: dict[str, Leaf] = Param(default_factory=dict)
    mood: Mood = Attr(default=Mood.GOOD)
    memory: dict[str, Any] = Attr(default_factory=dict)


def test_the_state_is_flat_in_declaration_order_parents_first() -> None:
    agent = Agent(more={"x": Leaf()})
    assert list(agent.state_dict()) == [
        "name",
        "mood",
        "memory",
        "leaf.a",
        "leaf.b",
        "more.x.a",
        "more.x.b",
    ]


def test_flags_choose_params_attrs_and_depth() -> None:
    agent = Agent()
    assert list(agent.state_dict(train=False)) == ["mood", "memory", "leaf.b"]
    assert list(agent.state_dict(runtime=False)) == ["name", "leaf.a"]
    assert list(agent.state_dict(recurse=False)) == ["name", "mood", "memory"]
    assert agent.state_keys(recurse=False, train=False) == {"mood", "memory"}


def test_values_of_a_state_are_live_and_a_snapshot_is_not() -> None:
    agent = Agent()
    live, kept = agent.state_dict(), agent.snapshot()
    agent.memory["x"] = [1]
    assert live["memory"] == {"x": [1]}
    assert kept["memory"] == {}
    agent.restore(kept)
    agent.memory["y"] = 1
    assert kept["memory"] == {}


def test_two_modules_never_share_a_container_through_a_load() -> None:
    one, other = Agent(), Agent()
    one.memory["deep"] = {"list": [1]}
    other.load_state_dict(one.state_dict())
    other.memory["deep"]["list"].append(2)
    assert one.memory == {"deep": {"list": [1]}}


def test_an_owned_load_keeps_the_values_themselves() -> None:
    agent, memory = Agent(), {"x": 1}
    load_owned(agent, {**agent.state_dict(), "memory": memory})
    assert agent.memory is memory


@pytest.mark.parametrize("state", [None, 3, [("name", "x")], "name"])
def test_a_state_that_is_no_mapping_is_a_type_error(state: Any) -> None:
    with pytest.raises(TypeError, match="mapping"):
        Agent().load_state_dict(state)


def test_a_strict_load_lists_every_missing_and_extra_key_at_once() -> None:
    agent = Agent()
    with pytest.raises(KeyError) as caught:
        agent.load_state_dict({"name": "x", "mood": Mood.BAD, "zz": 1, "leaf.q": 2, "leaf.a": 3})
    error = caught.value
    assert isinstance(error, StateKeyError)
    assert error.context["missing"] == ("memory", "leaf.b")
    assert error.context["extra"] == ("zz", "leaf.q")
    assert all(k in str(error) for k in ("memory", "leaf.b", "zz", "leaf.q"))
    assert (agent.name, agent.leaf.a) == ("n", 1)


def test_expected_keys_follow_the_flags() -> None:
    agent = Agent()
    agent.load_state_dict({"name": "x", "leaf.a": 2}, runtime=False)
    agent.load_state_dict({"mood": Mood.BAD, "memory": {}}, recurse=False, train=False)
    assert (agent.name, agent.leaf.a, agent.mood) == ("x", 2, Mood.BAD)
    with pytest.raises(StateKeyError, match="extra: 'name'"):
        agent.load_state_dict(agent.state_dict(), train=False)


def test_a_lenient_load_takes_what_fits() -> None:
    agent = Agent()
    agent.load_state_dict({"name": "x", "zz": 1, "note": "no"}, strict=False)
    assert (agent.name, agent.note) == ("x", "plain")


@pytest.mark.parametrize("path", ["more.x.a", "leaf.a"])
def test_the_path_of_a_value_that_does_not_fit_is_said_once(path: str) -> None:
    """Symptom: a path in the error's context that repeated itself. Cause: the walk put where it was
    before a path that was whole already. Fix: it leaves such errors as they are."""
    agent = Agent(more={"x": Leaf()})
    with pytest.raises(StateTypeError) as caught:
        agent.load_state_dict({**agent.snapshot(), path: "wrong"})
    assert caught.value.context["path"] == path


def test_a_load_that_fails_halfway_changes_nothing() -> None:
    agent = Agent(more={"x": Leaf()})
    before = agent.snapshot()
    state = {**agent.snapshot(), "name": "new", "memory": {"m": 1}, "more.x.a": "wrong"}
    with pytest.raises(StateTypeError, match=r"more\.x\.a"):
        agent.load_state_dict(state)
    assert agent.state_dict() == before


def test_a_swap_that_fails_is_taken_back() -> None:
    class Stubborn(BaseModule):
        first: int = Param(default=1)
        item: Param[int]

    class Refusing(Param[int]):
        def _restore(self, value: int) -> None:
            if value == 9:
                raise ValueError("no nine")
            super()._restore(value)

    module = Stubborn(item=Refusing(data=2))
    with pytest.raises(ValueError, match="nine"):
        module.load_state_dict({"first": 5, "item": 9})
    assert module.state_dict() == {"first": 1, "item": 2}


def test_annotated_types_come_back_from_json() -> None:
    class Typed(BaseModule):
        mood: Mood = Attr(default=Mood.GOOD)
        pair: tuple[int, str] = Attr(default=(1, "a"))
        point: Point = Attr(default_factory=lambda: Point(1))
        maybe: Mood | None = Param(default=None)

    typed = Typed()
    state = {"mood": "bad", "pair": [2, "b"], "point": {"x": 5}, "maybe": "good"}
    typed.load_state_dict(state)
    assert (typed.mood, typed.pair, typed.point) == (Mood.BAD, (2, "b"), Point(5))
    assert typed.maybe is Mood.GOOD


def test_a_value_that_fits_keeps_its_exact_type() -> None:
    class Typed(BaseModule):
        rate: float = Param(default=0.5)
        rates: dict[str, float] = Attr(default_factory=dict)

    typed = Typed(rate=1)
    typed.rates = {"a": 2}
    typed.load_state_dict(typed.state_dict())
    assert type(typed.rate) is int
    assert type(typed.rates["a"]) is int


def test_an_implicit_optional_loads_none() -> None:
    class Typed(BaseModule):
        name: str = Param(default=None)  # type: ignore[assignment]

    typed = Typed()
    typed.load_state_dict({"name": None})
    assert Typed.from_spec(typed.spec().model_dump()).name is None


def test_a_state_goes_through_json_when_its_values_can() -> None:
    class Plain(BaseModule):
        a: int = Param(default=1)
        b: dict[str, list[int]] = Attr(default_factory=lambda: {"x": [1]})

    plain = Plain()
    plain.load_state_dict(json.loads(json.dumps(plain.state_dict())))
    assert plain.b == {"x": [1]}


def test_the_state_of_later_modules_loads_only_leniently_and_the_error_says_so() -> None:
    agent: Any = Agent()
    agent.late = Leaf(a=7)
    twin: Any = Agent.from_spec(agent.spec())
    with pytest.raises(StateKeyError, match=r"late\.a.*assigned after.*strict=False"):
        twin.load_state_dict(agent.state_dict())
    twin.load_state_dict(agent.state_dict(), strict=False)
    assert twin.state_dict() == Agent().state_dict()


@pytest.mark.parametrize("key", ["a.b", "."])
def test_a_module_key_with_a_dot_is_an_error_that_names_it(key: str) -> None:
    agent = Agent(more={key: Leaf()})
    for walk in (agent.state_dict, lambda: list(agent.modules())):
        with pytest.raises(StateValueError, match="dot"):
            walk()


def test_keys_that_become_equal_are_an_error() -> None:
    agent = Agent(more={1: Leaf(), "1": Leaf()})  # type: ignore[dict-item]
    with pytest.raises(StateValueError, match=r"more\.1"):
        agent.state_dict()


def test_a_module_that_contains_itself_has_no_state() -> None:
    agent: Any = Agent()
    agent.leaf.parent = agent
    with pytest.raises(StateValueError, match="contains itself"):
        agent.state_dict()


def test_a_list_that_contains_itself_is_an_error_and_no_crash() -> None:
    class Holder(BaseModule):
        items: list[Any] = Param(default_factory=list)

    holder = Holder()
    holder.items.append([holder.items])
    with pytest.raises(StateValueError):
        holder.state_dict()


def test_a_deep_copy_is_independent_and_keeps_sharing_inside() -> None:
    leaf = Leaf()
    agent = Agent(leaf=leaf, more={"same": leaf})
    next(agent.parameters()).register_callback(lambda _value: None)
    agent.memory["x"] = [1]
    twin = copy.deepcopy(agent)
    twin.memory["x"].append(2)
    assert agent.memory == {"x": [1]}
    assert twin.leaf is twin.more["same"]
    assert twin.leaf is not leaf
    assert twin.id != agent.id
    assert type(twin) is Agent


def test_a_module_pickles_as_plain_objects_do() -> None:
    agent = Agent(name="p")
    next(agent.parameters()).fix()
    twin = pickle.loads(pickle.dumps(agent))
    assert twin.state_dict() == agent.state_dict()
    assert next(twin.parameters()).fixed


def test_saving_and_loading_never_make_a_dict_of_the_instance() -> None:
    # A hundred: CPython shares no new attribute names between instances after some thirty.
    agent = Agent(more={str(i): Leaf() for i in range(100)})
    agent.load_state_dict(agent.state_dict())
    repr(agent)
    agent.spec()
    list(agent.parameters())
    agent.eval()
    for module in agent.modules():
        # One that has its dict shows only that and its class.
        assert len(gc.get_referents(module)) > 2


def test_a_field_makes_its_validator_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # Symptom: 0.7 ms for each status of a behaviour tree whose state came from JSON.
    # Cause: a pydantic validator was made for each value. Fix: a field keeps its own.
    class Moody(BaseModule):
        mood: Mood = Attr(default=Mood.GOOD)

    made: list[Any] = []
    real = pydantic.TypeAdapter

    def counted(annotation: Any, **options: Any) -> Any:
        made.append(annotation)
        return real(annotation, **options)

    monkeypatch.setattr(pydantic, "TypeAdapter", counted)
    for module in (Moody(), Moody()):
        module.load_state_dict({"mood": "bad"})
        assert module.mood is Mood.BAD
    assert len(made) == 1
