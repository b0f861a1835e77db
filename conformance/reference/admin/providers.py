"""Providers (what a workspace uses of an integration) and virtual keys (their older kind)."""

from __future__ import annotations

import time

from conformance.reference.admin.audit import manages
from conformance.reference.admin.people import workspace_filter, workspace_of
from conformance.reference.admin.references import check_mappings
from conformance.reference.admin.table import Table, moment, pick, public, slugify, total_of, window
from conformance.reference.core import Call, Record, Tenant, handles, new_uuid

PROVIDERS = Table("providers", "provider")
VIRTUAL_KEYS = Table("virtual_keys", "virtual key")
INTEGRATIONS = Table("integrations", "integration")


def status_of(row: Record, *, expires: bool) -> str:
    """active, exhausted (its metered usage reached the limit) or expired (its time is over)."""
    until = row.get("expires_at")
    if expires and until is not None and moment(until, "expires_at") <= time.time():
        return "expired"
    limit = (row.get("usage_limits") or {}).get("credit_limit")
    return "exhausted" if limit is not None and row.get("_used", 0) >= limit else "active"


def meter(tenant: Tenant, slug: str | None, amount: dict[str, float]) -> None:
    """Add what a call used (``cost`` in USD, ``tokens``) to the provider or virtual key it went through."""
    if slug is None:
        return
    for table in (PROVIDERS, VIRTUAL_KEYS):
        row = table.peek(tenant, slug)
        if row is not None:
            kind = (row.get("usage_limits") or {}).get("type", "cost")
            row["_used"] = row.get("_used", 0) + amount.get(kind, 0)


def limits(body: Record) -> Record:
    """The limits a request sets: one rate limit is kept as a list, null removes."""
    out = pick(body, "usage_limits", "expires_at")
    if "rate_limits" in body:
        sent = body["rate_limits"]
        out["rate_limits"] = None if sent is None else [dict(sent)]
    return out


def settle(row: Record) -> None:
    """Leave out what was removed and may not be null."""
    for name in ("usage_limits", "expires_at"):
        if row.get(name, 0) is None:
            del row[name]


# --- providers -------------------------------------------------------------------------------------


def add_provider(call: Call, integration: Record, workspace_id: str, fields: Record) -> Record:
    """A provider on an integration. Raises Refusal(409) when its slug is taken."""
    PROVIDERS.refuse_taken(call.tenant, fields.get("slug"))
    row = {
        "slug": fields.get("slug") or slugify(fields["name"]),
        "note": None,
        "rate_limits": None,
        "reset_usage": None,
        **pick(fields, "name", "note"),
        **limits(fields),
        "integration_id": integration["slug"],
        "workspace_id": workspace_id,
        "object": "provider",
    }
    return PROVIDERS.add(call, row)


def _provider_view(row: Record) -> Record:
    return public(row) | {"status": status_of(row, expires=True)}


@manages("postProviders", "/providers")
def create_provider(call: Call) -> Record:
    body = call.body
    workspace_id = workspace_of(call, body.get("workspace_id"))
    row = add_provider(call, INTEGRATIONS.find(call, body["integration_id"]), workspace_id, body)
    return {"id": row["id"], "slug": row["slug"]}


@handles("getProviders")
def list_providers(call: Call) -> Record:
    workspace_id = workspace_filter(call, call.query.get("workspace_id"))
    rows = PROVIDERS.listed(call, lambda row: workspace_id in (None, row["workspace_id"]))
    page = [_provider_view(row) for row in window(rows, call.query, 50)]
    return {"object": "list", "total": total_of(call, rows), "data": page}


def _provider(call: Call) -> Record:
    workspace_of(
        call, call.query.get("workspace_id")
    )  # slugs are unique in the organisation: it must only exist
    return PROVIDERS.find(call, call.path["slug"])


@handles("getProvidersSlug")
def read_provider(call: Call) -> Record:
    return _provider_view(_provider(call))


@manages("putProvidersSlug", "/providers/{slug}")
def update_provider(call: Call) -> Record:
    row = _provider(call)
    changes = pick(call.body, "name", "note") | limits(call.body)
    if call.body.get("reset_usage"):
        changes["_used"] = 0
    PROVIDERS.change(call, row, changes)
    settle(row)
    return {"id": row["id"], "slug": row["slug"]}


@manages("deleteProvidersSlug", "/providers/{slug}")
def delete_provider(call: Call) -> Record:
    PROVIDERS.remove(call, _provider(call))
    return {}


# --- virtual keys ----------------------------------------------------------------------------------

_MODEL_CONFIG = ("provider", "apiVersion", "resourceName", "deploymentName", "deploymentConfig")


def _key_view(call: Call, row: Record) -> Record:
    out = public(row) | {"success": True, "status": status_of(row, expires=False)}
    return out | {"key": row["_key"]} if call.fault("secret-shown-again") else out


@manages("postVirtualKeys", "/virtual-keys")
def create_virtual_key(call: Call) -> Record:
    body = call.body
    workspace_id = workspace_of(call, body.get("workspace_id"))
    check_mappings(call, body.get("secret_mappings"), workspace_id)
    name = body.get("name", "Untitled key")
    row = VIRTUAL_KEYS.add(
        call,
        {
            "name": name,
            "slug": slugify(name, limit=20),
            "note": None,
            "reset_usage": None,
            "rate_limits": None,
            "secret_mappings": [],
            **pick(body, "note", "secret_mappings"),
            **limits(body),
            "model_config": pick(body, *_MODEL_CONFIG),
            "workspace_id": workspace_id,
            "object": "virtual-key",
            "_key": body.get("key") or new_uuid(),
        },
    )
    return {"success": True, "data": {"slug": row["slug"]}}


@handles("getVirtualKeys")
def list_virtual_keys(call: Call) -> Record:
    rows = VIRTUAL_KEYS.listed(call)
    page = [_key_view(call, row) for row in window(rows, call.query, 50)]
    return {"success": True, "object": "list", "total": total_of(call, rows), "data": page}


@handles("getVirtualKeysSlug")
def read_virtual_key(call: Call) -> Record:
    return _key_view(call, VIRTUAL_KEYS.find(call, call.path["slug"]))


@manages("putVirtualKeysSlug", "/virtual-keys/{slug}")
def update_virtual_key(call: Call) -> Record:
    row, body = VIRTUAL_KEYS.find(call, call.path["slug"]), call.body
    check_mappings(call, body.get("secret_mappings"), row["workspace_id"])
    changes = pick(body, "name", "note", "usage_limits", "secret_mappings")
    if "deploymentConfig" in body:
        changes["model_config"] = row["model_config"] | pick(body, "deploymentConfig")
    if "key" in body:
        changes["_key"] = body["key"]
    VIRTUAL_KEYS.change(call, row, changes)
    return {"success": True}


@manages("deleteVirtualKeysSlug", "/virtual-keys/{slug}")
def delete_virtual_key(call: Call) -> Record:
    VIRTUAL_KEYS.remove(call, VIRTUAL_KEYS.find(call, call.path["slug"]))
    return {"success": True}
