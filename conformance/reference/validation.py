"""The contract as the gateway reads it: routes, and validators for parameters, bodies, error answers."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import jsonschema_rs

from .core import Record, Refusal, Upload

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
ROOT = "urn:contract"
MAX_DEPTH = 100  # of a JSON body; deeper is an honest 400


def _specs(name: str) -> list[Path]:
    """Where a contract's files may be: inside the installed package, or beside it in a checkout."""
    here = Path(__file__).resolve().parent.parent
    return [here / "specs" / name, here.parent / "specs" / name]


def load_document(path: Path | None = None, name: str = "portkey") -> Record:
    """The compiled contract as a plain OpenAPI 3.0 document. Raises FileNotFoundError."""
    candidates = [path] if path else [folder / "compiled" / "strict.json" for folder in _specs(name)]
    for candidate in candidates:
        if candidate.is_file():
            document: Record = json.loads(candidate.read_bytes())
            return document
    raise FileNotFoundError(f"no compiled contract at {' or '.join(str(one) for one in candidates)}")


def load_planes(name: str = "portkey") -> Record:
    """Plane → path prefixes, and the default plane, as the contract's settings say; empty without them."""
    for folder in _specs(name):
        settings = folder / "contract.toml"
        if settings.is_file():
            planes: Record = tomllib.loads(settings.read_text(encoding="utf-8")).get("planes", {})
            return planes
    return {}


def to_json_schema(node: Any) -> Any:
    """OpenAPI 3.0 dialect → JSON Schema 2020-12: nullable, exclusive bounds, references to the registry."""
    if isinstance(node, list):
        return [to_json_schema(one) for one in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("$ref"), str):
        reference: Record = {"$ref": ROOT + node["$ref"]}
        return {"anyOf": [reference, {"type": "null"}]} if node.get("nullable") is True else reference
    out: Record = {}
    for key, value in node.items():
        if key in ("properties", "patternProperties"):
            out[key] = {name: to_json_schema(one) for name, one in value.items()}
        elif key in ("enum", "const", "required"):
            out[key] = value
        elif key not in ("example", "examples", "default", "nullable", "discriminator", "xml", "description"):
            out[key] = to_json_schema(value)
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if out.get(exclusive) is True and bound in out:
            out[exclusive] = out.pop(bound)
        elif isinstance(out.get(exclusive), bool):
            del out[exclusive]
    if node.get("nullable") is True:
        return {"anyOf": [out, {"type": "null"}]}
    return out


class Schemas:
    """Compiles validators on first use; components are shared through one registry."""

    def __init__(self, document: Record) -> None:
        self.document = document
        components = document.get("components", {}).get("schemas", {})
        converted = {"components": {"schemas": {n: to_json_schema(s) for n, s in components.items()}}}
        self._registry = jsonschema_rs.Registry([(ROOT, converted)])

    def compile(self, schema: Record) -> Any:
        return jsonschema_rs.Draft202012Validator(
            to_json_schema(schema),
            registry=self._registry,
            validate_formats=True,
            ignore_unknown_formats=True,
        )

    def resolve(self, node: Record) -> Record:
        """Follow local references until something else is reached."""
        seen = 0
        while isinstance(node.get("$ref"), str) and seen < 50:
            target: Any = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            node, seen = target, seen + 1
        return node

    def properties(self, schema: Record) -> dict[str, Record]:
        """The declared properties, those of allOf/anyOf/oneOf branches included."""
        schema = self.resolve(schema)
        found: dict[str, Record] = {}
        for key in ("allOf", "anyOf", "oneOf"):
            for branch in schema.get(key, ()):
                found.update(self.properties(branch))
        found.update(schema.get("properties", {}))
        return found


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


class Problem(NamedTuple):
    """Where a value is wrong (dotted path, empty for the whole), and one line on how."""

    where: str
    message: str

    @property
    def text(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


def first_problem(validator: Any, value: Any) -> Problem | None:
    """None when valid. What the validator cannot even read is a problem too."""
    try:
        if validator.is_valid(value):
            return None
        error = next(iter(validator.iter_errors(value)))
        message = error.message if len(error.message) < 300 else error.message[:300] + "…"
        return Problem(".".join(str(part) for part in error.instance_path), message)
    except (ValueError, UnicodeError, OverflowError, RecursionError) as reason:
        return Problem("", f"cannot be read ({type(reason).__name__})")


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


class Router:
    """Paths → endpoints; a literal segment wins over a parameter."""

    def __init__(self, document: Record, planes: Record | None = None) -> None:
        self.schemas = Schemas(document)
        self._planes = load_planes() if planes is None else planes
        self.endpoints: dict[str, Endpoint] = {}
        self._tree: Record = {}
        for path, item in document["paths"].items():
            for method in METHODS:
                if method in item:
                    self._add(document, path, item, method)

    def _add(self, document: Record, path: str, item: Record, method: str) -> None:
        definition = item[method]
        servers = definition.get("servers") or item.get("servers") or document.get("servers") or [{"url": ""}]
        base = urlsplit(servers[0]["url"]).path.rstrip("/")
        security = definition.get("security", document.get("security", []))
        merged: dict[tuple[str, str], Parameter] = {}
        for raw in (*item.get("parameters", ()), *definition.get("parameters", ())):
            one = self.schemas.resolve(raw)
            media = next(iter(one.get("content", {}).values()), None)
            schema = one.get("schema") or (media or {}).get("schema", {})
            merged[one["in"], one["name"]] = Parameter(
                one["name"], one["in"], bool(one.get("required")), schema, self.schemas, media is not None
            )
        endpoint = Endpoint(
            operation=definition["operationId"],
            method=method.upper(),
            path=base + path,
            plane=self._plane(path),
            public=security == [],
            definition=definition,
            parameters=list(merged.values()),
            schemas=self.schemas,
            segments=(base + path).strip("/").split("/"),
        )
        self.endpoints[endpoint.operation] = endpoint
        node = self._tree
        for segment in endpoint.segments:
            node = node.setdefault("{}" if segment.startswith("{") else segment, {})
        node.setdefault("//", {})[endpoint.method] = endpoint

    def _plane(self, path: str) -> str:
        """The plane with the longest prefix of the path."""
        plane, longest = str(self._planes.get("default", "data")), 0
        for name, prefixes in self._planes.items():
            for prefix in prefixes if isinstance(prefixes, list) else ():
                if len(prefix) > longest and (path == prefix or path.startswith(prefix + "/")):
                    plane, longest = name, len(prefix)
        return plane

    def find(self, segments: list[str]) -> Mapping[str, Endpoint] | None:
        """Method → endpoint of the path with these decoded segments, or None."""
        return self._find(self._tree, segments, 0)

    def _find(self, node: Record, segments: list[str], at: int) -> Mapping[str, Endpoint] | None:
        if at == len(segments):
            found: Mapping[str, Endpoint] | None = node.get("//")
            return found
        segment = segments[at]
        for key in (segment, "{}"):
            if key in node and (key != "{}" or segment):
                found = self._find(node[key], segments, at + 1)
                if found is not None:
                    return found
        return None
