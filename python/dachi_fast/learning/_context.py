"""Contexts as vectors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dachi_fast._core import learn as _core
from dachi_fast.embed import StaticEmbedder
from dachi_fast.errors import EmptyText, LearningError

if TYPE_CHECKING:
    from dachi_fast.learning._decision import Vector

# Of the sum of squares: what is learned stays finite for more steps than anybody takes.
_LARGEST: Final = 1e100


def vector_of(numbers: Any) -> Vector:
    """Gives a vector of its own, checked.

    Args:
        numbers: an array or a sequence of finite numbers, the sum of whose squares is at most
        1e100, of one dimension.

    Raises:
        LearningError: it is not that (``context``).
    """
    try:
        vector = np.array(numbers, dtype=np.float64)
    except (TypeError, ValueError) as cause:
        raise _bad(f"a context is a vector, a dict or a text, not {_shown(numbers)}") from cause
    if vector.ndim != 1 or not vector.size:
        raise _bad(f"a context has one dimension and at least one number, not shape {vector.shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        square = vector.dot(vector)
    if not square <= _LARGEST:
        raise _bad("a context has numbers that are not finite, or beyond 1e50")
    return vector


def named(context: Mapping[Any, Any], dimension: int) -> list[float]:
    """Gives a dict of features as a vector, by signed feature hashing (arXiv 0902.2206, section 2).

    A number or a bool counts under its name; a text, or each text of a list, as ``name=text``. One
    feature that is always there lets a model learn what is so whatever the context.

    Raises:
        LearningError: a name is no text, or a value none of these (``context``).
    """
    names, values = [""], [1.0]
    for name, value in context.items():
        if not isinstance(name, str):
            raise _bad(f"a feature's name is a text, not {_shown(name)}")
        if isinstance(value, (bool, int, float, np.bool_, np.number)):
            names.append(name)
            values.append(_number(value))
            continue
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, (list, tuple)) or not all(isinstance(t, str) for t in texts):
            raise _bad(
                f"feature {name!r} is a number, a text or a list of texts, not {_shown(value)}"
            )
        names += [f"{name}={text}" for text in texts]
        values += [1.0] * len(texts)
    try:
        return _core.hashed(names, values, dimension)
    except UnicodeEncodeError as cause:
        raise _bad("a feature holds half of a surrogate pair") from cause


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, OverflowError) as cause:
        raise _bad(f"a feature's value is a number, not {_shown(value)}") from cause


def meant(text: str, dimension: int) -> Vector | None:
    """Gives what a text means as a vector of length 1; None where the embedder knows none of it.

    It is `StaticEmbedder`'s, whose principal components come first: cut where there is no room for
    all of it, ending in zeros where there is more.
    """
    try:
        [found] = StaticEmbedder().embed([text])
    except EmptyText:
        return None
    vector = np.zeros(dimension)
    shared = min(dimension, found.size)
    vector[:shared] = found[:shared]
    # Not numpy's norm, whose order of summation depends on the processor.
    length = math.sqrt(math.fsum(value * value for value in vector.tolist()))
    return vector / length if length else None


def text_vector(text: str, dimension: int) -> list[float]:
    """Gives a text's words and neighbouring words, hashed, as a vector of length 1.

    Raises:
        LearningError: the text holds half of a surrogate pair (``context``).
    """
    try:
        return _core.hashed_text(text, dimension)
    except UnicodeEncodeError as cause:
        raise _bad("a text holds half of a surrogate pair") from cause


def _bad(what: str) -> LearningError:
    return LearningError("context", what)


def _shown(value: Any) -> str:
    return f"{type(value).__name__} {str(value)[:40]!r}"
