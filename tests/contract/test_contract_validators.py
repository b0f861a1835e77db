"""Validators: what they accept and refuse, and what they say of a refusal."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from conformance.contract import Validator, load_contract, validators
from conformance.contract.dialect import DRAFT, to_json_schema


def legacy(schema: dict[str, Any], *, response: bool = True) -> Validator:
    return Validator({"$schema": DRAFT, **to_json_schema(schema, response=response, legacy=True)})


ACCEPTS: list[tuple[dict[str, Any], Any]] = [
    ({"type": "string", "nullable": True}, None),
    ({"allOf": [{"type": "object"}], "nullable": True}, None),
    ({"type": "string", "enum": ["a"], "nullable": True}, None),
    ({"type": "number", "minimum": 1, "exclusiveMinimum": False}, 1),
    ({"type": "string", "format": "binary"}, {"filename": "x"}),
    ({"type": "string", "format": "date-time"}, "2024-07-30T13:27:29.000Z"),
    ({"type": "string", "format": "date-time"}, "2024-07-30T13:27:29+02:00"),
    ({"type": "string", "format": "uuid"}, "123E4567-e89b-12d3-a456-426614174000"),
    ({"type": "string", "format": "uri"}, "wss://host/path?x=1#y"),
    ({"type": "string", "format": "email"}, "a@localhost"),
    ({"type": "string", "format": "hostname"}, "not a host name"),
    ({"type": "integer"}, 10**400),
    ({"type": "object", "required": ["w"], "properties": {"w": {"writeOnly": True}}}, {}),
    ({"type": "object", "properties": {"required": {"type": "string"}}}, {"required": "x"}),
]
REFUSES: list[tuple[dict[str, Any], Any]] = [
    ({"type": "string"}, None),
    ({"type": "string", "nullable": True}, 1),
    ({"type": "number", "minimum": 1, "exclusiveMinimum": True}, 1),
    ({"type": "number", "maximum": 1, "exclusiveMaximum": True}, 1),
    ({"type": "string", "format": "date-time"}, "2023-12-12 13:56:32"),
    ({"type": "string", "format": "date-time"}, "yesterday"),
    ({"type": "string", "format": "uuid"}, "ws-test"),
    ({"type": "string", "format": "uri"}, "no scheme"),
    ({"type": "string", "format": "email"}, "nobody"),
    ({"type": "object", "required": ["r"], "properties": {"r": {"readOnly": True}}}, {}),
    ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, 1),
    ({"type": "integer"}, True),
    ({"type": "array", "items": {"type": "string"}}, [1]),
]


@pytest.mark.parametrize(("schema", "value"), ACCEPTS, ids=[str(n) for n in range(len(ACCEPTS))])
def test_accepts(schema: dict[str, Any], value: Any) -> None:
    """An honest answer must not be refused by the letter of the dialect."""
    assert legacy(schema).problems(value) == []


@pytest.mark.parametrize(("schema", "value"), REFUSES, ids=[str(n) for n in range(len(REFUSES))])
def test_refuses(schema: dict[str, Any], value: Any) -> None:
    """Each of these must be refused, with a reason by both validators."""
    validator = legacy(schema)
    assert not validator.is_valid(value)
    assert validator.problems(value)[0].keyword != "schema"


def test_requests_and_responses_differ_in_direction() -> None:
    """A readOnly field must not be owed by a request, nor null beyond the letter of an enum be sent."""
    schema = {
        "type": "object",
        "required": ["r", "w"],
        "properties": {"r": {"readOnly": True}, "w": {"writeOnly": True}},
    }
    assert legacy(schema, response=False).is_valid({"w": 1})
    assert not legacy(schema, response=False).is_valid({"r": 1})
    assert not legacy({"type": "string", "enum": ["a"], "nullable": True}, response=False).is_valid(None)


def test_openapi_31_is_read_as_json_schema() -> None:
    """Type lists and keywords beside $ref must count in 3.1, where `nullable` must not."""
    converted = to_json_schema(
        {"type": ["string", "null"], "nullable": True, "const": "a"}, response=True, legacy=False
    )
    assert converted == {"type": ["string", "null"], "const": "a"}
    beside = to_json_schema({"$ref": "#/a", "minLength": 1}, response=True, legacy=False)
    assert beside == {"$ref": "#/a", "minLength": 1}


def test_every_validator_of_the_contract_can_be_built_quickly() -> None:
    """No schema may be unusable, and all of them together must take less than 2 s to build."""
    contract = load_contract()
    rules = validators(contract)
    start = time.perf_counter()
    for operation in contract.operations:
        for status in operation.statuses:
            if status.isdecimal():
                rule = rules.response(operation.id, int(status))
                assert rule is not None
                for validator in rule.media.values():
                    if validator is not None:
                        validator.is_valid({})
        for media in operation.request_media:
            body = rules.request_body(operation.id, media)
            assert body is not None
            body.is_valid({})
    assert time.perf_counter() - start < 2


def test_a_rule_is_found_by_status_range_and_default() -> None:
    """An exact status must win over its range, a range over default; nothing documented is None."""
    rules = validators(load_contract())
    found = {n: rules.response("listPromptPartials", n) for n in (200, 404, 429, 302)}
    assert {n: one.status if one else None for n, one in found.items()} == {
        200: "200",
        404: "404",
        429: "4XX",
        302: None,
    }
    realtime = rules.response("connectRealtime", 503)
    assert realtime is not None
    assert realtime.status == "default"


def test_the_events_of_a_run_are_judged() -> None:
    """A stream event must be judged by its name and its data; the problem must lie in the data."""
    event = validators(load_contract()).event("createRun")
    assert event is not None
    assert event.is_valid({"event": "done", "data": "[DONE]"})
    assert not event.is_valid({"event": "thread.run.invented", "data": {}})
    problems = event.problems({"event": "thread.run.created", "data": {"id": 1}})
    assert problems[0].pointer == "/data"
    assert validators(load_contract()).event("listRuns") is None


def test_a_chunk_of_a_completion_has_no_finish_reason_yet() -> None:
    """An honest chunk must be valid where the whole answer would not be."""
    rules = validators(load_contract())
    chunk = {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "m",
        "choices": [{"text": "a", "index": 0, "logprobs": None, "finish_reason": None}],
    }
    event = rules.event("createCompletion")
    whole = rules.response("createCompletion", 200)
    assert event is not None
    assert whole is not None
    body = whole.media["application/json"]
    assert body is not None
    assert event.is_valid(chunk)
    assert not body.is_valid(chunk)


def test_an_answer_of_nothing_is_refused_where_something_is_owed() -> None:
    """{} must fail where examples show fields always present: the reason for effective `required`."""
    rules = validators(load_contract())
    for name in ("listConfigs", "getAdminUsers", "getModelPricing", "createLabel", "getApiKeys", "getPrompt"):
        rule = rules.response(name, 200)
        assert rule is not None
        body = rule.media["application/json"]
        assert body is not None
        assert not body.is_valid({}), name


def test_effective_required_asks_nothing_of_requests() -> None:
    """The errata must not demand more of a request: its own example stays valid."""
    rules = validators(load_contract())
    body = rules.request_body("createConfig", "application/json")
    assert body is not None
    assert body.is_valid({"name": "c", "config": {}, "workspace_id": "ws-1"})


def test_hostile_values_are_refused_in_bounded_time() -> None:
    """A huge, deep or undecodable value must be judged, explained in bounded text, and never raise."""
    rule = validators(load_contract()).response("createRun", 200)
    assert rule is not None
    body = rule.media["application/json"]
    assert body is not None
    deep = json.loads("[" * 900 + "]" * 900)
    huge = {"id": "x" * 1_000_000, "tools": [{"type": "\ud800"}] * 50_000}
    start = time.perf_counter()
    for value in (deep, huge, {"id": float("nan")}, {"id": "\ud800"}, 10**5000, None):
        problems = body.problems(value)
        assert problems
        assert len(problems) <= 20
        assert all(len(one.message) <= 320 and "\n" not in one.message for one in problems)
    assert time.perf_counter() - start < 5


def test_a_hostile_string_does_not_stall_a_pattern() -> None:
    """A pattern with room to backtrack must be decided by the bounded engine, also when explaining."""
    validator = Validator({"$schema": DRAFT, "type": "string", "pattern": "^(a|aa)+$(?!x)"})
    start = time.perf_counter()
    assert validator.problems("a" * 5_000 + "b")
    assert time.perf_counter() - start < 5
