"""From a cosine to the probability that two texts are about the same thing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from dachi_fast.errors import CalibrationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dachi_fast.types import Embedder

_FEWEST_GROUPS = 20
_MOST_STEPS = 100


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a cosine of one embedder means: `1 / (1 + exp(-(slope * cosine + intercept)))`.

    It is the share of pairs with this cosine that were about the same thing among the pairs that it
    was fitted to, half of which were. Among texts of another kind (longer ones, all of one field)
    the same cosine means less: `calibrate` with your own.

    Args:
        slope: above 0, so that a nearer text is never less probable.
        intercept: any finite number.

    Raises:
        ValueError: otherwise.

    Example:
        >>> from dachi_fast import Calibration
        >>> meaning = Calibration(slope=10.0, intercept=-2.0)
        >>> f"{meaning.probability(0.2):.2f} {meaning.probability(0.5):.2f}"
        '0.50 0.95'
        >>> f"{meaning.cosine(0.95):.2f}"
        '0.49'
    """

    slope: float
    intercept: float

    def __post_init__(self) -> None:
        if not (0 < self.slope < math.inf and math.isfinite(self.intercept)):
            raise ValueError("a slope is above 0, and both numbers are finite")

    @overload
    def probability(self, cosine: float) -> float: ...
    @overload
    def probability(self, cosine: NDArray[np.floating[Any]]) -> NDArray[np.float64]: ...

    def probability(self, cosine: float | NDArray[np.floating[Any]]) -> float | NDArray[np.float64]:
        """Gives the probability that two texts are about the same thing.

        Args:
            cosine: of their vectors, -1 to 1; one, or an array of any shape.

        Returns:
            0 to 1; for an array float64 of its shape.
        """
        # The logistic function by tanh, which cannot overflow.
        found = 0.5 + 0.5 * np.tanh(0.5 * (self.slope * np.float64(cosine) + self.intercept))
        return found if isinstance(cosine, np.ndarray) else float(found)

    def cosine(self, probability: float) -> float:
        """Gives the cosine that has a probability, to filter by cosines.

        Args:
            probability: 0 to 1.

        Returns:
            May lie outside -1 to 1, where no pair of texts, or every pair, is that probable.

        Raises:
            ValueError: not in 0 to 1.
        """
        if not 0 <= probability <= 1:
            raise ValueError(f"a probability is 0 to 1, not {probability}")
        if probability in {0, 1}:
            return math.copysign(math.inf, probability - 0.5)
        return (math.log(probability / (1 - probability)) - self.intercept) / self.slope


def calibrate(embedder: Embedder, groups: Iterable[Sequence[str]]) -> Calibration:
    """Fits what an embedder's cosines mean to texts like yours.

    Neighbours in a group are pairs about the same thing; each is compared, too, with a text of the
    group half of all groups away. Both kinds weigh the same. The logistic curve is Platt's (1999)
    with his smoothed targets, found by Newton's method with backtracking (Lin, Lin and Weng, 2007,
    section 3).

    Args:
        embedder: any.
        groups: at least 20, some hundreds are better: in each two or more texts about one thing,
            such as sentences of one text, or a task and how somebody asked for it.

    Returns:
        The same for the same texts and vectors.

    Raises:
        CalibrationError: fewer groups, a group of one text, or texts of a group that are no nearer
            to each other than to others.

    Complexity:
        Embeds each text once; the fit is linear in their number.

    Example:
        >>> from dachi_fast import HashingEmbedder, calibrate
        >>> groups = [[f"install part {n}", f"part {n} was installed"] for n in range(100, 150)]
        >>> calibrate(HashingEmbedder(), groups).slope > 0
        True
    """
    same, different = _cosines(embedder, [list(group) for group in groups])
    slope, intercept = _fitted(same, different)
    if not slope > 0:
        raise CalibrationError(
            "calibration",
            "texts of one group are no nearer to each other than to those of others",
        )
    return Calibration(slope, intercept)


def _cosines(
    embedder: Embedder, groups: list[list[str]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gives the cosines of pairs from one group and of pairs from two."""
    if len(groups) < _FEWEST_GROUPS or min(map(len, groups)) < 2:
        raise CalibrationError(
            "calibration", f"a fit needs {_FEWEST_GROUPS} groups of two or more texts each"
        )
    vectors = embedder.embed([text for group in groups for text in group]).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    starts = np.cumsum([0, *map(len, groups)])
    firsts, others = [], []
    for number, group in enumerate(groups):
        other = (number + len(groups) // 2) % len(groups)
        for place in range(len(group) - 1):
            firsts.append(starts[number] + place)
            others.append(starts[other] + (place + 1) % len(groups[other]))
    first = vectors[firsts]
    same = np.einsum("ij,ij->i", first, vectors[np.add(firsts, 1)])
    return same, np.einsum("ij,ij->i", first, vectors[others])


def _fitted(same: NDArray[np.float64], different: NDArray[np.float64]) -> tuple[float, float]:
    """Gives slope and intercept of the logistic curve that is most likely."""
    x = np.stack([np.concatenate([same, different]), np.ones(len(same) + len(different))], axis=1)
    # Smoothed, so that two kinds that a cosine divides exactly have a finite slope.
    aim = np.repeat([(len(same) + 1) / (len(same) + 2), 1 / (len(same) + 2)], len(same))

    def loss(parameters: NDArray[np.float64]) -> float:
        z = x @ parameters
        return float(np.sum(np.logaddexp(0, z) - aim * z))

    found = np.zeros(2)
    for _ in range(_MOST_STEPS):
        p = 0.5 + 0.5 * np.tanh(0.5 * (x @ found))
        gradient = x.T @ (p - aim)
        # The small number keeps it invertible where every p is 0 or 1, or all cosines are equal.
        curvature = (x.T * (p * (1 - p))) @ x + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        while loss(found - step) > loss(found) and np.abs(step).max() > 1e-9:
            step /= 2
        found = found - step
        if np.abs(step).max() < 1e-9:
            break
    return float(found[0]), float(found[1])
