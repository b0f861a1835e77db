"""What each operation takes: parameters, bodies and forms, typed and validated by the contract."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .core import Record, Refusal, Upload
from .schemas import Schemas, first_problem

MAX_DEPTH = 100  # of a JSON body; deeper is an honest 400


@dataclass
class Parameter:
    """One declared parameter; ``kind`` is its plain type, ``items`` that of an array's items."""

    name: str
    place: str
    required: bool
    schema: Record
    schemas: Schemas
    json_encoded: bool = False

    @cached_property
    def plain(self) -> Record:
        return self.schemas.resolve(self.schema)

    @cached_property
    def validator(self) -> Any:
        return self.schemas.compile(self.schema)

    def read(self, values: list[str]) -> Any:
        """Raw values → the typed, valid value. Raises Refusal(400)."""
        kind = self.plain.get("type")
        if self.json_encoded:
            value = parse_json(values[0].encode("utf-8", "surrogateescape"), self.name)
        elif kind == "array":
            item = self.schemas.resolve(self.plain.get("items", {})).get("type")
            value = [coerce(one, item) for one in values]
        elif len(values) > 1:
            raise Refusal(400, f"'{self.name}' is given more than once.", param=self.name)
        else:
            value = coerce(values[0], kind)
        problem = first_problem(self.validator, value)
        if problem:
            raise Refusal(400, f"Invalid '{self.name}': {problem.text}", param=self.name)
        return value


@dataclass
class Endpoint:
    """One operation: where it is, and what it takes."""

    operation: str
    method: str
    path: str
    plane: str
    public: bool
    definition: Record
    parameters: list[Parameter]
    schemas: Schemas
    segments: list[str] = field(default_factory=list)

    @cached_property
    def body_content(self) -> dict[str, Record]:
        body = self.schemas.resolve(self.definition.get("requestBody", {}))
        content: dict[str, Record] = body.get("content", {})
        return content

    @cached_property
    def body_required(self) -> bool:
        return bool(self.schemas.resolve(self.definition.get("requestBody", {})).get("required"))

    @cached_property
    def body_properties(self) -> dict[str, Record]:
        """Declared form fields, references resolved."""
        media = next(iter(self.body_content.values()), {})
        fields = self.schemas.properties(media.get("schema", {}))
        return {name: self.schemas.resolve(one) for name, one in fields.items()}

    @cached_property
    def body_validator(self) -> Any:
        media = next(iter(self.body_content.values()), {})
        return self.schemas.compile(media.get("schema", {}))

    @cached_property
    def error_rules(self) -> dict[str, tuple[Any, frozenset[str]]]:
        """Status key → (validator, property names) of its documented JSON error body."""
        rules: dict[str, tuple[Any, frozenset[str]]] = {}
        for status, response in self.definition.get("responses", {}).items():
            content = self.schemas.resolve(response).get("content", {})
            schema = content.get("application/json", {}).get("schema")
            if schema is not None and not status.startswith("2"):
                names = frozenset(self.schemas.properties(schema))
                rules[status] = (self.schemas.compile(schema), names)
        return rules

    def error_rule(self, status: int) -> tuple[Any, frozenset[str]]:
        for key in (str(status), f"{status // 100}XX", "default"):
            if key in self.definition.get("responses", {}):
                return self.error_rules.get(key, (None, frozenset()))
        return None, frozenset()

    @cached_property
    def documented_headers(self) -> dict[str, str]:
        """Headers of the success answer that the contract requires, with a fitting value."""
        wanted: dict[str, str] = {}
        for status, response in self.definition.get("responses", {}).items():
            if status.startswith("2"):
                for name, header in self.schemas.resolve(response).get("headers", {}).items():
                    schema = self.schemas.resolve(self.schemas.resolve(header).get("schema", {}))
                    if name.lower() != "transfer-encoding":  # chunked answers have it by themselves
                        wanted[name.lower()] = sample_header(schema)
        return wanted

    @cached_property
    def chunked(self) -> bool:
        """Whether the contract wants the success answer sent in chunks, without a length."""
        responses = self.definition.get("responses", {}).items()
        found = (self.schemas.resolve(one).get("headers", {}) for key, one in responses if key[:1] == "2")
        return any(name.lower() == "transfer-encoding" for headers in found for name in headers)


