"""Forks, copies, tags, rollbacks and pruning in any order: nothing that somebody keeps is lost."""

from __future__ import annotations

import datetime
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dachi_fast import Attr, BaseModule, Limits, Param
from dachi_fast.errors import AlreadyExists, UnknownName
from tests.timed import DAY_S, GRACE_S, Clock, open_timed

NAMES = ("a", "b", "c", "d")
TAGS = ("x", "y", "z")
LIMITS = (
    None,
    Limits(),
    Limits(versions=1, days=0),
    Limits(versions=3, days=2),
    Limits(versions=None, age=datetime.timedelta(seconds=GRACE_S)),
    Limits(versions=None, size_bytes=40_000),
)
# Pieces that versions, fields and names share in any combination.
_PIECES = [random.Random(seed).randbytes(20_000) for seed in range(4)]
values = st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=3).map(
    lambda pieces: b"".join(_PIECES[piece] for piece in pieces)
)


class Part(BaseModule):
    value: Any = Attr(default=None)


class Agent(BaseModule):
    parts: list[BaseModule] = Param(default_factory=list)


class VersionsMachine(RuleBasedStateMachine):
    """The model: the values of each name's versions by number, and the tags on them."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="dachi-versions-"))
        self.clock = Clock()
        # One agent, so that equal values make equal contents.
        self.agent, self.parts = Agent(), [Part() for _ in range(5)]
        self.model: dict[str, dict[int, list[Any]]] = {}
        self.prints: dict[tuple[Any, ...], str] = {}
        self.tags: dict[str, dict[str, int]] = {}
        self.family: dict[str, int] = {}

    @initialize(limits=st.sampled_from(LIMITS))
    def open(self, limits: Limits | None) -> None:
        self.store = open_timed(self.folder, self.clock, limits)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
        shutil.rmtree(self.folder)

    @rule(limits=st.sampled_from(LIMITS))
    def reopen(self, limits: Limits | None) -> None:
        self.store.close()
        self.open(limits)

    @rule(seconds=st.sampled_from([1, GRACE_S - 1, GRACE_S, DAY_S]))
    def wait(self, seconds: int) -> None:
        self.clock.now_s += seconds

    @rule(name=st.sampled_from(NAMES), parts=st.lists(values, max_size=5), times=st.integers(1, 3))
    def save(self, name: str, parts: list[Any], times: int) -> None:
        for _ in range(times):
            self.agent.parts = [*self.parts[: len(parts)]]
            for part, value in zip(self.parts, parts, strict=False):
                part.value = value
            number = self.store.save(self.agent, name, base="latest").number
            self.family.setdefault(name, len(self.family))
            assert number == max(self.model.get(name, {0: []})) + 1
            self._add(name, number, parts)

    def _add(self, name: str, number: int, parts: list[Any]) -> None:
        self.model.setdefault(name, {})[number] = parts
        self.tags.setdefault(name, {})
        self._follow_pruning(name)

    def _follow_pruning(self, name: str) -> None:
        """Takes out of the model what is not in the history: other checks hold it to the limits."""
        kept = {version.number for version in self.store.history(name)}
        assert kept <= self.model[name].keys()
        assert max(self.model[name]) in kept
        assert set(self.tags[name].values()) <= kept
        self.model[name] = {n: parts for n, parts in self.model[name].items() if n in kept}

    def _pick(self, data: st.DataObject) -> tuple[str, int]:
        name = data.draw(st.sampled_from(sorted(self.model)))
        return name, data.draw(st.sampled_from(sorted(self.model[name])))

    @precondition(lambda self: self.model)
    @rule(data=st.data(), to=st.sampled_from(NAMES), make=st.sampled_from(["fork", "copy"]))
    def second(self, data: st.DataObject, to: str, make: str) -> None:
        name, number = self._pick(data)
        try:
            if make == "fork":
                self.store.fork(name, to, version=number)
            else:
                self.store.copy(name, to=to, version=number)
        except AlreadyExists:
            assert to in self.model
            return
        assert to not in self.model
        self.family[to] = self.family[name] if make == "fork" else 100 + len(self.family)
        self._add(to, 1, self.model[name][number])

    @precondition(lambda self: self.model)
    @rule(data=st.data(), tag=st.sampled_from(TAGS))
    def tag(self, data: st.DataObject, tag: str) -> None:
        name, number = self._pick(data)
        relatives = [other for other in self.model if self.family[other] == self.family[name]]
        try:
            self.store.tag(name, version=number, tag=tag)
        except AlreadyExists:
            assert any(tag in self.tags[other] for other in relatives)
            return
        assert not any(tag in self.tags[other] for other in relatives)
        self.tags[name][tag] = number

    @precondition(lambda self: self.model)
    @rule(data=st.data(), tag=st.sampled_from(TAGS))
    def untag(self, data: st.DataObject, tag: str) -> None:
        name, _ = self._pick(data)
        try:
            self.store.untag(name, tag=tag)
        except UnknownName:
            assert tag not in self.tags[name]
            return
        del self.tags[name][tag]

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        name, number = self._pick(data)
        version = self.store.rollback(name, to=number)
        self._add(name, version.number, self.model[name].get(number, []))

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def prune(self, data: st.DataObject) -> None:
        name = data.draw(st.none() | st.sampled_from(sorted(self.model)))
        said = self.store.prune(name, dry_run=True)
        assert self.store.prune(name) == said
        for pruned in said:
            gone = set(pruned.versions)
            before = set(self.model[pruned.name])
            self._follow_pruning(pruned.name)
            assert before - set(self.model[pruned.name]) == gone

    @invariant()
    def everything_kept_is_there(self) -> None:
        if not hasattr(self, "store"):
            return
        assert self.store.names() == sorted(self.model)
        report = self.store.verify()
        assert report.versions == sum(map(len, self.model.values()))
        for name, versions in self.model.items():
            history = self.store.history(name)
            assert [v.number for v in history] == sorted(versions, reverse=True)
            assert {tag: v.number for v in history for tag in v.tags} == self.tags[name]
            for number, parts in versions.items():
                loaded = self.store.load(name, version=number)
                assert [part.value for part in loaded.parts] == parts
                found = self.store.fingerprint(name, version=number)
                assert self.prints.setdefault(tuple(parts), found) == found

    @precondition(lambda self: self.model)
    @rule()
    def leave_nothing_unused(self) -> None:
        name = min(self.model)
        for _ in range(40):
            self.clock.now_s += GRACE_S
            self.store.prune()
            self.store.rollback(name, to=max(self.model[name]))
            number = max(self.model[name]) + 1
            self._add(name, number, self.model[name][number - 1])
        for other in self.model:
            self._follow_pruning(other)
        # What the last two commits replaced waits for its time.
        assert self.store.verify().unused_nodes < 40


TestVersions = VersionsMachine.TestCase
TestVersions.settings = settings(
    max_examples=20,
    stateful_step_count=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestVersions = pytest.mark.timeout(120)(TestVersions)
