"""What is still wrong with a contract after its errata, by kind. Pure: a contract in, remarks out."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from conformance.contract.importer import operations_of, references
from conformance.contract.loader import Contract
from conformance.contract.operations import local, merged_parameters
from conformance.contract.schemas import Validators, validators
from conformance.contract.walk import Site, data_sites, schema_sites
from conformance.errors import ContractError

KINDS: Final[Mapping[str, str]] = {
    "unusable-schema": "schemas no validator can read",
    "unsatisfiable-required": "required fields that the schema itself forbids",
    "missing-operation-id": "operations without operationId (a stable one is given)",
    "missing-4xx": "operations that document no client error",
    "success-without-body": "2xx answers that describe no body",
    "response-without-required": "2xx JSON bodies that {} satisfies",
    "request-example": "examples of requests that fail their schema",
    "response-example": "examples of answers that fail their schema",
    "parameter-example": "examples of parameters that fail their schema",
    "schema-example": "examples inside schemas that fail them",
    "invalid-default": "defaults that fail their schema",
    "oneof-overlap": "oneOf branches that one value satisfies together",
    "required-undeclared": "required fields that are declared nowhere",
    "nullable-enum": "nullable enums without null",
    "ref-sibling": "keywords beside $ref, which OpenAPI 3.0 ignores",
    "array-without-items": "arrays without items",
    "path-parameter": "path parameters undeclared, or declared for nothing",
    "ambiguous-path": "templates that one path fits equally well",
    "tag": "tags used but not declared, or declared but not used",
    "server-not-url": "servers that are no URL",
    "unreachable-schema": "schemas no operation reaches",
}


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that is wrong: its kind, the JSON pointer of the place, one line."""

    kind: str
    where: str
    detail: str


def lint(contract: Contract) -> tuple[Remark, ...]:
    """All remarks, ordered by kind as in KINDS, then by place."""
    document, rules = contract.document, validators(contract)
    legacy = str(document.get("openapi", "")).startswith("3.0")
    found: list[Remark] = []
    for source in (_operations, _parameters, _paths_tags_servers, _unreachable):
        found.extend(source(document))
    found.extend(_bodies(contract, rules))
    sites = list(schema_sites(document))
    found.extend(_schemas(sites, legacy))
    found.extend(_values(document, sites, rules))
    found.extend(_overlaps(sites, rules))
    order = {kind: position for position, kind in enumerate(KINDS)}
    return tuple(sorted(set(found), key=lambda one: (order[one.kind], one.where, one.detail)))


def by_kind(remarks: tuple[Remark, ...]) -> dict[str, list[Remark]]:
    """Group remarks; kinds without one are left out."""
    groups: defaultdict[str, list[Remark]] = defaultdict(list)
    for remark in remarks:
        groups[remark.kind].append(remark)
    return dict(groups)


def _operations(document: Mapping[str, Any]) -> Iterator[Remark]:
    for method, path, _, definition in operations_of(document):
        where = f"{method.upper()} {path}"
        responses = definition.get("responses") or {}
        if "operationId" not in definition:
            yield Remark("missing-operation-id", where, "no operationId")
        if not any(status == "default" or status.startswith("4") for status in responses):
            yield Remark("missing-4xx", where, f"documents {', '.join(responses)}")
        for status, raw in responses.items():
            empty = not local(document, raw).get("content")
            if status.startswith("2") and status not in ("204", "205") and method != "head" and empty:
                yield Remark("success-without-body", where, f"{status} describes no body")


def _bodies(contract: Contract, rules: Validators) -> Iterator[Remark]:
    for operation in contract.operations:
        for status in operation.statuses:
            if not (status.startswith("2") and status.isdecimal()):
                continue
            rule = rules.response(operation.id, int(status))
            for media, validator in rule.media.items() if rule else ():
                if "json" not in media or validator is None:
                    continue
                try:
                    weak = validator.is_valid({})
                except ContractError as error:
                    yield Remark("unusable-schema", operation.label, error.message)
                    continue
                if weak:
                    yield Remark("response-without-required", operation.label, _why_weak(validator.schema))


