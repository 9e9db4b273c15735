"""Checkpoint: a module in one plain file, beside the store.

The file is JSON: `{"dachi_fast": "checkpoint", "format": 1, "spec": ..., "state": ...}`. What JSON
lacks is an object with one key that begins with "$"; `_WRITERS` and `_READERS` list them. A list,
dict or other object that occurs more than once is `{"$shared": [number, itself]}` where it stands
first, and `{"$same": number}` elsewhere.

It is neither encrypted nor proved, and has no versions: that is what a store is for.
"""

from __future__ import annotations

import base64
import json
import os
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dachi_fast import values
from dachi_fast._core import codec
from dachi_fast._files import replacing
from dachi_fast.errors import DachiError, FormatTooNew, Malformed, StateTypeError, StateValueError
from dachi_fast.module import load_owned
from dachi_fast.spec import from_spec, full_spec, registry

if TYPE_CHECKING:
    from dachi_fast.module import BaseModule
    from dachi_fast.spec._spec import BaseSpec

_FORMAT: Final = 1
_MAX_DEPTH: Final = 100  # levels of values; each takes up to three in the file
_IMMUTABLE: Final = (tuple, frozenset, bytes, complex, np.generic, type(Ellipsis))


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds: the blueprint and the state of a tree of modules.

    Types come back equal, also those that JSON lacks, and what was one object inside is one again:
    a module that is held twice, a list in two Attrs.

    Attributes:
        spec: the blueprint; its kinds are full ones (`module:qualname`).
        state_dict: dotted key -> value.

    Example:
        >>> import tempfile, pathlib
        >>> from dachi_fast import Attr, BaseModule, Checkpoint
        >>> class Diary(BaseModule):
        ...     days: dict[int, tuple[str, ...]] = Attr(default_factory=dict)
        >>> diary = Diary()
        >>> diary.days[1] = ("rain", "tea")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "diary.json"
        ...     Checkpoint.save_module(diary, path)
        ...     Checkpoint.load_module(path).days
        {1: ('rain', 'tea')}
    """

    spec: BaseSpec
    state_dict: dict[str, Any]

    @staticmethod
    def save_module(module: BaseModule, path: str | os.PathLike[str]) -> None:
        """Writes a module to a file: whole, or not at all.

        Args:
            module: the root of a tree.
            path: the file; one that is there is replaced. Only its owner may read it.

        Raises:
            StateError: the module has no state, or a value cannot be held; with its path.
            SpecError: a module contains itself.
            OSError: the file cannot be written.
        """
        writer = _Writer()
        document = {
            "dachi_fast": "checkpoint",
            "format": _FORMAT,
            "spec": writer.node(full_spec(module), "", 0),
            "state": {k: writer.node(v, k, 0) for k, v in module.state_dict().items()},
        }
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, default=_Node.shown)
        with replacing(Path(path)) as file:
            file.write(text)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Checkpoint:
        """Reads a file.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is no JSON, no checkpoint (`Malformed`), one of a newer dachi_fast
                (`FormatTooNew`), or names a kind that is not registered here (`SpecError`).
            StateTypeError: a class in it is not registered here.
            pydantic.ValidationError: the blueprint does not fit its class of today.
        """
        spec, state = _read(Path(path))
        kind: Any = registry.find_kind(spec["kind"])
        return cls(kind.schema().model_validate(spec), state)

    @classmethod
    def load_module(
        cls,
        path: str | os.PathLike[str],
        ctx: Mapping[str, BaseModule] | None = None,
        *,
        allow: Sequence[type | str] | None = None,
    ) -> Any:
        """Builds the module that a file holds.

        Args:
            path: the file.
            ctx: id -> module: as in `from_spec`.
            allow: as in `from_spec`: the only kinds that may occur.

        Returns:
            The module.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: as `load` does.
            SpecError: as `from_spec` does.
            StateError: the state does not fit the blueprint.
        """
        spec, state = _read(Path(path))
        module = from_spec(spec, ctx, allow=allow)
        load_owned(module, state)
        return module


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        document = json.loads(path.read_bytes())
        if not isinstance(document, dict) or document.get("dachi_fast") != "checkpoint":
            raise Malformed("malformed", f"{path} is no checkpoint", path=str(path))
        if document["format"] != _FORMAT:
            raise FormatTooNew(
                "format-too-new",
                f"{path} was written by a newer dachi_fast, as format {document['format']!r:.20}",
                path=str(path),
            )
        reader = _Reader()
        spec = reader.value(document["spec"])
        state = {key: reader.value(node) for key, node in document["state"].items()}
        spec["kind"]
    except DachiError:
        raise
    except (
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        RecursionError,
        struct.error,
    ) as cause:
        raise Malformed("malformed", f"{path} cannot be read: {cause}", path=str(path)) from cause
    return spec, state


# --- values to JSON -------------------------------------------------------------------------------


class _Node:
    """What stands for an object that may occur again; `number` is set when it does."""

    __slots__ = ("content", "number")

    def __init__(self) -> None:
        self.content: object = None
        self.number: int | None = None

    @staticmethod
    def shown(node: object) -> object:
        """Gives what JSON has for it."""
        assert isinstance(node, _Node)  # noqa: S101 - narrows
        return node.content if node.number is None else {"$shared": [node.number, node.content]}


class _Writer:
    """One run over the values of one file."""

    def __init__(self) -> None:
        self.met: dict[int, tuple[object, _Node]] = {}  # the object too: else its id is used again
        self.open: set[int] = set()
        self.shared = 0

    def node(self, value: object, path: str, depth: int) -> object:
        """Gives a value as JSON has it.

        Raises:
            StateTypeError: a type that state cannot hold.
            StateValueError: it contains itself, or nests too deeply.
        """
        if value is None or value is True or value is False:
            return value
        kind = type(value)
        plain = _PLAIN.get(kind)
        if plain is not None:
            return plain(value)
        if depth > _MAX_DEPTH or id(value) in self.open:
            raise self._endless(value, path)
        known = self.met.get(id(value))
        if known is not None:
            return self._again(known[1])
        node = _Node()
        if not isinstance(value, _IMMUTABLE):
            self.met[id(value)] = (value, node)
        self.open.add(id(value))
        node.content = self._content(value, kind, path, depth + 1)
        self.open.discard(id(value))
        return node

    def _again(self, node: _Node) -> dict[str, int]:
        if node.number is None:
            node.number = self.shared
            self.shared += 1
        return {"$same": node.number}

    def _endless(self, value: object, path: str) -> StateValueError:
        if id(value) in self.open:
            return StateValueError("cycle", f"{path!r} contains itself", path=path)
        return StateValueError(
            "too-deep", f"{path!r} is nested deeper than {_MAX_DEPTH} levels", path=path
        )

    def _content(self, value: Any, kind: type, path: str, depth: int) -> object:
        if kind is list:
            return self._all(value, path, depth)
        if kind is dict:
            if all(type(key) is str and not key.startswith("$") for key in value):
                return {k: self.node(v, f"{path}.{k}", depth) for k, v in value.items()}
            return {"$dict": [self._all(pair, path, depth) for pair in value.items()]}
        if kind in _SEQUENCES:
            return {_SEQUENCES[kind]: self._all(value, path, depth)}
        if kind is np.ndarray or isinstance(value, np.generic) or kind is complex:
            return {"$exact": _base64(codec.encode(value))}
        if value is Ellipsis:
            return {"$ellipsis": None}
        lowered = values.lower(value)
        if lowered is None:
            raise StateTypeError(
                "unsupported-type",
                f"{path!r}: {kind.__module__}.{kind.__qualname__} is no type that state can hold",
                path=path,
                type=f"{kind.__module__}.{kind.__qualname__}",
            )
        tag, payload = lowered
        return {f"${tag}": self.node(payload, path, depth)}

    def _all(self, value: Any, path: str, depth: int) -> list[object]:
        return [self.node(v, f"{path}.{at}", depth) for at, v in enumerate(value)]


def _int(value: Any) -> object:
    return value if -(2**63) <= value < 2**63 else {"$int": hex(value)}  # others' JSON has no more


def _float(value: Any) -> object:
    if value - value == 0:
        return value
    return {"$float": struct.pack(">d", value).hex()}  # an infinity, or a NaN with its bits


def _text(value: Any) -> object:
    try:
        value.encode()
    except UnicodeEncodeError:  # lone surrogates
        return {"$text": value.encode("utf-8", "surrogatepass").hex()}
    return value


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


_PLAIN: Final[dict[type, Callable[[Any], object]]] = {
    str: _text,
    int: _int,
    float: _float,
    bytes: lambda value: {"$bytes": _base64(value)},
}
_SEQUENCES: Final[dict[type, str]] = {tuple: "$tuple", set: "$set", frozenset: "$frozenset"}


# --- JSON to values -------------------------------------------------------------------------------


class _Reader:
    """One run over one file."""

    def __init__(self) -> None:
        self.shared: dict[int, object] = {}
        self.readers: dict[str, Callable[[Any], object]] = {
            "$shared": self._first,
            "$same": lambda number: self.shared[number],
            "$dict": lambda pairs: {self.value(k): self.value(v) for k, v in pairs},
            "$tuple": lambda found: tuple(self._all(found)),
            "$set": lambda found: set(self._all(found)),
            "$frozenset": lambda found: frozenset(self._all(found)),
        }

    def value(self, node: Any) -> Any:
        """Gives the value that a node of the file stands for."""
        if isinstance(node, list):
            return self._all(node)
        if not isinstance(node, dict):
            return node
        tag = next(iter(node), "")
        if len(node) != 1 or not tag.startswith("$"):
            return {key: self.value(held) for key, held in node.items()}
        held = node[tag]
        if tag in self.readers:
            return self.readers[tag](held)
        if tag in _READERS:
            return _READERS[tag](held)
        return values.raised(tag[1:], self.value(held))

    def _all(self, nodes: list[Any]) -> list[Any]:
        return [self.value(node) for node in nodes]

    def _first(self, held: Any) -> object:
        number, node = held
        self.shared[number] = found = self.value(node)
        return found


_READERS: Final[dict[str, Callable[[Any], object]]] = {
    "$int": lambda text: int(text, 16),
    "$float": lambda text: struct.unpack(">d", bytes.fromhex(text))[0],
    "$text": lambda text: bytes.fromhex(text).decode("utf-8", "surrogatepass"),
    "$bytes": lambda text: base64.b64decode(text, validate=True),
    "$exact": lambda text: codec.decode(base64.b64decode(text, validate=True)),
    "$ellipsis": lambda _: ...,
}
