"""What state cannot hold is refused with path and type before anything is written."""

from __future__ import annotations

import array
import collections
import dataclasses
import datetime
import enum
import pathlib
import sys
import types
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pydantic
import pytest

from dachi_fast import BaseModule, Param, Store, registry
from dachi_fast._core import codec
from dachi_fast.errors import (
    Malformed,
    MigrationError,
    SpecError,
    StateError,
    StateTypeError,
    StateValueError,
)
from tests.samples import Holder, Pair, Point, leaf


class Secret(enum.Enum):
    A = 1


@dataclasses.dataclass
class Loose:
    a: int = 1


class LoosePair(NamedTuple):
    a: int = 1


class LooseModel(pydantic.BaseModel):
    a: int = 1


@registry.value
@dataclasses.dataclass
class DataDict(dict[str, int]):
    a: int = 1


class MyInt(int):
    pass


class MyText(str):
    __slots__ = ()


class MyList(list[int]):
    pass


class MyFloat64(np.float64):
    pass


class MyArray(np.ndarray[Any, Any]):
    pass


class MyZone(datetime.tzinfo):
    pass


class MyPath(pathlib.PurePosixPath):
    __slots__ = ()


def _zoned() -> datetime.datetime:
    return datetime.datetime(
        2024,
        1,
        1,
        tzinfo=MyZone(),  # type: ignore[abstract]
    )


_OVERLAPPING: Any = {"names": ["a", "b"], "formats": ["u1", "<f8"], "offsets": [0, 0]}

UNSUPPORTED: dict[str, tuple[Callable[[], Any], str]] = {
    "object": (object, "object"),
    "class": (lambda: int, "type"),
    "function": (lambda: len, "builtin_function_or_method"),
    "lambda": (lambda: lambda: 0, "function"),
    "generator": (lambda: iter(n for n in [1]), "generator"),
    "bytearray": (lambda: bytearray(b"x"), "bytearray"),
    "memoryview": (lambda: memoryview(b"x"), "memoryview"),
    "range": (lambda: range(3), "range"),
    "array.array": (lambda: array.array("i"), "array.array"),
    "defaultdict": (lambda: collections.defaultdict(int), "collections.defaultdict"),
    "OrderedDict": (collections.OrderedDict, "collections.OrderedDict"),
    "Counter": (collections.Counter, "collections.Counter"),
    "deque": (collections.deque, "collections.deque"),
    "dict view": (lambda: {}.keys(), "dict_keys"),
    "mapping proxy": (lambda: types.MappingProxyType({}), "mappingproxy"),
    "namespace": (types.SimpleNamespace, "types.SimpleNamespace"),
    "exception": (lambda: ValueError("x"), "ValueError"),
    "NotImplemented": (lambda: NotImplemented, "NotImplementedType"),
    "int subclass": (lambda: MyInt(1), "MyInt"),
    "str subclass": (lambda: MyText("x"), "MyText"),
    "list subclass": (MyList, "MyList"),
    "path subclass": (lambda: MyPath("x"), "MyPath"),
    "unknown zone": (_zoned, "MyZone"),
    "unregistered enum": (lambda: Secret.A, "Secret"),
    "unregistered dataclass": (Loose, "Loose"),
    "unregistered named tuple": (LoosePair, "LoosePair"),
    "unregistered model": (LooseModel, "LooseModel"),
    "dataclass that is a dict": (lambda: DataDict(2), "DataDict"),
    "array of objects": (lambda: np.array([object()]), "object"),
    "array of records of objects": (lambda: np.zeros(1, [("a", "O")]), "O"),
    "array of numpy's strings": (lambda: np.array(["a"], "T"), "StringDType"),
    "array of overlapping fields": (lambda: np.zeros(1, np.dtype(_OVERLAPPING)), "offsets"),
    "masked array": (lambda: np.ma.masked_array([1], [True]), "MaskedArray"),
    "masked": (lambda: np.ma.masked, "MaskedConstant"),
    "matrix": (lambda: np.zeros((1, 1)).view(np.matrix), "matrix"),
    "array subclass": (lambda: np.zeros(2).view(MyArray), "MyArray"),
    "record array": (lambda: np.rec.array([(1,)], dtype=[("a", "i4")]), "recarray"),
    "record": (lambda: np.rec.array([(1,)], dtype=[("a", "i4")])[0], "record"),
    "scalar subclass": (lambda: MyFloat64(1), "MyFloat64"),
}  # fmt: skip

