"""Blueprints: schema, spec, from_spec, kinds, hostile input."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest

from dachi_fast import Attr, BaseModule, BaseSpec, Param
from dachi_fast.errors import SpecError
from dachi_fast.spec import from_spec, full_kind_of, full_spec, kind_of, kinds_in


class Leaf(BaseModule):
    size: int = Param(default=1)
    seen: int = Attr(default=0)


class Big(Leaf):
    extra: int = Param(default=2)


class Tree(BaseModule):
    name: str
    leaf: Leaf = Param(default_factory=Leaf)
    leaves: list[Leaf] = Param(default_factory=list)
    named: dict[str, Leaf] = Param(default_factory=dict)
    anything: list[Any] = Param(default_factory=list)
    data: dict[str, Any] = Param(default_factory=dict)

    class Inner(BaseModule):
        pass


def test_the_schema_is_one_cached_pydantic_class() -> None:
    schema = Tree.schema()
    assert schema is Tree.schema()
    assert schema.__name__ == "TreeSpec"
    assert issubclass(schema, BaseSpec)
    assert issubclass(schema, pydantic.BaseModel)


def test_a_dump_has_exactly_kind_id_and_the_fields() -> None:
    tree = Tree(name="t", leaf=Big(), named={"x": Leaf(size=5)})
    dumped = tree.spec().model_dump()
    assert list(dumped) == ["kind", "id", "name", "leaf", "leaves", "named", "anything", "data"]
    assert dumped["leaf"] == {"kind": "Big", "id": tree.leaf.id, "size": 1, "extra": 2}
    assert dumped["named"]["x"]["size"] == 5
    assert tree.spec(to_dict=True) == dumped


def test_a_spec_is_a_copy_of_the_containers() -> None:
    tree = Tree(name="t", data={"a": [1]})
    spec = tree.spec()
    tree.data["a"].append(2)
    twin = Tree.from_spec(spec)
    other = Tree.from_spec(spec)
    twin.data["a"].append(3)
    assert other.data == {"a": [1]}


def test_from_spec_gives_equal_trees_from_objects_dicts_and_json() -> None:
    tree = Tree(name="t", leaves=[Big(size=3)], anything=[Leaf(size=4), 1, {"k": [Big()]}])
    spec = tree.spec()
    for form in (spec, spec.model_dump(), Tree.schema().model_validate_json(spec.model_dump_json())):
        twin = Tree.from_spec(form)
        assert twin.spec().model_dump() == spec.model_dump()
        assert twin.state_dict() == tree.state_dict()
        assert isinstance(twin.anything[2]["k"][0], Big)


def test_data_that_looks_like_a_spec_stays_data() -> None:
    data = {"kind": "Leaf", "id": "x", "size": 3}
    tree = Tree(name="t", anything=[data], data={**data, "inner": [data]})
    twin = Tree.from_spec(tree.spec().model_dump())
    assert twin.anything == [data]
    assert twin.data == {**data, "inner": [data]}


def test_ids_are_uuids_or_what_the_spec_gave() -> None:
    assert len(Leaf().id) == 36
    assert Leaf().id != Leaf().id
    assert Leaf.from_spec({"kind": "Leaf", "id": "mine"}).id == "mine"
    leaf = Leaf()
    assert Leaf.from_spec(leaf.spec()).id == leaf.id


def test_one_module_referenced_twice_comes_back_as_one_and_equal_ones_as_two() -> None:
    leaf = Leaf()
    shared = Tree(name="t", leaf=leaf, leaves=[leaf, Leaf()])
    twin = Tree.from_spec(shared.spec().model_dump())
    assert twin.leaf is twin.leaves[0]
    assert twin.leaf is not twin.leaves[1]


def test_two_objects_of_one_id_get_two_ids() -> None:
    one, other = (Leaf.from_spec({"kind": "Leaf", "id": "same"}) for _ in range(2))
    spec = Tree(name="t", leaves=[one, other]).spec().model_dump()
    assert spec["leaves"][0]["id"] == "same"
    assert spec["leaves"][1]["id"] != "same"


def test_ctx_gives_existing_modules() -> None:
    leaf = Leaf()
    ctx: dict[str, BaseModule] = {"known": leaf}
    tree = Tree.from_spec({"kind": "Tree", "name": "t", "leaf": {"kind": "Leaf", "id": "known"}}, ctx)
    assert tree.leaf is leaf
    assert ctx == {"known": leaf}


def test_one_id_for_two_different_specs_is_an_error() -> None:
    leaves = [{"kind": "Leaf", "id": "x", "size": 1}, {"kind": "Leaf", "id": "x", "size": 2}]
    with pytest.raises(SpecError, match="one id is one object"):
        Tree.from_spec({"kind": "Tree", "name": "t", "leaves": leaves})


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"name": 3}, ("name",)),
        ({}, ("name",)),
        ({"name": "t", "unknown": 1}, ("unknown",)),
        ({"name": "t", "leaf": {"kind": "Leaf", "size": "x"}}, ("leaf", "size")),
        ({"name": "t", "leaves": [{"kind": "Leaf"}, {"kind": "Big", "extra": []}]},
         ("leaves", 1, "extra")),
        ({"name": "t", "named": {"k": {"size": 1}}}, ("named", "k")),
        ({"name": "t", "leaf": 3}, ("leaf",)),
    ],
)
def test_a_wrong_field_is_a_validation_error_with_the_path(
    spec: dict[str, Any], path: tuple[Any, ...]
) -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        Tree.from_spec({"kind": "Tree", **spec})
    assert caught.value.errors()[0]["loc"] == path


def test_an_unknown_kind_names_near_matches_and_the_path() -> None:
    with pytest.raises(SpecError, match="Leaf") as caught:
        Tree.from_spec({"kind": "Tree", "name": "t", "leaves": [{"kind": "Leav"}]})
    assert caught.value.code == "unknown-kind"
    assert caught.value.context["path"] == "leaves.0"
    with pytest.raises(ValueError, match="Tree"):
        BaseSpec(kind="Tre", id="x").load_cls()


def test_nothing_is_imported_by_name() -> None:
    with pytest.raises(SpecError, match="unknown kind"):
        from_spec({"kind": "antigravity:Flight"})


def test_an_ambiguous_kind_lists_the_candidates() -> None:
    def one() -> type[BaseModule]:
        class Twice(BaseModule):
            pass

        return Twice

    def other() -> type[BaseModule]:
        class Twice(BaseModule):
            pass

        return Twice

    first, second = one(), other()
    with pytest.raises(SpecError, match=r"one\.<locals>.*other\.<locals>"):
        from_spec({"kind": "Twice"})
    assert isinstance(from_spec({"kind": full_kind_of(second)}), second)
    assert isinstance(first.from_spec({"kind": "Twice"}), first)


def test_the_spec_of_another_kind_is_refused_unless_a_subclass() -> None:
    assert isinstance(Leaf.from_spec(Big().spec()), Big)
    for spec in (Leaf().spec(), Leaf().spec().model_dump()):
        with pytest.raises(SpecError, match="not a Big"):
            Big.from_spec(spec)
    with pytest.raises(SpecError, match="leaf: a Tree is not a Leaf"):
        Tree.from_spec({"kind": "Tree", "name": "t", "leaf": {"kind": "Tree", "name": "u"}})


@pytest.mark.parametrize("allow", [[Tree, Leaf], ["Tree", "Leaf"], [Tree, "Leaf"]])
def test_a_kind_that_is_not_allowed_is_refused_before_anything_is_built(
    allow: list[type | str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec: dict[str, Any] = {"kind": "Tree", "name": "t", "leaves": [{"kind": "Leaf"}]}
    assert isinstance(Tree.from_spec(spec, allow=allow), Tree)
    spec["leaves"].append({"kind": "Big"})
    monkeypatch.setattr(Leaf, "__init__", lambda self: pytest.fail("a part was built"))
    with pytest.raises(SpecError, match=r"leaves\.1.*'Big' is not allowed"):
        Tree.from_spec(spec, allow=allow)


@pytest.mark.parametrize("levels", [150, 5_000, 100_000])
def test_a_spec_nested_too_deeply_is_an_error_and_no_crash(levels: int) -> None:
    spec: Any = {"kind": "Tree", "name": "t"}
    for _ in range(levels):
        spec = {"kind": "Tree", "name": "t", "anything": [{"id": "x", **spec}]}
    with pytest.raises(SpecError, match="deep"):
        Tree.from_spec(spec)


def test_a_module_that_contains_itself_has_no_spec() -> None:
    tree = Tree(name="t")
    tree.anything.append(tree)
    with pytest.raises(SpecError, match="contains itself"):
        tree.spec()


def test_kinds_are_short_and_full() -> None:
    assert kind_of(Tree.Inner) == "Tree.Inner"
    assert full_kind_of(Tree) == f"{__name__}:Tree"
    assert isinstance(from_spec({"kind": "Tree.Inner"}), Tree.Inner)
    assert isinstance(from_spec({"kind": f"{__name__}:Leaf"}), Leaf)
    assert kinds_in(Tree(name="t")) == {"Tree": f"{__name__}:Tree", "Leaf": f"{__name__}:Leaf"}
    full = full_spec(Tree(name="t"))
    assert full["leaf"]["kind"] == f"{__name__}:Leaf"
    assert Tree.from_spec(full).name == "t"
