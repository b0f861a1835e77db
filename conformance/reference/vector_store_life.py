"""The state of vector stores, derived from the clock when somebody looks.

A store keeps its files under ``_files`` (by file id) and its batches under ``_batches``; what an
answer shows (status, counts, bytes) is computed from them.
"""

from __future__ import annotations

import time
from typing import Any

from conformance.reference.core import Call, Record, Refusal, Tenant, new_id, not_found
from conformance.reference.objects import declared, known_files, metadata_of, public

INDEXING_S = 0.030  # how long a file stays in_progress, at speed 1
DAY_S = 86_400
FAULTS = declared({"chunk-overlap-not-checked": "chunks may overlap by more than half their size"})
STATUSES = ("in_progress", "completed", "failed", "cancelled")
DEFAULT_CHUNKING: Record = {
    "type": "static",
    "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400},
}


def chunking_of(call: Call, value: Any, param: str = "chunking_strategy") -> Record:
    """The strategy as answers show it: ``auto`` becomes its documented numbers."""
    if value is None or value.get("type") != "static":
        return DEFAULT_CHUNKING
    sizes = value["static"]
    too_much = sizes["chunk_overlap_tokens"] * 2 > sizes["max_chunk_size_tokens"]
    if too_much and not call.fault("chunk-overlap-not-checked"):
        message = "chunk_overlap_tokens must not exceed half of max_chunk_size_tokens."
        raise Refusal(400, message, param=param, code="invalid_value")
    return {"type": "static", "static": dict(sizes)}


def check_new_store(call: Call, body: Record, param: str = "") -> None:
    """Everything that can be wrong with a store to be made, before anything is made."""
    known_files(call, body.get("file_ids") or (), f"{param}file_ids")
    chunking_of(call, body.get("chunking_strategy"), f"{param}chunking_strategy")
    metadata_of(body.get("metadata"), f"{param}metadata")


def new_store(call: Call, body: Record) -> Record:
    """Make and keep a store from a request that ``check_new_store`` let pass."""
    now = call.gateway.now()
    store: Record = {
        "id": new_id("vs_"),
        "object": "vector_store",
        "created_at": now,
        "name": body.get("name") or "",
        "last_active_at": now,
        "metadata": metadata_of(body.get("metadata")),
        "_expires_after": body.get("expires_after"),
        "_files": {},
        "_batches": {},
    }
    call.tenant.of("vector_stores")[store["id"]] = store
    for file_id in body.get("file_ids") or ():
        attach(call, store, file_id, chunking_of(call, body.get("chunking_strategy")))
    return store


def store_of(call: Call) -> Record:
    """The store the path names, or an honest 404."""
    return call.tenant.get("vector_stores", call.path["vector_store_id"], "vector store")


def attach(call: Call, store: Record, file_id: str, chunking: Record) -> Record:
    """Put a file into a store. One that is there and well keeps its state and takes the new chunking."""
    store["last_active_at"] = call.gateway.now()
    present: Record | None = store["_files"].get(file_id)
    if present is not None and settle_file(call.tenant, present)["status"] in ("in_progress", "completed"):
        present["chunking_strategy"] = chunking
        return present
    record: Record = {
        "id": file_id,
        "object": "vector_store.file",
        "usage_bytes": 0,
        "created_at": call.gateway.now(),
        "vector_store_id": store["id"],
        "status": "in_progress",
        "last_error": None,
        "chunking_strategy": chunking,
        "_ready": time.monotonic() + INDEXING_S * call.gateway.speed,
    }
    store["_files"][file_id] = record
    return record


def settle_file(tenant: Tenant, record: Record) -> Record:
    """Move one file on when its time has come."""
    if record["status"] != "in_progress" or time.monotonic() < record["_ready"]:
        return record
    source = tenant.of("files").get(record["id"])
    if source is None:
        fail(record, "file_not_found", "The file was deleted before it could be indexed.")
    elif not source.get("bytes"):
        fail(record, "invalid_file", "The file is empty.")
    else:
        record.update(status="completed", usage_bytes=int(source["bytes"]))
    return record


def fail(record: Record, code: str, message: str) -> None:
    record.update(status="failed", last_error={"code": code, "message": message})


def settled_files(tenant: Tenant, store: Record) -> list[Record]:
    """The files of a store in the order they were attached, each in its present state."""
    return [settle_file(tenant, record) for record in store["_files"].values()]


def count(records: list[Record]) -> Record:
    """How many files are in each state; the total is their sum."""
    counts = dict.fromkeys(STATUSES, 0)
    for record in records:
        counts[record["status"]] += 1
    return {**counts, "total": len(records)}


def show_store(call: Call, store: Record) -> Record:
    """The store as an answer."""
    files = settled_files(call.tenant, store)
    counts = count(files)
    shown = public(store)
    policy = store["_expires_after"]
    expires_at = store["last_active_at"] + int(policy["days"]) * DAY_S if policy else None
    if policy:  # the contract gives it no null
        shown["expires_after"] = policy
    status = "in_progress" if counts["in_progress"] else "completed"
    if expires_at is not None and call.gateway.now() >= expires_at:
        status = "expired"
    if call.fault("vector-store-miscounts"):
        counts["total"] += 1
    shown.update(
        usage_bytes=sum(record["usage_bytes"] for record in files),
        file_counts=counts,
        status=status,
        expires_at=expires_at,
    )
    return shown


def show_file(call: Call, record: Record) -> Record:
    return public(settle_file(call.tenant, record))


def file_of(call: Call, store: Record) -> Record:
    """The attached file the path names, or an honest 404."""
    record: Record | None = store["_files"].get(call.path["file_id"])
    if record is None:
        raise not_found("vector store file", call.path["file_id"])
    return record
