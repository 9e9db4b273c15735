"""Loading what older classes have saved, without migrations."""

from __future__ import annotations

import gc
import pathlib
from typing import Any

import numpy as np
import pytest

from dachi_fast import (
    AdaptModule,
    Attr,
    BaseModule,
    MigrationReport,
    ModuleList,
    Param,
    Shared,
    Store,
    migration,
    registry,
)
from dachi_fast.errors import MigrationError, SchemaWarning, SpecError, StateKeyError
from tests.evolving import TYPE, Holder, Leaf, loaded

HERE = "tests.test_migrate_fields"


def test_new_fields_take_their_defaults_and_those_that_are_gone_are_dropped_and_reported(
    store: Store,
) -> None:
    class Agent(BaseModule):
        __qualname__ = "Agent"
        kept: int = Param(default=1)
        gone: int = Attr(default=2)
        plain: str = "p"
        child: Leaf = Param(default_factory=Leaf)

    store.save(Agent(kept=5, child=Leaf(size=9)), "agent")

    class Agent(BaseModule):  # type: ignore[no-redef]
        __qualname__ = "Agent"
        kept: int = Param(default=1)
        new: list[int] = Attr(default_factory=lambda: [7])
        text: str = "t"
        other: Leaf = Param(default_factory=lambda: Leaf(size=4))

    agent, changes = loaded(store)
    assert (agent.kept, agent.new, agent.text, agent.other.size) == (5, [7], "t", 4)
    assert changes == MigrationReport(
        dropped=("gone", "plain", "child"), defaulted=("new", "text", "other")
    )
    again = store.save(agent, "agent")
    assert again.number == 2
    assert loaded(store)[1] == MigrationReport()
    assert store.load("agent").other.id == agent.other.id


def test_what_is_left_out_is_a_warning_where_nobody_asks_for_a_report(store: Store) -> None:
    class Agent(BaseModule):
        __qualname__ = "Warned"
        gone: int = Attr(default=2)

    store.save(Agent(), "agent")

    class Agent(BaseModule):  # type: ignore[no-redef]
        __qualname__ = "Warned"

    with pytest.warns(SchemaWarning, match="version 1 of 'agent' has 'gone'") as caught:
        store.load("agent")
    warning: Any = caught[0].message
    assert caught[0].filename == __file__
    assert (warning.code, warning.context["dropped"]) == ("fields-dropped", ("gone",))


def test_fields_and_classes_are_found_by_their_earlier_names(store: Store) -> None:
    class Part(BaseModule):
        __qualname__ = "OldPart"
        weight: float = Param(default=1.0)
        inner: Leaf = Param(default_factory=Leaf)

    class Agent(BaseModule):
        __qualname__ = "Renaming"
        parts: list[Any] = Param(default_factory=list)
        note: str = "n"

    part = Part(weight=2.5, inner=Leaf(size=8))
    part.inner.seen.append(3)
    store.save(Agent(parts=[part], note="x"), "agent")
    registry.deregister("OldPart")

    class Part(BaseModule):  # type: ignore[no-redef]
        __qualname__ = "NewPart"
        __aliases__ = ("OldPart",)
        mass: float = Param(default=1.0, aliases=("weight",))
        core: Leaf = Param(default_factory=Leaf, aliases=("heart", "inner"))

    class Agent(BaseModule):  # type: ignore[no-redef]
        __qualname__ = "Renaming"
        pieces: list[Any] = Param(default_factory=list, aliases=("parts",))
        remark: str = Param(default="", aliases=("note",))

    agent, changes = loaded(store)
    piece = agent.pieces[0]
    assert (type(piece), piece.mass, piece.core.size, piece.core.seen) == (Part, 2.5, 8, [3])
    assert agent.remark == "x"
    assert piece.id == part.id
    assert set(changes.renamed) == {
        ("parts", "pieces"),
        ("note", "remark"),
        (f"{HERE}:OldPart", f"{HERE}:NewPart"),
        ("pieces.0.weight", "pieces.0.mass"),
        ("pieces.0.inner", "pieces.0.core"),
    }
    assert (changes.dropped, changes.defaulted) == ((), ())
    assert BaseModule.from_spec({"kind": "OldPart", "mass": 3.0}).mass == 3.0  # type: ignore[attr-defined]


