"""Hypothesis strategies: values that state can hold, in any nest of each other."""

from __future__ import annotations

import datetime
import pathlib
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import strategies as st

from tests.samples import Frozen, Leaf, Level, Mode, Mood, Note, Pair, Point, Right, Word
from tests.tokens import nan


def _short(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Gives the same strategy with a short repr: hypothesis prints whole trees of them."""

    @st.composite
    def value(draw: st.DrawFn) -> Any:
        return draw(strategy)

    return value()


_fixed = st.builds(
    lambda minutes, seconds: datetime.timezone(
        datetime.timedelta(minutes=minutes, seconds=seconds)
    ),
    st.integers(-1439, 1439),
    st.integers(0, 59),
)
_named = st.builds(
    lambda hours, name: datetime.timezone(datetime.timedelta(hours=hours), name),
    st.integers(-23, 23),
    st.text(max_size=5),
)
_regions = st.sampled_from(["Europe/Paris", "America/St_Johns", "Asia/Kolkata", "UTC"])
zones = st.none() | st.just(datetime.UTC) | _fixed | _named | _regions.map(ZoneInfo)


def _folded(moment: Any, fold: int) -> Any:
    return moment.replace(fold=fold)


integers = st.integers() | st.builds(
    lambda bits, near, sign: sign * ((1 << bits) + near),
    st.integers(0, 300),
    st.integers(-2, 2),
    st.sampled_from([1, -1]),
)
texts = st.text(st.characters(), max_size=20) | st.text(
    st.characters(categories=["Cs", "Lu", "Cc"]), max_size=8
)
floats = st.floats() | st.builds(nan, st.integers(0, 2**51 - 1), st.integers(0, 1))
numbers = integers | floats | st.complex_numbers() | st.builds(complex, floats, floats)
dates = _short(
    st.builds(_folded, st.datetimes(timezones=zones), st.integers(0, 1))
    | st.builds(_folded, st.times(timezones=st.none() | _fixed), st.integers(0, 1))
    | st.dates()
    | st.timedeltas()
)
decimals = st.decimals(allow_nan=True, allow_infinity=True) | st.sampled_from(
    [Decimal("-0"), Decimal("1E+400"), Decimal("NaN9"), Decimal("1.10")]
)
_quiet = decimals.filter(lambda decimal: not decimal.is_snan())
_named_values = _short(
    st.fractions().map(Fraction)
    | st.uuids()
    | st.sampled_from([*Mood, *Level, *Word, *Right, Right.READ | Right.WRITE, Mode(7)])
    | st.builds(pathlib.PurePosixPath, st.text(st.characters(exclude_characters="\0"), max_size=9))
    | st.sampled_from([pathlib.PureWindowsPath("C:\\a"), pathlib.Path("/x")])
)
scalars = _short(
    st.none() | st.just(...) | st.booleans() | numbers | texts | st.binary(max_size=40)
)

_dtypes = st.sampled_from(
    ["?", "<i1", "<u2", ">i4", "<i8", "<f2", ">f4", "<f8", "<c8", ">c16", "S3", "<U2", "V4"]
).map(np.dtype) | st.sampled_from(
    [
        np.dtype([("a", "<f4"), ("b", ">i2", (2,))]),
        np.dtype("<M8[us]"),
        np.dtype(">m8[D]"),
        np.dtype([("in", [("x", "?")]), ("y", "S2")]),
    ]
)


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray[Any, Any]:
    """An array of any dtype, shape and layout."""
    dtype = draw(_dtypes)
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=3)))
    count = int(np.prod(shape, dtype=int))
    if dtype.kind == "U":
        texts_of_two = st.text(st.characters(max_codepoint=0x10FFFF), max_size=2)
        array = np.array(draw(st.lists(texts_of_two, min_size=count, max_size=count)), dtype)
    elif dtype == np.dtype("?"):
        array = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)), dtype)
    else:
        size = count * dtype.itemsize
        array = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), dtype)
    array = array.reshape(shape, order=draw(st.sampled_from("CF")))
    step = draw(st.sampled_from([1, -1, 2]))
    return array[::step] if array.ndim else array


def _scalar_of(array: np.ndarray[Any, Any]) -> Any:
    return array.reshape(-1)[0] if array.size else array


values_of_numpy = _short(arrays() | arrays().map(_scalar_of))
hashable = _short(
    st.recursive(
        scalars | dates | _named_values | _quiet,
        lambda inner: (
            st.lists(inner, max_size=3).map(tuple)
            | st.frozensets(inner, max_size=3)
            | st.builds(Pair, inner, inner)
            | st.builds(Frozen, inner, st.lists(st.integers(), max_size=2).map(tuple))
        ),
        max_leaves=4,
    )
)


def _leaf(weight: float, seen: object) -> Leaf:
    made = Leaf(weight=weight)
    made.seen = seen
    return made


def _holding(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(inner, max_size=4)
    return (
        lists
        | lists.map(tuple)
        | st.dictionaries(hashable, inner, max_size=4)
        | st.sets(hashable, max_size=4)
        | st.frozensets(hashable, max_size=4)
        | st.builds(Point, inner, inner, label=st.text(max_size=3))
        | st.builds(Pair, inner, inner)
        | st.builds(lambda text, held: Note(text=text, inner=held), st.text(max_size=3), inner)
        | st.builds(_leaf, st.floats(allow_nan=False), inner)
    )


values = _short(
    st.recursive(
        scalars | dates | _named_values | decimals | values_of_numpy, _holding, max_leaves=8
    )
)