# How a value is buried, and the path that leads to it from the root.
PLACES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "alone": (lambda v: v, "value"),
    "in a list in a dict": (lambda v: {"k": [0, v]}, "value.k.1"),
    "in a tuple": (lambda v: (v,), "value.0"),
    "in a dataclass": (lambda v: Point(0, v), "value"),
    "in a named tuple": (lambda v: Pair(v), "value"),
    "in a module as a value": (lambda v: [leaf(v)], "value.0"),
}


def _refused(store: Store, value: object, kind: type[StateError]) -> StateError:
    """Saves good, then bad; gives the error of the bad one, which must have written nothing."""
    agent = Holder()
    agent.value = "good"
    store.save(agent, "agent")
    ledger = len(store.ledger())
    agent.value = value
    with pytest.raises(kind) as caught:
        store.save(agent, "agent")
    assert [version.number for version in store.history("agent")] == [1]
    assert len(store.ledger()) == ledger
    assert store.load("agent").value == "good"
    agent.value = "good again"
    assert store.save(agent, "agent").number == 2
    return caught.value


@pytest.mark.parametrize("label", UNSUPPORTED)
def test_a_type_that_state_cannot_hold_is_named_with_its_path(label: str, store: Store) -> None:
    make, name = UNSUPPORTED[label]
    error = _refused(store, {"k": [0, make()]}, StateTypeError)
    assert isinstance(error, TypeError)
    assert error.context["path"] == "value.k.1"
    assert name in str(error.context.get("type", error.context.get("dtype")))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("make", [object, Loose, _zoned], ids=["core", "hook", "hook within"])
def test_the_path_leads_to_the_value_wherever_it_lies(
    place: str, make: Callable[[], Any], store: Store
) -> None:
    bury, path = PLACES[place]
    error = _refused(store, bury(make()), StateTypeError)
    assert str(error.context["path"]).startswith(path)


def test_a_dict_key_that_state_cannot_hold_is_named(store: Store) -> None:
    error = _refused(store, {"k": {MyInt(3): 1}}, StateTypeError)
    assert error.context["path"] == "value.k.<key 3>"


def test_a_set_element_that_state_cannot_hold_is_named(store: Store) -> None:
    error = _refused(store, [{MyInt(3)}], StateTypeError)
    assert error.context["path"] == "value.0.<element>"


def _list_cycle() -> object:
    cycle: list[Any] = []
    cycle.append(cycle)
    return cycle


def _dict_cycle() -> object:
    cycle: dict[str, Any] = {}
    cycle["me"] = {"deeper": cycle}
    return cycle


def _tuple_cycle() -> object:
    inner: list[Any] = []
    cycle = (inner,)
    inner.append(cycle)
    return cycle


def _dataclass_cycle() -> object:
    cycle = Point(0)
    cycle.x = [cycle]
    return cycle


def _module_cycle() -> object:
    cycle = leaf(None)
    cycle.seen = [cycle]
    return cycle


@pytest.mark.parametrize(
    "make", [_list_cycle, _dict_cycle, _tuple_cycle, _dataclass_cycle, _module_cycle]
)
def test_a_value_that_contains_itself_is_refused(make: Callable[[], object], store: Store) -> None:
    error = _refused(store, make(), StateValueError)
    assert error.code == "cycle"
    assert str(error.context["path"]).startswith("value.")


def test_the_same_object_twice_is_no_cycle() -> None:
    twice = [1]
    assert codec.decode(codec.encode([twice, [twice], (twice,)])) == [[1], [[1]], ([1],)]


def _nest(depth: int, innermost: object) -> object:
    value = innermost
    for level in range(depth):
        value = [value] if level % 2 else {"k": value}
    return value