def _why_weak(schema: Any) -> str:
    fields = _fields(schema)
    if not fields:
        kind = schema.get("type") if isinstance(schema, dict) else None
        return "any object: no field is described" if kind == "object" else "anything: no object is described"
    if all(_allows_null(field) for field in fields.values()):
        return "every field may be null: " + ", ".join(fields)
    return "no example or prose shows a field always present: " + ", ".join(fields)


def _fields(schema: Any) -> dict[str, Any]:
    """The top-level fields of a bundled schema, through references and allOf."""
    found: dict[str, Any] = {}
    stack, seen = [schema], set()
    while stack:
        node = stack.pop()
        if not isinstance(node, dict):
            continue
        found.update(node.get("properties") or {})
        stack.extend(node.get("allOf") or ())
        ref = node.get("$ref")
        if isinstance(ref, str) and ref not in seen:
            seen.add(ref)
            stack.append(local(schema, node))
    return found


def _allows_null(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    kind = schema.get("type")
    return "null" in kind if isinstance(kind, list) else {"type": "null"} in (schema.get("anyOf") or ())


def _parameters(document: Mapping[str, Any]) -> Iterator[Remark]:
    for method, path, item, definition in operations_of(document):
        declared = {
            p.get("name") for p in merged_parameters(document, item, definition) if p.get("in") == "path"
        }
        used = set(re.findall(r"\{([^/{}]+)\}", path))
        for name in sorted(used - declared):
            yield Remark("path-parameter", f"{method.upper()} {path}", f"{{{name}}} is not declared")
        for name in sorted(str(one) for one in declared - used):
            yield Remark(
                "path-parameter", f"{method.upper()} {path}", f"{name} is declared but not in the path"
            )


def _paths_tags_servers(document: Mapping[str, Any]) -> Iterator[Remark]:
    shapes: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    used: set[str] = set()
    for method, path, _, definition in operations_of(document):
        shapes[method, re.sub(r"\{[^/{}]+\}", "{}", path)].append(path)
        used.update(str(tag) for tag in definition.get("tags") or ())
    for (method, _), paths in shapes.items():
        if len(paths) > 1:
            yield Remark(
                "ambiguous-path", f"{method.upper()} {paths[0]}", "same shape as " + ", ".join(paths[1:])
            )
    declared = {str(tag.get("name")) for tag in document.get("tags") or ()}
    yield from (Remark("tag", name, "used but not declared") for name in sorted(used - declared))
    yield from (Remark("tag", name, "declared but not used") for name in sorted(declared - used))
    places = [("", document.get("servers"))]
    places += [
        (path, item.get("servers")) for path, item in document["paths"].items() if isinstance(item, dict)
    ]
    for where, servers in places:
        for server in servers or ():
            url = re.sub(r"\{[^{}]*\}", "x", str(server.get("url", "")))
            if not urlsplit(url).scheme and not url.startswith("/"):
                yield Remark("server-not-url", where or "/", url)


def _unreachable(document: Mapping[str, Any]) -> Iterator[Remark]:
    schemas = (document.get("components") or {}).get("schemas") or {}
    rest = {key: value for key, value in document.items() if key != "components"}
    others = {k: v for k, v in (document.get("components") or {}).items() if k != "schemas"}
    queue = [*references(rest), *references(others)]
    seen: set[str] = set()
    while queue:
        ref = queue.pop()
        if ref not in seen:
            seen.add(ref)
            queue.extend(references(local(document, {"$ref": ref})))
    for name in schemas:
        if f"#/components/schemas/{name}" not in seen:
            yield Remark("unreachable-schema", f"/components/schemas/{name}", "no operation reaches it")


def _schemas(sites: list[Site], legacy: bool) -> Iterator[Remark]:
    for site in sites:
        schema, where = site.schema, site.pointer
        if legacy and "$ref" in schema and len(schema) > 1:
            yield Remark("ref-sibling", where, ", ".join(key for key in schema if key != "$ref"))
            continue
        if schema.get("type") == "array" and "items" not in schema and "prefixItems" not in schema:
            yield Remark("array-without-items", where, "no items")
        enum = schema.get("enum")
        if legacy and schema.get("nullable") is True and isinstance(enum, list) and None not in enum:
            yield Remark("nullable-enum", where, "null is not in the enum")
        required, properties = schema.get("required"), schema.get("properties")
        inside = re.search(r"/(?:allOf|anyOf|oneOf)/\d+$", where)  # the fields may stand beside it
        if (
            isinstance(required, list)
            and isinstance(properties, dict)
            and not inside
            and not _composed(schema)
        ):
            closed = schema.get("additionalProperties") is False
            for name in sorted(str(one) for one in required if one not in properties):
                kind = "unsatisfiable-required" if closed else "required-undeclared"
                yield Remark(kind, where, f"{name} is required, not declared")


def _composed(schema: Mapping[str, Any]) -> bool:
    return any(key in schema for key in ("allOf", "anyOf", "oneOf"))


def _values(document: Mapping[str, Any], sites: list[Site], rules: Validators) -> Iterator[Remark]:
    """Examples and defaults that their own schema refuses."""
    for site in sites:
        for key, kind in (("example", "schema-example"), ("default", "invalid-default")):
            if key in site.schema:
                yield from _judge(
                    rules, site.schema, site.schema[key], kind, f"{site.pointer}/{key}", site.response
                )
        many = site.schema.get("examples")
        for index, value in enumerate(many if isinstance(many, list) else ()):
            yield from _judge(
                rules, site.schema, value, "schema-example", f"{site.pointer}/examples/{index}", site.response
            )
    for data in data_sites(document):
        yield from _judge(
            rules, data.schema, data.value, f"{data.kind}-example", data.pointer, data.kind == "response"
        )


def _judge(
    rules: Validators, schema: Any, value: Any, kind: str, where: str, response: bool
) -> Iterator[Remark]:
    if isinstance(schema, dict) and "$ref" in schema:
        schema = {"$ref": schema["$ref"]}
    validator = rules.of(schema, response=response)
    try:
        problems = validator.problems(value)
    except ContractError as error:
        yield Remark("unusable-schema", where, error.message)
        return
    if problems:
        first = problems[0]
        yield Remark(kind, where, f"{first.pointer or '/'}: {first.message[:160]}")


def _overlaps(sites: list[Site], rules: Validators) -> Iterator[Remark]:
    """A oneOf whose branch's smallest object another branch accepts too: cheap, so not complete."""
    for site in sites:
        branches = site.schema.get("oneOf")
        if not isinstance(branches, list) or len(branches) < 2:
            continue
        judges = [rules.of(branch, response=site.response) for branch in branches]
        for index, judge in enumerate(judges):
            witness = _witness(judge.schema)
            if witness is None or not _accepts(judge.is_valid, witness):
                continue
            others = [n for n, other in enumerate(judges) if n != index and _accepts(other.is_valid, witness)]
            if others:
                shown = json.dumps(witness)
                yield Remark("oneof-overlap", site.pointer, f"{shown[:120]} fits branches {[index, *others]}")
                break


def _accepts(decide: Callable[[Any], bool], value: Any) -> bool:
    try:
        return decide(value)
    except ContractError:
        return False


def _witness(schema: Any, depth: int = 0, root: Any = None) -> Any:
    """A smallest value that a schema may accept; None when none is easily made."""
    root = schema if root is None else root
    if not isinstance(schema, dict) or depth > 6:
        return None
    if "$ref" in schema:
        return _witness(local(root, schema), depth + 1, root)
    if "const" in schema or schema.get("enum"):
        return schema.get("const", (schema.get("enum") or [None])[0])
    kind = schema.get("type")
    kind = next(iter(kind), None) if isinstance(kind, list) else kind
    merged: dict[str, Any] = {}
    for part in schema.get("allOf") or ():
        value = _witness(part, depth + 1, root)
        if isinstance(value, dict):
            merged.update(value)
    if kind == "object" or "properties" in schema or merged:
        fields = schema.get("properties") or {}
        for name in schema.get("required") or ():
            merged[name] = _witness(fields.get(name, {}), depth + 1, root)
        return merged
    plain: dict[Any, Any] = {"string": "x", "integer": 1, "number": 1, "boolean": True, "array": []}
    return plain.get(kind)
