"""Schema versions of classes, and the migrations that lead from one to the next.

Imports nothing of the module system: classes are checked here while they are defined.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from dachi_fast.errors import DeclarationError, MigrationError

P = ParamSpec("P")
R = TypeVar("R")

FIRST = 1
"""The schema version of a class that declares none."""


class Step(staticmethod):  # type: ignore[type-arg]  # cannot be subscripted where it runs
    """A migration in the body of a class; works on what was saved, so it has no `self`."""

    def __init__(self, function: Callable[..., Any], before: int, after: int) -> None:
        super().__init__(function)
        self.before = before
        self.after = after


def migration(
    before: int, after: int
) -> Callable[[Callable[P, R] | staticmethod[P, R]], staticmethod[P, R]]:
    """Makes a function in the body of a class lead from one of its schema versions to another.

    For a module it is called with `(spec, state)` and gives both, changed or made anew. `spec` is
    the blueprint of the module: `kind`, `id`, plain fields, and the modules inside; `state` the
    values of Params and Attrs by their paths below the module. The modules inside are as they were
    saved; their own migrations follow. A module that is added without an `id` is taken to be of
    today's classes.

    For a dataclass, named tuple or pydantic model it is called with the dict of its fields, for an
    Enum with the name of the member (its value, if it is a Flag), and gives that.

    Args:
        before: the version that it takes, 1 for what was saved before the class declared any.
        after: the version that it gives, at most `__schema_version__`.

    Returns:
        A decorator; under `@staticmethod`, type checkers do not ask for a `self`.

    Raises:
        DeclarationError: `after` does not follow `before`; where the class is defined, also two
            migrations from one version, or none from one that another leads to.

    Example:
        >>> from dachi_fast import BaseModule, Param, migration
        >>> class Agent(BaseModule):
        ...     __schema_version__ = 2
        ...     timeout_ms: int = Param(default=1000)
        ...     @migration(1, 2)
        ...     @staticmethod
        ...     def in_milliseconds(spec, state):
        ...         state["timeout_ms"] = round(1000 * state.pop("timeout_s"))
        ...         return spec, state
        >>> Agent.in_milliseconds({}, {"timeout_s": 2.5})
        ({}, {'timeout_ms': 2500})
    """
    if not (_is_version(before) and _is_version(after) and before < after):
        what = f"from {before!r} to {after!r}"
        raise DeclarationError(
            "migration", f"a migration leads from a version (1, 2, ...) to a later one, not {what}"
        )

    def decorate(function: Callable[P, R] | staticmethod[P, R]) -> staticmethod[P, R]:
        plain = function.__func__ if isinstance(function, staticmethod) else function
        made: staticmethod[P, R] = Step(plain, before, after)
        return made

    return decorate


def _is_version(number: object) -> bool:
    return type(number) is int and FIRST <= number < 2**63


def declared_version(cls: type) -> int:
    """Gives the schema version that a class itself declares."""
    version: int = cls.__dict__.get("__schema_version__", FIRST)
    return version


def steps_of(cls: type) -> dict[int, Step]:
    """Gives the migrations in the body of a class by the version that they take."""
    return {step.before: step for step in cls.__dict__.values() if isinstance(step, Step)}


def check_steps(cls: type) -> None:
    """Refuses a class whose migrations cannot work.

    Raises:
        DeclarationError: its version is none, or its migrations do not lead to it one by one.
    """
    version = declared_version(cls)
    if not _is_version(version):
        what = f"{cls.__qualname__}.__schema_version__ is {version!r}: write 1, 2, ..."
        raise DeclarationError("migration", what)
    found = [step for step in cls.__dict__.values() if isinstance(step, Step)]
    steps = steps_of(cls)
    if len(found) != len(steps):
        twice = next(step for step in found if steps[step.before] is not step)
        raise DeclarationError(
            "migration",
            f"{cls.__qualname__} has two migrations from version {twice.before}: "
            f"{twice.__name__} and {steps[twice.before].__name__}",
        )
    reached = min(steps, default=version)
    while reached != version:
        step = steps.pop(reached, None)
        if step is None or step.after > version:
            leads = f"leads to {step.after}" if step else "is missing"
            raise DeclarationError(
                "migration",
                f"{cls.__qualname__} has version {version}, but its migration from {reached} "
                f"{leads}",
            )
        reached = step.after
    if steps:
        lost = next(iter(steps.values()))
        what = f"{cls.__qualname__}: no migration leads to version {lost.before}, which "
        raise DeclarationError("migration", f"{what}{lost.__name__} takes")


def chain(owner: type, kind: str, before: int) -> list[Step]:
    """Gives the migrations that lead to the version of a class; none where it has none at all.

    Args:
        owner: the class that declares version and migrations.
        kind: its kind, for messages.
        before: the version of what was saved.

    Raises:
        MigrationError: it is newer, or the way from there is not known.
    """
    known, steps = declared_version(owner), steps_of(owner)
    if before > known:
        raise too_new(kind, before, known)
    found: list[Step] = []
    while steps and before != known:
        step = steps.get(before)
        if step is None:
            have = ", ".join(f"{s.before} -> {s.after}" for s in steps.values())
            raise MigrationError(
                "migration-gap",
                f"{kind} was saved with schema version {before} and has version {known}, but no "
                f"migration from {before}; it has {have}. Add one that returns what it is given "
                f"where nothing is to be done",
                kind=kind,
                saved=before,
                known=known,
            )
        found.append(step)
        before = step.after
    return found


def too_new(kind: str, saved: int, known: int) -> MigrationError:
    """Gives the error for what newer code has saved."""
    return MigrationError(
        "schema-too-new",
        f"{kind} was saved with schema version {saved}, and this process has version {known}: "
        f"update the code",
        kind=kind,
        saved=saved,
        known=known,
    )
