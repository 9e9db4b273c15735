"""How large a spec may be that somebody else wrote."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from dachi_fast import AdaptModule, BaseModule, ModuleList, Param, SpecLimits
from dachi_fast._core.state import exceeded
from dachi_fast.errors import SpecError
from dachi_fast.spec import from_spec


class Crate(BaseModule):
    label: str = Param(default="")
    inside: BaseModule | None = None
    things: list[Any] = Param(default_factory=list)
    by_name: dict[str, BaseModule] = Param(default_factory=dict)


def _in_each_other(levels: int) -> dict[str, Any]:
    spec: dict[str, Any] = {"kind": "Crate"}
    for _ in range(levels - 1):
        spec = {"kind": "Crate", "inside": spec}
    return spec


def _refused(spec: dict[str, Any], **limits: int) -> SpecError:
    with pytest.raises(SpecError) as caught:
        from_spec(spec, limits=SpecLimits(**limits))
    return caught.value


def test_the_limits_are_documented_and_hold_when_none_are_given() -> None:
    assert SpecLimits() == (200, 100_000, 1_000_000, 64 * 1024 * 1024)
    with pytest.raises(SpecError, match="200 levels"):
        from_spec({"kind": "Crate", "things": [json.loads("[" * 200 + "]" * 200)]})


def test_depth_counts_objects_and_arrays_alike() -> None:
    spec = {"kind": "Crate", "things": [[{"a": [1]}]]}
    from_spec(spec, limits=SpecLimits(depth=5))
    error = _refused(spec, depth=4)
    assert (error.code, error.context["path"]) == ("too-deep", "things.0.0.a")
    assert error.context["limit"] == 4
    assert "limits=SpecLimits(depth=...)" in error.message


def test_modules_are_counted_wherever_they_stand() -> None:
    leaf = {"kind": "Crate"}
    spec = {"kind": "Crate", "inside": leaf, "by_name": {"a": leaf, "b": leaf}}
    from_spec(spec, limits=SpecLimits(modules=4))
    error = _refused(spec, modules=3)
    assert (error.code, error.context["path"]) == ("too-many-modules", "by_name.b")


def test_values_are_counted_wherever_they_stand() -> None:
    spec = {"kind": "Crate", "things": [1, [2, 3], {"a": None}]}
    from_spec(spec, limits=SpecLimits(values=9))
    error = _refused(spec, values=8)
    assert (error.code, error.context["path"]) == ("too-many-values", "things.2.a")


def test_the_size_is_that_of_texts_and_keys_in_utf_8() -> None:
    spec = {"kind": "Crate", "label": "é" * 10, "things": ["\ud800", b"abc"]}
    size = len("kindCratelabelthings") + 20 + 3 + 3
    from_spec({**spec, "things": ["abc", b"abc"]}, limits=SpecLimits(size_bytes=size))
    error = _refused(spec, size_bytes=size - 1)
    assert (error.code, error.context["path"]) == ("too-large", "things.1")


def test_every_limit_is_met_before_anything_is_looked_at() -> None:
    spec = {"kind": "No such kind", "things": [0] * 100}
    assert _refused(spec, values=50).code == "too-many-values"


def test_a_list_that_is_referred_to_from_many_places_is_counted_in_each() -> None:
    """What YAML's anchors give: thirty levels of two references unfold to a thousand million."""
    bomb: list[Any] = [1]
    for _ in range(30):
        bomb = [bomb, bomb]
    with pytest.raises(SpecError) as caught:
        from_spec({"kind": "Crate", "things": bomb})
    assert caught.value.code == "too-many-values"


def test_a_dict_that_holds_itself_is_too_deep() -> None:
    spec: dict[str, Any] = {"kind": "Crate"}
    spec["inside"] = spec
    with pytest.raises(SpecError) as caught:
        from_spec(spec)
    assert caught.value.code == "too-deep"
    assert caught.value.context["path"] == ".".join(["inside"] * 6 + ["..."] + ["inside"] * 6)


@pytest.mark.parametrize("levels", [201, 10_000, 200_000])
@pytest.mark.parametrize("root", [Crate, AdaptModule, ModuleList])
def test_a_spec_that_is_deep_is_refused_wherever_it_goes_deep(root: type, levels: int) -> None:
    deep = _in_each_other(levels)
    specs: dict[type, dict[str, Any]] = {
        Crate: deep,
        AdaptModule: {"kind": "AdaptModule", "_adapted_param": deep},
        ModuleList: {"kind": "ModuleList", "items": [deep]},
    }
    with pytest.raises(SpecError) as caught:
        from_spec(specs[root])
    assert caught.value.code == "too-deep"


def test_modules_are_in_each_other_as_deep_as_state_may_be_whatever_the_limits_say() -> None:
    deepest = from_spec(_in_each_other(100))
    assert len(deepest.state_dict()) == 200
    for levels in (101, 5_000):
        with pytest.raises(SpecError) as caught:
            from_spec(_in_each_other(levels), limits=SpecLimits(depth=10**6))
        assert caught.value.code == "too-deep"


def test_a_million_nodes_are_refused_and_built_if_asked_for() -> None:
    leaves = {"kind": "ModuleList", "items": [{"kind": "Crate"}] * 1_000_000}
    with pytest.raises(SpecError) as caught:
        from_spec(leaves)
    assert caught.value.code == "too-many-modules"
    assert caught.value.context["path"] == "items.99999"
    flat = {"kind": "Crate", "things": [0] * 1_000_001}
    with pytest.raises(SpecError) as caught:
        from_spec(flat)
    assert caught.value.code == "too-many-values"
    grown: Any = from_spec(flat, limits=SpecLimits(values=2_000_000))
    assert len(grown.things) == 1_000_001


def test_measuring_stops_at_the_limit() -> None:
    """So a bomb costs what the limit allows, and no more."""
    bomb: list[Any] = [1]
    for _ in range(sys.getrecursionlimit()):
        bomb = [bomb, bomb]
    found = exceeded({"things": bomb}, (2_000, 10, 5_000, 10))
    assert found is not None
    assert found[0] == "values"


def test_what_was_validated_already_is_not_measured_again() -> None:
    """Limits are for what somebody else wrote; a BaseSpec is the program's own."""
    tree = Crate(things=[0] * 50)
    tight = SpecLimits(values=10)
    assert Crate.from_spec(tree.spec(), limits=tight).things == tree.things
    with pytest.raises(SpecError):
        Crate.from_spec(tree.spec(to_dict=True), limits=tight)
