"""The demo's second agent: it chooses, is told how good that was, dies 17 times, and goes on.

Each life is a process of its own, forked from the demo's worker, which ends by SIGKILL after a
drawn number of moments: before, between and behind choosing, acting, learning and saving.
"""

from __future__ import annotations

import importlib
import os
import random
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dachi_fast import Attr, BaseAgent, KeyFile, LinUCB, Store
from dachi_fast._core import codec

if TYPE_CHECKING:
    from dachi_fast.cli._demo_worker import Job

DEATHS: Final = 17
_STEPS: Final = 30
_CHOICES: Final = 6
_LONGEST: Final = 13  # moments of a life; a step has four

_SLOW: Final = (
    *("asyncio", "concurrent.futures.thread", "dachi_fast.restore", "dachi_fast.spec._blueprint"),
    *("dachi_fast.spec._rebuild", "dachi_fast.transaction", "dachi_fast.values"),
)

Question = tuple[str, str]


class Picker(BaseAgent):
    """Picks the module that a sentence documents; knows how far it is.

    Attributes:
        steps: sentences that it was asked about.
        right: how many it picked right.
    """

    steps: int = Attr(default=0)
    right: int = Attr(default=0)


class _Place:
    """Where an agent is saved, and the log of its acts, which is outside of the store."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._log = folder / "acts"

    def open(self) -> Store:
        keys = KeyFile(self._folder / "key")
        return Store.open(self._folder / "store", keys=keys, witness=None)

    def act(self, step: int, action: str) -> None:
        with self._log.open("a") as log:
            log.write(f"{step} {action}\n")

    def acts(self) -> list[str]:
        return self._log.read_text().splitlines()


class _Fate:
    """Ends this process with SIGKILL after so many moments; None: never."""

    def __init__(self, moments: int | None, *, save_every: int) -> None:
        self.save_every = save_every
        self._left = moments

    def moment(self) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def picked(job: Job) -> dict[str, Any]:
    """Lets one agent live unbroken and one die 17 times; gives what became of both."""
    draw = random.Random(len(job.held_out))  # noqa: S311 -- a repeatable fate, no secret
    labels = sorted(draw.sample(job.labels, _CHOICES))
    every = [(text, label) for batch in job.batches for text, label in batch if label in labels]
    questions = every[:_STEPS]
    # What takes long to import or to read is there before the processes are.
    for name in _SLOW:
        importlib.import_module(name)
    Picker().spec()
    LinUCB().features("a text")
    folder = Path(job.store).parent / "picker"
    try:
        unbroken, broken = _Place(folder / "unbroken"), _Place(folder / "broken")
        died = [_life(unbroken, questions, labels, _Fate(None, save_every=10))]
        drawn = [draw.randint(1, _LONGEST) for _ in range(DEATHS)]
        fates = [_Fate(moments, save_every=1) for moments in [*drawn, None]]
        died += [_life(broken, questions, labels, fate) for fate in fates]
        return _compared(unbroken, broken, questions) | {"deaths": sum(died), "choices": labels}
    finally:
        shutil.rmtree(folder)


def _compared(unbroken: _Place, broken: _Place, questions: list[Question]) -> dict[str, Any]:
    (state, agent), (other, _) = _end(unbroken), _end(broken)
    acts, once = broken.acts(), unbroken.acts()
    with broken.open() as store:
        agent.neural_store = store
        kept = len(agent.sync.experiences(limit=None))
    return {
        "steps": len(questions),
        "right": agent.right,
        "again": len(acts) - len(questions),
        "same_acts": list(dict.fromkeys(acts)) == once,
        "equal": state == other,
        "experiences": kept,
    }


def _end(place: _Place) -> tuple[bytes, Picker]:
    """Gives all that an agent holds, as bytes, and the agent."""
    with place.open() as store:
        state = store.state("picker")
        state["learner._adapted_param"] = None  # a blueprint: the ids of modules are random
        return codec.encode(state), store.load("picker")


def _life(place: _Place, questions: list[Question], labels: list[str], fate: _Fate) -> bool:
    """Lives in a process of its own; gives whether SIGKILL ended it."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with place.open() as store:
                _live(store, place, questions, labels, fate)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == -signal.SIGKILL


def _live(
    store: Store,
    place: _Place,
    questions: list[Question],
    labels: list[str],
    fate: _Fate,
) -> None:
    agent = Picker(agent_id="picker", learner=LinUCB(hashed_dimension=16))
    agent.neural_store = store
    agent.sync.restore_neural_state()
    while agent.steps < len(questions):
        text, answer = questions[agent.steps]
        decision = agent.choose(text, labels)
        fate.moment()
        place.act(agent.steps, str(decision.action))
        fate.moment()
        agent.update_weights(decision.action == answer)
        agent.steps += 1
        agent.right += decision.action == answer
        fate.moment()
        if agent.steps % fate.save_every == 0:
            agent.sync.save_neural_state(justification=f"sentence {agent.steps}")
        fate.moment()
