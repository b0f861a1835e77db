"""Integrations: accounts at model providers, their models, and the workspaces that may use them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conformance.reference.admin.audit import manages
from conformance.reference.admin.people import WORKSPACES, home, workspace_filter, workspace_of
from conformance.reference.admin.providers import INTEGRATIONS, PROVIDERS, add_provider
from conformance.reference.admin.references import check_mappings
from conformance.reference.admin.table import (
    MASK,
    drop_children,
    organisation,
    pick,
    public,
    slugify,
    total_of,
    window,
)
from conformance.reference.core import Call, Record, handles

_LISTED_WITHOUT = ("masked_key", "configurations", "global_workspace_access_settings", "secret_mappings")
_SECRET_ENDS = ("secret", "secret_access_key", "service_account_json", "password", "token")
_CATALOGUE = {
    "openai": ("gpt-4o", "gpt-4o-mini", "o3-mini", "text-embedding-3-small"),
    "anthropic": ("claude-sonnet-4", "claude-haiku-3-5"),
}


def _configurations(call: Call, stored: Mapping[str, Any]) -> Record:
    """The configuration as it is shown: a secret only as ``masked_`` and its name."""
    if call.fault("secret-shown-again"):
        return dict(stored)
    return {
        f"masked_{name}" if name.endswith(_SECRET_ENDS) else name: MASK
        if name.endswith(_SECRET_ENDS)
        else value
        for name, value in stored.items()
    }


def _models(provider: str) -> dict[str, Record]:
    return {
        slug: {
            "slug": slug,
            "name": slug,
            "enabled": True,
            "is_custom": False,
            "is_finetune": False,
            "base_model_slug": None,
            "pricing_config": {
                "type": "static",
                "pay_as_you_go": {"request_token": {"price": 0.00025}, "response_token": {"price": 0.001}},
            },
        }
        for slug in _CATALOGUE.get(provider, (f"{provider}-large"[:80], f"{provider}-small"[:80]))
    }


@manages("postIntegrations", "/integrations")
def create_integration(call: Call) -> Record:
    body = call.body
    scoped = body.get("workspace_id") not in (None, "")
    workspace_id = workspace_of(call, body["workspace_id"]) if scoped else None
    check_mappings(call, body.get("secret_mappings"), workspace_id)
    INTEGRATIONS.refuse_taken(call.tenant, body.get("slug"))
    provider = scoped and body.get("create_default_provider", True)
    if provider:
        PROVIDERS.refuse_taken(call.tenant, body.get("default_provider_slug"))
    row = INTEGRATIONS.add(
        call,
        {
            "organisation_id": organisation(call.tenant),
            "slug": body.get("slug") or slugify(body["name"]),
            "description": "",
            **pick(body, "name", "ai_provider_id", "description"),
            "status": "active",
            "type": "workspace" if scoped else "organisation",
            "workspace_id": workspace_id,
            "object": "integration",
            "allow_all_models": True,
            "secret_mappings": pick(body, "secret_mappings").get("secret_mappings", []),
            "_key": body.get("key", ""),
            "_configurations": pick(body, "configurations").get("configurations", {}),
            "_models": _models(body["ai_provider_id"]),
            "_workspaces": {workspace_id: {"id": workspace_id, "enabled": True}} if scoped else {},
            "_global": None,
        },
    )
    if provider:
        named = pick(body, "default_provider_slug")
        slug = named.get("default_provider_slug") or slugify(body["name"])
        add_provider(call, row, str(workspace_id), {"name": body["name"], "slug": slug})
    return {"id": row["id"], "slug": row["slug"]}


@handles("getIntegrations")
def list_integrations(call: Call) -> Record:
    kind = call.query.get("type", "all")
    workspace_id = workspace_filter(call, call.query.get("workspace_id"))
    rows = INTEGRATIONS.listed(
        call,
        lambda row: kind in ("all", row["type"]) and (workspace_id is None or _open_to(row, workspace_id)),
    )
    page = [public(row, *_LISTED_WITHOUT) for row in window(rows, call.query)]
    return {"object": "list", "total": total_of(call, rows), "data": page}


def _open_to(row: Record, workspace_id: str) -> bool:
    access = row["_workspaces"].get(workspace_id)
    if access is not None:
        return bool(access["enabled"])
    return bool((row["_global"] or {}).get("enabled")) and workspace_id != "-"


def _find(call: Call) -> Record:
    return INTEGRATIONS.find(call, call.path["slug"])


@handles("getIntegrationsSlug")
def read_integration(call: Call) -> Record:
    row = _find(call)
    out = public(row) | {
        "masked_key": MASK if row["_key"] else "",
        "configurations": _configurations(call, row["_configurations"]),
        "global_workspace_access_settings": row["_global"] or {"enabled": False},
        "workspace_count": sum(access["enabled"] for access in _access(call, row)),
    }
    return out | {"key": row["_key"]} if call.fault("secret-shown-again") else out


@manages("putIntegrationsSlug", "/integrations/{slug}")
def update_integration(call: Call) -> Record:
    row, body = _find(call), call.body
    check_mappings(call, body.get("secret_mappings"), row["workspace_id"])
    changes = pick(body, "name", "description", "secret_mappings")
    if "key" in body:
        changes["_key"] = body["key"]
    if "configurations" in body:
        changes["_configurations"] = pick(body, "configurations")["configurations"]
    INTEGRATIONS.change(call, row, changes)
    return {}


@manages("deleteIntegrationsSlug", "/integrations/{slug}")
def delete_integration(call: Call) -> Record:
    row = _find(call)
    INTEGRATIONS.remove(call, row)
    if not call.fault("delete-keeps-resource"):
        drop_children(call.tenant, "integration_id", row["slug"], ("providers",))
    return {}


# --- models ----------------------------------------------------------------------------------------


@handles("getIntegrationsSlugModels")
def list_models(call: Call) -> Record:
    models = [public(model) for model in _find(call)["_models"].values()]
    return {"total": total_of(call, models), "models": models}


@manages("putIntegrationsSlugModels", "/integrations/{slug}/models")
def update_models(call: Call) -> Record:
    row = _find(call)
    models = {slug: dict(model) for slug, model in row["_models"].items()}
    fields = ("slug", "enabled", "is_custom", "is_finetune", "base_model_slug", "pricing_config")
    for sent in call.body["models"]:
        new = {"slug": sent["slug"], "name": sent["slug"], "is_custom": True, "_added": True}
        models[sent["slug"]] = models.get(sent["slug"], new) | pick(sent, *fields)
    INTEGRATIONS.change(call, row, {"_models": models} | pick(call.body, "allow_all_models"))
    return {}


@manages("deleteIntegrationsSlugModels", "/integrations/{slug}/models")
def delete_models(call: Call) -> Record:
    row = _find(call)
    if not call.fault("delete-keeps-resource"):
        for slug in {one.strip() for one in str(call.query["slugs"]).split(",")} | {call.query["slugs"]}:
            if row["_models"].get(slug, {}).get("_added"):  # models of the catalogue stay
                del row["_models"][slug]
    return {}


# --- workspaces ------------------------------------------------------------------------------------


def _access(call: Call, row: Record) -> list[Record]:
    """What each workspace may do with the integration: its own setting, else the global one."""
    known = WORKSPACES.rows(call.tenant)
    own = {key: access for key, access in row["_workspaces"].items() if key in known}
    if row["_global"] is not None and row["type"] == "organisation":
        home(call.tenant)
        for key in WORKSPACES.rows(call.tenant):
            own.setdefault(key, {"id": key} | public(row["_global"]))
    return [{"usage_limits": None, "rate_limits": None} | public(access) for access in own.values()]


@handles("getIntegrationsSlugWorkspaces")
def list_access(call: Call) -> Record:
    access = _access(call, _find(call))
    return {"total": total_of(call, access), "workspaces": access}


@manages("putIntegrationsSlugWorkspaces", "/integrations/{slug}/workspaces")
def update_access(call: Call) -> Record:
    row, body = _find(call), call.body
    own = {key: dict(access) for key, access in row["_workspaces"].items()}
    changes: Record = {}
    if "global_workspace_access" in body:
        changes["_global"] = pick(body["global_workspace_access"], "enabled", "usage_limits", "rate_limits")
        if body.get("override_existing_workspace_access"):
            own = {key: {"id": key} | public(changes["_global"]) for key in own}
    wanted: list[tuple[str, str]] = []
    for sent in body.get("workspaces", []):
        workspace_id = workspace_of(call, sent["id"])
        known = own.get(workspace_id, {"id": workspace_id})
        own[workspace_id] = known | pick(sent, "enabled", "usage_limits", "rate_limits")
        create = sent.get("create_default_provider", body.get("create_default_provider", True))
        if sent["enabled"] and create and not _served(call, row, workspace_id):
            named = sent.get("default_provider_slug", body.get("default_provider_slug"))
            PROVIDERS.refuse_taken(call.tenant, named)
            wanted.append((workspace_id, named or slugify(row["name"])))
    INTEGRATIONS.change(call, row, changes | {"_workspaces": own})
    for workspace_id, slug in wanted:
        taken = PROVIDERS.peek(call.tenant, slug) is not None  # one shared slug, several workspaces
        fields = {"name": row["name"], "slug": slugify(slug) if taken else slug}
        add_provider(call, row, workspace_id, fields)
    return {}


def _served(call: Call, row: Record, workspace_id: str) -> bool:
    return any(
        provider["integration_id"] == row["slug"] and provider["workspace_id"] == workspace_id
        for provider in PROVIDERS.rows(call.tenant).values()
    )
