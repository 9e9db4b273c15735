"""What type checkers make of items and constructors: checked by mypy and pyright, run by nobody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import InitVar
from typing import Any, ClassVar, assert_type

from dachi_fast import Attr, BaseModule, Param, ParamSet, Shared


class Count(Param[int]):
    """A typed item."""


class Declared(BaseModule):
    limit: ClassVar[int] = 3
    name: str = Param()
    size: int = Param(default=1)
    tags: list[str] = Param(default_factory=list[str])
    maybe: str | None = Param(default=None)
    extra: int = 5
    seed: InitVar[int] = 0
    learned: float = Attr(default=0.0)
    log: list[int] = Attr(default_factory=list[int])
    board: dict[str, int] = Shared(default_factory=dict[str, int])
    weight: Param[float]
    count: Count

    def __post_init__(self, seed: int) -> None:
        self.made = Param(data=seed)
        self.seen = Attr(data=[seed])


class Sub(Declared):
    more: str = Param(default="m")


class Both(BaseModule):
    size: int = Param()

    def __init__(self, text: str) -> None:
        super().__init__(size=len(text))


class Written(BaseModule):
    def __init__(self, size: int, *, bias: bool = True) -> None:
        self.weights = Param(data=[0.0] * size)
        self.bias = Param(data=0.0) if bias else None


# --- items ----------------------------------------------------------------------------------------

assert_type(Param(data=1), Param[int])
assert_type(Param(1), Param[int])
assert_type(Attr(data="a"), Attr[str])
assert_type(Shared(data=1.5), Shared[float])
assert_type(Param(data=1).data, int)
assert_type(Param(data=1).get(), int)
assert_type(Param(data=1).dump(), int)
assert_type(Param(data=1).fixed, bool)
Param(data=1).register_callback(print)
Param(data=1).data = 2
Param(data=1).data = "two"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
Param(data=1).set("two")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Param(wrong=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
Attr(data=1).fix()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]

# --- what the constructor takes -------------------------------------------------------------------

module = Declared(name="a", weight=Param(data=1.0), count=Count(2))
Declared(
    name="a",
    size=2,
    tags=["x"],
    maybe="m",
    extra=6,
    seed=1,
    weight=Param(data=1.0),
    count=Count(2),
)
Sub(name="a", weight=Param(data=1.0), count=Count(2), more="n")
Both("abc")
Both(size=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Written(3, bias=False)

Declared(weight=Param(data=1.0), count=Count(2))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
# mypy does not see that Attr and Shared are no arguments; they are refused at run time.
Declared(name="a", weight=Param(data=1.0), count=Count(2), learned=1.0)  # pyright: ignore[reportCallIssue]
Declared(name="a", weight=Param(data=1.0), count=Count(2), log=[1])  # pyright: ignore[reportCallIssue]
Declared(name="a", weight=Param(data=1.0), count=Count(2), board={})  # pyright: ignore[reportCallIssue]
Declared(name="a", weight=Param(data=1.0), count=Count(2), limit=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Declared(name=3, weight=Param(data=1.0), count=Count(2))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Declared("a", weight=Param(data=1.0), count=Count(2))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Written()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

# --- what attributes hold -------------------------------------------------------------------------

assert_type(module.name, str)
assert_type(module.size, int)
assert_type(module.tags, list[str])
assert_type(module.maybe, str | None)
assert_type(module.extra, int)
assert_type(module.learned, float)
assert_type(module.log, list[int])
assert_type(module.board, dict[str, int])
assert_type(module.weight, Param[float])
assert_type(module.count, Count)
assert_type(module.count.data, int)
assert_type(module.made, Param[int])
assert_type(module.seen.data, list[int])
assert_type(Declared.limit, int)
module.log = ["x"]  # type: ignore[list-item]  # pyright: ignore[reportAttributeAccessIssue]
module.size = "x"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
module.nothing  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def _is_fixed(found: object) -> bool:
    return isinstance(found, Param) and found.fixed


# --- walks and states -----------------------------------------------------------------------------

assert_type(module.id, str)
assert_type(module.parameters(), Iterator[Param[Any]])
assert_type(module.named_parameters(), Iterator[tuple[str, Param[Any]]])
assert_type(module.named_states(), Iterator[tuple[str, Attr[Any]]])
assert_type(module.modules(), Iterator[BaseModule])
assert_type(module.named_modules(), Iterator[tuple[str, BaseModule]])
assert_type(module.state_dict(), dict[str, Any])
assert_type(module.state_keys(), set[str])
assert_type(module.snapshot(), dict[str, Any])
assert_type(module.train(), Declared)
assert_type(module.eval(), Declared)
assert_type(ParamSet.build(module), ParamSet)
assert_type(ParamSet.build(module).to_dict(), dict[str, Any])
module.apply(print, include=Param)
module.apply(print, include=_is_fixed)
module.load_state_dict([("a", 1)])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
