"""Configs: routing rules of the gateway, every change kept as a version."""

from __future__ import annotations

import json
from typing import Any

from conformance.reference.admin.audit import manages
from conformance.reference.admin.people import workspace_of
from conformance.reference.admin.table import Table, organisation, owner_id, pick, public, slugify, total_of
from conformance.reference.core import Call, Record, Refusal, handles, iso, new_uuid

CONFIGS = Table("configs", "config")
# What the gateway knows how to obey, and the JSON types it takes; anything else is kept as it is.
_SHAPE: dict[str, Any] = {
    "retry": {"attempts": int, "on_status_codes": [int]},
    "cache": {"mode": str, "max_age": int},
    "strategy": {"mode": str},
    "targets": [{"provider": str, "virtual_key": str}],
}


def _fits(value: Any, shape: Any) -> bool:
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(_fits(value[k], s) for k, s in shape.items() if k in value)
    if isinstance(shape, list):
        return isinstance(value, list) and all(_fits(item, shape[0]) for item in value)
    if shape is int:
        whole = isinstance(value, float) and value.is_integer()
        return (isinstance(value, int) and not isinstance(value, bool)) or whole
    return isinstance(value, str)


def _checked(config: Record) -> Record:
    for name, shape in _SHAPE.items():
        if name in config and not _fits(config[name], shape):
            raise Refusal(400, f"'config.{name}' is not understood.", param=f"config.{name}")
    return config


def _keep_version(row: Record) -> str:
    version_id = new_uuid()
    version = public(row) | {
        "id": new_uuid(),
        "config": json.dumps(row["_config"], separators=(",", ":")),
        "format": "json",
        "type": "ORG_CONFIG",
        "version_id": version_id,
        "created_at": iso(),
        "object": "config",
    }
    row["_versions"].insert(0, version)
    return version_id


def config_of(call: Call, slug: str) -> Record:
    """The routing rules behind a config's slug or id. Raises Refusal(404)."""
    return dict(CONFIGS.find(call, slug)["_config"])


@manages("createConfig", "/configs")
def create_config(call: Call) -> Record:
    body = call.body
    workspace_id = workspace_of(call, body.get("workspace_id"))
    config = _checked(pick(body, "config").get("config", {}))
    name, default = body.get("name", "Untitled config"), int(bool(body.get("isDefault", 0)))
    if default:
        for other in CONFIGS.rows(call.tenant).values():
            if other["workspace_id"] == workspace_id:
                other["is_default"] = 0
    row = CONFIGS.add(
        call,
        {
            "name": name,
            "slug": slugify(name, "pc", limit=12),
            "organisation_id": organisation(call.tenant),
            "workspace_id": workspace_id,
            "is_default": default,
            "status": "active",
            "owner_id": owner_id(call.tenant),
            "updated_by": owner_id(call.tenant),
            "_config": config,
            "_versions": [],
        },
    )
    return {"success": True, "data": {"id": row["id"], "version_id": _keep_version(row)}}


@handles("listConfigs")
def list_configs(call: Call) -> Record:
    return {"success": True, "data": [public(row) for row in CONFIGS.listed(call)]}


@handles("getConfig")
def read_config(call: Call) -> Record:
    row = CONFIGS.find(call, call.path["slug"])
    return {"success": True, "data": public(row) | {"config": config_of(call, row["id"])}}


@manages("updateConfig", "/configs/{slug}")
def update_config(call: Call) -> Record:
    row = CONFIGS.find(call, call.path["slug"])
    changes = pick(call.body, "name", "status")
    if "config" in call.body:
        changes["_config"] = _checked(pick(call.body, "config")["config"])
    CONFIGS.change(call, row, changes)
    return {"success": True, "data": {"version_id": _keep_version(row)}}


@manages("deleteConfig", "/configs/{slug}")
def delete_config(call: Call) -> Record:
    CONFIGS.remove(call, CONFIGS.find(call, call.path["slug"]))
    return {"success": True}


@handles("listConfigVersions")
def list_config_versions(call: Call) -> Record:
    versions = CONFIGS.find(call, call.path["slug"])["_versions"]
    page = [public(version) for version in versions]
    return {"success": True, "object": "list", "total": total_of(call, versions), "data": page}
