"""Places in a spec where the spec of a module stands, and how one is read.

What a language model wrote is read here, so nothing may cost more than the spec is long. pydantic
tries the members of a Union one after the other, so a module that stands in two of them would be
read twice, those inside it four times, and so on: what was read in a run is kept.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticCustomError, core_schema

from dachi_fast.errors import SpecError
from dachi_fast.module._layout import is_module_class
from dachi_fast.spec._fields import DATA, is_wrapped
from dachi_fast.spec._limits import shown
from dachi_fast.spec._registry import kind_of, registry

if TYPE_CHECKING:
    from dachi_fast.spec._spec import BaseSpec

MAX_MODULES = 100  # in each other; state holds no more
MAX_DEPTH = 200  # of lists and dicts; state holds no more


class _Reading(threading.local):
    """What a thread is reading."""

    depth = 0  # modules in each other
    run: _Run | None = None


class _Run:
    """What one `from_spec` has read so far."""

    __slots__ = ("defaults", "kinds", "read")

    def __init__(self, *, defaults: bool) -> None:
        self.defaults = defaults
        self.kinds: dict[str, list[type]] = {}
        # The dict itself is kept, or another one might get its address.
        self.read: dict[tuple[int, type], tuple[Any, BaseSpec | None]] = {}


_now = _Reading()


@contextlib.contextmanager
def building(*, defaults: bool = False) -> Iterator[None]:
    """Within it specs are read to be built: those without an id get none.

    Args:
        defaults: whether default factories run, as the constructors will do.
    """
    before, _now.run = _now.run, _Run(defaults=defaults)
    try:
        yield
    finally:
        _now.run = before


def is_building() -> bool:
    """Gives whether specs are read to be built."""
    return _now.run is not None


def leaves_defaults() -> bool:
    """Gives whether default factories are not to run."""
    return _now.run is not None and not _now.run.defaults


def _named(kind: str) -> list[type]:
    if _now.run is None:
        return registry.named(kind)
    found = _now.run.kinds.get(kind)
    if found is None:
        found = _now.run.kinds[kind] = registry.named(kind)
    return found


def _found(kind: str) -> type:
    """Gives the class of a kind; near matches of one that is unknown are for who reports it."""
    found = _named(kind)
    if len(found) != 1:
        code, what = ("ambiguous-kind", "ambiguous") if found else ("unknown-kind", "unknown")
        raise SpecError(code, f"kind {shown(kind)} is {what}", kind=kind)
    return found[0]


def looks_like_spec(value: dict[Any, Any]) -> bool:
    """Gives whether a dict has the kind of a registered module and an id."""
    kind = value.get("kind")
    if not isinstance(kind, str) or not isinstance(value.get("id"), str):
        return False
    return bool(_named(kind))


def nested(cls: type, value: Mapping[str, Any]) -> BaseSpec:
    """Validates a spec that may be inside a spec, down to `MAX_MODULES` levels.

    Raises:
        SpecError: it is deeper.
        ValidationError: it does not fit its class.
    """
    run = _now.run
    if run is None:
        return _validated(cls, value)
    key = (id(value), cls)
    known = run.read.get(key)
    if known is not None:
        if known[1] is None:
            # All that is wrong again would double the errors from level to level.
            raise PydanticCustomError("module_spec", "this does not fit, as was said already")
        return known[1]
    run.read[key] = (value, None)
    found = _validated(cls, value)
    run.read[key] = (value, found)
    return found


def _validated(cls: type, value: Mapping[str, Any]) -> BaseSpec:
    from dachi_fast.spec._schema import schema_of

    if _now.depth >= MAX_MODULES:
        raise SpecError("too-deep", f"modules are nested deeper than {MAX_MODULES} levels")
    _now.depth += 1
    try:
        return schema_of(cls).model_validate(value if type(value) is dict else dict(value))
    finally:
        _now.depth -= 1


def mismatch(found: type, *wanted: type) -> SpecError:
    """Gives the error for a class that is none of those asked for."""
    names = " or a ".join(kind_of(cls) for cls in wanted)
    return SpecError("kind-mismatch", f"a {kind_of(found)} is not a {names}", kind=kind_of(found))


class ModuleSpec:
    """A place in a spec where the spec of a module stands; pydantic reads it as an annotation.

    Args:
        wanted: the module, or what it holds if it is an AdaptModule, must be an instance of one of
            these classes.
    """

    def __init__(self, wanted: tuple[type, ...]) -> None:
        self.wanted = wanted

    @property
    def text(self) -> str:
        """The names of those classes."""
        return " or a ".join(kind_of(cls) for cls in self.wanted)

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_plain_validator_function(self.validate)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        kind = {"type": "string", "description": f"kind of a {self.text}"}
        return {
            "type": "object",
            "properties": {"kind": kind},
            "required": ["kind"],
            "x-module": self,
        }

    def validate(self, value: Any) -> BaseSpec:
        """Gives the validated spec of a module for a spec, a dict or a module."""
        from dachi_fast.spec._spec import BaseSpec

        if isinstance(value, BaseSpec):
            self._check(value.load_cls(), value)
            return value
        if is_module_class(type(value)):
            from dachi_fast.spec._describe import spec_of

            return self.validate(spec_of(value))
        if not isinstance(value, Mapping):
            raise PydanticCustomError(
                "module_spec",
                "a {base} is described by an object with a kind",
                {"base": self.text},
            )
        kind = value.get("kind")
        if not isinstance(kind, str):
            raise PydanticCustomError(
                "kind_missing", "the kind of a {base} is missing", {"base": self.text}
            )
        cls = _found(kind)
        if not getattr(cls, "__adapts__", False):
            self._check(cls)
        found = nested(cls, value)
        self._check(cls, found)
        return found

    def _check(self, cls: type, spec: BaseSpec | None = None) -> None:
        held = cls
        if spec is not None and getattr(cls, "__adapts__", False):
            inner = spec.__dict__.get(type(spec).inner_names_.get("_adapted_param", ""))
            held = inner.load_cls() if inner is not None else cls
        if not issubclass(cls, self.wanted) and not issubclass(held, self.wanted):
            raise mismatch(held, *self.wanted)


class Revive:
    """Turns dicts that are specs into specs, in fields whose annotation does not say.

    Args:
        is_data: the field is annotated as a dict, so its own value is never a spec.
    """

    def __init__(self, is_data: bool) -> None:  # noqa: FBT001
        self.is_data = is_data

    def __call__(self, value: Any) -> Any:
        if self.is_data and type(value) is dict and DATA not in value:
            return {k: _revived(v, 0) for k, v in value.items()}
        return _revived(value, 0)


def _revived(value: Any, depth: int) -> Any:
    """Gives a value with the dicts that are specs validated."""
    if depth > MAX_DEPTH:
        raise SpecError("too-deep", f"a spec is nested deeper than {MAX_DEPTH} levels")
    kind = type(value)
    if kind is list or kind is tuple:
        new = [_revived(v, depth + 1) for v in value]
        return new if kind is list else tuple(new)
    if kind is not dict:
        return value
    if is_wrapped(value):
        return {DATA: {k: _revived(v, depth + 1) for k, v in value[DATA].items()}}
    if looks_like_spec(value):
        return nested(_found(value["kind"]), value)
    return {k: _revived(v, depth + 1) for k, v in value.items()}


def no_loose_specs(value: Any) -> Any:
    """Refuses what a field of AdaptModules would build a module from without anybody's leave."""
    if isinstance(value, Mapping):
        if isinstance(value.get("kind"), str):
            raise SpecError("not-a-spec", f"{shown(value['kind'])} is no kind that may stand here")
        for element in value.values():
            no_loose_specs(element)
    elif isinstance(value, (list, tuple)):
        for element in value:
            no_loose_specs(element)
    return value
