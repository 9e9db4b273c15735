"""A storm of SIGKILL: nothing acknowledged is lost, nothing is there that nobody saved."""

from __future__ import annotations

import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from tests.warm import Warm

KILLS: Final = 10_000 if os.environ.get("DACHI_TORTURE") else 500
LANES: Final = 2


@pytest.mark.timeout(0 if os.environ.get("DACHI_TORTURE") else 180)
def test_what_killed_savers_acknowledged_is_there_and_nothing_else(tmp_path: Path) -> None:
    filled = tmp_path / "filled"
    filled.mkdir()
    with Warm("tests.crash.storm") as warm:
        warm.call("fill", str(filled))
    seed = random.randrange(1 << 30)

    def lane(number: int) -> dict[str, int]:
        with Warm("tests.crash.storm") as warm:
            folder = tmp_path / f"lane {number}"
            arguments = (str(folder), str(filled), KILLS // LANES, seed + number)
            counts: dict[str, int] = warm.call("storm", *arguments)
            return counts

    with ThreadPoolExecutor(LANES) as pool:
        counts = list(pool.map(lane, range(LANES)))
    total = {what: sum(count[what] for count in counts) for what in counts[0]}
    print(f"seed {seed}: {total}")
    assert total["kills"] >= KILLS
    assert total["acknowledged"] > KILLS
    assert total["in_flight"] > 0
