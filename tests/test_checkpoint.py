"""Checkpoint: a module in one plain file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dachi_fast import AdaptModule, Attr, BaseModule, Checkpoint, ModuleDict, ModuleList, Param
from dachi_fast.errors import FormatTooNew, SpecError, StateError, StateTypeError, StateValueError
from tests.samples import CASES, Holder
from tests.tokens import same


class KeptLeaf(BaseModule):
    size: int = Param()
    seen: list[int] = Attr(default_factory=list)


class KeptTree(BaseModule):
    name: str = Param(default="t")
    note: str = "plain"
    leaves: list[KeptLeaf] = Param(default_factory=list)
    held: AdaptModule[KeptLeaf] | None = Param(default=None)
    memory: dict[Any, Any] = Attr(default_factory=dict)
    weight: Param[float]

    def __post_init__(self) -> None:
        self.made = Attr(data=())


class Written(BaseModule):
    def __init__(self, size: int) -> None:
        self.weights = Param(data=[0.0] * size)
        self.leaf = KeptLeaf(size=size)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.json"


def tree() -> Any:
    made: Any = KeptTree(
        note="other",
        leaves=[KeptLeaf(size=1), KeptLeaf(size=2)],
        held=AdaptModule(KeptLeaf(size=3)),
        weight=Param(data=0.5),
    )
    made.memory = {1: ("a", b"b"), "x": np.arange(3.0), (2, 3): {4}}
    made.made.data = (1, (2,))
    made.leaves[1].seen.append(7)
    return made


@pytest.mark.parametrize(
    "make",
    [
        tree,
        lambda: Written(3),
        lambda: ModuleList(
            items=[KeptLeaf(size=1), ModuleDict(items={"a": KeptLeaf(size=2), "n": 3})]
        ),
    ],
    ids=["declared and made", "written constructor", "containers"],
)
def test_a_module_comes_back_with_its_blueprint_and_state(make: Any, path: Path) -> None:
    module = make()
    Checkpoint.save_module(module, path)
    twin = Checkpoint.load_module(path)
    assert type(twin) is type(module)
    assert same(twin.state_dict(), module.state_dict())
    assert twin.spec(to_dict=True) == module.spec(to_dict=True)


@pytest.mark.parametrize("label", CASES)
def test_a_value_comes_back_with_its_type(label: str, path: Path) -> None:
    holder = Holder()
    holder.value = {"at": CASES[label]()}
    Checkpoint.save_module(holder, path)
    assert same(Checkpoint.load_module(path).value, holder.value)


def test_the_file_is_json_that_people_can_read(path: Path) -> None:
    module = tree()
    Checkpoint.save_module(module, path)
    document = json.loads(path.read_text())
    assert (document["dachi_fast"], document["format"]) == ("checkpoint", 1)
    assert document["spec"]["note"] == "other"
    assert document["state"]["leaves.1.seen"] == [7]
    assert document["state"]["made"] == {"$tuple": [1, {"$tuple": [2]}]}


def test_blueprint_and_state_can_be_had_apart(path: Path) -> None:
    module = tree()
    Checkpoint.save_module(module, path)
    found = Checkpoint.load(path)
    spec: Any = found.spec
    assert spec.load_cls() is KeptTree
    assert (spec.id, spec.note, spec.leaves[0].size) == (module.id, "other", 1)
    assert same(found.state_dict, module.state_dict())
    twin = KeptTree.from_spec(spec)
    twin.load_state_dict(found.state_dict)
    assert same(twin.state_dict(), module.state_dict())


def test_what_is_one_object_inside_is_one_again(path: Path) -> None:
    leaf = KeptLeaf(size=1)
    module = KeptTree(leaves=[leaf, leaf], weight=Param(data=1.0))
    log: list[Any] = [1]
    module.memory = {"a": log, "b": (log, {"c": log})}
    other = KeptLeaf(size=2)
    module.made.data = (other, [other], log)  # type: ignore[assignment]
    Checkpoint.save_module(module, path)
    twin: Any = Checkpoint.load_module(path)
    assert twin.leaves[0] is twin.leaves[1]
    log = twin.memory["a"]
    assert twin.memory["b"][0] is twin.memory["b"][1]["c"] is twin.made.data[2] is log
    assert twin.made.data[0] is twin.made.data[1][0]


def test_equal_objects_that_are_two_stay_two(path: Path) -> None:
    module = KeptTree(leaves=[KeptLeaf(size=1), KeptLeaf(size=1)], weight=Param(data=1.0))
    module.memory = {"a": [1], "b": [1]}
    Checkpoint.save_module(module, path)
    twin = Checkpoint.load_module(path)
    assert twin.leaves[0] is not twin.leaves[1]
    assert twin.memory["a"] is not twin.memory["b"]


def test_existing_modules_take_the_place_of_their_ids(path: Path) -> None:
    module = tree()
    known = module.leaves[0]
    Checkpoint.save_module(module, path)
    twin = Checkpoint.load_module(path, ctx={known.id: known})
    assert twin.leaves[0] is known
    assert twin.leaves[1] is not module.leaves[1]


def test_only_kinds_that_are_allowed_are_built(path: Path) -> None:
    Checkpoint.save_module(tree(), path)
    with pytest.raises(SpecError, match="not allowed"):
        Checkpoint.load_module(path, allow=[KeptTree])
    assert isinstance(Checkpoint.load_module(path, allow=[KeptTree, KeptLeaf]), KeptTree)


def test_a_missing_file_is_not_found(path: Path) -> None:
    for load in (Checkpoint.load, Checkpoint.load_module):
        with pytest.raises(FileNotFoundError):
            load(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"3",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"dachi_fast": "other"}',
        b'{"dachi_fast": "checkpoint"}',
        *(
            b'{"dachi_fast": "checkpoint", "format": 1, ' + rest + b"}"
            for rest in (
                b'"spec": {"kind": "KeptLeaf"}',
                b'"spec": 3, "state": {}',
                b'"spec": {}, "state": {}',
                b'"spec": {"kind": "KeptLeaf"}, "state": []',
                b'"spec": {"kind": "KeptLeaf"}, "state": {"a": {"$x": 1}}',
                b'"spec": {"kind": "KeptLeaf"}, "state": {"a": {"$same": 1}}',
                b'"spec": {"kind": "KeptLeaf"}, "state": {"a": {"$set": [[]]}}',
                b'"spec": {"kind": "KeptLeaf"}, "state": {"a": {"$exact": "!"}}',
                b'"spec": {"kind": "Nowhere"}, "state": {}',
            )
        ),
    ],
)
def test_what_is_no_checkpoint_is_a_value_error(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    for load in (Checkpoint.load, Checkpoint.load_module):
        with pytest.raises(ValueError):
            load(path)


def test_a_file_of_a_newer_format_is_told_so(path: Path) -> None:
    path.write_text('{"dachi_fast": "checkpoint", "format": 2}')
    with pytest.raises(FormatTooNew, match="newer"):
        Checkpoint.load(path)


def test_what_cannot_be_held_is_named_and_leaves_the_file_as_it_was(path: Path) -> None:
    module = tree()
    Checkpoint.save_module(module, path)
    before = path.read_bytes()
    loop: list[Any] = []
    loop.append(loop)
    deep: Any = 1
    for _ in range(150):
        deep = [deep]
    for value, error in ((object(), StateTypeError), (loop, StateValueError), (deep, StateError)):
        module.memory = {"x": [value]}
        with pytest.raises(error, match="memory"):
            Checkpoint.save_module(module, path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_file_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Checkpoint.save_module(KeptLeaf(size=1), path)

    def full(*_: object) -> None:
        raise OSError(28, "no space")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        Checkpoint.save_module(KeptLeaf(size=2), path)
    assert Checkpoint.load_module(path).size == 1
    assert list(path.parent.iterdir()) == [path]


def test_the_state_of_modules_made_later_does_not_load(path: Path) -> None:
    module = tree()
    module.late = KeptLeaf(size=1)
    Checkpoint.save_module(module, path)
    with pytest.raises(StateError, match="assigned after"):
        Checkpoint.load_module(path)
