"""What a validated blueprint would build, before anything is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dachi_fast.errors import SpecError
from dachi_fast.module._layout import is_module_class
from dachi_fast.module._views import plain_class
from dachi_fast.spec._limits import path_text, shown
from dachi_fast.spec._registry import kind_of, registry
from dachi_fast.spec._spec import BaseSpec

if TYPE_CHECKING:
    from dachi_fast.module._base import BaseModule

Path = tuple[str | int, ...]


def allowed_classes(allow: Sequence[type | str]) -> frozenset[type]:
    """Gives the classes that a list of classes and names means.

    Raises:
        SpecError: a name is unknown or ambiguous, or something is no module class.
    """
    found = [registry.find_kind(a) if isinstance(a, str) else a for a in allow]
    for cls in found:
        if not is_module_class(cls):
            raise SpecError("not-a-kind", f"{cls!r} is neither a module class nor the name of one")
    return frozenset(found)


class Survey:
    """One walk over a blueprint: which kinds, under which ids, in which places.

    Args:
        allowed: the only classes that may occur; None for all.
        known: id -> module that is there already.
        defaults: whether to go through fields that were left out, too.

    Attributes:
        found: the spec of each module that would be built, with its path, parents first.
    """

    __slots__ = ("_allowed", "_defaults", "_known", "_open", "_seen", "found")

    def __init__(
        self,
        allowed: frozenset[type] | None,
        known: Mapping[str, BaseModule],
        *,
        defaults: bool = False,
    ) -> None:
        self._defaults = defaults
        self._allowed = allowed
        self._known = known
        self._open: set[str] = set()
        self._seen: dict[str, tuple[BaseSpec, Path]] = {}
        self.found: list[tuple[Path, BaseSpec]] = []

    def go(self, value: Any, path: Path = ()) -> None:
        """Goes through a value of a blueprint.

        Raises:
            SpecError: a kind is not allowed, or an id stands for two things or inside itself.
        """
        if isinstance(value, BaseSpec):
            self._module(value, path)
        elif isinstance(value, (list, tuple)):
            for index, inner in enumerate(value):
                self.go(inner, (*path, index))
        elif isinstance(value, dict):
            for key, inner in value.items():
                self.go(inner, (*path, key))

    def _module(self, spec: BaseSpec, path: Path) -> None:
        cls = spec.load_cls()
        self._check_allowed(cls, spec, path)
        name: str | None = spec.id
        if name is not None:
            if self._is_known(cls, spec, path):
                return
            self._open.add(name)
        self.found.append((path, spec))
        inner = {i: name for name, i in type(spec).inner_names_.items()}
        given = spec.__dict__ if self._defaults else spec.__pydantic_fields_set__
        for field in type(spec).model_fields:
            if field in given and field not in ("kind", "id"):
                self.go(spec.__dict__[field], (*path, inner.get(field, field)))
        if name is not None:
            self._open.discard(name)

    def _check_allowed(self, cls: type, spec: BaseSpec, path: Path) -> None:
        allowed = self._allowed
        # What an AdaptModule holds is what counts.
        if allowed is None or cls in allowed or getattr(cls, "__adapts__", False):
            return
        names = ", ".join(sorted(map(kind_of, allowed))) or "none"
        said = f"kind {shown(spec.kind)} is not allowed; allowed are {names}"
        raise SpecError("forbidden-kind", _at(path, said), path=path_text(path), kind=spec.kind)

    def _is_known(self, cls: type, spec: BaseSpec, path: Path) -> bool:
        """Gives whether the module of a spec's id is there already, or was met before."""
        if spec.id in self._open:
            said = f"the id {shown(spec.id)} stands inside itself"
            raise SpecError("cycle", _at(path, said), path=path_text(path), id=spec.id)
        held = self._known.get(spec.id)
        if held is not None:
            found = plain_class(type(held))
            if not issubclass(found, cls):
                raise _conflict(path, spec, f"a {kind_of(found)} and a {kind_of(cls)}")
            return True
        first, where = self._seen.setdefault(spec.id, (spec, path))
        if first is spec:
            return where != path
        if first.load_cls() is not cls:
            raise _conflict(path, spec, f"a {kind_of(first.load_cls())} and a {kind_of(cls)}")
        if first != spec:
            raise _conflict(path, spec, f"this and, otherwise, {path_text(where) or 'the root'}")
        return True


def _conflict(path: Path, spec: BaseSpec, both: str) -> SpecError:
    said = f"the id {shown(spec.id)} names {both}: one id is one object"
    return SpecError("id-conflict", _at(path, said), path=path_text(path), id=spec.id)


def _at(path: Path, message: str) -> str:
    return f"{path_text(path) or 'the root'}: {message}"
