"""API keys: real ones, that open the gateway until they are deleted."""

from __future__ import annotations

import secrets
import time

from conformance.reference.admin.audit import manages
from conformance.reference.admin.people import user_of, workspace_filter, workspace_of
from conformance.reference.admin.table import Table, moment, organisation, pick, public, total_of, window
from conformance.reference.core import ApiKey, Call, Record, Refusal, handles

API_KEYS = Table("api_keys", "API key", slugs=False)
_FIELDS = ("name", "description", "rate_limits", "usage_limits", "scopes", "defaults", "alert_emails")
_LOOKING = frozenset({"read", "list", "view"})


def granted(scopes: list[str]) -> frozenset[str]:
    """What the gateway lets a key do: scopes that only look make a reading key, any other the whole."""
    verbs = {scope.rpartition(".")[2] for scope in scopes}
    return frozenset({"read"}) if verbs and verbs <= _LOOKING else frozenset()


@manages("postApiKeysTypeSubType", "/api-keys/{type}/{sub-type}")
def create_api_key(call: Call) -> Record:
    body, kind, sub = call.body, call.path["type"], call.path["sub-type"]
    if (kind, sub) == ("organisation", "user"):
        raise Refusal(400, "An organisation's key is a service key.", param="sub-type")
    if sub == "user" and "user_id" not in body:
        raise Refusal(400, "A user's key needs 'user_id'.", param="user_id")
    owner: Record = {}
    if "user_id" in body:
        owner["user_id"] = user_of(call, body["user_id"])["id"]
    if kind == "workspace" or body.get("workspace_id"):
        owner["workspace_id"] = workspace_of(call, body.get("workspace_id"))
    value = "pk-ref-" + secrets.token_urlsafe(24)
    row = API_KEYS.add(
        call,
        {
            "description": "",
            "rate_limits": [],
            "defaults": {},
            "alert_emails": [],
            "reset_usage": 0,
            **pick(body, *_FIELDS, "expires_at"),
            **owner,
            "key": value[:2] + "*******" + value[-2:],
            "type": f"{kind}-{sub}",
            "organisation_id": organisation(call.tenant),
            "status": "active",
            "creation_mode": "api",
            "object": "api-key",
            "_value": value,
        },
    )
    expired = "expires_at" in body and moment(body["expires_at"], "expires_at") <= time.time()
    scopes = granted(body["scopes"])
    call.gateway.keys[value] = ApiKey(value, call.tenant, row["id"], scopes, revoked=expired)
    return {"id": row["id"], "key": value, "object": "api-key"}


def _view(call: Call, row: Record) -> Record:
    out = public(row)
    return out | {"key": row["_value"]} if call.fault("secret-shown-again") else out


@handles("getApiKeys")
def list_api_keys(call: Call) -> Record:
    workspace_id = workspace_filter(call, call.query.get("workspace_id"))
    rows = API_KEYS.listed(call, lambda row: workspace_id in (None, row.get("workspace_id")))
    page = [_view(call, row) for row in window(rows, call.query)]
    return {"total": total_of(call, rows), "object": "list", "data": page}


@handles("getApiKeysId")
def read_api_key(call: Call) -> Record:
    return _view(call, API_KEYS.find(call, call.path["id"]))


@manages("putApiKeysId", "/api-keys/{id}")
def update_api_key(call: Call) -> Record:
    row = API_KEYS.find(call, call.path["id"])
    API_KEYS.change(call, row, pick(call.body, *_FIELDS))
    if row["_value"] in call.gateway.keys:
        call.gateway.keys[row["_value"]].scopes = granted(row["scopes"])
    return {}


@manages("deleteApiKeysId", "/api-keys/{id}")
def delete_api_key(call: Call) -> Record:
    row = API_KEYS.find(call, call.path["id"])
    API_KEYS.remove(call, row)
    if not call.fault("delete-keeps-resource"):
        call.gateway.keys.pop(row["_value"], None)
    return {}
