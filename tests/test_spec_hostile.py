"""Specs that somebody wrote to do harm, or by mistake."""

from __future__ import annotations

import gc
import json
import sys
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pydantic
import pytest

from dachi_fast import AdaptModule, Attr, BaseModule, BaseSpec, ModuleList, Param, registry
from dachi_fast.errors import SpecError
from dachi_fast.spec import _place, _registry, from_spec


class Sprout(BaseModule):
    size: int = Param(default=1)
    table: dict[str, float] = Param(default_factory=dict)
    anything: Any = None
    memory: list[int] = Attr(default_factory=list)


class Bush(BaseModule):
    """A class with what makes pydantic try several ways."""

    left: Sprout | Bush | None = None
    both: list[Sprout] | list[Bush] | None = None
    either: dict[str, Sprout | Bush] | Bush | None = None
    twigs: list[BaseModule] = Param(default_factory=list)
    anything: list[Any] = Param(default_factory=list)


class Slot(BaseModule):
    held: AdaptModule[Sprout] = Param()
    more: list[AdaptModule[Sprout] | dict[str, Any]] = Param(default_factory=list)
    loose: AdaptModule[Sprout] | dict[str, Any] | None = None


class Penned(BaseModule):
    def __init__(self, first: int, *rest: int, size: int = 1, **names: int) -> None:
        self.total = first + sum(rest) + size + sum(names.values())


class Fussy(BaseModule):
    made: ClassVar[list[int]] = []
    size: int = Param(default=1)
    error: str = "KeyError"

    def __post_init__(self) -> None:
        self.made.append(self.size)
        if self.size < 0:
            errors = {e.__name__: e for e in (KeyError, TypeError, AttributeError, SpecError)}
            arguments = ("limit", "no") if self.error == "SpecError" else ("no",)
            raise errors[self.error](*arguments)


@pytest.fixture(autouse=True)
def _nothing_made() -> Iterator[None]:
    Fussy.made.clear()
    yield
    Fussy.made.clear()


# --- ids ----------------------------------------------------------------------------------------


def _bush(*twigs: Any) -> dict[str, Any]:
    return {"kind": "Bush", "twigs": list(twigs)}


@pytest.mark.parametrize(
    ("spec", "code", "path"),
    [
        (
            _bush({"kind": "Sprout", "id": "x"}, {"kind": "Bush", "id": "x"}),
            "id-conflict",
            "twigs.1",
        ),
        (
            _bush({"kind": "Sprout", "id": "x"}, {"kind": "Sprout", "id": "x", "size": 2}),
            "id-conflict",
            "twigs.1",
        ),
        ({"id": "x", **_bush({"kind": "Sprout", "id": "x"})}, "cycle", "twigs.0"),
        ({"id": "x", **_bush(_bush({"id": "x", **_bush()}))}, "cycle", "twigs.0.twigs.0"),
        ({"id": "x", **_bush({"id": "y", **_bush({"id": "x", **_bush()})})}, "cycle",
         "twigs.0.twigs.0"),
        ({"kind": "ModuleList", "id": "x", "items": [{"kind": "Sprout", "id": "x"}]}, "cycle",
         "items.0"),
        (
            {"kind": "AdaptModule", "id": "x", "_adapted_param": {"kind": "Sprout", "id": "x"}},
            "cycle",
            "_adapted_param",
        ),
    ],
)  # fmt: skip
def test_an_id_for_two_things_or_inside_itself_is_refused_before_anything_is_built(
    spec: dict[str, Any], code: str, path: str
) -> None:
    spec = _bush({"kind": "Fussy", "size": 1}, spec)
    with pytest.raises(SpecError) as caught:
        from_spec(spec)
    assert (caught.value.code, caught.value.context["path"]) == (code, f"twigs.1.{path}")
    assert Fussy.made == []


def test_one_id_with_equal_specs_is_one_module_however_deep_and_without_ids_inside() -> None:
    part = {**_bush({"kind": "Sprout"}, _bush({"kind": "Sprout"})), "id": "x"}
    made: Any = from_spec(_bush(part, json.loads(json.dumps(part))))
    assert made.twigs[0] is made.twigs[1]


