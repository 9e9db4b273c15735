"""Random trees of modules: what was saved comes back, whatever the shape."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dachi_fast import AdaptModule, Attr, BaseModule, Param
from dachi_fast.module import load_owned


class Twig(BaseModule):
    number: int = Param(default=0)
    text: str = Attr(default="")


class Branch(BaseModule):
    label: str
    weight: float = Param(default=1.0)
    free: Any = Param(default=None)
    item: Param[int]
    one: BaseModule | None = Param(default=None)
    many: list[BaseModule] = Param(default_factory=list)
    named: dict[str, BaseModule] = Param(default_factory=dict)
    held: AdaptModule[BaseModule] | None = Param(default=None)
    memory: dict[str, Any] = Attr(default_factory=dict)


class WrittenBranch(BaseModule):
    count: int = Attr(default=0)

    def __init__(self, start: int, child: BaseModule) -> None:
        self.start = Param(data=start)
        self.child = child


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
# Keys of modules are parts of paths, which are UTF-8.
keys = st.text(st.characters(codec="utf-8", exclude_characters="."), min_size=1)
leaves = st.builds(Twig, number=st.integers())


def _grown(inner: st.SearchStrategy[BaseModule]) -> st.SearchStrategy[BaseModule]:
    nodes = st.builds(
        Branch,
        label=st.text(),
        weight=st.floats(allow_nan=False),
        free=values | st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=2),
        item=st.integers(),
        one=st.none() | inner,
        many=st.lists(inner, max_size=3),
        named=st.dictionaries(keys, inner, max_size=2),
        held=st.none() | inner,
    )
    return nodes | st.builds(WrittenBranch, start=st.integers(), child=inner)


trees: st.SearchStrategy[BaseModule] = st.recursive(leaves, _grown, max_leaves=8)


@st.composite
def learned(draw: st.DrawFn) -> BaseModule:
    """A tree whose Attrs have other values than their defaults."""
    tree = draw(trees)
    for module in tree.modules():
        if isinstance(module, Twig):
            module.text = draw(st.text())
        elif isinstance(module, Branch):
            module.memory = draw(st.dictionaries(st.text(), values, max_size=2))
            module.item = Param(data=draw(st.integers()))
    return tree


@given(learned())
def test_blueprint_and_state_give_the_tree_back(tree: BaseModule) -> None:
    spec, state = tree.spec().model_dump(), tree.state_dict()
    twin = type(tree).from_spec(spec)
    twin.load_state_dict(state)
    assert twin.state_dict() == state
    assert list(twin.state_dict()) == list(state)
    assert twin.spec().model_dump() == tree.spec().model_dump()


@given(learned())
def test_parts_of_a_state_make_the_whole(tree: BaseModule) -> None:
    params, attrs = tree.state_dict(runtime=False), tree.state_dict(train=False)
    assert params.keys().isdisjoint(attrs)
    assert {**params, **attrs} == tree.state_dict()
    assert tree.state_keys() == tree.state_dict().keys()
    own = tree.state_dict(recurse=False)
    assert {k: tree.state_dict()[k] for k in own} == own


@given(learned())
def test_names_of_parameters_are_keys_of_the_state(tree: BaseModule) -> None:
    named = [name for name, _ in tree.named_parameters()]
    assert len(named) == len(set(named))
    assert set(named) <= tree.state_keys(runtime=False)


@given(learned(), st.data())
def test_a_load_that_fails_changes_nothing(tree: BaseModule, data: st.DataObject) -> None:
    before = tree.snapshot()
    state = {k: copy.deepcopy(v) for k, v in before.items()}
    del state[data.draw(st.sampled_from(sorted(state)))]
    try:
        tree.load_state_dict({**state, "surely.not.there": 1})
    except KeyError:
        pass
    else:
        raise AssertionError("a missing key was not noticed")
    assert tree.state_dict() == before


@given(learned())
def test_loading_copies_and_owned_loading_does_not(tree: BaseModule) -> None:
    state = tree.state_dict()
    twin = type(tree).from_spec(tree.spec())
    twin.load_state_dict(state)
    held = {id(v) for v in state.values() if isinstance(v, (list, dict))}
    assert not any(id(v) in held for v in twin.state_dict().values())
    other = type(tree).from_spec(tree.spec())
    fresh = copy.deepcopy(state)
    load_owned(other, fresh)
    assert other.state_dict() == fresh


@given(learned())
def test_a_deep_copy_has_the_same_values_and_other_ids(tree: BaseModule) -> None:
    twin = copy.deepcopy(tree)
    blueprint = "_adapted_param"  # holds ids
    assert {k: v for k, v in twin.state_dict().items() if blueprint not in k} == {
        k: v for k, v in tree.state_dict().items() if blueprint not in k
    }
    assert not {m.id for m in twin.modules()} & {m.id for m in tree.modules()}
