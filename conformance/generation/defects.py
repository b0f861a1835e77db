"""Invalid requests: the canonical one with exactly one defect, which its note names."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from conformance.generation.canonical import is_form, is_security_header
from conformance.generation.dummies import dummy, is_symbol
from conformance.generation.inlining import Parameter, RequestShape
from conformance.generation.text import on_the_wire
from conformance.generation.validity import decider
from conformance.model import Case, Purpose

STRANGER = "not-a-choice"
LONGEST = 4096  # a longer text or list is a test of limits, not of the contract
DEEPEST = 4
WRONG_VALUES: tuple[Any, ...] = (True, 17.5, "not-a-value", {"unexpected": True}, [["unexpected"]], None)
WRONG_ROOTS: tuple[Any, ...] = ([], "text", 7, None)
Put = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Defect:
    """One way to break a request. ``kind`` groups like with like, so that a choice can mix kinds."""

    kind: str
    note: str
    case: Case


def choose(found: list[Defect], count: int, chance: random.Random) -> list[Defect]:
    """``count`` of the defects, drawn evenly from their kinds."""
    groups: dict[str, list[Defect]] = {}
    for one in found:
        groups.setdefault(one.kind, []).append(one)
    for group in groups.values():
        chance.shuffle(group)
    order = sorted(groups)
    chance.shuffle(order)
    mixed = [one for row in zip_longest(*(groups[kind] for kind in order)) for one in row if one is not None]
    return mixed[:count]


def defects(canonical: Case, shape: RequestShape) -> Iterator[Defect]:
    """Every single defect the contract lets us name for this request, in a fixed order."""
    base = replace(canonical, purpose=Purpose.INVALID)
    for one in shape.parameters:
        if one.location in ("query", "header"):
            yield from _parameter(base, one)
        elif one.location == "path":
            yield from _path(base, one)
    if shape.media_type is None:
        return
    yield from _whole_body(base, shape)
    if is_form(shape.media_type):
        yield from _form(base, shape)
    elif shape.body is not None and base.has_body:
        for kind, place, note, body in _values(shape.body, base.body, lambda value: value, "body", 0):
            yield Defect(kind, f"{place}: {note}", replace(base, body=body))


def _without(pairs: tuple[tuple[str, Any], ...], name: str) -> tuple[tuple[str, Any], ...]:
    return tuple(pair for pair in pairs if pair[0].lower() != name.lower())


def _parameter(base: Case, one: Parameter) -> Iterator[Defect]:
    if one.location == "header" and is_security_header(one.name):
        return
    field = "query" if one.location == "query" else "headers"
    rest = _without(getattr(base, field), one.name)
    if one.required:
        yield Defect("missing", f"missing required {one.location} {one.name}", _with(base, field, rest))
    for kind, text, note in _wrong_texts(one.schema):
        yield Defect(
            kind,
            f"{one.location}.{one.name}={text[:40]}: {note}",
            _with(base, field, (*rest, (one.name, text))),
        )


def _with(base: Case, field: str, pairs: tuple[tuple[str, Any], ...]) -> Case:
    return replace(base, query=pairs) if field == "query" else replace(base, headers=pairs)


def _path(base: Case, one: Parameter) -> Iterator[Defect]:
    if one.schema.get("enum") or one.schema.get("type") in ("integer", "number"):
        note = "not one of its values" if one.schema.get("enum") else f"text in place of {one.schema['type']}"
        yield Defect(
            "choice", f"path.{one.name}: {note}", replace(base, path={**base.path, one.name: STRANGER})
        )


def _wrong_texts(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(kind, text, note) for texts a parameter of this schema may not carry."""
    kind = schema.get("type")
    if schema.get("enum"):
        yield "choice", STRANGER, "not one of its values"
        first = schema["enum"][0]
        if isinstance(first, str) and first.swapcase() not in schema["enum"]:
            yield "choice", first.swapcase(), "a value of it in the wrong case"
    elif kind in ("integer", "number"):
        for text in ("not-a-number", "12abc", "--1"):
            yield "type", text, f"text in place of {kind}"
        if kind == "integer":
            yield "type", "1.5", "a fraction in place of integer"
    elif kind == "boolean":
        yield "type", "perhaps", "text in place of boolean"
    elif kind == "array" and schema.get("items", {}).get("enum"):
        yield "choice", STRANGER, "an item that is not one of its values"
    for note, value in _outside(schema):
        yield "bound", on_the_wire(value), note


