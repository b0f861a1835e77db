"""Files of a vector store, one by one and in batches."""

from __future__ import annotations

from typing import Any

from conformance.reference.core import Call, Record, handles, new_id, not_found
from conformance.reference.objects import declared, deletion, known_files, page, public
from conformance.reference.vector_store_life import (
    attach,
    chunking_of,
    count,
    file_of,
    settle_file,
    settled_files,
    show_file,
    store_of,
)

FAULTS = declared(
    {
        "file-filter-ignored": "lists of files in vector stores ignore filter",
        "file-batch-lists-whole-store": "the list of a file batch shows every file of its store",
        "vector-store-removal-deletes-file": "taking a file out of a vector store deletes it",
    }
)


@handles("createVectorStoreFile")
def create_file(call: Call) -> Record:
    store, file_id = store_of(call), call.body["file_id"]
    known_files(call, (file_id,), "file_id")
    chunking = chunking_of(call, call.body.get("chunking_strategy"))
    return public(attach(call, store, file_id, chunking))


@handles("listVectorStoreFiles")
def list_files(call: Call) -> Record:
    return filtered_page(call, settled_files(call.tenant, store_of(call)))


@handles("getVectorStoreFile")
def get_file(call: Call) -> Record:
    return show_file(call, file_of(call, store_of(call)))


@handles("deleteVectorStoreFile")
def delete_file(call: Call) -> Record:
    """Take the file out of the store; the uploaded file stays."""
    store = store_of(call)
    record = file_of(call, store)
    del store["_files"][record["id"]]
    if call.fault("vector-store-removal-deletes-file"):
        call.tenant.of("files").pop(record["id"], None)
    return deletion(record["id"], "vector_store.file.deleted")


@handles("createVectorStoreFileBatch")
def create_batch(call: Call) -> Record:
    store, file_ids = store_of(call), call.body["file_ids"]
    known_files(call, file_ids, "file_ids")
    chunking = chunking_of(call, call.body.get("chunking_strategy"))
    batch: Record = {
        "id": new_id("vsfb_"),
        "object": "vector_store.file_batch",
        "created_at": call.gateway.now(),
        "vector_store_id": store["id"],
        # one entry for every id asked for: a file named twice counts twice
        "_files": [attach(call, store, file_id, chunking) for file_id in file_ids],
        "_cancelled": False,
    }
    store["_batches"][batch["id"]] = batch
    return show_batch(batch)


@handles("getVectorStoreFileBatch")
def get_batch(call: Call) -> Record:
    return show_batch(settled_batch(call))


@handles("cancelVectorStoreFileBatch")
def cancel_batch(call: Call) -> Record:
    """Stop what is still being indexed. A batch that ended before is answered as it is."""
    batch = settled_batch(call)
    waiting = [record for record in batch["_files"] if record["status"] == "in_progress"]
    for record in waiting:
        record["status"] = "cancelled"
    batch["_cancelled"] = batch["_cancelled"] or bool(waiting)
    return show_batch(batch)


@handles("listFilesInVectorStoreBatch")
def list_batch_files(call: Call) -> Record:
    """The files of the batch that are still in the store, each once."""
    store, batch = store_of(call), settled_batch(call)
    ids = dict.fromkeys(record["id"] for record in batch["_files"])
    if call.fault("file-batch-lists-whole-store"):
        return filtered_page(call, settled_files(call.tenant, store))
    return filtered_page(call, [store["_files"][name] for name in ids if name in store["_files"]])


def settled_batch(call: Call) -> Record:
    """The batch the path names with its files in their present state, or an honest 404."""
    batch: Record | None = store_of(call)["_batches"].get(call.path["batch_id"])
    if batch is None:
        raise not_found("vector store file batch", call.path["batch_id"])
    for record in batch["_files"]:
        settle_file(call.tenant, record)
    return batch


def show_batch(batch: Record) -> Record:
    counts = count(batch["_files"])
    if batch["_cancelled"]:
        status = "cancelled"
    elif counts["in_progress"]:
        status = "in_progress"
    else:
        status = "failed" if counts["failed"] == counts["total"] else "completed"
    return {**public(batch), "status": status, "file_counts": counts}


def filtered_page(call: Call, records: list[Record]) -> Record:
    wanted: Any = None if call.fault("file-filter-ignored") else call.query.get("filter")
    return page(call, records, keep=lambda record: wanted is None or record["status"] == wanted)