def test_a_nest_of_200_is_saved_and_one_of_201_is_refused(store: Store) -> None:
    agent = Holder()
    agent.value = _nest(200, 1)
    store.save(agent, "deep")
    assert store.load("deep").value == agent.value
    for depth in (201, 5_000):
        assert _refused_once(store, _nest(depth, 1)).code == "too-deep"


def _refused_once(store: Store, value: object) -> StateError:
    agent = Holder()
    agent.value = value
    with pytest.raises(StateValueError) as caught:
        store.save(agent, "other")
    assert "other" not in store.names()
    return caught.value


@pytest.mark.parametrize("innermost", [b"x", 10**30, 1j, ..., "\ud800", np.zeros(2), np.int8(1)])
def test_whatever_can_be_encoded_can_be_decoded_at_every_depth(innermost: object) -> None:
    nest = _nest(200, innermost)
    codec.decode(codec.encode(nest))


def test_a_deep_recursion_of_the_caller_ends_in_an_error_and_no_crash() -> None:
    def deeper(levels: int) -> bytes:
        if levels:
            return deeper(levels - 1)
        nest: object = Decimal(1)
        for _ in range(60):
            nest = Point(nest)
        return codec.encode(nest)

    for levels in range(sys.getrecursionlimit() - 100, sys.getrecursionlimit(), 3):
        try:
            deeper(levels)
        except RecursionError:
            return
    pytest.fail("the interpreter's limit was never met")


def test_a_dict_that_changes_while_it_is_saved_is_refused_or_saved_whole() -> None:
    grown: dict[str, Any] = {}

    class Sly:
        pass

    def grow(_: Sly) -> str:
        grown[str(len(grown))] = 1
        return "converted"

    registry.converter(Sly, "test.sly", to=grow, back=str)
    grown["sly"] = Sly()
    with pytest.raises(Exception, match="changed while it was being saved"):
        codec.encode(grown)


# --- what is saved but cannot be loaded in another process ---------------------------------------


def test_a_class_that_is_gone_is_named_and_the_bytes_stay_good() -> None:
    @registry.value
    @dataclasses.dataclass
    class Passing:
        a: int = 1

    data = codec.encode({"k": Passing()})
    name = f"{Passing.__module__}:{Passing.__qualname__}"
    del registry.value_types[name]
    with pytest.raises(StateTypeError, match="no such class is registered"):
        codec.decode(data)
    registry.value(Passing)
    assert codec.decode(data) == {"k": Passing()}


def test_a_converter_that_is_gone_is_named() -> None:
    class Foreign:
        pass

    registry.converter(Foreign, "test.passing", to=lambda _: 1, back=lambda _: Foreign())
    data = codec.encode(Foreign())
    del registry.converters_by_name["test.passing"]
    with pytest.raises(StateTypeError, match=r"test\.passing"):
        codec.decode(data)


def test_a_module_kind_that_is_gone_is_named_as_such() -> None:
    class Gone(BaseModule):
        a: int = Param(default=1)

    data = codec.encode(Gone())
    registry.deregister("Gone")
    with pytest.raises(SpecError, match="unknown kind"):
        codec.decode(data)


def test_an_enum_member_that_is_gone_is_named() -> None:
    @registry.value
    class Shrunk(enum.Enum):
        A = 1
        B = 2

    data = codec.encode(Shrunk.B)
    smaller = enum.Enum("Shrunk", {"A": 1})  # type: ignore[misc]
    smaller.__module__, smaller.__qualname__ = Shrunk.__module__, Shrunk.__qualname__
    registry.value(smaller)
    with pytest.raises(MigrationError, match="no member 'B'"):
        codec.decode(data)


def test_a_tag_that_this_version_does_not_know_is_malformed() -> None:
    data = bytearray(codec.encode(Decimal(1)))
    at = data.index(b"decimal")
    data[at : at + 7] = b"decimol"
    with pytest.raises(Malformed, match="decimol"):
        codec.decode(bytes(data))
