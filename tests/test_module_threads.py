"""Threads that define classes, build modules and save them, all at the same time."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dachi_fast import BaseModule, Registry, registry
from dachi_fast.errors import SpecError

_THREADS = 6


@pytest.fixture(autouse=True)
def _switch_often() -> Iterator[None]:
    """Threads change places every few bytecodes, as they otherwise do once in a long while."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def _together(work: Callable[[int], Any]) -> list[Any]:
    """Runs `work` in threads that begin at the same moment; raises what one of them raised."""
    start = threading.Barrier(_THREADS)

    def run(number: int) -> Any:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(run, range(_THREADS)))


def _define(name: str, **body: Any) -> type[BaseModule]:
    return type(name, (BaseModule,), {"__module__": __name__, **body})


def test_the_registry_is_read_while_threads_define_classes() -> None:
    """Symptom: `RuntimeError: dictionary changed size during iteration` in from_spec. Cause: the
    dicts of kinds and aliases were iterated live. Fix: readers go over copies."""
    own = Registry()

    def work(number: int) -> None:
        for step in range(40):
            module = f"package_{number}_{step}"
            cls = _define("Repeated", __module__=module, __aliases__=("old:Former",))
            own.add_kind(cls)
            assert own.find_kind(f"{module}:Repeated") is cls
            assert cls in own.candidates("Repeated")
            assert cls in own.named("Former")
            own(name=module)(cls)
            with pytest.raises(SpecError):
                own.find_kind("Nowhere")
            assert module in own.list_entries()
            own.list_tags()

    _together(work)
    assert len(own.candidates("Repeated")) == _THREADS * 40
    registry.deregister("Repeated")
