"""Any class into any other of the same name: kept, defaulted, dropped, converted, or refused."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from dachi_fast import Attr, BaseModule, KeyFile, MigrationReport, Param, Store
from dachi_fast.errors import MigrationError
from tests.evolving import TYPE, Leaf
from tests.tokens import same, token

HERE = "tests.test_migrate_fields_properties"
_names = itertools.count()

# Types with values that fit them, and their default.
TYPES: dict[str, tuple[Any, Any]] = {
    "int": (int, st.integers(-(2**60), 2**60)),
    "float": (float, st.floats(allow_nan=False)),
    "str": (str, st.text(max_size=4) | st.integers(-99, 99).map(str)),
    "list[int]": (list[int], st.lists(st.integers(-9, 9), max_size=3)),
    "tuple[float, ...]": (tuple[float, ...], st.lists(st.floats(-9, 9), max_size=3).map(tuple)),
    "int | None": (int | None, st.none() | st.integers(-9, 9)),
}
DEFAULTS = {"int": 7, "float": 7.5, "str": "d", "int | None": None}

fields = st.dictionaries(
    st.sampled_from("abcdef"),
    st.tuples(st.sampled_from(["param", "attr", "plain", "child"]), st.sampled_from(list(TYPES))),
    max_size=6,
)


def _default(kind: str) -> Any:
    return DEFAULTS.get(kind, () if kind.startswith("tuple") else [])


def _define(shape: dict[str, tuple[str, str]]) -> Any:
    body: dict[str, Any] = {"__module__": HERE, "__qualname__": "Any", "__annotations__": {}}
    for name, (role, kind) in shape.items():
        body["__annotations__"][name] = Leaf if role == "child" else TYPES[kind][0]
        if role == "child":
            body[name] = Param(default_factory=Leaf)
        elif role == "plain" and kind != "list[int]":
            body[name] = _default(kind)
        else:
            declare: Any = Attr if role == "attr" else Param
            body[name] = declare(default_factory=lambda kind=kind: _default(kind))
    return TYPE("Any", (BaseModule,), body)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    home = tmp_path_factory.mktemp("any")
    with Store.open(home / "store", keys=KeyFile(home / "key"), witness=None) as store:
        yield store


def _same_number(a: Any, b: Any) -> bool:
    """Equal as Python sees it, in containers of other types, too, and written as text."""
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(_same_number, a, b))
    return bool(a == b) or str(a) == str(b)


def _may_be_refused(agent: Any, name: str, before: str, after: tuple[str, str]) -> bool:
    """A module is no value nor the other way round; a value is refused if pydantic loses it."""
    role, kind = after
    if "child" in {before, role}:
        return before != role
    value = getattr(agent, name)
    try:
        new = TypeAdapter(TYPES[kind][0]).validate_python(value)
    except ValidationError:
        return True
    return not _same_number(value, new) or _has_minus_zero(value)


def _has_minus_zero(value: Any) -> bool:
    """As an integer it would lose its sign."""
    if isinstance(value, tuple):
        return any(map(_has_minus_zero, value))
    return isinstance(value, float) and value == 0 and math.copysign(1, value) < 0


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), before=fields, after=fields)
def test_any_class_evolves_into_any_other_or_says_why_not_and_nothing_is_lost_unsaid(
    store: Store,
    data: st.DataObject,
    before: dict[str, tuple[str, str]],
    after: dict[str, tuple[str, str]],
) -> None:
    agent = _define(before)()
    for name, (role, kind) in before.items():
        if role == "child":
            getattr(agent, name).size = data.draw(st.integers(0, 9))
        else:
            setattr(agent, name, data.draw(TYPES[kind][1]))
    key = f"agent {next(_names)}"
    store.save(agent, key)
    cls = _define(after)
    live = cls()
    untouched = token(live)
    reports: list[MigrationReport] = []
    refused: MigrationError | None = None
    try:
        loaded = store.load(key, report=reports.append)
    except MigrationError as error:
        refused = error
    if refused is not None:
        name = str(refused.context["path"])
        assert refused.code == "schema-misfit"
        assert name in before.keys() & after.keys()
        assert _may_be_refused(agent, name, before[name][0], after[name])
        with pytest.raises(MigrationError) as again:
            store.load_into(live, key)
        assert again.value.context == refused.context
        assert token(live) == untouched
        return
    said = reports[0] if reports else MigrationReport()
    assert set(said.dropped) == before.keys() - after.keys()
    assert set(said.defaulted) == after.keys() - before.keys()
    for name, (role, kind) in after.items():
        value = getattr(loaded, name)
        if name not in before:
            assert isinstance(value, Leaf) if role == "child" else value == _default(kind)
        elif role == "child":
            assert value.size == getattr(agent, name).size
        else:
            assert _same_number(getattr(agent, name), value)
            assert type(value) is type(getattr(agent, name)) or name in said.converted
    store.load_into(live, key, report=lambda _: None)
    assert same(live.state_dict(), loaded.state_dict())
    assert store.save(loaded, key).number == 2
    assert [up.version for up in store.upgrade(names=[key])] == [None]


def test_the_types_of_the_property_have_defaults_that_fit(tmp_path: Path) -> None:
    del tmp_path
    for kind in TYPES:
        assert _define({"a": ("attr", kind)})().a == _default(kind)
