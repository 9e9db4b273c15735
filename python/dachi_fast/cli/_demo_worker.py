"""The demo's child processes: they learn until they are killed, or go on where another one was.

Run as ``python -m dachi_fast.cli._demo_worker``. The job comes through standard input as one JSON
document; what happened goes to standard output, one JSON document a line, each written the moment
it is true. A process that lost its parent ends at the next line that nobody reads.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import Any

from dachi_fast import KeyFile, Store
from dachi_fast.cli._librarian import Librarian, accuracy, differences, librarian
from dachi_fast.witness import FileWitness

NAME = "librarian"


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a child process is to do.

    Attributes:
        task: ``"learn"`` from nothing, ``"resume"`` what another process began, or ``"pick"``.
        store: folder of the store.
        key: its key file.
        witness: folder of its witness.
        labels: names of the shelves.
        batches: sentences as (text, label), learned batch by batch; version n holds batches 1 to n.
        held_out: sentences that are only asked.
        ask_every: batches between two measurements of accuracy.
        asked_at: resume: the number of a version that the other process measured.
    """

    task: str
    store: str
    key: str
    witness: str
    labels: list[str]
    batches: list[list[tuple[str, str]]]
    held_out: list[tuple[str, str]]
    ask_every: int
    asked_at: int = 0

    def open(self) -> Store:
        """Gives the store, open."""
        return Store.open(self.store, keys=KeyFile(self.key), witness=FileWitness(self.witness))

    def due(self, number: int) -> bool:
        """Gives whether accuracy is measured after a batch."""
        return number % self.ask_every == 0 or number == len(self.batches)


def _tell(event: str, **facts: Any) -> None:
    print(json.dumps({"event": event, **facts}), flush=True)


def _learn_batch(store: Store, agent: Librarian, job: Job, number: int) -> None:
    """Learns one batch and saves; says so only after `save` has returned."""
    first = agent.read + 1
    _tell("learning", batch=number)
    for text, label in job.batches[number - 1]:
        agent.learn(text, label)
    _tell("saving", batch=number)
    why = f"learned sentences {first} to {agent.read}"
    version = store.save(agent, NAME, justification=why)
    _tell("acknowledged", version=version.number, read=agent.read)


def learn(job: Job) -> None:
    """Learns all batches from nothing, saving after each."""
    agent = librarian(job.labels)
    with job.open() as store:
        for number in range(1, len(job.batches) + 1):
            _learn_batch(store, agent, job, number)
            if job.due(number):
                _tell("asking", version=number)
                _tell("accuracy", version=number, agent=accuracy(agent, job.held_out))


def resume(job: Job) -> None:
    """Proves what the store holds, then learns the remaining batches beside an amnesiac twin."""
    with job.open() as store:
        found = store.history(NAME)[0].number
        unequal = _compared(store, job, found)
        again = accuracy(store.load(NAME, version=job.asked_at), job.held_out)
        agent = store.load(NAME)
        # The same blueprint, none of the memory.
        twin = Librarian.from_spec(agent.spec())
        _tell("recovered", version=found, read=agent.read, unequal=unequal, accuracy=again)
        _tell_both(found, agent, twin, job)
        for number in range(found + 1, len(job.batches) + 1):
            _learn_batch(store, agent, job, number)
            for text, label in job.batches[number - 1]:
                twin.learn(text, label)
            if job.due(number):
                _tell_both(number, agent, twin, job)


def pick(job: Job) -> None:
    """Lets an agent that chooses die 17 times, and tells what became of it."""
    from dachi_fast.cli._demo_pick import picked

    _tell("picked", **picked(job))


def _compared(store: Store, job: Job, found: int) -> list[int]:
    """Gives the versions that differ from what an agent has after the same sentences."""
    unequal = []
    fresh = librarian(job.labels)
    for number in range(1, found + 1):
        for text, label in job.batches[number - 1]:
            fresh.learn(text, label)
        if any(differences(store.load(NAME, version=number), fresh)):
            unequal.append(number)
    return unequal


def _tell_both(number: int, agent: Librarian, twin: Librarian, job: Job) -> None:
    asked = {"agent": accuracy(agent, job.held_out), "twin": accuracy(twin, job.held_out)}
    _tell("accuracy", version=number, **asked)


def main() -> int:
    """Gives the exit status of one job."""
    text = sys.stdin.read()
    if not text:  # the parent ended before it said what to do
        return 1
    job = Job(**json.loads(text))
    try:
        {"learn": learn, "resume": resume, "pick": pick}[job.task](job)
    except BrokenPipeError:
        # Python flushes standard output once more at its end: give it somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
