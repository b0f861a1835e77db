"""The grammar of an OpenAPI document: which key holds which kind of object, and which holds data.

Stripping goes by position, never by name: a schema property may be *called* ``description``, and
what stands under ``example``, ``default``, ``enum`` or ``const`` is a value, not a document.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

DATA = "data"  # kept as it is
PROSE = "prose"  # dropped
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

_PROSE = dict.fromkeys(("summary", "description", "externalDocs"), PROSE)
_SCHEMA_CHILDREN = ("not", "additionalProperties", "propertyNames", "contains", "if", "then", "else")
_SCHEMA_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_SCHEMA_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")

# kind -> key -> kind of the child. "map:x": names to x; "list:x": list of x; a key that is not
# listed keeps its value unless it starts with "x-".
GRAMMAR: Mapping[str, Mapping[str, str]] = {
    "document": {
        "info": "info",
        "servers": "list:server",
        "paths": "paths",
        "webhooks": "map:path",
        "components": "components",
        "tags": "list:tag",
        **_PROSE,
    },
    "info": {"termsOfService": PROSE, "contact": PROSE, "license": PROSE, **_PROSE},
    "server": {"variables": "map:variable", **_PROSE},
    "variable": _PROSE,
    "tag": _PROSE,
    "components": {
        "schemas": "map:schema",
        "responses": "map:response",
        "parameters": "map:parameter",
        "examples": "map:example",
        "requestBodies": "map:body",
        "headers": "map:header",
        "securitySchemes": "map:scheme",
        "links": "map:link",
        "callbacks": "map:paths",
        "pathItems": "map:path",
    },
    "paths": {"*": "path"},
    "path": {
        **dict.fromkeys(METHODS, "operation"),
        "servers": "list:server",
        "parameters": "list:parameter",
        **_PROSE,
    },
    "operation": {
        "parameters": "list:parameter",
        "requestBody": "body",
        "responses": "responses",
        "callbacks": "map:paths",
        "servers": "list:server",
        **_PROSE,
    },
    "parameter": {
        "schema": "schema",
        "content": "map:media",
        "examples": "map:example",
        "example": DATA,
        **_PROSE,
    },
    "header": {
        "schema": "schema",
        "content": "map:media",
        "examples": "map:example",
        "example": DATA,
        **_PROSE,
    },
    "body": {"content": "map:media", **_PROSE},
    "media": {
        "schema": "schema",
        "example": DATA,
        "examples": "map:example",
        "encoding": "map:encoding",
        **_PROSE,
    },
    "encoding": {"headers": "map:header", **_PROSE},
    "responses": {"*": "response"},
    "response": {
        "headers": "map:header",
        "content": "map:media",
        "links": "map:link",
        **_PROSE,
    },
    "example": {"value": DATA, **_PROSE},
    "link": {"parameters": DATA, "requestBody": DATA, "server": "server", **_PROSE},
    "scheme": {"flows": DATA, **_PROSE},
    "schema": {
        **dict.fromkeys(_SCHEMA_CHILDREN, "schema"),
        **dict.fromkeys(_SCHEMA_MAPS, "map:schema"),
        **dict.fromkeys(_SCHEMA_LISTS, "list:schema"),
        "items": "schema",
        "title": PROSE,
        "$comment": PROSE,
        **dict.fromkeys(("example", "examples", "default", "enum", "const", "required"), DATA),
        "discriminator": DATA,
        "xml": DATA,
        **_PROSE,
    },
}


_PLAIN: Mapping[str, Mapping[str, type]] = {
    "operation": {"operationId": str, "tags": list, "security": list},
    "document": {"security": list},
    "parameter": {"name": str, "in": str},
    "tag": {"name": str},
    "schema": {"$ref": str, "format": str, "pattern": str, "enum": list},
}
_WORDS = ("type", "required")  # of a schema: text, or a list of texts


def strip(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the machine-checkable part of an OpenAPI document; the argument is left alone."""
    stripped: dict[str, Any] = _strip(document, "document")
    return stripped


def misplaced(node: Any, kind: str = "document", pointer: str = "") -> str | None:
    """The JSON pointer of the first object or list that is something else; None when all are in place."""
    many, _, inner = kind.partition(":")
    children: list[tuple[Any, Any, str]]
    if many == "list":
        if not isinstance(node, list):
            return pointer
        children = [(index, child, inner) for index, child in enumerate(node)]
    elif many == "schema" and isinstance(node, bool | list):  # a list: tuple items of older dialects
        children = (
            [(index, child, kind) for index, child in enumerate(node)] if isinstance(node, list) else []
        )
    elif not isinstance(node, dict):
        return pointer
    elif many == "map":
        children = [(key, child, inner) for key, child in node.items()]
    else:
        grammar = GRAMMAR[kind]
        meanings = [(key, child, grammar.get(key, grammar.get("*", DATA))) for key, child in node.items()]
        children = [one for one in meanings if one[2] not in (DATA, PROSE) and not one[0].startswith("x-")]
        for key, expected in _PLAIN.get(kind, {}).items():
            if key in node and not isinstance(node[key], expected):
                return f"{pointer}/{key}"
        for key in _WORDS if kind == "schema" else ():
            if not _words(node.get(key, "")):
                return f"{pointer}/{key}"
    for key, child, meaning in children:
        found = misplaced(child, meaning, f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}")
        if found is not None:
            return found
    return None


def _words(value: Any) -> bool:
    # `required: true` on a property is a common mistake; lint and the converter pass over it
    if isinstance(value, list):
        return all(isinstance(one, str) for one in value)
    return isinstance(value, str | bool)


def _strip(node: Any, kind: str) -> Any:
    if kind == DATA:
        return node
    if kind.startswith("map:"):
        kind = kind.removeprefix("map:")
        return {key: _strip(child, kind) for key, child in node.items()} if isinstance(node, dict) else node
    if kind.startswith("list:"):
        kind = kind.removeprefix("list:")
        return [_strip(child, kind) for child in node] if isinstance(node, list) else node
    if isinstance(node, list):  # tuple-style `items`
        return [_strip(child, kind) for child in node]
    if not isinstance(node, dict):
        return node
    grammar = GRAMMAR[kind]
    kept: dict[str, Any] = {}
    for key, child in node.items():
        if key.startswith("x-"):
            continue
        meaning = grammar.get(key, grammar.get("*", DATA))
        if meaning == PROSE:
            continue
        kept[key] = _response(key, child) if meaning == "response" else _strip(child, meaning)
    return kept


def _response(status: str, node: Any) -> Any:
    """A Response must keep a description: the phrase of its status stands in for the prose."""
    kept = _strip(node, "response")
    if not isinstance(kept, dict) or "$ref" in kept:
        return kept
    try:
        phrase = HTTPStatus(int(status)).phrase
    except ValueError:
        phrase = ""
    return {"description": phrase, **kept}
