"""Agents for scripts: what waits for the disk, without an event loop."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from dachi_fast.learning._agent import BaseAgent  # noqa: F401 - whose view SyncAgent is
    from dachi_fast.learning._decision import Decision, Experience
    from dachi_fast.learning._influence import Influence
    from dachi_fast.learning._learner import Learner
    from dachi_fast.learning._mixin import NeuralLearningMixin, WhichLearner
    from dachi_fast.learning._saved import Restored
    from dachi_fast.learning._search import By
    from dachi_fast.learning._unlearn import Unlearned
    from dachi_fast.store import Version
    from dachi_fast.store._autosave import Autosave

A = TypeVar("A", bound="NeuralLearningMixin")
T = TypeVar("T")


def done(work: Coroutine[Any, Any, T]) -> T:
    """Gives what a coroutine gives, run to its end here.

    Raises:
        RuntimeError: an event loop runs in this thread already.
    """
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    work.close()
    raise RuntimeError("an event loop runs here: await the agent's own method, without sync")


class SyncLearning(Generic[A]):
    """An agent for scripts and threads; `NeuralLearningMixin.sync` gives it.

    Each method does what the agent's own of that name does, and waits for it: arguments, results
    and errors alike.

    Raises:
        RuntimeError: a method is called where an event loop runs.
    """

    def __init__(self, agent: A) -> None:
        self._agent: Final = agent

    def __repr__(self) -> str:
        return f"<sync view of {type(self._agent).__name__} {self._agent._name()!r}>"

    def save_neural_state(self, *, justification: str = "") -> Version:
        """Saves what was learned and experienced; returned means on disk."""
        # Without a loop of its own, which would take longer than a save without sync.
        from dachi_fast.store._records import version_of

        agent = self._agent
        return version_of(agent._memory().saved(agent._saving(justification)).result())

    def restore_neural_state(
        self, *, version: int | str | None = None, learner: WhichLearner = "same"
    ) -> Restored:
        """Goes on from what was saved under the agent's id."""
        return done(self._agent.restore_neural_state(version=version, learner=learner))

    def rollback_neural_state(
        self, to: int | str, *, with_memory: bool = False, justification: str = ""
    ) -> Restored:
        """Goes back to an earlier version."""
        more = {"with_memory": with_memory, "justification": justification}
        return done(self._agent.rollback_neural_state(to, **more))  # type: ignore[arg-type]

    def experiences(
        self,
        *,
        by: By = "recency",
        like: Any = None,
        source: str | None = None,
        limit: int | None = 100,
    ) -> list[Experience]:
        """Gives what the agent experienced and saved."""
        return done(self._agent.experiences(by=by, like=like, source=source, limit=limit))

    def replay(
        self,
        *,
        into: Learner | None = None,
        by: By = "recency",
        like: Any = None,
        source: str | None = None,
        limit: int | None = 100,
    ) -> int:
        """Learns from experiences once more, or lets another learner learn from them."""
        agent = self._agent
        return done(agent.replay(into=into, by=by, like=like, source=source, limit=limit))

    def influence(self, decision: Decision | str, *, limit: int | None = 10) -> list[Influence]:
        """Gives the experiences that weigh most in what is expected of a choice."""
        return done(self._agent.influence(decision, limit=limit))

    def unlearn(self, source: str, *, justification: str = "") -> Unlearned:
        """Takes back what a source taught."""
        return done(self._agent.unlearn(source, justification=justification))


class SyncAgent(SyncLearning["BaseAgent"]):
    """A `BaseAgent` for scripts and threads; its `sync` gives it.

    ``with agent.sync as life:`` is what ``async with agent:`` is, with two differences: SIGTERM
    ends the process as it does any other, and what is saved now and then is taken by a thread, so
    that changes that belong together go into ``with life.hold():``. What the learner does is held
    together anyway.

    Example:
        >>> from dachi_fast import KeyFile, Store
        >>> from dachi_fast.learning import BaseAgent
        >>> class Player(BaseAgent):
        ...     pass
        >>> with Store.open("script.store", keys=KeyFile("script.key")) as store:
        ...     player = Player(agent_id="player 1")
        ...     player.neural_store = store
        ...     with player.sync as life:
        ...         decision = player.choose([1.0], ["rock", "paper"])
        ...         life.on_task_complete(decision.action == "paper")
        ...     [one] = player.sync.experiences()
        ...     one.id == decision.id
        True
    """

    _life: ExitStack[bool | None] | None = None
    _saving: Autosave | None = None

    def on_task_complete(self, outcome: Experience | Mapping[str, Any] | float) -> None:
        """Learns what a task brought."""
        done(self._agent.on_task_complete(outcome))

    def hold(self) -> AbstractContextManager[object]:
        """Gives a block during which no state is taken, for changes that belong together.

        Raises:
            RuntimeError: the agent does not live.
        """
        if self._saving is None:
            raise RuntimeError("hold() is for the block of `with agent.sync as life:`")
        return self._saving.hold()

    def __enter__(self) -> Self:
        agent = self._agent
        with ExitStack() as stack:
            done(agent.on_start())
            self._saving = stack.enter_context(agent._autosave())
            stack.callback(lambda: done(agent.on_stop()))
            self._life = stack.pop_all()
        return self

    def __exit__(self, *raised: object) -> None:
        life, self._life, self._saving = self._life, None, None
        if life is not None:
            life.__exit__(*raised)  # type: ignore[arg-type]
