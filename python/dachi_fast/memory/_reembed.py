"""Moving memories into another embedder's space, while the old one serves.

The new space is filled batch by batch, one transaction each, which notes how far it is: whoever
goes on after a kill begins there. Memories that others write meanwhile are noted as to be done. The
last transaction does what is noted and drops the old space, so that the new one serves; it
conflicts with everybody who writes at that moment, and is then done again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from dachi_fast.memory._namespace import MOVE, TODO
from dachi_fast.memory._records import KIND
from dachi_fast.memory._write import put_into

if TYPE_CHECKING:
    from dachi_fast.memory._namespace import Place
    from dachi_fast.types import Document, Embedder

T = TypeVar("T")
Advance = Callable[[int], object]

# One transaction's: large enough for a batch of a service, small enough to be lost by a kill.
_BATCH: Final = 256


class _Writes(Protocol):
    def _write(self, work: Callable[[Place], T], justification: str) -> T: ...


def reembed(memory: _Writes, embedder: Embedder, progress: Advance | None) -> int:
    """Does what `MemoryStore.reembed` does; gives how many vectors it made."""
    why = f"reembed with {embedder.name}"
    made, more = 0, memory._write(lambda place: _begin(place, embedder), why)
    while more:
        done, more = memory._write(lambda place: _step(place, embedder), why)
        made += done
        if progress is not None:
            progress(made)
    return made


def _begin(place: Place, embedder: Embedder) -> bool:
    """Makes the space that is to be filled; False if there is nothing to do."""
    spaces, moving = list(place.spaces), place.look(MOVE, 1)
    if not spaces:
        place.declare(embedder)
        return False
    if moving and place.is_of(spaces[1], embedder):
        return True
    if moving:  # somebody began to move to another one, and did not end
        place.declare(embedder)
        place.drop(spaces[1])
        _done(place)
    if place.is_of(spaces[0], embedder):
        for name in list(place.spaces)[1:]:
            place.drop(name)
        return False
    if not moving:
        place.declare(embedder)
    place.add(MOVE, {"done": ""})
    return True


def _step(place: Place, embedder: Embedder) -> tuple[int, bool]:
    """Embeds a batch; gives how many memories, and whether there is more to do."""
    serving, target = place.spaces
    [move] = place.look(MOVE, 1)
    batch = place.after(KIND, move.content["done"], _BATCH)
    if len(batch) == _BATCH:
        _embed(place, target, batch, embedder)
        place.replace(move, {"done": batch[-1].id})
        return len(batch), True
    todo = place.look(TODO, _BATCH)
    written = place.session.look_up(place.at, KIND, [one.content["id"] for one in todo])
    missed = {found.id: found for found in [*batch, *written] if found is not None}
    _embed(place, target, list(missed.values()), embedder)
    for one in todo:
        place.delete(TODO, one.id)
    if batch:
        place.replace(move, {"done": batch[-1].id})
    if len(todo) < _BATCH:
        place.drop(serving)
        _done(place)
    return len(missed), len(todo) == _BATCH


def _embed(place: Place, space: str, memories: list[Document], embedder: Embedder) -> None:
    vectors = embedder.embed([found.content["text"] for found in memories])
    for found, vector in zip(memories, vectors, strict=True):
        put_into(place, space, found.id, found.content, vector)


def _done(place: Place) -> None:
    for kind in (MOVE, TODO):
        for found in place.look(kind):
            place.delete(kind, found.id)
