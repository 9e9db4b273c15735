"""A saved blueprint and state, as the classes of today would have saved them.

From the root down: the migrations of a module's classes run first, over the module with all below
it as it was saved; then its fields are brought in line with the class; then its children's turn
comes, wherever they are by then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dachi_fast.errors import DachiError, MigrationError, SpecError
from dachi_fast.migrate._fields import Alignment
from dachi_fast.migrate._report import Migrated, Notes
from dachi_fast.migrate._steps import FIRST, Step, chain
from dachi_fast.migrate._tree import (
    Branch,
    Expanded,
    collapsed,
    flat,
    is_data,
    is_module,
    joined,
    nested,
)
from dachi_fast.module._base import new_id
from dachi_fast.module._views import plain_class
from dachi_fast.spec._registry import aliases_of, full_kind_of, registry
from dachi_fast.spec._shape import Shape, shape_of

if TYPE_CHECKING:
    from dachi_fast.module import BaseModule

Spec = dict[str, Any]
State = dict[str, Any]


def evolved(spec: Spec, state: State, table: dict[str, Shape], notes: Notes) -> tuple[Spec, State]:
    """Gives what a version's modules are today.

    Args:
        spec: the saved blueprint.
        state: dot path -> value; the result owns the values.
        table: the classes that it was saved with.
        notes: get what was changed.

    Returns:
        The blueprint and the state; keys of new fields are missing.

    Raises:
        SpecError: a kind is not known in this process.
        MigrationError: it cannot be done, or not without loss.
    """
    saved = Expanded(spec)
    run = _Run(table, set(saved.ids), notes)
    new, branch = run.module(saved.root, nested(state, ""), "")
    return collapsed(new), flat(branch)


def evolved_made(
    module: BaseModule, spec: Spec, state: State, table: dict[str, Shape], notes: Notes
) -> State:
    """Gives a state in which also what constructors make is of today.

    Blueprints do not tell of modules that constructors make, nor where one keeps its arguments:
    today's constructors say which there are and where, the table of classes what these were then.

    Args:
        module: the tree as today's constructors have made it.
        spec: its blueprint.
        state: dot path -> value; the result owns the values.
        table: the classes that it was saved with.
        notes: get what was changed.

    Raises:
        MigrationError: it cannot be done, or not without loss.
    """
    told = set(_paths(Expanded(spec).root, ""))
    run = _Run(table, set(), notes)
    root = nested(state, "")
    for path, each in module.named_modules():
        *above, name = path.split(".")
        parent: Any = root
        for step in above:
            parent = parent.get(step, None) if isinstance(parent, Branch) else None
        branch = parent.get(name) if isinstance(parent, Branch) else None
        if path not in told and isinstance(branch, Branch):
            parent[name] = run.made(plain_class(type(each)), each.id, branch, path)
    return flat(root)


def _paths(value: Any, path: str) -> Iterator[str]:
    """Yields where the modules of a blueprint have their state."""
    names: dict[str, str] = {}
    if is_module(value):
        yield path
        names = getattr(_class_of(value["kind"], path), "__state_names__", names)
    if type(value) is dict and not is_data(value):
        for name, element in value.items():
            inside = names.get(name, str(name))
            yield from _paths(element, joined(path, inside) if inside else path)
    elif type(value) in (list, tuple):
        for index, element in enumerate(value):
            yield from _paths(element, joined(path, str(index)))


class _Run:
    """One run over a tree."""

    def __init__(self, table: dict[str, Shape], saved_ids: set[str], notes: Notes) -> None:
        self.table = table
        self.saved_ids = saved_ids
        self.notes = notes

    def module(self, spec: Spec, state: Branch, path: str) -> tuple[Spec, Branch]:
        """Gives a module with all below it.

        Raises:
            SpecError: a kind is not known in this process.
            MigrationError: whatever else fails, in code that others wrote as well.
        """
        try:
            return self._module(spec, state, path)
        except DachiError:
            raise
        except Exception as error:
            kind, where = spec.get("kind"), f" at {path!r}" if path else ""
            raise MigrationError(
                "schema-misfit",
                f"a saved {kind}{where} does not fit the classes of this process: {error!r}",
                path=path,
                kind=kind,
            ) from error

    def _module(self, spec: Spec, state: Branch, path: str) -> tuple[Spec, Branch]:
        kind = spec["kind"]
        cls = _class_of(kind, path)
        then = self.table.get(kind) if spec.get("id") in self.saved_ids else None
        if then is not None:
            spec, state = self._migrated(cls, then, spec, state, path)
            if spec["kind"] != kind:  # a migration made it one of another class, as of today
                cls, then = _class_of(spec["kind"], path), None
            elif full_kind_of(cls) != kind:
                self.notes.renamed[kind, full_kind_of(cls)] = None
        spec["kind"] = full_kind_of(cls)
        spec.setdefault("id", new_id())
        Alignment(cls, spec, state, path, self.notes).follow(then or shape_of(cls))
        names = getattr(cls, "__state_names__", {})
        for name, value in spec.items():
            if name in ("kind", "id"):
                continue
            inside = names.get(name, name)
            spec[name] = self._below(value, state, inside, joined(path, inside) if inside else path)
        return {"kind": spec.pop("kind"), "id": spec.pop("id"), **spec}, state

    def made(self, cls: type, module_id: str, state: Branch, path: str) -> Branch:
        """Gives the state of a module that a constructor has made, without those inside it."""
        kinds = (full_kind_of(cls), *aliases_of(cls))
        kind = next((kind for kind in kinds if kind in self.table), None)
        if kind is None or getattr(cls, "__adapts__", False):
            return state
        if kind != kinds[0]:
            self.notes.renamed[kind, kinds[0]] = None
        spec: Spec = {"kind": kind, "id": module_id}
        then = self.table[kind]
        spec, state = self._migrated(cls, then, spec, state, path)
        Alignment(cls, spec, state, path, self.notes, is_made=True).follow(then)
        del spec["kind"], spec["id"]
        for name in spec:  # no state any more: the constructor's value stays
            self.notes.dropped[joined(path, name)] = None
        return state

    def _below(self, value: Any, state: Branch, name: str, path: str) -> Any:
        """Gives a value of a blueprint with its modules, whose state stands under a name."""
        if type(value) not in (list, tuple, dict) or is_data(value):
            return value
        branch = state.get(name, Branch()) if name else state
        if not isinstance(branch, Branch):
            return value  # a value beside: what holds no modules
        if type(value) is dict and value.keys() == {"same"}:
            raise MigrationError(
                "migration-failed",
                f"{path!r}: a migration put the id of a module here: put the module here, in full",
                path=path,
            )
        new: Any
        if is_module(value):
            new, branch = self.module(value, branch, path)
        elif type(value) is dict:
            new = dict(value)
            for key, element in value.items():
                new[key] = self._below(element, branch, str(key), joined(path, str(key)))
        else:
            made = list(value)
            for index, element in enumerate(value):
                made[index] = self._below(element, branch, str(index), joined(path, str(index)))
            new = type(value)(made)
        if name and branch:
            state[name] = branch
        return new

    def _migrated(
        self, cls: type, then: Shape, spec: Spec, state: Branch, path: str
    ) -> tuple[Spec, Branch]:
        """Runs the migrations of a class and its bases, bases first."""
        for owner in reversed(cls.__mro__):
            kind = full_kind_of(owner)
            before = _saved_version(owner, kind, then[0])
            after = owner.__dict__.get("__schema_version__", FIRST)
            if before == after:
                continue
            for step in chain(owner, kind, before):
                spec, values = _run(step, kind, spec, flat(state), path)
                state = nested(values, path)
            self.notes.migrated[Migrated(kind, before, after)] = None
        return spec, state


def _class_of(kind: Any, path: str) -> type:
    try:
        return registry.find_kind(kind if isinstance(kind, str) else repr(kind))
    except SpecError as error:
        error.context["path"] = path
        raise


def _saved_version(owner: type, kind: str, saved: dict[str, int]) -> int:
    """Gives the version that a class had when something was saved, by whatever name."""
    return next((saved[known] for known in (kind, *aliases_of(owner)) if known in saved), FIRST)


def _run(step: Step, kind: str, spec: Spec, state: State, path: str) -> tuple[Spec, State]:
    """Runs one migration, which others wrote."""
    where = f" at {path!r}" if path else ""
    what = f"{kind}: migration {step.before} -> {step.after} ({step.__name__}){where}"
    context = {"kind": kind, "before": step.before, "after": step.after, "path": path}
    module_id = spec["id"]
    try:
        given = step(spec, state)
    except Exception as cause:
        raise MigrationError("migration-failed", f"{what} raised {cause!r}", **context) from cause
    if not (isinstance(given, tuple) and len(given) == 2):
        problem = f"gave {type(given).__name__}: end it with `return spec, state`"
    elif not (type(given[0]) is dict and type(given[1]) is dict):
        problem = "gave something else than two dicts, spec and state"
    elif not isinstance(given[0].get("kind"), str):
        problem = "took the kind out of the spec, or put there what is no text"
    elif given[0].get("id") != module_id:
        problem = "took the id out of the spec, or changed it"
    else:
        return given
    raise MigrationError("migration-failed", f"{what} {problem}", **context)
