"""Processes that save, overrule, roll back and load at once, and write down what they were told."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Final

from dachi_fast import Attr, BaseModule, Store
from dachi_fast.errors import Conflict, UnknownName
from tests.stores import open_store

# Few, so that processes meet.
NAMES: Final = ("one", "two", "three")


class Agent(BaseModule):
    label: str = Attr(default="")
    text: str = Attr(default="")
    base: int = Attr(default=0)


def labelled(label: str, base: int = 0) -> Agent:
    """Gives the agent that is saved under a label."""
    agent = Agent()
    agent.label, agent.text, agent.base = label, label * (1 + len(label) * 7 % 200), base
    return agent


def ready() -> None:
    """Says that everything is imported."""


def run(folder: str, process: int, transactions: int, seed: int) -> list[list[Any]]:
    """Does so many transactions; gives of each its name, what it gave, and what was asked for."""
    rng, done = random.Random(seed), list[list[Any]]()
    live: dict[str, Agent] = {}
    with open_store(Path(folder)) as store:
        while len(done) < transactions:
            label = f"{process} {len(done)}"
            name = rng.choice(NAMES)
            what = rng.choice(("save", "save", "overrule", "rollback", "load"))
            try:
                done.append([what, name, label, *_transaction(store, what, name, label, live, rng)])
            except Conflict:
                done.append(["conflict", name, label, 0, 0])
                live.pop(name, None)
            except UnknownName:
                first = f"first {name} {label}"
                store.save(labelled(first), name, base="latest", justification=first)
    return done


def _transaction(
    store: Store, what: str, name: str, label: str, live: dict[str, Agent], rng: random.Random
) -> tuple[int, int]:
    """Gives the number of the version, and the one it builds on, restores, or was read from."""
    if what == "load":
        newest = store.history(name, limit=1)[0].number
        number = rng.randint(1, newest)
        agent = store.load(name, version=number)
        assert agent.text == labelled(agent.label).text
        return number, 0
    if what == "rollback":
        number = rng.randint(1, store.history(name, limit=1)[0].number)
        return store.rollback(name, to=number, justification=label).number, number
    if what == "overrule":
        saved = store.save(labelled(label), name, base="latest", justification=label)
        return saved.number, -1
    # A true read, change and write: refused if somebody else came between.
    agent = live.get(name) or store.load(name)
    live[name] = agent
    held = store._base(agent, name)
    agent.label, agent.text, agent.base = label, labelled(label).text, held
    return store.save(agent, name, justification=label).number, held
