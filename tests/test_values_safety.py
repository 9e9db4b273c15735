"""Nothing is pickled anywhere, and loading runs no code of the classes it puts together."""

from __future__ import annotations

import ast
import dataclasses
import enum
import pickle
import pickletools
import sys
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pydantic
import pytest

from dachi_fast import Attr, BaseModule, KeyFile, Param, Store, registry
from dachi_fast._core import codec
from dachi_fast.errors import DachiError, Malformed
from tests.samples import CASES, Holder
from tests.tokens import same

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "python" / "dachi_fast"

SERIALISERS = {"pickle", "_pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
RUNNERS = {"eval", "exec", "compile", "__import__"}
# What a class's own source spells may be run while the class is made; data never reaches these.
MAY_RUN = {("module/_annotations.py", "eval"), ("module/_declare.py", "exec")}


def _calls(tree: ast.AST) -> set[str]:
    return {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }


def _imports(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_the_package_imports_no_serialiser_that_runs_code_and_evaluates_no_data() -> None:
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        tree = ast.parse(path.read_text())
        wrong += [f"{name} imports {found}" for found in _imports(tree) & SERIALISERS]
        wrong += [
            f"{name} calls {found}"
            for found in _calls(tree) & RUNNERS
            if (name, found) not in MAY_RUN
        ]
        wrong += [
            f"{name} allows pickles"
            for node in ast.walk(tree)
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle"
        ]
    assert wrong == []


def test_the_core_names_no_serialiser_that_runs_code() -> None:
    texts = {path: path.read_text() for path in (ROOT / "rust" / "src").rglob("*.rs")}
    assert texts
    words = ("pickle", "marshal", "py.eval", "py.run", "__reduce__", "__setstate__", "run_code")
    found = [f"{path}: {word}" for path, text in texts.items() for word in words if word in text]
    assert found == []


def test_no_saved_byte_is_a_pickle() -> None:
    for make in CASES.values():
        data = codec.encode(make())
        with pytest.raises(Exception):  # noqa: B017 - pickletools has no error of its own
            list(pickletools.genops(data))


# --- classes that must not be asked ---------------------------------------------------------------

RAN: list[str] = []
ARMED: list[bool] = []


def _trap(name: str) -> Any:
    def sprung(*_: object, **__: object) -> Any:
        if ARMED:
            RAN.append(name)
            message = f"{name} ran while a state was loaded"
            raise AssertionError(message)
        return None

    return sprung


class Trapped:
    """Mixed in: everything that pickle or a constructor would call."""

    __slots__ = ()
    __setstate__ = _trap("__setstate__")
    __getnewargs__ = _trap("__getnewargs__")
    __reduce__ = _trap("__reduce__")

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _trap("__reduce_ex__")(protocol)

    def __del__(self) -> None:
        pass


@registry.value
@dataclasses.dataclass
class TrappedData(Trapped):
    a: Any
    b: int = 3

    def __post_init__(self) -> None:
        _trap("__post_init__")()

    def __setattr__(self, name: str, value: object) -> None:
        _trap("__setattr__")()
        object.__setattr__(self, name, value)


class _TrappedBase(NamedTuple):
    a: int
    b: Any


@registry.value
class TrappedTuple(_TrappedBase):
    __slots__ = ()

    def __new__(cls, a: int, b: Any) -> Self:
        _trap("__new__ of a tuple")()
        return super().__new__(cls, a, b)

    __reduce__ = _trap("__reduce__ of a tuple")


@registry.value
class TrappedModel(pydantic.BaseModel):
    a: int
    b: Any = None
    _c: int = pydantic.PrivateAttr(default_factory=lambda: _trap("a default factory")() or 5)

    def __new__(cls, *_: object, **__: object) -> Self:
        _trap("__new__ of a model")()
        return super().__new__(cls)

    def __init__(self, **values: Any) -> None:
        _trap("__init__ of a model")()
        super().__init__(**values)

    @pydantic.field_validator("a")
    @classmethod
    def _validated(cls, value: int) -> int:
        _trap("a validator")()
        return value

    def model_post_init(self, _: Any) -> None:
        _trap("model_post_init")()

    __setstate__ = _trap("__setstate__ of a model")


@registry.value
class TrappedEnum(enum.Enum):
    A = 1

    def __reduce_ex__(self, _: Any) -> Any:
        return _trap("__reduce_ex__ of an enum")()

    @classmethod
    def _missing_(cls, _: object) -> Any:
        return _trap("_missing_")()


class TrappedModule(BaseModule):
    weight: int = Param(default=1)
    seen: Any = Attr(default=None)

    __setstate__ = _trap("__setstate__ of a module")
    __reduce__ = _trap("__reduce__ of a module")


@pytest.fixture
def _disarmed() -> Any:
    yield
    ARMED.clear()
    RAN.clear()


def _value() -> dict[str, Any]:
    return {
        "data": TrappedData([TrappedData(1)], 4),
        "tuple": TrappedTuple(1, [2]),
        "model": TrappedModel(a=1, b={"k": TrappedModel(a=2)}),
        "enum": [TrappedEnum.A],
        "module": TrappedModule(),
        "arrays": [np.arange(3000), np.zeros(2, [("a", "<f4")])],
    }


@pytest.mark.usefixtures("_disarmed")
def test_loading_calls_nothing_of_the_classes_it_puts_together(tmp_path: Path) -> None:
    agent = TrappedModule()
    agent.seen = _value()
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        store.save(agent, "agent")
        agent.weight = 2
        store.save(agent, "agent")
        ARMED.append(True)
        back = store.load("agent", version=1)
        other = store.load_into(TrappedModule(), "agent")
        store.rollback("agent", to=1, into=other)
        changes = store.diff("agent", 1, 2)
        store.verify()
        ARMED.clear()
    assert RAN == []
    assert [change.path for change in changes] == ["weight"]
    assert same(back.seen["arrays"], agent.seen["arrays"])
    assert back.seen["data"] == agent.seen["data"]
    assert back.seen["model"] == agent.seen["model"]
    assert back.seen["tuple"] == (1, [2])


@pytest.mark.usefixtures("_disarmed")
def test_the_traps_spring_where_code_does_run() -> None:
    ARMED.append(True)
    for make in (lambda: TrappedData(1), lambda: TrappedTuple(1, 2), lambda: TrappedModel(a=1)):
        with pytest.raises(AssertionError, match="ran while"):
            make()
    with pytest.raises(AssertionError, match="ran while"):
        pickle.dumps(TrappedModule())
    assert RAN


def test_a_name_in_the_bytes_imports_nothing() -> None:
    agent = Holder()
    agent.value = 1
    data = codec.encode(agent)
    kind = f"{Holder.__module__}:Holder".encode()
    assert kind in data
    forged = data.replace(kind, b"antigravity:" + b"X" * (len(kind) - 12))
    with pytest.raises(DachiError):
        codec.decode(forged)
    assert "antigravity" not in sys.modules


def test_an_array_of_objects_cannot_be_smuggled_in() -> None:
    data = codec.encode(np.arange(2, dtype="<u8"))
    for dtype in (b"|O8", b"<O8", b"=O8"):
        with pytest.raises(Malformed):
            codec.decode(data.replace(b"<u8", dtype))
    records = codec.encode(np.zeros(2, [("a", "<u8")]))
    with pytest.raises(Malformed):
        codec.decode(records.replace(b"<u8", b"|O8"))


@pytest.mark.parametrize(
    "damaged",
    [
        "c9 00de0001 05 90",  # an empty tuple that claims the bytes after it
        "c9 00000003 05 9105 05",  # a tuple with something behind its elements
        "c9 00000001 05 9105",  # a tuple that is longer than it says
        "c9 00000004 06 920505 05",  # a set, likewise
        "c9 00000003 06 920505",  # a set with an element twice
    ],
)
def test_an_extension_that_is_not_as_it_says_is_refused(damaged: str) -> None:
    with pytest.raises(Malformed):
        codec.decode(bytes.fromhex(damaged))
