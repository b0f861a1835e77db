"""Narrowing rules: data that changes what is drawn, and says why."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.contract import Contract
from conformance.contract.graph import Graph
from conformance.errors import ContractError
from conformance.generation.corpus import Corpus
from conformance.generation.inlining import inline, request_shape
from conformance.generation.narrowing import DROP, TEMPLATE, TEXT_FORMAT, Rules, narrow

RULES = Rules.parse(
    {
        "rules": [
            {"at": ["body.*_id"], "drop": True, "because": "ids"},
            {"at": ["body.keep_id"], "narrow": {"maxLength": 3}, "because": "this one is free"},
            {"at": ["body.tools"], "template": True, "because": "they belong together"},
            {"at": ["body.n"], "operations": ["create*"], "schema": {"enum": [1]}, "because": "cheap"},
            {"at": ["body.list[].x"], "drop": True, "because": "inside a list"},
        ]
    },
    source="test",
)


def test_the_last_rule_that_matches_wins() -> None:
    """A narrow exception stands after the wide rule."""
    assert narrow({"type": "string"}, RULES, "any", "body.other_id") == DROP
    kept = narrow({"type": "string"}, RULES, "any", "body.keep_id")
    assert kept["maxLength"] == 3  # type: ignore[index]
    assert narrow({"type": "array"}, RULES, "any", "body.tools") == TEMPLATE


def test_a_rule_can_be_for_some_operations() -> None:
    """The same field means another thing elsewhere."""
    assert narrow({"type": "integer"}, RULES, "createRun", "body.n") == {"enum": [1]}
    assert narrow({"type": "integer"}, RULES, "listRuns", "body.n")["type"] == "integer"  # type: ignore[index]


def test_brackets_in_a_place_are_brackets() -> None:
    """A pattern is no regular expression and no shell class."""
    schema = {"type": "array", "items": {"type": "object", "properties": {"x": {}, "y": {}}}}
    narrowed: Any = narrow(schema, RULES, "any", "body.list")
    assert set(narrowed["items"]["properties"]) == {"y"}


def test_a_required_field_that_is_dropped_is_no_longer_required() -> None:
    """The canonical request gives it; drawing must not be impossible."""
    schema = {
        "type": "object",
        "required": ["a_id", "b"],
        "properties": {"a_id": {}, "b": {"type": "string"}},
    }
    assert narrow(schema, RULES, "any", "body")["required"] == ["b"]  # type: ignore[index]


def test_unions_are_not_exclusive_while_drawing() -> None:
    """An overlapping oneOf would be drawn by rejection, for seconds a value."""
    schema = {"oneOf": [{"type": "string"}, {"type": "string", "maxLength": 4}]}
    narrowed: Any = narrow(schema, RULES, "any", "body.x")
    assert "oneOf" not in narrowed
    assert len(narrowed["anyOf"]) == 2


def test_sizes_are_bounded() -> None:
    """Nothing drawn is longer than a person would type."""
    schema = {
        "type": "object",
        "properties": {"s": {"type": "string"}, "l": {"type": "array"}, "i": {"type": "integer"}},
    }
    out: Any = narrow(schema, RULES, "any", "body")
    assert out["additionalProperties"] is False
    assert out["properties"]["s"]["format"] == TEXT_FORMAT
    assert out["properties"]["l"]["maxItems"] == 3
    assert (out["properties"]["i"]["minimum"], out["properties"]["i"]["maximum"]) == (1, 100)


@pytest.mark.parametrize(
    "table",
    [
        [],
        {"rules": [{"at": ["a"], "drop": True}]},
        {"rules": [{"at": ["a"], "because": "x"}]},
        {"rules": [{"because": "x", "drop": True}]},
        {"rules": [{"at": ["a"], "because": "x", "drop": True, "template": True}]},
        {"rules": ["text"]},
    ],
)
def test_a_rule_without_place_verb_or_reason_is_refused(table: Any) -> None:
    """A narrowing nobody can explain hides what is not tested."""
    with pytest.raises(ContractError, match="here"):
        Rules.parse(table, source="here")


def test_every_rule_of_the_contract_matches_something(portkey: Contract, portkey_graph: Graph) -> None:
    """A rule for a field that is gone must go too."""
    rules = Corpus(portkey, portkey_graph).rules
    used: set[int] = set()

    def walk(schema: Any, operation: str, place: str) -> None:
        for index, rule in enumerate(rules.rules):
            if rule.applies(operation, place):
                used.add(index)
        for name, inner in schema.get("properties", {}).items():
            walk(inner, operation, f"{place}.{name}")
        if isinstance(schema.get("items"), dict):
            walk(schema["items"], operation, f"{place}[]")
        for word in ("oneOf", "anyOf", "allOf"):
            for branch in schema.get(word, ()):
                walk(branch, operation, place)

    for operation in portkey.operations:
        shape = request_shape(portkey.document, operation.id, portkey.definition(operation.id))
        walk(shape.body or {}, operation.id, "body")
        for one in shape.at("query"):
            walk(one.schema, operation.id, f"query.{one.name}")
    idle = [rule.at for index, rule in enumerate(rules.rules) if index not in used]
    assert idle == []


def test_cycles_are_cut() -> None:
    """A schema that contains itself ends instead of going on for ever."""
    document = {
        "components": {
            "schemas": {
                "Tree": {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string"},
                        "left": {"$ref": "#/components/schemas/Tree"},
                        "all": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}},
                    },
                },
                "Loop": {"$ref": "#/components/schemas/Loop"},
            }
        }
    }
    tree = inline(document, {"$ref": "#/components/schemas/Tree"})
    assert tree is not None
    assert set(tree["properties"]) == {"name", "all"}
    assert tree["properties"]["all"]["maxItems"] == 0
    assert not inline(document, {"$ref": "#/components/schemas/Loop"})
