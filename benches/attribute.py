"""Attribute read, write and method call: 10^5 in one function, ours against plain and pydantic.

Every subject gets loops of its own (a copy of the code object), because the interpreter specialises
code for the classes that it meets there. Each round is compared with one of the plain class right
before it: measured one after the other, the same class differed from itself by 1.7 times, because
the machine's clock had changed.
"""

from __future__ import annotations

import statistics
import time
import types
from collections.abc import Callable
from itertools import repeat
from pathlib import Path
from typing import Any

import pydantic
import pytest

from benches._rows import describe
from dachi_fast import Attr, BaseModule, KeyFile, Param, Shared, Store

_ACCESSES = 100_000
_UNROLLED = 10
_ROUNDS = 40
_GOAL = 1.3


class Plain:
    """The measure of all: a class of one's own."""

    def __init__(self) -> None:
        self.size = 3
        self.count = 0
        self.label = "a"

    def step(self) -> None:
        """Does nothing, which leaves the call."""


class Model(pydantic.BaseModel):
    """A pydantic model with its defaults: writes are not validated."""

    size: int = 3
    count: int = 0
    label: str = "a"

    def step(self) -> None:
        """Does nothing, which leaves the call."""


class Module(BaseModule):
    """A module of ours."""

    size: int = Param(default=3)
    count: int = Attr(default=0)
    label: str = Param(default="a")

    def step(self) -> None:
        """Does nothing, which leaves the call."""


class Sharing(BaseModule):
    """A module with a value that all instances share."""

    count: int = Shared(default=0)


def _read(subject: Any, rounds: int) -> None:
    for _ in repeat(None, rounds):
        subject.count  # noqa: B018
        subject.count  # noqa: B018
        subject.count  # noqa: B018
        subject.count  # noqa: B018
        subject.count  # noqa: B018
        subject.count  # noqa: B018
        subject.count  # noqa: B018
        subject.count  # noqa: B018
        subject.count  # noqa: B018
        subject.count  # noqa: B018


def _write(subject: Any, rounds: int) -> None:
    for _ in repeat(None, rounds):
        subject.count = 1
        subject.count = 2
        subject.count = 3
        subject.count = 4
        subject.count = 5
        subject.count = 6
        subject.count = 7
        subject.count = 8
        subject.count = 9
        subject.count = 10


def _call(subject: Any, rounds: int) -> None:
    for _ in repeat(None, rounds):
        subject.step()
        subject.step()
        subject.step()
        subject.step()
        subject.step()
        subject.step()
        subject.step()
        subject.step()
        subject.step()
        subject.step()


def _saved(folder: Path) -> Module:
    module = Module()
    with Store.open(folder / "store", keys=KeyFile(folder / "key")) as store:
        store.save(module, "module")
    return module


def _loaded(folder: Path) -> Module:
    with Store.open(folder / "store", keys=KeyFile(folder / "key")) as store:
        store.save(Module(), "module")
        module: Module = store.load("module")
    return module


_LOOPS = {"read": _read, "write": _write, "call": _call}
_SUBJECTS: dict[str, Callable[[Path], object]] = {
    "plain class": lambda _: Plain(),
    "dachi_fast, fresh": lambda _: Module(),
    "dachi_fast, saved": _saved,
    "dachi_fast, loaded": _loaded,
    "pydantic model": lambda _: Model(),
    "dachi_fast, Shared": lambda _: Sharing(),
}


def _own_loop(loop: Callable[[Any, int], None]) -> Callable[[Any, int], None]:
    """A copy whose code the interpreter has not specialised yet."""
    made = types.FunctionType(loop.__code__.replace(), loop.__globals__)
    assert made.__code__ is not loop.__code__
    return made


# A call does not touch the shared value.
_ROWS = [(a, w) for a in _LOOPS for w in _SUBJECTS if (a, w) != ("call", "dachi_fast, Shared")]


@pytest.mark.parametrize(("access", "who"), _ROWS)
def bench_attribute(benchmark: Any, tmp_path: Path, access: str, who: str) -> None:
    """One kind of access on one subject."""
    ours = who.startswith("dachi_fast") and not who.endswith("Shared")
    describe(
        benchmark,
        workload=f"attribute {access} x {_ACCESSES:,}",
        who=who,
        base=who == "plain class",
        at_most=_GOAL if ours else None,
    )
    subject: Any = _SUBJECTS[who](tmp_path)
    loop, plain_loop = _own_loop(_LOOPS[access]), _own_loop(_LOOPS[access])
    plain, rounds = Plain(), _ACCESSES // _UNROLLED
    before: list[float] = []

    def measure_plain() -> None:
        start = time.perf_counter()
        plain_loop(plain, rounds)
        before.append(time.perf_counter() - start)

    benchmark.pedantic(
        loop, args=(subject, rounds), setup=measure_plain, rounds=_ROUNDS, warmup_rounds=3
    )
    times = benchmark.stats.stats.data
    pairs = zip(times, before[-len(times) :], strict=True)
    benchmark.extra_info["ratio"] = statistics.median(own / base for own, base in pairs)
    assert subject.count == (10 if access == "write" else 0)
