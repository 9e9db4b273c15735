"""What a version keeps of its classes."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import pytest

from dachi_fast import Attr, BaseModule, ModuleList, Param, Shared, Store, registry
from dachi_fast._core import codec
from dachi_fast._core.state import schema
from dachi_fast.errors import MigrationError
from dachi_fast.spec._shape import type_text

T = TypeVar("T")


class Base(BaseModule):
    __schema_version__ = 3
    size: int = Param(default=1)


class Part(Base):
    label: str = "part"
    history: list[str] = Attr(default_factory=list)
    board: dict[str, int] = Shared(default_factory=dict)


class Whole(BaseModule):
    __schema_version__ = 2
    parts: list[Part] = Param(default_factory=list)

    def __post_init__(self) -> None:
        self.made = Part()


class Written(BaseModule):
    def __init__(self, first: Part, *, scale: float = 1.0) -> None:
        self.held = first
        self.scale = scale


HERE = "tests.test_schema"


def _table(module: BaseModule) -> Any:
    return codec.decode(schema(module))


def test_a_version_keeps_versions_and_fields_of_each_class_in_the_tree(store: Store) -> None:
    store.save(Whole(parts=[Part()]), "agent")
    _, loaded = store._core.load("agent")
    assert codec.decode(loaded.schema) == {
        f"{HERE}:Part": [
            {f"{HERE}:Base": 3},
            [
                ["size", "param", "int"],
                ["label", "plain", "str"],
                ["history", "attr", "list[str]"],
            ],
        ],
        f"{HERE}:Whole": [{f"{HERE}:Whole": 2}, [["parts", "child", f"list[{HERE}:Part]"]]],
    }


def test_arguments_of_a_constructor_written_by_hand_are_fields() -> None:
    table = _table(ModuleList(items=[Written(Part())]))
    assert list(table) == sorted(table)
    assert table[f"{HERE}:Written"] == [
        {},
        [["first", "argument", f"{HERE}:Part"], ["scale", "argument", "float"]],
    ]


def test_a_module_with_callbacks_is_of_the_same_class_as_any_other() -> None:
    plain, watched = Part(), Part()
    watched.named_states()
    dict(watched.named_parameters())["size"].register_callback(lambda _: None)
    assert type(watched) is not Part
    assert schema(plain) == schema(watched)
    both = _table(ModuleList(items=[plain, watched]))
    assert [kind for kind in both if kind.startswith(HERE)] == [f"{HERE}:Part"]


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "int"),
        (None, "None"),
        (Any, "Any"),
        (int | None, "int | None"),
        (dict[str, list[Part]], f"dict[str, list[{HERE}:Part]]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (Literal["a", 1], "Literal['a', 1]"),
        (Annotated[int, object()], "int"),
        (Callable[[int], str], "collections.abc:Callable[[int], str]"),
        (T, "T"),
        # From 3.13 on the first is in a private module, too.
        (Path, "pathlib:Path"),
        (Future, "concurrent.futures:Future"),
    ],
)
def test_types_are_written_as_text_that_no_process_writes_otherwise(
    annotation: Any, text: str
) -> None:
    assert type_text(annotation) == text


# --- on disk --------------------------------------------------------------------------------------


def test_versions_of_the_same_classes_share_one_table(store: Store) -> None:
    """A save after one change writes the leaf and the version's record, and no table again."""
    part = Part()
    first = store.save(part, "agent")
    sizes = []
    for part.size in range(2, 5):
        sizes.append(store.save(part, "agent").written_bytes)
    assert max(sizes) < first.written_bytes
    part.label = "other"  # the blueprint changes, the classes do not
    assert store.save(part, "agent").written_bytes < first.written_bytes


def test_nothing_on_disk_is_unaccounted_for_by_verify(store: Store) -> None:
    store.save(Part(), "agent")
    assert store.verify().unused_nodes == 0


def test_a_fork_a_copy_and_a_rollback_keep_the_classes_of_their_version(store: Store) -> None:
    store.save(Part(), "agent")
    store.fork("agent", "fork")
    store.copy("agent", to="copy")
    store.rollback("agent", to=1)
    tables = {store._core.load(name)[1].schema for name in ("agent", "fork", "copy")}
    assert tables == {schema(Part())}
    prints = {store.fingerprint(name) for name in ("agent", "fork", "copy")}
    assert len(prints) == 1


def _of_version(version: int) -> BaseModule:
    class Same(BaseModule):
        __module__ = HERE
        __qualname__ = "Same"
        __schema_version__ = version
        size: int = Param(default=1)

    return Same()


def test_equal_content_of_other_classes_has_another_fingerprint(store: Store) -> None:
    first, second, third = _of_version(1), _of_version(2), _of_version(1)
    second._module_id = third._module_id = first.id
    for name, module in (("one", first), ("two", second), ("three", third)):
        store.save(module, name)
    assert store.fingerprint("one") != store.fingerprint("two")
    assert store.fingerprint("one") == store.fingerprint("three")


def test_old_code_cannot_save_over_what_newer_code_has_saved(store: Store) -> None:
    old, new = _of_version(1), _of_version(2)
    store.save(old, "agent")
    store.save(new, "agent", base="latest")
    with pytest.raises(MigrationError, match=f"version 2 of {HERE}:Same, .* version 1") as caught:
        store.save(old, "agent", base="latest")
    assert caught.value.code == "schema-too-new"
    assert caught.value.context | {"saved": 2, "known": 1, "name": "agent"} == caught.value.context
    assert len(store.history("agent")) == 2
    # Going back is a decision of its own; from there old code may go on.
    store.rollback("agent", to=1)
    assert store.save(old, "agent", base="latest").number == 4


# --- values ---------------------------------------------------------------------------------------


@registry.value
@dataclasses.dataclass
class Point:
    __schema_version__ = 4
    x: int


@registry.value
class Pair(NamedTuple):
    left: int
    right: int


@registry.value
class Colour(enum.Enum):
    RED = 1


@pytest.mark.parametrize("value", [Point(1), Pair(1, 2), Colour.RED], ids=str)
def test_a_value_of_a_newer_schema_is_refused_with_both_numbers(
    value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cls = type(value)
    known = getattr(cls, "__schema_version__", 1)
    monkeypatch.setattr(cls, "__schema_version__", known + 1, raising=False)
    data = codec.encode(value)
    monkeypatch.undo()
    with pytest.raises(
        MigrationError, match=f"version {known + 1}.* has version {known}"
    ) as caught:
        codec.decode(data)
    assert caught.value.code == "schema-too-new"
    assert caught.value.context["kind"] == f"{HERE}:{cls.__name__}"


def test_fields_of_a_named_tuple_are_found_by_name_wherever_they_have_moved() -> None:
    data = codec.encode(Pair(1, 2))

    @registry.value
    class Moved(NamedTuple):
        right: int
        left: int

    Moved.__qualname__, Moved.__module__ = "Pair", HERE
    registry.value(Moved)
    try:
        back: Any = codec.decode(data)
        assert (back.left, back.right) == (1, 2)
    finally:
        registry.value(Pair)
