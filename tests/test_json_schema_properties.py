"""Random classes and trees: spec, schema and strict dialect go together."""

from __future__ import annotations

import copy
import enum
import gc
import json
from dataclasses import make_dataclass
from functools import partial
from types import GenericAlias
from typing import Any, Literal

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from dachi_fast import AdaptModule, BaseModule, ModuleList, Param, json_schema
from dachi_fast.spec import from_spec, to_strict


class Hue(enum.Enum):
    WARM = "warm"
    COLD = 2


Ray = make_dataclass("Ray", [("angle", float), ("name", str | None, None)])

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
_whole = st.integers(-(2**60), 2**60)
_real = st.floats(allow_nan=False, allow_infinity=False)
_json = st.recursive(
    st.none() | st.booleans() | _whole | _real | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=5,
)
# An annotation with values that fit it.
_VALUES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (int, _whole),
    (float, _real),
    (str, _texts),
    (bool, st.booleans()),
    (Hue, st.sampled_from(Hue)),
    (Literal["a", "b", 3], st.sampled_from(["a", "b", 3])),
    (Any, _json),
    (Ray, st.builds(Ray, _real, st.none() | _texts)),
    (tuple[int, str], st.tuples(_whole, _texts)),
]


@st.composite
def _typed(draw: st.DrawFn) -> tuple[Any, st.SearchStrategy[Any]]:
    annotation: Any
    annotation, values = draw(st.sampled_from(_VALUES))
    for _ in range(draw(st.integers(0, 2))):
        made = draw(st.sampled_from(["list", "dict", "tuple", "none"]))
        if made == "list":
            annotation, values = GenericAlias(list, annotation), st.lists(values, max_size=3)
        elif made == "dict":
            annotation, values = (
                GenericAlias(dict, (str, annotation)),
                st.dictionaries(_texts, values, max_size=3),
            )
        elif made == "tuple":
            annotation, values = (
                GenericAlias(tuple, (annotation, ...)),
                st.lists(values, max_size=3).map(tuple),
            )
        else:
            annotation, values = annotation | None, st.none() | values
    return annotation, values


Made = tuple[type[BaseModule], dict[str, st.SearchStrategy[Any]]]


@st.composite
def _classes(draw: st.DrawFn) -> list[Made]:
    """Some module classes with fields of any type."""
    made: list[Made] = []
    for number in range(draw(st.integers(1, 3))):
        annotations: dict[str, Any] = {}
        values: dict[str, st.SearchStrategy[Any]] = {}
        namespace: dict[str, Any] = {
            "__module__": __name__,
            "__qualname__": f"f.<locals>.K{number}",
        }
        for place in range(draw(st.integers(0, 4))):
            name = f"_x{place}" if draw(st.booleans()) else f"x{place}"
            annotations[name], values[name] = draw(_typed())
            if draw(st.booleans()):
                default = draw(values[name])
                namespace[name] = Param(default_factory=partial(copy.deepcopy, default))
        annotations["inside"] = BaseModule | None
        annotations["many"] = list[BaseModule]
        annotations["named"] = dict[str, BaseModule]
        annotations["held"] = AdaptModule[BaseModule] | None
        namespace |= {
            "inside": Param(default=None),
            "many": Param(default_factory=list),
            "named": Param(default_factory=dict),
            "held": Param(default=None),
            "__annotations__": annotations,
        }
        made.append((type(f"K{number}", (BaseModule,), namespace), values))
    return made


def _tree(draw: st.DrawFn, classes: list[Made], levels: int, met: list[BaseModule]) -> BaseModule:
    if met and draw(st.integers(0, 5)) == 0:
        return draw(st.sampled_from(met))  # one module in two places
    cls, values = draw(st.sampled_from(classes))
    fields = {name: draw(value) for name, value in values.items()}
    if levels:
        below = [_tree(draw, classes, levels - 1, met) for _ in range(draw(st.integers(0, 2)))]
        ways: list[dict[str, Any]] = [
            {"many": below},
            {"named": {str(index): module for index, module in enumerate(below)}},
            *({"inside": below[0]} for _ in below[:1]),
            *({"held": below[0]} for _ in below[:1]),
            {"inside": ModuleList(items=below)},
        ]
        fields |= draw(st.sampled_from(ways))
    made = cls(**fields)
    met.append(made)
    return made


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_tree_follows_its_schemas_and_comes_back_equal_in_both_dialects(
    data: st.DataObject,
) -> None:
    classes = data.draw(_classes(), label="classes")
    kinds = [cls for cls, _ in classes]
    draw: Any = data.draw
    tree = _tree(draw, classes, 2, [])
    try:
        known = [*kinds, ModuleList, AdaptModule]
        spec = tree.spec()
        full = json.loads(spec.model_dump_json())
        jsonschema.Draft202012Validator(json_schema(type(tree), known)).validate(full)
        assert from_spec(full, allow=known).spec() == spec
        strict = json.loads(json.dumps(to_strict(tree)))
        schema = json_schema(type(tree), known, dialect="strict")
        jsonschema.Draft202012Validator(schema).validate(strict)
        again = from_spec(strict, allow=known, dialect="strict")
        assert again.spec() == spec
        assert again.state_dict().keys() == tree.state_dict().keys()
    finally:
        del classes, kinds
        gc.collect(0)
