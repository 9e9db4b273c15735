"""JSON Schema of blueprints, in both dialects, judged by another library."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
from typing import Annotated, Any, Literal, NamedTuple

import jsonschema
import pydantic
import pytest

from dachi_fast import AdaptModule, BaseModule, ModuleList, Param, json_schema
from dachi_fast.errors import SpecError
from dachi_fast.spec import from_spec, from_strict, to_strict


class Weather(enum.Enum):
    RAIN = "rain"
    SUN = "sun"


@dataclasses.dataclass
class Spot:
    x: int
    label: str | None = None
    near: list[Spot] = dataclasses.field(default_factory=list)


class Span(NamedTuple):
    low: int
    high: float


class Petal(BaseModule):
    """One petal.

    With more to say.
    """

    size: int = Param(default=1)
    colour: Literal["red", "blue"] = "red"


class WidePetal(Petal):
    width: Annotated[float, pydantic.Field(gt=0, le=9)] = Param(default=2.0)


class Stem(BaseModule):
    length: float


class Flower(BaseModule):
    name: str
    stem: Stem | None = None
    petals: list[Petal] = Param(default_factory=list)
    by_name: dict[str, Petal] = Param(default_factory=dict)
    inside: Flower | None = None
    either: int | Stem | None = None
    weather: Weather = Param(default=Weather.SUN)
    spot: Spot | None = None
    span: Span = Span(1, 2.5)
    pair: tuple[int, str] = (1, "a")
    many: tuple[int, ...] = ()
    counts: dict[str, int] = Param(default_factory=dict)
    numbers: dict[int, list[str]] = Param(default_factory=dict)
    maybe: int | None = Param(default=5)
    day: datetime.date | None = None
    anything: Any = None
    free: dict[str, Any] = Param(default_factory=dict)
    mixed: list[int] | list[str] | None = None
    picked: AdaptModule[Petal] | None = None


KINDS: list[type] = [Flower, Petal, WidePetal, Stem]


def flower() -> Flower:
    made: Any = Flower(
        name="rose",
        stem=Stem(length=2.5),
        petals=[Petal(size=3), WidePetal(width=4.0)],
        by_name={"a": Petal(), "b b": WidePetal(colour="blue")},
        inside=Flower(name="bud", either=Stem(length=1.0), maybe=None),
        either=4,
        weather=Weather.RAIN,
        spot=Spot(1, "one", [Spot(2)]),
        span=Span(3, 4.5),
        pair=(7, "z"),
        many=(1, 2, 3),
        counts={"x": 1, "": 2},
        numbers={1: ["a"], 22: []},
        day=datetime.date(2024, 2, 29),
        anything={"k": [1, None, {"kind": "Petal", "id": "x"}]},
        free={"a": 1.5, "b": [True]},
        mixed=["a"],
        picked=WidePetal(size=9),  # type: ignore[arg-type]
    )
    return made  # type: ignore[no-any-return]


def _validator(schema: dict[str, Any]) -> Any:
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def _as_json(module: BaseModule) -> Any:
    return json.loads(module.spec().model_dump_json())


# --- full ---------------------------------------------------------------------------------------


def test_what_spec_gives_follows_the_full_schema_and_comes_back_equal() -> None:
    tree = flower()
    spec = _as_json(tree)
    _validator(json_schema(Flower, KINDS)).validate(spec)
    assert Flower.from_spec(spec).spec() == tree.spec()


@pytest.mark.parametrize(
    "change",
    [
        {"name": 3}, {"name": None}, {"unknown": 1}, {"kind": "Stem"}, {"kind": "Nothing"},
        {"petals": {"kind": "Petal"}}, {"petals": [{"kind": "Stem", "length": 1.0}]},
        {"petals": [{"size": 1}]}, {"petals": [{"kind": "Petal", "size": "x"}]},
        {"petals": [{"kind": "WidePetal", "width": 0}]}, {"weather": "snow"}, {"pair": [1]},
        {"spot": {"label": "a"}}, {"counts": {"a": "b"}}, {"picked": {"kind": "Stem"}},
    ],
)  # fmt: skip
def test_what_from_spec_refuses_does_not_follow_the_full_schema(change: dict[str, Any]) -> None:
    spec = {"kind": "Flower", "name": "rose", **change}
    with pytest.raises(jsonschema.ValidationError):
        _validator(json_schema(Flower, KINDS)).validate(spec)
    with pytest.raises((SpecError, pydantic.ValidationError)):
        Flower.from_spec(spec)


def test_each_kind_and_type_appears_once_under_defs() -> None:
    schema = json_schema(Flower, KINDS)
    assert sorted(schema["$defs"]) == [
        "AdaptModule_Flower", "AdaptModule_Petal", "AdaptModule_Stem", "Flower", "Petal", "Span",
        "Spot", "Stem", "Weather", "WidePetal",
    ]  # fmt: skip
    assert schema["$defs"]["Petal"]["description"] == "One petal."


def test_only_what_the_root_leads_to_is_in_a_schema() -> None:
    assert json_schema(Stem, KINDS)["$defs"] == {}
    assert "Flower" not in json.dumps(json_schema(Petal, KINDS))


def test_the_root_is_any_of_the_kinds_derived_from_the_class() -> None:
    schema = json_schema(Petal, KINDS)
    assert schema["anyOf"] == [{"$ref": "#/$defs/Petal"}, {"$ref": "#/$defs/WidePetal"}]
    assert json_schema(Petal, [WidePetal])["properties"]["kind"] == {"const": "WidePetal"}
    assert json_schema(Petal, [Stem])["properties"]["kind"] == {"const": "Petal"}


def test_kinds_are_classes_or_names_and_all_registered_ones_when_not_given() -> None:
    assert json_schema(Flower, ["Flower", "Petal", WidePetal, "Stem"]) == json_schema(Flower, KINDS)
    every = json_schema(BaseModule)["$defs"]
    assert {"Flower", "WidePetal", "Sequence"} <= every.keys()
    _validator(json_schema(BaseModule))
    with pytest.raises(SpecError, match="unknown kind"):
        json_schema(Flower, ["Flowr"])


class Vase(BaseModule):
    holds: Flower
    beside: list[Flower | None] | Stem | None = None


@pytest.mark.parametrize("dialect", ["full", "strict"])
def test_a_required_field_for_which_there_is_no_kind_is_an_error_that_names_it(
    dialect: Any,
) -> None:
    with pytest.raises(SpecError, match=r"Vase\.holds asks for a Flower") as caught:
        json_schema(Vase, [Vase, Stem], dialect=dialect)
    assert (caught.value.code, caught.value.context["path"]) == ("no-kind", "Vase.holds")


def test_what_no_kind_fits_is_left_out_where_it_may_be() -> None:
    full = json_schema(Flower, [Flower, Petal])["properties"]
    assert "stem" not in full
    assert full["either"]["anyOf"] == [{"type": "integer"}, {"type": "null"}]
    strict = json_schema(Flower, [Flower, Petal], dialect="strict")["properties"]
    assert strict["stem"] == {"type": "null"}
    assert strict["either"] == {"anyOf": [{"type": "integer"}, {"type": "null"}]}
    assert "beside" in json_schema(Vase, [Vase, Flower])["properties"]


def test_a_short_kind_of_two_classes_is_written_in_full() -> None:
    def local() -> type[BaseModule]:
        class Twofold(BaseModule):
            pass

        return Twofold

    first = local()
    first.__qualname__ = "elsewhere.<locals>.Twofold"
    second = local()
    kinds = {
        d["properties"]["kind"]["const"]
        for d in json_schema(ModuleList, [first, second])["$defs"].values()
        if "Twofold" in str(d["properties"]["kind"])
    }
    assert all(":" in kind or kind == "Twofold" for kind in kinds)


# --- strict -------------------------------------------------------------------------------------

# What services for structured output accept, as of 2026: OpenAI's list less the bounds and formats
# that others refuse.
STRICT_WORDS = {
    "type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "const",
    "description", "$ref", "$defs",
}  # fmt: skip


def _check_strict(schema: Any) -> None:
    assert schema.keys() <= STRICT_WORDS
    assert schema, "a value of any type"
    if "$ref" in schema:
        assert schema.keys() == {"$ref"}
    if schema.get("type") == "object":
        assert schema["additionalProperties"] is False
        assert schema["required"] == list(schema["properties"])
    if schema.get("type") == "array":
        assert "items" in schema
    assert isinstance(schema.get("type", ""), str)
    inner = [
        *schema.get("properties", {}).values(), *schema.get("$defs", {}).values(),
        *schema.get("anyOf", []), *([schema["items"]] if "items" in schema else []),
    ]  # fmt: skip
    for each in inner:
        _check_strict(each)


@pytest.mark.parametrize("root", [Flower, Petal, Stem, BaseModule])
def test_a_strict_schema_has_only_what_services_accept(root: type) -> None:
    schema = json_schema(root, [*KINDS, AdaptModule], dialect="strict")
    assert schema["type"] == "object"
    _check_strict(schema)
    _validator(schema)


def test_what_to_strict_gives_follows_the_strict_schema_and_comes_back_equal() -> None:
    tree = flower()
    strict = json.loads(json.dumps(to_strict(tree)))
    _validator(json_schema(Flower, [*KINDS, AdaptModule], dialect="strict")).validate(strict)
    again = Flower.from_spec(strict, dialect="strict")
    assert again.spec() == tree.spec()
    assert to_strict(again) == to_strict(tree.spec()) == strict


def test_null_stands_for_the_default_and_every_field_is_there() -> None:
    strict: dict[str, Any] = dict.fromkeys(to_strict(Flower(name="a"))) | {
        "kind": "Flower", "name": "rose",
    }  # fmt: skip
    _validator(json_schema(Flower, KINDS, dialect="strict")).validate(strict)
    made = Flower.from_spec(strict, dialect="strict")
    assert made.spec().model_copy(update={"id": ""}) == Flower(name="rose").spec().model_copy(
        update={"id": ""}
    )
    left_out = {k: v for k, v in strict.items() if v is not None}
    with pytest.raises(jsonschema.ValidationError):
        _validator(json_schema(Flower, KINDS, dialect="strict")).validate(left_out)
    assert Flower.from_spec(left_out, dialect="strict").maybe == 5


def test_the_forms_of_the_strict_dialect() -> None:
    strict = to_strict(flower())
    assert strict["counts"] == [{"key": "x", "value": 1}, {"key": "", "value": 2}]
    assert strict["numbers"] == [{"key": "1", "value": ["a"]}, {"key": "22", "value": []}]
    assert strict["pair"] == {"0": 7, "1": "z"}
    assert strict["many"] == [1, 2, 3]
    assert strict["anything"] == '{"k": [1, null, {"$data": {"kind": "Petal", "id": "x"}}]}'
    assert strict["free"] == [{"key": "a", "value": "1.5"}, {"key": "b", "value": "[true]"}]
    assert strict["mixed"] == '["a"]'  # two lists are told apart by nothing
    assert strict["maybe"] == "5"  # null is the default, so that None has to be said otherwise
    assert strict["inside"]["maybe"] == "null"
    assert strict["spot"]["near"] == [{"x": 2, "label": None, "near": []}]
    assert strict["by_name"][0]["key"] == "a"
    assert strict["petals"][1]["width"] == 4.0


def test_bounds_are_said_in_the_description_and_checked_when_read() -> None:
    schema = json_schema(WidePetal, [], dialect="strict")
    number = {"type": "number", "description": "maximum: 9; exclusiveMinimum: 0"}
    assert schema["properties"]["width"] == {"anyOf": [number, {"type": "null"}]}
    with pytest.raises(pydantic.ValidationError):
        from_spec({"kind": "WidePetal", "width": 10.0}, dialect="strict")


def test_one_of_several_kinds_at_the_root_stands_under_spec() -> None:
    schema = json_schema(Petal, KINDS, dialect="strict")
    assert list(schema["properties"]) == ["spec"]
    answer = {"spec": to_strict(WidePetal(width=3.0))}
    _validator(schema).validate(answer)
    made: Any = Petal.from_spec(answer, dialect="strict")
    assert (type(made), made.width) == (WidePetal, 3.0)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"counts": {"x": 1}}, "counts"),
        ({"counts": [{"key": "x"}]}, "counts.0"),
        ({"counts": [{"key": 1, "value": 1}]}, "counts.0"),
        ({"counts": [{"key": "x", "value": 1}, {"key": "x", "value": 2}]}, "counts.1.key"),
        ({"pair": [1, "a"]}, "pair"),
        ({"pair": {"0": 1}}, "pair"),
        ({"anything": 1}, "anything"),
        ({"anything": "{"}, "anything"),
        ({"anything": "[" * 100_000}, "anything"),
        ({"petals": [{"kind": "Petal"}, {"kind": 1}]}, "petals.1.kind"),
        ({"petals": [{"kind": "Petl"}]}, "petals.0"),
        ({"petals": [3]}, "petals.0"),
        ({"spot": {"x": 1, "near": 4}}, "spot.near"),
    ],
)
def test_what_is_not_in_the_strict_dialect_is_refused_with_the_path(
    change: dict[str, Any], path: str
) -> None:
    spec = {"kind": "Flower", "name": "rose", **change}
    with pytest.raises(SpecError) as caught:
        from_spec(spec, dialect="strict")
    assert caught.value.context["path"] == path


def test_texts_of_json_count_against_the_limits() -> None:
    text = json.dumps([[0] * 1_000] * 2_000)
    with pytest.raises(SpecError) as caught:
        from_spec({"kind": "Flower", "name": "a", "anything": text}, dialect="strict")
    assert caught.value.code == "too-many-values"
    with pytest.raises(SpecError) as caught:
        from_spec({"kind": "Flower", "name": "a", "anything": "[" * 300 + "]" * 300},
                  dialect="strict")  # fmt: skip
    assert caught.value.code == "too-deep"


def test_a_value_without_json_cannot_be_written_in_the_strict_dialect() -> None:
    with pytest.raises(SpecError, match="anything has no JSON"):
        to_strict({"kind": "Flower", "name": "a", "anything": object()})
    with pytest.raises(SpecError, match="unknown kind"):
        to_strict({"kind": "Flowr"})


def test_from_strict_gives_a_spec_for_whatever_reads_one() -> None:
    old = flower()
    answer = to_strict(old) | {"name": "tulip"}
    new, _ = old.evolved(from_strict(answer))
    assert new.name == "tulip"
    assert new.petals[1].spec() == old.petals[1].spec()
