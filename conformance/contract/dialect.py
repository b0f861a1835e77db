"""OpenAPI 3.0 and 3.1 schemas as JSON Schema 2020-12.

Schemathesis has a converter, but it is private and repairs what it meets (undefined required
fields, enums without null), which is right for generating and wrong for judging.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_DATA = ("enum", "const", "required")
_SINGLE = ("not", "additionalProperties", "items", "propertyNames", "contains", "if", "then", "else")
_MAPS = ("properties", "patternProperties", "$defs", "dependentSchemas")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_KEPT = frozenset(
    (
        *("$ref", "type", "pattern", "minimum", "maximum", "multipleOf", "minLength", "maxLength"),
        *(
            "minItems",
            "maxItems",
            "uniqueItems",
            "minProperties",
            "maxProperties",
            "minContains",
            "maxContains",
        ),
        *("dependentRequired", "unevaluatedProperties", "unevaluatedItems"),
    )
)

_DATE_TIME = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt ](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)"
    r"(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):?[0-5]\d)",
    re.ASCII,
)
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")

# Only these are asserted, the same way by both validators; every other format is a note.
FORMATS: Final[Mapping[str, Callable[[str], bool]]] = {
    "date-time": lambda text: _DATE_TIME.fullmatch(text) is not None,
    "uuid": lambda text: _UUID.fullmatch(text) is not None,
    "uri": lambda text: _URI.fullmatch(text) is not None,
    "email": lambda text: _EMAIL.fullmatch(text) is not None,
}


def to_json_schema(schema: Any, *, response: bool, legacy: bool) -> Any:
    """Convert one schema object; references keep their text.

    ``response`` drops what only requests may carry (and the other way round); ``legacy`` is
    OpenAPI 3.0, with ``nullable``, boolean exclusive bounds and nothing beside a ``$ref``.
    """
    if isinstance(schema, bool) or not isinstance(schema, dict):
        return schema if isinstance(schema, bool) else {}
    if legacy and isinstance(schema.get("$ref"), str):
        converted: dict[str, Any] = {"$ref": schema["$ref"]}
        return {"anyOf": [converted, {"type": "null"}]} if schema.get("nullable") is True else converted
    converted = {}
    for key, value in schema.items():
        if key in _DATA or key in _KEPT:
            converted[key] = value
        elif key in _SINGLE and isinstance(value, dict | bool):
            converted[key] = to_json_schema(value, response=response, legacy=legacy)
        elif key in _MAPS and isinstance(value, dict):
            converted[key] = {
                name: to_json_schema(child, response=response, legacy=legacy) for name, child in value.items()
            }
        elif key in _LISTS and isinstance(value, list):
            converted[key] = [to_json_schema(child, response=response, legacy=legacy) for child in value]
    _bounds(schema, converted)
    _format(schema, converted)
    _direction(schema, converted, response)
    if legacy and schema.get("nullable") is True:
        return _nullable(converted, response)
    return converted


def _bounds(schema: Mapping[str, Any], converted: dict[str, Any]) -> None:
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        value = schema.get(exclusive)
        if value is True and bound in converted:
            converted[exclusive] = converted.pop(bound)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            converted[exclusive] = value


def _format(schema: Mapping[str, Any], converted: dict[str, Any]) -> None:
    name = schema.get("format")
    if name in FORMATS:
        converted["format"] = name
    elif name == "binary" or schema.get("type") == "file" or "contentMediaType" in schema:
        for key in ("type", "pattern", "minLength", "maxLength", "enum"):  # bytes, not a JSON string
            converted.pop(key, None)


def _direction(schema: Mapping[str, Any], converted: dict[str, Any], response: bool) -> None:
    """A writeOnly field is not owed by a response, nor a readOnly one by a request."""
    required, properties = schema.get("required"), schema.get("properties")
    if not isinstance(required, list):
        converted.pop("required", None)
    elif isinstance(properties, dict):
        flag = "writeOnly" if response else "readOnly"
        converted["required"] = [
            name
            for name in required
            if not (isinstance(properties.get(name), dict) and properties[name].get(flag) is True)
        ]


def _nullable(converted: dict[str, Any], response: bool) -> dict[str, Any]:
    """``nullable`` is the author's word that null may come, whatever stands beside it.

    An enum without null forbids it by the letter: a request keeps to the letter, a response is
    read by the word.
    """
    enum = converted.get("enum")
    if isinstance(enum, list) and None not in enum:
        if not response:
            return converted
        converted["enum"] = [*enum, None]
    kind = converted.get("type")
    if isinstance(kind, str) and not any(
        key in converted for key in ("allOf", "anyOf", "oneOf", "not", "$ref")
    ):
        converted["type"] = [kind, "null"]
        return converted
    return {"anyOf": [converted, {"type": "null"}]}


def component_refs(schema: Any) -> Iterator[str]:
    """Yield the ``$ref`` values of a converted schema."""
    stack = [schema]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            ref = node.get("$ref")
            if isinstance(ref, str):
                yield ref
            for key, child in node.items():
                if key in _SINGLE:
                    stack.append(child)
                elif key in _MAPS:
                    stack.extend(child.values())
                elif key in _LISTS:
                    stack.extend(child)
        elif isinstance(node, list):
            stack.extend(node)