def test_two_classes_that_were_called_the_same_are_ambiguous(store: Store) -> None:
    class Once(BaseModule):
        pass

    store.save(Once(), "agent")
    here = f"{HERE}:test_two_classes_that_were_called_the_same_are_ambiguous.<locals>.Once"
    del Once
    gc.collect()

    class First(BaseModule):
        __aliases__ = (here,)

    class Second(BaseModule):
        __aliases__ = (here,)

    with pytest.raises(SpecError, match="ambiguous") as caught:
        store.load("agent")
    assert len(caught.value.context["candidates"]) == 2  # type: ignore[arg-type]
    assert {First, Second}


def test_values_move_where_fields_of_their_new_role_are_kept(store: Store) -> None:
    class Agent(BaseModule):
        __qualname__ = "Moving"
        a: int = Param(default=1)
        b: int = Attr(default=2)
        c: int = 3
        d: int = 4

    agent = Agent(a=10, c=30, d=40)
    agent.b = 20
    store.save(agent, "agent")

    class Agent(BaseModule):  # type: ignore[no-redef]
        __qualname__ = "Moving"
        a: int = 1
        b: int = Param(default=2)
        c: int = Param(default=3)
        d: int = Attr(default=4)

    found, changes = loaded(store)
    assert (found.a, found.b, found.c, found.d) == (10, 20, 30, 40)
    assert not changes


def test_a_field_that_is_shared_now_is_dropped(store: Store) -> None:
    class Agent(BaseModule):
        __qualname__ = "Sharing"
        board: int = Attr(default=2)

    store.save(Agent(), "agent")

    class Agent(BaseModule):  # type: ignore[no-redef]
        __qualname__ = "Sharing"
        board: int = Shared(default=5)

    found, changes = loaded(store)
    assert found.board == 5
    assert changes.dropped == ("board",)


@pytest.mark.parametrize(
    ("old", "value", "new", "wanted"),
    [
        (int, 3, float, 3.0),
        (int, 2**60 + 1, float, 2**60 + 1),
        (float, 2.0, int, 2),
        (str, "12", int, 12),
        (str, "a/b", pathlib.PurePosixPath, pathlib.PurePosixPath("a/b")),
        (list[int], [1, 2], list[float], [1.0, 2.0]),
        (list[int], [1, 2], tuple[int, ...], (1, 2)),
        (dict[str, int], {"a": 1}, dict[str, float], {"a": 1.0}),
        (list[str], ["1", "2"], list[int], [1, 2]),
        (int, 1, int | None, 1),
        (Any, [1], list[int], [1]),
        (set[int], {1}, frozenset[int], frozenset({1})),
    ],
    ids=str,
)
def test_changed_types_are_converted_where_nothing_is_lost(
    store: Store, old: Any, value: Any, new: Any, wanted: Any
) -> None:
    _save_as(store, old, value)
    _define(new)
    agent = store.load("agent")
    for held in (agent.param, agent.attr, agent.plain):
        assert (held, type(held), repr(held)) == (wanted, type(wanted), repr(wanted))


@pytest.mark.parametrize(
    ("old", "value", "new"),
    [
        (float, 2.5, int),
        (float, -0.0, int),
        (str, "012", int),
        (str, "one", int),
        (int, 3, str),
        (list[int], [2, 1], set[int]),
        (set[tuple[int, ...]], {(1, 2)}, list[list[int]]),
        (list[str], ["1", "02"], list[int]),
        (str, "a//b", pathlib.PurePosixPath),
        (int | None, None, int),
        (Any, np.arange(3), int),
        (dict[str, int], {"a": 1}, list[str]),
        (str, "ab", list[str]),
    ],
    ids=str,
)
@pytest.mark.parametrize("where", ["param", "attr", "plain"])
def test_what_would_lose_something_is_refused_with_its_path_and_nothing_changes(
    store: Store, old: Any, value: Any, new: Any, where: str
) -> None:
    cls = _define(old)
    saved = cls()
    setattr(saved, where, value)
    store.save(Holder(items=[saved]), "agent")
    # Every other field keeps its type, so that the one at hand is to blame.
    cls = _define(new, only=where, old=old)
    live = Holder(items=[cls()])
    before = live.state_dict()
    with pytest.raises(MigrationError, match="without loss") as caught:
        store.load("agent")
    assert caught.value.code == "schema-misfit"
    assert caught.value.context["path"] == f"items.0.{where}"
    with pytest.raises(MigrationError):
        store.load_into(live, "agent")
    with pytest.raises(MigrationError):
        store.rollback("agent", to=1, into=live)
    assert live.state_dict() == before
    assert len(store.history("agent")) == 1


