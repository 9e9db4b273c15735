"""What is left without a source is what a replay of the log without it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dachi_fast.errors import UnlearnIncomplete
from dachi_fast.learning import (
    EpsilonGreedy,
    Experience,
    Learner,
    Linear,
    LinTS,
    LinUCB,
    SoftmaxPolicy,
)

ACTIONS = ["a", "b", "c"]
DIMENSION = 4
SOURCES = [None, "Ada", "Ben"]

scales = st.sampled_from([1.0, 1e-6, 1e6])
steps = st.tuples(
    st.sampled_from(ACTIONS),
    st.lists(st.floats(-1, 1, width=32), min_size=DIMENSION, max_size=DIMENSION),
    st.floats(0, 1, width=32),
    st.sampled_from(SOURCES),
)
linear = st.builds(
    lambda kind, discount, ridge, every: kind(
        discount=discount, ridge=ridge, resolve_every=every, reward_range=(0.0, 1.0)
    ),
    st.sampled_from([LinUCB, LinTS, EpsilonGreedy]),
    st.sampled_from([1.0, 0.97, 0.5]),
    st.sampled_from([0.1, 1.0]),
    st.sampled_from([3, 1000]),
)


@dataclass(frozen=True)
class Lesson:
    action: str
    context: np.ndarray
    reward: float
    source: str | None


def lessons(drawn: list[Any], scale: dict[str | None, float]) -> list[Lesson]:
    """Gives a log in which sources differ in how large their contexts are."""
    return [Lesson(a, np.array(x) * scale[s], r, s) for a, x, r, s in drawn]


def taught(learner: Learner, log: list[Lesson], *, without: str | None = None) -> Learner:
    """Learns a log; what is left out ages the rest all the same."""
    learner.offer(ACTIONS, dimension=DIMENSION)
    for one in log:
        if without is not None and one.source == without:
            learner.learned += 1
        else:
            learner.learn(one.context, one.action, one.reward, source=one.source)
    return learner


def close(found: np.ndarray, expected: np.ndarray) -> bool:
    """Equal to 1e-9 of the largest number of each action's part."""
    parts = zip(found, expected, strict=True)
    return all(np.abs(f - e).max() <= 1e-9 * np.abs(e).max() for f, e in parts)


def current(model: Linear, name: str) -> np.ndarray:
    """Gives sums as they are now, faded by all that was learned."""
    fades = [model.discount ** (model.learned - aged) for aged in model.aged]
    held: np.ndarray = getattr(model, name)
    return np.array([part * fade for part, fade in zip(held, fades, strict=True)])


@settings(max_examples=40)
@given(linear, st.lists(steps, max_size=40), scales, scales)
def test_sums_and_solution_are_those_of_a_replay(
    made: Linear, drawn: list[Any], ada: float, ben: float
) -> None:
    log = lessons(drawn, {None: 1.0, "Ada": ada, "Ben": ben})
    learner, replay = taught(made.from_spec(made.spec()), log), taught(made, log, without="Ada")
    assert isinstance(learner, Linear)
    assert isinstance(replay, Linear)
    learner.unlearn("Ada")
    assert learner.learned == replay.learned
    for name in ("gram", "moment"):
        assert close(current(learner, name), current(replay, name))
    for row in range(len(ACTIONS)):
        if ben == 1.0:  # else the solution itself is good to fewer digits
            at_one_time = learner.discount ** (replay.aged[row] - learner.aged[row])
            learner.gram[row] *= at_one_time
            learner.moment[row] *= at_one_time
            learner._solve(row)
            replay._solve(row)
            assert close(learner.weights[[row]], replay.weights[[row]])
            assert close(learner.inverse[[row]], replay.inverse[[row]])


@settings(max_examples=40)
@given(linear, st.lists(steps, max_size=30))
def test_all_sources_taken_back_leave_what_nobody_taught(made: Linear, drawn: list[Any]) -> None:
    log = lessons(drawn, {None: 1.0, "Ada": 1e6, "Ben": 1e-6})
    learner = taught(made.from_spec(made.spec()), log)
    assert isinstance(learner, Linear)
    for source in ("Ben", "Ada", "Ada"):
        learner.unlearn(source)
    replay = taught(made, [one for one in log if one.source is None])
    assert isinstance(replay, Linear)
    assert (learner.shares, len(learner.share_gram)) == ({}, 0)
    if made.discount == 1:
        np.testing.assert_array_equal(learner.gram, replay.gram)
        np.testing.assert_array_equal(learner.moment, replay.moment)


@settings(max_examples=40)
@given(linear, st.lists(steps, max_size=30), st.integers(1, 6))
def test_shares_are_cut_and_padded_with_the_contexts(
    made: Linear, drawn: list[Any], dimension: int
) -> None:
    log = lessons(drawn, dict.fromkeys(SOURCES, 1.0))
    learner, replay = taught(made.from_spec(made.spec()), log), taught(made, log, without="Ada")
    assert isinstance(learner, Linear)
    assert isinstance(replay, Linear)
    learner.resize(dimension)
    learner.unlearn("Ada")
    replay.resize(dimension)
    assert close(current(learner, "gram"), current(replay, "gram"))
    assert close(current(learner, "moment"), current(replay, "moment"))


@settings(max_examples=40)
@given(st.lists(steps, max_size=30))
def test_shares_of_other_actions_stay_when_one_is_dropped(drawn: list[Any]) -> None:
    log = lessons(drawn, dict.fromkeys(SOURCES, 1.0))
    learner, replay = LinUCB(), LinUCB()
    taught(learner, log).drop("b")
    taught(replay, log, without="Ben").drop("b")
    learner.unlearn("Ben")
    np.testing.assert_allclose(learner.gram, replay.gram, rtol=1e-9, atol=1e-12)


@settings(max_examples=40)
@given(st.lists(steps, max_size=30))
def test_a_policy_learns_the_rest_anew(drawn: list[Any]) -> None:
    log = lessons(drawn, dict.fromkeys(SOURCES, 1.0))
    learner, replay = SoftmaxPolicy(), SoftmaxPolicy()
    taught(learner, log)
    taught(replay, log, without="Ada")
    kept = [
        Experience(one.action, one.context, None, one.reward, source=one.source, step=step)
        for step, one in enumerate(log)
    ]
    gone = [one.step or 0 for one in kept if one.source == "Ada"]
    learner.unlearn("Ada", [one for one in kept if one.source != "Ada"], gone=gone)
    assert learner.weights.tobytes() == replay.weights.tobytes()
    assert (learner.baseline, learner.learned) == (replay.baseline, replay.learned)


def test_a_policy_that_lacks_a_part_of_its_log_says_so() -> None:
    policy = SoftmaxPolicy()
    policy.offer(ACTIONS, dimension=1)
    for source in SOURCES:
        policy.learn([1.0], "a", 1.0, source=source)
    weights = policy.weights.copy()
    log = [Experience("a", [1.0], None, 1.0, source="Ada", step=1)]
    with pytest.raises(UnlearnIncomplete, match="2 of the 3 rewards") as raised:
        policy.unlearn("Ada", log)
    assert (raised.value.code, raised.value.context["missing"]) == ("unlearn", 2)
    full = [Experience("a", [1.0], None, 1.0, source=s, step=n) for n, s in enumerate(SOURCES)]
    policy.drop("a")
    with pytest.raises(UnlearnIncomplete, match="dropped 'a'"):
        policy.unlearn("Ada", full)
    assert len(weights) == 3
