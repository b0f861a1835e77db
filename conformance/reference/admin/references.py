"""Secret references: where a secret is kept, never the secret itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from conformance.reference.admin.audit import manages
from conformance.reference.admin.people import WORKSPACES, home, workspace_of
from conformance.reference.admin.table import (
    MASK,
    Table,
    matches,
    own_organisation,
    owner_id,
    pick,
    public,
    slugify,
    total_of,
    window,
)
from conformance.reference.core import Call, Record, Refusal, handles

SECRETS = Table("secret_references", "secret reference")
# How each manager is reached: the field that names the way, the ways, and what each way needs.
_WAYS: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {
    "aws_sm": (
        "aws_auth_type",
        {
            "accessKey": ("aws_access_key_id", "aws_secret_access_key", "aws_region"),
            "assumedRole": ("aws_role_arn", "aws_region"),
            "serviceRole": (),
        },
    ),
    "azure_kv": (
        "azure_auth_mode",
        {
            "entra": (
                "azure_entra_tenant_id",
                "azure_entra_client_id",
                "azure_entra_client_secret",
                "azure_vault_url",
            ),
            "managed": ("azure_vault_url",),
            "default": ("azure_vault_url",),
        },
    ),
    "hashicorp_vault": (
        "vault_auth_type",
        {
            "token": ("vault_addr", "vault_token"),
            "approle": ("vault_addr", "vault_role_id", "vault_secret_id"),
            "kubernetes": ("vault_addr", "vault_role"),
        },
    ),
}
_MASKED = ("aws_secret_access_key", "azure_entra_client_secret", "vault_token", "vault_secret_id")


def check_mappings(call: Call, mappings: Sequence[Mapping[str, Any]] | None, workspace_id: Any) -> None:
    """Each target once, each reference known and open to the workspace. Raises Refusal 400, 404."""
    targets = [mapping["target_field"] for mapping in mappings or ()]
    if len(set(targets)) < len(targets):
        raise Refusal(400, "A target_field may be mapped once.", param="secret_mappings")
    for mapping in mappings or ():
        row = SECRETS.find(call, mapping["secret_reference_id"])
        open_to = row["_allowed"]
        if not row["allow_all_workspaces"] and workspace_id is not None and workspace_id not in open_to:
            raise Refusal(400, "The workspace may not use this secret reference.", param="secret_mappings")


def _in_use(call: Call, row: Record) -> bool:
    users = (*call.tenant.of("integrations").values(), *call.tenant.of("virtual_keys").values())
    names = {row["id"], row["slug"]}
    return any(m["secret_reference_id"] in names for user in users for m in user.get("secret_mappings") or ())


def _check_auth(manager: str, auth: Mapping[str, Any]) -> None:
    field, ways = _WAYS[manager]
    needed = ways.get(str(auth.get(field)))
    if needed is None or any(not isinstance(auth.get(name), str) for name in needed):
        raise Refusal(400, f"'auth_config' does not fit {manager}.", param="auth_config")


def _access(call: Call, body: Record) -> Record:
    """What a request says about who may use the reference."""
    if "allowed_workspaces" in body:
        if body.get("allow_all_workspaces"):
            raise Refusal(400, "Allow all workspaces or name some, not both.", param="allow_all_workspaces")
        allowed = [workspace_of(call, one) for one in body["allowed_workspaces"]]
        return {"allow_all_workspaces": False, "_allowed": allowed}
    if "allow_all_workspaces" in body:
        purged: Record = {"_allowed": []} if body["allow_all_workspaces"] else {}
        return {"allow_all_workspaces": body["allow_all_workspaces"], **purged}
    return {}


@manages("createSecretReference", "/secret-references")
def create_secret_reference(call: Call) -> Record:
    body = call.body
    _check_auth(body["manager_type"], body["auth_config"])
    SECRETS.refuse_taken(call.tenant, body.get("slug"), status=400)
    row = SECRETS.add(
        call,
        {
            "organisation_id": own_organisation(call, body.get("organisation_id")),
            "slug": body.get("slug") or slugify(body["name"]),
            "description": None,
            "secret_key": None,
            "tags": None,
            **pick(body, "name", "description", "manager_type", "secret_path", "secret_key", "tags"),
            "allow_all_workspaces": True,
            "_allowed": [],
            **_access(call, body),
            "status": "ACTIVE",
            "created_by": owner_id(call.tenant),
            "_auth": pick(body, "auth_config")["auth_config"],
            "object": "secret-reference",
        },
    )
    return {"id": row["id"], "slug": row["slug"], "object": "secret-reference"}


def _tags(text: Any) -> Record | None:
    """The tags a list is filtered by: a JSON object, or None when the text is no such thing."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


@handles("listSecretReferences")
def list_secret_references(call: Call) -> Record:
    query = call.query
    wanted = _tags(query["tags"]) if query.get("tags") is not None else {}
    rows = SECRETS.listed(
        call,
        lambda row: (
            query.get("manager_type") in (None, row["manager_type"])
            and matches(row, query.get("search"), "name")
            and wanted is not None
            and wanted.items() <= (row["tags"] or {}).items()
        ),
    )
    page = [
        public(row, "organisation_id", "secret_path", "secret_key", "created_by")
        for row in window(rows, query, 20)
    ]
    return {"object": "list", "total": total_of(call, rows), "data": page}


@handles("getSecretReference")
def read_secret_reference(call: Call) -> Record:
    row = SECRETS.find(call, call.path["secretReferenceId"])
    shown = call.fault("secret-shown-again")
    auth = {k: v if shown or k not in _MASKED else MASK for k, v in row["_auth"].items()}
    home(call.tenant)
    known = WORKSPACES.rows(call.tenant)
    named = [identifier for identifier in row["_allowed"] if identifier in known]
    return public(row) | {"auth_config": auth} | ({"allowed_workspaces": named} if named else {})


@manages("updateSecretReference", "/secret-references/{secretReferenceId}")
def update_secret_reference(call: Call) -> Record:
    row, body = SECRETS.find(call, call.path["secretReferenceId"]), call.body
    changes = pick(body, "name", "description", "secret_path", "secret_key", "tags")
    if "auth_config" in body:
        _check_auth(row["manager_type"], body["auth_config"])
        changes["_auth"] = pick(body, "auth_config")["auth_config"]
    SECRETS.change(call, row, changes | _access(call, body))
    return {}


@manages("deleteSecretReference", "/secret-references/{secretReferenceId}")
def delete_secret_reference(call: Call) -> Record:
    row = SECRETS.find(call, call.path["secretReferenceId"])
    if _in_use(call, row):
        raise Refusal(400, "The secret reference is in use.", code="in_use")
    SECRETS.remove(call, row)
    return {}
