"""Writes the frozen store of this format, with its key, its witness, and what is in it.

    python -m tests.compat.generate

Until the format is frozen (CHANGELOG.md says so), run this and commit what it writes with every
change of the format. Afterwards it is never run again for that format: the new one gets a number
and with it a folder of its own.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Final

from dachi_fast import FileWitness, KeyFile, LmdbMemoryProvider, Store, TransactionManager
from tests.compat.agent import Frozen, document, frozen

HERE: Final = Path(__file__).parent
VERSIONS: Final = 3
DOCUMENTS: Final = 5
# A hundred and thirty of these are less than the day after which keys rotate by themselves.
_STEP_NS: Final = 601 * 1_000_000_000
NAMES: Final = ["agent", "copy", "fork"]


class _Clock:
    """Goes on when it is told to: what is replaced is deleted ten minutes later."""

    now_ns = 1_795_000_000 * 1_000_000_000

    def __call__(self) -> int:
        return self.now_ns


def generate(folder: Path) -> None:
    """Writes a store with its key, its witness and its expectations into a folder."""
    keys, witness, clock = KeyFile(folder / "key"), FileWitness(folder / "witness"), _Clock()
    with Store.open(
        folder / "store",
        keys=keys,
        witness=witness,
        audit_reads="off",
        limits=None,
        clock=clock,
    ) as store:
        store.save(frozen(1), "forgotten", justification="will be gone")
        for version in range(1, VERSIONS + 1):
            store.save(frozen(version), "agent", base="latest", justification=f"version {version}")
        store.rotate_now()
        store.rollback("agent", to=1, justification="back to the first")
        store.tag("agent", version=2, tag="best")
        notes = LmdbMemoryProvider(store, namespace="agent", indexes={"note": ["number"]})
        with TransactionManager(notes).sync as tx:
            for number in range(DOCUMENTS):
                tx.store("note", document(number), ttl_s=None if number else 1e9)
        store.fork("agent", "fork", version=2)
        store.copy("agent", to="copy", version=1)
        store.forget("forgotten")
        store.save_shared(Frozen)
        # The ledger's tree has a full tile and one above it.
        for _ in range(126):
            clock.now_ns += _STEP_NS
            store.tag("agent", version=3, tag="soon gone")
            store.untag("agent", tag="soon gone")
        clock.now_ns += _STEP_NS
        store.compact()
        names = {name: store.history(name) for name in store.names()}
        written = {
            "roots": {name: [version.root for version in names[name]] for name in names},
            "fingerprints": {name: store.fingerprint(name) for name in names},
            "ledger": [entry.hash for entry in store.ledger(limit=3)],
            "entries": store.verify().ledger_entries,
        }
    (folder / "store" / "lock.mdb").unlink()
    (folder / "expected.json").write_text(json.dumps(written, indent=1) + "\n")


def number_of(folder: Path) -> int:
    """Gives the number of the format that a store is of."""
    return int.from_bytes((folder / "store" / "keys.sealed").read_bytes()[16:20], "little")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as fresh:
        generate(Path(fresh))
        target = HERE / f"format-{number_of(Path(fresh))}"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(fresh, target)
