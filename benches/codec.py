"""Encode and decode a flat state of 2,000 and of 200,000 leaves."""

from __future__ import annotations

from typing import Any

import pytest

from benches._rows import describe
from benches._trees import flat_state
from benches.compare import Codec, dachi_fast, msgpack, msgspec, orjson, ormsgpack, pickle

_CODECS = [module.Codec for module in (dachi_fast, ormsgpack, msgspec, msgpack, orjson, pickle)]
_SIZES = {2_000: 400, 200_000: 15}  # leaves: rounds
_GOALS = {2_000: 1.3, 200_000: 1.0}  # of ormsgpack, both ways

pytestmark = [
    pytest.mark.parametrize("codec", [make() for make in _CODECS], ids=lambda codec: codec.name),
    pytest.mark.parametrize("leaves", _SIZES),
]


def _describe(benchmark: Any, codec: Codec, leaves: int, verb: str) -> None:
    describe(
        benchmark,
        workload=f"{verb} {leaves:,} leaves",
        who=codec.name,
        base=codec.name == "dachi_fast",
        at_least=_GOALS[leaves] if codec.name == "ormsgpack" else None,
    )


def bench_encode(benchmark: Any, codec: Codec, leaves: int) -> None:
    """A flat state to bytes."""
    _describe(benchmark, codec, leaves, "encode")
    state = flat_state(leaves)
    data = benchmark.pedantic(codec.encode, args=(state,), rounds=_SIZES[leaves], warmup_rounds=2)
    benchmark.extra_info["size_bytes"] = len(data)
    assert codec.decode(data) == state


def bench_decode(benchmark: Any, codec: Codec, leaves: int) -> None:
    """Bytes to a flat state."""
    _describe(benchmark, codec, leaves, "decode")
    state = flat_state(leaves)
    data = codec.encode(state)
    assert (
        benchmark.pedantic(codec.decode, args=(data,), rounds=_SIZES[leaves], warmup_rounds=2)
        == state
    )
