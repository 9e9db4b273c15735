"""What the compiled build asks of Python to make modules out of a stored blueprint.

A store proves that it gives back what our own walk wrote, so nothing here is untrusted input as in
`from_spec`. But classes may have changed since: what does not fit them is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dachi_fast.errors import SpecError, StateTypeError
from dachi_fast.module._copy import copied
from dachi_fast.module._fields import PLAIN, UNSET
from dachi_fast.module._layout import LoadField
from dachi_fast.module._load import fitted, load_own
from dachi_fast.spec._fields import SpecField, constructed, spec_fields
from dachi_fast.spec._registry import kind_of

if TYPE_CHECKING:
    from dachi_fast.module._base import BaseModule


def fitted_structure(value: Any, field: LoadField) -> Any:
    """Gives a value of a blueprint as its annotation wants it.

    Raises:
        SpecError: it does not fit.
    """
    try:
        return fitted(value, field, field.name, copy=False)
    except StateTypeError as error:
        raise SpecError("misfit", error.message, path=field.name) from error


def rebuilt(
    cls: type, module_id: str, values: dict[str, Any], own: dict[str, Any]
) -> tuple[BaseModule, bool]:
    """Makes a module by its constructor and loads its own state.

    Args:
        cls: its class.
        module_id: its id.
        values: the fields that stand in the blueprint.
        own: name -> value of what the module itself has in the state; it owns them afterwards.

    Returns:
        The module, and whether its state was all there and all taken.

    Raises:
        SpecError: the fields are not those of the class.
    """
    fields = spec_fields(cls)
    for name, field in fields.items():
        if name not in values and field.source == "attr" and name in own:
            # The constructor may change what it gets: what was saved is loaded afterwards.
            values[name] = copied(own[name])
    _check_names(cls, fields, values)
    wanted = checks(cls)
    taken = {n: v if v is None else fitted_structure(v, wanted[n]) for n, v in values.items()}
    hook = getattr(cls, "_from_values", None)
    module: BaseModule = hook(taken) if hook is not None else constructed(cls, taken)
    module._module_id = module_id
    return module, load_own(module, own)


def _check_names(cls: type, fields: dict[str, SpecField], values: dict[str, Any]) -> None:
    extra = [repr(name) for name in values if name not in fields]
    missing = [
        repr(name)
        for name, field in fields.items()
        if name not in values and field.default is UNSET and field.factory is None
    ]
    said = [f"missing: {', '.join(missing)}"] if missing else []
    if extra:
        said.append(f"extra: {', '.join(extra)}")
    if said:
        raise SpecError(
            "misfit",
            f"what was saved does not fit the fields of {kind_of(cls)}: {'; '.join(said)}",
            kind=kind_of(cls),
        )


def checks(cls: type) -> dict[str, LoadField]:
    """Gives what the values of a class's blueprint must fit; made once."""
    found: dict[str, LoadField] | None = cls.__dict__.get("__rebuild_checks__")
    if found is None:
        found = {n: LoadField(n, PLAIN, f.annotation) for n, f in spec_fields(cls).items()}
        type.__setattr__(cls, "__rebuild_checks__", found)
    return found