def sample_header(schema: Record) -> str:
    """A plain value of a header's schema, for headers no behaviour sets itself."""
    if schema.get("enum"):
        return str(schema["enum"][0])
    kinds = {"integer": "0", "number": "0", "boolean": "false"}
    return kinds.get(str(schema.get("type")), "none")


def coerce(text: str, kind: str | None) -> Any:
    """The text of a parameter or form field as its schema's type; unchanged when it is not one."""
    if kind == "integer" and re.fullmatch(r"[+-]?[0-9]{1,300}", text):
        return int(text)
    if kind == "number" and re.fullmatch(
        r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?", text[:400]
    ):
        number = float(text)
        return number if math.isfinite(number) else text
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    return text


def parse_json(raw: bytes, param: str | None = None) -> Any:
    """Strict JSON: UTF-8, finite numbers, whole characters, bounded depth. Raises Refusal(400)."""
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_refuse, parse_float=_finite)
        if b"\\u" in raw:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # a lone surrogate fails here
    except RecursionError:
        raise Refusal(400, "The body is nested too deeply.", param=param, code="invalid_json") from None
    except ValueError as reason:
        message = f"The body is not valid JSON: {type(reason).__name__}."
        raise Refusal(400, message, param=param, code="invalid_json") from None
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise Refusal(400, "The body is nested too deeply.", param=param, code="invalid_json")
    return value


def _refuse(text: str) -> Any:
    raise ValueError(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level:
        deepest += 1
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                inner.extend(one.values())
            elif isinstance(one, list):
                inner.extend(one)
        level = inner
    return deepest


def read_form(endpoint: Endpoint, parts: Iterable[tuple[str, str | Upload]]) -> Record:
    """Form parts → a mapping typed by the schema, files as Upload. Raises Refusal(400)."""
    grouped: dict[str, list[str | Upload]] = {}
    for name, value in parts:
        grouped.setdefault(_field(endpoint, name), []).append(value)
    body: Record = {}
    for name, values in grouped.items():
        schema = endpoint.body_properties.get(name, {})
        if schema.get("type") == "array":
            item = endpoint.schemas.resolve(schema.get("items", {}))
            body[name] = [_form_value(name, one, item) for one in values]
        elif len(values) > 1 and schema:
            raise Refusal(400, f"'{name}' is given more than once.", param=name)
        else:
            body[name] = _form_value(name, values[0], schema)
    return body


def _field(endpoint: Endpoint, name: str) -> str:
    """The declared name of a form field: clients write lists with ``[]`` behind the name, or without."""
    for one in (name, name + "[]", name.removesuffix("[]")):
        if one in endpoint.body_properties:
            return one
    return name


def _form_value(name: str, value: str | Upload, schema: Record) -> Any:
    binary = schema.get("format") == "binary"
    if isinstance(value, Upload):
        if schema and not binary:
            raise Refusal(400, f"'{name}' is not a file.", param=name)
        return value
    if binary:
        return Upload(name, "application/octet-stream", value.encode("utf-8", "surrogateescape"))
    if schema.get("type") == "object":
        return parse_json(value.encode("utf-8", "surrogateescape"), name)
    if value == "null" and (schema.get("nullable") is True or None in schema.get("enum", ())):
        return None
    for branch in (schema, *schema.get("anyOf", ()), *schema.get("oneOf", ())):
        typed = coerce(value, branch.get("type"))
        if not isinstance(typed, str):
            return typed
    return value


def plain_form(value: Any) -> Any:
    """The form with files replaced by text, as the schema's ``format: binary`` strings describe them."""
    if isinstance(value, Upload):
        return value.filename or "file"
    if isinstance(value, dict):
        return {name: plain_form(one) for name, one in value.items()}
    return [plain_form(one) for one in value] if isinstance(value, list) else value
