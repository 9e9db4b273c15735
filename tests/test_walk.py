"""Walks: parameters, states, modules, children, apply, train."""

from __future__ import annotations

from typing import Any

import pytest

from dachi_fast import Attr, BaseModule, Param, Shared


class Leaf(BaseModule):
    a: int = Param(default=1)
    b: int = Param(default=2)
    c: int = Attr(default=3)
    s: int = Shared(default=4)


class Tree(BaseModule):
    first: Leaf = Param(default_factory=Leaf)
    size: int = Param(default=0)
    steps: list[Leaf] = Param(default_factory=list)
    anything: Any = Param(default=None)
    total: int = Attr(default=0)


@pytest.fixture
def tree() -> Tree:
    return Tree(steps=[Leaf(a=5)], anything={"x": Leaf(a=6), "y": [Leaf(a=7)]})


def test_own_params_come_first_then_those_of_children(tree: Tree) -> None:
    assert [n for n, _ in tree.named_parameters()] == [
        "size",
        "first.a",
        "first.b",
        "steps.0.a",
        "steps.0.b",
        "anything.x.a",
        "anything.x.b",
        "anything.y.0.a",
        "anything.y.0.b",
    ]
    assert [p.data for p in tree.parameters(recurse=False)] == [0]


def test_names_of_parameters_are_the_keys_of_the_state(tree: Tree) -> None:
    names = {n for n, _ in tree.named_parameters()}
    assert names == tree.state_keys(runtime=False)
    assert {n for n, _ in tree.named_states()} == tree.state_keys(train=False)


def test_states_are_the_attrs(tree: Tree) -> None:
    found = [(n, a.data) for n, a in tree.named_states()]
    assert found[:2] == [("total", 0), ("first.c", 3)]


def test_a_module_held_twice_is_walked_once_and_saved_twice() -> None:
    leaf = Leaf()
    tree = Tree(first=leaf, steps=[leaf])
    assert [n for n, _ in tree.named_parameters()] == ["size", "anything", "first.a", "first.b"]
    assert [m is leaf for m in tree.modules()] == [False, True]
    assert {"first.a", "steps.0.a"} <= tree.state_keys()


def test_cycles_end() -> None:
    tree: Any = Tree()
    tree.first.parent = tree
    assert len(list(tree.modules())) == 2
    assert len(list(tree.parameters())) == 4


def test_modules_are_named_from_the_root(tree: Tree) -> None:
    assert [n for n, _ in tree.named_modules()] == [
        "",
        "first",
        "steps.0",
        "anything.x",
        "anything.y.0",
    ]
    assert next(tree.modules()) is tree
    assert list(tree.children()) == [m for n, m in tree.named_modules() if n]


def test_modules_and_items_assigned_later_are_found(tree: Tree) -> None:
    late: Any = tree
    late.extra = Leaf()
    late.item = Param(data=1)
    names = [n for n, _ in tree.named_parameters()]
    assert "extra.a" in names
    assert names[1] == "item"


def test_an_attr_that_holds_a_module_has_no_children() -> None:
    class Owner(BaseModule):
        helper: Any = Attr(default=None)

    owner = Owner()
    owner.helper = [Leaf()]
    assert list(owner.children()) == []
    assert owner.state_dict() == {"helper": owner.helper}


def test_apply_visits_modules_params_and_attrs(tree: Tree) -> None:
    seen: list[str] = []
    tree.apply(lambda found: seen.append(type(found).__name__.strip("_")))
    assert seen[:7] == ["Tree", "Param", "Attr", "Leaf", "Param", "Param", "Attr"]


def test_apply_takes_a_class_or_a_predicate(tree: Tree) -> None:
    tree.apply(lambda p: p.set(p.data + 1), include=Param)
    assert (tree.size, tree.first.a, tree.first.c) == (1, 2, 3)
    tree.apply(lambda m: setattr(m, "c", 9), include=lambda m: isinstance(m, Leaf))
    assert (tree.first.c, tree.steps[0].c) == (9, 9)


def test_training_is_a_flag_of_the_tree_outside_spec_and_state(tree: Tree) -> None:
    assert tree.training
    assert tree.eval() is tree
    assert not tree.steps[0].training
    again: Any = tree.train()
    assert again.steps[0].training
    assert "training" not in tree.state_dict()
    assert "training" not in tree.spec().model_dump()
