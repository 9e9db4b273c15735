"""Agents with a lifetime."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from dachi_fast.adapt import AdaptModule  # noqa: TC001 - a field's annotation
from dachi_fast.learning._learner import Learner  # noqa: TC001 - likewise
from dachi_fast.learning._linear import LinUCB
from dachi_fast.learning._mixin import NeuralLearningMixin
from dachi_fast.learning._sync import SyncAgent
from dachi_fast.module import BaseModule, Param

if TYPE_CHECKING:
    from dachi_fast.learning._decision import Experience
    from dachi_fast.retention import Policies
    from dachi_fast.store._autosave import Autosave
    from dachi_fast.store._queue import BaseVersion, Done


# By id of a living agent: how its life ends. No attribute of the agent, which may be copied.
_lives: Final[dict[int, AsyncExitStack[bool | None]]] = {}


class _Saver:
    """Saves an agent with what it has experienced."""

    def __init__(self, agent: BaseAgent) -> None:
        self._agent = agent

    def _queue(
        self,
        module: BaseModule,  # noqa: ARG002 - the agent
        name: str,  # noqa: ARG002 - its own
        justification: str,
        base: BaseVersion,  # noqa: ARG002 - the version that it came from
        done: Done,
        *,
        skip_equal: bool = False,
    ) -> None:
        agent = self._agent
        agent._memory().save(agent._saving(justification), done, skip_equal=skip_equal)


class BaseAgent(NeuralLearningMixin, BaseModule):
    """An agent with a lifetime: it starts with what it knew, learns, and saves as long as it lives.

    ``async with agent:`` calls `on_start`, which restores; saves every `save_every_s` seconds; and
    at the end, however it comes, calls `on_stop` and saves a last time. Cancelling the task is such
    an end, and so is SIGTERM, which cancels the task and ends the process when all its agents have
    saved. (In a process that listens to SIGTERM itself, that is left to it.) Nothing is written
    where nothing has changed.

    A class may say in `retention` how old what it remembers may become: what is older is purged
    with the first save in the background, and then once a day.

    Args:
        agent_id: the name that it is saved under. Default: the name of its class. Agents that live
            at the same time need ids of their own.
        learner: what learns. Default `LinUCB()`.
        save_every_s: seconds between saves while it lives, above 0. Default 60.

    Example:
        >>> import asyncio
        >>> from dachi_fast import KeyFile, Store
        >>> from dachi_fast.learning import BaseAgent
        >>> class Player(BaseAgent):
        ...     pass
        >>> async def life(store):
        ...     player = Player(agent_id="player 1")
        ...     player.neural_store = store
        ...     async with player:
        ...         before = player.learner.adapted.learned
        ...         for _ in range(5):
        ...             decision = player.choose([1.0], ["rock", "paper"])
        ...             await player.on_task_complete(decision.action == "paper")
        ...     return before
        >>> with Store.open("player.store", keys=KeyFile("player.key")) as store:
        ...     asyncio.run(life(store)), asyncio.run(life(store))
        (0, 5)
    """

    agent_id: str = ""
    learner: AdaptModule[Learner] = Param(default_factory=LinUCB)  # type: ignore[arg-type]
    save_every_s: float = 60.0
    # What it may remember; for classes to set.
    retention: ClassVar[Policies | None] = None

    @property
    def sync(self) -> SyncAgent:
        """The agent for scripts and threads; ``with agent.sync as life:`` is its life."""
        return SyncAgent(self)

    async def on_start(self) -> None:
        """Begins a life: goes on from what was saved, if anything was."""
        await self.restore_neural_state()

    async def on_task_complete(self, outcome: Experience | Mapping[str, Any] | float) -> None:
        """Learns what a task brought; for whoever runs the tasks to call.

        Args:
            outcome: as for `update_weights`.
        """
        self.update_weights(outcome)

    async def on_stop(self) -> None:
        """Ends a life; what it changes is saved."""

    def _autosave(self) -> Autosave:
        """Gives a block that saves now and then while it runs."""
        from dachi_fast.store._autosave import Autosave, Retention, Timer

        policy, name = self.retention, self._name()
        return Autosave(
            _Saver(self),
            self,
            name,
            every_s=self.save_every_s,
            justification="periodic save",
            on_error=None,
            timer=Timer(),
            retention=None if policy is None else Retention(self._store(), policy, name),
        )

    async def __aenter__(self) -> Self:
        from asyncio import current_task

        from dachi_fast.learning import _sigterm

        async with AsyncExitStack() as stack:
            stack.enter_context(_sigterm.cancels(current_task()))
            await self.on_start()
            store, saving = self._store(), self._autosave()
            # Whoever is cancelled while the last save is on its way still leaves it behind.
            stack.callback(store.flush)
            await stack.enter_async_context(saving)
            stack.push_async_callback(self.on_stop)
            _lives[id(self)] = stack.pop_all()
        return self

    async def __aexit__(self, *raised: object) -> None:
        await _lives.pop(id(self)).__aexit__(*raised)  # type: ignore[arg-type]
