"""Encoded values, whole and damaged: where the core reads one, the reader reads the same."""

from __future__ import annotations

import contextlib
import random

from hypothesis import given
from hypothesis import strategies as st

from dachi_fast._core import codec
from dachi_fast.errors import DachiError, Malformed
from dachi_fast.reader._values import decoded
from tests.oracles.reading import described
from tests.strategies import values


@given(values)
def test_every_value_is_read_as_the_core_reads_it(value: object) -> None:
    assert described(decoded(codec.encode(value))) == described(value)


@given(values, st.integers(0, 2**32))
def test_a_damaged_value_is_refused_or_read_as_the_core_reads_it(value: object, seed: int) -> None:
    whole, chance = codec.encode(value), random.Random(seed)
    for _ in range(20):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 3)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        _compare(bytes(damaged[: chance.choice([len(damaged), chance.randrange(len(damaged))])]))


def _compare(damaged: bytes) -> None:
    try:
        known = codec.decode(damaged)
        is_written_so = codec.encode(known) == damaged
    except DachiError:
        is_written_so = False
    if is_written_so:
        assert described(decoded(damaged)) == described(known)
        return
    # Either may take forms that nobody writes; the reader knows no classes.
    with contextlib.suppress(Malformed):
        decoded(damaged)