def _define(annotation: Any, only: str | None = None, old: Any = None) -> Any:
    kinds = {"param": Param(default=None), "attr": Attr(default=None), "plain": None}
    types = {n: annotation if only in (None, n) else old for n in kinds}
    body: dict[str, Any] = {
        "__annotations__": types,
        "__module__": HERE,
        "__qualname__": "Typed",
        **kinds,
    }
    if only is not None:  # None fits nothing but None: no Optional for this one
        body[only] = Param() if only == "param" else Attr() if only == "attr" else _NOTHING
        if body[only] is _NOTHING:
            del body[only]
    made = TYPE("Typed", (BaseModule,), body)
    return _partial(made, only)


_NOTHING = object()


def _partial(made: Any, only: str | None) -> Any:
    if only in (None, "attr"):
        return made
    return lambda: made(**{only: None})


def _save_as(store: Store, annotation: Any, value: Any) -> None:
    agent = _define(annotation)()
    agent.param = agent.attr = agent.plain = value
    store.save(agent, "agent")


def test_a_new_field_without_a_default_is_refused_with_its_path(store: Store) -> None:
    class Agent(BaseModule):
        __qualname__ = "Needing"

    store.save(Holder(items=[Agent()]), "agent")

    class Agent(BaseModule):  # type: ignore[no-redef]
        __qualname__ = "Needing"
        needed: int = Param()

    with pytest.raises(MigrationError, match="'needed' without a default") as caught:
        store.load("agent")
    assert caught.value.context["path"] == "items.0.needed"


def test_items_that_a_constructor_makes_now_keep_what_it_gave_them(store: Store) -> None:
    class Agent(BaseModule):
        __qualname__ = "Making"

        def __post_init__(self) -> None:
            self.first = Param(data=1)

    agent: Any = Agent()
    agent.first.data = 5
    store.save(agent, "agent")

    class Agent(BaseModule):  # type: ignore[no-redef]
        __qualname__ = "Making"

        def __post_init__(self) -> None:
            self.first = Param(data=1)
            self.second = Attr(data=2)
            self.part = Leaf(size=3)

    found, changes = loaded(store)
    assert (found.first.data, found.second.data, found.part.size) == (5, 2, 3)
    assert set(changes.defaulted) == {"second", "part.size", "part.seen"}
    found.extra = Attr(data=1)
    store.save(found, "agent")
    with pytest.raises(StateKeyError, match="extra"):
        store.load("agent")


def test_arguments_of_a_constructor_written_by_hand_come_and_go(store: Store) -> None:
    class Agent(BaseModule):
        __qualname__ = "ByHand"

        def __init__(self, first: Leaf, *, scale: float = 1.0) -> None:
            self.held = first
            self.factor = Param(data=scale)

    agent: Any = Agent(Leaf(size=6), scale=3.0)
    agent.held.seen.append(1)
    store.save(agent, "agent")

    class Agent(BaseModule):  # type: ignore[no-redef]
        __qualname__ = "ByHand"

        def __init__(self, first: Leaf, *, depth: int = 2) -> None:
            self.held = first
            self.factor = Param(data=0.0)
            self.depth = depth

    found, changes = loaded(store)
    assert (found.held.size, found.held.seen, found.factor.data) == (6, [1], 3.0)
    assert found.depth == 2
    assert (changes.dropped, changes.defaulted) == (("scale",), ("depth",))


