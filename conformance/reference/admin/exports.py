"""Log exports: draft → in_progress → success, or stopped when cancelled on the way."""

from __future__ import annotations

import json
import time
from typing import Any

from conformance.reference.admin.audit import manages
from conformance.reference.admin.people import workspace_filter, workspace_of
from conformance.reference.admin.table import Table, organisation, owner_id, pick, public, total_of
from conformance.reference.admin.traffic import selected
from conformance.reference.core import Call, Gateway, Record, Refusal, handles, iso, new_uuid

EXPORTS = Table("log_exports", "log export", slugs=False)
TAKES = 0.2  # seconds an export takes at speed 1
MOST = 50_000  # lines of one export
DOWNLOADS = "/downloads/"  # the application serves what is behind a signed URL under this path


def _matching(call: Call, filters: Record) -> list[Record]:
    kept = selected(call.tenant, filters)
    size = min(int(filters.get("page_size", MOST)), MOST)
    start = int(filters.get("current_page", 0)) * size
    return kept[max(start, 0) : max(start + size, 0)]


def _column(entry: Record, name: str) -> Any:
    plain = {
        "created_at": iso(entry["created_at"]),
        "is_success": 200 <= entry["status"] < 300,
        "ai_org": entry["provider"],
        "ai_model": entry["model"],
        "req_units": entry["prompt_tokens"],
        "res_units": entry["completion_tokens"],
        "total_units": entry["prompt_tokens"] + entry["completion_tokens"],
        "request_url": entry["url"],
        "cost_currency": "USD",
        "response_time": entry["latency_ms"],
        "response_status_code": entry["status"],
        "mode": "single",
    }
    return plain[name] if name in plain else entry.get(name)


def _state(row: Record) -> str:
    """The status now: an export is done when someone looks after its time has passed."""
    if row["status"] == "in_progress" and time.monotonic() >= row["_ready"]:
        row |= {"status": "success", "last_updated_at": iso()}
    return str(row["status"])


def _view(row: Record) -> Record:
    _state(row)
    return public(row)


@manages("postLogsExports", "/logs/exports")
def create_export(call: Call) -> Record:
    body = call.body
    row = EXPORTS.add(
        call,
        {
            "organisation_id": organisation(call.tenant),
            **pick(body, "filters", "requested_data"),
            "status": "draft",
            "description": "Log export",
            "created_by": owner_id(call.tenant),
            "workspace_id": workspace_of(call, body.get("workspace_id")),
            "object": "export",
        },
    )
    return {"id": row["id"], "total": len(_matching(call, row["filters"])), "object": "export"}


@handles("getLogsExports")
def list_exports(call: Call) -> Record:
    workspace_id = workspace_filter(call, call.query.get("workspace_id"))
    rows = EXPORTS.listed(call, lambda row: workspace_id in (None, row["workspace_id"]))
    return {"object": "list", "total": total_of(call, rows), "data": [_view(row) for row in rows]}


def _find(call: Call) -> Record:
    return EXPORTS.find(call, call.path["exportId"])


@handles("getLogsExportsExportId")
def read_export(call: Call) -> Record:
    return _view(_find(call))


@manages("putLogsExportsExportId", "/logs/exports/{exportId}")
def update_export(call: Call) -> Record:
    row = _find(call)
    if row["status"] == "in_progress":
        raise Refusal(400, "A running export cannot be changed.")
    changes = pick(call.body, "filters", "requested_data")
    if "workspace_id" in call.body:
        changes["workspace_id"] = workspace_of(call, call.body["workspace_id"])
    EXPORTS.change(call, row, changes)
    return {"id": row["id"], "total": len(_matching(call, row["filters"])), "object": "export"}


@manages("postLogsExportsExportIdStart", "/logs/exports/{exportId}/start")
def start_export(call: Call) -> Record:
    row = _find(call)
    if row["status"] != "draft":
        raise Refusal(400, f"Only a draft can be started; this export is {row['status']}.")
    EXPORTS.change(call, row, {"status": "in_progress"})
    row["_ready"] = time.monotonic() + TAKES * call.gateway.speed
    return {"message": "Export started", "object": "export"}


@manages("postLogsExportsExportIdCancel", "/logs/exports/{exportId}/cancel")
def cancel_export(call: Call) -> Record:
    row = _find(call)
    if row["status"] != "in_progress":
        raise Refusal(400, f"Only a running export can be cancelled; this one is {row['status']}.")
    EXPORTS.change(call, row, {"status": "stopped"})
    return {"message": "Export cancelled", "object": "export"}


@handles("getLogsExportsExportIdDownload")
def download_export(call: Call) -> Record:
    row = _find(call)
    if _state(row) != "success":
        raise Refusal(400, f"Only a finished export can be downloaded; this one is {row['status']}.")
    lines = [
        json.dumps({name: _column(entry, name) for name in row["requested_data"]}, default=str)
        for entry in _matching(call, row["filters"])
    ]
    token = new_uuid()
    row["_downloads"] = {token: "".join(line + "\n" for line in lines).encode()}  # the newest URL is valid
    host = call.headers.get("host") or "gateway.example"
    return {"signed_url": f"http://{host}{DOWNLOADS}{token}"}


def exported(gateway: Gateway, token: str) -> bytes | None:
    """The JSON lines behind a signed URL; None when the token opens nothing."""
    for tenant in gateway.tenants.values():
        for row in EXPORTS.rows(tenant).values():
            if token in row.get("_downloads", {}):
                return bytes(row["_downloads"][token])
    return None
