"""The first half of the demo: an agent learns and is killed, the next process goes on."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dachi_fast.cli._demo_pick import DEATHS
from dachi_fast.cli._demo_process import Worker
from dachi_fast.cli._demo_screen import Step, Table

if TYPE_CHECKING:
    from dachi_fast.cli._corpus import Corpus
    from dachi_fast.cli._demo_worker import Job

_KILL_BETWEEN = (0.4, 0.6)  # of all batches, acknowledged before the clock of the kill starts
_SHOWN = 6  # rows of a curve on each side of the kill
_DOING = {
    "learning": "in the middle of learning batch {next}",
    "saving": "inside the save of version {next}",
    "acknowledged": "between batch {last} and batch {next}",
    "asking": "while it was asked the held-out sentences after batch {last}",
    "accuracy": "between batch {last} and batch {next}",
}


class WorkerFailed(Exception):
    """A child process ended as nobody asked it to; it said why on standard error."""


@dataclass
class Life:
    """What one process did before it ended.

    Attributes:
        pid: its process id.
        status: how it ended; negative: the signal.
        acknowledged: versions whose save had returned, in this order.
        read: sentences learned up to the last of them.
        doing: its last event.
        started: the newest version whose save had begun.
        agent: version -> share of held-out sentences guessed right.
        twin: the same of the agent that lost its memory.
        recovered: what it found in the store, if it resumed.
        delay_s: from the acknowledgement after which the clock started to the kill.
    """

    pid: int
    status: int = 0
    acknowledged: list[int] = field(default_factory=list)
    read: int = 0
    doing: str = "learning"
    started: int = 0
    agent: dict[int, float] = field(default_factory=dict)
    twin: dict[int, float] = field(default_factory=dict)
    recovered: dict[str, Any] = field(default_factory=dict)
    delay_s: float = 0.0

    def hear(self, event: dict[str, Any]) -> None:
        """Takes down one line of the process."""
        match event:
            case {"event": "acknowledged", "version": number, "read": read}:
                self.acknowledged.append(number)
                self.read = read
            case {"event": "saving", "batch": number}:
                self.started = number
            case {"event": "accuracy", "version": number, **asked}:
                self.agent[number] = asked["agent"]
                if "twin" in asked:
                    self.twin[number] = asked["twin"]
            case {"event": "recovered", **found}:
                self.recovered = found
        self.doing = event["event"]


def first_life(job: Job, seed: int) -> Life:
    """Starts the learner and kills it at a random moment of its work.

    The seed decides after which acknowledgement the clock starts, and for how much of the time
    that a batch takes it then runs: up to two batches, so any instruction may be the last.
    """
    draw = random.Random(seed)  # noqa: S311 -- a repeatable moment, no secret
    low, high = (round(len(job.batches) * share) for share in _KILL_BETWEEN)
    mark, wait = draw.randint(low, high), draw.uniform(0, 2)
    with Worker(job) as worker:
        life = Life(pid=worker.pid)
        begun = 0.0
        for event in worker.events():
            life.hear(event)
            begun = begun or time.monotonic()
            if event["event"] == "acknowledged" and event["version"] == mark:
                life.delay_s = wait * (time.monotonic() - begun) / mark
                time.sleep(life.delay_s)
                worker.kill()
        life.status = worker.status()
    if life.status != -signal.SIGKILL:
        raise WorkerFailed(
            f"the learning process ended with status {life.status} before it was killed"
        )
    return life


def second_life(job: Job, first: Life) -> Life:
    """Starts a new process on the same store, which goes on to the end."""
    job = replace(job, task="resume", asked_at=max(first.agent))
    with Worker(job) as worker:
        life = Life(pid=worker.pid)
        for event in worker.events():
            life.hear(event)
        life.status = worker.status()
    if life.status != 0:
        raise WorkerFailed(f"the resuming process ended with status {life.status}")
    return life


def picker_life(job: Job) -> dict[str, Any]:
    """Starts the process whose agent chooses and dies again and again; gives what it tells."""
    told: dict[str, Any] = {}
    with Worker(replace(job, task="pick")) as worker:
        for event in worker.events():
            told = event
        status = worker.status()
    if status != 0:
        raise WorkerFailed(f"the choosing process ended with status {status}")
    return told


def pick_step(told: dict[str, Any]) -> Step:
    """Tells what became of the agent that chooses."""
    steps, deaths = told["steps"], told["deaths"]
    return Step(
        name="choose, and die often",
        what=f"A second agent picked one of {len(told['choices'])} modules for {steps} sentences, "
        f"was told each time whether that was right, and was killed {deaths} times; it did "
        f"{told['again']} acts again, each as before, and equals the one that was never killed.",
        why="Equal to the bit, though that one saved every 10 sentences: what it decides depends "
        "on its state alone, which is saved in one commit with what it has experienced.",
        holds={
            "SIGKILL ended it 17 times": deaths == DEATHS,
            "what it did again it did as before": told["same_acts"],
            "it equals the agent that was never killed": told["equal"],
            "each step is one experience": told["experiences"] == steps,
        },
    )


def text_step(corpus: Corpus, python: str, seconds: float) -> Step:
    """Tells what is read."""
    every = len(corpus.stream) + len(corpus.held_out)
    different = {text for text, _ in (*corpus.stream, *corpus.held_out)}
    return Step(
        name="text",
        what=f"Took {every:,} sentences from the documentation of {len(corpus.labels)} modules of "
        f"Python {python} in {seconds:.1f} s; which module does a sentence document?",
        why=f"It is this machine's own Python, nothing was downloaded; {len(corpus.held_out)} "
        f"sentences are only asked and never learned, and no two modules share one.",
        holds={"no sentence is there twice": len(different) == every},
    )


def kill_step(job: Job, life: Life) -> Step:
    """Tells how the first process ended."""
    last = life.acknowledged[-1]
    doing = _DOING[life.doing].format(last=last, next=last + 1)
    return Step(
        name="learn, and die",
        what=f"Process {life.pid} learned {life.read:,} sentences in {last} acknowledged saves, "
        f"then SIGKILL ended it {doing}.",
        why="A save is acknowledged, through a pipe, only after it returned, and it returns when "
        "the disk has it; SIGKILL leaves a process no instruction to tidy up.",
        holds={
            "SIGKILL ended the process": life.status == -signal.SIGKILL,
            "its work was not done": last < len(job.batches),
            "each save got the next number": life.acknowledged == list(range(1, last + 1)),
        },
    )


def recover_step(first: Life, second: Life) -> Step:
    """Tells what the second process found."""
    last, found = first.acknowledged[-1], int(second.recovered["version"])
    asked_at = max(first.agent)
    extra = (
        ""
        if found == last
        else f" and version {found}, which had reached the disk when the kill came"
    )
    return Step(
        name="recover",
        what=f"Process {second.pid} found {min(found, last)} of {last} acknowledged versions"
        f"{extra}; what it had not saved by then is learned again.",
        why=f"It loaded all {found}, each proved by hash on the way, and compared each, value by "
        f"value, with an agent that learned the same sentences again; version {asked_at} answers "
        f"{second.recovered['accuracy']:.1%} of the held-out sentences right, as it did before.",
        holds={
            "everything acknowledged is there": found >= last,
            "nothing is there whose save had not begun": found <= first.started,
            "each version is what was learned": second.recovered["unequal"] == [],
            "it answers as before": second.recovered["accuracy"] == first.agent[asked_at],
        },
    )


def go_on_step(job: Job, first: Life, second: Life) -> Step:
    """Tells how accuracy went on, beside the twin's."""
    found, end = second.recovered["version"], len(job.batches)
    return Step(
        name="go on",
        what=f"It went on with sentence {second.recovered['read'] + 1:,} at "
        f"{second.agent[found]:.1%} and reached {second.agent[end]:.1%}; a twin without the memory "
        f"started at {second.twin[found]:.1%} and reached {second.twin[end]:.1%}.",
        why="Both have one blueprint, learned the same sentences from there on and were asked the "
        "same held-out ones, which neither ever learned.",
        holds={
            "the resumed agent starts ahead of the twin": second.agent[found] > second.twin[found],
            "each further save got the next number": second.acknowledged
            == list(range(found + 1, end + 1)),
        },
        table=_curve(job, first, second),
    )


def _curve(job: Job, first: Life, second: Life) -> Table:
    rows: list[list[str]] = [
        [f"{_read(job, number):,}", f"{share:.1%}", _bar(share), "", ""]
        for number, share in _thinned(first.agent)
    ]
    rows.append(["SIGKILL"])
    for number, share in _thinned(second.agent):
        twin = second.twin[number]
        rows.append(
            [f"{_read(job, number):,}", f"{share:.1%}", _bar(share), f"{twin:.1%}", _bar(twin)]
        )
    return Table(heads=["sentences", "agent", "", "twin", ""], aligned="rrlrl", rows=rows)


def _read(job: Job, number: int) -> int:
    return sum(map(len, job.batches[:number]))


def _bar(share: float) -> str:
    return "#" * round(share * 20)


def _thinned(curve: dict[int, float]) -> list[tuple[int, float]]:
    points = list(curve.items())
    if len(points) <= _SHOWN:
        return points
    chosen = {round(i * (len(points) - 1) / (_SHOWN - 1)) for i in range(_SHOWN)}
    return [points[i] for i in sorted(chosen)]
