"""An agent learns which module answers a question, dies 17 times, and ends where it would have.

What it experienced is kept with what it learned: each step once, however often it was done again.
"""

import asyncio
import importlib
import inspect
import os
import random
import signal
import tempfile
from pathlib import Path
from typing import Literal

from dachi_fast import Attr, BaseAgent, KeyFile, LinUCB, Store
from dachi_fast._core import codec
from dachi_fast.learning import Decide

MODULES = ["calendar", "json", "random", "shutil", "statistics", "textwrap"]
STEPS, DEATHS, SEED = 100, 17, 7
Mode = Literal["save every step", "save every 25 steps", "durable decisions"]
# How many moments a life lasts that is killed; a step has four.
MODES: dict[Mode, tuple[int, int]] = {
    "save every step": (1, 20),
    "save every 25 steps": (10, 120),
    "durable decisions": (1, 20),
}


def questions() -> list[tuple[str, str]]:
    """Gives what the standard library says of its own functions, and which module has each."""
    found = []
    for name in MODULES:
        for _, thing in inspect.getmembers(importlib.import_module(name), callable):
            text = inspect.getdoc(thing)
            if text and getattr(thing, "__module__", None) == name:
                found.append((text.partition("\n\n")[0], name))
    return found


QUESTIONS = questions()


def world(step: int) -> tuple[str, str]:
    """Gives the question of a step and its answer: a pure function of seed and step."""
    return random.Random(f"{SEED}/{step}").choice(QUESTIONS)


class Picker(BaseAgent):
    """Knows how far it is, and what it has learned."""

    steps: int = Attr(default=0)
    right: int = Attr(default=0)


class Fate:
    """Ends this process with SIGKILL after so many moments; None: never."""

    def __init__(self, moments: int | None) -> None:
        self.moments = moments

    def moment(self) -> None:
        if self.moments is not None:
            self.moments -= 1
            if self.moments == 0:
                os.kill(os.getpid(), signal.SIGKILL)


async def live(agent: Picker, mode: Mode, log: Path, fate: Fate) -> None:
    await agent.restore_neural_state()
    every = {"save every step": 1, "save every 25 steps": 25}.get(mode, STEPS)
    decide: Decide = "durable" if mode == "durable decisions" else "memory"
    while agent.steps < STEPS:
        text, answer = world(agent.steps)
        # A decision that was made durable by a process that died then is acted on, not made again.
        waiting = list(agent.learner.adapted.pending.values())
        decision = waiting[0] if waiting else await agent.achoose(text, MODULES, decide=decide)
        fate.moment()
        with log.open("a") as acts:  # the act; whoever watches sees it again when it is done again
            acts.write(f"{agent.steps} {decision.action}\n")
        fate.moment()
        agent.update_weights(decision.action == answer, decision=decision)
        agent.steps += 1
        agent.right += decision.action == answer
        fate.moment()
        if agent.steps % every == 0:
            await agent.save_neural_state(justification=f"step {agent.steps}")
        fate.moment()


def life(folder: Path, mode: Mode, moments: int | None) -> bool:
    """Lives in a process of its own; says whether it came to its end alive."""
    child = os.fork()
    if child == 0:
        with Store.open(folder / "store", keys=KeyFile(folder / "key"), witness=None) as store:
            agent = Picker(agent_id="picker", learner=LinUCB(seed=SEED, hashed_dimension=64))
            agent.neural_store = store
            asyncio.run(live(agent, mode, folder / "acts.log", Fate(moments)))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) in {0, -signal.SIGKILL}
    return status == 0


def end(folder: Path) -> tuple[bytes, Picker]:
    """Gives all that the agent holds and has experienced at the end, as bytes, and the agent."""
    with Store.open(folder / "store", keys=KeyFile(folder / "key"), witness=None) as store:
        agent = store.load("picker")
        agent.neural_store = store
        state = store.state("picker")
        state["learner._adapted_param"] = None  # a blueprint: the ids of modules are random
        kept = agent.sync.experiences(limit=None)
        assert len(kept) == STEPS
        life = [(e.step, e.id, e.action, e.context, e.reward, e.propensity) for e in kept]
        return codec.encode([state, life]), agent


def main(folder: Path) -> None:
    drawn = random.Random(SEED)
    Picker().spec()  # what takes long to import or to read is there before the processes are
    Picker().learner.adapted.features("a text")
    unbroken = folder / "unbroken"
    unbroken.mkdir()
    assert life(unbroken, "save every 25 steps", None)
    expected, agent = end(unbroken)
    once = (unbroken / "acts.log").read_text().splitlines()
    print(f"never killed: {agent.right} of {STEPS} questions right")
    with Store.open(unbroken / "store", keys=KeyFile(unbroken / "key"), witness=None) as store:
        agent.neural_store = store
        asked = "How do I turn a text into lines of equal width?"
        [near] = agent.sync.experiences(by="similarity", like=asked, limit=1)
        answered = f"{near.action}, which was {'right' if near.reward else 'wrong'}"
        print(f"asked {asked!r}, it remembers {near.context!r}: it said {answered}")

    for mode, (shortest, longest) in MODES.items():
        broken = folder / mode
        broken.mkdir()
        for _ in range(DEATHS):
            assert not life(broken, mode, drawn.randint(shortest, longest))
        assert life(broken, mode, None)

        state, _ = end(broken)
        assert state == expected, "the two agents differ"
        acts = (broken / "acts.log").read_text().splitlines()
        assert list(dict.fromkeys(acts)) == once, "a step that was done again was done otherwise"
        print(
            f"{mode}: killed {DEATHS} times, {len(acts) - STEPS} of {STEPS} steps done again, all "
            f"as before; the end is that of the unbroken run to the bit"
        )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(Path(made))
