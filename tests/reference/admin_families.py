"""The families of the control plane: how each resource is created, read, listed, updated, deleted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from admin_world import EMAIL, AdminWorld, Body, fresh

FEEDBACK = {"feedback": {"value": 5, "weight": 1, "metadata": ""}}
ACTIONS = {"deny": True, "async": False, "on_success": FEEDBACK, "on_fail": FEEDBACK}
LIMITS = {"credit_limit": 10, "type": "cost", "alert_threshold": 8, "periodic_reset": "monthly"}


def at(value: Any, pointer: str) -> Any:
    for part in pointer.split(".") if pointer else ():
        value = value[part]
    return value


@dataclass(frozen=True)
class Family:
    """How one resource is reached. ``body`` makes the parents it needs and returns a create body."""

    create: str
    read: str
    listed: str
    delete: str
    param: str
    body: Callable[[AdminWorld], Body]
    update: str = ""
    changes: Body = field(default_factory=dict)
    path: Body = field(default_factory=dict)
    id_at: str = "id"
    inside: str = ""  # where the read answer holds the resource
    items: str = "data"
    match: str = "id"
    query: Body = field(default_factory=dict)
    unread: tuple[str, ...] = ()  # what was sent and is never shown as sent
    named: Body = field(default_factory=dict)  # sent name → name in the read answer
    gone: int = 404


def collection(world: AdminWorld) -> str:
    return str(world.ok("postCollections", {"name": fresh("folder")})["id"])


def integration(world: AdminWorld) -> str:
    body = {"name": fresh("int"), "ai_provider_id": "openai", "key": "sk-very-secret-value"}
    return str(world.ok("postIntegrations", body)["slug"])


def mcp_integration(world: AdminWorld) -> str:
    body = {"name": "tools", "url": "https://mcp.example.com/mcp", "auth_type": "none", "transport": "http"}
    return str(world.ok("McpIntegrations_create", body)["id"])


PROMPT = {"string": "Greet {{name}}.", "parameters": {"temperature": 0.5}, "model": "m", "virtual_key": "vk"}
AWS = {"aws_auth_type": "accessKey", "aws_access_key_id": "AKIA", "aws_secret_access_key": "hush-hush-hush"}
POLICY = {"conditions": [{"key": "workspace_id", "value": "w"}], "group_by": [{"key": "api_key"}]}

FAMILIES = {
    "collection": Family(
        "postCollections", "getCollectionsCollectionId", "getCollections", "deleteCollectionsCollectionId",
        "collectionId",
        lambda w: {
            "name": "box", "workspace_id": w.given["workspace"], "parent_collection_id": collection(w)
        },
        "putCollectionsCollectionId", {"name": "crate"},
    ),
    "label": Family(
        "createLabel", "getLabel", "listLabels", "deleteLabel", "labelId",
        lambda w: {
            "name": fresh("label"), "description": "d", "color_code": "#ff0000",
            "workspace_id": w.given["workspace"], "organisation_id": w.given["organisation"],
        },
        "updateLabel", {"description": "other"},
    ),
    "prompt": Family(
        "createPrompt", "getPrompt", "listPrompts", "deletePrompt", "promptId",
        lambda w: {
            "name": "greeter", "collection_id": collection(w), **PROMPT, "functions": [{"name": "f"}],
            "tools": [{"type": "function"}], "tool_choice": {"type": "auto"}, "template_metadata": {"a": 1},
            "version_description": "first",
        },
        "updatePrompt", {"name": "welcomer"},
        named={"version_description": "prompt_version_description"},
    ),
    "prompt partial": Family(
        "createPromptPartial", "getPromptPartial", "listPromptPartials", "deletePromptPartial",
        "promptPartialId", lambda w: {"name": "tone", "string": "Be brief.", "version_description": "first"},
        "updatePromptPartial", {"name": "voice"}, items="",
    ),
    "guardrail": Family(
        "createGuardrail", "getGuardrail", "listGuardrails", "deleteGuardrail", "guardrailId",
        lambda w: {
            "name": "words", "workspace_id": w.given["workspace"],
            "checks": [{"id": "default.wordCount", "parameters": {"minWords": 1, "maxWords": 9}}],
            "actions": ACTIONS,
        },
        "updateGuardrail", {"name": "sentences"}, gone=403,
    ),
    "config": Family(
        "createConfig", "getConfig", "listConfigs", "deleteConfig", "slug",
        lambda w: {
            "name": "retry", "workspace_id": w.given["workspace"],
            "config": {"retry": {"attempts": 3, "on_status_codes": [429]}, "x": 1},
        },
        "updateConfig", {"config": {"virtual_key": "vk"}}, id_at="data.id", inside="data",
    ),
    "integration": Family(
        "postIntegrations", "getIntegrationsSlug", "getIntegrations", "deleteIntegrationsSlug", "slug",
        lambda w: {
            "name": "Bedrock", "slug": fresh("bedrock"), "ai_provider_id": "bedrock", "description": "d",
            "key": "sk-very-secret-value", "configurations": {"custom_host": "https://x.example"},
        },
        "putIntegrationsSlug", {"description": "other"}, id_at="slug", match="slug", unread=("key",),
    ),
    "provider": Family(
        "postProviders", "getProvidersSlug", "getProviders", "deleteProvidersSlug", "slug",
        lambda w: {
            "name": "main", "integration_id": integration(w), "slug": fresh("main"), "note": "n",
            "usage_limits": LIMITS, "expires_at": "2099-01-01T00:00:00Z",
        },
        "putProvidersSlug", {"note": "other"}, id_at="slug", match="slug", query={"page_size": 500},
    ),
    "virtual key": Family(
        "postVirtualKeys", "getVirtualKeysSlug", "getVirtualKeys", "deleteVirtualKeysSlug", "slug",
        lambda w: {
            "name": "vk", "note": "n", "usage_limits": LIMITS, "key": "sk-very-secret-value",
            "expires_at": "2099-01-01T00:00:00Z",
        },
        "putVirtualKeysSlug", {"note": None}, id_at="data.slug", match="slug",
        query={"page_size": 500, "current_page": 0}, unread=("key",),
    ),
    "invite": Family(
        "Invites_create", "getAdminUsersInvitesInviteId", "getAdminUsersInvites",
        "deleteAdminUsersInvitesInviteId", "inviteId",
        lambda w: {
            "email": EMAIL, "role": "member", "workspaces": [{"id": w.given["workspace"], "role": "admin"}]
        },
        unread=("workspaces",),
    ),
    "workspace": Family(
        "postAdminWorkspaces", "getAdminWorkspacesWorkspaceId", "getAdminWorkspaces",
        "deleteAdminWorkspacesWorkspaceId", "workspaceId",
        lambda w: {
            "name": "team", "description": "d", "users": [w.given["user"]], "usage_limits": [LIMITS],
            "rate_limits": [{"type": "requests", "unit": "rpm", "value": 5}],
        },
        "putAdminWorkspacesWorkspaceId", {"name": "crew"}, unread=("users",),
    ),
    "MCP integration": Family(
        "McpIntegrations_create", "McpIntegrations_retrieve", "McpIntegrations_list",
        "McpIntegrations_delete", "mcpIntegrationId",
        lambda w: {
            "name": "tools", "url": "https://mcp.example.com/mcp", "auth_type": "none", "transport": "sse",
            "slug": fresh("tools"), "description": "d", "configurations": {"custom_headers": {"x-foo": "1"}},
        },
        "McpIntegrations_update", {"url": "https://mcp.example.com/other"},
    ),
    "MCP server": Family(
        "McpServers_create", "McpServers_retrieve", "McpServers_list", "McpServers_delete", "mcpServerId",
        lambda w: {
            "name": "srv", "slug": fresh("srv"), "description": "d", "mcp_integration_id": mcp_integration(w)
        },
        "McpServers_update", {"description": None},
    ),
    "API key": Family(
        "postApiKeysTypeSubType", "getApiKeysId", "getApiKeys", "deleteApiKeysId", "id",
        lambda w: {
            "name": "dev", "description": "d", "workspace_id": w.given["workspace"],
            "user_id": w.given["user"], "scopes": ["logs.view"], "usage_limits": LIMITS,
            "rate_limits": [{"type": "requests", "unit": "rpm", "value": 5}], "alert_emails": [EMAIL],
            "defaults": {"metadata": {"team": "red"}, "config_id": "c"}, "expires_at": "2099-01-01T00:00:00Z",
        },
        "putApiKeysId", {"name": "prod"}, path={"type": "workspace", "sub-type": "user"},
    ),
    "usage policy": Family(
        "createUsageLimitsPolicy", "getUsageLimitsPolicy", "listUsageLimitsPolicies",
        "deleteUsageLimitsPolicy", "policyUsageLimitsId",
        lambda w: {"name": "p", **POLICY, "type": "cost", "credit_limit": 9.5, "alert_threshold": 8},
        "updateUsageLimitsPolicy", {"credit_limit": 20},
    ),
    "rate policy": Family(
        "createRateLimitsPolicy", "getRateLimitsPolicy", "listRateLimitsPolicies",
        "deleteRateLimitsPolicy", "rateLimitsPolicyId",
        lambda w: {"name": "p", **POLICY, "type": "requests", "unit": "rpm", "value": 5},
        "updateRateLimitsPolicy", {"value": 7},
    ),
    "secret reference": Family(
        "createSecretReference", "getSecretReference", "listSecretReferences", "deleteSecretReference",
        "secretReferenceId",
        lambda w: {
            "name": "aws", "slug": fresh("aws"), "description": "d", "manager_type": "aws_sm",
            "auth_config": {**AWS, "aws_region": "eu-west-1"}, "secret_path": "a/b", "secret_key": "k",
            "allow_all_workspaces": True, "tags": {"team": "red"},
        },
        "updateSecretReference", {"secret_path": "c/d"}, unread=("auth_config",),
    ),
}  # fmt: skip
