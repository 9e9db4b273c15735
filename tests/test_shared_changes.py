"""Shared values of classes that have changed since: brought along, or told, and of one commit."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import BaseModule, KeyFile, MigrationReport, Shared, Store, registry, shared_name
from dachi_fast.errors import Conflict, SchemaWarning, StateKeyError, StateTypeError
from tests.evolving import TYPE

HERE = __name__


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as opened:
        yield opened


def _class(name: str, fields: dict[str, Any], types: Any = None, **members: Any) -> Any:
    """Gives a class as this process declares it now."""
    annotations = dict.fromkeys(fields, Any) | (types or {})
    body = {**fields, **members, "__annotations__": annotations, "__module__": HERE}
    return TYPE(name, (BaseModule,), body)


def _loaded(store: Store, cls: Any) -> MigrationReport:
    reports: list[MigrationReport] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.load_shared(cls, report=reports.append)
    [report] = reports or [MigrationReport()]
    return report


def _migrations(store: Store) -> list[tuple[str | None, str | None]]:
    found = [entry for entry in store.ledger() if entry.operation == "migrate"]
    return [(entry.agent_id, entry.memory_type) for entry in found]


def test_a_value_without_a_field_is_left_out_and_told(store: Store) -> None:
    """Symptom: values that no class had any more were an error, those inside of values vanished in
    silence. Cause: Shared values were not loaded as states are. Fix: both are told, and noted."""
    large = _class("Grown", {"a": Shared(default=1), "b": Shared(default=2)})
    large().a = 5
    store.save_shared(large)
    small = _class("Grown", {"a": Shared(default=1)})
    with pytest.warns(SchemaWarning, match="'tests.test_shared_changes:Grown.b'") as caught:
        store.load_shared(small)
    assert caught[0].filename == __file__
    assert small.a == 5
    assert _loaded(store, small).dropped == (f"{HERE}:Grown.b",)
    small().a = 6
    store.save_shared(small)
    assert _migrations(store) == [(shared_name(small), "shared")] * 2
    assert not _loaded(store, small)
    store._track(small, shared_name(small), 1)
    with pytest.raises(StateKeyError, match="'c'"):
        store.save_shared(small, merge=lambda _, theirs: {**theirs, "c": 1})


def test_values_of_classes_that_have_changed_are_told(store: Store) -> None:
    def point(*names: str) -> Any:
        made: Any = dataclasses.make_dataclass("SharedPoint", [(n, int, 0) for n in names])
        made.__module__ = HERE
        return registry.value(made)

    cls = _class("Pointing", {"at": Shared(default=None)})
    cls().at = point("x", "y")(1, 2)
    store.save_shared(cls)
    point("x", "z")
    report = _loaded(store, cls)
    assert report.dropped == (f"{HERE}:SharedPoint.y",)
    assert report.defaulted == (f"{HERE}:SharedPoint.z",)
    with pytest.warns(SchemaWarning, match="SharedPoint.y"):
        store.load_shared(cls)


async def test_the_async_twin_tells_the_same(store: Store) -> None:
    large = _class("Told", {"a": Shared(default=1), "b": Shared(default=2)})
    store.save_shared(large)
    small = _class("Told", {"a": Shared(default=1)})
    reports: list[MigrationReport] = []
    await store.aload_shared(small, report=reports.append)
    assert reports[0].dropped == (f"{HERE}:Told.b",)


def test_a_field_that_is_new_keeps_its_value_and_one_that_was_renamed_is_found(
    store: Store,
) -> None:
    old = _class("Renaming", {"a": Shared(default=1)})
    old().a = 5
    store.save_shared(old)
    new = _class("Renaming", {"first": Shared(default=0, aliases=("a",)), "b": Shared(default=2)})
    assert _loaded(store, new).renamed == ((f"{HERE}:Renaming.a", f"{HERE}:Renaming.first"),)
    assert (new.first, new.b) == (5, 2)


def test_a_value_is_converted_only_without_loss(store: Store) -> None:
    old = _class("Converting", {"a": Shared(default=None)})
    old().a = ["x", "y"]
    store.save_shared(old)
    new = _class("Converting", {"a": Shared(default=None)}, {"a": set[str]})
    with pytest.raises(StateTypeError, match="without loss"):
        store.load_shared(new)
    assert new.a is None
    new = _class("Converting", {"a": Shared(default=None)}, {"a": tuple[str, ...]})
    assert _loaded(store, new).converted == (f"{HERE}:Converting.a",)
    assert new.a == ("x", "y")


def test_a_class_with_another_name_finds_its_values_and_does_not_hide_them(store: Store) -> None:
    old = _class("Before", {"a": Shared(default=1)})
    for old_a in (5, 6):
        old().a = old_a
        store.save_shared(old)
    new = _class("After", {"a": Shared(default=1)}, __aliases__=("Before",))
    with pytest.raises(Conflict, match="load_shared"):
        store.save_shared(new)
    loaded = store.load_shared(new, version=1)
    assert (new.a, loaded[new].number) == (5, 1)
    with pytest.raises(Conflict, match="load_shared"):
        store.save_shared(new)
    saved = store.save_shared(new, merge=lambda mine, theirs: {"a": [mine["a"], theirs["a"]]})
    assert (saved[new].number, new.a) == (1, [5, 6])
    new.reset_shared()
    assert store.load_shared(new)[new].number == 1
    assert new.a == [5, 6]
    assert store.save_shared(new)[new].number == 2
    assert len(store.history(shared_name(old))) == 2


def test_what_one_call_loads_is_of_one_commit(store: Store) -> None:
    """Symptom: values of two classes, saved together, came from different commits. Cause: each was
    read from what was newest by then. Fix: all of them are read from one."""
    team = _class("Team", {"a": Shared(default=0)})
    worker = TYPE(
        "Worker",
        (team,),
        {"b": Shared(default=0), "__annotations__": {"b": int}, "__module__": HERE},
    )
    store.save_shared(worker)
    core = store._core

    class Busy:
        """Others save both as soon as something was read."""

        def __getattr__(self, name: str) -> Any:
            def called(*args: Any) -> Any:
                found = getattr(core, name)(*args)
                store._core = core
                worker().a = worker().b = 1
                store.save_shared(worker, base="latest")
                return found

            return called

    store._core = Busy()  # type: ignore[assignment]
    store.load_shared(worker)
    assert (worker.a, worker.b) == (0, 0)