def test_a_dict_without_an_id_in_two_places_is_two_modules() -> None:
    leaf = {"kind": "Sprout"}
    for spec in (_bush(leaf, leaf), {**_bush(leaf, leaf), "left": leaf, "both": [leaf]}):
        made: Any = from_spec(spec)
        modules = list(made.modules())
        assert len({id(m) for m in modules}) == len({m.id for m in modules}) == len(modules)
        assert made.twigs[0] is not made.twigs[1]


def test_ids_of_existing_modules_are_checked_like_any_other() -> None:
    with pytest.raises(SpecError, match="a Bush and a Sprout") as caught:
        from_spec(_bush({"kind": "Sprout", "id": "known"}), {"known": Bush()})
    assert caught.value.context["path"] == "twigs.0"
    with pytest.raises(SpecError, match="not allowed"):
        from_spec(_bush({"kind": "Sprout", "id": "k"}), {"k": Sprout()}, allow=[Bush])


# --- names --------------------------------------------------------------------------------------

DUNDERS = [
    "__class__", "__init__", "__dict__", "__module__", "__del__", "__getattr__", "__setattr__",
    "__post_init__", "__reduce__", "__layout__", "__spec_fields__", "__adapts__", "model_config",
    "model_fields", "model_dump", "model_post_init", "module_class_", "inner_names_", "load_cls",
    "_module_id", "_module_views", "_module_args", "_adapted", "_item_size", "from_spec", "spec",
    "training", "memory", "self", "cls", "field_adapted_param_1", "$ref", "$defs", "", ".", "size.",
]  # fmt: skip


@pytest.mark.parametrize("name", DUNDERS)
@pytest.mark.parametrize("value", ["os.system", {"kind": "Sprout"}, None], ids=type)
def test_a_key_that_is_no_field_is_refused_whatever_it_is_called(name: str, value: Any) -> None:
    inner = {"kind": "Sprout", name: value}
    for spec, path in ((inner, (name,)), (_bush(inner), ("twigs", 0, name))):
        with pytest.raises(pydantic.ValidationError) as caught:
            from_spec(spec)
        assert caught.value.errors()[0]["loc"] == path
    inside = {"kind": "AdaptModule", "_adapted_param": {"kind": "Sprout"}, name: value}
    with pytest.raises(pydantic.ValidationError):
        from_spec(inside)


@pytest.mark.parametrize("name", DUNDERS)
def test_keys_of_a_dict_are_data_whatever_they_are_called(name: str) -> None:
    made: Any = from_spec({"kind": "Sprout", "table": {name: 1.5}, "anything": {name: [name]}})
    assert (made.table, made.anything) == ({name: 1.5}, {name: [name]})
    assert Sprout().table == {}


@pytest.mark.parametrize("name", DUNDERS)
def test_a_kind_is_looked_up_and_never_evaluated(name: str) -> None:
    for kind in (name, f"os:{name}", f"{__name__}:{name}", f"Sprout.{name}", f"{name}:Sprout"):
        if registry.named(kind):
            continue
        with pytest.raises(SpecError) as caught:
            from_spec(_bush({"kind": kind}))
        assert caught.value.code == "unknown-kind"
        assert caught.value.context["path"] == "twigs.0"


def test_no_kind_imports_a_module() -> None:
    before = set(sys.modules)
    for kind in ("antigravity:Flight", "this:s", "antigravity", "dachi_fast.cli.demo:Demo"):
        for spec in ({"kind": kind}, _bush({"kind": kind, "id": "x"})):
            with pytest.raises(SpecError, match="unknown kind"):
                from_spec(spec)
    assert "antigravity" not in set(sys.modules) - before


def test_arguments_of_a_constructor_reach_no_other_parameter() -> None:
    made: Any = from_spec({"kind": "Penned", "first": 1, "rest": [2], "names": {"other": 3}})
    assert made.total == 7
    for name in ("self", "first", "size"):
        with pytest.raises(SpecError) as caught:
            from_spec(_bush({"kind": "Penned", "first": 1, "names": {name: 3}}))
        assert (caught.value.code, caught.value.context["path"]) == ("constructor", "twigs.0")


