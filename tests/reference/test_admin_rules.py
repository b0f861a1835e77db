"""What the control plane promises beyond storing: versions, secrets, exports, usage, audit."""

from __future__ import annotations

from typing import Any

import pytest
from admin_families import AWS, LIMITS, POLICY, PROMPT, collection, integration
from admin_world import AdminWorld, Body, fresh, stamp

from conformance.reference.admin import exported

NOBODY = "00000000-0000-4000-8000-000000000000"
SECRET = "sk-very-secret-value"


@pytest.fixture
def world() -> AdminWorld:
    return AdminWorld()


def prompt(world: AdminWorld) -> str:
    return str(world.ok("createPrompt", {"name": "p", "collection_id": collection(world), **PROMPT})["id"])


def test_the_default_collection_cannot_be_deleted(world: AdminWorld) -> None:
    """It answers 404, as documented, and stays."""
    listed = world.ok("getCollections", query={"workspace_id": world.given["workspace"]})["data"]
    [default] = [one["id"] for one in listed if one["is_default"]]
    assert world.status("deleteCollectionsCollectionId", collectionId=default) == 404
    assert world.status("getCollectionsCollectionId", collectionId=default) == 200


def test_a_child_collection_is_counted_and_shown_in_its_parent(world: AdminWorld) -> None:
    """The parent names its children; the counts in the list are the real ones."""
    parent = collection(world)
    child = world.ok("postCollections", {"name": "child", "parent_collection_id": parent})["id"]
    world.ok("createPrompt", {"name": "p", "collection_id": parent, **PROMPT})
    seen = world.ok("getCollectionsCollectionId", collectionId=parent)
    assert [one["id"] for one in seen["child_collections"]] == [child]
    listed = world.ok("getCollections", query={"workspace_id": world.given["workspace"]})["data"]
    [details] = [one["collection_details"] for one in listed if one["id"] == parent]
    assert (details["child_collections_count"], details["prompts_count"]) == (1, 1)


@pytest.mark.parametrize("name", ["latest", "default", "123"])
def test_reserved_label_names_are_refused(world: AdminWorld, name: str) -> None:
    """They would be confused with versions."""
    assert world.status("createLabel", {"name": name}) == 400


def test_a_label_name_is_given_once(world: AdminWorld) -> None:
    """A second label of the same name in the workspace is refused."""
    body = {"name": fresh("twice")}
    world.ok("createLabel", body)
    assert world.status("createLabel", body) in (400, 409)


def test_new_content_makes_a_version_and_a_name_does_not(world: AdminWorld) -> None:
    """Versions number up from 1; patch keeps what it does not name; half a version is refused."""
    identifier = prompt(world)
    world.ok("updatePrompt", {"name": "other"}, promptId=identifier)
    assert len(world.ok("getPromptVersions", promptId=identifier)) == 1
    assert world.status("updatePrompt", {"string": "Hi"}, promptId=identifier) == 400
    world.ok("updatePrompt", {"patch": True, "string": "Hi"}, promptId=identifier)
    assert sorted(one["prompt_version"] for one in world.ok("getPromptVersions", promptId=identifier)) == [
        1,
        2,
    ]
    seen = world.ok("getPrompt", promptId=identifier)
    assert (seen["string"], seen["model"], seen["parameters"]) == (
        "Hi",
        PROMPT["model"],
        PROMPT["parameters"],
    )


def test_the_default_version_is_what_a_prompt_shows(world: AdminWorld) -> None:
    """makeDefault brings back an earlier version's content; an unknown version is refused."""
    identifier = prompt(world)
    world.ok("updatePrompt", {"patch": True, "string": "Hi"}, promptId=identifier)
    world.ok("updatePromptDefault", {"version": 1}, promptId=identifier)
    assert world.ok("getPrompt", promptId=identifier)["string"] == PROMPT["string"]
    assert world.status("updatePromptDefault", {"version": 9}, promptId=identifier) == 404


def test_a_label_is_all_that_changes_in_a_version(world: AdminWorld) -> None:
    """A version with a label set equals itself without it."""
    identifier = prompt(world)
    label = world.ok("createLabel", {"name": fresh("prod")})["id"]
    path = {
        "promptId": identifier,
        "versionId": world.ok("getPrompt", promptId=identifier)["prompt_version_id"],
    }
    before = world.ok("getPromptByVersion", **path)
    world.ok("updatePromptVersion", {"label_id": label}, **path)
    assert world.ok("getPromptByVersion", **path) == before | {"prompt_version_label_id": label}
    assert world.status("updatePromptVersion", {"label_id": NOBODY}, **path) == 404


