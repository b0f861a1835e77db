"""What went through the gateway: the entries that logs, analytics and usage policies are computed from."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from conformance.reference.admin.table import derived_uuid
from conformance.reference.core import Record, Tenant, new_uuid

KEPT = 100_000  # entries per tenant; the oldest go first


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
    log = tenant.of("traffic")
    log[str(stored["id"])] = stored
    while len(log) > KEPT:
        del log[next(iter(log))]
    return stored


def entries(tenant: Tenant) -> list[Record]:
    """Everything recorded, oldest first."""
    return list(tenant.of("traffic").values())
