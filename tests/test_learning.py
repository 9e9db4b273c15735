"""Learners against MABWiser, across a save, and with what they refuse."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dachi_fast import KeyFile, Store
from dachi_fast._core import learn as _core
from dachi_fast.errors import LearningError, MigrationError
from dachi_fast.learning import (
    EpsilonGreedy,
    Experience,
    Learner,
    Linear,
    LinTS,
    LinUCB,
    SoftmaxPolicy,
)

MABWISER = json.loads(
    (Path(__file__).parent / "vectors" / "learning" / "mabwiser.json").read_text()
)
KINDS: list[type[Learner]] = [LinUCB, LinTS, EpsilonGreedy, SoftmaxPolicy]
LINEAR: list[type[Linear]] = [LinUCB, LinTS, EpsilonGreedy]


def walk(learner: Learner, steps: int, *, seed: int = 1, first: int = 0) -> list[Any]:
    """Lets a learner choose and learn; what it meets depends on seed, step and action alone."""
    taken = []
    for step in range(first, first + steps):
        drawn = np.random.default_rng((seed, step))
        context, bests = drawn.random(5), drawn.random(4)
        decision = learner.choose(context, ["a", "b", "c", "d"])
        taken.append((decision.id, decision.action, decision.propensity, decision.scores))
        learner.update(decision, bests["abcd".index(decision.action)] * context[0])
    return taken


def state(learner: Learner) -> dict[str, Any]:
    return {
        key: value.tobytes() if isinstance(value, np.ndarray) else value
        for key, value in learner.state_dict().items()
    }


# --- what they compute ----------------------------------------------------------------------------


@pytest.mark.parametrize("known", MABWISER, ids=lambda known: f"alpha {known['alpha']}")
def test_linear_models_expect_what_mabwisers_do(known: dict[str, Any]) -> None:
    learner = LinUCB(alpha=known["alpha"], ridge=known["ridge"], reward_range=(0.0, 1.0))
    learner.offer(range(4), dimension=len(known["asked"][0]))
    looked = {one["step"]: one for one in known["looked"]}
    log = zip(known["contexts"], known["actions"], known["rewards"], strict=True)
    for step, (context, action, reward) in enumerate(log, 1):
        learner.learn(context, action, reward)
        if step not in looked:
            continue
        # Before an action's first reward MABWiser takes the ridge for its inverse.
        told = sorted(set(known["actions"][:step]))
        for asked, bounds in zip(known["asked"], looked[step]["upper_bounds"], strict=True):
            scores = learner.choose(asked, range(4)).scores
            expected = [bounds[str(row)] for row in told]
            assert [scores[row] for row in told] == pytest.approx(expected, rel=1e-9)
        for row in told:
            weights, inverse = learner.weights[row], learner.inverse[row]
            means, covariances = looked[step]["means"][row], looked[step]["covariances"][row]
            np.testing.assert_allclose(weights, means, rtol=1e-9, atol=1e-12)
            inverse = known["alpha"] ** 2 * inverse
            np.testing.assert_allclose(inverse, covariances, rtol=1e-9, atol=1e-12)


def test_thompson_samples_have_the_mean_and_the_spread_of_the_reward() -> None:
    learner = LinTS(alpha=0.5)
    learner.offer(["a"], dimension=2)
    for reward in (1.0, 0.0, 1.0):
        learner.learn([1.0, 2.0], "a", reward)
    x = np.array([0.5, -1.0])
    drawn = [learner.choose(x, ["a"]).scores[0] for _ in range(4000)]
    spread = 0.5 * math.sqrt(x @ learner.inverse[0] @ x)
    assert np.mean(drawn) == pytest.approx(learner.weights[0] @ x, abs=4 * spread / 4000**0.5)
    assert np.std(drawn) == pytest.approx(spread, rel=0.05)


def test_the_order_in_which_actions_are_offered_does_not_matter_for_what_is_learned() -> None:
    one, other = LinUCB(), LinUCB()
    one.offer(["a", "b"], dimension=2)
    other.offer(["b", "a"], dimension=2)
    for learner in (one, other):
        learner.learn([1.0, 0.5], "a", 1.0)
        learner.learn([0.2, 0.5], "b", 0.5)
    assert one.expectations([1.0, 1.0]) == other.expectations([1.0, 1.0])


def test_a_discount_forgets_as_the_sums_say() -> None:
    learner = LinUCB(discount=0.9, resolve_every=1)
    learner.offer(["a", "b"], dimension=2)
    gram, moment = np.zeros((2, 2)), np.zeros(2)
    for step in range(60):
        context, action = np.array([1.0, step % 7 / 7]), "ab"[step % 3 == 0]
        learner.learn(context, action, step % 2)
        gram, moment = 0.9 * gram, 0.9 * moment
        if action == "a":
            gram, moment = gram + np.outer(context, context), moment + step % 2 * context
    faded = 0.9 ** (learner.learned - 1 - learner.aged[0])
    np.testing.assert_allclose(learner.gram[0] * faded, gram, rtol=1e-9)
    np.testing.assert_allclose(learner.moment[0] * faded, moment, rtol=1e-9)


def test_what_an_action_is_worth_gets_unsure_while_others_are_tried() -> None:
    learner = LinUCB(discount=0.5, alpha=1.0)
    learner.offer(["a", "b"], dimension=1)
    learner.learn([1.0], "a", 0.0)
    doubts = []
    for _ in range(2000):
        doubts.append(learner.choose([1.0], ["a"]).scores[0])
        learner.learn([1.0], "b", 0.0)
    assert doubts == sorted(doubts)
    assert doubts[-1] == 1.0  # no more than that of the ridge alone


def test_rounding_does_not_add_up() -> None:
    learner = LinUCB(resolve_every=50)
    walk(learner, 300)
    for row in range(4):
        exact = np.linalg.inv(learner.gram[row] + np.eye(5))
        np.testing.assert_allclose(learner.inverse[row], exact, rtol=1e-11, atol=1e-13)


def test_ties_are_drawn_and_say_how_probable_they_were() -> None:
    decisions = [LinUCB(seed=seed).choose([1.0], ["abcd"] * 2 + ["e"]) for seed in range(40)]
    assert {decision.propensity for decision in decisions} == {0.5}
    assert {decision.action for decision in decisions} == {"abcd", "e"}


def test_the_share_of_simulated_wins_is_the_propensity_of_a_sample() -> None:
    learner = LinTS(propensity_rounds=1000)
    learner.offer(["good", "bad"], dimension=1)
    for _ in range(50):
        learner.learn([1.0], "good", 1.0)
        learner.learn([1.0], "bad", 0.0)
    found = {d.action: d.propensity for d in (learner.choose([1.0], ["good", "bad"]),)}
    assert found["good"] == 1.0
    assert LinTS().choose([1.0], ["good", "bad"]).propensity is None


def test_epsilon_is_how_often_any_action_is_tried() -> None:
    learner = EpsilonGreedy(epsilon=0.4)
    learner.offer(["a", "b"], dimension=1)
    learner.learn([1.0], "a", 1.0)
    decisions = [learner.choose([1.0], ["a", "b"]) for _ in range(2000)]
    share = sum(d.action == "b" for d in decisions) / len(decisions)
    assert share == pytest.approx(0.2, abs=0.03)
    assert {(d.action, d.propensity) for d in decisions} == {("a", 0.8), ("b", 0.2)}


def test_a_policy_draws_actions_as_often_as_it_says() -> None:
    policy = SoftmaxPolicy()
    policy.offer(["a", "b", "c"], dimension=1)
    policy.weights[:, 0] = np.log([0.5, 0.3, 0.2])
    decisions = [policy.choose([1.0], ["a", "b", "c"]) for _ in range(4000)]
    for action, probability in (("a", 0.5), ("b", 0.3), ("c", 0.2)):
        found = [d for d in decisions if d.action == action]
        assert found[0].propensity == pytest.approx(probability)
        assert len(found) / 4000 == pytest.approx(probability, abs=0.03)


def test_replay_weighs_by_propensity_up_to_the_clip_and_leaves_out_what_has_none() -> None:
    def moved(propensity: float | None, clip: float = 10.0) -> tuple[int, float]:
        policy = SoftmaxPolicy(clip=clip, rate=1.0)
        policy.offer(["a", "b"], dimension=1)
        told = Experience("a", [1.0], "done", 1.0, propensity=propensity)
        return policy.replay([told]), float(policy.weights[0, 0])

    assert moved(0.5) == (1, 0.5)
    assert moved(0.25) == (1, 1.0)
    assert moved(0.001, clip=3.0) == (1, 1.5)
    assert moved(None) == (0, 0.0)


def test_a_better_than_usual_reward_raises_a_probability_and_a_worse_one_lowers_it() -> None:
    policy = SoftmaxPolicy()
    policy.offer(["a", "b"], dimension=1)
    policy.learn([1.0], "a", 0.5)
    before = policy.probabilities([1.0])["a"]
    policy.learn([1.0], "a", 0.4)
    assert policy.probabilities([1.0])["a"] < before
    before = policy.probabilities([1.0])["a"]
    policy.learn([1.0], "a", 0.9)
    assert policy.probabilities([1.0])["a"] > before


# --- across a save --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_learner_goes_on_to_the_bit(kind: type[Learner], tmp_path: Path) -> None:
    settings: dict[str, Any] = {"discount": 0.97} if issubclass(kind, Linear) else {}
    unbroken, learner = kind(seed=3, **settings), kind(seed=3, **settings)
    expected = walk(unbroken, 90)
    taken = []
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        for first in range(0, 90, 30):
            taken += walk(learner, 30, first=first)
            store.save(learner, "learner", base="latest")
            learner = store.load("learner")
    assert taken == expected
    assert state(learner) == state(unbroken)


def test_a_decision_waits_for_its_reward_across_a_save(tmp_path: Path) -> None:
    learner = LinUCB()
    decision = learner.choose({"weather": "rain", "wind": 3}, ["walk", "bus"])
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        store.save(learner, "learner")
        again = store.load("learner")
    assert again.pending == {decision.id: decision}
    assert again.update(decision.id, True)
    learner.update(decision, True)
    assert state(again) == state(learner)


def test_a_step_done_again_has_the_same_id_and_another_step_has_not() -> None:
    def third(context: list[float]) -> str:
        learner = LinUCB()
        for _ in range(2):
            learner.choose([1.0, 0.0], ["a", "b"])
        return learner.choose(context, ["a", "b"]).id

    assert third([1.0, 0.0]) == third([1.0, 0.0])
    assert third([1.0, 0.0]) != third([0.0, 1.0])


# --- decisions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_reward_that_is_told_twice_is_learned_once(kind: type[Learner]) -> None:
    learner = kind()
    decision = learner.choose([1.0, 2.0], ["a", "b"])
    assert learner.update(decision, 1.0)
    once = state(learner)
    assert not learner.update(decision, 0.0)
    assert not learner.update(learner.learn([1.0, 2.0], "a", 1.0), 1.0)
    assert learner.learned == 2
    assert once["learned"] == 1


def test_only_so_many_decisions_wait_and_the_oldest_are_given_up() -> None:
    learner = LinUCB(max_pending=2)
    first, second, third = (learner.choose([1.0], ["a"]) for _ in range(3))
    assert not learner.update(first, 1.0)
    assert learner.update(second, 1.0)
    assert learner.update(third, 1.0)


def test_decisions_of_others_are_refused() -> None:
    learner = LinUCB()
    learner.choose([1.0], ["a"])
    for key in ("1-0123456789abcdef", "nonsense", "", "0-", "x-0123456789abcdef"):
        with pytest.raises(LearningError, match="not made by this learner") as raised:
            learner.update(key, 1.0)
        assert raised.value.code == "decision"


def test_a_reward_is_learned_though_another_offered_action_was_dropped_since() -> None:
    for learner in (LinUCB(), SoftmaxPolicy()):
        decision = learner.choose([1.0, 0.0], ["a", "b", "c"])
        learner.drop("b" if decision.action == "a" else "a")
        assert learner.update(decision, 1.0)


def test_actions_come_and_go() -> None:
    learner = LinUCB()
    waiting = learner.choose([1.0, 0.0], ["a", "b"])
    learner.learn([1.0, 0.0], "b", 1.0)
    expected = learner.expectations([1.0, 0.0])["b"]
    learner.choose([1.0, 0.0], ["c", ("tuple", 1), None])
    learner.drop("a")
    assert list(learner.rows) == ["b", "c", ("tuple", 1), None]
    assert learner.expectations([1.0, 0.0])["b"] == expected
    assert learner.update(waiting, 1.0) == (waiting.action == "b")
    with pytest.raises(LearningError, match="not known"):
        learner.drop("a")


# --- contexts -------------------------------------------------------------------------------------


def test_dicts_and_texts_are_hashed_alike_in_every_process() -> None:
    learner = LinUCB(hashed_dimension=16)
    found = learner.features({"colour": "red", "size": 2.5, "age": np.float32(3), "new": False})
    # 1 at the place of what is always there
    assert found.tolist() == [-3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2.5, 0, 0, 1]
    tagged = learner.features({"tags": ["x", "y"], "colour": "red"})
    assert (
        tagged.tolist() == learner.features({"tags=x": 1, "tags=y": 1, "colour=red": True}).tolist()
    )
    learner.texts = "words"
    assert learner.features("Sort a list!").tolist() == learner.features("sort, a LIST").tolist()


@pytest.mark.parametrize("dimension", [64, 256, 300])
def test_texts_are_read_by_what_they_mean(dimension: int) -> None:
    learner = LinUCB(hashed_dimension=dimension)
    told, near, far = map(learner.features, ["Sort a list", "Order a sequence", "Bake a cake"])
    assert told.shape == (dimension,)
    assert told @ told == pytest.approx(1)
    assert told @ near > told @ far


def test_a_text_of_which_no_meaning_is_known_is_read_by_its_words() -> None:
    learner = LinUCB(hashed_dimension=16)
    found = learner.features("สวัสดี").tolist()
    learner.texts = "words"
    assert found == learner.features("สวัสดี").tolist()
    assert any(found)


def test_a_text_may_be_read_by_any_callable() -> None:
    learner = LinUCB()
    learner.embed = lambda text: [float(len(text)), 1.0]  # type: ignore[method-assign]
    assert learner.choose("four", ["a"]).features.tolist() == [4.0, 1.0]
    assert learner.dimension == 2


def test_a_learner_keeps_its_own_copy_of_a_context() -> None:
    context = np.array([1.0, 2.0])
    learner = LinUCB()
    decision = learner.choose(context, ["a"])
    context[:] = 9.0
    learner.update(decision, 1.0)
    assert learner.gram[0].tolist() == [[1.0, 2.0], [2.0, 4.0]]


@pytest.mark.parametrize(
    "context", [[1, 2], (True, False), np.arange(4, dtype="i1")[::2], [np.float32(1)] * 2]
)
def test_contexts_are_any_numbers(context: Any) -> None:
    assert LinUCB().features(context).dtype == np.float64


# --- another dimension, another learner -----------------------------------------------------------


@pytest.mark.parametrize("kind", LINEAR)
@pytest.mark.parametrize("dimension", [2, 8])
def test_a_resized_learner_is_one_that_learned_from_such_contexts(
    kind: type[Linear], dimension: int
) -> None:
    resized, twin = kind(), kind()
    resized.offer(["a", "b"], dimension=5)
    twin.offer(["a", "b"], dimension=dimension)
    for step in range(40):
        context = np.random.default_rng(step).random(5)
        resized.learn(context, "ab"[step % 2], step % 3 / 2)
        twin.learn(np.pad(context, (0, 3))[:dimension], "ab"[step % 2], step % 3 / 2)
    resized.resize(dimension)
    asked = np.ones(dimension)
    assert resized.expectations(asked) == pytest.approx(twin.expectations(asked), rel=1e-9)
    np.testing.assert_allclose(resized.inverse, twin.inverse, rtol=1e-9, atol=1e-12)


def test_a_decision_that_waits_is_resized_with_its_learner() -> None:
    for learner in (LinUCB(), SoftmaxPolicy()):
        decision = learner.choose([1.0, 2.0], ["a", "b"])
        learner.resize(3)
        assert learner.update(decision.id, 1.0)
        learner.choose([1.0, 2.0, 3.0], ["a"])


def test_a_policy_does_not_shrink() -> None:
    policy = SoftmaxPolicy()
    policy.choose([1.0, 2.0], ["a"])
    with pytest.raises(LearningError, match="learned together"):
        policy.resize(1)


@pytest.mark.parametrize("kind", LINEAR)
def test_one_linear_learner_goes_on_from_what_another_learned(kind: type[Linear]) -> None:
    old = LinUCB(seed=4)
    walk(old, 50)
    waiting = old.choose(np.ones(5), ["a", "b"])
    new = kind(seed=9, ridge=2.0).carry(old)
    assert (new.seed, new.ridge, new.learned) == (9, 2.0, 50)
    assert new.gram.tobytes() == old.gram.tobytes()
    np.testing.assert_allclose(
        new.inverse[0], np.linalg.inv(old.gram[0] + 2 * np.eye(5)), rtol=1e-9
    )
    assert new.update(waiting, 1.0)
    assert old.learned == 50


def test_a_linear_learner_says_why_it_cannot_go_on_from_a_policy() -> None:
    with pytest.raises(
        MigrationError, match="cannot go on from what a SoftmaxPolicy learned"
    ) as raised:
        LinUCB().carry(SoftmaxPolicy())
    assert raised.value.code == "another-learner"


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "reward",
    [math.nan, math.inf, -math.inf, -0.1, 1.1, "1", None, 1j, 10**400, Decimal(1)],
    ids=repr,
)
def test_a_reward_that_is_none_changes_nothing(kind: type[Learner], reward: Any) -> None:
    learner = kind()
    decision = learner.choose([1.0, 2.0], ["a", "b"])
    before = state(learner)
    with pytest.raises(LearningError) as raised:
        learner.update(decision, reward)
    assert raised.value.code == "reward"
    with pytest.raises(LearningError):
        learner.learn([1.0, 2.0], "a", reward)
    assert state(learner) == before


def test_a_bool_stands_for_the_ends_of_the_range() -> None:
    learner = LinUCB(reward_range=(-2.0, 3.0))
    rewards: list[Any] = [False, True, np.False_, np.True_, -2, np.float32(3)]
    assert [learner.reward_of(reward) for reward in rewards] == [-2, 3, -2, 3, -2, 3]


@pytest.mark.parametrize("reward_range", [(1.0, 0.0), (0.0, 0.0), (0.0, math.inf), (math.nan, 1.0)])
def test_a_range_that_is_none_is_refused(reward_range: tuple[float, float]) -> None:
    with pytest.raises(LearningError, match="reward_range"):
        LinUCB(reward_range=reward_range).reward_of(0.5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "context",
    [
        [1.0],
        [1.0, 2.0, 3.0],
        [],
        [[1.0, 2.0]],
        [1.0, math.nan],
        [1.0, -math.inf],
        [1.0, 1e200],
        ["x", "y"],
        [1j, 0],
        None,
        7.0,
        {"a": object()},
        {1: 2.0},
        {"a": [1, 2]},
        {"a": 10**400},
        {"a": math.nan},
        {"\ud800": 1.0},
        "\ud800",
        [[1.0], [2.0, 3.0]],
    ],
    ids=repr,
)
def test_a_context_that_cannot_be_read_changes_nothing(kind: type[Learner], context: Any) -> None:
    learner = kind(hashed_dimension=2)
    learner.choose([1.0, 2.0], ["a", "b"])
    before = state(learner)
    for use in (lambda: learner.choose(context, ["new"]), lambda: learner.learn(context, "a", 1.0)):
        with pytest.raises(LearningError) as raised:
            use()
        assert raised.value.code == "context"
    assert state(learner) == before


@pytest.mark.parametrize("actions", [[], "abc", b"abc", [["list"]], [{}]], ids=repr)
def test_actions_that_cannot_be_told_apart_are_refused(actions: Any) -> None:
    learner = LinUCB()
    with pytest.raises(LearningError) as raised:
        learner.choose([1.0], actions)
    assert raised.value.code == "actions"


def test_an_action_that_was_never_offered_cannot_be_learned() -> None:
    learner = LinUCB()
    learner.choose([1.0], ["a"])
    with pytest.raises(LearningError, match="'b' was never offered"):
        learner.learn([1.0], "b", 1.0)
    with pytest.raises(LearningError, match="'a' was never offered"):
        learner.learn([1.0], "a", 1.0, actions=["b"])
    with pytest.raises(LearningError, match="key of a dict"):
        learner.learn([1.0], ["a"], 1.0)


@pytest.mark.parametrize("propensity", [0.0, -1.0, 1.5, math.nan])
def test_a_propensity_that_is_none_is_refused(propensity: float) -> None:
    policy = SoftmaxPolicy()
    policy.offer(["a"], dimension=1)
    with pytest.raises(LearningError, match="propensity"):
        policy.learn([1.0], "a", 1.0, propensity=propensity)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (LinUCB, "ridge", 0.0),
        (LinUCB, "ridge", math.inf),
        (EpsilonGreedy, "discount", 0.0),
        (LinTS, "discount", 1.1),
        (LinUCB, "alpha", math.nan),
        (LinTS, "alpha", -1.0),
        (LinTS, "propensity_rounds", -1),
        (EpsilonGreedy, "epsilon", 1.5),
        (SoftmaxPolicy, "rate", 0.0),
        (SoftmaxPolicy, "baseline_rate", 2.0),
        (SoftmaxPolicy, "clip", math.nan),
    ],
)
def test_a_setting_that_cannot_work_is_refused(kind: Any, name: str, value: Any) -> None:
    learner = kind(**{name: value})
    with pytest.raises(LearningError, match=name) as raised:
        learner.choose([1.0], ["a"])
    assert raised.value.code == "setting"
    assert learner.rows == {}


def test_arrays_that_were_changed_from_outside_are_refused() -> None:
    learner = LinUCB()
    decision = learner.choose([1.0, 2.0], ["a", "b"])
    learner.weights = np.zeros((1, 2))
    with pytest.raises(LearningError) as raised:
        learner.choose([1.0, 2.0], ["a", "b"])
    assert raised.value.code == "learner-state"
    learner.weights = np.zeros((2, 4))[:, ::2]
    with pytest.raises(LearningError):
        learner.update(decision, 1.0)
    with pytest.raises(LearningError):
        _core.solve((learner.gram, learner.moment, learner.inverse, learner.weights), 2**62, 2, 1.0)
