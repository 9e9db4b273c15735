"""Loading a flat state into a tree of modules: everything is checked first, then swapped in."""

# The planning loop is one function, and compares numbers one by one, for its speed.
# ruff: noqa: C901, PLR0912, PLR0915, PLR1714, SIM109

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from dachi_fast.errors import StateKeyError, StateTypeError
from dachi_fast.module._copy import ATOMS, copied
from dachi_fast.module._fields import (
    ATTR,
    ITEM_ATTR,
    ITEM_PARAM,
    PARAM,
    UNSET,
    WRAP,
    Attr,
    Item,
    Param,
    item_bound,
)
from dachi_fast.module._layout import LoadField, layout_of, load_rows
from dachi_fast.module._state import (
    MAX_DEPTH,
    dotted,
    innermost,
    is_module,
    modules_in,
    raw_field,
    too_deep,
    undeclared,
    wrap_elements,
)
from dachi_fast.module._views import told

if TYPE_CHECKING:
    from dachi_fast.module._base import BaseModule

_setattr = object.__setattr__


class _Plan:
    """What a load will write, and what it found wrong."""

    __slots__ = (
        "copy",
        "fields",
        "found",
        "items",
        "missing",
        "recurse",
        "runtime",
        "state",
        "swaps",
        "train",
    )

    def __init__(
        self, state: Mapping[str, Any], recurse: bool, train: bool, runtime: bool, copy: bool
    ) -> None:
        self.state = state
        self.recurse = recurse
        self.train = train
        self.runtime = runtime
        self.copy = copy
        # module, names, new values, old values
        self.fields: list[tuple[BaseModule, list[str], list[Any], list[Any]]] = []
        self.items: list[tuple[Item[Any], Any]] = []
        self.swaps: list[tuple[Any, BaseModule]] = []  # AdaptModules with their new module
        self.missing: list[str] = []
        self.found: list[str] = []


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
    """
    if not isinstance(state, Mapping):
        raise StateTypeError(
            "not-a-mapping", f"a state is a mapping from key to value, not {type(state).__name__}"
        )
    plan = _Plan(state, recurse, train, runtime, copy)
    _plan(module, "", plan, 0)
    if strict:
        _check_keys(module, plan)
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


def load_own(module: BaseModule, state: Mapping[str, Any]) -> bool:
    """Loads what one module holds itself, without its children and without copying.

    Args:
        module: the module.
        state: name -> value; the module owns the values afterwards.

    Returns:
        Whether every value was there and had its place.

    Raises:
        StateTypeError: a value does not fit; nothing is changed then.
    """
    plan = _Plan(state, recurse=False, train=True, runtime=True, copy=False)
    _plan(module, "", plan, 0)
    _swap(plan)
    return not plan.missing and len(plan.found) == len(state)


def _plan(module: BaseModule, prefix: str, plan: _Plan, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise too_deep(prefix[:-1])
    cls = type(module)
    children: list[tuple[str, BaseModule]] = []
    names: list[str] = []
    values: list[Any] = []
    before: list[Any] = []
    state, found, copy = plan.state, plan.found, plan.copy
    for name, role, exact, bare, field in load_rows(cls):
        value: Any = getattr(module, name, UNSET)
        if role == ATTR:
            if isinstance(value, Item):
                raise raw_field(prefix + name)
            if not plan.runtime:
                continue
        elif role == PARAM:
            if type(value) not in ATOMS:
                if isinstance(value, Item):
                    raise raw_field(prefix + name)
                inner = list(modules_in(value, name, prefix))
                if inner:
                    children += inner
                    continue
            if not plan.train:
                continue
        elif role == ITEM_PARAM or role == ITEM_ATTR:
            if value is not UNSET:
                _plan_item(value, name, prefix, plan, children, field)
            continue
        else:
            if role == WRAP and value is not UNSET:
                wrap_elements(module, name)
                value = getattr(module, name)
            if type(value) not in ATOMS:
                children += modules_in(value, name, prefix)
            continue
        key = prefix + name
        new = state.get(key, UNSET)
        if new is UNSET:
            if value is not UNSET:
                plan.missing.append(key)
            continue
        found.append(key)
        kind = type(new)
        if kind is not exact and (copy or kind is not bare):
            new = _fitted(new, field, key, copy)
        names.append(name)
        values.append(new)
        before.append(value)
    if names:
        plan.fields.append((module, names, values, before))
    children += _plan_undeclared(module, prefix, plan)
    if plan.recurse:
        for name, child in _planned_children(module, prefix, plan, children):
            _plan(child, f"{prefix}{name}.", plan, depth + 1)


def _plan_undeclared(module: BaseModule, prefix: str, plan: _Plan) -> list[tuple[str, BaseModule]]:
    """Plans the items under undeclared names and gives the children there."""
    children: list[tuple[str, BaseModule]] = []
    for name, held in undeclared(module, layout_of(type(module))):
        if "." in name:
            raise dotted(prefix + name)
        if isinstance(held, Item):
            _plan_item(held, name, prefix, plan, children, None)
        else:
            children.append((name, held))
    return children


def _planned_children(
    module: BaseModule, prefix: str, plan: _Plan, children: list[tuple[str, BaseModule]]
) -> list[tuple[str, BaseModule]]:
    """Gives the children to load into: for an AdaptModule perhaps a new one."""
    hook: Callable[..., Any] | None = getattr(module, "_adapted_for", None)
    if hook is None or not plan.train:
        return children
    new = hook(plan.state, prefix)
    if new is None:
        return children
    plan.swaps.append((module, new))
    return [("_adapted", new)]


def _plan_item(
    item: Item[Any],
    name: str,
    prefix: str,
    plan: _Plan,
    children: list[tuple[str, BaseModule]],
    field: LoadField | None,
) -> None:
    key = prefix + name
    if not isinstance(item, (Param, Attr)):
        return
    if item._adapts:  # the blueprint of an AdaptModule: compared and rebuilt by its owner
        if plan.train:
            (plan.found.append if key in plan.state else plan.missing.append)(key)
        return
    item, held = innermost(item, key)
    if isinstance(item, Param):
        inner = list(modules_in(held, name, prefix))
        if inner:
            children += inner
            return
        if not plan.train:
            return
    elif not plan.runtime:
        return
    value = plan.state.get(key, UNSET)
    if value is UNSET:
        plan.missing.append(key)
        return
    plan.found.append(key)
    bound = item_bound(type(item))
    if bound is not None:
        field = LoadField(name, ITEM_PARAM, bound)
    plan.items.append((item, _fitted(value, field, key, plan.copy)))


def _fitted(value: Any, field: LoadField | None, key: str, copy: bool) -> Any:
    """Gives a value as its annotation wants it: itself where it fits, else what pydantic makes."""
    if field is not None and field.check is not None and not field.check(value):
        return _converted(value, field, key)
    if not copy or type(value) in ATOMS:
        return value
    return copied(value)


def fitted(value: Any, field: LoadField, key: str) -> Any:
    """Gives a value that nobody else holds as its annotation wants it.

    Raises:
        StateTypeError: it does not fit.
    """
    return _fitted(value, field, key, copy=False)


def _converted(value: Any, field: LoadField, key: str) -> Any:
    validate = _validator(field)
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
        f"{key!r}: {type(value).__name__} does not fit {_shown(field.annotation)}",
        path=key,
    )


def _shown(annotation: Any) -> str:
    return annotation.__name__ if type(annotation) is type else str(annotation)


def _validator(field: LoadField) -> Callable[[Any], Any] | None:
    """Gives pydantic's validator of an annotation, None where pydantic cannot make one."""
    from pydantic import ConfigDict, TypeAdapter
    from pydantic.errors import PydanticUserError

    annotation = field.annotation
    own_config = hasattr(annotation, "__pydantic_config__") or dataclasses.is_dataclass(annotation)
    own_config = own_config or hasattr(annotation, "model_config")
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        own_config = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for config in (None,) if own_config else (ConfigDict(arbitrary_types_allowed=True), None):
            try:
                adapter: TypeAdapter[Any] = TypeAdapter(annotation, config=config)
            except PydanticUserError:
                continue
            return adapter.validate_python
    return None


