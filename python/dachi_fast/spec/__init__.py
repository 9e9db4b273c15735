"""Blueprints: pydantic specs, the registry of kinds, and building from specs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from dachi_fast.spec._registry import Registry as Registry
from dachi_fast.spec._registry import full_kind_of as full_kind_of
from dachi_fast.spec._registry import kind_of as kind_of
from dachi_fast.spec._registry import registry as registry

if TYPE_CHECKING:
    from dachi_fast.module import BaseModule
    from dachi_fast.spec._dry import DryRun as DryRun
    from dachi_fast.spec._dry import dry_run as dry_run
    from dachi_fast.spec._json import json_schema as json_schema
    from dachi_fast.spec._limits import SpecLimits as SpecLimits
    from dachi_fast.spec._spec import BaseSpec
    from dachi_fast.spec._strict import from_strict as from_strict
    from dachi_fast.spec._strict import to_strict as to_strict

# The same for the interpreter, when first asked for: they need pydantic's classes.
_LATE = {
    "DryRun": "_dry",
    "SpecLimits": "_limits",
    "dry_run": "_dry",
    "from_strict": "_strict",
    "json_schema": "_json",
    "to_strict": "_strict",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
    return found


def from_spec(
    spec: BaseSpec | Mapping[str, Any],
    ctx: Mapping[str, BaseModule] | None = None,
    *,
    allow: Sequence[type | str] | None = None,
    limits: SpecLimits | None = None,
    dialect: Literal["full", "strict"] = "full",
) -> BaseModule:
    """Builds a module of whatever kind its blueprint names; see `BaseModule.from_spec`.

    Raises:
        pydantic.ValidationError: as `BaseModule.from_spec` does.
        SpecError: as `BaseModule.from_spec` does.

    Example:
        >>> from dachi_fast import BaseModule
        >>> class Any_(BaseModule):
        ...     pass
        >>> from_spec({"kind": "Any_"})
        Any_()
    """
    # Not at the top: modules register themselves here, so their package imports this one first.
    from dachi_fast.module import BaseModule

    return BaseModule.from_spec(spec, ctx, allow=allow, limits=limits, dialect=dialect)


def kinds_in(module: BaseModule) -> dict[str, str]:
    """Gives short kind -> `module:qualname` of every class in a tree.

    Raises:
        SpecError: two classes of the tree have one short kind.
    """
    from dachi_fast.spec import _describe

    return _describe.kinds_in(module)


def full_spec(module: BaseModule) -> dict[str, Any]:
    """Gives the blueprint as a dict whose kinds are `module:qualname`, for a store."""
    from dachi_fast.spec import _describe

    return _describe.spec_dict(module, full_kinds=True)
