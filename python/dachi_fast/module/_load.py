"""Loading a flat state into a tree of modules: everything is checked first, then swapped in."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any

from dachi_fast._core.state import LoadPlan, plan_load
from dachi_fast.errors import StateKeyError, StateTypeError
from dachi_fast.module._copy import ATOMS, copied
from dachi_fast.module._fields import ITEM_PARAM, UNSET, Item, call_all, item_bound
from dachi_fast.module._layout import LoadField
from dachi_fast.module._once import ONCE
from dachi_fast.module._state import is_module
from dachi_fast.module._views import told

if TYPE_CHECKING:
    from dachi_fast.module._base import BaseModule


def load(
    module: BaseModule,
    state: object,
    *,
    recurse: bool = True,
    train: bool = True,
    runtime: bool = True,
    strict: bool = True,
    copy: bool = True,
) -> None:
    """Loads a flat state; nothing is changed unless all of it fits.

    Args:
        module: the tree to load into.
        state: dotted key -> value.
        recurse: whether children are loaded.
        train: whether Params are loaded.
        runtime: whether Attrs are loaded.
        strict: whether the keys must be exactly the expected ones.
        copy: whether values are copied; False only for values that nobody else holds.

    Raises:
        TypeError: `state` is not a mapping.
        StateKeyError: strict, and keys are missing or extra; all are listed.
        StateTypeError: a value does not fit the annotation of its field.
        Exception: what a callback raised, when all is loaded and every callback was called.
    """
    if not isinstance(state, Mapping):
        raise StateTypeError(
            "not-a-mapping", f"a state is a mapping from key to value, not {type(state).__name__}"
        )
    held = state if type(state) is dict else dict(state)
    plan = plan_load(module, held, (recurse, train, runtime), copy)
    if strict:
        _check_keys(module, state, plan)
    _swap(plan)


def load_owned(module: BaseModule, state: Mapping[str, Any], strict: bool = True) -> None:
    """Loads a flat state whose values nobody else holds, without copying them.

    Args:
        module: the tree to load into.
        state: dotted key -> value; the modules own the values afterwards.
        strict: as in `load_state_dict`.

    Raises:
        StateError: as `load_state_dict` does; nothing is changed then.
    """
    load(module, state, strict=strict, copy=False)


def planned(module: BaseModule, state: dict[str, Any]) -> LoadPlan:
    """Finds what loading a flat state would write, all of which fits; for `write` and `tell`.

    Args:
        module: the tree to load into.
        state: dotted key -> value; the modules own the values afterwards.

    Raises:
        StateError: as `load_state_dict` does.
    """
    plan = plan_load(module, state, (True, True, True), copy=False)
    _check_keys(module, state, plan)
    return plan


def load_rest(module: BaseModule, state: dict[str, Any]) -> list[str]:
    """Loads a flat state into a tree whose constructors have just made it.

    Args:
        module: the tree.
        state: dotted key -> value; the modules own the values afterwards.

    Returns:
        The keys that the state does not have: there the constructors' values stay.

    Raises:
        StateKeyError: a key has no place.
        StateTypeError: a value does not fit.
    """
    plan = plan_load(module, state, (True, True, True), copy=False)
    if len(plan) != len(state):
        _check_keys(module, state, plan)
    _swap(plan)
    return plan.missing


def load_own(module: BaseModule, state: dict[str, Any]) -> bool:
    """Loads what one module holds itself, without its children and without copying.

    Args:
        module: the module.
        state: name -> value; the module owns the values afterwards.

    Returns:
        Whether every value was there and had its place.

    Raises:
        StateTypeError: a value does not fit; nothing is changed then.
    """
    plan = plan_load(module, state, (False, True, True), copy=False)
    _swap(plan)
    return not plan.missing and len(plan) == len(state)


def fitted_item(item: Item[Any], value: Any, field: LoadField | None, key: str, copy: bool) -> Any:
    """Gives a value as an item takes it: by its own type, else by the field's annotation.

    Raises:
        StateTypeError: it does not fit.
    """
    bound = item_bound(type(item))
    if bound is not None:
        field = LoadField(key, ITEM_PARAM, bound)
    return fitted(value, field, key, copy)


def fitted(value: Any, field: LoadField | None, key: str, copy: bool) -> Any:
    """Gives a value as its annotation wants it: itself where it fits, else what pydantic makes.

    Raises:
        StateTypeError: it does not fit.
    """
    if field is not None and field.check is not None and not field.check(value):
        return _converted(value, field, key)
    if not copy or type(value) in ATOMS:
        return value
    return copied(value)


def _converted(value: Any, field: LoadField, key: str) -> Any:
    validate = validator(field)
    if validate is not None and not is_module(value):
        try:
            new = validate(value)
        except ValueError:
            pass
        else:
            if field.check is None or field.check(new):
                return new
    raise StateTypeError(
        "wrong-type",
        f"{key!r}: {type(value).__name__} does not fit {shown(field.annotation)}",
        path=key,
    )


def shown(annotation: Any) -> str:
    """Gives an annotation as messages have it."""
    return annotation.__name__ if type(annotation) is type else str(annotation)


def validator(field: LoadField) -> Callable[..., Any] | None:
    """Gives pydantic's validator of a field, None where pydantic cannot make one; made once."""
    if field.validate is UNSET:
        field.validate = _validator(field.annotation)
    found: Callable[..., Any] | None = field.validate
    return found


