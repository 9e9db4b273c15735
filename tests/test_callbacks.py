"""Callbacks that raise: what is written stays written, everybody is told, the error comes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dachi_fast import AdaptModule, Attr, BaseModule, Param


class HeardAgent(BaseModule):
    name: str = Param(default="a")
    size: int = Param(default=1)
    weight: Param[float]
    count: int = Attr(default=0)

    def __post_init__(self) -> None:
        self.made = Param(data=1)


class Holder(BaseModule):
    part: AdaptModule[HeardAgent] = Param()


def raising(message: str) -> Callable[[object], None]:
    def callback(_value: object) -> None:
        raise LookupError(message)

    return callback


def agent() -> Any:
    return HeardAgent(weight=Param(data=0.5))


def _items(module: Any) -> dict[str, Any]:
    return {**dict(module.named_parameters()), **dict(module.named_states())}


_STYLES = ["size", "count", "weight", "made"]  # declared, declared Attr, item field, made by hand


@pytest.mark.parametrize("name", _STYLES)
def test_a_callback_that_raises_leaves_the_value_written_and_the_others_called(name: str) -> None:
    module = agent()
    item = _items(module)[name]
    heard: list[Any] = []
    for callback in (raising("first"), heard.append, raising("second"), heard.append):
        item.register_callback(callback)
    with pytest.raises(LookupError, match="first") as caught:
        item.data = 7
    assert (item.data, heard) == (7, [7, 7])
    assert "second" in caught.value.__notes__[0]


def test_an_assignment_is_written_though_a_callback_raises() -> None:
    module = agent()
    _items(module)["size"].register_callback(raising("no"))
    with pytest.raises(LookupError):
        module.size = 7
    assert module.size == 7


def test_a_load_is_complete_though_callbacks_raise() -> None:
    module = agent()
    heard: list[str] = []
    for name, item in _items(module).items():
        item.register_callback(raising(f"no {name}"))
        item.register_callback(lambda _value, name=name: heard.append(name))
    state = {"name": "b", "size": 2, "weight": 2.5, "count": 3, "made": 4}
    with pytest.raises(LookupError, match="no") as caught:
        module.load_state_dict(state)
    assert module.state_dict() == state
    assert sorted(heard) == sorted(state)
    assert len(caught.value.__notes__) == len(state) - 1


def test_an_exchange_is_complete_though_callbacks_raise() -> None:
    one, other = agent(), agent()
    heard: list[Any] = []
    for name in ("name", "size"):
        _items(one)[name].register_callback(raising(f"no {name}"))
        _items(one)[name].register_callback(heard.append)
    other.name, other.size = "b", 2
    with pytest.raises(LookupError, match="no name"):
        one.become(other)
    assert (one.name, one.size, other.name, other.size) == ("b", 2, "a", 1)
    assert heard == ["b", 2]


@pytest.mark.parametrize("write", ["update_adapted", "adapted_param", "load"])
def test_a_held_module_is_replaced_though_its_hook_raises(write: str) -> None:
    holder = Holder(part=agent())
    before = holder.part.adapted
    heard: list[Any] = []
    holder.part.on_swap = raising("hook")  # type: ignore[method-assign,assignment]
    holder.part.adapted_param.register_callback(heard.append)
    new = Holder(part=HeardLouder(weight=Param(data=1.0)))
    spec = new.part.adapted.spec(to_dict=True)
    writes: dict[str, Callable[[], None]] = {
        "update_adapted": lambda: holder.part.update_adapted(spec),
        "adapted_param": lambda: holder.part.adapted_param.set(spec),
        "load": lambda: holder.load_state_dict(new.state_dict()),
    }
    with pytest.raises(LookupError, match="hook"):
        writes[write]()
    assert isinstance(holder.part.adapted, HeardLouder)
    assert holder.part.adapted is not before
    assert len(heard) == 1


class HeardLouder(HeardAgent):
    volume: int = 3


def test_ctrl_c_in_a_callback_is_not_held_back() -> None:
    item = Param(data=1)

    def interrupted(_value: int) -> None:
        raise KeyboardInterrupt

    heard: list[int] = []
    item.register_callback(interrupted)
    item.register_callback(heard.append)
    with pytest.raises(KeyboardInterrupt):
        item.data = 2
    assert (item.data, heard) == (2, [])
