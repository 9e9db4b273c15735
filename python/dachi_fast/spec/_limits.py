"""How large a blueprint may be that somebody else wrote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from dachi_fast._core.state import exceeded
from dachi_fast.errors import SpecError


class SpecLimits(NamedTuple):
    """What `from_spec` accepts at most of a spec given as a dict.

    Counted before anything else looks at the spec. What stands in several places is counted in
    each, as it is built in each.

    Attributes:
        depth: levels of objects and arrays in each other. 200, as state holds no more.
        modules: objects with a kind. 100,000: some seconds of building.
        values: everything, modules and arrays among it. 1,000,000: some hundred MB of memory.
        size_bytes: texts in UTF-8, keys among them, and bytes. 64 MiB: more than a model writes.

    Example:
        >>> from dachi_fast import BaseModule, SpecLimits
        >>> class Knot(BaseModule):
        ...     next: BaseModule | None = None
        >>> spec = {"kind": "Knot", "next": {"kind": "Knot"}}
        >>> Knot.from_spec(spec, limits=SpecLimits(modules=1))
        Traceback (most recent call last):
        dachi_fast.errors.SpecError: next: a spec of more than 1 modules; ...
    """

    depth: int = 200
    modules: int = 100_000
    values: int = 1_000_000
    size_bytes: int = 64 * 1024 * 1024


def check_limits(spec: dict[str, Any], limits: SpecLimits) -> None:
    """Refuses a spec that is larger than allowed.

    Raises:
        SpecError: with a code of its own for each limit, and the path where it was met.
    """
    found = exceeded(spec, limits)
    if found is None:
        return
    name, parts = found
    path, most = path_text(parts), getattr(limits, name)
    said = f"{path or 'the root'}: a spec {_TOO[name].format(f'{most:,}')}; if that is meant, pass "
    said += f"limits=SpecLimits({name}=...)"
    if name == "depth":
        raise SpecError("too-deep", said, path=path, limit=most)
    if name == "modules":
        raise SpecError("too-many-modules", said, path=path, limit=most)
    if name == "values":
        raise SpecError("too-many-values", said, path=path, limit=most)
    raise SpecError("too-large", said, path=path, limit=most)


_TOO = {
    "depth": "nested deeper than {} levels",
    "modules": "of more than {} modules",
    "values": "of more than {} values",
    "size_bytes": "of more than {} bytes of text",
}
_SHOWN = 60  # characters of a text that somebody else wrote
_STEPS = 12  # of a path that somebody else wrote


def shown(text: str) -> str:
    """Gives the repr of a text that somebody else wrote, cut where it is long."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def path_text(parts: Sequence[Any]) -> str:
    """Gives a dotted path; the middle of a long one is left out.

    Example:
        >>> path_text(["tasks", 1, "style"])
        'tasks.1.style'
    """
    if len(parts) > _STEPS:
        parts = [*parts[: _STEPS // 2], "...", *parts[-_STEPS // 2 :]]
    texts = [part if type(part) is str else repr(part) for part in parts]
    return ".".join(t if len(t) <= _SHOWN else f"{t[:_SHOWN]}..." for t in texts)
