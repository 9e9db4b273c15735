"""The blueprints that compiled code writes are those that Python writes."""

from __future__ import annotations

import dataclasses
import datetime
import enum
from typing import Annotated, Any

import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dachi_fast import AdaptModule, Attr, BaseModule, ModuleList, Param
from dachi_fast._core.state import describe
from dachi_fast.errors import SpecError
from dachi_fast.spec._describe import _Reader, spec_dict, spec_of


class Leaf(BaseModule):
    text: Any = Param(default="")
    count: int = Attr(default=0)


class Tree(BaseModule):
    left: BaseModule | None = Param(default=None)
    parts: list[Any] = Param(default_factory=list)
    named: dict[Any, Any] = Param(default_factory=dict)
    plain: Any = None


class Odd(BaseModule):
    model_dump: int = Param(default=1)  # pydantic's own names have to be kept apart
    wrapped: Param[list[int]] = Param(default_factory=lambda: [1, 2])  # type: ignore[arg-type,return-value]


class Told(BaseModule):
    def __init__(self, size: int, *rest: str) -> None:  # noqa: ARG002
        super().__init__()
        self.size = size


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Point:
    x: int


class Config(pydantic.BaseModel):
    depth: int = 1


class Doubling(BaseModule):
    number: Annotated[int, pydantic.PlainSerializer(lambda n: n * 2)] = Param(default=4)


def _shared() -> Tree:
    leaf = Leaf(text="both")
    return Tree(left=leaf, parts=[leaf, Tree(left=leaf)])


def _same_ids() -> Tree:
    left, right = Leaf(), Leaf()
    right._module_id = left.id
    return Tree(left=left, parts=[right])


def _deep(levels: int) -> Tree:
    tree = Tree()
    for _ in range(levels):
        tree = Tree(left=tree)
    return tree


class Adapting(BaseModule):
    inner: AdaptModule[Leaf] = Param(default_factory=lambda: Leaf(text="adapted"))  # type: ignore[arg-type,return-value]


_TREES: dict[str, Any] = {
    "shared": _shared,
    "odd names and items": Odd,
    "constructor": lambda: Tree(left=Told(3, "a", "b")),
    "adapted": Adapting,
    "module list": lambda: Tree(left=ModuleList([Leaf(), Leaf(text=b"raw")])),
    "a dict like a spec": lambda: Tree(plain=Leaf().spec(to_dict=True), named={"$data": {}}),
    "tuples and keys": lambda: Tree(parts=[(1, Leaf(), (2.5, None))], named={1: Leaf(), None: []}),
    "numbers of numpy": lambda: Leaf(text=[np.float32(1), np.arange(3).shape]),
    "values of classes": lambda: Tree(
        plain=[Colour.RED, Point(1), Config(), datetime.date(2026, 1, 1), {1}, frozenset({2}), 1j]
    ),
    "a serializer": Doubling,
    "deep": lambda: _deep(90),
    "deeper": lambda: _deep(120),
}


@pytest.mark.parametrize("name", _TREES)
def test_compiled_blueprints_equal_those_of_python(name: str) -> None:
    tree = _TREES[name]()
    by_python = _Reader(full=False).spec(tree)
    assert spec_of(tree) == by_python
    assert spec_of(tree).model_fields_set == by_python.model_fields_set
    assert spec_dict(tree) == by_python.model_dump()
    assert spec_dict(tree, full_kinds=True) == _Reader(full=True).spec(tree).model_dump()


def test_what_is_common_is_written_by_compiled_code_and_what_is_not_is_left() -> None:
    assert describe(_shared()) is not None
    assert describe(_shared(), to_dict=True) is not None
    assert describe(Tree(plain={1}), to_dict=True) is None
    assert describe(Doubling(), to_dict=True) is None
    assert describe(Told(1)) is None
    assert describe(_same_ids()) is None


def test_a_module_held_twice_is_one_blueprint_object_and_two_dicts() -> None:
    tree = _shared()
    made: Any = tree.spec()
    assert made.left is made.parts[0] is made.parts[1].left
    dumped = tree.spec(to_dict=True)
    assert dumped["left"] == dumped["parts"][0]
    assert dumped["left"] is not dumped["parts"][0]


def test_two_modules_of_one_id_get_ids_of_their_own() -> None:
    tree = _same_ids()
    dumped = tree.spec(to_dict=True)
    assert dumped["left"]["id"] != dumped["parts"][0]["id"]


def test_a_module_that_contains_itself_has_no_blueprint() -> None:
    tree = Tree()
    tree.left = Tree(left=tree)
    for make in (tree.spec, lambda: tree.spec(to_dict=True)):
        with pytest.raises(SpecError) as raised:
            make()
        assert raised.value.code == "cycle"


def test_containers_of_a_blueprint_are_copies() -> None:
    tree = Tree(parts=[[1]], named={"a": [2]}, plain={3})
    made: Any = tree.spec()
    dumped = tree.spec(to_dict=True)
    for parts, named, plain in (
        (made.parts, made.named, made.plain),
        (dumped["parts"], dumped["named"], dumped["plain"]),
    ):
        parts[0].append(0)
        named["a"].append(0)
        plain.add(0)
    assert (tree.parts, tree.named, tree.plain) == ([[1]], {"a": [2]}, {3})


_keys = st.sampled_from(["a", "kind", "id", "$data"]) | st.integers()
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
    | st.binary(max_size=5) | st.builds(Leaf, text=st.text(max_size=3)),
    lambda inner: st.lists(inner, max_size=3)
    | st.lists(inner, max_size=3).map(tuple)
    | st.dictionaries(_keys, inner, max_size=3)
    | st.builds(Tree, parts=st.lists(inner, max_size=2), plain=inner),
    max_leaves=12,
)  # fmt: skip


@given(_values)
def test_any_tree_has_the_blueprint_that_python_writes(value: Any) -> None:
    tree = Tree(plain=value)
    by_python = _Reader(full=False).spec(tree)
    assert spec_of(tree) == by_python
    assert spec_dict(tree) == by_python.model_dump()
