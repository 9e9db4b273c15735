"""What a type checker must know about errors; read by mypy and pyright, never run."""

from __future__ import annotations

from typing import assert_type

from dachi_fast.errors import Conflict, DachiError, Missing, StoreLocked, from_code

assert_type(from_code("tampered", "message", {"path": "a"}), DachiError)
assert_type(Conflict("conflict", "message", name="agent").code, str)
assert_type(Conflict("conflict", "message").context, dict[str, object])


def caught_as_builtins(missing: Missing, locked: StoreLocked) -> tuple[LookupError, TimeoutError]:
    """Each class is also what a reader would catch."""
    return missing, locked
