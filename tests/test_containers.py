"""ModuleList and ModuleDict: containers of modules that are modules themselves."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import Attr, BaseModule, KeyFile, ModuleDict, ModuleList, Param, Store
from dachi_fast.errors import SpecError, StateKeyError
from dachi_fast.spec import from_spec


class BoxTool(BaseModule):
    cost: int = Param(default=1)
    uses: int = Attr(default=0)


class BoxPart(BaseModule):
    """A part without defaults."""

    size: int = Param()


class ToolBox(BaseModule):
    tools: ModuleDict[Any] = Param(default_factory=ModuleDict)
    steps: ModuleList[Any] = Param(default_factory=ModuleList)


class HandBox(BaseModule):
    """Makes its containers by hand."""

    def __init__(self, count: int = 2) -> None:
        self.tools: ModuleDict[Any] = ModuleDict(
            items={f"t{n}": BoxTool(cost=n) for n in range(count)}
        )
        self.steps: ModuleList[Any] = ModuleList(items=[BoxTool(cost=n) for n in range(count)])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        yield store


# --- ModuleList -----------------------------------------------------------------------------------


def test_a_list_has_length_iteration_and_indices_from_both_ends() -> None:
    parts = [BoxTool(cost=1), BoxTool(cost=2), BoxTool(cost=3)]
    steps = ModuleList(items=parts)
    assert len(steps) == 3
    assert list(steps) == parts
    assert (steps[0], steps[-1], steps[-3]) == (parts[0], parts[2], parts[0])
    assert parts[1] in steps
    assert len(ModuleList()) == 0


@pytest.mark.parametrize("index", [3, -4, 100])
def test_an_index_past_the_ends_is_an_index_error(index: int) -> None:
    steps = ModuleList(items=[BoxTool(), BoxTool(), BoxTool()])
    with pytest.raises(IndexError):
        steps[index]
    with pytest.raises(IndexError):
        steps[index] = BoxTool()


@pytest.mark.parametrize("other", [3, None, {"kind": "BoxTool"}, BoxTool])
def test_a_list_takes_modules_only(other: Any) -> None:
    with pytest.raises(TypeError, match="modules"):
        ModuleList(items=[BoxTool(), other])
    steps = ModuleList(items=[BoxTool()])
    with pytest.raises(TypeError, match="modules"):
        steps.append(other)
    with pytest.raises(TypeError, match="modules"):
        steps[0] = other
    assert [type(step) for step in steps] == [BoxTool]


def test_children_of_a_list_are_named_by_their_place_and_are_attributes() -> None:
    steps: Any = ModuleList(items=[BoxTool(cost=1), BoxTool(cost=2)])
    steps.append(BoxTool(cost=3))
    assert [name for name, _ in steps.named_children()] == ["0", "1", "2"]
    assert getattr(steps, "2") is steps[2]
    assert list(steps.state_dict()) == ["0.cost", "0.uses", "1.cost", "1.uses", "2.cost", "2.uses"]


def test_what_is_replaced_in_a_list_keeps_its_name() -> None:
    steps = ModuleList(items=[BoxTool(cost=1), BoxTool(cost=2)])
    steps[0] = BoxTool(cost=9)
    steps[-1] = BoxTool(cost=8)
    assert [(name, tool.data) for name, tool in steps.named_parameters()] == [
        ("0.cost", 9),
        ("1.cost", 8),
    ]


def test_a_module_that_is_twice_in_a_list_is_one_param_two_entries_and_one_object_again() -> None:
    tool = BoxTool(cost=5)
    steps = ModuleList(items=[tool, tool])
    assert len(list(steps.parameters())) == 1
    assert steps.state_dict() == {"0.cost": 5, "0.uses": 0, "1.cost": 5, "1.uses": 0}
    twin: Any = from_spec(steps.spec(to_dict=True))
    assert twin[0] is twin[1]
    assert twin[0].cost == 5


def test_the_items_of_a_lists_spec_are_a_list() -> None:
    spec: Any = ModuleList(items=[BoxTool(cost=2)]).spec()
    assert isinstance(spec.items, list)
    assert spec.items[0].cost == 2


# --- ModuleDict -----------------------------------------------------------------------------------


def test_a_dict_has_the_methods_of_a_mapping() -> None:
    search, rank = BoxTool(cost=1), BoxTool(cost=2)
    tools: ModuleDict[Any] = ModuleDict(items={"search": search, "limit": 5})
    tools["rank"] = rank
    assert list(tools) == list(tools.keys()) == ["search", "limit", "rank"]
    assert list(tools.values()) == [search, 5, rank]
    assert dict(tools.items()) == {"search": search, "limit": 5, "rank": rank}
    assert (len(tools), "rank" in tools, "other" in tools, 3 in tools) == (3, True, False, False)
    assert (tools.get("limit"), tools.get("other"), tools.get("other", 7)) == (5, None, 7)
    assert (tools.pop("limit"), tools.pop("limit", None)) == (5, None)
    assert tools.setdefault("rank", search) is rank
    assert tools.setdefault("more", 1) == 1
    tools.update({"more": 2})
    tools.update([("most", "x")])
    assert (tools["more"], tools["most"]) == (2, "x")
    del tools["most"]
    tools.clear()
    assert len(tools) == 0
    assert tools.state_dict() == {}


@pytest.mark.parametrize("key", ["other", "items", "cost", 3])
def test_a_key_that_is_not_there_is_a_key_error(key: Any) -> None:
    tools: ModuleDict[Any] = ModuleDict(items={"search": BoxTool()})
    with pytest.raises(KeyError):
        tools[key]
    with pytest.raises(KeyError):
        del tools[key]
    with pytest.raises(KeyError):
        tools.pop(key)


@pytest.mark.parametrize("key", [3, None, ("a",), b"a"])
def test_keys_of_a_dict_are_texts(key: Any) -> None:
    with pytest.raises(TypeError, match="keys of text"):
        ModuleDict(items={key: BoxTool()})
    with pytest.raises(TypeError, match="keys of text"):
        ModuleDict()[key] = BoxTool()


@pytest.mark.parametrize("value", [[BoxTool()], {"kind": "BoxTool"}, object(), BoxTool, b"x"])
def test_values_of_a_dict_are_modules_or_primitives(value: Any) -> None:
    with pytest.raises(TypeError, match="modules and primitives"):
        ModuleDict(items={"a": value})
    tools: ModuleDict[Any] = ModuleDict()
    with pytest.raises(TypeError, match="modules and primitives"):
        tools["a"] = value
    assert len(tools) == 0


@pytest.mark.parametrize("key", ["", "a.b", "keys", "spec", "id", "training", "_keys", "$data"])
def test_a_key_that_cannot_name_a_child_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="cannot be a key"):
        ModuleDict(items={key: BoxTool()})


def test_children_of_a_dict_are_named_by_their_keys_and_are_attributes() -> None:
    tools: Any = ModuleDict(items={"search": BoxTool(cost=1), "limit": 5, "rank": BoxTool(cost=2)})
    assert [name for name, _ in tools.named_children()] == ["search", "rank"]
    assert tools.rank is tools["rank"]
    assert list(tools.state_dict()) == ["search.cost", "search.uses", "rank.cost", "rank.uses"]
    tools["search"] = BoxTool(cost=9)
    assert next(tools.named_parameters())[1].data == 9


@pytest.mark.parametrize("key", ["kind", "same", "items_", "0", "na\u00efve", "two words"])
def test_a_dict_goes_round_whatever_its_keys(key: str, store: Store) -> None:
    tools: Any = ModuleDict(
        items={key: BoxTool(cost=7), "more": ModuleDict(items={key: BoxPart(size=3)})}
    )
    tools[key].uses = 4
    twin: Any = from_spec(tools.spec(to_dict=True))
    twin.load_state_dict(tools.state_dict())
    store.save(tools, "tools")
    for again in (
        twin,
        store.load("tools"),
        copy.deepcopy(tools),
        pickle.loads(pickle.dumps(tools)),
    ):
        assert list(again) == [key, "more"]
        assert (again[key].cost, again[key].uses, again["more"][key].size) == (7, 4, 3)
        assert again.state_dict() == tools.state_dict()


@pytest.mark.parametrize("value", [None, True, 0, -3, 2.5, "text", 1.0])
def test_primitives_are_in_the_spec_as_they_are_and_never_in_the_state(
    value: Any, store: Store
) -> None:
    tools: Any = ModuleDict(items={"limit": value, "tool": BoxTool()})
    assert tools.state_keys() == {"tool.cost", "tool.uses"}
    store.save(tools, "tools")
    for again in (
        from_spec(tools.spec()),
        from_spec(tools.spec(to_dict=True)),
        store.load("tools"),
    ):
        assert (again["limit"], type(again["limit"])) == (value, type(value))  # type: ignore[index]


def test_the_items_of_a_dicts_spec_are_a_dict() -> None:
    spec: Any = ModuleDict(items={"a": BoxTool(cost=2), "n": 1}).spec()
    assert isinstance(spec.items, dict)
    assert (spec.items["a"].cost, spec.items["n"]) == (2, 1)
    assert type(spec).__name__ == "ModuleDictSpec"


def test_what_is_wrong_in_the_spec_of_a_dict_says_where() -> None:
    with pytest.raises(SpecError, match="unknown kind") as caught:
        ModuleDict.from_spec({"kind": "ModuleDict", "items": {"a": {"kind": "Tol"}}})
    assert str(caught.value.context["path"]).startswith("items.a")


# --- both -----------------------------------------------------------------------------------------


def test_containers_in_fields_and_in_written_constructors_are_saved_loaded_and_diffed(
    store: Store,
) -> None:
    declared = ToolBox(
        tools=ModuleDict(items={"t": BoxTool()}), steps=ModuleList(items=[BoxTool()])
    )
    for name, module in (("declared", declared), ("by hand", HandBox())):
        held: Any = module
        store.save(held, name)
        next(iter(held.tools.values())).uses = 3
        held.steps[0].uses = 4
        store.save(held, name)
        loaded: Any = store.load(name)
        assert loaded.state_dict() == held.state_dict()
        changed = {change.path for change in store.diff(name, 1, 2)}
        assert changed == {f"tools.{next(iter(held.tools))}.uses", "steps.0.uses"}
        store.rollback(name, to=1, into=held)
        assert held.steps[0].uses == 0


@pytest.mark.parametrize("into", [0, 1, 3])
def test_a_load_into_containers_of_another_size_rebuilds_them(into: int, store: Store) -> None:
    store.save(
        ToolBox(
            tools=ModuleDict(items={"a": BoxPart(size=1), "n": 5, "b": BoxPart(size=2)}),
            steps=ModuleList(items=[BoxPart(size=3), BoxPart(size=4)]),
        ),
        "box",
    )
    box = ToolBox(
        tools=ModuleDict(items={f"k{n}": BoxTool() for n in range(into)}),
        steps=ModuleList(items=[BoxTool() for _ in range(into)]),
    )
    store.load_into(box, "box")
    assert dict(box.tools.items()).keys() == {"a", "n", "b"}
    assert [step.size for step in box.steps] == [3, 4]


@pytest.mark.parametrize("kind", [ModuleList, ModuleDict])
def test_a_state_of_another_size_does_not_load(kind: Any) -> None:
    def holding(count: int) -> Any:
        parts = [BoxTool() for _ in range(count)]
        return kind(items=parts if kind is ModuleList else {str(n): p for n, p in enumerate(parts)})

    with pytest.raises(StateKeyError, match="missing"):
        holding(2).load_state_dict(holding(1).state_dict())
    with pytest.raises(StateKeyError, match="extra"):
        holding(1).load_state_dict(holding(2).state_dict())


def test_containers_are_equal_only_to_themselves_and_can_be_keys() -> None:
    one: Any = ModuleDict(items={"a": 1})
    other: Any = ModuleDict(items={"a": 1})
    assert one != other
    assert len({one, other, ModuleList(), ModuleList()}) == 4
