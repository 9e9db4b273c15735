"""What a blueprint would build, without building it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from dachi_fast.spec._build import read
from dachi_fast.spec._describe import spec_of
from dachi_fast.spec._registry import kind_of
from dachi_fast.spec._spec import BaseSpec
from dachi_fast.spec._survey import Path, Survey

if TYPE_CHECKING:
    from dachi_fast.module._base import BaseModule
    from dachi_fast.spec._limits import SpecLimits

_SHOWN = 40  # characters of a value in the table
_ROWS = 100  # of the table; more are counted


class Planned(NamedTuple):
    """One module of a dry run, or one that there is and would not be built again.

    Attributes:
        path: dotted path in the blueprint, "" for the root.
        kind: the class.
        status: "new", "same", "changed", "replaced" (by one of another kind) or "gone". All are
            "new" where nothing was compared.
        changes: field -> its values before and after, without the modules in them.
    """

    path: str
    kind: str
    status: Literal["new", "same", "changed", "replaced", "gone"]
    changes: dict[str, tuple[Any, Any]]


class DryRun(Sequence[Planned]):
    """What a blueprint would build: a row for each module, parents first; its repr is a table."""

    def __init__(self, rows: list[Planned]) -> None:
        self._rows = rows

    @property
    def kinds(self) -> dict[str, int]:
        """How many modules of each kind would be built."""
        return dict(Counter(row.kind for row in self._rows if row.status != "gone"))

    @property
    def is_same(self) -> bool:
        """Whether what would be built is what there is."""
        return all(row.status == "same" for row in self._rows)

    def __getitem__(self, index: Any) -> Any:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        kinds = self.kinds
        counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        rows = list(self._lines())
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = [
            "  ".join([*(t.ljust(w) for t, w in zip(row, widths, strict=False)), row[3]]).rstrip()
            for row in rows
        ]
        more = len(self._rows) - _ROWS
        tail = [f"... and {more:,} more"] if more > 0 else []
        return "\n".join([f"would build {sum(kinds.values()):,}: {counts}", *lines, *tail])

    def _lines(self) -> Iterator[tuple[str, str, str, str]]:
        yield "path", "kind", "status", ""
        for row in self._rows[:_ROWS]:
            changes = ", ".join(
                f"{n}: {_brief(a)} -> {_brief(b)}" for n, (a, b) in row.changes.items()
            )
            yield row.path or "(root)", row.kind, row.status, changes


def dry_run(
    spec: BaseSpec | Mapping[str, Any],
    against: BaseModule | None = None,
    *,
    ctx: Mapping[str, BaseModule] | None = None,
    allow: Sequence[type | str] | None = None,
    limits: SpecLimits | None = None,
    dialect: Literal["full", "strict"] = "full",
) -> DryRun:
    """Reads a blueprint as `from_spec` does, and tells what it would build.

    No constructor of the spec's modules runs, so what one would refuse, or make beyond the spec, is
    not found here. Default factories do run.

    Args:
        spec: as in `from_spec`.
        against: a module to compare with, place by place; ids do not count.
        ctx: as in `from_spec`; modules in it would not be built, so they are not told.
        allow: as in `from_spec`.
        limits: as in `from_spec`.
        dialect: as in `from_spec`.

    Raises:
        pydantic.ValidationError: as `from_spec` does.
        SpecError: as `from_spec` does, except for what constructors refuse.

    Example:
        >>> from dachi_fast import BaseModule, Param, dry_run
        >>> class Oven(BaseModule):
        ...     degrees: int = Param(default=180)
        >>> dry_run({"kind": "Oven", "degrees": 220}, against=Oven())
        would build 1: 1 Oven
        path    kind  status
        (root)  Oven  changed  degrees: 180 -> 220
    """
    from dachi_fast.module._base import BaseModule

    survey = read(BaseModule, spec, ctx, allow=allow, limits=limits, dialect=dialect)
    after = _modules(survey)
    if against is None:
        return DryRun([Planned(_text(path), kind, "new", {}) for path, (kind, _) in after.items()])
    there = Survey(None, {})
    there.go(spec_of(against))
    before = _modules(there)
    rows = [_compared(path, kind, fields, before) for path, (kind, fields) in after.items()]
    gone = [
        Planned(_text(p), kind, "gone", {}) for p, (kind, _) in before.items() if p not in after
    ]
    return DryRun(rows + gone)


Fields = dict[str, Any]


def _modules(survey: Survey) -> dict[Path, tuple[str, Fields]]:
    """Gives path -> kind and fields of each module, without the modules inside."""
    return {path: (kind_of(spec.load_cls()), _fields(spec)) for path, spec in survey.found}


def _fields(spec: BaseSpec) -> Fields:
    names = {inner: name for name, inner in type(spec).inner_names_.items()}
    return {
        names.get(inner, inner): _without_modules(value)
        for inner, value in spec.__dict__.items()
        if inner not in ("kind", "id") and not isinstance(value, BaseSpec)
    }


def _without_modules(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_without_modules(v) for v in value if not isinstance(v, BaseSpec)]
    if isinstance(value, dict):
        return {k: _without_modules(v) for k, v in value.items() if not isinstance(v, BaseSpec)}
    return value


def _compared(
    path: Path, kind: str, fields: Fields, before: dict[Path, tuple[str, Fields]]
) -> Planned:
    if path not in before:
        return Planned(_text(path), kind, "new", {})
    kind_before, there = before[path]
    if kind_before != kind:
        return Planned(_text(path), kind, "replaced", {"kind": (kind_before, kind)})
    pairs = {name: (there.get(name), fields.get(name)) for name in {**there, **fields}}
    changes = {name: (a, b) for name, (a, b) in pairs.items() if not _equal(a, b)}
    return Planned(_text(path), kind, "changed" if changes else "same", changes)


def _equal(a: Any, b: Any) -> bool:
    try:
        return a is b or bool(a == b)
    except (TypeError, ValueError):  # arrays are compared element by element
        return False


def _text(path: Path) -> str:
    return ".".join(map(str, path))


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
