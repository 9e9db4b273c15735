"""First and second saves of 10 KB, 1 MB and 100 MB, without sync and with."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from benches._rows import describe, figure
from benches._sizes import KEEPERS, SIZES, one_at_a_time
from benches._trees import equal_states
from benches.compare import Durability, Keeper, dachi_fast
from benches.compare.flatten import flatten
from dachi_fast import BaseModule

pytestmark = [
    pytest.mark.parametrize("who", KEEPERS),
    pytest.mark.parametrize("durability", ["none", "sync"]),
    pytest.mark.parametrize("size", SIZES),
]


def _describe(benchmark: Any, verb: str, size: str, durability: str, who: str) -> None:
    goal = SIZES[size].goal if verb == "first save" else SIZES[size].goal_second
    rated = durability == "none" and who.startswith("composed")
    describe(
        benchmark,
        workload=f"{verb}, {SIZES[size].title}, "
        f"{'without sync' if durability == 'none' else 'with sync'}",
        who=who,
        base=who == "dachi_fast",
        at_least=goal if rated else None,
    )


def _check(keeper: Keeper, agent: BaseModule, size: str) -> None:
    assert equal_states(flatten(keeper.load(SIZES[size].make_empty)), flatten(agent))


def bench_first(
    benchmark: Any, tmp_path: Path, size: str, durability: Durability, who: str
) -> None:
    """Every round saves into a fresh store."""
    _describe(benchmark, "first save", size, durability, who)
    agent = SIZES[size].make()
    with one_at_a_time(KEEPERS[who], tmp_path / "bench", durability) as fresh:
        last: list[Keeper] = []

        def setup() -> tuple[tuple[Keeper], dict[str, Any]]:
            last[:] = [fresh()]
            return (last[0],), {}

        benchmark.pedantic(
            lambda keeper: keeper.save(agent),
            setup=setup,
            rounds=SIZES[size].rounds_of(who),
            warmup_rounds=1,
        )
        _check(last[0], agent, size)


def bench_second(
    benchmark: Any, tmp_path: Path, size: str, durability: Durability, who: str
) -> None:
    """Every round saves the agent again after one leaf has changed."""
    _describe(benchmark, "save after one changed leaf", size, durability, who)
    agent = SIZES[size].make()
    numbers = itertools.count(1)
    with one_at_a_time(KEEPERS[who], tmp_path / "bench", durability) as fresh:
        keeper = fresh()
        keeper.save(agent)

        def setup() -> None:
            SIZES[size].touch(agent, next(numbers))

        benchmark.pedantic(
            lambda: keeper.save(agent),
            setup=setup,
            rounds=SIZES[size].rounds_of(who),
            warmup_rounds=1,
        )
        if isinstance(keeper, dachi_fast.Keeper):
            figure(benchmark, "written", keeper.written_bytes / 1024, "KiB", at_most=64)
        _check(keeper, agent, size)
