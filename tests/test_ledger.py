"""The ledger, recomputed by somebody who has only SHA-256 and JSON."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from typing import Any

import pytest

from dachi_fast import Attr, BaseModule, LedgerEntry, Store
from dachi_fast.errors import Conflict, StateError

GENESIS = "sha256:" + "0" * 64


class Counter(BaseModule):
    count: Any = Attr(default=0)


def _canonical(members: dict[str, Any]) -> bytes:
    """RFC 8785 for what entries hold: text and small integers."""
    return json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _recomputed(entry: LedgerEntry) -> tuple[str, str]:
    """Gives hash and commitment as an auditor computes them."""
    hashed = {
        "seq": entry.seq,
        "operation": entry.operation,
        "timestamp": entry.timestamp,
        "prev": entry.prev,
        "detail_commitment": entry.detail_commitment,
    }
    detail = {
        "agent_id": entry.agent_id,
        "memory_type": entry.memory_type,
        "justification": entry.justification,
        "root": entry.root,
    }
    assert entry.salt is not None
    return _sha256(_canonical(hashed)), _sha256(bytes.fromhex(entry.salt) + _canonical(detail))


def _used(store: Store) -> list[LedgerEntry]:
    """Saves and rolls back; gives the ledger, oldest first."""
    counter = Counter()
    store.save(counter, '\u00e9 "quoted" \\ \U0001f980', justification="tab\there\n\x01\x7f")
    for count in range(3):
        counter.count = count
        store.save(counter, "agent", justification=f"step {count}")
    store.rollback("agent", to=1, justification="back")
    return store.ledger()[::-1]


def test_the_chain_can_be_recomputed_from_what_the_entries_say(store: Store) -> None:
    entries = _used(store)
    assert [entry.seq for entry in entries] == list(range(6))
    prev = entries[0].prev
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", prev)
    for entry in entries:
        assert entry.prev == prev
        assert _recomputed(entry) == (entry.hash, entry.detail_commitment)
        prev = entry.hash


def test_the_first_entry_follows_nothing(store: Store) -> None:
    assert _used(store)[0].prev == GENESIS


def test_an_entry_says_what_was_done_to_whom_why_and_to_which_state(store: Store) -> None:
    entries = _used(store)
    assert [entry.operation for entry in entries] == ["create", *["store"] * 4, "rollback"]
    assert [entry.agent_id for entry in entries[2:]] == ["agent"] * 4
    assert entries[1].justification == "tab\there\n\x01\x7f"
    assert {entry.memory_type for entry in entries[1:]} == {"state"}
    roots = [version.root for version in reversed(store.history("agent"))]
    assert [entry.root for entry in entries[2:]] == roots
    stamps = [entry.timestamp for entry in entries]
    assert stamps == sorted(stamps)
    assert all(re.fullmatch(r"\d{4}(-\d\d){2}T\d\d(:\d\d){2}\.\d{6}Z", stamp) for stamp in stamps)


def test_equal_details_have_other_commitments(store: Store) -> None:
    counter = Counter()
    for _ in range(2):
        store.save(counter, "agent", justification="same")
    first, second = store.ledger(limit=2)
    assert first.root == second.root
    assert first.salt != second.salt
    assert first.detail_commitment != second.detail_commitment


def test_a_changed_word_does_not_open_the_commitment(store: Store) -> None:
    entry = _used(store)[-1]
    changes: tuple[dict[str, Any], ...] = (
        {"justification": "forward"},
        {"agent_id": "other"},
        {"root": "0" * 64},
    )
    for change in changes:
        forged = dataclasses.replace(entry, **change)
        assert _recomputed(forged)[1] != entry.detail_commitment
    assert _recomputed(dataclasses.replace(entry, operation="store"))[0] != entry.hash


def test_the_newest_entries_come_first_and_the_limit_holds(store: Store) -> None:
    entries = _used(store)[::-1]
    for limit in (0, 1, 5, 6, 7, 10**30):
        assert store.ledger(limit=limit) == entries[:limit]
    assert store.ledger(limit=-1) == []


def test_what_failed_is_not_in_the_ledger(store: Store) -> None:
    counter = Counter()
    store.save(counter, "agent")
    counter.count = object()
    with pytest.raises(StateError):
        store.save(counter, "agent")
    with pytest.raises(Conflict):
        store.save(Counter(), "agent")
    assert [entry.operation for entry in store.ledger()] == ["store", "create"]


def test_the_report_counts_what_there_is(store: Store) -> None:
    _used(store)
    report = store.verify()
    assert (report.names, report.versions, report.ledger_entries) == (2, 5, 6)
    assert report.nodes >= report.ledger_entries + report.versions
    assert report.size_bytes > 0
    assert report.unused_nodes >= 0
    assert store.verify() == report
