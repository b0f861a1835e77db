"""Compare two OpenAPI documents where the first one speaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from conformance.contract.operations import local


def differences(page: Mapping[str, Any], big: Mapping[str, Any]) -> dict[str, str]:
    """JSON pointer (into the page's view) to one line; references are followed on both sides."""
    found: dict[str, str] = {}
    for path, item in page["paths"].items():
        for method, operation in item.items():
            if not isinstance(operation, dict):
                continue
            where = f"{method.upper()} {path}"
            other = big["paths"][path][method]
            ours = {one["name"]: one for one in operation.get("parameters", [])}
            theirs = {one["name"]: one for one in other.get("parameters", [])}
            found.update(_compare(ours, theirs, f"{where} parameters", page, big, frozenset()))
            for part in ("operationId", "tags", "security", "requestBody", "responses"):
                if part in operation:
                    found.update(
                        _compare(operation[part], other.get(part), f"{where} {part}", page, big, frozenset())
                    )
        if "servers" in item:
            found.update(_compare(item["servers"], big["paths"][path].get("servers"), f"{path} servers", page, big, frozenset()))
    for part in ("servers", "security", "tags"):
        if part in page:
            found.update(_compare(page[part], big.get(part), part, page, big, frozenset()))
    return found


def _compare(
    a: Any, b: Any, where: str, page: Any, big: Any, open_refs: frozenset[str]
) -> Iterator[tuple[str, str]]:
    if isinstance(a, dict) and "$ref" in a:
        if a["$ref"] in open_refs:
            return
        open_refs |= {a["$ref"]}
    a, b = local(page, a), local(big, b)
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            if key not in b:
                yield f"{where}/{key}", "only in the page"
            elif key not in a:
                yield f"{where}/{key}", "only in the document"
            else:
                yield from _compare(a[key], b[key], f"{where}/{key}", page, big, open_refs)
    elif isinstance(a, list) and isinstance(b, list):
        plain = [sorted(str(one) for one in side) for side in (a, b)]
        if all(not isinstance(one, dict | list) for one in (*a, *b)):
            if plain[0] != plain[1]:
                yield where, "other values"
        elif all(isinstance(one, dict) and set(one) == {"name"} for one in (*a, *b)):
            ours, theirs = ({one["name"] for one in side} for side in (a, b))
            yield from ((f"{where}/{name}", "only in the page") for name in sorted(ours - theirs))
            yield from ((f"{where}/{name}", "only in the document") for name in sorted(theirs - ours))
        elif len(a) != len(b):
            yield where, f"{len(a)} in the page, {len(b)} in the document"
        else:
            for index, (one, other) in enumerate(zip(a, b, strict=True)):
                yield from _compare(one, other, f"{where}/{index}", page, big, open_refs)
    elif a != b:
        yield where, f"{a!r} in the page, {b!r} in the document"
