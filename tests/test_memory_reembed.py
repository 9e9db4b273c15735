"""Memories move to another embedder's space: whole, while others work, through kills."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dachi_fast import Store, SyncMemory
from dachi_fast.errors import EmbedderMismatch
from dachi_fast.memory._reembed import _BATCH
from tests.children import started
from tests.memories import Angles, angles, opened, recalled, remember
from tests.timed import Clock

MANY = 2 * _BATCH + 10


class Turned(Angles):
    """The same with all angles mirrored; may do something before each batch."""

    def __init__(self, before: Any = None) -> None:
        super().__init__("turned/1")
        self.before = before

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self.before is not None:
            self.before(len(self.texts))
        return super().embed(texts) * np.array([1, -1], np.float32)


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with opened(tmp_path, clock) as store:
        yield store


def fill(memory: SyncMemory, count: int = MANY) -> list[str]:
    """Stores tasks that point to 0 to 179 degrees, again and again."""
    return memory.store_tasks(
        {
            "task_envelope": {"description": f"task at {number % 180}"},
            "result": {"angle": number % 180},
        }
        for number in range(count)
    )


def spaces(store: Store, namespace: str = "agent") -> list[str]:
    session = angles(store, namespace)._reading("").session
    return [space.model for space in session.spaces(0).values()]


def test_memories_are_found_in_the_new_space_and_the_old_one_is_gone(store: Store) -> None:
    memory = angles(store)
    fill(memory)
    seen: list[int] = []
    made = memory.reembed(Turned(), progress=seen.append)
    assert made == MANY
    assert seen == [_BATCH, 2 * _BATCH, MANY]
    assert spaces(store) == ["turned/1"]
    assert memory.embedder.name == "turned/1"
    assert recalled(memory, 40, limit=1) == [40]
    with pytest.raises(EmbedderMismatch) as raised:
        recalled(angles(store))
    assert raised.value.context == {"space": "turned/1", "embedder": "angles/1"}
    with pytest.raises(EmbedderMismatch):
        remember(angles(store), 1)
    assert memory.reembed(Turned()) == 0
    store.verify()


def test_what_recall_leaves_out_stays_left_out(store: Store) -> None:
    memory = angles(store)
    [old] = remember(memory, 0)
    remember(memory, 3, trust="web")
    memory.supersede(old, {"description": "at 6"}, {"angle": 6})
    memory.reembed(Turned())
    assert recalled(memory) == [6]
    assert recalled(memory, include=["quarantined", "superseded"]) == [0, 3, 6]


def test_the_old_space_serves_meanwhile_and_nothing_written_is_lost(store: Store) -> None:
    memory, other = angles(store), angles(store)
    ids = fill(memory)
    done: list[int] = []

    def meanwhile(so_far: int) -> None:
        if done and (done[-1] == so_far or len(done) > 4):
            return  # the same batch again, after a conflict
        done.append(so_far)
        assert recalled(other, 170, limit=1) == [170]
        remember(other, 200 + len(done))
        other.forget(ids[-len(done)])
        other.quarantine(ids[len(done)])
        with pytest.raises(EmbedderMismatch):
            recalled(angles(store, embedder=Turned()))

    memory.reembed(Turned(meanwhile))
    assert len(done) >= 3
    assert recalled(memory, 201, limit=len(done)) == [200 + n for n in range(1, len(done) + 1)]
    found = memory.retrieve_similar_tasks("at 90", limit=MANY)
    assert len(found) == MANY - len(done)
    assert not {one.id for one in found} & {*ids[1 : len(done) + 1], *ids[-len(done) :]}
    assert len(memory.find(where={"quarantined": True})) == len(done)


def test_a_move_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        fill(angles(store))
    child = started(
        "import sys, pathlib; from tests import test_memory_reembed as t\n"
        "t.killed(pathlib.Path(sys.argv[1]))",
        str(tmp_path),
    )
    child.process.communicate(timeout=20)
    assert child.process.returncode == -signal.SIGKILL
    with opened(tmp_path) as store:
        assert spaces(store) == ["angles/1", "turned/1"]
        assert recalled(angles(store), 40, limit=1) == [40]
        memory, turned = angles(store), Turned()
        assert memory.reembed(turned) == MANY - _BATCH
        assert turned.texts[0] == f"task at {_BATCH % 180}"
        assert len(recalled(memory, 40, limit=MANY)) == MANY
        assert spaces(store) == ["turned/1"]


def killed(folder: Path) -> None:
    """Moves memories, and dies before the second batch; in a process of its own."""

    def die(so_far: int) -> None:
        if so_far:
            os.kill(os.getpid(), signal.SIGKILL)

    with opened(folder) as store:
        angles(store).reembed(Turned(die))


def test_a_move_that_failed_may_be_given_up_for_another_or_none(store: Store) -> None:
    memory = angles(store)
    fill(memory)

    def fail(so_far: int) -> None:
        if so_far:
            raise OSError("no service")

    for _ in range(2):
        with pytest.raises(OSError, match="no service"):
            memory.reembed(Turned(fail))
    assert memory.embedder.name == "angles/1"
    assert memory.reembed(Angles("angles/2")) == MANY
    assert spaces(store) == ["angles/2"]
    with pytest.raises(OSError, match="no service"):
        memory.reembed(Turned(fail))
    assert memory.reembed(Angles("angles/2")) == 0
    assert spaces(store) == ["angles/2"]
    assert recalled(memory, 40, limit=1) == [40]


def test_an_empty_namespace_takes_the_new_embedder_at_once(store: Store) -> None:
    memory = angles(store)
    assert memory.reembed(Turned()) == 0
    remember(memory, 40)
    assert spaces(store) == ["turned/1"]
