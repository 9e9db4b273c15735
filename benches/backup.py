"""A first backup of 100 MB, one of what then changed, and a restore; beside a copy of the file."""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dachi_fast import Attr, BaseModule, KeyFile, Store

AGENTS = 10
PIECE_BYTES = 10_000_000


class Agent(BaseModule):
    memory: Any = Attr(default=None)


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _copied(data: Path, to: Path) -> None:
    with data.open("rb") as source, to.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
        target.flush()
        os.fsync(target.fileno())


def _round(folder: Path) -> dict[str, float]:
    keys, archive = KeyFile(folder / "key"), folder / "archive"
    numbers = np.random.default_rng(1)
    with Store.open(folder / "store", keys=keys, witness=None) as store:
        agents = [Agent() for _ in range(AGENTS)]
        for number, agent in enumerate(agents):
            agent.memory = np.frombuffer(numbers.bytes(PIECE_BYTES), np.uint8).copy()
            store.save(agent, str(number))
        took = {"first": _seconds(lambda: store.backup(archive))}
        agents[0].memory[:1_000_000] = 7
        store.save(agents[0], "0")
        took["1 MB changed"] = _seconds(lambda: store.backup(archive))
        took["nothing changed"] = _seconds(lambda: store.backup(archive))
    took["drill"] = _seconds(lambda: Store.drill(archive, keys=keys))
    took["copy"] = _seconds(lambda: _copied(folder / "store" / "data.mdb", folder / "copy"))
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = []
    for _ in range(parser.parse_args().rounds):
        folder = Path(tempfile.mkdtemp(prefix="dachi-bench-backup-"))
        try:
            rounds.append(_round(folder))
        finally:
            shutil.rmtree(folder)
    total_mb = AGENTS * PIECE_BYTES / 1e6
    for name in rounds[0]:
        seconds = [took[name] for took in rounds]
        median, least, most = statistics.median(seconds), min(seconds), max(seconds)
        print(
            f"{name:16} {median * 1e3:7.0f} ms ({least * 1e3:.0f} to {most * 1e3:.0f})"
            f"  {total_mb / median:7.0f} MB of store a second"
        )


if __name__ == "__main__":
    main()