def _outside(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(note, value) just outside the bounds of a schema."""
    step = 1 if schema.get("type") == "integer" else 0.5
    if isinstance(schema.get("minimum"), (int, float)):
        yield f"below minimum {schema['minimum']}", schema["minimum"] - step
        yield f"far below minimum {schema['minimum']}", schema["minimum"] - 1000
    if isinstance(schema.get("maximum"), (int, float)):
        yield f"above maximum {schema['maximum']}", schema["maximum"] + step
        yield f"far above maximum {schema['maximum']}", schema["maximum"] + 100_000
    if schema.get("type") == "string" and not schema.get("enum"):
        if schema.get("minLength", 0) > 0:
            yield f"shorter than {schema['minLength']}", "x" * (schema["minLength"] - 1)
        if 0 < schema.get("maxLength", 0) <= LONGEST:
            yield f"longer than {schema['maxLength']}", "x" * (schema["maxLength"] + 1)
        if schema.get("pattern"):
            yield "against its pattern", "\u00a1no match!\u00a0"


def _whole_body(base: Case, shape: RequestShape) -> Iterator[Defect]:
    kind = shape.media_type
    if shape.body_required:
        yield Defect(
            "body", "missing required body", replace(base, body=None, has_body=False, media_type=None)
        )
    typed = replace(base, has_body=True, media_type=kind)
    if is_form(kind):
        if shape.body_required:
            other = {"$raw": json.dumps({"form": False})}
            yield Defect(
                "body", "JSON in place of a form", replace(typed, body=other, media_type="application/json")
            )
        return
    yield Defect(
        "syntax", "body: JSON that breaks off", replace(typed, body={"$raw": '{"name": "unfinished'})
    )
    yield Defect("syntax", "body: not JSON at all", replace(typed, body={"$raw": "name=value&other=1"}))
    yield Defect("syntax", "body: a trailing comma", replace(typed, body={"$raw": '{"name": "x",}'}))
    if shape.body_required:
        text = {"$raw": "plain words"}
        yield Defect("body", "content type text/plain", replace(typed, body=text, media_type="text/plain"))
        yield Defect("syntax", "body: an empty JSON document", replace(typed, body={"$raw": ""}))
    for value in WRONG_ROOTS:
        yield Defect(
            "root",
            f"body: {_name(value)} in place of the root",
            replace(typed, body={"$raw": json.dumps(value)}),
        )


def _form(base: Case, shape: RequestShape) -> Iterator[Defect]:
    parts = base.body if isinstance(base.body, list) else []
    body = shape.body or {}
    for name in body.get("required", ()):
        rest = [part for part in parts if part["name"] != name]
        if rest and len(rest) < len(parts):
            yield Defect("missing", f"missing required field {name}", replace(base, body=rest))
    for name, schema in body.get("properties", {}).items():
        rest = [part for part in parts if part["name"] != name]
        for kind, text, note in _wrong_texts(schema):
            spoilt = [*rest, {"name": name, "value": text}]
            yield Defect(kind, f"field {name}={text[:40]}: {note}", replace(base, body=spoilt))


def _values(
    schema: Mapping[str, Any], value: Any, put: Put, place: str, depth: int
) -> Iterator[tuple[str, str, str, Any]]:
    """(kind, place, note, body) for every defect at or below one place of a JSON body."""
    schema = _branch(schema, value)
    if not isinstance(value, dict) or is_symbol(value) or depth > DEEPEST:
        return
    required = set(schema.get("required", ()))
    properties = schema.get("properties", {})
    if schema.get("additionalProperties") is False:
        yield "extra", place, "a property the contract does not allow", put({**value, "conformance_extra": 1})
    for name, inner in properties.items():
        where = f"{place}.{name}"
        present = name in value

        def place_at(new: Any, name: str = name) -> Any:
            return put({**value, name: new})

        if name in required and present:
            rest = {key: one for key, one in value.items() if key != name}
            yield "missing", where, "missing though required", put(rest)
        yield from _wrong_values(inner, where, place_at)
        if present:
            here = value[name]
            yield from _values(inner, here, place_at, where, depth + 1)
            chosen = _branch(inner, here)
            if isinstance(here, list) and here and not is_symbol(here[0]):
                items = chosen.get("items", {})

                def place_item(new: Any, name: str = name, rest: list[Any] = here[1:]) -> Any:
                    return put({**value, name: [new, *rest]})

                yield from _wrong_values(items, f"{where}[]", place_item)
                yield from _values(items, here[0], place_item, f"{where}[]", depth + 1)


def _wrong_values(schema: Mapping[str, Any], place: str, put: Put) -> Iterator[tuple[str, str, str, Any]]:
    decide = decider(schema)
    wanted = schema.get("type") or "a value of its schema"
    for value in WRONG_VALUES:
        if not decide(value):
            kind = "choice" if schema.get("enum") and isinstance(value, str) else "type"
            yield kind, place, f"{_name(value)} in place of {wanted}", put(value)
    for note, value in _outside(schema):
        if not decide(value):
            yield "bound", place, note, put(value)
    if schema.get("type") == "array":
        items = schema.get("items", {})
        wrong = next((one for one in WRONG_VALUES if not decider(items)(one)), WRONG_VALUES)
        if wrong is not WRONG_VALUES:
            yield "items", place, f"an item that is {_name(wrong)}", put([wrong])
        if schema.get("minItems", 0) > 0:
            yield "bound", place, f"fewer than {schema['minItems']} items", put([])


def _branch(schema: Mapping[str, Any], value: Any) -> Mapping[str, Any]:
    """The branch of a union that ``value`` is of, joined with what stands beside the union."""
    for keyword in ("oneOf", "anyOf"):
        for one in schema.get(keyword, ()):
            if decider(one)(dummy(value)):
                rest = {key: inner for key, inner in schema.items() if key != keyword}
                merged = {**rest, **_branch(one, value)}
                merged["properties"] = {**rest.get("properties", {}), **merged.get("properties", {})}
                return merged
    return schema


def _name(value: Any) -> str:
    if value is None:
        return "null"
    kinds = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a text",
        dict: "an object",
        list: "a list",
    }
    return kinds.get(type(value), "something else")


def from_drawn(canonical: Case, drawn: Mapping[str, Any], shape: RequestShape) -> Iterator[Defect]:
    """Defects that Schemathesis found: each odd value of an invalid envelope alone in the canonical request.

    Nothing here is known to be invalid yet; the caller asks the contract.
    """
    base = replace(canonical, purpose=Purpose.INVALID)
    query = drawn.get("query")
    for name, value in query.items() if isinstance(query, dict) else ():
        if isinstance(value, (dict, list)) or not _sendable(value):
            continue
        text = on_the_wire(value)
        rest = _without(base.query, name)
        note = f"query.{name}={text[:40]}: outside its schema"
        yield Defect("drawn", note, replace(base, query=(*rest, (name, text))))
    if "body" not in drawn or is_form(shape.media_type) or shape.body is None:
        return
    body = drawn["body"]
    if not _sendable(body):
        return
    if not isinstance(body, dict):
        raw = {"$raw": json.dumps(body)}
        yield Defect(
            "root",
            f"body: {_name(body)} in place of the root",
            replace(base, body=raw, has_body=True, media_type=shape.media_type),
        )
    elif isinstance(base.body, dict):
        for name, value in body.items():
            note = f"body.{name}: {_name(value)} outside its schema"
            yield Defect("drawn", note, replace(base, body={**base.body, name: value}))


def _sendable(value: Any) -> bool:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError, RecursionError):
        return False
    return "$" not in text and len(text) < LONGEST
