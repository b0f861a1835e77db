"""The files and vector stores that assistants and threads lend to their tools."""

from __future__ import annotations

from typing import Any

from conformance.reference.core import Call, Record, Refusal
from conformance.reference.objects import known_files
from conformance.reference.vector_store_life import check_new_store, new_store, settled_files


def check_tool_resources(call: Call, value: Any, param: str = "tool_resources") -> None:
    """Raises Refusal(400) when something named in it does not exist; makes nothing."""
    resources = value or {}
    interpreter = resources.get("code_interpreter") or {}
    known_files(call, interpreter.get("file_ids") or (), f"{param}.code_interpreter.file_ids")
    search = resources.get("file_search") or {}
    stores = call.tenant.of("vector_stores")
    for identifier in search.get("vector_store_ids") or ():
        if identifier not in stores:
            message = f"No vector store found with id '{identifier}'."
            where = f"{param}.file_search.vector_store_ids"
            raise Refusal(400, message, param=where, code="invalid_vector_store_id")
    for number, helper in enumerate(search.get("vector_stores") or ()):
        check_new_store(call, helper, f"{param}.file_search.vector_stores[{number}].")


def realise_tool_resources(call: Call, value: Any) -> Record:
    """What the object will show: the stores that were asked for are made and stand there by id."""
    resources = dict(value or {})
    search = resources.get("file_search")
    if search and "vector_stores" in search:
        made = [new_store(call, helper)["id"] for helper in search["vector_stores"]]
        rest = {key: item for key, item in search.items() if key != "vector_stores"}
        resources["file_search"] = {**rest, "vector_store_ids": made}
    return resources


def searchable_files(call: Call, *resources: Any) -> list[str]:
    """The ids of the indexed files that a file search over these resources can find."""
    found: list[str] = []
    for value in resources:
        search = (value or {}).get("file_search") or {}
        for identifier in search.get("vector_store_ids") or ():
            store = call.tenant.of("vector_stores").get(identifier)
            if store is not None:
                files = settled_files(call.tenant, store)
                found += [record["id"] for record in files if record["status"] == "completed"]
    return found
