"""What each source taught, apart from what the others did: the sums of linear models, by source.

A model's sums are those of all who taught it, so what is left without one of them is the sum of the
others' shares. They are added up anew, never subtracted: what is small beside what was taken back
is as exact as if that had never been there.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from dachi_fast._core import learn as _core

if TYPE_CHECKING:
    from dachi_fast.learning._decision import Vector
    from dachi_fast.learning._linear import Linear

Places = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]
Sums = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], int]

_ARRAYS: Final = ("share_gram", "share_moment")


@functools.lru_cache(maxsize=16)
def _upper(dimension: int) -> Places:
    """Gives row and column of each number of a symmetric matrix that is kept."""
    return np.triu_indices(dimension)


def sums_of(model: Linear, row: int) -> Sums:
    """Gives a row's sums, and to which of the rewards they are faded, as a share has them."""
    upper = _upper(model.dimension)
    return model.gram[row][upper], model.moment[row].copy(), model.aged[row]


def credit(
    model: Linear, action: Any, source: str | None, before: Sums | None, x: Vector, reward: float
) -> None:
    """Adds one reward to the share of whom it came from.

    Args:
        model: has learned the reward, and not counted it yet.
        action: what brought it.
        source: who taught it; None for nobody.
        before: the action's sums before that, where it has no shares yet: all of them are nobody's.
        x: the context.
        reward: the reward.
    """
    places = model.shares.setdefault(action, {})
    if before is not None and (before[0].any() or before[1].any()):
        places[None] = _append(model, before)
    if source not in places:
        upper = _upper(model.dimension)
        places[source] = _append(model, (np.zeros(len(upper[0])), np.zeros_like(x), model.learned))
    place = places[source]
    if model.discount != 1:
        [fade] = _core.faded(model.discount, [model.learned - model.share_aged[place]])
        model.share_gram[place] *= fade
        model.share_moment[place] *= fade
    i, j = _upper(model.dimension)
    model.share_gram[place] += x[i] * x[j]
    model.share_moment[place] += reward * x
    model.share_aged[place] = model.learned


def without(model: Linear, source: str) -> None:
    """Makes a model's sums those of all others than a source, and solves them."""
    gone = []
    for action in list(model.shares):
        places = model.shares[action]
        if source not in places:
            continue
        gone.append(places.pop(source))
        _add_up(model, model.rows[action], list(places.values()))
        if set(places) <= {None}:  # all sums are nobody's again
            gone += places.values()
            del model.shares[action]
    _delete(model, gone)


def forget_action(model: Linear, action: Any) -> None:
    """Lets go of the shares of an action."""
    _delete(model, list(model.shares.pop(action, {}).values()))


def resized(model: Linear, old: int, new: int) -> None:
    """Cuts or pads the shares as `Linear.resize` does the sums."""
    count, kept = len(model.share_aged), min(old, new)
    if not count:
        return
    gram, moment = np.zeros((count, new, new)), np.zeros((count, new))
    for place in range(count):
        gram[place, :kept, :kept] = _square(model.share_gram[place], old)[:kept, :kept]
    moment[:, :kept] = model.share_moment[:, :kept]
    i, j = _upper(new)
    model.share_gram, model.share_moment = gram[:, i, j], moment


def _add_up(model: Linear, row: int, places: list[int]) -> None:
    aged = max((model.share_aged[place] for place in places), default=model.learned)
    gram, moment = np.zeros(len(_upper(model.dimension)[0])), np.zeros(model.dimension)
    for place in places:
        [fade] = _core.faded(model.discount, [aged - model.share_aged[place]])
        gram += fade * model.share_gram[place]
        moment += fade * model.share_moment[place]
    model.gram[row], model.moment[row] = _square(gram, model.dimension), moment
    model.aged[row] = aged
    model._solve(row)


def _square(packed: npt.NDArray[np.float64], dimension: int) -> npt.NDArray[np.float64]:
    square = np.zeros((dimension, dimension))
    i, j = _upper(dimension)
    square[i, j] = packed
    square[j, i] = packed
    return square


def _append(model: Linear, sums: Sums) -> int:
    place = len(model.share_aged)
    for name, part in zip(_ARRAYS, sums[:2], strict=True):
        held = getattr(model, name)
        setattr(model, name, np.concatenate([held, part[None]]) if place else part[None].copy())
    model.share_aged.append(sums[2])
    return place


def _delete(model: Linear, gone: list[int]) -> None:
    if not gone:
        return
    for name in _ARRAYS:
        setattr(model, name, np.delete(getattr(model, name), gone, axis=0))
    left = [place for place in range(len(model.share_aged)) if place not in set(gone)]
    moved = {place: at for at, place in enumerate(left)}
    model.share_aged = [model.share_aged[place] for place in left]
    for places in model.shares.values():
        for source, place in places.items():
            places[source] = moved[place]
