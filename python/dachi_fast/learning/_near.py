"""Contexts as vectors that are compared, and a state as the contexts that it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from dachi_fast.embed import StaticEmbedder
from dachi_fast.errors import EmptyText
from dachi_fast.learning._context import named

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dachi_fast.learning._learner import Learner

Unit = npt.NDArray[np.float32]

# Contexts whose mean is the embedding of a state: what it was about lately.
RECENT: Final = 32
# Longest vectors that are compared as they are; longer ones are folded.
_WIDEST: Final = 1024
# What is kept of states, to be found again.
STATES: Final = 1_000

# From MurmurHash3's 64-bit finalizer: places that look drawn.
_MIX: Final = np.uint64(0xFF51AFD7ED558CCD)


class Seen(NamedTuple):
    """A context as a vector of length 1, among those that it may be compared with."""

    space: str
    model: str
    vector: Unit


def seen(learner: Learner, context: Any) -> Seen | None:
    """Gives a context as a vector; None for one that says nothing: zeros, or no known word.

    Texts are read by `StaticEmbedder`, dicts as the learner hashes them, vectors as they are. Only
    what has one kind and dimension is compared.
    """
    if isinstance(context, str):
        embedder = StaticEmbedder()
        try:
            [vector] = embedder.embed([context])
        except EmptyText:
            return None
        return Seen(f"text {embedder.name}", embedder.name, vector)
    kind = "dict" if isinstance(context, dict) else "vector"
    numbers = named(context, learner.hashed_dimension) if kind == "dict" else context
    x = np.asarray(numbers, dtype=np.float64)
    space, largest = f"{kind} {x.size}", float(np.abs(x).max())
    if not largest:
        return None
    x = _folded(x / largest)  # whose squares neither overflow nor vanish
    return Seen(space, "features", (x / np.linalg.norm(x)).astype(np.float32))


def mean(contexts: Iterable[Seen]) -> Seen | None:
    """Gives the direction in which the last context's like lie together; None without any."""
    every = list(contexts)
    if not every:
        return None
    last = every[-1]
    total = np.sum([one.vector for one in every if one.space == last.space], axis=0)
    length = float(np.linalg.norm(total))
    return last._replace(vector=total / np.float32(length)) if length > 1e-6 else None


def _folded(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Gives a long vector in fewer numbers, by signed hashing of places (arXiv 0902.2206)."""
    if x.size <= _WIDEST:
        return x
    mixed = np.arange(1, x.size + 1, dtype=np.uint64) * _MIX
    mixed ^= mixed >> np.uint64(33)
    signs = np.where(mixed & np.uint64(1 << 20), 1.0, -1.0)
    folded = np.zeros(_WIDEST)
    np.add.at(folded, (mixed % np.uint64(_WIDEST)).astype(np.intp), x * signs)
    return folded
