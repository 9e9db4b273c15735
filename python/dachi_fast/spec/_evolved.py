"""New blueprints for old modules: what of the memory goes along, and taking the other's place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from dachi_fast.errors import SpecError, StateTypeError
from dachi_fast.module._fields import UNSET, call_all
from dachi_fast.module._views import plain_class, told
from dachi_fast.spec._build import built
from dachi_fast.spec._registry import kind_of
from dachi_fast.spec._spec import BaseSpec

if TYPE_CHECKING:
    from dachi_fast.module._base import BaseModule

# What makes a module this one, whatever it holds.
_IDENTITY = ("_module_id", "_module_views")


@dataclass(frozen=True)
class Carried:
    """What became of the Attrs of a module that was given a new blueprint.

    Attributes:
        kept: the dotted keys, in the new module, of those that went along.
        fresh: the dotted keys, in the new module, of those that begin anew.
        lost: dotted key in the old module -> why its value did not go along.
    """

    kept: list[str] = field(default_factory=list)
    fresh: list[str] = field(default_factory=list)
    lost: dict[str, str] = field(default_factory=dict)


def evolved(
    old: BaseModule, spec: BaseSpec | Mapping[str, Any], allow: Sequence[type | str] | None
) -> tuple[Any, Carried]:
    """Builds a module from a blueprint and gives it the Attrs of an old one where they fit."""
    new: BaseModule = built(plain_class(type(old)), spec, allow=allow)
    given = spec.id if isinstance(spec, BaseSpec) else spec.get("id")
    if given is None:
        new._module_id = old.id
    report = Carried()
    names = {id(module): name for name, module in old.named_modules()}
    met = set()
    for name, module, before in _pairs(old, new):
        prefix = f"{name}." if name else ""
        kept: set[str] = set()
        if before is not None:
            met.add(id(before))
            before_name = names[id(before)]
            kept = _carry(before, module, f"{before_name}." if before_name else "", report.lost)
        for key in module.state_dict(recurse=False, train=False):
            (report.kept if key in kept else report.fresh).append(prefix + key)
    for name, module in old.named_modules():
        if id(module) not in met:
            for key in module.state_dict(recurse=False, train=False):
                report.lost[f"{name}.{key}"] = "the new blueprint has no such module"
    return new, report


def _pairs(old: BaseModule, new: BaseModule) -> Iterator[tuple[str, BaseModule, BaseModule | None]]:
    """Yields the modules of the new tree, with the one of the old tree that each goes on from.

    That is the one of its id; else the one of its name, if the class of one is that of the other
    or a base of it, and no id asks for it.
    """
    by_id = {module.id: module for module in old.modules()}
    by_name = dict(old.named_modules())
    found = dict(new.named_modules())
    taken = {id(by_id[module.id]) for module in found.values() if module.id in by_id}
    for name, module in found.items():
        before = by_id.get(module.id)
        if before is None:
            before = by_name.get(name)
            if before is not None and (id(before) in taken or not _related(before, module)):
                before = None
        yield name, module, before


def _related(one: BaseModule, other: BaseModule) -> bool:
    first, second = plain_class(type(one)), plain_class(type(other))
    return issubclass(first, second) or issubclass(second, first)


def _carry(old: BaseModule, new: BaseModule, prefix: str, lost: dict[str, str]) -> set[str]:
    """Loads the Attrs of one module into another; gives the keys that fitted."""
    values = old.state_dict(recurse=False, train=False)
    for key in values.keys() - new.state_keys(recurse=False, train=False):
        del values[key]
        lost[prefix + key] = "the new module has no such Attr"
    kept = set()
    for key, value in values.items():
        try:
            new.load_state_dict({key: value}, recurse=False, train=False, strict=False)
        except StateTypeError as error:
            lost[prefix + key] = error.message
        else:
            kept.add(key)
    new.training = old.training
    return kept


def become(module: BaseModule, other: BaseModule) -> None:
    """Exchanges all that two modules hold; see `BaseModule.become`."""
    cls = plain_class(type(module))
    if plain_class(type(other)) is not cls or getattr(cls, "__adapts__", False):
        kind = kind_of(plain_class(type(other)))
        raise SpecError(
            "kind-mismatch",
            f"a {kind_of(cls)} cannot become a {kind}: only modules of one class exchange what "
            f"they hold; an AdaptModule has update_adapted()",
            kind=kind,
        )
    # Their constructors may have set anything: one attribute left behind and a module is neither.
    first, second = dict(module.__dict__), dict(other.__dict__)
    watched = [(each, name) for each in (module, other) for name in _views(each)]
    before = [getattr(each, name, UNSET) for each, name in watched]
    for name in _IDENTITY:
        mine, theirs = first.pop(name, None), second.pop(name, None)
        if mine is not None:
            second[name] = mine
        if theirs is not None:
            first[name] = theirs
    module.__dict__, other.__dict__ = second, first
    now = [getattr(each, name, UNSET) for each, name in watched]
    call_all(
        partial(told, each, name, new)
        for (each, name), old, new in zip(watched, before, now, strict=True)
        if new is not old and new is not UNSET
    )


def _views(module: BaseModule) -> list[str]:
    """Gives the declared fields of which somebody may hold the Param or Attr object."""
    return list(getattr(module, "_module_views", ()))
