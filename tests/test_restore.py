"""Modules out of what a store gives: laid out as new, checked against today's classes."""

from __future__ import annotations

import dis
import gc
import types
from dataclasses import InitVar
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import Attr, BaseModule, KeyFile, ModuleList, Param, Store
from dachi_fast.errors import MigrationError, SpecError, StateError, StateKeyError
from tests.tokens import same


class Part(BaseModule):
    """Its constructor does no more than set fields."""

    size: int = Param()
    label: str = "part"
    history: list[Any] = Attr(default_factory=list)


class Late(BaseModule):
    """What it has to remember comes later."""

    later: int = Attr()


class Whole(BaseModule):
    parts: list[Part] = Param(default_factory=list)
    by_name: dict[str, Part] = Param(default_factory=dict)
    extra: dict[str, Any] | None = None


class Post(BaseModule):
    """Its constructor runs code, takes an InitVar, and makes an item and a module."""

    size: int = Param(default=1)
    seen: list[int] = Param(default_factory=list)
    seed: InitVar[int] = 0

    def __post_init__(self, seed: int) -> None:
        self.seen.append(seed)
        self.total = Attr(data=0)
        self.inner = Part(size=seed)


class Written(BaseModule):
    """A constructor written by hand, whose arguments are no attributes."""

    def __init__(self, first: Post, *, scale: float = 1.0) -> None:
        self.held = first
        self.factor = Param(data=scale * 2)


class Itemised(BaseModule):
    weight: Param[float]
    count: Attr[int] = Attr(default=0)  # type: ignore[arg-type]


def _again(store: Store, module: BaseModule) -> Any:
    store.save(module, "agent", base="latest")
    loaded = store.load("agent")
    assert type(loaded) is type(module)
    assert same(loaded.state_dict(), module.state_dict())
    assert loaded.spec(to_dict=True) == module.spec(to_dict=True)
    return loaded


def test_every_way_of_building_a_class_comes_back_with_its_values_and_ids(store: Store) -> None:
    post = Post(size=2, seed=7)
    post.total.data = 5
    post.inner.size = 6
    loaded = _again(store, post)
    assert (loaded.seen, loaded.total.data, loaded.inner.size) == ([7], 5, 6)
    written = Written(Post(size=3, seed=1), scale=2.0)
    written.factor.data = 9.0
    loaded = _again(store, written)
    assert (loaded.held.size, loaded.factor.data) == (3, 9.0)
    typed = Itemised(weight=Param(data=0.5))
    typed.count.data = 4
    loaded = _again(store, typed)
    assert (loaded.weight.data, loaded.count.data) == (0.5, 4)


def test_modules_in_a_module_list_come_back_though_their_params_have_no_defaults(
    store: Store,
) -> None:
    """Symptom: a load failed on a missing field. Cause: the Params of modules in a ModuleList were
    looked up below `items`, where nothing stands. Fix: below the list's own name."""
    loaded = _again(store, ModuleList(items=[Part(size=1), ModuleList(items=[Part(size=2)])]))
    assert (loaded[0].size, loaded[1][0].size) == (1, 2)


def test_a_module_that_is_held_under_several_names_comes_back_as_one(store: Store) -> None:
    part = Part(size=1)
    inner = Whole(parts=[part, part], by_name={"it": part})
    outer = ModuleList(items=[inner, Whole(parts=[part]), inner])
    part.history.append("seen")
    loaded: Any = _again(store, outer)
    assert loaded[0] is loaded[2]
    held = {id(p) for p in (*loaded[0].parts, loaded[0].by_name["it"], loaded[1].parts[0])}
    assert len(held) == 1
    post = Post(seed=1)
    loaded = _again(store, ModuleList(items=[post, post]))
    assert loaded[0] is loaded[1]


@pytest.mark.parametrize(
    "extra",
    [
        {"kind": "tests.test_restore:Part", "id": "x", "size": 1},
        {"kind": "no:such", "id": "x"},
        {"same": "x"},
        {"$data": {"kind": 1}},
        {"in": [{"same": 1}, {"kind": "a:b", "id": "c"}]},
        {"kind": {"kind": {"$data": 2}}},
    ],
)
def test_plain_dicts_that_look_like_modules_stay_plain_dicts(
    store: Store, extra: dict[str, Any]
) -> None:
    """Symptom: a load took a dict with a kind and an id for a module. Cause: only fields without
    an annotation were marked as data. Fix: every dict that could be taken for a module is."""
    store.save(Whole(extra=extra), "agent")
    assert store.load("agent").extra == extra


def test_a_param_or_attr_that_has_no_value_has_none_after_a_load(store: Store) -> None:
    late = Late()  # type: ignore[call-arg]
    assert not hasattr(_again(store, late), "later")
    late.later = 3
    assert _again(store, late).later == 3


# --- against the classes of this process ----------------------------------------------------------


def _before() -> BaseModule:
    class Changing(BaseModule):
        __qualname__ = "Changing"
        kept: int = Param(default=1)
        gone: int = Attr(default=2)
        name: str = "n"

    return Changing()


