"""What the tests of changed classes share."""

from __future__ import annotations

from typing import Any

from dachi_fast import Attr, BaseModule, MigrationReport, Param, Store
from tests.tokens import same

TYPE: Any = type(BaseModule)
"""Makes module classes by name, which a class statement of the same name would do."""


class Leaf(BaseModule):
    size: int = Param(default=1)
    seen: list[int] = Attr(default_factory=list)


class Holder(BaseModule):
    items: list[BaseModule] = Param(default_factory=list)


def loaded(store: Store, name: str = "agent") -> tuple[Any, MigrationReport]:
    """Loads with a report, and in place, where possible: both must come to the same."""
    reports: list[MigrationReport] = []
    found = store.load(name, report=reports.append)
    twin = _made(type(found))
    if twin is not None:
        store.load_into(twin, name, report=lambda _: None)
        assert same(twin.state_dict(), found.state_dict())
    return found, reports[0] if reports else MigrationReport()


def _made(cls: Any) -> Any | None:
    """Gives an object of a class, unless that needs arguments."""
    try:
        return cls()
    except TypeError as error:
        if "missing" not in str(error):
            raise
        return None
