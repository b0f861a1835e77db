"""Logs: custom ones that clients send, and every inference call, read by id."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote, urlsplit

from .admin.traffic import record_traffic
from .core import Call, Gateway, Record, handles, iso, new_uuid, not_found

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD")
HIDDEN = frozenset({"authorization", "x-portkey-api-key", "x-api-key", "api-key", "cookie"})


def _headers(value: Any) -> Record:
    given = value if isinstance(value, dict) else {}
    return {name: "hashed_value" if name.lower() in HIDDEN else str(one) for name, one in given.items()}


def _uri(text: str) -> str:
    """The text as a URI: unchanged when it is one."""
    try:
        plain = text.isascii() and text.isprintable() and " " not in text and urlsplit(text).scheme != ""
    except ValueError:
        plain = False
    return text if plain else "https://reference.invalid/" + quote(text, safe="")


def entry_of(log: Record) -> Record:
    """A custom log as an entry of the tenant's traffic."""
    request, response, metadata = log["request"], log["response"], log.get("metadata") or {}
    body, answer = request["body"], response["body"]
    usage = answer.get("usage") if isinstance(answer.get("usage"), dict) else {}

    def tokens(name: str) -> int:
        value = usage.get(name, 0)
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0

    return {
        "id": new_uuid(),
        "trace_id": metadata.get("trace_id"),
        "span_id": metadata.get("span_id"),
        "operation": "custom",
        "url": request["url"],
        "model": str(body.get("model", "")),
        "status": response.get("status", 200),
        "latency_ms": float(response.get("response_time", 0)),
        "prompt_tokens": tokens("prompt_tokens"),
        "completion_tokens": tokens("completion_tokens"),
        "metadata": metadata,
        "request": body,
        "response": answer,
        "custom": log,
    }


def log_of(tenant_id: str, entry: Record) -> Record:
    """An entry of the traffic as the contract's log object."""
    custom = entry.get("custom") or {"request": {}, "response": {}}
    method = str(custom["request"].get("method", "POST")).upper()
    url = _uri(entry["url"])
    status, took = int(entry["status"]), int(entry["latency_ms"])
    body = entry["request"] or {}
    answer = entry["response"] or {}
    at = iso(entry["created_at"])
    metadata = {str(name): str(value) for name, value in entry["metadata"].items()}
    return {
        "_id": entry["id"],
        "organisation_id": tenant_id,
        "created_at": at,
        "request": {
            "url": url,
            "method": method if method in METHODS else "POST",
            "headers": _headers(custom["request"].get("headers")),
            "body": body,
            "portkeyHeaders": {"x-portkey-trace-id": str(entry["trace_id"] or "")},
        },
        "response": {
            "status": max(-(2**31), min(2**31 - 1, status)),
            "headers": _headers(custom["response"].get("headers")),
            "body": answer,
            "responseTime": took,
            "lastUsedOptionJsonPath": "",
        },
        "metrics": {
            "id": entry["id"],
            "organisation_id": tenant_id,
            "created_at": at,
            "is_success": status < 400,
            "ai_org": entry["provider"],
            "ai_model": entry["model"],
            "req_units": entry["prompt_tokens"],
            "res_units": entry["completion_tokens"],
            "total_units": entry["prompt_tokens"] + entry["completion_tokens"],
            "cost": entry["cost"],
            "cost_currency": "USD",
            "request_url": url,
            "request_method": method,
            "response_status_code": max(-(2**31), min(2**31 - 1, status)),
            "response_time": took,
            "trace_id": str(entry["trace_id"] or ""),
            "span_id": str(entry["span_id"] or ""),
            "metadata.key": list(metadata),
            "metadata.value": list(metadata.values()),
        },
    }


@handles("postLogs")
def post_logs(call: Call) -> Record:
    logs = call.body if isinstance(call.body, list) else [call.body]
    stored = [record_traffic(call.tenant, {**entry_of(one), "created_at": time.time()}) for one in logs]
    return {"status": "success", "ids": [one["id"] for one in stored]}


@handles("getLogsLogId")
def get_log(call: Call) -> Record:
    entry = call.tenant.of("traffic").get(call.path["logId"])
    if entry is None:
        raise not_found("log", call.path["logId"])
    return log_of(call.tenant.id, entry)


def seed_logs(gateway: Gateway) -> Record:
    """One finished call of the first tenant, to be read by id."""
    tenant = next(iter(gateway.tenants.values()))
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
    custom = {
        "request": {"url": "https://api.openai.com/v1/chat/completions", "method": "POST", "body": body},
        "response": {"status": 200, "body": {"id": "chatcmpl-seeded"}, "response_time": 120},
        "metadata": {"trace_id": "seeded", "environment": "test"},
    }
    return {"log": record_traffic(tenant, entry_of(custom))["id"]}
