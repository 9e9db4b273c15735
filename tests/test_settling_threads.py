"""Classes are settled when first used, which may be in several threads at once."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from dachi_fast import Attr, BaseModule


@pytest.fixture
def _quick_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_quick_switches")
def test_threads_that_are_the_first_to_walk_a_class_all_see_its_state() -> None:
    """Symptom: RuntimeError, dictionary changed size during iteration, in the first saves.

    Cause: one thread wrote the settled layout into the class while another looked for types there.
    Fix: look in a copy.
    """
    for _ in range(150):
        fields = {f"field_{n}": Attr(default=n) for n in range(12)}
        annotations = {"__annotations__": dict.fromkeys(fields, Any), "__module__": __name__}
        fresh: Any = type("Fresh", (BaseModule,), {**fields, **annotations})
        begun, seen = threading.Barrier(4), list[int]()

        def walk(fresh: Any = fresh, begun: Any = begun, seen: list[int] = seen) -> None:
            begun.wait()
            seen.append(len(fresh().state_dict()))

        threads = [threading.Thread(target=walk) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen == [12] * 4
