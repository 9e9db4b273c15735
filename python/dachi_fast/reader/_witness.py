"""The witness: what remembers the newest head outside the store (docs/format.md, section 12)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dachi_fast.errors import RolledBack, Tampered
from dachi_fast.reader._wire import Take

if TYPE_CHECKING:
    from pathlib import Path

    from dachi_fast.reader._head import Head
    from dachi_fast.reader._keyring import Keyring

_MAGIC: Final = b"dachi_fast seen\n"
_RECORD_BYTES: Final = 112
_SLOT_BYTES: Final = 4096


@dataclass(frozen=True)
class Seen:
    """The newest head that a witness has seen.

    Attributes:
        commit: its number.
        lineage: its lineage.
        entries: how many ledger entries it had.
        chain: hash of the last of them.
    """

    commit: int
    lineage: bytes
    entries: int
    chain: bytes


def newest(folder: Path, keyring: Keyring) -> Seen | None:
    """Gives what the file witness in a folder has seen; None if it knows nothing of the store."""
    try:
        content = (folder / keyring.store.hex()).read_bytes()
    except FileNotFoundError:
        return None
    slots = [content[at : at + _RECORD_BYTES] for at in (0, _SLOT_BYTES)]
    if not any(map(any, slots)):
        return None  # made, but never written
    key = hmac.digest(keyring.store_key, b"witness", "sha256")
    found = [seen for slot in slots if (seen := _opened(slot, key))]
    if not found:
        raise Tampered("tampered", "the witness holds no valid record of this store")
    return max(found, key=lambda seen: seen.commit)


def _opened(slot: bytes, key: bytes) -> Seen | None:
    body, mac = slot[:-32], slot[-32:]
    if len(slot) != _RECORD_BYTES or not body.startswith(_MAGIC):
        return None
    if not hmac.compare_digest(mac, hmac.digest(key, body, "sha256")):
        return None
    take = Take(body[len(_MAGIC) :])
    return Seen(take.u64(), take.raw(16), take.u64(), take.raw(32))


def check(head: Head, seen: Seen, chain: bytes | None) -> None:
    """Refuses a head that is not the witnessed one and does not continue it.

    Args:
        head: of the store.
        seen: by the witness.
        chain: hash of the last of the store's first `Seen.entries` entries; None if it has fewer.
    """
    continues = head.lineage == seen.lineage and head.commit >= seen.commit
    if not continues or chain != seen.chain:
        what = "the store is not the newest one that its witness has seen, nor continues it"
        raise RolledBack("rolled-back", what, commit=head.commit, witnessed_commit=seen.commit)
