"""Somebody who can edit the file but has no key: every edit is found, no wrong data is given."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from dachi_fast import Attr, BaseModule, KeyFile, Param, Store
from dachi_fast.errors import FormatTooNew, IntegrityError, Missing, RolledBack, Tampered
from tests.attacks import attacker
from tests.tokens import token


class Leaf(BaseModule):
    value: Any = Attr(default=None)


class Wide(BaseModule):
    leaves: list[BaseModule] = Param(default_factory=list)
    array: Any = Attr(default=None)


class Victim(NamedTuple):
    """A closed store, what it says while nobody has edited it, and records it does not need."""

    folder: Path
    keys: KeyFile
    answers: dict[str, Any]
    unused: int


def _asks(store: Store) -> dict[str, Callable[[], Any]]:
    return {
        "names": store.names,
        "history": lambda: [(v.number, v.root, v.justification) for v in store.history("agent")],
        "latest": lambda: token(store.load("agent").state_dict()),
        "first": lambda: token(store.load("agent", version=1).state_dict()),
        "second": lambda: token(store.load("agent", version=2).state_dict()),
        "other": lambda: token(store.load("other").state_dict()),
        "diff": lambda: [
            (c.path, token(c.before), token(c.after)) for c in store.diff("agent", 1, 3)
        ],
        "ledger": store.ledger,
        "stats": lambda: [(s.name, s.versions, s.latest, s.created) for s in store.stats().names],
        "stats of one": lambda: store.stats("agent").largest,
        "verify": lambda: dataclasses.replace(store.verify(), unused_nodes=0),
    }


def _wide(size: int) -> Wide:
    agent = Wide(leaves=[Leaf() for _ in range(size)])
    for number, leaf in enumerate(agent.leaves):
        leaf.value = f"value {number} " + "x" * (600 if number == 7 else 0)  # type: ignore[attr-defined]
    return agent


@pytest.fixture
def victim(tmp_path: Path) -> Victim:
    folder, keys = tmp_path / "store", KeyFile(tmp_path / "key")
    with Store.open(folder, keys=keys) as store:
        agent = _wide(150)
        agent.array = np.random.default_rng(5).standard_normal(6_000)
        for step in range(3):
            agent.leaves[0].value = step  # type: ignore[attr-defined]
            store.save(agent, "agent", justification=f"step {step}")
        store.save(_wide(3), "other")
    with Store.open(folder, keys=keys, audit_reads="off") as store:
        answers = {name: ask() for name, ask in _asks(store).items()}
        return Victim(folder, keys, answers, store.verify().unused_nodes)


def _flipped(value: bytes, at: int) -> bytes:
    return value[:at] + bytes([value[at] ^ 0x10]) + value[at + 1 :]


def _found(victim: Victim) -> set[str]:
    """Gives the questions that are refused; all others must be answered as before the edit."""
    refused = set()
    try:
        store = Store.open(victim.folder, keys=victim.keys, audit_reads="off")
    except IntegrityError:
        return {"open", *victim.answers}
    with store:
        for name, ask in _asks(store).items():
            try:
                answer = ask()
            except IntegrityError:
                refused.add(name)
            else:
                assert answer == victim.answers[name], name
    return refused


def _edited(
    victim: Victim, changes: dict[bytes, bytes | None], before: dict[bytes, bytes]
) -> set[str]:
    """Edits, asks, and puts everything back."""
    attacker.write(victim.folder, changes)
    refused = _found(victim)
    attacker.write(victim.folder, {key: before.get(key) for key in changes})
    return refused


def test_a_flipped_bit_in_any_record_is_found_by_verify_and_never_believed(victim: Victim) -> None:
    rng = random.Random(11)
    nodes = attacker.read(victim.folder)
    assert len(nodes) > 20
    unused = 0
    for key, value in nodes.items():
        spots = [0, 1, 2, 6, 30, len(value) - 17, len(value) - 1, rng.randrange(len(value))]
        found = [_edited(victim, {key: _flipped(value, at)}, nodes) for at in set(spots)]
        unused += all(not refused for refused in found)
        assert all("verify" in refused for refused in found) or not any(found)
    assert unused == victim.unused
    assert _found(victim) == set()


def test_a_shortened_or_lengthened_record_is_found(victim: Victim) -> None:
    nodes = attacker.read(victim.folder)
    unused = 0
    for key, value in nodes.items():
        edits = (b"", value[:29], value[:-1], value + b"\0", value * 2)
        found = [_edited(victim, {key: edit}, nodes) for edit in edits]
        unused += all(not refused for refused in found)
        assert all("verify" in refused for refused in found) or not any(found)
    assert unused == victim.unused


def test_a_record_that_is_gone_is_missed(victim: Victim) -> None:
    nodes = attacker.read(victim.folder)
    kept = 0
    for key in nodes:
        attacker.write(victim.folder, {key: None})
        refused = _found(victim)
        kept += not refused
        if refused:
            assert "verify" in refused
            with (
                pytest.raises(Missing),
                Store.open(victim.folder, keys=victim.keys, audit_reads="off") as store,
            ):
                store.verify()
        attacker.write(victim.folder, {key: nodes[key]})
    # Nothing is lost with a list of what may be deleted.
    assert kept == victim.unused + sum(key.startswith(b"\xfe" * 8) for key in nodes)


def test_records_that_changed_places_are_found(victim: Victim) -> None:
    nodes = attacker.read(victim.folder)
    keys = sorted(nodes)
    random.Random(12).shuffle(keys)
    pairs = zip(keys, keys[1:] + keys[:1], strict=True)
    missed = 0
    for a, b in pairs:
        refused = _edited(victim, {a: nodes[b], b: nodes[a]}, nodes)
        missed += "verify" not in refused
    assert missed <= victim.unused


def test_all_records_replaced_by_those_of_another_store_are_found(
    victim: Victim, tmp_path: Path
) -> None:
    with Store.open(tmp_path / "twin", keys=victim.keys) as twin:
        twin.save(_wide(3), "other")
    theirs = attacker.read(tmp_path / "twin")
    ledger = [key for key in theirs if key.startswith(b"\xff" * 8)]
    assert ledger
    nodes = attacker.read(victim.folder)
    refused = _edited(victim, {key: theirs[key] for key in ledger}, nodes)
    assert {"verify"} <= refused


def test_a_flipped_bit_in_the_head_is_found_at_open(victim: Victim) -> None:
    head = attacker.head(victim.folder)
    for at in range(len(head)):
        attacker.put_head(victim.folder, _flipped(head, at))
        with pytest.raises((IntegrityError, FormatTooNew)):
            Store.open(victim.folder, keys=victim.keys, audit_reads="off")
    for bit in range(8):
        flipped = head[:16] + bytes([head[16] ^ 1 << bit]) + head[17:]
        attacker.put_head(victim.folder, flipped)
        with pytest.raises((IntegrityError, FormatTooNew)):
            Store.open(victim.folder, keys=victim.keys, audit_reads="off")
    for cut in (0, 15, 16, 20, 36, len(head) - 1):
        attacker.put_head(victim.folder, head[:cut])
        with pytest.raises(IntegrityError):
            Store.open(victim.folder, keys=victim.keys, audit_reads="off")
    attacker.put_head(victim.folder, head)
    assert _found(victim) == set()


def test_a_head_of_a_newer_format_says_so(victim: Victim) -> None:
    head = attacker.head(victim.folder)
    newer = head[:16] + (2).to_bytes(4, "little") + head[20:]
    attacker.put_head(victim.folder, newer)
    with pytest.raises(FormatTooNew) as caught:
        Store.open(victim.folder, keys=victim.keys, audit_reads="off")
    assert caught.value.context["format"] == 2


def test_a_head_that_is_gone_is_not_taken_for_a_new_store(victim: Victim) -> None:
    attacker.put_head(victim.folder, None)
    with pytest.raises(IntegrityError):
        Store.open(victim.folder, keys=victim.keys, audit_reads="off")


def test_an_older_head_put_back_is_refused(victim: Victim) -> None:
    old = attacker.head(victim.folder)
    with Store.open(victim.folder, keys=victim.keys, audit_reads="off") as store:
        store.save(_wide(4), "other", base="latest")
    attacker.put_head(victim.folder, old)
    with pytest.raises(RolledBack):
        Store.open(victim.folder, keys=victim.keys, audit_reads="off")


def _overwrite(folder: Path, old: bytes, new: bytes) -> None:
    """Writes over every copy of `old`, as somebody would who has the file open as well."""
    assert len(old) == len(new)
    with (folder / "data.mdb").open("r+b") as file:
        content, at = file.read(), -1
        assert old in content
        while (at := content.find(old, at + 1)) >= 0:
            file.seek(at)
            file.write(new)


def test_an_older_head_put_back_while_the_store_is_open_is_refused(victim: Victim) -> None:
    old = attacker.head(victim.folder)
    agent = _wide(2)
    with Store.open(victim.folder, keys=victim.keys, audit_reads="off") as store:
        store.save(agent, "other", base="latest")
    new = attacker.head(victim.folder)
    asks: list[Callable[[], Any]] = [lambda: store.save(agent, "other")]
    with Store.open(victim.folder, keys=victim.keys, audit_reads="off") as store:
        asks += _asks(store).values()
        _overwrite(victim.folder, new, old)
        for ask in asks:
            with pytest.raises(RolledBack):
                ask()
    with pytest.raises(RolledBack):
        Store.open(victim.folder, keys=victim.keys, audit_reads="off")


def test_a_record_edited_while_the_store_is_open_is_refused(victim: Victim) -> None:
    piece = max(attacker.read(victim.folder).values(), key=len)
    with Store.open(victim.folder, keys=victim.keys, audit_reads="off") as store:
        store.load("agent")
        _overwrite(victim.folder, piece, _flipped(piece, 100))
        with pytest.raises(Tampered):
            store.load("agent")
        with pytest.raises(Tampered):
            store.verify()
        _overwrite(victim.folder, _flipped(piece, 100), piece)
        assert token(store.load("agent").state_dict()) == victim.answers["latest"]


def test_no_text_of_the_agent_can_be_read_in_the_files(victim: Victim) -> None:
    for path in victim.folder.iterdir():
        content = path.read_bytes()
        for text in (b"value 1", b"agent", b"step 1", b"leaves", b"Wide", b"xxxxxxxx"):
            assert text not in content, (path, text)
