"""Where the schemas and the example values of a document stand, by the grammar of its objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from conformance.contract.shape import DATA, GRAMMAR, PROSE


@dataclass(frozen=True, slots=True)
class Site:
    """One schema object: its JSON pointer, itself, and whether it stands in a response."""

    pointer: str
    schema: Mapping[str, Any]
    response: bool


@dataclass(frozen=True, slots=True)
class DataSite:
    """One example of a parameter, request or response, with the schema it should keep to."""

    pointer: str
    kind: str  # parameter, request, response
    schema: Any
    value: Any


def schema_sites(document: Mapping[str, Any]) -> Iterator[Site]:
    """Every schema object of a document, nested ones included; components count as responses."""
    for kind, pointer, node, path in _visit(document, "document", "", ()):
        if kind == "schema" and isinstance(node, dict):
            yield Site(pointer, node, "body" not in path and "parameter" not in path)


def data_sites(document: Mapping[str, Any]) -> Iterator[DataSite]:
    """Every example that stands beside a schema: of parameters, headers and media types."""
    for kind, pointer, node, path in _visit(document, "document", "", ()):
        if kind not in ("media", "parameter", "header") or not isinstance(node, dict) or "schema" not in node:
            continue
        role = (
            "request"
            if "body" in path
            else "response"
            if "response" in path or kind == "header"
            else "parameter"
        )
        if "example" in node:
            yield DataSite(f"{pointer}/example", role, node["schema"], node["example"])
        examples = node.get("examples")
        for name, example in examples.items() if isinstance(examples, dict) else ():
            if isinstance(example, dict) and "value" in example:
                yield DataSite(f"{pointer}/examples/{_escape(name)}", role, node["schema"], example["value"])


def _visit(
    node: Any, kind: str, pointer: str, path: tuple[str, ...]
) -> Iterator[tuple[str, str, Any, tuple[str, ...]]]:
    many, _, inner = kind.partition(":")
    if inner:
        children: Iterable[tuple[Any, Any]] = ()
        if many == "map" and isinstance(node, dict):
            children = node.items()
        elif many == "list" and isinstance(node, list):
            children = enumerate(node)
        for key, child in children:
            yield from _visit(child, inner, f"{pointer}/{_escape(key)}", path)
        return
    if not isinstance(node, dict):
        return
    yield kind, pointer, node, path
    grammar = GRAMMAR[kind]
    for key, child in node.items():
        meaning = grammar.get(key, grammar.get("*", DATA))
        if meaning not in (DATA, PROSE):
            yield from _visit(child, meaning, f"{pointer}/{_escape(key)}", (*path, kind))


def _escape(key: Any) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")
