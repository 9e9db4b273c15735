"""Blueprints: schema, spec, from_spec, kinds, hostile input."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest

from dachi_fast import Attr, BaseModule, BaseSpec, Param
from dachi_fast.errors import SpecError
from dachi_fast.spec import from_spec, full_kind_of, full_spec, kind_of, kinds_in


class Acorn(BaseModule):
    size: int = Param(default=1)
    seen: int = Attr(default=0)


class BigAcorn(Acorn):
    extra: int = Param(default=2)


class Oak(BaseModule):
    name: str
    leaf: Acorn = Param(default_factory=Acorn)
    leaves: list[Acorn] = Param(default_factory=list)
    named: dict[str, Acorn] = Param(default_factory=dict)
    anything: list[Any] = Param(default_factory=list)
    data: dict[str, Any] = Param(default_factory=dict)

    class Inner(BaseModule):
        pass


def test_the_schema_is_one_cached_pydantic_class() -> None:
    schema = Oak.schema()
    assert schema is Oak.schema()
    assert schema.__name__ == "OakSpec"
    assert issubclass(schema, BaseSpec)
    assert issubclass(schema, pydantic.BaseModel)


def test_a_dump_has_exactly_kind_id_and_the_fields() -> None:
    tree = Oak(name="t", leaf=BigAcorn(), named={"x": Acorn(size=5)})
    dumped = tree.spec().model_dump()
    assert list(dumped) == ["kind", "id", "name", "leaf", "leaves", "named", "anything", "data"]
    assert dumped["leaf"] == {"kind": "BigAcorn", "id": tree.leaf.id, "size": 1, "extra": 2}
    assert dumped["named"]["x"]["size"] == 5
    assert tree.spec(to_dict=True) == dumped


def test_a_spec_is_a_copy_of_the_containers() -> None:
    tree = Oak(name="t", data={"a": [1]})
    spec = tree.spec()
    tree.data["a"].append(2)
    twin = Oak.from_spec(spec)
    other = Oak.from_spec(spec)
    twin.data["a"].append(3)
    assert other.data == {"a": [1]}


def test_from_spec_gives_equal_trees_from_objects_dicts_and_json() -> None:
    anything = [Acorn(size=4), 1, {"k": [BigAcorn()]}]
    tree = Oak(name="t", leaves=[BigAcorn(size=3)], anything=anything)
    spec = tree.spec()
    for form in (
        spec,
        spec.model_dump(),
        Oak.schema().model_validate_json(spec.model_dump_json()),
    ):
        twin = Oak.from_spec(form)
        assert twin.spec().model_dump() == spec.model_dump()
        assert twin.state_dict() == tree.state_dict()
        assert isinstance(twin.anything[2]["k"][0], BigAcorn)


def test_data_that_looks_like_a_spec_stays_data() -> None:
    data = {"kind": "Acorn", "id": "x", "size": 3}
    tree = Oak(name="t", anything=[data], data={**data, "inner": [data]})
    twin = Oak.from_spec(tree.spec().model_dump())
    assert twin.anything == [data]
    assert twin.data == {**data, "inner": [data]}


def test_ids_are_uuids_or_what_the_spec_gave() -> None:
    assert len(Acorn().id) == 36
    assert Acorn().id != Acorn().id
    assert Acorn.from_spec({"kind": "Acorn", "id": "mine"}).id == "mine"
    leaf = Acorn()
    assert Acorn.from_spec(leaf.spec()).id == leaf.id


def test_one_module_referenced_twice_comes_back_as_one_and_equal_ones_as_two() -> None:
    leaf = Acorn()
    shared = Oak(name="t", leaf=leaf, leaves=[leaf, Acorn()])
    twin = Oak.from_spec(shared.spec().model_dump())
    assert twin.leaf is twin.leaves[0]
    assert twin.leaf is not twin.leaves[1]


def test_two_objects_of_one_id_get_two_ids() -> None:
    one, other = (Acorn.from_spec({"kind": "Acorn", "id": "same"}) for _ in range(2))
    spec = Oak(name="t", leaves=[one, other]).spec().model_dump()
    assert spec["leaves"][0]["id"] == "same"
    assert spec["leaves"][1]["id"] != "same"


def test_ctx_gives_existing_modules() -> None:
    leaf = Acorn()
    ctx: dict[str, BaseModule] = {"known": leaf}
    tree = Oak.from_spec(
        {"kind": "Oak", "name": "t", "leaf": {"kind": "Acorn", "id": "known"}}, ctx
    )
    assert tree.leaf is leaf
    assert ctx == {"known": leaf}


def test_one_id_for_two_different_specs_is_an_error() -> None:
    leaves = [{"kind": "Acorn", "id": "x", "size": 1}, {"kind": "Acorn", "id": "x", "size": 2}]
    with pytest.raises(SpecError, match="one id is one object"):
        Oak.from_spec({"kind": "Oak", "name": "t", "leaves": leaves})


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"name": 3}, ("name",)),
        ({}, ("name",)),
        ({"name": "t", "unknown": 1}, ("unknown",)),
        ({"name": "t", "leaf": {"kind": "Acorn", "size": "x"}}, ("leaf", "size")),
        (
            {"name": "t", "leaves": [{"kind": "Acorn"}, {"kind": "BigAcorn", "extra": []}]},
            ("leaves", 1, "extra"),
        ),
        ({"name": "t", "named": {"k": {"size": 1}}}, ("named", "k")),
        ({"name": "t", "leaf": 3}, ("leaf",)),
    ],
)
def test_a_wrong_field_is_a_validation_error_with_the_path(
    spec: dict[str, Any], path: tuple[Any, ...]
) -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        Oak.from_spec({"kind": "Oak", **spec})
    assert caught.value.errors()[0]["loc"] == path


def test_an_unknown_kind_names_near_matches_and_the_path() -> None:
    with pytest.raises(SpecError, match="Acorn") as caught:
        Oak.from_spec({"kind": "Oak", "name": "t", "leaves": [{"kind": "Acor"}]})
    assert caught.value.code == "unknown-kind"
    assert caught.value.context["path"] == "leaves.0"
    with pytest.raises(ValueError, match="Oak"):
        BaseSpec(kind="Oa", id="x").load_cls()


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
    assert isinstance(Acorn.from_spec(BigAcorn().spec()), BigAcorn)
    for spec in (Acorn().spec(), Acorn().spec().model_dump()):
        with pytest.raises(SpecError, match="not a BigAcorn"):
            BigAcorn.from_spec(spec)
    with pytest.raises(SpecError, match="leaf: a Oak is not a Acorn"):
        Oak.from_spec({"kind": "Oak", "name": "t", "leaf": {"kind": "Oak", "name": "u"}})


@pytest.mark.parametrize("allow", [[Oak, Acorn], ["Oak", "Acorn"], [Oak, "Acorn"]])
def test_a_kind_that_is_not_allowed_is_refused_before_anything_is_built(
    allow: list[type | str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec: dict[str, Any] = {"kind": "Oak", "name": "t", "leaves": [{"kind": "Acorn"}]}
    assert isinstance(Oak.from_spec(spec, allow=allow), Oak)
    spec["leaves"].append({"kind": "BigAcorn"})
    monkeypatch.setattr(Acorn, "__init__", lambda _self: pytest.fail("a part was built"))
    with pytest.raises(SpecError, match=r"leaves\.1.*'BigAcorn' is not allowed"):
        Oak.from_spec(spec, allow=allow)


@pytest.mark.parametrize("levels", [150, 5_000, 100_000])
def test_a_spec_nested_too_deeply_is_an_error_and_no_crash(levels: int) -> None:
    spec: Any = {"kind": "Oak", "name": "t"}
    for _ in range(levels):
        spec = {"kind": "Oak", "name": "t", "anything": [{"id": "x", **spec}]}
    with pytest.raises(SpecError, match="deep"):
        Oak.from_spec(spec)


def test_a_module_that_contains_itself_has_no_spec() -> None:
    tree = Oak(name="t")
    tree.anything.append(tree)
    with pytest.raises(SpecError, match="contains itself"):
        tree.spec()


def test_kinds_are_short_and_full() -> None:
    assert kind_of(Oak.Inner) == "Oak.Inner"
    assert full_kind_of(Oak) == f"{__name__}:Oak"
    assert isinstance(from_spec({"kind": "Oak.Inner"}), Oak.Inner)
    assert isinstance(from_spec({"kind": f"{__name__}:Acorn"}), Acorn)
    assert kinds_in(Oak(name="t")) == {"Oak": f"{__name__}:Oak", "Acorn": f"{__name__}:Acorn"}
    full = full_spec(Oak(name="t"))
    assert full["leaf"]["kind"] == f"{__name__}:Acorn"
    assert Oak.from_spec(full).name == "t"
