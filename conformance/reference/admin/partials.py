"""Prompt partials: reusable pieces of templates, versioned like prompts."""

from __future__ import annotations

from conformance.reference.admin.audit import manages
from conformance.reference.admin.folders import COLLECTIONS, default_collection
from conformance.reference.admin.people import workspace_of
from conformance.reference.admin.prompts import default_version, pinned
from conformance.reference.admin.table import Table, pick, public, slugify
from conformance.reference.core import Call, Record, Refusal, handles, iso, new_uuid

PARTIALS = Table("prompt_partials", "prompt partial")


def _version(number: int, string: str, description: str) -> Record:
    return {
        "id": new_uuid(),
        "number": number,
        "string": string,
        "description": description,
        "created_at": iso(),
    }


def _folder(call: Call, workspace_id: str) -> str:
    """The default collection of the workspace; a workspace without one uses its first."""
    default = default_collection(call.tenant)
    if default["workspace_id"] != workspace_id:
        for row in COLLECTIONS.rows(call.tenant).values():
            if row["workspace_id"] == workspace_id:
                return str(row["id"])
    return str(default["id"])


@manages("createPromptPartial", "/prompts/partials")
def create_partial(call: Call) -> Record:
    body = call.body
    workspace_id = workspace_of(call, body.get("workspace_id"))
    version = _version(1, body["string"], body.get("version_description", ""))
    partial = PARTIALS.add(
        call,
        {
            "slug": slugify(body["name"], "pl", limit=16),
            "name": body["name"],
            "collection_id": _folder(call, workspace_id),
            "workspace_id": workspace_id,
            "status": "active",
            "object": "partial",
            "_versions": [version],
            "_default": 1,
        },
    )
    return {"id": partial["id"], "slug": partial["slug"], "version_id": version["id"]}


@handles("listPromptPartials")
def list_partials(call: Call) -> list[Record]:
    wanted = call.query.get("collection_id")
    folder = None if wanted is None else COLLECTIONS.peek(call.tenant, wanted) or {"id": "-"}
    rows = PARTIALS.listed(call, lambda row: folder is None or row["collection_id"] == folder["id"])
    return [public(row) for row in rows]


@handles("getPromptPartial")
def read_partial(call: Call) -> Record:
    partial = PARTIALS.find(call, call.path["promptPartialId"])
    version = default_version(partial)
    return public(partial) | {
        "string": version["string"],
        "version": version["number"],
        "version_description": version["description"],
        "prompt_partial_version_id": version["id"],
    }


@manages("updatePromptPartial", "/prompts/partials/{promptPartialId}")
def update_partial(call: Call) -> Record:
    partial, body = PARTIALS.find(call, call.path["promptPartialId"]), call.body
    if body.get("status", "active") != "active":
        raise Refusal(400, "A partial can only be set active; delete it to archive it.", param="status")
    changes = pick(body, "name")
    latest = partial["_versions"][-1]
    if ("string" in body or "description" in body) and not call.fault("update-forgotten"):
        string, description = (
            body.get("string", latest["string"]),
            body.get("description", latest["description"]),
        )
        latest = _version(latest["number"] + 1, string, description)
        partial["_versions"].append(latest)
        changes["_default"] = latest["number"]
    PARTIALS.change(call, partial, changes)
    return {"prompt_partial_version_id": default_version(partial)["id"]}


@manages("deletePromptPartial", "/prompts/partials/{promptPartialId}")
def delete_partial(call: Call) -> Record:
    PARTIALS.remove(call, PARTIALS.find(call, call.path["promptPartialId"]))
    return {}


@handles("getPromptPartialVersions")
def list_partial_versions(call: Call) -> list[Record]:
    partial = PARTIALS.find(call, call.path["promptPartialId"])
    return [
        {
            "prompt_partial_id": partial["id"],
            "prompt_partial_version_id": version["id"],
            "slug": partial["slug"],
            "version": str(version["number"]),
            "string": version["string"],
            "description": version["description"],
            "created_at": version["created_at"],
            "prompt_version_status": "active" if version["number"] == partial["_default"] else "archived",
            "object": "partial",
        }
        for version in reversed(partial["_versions"])
    ]


@manages("updatePromptPartialDefault", "/prompts/partials/{promptPartialId}/makeDefault")
def make_partial_default(call: Call) -> Record:
    partial = PARTIALS.find(call, call.path["promptPartialId"])
    PARTIALS.change(call, partial, {"_default": pinned(partial, call.body["version"], "prompt partial")})
    return {}
