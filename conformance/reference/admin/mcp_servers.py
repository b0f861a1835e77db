"""MCP servers: a workspace's use of an MCP integration."""

from __future__ import annotations

from conformance.reference.admin.audit import manages
from conformance.reference.admin.mcp import MCP_INTEGRATIONS, capability_page, key_of
from conformance.reference.admin.people import (
    USERS,
    WORKSPACES,
    home,
    user_of,
    workspace_filter,
    workspace_of,
)
from conformance.reference.admin.table import (
    Table,
    matches,
    organisation,
    owner_id,
    pick,
    public,
    slugify,
    total_of,
    window,
)
from conformance.reference.core import Call, Record, Refusal, handles

MCP_SERVERS = Table("mcp_servers", "MCP server")


@manages("McpServers_create", "/mcp-servers")
def create_mcp_server(call: Call) -> Record:
    body = call.body
    integration = MCP_INTEGRATIONS.find(call, body["mcp_integration_id"])
    workspace_id = workspace_of(call, body.get("workspace_id"))
    MCP_SERVERS.refuse_taken(call.tenant, body.get("slug"))
    row = MCP_SERVERS.add(
        call,
        {
            "organisation_id": organisation(call.tenant),
            "slug": body.get("slug") or slugify(body["name"]),
            "description": None,
            **pick(body, "name", "description", "mcp_integration_id"),
            "status": "active",
            "owner_id": owner_id(call.tenant),
            "workspace_id": workspace_id,
            "object": "mcp-server",
            "_integration": integration["id"],
            "_off": {},
            "_access": {},
            "_default_access": "allow",
        },
    )
    return {"id": row["id"], "slug": row["slug"]}


def _find(call: Call) -> tuple[Record, Record]:
    row = MCP_SERVERS.find(call, call.path["mcpServerId"])
    return row, MCP_INTEGRATIONS.find(call, row["_integration"])


def _listed(call: Call, row: Record) -> Record:
    integration = MCP_INTEGRATIONS.find(call, row["_integration"])
    workspace = WORKSPACES.peek(call.tenant, row["workspace_id"]) or {}
    return public(row) | {
        "mcp_integration_slug": integration["slug"],
        "mcp_integration_url": integration["url"],
        "auth_type": integration["auth_type"],
        "workspace_name": workspace.get("name"),
        "workspace_slug": workspace.get("slug"),
        "url": f"https://gateway.example/{row['slug']}/mcp",
    }


@handles("McpServers_list")
def list_mcp_servers(call: Call) -> Record:
    query = call.query
    workspace_id = workspace_filter(call, query.get("workspace_id"))
    wanted = None if query.get("id") is None else {one.strip() for one in query["id"].split(",")}
    rows = MCP_SERVERS.listed(
        call,
        lambda row: (
            workspace_id in (None, row["workspace_id"])
            and (wanted is None or row["id"] in wanted)
            and matches(row, query.get("search"), "name", "slug")
        ),
    )
    return {"data": [_listed(call, row) for row in window(rows, query)], "total": total_of(call, rows)}


@handles("McpServers_retrieve")
def read_mcp_server(call: Call) -> Record:
    row, integration = _find(call)
    fields = ("id", "slug", "status", "configurations", "url", "transport", "auth_type")
    return public(row) | {"mcp_integration_details": pick(integration, *fields)}


@manages("McpServers_update", "/mcp-servers/{mcpServerId}")
def update_mcp_server(call: Call) -> Record:
    row, _ = _find(call)
    if not call.body:
        raise Refusal(400, "Nothing to change was sent.")
    MCP_SERVERS.change(call, row, pick(call.body, "name", "description"))
    return {}


@manages("McpServers_delete", "/mcp-servers/{mcpServerId}")
def delete_mcp_server(call: Call) -> Record:
    row, _ = _find(call)
    MCP_SERVERS.remove(call, row)
    return {}


@manages("McpServers_test", "/mcp-servers/{mcpServerId}/test")
def test_mcp_server(call: Call) -> Record:
    """The reference opens no connections: a server counts as reachable when its URL is one of the web."""
    row, integration = _find(call)
    reachable = str(integration["url"]).lower().startswith(("http://", "https://"))
    return {
        "success": reachable,
        "status_code": 200 if reachable else None,
        "response_time_ms": 12 if reachable else None,
        "url": integration["url"],
        "server_name": row["name"],
        "error": None if reachable else "The URL of the integration is not an HTTP address.",
    }


@handles("McpServerCapabilities_list")
def list_server_capabilities(call: Call) -> Record:
    row, integration = _find(call)
    merged = [
        {k: v for k, v in one.items() if k not in ("created_at", "last_updated_at")}
        | {"enabled": one["enabled"] and not row["_off"].get(key), "integration_enabled": one["enabled"]}
        for key, one in integration["_capabilities"].items()
    ]
    unseen = [
        {"name": key.partition(":")[2], "type": key.partition(":")[0], "enabled": not off}
        for key, off in row["_off"].items()
        if key not in integration["_capabilities"]
    ]
    return capability_page(call, merged + unseen)


@manages("McpServerCapabilities_bulkUpdate", "/mcp-servers/{mcpServerId}/capabilities")
def update_server_capabilities(call: Call) -> Record:
    """A capability the server has not shown yet is kept for when it does; one that is off stays off."""
    row, integration = _find(call)
    for sent in call.body["capabilities"]:
        offered = integration["_capabilities"].get(key_of(sent))
        if offered is not None and sent["enabled"] and not offered["enabled"]:
            raise Refusal(400, "The integration does not allow this capability.", param="capabilities")
    if not call.fault("update-forgotten"):
        row["_off"] |= {key_of(sent): not sent["enabled"] for sent in call.body["capabilities"]}
    return {"success": True}


@handles("McpServerUserAccess_list")
def list_user_access(call: Call) -> Record:
    row, _ = _find(call)
    home(call.tenant)
    query = call.query
    users = [
        user
        for user in USERS.rows(call.tenant).values()
        if matches(user, query.get("search"), "first_name", "last_name", "email")
    ]
    page, size = int(query.get("page", 1)), int(query.get("page_size", 100))
    data = [
        {
            "user_id": user["id"],
            "first_name": user["first_name"],
            "last_name": user["last_name"],
            "enabled": row["_access"].get(user["id"], row["_default_access"] == "allow"),
            "has_override": user["id"] in row["_access"],
            "connection_status": "not_connected",
        }
        for user in users[(page - 1) * size : page * size]
    ]
    return {
        "data": data,
        "default_user_access": row["_default_access"],
        "total": total_of(call, users),
        "has_more": page * size < len(users),
    }


@manages("McpServerUserAccess_bulkUpdate", "/mcp-servers/{mcpServerId}/user-access")
def update_user_access(call: Call) -> Record:
    row, _ = _find(call)
    wanted = {user_of(call, one["user_id"])["id"]: one["enabled"] for one in call.body.get("user_access", [])}
    if not call.fault("update-forgotten"):
        row["_access"] |= wanted
        row["_default_access"] = call.body.get("default_user_access", row["_default_access"])
    return {"success": True}
