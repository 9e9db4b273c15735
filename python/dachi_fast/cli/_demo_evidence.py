"""The second half of the demo: what the store can show about what happened."""

from __future__ import annotations

from collections import Counter
from typing import Any

from dachi_fast import ABSENT, Change, Report, Store, Version
from dachi_fast.cli._demo_screen import Step, Table
from dachi_fast.cli._demo_worker import NAME, Job
from dachi_fast.cli._librarian import accuracy, differences, librarian, same

Evidence = tuple[Step, dict[str, Any]]  # a step, and its numbers for the JSON document


def equal(store: Store, job: Job) -> Evidence:
    """Compares the agent that died once with one that never did."""
    unbroken = librarian(job.labels)
    for batch in job.batches:
        for text, label in batch:
            unbroken.learn(text, label)
    resumed = store.load(NAME)
    paths = list(differences(resumed, unbroken))
    values, seen = len(unbroken.state_dict()), accuracy(unbroken, job.held_out)
    step = Step(
        name="compare",
        what=f"A third agent learned all {unbroken.read:,} sentences unbroken: it and the resumed "
        f"one {'are equal in all' if not paths else f'differ in {len(paths)} of'} {values} values "
        f"of their state.",
        why="It lived in this process and never touched the store; compared are type and value of "
        "every word's count, of every guess, and of every total.",
        holds={
            "the resumed agent equals the unbroken one": not paths,
            "both answer alike": accuracy(resumed, job.held_out) == seen,
        },
    )
    return (step, {"equal": not paths, "differences": paths, "accuracy": seen})


def history(store: Store, job: Job, died_at: int) -> Evidence:
    """Lists the versions around the kill."""
    versions = store.history(NAME)
    numbers = [version.number for version in reversed(versions)]
    near = [v for v in versions if v.number in {1, died_at, died_at + 1, versions[0].number}]
    rows = [[v.justification, str(v.number), f"{v.created:%H:%M:%S.%f}", v.root[:12]] for v in near]
    step = Step(
        name="history",
        what=f"The store holds {len(versions)} versions, each with its time and its reason; "
        f"{died_at} is the last of the killed process, {died_at + 1} the first of the next.",
        why="State, reason and ledger entry of a save are one transaction, so none can exist "
        "without the others.",
        holds={
            "there is one version for each batch": numbers == list(range(1, len(job.batches) + 1)),
            "each follows the one before": all(v.base == (v.number - 1 or None) for v in versions),
        },
        table=Table(
            heads=["reason", "version", "saved (UTC)", "fingerprint"], aligned="lrrl", rows=rows
        ),
    )
    return (step, {"versions": [_version(v) for v in reversed(versions)]})


def difference(store: Store, died_at: int) -> Evidence:
    """Compares two versions, one from each side of the kill."""
    a, b = died_at, died_at + 1
    changes = store.diff(NAME, a, b)
    before, after = (store.load(NAME, version=number).state_dict() for number in (a, b))
    rebuilt = before | {c.path: c.after for c in changes if c.after is not ABSENT}
    for change in changes:
        if change.after is ABSENT:
            del rebuilt[change.path]
    counted = {c.path: _words(c) for c in changes if c.path.endswith(".counts")}
    busiest = sorted(counted, key=lambda path: (-sum(counted[path].values()), path))[:5]
    rows = [[path, _sample(next(c for c in changes if c.path == path))] for path in busiest]
    step = Step(
        name="diff",
        what=f"Between versions {a} and {b}, across the kill, {len(changes)} of {len(after)} "
        "values changed.",
        why="Only the parts whose hashes differ were opened; the changes were then applied to "
        f"version {a}, and the result is version {b}.",
        holds={
            "the changes lead from one version to the other": rebuilt.keys() == after.keys()
            and all(same(rebuilt[path], after[path]) for path in after)
        },
        table=Table(heads=["value", "most changed words"], aligned="ll", rows=rows),
    )
    return (
        step,
        {
            "from": a,
            "to": b,
            "values": len(after),
            "changed": [change.path for change in changes],
            "new_words": {path: dict(words) for path, words in counted.items()},
        },
    )


def _words(change: Change) -> Counter[str]:
    return Counter(change.after) - Counter(change.before)


def _sample(change: Change) -> str:
    words = _words(change).most_common(3)
    return ", ".join(f"{w} {change.before.get(w, 0)} -> {change.after[w]}" for w, _ in words)


def rollback(store: Store, job: Job, to: int) -> Evidence:
    """Goes back to the version that survived the kill."""
    count, old = len(store.history(NAME)), store.load(NAME, version=to)
    made = store.rollback(NAME, to=to, justification="show a rollback")
    now = store.load(NAME)
    root = next(v.root for v in store.history(NAME) if v.number == to)
    seen = accuracy(now, job.held_out)
    step = Step(
        name="roll back",
        what=f"Version {made.number} takes the agent back to version {to}: {now.read:,} sentences, "
        f"{seen:.1%} right.",
        why=f"It has the fingerprint of version {to} and its state, value by value; the {count} "
        f"versions before it are all still there, so going back can be undone.",
        holds={
            "the rollback has the old state": not any(differences(now, old)),
            "it has the old fingerprint": made.root == root,
            "it is a new version": made.number == count + 1 and made.restores == to,
            "history is kept": len(store.history(NAME)) == count + 1,
        },
    )
    return (step, {"to": to, "accuracy": seen, **_version(made)})


def verified(store: Store, job: Job) -> Evidence:
    """Proves the whole store; `Store.verify` raises where something is wrong."""
    report = store.verify()
    versions = store.history(NAME)
    entries = store.ledger(limit=report.ledger_entries)
    ledger = Counter(entry.operation for entry in entries)
    stored = Counter(entry.memory_type for entry in entries if entry.operation == "store")
    disk = sum(file.stat().st_blocks * 512 for file in store.path.iterdir())
    copies = sum(version.size_bytes for version in versions)
    step = Step(
        name="verify",
        what=f"Proved {report.nodes:,} records, {report.versions} versions, "
        f"{report.documents:,} documents and {report.ledger_entries:,} ledger entries; "
        f"{_mb(copies)} in all, had each version been copied whole, take {_mb(disk)} on disk, with "
        "the memories.",
        why="Every record was decrypted with authentication (AES-256-GCM) and hashed up to the "
        "head of the store, and the head compared with a witness that lies outside of it.",
        holds={
            "the store is whole": _counts(report) == (1, len(job.batches) + 1),
            "the ledger has each save": stored["state"] == len(job.batches),
            "the ledger has each memory": stored["task_memory"] == sum(map(len, job.batches)) + 1,
            "the ledger has the rollback": ledger["rollback"] == 1,
        },
    )
    numbers = {
        "names": report.names,
        "versions": report.versions,
        "records": report.nodes,
        "ledger_entries": report.ledger_entries,
        "ledger": dict(ledger),
        "stored": dict(stored),
        "disk_bytes": disk,
        "bytes_if_copied_whole": copies,
    }
    return (step, numbers)


def _counts(report: Report) -> tuple[int, int]:
    return report.names, report.versions


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"


def _version(version: Version) -> dict[str, Any]:
    return {
        "version": version.number,
        "created": version.created.isoformat(),
        "justification": version.justification,
        "base": version.base,
        "restores": version.restores,
        "size_bytes": version.size_bytes,
        "root": version.root,
    }
