"""Users, invites, workspaces and their members."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from conformance.reference.admin.audit import manages
from conformance.reference.admin.table import (
    Table,
    derived_uuid,
    drop_children,
    is_email,
    organisation,
    owner_id,
    pick,
    public,
    total_of,
    window,
)
from conformance.reference.core import Call, Record, Refusal, Tenant, handles, iso, new_uuid

USERS = Table("users", "user", slugs=False)
INVITES = Table("invites", "invite", slugs=False)
WORKSPACES = Table("workspaces", "workspace")
INVITE_DAYS = 7
DISPOSABLE = 40  # seeded users whose removal nobody misses: the API has no way to make one
CHILDREN = (
    "collections", "labels", "prompts", "prompt_partials", "guardrails", "configs", "integrations",
    "providers", "virtual_keys", "mcp_integrations", "mcp_servers", "usage_policies", "rate_policies",
)  # fmt: skip
MEMBER_SCOPES = ["workspaces.read", "logs.list", "logs.view", "prompts.read", "prompts.list", "configs.read"]
MANAGER_SCOPES = [
    *MEMBER_SCOPES,
    "prompts.create",
    "configs.create",
    "virtual_keys.create",
    "workspace_users.create",
]


def _user(tenant: Tenant, word: str, role: str) -> Record:
    now = iso()
    return {
        "object": "user",
        "id": derived_uuid(tenant.id, word),
        "first_name": word.split("-")[0].capitalize(),
        "last_name": "Example",
        "role": role,
        "email": f"{word}.{derived_uuid(tenant.id)[:8]}@example.com",
        "created_at": now,
        "last_updated_at": now,
    }


def _workspace(name: str, identifier: str) -> Record:
    """Its id is its slug and a UUID: the contract wants all three of what refers to it."""
    return {
        "object": "workspace",
        "id": identifier,
        "slug": identifier,
        "name": name,
        "description": None,
        "defaults": {
            "metadata": {},
            "is_default": 0,
            "input_guardrails": [],
            "output_guardrails": [],
            "object": "workspace",
        },
        "usage_limits": [],
        "rate_limits": [],
        "status": "active",
        "_members": {},
    }


def home(tenant: Tenant) -> Record:
    """The tenant's default workspace; the tenant's people and first things are made on first use."""
    workspace_id = derived_uuid(tenant.id, "workspace")
    rows = WORKSPACES.rows(tenant)
    if workspace_id not in rows:
        for word, role in [("owner", "owner"), ("admin", "admin"), ("member", "member")] + [
            (f"guest-{number}", "member") for number in range(1, DISPOSABLE + 1)
        ]:
            user = _user(tenant, word, role)
            USERS.rows(tenant)[user["id"]] = user
        now = iso()
        shared = _workspace("Shared workspace", workspace_id) | {"created_at": now, "last_updated_at": now}
        shared["defaults"]["is_default"] = 1
        shared["_born"] = public(shared)
        rows[workspace_id] = shared
        for word, role in [("owner", "admin"), ("admin", "manager"), ("member", "member")]:
            _join(shared, derived_uuid(tenant.id, word), role)
    return rows[workspace_id]


def workspace_of(call: Call, given: Any) -> str:
    """The id of the workspace a request names by id or slug, or of the default one. Raises 404."""
    shared = home(call.tenant)
    if given in (None, ""):  # the contract's examples send an empty one
        return str(shared["id"])
    return str(WORKSPACES.find(call, given)["id"])


def workspace_filter(call: Call, given: Any) -> str | None:
    """The workspace id to filter a list by: None for all, an impossible id for an unknown one."""
    if given in (None, ""):
        return None
    home(call.tenant)
    found = WORKSPACES.peek(call.tenant, str(given))
    return str(found["id"]) if found else "-"


def user_of(call: Call, given: Any) -> Record:
    home(call.tenant)
    return USERS.find(call, given)


def _join(workspace: Record, user_id: str, role: str) -> None:
    now = iso()
    known = workspace["_members"].get(user_id, {"created_at": now})
    workspace["_members"][user_id] = known | {"role": role, "last_updated_at": now}


def _member(tenant: Tenant, workspace: Record, user_id: str) -> Record:
    user, membership = USERS.rows(tenant)[user_id], workspace["_members"][user_id]
    return {
        "object": "workspace-user",
        "id": user_id,
        "first_name": user["first_name"],
        "last_name": user["last_name"],
        "org_role": user["role"],
        "role": membership["role"],
        "created_at": membership["created_at"],
        "last_updated_at": membership["last_updated_at"],
        "status": "active",
        "workspace_id": workspace["id"],
        "email": user["email"],
        "scopes": MEMBER_SCOPES if membership["role"] == "member" else MANAGER_SCOPES,
        "settings": None,
    }


# --- users -----------------------------------------------------------------------------------------


def _user_view(tenant: Tenant, user: Record) -> Record:
    member_of = [w["id"] for w in WORKSPACES.rows(tenant).values() if user["id"] in w["_members"]]
    return public(user) | {"workspace_ids": member_of}


def _same(record: Mapping[str, Any], query: Mapping[str, Any], *names: str) -> bool:
    return all(query.get(name) is None or record.get(name) == query[name] for name in names)


@handles("getAdminUsers")
def list_users(call: Call) -> Record:
    home(call.tenant)
    rows = USERS.listed(call, lambda user: _same(user, call.query, "role", "email"))
    page = [_user_view(call.tenant, user) for user in window(rows, call.query)]
    return {"total": total_of(call, rows), "object": "list", "data": page}


@handles("getAdminUsersUserId")
def read_user(call: Call) -> Record:
    return _user_view(call.tenant, user_of(call, call.path["userId"]))


@manages("putAdminUsersUserId", "/admin/users/{userId}")
def update_user(call: Call) -> Record:
    user = user_of(call, call.path["userId"])
    changes = pick(call.body, "role")
    if user["role"] == "owner" and changes:
        raise Refusal(400, "The role of the owner cannot be changed.", param="role")
    USERS.change(call, user, changes)
    return {}


@manages("deleteAdminUsersUserId", "/admin/users/{userId}")
def delete_user(call: Call) -> Record:
    user = user_of(call, call.path["userId"])
    if user["role"] == "owner":
        raise Refusal(400, "The owner of the organisation cannot be removed.")
    if not call.fault("delete-keeps-resource"):
        for workspace in WORKSPACES.rows(call.tenant).values():
            workspace["_members"].pop(user["id"], None)
    USERS.remove(call, user)
    return {}


# --- invites ---------------------------------------------------------------------------------------


def _link(invite: Record) -> str:
    return f"https://gateway.example/invite/{invite['id']}"


@manages("Invites_create", "/admin/users/invites")
def create_invite(call: Call) -> Record:
    body = call.body
    if not is_email(body["email"]):
        raise Refusal(400, "'email' is not an email address.", param="email", code="invalid_value")
    workspaces = [
        {"workspace_id": workspace_of(call, item["id"]), "role": item["role"]} for item in body["workspaces"]
    ]
    now = time.time()
    invite = INVITES.add(
        call,
        {
            "object": "invite",
            "email": body["email"],
            "role": body["role"],
            "created_at": iso(now),
            "expires_at": iso(now + INVITE_DAYS * 86_400),
            "status": "pending",
            "invited_by": owner_id(call.tenant),
            "workspaces": workspaces,
            **({"workspace_api_key_details": d} if (d := body.get("workspace_api_key_details")) else {}),
        },
    )
    return {"id": invite["id"], "invite_link": _link(invite)}


@handles("getAdminUsersInvites")
def list_invites(call: Call) -> Record:
    rows = INVITES.listed(call, lambda row: _same(row, call.query, "role", "email", "status"))
    return {
        "object": "list",
        "total": total_of(call, rows),
        "data": [public(row) for row in window(rows, call.query)],
    }


@handles("getAdminUsersInvitesInviteId")
def read_invite(call: Call) -> Record:
    return public(INVITES.find(call, call.path["inviteId"]))


@manages("deleteAdminUsersInvitesInviteId", "/admin/users/invites/{inviteId}")
def delete_invite(call: Call) -> Record:
    INVITES.remove(call, INVITES.find(call, call.path["inviteId"]))
    return {}


@manages("postAdminUsersInvitesInviteIdResend", "/admin/users/invites/{inviteId}/resend")
def resend_invite(call: Call) -> Record:
    return {"inviteLink": _link(INVITES.find(call, call.path["inviteId"]))}


# --- workspaces ------------------------------------------------------------------------------------


@manages("postAdminWorkspaces", "/admin/workspaces")
def create_workspace(call: Call) -> Record:
    body = call.body
    users = [user_of(call, identifier)["id"] for identifier in body.get("users", [])]
    workspace = _workspace(body.get("name", "Untitled workspace"), new_uuid())
    workspace |= pick(body, "description", "usage_limits", "rate_limits")
    workspace["defaults"] |= pick(body.get("defaults"), "metadata")
    for user_id in users:
        _join(workspace, user_id, "member")
    return public(WORKSPACES.add(call, workspace))


@handles("getAdminWorkspaces")
def list_workspaces(call: Call) -> Record:
    home(call.tenant)
    query = call.query
    statuses = None if query.get("status") is None else {s.strip() for s in query["status"].split(",")}
    rows = WORKSPACES.listed(
        call,
        lambda row: (
            (query.get("name") is None or query["name"] in row["name"])
            and (query.get("exact_name") is None or query["exact_name"] == row["name"])
            and (statuses is None or row["status"] in statuses)
        ),
    )
    page = [public(row) for row in window(rows, query)]
    return {"total": total_of(call, rows), "object": "list", "data": page}


@handles("getAdminWorkspacesWorkspaceId")
def read_workspace(call: Call) -> Record:
    workspace = _found(call)
    return public(workspace) | {
        "users": [_member(call.tenant, workspace, one) for one in workspace["_members"]]
    }


def _found(call: Call) -> Record:
    home(call.tenant)
    return WORKSPACES.find(call, call.path["workspaceId"])


@manages("putAdminWorkspacesWorkspaceId", "/admin/workspaces/{workspaceId}")
def update_workspace(call: Call) -> Record:
    workspace = _found(call)
    changes = pick(call.body, "name", "description", "usage_limits", "rate_limits")
    if "defaults" in call.body:
        sent = pick(call.body["defaults"], "metadata", "input_guardrails", "output_guardrails")
        changes["defaults"] = workspace["defaults"] | sent
    WORKSPACES.change(call, workspace, changes)
    return {}


@manages("deleteAdminWorkspacesWorkspaceId", "/admin/workspaces/{workspaceId}")
def delete_workspace(call: Call) -> Record:
    workspace = _found(call)
    if workspace["defaults"]["is_default"]:
        raise Refusal(400, "The default workspace cannot be deleted.")
    WORKSPACES.remove(call, workspace)
    if not call.fault("delete-keeps-resource"):
        drop_children(call.tenant, "workspace_id", workspace["id"], CHILDREN)
        keys = call.tenant.of("api_keys")
        for key in [key for key in keys.values() if key.get("workspace_id") == workspace["id"]]:
            call.gateway.keys.pop(key["_value"], None)
            del keys[key["id"]]
    return {}


# --- members ---------------------------------------------------------------------------------------


@manages("postAdminWorkspacesWorkspaceIdUsers", "/admin/workspaces/{workspaceId}/users")
def add_members(call: Call) -> Record:
    workspace = _found(call)
    added = []
    for item in call.body.get("users", []):
        if "id" not in item:
            raise Refusal(400, "Each user needs an 'id'.", param="users")
        added.append((user_of(call, item["id"])["id"], item.get("role", "member")))
    for user_id, role in added:
        _join(workspace, user_id, role)
    return {}


@handles("getAdminWorkspacesWorkspaceIdUsers")
def list_members(call: Call) -> Record:
    workspace = _found(call)
    members = [_member(call.tenant, workspace, one) for one in workspace["_members"]]
    kept = [one for one in members if _same(one, call.query, "role", "email")]
    if call.fault("list-omits-created"):
        kept = kept[:-1]
    return {"total": total_of(call, kept), "object": "list", "data": window(kept, call.query, 50)}


def _membership(call: Call) -> tuple[Record, str]:
    workspace = _found(call)
    user_id = call.path["userId"].lower()
    if user_id not in workspace["_members"]:
        raise USERS.unknown(call.path["userId"])
    return workspace, user_id


@handles("getAdminWorkspacesWorkspaceIdUsersUserId")
def read_member(call: Call) -> Record:
    return _member(call.tenant, *_membership(call))


@manages("putAdminWorkspacesWorkspaceIdUsersUserId", "/admin/workspaces/{workspaceId}/users/{userId}")
def update_member(call: Call) -> Record:
    workspace, user_id = _membership(call)
    if "role" in call.body and not call.fault("update-forgotten"):
        _join(workspace, user_id, call.body["role"])
    return {}


@manages("deleteAdminWorkspacesWorkspaceIdUsersUserId", "/admin/workspaces/{workspaceId}/users/{userId}")
def remove_member(call: Call) -> Record:
    workspace, user_id = _membership(call)
    if not call.fault("delete-keeps-resource"):
        del workspace["_members"][user_id]
    return {}


def givens(tenant: Tenant) -> dict[str, str]:
    """Ids of the people and places every tenant starts with."""
    shared = home(tenant)
    return {
        "user": derived_uuid(tenant.id, "member"),
        "disposable_user": derived_uuid(tenant.id, "guest-1"),
        "owner": owner_id(tenant),
        "organisation": organisation(tenant),
        "workspace": str(shared["id"]),
        "user_email": str(USERS.rows(tenant)[derived_uuid(tenant.id, "member")]["email"]),
    }
