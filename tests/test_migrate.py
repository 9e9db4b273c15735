"""Migrations: declared by classes, run by loads, told to the ledger."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import Attr, BaseModule, KeyFile, MigrationReport, Param, Store, migration
from dachi_fast.errors import DeclarationError, MigrationError
from tests.evolving import TYPE, Holder, Leaf, loaded

HERE = "tests.test_migrate"


def test_migrations_run_one_after_the_other_over_blueprint_and_state(store: Store) -> None:
    class Agent(BaseModule):
        __qualname__ = "Chained"
        timeout_s: float = Param(default=1.0)
        leaf: Leaf = Param(default_factory=Leaf)

    agent = Agent(timeout_s=2.5, leaf=Leaf(size=3))
    store.save(agent, "agent")

    class Agent(BaseModule):  # type: ignore[no-redef]
        __qualname__ = "Chained"
        __schema_version__ = 3
        timeout_ms: int = Param(default=1000)
        leaves: list[Leaf] = Param(default_factory=list)
        unit: str = "s"

        @migration(1, 2)
        @staticmethod
        def in_milliseconds(spec: Any, state: Any) -> Any:
            assert set(state) == {"timeout_s", "leaf.size", "leaf.seen"}
            state["timeout_ms"] = round(1000 * state.pop("timeout_s"))
            spec["unit"] = "ms"
            return spec, state

        @migration(2, 3)
        def into_a_list(spec: Any, state: Any) -> Any:  # noqa: N805
            spec["leaves"] = [spec.pop("leaf"), {"kind": "tests.evolving:Leaf"}]
            state = {path.replace("leaf.", "leaves.0."): value for path, value in state.items()}
            return spec, state | {"leaves.1.size": 9}

    found, changes = loaded(store)
    assert (found.timeout_ms, found.unit) == (2500, "ms")
    assert [leaf.size for leaf in found.leaves] == [3, 9]
    assert found.leaves[0].id == agent.leaf.id
    assert found.leaves[1].seen == []
    assert changes.migrated == ((f"{HERE}:Chained", 1, 3),)
    assert store.save(found, "agent").number == 2
    assert not loaded(store)[1]


def test_the_parts_of_a_module_reach_its_migration_as_they_were_saved(store: Store) -> None:
    class Part(BaseModule):
        __qualname__ = "Inside"
        old: int = Attr(default=1)

    class Agent(BaseModule):
        __qualname__ = "Outside"
        part: Part = Param(default_factory=Part)

    agent = Agent()
    agent.part.old = 4
    store.save(agent, "agent")

    class Part(BaseModule):  # type: ignore[no-redef]
        __qualname__ = "Inside"
        __schema_version__ = 2
        new: int = Attr(default=1)

        @migration(1, 2)
        @staticmethod
        def double(spec: Any, state: Any) -> Any:
            return spec, {"new": 2 * state["old"]}

    class Agent(BaseModule):  # type: ignore[no-redef]
        __qualname__ = "Outside"
        __schema_version__ = 2
        moved: Part = Param(default_factory=Part)

        @migration(1, 2)
        @staticmethod
        def move(spec: Any, state: Any) -> Any:
            spec["moved"] = spec.pop("part")
            return spec, {"moved.old": state["part.old"] + 1}

    found, changes = loaded(store)
    assert found.moved.new == 10
    assert [kind for kind, _, _ in changes.migrated] == [f"{HERE}:Outside", f"{HERE}:Inside"]


def test_bases_and_mixins_have_versions_and_migrations_of_their_own(store: Store) -> None:
    def made(base_version: int, own_version: int) -> Any:
        class Mixin:
            __qualname__ = "CountingMixin"
            __schema_version__ = base_version
            if base_version == 2:

                @migration(1, 2)
                @staticmethod
                def base(spec: Any, state: Any) -> Any:
                    return spec, state | {"log": [*state["log"], "base"]}

        class Derived(Mixin, BaseModule):
            __qualname__ = "DerivedAgent"
            __schema_version__ = own_version
            log: list[str] = Attr(default_factory=list)
            if own_version == 5:

                @migration(4, 5)
                @staticmethod
                def own(spec: Any, state: Any) -> Any:
                    return spec, state | {"log": [*state["log"], "own"]}

        return Derived

    store.save(made(1, 4)(), "agent")
    made(2, 4)
    found, changes = loaded(store)
    assert found.log == ["base"]
    assert changes.migrated == ((f"{HERE}:CountingMixin", 1, 2),)
    made(2, 5)
    assert loaded(store)[0].log == ["base", "own"]
    made(1, 5)
    store.save(found, "newer")
    with pytest.raises(MigrationError, match="CountingMixin was saved with schema version 2"):
        store.load("newer")


def test_a_migration_can_make_a_module_one_of_another_class(store: Store) -> None:
    class Learner(BaseModule):
        __qualname__ = "FirstLearner"
        weights: list[float] = Attr(default_factory=list)

    class Agent(BaseModule):
        __qualname__ = "Relearning"
        learner: Any = Param()

    learner = Learner()
    learner.weights = [1.0]
    store.save(Agent(learner=learner), "agent")

    class Other(BaseModule):
        __qualname__ = "SecondLearner"
        sums: list[float] = Attr(default_factory=list)

    class Learner(BaseModule):  # type: ignore[no-redef]
        __qualname__ = "FirstLearner"
        __schema_version__ = 2

        @migration(1, 2)
        @staticmethod
        def turn_into(spec: Any, state: Any) -> Any:
            return {"kind": f"{HERE}:SecondLearner", "id": spec["id"]}, {"sums": state["weights"]}

    found, _ = loaded(store)
    assert type(found.learner) is Other
    assert (found.learner.sums, found.learner.id) == ([1.0], learner.id)


def test_a_higher_version_without_migrations_evolves_by_itself(store: Store) -> None:
    _versioned(1)
    store.save(_versioned(1)(), "agent")
    _versioned(4)
    _, changes = loaded(store)
    assert changes.migrated == ((f"{HERE}:Versioned", 1, 4),)


def _versioned(version: int, **members: Any) -> Any:
    body = {"__module__": HERE, "__qualname__": "Versioned", "__schema_version__": version}
    body["__annotations__"] = {"size": int}
    return TYPE("Versioned", (BaseModule,), {"size": Param(default=1)} | body | members)


def _same(spec: Any, state: Any) -> Any:
    return spec, state


def test_a_newer_schema_is_refused_with_both_numbers(store: Store) -> None:
    store.save(_versioned(3)(), "agent")
    live = _versioned(2)()
    reads: list[Callable[[], object]] = [
        lambda: store.load("agent"),
        lambda: store.load_into(live, "agent"),
    ]
    for read in reads:
        with pytest.raises(MigrationError, match=r"schema version 3, .* has version 2") as caught:
            read()
        assert caught.value.code == "schema-too-new"
        assert (caught.value.context["saved"], caught.value.context["known"]) == (3, 2)


def test_a_version_from_which_no_migration_leads_is_refused(store: Store) -> None:
    store.save(_versioned(1)(), "agent")
    _versioned(3, step=migration(2, 3)(_same))
    with pytest.raises(MigrationError, match="no migration from 1; it has 2 -> 3") as caught:
        store.load("agent")
    assert caught.value.code == "migration-gap"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"a": (1, 2), "b": (1, 3)}, "two migrations from version 1: a and b"),
        ({"a": (1, 2)}, "version 3, but its migration from 2 is missing"),
        ({"a": (1, 4)}, "version 3, but its migration from 1 leads to 4"),
        ({"a": (1, 2), "b": (2, 3), "c": (5, 6)}, "no migration leads to version 5"),
    ],
)
def test_migrations_that_cannot_work_are_refused_where_the_class_is_defined(
    members: dict[str, tuple[int, int]], message: str
) -> None:
    steps = {}
    for name, numbers in members.items():

        def step(spec: Any, state: Any) -> Any:
            return spec, state

        step.__name__ = name
        steps[name] = migration(*numbers)(step)
    with pytest.raises(DeclarationError, match=message) as caught:
        _versioned(3, **steps)
    assert caught.value.code == "migration"


@pytest.mark.parametrize("numbers", [(2, 1), (1, 1), (0, 1), (-1, 2), (1.0, 2), ("1", 2)])
def test_a_migration_leads_from_a_version_to_a_later_one(numbers: Any) -> None:
    with pytest.raises(DeclarationError, match="to a later one") as caught:
        migration(*numbers)
    assert caught.value.code == "migration"


@pytest.mark.parametrize("version", [0, -1, "2", 1.5, None, True])
def test_a_schema_version_is_a_positive_whole_number(version: Any) -> None:
    with pytest.raises(DeclarationError, match="write 1, 2"):
        _versioned(version)


@pytest.mark.parametrize("aliases", ["Old", 5, ("a", 1)])
def test_aliases_are_a_list_of_names(aliases: Any) -> None:
    with pytest.raises(DeclarationError, match="lists names") as caught:
        _versioned(1, __aliases__=aliases)
    assert caught.value.code == "aliases"


def _raising(_: Any, __: Any) -> Any:
    raise ZeroDivisionError("by zero")


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (_raising, "raised ZeroDivisionError"),
        (lambda spec, state: None, "gave NoneType: end it with `return spec, state`"),
        (lambda spec, state: (spec, [1]), "gave something else than two dicts"),
        (lambda spec, state: ({**spec, "id": "other"}, state), "took the id out"),
        (lambda spec, state: ({"kind": spec["kind"]}, state), "took the id out"),
        (lambda spec, state: ({"id": spec["id"]}, state), "took the kind out"),
        (lambda spec, state: (spec, {"size": object()}), "object is no type that state can hold"),
        (lambda spec, state: (spec, {**state, "size.x": 1}), "no such path can be"),
        (lambda spec, state: (spec, {**state, 5: 1}), "no such path can be"),
        (lambda spec, state: (spec, {**state, "": 1}), "no such path can be"),
        (lambda spec, state: (spec, {**state, "unknown": 1}), r"extra: 'items\.0\.unknown'"),
        (lambda spec, state: ({**spec, "unknown": 1}, state), "extra: 'unknown'"),
        (lambda spec, state: (spec, {"size": "large"}), "str does not fit int"),
        (lambda spec, state: ({**spec, "part": {"same": "x"}}, state), "put the id of a module"),
        (
            lambda spec, state: (
                {**spec, "part": {"kind": "tests.evolving:Holder", "id": []}},
                state,
            ),
            r"a saved tests\.evolving:Holder at 'items\.0\.part' does not fit",
        ),
    ],
)
def test_a_migration_that_gives_junk_is_an_error_that_names_it_and_nothing_changes(
    store: Store, broken: Any, message: str
) -> None:
    store.save(Holder(items=[_versioned(1)(size=5)]), "agent")
    new = _versioned(2, step=migration(1, 2)(broken))
    live = Holder(items=[new(size=7)])
    for read in (
        lambda: store.load("agent"),
        lambda: store.load_into(live, "agent"),
        lambda: store.rollback("agent", to=1, into=live),
    ):
        with pytest.raises(MigrationError, match=message) as caught:
            read()
        assert caught.value.code in ("migration-failed", "schema-misfit")
        assert str(caught.value.context["path"]).startswith("items.0")
    assert live.items[0].size == 7  # type: ignore[attr-defined]
    assert len(store.history("agent")) == 1


def test_an_error_of_a_migration_says_which_and_keeps_its_cause(store: Store) -> None:
    store.save(_versioned(1)(), "agent")
    _versioned(2, step=migration(1, 2)(_raising))
    with pytest.raises(MigrationError, match=r"Versioned: migration 1 -> 2 \(_raising\)") as caught:
        store.load("agent")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    context = caught.value.context
    assert (context["before"], context["after"]) == (1, 2)


def test_one_id_for_two_different_modules_is_refused(store: Store) -> None:
    store.save(_versioned(1)(), "agent")

    def doubled(spec: Any, state: Any) -> Any:
        leaf = {"kind": "tests.evolving:Leaf", "id": "x"}
        part = {"kind": "tests.evolving:Holder", "id": "x", "items": []}
        return {**spec, "part": [leaf, part]}, state

    _versioned(2, step=migration(1, 2)(doubled))
    with pytest.raises(MigrationError, match="two different modules the id 'x'"):
        store.load("agent")


# --- what it leaves behind ------------------------------------------------------------------------


def test_a_load_that_migrates_is_in_the_ledger(store: Store) -> None:
    store.save(_versioned(1)(), "agent")
    live = _versioned(2)()
    for _ in range(3):
        store.load("agent")
    store.load_into(live, "agent")
    store.rollback("agent", to=1, into=live)
    store.save(live, "agent")
    entries = [e for e in store.ledger() if e.operation == "migrate"]
    assert [(e.agent_id, e.version) for e in entries] == [("agent", 2), *[("agent", 1)] * 4]
    assert entries[0].justification == f"{HERE}:Versioned 1 -> 2"


@pytest.mark.parametrize("audit", ["strict", "off"])
def test_a_migrating_load_is_audited_as_reads_are(tmp_path: Path, audit: Any) -> None:
    keys = KeyFile(tmp_path / "key")
    with Store.open(tmp_path / "store", keys=keys, audit_reads=audit) as store:
        store.save(_versioned(1)(), "agent")
        _versioned(2)
        store.load("agent")
        found = [e.operation for e in store.ledger()]
    assert found.count("migrate") == (audit == "strict")
    with Store.open(tmp_path / "store", keys=keys, read_only=True) as store:
        assert store.load("agent").size == 1


async def test_the_async_twins_migrate_and_report(store: Store) -> None:
    store.save(_versioned(1)(size=4), "agent")
    live = _versioned(2)()
    reports: list[MigrationReport] = []
    loaded = await store.aload("agent", report=reports.append)
    await store.aload_into(live, "agent", report=reports.append)
    await store.arollback("agent", to=1, into=live, report=reports.append)
    assert (loaded.size, live.size, len(reports)) == (4, 4, 3)
    assert len({str(report) for report in reports}) == 1
