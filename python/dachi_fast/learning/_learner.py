"""What every learner can do."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from numbers import Real
from typing import Any, Literal, NamedTuple, Self

import numpy as np

from dachi_fast._core import learn as _core
from dachi_fast.errors import LearningError, MigrationError, UnlearnIncomplete
from dachi_fast.learning._context import meant, named, text_vector, vector_of
from dachi_fast.learning._decision import Decision, Experience, Vector
from dachi_fast.module import Attr, BaseModule, Param
from dachi_fast.spec import kind_of


class Pick(NamedTuple):
    """Which of the offered actions, how probable that was, and what it went by."""

    at: int
    propensity: float | None
    scores: list[float]


class Learner(BaseModule):
    """Base of learners: chooses actions in contexts, and learns from their rewards.

    All that it has learned is state, to the bit: a learner that was loaded goes on exactly as the
    one that was saved. Decisions that wait for their reward are part of it.

    A context is a vector of one dimension for the learner's whole life (array or sequence of finite
    numbers), a dict of features, or a text. Dicts are hashed to `hashed_dimension` numbers; texts
    are read by `StaticEmbedder`, cut to as many; for another reading of texts assign or override
    `embed`. Actions are values that can be keys of a dict and that state can hold. They may come
    and go: what is offered can be chosen, and what was learned about the others is kept until
    `drop`.

    Args:
        reward_range: least and largest reward; a bool stands for its ends. Default (0, 1).
        seed: of ties, samples and exploration; learners of equal seed and experience choose alike.
        hashed_dimension: how many numbers dicts and texts become. Default 128: more tells more
            features apart, and costs its square in learners with models of certainty.
        texts: how texts are read. ``"meaning"``: by `StaticEmbedder`, whose first numbers say most.
            ``"words"``: words and neighbouring words, hashed, which needs no English. Default
            ``"meaning"``: of 600 questions about 20 modules LinUCB answered 26 % right, 20 % by
            their words.
        max_pending: how many decisions wait for their reward; the oldest beyond are given up.
    """

    reward_range: tuple[float, float] = Param(default=(0.0, 1.0))
    seed: int = Param(default=0)
    hashed_dimension: int = Param(default=128)
    max_pending: int = Param(default=1000)
    texts: Literal["meaning", "words"] = Param(default="meaning")

    dimension: int = Attr(default=0)
    """Of contexts; 0 before the first."""
    rows: dict[Any, int] = Attr(default_factory=dict)
    """Action -> its part of the arrays."""
    decided: int = Attr(default=0)
    """How many ids were given."""
    learned: int = Attr(default=0)
    """How many rewards were learned; the time by which a discount counts."""
    drawn: int = Attr(default=0)
    """How many random numbers were drawn."""
    pending: dict[str, Decision] = Attr(default_factory=dict)
    """Decisions that wait for their reward, oldest first."""
    lineage: list[tuple[str, int]] = Attr(default_factory=list)
    """Stretches of the life that led here, and with which of the learned rewards each began: which
    of an agent's experiences it has learned."""
    unlearned: list[str] = Attr(default_factory=list)
    """Which orders to take something back were carried out."""
    hides: bool = Attr(default=False)
    """Whether an agent sees only the experiences that led here."""

    # --- choosing and learning --------------------------------------------------------------------

    def choose(self, context: Any, actions: Iterable[Any]) -> Decision:
        """Chooses one of the actions.

        Args:
            context: the situation.
            actions: what can be chosen, at least one; repetitions collapse.

        Returns:
            The decision, which waits for `update`.

        Raises:
            LearningError: the context cannot be read or has another dimension (``context``); no
                action is offered, or one cannot be told apart (``actions``). Nothing is changed.
        """
        self._check()
        offered = _offered(actions)
        x = self.features(context)
        self._know(offered, x.size)
        pick = self._pick(x, [self.rows[action] for action in offered])
        action = offered[pick.at]
        decision = Decision(
            self._next_id(x, action),
            action,
            offered,
            pick.propensity,
            tuple(pick.scores),
            x,
            kept(context),
        )
        self.pending[decision.id] = decision
        while len(self.pending) > max(self.max_pending, 1):
            del self.pending[next(iter(self.pending))]
        return decision

    def update(self, decision: Decision | str, reward: float, *, source: str | None = None) -> bool:
        """Learns what a decision brought.

        Args:
            decision: what `choose` gave, or its id.
            reward: within `reward_range`; a bool stands for its ends.
            source: who or what taught it, for whoever is to `unlearn` it.

        Returns:
            True; False, and nothing is changed, if that was learned before, or was given up for
            newer decisions.

        Raises:
            LearningError: the reward is none (``reward``), or this learner never gave this id
                (``decision``). Nothing is changed.
        """
        value = self.reward_of(reward)
        key = decision if isinstance(decision, str) else decision.id
        held = self.pending.get(key)
        if held is None:
            self._check_given(key)
            return False
        self._check()
        self._teach(
            held.features, held.action, value, held.propensity, held.actions, checked_source(source)
        )
        self.learned += 1
        del self.pending[key]
        return True

    def learn(
        self,
        context: Any,
        action: Any,
        reward: float,
        *,
        propensity: float | None = None,
        actions: Iterable[Any] | None = None,
        source: str | None = None,
    ) -> str:
        """Learns what an action brought that was not chosen here, for instance one of a log.

        Args:
            context: the situation.
            action: what was done; one that was offered before, by `choose` or `offer`.
            reward: within `reward_range`; a bool stands for its ends.
            propensity: how probable the action was when it was chosen; None if not known.
            actions: what could be chosen then; None for all that are known.
            source: who or what taught it, for whoever is to `unlearn` it.

        Returns:
            An id: `update` with it is no second lesson.

        Raises:
            LearningError: the action was never offered (``actions``), or as `choose` and `update`
                raise. Nothing is changed.
        """
        self._check()
        value = self.reward_of(reward)
        offered = tuple(self.rows) if actions is None else _offered(actions)
        [action] = _offered([action])
        if action not in self.rows or action not in offered:
            raise LearningError(
                "actions",
                f"action {action!r} was never offered: choose among it, or offer() it, first",
            )
        x = self.features(context)
        self._know(offered, x.size)
        likely = _checked_propensity(propensity)
        self._teach(x, action, value, likely, offered, checked_source(source))
        self.learned += 1
        return self._next_id(x, action)

    def replay(self, experiences: Iterable[Experience]) -> int:
        """Learns from experiences whose actions were chosen elsewhere or earlier.

        A `SoftmaxPolicy` weighs each by its propensity and leaves out those without one; linear
        learners need none.

        Returns:
            How many were learned.

        Raises:
            LearningError: as `learn`; those before are learned.
        """
        count = 0
        for one in experiences:
            if self._can_replay(one):
                self.learn(
                    one.context,
                    one.action,
                    one.reward,
                    propensity=one.propensity,
                    actions=one.actions,
                    source=one.source,
                )
                count += 1
        return count

    def unlearn(
        self, source: str, log: Iterable[Experience] = (), *, gone: Collection[int] = ()
    ) -> None:
        """Takes back what a source taught, as if its rewards had been left out of the log.

        Time has passed all the same: what was learned before them has faded by them, too. Actions
        that were chosen because of them stay chosen.

        Args:
            source: who or what taught it.
            log: all that was learned, oldest first, with `Experience.step`, for learners that must
                learn the rest anew.
            gone: steps that the log lacks because they were taken back before.

        Raises:
            UnlearnIncomplete: the log lacks others (``unlearn``); nothing is changed.
        """
        del log, gone
        raise UnlearnIncomplete(
            "unlearn",
            f"a {kind_of(type(self))} does not know how to take back what {source!r} taught",
            source=source,
        )

    def offer(self, actions: Iterable[Any], *, dimension: int | None = None) -> None:
        """Makes actions known without choosing, so that `learn` takes them.

        Args:
            actions: the actions.
            dimension: of contexts, which vectors need to say before the first. None: what it was
                so far or, before the first, `hashed_dimension`.

        Raises:
            LearningError: an action cannot be told apart (``actions``), or contexts have another
                dimension (``context``).
        """
        size = dimension or self.dimension or self.hashed_dimension
        self._check()
        self._check_dimension(size)
        self._know(_offered(actions), size)

    def drop(self, action: Any) -> None:
        """Forgets an action and all that was learned about it; decisions for it are given up.

        Raises:
            LearningError: the action is not known (``actions``).
        """
        row = self.rows.get(action)
        if row is None:
            raise LearningError("actions", f"action {action!r} is not known")
        self._remove(row)
        self.rows = {a: at - (at > row) for a, at in self.rows.items() if at != row}
        self.pending = {key: d for key, d in self.pending.items() if d.action != action}

    def carry(self, other: Learner) -> Self:
        """Gives a new learner with these Params, which knows what another learner learned.

        Raises:
            MigrationError: it cannot, unless the subclass knows how (``another-learner``).
        """
        mine, theirs = kind_of(type(self)), kind_of(type(other))
        raise MigrationError(
            "another-learner",
            f"a {mine} cannot go on from what a {theirs} learned: replay() experiences into it",
        )

    # --- reading ----------------------------------------------------------------------------------

    def features(self, context: Any) -> Vector:
        """Gives a context as the learner sees it: float64, shape `(d,)`, an array of its own.

        Raises:
            LearningError: it cannot be read, or is of another dimension (``context``).
        """
        if isinstance(context, str):
            context = self.embed(context)
        elif isinstance(context, Mapping):
            context = named(context, self.hashed_dimension)
        x = vector_of(context)
        self._check_dimension(x.size)
        return x

    def readable(self, context: Any) -> Any:
        """Gives a context as it is kept: a text, a dict, or a vector of its own.

        Raises:
            LearningError: it is none of them (``context``).
        """
        told = kept(context)
        return vector_of(context) if told is None else told

    def embed(self, text: str) -> Any:
        """Gives a text as a vector of length 1, as `texts` says.

        A text of which `StaticEmbedder` knows nothing is read by its words. Override it in a
        subclass, or assign any callable, for another reading. What is assigned is not saved: assign
        the same again after a load.
        """
        found = meant(text, self.hashed_dimension) if self.texts == "meaning" else None
        return text_vector(text, self.hashed_dimension) if found is None else found

    def reward_of(self, reward: float) -> float:
        """Gives a reward as a float within `reward_range`; a bool stands for its ends.

        Raises:
            LearningError: it is none (``reward``).
        """
        low, high = self.reward_range
        if not low < high or not math.isfinite(high - low):
            raise LearningError(
                "reward", f"reward_range goes from low to high, not {low} to {high}"
            )
        if isinstance(reward, (bool, np.bool_)):
            return float(high if reward else low)
        value: Any = reward
        if not (isinstance(value, Real) and low <= value <= high):  # type: ignore[operator]
            raise LearningError(
                "reward",
                f"a reward is a bool or a number from {low} to {high}, not {reward!r}; "
                f"reward_range declares others",
            )
        return float(reward)

    def surprise(self, experience: Experience) -> float:
        """Gives how much an experience would teach now, to replay the most telling ones first.

        Raises:
            LearningError: this learner does not know (``setting``), or the context cannot be read
                (``context``).
        """
        del experience
        raise LearningError("setting", f"a {kind_of(type(self))} has no surprise()")

    # --- what a learner is ------------------------------------------------------------------------

    def _pick(self, x: Vector, rows: list[int]) -> Pick:
        raise NotImplementedError

    def _learn(
        self,
        x: Vector,
        action: Any,
        reward: float,
        propensity: float | None,
        offered: tuple[Any, ...],
    ) -> None:
        raise NotImplementedError

    def _teach(
        self,
        x: Vector,
        action: Any,
        reward: float,
        propensity: float | None,
        offered: tuple[Any, ...],
        source: str | None,
    ) -> None:
        """Learns what somebody taught."""
        del source
        self._learn(x, action, reward, propensity, offered)

    def _grow(self, count: int, dimension: int) -> None:
        """Makes room for `count` actions more."""
        raise NotImplementedError

    def _remove(self, row: int) -> None:
        """Takes an action's part out of the arrays."""
        raise NotImplementedError

    def _can_replay(self, experience: Experience) -> bool:
        del experience
        return True

    def _check(self) -> None:
        """Refuses settings that cannot work, before anything is changed."""

    # --- for learners -----------------------------------------------------------------------------

    def _need(self, fits: bool, name: str, what: str) -> None:  # noqa: FBT001 - what was found
        if not fits:
            given = getattr(self, name)
            raise LearningError("setting", f"{name} is {what}, not {given!r}")

    def _uniform(self) -> float:
        drawn, self.drawn = _core.uniform(self.seed, self.drawn)
        return drawn

    def _best(self, scores: list[float]) -> tuple[int, int]:
        """Gives which score is the highest, drawn where several are, and how many are."""
        highest = max(scores)
        ties = [at for at, score in enumerate(scores) if score == highest]
        if len(ties) == 1:
            return ties[0], 1
        return ties[int(self._uniform() * len(ties))], len(ties)

    # --- inside -----------------------------------------------------------------------------------

    def _know(self, offered: tuple[Any, ...], dimension: int) -> None:
        new = [action for action in offered if action not in self.rows]
        if new:
            self._grow(len(new), dimension)
            self.dimension = dimension
            self.rows.update(
                zip(new, range(len(self.rows), len(self.rows) + len(new)), strict=True)
            )

    def _reread(self, context: Any) -> Vector:
        """Gives the features of a context of before, cut or padded as `resize` does."""
        if isinstance(context, np.ndarray) and self.dimension:
            short = max(self.dimension - context.size, 0)
            context = np.pad(context, (0, short))[: self.dimension]
        return self.features(context)

    def _check_dimension(self, size: int) -> None:
        if self.dimension and size != self.dimension:
            raise LearningError(
                "context",
                f"a context has {size} numbers, but this learner has learned from contexts of "
                f"{self.dimension}: resize({size}) makes it read these",
            )

    def _next_id(self, x: Vector, action: Any) -> str:
        number = self.decided
        self.decided += 1
        return f"{number}-{_core.tag(x, self.rows[action], number):016x}"

    def _check_given(self, key: str) -> None:
        number, _, tag = key.partition("-")
        if not (number.isdecimal() and len(tag) == 16 and int(number) < self.decided):
            raise LearningError(
                "decision",
                f"decision {key!r} was not made by this learner, or after the state that it went "
                f"back to",
            )


def _offered(actions: Iterable[Any]) -> tuple[Any, ...]:
    if isinstance(actions, (str, bytes)):
        raise LearningError("actions", f"actions is a list of actions, not the text {actions!r}")
    try:
        offered = tuple(dict.fromkeys(actions))
    except TypeError as cause:
        raise LearningError("actions", f"an action cannot be the key of a dict: {cause}") from cause
    if not offered:
        raise LearningError("actions", "no action is offered")
    return offered


def checked_source(source: object) -> str | None:
    """Gives a source.

    Raises:
        LearningError: it is no text (``source``).
    """
    if source is None or (isinstance(source, str) and source):
        return source
    raise LearningError("source", f"a source is a text that is not empty, not {source!r}")


def kept(context: Any) -> Any:
    """Gives what a decision keeps of a context beside its features: a text or a dict of its own."""
    if isinstance(context, Mapping):
        listed = context.items()
        return {name: list(held) if isinstance(held, list) else held for name, held in listed}
    return context if isinstance(context, str) else None


def _checked_propensity(propensity: float | None) -> float | None:
    if propensity is not None and not 0 < propensity <= 1:
        raise LearningError("reward", f"a propensity is above 0 and at most 1, not {propensity!r}")
    return propensity
