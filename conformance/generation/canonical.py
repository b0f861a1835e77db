"""The canonical case: the narrowest honest request of an operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from conformance.generation.inlining import RequestShape, request_shape
from conformance.generation.validity import FORM
from conformance.model import Case, Purpose

if TYPE_CHECKING:
    from conformance.contract import Contract
    from conformance.contract.resources import Graph, RequestTemplate

SECURITY_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "api-key", "x-api-key"})
VENDOR_PREFIX = "x-portkey-"
LEAST_TEXT = "ok"


def is_security_header(name: str) -> bool:
    """Whether the target file, not a case, decides this header."""
    lower = name.lower()
    return lower in SECURITY_HEADERS or lower.startswith(VENDOR_PREFIX)


def canonical_case(contract: Contract, graph: Graph, operation_id: str) -> Case:
    """The request template of the graph, with what the contract requires and the template leaves out.

    An operation without a template gets the smallest request its schemas allow; path parameters
    nobody produces become ``{"$given": name}``. Raises UnknownNameError for no such operation.
    """
    usage = graph.usage(operation_id)
    return templated_case(contract, operation_id, usage.canonical, usage.path)


def templated_case(
    contract: Contract, operation_id: str, template: RequestTemplate, path: Mapping[str, Any]
) -> Case:
    """A template as a case, completed by the contract: as ``canonical_case``, for any template.

    The request of a resource (``Resource.request``) becomes sendable this way.
    """
    shape = request_shape(contract.document, operation_id, contract.definition(operation_id))
    values = dict(path)
    query, headers = list(template.query), list(template.headers)
    asked = {name for name, _ in query}
    said = {name.lower() for name, _ in headers}
    for one in shape.parameters:
        if not one.required:
            continue
        if one.location == "path":
            values.setdefault(one.name, _path_value(one.schema, one.name))
        elif one.location == "query" and one.name not in asked:
            query += one.pairs(least(one.schema))
        elif one.location == "header" and one.name.lower() not in said and not is_security_header(one.name):
            headers.append((one.name, least(one.schema)))
    body, has_body, media_type = template.body, template.has_body, template.media_type or shape.media_type
    if not has_body and shape.body_required:
        body, has_body = _least_body(shape), True
    return Case(
        id=f"{operation_id}:{Purpose.CANONICAL}",
        operation=operation_id,
        purpose=Purpose.CANONICAL,
        path=values,
        query=tuple(query),
        headers=tuple(headers),
        body=body,
        has_body=has_body,
        media_type=media_type if has_body else None,
    )


def _path_value(schema: Mapping[str, Any], name: str) -> Any:
    choices = schema.get("enum")
    if choices:
        return choices[0]
    return 1 if schema.get("type") in ("integer", "number") else {"$given": name}


def _least_body(shape: RequestShape) -> Any:
    value = least(shape.body or {})
    if not isinstance(value, dict) or not is_form(shape.media_type):
        return value
    properties = (shape.body or {}).get("properties", {})
    return [
        {"name": name, "file": {"$file": "txt"}}
        if properties.get(name, {}).get("format") == "binary"
        else {"name": name, "value": one}
        for name, one in value.items()
    ]


def is_form(media_type: str | None) -> bool:
    """Whether a body of this type is a list of named parts."""
    kind = (media_type or "").split(";")[0].strip().lower()
    return kind == FORM or kind.startswith("multipart/")


def least(schema: Mapping[str, Any], depth: int = 0) -> Any:
    """The smallest value an inlined schema allows, the same each time; models by role, ids unknown."""
    for keyword in ("const", "default"):
        if keyword in schema:
            return schema[keyword]
    if schema.get("enum"):
        return schema["enum"][0]
    for keyword in ("oneOf", "anyOf"):
        if schema.get(keyword):
            rest = {key: value for key, value in schema.items() if key != keyword}
            return least({**rest, **schema[keyword][0]}, depth + 1)
    if schema.get("allOf"):
        joined = dict(schema["allOf"][0])
        for part in schema["allOf"][1:]:
            joined |= part
        return least({**joined, **{key: value for key, value in schema.items() if key != "allOf"}}, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if kind == "object":
        return _least_object(schema, depth)
    if kind == "array":
        return [least(schema.get("items", {}), depth + 1)] * int(schema.get("minItems", 0))
    if kind in ("integer", "number"):
        return _least_number(schema)
    if kind == "boolean":
        return False
    return _least_text(schema)


def _least_object(schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
    properties = schema.get("properties", {})
    names = list(schema.get("required", ()))
    spare = [name for name in properties if name not in names]
    names += spare[: max(0, int(schema.get("minProperties", 0)) - len(names))]
    return {name: _least_property(name, properties.get(name, {}), depth) for name in names}


def _least_property(name: str, schema: Mapping[str, Any], depth: int) -> Any:
    if name == "model" and "enum" not in schema and schema.get("type", "string") == "string":
        return {"$model": "chat"}
    return least(schema, depth + 1)


def _least_number(schema: Mapping[str, Any]) -> int | float:
    number = schema.get("minimum", 0)
    floor = schema.get("exclusiveMinimum")
    if floor is True:
        number += 1
    elif floor is not None and floor is not False:
        number = floor + 1
    if "maximum" in schema:
        number = min(number, schema["maximum"])
    return int(number) if schema.get("type") == "integer" else number


def _least_text(schema: Mapping[str, Any]) -> str:
    known = {
        "date-time": "2024-01-01T00:00:00Z",
        "date": "2024-01-01",
        "uuid": "00000000-0000-4000-8000-000000000000",
        "email": "somebody@example.com",
        "uri": "https://example.com/",
        "binary": "",
    }
    text = known.get(schema.get("format", ""), LEAST_TEXT)
    text = text.ljust(int(schema.get("minLength", 0)), "k")
    return text[: int(schema["maxLength"])] if "maxLength" in schema else text
