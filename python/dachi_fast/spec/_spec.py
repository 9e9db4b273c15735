"""BaseSpec: the pydantic base of every blueprint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from dachi_fast.module._base import new_id
from dachi_fast.spec._place import is_building
from dachi_fast.spec._registry import full_kind_of, kind_of, registry

if TYPE_CHECKING:
    from dachi_fast.module._base import BaseModule  # noqa: TC004


def _new_id() -> Any:
    # What is built without one gets its own: the same dict in two places is two modules.
    return None if is_building() else new_id()


class BaseSpec(BaseModel):
    """A blueprint: `kind` says which class, `id` which object, the rest are the class's fields.

    Args:
        kind: short kind or `module:qualname` of a registered module class.
        id: identity within a tree: specs of one id are one object. A random UUID when left out.

    Example:
        >>> from dachi_fast import BaseModule, BaseSpec, Param
        >>> class Lamp(BaseModule):
        ...     watts: int = Param(default=60)
        >>> spec = Lamp(watts=40).spec()
        >>> isinstance(spec, BaseSpec), spec.kind, spec.watts
        (True, 'Lamp', 40)
        >>> spec.load_cls() is Lamp
        True
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, protected_namespaces=())
    module_class_: ClassVar[type[BaseModule] | None] = None
    inner_names_: ClassVar[dict[str, str]] = {}  # field of the module -> field of this class

    kind: str
    id: str = Field(default_factory=_new_id)

    def load_cls(self) -> type[BaseModule]:
        """Gives the module class that `kind` names.

        Raises:
            SpecError: unknown (near matches are named) or ambiguous (also a ValueError).
        """
        own = type(self).module_class_
        if own is not None and self.kind in (kind_of(own), full_kind_of(own)):
            return own
        return registry.find_kind(self.kind)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            inner = type(self).inner_names_.get(name)
            if inner is not None:
                return getattr(self, inner)
            return super().__getattr__(name)

    def model_dump(self, **kwargs: Any) -> dict[str, Any]:
        """Gives the blueprint as a dict with exactly `kind`, `id` and the fields."""
        kwargs.setdefault("by_alias", True)
        return super().model_dump(**kwargs)

    def model_dump_json(self, **kwargs: Any) -> str:
        """Gives the blueprint as JSON text with exactly `kind`, `id` and the fields."""
        kwargs.setdefault("by_alias", True)
        return super().model_dump_json(**kwargs)
