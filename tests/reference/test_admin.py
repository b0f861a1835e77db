"""The control plane of the reference gateway: every resource from creation to its 404."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from admin_world import EMAIL, AdminWorld, Body, fresh

from conformance.reference.admin import FAULTS
from conformance.reference.core import HANDLERS

NOBODY = "00000000-0000-4000-8000-000000000000"
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
            "actions": {"deny": True},
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


@pytest.fixture
def world() -> AdminWorld:
    return AdminWorld()


@dataclass(frozen=True)
class Made:
    """A created resource and how to reach it."""

    world: AdminWorld
    family: Family
    sent: Body
    id: str

    def read(self) -> Body:
        found: Body = at(self.world.ok(self.family.read, **{self.family.param: self.id}), self.family.inside)
        return found

    def listed(self) -> list[Body]:
        answer = self.world.ok(self.family.listed, query=self.query())
        return [one for one in at(answer, self.family.items) if one[self.family.match] == self.id]

    def query(self) -> Body:
        scoped = (
            {"workspace_id": self.world.given["workspace"]} if self.family.create == "postCollections" else {}
        )
        return {**self.family.query, **scoped}

    def update(self, changes: Body) -> Any:
        return self.world.ok(self.family.update, changes, **{self.family.param: self.id})

    def delete(self) -> None:
        self.world.ok(self.family.delete, **{self.family.param: self.id})

    def read_status(self) -> int:
        return self.world.status(self.family.read, **{self.family.param: self.id})


def make(world: AdminWorld, name: str) -> Made:
    family = FAMILIES[name]
    sent = family.body(world)
    answer = world.ok(family.create, sent, **family.path)
    return Made(world, family, sent, str(at(answer, family.id_at)))


EACH = pytest.mark.parametrize("name", sorted(FAMILIES))
UPDATED = pytest.mark.parametrize("name", sorted(name for name, one in FAMILIES.items() if one.update))


@EACH
def test_what_was_created_is_read_as_it_was_sent(world: AdminWorld, name: str) -> None:
    """Every field that is not a secret comes back equal from the read operation."""
    made = make(world, name)
    seen = made.read()
    shown = {key: seen[made.family.named.get(key, key)] for key in made.sent if key not in made.family.unread}
    assert shown == {key: value for key, value in made.sent.items() if key not in made.family.unread}


@EACH
def test_what_was_created_is_listed_once_and_agrees(world: AdminWorld, name: str) -> None:
    """The list shows it exactly once, and no field differs from what the read operation says."""
    made = make(world, name)
    [item] = made.listed()
    seen = made.read()
    assert {k: v for k, v in item.items() if k in seen} == {k: seen[k] for k in item if k in seen}


@EACH
def test_two_creations_are_two_resources(world: AdminWorld, name: str) -> None:
    """Ids are never given twice."""
    assert make(world, name).id != make(world, name).id


@UPDATED
def test_an_update_changes_what_it_names_and_nothing_else(world: AdminWorld, name: str) -> None:
    """The sent fields are read back; all others but the time of the update stay as they were."""
    made = make(world, name)
    before = made.read()
    made.update(made.family.changes)
    after = made.read()
    moving = {"last_updated_at", "updated_by", "prompt_version_id", "version_id"}
    assert {k: after[k] for k in made.family.changes} == made.family.changes
    untouched = before.keys() - made.family.changes.keys() - moving
    assert {k: after[k] for k in untouched} == {k: before[k] for k in untouched}
    assert after.get("last_updated_at", "") >= before.get("last_updated_at", "")


@EACH
def test_what_was_deleted_is_gone(world: AdminWorld, name: str) -> None:
    """Reading, updating and deleting it again are refused, and no list shows it."""
    made = make(world, name)
    made.delete()
    assert made.read_status() == made.family.gone
    assert made.listed() == []
    assert world.status(made.family.delete, **{made.family.param: made.id}) == made.family.gone
    if made.family.update:
        changes, path = made.family.changes, {made.family.param: made.id}
        assert world.status(made.family.update, changes, **path) == made.family.gone


@EACH
def test_another_organisation_sees_nothing_of_it(world: AdminWorld, name: str) -> None:
    """A key of another tenant is told that the resource does not exist."""
    made = make(world, name)
    world.who = "other"
    assert made.read_status() == made.family.gone
    if name != "collection":  # its list is asked for by a workspace of the first tenant
        assert made.listed() == []
    assert world.status(made.family.delete, **{made.family.param: made.id}) == made.family.gone


@EACH
def test_pages_cover_the_list_without_overlap(world: AdminWorld, name: str) -> None:
    """Walking pages of two meets every item once; the total does not depend on the page."""
    family = FAMILIES[name]
    if family.items == "" or name == "config":
        pytest.skip("this list has no pages")
    made = [make(world, name) for _ in range(3)]
    people = name == "invite"
    size, number = ("pageSize", "currentPage") if people else ("page_size", "current_page")
    if name == "secret reference":
        pytest.skip("the contract declares no page size here")
    seen: list[str] = []
    for page in range(50):
        answer = world.ok(family.listed, query={**made[0].query(), size: 2, number: page})
        assert len(answer["data"]) <= 2
        if not answer["data"]:
            break
        seen += [one[family.match] for one in answer["data"]]
    assert len(seen) == len(set(seen)) == answer["total"]
    assert {one.id for one in made} <= set(seen)


ID_AND_SLUG = [
    "collection",
    "prompt",
    "prompt partial",
    "guardrail",
    "config",
    "MCP server",
    "secret reference",
]


@pytest.mark.parametrize("name", ID_AND_SLUG)
def test_id_and_slug_lead_to_the_same(world: AdminWorld, name: str) -> None:
    """Both identifiers read the same resource."""
    made = make(world, name)
    seen = made.read()
    again = world.ok(made.family.read, **{made.family.param: seen["slug"]})
    assert at(again, made.family.inside) == seen


@pytest.mark.parametrize(
    "name", ["integration", "provider", "MCP integration", "MCP server", "secret reference"]
)
def test_a_slug_is_given_once(world: AdminWorld, name: str) -> None:
    """A second resource with a taken slug is refused."""
    made = make(world, name)
    assert world.status(made.family.create, made.sent, **made.family.path) in (400, 409)


def test_every_fault_of_the_control_plane_is_described() -> None:
    """A fault without a description could not be shown to anyone."""
    assert all(description.strip() for description in FAULTS.values())


@pytest.mark.parametrize(
    ("fault", "test"),
    [
        ("update-forgotten", test_an_update_changes_what_it_names_and_nothing_else),
        ("update-resets-others", test_an_update_changes_what_it_names_and_nothing_else),
        ("delete-keeps-resource", test_what_was_deleted_is_gone),
        ("list-omits-created", test_what_was_created_is_listed_once_and_agrees),
        ("stale-list", None),
        ("wrong-total", test_pages_cover_the_list_without_overlap),
        ("cross-tenant-read", test_another_organisation_sees_nothing_of_it),
    ],
)
def test_each_fault_breaks_what_it_says(fault: str, test: Callable[[AdminWorld, str], None] | None) -> None:
    """A fault that no observation could catch would prove nothing."""
    world = AdminWorld(faults=(fault,))
    if test is not None:
        with pytest.raises((AssertionError, ValueError)):
            test(world, "label")
        return
    made = make(world, "label")
    made.update({"description": "new"})
    assert made.listed()[0]["description"] != made.read()["description"]


def test_every_control_plane_operation_has_a_behaviour(world: AdminWorld) -> None:
    """None of the 149 operations is left to a stub."""
    from conformance.contract import load_contract

    contract = load_contract()
    missing = [
        one.id for one in contract.operations if str(one.plane) == "control" and one.id not in HANDLERS
    ]
    assert missing == []