def test_keys_that_no_constructor_makes_a_place_for_are_all_listed_at_once(store: Store) -> None:
    post: Any = Post(seed=1)
    post.later = Attr(data=3)
    post.after = Part(size=1)
    store.save(post, "agent")
    with pytest.raises(StateKeyError) as caught:
        store.load("agent")
    assert caught.value.context["missing"] == ()
    assert caught.value.context["extra"] == ("after.history", "after.size", "later")


def test_a_new_field_without_a_default_is_refused(store: Store) -> None:
    store.save(_before(), "agent")

    class Changing(BaseModule):
        __qualname__ = "Changing"
        kept: int = Param(default=1)
        gone: int = Attr(default=2)
        name: str = "n"
        needed: int = Param()

    with pytest.raises(MigrationError, match="'needed' without a default") as caught:
        store.load("agent")
    assert caught.value.code == "schema-misfit"
    assert caught.value.context["path"] == "needed"


def test_a_plain_field_of_another_type_is_refused_with_its_path(store: Store) -> None:
    """Symptom: pydantic's ValidationError came out of `load`. Cause: the stored blueprint went
    through `from_spec`. Fix: it is checked here, and refused with a SpecError."""
    part = Part(size=1)
    part.label = 5  # type: ignore[assignment]
    for module in (part, Whole(parts=[part])):
        store.save(module, "agent", base="latest")
        with pytest.raises(SpecError, match="int does not fit str") as caught:
            store.load("agent")
        assert caught.value.code == "misfit"
    assert caught.value.context["path"] == "parts.0.label"


def test_a_param_of_another_type_is_refused_with_its_path(store: Store) -> None:
    part = Part(size=1)
    part.size = "large"  # type: ignore[assignment]
    store.save(Whole(parts=[part]), "agent")
    with pytest.raises(StateError, match="str does not fit int") as caught:
        store.load("agent")
    assert caught.value.context["path"] == "parts.0.size"


def test_a_module_of_another_class_than_the_field_asks_for_is_refused(store: Store) -> None:
    whole = Whole(parts=[Post()])  # type: ignore[list-item]
    store.save(whole, "agent")
    with pytest.raises(SpecError, match="does not fit") as caught:
        store.load("agent")
    assert caught.value.code == "misfit"


def test_a_module_in_an_attr_that_does_not_fit_is_refused_with_its_path(store: Store) -> None:
    holder = Part(size=2)
    holder.history = [_before()]
    store.save(holder, "agent")

    class Changing(BaseModule):
        __qualname__ = "Changing"
        kept: list[int] = Param(default_factory=list)
        gone: int = Attr(default=2)
        name: str = "n"

    with pytest.raises(MigrationError, match="'kept': a saved int cannot become") as caught:
        store.load("agent")
    assert caught.value.context["path"] == "history.kept"


def test_a_kind_that_is_gone_is_named(store: Store) -> None:
    class Passing(BaseModule):
        pass

    store.save(Passing(), "agent")
    del Passing
    gc.collect()
    with pytest.raises(SpecError, match="unknown kind") as caught:
        store.load("agent")
    assert caught.value.code == "unknown-kind"


# --- how it leaves the process --------------------------------------------------------------------


def test_the_collector_of_cycles_runs_again_after_a_load_only_if_it_did_before(
    store: Store,
) -> None:
    store.save(Part(size=1), "agent")
    bad = Part(size="x")  # type: ignore[arg-type]
    store.save(bad, "bad")
    assert gc.isenabled()
    store.load("agent")
    assert gc.isenabled()
    with pytest.raises(StateError):
        store.load("bad")
    assert gc.isenabled()
    gc.disable()
    try:
        store.load("agent")
        assert not gc.isenabled()
    finally:
        gc.enable()


def _read_and_write(subjects: list[Part]) -> None:
    for subject in subjects:
        subject.size = subject.size


def _specialised(subjects: list[Part]) -> list[str]:
    """Gives how the interpreter accesses the attributes, once it is warm."""
    loop = types.FunctionType(_read_and_write.__code__.replace(), globals())
    for _ in range(100):
        loop(subjects)
    found = dis.get_instructions(loop, adaptive=True)
    return [each.opname for each in found if "_ATTR" in each.opname]


def test_loaded_modules_are_laid_out_like_new_ones(store: Store) -> None:
    """What the interpreter's own instructions say: values inline, found by their place."""
    whole = Whole(parts=[Part(size=number) for number in range(100)])
    new = _specialised(whole.parts)
    assert all("INSTANCE_VALUE" in name for name in new)
    loaded = _again(store, whole)
    assert _specialised(loaded.parts) == new
    store.save(loaded, "agent")
    store.load_into(loaded, "agent")
    assert _specialised(loaded.parts) == new


def test_a_load_that_failed_does_not_keep_a_closed_store_open(tmp_path: Path) -> None:
    """Symptom: a store could not be opened again after a failed load. Cause: the traceback held the
    version that was read, and that the store. Fix: a version holds its store weakly."""
    keys = KeyFile(tmp_path / "key")
    with Store.open(tmp_path / "store", keys=keys) as store:
        store.save(Part(size="x"), "bad")  # type: ignore[arg-type]
        with pytest.raises(StateError) as caught:
            store.load("bad")
    assert caught.tb is not None
    with Store.open(tmp_path / "store", keys=keys) as store:
        assert store.names() == ["bad"]
