"""A tree of modules as a dict, or captured for a save."""

from typing import Any, final

from dachi_fast.module import BaseModule
from dachi_fast.module._fields import Item

@final
class Layout:
    """The declared names of a class and what each is, in declaration order.

    Args:
        names: attribute names, bases first.
        roles: one of the role constants of `dachi_fast.module._fields` for each name.
    """

    def __new__(cls, names: tuple[str, ...], roles: tuple[int, ...]) -> Layout: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def roles(self) -> tuple[int, ...]: ...

@final
class Capture:
    """A state taken at one moment, encoded and ready to be saved once."""

    @property
    def entries(self) -> int:
        """How many values."""

    @property
    def size_bytes(self) -> int:
        """How many bytes of encoded values."""

def flatten(
    module: BaseModule, recurse: bool = True, train: bool = True, runtime: bool = True
) -> dict[str, Any]:
    """Gives the state of a module as a flat dict from dotted key to live value.

    Raises:
        StateTypeError: an item in a raw field, or a dict of modules with a key of another type.
        StateValueError: a cycle, equal keys, a key with a dot, or a nest deeper than 100.
    """

def held(
    module: BaseModule, *, params: bool = False, attrs: bool = False
) -> tuple[list[tuple[str, Item[Any]]], list[tuple[str, BaseModule]]]:
    """Gives what one module holds itself.

    Args:
        module: the module.
        params: whether its Params are wanted.
        attrs: whether its Attrs are wanted; not both.

    Returns:
        The Params or Attrs with their names, and the children with their keys.

    Raises:
        StateTypeError: as `flatten`.
        StateValueError: as `flatten`.
    """

def describe(module: BaseModule, *, full_kinds: bool = False, to_dict: bool = False) -> Any:
    """Gives the blueprint of a tree in which all is of the most common form.

    Args:
        module: the root.
        full_kinds: whether kinds are written as `module:qualname`.
        to_dict: whether to give a dict in place of a pydantic object.

    Returns:
        The blueprint; None where `dachi_fast.spec._describe` must write it.
    """

def capture(module: BaseModule, *, copy_arrays: bool = False) -> Capture:
    """Walks and encodes a tree in one pass.

    Args:
        module: the root.
        copy_arrays: copy large arrays now instead of reading them where they lie during the save;
            for callers that go on before the save is done.

    Raises:
        StateTypeError: a type that state cannot hold; ``context["path"]`` says where.
        StateValueError: as `flatten`, or a value that cannot be held.
    """

def schema(module: BaseModule) -> bytes:
    """Gives the encoded table of the classes of a tree, as a save keeps it.

    A map, ascending: `module:qualname` -> ``[versions, fields]``, which
    `dachi_fast.spec._shape.shape_of` describes.

    Raises:
        StateError: as `capture`.
    """

def rebuild(blueprint: dict[str, Any], state: dict[str, Any]) -> tuple[BaseModule, bool]:
    """Makes modules out of what `dachi_fast._core.store.Loaded` gives, changed or not.

    Args:
        blueprint: as `blueprint()` gives it.
        state: dot path -> value.

    Returns:
        As `build()`.

    Raises:
        SpecError: a kind is not registered, or its fields are others.
        StateTypeError: a value does not fit its annotation, or cannot be held.
        Malformed: no such blueprint can have been saved.
    """

def same_structure(a: BaseModule, b: BaseModule) -> bool:
    """Gives whether two trees have the same kinds in the same places."""

@final
class LoadPlan:
    """What a load will write, and what it found wrong."""

    @property
    def found(self) -> list[str]:
        """The keys of the state that have a place."""

    @property
    def missing(self) -> list[str]:
        """The expected keys that the state does not have."""

    @property
    def items(self) -> list[tuple[Item[Any], Any]]:
        """Items and their new values, which are not written here."""

    @property
    def swaps(self) -> list[tuple[Any, BaseModule]]:
        """AdaptModules and their new modules, which are not put in here."""

    @property
    def told(self) -> list[tuple[BaseModule, str, Any]]:
        """Module, name and new value of the attributes that may have callbacks."""

    def __len__(self) -> int: ...
    def write(self) -> None:
        """Writes the attributes as `object.__setattr__` does: past callbacks and fixes."""

    def undo(self) -> None:
        """Writes back what was there before."""

def plan_load(
    module: BaseModule, state: dict[str, Any], wanted: tuple[bool, bool, bool], copy: bool
) -> LoadPlan:
    """Finds what loading a flat state into a tree would write; nothing is written.

    Args:
        module: the root.
        state: dotted key -> value.
        wanted: whether children, Params and Attrs are loaded.
        copy: whether values are copied.

    Raises:
        StateTypeError: a value does not fit the annotation of its field.
        StateValueError: as `flatten`.
    """

def build_spec(cls: type[BaseModule], spec: dict[str, Any]) -> Any | None:
    """Builds a module of a class from a spec that pydantic would take as it is.

    Returns:
        The module; None for everything that pydantic must look at, errors among it.
    """

def exceeded(
    spec: dict[str, Any], limits: tuple[int, int, int, int]
) -> tuple[str, list[Any]] | None:
    """Measures a spec without looking at what it says.

    Args:
        spec: dicts, lists and values; what stands in two places is counted twice.
        limits: the most levels, modules, values and bytes, as in `SpecLimits`.

    Returns:
        The name of the limit that is exceeded, with the keys and indexes that lead to where; None
        if none is.

    Complexity:
        O(values), no more than the limit of them; O(depth) memory.
    """
