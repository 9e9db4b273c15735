"""A store with nodes of every kind, and what the ordinary reads say of it, in fresh processes.

The attacks never ask `verify`: what is refused must be refused by whoever just uses the store.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from dachi_fast import Attr, BaseModule, Param, Store, reader
from dachi_fast.errors import DachiError
from tests.attacks import attacker
from tests.attacks.table import Refusals
from tests.stores import open_store
from tests.tokens import token
from tests.warm import Warm

NAMES: Final = ("agent", "twin")
VERSIONS: Final = 4
# Enough that the map of versions has leaves under a branch.
ROLLBACKS: Final = 120
# Keys for so many new agents are made at once.
SPARES: Final = 256
# Edits of one kind of node are tried on so many of its nodes.
SAMPLES: Final = 50 if os.environ.get("DACHI_TORTURE") else 2


class Leaf(BaseModule):
    value: Any = Attr(default=None)


class Agent(BaseModule):
    leaves: list[BaseModule] = Param(default_factory=list)
    array: Any = Attr(default=None)
    note: str = Attr(default="")


def agent(size: int, seed: int) -> Agent:
    """Gives an agent whose state has leaves of every kind, pieces of a value, and their index."""
    made = Agent(leaves=[Leaf() for _ in range(size)])
    for number, leaf in enumerate(made.leaves):
        leaf.value = f"value {number}"  # type: ignore[attr-defined]
    made.array = np.random.default_rng(seed).standard_normal(5_000)
    return made


def make(folder: str) -> None:
    """Makes the victim: two agents of the same shape, one with a long history."""
    with open_store(Path(folder)) as store:
        for seed, name in enumerate(NAMES):
            made = agent(150, seed)
            for step in range(VERSIONS):
                made.note = f"step {step}"
                made.array[step] = step
                store.save(made, name, justification=made.note)
        for step in range(ROLLBACKS):
            store.rollback(NAMES[0], to=1 + step % VERSIONS)


def save(folder: str, name: str, note: str) -> None:
    """Saves one more version, as the owner does."""
    with open_store(Path(folder)) as store:
        made = agent(150, 7)
        made.note = note
        store.save(made, name, base="latest")


def fill(folder: str) -> None:
    """Saves so many agents that the store needs new keys."""
    with open_store(Path(folder)) as store:
        for number in range(SPARES + 1):
            store.save(Agent(), f"filler {number}")


def refused_save(folder: str, name: str) -> str:
    """Gives the code of the error that keeps the owner from saving."""
    try:
        save(folder, name, "over it")
    except DachiError as error:
        return error.code
    return "saved"


def nodes(folder: str) -> int:
    """Gives how many nodes the store consists of."""
    with open_store(Path(folder)) as store:
        return store.verify().nodes


def _loaded(store: Store, name: str, version: int | None) -> object:
    return token(store.load(name, version=version).state_dict())


def _changes(store: Store, name: str, number: int) -> object:
    changes = store.diff(name, number, number + 1)
    return [(change.path, token(change.before), token(change.after)) for change in changes]


def _questions(store: Store) -> Iterator[tuple[str, Callable[[], object]]]:
    yield "names", store.names
    yield "ledger", partial(store.ledger, limit=1_000)
    for name in NAMES:
        yield f"history of {name}", partial(store.history, name)
        for number in range(1, VERSIONS):
            yield f"diff of {name} from {number}", partial(_changes, store, name, number)
        # The diffs lead to what is between the first and the latest.
        for version in (1, None):
            yield f"load of {name} {version}", partial(_loaded, store, name, version)


def ask(folder: str) -> dict[str, list[str]]:
    """Puts every question to the store; gives a digest of the answer or the code of the error."""
    try:
        store = open_store(Path(folder))
    except DachiError as error:
        return {"open": ["refused", error.code]}
    answers = {}
    with store:
        for name, question in _questions(store):
            try:
                digest = hashlib.sha256(repr(question()).encode()).hexdigest()
                answers[name] = ["answered", digest]
            except DachiError as error:
                answers[name] = ["refused", error.code]
    return answers


def needed(folder: str, ids: list[str]) -> list[str]:
    """Gives the nodes without which some read is refused, found by halves; ids are hexadecimal."""
    store = Path(folder) / "store"
    keys = [bytes.fromhex(text) for text in ids]
    before = attacker.read(store)
    attacker.write(store, dict.fromkeys(keys))
    missed = any(kind == "refused" for kind, _ in ask(folder).values())
    attacker.write(store, {key: before[key] for key in keys})
    if not missed or len(ids) == 1:
        return ids if missed else []
    half = len(ids) // 2
    return [*needed(folder, ids[:half]), *needed(folder, ids[half:])]


@dataclass
class Victim:
    """A closed store, the answers it gave while nobody had edited it, and the nodes it needs."""

    folder: Path
    warm: Warm
    answers: dict[str, list[str]]
    needed: dict[str, list[bytes]]

    @property
    def store(self) -> Path:
        """The store's own folder."""
        return self.folder / "store"

    @property
    def witness_file(self) -> Path:
        """The witness of the store; a signed checkpoint lies beside it."""
        [file] = (file for file in (self.folder / "witness").iterdir() if not file.suffix)
        return file

    def codes(self) -> set[str]:
        """Gives the codes of all refused reads; what is answered must be as before the edit."""
        codes = set()
        for question, answer in self.warm.call("ask", str(self.folder)).items():
            if answer[0] == "refused":
                codes.add(answer[1])
            else:
                assert answer == self.answers[question], f"another answer: {question}"
        return codes

    def refused_questions(self) -> set[str]:
        """Gives the reads that are refused."""
        answers = self.warm.call("ask", str(self.folder))
        return {question for question, (kind, _) in answers.items() if kind == "refused"}

    def refused_with(self, edits: Edits) -> Refusals:
        """Makes the edits in turn; some read, and the second reader, must refuse each."""
        found = Refusals(set(), set())
        for edit in edits(self):
            codes = self.codes()
            assert codes, f"not noticed: {edit}"
            found.core.update(codes)
            found.reader.add(self.code_of_the_second_reader())
        return found

    def code_of_the_second_reader(self) -> str:
        """Gives the code with which it refuses the store; it reads all of it."""
        key, witness = reader.KeyFile(self.folder / "key"), self.folder / "witness"
        try:
            with reader.StoreReader(self.store, key=key, witness=witness) as store:
                store.verify()
        except DachiError as error:
            return error.code
        return "not refused"

    def samples(self, kind: str) -> list[bytes]:
        """Gives the first, the last, and others of the needed nodes of a kind, in their order."""
        ids = self.needed[kind]
        assert ids, f"no node of kind {kind}"
        step = max(1, (len(ids) - 1) // (SAMPLES - 1))
        return sorted({*ids[::step], ids[-1]})

    @contextmanager
    def edited(self, changes: dict[bytes, bytes | None]) -> Iterator[None]:
        """Edits nodes, and puts everything back."""
        before = attacker.read(self.store)
        attacker.write(self.store, changes)
        yield
        attacker.write(self.store, {key: before.get(key) for key in changes})

    @contextmanager
    def replaced(self, path: Path, content: bytes) -> Iterator[None]:
        """Replaces a file, and puts it back."""
        before = path.read_bytes()
        assert content != before
        path.write_bytes(content)
        yield
        path.write_bytes(before)

    @contextmanager
    def with_head(self, record: bytes | None) -> Iterator[None]:
        """Replaces the head, and puts it back."""
        before = attacker.head(self.store)
        assert record != before
        attacker.put_head(self.store, record)
        yield
        attacker.put_head(self.store, before)

    def copy(self, folder: Path) -> Victim:
        """Gives a copy to attack."""
        shutil.copytree(self.folder, folder)
        return Victim(folder, self.warm, self.answers, self.needed)


Edits = Callable[[Victim], Iterable[str]]
"""Makes one edit after the other, says what it did, and undoes it when asked for the next."""
