"""The benchmark `calls`: its items are sound, and calls are compared as trees."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from evals.benchmarks import benchmarks
from evals.benchmarks.calls import OMITTED, Calls, Wanted, agrees, same, tools


def wanted(name: str = "water_bed", **arguments: list[Any]) -> Wanted:
    return Wanted(name=name, arguments=arguments)


def made(name: str = "water_bed", **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


def test_every_item_can_be_done_with_the_tools(tmp_path: Path) -> None:
    items = Calls().prepare(tmp_path)
    assert items == Calls().prepare(tmp_path) and not list(tmp_path.iterdir())
    assert Counter(item.kind for item in items) == {"one": 12, "none": 12, "option": 8, "several": 8}
    assert len({item.question for item in items}) == len(items) == 40
    schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools()}
    asked = Counter(call.name for item in items for call in item.calls)
    assert set(asked) == set(schemas) and len(schemas) == 6
    for item in items:
        assert bool(item.calls) == (item.kind != "none") and (len(item.calls) > 1) == (item.kind == "several")
        for call in item.calls:
            schema = schemas[call.name]
            first = {name: values[0] for name, values in call.arguments.items()}
            Draft202012Validator(schema).validate(first)
            for name, values in call.arguments.items():
                assert name in schema["properties"]
                assert (OMITTED in values) <= (name not in schema["required"])
        right = [{"name": call.name, "arguments": {k: v[0] for k, v in call.arguments.items()}} for call in item.calls]
        assert agrees(item.calls, right[::-1]) and not agrees(item.calls, [*right, made(bed=1, litres=1)])


@pytest.mark.parametrize(
    ("call", "right"),
    [
        (made(bed=7, litres=12), True),
        (made(bed=7, litres=12.0), True),
        (made(bed=7, litres=12, at="06:00"), True),
        (made(bed=7, litres=12, at="07:00"), False),
        (made(bed="7", litres=12), False),
        (made(bed=True, litres=12), False),
        (made(bed=7), False),
        (made(bed=7, litres=12, zone="north"), False),
        (made("order_seed", bed=7, litres=12), False),
        ({"name": "water_bed", "arguments": "bed 7"}, False),
    ],
)
def test_a_call_is_right_where_every_argument_is(call: dict[str, Any], right: bool) -> None:
    one = wanted(bed=[7], litres=[12], at=["06:00", OMITTED])
    assert agrees([one], [call]) is right


def test_several_calls_are_compared_in_any_order_and_each_once() -> None:
    both = [wanted(bed=[1], litres=[4]), wanted(bed=[1, 2], litres=[4])]
    assert agrees(both, [made(bed=2, litres=4), made(bed=1, litres=4)])
    assert agrees(both[::-1], [made(bed=1, litres=4), made(bed=2, litres=4)])
    assert not agrees(both, [made(bed=2, litres=4), made(bed=2, litres=4)])
    assert not agrees(both, [made(bed=1, litres=4)]) and not agrees([], [made()]) and agrees([], [])


def test_texts_are_equal_by_their_letters_and_nested_values_part_by_part() -> None:
    assert same(" Spider-Mites. ", "spider mites") and not same("mites", "spider mites")
    assert same([{"a": [1, "x"]}], [{"a": [1.0, "X"]}]) and not same({"a": 1}, {"a": 1, "b": 2})
    assert same(None, None) and not same(None, 0) and not same(1, True)
    deep: list[Any] = []
    for _ in range(40):
        deep = [deep]
    assert not same(deep, deep)


def test_scores_tell_calling_from_leaving_alone(tmp_path: Path) -> None:
    items = {item.id: item for item in Calls().prepare(tmp_path)}
    nothing = {"content": "A poem.", "calls": [], "unreadable": []}
    assert Calls().score(items["none-01"], nothing) == {"right": 1.0, "called": None, "abstained": 1.0}
    assert Calls().score(items["one-01"], nothing) == {"right": 0.0, "called": 0.0, "abstained": None}
    assert Calls().score(items["none-01"], {**nothing, "unreadable": ["not JSON"]})["right"] == 0.0
    vent = {**nothing, "calls": [made("set_vent", zone="north", percent=40)]}
    assert Calls().score(items["one-01"], vent) == {"right": 1.0, "called": 1.0, "abstained": None}
    assert benchmarks.get("calls") is Calls
