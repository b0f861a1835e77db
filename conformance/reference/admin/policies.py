"""Usage-limit and rate-limit policies. Deleting archives: the default view no longer shows it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from conformance.reference.admin.audit import manages
from conformance.reference.admin.people import workspace_filter, workspace_of
from conformance.reference.admin.table import (
    Table,
    derived_uuid,
    matches,
    organisation,
    own_organisation,
    pick,
    public,
    total_of,
    window,
)
from conformance.reference.admin.traffic import entries, key_id
from conformance.reference.core import Call, Record, Refusal, Tenant, handles, not_found

USAGE = Table("usage_policies", "usage limits policy", slugs=False)
RATES = Table("rate_policies", "rate limits policy", slugs=False)


def _create(call: Call, table: Table, fields: Record, kind: str) -> Record:
    body = call.body
    return table.add(
        call,
        {
            "name": body.get("name"),
            **pick(body, "conditions", "group_by", "type"),
            **fields,
            "status": "active",
            "workspace_id": workspace_of(call, body.get("workspace_id")),
            "organisation_id": own_organisation(call, body.get("organisation_id")),
            "object": kind,
        },
    )


def _list(call: Call, table: Table, *same: str) -> Record:
    query = call.query
    workspace_id, status = workspace_filter(call, query.get("workspace_id")), query.get("status", "active")
    rows = table.listed(
        call,
        lambda row: (
            row["status"] == status
            and workspace_id in (None, row["workspace_id"])
            and all(query.get(name) in (None, row[name]) for name in same)
        ),
    )
    page = [public(row) for row in window(rows, query)]
    return {"object": "list", "data": page, "total": total_of(call, rows)}


def _find(call: Call, table: Table, param: str, status: str = "active") -> Record:
    row = table.find(call, call.path[param])
    if row["status"] != status:
        raise table.unknown(call.path[param])
    return row


def _archive(call: Call, table: Table, row: Record) -> Record:
    if not call.fault("delete-keeps-resource"):
        table.change(call, row, {"status": "archived"})
    return {}


# --- usage limits ----------------------------------------------------------------------------------


def _check_threshold(limit: Any, threshold: Any) -> None:
    if threshold is not None and threshold >= limit:
        raise Refusal(400, "'alert_threshold' must be less than 'credit_limit'.", param="alert_threshold")


def _value_of(facts: Mapping[str, Any], key: str) -> Any:
    if key.startswith("metadata."):
        return facts["metadata"].get(key.removeprefix("metadata."))
    return facts.get(key)


def _facts(tenant: Tenant, entry: Mapping[str, Any]) -> Record:
    """What policies ask about a call."""
    return {
        "api_key": entry["api_key_id"],
        "organisation_id": organisation(tenant),
        "workspace_id": entry["workspace_id"],
        "metadata": entry["metadata"],
    }


def _value_key(facts: Mapping[str, Any], group_by: list[Record]) -> str | None:
    values = [_value_of(facts, one["key"]) for one in group_by]
    return None if any(value is None for value in values) else "|".join(str(value) for value in values)


def _usage(tenant: Tenant, row: Record) -> dict[str, float]:
    """Metered usage of each group since the policy (or its last reset) began."""
    used: dict[str, float] = {row["_first"]: 0} if row["_first"] is not None else {}
    for entry in entries(tenant):
        facts = _facts(tenant, entry)
        applies = all(str(_value_of(facts, one["key"])) == one["value"] for one in row["conditions"])
        group = _value_key(facts, row["group_by"])
        if not applies or group is None or entry["created_at"] < row["_since"]:
            continue
        used.setdefault(group, 0)
        if entry["created_at"] >= row["_resets"].get(group, 0):
            tokens = entry["prompt_tokens"] + entry["completion_tokens"]
            used[group] += entry["cost"] if row["type"] == "cost" else tokens
    return used


@manages("createUsageLimitsPolicy", "/policies/usage-limits")
def create_usage_policy(call: Call) -> Record:
    body = call.body
    _check_threshold(body["credit_limit"], body.get("alert_threshold"))
    fields: Record = {"alert_threshold": None, "periodic_reset": None}
    fields |= pick(body, "credit_limit", "alert_threshold", "periodic_reset")
    row = _create(call, USAGE, fields, "policy_usage_limits")
    known = {one["key"]: one["value"] for one in body["conditions"]}
    facts = {
        "api_key": key_id(call.key),
        "organisation_id": row["organisation_id"],
        "workspace_id": row["workspace_id"],
        **known,
        "metadata": {k.removeprefix("metadata."): v for k, v in known.items() if k.startswith("metadata.")},
    }
    row |= {"_since": time.time(), "_resets": {}, "_first": _value_key(facts, row["group_by"])}
    return {"id": row["id"], "object": row["object"]}


@handles("listUsageLimitsPolicies")
def list_usage_policies(call: Call) -> Record:
    return _list(call, USAGE, "type")


@handles("getUsageLimitsPolicy")
def read_usage_policy(call: Call) -> Record:
    row = _find(call, USAGE, "policyUsageLimitsId", call.query.get("status", "active"))
    out = public(row)
    if call.query.get("include_usage"):
        out["value_key_usage_map"] = {
            value: {
                "current_usage": used,
                "status": "exhausted" if used >= row["credit_limit"] else "active",
                "is_threshold_alerts_sent": row["alert_threshold"] is not None
                and used >= row["alert_threshold"],
                "is_exhausted_alerts_sent": used >= row["credit_limit"],
            }
            for value, used in _usage(call.tenant, row).items()
        }
    return out


@manages("updateUsageLimitsPolicy", "/policies/usage-limits/{policyUsageLimitsId}")
def update_usage_policy(call: Call) -> Record:
    row, body = _find(call, USAGE, "policyUsageLimitsId"), call.body
    changes = pick(body, "name", "credit_limit", "alert_threshold", "periodic_reset")
    merged = row | changes
    _check_threshold(merged["credit_limit"], merged["alert_threshold"])
    if "reset_usage_for_value" in body:
        changes["_resets"] = row["_resets"] | {body["reset_usage_for_value"]: time.time()}
    USAGE.change(call, row, changes)
    return {}


@manages("deleteUsageLimitsPolicy", "/policies/usage-limits/{policyUsageLimitsId}")
def delete_usage_policy(call: Call) -> Record:
    return _archive(call, USAGE, _find(call, USAGE, "policyUsageLimitsId"))


def _entities(tenant: Tenant, row: Record) -> list[Record]:
    return [
        {
            "id": derived_uuid(row["id"], value),
            "value_key": value,
            "current_usage": used,
            "status": "exhausted" if used >= row["credit_limit"] else "active",
        }
        for value, used in _usage(tenant, row).items()
    ]


@handles("listUsageLimitsPolicyEntities")
def list_entities(call: Call) -> Record:
    row, query = _find(call, USAGE, "policyUsageLimitsId"), call.query
    kept = [
        one
        for one in _entities(call.tenant, row)
        if query.get("status") in (None, one["status"]) and matches(one, query.get("search"), "value_key")
    ]
    return {"object": "list", "data": window(kept, query), "total": total_of(call, kept)}


@manages(
    "resetUsageLimitsPolicyEntity", "/policies/usage-limits/{policyUsageLimitsId}/entities/{entityId}/reset"
)
def reset_entity(call: Call) -> Record:
    row, wanted = _find(call, USAGE, "policyUsageLimitsId"), call.path["entityId"]
    for one in _entities(call.tenant, row):
        if wanted in (one["id"], one["value_key"]):
            if not call.fault("update-forgotten"):
                row["_resets"] = row["_resets"] | {one["value_key"]: time.time()}
            return {}
    raise not_found("policy entity", wanted)


# --- rate limits -----------------------------------------------------------------------------------


@manages("createRateLimitsPolicy", "/policies/rate-limits")
def create_rate_policy(call: Call) -> Record:
    row = _create(call, RATES, pick(call.body, "unit", "value"), "policy_rate_limits")
    return {"id": row["id"], "object": row["object"]}


@handles("listRateLimitsPolicies")
def list_rate_policies(call: Call) -> Record:
    return _list(call, RATES, "type", "unit")


@handles("getRateLimitsPolicy")
def read_rate_policy(call: Call) -> Record:
    return public(_find(call, RATES, "rateLimitsPolicyId", call.query.get("status", "active")))


@manages("updateRateLimitsPolicy", "/policies/rate-limits/{rateLimitsPolicyId}")
def update_rate_policy(call: Call) -> Record:
    row = _find(call, RATES, "rateLimitsPolicyId")
    RATES.change(call, row, pick(call.body, "name", "unit", "value"))
    return {}


@manages("deleteRateLimitsPolicy", "/policies/rate-limits/{rateLimitsPolicyId}")
def delete_rate_policy(call: Call) -> Record:
    return _archive(call, RATES, _find(call, RATES, "rateLimitsPolicyId"))
