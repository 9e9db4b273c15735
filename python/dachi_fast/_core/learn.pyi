"""The arithmetic of learners, on numpy arrays in place.

All arrays are float64 in C order; `rows` and `row` say whose part of them is meant, an action's.
Sums have one fixed order, so that results are the same to the bit on every machine.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

_Array: TypeAlias = npt.NDArray[np.float64]
_Model: TypeAlias = tuple[_Array, _Array, _Array, _Array]

def score(
    weights: _Array, inverse: _Array, rows: list[int], context: _Array
) -> tuple[list[float], list[float]]:
    """Gives the rewards that linear models expect, and the squares of how unsure they are.

    Args:
        weights: shape `(n, d)`.
        inverse: shape `(n, d, d)`, symmetric.
        rows: which of the `n`.
        context: shape `(d,)`.

    Returns:
        For each row `weights[row] @ context` and `context @ inverse[row] @ context`.

    Raises:
        LearningError: the arrays are not of one shape (``learner-state``).

    Complexity:
        O(d^2) a row.
    """

def observe(arrays: _Model, row: int, context: _Array, reward: float, fade: float) -> None:
    """Learns one reward in place, by rank-one updates.

    Args:
        arrays: gram `(n, d, d)`, moment `(n, d)`, inverse `(n, d, d)`, weights `(n, d)`.
        row: whose model learns.
        context: shape `(d,)`.
        reward: what the action brought.
        fade: what all that the model learned before counts for, above 0 and at most 1.

    Raises:
        LearningError: the sums would overflow (``context``), or the arrays are not of one shape
            (``learner-state``); nothing is changed.

    Complexity:
        O(d^2).
    """

def solve(arrays: _Model, row: int, dimension: int, ridge: float) -> None:
    """Computes a model's inverse and weights from its gram and moment anew.

    Args:
        arrays: as for `observe`.
        row: whose.
        dimension: d.
        ridge: what is added to the diagonal; above 0.

    Raises:
        LearningError: the arrays are not of one shape (``learner-state``).

    Complexity:
        O(d^3).
    """

def faded(discount: float, elapsed: list[int]) -> list[float]:
    """Gives the discount to the power of each number of steps."""

def probabilities(weights: _Array, rows: list[int], context: _Array) -> list[float]:
    """Gives the softmax of `weights[row] @ context` over the rows.

    Args:
        weights: shape `(n, d)`.
        rows: which of the `n`.
        context: shape `(d,)`.

    Raises:
        LearningError: the array is not of that shape (``learner-state``).
    """

def ascend(
    weights: _Array,
    rows: list[int],
    context: _Array,
    probabilities: list[float],
    chosen: int,
    step: float,
) -> None:
    """Takes one step, in place, along the gradient of the log-probability of what was chosen.

    Args:
        weights: shape `(n, d)`.
        rows: what could be chosen.
        context: shape `(d,)`.
        probabilities: what `probabilities` gives for them.
        chosen: which of `rows` was.
        step: how far.

    Raises:
        LearningError: a weight would not be finite any more (``context``), or the array is not of
            that shape (``learner-state``); nothing is changed.
    """

def uniform(seed: int, drawn: int) -> tuple[float, int]:
    """Gives a number in [0, 1) of a stream, and how many were drawn then."""

def normals(count: int, seed: int, drawn: int) -> tuple[list[float], int]:
    """Gives standard normal numbers of a stream, and how many were drawn then."""

def wins(
    means: list[float], spreads: list[float], rounds: int, seed: int, drawn: int
) -> tuple[list[int], int]:
    """Gives how often each of several normal variables was the largest, and how many were drawn."""

def hashed(names: list[str], values: list[float], dimension: int) -> list[float]:
    """Gives a vector to which each value was added where, and with the sign that, its name says."""

def hashed_text(text: str, dimension: int) -> list[float]:
    """Gives a text's words and pairs of words as a vector, of length 1 where there are any."""

def tag(context: _Array, row: int, number: int) -> int:
    """Gives 64 bits that tell apart what was decided."""