def test_partials_have_versions_and_a_default_too(world: AdminWorld) -> None:
    """An update grows the versions by one; makeDefault selects among them."""
    identifier = world.ok("createPromptPartial", {"name": "tone", "string": "one"})["id"]
    world.ok("updatePromptPartial", {"string": "two"}, promptPartialId=identifier)
    assert len(world.ok("getPromptPartialVersions", promptPartialId=identifier)) == 2
    world.ok("updatePromptPartialDefault", {"version": 1}, promptPartialId=identifier)
    assert world.ok("getPromptPartial", promptPartialId=identifier)["string"] == "one"


def test_config_updates_are_versions_and_one_is_default(world: AdminWorld) -> None:
    """The version an update names is the newest entry; a second default ends the first."""
    first = world.ok("createConfig", {"name": "a", "config": {}, "isDefault": 1})["data"]["id"]
    version = world.ok("updateConfig", {"config": {"virtual_key": "v"}}, slug=first)["data"]["version_id"]
    versions = world.ok("listConfigVersions", slug=first)
    assert versions["total"] == len(versions["data"]) == 2
    assert versions["data"][0]["version_id"] == version
    world.ok("createConfig", {"name": "b", "config": {}, "isDefault": 1})
    assert sum(one["is_default"] for one in world.ok("listConfigs")["data"]) == 1


def test_submitted_secrets_never_come_back(world: AdminWorld) -> None:
    """Neither an integration's key and configuration, a virtual key, nor a secret reference shows them."""
    configuration = {**AWS, "aws_region": "r", "aws_secret_access_key": SECRET}
    body = {"name": "i", "ai_provider_id": "bedrock", "key": SECRET, "configurations": configuration}
    slug = world.ok("postIntegrations", body)["slug"]
    seen = world.ok("getIntegrationsSlug", slug=slug)
    assert seen["configurations"].keys() == {
        "aws_auth_type", "aws_access_key_id", "aws_region", "masked_aws_secret_access_key"
    }  # fmt: skip
    virtual = world.ok("postVirtualKeys", {"name": "v", "provider": "openai", "key": SECRET})["data"]["slug"]
    reference = {"name": "s", "manager_type": "aws_sm", "auth_config": configuration, "secret_path": "p"}
    secret = world.ok("createSecretReference", reference)["id"]
    everything = [
        seen,
        world.ok("getIntegrations"),
        world.ok("getVirtualKeysSlug", slug=virtual),
        world.ok("getVirtualKeys", query={"page_size": 9, "current_page": 0}),
        world.ok("getSecretReference", secretReferenceId=secret),
        audit(world),
    ]
    assert all(SECRET not in str(one) for one in everything)


def audit(world: AdminWorld, **filters: Any) -> list[Body]:
    span = {"start_time": "2020-01-01T00:00:00Z", "end_time": "2099-01-01T00:00:00Z", "page_size": 100}
    query = {**span, "organisation_id": world.given["organisation"], **filters}
    records: list[Body] = world.ok("getAuditLogs", query=query)["records"]
    return records


def test_writes_are_audited_and_filters_are_obeyed(world: AdminWorld) -> None:
    """A write appears with method, path and status, a refused one too; every filter narrows."""
    world.ok("createLabel", {"name": fresh("seen")})
    world.status("deleteLabel", labelId=NOBODY)
    assert [one["response_status_code"] for one in audit(world, method="DELETE")] == [404]
    assert [one["uri"] for one in audit(world, method="POST", response_status_code=200)] == ["/v1/labels"]
    assert audit(world, user_id=NOBODY) == [] == audit(world, end_time="2020-01-02T00:00:00Z")


def test_a_workspace_integration_brings_a_provider_unless_told_not_to(world: AdminWorld) -> None:
    """The default provider has the asked slug; a taken slug refuses the whole integration."""
    scoped = {"name": "i", "ai_provider_id": "openai", "workspace_id": world.given["workspace"]}
    slug = fresh("mine")
    made = world.ok("postIntegrations", {**scoped, "default_provider_slug": slug})["slug"]
    assert world.ok("getProvidersSlug", slug=slug)["integration_id"] == made
    assert world.status("postIntegrations", {**scoped, "default_provider_slug": slug}) == 409
    total = world.ok("getProviders")["total"]
    world.ok("postIntegrations", {**scoped, "create_default_provider": False})
    assert world.ok("getProviders")["total"] == total


