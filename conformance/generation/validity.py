"""Is a case valid by the contract? Decides for generated requests, before any is sent."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.contract.dialect import DRAFT, to_json_schema
from conformance.contract.schemas import Validator
from conformance.generation.dummies import dummy
from conformance.generation.inlining import Parameter, RequestShape, request_shape
from conformance.generation.text import on_the_wire
from conformance.model import Case

if TYPE_CHECKING:
    from conformance.contract import Contract
    from conformance.contract.schemas import Validators

Decide = Callable[[Any], bool]
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Problem:
    """What keeps a case from being valid: the place (``query.limit``, ``body``) and what is wrong there."""

    place: str
    message: str


def decider(schema: Mapping[str, Any]) -> Decide:
    """A compiled yes/no for an inlined schema, as the contract's own validators would say it."""
    converted = to_json_schema(dict(schema), response=False, legacy=True)
    return Validator({"$schema": DRAFT, **converted}).is_valid


def readings(text: str, schema: Mapping[str, Any]) -> list[Any]:
    """What a server may take ``text`` from the wire for: the string, or the scalar it spells."""
    found: list[Any] = [text]
    kinds = {schema.get("type")} | {
        one.get("type") for word in ("anyOf", "oneOf", "allOf") for one in schema.get(word, ())
    }
    if kinds & {"integer", "number", "boolean", "array", "object"}:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return found
        if not (isinstance(value, float) and not math.isfinite(value)):
            found.append(value)
    return found


class Validity:
    """The request rules of one operation, compiled once.

    ``body`` decides for bodies; those of forms are read part by part first.
    """

    def __init__(self, shape: RequestShape, body: Decide | None) -> None:
        self._shape = shape
        self._body = body
        self._deciders = {(one.location, one.name): decider(one.schema) for one in shape.parameters}
        properties = (shape.body or {}).get("properties", {})
        self._fields: Mapping[str, Mapping[str, Any]] = properties

    def is_valid(self, case: Case) -> bool:
        return not self.problems(case)

    def problems(self, case: Case) -> list[Problem]:
        """Everything wrong with ``case``, its symbols taken for values that fit."""
        found = []
        query: dict[str, list[Any]] = {}
        for name, value in case.query:
            query.setdefault(name, []).append(dummy(value))
        headers = {name.lower(): [dummy(value)] for name, value in case.headers}
        path = {name: [dummy(value)] for name, value in case.path.items()}
        for one in self._shape.parameters:
            given = {"query": query, "header": headers, "path": path}.get(one.location, {})
            values = given.get(one.name.lower() if one.location == "header" else one.name)
            place = f"{one.location}.{one.name}"
            if values is None:
                if one.required:
                    found.append(Problem(place, "missing"))
            elif not self._parameter(one, values):
                found.append(Problem(place, "outside its schema"))
        found += self._body_problems(case)
        return found

    def _parameter(self, parameter: Parameter, values: list[Any]) -> bool:
        decide = self._deciders[parameter.location, parameter.name]
        if parameter.schema.get("type") == "array":
            items = parameter.schema.get("items", {})
            texts = [on_the_wire(one) for one in values]
            if not parameter.explode:
                texts = texts[0].split(",")
            return decide([next((r for r in reversed(readings(t, items))), t) for t in texts])
        if len(values) > 1:
            return False
        return any(decide(one) for one in readings(on_the_wire(values[0]), parameter.schema))

    def _body_problems(self, case: Case) -> list[Problem]:
        shape = self._shape
        if not case.has_body:
            return [Problem("body", "missing")] if shape.body_required else []
        if shape.media_type is None:
            return []
        kind = (case.media_type or "").split(";")[0].strip().lower()
        if kind != shape.media_type.split(";")[0].strip().lower():
            return [Problem("body", f"content type {kind or 'absent'}")]
        value = case.body
        if isinstance(value, Mapping) and set(value) == {"$raw"}:
            try:
                value = json.loads(value["$raw"])
            except (ValueError, RecursionError):
                return [Problem("body", "malformed")]
        value = dummy(value)
        if kind.startswith("multipart/") or kind == FORM:
            value = self._fields_of(value)
        if self._body is not None and not self._body(value):
            return [Problem("body", "outside its schema")]
        return []

    def _fields_of(self, parts: Any) -> Any:
        """The object that form parts spell: the reading that fits its field, else the text."""
        if not isinstance(parts, list):
            return parts
        found: dict[str, Any] = {}
        for part in parts:
            name = part.get("name", "")
            schema = self._fields.get(name, {})
            texts = ["content"] if "file" in part else readings(on_the_wire(part.get("value")), schema)
            if schema.get("type") == "array":
                found.setdefault(name, []).extend(texts[:1])
                continue
            decide = decider(schema)
            found[name] = next((one for one in texts if decide(one)), texts[0])
        return found


def validity_of(contract: Contract, validators: Validators, operation: str) -> Validity:
    """The request rules of an operation, with the contract's own validator for its body."""
    shape = request_shape(contract.document, operation, contract.definition(operation))
    body = validators.request_body(operation, shape.media_type) if shape.media_type else None
    return Validity(shape, body.is_valid if body is not None else None)
