"""Arrays and scalars of numpy come back with dtype, shape, order and bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dachi_fast import KeyFile, Store
from dachi_fast._core import codec
from tests.samples import Holder
from tests.tokens import same, token

_ORDERS: Any = "<>"
_NUMBERS = "?bhilqpBHILQPefdgFDG"
_TEXTS_AND_DATES = (
    "S1", "S7", ">U3", "<U3", "V5", "<M8[D]", ">M8[ns]", "<M8[25s]", "<m8[ms]", ">m8[Y]", "<M8",
)  # fmt: skip
DTYPES = sorted(
    {np.dtype(code).newbyteorder(order).str + "/" + code for code in _NUMBERS for order in _ORDERS}
    | {text + "/" for text in _TEXTS_AND_DATES}
)

STRUCTURED: dict[str, np.dtype[Any]] = {
    "flat": np.dtype([("a", "<f4"), ("b", ">i2")]),
    "nested with subarray": np.dtype([("a", "S3"), ("in", [("x", "<c8"), ("y", "<u2", (2, 3))])]),
    "aligned": np.dtype([("a", "u1"), ("b", "<f8")], align=True),
    "with padding and offsets": np.dtype(
        {"names": ["a", "b"], "formats": ["u1", "<f8"], "offsets": [3, 8], "itemsize": 24}
    ),
    "with titles": np.dtype([(("title", "a"), "u1"), ("b", "<M8[us]")]),
    "without fields": np.dtype([]),
    "of unicode names": np.dtype([("\u00e9", "?")]),
}


def _dtype(label: str) -> np.dtype[Any]:
    text, _, code = label.partition("/")
    # The character tells C's long from its long long, which share a name.
    return np.dtype(text[0] + code) if code and np.dtype(text).char != code else np.dtype(text)


def _filled(dtype: np.dtype[Any], count: int) -> np.ndarray[Any, Any]:
    """Gives an array of well-formed random items."""
    rng = np.random.default_rng(dtype.itemsize)
    if dtype.kind == "U":
        return np.array(["", "\u00e9", "\U0001f980b\ud800"] * count, dtype=dtype)[:count]
    if dtype.kind in "SVMm":
        return np.frombuffer(rng.bytes(dtype.itemsize * count), dtype=dtype)
    return (
        rng.integers(0, 2, count).astype(dtype) / 2
        if dtype.kind in "fc"
        else np.arange(count).astype(dtype)
    )


@pytest.mark.parametrize("label", DTYPES)
def test_an_array_of_any_dtype_and_its_items_come_back(label: str) -> None:
    array = _filled(_dtype(label), 7).astype(_dtype(label))
    assert array.dtype == _dtype(label)
    for value in (array, array[:0], array[1], array[3:4].reshape(())):
        encoded = codec.encode(value)
        back = codec.decode(encoded)
        assert token(back) == token(value)
        assert codec.encode(back) == encoded


@pytest.mark.parametrize("label", STRUCTURED)
def test_an_array_of_records_comes_back(label: str) -> None:
    dtype = STRUCTURED[label]
    raw = bytes(n % 251 for n in range(dtype.itemsize * 4))
    array = np.frombuffer(raw, dtype=dtype) if dtype.itemsize else np.zeros(4, dtype)
    for value in (array, array.reshape(2, 2, order="F"), array[1], array[:0]):
        back: Any = codec.decode(codec.encode(value))
        assert back.dtype == value.dtype
        assert back.dtype.fields == value.dtype.fields
        assert token(back) == token(value)


LAYOUTS: dict[str, Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]] = {
    "C order": lambda a: a,
    "Fortran order": np.asfortranarray,
    "transposed": lambda a: a.transpose(2, 0, 1),
    "every second": lambda a: a[::2, :, ::2],
    "backwards": lambda a: a[::-1, :, ::-1],
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
    "no dimensions": lambda a: a[0, 0, 0, ...],
    "no items": lambda a: a[:, :0],
    "no items in Fortran order": lambda a: np.zeros((3, 0, 2), a.dtype, order="F"),
    "one item in many dimensions": lambda a: a[:1, :1, :1].reshape((1,) * 32),
}


@pytest.mark.parametrize("size", [2, 40])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_array_comes_back_however_it_lies_in_memory(layout: str, size: int) -> None:
    array = LAYOUTS[layout](np.arange(size**3, dtype="<i4").reshape(size, size, size))
    back: Any = codec.decode(codec.encode(array))
    assert token(back) == token(array)
    assert back.flags.writeable


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<M8[s]", "<U2", "?", "V3"])
def test_a_large_array_comes_back_through_a_store(layout: str, dtype: str, tmp_path: Path) -> None:
    items = np.arange(24**3, dtype="<i8").reshape(24, 24, 24)
    array = (items % 2).astype(bool) if dtype == "?" else np.asarray(items.astype(dtype))
    agent = Holder()
    agent.value = LAYOUTS[layout](array)
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key"), witness=None) as store:
        store.save(agent, "agent")
        assert token(store.load("agent").value) == token(agent.value)


def test_an_array_over_memory_that_must_not_be_written_is_saved(tmp_path: Path) -> None:
    agent = Holder()
    agent.value = np.arange(10_000)
    agent.value.flags.writeable = False
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        store.save(agent, "agent")
        back = store.load("agent").value
    assert back.flags.writeable
    assert same(back, agent.value)


@pytest.mark.parametrize("value", [np.bytes_(b""), np.str_(""), np.void(b"")])
def test_a_scalar_text_of_no_characters_comes_back(value: np.generic) -> None:
    assert token(codec.decode(codec.encode(value))) == token(value)


@pytest.mark.parametrize(
    "dtype",
    [
        STRUCTURED["aligned"],
        STRUCTURED["with padding and offsets"],
        np.dtype([("in", STRUCTURED["aligned"], (2,)), ("end", "u1")]),
        np.dtype([("long", "g"), ("last", "?")], align=True),
    ],
    ids=str,
)
def test_what_lay_in_memory_between_the_fields_is_not_saved(dtype: np.dtype[Any]) -> None:
    arrays = [np.frombuffer(fill * dtype.itemsize * 6, dtype) for fill in (b"\0", b"\xaa")]
    first, second = (np.array(array.reshape(2, 3)) for array in arrays)
    _assign(second, first)
    encoded = codec.encode(first)
    assert codec.encode(second) == encoded
    assert b"\xaa" not in codec.encode(second.T)
    assert codec.encode(second[0, 0]) == codec.encode(first[0, 0])
    assert codec.encode(codec.decode(encoded)) == encoded


def _assign(to: Any, values: Any) -> None:
    """Assigns field by field, so that padding stays as it was."""
    for name in to.dtype.names:
        if to[name].dtype.names:
            _assign(to[name], values[name])
        else:
            to[name] = values[name]


@pytest.mark.parametrize("order", _ORDERS)
def test_the_unused_bytes_of_long_doubles_are_not_saved(order: Any) -> None:
    dtype = np.dtype("g").newbyteorder(order)
    clean, dirty = np.ones(5, dtype), np.ones(5, dtype)
    used = 10 if np.finfo(np.longdouble).nmant == 63 else 16
    unused = slice(used, 16) if dtype.isnative else slice(16 - used)
    clean.view("u1").reshape(5, 16)[:, unused] = 0
    dirty.view("u1").reshape(5, 16)[:, unused] = 0xAA
    assert codec.encode(dirty) == codec.encode(clean)
    assert codec.encode(dirty[0]) == codec.encode(clean[0])
    pairs = [array[:4].view(np.dtype("G").newbyteorder(order)) for array in (clean, dirty)]
    assert codec.encode(pairs[0]) == codec.encode(pairs[1])


def test_nan_in_an_array_keeps_its_bits_and_not_a_time_stays_one() -> None:
    bits = np.array([0x7FF8000000000001, 0xFFF80000DEADBEEF, 0x7FF0000000000001], dtype="<u8")
    floats = bits.view("<f8")
    back: Any = codec.decode(codec.encode(floats))
    assert back.view("<u8").tolist() == bits.tolist()
    never: Any = codec.decode(codec.encode(np.datetime64("NaT", "s")))
    assert np.isnat(never)


def test_a_loaded_array_shares_memory_with_nothing() -> None:
    data = codec.encode([np.arange(5), np.arange(5)])
    first: Any = codec.decode(data)
    first[0][:] = 9
    assert first[1].tolist() == [0, 1, 2, 3, 4]
    again: Any = codec.decode(data)
    assert again[0].tolist() == [0, 1, 2, 3, 4]
