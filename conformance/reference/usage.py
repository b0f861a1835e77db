"""What every inference call leaves behind: an entry of the tenant's traffic, from which logs are read."""

from __future__ import annotations

import time
from typing import Any

from .admin.traffic import key_id, record_traffic
from .core import Call, Record, new_uuid
from .pricing import cost_of
from .validation import parse_json

BODIES_KEPT = 500  # per tenant


def finish(
    call: Call, body: Any, *, model: str, prompt: int, completion: int, started: float
) -> dict[str, str]:
    """Record one finished call; token counts in, the headers that name its trace and log out."""
    trace = call.headers.get("x-portkey-trace-id") or new_uuid()
    entry = record_traffic(
        call.tenant,
        {
            "id": new_uuid(),
            "trace_id": trace,
            "span_id": call.headers.get("x-portkey-span-id"),
            "operation": call.operation,
            "url": "https://reference.invalid/v1/" + call.operation,
            "provider": call.headers.get("x-portkey-provider"),
            "model": model,
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "cost": cost_of(model, prompt, completion),
            "latency_ms": round((time.perf_counter() - started) * 1000, 3),
            "virtual_key": call.headers.get("x-portkey-virtual-key"),
            "config": call.headers.get("x-portkey-config"),
            "api_key_id": key_id(call.key),
            "metadata": _metadata(call),
            "request": call.body if isinstance(call.body, dict) and not _holds_files(call.body) else {},
            "response": body if isinstance(body, dict) else {},
        },
    )
    _forget_old_bodies(call, entry)
    return {"x-portkey-trace-id": trace, "x-portkey-log-id": str(entry["id"])}


def _forget_old_bodies(call: Call, entry: Record) -> None:
    """Entries are small and kept long; their bodies can be large, so only the latest keep them."""
    recent = call.tenant.of("recent_bodies")
    recent[str(entry["id"])] = entry
    if len(recent) > BODIES_KEPT:
        oldest = recent.pop(next(iter(recent)))
        oldest.update(request={}, response={})


def _metadata(call: Call) -> Record:
    raw = call.headers.get("x-portkey-metadata")
    value = parse_json(raw.encode("utf-8", "replace")) if raw else {}
    return value if isinstance(value, dict) else {}


def _holds_files(body: Record) -> bool:
    return any(not isinstance(one, (str, int, float, bool, list, dict, type(None))) for one in body.values())
