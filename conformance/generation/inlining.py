"""A request as plain schemas: references resolved, prose gone, ``allOf`` folded, cycles cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conformance.contract.operations import local
from conformance.generation.text import query_pairs

WORDS = """type enum const properties required additionalProperties items nullable readOnly oneOf anyOf allOf
not minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength pattern format
minItems maxItems uniqueItems minProperties maxProperties default"""
KEYWORDS = frozenset(WORDS.split())


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an operation; ``schema`` is inlined, ``example`` is what the contract shows."""

    name: str
    location: str
    required: bool
    schema: Mapping[str, Any]
    style: str = "form"
    explode: bool = True
    examples: tuple[Any, ...] = ()

    def pairs(self, value: Any) -> list[tuple[str, Any]]:
        """The query pairs that carry ``value``."""
        return query_pairs(self.name, value, style=self.style, explode=self.explode)


@dataclass(frozen=True, slots=True)
class RequestShape:
    """What an operation takes. ``body`` is None when it takes none or its media type has no schema."""

    operation: str
    parameters: tuple[Parameter, ...]
    media_type: str | None
    body: Mapping[str, Any] | None
    body_required: bool
    body_examples: tuple[Any, ...] = ()

    def at(self, location: str) -> tuple[Parameter, ...]:
        return tuple(one for one in self.parameters if one.location == location)


def inline(document: Mapping[str, Any], schema: Any, stack: tuple[str, ...] = ()) -> dict[str, Any] | None:
    """``schema`` without references, or None where it only leads back into itself.

    What a cycle cuts off is left out: an optional property, a branch of a union, the items of an array.
    """
    if not isinstance(schema, Mapping):
        return {}
    if isinstance(reference := schema.get("$ref"), str):
        if reference in stack:
            return None
        target = local(document, schema)
        return inline(document, target, (*stack, reference))

    def follow(node: Any) -> dict[str, Any] | None:
        return inline(document, node, stack)

    out: dict[str, Any] = {key: schema[key] for key in schema if key in KEYWORDS}
    if isinstance(out.get("properties"), Mapping):
        done = {name: follow(value) for name, value in out["properties"].items()}
        out["properties"] = {name: value for name, value in done.items() if value is not None}
    if isinstance(out.get("additionalProperties"), Mapping):
        out["additionalProperties"] = follow(out["additionalProperties"]) or False
    if "items" in out:
        items = follow(out["items"])
        out["items"] = items if items is not None else {}
        if items is None:
            out["maxItems"] = 0
    for keyword in ("oneOf", "anyOf", "allOf"):
        if isinstance(out.get(keyword), list):
            out[keyword] = [value for value in map(follow, out[keyword]) if value is not None]
            if not out[keyword]:
                return None
    if "not" in out:
        out["not"] = follow(out["not"]) or {}
    return fold(out) if "allOf" in out else out


def fold(schema: dict[str, Any]) -> dict[str, Any]:
    """An ``allOf`` of plain objects and wrappers as one schema; parts that clash stay an ``allOf``."""
    merged = {key: value for key, value in schema.items() if key != "allOf"}
    rest = []
    for part in schema["allOf"]:
        clash = [
            key
            for key in part
            if key in merged and merged[key] != part[key] and key not in ("properties", "required")
        ]
        if clash and set(clash) - {"nullable", "default", "example", "examples"}:
            rest.append(part)
            continue
        properties = {**merged.get("properties", {}), **part.get("properties", {})}
        required = list(dict.fromkeys([*merged.get("required", []), *part.get("required", [])]))
        merged = {**part, **merged}
        if properties:
            merged["properties"] = properties
        if required:
            merged["required"] = required
    return {**merged, "allOf": rest} if rest else merged


def request_shape(document: Mapping[str, Any], operation: str, definition: Mapping[str, Any]) -> RequestShape:
    """The request of one raw operation object (path-level parameters already merged in)."""
    parameters = []
    for raw in definition.get("parameters", ()):
        one = local(document, raw) or {}
        schema = one.get("schema", {k: one[k] for k in ("type", "enum", "items", "format") if k in one})
        parameters.append(
            Parameter(
                name=one["name"],
                location=one["in"],
                required=bool(one.get("required")) or one["in"] == "path",
                schema=inline(document, schema) or {},
                style=str(one.get("style", "form")),
                explode=bool(one.get("explode", one.get("style", "form") == "form")),
                examples=_examples(document, one) or _examples(document, local(document, schema) or {}),
            )
        )
    body = local(document, definition.get("requestBody")) or {}
    content = body.get("content", {})
    media_type = next((kind for kind in content if "json" in kind), next(iter(content), None))
    media = content.get(media_type, {}) if media_type else {}
    schema = media.get("schema")
    return RequestShape(
        operation=operation,
        parameters=tuple(parameters),
        media_type=media_type,
        body=inline(document, schema) if schema is not None else None,
        body_required=bool(body.get("required")),
        body_examples=_examples(document, media) + _body_examples(document, local(document, schema) or {}),
    )


def _examples(document: Mapping[str, Any], node: Mapping[str, Any]) -> tuple[Any, ...]:
    found = [node["example"]] if "example" in node else []
    several = node.get("examples")
    if isinstance(several, Mapping):
        shown = (local(document, one) or {} for one in several.values())
        found += [one["value"] for one in shown if "value" in one]
    elif isinstance(several, list):
        found += several
    return tuple(found)


def _body_examples(document: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[Any, ...]:
    """Examples of a body schema: its own, else one put together from those of its properties."""
    if own := _examples(document, schema):
        return own
    properties = schema.get("properties")
    shown = {
        name: found[0]
        for name, one in (properties.items() if isinstance(properties, Mapping) else ())
        if (found := _examples(document, local(document, one) or {}))
    }
    return (shown,) if shown else ()
