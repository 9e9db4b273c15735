"""Tells the story of ``dachi-fast demo`` and gives 0 only if every claim in it held."""

from __future__ import annotations

import json
import platform
import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dachi_fast.cli import _demo_evidence as evidence
from dachi_fast.cli import _demo_life as life
from dachi_fast.cli._corpus import NoDocumentation, read_corpus
from dachi_fast.cli._demo_memory import recalled
from dachi_fast.cli._demo_process import ended_cleanly, workplace
from dachi_fast.cli._demo_screen import Screen, Step, screen_for
from dachi_fast.cli._demo_worker import Job

if TYPE_CHECKING:
    from dachi_fast.cli._corpus import Corpus
    from dachi_fast.cli.demo import DemoOptions

_BATCHES = 90  # one version each: all of them lie within what a store keeps by default, 100
_ASK_EVERY = 9  # batches; asking costs more than learning


class _Story:
    """The steps so far, what they claimed, and their numbers."""

    def __init__(self, screen: Screen, seed: int) -> None:
        self._screen = screen
        self._steps = 0
        self.claims: dict[str, bool] = {}
        self.numbers: dict[str, Any] = {"seed": seed}

    def tell(self, step: Step, **numbers: Any) -> None:
        self._steps += 1
        self._screen.show(self._steps, step)
        self.claims |= step.holds
        self.numbers |= numbers

    @property
    def ok(self) -> bool:
        return all(self.claims.values())


def run(options: DemoOptions) -> int:
    """Gives the exit status of one run.

    Args:
        options: what was asked for.

    Returns:
        0 when all claims held, 1 when one did not or a process failed, 2 when the folder to keep
        the store in already has one.
    """
    if options.keep is not None and (options.keep / "librarian.store").exists():
        print(f"dachi-fast demo: {options.keep} has a store already; name another", file=sys.stderr)
        return 2
    # A drawn seed is short, because it is shown to be typed again.
    seed = random.SystemRandom().randrange(10_000) if options.seed is None else options.seed
    screen, begun = screen_for(options.output), time.monotonic()
    story = _Story(screen, seed)
    try:
        with ended_cleanly(), workplace(options.keep) as folder:
            _tell_all(story, screen, folder)
    except (NoDocumentation, life.WorkerFailed) as error:
        print(f"dachi-fast demo: {error}", file=sys.stderr)
        return 1
    seconds = time.monotonic() - begun
    if options.output == "json":
        kept = None if options.keep is None else str(options.keep.absolute())
        facts = {"ok": story.ok, "seconds": round(seconds, 3), "folder": kept}
        print(json.dumps(facts | story.numbers | {"claims": story.claims}, indent=2))
    held = sum(story.claims.values())
    screen.say(f"\n{held} of {len(story.claims)} claims were checked and held; {seconds:.1f} s")
    if options.keep is not None:
        screen.say(f"store, key and witness stay in {options.keep}")
    return 0 if story.ok else 1


def _tell_all(story: _Story, screen: Screen, folder: Path) -> None:
    seed = story.numbers["seed"]
    screen.say(f"An agent learns, is killed, and goes on where it was (--seed {seed})")
    begun = time.monotonic()
    with screen.busy("reading the documentation of Python"):
        corpus = read_corpus(seed)
    python, seconds = platform.python_version(), time.monotonic() - begun
    job = _job(corpus, folder)
    story.tell(life.text_step(corpus, python, seconds), python=python, text=_text(corpus, job))
    with screen.busy("learning, until the kill"):
        first = life.first_life(job, seed)
    story.tell(life.kill_step(job, first), killed=_killed(first))
    with screen.busy("going on in a new process"):
        second = life.second_life(job, first)
    died_at = second.recovered["version"]
    story.tell(life.recover_step(first, second), recovered=second.recovered)
    story.tell(life.go_on_step(job, first, second), curves=_curves(first, second))
    with screen.busy("looking at the evidence"):
        _tell_evidence(story, job, died_at)
    with screen.busy("choosing, and dying often"):
        told = life.picker_life(job)
    story.tell(life.pick_step(told), picked=told)


def _tell_evidence(story: _Story, job: Job, died_at: int) -> None:
    with job.open() as store:
        step, numbers = evidence.equal(store, job)
        story.tell(step, compared=numbers)
        step, numbers = evidence.history(store, job, died_at)
        story.tell(step, history=numbers)
        step, numbers = evidence.difference(store, died_at)
        story.tell(step, diff=numbers)
        step, numbers = evidence.rollback(store, job, died_at)
        story.tell(step, rollback=numbers)
        step, numbers = recalled(store, job)
        story.tell(step, recalled=numbers)
        step, numbers = evidence.verified(store, job)
        story.tell(step, verified=numbers)


def _job(corpus: Corpus, folder: Path) -> Job:
    size, rest = divmod(len(corpus.stream), _BATCHES)
    batches, at = [], 0
    for index in range(_BATCHES):
        end = at + size + (index < rest)
        batches.append(corpus.stream[at:end])
        at = end
    return Job(
        task="learn",
        store=str(folder / "librarian.store"),
        key=str(folder / "librarian.key"),
        witness=str(folder / "witness"),
        labels=corpus.labels,
        batches=batches,
        held_out=corpus.held_out,
        ask_every=_ASK_EVERY,
    )


def _text(corpus: Corpus, job: Job) -> dict[str, Any]:
    return {
        "modules": corpus.labels,
        "stream": len(corpus.stream),
        "held_out": len(corpus.held_out),
        "batches": len(job.batches),
    }


def _killed(first: life.Life) -> dict[str, Any]:
    return {
        "pid": first.pid,
        "status": first.status,
        "acknowledged": first.acknowledged,
        "read": first.read,
        "doing": first.doing,
        "newest_save_begun": first.started,
        "delay_s": round(first.delay_s, 6),
    }


def _curves(first: life.Life, second: life.Life) -> dict[str, Any]:
    """Gives (version, share of the held-out sentences guessed right) of each agent."""
    return {
        "before": list(first.agent.items()),
        "resumed": list(second.agent.items()),
        "twin": list(second.twin.items()),
    }