def test_custom_models_come_and_go(world: AdminWorld) -> None:
    """What is set is read back; deleting custom models leaves the catalogue's."""
    slug = integration(world)
    before = world.ok("getIntegrationsSlugModels", slug=slug)
    own = {"slug": "mine", "enabled": False, "is_custom": True, "base_model_slug": "gpt-4o"}
    world.ok("putIntegrationsSlugModels", {"models": [own], "allow_all_models": False}, slug=slug)
    [seen] = [m for m in world.ok("getIntegrationsSlugModels", slug=slug)["models"] if m["slug"] == "mine"]
    assert {key: seen[key] for key in own} == own
    assert world.ok("getIntegrationsSlug", slug=slug)["allow_all_models"] is False
    world.ok("deleteIntegrationsSlugModels", query={"slugs": "mine,gpt-4o"}, slug=slug)
    assert world.ok("getIntegrationsSlugModels", slug=slug) == before


def test_workspace_access_is_read_back(world: AdminWorld) -> None:
    """Limits and flags of a workspace come back; global access is what others have."""
    slug, home = integration(world), world.given["workspace"]
    entry = {"id": home, "enabled": True, "usage_limits": [LIMITS]}
    world.ok("putIntegrationsSlugWorkspaces", {"workspaces": [entry]}, slug=slug)
    answer = world.ok("getIntegrationsSlugWorkspaces", slug=slug)
    assert answer["total"] == len(answer["workspaces"]) == 1
    assert {key: answer["workspaces"][0][key] for key in entry} == entry
    world.ok("putIntegrationsSlugWorkspaces", {"global_workspace_access": {"enabled": True}}, slug=slug)
    assert world.ok("getIntegrationsSlug", slug=slug)["global_workspace_access_settings"] == {"enabled": True}


def test_an_archived_policy_is_only_seen_when_asked_for(world: AdminWorld) -> None:
    """Deleting archives: the default list omits it, the archived one shows it; its threshold stays below."""
    body = {**POLICY, "type": "cost", "credit_limit": 10, "alert_threshold": 10}
    assert world.status("createUsageLimitsPolicy", body) == 400
    policy = world.ok("createUsageLimitsPolicy", {**body, "alert_threshold": 9})["id"]
    assert world.status("updateUsageLimitsPolicy", {"credit_limit": 9}, policyUsageLimitsId=policy) == 400
    world.ok("deleteUsageLimitsPolicy", policyUsageLimitsId=policy)
    assert policy not in str(world.ok("listUsageLimitsPolicies"))
    archived = world.ok("listUsageLimitsPolicies", query={"status": "archived"})["data"]
    assert [one["status"] for one in archived if one["id"] == policy] == ["archived"]
    query = {"status": "archived"}
    assert world.ok("getUsageLimitsPolicy", query=query, policyUsageLimitsId=policy)["status"] == "archived"


def test_metered_calls_fill_a_policy_until_it_is_reset(world: AdminWorld) -> None:
    """Usage is what matching calls used since the policy began; a reset brings the group to zero."""
    mine = {"key": "metadata.team", "value": "red"}
    body = {
        "conditions": [mine],
        "group_by": [{"key": "metadata.team"}],
        "type": "tokens",
        "credit_limit": 50,
    }
    policy = {"policyUsageLimitsId": world.ok("createUsageLimitsPolicy", body)["id"]}
    for team, tokens in (("red", 30), ("blue", 99), ("red", 25)):
        world.call(metadata={"team": team}, prompt_tokens=tokens)
    [entity] = world.ok("listUsageLimitsPolicyEntities", **policy)["data"]
    assert (entity["value_key"], entity["current_usage"]) == ("red", 55)
    seen = world.ok("getUsageLimitsPolicy", query={"include_usage": True}, **policy)
    assert seen["value_key_usage_map"]["red"]["status"] == "exhausted"
    assert "value_key_usage_map" not in world.ok("getUsageLimitsPolicy", **policy)
    world.ok("resetUsageLimitsPolicyEntity", {}, entityId=entity["id"], **policy)
    assert world.ok("listUsageLimitsPolicyEntities", **policy)["data"][0]["current_usage"] == 0
    assert world.status("resetUsageLimitsPolicyEntity", {}, entityId="none", **policy) == 404


def test_a_secret_reference_in_use_stays(world: AdminWorld) -> None:
    """Deleting it is refused until what maps it is gone; a mapping to nothing is refused."""
    body = {
        "name": "s",
        "manager_type": "hashicorp_vault",
        "auth_config": {"vault_auth_type": "token", "vault_addr": "https://v.example", "vault_token": SECRET},
        "secret_path": "p",
    }
    secret = world.ok("createSecretReference", body)["id"]
    mapping = {"target_field": "key", "secret_reference_id": secret}
    held = {"name": "i", "ai_provider_id": "openai", "secret_mappings": [mapping]}
    slug = world.ok("postIntegrations", held)["slug"]
    assert world.status("deleteSecretReference", secretReferenceId=secret) == 400
    assert world.status("postIntegrations", {**held, "secret_mappings": [mapping, mapping]}) == 400
    assert (
        world.status("postVirtualKeys", {"secret_mappings": [{**mapping, "secret_reference_id": "no"}]})
        == 404
    )
    world.ok("deleteIntegrationsSlug", slug=slug)
    world.ok("deleteSecretReference", secretReferenceId=secret)
    assert world.status("createSecretReference", {**body, "manager_type": "aws_sm"}) == 400


