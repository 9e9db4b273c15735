"""Values of registered classes that have changed since they were saved."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any, NamedTuple

import pydantic
import pytest

from dachi_fast import Attr, BaseModule, MigrationReport, Store, migration, registry
from dachi_fast.errors import MigrationError
from tests.evolving import loaded

HERE = "tests.test_migrate_values"


class Keeper(BaseModule):
    value: Any = Attr(default=None)


def _known_as(name: str, cls: Any) -> Any:
    """Registers a class as the one of a name, in place of an older one."""
    cls.__qualname__ = name
    return registry.value(cls)


def _save(store: Store, value: Any) -> None:
    keeper = Keeper()
    keeper.value = value
    store.save(keeper, "agent")


def test_fields_of_dataclasses_come_and_go(store: Store) -> None:
    @dataclasses.dataclass
    class Old:
        kept: int
        gone: str = "g"

    _save(store, [_known_as("Data", Old)(1), Old(2)])

    @dataclasses.dataclass
    class New:
        kept: int
        new: list[int] = dataclasses.field(default_factory=list)
        later: int = dataclasses.field(init=False)

    _known_as("Data", New)
    found, changes = loaded(store)
    assert [(v.kept, v.new, hasattr(v, "later")) for v in found.value] == [
        (1, [], False), (2, [], False)
    ]  # fmt: skip
    assert found.value[0].new is not found.value[1].new
    assert changes == MigrationReport(
        dropped=(f"{HERE}:Data.gone",), defaulted=(f"{HERE}:Data.new",)
    )


def test_fields_of_models_and_what_they_keep_privately_come_and_go(store: Store) -> None:
    class Old(pydantic.BaseModel):
        kept: int
        gone: int = 2
        _count: int = pydantic.PrivateAttr(default=5)

        _kept: int = pydantic.PrivateAttr(default=5)
        _last: int = pydantic.PrivateAttr(default=5)

    _save(store, _known_as("Model", Old)(kept=1, gone=3))

    class New(pydantic.BaseModel):
        kept: int
        new: list[int] = pydantic.Field(default_factory=list)
        _other: int = pydantic.PrivateAttr(default=6)
        _kept: int = pydantic.PrivateAttr(default=6)

    _known_as("Model", New)
    found, changes = loaded(store)
    assert (found.value._kept, found.value._other) == (5, 6)
    assert found.value.model_fields_set == {"kept"}
    dropped = (f"{HERE}:Model.{name}" for name in ("gone", "_count", "_last"))
    assert changes.dropped == tuple(dropped)
    assert changes.defaulted == (f"{HERE}:Model.new", f"{HERE}:Model._other")


def test_fields_of_named_tuples_come_and_go(store: Store) -> None:
    class Old(NamedTuple):
        gone: int
        kept: int

    _save(store, _known_as("Tuple", Old)(1, 2))

    class New(NamedTuple):
        kept: int
        new: str = "n"

    _known_as("Tuple", New)
    found, changes = loaded(store)
    assert found.value == New(2)
    assert changes == MigrationReport(
        dropped=(f"{HERE}:Tuple.gone",), defaulted=(f"{HERE}:Tuple.new",)
    )


def test_a_new_field_of_a_value_without_a_default_is_refused_with_its_path(store: Store) -> None:
    @dataclasses.dataclass
    class Old:
        kept: int

    _save(store, _known_as("Needing", Old)(1))

    @dataclasses.dataclass
    class New:
        needed: int

    _known_as("Needing", New)
    with pytest.raises(MigrationError, match="new field 'needed' without a default") as caught:
        store.load("agent")
    assert caught.value.context["path"] == "value"


def test_a_default_that_raises_is_an_error_with_its_path(store: Store) -> None:
    """Symptom: a ZeroDivisionError out of a load. Cause: defaults of new fields ran unguarded.
    Fix: what code of others raises while classes are followed is a MigrationError."""

    @dataclasses.dataclass
    class Old:
        kept: int

    _save(store, _known_as("Failing", Old)(1))

    @dataclasses.dataclass
    class New:
        kept: int
        new: float = dataclasses.field(default_factory=lambda: 1 / 0)

    _known_as("Failing", New)
    with pytest.raises(MigrationError, match="'new', whose default raised ZeroDiv") as caught:
        store.load("agent")
    assert caught.value.context["path"] == "value"


def test_migrations_of_values_take_and_give_what_was_saved(store: Store) -> None:
    @dataclasses.dataclass
    class Old:
        feet: float

    class OldColour(enum.Enum):
        RED = 1

    _save(store, (_known_as("Length", Old)(10.0), _known_as("Colour", OldColour).RED))

    @dataclasses.dataclass
    class New:
        __schema_version__ = 2
        metres: float

        @migration(1, 2)
        @staticmethod
        def metric(fields: Any) -> Any:
            return {"metres": fields["feet"] * 0.3}

    class NewColour(enum.Enum):
        __schema_version__ = 2
        CRIMSON = 1

        @migration(1, 2)
        @staticmethod
        def renamed(name: Any) -> Any:
            return {"RED": "CRIMSON"}[name]

    _known_as("Length", New)
    _known_as("Colour", NewColour)
    found, changes = loaded(store)
    assert found.value == (New(3.0), NewColour.CRIMSON)
    assert changes.migrated == ((f"{HERE}:Length", 1, 2), (f"{HERE}:Colour", 1, 2))


@pytest.mark.parametrize("given", [None, [1], {1: 2}], ids=str)
def test_a_migration_of_a_value_that_gives_junk_is_an_error(store: Store, given: Any) -> None:
    @dataclasses.dataclass
    class Old:
        kept: int = 1

    _save(store, _known_as("Junk", Old)())

    @dataclasses.dataclass
    class New:
        __schema_version__ = 2
        kept: int = 1

        @migration(1, 2)
        @staticmethod
        def step(_: Any) -> Any:
            return given

    _known_as("Junk", New)
    with pytest.raises(MigrationError, match="not the dict of the fields") as caught:
        store.load("agent")
    assert (caught.value.code, caught.value.context["path"]) == ("migration-failed", "value")


def test_a_member_that_goes_by_a_new_name_is_found_by_its_old_one(store: Store) -> None:
    class Old(enum.Enum):
        RED = 1

    _save(store, _known_as("Shade", Old).RED)

    class New(enum.Enum):
        CRIMSON = 1
        RED = CRIMSON

    _known_as("Shade", New)
    found, changes = loaded(store)
    assert found.value is New.CRIMSON
    assert not changes


def test_a_class_of_values_is_found_by_its_earlier_name(store: Store) -> None:
    @dataclasses.dataclass
    class Former:
        kept: int = 1

    _save(store, _known_as("Former", Former)(4))
    del registry.value_types[f"{HERE}:Former"]

    @dataclasses.dataclass
    class Present:
        __aliases__ = ("Former",)
        kept: int = 1

    _known_as("Present", Present)
    assert loaded(store)[0].value == Present(4)


def test_modules_that_are_values_evolve_with_a_report_that_names_their_class(store: Store) -> None:
    class Old(BaseModule):
        __qualname__ = "Valued"
        gone: int = Attr(default=1)
        kept: int = Attr(default=2)

    old = Old()
    old.kept = 5
    _save(store, {"it": [old]})

    class New(BaseModule):
        __qualname__ = "Valued"
        __schema_version__ = 2
        doubled: int = Attr(default=2)
        new: str = "n"

        @migration(1, 2)
        @staticmethod
        def double(spec: Any, state: Any) -> Any:
            return spec, {"gone": state["gone"], "doubled": 2 * state["kept"]}

    found, changes = loaded(store)
    valued = found.value["it"][0]
    assert (type(valued), valued.doubled, valued.new, valued.id) == (New, 10, "n", old.id)
    assert changes == MigrationReport(
        migrated=((f"{HERE}:Valued", 1, 2),),  # type: ignore[arg-type]
        dropped=(f"{HERE}:Valued.gone",),
        defaulted=(f"{HERE}:Valued.new",),
    )
