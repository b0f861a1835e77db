"""The two other documentation pages, held against the big document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from conformance.contract import load_contract, validators
from conformance.contract.importer import parse
from conformance.contract.loader import specs_root
from conformance.contract.operations import local

FOLDER = specs_root() / "portkey"
PAGES = ("create-thread-and-run", "list-runs")


def read(name: str) -> Any:
    return parse((FOLDER / name).read_text(encoding="utf-8"), source=name)


@pytest.mark.parametrize("page", PAGES)
def test_every_difference_of_a_page_is_named(page: str) -> None:
    """A page may not drift from the document, nor the document from it, without the table saying so."""
    expected = read("pages/differences.yaml")[page]
    assert differences(read(f"pages/{page}.yaml"), read("openapi.yaml")) == expected


def test_a_changed_page_shows_as_a_difference() -> None:
    """The comparison itself must see a changed bound deep inside a referenced schema."""
    page, big = read("pages/list-runs.yaml"), read("openapi.yaml")
    page["components"]["schemas"]["RunObject"]["properties"]["status"]["enum"].remove("expired")
    expected = read("pages/differences.yaml")["list-runs"]
    (new,) = set(differences(page, big)) - set(expected)
    assert new.endswith("properties/status/enum")


def test_the_example_of_a_page_is_valid_by_the_compiled_contract() -> None:
    """An erratum must not refuse what a page of the vendor shows."""
    page = read("pages/list-runs.yaml")
    media = page["paths"]["/threads/{thread_id}/runs"]["get"]["responses"]["200"]["content"][
        "application/json"
    ]
    rule = validators(load_contract()).response("listRuns", 200)
    assert rule is not None
    validator = rule.media["application/json"]
    assert validator is not None
    assert validator.problems(media["example"]) == []


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
            found.update(
                _compare(
                    item["servers"],
                    big["paths"][path].get("servers"),
                    f"{path} servers",
                    page,
                    big,
                    frozenset(),
                )
            )
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
