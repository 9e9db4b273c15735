"""Memory of modules of nine fields, against a plain class and a pydantic model."""

from __future__ import annotations

import gc
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydantic
import pytest

from benches._rows import describe, figure
from benches._trees import SEED, Skill, _fields, wide_agent
from dachi_fast import KeyFile, Store

_MODULES = 1_000
_GOAL = 1.5


class Plain:
    """A class of one's own."""

    def __init__(self, **fields: Any) -> None:
        self.name = fields["name"]
        self.limit = fields["limit"]
        self.rate = fields["rate"]
        self.active = fields["active"]
        self.count = fields["count"]
        self.score = fields["score"]
        self.last = fields["last"]
        self.recent = fields["recent"]
        self.stats = fields["stats"]


class Model(pydantic.BaseModel):
    """A pydantic model, built without validation."""

    name: str
    limit: int
    rate: float
    active: bool
    count: int
    score: float
    last: str | None
    recent: list[Any]
    stats: dict[str, Any]


def _module(**fields: Any) -> Skill:
    made = Skill()
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def _fresh(make: Callable[..., object]) -> Callable[[Path], object]:
    def build(_: Path) -> object:
        rng = random.Random(SEED)
        return [make(**fields) for fields in [_fields(rng) for _ in range(_MODULES)]]

    return build


def _loaded(folder: Path) -> object:
    with Store.open(folder / "store", keys=KeyFile(folder / "key")) as store:
        if not store.names():
            store.save(wide_agent(_MODULES), "agent")
        return store.load("agent")


_MAKERS: dict[str, Callable[[Path], object]] = {
    "plain class": _fresh(Plain),
    "dachi_fast, fresh": _fresh(_module),
    "dachi_fast, loaded": _loaded,
    "pydantic model": _fresh(Model.model_construct),
}


def _bytes_each(make: Callable[[Path], object], folder: Path) -> float:
    """Bytes that a module takes with its values, by Python's allocators."""
    make(folder)  # what is made once for a class is there
    gc.collect()
    tracemalloc.start()
    try:
        held = make(folder)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] / (_MODULES if held is not None else 1)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("who", _MAKERS)
def bench_memory(benchmark: Any, tmp_path: Path, who: str) -> None:
    """The time is that of making them; the figure is what is measured here."""
    describe(
        benchmark,
        workload=f"{_MODULES:,} objects of 9 fields",
        who=who,
        base=who == "plain class",
    )
    ratio = _bytes_each(_MAKERS[who], tmp_path) / _bytes_each(_MAKERS["plain class"], tmp_path)
    each = _bytes_each(_MAKERS[who], tmp_path)
    figure(benchmark, "bytes each, with values", round(each))
    ours = who.startswith("dachi_fast")
    figure(benchmark, "of a plain object's", ratio, "x", at_most=_GOAL if ours else None)
    benchmark.pedantic(_MAKERS[who], args=(tmp_path,), rounds=5, warmup_rounds=1)
