"""A small resource graph for a contract that brings none: creations read off the paths."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from conformance.contract.loader import Contract
from conformance.model import Operation

_PARAMETER = re.compile(r"\{([^/{}]+)\}")


def inferred_graph(contract: Contract) -> dict[str, Any]:
    """The graph of a contract in the form of a resources.yaml.

    ``POST /things`` makes what ``/things/{id}`` names, its id being ``id``; a parameter that no
    such operation explains is a given. Bodies are the contract's own examples, where it has any.
    """
    creators: dict[str, str] = {}  # collection path -> the resource made there
    resources: dict[str, Any] = {}
    for operation in contract.operations:
        if operation.method == "POST" and not operation.path.endswith("}"):
            parameter = _item_parameter(contract, operation.path)
            if parameter is None:
                continue
            name = "_".join(_PARAMETER.sub("", operation.path).replace("-", "_").split("/")).strip("_")
            name = re.sub(r"_+", "_", name)
            delete = contract.match("DELETE", f"{operation.path}/x")
            creators[operation.path] = name
            resources[name] = {"create": operation.id, "id": "id"} | (
                {"delete": delete.id} if delete else {"residue": "no operation deletes it"}
            )
    return {
        "resources": resources,
        "operations": {one.id: _usage(contract, one, creators) for one in contract.operations},
    }


def _item_parameter(contract: Contract, collection: str) -> str | None:
    pattern = re.compile(re.escape(collection) + r"/\{([^/{}]+)\}(/.*)?")
    return next((m[1] for one in contract.operations if (m := pattern.fullmatch(one.path))), None)


def _usage(contract: Contract, operation: Operation, creators: Mapping[str, str]) -> dict[str, Any]:
    path: dict[str, Any] = {}
    for match in _PARAMETER.finditer(operation.path):
        maker = creators.get(operation.path[: match.start()].rstrip("/"))
        path[match[1]] = {"$bind": maker} if maker else {"$given": match[1]}
    entry: dict[str, Any] = {"path": path}
    for media_type in operation.request_media:
        body = _example(contract, operation, media_type)
        if body is not None:
            entry |= {"body": body, "media_type": media_type}
            break
    if operation.path in creators and operation.method == "POST":
        entry |= {"role": "create", "resource": creators[operation.path]}
    return entry


def _example(contract: Contract, operation: Operation, media_type: str) -> Any:
    body = contract.definition(operation.id).get("requestBody") or {}
    content = (body.get("content") or {}).get(media_type) or {}
    named = list((content.get("examples") or {}).values())
    given = content.get("example", (content.get("schema") or {}).get("example"))
    if given is None and named and isinstance(named[0], Mapping):
        given = named[0].get("value")
    return given
