"""Paths and methods → the operations of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from .core import Record
from .schemas import Schemas, load_planes
from .validation import Endpoint, Parameter

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


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
