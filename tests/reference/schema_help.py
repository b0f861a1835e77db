"""Holds the reference gateway's answers against the compiled contract, apart from its own validation."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

COMPILED = Path(__file__).parents[2] / "specs" / "portkey" / "compiled" / "strict.json"
DROPPED = frozenset({"nullable", "example", "discriminator", "xml", "externalDocs"})
ROOT = "urn:contract"


@cache
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(COMPILED.read_bytes())
    return loaded


def converted(node: Any, *, names: bool = False) -> Any:
    """OpenAPI 3.0 → JSON Schema: nullable becomes a type; ``names`` when the keys are no keywords."""
    if isinstance(node, list):
        return [converted(item) for item in node]
    if not isinstance(node, dict):
        return node
    out = {
        key: converted(value, names=key in ("properties", "schemas"))
        for key, value in node.items()
        if names or key not in DROPPED
    }
    if names:
        return out
    if isinstance(out.get("$ref"), str):
        out["$ref"] = ROOT + out["$ref"] if out["$ref"].startswith("#") else out["$ref"]
    for bound in ("minimum", "maximum"):
        exclusive = "exclusive" + bound.capitalize()
        if isinstance(out.get(exclusive), bool) and out.pop(exclusive):
            out[exclusive] = out.pop(bound)
    return {"anyOf": [out, {"type": "null"}]} if node.get("nullable") is True else out


@cache
def registry() -> jsonschema_rs.Registry:
    schemas = converted(document()["components"]["schemas"], names=True)
    root = {"$id": ROOT, "components": {"schemas": schemas}}
    return jsonschema_rs.Registry([(ROOT, root)])


def compiled(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(converted(schema), registry=registry())


@cache
def operations() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """operationId → (method, path, operation)."""
    methods = ("get", "put", "post", "delete", "patch")
    return {
        operation["operationId"]: (method.upper(), path, operation)
        for path, item in document()["paths"].items()
        for method, operation in item.items()
        if method in methods
    }


@cache
def response_validator(operation_id: str, status: int, media_type: str) -> jsonschema_rs.Validator | None:
    responses = operations()[operation_id][2]["responses"]
    keys = (str(status), f"{status // 100}XX", "default")
    response = next((responses[key] for key in keys if key in responses), None)
    assert response is not None, f"{operation_id} documents no {status}"
    while "$ref" in response:
        response = document()["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
    content = response.get("content")
    if not content:
        return None
    assert media_type in content, f"{operation_id} {status} is documented as {', '.join(content)}"
    schema = content[media_type].get("schema")
    return compiled(schema) if schema else None


@cache
def request_validator(operation_id: str) -> jsonschema_rs.Validator:
    schema = operations()[operation_id][2]["requestBody"]["content"]["application/json"]["schema"]
    return compiled(schema)


def complain(what: str, validator: jsonschema_rs.Validator | None, value: Any) -> None:
    if validator is None or validator.is_valid(value):
        return
    problems = "\n".join(
        f"  {error.instance_path}: {error.message[:300]}" for error in validator.iter_errors(value)
    )
    raise AssertionError(f"{what} breaks its schema:\n{problems}\n  in {json.dumps(value)[:1500]}")


def assert_valid(operation_id: str, status: int, body: Any, media_type: str = "application/json") -> None:
    """The JSON body of an answer fits what the contract documents for this operation and status."""
    complain(f"{operation_id} {status}", response_validator(operation_id, status, media_type), body)


def assert_request_valid(operation_id: str, body: Any) -> None:
    """The test itself asks what the contract allows."""
    complain(f"request of {operation_id}", request_validator(operation_id), body)


def assert_event_valid(operation_id: str, event: str | None, data: Any) -> None:
    """One server-sent event, as an object of its name and data, fits the stream's schema."""
    validator = response_validator(operation_id, 200, "text/event-stream")
    complain(f"{operation_id} event {event}", validator, {"event": event, "data": data})