def test_a_short_kind_of_two_packages_is_ambiguous_and_a_full_one_is_not() -> None:
    def define(package: str) -> type[BaseModule]:
        cls = type("Repeated", (BaseModule,), {"__module__": package, "__qualname__": "Repeated"})
        assert issubclass(cls, BaseModule)
        return cls

    classes = [define("one.package"), define("other.package")]
    try:
        with pytest.raises(SpecError) as caught:
            from_spec(_bush({"kind": "Repeated"}))
        assert caught.value.code == "ambiguous-kind"
        assert caught.value.context["candidates"] == [
            "one.package:Repeated",
            "other.package:Repeated",
        ]
        for cls in classes:
            made: Any = from_spec(_bush({"kind": f"{cls.__module__}:Repeated"}))
            assert type(made.twigs[0]) is cls
            with pytest.raises(SpecError, match="not allowed"):
                from_spec(
                    made.spec(to_dict=True) | {"twigs": [{"kind": f"{cls.__module__}:Repeated"}]},
                    allow=[Bush, next(c for c in classes if c is not cls)],
                )
    finally:
        registry.deregister("Repeated")


# --- values in the wrong place ------------------------------------------------------------------

JSON_VALUES: list[Any] = [
    None, True, 0, -1, 2**70, 1.5, float("nan"), "", "Sprout", [], [1], [[]], [None], {}, {"a": 1},
    {"kind": None}, {"kind": []}, {"kind": {}}, {"kind": 1}, {"kind": ""}, {"kind": "Sprout"},
    {"kind": "Sprout", "id": None}, {"kind": "Sprout", "id": []}, {"kind": "Sprout", "id": {}},
    {"id": "x"}, {"kind": "Bush"}, {"kind": "AdaptModule"}, {"kind": "ModuleList", "items": 1},
    {"kind": "AdaptModule", "_adapted_param": 1}, {"kind": "BaseModule"}, {"kind": "BaseSpec"},
    {"kind": "AdaptModule", "_adapted_param": {"kind": "Bush"}, "allowed": ["Sprout"]},
    {"kind": "AdaptModule", "_adapted_param": {"kind": "Sprout"}, "allowed": ["Nothing"]},
    {"$data": {"kind": "Sprout", "id": "x"}}, {"$data": 1}, {"$data": {"$data": 1}},
]  # fmt: skip
PLACES: list[Callable[[Any], Any]] = [
    lambda v: v,
    lambda v: {"kind": v},
    lambda v: {"kind": "Sprout", "id": v},
    *[
        (lambda v, kind=kind, name=name: {"kind": kind, name: v})
        for kind, names in {
            "Sprout": ["size", "table", "anything"],
            "Bush": ["left", "both", "either", "twigs", "anything"],
            "Slot": ["held", "more", "loose"],
            "ModuleList": ["items"],
            "AdaptModule": ["_adapted_param", "allowed", "fixed"],
            "Penned": ["first", "rest", "size", "names"],
        }.items()
        for name in names
    ],
    lambda v: _bush(v),
    lambda v: {"kind": "Bush", "either": {"a": v}},
    lambda v: {"kind": "Slot", "held": {"kind": "Sprout"}, "more": [v]},
]


@pytest.mark.parametrize("place", range(len(PLACES)))
def test_every_json_value_in_every_place_is_built_or_refused_with_an_error_of_ours(
    place: int,
) -> None:
    for value in JSON_VALUES:
        spec = PLACES[place](value)
        try:
            made = from_spec(spec)
        except (SpecError, pydantic.ValidationError):
            continue
        again = from_spec(made.spec(to_dict=True))
        assert again.spec(to_dict=True) == made.spec(to_dict=True) or "nan" in repr(made)


def test_data_that_looks_like_a_spec_may_hold_modules() -> None:
    """Symptom: the spec held live modules. Cause: data like a spec was copied as it is."""
    tree = Bush(anything=[{"kind": "Bush", "id": "x", "left": Sprout(size=4)}])
    spec = json.loads(tree.spec().model_dump_json())
    made: Any = from_spec(spec)
    assert made.anything[0]["kind"] == "Bush"
    assert made.anything[0]["left"].size == 4
    assert made.spec() == tree.spec()


def test_a_wrapped_dict_is_data_and_comes_back_as_it_was() -> None:
    looks = {"kind": "Sprout", "id": "x"}
    for data in ({"$data": 1}, {"$data": looks}, {"$data": {"$data": 1}}, looks, {"a": looks}):
        tree = Bush(anything=[data])
        assert from_spec(tree.spec(to_dict=True)).anything == [data]  # type: ignore[attr-defined]
        assert from_spec(tree.spec()).anything == [data]  # type: ignore[attr-defined]
    made: Any = from_spec({"kind": "Sprout", "table": {"$data": 1.0}})
    assert made.table == {"$data": 1.0}


