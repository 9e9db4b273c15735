"""Learning for agents of any class."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias

import numpy as np

from dachi_fast.adapt import AdaptModule, wrap
from dachi_fast.errors import LearningError, UnknownName, UnlearnIncomplete
from dachi_fast.learning._decision import Decision, Experience
from dachi_fast.learning._experiences import own
from dachi_fast.learning._late import run, written
from dachi_fast.learning._learner import Learner
from dachi_fast.learning._linear import LinUCB
from dachi_fast.learning._recall import Recall
from dachi_fast.learning._saved import (
    NOTHING,
    NeuralState,
    Restored,
    another_learner,
    check_owner,
    same_learner,
)
from dachi_fast.learning._sync import SyncLearning
from dachi_fast.migrate import MigrationReport
from dachi_fast.module import BaseModule, Param
from dachi_fast.spec import kind_of

if TYPE_CHECKING:
    from dachi_fast.adapt import Wrapped
    from dachi_fast.store import Store, Version

Decide: TypeAlias = Literal["memory", "durable"]
WhichLearner: TypeAlias = Literal["same", "saved", "carry"]
Last: TypeAlias = tuple[tuple["weakref.ref[NeuralLearningMixin]", str], ...]

# By task: the id of the last decision of each agent that chose in it. A task inherits those of its
# maker.
_last: ContextVar[Last] = ContextVar("dachi_fast last decisions", default=())


class _Declared(BaseModule):
    """What the mixin declares for agents that are modules."""

    learner: AdaptModule[Learner] = Param(default_factory=LinUCB)  # type: ignore[arg-type]


class NeuralLearningMixin(Recall):
    """An agent that learns from what its choices bring, and keeps that across lifetimes.

    It goes beside any base class and asks for nothing: no `__init__`, metaclass or `super()`.
    Beside `BaseModule` the learner is a field (`learner: AdaptModule[Learner]`, `LinUCB` by
    default) and the whole agent is saved; beside any other class, the learner is.

    What is saved goes under the name `agent_id`, an attribute that you give to the class or the
    instance, by default the name of the class; into `neural_store`, by default `default_store()`.
    Agents that live at the same time need ids of their own: the second that saves under one id gets
    a `Conflict`.

    What it experiences is kept beside its versions, in the commit of the state that learned it, and
    found again by `experiences`: the newest `experience_limit` of them.

    Example:
        >>> import asyncio
        >>> from dachi_fast import KeyFile, Store
        >>> from dachi_fast.learning import NeuralLearningMixin
        >>> class Guide(NeuralLearningMixin):
        ...     agent_id = "guide"
        >>> async def life(store):
        ...     guide = Guide()
        ...     guide.neural_store = store
        ...     restored = await guide.restore_neural_state()
        ...     for _ in range(20):
        ...         decision = guide.choose({"goal": "sea"}, ["north", "south"])
        ...         guide.update_weights(decision.action == "south")
        ...     await guide.save_neural_state(justification="a day of learning")
        ...     return bool(restored), guide.choose({"goal": "sea"}, ["north", "south"]).action
        >>> with Store.open("guide.store", keys=KeyFile("guide.key")) as store:
        ...     asyncio.run(life(store)), asyncio.run(life(store))
        ((False, 'south'), (True, 'south'))
    """

    neural_store: Store | None = None
    """Where the agent is saved; None for `default_store()`."""
    experience_limit: int | None = None
    """How many experiences are kept; None for 10,000, or fewer of contexts of more than 838
    numbers: 64 MB of them. Forks share what is kept. With 0 nothing is."""

    if TYPE_CHECKING:
        learner: AdaptModule[Learner]
    else:
        # Only modules look at this: it is how a declaration reaches a class that is none.
        __own_fields__ = _Declared.__dict__["__own_fields__"]

        @property
        def learner(self) -> AdaptModule[Learner]:
            """What learns; assign another learner to replace it."""
            root = self._neural_root()
            return self._adapt_learner if root is self else root.learner

        @learner.setter
        def learner(self, value: Wrapped[Learner]) -> None:
            root = self._neural_root()
            if root is self:
                self._adapt_learner = wrap(value, Learner)
            else:
                root.learner = value

    @property
    def sync(self) -> SyncLearning[Self]:
        """The agent for scripts and threads: what waits for the disk, without an event loop."""
        return SyncLearning(self)

    # --- choosing and learning --------------------------------------------------------------------

    def choose(
        self, context: Any, actions: Iterable[Any], *, decide: Decide = "memory"
    ) -> Decision:
        """Chooses one of the actions, by what was learned so far.

        Args:
            context: the situation: a vector, a dict of features or a text.
            actions: what can be chosen, at least one.
            decide: ``"durable"``: the decision is on disk before it is given, so that a process
                that dies while it acts finds it again, waiting for its reward. This waits for the
                disk; in an event loop use `achoose`. ``"memory"``: it is saved with the next save,
                and made again, the same, by a process that goes on from the one before.

        Returns:
            The decision: this task's last one from now on.

        Raises:
            LearningError: the context or the actions cannot be used; nothing is changed.
            DachiError: with ``"durable"``, what `Store.save` raises; the decision is withdrawn.
        """
        decision = self._chosen(context, actions, decide)
        if decide == "durable":
            try:
                self._memory().saved(self._saving(_WHY)).result()
            except BaseException:
                self._withdraw(decision)
                raise
        return decision

    async def achoose(
        self, context: Any, actions: Iterable[Any], *, decide: Decide = "memory"
    ) -> Decision:
        """Does what `choose` does; the loop goes on while a durable decision is written."""
        decision = self._chosen(context, actions, decide)
        if decide == "durable":
            try:
                await self.save_neural_state(justification=_WHY)
            except Exception:
                self._withdraw(decision)
                raise
        return decision

    def record_experience(
        self,
        action: Any,
        context: Any,
        outcome: Any,
        reward: float,
        *,
        decision: Decision | str | None = None,
        propensity: float | None = None,
        source: str | None = None,
    ) -> Experience:
        """Learns what an action brought, whoever chose it.

        If this task's last decision was this action in this context, it is that decision's reward:
        `update_weights` afterwards is no second lesson.

        Args:
            action: what was done; one that was offered before.
            context: in which situation.
            outcome: what came of it; kept with the experience, not learned from.
            reward: within the learner's `reward_range`; a bool stands for its ends.
            decision: the decision that this settles, or its id.
            propensity: how probable the action was, where somebody else chose it and that is known.
            source: who or what taught it.

        Returns:
            The experience.

        Raises:
            LearningError: reward, context, action, decision or source cannot be used; nothing is
                changed.
            StateError: the outcome is nothing that state can hold; nothing is changed.
        """
        learner, memory, told = self.learner.adapted, self._memory(), own(outcome)
        with memory.lock:
            value = learner.reward_of(reward)
            key = decision if isinstance(decision, (str, type(None))) else decision.id
            if key is None:
                key = self._settled_by(action, context)
            lesson = Experience(action, context, told, value, None, propensity, None, source)
            if key is None:
                made = self._lesson(lesson)
                self._remember(str(made.id))
            else:
                made = self._settle(key, lesson) or replace(lesson, id=key)
        return replace(made, context=context, outcome=outcome)

    def update_weights(
        self,
        outcome: Experience | Mapping[str, Any] | float,
        *,
        decision: Decision | str | None = None,
        source: str | None = None,
    ) -> bool:
        """Learns the reward of a decision.

        Args:
            outcome: an `Experience`, a mapping with a ``reward``, a number or a bool.
            decision: for which decision, or its id; None for this task's last one. An experience
                says so itself; one without an id is a lesson of its own.
            source: who or what taught it; None for what an experience says.

        Returns:
            True; False, and nothing is changed, if the decision's reward was learned before.

        Raises:
            LearningError: there is no reward in it (``reward``), nothing was chosen in this task
                (``decision``), or as `record_experience` raises; nothing is changed.
            StateError: the outcome holds what state cannot; nothing is changed.
        """
        learner, memory, told = self.learner.adapted, self._memory(), own(_told(outcome))
        given = outcome if isinstance(outcome, Experience) else None
        if source is None and given is not None:
            source = given.source
        with memory.lock:
            if given is not None and given.id is None and decision is None:
                self._lesson(replace(given, outcome=told, source=source))
                return True
            value = learner.reward_of(_reward_in(outcome))
            key = decision if isinstance(decision, (str, type(None))) else decision.id
            if key is None:
                key = given.id if given is not None else self._last_id()
            if key is None:
                raise LearningError(
                    "decision",
                    "nothing was chosen in this task: say decision=, or record_experience()",
                )
            lesson = Experience(None, None, told, value, source=source)
            return self._settle(key, lesson) is not None

    # --- lasting ----------------------------------------------------------------------------------

    async def save_neural_state(self, *, justification: str = "") -> Version:
        """Saves what was learned, as the next version of the agent's id; returned means on disk.

        What was experienced since the last save goes into the same commit. Both are taken before
        the first await; cancelling whoever waits does not take them back.

        Args:
            justification: why, for the ledger and the history.

        Raises:
            Conflict: another agent saved under this id since this one was restored or saved.
            DachiError: what else `Store.asave` raises. What was experienced goes with the next save
                then.
        """
        return await written(self._memory().saved(self._saving(justification)))

    async def restore_neural_state(
        self, *, version: int | str | None = None, learner: WhichLearner = "same"
    ) -> Restored:
        """Goes on from what was saved under the agent's id, migrated where classes have changed.

        All or nothing: the agent changes in one step, between two awaits.

        Args:
            version: a version's number or tag; None for the latest.
            learner: what to do where another class of learner was saved than the agent has.
                ``"same"``: refuse. ``"saved"``: take the saved one. ``"carry"``: give what it
                learned to the agent's own, which keeps its settings; linear learners can. Carrying
                is a migration in the ledger.

        Returns:
            What was found; False if nothing was saved yet, and the agent starts fresh.

        Raises:
            MigrationError: another agent's state, another learner's, or one that classes of today
                cannot hold; nothing is changed.
            SpecError: another module's state (``kind-mismatch``); nothing is changed.
            UnknownName: no such version.
            UnlearnIncomplete: what was taken back since that version cannot be taken back from it;
                nothing is changed.
            IntegrityError: what lies on disk is not what was saved; nothing is changed.
        """
        if learner not in {"same", "saved", "carry"}:
            raise ValueError(f"learner is 'same', 'saved' or 'carry', not {learner!r}")
        store, name, root = await run(self._store), self._name(), self._neural_root()
        try:
            found = await store.aversion(name, version=version)
        except UnknownName:
            if version is not None:
                raise
            return Restored(None)
        blueprint = await store.ablueprint(name, version=found.number)
        if isinstance(root, NeuralState):
            check_owner(type(self), blueprint, name)
        mine = self.learner.adapted
        differs = not same_learner(mine, blueprint)
        if differs and learner == "same":
            raise another_learner(mine, blueprint, name)
        carried = None
        if differs and learner == "carry":
            carried = await self._carried(store, name, found.number)
        history = await run(self._kept)
        mark, snapshot = store._mark(root, name), root.snapshot() if history.orders else {}
        followed = mark.number
        told: list[MigrationReport] = []
        await store.aload_into(root, name, version=found.number, report=told.append)
        changes = told[0] if told else NOTHING
        if carried is not None:
            self.learner = carried
            changes = replace(changes, converted=(*changes.converted, *_CARRIED.converted))
        try:
            unlearned = history.carry_out(self.learner.adapted)
        except UnlearnIncomplete:
            root.restore(snapshot)
            mark.set(followed)
            raise
        memory = self._memory()
        memory.clear(self.learner.adapted, elsewhere=leads_elsewhere(found))
        recent, (experiences, states) = await run(self._around, found.number)
        memory.recent.extend(recent)
        return Restored(found, changes, unlearned, experiences, states)

    # --- inside -----------------------------------------------------------------------------------

    def _neural_root(self) -> BaseModule:
        """Gives what is saved: the agent if it is a module, else what stands for it."""
        if isinstance(self, BaseModule):
            return self
        root: NeuralState | None = getattr(self, "_neural_state", None)
        if root is None:
            cls = type(self)
            root = NeuralState(agent=f"{cls.__module__}:{cls.__qualname__}")
            self._neural_state = root
        return root

    def _name(self) -> str:
        return getattr(self, "agent_id", None) or kind_of(type(self))

    def _store(self) -> Store:
        from dachi_fast.store import default_store

        return default_store() if self.neural_store is None else self.neural_store

    async def _carried(self, store: Store, name: str, number: int) -> Learner:
        saved = await store.aload(name, version=number)
        new = self.learner.adapted.carry(saved.learner.adapted)
        await run(store._note_migration, name, number, _CARRIED)
        return new

    def _chosen(self, context: Any, actions: Iterable[Any], decide: Decide) -> Decision:
        if decide not in {"memory", "durable"}:
            raise ValueError(f"decide is 'memory' or 'durable', not {decide!r}")
        with self._memory().lock:
            decision = self.learner.adapted.choose(context, actions)
        self._remember(decision.id)
        return decision

    def _settle(self, key: str, lesson: Experience) -> Experience | None:
        """Learns a decision's reward and notes it; None if that was learned before."""
        learner = self.learner.adapted
        held = learner.pending.get(key)
        if not learner.update(key, lesson.reward, source=lesson.source) or held is None:
            return None
        made = replace(
            lesson,
            action=held.action,
            context=held.features if held.context is None else held.context,
            id=key,
            propensity=held.propensity,
            actions=held.actions,
            step=learner.learned - 1,
        )
        return self._note(made)

    def _lesson(self, lesson: Experience) -> Experience:
        """Learns what was not chosen here and notes it."""
        learner = self.learner.adapted
        context = learner.readable(lesson.context)
        key = learner.learn(
            lesson.context,
            lesson.action,
            lesson.reward,
            propensity=lesson.propensity,
            actions=lesson.actions,
            source=lesson.source,
        )
        offered = tuple(learner.rows) if lesson.actions is None else tuple(lesson.actions)
        return self._note(
            replace(lesson, context=context, id=key, actions=offered, step=learner.learned - 1)
        )

    def _note(self, made: Experience) -> Experience:
        self._memory().note(made, self._limit())
        return made

    def _withdraw(self, decision: Decision) -> None:
        self.learner.adapted.pending.pop(decision.id, None)

    def _remember(self, key: str) -> None:
        others = [
            pair for pair in _last.get() if (agent := pair[0]()) is not None and agent is not self
        ]
        _last.set((*others, (weakref.ref(self), key)))

    def _last_id(self) -> str | None:
        return next((key for agent, key in _last.get() if agent() is self), None)

    def _settled_by(self, action: Any, context: Any) -> str | None:
        """Gives this task's last decision, if it waits and was this action in this context."""
        learner, key = self.learner.adapted, self._last_id()
        held = None if key is None else learner.pending.get(key)
        if held is None or held.action != action:
            return None
        same = np.array_equal(held.features, learner.features(context))
        return held.id if same else None


def leads_elsewhere(found: Version) -> bool:
    """Whether a version is not the one that its agent saved after the one before."""
    return (
        found.restores is not None
        or found.source is not None
        or found.base not in {None, found.number - 1}
    )


_WHY: Final = "a decision, before it is acted on"
_CARRIED: Final = MigrationReport(converted=("learner",))


def _told(outcome: Any) -> Any:
    """Gives what is kept of an outcome."""
    if isinstance(outcome, Experience):
        return outcome.outcome
    return dict(outcome) if isinstance(outcome, Mapping) else outcome


def _reward_in(outcome: Any) -> Any:
    if isinstance(outcome, Experience):
        return outcome.reward
    if not isinstance(outcome, Mapping):
        return outcome
    if "reward" not in outcome:
        raise LearningError("reward", f"there is no 'reward' among {sorted(map(str, outcome))}")
    return outcome["reward"]
