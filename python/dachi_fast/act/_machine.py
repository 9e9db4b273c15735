"""State machines: states, and which one follows on what outcome."""

from __future__ import annotations

from typing import Any

from dachi_fast.act._process import AsyncProcess, Process
from dachi_fast.act._status import TaskStatus
from dachi_fast.act._task import Task, _Around, bare
from dachi_fast.errors import SpecError
from dachi_fast.module import Attr, BaseModule, Param


class State(BaseModule):
    """Base of the states of a StateMachine: a subclass writes `update`."""

    async def update(self) -> TaskStatus | str:
        """Does the work of one tick.

        Returns:
            RUNNING or WAITING to stay; anything else is the outcome, which decides what follows.

        Raises:
            NotImplementedError: a subclass did not write it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no update()")

    def reset(self) -> None:
        """Goes back to the beginning, as the machine does with each state that it enters."""


class TaskState(_Around, State):
    """A state in which a task is run; its result is the outcome.

    Args:
        task: the task.

    Raises:
        ValueError: `task` is none.
    """

    async def update(self) -> TaskStatus:
        """Ticks the task."""
        status: TaskStatus = await bare(self.task).tick()
        return status

    def reset(self) -> None:
        """Resets the task."""
        bare(self.task).reset()


class BranchState(State):
    """A state that asks a process: SUCCESS if what it gives is true, else FAILURE.

    Args:
        f: called without arguments; an AsyncProcess is awaited.
    """

    f: Process | AsyncProcess = Param()

    async def update(self) -> TaskStatus:
        """Asks."""
        f: Any = bare(self.f)
        answer = await f.aforward() if isinstance(f, AsyncProcess) else f.forward()
        return TaskStatus.from_bool(answer)


class StateMachine(Task):
    """Runs one state a tick, and goes from state to state by their outcomes.

    Args:
        states: name -> state; the names "success" and "failure" stand for the ends.
        transitions: name -> outcome -> the name of what follows, or "success" or "failure", with
            which the machine ends. A TaskStatus does for its text.
        start: the name of the first state; without it the machine succeeds at once.

    Raises:
        ValueError: a name leads nowhere.

    Example:
        >>> from dachi_fast.act import Action, StateMachine, TaskState, TaskStatus
        >>> class Knock(Action):
        ...     async def act(self):
        ...         return TaskStatus.SUCCESS
        >>> class Enter(Knock):
        ...     pass
        >>> visit = StateMachine(
        ...     states={"door": TaskState(task=Knock()), "hall": TaskState(task=Enter())},
        ...     transitions={
        ...         "door": {"success": "hall", "failure": "failure"},
        ...         "hall": {"success": "success"},
        ...     },
        ...     start="door",
        ... )
        >>> visit.forward().name, visit.state, visit.forward().name
        ('RUNNING', 'hall', 'SUCCESS')
    """

    states: dict[str, State] = Param(default_factory=dict)
    transitions: dict[str, dict[str, str]] = Param(default_factory=dict)
    start: str | None = Param(default=None)
    _state: str | None = Attr(default=None)

    def __post_init__(self) -> None:
        for name, state in self.states.items():
            if name in _ENDS:
                raise SpecError("state-machine", f"{name!r} is an end, and no name of a state")
            if not isinstance(bare(state), State):
                raise SpecError("state-machine", f"state {name!r} is a {type(state).__name__}")
        self._known("start", self.start)
        for name, following in self.transitions.items():
            self._known("transitions", name)
            for outcome, target in following.items():
                if target not in _ENDS:
                    self._known(f"transitions.{name}.{outcome}", target)

    def _known(self, where: str, name: str | None) -> None:
        if name is not None and name not in self.states:
            raise SpecError(
                "state-machine",
                f"{where}: there is no state {name!r}; states are {', '.join(self.states)}",
                path=where,
            )

    @property
    def state(self) -> str | None:
        """The name of the state that the next tick runs; None before the start and at the end."""
        return self._state

    def subtasks(self) -> list[Any]:
        """Gives the tasks of the states that hold one."""
        held = (bare(state) for state in self.states.values())
        return [bare(state.task) for state in held if isinstance(state, TaskState)]

    async def tick(self) -> TaskStatus:
        """Runs the state in which the machine is, and goes on to what follows its outcome.

        Raises:
            ValueError: nothing follows the outcome.
        """
        if self._status.is_done:
            return self._status
        if self._state is None:
            self._state = self.start
        if self._state is None:
            self._status = TaskStatus.SUCCESS
            return self._status
        outcome = await bare(self.states[self._state]).update()
        if outcome in _STAYS:
            self._status = TaskStatus(outcome)
        else:
            self._follow(self._state, outcome)
        return self._status

    def _follow(self, name: str, outcome: str) -> None:
        following = self.transitions.get(name, {})
        if outcome not in following:
            raise SpecError(
                "no-transition",
                f"state {name!r} came to {outcome!r:.60}, which nothing follows; "
                f"it has transitions for: {', '.join(following) or 'nothing'}",
                path=f"transitions.{name}",
            )
        target = following[outcome]
        if target in _ENDS:
            self._state, self._status = None, TaskStatus(target)
        else:
            bare(self.states[target]).reset()
            self._state, self._status = target, TaskStatus.RUNNING

    def reset(self) -> None:
        """Goes back to READY and the first state, with all states."""
        super().reset()
        self._state = None
        for state in self.states.values():
            bare(state).reset()


_ENDS = (TaskStatus.SUCCESS, TaskStatus.FAILURE)
_STAYS = (TaskStatus.RUNNING, TaskStatus.WAITING)
