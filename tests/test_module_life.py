"""What happens to modules in every style: walks, loads, copies, classes that come again."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import AdaptModule, Attr, BaseModule, KeyFile, Param, Shared, Store, registry
from dachi_fast.errors import FixedError, SpecError, StateError
from dachi_fast.spec import full_kind_of

TYPE: Any = type(BaseModule)


class Cell(BaseModule):
    size: int = Param(default=1)
    seen: int = Attr(default=0)


class Styles(BaseModule):
    """Each way to have a Param: declared, as an item field, made by hand."""

    declared: int = Param(default=1)
    item: Param[int]
    learned: int = Attr(default=0)
    common: list[int] = Shared(default_factory=list)
    note: str = "plain"

    def __post_init__(self) -> None:
        self.made = Param(data=3)
        self.noted = Attr(data=4)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        yield store


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    yield
    Styles.reset_shared()


def styles() -> Any:
    return Styles(item=Param(data=2))


# --- walks ----------------------------------------------------------------------------------------


def test_params_come_in_order_of_declaration_and_then_of_registration() -> None:
    module = styles()
    module.later = Param(data=5)
    found = [(name, param.data) for name, param in module.named_parameters()]
    assert found == [("declared", 1), ("item", 2), ("made", 3), ("later", 5)]
    assert [name for name, _ in module.named_states()] == ["learned", "noted"]


def test_an_item_that_is_held_under_two_names_is_walked_once_and_saved_twice() -> None:
    module = styles()
    module.again = module.made
    assert [name for name, _ in module.named_parameters()] == ["declared", "item", "made"]
    assert (module.state_dict()["made"], module.state_dict()["again"]) == (3, 3)


@pytest.mark.parametrize(
    "held",
    [
        lambda cells: cells,
        tuple,
        lambda cells: dict(enumerate(cells)),
        lambda cells: {str(n): cell for n, cell in enumerate(cells)},
    ],
    ids=["list", "tuple", "dict of int", "dict of text"],
)
@pytest.mark.parametrize("annotation", [Any, object], ids=["Any", "object"])
def test_modules_in_containers_are_children_and_the_field_has_no_key(
    held: Callable[[list[Cell]], Any], annotation: Any, store: Store
) -> None:
    body = {"cells": Param(default=None), "__annotations__": {"cells": annotation}}
    holder = TYPE("CellHolder", (BaseModule,), {"__module__": __name__, **body})
    module = holder(cells=held([Cell(size=5), Cell(size=6)]))
    assert list(module.state_dict()) == [
        "cells.0.size",
        "cells.0.seen",
        "cells.1.size",
        "cells.1.seen",
    ]
    store.save(module, "agent")
    for again in (holder.from_spec(module.spec(to_dict=True)), store.load("agent")):
        assert type(again.cells) is type(module.cells)
        assert again.state_dict() == module.state_dict()


@pytest.mark.parametrize("wrap", [list, tuple, lambda cells: {"a": cells[0], "b": cells[1]}])
def test_modules_in_an_attr_are_values_wherever_they_lie(wrap: Any, store: Store) -> None:
    module: Any = Cell()
    module.kept = Attr(data=None)
    module.kept.data = wrap([Cell(size=5), Cell(size=6)])
    declared: Any = AttrHolder()
    declared.kept = wrap([Cell(size=5), Cell(size=6)])
    for each, kept in ((module, module.kept.data), (declared, declared.kept)):
        assert list(each.children()) == []
        assert each.state_dict(train=False)["kept"] is kept
    store.save(declared, "agent")
    loaded = store.load("agent")
    assert type(loaded.kept) is type(declared.kept)
    cells = list(loaded.kept.values()) if type(loaded.kept) is dict else list(loaded.kept)
    assert [cell.size for cell in cells] == [5, 6]


class AttrHolder(BaseModule):
    kept: Any = Attr(default=None)


class Adapting(BaseModule):
    as_list: list[AdaptModule[Cell]] = Param(default_factory=list)
    as_dict: dict[str, AdaptModule[Cell]] = Param(default_factory=dict)
    as_tuple: tuple[AdaptModule[Cell], ...] = Param(default=())


def test_bare_elements_are_wrapped_in_place_at_construction_and_at_the_next_walk() -> None:
    cells: Any = [Cell(size=1)]
    named: Any = {"a": Cell(size=2)}
    module: Any = Adapting(as_list=cells, as_dict=named, as_tuple=(Cell(size=3),))  # type: ignore[arg-type]
    module.as_list.append(Cell(size=4))
    module.as_dict["b"] = {"kind": full_kind_of(Cell), "size": 5}
    module.as_tuple = (*module.as_tuple, Cell(size=6))
    state = module.state_dict()
    assert module.as_list is cells
    for held in (*module.as_list, *module.as_dict.values(), *module.as_tuple):
        assert isinstance(held, AdaptModule)
    sizes = [value for key, value in state.items() if key.endswith(".size")]
    assert sizes == [1, 4, 2, 5, 3, 6]
    module.as_list.append(Styles(item=Param(data=1)))
    with pytest.raises(SpecError, match="not a Cell"):
        module.state_dict()


# --- loads and copies -----------------------------------------------------------------------------


def test_a_load_writes_what_is_fixed_and_tells_once_in_every_style() -> None:
    module = styles()
    heard: list[tuple[str, Any, int]] = []
    for name, param in module.named_parameters():
        param.register_callback(
            lambda value, name=name: heard.append((name, value, module.learned))
        )
        param.fix()
        with pytest.raises(FixedError):
            param.data = 0
    module.load_state_dict({"declared": 10, "item": 20, "made": 30, "learned": 40, "noted": 50})
    assert sorted(heard) == [("declared", 10, 40), ("item", 20, 40), ("made", 30, 40)]
    assert all(param.fixed for param in module.parameters())


def test_a_lenient_load_never_writes_shared_or_plain_values() -> None:
    module = styles()
    module.common.append(1)
    module.load_state_dict({"common": [9], "note": "no", "declared": 5}, strict=False)
    assert (module.common, module.note, module.declared) == ([1], "plain", 5)


def test_a_deep_copy_tells_nobody_and_keeps_what_is_fixed() -> None:
    module = styles()
    heard: list[Any] = []
    for param in module.parameters():
        param.register_callback(heard.append)
        param.fix()
    twin = copy.deepcopy(module)
    assert [param.fixed for param in twin.parameters()] == [True, False, False]
    for param in twin.parameters():
        param.unfix()
        param.data = 7
    assert heard == []
    assert twin.common is module.common


# --- a module that contains itself ----------------------------------------------------------------


def test_a_module_that_contains_itself_is_an_error_where_a_tree_is_needed(store: Store) -> None:
    module: Any = styles()
    module.inner = Cell()
    module.inner.up = module
    for walk in (module.state_dict, module.snapshot, module.state_keys):
        with pytest.raises(StateError, match="contains itself"):
            walk()
    with pytest.raises(StateError, match="contains itself"):
        module.load_state_dict({})
    with pytest.raises(StateError, match="contains itself"):
        store.save(module, "agent")
    assert store.names() == []
    assert len(list(module.modules())) == 2
    assert len(list(module.parameters())) == 4
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert twin.inner.up is twin
    assert "Styles" in repr(module)


# --- classes that come again ----------------------------------------------------------------------


def _define(size: int, *, more: bool = False) -> Any:
    fields: dict[str, Any] = {"size": Param(default=size), "seen": Attr(default=0)}
    annotations: dict[str, type] = {"size": int, "seen": int}
    if more:
        fields["more"], annotations["more"] = Param(default="m"), str
    body = {"__module__": __name__, "__qualname__": "Again", "__annotations__": annotations}
    return TYPE("Again", (BaseModule,), {**body, **fields})


def test_instances_live_on_when_their_class_is_defined_again(store: Store) -> None:
    first = _define(1)
    old = first(size=5)
    next(old.parameters()).register_callback(lambda _value: None)
    store.save(old, "agent")
    second = _define(2, more=True)
    assert isinstance(old, first)
    assert not isinstance(old, second)
    old.seen += 1
    assert old.state_dict() == {"size": 5, "seen": 1}
    copied = copy.deepcopy(old)
    assert type(copied) is first
    new = BaseModule.from_spec(old.spec(to_dict=True))
    assert type(new) is second
    assert new.state_dict() == {"size": 5, "seen": 0, "more": "m"}
    assert isinstance(first.from_spec(old.spec()), first)
    with pytest.raises(SpecError, match="cannot become"):
        old.become(new)
    assert store.save(old, "agent").number == 2
    loaded = store.load("agent", report=lambda _: None)
    assert type(loaded) is second
    assert loaded.state_dict() == {"size": 5, "seen": 1, "more": "m"}
    with pytest.raises(SpecError, match="another has replaced"):
        store.load_into(old, "agent")
    assert old.state_dict() == {"size": 5, "seen": 1}
    registry.deregister("Again")


def test_classes_of_one_name_in_several_packages_stay_apart(store: Store) -> None:
    def define(package: str, default: int) -> Any:
        body = {"__module__": package, "__annotations__": {"size": int}}
        return TYPE("Namesake", (BaseModule,), {**body, "size": Param(default=default)})

    one, other = define("package_one", 1), define("package_two", 2)
    tree = AttrTree(parts=[one(), other(), one(size=7)])
    with pytest.raises(SpecError, match=r"package_one:Namesake, package_two:Namesake"):
        BaseModule.from_spec({"kind": "Namesake"})
    store.save(tree, "agent")
    loaded = store.load("agent")
    assert [type(part) for part in loaded.parts] == [one, other, one]
    assert [part.size for part in loaded.parts] == [1, 2, 7]
    for cls in (one, other):
        assert type(BaseModule.from_spec({"kind": full_kind_of(cls)})) is cls
        assert type(cls.from_spec({"kind": "Namesake"})) is cls
        assert type(cls.from_spec(cls().spec())) is cls
    registry.deregister("Namesake")


class AttrTree(BaseModule):
    parts: list[BaseModule] = Param(default_factory=list)


def test_fields_of_several_bases_come_in_their_order_and_the_nearest_wins() -> None:
    class Root(BaseModule):
        a: int = Param(default=1)
        b: int = Param(default=1)

    class Left(Root):
        b: int = Param(default=2)
        left: int = Param(default=2)

    class Right(Root):
        b: int = Param(default=3)
        right: int = Param(default=3)

    class Both(Left, Right):
        own: int = Param(default=4)

    assert Both().state_dict() == {"a": 1, "b": 2, "right": 3, "left": 2, "own": 4}


def test_nothing_holds_a_module_that_nobody_needs() -> None:
    module = styles()
    next(module.parameters()).register_callback(lambda _value: None)
    module.spec()
    module.state_dict()
    gone = weakref.ref(module)
    del module
    gc.collect()
    assert gone() is None
