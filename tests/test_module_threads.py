"""Threads that define classes, build modules and save them, all at the same time."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import BaseModule, KeyFile, Param, Registry, Store, registry
from dachi_fast.errors import SpecError
from tests.threads import THREADS, together


class Part(BaseModule):
    x: int = Param(default=1)


class Saved(BaseModule):
    part: Part = Param(default_factory=Part)


@pytest.fixture(autouse=True)
def _switch_often() -> Iterator[None]:
    """Threads change places every few bytecodes, as they otherwise do once in a long while."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def _define(name: str, **body: Any) -> type[BaseModule]:
    return type(name, (BaseModule,), {"__module__": __name__, **body})


def test_the_registry_is_read_while_threads_define_classes() -> None:
    """Symptom: `RuntimeError: dictionary changed size during iteration` in from_spec. Cause: the
    dicts of kinds and aliases were iterated live. Fix: readers go over copies."""
    own = Registry()

    def work(number: int) -> None:
        for step in range(40):
            module = f"package_{number}_{step}"
            cls = _define("Repeated", __module__=module, __aliases__=("old:Former",))
            own.add_kind(cls)
            assert own.find_kind(f"{module}:Repeated") is cls
            assert cls in own.candidates("Repeated")
            assert cls in own.named("Former")
            own(name=module)(cls)
            with pytest.raises(SpecError):
                own.find_kind("Nowhere")
            assert module in own.list_entries()
            own.list_tags()

    together(work)
    assert len(own.candidates("Repeated")) == THREADS * 40
    registry.deregister("Repeated")


def test_what_there_is_once_is_one_for_all_threads() -> None:
    """Symptom: two threads that met a new class or module first got two schemas, ids and Param
    objects, and of two callbacks one was lost. Cause: each made its own, the last was kept. Fix:
    they are made under a lock."""
    for _ in range(20):
        cls: Any = _define("First", x=Param(default=1), __annotations__={"x": int})
        module = cls()
        heard: list[int] = []

        def work(number: int, cls: Any = cls, module: Any = module, heard: Any = heard) -> Any:
            view = next(module.parameters())
            view.register_callback(lambda _value: heard.append(number))
            return module.id, view, cls.schema(), type(cls().spec())

        ids, views, schemas, made = zip(*together(work), strict=True)
        assert set(ids) == {module.id}
        assert len(set(map(id, views))) == 1
        assert set(schemas) == set(made) == {cls.schema()}
        module.x = 2
        assert sorted(heard) == list(range(THREADS))


def test_threads_that_make_schemas_leave_the_filters_of_warnings_as_they_were() -> None:
    """Symptom: warnings were silent for the rest of the process. Cause: `catch_warnings` of two
    threads restored each other's filters. Fix: one at a time."""
    before = list(warnings.filters)

    def work(number: int) -> None:
        for step in range(10):
            cls = _define(
                f"Shadow{number}", json=Param(default=step), __annotations__={"json": int}
            )
            cls.schema()

    together(work)
    assert warnings.filters == before


def test_threads_build_modules_of_classes_that_others_define() -> None:
    def work(number: int) -> list[int]:
        found = []
        for step in range(30):
            body = {"x": Param(default=step), "__annotations__": {"x": int}}
            cls: Any = _define(f"Own{number}", **body)
            made: Any = cls.from_spec({"kind": f"Own{number}"})
            made.load_state_dict(cls(x=step + 1).state_dict())
            found.append(made.x)
            with pytest.raises(SpecError, match="unknown kind"):
                BaseModule.from_spec({"kind": f"Nothing{number}"})
        return found

    assert together(work) == [list(range(1, 31))] * THREADS


def test_threads_save_one_module_under_one_id(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        for step in range(5):
            module = Saved()

            def work(number: int, module: Saved = module, step: int = step) -> None:
                store.save(module, f"{step} of {number}")

            together(work)
            loaded = [store.load(f"{step} of {number}") for number in range(THREADS)]
            assert {each.id for each in loaded} == {module.id}
            assert {each.part.id for each in loaded} == {module.part.id}
