"""Every type that state can hold comes back as it was, through the codec and through a store."""

from __future__ import annotations

import datetime
import decimal
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import KeyFile, Store, registry
from dachi_fast._core import codec
from dachi_fast.errors import SpecError
from tests.samples import CASES, Holder, Note
from tests.tokens import nan, same, token


@pytest.mark.parametrize("label", CASES)
def test_a_value_comes_back_through_the_codec_with_its_type(label: str) -> None:
    value = CASES[label]()
    encoded = codec.encode(value)
    back = codec.decode(encoded)
    assert token(back) == token(value)
    assert codec.encode(back) == encoded


def test_every_value_comes_back_through_a_store_with_its_type(tmp_path: Path) -> None:
    agent = Holder()
    agent.value = {label: make() for label, make in CASES.items()}
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        store.save(agent, "agent")
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        back = store.load("agent").value
    assert list(back) == list(agent.value)
    assert [label for label in back if not same(back[label], agent.value[label])] == []


@pytest.mark.parametrize("label", CASES)
def test_a_value_comes_back_as_a_state_of_its_own(label: str, tmp_path: Path) -> None:
    agent = Holder()
    agent.value = CASES[label]()
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key"), witness=None) as store:
        store.save(agent, "agent")
        assert token(store.load("agent").value) == token(agent.value)


def test_equal_values_have_equal_bytes_whatever_their_history() -> None:
    forth, back = set(), set()
    for number in range(100):
        forth.add(f"{number}")
        back.add(f"{99 - number}")
    assert codec.encode(forth) == codec.encode(back)
    grown = {1, 2, 3, 1000}
    grown.remove(1000)
    assert codec.encode(grown) == codec.encode({3, 2, 1})


def test_values_that_python_calls_equal_but_that_differ_have_other_bytes() -> None:
    alike: list[Any] = [1, True, 1.0, 1 + 0j, decimal.Decimal(1), decimal.Decimal("1.0")]
    assert len({codec.encode(value) for value in alike}) == len(alike)
    assert codec.encode(0.0) != codec.encode(-0.0)
    assert codec.encode(nan(1)) != codec.encode(nan(2))
    assert codec.encode({"a": 1, "b": 2}) != codec.encode({"b": 2, "a": 1})
    assert codec.encode([1]) != codec.encode((1,))


def test_the_decimal_context_does_not_change_the_bytes() -> None:
    value = decimal.Decimal("1E+10")
    with decimal.localcontext() as context:
        context.capitals = 0
        context.prec = 1
        assert codec.encode(value) == codec.encode(value)
        written = codec.encode(value)
        read = codec.decode(written)
    assert written == codec.encode(value)
    assert same(read, value)


def test_zones_keep_the_rules_of_their_key_and_utc_stays_the_one_utc() -> None:
    moment = datetime.datetime(2024, 7, 1, tzinfo=datetime.timezone(datetime.timedelta(0), "UTC"))
    back: Any = codec.decode(codec.encode([moment, moment.replace(tzinfo=datetime.UTC)]))
    assert back[0].tzinfo is not datetime.UTC
    assert back[1].tzinfo is datetime.UTC


def test_what_a_model_was_not_given_stays_unset_and_private_stays_private() -> None:
    made = Note(text="a")
    made._hidden = 3
    back: Any = codec.decode(codec.encode(made))
    assert back.model_fields_set == {"text"}
    assert back._hidden == 3
    assert back.model_extra == {}
    assert back == made


# --- foreign types --------------------------------------------------------------------------------


class Tensor:
    """Stands in for torch.Tensor: knows nothing of dachi_fast."""

    def __init__(self, numbers: list[float]) -> None:
        self.numbers = numbers


def test_a_foreign_type_goes_through_its_converter() -> None:
    registry.converter(Tensor, "test.tensor", to=lambda t: t.numbers, back=Tensor)
    back: Any = codec.decode(codec.encode({"weights": Tensor([1.0, 2.0])}))
    assert type(back["weights"]) is Tensor
    assert back["weights"].numbers == [1.0, 2.0]


def test_a_converter_name_belongs_to_one_type() -> None:
    registry.converter(Tensor, "test.tensor", to=lambda t: t.numbers, back=Tensor)
    with pytest.raises(SpecError, match="belongs to"):
        registry.converter(Note, "test.tensor", to=lambda n: n.text, back=lambda t: Note(text=t))


def test_tensors_of_torch_come_back(tmp_path: Path) -> None:
    torch: Any = pytest.importorskip("torch")
    registry.converter(
        torch.Tensor,
        "torch.Tensor",
        to=lambda tensor: tensor.detach().cpu().numpy(),
        back=lambda array: torch.from_numpy(array),
    )
    agent = Holder()
    agent.value = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        store.save(agent, "agent")
        back = store.load("agent").value
    assert back.dtype == torch.float32
    assert torch.equal(back, agent.value)
