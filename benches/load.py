"""Verified loads of 10 KB, 1 MB and 100 MB from a warm page cache: a new tree, and in place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benches._rows import describe
from benches._sizes import KEEPERS, SIZES, WHOLE, one_at_a_time
from benches._trees import equal_states
from benches.compare.flatten import flatten

_GOAL = 2.5

pytestmark = pytest.mark.parametrize("size", SIZES)


def _describe(benchmark: Any, verb: str, size: str, who: str) -> None:
    describe(
        benchmark,
        workload=f"{verb}, {SIZES[size].title}",
        who=who,
        base=who == "dachi_fast",
        at_least=_GOAL if (verb, size, who) == ("load", "1MB", WHOLE) else None,
    )


@pytest.mark.parametrize("who", KEEPERS)
def bench_new(benchmark: Any, tmp_path: Path, size: str, who: str) -> None:
    """A new tree: ours from its own blueprint, the peers' by calling the classes."""
    _describe(benchmark, "load", size, who)
    agent = SIZES[size].make()
    with one_at_a_time(KEEPERS[who], tmp_path / "bench", "none") as fresh:
        keeper = fresh()
        keeper.save(agent)
        loaded = benchmark.pedantic(
            keeper.load,
            args=(SIZES[size].make_empty,),
            rounds=SIZES[size].rounds_of(who),
            warmup_rounds=1,
        )
        assert type(loaded) is type(agent)
        assert equal_states(flatten(loaded), flatten(agent))


@pytest.mark.parametrize("who", KEEPERS)
def bench_into(benchmark: Any, tmp_path: Path, size: str, who: str) -> None:
    """Into a tree that is there already."""
    _describe(benchmark, "load in place", size, who)
    agent = SIZES[size].make()
    with one_at_a_time(KEEPERS[who], tmp_path / "bench", "none") as fresh:
        keeper = fresh()
        keeper.save(agent)
        into = SIZES[size].make_empty()
        benchmark.pedantic(
            keeper.load_into,
            args=(into,),
            rounds=SIZES[size].rounds_of(who),
            warmup_rounds=1,
        )
        assert equal_states(flatten(into), flatten(agent))
