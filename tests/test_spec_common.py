"""Specs of the common form are built without pydantic, and no one can tell."""

from __future__ import annotations

import gc
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from dachi_fast import Attr, BaseModule, Param, registry
from dachi_fast._core.state import build_spec
from dachi_fast.errors import SpecError
from dachi_fast.spec._build import _Builder, surveyed
from tests.tokens import same


class PlainLeaf(BaseModule):
    whole: int = Param(default=1)
    real: float = Param(default=0.5)
    text: str = "t"
    flag: bool = Param(default=False)
    maybe: str | None = Param(default=None)
    either: int | str = Param(default=0)
    small: Annotated[int, Field(le=3)] = Param(default=0)
    mode: Literal["a", "b"] = Param(default="a")
    names: list[str] = Param(default_factory=list)
    table: dict[str, float] = Param(default_factory=dict)
    anything: Any = Param(default=None)
    count: int = Attr(default=0)
    memory: list[int] = Attr(default_factory=list)


class PlainBranch(BaseModule):
    label: str
    first: PlainLeaf | None = None
    leaves: list[PlainLeaf] = Param(default_factory=list)
    by_name: dict[str, BaseModule] = Param(default_factory=dict)


class PlainOther(BaseModule):
    pass


def _by_pydantic(spec: dict[str, Any]) -> Any:
    read, survey = surveyed(BaseModule, spec, None, None)
    return _Builder({}, survey).module(read)


def _outcome(build: Any, spec: dict[str, Any]) -> tuple[str, Any]:
    try:
        made = build(spec)
    except (SpecError, ValidationError) as error:
        return type(error).__name__, str(error)
    return "made", made


def _agree(spec: dict[str, Any]) -> None:
    ours, theirs = _outcome(BaseModule.from_spec, spec), _outcome(_by_pydantic, spec)
    assert ours[0] == theirs[0]
    if ours[0] != "made":
        assert ours[1] == theirs[1]
        return
    a, b = ours[1], theirs[1]
    assert same(a.state_dict(), b.state_dict())
    dumped = (a.spec(to_dict=True), b.spec(to_dict=True))
    assert _without_new_ids(dumped[0], spec) == _without_new_ids(dumped[1], spec)


def _without_new_ids(dumped: Any, spec: Any) -> Any:
    given_ids = set(_ids(spec))
    if isinstance(dumped, dict):
        return {
            k: _without_new_ids(v, spec) for k, v in dumped.items() if k != "id" or v in given_ids
        }
    return [_without_new_ids(v, spec) for v in dumped] if isinstance(dumped, list) else dumped


def _ids(spec: Any) -> list[str]:
    if isinstance(spec, dict):
        own = [spec["id"]] if isinstance(spec.get("id"), str) else []
        return own + [found for value in spec.values() for found in _ids(value)]
    return [found for v in spec for found in _ids(v)] if isinstance(spec, list) else []


_odd = st.sampled_from(
    [
        0, 3, 4, 2**70, True, 1.0, 1.5, float("inf"), "", "a", "z", "7", "\ud800", "\u00e9", None,
        b"x", (), ("a",), [], ["a"], [1], [None], [["a"]], {}, {"a": 1}, {"a": 1.5}, {"a": "b"},
        {1: 1.5}, {"$data": {"kind": "PlainLeaf"}}, {"a": {"$data": 1}},
        [{"kind": "PlainLeaf", "id": "n"}],
        {"kind": "PlainLeaf", "id": "m"}, {"kind": "PlainLeaf"}, {"kind": "PlainOther", "id": "o"},
        {"kind": "Nothing"}, {"kind": 1}, {"a": {"kind": "PlainLeaf"}}, PlainLeaf,
        {"a": Ellipsis}, 1j,
    ]
)  # fmt: skip
_fields = {
    **dict.fromkeys(
        ("whole", "real", "text", "flag", "maybe", "either", "small", "mode", "names", "table"),
        _odd,
    ),
    "anything": _odd,
    "count": _odd,
    "unknown": _odd,
    "__class__": _odd,
}
_kind = st.sampled_from(
    ["PlainLeaf", "tests.test_spec_common:PlainLeaf", "PlainBranch", "PlainOther", "Nothing", 1]
)
_leaf = st.builds(
    lambda kind, ident, values: {"kind": kind, **ident, **values},
    st.just("PlainLeaf") | _kind,
    st.sampled_from([{}, {"id": "one"}, {"id": "two"}, {"id": 3}, {"id": "\ud800"}]),
    st.dictionaries(st.sampled_from(sorted(_fields)), _odd, max_size=2),
)
_branch = st.builds(
    lambda first, leaves, by_name: {
        "kind": "PlainBranch",
        "label": "l",
        **({} if first is None else {"first": first}),
        "leaves": leaves,
        "by_name": by_name,
    },
    st.none() | _leaf,
    st.lists(_leaf, max_size=3),
    st.dictionaries(st.sampled_from(["a", "b"]), _leaf, max_size=2),
)