def _validator(annotation: Any) -> Callable[..., Any] | None:
    from pydantic import ConfigDict, TypeAdapter
    from pydantic.errors import PydanticUserError

    own_config = hasattr(annotation, "__pydantic_config__") or dataclasses.is_dataclass(annotation)
    own_config = own_config or hasattr(annotation, "model_config")
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        own_config = False
    with ONCE, warnings.catch_warnings():  # two threads in it would leave each other's filters
        warnings.simplefilter("ignore")
        for config in (None,) if own_config else (ConfigDict(arbitrary_types_allowed=True), None):
            try:
                adapter: TypeAdapter[Any] = TypeAdapter(annotation, config=config)
            except PydanticUserError:
                continue
            return adapter.validate_python
    return None


def _check_keys(module: BaseModule, state: Mapping[str, Any], plan: LoadPlan) -> None:
    if not plan.missing and len(plan) == len(state):
        return
    expected = set(plan.found)
    extra = [str(k) for k in state if k not in expected]
    said = [f"missing: {', '.join(map(repr, plan.missing))}"] if plan.missing else []
    if extra:
        said.append(f"extra: {', '.join(map(repr, extra))}")
    hint = ""
    if extra:
        hint = (
            "; modules and items that were assigned after construction are not rebuilt from a "
            "spec: load their state with strict=False"
        )
    raise StateKeyError(
        "state-keys",
        f"the state does not fit {type(module).__qualname__}: {'; '.join(said)}{hint}",
        missing=tuple(plan.missing),
        extra=tuple(extra),
    )


def _swap(plan: LoadPlan) -> None:
    write(plan)
    tell(plan)


def write(plan: LoadPlan) -> None:
    """Writes everything; on a failure (an item's own class, say) writes back the old."""
    undo: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
    try:
        undo.append((plan.undo, ()))
        plan.write()
        for item, value in plan.items:
            undo.append((item._restore, (item.data,)))
            item._restore(value)
        for owner, new in plan.swaps:
            undo.append((owner._put_adapted, (owner.adapted,)))
            owner._put_adapted(new)
    except BaseException:
        for write_back, args in reversed(undo):
            write_back(*args)
        raise


def tell(plan: LoadPlan) -> None:
    """Calls the callbacks of what was written."""
    call_all(
        (
            *(partial(told, module, name, value) for module, name, value in plan.told),
            *(partial(item._tell, value) for item, value in plan.items),
            *(partial(owner._swapped, new) for owner, new in plan.swaps),
        )
    )
