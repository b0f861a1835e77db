"""What went through the gateway: the entries that logs, analytics and usage policies are computed from."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from conformance.reference.admin.providers import meter
from conformance.reference.admin.table import derived_uuid, moment
from conformance.reference.core import ApiKey, Record, Tenant, new_uuid

KEPT = 20_000  # entries per tenant; the oldest go first


def record_traffic(tenant: Tenant, entry: Mapping[str, Any]) -> Record:
    """Keep one finished inference call; anything the entry leaves out gets a neutral value.

    In: any of id, trace_id, span_id, created_at (Unix seconds), operation, url, provider, model, status,
    prompt_tokens, completion_tokens, cost (USD), latency_ms, virtual_key, config, api_key_id, prompt_slug,
    metadata (mapping), user, cache (``"simple"``, ``"semantic"`` or None), retries, fallback,
    workspace_id, request, response. Out: the stored entry.
    """
    metadata = entry.get("metadata")
    known = dict(metadata) if isinstance(metadata, Mapping) else {}
    user = entry.get("user") or known.get("_user")
    stored: Record = {
        "id": new_uuid(),
        "trace_id": None,
        "span_id": None,
        "created_at": time.time(),
        "operation": "",
        "url": "",
        "provider": "openai",
        "model": "",
        "status": 200,
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "cost": 0.0,
        "latency_ms": 0.0,
        "virtual_key": None,
        "config": None,
        "api_key_id": None,
        "prompt_slug": None,
        "cache": None,
        "retries": 0,
        "fallback": False,
        "workspace_id": derived_uuid(tenant.id, "workspace"),
        "request": None,
        "response": None,
    }
    stored |= {k: v for k, v in entry.items() if v is not None}
    stored |= {"metadata": known, "user": None if user is None else str(user)}
    used = {"cost": float(stored["cost"]), "tokens": stored["prompt_tokens"] + stored["completion_tokens"]}
    for slug in {stored["virtual_key"], str(stored["provider"]).removeprefix("@")}:
        meter(tenant, slug, used)
    log = tenant.of("traffic")
    log[str(stored["id"])] = stored
    while len(log) > KEPT:
        del log[next(iter(log))]
    return stored


def entries(tenant: Tenant) -> list[Record]:
    """Everything recorded, oldest first."""
    return list(tenant.of("traffic").values())


def key_id(key: ApiKey) -> str:
    """How entries, policies and filters name the key a call came with: never by its value."""
    return key.name


def words(text: Any) -> set[str]:
    """The members of a comma-separated filter."""
    return {word.strip() for word in str(text).split(",") if word.strip()}


_RANGES: dict[str, Callable[[Record], Any]] = {
    "total_units": lambda e: e["prompt_tokens"] + e["completion_tokens"],
    "cost": lambda e: e["cost"],
    "prompt_token": lambda e: e["prompt_tokens"],
    "completion_token": lambda e: e["completion_tokens"],
}
_LISTS: dict[str, Callable[[Record], Any]] = {
    "status_code": lambda e: str(e["status"]),
    "virtual_keys": lambda e: e["virtual_key"],
    "configs": lambda e: e["config"],
    "api_key_ids": lambda e: e["api_key_id"],
    "ai_org_model": lambda e: f"{e['provider']}__{e['model']}",
    "ai_model": lambda e: e["model"],
    "trace_id": lambda e: e["trace_id"],
    "span_id": lambda e: e["span_id"],
    "prompt_slug": lambda e: e["prompt_slug"],
    "workspace_slug": lambda e: e["workspace_id"],
}


def _metadata(text: Any) -> Record | None:
    """The metadata a filter asks for, or None when the text is no JSON object."""
    if isinstance(text, Mapping):
        return dict(text)
    try:
        found = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def weighted_feedback(tenant: Tenant) -> dict[str, float]:
    """Trace id → weighted mean of its feedback."""
    sums: dict[str, list[float]] = {}
    for row in tenant.of("feedback").values():
        sums.setdefault(row["trace_id"], []).append(row["value"] * row["weight"])
    return {trace: sum(values) / len(values) for trace, values in sums.items()}


def selected(tenant: Tenant, filters: Mapping[str, Any]) -> list[Record]:
    """The entries that every filter of an analytics query or an export keeps. Raises Refusal(400)."""
    kept = entries(tenant)
    if filters.get("time_of_generation_min") is not None:
        since = moment(filters["time_of_generation_min"], "time_of_generation_min")
        kept = [e for e in kept if e["created_at"] >= since]
    if filters.get("time_of_generation_max") is not None:
        until = moment(filters["time_of_generation_max"], "time_of_generation_max")
        kept = [e for e in kept if e["created_at"] <= until]
    for name, measure in _RANGES.items():
        low, high = filters.get(f"{name}_min"), filters.get(f"{name}_max")
        kept = [
            e for e in kept if (low is None or measure(e) >= low) and (high is None or measure(e) <= high)
        ]
    for name, read in _LISTS.items():
        if filters.get(name) is not None:
            wanted = words(filters[name])
            kept = [e for e in kept if read(e) in wanted]
    if filters.get("metadata") is not None:
        asked = _metadata(filters["metadata"])
        kept = [
            e for e in kept if asked is not None and all(e["metadata"].get(k) == v for k, v in asked.items())
        ]
    low, high = filters.get("weighted_feedback_min"), filters.get("weighted_feedback_max")
    if low is not None or high is not None:
        scores = weighted_feedback(tenant)
        kept = [
            e
            for e in kept
            if e["trace_id"] in scores
            and (low is None or scores[e["trace_id"]] >= low)
            and (high is None or scores[e["trace_id"]] <= high)
        ]
    return kept
