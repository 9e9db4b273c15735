"""Modules out of a saved blueprint and state, whatever the classes were then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dachi_fast._core.codec import decode
from dachi_fast._core.state import rebuild
from dachi_fast.errors import DachiError, MigrationError
from dachi_fast.migrate._report import Notes
from dachi_fast.module._load import load_rest
from dachi_fast.spec._registry import full_kind_of, registry
from dachi_fast.spec._shape import Shape, shape_of

if TYPE_CHECKING:
    from dachi_fast.module import BaseModule

# Tables that were found to be those of today, and the registry's generation then: versions of one
# agent share a table.
_current: Final[dict[bytes, int]] = {}
_MOST_KNOWN: Final = 256


def is_current(table: bytes) -> bool:
    """Gives whether the classes of an encoded table are as they were saved."""
    if not table or _current.get(table) == registry.generation:
        return True
    generation = registry.generation
    for kind, shape in _read(table).items():
        found = registry.named(kind)
        if len(found) != 1 or full_kind_of(found[0]) != kind or shape_of(found[0]) != shape:
            return False
    if len(_current) >= _MOST_KNOWN:
        _current.clear()
    _current[table] = generation
    return True


def _read(table: bytes) -> dict[str, Shape]:
    rows: Any = decode(table)
    return rows  # type: ignore[no-any-return]


def migrated(
    blueprint: dict[str, Any], state: dict[str, Any], table: bytes, notes: Notes
) -> BaseModule:
    """Gives modules of today's classes for what others have saved.

    Args:
        blueprint: as the store keeps it.
        state: dot path -> value; the modules own the values.
        table: the encoded table of the classes that it was saved with.
        notes: get what was changed.

    Raises:
        SpecError: a kind is not known in this process.
        MigrationError: what was saved does not fit, or not without loss.
    """
    # Where classes have changed: it brings the first pydantic class, which is slow to make.
    from dachi_fast.migrate._evolve import evolved, evolved_made

    classes = _read(table)
    try:
        spec, values = evolved(blueprint, state, classes, notes)
    except DachiError:
        raise
    except Exception as error:
        raise _misfit(error, kind=blueprint["kind"]) from error
    try:
        module, whole = rebuild(spec, values)
        if not whole:
            fill(module, evolved_made(module, spec, values, classes, notes), notes)
    except MigrationError:
        raise
    except DachiError as error:
        extra: Any = error.context.get("extra")
        where = {"path": extra[0]} if extra else {}
        raise _misfit(error, **{**where, **error.context}) from error
    except Exception as error:  # of a constructor
        raise _misfit(error, kind=blueprint["kind"]) from error
    return module


def _misfit(error: Exception, **context: Any) -> MigrationError:
    what = error.message if isinstance(error, DachiError) else repr(error)
    return MigrationError(
        "schema-misfit",
        f"what was saved does not fit the classes of this process: {what}",
        **context,
    )


def fill(module: BaseModule, state: dict[str, Any], notes: Notes) -> None:
    """Loads what constructors have left open, and notes what stays as they made it.

    Raises:
        StateError: a key has no place, or a value does not fit.
    """
    for path in load_rest(module, state):
        above = path
        while above and above not in notes.defaulted:
            above = above.rpartition(".")[0]
        if not above and not path.endswith("_adapted_param"):
            notes.defaulted[path] = None


def migrated_value(
    spec: dict[str, Any], state: dict[str, Any], table: bytes, notes: Notes
) -> BaseModule:
    """Gives what `migrated` gives, for a module that was saved as a value.

    Its blueprint has the values of Params, which are in the state, too.
    """
    from dachi_fast.migrate._tree import Expanded, unvalued

    inner = Notes()
    blueprint = unvalued(Expanded(spec).root, state, _read(table))
    module = migrated(blueprint, state, table, inner)
    notes.add_below(full_kind_of(type(module)), inner)
    return module
