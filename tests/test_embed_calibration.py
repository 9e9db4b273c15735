"""What a cosine means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dachi_fast import Calibration, CallableEmbedder, HashingEmbedder, StaticEmbedder, calibrate
from dachi_fast.errors import CalibrationError

COSINES = st.floats(-1, 1)
CALIBRATIONS = st.builds(Calibration, slope=st.floats(0.1, 1000), intercept=st.floats(-100, 100))


def likeness(one: str, other: str) -> float:
    """Gives the calibrated probability of the default embedder."""
    first, second = StaticEmbedder().embed([one, other])
    return StaticEmbedder.calibration.probability(float(first @ second))


def test_the_query_of_the_reference_finds_its_task_and_no_other() -> None:
    assert likeness("Build Python REST API", "Create FastAPI microservice") >= 0.8
    assert likeness("Build Python REST API", "Bake a chocolate cake") < 0.2


def test_what_is_asked_in_other_words_is_likely_and_what_is_unrelated_is_not() -> None:
    bug = "fix login bug in web form"
    assert likeness(bug, "repair authentication error on sign in page") > 0.95
    assert likeness(bug, "train a neural network") < 0.4


@given(CALIBRATIONS, COSINES, COSINES)
def test_a_nearer_text_is_never_less_probable(
    calibration: Calibration, one: float, other: float
) -> None:
    low, high = sorted([one, other])
    probability = calibration.probability
    assert 0 <= probability(low) <= probability(high) <= 1


@given(CALIBRATIONS, st.floats(0.001, 0.999))
def test_the_cosine_of_a_probability_has_it(calibration: Calibration, probability: float) -> None:
    back = calibration.probability(calibration.cosine(probability))
    assert math.isclose(back, probability, rel_tol=1e-6)


@given(CALIBRATIONS, st.lists(COSINES, max_size=5))
def test_an_array_gives_what_each_of_its_cosines_does(
    calibration: Calibration, cosines: list[float]
) -> None:
    found = calibration.probability(np.array(cosines))
    assert found.tolist() == [calibration.probability(cosine) for cosine in cosines]


def test_certainty_is_beyond_every_cosine() -> None:
    calibration = Calibration(10, -2)
    assert (calibration.cosine(0), calibration.cosine(1)) == (-math.inf, math.inf)


@pytest.mark.parametrize("probability", [-0.1, 1.1, math.nan])
def test_no_cosine_has_what_is_no_probability(probability: float) -> None:
    with pytest.raises(ValueError, match="0 to 1"):
        Calibration(10, -2).cosine(probability)


@pytest.mark.parametrize(
    ("slope", "intercept"), [(0, 0), (-1, 0), (math.nan, 0), (math.inf, 0), (1, math.nan)]
)
def test_a_curve_that_does_not_rise_is_refused(slope: float, intercept: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Calibration(slope, intercept)


def on_a_circle(texts: Sequence[str]) -> NDArray[np.float64]:
    """Texts are angles."""
    angles = np.array([float(text) for text in texts])
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


CIRCLE = CallableEmbedder("circle", 2, on_a_circle, norm="unit")


def drawn(spread: float) -> list[list[str]]:
    """Gives pairs of angles, the second near the first."""
    generator = np.random.default_rng(5)
    first = generator.uniform(0, 2 * np.pi, 3000)
    return [
        [str(a), str(a + d)] for a, d in zip(first, generator.normal(0, spread, 3000), strict=True)
    ]


def test_a_fit_gives_the_share_of_pairs_that_belong_together() -> None:
    fitted = calibrate(CIRCLE, drawn(0.8))
    groups = drawn(0.8)
    vectors = on_a_circle([text for group in groups for text in group]).reshape(-1, 2, 2)
    same = np.sum(vectors[:, 0] * vectors[:, 1], axis=1)
    different = np.sum(vectors[:, 0] * np.roll(vectors[:, 1], 1500, axis=0), axis=1)
    for low in (0.0, 0.3, 0.6):
        here = [np.sum((low <= c) & (c < low + 0.3)) for c in (same, different)]
        assert abs(fitted.probability(low + 0.15) - here[0] / sum(here)) < 0.1


def test_a_fit_is_that_of_the_highest_likelihood() -> None:
    fitted = calibrate(CIRCLE, drawn(0.8))

    def likelihood(slope: float, intercept: float) -> float:
        groups = drawn(0.8)
        vectors = on_a_circle([text for group in groups for text in group]).reshape(-1, 2, 2)
        same = np.sum(vectors[:, 0] * vectors[:, 1], axis=1)
        different = np.sum(vectors[:, 0] * np.roll(vectors[:, 1], 1500, axis=0), axis=1)
        sides = (slope * same + intercept, -(slope * different + intercept))
        return -sum(float(np.logaddexp(0, -side).sum()) for side in sides)

    best = likelihood(fitted.slope, fitted.intercept)
    for slope, intercept in [(1.05, 1), (0.95, 1), (1, 1.05), (1, 0.95)]:
        assert likelihood(fitted.slope * slope, fitted.intercept * intercept) < best


def test_texts_that_a_cosine_divides_exactly_have_a_finite_slope() -> None:
    fitted = calibrate(CIRCLE, [[str(i), str(i)] for i in range(40)])
    assert fitted.probability(1) > 0.9
    assert math.isfinite(fitted.slope)


def test_a_fit_is_the_same_each_time() -> None:
    groups = [[f"install part {n}", f"part {n} was installed"] for n in range(60)]
    assert calibrate(HashingEmbedder(), groups) == calibrate(HashingEmbedder(), iter(groups))


@pytest.mark.parametrize(
    "groups",
    [[], [["a", "b"]] * 19, [["1", "2"]] * 30 + [["3"]], [["0", str(math.pi)]] * 30],
    ids=["none", "few", "a group of one", "opposites"],
)
def test_texts_that_tell_nothing_are_refused(groups: Any) -> None:
    with pytest.raises(CalibrationError) as caught:
        calibrate(CIRCLE, groups)
    assert caught.value.code == "calibration"
