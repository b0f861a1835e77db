"""Labels: names that mark prompt versions."""

from __future__ import annotations

import re

from conformance.reference.admin.audit import manages
from conformance.reference.admin.people import workspace_filter, workspace_of
from conformance.reference.admin.table import (
    Table,
    matches,
    organisation,
    own_organisation,
    pick,
    public,
    total_of,
    window,
)
from conformance.reference.core import Call, Record, Refusal, handles

LABELS = Table("labels", "label", slugs=False)
_RESERVED = re.compile(r"latest|default|[0-9]+")


def _check_name(call: Call, name: str, workspace_id: str | None, but: str | None = None) -> None:
    if _RESERVED.fullmatch(name):
        raise Refusal(400, f"A label cannot be named '{name}'.", param="name", code="invalid_value")
    for row in LABELS.rows(call.tenant).values():
        if row["name"] == name and row.get("workspace_id") == workspace_id and row["id"] != but:
            raise Refusal(409, "A label of this name exists.", param="name", code="conflict")


@manages("createLabel", "/labels")
def create_label(call: Call) -> Record:
    body = call.body
    own = own_organisation(call, body.get("organisation_id"))
    universal = "organisation_id" in body and "workspace_id" not in body
    workspace_id = None if universal else workspace_of(call, body.get("workspace_id"))
    _check_name(call, body["name"], workspace_id)
    row = LABELS.add(
        call,
        {
            "name": body["name"],
            "description": body.get("description", ""),
            "color_code": body.get("color_code", "#000000"),
            "organisation_id": own,
            **({} if workspace_id is None else {"workspace_id": workspace_id}),
            "is_universal": universal,
            "status": "active",
        },
    )
    return {"id": row["id"]}


def _visible(call: Call, row: Record) -> bool:
    asked = call.query.get("organisation_id")
    workspace_id = workspace_filter(call, call.query.get("workspace_id"))
    return asked in (None, organisation(call.tenant)) and (
        workspace_id is None or row["is_universal"] or row.get("workspace_id") == workspace_id
    )


@handles("listLabels")
def list_labels(call: Call) -> Record:
    search = call.query.get("search")
    rows = LABELS.listed(call, lambda row: _visible(call, row) and matches(row, search, "name"))
    return {"total": total_of(call, rows), "data": [public(row) for row in window(rows, call.query)]}


@handles("getLabel")
def read_label(call: Call) -> Record:
    row = LABELS.find(call, call.path["labelId"])
    if call.query.get("organisation_id") not in (None, organisation(call.tenant)):
        raise LABELS.unknown(call.path["labelId"])
    return public(row)


@manages("updateLabel", "/labels/{labelId}")
def update_label(call: Call) -> Record:
    row = LABELS.find(call, call.path["labelId"])
    changes = pick(call.body, "name", "description", "color_code")
    if "name" in changes:
        _check_name(call, changes["name"], row.get("workspace_id"), but=row["id"])
    LABELS.change(call, row, changes)
    return {}


@manages("deleteLabel", "/labels/{labelId}")
def delete_label(call: Call) -> Record:
    row = LABELS.find(call, call.path["labelId"])
    LABELS.remove(call, row)
    if not call.fault("delete-keeps-resource"):
        for versions in (prompt["_versions"] for prompt in call.tenant.of("prompts").values()):
            for version in versions:
                if version.get("label_id") == row["id"]:
                    del version["label_id"]
    return {}
