"""Full verification: every node of a store decrypted, decompressed and hashed; warm page cache.

The figure divides the bytes of the values by the processor's time, so it is for one core.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benches._rows import describe, figure
from dachi_fast import Attr, BaseModule, Param
from tests.timed import Clock, open_timed

_BYTES = 64_000_000
_MESSAGE_BYTES = 4096
_ROUNDS = 5


class Text(BaseModule):
    """One long conversation."""

    messages: list[str] = Attr(default_factory=list)


class Arrays(BaseModule):
    """One array."""

    weights: Any = Attr(default=None)


class Notes(BaseModule):
    """A thousand notes of a page each, modules of their own."""

    notes: list[Text] = Param(default_factory=list)


def _messages(count: int) -> list[str]:
    rng = random.Random(1)
    words = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(2, 9))) for _ in range(5_000)]
    return [" ".join(rng.choices(words, k=1_000))[:_MESSAGE_BYTES] for _ in range(count)]


def _conversation() -> BaseModule:
    text = Text()
    text.messages = _messages(_BYTES // _MESSAGE_BYTES)
    return text


def _notes() -> BaseModule:
    notes, messages = Notes(), iter(_messages(_BYTES // _MESSAGE_BYTES))
    notes.notes = [Text() for _ in range(_BYTES // _MESSAGE_BYTES // 4)]
    for note in notes.notes:
        note.messages = list(itertools.islice(messages, 4))
    return notes


def _arrays() -> BaseModule:
    arrays = Arrays()
    arrays.weights = np.random.default_rng(1).standard_normal(_BYTES // 4, dtype=np.float32)
    return arrays


_WHAT: dict[str, tuple[Callable[[], BaseModule], float | None]] = {
    "text, one conversation": (_conversation, 0.5),
    "text, 16 KB a leaf": (_notes, 0.5),
    "float32 array": (_arrays, 2.0),
}


@pytest.mark.parametrize("what", _WHAT)
def bench_verify(benchmark: Any, tmp_path: Path, what: str) -> None:
    """All of a store of one agent."""
    make, goal = _WHAT[what]
    describe(benchmark, workload=f"verify 64 MB of {what}", who="dachi_fast", base=True)
    with open_timed(tmp_path, Clock()) as store:
        size_bytes = store.save(make(), "agent").size_bytes
        assert size_bytes > 0.95 * _BYTES
        start = time.process_time()
        report = benchmark.pedantic(store.verify, rounds=_ROUNDS)
        took_s = (time.process_time() - start) / _ROUNDS
        assert report.size_bytes >= size_bytes
    figure(benchmark, "a core", size_bytes / took_s / 1e9, "GB/s", at_least=goal)