def _check_keys(module: BaseModule, plan: _Plan) -> None:
    if not plan.missing and len(plan.found) == len(plan.state):
        return
    expected = set(plan.found)
    extra = [str(k) for k in plan.state if k not in expected]
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


def _swap(plan: _Plan) -> None:
    """Writes everything; on a failure (an item's own class, say) writes back the old."""
    undo: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
    try:
        for module, names, values, before in plan.fields:
            undo.append((_reset, (module, names, before)))
            for name, value in zip(names, values, strict=True):
                _setattr(module, name, value)
        for item, value in plan.items:
            undo.append((item._restore, (item.data,)))
            item._restore(value)
        for owner, new in plan.swaps:
            undo.append((owner._put_adapted, (owner.adapted,)))
            owner._put_adapted(new)
    except BaseException:
        for write, args in reversed(undo):
            write(*args)
        raise
    _tell(plan)


def _tell(plan: _Plan) -> None:
    """Calls the callbacks of what was written."""
    for module, names, values, _ in plan.fields:
        if "__intercepts__" in type(module).__dict__:
            for name, value in zip(names, values, strict=True):
                told(module, name, value)
    for item, value in plan.items:
        for callback in item._callbacks:
            callback(value)
    for owner, new in plan.swaps:
        owner._swapped(new)


def _reset(module: BaseModule, names: list[str], before: list[Any]) -> None:
    for name, value in zip(names, before, strict=True):
        if value is not UNSET:
            _setattr(module, name, value)
        elif hasattr(module, name):
            object.__delattr__(module, name)
