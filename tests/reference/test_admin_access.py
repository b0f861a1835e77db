"""Who may do what: members, invites, MCP access, API keys."""

from __future__ import annotations

import pytest
from admin_families import mcp_integration
from admin_world import AdminWorld, fresh


@pytest.fixture
def world() -> AdminWorld:
    return AdminWorld()


def test_members_are_seen_from_both_sides(world: AdminWorld) -> None:
    """A member is in the workspace and the workspace in the user; a removed one is in neither."""
    place = world.ok("postAdminWorkspaces", {"name": "team"})["id"]
    user = world.given["user"]
    world.ok(
        "postAdminWorkspacesWorkspaceIdUsers", {"users": [{"id": user, "role": "admin"}]}, workspaceId=place
    )
    world.ok("putAdminWorkspacesWorkspaceIdUsersUserId", {"role": "manager"}, workspaceId=place, userId=user)
    [member] = world.ok("getAdminWorkspacesWorkspaceId", workspaceId=place)["users"]
    assert (member["id"], member["role"]) == (user, "manager")
    assert place in world.ok("getAdminUsersUserId", userId=user)["workspace_ids"]
    world.ok("deleteAdminWorkspacesWorkspaceIdUsersUserId", workspaceId=place, userId=user)
    assert world.status("getAdminWorkspacesWorkspaceIdUsersUserId", workspaceId=place, userId=user) == 404
    assert place not in world.ok("getAdminUsersUserId", userId=user)["workspace_ids"]


def test_a_removed_user_is_gone_and_the_owner_stays(world: AdminWorld) -> None:
    """404 afterwards; the owner can be neither removed nor demoted."""
    world.ok("putAdminUsersUserId", {"role": "admin"}, userId=world.given["user"])
    assert world.ok("getAdminUsersUserId", userId=world.given["user"])["role"] == "admin"
    world.ok("deleteAdminUsersUserId", userId=world.given["disposable_user"])
    assert world.status("getAdminUsersUserId", userId=world.given["disposable_user"]) == 404
    assert world.status("deleteAdminUsersUserId", userId=world.given["owner"]) == 400
    assert world.status("putAdminUsersUserId", {"role": "member"}, userId=world.given["owner"]) == 400


def test_an_invite_is_pending_and_can_be_sent_again(world: AdminWorld) -> None:
    """It expires after it was made, was not accepted, and stays pending when sent again."""
    body = {"email": "new@example.com", "role": "member", "workspaces": []}
    invite = world.ok("Invites_create", body)["id"]
    assert world.ok("postAdminUsersInvitesInviteIdResend", inviteId=invite)["inviteLink"]
    seen = world.ok("getAdminUsersInvitesInviteId", inviteId=invite)
    assert seen["status"] == "pending"
    assert seen["expires_at"] > seen["created_at"]
    assert "accepted_at" not in seen
    unknown = {**body, "workspaces": [{"id": "nowhere", "role": "member"}]}
    assert world.status("Invites_create", unknown) == 404


def test_mcp_capabilities_add_up_and_are_switched(world: AdminWorld) -> None:
    """Counts agree with the list; what an integration switches off its servers cannot switch on."""
    parent = mcp_integration(world)
    server = world.ok("McpServers_create", {"name": "s", "mcp_integration_id": parent})["id"]
    switch = {"capabilities": [{"name": "echo", "type": "tool", "enabled": False}]}
    world.ok("McpIntegrationCapabilities_bulkUpdate", switch, mcpIntegrationId=parent)
    answer = world.ok("McpServerCapabilities_list", mcpServerId=server)
    assert (
        sum(count["total"] for count in answer["counts"].values()) == answer["total"] == len(answer["data"])
    )
    [echo] = [one for one in answer["data"] if one["name"] == "echo"]
    assert (echo["enabled"], echo["integration_enabled"]) == (False, False)
    switch["capabilities"][0]["enabled"] = True
    assert world.status("McpServerCapabilities_bulkUpdate", switch, mcpServerId=server) == 400
    page = world.ok("McpServerCapabilities_list", query={"page_size": 2, "page": 2}, mcpServerId=server)
    assert (len(page["data"]), page["has_more"]) == (2, True)


def test_mcp_access_of_workspaces_and_users(world: AdminWorld) -> None:
    """Flags are read back in the shape the version asks for; users without an override follow the default."""
    parent, home = mcp_integration(world), world.given["workspace"]
    server = world.ok("McpServers_create", {"name": "s", "mcp_integration_id": parent})["id"]
    access = {"workspaces": [{"id": home, "enabled": True}]}
    world.ok("McpIntegrationWorkspaces_bulkUpdate", access, mcpIntegrationId=parent)
    plain = world.ok("McpIntegrationWorkspaces_list", mcpIntegrationId=parent)["workspaces"]
    paged = world.ok("McpIntegrationWorkspaces_list", query={"version": "2"}, mcpIntegrationId=parent)
    assert plain == paged["data"]
    assert paged["data"][0]["enabled"] is True
    users = {
        "user_access": [{"user_id": world.given["user"], "enabled": True}],
        "default_user_access": "deny",
    }
    world.ok("McpServerUserAccess_bulkUpdate", users, mcpServerId=server)
    seen = world.ok("McpServerUserAccess_list", mcpServerId=server)
    assert seen["default_user_access"] == "deny"
    assert {one["user_id"] for one in seen["data"] if one["enabled"]} == {world.given["user"]}
    assert all(one["enabled"] == one["has_override"] for one in seen["data"])


def test_a_new_api_key_opens_the_gateway_until_it_is_deleted(world: AdminWorld) -> None:
    """Its value is shown once; afterwards it is masked, and 401 once the key is gone."""
    path = {"type": "workspace", "sub-type": "service"}
    made = world.ok("postApiKeysTypeSubType", {"name": "k", "scopes": ["logs.view"]}, **path)
    assert made["key"] not in str([world.ok("getApiKeysId", id=made["id"]), world.ok("getApiKeys")])
    world.credentials["made"] = {"x-portkey-api-key": made["key"]}
    world.who = "made"
    assert world.status("listLabels") == 200
    assert world.status("createLabel", {"name": fresh("no")}) == 403
    world.who = "owner"
    world.ok("deleteApiKeysId", id=made["id"])
    world.who = "made"
    assert world.status("listLabels") == 401


def test_impossible_api_keys_are_refused(world: AdminWorld) -> None:
    """A user's key needs its user; organisations have service keys only."""
    body = {"name": "k", "scopes": []}
    workspace, organisation = (
        {"type": "workspace", "sub-type": "user"},
        {"type": "organisation", "sub-type": "user"},
    )
    assert world.status("postApiKeysTypeSubType", body, **workspace) == 400
    assert (
        world.status("postApiKeysTypeSubType", {**body, "user_id": world.given["user"]}, **organisation)
        == 400
    )


def test_the_fault_that_shows_secrets_shows_them() -> None:
    """With it on, a key can be read in clear after its creation: what the checks must catch."""
    world = AdminWorld(faults=("secret-shown-again",))
    made = world.ok(
        "postApiKeysTypeSubType", {"name": "k", "scopes": []}, type="workspace", **{"sub-type": "service"}
    )
    assert world.ok("getApiKeysId", id=made["id"])["key"] == made["key"]
