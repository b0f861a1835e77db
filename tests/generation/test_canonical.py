"""The canonical case: from the template, or the least the schemas allow."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.contract import Contract, load_contract
from conformance.contract.graph import Graph
from conformance.contract.resources import load_graph
from conformance.contract.schemas import Validators, validators
from conformance.errors import UnknownNameError
from conformance.generation.canonical import canonical_case, least, templated_case
from conformance.generation.validity import decider, validity_of
from conformance.model import Purpose

NO_TEMPLATES = Graph({}, {}, {})


def test_every_canonical_case_is_valid(
    portkey: Contract, portkey_graph: Graph, request_rules: Validators
) -> None:
    """What MUST succeed may not be refused by the contract itself."""
    wrong = {}
    for operation in portkey.operations:
        case = canonical_case(portkey, portkey_graph, operation.id)
        assert case.purpose is Purpose.CANONICAL
        wrong[operation.id] = validity_of(portkey, request_rules, operation.id).problems(case)
    assert {name: found for name, found in wrong.items() if found} == {}


def test_without_templates_the_least_request_is_valid(portkey: Contract, request_rules: Validators) -> None:
    """A contract nobody wrote templates for is still exercised with requests it allows."""
    wrong = {}
    for operation in portkey.operations:
        case = canonical_case(portkey, NO_TEMPLATES, operation.id)
        wrong[operation.id] = validity_of(portkey, request_rules, operation.id).problems(case)
    assert {name: found for name, found in wrong.items() if found} == {}


def test_required_single_choice_headers_are_filled(portkey: Contract) -> None:
    """A header that can only have one value needs no template."""
    case = canonical_case(portkey, NO_TEMPLATES, "listAssistants")
    assert dict(case.headers) == {"OpenAI-Beta": "assistants=v2"}


def test_a_path_parameter_nobody_produces_is_asked_of_the_user(portkey: Contract) -> None:
    """Without a producer the id must come from the target file."""
    assert canonical_case(portkey, NO_TEMPLATES, "getThread").path == {"thread_id": {"$given": "thread_id"}}


def test_the_request_of_a_resource_is_completed(
    portkey: Contract, portkey_graph: Graph, request_rules: Validators
) -> None:
    """A resource made by its own template still sends the headers its operation requires."""
    wrong = {}
    for resource in portkey_graph.resources.values():
        if resource.create and resource.request:
            path = portkey_graph.usage(resource.create).path
            case = templated_case(portkey, resource.create, resource.request, path)
            wrong[resource.name] = validity_of(portkey, request_rules, resource.create).problems(case)
            assert set(resource.request.headers) <= set(case.headers)
    assert len(wrong) > 3
    assert {name: found for name, found in wrong.items() if found} == {}


def test_the_small_contract_has_a_canonical_case() -> None:
    """The other shipped contract works the same way."""
    contract = load_contract("openai")
    case = canonical_case(contract, load_graph(contract), "createThreadAndRun")
    assert validity_of(contract, validators(contract), case.operation).problems(case) == []


def test_an_unknown_operation_is_refused(portkey: Contract, portkey_graph: Graph) -> None:
    """A misspelt operation id has no request."""
    with pytest.raises(UnknownNameError):
        canonical_case(portkey, portkey_graph, "createRnu")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minLength": 5, "maxLength": 7},
        {"type": "string", "format": "date-time"},
        {"type": "string", "format": "uuid"},
        {"type": "string", "format": "email"},
        {"type": "string", "enum": ["b", "a"]},
        {"type": "integer", "minimum": 3},
        {"type": "integer", "minimum": 3, "exclusiveMinimum": True},
        {"type": "number", "exclusiveMinimum": 2},
        {"type": "integer", "maximum": -4},
        {"type": "boolean"},
        {"type": "array", "items": {"type": "integer"}, "minItems": 2},
        {"type": "object", "properties": {"a": {"type": "string"}, "b": {}}, "minProperties": 1},
        {"type": "object", "required": ["a"], "properties": {"a": {"enum": [3]}, "b": {}}},
        {"oneOf": [{"type": "integer"}, {"type": "string"}]},
        {"allOf": [{"type": "object", "required": ["a"], "properties": {"a": {"type": "boolean"}}}]},
    ],
)
def test_the_least_value_of_a_schema_is_allowed_by_it(schema: dict[str, Any]) -> None:
    """A least value outside its schema would make every fallback request invalid."""
    assert decider(schema)(least(schema))
    assert least(schema) == least(schema)
