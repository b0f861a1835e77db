"""Vector stores: create, list, read, modify, delete."""

from __future__ import annotations

from functools import partial

from conformance.reference.core import Call, Record, handles
from conformance.reference.objects import declared, deletion, page, update_metadata
from conformance.reference.vector_store_life import check_new_store, new_store, show_store, store_of

FAULTS = declared(
    {
        "vector-store-miscounts": "file_counts.total of a vector store is one too many",
        "vector-store-keeps-its-name": "updates of a vector store answer 200 but leave its name as it was",
    }
)


@handles("createVectorStore")
def create(call: Call) -> Record:
    body = call.body or {}
    check_new_store(call, body)
    return show_store(call, new_store(call, body))


@handles("listVectorStores")
def list_stores(call: Call) -> Record:
    return page(call, call.tenant.of("vector_stores").values(), partial(show_store, call))


@handles("getVectorStore")
def get(call: Call) -> Record:
    return show_store(call, store_of(call))


@handles("modifyVectorStore")
def modify(call: Call) -> Record:
    """Change name, expiry and metadata; a null takes the name or the expiry away."""
    store, body = store_of(call), call.body or {}
    update_metadata(call, store)
    if "name" in body and not call.fault("vector-store-keeps-its-name"):
        store["name"] = body["name"] or ""
    if "expires_after" in body:
        store["_expires_after"] = body["expires_after"]
    store["last_active_at"] = call.gateway.now()
    return show_store(call, store)


@handles("deleteVectorStore")
def delete(call: Call) -> Record:
    """Remove the store with its files and batches; the uploaded files stay."""
    store = store_of(call)
    del call.tenant.of("vector_stores")[store["id"]]
    return deletion(store["id"], "vector_store.deleted")
