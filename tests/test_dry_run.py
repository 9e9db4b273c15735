"""What a blueprint would build, without building it."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest

from dachi_fast import AdaptModule, BaseModule, ModuleList, Param, SpecLimits, dry_run
from dachi_fast.errors import SpecError
from dachi_fast.spec import to_strict


class Wheel(BaseModule):
    size: int = Param(default=1)
    marks: list[str] = Param(default_factory=list)


class Wagon(BaseModule):
    name: str
    wheels: list[Wheel] = Param(default_factory=list)
    spare: Wheel | None = Param(default_factory=lambda: Wheel(size=9))
    load: AdaptModule[BaseModule] | None = None

    def __post_init__(self) -> None:
        if self.name == "built":
            pytest.fail("a constructor ran")


def _rows(plan: Any) -> list[tuple[str, str, str]]:
    return [(row.path, row.kind, row.status) for row in plan]


def test_a_dry_run_tells_every_module_and_builds_none() -> None:
    wheel = {"kind": "Wheel", "id": "w"}
    plan = dry_run({"kind": "Wagon", "name": "built", "wheels": [wheel, {"kind": "Wheel"}, wheel]})
    assert _rows(plan) == [
        ("", "Wagon", "new"),
        ("wheels.0", "Wheel", "new"),
        ("wheels.1", "Wheel", "new"),
        ("spare", "Wheel", "new"),  # what a default factory makes is built, too
    ]
    assert plan.kinds == {"Wagon": 1, "Wheel": 3}
    assert len(plan) == 4
    assert plan[1].path == "wheels.0"


def test_a_dry_run_tells_how_what_would_be_built_differs_from_a_module() -> None:
    wagon = Wagon(name="old", wheels=[Wheel(size=2), Wheel(), Wheel()], load=ModuleList())  # type: ignore[arg-type]
    spec = {
        "kind": "Wagon",
        "name": "new",
        "wheels": [{"kind": "Wheel", "size": 2}, {"kind": "Wheel", "size": 5, "marks": ["a"]}],
        "load": {"kind": "Wheel"},
    }
    plan = dry_run(spec, against=wagon)
    assert [tuple(row) for row in plan] == [
        ("", "Wagon", "changed", {"name": ("old", "new")}),
        ("wheels.0", "Wheel", "same", {}),
        ("wheels.1", "Wheel", "changed", {"size": (1, 5), "marks": ([], ["a"])}),
        ("spare", "Wheel", "same", {}),
        ("load", "Wheel", "replaced", {"kind": ("AdaptModule", "Wheel")}),
        ("wheels.2", "Wheel", "gone", {}),
        ("load._adapted_param", "ModuleList", "gone", {}),
    ]
    assert not plan.is_same
    assert plan.kinds == {"Wagon": 1, "Wheel": 4}


def test_the_repr_of_a_dry_run_is_a_table() -> None:
    wagon = Wagon(name="old")
    plan = dry_run({"kind": "Wagon", "name": "x" * 200, "spare": None}, wagon)
    assert repr(plan).splitlines() == [
        "would build 1: 1 Wagon",
        "path    kind   status",
        f"(root)  Wagon  changed  name: 'old' -> '{'x' * 39}...",
        "spare   Wheel  gone",
    ]
    many = dry_run({"kind": "ModuleList", "items": [{"kind": "Wheel"}] * 500})
    assert repr(many).splitlines()[0] == "would build 501: 1 ModuleList, 500 Wheel"
    assert repr(many).splitlines()[-1] == "... and 401 more"
    assert len(repr(many).splitlines()) == 103


@pytest.mark.parametrize("dialect", ["full", "strict"])
def test_the_own_spec_of_a_module_would_change_nothing(dialect: Any) -> None:
    wagon = Wagon(name="a", wheels=[Wheel(marks=["b"])], load=Wheel(), spare=None)  # type: ignore[arg-type]
    spec = to_strict(wagon) if dialect == "strict" else wagon.spec(to_dict=True)
    assert dry_run(spec, wagon, dialect=dialect).is_same
    assert dry_run(wagon.spec(), wagon).is_same


def test_what_from_spec_refuses_a_dry_run_refuses() -> None:
    wagon = {"kind": "Wagon", "name": "a"}
    with pytest.raises(SpecError, match="not allowed"):
        dry_run({**wagon, "wheels": [{"kind": "Wheel"}]}, allow=[Wagon])
    with pytest.raises(SpecError, match="unknown kind"):
        dry_run({"kind": "Wagn"})
    with pytest.raises(SpecError, match="more than 1 modules"):
        dry_run({**wagon, "wheels": [{"kind": "Wheel"}]}, limits=SpecLimits(modules=1))
    with pytest.raises(SpecError, match="stands inside itself"):
        dry_run({**wagon, "id": "w", "wheels": [{"kind": "Wheel", "id": "w"}]})
    with pytest.raises(pydantic.ValidationError):
        dry_run({"kind": "Wagon"})


def test_modules_that_are_there_already_would_not_be_built() -> None:
    spec = {"kind": "Wagon", "name": "a", "wheels": [{"kind": "Wheel", "id": "w"}], "spare": None}
    assert _rows(dry_run(spec, ctx={"w": Wheel()})) == [("", "Wagon", "new")]
