"""Guardrails: checks and what to do when they fail. Unknown ids are answered 403, as documented."""

from __future__ import annotations

from conformance.reference.admin.audit import manages
from conformance.reference.admin.people import workspace_filter, workspace_of
from conformance.reference.admin.table import (
    Table,
    organisation,
    own_organisation,
    owner_id,
    pick,
    public,
    slugify,
    total_of,
    window,
)
from conformance.reference.core import Call, Record, handles, new_uuid

GUARDRAILS = Table("guardrails", "guardrail", missing=403)


@manages("createGuardrail", "/guardrails")
def create_guardrail(call: Call) -> Record:
    body = call.body
    own = own_organisation(call, body.get("organisation_id"))
    for_all = "organisation_id" in body and "workspace_id" not in body
    row = GUARDRAILS.add(
        call,
        {
            "name": body["name"],
            "slug": slugify(body["name"], "pg", limit=16),
            "organisation_id": own,
            "workspace_id": None if for_all else workspace_of(call, body.get("workspace_id")),
            "status": "active",
            "owner_id": owner_id(call.tenant),
            "updated_by": None,
            "_version": new_uuid(),
            "_content": pick(body, "checks", "actions"),
        },
    )
    return {"id": row["id"], "slug": row["slug"], "version_id": row["_version"]}


@handles("listGuardrails")
def list_guardrails(call: Call) -> Record:
    query = call.query
    asked = query.get("organisation_id")
    workspace_id = workspace_filter(call, query.get("workspace_id"))
    rows = GUARDRAILS.listed(
        call,
        lambda row: (
            workspace_id in (None, row["workspace_id"]) and asked in (None, organisation(call.tenant))
        ),
    )
    return {"data": [public(row) for row in window(rows, query)], "total": total_of(call, rows)}


@handles("getGuardrail")
def read_guardrail(call: Call) -> Record:
    row = GUARDRAILS.find(call, call.path["guardrailId"])
    return public(row) | public(row["_content"])


@manages("updateGuardrail", "/guardrails/{guardrailId}")
def update_guardrail(call: Call) -> Record:
    row = GUARDRAILS.find(call, call.path["guardrailId"])
    changes = pick(call.body, "name")
    changes["_content"] = row["_content"] | pick(call.body, "checks", "actions")
    changes |= {"_version": new_uuid(), "updated_by": owner_id(call.tenant)}
    GUARDRAILS.change(call, row, changes)
    return {"id": row["id"], "slug": row["slug"], "version_id": changes["_version"]}


@manages("deleteGuardrail", "/guardrails/{guardrailId}")
def delete_guardrail(call: Call) -> Record:
    GUARDRAILS.remove(call, GUARDRAILS.find(call, call.path["guardrailId"]))
    return {}
