"""The compiled walk against the same rules in Python, and against a real store."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings

from dachi_fast import BaseModule, KeyFile, Param, Store
from dachi_fast._core import state as core_state
from dachi_fast.errors import StateTypeError, StateValueError
from tests.oracles.flatten import flatten
from tests.test_module_state_properties import learned


@given(learned())
def test_the_compiled_walk_gives_the_same_keys_values_and_order(tree: BaseModule) -> None:
    for flags in itertools.product([True, False], repeat=3):
        expected, found = flatten(tree, *flags), core_state.flatten(tree, *flags)
        assert list(found) == list(expected)
        # A blueprint's dict is made anew at each read; all other values are the very same objects.
        assert found == expected


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("any-tree")
    with Store.open(folder / "store", keys=KeyFile(folder / "key"), witness=None) as store:
        yield store


@given(learned())
@settings(max_examples=30)
def test_a_store_gives_back_any_tree(store: Store, tree: BaseModule) -> None:
    store.save(tree, "tree", base="latest")
    loaded = store.load("tree")
    assert type(loaded) is type(tree)
    assert loaded.state_dict() == tree.state_dict()
    assert loaded.spec(to_dict=True) == tree.spec(to_dict=True)


class Holder(BaseModule):
    number: int = Param(default=0)
    inner: Any = Param(default=None)


def _itself() -> BaseModule:
    holder = Holder()
    holder.inner = [holder]
    return holder


def _dotted() -> BaseModule:
    return Holder(inner={"a.b": Holder()})


def _dotted_name() -> BaseModule:
    holder = Holder()
    setattr(holder, "a.b", Holder())
    return holder


def _twice() -> BaseModule:
    return Holder(inner={1: Holder(), "1": Holder()})


def _deep() -> BaseModule:
    holder = Holder()
    for _ in range(120):
        holder = Holder(inner=holder)
    return holder


@pytest.mark.parametrize("make", [_itself, _dotted, _dotted_name, _twice, _deep])
def test_both_walks_refuse_the_same_trees_with_the_same_code(make: Any) -> None:
    tree = make()
    with pytest.raises(StateValueError) as expected:
        flatten(tree)
    for walk in (core_state.flatten, core_state.capture):
        with pytest.raises(StateValueError) as found:
            walk(tree)
        assert found.value.code == expected.value.code


@pytest.mark.parametrize("key", [(1, 2), None, "\ud800"])
def test_a_dict_of_modules_with_a_key_that_is_no_text_is_refused(key: object) -> None:
    with pytest.raises(StateTypeError) as found:
        core_state.flatten(Holder(inner={key: Holder()}))
    assert (found.value.code, found.value.context["path"]) == ("module-key", "inner")


def test_an_item_in_a_raw_field_is_refused_with_its_path() -> None:
    tree = Holder(inner=Holder())
    tree.inner.number = Param(data=1)
    with pytest.raises(StateTypeError) as found:
        core_state.capture(tree)
    assert (found.value.code, found.value.context["path"]) == (
        "item-in-raw-field",
        "inner.number",
    )


def test_reading_a_state_does_not_make_instance_dicts() -> None:
    # On CPython 3.11 and 3.12 an instance whose `__dict__` was touched stays slow for ever.
    import gc

    tree = Holder(number=3)
    before = [id(value) for value in gc.get_referents(tree)]
    core_state.flatten(tree)
    core_state.capture(tree)
    found = gc.get_referents(tree)
    assert not any(type(value) is dict and "number" in value for value in found)
    assert set(before) <= {id(value) for value in found}
