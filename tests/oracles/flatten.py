"""The walk that flattens a tree of modules, in Python: the oracle of the compiled one."""

# One walk is one function: the compiled walk is held against it.
# ruff: noqa: C901, PLR0912

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dachi_fast.errors import StateTypeError, StateValueError
from dachi_fast.module._copy import ATOMS
from dachi_fast.module._fields import (
    ATTR,
    CHILD,
    PARAM,
    PLAIN,
    SHARED,
    UNSET,
    WRAP,
    Attr,
    Item,
    Node,
    Param,
)
from dachi_fast.module._layout import layout_of
from dachi_fast.module._state import (
    innermost,
    undeclared,
    wrap_elements,
)

if TYPE_CHECKING:
    from dachi_fast.module import BaseModule

MAX_DEPTH = 100  # levels of containers inside one Param, and of modules inside modules


def flatten(
    module: BaseModule, recurse: bool = True, train: bool = True, runtime: bool = True
) -> dict[str, Any]:
    """Gives the state of a module as a flat dict from dotted key to live value.

    For each module, in this order:

    1. the names of its layout: ATTR and ITEM_ATTR if `runtime`, PARAM and ITEM_PARAM if `train`
       (of items the `.data`, of an item inside an item the innermost). A PARAM, ITEM_PARAM, CHILD,
       PLAIN or WRAP value that is a module, or a list, tuple or dict that holds one at any depth,
       has no key: its modules are children. CHILD, PLAIN and WRAP never have a key; SHARED and
       ITEM_SHARED are skipped. A name that is not set on the instance is skipped.
    2. the items that the instance holds under undeclared names, by the same rules.
    3. if `recurse`: the children, those of step 1, of step 2, then the modules under undeclared
       names; each as a whole with `name.` before its keys. Inside containers the key is
       `name.index` or `name.dictkey`, level by level.

    Args:
        module: where to start; its own keys have no prefix.
        recurse: whether to go into children.
        train: whether to give Params.
        runtime: whether to give Attrs.

    Returns:
        key -> value; values are references, not copies.

    Raises:
        StateTypeError: an item was assigned to a declared raw field, or a dict that holds modules
            has a key that is neither str nor int.
        StateValueError: a module contains itself, two keys are equal, a name or key that leads to
            a module or item has a dot, or the nesting exceeds 100 levels.
    """
    out: dict[str, Any] = {}
    _flatten(module, "", recurse, train, runtime, out, [])
    return out


def _flatten(
    module: BaseModule,
    prefix: str,
    recurse: bool,
    train: bool,
    runtime: bool,
    out: dict[str, Any],
    above: list[BaseModule],
) -> None:
    if any(module is m for m in above):
        raise StateValueError(
            "cycle", f"{prefix[:-1]!r} is a module that contains itself", path=prefix[:-1]
        )
    if len(above) >= MAX_DEPTH:
        raise _too_deep(prefix[:-1])
    layout = layout_of(type(module))
    children: list[tuple[str, BaseModule]] = []
    for name, role in zip(layout.names, layout.roles, strict=True):
        value = getattr(module, name, UNSET)
        if value is UNSET or role == SHARED:
            continue
        if role == WRAP:
            wrap_elements(module, name)
            value = getattr(module, name)
        if isinstance(value, Item):
            if role in (PARAM, ATTR, PLAIN, CHILD, WRAP):
                raise _raw_field(prefix + name)
            _put(value, name, prefix, train, runtime, out, children)
        elif role == ATTR:
            if runtime:
                out[prefix + name] = value
        else:
            inner = list(_modules_in(value, name, prefix))
            children += inner
            if role == PARAM and train and not inner:
                out[prefix + name] = value
    extra = undeclared(module, layout)
    for name, held in extra:
        if "." in name:
            raise _dotted(prefix + name)
        if isinstance(held, Item):
            _put(held, name, prefix, train, runtime, out, children)
    children += [(name, held) for name, held in extra if not isinstance(held, Item)]
    if recurse and children:
        above.append(module)
        seen: set[str] = set()
        for key, child in children:
            if key in seen:
                raise _duplicate(prefix + key)
            seen.add(key)
            _flatten(child, f"{prefix}{key}.", recurse, train, runtime, out, above)
        above.pop()


def _put(
    item: Item[Any],
    name: str,
    prefix: str,
    train: bool,
    runtime: bool,
    out: dict[str, Any],
    children: list[tuple[str, BaseModule]],
) -> None:
    if not isinstance(item, (Param, Attr)):
        return
    item, value = innermost(item, prefix + name)
    inner = list(_modules_in(value, name, prefix)) if isinstance(item, Param) else []
    children += inner
    if not inner and (train if isinstance(item, Param) else runtime):
        out[prefix + name] = value


def _modules_in(
    value: Any, key: str, prefix: str, depth: int = 0
) -> Iterator[tuple[str, BaseModule]]:
    """Yields the modules in a value with their keys: itself, or inside list, tuple and dict."""
    if type(value) in ATOMS:
        return
    if isinstance(value, (list, tuple)):
        if ATOMS.issuperset(map(type, value)):
            return
        if depth >= MAX_DEPTH:
            raise _too_deep(prefix + key)
        for index, element in enumerate(value):
            yield from _modules_in(element, f"{key}.{index}", prefix, depth + 1)
    elif isinstance(value, dict):
        if ATOMS.issuperset(map(type, value.values())):
            return
        if depth >= MAX_DEPTH:
            raise _too_deep(prefix + key)
        for name, element in value.items():
            for found in _modules_in(element, f"{key}.{name}", prefix, depth + 1):
                if not isinstance(name, (str, int)):
                    raise StateTypeError(
                        "module-key",
                        f"{prefix}{key}: a dict of modules has the key {name!r}; use text or int",
                        path=prefix + key,
                    )
                if isinstance(name, str) and "." in name:
                    raise _dotted(f"{prefix}{key}.{name}")
                yield found
    elif isinstance(value, Node):
        module: Any = value
        yield key, module


def _raw_field(path: str) -> StateTypeError:
    return StateTypeError(
        "item-in-raw-field",
        f"{path!r} is declared as a raw value but holds an item: assign the value itself, or "
        f"annotate the field as Param[...] or Attr[...]",
        path=path,
    )


def _dotted(path: str) -> StateValueError:
    return StateValueError(
        "dotted-key", f"{path!r}: the key of a module or item must not have a dot", path=path
    )


def _duplicate(path: str) -> StateValueError:
    return StateValueError("duplicate-path", f"two modules have the key {path!r}", path=path)


def _too_deep(path: str) -> StateValueError:
    return StateValueError(
        "too-deep", f"{path!r} is nested deeper than {MAX_DEPTH} levels", path=path
    )
