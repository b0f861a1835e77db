"""From a compiled document to operations, groups and planes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from conformance.contract.importer import operations_of, resolve
from conformance.errors import ContractError
from conformance.model import Operation, Plane

_PARAMETER = re.compile(r"\{[^/{}]+\}")


@dataclass(frozen=True, slots=True)
class PlaneRules:
    """Which plane serves a path: the longest prefix (whole segments) of the template decides."""

    default: Plane = Plane.DATA
    prefixes: tuple[tuple[str, Plane], ...] = ()

    def plane(self, path: str) -> Plane:
        fitting = [(len(p), plane) for p, plane in self.prefixes if path == p or path.startswith(p + "/")]
        return max(fitting)[1] if fitting else self.default


def plane_rules(table: Mapping[str, Any], *, source: str) -> PlaneRules:
    """Read the ``[planes]`` table of a contract.toml; ContractError names a wrong key."""
    known = {plane.value for plane in Plane}
    prefixes: list[tuple[str, Plane]] = []
    for key, value in table.items():
        if key == "default":
            if value not in known:
                raise ContractError(
                    f"{source}: planes.default: {value!r}", hint=f"one of {', '.join(sorted(known))}"
                )
        elif key not in known:
            raise ContractError(
                f"{source}: planes.{key}: no such plane", hint=f"one of {', '.join(sorted(known))}"
            )
        elif not isinstance(value, list) or not all(isinstance(p, str) and p.startswith("/") for p in value):
            raise ContractError(f"{source}: planes.{key}: expected a list of path prefixes")
        else:
            prefixes.extend((prefix.rstrip("/"), Plane(key)) for prefix in value)
    return PlaneRules(Plane(table.get("default", Plane.DATA)), tuple(prefixes))


def local(document: Mapping[str, Any], node: Any) -> Any:
    """Follow a chain of local references from ``node``; a reference to nothing, or a loop, is empty."""
    for _ in range(20):
        ref = node.get("$ref") if isinstance(node, dict) else None
        if not isinstance(ref, str):
            return node
        try:
            node = resolve(document, ref)
        except KeyError:
            return {}
    return {}


def stable_id(method: str, path: str) -> str:
    """An id for an operation without one: ``GET /logs/{logId}`` becomes ``getLogsLogId``."""
    words = re.findall(r"[A-Za-z0-9]+", path)
    return method + "".join(word[:1].upper() + word[1:] for word in words)


def name_operations(document: dict[str, Any]) -> None:
    """Give every operation without an operationId a stable one, in place."""
    taken = {op["operationId"] for _, _, _, op in operations_of(document) if "operationId" in op}
    for method, path, _, definition in operations_of(document):
        if "operationId" in definition:
            continue
        wanted = name = stable_id(method, path)
        suffix = 2
        while name in taken:
            name, suffix = f"{wanted}{suffix}", suffix + 1
        taken.add(name)
        definition["operationId"] = name


def build_operations(document: Mapping[str, Any], rules: PlaneRules) -> tuple[Operation, ...]:
    """All operations, in document order; every one has an operationId by now."""
    return tuple(
        _operation(document, rules, method, path, definition)
        for method, path, _, definition in operations_of(document)
    )


def _operation(
    document: Mapping[str, Any], rules: PlaneRules, method: str, path: str, definition: Mapping[str, Any]
) -> Operation:
    responses = definition.get("responses") or {}
    body = local(document, definition.get("requestBody")) or {}
    security = definition.get("security", document.get("security", []))
    streams = any(
        "text/event-stream" in (local(document, response).get("content") or {})
        for status, response in responses.items()
        if status.startswith("2")
    )
    tags = definition.get("tags") or [path.strip("/").split("/")[0] or "root"]
    return Operation(
        id=definition["operationId"],
        method=method.upper(),
        path=path,
        group=str(tags[0]),
        plane=rules.plane(path),
        statuses=tuple(responses),
        request_media=tuple(body.get("content") or ()),
        body_required=body.get("required") is True,
        streaming=streams,
        websocket="101" in responses,
        public=not security or {} in security,
    )


def merged_parameters(
    document: Mapping[str, Any], item: Mapping[str, Any], definition: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The parameters of an operation, references followed, its own before those of its path."""
    merged: dict[tuple[str, str], dict[str, Any]] = {}
    for raw in (*(definition.get("parameters") or ()), *(item.get("parameters") or ())):
        parameter = local(document, raw)
        merged.setdefault((parameter.get("name", ""), parameter.get("in", "")), parameter)
    return list(merged.values())


def group_order(document: Mapping[str, Any], operations: Iterable[Operation]) -> tuple[str, ...]:
    """The groups in use: declared tags first, in their order, then the others as they appear."""
    used = dict.fromkeys(operation.group for operation in operations)
    declared = [tag.get("name") for tag in document.get("tags") or ()]
    return tuple(dict.fromkeys([name for name in declared if name in used] + list(used)))


class PathIndex:
    """Finds the operation of a concrete path; a literal segment beats a parameter."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        rows: dict[int, list[tuple[tuple[bool, ...], re.Pattern[str], Operation]]] = {}
        for operation in operations:
            segments = operation.path.strip("/").split("/")
            pattern = "/".join(
                "[^/]+".join(re.escape(part) for part in _PARAMETER.split(segment)) for segment in segments
            )
            weight = tuple("{" in segment for segment in segments)  # False sorts first: literals win
            rows.setdefault(len(segments), []).append((weight, re.compile(pattern), operation))
        self._rows = {count: sorted(row, key=lambda one: one[0]) for count, row in rows.items()}

    def match(self, method: str, path: str) -> Operation | None:
        wanted = path.split("?", 1)[0].strip("/")
        fits = [row for row in self._rows.get(wanted.count("/") + 1, ()) if row[1].fullmatch(wanted)]
        best = fits[0][0] if fits else ()
        # the most literal template owns the path, also for methods it does not document
        return next((op for weight, _, op in fits if weight == best and op.method == method.upper()), None)
