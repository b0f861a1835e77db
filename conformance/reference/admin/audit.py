"""Audit log: one entry for every write on the control plane, refused ones too."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from conformance.reference.admin.table import (
    MASK,
    derived_uuid,
    moment,
    organisation,
    owner_id,
    total_of,
    window,
)
from conformance.reference.core import Answer, Call, Handler, Record, Refusal, handles, iso, new_uuid

KEPT = 10_000  # entries per tenant; the oldest go first
_SECRET_WORDS = ("key", "secret", "token", "password", "authorization", "credential", "service_account")
_OPEN_WORDS = (
    "virtual_key",
    "secret_key",
    "secret_path",
    "secret_mappings",
    "secret_reference_id",
    "value_key",
)


def _is_secret(name: str) -> bool:
    lowered = name.lower()
    return lowered not in _OPEN_WORDS and any(word in lowered for word in _SECRET_WORDS)


def redacted(value: Any) -> Any:
    """A copy in which the values of secret-looking fields are masked, at any depth."""
    if isinstance(value, dict):
        return {k: MASK if _is_secret(k) and v is not None else redacted(v) for k, v in value.items()}
    if isinstance(value, list):
        return [redacted(item) for item in value]
    return deepcopy(value)


def _entry(call: Call, route: str, status: int) -> Record:
    resource = route.lstrip("/").replace("admin/", "", 1).split("/", 1)[0]
    action = {"POST": "create", "PUT": "update", "DELETE": "delete"}[call.method]
    path = route
    for name, value in call.path.items():
        path = path.replace("{" + name + "}", value)
    body = call.body if isinstance(call.body, dict) else {}
    headers = {k.lower(): v for k, v in call.headers.items()}
    hidden = {k: MASK if _is_secret(k) or k == "cookie" else v for k, v in headers.items()}
    return {
        "timestamp": iso(),
        "method": call.method,
        "uri": "/v1" + path,
        "request_id": headers.get("x-request-id") or new_uuid(),
        "request_body": json.dumps(redacted(body)),
        "query_params": json.dumps(call.query, default=str),
        "request_headers": json.dumps(hidden),
        "user_id": owner_id(call.tenant),
        "user_type": "api_key",
        "organisation_id": organisation(call.tenant),
        "workspace_id": str(body.get("workspace_id") or derived_uuid(call.tenant.id, "workspace")),
        "response_status_code": status,
        "resource_type": resource.replace("-", "_"),
        "action": action,
        "client_ip": "127.0.0.1",
        "country": "XX",
    }


def record_audit(call: Call, route: str, status: int) -> None:
    """Keep one entry for a write that was answered with ``status``."""
    log = call.tenant.of("audit_logs")
    log[new_uuid()] = _entry(call, route, status)
    while len(log) > KEPT:
        del log[next(iter(log))]


def manages(operation: str, route: str) -> Callable[[Handler], Handler]:
    """Register a write: like ``handles``, and every answer of it leaves an audit entry."""

    def register(handler: Handler) -> Handler:
        if inspect.iscoroutinefunction(handler):
            raise TypeError(f"{operation}: control-plane behaviours are plain functions")

        def audited(call: Call) -> Any:
            try:
                answer = handler(call)
            except Refusal as refusal:
                record_audit(call, route, refusal.status)
                raise
            record_audit(call, route, answer.status if isinstance(answer, Answer) else 200)
            return answer

        handles(operation)(audited)
        return handler

    return register


_EXACT = {
    "method": "method",
    "request_id": "request_id",
    "user_id": "user_id",
    "user_type": "user_type",
    "workspace_id": "workspace_id",
    "response_status_code": "response_status_code",
    "resource_type": "resource_type",
    "action": "action",
    "client_ip": "client_ip",
    "country": "country",
    "organisation_id": "organisation_id",
}


@handles("getAuditLogs")
def list_audit_logs(call: Call) -> Record:
    query = call.query
    since, until = moment(query["start_time"], "start_time"), moment(query["end_time"], "end_time")
    wanted = {field: query[name] for name, field in _EXACT.items() if query.get(name) is not None}
    records = [
        entry
        for entry in call.tenant.of("audit_logs").values()
        if since <= moment(entry["timestamp"], "timestamp") <= until
        and all(entry[field] == value for field, value in wanted.items())
        and (query.get("uri") is None or query["uri"] in entry["uri"])
    ]
    return {
        "records": deepcopy(window(records, query, 100)),
        "total": total_of(call, records),
        "object": "analytics-graph",
    }
