"""One value of every type that state can hold, and the classes they need."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import math
import pathlib
import uuid
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pydantic

from dachi_fast import Attr, BaseModule, Param, registry
from tests.tokens import nan


@registry.value
class Mood(enum.Enum):
    CALM = 1
    TENSE = (2, "two")
    ALIAS = 1  # noqa: PIE796 - an alias is meant


@registry.value
class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@registry.value
class Word(enum.StrEnum):
    YES = "yes"


@registry.value
class Right(enum.Flag):
    READ = 1
    WRITE = 2


@registry.value
class Mode(enum.IntFlag):
    A = 1
    B = 4


@registry.value
@dataclasses.dataclass
class Point:
    x: Any
    y: Any = 0
    label: str = dataclasses.field(default="", kw_only=True)
    norm: float = dataclasses.field(init=False, default=0.5)


@registry.value
@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    a: Any
    b: tuple[int, ...] = ()


@registry.value
@dataclasses.dataclass
class Late:
    """A field that no constructor sets."""

    a: int
    later: int = dataclasses.field(init=False)


@registry.value
class Pair(NamedTuple):
    left: Any
    right: Any = None


@registry.value
class Note(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    text: str
    weight: float = 1.0
    inner: Any = None
    _hidden: int = pydantic.PrivateAttr(default=0)


@registry.value
class Words(pydantic.RootModel[list[str]]):
    pass


class Leaf(BaseModule):
    weight: float = Param(default=1.0)
    seen: Any = Attr(default=None)


class Holder(BaseModule):
    """A module whose one value may be anything."""

    value: Any = Attr(default=None)


def note() -> Note:
    """Gives a model with an extra, a private and an unset field."""
    made = Note.model_validate({"text": "a", "extra_one": [1, (2,)]})
    made._hidden = 7
    return made


def leaf(seen: object) -> Leaf:
    """Gives a module as a value."""
    made = Leaf(weight=2.5)
    made.seen = seen
    return made


_DAY = datetime.datetime(2024, 2, 29, 23, 59, 59, 999_999)
_PARIS = "Europe/Paris"
_HALF_HOUR = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
_NAMED_ZONE = datetime.timezone(-datetime.timedelta(hours=3, microseconds=1), "Here")


def _constant(value: Any) -> Callable[[], Any]:
    return lambda: value


CASES: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "ellipsis": lambda: ...,
    "true": lambda: True,
    "false": lambda: False,
    **{
        f"int {number}": _constant(number)
        for edge in (2**7, 2**8, 2**15, 2**16, 2**31, 2**32, 2**63, 2**64, 2**71, 2**72, 2**127)
        for near in (edge - 1, edge, edge + 1)
        for number in (near, -near)
    },
    "int 0": lambda: 0,
    "int 10^100": lambda: 10**100,
    "int -10^5000": lambda: -(10**5000),
    "float": lambda: 0.1,
    "float -0.0": lambda: -0.0,
    "float inf": lambda: -math.inf,
    "float smallest": lambda: 5e-324,
    "float nan": lambda: math.nan,
    "float nan with payload": lambda: nan(0xBEEF, sign=1),
    "complex": lambda: complex(-0.0, 2.5),
    "complex nan": lambda: complex(nan(3), -math.inf),
    "text": lambda: "h\u00e9llo \U0001f980",
    "text empty": lambda: "",
    "text nul": lambda: "a\0b",
    "text surrogates": lambda: "\ud800 and \udfff\u00e9",
    "text surrogate pair": lambda: "\ud83e\udd80",
    "text not normalised": lambda: "e\u0301\u00e9",
    "text of 31, 32, 255, 256, 65536": lambda: ["a" * n for n in (31, 32, 255, 256, 65_536)],
    "bytes": lambda: bytes(range(256)),
    "bytes empty": lambda: b"",
    "bytes long": lambda: b"\xc1" * 70_000,
    "list": lambda: [1, [2, []], "x"],
    "list of 15, 16, 65536": lambda: [[0] * n for n in (15, 16, 65_536)],
    "tuple": lambda: ((), (1,), ([2], (3,))),
    "dict order": lambda: {"b": 1, "a": 2, "": 3},
    "dict keys": lambda: {
        None: 0,
        1: 1,
        2.5: 2,
        "1": 3,
        b"1": 4,
        (1, "a"): 5,
        frozenset([1]): 6,
        ...: 7,
        1j: 8,
        Mood.CALM: 9,
        Pair(1): 10,
        Decimal("1.50"): 11,
        datetime.date(2024, 1, 1): 12,
        Frozen(3): 13,
        np.datetime64("2024-01-01"): 14,
        uuid.UUID(int=3): 15,
    },
    "dict of 16": lambda: {n: str(n) for n in range(16)},
    "set": lambda: {1, "a", (2, 3), None, 2.5, frozenset([4])},
    "set empty": set,
    "frozenset": lambda: frozenset([b"a", -1, 2**70]),
    "datetime": lambda: _DAY,
    "datetime utc": lambda: _DAY.replace(tzinfo=datetime.UTC),
    "datetime fixed": lambda: _DAY.replace(tzinfo=_HALF_HOUR),
    "datetime named zone": lambda: _DAY.replace(tzinfo=_NAMED_ZONE),
    "datetime zoneinfo": lambda: _DAY.replace(tzinfo=ZoneInfo(_PARIS)),
    "datetime fold": lambda: datetime.datetime(
        2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo(_PARIS)
    ),
    "datetime edges": lambda: [datetime.datetime.min, datetime.datetime.max],
    "date": lambda: datetime.date(1, 1, 1),
    "time": lambda: datetime.time(23, 59, 59, 1, tzinfo=datetime.UTC, fold=1),
    "timedelta": lambda: [datetime.timedelta(-1, 2, 3), datetime.timedelta.min],
    "decimal": lambda: [
        Decimal(text)
        for text in ("0", "-0", "1.50", "1E+10", "-1e-400", "NaN", "-NaN12", "sNaN7", "-Infinity")
    ],
    "fraction": lambda: Fraction(-(10**30), 3),
    "uuid": lambda: uuid.UUID("12345678-1234-5678-1234-567812345678"),
    "enum": lambda: [Mood.CALM, Mood.TENSE, Mood.ALIAS],
    "int enum": lambda: Level.HIGH,
    "str enum": lambda: Word.YES,
    "flags": lambda: [Right.READ, Right.READ | Right.WRITE, Right(0), Mode.A | Mode.B, Mode(10)],
    "paths": lambda: [
        pathlib.PurePosixPath("/a/../b"),
        pathlib.PureWindowsPath("C:\\x\\y"),
        pathlib.Path("rel/\u00e9"),
        pathlib.Path(),
    ],
    "dataclass": lambda: Point(1, [Point(2, label="in")], label="out"),
    "dataclass frozen, slots": lambda: Frozen({"k": Frozen(1)}, (1, 2)),
    "dataclass with an unset field": lambda: Late(1),
    "named tuple": lambda: Pair([1], Pair("x")),
    "model": note,
    "model nested": lambda: Note(text="b", inner={"k": note()}),
    "root model": lambda: Words(["a", "b"]),
    "module": lambda: leaf((1, 2)),
    "modules in containers": lambda: {"k": [leaf(1), (leaf({2}),)], "m": leaf(leaf("deep"))},
}
