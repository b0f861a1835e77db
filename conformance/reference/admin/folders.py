"""Collections: folders of prompts, one of them the default of its workspace."""

from __future__ import annotations

from typing import Any

from conformance.reference.admin.audit import manages
from conformance.reference.admin.people import home, workspace_filter, workspace_of
from conformance.reference.admin.table import (
    Table,
    derived_uuid,
    drop_children,
    matches,
    public,
    slugify,
    total_of,
    window,
)
from conformance.reference.core import Call, Record, Tenant, handles, iso, not_found

COLLECTIONS = Table("collections", "collection")


def default_collection(tenant: Tenant) -> Record:
    """The default collection of the default workspace, made on first use."""
    workspace_id = home(tenant)["id"]
    identifier = derived_uuid(tenant.id, "collection")
    rows = COLLECTIONS.rows(tenant)
    if identifier not in rows:
        now = iso()
        rows[identifier] = _new("Default", workspace_id, None, default=True) | {
            "id": identifier,
            "created_at": now,
            "last_updated_at": now,
        }
    return rows[identifier]


def _new(name: str, workspace_id: str, parent: str | None, *, default: bool = False) -> Record:
    return {
        "name": name,
        "workspace_id": workspace_id,
        "slug": slugify(name),
        "parent_collection_id": parent,
        "is_default": default,
        "status": "active",
        "object": "collection",
    }


def collection_of(call: Call, given: Any) -> Record:
    """The collection a request names, or the default one. Raises 404."""
    default = default_collection(call.tenant)
    return default if given is None else COLLECTIONS.find(call, given)


def _details(tenant: Tenant, identifier: str) -> Record:
    children = [row for row in COLLECTIONS.rows(tenant).values() if row["parent_collection_id"] == identifier]
    prompts = [row for row in tenant.of("prompts").values() if row["collection_id"] == identifier]
    return {
        "child_collections_count": len(children),
        "prompts_count": len(prompts),
        "child_collections_last_updated_at": max((row["last_updated_at"] for row in children), default=None),
        "prompts_last_updated_at": max((row["last_updated_at"] for row in prompts), default=None),
    }


@manages("postCollections", "/collections")
def create_collection(call: Call) -> Record:
    body = call.body
    parent = body.get("parent_collection_id")
    parent_row = None if parent is None else collection_of(call, parent)
    fallback = parent_row["workspace_id"] if parent_row else None
    workspace_id = workspace_of(call, body.get("workspace_id", fallback))
    parent_id = parent_row["id"] if parent_row else None
    row = COLLECTIONS.add(call, _new(body["name"], workspace_id, parent_id))
    return {"id": row["id"], "slug": row["slug"]}


@handles("getCollections")
def list_collections(call: Call) -> Record:
    default_collection(call.tenant)
    query = call.query
    workspace_id = workspace_filter(call, query.get("workspace_id"))
    rows = COLLECTIONS.listed(
        call,
        lambda row: workspace_id in (None, row["workspace_id"]) and matches(row, query.get("search"), "name"),
    )
    page = [
        public(row) | {"collection_details": _details(call.tenant, row["id"])} for row in window(rows, query)
    ]
    return {"total": total_of(call, rows), "data": page}


@handles("getCollectionsCollectionId")
def read_collection(call: Call) -> Record:
    row = collection_of(call, call.path["collectionId"])
    children = [
        {
            "id": child["id"],
            "name": child["name"],
            "last_updated_at": child["last_updated_at"],
            "collection_details": _details(call.tenant, child["id"]),
        }
        for child in COLLECTIONS.rows(call.tenant).values()
        if child["parent_collection_id"] == row["id"]
    ]
    details = _details(call.tenant, row["id"])
    return public(row) | {"child_collections": children, "collection_details": details}


@manages("putCollectionsCollectionId", "/collections/{collectionId}")
def update_collection(call: Call) -> Record:
    row = collection_of(call, call.path["collectionId"])
    COLLECTIONS.change(call, row, {"name": call.body["name"]})
    return {}


@manages("deleteCollectionsCollectionId", "/collections/{collectionId}")
def delete_collection(call: Call) -> Record:
    row = collection_of(call, call.path["collectionId"])
    if row["is_default"]:  # the contract answers so
        raise not_found("deletable collection", call.path["collectionId"])
    _remove(call, row)
    return {}


def _remove(call: Call, row: Record) -> None:
    children = [
        one for one in COLLECTIONS.rows(call.tenant).values() if one["parent_collection_id"] == row["id"]
    ]
    COLLECTIONS.remove(call, row)
    if call.fault("delete-keeps-resource"):
        return
    drop_children(call.tenant, "collection_id", row["id"], ("prompts", "prompt_partials"))
    for child in children:
        _remove(call, child)
