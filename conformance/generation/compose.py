"""From a drawn envelope to an honest valid case: the canonical request varied, ids as symbols."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from conformance.generation.canonical import is_form
from conformance.generation.dummies import holds_symbol, is_symbol
from conformance.generation.inlining import RequestShape
from conformance.generation.narrowing import Rules, narrow
from conformance.model import Case

Bind = tuple[tuple[str, Any], ...]
MISSING: Any = object()
UNIQUE_LENGTH = 16  # of the drawn part of a name
OPTIONAL_BINDING = 0.3  # how often an optional field gets the id the graph knows for it


def envelope(shape: RequestShape, rules: Rules) -> dict[str, Any] | None:
    """The schema requests are drawn from, ``{"query", "body"}``; None where nothing can vary."""
    parts: dict[str, Any] = {}
    query = {
        one.name: narrow(one.schema, rules, shape.operation, f"query.{one.name}") for one in shape.at("query")
    }
    query = {name: schema for name, schema in query.items() if isinstance(schema, Mapping)}
    if query:
        parts["query"] = {"type": "object", "properties": query, "additionalProperties": False}
    if shape.body is not None:
        body = narrow(shape.body, rules, shape.operation, "body")
        if isinstance(body, Mapping) and (body.get("properties") or "properties" not in body):
            # What the contract requires comes from the canonical request where it is not drawn.
            parts["body"] = {key: value for key, value in body.items() if key != "minProperties"}
    if not parts:
        return None
    return {"type": "object", "properties": parts, "required": sorted(parts), "additionalProperties": False}


def vary(
    canonical: Case,
    drawn: Mapping[str, Any],
    shape: RequestShape,
    rules: Rules,
    bind: Bind,
    chance: random.Random,
) -> Case:
    """``canonical`` with drawn values laid over it; symbols of the canonical request stay.

    ``bind`` gives the symbol for every place that holds an id; one optional place now and then
    receives its id, the others stay absent.
    """
    fixed = {name for name, _ in canonical.query}
    query = [*canonical.query]
    drawn = tidy(drawn)
    given = drawn.get("query", {})
    for one in shape.at("query"):
        if one.name in given and one.name not in fixed:
            query += one.pairs(given[one.name])
    body, has_body = canonical.body, canonical.has_body
    if "body" in drawn:
        body, has_body = over(canonical.body if has_body else MISSING, drawn["body"], shape), True
    optional = []
    for location, symbol in bind:
        where, _, pointer = location.partition(":")
        rule = rules.at(shape.operation, f"{where}.{pointer}")
        settled = rule is not None and rule.verb == "template"
        if where == "query":
            if not settled and pointer not in {name for name, _ in query} and pointer not in fixed:
                optional.append((where, pointer, symbol))
        elif where == "body" and has_body:
            body, present = rebind(body, pointer, symbol, form=is_form(shape.media_type))
            declared = pointer in (shape.body or {}).get("properties", {})
            if not present and not settled and declared and "." not in pointer and isinstance(body, dict):
                optional.append((where, pointer, symbol))
    if optional and chance.random() < OPTIONAL_BINDING:
        where, pointer, symbol = chance.choice(optional)
        if where == "query":
            query.append((pointer, symbol))
        else:
            body = {**body, pointer: symbol}
    return Case(
        id="",
        operation=canonical.operation,
        purpose=canonical.purpose,
        path=canonical.path,
        query=tuple(query),
        headers=canonical.headers,
        body=body,
        has_body=has_body,
        media_type=shape.media_type if has_body else None,
    )


def tidy(value: Any) -> Any:
    """``value`` with its fractions cut to two digits: 2e-217 is valid, but nobody sends it."""
    if isinstance(value, float):
        return round(value, 2) + 0.0
    if isinstance(value, dict):
        return {name: tidy(one) for name, one in value.items()}
    return [tidy(one) for one in value] if isinstance(value, list) else value


def over(base: Any, drawn: Any, shape: RequestShape) -> Any:
    """A drawn body over the canonical one; parts of a form keep their files."""
    if is_form(shape.media_type):
        parts = list(base) if isinstance(base, list) else []
        known = {part["name"] for part in parts if "file" in part or holds_symbol(part.get("value"))}
        values = drawn if isinstance(drawn, dict) else {}
        kept = [part for part in parts if part["name"] in known or part["name"] not in values]
        added = []
        for name, value in values.items():
            if name not in known:
                added += [
                    {"name": name, "value": one} for one in (value if isinstance(value, list) else [value])
                ]
        return kept[:0] + added + kept
    return lay(base, drawn)


def lay(base: Any, drawn: Any) -> Any:
    """``drawn`` over ``base``: objects join, and where ``base`` holds a symbol it stays."""
    if base is MISSING:
        return drawn
    if isinstance(base, dict) and isinstance(drawn, dict) and not is_symbol(base):
        joined = {name: lay(base[name], value) if name in base else value for name, value in drawn.items()}
        return {**{name: value for name, value in base.items() if name not in joined}, **joined}
    if isinstance(drawn, str) and isinstance(base, dict) and set(base) == {"$unique"}:
        # The marker is added when the name is bound, so that two cases never ask for the same name.
        return {"$unique": drawn[:UNIQUE_LENGTH].strip() or base["$unique"]}
    return base if holds_symbol(base) else drawn


def rebind(value: Any, pointer: str, symbol: Any, *, form: bool = False) -> tuple[Any, bool]:
    """``value`` with ``symbol`` at ``pointer`` (``a.b[].c``) wherever that place exists, and whether."""
    if form and isinstance(value, list):
        present = any(part.get("name") == pointer for part in value)
        return [
            {"name": pointer, "value": symbol} if part.get("name") == pointer and "file" not in part else part
            for part in value
        ], present
    return _rebind(value, pointer.replace("[]", ".[]").split("."), symbol)


def _rebind(value: Any, steps: list[str], symbol: Any) -> tuple[Any, bool]:
    if not steps:
        return symbol, True
    head, rest = steps[0], steps[1:]
    if head == "[]":
        if not isinstance(value, list) or not value:
            return value, False
        done = [_rebind(one, rest, symbol) for one in value]
        found = any(present for _, present in done)
        if not rest:  # a list of ids: the same id twice would be another request
            return [symbol], True
        return [one for one, _ in done], found
    if not isinstance(value, dict) or head not in value or is_symbol(value):
        return value, False
    inner, found = _rebind(value[head], rest, symbol)
    return {**value, head: inner}, found
