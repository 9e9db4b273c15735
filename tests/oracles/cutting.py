"""How long values are cut into pieces, as docs/format.md says it, section 8."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

_WHOLE: Final = 16_384
# LEAST, NORMAL, MOST, STRICT, LOOSE
_BODY: Final = (4_096, 16_384, 65_536, 16, 12)
_TAIL: Final = (512, 2_048, 8_192, 13, 9)


def _gear() -> list[int]:
    state, gear = 0, []
    for _ in range(256):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        z = state
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        gear.append(z ^ z >> 31)
    return gear


GEAR: Final = _gear()


def fixed(value: bytes) -> list[bytes]:
    """Gives the pieces of an array's items."""
    return [value[at : at + _WHOLE] for at in range(0, len(value), _WHOLE)]


def by_content(value: bytes) -> list[bytes]:
    """Gives the pieces of any other value."""
    if len(value) <= _WHOLE:
        return [value]
    ends = [0]
    for lengths in (_BODY, _TAIL):
        while (end := _end(value[ends[-1] :], *lengths)) is not None:
            ends.append(ends[-1] + end)
    if ends[-1] < len(value):
        ends.append(len(value))
    return [value[start:end] for start, end in pairwise(ends)]


def _end(value: bytes, least: int, normal: int, most: int, strict: int, loose: int) -> int | None:
    """Gives where the first piece ends; None if not within the value."""
    seen = 0
    for at in range(least, min(most, len(value))):
        seen = (seen * 2 + GEAR[value[at]]) % 2**64
        if seen >> 64 - (strict if at < normal else loose) == 0:
            return at + 1
    return most if len(value) >= most else None


def grouped(digests: list[bytes]) -> list[list[bytes]]:
    """Gives the references of each index over a level."""
    groups: list[list[bytes]] = [[]]
    for digest in digests:
        groups[-1].append(digest)
        if (digest[0] & 15 == 0 and len(groups[-1]) >= 8) or len(groups[-1]) == 36:
            groups.append([])
    return [group for group in groups if group]
