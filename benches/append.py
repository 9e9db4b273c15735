"""500 steps that each append a message of 4 KB, durably: what a step takes and leaves on disk.

Every step is a round. All sides keep all steps; what ours has after pruning by the default limits
and `compact` stands below. The messages are random words of a vocabulary of 5,000.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benches._rows import describe, figure
from benches.compare.langgraph import SAVERS
from dachi_fast import Attr, BaseModule, Limits
from tests.timed import GRACE_S, Clock, open_timed

_STEPS = 500
_MESSAGE_BYTES = 4096
_TEXT_BYTES = _STEPS * _MESSAGE_BYTES


class Talk(BaseModule):
    """An agent's conversation."""

    history: list[str] = Attr(default_factory=list)


def _messages() -> list[str]:
    rng = random.Random(1)
    words = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(2, 9))) for _ in range(5_000)]
    return [" ".join(rng.choices(words, k=1_000))[:_MESSAGE_BYTES] for _ in range(_STEPS)]


def _measure(benchmark: Any, who: str, history: list[str], save: Callable[[], object]) -> None:
    describe(
        benchmark,
        workload=f"append 4 KB of text to a list and save, {_STEPS} steps, with sync",
        who=who,
        base=who == "dachi_fast",
    )
    messages = iter(_messages())
    benchmark.pedantic(save, setup=lambda: history.append(next(messages)), rounds=_STEPS)


def _note_size(benchmark: Any, size_bytes: int, at_most: float | None = None) -> None:
    figure(benchmark, "a step on disk", size_bytes / _STEPS / 1e3, "KB")
    figure(benchmark, "on disk, all", size_bytes / _TEXT_BYTES, "times the text", at_most=at_most)


def bench_ours(benchmark: Any, tmp_path: Path) -> None:
    """A step a minute."""
    clock, talk = Clock(), Talk()
    data = tmp_path / "store" / "data.mdb"
    with open_timed(tmp_path, clock) as store:

        def save() -> None:
            clock.now_s += 60
            store.save(talk, "talk")

        _measure(benchmark, "dachi_fast", talk.history, save)
    _note_size(benchmark, data.stat().st_size, at_most=3.0)
    with open_timed(tmp_path, clock, Limits()) as store:
        store.prune()
        clock.now_s += GRACE_S
        store.compact()
        assert store.load("talk").history == talk.history
    pruned = data.stat().st_size / _TEXT_BYTES
    figure(benchmark, "pruned and compacted", pruned, "times the text", at_most=1.3)


@pytest.mark.parametrize("who", SAVERS)
def bench_langgraph(benchmark: Any, tmp_path: Path, who: str) -> None:
    """The whole list is written with every step."""
    thread, history = SAVERS[who](tmp_path / "saver"), list[str]()
    _measure(benchmark, who, history, lambda: thread.save(history))
    assert thread.load() == history
    _note_size(benchmark, thread.close())
    for file in (tmp_path / "saver").iterdir():
        file.unlink()
