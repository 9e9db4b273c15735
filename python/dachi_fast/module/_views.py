"""The Param and Attr objects of declared fields.

A declared field is a plain attribute. `parameters()` still gives Param objects: one view per module
and field, made when first asked for and kept as long as the module. Only when a view has a callback
or is fixed does its module move to an intercepting class, which alone has a `__setattr__`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from dachi_fast.errors import FixedError
from dachi_fast.module._fields import Attr, Item, Param
from dachi_fast.module._once import ONCE

if TYPE_CHECKING:
    from dachi_fast.module._base import BaseModule

_NONE: dict[str, Any] = {}
_new = object.__new__
_setattr = object.__setattr__


class _View(Item[Any]):
    """What the views of Param and Attr fields share; `_module` and `_name` say where they look."""

    __slots__ = ()

    _module: Any
    _name: str

    def _read(self) -> Any:
        return getattr(self._module, self._name)

    def _write(self, value: Any) -> None:
        setattr(self._module, self._name, value)

    if not TYPE_CHECKING:
        data = property(_read, _write, doc="The attribute's value.")

    def _restore(self, value: Any) -> None:
        _setattr(self._module, self._name, value)

    def register_callback(self, callback: Callable[[Any], object]) -> None:
        super().register_callback(callback)
        _intercept(self._module)

    def __deepcopy__(self, memo: dict[int, object]) -> Any:
        from dachi_fast.module._copy import copied

        return (Param if isinstance(self, Param) else Attr)(data=copied(self.data, memo))

    def __repr__(self) -> str:
        return f"{type(self).__name__.strip('_')}({self._name}={self.data!r})"


class _Param(_View, Param[Any]):
    __slots__ = ("_module", "_name")

    def fix(self) -> None:
        super().fix()
        _intercept(self._module)


class _Attr(_View, Attr[Any]):
    __slots__ = ("_module", "_name")


def view(module: BaseModule, name: str, param: bool) -> Item[Any]:
    """Gives the one Param (or Attr) object of a declared field of a module."""
    found: Item[Any] | None = getattr(module, "_module_views", _NONE).get(name)
    if found is not None:
        return found
    made: Any = _new(_Param if param else _Attr)
    Item.__init__(made)
    if param:
        made._fixed = False
    made._module, made._name = module, name
    with ONCE:
        if not hasattr(module, "_module_views"):
            _setattr(module, "_module_views", {})
        first: Item[Any] = cast("Any", module)._module_views.setdefault(name, made)
    return first


def told(module: BaseModule, name: str, value: Any) -> None:
    """Calls the callbacks of a declared field after a load wrote it."""
    views = getattr(module, "_module_views", None)
    if views is not None and name in views:
        views[name]._tell(value)


def plain_class(cls: type) -> type:
    """Gives the class itself for an intercepting class, else what it is given."""
    found: type = cls.__dict__.get("__intercepts__", cls)
    return found


def _intercept(module: BaseModule) -> None:
    cls = type(module)
    if "__intercepts__" not in cls.__dict__:
        module.__class__ = _intercepting(cls)


def _intercepting(cls: type[BaseModule]) -> type[BaseModule]:
    """Gives the class that instances of `cls` with a callback or a fixed Param move to."""
    found: type[BaseModule] | None = cls.__dict__.get("__interceptor__")
    if found is not None:
        return found

    def __setattr__(self: Any, name: str, value: Any) -> None:  # noqa: N807
        views = self._module_views
        held = views.get(name)
        if held is None:
            return cls.__setattr__(self, name, value)
        if getattr(held, "_fixed", False):
            raise FixedError(
                "fixed",
                f"{cls.__qualname__}.{name} is fixed: call unfix() on its Param before writing",
                path=name,
            )
        cls.__setattr__(self, name, value)
        held._tell(value)
        return None

    def __reduce_ex__(self: Any, _protocol: Any) -> Any:  # noqa: N807
        return blank, (cls,), self.__getstate__()

    namespace = {
        "__setattr__": __setattr__,
        "__reduce_ex__": __reduce_ex__,
        "__qualname__": cls.__qualname__,
        "__module__": cls.__module__,
        "__doc__": cls.__doc__,
        "__intercepts__": cls,
        "__layout__": None,
    }
    meta: Any = type(cls)
    made: type[BaseModule] = meta(cls.__name__, (cls,), namespace)
    for name in ("__module_fields__", "__own_fields__"):
        type.__setattr__(made, name, cls.__dict__[name])
    type.__setattr__(cls, "__interceptor__", made)
    return made


def blank(cls: type[BaseModule]) -> BaseModule:
    """Gives an instance without attributes, for unpickling one that was intercepted."""
    return cls.__new__(cls)


def fixed_names(module: BaseModule) -> tuple[str, ...]:
    """Gives the declared fields of a module whose Param is fixed."""
    views: dict[str, Any] = getattr(module, "_module_views", {})
    return tuple(name for name, held in views.items() if getattr(held, "_fixed", False))
