"""What every organisation starts with: people, a workspace, a collection, a little traffic of its past."""

from __future__ import annotations

import time

from conformance.reference.admin.folders import default_collection
from conformance.reference.admin.people import givens
from conformance.reference.admin.table import derived_uuid
from conformance.reference.admin.traffic import record_traffic
from conformance.reference.core import Gateway, Record, Tenant

METADATA_KEY = "environment"
_DAY = 86_400


def _past(tenant: Tenant) -> None:
    """A few calls of the last two days, so that a quiet gateway has something to show."""
    for number in range(12):
        record_traffic(
            tenant,
            {
                "id": derived_uuid(tenant.id, "past", str(number)),
                "trace_id": f"past-{number}",
                "created_at": time.time() - 2 * _DAY + number * 3 * 3600,
                "operation": "createChatCompletion",
                "url": "/v1/chat/completions",
                "model": "reference-chat",
                "status": (200, 200, 200, 200, 429, 200)[number % 6],
                "prompt_tokens": 10 + number,
                "completion_tokens": 5,
                "cost": 0.0001 * (15 + number),
                "latency_ms": 20.0 + 7 * number,
                "metadata": {
                    METADATA_KEY: ("production", "staging")[number % 2],
                    "_user": f"user-{number % 3}",
                },
                "cache": "simple" if number % 4 == 3 else None,
                "retries": 1 if number == 7 else 0,
            },
        )


def seed_admin(gateway: Gateway) -> Record:
    """Fill every tenant; the givens of the first one (the owner's) by name: ids, emails, keys of metadata."""
    found: list[Record] = []
    for tenant in gateway.tenants.values():
        collection = default_collection(tenant)
        _past(tenant)
        found.append(
            {
                **givens(tenant),
                "collection": collection["id"],
                "metadata_key": METADATA_KEY,
                "trace": "past-0",
            }
        )
    return found[0] if found else {}
