"""The three sizes of agent that are saved and loaded, and who keeps them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benches._trees import (
    Agent,
    Network,
    array_agent,
    empty_array_agent,
    empty_wide_agent,
    wide_agent,
)
from benches.compare import Durability, Keeper, MakeKeeper, composed, dachi_fast, fernet
from dachi_fast import BaseModule

_SCALE = 4  # 22 modules make 9.9 KB of msgpack, 2,222 make 1.03 MB

# That one keeps and gives back what we do: a tree that no code knows beforehand.
WHOLE = "composed with blueprint, zstd 1"
KEEPERS: dict[str, MakeKeeper] = {
    "dachi_fast": dachi_fast.Keeper,
    "composed, zstd 1": composed.level_1,
    "composed, zstd 3": composed.level_3,
    WHOLE: composed.whole_level_1,
    "pickle + zlib + Fernet": fernet.Keeper,
}


@dataclass(frozen=True)
class Size:
    """One size of agent.

    Attributes:
        title: for the table.
        make: an agent full of values.
        make_empty: one of the same structure with defaults.
        touch: changes one leaf.
        rounds: how often something is measured.
        slow_rounds: the same for who takes seconds.
        goal: how much faster than the composed peer a first save without sync shall be.
        goal_second: likewise a save after one leaf has changed.
    """

    title: str
    make: Callable[[], BaseModule]
    make_empty: Callable[[], BaseModule]
    touch: Callable[[BaseModule, int], None]
    rounds: int
    slow_rounds: int
    goal: float
    goal_second: float | None

    def rounds_of(self, who: str) -> int:
        """How often it is measured for somebody."""
        return self.slow_rounds if who.endswith("Fernet") else self.rounds


def _touch_wide(agent: BaseModule, number: int) -> None:
    assert isinstance(agent, Agent)
    agent.skills[7].count = number


def _touch_array(agent: BaseModule, number: int) -> None:
    assert isinstance(agent, Network)
    agent.layers[7].weights[3, 3] = number


SIZES = {
    "10KB": Size(
        "10 KB (198 leaves)",
        lambda: wide_agent(22, _SCALE),
        lambda: empty_wide_agent(22),
        _touch_wide,
        60,
        60,
        2.0,
        None,
    ),
    "1MB": Size(
        "1 MB (19,998 leaves)",
        lambda: wide_agent(2_222, _SCALE),
        lambda: empty_wide_agent(2_222),
        _touch_wide,
        25,
        10,
        2.7,
        8.0,
    ),
    "100MB": Size(
        "100 MB (25 float32 arrays)",
        lambda: array_agent(25, 1_000, 1_000),
        lambda: empty_array_agent(25),
        _touch_array,
        7,
        1,
        1.7,
        20.0,
    ),
}


@contextmanager
def one_at_a_time(
    make: MakeKeeper, folder: Path, durability: Durability
) -> Iterator[Callable[[], Keeper]]:
    """Gives a maker of fresh keepers that closes and deletes the one before."""
    opened: list[Keeper] = []

    def clear() -> None:
        for keeper in opened:
            keeper.close()
        opened.clear()
        shutil.rmtree(folder, ignore_errors=True)

    def fresh() -> Keeper:
        clear()
        opened.append(make(folder / "kept", durability))
        return opened[0]

    try:
        yield fresh
    finally:
        clear()


__all__ = ["KEEPERS", "SIZES", "WHOLE", "Size", "one_at_a_time"]
