"""Versions loaded into modules that are there: all of it or nothing, and the store knows which."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import AdaptModule, Attr, BaseModule, KeyFile, Param, Store
from dachi_fast.errors import StateKeyError, StateTypeError
from tests.evolving import TYPE


class Limb(BaseModule):
    size: int = Param(default=1)
    seen: list[int] = Attr(default_factory=list)


class Torso(BaseModule):
    label: str = Param(default="new")
    parts: list[Limb] = Param(default_factory=list)
    later: int = Attr()
    hits: Attr[int] = Attr(default=0)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        yield store


def _torso(store: Store) -> Any:
    """Gives a module saved as version 2; version 1 has another number of parts."""
    torso: Any = Torso(label="first")  # type: ignore[call-arg]
    store.save(torso, "agent")
    torso.label, torso.later = "second", 7
    torso.parts.append(Limb(size=5))
    torso.hits.data = 3
    store.save(torso, "agent")
    return torso


def _numbers(store: Store) -> list[int]:
    return [version.number for version in store.history("agent")]


def test_a_rollback_that_does_not_fit_the_module_makes_no_version(store: Store) -> None:
    """Symptom: a StateError out of a rollback that had been committed, and a module of which the
    store no longer knew the version. Cause: whether the state fits was found out after the commit.
    Fix: what is written is planned before it."""
    limb: Any = Limb(size=5)
    store.save(limb, "limb")
    store.save(_torso(store), "agent")
    for name, module in (("limb", limb), ("agent", store.load("agent"))):
        module.extra = Attr(data=1)
        before = store.history(name), module.state_dict()
        with pytest.raises(StateKeyError, match="'extra'"):
            store.rollback(name, to=1, into=module)
        assert (store.history(name), module.state_dict()) == before
        del module.extra
        assert store.save(module, name).number == len(before[0]) + 1


def test_parts_are_replaced_past_fixes_with_callbacks_told_once(store: Store) -> None:
    """Symptom: a FixedError out of a rollback that had been committed; without a fix, two calls of
    each callback. Cause: fields of another structure were assigned, as their owner would. Fix: they
    are written as a load writes."""
    torso, heard = _torso(store), list[str]()
    label = next(torso.parameters())
    label.register_callback(heard.append)
    label.fix()
    hits = torso.hits
    assert store.rollback("agent", to=1, into=torso).number == 3
    assert (torso.label, torso.parts, heard) == ("first", [], ["first"])
    assert (torso.hits, hits.data, label.fixed) == (hits, 0, True)
    assert store.save(torso, "agent").number == 4


def test_a_value_that_the_version_lacks_is_taken_away(store: Store) -> None:
    """Symptom: AttributeError. Cause: a field without a value was read. Fix: it is deleted."""
    torso = _torso(store)
    store.load_into(torso, "agent", version=1)
    assert not hasattr(torso, "later")
    store.load_into(torso, "agent", version=2)
    assert (torso.later, torso.hits.data, torso.parts[0].size) == (7, 3, 5)


@pytest.mark.parametrize("grown", [False, True])
def test_a_callback_that_raises_finds_a_module_of_which_the_store_knows_the_version(
    store: Store, grown: bool
) -> None:
    """Symptom: a Conflict with oneself. Cause: the version was noted after the callbacks. Fix:
    before."""
    torso = _torso(store)
    if not grown:
        store.rollback("agent", to=1, into=torso)

    def refuse(_: object) -> None:
        raise ValueError("not today")

    next(torso.parameters()).register_callback(refuse)
    with pytest.raises(ValueError, match="not today"):
        store.rollback("agent", to=1, into=torso)
    assert (torso.label, torso.parts) == ("first", [])
    store.save(torso, "agent")
    with pytest.raises(ValueError, match="not today"):
        store.load_into(torso, "agent")
    store.save(torso, "agent")
    assert _numbers(store)[0] == (5 if grown else 6)


async def test_a_rollback_off_the_loop_checks_before_it_commits(store: Store) -> None:
    torso = _torso(store)
    torso.extra = Attr(data=1)
    with pytest.raises(StateKeyError):
        await store.arollback("agent", to=1, into=torso)
    assert _numbers(store) == [2, 1]
    del torso.extra
    assert (await store.arollback("agent", to=1, into=torso)).number == 3
    assert (torso.label, (await store.asave(torso, "agent")).number) == ("first", 4)


async def test_a_tag_that_moves_during_a_rollback_off_the_loop_leads_it_nowhere_else(
    store: Store,
) -> None:
    """Symptom: a module of one version and a new version equal to another. Cause: the tag was
    looked up twice. Fix: the second time it is the number that it led to."""
    torso = _torso(store)
    store.tag("agent", version=1, tag="good")
    core = store._core

    class Moving:
        def __getattr__(self, name: str) -> Any:
            return getattr(core, name)

        def load(self, name: str, version: int | str) -> Any:
            found = core.load(name, version)
            core.untag("agent", "good")
            core.tag("agent", 2, "good")
            return found

    store._core = Moving()  # type: ignore[assignment]
    version = await store.arollback("agent", to="good", into=torso)
    store._core = core
    assert (version.restores, torso.label) == (1, "first")
    assert store.load("agent").label == "first"


async def test_the_ledger_says_of_a_rollback_what_was_migrated_and_as_which_version(
    tmp_path: Path,
) -> None:
    """Symptom: off the loop, a migration of the old version, before the rollback. Cause: it was
    noted when it was read. Fix: after the rollback, as the version that the module then is."""

    def aging(**annotations: Any) -> Any:
        fields = {name: Attr(default=kind()) for name, kind in annotations.items()}
        members = {"__annotations__": annotations, "__module__": __name__, **fields}
        return TYPE("Aging", (BaseModule,), members)

    keys = KeyFile(tmp_path / "key")
    with Store.open(tmp_path / "store", keys=keys, audit_reads="strict") as store:
        store.save(aging(count=int)(), "agent")
        new = aging(count=int, more=str)()
        store.rollback("agent", to=1, into=new)
        await store.arollback("agent", to=1, into=new)
        seen = [(entry.operation, entry.version) for entry in store.ledger(limit=6)]
    one = [("migrate", 3), ("rollback", None), ("retrieve", 1)]
    assert seen == [*one, ("migrate", 2), *one[1:]]


def test_a_value_that_does_not_fit_makes_no_version(store: Store) -> None:
    limb: Any = Limb()
    limb.size = "large"
    store.save(limb, "limb")
    limb.size = 2
    store.save(limb, "limb")
    with pytest.raises(StateTypeError):
        store.rollback("limb", to=1, into=limb)
    assert (limb.size, len(store.history("limb"))) == (2, 2)


def test_the_blueprint_of_a_module_that_is_a_param_goes_on_replacing_it(store: Store) -> None:
    """Symptom: a spec written to `adapted_param` changed nothing. Cause: after a load into a root
    that is an AdaptModule it was the Param of another one. Fix: such a root replaces what it
    holds by itself."""
    step: Any = AdaptModule(Limb(size=3))
    store.save(step, "step")
    step.update_adapted(Torso())  # type: ignore[call-arg]
    store.save(step, "step")
    store.rollback("step", to=1, into=step)
    assert step.adapted.size == 3
    step.adapted_param.data = {"kind": "Limb", "size": 4}
    assert step.adapted.size == 4
