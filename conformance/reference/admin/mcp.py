"""MCP integrations: tool servers, who may use them, and what they offer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conformance.reference.admin.audit import manages
from conformance.reference.admin.people import WORKSPACES, home, workspace_filter, workspace_of
from conformance.reference.admin.table import (
    Table,
    drop_children,
    matches,
    organisation,
    own_organisation,
    owner_id,
    pick,
    public,
    slugify,
    total_of,
    window,
)
from conformance.reference.core import Call, Record, Refusal, handles, iso

MCP_INTEGRATIONS = Table("mcp_integrations", "MCP integration")
KINDS = ("tool", "prompt", "resource", "resource_template")
_FIELDS = ("name", "description", "configurations", "url", "auth_type", "transport")


def _offered(now: str) -> dict[str, Record]:
    """What the last look at the server found; keyed by kind and name."""
    found: list[Record] = [
        {"name": "echo", "type": "tool", "title": "Echo", "input_schema": {"type": "object"}},
        {"name": "fetch", "type": "tool", "title": "Fetch", "input_schema": {"type": "object"}},
        {"name": "summarise", "type": "prompt", "title": "Summarise", "arguments": []},
        {
            "name": "readme",
            "type": "resource",
            "uri": "file:///readme.md",
            "mime_type": "text/markdown",
            "size": 512,
        },
        {"name": "document", "type": "resource_template", "uri_template": "file:///{path}"},
    ]
    return {key_of(one): _capability(one, now) for one in found}


def _capability(one: Mapping[str, Any], now: str) -> Record:
    times = {"created_at": now, "last_updated_at": now}
    return {"title": None, "description": None, "icons": None, "enabled": True, **times, **one}


def key_of(capability: Mapping[str, Any]) -> str:
    return f"{capability['type']}:{capability['name']}"


@manages("McpIntegrations_create", "/mcp-integrations")
def create_mcp_integration(call: Call) -> Record:
    body = call.body
    own = own_organisation(call, body.get("organisation_id"))
    scoped = body.get("workspace_id") not in (None, "")
    workspace_id = workspace_of(call, body["workspace_id"]) if scoped else None
    MCP_INTEGRATIONS.refuse_taken(call.tenant, body.get("slug"))
    row = MCP_INTEGRATIONS.add(
        call,
        {
            "slug": body.get("slug") or slugify(body["name"]),
            "organisation_id": own,
            "workspace_id": workspace_id,
            "owner_id": owner_id(call.tenant),
            "status": "active",
            "type": "workspace" if scoped else "organisation",
            "description": None,
            "configurations": {},
            **pick(body, *_FIELDS),
            "object": "mcp-integration",
            "_capabilities": _offered(iso()),
            "_workspaces": {},
            "_global": None,
        },
    )
    if workspace_id is not None:
        _allow(row, workspace_id, True)
    return {"id": row["id"], "slug": row["slug"]}


def find(call: Call) -> Record:
    return MCP_INTEGRATIONS.find(call, call.path["mcpIntegrationId"])


@handles("McpIntegrations_list")
def list_mcp_integrations(call: Call) -> Record:
    query = call.query
    kind, workspace_id = query.get("type", "all"), workspace_filter(call, query.get("workspace_id"))
    rows = MCP_INTEGRATIONS.listed(
        call,
        lambda row: (
            kind in ("all", row["type"])
            and query.get("organisation_id") in (None, organisation(call.tenant))
            and (workspace_id is None or bool(_access(call, row).get(workspace_id, {}).get("enabled")))
            and matches(row, query.get("search"), "name", "slug")
        ),
    )
    page = [
        public(row) | {"workspaces_count": sum(one["enabled"] for one in _access(call, row).values())}
        for row in window(rows, query)
    ]
    done = int(query.get("current_page", 0)) * int(query.get("page_size", 100)) + len(page)
    return {"data": page, "total": total_of(call, rows), "has_more": bool(page) and done < len(rows)}


@handles("McpIntegrations_retrieve")
def read_mcp_integration(call: Call) -> Record:
    row = find(call)
    return public(row) | {"global_workspace_access": row["_global"]}


@manages("McpIntegrations_update", "/mcp-integrations/{mcpIntegrationId}")
def update_mcp_integration(call: Call) -> Record:
    row = find(call)
    if not call.body:
        raise Refusal(400, "Nothing to change was sent.")
    MCP_INTEGRATIONS.change(call, row, pick(call.body, *_FIELDS))
    return {}


@manages("McpIntegrations_delete", "/mcp-integrations/{mcpIntegrationId}")
def delete_mcp_integration(call: Call) -> Record:
    row = find(call)
    MCP_INTEGRATIONS.remove(call, row)
    if not call.fault("delete-keeps-resource"):
        drop_children(call.tenant, "_integration", row["id"], ("mcp_servers",))
    return {}


@handles("McpIntegrationMetadata_retrieve")
def read_metadata(call: Call) -> Record:
    row = find(call)
    return {
        "server_name": row["name"],
        "server_version": "1.0.0",
        "protocol_version": "2025-06-18",
        "capability_flags": {"tools": True, "prompts": True, "resources": True},
        "sync_status": "success",
        "last_synced_at": row["created_at"],
        "sync_error": None,
    }


# --- workspaces ------------------------------------------------------------------------------------


def _allow(row: Record, workspace_id: str, enabled: bool) -> None:
    now = iso()
    known = row["_workspaces"].get(workspace_id, {"id": workspace_id, "status": "active", "created_at": now})
    row["_workspaces"][workspace_id] = known | {"enabled": enabled, "last_updated_at": now}


def _access(call: Call, row: Record) -> dict[str, Record]:
    home(call.tenant)
    known = WORKSPACES.rows(call.tenant)
    out = {key: access for key, access in row["_workspaces"].items() if key in known}
    if row["_global"] is not None and row["type"] == "organisation":
        for key in known:
            times = {"created_at": row["created_at"], "last_updated_at": row["last_updated_at"]}
            enabled = bool(row["_global"].get("enabled"))
            out.setdefault(key, {"id": key, "enabled": enabled, "status": "active", **times})
    return out


@handles("McpIntegrationWorkspaces_list")
def list_mcp_access(call: Call) -> Record:
    row = find(call)
    access = [public(one) for one in _access(call, row).values()]
    if call.query.get("version") is None:
        return {"workspaces": access, "global_workspace_access": row["_global"]}
    return {"data": access, "global_workspace_access": row["_global"], "total": total_of(call, access)}


@manages("McpIntegrationWorkspaces_bulkUpdate", "/mcp-integrations/{mcpIntegrationId}/workspaces")
def update_mcp_access(call: Call) -> Record:
    row, body = find(call), call.body
    wanted = [(workspace_of(call, one["id"]), one["enabled"]) for one in body["workspaces"]]
    if call.fault("update-forgotten"):
        return {}
    if "global_workspace_access" in body:
        row["_global"] = pick(body, "global_workspace_access")["global_workspace_access"]
        if body.get("override_existing_workspace_access") and row["_global"] is not None:
            for key in row["_workspaces"]:
                _allow(row, key, bool(row["_global"].get("enabled")))
    for workspace_id, enabled in wanted:
        _allow(row, workspace_id, enabled)
    return {}


# --- capabilities ----------------------------------------------------------------------------------


def capability_page(call: Call, capabilities: list[Record]) -> Record:
    """Pages count from 1 here; the counts are over all kinds, whatever the filter."""
    query = call.query
    kept = [one for one in capabilities if query.get("type") in (None, one["type"])]
    page, size = int(query.get("page", 1)), int(query.get("page_size", 100))
    counts = {
        f"{kind}s": {
            "total": sum(one["type"] == kind for one in capabilities),
            "enabled": sum(one["type"] == kind and one["enabled"] for one in capabilities),
        }
        for kind in KINDS
    }
    return {
        "data": [public(one) for one in kept[(page - 1) * size : page * size]],
        "counts": counts,
        "total": total_of(call, kept),
        "has_more": page * size < len(kept),
    }


@handles("McpIntegrationCapabilities_list")
def list_capabilities(call: Call) -> Record:
    return capability_page(call, list(find(call)["_capabilities"].values()))


@manages("McpIntegrationCapabilities_bulkUpdate", "/mcp-integrations/{mcpIntegrationId}/capabilities")
def update_capabilities(call: Call) -> Record:
    """A capability the server has not shown yet is kept for when it does."""
    row, now = find(call), iso()
    if call.fault("update-forgotten"):
        return {"success": True}
    for sent in call.body["capabilities"]:
        known = row["_capabilities"].get(key_of(sent)) or _capability(pick(sent, "name", "type"), now)
        row["_capabilities"][key_of(sent)] = known | {"enabled": sent["enabled"], "last_updated_at": now}
    return {"success": True}