@pytest.mark.parametrize("name", ["more", "loose"])
def test_a_dict_with_a_kind_where_one_would_be_built_of_it_is_refused(name: str) -> None:
    """An AdaptModule is made of any such dict, so it must not slip through as data."""
    for bad in ({"kind": "Fussy"}, {"kind": "Nothing"}, {"kind": "Sprout", "size": []}):
        value = [bad] if name == "more" else bad
        with pytest.raises((SpecError, pydantic.ValidationError)):
            from_spec({"kind": "Slot", "held": {"kind": "Sprout"}, name: value}, allow=[Slot])
    assert Fussy.made == []


# --- no blow-up -----------------------------------------------------------------------------------


def _deep_bush(levels: int, place: str, **innermost: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {"kind": "Bush", **innermost}
    for _ in range(levels):
        around = {"left": spec, "both": [spec], "either": spec, "anything": [{**spec, "id": "i"}]}
        spec = {"kind": "Bush", place: around[place]}
    return spec


@pytest.mark.parametrize("place", ["left", "both", "either"])
@pytest.mark.parametrize("bad", [False, True])
def test_a_spec_in_a_union_is_read_once_however_deep(
    place: str, bad: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pydantic tries each member of a Union: each level would double the work of the one below."""
    reads: Counter[str] = Counter()
    validated = _place._validated

    def counted(cls: type, value: Any) -> BaseSpec:
        reads[cls.__name__] += 1
        return validated(cls, value)

    monkeypatch.setattr(_place, "_validated", counted)
    kinds = [Bush, Sprout]  # with these pydantic reads all specs
    spec = _deep_bush(40, place, **({"size": 1} if bad else {}))
    if bad:
        with pytest.raises(pydantic.ValidationError) as caught:
            from_spec(spec, allow=kinds)
        assert len(caught.value.errors()) < 1_000
    else:
        assert len(list(from_spec(spec, allow=kinds).modules())) == 41
    assert reads == {"Bush": 41}


@pytest.mark.parametrize("place", ["left", "both", "either"])
def test_a_module_in_a_union_is_begun_once_however_deep(place: str) -> None:
    """Symptom: a spec of 40 levels was never built. Cause: each member of a Union began anew."""
    sizes: list[int] = []

    def counted() -> int:
        sizes.append(1)
        return 1

    class Counted(Bush):
        size: int = Param(default_factory=counted)

    spec = json.loads(json.dumps(_deep_bush(40, place)).replace("Bush", Counted.__name__))
    assert len(list(from_spec(spec).modules())) == 41
    assert len(sizes) <= 80


def test_near_matches_of_a_wrong_kind_are_looked_for_once_a_spec(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: Counter[str] = Counter()
    unknown = _registry.Registry._unknown

    def counted(self: Any, kind: str) -> SpecError:
        looks["unknown"] += 1
        return unknown(self, kind)

    monkeypatch.setattr(_registry.Registry, "_unknown", counted)
    with pytest.raises(SpecError, match="unknown kind 'Sprou0': did you mean"):
        from_spec(_bush(*({"kind": f"Sprou{n}"} for n in range(1_000))))
    assert looks["unknown"] == 1


def test_a_long_kind_id_or_key_is_neither_compared_nor_shown_whole() -> None:
    long = "Sprout" * 100_000
    for spec in (
        {"kind": long},
        _bush({"kind": long}),
        _bush({"kind": "Sprout", "id": long}, {"kind": "Bush", "id": long}),
        {"kind": "Bush", "either": {long: {"kind": "Nothing"}}},
        _bush({"id": long, **_bush({"id": long, **_bush()})}),
    ):
        with pytest.raises((SpecError, pydantic.ValidationError)) as caught:
            from_spec(spec, allow=[Bush, Sprout])
        assert len(str(caught.value)) < 2_000 or isinstance(caught.value, pydantic.ValidationError)


def test_an_ambiguous_kind_is_looked_up_once_a_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking up classes of functions collects garbage, which takes longer than all else."""

    def define() -> type[BaseModule]:
        class Doubled(BaseModule):
            pass

        return Doubled

    def again() -> type[BaseModule]:
        class Doubled(BaseModule):
            pass

        return Doubled

    classes = define(), again()
    collected: list[int] = []
    monkeypatch.setattr(gc, "collect", lambda: collected.append(1))
    with pytest.raises(SpecError, match="ambiguous"):
        from_spec(_bush(*({"kind": "Doubled"} for _ in range(100))))
    assert len(collected) <= 3
    assert len(classes) == 2


# --- nothing is left ------------------------------------------------------------------------------


@pytest.mark.parametrize("error", ["KeyError", "TypeError", "AttributeError", "SpecError"])
def test_what_a_constructor_raises_is_told_with_the_place_and_nothing_is_left(error: str) -> None:
    made: list[weakref.ref[BaseModule]] = []

    class Noted(BaseModule):
        def __post_init__(self) -> None:
            made.append(weakref.ref(self))

    gc.collect()  # classes of other tests' functions
    kinds = set(registry.list_entries())
    spec = _bush({"kind": "Noted"}, _bush({"kind": "Fussy", "size": -1, "error": error}))
    with pytest.raises(SpecError) as caught:
        from_spec(spec)
    assert caught.value.code == ("limit" if error == "SpecError" else "constructor")
    assert caught.value.context["path"] == "twigs.1.twigs.0"
    assert type(caught.value.__cause__).__name__ == error
    assert str(caught.value).startswith("twigs.1.twigs.0: ")
    del caught
    gc.collect()
    assert [ref() for ref in made] == [None]
    assert set(registry.list_entries()) == kinds


def test_no_constructor_runs_before_the_whole_spec_was_looked_at() -> None:
    good: dict[str, Any] = {"kind": "Fussy"}
    bad_ones: list[dict[str, Any]] = [
        {"kind": "Nothing"}, {"kind": "Sprout", "size": "x"}, {"kind": "Sprout", "unknown": 1},
        {"kind": "Sprout", "id": "x"}, {"kind": 3},
    ]  # fmt: skip
    for bad in bad_ones:
        with pytest.raises((SpecError, pydantic.ValidationError)):
            from_spec(_bush(good, {"kind": "Bush", "id": "x"}, bad))
    with pytest.raises(SpecError, match="not allowed"):
        from_spec(_bush(good, {"kind": "Sprout"}), allow=[Bush, Fussy])
    assert Fussy.made == []


def test_a_refused_spec_leaves_the_spec_and_the_existing_modules_as_they_were() -> None:
    known = Sprout(size=4)
    told: list[Any] = []
    next(known.parameters()).register_callback(told.append)
    spec = _bush({"kind": "Sprout", "id": "k"}, {"kind": "Fussy", "size": -1})
    copy, ctx = json.loads(json.dumps(spec)), {"k": known}
    with pytest.raises(SpecError):
        from_spec(spec, ctx)
    assert (spec, ctx, told, known.size) == (copy, {"k": known}, [], 4)


def test_a_failed_read_does_not_change_what_the_next_one_gives() -> None:
    for _ in range(3):
        with pytest.raises(SpecError):
            from_spec({**_bush(_deep_bush(99, "left")), "id": "x"})
        assert from_spec(_bush()).id != from_spec(_bush()).id
        assert len(Bush.schema()(kind="Bush").id) == 36


@pytest.mark.parametrize("allow", [[int], [Bush, dict], [None]])
def test_a_list_of_allowed_kinds_holds_module_classes_and_their_names(allow: Any) -> None:
    with pytest.raises(SpecError, match="neither a module class nor the name of one"):
        from_spec(_bush(), allow=allow)


def test_an_empty_list_of_allowed_kinds_allows_none() -> None:
    with pytest.raises(SpecError, match="the root: kind 'Bush' is not allowed; allowed are none"):
        from_spec(_bush(), allow=[])


def test_what_an_adapt_module_or_a_list_holds_is_what_must_be_allowed() -> None:
    spec: dict[str, Any] = {"kind": "AdaptModule", "_adapted_param": {"kind": "Sprout"}}
    assert isinstance(from_spec(spec, allow=[Sprout]), AdaptModule)
    with pytest.raises(SpecError, match=r"_adapted_param: kind 'Sprout' is not allowed"):
        from_spec(spec, allow=[Bush])
    with pytest.raises(SpecError, match=r"items\.1: kind 'Sprout' is not allowed"):
        from_spec(
            {"kind": "ModuleList", "items": [_bush(), {"kind": "Sprout"}]}, allow=[ModuleList, Bush]
        )