@given(_leaf | _branch)
def test_a_spec_gives_the_same_module_or_the_same_error_as_through_pydantic(
    spec: dict[str, Any],
) -> None:
    _agree(spec)


@pytest.mark.parametrize("field", sorted(_fields))
@pytest.mark.parametrize("given_id", [{}, {"id": "i"}])
def test_every_value_in_every_field_is_judged_as_pydantic_does(
    field: str, given_id: dict[str, str]
) -> None:
    for value in _odd.elements:  # type: ignore[attr-defined]
        _agree({"kind": "PlainLeaf", **given_id, field: value})


def test_the_common_form_is_taken_and_everything_else_is_left_to_pydantic() -> None:
    leaf = {"kind": "PlainLeaf", "id": "a", "whole": 3, "names": ["x"], "table": {"y": 0.5}}
    branch = {"kind": "PlainBranch", "id": "b", "label": "l", "leaves": [leaf]}
    made: Any = build_spec(BaseModule, branch)
    assert (made.label, made.leaves[0].names, made.leaves[0].id) == ("l", ["x"], "a")
    assert made.leaves[0].names is not leaf["names"]
    for left in (
        {**branch, "leaves": [leaf, leaf]},  # an id twice
        {**branch, "first": {"kind": "PlainOther", "id": "c"}},
        {**branch, "more": 1},
        {**leaf, "small": 1},  # pydantic may ask for more than the type
        {**leaf, "real": 1},  # pydantic makes it 1.0
        {**leaf, "flag": 1},
    ):
        assert build_spec(BaseModule, left) is None
    assert build_spec(PlainLeaf, branch) is None


def test_a_spec_as_deep_as_allowed_is_built_and_a_deeper_one_refused() -> None:
    class DeepNest(BaseModule):
        inside: BaseModule | None = None

    def deep(levels: int) -> dict[str, Any]:
        spec: dict[str, Any] = {"kind": "DeepNest"}
        for _ in range(levels - 1):
            spec = {"kind": "DeepNest", "inside": spec}
        return spec

    assert sum(1 for _ in DeepNest.from_spec(deep(100)).modules()) == 100
    for levels in (101, 10_000):
        with pytest.raises(SpecError) as caught:
            DeepNest.from_spec(deep(levels))
        assert caught.value.code == "too-deep"
    assert gc.isenabled()


def test_kinds_are_found_as_registered_when_the_spec_is_read() -> None:
    def define(default: int) -> type[BaseModule]:
        class Redefined(BaseModule):
            __qualname__ = "Redefined"
            size: int = Param(default=default)

        return Redefined

    spec = {"kind": "Redefined", "id": "r"}
    for default in (1, 2):
        cls = define(default)
        assert type(BaseModule.from_spec(spec)) is cls
        assert BaseModule.from_spec(spec).size == default  # type: ignore[attr-defined]
    registry.deregister("Redefined")
    with pytest.raises(SpecError, match="unknown kind"):
        BaseModule.from_spec(spec)
