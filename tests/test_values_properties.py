"""Any nest of supported values: exact and canonical; no bytes whatever crash the decoder."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dachi_fast._core import codec
from dachi_fast.errors import DachiError, Malformed, MigrationError, SpecError, StateError
from tests.children import INSTALLED
from tests.samples import CASES
from tests.strategies import hashable, values
from tests.tokens import token

_UNHURRIED = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
_slow = settings(suppress_health_check=_UNHURRIED)
_often = settings(_slow, max_examples=400)
_seldom = settings(_slow, max_examples=30)
_ROOT = Path(__file__).resolve().parent.parent


@_often
@given(values)
def test_any_nest_of_values_comes_back_exactly(value: Any) -> None:
    encoded = codec.encode(value)
    back = codec.decode(encoded)
    assert token(back) == token(value)
    assert codec.encode(back) == encoded


@_slow
@given(st.lists(hashable, max_size=12), st.randoms(use_true_random=False))
def test_the_order_in_which_a_set_grew_does_not_show(elements: list[Any], rng: Any) -> None:
    forth = set(elements)
    # The same objects: of elements that are equal but differ (1 and True) a set keeps the first.
    kept = list(forth)
    rng.shuffle(kept)
    back: set[Any] = set()
    for element in kept:
        back.add(element)
    assert codec.encode(forth) == codec.encode(back)
    assert codec.encode(frozenset(kept)) == codec.encode(frozenset(forth))


@_slow
@given(values, values)
def test_bytes_are_equal_exactly_where_values_are_the_same(a: Any, b: Any) -> None:
    assert (codec.encode(a) == codec.encode(b)) == (token(a) == token(b))


def _read(data: bytes) -> None:
    """Decodes; anything but a value or a typed refusal is a failure."""
    try:
        codec.decode(data)
    except DachiError as error:
        assert isinstance(error, Malformed | StateError | SpecError), type(error)  # noqa: PT017


@given(st.binary(max_size=200))
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\xdf\x7f\xff\xff\xff")
@example(b"\x91" * 100_000)
@example(b"\x81\xc0" * 100_000)
@example(b"\xc9\x00\x00\x00\x02\x05\x91" * 50_000)
@example(b"\xc9\xff\xff\xff\xff\x08\xa3<f8\x00\x91\xcf\x7f\xff\xff\xff\xff\xff\xff\xff")
@example(b"\xc9\x00\x00\x00\x0f\x08\xa3|S0\x00\x91\xcf\x00\x00\x01\x00\x00\x00\x00\x00")
@example(b"\xc9\x00\x00\x00\x0f\x08\xa3|V0\x00\x91\xcf\x7f\xff\xff\xff\xff\xff\xff\xff")
@example(b"\xc9\x00\x00\x00\x10\x08\xa4|S99\x00\x92\x00\xcf\x7f\xff\xff\xff\xff\xff\xff\xff")
@example(b"\xc9\x00\x00\x00\x49\x08\xa3<i1\x00\xdc\x00\x41" + b"\x01" * 65)
@example(b"\xd7\x09\xa31f4\x00\x00@@")
@example(b"\xc9\x00\x00\x00\x14\x08\xa3>a2\x00\x92\x02\x03" + b"\x00" * 12)
@example(codec.encode(CASES["fraction"]()).replace(b"\x03", b"\x00"))
@example(codec.encode(CASES["uuid"]()).replace(b"\xc4\x10", b"\xc4\x0f"))
@example(codec.encode(CASES["timedelta"]()).replace(b"\xff", b"\xcf\xff\xff\xff\xff\xff\xff\xff"))
@example(codec.encode(CASES["datetime zoneinfo"]()).replace(b"Europe/Paris", b"../../../etc"))
@example(codec.encode(CASES["datetime zoneinfo"]()).replace(b"\xacEurope/Paris", b"\xa6Europe"))
def test_arbitrary_bytes_are_a_value_or_malformed(data: bytes) -> None:
    _read(data)


@pytest.mark.parametrize(
    "data", [b"\x81\x90\x01", b"\xc9\x00\x00\x00\x02\x06\x91\x90", b"\xd4\x04\xff"]
)
def test_what_python_cannot_hold_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        codec.decode(data)


def _mutated(rng: random.Random, seeds: list[bytes]) -> bytes:
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(5):
            case 0:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del data[at : at + rng.randint(1, 4)]
            case 2:
                data[at:at] = bytes([rng.choice([0xC9, 0x0A, 0x90, 0x81, 0xFF, 0x7F, 0x00])])
            case 3 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case _:
                other = rng.choice(seeds)
                data[at : at + 3] = other[rng.randrange(len(other)) :][:8]
        if not data:
            data = bytearray(b"\xc0")
    return bytes(data)


def test_ten_thousand_damaged_values_are_values_or_malformed() -> None:
    rng = random.Random(20_240_229)
    seeds = [data for data in (codec.encode(make()) for make in CASES.values()) if len(data) < 500]
    refused = 0
    for _ in range(12_000):
        data = _mutated(rng, seeds)
        try:
            codec.decode(data)
        except (Malformed, StateError, SpecError, MigrationError):
            refused += 1
    assert refused > 5_000


@_seldom
@given(values)
def test_every_beginning_of_a_value_is_malformed(value: Any) -> None:
    data = codec.encode(value)
    for cut in range(len(data)):
        with pytest.raises(Malformed):
            codec.decode(data[:cut])
    with pytest.raises(Malformed):
        codec.decode(data + b"\xc0")


def test_a_deep_nest_of_bytes_does_not_exhaust_the_stack_of_a_thread() -> None:
    code = (
        "import threading\n"
        "from dachi_fast._core import codec\n"
        "from dachi_fast.errors import Malformed\n"
        "def read():\n"
        "    for head in (b'\\x91', b'\\x81\\xc0', b'\\xc9\\x00\\x00\\x00\\x01\\x05\\x91'):\n"
        "        try: codec.decode(head * 10**6)\n"
        "        except Malformed: print('refused')\n"
        "threading.stack_size(1 << 20)\n"
        "thread = threading.Thread(target=read); thread.start(); thread.join()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=_ROOT,
        env={"PYTHONPATH": str(INSTALLED)},
    )
    assert (done.returncode, done.stdout.split()) == (0, ["refused"] * 3), done.stderr