def test_who_may_use_a_secret_reference(world: AdminWorld) -> None:
    """All workspaces or named ones, never both; naming some ends all."""
    auth = {"azure_auth_mode": "default", "azure_vault_url": "https://v.example"}
    body = {"name": "s", "manager_type": "azure_kv", "auth_config": auth, "secret_path": "p"}
    some = {"allowed_workspaces": [world.given["workspace"]]}
    assert world.status("createSecretReference", {**body, **some, "allow_all_workspaces": True}) == 400
    path = {"secretReferenceId": world.ok("createSecretReference", body)["id"]}
    assert world.ok("getSecretReference", **path)["allow_all_workspaces"] is True
    world.ok("updateSecretReference", some, **path)
    assert world.ok("getSecretReference", **path)["allow_all_workspaces"] is False


def test_an_export_runs_from_draft_to_success_or_is_stopped(world: AdminWorld) -> None:
    """Only a running export can be cancelled, only a finished one downloaded, with the asked columns."""
    body = {"filters": {"metadata": {"team": "red"}}, "requested_data": ["trace_id", "total_units"]}
    world.call(trace_id="t1", metadata={"team": "red"}, prompt_tokens=4, completion_tokens=1)
    world.call(trace_id="t2", metadata={"team": "blue"})
    made = world.ok("postLogsExports", body)
    path = {"exportId": made["id"]}
    assert made["total"] == 1
    assert world.ok("getLogsExportsExportId", **path)["status"] == "draft"
    assert world.status("getLogsExportsExportIdDownload", **path) == 400
    assert world.status("postLogsExportsExportIdCancel", **path) == 400
    world.ok("postLogsExportsExportIdStart", **path)
    assert world.ok("getLogsExportsExportId", **path)["status"] == "success"
    token = world.ok("getLogsExportsExportIdDownload", **path)["signed_url"].rpartition("/")[2]
    assert exported(world.gateway, token) == b'{"trace_id": "t1", "total_units": 5}\n'
    other = {"exportId": world.ok("postLogsExports", body)["id"]}
    world.ok("postLogsExportsExportIdStart", **other)
    world.ok("postLogsExportsExportIdCancel", **other)
    assert world.ok("getLogsExportsExportId", **other)["status"] == "stopped"


def test_feedback_is_counted(world: AdminWorld) -> None:
    """Feedback raises the totals by what was given; an update of unknown feedback is 404."""
    span = {"time_of_generation_min": stamp(-60), "time_of_generation_max": stamp(60)}
    given = world.ok("createFeedback", {"trace_id": "t", "value": 5})["feedback_ids"]
    world.ok("createFeedback", {"trace_id": "t", "value": -10, "weight": 0.5})
    world.ok("updateFeedback", {"value": 7}, id=given[0])
    assert world.ok("getAnalyticsGraphsFeedbacks", query=span)["summary"]["total"] == 2
    scores = world.ok("getAnalyticsGraphsFeedbacksScores", query=span)["data_points"]
    assert {one["score"]: one["total"] for one in scores} == {-10: 1, 7: 1}
    assert world.ok("getAnalyticsGraphsFeedbacksWeighted", query=span)["summary"]["avg"] == 1.0
    assert world.status("updateFeedback", {"value": 7}, id=NOBODY) == 404


def test_a_provider_is_exhausted_by_use_and_expired_by_time(world: AdminWorld) -> None:
    """Its status follows metered traffic and its end; resetting the usage makes it active again."""
    limited = {"name": "p", "integration_id": integration(world), "usage_limits": {"credit_limit": 1}}
    slug = world.ok("postProviders", limited)["slug"]
    world.call(virtual_key=slug, cost=1.5)
    assert world.ok("getProvidersSlug", slug=slug)["status"] == "exhausted"
    world.ok("putProvidersSlug", {"reset_usage": True}, slug=slug)
    assert world.ok("getProvidersSlug", slug=slug)["status"] == "active"
    world.ok("putProvidersSlug", {"expires_at": "2020-01-01T00:00:00Z"}, slug=slug)
    assert world.ok("getProvidersSlug", slug=slug)["status"] == "expired"
    world.ok("putProvidersSlug", {"usage_limits": None, "expires_at": None}, slug=slug)
    assert "usage_limits" not in world.ok("getProvidersSlug", slug=slug)
