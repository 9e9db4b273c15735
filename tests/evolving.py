"""What the tests of changed classes share."""

from __future__ import annotations

import contextlib
from typing import Any

from dachi_fast import Attr, BaseModule, MigrationReport, Param, Store

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
    with contextlib.suppress(TypeError):  # of a class that needs arguments
        twin = type(found)()
        store.load_into(twin, name, report=lambda _: None)
        assert twin.state_dict().keys() == found.state_dict().keys()
    return found, reports[0] if reports else MigrationReport()
