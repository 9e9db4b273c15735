"""The registry: kinds by themselves, named entries, value types, converters."""

from __future__ import annotations

import dataclasses
import enum
import gc
from typing import Any, ClassVar

import pydantic
import pytest

from dachi_fast import Attr, BaseModule, Param, Registry, registry
from dachi_fast.errors import DeclarationError, SpecError
from dachi_fast.module import layout_of
from dachi_fast.spec import full_kind_of


class Registered(BaseModule):
    """A module that entered by being defined."""


def test_a_module_class_enters_by_being_defined() -> None:
    assert registry.find_kind("Registered") is Registered
    entry = registry["Registered"]
    assert entry.obj is Registered
    assert (entry.type, entry.package) == ("class", __name__)
    assert entry.description == "A module that entered by being defined."


def test_decorating_a_registered_class_is_harmless() -> None:
    assert registry()(Registered) is Registered
    assert registry.find_kind("Registered") is Registered
    registry.deregister("Registered")
    assert registry.find_kind("Registered") is Registered


def test_defining_a_class_again_replaces_it() -> None:
    def cell() -> type[BaseModule]:
        class Repeated(BaseModule):
            x: int = Param(default=1)

        return Repeated

    first, second = cell(), cell()
    assert first is not second
    assert registry.find_kind("Repeated") is second


def test_an_alias_goes_with_the_definition_that_had_it() -> None:
    """Symptom: a cell run again without its `__aliases__` left the old name to the old class, and
    blueprints built that. Cause: only the kind was looked for, not whose it is now. Fix: an alias
    counts while its class is what the kind means."""

    def define(aliases: tuple[str, ...]) -> type[BaseModule]:
        class Renamed(BaseModule):
            __aliases__ = aliases

        return Renamed

    first = define(("BeforeRenamed",))
    assert registry.find_kind("BeforeRenamed") is first
    second = define(())
    with pytest.raises(SpecError, match="unknown kind"):
        registry.find_kind("BeforeRenamed")
    third = define(("BeforeRenamed",))
    assert registry.find_kind("BeforeRenamed") is third
    assert second is not third


def test_an_alias_of_a_value_type_goes_with_the_definition_that_had_it() -> None:
    """As above, for the types of values."""

    def define(aliases: tuple[str, ...]) -> type:
        @registry.value
        @dataclasses.dataclass
        class Spot:
            x: int

            __aliases__: ClassVar[tuple[str, ...]] = aliases

        return Spot

    first = define(("old:BeforeSpot",))
    assert registry.value_class("old:BeforeSpot") is first
    second = define(())
    assert registry.value_class("old:BeforeSpot") is None
    assert registry.value_class(full_kind_of(second)) is second


def test_a_module_class_that_is_refused_is_not_known() -> None:
    """Symptom: from_spec built a class whose definition had raised. Cause: it was entered before
    its aliases were read. Fix: they are read first."""
    with pytest.raises(DeclarationError, match="__aliases__"):

        class Refused(BaseModule):
            __aliases__ = 3

    assert registry.candidates("Refused") == []


def test_a_value_type_that_is_refused_is_not_known() -> None:
    """As above: states with it were saved under a class that no decorator had returned."""

    class Refused(enum.Enum):
        ONE = 1

    type.__setattr__(Refused, "__aliases__", 3)
    with pytest.raises(DeclarationError, match="__aliases__"):
        registry.value(Refused)
    assert registry.value_name(Refused) is None


def test_classes_of_a_function_go_with_it() -> None:
    def local() -> str:
        class Fleeting(BaseModule):
            pass

        assert registry.find_kind("Fleeting") is Fleeting
        return full_kind_of(Fleeting)

    kind = local()
    gc.collect()
    with pytest.raises(SpecError, match="unknown kind"):
        registry.find_kind(kind)


def test_a_registry_of_ones_own_is_empty_and_independent() -> None:
    own = Registry()

    @own(name="shout", tags={"use": "text"})
    def shout(text: str) -> str:
        """Says it loudly.

        And more.
        """
        return text.upper()

    @own.register(description="a class")
    class Tool:
        pass

    assert own.list_entries() == ["shout", "Tool"]
    assert own["shout"].obj("a") == "A"
    assert (own["shout"].type, own["shout"].description) == ("function", "Says it loudly.")
    assert own[["shout", "Tool"]].keys() == {"shout", "Tool"}
    assert list(own.filter(obj_type="class")) == ["Tool"]
    assert list(own.filter(tags={"use": "text"})) == ["shout"]
    assert list(own.filter(package=__name__)) == ["shout", "Tool"]
    assert own.list_types() == ["class", "function"]
    assert (own.list_packages(), own.list_tags()) == ([__name__], ["use"])
    own.deregister("shout")
    with pytest.raises(KeyError):
        own["shout"]
    assert "shout" not in registry


def test_the_last_registration_of_a_name_wins() -> None:
    own = Registry()
    for obj in (len, max):
        own(name="f")(obj)
    assert own["f"].obj is max


def test_types_in_annotations_register_themselves() -> None:
    class Mood(enum.Enum):
        GOOD = 1

    @dataclasses.dataclass
    class Point:
        x: int

    class Model(pydantic.BaseModel):
        y: int

    class Holder(BaseModule):
        moods: list[Mood] = Attr(default_factory=list)
        point: Point | None = Attr(default=None)
        model: dict[str, Model] = Param(default_factory=dict)

    layout_of(Holder)
    for cls in (Mood, Point, Model):
        assert registry.value_types[full_kind_of(cls)] is cls
        assert registry.value_name(cls) == full_kind_of(cls)


def test_a_value_type_is_registered_by_decorating_it() -> None:
    @registry.value
    class Color(enum.Enum):
        RED = 1

    assert registry.value_class(full_kind_of(Color)) is Color
    assert registry.value_name(int) is None


def test_a_converter_belongs_to_one_type() -> None:
    class Tensor:
        def __init__(self, items: list[int]) -> None:
            self.items = items

    def to(tensor: Any) -> list[int]:
        found: list[int] = tensor.items
        return found

    own = Registry()
    own.converter(Tensor, "tensor", to=to, back=Tensor)
    name, lower = own.converter_for(Tensor) or ("", to)
    back = own.converter_back(name)
    assert (name, lower(Tensor([1]))) == ("tensor", [1])
    assert back is Tensor
    assert own.converter_for(int) is None
    with pytest.raises(SpecError, match="belongs to"):
        own.converter(int, "tensor", to=str, back=int)
