"""ParamSet: the Params of a tree by position, for what tunes them (an optimiser, an LLM)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final, Self

from dachi_fast.errors import FixedError, StateKeyError
from dachi_fast.module import BaseModule, Param, layout_of
from dachi_fast.module._fields import PARAM, call_all, item_bound
from dachi_fast.module._layout import LoadField
from dachi_fast.module._load import fitted
from dachi_fast.module._views import plain_class
from dachi_fast.module._walk import named_items

# What the blueprint of an AdaptModule looks like.
_BLUEPRINT: Final = {
    "type": "object",
    "properties": {"kind": {"type": "string"}},
    "required": ["kind"],
}


class ParamSet:
    """The Params of a tree by position: `param_0`, `param_1`, ..., in the order of `parameters()`.

    It holds the Param objects themselves: it reads and writes the module.

    Example:
        >>> from dachi_fast import BaseModule, Param, ParamSet
        >>> class Prompt(BaseModule):
        ...     text: str = Param(default="Be brief.")
        ...     words: int = Param(default=50)
        >>> prompt = Prompt()
        >>> params = ParamSet.build(prompt)
        >>> params.update({"param_1": 20})
        >>> prompt.words, params.to_dict()
        (20, {'param_0': 'Be brief.', 'param_1': 20})
    """

    def __init__(self, places: Mapping[str, tuple[Param[Any], str, LoadField]]) -> None:
        self._places = dict(places)

    @classmethod
    def build(cls, module: BaseModule) -> Self:
        """Takes the Params of a tree.

        Args:
            module: its root. Params that come later, or with a module that an AdaptModule is given
                later, are not in the set.
        """
        found = named_items(module, recurse=True, attrs=False)
        return cls(
            {
                f"param_{number}": (item, name, _field(owner, item, name.rpartition(".")[2]))
                for number, (name, item, owner) in enumerate(found)
            }
        )

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Param[Any]]:
        return (item for item, _, _ in self._places.values())

    def to_dict(self) -> dict[str, Any]:
        """Gives the values by key; live references."""
        return {key: item.data for key, (item, _, _) in self._places.items()}

    def update(self, values: Mapping[str, Any]) -> None:
        """Writes some of the values, all that are given or none.

        Unlike an assignment, and like a load, it checks types: the values may be an LLM's.

        Args:
            values: key -> value.

        Raises:
            StateKeyError: there is no such key (also a KeyError).
            StateTypeError: a value does not fit the annotation of its field.
            SpecError: a blueprint of an AdaptModule cannot be built.
            FixedError: a Param is fixed (also a RuntimeError).
            Exception: what a callback raised, when all is written.
        """
        extra = tuple(str(key) for key in values if key not in self._places)
        if extra:
            raise StateKeyError(
                "state-keys",
                f"there is no {', '.join(map(repr, extra))} among {len(self)} Params",
                missing=(),
                extra=extra,
            )
        writes = []
        for key, value in values.items():
            item, name, field = self._places[key]
            if item.fixed:
                raise FixedError("fixed", f"{key} ({name}) is fixed", path=name)
            writes.append((item, _fitted(item, value, field, name)))
        call_all(partial(item.set, value) for item, value in writes)

    def schema(self) -> dict[str, Any]:
        """Gives a JSON schema of what `update` takes; descriptions say the dotted names.

        A Param whose type nobody declared, or has none in JSON, may be anything.
        """
        schemas, definitions = _schemas(
            {key: field.annotation for key, (_, _, field) in self._places.items()}
        )
        properties = {
            key: {**(_BLUEPRINT if item._adapts else schemas[key]), "description": name}
            for key, (item, name, _) in self._places.items()
        }
        return {
            "type": "object",
            "title": type(self).__name__,
            "properties": properties,
            "additionalProperties": False,
            **definitions,
        }

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.to_dict()!r})"


def _field(owner: BaseModule, item: Param[Any], name: str) -> LoadField:
    """Gives what a Param holds: what its own class says, else the annotation of its field."""
    bound = item_bound(type(item))
    if bound is None or bound is Any:  # a declared field, or one that nobody declared
        cls = plain_class(type(owner))
        layout_of(cls)
        fields: tuple[LoadField, ...] = cls.__dict__["__load_fields__"]
        found = next((field for field in fields if field.name == name), None)
        return LoadField(name, PARAM, Any) if found is None else found
    return LoadField(name, PARAM, bound)


def _fitted(item: Param[Any], value: Any, field: LoadField, name: str) -> Any:
    if item._adapts:
        owner: Any = item._owner  # type: ignore[attr-defined]
        return owner._module_for(value)  # built now: one that cannot be is no half of an update
    return fitted(value, field, name, copy=True)


def _schemas(annotations: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Gives a JSON schema of each annotation, and what they refer to (with its key, if any)."""
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    adapters: list[Any] = []
    schemas: dict[str, Any] = {}
    for key, annotation in annotations.items():
        schemas[key] = {}
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(annotation)
            adapter.json_schema()
        except PydanticUserError:  # a type that JSON, or pydantic, does not know
            continue
        adapters.append((key, "validation", adapter))
    made, shared = TypeAdapter.json_schemas(adapters)
    schemas.update({key: schema for (key, _), schema in made.items()})
    return schemas, {"$defs": shared["$defs"]} if "$defs" in shared else {}
