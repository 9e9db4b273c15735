"""Mutated specs, with a fixed seed: built, or refused with an error of ours, and nothing is left.

`DACHI_TORTURE=1` (make fuzz) makes many more.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import sys
from collections.abc import Callable
from random import Random
from typing import Any

import pydantic
import pytest

from dachi_fast import (
    AdaptModule,
    BaseModule,
    ModuleDict,
    ModuleList,
    SpecLimits,
    dry_run,
    registry,
)
from dachi_fast.errors import SpecError
from dachi_fast.spec import from_spec, json_schema, to_strict
from tests.test_json_schema import KINDS, flower
from tests.test_spec_hostile import DUNDERS, JSON_VALUES, Bush, Penned, Slot, Sprout

SEED = 20_261_122
ROUNDS = 100_000 if os.environ.get("DACHI_TORTURE") else 700

_ALLOW: list[type] = [*KINDS, AdaptModule, ModuleList, ModuleDict, Bush, Sprout, Slot, Penned]


def _whole() -> list[Any]:
    """Gives specs with a bit of everything."""
    leaf = Sprout(anything={"a": [1, "b"]})
    trees: list[BaseModule] = [
        flower(),
        Bush(left=Bush(both=[leaf]), either={"a": leaf}, twigs=[leaf, Bush()], anything=[leaf, {}]),
        Slot(held=leaf, more=[Sprout()]),  # type: ignore[list-item]
        ModuleList(items=[leaf, Penned(1, 2, size=3, other=4), ModuleDict(items={"k": leaf})]),
        AdaptModule(leaf, allowed=[Sprout, Bush]),
    ]
    return [json.loads(tree.spec().model_dump_json()) for tree in trees]


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Gives every container with a key or index in it."""
    found: list[tuple[Any, Any]] = []
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(pairs):
        found.append((value, key))
        if isinstance(inner, (dict, list)):
            found += _places(inner)
    return found


def _mutated(random: Random, spec: Any, others: list[Any]) -> Any:
    spec = copy.deepcopy(spec)
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        places = _places(spec)
        if places:
            (into, key), (source, other) = random.choice(places), random.choice(places)
            # Another part of the same spec with its ids, or all of it inside itself.
            taken = random.choice([source[other], source[other], spec, random.choice(others)])
            into[key] = copy.deepcopy(_changed(random, into[key], taken))
    return spec


def _changed(random: Random, old: Any, taken: Any) -> Any:
    name = random.choice(DUNDERS)
    fields = old if isinstance(old, dict) else {"kind": "Sprout"}
    ways: list[Callable[[], Any]] = [
        lambda: random.choice(JSON_VALUES),
        lambda: taken,
        lambda: [old],
        lambda: [taken, old],
        lambda: {name: old},
        lambda: {"$data": old},
        lambda: {**fields, name: taken},
        lambda: {k: v for k, v in fields.items() if random.random() < 0.7},
        lambda: {**fields, "id": random.choice(["a", "b"])},
        lambda: {**fields, "kind": random.choice(_ALLOW).__name__},
    ]
    return random.choice(ways)()


def _checked(spec: Any, allow: Any, dialect: Any) -> None:
    made = from_spec(spec, allow=allow, dialect=dialect)
    again = from_spec(made.spec(to_dict=True), limits=SpecLimits(modules=10**6))
    assert again.spec(to_dict=True) == made.spec(to_dict=True) or "nan" in repr(made.spec())
    assert dry_run(made.spec(), made).is_same or "nan" in repr(made.spec())


@pytest.mark.parametrize("dialect", ["full", "strict"])
def test_a_mutated_spec_is_built_or_refused_with_an_error_of_ours(dialect: str) -> None:
    random = Random(f"{SEED} {dialect}")
    specs = _whole()
    if dialect == "strict":
        specs = [to_strict(spec) for spec in specs]
        json_schema(BaseModule, _ALLOW, dialect="strict")
    for spec in specs:
        _checked(spec, _ALLOW, dialect)
    kinds, modules = registry.list_entries(), set(sys.modules)
    outcomes, longest = {"built": 0, "refused": 0}, 0
    for number in range(ROUNDS):
        spec = _mutated(random, random.choice(specs), specs)
        allow = random.choice([None, _ALLOW, _ALLOW[: len(_ALLOW) // 2]])
        try:
            _checked(spec, allow, dialect)
            outcomes["built"] += 1
        except (SpecError, pydantic.ValidationError) as error:
            outcomes["refused"] += 1
            longest = max(longest, len(str(error)) if isinstance(error, SpecError) else 0)
        except BaseException as error:
            with contextlib.suppress(Exception):
                error.add_note(f"round {number} of seed {SEED}: {str(spec)[:2_000]}")
            raise
    assert min(outcomes.values()) > ROUNDS / 100
    assert longest < 5_000
    assert registry.list_entries() == kinds
    assert {name for name in set(sys.modules) - modules if not name.startswith("tests")} == set()
