"""Where things lie in an archive.

| name | holds |
|---|---|
| ``keys`` | a copy of ``keys.sealed``, replaced when it changed |
| ``packs/ID`` | nodes of the store, some MiB of them |
| ``manifests/ID`` | a backup: which nodes of which packs it consists of |

Ids are random, in hex. docs/format.md says what the objects hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from dachi_fast.errors import Missing

if TYPE_CHECKING:
    from dachi_fast.archive._archive import Archive

KEYS: Final = "keys"
PACKS: Final = "packs/"
MANIFESTS: Final = "manifests/"

_ID: Final = re.compile("[0-9a-f]{32}")
# A table of a pack of usual nodes, with room to spare: one request for most.
_TAIL_BYTES: Final = 65_536
_LENGTH_BYTES: Final = 4


def ids(names: Iterable[str], folder: str) -> list[bytes]:
    """Gives the ids of the objects in a folder of the archive; others are none of ours."""
    found = (name.removeprefix(folder) for name in names if name.startswith(folder))
    return [bytes.fromhex(name) for name in found if _ID.fullmatch(name)]


def sizes(names: dict[str, int], folder: str) -> list[tuple[bytes, int]]:
    """Gives the ids and lengths of the objects in a folder of the archive."""
    return [(found, names[folder + found.hex()]) for found in ids(names, folder)]


def table_of(archive: Archive, name: str, size_bytes: int) -> bytes | None:
    """Gives the sealed table of a pack; None where there is none, or none any more."""
    start = max(size_bytes - _TAIL_BYTES, 0)
    try:
        tail = archive.get_part(name, start, size_bytes)
        length = int.from_bytes(tail[-_LENGTH_BYTES:], "little") + _LENGTH_BYTES
        if length > size_bytes:
            return None
        if length > len(tail):
            tail = archive.get_part(name, size_bytes - length, size_bytes)
    except Missing:
        return None
    return tail[-length:-_LENGTH_BYTES]