def test_modules_held_twice_in_adapted_modules_and_lists_evolve_in_every_place(
    store: Store,
) -> None:
    class Part(BaseModule):
        __qualname__ = "Everywhere"
        gone: int = Attr(default=1)
        kept: int = Param(default=2)

    class Agent(BaseModule):
        __qualname__ = "Places"
        adapted: AdaptModule[Any] = Param()
        several: ModuleList = Param()
        named: dict[str, Any] = Param(default_factory=dict)

    twice = Part(kept=5)
    agent = Agent(
        adapted=Part(kept=3), several=ModuleList(items=[twice, Leaf()]), named={"it": twice}
    )
    store.save(agent, "agent")

    class Part(BaseModule):  # type: ignore[no-redef]
        __qualname__ = "Everywhere"
        kept: float = Param(default=2)
        new: int = Attr(default=7)

    found, changes = loaded(store)
    assert found.several[0] is found.named["it"]
    for part, kept in ((found.several[0], 5.0), (found.adapted.adapted, 3.0)):
        assert (type(part), part.kept, part.new) == (Part, kept, 7)
        assert type(part.kept) is float
    places = ("adapted._adapted", "several.0", "named.it")
    assert changes.dropped == tuple(f"{place}.gone" for place in places)
    assert changes.defaulted == tuple(f"{place}.new" for place in places)
    store.save(found, "agent")
    assert loaded(store)[1] == MigrationReport()


@pytest.mark.parametrize("where", ["__post_init__", "__init__"])
def test_modules_that_constructors_make_evolve_as_those_of_a_blueprint(
    where: str, store: Store
) -> None:
    """Symptom: a class of which constructors make instances could not change: missing and extra
    keys. Cause: blueprints do not tell of these. Fix: the table of classes does, and today's
    constructors say where they are."""

    def constructor(make: Any) -> dict[str, Any]:
        def by_hand(self: Any) -> None:
            self.limb = make()
            self.item = Attr(data=0)

        return {where: by_hand, "__module__": HERE, "__qualname__": "Maker"}

    class Limb(BaseModule):
        __qualname__ = "OldLimb"
        length: int = Param(default=1)
        gone: int = Param(default=1)
        plain: int = Param(default=1)
        seen: int = Attr(default=0)
        inner: Leaf = Param(default_factory=Leaf)

    agent = TYPE("Maker", (BaseModule,), constructor(Limb))()
    agent.limb.length, agent.limb.seen, agent.limb.inner.size = 5, 3, 8
    agent.item.data = 4
    store.save(agent, "agent")

    class Limb2(BaseModule):
        __qualname__ = "NewLimb"
        __aliases__ = ("OldLimb",)
        __schema_version__ = 2
        reach: float = Param(aliases=("length",))
        joints: int = Param()
        plain: int = 1
        seen: int = Attr(default=0)
        core: Leaf = Param(default_factory=Leaf, aliases=("inner",))

        @migration(1, 2)
        @staticmethod
        def _more(spec: Any, state: Any) -> Any:
            state["seen"] += 100
            return spec, state

    registry.deregister("OldLimb")
    TYPE("Maker", (BaseModule,), constructor(lambda: Limb2(reach=0.0, joints=2)))
    found, changes = loaded(store)
    limb = found.limb
    assert (type(limb), limb.reach, limb.joints, limb.seen) == (Limb2, 5.0, 2, 103)
    assert (limb.core.size, found.item.data) == (8, 4)
    assert set(changes.renamed) == {
        (f"{HERE}:OldLimb", f"{HERE}:NewLimb"),
        ("limb.length", "limb.reach"),
        ("limb.inner", "limb.core"),
    }
    assert set(changes.dropped) == {"limb.gone", "limb.plain"}
    assert changes.defaulted == ("limb.joints",)
    assert len(changes.migrated) == 1


def test_a_module_that_a_constructor_keeps_under_another_name_evolves(store: Store) -> None:
    class Keeper(BaseModule):
        def __init__(self, first: BaseModule) -> None:
            self.held = first

    class Limb(BaseModule):
        __qualname__ = "KeptLimb"
        length: int = Param()
        seen: int = Attr(default=0)

    agent: Any = Keeper(Limb(length=3))
    agent.held.length, agent.held.seen = 5, 7
    store.save(agent, "agent")

    class Limb2(BaseModule):
        __qualname__ = "KeptLimb"
        reach: float = Param(aliases=("length",))
        joints: int = Param(default=2)
        seen: int = Attr(default=0)

    found, changes = loaded(store)
    limb = found.held
    assert (type(limb), limb.reach, limb.joints, limb.seen) == (Limb2, 5.0, 2, 7)
    assert ("held.length", "held.reach") in changes.renamed
    assert changes.dropped == ()
